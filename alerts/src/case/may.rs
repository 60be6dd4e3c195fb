//! What somebody may do with a case as it stands, so that a console offers that and nothing else. It is decided by trying: one
//! action of each sort goes through [`apply`], which is what decides when it is done in earnest, too.

use xueliang_base::{kind::Level, time::Wall};
use xueliang_proto::v1;

use super::{Action, Actor, Case, Event, Refusal, apply};
use crate::rights::Principal;

/// One action of each sort that people ask for, as empty as it can be: what is to be said with it is not there yet.
fn samples(case: &Case, at: Wall) -> Vec<(v1::CaseAct, Action)> {
    use v1::CaseAct as Act;
    vec![
        (Act::Claim, Action::Claim(at)),
        (Act::Release, Action::Release),
        (Act::Confirm, Action::Confirm),
        (Act::FalseAlarm, Action::FalseAlarm(v1::FalseAlarmReason::Other)),
        (Act::NotAccept, Action::NotAccept(v1::NotAcceptedReason::Other)),
        (Act::Merge, Action::Merge(case.number.clone())),
        (Act::Clear, Action::Clear),
        (Act::Regrade, Action::Regrade(Level::GENERAL)),
        (Act::Regrade, Action::Regrade(Level::EXTREME)),
        (Act::Dispatch, Action::Dispatch(String::new(), Vec::new())),
        (Act::GiveLink, Action::GiveLink(0, at)),
        (Act::Return, Action::Return),
        (Act::Accept, Action::Accept),
        (Act::Start, Action::Start),
        (Act::AskSuspension, Action::AskSuspension(at)),
        (Act::Suspend, Action::Suspend),
        (Act::Resume, Action::Resume),
        (Act::Feedback, Action::Feedback(Vec::new())),
        (Act::TakeUp, Action::TakeUp),
        (Act::Pass, Action::Pass),
        (Act::Rework, Action::Rework),
        (Act::ForceClose, Action::ForceClose),
        (Act::Reopen, Action::Reopen),
        (Act::Cancel, Action::Cancel(v1::CancelReason::Mistake)),
        (Act::Rate, Action::Rate(1)),
        (Act::Urge, Action::Urge),
        (Act::Supervise, Action::Supervise(v1::Supervision::Manual)),
        (Act::Supervise, Action::Supervise(v1::Supervision::Leader)),
        (Act::Extend, Action::Extend),
        (Act::Whistle, Action::Whistle(v1::Whistle::Emergency)),
        (Act::Hold, Action::Hold(!case.legal_hold)),
        (Act::Acknowledge, Action::Acknowledge),
    ]
}

/// What leads a case on: of all that may be done with it, the step that somebody waits for.
const ONWARDS: [v1::CaseAct; 8] = [
    v1::CaseAct::Confirm,
    v1::CaseAct::Dispatch,
    v1::CaseAct::Accept,
    v1::CaseAct::Start,
    v1::CaseAct::Resume,
    v1::CaseAct::Feedback,
    v1::CaseAct::TakeUp,
    v1::CaseAct::Pass,
];

/// What keeps a caller from an action.
enum Kept {
    /// Nothing does.
    Not,
    /// The case does not stand where that is done, by anybody.
    ByState,
    /// Others may.
    By(v1::CaseBarrier),
}

/// Tries an action.
fn tried(case: &Case, caller: &Principal, action: Action, at: Wall) -> Kept {
    let has_right = action.rights().iter().any(|right| caller.may(*right));
    let event = Event {
        at,
        actor: Actor::of(caller),
        action,
        note: String::new(),
        timers: case.timers.clone(),
        state: case.state,
    };
    match apply(Some(case), &event) {
        Err(Refusal::State(_)) => Kept::ByState,
        _ if !has_right => Kept::By(v1::CaseBarrier::Right),
        Err(Refusal::Separation(_)) => Kept::By(v1::CaseBarrier::Separation),
        Err(Refusal::Unit(_)) => Kept::By(v1::CaseBarrier::Unit),
        Err(Refusal::Claimed(_)) => Kept::By(v1::CaseBarrier::Claimed),
        // What is wrong with an empty sample is what the caller has yet to say.
        Ok(_) | Err(Refusal::Content(_)) => Kept::Not,
    }
}

/// What a caller may do with a case at a moment, by number.
pub(crate) fn may(case: &Case, caller: &Principal, now: Wall) -> Vec<v1::CaseAct> {
    let at = case.changed.max(now);
    let mut acts: Vec<v1::CaseAct> = samples(case, at)
        .into_iter()
        // Nobody gives up what is nobody's.
        .filter(|(act, _)| *act != v1::CaseAct::Release || case.claimed(at).is_some())
        .filter(|(_, action)| matches!(tried(case, caller, action.clone(), at), Kept::Not))
        .map(|(act, _)| act)
        .collect();
    acts.dedup();
    acts
}

/// What would lead a case on at a moment and is not for this caller, and why.
pub(crate) fn barred(case: &Case, caller: &Principal, now: Wall) -> Vec<v1::CaseActBarred> {
    let at = case.changed.max(now);
    let onwards = samples(case, at).into_iter().filter(|(act, _)| ONWARDS.contains(act));
    let kept = onwards.filter_map(|(act, action)| match tried(case, caller, action, at) {
        Kept::By(why) => Some(v1::CaseActBarred { act: act.into(), why: why.into() }),
        Kept::Not | Kept::ByState => None,
    });
    kept.collect()
}
