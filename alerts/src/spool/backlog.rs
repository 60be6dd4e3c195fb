//! What of a spool is backlog: what waited when the bus came back, or when the spool was opened.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

/// Where the backlog ends, in items.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Alerts whose first waiting item is this or older are backlog; 0 while none waits.
    states: AtomicI64,
    /// Evidence up to this item is backlog.
    evidence: AtomicI64,
    /// The latest item when a batch was taken last.
    last: AtomicI64,
    /// Whether the next piece of evidence is one of the backlog: it takes turns with what came since.
    evidence_turn: AtomicBool,
}

impl Backlog {
    /// All up to this item, left by an earlier life.
    pub(super) fn upto(last: i64) -> Self {
        let backlog = Self::default();
        backlog.last.store(last, Relaxed);
        backlog.begin();
        backlog
    }
    /// All that waited when a batch was taken last.
    pub(super) fn begin(&self) {
        let last = self.last.load(Relaxed);
        self.states.store(last, Relaxed);
        self.evidence.store(last, Relaxed);
    }
    /// Of which states it is; 0 when it has none.
    pub(super) fn states(&self) -> i64 {
        self.states.load(Relaxed)
    }
    /// A batch was taken while it was of these states: the latest item then, and whether any of it waits.
    pub(super) fn batch_taken(&self, states: i64, last: i64, waits: bool) {
        self.last.store(last, Relaxed);
        if !waits {
            // Nothing joins it any more. Where a new one began meanwhile, that stays.
            let _new = self.states.compare_exchange(states, 0, Relaxed, Relaxed);
        }
    }
    /// The item after which the next piece of evidence is to be looked for first.
    pub(super) fn evidence_after(&self) -> i64 {
        if self.evidence_turn.fetch_xor(true, Relaxed) { 0 } else { self.evidence.load(Relaxed) }
    }
}
