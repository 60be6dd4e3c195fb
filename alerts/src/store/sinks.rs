//! What the store keeps about sinks: how far each has come, what was sent where, what was not taken, and what other
//! systems reported back.
//!
//! A sink reads the record itself, not the feed, so nothing it has not been sent is ever trimmed from under it. Its
//! place moves in the transaction that says what became of the state: taken, given up, or passed over.

use std::sync::Arc;

use xueliang_base::{id::AlertId, kind::Lane};
use xueliang_proto::v1;

use super::{Answer, FeedQuery, FeedRow, Page};
use crate::reach::Reach;

/// Where a sending comes from, in order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The sink's place in a lane.
    Lane(Lane),
    /// A dead letter that is sent again.
    Letter(u64),
}

/// A dead letter that is to be sent again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Its number.
    pub letter: u64,
    /// Tries before.
    pub attempts: u32,
    /// The state.
    pub row: Arc<FeedRow>,
}

/// What became of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Taken by the sink.
    Taken,
    /// Given up.
    Dead {
        /// Why.
        fault: v1::ShareFault,
        /// HTTP status of the last answer; 0 for none.
        status: u16,
    },
    /// Nothing yet: it is tried again.
    Waits,
    /// Passed over: a later state of its alert went, or goes, by a more urgent lane.
    Passed,
}

/// One try of one state at one sink, and what it led to.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The sink.
    pub sink: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Place of the state in the feed.
    pub seq: u64,
    /// The alert.
    pub alert: AlertId,
    /// Its revision.
    pub revision: u64,
    /// Tries so far, this one included.
    pub attempts: u32,
    /// What left, where anything did; its number is given by the store.
    pub share: Option<v1::Share>,
    /// What became of it.
    pub fate: Fate,
}

/// Which entries of the share ledger to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct ShareQuery {
    /// Only about this alert.
    pub alert: Option<AlertId>,
    /// Only of this sink.
    pub sink: Option<String>,
    /// At or after this moment.
    pub from_us: i64,
    /// Before this moment.
    pub to_us: Option<i64>,
    /// Only about alerts of these subtrees, whatever else is asked for; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
    /// Only entries before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Which dead letters to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct LetterQuery {
    /// Only of this sink.
    pub sink: Option<String>,
    /// Also those that were taken when sent again.
    pub with_settled: bool,
    /// Only about alerts of these subtrees, whatever else is asked for; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
    /// Only letters before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// What a database must do for sinks. Every write is on disk when its answer comes.
pub trait SinkStore {
    /// How far a sink has come, lane by lane; one that was never heard of begins at the head.
    fn sink_place(&self, sink: String) -> Answer<[u64; 3]>;
    /// Keeps how far a sink has come without sending anything. Never goes back.
    fn save_sink_place(&self, sink: String, place: [u64; 3]) -> Answer<()>;
    /// States of a lane in order, out of the record: `latest_only` is not looked at, and nothing is trimmed.
    fn record_page(&self, query: FeedQuery) -> Answer<Page<Arc<FeedRow>>>;
    /// The lane of an alert's latest state.
    fn lane_of(&self, alert: AlertId) -> Answer<Option<Lane>>;
    /// Keeps what became of a try: ledger, dead letter and place together.
    fn settle(&self, settlement: Settlement) -> Answer<()>;
    /// Whether a sink has taken the still of an alert.
    fn still_shared(&self, sink: String, alert: AlertId) -> Answer<bool>;
    /// The share ledger.
    fn list_shares(&self, query: ShareQuery) -> Answer<Vec<v1::Share>>;
    /// Dead letters.
    fn list_letters(&self, query: LetterQuery) -> Answer<Vec<v1::DeadLetter>>;
    /// How many dead letters of a sink wait for somebody.
    fn dead_letters(&self, sink: String) -> Answer<u64>;
    /// Asks to send dead letters of a sink again, all for no ids; audited. Returns how many.
    fn retry_letters(&self, sink: String, ids: Vec<u64>, principal: String) -> Answer<u64>;
    /// The oldest dead letter of a sink that is to be sent again.
    fn next_retry(&self, sink: String) -> Answer<Option<Retry>>;
    /// Keeps a report under its principal's key and audits it; what stands under the key already stays and is returned
    /// with `true`. Other content under the same key is a conflict.
    fn report_external(&self, state: v1::ExternalState, key: String) -> Answer<(v1::ExternalState, bool)>;
    /// Reports about an alert in the order they came, at most the latest 1000.
    fn list_external(&self, alert: AlertId) -> Answer<Vec<v1::ExternalState>>;
}
