//! Mistakes that watches of other systems made, as they would look here. Numbers are those of etcd's issues where no
//! other project is named.

use std::time::Duration;

use tokio::task::JoinSet;
use xueliang_base::{cursor::Cursor, kind::Lane, time::Clock as _};
use xueliang_proto::v1::{self, subscribe_response::Item};

use super::{Bus, BusOptions, Filter, Subscribe, credit, options};
use crate::testing::{Bench, Console, alert, critical, key, key_of, major, minor, next_state};

fn place(bench: &Bench, seq: u64) -> Cursor {
    Cursor::at(bench.bus.store().epoch(), seq).under(Filter::default().mark())
}

/// A console that has been opened at a place.
async fn opened(bench: &Bench, cursor: Cursor, wanted: Subscribe) -> Console {
    let mut console = bench.console("c", Subscribe { cursor: Some(cursor), ..wanted }).await;
    assert!(matches!(console.item().await, Some(Item::Opened(_))));
    console
}

/// 18089, 19179: an event at the very revision of a compaction was dropped for watches that began there.
#[tokio::test]
async fn no_row_beside_the_trimmed_stretch_is_passed_over() {
    for window in [1, 1024] {
        let bench = Bench::with(BusOptions { window, ..options() });
        let fires: Vec<_> = (0..12).map(|_| critical()).collect();
        bench.commit(&fires[..6]).await;
        bench.clock.advance(Duration::from_secs(8 * 24 * 3600));
        bench.commit(&fires[6..]).await;
        assert_eq!(bench.bus.store().trim(bench.clock.wall()).await.unwrap(), 6);
        for begin in 0..=12_usize {
            let mut console = opened(&bench, place(&bench, begin as u64), credit(20, 20, 20)).await;
            if begin < 6 {
                let Item::Gap(gap) = console.news().await else { panic!("a gap must be told at {begin}") };
                assert_eq!(gap.missed.iter().map(|one| one.count).sum::<u64>(), 6 - begin as u64);
                assert_eq!(console.snapshot().await.0.len(), 12);
                continue;
            }
            for fire in &fires[begin..] {
                assert_eq!(key(&console.delivery().await), key_of(fire), "from {begin}");
            }
            assert!(matches!(console.item().await, Some(Item::Bookmark(_))));
        }
    }
}

/// python-etcd3 729: of several events of one revision, those after a cut were lost.
#[tokio::test]
async fn a_stream_cut_between_two_rows_of_one_commit_goes_on_between_them() {
    for window in [1, 1024] {
        let bench = Bench::with(BusOptions { window, ..options() });
        let batch: Vec<_> = (0..4).flat_map(|_| [critical(), major(), minor()]).collect();
        bench.commit(&batch).await;
        let start = place(&bench, 0);
        for cut in 0..=batch.len() {
            let mut shown = Vec::new();
            let mut cursor = start;
            let mut first = opened(&bench, start, credit(20, 20, 20)).await;
            for _ in 0..cut {
                let delivery = first.delivery().await;
                cursor = Cursor::decode(&delivery.cursor).unwrap();
                shown.push(key(&delivery));
            }
            drop(first);
            let mut second = opened(&bench, cursor, credit(20, 20, 20)).await;
            for _ in cut..batch.len() {
                shown.push(key(&second.delivery().await));
            }
            assert!(matches!(second.item().await, Some(Item::Bookmark(_))), "cut after {cut}");
            shown.sort();
            let mut all: Vec<_> = batch.iter().map(key_of).collect();
            all.sort();
            assert_eq!(shown, all, "cut after {cut}");
        }
    }
}

/// 15220: a progress notification named a revision whose events were still to come.
#[tokio::test]
async fn no_bookmark_runs_ahead_of_rows_that_wait_for_credit() {
    let bench = Bench::with(BusOptions { bookmark_every: Duration::from_millis(1), ..options() });
    // Every row is critical: the place in the feed counts them.
    let mut console = opened(&bench, place(&bench, 0), credit(3, 3, 3)).await;
    let (mut taken, mut published, mut bookmarks) = (0, 0, 0);
    while taken < 60 {
        if published < 60 {
            bench.commit(&[critical(), critical()]).await;
            published += 2;
        }
        match console.item().await.expect("the stream goes on") {
            Item::Delivery(delivery) => {
                taken += 1;
                if taken % 3 == 0 {
                    console.acknowledge(&delivery.cursor).unwrap();
                }
            }
            Item::Bookmark(bookmark) => {
                let cursor = Cursor::decode(&bookmark.cursor).unwrap();
                assert!(cursor.position(Lane::Critical) <= taken, "{cursor:?} after {taken} rows");
                bookmarks += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(bookmarks > 10, "{bookmarks} bookmarks are no test");
}

/// 8668 and its kin: what was committed between a watch's opening and its becoming live was given by neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_opened_while_rows_are_committed_have_no_seam() {
    const ROWS: u64 = 300;
    let bench = Bench::with(BusOptions { window: 4, ..options() });
    let start = place(&bench, 0);
    let mut consoles = JoinSet::new();
    let read = |bus: Bus, wait: u64| async move {
        tokio::time::sleep(Duration::from_micros(wait)).await;
        let principal =
            crate::rights::Principal::new(format!("c{wait}"), crate::rights::PrincipalKind::Console);
        let wanted = Subscribe { cursor: Some(start), ..credit(1000, 20, 20) };
        let stream = bus.subscribe(&principal, wanted).await.unwrap();
        let mut console = Console { bus, principal, stream };
        assert!(matches!(console.item().await, Some(Item::Opened(_))));
        let mut last = 0;
        while last < ROWS {
            let delivery = console.delivery().await;
            let at = Cursor::decode(&delivery.cursor).unwrap().position(Lane::Critical);
            assert_eq!(at, last + 1, "a row is missing or comes twice");
            last = at;
        }
    };
    for n in 0..20 {
        consoles.spawn(read(bench.bus.clone(), n * 1500));
    }
    for _ in 0..ROWS / 3 {
        bench.commit(&[critical(), critical(), critical()]).await;
        tokio::task::yield_now().await;
    }
    while let Some(read) = consoles.join_next().await {
        read.unwrap();
    }
}

/// An alert that gets worse changes its lane: the states before and after never come in the wrong order, whichever lane
/// is read first.
#[tokio::test]
async fn an_alert_that_changes_its_lane_never_goes_back_in_revision() {
    let bench = Bench::with(BusOptions { window: 2, ..options() });
    let alerts: Vec<_> = (0..10).map(|_| alert(xueliang_base::kind::Kind::FireLaneBlocked, 4)).collect();
    bench.commit(&alerts).await;
    let mut worse: Vec<_> = alerts.iter().map(next_state).collect();
    for (n, state) in worse.iter_mut().enumerate() {
        state.level =
            if n % 2 == 0 { xueliang_base::kind::Level::SEVERE } else { xueliang_base::kind::Level::MAJOR };
    }
    bench.commit(&worse).await;
    let ends: Vec<_> = worse.iter().map(crate::testing::resolved).collect();
    bench.commit(&ends).await;
    let mut console = opened(&bench, place(&bench, 0), credit(64, 64, 64)).await;
    let mut latest = std::collections::BTreeMap::<String, u64>::new();
    loop {
        match console.item().await.unwrap() {
            Item::Delivery(delivery) => {
                let (id, revision) = key(&delivery);
                let before = latest.insert(id, revision).unwrap_or(0);
                assert!(before < revision, "{revision} after {before}");
                assert_ne!(delivery.lane(), v1::Lane::Minor, "its later states are in a more urgent lane");
            }
            Item::Bookmark(_) if latest.len() == 10 && latest.values().all(|revision| *revision == 3) => {
                return;
            }
            Item::Bookmark(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
