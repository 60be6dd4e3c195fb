//! From minted to kept: every state goes into the spool, and while that cannot be written, to the bus beside it.
//!
//! A state is kept once it is on a disk, the spool's or the bus's. Until then it is held here, and the spool is tried
//! again and again. A bus whose own disk fails shows it as volatile meanwhile. The states of one alert stay in order: one
//! goes beside the spool only when none of its alert waits there, and after those before it that the bus has not
//! answered for, in the same call. What is sent twice, or ends up in both places, the bus has once.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tonic::transport::Channel;
use tracing::{error, info, warn};
use xueliang_base::{
    alert::Alert,
    id::{AlertId, AlertRevision},
    time::SharedClock,
};

use self::offer::{Answers, Call, Offer, Said};
use super::{PublisherCounts, line::Line};
use crate::spool::{Minted, Spool, Unspooled};

mod offer;

/// States of one commit, and of one call.
const BATCH: usize = 256;
/// States that are held at most, less a burst from each side: some megabytes. Whoever mints must wait beyond that.
const HELD: usize = 4096;
/// A commit that takes longer is not waited for. The bus waits half a second for its own, and consoles are to see
/// within a second what neither could store.
const SLOW: Duration = Duration::from_millis(400);
/// Between two tries of a spool that fails.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two tries of one that nothing is written to: that it fails is to be known before an alert needs it.
const TRY: Duration = Duration::from_secs(5);
/// A spool that fails now and then is told of as failing all along.
const CALM: Duration = Duration::from_secs(5);
/// How often it is looked what can go beside a spool that fails.
const TURN: Duration = Duration::from_millis(100);
/// Calls under way beside the spool: one each turn, for as long as a bus that hangs lets them wait.
const CALLS: usize = 64;
/// The spool is asked for so long what waits in it: its disk may hang.
const LOOK_UP: Duration = Duration::from_millis(200);
/// Alerts of which it is remembered that their latest state went beside the spool.
const PASSED: usize = 65_536;

struct Held<T> {
    minted: Minted,
    with: T,
    offer: Offer,
    /// Offers that failed.
    tries: u32,
}

/// A write that is under way; of no state where the spool is only tried.
struct Write {
    began: Instant,
    places: Vec<u64>,
    done: BoxFuture<'static, Result<(), Unspooled>>,
}

/// Holds states, each with a `T` that is given back when it is kept.
pub struct Keeper<T> {
    spool: Arc<Spool>,
    line: Arc<Line>,
    clock: SharedClock,
    counts: Arc<PublisherCounts>,
    /// By the order of their minting.
    held: BTreeMap<u64, Held<T>>,
    last: u64,
    write: Option<Write>,
    /// When the latest write ended.
    written: Instant,
    calls: FuturesUnordered<BoxFuture<'static, Answers>>,
    /// When the next call may begin.
    next_call: Instant,
    /// One of the calls offers again what was not taken.
    repeating: bool,
    /// The latest revision that the bus got beside a spool that fails.
    passed: BTreeMap<AlertId, AlertRevision>,
    failing: bool,
    failed: Option<Instant>,
    told: watch::Sender<bool>,
    failures: u64,
    /// Whether the latest call failed.
    bus_fails: bool,
}

impl<T> Keeper<T> {
    /// Keeps in this spool, and at the bus behind this channel.
    pub fn new(spool: Arc<Spool>, states: Channel, clock: SharedClock, counts: Arc<PublisherCounts>) -> Self {
        let now = Instant::now();
        Self {
            spool,
            line: Arc::new(Line::new(states, clock.clone())),
            clock,
            counts,
            held: BTreeMap::new(),
            last: 0,
            write: None,
            written: now,
            calls: FuturesUnordered::new(),
            next_call: now,
            repeating: false,
            passed: BTreeMap::new(),
            failing: false,
            failed: None,
            told: watch::Sender::new(false),
            failures: 0,
            bus_fails: false,
        }
    }
    /// Takes a state that is minted now.
    pub fn add(&mut self, alert: Alert, with: T) {
        self.last += 1;
        let minted = Minted { alert, at: (self.clock.mono(), self.clock.wall()) };
        self.held.insert(self.last, Held { minted, with, offer: Offer::Fresh, tries: 0 });
    }
    /// States that are on no disk yet.
    pub fn held(&self) -> usize {
        self.held.len()
    }
    /// Whether a burst more may come, of up to 512 states.
    pub fn has_room(&self) -> bool {
        self.held.len() + 2 * BATCH <= HELD
    }
    /// Whether the bus is still to get a state of one of these alerts; what a disk that hangs does not tell counts as so.
    pub fn waits_of_any(&self, alerts: BTreeSet<AlertId>) -> BoxFuture<'static, bool> {
        if self.held.values().any(|held| alerts.contains(&held.minted.alert.id)) {
            return std::future::ready(true).boxed();
        }
        let spool = Arc::clone(&self.spool);
        let waits = async move { timeout(LOOK_UP, spool.waits_of(alerts)).await };
        waits.map(|waits| !matches!(waits, Ok(Ok(waits)) if waits.is_empty())).boxed()
    }
    /// Writes to the spool that failed.
    pub fn failures(&self) -> u64 {
        self.failures
    }
    /// Whether the spool cannot be written, or could not in the last seconds.
    pub fn failing(&self) -> watch::Receiver<bool> {
        self.told.subscribe()
    }
    /// Works until states are kept, and gives back what they came with, in order for each alert. Cancel-safe: what is
    /// under way goes on with the next call.
    pub async fn kept(&mut self) -> Vec<T> {
        loop {
            self.begin();
            let wake = self.wake();
            let writing = async {
                match &mut self.write {
                    Some(write) => (&mut write.done).await,
                    None => pending().await,
                }
            };
            let kept = tokio::select! {
                result = writing => self.after_write(result),
                Some(answers) = self.calls.next() => self.after_call(answers),
                () = sleep_until(wake) => Vec::new(),
            };
            if !kept.is_empty() {
                return kept;
            }
        }
    }
    /// Begins what there is to do.
    fn begin(&mut self) {
        let now = Instant::now();
        match &self.write {
            None if now >= self.next_write() => self.write(now),
            Some(write) if !self.failing && now - write.began >= SLOW => {
                self.fail("a write takes too long: check the disk of the spool");
            }
            _ => {}
        }
        if self.failing {
            self.failed = Some(now);
            self.offer(now);
        }
        let told = self.failed.is_some_and(|failed| now - failed < CALM);
        self.told.send_if_modified(|before| std::mem::replace(before, told) != told);
    }
    fn next_write(&self) -> Instant {
        match (self.failing, self.held.is_empty()) {
            (false, false) => self.written,
            (true, _) => self.written + AGAIN,
            (false, true) => self.written + TRY,
        }
    }
    fn wake(&self) -> Instant {
        let now = Instant::now();
        let next = self.write.as_ref().map_or_else(|| self.next_write(), |write| write.began + SLOW);
        if self.failing || *self.told.borrow() { now + TURN } else { next }
    }
    fn write(&mut self, now: Instant) {
        let (places, states): (Vec<u64>, Vec<Minted>) =
            self.held.iter().take(BATCH).map(|(place, held)| (*place, held.minted.clone())).unzip();
        let spool = Arc::clone(&self.spool);
        let done = async move {
            if states.is_empty() {
                spool.try_write().await.map_err(|error| Unspooled { stored: 0, error })
            } else {
                spool.push_all(&states).await
            }
        };
        self.write = Some(Write { began: now, places, done: done.boxed() });
    }
    fn fail(&mut self, error: &str) {
        if !self.failing {
            error!(error, "alerts cannot be spooled: they go to the bus directly, the spool is tried again");
        }
        self.failing = true;
    }
    fn after_write(&mut self, result: Result<(), Unspooled>) -> Vec<T> {
        let Some(write) = self.write.take() else { return Vec::new() };
        self.written = Instant::now();
        let stored = match result {
            Ok(()) => {
                if self.failing {
                    info!("alerts can be spooled again");
                }
                self.failing = false;
                self.passed.clear();
                write.places.len()
            }
            Err(Unspooled { stored, error }) => {
                self.failures += 1;
                self.fail(&error.to_string());
                stored
            }
        };
        // What the bus has taken meanwhile is no longer held.
        let kept = write.places.into_iter().take(stored).filter_map(|place| self.held.remove(&place));
        kept.map(|held| held.with).collect()
    }
    /// Offers to the bus what it was not offered yet, and again what it did not take.
    fn offer(&mut self, now: Instant) {
        if now < self.next_call {
            return;
        }
        if self.calls.len() < CALLS
            && let Some(call) = offer::choose(&self.held, &self.passed, |offer| offer == Offer::Fresh)
        {
            self.call(call, now, false);
        }
        let due = |offer| matches!(offer, Offer::Again(at) if at <= now);
        if !self.repeating
            && let Some(call) = offer::choose(&self.held, &self.passed, due)
        {
            self.repeating = true;
            self.call(call, now, true);
        }
    }
    fn call(&mut self, call: Call, now: Instant, repeats: bool) {
        self.next_call = now + TURN;
        for place in call.places() {
            self.held.entry(place).and_modify(|held| held.offer = Offer::UnderWay);
        }
        let (spool, line) = (Arc::clone(&self.spool), Arc::clone(&self.line));
        let alerts: BTreeSet<AlertId> = call.alerts().collect();
        let offered = async move {
            // What a disk that hangs does not tell is not known.
            let waits = timeout(LOOK_UP, spool.waits_of(alerts)).await.ok().and_then(Result::ok);
            call.send(&line, waits.as_ref(), repeats).await
        };
        self.calls.push(offered.boxed());
    }
    fn after_call(&mut self, answers: Answers) -> Vec<T> {
        self.repeating &= !answers.repeats;
        let now = Instant::now();
        let mut kept = Vec::new();
        let mut fails = None;
        for (place, said) in answers.said {
            let Some(held) = self.held.get_mut(&place) else { continue };
            match said {
                Said::Kept => {
                    fails.get_or_insert(None);
                    let Minted { alert, .. } = &held.minted;
                    self.passed.insert(alert.id, alert.revision);
                    self.counts.published.fetch_add(1, Ordering::Relaxed);
                    self.counts.direct.fetch_add(1, Ordering::Relaxed);
                    kept.extend(self.held.remove(&place).map(|held| held.with));
                }
                Said::Waits => held.offer = Offer::Again(now + TURN),
                Said::Later(reason) => {
                    held.tries += 1;
                    let wait = AGAIN.saturating_mul(1 << held.tries.min(4)) / 2;
                    held.offer = Offer::Again(now + wait.min(Duration::from_secs(5)));
                    fails = Some(Some(reason));
                }
                Said::Refused(reason) => {
                    let alert = &held.minted.alert;
                    warn!(alert = %alert.id, revision = %alert.revision, reason, "the bus refuses a state: it waits for the spool");
                    held.offer = Offer::Left;
                }
            }
        }
        while self.passed.len() > PASSED {
            // Ids grow with time.
            self.passed.pop_first();
        }
        if let Some(fails) = fails {
            match &fails {
                Some(reason) if !self.bus_fails => {
                    error!(reason, held = self.held.len(), "neither the spool nor the bus stores alerts now");
                }
                None if self.bus_fails => info!("the bus stores alerts again"),
                _ => {}
            }
            self.bus_fails = fails.is_some();
        }
        kept
    }
}
