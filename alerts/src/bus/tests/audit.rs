//! Who was sent an alert, how far it came there, and when.

use std::time::Duration;

use xueliang_base::{alert::Alert, time::Clock as _};
use xueliang_proto::v1::{DeliveryStage, subscribe_response::Item};

use super::{Subscribe, credit, options};
use crate::{
    bus::BusOptions,
    error::Error,
    filter::Filter,
    store::Delivered,
    testing::{Bench, Console, critical, key, key_of, major, minor, next_state, resolved},
};

async fn deliveries(bench: &Bench, alert: &Alert, revision: u64) -> Vec<Delivered> {
    bench.bus.save_deliveries().await.unwrap();
    bench.bus.store().deliveries(alert.id, revision).await.unwrap()
}

/// Stages and when they were reached, in seconds since the test began: exact, where deliveries are far enough apart.
fn stages(began: i64, delivered: &Delivered) -> Vec<(DeliveryStage, i64)> {
    let all = delivered.stages.iter().map(|one| {
        assert_eq!(one.from, one.to, "{delivered:?}");
        (one.stage, (one.from.0 - began) / 1_000_000)
    });
    all.collect()
}

async fn named(bench: &Bench, name: &str, filter: Filter) -> Console {
    let wanted = Subscribe { name: "desk".into(), filter, ..Subscribe::default() };
    let mut console = bench.console(name, wanted).await;
    console.item().await;
    console
}

fn acknowledge(console: &Console, cursor: &[u8], stage: DeliveryStage) {
    console.bus.acknowledge_stage(&console.principal, console.stream.id(), cursor, stage).unwrap();
}

#[tokio::test]
async fn of_any_alert_it_is_known_who_was_sent_it_how_far_it_came_there_and_when() {
    use DeliveryStage::{Acknowledged, Displayed, Received, Sent};
    let bench = Bench::new();
    let began = bench.clock.wall().0;
    let pause = || bench.clock.advance(Duration::from_secs(11));
    let (old, over) = (critical(), critical());
    bench.commit(&[old.clone(), over.clone(), resolved(&over)]).await;
    pause();
    let mut console = named(&bench, "c", Filter::default()).await;
    // This one does not want it, and passes it over.
    let mut other = named(&bench, "d", Filter { kinds: vec![1201], ..Filter::default() }).await;
    let (_, cursor) = console.snapshot().await;
    let (_, other_cursor) = other.snapshot().await;
    other.acknowledge(&other_cursor).unwrap();
    pause();
    acknowledge(&console, &cursor, Received);
    let fire = critical();
    bench.commit(std::slice::from_ref(&fire)).await;
    let delivery = console.delivery().await;
    assert_eq!(key(&delivery), key_of(&fire));
    for stage in [Received, Displayed, Acknowledged] {
        pause();
        acknowledge(&console, &delivery.cursor, stage);
        // Nothing changes when it is told again, later.
        pause();
        acknowledge(&console, &delivery.cursor, stage);
    }
    let old_in_c = [(Sent, 11), (Received, 22), (Displayed, 55), (Acknowledged, 77)];
    let fire_in_c = [(Sent, 22), (Received, 33), (Displayed, 55), (Acknowledged, 77)];
    let told = |delivered: &[Delivered]| {
        assert_eq!(delivered.len(), 1, "{delivered:?}");
        assert_eq!((&*delivered[0].principal, &*delivered[0].subscription), ("c", "desk"));
        stages(began, &delivered[0])
    };
    assert_eq!(told(&deliveries(&bench, &old, 0).await), old_in_c);
    assert_eq!(told(&deliveries(&bench, &fire, 0).await), fire_in_c);
    assert_eq!(told(&deliveries(&bench, &fire, 1).await), fire_in_c);
    assert_eq!(deliveries(&bench, &fire, 2).await, [], "there is no such state");
    assert_eq!(deliveries(&bench, &over, 0).await, [], "it was over before anyone looked");

    // A later state is told to whoever wants it, and the first time of the alert stays.
    let next = next_state(&fire);
    bench.commit(std::slice::from_ref(&next)).await;
    assert_eq!(key(&console.delivery().await), key_of(&next));
    assert_eq!(told(&deliveries(&bench, &fire, 2).await), [(Sent, 88)]);
    assert_eq!(told(&deliveries(&bench, &fire, 0).await), fire_in_c);
    let sent = console.bus.acknowledge_stage(&console.principal, console.stream.id(), &cursor, Sent);
    assert!(matches!(sent, Err(Error::Invalid(_))));
    drop((console, other));
    let delivered = deliveries(&bench, &fire, 0).await;
    let bench = bench.reopen().await;
    assert_eq!(bench.bus.store().deliveries(fire.id, 0).await.unwrap(), delivered);
}

#[tokio::test]
async fn that_a_record_was_received_gives_no_credit_back() {
    let bench = Bench::new();
    let mut console = bench.console("c", credit(1, 0, 0)).await;
    console.item().await;
    console.snapshot().await;
    bench.commit(&[critical(), critical()]).await;
    let delivery = console.delivery().await;
    acknowledge(&console, &delivery.cursor, DeliveryStage::Received);
    let Some(Item::Bookmark(_)) = console.item().await else { panic!("there is no credit") };
    console.acknowledge(&delivery.cursor).unwrap();
    console.delivery().await;
}

#[tokio::test]
async fn what_a_later_state_replaced_was_not_sent_and_what_a_summary_names_was() {
    let bench = Bench::with(BusOptions { window: 4, ..options() });
    let mut console = bench.console("c", credit(0, 1, 1)).await;
    console.item().await;
    console.snapshot().await;
    let (first, other, lane) = (major(), minor(), major());
    bench.commit(&[first, other]).await;
    let mut cursors = Vec::new();
    while cursors.len() < 2 {
        cursors.push(console.delivery().await.cursor);
    }
    bench.clock.advance(Duration::from_secs(1));
    let garbage: Vec<_> = (0..3).map(|_| minor()).collect();
    bench.commit(std::slice::from_ref(&lane)).await;
    bench.clock.advance(Duration::from_secs(1));
    bench.commit(&[next_state(&lane)]).await;
    bench.commit(&garbage).await;
    console.acknowledge(&cursors[1]).unwrap();
    let (mut states, mut summaries) = (0, 0);
    while states + summaries < 2 {
        match console.news().await {
            Item::Delivery(delivery) => {
                assert_eq!(key(&delivery), key_of(&next_state(&lane)));
                states += 1;
            }
            Item::Summary(summary) => {
                assert_eq!(summary.alert_ids.len(), 3);
                summaries += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(deliveries(&bench, &lane, 1).await, []);
    for (alert, revision) in [(&lane, 2), (&lane, 0), (&garbage[0], 0), (&garbage[2], 1)] {
        assert_eq!(deliveries(&bench, alert, revision).await.len(), 1);
    }
}

#[tokio::test]
async fn the_audit_of_streams_that_ended_together_is_kept_and_readings_of_the_bus_are_not_in_it() {
    let bench = Bench::new();
    let fire = critical();
    bench.commit(std::slice::from_ref(&fire)).await;
    let internal = Subscribe { internal: true, ..Subscribe::default() };
    bench.console("bus", internal).await.snapshot().await;
    for number in 0..300 {
        bench.console(&format!("console-{number}"), Subscribe::default()).await.snapshot().await;
    }
    assert_eq!(bench.bus.subscriptions(), 0);
    let delivered = deliveries(&bench, &fire, 0).await;
    assert_eq!(delivered.len(), 300);
    assert!(delivered.iter().all(|one| one.stages.len() == 1 && one.principal != "bus"));
}

#[tokio::test]
async fn what_is_not_saved_of_a_stream_takes_the_same_room_however_much_it_delivers() {
    let bench = Bench::new();
    let mut console = bench.console("c", credit(1024, 0, 0)).await;
    console.item().await;
    console.snapshot().await;
    for _ in 0..4 {
        bench.commit(&(0..200).map(|_| critical()).collect::<Vec<_>>()).await;
        for _ in 0..200 {
            let cursor = console.delivery().await.cursor;
            acknowledge(&console, &cursor, DeliveryStage::Acknowledged);
        }
    }
    let (notes, lost) = bench.bus.0.registry.take_notes();
    assert_eq!((notes.len(), lost), (2, 0), "one stretch for each stage told: {notes:?}");
}
