//! A node's spool: what it has minted and the bus has not acknowledged yet, durable before anything is sent.
//!
//! States of alerts keep their order within their queue ([`queues`]). Evidence waits beside them, its bytes in files named by their checksum,
//! and gives way first when the spool is nearly full: an alert without a clip is worth more than the reverse.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use prost::Message as _;
use tokio::{
    sync::{Mutex, Notify},
    time::timeout,
};
use tracing::{error, info, warn};
use xueliang_base::{
    alert::{Alert, EvidenceFacts, EvidenceRef, Sha256, Stage, StageTime},
    id::AlertId,
    kind::Lane,
    time::{Mono, SharedClock, Wall, micros},
};
use xueliang_proto::v1;

use self::{backlog::Backlog, queues::Room, taken::Taken};
use crate::{
    error::{Error, Result},
    evidence::{files::Files, reserve::Reserve},
    store::{SpoolDb, SpoolItem, SpoolKind},
};

mod backlog;
pub(crate) mod queues;
mod taken;

/// Bytes of one batch of states: well under what the bus takes in one call, and short on the way.
const BATCH_BYTES: u64 = 1 << 20;

/// A wall clock that is kept by time synchronisation is this wrong at most, as far as can be told from here.
const WALL_ERROR: Duration = Duration::from_secs(1);
/// One that is not drifts by 500 ppm at most: one part in this many.
const WALL_DRIFT: u64 = 2000;

/// A disk that takes longer to remove what the bus has keeps nothing waiting: it is removed later.
const SWEEP_WITHIN: Duration = Duration::from_millis(500);

/// How much may wait.
#[derive(Debug, Clone)]
pub struct SpoolOptions {
    /// Bytes of alerts and evidence together. Evidence is refused above nine tenths of it.
    pub max_bytes: u64,
    /// Bytes of the disk that evidence leaves free for the states of alerts; `None`: 5 % of the disk, at most 1 GB.
    pub reserve_bytes: Option<u64>,
    /// What the disk is taken to have free: a bound for tests of a disk that fills up.
    pub free_bytes: Option<Arc<AtomicU64>>,
    /// Pages its database may have when it is opened next: a bound for tests of a full disk.
    pub max_pages: Option<Arc<AtomicU32>>,
    /// Name of SQLite's VFS; its own where there is none. For tests of a disk that fails.
    pub vfs: Option<String>,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        // A town's alerts of a week without the bus, and the evidence of a night.
        Self { max_bytes: 4 << 30, reserve_bytes: None, free_bytes: None, max_pages: None, vfs: None }
    }
}

/// What the spool holds, and what it had to refuse since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolCounts {
    /// Items waiting.
    pub waiting: u64,
    /// Bytes waiting.
    pub waiting_bytes: u64,
    /// States accepted.
    pub pushed: u64,
    /// States refused.
    pub refused: u64,
    /// Pieces of evidence refused, for any reason.
    pub evidence_refused: u64,
    /// Of them, those for which only the disk's reserve was left.
    pub reserve_refused: u64,
    /// Items done.
    pub done: u64,
    /// Items set aside.
    pub dead: u64,
}

/// A state of an alert, minted and on its way to the spool.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The state.
    pub alert: Alert,
    /// When it was minted: its time here counts from then, however often it must be pushed.
    pub at: (Mono, Wall),
}

/// States that were not spooled: see [`Spool::push_all`].
#[derive(Debug)]
pub struct Unspooled {
    /// So many of the first are on disk; the others are not.
    pub stored: usize,
    /// What stood in the way of the next.
    pub error: Error,
}

/// One thing to send.
#[derive(Debug, Clone)]
pub struct Waiting<T> {
    pub(crate) id: i64,
    pub(crate) size_bytes: u64,
    pub(crate) data_file: Option<Sha256>,
    /// When it was read: its time in the spool is told up to then.
    pub(crate) read: Mono,
    /// What to send.
    pub item: T,
}

/// A piece of evidence to send.
#[derive(Debug, Clone)]
pub struct WaitingEvidence {
    /// The alert it belongs to.
    pub alert: AlertId,
    /// Its facts.
    pub facts: v1::EvidenceRef,
    /// Its bytes.
    pub data: Bytes,
}

/// The spool.
pub struct Spool {
    db: SpoolDb,
    files: Files,
    reserve: Reserve,
    clock: SharedClock,
    options: SpoolOptions,
    boot: String,
    backlog: Backlog,
    state_news: Notify,
    evidence_news: Notify,
    /// What the bus has and the disk does not know yet.
    taken: Taken,
    /// Held from the writing of a file to its row, and from the last look at rows to the deletion of a file.
    file_gate: Mutex<()>,
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
    pushed: AtomicU64,
    refused: AtomicU64,
    evidence_refused: AtomicU64,
    reserve_refused: AtomicU64,
    done: AtomicU64,
    dead: AtomicU64,
}

impl Spool {
    /// Opens or makes the spool of a folder.
    pub fn open(folder: &Path, clock: SharedClock, options: SpoolOptions) -> Result<Self> {
        let file_folder = folder.join("evidence");
        let files = Files::open(&file_folder)?;
        let path = folder.join("spool.db");
        // Takes the lock: only then may files be removed that nothing names.
        let (db, found) =
            SpoolDb::open(path, Arc::clone(&clock), options.max_pages.clone(), options.vfs.clone())?;
        // A crash between a file and its row, or a row and its file, leaves a file that nothing names.
        remove_others(&file_folder, &found.data_files)?;
        let boot = clock.boot();
        Ok(Self {
            db,
            files,
            reserve: Reserve::new(options.reserve_bytes, options.free_bytes.clone()),
            clock,
            options,
            boot: boot.as_str().to_owned(),
            backlog: Backlog::upto(found.last),
            state_news: Notify::new(),
            evidence_news: Notify::new(),
            taken: Taken::default(),
            file_gate: Mutex::default(),
            waiting: found.items.into(),
            waiting_bytes: found.bytes.into(),
            pushed: 0.into(),
            refused: 0.into(),
            evidence_refused: 0.into(),
            reserve_refused: 0.into(),
            done: 0.into(),
            dead: 0.into(),
        })
    }
    /// Says how many bytes of the disk evidence leaves free from now on, as [`SpoolOptions::reserve_bytes`].
    pub fn set_reserve(&self, bytes: Option<u64>) {
        self.reserve.set(bytes);
    }
    /// What it holds.
    pub fn counts(&self) -> SpoolCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SpoolCounts {
            waiting: get(&self.waiting),
            waiting_bytes: get(&self.waiting_bytes),
            pushed: get(&self.pushed),
            refused: get(&self.refused),
            evidence_refused: get(&self.evidence_refused),
            reserve_refused: get(&self.reserve_refused),
            done: get(&self.done),
            dead: get(&self.dead),
        }
    }
    /// Appends a state minted now; on disk when the answer comes. The same state again changes nothing while it
    /// waits; the same revision with other content is an error.
    pub async fn push(&self, alert: &Alert) -> Result<()> {
        let at = (self.clock.mono(), self.clock.wall());
        let minted = Minted { alert: alert.clone(), at };
        self.push_all(&[minted]).await.map_err(|unspooled| unspooled.error)
    }
    /// Appends states in this order with one commit: a burst of them costs one fsync, not one each. All are on disk when
    /// the answer comes, or as many of the first as the answer says. Otherwise as [`Spool::push`].
    pub async fn push_all(&self, states: &[Minted]) -> std::result::Result<(), Unspooled> {
        let mut items = Vec::with_capacity(states.len());
        let mut fault = None;
        for Minted { alert, at } in states {
            let content = v1::Alert::from(alert).encode_to_vec();
            let size = content.len() as u64;
            if let Err(error) = self.reserve(size, self.options.max_bytes) {
                self.refused.fetch_add(1, Ordering::Relaxed);
                fault = Some(error);
                break;
            }
            items.push(SpoolItem {
                revision: alert.revision.0,
                minted_mono: at.0,
                minted_wall: at.1,
                lane: alert.level.lane(),
                ..self.item(SpoolKind::Alert, alert.id, content, String::new(), size)
            });
        }
        let sizes: Vec<u64> = items.iter().map(|item| item.size_bytes).collect();
        let appended = if items.is_empty() { Ok((Vec::new(), None)) } else { self.db.push_all(items).await };
        let (new, refused) = appended.unwrap_or_else(|error| (Vec::new(), Some(error)));
        let stored = new.len();
        for (index, size) in sizes.iter().enumerate() {
            match new.get(index) {
                Some(true) => {
                    self.waiting.fetch_add(1, Ordering::Relaxed);
                    self.pushed.fetch_add(1, Ordering::Relaxed);
                }
                Some(false) => self.release(*size),
                None => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    self.release(*size);
                }
            }
        }
        if stored > 0 {
            self.state_news.notify_one();
        }
        match refused.or(fault) {
            Some(error) => Err(Unspooled { stored, error }),
            None => Ok(()),
        }
    }
    /// Writes something the size of a state and removes it again: whether its disk takes anything.
    pub async fn try_write(&self) -> Result<()> {
        let size = 4096;
        let item = self.item(SpoolKind::Try, AlertId::mint(), vec![0; size], String::new(), size as u64);
        self.db.try_write(item).await
    }
    /// Those of some alerts of which a state is here that the bus does not have yet, as far as is known.
    pub async fn waits_of(&self, alerts: BTreeSet<AlertId>) -> Result<BTreeSet<AlertId>> {
        self.db.waits_of(alerts, self.taken.listed()).await
    }
    /// Commits since it was opened, whatever they were about.
    pub fn commits(&self) -> u64 {
        self.db.commits()
    }
    /// The latest state that waits of every alert: newer than what the bus knows.
    pub async fn pending_latest(&self) -> Result<Vec<Alert>> {
        let latest = self.db.latest().await?;
        let read = latest.iter().map(|content| {
            let wire = v1::Alert::decode(content.as_slice()).map_err(|error| error.to_string());
            let alert = wire.and_then(|wire| Alert::try_from(wire).map_err(|error| error.to_string()));
            alert.map_err(|error| Error::DataLoss(format!("the spool holds a damaged alert: {error}")))
        });
        read.collect()
    }
    /// Appends a piece of evidence; on disk when the answer comes. Its alert must have been pushed before.
    pub async fn push_evidence(&self, alert: AlertId, evidence: &EvidenceRef, data: Bytes) -> Result<()> {
        let content = v1::EvidenceRef::from(evidence).encode_to_vec();
        let size = (content.len() + data.len()) as u64;
        if let Some(error) = self.at_the_reserve(data.len() as u64).await {
            self.evidence_refused.fetch_add(1, Ordering::Relaxed);
            self.reserve_refused.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        if let Err(error) = self.reserve(size, self.options.max_bytes / 10 * 9) {
            self.evidence_refused.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        let _gate = self.file_gate.lock().await;
        let file = match &evidence.content {
            Ok(EvidenceFacts { sha256, .. }) => {
                if let Err(error) = self.files.write(*sha256, data).await {
                    self.release(size);
                    self.evidence_refused.fetch_add(1, Ordering::Relaxed);
                    return Err(error);
                }
                sha256.to_string()
            }
            Err(_) => String::new(),
        };
        let item = self.item(SpoolKind::Evidence, alert, content, file, size);
        self.append(item, &self.evidence_refused).await?;
        self.evidence_news.notify_one();
        Ok(())
    }
    /// Why these bytes of a piece of evidence may not be written: the states of alerts need what is left of the disk.
    async fn at_the_reserve(&self, bytes: u64) -> Option<Error> {
        let room = self.reserve.room(&self.files).await.filter(|room| bytes > 0 && bytes > room.open())?;
        let (free, reserve) = (room.free, room.reserve);
        Some(Error::Exhausted(format!(
            "the disk of the spool has {free} bytes free, of which {reserve} are reserved for alerts: make room on it"
        )))
    }
    fn item(
        &self,
        kind: SpoolKind,
        alert: AlertId,
        content: Vec<u8>,
        data_file: String,
        size: u64,
    ) -> SpoolItem {
        SpoolItem {
            id: 0,
            kind,
            alert,
            revision: 0,
            lane: Lane::Critical,
            content,
            data_file,
            size_bytes: size,
            minted_wall: self.clock.wall(),
            minted_mono: self.clock.mono(),
            boot: self.boot.clone(),
        }
    }
    fn reserve(&self, size: u64, bound: u64) -> Result<()> {
        let fits = |waiting: u64| waiting.checked_add(size).filter(|sum| *sum <= bound);
        let taken = self.waiting_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.map(drop).map_err(|waiting| {
            Error::Exhausted(format!(
                "the spool holds {waiting} of {} bytes that the bus has not taken: see why the bus is away",
                self.options.max_bytes
            ))
        })
    }
    fn release(&self, size: u64) {
        self.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
    }
    async fn append(&self, item: SpoolItem, refused: &AtomicU64) -> Result<bool> {
        let size = item.size_bytes;
        let appended = self.db.push(item).await;
        match appended {
            Ok(true) => {
                self.waiting.fetch_add(1, Ordering::Relaxed);
            }
            Ok(false) => self.release(size),
            Err(_) => {
                self.release(size);
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        appended
    }
    /// Waits until a state was pushed since the last call.
    pub async fn state_pushed(&self) {
        self.state_news.notified().await;
    }
    /// Waits until evidence may be there that was not at the last call: some was pushed, or states went before it.
    pub async fn evidence_ready(&self) {
        self.evidence_news.notified().await;
    }
    /// The bus has taken the latest batch after it was away: what waited then is the backlog. Alerts raised since go beside
    /// it.
    pub fn begin_backlog(&self) {
        self.backlog.begin();
    }
    /// The states to send next, each with the time it has spent here: send them at once. The states of one alert
    /// come in order, and each lane's alerts too, the backlog's and the live ones by themselves. What cannot be read is
    /// set aside.
    pub async fn next_batch(&self, count: usize) -> Result<Vec<Waiting<v1::Alert>>> {
        let mark = self.backlog.states();
        let room = Room { count, bytes: BATCH_BYTES };
        let next = self.db.next_states(mark, room, self.taken.listed()).await?;
        self.backlog.batch_taken(mark, next.last, next.backlog);
        let items = next.states;
        let (mono, wall) = (self.clock.mono(), self.clock.wall());
        let mut batch = Vec::with_capacity(items.len());
        for item in items {
            let read = v1::Alert::decode(item.content.as_slice());
            let mut waiting = Waiting {
                id: item.id,
                size_bytes: item.size_bytes,
                data_file: None,
                read: mono,
                item: v1::Alert::default(),
            };
            match read {
                Ok(alert) => waiting.item = alert,
                Err(error) => {
                    error!(alert = %item.alert, error = %error, "a state in the spool is damaged, it is set aside");
                    self.bury(&waiting, &format!("damaged: {error}")).await?;
                    continue;
                }
            }
            waiting.item.stages.push((&self.spool_stage(&item, mono, wall)).into());
            batch.push(waiting);
        }
        Ok(batch)
    }
    /// How long an item has been here. The monotonic clock tells exactly since the machine's boot, restarts of the
    /// process included. Across boots the wall clock tells, as well as it was set: within [`WALL_ERROR`] and
    /// [`WALL_DRIFT`]; but never less than the time since boot, and where the two contradict each other, the
    /// contradiction is uncertain too.
    fn spool_stage(&self, item: &SpoolItem, mono: Mono, wall: Wall) -> StageTime {
        if item.boot == self.boot {
            return StageTime::exact(Stage::Spool, mono.since(item.minted_mono));
        }
        let shown_us = wall.0.saturating_sub(item.minted_wall.0);
        let duration_us = u64::try_from(shown_us).unwrap_or(0).max(mono.0 / 1000);
        let contradiction_us = duration_us.abs_diff(u64::try_from(shown_us).unwrap_or(0));
        let set_back_us = shown_us.min(0).unsigned_abs();
        let uncertainty_us = micros(WALL_ERROR)
            .saturating_add(duration_us / WALL_DRIFT)
            .saturating_add(contradiction_us)
            .saturating_add(set_back_us);
        StageTime { stage: Stage::Spool, duration_us, uncertainty_us }
    }
    /// The oldest piece of evidence whose alert has no older state here, in turns of the backlog and of what came since.
    /// What cannot be read is set aside.
    pub async fn next_evidence(&self) -> Result<Option<Waiting<WaitingEvidence>>> {
        loop {
            let Some(item) = self.oldest_evidence().await? else { return Ok(None) };
            let facts = v1::EvidenceRef::decode(item.content.as_slice()).map_err(|error| error.to_string());
            let data_file = match item.data_file.as_str() {
                "" => Ok(None),
                sum => sum.parse::<Sha256>().map(Some).map_err(|error| error.to_string()),
            };
            let (data, data_file) = match data_file.clone() {
                Ok(Some(sum)) => (self.files.read(sum).await, Some(sum)),
                Ok(None) => (Ok(Bytes::new()), None),
                Err(fault) => (Err(Error::DataLoss(fault)), None),
            };
            let (id, size_bytes, read) = (item.id, item.size_bytes, self.clock.mono());
            match (facts, data) {
                (Ok(facts), Ok(data)) => {
                    let item = WaitingEvidence { alert: item.alert, facts, data };
                    return Ok(Some(Waiting { id, size_bytes, data_file, read, item }));
                }
                (_, Err(error)) if !matches!(error, Error::DataLoss(_)) => return Err(error),
                (facts, data) => {
                    let why = facts.err().or(data.err().map(|error| error.to_string())).unwrap_or_default();
                    error!(alert = %item.alert, error = why, "evidence in the spool is damaged, it is set aside");
                    self.bury(&Waiting { id, size_bytes, data_file, read, item: () }, &why).await?;
                }
            }
        }
    }
    async fn oldest_evidence(&self) -> Result<Option<SpoolItem>> {
        let oldest = |after| self.db.oldest_evidence(after, self.taken.listed());
        match self.backlog.evidence_after() {
            0 => oldest(0).await,
            after => match oldest(after).await? {
                None => oldest(0).await,
                fresh => Ok(fresh),
            },
        }
    }
    /// Takes note of what the bus has. It is not given out again, though its rows may stay for as long as the disk
    /// cannot be written. An error when too much is owed to the disk already.
    pub async fn done<T>(&self, items: &[Waiting<T>]) -> Result<()> {
        if !self.taken.has_room(items.len()) {
            self.sweep().await?;
        }
        for item in items {
            self.taken.add(item.id, item.data_file);
        }
        // What cannot be removed now is removed later.
        drop(timeout(SWEEP_WITHIN, self.sweep()).await);
        self.left(items, &self.done);
        Ok(())
    }
    /// Whether there are rows of what the bus has.
    pub fn owes(&self) -> bool {
        !self.taken.is_empty()
    }
    /// Removes the rows and files of what the bus has.
    pub async fn sweep(&self) -> Result<()> {
        let taken = self.taken.all();
        if taken.is_empty() {
            return Ok(());
        }
        let removed = self.db.done(taken.keys().copied().collect()).await;
        if self.taken.swept(&taken, &removed) {
            match &removed {
                Ok(()) => info!("what the bus has is removed from the spool again"),
                Err(error) => warn!(%error, "what the bus has cannot be removed from the spool, tried again"),
            }
        }
        removed?;
        self.delete_unneeded(taken.into_values().flatten()).await
    }
    /// Sets aside what the bus will never take, so that it holds up nothing.
    pub async fn bury<T>(&self, item: &Waiting<T>, reason: &str) -> Result<()> {
        self.db.bury(item.id, reason.to_owned()).await?;
        self.left(std::slice::from_ref(item), &self.dead);
        self.delete_unneeded(item.data_file).await
    }
    fn left<T>(&self, items: &[Waiting<T>], counter: &AtomicU64) {
        counter.fetch_add(items.len() as u64, Ordering::Relaxed);
        self.waiting.fetch_sub(items.len() as u64, Ordering::Relaxed);
        items.iter().for_each(|item| self.release(item.size_bytes));
        // Evidence may have waited for these.
        self.evidence_news.notify_one();
    }
    async fn delete_unneeded(&self, files: impl IntoIterator<Item = Sha256>) -> Result<()> {
        for sum in files {
            let _gate = self.file_gate.lock().await;
            if !self.db.needs(sum.to_string()).await? {
                self.files.delete(sum).await?;
            }
        }
        Ok(())
    }
    /// How many were set aside in all lives of the spool, and why the latest was.
    pub async fn dead(&self) -> Result<(u64, Option<String>)> {
        self.db.dead().await
    }
}

/// Removes the files of a folder, two levels down, that nothing names.
fn remove_others(folder: &Path, named: &BTreeSet<String>) -> Result<()> {
    let doing = || format!("tidy the folder {}", folder.display());
    for shelf in fs::read_dir(folder).map_err(Error::io(doing()))? {
        let shelf = shelf.map_err(Error::io(doing()))?.path();
        for file in fs::read_dir(shelf).map_err(Error::io(doing()))? {
            let file = file.map_err(Error::io(doing()))?;
            if !file.file_name().to_str().is_some_and(|name| named.contains(name)) {
                fs::remove_file(file.path()).map_err(Error::io(doing()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
