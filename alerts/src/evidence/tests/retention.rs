//! How long evidence stays, who holds it, what proves that it is gone, and what it leaves of the disk.

use xueliang_base::{kind::Kind, time::Clock as _};
use xueliang_proto::v1::{DeletionProof, retention_service_server::RetentionService as _};

use super::*;
use crate::{
    grpc::{Code, Request, Response, RetentionApi, Status},
    store::{CertificateQuery, HoldQuery},
    testing::alert as alert_of,
};

fn operator() -> Principal {
    Principal::new("boss", PrincipalKind::Operator)
}

/// The service, and a request of a principal to it.
fn api(bench: &Bench) -> RetentionApi {
    RetentionApi(bench.bus.clone())
}

fn by<T>(kind: PrincipalKind, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Principal::new("someone", kind));
    request
}

fn options(days: u32, key_points: &[&str]) -> EvidenceOptions {
    let key_points = key_points.iter().map(ToString::to_string).collect();
    EvidenceOptions { keep_days: days, key_points, ..EvidenceOptions::default() }
}

/// An alert of a camera, with a still of these bytes.
async fn still_of(bench: &Bench, camera: &str, data: &[u8]) -> AlertId {
    let mut alert = alert_of(Kind::FireFlame, 2);
    alert.place.camera = camera.parse().unwrap();
    bench.commit(std::slice::from_ref(&alert)).await;
    assert_eq!(put(bench, alert.id, EvidenceKind::Still, data).await, Ok(None));
    alert.id
}

async fn certificates(bench: &Bench, alert: Option<AlertId>) -> Vec<v1::DeletionCertificate> {
    let query = CertificateQuery { alert, limit: 100, ..CertificateQuery::default() };
    bench.bus.store().certificates(query).await.unwrap()
}

async fn reopened(mut bench: Bench, evidence: EvidenceOptions) -> Bench {
    bench.options.evidence = evidence;
    bench.reopen().await
}

#[tokio::test]
async fn evidence_of_a_key_point_stays_ninety_days_and_of_others_thirty() {
    let (bench, _) = bench_with(options(30, &["station"])).await;
    still_of(&bench, "station", b"station").await;
    still_of(&bench, "gate", b"gate").await;
    let gateway = bench.bus.evidence();
    bench.clock.advance(DAY * 31);
    assert_eq!(gateway.sweep().await, Ok(1));
    assert!(file_of(&bench, b"station").exists() && !file_of(&bench, b"gate").exists());
    bench.clock.advance(DAY * 58);
    assert_eq!(gateway.sweep().await, Ok(0), "89 days");
    bench.clock.advance(DAY * 2);
    assert_eq!(gateway.sweep().await, Ok(1));
    assert!(!file_of(&bench, b"station").exists());
}

#[tokio::test]
async fn a_later_configuration_never_shortens_what_was_promised_and_may_lengthen_it() {
    let (bench, _) = bench_with(options(60, &["station"])).await;
    still_of(&bench, "station", b"station").await;
    still_of(&bench, "gate", b"gate").await;
    // The configuration now asks for less.
    let bench = reopened(bench, options(30, &[])).await;
    bench.clock.advance(DAY * 59);
    assert_eq!(bench.bus.evidence().sweep().await, Ok(0));
    bench.clock.advance(DAY * 2);
    assert_eq!(bench.bus.evidence().sweep().await, Ok(1), "60 days were promised for the gate");
    assert!(file_of(&bench, b"station").exists(), "and 90 for the key point");
    // A camera that becomes a key point keeps what it has, as well, although less was promised.
    still_of(&bench, "school", b"school").await;
    bench.clock.advance(DAY * 20);
    let bench = reopened(bench, options(30, &["school"])).await;
    bench.clock.advance(DAY * 69);
    assert_eq!(bench.bus.evidence().sweep().await, Ok(1), "the station's 90 days are over");
    assert!(file_of(&bench, b"school").exists());
    bench.clock.advance(DAY * 2);
    assert_eq!(bench.bus.evidence().sweep().await, Ok(1));
    assert!(!file_of(&bench, b"school").exists());
}

#[tokio::test]
async fn held_evidence_never_expires_until_every_hold_is_lifted() {
    let (bench, _) = bench(1 << 20).await;
    let held = still_of(&bench, "gate", b"held").await;
    still_of(&bench, "gate", b"free").await;
    let gateway = bench.bus.evidence();
    let (first, pieces) = gateway.hold(&operator(), held, "court order 7").await.unwrap();
    assert_eq!((pieces, first.set_by.as_str()), (1, "boss"));
    let (again, _) = gateway.hold(&operator(), held, " court order 7 ").await.unwrap();
    assert_eq!(again, first, "a call that is made again holds nothing twice");
    let (second, _) = gateway.hold(&operator(), held, "police file 9").await.unwrap();
    bench.clock.advance(DAY * 400);
    assert_eq!(gateway.sweep().await, Ok(1));
    assert!(file_of(&bench, b"held").exists() && !file_of(&bench, b"free").exists());
    assert_eq!(gateway.usage().await.unwrap().held_alerts, 1);
    gateway.lift(&operator(), first.hold_id, "case closed").await.unwrap();
    assert_eq!(gateway.sweep().await, Ok(0), "another holds it still");
    let lifted = gateway.lift(&operator(), second.hold_id, "case closed").await.unwrap();
    assert!(lifted.lifted_unix_us > 0 && lifted.lifted_by == "boss");
    let lifted_again = gateway.lift(&operator(), second.hold_id, "once more").await.unwrap();
    assert_eq!(lifted_again, lifted, "a hold is lifted once");
    assert_eq!(gateway.sweep().await, Ok(1));
    assert!(!file_of(&bench, b"held").exists());
    let audited = crate::store::tests::audited(bench.folder.path());
    let actions: Vec<_> = audited.iter().map(|(who, what, _)| (who.as_str(), what.as_str())).collect();
    assert_eq!(
        actions,
        [("boss", "hold evidence"), ("boss", "hold evidence"), ("boss", "lift hold"), ("boss", "lift hold")]
    );
    assert!(audited[0].2.contains("court order 7") && audited[0].2.contains(&held.to_string()));
}

#[tokio::test]
async fn a_hold_that_comes_while_a_piece_is_about_to_be_deleted_keeps_it() {
    let (bench, _) = bench(1 << 20).await;
    let alert = still_of(&bench, "gate", b"picture").await;
    bench.clock.advance(DAY * 31);
    let gateway = bench.bus.evidence();
    // The sweep has listed the piece and waits for its turn; the hold comes first.
    let turn = gateway.entry.lock().await;
    let mut sweep = std::pin::pin!(gateway.sweep());
    for _ in 0..200 {
        assert!(futures::poll!(sweep.as_mut()).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let hold = v1::LegalHold {
        alert_id: alert.to_string(),
        set_by: "boss".into(),
        reason: "court".into(),
        ..v1::LegalHold::default()
    };
    bench.bus.store().set_hold(hold, 1).await.unwrap();
    drop(turn);
    assert_eq!(sweep.await, Ok(0));
    assert!(file_of(&bench, b"picture").exists());
    assert!(certificates(&bench, None).await.is_empty());
}

#[tokio::test]
async fn holds_need_a_right_and_a_reason_and_are_listed() {
    let (bench, alert) = bench(1 << 20).await;
    let api = api(&bench);
    let set = |kind, reason: &str| {
        let message = v1::SetLegalHoldRequest { alert_id: alert.to_string(), reason: reason.to_owned() };
        api.set_legal_hold(by(kind, message))
    };
    let code = |refused: Result<_, Status>| refused.map(|_: Response<_>| ()).unwrap_err().code();
    for kind in [PrincipalKind::Console, PrincipalKind::Publisher, PrincipalKind::Node] {
        assert_eq!(code(set(kind, "court order 7").await), Code::PermissionDenied);
        let message = v1::LiftLegalHoldRequest { hold_id: 1, reason: "case closed".into() };
        let refused = api.lift_legal_hold(by(kind, message)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = api.list_legal_holds(by(kind, v1::ListLegalHoldsRequest::default())).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        let refused = api.list_certificates(by(kind, v1::ListCertificatesRequest::default())).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        let refused = api.get_retention(by(kind, v1::GetRetentionRequest {})).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(code(set(PrincipalKind::Operator, " no ").await), Code::InvalidArgument);
    // Numbers that tell who somebody is stand in no reason.
    let numbers = ["ask 13812345678 first", "id 11010119900307451x", "浙A12345 was there"];
    for reason in numbers {
        assert_eq!(code(set(PrincipalKind::Operator, reason).await), Code::InvalidArgument, "{reason}");
    }
    for number in 0..100 {
        let set = set(PrincipalKind::Operator, &format!("order {number}")).await.unwrap().into_inner();
        assert_eq!((set.hold.unwrap().hold_id, set.pieces), (number + 1, 0));
    }
    assert_eq!(code(set(PrincipalKind::Operator, "one too many").await), Code::InvalidArgument);
    let lift = v1::LiftLegalHoldRequest { hold_id: 100, reason: "case closed".into() };
    let lifted = api.lift_legal_hold(by(PrincipalKind::Operator, lift)).await.unwrap().into_inner();
    assert_eq!(lifted.hold.unwrap().lift_reason, "case closed");
    for reason in numbers {
        let lift = v1::LiftLegalHoldRequest { hold_id: 99, reason: reason.to_owned() };
        let refused = api.lift_legal_hold(by(PrincipalKind::Operator, lift)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{reason}");
    }
    let unknown = v1::LiftLegalHoldRequest { hold_id: 101, reason: "case closed".into() };
    let unknown = api.lift_legal_hold(by(PrincipalKind::Operator, unknown)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut page_token = String::new();
    let mut ids = Vec::new();
    loop {
        let message = v1::ListLegalHoldsRequest { page_size: 30, page_token, ..Default::default() };
        let page = api.list_legal_holds(by(PrincipalKind::Operator, message)).await.unwrap().into_inner();
        ids.extend(page.holds.iter().map(|hold| hold.hold_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, (1..=99).rev().collect::<Vec<_>>(), "those in force, each once");
    let query = HoldQuery { alert: Some(alert), lifted_too: true, limit: 1, ..HoldQuery::default() };
    assert_eq!(bench.bus.store().holds(query).await.unwrap()[0].lifted_by, "someone");
}

#[tokio::test]
async fn certificates_say_what_is_gone_and_how_that_was_seen() {
    let (bench, _) = bench(1 << 20).await;
    let first = still_of(&bench, "gate", b"same").await;
    bench.clock.advance(DAY);
    let twin = still_of(&bench, "gate", b"same").await;
    let began = bench.clock.wall();
    bench.clock.advance(DAY * 30);
    assert_eq!(bench.bus.evidence().sweep().await, Ok(1));
    bench.clock.advance(DAY);
    assert_eq!(bench.bus.evidence().sweep().await, Ok(1));
    let api = api(&bench);
    let list = async |message| {
        let request = by(PrincipalKind::Operator, message);
        api.list_certificates(request).await.unwrap().into_inner()
    };
    let all = list(v1::ListCertificatesRequest::default()).await.certificates;
    let proofs: Vec<_> = all.iter().map(v1::DeletionCertificate::proof).collect();
    assert_eq!(proofs, [DeletionProof::FileGone, DeletionProof::BytesShared], "newest first");
    let gone = &all[0];
    assert_eq!(gone.alert_id, twin.to_string());
    assert_eq!((gone.sha256.clone(), gone.size_bytes), (Sha256::of(b"same").to_string(), 4));
    assert_eq!((gone.stored_unix_us, gone.promised_unix_us), (began.0, began.plus(DAY * 30).0));
    assert_eq!(gone.deleted_unix_us, began.plus(DAY * 31).0);
    let of_first = v1::ListCertificatesRequest { alert_id: first.to_string(), ..Default::default() };
    assert_eq!(list(of_first).await.certificates, all[1..]);
    let between = v1::ListCertificatesRequest {
        from_unix_us: all[1].deleted_unix_us,
        to_unix_us: all[0].deleted_unix_us,
        ..Default::default()
    };
    assert_eq!(list(between).await.certificates, all[1..]);
    let page = list(v1::ListCertificatesRequest { page_size: 1, ..Default::default() }).await;
    assert_eq!(page.certificates, all[..1]);
    let rest = v1::ListCertificatesRequest { page_token: page.next_page_token, ..Default::default() };
    assert_eq!(list(rest).await.certificates, all[1..]);
}

#[tokio::test]
async fn a_file_that_cannot_be_deleted_has_no_certificate() {
    let (bench, _) = bench(1 << 20).await;
    still_of(&bench, "gate", b"picture").await;
    // Something that no deletion of a file removes stands in its place.
    let path = file_of(&bench, b"picture");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    bench.clock.advance(DAY * 31);
    let gateway = bench.bus.evidence();
    assert_eq!((gateway.sweep().await, gateway.sweep_failures()), (Ok(0), 1));
    assert!(certificates(&bench, None).await.is_empty());
    assert_eq!(gateway.usage().await.unwrap().pieces, 1);
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(gateway.sweep().await, Ok(1));
    assert_eq!(certificates(&bench, None).await.len(), 1);
}

#[tokio::test]
async fn evidence_never_takes_the_reserve_of_the_disk_and_the_refusal_is_told() {
    let free = Arc::new(AtomicU64::new(1_000_000));
    let options = EvidenceOptions {
        reserve_bytes: Some(50_000),
        free_bytes: Some(Arc::clone(&free)),
        ..EvidenceOptions::default()
    };
    let (bench, alert) = bench_with(options).await;
    assert_eq!(put(&bench, alert, EvidenceKind::Preview, &[1; 1000]).await, Ok(None));
    let gateway = bench.bus.evidence();
    assert_eq!(gateway.usage().await.unwrap().room_bytes, 951_000);
    // 200 bytes beyond the reserve: nothing of 300 comes in, whatever the budget says.
    free.store(50_200, Ordering::Relaxed);
    let refusal = put(&bench, alert, EvidenceKind::Still, &[2; 300]).await.unwrap().unwrap();
    assert!(refusal.contains("50000 are reserved for the record"), "{refusal}");
    let row = bench.bus.store().evidence(alert, EvidenceKind::Still).await.unwrap().unwrap();
    assert_eq!(row.facts.missing_reason, refusal, "it stands with the alert's evidence");
    // Of 1200 bytes of room 1000 are used: a clip gives way at 90 %, a still does not.
    assert!(put(&bench, alert, EvidenceKind::Clip, &[3; 150]).await.unwrap().is_some());
    assert_eq!(put(&bench, alert, EvidenceKind::Still, &[4; 150]).await, Ok(None));
    free.store(10, Ordering::Relaxed);
    let usage = gateway.usage().await.unwrap();
    assert!((usage.share() - 1.0).abs() < f64::EPSILON && usage.disk_free_bytes == 10);
    let refused = |kind, why| gateway.refusals().of(kind, why);
    assert_eq!(refused(EvidenceKind::Still, NoRoom::Reserve), 1);
    assert_eq!(refused(EvidenceKind::Clip, NoRoom::Reserve), 1);
    assert_eq!(refused(EvidenceKind::Clip, NoRoom::Budget), 0);
    // The record itself is taken as ever.
    bench.commit(&[alert_of(Kind::FireFlame, 2)]).await;
}

#[tokio::test]
async fn retention_is_told_with_its_shares() {
    let free = Arc::new(AtomicU64::new(1 << 40));
    let options = EvidenceOptions {
        max_bytes: 1000,
        free_bytes: Some(free),
        reserve_bytes: Some(5),
        ..options(30, &["station"])
    };
    let (bench, alert) = bench_with(options).await;
    put(&bench, alert, EvidenceKind::Clip, &[1; 700]).await.unwrap();
    put(&bench, alert, EvidenceKind::Still, &[2; 20]).await.unwrap();
    bench.bus.evidence().hold(&operator(), alert, "court order").await.unwrap();
    let told = api(&bench).get_retention(by(PrincipalKind::Operator, v1::GetRetentionRequest {})).await;
    let told = told.unwrap().into_inner();
    assert_eq!((told.used_bytes, told.max_bytes, told.room_bytes), (720, 1000, 1000));
    assert!((told.used_share - 0.72).abs() < 1e-9);
    let days = told.days_left.unwrap();
    assert!((days - 280.0 / (720.0 / 7.0)).abs() < 1e-9, "{days}");
    assert_eq!((told.keep_days, told.key_point_days, told.key_points, told.held_alerts), (30, 90, 1, 1));
    let kinds: Vec<_> = told.kinds.iter().map(|one| (one.kind, one.bytes, one.pieces)).collect();
    assert_eq!(kinds, [(1, 20, 1), (2, 0, 0), (3, 700, 1)]);
    // The files tell the same to whoever has only them.
    let (options, now) = (&bench.options.evidence, bench.clock.wall());
    let in_files = Usage::in_files(bench.folder.path(), options, now).unwrap().unwrap();
    assert_eq!(in_files, bench.bus.evidence().usage().await.unwrap());
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(Usage::in_files(empty.path(), options, now), Ok(None));
}
