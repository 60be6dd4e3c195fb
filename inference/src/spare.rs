//! What look workers do with the time that looks leave: glances at the pictures of sub-streams. Pure, as attention is.
//!
//! [`Spare::next`] is asked about workers for which attention has no look. So all that glances ever take from a look is the
//! rest of the turn under way, and turns are short: a sub-stream has one four times a second ([`EVERY`]), with what has come
//! since the last. It keeps a decoder on one worker ([`Takes::Next`]). One that has waited until more has come than a turn may
//! take gives up its place in the stream: then it has its keyframes alone ([`Takes::Keyframe`]), as far as there is time for
//! them, until there is enough to follow it again from a keyframe on ([`Takes::Restart`]). Whoever has waited for longest has
//! the next turn. Nothing is promised: what is promised is looks, and glances at the main stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use xueliang_base::{id::CameraId, time::Mono};

use crate::attention::WorkerId;

/// From one turn to the next: half of what it may take until somebody who comes is looked at.
pub const EVERY: Duration = Duration::from_millis(250);
/// Units that a turn takes at most: 15 ms of decoding 352x288.
const MOST: usize = 30;
/// A keyframe with more units after it is not begun at: the next turn would not be the first to be late.
const SOON: usize = 12;
/// After a failure, doubled with each in a row.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the ring of a sub-stream holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Units after the last that its decoder was fed; `None` where that is no place to go on from.
    pub unfed: Option<usize>,
    /// Units from the newest keyframe on, where all of them can be decoded and that keyframe may be begun at.
    pub from_keyframe: Option<usize>,
    /// Whether there is a keyframe that nothing has had.
    pub keyframe: bool,
}

/// What a turn takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// All units since the last turn, on the decoder that is kept.
    Next,
    /// The newest keyframe and all after it, on a fresh decoder that is kept from now on.
    Restart,
    /// The newest keyframe alone.
    Keyframe,
}

/// Glances to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose sub-stream.
    pub camera: CameraId,
    /// On which worker.
    pub worker: WorkerId,
    /// What of it.
    pub takes: Takes,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seat {
    /// When the next turn is due; `None` while one is under way.
    due: Option<Mono>,
    started: Mono,
    /// The worker that keeps its decoder.
    holder: Option<WorkerId>,
    failures: u32,
}

/// All sub-streams of a node.
#[derive(Debug, Clone)]
pub struct Spare {
    per_worker: usize,
    seats: BTreeMap<CameraId, Seat>,
    /// Those without a turn under way.
    due: BTreeSet<(Mono, CameraId)>,
    /// Decoders kept, by worker.
    kept: BTreeMap<WorkerId, usize>,
}

impl Spare {
    /// No sub-streams; a worker keeps so many decoders for them at most. Beyond, they have their keyframes.
    pub fn new(per_worker: usize) -> Self {
        Self { per_worker, seats: BTreeMap::new(), due: BTreeSet::new(), kept: BTreeMap::new() }
    }
    /// Adds a sub-stream, or begins it anew.
    pub fn add(&mut self, now: Mono, id: &CameraId) {
        self.remove(id);
        self.seats.insert(id.clone(), Seat { due: Some(now), ..Seat::default() });
        self.due.insert((now, id.clone()));
    }
    /// Takes one out. The worker that keeps its decoder is to be told.
    pub fn remove(&mut self, id: &CameraId) -> Option<WorkerId> {
        let holder = self.release(id);
        if let Some(due) = self.seats.remove(id).and_then(|seat| seat.due) {
            self.due.remove(&(due, id.clone()));
        }
        holder
    }
    /// Takes its decoder away, as where it sends nothing. The worker that keeps it is to be told.
    pub fn release(&mut self, id: &CameraId) -> Option<WorkerId> {
        let holder = self.seats.get_mut(id)?.holder.take()?;
        self.drop_one(holder);
        Some(holder)
    }
    /// A worker died, and its decoders with it.
    pub fn worker_lost(&mut self, worker: WorkerId) {
        for seat in self.seats.values_mut().filter(|seat| seat.holder == Some(worker)) {
            seat.holder = None;
        }
        self.kept.remove(&worker);
    }
    /// The worker that keeps its decoder.
    pub fn holder(&self, id: &CameraId) -> Option<WorkerId> {
        self.seats.get(id)?.holder
    }
    /// Decoders kept now.
    pub fn kept(&self) -> usize {
        self.kept.values().sum()
    }
    /// The turn to start now on one of these workers, which no look needs. `held` says what a ring holds. Call again until it
    /// says `None`.
    pub fn next(&mut self, now: Mono, free: &[WorkerId], held: impl Fn(&CameraId) -> Held) -> Option<Turn> {
        if free.is_empty() {
            return None;
        }
        let due: Vec<(Mono, CameraId)> = self.due.iter().take_while(|(at, _)| *at <= now).cloned().collect();
        for (at, id) in due {
            let Some(seat) = self.seats.get(&id).copied() else { continue };
            if seat.holder.is_some_and(|holder| !free.contains(&holder)) {
                continue;
            }
            let kept = |worker: &WorkerId| self.kept.get(worker).copied().unwrap_or_default();
            let worker =
                seat.holder.or_else(|| free.iter().copied().min_by_key(|worker| (kept(worker), *worker)))?;
            let room = seat.holder.is_some() || kept(&worker) < self.per_worker;
            let held = held(&id);
            let takes = match held.unfed.filter(|_| seat.holder.is_some()) {
                Some(0) => None,
                Some(unfed) if unfed <= MOST => Some(Takes::Next),
                _ if room && held.from_keyframe.is_some_and(|units| (1..=SOON).contains(&units)) => {
                    Some(Takes::Restart)
                }
                _ => held.keyframe.then_some(Takes::Keyframe),
            };
            self.due.remove(&(at, id.clone()));
            let seat = self.seats.entry(id.clone()).or_default();
            let Some(takes) = takes else {
                self.wait(&id, now.plus(EVERY));
                continue;
            };
            (seat.due, seat.started) = (None, now);
            if takes != Takes::Keyframe && seat.holder.replace(worker).is_none() {
                *self.kept.entry(worker).or_default() += 1;
            }
            return Some(Turn { camera: id, worker, takes });
        }
        None
    }
    /// The turn of this sub-stream has ended. After a failure its decoder is taken away: the worker that keeps it is to be told.
    #[must_use]
    pub fn done(&mut self, now: Mono, id: &CameraId, succeeded: bool) -> Option<WorkerId> {
        let seat = self.seats.get_mut(id).filter(|seat| seat.due.is_none())?;
        if succeeded {
            seat.failures = 0;
            let next = seat.started.plus(EVERY).max(now);
            self.wait(id, next);
            None
        } else {
            let pause = PAUSE.saturating_mul(1 << seat.failures.min(16)).min(LONGEST_PAUSE);
            seat.failures = seat.failures.saturating_add(1);
            self.wait(id, now.plus(pause));
            self.release(id)
        }
    }
    /// When to ask [`Spare::next`] again though no turn and no look has ended.
    pub fn next_wake(&self, now: Mono) -> Option<Mono> {
        self.due.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    fn wait(&mut self, id: &CameraId, until: Mono) {
        if let Some(seat) = self.seats.get_mut(id) {
            seat.due = Some(until);
            self.due.insert((until, id.clone()));
        }
    }
    fn drop_one(&mut self, worker: WorkerId) {
        if let Some(kept) = self.kept.get_mut(&worker) {
            *kept = kept.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
