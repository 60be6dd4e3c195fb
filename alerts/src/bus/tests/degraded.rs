//! While the store cannot be written consoles see what happens all the same, and afterwards everything once more, stored.

use std::time::Duration;

use xueliang_base::time::Clock as _;
use xueliang_proto::v1::{self, PublishOutcome};

use super::{Subscribe, options};
use crate::{
    bus::{Bus, BusOptions},
    rights::{Principal, PrincipalKind},
    store::faulty_disk::{Fault, FaultyDisk},
    testing::{self, Bench, critical, key, key_of, major, minor, next_state},
};

fn on(disk: &FaultyDisk) -> BusOptions {
    let mut options = options();
    options.sqlite.vfs = Some(disk.vfs());
    options.sqlite.slow_after = Duration::from_millis(100);
    options
}

#[tokio::test]
async fn alerts_reach_consoles_as_volatile_while_the_disk_fails_and_are_delivered_once_it_works() {
    for fault in [Fault::Full, Fault::ReadOnly, Fault::Write, Fault::Sync] {
        let disk = FaultyDisk::new();
        let bench = Bench::with(on(&disk));
        let mut early = bench.console("early", Subscribe::default()).await;
        early.snapshot().await;
        disk.set(Some(fault));
        let (urgent, other) = (critical(), minor());
        // A publisher tries again and again; consoles see each state once, the urgent one first.
        for _ in 0..3 {
            assert!(bench.try_publish(&[other.clone(), urgent.clone()]).await.is_err(), "{fault:?}");
        }
        let later = next_state(&urgent);
        assert!(bench.try_publish(std::slice::from_ref(&later)).await.is_err());
        let mut late = bench.console("late", Subscribe::default()).await;
        assert!(late.snapshot().await.0.is_empty(), "{fault:?}: nothing is on disk");
        let mut seen = Vec::new();
        while seen.last() != Some(&key_of(&later)) {
            let one = early.delivery().await;
            assert!(one.volatile && one.cursor.is_empty() && !one.in_snapshot, "{fault:?}");
            assert_eq!(one.record.as_ref().unwrap().committed_unix_us, 0);
            seen.push(key(&one));
        }
        seen.sort_unstable();
        let count = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), count, "{fault:?}: no state is shown twice");
        for expected in [key_of(&later), key_of(&other)] {
            let one = late.delivery().await;
            assert!(one.volatile);
            assert_eq!(key(&one), expected, "{fault:?}: the latest states, critical first");
        }

        disk.set(None);
        bench.commit(&[other.clone(), urgent.clone(), later.clone()]).await;
        assert_eq!(bench.bus.volatile(), 0);
        for console in [&mut early, &mut late] {
            let mut stored = Vec::new();
            while stored.len() < 3 {
                let one = console.delivery().await;
                if one.volatile {
                    assert_eq!(key(&one), key_of(&other), "{fault:?}: seen late, and before it was stored");
                    assert!(stored.is_empty());
                    continue;
                }
                assert!(!one.cursor.is_empty());
                console.acknowledge(&one.cursor).unwrap();
                stored.push(key(&one));
            }
            assert_eq!(stored, [key_of(&urgent), key_of(&later), key_of(&other)], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_slow_disk_delays_no_console_and_acknowledges_only_what_is_on_it() {
    let disk = FaultyDisk::new();
    let bench = Bench::with(on(&disk));
    let mut console = bench.console("desk", Subscribe::default()).await;
    console.snapshot().await;
    disk.hold_syncs();
    let alert = critical();
    let states = [alert.clone()];
    let publishing = bench.try_publish(&states);
    tokio::pin!(publishing);
    let shown = tokio::select! {
        _ = &mut publishing => panic!("acknowledged before it was on disk"),
        shown = console.delivery() => shown,
    };
    assert!(shown.volatile);
    assert_eq!(key(&shown), key_of(&alert));
    bench.clock.advance(Duration::from_secs(1));
    assert!(bench.bus.store().health().failing.unwrap().contains("check the disk"));
    // A console that comes now is let in, and sees it.
    let mut late = bench.console("late", Subscribe::default()).await;
    late.snapshot().await;
    assert!(late.delivery().await.volatile);
    let (syncs, _) = disk.syncs();
    assert_eq!(disk.waiting_syncs(), 1, "the commit is neither given up nor begun anew");
    disk.release_syncs();
    publishing.await.unwrap();
    assert_eq!(disk.syncs(), (syncs + 1, 0), "one sync has stored it");
    assert_eq!(bench.bus.store().health().failing, None);
    for console in [&mut console, &mut late] {
        let stored = console.delivery().await;
        assert!(!stored.volatile && !stored.cursor.is_empty());
        assert_eq!(key(&stored), key_of(&alert));
    }
    assert_eq!(bench.publish(&states).await[0].outcome, PublishOutcome::Duplicate);
}

#[tokio::test]
async fn what_is_on_disk_already_or_belongs_to_another_is_not_shown_as_volatile() {
    let disk = FaultyDisk::new();
    let bench = Bench::with(on(&disk));
    let alert = critical();
    let later = next_state(&alert);
    bench.commit(&[alert.clone(), later.clone()]).await;
    // As in a running bus, the record is being read when the disk fails.
    assert!(bench.bus.store().exists(alert.id).await.unwrap());
    disk.set(Some(Fault::Full));
    // With each comes a new one, so that there is something that cannot be written.
    assert!(bench.try_publish(&[critical(), alert, later.clone()]).await.is_err());
    assert_eq!(bench.bus.volatile(), 1, "consoles have the others");
    let other = Principal::new("node-2", PrincipalKind::Node);
    let publication =
        |alert: &_| v1::Publication { alert: Some(v1::Alert::from(alert)), ..v1::Publication::default() };
    let theirs = vec![publication(&critical()), publication(&next_state(&later))];
    assert!(bench.bus.publish(&other, theirs, bench.clock.mono()).await.is_err());
    assert_eq!(bench.bus.volatile(), 2, "only its publisher can change an alert");
}

#[tokio::test]
async fn what_is_shown_is_bounded_and_a_flood_of_minor_states_displaces_no_critical_one() {
    let disk = FaultyDisk::new();
    let bench = Bench::with(on(&disk));
    disk.set(Some(Fault::Full));
    for _ in 0..10 {
        let flood: Vec<_> = (0..256).map(|_| minor()).collect();
        assert!(bench.try_publish(&flood).await.is_err());
    }
    assert!(bench.try_publish(&[critical(), major()]).await.is_err());
    assert_eq!(bench.bus.volatile(), 1024 + 2);
    let dropped = bench.bus.counts().volatile_dropped.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(dropped, 2560 - 1024);
}

#[tokio::test]
async fn a_bus_that_starts_while_its_disk_fails_serves_or_says_why_not_and_has_all_once_it_works() {
    for fault in [Fault::Full, Fault::ReadOnly, Fault::Write, Fault::Sync, Fault::Dead] {
        let disk = FaultyDisk::new();
        let bench = Bench::with(on(&disk));
        let (before, after) = (critical(), critical());
        bench.commit(std::slice::from_ref(&before)).await;
        let Bench { folder, clock, bus, options } = bench;
        testing::close(bus).await;
        disk.set(Some(fault));
        let bench = match Bus::open(folder.path(), clock.clone(), options.clone()) {
            Ok(bus) => {
                let bench = Bench { folder, clock, bus, options };
                let mut console = bench.console("desk", Subscribe::default()).await;
                console.snapshot().await;
                assert!(bench.try_publish(std::slice::from_ref(&after)).await.is_err(), "{fault:?}");
                assert!(console.delivery().await.volatile, "{fault:?}");
                disk.set(None);
                bench
            }
            // The process ends with this, and is started again until it can.
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("make room") || text.contains("check"), "{fault:?}: {text}");
                disk.set(None);
                let bus = Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
                Bench { folder, clock, bus, options }
            }
        };
        bench.commit(std::slice::from_ref(&after)).await;
        for alert in [before, after] {
            assert!(bench.bus.store().exists(alert.id).await.unwrap(), "{fault:?}");
        }
    }
}
