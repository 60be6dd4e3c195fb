//! Consoles and publishers at a bus, over a real connection.

mod half_open;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use tokio::{
    net::UnixListener,
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, transport::Server};
use xueliang_base::{
    alert::{EvidenceFacts, EvidenceKind, EvidenceRef, Sha256},
    shutdown,
    time::SystemClock,
};
use xueliang_proto::v1::{node_service_server, node_service_server::NodeServiceServer};

use super::*;
use crate::{
    bus::{Bus, BusOptions},
    publisher::Publisher,
    rights::{Grant, Principal, PrincipalKind, Right},
    spool::{Spool, SpoolOptions},
    testing::{self, NOW, critical, key, key_of, minor, next_state},
};

const PATIENCE: Duration = Duration::from_secs(8);

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
        Self::open(folder, BusOptions::default(), nodes)
    }
    fn open<N: node_service_server::NodeService>(
        folder: &Path,
        options: BusOptions,
        nodes: impl FnOnce(&Bus) -> NodeServiceServer<N>,
    ) -> Self {
        let options = BusOptions { bookmark_every: Duration::from_millis(20), ..options };
        let bus = Bus::open(&folder.join("bus"), SystemClock::shared(), options).unwrap();
        let mut principal = Principal::new("node-1", PrincipalKind::Operator);
        principal.rights.insert(Right::RunNode);
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
    async fn commit(&self, alerts: &[xueliang_base::alert::Alert]) {
        let publication =
            |alert| v1::Publication { alert: Some(v1::Alert::from(alert)), last_round_trip_us: 0 };
        let clock = SystemClock::shared();
        let all = alerts.iter().map(publication).collect();
        self.bus.publish(&testing::node(), all, clock.mono()).await.unwrap();
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

impl Watcher {
    async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("the watcher gives no event")
    }
    /// Deliveries and the events around them that a test asks for, acknowledged as they come.
    async fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.event().await;
                drop(self.shown().await);
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("what is waited for never comes")
    }
    async fn delivery(&mut self) -> v1::Delivery {
        self.until(|event| match event {
            Event::Item(Item::Delivery(delivery)) => Some(delivery.clone()),
            _ => None,
        })
        .await
    }
    async fn live(&mut self) {
        let live = |event: &Event| match event {
            // Within a snapshot it is a sign of life only.
            Event::Item(Item::Bookmark(bookmark)) => !bookmark.cursor.is_empty(),
            _ => false,
        };
        self.until(|event| live(event).then_some(())).await;
    }
}

async fn wait_for(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the condition never holds");
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
        let delivery = watcher.delivery().await;
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
async fn a_watcher_goes_on_after_a_restart_of_the_bus_without_loss_or_repetition() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let mut watcher = watcher(folder.path(), named("desk"));
    watcher.live().await;
    let before: Vec<_> = (0..5).map(|_| critical()).collect();
    served.commit(&before).await;
    for alert in &before {
        assert_eq!(key(&watcher.delivery().await), key_of(alert));
    }
    served.stop().await;
    watcher.until(|event| matches!(event, Event::Lost { .. }).then_some(())).await;
    let served = Served::at(folder.path());
    let after = [next_state(&before[0]), critical()];
    served.commit(&after).await;
    for alert in &after {
        assert_eq!(key(&watcher.delivery().await), key_of(alert));
    }
    assert!(watcher.refused().is_none() && !watcher.is_stale());
}

#[tokio::test]
async fn states_after_a_restore_are_given_though_their_revisions_were_seen_before() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let mut watcher = watcher(folder.path(), named("desk"));
    watcher.live().await;
    let first = critical();
    served.commit(std::slice::from_ref(&first)).await;
    watcher.delivery().await;
    let backup = folder.path().join("backup");
    served.bus.store().backup(backup.clone()).await.unwrap();
    let mut lost = next_state(&first);
    for _ in 0..3 {
        served.commit(std::slice::from_ref(&lost)).await;
        assert_eq!(key(&watcher.delivery().await), key_of(&lost));
        lost = next_state(&lost);
    }
    served.stop().await;
    std::fs::rename(folder.path().join("bus"), folder.path().join("away")).unwrap();
    crate::store::restore(&backup, &folder.path().join("bus")).unwrap();
    let served = Served::at(folder.path());
    watcher.until(|event| matches!(event, Event::Item(Item::Gap(_))).then_some(())).await;
    let ended =
        |event: &Event| matches!(event, Event::Item(Item::Snapshot(mark)) if !mark.begin).then_some(());
    watcher.until(ended).await;
    // Revision 2 once more, and it is another one.
    let after = testing::resolved(&first);
    served.commit(std::slice::from_ref(&after)).await;
    assert_eq!(key(&watcher.delivery().await), key_of(&after));
}

#[tokio::test]
async fn calling_shown_for_each_item_is_enough_to_keep_a_small_credit_flowing() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let credit = v1::Credit { critical: 4, major: 4, minor: 4 };
    let mut watcher = watcher(folder.path(), v1::SubscribeRequest { credit: Some(credit), ..named("") });
    watcher.live().await;
    let alerts: Vec<_> = (0..60).map(|_| critical()).collect();
    served.commit(&alerts).await;
    for alert in &alerts {
        assert_eq!(key(&watcher.delivery().await), key_of(alert));
    }
    assert_eq!(served.bus.counts().stalled.load(Ordering::Relaxed), 0);
    // Nothing is owed twice.
    watcher.acknowledge().await.unwrap();
    assert_eq!(watcher.acknowledge().await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_for_good_is_told_and_not_stormed_against() {
    let folder = tempfile::tempdir().unwrap();
    let _served = Served::at(folder.path());
    let lost = |event: &Event| match event {
        Event::Lost { wait, .. } => Some(*wait),
        _ => None,
    };
    let cursor = Bytes::from_static(b"not a cursor");
    let mut wrong = watcher(folder.path(), v1::SubscribeRequest { cursor, ..named("") });
    assert_eq!(wrong.until(lost).await, REFUSED_WAIT);
    assert_eq!(wrong.refused().unwrap().code(), Code::InvalidArgument);

    let mut first = watcher(folder.path(), named("desk"));
    first.live().await;
    let mut second = watcher(folder.path(), named("desk"));
    second.live().await;
    assert_eq!(first.until(lost).await, REFUSED_WAIT);
    assert!(first.refused().unwrap().message().contains("give each its own"));
    assert!(second.refused().is_none());
}

#[tokio::test]
async fn a_bus_that_says_nothing_is_stale_once_its_time_is_over() {
    // Takes connections, and nobody answers on them.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = format!("http://{}", listener.local_addr().unwrap());
    let mut watcher = Watcher::new(address(&text).unwrap().connect_lazy(), named(""), 1);
    assert!(!watcher.is_stale() && watcher.fresh_until > Instant::now() + STALE_AFTER / 2);
    watcher.fresh_until = Instant::now();
    assert!(matches!(watcher.event().await, Event::Stale));
    assert!(watcher.is_stale());
}

#[tokio::test]
async fn consoles_that_lose_the_bus_together_come_back_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut waits = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut watcher = Watcher::new(channel(folder.path()), named(""), seed);
        let Event::Lost { wait, .. } = watcher.event().await else { panic!("there is no bus") };
        assert!(wait <= FIRST_WAIT);
        waits.insert(wait);
    }
    assert!(waits.len() > 15, "{waits:?}");
}

#[test]
fn an_address_is_what_people_write() {
    for good in ["http://127.0.0.1:8750", "http://[::1]:8750", "unix:/run/xueliang/bus.sock"] {
        assert!(address(good).is_ok(), "{good}");
    }
    let bad = address("not an address").unwrap_err().to_string();
    assert!(bad.contains("write http://ADDRESS:PORT or unix:/PATH"), "{bad}");
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

#[tokio::test]
async fn streams_that_the_bus_renews_go_on_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let options = BusOptions { renew_after: Duration::from_millis(60), ..BusOptions::default() };
    let served = Served::open(folder.path(), options, no_assignments);
    let mut watcher = watcher(folder.path(), named("desk"));
    let (mut seen, mut published) = (Vec::new(), Vec::new());
    let follow = async {
        // Each alert comes in another stream than the one before.
        while published.len() < 5 || seen.len() < published.len() {
            let opened = served.bus.counts().opened.load(Ordering::Relaxed);
            if seen.len() == published.len() && opened as usize > published.len() {
                let alert = critical();
                published.push(key_of(&alert));
                served.commit(&[alert]).await;
            }
            match watcher.next().await {
                Event::Item(Item::Opened(_)) => assert!(published.is_empty(), "told once"),
                Event::Item(Item::Delivery(delivery)) => seen.push(key(&delivery)),
                Event::Item(Item::Closed(_) | Item::Gap(_)) | Event::Lost { .. } | Event::Stale => {
                    panic!("the console noticed")
                }
                Event::Item(_) => {}
            }
            watcher.shown().await.ok();
        }
    };
    tokio::time::timeout(PATIENCE, follow).await.unwrap();
    assert_eq!(seen, published);
    assert!(served.bus.counts().opened.load(Ordering::Relaxed) >= 5);
    drop(watcher);
    served.stop().await;
}

#[tokio::test]
async fn a_console_that_wants_other_alerts_goes_on_with_them_on_the_same_watcher() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let (fire, garbage) = (critical(), minor());
    served.commit(&[fire.clone(), garbage.clone()]).await;
    let wants = |kind: v1::Kind| v1::AlertFilter { kinds: vec![kind.into()], ..v1::AlertFilter::default() };
    let flames = v1::SubscribeRequest { filter: Some(wants(v1::Kind::FireFlame)), ..named("desk") };
    let mut watcher = watcher(folder.path(), flames);
    assert_eq!(key(&watcher.delivery().await), key_of(&fire));
    watcher.live().await;
    watcher.set_filter(wants(v1::Kind::ExposedGarbage));
    let gap = watcher.until(|event| match event {
        Event::Item(Item::Gap(gap)) => Some(gap.reason()),
        Event::Lost { reason, .. } => panic!("{reason}"),
        _ => None,
    });
    assert_eq!(gap.await, v1::GapReason::FilterChanged);
    assert_eq!(key(&watcher.delivery().await), key_of(&garbage));
    watcher.live().await;
    let acknowledged = watcher.acknowledge().await;
    assert!(acknowledged.is_ok(), "{acknowledged:?}");
    served.stop().await;
}

#[tokio::test]
async fn a_console_whose_rights_change_comes_back_by_itself_and_learns_when_it_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let fire = critical();
    served.commit(std::slice::from_ref(&fire)).await;
    let mut watcher = watcher(folder.path(), named("desk"));
    assert_eq!(key(&watcher.delivery().await), key_of(&fire));
    watcher.live().await;
    let everything = Principal::new("node-1", PrincipalKind::Operator).rights;
    let elsewhere = Grant { rights: everything, divisions: Some(vec!["99".parse().unwrap()]) };
    served.bus.grant("node-1", Some(elsewhere));
    let gap = watcher.until(|event| match event {
        Event::Item(Item::Gap(gap)) => Some(gap.reason()),
        Event::Item(Item::Delivery(delivery)) => panic!("{delivery:?} is not to be seen"),
        Event::Lost { reason, .. } => panic!("{reason}"),
        _ => None,
    });
    assert_eq!(gap.await, v1::GapReason::FilterChanged);
    watcher.live().await;
    served.bus.grant("node-1", Some(Grant { rights: [Right::RunNode].into(), divisions: None }));
    watcher.until(|event| matches!(event, Event::Lost { .. }).then_some(())).await;
    assert_eq!(watcher.refused().map(Status::code), Some(Code::PermissionDenied));
    served.stop().await;
}
