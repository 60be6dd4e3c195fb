//! The embedded store: one SQLite file, one writer thread with group commit, a few reader threads.
//!
//! WAL with `synchronous=FULL`: a commit is one fsync of the log, shared by all that waited. Checkpoints run on
//! a thread of their own. A read is one short job on a reader thread, so no read transaction lives across an
//! `await`. After a failed write the connection is never used again: `file.rs` says why.

mod account;
mod cases;
pub(super) mod chain;
mod clock;
mod convert;
mod custodians;
mod delivery;
mod disclosure;
mod duty;
pub(super) mod file;
mod filings;
mod flood;
mod publish;
mod query;
mod register;
mod rest;
mod retention;
mod silence;
mod sinks;
mod suppression;
pub(super) mod writer;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(test)]
pub(super) use query::SCAN;
pub(crate) use retention::evidence_in;
use rusqlite::Connection;
use xueliang_base::{
    alert::EvidenceKind,
    cursor::{Cursor, Epoch},
    id::AlertId,
    kind::Lane,
    time::{SharedClock, Wall},
    wall_step::WallStep,
};
use xueliang_proto::v1;

use self::{
    file::{DbFile, Reader},
    writer::{Batch, Rows, Urgency, Writer},
};
use super::{
    Acked, Answer, AuditEntry, Delivered, DeliveryNote, EvidenceRow, FeedId, FeedQuery, FeedRow, Health,
    Incoming, ListQuery, Manifest, Missed, OnCommit, Outcome, Page, RegisterQuery, STORE_FILE, SnapshotKey,
    Store, backup, schema,
};
use crate::{
    case::clock::{Calendar, Policy},
    crew::Crew,
    error::{Error, Result},
    filter::Filter,
    flood::Limits,
    inhibit::Firing,
    silence::Reasons,
};

/// An fsync takes some 10 ms, on a busy hard disk some 100 ms. People are to be told of a disk that hangs within 1 s.
pub(super) const SLOW_AFTER: Duration = Duration::from_millis(500);

/// States of one job of the writer, so that nothing urgent waits long behind a batch.
const A_JOB: usize = 4;

/// How the embedded store runs.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Threads that read the feed for consoles that catch up; one more answers single calls.
    pub readers: usize,
    /// The log is checkpointed when it has grown by this.
    pub checkpoint_bytes: u64,
    /// Pages the file may have when it is opened next: a bound for tests of a full disk, and of one that is emptied.
    pub max_pages: Option<Arc<AtomicU32>>,
    /// A commit that takes longer counts as failing until it is done.
    pub slow_after: Duration,
    /// Name of SQLite's VFS; its own where there is none. For tests of a disk that fails.
    pub vfs: Option<String>,
    /// When flood groups begin and end; none do by default.
    pub floods: Limits,
    /// What the clocks of cases go by.
    pub cases: Arc<Policy>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        // What is written back at once is little, since the next commit waits for the disk with it; and the log stays short
        // enough to be written over again and again, which costs the disk less than a log that grows.
        let slow_after = SLOW_AFTER;
        Self {
            readers: 2,
            checkpoint_bytes: 1 << 20,
            max_pages: None,
            slow_after,
            vfs: None,
            floods: Limits::default(),
            cases: Arc::new(Policy::usual(Calendar::usual(jiff::tz::TimeZone::UTC))),
        }
    }
}

/// Counters and places that reads and writes share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) head: AtomicU64,
    pub(super) trimmed_to: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) conflicts: AtomicU64,
    /// See [`SqliteStore::boot_began`].
    pub(super) boot_began: AtomicU64,
    /// What may suppress, as the last commit left it.
    reasons: Mutex<Arc<Reasons>>,
    pub(super) floods: Limits,
}

impl Shared {
    pub(super) fn reasons(&self) -> Arc<Reasons> {
        Arc::clone(&self.reasons.lock().expect("no code panics under this lock"))
    }
    pub(super) fn set_reasons(&self, reasons: Arc<Reasons>) {
        *self.reasons.lock().expect("no code panics under this lock") = reasons;
    }
}

/// The embedded store.
pub struct SqliteStore {
    epoch: Epoch,
    shared: Arc<Shared>,
    writer: Writer,
    /// For consoles that catch up.
    readers: Crew<Reader>,
    /// For whoever waits for one answer: consoles that catch up must not stand in its way.
    desk: Crew<Reader>,
    /// For lists of cases, which may read a whole index: nobody else's answer waits for them.
    search: Crew<Reader>,
    /// For statistics, which may take seconds.
    count: Crew<Reader>,
    path: PathBuf,
    clock: SharedClock,
    boot_began: u64,
    /// What the clocks of cases go by.
    cases: Arc<Policy>,
    /// See [`SqliteStore::inhibitors`].
    inhibitors: Vec<Firing>,
    duty: Arc<duty::Known>,
    /// Held as long as the store is open, so that no second process opens it.
    _lock: fs::File,
}

impl SqliteStore {
    /// Opens or makes the store of a state folder. `on_commit` gets every row once it is on disk.
    pub fn open(
        state_dir: &Path,
        clock: SharedClock,
        options: &SqliteOptions,
        on_commit: OnCommit,
    ) -> Result<Self> {
        fs::create_dir_all(state_dir)
            .map_err(Error::io(format_args!("make the folder {}", state_dir.display())))?;
        let lock = file::lock(&state_dir.join("store.lock"), "process")?;
        let path = state_dir.join(STORE_FILE);
        let file = DbFile {
            path: path.clone(),
            what: format!("the store {}", path.display()),
            steps: schema::STORE_STEPS,
            max_pages: options.max_pages.clone(),
            vfs: options.vfs.clone(),
        };
        let db = file.open()?;
        let epoch = epoch_of(&db)?;
        chain::begin(&db)?;
        cases::facts::begin(&db)?;
        let boot_began = clock::boot_began(&db, &clock.boot())?;
        flood::begin_boot(&db, &clock.boot(), clock.mono());
        let inhibitors = suppression::inhibitors(&db)?;
        let shared = Arc::new(Shared { floods: options.floods, ..Shared::default() });
        shared.set_reasons(Arc::new(silence::reasons(&db)?));
        shared.head.store(file::head_of(&db)?, Ordering::Release);
        shared.boot_began.store(boot_began, Ordering::Release);
        shared.trimmed_to.store(file::trimmed_of(&db)?, Ordering::Release);
        let rows = Rows { shared: Arc::clone(&shared), on_commit, load: query::rows_after };
        let read = file.clone();
        let (slow_after, checkpoint_bytes) = (options.slow_after, options.checkpoint_bytes);
        let writer =
            Writer::spawn("store", file, db, clock.clone(), Some(rows), slow_after, checkpoint_bytes)?;
        let (desk_file, search_file, count_file) = (read.clone(), read.clone(), read.clone());
        let readers = Crew::spawn("store-read", options.readers, 256, move || Reader::new(read.clone()))?;
        let desk = Crew::spawn("store-desk", 1, 256, move || Reader::new(desk_file.clone()))?;
        let search = Crew::spawn("store-search", 1, 64, move || Reader::new(search_file.clone()))?;
        let count = Crew::spawn("store-count", 1, 16, move || Reader::new(count_file.clone()))?;
        let cases = Arc::clone(&options.cases);
        let duty = Arc::default();
        Ok(Self {
            epoch,
            shared,
            writer,
            readers,
            desk,
            search,
            count,
            path,
            clock,
            boot_began,
            cases,
            inhibitors,
            duty,
            _lock: lock,
        })
    }
    /// Alerts that fired, were shown and may inhibit when the store was opened.
    pub fn inhibitors(&self) -> &[Firing] {
        &self.inhibitors
    }
    /// Rows after this place were committed since the machine's boot, in this life of the process or an earlier one.
    pub fn boot_began(&self) -> u64 {
        self.boot_began
    }
    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let answer = self.desk.run(move |reader| reader.with(work));
        Box::pin(async move { answer.await? })
    }
    fn search<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let answer = self.search.run(move |reader| reader.with(work));
        Box::pin(async move { answer.await? })
    }
    fn count<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let answer = self.count.run(move |reader| reader.with(work));
        Box::pin(async move { answer.await? })
    }
    fn catch_up<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let answer = self.readers.run(move |reader| reader.with(work));
        Box::pin(async move { answer.await? })
    }
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        Box::pin(self.writer.run(Urgency::Usual, work))
    }
}

/// The epoch of a store; a new random one where there is none yet.
pub(super) fn epoch_of(db: &Connection) -> Result<Epoch> {
    if let Some(epoch) = file::meta(db, "epoch")? {
        let epoch = epoch
            .try_into()
            .map_err(|_| Error::DataLoss("the store's epoch is damaged: restore a backup".to_owned()))?;
        return Ok(Epoch(epoch));
    }
    set_new_epoch(db)
}

/// Begins a new epoch.
pub(super) fn set_new_epoch(db: &Connection) -> Result<Epoch> {
    let mut epoch = [0; 16];
    getrandom::fill(&mut epoch).map_err(|error| Error::Unavailable(format!("draw an epoch: {error}")))?;
    file::set_meta(db, "epoch", &epoch)?;
    Ok(Epoch(epoch))
}

impl Store for SqliteStore {
    fn epoch(&self) -> Epoch {
        self.epoch
    }
    fn head(&self) -> u64 {
        self.shared.head.load(Ordering::Acquire)
    }
    fn trimmed_to(&self) -> u64 {
        self.shared.trimmed_to.load(Ordering::Acquire)
    }
    fn health(&self) -> Health {
        let stale = self.shared.stale.load(Ordering::Relaxed);
        let conflicts = self.shared.conflicts.load(Ordering::Relaxed);
        Health { stale, conflicts, ..self.writer.health() }
    }
    fn publish(&self, batch: Vec<Incoming>) -> Answer<Vec<Outcome>> {
        let critical = batch.iter().any(|incoming| incoming.alert.level.lane() == Lane::Critical);
        // All of them: a later state must not overtake an earlier one of its alert.
        let urgency = if critical { Urgency::Urgent } else { Urgency::Usual };
        let mut batch = batch.into_iter().peekable();
        let mut works = Vec::new();
        while batch.peek().is_some() {
            let some: Vec<_> = batch.by_ref().take(A_JOB).collect();
            let shared = Arc::clone(&self.shared);
            works.push(move |db: &Connection, rows: &mut Batch<'_>| -> Result<Vec<Outcome>> {
                some.iter().map(|incoming| publish::store(db, rows, &shared, incoming)).collect()
            });
        }
        let outcomes = self.writer.run_all(urgency, works);
        Box::pin(async move { Ok(outcomes.await?.concat()) })
    }
    fn feed_page(&self, query: FeedQuery) -> Answer<Page<Arc<FeedRow>>> {
        self.catch_up(move |db| query::feed_page(db, &query))
    }
    fn feed_ids(&self, query: FeedQuery) -> Answer<Page<FeedId>> {
        self.catch_up(move |db| query::feed_ids(db, &query))
    }
    fn snapshot_page(
        &self,
        filter: Arc<Filter>,
        at_inclusive: u64,
        after: Option<SnapshotKey>,
        limit: usize,
    ) -> Answer<Vec<Arc<FeedRow>>> {
        self.catch_up(move |db| query::snapshot_page(db, &filter, at_inclusive, after, limit))
    }
    fn missed(&self, filter: Arc<Filter>, after: [u64; 3], upto_inclusive: u64) -> Answer<Missed> {
        self.catch_up(move |db| query::missed(db, &filter, after, upto_inclusive))
    }
    fn list(&self, query: ListQuery) -> Answer<Vec<Arc<FeedRow>>> {
        self.read(move |db| query::list(db, &query))
    }
    fn history(&self, alert: AlertId) -> Answer<Vec<v1::Record>> {
        self.read(move |db| query::history(db, alert))
    }
    fn exists(&self, alert: AlertId) -> Answer<bool> {
        self.read(move |db| query::exists(db, alert))
    }
    fn acked(&self, principal: String, subscription: String) -> Answer<Option<Cursor>> {
        self.read(move |db| rest::acked(db, &principal, &subscription))
    }
    fn add_subscriber(&self, principal: String, name: String, max_names: u32) -> Answer<()> {
        let key = (principal.clone(), name.clone());
        let known = self.read(move |db| rest::knows_subscriber(db, &key.0, &key.1));
        let add =
            self.write(move |db, batch| rest::add_subscriber(db, &principal, &name, max_names, batch.wall()));
        // A write is a matter of an fsync: only for what is new.
        Box::pin(async move { if known.await? { Ok(()) } else { add.await } })
    }
    fn save_acked(&self, acked: Vec<Acked>) -> Answer<()> {
        self.write(move |db, batch| acked.iter().try_for_each(|one| rest::save_acked(db, one, batch.wall())))
    }
    fn save_deliveries(&self, notes: Vec<DeliveryNote>) -> Answer<()> {
        self.write(move |db, _| delivery::save(db, &notes))
    }
    fn deliveries(&self, alert: AlertId, revision: u64) -> Answer<Vec<Delivered>> {
        self.read(move |db| delivery::list(db, alert, revision))
    }
    fn trim_deliveries(&self, before: Wall) -> Answer<u64> {
        self.write(move |db, _| delivery::trim(db, before))
    }
    fn put_evidence(&self, row: EvidenceRow) -> Answer<Option<EvidenceRow>> {
        self.write(move |db, _| rest::put_evidence(db, &row))
    }
    fn evidence(&self, alert: AlertId, kind: EvidenceKind) -> Answer<Option<EvidenceRow>> {
        self.read(move |db| rest::evidence(db, alert, kind))
    }
    fn register(&self, entry: v1::RegisterEntry) -> Answer<u64> {
        self.write(move |db, _| register::add(db, &entry))
    }
    fn list_register(&self, query: RegisterQuery) -> Answer<Vec<v1::RegisterEntry>> {
        // Filters may go through all of it: whoever waits for one answer must not wait for that.
        self.catch_up(move |db| register::list(db, &query))
    }
    fn audit(&self, entry: AuditEntry) -> Answer<()> {
        self.write(move |db, batch| rest::audit(db, &entry, batch.wall()))
    }
    fn add_clock_step(&self, source: String, step: WallStep) -> Answer<()> {
        self.write(move |db, batch| clock::add_step(db, &source, step, batch.wall()))
    }
    fn clock_steps(&self, before_exclusive: Option<u64>, limit: usize) -> Answer<Vec<(u64, v1::ClockStep)>> {
        self.read(move |db| clock::steps(db, before_exclusive, limit))
    }
    fn trim(&self, before: Wall) -> Answer<u64> {
        let shared = Arc::clone(&self.shared);
        let before = before.min(self.clock.wall().minus(super::FEED_FLOOR));
        let answer = self.write(move |db, _| rest::trim(db, before));
        Box::pin(async move {
            let (trimmed, upto) = answer.await?;
            // For whoever asks without reading: a page of the feed brings the number that it was read under.
            shared.trimmed_to.fetch_max(upto, Ordering::AcqRel);
            Ok(trimmed)
        })
    }
    fn backup(&self, to: PathBuf) -> Answer<Manifest> {
        let (path, at) = (self.path.clone(), self.clock.wall());
        Box::pin(async move {
            let crew = Crew::spawn("store-backup", 1, 1, || ())?;
            crew.run(move |()| {
                backup::make_folder(&to)?;
                backup::backup(&path, &to, &[], at)
            })
            .await?
        })
    }
}

#[cfg(test)]
mod tests;
