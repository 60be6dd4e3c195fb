//! Consoles that do not do their part.

use tonic::{Streaming, transport::Endpoint};
use xueliang_base::id::AlertId;
use xueliang_proto::v1::{
    Alert, CloseReason, Credit, Level, Publication, PublishOutcome, PublishRequest, SubscribeRequest,
    SubscribeResponse, alert_service_client::AlertServiceClient, subscribe_response::Item,
};
use xueliang_tests::desk::alert_of;

use super::*;

/// Publications of one request; a critical lane's credit is less.
const ROUND: usize = 100;

/// Opens a subscription that nobody reads.
async fn deaf(api: &str, name: &str, window: Option<u32>, credit: u32) -> Streaming<SubscribeResponse> {
    let mut endpoint = Endpoint::new(api.to_owned()).unwrap();
    if let Some(window) = window {
        endpoint = endpoint.initial_stream_window_size(window).initial_connection_window_size(window);
    }
    let channel = endpoint.connect().await.unwrap();
    let request = SubscribeRequest {
        subscription: name.to_owned(),
        credit: Some(Credit { critical: credit, major: credit, minor: credit }),
        ..SubscribeRequest::default()
    };
    AlertServiceClient::new(channel).subscribe(request).await.unwrap().into_inner()
}

/// Publishes severe alerts like `sample`, as the node does; their ids.
async fn publish(service: &Service, sample: &Alert, count: usize) -> Vec<String> {
    let ids: Vec<_> = (0..count).map(|_| AlertId::mint().to_string()).collect();
    let publication = |id: &String| {
        let mut alert = Alert { alert_id: id.clone(), revision: 1, ..sample.clone() };
        alert.set_level(Level::Level2);
        Publication { alert: Some(alert), last_round_trip_us: 1000, ..Publication::default() }
    };
    let request = PublishRequest { publications: ids.iter().map(publication).collect() };
    let socket = format!("unix:{}", service.state().join("run/bus.sock").display());
    let mut node = AlertServiceClient::connect(socket).await.unwrap();
    let answer = tokio::time::timeout(MINUTE, node.publish(request)).await.unwrap().unwrap();
    for result in answer.into_inner().results {
        assert_eq!(result.outcome(), PublishOutcome::Committed, "{}", result.message);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_that_reads_nothing_slows_nobody() {
    let mut service = Service::start(vec![walkers("lost", "")], "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    service.simulator.camera("lost").unwrap().apply(Fault::Stop).unwrap();
    let offline =
        desk.until("an alert", MINUTE, |alert| firing(alert, "lost", Kind::CamOffline)).await.unwrap();
    let sample = alert_of(&offline).clone();

    // One has room for everything and never acknowledges; the other's connection is stuck before its credit is.
    let mut silent = deaf(&service.api, "silent", None, 0).await;
    let stuck = deaf(&service.api, "stuck", Some(65_535), 1024).await;
    let mut published = Vec::new();
    for _ in 0..5 {
        let ids = publish(&service, &sample, ROUND).await;
        let last = ids[ROUND - 1].clone();
        desk.until("the last of a round", MINUTE / 4, |alert| alert.alert_id == last).await.unwrap();
        published.extend(ids);
    }
    let severe = |alert: &&Alert| alert.level() == Level::Level2 && alert.kind() == Kind::CamOffline;
    let got: Vec<_> =
        desk.deliveries.iter().map(alert_of).filter(severe).map(|a| a.alert_id.clone()).collect();
    assert_eq!(got, published, "every critical record, once and in order");
    assert_eq!((desk.gaps, desk.doubled.len()), (0, 0));

    // The silent one got no more than its credit and was told where to go on: nothing is lost to it.
    let mut delivered = Vec::new();
    let note = |item: &Item, in_lane: &mut Vec<String>| {
        if let Item::Delivery(delivery) = item
            && severe(&alert_of(delivery))
        {
            in_lane.push(alert_of(delivery).alert_id.clone());
        }
    };
    let closed = loop {
        let next = tokio::time::timeout(MINUTE, silent.message()).await.unwrap().unwrap();
        let item = next.expect("it ends with a reason").item.unwrap();
        note(&item, &mut delivered);
        if let Item::Closed(closed) = item {
            break closed;
        }
    };
    assert_eq!(closed.reason(), CloseReason::CriticalStalled);
    assert_eq!(delivered, published[..delivered.len()], "in order, without a hole");
    assert!((1..=64).contains(&delivered.len()), "{} deliveries without an acknowledgement", delivered.len());
    let mut heard = Desk::open_at(&service.api, "silent", closed.cursor, MINUTE).await.unwrap();
    let last = published[published.len() - 1].clone();
    heard.until("the last of all", MINUTE, |alert| alert.alert_id == last).await.unwrap();
    let rest = heard.deliveries.iter().map(alert_of).filter(severe).map(|alert| alert.alert_id.clone());
    delivered.extend(rest);
    assert_eq!((delivered, heard.gaps), (published, 0));
    drop(stuck);
    service.stop().await.unwrap();
}
