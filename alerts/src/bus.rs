//! The bus: what the store commits, every console receives, each at its own pace.
//!
//! A publisher waits for the disk and for nobody else. Committed rows go into the [`hub`]'s bounded window; each
//! subscription is a task that reads from the window, or from the store where the window no longer reaches,
//! with nothing kept for it but its places and its unacknowledged deliveries.

mod acknowledge;
mod admission;
mod audit;
mod cases;
mod clock;
mod credit;
mod custodians;
mod deliver;
mod disclosure;
mod drill;
mod duty;
mod explain;
mod filings;
pub(crate) mod hub;
mod lanes;
mod links;
mod picture;
mod publish;
mod registry;
mod seal;
mod statistics;
mod subscription;
mod suppression;
mod trail;
mod tune;
mod volatile;

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};
use xueliang_base::{
    config::{AlertOptions, MapTiles},
    cursor::Cursor,
    shutdown::Stopping,
    time::SharedClock,
};
use xueliang_proto::v1::CloseReason;

pub(crate) use self::deliver::Handed;
pub(crate) use self::disclosure::party;
pub(crate) use self::duty::InForce;
pub(crate) use self::subscription::missed;
pub use self::{
    admission::MAX_NAMES,
    deliver::SubscriptionStream,
    publish::{MAX_PUBLICATIONS, Published},
    subscription::Subscribe,
};
use self::{hub::Hub, registry::Registry};
use crate::{
    audit::{AuditOptions, key::AuditKey, seal::Sealer},
    board::CameraBoard,
    custodian::key::Keys,
    error::{Error, Result},
    evidence::{Evidence, EvidenceOptions},
    explain::Explainer,
    external::External,
    live::Live,
    point::Points,
    rights::{Grant, Rights},
    store::{Acked, Answer, DeliveryNote, SqliteOptions, SqliteStore, Store},
};

/// Registers on their way out at once: each reads the store from its beginning.
const EXPORTS: usize = 2;

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
    /// What the site is called.
    pub site: String,
    /// IANA name of the site's zone: in it people name times.
    pub timezone: String,
    /// The map that places are drawn on.
    pub map: Option<MapTiles>,
    /// Cameras within so many metres of an alert's may be looked at while it lasts; 0: none.
    pub nearby_m: u32,
    /// External publishers.
    pub external: Arc<External>,
    /// Camera points of the configuration in force.
    pub points: Arc<Points>,
    /// How audit and register are sealed.
    pub audit: AuditOptions,
    /// Of more records the oldest are trimmed, as far as they are older than 7 days.
    pub feed_max_records: u64,
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
            site: String::new(),
            timezone: "UTC".to_owned(),
            map: None,
            nearby_m: AlertOptions::default().nearby_m,
            external: Arc::default(),
            points: Arc::default(),
            audit: AuditOptions::default(),
            feed_max_records: 10_000_000,
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
    /// Notes of the audit of deliveries that were lost because too many streams ended at once.
    pub notes_lost: AtomicU64,
    /// Rows of the feed trimmed because of their age.
    pub trimmed_by_age: AtomicU64,
    /// Rows of the feed trimmed because there were more than it may hold.
    pub trimmed_by_size: AtomicU64,
    /// Records handed to consoles while they were not on disk.
    pub volatile: AtomicU64,
    /// States that could be neither stored nor shown, or that nobody offered until they were stored.
    pub volatile_dropped: AtomicU64,
    /// Entries that the clock made in the history of cases.
    pub case_ticks: AtomicU64,
    /// Of them, those by which a desk further up was told.
    pub case_escalations: AtomicU64,
    /// Times that a list told of a case whose history is damaged.
    pub case_damaged: AtomicU64,
    /// Tokens of handlers' links that are nobody's.
    pub links_unknown: AtomicU64,
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
    explainer: Arc<Explainer>,
    live: Live,
    rights: Rights,
    admission: admission::Admission,
    unsaved: Mutex<Unsaved>,
    /// Of the audit of deliveries, not on disk yet.
    notes: Mutex<VecDeque<DeliveryNote>>,
    sealer: Sealer,
    exports: Arc<Semaphore>,
    custodian_keys: custodians::SharedKeys,
    damaged_cases: cases::Damaged,
    drills: drill::Drills,
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
        hub.start_at(store.head(), store.inhibitors());
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
            options.evidence.clone(),
        )?;
        let key = AuditKey::open(state_dir)?;
        let sealer = Sealer::new(key, options.audit.clone(), Arc::clone(&clock))?;
        Ok(Self(Arc::new(Inner {
            store,
            hub,
            boot_began,
            board: CameraBoard::new(Arc::clone(&clock)),
            live: Live::new(Arc::clone(&clock)),
            clock,
            registry: Registry::new(options.max_subscriptions),
            options,
            counts: BusCounts::default(),
            evidence,
            explainer: Arc::new(Explainer::new()),
            rights: Rights::default(),
            admission: admission::Admission::default(),
            unsaved: Mutex::default(),
            notes: Mutex::default(),
            sealer,
            exports: Arc::new(Semaphore::new(EXPORTS)),
            custodian_keys: Arc::new(tokio::sync::Mutex::new(Keys::open(state_dir)?)),
            damaged_cases: cases::Damaged::default(),
            drills: drill::Drills::default(),
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
    /// A place among the few registers that may be on their way out at once.
    pub(crate) fn export_slot(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.0.exports).try_acquire_owned().map_err(|_| {
            Error::Exhausted(format!(
                "{EXPORTS} registers are being taken out, no more are allowed at once: try again in a while"
            ))
        })
    }
    /// Cameras as nodes reported them.
    pub fn board(&self) -> &CameraBoard {
        &self.0.board
    }
    /// Questions to nodes about what their cameras did.
    pub(crate) fn explainer(&self) -> &Arc<Explainer> {
        &self.0.explainer
    }
    /// What the site is called.
    pub(crate) fn site(&self) -> &str {
        &self.0.options.site
    }
    /// IANA name of the site's zone.
    pub(crate) fn timezone(&self) -> &str {
        &self.0.options.timezone
    }
    /// The map that places are drawn on; `None`: there is none.
    pub(crate) fn map(&self) -> Option<&MapTiles> {
        self.0.options.map.as_ref()
    }
    /// What it has done.
    pub fn counts(&self) -> &BusCounts {
        &self.0.counts
    }
    /// External publishers.
    pub fn external(&self) -> &External {
        &self.0.options.external
    }
    /// Streams open now.
    pub fn subscriptions(&self) -> usize {
        self.0.registry.len()
    }
    /// Alerts whose latest state is shown and not on disk.
    pub fn volatile(&self) -> usize {
        self.0.hub.volatile.len()
    }
    /// Ends every stream with a `Closed` that says so.
    pub fn close_subscriptions(&self) {
        self.0.registry.close_all();
    }
    /// What principals are held to.
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }
    /// Holds a principal to a grant from now on, or to none. Its open streams end where they are: nothing that is still
    /// on its way within the bus is delivered. They may come back at once, and see what they may see then.
    pub fn grant(&self, principal: &str, grant: Option<Grant>) {
        if self.0.rights.set(principal, grant) {
            info!(principal, "rights changed");
            self.0.registry.close_of(principal, CloseReason::RightsChanged);
        }
    }
    /// Ends a principal's open streams where they are, as when its session has ended. What it may do stays as it is.
    pub(crate) fn cut(&self, principal: &str) {
        self.0.registry.close_of(principal, CloseReason::RightsChanged);
    }
    /// Works until asked to stop: acknowledged cursors and steps of the wall clock go to disk every second, and every
    /// second the clocks of cases are looked at; feed and evidence are kept within their bounds every ten minutes, beside
    /// that and however long it takes. On stopping it closes the streams and saves what is left; housekeeping is left
    /// where it is, and goes on there in the next life.
    pub async fn run(&self, mut stopping: Stopping) {
        tokio::select! {
            () = stopping.wait() => {}
            () = self.save_every_second() => {}
            () = self.watch_clock() => {}
            () = self.watch_suppressed() => {}
            () = self.watch_cases() => {}
            () = self.watch_drills() => {}
            () = self.seal_now_and_then() => {}
            () = self.keep_house() => {}
        }
        self.close_subscriptions();
        if let Err(error) = self.save_acked().await {
            warn!(error = %error, "some acknowledged cursors are lost: consoles will see records again");
        }
        if let Err(error) = self.save_deliveries().await {
            warn!(error = %error, "the last of the audit of deliveries is lost");
        }
        if let Err(error) = self.seal_audit(true).await {
            warn!(error = %error, "the last entries of the audit are not sealed: they are when the service starts again");
        }
    }
    async fn save_every_second(&self) {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every_second.tick().await;
            if self.0.store.health().failing.is_none() {
                let given_up = self.0.hub.volatile.forget(self.0.clock.mono());
                BusCounts::add(&self.0.counts.volatile_dropped, given_up as u64);
            }
            if let Err(error) = self.save_acked().await {
                warn!(error = %error, "acknowledged cursors are not on disk yet");
            }
            if let Err(error) = self.save_deliveries().await {
                warn!(error = %error, "the audit of deliveries is not on disk yet");
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
        let (store, counts) = (&self.0.store, &self.0.counts);
        let before = now.minus(self.0.options.feed_keep);
        trim_all("age", &counts.trimmed_by_age, || store.trim(before)).await;
        trim_all("size", &counts.trimmed_by_size, || store.trim_to(self.0.options.feed_max_records)).await;
        loop {
            match store.trim_deliveries(now.minus(audit::KEEP)).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    warn!(error = %error, "the audit of deliveries is not trimmed");
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

/// Trims until nothing more is to be trimmed: one call trims a bounded number of rows.
async fn trim_all(by: &str, counter: &AtomicU64, trim: impl Fn() -> Answer<u64>) {
    loop {
        match trim().await {
            Ok(0) => return,
            Ok(rows) => {
                BusCounts::add(counter, rows);
                tracing::info!(rows, by, "feed trimmed");
            }
            Err(error) => {
                warn!(error = %error, by, "feed not trimmed");
                return;
            }
        }
    }
}

impl Inner {
    fn unsaved(&self) -> std::sync::MutexGuard<'_, Unsaved> {
        self.unsaved.lock().expect("no code panics while it holds this lock")
    }
    fn notes(&self) -> std::sync::MutexGuard<'_, VecDeque<DeliveryNote>> {
        self.notes.lock().expect("no code panics while it holds this lock")
    }
    /// Remembers an acknowledged cursor until it is on disk. It never goes back: a stream that was replaced may
    /// still be acknowledged.
    pub(crate) fn acked(&self, principal: &str, subscription: &str, mut cursor: Cursor) {
        let mut unsaved = self.unsaved();
        let key = (principal.to_owned(), subscription.to_owned());
        if let Some(before) = unsaved.get(&key) {
            cursor = cursor.not_before(before);
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
