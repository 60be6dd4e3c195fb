//! What a console was shown over all its streams, and what must never be seen.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use xueliang_base::{cursor::Cursor, kind::Lane};
use xueliang_proto::v1::{self, subscribe_response::Item};
use xueliang_tests::desk::alert_of;

/// A state: its alert and revision.
pub type State = (String, u64);

#[derive(Debug, Default)]
pub struct Seen {
    /// Where the next stream begins.
    pub cursor: Bytes,
    /// Every state delivered outside a snapshot.
    pub delivered: BTreeSet<State>,
    /// The latest revision of each alert, by whatever way it came.
    pub latest: BTreeMap<String, u64>,
    /// Alerts that stood in a summary.
    pub counted: BTreeSet<String>,
    pub gaps: u64,
    /// The oldest that a delivery was when it was sent, microseconds.
    pub worst_age_us: u64,
    /// What must not be.
    pub faults: Vec<String>,
    positions: [u64; 3],
}

impl Seen {
    /// Takes an item; the cursor to acknowledge, if it carries one.
    pub fn take(&mut self, item: &Item) -> Option<Bytes> {
        let cursor = match item {
            Item::Delivery(delivery) => {
                self.delivery(delivery);
                &delivery.cursor
            }
            Item::Summary(summary) => {
                let counted: u64 = summary.counts.iter().map(|one| one.count).sum();
                if counted != summary.alert_ids.len() as u64 {
                    self.faults.push(format!("{counted} counted, {} listed", summary.alert_ids.len()));
                }
                self.counted.extend(summary.alert_ids.iter().cloned());
                &summary.cursor
            }
            Item::Bookmark(bookmark) => &bookmark.cursor,
            Item::Snapshot(mark) if !mark.begin => &mark.cursor,
            Item::Gap(_) => {
                self.gaps += 1;
                return None;
            }
            Item::Snapshot(_) | Item::Opened(_) | Item::Closed(_) => return None,
        };
        if cursor.is_empty() {
            return None;
        }
        let decoded = Cursor::decode(cursor).unwrap();
        if Lane::ALL.iter().any(|lane| decoded.position(*lane) < self.positions[lane.index()]) {
            self.faults.push(format!("a cursor went back: {decoded:?} after {:?}", self.positions));
        }
        self.positions = decoded.positions;
        self.cursor = cursor.clone();
        Some(cursor.clone())
    }
    fn delivery(&mut self, delivery: &v1::Delivery) {
        let alert = alert_of(delivery);
        let state = (alert.alert_id.clone(), alert.revision);
        if !delivery.in_snapshot && !delivery.volatile {
            // The cursor that a stream begins at lies after all that was taken.
            if self.latest.get(&state.0).is_some_and(|before| *before >= state.1) {
                self.faults.push(format!("{} came at revision {} once more or late", state.0, state.1));
            }
            self.worst_age_us = self.worst_age_us.max(delivery.age_us);
            self.delivered.insert(state.clone());
        }
        let latest = self.latest.entry(state.0).or_default();
        *latest = state.1.max(*latest);
    }
}
