//! At a service that does what a test says, where a bus would do so seldom.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use xueliang_client::{ACKNOWLEDGE_EVERY, Event, Item, v1};
use xueliang_proto::v1::alert_service_server::{AlertService, AlertServiceServer};

use super::{Desk, PATIENCE, key, listen, named};

/// What the service does.
#[derive(Default)]
struct Script {
    /// Before it answers a subscription.
    delay: Duration,
    /// Sent on every stream, which then stays open unless the last is `Closed`.
    items: Vec<Item>,
    /// Whether acknowledgements are answered.
    deaf: bool,
    subscribed: AtomicUsize,
    cursors: Mutex<Vec<Bytes>>,
    acknowledged: Mutex<Vec<Bytes>>,
}

struct Service(Arc<Script>);

type Items = std::pin::Pin<Box<dyn Stream<Item = Result<v1::SubscribeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl AlertService for Service {
    type SubscribeStream = Items;
    async fn subscribe(&self, request: Request<v1::SubscribeRequest>) -> Result<Response<Items>, Status> {
        self.0.subscribed.fetch_add(1, Ordering::Relaxed);
        self.0.cursors.lock().unwrap().push(request.into_inner().cursor);
        tokio::time::sleep(self.0.delay).await;
        let credit = Some(v1::Credit { critical: 64, major: 64, minor: 64 });
        let opened = v1::Opened { subscription_id: "s".to_owned(), credit, server_version: String::new() };
        let items = [Item::Opened(opened)].into_iter().chain(self.0.items.clone());
        let ends = matches!(self.0.items.last(), Some(Item::Closed(_)));
        let items = tokio_stream::iter(items).map(|item| Ok(v1::SubscribeResponse { item: Some(item) }));
        let items: Items =
            if ends { Box::pin(items) } else { Box::pin(items.chain(tokio_stream::pending())) };
        Ok(Response::new(items))
    }
    async fn acknowledge(
        &self,
        request: Request<v1::AcknowledgeRequest>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        self.0.acknowledged.lock().unwrap().push(request.into_inner().cursor);
        if self.0.deaf {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(v1::AcknowledgeResponse::default()))
    }
    async fn acknowledge_stream(
        &self,
        _: Request<Streaming<v1::AcknowledgeRequest>>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
    async fn publish(&self, _: Request<v1::PublishRequest>) -> Result<Response<v1::PublishResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
    async fn list_alerts(
        &self,
        _: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
    async fn get_alert(
        &self,
        _: Request<v1::GetAlertRequest>,
    ) -> Result<Response<v1::GetAlertResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

fn serve(folder: &Path, script: Script) -> Arc<Script> {
    let script = Arc::new(script);
    let server = Server::builder().add_service(AlertServiceServer::new(Service(Arc::clone(&script))));
    let listener = listen(folder);
    tokio::spawn(async move { server.serve_with_incoming(listener).await.unwrap() });
    script
}

fn place(number: u8) -> Bytes {
    Bytes::from(vec![number])
}

fn delivery(alert: &str, revision: u64, cursor: Option<u8>) -> Item {
    let alert = v1::Alert { alert_id: alert.to_owned(), revision, ..v1::Alert::default() };
    Item::Delivery(v1::Delivery {
        record: Some(v1::Record { alert: Some(alert), ..v1::Record::default() }),
        lane: v1::Lane::Critical.into(),
        volatile: cursor.is_none(),
        cursor: cursor.map(place).unwrap_or_default(),
        ..v1::Delivery::default()
    })
}

fn bookmark(number: u8) -> Item {
    Item::Bookmark(v1::Bookmark { cursor: place(number), at_unix_us: 0 })
}

#[tokio::test]
async fn gaps_volatile_states_and_ends_are_told_and_repetitions_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let closed = v1::Closed { reason: v1::CloseReason::CriticalStalled.into(), cursor: place(9) };
    let script = Script {
        items: vec![
            delivery("a", 1, None),
            delivery("a", 1, None),
            delivery("a", 1, Some(3)),
            delivery("a", 1, Some(4)),
            delivery("a", 2, Some(5)),
            Item::Gap(v1::Gap::default()),
            delivery("a", 1, Some(7)),
            bookmark(8),
            Item::Closed(closed),
        ],
        ..Script::default()
    };
    let script = serve(folder.path(), script);
    let mut desk = Desk::at(folder.path(), named("desk"));
    let mut told = Vec::new();
    loop {
        told.push(match desk.event().await {
            Event::Item(Item::Opened(_)) => "opened".to_owned(),
            Event::Item(Item::Delivery(one)) => {
                format!("{}{}", key(&one).1, if one.volatile { " volatile" } else { "" })
            }
            Event::Item(Item::Gap(_)) => "gap".to_owned(),
            Event::Item(Item::Bookmark(_)) => "bookmark".to_owned(),
            Event::Item(Item::Closed(_)) => "closed".to_owned(),
            Event::Lost { .. } => break,
            other => panic!("{other:?}"),
        });
        // From a gap on there is no place to go on at, until there is one behind it.
        assert_eq!(
            desk.0.cursor().is_empty(),
            matches!(told.last().unwrap().as_str(), "gap" | "opened" | "1 volatile")
        );
    }
    assert_eq!(told, ["opened", "1 volatile", "1", "2", "gap", "1", "bookmark", "closed"]);
    // It goes on where the stream was closed, and says so.
    desk.until(|event| matches!(event, Event::Item(Item::Opened(_))).then_some(())).await;
    assert_eq!(*script.cursors.lock().unwrap(), [Bytes::new(), place(9)]);
}

#[tokio::test]
async fn an_acknowledgement_that_is_never_answered_holds_up_no_alert() {
    let folder = tempfile::tempdir().unwrap();
    let items = (1..=200).map(|number| delivery("a", u64::from(number), Some(number))).collect();
    let script = serve(folder.path(), Script { items, deaf: true, ..Script::default() });
    let mut desk = Desk::at(folder.path(), named(""));
    let began = tokio::time::Instant::now();
    for revision in 1..=200 {
        assert_eq!(key(&desk.delivery().await).1, revision);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Nothing more comes, and what is shown is acknowledged once: until the answer is there, nothing follows.
    drop(tokio::time::timeout(ACKNOWLEDGE_EVERY * 3, desk.0.next()).await);
    assert_eq!(script.acknowledged.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_gives_up_waiting_again_and_again_still_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let items = vec![delivery("a", 1, Some(1)), delivery("a", 2, Some(2)), bookmark(3)];
    let script = Script { items, delay: Duration::from_millis(150), ..Script::default() };
    let script = serve(folder.path(), script);
    let mut desk = Desk::at(folder.path(), named(""));
    let mut got = 0;
    let looking = async {
        while got < 2 || script.acknowledged.lock().unwrap().last() != Some(&place(3)) {
            let Ok(event) = tokio::time::timeout(Duration::from_millis(10), desk.0.next()).await else {
                continue;
            };
            desk.0.shown(&event);
            got += usize::from(matches!(event, Event::Item(Item::Delivery(_))));
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it gets there");
    assert_eq!((got, script.subscribed.load(Ordering::Relaxed)), (2, 1));
}
