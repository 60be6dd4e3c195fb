//! The task of one sink: what is sent next, and what its answer leads to.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;
use tokio_rustls::rustls::ClientConfig;
use tracing::{debug, info, warn};
use xueliang_base::{
    alert::EvidenceKind,
    backoff::Backoff,
    kind::Lane,
    time::{Mono, Wall},
};
use xueliang_proto::v1;

use super::{
    Fault, MAX_STILL_BYTES, Shared, SinkOptions, body,
    send::{Letter, Sender, Sent},
};
use crate::{
    bus::{Bus, Inner},
    error::{Error, Result},
    evidence::Call,
    rights::{Principal, PrincipalKind},
    store::{
        FeedQuery, FeedRow,
        sinks::{Fate, Origin, Retry, Settlement},
    },
};

/// States of a lane that are read ahead: they are kept by reference, and read again when they are sent.
const PAGE: usize = 16;
/// Before the store is asked again after it failed.
const AGAIN: Duration = Duration::from_secs(1);

/// A state that is being sent, over all its tries.
struct Pending {
    seq: u64,
    attempts: u32,
    /// Answers that were errors of the other side's own.
    errors: u32,
    began: Mono,
    body: Bytes,
    content: v1::ShareContent,
}

/// What is read ahead of a lane's place.
#[derive(Default)]
struct Ahead {
    rows: VecDeque<Arc<FeedRow>>,
    /// Where the place stands once they are done.
    upto: u64,
}

pub(super) struct Worker {
    bus: Arc<Inner>,
    shared: Arc<Shared>,
    options: SinkOptions,
    principal: Principal,
    sender: Sender,
    place: [u64; 3],
    saved: [u64; 3],
    save_at: Mono,
    ahead: [Ahead; 3],
    /// At most one for each lane and one dead letter.
    pending: BTreeMap<Origin, Pending>,
    backoff: Backoff,
    heads: watch::Receiver<u64>,
}

impl Worker {
    pub(super) fn new(
        bus: &Bus,
        shared: Arc<Shared>,
        options: SinkOptions,
        tls: Result<Arc<ClientConfig>, String>,
    ) -> Self {
        let bus = Arc::clone(&bus.0);
        let spec = &shared.spec;
        let sender = spec.sender(&options, tls);
        let seed = spec
            .name
            .bytes()
            .fold(bus.clock.mono().0, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self {
            principal: Principal::new(format!("sink:{}", spec.name), PrincipalKind::Sink),
            heads: bus.hub.watch(),
            save_at: bus.clock.mono(),
            backoff: Backoff::spread(options.wait_from, options.wait_to, seed),
            ahead: Default::default(),
            pending: BTreeMap::new(),
            place: [0; 3],
            saved: [0; 3],
            bus,
            shared,
            options,
            sender,
        }
    }
    /// Works for ever. A store that fails is asked again; nothing is lost by that.
    pub(super) async fn run(mut self) {
        loop {
            let Err(error) = self.run_once().await;
            warn!(sink = self.shared.spec.name, error = %error, "the sink waits for the store");
            tokio::time::sleep(AGAIN).await;
        }
    }
    async fn run_once(&mut self) -> Result<Infallible> {
        self.place = self.bus.store.sink_place(self.shared.spec.name.clone()).await?;
        self.saved = self.place;
        self.ahead = Default::default();
        loop {
            self.shared.counts().place = Some(self.place);
            self.heads.mark_unchanged();
            match self.next().await? {
                Some((origin, row)) => self.serve(origin, &row).await?,
                None => {
                    self.save().await?;
                    tokio::select! {
                        _ = self.heads.changed() => {}
                        () = self.shared.retry.notified() => {}
                        () = tokio::time::sleep(self.options.save_every) => {}
                    }
                }
            }
        }
    }
    /// The most urgent state that waits. Dead letters come after the critical lane: somebody asked for them.
    async fn next(&mut self) -> Result<Option<(Origin, Arc<FeedRow>)>> {
        if let Some(row) = self.front(Lane::Critical).await? {
            return Ok(Some((Origin::Lane(Lane::Critical), row)));
        }
        if let Some(retry) = self.bus.store.next_retry(self.shared.spec.name.clone()).await? {
            let Retry { letter, attempts, row } = retry;
            let origin = Origin::Letter(letter);
            if !self.pending.contains_key(&origin) {
                self.pending.insert(origin, self.begin(&row, attempts).await?);
            }
            return Ok(Some((origin, row)));
        }
        for lane in [Lane::Major, Lane::Minor] {
            if let Some(row) = self.front(lane).await? {
                return Ok(Some((Origin::Lane(lane), row)));
            }
        }
        Ok(None)
    }
    /// The next state of a lane.
    async fn front(&mut self, lane: Lane) -> Result<Option<Arc<FeedRow>>> {
        let index = lane.index();
        loop {
            if let Some(row) = self.ahead[index].rows.front() {
                return Ok(Some(Arc::clone(row)));
            }
            let (after, head) = (self.place[index], self.bus.hub.head());
            if after >= head {
                return Ok(None);
            }
            let filter = &self.shared.filter;
            let (rows, upto) = match self.bus.hub.after(lane, after, filter, false, PAGE) {
                Some(found) => (found.rows, found.upto),
                None => {
                    let query = FeedQuery {
                        lane,
                        filter: Arc::clone(filter),
                        after_exclusive: after,
                        upto_inclusive: head,
                        latest_only: false,
                        limit: PAGE,
                    };
                    let page = self.bus.store.record_page(query).await?;
                    (page.rows, page.upto)
                }
            };
            if rows.is_empty() {
                self.place[index] = upto;
            }
            self.ahead[index] = Ahead { rows: rows.into(), upto };
        }
    }
    /// A lane's first state is done, and on disk as such.
    fn pass(&mut self, lane: Lane) {
        let ahead = &mut self.ahead[lane.index()];
        let Some(row) = ahead.rows.pop_front() else { return };
        self.saved[lane.index()] = row.seq;
        self.place[lane.index()] = if ahead.rows.is_empty() { ahead.upto } else { row.seq };
    }
    /// Keeps a place that moved over states that nobody wants, now and then.
    async fn save(&mut self) -> Result<()> {
        let now = self.bus.clock.mono();
        if self.saved != self.place && now >= self.save_at {
            self.bus.store.save_sink_place(self.shared.spec.name.clone(), self.place).await?;
            self.saved = self.place;
            self.save_at = now.plus(self.options.save_every);
        }
        Ok(())
    }
    /// Sends a state once, keeps what came of it, and waits where it must be tried again.
    async fn serve(&mut self, origin: Origin, row: &FeedRow) -> Result<()> {
        if let Origin::Lane(lane) = origin
            && lane != Lane::Critical
            && self.bus.store.lane_of(row.alert).await?.is_some_and(|now| now < lane)
        {
            // Sent after a later state of the same alert it would only go back.
            let passed = self.settlement(origin, row, 0, None, Fate::Passed);
            self.bus.store.settle(passed).await?;
            self.pending.remove(&origin);
            self.shared.counts().passed += 1;
            self.pass(lane);
            return Ok(());
        }
        if self.pending.get(&origin).is_none_or(|one| one.seq != row.seq) {
            self.pending.insert(origin, self.begin(row, 0).await?);
        }
        let at = self.bus.clock.wall();
        let delivery_id = body::delivery_id(row, &self.shared.spec.name);
        let Some(pending) = self.pending.get_mut(&origin) else { return Ok(()) };
        pending.attempts = pending.attempts.saturating_add(1);
        let letter = Letter { delivery_id: &delivery_id, body: pending.body.clone(), at };
        let sent = self.sender.send(&letter).await;
        let fate = self.judge(origin, &sent);
        self.keep(origin, row, &sent, fate).await?;
        if fate != Fate::Waits {
            self.pending.remove(&origin);
            if let Origin::Lane(lane) = origin {
                self.pass(lane);
            }
        }
        self.tell(row, &sent, fate);
        self.rest(&sent, fate).await;
        Ok(())
    }
    async fn begin(&self, row: &FeedRow, attempts: u32) -> Result<Pending> {
        let still = if self.shared.spec.with_still { self.still(row).await? } else { None };
        let spec = &self.shared.spec;
        let body = body::body(row, &spec.site, &spec.name, still.as_ref());
        Ok(Pending {
            seq: row.seq,
            attempts,
            errors: 0,
            began: self.bus.clock.mono(),
            body: body.map_err(|fault| Error::Internal(format!("write an alert as JSON: {fault}")))?,
            content: if still.is_some() {
                v1::ShareContent::MetadataAndRedactedStill
            } else {
                v1::ShareContent::Metadata
            },
        })
    }
    /// The still, once an alert: with the first state that is sent after it was stored. Only the gateway gives it, after
    /// it has written to the register. A state does not wait for its still, and goes without one that cannot be had.
    async fn still(&self, row: &FeedRow) -> Result<Option<(v1::EvidenceRef, Bytes)>> {
        let Some(kept) = self.bus.store.evidence(row.alert, EvidenceKind::Still).await? else {
            return Ok(None);
        };
        let facts = &kept.facts;
        let there = facts.missing_reason.is_empty() && !kept.deleted && facts.redacted;
        if !there || facts.size_bytes > MAX_STILL_BYTES {
            return Ok(None);
        }
        let name = &self.shared.spec.name;
        if self.bus.store.still_shared(name.clone(), row.alert).await? {
            return Ok(None);
        }
        let call = Call {
            alert: row.alert,
            purpose: v1::Purpose::Share,
            call_reason: v1::CallReason::Share,
            reason: format!("shared with the sink {name}"),
        };
        match self.bus.evidence.still(&self.principal, &call).await {
            Ok(given) => Ok(Some(given)),
            // Nothing has left: what is to be said about the alert must not wait for it.
            Err(error) => {
                info!(sink = name, alert = %row.alert, %error, "a state goes without its still");
                Ok(None)
            }
        }
    }
    fn judge(&mut self, origin: Origin, sent: &Sent) -> Fate {
        let Err(fault) = sent.result else { return Fate::Taken };
        let now = self.bus.clock.mono();
        let Some(pending) = self.pending.get_mut(&origin) else { return Fate::Waits };
        if fault == Fault::Busy && !matches!(sent.status, 408 | 429 | 502 | 503 | 504) {
            pending.errors += 1;
        }
        let given_up = matches!(fault, Fault::Refused | Fault::Redirect)
            || pending.errors >= self.options.errors_answered
            || now.since(pending.began) >= self.options.give_up_after;
        if given_up { Fate::Dead { fault: fault.into(), status: sent.status } } else { Fate::Waits }
    }
    fn settlement(
        &self,
        origin: Origin,
        row: &FeedRow,
        attempts: u32,
        share: Option<v1::Share>,
        fate: Fate,
    ) -> Settlement {
        Settlement {
            sink: self.shared.spec.name.clone(),
            origin,
            seq: row.seq,
            alert: row.alert,
            revision: body::revision(row),
            attempts,
            share,
            fate,
        }
    }
    /// Keeps what came of a try; what is taken is not sent again because the store fails for a while.
    async fn keep(&self, origin: Origin, row: &FeedRow, sent: &Sent, fate: Fate) -> Result<()> {
        let Some(pending) = self.pending.get(&origin) else { return Ok(()) };
        let share = sent.left.then(|| v1::Share {
            share_id: 0,
            at_unix_us: self.bus.clock.wall().0,
            sink: self.shared.spec.name.clone(),
            alert_id: row.alert.to_string(),
            revision: body::revision(row),
            status: u32::from(sent.status),
            content: pending.content.into(),
            size_bytes: pending.body.len() as u64,
            attempt: pending.attempts,
        });
        if share.is_none() && fate == Fate::Waits {
            return Ok(());
        }
        let settlement = self.settlement(origin, row, pending.attempts, share, fate);
        loop {
            match self.bus.store.settle(settlement.clone()).await {
                Err(error @ (Error::Unavailable(_) | Error::Exhausted(_))) => {
                    warn!(sink = settlement.sink, error = %error, "what was shared is not on disk yet");
                    tokio::time::sleep(AGAIN).await;
                }
                kept => return kept,
            }
        }
    }
    fn tell(&self, row: &FeedRow, sent: &Sent, fate: Fate) {
        let name = &self.shared.spec.name;
        let mut counts = self.shared.counts();
        counts.place = Some(self.place);
        match sent.result {
            Ok(()) => {
                if counts.failures > 0 {
                    info!(sink = name, failures = counts.failures, "the sink takes alerts again");
                }
                counts.taken += 1;
                counts.failures = 0;
                counts.fault = None;
                counts.last_taken = Some(self.bus.clock.wall());
            }
            Err(fault) => {
                if counts.failures == 0 {
                    warn!(sink = name, status = sent.status, fault = %fault, "the sink does not take alerts");
                }
                counts.failed += 1;
                counts.failures += 1;
                counts.fault = Some(fault);
            }
        }
        if let Fate::Dead { .. } = fate {
            counts.dead += 1;
            warn!(sink = name, alert = %row.alert, revision = body::revision(row), status = sent.status, "a dead letter");
        }
    }
    /// Waits before the next try of any state: it is the place that does not answer. One that answered for good is there.
    async fn rest(&mut self, sent: &Sent, fate: Fate) {
        let answered = matches!(sent.result, Ok(()) | Err(Fault::Refused | Fault::Redirect));
        if answered {
            self.backoff.reset();
            return;
        }
        let wait = self.backoff.next_wait().max(sent.retry_after.unwrap_or_default());
        let next: Wall = self.bus.clock.wall().plus(wait);
        self.shared.counts().next_try = Some(next);
        debug!(sink = self.shared.spec.name, ?wait, ?fate, "the sink is tried again later");
        tokio::time::sleep(wait).await;
        self.shared.counts().next_try = None;
    }
}
