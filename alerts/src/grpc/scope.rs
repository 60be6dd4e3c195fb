//! What a principal that is bound to divisions sees of each call: its own, and nothing of anybody else's.

mod town;

use std::collections::BTreeSet;

use futures::StreamExt as _;
use xueliang_base::{point::PointClass, time::Clock as _};
use xueliang_proto::v1::{
    self, alert_service_server::AlertService as _, camera_service_server::CameraService as _,
    case_service_server::CaseService as _, custodian_service_server::CustodianService as _,
    delivery_service_server::DeliveryService as _, disclosure_service_server::DisclosureService as _,
    division_service_server::DivisionService as _, duty_service_server::DutyService as _,
    evidence_service_server::EvidenceService as _, filing_service_server::FilingService as _,
    link_service_server::LinkService as _, retention_service_server::RetentionService as _,
    sink_service_server::SinkService as _, statistics_service_server::StatisticsService as _,
    subscribe_response::Item, suppression_service_server::SuppressionService as _,
};

use self::town::{Division, at, operator};
pub(super) use self::town::{OURS, PIXELS, THEIRS, Town, release, viewing};
use super::{
    cell::{custodian_csv, division, duty_rule, external_state, is_of_places, received, shift, silence},
    *,
};
use crate::testing::critical;

/// Calls that tell of no alert, camera or scope, or not to consoles: which these are is decided here, by name.
const WITHOUT: [&str; 41] = [
    // The key is of no division.
    "RotateCustodianKey",
    // Accounts are of no division: who manages them manages all.
    "ChangePassword",
    "ConfirmTotp",
    "CreateAccount",
    "DisableAccount",
    "EnrolTotp",
    "GetSelf",
    "ListAccountChanges",
    "ListAccounts",
    "ListSessions",
    "ResetPassword",
    "RevokeSession",
    "SetUp",
    "SignIn",
    "SignOut",
    "UpdateAccount",
    "AnswerExplain",
    "AnswerPicture",
    "AnswerTrial",
    // They take a node, or whoever keeps configurations: their own test holds them to divisions.
    "GetCameraRules",
    "TryCameraRules",
    "PutCameraRules",
    "ListRuleChanges",
    // They take a node: their own test holds them to divisions.
    "ConnectCamera",
    "Explain",
    // They are of the link that is shown.
    "OpenLink",
    "GetLinkStill",
    "PutProof",
    "ActByLink",
    // One in a minute: their own test holds them to divisions.
    "StartDrill",
    "GetDrill",
    "Publish",
    "Acknowledge",
    "AcknowledgeStream",
    "Attach",
    "Report",
    "PutEvidence",
    "ListActive",
    "GetRetention",
    "ListClockSteps",
    "GetVocabulary",
];

impl Town {
    /// What of the town one call shows, or lets be changed, to a principal.
    async fn seen(&self, rpc: &str, who: &Principal) -> Option<BTreeSet<&'static str>> {
        let bus = self.bench.bus.clone();
        let alerts = AlertApi(bus.clone());
        let evidence = EvidenceApi(bus.clone());
        let disclosure = DisclosureApi(bus.clone());
        let retention = RetentionApi(bus.clone());
        let suppression = SuppressionApi(bus.clone());
        let cases = CaseApi(bus.clone());
        let key = |one: &Division| {
            Some(v1::CaseKey { by: Some(v1::case_key::By::AlertId(one.alert.id.to_string())) })
        };
        let linked = |one: &Division| {
            Some(v1::CaseKey { by: Some(v1::case_key::By::AlertId(one.linked.id.to_string())) })
        };
        let sinks = SinkApi(self.sinks.clone());
        let (divisions, duty) = (DivisionApi(bus.clone()), DutyApi(bus.clone()));
        let (custodians, filings) = (CustodianApi(bus.clone()), FilingApi(bus.clone()));
        macro_rules! list {
            ($api:expr, $call:ident, $request:ident, $items:ident, $field:ident) => {{
                let answer = $api.$call(by(who, v1::$request::default())).await.unwrap().into_inner();
                self.words(answer.$items.iter().map(|one| one.$field.as_str()))
            }};
        }
        macro_rules! each {
            ($api:expr, $call:ident, |$one:ident| $request:expr) => {{
                let mut seen = BTreeSet::new();
                for $one in &self.all {
                    match $api.$call(by(who, $request)).await {
                        Ok(_) => drop(seen.insert($one.word)),
                        Err(status) => {
                            let hidden = [Code::NotFound, Code::PermissionDenied].contains(&status.code());
                            assert!(hidden, "{rpc}: {status}");
                        }
                    }
                }
                seen
            }};
        }
        let purpose = v1::Purpose::Judge.into();
        Some(match rpc {
            "Subscribe" => {
                let mut stream =
                    alerts.subscribe(by(who, v1::SubscribeRequest::default())).await.unwrap().into_inner();
                let mut seen = BTreeSet::new();
                loop {
                    match stream.next().await.unwrap().unwrap().item.unwrap() {
                        Item::Delivery(one) => seen.insert(crate::testing::key(&one).0),
                        Item::Snapshot(mark) if !mark.begin => break,
                        _ => false,
                    };
                }
                self.words(seen.iter().map(String::as_str))
            }
            "GetCaseStatistics" => {
                let by_camera = vec![v1::StatisticsKey::Camera.into()];
                let request = v1::GetCaseStatisticsRequest { by: by_camera, ..Default::default() };
                let statistics = StatisticsApi(bus.clone());
                let answer = statistics.get_case_statistics(by(who, request)).await.unwrap().into_inner();
                self.words(answer.groups.iter().map(|group| group.of[0].text.as_str()))
            }
            "ListAlerts" => {
                let answer = alerts.list_alerts(by(who, v1::ListAlertsRequest::default())).await.unwrap();
                let answer = answer.into_inner();
                let ids = answer.records.iter().map(|one| one.alert.as_ref().unwrap().alert_id.as_str());
                self.words(ids.chain(answer.suppressed_alert_ids.iter().map(String::as_str)))
            }
            "GetAlert" => {
                each!(alerts, get_alert, |one| v1::GetAlertRequest { alert_id: one.alert.id.to_string() })
            }
            "ListCameras" => {
                list!(CameraApi(bus), list_cameras, ListCamerasRequest, cameras, camera_id)
            }
            "SummariseCameras" => {
                list!(CameraApi(bus), summarise_cameras, SummariseCamerasRequest, troubles, camera_id)
            }
            "ListCustodians" => {
                list!(custodians, list_custodians, ListCustodiansRequest, custodians, camera_id)
            }
            "RevealCustodian" => each!(custodians, reveal_custodian, |one| v1::RevealCustodianRequest {
                camera_id: format!("camera-{}", one.code),
                reason: "the gate is blocked".to_owned()
            }),
            "ImportCustodians" => {
                let mut seen = BTreeSet::new();
                for one in &self.all {
                    let request = v1::ImportCustodiansRequest {
                        csv: custodian_csv(one.code, &who.name),
                        dry_run: false,
                    };
                    let answer = custodians.import_custodians(by(who, request)).await.unwrap().into_inner();
                    if answer.faults.is_empty() {
                        seen.insert(one.word);
                    }
                }
                seen
            }
            "ListPoints" => {
                let answer = filings.list_points(by(who, v1::ListPointsRequest::default())).await.unwrap();
                let answer = answer.into_inner();
                assert_eq!(answer.in_force as usize, answer.points.len(), "what is counted is what is seen");
                self.words(answer.points.iter().map(|one| one.facts.as_ref().unwrap().camera_id.as_str()))
            }
            "FilePoints" => each!(filings, file_points, |one| v1::FilePointsRequest {
                camera_ids: vec![format!("camera-{}", one.code)],
                filing_no: "no-2".to_owned(),
                ..v1::FilePointsRequest::default()
            }),
            "ListFilings" => {
                let answer = filings.list_filings(by(who, v1::ListFilingsRequest::default())).await.unwrap();
                let answer = answer.into_inner();
                self.words(answer.filings.iter().map(|one| one.facts.as_ref().unwrap().camera_id.as_str()))
            }
            "ListDeliveries" => each!(DeliveryApi(bus.clone()), list_deliveries, |one| {
                v1::ListDeliveriesRequest { alert_id: one.alert.id.to_string(), revision: 0 }
            }),
            "GetStill" => each!(evidence, get_still, |one| v1::GetStillRequest {
                alert_id: one.alert.id.to_string(),
                purpose
            }),
            "GetPreview" => each!(evidence, get_preview, |one| v1::GetPreviewRequest {
                alert_id: one.alert.id.to_string(),
                purpose
            }),
            "GetClip" => each!(evidence, get_clip, |one| v1::GetClipRequest {
                alert_id: one.alert.id.to_string(),
                purpose,
                reason: "judging".to_owned(),
                ..v1::GetClipRequest::default()
            }),
            "GetPicture" => each!(evidence, get_picture, |one| v1::GetPictureRequest {
                alert_id: one.alert.id.to_string(),
                purpose,
                ..v1::GetPictureRequest::default()
            }),
            "ListNearbyCameras" => {
                each!(evidence, list_nearby_cameras, |one| v1::ListNearbyCamerasRequest {
                    alert_id: one.alert.id.to_string()
                })
            }
            "ListRegister" => list!(evidence, list_register, ListRegisterRequest, entries, alert_id),
            "ExportRegister" => {
                let reason = "for the inspection".to_owned();
                let request = v1::ExportRegisterRequest { reason, ..Default::default() };
                let mut pieces = evidence.export_register(by(who, request)).await.unwrap().into_inner();
                let mut file = String::new();
                while let Some(piece) = pieces.next().await {
                    file.push_str(std::str::from_utf8(&piece.unwrap().csv).unwrap());
                }
                // The alert is the ninth column; no cell of these entries holds a comma.
                let ids = file.lines().skip(1).map(|line| line.split(',').nth(8).unwrap());
                self.words(ids)
            }
            "PrepareRelease" => each!(disclosure, prepare_release, |one| v1::PrepareReleaseRequest {
                alert_id: one.alert.id.to_string(),
                kind: v1::EvidenceKind::Still.into(),
                reason: "for the newspaper".to_owned(),
            }),
            "DecideRelease" => each!(disclosure, decide_release, |one| v1::DecideReleaseRequest {
                release_id: release(&bus, &one.alert, false).await,
                refusal: "it shows too much".to_owned(),
                ..v1::DecideReleaseRequest::default()
            }),
            "GetRelease" => {
                each!(disclosure, get_release, |one| v1::GetReleaseRequest { release_id: one.release })
            }
            "ListReleases" => list!(disclosure, list_releases, ListReleasesRequest, releases, alert_id),
            "ReceiveViewing" => each!(disclosure, receive_viewing, |one| received(one.code)),
            "ExamineViewing" => each!(disclosure, examine_viewing, |one| v1::ExamineViewingRequest {
                request_id: viewing(&bus, one.code, v1::ViewingState::Received).await,
                refusal: 0
            }),
            "DecideViewing" => each!(disclosure, decide_viewing, |one| v1::DecideViewingRequest {
                request_id: viewing(&bus, one.code, v1::ViewingState::Examined).await,
                refusal: 0
            }),
            "ShowViewing" => each!(disclosure, show_viewing, |one| v1::ShowViewingRequest {
                request_id: one.viewing,
                alert_id: one.alert.id.to_string(),
                kind: v1::EvidenceKind::Still.into(),
                shown_to: v1::ViewingParty::Concerned.into(),
            }),
            "CloseViewing" => each!(disclosure, close_viewing, |one| v1::CloseViewingRequest {
                request_id: viewing(&bus, one.code, v1::ViewingState::Received).await,
                outcome: v1::ViewingOutcome::Withdrawn.into()
            }),
            "ListViewings" => list!(disclosure, list_viewings, ListViewingsRequest, viewings, camera_id),
            "ListCertificates" => {
                list!(retention, list_certificates, ListCertificatesRequest, certificates, alert_id)
            }
            "ListLegalHolds" => list!(retention, list_legal_holds, ListLegalHoldsRequest, holds, alert_id),
            "SetLegalHold" => each!(retention, set_legal_hold, |one| v1::SetLegalHoldRequest {
                alert_id: one.alert.id.to_string(),
                reason: "another court".to_owned()
            }),
            "LiftLegalHold" => each!(retention, lift_legal_hold, |one| v1::LiftLegalHoldRequest {
                hold_id: one.hold,
                reason: "it is over".to_owned()
            }),
            "ListSinks" => list!(sinks, list_sinks, ListSinksRequest, sinks, name),
            "ListShares" => list!(sinks, list_shares, ListSharesRequest, shares, alert_id),
            "ListDeadLetters" => list!(sinks, list_dead_letters, ListDeadLettersRequest, letters, alert_id),
            "RetryDeadLetters" => each!(sinks, retry_dead_letters, |one| v1::RetryDeadLettersRequest {
                sink: format!("sink-{}", one.code),
                letter_ids: Vec::new()
            }),
            "ReportExternalState" => {
                each!(sinks, report_external_state, |one| v1::ReportExternalStateRequest {
                    state: Some(external_state(&one.alert.id.to_string())),
                    idempotency_key: format!("{}-{}", who.reach().is_some(), one.code)
                })
            }
            "ListExternalStates" => each!(sinks, list_external_states, |one| v1::ListExternalStatesRequest {
                alert_id: one.alert.id.to_string()
            }),
            "ListCases" => {
                let answer = cases.list_cases(by(who, v1::ListCasesRequest::default())).await.unwrap();
                let answer = answer.into_inner();
                self.words(answer.cases.iter().map(|one| one.subject.as_ref().unwrap().camera_id.as_str()))
            }
            "GetCase" => each!(cases, get_case, |one| v1::GetCaseRequest { key: key(one) }),
            "ClaimCase" => {
                each!(cases, claim_case, |one| v1::ClaimCaseRequest { key: key(one), revision: 0 })
            }
            "ActOnCase" => {
                let town = operator(None);
                each!(cases, act_on_case, |one| {
                    let case = bus.case(&town, key(one)).await.unwrap().case.unwrap();
                    let what = v1::case_action::What::Urge(v1::CaseUrge {});
                    v1::ActOnCaseRequest {
                        key: key(one),
                        revision: case.revision,
                        action: Some(v1::CaseAction { what: Some(what) }),
                        note: String::new(),
                    }
                })
            }
            "ReportManually" => each!(cases, report_manually, |one| v1::ReportManuallyRequest {
                camera_id: format!("camera-{}", one.code),
                level: v1::Level::Level3.into(),
                note: "smoke behind the shed".to_owned(),
                idempotency_key: format!("report-{}-{}", who.reach().is_some(), one.code),
                ..v1::ReportManuallyRequest::default()
            }),
            "GiveLink" => {
                let links = LinkApi(bus.clone());
                each!(links, give_link, |one| v1::GiveLinkRequest { key: linked(one), life_s: 0 })
            }
            "EndLink" => {
                let links = LinkApi(bus.clone());
                each!(links, end_link, |one| v1::EndLinkRequest { link_id: one.link })
            }
            "ListLinks" => {
                let links = LinkApi(bus.clone());
                each!(links, list_links, |one| v1::ListLinksRequest { key: linked(one) })
            }
            "GetProof" => {
                let links = LinkApi(bus.clone());
                each!(links, get_proof, |one| v1::GetProofRequest {
                    key: linked(one),
                    sha256: one.proof.clone(),
                    purpose,
                    reason: "is it swept".to_owned(),
                    ..v1::GetProofRequest::default()
                })
            }
            "CreateSilence" => {
                each!(suppression, create_silence, |one| silence(one.code, self.bench.clock.wall()))
            }
            "ExpireSilence" => {
                each!(suppression, expire_silence, |one| v1::ExpireSilenceRequest { silence_id: one.silence })
            }
            "ListSilences" => {
                let request = v1::ListSilencesRequest::default();
                let answer = suppression.list_silences(by(who, request)).await.unwrap().into_inner();
                let scopes = answer.silences.iter().map(|one| one.scope.as_ref().unwrap());
                self.words(scopes.flat_map(|scope| scope.divisions.iter().map(String::as_str)))
            }
            "ListSuppressed" => {
                list!(suppression, list_suppressed, ListSuppressedRequest, suppressions, alert_id)
            }
            "ListDivisions" => {
                let answer =
                    divisions.list_divisions(by(who, v1::ListDivisionsRequest::default())).await.unwrap();
                let answer = answer.into_inner();
                self.words(answer.divisions.iter().map(|one| one.path_codes[0].as_str()))
            }
            "PutDivision" => each!(divisions, put_division, |one| v1::PutDivisionRequest {
                division: Some(v1::Division {
                    kind: v1::DivisionKind::Functional.into(),
                    ..division(&format!("zone-{}", one.code), one.code, 0)
                })
            }),
            "EndDivision" => each!(divisions, end_division, |one| v1::EndDivisionRequest {
                code: format!("zone-{}", one.code),
                at_unix_us: 0
            }),
            "ImportGrid" => each!(divisions, import_grid, |one| v1::ImportGridRequest {
                csv: format!("code,parent,level,name\ngrid-{0},{0}82101001,6,Grid\n", one.code)
                    .into_bytes()
                    .into(),
                dry_run: false
            }),
            "ListDutyRules" => list!(duty, list_duty_rules, ListDutyRulesRequest, rules, division_code),
            "PutDutyRule" => {
                each!(duty, put_duty_rule, |one| v1::PutDutyRuleRequest { rule: Some(duty_rule(one.code)) })
            }
            "EndDutyRule" => each!(duty, end_duty_rule, |one| v1::EndDutyRuleRequest {
                rule_id: if one.code == OURS.0 { 1 } else { 2 },
                at_unix_us: 0
            }),
            "ListRoster" => list!(duty, list_roster, ListRosterRequest, shifts, division_code),
            "PutShift" => each!(duty, put_shift, |one| v1::PutShiftRequest { shift: Some(shift(one.code)) }),
            "ResolveDuty" => each!(duty, resolve_duty, |one| v1::ResolveDutyRequest {
                kind: v1::Kind::FireFlame.into(),
                division_code: one.code.to_owned(),
                ..v1::ResolveDutyRequest::default()
            }),
            _ => return None,
        })
    }
}

fn by<T>(who: &Principal, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(who.clone());
    request
}

/// The names of all calls, in the order of the protocol's files.
fn calls() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/xueliang/v1");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    let name = |line: &str| Some(line.trim().strip_prefix("rpc ")?.split_once('(')?.0.to_owned());
    texts.flat_map(|text| text.lines().filter_map(name).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn who_is_bound_to_divisions_sees_and_changes_its_own_by_every_call() {
    let town = Town::new().await;
    let (bound, everywhere) = (operator(Some(OURS.0)), operator(None));
    let calls = calls();
    assert!(calls.len() > 25, "{calls:?}");
    // First what only reads, while nothing is lifted or ended.
    let (mut calls, changing): (Vec<String>, Vec<String>) =
        calls.into_iter().partition(|rpc| ["Get", "List", "Sub"].iter().any(|word| rpc.starts_with(word)));
    calls.sort_by_key(|rpc| rpc == "ListRegister");
    for rpc in calls.into_iter().chain(changing) {
        let Some(seen) = town.seen(&rpc, &bound).await else {
            assert!(WITHOUT.contains(&rpc.as_str()), "{rpc}: say here what a bound principal may see of it");
            continue;
        };
        assert!(!WITHOUT.contains(&rpc.as_str()), "{rpc}");
        assert_eq!(seen, BTreeSet::from([OURS.1]), "{rpc}");
        let all = town.seen(&rpc, &everywhere).await.unwrap();
        assert_eq!(all, BTreeSet::from([OURS.1, THEIRS.1]), "{rpc}: the whole town is told all");
    }
}

/// Calls about what has no class and reaches points of all: closed to whoever is bound to classes.
const OF_ALL_CLASSES: [&str; 5] =
    ["CreateSilence", "ExpireSilence", "ListSilences", "ListSinks", "RetryDeadLetters"];

#[tokio::test]
async fn who_is_bound_to_classes_of_points_sees_and_changes_what_is_of_them_by_every_call() {
    let town = Town::new().await;
    let bound = Principal { classes: Some([PointClass::Third].into()), ..operator(None) };
    let (mut calls, changing): (Vec<String>, Vec<String>) =
        calls().into_iter().partition(|rpc| ["Get", "List", "Sub"].iter().any(|word| rpc.starts_with(word)));
    calls.sort_by_key(|rpc| rpc == "ListRegister");
    for rpc in calls.into_iter().chain(changing).filter(|rpc| !is_of_places(rpc)) {
        let Some(seen) = town.seen(&rpc, &bound).await else { continue };
        let expected =
            if OF_ALL_CLASSES.contains(&rpc.as_str()) { BTreeSet::new() } else { BTreeSet::from([OURS.1]) };
        assert_eq!(seen, expected, "{rpc}");
    }
    // Neither does it see anything whose point declares no class.
    let mut nowhere = at(critical(), OURS.0);
    nowhere.place.class = None;
    town.bench.commit(std::slice::from_ref(&nowhere)).await;
    let alerts = AlertApi(town.bench.bus.clone());
    let request = v1::GetAlertRequest { alert_id: nowhere.id.to_string() };
    assert_eq!(alerts.get_alert(by(&bound, request)).await.unwrap_err().code(), Code::NotFound);
}
