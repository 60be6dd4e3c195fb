//! A node whose spool cannot be written: the bus gets its states all the same, in order and once.

use xueliang_base::alert::Alert;

use super::*;
use crate::{
    bus::Subscribe,
    publisher::keeper::Keeper,
    store::faulty_disk::{Fault, FaultyDisk},
    testing::Console,
};

/// A node with a spool on a disk of its own.
struct Node {
    disk: FaultyDisk,
    spool: Arc<Spool>,
    keeper: Keeper<(String, u64)>,
    counts: Arc<PublisherCounts>,
}

impl Node {
    async fn at(folder: &Path) -> Self {
        let disk = FaultyDisk::new();
        let options = SpoolOptions { vfs: Some(disk.vfs()), ..SpoolOptions::default() };
        let clock = SystemClock::shared();
        let spool = Arc::new(Spool::open(&folder.join("node"), clock.clone(), options).unwrap());
        // As in a running node, it is being read when the disk fails.
        spool.pending_latest().await.unwrap();
        let counts = Arc::new(PublisherCounts::default());
        let keeper = Keeper::new(spool.clone(), channel(folder), clock, counts.clone());
        Self { disk, spool, keeper, counts }
    }
    fn add(&mut self, alert: &Alert) {
        self.keeper.add(alert.clone(), key_of(alert));
    }
    /// Works until so many more are kept.
    async fn kept(&mut self, count: usize) -> Vec<(String, u64)> {
        let mut kept = Vec::new();
        while kept.len() < count {
            kept.extend(timeout(PATIENCE, self.keeper.kept()).await.expect("it is never kept"));
        }
        kept
    }
    /// Works for a time, in which nothing may be kept.
    async fn keeps_nothing(&mut self) {
        let kept = timeout(Duration::from_millis(500), self.keeper.kept()).await;
        assert!(kept.is_err(), "{kept:?} are on no disk");
    }
    fn direct(&self) -> u64 {
        self.counts.direct.load(Ordering::Relaxed)
    }
}

async fn console(served: &Served) -> Console {
    let principal = Principal::new("desk", PrincipalKind::Console);
    let stream = served.bus.subscribe(&principal, Subscribe::default()).await.unwrap();
    let mut console = Console { bus: served.bus.clone(), principal, stream };
    console.snapshot().await;
    console
}

/// The next states that a console is shown, with whether they are on disk.
async fn shown(console: &mut Console, count: usize) -> Vec<((String, u64), bool)> {
    let mut shown = Vec::new();
    for _ in 0..count {
        let one = console.delivery().await;
        shown.push((key(&one), !one.volatile));
    }
    shown
}

async fn revisions(served: &Served, alert: &Alert) -> Vec<u64> {
    let history = served.bus.store().history(alert.id).await.unwrap();
    history.into_iter().map(|record| record.alert.unwrap().revision).collect()
}

#[tokio::test]
async fn while_the_spool_fails_the_bus_gets_what_is_minted_and_nothing_is_doubled() {
    for fault in [Fault::Full, Fault::ReadOnly, Fault::Write, Fault::Sync, Fault::Dead] {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::at(folder.path());
        let mut console = console(&served).await;
        let mut node = Node::at(folder.path()).await;
        let publisher = publisher(&node.spool, folder.path());
        let (stop, stopping) = shutdown::pair();
        let publishing = tokio::spawn(publisher.run(stopping));
        let failing = node.keeper.failing();

        let known = critical();
        node.add(&known);
        assert_eq!(node.kept(1).await, [key_of(&known)]);
        assert_eq!(shown(&mut console, 1).await, [(key_of(&known), true)]);
        wait_for(|| node.spool.counts().waiting == 0).await;
        let before = node.direct();

        node.disk.set(Some(fault));
        let fresh = minor();
        let states = [fresh.clone(), next_state(&fresh), next_state(&next_state(&fresh))];
        states.iter().for_each(|state| node.add(state));
        assert_eq!(node.kept(3).await, states.each_ref().map(key_of), "{fault:?}");
        assert_eq!(node.direct() - before, 3, "{fault:?}");
        assert!(*failing.borrow(), "{fault:?}: it is told");
        // A later state of one that it has already, where it can be told that none waits.
        let later = next_state(&known);
        if fault != Fault::Dead {
            node.add(&later);
            assert_eq!(node.kept(1).await, [key_of(&later)], "{fault:?}");
        }
        let last = (key_of(&states[2]), true);
        while shown(&mut console, 1).await[0] != last {}

        node.disk.set(None);
        if fault == Fault::Dead {
            node.add(&later);
            node.kept(1).await;
        }
        node.add(&next_state(&states[2]));
        node.kept(1).await;
        wait_for(|| !node.spool.owes() && node.spool.counts().waiting == 0).await;
        wait_for_revisions(&served, &fresh, &[1, 2, 3, 4]).await;
        wait_for_revisions(&served, &known, &[1, 2]).await;
        assert_eq!(node.spool.counts().dead, 0, "{fault:?}");
        // That it works is told after a while without a failure.
        if fault == Fault::Full {
            let told = async {
                while *failing.borrow() {
                    drop(timeout(Duration::from_millis(50), node.keeper.kept()).await);
                }
            };
            timeout(PATIENCE * 2, told).await.expect("it is never told that the spool works again");
        }
        stop.ask();
        publishing.await.unwrap();
        drop(console);
        served.stop().await;
    }
}

async fn wait_for_revisions(served: &Served, alert: &Alert, expected: &[u64]) {
    let waiting = async {
        while revisions(served, alert).await != expected {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the bus never has all, or has them twice");
}

#[tokio::test]
async fn no_state_overtakes_one_of_its_alert_that_waits_in_the_spool() {
    for fault in [Fault::Full, Fault::Dead] {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::at(folder.path());
        let mut node = Node::at(folder.path()).await;
        let waits = critical();
        node.add(&waits);
        node.kept(1).await;
        node.disk.set(Some(fault));
        // Nobody publishes what the spool holds: only the other one can go.
        let (later, other) = (next_state(&waits), critical());
        node.add(&later);
        node.add(&other);
        assert_eq!(node.kept(1).await, [key_of(&other)], "{fault:?}");
        node.keeps_nothing().await;
        assert!(revisions(&served, &waits).await.is_empty(), "{fault:?}");
        if fault == Fault::Dead {
            node.disk.set(None);
        }
        // What the bus has taken out of the spool stays there for as long as that cannot be written, and stops nothing.
        let (_stop, stopping) = shutdown::pair();
        tokio::spawn(publisher(&node.spool, folder.path()).run(stopping));
        assert_eq!(node.kept(1).await, [key_of(&later)]);
        wait_for_revisions(&served, &waits, &[1, 2]).await;
        if fault == Fault::Full {
            assert!(node.spool.owes());
            assert_eq!(node.spool.counts().waiting, 0);
            node.disk.set(None);
        }
        wait_for(|| !node.spool.owes() && node.spool.counts().waiting == 0).await;
        assert_eq!(node.spool.counts().dead, 0);
    }
}

#[tokio::test]
async fn a_spool_whose_disk_hangs_delays_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let mut node = Node::at(folder.path()).await;
    let failing = node.keeper.failing();
    node.disk.hold_syncs();
    let first = critical();
    let second = next_state(&first);
    node.add(&first);
    assert_eq!(node.kept(1).await, [key_of(&first)]);
    node.add(&second);
    assert_eq!(node.kept(1).await, [key_of(&second)]);
    assert!(*failing.borrow());
    assert_eq!(node.disk.waiting_syncs(), 1, "the write is neither given up nor begun anew");
    assert_eq!(revisions(&served, &first).await, [1, 2]);
    node.disk.release_syncs();
    while node.spool.counts().pushed == 0 {
        drop(timeout(Duration::from_millis(20), node.keeper.kept()).await);
    }
    // It lands in the spool after all, and is no second state for the bus.
    let (_stop, stopping) = shutdown::pair();
    tokio::spawn(publisher(&node.spool, folder.path()).run(stopping));
    wait_for(|| node.spool.counts().waiting == 0).await;
    assert_eq!(revisions(&served, &first).await, [1, 2]);
    assert_eq!(node.spool.counts().dead, 0);
}

#[tokio::test]
async fn when_neither_disk_works_consoles_see_states_as_volatile_and_either_may_heal_first() {
    for spool_first in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let bus_disk = FaultyDisk::new();
        let mut options = testing::options();
        options.sqlite.vfs = Some(bus_disk.vfs());
        let served = Served::on(folder.path(), options, no_assignments);
        let mut console = console(&served).await;
        let mut node = Node::at(folder.path()).await;
        bus_disk.set(Some(Fault::Full));
        node.disk.set(Some(Fault::Full));
        let (first, other) = (critical(), critical());
        for state in [&first, &next_state(&first), &other] {
            node.add(state);
            let mut seen = None;
            while seen != Some((key_of(state), false)) {
                let next = tokio::select! {
                    kept = node.keeper.kept() => panic!("{kept:?} are on no disk"),
                    next = shown(&mut console, 1) => next,
                };
                seen = next.into_iter().next();
            }
        }
        assert_eq!(node.keeper.held(), 3);
        let healing = if spool_first { &node.disk } else { &bus_disk };
        healing.set(None);
        assert_eq!(node.kept(3).await.len(), 3);
        assert_eq!(node.direct() == 0, spool_first);
        bus_disk.set(None);
        node.disk.set(None);
        let (_stop, stopping) = shutdown::pair();
        tokio::spawn(publisher(&node.spool, folder.path()).run(stopping));
        wait_for_revisions(&served, &first, &[1, 2]).await;
        wait_for_revisions(&served, &other, &[1]).await;
    }
}

#[tokio::test]
async fn what_is_held_is_bounded_and_what_the_bus_refuses_is_left_to_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::at(folder.path());
    let mut node = Node::at(folder.path()).await;
    let known = critical();
    let conflicting = Alert { count: known.count + 7, ..known.clone() };
    let publication = v1::Publication { alert: Some((&known).into()), ..v1::Publication::default() };
    let clock = SystemClock::shared();
    served.bus.publish(&testing::node(), vec![publication], clock.mono()).await.unwrap();
    node.disk.set(Some(Fault::Full));
    node.add(&conflicting);
    node.add(&next_state(&known));
    assert_eq!(node.kept(1).await, [key_of(&next_state(&known))]);
    served.stop().await;
    let mut count = 0;
    while node.keeper.has_room() {
        node.add(&minor());
        count += 1;
    }
    assert!((3000..4096).contains(&count), "{count}");
    node.disk.set(None);
    assert_eq!(node.kept(count + 1).await[0], key_of(&conflicting));
    let Node { spool, keeper, disk: _disk, .. } = node;
    drop(keeper);
    let served = Served::at(folder.path());
    let (_stop, stopping) = shutdown::pair();
    tokio::spawn(publisher(&spool, folder.path()).run(stopping));
    let set_aside = async {
        while spool.counts().dead == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE * 4, set_aside).await.expect("it is never set aside");
    assert!(spool.dead().await.unwrap().1.unwrap().contains("conflict"));
    assert_eq!(revisions(&served, &known).await, [1, 2]);
}
