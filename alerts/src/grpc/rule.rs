//! Who may make which call: one table for all calls of the protocol. A call that is missing here is refused to everyone,
//! and a test that reads the protocol's descriptors fails.
//!
//! What of a call's content someone may see or do (divisions, levels, own sessions) is the handlers' affair.

use crate::rights::Right;

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Anyone, signed in or not.
    Open,
    /// Whoever has signed in.
    SignedIn,
    /// Whoever has this right.
    Needs(Right),
    /// Likewise, and the handler refuses by itself: its refusal stands in the register or the audit, or says what to do.
    Recorded(Right),
    /// Whoever shows a handler's link, and nobody else; who shows one may make no other call.
    Link,
}

/// Package and service with their calls.
type Service = (&'static str, &'static [(&'static str, Rule)]);

const ALL: &[Service] = {
    use Right::{
        ApproveRelease, ConnectCameras, Dispatch, ExamineViewings, FilePoints, GrantViewings, HoldEvidence,
        Judge, ManageAccounts, ManageCustodians, ManageDivisions, ManageDuty, PrepareRelease, Publish,
        ReadAccounts, ReadAlerts, ReadCameras, ReadCompliance, ReadCustodians, ReadRegister, ReportExternal,
        ReportManually, RevealCustodians, RotateKeys, RunNode, RunSinks, Silence, TuneRules, ViewOriginal,
        ViewRedacted,
    };
    use Rule::{Link, Needs, Open, Recorded, SignedIn};
    &[
        (
            "AccountService",
            &[
                ("SetUp", Open),
                ("SignIn", Open),
                ("SignOut", SignedIn),
                ("GetSelf", SignedIn),
                ("ChangePassword", SignedIn),
                ("EnrolTotp", SignedIn),
                ("ConfirmTotp", SignedIn),
                ("CreateAccount", Needs(ManageAccounts)),
                ("UpdateAccount", Needs(ManageAccounts)),
                ("DisableAccount", Needs(ManageAccounts)),
                ("ResetPassword", Needs(ManageAccounts)),
                ("ListAccounts", Needs(ReadAccounts)),
                ("ListAccountChanges", Needs(ReadAccounts)),
                // One's own, or all with the right to manage them.
                ("ListSessions", SignedIn),
                ("RevokeSession", SignedIn),
            ],
        ),
        (
            "AlertService",
            &[
                ("Publish", Recorded(Publish)),
                ("Subscribe", Recorded(ReadAlerts)),
                ("Acknowledge", Needs(ReadAlerts)),
                ("AcknowledgeStream", Needs(ReadAlerts)),
                ("ListAlerts", Needs(ReadAlerts)),
                ("GetAlert", Needs(ReadAlerts)),
            ],
        ),
        (
            "CameraService",
            &[
                ("ListCameras", Needs(ReadCameras)),
                ("SummariseCameras", Needs(ReadCameras)),
                ("ConnectCamera", Needs(ConnectCameras)),
            ],
        ),
        (
            "CaseService",
            &[
                ("ListCases", Needs(ReadAlerts)),
                ("GetCase", Needs(ReadAlerts)),
                ("ClaimCase", Needs(Judge)),
                // Each act has a right of its own.
                ("ActOnCase", Needs(ReadAlerts)),
                ("ReportManually", Needs(ReportManually)),
            ],
        ),
        // Whoever reads alerts reads their times.
        ("ClockService", &[("ListClockSteps", Needs(ReadAlerts))]),
        (
            "CustodianService",
            &[
                ("ListCustodians", Needs(ReadCustodians)),
                ("RevealCustodian", Needs(RevealCustodians)),
                ("ImportCustodians", Needs(ManageCustodians)),
                ("RotateCustodianKey", Needs(RotateKeys)),
            ],
        ),
        ("DeliveryService", &[("ListDeliveries", Needs(ReadRegister))]),
        // Who reads: whoever reads alerts, or manages either.
        (
            "DivisionService",
            &[
                ("ListDivisions", SignedIn),
                ("PutDivision", Needs(ManageDivisions)),
                ("EndDivision", Needs(ManageDivisions)),
                ("ImportGrid", Needs(ManageDivisions)),
            ],
        ),
        ("DrillService", &[("StartDrill", Needs(Dispatch)), ("GetDrill", Needs(ReadAlerts))]),
        (
            "DutyService",
            &[
                ("ListDutyRules", SignedIn),
                ("PutDutyRule", Needs(ManageDuty)),
                ("EndDutyRule", Needs(ManageDuty)),
                ("ListRoster", SignedIn),
                ("PutShift", Needs(ManageDuty)),
                ("ResolveDuty", SignedIn),
            ],
        ),
        (
            "DisclosureService",
            &[
                ("PrepareRelease", Needs(PrepareRelease)),
                ("DecideRelease", Needs(ApproveRelease)),
                ("GetRelease", Recorded(PrepareRelease)),
                // Whoever has a right on either side, or reads registers.
                ("ListReleases", SignedIn),
                ("ReceiveViewing", Needs(ExamineViewings)),
                ("ExamineViewing", Needs(ExamineViewings)),
                ("DecideViewing", Needs(GrantViewings)),
                ("ShowViewing", Recorded(ExamineViewings)),
                ("CloseViewing", Needs(ExamineViewings)),
                ("ListViewings", SignedIn),
            ],
        ),
        (
            "EvidenceService",
            &[
                ("GetStill", Recorded(ViewRedacted)),
                ("GetPreview", Recorded(ViewRedacted)),
                ("GetClip", Recorded(ViewOriginal)),
                ("GetPicture", Recorded(ViewRedacted)),
                ("ListNearbyCameras", Needs(ViewRedacted)),
                ("ListRegister", Needs(ReadRegister)),
                ("ExportRegister", Needs(ReadRegister)),
            ],
        ),
        ("ExplainService", &[("Explain", Needs(ReadCameras))]),
        (
            "FilingService",
            &[
                ("ListPoints", Needs(ReadCompliance)),
                ("FilePoints", Needs(FilePoints)),
                ("ListFilings", Needs(ReadCompliance)),
            ],
        ),
        // The handlers know whether it is one.
        (
            "HandlerService",
            &[("OpenLink", Link), ("GetLinkStill", Link), ("PutProof", Link), ("ActByLink", Link)],
        ),
        (
            "LinkService",
            &[
                ("GiveLink", Needs(Dispatch)),
                ("EndLink", Needs(Dispatch)),
                ("ListLinks", Needs(ReadAlerts)),
                ("GetProof", Recorded(ViewOriginal)),
            ],
        ),
        (
            "NodeService",
            &[
                ("Attach", Needs(RunNode)),
                ("Report", Needs(RunNode)),
                ("PutEvidence", Needs(RunNode)),
                ("ListActive", Needs(RunNode)),
                ("AnswerExplain", Needs(RunNode)),
                ("AnswerPicture", Needs(RunNode)),
                ("AnswerTrial", Needs(RunNode)),
            ],
        ),
        (
            "RetentionService",
            &[
                ("GetRetention", Needs(ReadRegister)),
                ("ListCertificates", Needs(ReadRegister)),
                ("SetLegalHold", Needs(HoldEvidence)),
                ("LiftLegalHold", Needs(HoldEvidence)),
                ("ListLegalHolds", Needs(ReadRegister)),
            ],
        ),
        (
            "RuleService",
            &[
                ("GetCameraRules", Needs(TuneRules)),
                ("TryCameraRules", Needs(TuneRules)),
                ("PutCameraRules", Needs(TuneRules)),
                ("ListRuleChanges", Needs(TuneRules)),
            ],
        ),
        (
            "SinkService",
            &[
                ("ListSinks", Needs(ReadRegister)),
                ("ListShares", Needs(ReadRegister)),
                ("ListDeadLetters", Needs(ReadRegister)),
                ("RetryDeadLetters", Needs(RunSinks)),
                ("ReportExternalState", Needs(ReportExternal)),
                ("ListExternalStates", Needs(ReadAlerts)),
            ],
        ),
        // Of the divisions that one sees.
        ("StatisticsService", &[("GetCaseStatistics", Needs(ReadAlerts))]),
        (
            "SuppressionService",
            &[
                ("CreateSilence", Needs(Silence)),
                ("ExpireSilence", Needs(Silence)),
                ("ListSilences", Needs(ReadAlerts)),
                ("ListSuppressed", Needs(ReadAlerts)),
            ],
        ),
        // Everybody may know what things are called; so does who signs in.
        ("VocabularyService", &[("GetVocabulary", Open)]),
    ]
};

/// The rule of a call by its path, `/xueliang.v1.AlertService/GetAlert`; `None`: nobody may make it.
pub(super) fn of(path: &str) -> Option<Rule> {
    // Health and reflection tell what anybody may know: that the service serves, and its published protocol.
    if path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.") {
        return Some(Rule::Open);
    }
    let (service, call) = path.strip_prefix("/xueliang.v1.")?.split_once('/')?;
    let (_, calls) = ALL.iter().find(|(name, _)| *name == service)?;
    calls.iter().find(|(name, _)| *name == call).map(|(_, rule)| *rule)
}

/// Paths of all calls that have a rule.
#[cfg(test)]
pub(super) fn paths() -> impl Iterator<Item = String> {
    ALL.iter().flat_map(|(service, calls)| {
        calls.iter().map(move |(call, _)| format!("/xueliang.v1.{service}/{call}"))
    })
}
