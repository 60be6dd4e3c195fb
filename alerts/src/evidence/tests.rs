//! Promises of the gateway.

mod retention;

use std::time::Duration;

use xueliang_proto::v1::Purpose;

use super::*;
use crate::{
    bus::BusOptions,
    rights::PrincipalKind,
    store::RegisterQuery,
    testing::{Bench, NOW, critical, options},
};

fn facts(kind: EvidenceKind, data: &[u8]) -> v1::EvidenceRef {
    v1::EvidenceRef {
        kind: v1::EvidenceKind::from(kind).into(),
        sha256: Sha256::of(data).to_string(),
        size_bytes: data.len() as u64,
        redacted: kind != EvidenceKind::Clip,
        start_unix_us: NOW.0,
        end_unix_us: NOW.0,
        ..v1::EvidenceRef::default()
    }
}

async fn bench(max_bytes: u64) -> (Bench, AlertId) {
    bench_with(EvidenceOptions { max_bytes, keep_days: 0, ..EvidenceOptions::default() }).await
}

async fn bench_with(evidence: EvidenceOptions) -> (Bench, AlertId) {
    let bench = Bench::with(BusOptions { evidence, ..options() });
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    (bench, alert.id)
}

async fn put(bench: &Bench, alert: AlertId, kind: EvidenceKind, data: &[u8]) -> Result<Option<String>> {
    bench.bus.evidence().put(alert, facts(kind, data), Bytes::copy_from_slice(data)).await
}

fn call(alert: AlertId, reason: &str) -> Call {
    let call_reason = v1::CallReason::Unspecified;
    Call { alert, purpose: Purpose::Judge, call_reason, reason: reason.to_owned() }
}

async fn register(bench: &Bench) -> Vec<v1::RegisterEntry> {
    let query = RegisterQuery { limit: 100, ..RegisterQuery::default() };
    bench.bus.store().list_register(query).await.unwrap()
}

fn file_of(bench: &Bench, data: &[u8]) -> std::path::PathBuf {
    bench.bus.evidence().files.path(Sha256::of(data))
}

#[tokio::test]
async fn every_call_stands_in_the_register_granted_or_not() {
    let (bench, alert) = bench(1 << 20).await;
    assert_eq!(put(&bench, alert, EvidenceKind::Still, b"picture").await, Ok(None));
    let gateway = bench.bus.evidence();
    let console = Principal::new("desk", PrincipalKind::Console);
    let operator = Principal::new("boss", PrincipalKind::Operator);
    assert_eq!(gateway.still(&console, &call(alert, "")).await.unwrap().1, Bytes::from_static(b"picture"));
    let refused = gateway.clip(&console, &call(alert, "a good reason"), 0).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    let refused = gateway.clip(&operator, &call(alert, "no"), 0).await;
    assert!(matches!(refused, Err(Error::Invalid(_))));
    let unset = Call { purpose: Purpose::Unspecified, ..call(alert, "") };
    assert!(gateway.still(&console, &unset).await.is_err());
    let entries = register(&bench).await;
    let told: Vec<_> = entries.iter().rev().map(|one| (one.principal.as_str(), one.granted)).collect();
    assert_eq!(told, [("desk", true), ("desk", false), ("boss", false), ("desk", false)]);
}

#[tokio::test]
async fn a_clip_is_given_stretch_by_stretch() {
    let (bench, alert) = bench(1 << 20).await;
    let bundle = v1::ClipBundle { files: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")] };
    put(&bench, alert, EvidenceKind::Clip, &bundle.encode_to_vec()).await.unwrap();
    let operator = Principal::new("boss", PrincipalKind::Operator);
    let gateway = bench.bus.evidence();
    let clip = gateway.clip(&operator, &call(alert, "case 12"), 1).await.unwrap();
    assert_eq!(clip.mp4, Bytes::from_static(b"two"));
    assert!(matches!(gateway.clip(&operator, &call(alert, "case 12"), 2).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn damaged_bytes_never_leave() {
    let (bench, alert) = bench(1 << 20).await;
    put(&bench, alert, EvidenceKind::Still, b"picture").await.unwrap();
    std::fs::write(file_of(&bench, b"picture"), b"forgery").unwrap();
    let console = Principal::new("desk", PrincipalKind::Console);
    let refused = bench.bus.evidence().still(&console, &call(alert, "")).await;
    assert!(matches!(refused, Err(Error::DataLoss(_))), "{refused:?}");
    assert!(!register(&bench).await[0].granted);
}

#[tokio::test]
async fn what_is_wrong_is_not_stored() {
    let (bench, alert) = bench(1 << 20).await;
    let gateway = bench.bus.evidence();
    let other = Bytes::from_static(b"another");
    let wrong_sum = gateway.put(alert, facts(EvidenceKind::Still, b"picture"), other).await;
    assert!(matches!(wrong_sum, Err(Error::Invalid(_))));
    let mut bare = facts(EvidenceKind::Still, b"picture");
    bare.redacted = false;
    let bare = gateway.put(alert, bare, Bytes::from_static(b"picture")).await;
    assert!(matches!(bare, Err(Error::Invalid(text)) if text.contains("redacted")));
    let nobodys = put(&bench, AlertId::mint(), EvidenceKind::Still, b"picture").await;
    assert!(matches!(nobodys, Err(Error::NotFound(_))));
    // The same twice is the same; another in its place is refused, and the first stays.
    assert_eq!(put(&bench, alert, EvidenceKind::Still, b"picture").await, Ok(None));
    assert_eq!(put(&bench, alert, EvidenceKind::Still, b"picture").await, Ok(None));
    assert!(put(&bench, alert, EvidenceKind::Still, b"newer").await.unwrap().is_some());
}

#[tokio::test]
async fn when_space_runs_out_new_clips_give_way_first_and_old_stays() {
    let (bench, first) = bench(1000).await;
    assert_eq!(put(&bench, first, EvidenceKind::Clip, &[1; 880]).await, Ok(None));
    let second = critical();
    bench.commit(std::slice::from_ref(&second)).await;
    let refusal = put(&bench, second.id, EvidenceKind::Clip, &[2; 40]).await.unwrap().unwrap();
    assert!(refusal.contains("90 %"), "{refusal}");
    assert_eq!(put(&bench, second.id, EvidenceKind::Preview, &[3; 40]).await, Ok(None));
    assert_eq!(put(&bench, second.id, EvidenceKind::Still, &[4; 60]).await, Ok(None));
    let gateway = bench.bus.evidence();
    assert_eq!(gateway.refusals().of(EvidenceKind::Clip, NoRoom::Budget), 1);
    let usage = gateway.usage().await.unwrap();
    assert_eq!((usage.used_bytes, usage.pieces), (980, 3));
    assert!(usage.days_left.unwrap() < 1.0);
    let operator = Principal::new("boss", PrincipalKind::Operator);
    let missing = gateway.clip(&operator, &call(second.id, "case 12"), 0).await;
    assert!(matches!(missing, Err(Error::NotFound(text)) if text.contains("90 %")));
}

#[tokio::test]
async fn nothing_goes_before_30_days_and_then_with_a_certificate() {
    let (bench, alert) = bench(1 << 20).await;
    let twin = critical();
    bench.commit(std::slice::from_ref(&twin)).await;
    put(&bench, alert, EvidenceKind::Still, b"picture").await.unwrap();
    let gateway = bench.bus.evidence();
    let day = Duration::from_secs(24 * 3600);
    bench.clock.advance(day * 29);
    assert_eq!(gateway.sweep().await, Ok(0));
    // The same bytes, younger: their file stays.
    put(&bench, twin.id, EvidenceKind::Still, b"picture").await.unwrap();
    bench.clock.advance(day * 2);
    assert_eq!(gateway.sweep().await, Ok(1));
    assert!(file_of(&bench, b"picture").exists());
    bench.clock.advance(day * 30);
    assert_eq!(gateway.sweep().await, Ok(1));
    assert!(!file_of(&bench, b"picture").exists());
    assert_eq!(gateway.usage().await.unwrap().used_bytes, 0);
    let console = Principal::new("desk", PrincipalKind::Console);
    let gone = gateway.still(&console, &call(alert, "")).await;
    assert!(matches!(gone, Err(Error::NotFound(text)) if text.contains("after its time")));
}

#[tokio::test]
async fn housekeeping_that_takes_for_ever_keeps_no_cursor_from_disk_and_delays_no_stop() {
    use xueliang_base::{cursor::Cursor, shutdown};

    let (bench, alert) = bench(1 << 20).await;
    put(&bench, alert, EvidenceKind::Still, b"picture").await.unwrap();
    bench.clock.advance(DAY * 31);
    // The sweep has a piece to delete, and waits for its turn for as long as this is held.
    let _held = bench.bus.evidence().entry.lock().await;
    let named = crate::bus::Subscribe { name: "desk".into(), ..crate::bus::Subscribe::default() };
    let mut console = bench.console("c", named).await;
    console.item().await;
    let (_, cursor) = console.snapshot().await;
    let (stop, stopping) = shutdown::pair();
    let bus = bench.bus.clone();
    let running = tokio::spawn(async move { bus.run(stopping).await });
    tokio::task::yield_now().await;
    console.acknowledge(&cursor).unwrap();
    let saved = async {
        while bench.bus.store().acked("c".into(), "desk".into()).await.unwrap()
            != Some(Cursor::decode(&cursor).unwrap())
        {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(5);
    tokio::time::timeout(patience, saved).await.expect("the cursor is not saved");
    stop.ask();
    tokio::time::timeout(patience, running).await.expect("it does not stop").unwrap();
}

#[tokio::test]
async fn one_damaged_row_keeps_no_other_evidence_beyond_its_time() {
    let (bench, bad) = bench(1 << 20).await;
    put(&bench, bad, EvidenceKind::Still, b"bad").await.unwrap();
    let good = critical();
    bench.commit(std::slice::from_ref(&good)).await;
    bench.clock.advance(DAY);
    put(&bench, good.id, EvidenceKind::Still, b"good").await.unwrap();
    crate::store::tests::damage_evidence(bench.folder.path(), bad);
    bench.clock.advance(DAY * 31);
    let gateway = bench.bus.evidence();
    assert_eq!(gateway.sweep().await, Ok(1));
    assert_eq!(gateway.sweep_failures(), 1);
    assert!(!file_of(&bench, b"good").exists());
    // The sweep ends, and tries again the next time.
    assert_eq!((gateway.sweep().await, gateway.sweep_failures()), (Ok(0), 2));
}

#[tokio::test]
async fn a_wall_clock_set_ahead_deletes_nothing() {
    let (bench, alert) = bench(1 << 20).await;
    put(&bench, alert, EvidenceKind::Still, b"picture").await.unwrap();
    bench.clock.step_wall(NOW.plus(DAY * 400));
    let gateway = bench.bus.evidence();
    assert_eq!(gateway.sweep().await, Ok(0));
    bench.clock.step_wall(NOW);
    bench.clock.advance(DAY * 31);
    assert_eq!(gateway.sweep().await, Ok(1));
}

#[tokio::test]
async fn few_clips_are_given_at_once_and_refusals_stand_in_the_register() {
    let (bench, alert) = bench(1 << 20).await;
    let bundle = v1::ClipBundle { files: vec![Bytes::from_static(b"one")] };
    put(&bench, alert, EvidenceKind::Clip, &bundle.encode_to_vec()).await.unwrap();
    let operator = Principal::new("boss", PrincipalKind::Operator);
    let gateway = bench.bus.evidence();
    let mut held = Vec::new();
    for _ in 0..CLIPS {
        held.push(gateway.clip(&operator, &call(alert, "case 12"), 0).await.unwrap());
    }
    let refused = gateway.clip(&operator, &call(alert, "case 12"), 0).await;
    assert!(matches!(refused, Err(Error::Exhausted(_))));
    assert!(!register(&bench).await[0].granted);
    held.pop();
    gateway.clip(&operator, &call(alert, "case 12"), 0).await.unwrap();
}

#[tokio::test]
async fn what_evidence_takes_is_counted_as_it_comes_and_goes() {
    let (bench, alert) = bench(1 << 20).await;
    let gateway = bench.bus.evidence();
    put(&bench, alert, EvidenceKind::Still, &[1; 100]).await.unwrap();
    put(&bench, alert, EvidenceKind::Still, &[1; 100]).await.unwrap();
    // A note that there is none takes nothing, and the thing itself may follow.
    let missing = v1::EvidenceRef {
        kind: v1::EvidenceKind::Preview.into(),
        missing_reason: "not made".into(),
        ..v1::EvidenceRef::default()
    };
    gateway.put(alert, missing, Bytes::new()).await.unwrap();
    let usage = gateway.usage().await.unwrap();
    assert_eq!((usage.used_bytes, usage.pieces), (100, 1));
    put(&bench, alert, EvidenceKind::Preview, &[2; 50]).await.unwrap();
    let usage = gateway.usage().await.unwrap();
    assert_eq!((usage.used_bytes, usage.pieces), (150, 2));
    bench.clock.advance(DAY * 31);
    assert_eq!(gateway.sweep().await, Ok(2));
    let usage = gateway.usage().await.unwrap();
    assert_eq!((usage.used_bytes, usage.pieces, usage.days_left), (0, 0, None));
}
