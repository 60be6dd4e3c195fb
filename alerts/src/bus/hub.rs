//! The window of rows just committed, from which consoles that keep up are served.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, RwLock},
    time::Duration,
};

use tokio::sync::watch;
use xueliang_base::{id::AlertId, kind::Lane, time::Mono};

use super::volatile::{Showing, Volatile, revision};
use crate::{
    filter::Filter,
    inhibit::{Firing, firing_of},
    store::FeedRow,
};

/// Older rows leave a lane as newer ones come, though there is room: who is so far behind reads from the store, and what
/// is kept in memory settles within minutes.
const KEEP: Duration = Duration::from_secs(60);
/// Alerts of one camera that may inhibit, remembered.
const MAX_SOURCES: usize = 64;

/// Rows of one lane; every row of the lane after `floor` is here.
#[derive(Default)]
struct Window {
    rows: VecDeque<Arc<FeedRow>>,
    floor: u64,
}

/// The latest state of an alert. Remembered as long as any row of the alert is here: the latest may leave a busy
/// lane's window while an older one still stands in a quiet lane's.
struct Latest {
    seq: u64,
    revision: u64,
    /// Rows of the alert in all windows.
    rows: usize,
}

#[derive(Default)]
struct Windows {
    lanes: [Window; 3],
    head: u64,
    /// What is known of every alert that has a row here, in whichever lane.
    latest: HashMap<AlertId, Latest>,
    /// The last place of which the windows have forgotten anything.
    forgotten: u64,
    /// Of each camera the alerts that were shown, fire, and may inhibit: for when the store cannot be asked.
    inhibitors: HashMap<String, Vec<Firing>>,
}

/// All windows, and the news that there are more rows.
pub(crate) struct Hub {
    windows: RwLock<Windows>,
    capacity: usize,
    head: watch::Sender<u64>,
    /// What is shown and not on disk.
    pub(super) volatile: Volatile,
}

/// What a lane holds after a place.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Arc<FeedRow>>,
    /// After these rows nothing that is wanted lies at or before this place.
    pub(crate) upto: u64,
    /// Whether rows beyond the limit were left.
    pub(crate) cut: bool,
    /// The head when this was read.
    pub(crate) read_at: u64,
}

impl Hub {
    pub(crate) fn new(capacity: usize) -> Self {
        let head = watch::channel(0).0;
        Self { windows: RwLock::default(), capacity: capacity.max(1), head, volatile: Volatile::default() }
    }
    /// Begins after what is on disk already; before the first push.
    pub(crate) fn start_at(&self, head: u64, inhibitors: &[Firing]) {
        let mut windows = self.windows.write().expect("no code panics under this lock");
        windows.head = head;
        inhibitors.iter().for_each(|one| windows.note(one.clone(), true));
        windows.lanes.iter_mut().for_each(|lane| lane.floor = head);
        self.head.send_replace(head);
    }
    /// The last place that consoles may see.
    pub(crate) fn head(&self) -> u64 {
        *self.head.borrow()
    }
    /// Tells of new heads.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
    /// Shows committed rows. Never waits for a console.
    pub(crate) fn push(&self, rows: Vec<Arc<FeedRow>>) {
        let mut guard = self.windows.write().expect("no code panics under this lock");
        let windows = &mut *guard;
        for row in rows {
            windows.head = row.seq;
            let latest = windows.latest.entry(row.alert).or_insert(Latest { seq: 0, revision: 0, rows: 0 });
            latest.seq = row.seq;
            latest.revision = revision(&row);
            self.volatile.committed(&row);
            latest.rows += 1;
            for (source, fires) in firing_of(&row) {
                windows.note(source, fires);
            }
            windows.lanes[row.lane.index()].rows.push_back(Arc::clone(&row));
            windows.forget(&row, self.capacity);
        }
        let head = windows.head;
        drop(guard);
        self.head.send_replace(head);
    }
    /// Alerts of a camera that were shown from disk, fire, and may inhibit.
    pub(super) fn inhibitors(&self, camera: &str) -> Vec<Firing> {
        let windows = self.windows.read().expect("no code panics under this lock");
        windows.inhibitors.get(camera).cloned().unwrap_or_default()
    }
    /// Shows a state that is not on disk; never after the same state was shown from there.
    pub(super) fn show(&self, row: Arc<FeedRow>, now: Mono) -> Showing {
        let windows = self.windows.read().expect("no code panics under this lock");
        if windows.latest.get(&row.alert).is_some_and(|latest| latest.revision >= revision(&row)) {
            return Showing::Known;
        }
        let showing = self.volatile.show(row, now);
        drop(windows);
        if showing == Showing::Shown {
            self.head.send_modify(|_| {});
        }
        showing
    }
    /// Rows of a lane after a place; `None` when the window no longer reaches back to it.
    pub(crate) fn after(
        &self,
        lane: Lane,
        after_exclusive: u64,
        filter: &Filter,
        latest_only: bool,
        limit: usize,
    ) -> Option<Found> {
        let windows = self.windows.read().expect("no code panics under this lock");
        let window = &windows.lanes[lane.index()];
        if after_exclusive < window.floor {
            return None;
        }
        let first = window.rows.partition_point(|row| row.seq <= after_exclusive);
        let mut found = Found { rows: Vec::new(), upto: windows.head, cut: false, read_at: windows.head };
        for row in window.rows.range(first..) {
            if !filter.wants(&row.facts()) || (latest_only && windows.superseded(row)) {
                continue;
            }
            if found.rows.len() == limit {
                found.upto = found.rows.last().map_or(after_exclusive, |row| row.seq);
                found.cut = true;
                break;
            }
            found.rows.push(Arc::clone(row));
        }
        Some(found)
    }
    /// Whether a later state of the row's alert is there; `None` when this has forgotten changes made since the
    /// row was read, at the place `read_at`.
    pub(crate) fn superseded(&self, row: &FeedRow, read_at: u64) -> Option<bool> {
        let windows = self.windows.read().expect("no code panics under this lock");
        let known = windows.latest.contains_key(&row.alert) || windows.forgotten <= read_at;
        known.then(|| windows.superseded(row))
    }
}

impl Windows {
    /// An alert that may inhibit fires, or has ended.
    fn note(&mut self, source: Firing, fires: bool) {
        let camera = source.camera.clone();
        let of_camera = self.inhibitors.entry(camera.clone()).or_default();
        of_camera.retain(|known| known.alert != source.alert);
        if fires && of_camera.len() < MAX_SOURCES {
            of_camera.push(source);
        }
        if of_camera.is_empty() {
            self.inhibitors.remove(&camera);
        }
    }
    /// Drops what a lane need not keep now that this row has come.
    fn forget(&mut self, newest: &FeedRow, capacity: usize) {
        let lane = &mut self.lanes[newest.lane.index()];
        while lane.rows.len() > capacity
            || lane.rows.front().is_some_and(|old| newest.committed.since(old.committed) > KEEP)
        {
            let Some(old) = lane.rows.pop_front() else { return };
            lane.floor = old.seq;
            self.forgotten = self.forgotten.max(old.seq);
            if let Entry::Occupied(mut latest) = self.latest.entry(old.alert) {
                latest.get_mut().rows -= 1;
                if latest.get().rows == 0 {
                    latest.remove();
                }
            }
        }
    }
    fn superseded(&self, row: &FeedRow) -> bool {
        self.latest.get(&row.alert).is_some_and(|latest| latest.seq > row.seq)
    }
}
