//! One stream after the other. Whatever is under way is kept here and not in the future that waits for it: whoever
//! waits may give up at any time and wait again.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};
use xueliang_proto::v1::{self, alert_service_client::AlertServiceClient, subscribe_response::Item};

use super::Connection;

/// A service that has not answered by then is tried again. Counting what a console missed may take some seconds.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

type Items = Streaming<v1::SubscribeResponse>;

/// The way to the service.
#[expect(clippy::large_enum_variant, reason = "one is alive at a time")]
pub(crate) enum Link {
    Down,
    Waiting(Instant),
    Opening(BoxFuture<'static, Result<Items, Status>>),
    Open(Items),
}

impl Link {
    /// The next item of the stream, `None` at its end; opens one with `request` where there is none. After an error
    /// or an end the link must be set down or to waiting. Cancel-safe.
    pub(crate) async fn next(
        &mut self,
        client: &AlertServiceClient<Connection>,
        request: impl Fn() -> v1::SubscribeRequest,
    ) -> Result<Option<Item>, Status> {
        loop {
            match self {
                Link::Down => *self = Link::Opening(open(client.clone(), request())),
                Link::Waiting(until) => {
                    sleep_until(*until).await;
                    *self = Link::Down;
                }
                Link::Opening(opening) => *self = Link::Open(opening.await?),
                Link::Open(items) => return Ok(items.message().await?.and_then(|response| response.item)),
            }
        }
    }
}

fn open(
    mut client: AlertServiceClient<Connection>,
    request: v1::SubscribeRequest,
) -> BoxFuture<'static, Result<Items, Status>> {
    Box::pin(async move {
        let opened = timeout(OPEN_WITHIN, client.subscribe(request)).await;
        let late = |_| Status::deadline_exceeded(format!("no answer within {} s", OPEN_WITHIN.as_secs()));
        Ok(opened.map_err(late)??.into_inner())
    })
}
