//! The stream that a connection takes items from. A delivery's age is taken when the connection takes it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, atomic::Ordering},
    task::{Context, Poll},
};

use tokio::sync::mpsc;
use tokio_stream::Stream;
use xueliang_base::{
    alert::{Stage, StageTime},
    cursor::Cursor,
    kind::Lane,
    time::micros,
};
use xueliang_proto::v1::{self, subscribe_response::Item};

use super::{BusCounts, Inner, registry::Open};
use crate::store::FeedRow;

/// What the task hands to the stream.
#[expect(clippy::large_enum_variant, reason = "a queue holds 16 at most, and most are rows")]
pub(super) enum Out {
    /// Ready as it is.
    Item(Item),
    /// A record, to be dated when it is taken.
    Row {
        row: Arc<FeedRow>,
        /// Empty within a snapshot.
        cursor: bytes::Bytes,
        in_snapshot: bool,
    },
    /// A record that is not on disk, likewise.
    Volatile(Arc<FeedRow>),
}

/// The last item, set before the queue of items is closed.
pub(super) type Last = Arc<Mutex<Option<v1::Closed>>>;

/// A subscription's items. Dropping it ends the subscription.
pub struct SubscriptionStream {
    pub(super) bus: Arc<Inner>,
    pub(super) open: Arc<Open>,
    pub(super) items: mpsc::Receiver<Out>,
    pub(super) last: Last,
}

impl std::fmt::Debug for SubscriptionStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubscriptionStream").field("id", &self.open.id).finish_non_exhaustive()
    }
}

impl SubscriptionStream {
    /// The name of this stream in acknowledgements.
    pub fn id(&self) -> &str {
        &self.open.id
    }
    /// Notes for the audit what is handed to the connection.
    fn note(&self, out: &Out) {
        let Some(mut trail) = self.open.trail() else { return };
        let now = self.bus.clock.wall();
        match out {
            Out::Row { row, .. } => trail.sent(row.lane, row.seq, now),
            Out::Item(Item::Summary(summary)) => {
                if let Ok(cursor) = Cursor::decode(&summary.cursor) {
                    trail.sent(Lane::Minor, cursor.position(Lane::Minor), now);
                }
            }
            Out::Item(Item::Snapshot(mark)) if !mark.begin => trail.sent_snapshot(now),
            // What has no place in the feed stands in no stretch of it; it comes again with one.
            Out::Item(_) | Out::Volatile(_) => {}
        }
    }
    /// Items that wait to be taken.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.items.len()
    }
}

impl Drop for SubscriptionStream {
    fn drop(&mut self) {
        self.bus.registry.end(&self.open.id);
    }
}

/// What a connection is handed.
#[derive(Debug)]
pub(crate) enum Handed {
    /// As it is.
    Item(Item),
    /// A delivery, its record left with the row: that is encoded once for all consoles.
    Delivery { row: Arc<FeedRow>, rest: v1::Delivery },
}

impl From<Handed> for v1::SubscribeResponse {
    fn from(handed: Handed) -> Self {
        let item = match handed {
            Handed::Item(item) => item,
            Handed::Delivery { row, rest } => {
                Item::Delivery(v1::Delivery { record: Some(row.record.clone()), ..rest })
            }
        };
        Self { item: Some(item) }
    }
}

impl SubscriptionStream {
    /// The next item as a connection takes it.
    pub(crate) fn poll_handed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Handed>> {
        let mut next = std::task::ready!(self.items.poll_recv(cx));
        while next.is_some() && self.open.is_cut() {
            next = std::task::ready!(self.items.poll_recv(cx));
        }
        if let Some(out) = &next {
            self.note(out);
        }
        Poll::Ready(match next {
            Some(Out::Item(item)) => Some(Handed::Item(item)),
            Some(Out::Row { row, cursor, in_snapshot }) => {
                let rest = dated(&self.bus, &row, cursor, in_snapshot);
                Some(Handed::Delivery { row, rest })
            }
            Some(Out::Volatile(row)) => {
                BusCounts::add(&self.bus.counts.volatile, 1);
                let rest = dated(&self.bus, &row, bytes::Bytes::new(), false);
                Some(Handed::Delivery { row, rest: v1::Delivery { volatile: true, ..rest } })
            }
            None => {
                let closed = self.last.lock().expect("no code panics while it holds this lock").take();
                closed.map(|closed| Handed::Item(Item::Closed(closed)))
            }
        })
    }
}

/// For readings within the process; a connection takes what is encoded already.
impl Stream for SubscriptionStream {
    type Item = v1::SubscribeResponse;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_handed(cx).map(|handed| handed.map(v1::SubscribeResponse::from))
    }
}

/// Dates a delivery, from the commit until now. The record is left out.
fn dated(bus: &Inner, row: &FeedRow, cursor: bytes::Bytes, in_snapshot: bool) -> v1::Delivery {
    /// What the wall clock may be off by between two boots of the machine: it is kept by NTP, which steps above
    /// 0.128 s and may be away for long.
    const WALL_UNCERTAINTY_US: u64 = 1_000_000;
    let sent = bus.clock.wall();
    // What is not on disk counts from its receipt.
    let deliver = if row.seq == 0 || row.seq > bus.boot_began {
        StageTime::exact(Stage::Deliver, bus.clock.mono().since(row.committed))
    } else {
        let passed = sent.0.saturating_sub(row.record.committed_unix_us);
        StageTime {
            stage: Stage::Deliver,
            duration_us: u64::try_from(passed).unwrap_or(0),
            uncertainty_us: WALL_UNCERTAINTY_US,
        }
    };
    let stages = row.record.alert.as_ref().map_or(&[][..], |alert| &alert.stages);
    let age_us = stages.iter().fold(deliver.duration_us, |sum, time| sum.saturating_add(time.duration_us));
    let late = age_us > micros(bus.options.late_after);
    BusCounts::add(&bus.counts.delivered, 1);
    if late && !in_snapshot {
        bus.counts.late.fetch_add(1, Ordering::Relaxed);
    }
    v1::Delivery {
        record: None,
        lane: v1::Lane::from(row.lane).into(),
        cursor,
        sent_unix_us: sent.0,
        deliver: Some((&deliver).into()),
        age_us,
        late,
        volatile: false,
        in_snapshot,
    }
}
