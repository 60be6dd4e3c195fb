//! Promises of what leaves: two accounts, only redacted pieces, only what was decided on.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use bytes::Bytes;
use prost::Message as _;
use xueliang_base::{alert::Sha256, config::Config, id::AlertId};
use xueliang_proto::v1::{ViewingBasis, ViewingParty};

use super::*;
use crate::{
    bus::BusOptions,
    evidence::Call,
    point::Points,
    rights::{Principal, PrincipalKind, Right},
    store::{RegisterQuery, tests::audited},
    testing::{Bench, NOW, critical},
};

const PIECES: [EvidenceKind; 3] = EvidenceKind::ALL;

fn bytes(kind: EvidenceKind) -> Vec<u8> {
    let picture = |jpeg| v1::BundledPicture { arrived_unix_us: NOW.0, jpeg };
    match kind {
        EvidenceKind::Still => b"still".to_vec(),
        EvidenceKind::Preview => v1::PreviewBundle {
            pictures: vec![picture(Bytes::from_static(b"first")), picture(Bytes::from_static(b"second"))],
        }
        .encode_to_vec(),
        EvidenceKind::Clip => v1::ClipBundle { files: vec![Bytes::from_static(b"original")] }.encode_to_vec(),
    }
}

struct Town {
    bench: Bench,
    alert: AlertId,
    camera: String,
}

impl Town {
    async fn new() -> Self {
        let bench = Bench::new();
        let alert = critical();
        bench.commit(std::slice::from_ref(&alert)).await;
        for kind in PIECES {
            let data = bytes(kind);
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
        let camera = alert.place.camera.to_string();
        let status = v1::CameraStatus {
            camera_id: camera.clone(),
            division_path: alert.place.division_path.iter().map(ToString::to_string).collect(),
            ..v1::CameraStatus::default()
        };
        let report = v1::ReportRequest { cameras: vec![status], ..v1::ReportRequest::default() };
        bench.bus.board().report("node-1", report);
        Self { bench, alert: alert.id, camera }
    }
    async fn prepare(&self, by: &Principal, kind: v1::EvidenceKind) -> Result<v1::Release> {
        let request = v1::PrepareReleaseRequest {
            alert_id: self.alert.to_string(),
            kind: kind.into(),
            reason: "for the newspaper".to_owned(),
        };
        self.bench.bus.prepare_release(by, request).await
    }
    async fn approve(&self, by: &Principal, release_id: u64) -> Result<v1::Release> {
        let request = v1::DecideReleaseRequest {
            release_id,
            approve: true,
            nothing_recognisable: true,
            refusal: String::new(),
        };
        self.bench.bus.decide_release(by, request).await
    }
    async fn look(&self, by: &Principal) {
        let call = Call {
            alert: self.alert,
            purpose: v1::Purpose::Supervise,
            call_reason: v1::CallReason::Unspecified,
            reason: String::new(),
        };
        self.bench.bus.evidence().still(by, &call).await.unwrap();
    }
    async fn receive(&self) -> v1::Viewing {
        let request = v1::ReceiveViewingRequest {
            camera_id: self.camera.clone(),
            from_unix_us: NOW.0 - 60_000_000,
            to_unix_us: NOW.0,
            basis: ViewingBasis::LifeAndHealth.into(),
            party: ViewingParty::Guardian.into(),
        };
        self.bench.bus.receive_viewing(&prep(), request).await.unwrap()
    }
    async fn granted(&self) -> u64 {
        let request_id = self.receive().await.request_id;
        let bus = &self.bench.bus;
        bus.examine_viewing(&prep(), v1::ExamineViewingRequest { request_id, refusal: 0 }).await.unwrap();
        bus.decide_viewing(&boss(), v1::DecideViewingRequest { request_id, refusal: 0 }).await.unwrap();
        request_id
    }
    fn show(&self, request_id: u64, kind: v1::EvidenceKind) -> v1::ShowViewingRequest {
        v1::ShowViewingRequest {
            request_id,
            alert_id: self.alert.to_string(),
            kind: kind.into(),
            shown_to: ViewingParty::Guardian.into(),
        }
    }
    async fn register(&self) -> Vec<v1::RegisterEntry> {
        let query = RegisterQuery { limit: 100, ..RegisterQuery::default() };
        self.bench.bus.store().list_register(query).await.unwrap()
    }
    fn audited(&self, of: &str) -> Vec<(String, String)> {
        let all = audited(self.bench.folder.path()).into_iter();
        all.filter(|one| one.1.starts_with(of)).map(|one| (one.0, one.1)).collect()
    }
}

fn somebody(name: &str) -> Principal {
    Principal { unit: Some("Centre".to_owned()), ..Principal::new(name, PrincipalKind::Operator) }
}
fn prep() -> Principal {
    somebody("prep")
}
fn boss() -> Principal {
    somebody("boss")
}
fn without(right: Right, principal: Principal) -> Principal {
    let rights: BTreeSet<Right> = principal.rights.iter().copied().filter(|one| *one != right).collect();
    Principal { rights, ..principal }
}

#[tokio::test]
async fn a_release_takes_a_second_account_that_has_looked_at_the_very_piece() {
    let town = Town::new().await;
    // What somebody saw before it was prepared does not count.
    town.look(&boss()).await;
    town.bench.clock.advance(Duration::from_secs(1));
    let release = town.prepare(&prep(), v1::EvidenceKind::Still).await.unwrap();
    let (id, bus) = (release.release_id, &town.bench.bus);
    assert_eq!((release.state(), release.prepared_by_unit.as_str()), (ReleaseState::Prepared, "Centre"));
    assert!(matches!(bus.release_files(&prep(), id).await, Err(Error::Conflict(_))));
    town.look(&prep()).await;
    assert!(matches!(town.approve(&prep(), id).await, Err(Error::Forbidden(_))));
    assert!(
        matches!(town.approve(&boss(), id).await, Err(Error::Conflict(text)) if text.contains("look at"))
    );
    town.look(&boss()).await;
    let unsaid = v1::DecideReleaseRequest { release_id: id, approve: true, ..Default::default() };
    assert!(matches!(bus.decide_release(&boss(), unsaid).await, Err(Error::Invalid(_))));
    assert!(matches!(
        town.approve(&without(Right::ApproveRelease, boss()), id).await,
        Err(Error::Forbidden(_))
    ));
    let approved = town.approve(&boss(), id).await.unwrap();
    assert_eq!((approved.state(), approved.decided_by.as_str()), (ReleaseState::Approved, "boss"));
    // Decided is decided.
    assert!(matches!(town.approve(&somebody("chief"), id).await, Err(Error::Conflict(_))));
    assert!(matches!(
        bus.release_files(&without(Right::PrepareRelease, boss()), id).await,
        Err(Error::Forbidden(_))
    ));
    let files = bus.release_files(&prep(), id).await.unwrap().files;
    assert_eq!(files[0], ("release-1-001.jpg".to_owned(), Bytes::from_static(b"still")));
    let sheet: serde_json::Value = serde_json::from_slice(&files[1].1).unwrap();
    assert_eq!(sheet["files"][0]["sha256"], Sha256::of(b"still").to_string());
    let entries = town.register().await;
    assert_eq!(sheet["register_entry"], entries[0].entry_id);
    assert!(entries[0].granted && entries[0].release_id == id, "{:?}", entries[0]);
    assert_eq!(entries[0].call_reason(), v1::CallReason::PublicRelease);
    assert_eq!((entries[0].unit.as_str(), entries[0].reason.as_str()), ("Centre", "for the newspaper"));
    // It may be handed on: nobody's name, no place and no alert stands in it.
    let text = String::from_utf8(files[1].1.to_vec()).unwrap();
    for told in ["prep", "boss", &town.camera, &town.alert.to_string()] {
        assert!(!text.contains(told), "{text}");
    }
    let refused = entries.iter().filter(|one| !one.granted && one.release_id == id).count();
    assert_eq!(refused, 2, "{entries:?}");
    let audited = town.audited("release_");
    let steps = [("prep", "release_prepared"), ("boss", "release_approved")];
    assert_eq!(audited, steps.map(|(who, what)| (who.to_owned(), what.to_owned())));
    town.bench.clock.advance(APPROVED_FOR);
    assert!(
        matches!(bus.release_files(&prep(), id).await, Err(Error::Conflict(text)) if text.contains("ended"))
    );
}

/// Changes the file of a piece behind the gateway's back.
fn forge(folder: &Path, before: &[u8]) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).is_ok_and(|found| found == before) {
                return std::fs::write(path, b"forgery").unwrap();
            }
        }
    }
    panic!("there is no such file");
}

#[tokio::test]
async fn nothing_is_released_but_the_redacted_piece_that_was_approved() {
    let mut town = Town::new().await;
    assert!(matches!(town.prepare(&prep(), v1::EvidenceKind::Clip).await, Err(Error::Invalid(_))));
    assert!(matches!(town.prepare(&prep(), v1::EvidenceKind::Unspecified).await, Err(Error::Invalid(_))));
    let powerless = without(Right::PrepareRelease, prep());
    assert!(matches!(town.prepare(&powerless, v1::EvidenceKind::Still).await, Err(Error::Forbidden(_))));
    let id = town.prepare(&prep(), v1::EvidenceKind::Preview).await.unwrap().release_id;
    // Another piece of the alert is not this one.
    town.look(&boss()).await;
    assert!(matches!(town.approve(&boss(), id).await, Err(Error::Conflict(_))));
    let call = Call {
        alert: town.alert,
        purpose: v1::Purpose::Supervise,
        call_reason: v1::CallReason::Unspecified,
        reason: String::new(),
    };
    town.bench.bus.evidence().preview(&boss(), &call).await.unwrap();
    town.approve(&boss(), id).await.unwrap();
    let files = town.bench.bus.release_files(&prep(), id).await.unwrap().files;
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["release-1-001.jpg", "release-1-002.jpg", "release-1.json"]);
    drop(files);
    forge(town.bench.folder.path(), &bytes(EvidenceKind::Preview));
    assert!(matches!(town.bench.bus.release_files(&prep(), id).await, Err(Error::DataLoss(_))));
    assert!(!town.register().await[0].granted);
    // An alert without evidence has nothing to release, and what is refused stays so.
    let id = town.prepare(&prep(), v1::EvidenceKind::Still).await.unwrap().release_id;
    let refuse = |refusal: &str| v1::DecideReleaseRequest {
        release_id: id,
        refusal: refusal.to_owned(),
        ..v1::DecideReleaseRequest::default()
    };
    assert!(matches!(town.bench.bus.decide_release(&boss(), refuse("")).await, Err(Error::Invalid(_))));
    let plate = refuse("浙B12345 can be read");
    assert!(matches!(town.bench.bus.decide_release(&boss(), plate).await, Err(Error::Invalid(_))));
    let refused = town.bench.bus.decide_release(&boss(), refuse("a plate can be read")).await.unwrap();
    assert_eq!(refused.state(), ReleaseState::Refused);
    assert!(matches!(town.bench.bus.release_files(&prep(), id).await, Err(Error::Conflict(_))));
    let bare = critical();
    town.bench.commit(std::slice::from_ref(&bare)).await;
    town.alert = bare.id;
    assert!(matches!(town.prepare(&prep(), v1::EvidenceKind::Still).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn few_releases_of_an_alert_wait_at_once() {
    let town = Town::new().await;
    for _ in 0..MAX_WAITING {
        town.prepare(&prep(), v1::EvidenceKind::Still).await.unwrap();
    }
    assert!(matches!(town.prepare(&prep(), v1::EvidenceKind::Still).await, Err(Error::Exhausted(_))));
}

#[test]
fn a_request_takes_no_step_but_those_that_lead_on() {
    use ViewingState::{Closed, Examined, Granted, Received, Refused, Shown, Unspecified};
    let all = [Unspecified, Received, Examined, Granted, Refused, Shown, Closed];
    let step = |state: ViewingState, account: &str| ViewingStep {
        state: state.into(),
        account: account.to_owned(),
        refusal: ViewingRefusal::NoFootage.into(),
        ..ViewingStep::default()
    };
    let at = |state: ViewingState| v1::Viewing {
        request_id: 1,
        state: state.into(),
        steps: vec![step(Examined, "ana")],
        ..v1::Viewing::default()
    };
    let possible = [
        (Received, Examined),
        (Examined, Examined),
        (Examined, Granted),
        (Examined, Refused),
        (Granted, Shown),
        (Shown, Shown),
    ];
    for from in all {
        for to in all.into_iter().filter(|to| *to != Closed) {
            let may = check_step(&at(from), &step(to, "bo")).is_ok();
            assert_eq!(may, possible.contains(&(from, to)), "{from:?} to {to:?}");
        }
        // Whoever examined it, however long ago, does not decide.
        for to in [Granted, Refused] {
            assert!(check_step(&at(from), &step(to, "ana")).is_err(), "{from:?} to {to:?}");
        }
    }
    use ViewingOutcome as Outcome;
    let ends = [
        (Received, Outcome::Withdrawn),
        (Examined, Outcome::Withdrawn),
        (Granted, Outcome::Withdrawn),
        (Granted, Outcome::NotTakenUp),
        (Refused, Outcome::Refused),
        (Shown, Outcome::Shown),
    ];
    let outcomes =
        [Outcome::Unspecified, Outcome::Shown, Outcome::Refused, Outcome::Withdrawn, Outcome::NotTakenUp];
    for from in all {
        for outcome in outcomes {
            let end = ViewingStep { outcome: outcome.into(), ..step(Closed, "bo") };
            let may = check_step(&at(from), &end).is_ok();
            assert_eq!(may, ends.contains(&(from, outcome)), "{from:?} as {outcome:?}");
        }
        // Every state that is not the end can be left for it.
        let leads_on = ends.iter().any(|(state, _)| *state == from);
        assert_eq!(leads_on, ![Unspecified, Closed].contains(&from), "{from:?}");
    }
    let unsaid = ViewingStep { refusal: 0, ..step(Refused, "bo") };
    assert!(matches!(check_step(&at(Examined), &unsaid), Err(Error::Invalid(_))));
    let mut long = at(Shown);
    long.steps = vec![step(Shown, "bo"); MAX_STEPS - 1];
    assert!(matches!(check_step(&long, &step(Shown, "bo")), Err(Error::Exhausted(_))));
    let end = ViewingStep { outcome: Outcome::Shown.into(), ..step(Closed, "bo") };
    assert!(check_step(&long, &end).is_ok(), "there is room for the end");
}

#[tokio::test]
async fn a_request_is_examined_by_one_and_granted_by_another_and_every_showing_is_registered() {
    let town = Town::new().await;
    let bus = &town.bench.bus;
    let viewing = town.receive().await;
    let request_id = viewing.request_id;
    assert_eq!((viewing.state(), viewing.party()), (ViewingState::Received, ViewingParty::Guardian));
    let show = town.show(request_id, v1::EvidenceKind::Preview);
    let grant = v1::DecideViewingRequest { request_id, refusal: 0 };
    assert!(matches!(bus.decide_viewing(&boss(), grant).await, Err(Error::Conflict(_))));
    bus.examine_viewing(&prep(), v1::ExamineViewingRequest { request_id, refusal: 0 }).await.unwrap();
    assert!(matches!(bus.show_viewing(&prep(), &show).await, Err(Error::Conflict(_))));
    assert!(matches!(bus.decide_viewing(&prep(), grant).await, Err(Error::Forbidden(_))));
    let powerless = without(Right::GrantViewings, boss());
    assert!(matches!(bus.decide_viewing(&powerless, grant).await, Err(Error::Forbidden(_))));
    bus.decide_viewing(&boss(), grant).await.unwrap();
    let shown = bus.show_viewing(&prep(), &show).await.unwrap();
    let jpegs: Vec<_> = shown.pictures.iter().map(|one| &one.jpeg[..]).collect();
    assert_eq!(jpegs, [&b"first"[..], b"second"]);
    assert!(shown.evidence.unwrap().redacted);
    let viewing = shown.viewing.unwrap();
    let entries = town.register().await;
    let last = viewing.steps.last().unwrap();
    assert_eq!((viewing.state(), last.shown_to()), (ViewingState::Shown, ViewingParty::Guardian));
    assert_eq!((last.register_entry_id, last.account.as_str()), (entries[0].entry_id, "prep"));
    assert!(entries[0].granted && !entries[1].granted, "{entries:?}");
    assert_eq!(
        (entries[0].request_id, entries[0].call_reason()),
        (request_id, v1::CallReason::PartyConcerned)
    );
    assert!(!entries[0].sha256.is_empty() && entries[0].unit == "Centre");
    let close = v1::CloseViewingRequest { request_id, outcome: 0 };
    let closed = bus.close_viewing(&prep(), close).await.unwrap();
    assert_eq!(closed.steps.last().unwrap().outcome(), ViewingOutcome::Shown);
    assert!(matches!(bus.show_viewing(&prep(), &show).await, Err(Error::Conflict(_))));
    let steps = [
        ("prep", "viewing_received"),
        ("prep", "viewing_examined"),
        ("boss", "viewing_granted"),
        ("prep", "viewing_shown"),
        ("prep", "viewing_closed"),
    ];
    assert_eq!(town.audited("viewing_"), steps.map(|(who, what)| (who.to_owned(), what.to_owned())));
}

#[tokio::test]
async fn a_request_shows_nothing_of_another_place_or_time_and_never_an_original() {
    let town = Town::new().await;
    let (bus, request) = (&town.bench.bus, town.granted().await);
    let clip = bus.show_viewing(&prep(), &town.show(request, v1::EvidenceKind::Clip)).await;
    assert!(matches!(clip, Err(Error::Invalid(text)) if text.contains("original")));
    let still = town.show(request, v1::EvidenceKind::Still);
    let nobody = v1::ShowViewingRequest { shown_to: 0, ..still.clone() };
    assert!(matches!(bus.show_viewing(&prep(), &nobody).await, Err(Error::Invalid(_))));
    let powerless = without(Right::ExamineViewings, prep());
    assert!(matches!(bus.show_viewing(&powerless, &still).await, Err(Error::Forbidden(_))));
    let mut elsewhere = critical();
    elsewhere.place.camera = "elsewhere".parse().unwrap();
    let mut later = critical();
    later.place.camera = town.camera.parse().unwrap();
    town.bench.commit(&[elsewhere.clone(), later.clone()]).await;
    for (alert, time) in [(elsewhere.id, NOW.0), (later.id, NOW.0 + 1)] {
        let data = format!("still of {alert}").into_bytes();
        let facts = v1::EvidenceRef {
            kind: v1::EvidenceKind::Still.into(),
            sha256: Sha256::of(&data).to_string(),
            size_bytes: data.len() as u64,
            redacted: true,
            start_unix_us: time,
            end_unix_us: time,
            ..v1::EvidenceRef::default()
        };
        bus.evidence().put(alert, facts, data.into()).await.unwrap();
        let other = v1::ShowViewingRequest { alert_id: alert.to_string(), ..still.clone() };
        assert!(matches!(bus.show_viewing(&prep(), &other).await, Err(Error::Forbidden(_))), "{alert}");
    }
    assert!(town.register().await.iter().all(|one| !one.granted));
    // What cannot be registered is not shown, and is no step.
    crate::store::tests::refuse_entries(town.bench.folder.path(), "register");
    assert!(bus.show_viewing(&prep(), &still).await.is_err());
    let query = crate::store::ViewingQuery { limit: 9, ..Default::default() };
    let viewings = bus.viewings(&prep(), query).await.unwrap();
    assert_eq!(viewings[0].state(), ViewingState::Granted);
}

#[tokio::test]
async fn a_request_is_about_the_place_that_the_configuration_or_a_node_or_the_last_alert_says() {
    let text = "site = \"Town\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\n\
        [[division]]\ncode = \"33\"\nname = \"33\"\n[[division]]\ncode = \"3302\"\nname = \"3302\"\nparent = \"33\"\n\
        [[camera]]\nid = \"gate\"\nname = \"Gate\"\ndivision = \"3302\"\nurl = \"rtsp://127.0.0.1/gate\"\n";
    let points = Points::of(&Config::parse(text, Path::new("/")).unwrap());
    let bench = Bench::with(BusOptions { points: Arc::new(points), ..crate::testing::options() });
    // Its node says something else of the gate, and knows the pier; of the quay there is but an alert.
    let status = |id: &str, code: &str| v1::CameraStatus {
        camera_id: id.to_owned(),
        division_path: vec!["33".to_owned(), code.to_owned()],
        ..v1::CameraStatus::default()
    };
    let cameras = vec![status("gate", "3309"), status("pier", "3303")];
    bench.bus.board().report("node-1", v1::ReportRequest { cameras, ..v1::ReportRequest::default() });
    let mut alert = critical();
    alert.place.camera = "quay".parse().unwrap();
    alert.place.division_path = ["33", "3304"].map(|code| code.parse().unwrap()).into();
    bench.commit(std::slice::from_ref(&alert)).await;
    for (camera, own) in [("gate", "3302"), ("pier", "3303"), ("quay", "3304")] {
        for code in ["3302", "3303", "3304", "3309"] {
            let request = v1::ReceiveViewingRequest {
                camera_id: camera.to_owned(),
                from_unix_us: NOW.0 - 1_000_000,
                to_unix_us: NOW.0,
                basis: ViewingBasis::Property.into(),
                party: ViewingParty::Concerned.into(),
            };
            let bound = Principal { divisions: Some(vec![code.parse().unwrap()]), ..prep() };
            let received = bench.bus.receive_viewing(&bound, request).await;
            assert_eq!(received.is_ok(), code == own, "{camera} by {code}: {received:?}");
        }
    }
}

#[tokio::test]
async fn a_request_is_about_one_place_and_a_bounded_time_that_is_over() {
    let town = Town::new().await;
    let good = v1::ReceiveViewingRequest {
        camera_id: town.camera.clone(),
        from_unix_us: NOW.0 - 1_000_000,
        to_unix_us: NOW.0,
        basis: ViewingBasis::Property.into(),
        party: ViewingParty::Concerned.into(),
    };
    let day = i64::try_from(LONGEST.as_micros()).unwrap();
    for wrong in [
        v1::ReceiveViewingRequest { camera_id: "nowhere".into(), ..good.clone() },
        v1::ReceiveViewingRequest { to_unix_us: NOW.0 + 1, ..good.clone() },
        v1::ReceiveViewingRequest { from_unix_us: NOW.0, ..good.clone() },
        v1::ReceiveViewingRequest { from_unix_us: NOW.0 - day - 1, ..good.clone() },
        v1::ReceiveViewingRequest { from_unix_us: 0, to_unix_us: 1, ..good.clone() },
        v1::ReceiveViewingRequest { basis: 0, ..good.clone() },
        v1::ReceiveViewingRequest { basis: 99, ..good.clone() },
        v1::ReceiveViewingRequest { party: 0, ..good.clone() },
    ] {
        assert!(town.bench.bus.receive_viewing(&prep(), wrong.clone()).await.is_err(), "{wrong:?}");
    }
    let longest = v1::ReceiveViewingRequest { from_unix_us: NOW.0 - day, ..good.clone() };
    assert!(town.bench.bus.receive_viewing(&prep(), longest).await.is_ok());
    let bound = Principal { divisions: Some(vec!["999999".parse().unwrap()]), ..prep() };
    assert!(matches!(town.bench.bus.receive_viewing(&bound, good).await, Err(Error::NotFound(_))));
    // The record of what leaves is append-only.
    for table in ["viewing", "viewing_step"] {
        for sql in [format!("DELETE FROM {table}"), format!("UPDATE {table} SET request_id = 9")] {
            let refused = crate::store::tests::refusal(town.bench.folder.path(), &sql);
            assert!(refused.contains("append-only"), "{sql}: {refused}");
        }
    }
}
