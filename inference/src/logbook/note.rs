//! What an entry says, as it is written and read.

use xueliang_base::incident::{Edge, Evidence, Resolution};

use super::{Held, LookFor, LookKind, Mono, NotLooked, PictureTroubles, Vigil, WakeReason};
use crate::rules::{Episode, Moment, Near, Progress};

/// What an analyst made of an observation, for the logbook.
#[derive(Debug)]
pub struct Noted {
    /// In the order of the camera's rules.
    pub(crate) rules: Vec<RuleNote>,
    /// What is wrong with the latest picture.
    pub(crate) troubles: PictureTroubles,
}

/// An entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// When it was made.
    pub(crate) at: Mono,
    /// When it tells of: the arrival of its picture, where there is one.
    pub(crate) when: Mono,
    /// The wall clock over the clock that measures, by the clocks of then.
    pub(crate) offset_us: i64,
    pub(crate) what: What,
    /// How closely the camera was looked at from then on.
    pub(crate) vigil: Vigil,
    /// In the order of the camera's rules.
    pub(crate) rules: Vec<RuleNote>,
}

/// What an entry says of the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    /// A picture was looked at.
    Looked { kind: LookKind, purpose: LookFor, troubles: PictureTroubles, woke: Option<WakeReason> },
    /// None was; `started` where a look was tried.
    Missed { reason: NotLooked, started: bool },
}

impl What {
    pub(crate) fn missed(self) -> Option<NotLooked> {
        match self {
            What::Looked { .. } => None,
            What::Missed { reason, .. } => Some(reason),
        }
    }
}

/// What an entry says of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RuleNote {
    /// What it told the rule, where it told it anything.
    pub(crate) told: Option<Told>,
    /// Whether the rule was looked at as at rest from then on.
    pub(crate) rests: bool,
}

/// What a rule was told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Told {
    /// When that was made: of the picture's arrival, or, where the rule needs no picture, of the entry.
    pub(crate) at: Mono,
    pub(crate) evidence: Evidence,
    /// Seen, and kept from an alert by the cooldown alone.
    pub(crate) cooling: bool,
    /// Not seen, but outside of the zone.
    pub(crate) elsewhere: bool,
    /// Not seen: the threshold that was missed, and by how much.
    pub(crate) near: Option<Near>,
    /// Seen, without an incident: how far it has come.
    pub(crate) progress: Option<Progress>,
    /// The incident that holds after it: looks that saw it, and the best score.
    pub(crate) held: Option<(u64, f32)>,
    /// What changed.
    pub(crate) turn: Option<Turn>,
}

/// An edge of an incident.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Turn {
    Raised(Held),
    Resolved(Resolution),
}

impl RuleNote {
    /// After the rule took the entry. Whether it rests is not known here, nor what changed.
    pub(crate) fn of(episode: &Episode, moment: &Moment<'_>) -> Self {
        let Some((at, finding)) = episode.told() else { return Self { told: None, rests: false } };
        let seen = finding.evidence == Evidence::Seen;
        let (near, elsewhere) = match finding.evidence {
            Evidence::NotSeen => episode.conditioned().near(moment, finding),
            _ => (None, false),
        };
        let told = Told {
            at,
            evidence: finding.evidence,
            cooling: seen && episode.timer().cooling(at, &finding.subjects),
            elsewhere,
            near,
            progress: if seen { episode.timer().progress() } else { None },
            held: episode.incident().map(|incident| (incident.count, incident.confidence)),
            turn: None,
        };
        Self { told: Some(told), rests: false }
    }
    pub(crate) fn turn(&mut self, edge: &Edge) {
        let Some(told) = &mut self.told else { return };
        told.turn = match edge {
            Edge::Raised(incident) => Some(Turn::Raised(Held::of(incident))),
            Edge::Updated(_) => None,
            Edge::Resolved(_, why) => Some(Turn::Resolved(*why)),
        };
    }
}
