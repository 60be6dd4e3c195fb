use proptest::prelude::*;
use xueliang_base::{
    config::Condition,
    detection::Meaning::Person,
    geometry::Rect,
    incident::{Evidence, Resolution},
    kind::Kind,
};

use super::*;
use crate::{
    analyst::staging::{Shown, camera, in_zone, models, moment, not_looked, rule, s, street, timing},
    rules::{Near, Progress},
};

fn analyst() -> Analyst {
    let pond = Rule {
        blind_max: s(1.0),
        timing: timing(3.0, 2.0, 0.7, 5.0),
        ..rule("pond", Kind::WaterZoneEntry, in_zone(Person), Some("z"))
    };
    let silent = rule("offline", Kind::CamOffline, Condition::NoSignal, None);
    let dark = rule("dark", Kind::CamCovered, Condition::Dark { max_luma: 20.0 }, None);
    Analyst::new(&camera(vec![pond, silent, dark]), None).with_models(&models())
}

fn shown(kind: u8, t: f64) -> Observation {
    let inside = Rect { x0: 0.6, y0: 0.5, x1: 0.8, y1: 0.9 };
    match kind {
        0 => Shown::black().at(t),
        1 | 2 => street(1).with("street", Person, 0.9, inside).at(t),
        3 => not_looked(t, NotLooked::Offline),
        4 => not_looked(t, NotLooked::Busy),
        5 => street(1).with("street", Person, f32::from(kind) / 20.0 + (t % 0.1) as f32, inside).at(t),
        6 => street(1).looked_by(&[]).at(t),
        _ => street(1).at(t),
    }
}

/// What a look is, at random.
fn setting(kind: u8) -> (LookFor, Option<WakeReason>, Vigil) {
    let purposes = [LookFor::Floor, LookFor::Rest, LookFor::Glance, LookFor::Watch, LookFor::Decide];
    let woke = (kind == 6).then_some(WakeReason::Moving);
    (purposes[usize::from(kind) % 5], woke, Vigil::ALL[usize::from(kind) % 3])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_happens_a_logbook_keeps_to_its_bytes_and_hours_and_reads_as_it_was_written(
        steps in prop::collection::vec((1u32..60_000, 0u8..9), 1..600),
        max_bytes in 20_000usize..200_000,
        max_age_s in 30u64..3600,
    ) {
        let mut analyst = analyst();
        let bounds = LogbookBounds { max_age: Duration::from_secs(max_age_s), max_bytes };
        let mut logbook = Logbook::new(bounds, moment(0.0), &analyst, |_| s(30.0));
        let (mut t, mut written) = (0.0, Vec::new());
        for (step, kind) in steps {
            t += f64::from(step) / 1000.0;
            let observation = shown(kind, t);
            let (_, noted) = analyst.step_noting(&observation);
            let (purpose, woke, vigil) = setting(kind);
            let rests = |rule: &RuleId| rule.as_str() == "pond" && kind % 2 == 0;
            written.push((observation.at, purpose, vigil, noted.rules.clone()));
            logbook.push(&observation, noted, &Setting { purpose, woke, vigil, rests: &rests });
            prop_assert!(logbook.bytes() <= max_bytes, "{} of {max_bytes}", logbook.bytes());
            // Blocks leave as a whole, so it may reach further back by the longest of them.
            let ends: Vec<Mono> = logbook.blocks().skip(1).map(Block::begins).collect();
            prop_assert!(ends.first().is_none_or(|end| observation.at.since(*end) <= bounds.max_age));
        }
        let read: Vec<Entry> = logbook.blocks().flat_map(Block::entries).collect();
        prop_assert_eq!(read.len(), logbook.len());
        prop_assert!(logbook.begins() <= read.first().map_or(logbook.begins(), |entry| entry.at));
        for (entry, (at, purpose, vigil, rules)) in read.iter().rev().zip(written.iter().rev()) {
            prop_assert!(at.since(entry.at) < Duration::from_micros(1) && entry.at <= *at);
            prop_assert_eq!(entry.vigil, *vigil);
            if let What::Looked { purpose: told, .. } = entry.what {
                prop_assert_eq!(told, *purpose);
            }
            for (read, written) in entry.rules.iter().zip(rules) {
                let (read, written) = (read.told, written.told);
                let near = |told: Option<Told>| told.and_then(|told| told.near);
                let (a, b) = (near(read), near(written));
                prop_assert!(a.is_some() == b.is_some() && a.zip(b).is_none_or(|(a, b)| (a.best - b.best).abs() < 1e-4));
                let plain = |told: Option<Told>| {
                    // A time of its own is kept to the microsecond.
                    told.map(|told| Told { near: None, at: Mono(told.at.0 / 10_000), ..told })
                };
                prop_assert_eq!(plain(read), plain(written));
            }
        }
    }
}

#[test]
fn all_that_an_entry_can_say_is_read_as_it_was_written() {
    let analyst = analyst();
    let mut block = Block::new(moment(0.0), Standing::new(moment(0.0), &analyst));
    let plain = Told {
        at: moment(1.0),
        evidence: Evidence::Seen,
        cooling: false,
        elsewhere: false,
        near: None,
        progress: None,
        held: None,
        turn: None,
    };
    let near = Near { kind: xueliang_base::incident::ThresholdKind::Score, best: 0.25, needed: 0.45 };
    let progress =
        Progress { watched: Duration::new(7000, 5), seen: Duration::new(6000, 9), share: Some(0.1) };
    let held = Held { started: xueliang_base::time::Wall(-5), looks: 7, best: 0.5 };
    let told = [
        plain,
        Told { evidence: Evidence::NotSeen, near: Some(near), elsewhere: true, ..plain },
        Told { progress: Some(progress), cooling: true, ..plain },
        Told { progress: Some(Progress { share: None, ..progress }), ..plain },
        Told { held: Some((7, 0.5)), turn: Some(Turn::Raised(held)), ..plain },
        Told { turn: Some(Turn::Resolved(Resolution::ObservedAbsence)), ..plain },
        Told { evidence: Evidence::NotLooked(NotLooked::Blind), at: moment(1.5), ..plain },
    ];
    let entry = |first: Option<Told>, second: Option<Told>, offset_us| Entry {
        at: moment(1.5),
        when: moment(1.0),
        offset_us,
        what: What::Missed { reason: NotLooked::Deadline, started: true },
        vigil: Vigil::Confirming,
        rules: [first, second].map(|told| RuleNote { told, rests: told.is_none() }).into(),
    };
    let mut entries = Vec::new();
    for (index, first) in told.iter().enumerate() {
        for second in &told {
            let offset_us = if index < 3 { 1_000_000 } else { -250_000 };
            entries.push(entry(Some(*first), Some(*second), offset_us));
            entries.push(entry(None, Some(*second), offset_us));
        }
    }
    entries.iter().for_each(|entry| block.push(entry));
    assert_eq!(block.entries().collect::<Vec<_>>(), entries);
}

#[test]
fn six_hours_at_rest_take_a_fraction_of_the_room() {
    let mut analyst = analyst();
    let mut logbook = Logbook::new(LogbookBounds::default(), moment(0.0), &analyst, |_| s(30.0));
    let mut push = |logbook: &mut Logbook, t: f64, purpose| {
        let glance = street(1).looked_by(&[]);
        let observation = if purpose == LookFor::Rest { street(1).at(t) } else { glance.at(t) };
        let (_, noted) = analyst.step_noting(&observation);
        let setting = Setting { purpose, woke: None, vigil: Vigil::Resting, rests: &|_| true };
        logbook.push(&observation, noted, &setting);
    };
    // Eight hours: a glance every four seconds, a floor every thirty.
    for step in 0..7200u32 {
        let purpose = if step % 7 == 0 { LookFor::Rest } else { LookFor::Glance };
        push(&mut logbook, f64::from(step) * 4.0, purpose);
    }
    let hours = moment(7199.0 * 4.0).since(logbook.begins()).as_secs_f64() / 3600.0;
    println!("{} bytes for {hours:.1} h, {} entries", logbook.bytes(), logbook.len());
    assert!((6.0..8.0).contains(&hours), "{hours}");
    assert!(logbook.bytes() < 256 << 10, "{}", logbook.bytes());
}
