//! The tables of record and the feed: what the bus keeps.
//!
//! One transaction writes an alert's state, its place among the latest states, and a feed row; rows become
//! visible to consoles only after it is on disk. Only the feed is ever trimmed. [`Store`] is what a database
//! must do for the bus; [`sqlite`] does it embedded. SQL stands under `store/` and nowhere else.

pub mod accounts;
mod audit;
mod backup;
mod cases;
mod custodians;
mod delivery;
mod disclosure;
mod duty;
#[cfg(any(test, feature = "faulty-disk"))]
pub mod faulty_disk;
mod filings;
mod links;
mod retention;
mod schema;
pub mod sinks;
mod spool;
mod sqlite;
mod suppression;
mod verify;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message as _;
use xueliang_base::{
    alert::{Alert, EvidenceKind},
    cursor::{Cursor, Epoch},
    id::AlertId,
    kind::{Lane, Level},
    time::{Mono, Wall},
    wall_step::WallStep,
};
use xueliang_proto::v1;

pub use audit::AuditStore;
pub use backup::{Manifest, OtherFile, backup_files, make_folder, read_manifest, restore};
pub use cases::{
    ActOn, CaseKey, CaseNotice, CasePage, CaseQuery, Cases, DueCase, MOST_COUNTED, ManualReport, NoticeWay,
    StatisticsQuery,
};
pub use custodians::{CustodianStore, PutCustodian};
pub use delivery::{Delivered, DeliveryNote, Reached, Reader};
pub use disclosure::{DisclosureStore, ReleaseDecision, ReleaseQuery, Taker, ViewingQuery};
pub use duty::DutyStore;
pub use filings::{FilingQuery, FilingStore};
pub use links::{ActByLink, DuePhoto, GiveLink, LinkStore, NewPhoto, Opened};
pub use retention::{
    Certificate, CertificateQuery, DueEvidence, EvidenceBytes, Feed, HoldQuery, RetentionStore,
};
pub(crate) use spool::{SpoolDb, SpoolItem, SpoolKind};
pub(crate) use sqlite::evidence_in;
pub use sqlite::{SqliteOptions, SqliteStore};
pub use suppression::{SilenceQuery, SuppressionQuery, Suppressions};
pub use verify::{AuditReport, Wrong, verify_audit};

use crate::{
    error::Result,
    filter::{Facts, Filter},
    reach::Reach,
};

/// Name of the store's file in its state folder.
pub const STORE_FILE: &str = "store.db";
/// The feed is never trimmed within this time.
pub const FEED_FLOOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// An answer that needs no borrow of the store while it is awaited.
pub type Answer<T> = BoxFuture<'static, Result<T>>;

/// A state to store.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The state, its publisher set, its stages up to the hop.
    pub alert: Alert,
    /// When the bus received it.
    pub received: Mono,
    /// Consoles were shown it, or an earlier state of its alert, while that was not on disk: it is shown again, stored.
    pub told: bool,
}

/// What became of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// On disk, at this place of the feed; a suppressed one has a place too, and no row at it.
    Committed(u64),
    /// Was on disk already with the same content.
    Duplicate,
    /// A later revision is on disk.
    Stale,
    /// The same revision is on disk with other content.
    Conflict(String),
    /// It contradicts what its alert is about.
    Invalid(String),
}

/// One row of the feed with its record.
#[derive(Debug, Clone)]
pub struct FeedRow {
    /// Place in the feed; grows in order of commit.
    pub seq: u64,
    /// Lane. An alert never moves to a less urgent lane, so that its end comes the way its begin came.
    pub lane: Lane,
    /// The alert.
    pub alert: AlertId,
    /// Number of its kind.
    pub kind: i32,
    /// Number of its class.
    pub class: i32,
    /// The most severe level it had up to this state.
    pub level: Level,
    /// Its camera.
    pub camera: String,
    /// Its division path, each code between slashes.
    pub path: String,
    /// The end of the commit stage by the clock of the process that wrote the row: comparable only for rows
    /// written since the machine's boot.
    pub committed: Mono,
    /// The record as consoles receive it.
    pub record: v1::Record,
    /// The same, encoded for all consoles once the first one asks.
    pub encoded: OnceLock<Bytes>,
}

impl FeedRow {
    /// The record's bytes.
    pub fn encoded(&self) -> &Bytes {
        self.encoded.get_or_init(|| self.record.encode_to_vec().into())
    }
    /// What a filter looks at.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            path: &self.path,
            kind: self.kind,
            class: self.class,
            level: self.level,
            camera: &self.camera,
            drill: self.record.alert.as_ref().is_some_and(|alert| alert.drill),
        }
    }
}

/// A stretch of one lane of the feed.
#[derive(Debug, Clone)]
pub struct FeedQuery {
    /// The lane.
    pub lane: Lane,
    /// What is wanted.
    pub filter: Arc<Filter>,
    /// From here.
    pub after_exclusive: u64,
    /// Up to here.
    pub upto_inclusive: u64,
    /// Only rows that are their alert's latest state.
    pub latest_only: bool,
    /// At most so many.
    pub limit: usize,
}

/// What a stretch of the feed holds.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is wanted, in order.
    pub rows: Vec<T>,
    /// After these rows nothing that is wanted lies at or before this place. One read looks at a bounded stretch, so
    /// this may lie before what was asked for, with or without rows.
    pub upto: u64,
    /// Whether there may be more wanted rows than were asked for.
    pub cut: bool,
    /// Rows up to here may have been trimmed, as the same read saw it: a page that begins before it may lack some.
    pub trimmed_to: u64,
}

/// A feed row without its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedId {
    /// Place in the feed.
    pub seq: u64,
    /// The alert.
    pub alert: AlertId,
    /// Number of its kind.
    pub kind: i32,
}

/// Where a snapshot's next page begins: after this lane and place.
pub type SnapshotKey = (Lane, u64);

/// What lies in a stretch of the feed that was trimmed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missed {
    /// Records by level.
    pub counts: Vec<(Level, u64)>,
    /// Commit of the first one; 0 when there is none.
    pub from_unix_us: i64,
    /// Commit of the last one; 0 when there is none.
    pub to_unix_us: i64,
}

/// Which latest states to list, newest change first.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// What is wanted.
    pub filter: Filter,
    /// Only firing ones, only resolved ones, or both.
    pub firing: Option<bool>,
    /// Exactly these; empty: all.
    pub alerts: Vec<AlertId>,
    /// Only those whose ids end so.
    pub id_ends: Option<String>,
    /// Only those of this publisher.
    pub publisher: Option<String>,
    /// Only drills.
    pub drills: bool,
    /// Only changes before this place of the feed.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// The acknowledged cursor of a named subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// Whose.
    pub principal: String,
    /// Its name.
    pub subscription: String,
    /// Everything up to here was shown.
    pub cursor: Cursor,
}

/// A piece of evidence, as the record knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceRow {
    /// The alert it belongs to.
    pub alert: AlertId,
    /// What it is.
    pub kind: EvidenceKind,
    /// Facts, or why it is missing.
    pub facts: v1::EvidenceRef,
    /// When it was stored.
    pub stored: Wall,
    /// Until when it is kept at least.
    pub keep_until: Wall,
    /// Whether it has been deleted after its time.
    pub deleted: bool,
}

/// What to list of the register of calls, newest first.
#[derive(Debug, Clone, Default)]
pub struct RegisterQuery {
    /// Only about this alert.
    pub alert: Option<AlertId>,
    /// Only calls at this time or later.
    pub from_inclusive: Option<Wall>,
    /// Only calls before this time.
    pub to_exclusive: Option<Wall>,
    /// Only of this account.
    pub account: Option<String>,
    /// Only of accounts that acted for this unit.
    pub unit: Option<String>,
    /// Only about alerts of this camera.
    pub camera: Option<String>,
    /// Only for this reason.
    pub call_reason: Option<v1::CallReason>,
    /// Only of this kind of evidence, of photos of handled cases, or of what is given and never stored.
    pub kind: Option<v1::EvidenceKind>,
    /// Only what was refused.
    pub refused_only: bool,
    /// Only for this public release.
    pub release: Option<u64>,
    /// Only for this request of somebody concerned.
    pub request: Option<u64>,
    /// Only about alerts of these subtrees, whatever else is asked for; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
    /// Oldest first instead.
    pub oldest_first: bool,
    /// Only entries after this one.
    pub after_exclusive: Option<u64>,
    /// Only entries before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Something worth remembering about who did what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who.
    pub principal: String,
    /// What was done: a word.
    pub action: &'static str,
    /// To what.
    pub subject: String,
}

/// How the store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last commit failed; `None` while commits succeed.
    pub failing: Option<String>,
    /// Size of the write-ahead log.
    pub wal_bytes: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Times that the log was written back into the database.
    pub checkpoints: u64,
    /// Duration of the latest commit.
    pub last_commit_us: u64,
    /// States refused because a later revision was on disk.
    pub stale: u64,
    /// States refused because their revision had other content.
    pub conflicts: u64,
}

/// Called with committed rows in the order of the feed, on the store's own thread; must not block.
pub type OnCommit = Arc<dyn Fn(Vec<Arc<FeedRow>>) + Send + Sync>;

/// What a database must do for the bus. Every write is on disk when its answer comes.
pub trait Store:
    RetentionStore
    + sinks::SinkStore
    + Suppressions
    + accounts::AccountStore
    + Cases
    + DutyStore
    + AuditStore
    + DisclosureStore
    + CustodianStore
    + FilingStore
    + LinkStore
{
    /// The life of the feed.
    fn epoch(&self) -> Epoch;
    /// The last place of the feed that is on disk.
    fn head(&self) -> u64;
    /// Rows up to here may have been trimmed.
    fn trimmed_to(&self) -> u64;
    /// How the store is.
    fn health(&self) -> Health;
    /// Stores states; one outcome each.
    fn publish(&self, batch: Vec<Incoming>) -> Answer<Vec<Outcome>>;
    /// Rows of a lane, in order.
    fn feed_page(&self, query: FeedQuery) -> Answer<Page<Arc<FeedRow>>>;
    /// The same without records.
    fn feed_ids(&self, query: FeedQuery) -> Answer<Page<FeedId>>;
    /// Firing alerts whose latest change lies at or before `at_inclusive`, by lane and place.
    fn snapshot_page(
        &self,
        filter: Arc<Filter>,
        at_inclusive: u64,
        after: Option<SnapshotKey>,
        limit: usize,
    ) -> Answer<Vec<Arc<FeedRow>>>;
    /// Counts what lies after these positions and at or before `upto_inclusive`.
    fn missed(&self, filter: Arc<Filter>, after: [u64; 3], upto_inclusive: u64) -> Answer<Missed>;
    /// Latest states, newest change first.
    fn list(&self, query: ListQuery) -> Answer<Vec<Arc<FeedRow>>>;
    /// All states of an alert by revision, at most the latest 1000; empty when there is no such alert.
    fn history(&self, alert: AlertId) -> Answer<Vec<v1::Record>>;
    /// Whether there is such an alert.
    fn exists(&self, alert: AlertId) -> Answer<bool>;
    /// The acknowledged cursor of a named subscription.
    fn acked(&self, principal: String, subscription: String) -> Answer<Option<Cursor>>;
    /// Notes that a principal uses a name for subscriptions (empty: none), and audits the first use. Refuses a name
    /// beyond `max_names`, as invalid.
    fn add_subscriber(&self, principal: String, name: String, max_names: u32) -> Answer<()>;
    /// Keeps acknowledged cursors; a position never goes back within an epoch and under a filter.
    fn save_acked(&self, acked: Vec<Acked>) -> Answer<()>;
    /// Keeps how far deliveries came. What is known of a stretch stays: the first time counts. Notes may be saved twice.
    fn save_deliveries(&self, notes: Vec<DeliveryNote>) -> Answer<()>;
    /// How far an alert came in each subscription: this state of it, or for 0 whichever came first.
    fn deliveries(&self, alert: AlertId, revision: u64) -> Answer<Vec<Delivered>>;
    /// Forgets a bounded number of stretches that ended before a moment, oldest first. Returns how many.
    fn trim_deliveries(&self, before: Wall) -> Answer<u64>;
    /// Keeps facts of evidence. What is there already stays, and is returned when it differs.
    fn put_evidence(&self, row: EvidenceRow) -> Answer<Option<EvidenceRow>>;
    /// Facts of a piece of evidence.
    fn evidence(&self, alert: AlertId, kind: EvidenceKind) -> Answer<Option<EvidenceRow>>;
    /// Adds to the register of calls; `entry_id` is assigned and returned.
    fn register(&self, entry: v1::RegisterEntry) -> Answer<u64>;
    /// Reads the register.
    fn list_register(&self, query: RegisterQuery) -> Answer<Vec<v1::RegisterEntry>>;
    /// Adds to the audit.
    fn audit(&self, entry: AuditEntry) -> Answer<()>;
    /// Keeps a step of a wall clock, and audits it; one that is kept already changes nothing.
    fn add_clock_step(&self, source: String, step: WallStep) -> Answer<()>;
    /// Steps recorded before one, latest first, each with its number.
    fn clock_steps(&self, before_exclusive: Option<u64>, limit: usize) -> Answer<Vec<(u64, v1::ClockStep)>>;
    /// Trims feed rows committed before a moment, never within [`FEED_FLOOR`] of now. Returns how many.
    fn trim(&self, before: Wall) -> Answer<u64>;
    /// Copies the whole store, consistent, into a new folder, and verifies the copy.
    fn backup(&self, to: PathBuf) -> Answer<Manifest>;
}

#[cfg(test)]
pub(crate) mod tests;
