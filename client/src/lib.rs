//! A console's side of the alert bus: subscribe, go on after losing the connection, acknowledge what was shown.
//!
//! A [`Watcher`] is driven by [`Watcher::next`], which may be dropped at any time and called again. It resumes after
//! the last item it gave, leaves out what it gave before by alert and revision, says when what is shown may be out of
//! date ([`Event::Stale`]), and tells of everything that a console must not overlook: gaps, volatile deliveries, ends
//! of the stream. Streams that the bus renews go on without a word.
//!
//! What a console has shown it says by [`Watcher::shown`]; only that is acknowledged, in the background and with few
//! calls. A console that must go on where it was after a restart of its own either names its subscription (the bus
//! keeps the acknowledged place) or stores [`Watcher::cursor`] and begins with it.
//!
//! ```no_run
//! use xueliang_client::{Access, Event, Item, Watcher, v1};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let town = Access::to("https://town.example:8750").trusting(std::fs::read("town-ca.pem")?);
//!     let connection = town.bearing(&std::fs::read_to_string("wall-1.key")?)?.connect()?;
//!     let subscription = "wall-1".to_owned();
//!     let request = v1::SubscribeRequest { subscription, ..v1::SubscribeRequest::default() };
//!     let mut watcher = Watcher::new(connection, request, u64::from(std::process::id()));
//!     loop {
//!         let event = watcher.next().await;
//!         match &event {
//!             Event::Item(Item::Delivery(delivery)) => println!("{:?}", delivery.record),
//!             Event::Item(Item::Gap(gap)) => println!("missed: {gap:?}; a snapshot follows"),
//!             Event::Item(_) => {}
//!             Event::Stale => println!("nothing was heard for 3 s"),
//!             Event::Lost { reason, .. } => println!("waiting for the service: {reason}"),
//!         }
//!         watcher.shown(&event);
//!     }
//! }
//! ```

mod access;
mod acks;
mod address;
mod link;
mod memory;
mod trouble;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tonic::Code;
/// What a call came to: its answer, or why it came to nothing.
pub use tonic::{Response, Status};
use xueliang_base::{backoff::Backoff, kind::Lane, wire::lane_of};
use xueliang_proto::v1::alert_service_client::AlertServiceClient;
pub use xueliang_proto::v1::{self, subscribe_response::Item};

pub use self::{
    access::{Access, AccessError, Connection},
    acks::ACKNOWLEDGE_EVERY,
    address::{AddressError, address},
    trouble::Trouble,
};
use self::{acks::Acks, link::Link, memory::Memory};

/// A console without a bookmark for this long shows itself stale.
pub const STALE_AFTER: Duration = Duration::from_secs(3);
/// A thousand consoles that lose the bus at one moment come back over this long; nobody sees that in a picture that
/// counts as fresh for 3 s.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two tries, while the service is away.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A service that refuses for good is asked again this seldom.
pub const REFUSED_WAIT: Duration = Duration::from_secs(10);
/// Alerts whose latest revision is remembered, to leave out what comes twice.
pub const REMEMBERED: usize = 8192;

/// What a console learns.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is alive at a time")]
pub enum Event {
    /// An item of the stream: a delivery (`volatile` where it is not on disk, and comes again when it is), a gap, marks
    /// of a snapshot, a bookmark, a summary, or that the stream was opened or closed.
    Item(Item),
    /// The connection is gone; it is tried again after the wait.
    Lost {
        /// Why.
        reason: String,
        /// Until the next try.
        wait: Duration,
    },
    /// No bookmark for [`STALE_AFTER`]: what is shown may be out of date, until [`Watcher::is_stale`] says otherwise.
    Stale,
}

impl Event {
    /// Resume here to go on after it; empty where it has no place of its own.
    fn cursor(&self) -> Bytes {
        let Event::Item(item) = self else { return Bytes::new() };
        match item {
            Item::Delivery(delivery) => delivery.cursor.clone(),
            Item::Snapshot(mark) => mark.cursor.clone(),
            Item::Bookmark(bookmark) => bookmark.cursor.clone(),
            Item::Summary(summary) => summary.cursor.clone(),
            // Its cursor is that of what was sent before it, whether that was shown or not.
            Item::Closed(_) | Item::Opened(_) | Item::Gap(_) => Bytes::new(),
        }
    }
    /// The lane whose credit it used.
    fn lane(&self) -> Option<Lane> {
        match self {
            Event::Item(Item::Delivery(delivery)) => lane_of(delivery.lane).ok(),
            Event::Item(Item::Summary(_)) => Some(Lane::Minor),
            _ => None,
        }
    }
}

/// A subscription that goes on.
pub struct Watcher {
    client: AlertServiceClient<Connection>,
    request: v1::SubscribeRequest,
    link: Link,
    acks: Acks,
    memory: Memory,
    /// Place after the last item taken.
    taken: Bytes,
    /// Place after the last item shown.
    shown: Bytes,
    backoff: Backoff,
    refused: Option<Status>,
    trouble: Option<Trouble>,
    /// There was a stream.
    was_open: bool,
    /// The bus closed the stream to have it opened again.
    renewing: bool,
    /// This stream got as far as a bookmark.
    worth: bool,
    fresh_until: Instant,
    stale: bool,
}

impl Watcher {
    /// A watcher; it connects with the first [`Watcher::next`]. `seed` spreads the back-off of consoles that lose
    /// the bus together. `request.cursor` is where to begin: one that was stored, or none.
    pub fn new(connection: impl Into<Connection>, request: v1::SubscribeRequest, seed: u64) -> Self {
        Self {
            client: AlertServiceClient::new(connection.into()),
            taken: request.cursor.clone(),
            shown: request.cursor.clone(),
            request,
            link: Link::Down,
            acks: Acks::default(),
            memory: Memory::new(REMEMBERED),
            backoff: Backoff::spread(FIRST_WAIT, LONGEST_WAIT, seed),
            refused: None,
            trouble: None,
            was_open: false,
            renewing: false,
            worth: false,
            fresh_until: Instant::now() + STALE_AFTER,
            stale: false,
        }
    }
    /// Where to go on after a restart of the console: after the last item that was shown. Empty until there is one, and
    /// from a gap to the end of its snapshot: then begin with none.
    pub fn cursor(&self) -> &Bytes {
        &self.shown
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
    /// Why there is no stream, as far as it can be told; `None` while there is one. To be asked after [`Event::Lost`].
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }
    /// Wants other alerts from now on. What the old filter did not show comes as a snapshot after a gap that says so;
    /// nothing else is missed, and nothing of what is no longer wanted comes.
    pub fn set_filter(&mut self, filter: v1::AlertFilter) {
        self.request.filter = Some(filter);
        // What this stream delivered can no longer be acknowledged: it is told again where it is still wanted.
        self.acks.closed();
        self.acks.forget();
        self.link = Link::Down;
        self.refused = None;
        self.renewing = false;
    }
    /// The next thing to know. Records that were given before are left out. Cancel-safe; acknowledgements are sent
    /// while this is waited for.
    pub async fn next(&mut self) -> Event {
        loop {
            let (request, place) = (&self.request, &self.taken);
            let request = || v1::SubscribeRequest { cursor: place.clone(), ..request.clone() };
            let taken = tokio::select! {
                biased;
                never = self.acks.work(&self.client) => match never {},
                () = sleep_until(self.fresh_until), if !self.stale => {
                    self.stale = true;
                    return Event::Stale;
                }
                taken = self.link.next(&self.client, request) => taken,
            };
            match taken {
                Ok(Some(item)) => {
                    if let Some(item) = self.note(item) {
                        return Event::Item(item);
                    }
                }
                // Nothing was missed and nobody need know: go on at once.
                Ok(None) if self.renewing => {
                    self.acks.closed();
                    self.link = Link::Down;
                }
                Ok(None) => return self.lost("the bus ended the stream".to_owned()),
                Err(status) => {
                    let reason = format!("{:?}: {}", status.code(), status.message());
                    let trouble = Trouble::of(&status);
                    self.trouble = Some(if self.was_open { trouble.once_open() } else { trouble });
                    if for_good(status.code()) {
                        self.refused = Some(status);
                    }
                    return self.lost(reason);
                }
            }
        }
    }
    fn lost(&mut self, reason: String) -> Event {
        self.acks.closed();
        self.renewing = false;
        let wait = self.backoff.next_wait();
        let wait = if self.refused.is_some() { REFUSED_WAIT } else { wait };
        self.link = Link::Waiting(Instant::now() + wait);
        Event::Lost { reason, wait }
    }
    /// Remembers places and revisions; `None` for a record that was given before.
    fn note(&mut self, item: Item) -> Option<Item> {
        match &item {
            Item::Opened(opened) => {
                self.acks.opened(opened);
                (self.refused, self.trouble) = (None, None);
                self.was_open = true;
                self.worth = false;
                if std::mem::take(&mut self.renewing) {
                    return None;
                }
            }
            Item::Delivery(delivery) => {
                self.reach(&delivery.cursor);
                // The credit of what is left out comes back with the next place that is shown, a bookmark at the latest.
                if self.repeats(delivery) {
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
            Item::Summary(summary) => self.reach(&summary.cursor),
            Item::Closed(closed) => {
                self.reach(&closed.cursor);
                self.acks.closed();
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
            Item::Gap(gap) if gap.reason() == v1::GapReason::FilterChanged => self.forget(),
            // A place that was told to be gone leads nowhere; the snapshot's end is the next one.
            Item::Gap(_) => {
                self.taken.clear();
                self.forget();
            }
            // What follows stands for itself, also where the stream with the gap before it was lost.
            Item::Snapshot(_) => self.forget(),
        }
        Some(item)
    }
    fn reach(&mut self, cursor: &Bytes) {
        if !cursor.is_empty() {
            self.taken.clone_from(cursor);
        }
    }
    /// After a restore revisions count from an earlier one, with other content: what was given says nothing about
    /// them, and its places are no longer known.
    fn forget(&mut self) {
        self.memory.clear();
        self.acks.forget();
    }
    fn freshen(&mut self) {
        self.fresh_until = Instant::now() + STALE_AFTER;
        self.stale = false;
        // A stream that got so far was worth its connection.
        self.worth = true;
        self.backoff.reset();
    }
    fn repeats(&mut self, delivery: &v1::Delivery) -> bool {
        let Some(alert) = delivery.record.as_ref().and_then(|record| record.alert.as_ref()) else {
            return false;
        };
        let repeats = self.memory.repeats(&alert.alert_id, alert.revision, delivery.volatile);
        // A snapshot is told in full, so that a console can tell what is no longer active.
        repeats && !delivery.in_snapshot
    }
    /// To be called once an event was shown, in the order in which events were given; cheap, call it for each, those
    /// with nothing to show too. It is acknowledged with the next call of [`Watcher::next`], at most every
    /// [`ACKNOWLEDGE_EVERY`] unless half of a lane's credit is used up.
    pub fn shown(&mut self, event: &Event) {
        if let Event::Item(Item::Gap(gap)) = event
            && gap.reason() != v1::GapReason::FilterChanged
        {
            self.shown.clear();
        }
        let cursor = event.cursor();
        if !cursor.is_empty() {
            self.acks.shown(&cursor, event.lane());
            self.shown = cursor;
        }
    }
    /// Acknowledges what was shown, now, and waits for the answer: before leaving, say. Returns the credit left, `None`
    /// where nothing was owed or no stream is open. An error is no reason to stop: it is tried again.
    pub async fn acknowledge(&mut self) -> Result<Option<v1::Credit>, Status> {
        self.acks.flush(&self.client).await
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
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bus_that_says_nothing_is_stale_once_its_time_is_over() {
        // Takes connections, and nobody answers on them.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!("http://{}", listener.local_addr().unwrap());
        let channel = address(&text).unwrap().connect_lazy();
        let mut watcher = Watcher::new(channel, v1::SubscribeRequest::default(), 1);
        assert!(!watcher.is_stale() && watcher.fresh_until > Instant::now() + STALE_AFTER / 2);
        watcher.fresh_until = Instant::now();
        assert!(matches!(watcher.next().await, Event::Stale));
        assert!(watcher.is_stale());
    }

    #[tokio::test]
    async fn a_service_that_closes_at_once_may_want_tls_and_one_that_had_answered_has_gone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        let channel = address(&text).unwrap().connect_lazy();
        let mut watcher = Watcher::new(channel, v1::SubscribeRequest::default(), 1);
        let trouble = async |watcher: &mut Watcher| {
            while !matches!(watcher.next().await, Event::Lost { .. }) {}
            watcher.trouble()
        };
        assert_eq!(trouble(&mut watcher).await, Some(Trouble::WantsTls));
        watcher.note(Item::Opened(v1::Opened::default()));
        assert_eq!(watcher.trouble(), None);
        assert_eq!(trouble(&mut watcher).await, Some(Trouble::Other));
    }
}
