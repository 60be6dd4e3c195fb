//! While the store cannot be written consoles see what happens all the same, and afterwards everything once more, stored.

use std::time::Duration;

use xueliang_base::{alert::Alert, kind::Kind, time::Clock as _};
use xueliang_proto::v1::{self, PublishOutcome};

use super::{Subscribe, options};
use crate::{
    bus::{Bus, BusOptions},
    flood::Limits,
    rights::{Principal, PrincipalKind},
    store::faulty_disk::{Fault, FaultyDisk},
    testing::{self, Bench, Console, alert, critical, key, key_of, major, minor, next_state, resolved},
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

fn at(camera: &str) -> Alert {
    let mut one = minor();
    one.place.camera = camera.parse().unwrap();
    one
}

/// What a console is shown while nothing can be stored, in order; the last of it is `last`.
async fn shown(console: &mut Console, last: &Alert) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    while seen.last() != Some(&key_of(last)) {
        let one = console.delivery().await;
        assert!(one.volatile);
        seen.push(key(&one));
    }
    seen
}

#[tokio::test]
async fn what_a_silence_covers_is_not_shown_as_volatile_either() {
    let disk = FaultyDisk::new();
    let bench = Bench::with(on(&disk));
    let request = v1::CreateSilenceRequest {
        scope: Some(v1::SilenceScope { camera_ids: vec!["gate".to_owned()], ..v1::SilenceScope::default() }),
        purpose: v1::SilencePurpose::Maintenance.into(),
        reason: "work at the gate".to_owned(),
        begin_unix_us: 0,
        end_unix_us: bench.clock.wall().plus(Duration::from_secs(600)).0,
    };
    let operator = Principal::new("ana", PrincipalKind::Operator);
    let before = at("gate");
    bench.commit(std::slice::from_ref(&before)).await;
    let silence = bench.bus.create_silence(&operator, request).await.unwrap();
    // Also by a bus that was started after it was made.
    let bench = bench.reopen().await;
    let mut console = bench.console("desk", Subscribe::default()).await;
    console.snapshot().await;
    disk.set(Some(Fault::Full));
    let (silenced, other, fire) = (at("gate"), at("pier"), critical());
    // Whoever was shown an alert is shown its end, and nothing in between.
    let between = next_state(&before);
    let states = [silenced.clone(), other.clone(), fire.clone(), between.clone()];
    assert!(bench.try_publish(&states).await.is_err());
    assert!(bench.try_publish(&[resolved(&silenced)]).await.is_err());
    let end = resolved(&between);
    assert!(bench.try_publish(std::slice::from_ref(&end)).await.is_err());
    let mut seen = shown(&mut console, &end).await;
    seen.sort();
    let mut expected = [&other, &fire, &end].map(key_of);
    expected.sort();
    assert_eq!(seen, expected);
    // Nobody can end the silence now, but its time passes.
    assert!(bench.bus.expire_silence(&operator, silence.silence_id).await.is_err());
    bench.clock.advance(Duration::from_secs(600));
    let late = at("gate");
    assert!(bench.try_publish(&[silenced.clone(), late.clone()]).await.is_err());
    let mut seen = shown(&mut console, &late).await;
    seen.sort();
    let mut expected = [&silenced, &late].map(key_of);
    expected.sort();
    assert_eq!(seen, expected);
    disk.set(None);
    bench.commit(&[silenced, other, fire, between, end, late]).await;
    assert_eq!(bench.bus.volatile(), 0);
}

#[tokio::test]
async fn what_another_alert_makes_needless_is_not_shown_as_volatile_either() {
    for stored in [true, false] {
        let disk = FaultyDisk::new();
        let bench = Bench::with(on(&disk));
        let covered = alert(Kind::CamCovered, 3);
        if stored {
            bench.commit(std::slice::from_ref(&covered)).await;
        }
        let bench = bench.reopen().await;
        let mut console = bench.console("desk", Subscribe::default()).await;
        console.snapshot().await;
        disk.set(Some(Fault::Full));
        if !stored {
            assert!(bench.try_publish(std::slice::from_ref(&covered)).await.is_err());
        }
        let (hidden, elsewhere, fire) = (at("gate"), at("pier"), critical());
        assert!(bench.try_publish(&[hidden.clone(), elsewhere.clone()]).await.is_err());
        assert!(bench.try_publish(std::slice::from_ref(&fire)).await.is_err());
        let seen = shown(&mut console, &fire).await;
        assert!(!seen.contains(&key_of(&hidden)) && seen.contains(&key_of(&elsewhere)), "{stored}: {seen:?}");
        // The camera sees again: what it sees is offered again, and shown.
        let end = resolved(&covered);
        assert!(bench.try_publish(std::slice::from_ref(&end)).await.is_err());
        assert!(bench.try_publish(std::slice::from_ref(&hidden)).await.is_err());
        let seen = shown(&mut console, &hidden).await;
        assert_eq!(seen, [&end, &hidden].map(key_of), "{stored}");
        disk.set(None);
    }
}

#[tokio::test]
async fn members_of_a_flood_are_not_shown_as_volatile_and_what_was_shown_so_joins_none() {
    let disk = FaultyDisk::new();
    let mut options = on(&disk);
    let (window, quiet) = (Duration::from_secs(60), Duration::from_secs(300));
    options.sqlite.floods = Limits { per_division: 5, window, quiet, ..Limits::default() };
    let bench = Bench::with(options);
    let before: Vec<_> = (0..8).map(|index| at(&format!("camera-{index}"))).collect();
    bench.commit(&before).await;
    let mut console = bench.console("desk", Subscribe::default()).await;
    console.snapshot().await;
    disk.set(Some(Fault::Full));
    let (line, member, new) = (next_state(&before[0]), next_state(&before[7]), at("new"));
    let fire = critical();
    // Another kind, of which many come while nothing can be stored.
    let many: Vec<_> = (0..20).map(|_| major()).collect();
    let states = [&[line.clone(), member.clone(), new.clone(), fire.clone()][..], &many[..]].concat();
    assert!(bench.try_publish(&states).await.is_err());
    assert_eq!(bench.bus.volatile(), 2 + many.len());
    for _ in 0..2 + many.len() {
        let one = key(&console.delivery().await);
        assert!(one != key_of(&member) && one != key_of(&new), "{one:?}");
    }
    disk.set(None);
    bench.commit(&states).await;
    assert_eq!(bench.bus.volatile(), 0);
    let mut stored = std::collections::BTreeSet::new();
    while stored.len() < 2 + many.len() {
        let one = console.delivery().await;
        console.acknowledge(&one.cursor).unwrap();
        stored.insert(key(&one));
    }
    let expected: std::collections::BTreeSet<_> = many.iter().chain([&line, &fire]).map(key_of).collect();
    assert_eq!(stored, expected);
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
