//! What waits in each lane for one subscription: short pages read from the window or the store, never more.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use xueliang_base::{
    cursor::{Cursor, Epoch, FilterMark},
    id::AlertId,
    kind::Lane,
};

use super::Inner;
use crate::{
    error::Result,
    filter::Filter,
    store::{FeedQuery, FeedRow},
};

/// Rows read at a time.
const PAGE: usize = 65;
/// Bytes of records in a page, more only where a single one is larger. A subscription that is stuck holds a page for each
/// lane, one of a snapshot, and 16 items that are on their way: with records of 1 KiB, 275 of them. The largest record has
/// some 30 KiB, and a record takes three times its bytes when it is decoded too: 3 MB at most.
const PAGE_BYTES: usize = 64 << 10;
/// Ids one summary may name.
const MAX_SUMMARY: usize = 256;

/// One lane's place, and the page read ahead of it.
#[derive(Debug, Default)]
struct Reading {
    position: u64,
    page: VecDeque<Arc<FeedRow>>,
    /// Where the position stands once the page is done.
    page_upto: u64,
    /// Whether more rows than the page holds were there.
    cut: bool,
    /// The head when the page was read.
    read_at: u64,
}

/// Leaves off what goes beyond the bytes of a page. Returns whether there was any.
pub(super) fn keep_within_page(rows: &mut Vec<Arc<FeedRow>>) -> bool {
    let mut bytes = 0;
    let mut fits = |row: &Arc<FeedRow>| {
        bytes += row.encoded().len();
        bytes <= PAGE_BYTES
    };
    let count = rows.iter().take_while(|row| fits(row)).count().max(1);
    let beyond = rows.len() > count;
    rows.truncate(count);
    beyond
}

/// What a lane has next.
pub(super) enum Next {
    /// Nothing that is wanted.
    Nothing,
    /// This row.
    Row(Arc<FeedRow>),
    /// Nothing in the stretch just read, and more to read: ask again.
    More,
    /// The feed was trimmed under the subscription's place.
    Trimmed,
}

/// Minor alerts to be counted; `None` from [`Lanes::count_minor`] where they were trimmed away in the meantime.
pub(super) struct Counted {
    /// Alert and kind of each.
    pub(super) alerts: Vec<(AlertId, i32)>,
    /// The place after them.
    pub(super) upto: u64,
}

/// All lanes of a subscription.
pub(super) struct Lanes {
    bus: Arc<Inner>,
    filter: Arc<Filter>,
    mark: FilterMark,
    epoch: Epoch,
    lanes: [Reading; 3],
}

impl Lanes {
    pub(super) fn new(bus: Arc<Inner>, filter: Arc<Filter>, start: Cursor) -> Self {
        let lanes = start.positions.map(|position| Reading { position, ..Reading::default() });
        let mark = filter.mark();
        Self { bus, filter, mark, epoch: start.epoch, lanes }
    }
    /// Everything up to here is done.
    pub(super) fn cursor(&self) -> Cursor {
        let positions = [0, 1, 2].map(|lane| self.lanes[lane].position);
        Cursor { epoch: self.epoch, positions, filter: Some(self.mark) }
    }
    /// The next row of a lane. States that a later one made pointless are passed over, save in the critical lane.
    pub(super) async fn next(&mut self, lane: Lane) -> Result<Next> {
        loop {
            let reading = &self.lanes[lane.index()];
            if let Some(row) = reading.page.front() {
                if lane == Lane::Critical {
                    return Ok(Next::Row(Arc::clone(row)));
                }
                match self.bus.hub.superseded(row, reading.read_at) {
                    Some(false) => return Ok(Next::Row(Arc::clone(row))),
                    Some(true) => {
                        self.bus.counts.superseded.fetch_add(1, Ordering::Relaxed);
                        self.pass(lane);
                    }
                    // Nobody remembers what has changed since the page was read: read it again.
                    None => self.forget(lane),
                }
                continue;
            }
            if reading.position >= self.bus.hub.head() {
                return Ok(Next::Nothing);
            }
            if reading.position < self.bus.store.trimmed_to() {
                return Ok(Next::Trimmed);
            }
            if !self.fill(lane).await? {
                return Ok(Next::Trimmed);
            }
            let reading = &self.lanes[lane.index()];
            if reading.page.is_empty() && reading.position < self.bus.hub.head() {
                return Ok(Next::More);
            }
        }
    }
    /// Reads the next page of a lane. Returns false where it was trimmed away in the meantime.
    async fn fill(&mut self, lane: Lane) -> Result<bool> {
        let latest_only = lane != Lane::Critical;
        let after = self.lanes[lane.index()].position;
        let mut found = match self.bus.hub.after(lane, after, &self.filter, latest_only, PAGE) {
            Some(found) => found,
            None => {
                let query = self.query(lane, PAGE);
                // The store is read at this place or a later one.
                let read_at = query.upto_inclusive;
                let page = self.bus.store.feed_page(query).await?;
                if after < page.trimmed_to {
                    return Ok(false);
                }
                super::hub::Found { rows: page.rows, upto: page.upto, cut: page.cut, read_at }
            }
        };
        if keep_within_page(&mut found.rows) {
            found.cut = true;
            found.upto = found.rows.last().map_or(after, |row| row.seq);
        }
        let reading = &mut self.lanes[lane.index()];
        reading.page_upto = found.upto;
        reading.cut = found.cut;
        reading.read_at = found.read_at;
        reading.page = found.rows.into();
        if reading.page.is_empty() {
            reading.position = reading.page_upto;
        }
        Ok(true)
    }
    fn query(&self, lane: Lane, limit: usize) -> FeedQuery {
        FeedQuery {
            lane,
            filter: Arc::clone(&self.filter),
            after_exclusive: self.lanes[lane.index()].position,
            upto_inclusive: self.bus.hub.head(),
            latest_only: lane != Lane::Critical,
            limit,
        }
    }
    /// Moves a lane past its first row.
    pub(super) fn pass(&mut self, lane: Lane) {
        let reading = &mut self.lanes[lane.index()];
        let Some(row) = reading.page.pop_front() else { return };
        reading.position = if reading.page.is_empty() { reading.page_upto } else { row.seq };
    }
    /// Forgets what was read ahead of a lane that must wait: it is read again, as it is then.
    pub(super) fn forget(&mut self, lane: Lane) {
        self.lanes[lane.index()].page.clear();
    }
    /// Whether more minor alerts wait than there is credit for.
    pub(super) fn minor_is_behind(&self, free: usize) -> bool {
        let minor = &self.lanes[Lane::Minor.index()];
        minor.cut || minor.page.len() > free
    }
    /// Takes the waiting minor alerts, at most as many as one summary names.
    pub(super) async fn count_minor(&self) -> Result<Option<Counted>> {
        let query = self.query(Lane::Minor, MAX_SUMMARY);
        let window = self.bus.hub.after(Lane::Minor, query.after_exclusive, &self.filter, true, MAX_SUMMARY);
        let counted = match window {
            Some(found) => Counted {
                alerts: found.rows.iter().map(|row| (row.alert, row.kind)).collect(),
                upto: found.upto,
            },
            None => {
                let after = query.after_exclusive;
                let page = self.bus.store.feed_ids(query).await?;
                if after < page.trimmed_to {
                    return Ok(None);
                }
                Counted {
                    upto: page.upto,
                    alerts: page.rows.into_iter().map(|id| (id.alert, id.kind)).collect(),
                }
            }
        };
        Ok(Some(counted))
    }
    /// Moves the minor lane past what was counted.
    pub(super) fn minor_done(&mut self, upto: u64) {
        self.lanes[Lane::Minor.index()] = Reading { position: upto, ..Reading::default() };
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::{
        alert::{Alert, MAX_REGIONS},
        geometry::Rect,
    };

    use super::*;
    use crate::{
        bus::BusOptions,
        testing::{Bench, critical, major, minor, options},
    };

    fn large(mut alert: Alert) -> Alert {
        alert.regions = vec![Rect { x0: 0.1, y0: 0.1, x1: 0.9, y1: 0.9 }; MAX_REGIONS];
        alert.place.address = Some("x".repeat(200));
        alert.explanation.zone_outline = vec![xueliang_base::geometry::Point { x: 0.3, y: 0.7 }; 64];
        alert
    }

    #[tokio::test]
    async fn what_a_stuck_subscription_reads_ahead_is_bounded_in_bytes_and_nothing_is_left_out() {
        // From the store, and from the window.
        for window in [1, 1024] {
            let bench = Bench::with(BusOptions { window, ..options() });
            let all: Vec<_> = (0..70).flat_map(|_| [critical(), major(), minor()].map(large)).collect();
            bench.commit(&all[..105]).await;
            bench.commit(&all[105..]).await;
            let start = Cursor::start(bench.bus.store().epoch());
            let mut lanes = Lanes::new(Arc::clone(&bench.bus.0), Arc::default(), start);
            let mut largest = 0;
            let mut passed = 0;
            for lane in Lane::ALL {
                while let Next::Row(row) = lanes.next(lane).await.unwrap() {
                    let held: usize =
                        lanes.lanes[lane.index()].page.iter().map(|row| row.encoded().len()).sum();
                    assert!(held <= PAGE_BYTES, "{held}");
                    largest = largest.max(held);
                    assert_eq!(row.seq, passed % 70 * 3 + lane.index() as u64 + 1);
                    passed += 1;
                    lanes.pass(lane);
                }
            }
            assert_eq!(passed, 210);
            assert!(largest > PAGE_BYTES - 4096, "a page is of use: {largest}");
        }
    }
}
