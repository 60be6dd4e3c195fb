//! The logbook: what a camera did and what each of its rules made of it, without pictures. It is what
//! [`crate::explain`] tells from.
//!
//! An entry a look, or a word on why there was none: when, how old the picture was, what the look was for, what was wrong with
//! the picture, and what it told each rule. Most entries say what others have said before, so each names one of few *words*
//! and takes 16 bytes, and some figures beside where a rule came near to something. It is in memory only, never listed
//! across cameras, and holds nothing of where in a picture anything was.
//!
//! Entries stand in blocks, each with a copy of how things stood at its beginning; the oldest block leaves as a whole.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use xueliang_base::{
    config::{Rule, Timing},
    gate::WakeReason,
    id::RuleId,
    look::{LookKind, NotLooked, Observation},
    time::Mono,
};

use crate::{
    analyst::{Analyst, PictureTroubles},
    attention::{LookFor, Vigil},
    rules::Episode,
};

mod block;
mod note;
mod standing;

pub(crate) use block::Block;
pub use note::Noted;
pub(crate) use note::{Entry, RuleNote, Told, Turn, What};
pub(crate) use standing::{Held, RuleStanding, Standing, arriving};

/// How much one camera's logbook keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogbookBounds {
    /// What is older than the newest entry by more than this leaves, block by block.
    pub max_age: Duration,
    /// Memory that it takes at most.
    pub max_bytes: usize,
}

impl Default for LogbookBounds {
    /// Six hours and 512 KB: at a glance every 4 s and a floor every 30 s the time binds (100 to 200 KB), at five looks a
    /// second the bytes (after one to two hours).
    fn default() -> Self {
        Self { max_age: Duration::from_secs(6 * 3600), max_bytes: 512_000 }
    }
}

/// Blocks that a full logbook holds.
const BLOCKS: usize = 16;

/// What is known of an entry beside its observation.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// What the look was for; of no account where there was none.
    pub purpose: LookFor,
    /// Why the pixel tier had the camera watched, where it did.
    pub woke: Option<WakeReason>,
    /// How closely the camera is looked at from then on.
    pub vigil: Vigil,
    /// The rules that are looked at as at rest from then on.
    pub rests: &'a dyn Fn(&RuleId) -> bool,
}

/// A rule of the camera.
#[derive(Debug, Clone)]
pub(crate) struct LoggedRule {
    pub(crate) rule: Rule,
    /// The timing that applies to it.
    pub(crate) timing: Timing,
    /// The longest it may be blind while the camera rests.
    pub(crate) at_rest: Duration,
}

/// One camera's logbook. A copy shares what is complete.
#[derive(Debug, Clone)]
pub struct Logbook {
    bounds: LogbookBounds,
    rules: Arc<[LoggedRule]>,
    full: VecDeque<Arc<Block>>,
    open: Block,
    /// Of those that are full.
    bytes: usize,
    standing: Standing,
}

impl Logbook {
    /// An empty logbook of this analyst's camera. Begin a new one with every configuration and every new analyst. `at_rest`:
    /// for how long a rule may be blind while its camera rests.
    pub fn new(
        bounds: LogbookBounds,
        now: Mono,
        analyst: &Analyst,
        at_rest: impl Fn(&Rule) -> Duration,
    ) -> Self {
        let rule = |episode: &Episode| LoggedRule {
            rule: episode.rule().clone(),
            timing: *episode.timing(),
            at_rest: at_rest(episode.rule()),
        };
        let rules = analyst.episodes().iter().map(rule).collect();
        let standing = Standing::new(now, analyst);
        let open = Block::new(now, standing.clone());
        Self { bounds, rules, full: VecDeque::new(), open, bytes: 0, standing }
    }
    /// Takes up how things stand. Call it when anything but an entry has changed the analyst.
    pub fn stand(&mut self, now: Mono, analyst: &Analyst) {
        self.standing.take_over(analyst);
        self.turn_over(now);
    }
    /// Writes what the analyst was given, and what it made of it.
    pub fn push(&mut self, observation: &Observation, noted: Noted, setting: &Setting<'_>) {
        let Noted { mut rules, troubles } = noted;
        for (note, logged) in rules.iter_mut().zip(&*self.rules) {
            note.rests = (setting.rests)(&logged.rule.id);
        }
        let Setting { purpose, woke, vigil, .. } = *setting;
        let what = match &observation.outcome {
            Ok(_) => What::Looked { kind: observation.kind, purpose, troubles, woke },
            Err(reason) => What::Missed { reason: *reason, started: observation.look.0 != 0 },
        };
        let now = observation.at;
        let entry = Entry {
            at: now,
            when: observation.outcome.as_ref().map_or(now, |sight| sight.arrival),
            offset_us: observation.at_wall.0.saturating_sub(i64::try_from(now.0 / 1000).unwrap_or(i64::MAX)),
            what,
            vigil,
            rules,
        };
        self.open.push(&entry);
        self.standing.take(&entry);
        if self.open.bytes() >= self.bounds.max_bytes / BLOCKS {
            self.turn_over(now);
        }
        self.trim(now);
    }
    /// Begins a new block, after what was written at this moment.
    fn turn_over(&mut self, now: Mono) {
        let begins = now.plus(Duration::from_micros(1));
        let block = std::mem::replace(&mut self.open, Block::new(begins, self.standing.clone()));
        self.bytes += block.bytes();
        self.full.push_back(Arc::new(block));
        self.trim(now);
    }
    fn trim(&mut self, now: Mono) {
        while let Some(oldest) = self.full.front() {
            let ends = self.full.get(1).map_or(self.open.begins(), |next| next.begins());
            if self.bytes() <= self.bounds.max_bytes && now.since(ends) <= self.bounds.max_age {
                return;
            }
            self.bytes -= oldest.bytes();
            self.full.pop_front();
        }
    }
    /// Since when it tells.
    pub fn begins(&self) -> Mono {
        self.blocks().next().map_or(self.open.begins(), Block::begins)
    }
    /// Memory taken.
    pub fn bytes(&self) -> usize {
        self.bytes + self.open.bytes()
    }
    /// Entries held.
    pub fn len(&self) -> usize {
        self.blocks().map(Block::len).sum()
    }
    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The camera's rules, in its order.
    pub(crate) fn rules(&self) -> &[LoggedRule] {
        &self.rules
    }
    /// Oldest first, at least one: where each begins and how things stood there.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.full.iter().map(|block| &**block).chain([&self.open])
    }
}

#[cfg(test)]
mod tests;
