//! A cell of the matrix of rights: one call, by one role, in its own division or in another's, or bound to another class of
//! points. What the call asks for, whether the role may make it, and what its answer gives away. The test of this crate asks a
//! bus of its own, `make bench-cases` a running process; both judge here.
//!
//! Calls are read from the protocol's descriptors, so that a new one is a row of the matrix before anybody thinks of it.

use prost::Message as _;
use xueliang_base::time::Wall;
use xueliang_proto::v1;

use super::{
    Code,
    rule::{self, Rule},
};
use crate::{rights::Right, role::Role};

/// Paths of all calls in the descriptors.
pub fn calls() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(xueliang_proto::FILE_DESCRIPTOR_SET)
        .expect("the descriptors are compiled in");
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

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a call is for anyone, signed in or not.
pub fn is_open(path: &str) -> bool {
    rule::of(path) == Some(Rule::Open)
}

/// Whether a call is about divisions and duty alone, which are of no class of points.
pub fn is_of_places(path: &str) -> bool {
    matches!(
        name(path),
        "EndDivision"
            | "EndDutyRule"
            | "ImportGrid"
            | "ListDivisions"
            | "ListDutyRules"
            | "ListRoster"
            | "PutDivision"
            | "PutDutyRule"
            | "PutShift"
            | "ResolveDuty"
    )
}

/// Whether a role may make a call: by the call's rule, and by what its handler asks for besides.
pub fn may(role: Role, path: &str) -> bool {
    let has = |right: &Right| role.rights().contains(right);
    let ruled = match rule::of(path) {
        None | Some(Rule::Link) => false,
        Some(Rule::Open | Rule::SignedIn) => true,
        Some(Rule::Needs(right) | Rule::Recorded(right)) => has(&right),
    };
    ruled
        && match name(path) {
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

/// What a call acts on and uses up, or as it is at that moment: whoever asks has it made before each cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// It uses nothing up.
    Nothing,
    /// The revision of the alert's case.
    Case,
    /// A release that waits for its decision, prepared by somebody else than asks.
    Release,
    /// A request of somebody concerned that was received.
    Received,
    /// One that was examined, by somebody else than asks.
    Examined,
}

/// What a call needs made for it.
pub fn fresh(path: &str) -> Fresh {
    match name(path) {
        "ActOnCase" => Fresh::Case,
        "DecideRelease" => Fresh::Release,
        "ExamineViewing" | "CloseViewing" => Fresh::Received,
        "DecideViewing" => Fresh::Examined,
        _ => Fresh::Nothing,
    }
}

/// What lies in one division, and is told of by calls that may tell of it. Whoever asks has put it there.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Code of the division, of four digits. Below it lie a county `82`, a township `101` and a village `001`; its camera,
    /// sink, functional node, brigade and the unit of its camera's custodian are named after it.
    pub code: String,
    /// An alert that was shown, with evidence and a hold.
    pub alert_id: String,
    /// An alert that is suppressed.
    pub suppressed_id: String,
    /// The silence that does so.
    pub silence_id: u64,
    /// The hold.
    pub hold_id: u64,
    /// A duty rule that holds there.
    pub rule_id: u64,
    /// An approved release of the alert's still.
    pub release_id: u64,
    /// A granted request of somebody concerned about its camera.
    pub viewing_id: u64,
    /// An alert whose case is handled by a link; empty: none is.
    pub linked_id: String,
    /// That link.
    pub link_id: u64,
    /// Sum of a photo that came by it.
    pub proof: String,
}

impl Place {
    /// Its camera.
    pub fn camera(&self) -> String {
        format!("camera-{}", self.code)
    }
    /// A functional node below it.
    pub fn zone(&self) -> String {
        format!("zone-{}", self.code)
    }
    /// The sink that gets its alerts.
    pub fn sink(&self) -> String {
        format!("sink-{}", self.code)
    }
    /// Words by which an answer tells of it.
    pub fn words(&self) -> [String; 8] {
        let Self { code, alert_id, suppressed_id, .. } = self;
        let village = format!("{code}82101001");
        let (brigade, unit) = (format!("brigade-{code}"), format!("unit-{code}"));
        let (alert, suppressed) = (alert_id.clone(), suppressed_id.clone());
        [alert, suppressed, self.camera(), self.sink(), self.zone(), brigade, unit, village]
    }
    /// Whether an answer tells of anything in it.
    pub fn is_told_by(&self, said: &[u8]) -> bool {
        self.words().iter().any(|word| said.windows(word.len()).any(|part| part == word.as_bytes()))
    }
    /// A message that asks for what lies in it, as it is `now`; `None` where the call names nothing. `state` is the revision or
    /// the number of what [`fresh`] says that the call needs.
    pub fn asked_by(&self, path: &str, state: u64, now: Wall) -> Option<Vec<u8>> {
        let Self { code, alert_id, .. } = self;
        let alert_id = alert_id.clone();
        let (purpose, reason) = (v1::Purpose::Judge.into(), "for the judgement".to_owned());
        let camera_id = self.camera();
        let key = Some(v1::CaseKey { by: Some(v1::case_key::By::AlertId(alert_id.clone())) });
        let (within_code, zone) = (code.clone(), self.zone());
        let linked = Some(v1::CaseKey { by: Some(v1::case_key::By::AlertId(self.linked_id.clone())) });
        Some(match name(path) {
            "GiveLink" | "EndLink" | "ListLinks" | "GetProof" if self.linked_id.is_empty() => return None,
            "GiveLink" => v1::GiveLinkRequest { key: linked, life_s: 0 }.encode_to_vec(),
            "EndLink" => v1::EndLinkRequest { link_id: self.link_id }.encode_to_vec(),
            "ListLinks" => v1::ListLinksRequest { key: linked }.encode_to_vec(),
            "GetProof" => {
                let sha256 = self.proof.clone();
                v1::GetProofRequest { key: linked, sha256, purpose, reason, ..Default::default() }
                    .encode_to_vec()
            }
            "StartDrill" => v1::StartDrillRequest { camera_id }.encode_to_vec(),
            "GetAlert" => v1::GetAlertRequest { alert_id }.encode_to_vec(),
            "GetStill" => v1::GetStillRequest { alert_id, purpose }.encode_to_vec(),
            "GetPreview" => v1::GetPreviewRequest { alert_id, purpose }.encode_to_vec(),
            "GetClip" => {
                v1::GetClipRequest { alert_id, purpose, reason, ..Default::default() }.encode_to_vec()
            }
            "GetPicture" => v1::GetPictureRequest { alert_id, purpose, ..Default::default() }.encode_to_vec(),
            "ListNearbyCameras" => v1::ListNearbyCamerasRequest { alert_id }.encode_to_vec(),
            "PrepareRelease" => {
                let kind = v1::EvidenceKind::Still.into();
                v1::PrepareReleaseRequest { alert_id, kind, reason }.encode_to_vec()
            }
            "DecideRelease" => {
                v1::DecideReleaseRequest { release_id: state, refusal: reason, ..Default::default() }
                    .encode_to_vec()
            }
            "GetRelease" => v1::GetReleaseRequest { release_id: self.release_id }.encode_to_vec(),
            "ReceiveViewing" => received(code).encode_to_vec(),
            "ExamineViewing" => v1::ExamineViewingRequest { request_id: state, refusal: 0 }.encode_to_vec(),
            "DecideViewing" => v1::DecideViewingRequest { request_id: state, refusal: 0 }.encode_to_vec(),
            "ShowViewing" => v1::ShowViewingRequest {
                request_id: self.viewing_id,
                alert_id,
                kind: v1::EvidenceKind::Preview.into(),
                shown_to: v1::ViewingParty::Concerned.into(),
            }
            .encode_to_vec(),
            "CloseViewing" => {
                let outcome = v1::ViewingOutcome::Withdrawn.into();
                v1::CloseViewingRequest { request_id: state, outcome }.encode_to_vec()
            }
            "ListDeliveries" => v1::ListDeliveriesRequest { alert_id, revision: 0 }.encode_to_vec(),
            "SetLegalHold" => v1::SetLegalHoldRequest { alert_id, reason }.encode_to_vec(),
            "LiftLegalHold" => v1::LiftLegalHoldRequest { hold_id: self.hold_id, reason }.encode_to_vec(),
            "ListExternalStates" => v1::ListExternalStatesRequest { alert_id }.encode_to_vec(),
            "ReportExternalState" => v1::ReportExternalStateRequest {
                state: Some(external_state(&alert_id)),
                idempotency_key: "one".to_owned(),
            }
            .encode_to_vec(),
            "CreateSilence" => silence(code, now).encode_to_vec(),
            "ExpireSilence" => v1::ExpireSilenceRequest { silence_id: self.silence_id }.encode_to_vec(),
            "ConnectCamera" => v1::ConnectCameraRequest { camera_id, for_us: 60_000_000 }.encode_to_vec(),
            "Explain" => {
                v1::ExplainRequest { camera_id, from_unix_us: 1, to_unix_us: i64::MAX }.encode_to_vec()
            }
            "GetCameraRules" => v1::GetCameraRulesRequest { camera_id }.encode_to_vec(),
            "ListRuleChanges" => v1::ListRuleChangesRequest { camera_id }.encode_to_vec(),
            "TryCameraRules" => {
                let rules = Some(v1::CameraRules::default());
                v1::TryCameraRulesRequest { camera_id, rules }.encode_to_vec()
            }
            // Those of the configuration file, which are in force: nothing is changed.
            "PutCameraRules" => {
                v1::PutCameraRulesRequest { camera_id, rules: None, config_revision: 1, reason }
                    .encode_to_vec()
            }
            "RevealCustodian" => v1::RevealCustodianRequest { camera_id, reason }.encode_to_vec(),
            "FilePoints" => filing(&camera_id).encode_to_vec(),
            "GetCase" => v1::GetCaseRequest { key }.encode_to_vec(),
            "ClaimCase" => v1::ClaimCaseRequest { key, revision: 0 }.encode_to_vec(),
            "ActOnCase" => {
                let what = Some(v1::case_action::What::Urge(v1::CaseUrge {}));
                let action = Some(v1::CaseAction { what });
                v1::ActOnCaseRequest { key, revision: state, action, note: String::new() }.encode_to_vec()
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
                let division = Some(v1::Division { kind, ..division(&zone, code, 0) });
                v1::PutDivisionRequest { division }.encode_to_vec()
            }
            "EndDivision" => v1::EndDivisionRequest { code: zone, at_unix_us: 0 }.encode_to_vec(),
            "ImportGrid" => {
                let csv = format!("code,parent,level,name\ngrid-{code},{code}82101001,6,Grid\n");
                v1::ImportGridRequest { csv: csv.into_bytes().into(), dry_run: false }.encode_to_vec()
            }
            "ListDutyRules" => v1::ListDutyRulesRequest { within_code, ..Default::default() }.encode_to_vec(),
            "PutDutyRule" => v1::PutDutyRuleRequest { rule: Some(duty_rule(code)) }.encode_to_vec(),
            "EndDutyRule" => v1::EndDutyRuleRequest { rule_id: self.rule_id, at_unix_us: 0 }.encode_to_vec(),
            "ListRoster" => v1::ListRosterRequest { within_code, ..Default::default() }.encode_to_vec(),
            "PutShift" => v1::PutShiftRequest { shift: Some(shift(code)) }.encode_to_vec(),
            "ResolveDuty" => v1::ResolveDutyRequest {
                kind: v1::Kind::FireFlame.into(),
                division_code: within_code,
                ..v1::ResolveDutyRequest::default()
            }
            .encode_to_vec(),
            _ => return None,
        })
    }
    /// The divisions below it, to be put one after the other.
    pub fn below(&self) -> [v1::Division; 3] {
        let code = &self.code;
        [
            division(&format!("{code}82"), code, 3),
            division(&format!("{code}82101"), &format!("{code}82"), 4),
            division(&format!("{code}82101001"), &format!("{code}82101"), 5),
        ]
    }
}

/// A division to put.
pub fn division(code: &str, parent: &str, level: i32) -> v1::Division {
    v1::Division {
        code: code.to_owned(),
        parent_code: parent.to_owned(),
        level,
        kind: v1::DivisionKind::Statutory.into(),
        name: code.to_owned(),
        ..v1::Division::default()
    }
}

/// A duty rule of a division.
pub fn duty_rule(code: &str) -> v1::DutyRule {
    v1::DutyRule {
        division_code: code.to_owned(),
        lead_unit: format!("brigade-{code}"),
        ..v1::DutyRule::default()
    }
}

/// A shift of a division.
pub fn shift(code: &str) -> v1::Shift {
    v1::Shift {
        division_code: code.to_owned(),
        unit: format!("brigade-{code}"),
        account: "bo".to_owned(),
        ..v1::Shift::default()
    }
}

/// A silence over a division for ten minutes.
pub fn silence(code: &str, now: Wall) -> v1::CreateSilenceRequest {
    v1::CreateSilenceRequest {
        scope: Some(v1::SilenceScope { divisions: vec![code.to_owned()], ..v1::SilenceScope::default() }),
        purpose: v1::SilencePurpose::Maintenance.into(),
        reason: "work on masts".to_owned(),
        begin_unix_us: 0,
        end_unix_us: now.plus(std::time::Duration::from_secs(600)).0,
    }
}

/// What another system reports of an alert.
pub fn external_state(alert_id: &str) -> v1::ExternalState {
    v1::ExternalState {
        alert_id: alert_id.to_owned(),
        system: "city".to_owned(),
        stage: v1::ExternalStage::Accepted.into(),
        at_unix_us: 1,
        ..v1::ExternalState::default()
    }
}

/// A request of somebody concerned about a division's camera.
pub fn received(code: &str) -> v1::ReceiveViewingRequest {
    v1::ReceiveViewingRequest {
        camera_id: format!("camera-{code}"),
        from_unix_us: 1,
        to_unix_us: 2,
        basis: v1::ViewingBasis::Property.into(),
        party: v1::ViewingParty::Concerned.into(),
    }
}

/// A filing of a camera.
pub fn filing(camera_id: &str) -> v1::FilePointsRequest {
    v1::FilePointsRequest {
        camera_ids: vec![camera_id.to_owned()],
        filing_no: "no-1".to_owned(),
        ..v1::FilePointsRequest::default()
    }
}

/// A file with the custodian of a division's camera, to be imported.
pub fn custodian_csv(code: &str, name: &str) -> bytes::Bytes {
    let head = "camera_id,unit,name,telephone";
    format!("{head}\ncamera-{code},unit-{code},{name},13812341234\n").into_bytes().into()
}

/// What an answer to one cell came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As its rights have it.
    Right {
        /// Whether it told of what lies in the division.
        told: bool,
    },
    /// It gave what nobody was to get.
    Leak(&'static str),
    /// It withheld what its caller may have, so the rest of the cell shows nothing.
    Withheld(&'static str),
}

/// Judges the answer to a call that asked for what lies in `place`: of a role of that division (`own`), or of another
/// or bound to a class that nothing in it is of.
pub fn judge(
    place: &Place,
    path: &str,
    role: Role,
    own: bool,
    names: bool,
    code: Code,
    said: &[u8],
) -> Verdict {
    if code == Code::Unimplemented {
        return Verdict::Withheld("it is not served");
    }
    // The services of accounts say the same of a wrong password.
    if code == Code::Unauthenticated && !path.starts_with("/xueliang.v1.AccountService/") {
        return Verdict::Withheld("its caller is not signed in");
    }
    if !may(role, path) {
        return match (code, said.len()) {
            (Code::PermissionDenied, 0) => Verdict::Right { told: false },
            _ => Verdict::Leak("its role may not make it, and it was not refused"),
        };
    }
    let told = place.is_told_by(said);
    match own {
        false if told => Verdict::Leak("it tells of another's division or class"),
        false if names && !matches!(code, Code::NotFound | Code::PermissionDenied) => {
            Verdict::Leak("it reaches into another's division or class")
        }
        false => Verdict::Right { told },
        // They ask for one's password once more, and say so of a wrong one; nobody here says any.
        true if code == Code::PermissionDenied && matches!(name(path), "ChangePassword" | "EnrolTotp") => {
            Verdict::Right { told }
        }
        true if code == Code::PermissionDenied => {
            Verdict::Withheld("its role may make it, and it was refused")
        }
        true if names && code == Code::NotFound => Verdict::Withheld("its own is hidden"),
        true => Verdict::Right { told },
    }
}

/// Judges the answer to whoever is nobody, who gets in only where anyone may.
pub fn judge_nobody(path: &str, code: Code, said: &[u8]) -> Verdict {
    match (is_open(path), code, said.len()) {
        (true, Code::PermissionDenied, _) => Verdict::Withheld("it is for anyone, and was refused"),
        (true, ..) | (false, Code::Unauthenticated, 0) => Verdict::Right { told: false },
        (false, ..) => Verdict::Leak("nobody got in"),
    }
}
