//! Every call of the protocol, by every role, in its own division and in another's: past the guard and the handlers, as a
//! console calls. The calls are read from the protocol's descriptors, so that a new one without a rule fails here.

use std::{collections::BTreeSet, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tonic::{
    body::Body,
    codegen::{Service as _, http},
    service::Routes,
};
use tower::Layer as _;
use xueliang_base::point::PointClass;
use xueliang_proto::v1;

use super::{
    rule::{self, Rule},
    scope::{
        OF_PLACES, OURS, THEIRS, Town, place, received, release, report, rule as duty_rule, shift, silence,
        viewing,
    },
    *,
};
use crate::{
    account::{AccountOptions, Accounts, Caller, Cost},
    rights::{PrincipalKind, Right},
    role::Role,
};

/// Frames of a stream that are read: its snapshot, and more.
const FRAMES: usize = 24;

/// Paths of all calls in the descriptors.
pub(super) fn calls() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(xueliang_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut calls = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let path = |method: &prost_types::MethodDescriptorProto| {
                format!("/{}.{}/{}", file.package(), service.name(), method.name())
            };
            calls.extend(service.method.iter().map(path));
        }
    }
    calls
}

pub(super) struct Served {
    pub(super) town: Town,
    routes: Routes,
}

impl Served {
    pub(super) async fn new() -> Self {
        let town = Town::new().await;
        let bus = &town.bench.bus;
        let cost = Cost { memory_kib: 64, passes: 1 };
        let options = AccountOptions { cost, ..AccountOptions::default() };
        let accounts = Accounts::open(bus, town.bench.folder.path(), options).await.unwrap();
        let routes = Routes::new(bus.alert_service())
            .add_service(accounts.service())
            .add_service(bus.custodian_service())
            .add_service(bus.delivery_service())
            .add_service(bus.filing_service())
            .add_service(bus.evidence_service())
            .add_service(bus.disclosure_service())
            .add_service(bus.retention_service())
            .add_service(bus.camera_service())
            .add_service(bus.case_service())
            .add_service(bus.statistics_service())
            .add_service(bus.division_service())
            .add_service(bus.duty_service())
            .add_service(bus.vocabulary_service())
            .add_service(bus.explain_service())
            .add_service(bus.clock_service())
            .add_service(bus.suppression_service())
            .add_service(bus.node_service(watch::channel(None).1))
            .add_service(town.sinks.service());
        Self { town, routes }
    }
    /// What a call answers to a caller: its code and all that it says.
    pub(super) async fn call(&self, path: &str, message: &[u8], who: Option<&Caller>) -> (Code, Bytes) {
        let who = who.cloned();
        let guard = Guard::new(self.town.bench.bus.clone(), move |_: &http::HeaderMap| Ok(who.clone()));
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap());
        frame.put_slice(message);
        let request = http::Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::new(Full::new(frame.freeze())))
            .unwrap();
        let answer = guard.layer(self.routes.clone()).call(request).await.unwrap();
        let code = |headers: &http::HeaderMap| {
            headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
        };
        let mut said = BytesMut::new();
        if let Some(code) = code(answer.headers()) {
            return (code, said.freeze());
        }
        let mut body = answer.into_body();
        for _ in 0..FRAMES {
            let next = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
            let Some(frame) = next.expect("the stream gives no frame") else { break };
            let frame = frame.unwrap();
            match frame.into_data() {
                Ok(data) => said.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    return (code(&trailers).expect("trailers say how it went"), said.freeze());
                }
            }
        }
        // A stream that goes on.
        (Code::Ok, said.freeze())
    }
    /// A message that asks for what lies in our division, as it is now; `None` where the call names nothing.
    pub(super) async fn about_ours(&self, call: &str) -> Option<Vec<u8>> {
        let ours = self.town.all.iter().find(|one| one.code == OURS.0).unwrap();
        let alert_id = ours.alert.id.to_string();
        let (purpose, reason) = (v1::Purpose::Judge.into(), "for the judgement".to_owned());
        let camera_id = format!("camera-{}", OURS.0);
        let key = Some(v1::CaseKey { by: Some(v1::case_key::By::AlertId(alert_id.clone())) });
        let (within_code, zone) = (OURS.0.to_owned(), format!("zone-{}", OURS.0));
        Some(match call {
            "GetAlert" => v1::GetAlertRequest { alert_id }.encode_to_vec(),
            "GetStill" => v1::GetStillRequest { alert_id, purpose }.encode_to_vec(),
            "GetPreview" => v1::GetPreviewRequest { alert_id, purpose }.encode_to_vec(),
            "GetClip" => {
                v1::GetClipRequest { alert_id, purpose, reason, ..Default::default() }.encode_to_vec()
            }
            "PrepareRelease" => {
                let kind = v1::EvidenceKind::Still.into();
                v1::PrepareReleaseRequest { alert_id, kind, reason }.encode_to_vec()
            }
            "DecideRelease" => {
                let release_id = release(&self.town.bench.bus, &ours.alert, false).await;
                v1::DecideReleaseRequest { release_id, refusal: reason, ..Default::default() }.encode_to_vec()
            }
            "GetRelease" => v1::GetReleaseRequest { release_id: ours.release }.encode_to_vec(),
            "ReceiveViewing" => received(OURS.0).encode_to_vec(),
            "ExamineViewing" => {
                let request_id = viewing(&self.town.bench.bus, OURS.0, v1::ViewingState::Received).await;
                v1::ExamineViewingRequest { request_id, refusal: 0 }.encode_to_vec()
            }
            "DecideViewing" => {
                let request_id = viewing(&self.town.bench.bus, OURS.0, v1::ViewingState::Examined).await;
                v1::DecideViewingRequest { request_id, refusal: 0 }.encode_to_vec()
            }
            "ShowViewing" => v1::ShowViewingRequest {
                request_id: ours.viewing,
                alert_id,
                kind: v1::EvidenceKind::Preview.into(),
                shown_to: v1::ViewingParty::Concerned.into(),
            }
            .encode_to_vec(),
            "CloseViewing" => {
                let request_id = viewing(&self.town.bench.bus, OURS.0, v1::ViewingState::Received).await;
                let outcome = v1::ViewingOutcome::Withdrawn.into();
                v1::CloseViewingRequest { request_id, outcome }.encode_to_vec()
            }
            "ListDeliveries" => v1::ListDeliveriesRequest { alert_id, revision: 0 }.encode_to_vec(),
            "SetLegalHold" => v1::SetLegalHoldRequest { alert_id, reason }.encode_to_vec(),
            "LiftLegalHold" => v1::LiftLegalHoldRequest { hold_id: ours.hold, reason }.encode_to_vec(),
            "ListExternalStates" => v1::ListExternalStatesRequest { alert_id }.encode_to_vec(),
            "ReportExternalState" => v1::ReportExternalStateRequest {
                state: Some(report(&ours.alert)),
                idempotency_key: "one".to_owned(),
            }
            .encode_to_vec(),
            "CreateSilence" => silence(&self.town.bench, OURS.0).encode_to_vec(),
            "ExpireSilence" => v1::ExpireSilenceRequest { silence_id: ours.silence }.encode_to_vec(),
            "ConnectCamera" => v1::ConnectCameraRequest { camera_id, for_us: 60_000_000 }.encode_to_vec(),
            "Explain" => {
                v1::ExplainRequest { camera_id, from_unix_us: 1, to_unix_us: i64::MAX }.encode_to_vec()
            }
            "RevealCustodian" => v1::RevealCustodianRequest { camera_id, reason }.encode_to_vec(),
            "FilePoints" => v1::FilePointsRequest {
                camera_ids: vec![camera_id],
                filing_no: "no-1".to_owned(),
                ..v1::FilePointsRequest::default()
            }
            .encode_to_vec(),
            "GetCase" => v1::GetCaseRequest { key }.encode_to_vec(),
            "ClaimCase" => v1::ClaimCaseRequest { key, revision: 0 }.encode_to_vec(),
            "ActOnCase" => {
                let town = Principal::new("town", PrincipalKind::Operator);
                let case =
                    self.town.bench.bus.case(&town, key.clone()).await.unwrap().case.unwrap_or_default();
                let what = Some(v1::case_action::What::Urge(v1::CaseUrge {}));
                let action = Some(v1::CaseAction { what });
                let revision = case.revision;
                v1::ActOnCaseRequest { key, revision, action, note: String::new() }.encode_to_vec()
            }
            "ReportManually" => v1::ReportManuallyRequest {
                camera_id,
                level: v1::Level::Level3.into(),
                note: "smoke behind the shed".to_owned(),
                idempotency_key: "report-1".to_owned(),
                ..v1::ReportManuallyRequest::default()
            }
            .encode_to_vec(),
            "ListDivisions" => v1::ListDivisionsRequest { within_code, ..Default::default() }.encode_to_vec(),
            "PutDivision" => {
                let kind = v1::DivisionKind::Functional.into();
                let division = Some(v1::Division { kind, ..place(&zone, OURS.0, 0) });
                v1::PutDivisionRequest { division }.encode_to_vec()
            }
            "EndDivision" => v1::EndDivisionRequest { code: zone, at_unix_us: 0 }.encode_to_vec(),
            "ImportGrid" => {
                let csv = format!("code,parent,level,name\ngrid-{0},{0}82101001,6,Grid\n", OURS.0);
                v1::ImportGridRequest { csv: csv.into_bytes().into(), dry_run: false }.encode_to_vec()
            }
            "ListDutyRules" => v1::ListDutyRulesRequest { within_code, ..Default::default() }.encode_to_vec(),
            "PutDutyRule" => v1::PutDutyRuleRequest { rule: Some(duty_rule(OURS.0)) }.encode_to_vec(),
            // The first that was made.
            "EndDutyRule" => v1::EndDutyRuleRequest { rule_id: 1, at_unix_us: 0 }.encode_to_vec(),
            "ListRoster" => v1::ListRosterRequest { within_code, ..Default::default() }.encode_to_vec(),
            "PutShift" => v1::PutShiftRequest { shift: Some(shift(OURS.0)) }.encode_to_vec(),
            "ResolveDuty" => v1::ResolveDutyRequest {
                kind: v1::Kind::FireFlame.into(),
                division_code: within_code,
                ..v1::ResolveDutyRequest::default()
            }
            .encode_to_vec(),
            _ => return None,
        })
    }
    /// Whether an answer tells of anything in our division.
    fn tells_of_ours(&self, said: &[u8]) -> bool {
        let ours = self.town.all.iter().find(|one| one.code == OURS.0).unwrap();
        let words = [
            ours.alert.id.to_string(),
            ours.suppressed.id.to_string(),
            format!("camera-{}", OURS.0),
            format!("sink-{}", OURS.0),
            format!("zone-{}", OURS.0),
            format!("brigade-{}", OURS.0),
            format!("unit-{}", OURS.0),
            // A village of ours.
            format!("{}82101001", OURS.0),
        ];
        words.iter().any(|word| said.windows(word.len()).any(|part| part == word.as_bytes()))
    }
}

/// Whether a role may make a call: by the call's rule, and by what its handler asks for besides.
fn may(role: Role, call: &str, rule: Rule) -> bool {
    let has = |right: &Right| role.rights().contains(right);
    let ruled = match rule {
        Rule::Open | Rule::SignedIn => true,
        Rule::Needs(right) | Rule::Recorded(right) => has(&right),
    };
    ruled
        && match call {
            "ListDivisions" | "ListDutyRules" | "ListRoster" | "ResolveDuty" => {
                [Right::ReadAlerts, Right::ManageDivisions, Right::ManageDuty].iter().any(has)
            }
            "ListReleases" => {
                [Right::PrepareRelease, Right::ApproveRelease, Right::ReadRegister].iter().any(has)
            }
            "ListViewings" => {
                [Right::ExamineViewings, Right::GrantViewings, Right::ReadRegister].iter().any(has)
            }
            // Whoever urges.
            "ActOnCase" => [Right::Dispatch, Right::Supervise].iter().any(has),
            _ => true,
        }
}

/// Someone bound to a division, and to a class of points where one is named.
pub(super) fn caller(role: Role, division: &str, class: Option<PointClass>) -> Caller {
    let bound = class.map_or("all", PointClass::word);
    let principal = Principal {
        name: format!("{role:?}-{division}-{bound}").to_lowercase(),
        kind: PrincipalKind::Console,
        unit: None,
        rights: role.rights().iter().copied().collect(),
        divisions: Some(vec![division.parse().unwrap()]),
        classes: class.map(|class| [class].into()),
    };
    Caller { principal, session: None }
}

#[test]
fn every_call_of_the_protocol_has_one_rule_and_no_rule_is_left_over() {
    let calls: BTreeSet<_> = calls().into_iter().collect();
    let ruled: Vec<_> = rule::paths().collect();
    assert_eq!(ruled.len(), ruled.iter().collect::<BTreeSet<_>>().len(), "a call has two rules");
    let missing: Vec<_> = calls.iter().filter(|path| rule::of(path).is_none()).collect();
    assert!(missing.is_empty(), "say in grpc/rule.rs who may call {missing:?}");
    let left: Vec<_> = ruled.iter().filter(|path| !calls.contains(*path)).collect();
    assert!(left.is_empty(), "no call of the protocol: {left:?}");
    for unknown in ["/xueliang.v1.AlertService/Nothing", "/xueliang.v1.Nothing/GetAlert", "/", "/other/x"] {
        assert_eq!(rule::of(unknown), None, "{unknown}");
    }
}

#[tokio::test]
async fn every_call_by_every_role_gives_what_its_rights_allow_in_its_own_division_and_class_and_nothing_of_another()
 {
    let served = Served::new().await;
    let (mut cells, mut allowed, mut told) = (0, 0, 0);
    for path in calls() {
        let call = path.rsplit('/').next().unwrap();
        let rule = rule::of(&path).unwrap();
        for role in Role::ALL {
            let may = may(role, call, rule);
            // The others first: nothing of ours may be lifted or ended by them. All points of ours are of the third class.
            let (foreign, own) = (PointClass::First, None);
            for (division, class) in [(THEIRS.0, own), (OURS.0, Some(foreign)), (OURS.0, own)] {
                if class.is_some() && OF_PLACES.contains(&call) {
                    continue;
                }
                let is_foreign = division == THEIRS.0 || class.is_some();
                let about = served.about_ours(call).await;
                let message = about.clone().unwrap_or_default();
                let (code, said) = served.call(&path, &message, Some(&caller(role, division, class))).await;
                cells += 1;
                let cell = format!("{path} by {role:?} of {division} and {class:?}: {code:?}");
                assert_ne!(code, Code::Unimplemented, "{cell}: it is not served");
                if !may {
                    assert_eq!(code, Code::PermissionDenied, "{cell}");
                    assert!(said.is_empty(), "{cell}");
                    continue;
                }
                allowed += 1;
                if is_foreign {
                    assert!(!served.tells_of_ours(&said), "{cell}: it tells of another's division or class");
                    if about.is_some() {
                        let hidden = [Code::NotFound, Code::PermissionDenied].contains(&code);
                        assert!(hidden, "{cell}: it reaches into another's division or class");
                    }
                } else {
                    assert_ne!(code, Code::PermissionDenied, "{cell}");
                    assert!(about.is_none() || code != Code::NotFound, "{cell}: its own is hidden");
                    told += usize::from(served.tells_of_ours(&said));
                }
            }
        }
        // Whoever is nobody gets in only where anyone may.
        let message = served.about_ours(call).await.unwrap_or_default();
        let (code, said) = served.call(&path, &message, None).await;
        if rule == Rule::Open {
            assert_ne!(code, Code::PermissionDenied, "{path}");
        } else {
            assert_eq!((code, said.len()), (Code::Unauthenticated, 0), "{path}");
        }
    }
    assert_eq!(cells, (calls().len() * 3 - OF_PLACES.len()) * Role::ALL.len());
    // The cells that are allowed are calls that work, or this test would show nothing.
    assert!(allowed > 600 && told > 120, "{allowed} of {cells} are allowed, {told} tell");
    let unruled =
        served.call("/xueliang.v1.AlertService/Nothing", &[], Some(&caller(Role::Judge, OURS.0, None))).await;
    assert_eq!(unruled.0, Code::PermissionDenied);
}

#[tokio::test]
async fn a_refused_call_is_audited_once_a_minute_and_a_refused_picture_stands_in_the_register() {
    let served = Served::new().await;
    let grid = caller(Role::GridWorker, OURS.0, None);
    for _ in 0..3 {
        let (code, _) = served.call("/xueliang.v1.EvidenceService/ListRegister", &[], Some(&grid)).await;
        assert_eq!(code, Code::PermissionDenied);
    }
    let clip = served.about_ours("GetClip").await.unwrap();
    let (code, _) = served.call("/xueliang.v1.EvidenceService/GetClip", &clip, Some(&grid)).await;
    assert_eq!(code, Code::PermissionDenied);
    let query = crate::store::RegisterQuery { limit: 9, ..Default::default() };
    let register = served.town.bench.bus.store().list_register(query).await.unwrap();
    let entry = register.iter().find(|entry| entry.principal == grid.principal.name);
    assert!(entry.is_some_and(|entry| !entry.granted), "{register:?}");
    // The audit is written beside the answer.
    let audited = || {
        let all = crate::store::tests::audited(served.town.bench.folder.path());
        all.into_iter().filter(|one| one.1 == "call_refused").collect::<Vec<_>>()
    };
    let all = loop {
        match audited() {
            none if none.is_empty() => tokio::task::yield_now().await,
            all => break all,
        }
    };
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].2.starts_with("/xueliang.v1.EvidenceService/ListRegister: "), "{all:?}");
}
