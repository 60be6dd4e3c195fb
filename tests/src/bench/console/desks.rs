//! Consoles beside the page that is looked at: each asks as a browser does, by gRPC-web over connections of its own. It follows the
//! stream, acknowledges what came, and asks every five seconds what cameras see.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{body::Body, codegen::http::Uri};
use tonic_web::{GrpcWebCall, GrpcWebClientService};
use xueliang_proto::v1::{
    self, AcknowledgeRequest, CloseReason, DeliveryStage, SubscribeRequest, SummariseCamerasRequest,
    alert_service_client::AlertServiceClient, camera_service_client::CameraServiceClient,
    subscribe_response::Item,
};

use super::super::{bus::process::PATIENCE, cases::site::SignedIn};

/// As the page has them.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(100);
const SIGHT_EVERY: Duration = Duration::from_secs(5);
const AGAIN_AFTER: Duration = Duration::from_millis(200);

type Web = GrpcWebClientService<Client<HttpConnector, GrpcWebCall<Body>>>;

/// When each alert was committed, microseconds since 1970, by id: as one of the consoles was told.
type Committed = Arc<Mutex<HashMap<String, i64>>>;

#[derive(Default)]
struct Counts {
    deliveries: AtomicU64,
    lost: AtomicU64,
    /// Why the latest stream ended.
    why: Mutex<String>,
    gaps: AtomicU64,
}

/// The consoles, until they are dropped.
pub(super) struct Desks {
    committed: Committed,
    counts: Arc<Counts>,
    consoles: JoinSet<()>,
}

/// What came of them.
pub(super) struct Came {
    pub(super) consoles: usize,
    pub(super) deliveries: u64,
    /// Streams that ended though they were not to be renewed, and went on.
    pub(super) lost: u64,
    /// Why the latest of them did; empty: none has.
    pub(super) why: String,
    pub(super) gaps: u64,
}

impl Desks {
    /// Attaches so many, and waits until each has its snapshot.
    pub(super) async fn attach(url: &str, who: &SignedIn, number: usize) -> anyhow::Result<Self> {
        let url: Uri = url.parse()?;
        let (ready, mut waiting) = mpsc::channel(number.max(1));
        let (committed, counts) = (Committed::default(), Arc::new(Counts::default()));
        let mut consoles = JoinSet::new();
        for index in 0..number {
            let console = Console {
                who: who.clone(),
                url: url.clone(),
                committed: (index == 0).then(|| Arc::clone(&committed)),
                counts: Arc::clone(&counts),
                cursor: Bytes::new(),
                ready: Some(ready.clone()),
            };
            consoles.spawn(console.follow());
        }
        for _ in 0..number {
            timeout(PATIENCE, waiting.recv()).await.context("a console gets no stream")?;
        }
        Ok(Self { committed, counts, consoles })
    }
    /// When an alert was committed.
    pub(super) fn committed(&self, alert: &str) -> Option<i64> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).get(alert).copied()
    }
    pub(super) fn came(&self) -> Came {
        let Counts { deliveries, lost, why, gaps } = &*self.counts;
        let [deliveries, lost, gaps] = [deliveries, lost, gaps].map(|count| count.load(Ordering::Relaxed));
        let why = why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Came { consoles: self.consoles.len(), deliveries, lost, why, gaps }
    }
}

struct Console {
    who: SignedIn,
    url: Uri,
    /// Where it notes what it is told of commits.
    committed: Option<Committed>,
    counts: Arc<Counts>,
    cursor: Bytes,
    /// Told once, when it has its snapshot.
    ready: Option<mpsc::Sender<()>>,
}

impl Console {
    async fn follow(mut self) {
        loop {
            // It goes on where it was. That a stream is renewed now and then is as it should be.
            if let Err(ended) = self.stream().await {
                *self.counts.why.lock().unwrap_or_else(PoisonError::into_inner) = format!("{ended:#}");
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
                sleep(AGAIN_AFTER).await;
            }
        }
    }
    /// Until the service renews it.
    async fn stream(&mut self) -> anyhow::Result<()> {
        let client: Web =
            GrpcWebClientService::new(Client::builder(TokioExecutor::new()).build(HttpConnector::new()));
        let mut alerts = AlertServiceClient::with_origin(client.clone(), self.url.clone());
        let mut cameras = CameraServiceClient::with_origin(client, self.url.clone());
        let request = SubscribeRequest { cursor: self.cursor.clone(), ..SubscribeRequest::default() };
        let mut stream = alerts.subscribe(self.who.asks(request)?).await?.into_inner();
        let mut subscription_id = String::new();
        let mut owed: Option<Bytes> = None;
        let (mut acknowledge, mut look) = (interval(ACKNOWLEDGE_EVERY), interval(SIGHT_EVERY));
        acknowledge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                response = stream.message() => {
                    let item = response?.context("the stream ended")?.item;
                    if let Some(Item::Closed(closed)) = &item {
                        anyhow::ensure!(closed.reason() == CloseReason::Renew, "closed: {:?}", closed.reason());
                        return Ok(());
                    }
                    if let Some(Item::Opened(opened)) = &item {
                        subscription_id.clone_from(&opened.subscription_id);
                    }
                    if let Some(cursor) = item.and_then(|item| self.take(item)) {
                        self.cursor = cursor.clone();
                        owed = Some(cursor);
                    }
                }
                _ = acknowledge.tick(), if owed.is_some() => {
                    let one = AcknowledgeRequest {
                        subscription_id: subscription_id.clone(),
                        cursor: owed.take().unwrap_or_default(),
                        stage: DeliveryStage::Displayed.into(),
                    };
                    alerts.acknowledge(self.who.asks(one)?).await?;
                }
                _ = look.tick() => {
                    cameras.summarise_cameras(self.who.asks(SummariseCamerasRequest::default())?).await?;
                }
            }
        }
    }
    /// Where to go on after it, if it says so.
    fn take(&mut self, item: Item) -> Option<Bytes> {
        let cursor = match item {
            Item::Delivery(delivery) => {
                self.counts.deliveries.fetch_add(1, Ordering::Relaxed);
                self.note(delivery.record);
                delivery.cursor
            }
            Item::Snapshot(mark) if !mark.begin => {
                if let Some(ready) = self.ready.take() {
                    // Whoever waited for it may have given up.
                    let _told = ready.try_send(());
                }
                mark.cursor
            }
            Item::Bookmark(mark) => mark.cursor,
            Item::Summary(summary) => summary.cursor,
            Item::Gap(_) => {
                self.counts.gaps.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Item::Opened(_) | Item::Snapshot(_) | Item::Closed(_) => return None,
        };
        (!cursor.is_empty()).then_some(cursor)
    }
    fn note(&self, record: Option<v1::Record>) {
        let (Some(committed), Some(record)) = (&self.committed, record) else { return };
        let Some(alert) = record.alert.filter(|alert| alert.revision == 1) else { return };
        let mut committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
        committed.insert(alert.alert_id, record.committed_unix_us);
    }
}
