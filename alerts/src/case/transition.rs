//! The transition function: what a case becomes by an event, or why it does not.

use std::time::Duration;

use xueliang_base::time::Wall;
use xueliang_proto::v1;

use super::{
    Action, Actor, Case, Claim, Event, OnDuty, Owner, Refusal, State,
    actor::Capacity,
    clock::{Policy, Stage, timers_after},
    note,
};

/// How long a claim lasts unless it is renewed.
pub const CLAIM: Duration = Duration::from_secs(120);
/// How long nobody further up is told once somebody who was told has it.
const ACKNOWLEDGED: Duration = Duration::from_secs(600);
/// Units that may help.
const MOST_UNITS: usize = 16;
/// Sums that may prove one feedback.
const MOST_PROOFS: usize = 32;
/// The farthest that a case is put off.
const LONGEST_SUSPENSION: Duration = Duration::from_secs(366 * 86_400);

/// The state that an action leads to; `None`: it is not done there. The whole lifecycle, on one page.
pub fn next(state: State, action: &Action) -> Option<State> {
    use State::{
        Accepted, Cancelled, Cleared, Closed, Confirmed, Dispatched, FalseAlarm, Feedback, ForcedClosed,
        Handling, Merged, New, NotAccepted, Reopened, Returned, Rework, Suspended, Verifying,
    };
    Some(match (action, state) {
        (Action::Claim(_) | Action::Release, New) => New,
        (Action::Confirm, New) => Confirmed,
        (Action::FalseAlarm(_), New) => FalseAlarm,
        (Action::NotAccept(_), New) => NotAccepted,
        (Action::Merge(_), New) => Merged,
        (Action::Clear, New) => Cleared,
        (Action::Regrade(_), New | Confirmed | Reopened) => state,
        (Action::Dispatch(..), Confirmed | Dispatched | Returned | Reopened) => Dispatched,
        (Action::Return, Dispatched) => Returned,
        (Action::GiveLink(..), Dispatched | Accepted | Handling | Rework) => state,
        (Action::Accept, Dispatched) => Accepted,
        (Action::Start, Accepted | Rework) => Handling,
        (Action::AskSuspension(_), Handling) => Handling,
        (Action::Suspend, Handling) => Suspended,
        (Action::Resume, Suspended) => Handling,
        (Action::Feedback(_), Handling) => Feedback,
        (Action::TakeUp, Feedback) => Verifying,
        (Action::Pass, Verifying) => Closed,
        (Action::Rework, Verifying) => Rework,
        (Action::Reopen, Closed | ForcedClosed | FalseAlarm | NotAccepted | Cleared) => Reopened,
        (Action::Rate(_), Closed | ForcedClosed) => state,
        (Action::ForceClose, open) if open.is_open() => ForcedClosed,
        (Action::Cancel(_), open) if open.is_open() => Cancelled,
        (Action::Extend | Action::Whistle(_), open) if open.is_open() && open != New => open,
        (Action::Absorb(..) | Action::Urge | Action::Supervise(_), open) if open.is_open() => open,
        (Action::DueSoon(_) | Action::Overdue(_) | Action::Escalate(..), open) if open.is_open() => open,
        (Action::Acknowledge, open) if open.is_open() => open,
        (Action::Heard(heard), open) if heard.closes && open.is_open() => Closed,
        (Action::Heard(heard), any) if !heard.closes => any,
        (Action::ConditionEnded { .. } | Action::Hold(_), any) => any,
        _ => return None,
    })
}

/// The case that an event makes of another; of none, the first event makes one.
pub fn apply(case: Option<&Case>, event: &Event) -> Result<Case, Refusal> {
    let Some(case) = case else { return open(event) };
    let Event { at, actor, action, .. } = event;
    let Some(state) = next(case.state, action) else {
        return Err(Refusal::State(not_here(case, action)));
    };
    if case.subject.owner == Owner::External && !is_ours_to_do(action) {
        return Err(Refusal::State(format!(
            "the case {} is kept by another platform, which was told of it: do this there, and let it report back with \
             ReportExternalState",
            case.number
        )));
    }
    if *at < case.changed {
        return Err(Refusal::State(format!(
            "the case {} changed at {}, after {at}: set this machine's clock, then try again",
            case.number, case.changed
        )));
    }
    check_claim(case, actor, action, *at)?;
    let mut after = Case {
        revision: case.revision + 1,
        state,
        changed: *at,
        changed_by: actor.clone(),
        timers: event.timers.clone(),
        touched: if actor.is_system() { case.touched } else { Some(*at) },
        ..case.clone()
    };
    match action.capacity() {
        Some(Capacity::Handled) if !actor.is_system() && case.unit.as_deref() != Some(&actor.unit) => {
            return Err(Refusal::Unit(format!(
                "the case {} was dispatched to {}, not to your unit {}: ask the dispatcher to dispatch it to yours",
                case.number,
                case.unit.as_deref().unwrap_or("nobody"),
                actor.unit
            )));
        }
        Some(capacity) => after.acted.add(capacity, actor)?,
        None => {}
    }
    effect(case, &mut after, actor, action, *at)?;
    after.told = told(case, event);
    if state != State::New {
        after.claim = None;
    }
    if state != case.state {
        after.acknowledged = None;
    }
    Ok(after)
}

/// Who was told because of the timers that run after an event. One that begins anew has told nobody.
fn told(case: &Case, event: &Event) -> Vec<(Stage, String)> {
    let now = match &event.action {
        Action::Escalate(stage, _, desk) => Some((*stage, desk.clone())),
        _ => None,
    };
    let runs = |stage: Stage| event.timers.all().any(|timer| timer.stage == stage && timer.rungs > 0);
    case.told.iter().cloned().chain(now).filter(|(stage, _)| runs(*stage)).collect()
}

/// Of a case that another platform keeps.
fn is_ours_to_do(action: &Action) -> bool {
    matches!(
        action,
        Action::Claim(_)
            | Action::Release
            | Action::Confirm
            | Action::FalseAlarm(_)
            | Action::NotAccept(_)
            | Action::Merge(_)
            | Action::Absorb(..)
            | Action::Clear
            | Action::ConditionEnded { .. }
            | Action::Regrade(_)
            | Action::ForceClose
            | Action::Cancel(_)
            | Action::Hold(_)
            | Action::DueSoon(_)
            | Action::Overdue(_)
            | Action::Escalate(..)
            | Action::Acknowledge
            | Action::Heard(_)
    )
}

fn not_here(case: &Case, action: &Action) -> String {
    let (number, state, word) = (&case.number, case.state, action.word());
    if let Some(into) = &case.merged_into {
        return format!("the case {number} is part of {into}: act on that one");
    }
    let can: Vec<String> = State::ALL
        .into_iter()
        .filter(|state| next(*state, action).is_some())
        .map(|state| state.to_string())
        .collect();
    let when = if can.is_empty() { "never".to_owned() } else { can.join(", ") };
    format!(
        "the case {number} is {state} and may not be {word}, which is for cases that are {when}: read it again"
    )
}

fn check_claim(case: &Case, actor: &Actor, action: &Action, at: Wall) -> Result<(), Refusal> {
    let judging = matches!(
        action,
        Action::Claim(_)
            | Action::Release
            | Action::Confirm
            | Action::FalseAlarm(_)
            | Action::NotAccept(_)
            | Action::Merge(_)
            | Action::Clear
            | Action::Regrade(_)
    );
    match case.claimed(at) {
        Some(claim) if judging && claim.by.account != actor.account && !actor.is_system() => {
            Err(Refusal::Claimed(format!(
                "{} of {} judges the case {} until {}: wait, or ask for it to be released",
                claim.by.account, claim.by.unit, case.number, claim.until
            )))
        }
        _ => Ok(()),
    }
}

fn content(what: &str) -> Refusal {
    Refusal::Content(what.to_owned())
}

/// What an action changes besides the state, and what it must say.
fn effect(case: &Case, after: &mut Case, actor: &Actor, action: &Action, at: Wall) -> Result<(), Refusal> {
    match action {
        Action::Open(..) => return Err(Refusal::State(format!("the case {} is open", case.number))),
        Action::Claim(until) => after.claim = Some(Claim { by: actor.clone(), until: *until }),
        Action::Release => after.claim = None,
        Action::Merge(into) => {
            if *into == case.number || case.absorbed.contains(into) {
                return Err(content("merge.into_number: a case is no part of itself, name another"));
            }
            after.merged_into = Some(into.clone());
        }
        Action::Absorb(from, acted) => {
            after.acted.absorb(acted)?;
            after.absorbed.push(from.clone());
        }
        Action::Clear if !case.may_clear() => {
            return Err(Refusal::State(format!(
                "the case {} is of level {} and kind {}: what is severe, and what happens and is over, is judged by people",
                case.number, case.peak, case.subject.kind
            )));
        }
        Action::Clear if case.condition_ended.is_none() => {
            return Err(Refusal::State(format!(
                "the condition of the case {} lasts: clear it once its alert is resolved, or judge it",
                case.number
            )));
        }
        Action::ConditionEnded { at, observed } => {
            (after.condition_ended, after.end_observed) = (Some(*at), *observed);
        }
        Action::Regrade(level) => {
            after.level = *level;
            after.peak = after.peak.min(*level);
        }
        Action::Dispatch(unit, assisting) => dispatch(after, unit, assisting)?,
        Action::Return => {
            if !after.returned_by.insert(actor.unit.clone()) {
                return Err(Refusal::State(format!(
                    "{} has returned the case {} before: take it, or ask the dispatcher to name another unit",
                    actor.unit, case.number
                )));
            }
            after.unit = None;
        }
        Action::AskSuspension(until) => {
            if *until <= at || *until > at.plus(LONGEST_SUSPENSION) {
                return Err(content("target_unix_us: name a day within a year from now"));
            }
            after.suspend_until = Some(*until);
        }
        Action::Suspend if case.suspend_until.is_none_or(|until| until <= at) => {
            return Err(Refusal::State(format!(
                "the unit has not asked to put the case {} off: let it ask first",
                case.number
            )));
        }
        Action::Resume | Action::Feedback(_) => {
            after.suspend_until = None;
            if let Action::Feedback(proofs) = action
                && !(1..=MOST_PROOFS).contains(&proofs.len())
            {
                return Err(content("proof_sha256: give the sums of 1 to 32 files that prove it"));
            }
        }
        Action::Reopen => {
            after.unit = None;
            after.assisting.clear();
            after.returned_by.clear();
        }
        Action::Cancel(v1::CancelReason::Drill) if !case.subject.drill => {
            return Err(content("cancel.reason: the case is no drill, choose another reason"));
        }
        Action::Rate(stars) => after.stars = Some(*stars),
        Action::Urge => after.urged += 1,
        Action::Supervise(kind) => after.supervision = *kind,
        Action::Extend => {
            if case.timers.close.is_none() {
                return Err(Refusal::State(format!(
                    "the case {} has no limit yet: dispatch it first",
                    case.number
                )));
            }
            after.extensions += 1;
        }
        Action::Whistle(kind) => after.whistle = *kind,
        Action::Hold(held) => after.legal_hold = *held,
        Action::Overdue(_) => {
            after.was_overdue = true;
            if after.supervision == v1::Supervision::Unspecified {
                after.supervision = v1::Supervision::Automatic;
            }
        }
        Action::Escalate(..) => after.escalations += 1,
        Action::Heard(heard) if heard.closes && case.subject.owner == Owner::Ours => {
            return Err(Refusal::State(format!(
                "the case {} is kept here, what {} reports does not close it: feed back and verify",
                case.number, heard.system
            )));
        }
        Action::Acknowledge => after.acknowledged = Some(at.plus(ACKNOWLEDGED)),
        Action::Heard(heard) if heard.is_taken_on() => after.acknowledged = Some(at.plus(ACKNOWLEDGED)),
        _ => {}
    }
    Ok(())
}

fn dispatch(after: &mut Case, unit: &str, assisting: &[String]) -> Result<(), Refusal> {
    if unit.is_empty() {
        return Err(content("dispatch.unit: no duty rule names one, say which unit is to handle it"));
    }
    if assisting.len() > MOST_UNITS {
        return Err(content("dispatch.assisting_units: at most 16 units may help"));
    }
    for one in assisting.iter().map(String::as_str).chain([unit]) {
        if one.chars().count() > 100
            || one.trim() != one
            || one.is_empty()
            || one.chars().any(char::is_control)
        {
            return Err(content("dispatch: a unit has 1 to 100 characters, without spaces around them"));
        }
        // Whoever is asked to handle it counts as a handler, whether it comes to that or not.
        after.acted.add_unit(Capacity::Handled, one)?;
    }
    after.unit = Some(unit.to_owned());
    after.assisting = assisting.to_vec();
    Ok(())
}

fn open(event: &Event) -> Result<Case, Refusal> {
    let Action::Open(number, subject) = &event.action else {
        return Err(Refusal::State("there is no such case: its first event opens it".to_owned()));
    };
    let mut acted = super::Acted::default();
    acted.add(Capacity::Requested, &event.actor)?;
    Ok(Case {
        number: number.clone(),
        revision: 1,
        state: State::New,
        level: subject.level,
        peak: subject.level,
        subject: (**subject).clone(),
        opened: event.at,
        changed: event.at,
        changed_by: event.actor.clone(),
        claim: None,
        acted,
        unit: None,
        assisting: Vec::new(),
        returned_by: std::collections::BTreeSet::new(),
        condition_ended: None,
        end_observed: false,
        touched: (!event.actor.is_system()).then_some(event.at),
        suspend_until: None,
        timers: event.timers.clone(),
        was_overdue: false,
        urged: 0,
        supervision: v1::Supervision::Unspecified,
        whistle: v1::Whistle::Unspecified,
        extensions: 0,
        escalations: 0,
        told: Vec::new(),
        acknowledged: None,
        legal_hold: false,
        merged_into: None,
        absorbed: Vec::new(),
        stars: None,
    })
}

/// Lets somebody do something: the event, with the timers that follow, and the case that it makes. The wall clock may be
/// set back; a case's time is not.
pub fn act(
    case: Option<&Case>,
    actor: Actor,
    mut action: Action,
    note: &str,
    now: Wall,
    policy: &Policy,
    duty: &OnDuty,
) -> Result<(Event, Case), Refusal> {
    let needed = action.needs_note() && !actor.is_system();
    let note = note::read(note, needed)?;
    if let Action::Dispatch(unit, assisting) = &mut action
        && unit.is_empty()
        && let Some(lead) = &duty.unit
    {
        unit.clone_from(lead);
        if assisting.is_empty() {
            assisting.clone_from(&duty.assisting);
        }
    }
    let at = case.map_or(now, |case| case.changed.max(now));
    let timers = case.map(|case| case.timers.clone()).unwrap_or_default();
    let mut event = Event { at, actor, action, note, timers, state: State::New };
    let after = apply(case, &event)?;
    let limits = policy.limits(after.subject.kind, after.level, &duty.profile);
    event.timers = timers_after(case, &after, &event.action, at, &limits, &policy.calendar);
    event.state = after.state;
    // Which timers run is known only now.
    let told = case.map(|case| told(case, &event)).unwrap_or_default();
    let after = Case { timers: event.timers.clone(), told, ..after };
    Ok((event, after))
}

/// The case that a history makes; `None` of none.
pub fn replay<'a>(history: impl IntoIterator<Item = &'a Event>) -> Result<Option<Case>, Refusal> {
    let mut case = None;
    for event in history {
        case = Some(apply(case.as_ref(), event)?);
    }
    Ok(case)
}
