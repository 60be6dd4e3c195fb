//! One verdict a test, from logbooks that an analyst filled; and what holds for all.

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
    logbook::{LogbookBounds, Setting},
};

const INSIDE: Rect = Rect { x0: 0.6, y0: 0.5, x1: 0.8, y1: 0.9 };
const OUTSIDE: Rect = Rect { x0: 0.1, y0: 0.1, x1: 0.3, y1: 0.4 };

/// A camera's life: as the node does it.
struct Life {
    analyst: Analyst,
    logbook: Logbook,
    edges: Vec<Edge>,
    ends: f64,
    /// What looks are for from here on, and what they wake.
    purpose: LookFor,
    woke: Option<WakeReason>,
}

impl Life {
    fn new(camera: &Camera, bounds: LogbookBounds) -> Self {
        let analyst = Analyst::new(camera, None).with_models(&models());
        let logbook = Logbook::new(bounds, moment(0.0), &analyst, |_| s(30.0));
        Self { analyst, logbook, edges: Vec::new(), ends: 0.0, purpose: LookFor::Floor, woke: None }
    }
    fn of(rules: Vec<Rule>) -> Self {
        Self::new(&camera(rules), LogbookBounds::default())
    }
    fn takes(mut self, looks: impl IntoIterator<Item = Observation>) -> Self {
        for look in looks {
            let (edges, noted) = self.analyst.step_noting(&look);
            self.edges.extend(edges);
            self.ends = self.ends.max(look.at.since(moment(0.0)).as_secs_f64());
            let rests = matches!(self.purpose, LookFor::Rest | LookFor::Glance) && self.woke.is_none();
            let vigil = if rests { Vigil::Resting } else { Vigil::Watching };
            let (purpose, woke) = (self.purpose, self.woke);
            self.logbook.push(&look, noted, &Setting { purpose, woke, vigil, rests: &|_| rests });
        }
        self
    }
    fn looks_for(mut self, purpose: LookFor) -> Self {
        self.purpose = purpose;
        self
    }
    fn wakes(mut self, woke: Option<WakeReason>) -> Self {
        self.woke = woke;
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
        explain(&self.logbook, &self.times(), at(from), at(to))
    }
    fn told(&self, from: f64, to: f64) -> ExplainedRule {
        let told = self.between(from, to).unwrap().rules.remove(0);
        // Whatever is told: in both languages with the same figures and times.
        let Verdict { text, text_zh, .. } = &told.verdict;
        assert_eq!(figures(text_zh), figures(text), "{text_zh}");
        assert!(!text_zh.is_ascii(), "{text_zh}");
        told
    }
    fn says(&self, from: f64, to: f64) -> (VerdictKind, String) {
        let Verdict { kind, text, .. } = self.told(from, to).verdict;
        (kind, text)
    }
}

/// The numbers of a sentence, in any order.
fn figures(text: &str) -> Vec<&str> {
    let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':');
    let parts = text.split(|c| !number(c)).map(|part| part.trim_matches(['.', ':']));
    let mut figures: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    figures.sort_unstable();
    figures
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
fn what_the_logbook_does_not_hold_is_not_explained() {
    let life = Life::of(vec![pond()]).sees(0.0, 20.0, 1.0, &street(1));
    let outside = life.between(-60.0, 0.0).unwrap_err();
    assert!(outside.to_string().contains("begins at 2026-01-01T00:00:00.000+00:00"), "{outside}");
    assert!(matches!(life.between(100.0, 110.0), Err(Unexplained::Outside { .. })));
    assert_eq!(life.between(10.0, 10.0), Err(Unexplained::Empty));
    assert_eq!(life.between(0.0, 30_000.0), Err(Unexplained::TooLong));
    let (kind, text) = life.says(-10.0, 15.0);
    assert_eq!(kind, VerdictKind::CannotSay);
    assert!(text.ends_with("what was before 00:00:00.0 cannot be said: the logbook begins there"), "{text}");
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

/// Four glances of no model, then a look at rest, over and over.
fn rests(mut life: Life, from: f64, to: f64, shown: &Shown) -> Life {
    for t in each(from, to, 20.0) {
        let glance = shown.clone().looked_by(&[]);
        life = life.looks_for(LookFor::Rest).sees(t, t + 1.0, 1.0, shown);
        life = life.looks_for(LookFor::Glance).sees(t + 4.0, t + 20.0, 4.0, &glance);
    }
    life
}

#[test]
fn a_camera_that_rested_says_so_with_its_glances_and_concludes_nothing_between_looks() {
    let life = rests(Life::of(vec![pond()]), 0.0, 120.0, &street(1));
    let explained = life.between(20.0, 100.0).unwrap();
    let told = &explained.rules[0];
    assert_eq!(told.verdict.kind, VerdictKind::Rested);
    assert_eq!(
        told.verdict.text,
        "no alert: the camera rested from 00:00:20.0 to 00:01:40.0 (16 glances, the last at 00:01:35.9; nothing called \
         for looks); in 4 looks beside that nothing was seen"
    );
    let [whole] = &told.said[..] else { panic!("{:?}", told.said) };
    assert_eq!((whole.what, whole.looks), (Said::Rested, 4));
    // At rest it may be blind for longer.
    assert_eq!((told.floor_broken, told.at_rest), (0, s(30.0)));
    let purposes: Vec<_> = explained.looks.iter().map(|looks| (looks.purpose, looks.count)).collect();
    assert_eq!(purposes, [(LookFor::Rest, 4), (LookFor::Glance, 16)]);
    assert_eq!(explained.vigil.iter().map(|part| part.what).collect::<Vec<_>>(), [Some(Vigil::Resting)]);
}

#[test]
fn what_woke_a_camera_is_told_and_the_looks_that_it_brought() {
    let quiet = rests(Life::of(vec![pond()]), 0.0, 40.0, &street(1));
    let moves = at(OUTSIDE, 0.9);
    let woken = quiet.wakes(Some(WakeReason::Moving)).sees(40.0, 41.0, 1.0, &moves.clone().looked_by(&[]));
    let watched = woken.wakes(None).looks_for(LookFor::Watch).sees(41.0, 50.0, 1.0, &moves);
    let life = rests(watched, 50.0, 90.0, &street(1));
    let explained = life.between(30.0, 70.0).unwrap();
    let [woken] = &explained.wakes[..] else { panic!("{:?}", explained.wakes) };
    assert_eq!((woken.reason, woken.times, woken.last), (WakeReason::Moving, 1, moment(39.9)));
    let count = |purpose| explained.looks.iter().find(|looks| looks.purpose == purpose).map(|one| one.count);
    assert_eq!((count(LookFor::Watch), count(LookFor::Rest)), (Some(9), Some(2)));
    let vigil: Vec<_> = explained.vigil.iter().map(|part| part.what).collect();
    assert_eq!(vigil, [Vigil::Resting, Vigil::Watching, Vigil::Resting].map(Some));
    let text = &explained.rules[0].verdict.text;
    assert!(text.contains("the camera rested from 00:00:30.0 to 00:00:40.9 and from"), "{text}");
    assert!(text.contains("1 picture had it watched"), "{text}");
    assert!(text.contains("11 looks beside that nothing was seen"), "{text}");
}

#[test]
fn a_camera_that_could_not_look_at_rest_is_not_said_to_have_rested_alone() {
    let life =
        rests(Life::of(vec![pond()]), 0.0, 40.0, &street(1)).misses(40.0, 60.0, 1.0, NotLooked::Offline);
    let (kind, text) = rests(life, 60.0, 100.0, &street(1)).says(20.0, 90.0);
    assert_eq!(kind, VerdictKind::CouldNotLook);
    assert!(text.contains("the camera could not be reached from 00:00:40.0 to 00:00:59.9"), "{text}");
    assert!(text.contains("the camera rested from 00:00:20.0 to 00:00:40.0"), "{text}");
}

/// A life in which all kinds of things happen, kept within bounds.
fn eventful(bounds: LogbookBounds) -> Life {
    let silent = rule("offline", Kind::CamOffline, Condition::NoSignal, None);
    let mut life = Life::new(&camera(vec![pond(), silent]), bounds);
    for round in 0..20 {
        let t = f64::from(round) * 100.0;
        life = life
            .looks_for(LookFor::Floor)
            .sees(t, t + 20.0, 1.0, &at(INSIDE, 0.9))
            .sees(t + 20.0, t + 30.0, 0.5, &at(INSIDE, 0.31))
            .misses(t + 30.0, t + 45.0, 1.0, NotLooked::Stalled)
            .misses(t + 45.0, t + 47.0, 1.0, NotLooked::Busy)
            .sees(t + 47.0, t + 60.0, 1.0, &Shown::black());
        life = rests(life, t + 60.0, t + 100.0, &at(OUTSIDE, 0.9));
    }
    life
}

#[test]
fn a_logbook_that_has_lost_its_beginning_tells_the_rest_as_if_it_had_not() {
    let whole = eventful(LogbookBounds::default());
    let cut = eventful(LogbookBounds { max_bytes: 40 << 10, ..LogbookBounds::default() });
    let begins = cut.logbook.begins().since(moment(0.0)).as_secs_f64();
    assert!(whole.logbook.begins() == moment(0.0) && (500.0..1900.0).contains(&begins), "{begins}");
    assert!(matches!(cut.between(begins - 60.0, begins), Err(Unexplained::Outside { .. })));
    let mut t = begins + 0.001;
    while t < 1980.0 {
        for length in [0.7, 13.0, 60.0, 400.0] {
            let (known, told) = (whole.between(t, t + length).unwrap(), cut.between(t, t + length).unwrap());
            // What an incident of before had come to is told as it was at the beginning of what is left.
            assert_eq!(told, known, "{t} {length}");
        }
        t += 7.3;
    }
    // Every incident that was raised live is found again, begun at the very same moment.
    let raised: Vec<_> = cut
        .edges
        .iter()
        .filter_map(|edge| match edge {
            Edge::Raised(incident) if incident.decided_arrival >= moment(begins) => Some(incident),
            _ => None,
        })
        .filter(|incident| incident.rule.as_str() == "pond")
        .map(|incident| incident.started_wall)
        .collect();
    let told = cut.told(begins, 1999.0);
    let found: Vec<_> =
        told.incidents.iter().filter(|one| one.raised.is_some()).map(|one| one.started).collect();
    assert!(raised.len() > 2);
    assert_eq!(found, raised);
}

#[test]
fn a_logbook_tells_of_what_changed_beside_its_entries() {
    let life = Life::of(vec![pond()]).sees(0.0, 20.0, 1.0, &at(INSIDE, 0.9));
    let Some(Edge::Raised(incident)) = life.edges.first() else { panic!("it is raised") };
    let blind = street(1).looked_by(&[]);
    let mut next = Life::of(vec![pond()]).sees(0.0, 10.0, 1.0, &blind);
    assert!(next.analyst.adopt(incident.clone()).is_none());
    next.logbook.stand(moment(10.0), &next.analyst);
    let next = next.sees(10.0, 15.0, 1.0, &blind);
    assert_eq!(next.says(1.0, 9.0).0, VerdictKind::CannotSay, "it was not there yet");
    let (kind, text) = next.says(5.0, 12.0);
    assert_eq!(kind, VerdictKind::Alert);
    assert!(text.starts_with("alert of before: a person in z since 23:59:59.9"), "{text}");
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
        let mut life = Life::of(vec![pond(), silent]);
        for (index, look) in looks.iter().enumerate() {
            let purpose = [LookFor::Floor, LookFor::Rest, LookFor::Glance, LookFor::Watch][(index / 5) % 4];
            life = life.looks_for(purpose).takes([look.clone()]);
        }
        let (from, to) = (from * t, from * t + length * t);
        let explained = life.between(from, to).unwrap();
        prop_assert_eq!(explained.known, (explained.from, explained.to.min(moment(life.ends + 1.0))));
        prop_assert!(whole(&explained.watch, explained.known));
        prop_assert!(whole(&explained.signal, explained.known));
        prop_assert!(whole(&explained.picture, explained.known));
        prop_assert!(whole(&explained.vigil, explained.known));
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
