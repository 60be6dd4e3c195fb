//! Cases: what people do with an alert, 一案一码, from judging to closing. Pure: time is a parameter, and the store keeps what
//! is decided here.
//!
//! A case is what its history makes of it: [`apply`] takes it from one event to the next, and [`replay`] from none to the
//! last. What depends on the calendar, its timers, stands in the event, so that a history says the same for ever. An
//! event that `apply` took once it must take in every later version, too: stricter rules belong into [`act`]. Every
//! refusal says what to do. States and limits are those of the lifecycle in use by municipal platforms (数字城管).

pub mod action;
pub mod actor;
pub mod clock;
pub mod fact;
mod may;
pub mod note;
pub mod number;
pub(crate) mod on_duty;
pub mod tally;
mod transition;
pub(crate) mod wire;

use std::{collections::BTreeSet, fmt};

use xueliang_base::{
    id::{AlertId, CameraId, DivisionCode},
    kind::{Class, Kind, Level},
    time::Wall,
};
use xueliang_proto::v1;

use self::clock::Timers;
pub(crate) use self::may::{barred, may};
pub use self::{
    action::{Action, Event, Heard},
    actor::{Acted, Actor, Capacity},
    fact::Fact,
    number::CaseNumber,
    on_duty::OnDuty,
    transition::{CLAIM, act, apply, next, replay},
};
use crate::error::Error;

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// 待研判.
    New,
    /// 立案.
    Confirmed,
    /// 已派单.
    Dispatched,
    /// 已签收.
    Accepted,
    /// 处置中.
    Handling,
    /// 挂账.
    Suspended,
    /// 已反馈.
    Feedback,
    /// 待核查.
    Verifying,
    /// 返工.
    Rework,
    /// 退回.
    Returned,
    /// 办结.
    Closed,
    /// 强制结案.
    ForcedClosed,
    /// 重开.
    Reopened,
    /// 误报.
    FalseAlarm,
    /// 重复合并.
    Merged,
    /// 不立案.
    NotAccepted,
    /// 自动恢复.
    Cleared,
    /// 作废.
    Cancelled,
}

impl State {
    /// Every state, in the order of the protocol.
    pub const ALL: [State; 18] = [
        State::New,
        State::Confirmed,
        State::Dispatched,
        State::Accepted,
        State::Handling,
        State::Suspended,
        State::Feedback,
        State::Verifying,
        State::Rework,
        State::Returned,
        State::Closed,
        State::ForcedClosed,
        State::Reopened,
        State::FalseAlarm,
        State::Merged,
        State::NotAccepted,
        State::Cleared,
        State::Cancelled,
    ];
    /// Whether somebody is to do something about it.
    pub fn is_open(self) -> bool {
        use State::{Cancelled, Cleared, Closed, FalseAlarm, ForcedClosed, Merged, NotAccepted};
        !matches!(self, Closed | ForcedClosed | FalseAlarm | Merged | NotAccepted | Cleared | Cancelled)
    }
    /// Whether nothing leads out of it.
    pub fn is_final(self) -> bool {
        matches!(self, State::Merged | State::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::New => "new",
            State::Confirmed => "confirmed",
            State::Dispatched => "dispatched",
            State::Accepted => "accepted",
            State::Handling => "being handled",
            State::Suspended => "suspended",
            State::Feedback => "fed back",
            State::Verifying => "being verified",
            State::Rework => "in rework",
            State::Returned => "returned",
            State::Closed => "closed",
            State::ForcedClosed => "closed by force",
            State::Reopened => "reopened",
            State::FalseAlarm => "a false alarm",
            State::Merged => "merged",
            State::NotAccepted => "not accepted",
            State::Cleared => "cleared",
            State::Cancelled => "cancelled",
        })
    }
}

/// What the machine missed, as the one who reported it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Miss {
    /// What should have been raised.
    pub kind: Kind,
    /// When it was to be seen.
    pub seen: Wall,
}

/// Who keeps the cases of a division.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Owner {
    /// This system.
    #[default]
    Ours,
    /// Another platform: here they are judged, and no more.
    External,
}

/// What a case is about: fixed when it is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its alert; `None` for a manual report.
    pub alert: Option<AlertId>,
    /// The kind.
    pub kind: Kind,
    /// The level it was opened with.
    pub level: Level,
    /// The camera.
    pub camera: CameraId,
    /// Divisions from the root down.
    pub path: Vec<DivisionCode>,
    /// Part of a drill.
    pub drill: bool,
    /// What the machine missed; only of a manual report.
    pub miss: Option<Miss>,
    /// Who keeps it.
    pub owner: Owner,
}

/// Somebody judges it, until a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub by: Actor,
    /// Until when.
    pub until: Wall,
}

/// A case as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its number.
    pub number: CaseNumber,
    /// Events so far.
    pub revision: u64,
    /// Where it stands.
    pub state: State,
    /// What it is about.
    pub subject: Subject,
    /// Its level now.
    pub level: Level,
    /// The most severe level it ever had.
    pub peak: Level,
    /// When it was opened.
    pub opened: Wall,
    /// Its last event. None is ever dated before it.
    pub changed: Wall,
    /// Who made that.
    pub changed_by: Actor,
    /// Who judges it.
    pub claim: Option<Claim>,
    /// Who ever acted on it in which capacity.
    pub acted: Acted,
    /// The unit that handles it.
    pub unit: Option<String>,
    /// Units that help.
    pub assisting: Vec<String>,
    /// Units that have given it back.
    pub returned_by: BTreeSet<String>,
    /// Since when the alert's condition has ended.
    pub condition_ended: Option<Wall>,
    /// Whether that was seen: by observed absence.
    pub end_observed: bool,
    /// When anybody but the clock last did something with it.
    pub touched: Option<Wall>,
    /// Until when the unit asks to put it off, or has put it off.
    pub suspend_until: Option<Wall>,
    /// Its timers.
    pub timers: Timers,
    /// A limit had ended at some time.
    pub was_overdue: bool,
    /// How often it was urged.
    pub urged: u32,
    /// Who has it supervised; unspecified: nobody.
    pub supervision: v1::Supervision,
    /// What was whistled for; unspecified: nothing.
    pub whistle: v1::Whistle,
    /// How often it was extended.
    pub extensions: u32,
    /// Desks that were told because of its clock.
    pub escalations: u32,
    /// Which, by the stage whose timer runs still. A list may have changed since.
    pub told: Vec<(clock::Stage, String)>,
    /// Until when nobody further up is told, since somebody who was told has it.
    pub acknowledged: Option<Wall>,
    /// Under legal hold.
    pub legal_hold: bool,
    /// The case that it is part of.
    pub merged_into: Option<CaseNumber>,
    /// Cases that are part of it.
    pub absorbed: Vec<CaseNumber>,
    /// How well it was handled, 1 to 5.
    pub stars: Option<u8>,
}

impl Case {
    /// Whether it may end by itself: what people are in danger from never does.
    pub fn may_clear(&self) -> bool {
        self.subject.kind.class() != Class::Event && self.peak >= Level::MAJOR
    }
    /// Whether a desk was told because of the timer of a stage.
    pub fn has_told(&self, stage: clock::Stage, desk: &str) -> bool {
        self.told.iter().any(|(of, told)| *of == stage && told == desk)
    }
    /// Who judges it at a moment.
    pub fn claimed(&self, at: Wall) -> Option<&Claim> {
        self.claim.as_ref().filter(|claim| at < claim.until)
    }
}

/// Why something is not done with a case, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The case does not stand where that is done.
    #[error("{0}")]
    State(String),
    /// 采办分离.
    #[error("{0}")]
    Separation(String),
    /// Another unit's business.
    #[error("{0}")]
    Unit(String),
    /// Somebody else judges it.
    #[error("{0}")]
    Claimed(String),
    /// What was said is wrong.
    #[error("{0}")]
    Content(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::State(text) | Refusal::Claimed(text) => Error::Conflict(text),
            Refusal::Separation(text) | Refusal::Unit(text) => Error::Forbidden(text),
            Refusal::Content(text) => Error::Invalid(text),
        }
    }
}

#[cfg(test)]
mod tests;
