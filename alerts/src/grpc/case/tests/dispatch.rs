//! What duty rules do to cases: who is asked, by which limits, whom the clock tells, and what goes by itself.

use xueliang_base::{config, kind::Level};
use xueliang_proto::v1::duty_service_server::DutyService as _;

use super::*;
use crate::{
    case::clock::{Limit, LimitUnit, OwnLimits, Policy},
    grpc::duty::DutyApi,
};

/// A bench whose divisions are those that its alerts name.
async fn town(change: impl FnOnce(&mut Policy)) -> Bench {
    let mut options = crate::testing::options();
    let mut policy = (*options.sqlite.cases).clone();
    change(&mut policy);
    options.sqlite.cases = std::sync::Arc::new(policy);
    let bench = Bench::with(options);
    let (mut divisions, mut parent) = (Vec::new(), None);
    for code in path() {
        let code: xueliang_base::id::DivisionCode = code.parse().unwrap();
        let one = config::Division { code: code.clone(), name: "n".to_owned(), parent: parent.take() };
        divisions.push(one);
        parent = Some(code);
    }
    bench.bus.seed_divisions(divisions).await.unwrap();
    bench
}

fn path() -> Vec<String> {
    v1::Alert::from(&critical()).place.unwrap().division_path
}

fn rule(lead: &str) -> v1::DutyRule {
    v1::DutyRule {
        division_code: path()[0].clone(),
        lead_unit: lead.to_owned(),
        assist_units: vec!["grid".to_owned()],
        call_list: [("desk", ""), (lead, "hugo")]
            .map(|(unit, account)| v1::Call { unit: unit.to_owned(), account: account.to_owned() })
            .into(),
        ..v1::DutyRule::default()
    }
}

async fn put(bench: &Bench, rule: v1::DutyRule) -> u64 {
    let api = DutyApi(bench.bus.clone());
    let request = by(&account("lea", "desk"), v1::PutDutyRuleRequest { rule: Some(rule) });
    api.put_duty_rule(request).await.unwrap().into_inner().rule.unwrap().rule_id
}

fn confirm() -> What {
    What::Confirm(v1::CaseConfirm {})
}

async fn tick(bench: &Bench, seconds: u64) {
    bench.clock.advance(Duration::from_secs(seconds));
    bench.bus.tick_cases().await;
}

/// Who did what.
fn told(history: &[v1::CaseEvent]) -> Vec<(String, What)> {
    let one = |event: &v1::CaseEvent| Some((event.actor.clone()?.account, event.action.clone()?.what?));
    history.iter().filter_map(one).collect()
}

fn desks(history: &[v1::CaseEvent]) -> Vec<String> {
    let desk = |(_, what)| if let What::Escalate(one) = what { Some(one.desk) } else { None };
    told(history).into_iter().filter_map(desk).collect()
}

fn asked(unit: &str, helped: &[&str]) -> What {
    let assisting_units = helped.iter().map(ToString::to_string).collect();
    What::Dispatch(v1::CaseDispatch { unit: unit.to_owned(), assisting_units })
}

#[tokio::test]
async fn a_duty_rule_fills_in_a_dispatch_and_is_told_beforehand_with_why() {
    let bench = town(|_| {}).await;
    let general = put(&bench, rule("street office")).await;
    let number = put(&bench, v1::DutyRule { kinds: vec![Kind::FireFlame.number()], ..rule("brigade") }).await;
    let shift = v1::Shift {
        division_code: path()[0].clone(),
        unit: "brigade".to_owned(),
        account: "hugo".to_owned(),
        ..v1::Shift::default()
    };
    let request = by(&account("lea", "desk"), v1::PutShiftRequest { shift: Some(shift) });
    DutyApi(bench.bus.clone()).put_shift(request).await.unwrap();
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let prefill = get(&bench, &alert).await.prefill.unwrap();
    assert_eq!((prefill.unit.as_str(), &prefill.assisting_units[..]), ("brigade", &["grid".to_owned()][..]));
    let mut up = path();
    up.reverse();
    let desks: Vec<String> = ["desk", "brigade (hugo)"].map(str::to_owned).into_iter().chain(up).collect();
    assert_eq!((prefill.desks, prefill.mode), (desks, v1::DutyMode::Routine.into()));
    let minutes = prefill.limits.iter().map(|one| (one.stage, one.limit.unwrap().amount));
    assert_eq!(minutes.collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 5), (4, 30), (5, 30), (6, 24 * 60)]);
    let duty = prefill.duty.unwrap();
    assert_eq!((duty.rule.unwrap().rule_id, duty.on_duty[0].account.as_str()), (number, "hugo"));
    let why: Vec<_> = duty.trace.iter().map(|one| (one.rule_id, one.verdict())).collect();
    assert_eq!(why, [(number, v1::RuleVerdict::Taken), (general, v1::RuleVerdict::LessSpecific)]);

    let (jan, dora) = (account("jan", "desk 1"), account("dora", "desk 2"));
    let case = act(&bench, &jan, of(&alert), 0, confirm()).await.unwrap();
    assert_eq!(case.state(), CaseState::Confirmed, "nothing goes by itself unless the rule says so");
    let sent = act(&bench, &dora, of(&alert), case.revision, asked("", &[])).await.unwrap();
    assert_eq!((sent.unit.as_str(), &sent.assisting_units[..]), ("brigade", &["grid".to_owned()][..]));
    // The answer was lost, and the rule is another meanwhile.
    put(&bench, v1::DutyRule { rule_id: number, ..rule("other brigade") }).await;
    let again = act(&bench, &dora, of(&alert), case.revision, asked("", &[])).await.unwrap();
    assert_eq!((again.revision, again.unit.as_str()), (sent.revision, "brigade"));
    assert_eq!(told(&get(&bench, &alert).await.history).last().unwrap().1, asked("brigade", &["grid"]));
    // Who is named by hand is asked, alone.
    let case = act(&bench, &dora, of(&alert), sent.revision, asked("squad", &[])).await.unwrap();
    assert_eq!((case.unit.as_str(), case.assisting_units.len()), ("squad", 0));
}

#[tokio::test]
async fn without_a_rule_a_dispatch_names_its_unit() {
    let bench = town(|_| {}).await;
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    let case = act(&bench, &account("jan", "desk"), of(&alert), 0, confirm()).await.unwrap();
    let prefill = get(&bench, &alert).await.prefill.unwrap();
    assert_eq!((prefill.unit.as_str(), prefill.duty.unwrap().rule), ("", None));
    let refused = act(&bench, &account("dora", "desk"), of(&alert), case.revision, asked("", &[])).await;
    assert!(refused.unwrap_err().message().contains("no duty rule names one"));
}

#[tokio::test]
async fn the_limits_of_a_rules_profile_time_what_begins_while_it_holds() {
    let minutes = |amount| Some(Some(Limit::new(amount, LimitUnit::EmergencyMinutes)));
    let bench = town(|policy| {
        let stages = [minutes(4), minutes(7), None, None, None, None];
        let profile = OwnLimits { profile: "flood".to_owned(), stages, ..OwnLimits::default() };
        let stages = [minutes(9), None, None, Some(None), None, minutes(77)];
        let levels = vec![Level::MAJOR];
        policy.limits = vec![profile, OwnLimits { levels, stages, ..OwnLimits::default() }];
    })
    .await;
    let number = put(&bench, v1::DutyRule { limits_profile: "flood".to_owned(), ..rule("brigade") }).await;
    let alert = major();
    bench.commit(std::slice::from_ref(&alert)).await;
    let due = |case: &v1::Case, at: usize| (case.timers[at].due_unix_us - NOW.0) / 60_000_000;
    let told = get(&bench, &alert).await;
    assert_eq!(due(&told.case.unwrap(), 0), 4, "the profile comes before what the town has for the level");
    let limits: Vec<_> =
        told.prefill.unwrap().limits.iter().map(|one| (one.stage(), one.limit.unwrap().amount)).collect();
    use v1::CaseStage::{Accept, Close, Dispatch, Judge, Verify};
    assert_eq!(limits, [(Judge, 4), (Dispatch, 7), (Accept, 60), (Verify, 30), (Close, 77)]);
    // 80 % of four minutes, for a clock that knows of ten.
    tick(&bench, 192).await;
    let case = get(&bench, &alert).await.case.unwrap();
    assert!(case.due_soon && case.revision > 0 && !case.number.is_empty());
    let case = act(&bench, &account("jan", "desk 1"), of(&alert), 0, confirm()).await.unwrap();
    assert_eq!(case.timers[0].limit.unwrap().amount, 7);
    let end = by(&account("lea", "desk"), v1::EndDutyRuleRequest { rule_id: number, at_unix_us: 0 });
    DutyApi(bench.bus.clone()).end_duty_rule(end).await.unwrap();
    let kept = get(&bench, &alert).await.case.unwrap();
    assert_eq!(kept.timers[0].limit.unwrap().amount, 7, "what is reckoned stays");
    let sent = act(&bench, &account("dora", "desk 2"), of(&alert), case.revision, asked("squad", &[])).await;
    assert_eq!(sent.unwrap().timers[1].limit.unwrap().amount, 77);
}

#[tokio::test]
async fn the_clock_goes_along_the_call_list_and_then_up_the_divisions() {
    let bench = town(|_| {}).await;
    put(&bench, rule("brigade")).await;
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let mut expected = vec!["desk".to_owned(), "brigade (hugo)".to_owned()];
    expected.extend(path().into_iter().rev());
    for rungs in 1..=expected.len() {
        // At the end of the minute, and each two minutes later.
        tick(&bench, if rungs == 1 { 60 } else { 120 }).await;
        assert_eq!(desks(&get(&bench, &alert).await.history), expected[..rungs]);
    }
    tick(&bench, 600).await;
    assert_eq!(desks(&get(&bench, &alert).await.history), expected, "each once");
}

#[tokio::test]
async fn in_an_emergency_its_rules_count() {
    for (mode, unit) in [(v1::DutyMode::Routine, "brigade"), (v1::DutyMode::Emergency, "staff")] {
        let bench = town(|policy| policy.mode = mode).await;
        put(&bench, rule("brigade")).await;
        put(&bench, v1::DutyRule { mode: v1::DutyMode::Emergency.into(), ..rule("staff") }).await;
        let alert = critical();
        bench.commit(std::slice::from_ref(&alert)).await;
        let prefill = get(&bench, &alert).await.prefill.unwrap();
        assert_eq!((prefill.unit.as_str(), prefill.mode()), (unit, mode));
    }
}

#[tokio::test]
async fn what_is_severe_is_dispatched_once_confirmed_where_its_rule_says_so() {
    let bench = town(|_| {}).await;
    put(&bench, v1::DutyRule { auto_dispatch: true, ..rule("brigade") }).await;
    let (severe, slight) = (critical(), major());
    bench.commit(&[severe.clone(), slight.clone()]).await;
    let jan = account("jan", "desk");
    tick(&bench, 1).await;
    assert_eq!(get(&bench, &severe).await.case.unwrap().state(), CaseState::New, "people judge first");
    let case = act(&bench, &jan, of(&severe), 0, confirm()).await.unwrap();
    assert_eq!((case.state(), case.unit.as_str()), (CaseState::Dispatched, "brigade"));
    let history = told(&get(&bench, &severe).await.history);
    assert_eq!(history[1], ("jan".to_owned(), confirm()));
    assert_eq!(history[2], ("system".to_owned(), asked("brigade", &["grid"])));
    let again = act(&bench, &jan, of(&severe), 0, confirm()).await.unwrap();
    assert_eq!(again.revision, case.revision, "the answer was lost");
    // Who did not know of it is told.
    let refused =
        act(&bench, &account("dora", "desk"), of(&severe), 2, asked("squad", &[])).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");

    let case = act(&bench, &jan, of(&slight), 0, confirm()).await.unwrap();
    assert_eq!(case.state(), CaseState::Confirmed, "levels 3 and 4 wait for a dispatcher");
    let mut risen = next_state(&slight);
    risen.level = Level::SEVERE;
    bench.commit(&[risen]).await;
    tick(&bench, 1).await;
    assert_eq!(
        get(&bench, &slight).await.case.unwrap().state(),
        CaseState::Dispatched,
        "it has become severe"
    );
}

#[tokio::test]
async fn no_rule_dispatches_to_the_unit_that_reported() {
    let bench = town(|_| {}).await;
    put(&bench, v1::DutyRule { auto_dispatch: true, ..rule("brigade") }).await;
    let seen = critical();
    bench.commit(std::slice::from_ref(&seen)).await;
    let report = bench.bus.store().report_manually(crate::store::ManualReport {
        class: None,
        subject: crate::case::Subject {
            alert: None,
            kind: Kind::ManualReport,
            level: Level::SEVERE,
            camera: "gate".parse().unwrap(),
            path: path().iter().map(|code| code.parse().unwrap()).collect(),
            drill: false,
            miss: None,
            owner: crate::case::Owner::Ours,
        },
        actor: crate::case::Actor::new("rosa", "brigade"),
        note: "smoke over the roof".to_owned(),
        key: "report-1".to_owned(),
    });
    let number = report.await.unwrap().number.to_string();
    let case = act(&bench, &account("jan", "desk"), numbered(&number), 1, confirm()).await.unwrap();
    assert_eq!(case.state(), CaseState::Confirmed, "people decide who else takes it");
    let dora = account("dora", "desk");
    let refused = act(&bench, &dora, numbered(&number), case.revision, asked("", &[])).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let case = act(&bench, &dora, numbered(&number), case.revision, asked("squad", &[])).await.unwrap();
    assert_eq!(case.unit, "squad");
}

#[tokio::test]
async fn what_was_seen_to_end_and_nobody_touches_is_cleared_by_the_clock_alone_if_it_may() {
    let bench = town(|policy| policy.clear_after = Duration::from_secs(1800)).await;
    // Cleared; severe; touched since; never seen to end.
    let (slight, severe, touched, removed) = (major(), alert(Kind::CrowdDensity, 2), major(), major());
    bench.commit(&[slight.clone(), severe.clone(), touched.clone(), removed.clone()]).await;
    tick(&bench, 600).await;
    let mut gone = resolved(&removed);
    gone.state = xueliang_base::alert::AlertState::Resolved {
        why: xueliang_base::incident::Resolution::RuleRemoved,
        at: NOW,
    };
    bench.commit(&[resolved(&slight), resolved(&severe), resolved(&touched), gone]).await;
    act(&bench, &account("ana", "desk"), of(&touched), 0, What::Urge(v1::CaseUrge {})).await.unwrap();
    let state = async |alert: &Alert| get(&bench, alert).await.case.unwrap().state();
    tick(&bench, 1190).await;
    assert_eq!(state(&slight).await, CaseState::New);
    tick(&bench, 10).await;
    assert_eq!(state(&slight).await, CaseState::Cleared);
    let history = told(&get(&bench, &slight).await.history);
    assert_eq!(history.last().unwrap(), &("system".to_owned(), What::Clear(v1::CaseClear {})));
    assert_eq!(get(&bench, &slight).await.prefill, None, "nothing is left to dispatch");
    assert_eq!(state(&touched).await, CaseState::New, "half an hour has not passed since somebody had it");
    tick(&bench, 590).await;
    assert_eq!(state(&touched).await, CaseState::New);
    tick(&bench, 11).await;
    assert_eq!(state(&touched).await, CaseState::Cleared);
    tick(&bench, 1_000_000).await;
    for alert in [&severe, &removed] {
        let case = get(&bench, alert).await.case.unwrap();
        assert_eq!((case.state(), case.condition_ended_unix_us), (CaseState::New, NOW.0), "people judge it");
    }
    let new = v1::ListCasesRequest { states: vec![CaseState::New.into()], ..Default::default() };
    assert_eq!(list(&bench, new).await.cases.len(), 2, "what nobody judged stays in the list");
}

#[tokio::test]
async fn a_device_that_a_town_gives_time_to_judge_is_looked_at_untouched_and_no_other_is() {
    use xueliang_base::kind::Kind;
    let bench = town(|policy| {
        let limit = Limit::new(20, LimitUnit::EmergencyMinutes);
        let stages = [Some(Some(limit)), None, None, None, None, None];
        policy.limits = vec![OwnLimits { kinds: vec![Kind::ImgDark], stages, ..OwnLimits::default() }];
    })
    .await;
    let device = |kind| alert(kind, 4);
    let (dark, other) = (device(Kind::ImgDark), device(Kind::ImgBlur));
    bench.commit(&[dark.clone(), other.clone()]).await;
    tick(&bench, 20 * 60).await;
    let case = get(&bench, &dark).await.case.unwrap();
    assert!(case.overdue && case.escalations == 1, "{case:?}");
    assert_eq!(get(&bench, &other).await.case.unwrap().revision, 0);
}
