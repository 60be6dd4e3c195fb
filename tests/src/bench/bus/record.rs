//! A record of a million alerts, and how soon the bus serves from it after it was killed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, sleep, timeout};
use xueliang_alerts::store::{Incoming, Outcome, SqliteOptions, SqliteStore, Store as _};
use xueliang_base::{
    alert::Alert,
    kind::Lane,
    time::{SharedClock, SystemClock},
};
use xueliang_proto::v1::{
    AlertState, Publication, PublishRequest, Resolution, SubscribeRequest, subscribe_response::Item,
};

use super::{
    alerts::{self, alert},
    process::{BusProcess, PATIENCE},
};
use crate::repository;

const ALERTS: usize = 1_000_000;
/// One of so many still fires.
const ONE_FIRES_OF: usize = 10_000;
const BATCH: usize = 1000;
/// Published before each kill, so that the log of the store is not empty.
const FRESH: usize = 256;

/// How long each of some restarts took, from the start of the process until a console had its snapshot.
pub(super) async fn restarts(turns: usize) -> anyhow::Result<Vec<Duration>> {
    let state = filled().await?;
    let mut bus = BusProcess::start_on(&state)?;
    // The first start may bring the store to a newer version.
    snapshot(&bus, PATIENCE * 4).await?;
    let mut took = Vec::new();
    for _ in 0..turns {
        let of = |index| Publication { alert: Some(ended(index)), ..Publication::default() };
        let publications = (0..FRESH).map(of).collect();
        bus.publisher().await?.publish(PublishRequest { publications }).await?;
        bus.kill().await?;
        let began = Instant::now();
        bus = BusProcess::start_on(&state)?;
        snapshot(&bus, PATIENCE).await?;
        took.push(began.elapsed());
    }
    bus.stop().await?;
    Ok(took)
}

/// Waits until a console has read its snapshot.
async fn snapshot(bus: &BusProcess, limit: Duration) -> anyhow::Result<()> {
    let whole = async {
        let mut client = loop {
            match bus.api().connect().await {
                Ok(client) => break client,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        let mut stream = client.subscribe(SubscribeRequest::default()).await?.into_inner();
        let mut firing = 0;
        while let Some(response) = stream.message().await? {
            match response.item {
                Some(Item::Delivery(_)) => firing += 1,
                Some(Item::Snapshot(mark)) if !mark.begin => break,
                _ => {}
            }
        }
        ensure!(firing >= ALERTS / ONE_FIRES_OF, "{firing} alerts fire, of {ALERTS}");
        Ok(())
    };
    timeout(limit, whole).await.context("the bus does not serve")?
}

/// The state folder with the record: made once, kept with what else was prepared.
async fn filled() -> anyhow::Result<PathBuf> {
    let cache = repository().join(".cache/bench-bus");
    let (folder, part) = (cache.join("record"), cache.join("record.part"));
    if folder.is_dir() {
        return Ok(folder);
    }
    println!("(the record of {ALERTS} alerts is made once, which takes minutes: {})", folder.display());
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fill(&part).await?;
    fs::rename(&part, &folder)?;
    Ok(folder)
}

/// Publishes to the store itself; it is closed in the end.
async fn fill(folder: &Path) -> anyhow::Result<()> {
    let clock: SharedClock = SystemClock::shared();
    let store = SqliteStore::open(folder, clock.clone(), &SqliteOptions::default(), Arc::new(|_| {}))?;
    let store = &store;
    let batches = (0..ALERTS).step_by(BATCH).map(|first| {
        let received = clock.mono();
        async move {
            let of =
                |index| anyhow::Ok(Incoming { alert: Alert::try_from(ended(index))?, received, told: false });
            let batch = (first..first + BATCH).map(of).collect::<Result<Vec<_>, _>>()?;
            let outcomes = store.publish(batch).await?;
            let committed = |one: &Outcome| matches!(one, Outcome::Committed(_));
            ensure!(outcomes.iter().all(committed), "not all of a batch was committed");
            anyhow::Ok(())
        }
    });
    stream::iter(batches).buffer_unordered(4).try_collect::<()>().await
}

/// A small alert that is over, unless it is one of the few that fire.
fn ended(index: usize) -> xueliang_proto::v1::Alert {
    let mut alert = alert(Lane::ALL[index % 3], index);
    alert.regions.clear();
    if let Some(place) = &mut alert.place {
        place.address.clear();
    }
    if let Some(why) = &mut alert.explanation {
        why.looks.truncate(1);
    }
    if index % ONE_FIRES_OF != ONE_FIRES_OF - 1 {
        alert.state = AlertState::Resolved.into();
        alert.resolution = Resolution::ObservedAbsence.into();
        alert.resolved_unix_us = alerts::NOW_UNIX_US;
    }
    alert
}
