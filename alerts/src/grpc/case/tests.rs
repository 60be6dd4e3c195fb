//! The loop by API: who may do what, two at once, what nobody has touched, and whose case it is.

mod clock;
mod dispatch;

use std::time::Duration;

use tonic::Code;
use xueliang_base::{
    alert::Alert,
    kind::Kind,
    time::{Clock as _, ManualClock},
};
use xueliang_proto::v1::{CaseState, case_action::What, case_key::By};

use super::*;
use crate::{
    rights::{Principal, PrincipalKind, Right},
    testing::{Bench, NOW, alert, critical, major, minor, next_state, resolved},
};

fn by<T>(who: &Principal, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(who.clone());
    request
}

/// An account of a unit, with every right on cases.
fn account(name: &str, unit: &str) -> Principal {
    Principal { unit: Some(unit.to_owned()), ..Principal::new(name, PrincipalKind::Operator) }
}

fn of(alert: &Alert) -> Option<v1::CaseKey> {
    Some(v1::CaseKey { by: Some(By::AlertId(alert.id.to_string())) })
}

fn numbered(number: &str) -> Option<v1::CaseKey> {
    Some(v1::CaseKey { by: Some(By::Number(number.to_owned())) })
}

async fn act(
    bench: &Bench,
    who: &Principal,
    key: Option<v1::CaseKey>,
    revision: u64,
    what: What,
) -> Result<v1::Case, Status> {
    let action = Some(v1::CaseAction { what: Some(what) });
    let request = v1::ActOnCaseRequest { key, revision, action, note: "as agreed".to_owned() };
    let answer = CaseApi(bench.bus.clone()).act_on_case(by(who, request)).await?;
    Ok(answer.into_inner().case.unwrap())
}

async fn claim(bench: &Bench, who: &Principal, alert: &Alert) -> Result<v1::Case, Status> {
    let request = v1::ClaimCaseRequest { key: of(alert), revision: 0 };
    let answer = CaseApi(bench.bus.clone()).claim_case(by(who, request)).await?;
    Ok(answer.into_inner().case.unwrap())
}

async fn get(bench: &Bench, alert: &Alert) -> v1::GetCaseResponse {
    let request = v1::GetCaseRequest { key: of(alert) };
    CaseApi(bench.bus.clone()).get_case(by(&account("lea", "desk"), request)).await.unwrap().into_inner()
}

async fn list(bench: &Bench, request: v1::ListCasesRequest) -> v1::ListCasesResponse {
    CaseApi(bench.bus.clone()).list_cases(by(&account("lea", "desk"), request)).await.unwrap().into_inner()
}

fn alert_of(case: &v1::Case) -> String {
    case.subject.as_ref().unwrap().alert_id.clone()
}

fn dispatch(unit: &str) -> What {
    What::Dispatch(v1::CaseDispatch { unit: unit.to_owned(), assisting_units: Vec::new() })
}

fn feedback() -> What {
    What::Feedback(v1::CaseFeedback { proof_sha256: vec!["ab".repeat(32)] })
}

#[tokio::test]
async fn a_case_goes_from_its_alert_to_its_end_and_its_history_says_how() {
    let bench = Bench::new();
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let untouched = get(&bench, &alert).await;
    let case = untouched.case.unwrap();
    assert_eq!((case.state(), case.revision, case.number.as_str()), (CaseState::New, 0, ""));
    assert_eq!((case.opened_unix_us, untouched.history.len()), (NOW.0, 0));
    assert_eq!(case.timers[0].due_unix_us, NOW.plus(Duration::from_secs(60)).0);

    let (jan, dora) = (account("jan", "desk"), account("dora", "desk"));
    let (hugo, vera) = (account("hugo", "brigade"), account("vera", "desk"));
    let claimed = claim(&bench, &jan, &alert).await.unwrap();
    assert_eq!(claimed.claimed_by.as_ref().unwrap().account, "jan");
    let number = claimed.number.clone();
    assert_eq!((number.len(), claimed.revision), (29, 2));
    let (mut revision, mut went) = (claimed.revision, Vec::new());
    for (who, what, state) in [
        (&jan, What::Confirm(v1::CaseConfirm {}), CaseState::Confirmed),
        (&dora, dispatch("brigade"), CaseState::Dispatched),
        (&hugo, What::Accept(v1::CaseAccept {}), CaseState::Accepted),
        (&hugo, What::Start(v1::CaseStart {}), CaseState::Handling),
        (&hugo, feedback(), CaseState::Feedback),
        (&vera, What::TakeUp(v1::CaseTakeUp {}), CaseState::Verifying),
        (&vera, What::Pass(v1::CasePass {}), CaseState::Closed),
    ] {
        if state == CaseState::Verifying {
            let refused = act(&bench, &hugo, numbered(&number), revision, what.clone()).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        }
        let case = act(&bench, who, numbered(&number), revision, what).await.unwrap();
        assert_eq!((case.state(), case.revision), (state, revision + 1));
        revision = case.revision;
        went.push(state);
    }
    let bench = bench.reopen().await;
    let told = get(&bench, &alert).await;
    let states: Vec<_> = told.history.iter().skip(2).map(v1::CaseEvent::state).collect();
    assert_eq!(states, went);
    let who: Vec<_> = told.history.iter().map(|one| one.actor.clone().unwrap().account).collect();
    assert_eq!(who, ["system", "jan", "jan", "dora", "hugo", "hugo", "hugo", "vera", "vera"]);
    let capacities = told.case.unwrap().capacities.unwrap();
    assert_eq!(capacities.handled.unwrap().accounts, ["hugo"]);
    assert_eq!(capacities.verified.unwrap().units, ["desk"]);
}

#[tokio::test]
async fn of_two_who_act_at_once_one_wins_and_the_other_is_told_who() {
    let bench = Bench::new();
    for round in 0..20 {
        let alert = major();
        bench.commit(std::slice::from_ref(&alert)).await;
        let (ana, bo) = (account("ana", "desk"), account("bo", "desk"));
        let one = act(&bench, &ana, of(&alert), 0, What::Confirm(v1::CaseConfirm {}));
        let false_alarm = v1::CaseFalseAlarm { reason: v1::FalseAlarmReason::Light.into() };
        let other = act(&bench, &bo, of(&alert), 0, What::FalseAlarm(false_alarm));
        let (one, other) = tokio::join!(one, other);
        let (won, lost, name) = match (one, other) {
            (Ok(won), Err(lost)) => (won, lost, "ana"),
            (Err(lost), Ok(won)) => (won, lost, "bo"),
            both => panic!("{round}: {both:?}"),
        };
        assert_eq!(lost.code(), Code::FailedPrecondition);
        assert!(lost.message().starts_with(&format!("{name} of desk was first")), "{}", lost.message());
        assert_eq!(get(&bench, &alert).await.case.unwrap(), won);
    }
    // The same again, because its answer was lost, is done once.
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    let ana = account("ana", "desk");
    let first = act(&bench, &ana, of(&alert), 0, What::Confirm(v1::CaseConfirm {})).await.unwrap();
    let again = act(&bench, &ana, of(&alert), 0, What::Confirm(v1::CaseConfirm {})).await.unwrap();
    assert_eq!(first, again);
    let refused = act(&bench, &ana, of(&alert), 9, dispatch("brigade")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn who_claims_is_shown_and_others_wait_until_the_claim_ends() {
    let bench = Bench::new();
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    let (ana, bo) = (account("ana", "desk"), account("bo", "desk"));
    let claimed = claim(&bench, &ana, &alert).await.unwrap();
    assert_eq!(claim(&bench, &ana, &alert).await.unwrap(), claimed, "the same again is the same");
    let refused = claim(&bench, &bo, &alert).await.unwrap_err();
    assert!(refused.message().contains("ana of desk was first"), "{refused}");
    let confirm = || What::Confirm(v1::CaseConfirm {});
    let refused = act(&bench, &bo, of(&alert), claimed.revision, confirm()).await.unwrap_err();
    assert!(refused.message().contains("ana of desk judges"), "{refused}");
    bench.clock.advance(crate::case::CLAIM);
    assert_eq!(get(&bench, &alert).await.case.unwrap().claimed_by, None);
    act(&bench, &bo, of(&alert), claimed.revision, confirm()).await.unwrap();
}

#[tokio::test]
async fn each_action_needs_its_right_and_the_clocks_are_nobodys() {
    let bench = Bench::new();
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    let all = [
        Right::Judge,
        Right::Dispatch,
        Right::Handle,
        Right::Verify,
        Right::Supervise,
        Right::Lead,
        Right::HoldEvidence,
        Right::SetExtreme,
        Right::ReportManually,
    ];
    let level = |level: v1::Level| What::Regrade(v1::CaseRegrade { level: level.into() });
    let supervise = |by: v1::Supervision| What::Supervise(v1::CaseSupervise { supervision: by.into() });
    for (what, needed) in [
        (What::Confirm(v1::CaseConfirm {}), vec![Right::Judge]),
        (level(v1::Level::Level2), vec![Right::Judge]),
        (level(v1::Level::Level1), vec![Right::SetExtreme]),
        (dispatch("brigade"), vec![Right::Dispatch]),
        (What::Extend(v1::CaseExtend {}), vec![Right::Dispatch]),
        (What::Accept(v1::CaseAccept {}), vec![Right::Handle]),
        (feedback(), vec![Right::Handle]),
        (What::Pass(v1::CasePass {}), vec![Right::Verify]),
        (What::Reopen(v1::CaseReopen {}), vec![Right::Supervise]),
        (supervise(v1::Supervision::Manual), vec![Right::Supervise]),
        (supervise(v1::Supervision::Leader), vec![Right::Lead]),
        (What::ForceClose(v1::CaseForceClose {}), vec![Right::Lead]),
        (What::Urge(v1::CaseUrge {}), vec![Right::Dispatch, Right::Supervise]),
        (What::Hold(v1::CaseHold { held: true }), vec![Right::HoldEvidence]),
    ] {
        for right in all {
            let mut who = account("ana", "desk");
            who.rights.retain(|one| !all.contains(one) || *one == right);
            // Whoever may do it is refused for another reason, or not at all.
            let lacks = match act(&bench, &who, of(&alert), 77, what.clone()).await {
                Err(status) => status.message().contains("lacks the right"),
                Ok(_) => panic!("nobody knows revision 77"),
            };
            assert_eq!(lacks, !needed.contains(&right), "{what:?} with {right:?}");
        }
    }
    let clock = What::Overdue(v1::CaseOverdue { stage: v1::CaseStage::Judge.into() });
    let absorb = What::Absorb(v1::CaseAbsorb::default());
    for what in [clock, absorb, What::Claim(v1::CaseClaim { until_unix_us: i64::MAX })] {
        let refused = act(&bench, &account("ana", "desk"), of(&alert), 0, what).await.unwrap_err();
        assert_ne!(refused.code(), Code::Ok);
        assert!(refused.code() == Code::InvalidArgument, "{refused}");
    }
    let console = Principal::new("wall", PrincipalKind::Console);
    let refused = claim(&bench, &console, &alert).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(get(&bench, &alert).await.case.unwrap().revision, 0, "nothing of it was done");
}

#[tokio::test]
async fn lists_hold_what_nobody_touched_and_page_without_holes() {
    let bench = Bench::new();
    let mut alerts = Vec::new();
    for round in 0..9 {
        let one = [critical, major, minor][round % 3]();
        bench.commit(&[one.clone(), alert(Kind::ClockDrift, 4)]).await;
        if round % 2 == 0 {
            claim(&bench, &account("ana", "desk"), &one).await.unwrap();
        }
        alerts.insert(0, one.id.to_string());
        if round % 4 != 0 {
            bench.clock.advance(Duration::from_secs(1));
        }
    }
    let mut found = Vec::new();
    let mut ask = v1::ListCasesRequest { page_size: 2, ..v1::ListCasesRequest::default() };
    loop {
        let page = list(&bench, ask.clone()).await;
        assert!(page.cases.windows(2).all(|two| two[0].opened_unix_us >= two[1].opened_unix_us));
        found.extend(page.cases.iter().map(alert_of));
        ask.page_token = page.next_page_token;
        if ask.page_token.is_empty() {
            break;
        }
    }
    // Those of one moment come in an order of their own.
    found.sort_unstable();
    alerts.sort_unstable();
    assert_eq!(found, alerts, "each once, devices are no hazard");
    let filter = |filter| v1::ListCasesRequest { filter: Some(filter), ..v1::ListCasesRequest::default() };
    let device = v1::AlertFilter { classes: vec![v1::KindClass::Device.into()], ..Default::default() };
    assert_eq!(list(&bench, filter(device)).await.cases.len(), 9);
    let severe = v1::AlertFilter { least_level: v1::Level::Level2.into(), ..Default::default() };
    assert_eq!(list(&bench, filter(severe)).await.cases.len(), 3);
    let closed = v1::ListCasesRequest { states: vec![CaseState::Closed.into()], ..Default::default() };
    assert_eq!(list(&bench, closed).await.cases.len(), 0);
    let new = v1::ListCasesRequest { states: vec![CaseState::New.into()], ..Default::default() };
    assert_eq!(list(&bench, new).await.cases.len(), 9);
}

#[tokio::test]
async fn the_cases_of_named_alerts_are_listed_touched_or_not_and_only_as_far_as_one_sees() {
    let bench = Bench::new();
    let (touched, untouched, other) = (critical(), major(), minor());
    let device = alert(Kind::ClockDrift, 4);
    bench.commit(&[touched.clone(), untouched.clone(), other, device.clone()]).await;
    claim(&bench, &account("ana", "desk"), &touched).await.unwrap();
    let ids: Vec<String> = [&touched, &untouched, &device, &touched].map(|one| one.id.to_string()).to_vec();
    let named = v1::ListCasesRequest { alert_ids: ids, ..Default::default() };
    let mut found: Vec<_> = list(&bench, named.clone()).await.cases.iter().map(alert_of).collect();
    found.sort_unstable();
    let mut wanted = vec![touched.id.to_string(), untouched.id.to_string()];
    wanted.sort_unstable();
    assert_eq!(found, wanted, "each once, and of devices only where they are asked for");
    let mut elsewhere = account("eva", "desk");
    elsewhere.divisions = Some(vec!["440000".parse().unwrap()]);
    let api = CaseApi(bench.bus.clone());
    let seen = api.list_cases(by(&elsewhere, named)).await.unwrap().into_inner();
    assert_eq!(seen.cases.len(), 0);
    let unknown = v1::ListCasesRequest { alert_ids: vec![critical().id.to_string()], ..Default::default() };
    assert_eq!(list(&bench, unknown).await.cases.len(), 0);
    let many = vec![touched.id.to_string(); 201];
    for alert_ids in [many, vec!["gate".to_owned()]] {
        let wrong = v1::ListCasesRequest { alert_ids, ..Default::default() };
        let refused = api.list_cases(by(&account("lea", "desk"), wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test]
async fn what_is_over_stays_to_be_judged_and_says_since_when() {
    let bench = Bench::new();
    let (touched, untouched) = (major(), major());
    bench.commit(&[touched.clone(), untouched.clone()]).await;
    let ana = account("ana", "desk");
    claim(&bench, &ana, &touched).await.unwrap();
    bench.commit(&[resolved(&touched), resolved(&untouched)]).await;
    let cases = list(&bench, v1::ListCasesRequest::default()).await.cases;
    assert_eq!(cases.len(), 2);
    for case in cases {
        assert_eq!((case.state(), case.condition_ended_unix_us), (CaseState::New, NOW.0));
    }
    let clear = || What::Clear(v1::CaseClear {});
    let case = act(&bench, &ana, of(&untouched), 0, clear()).await.unwrap();
    assert_eq!(case.state(), CaseState::Cleared);
    let ended = get(&bench, &untouched).await.history;
    assert!(matches!(ended[1].action.as_ref().unwrap().what, Some(What::ConditionEnded(_))));
    // Of what is severe, people say what it was.
    let severe = alert(Kind::CrowdDensity, 2);
    bench.commit(std::slice::from_ref(&severe)).await;
    bench.commit(&[resolved(&severe)]).await;
    let refused = act(&bench, &ana, of(&severe), 0, clear()).await.unwrap_err();
    assert!(refused.message().contains("judged by people"), "{refused}");
    assert_eq!(get(&bench, &severe).await.case.unwrap().revision, 0, "a refusal leaves nothing behind");
}

#[tokio::test]
async fn what_is_suppressed_waits_for_nobody_until_it_is_shown() {
    let bench = Bench::new();
    let scope = v1::SilenceScope { divisions: vec!["33".to_owned()], ..v1::SilenceScope::default() };
    let request = v1::CreateSilenceRequest {
        scope: Some(scope),
        purpose: v1::SilencePurpose::Maintenance.into(),
        reason: "work on masts".to_owned(),
        begin_unix_us: 0,
        end_unix_us: bench.clock.wall().plus(Duration::from_secs(600)).0,
    };
    let ana = account("ana", "desk");
    let silence = bench.bus.create_silence(&ana, request).await.unwrap();
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    assert_eq!(list(&bench, v1::ListCasesRequest::default()).await.cases.len(), 0);
    let refused = claim(&bench, &ana, &alert).await.unwrap_err();
    assert!(refused.message().contains("has not been shown"), "{refused}");
    bench.clock.advance(Duration::from_secs(7));
    bench.bus.expire_silence(&ana, silence.silence_id).await.unwrap();
    let cases = list(&bench, v1::ListCasesRequest::default()).await.cases;
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].opened_unix_us, NOW.plus(Duration::from_secs(7)).0, "from when on it was to be seen");
}

#[tokio::test]
async fn duplicates_become_one_and_their_alerts_lead_there() {
    let bench = Bench::new();
    let (one, other) = (major(), major());
    bench.commit(&[one.clone(), other.clone()]).await;
    let ana = account("ana", "desk");
    let into = act(&bench, &ana, of(&one), 0, What::Confirm(v1::CaseConfirm {})).await.unwrap();
    let merge = What::Merge(v1::CaseMerge { into_number: into.number.clone() });
    let merged = act(&bench, &ana, of(&other), 0, merge).await.unwrap();
    assert_eq!((merged.state(), merged.merged_into.as_str()), (CaseState::Merged, into.number.as_str()));
    let target = get(&bench, &one).await.case.unwrap();
    assert_eq!((target.absorbed, target.revision), (vec![merged.number.clone()], into.revision + 1));
    assert_ne!(merged.number, into.number, "each has a number of its own for ever");
    let refused =
        act(&bench, &ana, of(&other), merged.revision, What::Reopen(v1::CaseReopen {})).await.unwrap_err();
    assert!(refused.message().contains("act on that one"), "{refused}");
    // A drill is never one case with what happened.
    let drill = Alert { drill: true, ..major() };
    bench.commit(std::slice::from_ref(&drill)).await;
    let merge = What::Merge(v1::CaseMerge { into_number: into.number.clone() });
    let refused = act(&bench, &ana, of(&drill), 0, merge).await.unwrap_err();
    assert!(refused.message().contains("are no one case"), "{refused}");
    // Where the other case is over, neither changes.
    let third = major();
    bench.commit(std::slice::from_ref(&third)).await;
    let force = What::ForceClose(v1::CaseForceClose {});
    act(&bench, &account("lea", "desk"), of(&one), into.revision + 1, force).await.unwrap();
    let merge = What::Merge(v1::CaseMerge { into_number: into.number.clone() });
    assert!(act(&bench, &ana, of(&third), 0, merge).await.is_err());
    assert_eq!(get(&bench, &third).await.case.unwrap().revision, 0);
}

#[tokio::test]
async fn what_somebody_saw_becomes_a_case_and_a_miss_of_the_machine() {
    let bench = Bench::new();
    let camera = v1::CameraStatus {
        camera_id: "gate".to_owned(),
        division_path: vec!["33".to_owned(), "330282".to_owned()],
        ..v1::CameraStatus::default()
    };
    bench.bus.board().report("node-1", v1::ReportRequest { cameras: vec![camera], ..Default::default() });
    let api = CaseApi(bench.bus.clone());
    let rosa = account("rosa", "grid");
    let miss = v1::MachineMiss { kind: v1::Kind::FireSmoke.into(), seen_unix_us: NOW.0 };
    let request = v1::ReportManuallyRequest {
        camera_id: "gate".to_owned(),
        level: v1::Level::Level3.into(),
        note: "smoke behind the shed".to_owned(),
        miss: Some(miss),
        drill: false,
        idempotency_key: "report-1".to_owned(),
    };
    let case = api.report_manually(by(&rosa, request.clone())).await.unwrap().into_inner().case.unwrap();
    let subject = case.subject.clone().unwrap();
    assert_eq!(
        (subject.kind(), subject.miss, subject.alert_id.as_str()),
        (v1::Kind::ManualReport, Some(miss), "")
    );
    assert!(case.number.starts_with("330282000000") && case.number[20..24] == *"9101", "{}", case.number);
    let again = api.report_manually(by(&rosa, request.clone())).await.unwrap().into_inner().case.unwrap();
    assert_eq!(again, case);
    let plain =
        v1::ReportManuallyRequest { miss: None, idempotency_key: "report-2".to_owned(), ..request.clone() };
    api.report_manually(by(&rosa, plain)).await.unwrap();
    let misses = v1::ListCasesRequest { only_misses: true, ..v1::ListCasesRequest::default() };
    assert_eq!(list(&bench, misses).await.cases, [case]);
    assert_eq!(list(&bench, v1::ListCasesRequest::default()).await.cases.len(), 2);
    let changed = |change: fn(&mut v1::ReportManuallyRequest)| {
        let mut request =
            v1::ReportManuallyRequest { idempotency_key: "report-3".to_owned(), ..request.clone() };
        change(&mut request);
        request
    };
    for (request, code) in [
        (changed(|one| one.camera_id = "none".into()), Code::NotFound),
        (changed(|one| one.note = "?".into()), Code::InvalidArgument),
        (changed(|one| one.note = "owner is 13800138000".into()), Code::InvalidArgument),
        (changed(|one| one.idempotency_key = "short".into()), Code::InvalidArgument),
        (changed(|one| one.miss.as_mut().unwrap().kind = 8101), Code::InvalidArgument),
        (changed(|one| one.miss.as_mut().unwrap().seen_unix_us = i64::MAX), Code::InvalidArgument),
        // Another report under a key that is used.
        (
            changed(|one| (one.idempotency_key, one.drill) = ("report-1".into(), true)),
            Code::FailedPrecondition,
        ),
    ] {
        let refused = api.report_manually(by(&rosa, request)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
}

#[tokio::test]
async fn what_the_citys_platform_keeps_follows_its_reports_once_each() {
    let mut options = crate::testing::options();
    let usual = options.sqlite.cases.calendar.clone();
    let external = vec!["3301".parse().unwrap()];
    options.sqlite.cases = std::sync::Arc::new(crate::case::clock::Policy {
        external,
        ..crate::case::clock::Policy::usual(usual)
    });
    let bench = Bench::with(options);
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let ana = account("ana", "desk");
    let case = act(&bench, &ana, of(&alert), 0, What::Confirm(v1::CaseConfirm {})).await.unwrap();
    assert_eq!(case.subject.as_ref().unwrap().owner(), v1::CaseOwner::External);
    let refused = act(&bench, &ana, of(&alert), case.revision, dispatch("brigade")).await.unwrap_err();
    assert!(refused.message().contains("kept by another platform"), "{refused}");
    let report = async |stage: v1::ExternalStage, key: &str| {
        let state = v1::ExternalState {
            alert_id: alert.id.to_string(),
            system: "city".to_owned(),
            case_id: "A-1".to_owned(),
            stage: stage.into(),
            at_unix_us: NOW.0,
            principal: "city-gw".to_owned(),
            ..v1::ExternalState::default()
        };
        bench.bus.store().report_external(state, key.to_owned()).await.unwrap()
    };
    for (stage, key, state) in [
        (v1::ExternalStage::Accepted, "one", CaseState::Confirmed),
        (v1::ExternalStage::Accepted, "one", CaseState::Confirmed),
        (v1::ExternalStage::Done, "two", CaseState::Closed),
    ] {
        report(stage, key).await;
        assert_eq!(get(&bench, &alert).await.case.unwrap().state(), state);
    }
    let history = get(&bench, &alert).await.history;
    let who: Vec<_> = history.iter().map(|one| one.actor.clone().unwrap()).collect();
    assert_eq!(who.len(), 4, "the same report again is told once");
    assert_eq!((who[3].account.as_str(), who[3].unit.as_str()), ("city-gw", "city"));
    // What is reported of a case that is over stands in its history, and opens nothing.
    report(v1::ExternalStage::Rejected, "three").await;
    assert_eq!(get(&bench, &alert).await.case.unwrap().state(), CaseState::Closed);
}
