//! A console's side: subscribe, go on after losing the connection, acknowledge what was shown.
//!
//! A [`Watcher`] is driven by [`Watcher::next`], which may be dropped at any time and called again. It resumes
//! from the last item it gave, leaves out what it gave before, and says when what is shown may be out of date. Streams
//! that the bus renews go on without a word.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};
use xueliang_base::{backoff::Backoff, kind::Lane, wire::lane_of};
use xueliang_proto::v1::{self, alert_service_client::AlertServiceClient, subscribe_response::Item};

use crate::error::{Error, Result};

/// A console without a bookmark for this long shows itself stale.
pub const STALE_AFTER: Duration = Duration::from_secs(3);
/// Acknowledgements go out at most this often, unless half of a lane's credit is used up.
pub const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(100);
/// A thousand consoles that lose the bus at one moment come back over this long; nobody sees that in a picture that
/// counts as fresh for 3 s.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A service that refuses for good is asked again this seldom.
const REFUSED_WAIT: Duration = Duration::from_secs(10);
/// Alerts whose latest shown revision is remembered, to leave out what comes twice.
const REMEMBERED: usize = 8192;

/// An endpoint as consoles need it, from what people write: `http://127.0.0.1:8750`, or `unix:/path/of/socket`. Small
/// windows, so that the bus notices who does not read, and keep-alive, so that the console notices a dead bus.
pub fn address(text: &str) -> Result<Endpoint> {
    let endpoint = Endpoint::from_shared(text.to_owned());
    endpoint.map(tuned).map_err(|error| {
        Error::Invalid(format!("{text:?} is no address ({error}): write http://ADDRESS:PORT or unix:/PATH"))
    })
}

fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .initial_stream_window_size(Some(65_535))
        .initial_connection_window_size(Some(131_070))
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
}

/// What a console learns.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is alive at a time")]
pub enum Event {
    /// An item. After it was shown, call [`Watcher::shown`].
    Item(Item),
    /// The connection is gone; it is tried again after the wait.
    Lost {
        /// Why.
        reason: String,
        /// Until the next try.
        wait: Duration,
    },
    /// No bookmark for [`STALE_AFTER`]: what is shown may be out of date.
    Stale,
}

/// A subscription that goes on.
pub struct Watcher {
    client: AlertServiceClient<Channel>,
    request: v1::SubscribeRequest,
    stream: Option<Streaming<v1::SubscribeResponse>>,
    subscription_id: String,
    /// Place after the last item taken.
    cursor: Bytes,
    shown: HashMap<String, u64>,
    order: VecDeque<String>,
    backoff: Backoff,
    retry_at: Option<Instant>,
    refused: Option<Status>,
    /// Credit granted, and deliveries given since the last acknowledgement, by lane.
    credit: [u32; 3],
    used: [u32; 3],
    /// The bus closed the stream to have it opened again.
    renewing: bool,
    /// This stream got as far as a bookmark.
    worth: bool,
    /// The latest cursor is not acknowledged yet.
    owing: bool,
    acknowledged_at: Option<Instant>,
    fresh_until: Instant,
    stale: bool,
}

impl Watcher {
    /// A watcher; it connects with the first [`Watcher::next`]. `seed` spreads the back-off of consoles that lose
    /// the bus together.
    pub fn new(channel: Channel, request: v1::SubscribeRequest, seed: u64) -> Self {
        Self {
            client: AlertServiceClient::new(channel),
            cursor: request.cursor.clone(),
            request,
            stream: None,
            subscription_id: String::new(),
            shown: HashMap::new(),
            order: VecDeque::new(),
            backoff: Backoff::spread(FIRST_WAIT, Duration::from_secs(10), seed),
            retry_at: None,
            refused: None,
            credit: [0; 3],
            used: [0; 3],
            renewing: false,
            worth: false,
            owing: false,
            acknowledged_at: None,
            fresh_until: Instant::now() + STALE_AFTER,
            stale: false,
        }
    }
    /// Where to go on after a restart of the console: after the last item given.
    pub fn cursor(&self) -> &Bytes {
        &self.cursor
    }
    /// Whether what is shown may be out of date: said by [`Event::Stale`], over with the next bookmark.
    pub fn is_stale(&self) -> bool {
        self.stale
    }
    /// Why the service refuses this subscription until something is changed: its name is used by another console,
    /// the cursor or filter is wrong, a right is missing. To be asked after [`Event::Lost`]. Trying goes on, seldom.
    pub fn refused(&self) -> Option<&Status> {
        self.refused.as_ref()
    }
    /// Wants other alerts from now on. What the old filter did not show comes as a snapshot after a gap that says so;
    /// nothing else is missed, and nothing of what is no longer wanted comes.
    pub fn set_filter(&mut self, filter: v1::AlertFilter) {
        self.request.filter = Some(filter);
        self.stream = None;
        // What this stream delivered can no longer be acknowledged: it is told again where it is still wanted.
        self.owing = false;
        self.refused = None;
        self.retry_at = None;
    }
    /// The next thing to know. Records that were given before are left out. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        loop {
            let Ok(taken) = timeout_at(self.deadline(), self.take()).await else {
                self.stale = true;
                return Event::Stale;
            };
            match taken {
                Ok(Some(item)) => {
                    if let Some(item) = self.note(item) {
                        return Event::Item(item);
                    }
                }
                // Nothing was missed and nobody need know: go on at once.
                Ok(None) if self.renewing => self.stream = None,
                Ok(None) => return self.lost("the bus ended the stream".to_owned()),
                Err(status) => {
                    let reason = format!("{:?}: {}", status.code(), status.message());
                    if for_good(status.code()) {
                        self.refused = Some(status);
                    }
                    return self.lost(reason);
                }
            }
        }
    }
    /// When to call the picture stale; once said, there is nothing to hurry for.
    fn deadline(&self) -> Instant {
        if self.stale { Instant::now() + Duration::from_secs(3600) } else { self.fresh_until }
    }
    fn lost(&mut self, reason: String) -> Event {
        self.stream = None;
        self.renewing = false;
        let wait = self.backoff.next_wait();
        let wait = if self.refused.is_some() { REFUSED_WAIT } else { wait };
        self.retry_at = Some(Instant::now() + wait);
        Event::Lost { reason, wait }
    }
    async fn take(&mut self) -> Result<Option<Item>, Status> {
        if let Some(at) = self.retry_at {
            sleep_until(at).await;
            self.retry_at = None;
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let request = v1::SubscribeRequest { cursor: self.cursor.clone(), ..self.request.clone() };
                none.insert(self.client.subscribe(request).await?.into_inner())
            }
        };
        Ok(stream.message().await?.and_then(|response| response.item))
    }
    /// Remembers places and revisions; `None` for a record that was given before.
    fn note(&mut self, item: Item) -> Option<Item> {
        match &item {
            Item::Opened(opened) => {
                self.subscription_id.clone_from(&opened.subscription_id);
                let credit = opened.credit.unwrap_or_default();
                self.credit = [credit.critical, credit.major, credit.minor];
                self.used = [0; 3];
                self.refused = None;
                self.worth = false;
                if std::mem::take(&mut self.renewing) {
                    return None;
                }
            }
            Item::Delivery(delivery) => {
                if !delivery.cursor.is_empty() {
                    self.reach(&delivery.cursor);
                    if let Ok(lane) = lane_of(delivery.lane) {
                        self.used[lane.index()] += 1;
                    }
                }
                if !delivery.volatile && self.seen(delivery) {
                    return None;
                }
            }
            Item::Snapshot(mark) if !mark.begin => {
                self.reach(&mark.cursor);
                self.freshen();
            }
            Item::Bookmark(bookmark) => {
                self.reach(&bookmark.cursor);
                self.freshen();
            }
            Item::Summary(summary) => {
                self.reach(&summary.cursor);
                self.used[Lane::Minor.index()] += 1;
            }
            Item::Closed(closed) => {
                self.reach(&closed.cursor);
                // A stream that was worth nothing is no renewal: its bus is in trouble, and is left alone for a while.
                let comes_back =
                    matches!(closed.reason(), v1::CloseReason::Renew | v1::CloseReason::RightsChanged);
                if comes_back && self.worth {
                    self.renewing = true;
                    return None;
                }
                if closed.reason() == v1::CloseReason::Replaced {
                    let taken = "another console has opened a subscription of this name: give each its own";
                    self.refused = Some(Status::aborted(taken));
                }
            }
            // The place is good, whatever is told before what comes after it.
            Item::Gap(gap) if gap.reason() == v1::GapReason::FilterChanged => {
                self.owing = false;
                self.forget();
            }
            // A place that was told to be gone leads nowhere; the snapshot's end is the next one.
            Item::Gap(_) => {
                self.cursor.clear();
                self.forget();
            }
            // What follows stands for itself, also where the stream with the gap before it was lost.
            Item::Snapshot(_) => self.forget(),
        }
        Some(item)
    }
    fn reach(&mut self, cursor: &Bytes) {
        if !cursor.is_empty() {
            self.owing |= *cursor != self.cursor;
            self.cursor.clone_from(cursor);
        }
    }
    /// After a restore revisions count from an earlier one, with other content: what was shown says nothing about
    /// them.
    fn forget(&mut self) {
        self.shown.clear();
        self.order.clear();
    }
    fn freshen(&mut self) {
        self.fresh_until = Instant::now() + STALE_AFTER;
        self.stale = false;
        // A stream that got so far was worth its connection.
        self.worth = true;
        self.backoff.reset();
    }
    fn seen(&mut self, delivery: &v1::Delivery) -> bool {
        let Some(alert) = delivery.record.as_ref().and_then(|record| record.alert.as_ref()) else {
            return false;
        };
        if let Some(revision) = self.shown.get_mut(&alert.alert_id) {
            let seen = *revision >= alert.revision;
            *revision = (*revision).max(alert.revision);
            // A snapshot is told in full, so that a console can tell what is no longer active.
            return seen && !delivery.in_snapshot;
        }
        self.shown.insert(alert.alert_id.clone(), alert.revision);
        self.order.push_back(alert.alert_id.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.shown.remove(&oldest);
        }
        false
    }
    /// To be called after an item was shown; cheap, call it for each. Acknowledges everything given so far, but at
    /// most every [`ACKNOWLEDGE_EVERY`] unless half of a lane's credit is used up; bookmarks see to it that the
    /// last one is not forgotten. Returns the credit left, `None` where nothing was sent. An error is no reason to
    /// stop: credit comes back with the next acknowledgement, or with the next stream.
    pub async fn shown(&mut self) -> Result<Option<v1::Credit>, Status> {
        let pressing = self.used.iter().zip(self.credit).any(|(used, credit)| *used * 2 >= credit.max(1));
        let lately = self.acknowledged_at.is_some_and(|at| at.elapsed() < ACKNOWLEDGE_EVERY);
        if lately && !pressing { Ok(None) } else { self.acknowledge().await }
    }
    /// Acknowledges everything given so far, now: before leaving, say.
    pub async fn acknowledge(&mut self) -> Result<Option<v1::Credit>, Status> {
        if !self.owing || self.cursor.is_empty() || self.stream.is_none() {
            return Ok(None);
        }
        self.acknowledged_at = Some(Instant::now());
        let request = v1::AcknowledgeRequest {
            subscription_id: self.subscription_id.clone(),
            cursor: self.cursor.clone(),
            stage: v1::DeliveryStage::Displayed.into(),
        };
        let answer = self.client.acknowledge(request).await?;
        self.owing = false;
        self.used = [0; 3];
        Ok(answer.into_inner().available)
    }
}

/// Whether the same request will be refused again.
fn for_good(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
    )
}

#[cfg(test)]
mod tests;
