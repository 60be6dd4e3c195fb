use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    alert::{EvidenceKind, Sha256, Stage},
    id::AlertId,
    incident::{MeasureKind, Resolution, ThresholdKind},
    kind::{Kind, Level},
    point::PointClass,
};

fn moment() -> impl Strategy<Value = Wall> {
    (1..253_402_300_799_000_000i64).prop_map(Wall)
}
fn share() -> impl Strategy<Value = f32> {
    0.0f32..=1.0
}
fn name() -> impl Strategy<Value = String> {
    "[a-z0-9][a-zA-Z0-9._-]{0,20}"
}
fn text() -> impl Strategy<Value = String> {
    "[a-z东门外0-9 ]{0,20}"
}
fn id<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    name().prop_map(|name| name.parse().unwrap())
}

prop_compose! {
    fn place()(
        camera in id(), camera_name in text(), division_path in vec(id(), 0..6), division_name in text(),
        address in option::of("[a-z]{1,9}"), position in option::of((-180.0..=180.0, -90.0..=90.0)),
        zone in option::of(id()), class in option::of(0usize..5),
    ) -> Place {
        Place {
            camera, camera_name, division_path, division_name, address, zone,
            position: position.map(|(longitude, latitude)| [longitude, latitude]),
            class: class.map(|class| PointClass::ALL[class]),
        }
    }
}
prop_compose! {
    fn explanation()(
        config: u64, rule in id(), value in -1e9..1e9, looks in vec((any::<u64>(), moment(), share()), 0..16),
        outline in vec((share(), share()), 0..9), model in option::of((id(), text(), option::of(any::<[u8; 32]>()))),
    ) -> Explanation {
        Explanation {
            config: ConfigRevision(config),
            rule,
            thresholds: vec![Threshold { kind: ThresholdKind::DwellS, value }],
            looks: looks.into_iter()
                .map(|(look, at_wall, score)| LookRef { look: LookId(look), at_wall, score }).collect(),
            zone_outline: outline.into_iter().map(|(x, y)| Point::new(x, y)).collect(),
            model: model.map(|(name, version, sum)| ModelRef { name, version, sha256: sum.map(Sha256) }),
        }
    }
}
prop_compose! {
    fn evidence()(
        kind in 0usize..3, missing in option::of("[a-z]{1,9}"), sum: [u8; 32], size_bytes: u64, redacted: bool,
        start in moment(), end in moment(),
    ) -> EvidenceRef {
        let stretches = vec![Stretch { start, end }];
        let facts = EvidenceFacts { sha256: Sha256(sum), size_bytes, redacted, start, end, stretches };
        EvidenceRef { kind: EvidenceKind::ALL[kind], content: missing.map_or(Ok(facts), Err) }
    }
}
prop_compose! {
    fn alert()(
        (revision, kind, level) in (1..i64::MAX as u64, 0..Kind::all().count(), 1u8..=4),
        resolved in option::of(moment()), place in place(), (started, last_seen, decided) in (moment(), moment(), moment()),
        count: u64, confidence in share(), value in -1e9..1e9, corners in vec((share(), share(), share(), share()), 0..32),
        explanation in explanation(), evidence in vec(evidence(), 0..4), stages in 0usize..9, spent: u64,
        camera_time in option::of((moment(), any::<u64>())), publisher in text(), drill: bool,
        behind in vec(id(), 0..5), divisions in vec(2u32..99, 0..4), classes in 0usize..=5,
    ) -> Alert {
        let behind = if Kind::all().nth(kind) == Some(Kind::UpstreamDown) { behind } else { Vec::new() };
        let divisions_behind =
            divisions.iter().filter(|_| !behind.is_empty()).map(|code| code.to_string().parse().unwrap()).collect();
        let classes_behind =
            PointClass::ALL[..classes].iter().filter(|_| !behind.is_empty()).copied().collect();
        Alert {
            id: AlertId::mint(),
            revision: AlertRevision(revision),
            kind: Kind::all().nth(kind).unwrap(),
            level: Level::try_from(level).unwrap(),
            state: resolved.map_or(AlertState::Firing, |at| AlertState::Resolved { why: Resolution::ObservedAbsence, at }),
            place, started, last_seen, count, confidence,
            measures: vec![Measure { kind: MeasureKind::Count, value }],
            regions: corners.into_iter().map(|(a, b, c, d)| Rect::new(a, b, c, d)).collect(),
            explanation, evidence,
            stages: Stage::ALL[..stages].iter()
                .map(|stage| StageTime { stage: *stage, duration_us: spent, uncertainty_us: spent / 2 }).collect(),
            camera_time: camera_time.map(|(wall, error_us)| CameraTime { wall, error_us }),
            decided, publisher, drill, behind, divisions_behind, classes_behind,
        }
    }
}

fn hostile(mut wire: v1::Alert, what: u8, number: i32, float: f32) -> v1::Alert {
    match what {
        0 => wire.alert_id = "12".into(),
        1 => wire.revision = 0,
        2 => wire.kind = number.min(0),
        3 => wire.level = number.max(5),
        4 => wire.state = number.min(0),
        5 => wire.place = None,
        6 => wire.confidence = float + 1.5,
        7 => wire.confidence = f32::NAN,
        8 => wire.explanation = None,
        9 => wire.regions = vec![v1::Region::default(); 33],
        10 => wire.regions = vec![v1::Region { x0: 0.5, y0: 0.0, x1: 0.4, y1: 1.0 }],
        11 => wire.decided_unix_us = 0,
        12 => wire.publisher = "a\nb".into(),
        13 => wire.kind = 7_777,
        14 => (wire.kind, wire.kind_class, wire.cameras_behind) = (1101, 0, vec!["gate".into()]),
        15 => (wire.kind, wire.kind_class, wire.cameras_behind) = (8104, 0, vec!["no id".into()]),
        17 => (wire.cameras_behind, wire.point_classes_behind) = (vec![], vec![3]),
        18 => wire.place.as_mut().unwrap().point_class = 5,
        16 => (wire.cameras_behind, wire.divisions_behind) = (vec![], vec!["3302".into()]),
        _ => wire.stages = vec![v1::StageTime { stage: 1, ..v1::StageTime::default() }; 2],
    }
    wire
}

proptest! {
    #[test]
    fn an_alert_comes_back_from_the_wire_as_it_was(alert in alert()) {
        prop_assert_eq!(Alert::try_from(v1::Alert::from(&alert)), Ok(alert));
    }

    #[test]
    fn a_wrong_alert_is_refused_and_never_a_panic(
        alert in alert(), what in 0u8..20, number: i32, float in 0.0f32..9.0,
    ) {
        let error = Alert::try_from(hostile((&alert).into(), what, number, float)).unwrap_err();
        prop_assert!(!error.faults().is_empty());
    }
}

#[test]
fn all_faults_are_listed_in_one_go() {
    let error = Alert::try_from(v1::Alert { kind: 7_777, ..v1::Alert::default() }).unwrap_err();
    let text = error.to_string();
    for path in [
        "alert_id:",
        "revision:",
        "kind: 7777 is newer than this version",
        "level:",
        "state:",
        "place:",
        "explanation:",
    ] {
        assert!(text.contains(path), "{path} in {text}");
    }
}
