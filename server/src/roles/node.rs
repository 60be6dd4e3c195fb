//! The node role: sessions, rings, attention, tracks, rules and the spool.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tracing::{info, warn};
use xueliang_alerts::{
    publisher::{Publisher, keeper::Keeper},
    spool::{Spool, SpoolOptions},
};
use xueliang_base::{
    config::{Analysis, Device, EvidenceBudget},
    id::NodeId,
    metrics::Metrics,
    shutdown,
    time::SystemClock,
};
use xueliang_proto::v1::{AttachRequest, WorkerSetup, node_service_client::NodeServiceClient};

use crate::{
    exposition,
    node::{
        alerting::{self, AlertingSpec},
        camera::Dirty,
        control::{self, ControlSpec},
        footage::{self, FootageSpec},
        looks::{self, LooksSpec, Order},
        picture::{self, Pictures},
        pool::{PoolSpec, Ready, Worker},
        report::{self, ReportSpec, Retired},
    },
    pulse::Pulse,
    roles::tasks::Tasks,
    state::StateDir,
};

/// Changes of incidents that may wait for the disk.
const CHANGES: usize = 4096;
/// What else alerting is told: pieces of evidence, and each revision with what is adopted. Senders wait.
const INPUTS: usize = 256;
/// Alerts that may wait for evidence: each waits some ten seconds for its footage.
const FOOTAGE: usize = 256;
/// Workers take whatever processor time there is: what arrives, is decided and is sent goes first, and evidence last.
const LOOKS_NICE: i32 = 5;
const EVIDENCE_NICE: i32 = 15;

/// Look workers on this machine.
pub fn worker_count(analysis: &Analysis) -> usize {
    match analysis.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(
    node: NodeId,
    state_dir: PathBuf,
    runtime: PathBuf,
    log_format: &'static str,
) -> anyhow::Result<()> {
    let clock = SystemClock::shared();
    let state = StateDir::at(&state_dir);
    state.create()?;
    let (stop, stopping) = shutdown::pair();
    let pulse = Pulse::new(clock.clone());
    pulse.serve(&state.pulse_socket("node"), stopping.clone())?;
    let mut tasks = Tasks::new();
    xueliang_ingest::init().context("start GStreamer")?;
    let metrics = Arc::new(Metrics::new("node"));
    let shown = metrics.clone();
    exposition::spawn(&state.metrics_socket("node"), stopping.clone(), move || shown.text())?;

    let spool = Arc::new(Spool::open(&state.node(), clock.clone(), SpoolOptions::default())?);
    let spooled = spool.pending_latest().await?;
    let channel = control::channel(&state.bus_socket())?;

    // The first assignment says how many workers there are and which models they load.
    let config = first_config(&channel, &node).await?;
    spool.set_reserve(config.evidence.reserve_bytes);
    let program = std::env::current_exe()?;
    let setup = WorkerSetup {
        runtime: runtime.display().to_string(),
        models: config.models.iter().map(|folder| folder.display().to_string()).collect(),
        device: if config.analysis.device == Device::Cuda { "cuda" } else { "cpu" }.to_owned(),
        max_width: config.analysis.max_width,
        max_height: config.analysis.max_height,
    };
    let count = worker_count(&config.analysis);
    let pool = |purpose, nice| {
        let (program, setup) = (program.clone(), setup.clone());
        Arc::new(PoolSpec { program, setup, nice, purpose, log_format })
    };
    let (pool_events, mut pool_queue) = mpsc::channel(64);
    let look_pool = pool("looks", LOOKS_NICE);
    let workers: Vec<Worker> = (0..count)
        .map(|index| Worker::spawn(index, look_pool.clone(), pool_events.clone(), stopping.clone()))
        .collect();
    drop(pool_events);
    let (footage_events, mut footage_queue) = mpsc::channel(64);
    let footage_worker = Worker::spawn(0, pool("evidence", EVIDENCE_NICE), footage_events, stopping.clone());
    tasks.spawn("evidence-worker", async move { while footage_queue.recv().await.is_some() {} });

    let dirty = Arc::new(Dirty::default());
    let (orders, order_queue) = mpsc::channel(64);
    let (changes, change_queue) = mpsc::channel(CHANGES);
    let (inputs, input_queue) = mpsc::channel(INPUTS);
    let (wanted, wanted_queue) = mpsc::channel(FOOTAGE);
    let (looks_facts, looks_facts_seen) = watch::channel(looks::LooksFacts::default());
    let (alerting_counts, alerting_counts_seen) = watch::channel(alerting::AlertingCounts::default());
    let (cells, cells_seen) = watch::channel(BTreeMap::new());
    let (configured, configured_seen) = watch::channel(None);
    let (sessions, sessions_seen) = watch::channel(BTreeMap::new());
    let (acquired, acquired_seen) = watch::channel(control::Acquired::default());
    let retired = Arc::<Retired>::default();
    let (budget, budget_seen) = watch::channel::<EvidenceBudget>(config.evidence.clone());

    let to_looks = orders.clone();
    let (workers_ready, workers_ready_seen) = watch::channel(0);
    tasks.spawn("look-workers", async move {
        let mut ready = Ready::default();
        while let Some(event) = pool_queue.recv().await {
            workers_ready.send_replace(ready.after(&event));
            if to_looks.send(Order::Pool(event)).await.is_err() {
                return;
            }
        }
    });
    let to_journals = orders.clone();

    let looks_spec = LooksSpec {
        clock: clock.clone(),
        dirty: dirty.clone(),
        workers,
        analysis: config.analysis.clone(),
        folder: state.node(),
        changes,
        facts: looks_facts,
        times: looks::LookTimes::register(&metrics),
    };
    tasks.spawn("looks", looks::run(looks_spec, order_queue));
    // The looks task publishes its facts every second: that is its pulse, however busy the workers are.
    let (mut turns, for_looks) = (looks_facts_seen.clone(), pulse);
    tasks.spawn("pulse", async move {
        for_looks.beat("looks");
        while turns.changed().await.is_ok() {
            for_looks.beat("looks");
        }
    });
    let bulk = control::channel(&state.bus_socket())?;
    let publisher =
        Publisher::new(spool.clone(), channel.clone(), bulk, clock.clone(), u64::from(std::process::id()));
    let published = publisher.counts();
    tasks.spawn("publisher", publisher.run(stopping.clone()));
    let keeper = Keeper::new(spool.clone(), channel.clone(), clock.clone(), published.clone());
    let spool_failing = keeper.failing();
    let alerting_spec =
        AlertingSpec { clock: clock.clone(), keeper, footage: wanted, cells: cells_seen.clone() };
    tasks.spawn(
        "alerting",
        alerting::run(alerting_spec, change_queue, input_queue, alerting_counts, stopping.clone()),
    );
    let footage_spec = FootageSpec {
        clock: clock.clone(),
        worker: Box::new(move |ask, deadline| {
            let worker = footage_worker.clone();
            Box::pin(async move { worker.ask(ask, deadline).await })
        }),
        spool: spool.clone(),
        alerting: inputs.clone(),
        cells: cells_seen.clone(),
        budget: budget_seen,
        scratch: state.node(),
    };
    let (asks, asked) = mpsc::channel(picture::WAITING);
    let pictures = Pictures { clock: clock.clone(), asks, cells: cells_seen.clone() };
    tasks.spawn("footage", footage::run(footage_spec, wanted_queue, asked, stopping.clone()));
    let report_spec = ReportSpec {
        node: node.clone(),
        channel: channel.clone(),
        clock: clock.clone(),
        cells: cells_seen,
        retired: retired.clone(),
        sessions: sessions_seen,
        acquired: acquired_seen,
        configured: configured_seen,
        looks: looks_facts_seen,
        alerting: alerting_counts_seen,
        spool,
        spool_failing,
        published,
        workers: workers_ready_seen,
        metrics,
    };
    tasks.spawn("report", report::run(report_spec, stopping.clone()));
    let control_spec = ControlSpec {
        clock,
        node,
        channel,
        dirty,
        looks: orders,
        pictures,
        alerting: inputs,
        spooled,
        cells,
        retired,
        sessions,
        acquired,
        configured,
        workers: (config.models.clone(), config.analysis.clone()),
        budget,
    };
    tasks.spawn("control", control::run(control_spec, stopping));

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut journals_wanted = signal(SignalKind::user_defined1())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = journals_wanted.recv() => drop(to_journals.send(Order::WriteJournals).await),
            ended = tasks.ended() => bail!("{ended}: the node ends, to be started again whole"),
        }
    }
    info!("node stops");
    stop.ask();
    // Sessions first; with them and the workers go the last who could order looks, so that task ends, and alerting after
    // it, when whatever was decided meanwhile is spooled. Both are bounded, within the supervisor's grace.
    drop(to_journals);
    tasks.finish(&["control", "alerting"]).await;
    Ok(())
}

/// Waits for the bus's first assignment.
async fn first_config(
    channel: &tonic::transport::Channel,
    node: &NodeId,
) -> anyhow::Result<xueliang_base::config::Config> {
    loop {
        let mut bus = NodeServiceClient::new(channel.clone()).max_decoding_message_size(64 * 1024 * 1024);
        let request = AttachRequest {
            node_id: node.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            explains: false,
            connects: false,
            pictures: false,
            trials: false,
        };
        let attached = match bus.attach(request).await {
            Ok(stream) => stream.into_inner().message().await,
            Err(status) => Err(status),
        };
        match attached {
            Ok(Some(assignment)) => {
                return serde_json::from_slice(&assignment.config_json)
                    .context("read the assigned configuration");
            }
            Ok(None) => {}
            // The bus may need a moment to open its store; whatever else it says, a person must see.
            Err(status) if status.code() == tonic::Code::Unavailable => {}
            Err(status) => warn!(%status, "the bus gives no assignment"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
