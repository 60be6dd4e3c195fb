//! One console's reading of the feed: where it begins, what goes out next, when it ends.
//!
//! Every item leaves in the order: critical before major before minor, a bookmark only after all it covers. A
//! critical lane without credit for too long ends the subscription with its cursor; the other lanes wait, and
//! take the shorter way once they may go on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, Interval, MissedTickBehavior, sleep, sleep_until},
};
use tracing::{debug, info, warn};
use xueliang_base::{
    cursor::Cursor,
    kind::{Lane, Level},
    time::Mono,
};
use xueliang_proto::v1::{self, CloseReason, subscribe_response::Item};

use super::{
    Bus, BusCounts, Inner,
    credit::Credits,
    deliver::{Last, Out, SubscriptionStream},
    lanes::{Counted, Lanes, Next, keep_within_page},
    registry::Open,
    trail::Trail,
};
use crate::{
    error::{Error, Result},
    filter::Filter,
    rights::{Principal, Right, check},
    store::{Missed, Reader, SnapshotKey},
};

/// Items on their way to the connection: enough to keep it busy, too few to hide anything.
const IN_FLIGHT: usize = 16;
/// Alerts of a snapshot read at a time.
const SNAPSHOT_PAGE: usize = 64;
/// Places of the history counted at a time.
const MISSED_SLICE: u64 = 20_000;
/// Items of the minor lane within a [`TURN`]. What comes on top waits for the next one, and is summarised there when there
/// is much of it: a flood leaves the processor to the other lanes.
const MINOR_A_TURN: u32 = 16;
/// The longest that a minor alert is held back for that.
const TURN: Duration = Duration::from_millis(100);
/// How soon a stuck subscription looks at the clock again.
const STUCK_TICK: Duration = Duration::from_millis(100);

/// What a console asks for.
#[derive(Debug, Clone, Default)]
pub struct Subscribe {
    /// Name, unique for the principal; empty: unnamed.
    pub name: String,
    /// Where to go on; `None`: at the acknowledged cursor of the name, or with a snapshot.
    pub cursor: Option<Cursor>,
    /// What is wanted.
    pub filter: Filter,
    /// Credit wanted.
    pub credit: Option<v1::Credit>,
    /// A reading within the bus: it does not stand in the audit of deliveries.
    pub internal: bool,
}

impl TryFrom<v1::SubscribeRequest> for Subscribe {
    type Error = Error;
    fn try_from(wire: v1::SubscribeRequest) -> Result<Self> {
        let name = wire.subscription;
        if name.len() > 128 || name.chars().any(char::is_control) {
            let fault = "subscription: use at most 128 bytes without control characters";
            return Err(Error::Invalid(fault.to_owned()));
        }
        let cursor = match wire.cursor.as_ref() {
            [] => None,
            bytes => Some(Cursor::decode(bytes).map_err(|fault| Error::Invalid(format!("cursor: {fault}")))?),
        };
        Ok(Self {
            name,
            cursor,
            filter: wire.filter.unwrap_or_default().try_into()?,
            credit: wire.credit,
            internal: false,
        })
    }
}

/// Why the task ends.
enum End {
    /// Ours to say.
    Close(CloseReason),
    /// The connection is gone.
    Gone,
    /// Something failed.
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        End::Failed(error)
    }
}

/// Where a stream begins.
enum Start {
    /// At a cursor.
    Resume(Cursor),
    /// With a snapshot of now.
    Snapshot(Option<v1::Gap>),
    /// With a snapshot of what had happened by a cursor that was earned under another filter, then at that cursor.
    Again(Cursor, v1::Gap),
}

impl Bus {
    /// Opens a subscription. An open one of the same principal and name is closed.
    pub async fn subscribe(&self, principal: &Principal, wanted: Subscribe) -> Result<SubscriptionStream> {
        let bus = &self.0;
        let principal = &bus.rights.of(principal);
        check(principal, Right::ReadAlerts)?;
        let filter = Arc::new(Filter { within: principal.reach(), ..wanted.filter });
        let credits = Credits::new(wanted.credit, Cursor::start(bus.store.epoch()))?;
        let granted = credits.granted();
        let cursor = match wanted.cursor {
            None if !wanted.name.is_empty() => bus.acked_cursor(&principal.name, &wanted.name).await?,
            given => given,
        };
        let start = start(bus, &filter, cursor).await?;
        let id = uuid::Uuid::now_v7();
        // Streams that were opened together are not renewed together: its random part spreads them over a tenth.
        let spread = u32::try_from(id.as_u128() % 1000).unwrap_or(0);
        let renew_at =
            bus.clock.mono().plus(bus.options.renew_after + bus.options.renew_after / 10_000 * spread);
        let id = id.to_string();
        let reader = || Reader {
            principal: principal.name.clone(),
            subscription: wanted.name.clone(),
            mark: filter.mark(),
            filter: Arc::clone(&filter),
        };
        let trail = (!wanted.internal).then(|| Trail::new(reader()));
        let open =
            Arc::new(Open::new(id.clone(), principal.name.clone(), wanted.name.clone(), credits, trail));
        bus.registry.add(Arc::clone(&open))?;
        // A change of rights either finds the stream open, or is found here.
        if bus.rights.of(principal) != *principal {
            open.close(CloseReason::RightsChanged);
        }
        BusCounts::add(&bus.counts.opened, 1);
        let (out, items) = mpsc::channel(IN_FLIGHT);
        let last: Last = Arc::new(Mutex::new(None));
        let stream = SubscriptionStream {
            bus: Arc::clone(bus),
            open: Arc::clone(&open),
            items,
            last: Arc::clone(&last),
        };
        let opened = v1::Opened {
            subscription_id: id,
            credit: Some(granted),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut bookmarks = tokio::time::interval(bus.options.bookmark_every);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let epoch = Cursor::start(bus.store.epoch());
        let task = Task {
            lanes: Lanes::new(Arc::clone(bus), Arc::clone(&filter), epoch),
            bus: Arc::clone(bus),
            closing: open.closing(),
            heads: bus.hub.watch(),
            open,
            filter,
            out,
            last,
            bookmarks,
            renew_at,
            stuck_since: None,
            minor_turn: (Instant::now(), 0),
            volatile: [0; 3],
            placed: false,
            resumable: false,
        };
        tokio::spawn(task.run(opened, start));
        Ok(stream)
    }
}

/// Where to begin, and what was missed until there.
async fn start(bus: &Inner, filter: &Arc<Filter>, cursor: Option<Cursor>) -> Result<Start> {
    let Some(cursor) = cursor else { return Ok(Start::Snapshot(None)) };
    let head = bus.hub.head();
    let uncounted = |reason: v1::GapReason| v1::Gap {
        reason: reason.into(),
        missed: Vec::new(),
        counts_known: false,
        from_unix_us: 0,
        to_unix_us: bus.clock.wall().0,
    };
    if cursor.epoch != bus.store.epoch() || cursor.positions.iter().any(|position| *position > head) {
        return Ok(Start::Snapshot(Some(uncounted(v1::GapReason::ForeignEpoch))));
    }
    // What the cursor passed was not all shown, unless this filter showed it. A cursor that passed nothing hides nothing.
    let same = cursor.filter == Some(filter.mark()) || cursor.positions == [0; 3];
    let on = |cursor: Cursor| match same {
        true => Start::Resume(cursor.under(filter.mark())),
        false => Start::Again(cursor, uncounted(v1::GapReason::FilterChanged)),
    };
    let trimmed_to = bus.store.trimmed_to();
    if cursor.positions.iter().all(|position| *position >= trimmed_to) {
        return Ok(on(cursor));
    }
    let missed = missed(bus, filter, cursor, trimmed_to).await?;
    if missed.counts.is_empty() {
        let positions = cursor.positions.map(|position| position.max(trimmed_to));
        return Ok(on(Cursor { positions, ..cursor }));
    }
    let level = |(level, count)| v1::LevelCount { level: v1::Level::from(level).into(), count };
    Ok(Start::Snapshot(Some(v1::Gap {
        reason: v1::GapReason::Trimmed.into(),
        missed: missed.counts.into_iter().map(level).collect(),
        counts_known: same,
        from_unix_us: missed.from_unix_us,
        to_unix_us: missed.to_unix_us,
    })))
}

/// What lies between a cursor and the begin of the feed, counted slice by slice so that nobody waits long for a
/// reader.
pub(crate) async fn missed(
    bus: &Inner,
    filter: &Arc<Filter>,
    cursor: Cursor,
    trimmed_to: u64,
) -> Result<Missed> {
    let mut counts: BTreeMap<Level, u64> = BTreeMap::new();
    let mut all = Missed::default();
    let mut from = cursor.positions.into_iter().min().unwrap_or(0);
    while from < trimmed_to {
        let upto = from.saturating_add(MISSED_SLICE).min(trimmed_to);
        let after = cursor.positions.map(|position| position.max(from));
        let slice = bus.store.missed(Arc::clone(filter), after, upto).await?;
        for (level, count) in slice.counts {
            *counts.entry(level).or_default() += count;
        }
        if slice.to_unix_us != 0 {
            // The wall clock may have stepped back in between.
            let first = all.to_unix_us == 0;
            all.from_unix_us =
                if first { slice.from_unix_us } else { all.from_unix_us.min(slice.from_unix_us) };
            all.to_unix_us = all.to_unix_us.max(slice.to_unix_us);
        }
        from = upto;
    }
    all.counts = counts.into_iter().collect();
    Ok(all)
}

/// The task of one subscription.
struct Task {
    bus: Arc<Inner>,
    open: Arc<Open>,
    filter: Arc<Filter>,
    lanes: Lanes,
    out: mpsc::Sender<Out>,
    last: Last,
    closing: watch::Receiver<Option<CloseReason>>,
    heads: watch::Receiver<u64>,
    bookmarks: Interval,
    /// When it is closed to be opened again.
    renew_at: Mono,
    /// Since when a critical record has waited for credit.
    stuck_since: Option<Mono>,
    /// When the next turn of the minor lane begins, and what went out in this one.
    minor_turn: (Instant, u32),
    /// The last volatile states sent, by lane.
    volatile: [u64; 3],
    /// Whether the lanes stand where this stream reads.
    placed: bool,
    /// Whether the lanes' cursor leads back to all that was not sent: not before the end of a snapshot.
    resumable: bool,
}

impl Task {
    async fn run(mut self, opened: v1::Opened, start: Start) {
        let id = self.open.id.clone();
        let end = match self.follow(opened, start).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        // A peer that keeps its connection and reads nothing must not keep a place for ever: its stream is gone when
        // it reads on, or its connection ends.
        self.bus.registry.end(&id);
        let reason = match end {
            End::Gone => {
                debug!(subscription = %id, "console left");
                return;
            }
            End::Close(reason) => reason,
            End::Failed(error) => {
                // The console comes back with its cursor, and reads again what could not be read.
                warn!(subscription = %id, error = %error, "subscription ended");
                CloseReason::Renew
            }
        };
        if reason == CloseReason::CriticalStalled {
            BusCounts::add(&self.bus.counts.stalled, 1);
        }
        info!(subscription = %id, principal = %self.open.principal, reason = reason.as_str_name(), "subscription closed");
        let cursor = match self.resumable {
            false => bytes::Bytes::new(),
            // What was on its way is thrown away.
            true if self.open.is_cut() => self.open.credits().acked().encode().into(),
            true => self.lanes.cursor().encode().into(),
        };
        let closed = v1::Closed { reason: reason.into(), cursor };
        *self.last.lock().expect("no code panics while it holds this lock") = Some(closed);
    }

    async fn follow(&mut self, opened: v1::Opened, start: Start) -> Result<std::convert::Infallible, End> {
        self.send(Item::Opened(opened)).await?;
        match start {
            Start::Resume(cursor) => {
                self.begin_at(cursor, false);
                self.open.credits().restart(cursor);
                self.resumable = true;
            }
            Start::Snapshot(gap) => {
                if let Some(gap) = gap {
                    self.tell(gap).await?;
                }
                self.snapshot(Cursor::at(self.bus.store.epoch(), self.bus.hub.head())).await?;
            }
            Start::Again(cursor, gap) => {
                self.tell(gap).await?;
                self.snapshot(cursor).await?;
            }
        }
        loop {
            self.ask_to_close()?;
            if self.bus.clock.mono() >= self.renew_at {
                return Err(End::Close(CloseReason::Renew));
            }
            self.heads.mark_unchanged();
            let sent = self.step().await?;
            if self.bookmarks.tick().now_or_never().is_some() {
                self.bookmark()?;
            }
            if !sent {
                self.wait().await?;
            }
        }
    }

    fn begin_at(&mut self, place: Cursor, snapshot: bool) {
        self.lanes = Lanes::new(Arc::clone(&self.bus), Arc::clone(&self.filter), place);
        self.placed = true;
        if let Some(mut trail) = self.open.trail() {
            trail.begin(&place, snapshot, self.bus.clock.wall());
        }
    }

    fn ask_to_close(&self) -> Result<(), End> {
        self.closing.borrow().map_or(Ok(()), |reason| Err(End::Close(reason)))
    }

    /// Until there may be something to do.
    async fn wait(&mut self) -> Result<(), End> {
        let stuck = self.stuck_since.is_some();
        let minor_due = self.minor_rests();
        tokio::select! {
            _ = self.heads.changed() => {}
            () = self.open.acknowledged.notified() => {}
            _ = self.closing.changed() => {}
            () = self.out.closed() => return Err(End::Gone),
            _ = self.bookmarks.tick() => self.bookmark()?,
            () = sleep(STUCK_TICK), if stuck => {}
            () = sleep_until(minor_due.unwrap_or_else(Instant::now)), if minor_due.is_some() => {}
        }
        Ok(())
    }

    /// Until when the minor lane is left alone; `None` where it is not.
    fn minor_rests(&self) -> Option<Instant> {
        let (until, sent) = self.minor_turn;
        (sent >= MINOR_A_TURN && Instant::now() < until).then_some(until)
    }

    /// Counts an item that went out in the minor lane.
    fn minor_sent(&mut self) {
        let now = Instant::now();
        if now >= self.minor_turn.0 {
            self.minor_turn = (now + TURN, 0);
        }
        self.minor_turn.1 += 1;
    }

    /// Sends at most one item: the most urgent one that may go. Returns whether there was one, or may be at once.
    async fn step(&mut self) -> Result<bool, End> {
        match self.lanes.next(Lane::Critical).await? {
            Next::Trimmed => return Err(End::Close(CloseReason::Renew)),
            Next::Nothing => self.stuck_since = None,
            Next::More => return Ok(true),
            Next::Row(row) => {
                if self.free(Lane::Critical) > 0 {
                    self.stuck_since = None;
                    self.deliver(row).await?;
                    return Ok(true);
                }
                let now = self.bus.clock.mono();
                let since = *self.stuck_since.get_or_insert(now);
                if now.since(since) > self.bus.options.critical_stall {
                    return Err(End::Close(CloseReason::CriticalStalled));
                }
            }
        }
        if self.show(Lane::Critical).await? {
            return Ok(true);
        }
        if self.free(Lane::Major) == 0 {
            self.lanes.forget(Lane::Major);
        } else {
            match self.lanes.next(Lane::Major).await? {
                Next::Trimmed => return Err(End::Close(CloseReason::Renew)),
                Next::Nothing => {}
                Next::More => return Ok(true),
                Next::Row(row) => {
                    self.deliver(row).await?;
                    return Ok(true);
                }
            }
        }
        Ok(self.show(Lane::Major).await? || self.step_minor().await? || self.show(Lane::Minor).await?)
    }

    /// Sends the next state of a lane that is not on disk; whether there was one. It has no place that could be
    /// acknowledged, so it takes no credit: what is held is bounded, and each is sent once.
    async fn show(&mut self, lane: Lane) -> Result<bool, End> {
        let after = self.volatile[lane.index()];
        if self.bus.hub.volatile.next(lane, after, &self.filter).is_none() {
            return Ok(false);
        }
        let permit = self.reserve().await?;
        // It may have been committed meanwhile.
        let next = self.bus.hub.volatile.next(lane, after, &self.filter);
        if let Some((place, row)) = next {
            self.volatile[lane.index()] = place;
            permit.send(Out::Volatile(row));
        }
        Ok(true)
    }

    async fn step_minor(&mut self) -> Result<bool, End> {
        if self.minor_rests().is_some() {
            return Ok(false);
        }
        let free = self.free(Lane::Minor);
        if free == 0 {
            self.lanes.forget(Lane::Minor);
            return Ok(false);
        }
        match self.lanes.next(Lane::Minor).await? {
            Next::Trimmed => Err(End::Close(CloseReason::Renew)),
            Next::Nothing => Ok(false),
            Next::More => Ok(true),
            Next::Row(_) if self.lanes.minor_is_behind(free) => {
                let Some(counted) = self.lanes.count_minor().await? else {
                    return Err(End::Close(CloseReason::Renew));
                };
                self.summarise(counted).await?;
                self.minor_sent();
                Ok(true)
            }
            Next::Row(row) => {
                self.deliver(row).await?;
                self.minor_sent();
                Ok(true)
            }
        }
    }

    fn free(&self, lane: Lane) -> usize {
        self.open.credits().free(lane)
    }

    async fn deliver(&mut self, row: Arc<crate::store::FeedRow>) -> Result<(), End> {
        // A place is given up only once its item is on its way: whatever ends the stream here, the cursor it
        // closes with is one that leads back to this row.
        let lane = row.lane;
        let permit = self.reserve().await?;
        self.lanes.pass(lane);
        let cursor = self.lanes.cursor();
        let mut credits = self.open.credits();
        credits.take(lane, row.seq);
        credits.hand(cursor);
        drop(credits);
        permit.send(Out::Row { row, cursor: cursor.encode().into(), in_snapshot: false });
        Ok(())
    }

    async fn summarise(&mut self, counted: Counted) -> Result<(), End> {
        let mut kinds = BTreeMap::new();
        for (_, kind) in &counted.alerts {
            *kinds.entry(*kind).or_insert(0) += 1;
        }
        if counted.alerts.is_empty() {
            // All of them moved to a more urgent lane in between.
            self.lanes.minor_done(counted.upto);
            return Ok(());
        }
        let permit = self.reserve().await?;
        self.lanes.minor_done(counted.upto);
        let cursor = self.lanes.cursor();
        let summary = v1::Summary {
            counts: kinds.into_iter().map(|(kind, count)| v1::KindCount { kind, count }).collect(),
            alert_ids: counted.alerts.iter().map(|(id, _)| id.to_string()).collect(),
            cursor: cursor.encode().into(),
        };
        let mut credits = self.open.credits();
        credits.take(Lane::Minor, counted.upto);
        credits.hand(cursor);
        drop(credits);
        BusCounts::add(&self.bus.counts.summarised, counted.alerts.len() as u64);
        permit.send(Out::Item(Item::Summary(summary)));
        Ok(())
    }

    /// Tells how far everything is done. Where the connection takes nothing, this waits for the next time.
    fn bookmark(&mut self) -> Result<(), End> {
        let cursor = self.lanes.cursor();
        let at_unix_us = self.bus.clock.wall().0;
        let bookmark = v1::Bookmark { cursor: cursor.encode().into(), at_unix_us };
        // Handed before it is sent: an acknowledgement may come at once.
        self.open.credits().hand(cursor);
        match self.out.try_send(Out::Item(Item::Bookmark(bookmark))) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(End::Gone),
            _ => Ok(()),
        }
    }

    /// A bookmark without a place, inside a snapshot: there is none yet that leads back to what is not told.
    fn sign_of_life(&mut self) -> Result<(), End> {
        let bookmark = v1::Bookmark { cursor: bytes::Bytes::new(), at_unix_us: self.bus.clock.wall().0 };
        match self.out.try_send(Out::Item(Item::Bookmark(bookmark))) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(End::Gone),
            _ => Ok(()),
        }
    }

    /// Waits for the store and says meanwhile that the stream is alive.
    async fn alive_until<T>(&mut self, answer: crate::store::Answer<T>) -> Result<T, End> {
        let mut answer = answer;
        let mut closing = self.closing.clone();
        loop {
            self.ask_to_close()?;
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer?),
                _ = closing.changed() => {}
                _ = self.bookmarks.tick() => self.sign_of_life()?,
            }
        }
    }

    async fn tell(&mut self, gap: v1::Gap) -> Result<(), End> {
        BusCounts::add(&self.bus.counts.gaps, 1);
        self.send(Item::Gap(gap)).await
    }

    /// All firing alerts as they were at one place of the feed, then on from there. Alerts that change later are left
    /// out: their change comes by its lane.
    async fn snapshot(&mut self, place: Cursor) -> Result<(), End> {
        let at = place.positions.into_iter().max().unwrap_or(0);
        self.begin_at(place, true);
        self.send(Item::Snapshot(v1::SnapshotMark { begin: true, cursor: bytes::Bytes::new() })).await?;
        let mut after: Option<SnapshotKey> = None;
        loop {
            self.ask_to_close()?;
            let page = self.bus.store.snapshot_page(Arc::clone(&self.filter), at, after, SNAPSHOT_PAGE);
            let mut page = self.alive_until(page).await?;
            let last = page.len() < SNAPSHOT_PAGE;
            let done = !keep_within_page(&mut page) && last;
            after = page.last().map(|row| (row.lane, row.seq));
            for row in page {
                if row.seq > place.position(row.lane) {
                    continue;
                }
                let out = Out::Row { row, cursor: bytes::Bytes::new(), in_snapshot: true };
                self.reserve().await?.send(out);
                if self.bookmarks.tick().now_or_never().is_some() {
                    self.sign_of_life()?;
                }
            }
            // Critical records do not wait for the end of a long snapshot.
            loop {
                match self.lanes.next(Lane::Critical).await? {
                    Next::Row(row) => {
                        let permit = self.reserve().await?;
                        self.lanes.pass(Lane::Critical);
                        permit.send(Out::Row { row, cursor: bytes::Bytes::new(), in_snapshot: true });
                    }
                    Next::More => self.ask_to_close()?,
                    Next::Nothing | Next::Trimmed => break,
                }
            }
            if done {
                break;
            }
        }
        let cursor = self.lanes.cursor();
        let permit = self.reserve().await?;
        self.open.credits().restart(cursor);
        self.resumable = true;
        let mark = v1::SnapshotMark { begin: false, cursor: cursor.encode().into() };
        permit.send(Out::Item(Item::Snapshot(mark)));
        Ok(())
    }

    async fn send(&mut self, item: Item) -> Result<(), End> {
        self.reserve().await?.send(Out::Item(item));
        Ok(())
    }

    /// Waits until the connection has room for one item. Since when it has had none is what counts, not how old
    /// the oldest waiting item is; and where a critical record waits behind it, how long that one has waited.
    async fn reserve(&mut self) -> Result<mpsc::OwnedPermit<Out>, End> {
        match self.out.clone().try_reserve_owned() {
            Ok(permit) => return Ok(permit),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(End::Gone),
            Err(mpsc::error::TrySendError::Full(_)) => {}
        }
        let began = self.bus.clock.mono();
        let mut critical_since = None;
        let mut closing = self.closing.clone();
        loop {
            self.ask_to_close()?;
            if critical_since.is_none() && self.placed {
                let waits = matches!(self.lanes.next(Lane::Critical).await?, Next::Row(_));
                critical_since = waits.then(|| self.bus.clock.mono());
            }
            tokio::select! {
                biased;
                permit = self.out.clone().reserve_owned() => return permit.map_err(|_| End::Gone),
                _ = closing.changed() => {}
                () = sleep(STUCK_TICK) => {}
            }
            let now = self.bus.clock.mono();
            let stuck = |since: Mono, bound| now.since(since) > bound;
            if stuck(began, self.bus.options.transport_stall)
                || critical_since.is_some_and(|since| stuck(since, self.bus.options.critical_stall))
            {
                return Err(End::Close(CloseReason::CriticalStalled));
            }
        }
    }
}
