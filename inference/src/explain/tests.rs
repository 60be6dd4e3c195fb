//! One verdict a test, from journals that an analyst filled; and what holds for all.

use proptest::prelude::*;
use xueliang_base::{
    config::{Camera, Condition, Rule},
    detection::Meaning::{Person, Vehicle},
    geometry::Rect,
    id::LookId,
    incident::Edge,
    kind::Kind,
    look::Observation,
};

use super::*;
use crate::{
    analyst::{
        Analyst,
        staging::{Shown, camera, in_zone, models, moment, not_looked, rule, s, street, timing, wall},
    },
    journal::JournalBounds,
};

const INSIDE: Rect = Rect { x0: 0.6, y0: 0.5, x1: 0.8, y1: 0.9 };
const OUTSIDE: Rect = Rect { x0: 0.1, y0: 0.1, x1: 0.3, y1: 0.4 };

/// A camera's life: as the node does it.
struct Life {
    analyst: Analyst,
    journal: Journal,
    edges: Vec<Edge>,
    ends: f64,
}

impl Life {
    fn new(camera: &Camera, bounds: JournalBounds) -> Self {
        let analyst = Analyst::new(camera, None).with_models(&models());
        let mut journal = Journal::new(bounds);
        journal.mark(moment(0.0), &analyst);
        Self { analyst, journal, edges: Vec::new(), ends: 0.0 }
    }
    fn of(rules: Vec<Rule>) -> Self {
        Self::new(&camera(rules), JournalBounds::default())
    }
    fn takes(mut self, looks: impl IntoIterator<Item = Observation>) -> Self {
        for look in looks {
            self.journal.mark_when_due(look.at, &self.analyst);
            self.edges.extend(self.analyst.step(&look));
            self.ends = self.ends.max(look.at.since(moment(0.0)).as_secs_f64());
            self.journal.push(look);
        }
        self
    }
    /// The same picture every `step` seconds.
    fn sees(self, from: f64, to: f64, step: f64, shown: &Shown) -> Self {
        self.takes(each(from, to, step).map(|t| shown.at(t)))
    }
    fn misses(self, from: f64, to: f64, step: f64, reason: NotLooked) -> Self {
        let note = |t| Observation { look: LookId(0), ..not_looked(t, reason) };
        self.takes(each(from, to, step).map(note))
    }
    fn times(&self) -> Times {
        Times { mono: moment(self.ends + 1.0), wall: wall(self.ends + 1.0), zone: "UTC".to_owned() }
    }
    fn between(&self, from: f64, to: f64) -> Result<Explained, Unexplained> {
        let at = |t: f64| if t < 0.0 { wall(0.0).minus(s(-t)) } else { wall(t) };
        explain(&self.journal, &self.times(), at(from), at(to))
    }
    fn told(&self, from: f64, to: f64) -> ExplainedRule {
        self.between(from, to).unwrap().rules.remove(0)
    }
    fn says(&self, from: f64, to: f64) -> (VerdictKind, String) {
        let Verdict { kind, text } = self.told(from, to).verdict;
        (kind, text)
    }
}

fn each(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    (0u32..).map(move |i| from + f64::from(i) * step).take_while(move |t| *t < to)
}
fn at(rect: Rect, score: f32) -> Shown {
    street(1).with("street", Person, score, rect)
}
/// Persons in the zone for three seconds, looks at most two apart.
fn pond() -> Rule {
    Rule {
        blind_max: s(1.0),
        timing: timing(3.0, 2.0, 0.7, 5.0),
        ..rule("pond", Kind::WaterZoneEntry, in_zone(Person), Some("z"))
    }
}

#[test]
fn nothing_seen_says_how_often_and_how_far_apart_and_what_came_nearest() {
    let life = Life::of(vec![pond()])
        .sees(0.0, 20.0, 1.0, &street(1))
        .sees(20.0, 21.0, 1.0, &at(INSIDE, 0.31))
        .sees(22.0, 23.0, 1.0, &at(OUTSIDE, 0.9))
        .sees(23.0, 40.0, 1.0, &street(1));
    let told = life.told(10.0, 30.0);
    assert_eq!(told.verdict.kind, VerdictKind::NotSeen);
    assert_eq!(
        told.verdict.text,
        "no alert: nothing was seen in 19 looks, none further apart than 2.0 s; the best score was 0.31, 0.50 is \
         needed; 1 look saw it outside the zone"
    );
    assert_eq!((told.seen, told.not_seen, told.floor_broken), (0, 19, 1));
    assert_eq!(told.longest_gap.map(|(from, to)| to.since(from)), Some(s(2.0)));
    let explained = life.between(10.0, 30.0).unwrap();
    let [looks] = &explained.looks[..] else { panic!("one kind of looks") };
    assert_eq!((looks.count, looks.kind, looks.purpose), (19, LookKind::Keyframe, LookFor::Floor));
    assert_eq!((looks.interval, looks.age.most), (Spread { p50: s(1.0), most: s(2.0) }, s(0.1)));
}

#[test]
fn what_was_seen_for_too_short_says_for_how_long() {
    let life = Life::of(vec![pond()])
        .sees(0.0, 10.0, 0.2, &street(1))
        .sees(10.0, 11.3, 0.2, &at(INSIDE, 0.9))
        .sees(11.4, 20.0, 0.2, &street(1));
    let (kind, text) = life.says(5.0, 15.0);
    assert_eq!(kind, VerdictKind::NotConfirmed);
    assert!(
        text.starts_with(
            "no alert: a person in z was seen in 7 of 50 looks, for 1.2 s of the 3.0 s that confirm"
        ),
        "{text}"
    );
    let nearest = life.told(5.0, 15.0).nearest.unwrap();
    assert_eq!((nearest.watched, nearest.seen), (s(1.2), s(1.2)));
    assert!(life.edges.is_empty());
}

#[test]
fn what_was_seen_too_seldom_says_the_share() {
    let mut life = Life::of(vec![pond()]).sees(0.0, 10.0, 0.5, &street(1));
    for t in 10..20 {
        life = life.sees(f64::from(t), f64::from(t) + 0.4, 1.0, &at(INSIDE, 0.9)).sees(
            f64::from(t) + 0.5,
            f64::from(t) + 0.9,
            1.0,
            &street(1),
        );
    }
    let (kind, text) = life.says(9.5, 19.5);
    assert_eq!(kind, VerdictKind::NotConfirmed);
    assert!(text.contains("was seen in 10 of 20 looks, in 50 % of the 3.0 s and more"), "{text}");
    assert!(text.contains("70 % confirm"), "{text}");
}

#[test]
fn an_alert_is_told_with_its_beginning_and_its_end() {
    let life = Life::of(vec![pond()])
        .sees(0.0, 10.0, 1.0, &street(1))
        .sees(10.0, 20.0, 1.0, &at(INSIDE, 0.9))
        .sees(20.0, 40.0, 1.0, &street(1));
    let Some(Edge::Raised(incident)) = life.edges.first() else { panic!("it is raised") };
    for (from, to, expected) in [
        (5.0, 15.0, "alert raised at 00:00:12.9: a person in z since 00:00:09.9, holding on at the end"),
        (5.0, 35.0, "alert raised at 00:00:12.9: a person in z since 00:00:09.9, resolved at 00:00:24.9"),
        (15.0, 18.0, "alert of before: a person in z since 00:00:09.9, holding on at the end"),
        (15.0, 35.0, "alert of before: a person in z since 00:00:09.9, resolved at 00:00:24.9"),
    ] {
        let told = life.told(from, to);
        assert_eq!((told.verdict.kind, &told.verdict.text[..]), (VerdictKind::Alert, expected));
        assert_eq!(told.incidents[0].started, incident.started_wall, "the alert is found by it");
    }
    assert_eq!(life.says(30.0, 35.0).0, VerdictKind::NotSeen);
}

#[test]
fn what_is_confirmed_within_the_cooldown_says_so() {
    let mut short = pond();
    short.timing.cooldown = s(60.0);
    let life = Life::of(vec![short])
        .sees(0.0, 10.0, 1.0, &street(1))
        .sees(10.0, 15.0, 1.0, &at(INSIDE, 0.9))
        .sees(15.0, 30.0, 1.0, &street(1))
        .sees(30.0, 40.0, 1.0, &at(INSIDE, 0.9))
        .sees(40.0, 50.0, 1.0, &street(1));
    let (kind, text) = life.says(28.0, 45.0);
    assert_eq!(kind, VerdictKind::Cooldown);
    assert!(text.contains("was confirmed at 00:00:32.9, within the 60.0 s"), "{text}");
}

#[test]
fn a_dark_camera_is_the_reason_and_nothing_is_concluded_from_the_dark() {
    let life = Life::of(vec![pond()])
        .sees(0.0, 20.0, 1.0, &street(1))
        .sees(20.0, 40.0, 1.0, &Shown::black())
        .sees(40.0, 60.0, 1.0, &street(1));
    let (kind, text) = life.says(10.0, 50.0);
    assert_eq!(kind, VerdictKind::CouldNotLook);
    assert!(text.starts_with("no alert: the camera was dark from 00:00:19.9 to 00:00:39.9"), "{text}");
    assert!(text.contains("in 20 looks beside that nothing was seen"), "{text}");
    let (kind, text) = life.says(25.0, 35.0);
    assert_eq!(kind, VerdictKind::CouldNotLook);
    assert!(text.ends_with("nothing was looked at, so nothing can be concluded"), "{text}");
    let explained = life.between(10.0, 50.0).unwrap();
    let dark = |troubles: &Option<PictureTroubles>| troubles.is_some_and(|troubles| troubles.dark);
    assert_eq!(explained.picture.iter().filter(|part| dark(&part.what)).count(), 1);
}

#[test]
fn a_silent_camera_is_the_reason_with_its_stretch() {
    let silent = rule("offline", Kind::CamOffline, Condition::NoSignal, None);
    let life = Life::of(vec![pond(), Rule { timing: timing(60.0, 60.0, 1.0, 5.0), ..silent }])
        .sees(0.0, 20.0, 1.0, &street(1))
        .misses(20.0, 25.0, 1.0, NotLooked::Stalled)
        .misses(25.0, 40.0, 1.0, NotLooked::Offline)
        .sees(40.0, 60.0, 1.0, &street(1));
    let explained = life.between(10.0, 50.0).unwrap();
    let text = &explained.rules[0].verdict.text;
    assert!(text.contains("the camera could not be reached from 00:00:25.0 to 00:00:39.9"), "{text}");
    assert!(text.contains("the camera sent nothing from 00:00:20.0 to 00:00:25.0"), "{text}");
    let signal: Vec<Arriving> = explained.signal.iter().map(|part| part.what).collect();
    let silent = Arriving::Silent;
    assert_eq!(
        signal,
        [Arriving::Units, silent(NotLooked::Stalled), silent(NotLooked::Offline), Arriving::Units]
    );
    let offline = explained.missed.iter().find(|missed| missed.reason == NotLooked::Offline).unwrap();
    assert_eq!((offline.times, offline.failed, offline.lasted), (15, 0, s(14.9)));
    // To the rule about silence the same time is seen.
    assert_eq!(explained.rules[1].verdict.kind, VerdictKind::NotConfirmed);
}

#[test]
fn looks_too_far_apart_watch_nothing() {
    let life = Life::of(vec![pond()]).sees(0.0, 60.0, 5.0, &street(1));
    let told = life.told(10.0, 40.0);
    assert_eq!(told.verdict.kind, VerdictKind::CouldNotLook);
    assert!(told.verdict.text.contains("its looks were further apart than the 2.0 s that count"), "{told:?}");
    let [whole] = &told.said[..] else { panic!("{:?}", told.said) };
    assert_eq!((whole.what, whole.looks), (Said::Unwatched, 6));
    assert_eq!(told.longest_gap.map(|(from, to)| to.since(from)), Some(s(5.0)));
}

#[test]
fn a_word_that_nobody_looked_between_two_looks_in_time_takes_nothing_away() {
    let mut looks: Vec<Observation> = each(0.0, 30.0, 1.5).map(|t| street(1).at(t)).collect();
    looks.extend(each(0.7, 30.0, 1.5).map(|t| not_looked(t, NotLooked::TooOld)));
    looks.sort_by_key(|look| look.at);
    let told = Life::of(vec![pond()]).takes(looks).told(10.0, 20.0);
    assert_eq!(told.verdict.kind, VerdictKind::NotSeen, "{told:?}");
    assert!(told.not_looked[&NotLooked::TooOld] > 5);
}

#[test]
fn a_rule_whose_model_never_ran_cannot_say() {
    let car = rule("car", Kind::ZoneIntrusion, in_zone(Vehicle), Some("z"));
    let shown = street(1).looked_by(&["fire"]);
    let (kind, text) = Life::of(vec![car]).sees(0.0, 20.0, 1.0, &shown).says(5.0, 15.0);
    assert_eq!(kind, VerdictKind::CannotSay);
    assert_eq!(text, "cannot say: in 10 looks no model ran that sees what this rule needs");
}

#[test]
fn what_the_journal_does_not_hold_is_not_explained() {
    let life = Life::of(vec![pond()]).sees(0.0, 20.0, 1.0, &street(1));
    let outside = life.between(-60.0, 0.0).unwrap_err();
    assert!(outside.to_string().contains("begins at 2026-01-01T00:00:00.000+00:00"), "{outside}");
    assert!(matches!(life.between(100.0, 110.0), Err(Unexplained::Outside { .. })));
    assert_eq!(life.between(10.0, 10.0), Err(Unexplained::Empty));
    assert_eq!(life.between(0.0, 30_000.0), Err(Unexplained::TooLong));
    let (kind, text) = life.says(-10.0, 15.0);
    assert_eq!(kind, VerdictKind::CannotSay);
    assert!(text.ends_with("what was before 00:00:00.0 cannot be said: the journal begins there"), "{text}");
}

#[test]
fn a_wall_clock_that_is_set_is_told_and_changes_no_length() {
    let mut looks: Vec<Observation> = each(0.0, 40.0, 1.0).map(|t| street(1).at(t)).collect();
    for look in &mut looks[..20] {
        look.at_wall = look.at_wall.minus(s(100.0));
    }
    let life = Life::of(vec![pond()]).takes(looks);
    let explained = life.between(10.0, 30.0).unwrap();
    assert_eq!(explained.clock_set_us, Some(100_000_000));
    assert_eq!(explained.rules[0].not_seen, 20);
    assert_eq!(life.between(25.0, 30.0).unwrap().clock_set_us, None);
}

#[test]
fn a_journal_that_has_lost_its_beginning_tells_the_rest_as_it_was() {
    let bounds = JournalBounds { max_age: Duration::from_secs(3600), max_bytes: 1 << 20 };
    let mut life = Life::new(&camera(vec![pond()]), bounds);
    for round in 0..20 {
        let t = f64::from(round) * 40.0;
        life = life.sees(t, t + 20.0, 1.0, &at(INSIDE, 0.9)).sees(t + 20.0, t + 40.0, 1.0, &street(1));
    }
    assert!(life.journal.dropped() > 100 && life.journal.bytes() <= bounds.max_bytes);
    let begins = life.journal.marks().next().unwrap().at.since(moment(0.0)).as_secs_f64();
    assert!(begins > 100.0 && begins < 760.0, "{begins}");
    // Every incident that was raised live is found again, begun at the very same moment.
    let raised = life.edges.iter().filter_map(|edge| match edge {
        Edge::Raised(incident) if incident.decided_arrival >= moment(begins) => Some(incident.started_wall),
        _ => None,
    });
    let raised: Vec<_> = raised.collect();
    let told = life.told(begins, 799.0);
    let found: Vec<_> =
        told.incidents.iter().filter(|one| one.raised.is_some()).map(|one| one.started).collect();
    assert!(raised.len() > 2);
    assert_eq!(found, raised);
    assert!(matches!(life.between(begins - 60.0, begins), Err(Unexplained::Outside { .. })));
}

fn whole<T>(parts: &[Stretch<T>], known: (Mono, Mono)) -> bool {
    let ends = parts.first().map(|part| part.from) == Some(known.0)
        && parts.last().map(|part| part.to) == Some(known.1);
    ends && parts.windows(2).all(|pair| pair[0].to == pair[1].from)
        && parts.iter().all(|part| part.from < part.to)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Promise 6: every moment is accounted for once, and nothing is called seen or not seen where nobody looked.
    #[test]
    fn time_is_cut_into_parts_without_holes_whatever_happened(
        steps in prop::collection::vec((1u32..4000, 0u8..8), 1..120),
        from in 0.0f64..1.0,
        length in 0.01f64..1.0,
    ) {
        let mut t = 0.0;
        let mut looks = Vec::new();
        for (step, kind) in steps {
            t += f64::from(step) / 1000.0;
            looks.push(match kind {
                0 => Shown::black().at(t),
                1 => at(INSIDE, 0.9).at(t),
                2 => not_looked(t, NotLooked::Stalled),
                3 => not_looked(t, NotLooked::TooOld),
                4 => street(1).looked_by(&["fire"]).at(t),
                5 => at(INSIDE, 0.2).at(t),
                _ => street(1).at(t),
            });
        }
        let silent = rule("offline", Kind::CamOffline, Condition::NoSignal, None);
        let life = Life::of(vec![pond(), silent]).takes(looks.clone());
        let (from, to) = (from * t, from * t + length * t);
        let explained = life.between(from, to).unwrap();
        prop_assert_eq!(explained.known, (explained.from, explained.to.min(moment(life.ends + 1.0))));
        prop_assert!(whole(&explained.watch, explained.known));
        prop_assert!(whole(&explained.signal, explained.known));
        prop_assert!(whole(&explained.picture, explained.known));
        let inside = |at: Mono| explained.known.0 <= at && at < explained.known.1;
        let looked = looks.iter().filter_map(|look| look.outcome.as_ref().ok().map(|sight| sight.arrival));
        let taken: u64 = explained.looks.iter().map(|looks| looks.count).sum();
        prop_assert_eq!(taken, looked.clone().filter(|at| inside(*at)).count() as u64);
        for told in &explained.rules {
            prop_assert!(whole(&told.said, explained.known), "{:?}", told.said);
            let counted: u64 = told.said.iter().map(|part| part.looks).sum();
            prop_assert_eq!(counted, told.seen + told.not_seen);
            if told.verdict.kind == VerdictKind::NotSeen {
                let (from, to) = told.longest_gap.unwrap();
                prop_assert!(to.since(from) <= told.timing.max_gap, "{:?}", told);
                prop_assert!(told.seen == 0 && told.not_seen > 0 || told.said.len() == 1);
            }
        }
        // What is called watched lies between two looks that are near enough.
        let mut told: Vec<Mono> = looked.collect();
        told.sort();
        for part in explained.rules[0].said.iter().filter(|part| part.what.watched()) {
            let before = told.iter().rev().find(|at| **at <= part.from);
            let after = told.iter().find(|at| **at > part.from).copied().unwrap_or(moment(life.ends + 1.0));
            prop_assert!(before.is_some_and(|before| after.since(*before) <= s(2.0)), "{:?}", part);
        }
    }
}
