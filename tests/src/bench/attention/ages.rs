//! How old pictures are when their incidents are raised, at one, four and ten times what the machine can look at.

use std::time::Duration;

use anyhow::ensure;
use xueliang_proto::v1::Stage;

use super::town::{self, ON};
use crate::{
    Desk, Service,
    bench::{
        Table,
        main::{self, RESTLESS},
        percentile,
    },
    desk::alert_of,
    service::until,
};

const PATIENCE: Duration = Duration::from_secs(240);
const SETTLE: Duration = Duration::from_secs(25);
/// Of so many incidents six are above the 99th percentile; of a hundred it is the oldest one's age. They are waited for so long.
const ENOUGH: usize = 600;
const WATCHED: Duration = Duration::from_secs(30);
const AT_MOST: u32 = 10;
const TIMES: [usize; 3] = [1, 4, 10];
/// Most cameras that one machine can also show.
const MOST: usize = 1_000;

pub(super) async fn rows(table: &mut Table) -> anyhow::Result<()> {
    let probe = main::capacity().await?;
    let capacity = probe.capacity.floor().max(1.0) as usize;
    table.row(
        "ages: cameras with a moving hazard that this machine can look at twice a second (vtest.avi, 768x576, 10 a second)",
        format!("{capacity} of {} tried", probe.cameras),
        "less than were tried",
        probe.saturated,
    );
    let mut p99s = Vec::new();
    for times in TIMES {
        let cameras = (capacity * times).min(MOST);
        let mut ages = raised(table, times, cameras).await?;
        let (p50, p99) = (percentile(&mut ages, 0.5), percentile(&mut ages, 0.99));
        table.note(
            &format!("ages: from arrival to raised, {times} times ({cameras} cameras, people in a zone)"),
            format!("p50 {:.0} ms, p99 {:.0} ms, of {}", main::ms(p50), main::ms(p99), ages.len()),
        );
        ensure!(!ages.is_empty(), "nothing was raised at {times} times the load");
        p99s.push(p99);
    }
    let (least, most) = (p99s.iter().min().copied(), p99s.iter().max().copied());
    let ratio = most.unwrap_or_default() as f64 / least.unwrap_or_default().max(1) as f64;
    table.row(
        "ages: p99 from arrival to raised at 1, 4 and 10 times, the greatest over the least",
        format!("{ratio:.2}"),
        "<= 1.2",
        ratio <= 1.2,
    );
    Ok(())
}

/// Ages of pictures when their incidents were raised, microseconds.
async fn raised(table: &mut Table, times: usize, cameras: usize) -> anyhow::Result<Vec<u64>> {
    let mut service = Service::start(main::town(cameras, RESTLESS)?, ON).await?;
    until("most cameras stream", PATIENCE, async || {
        let streaming = service.metric("xueliang_node_camera_streaming", &[]).await.ok()?;
        (streaming >= 0.98 * cameras as f64).then_some(())
    })
    .await?;
    let mut desk = Desk::open(&service.api, "bench", PATIENCE).await?;
    desk.follow(SETTLE).await?;
    desk.deliveries.clear();
    let before = town::Moment::of(&service).await?;
    for _ in 0..AT_MOST {
        desk.follow(WATCHED).await?;
        if ages_of(&desk).len() >= ENOUGH {
            break;
        }
    }
    let spent = before.until(town::Moment::of(&service).await?);
    table.note(
        &format!("ages, {times} times: of a core in all, and what was done a camera"),
        format!("{:.0} %; {}", spent.percent(1), spent.told(cameras)),
    );
    let missing = service.units_missing(cameras).await?;
    table.row(
        &format!("ages, {times} times: units unaccounted for"),
        format!("{missing}"),
        "0",
        missing == 0.0,
    );
    service.stop().await?;
    Ok(ages_of(&desk))
}

/// Of what was delivered since the list was last emptied.
fn ages_of(desk: &Desk) -> Vec<u64> {
    let ages =
        desk.deliveries.iter().filter(|delivery| !delivery.in_snapshot).map(alert_of).filter_map(|alert| {
            let looked = alert.stages.iter().any(|stage| stage.stage() == Stage::Wait);
            // Up to where the incident was raised; what follows is the way to the consoles.
            let upto =
                |stage: Stage| matches!(stage, Stage::Wait | Stage::Decode | Stage::Infer | Stage::Decide);
            let age = || alert.stages.iter().filter(|s| upto(s.stage())).map(|s| s.duration_us).sum();
            (looked && alert.revision == 1).then(age)
        });
    ages.collect()
}
