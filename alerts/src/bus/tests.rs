//! Promises of the bus, one by one. `model` holds them all together on random histories.

mod audit;
mod clock;
mod custodians;
mod degraded;
mod entitled;
mod filings;
mod group;
mod model;
mod picture;
mod suppression;
mod watch_bugs;

use std::time::Duration;

use xueliang_base::{
    cursor::{Cursor, Epoch},
    kind::Lane,
    time::Clock as _,
};
use xueliang_proto::v1::{self, CloseReason, PublishOutcome, subscribe_response::Item};

use super::*;
use crate::{
    error::Error,
    filter::Filter,
    rights::{Principal, PrincipalKind},
    testing::{Bench, alert, close, critical, key, key_of, major, minor, next_state, options, resolved},
};

fn credit(critical: u32, major: u32, minor: u32) -> Subscribe {
    Subscribe { credit: Some(v1::Credit { critical, major, minor }), ..Subscribe::default() }
}

#[tokio::test]
async fn the_same_state_is_stored_once_and_another_content_is_a_conflict() {
    let bench = Bench::new();
    let first = critical();
    let second = next_state(&first);
    bench.commit(&[first.clone(), second.clone()]).await;
    let mut other = second.clone();
    other.count = 99;
    let mut elsewhere = next_state(&second);
    elsewhere.place.camera = "pier".parse().unwrap();
    let mut skipped = first.clone();
    skipped.id = xueliang_base::id::AlertId::mint();
    skipped.revision.0 = 3;
    let mut late = skipped.clone();
    late.revision.0 = 2;
    let outcomes: Vec<_> = bench
        .publish(&[first, second, other, elsewhere, skipped, late])
        .await
        .into_iter()
        .map(|one| one.outcome)
        .collect();
    use PublishOutcome::{Committed, Conflict, Duplicate, Invalid, Stale};
    assert_eq!(outcomes, [Duplicate, Duplicate, Conflict, Invalid, Committed, Stale]);
    let health = bench.bus.store().health();
    assert_eq!((health.stale, health.conflicts), (1, 1));
}

#[tokio::test]
async fn a_detector_does_not_set_level_1_and_faults_are_told_one_by_one() {
    let bench = Bench::new();
    let answers = bench.publish(&[alert(xueliang_base::kind::Kind::FireFlame, 1), critical()]).await;
    assert_eq!(answers[0].outcome, PublishOutcome::Invalid);
    assert!(answers[0].message.contains("people only"));
    assert_eq!(answers[1].outcome, PublishOutcome::Committed);
    let console = Principal::new("c", PrincipalKind::Console);
    let refused = bench.bus.publish(&console, Vec::new(), bench.clock.mono()).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn what_stays_in_memory_is_a_minutes_worth_and_the_store_has_the_rest() {
    let bench = Bench::new();
    let filter = Filter::default();
    let in_memory =
        |after| bench.bus.0.hub.after(Lane::Critical, after, &filter, false, 100).map(|f| f.rows.len());
    let start = bench.bus.0.hub.head();
    let fires = [critical(), critical(), critical()];
    bench.commit(&fires[..2]).await;
    assert_eq!(in_memory(start), Some(2));
    bench.clock.advance(Duration::from_secs(61));
    bench.commit(&fires[2..]).await;
    assert_eq!(in_memory(start), None, "the first two are in the store only");
    assert_eq!(in_memory(start + 2), Some(1));
    let at = Cursor::at(bench.bus.store().epoch(), start);
    let mut console = bench.console("c", Subscribe { cursor: Some(at), ..credit(9, 9, 9) }).await;
    assert!(matches!(console.news().await, Item::Opened(_)));
    for fire in &fires {
        assert_eq!(key(&console.delivery().await), key_of(fire));
    }
}

#[tokio::test]
async fn nobody_changes_the_alert_of_another_publisher() {
    let bench = Bench::new();
    let fire = critical();
    bench.commit(std::slice::from_ref(&fire)).await;
    let other = Principal::new("node-2", PrincipalKind::Node);
    for state in [resolved(&fire), next_state(&fire), fire.clone()] {
        let publication =
            v1::Publication { alert: Some(v1::Alert::from(&state)), ..v1::Publication::default() };
        let answers = bench.bus.publish(&other, vec![publication], bench.clock.mono()).await.unwrap();
        assert_eq!(answers[0].outcome, PublishOutcome::Invalid);
        assert!(answers[0].message.contains("another publisher"), "{}", answers[0].message);
    }
    let history = bench.bus.store().history(fire.id).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].alert.as_ref().unwrap().publisher, "node-1");
    bench.commit(&[resolved(&fire)]).await;
}

#[tokio::test]
async fn a_console_gets_a_snapshot_then_what_comes_without_a_seam() {
    let bench = Bench::new();
    let (a, b, c) = (critical(), major(), minor());
    bench.commit(&[a.clone(), b.clone(), c.clone(), resolved(&b)]).await;
    let mut console = bench.console("c", Subscribe::default()).await;
    assert!(matches!(console.item().await, Some(Item::Opened(_))));
    let (active, after) = console.snapshot().await;
    assert_eq!(active, [key_of(&a), key_of(&c)]);
    let d = critical();
    bench.commit(std::slice::from_ref(&d)).await;
    let delivery = console.delivery().await;
    assert_eq!(key(&delivery), key_of(&d));
    assert!(!delivery.in_snapshot && !delivery.late);
    let stages = &delivery.record.as_ref().unwrap().alert.as_ref().unwrap().stages;
    let sum: u64 = stages.iter().map(|one| one.duration_us).sum();
    assert_eq!(delivery.age_us, sum + delivery.deliver.unwrap().duration_us);

    // From the cursor after the snapshot it comes again, from its own cursor it does not.
    let resume = Subscribe { cursor: Some(Cursor::decode(&after).unwrap()), ..Subscribe::default() };
    let mut again = bench.console("c2", resume).await;
    assert_eq!(
        key(&{
            again.item().await;
            again.delivery().await
        }),
        key_of(&d)
    );
    let resume =
        Subscribe { cursor: Some(Cursor::decode(&delivery.cursor).unwrap()), ..Subscribe::default() };
    let mut on = bench.console("c3", resume).await;
    on.item().await;
    let e = critical();
    bench.commit(std::slice::from_ref(&e)).await;
    assert_eq!(key(&on.delivery().await), key_of(&e));
}

#[tokio::test]
async fn a_late_delivery_is_marked_and_dated() {
    let bench = Bench::new();
    let start = Subscribe { cursor: Some(Cursor::start(bench.bus.store().epoch())), ..Subscribe::default() };
    bench.commit(&[critical()]).await;
    bench.clock.advance(Duration::from_secs(6));
    let mut console = bench.console("c", start).await;
    console.item().await;
    let delivery = console.delivery().await;
    assert!(delivery.late && delivery.age_us >= 6_000_000, "{delivery:?}");
    assert_eq!(delivery.deliver.unwrap().duration_us, 6_000_000);
}

#[tokio::test]
async fn a_critical_lane_without_credit_ends_its_subscription_with_its_cursor() {
    let bench = Bench::new();
    let mut console = bench.console("c", credit(2, 0, 0)).await;
    console.item().await;
    console.snapshot().await;
    let alerts: Vec<_> = (0..5).map(|_| critical()).collect();
    bench.commit(&alerts).await;
    let first = console.delivery().await;
    console.delivery().await;
    // What was acknowledged in time makes room.
    let left = console.acknowledge(&first.cursor).unwrap();
    assert_eq!(left.critical, 1);
    console.delivery().await;
    let closed = loop {
        bench.clock.advance(Duration::from_millis(300));
        match console.item().await.expect("Closed comes last") {
            Item::Bookmark(_) => {}
            Item::Closed(closed) => break closed,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(closed.reason(), CloseReason::CriticalStalled);
    assert!(console.item().await.is_none());
    let resume = Subscribe { cursor: Some(Cursor::decode(&closed.cursor).unwrap()), ..Subscribe::default() };
    let mut again = bench.console("c", resume).await;
    again.item().await;
    assert_eq!(key(&again.delivery().await), key_of(&alerts[3]));
    assert_eq!(key(&again.delivery().await), key_of(&alerts[4]));
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("the condition never holds");
}

#[tokio::test]
async fn a_connection_that_takes_nothing_while_a_critical_record_waits_ends_within_2_s_and_frees_its_place() {
    let bench = Bench::new();
    let mut console = bench.console("c", credit(1024, 1024, 1024)).await;
    console.item().await;
    let (_, cursor) = console.snapshot().await;
    // The console stops reading, its connection stands: what is on the way fills up with major alerts. That alone
    // would end the stream after 10 s.
    bench.commit(&(0..60).map(|_| major()).collect::<Vec<_>>()).await;
    until(|| console.stream.items.len() == console.stream.items.max_capacity()).await;
    bench.clock.advance(Duration::from_secs(3));
    let fire = critical();
    bench.commit(std::slice::from_ref(&fire)).await;
    let began = bench.clock.mono();
    let open = || bench.bus.subscriptions();
    while open() > 0 {
        bench.clock.advance(Duration::from_millis(500));
        let _ended = tokio::time::timeout(Duration::from_millis(150), until(|| open() == 0)).await;
        assert!(bench.clock.mono().since(began) < Duration::from_secs(4));
    }
    // The stream was not read, and is over all the same: its place is free, what it delivered is acknowledged.
    let closed = loop {
        match console.news().await {
            Item::Closed(closed) => break closed,
            Item::Delivery(delivery) => drop(console.acknowledge(&delivery.cursor).unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(closed.reason(), CloseReason::CriticalStalled);
    assert_ne!(closed.cursor, cursor);
    let resume = Subscribe { cursor: Some(Cursor::decode(&closed.cursor).unwrap()), ..Subscribe::default() };
    let mut again = bench.console("c", resume).await;
    again.item().await;
    assert_eq!(key(&again.delivery().await), key_of(&fire));
}

#[tokio::test]
async fn of_two_streams_opened_at_once_under_one_name_one_lives() {
    let bench = Bench::new();
    let named = || Subscribe { name: "desk".into(), ..Subscribe::default() };
    let (first, second) = tokio::join!(bench.console("c", named()), bench.console("c", named()));
    assert_eq!(bench.bus.subscriptions(), 1);
    let mut closed = 0;
    for mut console in [first, second] {
        // The one that lives goes on with bookmarks after its snapshot; the other may have one on its way.
        let mut bookmarks = 0;
        while bookmarks < 5 {
            match console.item().await.unwrap() {
                Item::Closed(told) => {
                    assert_eq!(told.reason(), CloseReason::Replaced);
                    closed += 1;
                    break;
                }
                Item::Bookmark(bookmark) => bookmarks += u32::from(!bookmark.cursor.is_empty()),
                _ => {}
            }
        }
    }
    assert_eq!(closed, 1);
}

#[tokio::test]
async fn a_long_snapshot_gives_signs_of_life_that_lead_nowhere() {
    let bench = Bench::with(BusOptions { bookmark_every: Duration::from_micros(1), ..options() });
    bench.commit(&(0..200).map(|_| major()).collect::<Vec<_>>()).await;
    let mut console = bench.console("c", Subscribe::default()).await;
    let (mut inside, mut signs, mut told) = (false, 0, 0);
    loop {
        match console.item().await.unwrap() {
            Item::Snapshot(mark) if mark.begin => inside = true,
            Item::Snapshot(_) => break,
            Item::Bookmark(bookmark) => {
                assert!(inside && bookmark.cursor.is_empty());
                console.acknowledge(&bookmark.cursor).unwrap();
                signs += 1;
            }
            Item::Delivery(_) => told += 1,
            other => assert!(matches!(other, Item::Opened(_)), "{other:?}"),
        }
    }
    assert!(told == 200 && signs > 0, "{told} alerts, {signs} signs");
}

#[tokio::test]
async fn a_major_lane_that_is_behind_gets_latest_states_only() {
    let bench = Bench::new();
    let mut console = bench.console("c", credit(0, 1, 0)).await;
    console.item().await;
    console.snapshot().await;
    let (a, b) = (major(), major());
    bench.commit(std::slice::from_ref(&a)).await;
    let first = console.delivery().await;
    let (b2, b3) = (next_state(&b), next_state(&next_state(&b)));
    bench.commit(&[b, b2, b3.clone()]).await;
    console.acknowledge(&first.cursor).unwrap();
    assert_eq!(key(&console.delivery().await), key_of(&b3));
}

#[tokio::test]
async fn minor_alerts_beyond_the_credit_are_counted_exactly_with_their_ids() {
    let bench = Bench::with(BusOptions { window: 100, ..options() });
    let mut console = bench.console("c", credit(0, 0, 4)).await;
    console.item().await;
    console.snapshot().await;
    let mut alerts: Vec<_> = (0..600).map(|_| minor()).collect();
    for chunk in alerts.chunks(200) {
        bench.commit(chunk).await;
    }
    let mut told = Vec::new();
    while told.len() < alerts.len() {
        match console.news().await {
            Item::Delivery(delivery) => {
                told.push(key(&delivery).0);
                console.acknowledge(&delivery.cursor).unwrap();
            }
            Item::Summary(summary) => {
                assert!(summary.alert_ids.len() <= 256);
                assert_eq!(
                    summary.counts.iter().map(|one| one.count).sum::<u64>(),
                    summary.alert_ids.len() as u64
                );
                told.extend(summary.alert_ids);
                console.acknowledge(&summary.cursor).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    let mut ids: Vec<_> = alerts.drain(..).map(|alert| alert.id.to_string()).collect();
    ids.sort();
    told.sort();
    assert_eq!(told, ids);
}

#[tokio::test]
async fn a_flood_of_minor_alerts_does_not_delay_a_critical_one() {
    let bench = Bench::new();
    let mut console = bench.console("c", Subscribe::default()).await;
    console.item().await;
    console.snapshot().await;
    for _ in 0..4 {
        bench.commit(&(0..250).map(|_| minor()).collect::<Vec<_>>()).await;
    }
    let fire = critical();
    bench.commit(std::slice::from_ref(&fire)).await;
    // At most what was handed over before the fire stands before it.
    for _ in 0..40 {
        if let Item::Delivery(delivery) = console.news().await
            && key(&delivery) == key_of(&fire)
        {
            return;
        }
    }
    panic!("the fire is stuck behind minor alerts");
}

#[tokio::test]
async fn a_slow_console_delays_nobody_else() {
    let bench = Bench::with(BusOptions { window: 64, ..options() });
    let mut slow = bench.console("slow", credit(1024, 0, 0)).await;
    slow.item().await;
    let mut quick = bench.console("quick", Subscribe::default()).await;
    quick.item().await;
    quick.snapshot().await;
    for _ in 0..30 {
        // The slow console takes nothing; the publisher and the quick one go on as if it were not there.
        let alerts: Vec<_> = (0..20).map(|_| critical()).collect();
        bench.commit(&alerts).await;
        for alert in &alerts {
            let delivery = quick.delivery().await;
            assert_eq!(key(&delivery), key_of(alert));
            quick.acknowledge(&delivery.cursor).unwrap();
        }
    }
    // And the slow one still gets all of it, from the store.
    let mut got = Vec::new();
    while got.len() < 600 {
        if let Item::Delivery(delivery) = slow.news().await {
            if !delivery.cursor.is_empty() {
                slow.acknowledge(&delivery.cursor).unwrap();
            }
            got.push(key(&delivery));
        }
    }
    got.dedup();
    assert_eq!(got.len(), 600);
}

#[tokio::test]
async fn a_named_subscription_goes_on_where_it_acknowledged_even_after_a_restart() {
    let bench = Bench::new();
    let named = || Subscribe { name: "desk".into(), ..Subscribe::default() };
    let mut console = bench.console("c", named()).await;
    console.item().await;
    console.snapshot().await;
    let alerts = [critical(), critical()];
    bench.commit(&alerts).await;
    let first = console.delivery().await;
    console.acknowledge(&first.cursor).unwrap();
    drop(console);
    let bench = bench.reopen().await;
    let mut console = bench.console("c", named()).await;
    console.item().await;
    assert_eq!(key(&console.delivery().await), key_of(&alerts[1]));
    // Another stream under the name ends this one; another principal's does not.
    let _other = bench.console("d", named()).await;
    let _same = bench.console("c", named()).await;
    let Item::Closed(closed) = console.news().await else { panic!("it must be closed") };
    assert_eq!(closed.reason(), CloseReason::Replaced);
}

#[tokio::test]
async fn an_acknowledgement_is_bound_to_its_principal_and_to_what_was_delivered() {
    let bench = Bench::new();
    let mut console = bench.console("c", Subscribe::default()).await;
    console.item().await;
    let (_, cursor) = console.snapshot().await;
    let id = console.stream.id().to_owned();
    let other = Principal::new("d", PrincipalKind::Console);
    assert!(matches!(bench.bus.acknowledge(&other, &id, &cursor), Err(Error::NotFound(_))));
    let ahead = Cursor::at(bench.bus.store().epoch(), 7).encode();
    assert!(matches!(console.acknowledge(&ahead), Err(Error::Invalid(_))));
    let foreign = Cursor::start(Epoch([9; 16])).encode();
    assert!(matches!(console.acknowledge(&foreign), Err(Error::Invalid(_))));
    assert!(matches!(console.acknowledge(b"x"), Err(Error::Invalid(_))));
    assert!(console.acknowledge(&cursor).is_ok());
}

#[tokio::test]
async fn a_cursor_of_a_restored_store_leads_to_a_gap_and_a_snapshot() {
    let bench = Bench::new();
    let (a, b) = (critical(), critical());
    bench.commit(std::slice::from_ref(&a)).await;
    let backup = tempfile::tempdir().unwrap();
    let manifest = bench.bus.store().backup(backup.path().to_owned()).await.unwrap();
    assert_eq!(manifest.head, 1);
    bench.commit(std::slice::from_ref(&b)).await;
    let old = Cursor::at(bench.bus.store().epoch(), 2);
    let Bench { bus, clock, options, .. } = bench;
    close(bus).await;

    let folder = tempfile::tempdir().unwrap();
    crate::store::restore(backup.path(), folder.path()).unwrap();
    assert!(
        crate::store::restore(backup.path(), folder.path()).is_err(),
        "a store in use is not overwritten"
    );
    let bus = Bus::open(folder.path(), clock.clone(), options.clone()).unwrap();
    assert_ne!(bus.store().epoch(), old.epoch);
    let bench = Bench { folder, clock, bus, options };
    let mut console = bench.console("c", Subscribe { cursor: Some(old), ..Subscribe::default() }).await;
    console.item().await;
    let Item::Gap(gap) = console.news().await else { panic!("a gap must be told") };
    assert_eq!((gap.reason(), gap.counts_known), (v1::GapReason::ForeignEpoch, false));
    assert_eq!(console.snapshot().await.0, [key_of(&a)]);
    // What the restored store does not know is published again by its node's spool.
    bench.commit(std::slice::from_ref(&b)).await;
    assert_eq!(key(&console.delivery().await), key_of(&b));

    // A damaged backup is refused.
    std::fs::write(backup.path().join("store.db"), b"junk").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let refused = crate::store::restore(backup.path(), elsewhere.path());
    assert!(matches!(refused, Err(Error::DataLoss(_))), "{refused:?}");
}

#[tokio::test]
async fn a_cursor_before_the_trimmed_feed_leads_to_an_exact_gap() {
    let bench = Bench::new();
    bench.commit(&[critical(), critical(), major(), minor()]).await;
    let start = Cursor::start(bench.bus.store().epoch());
    let day = Duration::from_secs(24 * 3600);
    let now = |bench: &Bench| bench.clock.wall();
    bench.clock.advance(day * 6);
    assert_eq!(bench.bus.store().trim(now(&bench)).await.unwrap(), 0, "never within 7 days");
    bench.clock.advance(day * 2);
    bench.commit(&[critical()]).await;
    assert_eq!(bench.bus.store().trim(now(&bench)).await.unwrap(), 4);
    let mut console = bench.console("c", Subscribe { cursor: Some(start), ..Subscribe::default() }).await;
    console.item().await;
    let Item::Gap(gap) = console.news().await else { panic!("a gap must be told") };
    assert_eq!((gap.reason(), gap.counts_known), (v1::GapReason::Trimmed, true));
    let missed: Vec<_> = gap.missed.iter().map(|one| (one.level, one.count)).collect();
    assert_eq!(missed, [(2, 2), (3, 1), (4, 1)]);
    assert_eq!(console.snapshot().await.0.len(), 5, "active alerts are never trimmed");
    // Whoever wants none of what was trimmed has missed nothing.
    let filter = Filter { kinds: vec![8101], ..Filter::default() };
    let mut console =
        bench.console("d", Subscribe { cursor: Some(start), filter, ..Subscribe::default() }).await;
    console.item().await;
    assert!(matches!(console.item().await, Some(Item::Bookmark(_))));
}

#[tokio::test]
async fn trimming_under_a_console_that_catches_up_is_never_passed_over() {
    for credit in [credit(0, 0, 0), credit(0, 0, 1)] {
        let bench = Bench::with(BusOptions { window: 2, ..options() });
        let alerts: Vec<_> = (0..10).map(|_| minor()).collect();
        bench.commit(&alerts).await;
        let start = Cursor::start(bench.bus.store().epoch());
        let mut console = bench.console("c", Subscribe { cursor: Some(start), ..credit }).await;
        // The task has not run yet. The feed is trimmed on disk, and the store does not say so yet.
        crate::store::tests::trim_unseen(bench.folder.path(), 8);
        console.item().await;
        let minor_done = |cursor: &[u8]| Cursor::decode(cursor).unwrap().positions[2];
        let closed = loop {
            match console.item().await.unwrap() {
                Item::Bookmark(bookmark) => {
                    assert_eq!(minor_done(&bookmark.cursor), 0, "rows are passed over");
                }
                Item::Closed(closed) => break closed,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((closed.reason(), minor_done(&closed.cursor)), (CloseReason::Renew, 0));
        let place = Cursor::decode(&closed.cursor).unwrap();
        // Once it does, the console is told what it missed.
        drop(console);
        let bench = bench.reopen().await;
        let mut console = bench.console("c", Subscribe { cursor: Some(place), ..Subscribe::default() }).await;
        console.item().await;
        let Item::Gap(gap) = console.news().await else { panic!("a gap must be told") };
        assert_eq!((gap.reason(), gap.missed[0].count), (v1::GapReason::Trimmed, 8));
    }
}

#[tokio::test]
async fn a_full_disk_refuses_clearly_keeps_what_was_acknowledged_and_heals() {
    let mut small = options();
    small.sqlite.max_pages = Some(Arc::new(200.into()));
    let bench = Bench::with(small);
    let mut kept = Vec::new();
    let error = loop {
        let mut one = critical();
        one.place.address = Some("x".repeat(1000));
        match bench.try_publish(std::slice::from_ref(&one)).await {
            Ok(_) => kept.push(one),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Exhausted(text) if text.contains("full")), "{error}");
    assert!(!kept.is_empty() && bench.bus.store().health().failing.is_some());
    let mut bench = bench;
    bench.options.sqlite.max_pages = None;
    let bench = bench.reopen().await;
    for one in &kept {
        assert_eq!(bench.publish(std::slice::from_ref(one)).await[0].outcome, PublishOutcome::Duplicate);
    }
    bench.commit(&[critical()]).await;
    assert_eq!(bench.bus.store().health().failing, None);
}

#[tokio::test]
async fn a_store_of_a_newer_version_and_a_second_process_are_refused_clearly() {
    let bench = Bench::new();
    let Err(error) = Bus::open(bench.folder.path(), bench.clock.clone(), options()) else {
        panic!("two at once")
    };
    assert!(matches!(&error, Error::Conflict(text) if text.contains("another process")), "{error}");
    let Bench { folder, clock, bus, .. } = bench;
    close(bus).await;
    crate::store::tests::set_schema(&folder.path().join(crate::store::STORE_FILE), 99);
    let Err(error) = Bus::open(folder.path(), clock, options()) else { panic!("a newer store was opened") };
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn stopping_closes_streams_and_saves_what_was_acknowledged() {
    let bench = Bench::new();
    let named = || Subscribe { name: "desk".into(), ..Subscribe::default() };
    let mut console = bench.console("c", named()).await;
    console.item().await;
    let (_, cursor) = console.snapshot().await;
    console.acknowledge(&cursor).unwrap();
    let (stop, stopping) = xueliang_base::shutdown::pair();
    let bus = bench.bus.clone();
    let running = tokio::spawn(async move { bus.run(stopping).await });
    stop.ask();
    running.await.unwrap();
    let Item::Closed(closed) = console.news().await else { panic!("it must be closed") };
    assert_eq!(closed.reason(), CloseReason::Shutdown);
    let saved = bench.bus.store().acked("c".into(), "desk".into()).await.unwrap();
    assert_eq!(saved, Some(Cursor::decode(&cursor).unwrap()));
}

#[tokio::test]
async fn a_state_never_comes_after_a_later_one_of_its_alert() {
    // The one that gets worse is out of a small window by then, or still in it: its next state leaves the busier
    // critical lane's window first.
    for (window, count, chosen) in [(8, 40, 30), (8, 24, 20), (1024, 40, 30)] {
        let bench = Bench::with(BusOptions { window, ..options() });
        let mut console = bench.console("c", Subscribe::default()).await;
        console.item().await;
        console.snapshot().await;
        let alerts: Vec<_> = (0..count).map(|_| major()).collect();
        bench.commit(&alerts).await;
        // One is taken, so the others are being read; the console then stops, and one of them gets worse.
        console.delivery().await;
        let mut worse = next_state(&alerts[chosen]);
        worse.level = xueliang_base::kind::Level::SEVERE;
        bench.commit(std::slice::from_ref(&worse)).await;
        bench.commit(&(0..20).map(|_| critical()).collect::<Vec<_>>()).await;
        let mut got = Vec::new();
        while got.len() < count - 2 + 21 {
            let delivery = console.delivery().await;
            console.acknowledge(&delivery.cursor).unwrap();
            got.push(key(&delivery));
        }
        assert!(got.contains(&key_of(&worse)), "window {window}");
        assert!(!got.contains(&key_of(&alerts[chosen])), "window {window}");
    }
}

#[tokio::test]
async fn a_minor_alert_that_got_worse_is_not_counted_as_minor() {
    let bench = Bench::with(BusOptions { window: 8, ..options() });
    let mut console = bench.console("c", credit(0, 0, 1)).await;
    console.item().await;
    console.snapshot().await;
    let alerts: Vec<_> = (0..6).map(|_| minor()).collect();
    let mut worse = next_state(&alerts[4]);
    worse.level = xueliang_base::kind::Level::SEVERE;
    // One commit, so that none is read before the critical lane's window has forgotten the worse state.
    let flood: Vec<_> = (0..12).map(|_| critical()).collect();
    bench.commit(&[&alerts[..], std::slice::from_ref(&worse), &flood].concat()).await;
    let (mut critical, mut counted) = (0, 0);
    while counted < 5 {
        match console.news().await {
            Item::Delivery(delivery) if delivery.lane() == v1::Lane::Critical => {
                critical += 1;
                console.acknowledge(&delivery.cursor).unwrap();
            }
            Item::Delivery(delivery) => {
                assert_ne!(key(&delivery).0, worse.id.to_string());
                counted += 1;
                console.acknowledge(&delivery.cursor).unwrap();
            }
            Item::Summary(summary) => {
                assert!(!summary.alert_ids.contains(&worse.id.to_string()), "it is critical now");
                counted += summary.alert_ids.len();
                console.acknowledge(&summary.cursor).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((critical, counted), (13, 5));
}

#[tokio::test]
async fn names_of_subscriptions_are_bounded_for_each_principal() {
    let bench = Bench::new();
    let desk = Principal::new("desk", PrincipalKind::Console);
    for name in 0..MAX_NAMES {
        bench.bus.admit(&desk, &name.to_string()).await.unwrap();
    }
    let refused = bench.bus.admit(&desk, "one more").await.unwrap_err();
    assert!(matches!(&refused, Error::Invalid(text) if text.contains("use one of them again")), "{refused}");
    bench.bus.admit(&desk, "7").await.unwrap();
    bench.bus.admit(&desk, "").await.unwrap();
    bench.bus.admit(&Principal::new("other", PrincipalKind::Console), "one more").await.unwrap();
}
