//! How things stand between two entries: what those that follow are read by, when those before have left.

use xueliang_base::{
    incident::{Evidence, Incident},
    time::Wall,
};

use super::{Analyst, Entry, Mono, NotLooked, PictureTroubles, RuleNote, Turn, Vigil, What};

/// How a camera and its rules stand.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// The latest entry: whether it was of a picture, or why not.
    pub(crate) watch: Option<Option<NotLooked>>,
    /// The latest reason, or picture, that tells whether units arrive.
    pub(crate) signal: Option<Option<NotLooked>>,
    /// What was wrong with the latest picture.
    pub(crate) picture: Option<PictureTroubles>,
    /// Arrival of the latest picture.
    pub(crate) seen: Option<Mono>,
    /// How closely the camera is looked at.
    pub(crate) vigil: Option<Vigil>,
    /// In the order of the camera's rules.
    pub(crate) rules: Vec<RuleStanding>,
}

/// How a rule stands.
#[derive(Debug, Clone)]
pub(crate) struct RuleStanding {
    /// The latest look that told it something; without one, the beginning.
    pub(crate) looked: Mono,
    /// Whether that saw its condition; `None` without one.
    pub(crate) saw: Option<bool>,
    /// What was said since that tells nothing: since when, and why.
    pub(crate) silent: Option<(Mono, NotLooked)>,
    /// Whether it was looked at as at rest at some time since.
    pub(crate) rested: bool,
    /// Its incident.
    pub(crate) held: Option<Held>,
}

/// An incident, as far as the logbook tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    pub(crate) started: Wall,
    /// Looks that have seen it.
    pub(crate) looks: u64,
    /// Best score so far.
    pub(crate) best: f32,
}

impl Held {
    pub(crate) fn of(incident: &Incident) -> Self {
        Self { started: incident.started_wall, looks: incident.count, best: incident.confidence }
    }
}

/// Whether an entry tells if units arrive: why not, or that they do. `None` where it does not tell.
pub(crate) fn arriving(missed: Option<NotLooked>) -> Option<Option<NotLooked>> {
    match missed {
        Some(
            NotLooked::Connecting
            | NotLooked::Offline
            | NotLooked::Stalled
            | NotLooked::ExpectedOff
            | NotLooked::NotConnected,
        ) => Some(missed),
        Some(NotLooked::TooOld | NotLooked::Busy | NotLooked::WorkerLost) => None,
        _ => Some(None),
    }
}

impl Standing {
    /// Nothing was told yet.
    pub(super) fn new(now: Mono, analyst: &Analyst) -> Self {
        let rule = |held| RuleStanding { looked: now, saw: None, silent: None, rested: false, held };
        let held = analyst.episodes().iter().map(|episode| episode.incident().map(Held::of));
        let rules = held.map(rule).collect();
        Self { watch: None, signal: None, picture: None, seen: None, vigil: None, rules }
    }
    /// Takes up the incidents that the analyst has now.
    pub(super) fn take_over(&mut self, analyst: &Analyst) {
        for (rule, episode) in self.rules.iter_mut().zip(analyst.episodes()) {
            rule.held = episode.incident().map(Held::of);
        }
    }
    pub(super) fn take(&mut self, entry: &Entry) {
        let missed = entry.what.missed();
        self.watch = Some(missed);
        self.signal = arriving(missed).or(self.signal);
        self.vigil = Some(entry.vigil);
        if let What::Looked { troubles, .. } = entry.what {
            self.picture = Some(troubles);
            self.seen = Some(self.seen.map_or(entry.when, |seen| seen.max(entry.when)));
        }
        for (rule, note) in self.rules.iter_mut().zip(&entry.rules) {
            rule.take(note);
        }
    }
}

impl RuleStanding {
    fn take(&mut self, note: &RuleNote) {
        self.rested |= note.rests;
        let Some(told) = &note.told else { return };
        match told.evidence {
            Evidence::NotLooked(reason) => {
                if self.silent.is_none_or(|(_, last)| last != reason) {
                    self.silent = Some((told.at.max(self.silent.map_or(self.looked, |(at, _)| at)), reason));
                }
            }
            evidence => {
                self.looked = self.looked.max(told.at);
                self.saw = Some(evidence == Evidence::Seen);
                self.silent = None;
                self.rested = note.rests;
            }
        }
        match told.turn {
            Some(Turn::Raised(held)) => self.held = Some(held),
            Some(Turn::Resolved(_)) => self.held = None,
            None => {}
        }
        if let (Some(held), Some((looks, best))) = (&mut self.held, told.held) {
            (held.looks, held.best) = (looks, best);
        }
    }
}
