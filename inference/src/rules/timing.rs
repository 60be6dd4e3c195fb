//! From evidence to edges: dwell, share, absence and cooldown, all in seconds that were *watched*.
//!
//! The time between two looks counts as watched when it is at most `max_gap`; longer, it counts as nothing: it
//! neither lets a condition fire nor an incident end. Watched time between two looks is seen to its full length when
//! both saw the condition, to half when one did. A rule fires at a look that saw its condition, when some stretch that
//! began with such a look was watched for `dwell` and seen for `seen_share` of that. A longer gap pauses the stretch
//! if the condition is seen again after it, and ends it if not, or if the gap was longer than `dwell`.
//! An incident ends at a look that did not see it, when absence was watched for `clear` since it was last seen.
//!
//! A condition may hold for several *subjects* (this lorry, that lorry); dwell is counted for each alone, since five
//! lorries passing in turn block nothing. A subject is a place in the picture, not an identity.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use xueliang_base::{
    config::Timing,
    time::{Mono, Wall},
};

/// Entries of one stretch; beyond, neighbours are merged, which costs precision of one entry in 256.
const MAX_SPANS: usize = 512;

/// For whom or what a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Tells subjects of one rule apart.
    pub key: u64,
    /// Whether it keeps a firing incident alive; a lorry that may only be passing does not.
    pub lasting: bool,
}

impl Subject {
    /// The only subject of a rule that does not tell subjects apart.
    pub const WHOLE: Subject = Subject { key: 0, lasting: true };
}

/// What a look changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The rule began to hold.
    Fired {
        /// Arrival of the first picture that counted.
        started: Mono,
        /// The same by the wall clock.
        started_wall: Wall,
        /// Looks that saw it.
        looks: u64,
        /// Watched time for which it was seen.
        held: Duration,
    },
    /// It holds on and this look saw it.
    Held,
    /// It was watched not to hold for long enough.
    Cleared,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    at: Mono,
    wall: Wall,
    seen: bool,
    looks: u64,
    watched_ns: u64,
    /// Twice the seen time, so that halves stay whole.
    seen2_ns: u64,
}

/// One subject's stretch.
#[derive(Debug, Clone, Default)]
struct Stretch(VecDeque<Span>);

impl Stretch {
    fn last_seen(&self) -> bool {
        self.0.back().is_some_and(|span| span.seen)
    }
    fn push(&mut self, span: Span, dwell_ns: u64) {
        self.0.push_back(span);
        // What lies before twice the dwell cannot decide any more.
        let mut watched: u64 = self.0.iter().skip(1).map(|s| s.watched_ns).sum();
        while let Some(second) = self.0.get(1) {
            let rest = watched - second.watched_ns;
            let front_seen = self.0.front().is_some_and(|s| s.seen);
            if front_seen && rest < dwell_ns.saturating_mul(2) {
                break;
            }
            watched = rest;
            self.0.pop_front();
        }
        if self.0.len() > MAX_SPANS {
            let old = std::mem::take(&mut self.0);
            let mut old = old.into_iter();
            self.0.extend(old.next());
            while let Some(a) = old.next() {
                let Some(b) = old.next() else {
                    self.0.push_back(a);
                    break;
                };
                self.0.push_back(Span {
                    looks: a.looks + b.looks,
                    watched_ns: a.watched_ns + b.watched_ns,
                    seen2_ns: a.seen2_ns + b.seen2_ns,
                    ..b
                });
            }
        }
    }
    /// The first look, looks and seen time of the shortest part up to now that satisfies the rule.
    fn ready(&self, dwell_ns: u64, share: f32) -> Option<(Span, u64, u64)> {
        let (mut watched, mut seen2, mut looks) = (0u64, 0u64, 0u64);
        for span in self.0.iter().rev() {
            looks += span.looks;
            if span.seen && watched >= dwell_ns && share_of(seen2, watched) + 1e-6 >= f64::from(share) {
                return Some((*span, looks, seen2 / 2));
            }
            watched += span.watched_ns;
            seen2 += span.seen2_ns;
        }
        None
    }
}

/// How far a rule that does not hold has come towards firing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Watched time of the longest stretch up to the latest look that was seen to the share that is asked for.
    pub watched: Duration,
    /// Of it, the time for which the condition was seen.
    pub seen: Duration,
    /// The best share of stretches that were watched for the whole dwell and seen for too little of it.
    pub share: Option<f64>,
}

#[derive(Debug, Clone, Default)]
struct Active {
    held2_ns: u64,
    absent_ns: u64,
    present: bool,
}

/// Turns one rule's looks into changes.
#[derive(Debug, Clone)]
pub struct Timer {
    dwell_ns: u64,
    max_gap_ns: u64,
    clear_ns: u64,
    cooldown: Duration,
    share: f32,
    stretches: BTreeMap<u64, Stretch>,
    last: Option<Mono>,
    active: Option<Active>,
    resolved: Option<Mono>,
}

/// The share of watched time that was seen.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
fn share_of(seen2_ns: u64, watched_ns: u64) -> f64 {
    if watched_ns == 0 { 1.0 } else { seen2_ns as f64 / (2.0 * watched_ns as f64) }
}

fn ns(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

impl Timer {
    /// A rule that has seen nothing yet.
    pub fn new(timing: &Timing) -> Self {
        Self {
            dwell_ns: ns(timing.dwell),
            max_gap_ns: ns(timing.max_gap),
            clear_ns: ns(timing.clear),
            cooldown: timing.cooldown,
            share: timing.seen_share,
            stretches: BTreeMap::new(),
            last: None,
            active: None,
            resolved: None,
        }
    }
    /// Takes over an incident that held before this process began, after `held` of seen time.
    pub fn adopt(&mut self, held: Duration) {
        self.active = Some(Active { held2_ns: ns(held).saturating_mul(2), absent_ns: 0, present: false });
    }
    /// Whether the rule holds.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }
    /// Watched time for which the active incident was seen.
    pub fn held(&self) -> Duration {
        Duration::from_nanos(self.active.as_ref().map_or(0, |active| active.held2_ns / 2))
    }
    /// Arrival of the last picture that told anything.
    pub fn last_looked(&self) -> Option<Mono> {
        self.last
    }
    /// Takes a look: the subjects it saw, none for observed absence. Looks that told nothing are not given at all.
    /// A look not later than the one before changes nothing.
    pub fn looked(&mut self, at: Mono, wall: Wall, subjects: &[Subject]) -> Change {
        if self.last.is_some_and(|last| at <= last) {
            return Change::None;
        }
        let step = self.last.map_or(0, |last| ns(at.since(last)));
        self.last = Some(at);
        let watched = if step <= self.max_gap_ns { step } else { 0 };
        self.extend(at, wall, subjects, step, watched);
        match &mut self.active {
            Some(active) => {
                let present = subjects.iter().any(|subject| subject.lasting);
                let halves = u64::from(active.present) + u64::from(present);
                active.held2_ns = active.held2_ns.saturating_add(watched * halves);
                if present {
                    active.present = true;
                    active.absent_ns = 0;
                    return Change::Held;
                }
                // The time from the last sighting to the first absence may have been either; it counts as neither.
                if !active.present {
                    active.absent_ns += watched;
                }
                active.present = false;
                if active.absent_ns < self.clear_ns {
                    return Change::None;
                }
                self.active = None;
                self.resolved = Some(at);
                self.stretches.clear();
                Change::Cleared
            }
            None => self.fire(at, subjects),
        }
    }
    /// How far it has come towards firing, by the subject that is nearest; `None` while it holds, or without any.
    pub fn progress(&self) -> Option<Progress> {
        if self.active.is_some() || self.stretches.is_empty() {
            return None;
        }
        let (mut best, mut share): ((u64, u64), Option<f64>) = ((0, 0), None);
        for stretch in self.stretches.values() {
            let (mut watched, mut seen2) = (0u64, 0u64);
            for span in stretch.0.iter().rev() {
                if span.seen {
                    let part = share_of(seen2, watched);
                    if part + 1e-6 >= f64::from(self.share) {
                        best = best.max((watched, seen2 / 2));
                    } else if watched >= self.dwell_ns {
                        share = Some(share.map_or(part, |known| known.max(part)));
                    }
                }
                watched += span.watched_ns;
                seen2 += span.seen2_ns;
            }
        }
        Some(Progress { watched: Duration::from_nanos(best.0), seen: Duration::from_nanos(best.1), share })
    }
    /// Whether it would have fired at this look, which it was given last, were it not for the cooldown.
    pub fn cooling(&self, at: Mono, subjects: &[Subject]) -> bool {
        self.active.is_none()
            && self.resolved.is_some_and(|resolved| at.since(resolved) < self.cooldown)
            && subjects.iter().any(|subject| {
                let stretch = self.stretches.get(&subject.key);
                stretch.is_some_and(|stretch| stretch.ready(self.dwell_ns, self.share).is_some())
            })
    }
    /// Memory taken beside its own, approximately.
    pub fn bytes(&self) -> usize {
        self.stretches.values().map(|stretch| stretch.0.capacity() * size_of::<Span>()).sum()
    }
    fn fire(&mut self, at: Mono, subjects: &[Subject]) -> Change {
        if self.resolved.is_some_and(|resolved| at.since(resolved) < self.cooldown) {
            return Change::None;
        }
        let ready = subjects
            .iter()
            .filter_map(|subject| self.stretches.get(&subject.key)?.ready(self.dwell_ns, self.share))
            .min_by_key(|(first, ..)| first.at);
        let Some((first, looks, held_ns)) = ready else { return Change::None };
        self.active = Some(Active { held2_ns: held_ns.saturating_mul(2), absent_ns: 0, present: true });
        Change::Fired {
            started: first.at,
            started_wall: first.wall,
            looks,
            held: Duration::from_nanos(held_ns),
        }
    }
    fn extend(&mut self, at: Mono, wall: Wall, subjects: &[Subject], step: u64, watched: u64) {
        let gap = step > self.max_gap_ns;
        let too_long = gap && step > self.dwell_ns;
        let dwell_ns = self.dwell_ns;
        self.stretches.retain(|key, stretch| {
            let seen = subjects.iter().any(|subject| subject.key == *key);
            if too_long || (gap && !seen) {
                return false;
            }
            let halves = u64::from(stretch.last_seen()) + u64::from(seen);
            stretch.push(
                Span {
                    at,
                    wall,
                    seen,
                    looks: u64::from(seen),
                    watched_ns: watched,
                    seen2_ns: watched * halves,
                },
                dwell_ns,
            );
            stretch.0.iter().any(|span| span.seen)
        });
        for subject in subjects {
            self.stretches.entry(subject.key).or_insert_with(|| {
                let first = Span { at, wall, seen: true, looks: 1, watched_ns: 0, seen2_ns: 0 };
                Stretch(VecDeque::from([first]))
            });
        }
    }
}

#[cfg(test)]
mod tests;
