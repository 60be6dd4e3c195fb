//! What can happen to a case, who may do it, and in which capacity.

use xueliang_base::{alert::Sha256, kind::Level, time::Wall};
use xueliang_proto::v1;

use super::{
    Acted, Actor, CaseNumber, State, Subject,
    actor::Capacity,
    clock::{Stage, Timers},
};
use crate::rights::Right;

/// Something that happens to a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The first event.
    Open(CaseNumber, Box<Subject>),
    /// Takes it to judge it, until then.
    Claim(Wall),
    /// Gives a claim up.
    Release,
    /// Judges it true.
    Confirm,
    /// Judges it false.
    FalseAlarm(v1::FalseAlarmReason),
    /// True, and no matter for a case.
    NotAccept(v1::NotAcceptedReason),
    /// Part of another case.
    Merge(CaseNumber),
    /// That case is part of this one, with all who acted on it.
    Absorb(CaseNumber, Acted),
    /// The condition ended and nothing is left to do.
    Clear,
    /// The alert says that its condition ended.
    ConditionEnded {
        /// When.
        at: Wall,
        /// By observed absence.
        observed: bool,
    },
    /// Another level.
    Regrade(Level),
    /// Asks a unit, and others to help it.
    Dispatch(String, Vec<String>),
    /// Gives it back.
    Return,
    /// Takes it.
    Accept,
    /// Goes to work.
    Start,
    /// Asks to put it off until then.
    AskSuspension(Wall),
    /// Grants that.
    Suspend,
    /// Takes it up again.
    Resume,
    /// Says that it is done, with sums of what proves it.
    Feedback(Vec<Sha256>),
    /// Begins the check.
    TakeUp,
    /// The check passed.
    Pass,
    /// The check failed.
    Rework,
    /// Closes it unchecked.
    ForceClose,
    /// Takes it up again.
    Reopen,
    /// Void.
    Cancel(v1::CancelReason),
    /// How well it was handled, 1 to 5.
    Rate(u8),
    /// Urges whoever has it.
    Urge,
    /// Has it supervised.
    Supervise(v1::Supervision),
    /// Grants one more limit.
    Extend,
    /// Calls other authorities in.
    Whistle(v1::Whistle),
    /// Under legal hold, or no longer.
    Hold(bool),
    /// A limit ends soon.
    DueSoon(Stage),
    /// A limit has ended.
    Overdue(Stage),
    /// A desk is told.
    Escalate(Stage, v1::EscalationCause, String),
    /// Who was told has it.
    Acknowledge,
    /// Another system reported what it did.
    Heard(Heard),
    /// A handler's link was given, by its number, until then.
    GiveLink(u64, Wall),
}

/// What another system did with an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Which system.
    pub system: String,
    /// Number of its case there.
    pub case_id: String,
    /// What it did.
    pub stage: v1::ExternalStage,
    /// It keeps the case, and has closed it by that.
    pub closes: bool,
}

impl Heard {
    /// Whether somebody sees to it there: a receipt, which machines give too, is no reason to tell nobody here.
    pub fn is_taken_on(&self) -> bool {
        use v1::ExternalStage::{Accepted, Dispatched, Done, InProgress};
        matches!(self.stage, Accepted | Dispatched | InProgress | Done)
    }
}

impl Action {
    /// Any one of these rights people need for it; none: it is not theirs to ask for.
    pub fn rights(&self) -> &'static [Right] {
        match self {
            Action::Claim(_)
            | Action::Release
            | Action::Confirm
            | Action::FalseAlarm(_)
            | Action::NotAccept(_)
            | Action::Merge(_)
            | Action::Clear => &[Right::Judge],
            Action::Regrade(level) if *level == Level::EXTREME => &[Right::SetExtreme],
            Action::Regrade(_) => &[Right::Judge],
            Action::Dispatch(..)
            | Action::GiveLink(..)
            | Action::Suspend
            | Action::Extend
            | Action::Whistle(_) => &[Right::Dispatch],
            Action::Return
            | Action::Accept
            | Action::Start
            | Action::AskSuspension(_)
            | Action::Resume
            | Action::Feedback(_) => &[Right::Handle],
            Action::TakeUp | Action::Pass | Action::Rework => &[Right::Verify],
            Action::Supervise(v1::Supervision::Leader) | Action::ForceClose | Action::Cancel(_) => {
                &[Right::Lead]
            }
            Action::Urge => &[Right::Dispatch, Right::Supervise],
            Action::Supervise(_) | Action::Reopen => &[Right::Supervise],
            Action::Rate(_) => &[Right::Supervise, Right::ReportManually],
            Action::Hold(_) => &[Right::HoldEvidence],
            Action::Acknowledge => &[Right::Judge, Right::Dispatch, Right::Handle, Right::Supervise],
            Action::Open(..)
            | Action::Absorb(..)
            | Action::ConditionEnded { .. }
            | Action::DueSoon(_)
            | Action::Overdue(_)
            | Action::Escalate(..)
            | Action::Heard(_) => &[],
        }
    }
    /// In which capacity one acts with it; `None`: in none.
    pub fn capacity(&self) -> Option<Capacity> {
        match self {
            Action::Open(..)
            | Action::Dispatch(..)
            | Action::GiveLink(..)
            | Action::Suspend
            | Action::Extend => Some(Capacity::Requested),
            Action::Return
            | Action::Accept
            | Action::Start
            | Action::AskSuspension(_)
            | Action::Resume
            | Action::Feedback(_) => Some(Capacity::Handled),
            Action::TakeUp
            | Action::Pass
            | Action::Rework
            | Action::ForceClose
            | Action::Reopen
            | Action::Cancel(_) => Some(Capacity::Verified),
            _ => None,
        }
    }
    /// Whether it is refused without a word why.
    pub fn needs_note(&self) -> bool {
        matches!(
            self,
            Action::FalseAlarm(v1::FalseAlarmReason::Other)
                | Action::NotAccept(v1::NotAcceptedReason::Other)
                | Action::Return
                | Action::AskSuspension(_)
                | Action::Feedback(_)
                | Action::Rework
                | Action::ForceClose
                | Action::Reopen
                | Action::Cancel(_)
                | Action::Extend
                | Action::Supervise(_)
        )
    }
    /// What it is called in a sentence: "may not be …".
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Action::Open(..) => "opened",
            Action::Claim(_) => "claimed",
            Action::Release => "released",
            Action::Confirm => "confirmed",
            Action::FalseAlarm(_) => "judged a false alarm",
            Action::NotAccept(_) => "turned down",
            Action::Merge(_) => "merged",
            Action::Absorb(..) => "merged into",
            Action::Clear => "cleared",
            Action::ConditionEnded { .. } => "told of its end",
            Action::Regrade(_) => "given another level",
            Action::Dispatch(..) => "dispatched",
            Action::Return => "returned",
            Action::Accept => "accepted",
            Action::Start => "gone to work on",
            Action::AskSuspension(_) | Action::Suspend => "suspended",
            Action::Resume => "resumed",
            Action::Feedback(_) => "fed back",
            Action::TakeUp => "taken up to verify",
            Action::Pass => "closed",
            Action::Rework => "sent to rework",
            Action::ForceClose => "closed by force",
            Action::Reopen => "reopened",
            Action::Cancel(_) => "cancelled",
            Action::Rate(_) => "rated",
            Action::Urge => "urged",
            Action::Supervise(_) => "supervised",
            Action::Extend => "extended",
            Action::Whistle(_) => "whistled for",
            Action::Hold(_) => "held",
            Action::DueSoon(_) | Action::Overdue(_) | Action::Escalate(..) => "timed",
            Action::Acknowledge => "acknowledged",
            Action::Heard(_) => "reported about",
            Action::GiveLink(..) => "given a handler's link",
        }
    }
}

/// An entry of a case's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: Wall,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// Why, in words.
    pub note: String,
    /// The timers that the case has by it.
    pub timers: Timers,
    /// The state that the case has by it.
    pub state: State,
}
