//! What a camera did in a stretch of time and what its rules said: the answer to "why was there no alert at 14:03?".
//!
//! It is told from the camera's [`Logbook`], in which stands what each look told each rule when it did: what the live analyst
//! knew, no more and no less. Here are the facts; [`Verdict`] is what follows from them. Counts, scores and times only:
//! nothing of what was where in a picture, and nothing about anyone.
//!
//! Time is cut into [`Stretch`]es without holes. As in `rules::timing`, the time between two looks that told a rule
//! something is watched when it is at most the rule's `max_gap`; what lies in a longer gap is not, and says so: that the camera
//! rested, or why there was no look.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    config::{Rule, Timing},
    gate::WakeReason,
    incident::{Resolution, ThresholdKind},
    look::{LookKind, NotLooked},
    time::{Mono, Wall},
};

pub use crate::attention::{LookFor, Vigil};
use crate::{analyst::PictureTroubles, logbook::Logbook};

mod camera;
mod rule;
mod timeline;
mod verdict;

pub use timeline::Stretch;
pub use verdict::{Verdict, VerdictKind};

/// Longest stretch of time that is explained at once: no logbook surely reaches further back.
pub const MAX_RANGE: Duration = Duration::from_secs(6 * 3600);

/// A rule's next look after the time that is asked about tells how long the gap there was; it is waited for so long.
const LOOK_ON: Duration = Duration::from_secs(600);

/// Both clocks at one moment, and the zone in which times are told.
///
/// The wall clock may have been set since. So wall times are counted back from now: that keeps order and lengths right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Now, by the clock that measures.
    pub mono: Mono,
    /// Now, by the clock that people read.
    pub wall: Wall,
    /// IANA name of the site's zone.
    pub zone: String,
}

impl Times {
    /// When a moment was, by the wall clock as it is now.
    pub fn wall(&self, at: Mono) -> Wall {
        self.wall.minus(self.mono.since(at)).plus(at.since(self.mono))
    }
    /// The moment of a wall time.
    pub fn mono(&self, at: Wall) -> Mono {
        let micros = |us: i64| Duration::from_micros(u64::try_from(us).unwrap_or(0));
        let ago = self.wall.0.saturating_sub(at.0);
        self.mono.minus(micros(ago)).plus(micros(ago.saturating_neg()))
    }
    fn tell(&self, at: Mono) -> String {
        self.wall(at).time_of_day(&self.zone)
    }
}

/// Why nothing can be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// The time ends before it begins.
    #[error("the time ends before it begins: name the earlier moment first")]
    Empty,
    /// It is longer than a logbook.
    #[error("the time is longer than 6 hours, what a camera's logbook holds: ask for less")]
    TooLong,
    /// The logbook holds nothing of it.
    #[error("the camera's logbook begins at {begins}, it is {now} now: ask for a time between. {WHY}")]
    Outside {
        /// Since when there is an exact account, RFC 3339.
        begins: String,
        /// Now, RFC 3339.
        now: String,
    },
}

const WHY: &str = "(A logbook begins anew when the node starts or the camera's configuration changes; its oldest entries \
                   leave after 6 hours, or earlier where there are many looks.)";

/// What a camera did and what its rules said.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// For telling times.
    pub times: Times,
    /// The beginning that was asked for.
    pub from: Mono,
    /// The end that was asked for.
    pub to: Mono,
    /// The part of it that the logbook can tell about; every list of stretches covers exactly that.
    pub known: (Mono, Mono),
    /// How far the wall clock was set after some entry of that time was dated, microseconds; below 0: back. Only a second
    /// or more counts.
    pub clock_set_us: Option<i64>,
    /// Looks that gave a picture.
    pub looks: Vec<LooksTaken>,
    /// Entries without a picture, by reason.
    pub missed: Vec<Missed>,
    /// Whether pictures were looked at, or why not.
    pub watch: Vec<Stretch<Watch>>,
    /// Whether units arrived.
    pub signal: Vec<Stretch<Arriving>>,
    /// How closely the camera was looked at, as of each entry; `None` before the first.
    pub vigil: Vec<Stretch<Option<Vigil>>>,
    /// Looks after which the pixel tier had the camera watched, by what it saw.
    pub wakes: Vec<Woken>,
    /// What was wrong with the picture; `None` before the first.
    pub picture: Vec<Stretch<Option<PictureTroubles>>>,
    /// In the order of the camera's rules.
    pub rules: Vec<ExplainedRule>,
}

/// Looks of one kind, made for one thing, that gave a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct LooksTaken {
    /// Keyframe or continued.
    pub kind: LookKind,
    /// What for.
    pub purpose: LookFor,
    /// How many.
    pub count: u64,
    /// From the picture of the look before, of any kind, to the picture of each of these.
    pub interval: Spread,
    /// From the arrival of the picture until it was looked at.
    pub age: Spread,
    /// Arrival of the last one's picture.
    pub last: Mono,
}

/// Looks that had a camera watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Woken {
    /// What the pixel tier saw.
    pub reason: WakeReason,
    /// How many.
    pub times: u64,
    /// Arrival of the last one's picture.
    pub last: Mono,
}

/// The middle and the largest of some durations; zero where there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half of them are at most this.
    pub p50: Duration,
    /// All of them are.
    pub most: Duration,
}

impl Spread {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let Some(most) = all.last().copied() else { return Self::default() };
        Self { p50: all[(all.len() - 1) / 2], most }
    }
}

/// Entries that say why there was no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Why.
    pub reason: NotLooked,
    /// How often it was noted. A camera that is silent is noted every second.
    pub times: u64,
    /// Of them, looks that were started and failed; the others were never started.
    pub failed: u64,
    /// How long it was so.
    pub lasted: Duration,
}

/// Whether pictures of a camera were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// The logbook has no entry yet.
    Untold,
    /// They were.
    Looked,
    /// They were not.
    Missed(NotLooked),
}

/// Whether units of a camera arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arriving {
    /// The logbook does not tell yet.
    Untold,
    /// They did.
    Units,
    /// They did not.
    Silent(NotLooked),
}

/// What a rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nothing yet since the logbook began.
    Nothing,
    /// Its condition was seen to hold.
    Seen,
    /// It was seen not to hold.
    NotSeen,
    /// That nothing could be said.
    NotLooked(NotLooked),
    /// Nothing: looks for it were further apart than its `max_gap`.
    Unwatched,
    /// Nothing, for the same reason: the camera rested, since its pictures were quiet.
    Rested,
}

impl Said {
    /// Whether the time counts as watched.
    pub fn watched(self) -> bool {
        matches!(self, Said::Seen | Said::NotSeen)
    }
}

/// What one rule said.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedRule {
    /// The rule.
    pub rule: Rule,
    /// The timing that applies to it.
    pub timing: Timing,
    /// The longest it may be blind while its camera rests; otherwise that is the rule's `blind_max`.
    pub at_rest: Duration,
    /// What follows.
    pub verdict: Verdict,
    /// Looks that saw its condition.
    pub seen: u64,
    /// Looks that saw that it did not hold.
    pub not_seen: u64,
    /// Times that nothing could be said, by reason.
    pub not_looked: BTreeMap<NotLooked, u64>,
    /// Looks that told it nothing: its models did not run in them, or what it compares pictures with was not known yet.
    pub untold: u64,
    /// What it said when.
    pub said: Vec<Stretch<Said>>,
    /// The longest time between two looks that told it something, as far as it lies in the time asked about: from, to. It
    /// is given in full, so it may begin before and end after.
    pub longest_gap: Option<(Mono, Mono)>,
    /// How many such times were longer than it may be blind.
    pub floor_broken: u64,
    /// How near it came to confirming what was seen, while it did not hold.
    pub nearest: Option<Nearest>,
    /// The thresholds that looks missed, each with the look that came nearest.
    pub missed: Vec<MissedThreshold>,
    /// Looks that saw the right thing with a sufficient score, outside its zone.
    pub elsewhere: u64,
    /// When it would have been confirmed first, were it not for its cooldown.
    pub cooling: Option<Mono>,
    /// Its incidents that held at some time of it.
    pub incidents: Vec<ExplainedIncident>,
}

/// The most that was seen of a condition that was not confirmed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// At which look.
    pub at: Mono,
    /// Watched time that counted towards the dwell.
    pub watched: Duration,
    /// Of it, seen.
    pub seen: Duration,
    /// Where it was watched for long enough: the share of it that was seen, which was too little.
    pub share: Option<f64>,
}

/// A threshold that was missed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MissedThreshold {
    /// What it bounds.
    pub kind: ThresholdKind,
    /// The value that came nearest to it.
    pub best: f64,
    /// The value it takes.
    pub needed: f64,
    /// Arrival of that picture.
    pub at: Mono,
}

/// An incident of a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExplainedIncident {
    /// Arrival of the first picture that counted, as it stands in the incident and its alert.
    pub started: Wall,
    /// Arrival of the picture that raised it; `None` where that was before what was gone through.
    pub raised: Option<Mono>,
    /// Arrival of the picture that ended it, and why; `None` while it held on.
    pub resolved: Option<(Mono, Resolution)>,
    /// Looks that had seen it by the end.
    pub looks: u64,
    /// Best score by then; 0 where the rule does not use scores.
    pub best: f32,
}

/// Explains what a camera did between two wall times.
pub fn explain(logbook: &Logbook, times: &Times, from: Wall, to: Wall) -> Result<Explained, Unexplained> {
    if to <= from {
        return Err(Unexplained::Empty);
    }
    let (from, to) = (times.mono(from), times.mono(to));
    if to.since(from) > MAX_RANGE {
        return Err(Unexplained::TooLong);
    }
    let begins = logbook.begins();
    let known = (from.max(begins), to.min(times.mono));
    if known.0 >= known.1 {
        let tell = |at| times.wall(at).rfc3339(&times.zone);
        return Err(Unexplained::Outside { begins: tell(begins), now: tell(times.mono) });
    }
    let mut explained = Explained {
        times: times.clone(),
        from,
        to,
        known,
        rules: rule::of(logbook, times, known),
        ..camera::of(logbook, times, known)
    };
    let verdicts: Vec<Verdict> = explained.rules.iter().map(|rule| verdict::of(&explained, rule)).collect();
    for (rule, verdict) in explained.rules.iter_mut().zip(verdicts) {
        rule.verdict = verdict;
    }
    Ok(explained)
}

#[cfg(test)]
mod tests;
