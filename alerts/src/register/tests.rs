//! Promises of the register: what it keeps, what it refuses to keep, and that it can be searched and taken out.

use bytes::Bytes;
use prost::Message as _;
use xueliang_base::{
    alert::{EvidenceKind, Sha256},
    id::AlertId,
    time::Clock as _,
};
use xueliang_proto::v1;

use super::*;
use crate::{
    rights::{Principal, PrincipalKind},
    store::RegisterQuery,
    testing::{Bench, NOW, critical},
};

fn call(alert: AlertId, call_reason: CallReason, reason: &str) -> Call {
    Call { alert, purpose: Purpose::Judge, call_reason, reason: reason.to_owned() }
}

/// A bus with an alert that has a still and a clip of one stretch.
async fn bench() -> (Bench, AlertId) {
    let bench = Bench::new();
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let clip = v1::ClipBundle { files: vec![Bytes::from_static(b"original")] }.encode_to_vec();
    for (kind, data) in [(EvidenceKind::Still, b"picture".to_vec()), (EvidenceKind::Clip, clip)] {
        let facts = v1::EvidenceRef {
            kind: v1::EvidenceKind::from(kind).into(),
            sha256: Sha256::of(&data).to_string(),
            size_bytes: data.len() as u64,
            redacted: kind != EvidenceKind::Clip,
            start_unix_us: NOW.0,
            end_unix_us: NOW.0,
            ..v1::EvidenceRef::default()
        };
        assert_eq!(bench.bus.evidence().put(alert.id, facts, data.into()).await.unwrap(), None);
    }
    (bench, alert.id)
}

fn operator(unit: &str) -> Principal {
    Principal { unit: Some(unit.to_owned()), ..Principal::new("boss", PrincipalKind::Operator) }
}

async fn register(bench: &Bench, filter: v1::RegisterFilter) -> Vec<v1::RegisterEntry> {
    let query = RegisterQuery { limit: 1000, ..RegisterQuery::of_wire(&filter).unwrap() };
    bench.bus.store().list_register(query).await.unwrap()
}

#[tokio::test]
async fn an_entry_says_who_for_which_unit_when_what_and_why() {
    let (bench, alert) = bench().await;
    let boss = operator("Centre");
    let why = call(alert, CallReason::StateOrgan, "document 2026-12 of the fire brigade");
    bench.bus.evidence().clip(&boss, &why, 0).await.unwrap();
    let [entry] = &register(&bench, v1::RegisterFilter::default()).await[..] else { panic!("one entry") };
    let stored = bench.bus.store().evidence(alert, EvidenceKind::Clip).await.unwrap().unwrap();
    let expected = v1::RegisterEntry {
        entry_id: 1,
        at_unix_us: bench.clock.wall().0,
        principal: "boss".into(),
        unit: "Centre".into(),
        alert_id: alert.to_string(),
        camera_id: critical().place.camera.to_string(),
        kind: v1::EvidenceKind::Clip.into(),
        stretch: 0,
        sha256: stored.facts.sha256,
        purpose: Purpose::Judge.into(),
        call_reason: CallReason::StateOrgan.into(),
        reason: "document 2026-12 of the fire brigade".into(),
        granted: true,
        ..v1::RegisterEntry::default()
    };
    assert_eq!(entry, &expected);
}

#[tokio::test]
async fn one_key_is_reason_enough_where_the_alert_says_the_rest_and_no_other_way() {
    let (bench, alert) = bench().await;
    let (gateway, boss) = (bench.bus.evidence(), operator("Centre"));
    for (call_reason, text, given) in [
        (CallReason::CheckAlert, "", true),
        (CallReason::Drill, "  ", true),
        (CallReason::CheckAlert, "no", false),
        // Of these the reason alone says too little.
        (CallReason::StateOrgan, "", false),
        (CallReason::Other, "", false),
        (CallReason::Other, "the owner asks for it", true),
        // As versions from before ask.
        (CallReason::Unspecified, "", false),
        (CallReason::Unspecified, "checking the quay", true),
        // These have ways of their own, on which nothing is an original.
        (CallReason::PartyConcerned, "somebody asks for it", false),
        (CallReason::PublicRelease, "for the newspaper", false),
        (CallReason::Share, "for the city", false),
        (CallReason::TuneRules, "to draw a zone", false),
    ] {
        let answer = gateway.clip(&boss, &call(alert, call_reason, text), 0).await;
        assert_eq!(answer.is_ok(), given, "{call_reason:?} {text:?}: {answer:?}");
        let refused_as_such = given || matches!(answer, Err(Error::Invalid(_)));
        assert!(refused_as_such, "{call_reason:?} {text:?}: {answer:?}");
    }
    let entries = register(&bench, v1::RegisterFilter::default()).await;
    assert_eq!(entries.len(), 12);
    // The alert's number stands where a key was enough; what was not picked is filed by its purpose.
    assert_eq!(entries[11].reason, format!("alert {alert}"));
    assert_eq!(entries[4].call_reason(), CallReason::CheckAlert);
}

#[tokio::test]
async fn numbers_that_stand_for_people_are_refused_and_not_kept_even_of_a_refused_call() {
    let (bench, alert) = bench().await;
    let nobody = Principal { rights: std::collections::BTreeSet::new(), ..operator("Centre") };
    for text in ["asked by 11010119900307451X", "call 138 0013 8000 first", "for 浙B12345, blocked"] {
        let why = call(alert, CallReason::Other, text);
        let refused = bench.bus.evidence().clip(&operator("Centre"), &why, 0).await.unwrap_err();
        assert!(refused.to_string().contains("leave it out"), "{refused}");
        assert!(!refused.to_string().contains(text), "{refused}");
        assert!(matches!(bench.bus.evidence().clip(&nobody, &why, 0).await, Err(Error::Forbidden(_))));
    }
    let entries = register(&bench, v1::RegisterFilter::default()).await;
    assert_eq!(entries.len(), 6);
    assert!(entries.iter().all(|one| one.reason.is_empty() && !one.granted), "{entries:?}");
    let why = words("inspection asked by 13800138000").unwrap_err();
    assert!(why.to_string().contains("leave it out"));
}

#[tokio::test]
async fn the_ledger_is_searched_by_time_account_unit_camera_alert_and_reason() {
    let (bench, alert) = bench().await;
    let (gateway, boss, desk) =
        (bench.bus.evidence(), operator("Centre"), Principal::new("desk", PrincipalKind::Console));
    gateway.clip(&boss, &call(alert, CallReason::Drill, ""), 0).await.unwrap();
    bench.clock.advance(std::time::Duration::from_secs(60));
    let later = bench.clock.wall().0;
    gateway.still(&desk, &call(alert, CallReason::Unspecified, "")).await.unwrap();
    assert!(gateway.clip(&desk, &call(alert, CallReason::Drill, ""), 0).await.is_err());
    let camera = critical().place.camera.to_string();
    let all = v1::RegisterFilter::default;
    let text = |text: &str| text.to_owned();
    for (filter, found) in [
        (all(), vec![3, 2, 1]),
        (v1::RegisterFilter { from_unix_us: later, ..all() }, vec![3, 2]),
        (v1::RegisterFilter { to_unix_us: later, ..all() }, vec![1]),
        (v1::RegisterFilter { account: text("desk"), ..all() }, vec![3, 2]),
        (v1::RegisterFilter { unit: text("Centre"), ..all() }, vec![1]),
        (v1::RegisterFilter { unit: text("Cent"), ..all() }, vec![]),
        (v1::RegisterFilter { camera_id: camera, ..all() }, vec![3, 2, 1]),
        (v1::RegisterFilter { camera_id: text("elsewhere"), ..all() }, vec![]),
        (v1::RegisterFilter { alert_id: alert.to_string(), ..all() }, vec![3, 2, 1]),
        (v1::RegisterFilter { alert_id: AlertId::mint().to_string(), ..all() }, vec![]),
        (v1::RegisterFilter { call_reason: CallReason::Drill.into(), ..all() }, vec![3, 1]),
        (v1::RegisterFilter { kind: v1::EvidenceKind::Still.into(), ..all() }, vec![2]),
        (v1::RegisterFilter { refused_only: true, ..all() }, vec![3]),
        (v1::RegisterFilter { release_id: 1, ..all() }, vec![]),
        (v1::RegisterFilter { account: text("desk"), refused_only: true, ..all() }, vec![3]),
    ] {
        let entries = register(&bench, filter.clone()).await;
        assert_eq!(entries.iter().map(|one| one.entry_id).collect::<Vec<_>>(), found, "{filter:?}");
    }
    for wrong in [
        v1::RegisterFilter { alert_id: text("x"), ..all() },
        v1::RegisterFilter { call_reason: 99, ..all() },
        v1::RegisterFilter { kind: 99, ..all() },
        v1::RegisterFilter { unit: "u".repeat(201), ..all() },
    ] {
        assert!(matches!(RegisterQuery::of_wire(&wrong), Err(Error::Invalid(_))), "{wrong:?}");
    }
}

/// The whole file, and its last piece.
async fn exported(
    bench: &Bench,
    who: &Principal,
    request: v1::ExportRegisterRequest,
) -> Result<(String, v1::ExportRegisterResponse)> {
    let store = std::sync::Arc::clone(bench.bus.store());
    let slot = bench.bus.export_slot()?;
    let mut export = Export::begin(store, who, request, "Asia/Shanghai", slot).await?;
    let (mut file, mut last) = (Vec::new(), v1::ExportRegisterResponse::default());
    while let Some(piece) = export.next().await? {
        file.extend_from_slice(&piece.csv);
        last = piece;
    }
    assert_eq!(last.sha256, Sha256::of(&file).to_string());
    Ok((String::from_utf8(file).unwrap(), last))
}

#[tokio::test]
async fn the_ledger_leaves_as_a_file_that_is_audited_before_its_first_byte_and_with_its_checksum() {
    let (bench, alert) = bench().await;
    let boss = operator("Centre");
    let strange = call(alert, CallReason::Other, "=HYPERLINK(\"x\"), he said \"look\"");
    bench.bus.evidence().clip(&boss, &strange, 0).await.unwrap();
    // More than one page.
    for _ in 0..1001 {
        let entry = v1::RegisterEntry { principal: "desk".into(), ..v1::RegisterEntry::default() };
        bench.bus.store().register(entry).await.unwrap();
    }
    let request = v1::ExportRegisterRequest { reason: "inspection of November".into(), ..Default::default() };
    let (file, last) = exported(&bench, &boss, request.clone()).await.unwrap();
    assert_eq!(last.entries, 1002);
    let mut lines = file.lines();
    assert_eq!(lines.next().unwrap().trim_start_matches('\u{feff}').split(',').next(), Some("编号"));
    let first = lines.next().unwrap();
    assert!(first.starts_with("1,2026-09-"), "{first}");
    assert!(first.contains("+08:00,boss,Centre,其他,\"'=HYPERLINK(\"\"x\"\"), he said"), "{first}");
    assert!(first.contains(&alert.to_string()) && first.contains("已提供"), "{first}");
    assert_eq!(file.lines().count(), 1003);
    let english = v1::ExportRegisterRequest {
        language: "en".into(),
        filter: Some(v1::RegisterFilter { unit: "Centre".into(), ..Default::default() }),
        ..request.clone()
    };
    let (file, last) = exported(&bench, &boss, english.clone()).await.unwrap();
    assert!(file.contains("in words") && file.contains(",given,") && last.entries == 1, "{file}");
    let audited: Vec<_> = crate::store::tests::audited(bench.folder.path())
        .into_iter()
        .filter(|one| one.1.starts_with("register_export"))
        .map(|one| (one.1, one.2))
        .collect();
    assert_eq!(audited[0], ("register_export".into(), "all: inspection of November".into()));
    assert_eq!(audited[2].1, "unit Centre: inspection of November");
    let end = format!("1 entries, sha256 {}: inspection of November", last.sha256);
    assert_eq!(audited[3], ("register_exported".into(), end));
    // Nothing leaves without a reason or a right, nor where the audit cannot be written.
    let none = v1::ExportRegisterRequest { reason: String::new(), ..request.clone() };
    assert!(matches!(exported(&bench, &boss, none).await, Err(Error::Invalid(_))));
    let other = v1::ExportRegisterRequest { language: "fr".into(), ..request.clone() };
    assert!(matches!(exported(&bench, &boss, other).await, Err(Error::Invalid(_))));
    let desk = Principal::new("desk", PrincipalKind::Console);
    assert!(matches!(exported(&bench, &desk, request.clone()).await, Err(Error::Forbidden(_))));
    crate::store::tests::refuse_entries(bench.folder.path(), "audit");
    assert!(exported(&bench, &boss, request).await.is_err());
}

#[tokio::test]
async fn few_registers_leave_at_once() {
    let (bench, _) = bench().await;
    let slots = (bench.bus.export_slot().unwrap(), bench.bus.export_slot().unwrap());
    assert!(matches!(bench.bus.export_slot(), Err(Error::Exhausted(_))));
    drop(slots);
    assert!(bench.bus.export_slot().is_ok());
}
