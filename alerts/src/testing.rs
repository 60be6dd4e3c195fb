//! What tests of this crate share: a bus in a temporary folder, alerts, a console that reads a stream.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use tempfile::TempDir;
pub(crate) use xueliang_base::testing::next_state;
use xueliang_base::{
    alert::{Alert, AlertState},
    incident::Resolution,
    kind::{Kind, Level},
    testing::alert as sample,
    time::{Clock as _, ManualClock, Mono, Wall},
};
use xueliang_proto::v1::{self, PublishOutcome, subscribe_response::Item};

use crate::{
    bus::{Bus, BusOptions, Published, Subscribe, SubscriptionStream},
    rights::{Principal, PrincipalKind},
    spool::Minted,
};

pub(crate) const NOW: Wall = Wall(1_790_000_000_000_000);

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: Bus,
    pub(crate) options: BusOptions,
}

pub(crate) fn options() -> BusOptions {
    BusOptions { bookmark_every: Duration::from_millis(20), ..BusOptions::default() }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(options())
    }
    pub(crate) fn with(options: BusOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(NOW);
        let bus = Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
        Self { folder, clock, bus, options }
    }
    /// Closes the bus and opens it again on the same folder.
    pub(crate) async fn reopen(self) -> Self {
        let Self { folder, clock, bus, options } = self;
        bus.save_acked().await.unwrap();
        close(bus).await;
        let bus = Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
        Self { folder, clock, bus, options }
    }
    pub(crate) async fn publish(&self, alerts: &[Alert]) -> Vec<Published> {
        self.try_publish(alerts).await.unwrap()
    }
    pub(crate) async fn try_publish(&self, alerts: &[Alert]) -> crate::error::Result<Vec<Published>> {
        let publication = |alert| v1::Publication {
            alert: Some(v1::Alert::from(alert)),
            last_round_trip_us: 2_000,
            ..v1::Publication::default()
        };
        let publications = alerts.iter().map(publication).collect();
        self.bus.publish(&node(), publications, self.clock.mono()).await
    }
    pub(crate) async fn commit(&self, alerts: &[Alert]) {
        for one in self.publish(alerts).await {
            assert_eq!(one.outcome, PublishOutcome::Committed, "{}", one.message);
        }
    }
    pub(crate) async fn console(&self, name: &str, wanted: Subscribe) -> Console {
        let principal = Principal::new(name, PrincipalKind::Console);
        let stream = self.bus.subscribe(&principal, wanted).await.unwrap();
        Console { bus: self.bus.clone(), principal, stream }
    }
}

/// Waits until every task has let go of the bus, so that its store is closed.
pub(crate) async fn close(bus: Bus) {
    bus.close_subscriptions();
    let weak = Arc::downgrade(&bus.0);
    drop(bus);
    while weak.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn node() -> Principal {
    Principal::new("node-1", PrincipalKind::Node)
}

pub(crate) fn alert(kind: Kind, level: u8) -> Alert {
    Alert { level: Level::try_from(level).unwrap(), ..sample(kind, NOW) }
}
pub(crate) fn critical() -> Alert {
    alert(Kind::FireFlame, 2)
}
pub(crate) fn major() -> Alert {
    alert(Kind::FireLaneBlocked, 3)
}
pub(crate) fn minor() -> Alert {
    alert(Kind::ExposedGarbage, 4)
}
/// States as they are pushed, minted at one time.
pub(crate) fn minted(states: &[Alert], at: (Mono, Wall)) -> Vec<Minted> {
    states.iter().map(|alert| Minted { alert: alert.clone(), at }).collect()
}
pub(crate) fn resolved(alert: &Alert) -> Alert {
    let mut next = next_state(alert);
    next.state = AlertState::Resolved { why: Resolution::ObservedAbsence, at: NOW };
    next
}

/// A console that reads a stream.
pub(crate) struct Console {
    pub(crate) bus: Bus,
    pub(crate) principal: Principal,
    pub(crate) stream: SubscriptionStream,
}

impl Console {
    /// The next item; a stream that gives none for long is stuck.
    pub(crate) async fn item(&mut self) -> Option<Item> {
        let next = tokio::time::timeout(Duration::from_secs(5), self.stream.next()).await;
        next.expect("the stream gives no item").map(|response| response.item.unwrap())
    }
    /// The next item that is no bookmark.
    pub(crate) async fn news(&mut self) -> Item {
        let news = async {
            loop {
                match self.item().await.expect("the stream ended") {
                    Item::Bookmark(_) => {}
                    item => return item,
                }
            }
        };
        // Bookmarks alone keep a stream alive for ever.
        tokio::time::timeout(Duration::from_secs(10), news).await.expect("nothing but bookmarks comes")
    }
    pub(crate) async fn delivery(&mut self) -> v1::Delivery {
        match self.news().await {
            Item::Delivery(delivery) => delivery,
            other => panic!("{other:?} instead of a delivery"),
        }
    }
    /// Reads up to the end of the snapshot; returns its alerts and the cursor after it.
    pub(crate) async fn snapshot(&mut self) -> (Vec<(String, u64)>, bytes::Bytes) {
        let mut alerts = Vec::new();
        loop {
            match self.news().await {
                Item::Delivery(delivery) => {
                    assert!(delivery.in_snapshot && delivery.cursor.is_empty());
                    alerts.push(key(&delivery));
                }
                Item::Snapshot(mark) if !mark.begin => return (alerts, mark.cursor),
                _ => {}
            }
        }
    }
    pub(crate) fn acknowledge(&self, cursor: &[u8]) -> crate::error::Result<v1::Credit> {
        self.bus.acknowledge(&self.principal, self.stream.id(), cursor)
    }
}

pub(crate) fn key(delivery: &v1::Delivery) -> (String, u64) {
    let alert = delivery.record.as_ref().unwrap().alert.as_ref().unwrap();
    (alert.alert_id.clone(), alert.revision)
}
pub(crate) fn key_of(alert: &Alert) -> (String, u64) {
    (alert.id.to_string(), alert.revision.0)
}

/// A small generator of our own: the crate needs no other randomness in tests.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Random histories of cases.
pub(crate) mod book;
pub(crate) mod histories;
