//! The ring of one camera: its newest encoded access units, bounded in bytes and seconds.
//!
//! It owns the camera's [`Account`]: each unit ends in exactly one column, and only this file moves one from a column
//! to the next. A unit is *undecided* until a look takes it or something passes it over; decided units stay for
//! evidence ([`Ring::clip`]) until bytes or seconds push them out. No time is read here: ages are distances to the
//! newest arrival. What a look may still *want* is decided elsewhere.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use xueliang_base::{
    accounting::{Account, Skipped},
    time::Mono,
    unit::{AccessUnit, Codec},
};

mod span;

pub use span::{Settled, Span, SpanTicket};

/// Where a unit stands in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    InRing,
    InFlight,
    LookedAt,
    Referenced,
    Skipped(Skipped),
    Lost(xueliang_base::look::NotLooked),
}

#[derive(Debug)]
struct Entry {
    unit: AccessUnit,
    column: Column,
    /// Whether a decoder fed from a keyframe up to the unit before can decode this one.
    follows: bool,
}

#[derive(Debug)]
struct Inner {
    entries: VecDeque<Entry>,
    bytes: usize,
    account: Account,
    max_bytes: usize,
    max_age: Duration,
    /// Whether a keyframe has come since the last gap: without one, a unit cannot be decoded.
    referenced: bool,
    last: Option<(u64, Codec)>,
}

/// What stands in a ring, for the scheduler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// Undecided units.
    pub units: u64,
    /// Encoded bytes held, of decided units too.
    pub bytes: u64,
    /// Arrival of the newest unit held, decided or not.
    pub newest_arrival: Option<Mono>,
    /// Number of the newest unit held, 0 where there is none.
    pub newest_seq: u64,
    /// Number of the keyframe from which all up to the newest unit can be decoded: where a continued look would
    /// restart. `None` where there is none.
    pub decodable_since: Option<u64>,
}

/// A camera's ring. Share it in an [`Arc`]; all methods hold its lock for microseconds.
#[derive(Debug)]
pub struct Ring(Arc<Mutex<Inner>>);

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().expect("no code panics while it holds this lock")
}

impl Ring {
    /// An empty ring that holds at most so many encoded bytes, none older than `max_age` against the newest.
    pub fn new(max_bytes: usize, max_age: Duration) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            entries: VecDeque::new(),
            bytes: 0,
            account: Account::default(),
            max_bytes,
            max_age,
            referenced: false,
            last: None,
        })))
    }
    /// Adds the newest unit. A unit that no keyframe stands before is counted skipped at once; what has to leave
    /// undecided is counted expired. Media threads may call this.
    pub fn push(&self, unit: AccessUnit) {
        lock(&self.0).push(unit);
    }
    /// Number and arrival of the newest undecided keyframe.
    pub fn freshest_keyframe(&self) -> Option<(u64, Mono)> {
        let inner = lock(&self.0);
        let entry = &inner.entries[inner.undecided_keyframe()?];
        Some((entry.unit.seq, entry.unit.arrival))
    }
    /// What stands here.
    pub fn pending(&self) -> Pending {
        let inner = lock(&self.0);
        let newest = inner.entries.back().map(|entry| &entry.unit);
        Pending {
            units: inner.account.in_ring,
            bytes: inner.bytes as u64,
            newest_arrival: newest.map(|unit| unit.arrival),
            newest_seq: newest.map_or(0, |unit| unit.seq),
            decodable_since: inner.restart().map(|at| inner.entries[at].unit.seq),
        }
    }
    /// Takes the newest undecided keyframe; undecided units before it are superseded.
    pub fn take_keyframe(&self) -> Option<Span> {
        let mut inner = lock(&self.0);
        let at = inner.undecided_keyframe()?;
        inner.supersede_before(at);
        Some(self.take(&mut inner, at, at + 1))
    }
    /// Takes all units after `after_seq`, in order, for a decoder that was fed up to that one. `None` where there is
    /// none, or where the decoder cannot go on: then restart with [`Ring::take_from_keyframe`].
    pub fn take_since(&self, after_seq: u64) -> Option<Span> {
        let mut inner = lock(&self.0);
        let from = inner.entries.partition_point(|entry| entry.unit.seq <= after_seq);
        let first = inner.entries.get(from)?;
        if first.unit.seq != after_seq.checked_add(1)? || inner.entries.range(from..).any(|e| !e.follows) {
            return None;
        }
        let to = inner.entries.len();
        Some(self.take(&mut inner, from, to))
    }
    /// Takes the newest keyframe and everything after it, for a decoder that starts anew. Undecided units before it
    /// are superseded. Units that were decided before keep their column.
    pub fn take_from_keyframe(&self) -> Option<Span> {
        let mut inner = lock(&self.0);
        let from = inner.restart()?;
        inner.supersede_before(from);
        let to = inner.entries.len();
        Some(self.take(&mut inner, from, to))
    }
    /// Says what came of a span. A span is settled once; later calls do nothing.
    pub fn settle(&self, span: &SpanTicket, outcome: Settled) {
        span.settle(outcome);
    }
    /// Of units whose span was settled, these were looked at as well: as many as a span has may be.
    pub fn also_looked_at(&self, seqs: impl IntoIterator<Item = u64>) {
        let mut inner = lock(&self.0);
        for seq in seqs {
            inner.upgrade(seq);
        }
    }
    /// Units that arrived from `from` to `to`, inclusive, and those before them back to a keyframe, so that the clip
    /// can be decoded. The account stays as it is.
    pub fn clip(&self, from: Mono, to: Mono) -> Vec<AccessUnit> {
        let inner = lock(&self.0);
        let first = inner.entries.partition_point(|entry| entry.unit.arrival < from);
        let start = (0..first)
            .rev()
            .chain(first..inner.entries.len())
            .find(|at| inner.entries[*at].unit.keyframe)
            .unwrap_or(inner.entries.len());
        let held = inner.entries.range(start..).map(|entry| &entry.unit);
        held.take_while(|unit| unit.arrival <= to).cloned().collect()
    }
    /// The camera's account.
    pub fn account(&self) -> Account {
        lock(&self.0).account.clone()
    }
    /// Empties the ring; undecided units are skipped for that reason.
    pub fn clear(&self, why: Skipped) {
        let mut inner = lock(&self.0);
        while inner.evict_oldest(why) {}
        inner.referenced = false;
        inner.last = None;
    }
    fn take(&self, inner: &mut Inner, from: usize, to: usize) -> Span {
        let mut counted = Vec::new();
        let mut units = Vec::with_capacity(to - from);
        for entry in inner.entries.range_mut(from..to) {
            if entry.column == Column::InRing {
                entry.column = Column::InFlight;
                counted.push(entry.unit.seq);
            }
            units.push(entry.unit.clone());
        }
        let n = counted.len() as u64;
        inner.account.in_ring -= n;
        inner.account.in_flight += n;
        Span { units, ticket: SpanTicket::new(Arc::clone(&self.0), counted) }
    }
}

impl Inner {
    fn push(&mut self, unit: AccessUnit) {
        let follows = !unit.discontinuity
            && self
                .last
                .is_some_and(|(seq, codec)| seq.checked_add(1) == Some(unit.seq) && codec == unit.codec);
        self.referenced = unit.keyframe || (self.referenced && follows);
        self.last = Some((unit.seq, unit.codec));
        self.account.received += 1;
        let column = if self.referenced { Column::InRing } else { Column::Skipped(Skipped::NoReference) };
        self.count(column, 1);
        self.bytes += unit.data.len();
        let newest = unit.arrival;
        self.entries.push_back(Entry { unit, column, follows });
        while self.bytes > self.max_bytes
            || self.entries.front().is_some_and(|entry| newest.since(entry.unit.arrival) > self.max_age)
        {
            if !self.evict_oldest(Skipped::Expired) {
                break;
            }
        }
    }
    fn evict_oldest(&mut self, why: Skipped) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.bytes -= entry.unit.data.len();
        if entry.column == Column::InRing {
            self.account.in_ring -= 1;
            self.count(Column::Skipped(why), 1);
        }
        true
    }
    fn undecided_keyframe(&self) -> Option<usize> {
        // Asked at every unit: no further back than undecided ones lie.
        let mut undecided = self.account.in_ring;
        for (at, entry) in self.entries.iter().enumerate().rev() {
            if undecided == 0 {
                return None;
            }
            if entry.column == Column::InRing {
                undecided -= 1;
                if entry.unit.keyframe {
                    return Some(at);
                }
            }
        }
        None
    }
    /// The newest keyframe, where no gap has come after it.
    fn restart(&self) -> Option<usize> {
        let at = self.entries.iter().rposition(|entry| entry.unit.keyframe)?;
        self.entries.range(at + 1..).all(|entry| entry.follows).then_some(at)
    }
    fn supersede_before(&mut self, at: usize) {
        let mut n = 0;
        for entry in self.entries.range_mut(..at).filter(|entry| entry.column == Column::InRing) {
            entry.column = Column::Skipped(Skipped::Superseded);
            n += 1;
        }
        self.account.in_ring -= n;
        self.count(Column::Skipped(Skipped::Superseded), n);
    }
    /// Adds `n` units to a column.
    fn count(&mut self, column: Column, n: u64) {
        if n == 0 {
            return;
        }
        *self.column(column) += n;
    }
    fn column(&mut self, column: Column) -> &mut u64 {
        match column {
            Column::InRing => &mut self.account.in_ring,
            Column::InFlight => &mut self.account.in_flight,
            Column::LookedAt => &mut self.account.looked_at,
            Column::Referenced => &mut self.account.referenced,
            Column::Skipped(why) => self.account.skipped.entry(why).or_default(),
            Column::Lost(why) => self.account.lost.entry(why).or_default(),
        }
    }
    fn entry(&mut self, seq: u64) -> Option<&mut Entry> {
        let at = self.entries.partition_point(|entry| entry.unit.seq < seq);
        self.entries.get_mut(at).filter(|entry| entry.unit.seq == seq)
    }
    /// Moves a unit that is in flight to where it ends.
    fn land(&mut self, seq: u64, column: Column) {
        self.account.in_flight -= 1;
        self.count(column, 1);
        if let Some(entry) = self.entry(seq) {
            entry.column = column;
        }
    }
    /// A reordered picture may belong to a unit of an earlier span, counted there as decoded for reference: it has
    /// been looked at after all.
    fn upgrade(&mut self, seq: u64) {
        let Some(entry) = self.entry(seq) else { return };
        let before = entry.column;
        if matches!(before, Column::Referenced | Column::Skipped(_) | Column::Lost(_)) {
            entry.column = Column::LookedAt;
            *self.column(before) -= 1;
            self.count(Column::LookedAt, 1);
        }
    }
}

#[cfg(test)]
mod tests;
