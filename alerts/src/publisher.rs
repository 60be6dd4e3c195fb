//! From the spool to the bus: in the order of the spool's queues, again and again until the bus has it.
//!
//! States and evidence are sent side by side, so that no clip, however large, delays a state. Evidence follows the
//! states of its alert that were spooled before it. What the bus refuses for good is set aside with its reason, and
//! so is a state that the bus stumbles over again and again by itself, while it takes others.
//! Sending twice is harmless: the bus knows what it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;
use tonic::transport::Channel;
use tracing::{error, info, warn};
use xueliang_base::{
    backoff::Backoff,
    shutdown::Stopping,
    time::{Mono, SharedClock, micros},
};
use xueliang_proto::v1::{self, node_service_client::NodeServiceClient};

use self::line::{Failure, Line, call, refusal};
use crate::{
    error::{Error, Result},
    evidence::MAX_PIECE_BYTES,
    spool::{Spool, Waiting, WaitingEvidence},
};

pub mod keeper;
mod line;

/// States of one call, as many as are allowed.
const BATCH: usize = 256;
/// Calls that fail through a fault of the bus, one after the other, before their states are sent one by one.
const STUMBLES: u32 = 3;
/// Times that a state sent by itself fails so before it is set aside.
const ALONE: u32 = 3;
/// What the bus has and the spool's disk holds is removed after so long, again and again.
const SWEEP_AFTER: Duration = Duration::from_secs(1);
/// Deadline of a call with evidence.
const EVIDENCE_CALL: Duration = Duration::from_secs(60);

/// What became of what was sent.
#[derive(Debug, Default)]
pub struct PublisherCounts {
    /// States the bus has: committed, or known already.
    pub published: AtomicU64,
    /// Of them, those it got beside the spool, because that could not be written.
    pub direct: AtomicU64,
    /// Set aside: states that conflict, are invalid or came too late, evidence that is no such thing.
    pub buried: AtomicU64,
    /// Pieces of evidence stored.
    pub evidence: AtomicU64,
    /// Pieces of evidence the bus has no room for.
    pub evidence_refused: AtomicU64,
    /// Calls that failed and were tried again.
    pub failures: AtomicU64,
}

/// Sends what a spool holds.
pub struct Publisher {
    states: States,
    pieces: Pieces,
}

impl Publisher {
    /// Sends states over one channel and evidence, megabytes a piece, over another, so that no state waits behind it; `seed`
    /// spreads the back-off of nodes that lose the bus together.
    pub fn new(spool: Arc<Spool>, states: Channel, evidence: Channel, clock: SharedClock, seed: u64) -> Self {
        let room = MAX_PIECE_BYTES + (1 << 20);
        let counts = Arc::new(PublisherCounts::default());
        Self {
            states: States {
                outlet: Outlet::new("states", &spool, &counts, seed),
                line: Line::new(states, clock),
                stumbles: 0,
                suspects: BTreeMap::new(),
            },
            pieces: Pieces {
                outlet: Outlet::new("evidence", &spool, &counts, seed.wrapping_add(1)),
                nodes: NodeServiceClient::new(evidence).max_encoding_message_size(room),
            },
        }
    }
    /// What became of what was sent.
    pub fn counts(&self) -> Arc<PublisherCounts> {
        Arc::clone(&self.states.outlet.counts)
    }
    /// Sends until asked to stop. What is not sent by then stays in the spool.
    pub async fn run(mut self, mut stopping: Stopping) {
        // A call that is given up may have been carried out; it is then sent again by the next life.
        tokio::select! {
            () = stopping.wait() => {}
            ((), ()) = async { tokio::join!(self.states.run(), self.pieces.run()) } => {}
        }
    }
}

/// What both kinds of sending share.
struct Outlet {
    what: &'static str,
    spool: Arc<Spool>,
    counts: Arc<PublisherCounts>,
    backoff: Backoff,
}

impl Outlet {
    fn new(what: &'static str, spool: &Arc<Spool>, counts: &Arc<PublisherCounts>, seed: u64) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), seed);
        Self { what, spool: Arc::clone(spool), counts: Arc::clone(counts), backoff }
    }
    /// Takes note of an attempt. Returns how long to wait before the next: `None` until there is news.
    fn after(&mut self, attempt: Result<bool, String>) -> Option<Duration> {
        match attempt {
            Ok(sent) => {
                if sent && self.backoff.failures() > 0 {
                    info!(what = self.what, "the bus takes again");
                    self.backoff.reset();
                }
                sent.then_some(Duration::ZERO)
            }
            Err(reason) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                if self.backoff.failures() == 0 {
                    info!(what = self.what, reason, "the bus takes nothing, the spool keeps it");
                }
                Some(self.backoff.next_wait())
            }
        }
    }
    async fn bury<T>(&self, one: &Waiting<T>, reason: &str) -> Result<(), String> {
        warn!(what = self.what, item = one.id, reason, "the bus refuses this for good, it is set aside");
        self.counts.buried.fetch_add(1, Ordering::Relaxed);
        self.spool.bury(one, reason).await.map_err(|error| error.to_string())
    }
}

/// Sends states.
struct States {
    outlet: Outlet,
    line: Line,
    /// Calls that the bus stumbled over since it last took all.
    stumbles: u32,
    /// How often it stumbled over a state sent by itself.
    suspects: BTreeMap<i64, u32>,
}

impl States {
    async fn run(&mut self) {
        loop {
            let was_away = self.outlet.backoff.failures() > 0;
            let attempt = self.run_once().await;
            if was_away && attempt == Ok(true) {
                // What waited for the bus may not stand in the way of what comes now.
                self.outlet.spool.begin_backlog();
            }
            match self.outlet.after(attempt) {
                Some(wait) => tokio::time::sleep(wait).await,
                None if self.outlet.spool.owes() => {
                    drop(timeout(SWEEP_AFTER, self.outlet.spool.state_pushed()).await);
                    // It says itself why it cannot.
                    drop(timeout(SWEEP_AFTER, self.outlet.spool.sweep()).await);
                }
                None => self.outlet.spool.state_pushed().await,
            }
        }
    }
    /// Sends what is next. Returns whether there was anything.
    async fn run_once(&mut self) -> Result<bool, String> {
        let batch = self.outlet.spool.next_batch(BATCH).await.map_err(|error| error.to_string())?;
        if batch.is_empty() {
            return Ok(false);
        }
        self.publish(batch).await.map(|()| true)
    }
    async fn publish(&mut self, batch: Vec<Waiting<v1::Alert>>) -> Result<(), String> {
        match self.send(&batch).await {
            Ok(()) => {
                self.stumbles = 0;
                self.suspects.clear();
                Ok(())
            }
            Err(Failure::Again(reason)) => Err(reason),
            Err(Failure::Never(reason)) if batch.len() == 1 => self.outlet.bury(&batch[0], &reason).await,
            // One of them spoils the call for all: find it.
            Err(Failure::Never(_)) => self.one_by_one(batch).await,
            Err(Failure::Stumbled(reason)) => {
                self.stumbles += 1;
                if self.stumbles < STUMBLES { Err(reason) } else { self.one_by_one(batch).await }
            }
        }
    }
    /// Sends each by itself. What the bus stumbles over keeps its place before the later states of its alert, and is
    /// set aside when that happens again and again while others are taken: then the fault is not the store's.
    async fn one_by_one(&mut self, batch: Vec<Waiting<v1::Alert>>) -> Result<(), String> {
        let (mut taken, mut stumbled) = (false, Vec::new());
        let mut held: BTreeSet<String> = BTreeSet::new();
        for one in batch {
            if held.contains(&one.item.alert_id) {
                continue;
            }
            match self.send(std::slice::from_ref(&one)).await {
                Ok(()) => taken = true,
                Err(Failure::Again(reason)) => return Err(reason),
                Err(Failure::Never(reason)) => self.outlet.bury(&one, &reason).await?,
                Err(Failure::Stumbled(reason)) => {
                    held.insert(one.item.alert_id.clone());
                    *self.suspects.entry(one.id).or_default() += 1;
                    stumbled.push((one, reason));
                }
            }
        }
        let mut waits = None;
        for (one, reason) in stumbled {
            if taken && self.suspects.get(&one.id).is_some_and(|times| *times >= ALONE) {
                error!(
                    alert = one.item.alert_id,
                    revision = one.item.revision,
                    reason,
                    "the bus takes others and fails at this state: it is set aside, see the log of the bus"
                );
                self.suspects.remove(&one.id);
                self.outlet.bury(&one, &format!("the bus fails at it: {reason}")).await?;
            } else {
                waits = Some(reason);
            }
        }
        waits.map_or(Ok(()), Err)
    }
    async fn send(&mut self, batch: &[Waiting<v1::Alert>]) -> Result<(), Failure> {
        let states = |now| batch.iter().map(|one| left_at(now, one)).collect();
        let results = self.line.publish(states).await?;
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for (one, result) in batch.iter().zip(results) {
            match refusal(&result) {
                None => done.push(one.clone()),
                Some(reason) => refused.push((one, reason)),
            }
        }
        // First what the bus has: to set something aside needs the disk.
        self.outlet.spool.done(&done).await.map_err(|error| Failure::Again(error.to_string()))?;
        self.outlet.counts.published.fetch_add(done.len() as u64, Ordering::Relaxed);
        for (one, reason) in refused {
            self.outlet.bury(one, &reason).await.map_err(Failure::Again)?;
        }
        Ok(())
    }
}

/// A state that leaves the spool now: its time there goes on from when it was read.
fn left_at(now: Mono, one: &Waiting<v1::Alert>) -> v1::Alert {
    let mut alert = one.item.clone();
    if let Some(spool) = alert.stages.iter_mut().rfind(|time| time.stage() == v1::Stage::Spool) {
        spool.duration_us = spool.duration_us.saturating_add(micros(now.since(one.read)));
    }
    alert
}

/// Sends evidence, one piece at a time.
struct Pieces {
    outlet: Outlet,
    nodes: NodeServiceClient<Channel>,
}

impl Pieces {
    async fn run(&mut self) {
        loop {
            let attempt = self.run_once().await;
            match self.outlet.after(attempt) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => self.outlet.spool.evidence_ready().await,
            }
        }
    }
    /// Sends the oldest piece that may be sent. Returns whether there was one.
    async fn run_once(&mut self) -> Result<bool, String> {
        let text = |error: Error| error.to_string();
        let Some(piece) = self.outlet.spool.next_evidence().await.map_err(text)? else { return Ok(false) };
        self.put(&piece).await.map(|()| true)
    }
    async fn put(&mut self, piece: &Waiting<WaitingEvidence>) -> Result<(), String> {
        let request = v1::PutEvidenceRequest {
            alert_id: piece.item.alert.to_string(),
            evidence: Some(piece.item.facts.clone()),
            data: piece.item.data.clone(),
        };
        let counts = &self.outlet.counts;
        match call(EVIDENCE_CALL, self.nodes.put_evidence(request)).await {
            Err(Failure::Again(reason) | Failure::Stumbled(reason)) => return Err(reason),
            Err(Failure::Never(reason)) => return self.outlet.bury(piece, &reason).await,
            Ok(answer) if !answer.refusal.is_empty() => {
                warn!(alert = %piece.item.alert, reason = answer.refusal, "evidence is not kept");
                counts.evidence_refused.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => {
                counts.evidence.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.outlet.spool.done(std::slice::from_ref(piece)).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
