//! A delay shows in the stage in which it happened, and in no other.

use std::collections::BTreeMap;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::AbortHandle,
};
use xueliang_base::{
    alert::Stage,
    time::{Boot, Clock, Wall},
};

use super::*;
use crate::{
    bus::Subscribe,
    store::tests::{hold, slow_down},
    testing::Console,
};

const DELAY: Duration = Duration::from_millis(200);
/// What other stages may take on a busy machine, far less than the delay.
const NOISE: Duration = Duration::from_millis(100);
/// A machine that is too busy for that is asked again: a delay in the wrong stage stays there.
const TRIES: usize = 4;

/// Between publisher and bus: holds up what goes to the bus, and nothing that comes back.
struct Proxy {
    delay_ms: Arc<AtomicU64>,
    accepting: AbortHandle,
}

impl Proxy {
    fn at(folder: &Path) -> Self {
        let listener = UnixListener::bind(folder.join("proxy")).unwrap();
        let delay_ms = Arc::new(AtomicU64::new(0));
        let (delay, to) = (Arc::clone(&delay_ms), socket(folder));
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = UnixStream::connect(&to).await.unwrap();
                let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
                    (near.into_split(), far.into_split());
                let delay = Arc::clone(&delay);
                tokio::spawn(async move {
                    let mut bytes = vec![0; 65_536];
                    while let Ok(count @ 1..) = from_near.read(&mut bytes).await {
                        tokio::time::sleep(Duration::from_millis(delay.load(Ordering::Relaxed))).await;
                        if to_far.write_all(&bytes[..count]).await.is_err() {
                            return;
                        }
                    }
                });
                tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_near).await });
            }
        });
        Self { delay_ms, accepting: accepting.abort_handle() }
    }
    fn delay(&self, by: Duration) {
        self.delay_ms.store(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The clocks of a machine that was started long before, and whose wall clock is wrong.
struct Elsewhere;

impl Clock for Elsewhere {
    fn mono(&self) -> Mono {
        SystemClock.mono().plus(Duration::from_secs(1_000_000))
    }
    fn wall(&self) -> Wall {
        SystemClock.wall().minus(Duration::from_secs(7200))
    }
    fn boot(&self) -> Boot {
        Boot::new("elsewhere")
    }
}

/// From the spool of a node to a console.
struct Way {
    folder: tempfile::TempDir,
    served: Served,
    spool: Arc<Spool>,
    proxy: Proxy,
    console: Console,
    publishing: AbortHandle,
}

impl Way {
    async fn new(clock: SharedClock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::at(folder.path());
        let proxy = Proxy::at(folder.path());
        let options = SpoolOptions::default();
        let spool = Arc::new(Spool::open(&folder.path().join("node"), Arc::clone(&clock), options).unwrap());
        let to = address(&format!("unix:{}", folder.path().join("proxy").display())).unwrap();
        let publisher = Publisher::new(Arc::clone(&spool), to.connect_lazy(), to.connect_lazy(), clock, 1);
        let (stop, stopping) = shutdown::pair();
        let publishing = tokio::spawn(async move {
            let _stop = stop;
            publisher.run(stopping).await;
        })
        .abort_handle();
        let principal = Principal::new("c", PrincipalKind::Console);
        let credit = Some(v1::Credit { critical: 1, major: 1, minor: 1 });
        let wanted = Subscribe { credit, ..Subscribe::default() };
        let stream = served.bus.subscribe(&principal, wanted).await.unwrap();
        let console = Console { bus: served.bus.clone(), principal, stream };
        let mut way = Self { folder, served, spool, proxy, console, publishing };
        assert!(matches!(way.console.item().await, Some(Item::Opened(_))));
        way.console.snapshot().await;
        // Connections are open and clocks compared.
        for _ in 0..3 {
            way.pass().await;
        }
        way
    }
    /// Sends an alert through all stages and acknowledges it.
    async fn pass(&mut self) -> v1::Delivery {
        self.spool.push(&critical()).await.unwrap();
        self.take().await
    }
    async fn take(&mut self) -> v1::Delivery {
        loop {
            let delivery = self.console.delivery().await;
            // A commit that takes long on a busy machine is shown as volatile before it is told of.
            if !delivery.volatile {
                self.console.acknowledge(&delivery.cursor).unwrap();
                return delivery;
            }
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.publishing.abort();
    }
}

fn stages(delivery: &v1::Delivery) -> BTreeMap<Stage, Duration> {
    let alert = delivery.record.as_ref().unwrap().alert.as_ref().unwrap();
    let all = alert.stages.iter().chain(&delivery.deliver);
    all.map(|time| {
        let stage = Stage::ALL.into_iter().find(|stage| v1::Stage::from(*stage) == time.stage()).unwrap();
        (stage, Duration::from_micros(time.duration_us))
    })
    .collect()
}

/// Sees to it that a delay of so long at least stands in one stage, and in no other.
async fn expect_in(
    stage: Stage,
    least: Duration,
    way: &mut Way,
    mut delayed: impl AsyncFnMut(&mut Way) -> v1::Delivery,
) {
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let delivery = delayed(way).await;
        let told = stages(&delivery);
        assert_eq!(
            told.keys().copied().collect::<Vec<_>>(),
            [Stage::Spool, Stage::Hop, Stage::Commit, Stage::Deliver]
        );
        assert!(told[&stage] >= least, "{stage:?} of {told:?}");
        let sum: Duration = told.values().sum();
        assert_eq!(Duration::from_micros(delivery.age_us), sum);
        if told.iter().all(|(other, spent)| *other == stage || *spent < NOISE) {
            return;
        }
        seen.push(told);
    }
    panic!("a delay of {stage:?} stands elsewhere, too: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_shows_in_the_stage_where_it_happened_and_in_no_other() {
    let mut way = Way::new(SystemClock::shared()).await;

    // The node's disk.
    expect_in(Stage::Spool, DELAY, &mut way, async |way| {
        let held = hold(&way.folder.path().join("node/spool.db"));
        let release = async {
            tokio::time::sleep(DELAY).await;
            drop(held);
        };
        tokio::join!(way.pass(), release).0
    })
    .await;

    // The way to the bus.
    expect_in(Stage::Hop, DELAY, &mut way, async |way| {
        way.proxy.delay(DELAY);
        let delivery = way.pass().await;
        way.proxy.delay(Duration::ZERO);
        // What was held up, acknowledgements of the transport, has passed.
        way.pass().await;
        delivery
    })
    .await;

    // The store of the bus, before it takes the state: it is held from before the way there.
    expect_in(Stage::Commit, NOISE, &mut way, async |way| {
        let held = hold(&way.folder.path().join("bus/store.db"));
        let release = async {
            tokio::time::sleep(DELAY).await;
            drop(held);
        };
        tokio::join!(way.pass(), release).0
    })
    .await;

    // A console whose credit is used up.
    expect_in(Stage::Deliver, DELAY, &mut way, async |way| {
        way.spool.push(&critical()).await.unwrap();
        let first = way.console.delivery().await;
        way.spool.push(&critical()).await.unwrap();
        let head = way.served.bus.store().head();
        wait_for(|| way.served.bus.store().head() > head || way.spool.counts().waiting == 0).await;
        tokio::time::sleep(DELAY).await;
        way.console.acknowledge(&first.cursor).unwrap();
        way.take().await
    })
    .await;

    // A console that does not read.
    expect_in(Stage::Deliver, DELAY, &mut way, async |way| {
        way.spool.push(&critical()).await.unwrap();
        wait_for(|| way.spool.counts().waiting == 0).await;
        tokio::time::sleep(DELAY).await;
        way.take().await
    })
    .await;

    // The store, while it writes: what is delivered at once knows how long that took.
    slow_down(&way.folder.path().join("bus"));
    expect_in(Stage::Commit, NOISE, &mut way, async |way| way.pass().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_hop_between_machines_is_told_within_its_uncertainty() {
    let mut way = Way::new(Arc::new(Elsewhere)).await;
    way.proxy.delay(DELAY);
    let delivery = way.pass().await;
    let alert = delivery.record.as_ref().unwrap().alert.as_ref().unwrap();
    let hop = alert.stages.iter().find(|time| time.stage() == v1::Stage::Hop).unwrap();
    assert!(hop.uncertainty_us > 0 && hop.uncertainty_us < micros(DELAY), "{hop:?}");
    assert!(hop.duration_us + hop.uncertainty_us >= micros(DELAY), "{hop:?}");
    // A request that the proxy reads in two pieces is delayed twice.
    assert!(hop.duration_us.saturating_sub(hop.uncertainty_us) < micros(DELAY * 2 + NOISE), "{hop:?}");
    // One round trip of 200 ms says less than the short ones before, and displaces none of them.
    way.proxy.delay(Duration::ZERO);
    way.pass().await;
    let delivery = way.pass().await;
    let alert = delivery.record.as_ref().unwrap().alert.as_ref().unwrap();
    let hop = alert.stages.iter().find(|time| time.stage() == v1::Stage::Hop).unwrap();
    assert!(hop.uncertainty_us < micros(NOISE), "{hop:?}");
}
