use proptest::prelude::*;
use xueliang_base::{
    incident::{Incident, Resolution},
    time::{Mono, Wall},
};

use super::*;

fn incident(rule: &str, level: Level) -> Incident {
    Incident {
        rule: rule.parse().unwrap(),
        kind: Kind::ZoneIntrusion,
        level,
        zone: Some("rail".parse().unwrap()),
        polygon: None,
        started_wall: Wall(1),
        decided_arrival: Mono(1),
        decided_wall: Wall(1),
        camera_time: None,
        last_seen_wall: Wall(1),
        count: 1,
        confidence: 0.5,
        measures: Vec::new(),
        regions: Vec::new(),
        thresholds: Vec::new(),
        looks: Vec::new(),
        model: None,
    }
}

#[derive(Default)]
struct Bench {
    suppressor: Suppressor,
}

impl Bench {
    fn edge(&mut self, edge: &Edge) -> Decision {
        self.suppressor.decide(&"gate".parse().unwrap(), edge, AlertId::mint)
    }
    fn raise(&mut self, rule: &str, level: Level) -> Decision {
        self.edge(&Edge::Raised(incident(rule, level)))
    }
    fn resolve(&mut self, rule: &str) -> Decision {
        self.edge(&Edge::Resolved(incident(rule, Level::MAJOR), Resolution::ObservedAbsence))
    }
}

fn published(decision: Decision) -> (AlertId, u64) {
    match decision {
        Decision::Publish { alert, revision } => (alert, revision.0),
        Decision::Suppress(reason) => panic!("suppressed: {reason:?}"),
    }
}

#[test]
fn what_is_raised_again_while_active_is_a_state_of_the_same_alert() {
    let mut bench = Bench::default();
    let (first, revision) = published(bench.raise("a", Level::MAJOR));
    assert_eq!(revision, 1);
    assert_eq!(published(bench.raise("b", Level::MAJOR)), (first, 2));
    assert_eq!(bench.resolve("a"), Decision::Suppress(Reason::StillSeenByAnother));
    assert_eq!(published(bench.resolve("b")), (first, 3));
    assert_eq!(bench.resolve("b"), Decision::Suppress(Reason::NeverRaised));
}

#[test]
fn a_weaker_rule_does_not_lower_what_a_stronger_one_sees() {
    let mut bench = Bench::default();
    let (first, _) = published(bench.raise("a", Level::SEVERE));
    assert_eq!(bench.raise("b", Level::MAJOR), Decision::Suppress(Reason::Outranked));
    assert_eq!(published(bench.raise("a", Level::SEVERE)), (first, 2));
}

fn adopted(rule: &str) -> Alert {
    let mut alert = crate::testing::alert(Kind::ZoneIntrusion, 3);
    alert.place.zone = Some("rail".parse().unwrap());
    alert.explanation.rule = rule.parse().unwrap();
    alert.revision.0 = 5;
    alert
}

#[test]
fn an_adopted_alert_goes_on_and_a_resolved_one_is_over() {
    let mut bench = Bench::default();
    let alert = adopted("a");
    let mut earlier = alert.clone();
    earlier.revision.0 = 4;
    bench.suppressor.adopt(&alert);
    bench.suppressor.adopt(&earlier);
    let mut over = crate::testing::resolved(&earlier);
    bench.suppressor.adopt(&over);
    assert_eq!(published(bench.raise("a", Level::MAJOR)), (alert.id, 6));
    over.revision.0 = 7;
    bench.suppressor.adopt(&over);
    assert_eq!(bench.suppressor.active().count(), 0);
    assert_eq!(bench.resolve("a"), Decision::Suppress(Reason::NeverRaised));
    // The end of another alert ends no later one of the same place.
    let (next, _) = published(bench.raise("a", Level::MAJOR));
    over.revision.0 = 9;
    bench.suppressor.adopt(&over);
    assert_eq!(published(bench.raise("a", Level::MAJOR)), (next, 2));
}

#[test]
fn a_rule_that_exists_no_more_keeps_no_alert_active() {
    let mut bench = Bench::default();
    let alert = adopted("old-name");
    bench.suppressor.adopt(&alert);
    let exists = |_: &CameraId, rule: &RuleId| rule.as_str() == "new-name";
    let orphans = bench.suppressor.keep_rules(exists);
    assert_eq!(orphans.iter().map(|(_, alert)| *alert).collect::<Vec<_>>(), [alert.id]);
    assert_eq!(published(bench.raise("new-name", Level::MAJOR)), (alert.id, 6));
    assert!(bench.suppressor.keep_rules(exists).is_empty());
    assert_eq!(published(bench.resolve("new-name")), (alert.id, 7));
    assert_eq!(bench.suppressor.active().count(), 0);
}

proptest! {
    /// Whatever the edges: revisions of an alert count from 1 without a gap, one place and kind has one alert at a
    /// time, and what makes no state is counted with its reason.
    #[test]
    fn every_edge_makes_the_next_state_of_one_alert_or_is_counted(
        edges in proptest::collection::vec((0usize..3, 2u8..=4, any::<bool>()), 0..60),
    ) {
        let mut bench = Bench::default();
        let mut revisions = BTreeMap::<AlertId, u64>::new();
        let mut active = None;
        let mut suppressed = 0;
        for (rule, level, raised) in edges {
            let rule = ["a", "b", "c"][rule];
            let decision =
                if raised { bench.raise(rule, Level::try_from(level).unwrap()) } else { bench.resolve(rule) };
            match decision {
                Decision::Publish { alert, revision } => {
                    let known = revisions.entry(alert).or_default();
                    *known += 1;
                    prop_assert_eq!(revision.0, *known);
                    prop_assert!(active.is_none_or(|active| active == alert), "two alerts at one place");
                    active = raised.then_some(alert);
                }
                Decision::Suppress(_) => suppressed += 1,
            }
            prop_assert_eq!(bench.suppressor.active().next().map(|(_, alert, _)| alert), active);
        }
        prop_assert_eq!(bench.suppressor.counts().values().sum::<u64>(), suppressed);
    }
}
