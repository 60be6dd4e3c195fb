//! The example of `docs/webhook.md` is what a sink receives.

use xueliang_base::{
    alert::{Alert, AlertState},
    incident::{Measure, MeasureKind, Resolution},
    kind::{Kind, Lane},
    time::{Mono, Wall},
};

use super::*;
use crate::store::FeedRow;

#[test]
fn the_documented_example_is_the_body_of_a_sending() {
    let at = |s: i64| Wall(1_790_000_000_000_000 + s * 1_000_000);
    let mut alert = xueliang_base::testing::alert(Kind::ZoneIntrusion, at(0));
    alert.id = "01994f0c-2a91-7b7d-8e4f-0a1b2c3d4e5f".parse().unwrap();
    alert.place.address = Some("河滨路 12 号".to_owned());
    alert.place.position = Some([121.25, 30.25]);
    alert.place.zone = Some("pit".parse().unwrap());
    alert.measures = vec![Measure { kind: MeasureKind::DwellS, value: 4.5 }];
    let alert = Alert {
        revision: xueliang_base::id::AlertRevision(3),
        state: AlertState::Resolved { why: Resolution::ObservedAbsence, at: at(65) },
        last_seen: at(60),
        decided: at(65),
        count: 12,
        publisher: "node-1".to_owned(),
        ..alert
    };
    let wire = v1::Alert::from(&alert);
    let row = FeedRow {
        seq: 1,
        lane: Lane::Major,
        alert: alert.id,
        kind: wire.kind,
        class: wire.kind_class,
        level: alert.level,
        camera: alert.place.camera.to_string(),
        path: "/33/3301/".to_owned(),
        committed: Mono(0),
        record: v1::Record {
            alert: Some(wire),
            committed_unix_us: at(65).0 + 20_000,
            lane: v1::Lane::Major.into(),
        },
        encoded: std::sync::OnceLock::new(),
    };
    let jpeg = bytes::Bytes::from_static(b"\xff\xd8\xff\xd9");
    let still = v1::EvidenceRef {
        redacted: true,
        sha256: Sha256::of(&jpeg).to_string(),
        start_unix_us: at(0).0,
        ..v1::EvidenceRef::default()
    };
    let body = body::body(&row, "town", "city", Some(&(still, jpeg))).unwrap();
    let sent: Value = serde_json::from_slice(&body).unwrap();

    let page = include_str!("../../../../docs/webhook.md");
    let shown = page.split_once("```json\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let shown: Value = serde_json::from_str(shown).unwrap_or_else(|fault| panic!("{fault}: {shown}"));
    assert_eq!(shown, sent, "what must stand there:\n{}", String::from_utf8_lossy(&body));
}
