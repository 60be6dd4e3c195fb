use xueliang_alerts::{
    bus::{BusOptions, Subscribe},
    evidence::Usage,
    store::faulty_disk::{Fault, FaultyDisk},
};
use xueliang_base::{
    shutdown,
    time::{Clock, ManualClock, SystemClock},
};
use xueliang_proto::v1::subscribe_response::Item;

use super::*;

const START: Wall = Wall(1_790_000_000_000_000);

fn config() -> Config {
    let text = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = []\n\
                [[division]]\ncode = \"330282\"\nname = \"Test\"\n\
                [[camera]]\nid = \"gate\"\nname = \"Gate\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/g\"\n";
    Config::parse(text, std::path::Path::new("/")).unwrap_or_else(|error| panic!("{error}"))
}

fn answer(outcome: PublishOutcome) -> Published {
    Published { outcome, message: String::new() }
}

struct Bench {
    config: Config,
    clock: std::sync::Arc<ManualClock>,
    subject: Subject,
}

impl Bench {
    fn new(subject: Option<Subject>) -> Self {
        Self { config: config(), clock: ManualClock::at(START), subject: subject.unwrap() }
    }
    /// A second later.
    fn step(&mut self, holds: bool) -> Option<Alert> {
        self.step_as(Some(holds))
    }
    fn step_as(&mut self, holds: Option<bool>) -> Option<Alert> {
        self.clock.advance(Duration::from_secs(1));
        let site = Site { config: &self.config, revision: ConfigRevision(3) };
        self.subject.step(holds, (self.clock.mono(), self.clock.wall()), &site)
    }
}

#[tokio::test]
async fn a_commit_that_failed_towards_us_and_landed_raises_no_second_alert() {
    let mut bench = Bench::new(Subject::node("node-1"));
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::open(folder.path(), bench.clock.clone(), BusOptions::default()).unwrap();
    let principal = Principal::new("bus", PrincipalKind::Node);
    for _ in 0..10 {
        assert_eq!(bench.step(true), None, "10 s must pass");
    }
    let alert = bench.step(true).unwrap();
    // It lands, and the answer is lost.
    let first = offer(&bus, &principal, &alert, bench.clock.mono()).await.unwrap();
    assert_eq!(first.outcome, PublishOutcome::Committed);
    let again = bench.step(true).unwrap();
    assert_eq!(again, alert, "the same state is offered again");
    let second = offer(&bus, &principal, &again, bench.clock.mono()).await.unwrap();
    assert_eq!(second.outcome, PublishOutcome::Duplicate);
    assert!(!bench.subject.settle(&second));
    assert_eq!(active(&bus).await.unwrap().len(), 1);

    // Its end is minted once as well, and another bus process goes on with what it finds.
    let end = bench.step(false).unwrap();
    offer(&bus, &principal, &end, bench.clock.mono()).await.unwrap();
    assert_eq!(bench.step(false).unwrap(), end);
    assert!(active(&bus).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_later_bus_process_ends_the_alert_that_it_finds() {
    let mut bench = Bench::new(Subject::store());
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::open(folder.path(), bench.clock.clone(), BusOptions::default()).unwrap();
    let principal = Principal::new("bus", PrincipalKind::Node);
    let alert = bench.step(true).expect("a failing store is told at once");
    assert_eq!(alert.kind.number(), 8301);
    offer(&bus, &principal, &alert, bench.clock.mono()).await.unwrap();

    let mut later = Bench::new(Subject::store());
    later.clock.advance(Duration::from_secs(100));
    adopt(active(&bus).await.unwrap(), std::iter::once(&mut later.subject));
    let end = later.step(false).unwrap();
    assert_eq!((end.id, end.revision), (alert.id, AlertRevision(2)));
    let answer = offer(&bus, &principal, &end, later.clock.mono()).await.unwrap();
    assert!(!later.subject.settle(&answer));
    assert!(active(&bus).await.unwrap().is_empty());
    assert_eq!(later.step(false), None);
}

#[test]
fn a_store_that_failed_and_works_again_is_told_of_afterwards() {
    let mut bench = Bench::new(Subject::store());
    let alert = bench.step(true).unwrap();
    for _ in 0..60 {
        assert_eq!(bench.step(true).as_ref(), Some(&alert), "offered until it is stored");
    }
    // It works again before the alert about it is stored: that comes first, its end after it.
    assert_eq!(bench.step(false).as_ref(), Some(&alert));
    bench.subject.settle(&answer(PublishOutcome::Committed));
    let end = bench.step(false).unwrap();
    assert_eq!(end.id, alert.id);
    assert!(!end.state.is_firing());
    assert_eq!(end.started, alert.started, "dated from when it began");
}

#[test]
fn what_the_store_refuses_for_good_is_neither_taken_for_stored_nor_minted_every_second() {
    for outcome in [PublishOutcome::Conflict, PublishOutcome::Invalid, PublishOutcome::Stale] {
        let mut bench = Bench::new(Subject::store());
        bench.step(true).unwrap();
        assert!(bench.subject.settle(&answer(outcome)), "{outcome:?}: what is on disk is read again");
        assert!(bench.subject.active.is_none(), "{outcome:?}");
        assert_eq!(bench.step(true), None);
        assert_eq!(bench.step(false), None);
        assert!(bench.step(true).is_some(), "the next failure is told");
    }
}

#[tokio::test]
async fn a_store_that_nobody_uses_is_tried_and_does_not_grow() {
    let bench = Bench::new(Subject::store());
    let folder = tempfile::tempdir().unwrap();
    // As many pages as the schema needs and a few more: the disk is full soon.
    let mut options = BusOptions::default();
    options.sqlite.max_pages = Some(std::sync::Arc::new(250.into()));
    let bus = Bus::open(folder.path(), bench.clock.clone(), options).unwrap();
    let before = bus.store().health();
    try_store(&bus).await;
    let after = bus.store().health();
    assert_eq!(after.commits, before.commits + 1, "a try is a commit");
    assert_eq!(after.failing, None);
    // The same row again and again takes no more room.
    for _ in 0..200 {
        try_store(&bus).await;
    }
    assert_eq!(bus.store().health().failing, None);
}

fn report(not_analysing: bool) -> NodeSeen {
    NodeSeen {
        node: "node-1".to_owned(),
        reported: START,
        config_revision: 3,
        alive: true,
        not_analysing,
        spool_failing: false,
    }
}

#[test]
fn a_node_without_a_look_worker_is_told_after_ten_seconds_and_ends_with_the_first_that_is_ready() {
    let mut bench = Bench::new(Subject::workers("node-1"));
    let down = report(true);
    for _ in 0..10 {
        let holds = bench.subject.holds(Some(&down));
        assert_eq!(bench.step_as(holds), None, "models load");
    }
    let holds = bench.subject.holds(Some(&down));
    let alert = bench.step_as(holds).unwrap();
    assert_eq!((alert.kind.number(), alert.explanation.rule.as_str()), (8401, "no_look_worker"));
    assert!(!bench.subject.settle(&answer(PublishOutcome::Committed)));
    // A node that is silent tells nothing of its workers: that it is silent has an alert of its own.
    let unknown = bench.subject.holds(None);
    for _ in 0..30 {
        assert_eq!(bench.step_as(unknown), None);
    }
    let silent = Subject::node("node-1").unwrap();
    assert_eq!((silent.holds(None), silent.holds(Some(&down))), (Some(true), Some(false)));
    assert!(!silent.is_about(&alert), "two alerts of one node and kind are told apart");
    let ready = bench.subject.holds(Some(&report(false)));
    let end = bench.step_as(ready).unwrap();
    assert_eq!((end.id, end.state.is_firing()), (alert.id, false));
}

#[test]
fn workers_that_are_replaced_within_seconds_are_no_alert() {
    let mut bench = Bench::new(Subject::workers("node-1"));
    for second in 0..60 {
        assert_eq!(bench.step(second % 9 != 0), None);
    }
}

#[tokio::test]
async fn space_for_evidence_is_told_at_eighty_percent_again_when_it_shrinks_and_ends_below_seventy_five() {
    let usage = |percent: u64| Usage {
        used_bytes: percent,
        max_bytes: 100,
        room_bytes: 100,
        pieces: 1,
        kinds: [(0, 0), (0, 0), (percent, 1)],
        days_left: Some(3.5),
        disk_free_bytes: 1 << 40,
        reserve_bytes: 1,
        held_alerts: 0,
    };
    let mut bench = Bench::new(space::subject());
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::open(folder.path(), bench.clock.clone(), BusOptions::default()).unwrap();
    let principal = Principal::new("bus", PrincipalKind::Node);
    let mut told = Vec::new();
    for percent in [10, 79, 80, 85, 79, 90, 89, 91, 100, 90, 75, 76, 74, 79] {
        let holds = space::take(&mut bench.subject, &usage(percent));
        if let Some(alert) = bench.step(holds) {
            let answer = offer(&bus, &principal, &alert, bench.clock.mono()).await.unwrap();
            assert_eq!(answer.outcome, PublishOutcome::Committed, "{}", answer.message);
            bench.subject.settle(&answer);
            told.push((percent, alert));
        }
        // A later process goes on with what it finds.
        if percent == 85 {
            let mut later = space::subject().unwrap();
            adopt(active(&bus).await.unwrap(), std::iter::once(&mut later));
            assert!(later.active.is_some());
            bench.subject = later;
        }
    }
    let when: Vec<_> = told.iter().map(|(percent, alert)| (*percent, alert.state.is_firing())).collect();
    assert_eq!(when, [(80, true), (90, true), (100, true), (74, false)]);
    assert!(told.iter().all(|(_, alert)| alert.id == told[0].1.id && alert.kind == Kind::StorageFault));
    let value = |alert: &Alert, kind| alert.measures.iter().find(|one| one.kind == kind).unwrap().value;
    assert!((value(&told[1].1, MeasureKind::UsedShare) - 0.9).abs() < 1e-9);
    assert!((value(&told[0].1, MeasureKind::DaysLeft) - 3.5).abs() < 1e-9);
    // It is not the alert about a store that fails.
    assert!(!Subject::store().unwrap().is_about(&told[0].1));
}

#[tokio::test]
async fn consoles_are_told_that_the_store_fails_while_it_does_and_that_it_works_again() {
    for slow in [false, true] {
        let disk = FaultyDisk::new();
        let folder = tempfile::tempdir().unwrap();
        let mut options = BusOptions::default();
        options.sqlite.vfs = Some(disk.vfs());
        let clock = SystemClock::shared();
        let bus = Bus::open(folder.path(), clock.clone(), options).unwrap();
        let console = Principal::new("desk", PrincipalKind::Console);
        let mut stream = bus.subscribe(&console, Subscribe::default()).await.unwrap();
        let (stop, stopping) = shutdown::pair();
        let watching = tokio::spawn(run(bus.clone(), config(), ConfigRevision(3), clock.clone(), stopping));
        // The first try of the store is over, and the next far away: what fails is an alert.
        while bus.store().health().commits == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if slow {
            disk.hold_syncs();
        } else {
            disk.set(Some(Fault::Full));
        }
        let row = Acked {
            principal: "bus".to_owned(),
            subscription: "fails".to_owned(),
            cursor: Cursor::start(bus.store().epoch()),
        };
        let write = tokio::spawn(bus.store().save_acked(vec![row]));
        let mut next = async || loop {
            let item = timeout(Duration::from_secs(30), stream.next()).await.unwrap().unwrap().item;
            if let Some(Item::Delivery(delivery)) = item {
                let alert = delivery.record.unwrap().alert.unwrap();
                break (delivery.volatile, alert.alert_id, alert.revision, alert.kind);
            }
        };
        let (volatile, id, revision, kind) = next().await;
        assert!(volatile, "slow: {slow}");
        assert_eq!((revision, kind), (1, 8301));
        assert!(bus.store().health().failing.is_some());
        disk.set(None);
        disk.release_syncs();
        assert_eq!(next().await, (false, id.clone(), 1, 8301), "stored under its id");
        assert_eq!(next().await, (false, id, 2, 8301), "and ended");
        drop(write.await.unwrap());
        stop.ask();
        watching.await.unwrap();
    }
}

#[tokio::test]
async fn consoles_are_told_that_a_node_cannot_write_its_spool_and_that_it_can_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let bus = Bus::open(folder.path(), clock.clone(), BusOptions::default()).unwrap();
    let console = Principal::new("desk", PrincipalKind::Console);
    let mut stream = bus.subscribe(&console, Subscribe::default()).await.unwrap();
    let (stop, stopping) = shutdown::pair();
    let report = |spool_failing| {
        let report = xueliang_proto::v1::ReportRequest { spool_failing, ..Default::default() };
        bus.board().report("node-1", report);
    };
    report(true);
    let watching = tokio::spawn(run(bus.clone(), config(), ConfigRevision(3), clock.clone(), stopping));
    for (spool_failing, revision) in [(true, 1), (false, 2)] {
        report(spool_failing);
        let alert = loop {
            let item = timeout(Duration::from_secs(30), stream.next()).await.unwrap().unwrap().item;
            if let Some(Item::Delivery(delivery)) = item {
                break delivery.record.unwrap().alert.unwrap();
            }
        };
        let place = alert.place.unwrap();
        assert_eq!((alert.kind, alert.revision), (8301, revision));
        assert_eq!(
            (place.camera_id.as_str(), place.camera_name.as_str()),
            ("node-1", "spool of node node-1")
        );
    }
    stop.ask();
    watching.await.unwrap();
}
