//! Nothing is ordered or measured by the wall clock.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{cursor::Cursor, time::Clock as _};
use xueliang_proto::v1::{self, subscribe_response::Item};

use crate::{
    bus::Subscribe,
    testing::{Bench, Console, critical, key, key_of, major, minor, next_state},
};

const HOUR: Duration = Duration::from_secs(3600);

fn everything(bench: &Bench) -> Subscribe {
    Subscribe { cursor: Some(Cursor::start(bench.bus.store().epoch())), ..Subscribe::default() }
}

/// So many deliveries, by lane, with the time each waited for.
async fn by_lane(console: &mut Console, count: usize) -> BTreeMap<i32, Vec<((String, u64), u64)>> {
    let mut lanes: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for _ in 0..count {
        let delivery = console.delivery().await;
        let deliver = delivery.deliver.unwrap();
        assert_eq!(deliver.uncertainty_us, 0, "one monotonic clock");
        assert_eq!(delivery.late, delivery.age_us > 5_000_000, "{delivery:?}");
        lanes.entry(delivery.lane).or_default().push((key(&delivery), deliver.duration_us));
    }
    lanes
}

#[tokio::test]
async fn a_wall_clock_that_is_set_reorders_nothing_and_changes_no_age() {
    let mut bench = Bench::new();
    let mut states = [critical(), major(), minor()];
    let mut committed: BTreeMap<i32, Vec<(String, u64)>> = BTreeMap::new();
    let mut live = bench.console("live", everything(&bench)).await;
    assert!(matches!(live.item().await, Some(Item::Opened(_))));
    // Ahead, back behind where it was, and ahead again, between the states of the same alerts.
    for step in [0, 3600, -7200, 3600] {
        let wall = bench.clock.wall();
        let by = HOUR * u32::try_from(i32::abs(step) / 3600).unwrap();
        bench.clock.step_wall(if step < 0 { wall.minus(by) } else { wall.plus(by) });
        bench.commit(&states).await;
        bench.clock.advance(Duration::from_millis(300));
        for (lane, got) in by_lane(&mut live, 3).await {
            let index = usize::try_from(lane).unwrap() - 1;
            assert_eq!(got, [(key_of(&states[index]), 300_000)], "after a step of {step} s");
            committed.entry(lane).or_default().push(key_of(&states[index]));
        }
        states = [0, 1, 2].map(|index| next_state(&states[index]));
    }
    drop(live);
    // And once more out of the store, after a restart of the process and another step.
    bench.clock.step_wall(bench.clock.wall().minus(HOUR));
    bench = bench.reopen().await;
    bench.clock.step_wall(bench.clock.wall().plus(HOUR * 2));
    bench.clock.advance(Duration::from_secs(6));
    // Of major and minor alerts the latest state is delivered.
    let mut again = bench.console("again", everything(&bench)).await;
    assert!(matches!(again.item().await, Some(Item::Opened(_))));
    let got = by_lane(&mut again, 6).await;
    let critical: u64 = v1::Lane::Critical as u64;
    for (lane, got) in got {
        let all = &committed[&lane];
        let expected = if lane as u64 == critical { &all[..] } else { &all[all.len() - 1..] };
        let first = all.len() - expected.len();
        for (place, ((key, waited), expected)) in got.iter().zip(expected).enumerate() {
            assert_eq!(key, expected);
            let since = u64::try_from(all.len() - first - place).unwrap();
            assert_eq!(*waited, 6_000_000 + 300_000 * since, "{key:?}");
        }
        assert_eq!(got.len(), expected.len());
    }
}
