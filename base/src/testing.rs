//! An alert for tests of every crate to start from. Behind the feature `testing`, which no product crate asks for.

use crate::{
    alert::{Alert, AlertState, Explanation, Place},
    id::{AlertId, AlertRevision, ConfigRevision},
    kind::Kind,
    time::Wall,
};

/// A firing alert of this kind at the camera `gate`, at its first revision; all its times are `at`.
pub fn alert(kind: Kind, at: Wall) -> Alert {
    let code = |text: &str| text.parse().expect("a division's code is digits");
    Alert {
        id: AlertId::mint(),
        revision: AlertRevision(1),
        kind,
        level: kind.default_level(),
        state: AlertState::Firing,
        place: Place {
            camera: "gate".parse().expect("a camera's id is a word"),
            camera_name: "东门".to_owned(),
            division_path: vec![code("33"), code("3301")],
            division_name: "county".to_owned(),
            address: None,
            position: None,
            zone: None,
            class: None,
        },
        started: at,
        last_seen: at,
        count: 1,
        confidence: 0.5,
        measures: Vec::new(),
        regions: Vec::new(),
        explanation: Explanation {
            config: ConfigRevision(1),
            rule: "rule".parse().expect("a rule's id is a word"),
            thresholds: Vec::new(),
            looks: Vec::new(),
            zone_outline: Vec::new(),
            model: None,
        },
        evidence: Vec::new(),
        stages: Vec::new(),
        camera_time: None,
        decided: at,
        publisher: String::new(),
        drill: false,
        behind: Vec::new(),
        divisions_behind: Vec::new(),
        classes_behind: Vec::new(),
    }
}

/// Its next state, which was seen once more.
pub fn next_state(alert: &Alert) -> Alert {
    Alert { revision: AlertRevision(alert.revision.0 + 1), count: alert.count + 1, ..alert.clone() }
}
