//! The alerts that are published.

use xueliang_base::{id::AlertId, kind::Lane};
use xueliang_proto::v1::{Alert, AlertState, Explanation, Kind, KindClass, Level, LookRef, Place, Region};

/// Kinds of the lanes. What the bus itself has to say is of other kinds.
pub(in crate::bench) const KINDS: [Kind; 3] = [Kind::FireFlame, Kind::FireLaneBlocked, Kind::ExposedGarbage];

/// When all of it happened.
pub(in crate::bench) const NOW_UNIX_US: i64 = 1_790_000_000_000_000;

/// An alert of about 1 KB that carries its number as its count.
pub(in crate::bench) fn alert(lane: Lane, index: usize) -> Alert {
    let now = NOW_UNIX_US;
    let (class, level) = match lane {
        Lane::Critical => (KindClass::Event, Level::Level2),
        Lane::Major => (KindClass::State, Level::Level3),
        Lane::Minor => (KindClass::State, Level::Level4),
    };
    let look = |look_id| LookRef { look_id, arrived_unix_us: now, score: 0.5 };
    let region = Region { x0: 0.1, y0: 0.1, x1: 0.2, y1: 0.2 };
    Alert {
        alert_id: AlertId::mint().to_string(),
        revision: 1,
        kind: KINDS[lane.index()].into(),
        kind_class: class.into(),
        level: level.into(),
        state: AlertState::Firing.into(),
        place: Some(Place {
            camera_id: "gate".to_owned(),
            camera_name: "Gate".to_owned(),
            division_path: vec!["330282".to_owned()],
            division_name: "Bench".to_owned(),
            address: "x".repeat(200),
            ..Place::default()
        }),
        started_unix_us: now,
        last_seen_unix_us: now,
        decided_unix_us: now,
        count: index as u64 + 1,
        confidence: 0.5,
        regions: vec![region; 16],
        explanation: Some(Explanation {
            config_revision: 1,
            rule: "rule".to_owned(),
            looks: (1..=16).map(look).collect(),
            ..Explanation::default()
        }),
        ..Alert::default()
    }
}
