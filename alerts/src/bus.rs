//! The bus: what the store commits, every console receives, each at its own pace.
//!
//! A publisher waits for the disk and for nobody else. Committed rows go into the [`hub`]'s bounded window; each
//! subscription is a task that reads from the window, or from the store where the window no longer reaches,
//! with nothing kept for it but its places and its unacknowledged deliveries.

mod admission;
mod clock;
mod credit;
mod deliver;
pub(crate) mod hub;
mod lanes;
mod publish;
mod registry;
mod subscription;
mod suppression;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::warn;
use xueliang_base::{cursor::Cursor, shutdown::Stopping, time::SharedClock};

pub use self::{
    admission::MAX_NAMES,
    deliver::SubscriptionStream,
    publish::{MAX_PUBLICATIONS, Published},
    subscription::Subscribe,
};
use self::{hub::Hub, registry::Registry};
use crate::{
    board::CameraBoard,
    error::Result,
    evidence::{Evidence, EvidenceOptions},
    store::{Acked, SqliteOptions, SqliteStore, Store},
};

/// How the bus runs.
#[derive(Debug, Clone)]
pub struct BusOptions {
    /// The store.
    pub sqlite: SqliteOptions,
    /// Evidence kept.
    pub evidence: EvidenceOptions,
    /// Ages above this are marked late.
    pub late_after: Duration,
    /// A bookmark at least this often.
    pub bookmark_every: Duration,
    /// A critical record that has waited for longer, for credit or for the connection, ends its subscription.
    pub critical_stall: Duration,
    /// A connection that takes nothing for longer while something waits is ended.
    pub transport_stall: Duration,
    /// A stream is closed after about so long, to be opened again at its cursor: so consoles move on from a server that
    /// is to be stopped, and what they may see is looked at anew.
    pub renew_after: Duration,
    /// Streams open at once.
    pub max_subscriptions: usize,
    /// Rows a lane keeps in memory for consoles that keep up.
    pub window: usize,
    /// How long the feed reaches back, at least 7 days.
    pub feed_keep: Duration,
}

impl Default for BusOptions {
    fn default() -> Self {
        Self {
            sqlite: SqliteOptions::default(),
            evidence: EvidenceOptions::default(),
            late_after: Duration::from_secs(5),
            bookmark_every: Duration::from_millis(900),
            critical_stall: Duration::from_secs(2),
            transport_stall: Duration::from_secs(10),
            renew_after: Duration::from_secs(600),
            max_subscriptions: 2048,
            window: 1024,
            feed_keep: Duration::from_secs(14 * 24 * 3600),
        }
    }
}

/// What the bus has done since it was opened.
#[derive(Debug, Default)]
pub struct BusCounts {
    /// Records handed to consoles.
    pub delivered: AtomicU64,
    /// Of them, late.
    pub late: AtomicU64,
    /// Minor alerts counted instead of delivered.
    pub summarised: AtomicU64,
    /// States left out because a later one of the same alert was there.
    pub superseded: AtomicU64,
    /// Gaps told.
    pub gaps: AtomicU64,
    /// Subscriptions ended because their critical lane was stuck.
    pub stalled: AtomicU64,
    /// Subscriptions opened.
    pub opened: AtomicU64,
    /// Publications refused as invalid.
    pub invalid: AtomicU64,
    /// Steps of the wall clock.
    pub clock_steps: AtomicU64,
}

impl BusCounts {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// Acknowledged cursors that are not on disk yet, by principal and subscription.
type Unsaved = BTreeMap<(String, String), Cursor>;

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Arc<Hub>,
    /// Rows after this place were committed since the machine's boot: the monotonic clock dates them.
    pub(crate) boot_began: u64,
    pub(crate) clock: SharedClock,
    pub(crate) options: BusOptions,
    pub(crate) counts: BusCounts,
    pub(crate) registry: Registry,
    pub(crate) board: CameraBoard,
    pub(crate) evidence: Evidence,
    admission: admission::Admission,
    unsaved: Mutex<Unsaved>,
}

/// The bus. Clones share it.
#[derive(Clone)]
pub struct Bus(pub(crate) Arc<Inner>);

impl Bus {
    /// Opens the store of a state folder, or makes one.
    pub fn open(state_dir: &Path, clock: SharedClock, options: BusOptions) -> Result<Self> {
        let hub = Arc::new(Hub::new(options.window));
        let shown = Arc::clone(&hub);
        let on_commit = Arc::new(move |rows| shown.push(rows));
        let store = SqliteStore::open(state_dir, Arc::clone(&clock), &options.sqlite, on_commit)?;
        hub.start_at(store.head());
        let boot_began = store.boot_began();
        Self::over(Arc::new(store), hub, boot_began, state_dir, clock, options)
    }
    fn over(
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        boot_began: u64,
        state_dir: &Path,
        clock: SharedClock,
        options: BusOptions,
    ) -> Result<Self> {
        let evidence = Evidence::open(
            &state_dir.join("evidence"),
            Arc::clone(&store),
            Arc::clone(&clock),
            options.evidence,
        )?;
        Ok(Self(Arc::new(Inner {
            store,
            hub,
            boot_began,
            board: CameraBoard::new(Arc::clone(&clock)),
            clock,
            registry: Registry::new(options.max_subscriptions),
            options,
            counts: BusCounts::default(),
            evidence,
            admission: admission::Admission::default(),
            unsaved: Mutex::default(),
        })))
    }
    /// The store: for health, backup and audit.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }
    /// The evidence gateway.
    pub fn evidence(&self) -> &Evidence {
        &self.0.evidence
    }
    /// Cameras as nodes reported them.
    pub fn board(&self) -> &CameraBoard {
        &self.0.board
    }
    /// What it has done.
    pub fn counts(&self) -> &BusCounts {
        &self.0.counts
    }
    /// Streams open now.
    pub fn subscriptions(&self) -> usize {
        self.0.registry.len()
    }
    /// Ends every stream with a `Closed` that says so.
    pub fn close_subscriptions(&self) {
        self.0.registry.close_all();
    }
    /// Works until asked to stop: acknowledged cursors go to disk every second, and so do steps of the wall clock; feed and evidence are kept within
    /// their bounds every ten minutes, beside that and however long it takes. On stopping it closes the streams and
    /// saves what is left; housekeeping is left where it is, and goes on there in the next life.
    pub async fn run(&self, mut stopping: Stopping) {
        tokio::select! {
            () = stopping.wait() => {}
            () = self.save_every_second() => {}
            () = self.watch_clock() => {}
            () = self.watch_suppressed() => {}
            () = self.keep_house() => {}
        }
        self.close_subscriptions();
        if let Err(error) = self.save_acked().await {
            warn!(error = %error, "some acknowledged cursors are lost: consoles will see records again");
        }
    }
    async fn save_every_second(&self) {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every_second.tick().await;
            if let Err(error) = self.save_acked().await {
                warn!(error = %error, "acknowledged cursors are not on disk yet");
            }
        }
    }
    async fn keep_house(&self) {
        let mut now_and_then = tokio::time::interval(Duration::from_secs(600));
        now_and_then.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            now_and_then.tick().await;
            self.tidy().await;
        }
    }
    async fn tidy(&self) {
        let Some(now) = self.0.evidence.calendar().now() else { return };
        let before = now.minus(self.0.options.feed_keep);
        // One call trims a bounded number of rows.
        loop {
            match self.0.store.trim(before).await {
                Ok(0) => break,
                Ok(rows) => tracing::info!(rows, "feed trimmed"),
                Err(error) => {
                    warn!(error = %error, "feed not trimmed");
                    break;
                }
            }
        }
        if let Err(error) = self.0.evidence.sweep().await {
            warn!(error = %error, "evidence past its time not deleted");
        }
    }
    /// Brings acknowledged cursors to disk.
    pub async fn save_acked(&self) -> Result<()> {
        let unsaved = self.0.unsaved().clone();
        if unsaved.is_empty() {
            return Ok(());
        }
        let acked = unsaved.iter().map(|((principal, subscription), cursor)| Acked {
            principal: principal.clone(),
            subscription: subscription.clone(),
            cursor: *cursor,
        });
        self.0.store.save_acked(acked.collect()).await?;
        // Newer acknowledgements that came meanwhile stay; and nothing is forgotten when this is dropped halfway.
        self.0.unsaved().retain(|key, cursor| unsaved.get(key) != Some(cursor));
        Ok(())
    }
}

impl Inner {
    fn unsaved(&self) -> std::sync::MutexGuard<'_, Unsaved> {
        self.unsaved.lock().expect("no code panics while it holds this lock")
    }
    /// Remembers an acknowledged cursor until it is on disk. It never goes back: a stream that was replaced may
    /// still be acknowledged.
    pub(crate) fn acked(&self, principal: &str, subscription: &str, mut cursor: Cursor) {
        let mut unsaved = self.unsaved();
        let key = (principal.to_owned(), subscription.to_owned());
        if let Some(before) = unsaved.get(&key).filter(|before| before.epoch == cursor.epoch) {
            for (position, known) in cursor.positions.iter_mut().zip(before.positions) {
                *position = known.max(*position);
            }
        }
        unsaved.insert(key, cursor);
    }
    /// The acknowledged cursor of a named subscription.
    pub(crate) async fn acked_cursor(&self, principal: &str, subscription: &str) -> Result<Option<Cursor>> {
        let key = (principal.to_owned(), subscription.to_owned());
        if let Some(cursor) = self.unsaved().get(&key) {
            return Ok(Some(*cursor));
        }
        self.store.acked(key.0, key.1).await
    }
}

#[cfg(test)]
pub(crate) mod tests;
