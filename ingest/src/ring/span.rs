//! Spans: units taken out of a ring for one look, and the ticket that brings back what came of them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use xueliang_base::{look::NotLooked, unit::AccessUnit};

use super::{Column, Inner, lock};

/// Units for one look, in order.
#[derive(Debug)]
pub struct Span {
    /// The units; the first is a keyframe unless the span continues an earlier one.
    pub units: Vec<AccessUnit>,
    /// Settles it.
    pub ticket: SpanTicket,
}

/// What came of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// One picture was inferred; the other units served it.
    Looked {
        /// The unit of that picture. With reordered pictures it may belong to an earlier span.
        looked_seq: u64,
        /// Units of the span that the decoder took; those beyond are counted undecodable.
        decoded: u64,
    },
    /// Nothing came of it.
    Lost(NotLooked),
}

/// The account's hold on a span. Dropped unsettled, it counts the units as lost with their worker.
#[derive(Debug)]
pub struct SpanTicket {
    ring: Arc<Mutex<Inner>>,
    /// Units in flight by this span, in order; units decided before it are not among them.
    counted: Vec<u64>,
    settled: AtomicBool,
}

impl SpanTicket {
    pub(super) fn new(ring: Arc<Mutex<Inner>>, counted: Vec<u64>) -> Self {
        Self { ring, counted, settled: AtomicBool::new(false) }
    }
    pub(super) fn settle(&self, outcome: Settled) {
        if self.settled.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut inner = lock(&self.ring);
        match outcome {
            Settled::Lost(why) => {
                for seq in &self.counted {
                    inner.land(*seq, Column::Lost(why));
                }
            }
            Settled::Looked { looked_seq, decoded } => {
                let mut rest = decoded;
                if self.counted.binary_search(&looked_seq).is_ok() {
                    inner.land(looked_seq, Column::LookedAt);
                    rest = rest.saturating_sub(1);
                } else {
                    inner.upgrade(looked_seq);
                }
                for seq in self.counted.iter().filter(|seq| **seq != looked_seq) {
                    let column =
                        if rest > 0 { Column::Referenced } else { Column::Lost(NotLooked::Undecodable) };
                    inner.land(*seq, column);
                    rest = rest.saturating_sub(1);
                }
            }
        }
    }
}

impl Drop for SpanTicket {
    fn drop(&mut self) {
        self.settle(Settled::Lost(NotLooked::WorkerLost));
    }
}
