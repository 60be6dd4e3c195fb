//! The lifecycle by table: every state is reached and left, who may not do what, and what a refusal says.

mod may;
mod property;

use std::time::Duration;

use jiff::tz::TimeZone;
use xueliang_base::alert::Sha256;

use super::{
    clock::{Calendar, OwnLimits, Policy, Stage, due_now, next_due},
    *,
};
use crate::rights::{Principal, PrincipalKind};

const NOW: Wall = Wall(1_790_000_000_000_000);

fn policy() -> Policy {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    Policy::usual(Calendar::usual(zone))
}

fn subject(kind: Kind, level: u8) -> Subject {
    Subject {
        alert: Some(AlertId::mint()),
        kind,
        level: Level::try_from(level).unwrap(),
        camera: "gate".parse().unwrap(),
        path: ["33", "330282"].map(|code| code.parse().unwrap()).into(),
        drill: false,
        miss: None,
        owner: Owner::Ours,
    }
}

fn number(sequence: u64) -> CaseNumber {
    CaseNumber::new("330282000000202601021101", sequence)
}

fn proof() -> Action {
    Action::Feedback(vec![Sha256::of(b"photo")])
}

fn ended(at: Wall) -> Action {
    Action::ConditionEnded { at, observed: true }
}

fn later(hours: u64) -> Wall {
    NOW.plus(Duration::from_secs(3600 * hours))
}

/// A case with its history.
#[derive(Clone)]
struct Told {
    case: Case,
    history: Vec<Event>,
}

impl Told {
    fn open(sequence: u64, subject: Subject, actor: Actor) -> Self {
        let open = Action::Open(number(sequence), Box::new(subject));
        let (event, case) = act(None, actor, open, "", NOW, &policy(), &OnDuty::default()).unwrap();
        Self { case, history: vec![event] }
    }
    fn alert(kind: Kind, level: u8) -> Self {
        Self::open(1, subject(kind, level), Actor::system())
    }
    fn at(&mut self, at: Wall, actor: &Actor, action: Action) -> Result<(), Refusal> {
        let note = if action.needs_note() { "as agreed" } else { "" };
        let (event, case) =
            act(Some(&self.case), actor.clone(), action, note, at, &policy(), &OnDuty::default())?;
        self.case = case;
        self.history.push(event);
        Ok(())
    }
    fn act(&mut self, who: &str, action: Action) -> Result<(), Refusal> {
        self.at(NOW, &who_is(who), action)
    }
    fn did(mut self, steps: &[(&str, Action)]) -> Self {
        for (who, action) in steps {
            self.act(who, action.clone()).unwrap_or_else(|refusal| panic!("{who} {action:?}: {refusal}"));
        }
        self
    }
}

/// `ana@desk` is ana of the unit desk; `the clock` is the clock.
fn who_is(who: &str) -> Actor {
    who.split_once('@').map_or_else(Actor::system, |(account, unit)| Actor::new(account, unit))
}

fn dispatch() -> (&'static str, Action) {
    ("dora@desk", Action::Dispatch("brigade".into(), vec!["water".into()]))
}

/// Steps from a new case of level 3 to a state.
fn way_to(state: State) -> Vec<(&'static str, Action)> {
    let judge = |action| vec![("jan@desk", action)];
    let after = |state, more: Vec<(&'static str, Action)>| [way_to(state), more].concat();
    match state {
        State::New => Vec::new(),
        State::Confirmed => judge(Action::Confirm),
        State::FalseAlarm => judge(Action::FalseAlarm(v1::FalseAlarmReason::Light)),
        State::NotAccepted => judge(Action::NotAccept(v1::NotAcceptedReason::Slight)),
        State::Merged => judge(Action::Merge(number(2))),
        State::Cleared => vec![("the clock", ended(NOW)), ("the clock", Action::Clear)],
        State::Dispatched => after(State::Confirmed, vec![dispatch()]),
        State::Returned => after(State::Dispatched, vec![("hugo@brigade", Action::Return)]),
        State::Accepted => after(State::Dispatched, vec![("hugo@brigade", Action::Accept)]),
        State::Handling => after(State::Accepted, vec![("hugo@brigade", Action::Start)]),
        State::Suspended => after(
            State::Handling,
            vec![("hugo@brigade", Action::AskSuspension(later(48))), ("dora@desk", Action::Suspend)],
        ),
        State::Feedback => after(State::Handling, vec![("hugo@brigade", proof())]),
        State::Verifying => after(State::Feedback, vec![("vera@desk", Action::TakeUp)]),
        State::Rework => after(State::Verifying, vec![("vera@desk", Action::Rework)]),
        State::Closed => after(State::Verifying, vec![("vera@desk", Action::Pass)]),
        State::ForcedClosed => after(State::Handling, vec![("lea@desk", Action::ForceClose)]),
        State::Cancelled => vec![("lea@desk", Action::Cancel(v1::CancelReason::Test))],
        State::Reopened => after(State::Closed, vec![("sven@desk", Action::Reopen)]),
    }
}

/// One action of each sort.
fn all_actions() -> Vec<Action> {
    vec![
        Action::Claim(later(1)),
        Action::Release,
        Action::Confirm,
        Action::FalseAlarm(v1::FalseAlarmReason::Light),
        Action::NotAccept(v1::NotAcceptedReason::Slight),
        Action::Merge(number(2)),
        Action::Absorb(number(2), Acted::default()),
        Action::Clear,
        ended(NOW),
        Action::Regrade(Level::SEVERE),
        Action::Dispatch("brigade".into(), Vec::new()),
        Action::GiveLink(1, later(24)),
        Action::Return,
        Action::Accept,
        Action::Start,
        Action::AskSuspension(later(48)),
        Action::Suspend,
        Action::Resume,
        proof(),
        Action::TakeUp,
        Action::Pass,
        Action::Rework,
        Action::ForceClose,
        Action::Reopen,
        Action::Cancel(v1::CancelReason::Test),
        Action::Rate(4),
        Action::Urge,
        Action::Supervise(v1::Supervision::Manual),
        Action::Extend,
        Action::Whistle(v1::Whistle::Emergency),
        Action::Hold(true),
        Action::DueSoon(Stage::Judge),
        Action::Overdue(Stage::Judge),
        Action::Escalate(Stage::Judge, v1::EscalationCause::NotClaimed, "330282".into()),
        Action::Acknowledge,
        Action::Heard(heard(v1::ExternalStage::Received, false)),
    ]
}

fn heard(stage: v1::ExternalStage, closes: bool) -> Heard {
    Heard { system: "city".into(), case_id: "A-1".into(), stage, closes }
}

fn at_state(state: State) -> Told {
    Told::alert(Kind::FireLaneBlocked, 3).did(&way_to(state))
}

#[test]
fn every_state_is_reached_and_left_unless_it_is_final() {
    for state in State::ALL {
        let told = at_state(state);
        assert_eq!(told.case.state, state);
        assert_eq!(replay(&told.history), Ok(Some(told.case.clone())));
        assert_eq!(told.history.last().map(|event| event.state), Some(state));
        let left = all_actions().into_iter().any(|action| next(state, &action).is_some_and(|to| to != state));
        assert_eq!(left, !state.is_final(), "{state}");
        assert_eq!(State::ALL[state as usize], state, "the list is in the order of the variants");
        let word = v1::CaseState::from(state).as_str_name();
        let plain = format!("CASESTATE{state:?}").to_uppercase();
        assert_eq!(word.replace('_', ""), plain, "the protocol lists states in the same order");
    }
    assert!(State::ALL.into_iter().filter(|state| state.is_final()).all(|state| !state.is_open()));
}

#[test]
fn what_leads_where_is_the_table_of_the_lifecycle() {
    use State::{
        Accepted, Cancelled, Cleared, Closed, Confirmed, Dispatched, FalseAlarm, Feedback, ForcedClosed,
        Handling, Merged, New, NotAccepted, Reopened, Returned, Rework, Suspended, Verifying,
    };
    for (from, expected) in [
        (New, vec![Confirmed, FalseAlarm, Merged, NotAccepted, Cleared, ForcedClosed, Cancelled]),
        (Confirmed, vec![Dispatched, ForcedClosed, Cancelled]),
        (Dispatched, vec![Accepted, Returned, ForcedClosed, Cancelled]),
        (Returned, vec![Dispatched, ForcedClosed, Cancelled]),
        (Accepted, vec![Handling, ForcedClosed, Cancelled]),
        (Handling, vec![Suspended, Feedback, ForcedClosed, Cancelled]),
        (Suspended, vec![Handling, ForcedClosed, Cancelled]),
        (Feedback, vec![Verifying, ForcedClosed, Cancelled]),
        (Verifying, vec![Closed, Rework, ForcedClosed, Cancelled]),
        (Rework, vec![Handling, ForcedClosed, Cancelled]),
        (Closed, vec![Reopened]),
        (ForcedClosed, vec![Reopened]),
        (FalseAlarm, vec![Reopened]),
        (NotAccepted, vec![Reopened]),
        (Cleared, vec![Reopened]),
        (Reopened, vec![Dispatched, ForcedClosed, Cancelled]),
        (Merged, Vec::new()),
        (Cancelled, Vec::new()),
    ] {
        let found: BTreeSet<State> =
            all_actions().iter().filter_map(|action| next(from, action)).filter(|to| *to != from).collect();
        assert_eq!(found, BTreeSet::from_iter(expected), "from {from}");
    }
}

#[test]
fn who_asked_who_handled_and_who_checks_are_three() {
    for (state, who, action, part) in [
        // By account, whatever its unit is by now.
        (State::Dispatched, "dora@brigade", Action::Accept, "dora has reported or dispatched"),
        (State::Feedback, "hugo@desk", Action::TakeUp, "hugo has handled"),
        (State::Feedback, "dora@other", Action::TakeUp, "dora has reported or dispatched"),
        (State::Returned, "hugo@desk", dispatch().1, "hugo has handled"),
        (State::Handling, "hugo@desk", Action::ForceClose, "hugo has handled"),
        (State::Handling, "hugo@desk", Action::Cancel(v1::CancelReason::Test), "hugo has handled"),
        (State::Reopened, "vera@desk", dispatch().1, "vera has verified"),
        // By unit; whoever was asked to help counts.
        (State::Feedback, "carl@brigade", Action::TakeUp, "unit brigade has handled"),
        (State::Feedback, "carl@water", Action::TakeUp, "unit water has handled"),
        (State::Handling, "carl@brigade", Action::Extend, "unit brigade has handled"),
        (State::Dispatched, "carl@brigade", Action::GiveLink(1, later(24)), "unit brigade has handled"),
        (State::Confirmed, "dora@desk", Action::Dispatch("desk".into(), vec![]), "unit desk has reported"),
        (State::Reopened, "dirk@desk", Action::Dispatch("desk".into(), vec![]), "unit desk has"),
        (State::Confirmed, "dora@desk", Action::Dispatch("x".into(), vec!["desk".into()]), "unit desk has"),
        // Another unit's business.
        (State::Dispatched, "paul@police", Action::Accept, "was dispatched to brigade"),
        (State::Handling, "carl@water", proof(), "was dispatched to brigade"),
    ] {
        let refusal = at_state(state).act(who, action.clone()).unwrap_err();
        assert!(matches!(refusal, Refusal::Separation(_) | Refusal::Unit(_)), "{who} {action:?}: {refusal}");
        assert!(refusal.to_string().contains(part), "{who} {action:?}: {refusal}");
    }
    // Who reported it by hand is bound likewise.
    let manual = Subject { alert: None, ..subject(Kind::ManualReport, 3) };
    let mut told = Told::open(1, manual, who_is("rosa@grid")).did(&[("jan@desk", Action::Confirm)]);
    let refusal = told.act("dora@desk", Action::Dispatch("grid".into(), vec![])).unwrap_err();
    assert!(refusal.to_string().contains("unit grid has reported"), "{refusal}");
    told = told.did(&way_to(State::Feedback)[1..]);
    assert!(told.act("rosa@other", Action::TakeUp).is_err());
    // Two people of one unit may ask and check.
    told.act("vera@desk", Action::TakeUp).unwrap();
}

#[test]
fn nobody_is_taken_for_the_clock() {
    let mut named = Principal::new("system", PrincipalKind::Operator);
    for unit in [None, Some(String::new()), Some("desk".to_owned())] {
        named.unit = unit;
        assert!(!Actor::of(&named).is_system());
    }
    let mut told = at_state(State::Feedback);
    told.act("system@desk", Action::TakeUp).unwrap();
    assert!(told.case.acted.of(Capacity::Verified).accounts.contains("system"));
}

#[test]
fn merging_brings_along_who_acted() {
    let manual = Subject { alert: None, ..subject(Kind::ManualReport, 3) };
    let reported = Told::open(2, manual, who_is("hugo@grid"));
    let mut handled = at_state(State::Handling);
    let absorb = Action::Absorb(reported.case.number.clone(), reported.case.acted.clone());
    let refusal = handled.act("jan@desk", absorb).unwrap_err();
    assert!(refusal.to_string().contains("hugo has reported or dispatched the one case"), "{refusal}");
    let manual = Subject { alert: None, ..subject(Kind::ManualReport, 3) };
    let reported = Told::open(2, manual, who_is("rosa@grid"));
    let absorb = Action::Absorb(reported.case.number.clone(), reported.case.acted.clone());
    let mut told = handled.did(&[("jan@desk", absorb), ("hugo@brigade", proof())]);
    assert!(told.act("rosa@other", Action::TakeUp).is_err(), "she reported a part of it");
    assert_eq!(told.case.absorbed, [number(2)]);
    let refusal = at_state(State::Merged).act("jan@desk", Action::Confirm).unwrap_err();
    assert!(refusal.to_string().contains(&format!("part of {}: act on that one", number(2))), "{refusal}");
    assert!(at_state(State::New).act("jan@desk", Action::Merge(number(1))).is_err());
}

#[test]
fn one_judges_at_a_time_and_a_claim_ends_by_itself() {
    let mut told = Told::alert(Kind::FireFlame, 2).did(&[("jan@desk", Action::Claim(later(1)))]);
    for action in [Action::Claim(later(2)), Action::Confirm, Action::Release, Action::Merge(number(2))] {
        let refusal = told.act("jo@desk", action).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Claimed(text) if text.contains("jan of desk judges")),
            "{refusal}"
        );
    }
    let mut own = told.clone();
    own.act("jan@desk", Action::Claim(later(2))).unwrap();
    own.act("jan@desk", Action::Confirm).unwrap();
    assert_eq!(own.case.claim, None);
    let mut released = told.clone().did(&[("jan@desk", Action::Release)]);
    released.act("jo@desk", Action::Confirm).unwrap();
    told.at(later(1), &who_is("jo@desk"), Action::Confirm).unwrap();
}

#[test]
fn only_what_may_end_by_itself_is_cleared() {
    let ended = |kind, level| Told::alert(kind, level).did(&[("the clock", ended(NOW))]);
    for (kind, level, cleared) in [
        (Kind::FireLaneBlocked, 3, true),
        (Kind::CamOffline, 4, true),
        (Kind::WaterLevelHigh, 2, false),
        (Kind::CrowdDensity, 1, false),
        (Kind::IllegalDump, 4, false),
    ] {
        assert_eq!(ended(kind, level).act("the clock", Action::Clear).is_ok(), cleared, "{kind} {level}");
    }
    let refusal = at_state(State::New).act("jan@desk", Action::Clear).unwrap_err();
    assert!(refusal.to_string().contains("lasts"), "{refusal}");
    // Once severe, always judged.
    let mut told = ended(Kind::FireLaneBlocked, 3).did(&[("jan@desk", Action::Regrade(Level::SEVERE))]);
    told.act("jan@desk", Action::Regrade(Level::GENERAL)).unwrap();
    assert!(told.act("the clock", Action::Clear).is_err());
}

#[test]
fn what_an_action_must_say_is_asked_for() {
    for (state, who, action, part) in [
        (State::Confirmed, "dora@desk", Action::Dispatch(String::new(), vec![]), "no duty rule names one"),
        (State::Confirmed, "dora@desk", Action::Dispatch(" x".into(), vec![]), "without spaces"),
        (State::Handling, "hugo@brigade", Action::Feedback(Vec::new()), "give the sums"),
        (State::Handling, "hugo@brigade", Action::AskSuspension(NOW), "within a year"),
        (State::Handling, "dora@desk", Action::Suspend, "let it ask first"),
        (State::Confirmed, "dora@desk", Action::Extend, "dispatch it first"),
        (State::New, "lea@desk", Action::Cancel(v1::CancelReason::Drill), "is no drill"),
        (State::Closed, "jan@desk", Action::Confirm, "cases that are new: read it again"),
    ] {
        let refusal = at_state(state).act(who, action.clone()).unwrap_err().to_string();
        assert!(refusal.contains(part), "{action:?}: {refusal}");
    }
    let told = at_state(State::Handling);
    for note in ["", "ok", "call 13800138000"] {
        let refused = act(
            Some(&told.case),
            who_is("lea@desk"),
            Action::ForceClose,
            note,
            NOW,
            &policy(),
            &OnDuty::default(),
        );
        assert!(matches!(refused, Err(Refusal::Content(_))), "{note}");
    }
    // A unit gives a case back once; then the dispatcher decides.
    let again = vec![("dora@desk", Action::Dispatch("brigade".into(), vec![]))];
    let mut told = at_state(State::Returned).did(&again);
    let refusal = told.act("hugo@brigade", Action::Return).unwrap_err().to_string();
    assert!(refusal.contains("has returned the case"), "{refusal}");
}

#[test]
fn a_duty_rule_fills_in_the_unit_and_the_limits() {
    let confirmed = at_state(State::Confirmed);
    let limit = clock::Limit::new(7, clock::LimitUnit::Days);
    let stages = [None, None, Some(None), None, None, Some(Some(limit))];
    let own = OwnLimits { profile: "slow".into(), stages, ..OwnLimits::default() };
    let policy = Policy { limits: vec![own], ..policy() };
    let (unit, assisting) = (Some("brigade".into()), vec!["grid".into()]);
    let duty = OnDuty { unit, assisting, profile: "slow".into(), ..OnDuty::default() };
    let empty = Action::Dispatch(String::new(), Vec::new());
    let (event, case) =
        act(Some(&confirmed.case), who_is("dora@desk"), empty, "", NOW, &policy, &duty).unwrap();
    assert_eq!(case.unit.as_deref(), Some("brigade"));
    assert_eq!(
        event.action,
        Action::Dispatch("brigade".into(), vec!["grid".into()]),
        "the history says who it was"
    );
    assert_eq!(case.timers.close.map(|timer| timer.due), Some(later(7 * 24)));
    assert_eq!(case.timers.stage, None);
}

#[test]
fn the_handling_clock_begins_once_stands_while_put_off_and_runs_on_over_returns_and_rework() {
    let close = |told: &Told| told.case.timers.close.unwrap();
    let mut told = at_state(State::Dispatched);
    let first = close(&told);
    told.at(later(1), &who_is("hugo@brigade"), Action::Return).unwrap();
    told.at(later(2), &who_is("dora@desk"), dispatch().1).unwrap();
    assert_eq!(close(&told), first, "returning is no new begin");
    assert_eq!(told.case.timers.stage.unwrap().begin, later(2), "the unit has its whole time to take it");
    for (who, action) in &way_to(State::Suspended)[2..] {
        told.at(later(3), &who_is(who), action.clone()).unwrap();
    }
    assert_eq!(close(&told).paused, Some(later(3)));
    assert_eq!(next_due(&told.case, &[], &policy()), Some(later(48)));
    told.at(later(30), &who_is("hugo@brigade"), Action::Resume).unwrap();
    assert!(close(&told).due > first.due && close(&told).paused.is_none());
    let resumed = close(&told);
    told.at(later(31), &who_is("hugo@brigade"), proof()).unwrap();
    told.at(later(31), &who_is("vera@desk"), Action::TakeUp).unwrap();
    told.at(later(32), &who_is("vera@desk"), Action::Rework).unwrap();
    assert_eq!(close(&told), resumed, "rework is no new begin");
    told.at(later(33), &who_is("dora@desk"), Action::Extend).unwrap();
    assert!(close(&told).due > resumed.due);
    assert_eq!(told.case.extensions, 1);
    told.at(later(34), &who_is("lea@desk"), Action::ForceClose).unwrap();
    assert_eq!(told.case.timers.all().count(), 0);
}

#[test]
fn the_clock_says_each_thing_once_and_climbs_the_ladder() {
    let ladder: Vec<String> = ["330282", "3302", "33"].map(str::to_owned).into();
    let policy = policy();
    let mut told = Told::alert(Kind::FireFlame, 2);
    let seconds = |seconds| NOW.plus(Duration::from_secs(seconds));
    let mut said = Vec::new();
    for second in 0..400 {
        for action in due_now(&told.case, seconds(second), &ladder, second >= 100, &policy) {
            told.at(seconds(second), &Actor::system(), action.clone()).unwrap();
            said.push((second, action));
        }
        let next = next_due(&told.case, &ladder, &policy);
        assert!(next.is_none_or(|next| next > seconds(second)), "{second}: {next:?}");
    }
    let escalate = |cause, desk: &str| Action::Escalate(Stage::Judge, cause, desk.to_owned());
    use v1::EscalationCause::{NotClaimed, NotDisplayed};
    assert_eq!(
        said,
        [
            (48, Action::DueSoon(Stage::Judge)),
            (60, Action::Overdue(Stage::Judge)),
            (60, escalate(NotDisplayed, "330282")),
            (180, escalate(NotClaimed, "3302")),
            (300, escalate(NotClaimed, "33")),
        ]
    );
    assert!(told.case.was_overdue && told.case.supervision == v1::Supervision::Automatic);
    // Nobody is told of a case that somebody is judging, until the claim ends.
    let mut told = Told::alert(Kind::FireFlame, 2).did(&[("jan@desk", Action::Claim(seconds(120)))]);
    let of = |told: &Told, at| due_now(&told.case, at, &ladder, true, &policy);
    assert!(!of(&told, seconds(119)).iter().any(|action| matches!(action, Action::Escalate(..))));
    assert!(of(&told, seconds(120)).iter().any(|action| matches!(action, Action::Escalate(..))));
    told.act("jan@desk", Action::Confirm).unwrap();
    assert_eq!(of(&told, NOW), []);
    assert_eq!(due_now(&at_state(State::Closed).case, later(9999), &ladder, true, &policy), []);
    // What was put off until a day is taken up on it.
    let suspended = at_state(State::Suspended);
    assert_eq!(due_now(&suspended.case, later(47), &ladder, true, &policy), []);
    assert_eq!(due_now(&suspended.case, later(48), &ladder, true, &policy), [Action::Resume]);
}

#[test]
fn a_call_list_that_changes_between_two_rungs_passes_nobody_over_and_tells_nobody_twice() {
    let policy = policy();
    let seconds = |seconds| NOW.plus(Duration::from_secs(seconds));
    let list = |desks: &[&str]| -> Vec<String> { desks.iter().map(|desk| (*desk).to_owned()).collect() };
    let mut told = Told::alert(Kind::FireFlame, 2);
    let mut said = Vec::new();
    for (second, desks) in [
        (60, list(&["a", "b", "c"])),
        // Whoever was to be next stands before whom was told; somebody new stands at the next rung.
        (180, list(&["b", "a", "d"])),
        (300, list(&["b", "a", "d"])),
        (420, list(&["a", "b", "d"])),
    ] {
        for action in due_now(&told.case, seconds(second), &desks, true, &policy) {
            told.at(seconds(second), &Actor::system(), action.clone()).unwrap();
            if let Action::Escalate(_, _, desk) = action {
                said.push((second, desk));
            }
        }
        let next = next_due(&told.case, &desks, &policy);
        assert!(next.is_none_or(|next| next > seconds(second)), "{second}: {next:?}");
    }
    assert_eq!(said, [(60, "a".to_owned()), (180, "b".to_owned()), (300, "d".to_owned())]);
    // The next stage's timer has told nobody yet.
    told.at(seconds(430), &who_is("jan@desk"), Action::Confirm).unwrap();
    assert!(told.case.told.is_empty());
}

#[test]
fn who_was_told_and_has_it_is_not_passed_over_for_ten_minutes() {
    let ladder: Vec<String> = ["330282", "3302"].map(str::to_owned).into();
    let policy = policy();
    let seconds = |seconds| NOW.plus(Duration::from_secs(seconds));
    let mut told = Told::alert(Kind::FireFlame, 2);
    told.at(seconds(61), &who_is("jan@desk"), Action::Acknowledge).unwrap();
    let escalates = |told: &Told, at| {
        let due = due_now(&told.case, seconds(at), &ladder, true, &policy);
        due.iter().any(|action| matches!(action, Action::Escalate(..)))
    };
    assert!(!escalates(&told, 660) && escalates(&told, 661));
    // Another system that sees to it is as good; a receipt is not.
    told.at(seconds(690), &who_is("gw@city"), Action::Heard(heard(v1::ExternalStage::Received, false)))
        .unwrap();
    assert!(escalates(&told, 691));
    told.at(seconds(700), &who_is("gw@city"), Action::Heard(heard(v1::ExternalStage::Accepted, false)))
        .unwrap();
    assert!(!escalates(&told, 1299) && escalates(&told, 1300));
    // Another stage has its own time.
    let mut on = told.clone();
    on.at(seconds(701), &who_is("jan@desk"), Action::Confirm).unwrap();
    assert!(escalates(&on, 701 + 120));
}

#[test]
fn a_case_that_another_platform_keeps_is_judged_here_and_closed_there() {
    let external = Subject { owner: Owner::External, ..subject(Kind::FireFlame, 2) };
    let mut told = Told::open(1, external, Actor::system()).did(&[("jan@desk", Action::Confirm)]);
    assert_eq!(told.case.timers.all().count(), 0, "it is timed there");
    let refusal = told.act("dora@desk", dispatch().1).unwrap_err().to_string();
    assert!(
        refusal.contains("kept by another platform") && refusal.contains("ReportExternalState"),
        "{refusal}"
    );
    told.act("gw@city", Action::Heard(heard(v1::ExternalStage::Dispatched, false))).unwrap();
    assert_eq!(told.case.state, State::Confirmed);
    told.act("gw@city", Action::Heard(heard(v1::ExternalStage::Done, true))).unwrap();
    assert_eq!(told.case.state, State::Closed);
    // What is kept here is closed by nobody else.
    let refusal =
        at_state(State::Handling).act("gw@city", Action::Heard(heard(v1::ExternalStage::Done, true)));
    assert!(refusal.unwrap_err().to_string().contains("is kept here"));
}
