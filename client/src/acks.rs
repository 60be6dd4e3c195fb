//! What was shown and is not acknowledged yet. Sent in the background of [`Watcher::next`](crate::Watcher::next), so
//! that no answer that stays away holds up an alert.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;
use xueliang_base::kind::Lane;
use xueliang_proto::v1::{self, alert_service_client::AlertServiceClient};

use super::Connection;

/// Acknowledgements go out at most this often, unless half of a lane's credit is used up.
pub const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(100);
/// One that failed is sent again no sooner, unless there is something new.
const AGAIN: Duration = Duration::from_secs(1);
/// An answer that has not come by then does not come.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

type Client = AlertServiceClient<Connection>;
type Answer = Result<Option<v1::Credit>, Status>;

struct Flight {
    answer: BoxFuture<'static, Answer>,
    cursor: Bytes,
}

/// The account of what was shown.
#[derive(Default)]
pub(crate) struct Acks {
    /// Name of the open stream; empty while there is none.
    subscription_id: String,
    /// Credit granted, and deliveries shown since the last acknowledgement, by lane.
    credit: [u32; 3],
    used: [u32; 3],
    /// Shown, and not acknowledged.
    owed: Option<Bytes>,
    not_before: Option<Instant>,
    flight: Option<Flight>,
}

impl Acks {
    /// A stream begins.
    pub(crate) fn opened(&mut self, opened: &v1::Opened) {
        self.closed();
        self.subscription_id.clone_from(&opened.subscription_id);
        let credit = opened.credit.unwrap_or_default();
        self.credit = [credit.critical, credit.major, credit.minor];
    }
    /// The stream is over. What is owed is acknowledged on the next one.
    pub(crate) fn closed(&mut self) {
        self.subscription_id.clear();
        self.used = [0; 3];
        self.not_before = None;
        if let Some(flight) = self.flight.take() {
            self.owed.get_or_insert(flight.cursor);
        }
    }
    /// What was shown is of a feed that the service no longer keeps.
    pub(crate) fn forget(&mut self) {
        self.owed = None;
        self.flight = None;
    }
    /// Everything up to a place was shown; `lane` where it was a delivery.
    pub(crate) fn shown(&mut self, cursor: &Bytes, lane: Option<Lane>) {
        if let Some(lane) = lane {
            self.used[lane.index()] += 1;
        }
        self.owed = Some(cursor.clone());
    }
    /// When the next one is to be sent; `None` while nothing is owed or nobody there.
    fn due(&self) -> Option<Instant> {
        if self.owed.is_none() || self.subscription_id.is_empty() {
            return None;
        }
        let pressing = self.used.iter().zip(self.credit).any(|(used, credit)| *used * 2 >= credit.max(1));
        let now = Instant::now();
        Some(if pressing { now } else { self.not_before.unwrap_or(now) })
    }
    fn send(&mut self, client: &Client) {
        let Some(cursor) = self.owed.take() else { return };
        let mut client = client.clone();
        let request = v1::AcknowledgeRequest {
            subscription_id: self.subscription_id.clone(),
            cursor: cursor.clone(),
            stage: v1::DeliveryStage::Displayed.into(),
        };
        let answer = Box::pin(async move {
            let late = |_| Status::deadline_exceeded("the acknowledgement was not answered");
            let answer = timeout(ANSWER_WITHIN, client.acknowledge(request)).await.map_err(late)??;
            Ok(answer.into_inner().available)
        });
        self.used = [0; 3];
        self.not_before = Some(Instant::now() + ACKNOWLEDGE_EVERY);
        self.flight = Some(Flight { answer, cursor });
    }
    /// Waits for the answer of the one under way, if there is one.
    async fn landed(&mut self) -> Answer {
        let Some(flight) = &mut self.flight else { return Ok(None) };
        let answer = (&mut flight.answer).await;
        let cursor = std::mem::take(&mut flight.cursor);
        self.flight = None;
        if answer.is_err() {
            self.owed.get_or_insert(cursor);
            self.not_before = Some(Instant::now() + AGAIN);
        }
        answer
    }
    /// Sends what is owed when it is due, for ever. Cancel-safe.
    pub(crate) async fn work(&mut self, client: &Client) -> Infallible {
        loop {
            // A failed one is sent again with the next, or on the next stream.
            let _answer = self.landed().await;
            match self.due() {
                Some(at) => {
                    // A timer takes a turn of the runtime even when it is over, and items may not leave it one.
                    if at > Instant::now() {
                        sleep_until(at).await;
                    }
                    self.send(client);
                }
                None => std::future::pending().await,
            }
        }
    }
    /// Sends what is owed now and waits for the answer: the credit left, `None` where nothing was owed.
    pub(crate) async fn flush(&mut self, client: &Client) -> Answer {
        let under_way = self.landed().await;
        if self.due().is_none() {
            return under_way;
        }
        self.send(client);
        self.landed().await
    }
}
