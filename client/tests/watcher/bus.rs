//! At a bus that restarts, is restored, renews its streams.

use std::{path::Path, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{Code, Request, transport::Server};
use xueliang_alerts::{
    bus::{Bus, BusOptions},
    rights::{Grant, Principal, PrincipalKind, Right},
    store::restore,
};
use xueliang_base::{
    alert::{Alert, AlertState},
    incident::Resolution,
    kind::Kind,
    testing::{self, next_state},
    time::{Clock as _, SystemClock, Wall},
};
use xueliang_client::{Event, FIRST_WAIT, Item, REFUSED_WAIT, Watcher, v1};

use super::{Desk, PATIENCE, channel, key, listen, lost, named};

const NOW: Wall = Wall(1_790_000_000_000_000);

fn critical() -> Alert {
    testing::alert(Kind::FireFlame, NOW)
}

fn key_of(alert: &Alert) -> (String, u64) {
    (alert.id.to_string(), alert.revision.0)
}

/// A bus that listens on a socket in a folder; everyone who calls is an operator.
struct Served {
    bus: Bus,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Served {
    async fn at(folder: &Path) -> Self {
        Self::open(folder, BusOptions::default()).await
    }
    async fn open(folder: &Path, options: BusOptions) -> Self {
        let options = BusOptions { bookmark_every: Duration::from_millis(20), ..options };
        let opening = async {
            loop {
                // The store of the life before is closed once its last task is gone.
                match Bus::open(&folder.join("bus"), SystemClock::shared(), options.clone()) {
                    Ok(bus) => return bus,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let bus = tokio::time::timeout(PATIENCE, opening).await.expect("the store opens");
        let principal = Principal::new("desk", PrincipalKind::Operator);
        let signed_in = move |mut request: Request<()>| {
            request.extensions_mut().insert(principal.clone());
            Ok(request)
        };
        let server = Server::builder()
            .layer(tonic::service::InterceptorLayer::new(signed_in))
            .add_service(bus.alert_service());
        let listener = listen(folder);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve_with_incoming_shutdown(listener, stopped).await.unwrap();
        });
        Self { bus, stop, serving }
    }
    async fn commit(&self, alerts: &[Alert]) {
        let publication =
            |alert| v1::Publication { alert: Some(v1::Alert::from(alert)), ..v1::Publication::default() };
        let node = Principal::new("node-1", PrincipalKind::Node);
        let all = alerts.iter().map(publication).collect();
        self.bus.publish(&node, all, SystemClock.mono()).await.unwrap();
    }
    async fn stop(self) {
        self.bus.save_acked().await.unwrap();
        drop(self.stop);
        self.bus.close_subscriptions();
        self.serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_watcher_goes_on_after_a_restart_of_the_bus_without_loss_or_repetition() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path()).await;
    let mut desk = Desk::at(folder.path(), named("desk"));
    desk.live().await;
    let before: Vec<_> = (0..5).map(|_| critical()).collect();
    served.commit(&before).await;
    for alert in &before {
        assert_eq!(key(&desk.delivery().await), key_of(alert));
    }
    served.stop().await;
    desk.until(|event| matches!(event, Event::Lost { .. }).then_some(())).await;
    let served = Served::at(folder.path()).await;
    let after = [next_state(&before[0]), critical()];
    served.commit(&after).await;
    for alert in &after {
        assert_eq!(key(&desk.delivery().await), key_of(alert));
    }
    assert!(desk.0.refused().is_none() && !desk.0.is_stale());
}

#[tokio::test]
async fn states_after_a_restore_are_given_though_their_revisions_were_seen_before() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path()).await;
    let mut desk = Desk::at(folder.path(), named("desk"));
    desk.live().await;
    let first = critical();
    served.commit(std::slice::from_ref(&first)).await;
    desk.delivery().await;
    let backup = folder.path().join("backup");
    served.bus.store().backup(backup.clone()).await.unwrap();
    let mut lost = next_state(&first);
    for _ in 0..3 {
        served.commit(std::slice::from_ref(&lost)).await;
        assert_eq!(key(&desk.delivery().await), key_of(&lost));
        lost = next_state(&lost);
    }
    served.stop().await;
    std::fs::rename(folder.path().join("bus"), folder.path().join("away")).unwrap();
    restore(&backup, &folder.path().join("bus")).unwrap();
    let served = Served::at(folder.path()).await;
    desk.until(|event| matches!(event, Event::Item(Item::Gap(_))).then_some(())).await;
    let ended =
        |event: &Event| matches!(event, Event::Item(Item::Snapshot(mark)) if !mark.begin).then_some(());
    desk.until(ended).await;
    // Revision 2 once more, and it is another one.
    let state = AlertState::Resolved { why: Resolution::ObservedAbsence, at: NOW };
    let after = Alert { state, ..next_state(&first) };
    served.commit(std::slice::from_ref(&after)).await;
    assert_eq!(key(&desk.delivery().await), key_of(&after));
}

#[tokio::test]
async fn calling_shown_for_each_item_is_enough_to_keep_a_small_credit_flowing() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path()).await;
    let credit = v1::Credit { critical: 4, major: 4, minor: 4 };
    let mut desk = Desk::at(folder.path(), v1::SubscribeRequest { credit: Some(credit), ..named("") });
    desk.live().await;
    let alerts: Vec<_> = (0..60).map(|_| critical()).collect();
    served.commit(&alerts).await;
    for alert in &alerts {
        assert_eq!(key(&desk.delivery().await), key_of(alert));
    }
    assert_eq!(served.bus.counts().stalled.load(Ordering::Relaxed), 0);
    // Nothing is owed twice.
    desk.0.acknowledge().await.unwrap();
    assert_eq!(desk.0.acknowledge().await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_for_good_is_told_and_not_stormed_against() {
    let folder = tempfile::tempdir().unwrap();
    let _served = Served::at(folder.path()).await;
    let cursor = Bytes::from_static(b"not a cursor");
    let mut wrong = Desk::at(folder.path(), v1::SubscribeRequest { cursor, ..named("") });
    assert_eq!(wrong.until(lost).await, REFUSED_WAIT);
    assert_eq!(wrong.0.refused().unwrap().code(), Code::InvalidArgument);

    let mut first = Desk::at(folder.path(), named("desk"));
    first.live().await;
    let mut second = Desk::at(folder.path(), named("desk"));
    second.live().await;
    assert_eq!(first.until(lost).await, REFUSED_WAIT);
    assert!(first.0.refused().unwrap().message().contains("give each its own"));
    assert!(second.0.refused().is_none());
}

#[tokio::test]
async fn consoles_that_lose_the_bus_together_come_back_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut waits = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut watcher = Watcher::new(channel(folder.path()), named(""), seed);
        let Event::Lost { wait, .. } = watcher.next().await else { panic!("there is no bus") };
        assert!(wait <= FIRST_WAIT);
        waits.insert(wait);
    }
    assert!(waits.len() > 15, "{waits:?}");
}

#[tokio::test]
async fn streams_that_the_bus_renews_go_on_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let options = BusOptions { renew_after: Duration::from_millis(60), ..BusOptions::default() };
    let served = Served::open(folder.path(), options).await;
    let mut desk = Desk::at(folder.path(), named("desk"));
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
            match desk.event().await {
                Event::Item(Item::Opened(_)) => assert!(published.is_empty(), "told once"),
                Event::Item(Item::Delivery(delivery)) => seen.push(key(&delivery)),
                Event::Item(Item::Closed(_) | Item::Gap(_)) | Event::Lost { .. } | Event::Stale => {
                    panic!("the console noticed")
                }
                Event::Item(_) => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, follow).await.unwrap();
    assert_eq!(seen, published);
    assert!(served.bus.counts().opened.load(Ordering::Relaxed) >= 5);
    drop(desk);
    served.stop().await;
}

#[tokio::test]
async fn only_what_was_shown_is_acknowledged_and_a_console_that_restarts_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path()).await;
    for name in ["", "desk"] {
        let mut desk = Desk::at(folder.path(), named(name));
        desk.live().await;
        let alerts: Vec<_> = (0..5).map(|_| critical()).collect();
        served.commit(&alerts).await;
        // Two are shown; two more are taken and wait for the screen when the console dies.
        for alert in &alerts[..2] {
            assert_eq!(key(&desk.delivery().await), key_of(alert));
        }
        let Desk(mut watcher) = desk;
        let mut waiting = 0;
        while waiting < 2 {
            let event = tokio::time::timeout(PATIENCE, watcher.next()).await.unwrap();
            waiting += usize::from(matches!(event, Event::Item(Item::Delivery(_))));
        }
        watcher.acknowledge().await.unwrap();
        assert_eq!(watcher.acknowledge().await.unwrap(), None, "nothing is owed twice");
        let cursor = if name.is_empty() { watcher.cursor().clone() } else { Bytes::new() };
        drop(watcher);
        let mut desk = Desk::at(folder.path(), v1::SubscribeRequest { cursor, ..named(name) });
        for alert in &alerts[2..] {
            assert_eq!(key(&desk.delivery().await), key_of(alert), "{name:?}");
        }
    }
}

#[tokio::test]
async fn a_console_that_wants_other_alerts_goes_on_with_them_on_the_same_watcher() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path()).await;
    let fire = critical();
    let garbage =
        Alert { kind: Kind::ExposedGarbage, level: Kind::ExposedGarbage.default_level(), ..critical() };
    served.commit(&[fire.clone(), garbage.clone()]).await;
    let wants = |kind: v1::Kind| v1::AlertFilter { kinds: vec![kind.into()], ..v1::AlertFilter::default() };
    let flames = v1::SubscribeRequest { filter: Some(wants(v1::Kind::FireFlame)), ..named("desk") };
    let mut desk = Desk::at(folder.path(), flames);
    assert_eq!(key(&desk.delivery().await), key_of(&fire));
    desk.live().await;
    desk.0.set_filter(wants(v1::Kind::ExposedGarbage));
    assert_eq!(desk.until(gap).await, v1::GapReason::FilterChanged);
    assert_eq!(key(&desk.delivery().await), key_of(&garbage));
    desk.live().await;
    let acknowledged = desk.0.acknowledge().await;
    assert!(acknowledged.is_ok(), "{acknowledged:?}");
    served.stop().await;
}

/// The reason of a gap; neither alerts nor losses come before it.
fn gap(event: &Event) -> Option<v1::GapReason> {
    match event {
        Event::Item(Item::Gap(gap)) => Some(gap.reason()),
        Event::Item(Item::Delivery(delivery)) => panic!("{delivery:?} is not to be seen"),
        Event::Lost { reason, .. } => panic!("{reason}"),
        _ => None,
    }
}

#[tokio::test]
async fn a_console_whose_rights_change_comes_back_by_itself_and_learns_when_it_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path()).await;
    let fire = critical();
    served.commit(std::slice::from_ref(&fire)).await;
    let mut desk = Desk::at(folder.path(), named("desk"));
    assert_eq!(key(&desk.delivery().await), key_of(&fire));
    desk.live().await;
    let everything = Principal::new("desk", PrincipalKind::Operator).rights;
    let elsewhere = Grant { rights: everything, divisions: Some(vec!["99".parse().unwrap()]), classes: None };
    served.bus.grant("desk", Some(elsewhere));
    assert_eq!(desk.until(gap).await, v1::GapReason::FilterChanged);
    desk.live().await;
    served.bus.grant("desk", Some(Grant { rights: [Right::RunNode].into(), divisions: None, classes: None }));
    desk.until(|event| lost(event).map(drop)).await;
    assert_eq!(desk.0.refused().map(tonic::Status::code), Some(Code::PermissionDenied));
    served.stop().await;
}
