//! The bus under one load: its consoles, its publishers, and what goes wrong meanwhile.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use xueliang_base::kind::Lane;
use xueliang_proto::v1::{Publication, PublishOutcome, PublishRequest};

use super::{
    alerts::alert,
    console::{self, Shared},
    load::{Flow, Load, Measured, Meter, Started, Tally, pace},
    process::{BusProcess, PATIENCE},
};

/// Consoles beside those of the load.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside {
    /// These open a stream and read nothing.
    pub(super) stalled: usize,
    /// These lose their connections together, when half of the measured time is over.
    pub(super) cut: usize,
}

/// What a load came to, with consoles that were cut.
pub(super) struct Outcome {
    pub(super) measured: Measured,
    /// Until all that were cut had a stream again.
    pub(super) resumed_in: Duration,
    /// Ages at the others of what was published until then.
    pub(super) meanwhile_us: Vec<u64>,
}

/// Runs a load on a bus of its own.
pub(super) async fn run(load: &Load) -> anyhow::Result<Measured> {
    Ok(run_beside(load, Beside::default()).await?.measured)
}

/// The same, with consoles that stall or are cut.
pub(super) async fn run_beside(load: &Load, beside: Beside) -> anyhow::Result<Outcome> {
    let bus = BusProcess::start().await?;
    let outcome = on(&bus, load, beside).await;
    bus.stop().await?;
    outcome
}

async fn on(bus: &BusProcess, load: &Load, beside: Beside) -> anyhow::Result<Outcome> {
    let all = load.consoles + beside.stalled + beside.cut;
    let (ready, mut waiting) = mpsc::channel(all);
    let (cut, cuts) = watch::channel(false);
    let started = Started::new(load);
    let shared = Arc::new(Shared { load: load.clone(), started, api: bus.api().clone(), ready, cut: cuts });
    let (mut consoles, mut cutting, mut stalled) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    for _ in 0..load.consoles {
        consoles.spawn(console::follow(Arc::clone(&shared), false));
    }
    for _ in 0..beside.cut {
        cutting.spawn(console::follow(Arc::clone(&shared), true));
    }
    for _ in 0..beside.stalled {
        stalled.spawn(console::stall(Arc::clone(&shared)));
    }
    all_ready(&mut waiting, all).await?;

    let meter = Meter::start(bus.pid()?);
    let publishing = try_join_all(load.flows.iter().map(|flow| publish(bus, &shared, *flow)));
    let cutting_some = async {
        let at = Duration::from_secs(load.warm as u64) + Duration::from_secs(load.seconds as u64) / 2;
        sleep(at).await;
        let (began, began_us) = (Instant::now(), shared.started.us());
        cut.send_replace(true);
        all_ready(&mut waiting, beside.cut).await?;
        anyhow::Ok((began.elapsed(), began_us..shared.started.us()))
    };
    let (published, resumed) = tokio::join!(publishing, cutting_some);
    published?;
    let (resumed_in, meanwhile) = resumed?;
    let others = join(&mut consoles).await?;
    let meanwhile_us = others.ages[Lane::Critical.index()]
        .iter()
        .filter(|(index, _)| meanwhile.contains(&shared.started.at_us(Lane::Critical, *index)))
        .map(|(_, age_us)| *age_us);
    let meanwhile_us = meanwhile_us.collect();
    let mut measured = meter.stop(others);
    measured.tally.add_faults(&join(&mut cutting).await?);
    Ok(Outcome { measured, resumed_in, meanwhile_us })
}

async fn all_ready(waiting: &mut mpsc::Receiver<()>, count: usize) -> anyhow::Result<()> {
    for _ in 0..count {
        timeout(PATIENCE, waiting.recv()).await.context("a console gets no stream")?;
    }
    Ok(())
}

async fn join(consoles: &mut JoinSet<anyhow::Result<Tally>>) -> anyhow::Result<Tally> {
    let mut all = Tally::default();
    while let Some(one) = timeout(PATIENCE * 3, consoles.join_next()).await.context("a console hangs")? {
        all.add(&one??);
    }
    Ok(all)
}

/// Publishes a flow; each call waits until its alerts are on disk.
async fn publish(bus: &BusProcess, shared: &Arc<Shared>, flow: Flow) -> anyhow::Result<()> {
    let client = bus.publisher().await?;
    pace(&shared.load, flow, |first| {
        let (mut client, shared) = (client.clone(), Arc::clone(shared));
        async move {
            let of = |index| Publication { alert: Some(alert(flow.lane, index)), ..Publication::default() };
            let publications = (first..first + flow.batch).map(of).collect();
            (first..first + flow.batch).for_each(|index| shared.started.now(flow.lane, index));
            let answer = client.publish(PublishRequest { publications }).await?.into_inner();
            ensure!(answer.results.len() == flow.batch, "an answer is missing");
            for result in answer.results {
                ensure!(result.outcome() == PublishOutcome::Committed, "not committed: {}", result.message);
            }
            Ok(())
        }
    })
    .await
}
