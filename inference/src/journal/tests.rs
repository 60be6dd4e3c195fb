//! A journal replays to the very bytes.

use proptest::prelude::*;
use xueliang_base::{
    detection::Meaning,
    geometry::Rect,
    id::{ConfigRevision, LookId},
    incident::Edge,
    kind::Kind,
    look::{LookKind, ModelView, NotLooked, Scene, Sight, Thumbnail},
    time::{CameraTime, Mono, Wall},
};

use super::*;
use crate::analyst::staging::{self, camera, in_zone, models, person_rule, street};

fn bytes(edges: &[Edge]) -> Vec<u8> {
    serde_json::to_vec(edges).unwrap()
}

fn observation() -> impl Strategy<Value = Observation> {
    let detection = (0usize..9, 0.0f32..=1.0, 0.0f32..1.0, 0.0f32..1.0, 0.0f32..0.5).prop_map(
        |(m, score, x, y, size)| xueliang_base::detection::Detection {
            meaning: Meaning::ALL[m],
            score,
            rect: Rect::new(x, y, x + size, y + size),
        },
    );
    let sight = (
        prop::collection::vec(detection, 0..8),
        any::<u64>(),
        (0.0f32..255.0, 0.0f32..90.0, 0.0f32..20.0),
        0u64..4,
        any::<bool>(),
    )
        .prop_map(|(detections, checksum, (mean_luma, std_luma, detail), place, timed)| {
            let cells = street(place).cells;
            Sight {
                arrival: Mono(0),
                arrival_wall: Wall(0),
                camera_time: timed.then_some(CameraTime { wall: Wall(-7), error_us: 250_000 }),
                views: vec![ModelView { model: "street".parse().unwrap(), detections }],
                scene: Scene {
                    mean_luma,
                    std_luma,
                    detail,
                    checksum,
                    thumbnail: Thumbnail::new(cells.into()).unwrap(),
                },
                aspect: 16.0 / 9.0,
            }
        });
    let reason = prop::sample::select(vec![
        NotLooked::Stalled,
        NotLooked::Deadline,
        NotLooked::ExpectedOff,
        NotLooked::NotDue,
        NotLooked::TooOld,
    ]);
    let outcome = prop_oneof![4 => sight.prop_map(Ok), 1 => reason.prop_map(Err)];
    (any::<bool>(), outcome).prop_map(|(keyframe, outcome)| Observation {
        look: LookId(0),
        kind: if keyframe { LookKind::Keyframe } else { LookKind::Continued },
        revision: ConfigRevision(3),
        at: Mono(0),
        at_wall: Wall(0),
        outcome,
    })
}

fn journal_of(steps: Vec<(u32, Observation)>) -> Journal {
    let mut journal = Journal::new(JournalBounds::default());
    let mut ms = 0;
    for (i, (step, mut observation)) in steps.into_iter().enumerate() {
        ms += u64::from(step);
        observation.look = LookId(u64::try_from(i).unwrap());
        observation.at = Mono(1_000_000_000_000 + ms * 1_000_000);
        observation.at_wall = Wall(i64::try_from(ms * 1000).unwrap());
        if let Ok(sight) = &mut observation.outcome {
            sight.arrival = observation.at.minus(Duration::from_millis(80));
            sight.arrival_wall = observation.at_wall;
        }
        journal.push(observation);
    }
    journal
}

fn all_rules() -> Camera {
    use xueliang_base::config::Condition;
    let rule = |id: &str, kind, condition, zone| xueliang_base::config::Rule {
        timing: staging::timing(1.0, 4.0, 0.3, 1.0),
        ..staging::rule(id, kind, condition, zone)
    };
    camera(vec![
        person_rule("water"),
        rule("z", Kind::ZoneIntrusion, in_zone(Meaning::Vehicle), None),
        rule(
            "lane",
            Kind::FireLaneBlocked,
            Condition::Blocking { meanings: vec![Meaning::Vehicle], min_score: 0.1, min_inside: 0.2 },
            Some("z"),
        ),
        rule(
            "way",
            Kind::WrongWay,
            Condition::AgainstDirection {
                meanings: vec![Meaning::Vehicle, Meaning::TwoWheeler],
                min_score: 0.1,
                direction_deg: 10.0,
                tolerance_deg: 20.0,
                min_travel: 0.01,
            },
            None,
        ),
        rule("left", Kind::LeftObject, Condition::StaticForeground { min_area: 0.001, max_area: 0.3 }, None),
        rule("dark", Kind::ImgDark, Condition::Dark { max_luma: 60.0 }, None),
        rule("cover", Kind::CamCovered, Condition::Covered { lost_detail: 0.5 }, None),
        rule("freeze", Kind::ImgFreeze, Condition::Frozen, None),
        rule("moved", Kind::CamMoved, Condition::Moved { min_match: 0.25 }, None),
        rule("offline", Kind::CamOffline, Condition::NoSignal, None),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_journal_written_and_read_back_replays_to_the_same_bytes(
        steps in prop::collection::vec((50u32..4000, observation()), 1..60),
    ) {
        let journal = journal_of(steps);
        let camera = all_rules();
        let mut live = Analyst::new(&camera, None).with_models(&models());
        let edges: Vec<Edge> = journal.iter().flat_map(|o| live.step(&o)).collect();
        let mut file = Vec::new();
        journal.write_to(&camera, live.models(), None, &[], &mut file).unwrap();
        let read = read_from(&file[..]).unwrap();
        prop_assert!(read.observations.iter().cloned().eq(journal.iter()));
        prop_assert_eq!(&read.camera, &camera);
        prop_assert_eq!(bytes(&edges), bytes(&read.replay()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_held_is_what_was_appended_last_whatever_has_left(
        steps in prop::collection::vec((50u32..4000, observation()), 1..60),
        max_bytes in 0usize..20_000,
        max_age in 1u64..200,
    ) {
        let all: Vec<Observation> = journal_of(steps).iter().collect();
        let mut journal = Journal::new(JournalBounds { max_age: Duration::from_secs(max_age), max_bytes });
        for observation in &all {
            journal.push(observation.clone());
            prop_assert!(journal.bytes() <= max_bytes || journal.len() == 1);
        }
        let held = &all[usize::try_from(journal.dropped()).unwrap()..];
        prop_assert_eq!(held.len(), journal.len());
        prop_assert!(journal.iter().eq(held.iter().cloned()));
        let bytes: usize = journal.entries.iter().map(Entry::bytes).sum();
        prop_assert_eq!(journal.bytes(), bytes);
    }
}

#[test]
fn a_street_with_the_noise_of_a_live_sensor_takes_less_than_half_of_its_thumbnails() {
    let mut journal = Journal::new(JournalBounds::default());
    for t in 0..100 {
        journal.push(street(1).at(f64::from(t)));
    }
    assert!(journal.bytes() < 100 * Thumbnail::WIDTH * Thumbnail::HEIGHT / 2, "{}", journal.bytes());
}

proptest! {
    #[test]
    fn a_thumbnail_comes_back_whatever_it_was_and_came_after(
        before in any::<u64>(),
        after in any::<u64>(),
        plain in any::<bool>(),
    ) {
        use rand::{RngCore as _, SeedableRng as _, rngs::SmallRng};
        // Of some nothing deflates, of others all.
        let shown = |seed: u64, plain: bool| {
            let mut cells = vec![seed.to_le_bytes()[0]; Thumbnail::WIDTH * Thumbnail::HEIGHT];
            if !plain {
                SmallRng::seed_from_u64(seed).fill_bytes(&mut cells);
            }
            Thumbnail::new(cells.into()).unwrap()
        };
        let (before, after) = (shown(before, plain), shown(after, false));
        for (one, next) in [(&before, &after), (&after, &before), (&before, &before)] {
            prop_assert_eq!(&cells::after(one, &cells::difference(one, next)), next);
        }
    }
}

#[test]
fn a_staged_day_raises_updates_and_resolves_alike_live_and_replayed() {
    let mut journal = Journal::new(JournalBounds::default());
    let inside = Rect::new(0.7, 0.55, 0.75, 0.75);
    for t in 0..120u32 {
        let shown = match t {
            20..50 => (0..t / 8).fold(street(1), |s, _| s.with("street", Meaning::Person, 0.9, inside)),
            60..80 => street(2),
            90..100 => staging::Shown::black(),
            _ => street(1),
        };
        journal.push(shown.at(f64::from(t)));
    }
    let mut live = Analyst::new(&all_rules(), None).with_models(&models());
    let edges: Vec<Edge> = journal.iter().flat_map(|o| live.step(&o)).collect();
    assert!(edges.iter().any(|edge| matches!(edge, Edge::Updated(_))));
    assert!(edges.iter().filter(|edge| matches!(edge, Edge::Resolved(..))).count() >= 3, "{}", edges.len());
    let mut file = Vec::new();
    journal.write_to(&all_rules(), live.models(), None, &[], &mut file).unwrap();
    assert_eq!(bytes(&edges), bytes(&read_from(&file[..]).unwrap().replay()));
}

/// What the analyst is shown at each second of a day in two minutes.
fn staged(t: u32) -> staging::Shown {
    let inside = Rect::new(0.7, 0.55, 0.75, 0.75);
    match t {
        20..50 => (0..t / 8).fold(street(1), |s, _| s.with("street", Meaning::Person, 0.9, inside)),
        50..58 => street(1).with("street", Meaning::Vehicle, 0.9, Rect::new(0.6, 0.6, 0.9, 0.9)),
        60..80 => street(2),
        90..100 => staging::Shown::black(),
        102..110 => street(1).object(70, 40, 5, 250),
        _ => street(1),
    }
}

/// The incidents of the first life go into the second, as the node does it, and one whose rule is gone.
#[test]
fn the_journal_of_a_second_life_replays_to_all_that_it_told_wherever_the_first_ended() {
    let mut kinds = std::collections::BTreeSet::new();
    for end in (5..120).step_by(3) {
        let mut first = Analyst::new(&all_rules(), None).with_models(&models());
        for t in 0..end {
            first.step(&staged(t).at(f64::from(t)));
        }
        let reference = first.reference().cloned();
        let mut adopted: Vec<_> = first.active().into_iter().cloned().collect();
        if let Some(orphan) = adopted.first().cloned() {
            adopted.push(Incident { rule: "gone".parse().unwrap(), ..orphan });
        }
        let mut second = Analyst::new(&all_rules(), reference.clone()).with_models(&models());
        let mut edges: Vec<Edge> =
            adopted.iter().filter_map(|incident| second.adopt(incident.clone())).collect();
        let mut journal = Journal::new(JournalBounds::default());
        for t in end..120 {
            let observation = staged(t).at(f64::from(t));
            edges.extend(second.step(&observation));
            journal.push(observation);
        }
        let mut file = Vec::new();
        journal
            .write_to(&all_rules(), second.models(), reference.as_ref(), second.adopted(), &mut file)
            .unwrap();
        let read = read_from(&file[..]).unwrap();
        assert_eq!(read.adopted, adopted);
        assert_eq!(bytes(&edges), bytes(&read.replay()), "first life ends at {end}");
        kinds.extend(edges.iter().map(|edge| {
            let word = match edge {
                Edge::Raised(_) => "raised",
                Edge::Updated(_) => "updated",
                Edge::Resolved(_, resolution) => match resolution {
                    xueliang_base::incident::Resolution::ObservedAbsence => "resolved",
                    xueliang_base::incident::Resolution::RuleRemoved => "removed",
                    xueliang_base::incident::Resolution::DrillOver => "drill over",
                },
            };
            (word, edge.incident().kind)
        }));
    }
    for word in ["raised", "updated", "resolved", "removed"] {
        assert!(kinds.iter().any(|(found, _)| *found == word), "{word} was never compared: {kinds:?}");
    }
    assert!(kinds.iter().filter(|(word, _)| *word == "resolved").count() >= 4, "{kinds:?}");
}

#[test]
fn a_reference_survives_the_file() {
    let mut analyst = Analyst::new(&all_rules(), None).with_models(&models());
    for t in 0..60 {
        analyst.step(&street(1).at(f64::from(t)));
    }
    let reference = analyst.reference().unwrap();
    assert!(reference.recent.is_some());
    assert_eq!(reference.grounds.len(), 1);
    let mut file = Vec::new();
    Journal::new(JournalBounds::default())
        .write_to(&all_rules(), &models(), Some(reference), &[], &mut file)
        .unwrap();
    assert_eq!(read_from(&file[..]).unwrap().reference.as_ref(), Some(reference));
}

#[test]
fn the_journal_keeps_to_its_hours_and_bytes_and_counts_what_left() {
    let bounds = JournalBounds { max_age: Duration::from_secs(100), max_bytes: 6_000 };
    let mut journal = Journal::new(bounds);
    for t in 0..50 {
        journal.push(street(1).at(f64::from(t)));
    }
    assert!(journal.bytes() <= 6_000 && journal.len() < 20, "{}", journal.len());
    assert_eq!(journal.dropped() + u64::try_from(journal.len()).unwrap(), 50);
    journal.push(staging::not_looked(1000.0, NotLooked::Offline));
    assert_eq!(journal.len(), 1);
}

#[test]
fn a_damaged_or_foreign_file_is_refused_with_its_line() {
    let mut file = Vec::new();
    let mut journal = Journal::new(JournalBounds::default());
    journal.push(street(1).at(0.0));
    journal.push(street(1).at(1.0));
    journal.write_to(&all_rules(), &models(), None, &[], &mut file).unwrap();
    let text = String::from_utf8(file).unwrap();
    let refused = |text: &str| read_from(text.as_bytes()).unwrap_err().to_string();
    assert!(refused("").contains("empty"));
    assert!(refused(&text[..text.len() - 20]).contains("cut off"));
    let lines: Vec<&str> = text.lines().collect();
    assert!(refused(&format!("{}\n{}\n", lines[0], lines[1])).contains("line 2"));
    assert!(refused(&text.replace("\"xueliang_journal\":1", "\"xueliang_journal\":9")).contains("version 9"));
    assert!(
        refused(&format!("{}\n{}\n{}\n{}\n", lines[0], lines[2], lines[1], lines[3]))
            .contains("back in time")
    );
    assert!(refused(&format!("{}\nnonsense\n", lines[0])).contains("line 2"));
}

#[test]
fn the_file_holds_no_track_ids_and_no_secret() {
    let mut file = Vec::new();
    let mut journal = Journal::new(JournalBounds::default());
    journal.push(street(1).with("street", Meaning::Vehicle, 0.9, Rect::FULL).at(0.0));
    journal.write_to(&all_rules(), &models(), None, &[], &mut file).unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(!text.contains("track") && !text.contains("password"));
}
