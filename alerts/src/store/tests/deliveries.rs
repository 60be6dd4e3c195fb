//! The audit of deliveries as the store keeps it, against a list that knows each first time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use xueliang_base::time::Wall;
use xueliang_proto::v1::DeliveryStage;

use super::*;
use crate::testing::{NOW, critical};

const ALERTS: u64 = 40;

fn note(reader: &Arc<Reader>, after: u64, upto: u64, second: i64) -> DeliveryNote {
    let at = Wall(NOW.0 + second * 1_000_000);
    DeliveryNote {
        reader: Arc::clone(reader),
        stage: DeliveryStage::Sent,
        lane: Lane::Critical,
        snapshot: false,
        after_exclusive: after,
        upto_inclusive: upto,
        from: at,
        to: at,
    }
}

fn reader(name: &str) -> Arc<Reader> {
    let filter = Arc::new(Filter::default());
    Arc::new(Reader { principal: "c".into(), subscription: name.into(), mark: filter.mark(), filter })
}

fn ranges(bench: &Bench) -> u64 {
    let db = Connection::open(bench.folder.path().join(STORE_FILE)).unwrap();
    let count: i64 = db.query_row("SELECT count(*) FROM delivery_range", [], |row| row.get(0)).unwrap();
    count.cast_unsigned()
}

/// Stretches as they may come: mostly one after the other, now and then again from an earlier place, or with a hole.
fn stretches() -> impl Strategy<Value = Vec<(u64, u64, i64)>> {
    let one = (0..ALERTS, 1..8u64, 0..4i64, prop::bool::weighted(0.7));
    prop::collection::vec(one, 1..40).prop_map(|all| {
        let (mut place, mut now) = (0, 0);
        let place_of = |(jump, length, wait, goes_on): (u64, u64, i64, bool)| {
            let after = if goes_on { place } else { jump };
            place = (after + length).min(ALERTS);
            now += wait;
            (after.min(place), place, now)
        };
        all.into_iter().map(place_of).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_first_time_of_each_delivery_lies_in_its_stretch_whatever_comes_again(all in stretches()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            let alerts: Vec<_> = (0..ALERTS).map(|_| critical()).collect();
            bench.commit(&alerts).await;
            let reader = reader("desk");
            let mut first = BTreeMap::new();
            for (after, upto, second) in all {
                for seq in after + 1..=upto {
                    first.entry(seq).or_insert(second);
                }
                let note = note(&reader, after, upto, second);
                // Twice: a save may be repeated.
                bench.bus.store().save_deliveries(vec![note.clone(), note]).await.unwrap();
            }
            for (seq, alert) in (1..).zip(&alerts) {
                let told = bench.bus.store().deliveries(alert.id, 0).await.unwrap();
                let told = told.first().map(|one| one.stages[0]);
                let known = first.get(&seq).map(|second| Wall(NOW.0 + second * 1_000_000));
                assert_eq!(told.is_some(), known.is_some(), "{seq}");
                if let (Some(told), Some(at)) = (told, known) {
                    assert!(told.from <= at && at <= told.to, "{seq}: {at:?} in {told:?}");
                    assert!(told.to.0 - told.from.0 <= 10_000_000, "{told:?}");
                }
            }
        });
    }
}

#[tokio::test]
async fn deliveries_to_whoever_has_wide_rights_are_listed_and_what_they_reach_is_found() {
    let bench = Bench::new();
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    let own = alert.place.division_path.last().unwrap().to_string();
    // As of somebody bound to 1500 divisions and two classes, and to the alert's.
    let parts = (0..1500).flat_map(|code| [format!("{code}#1"), format!("{code}#3")]).chain([own]);
    let within: Vec<Reach> = parts.map(|part| part.parse().unwrap()).collect();
    let filter = Arc::new(Filter { within: Some(within), ..Filter::default() });
    let (principal, subscription) = ("c".to_owned(), "wide".to_owned());
    let reader =
        Arc::new(Reader { principal, subscription, mark: filter.mark(), filter: Arc::clone(&filter) });
    let store = bench.bus.store();
    store.save_deliveries(vec![note(&reader, 0, 1, 0)]).await.unwrap();
    let told = store.deliveries(alert.id, 0).await.unwrap();
    assert_eq!(told.iter().map(|one| &*one.subscription).collect::<Vec<_>>(), ["wide"]);
    let query = ListQuery { filter: (*filter).clone(), limit: 9, ..ListQuery::default() };
    assert_eq!(store.list(query).await.unwrap().len(), 1);
    assert_eq!(store.snapshot_page(filter, 1, None, 9).await.unwrap().len(), 1);
    let query = CaseQuery {
        filter: Filter { within: Some(Vec::new()), ..Filter::default() },
        limit: 9,
        ..CaseQuery::default()
    };
    assert_eq!(store.cases(query).await.unwrap().cases, [], "who is bound to nothing sees nothing");
}

#[tokio::test]
async fn a_busy_hour_of_deliveries_is_few_rows_and_old_ones_are_forgotten() {
    let bench = Bench::new();
    let alerts = [critical(), critical()];
    bench.commit(&alerts).await;
    let (busy, once) = (reader("busy"), reader("once"));
    let store = bench.bus.store();
    store.save_deliveries(vec![note(&once, 0, 1, 0)]).await.unwrap();
    let each_second =
        (0..3600).map(|second: u64| note(&busy, second * 5, (second + 1) * 5, second.cast_signed()));
    for chunk in each_second.collect::<Vec<_>>().chunks(600) {
        store.save_deliveries(chunk.to_vec()).await.unwrap();
    }
    let kept = ranges(&bench);
    assert!(kept <= 1 + 3600 / 10, "{kept} rows for 18,000 deliveries");
    assert_eq!(store.deliveries(alerts[0].id, 0).await.unwrap().len(), 2);
    assert_eq!(store.trim_deliveries(NOW).await.unwrap(), 0);
    assert_eq!(store.trim_deliveries(Wall(NOW.0 + 1)).await.unwrap(), 1);
    let left = store.deliveries(alerts[0].id, 0).await.unwrap();
    assert_eq!(left.iter().map(|one| &*one.subscription).collect::<Vec<_>>(), ["busy"]);
    assert_eq!(store.trim_deliveries(Wall(NOW.0 + 4_000_000_000)).await.unwrap(), kept - 1);
    assert_eq!(store.deliveries(alerts[1].id, 0).await.unwrap(), []);
}
