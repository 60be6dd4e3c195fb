//! Nothing is ordered or measured by the wall clock.

use std::{collections::BTreeMap, time::Duration};

use tonic::Request;
use xueliang_base::{cursor::Cursor, time::Clock as _};
use xueliang_proto::v1::{
    self, clock_service_server::ClockService as _, node_service_server::NodeService as _,
    subscribe_response::Item,
};

use crate::{
    bus::Subscribe,
    grpc::{ClockApi, NodeApi},
    rights::{Principal, PrincipalKind},
    testing::{self, Bench, Console, critical, key, key_of, major, minor, next_state},
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

#[tokio::test]
async fn steps_of_the_wall_clock_are_counted_audited_and_told() {
    let bench = Bench::new();
    let mut steps = bench.bus.steps();
    bench.clock.advance(HOUR);
    bench.bus.record_steps(&mut steps).await;
    bench.clock.step_wall(bench.clock.wall().minus(HOUR));
    bench.bus.record_steps(&mut steps).await;
    bench.bus.record_steps(&mut steps).await;
    assert_eq!(bench.bus.counts().clock_steps.load(std::sync::atomic::Ordering::Relaxed), 1);

    // A node tells its own, again when it has no answer.
    let node = NodeApi { bus: bench.bus.clone(), assignments: tokio::sync::watch::channel(None).1 };
    let report = v1::ReportRequest {
        node_id: "node-1".to_owned(),
        clock_steps: vec![v1::ClockStep { source: "forged".to_owned(), at_unix_us: 7, by_us: 2_000_000 }],
        ..v1::ReportRequest::default()
    };
    for _ in 0..2 {
        let mut request = Request::new(report.clone());
        request.extensions_mut().insert(testing::node());
        node.report(request).await.unwrap();
    }

    let mut request = Request::new(v1::ListClockStepsRequest { page_size: 1, ..Default::default() });
    request.extensions_mut().insert(Principal::new("c", PrincipalKind::Console));
    let api = ClockApi(bench.bus.clone());
    let page = api.list_clock_steps(request).await.unwrap().into_inner();
    let of_node = v1::ClockStep { source: "node-1".to_owned(), at_unix_us: 7, by_us: 2_000_000 };
    assert_eq!(page.steps, [of_node]);
    let token = page.next_page_token;
    let mut request = Request::new(v1::ListClockStepsRequest { page_size: 9, page_token: token });
    request.extensions_mut().insert(Principal::new("c", PrincipalKind::Console));
    let page = api.list_clock_steps(request).await.unwrap().into_inner();
    let at_unix_us = bench.clock.wall().0;
    let of_bus = v1::ClockStep { source: "bus".to_owned(), at_unix_us, by_us: -3_600_000_000 };
    assert_eq!((page.steps, page.next_page_token.as_str()), (vec![of_bus], ""));

    let audited = crate::store::tests::audited(bench.folder.path());
    let stepped: Vec<_> = audited.iter().filter(|one| one.1 == "wall_clock_stepped").collect();
    assert_eq!(stepped.len(), 2, "{audited:?}");
    assert!(stepped[0].2.starts_with("by -3600000000 us"), "{audited:?}");
}
