//! A town of two divisions with one of everything in each: what calls are held to.

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt as _;
use xueliang_base::{
    alert::{Alert, EvidenceKind, Sha256},
    config::Config,
    kind::Lane,
    point::PointClass,
    time::{Clock as _, Wall},
};
use xueliang_proto::v1::{
    self, custodian_service_server::CustodianService as _, division_service_server::DivisionService as _,
    duty_service_server::DutyService as _, filing_service_server::FilingService as _,
};

use super::{
    super::{
        cell::{Place, custodian_csv, division, duty_rule, external_state, filing, received, shift, silence},
        *,
    },
    by,
};
use crate::{
    bus::BusOptions,
    explain::{Explainer, Takes},
    filter::Filter,
    point::Points,
    rights::{PrincipalKind, Right},
    sink::{SinkOptions, SinkSpec},
    store::{
        Certificate,
        sinks::{Fate, Origin, Settlement},
    },
    testing::{Bench, critical, major},
};

/// Divisions, each with the word for what lies in it.
pub(in super::super) const OURS: (&str, &str) = ("3302", "ours");
pub(in super::super) const THEIRS: (&str, &str) = ("3301", "theirs");

/// What every piece of evidence here holds, and nothing else does.
pub(in super::super) const PIXELS: &str = "pixels-of-";

/// Everything there is in one of the two divisions.
pub(in super::super) struct Division {
    pub(in super::super) code: &'static str,
    pub(super) word: &'static str,
    pub(in super::super) alert: Alert,
    pub(in super::super) suppressed: Alert,
    pub(in super::super) silence: u64,
    pub(in super::super) hold: u64,
    /// An approved release, and a granted request.
    pub(in super::super) release: u64,
    pub(in super::super) viewing: u64,
    /// An alert whose case is being handled by a link, with the link and a photo that came by it.
    pub(in super::super) linked: Alert,
    pub(in super::super) link: u64,
    pub(in super::super) proof: String,
}

pub(in super::super) struct Town {
    pub(in super::super) bench: Bench,
    pub(in super::super) sinks: Sinks,
    pub(in super::super) all: Vec<Division>,
}

pub(super) fn at(alert: Alert, code: &str) -> Alert {
    let mut alert = alert;
    alert.place.division_path = ["33", code].map(|code| code.parse().unwrap()).into();
    alert.place.camera = format!("camera-{code}").parse().unwrap();
    alert.place.class = Some(class_in(code));
    alert
}

/// A configuration with a camera in each of the divisions.
fn points() -> Points {
    let camera = |(code, _): (&str, &str)| {
        let class = class_in(code);
        format!(
            "[[division]]\ncode = \"{code}\"\nname = \"{code}\"\nparent = \"33\"\n[[camera]]\nid = \"camera-{code}\"\n\
             name = \"Gate\"\ndivision = \"{code}\"\nclass = \"{class}\"\nurl = \"rtsp://127.0.0.1/{code}\"\n"
        )
    };
    let head = "site = \"Town\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"33\"\nname = \"33\"\n";
    let text = format!("{head}{}{}", camera(OURS), camera(THEIRS));
    Points::of(&Config::parse(&text, std::path::Path::new("/")).unwrap())
}

/// The class of all points in a division.
pub(super) fn class_in(code: &str) -> PointClass {
    if code == OURS.0 { PointClass::Third } else { PointClass::First }
}

pub(super) fn operator(divisions: Option<&str>) -> Principal {
    let mut principal = Principal::new("ana", PrincipalKind::Operator);
    principal.rights.insert(Right::RunSinks);
    principal.divisions = divisions.map(|code| vec![code.parse().unwrap()]);
    principal
}

/// Somebody who has all rights, and is not who calls.
fn other(name: &str) -> Principal {
    Principal::new(name, PrincipalKind::Operator)
}

/// A new release of an alert's still, approved or waiting.
pub(in super::super) async fn release(bus: &Bus, alert: &Alert, approved: bool) -> u64 {
    let query = crate::store::ReleaseQuery {
        alert: Some(alert.id),
        state: Some(v1::ReleaseState::Prepared),
        limit: 100,
        ..Default::default()
    };
    let waiting = bus.releases(&other("prepares"), query).await.unwrap();
    if let Some(one) = waiting.iter().find(|one| !approved && one.prepared_by == "prepares") {
        return one.release_id;
    }
    let request = v1::PrepareReleaseRequest {
        alert_id: alert.id.to_string(),
        kind: v1::EvidenceKind::Still.into(),
        reason: "for the newspaper".to_owned(),
    };
    let release = bus.prepare_release(&other("prepares"), request).await.unwrap();
    if approved {
        let call = crate::evidence::Call {
            alert: alert.id,
            purpose: v1::Purpose::Supervise,
            call_reason: v1::CallReason::Unspecified,
            reason: String::new(),
        };
        bus.evidence().still(&other("approves"), &call).await.unwrap();
        let request = v1::DecideReleaseRequest {
            release_id: release.release_id,
            approve: true,
            nothing_recognisable: true,
            refusal: String::new(),
        };
        bus.decide_release(&other("approves"), request).await.unwrap();
    }
    release.release_id
}

/// A new request about a division's camera, as far as this.
pub(in super::super) async fn viewing(bus: &Bus, code: &str, upto: v1::ViewingState) -> u64 {
    let request_id = bus.receive_viewing(&other("examines"), received(code)).await.unwrap().request_id;
    if upto as i32 >= v1::ViewingState::Examined as i32 {
        let request = v1::ExamineViewingRequest { request_id, refusal: 0 };
        bus.examine_viewing(&other("examines"), request).await.unwrap();
    }
    if upto as i32 >= v1::ViewingState::Granted as i32 {
        let request = v1::DecideViewingRequest { request_id, refusal: 0 };
        bus.decide_viewing(&other("grants"), request).await.unwrap();
    }
    request_id
}

/// Has a case handled by a link, so far that a photo came: the link, and the photo's sum.
async fn handle(bus: &Bus, alert: &Alert, code: &str) -> (u64, String) {
    let key = || Some(v1::CaseKey { by: Some(v1::case_key::By::AlertId(alert.id.to_string())) });
    let unit = format!("unit-{code}");
    let dispatch = v1::CaseDispatch { unit, assisting_units: Vec::new() };
    for what in
        [v1::case_action::What::Confirm(v1::CaseConfirm {}), v1::case_action::What::Dispatch(dispatch)]
    {
        let case = bus.case(&other("asks"), key()).await.unwrap().case.unwrap();
        let action = Some(v1::CaseAction { what: Some(what) });
        let request =
            v1::ActOnCaseRequest { key: key(), revision: case.revision, action, note: String::new() };
        bus.act_on_case(&other("asks"), request).await.unwrap();
    }
    let given = bus.give_link(&other("asks"), v1::GiveLinkRequest { key: key(), life_s: 0 }).await.unwrap();
    let digest = crate::link::digest(&given.token).unwrap();
    for act in [v1::HandlerAct::Accept, v1::HandlerAct::Start] {
        let opened = bus.open_link(digest).await.unwrap().unwrap();
        let request =
            v1::ActByLinkRequest { revision: opened.case.revision, act: act.into(), ..Default::default() };
        bus.act_by_link(digest, request).await.unwrap();
    }
    let inside = format!("{PIXELS}{code}-photo");
    let jpeg = [&[0xff, 0xd8, 0xff, 0xda, 0, 2][..], inside.as_bytes(), &[0xff, 0xd9]];
    let opened = bus.open_link(digest).await.unwrap().unwrap();
    let proof = bus.prove_by_link(digest, &opened, jpeg.concat().into()).await.unwrap().proof.unwrap();
    (given.link.unwrap().link_id, proof.sha256)
}

/// A division with a county, a township and a village below it, a rule and a shift.
async fn divide(bus: &Bus, town: &Principal, code: &str) {
    let divisions = DivisionApi(bus.clone());
    let below = Place { code: code.to_owned(), ..Place::default() }.below();
    for wire in [division(code, "", 2)].into_iter().chain(below) {
        divisions.put_division(by(town, v1::PutDivisionRequest { division: Some(wire) })).await.unwrap();
    }
    let duty = DutyApi(bus.clone());
    duty.put_duty_rule(by(town, v1::PutDutyRuleRequest { rule: Some(duty_rule(code)) })).await.unwrap();
    duty.put_shift(by(town, v1::PutShiftRequest { shift: Some(shift(code)) })).await.unwrap();
}

impl Town {
    pub(in super::super) async fn new() -> Self {
        let options = BusOptions { points: Arc::new(points()), ..crate::testing::options() };
        let bench = Bench::with(options);
        let town = operator(None);
        let spec = |code: &str| SinkSpec {
            name: format!("sink-{code}"),
            site: "town".to_owned(),
            url: "http://127.0.0.1:9/".parse().unwrap(),
            networks: Vec::new(),
            secret_file: "none".into(),
            ca_file: None,
            filter: Filter { divisions: vec![code.parse().unwrap()], ..Filter::default() },
            with_still: false,
            with_cases: false,
        };
        let sinks = Sinks::new(bench.bus.clone(), vec![spec(OURS.0), spec(THEIRS.0)], SinkOptions::default());
        let mut all = Vec::new();
        for (code, word) in [OURS, THEIRS] {
            let (alert, suppressed) = (at(critical(), code), at(major(), code));
            bench.commit(std::slice::from_ref(&alert)).await;
            let linked = at(critical(), code);
            bench.commit(std::slice::from_ref(&linked)).await;
            let silence =
                bench.bus.create_silence(&town, silence(code, bench.clock.wall())).await.unwrap().silence_id;
            bench.commit(std::slice::from_ref(&suppressed)).await;
            for (kind, data) in [
                (EvidenceKind::Still, format!("{PIXELS}{code}-still").into_bytes()),
                (EvidenceKind::Clip, clip(code)),
                (EvidenceKind::Preview, preview(code)),
            ] {
                let facts = v1::EvidenceRef {
                    kind: v1::EvidenceKind::from(kind).into(),
                    sha256: Sha256::of(&data).to_string(),
                    size_bytes: data.len() as u64,
                    redacted: kind != EvidenceKind::Clip,
                    start_unix_us: 1,
                    end_unix_us: 1,
                    ..v1::EvidenceRef::default()
                };
                assert_eq!(bench.bus.evidence().put(alert.id, facts, data.into()).await.unwrap(), None);
            }
            let (hold, _) = bench.bus.evidence().hold(&town, alert.id, "a court asks").await.unwrap();
            let settlement = Settlement {
                sink: format!("sink-{code}"),
                origin: Origin::Lane(Lane::Critical),
                seq: bench.bus.store().head(),
                alert: alert.id,
                revision: 1,
                attempts: 1,
                share: Some(v1::Share { alert_id: alert.id.to_string(), ..v1::Share::default() }),
                fate: Fate::Dead { fault: v1::ShareFault::Refused, status: 400 },
            };
            bench.bus.store().sink_place(settlement.sink.clone()).await.unwrap();
            bench.bus.store().settle(settlement).await.unwrap();
            let certificate = Certificate {
                alert: suppressed.id,
                kind: EvidenceKind::Clip,
                sha256: Sha256::of(b"gone"),
                size_bytes: 4,
                stored: Wall(1),
                promised: Wall(2),
                deleted: Wall(3),
                proof: v1::DeletionProof::FileGone,
            };
            bench.bus.store().certify(certificate).await.unwrap();
            bench
                .bus
                .store()
                .report_external(external_state(&alert.id.to_string()), code.to_owned())
                .await
                .unwrap();
            all.push(Division {
                code,
                word,
                alert,
                suppressed,
                silence,
                hold: hold.hold_id,
                release: 0,
                viewing: 0,
                linked,
                link: 0,
                proof: String::new(),
            });
        }
        let (custodians, filings) = (CustodianApi(bench.bus.clone()), FilingApi(bench.bus.clone()));
        for one in &all {
            let request = v1::ImportCustodiansRequest { csv: custodian_csv(one.code, "Ana"), dry_run: false };
            let told = custodians.import_custodians(by(&town, request)).await.unwrap().into_inner();
            assert_eq!((told.added, told.faults), (1, Vec::new()));
            filings.file_points(by(&town, filing(&format!("camera-{}", one.code)))).await.unwrap();
            divide(&bench.bus, &town, one.code).await;
        }
        let camera = |one: &Division| v1::CameraStatus {
            camera_id: format!("camera-{}", one.code),
            division_path: vec!["33".to_owned(), one.code.to_owned()],
            point_class: class_in(one.code).number(),
            ..v1::CameraStatus::default()
        };
        let cameras = all.iter().map(camera).collect();
        bench.bus.board().report("node-1", v1::ReportRequest { cameras, ..v1::ReportRequest::default() });
        answer_pictures(bench.bus.explainer());
        for one in &mut all {
            one.release = release(&bench.bus, &one.alert, true).await;
            one.viewing = viewing(&bench.bus, one.code, v1::ViewingState::Granted).await;
            (one.link, one.proof) = handle(&bench.bus, &one.linked, one.code).await;
        }
        Self { bench, sinks, all }
    }
    /// What texts (ids of alerts, cameras, sinks) belong to.
    pub(super) fn words<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
        let word = |text: &str| {
            let owner = self.all.iter().find(|one| {
                text.ends_with(one.code)
                    || [&one.alert, &one.suppressed, &one.linked]
                        .iter()
                        .any(|alert| alert.id.to_string() == text)
            });
            owner.unwrap_or_else(|| panic!("whose is {text}?")).word
        };
        texts.into_iter().map(word).collect()
    }
}

/// A node that has a picture of every camera.
fn answer_pictures(explainer: &Arc<Explainer>) {
    let explainer = Arc::clone(explainer);
    let mut asked = explainer.attach("node-1", Takes { pictures: true, ..Takes::default() });
    tokio::spawn(async move {
        while let Some(question) = asked.next().await.and_then(|one| one.picture) {
            let answer = v1::AnswerPictureRequest {
                question_id: question.question_id,
                jpeg: format!("{PIXELS}{}", question.camera_id).into_bytes().into(),
                ..v1::AnswerPictureRequest::default()
            };
            explainer.answer_picture("node-1", answer);
        }
    });
}

fn clip(code: &str) -> Vec<u8> {
    let bundle = v1::ClipBundle { files: vec![format!("{PIXELS}{code}-clip").into_bytes().into()] };
    prost::Message::encode_to_vec(&bundle)
}

fn preview(code: &str) -> Vec<u8> {
    let jpeg = format!("{PIXELS}{code}-preview").into_bytes().into();
    let pictures = vec![v1::BundledPicture { arrived_unix_us: 1, jpeg }];
    prost::Message::encode_to_vec(&v1::PreviewBundle { pictures })
}
