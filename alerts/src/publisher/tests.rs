//! Publishers at a bus, over a real connection, and what a console gets of it.

mod keeper;
mod stages;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use tokio::{
    net::UnixListener,
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status, transport::Server};
use xueliang_base::{
    alert::{EvidenceFacts, EvidenceKind, EvidenceRef, Sha256},
    shutdown,
    time::SystemClock,
};
use xueliang_client::{Event, Watcher, address};
use xueliang_proto::v1::{
    node_service_server, node_service_server::NodeServiceServer, subscribe_response::Item,
};

use super::*;
use crate::{
    bus::{Bus, BusOptions},
    rights::{Principal, PrincipalKind, Right},
    spool::{Spool, SpoolOptions},
    testing::{self, NOW, critical, key, key_of, minor, next_state},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A bus that listens on a socket in a folder; everyone who calls is an operator and a node.
struct Served {
    bus: Bus,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Served {
    fn at(folder: &Path) -> Self {
        Self::with(folder, no_assignments)
    }
    fn with<N: node_service_server::NodeService>(
        folder: &Path,
        nodes: impl FnOnce(&Bus) -> NodeServiceServer<N>,
    ) -> Self {
        Self::on(folder, testing::options(), nodes)
    }
    fn on<N: node_service_server::NodeService>(
        folder: &Path,
        options: BusOptions,
        nodes: impl FnOnce(&Bus) -> NodeServiceServer<N>,
    ) -> Self {
        let bus = Bus::open(&folder.join("bus"), SystemClock::shared(), options).unwrap();
        let mut principal = Principal::new("node-1", PrincipalKind::Operator);
        principal.rights.extend([Right::RunNode, Right::Publish]);
        let signed_in = move |mut request: Request<()>| {
            request.extensions_mut().insert(principal.clone());
            Ok(request)
        };
        let server = Server::builder()
            .layer(tonic::service::InterceptorLayer::new(signed_in))
            .add_service(bus.alert_service())
            .add_service(bus.evidence_service())
            .add_service(nodes(&bus));
        let socket = socket(folder);
        if socket.exists() {
            std::fs::remove_file(&socket).unwrap();
        }
        let listener = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve_with_incoming_shutdown(listener, stopped).await.unwrap();
        });
        Self { bus, stop, serving }
    }
    async fn stop(self) {
        self.bus.save_acked().await.unwrap();
        drop(self.stop);
        self.bus.close_subscriptions();
        self.serving.await.unwrap();
        testing::close(self.bus).await;
    }
}

fn no_assignments(bus: &Bus) -> NodeServiceServer<impl node_service_server::NodeService + use<>> {
    let (assignments, none) = watch::channel(None);
    drop(assignments);
    bus.node_service(none)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}
fn channel(folder: &Path) -> Channel {
    address(&format!("unix:{}", socket(folder).display())).unwrap().connect_lazy()
}
fn watcher(folder: &Path, request: v1::SubscribeRequest) -> Watcher {
    Watcher::new(channel(folder), request, 1)
}
fn named(name: &str) -> v1::SubscribeRequest {
    v1::SubscribeRequest { subscription: name.to_owned(), ..v1::SubscribeRequest::default() }
}
fn publisher(spool: &Arc<Spool>, folder: &Path) -> Publisher {
    Publisher::new(Arc::clone(spool), channel(folder), channel(folder), SystemClock::shared(), 1)
}
fn spool(folder: &Path) -> Arc<Spool> {
    Arc::new(Spool::open(&folder.join("node"), SystemClock::shared(), SpoolOptions::default()).unwrap())
}
fn still(data: &[u8]) -> EvidenceRef {
    let (sha256, size_bytes) = (Sha256::of(data), data.len() as u64);
    let facts =
        EvidenceFacts { sha256, size_bytes, redacted: true, start: NOW, end: NOW, stretches: Vec::new() };
    EvidenceRef { kind: EvidenceKind::Still, content: Ok(facts) }
}

/// Deliveries as they come, acknowledged.
async fn delivery(watcher: &mut Watcher) -> v1::Delivery {
    let waiting = async {
        loop {
            let event = watcher.next().await;
            watcher.shown(&event);
            if let Event::Item(Item::Delivery(delivery)) = event {
                return delivery;
            }
        }
    };
    timeout(PATIENCE, waiting).await.expect("what is waited for never comes")
}

async fn wait_for(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the condition never holds");
}

#[tokio::test]
async fn alerts_go_from_a_spool_to_a_console_and_what_is_refused_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let spool = spool(folder.path());
    let publisher = publisher(&spool, folder.path());
    let (counts, (stop, stopping)) = (publisher.counts(), shutdown::pair());
    let publishing = tokio::spawn(publisher.run(stopping));

    let (first, second) = (critical(), minor());
    let later = next_state(&next_state(&first));
    for alert in [&first, &later] {
        spool.push(alert).await.unwrap();
    }
    wait_for(|| spool.counts().done == 2).await;
    // The same state with other content, one that comes too late, and evidence of an alert that is not there.
    let mut conflicting = first.clone();
    conflicting.count = 77;
    for alert in [&conflicting, &next_state(&first), &second] {
        spool.push(alert).await.unwrap();
    }
    for alert in [critical().id, first.id] {
        spool.push_evidence(alert, &still(b"picture"), Bytes::from_static(b"picture")).await.unwrap();
    }

    let mut watcher = watcher(folder.path(), named(""));
    let mut got = Vec::new();
    while got.len() < 2 {
        let delivery = delivery(&mut watcher).await;
        got.push(key(&delivery));
        assert_eq!(delivery.record.unwrap().alert.unwrap().publisher, "node-1");
    }
    assert!(got.contains(&key_of(&later)) && got.contains(&key_of(&second)), "{got:?}");
    wait_for(|| spool.counts().waiting == 0).await;
    assert_eq!(counts.published.load(Ordering::Relaxed), 3);
    assert_eq!(counts.buried.load(Ordering::Relaxed), 3);
    assert_eq!(counts.evidence.load(Ordering::Relaxed), 1);
    assert_eq!(spool.dead().await.unwrap().0, 3);

    let mut evidence = v1::evidence_service_client::EvidenceServiceClient::new(channel(folder.path()));
    let request = v1::GetStillRequest { alert_id: first.id.to_string(), purpose: v1::Purpose::Judge.into() };
    assert_eq!(evidence.get_still(request).await.unwrap().into_inner().jpeg, Bytes::from_static(b"picture"));
    stop.ask();
    publishing.await.unwrap();
    served.stop().await;
}

/// A node service that takes evidence only when told to.
struct Slow(Arc<Notify>);

#[tonic::async_trait]
impl node_service_server::NodeService for Slow {
    type AttachStream = tokio_stream::Empty<Result<v1::AttachResponse, Status>>;
    async fn attach(&self, _: Request<v1::AttachRequest>) -> Result<Response<Self::AttachStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
    async fn report(&self, _: Request<v1::ReportRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        Ok(Response::new(v1::ReportResponse {}))
    }
    async fn put_evidence(
        &self,
        _: Request<v1::PutEvidenceRequest>,
    ) -> Result<Response<v1::PutEvidenceResponse>, Status> {
        self.0.notified().await;
        Ok(Response::new(v1::PutEvidenceResponse { refusal: "the budget is used up".to_owned() }))
    }
    async fn list_active(
        &self,
        _: Request<v1::ListActiveRequest>,
    ) -> Result<Response<v1::ListActiveResponse>, Status> {
        Ok(Response::new(v1::ListActiveResponse::default()))
    }
    async fn answer_explain(
        &self,
        _: Request<v1::AnswerExplainRequest>,
    ) -> Result<Response<v1::AnswerExplainResponse>, Status> {
        Ok(Response::new(v1::AnswerExplainResponse {}))
    }
    async fn answer_picture(
        &self,
        _: Request<v1::AnswerPictureRequest>,
    ) -> Result<Response<v1::AnswerPictureResponse>, Status> {
        Ok(Response::new(v1::AnswerPictureResponse {}))
    }
    async fn answer_trial(
        &self,
        _: Request<v1::AnswerTrialRequest>,
    ) -> Result<Response<v1::AnswerTrialResponse>, Status> {
        Ok(Response::new(v1::AnswerTrialResponse {}))
    }
}

#[tokio::test]
async fn evidence_that_takes_for_ever_delays_no_state() {
    let folder = tempfile::tempdir().unwrap();
    let go = Arc::new(Notify::new());
    let slow = Slow(Arc::clone(&go));
    let served = Served::with(folder.path(), |_| NodeServiceServer::new(slow));
    let spool = spool(folder.path());
    let publisher = publisher(&spool, folder.path());
    let (counts, (stop, stopping)) = (publisher.counts(), shutdown::pair());
    let publishing = tokio::spawn(publisher.run(stopping));
    let first = critical();
    spool.push(&first).await.unwrap();
    spool.push_evidence(first.id, &still(b"clip"), Bytes::from_static(b"clip")).await.unwrap();
    for _ in 0..300 {
        spool.push(&minor()).await.unwrap();
    }
    wait_for(|| counts.published.load(Ordering::Relaxed) == 301).await;
    assert_eq!(spool.counts().waiting, 1, "the evidence is still on its way");
    go.notify_one();
    wait_for(|| spool.counts().waiting == 0).await;
    assert_eq!(counts.evidence_refused.load(Ordering::Relaxed), 1);
    stop.ask();
    publishing.await.unwrap();
    served.stop().await;
}

#[tokio::test]
async fn a_state_that_the_bus_stumbles_over_holds_up_no_other_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let (poison, good) = (critical(), critical());
    crate::store::tests::stumble_over(&folder.path().join("bus"), poison.id);
    let spool = spool(folder.path());
    let publisher = publisher(&spool, folder.path());
    let (counts, (_stop, stopping)) = (publisher.counts(), shutdown::pair());
    spool.push(&poison).await.unwrap();
    tokio::spawn(publisher.run(stopping));
    // As long as nothing else is taken, the fault may be the store's: it is kept.
    wait_for(|| counts.failures.load(Ordering::Relaxed) >= 5).await;
    assert_eq!(spool.counts().dead, 0);
    for alert in [next_state(&poison), good.clone(), next_state(&good)] {
        spool.push(&alert).await.unwrap();
    }
    wait_for(|| counts.published.load(Ordering::Relaxed) >= 2).await;
    assert_eq!(served.bus.store().history(good.id).await.unwrap().len(), 2);
    wait_for(|| spool.counts().dead > 0).await;
    assert!(spool.dead().await.unwrap().1.unwrap().contains("the bus fails at it"));
}

#[tokio::test]
async fn an_alert_raised_after_an_outage_does_not_wait_for_what_was_spooled_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let publisher = publisher(&spool, folder.path());
    let (counts, (_stop, stopping)) = (publisher.counts(), shutdown::pair());
    tokio::spawn(publisher.run(stopping));
    let missed: Vec<_> = (0..6000).map(|_| critical()).collect();
    let clock = SystemClock::shared();
    spool.push_all(&testing::minted(&missed, (clock.mono(), clock.wall()))).await.unwrap();
    wait_for(|| counts.failures.load(Ordering::Relaxed) > 0).await;
    let served = Served::at(folder.path());
    wait_for(|| counts.published.load(Ordering::Relaxed) > 0).await;
    // As urgent as the thousands that wait, or less.
    let fresh = [critical(), minor()];
    for alert in &fresh {
        spool.push(alert).await.unwrap();
    }
    let arrived = async |alert: &xueliang_base::alert::Alert| {
        while !served.bus.store().exists(alert.id).await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    for alert in &fresh {
        timeout(PATIENCE, arrived(alert)).await.unwrap();
    }
    assert!(spool.counts().waiting > 2000, "{} are left", spool.counts().waiting);
    wait_for(|| spool.counts().waiting == 0).await;
    assert_eq!(counts.published.load(Ordering::Relaxed), 6002);
}

#[tokio::test]
async fn states_spooled_while_the_bus_is_away_arrive_in_order_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let publisher = publisher(&spool, folder.path());
    let (counts, (_stop, stopping)) = (publisher.counts(), shutdown::pair());
    tokio::spawn(publisher.run(stopping));
    let mut state = critical();
    let mut pushed = Vec::new();
    for _ in 0..20 {
        spool.push(&state).await.unwrap();
        pushed.push(key_of(&state));
        state = next_state(&state);
    }
    wait_for(|| counts.failures.load(Ordering::Relaxed) >= 2).await;
    let served = Served::at(folder.path());
    wait_for(|| counts.published.load(Ordering::Relaxed) == 20).await;
    let history = served.bus.store().history(state.id).await.unwrap();
    let kept = history.into_iter().map(|record| record.alert.unwrap());
    assert_eq!(kept.map(|alert| (alert.alert_id, alert.revision)).collect::<Vec<_>>(), pushed);
    assert_eq!(spool.counts().dead, 0);
}

#[tokio::test]
async fn nobody_is_served_without_a_principal() {
    use xueliang_proto::v1::alert_service_server::AlertService as _;
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::open(folder.path(), SystemClock::shared(), BusOptions::default()).unwrap();
    let api = crate::grpc::AlertApi(bus);
    let refused = api.publish(Request::new(v1::PublishRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_audit_grows_by_first_uses_and_refusals_only() {
    use xueliang_proto::v1::alert_service_server::AlertService as _;

    async fn open(bench: &testing::Bench, principal: &Principal, name: &str) -> Result<(), Status> {
        let subscription = name.to_owned();
        let mut request =
            Request::new(v1::SubscribeRequest { subscription, ..v1::SubscribeRequest::default() });
        request.extensions_mut().insert(principal.clone());
        crate::grpc::AlertApi(bench.bus.clone()).subscribe(request).await.map(drop)
    }
    let mut bench = testing::Bench::new();
    let desk = Principal::new("desk", PrincipalKind::Console);
    let node = testing::node();
    for _ in 0..3 {
        for _ in 0..3 {
            open(&bench, &desk, "wall").await.unwrap();
            open(&bench, &desk, "").await.unwrap();
            assert_eq!(open(&bench, &node, "wall").await.unwrap_err().code(), Code::PermissionDenied);
        }
        bench = bench.reopen().await;
        bench.clock.advance(Duration::from_secs(61));
    }
    let audited = crate::store::tests::audited(bench.folder.path());
    let count = |who: &str, what: &str, name: &str| {
        audited.iter().filter(|one| one.0 == who && one.1 == what && one.2.contains(name)).count()
    };
    assert_eq!(count("desk", "subscribe", "wall"), 1);
    assert_eq!(count("node-1", "subscribe_refused", "ReadAlerts"), 3, "one a minute at most");
    assert_eq!(audited.len(), 5, "{audited:?}");
}
