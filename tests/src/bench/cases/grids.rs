//! Imports of many grids, and what alerts that are published meanwhile wait for them: the tree is checked beside the store's
//! writer, and only rows are written by it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use xueliang_alerts::grpc::cell;
use xueliang_proto::v1::{self, division_service_client::DivisionServiceClient};

use super::{
    super::{Table, main::ms, percentile},
    Share,
    site::{OURS, Site, publish_beside},
};

/// Townships, and grids of each: as many as one file may have.
const TOWNS: u64 = 4;
const GRIDS: u64 = 5000;
/// Alerts a second beside it, and how long they are published alone before.
const RATE: u32 = 100;
const ALONE: Duration = Duration::from_secs(5);
const BAR_MS: f64 = 50.0;

/// Measures and prints.
pub(super) async fn run(table: &mut Table, share: Share) -> anyhow::Result<()> {
    let grids = share.cut(GRIDS, 50);
    let site = Arc::new(Site::start(None).await?);
    let county = format!("{OURS}82");
    let mut divisions = vec![cell::division(&county, OURS, 3)];
    for town in 1..=TOWNS {
        let town = format!("{county}10{town}");
        divisions.push(cell::division(&town, &county, 4));
        divisions.push(cell::division(&format!("{town}001"), &town, 5));
    }
    let mut service = DivisionServiceClient::new(site.operator.clone());
    for division in divisions {
        let request = v1::PutDivisionRequest { division: Some(division) };
        service.put_division(request).await.context("put a division")?;
    }
    let publish = |site: &Arc<Site>| {
        let (stop, stopping) = watch::channel(false);
        (stop, tokio::spawn(publish_beside(Arc::clone(site), RATE, stopping)))
    };
    let (stop, publishing) = publish(&site);
    sleep(ALONE).await;
    stop.send_replace(true);
    let mut alone = publishing.await??;

    let (stop, publishing) = publish(&site);
    let began = Instant::now();
    for town in 1..=TOWNS {
        let mut csv = "code,parent,level,name\n".to_owned();
        for grid in 1..=grids {
            csv.push_str(&format!("grid-{town}-{grid},{county}10{town}001,6,Grid {grid}\n"));
        }
        let request = v1::ImportGridRequest { csv: csv.into_bytes().into(), dry_run: false };
        let told = service.import_grid(request).await.context("import grids")?.into_inner();
        ensure!(told.faults.is_empty() && u64::from(told.added) == grids, "{told:?}");
    }
    let took = began.elapsed().as_secs_f64();
    stop.send_replace(true);
    let mut beside = publishing.await??;
    table.note(
        &format!("{} grids in {TOWNS} files, imported", grids * TOWNS),
        format!("{took:.1} s, {RATE} alerts a second beside it"),
    );
    let shown = |us: &mut Vec<u64>| {
        let (p50, p99, most) = (percentile(us, 0.5), percentile(us, 0.99), percentile(us, 1.0));
        format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms, {} alerts", ms(p50), ms(p99), ms(most), us.len())
    };
    table.note("an alert published, call to answer, without imports", shown(&mut alone));
    let p99 = ms(percentile(&mut beside, 0.99));
    table.row(
        "an alert published beside the imports, call to answer",
        shown(&mut beside),
        &format!("p99 <= {BAR_MS} ms"),
        p99 <= BAR_MS,
    );
    let site = Arc::into_inner(site).context("nobody uses the bus any more")?;
    site.stop().await
}
