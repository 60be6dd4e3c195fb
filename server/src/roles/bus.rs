//! The bus role: the record, the registry and the consoles.
//!
//! It never starts GStreamer or loads ONNX Runtime: what they might do to a process must not happen to the one that keeps the
//! record. (One program plays all roles, so GStreamer's own libraries are linked to this one, too; none of its plug-ins is
//! loaded.)

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{codegen::http::HeaderMap, transport::Server};
use tracing::{error, info, warn};
use xueliang_alerts::{
    account::Caller,
    assignment::Assignment,
    audit::AuditOptions,
    bus::{Bus, BusOptions},
    evidence::EvidenceOptions,
    external::External,
    flood::Limits,
    grpc::Guard,
    point::Points,
    rights::{Principal, PrincipalKind},
    store::SqliteOptions,
};
use xueliang_base::{
    config::{Camera, Config, CredentialSource, Retention, written_of},
    id::{CameraId, ConfigRevision, CredentialName},
    metrics::Metrics,
    shutdown::{self, Stopping},
    time::SystemClock,
};
use xueliang_ingest::credentials::Credentials;

use self::{
    callers::{Callers, token_faults},
    public::Public,
    rules::Imported,
};
use crate::{
    cli::{read_config_text, refuse_unserved},
    exposition,
    pulse::Pulse,
    state::StateDir,
};

mod accounts;
pub mod callers;
pub mod cases;
mod console;
mod health;
mod measure;
mod own_alerts;
mod public;
mod rules;
pub mod sinks;
pub mod tls;

/// Exit status of a bus that could not start, `EX_CONFIG` of sysexits.h: a port in use, a store of a newer version, no
/// usable configuration. To start it again helps only when somebody does something. A bus that has served ends
/// otherwise.
pub const CANNOT_START: u8 = 78;

/// Stopping takes no longer, whatever hangs: the supervisor kills after 8 s, and closing the store needs some of them.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: PathBuf, state_dir: PathBuf) -> anyhow::Result<ExitCode> {
    // Before anyone is served: a bus that serves can be asked to stop.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopping) = shutdown::pair();
    let mut tasks = match start(&config, &state_dir, stopping).await {
        Ok(tasks) => tasks,
        Err(error) => {
            error!(error = format!("{error:#}"), "the bus cannot start");
            return Ok(ExitCode::from(CANNOT_START));
        }
    };
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = first_ended(&mut tasks) => Some(ended),
    };
    if let Some(task) = ended {
        bail!("the task {task} ended or panicked: the bus ends, to be started again whole");
    }
    info!("bus stops");
    stop.ask();
    if !ended_within(STOP_WITHIN, tasks).await {
        warn!(within = ?STOP_WITHIN, "some of the bus did not stop in time");
    }
    Ok(ExitCode::SUCCESS)
}

/// A task of the bus, by name.
type Task = (&'static str, Serving);

/// Waits until one of them ends, which none does before the bus: its name.
async fn first_ended(tasks: &mut [Task]) -> &'static str {
    let (_, which, _) = futures::future::select_all(tasks.iter_mut().map(|(_, task)| task)).await;
    tasks[which].0
}

/// Waits for all of them together; whether they ended. Streams are closed with their cursors by `bus.run`, the first;
/// then the listeners have nobody left to serve.
async fn ended_within(limit: Duration, tasks: Vec<Task>) -> bool {
    let all = async {
        for (_, task) in tasks {
            // A panic has been reported by the task itself.
            drop(task.await);
        }
    };
    tokio::time::timeout(limit, all).await.is_ok()
}

/// Opens the store and serves nodes and consoles; the tasks that run from then on.
async fn start(config: &Path, state_dir: &Path, stopping: Stopping) -> anyhow::Result<Vec<Task>> {
    let clock = SystemClock::shared();
    let state = StateDir::at(state_dir);
    state.create()?;
    // Before anything that takes long: opening a large store is no hanging.
    Pulse::new(clock.clone()).serve(&state.pulse_socket("bus"), stopping.clone())?;
    let wanted = wanted(config).await;
    let imported = rules::import(state.registry(), wanted, clock.clone(), stopping.clone()).await?;
    let Imported { config, revision, assignments, rules } = imported;

    let external = Arc::new(External::of(&config, revision));
    let options = bus_options(&config, revision, Arc::clone(&external));
    let bus = Bus::open(state.root(), clock.clone(), options)?;
    bus.seed_divisions(config.divisions.clone()).await?;
    let metrics = Arc::new(Metrics::new("bus"));
    let accounts = accounts::open(&state, &config, &bus).await?;
    let measuring =
        measure::spawn(&state, &bus, &accounts, &config, assignments.clone(), &metrics, stopping.clone())?;

    let nodes = serve_nodes(&state, &config, &bus, assignments, stopping.clone())?;
    let sinks = sinks::of(&bus, &config);
    let callers = Callers::of(&config, external, accounts.clone());
    let public =
        Public::new(&bus, accounts.clone(), callers, &sinks, Arc::new(rules), stopping.clone()).await?;
    let local = public.serve_local(&state, stopping.clone())?;
    let consoles = public.serve_address(&config, stopping.clone()).await?;
    let page = console::serve(&config, &public, stopping.clone()).await?;
    let signing_in = {
        let stopping = stopping.clone();
        tokio::spawn(async move { accounts.run(stopping).await })
    };
    let sharing = sinks::spawn(sinks, clock.clone(), &metrics, stopping.clone());
    let keeping = {
        let (bus, stopping) = (bus.clone(), stopping.clone());
        tokio::spawn(async move { bus.run(stopping).await })
    };
    let watching = tokio::spawn(own_alerts::run(bus, config, revision, clock, stopping));
    Ok(vec![
        ("keeping", keeping),
        ("nodes", nodes),
        ("consoles", consoles),
        ("local", local),
        ("accounts", signing_in),
        ("page", page),
        ("own-alerts", watching),
        ("measuring", measuring),
        ("sharing", sharing),
    ])
}

/// What the configuration says about evidence.
pub fn evidence_options(config: &Config) -> EvidenceOptions {
    let key_point = |camera: &&Camera| camera.retention == Retention::KeyPoint;
    EvidenceOptions {
        max_bytes: config.evidence.max_bytes,
        keep_days: config.evidence.keep_days,
        key_points: config.cameras.iter().filter(key_point).map(|camera| camera.id.to_string()).collect(),
        reserve_bytes: config.evidence.reserve_bytes,
        ..EvidenceOptions::default()
    }
}

/// What the configuration says about keeping.
fn bus_options(config: &Config, revision: ConfigRevision, external: Arc<External>) -> BusOptions {
    let alerts = &config.alerts;
    let floods = Limits {
        per_camera: alerts.flood_per_camera,
        per_division: alerts.flood_per_division,
        window: alerts.flood_window,
        quiet: alerts.flood_quiet,
        config: revision,
    };
    BusOptions {
        sqlite: SqliteOptions { floods, cases: Arc::new(cases::policy(config)), ..SqliteOptions::default() },
        evidence: evidence_options(config),
        late_after: alerts.late_after,
        site: config.site.clone(),
        timezone: config.timezone.clone(),
        map: config.map.clone(),
        nearby_m: alerts.nearby_m,
        external,
        points: Arc::new(Points::of(config)),
        audit: AuditOptions { heads: config.audit.heads.clone(), every: config.audit.every },
        feed_keep: Duration::from_secs(u64::from(config.feed.keep_days) * 24 * 3600),
        feed_max_records: config.feed.max_records,
        ..BusOptions::default()
    }
}

/// What a configuration file asks for.
struct Wanted {
    config: Config,
    /// What it says of each camera's zones and rules, as a sum.
    written: BTreeMap<CameraId, [u8; 32]>,
    credentials: BTreeMap<CredentialName, Credentials>,
}

/// Reads the configuration with all it names, and refuses what `run` refuses.
async fn wanted(path: &Path) -> anyhow::Result<Wanted> {
    let (config, text) = read_config_text(path)?;
    // Reads manifests, sums and the graphs' bytes with our own code. Opening the models is for `run` and `check`, in a process
    // of its own (`refuse_unopenable`), and for workers.
    refuse_unserved(&config)?;
    sinks::refuse_unsigned(&config).await?;
    cases::calendar(&config).map_err(|fault| anyhow::anyhow!("cases.calendar: {fault}"))?;
    let mut credentials = BTreeMap::new();
    for (name, source) in &config.credentials {
        let read = read_credentials(source).with_context(|| format!("credentials.{name}"))?;
        credentials.insert(name.clone(), read);
    }
    if let Some((path, fault)) = token_faults(&config).into_iter().next() {
        bail!("{path}: {fault}");
    }
    if let Some(files) = &config.api.tls {
        tls::read(files).context("api.tls")?;
    }
    Ok(Wanted { written: written_of(&text), config, credentials })
}

/// Reads a user and password where the configuration says.
pub fn read_credentials(source: &CredentialSource) -> anyhow::Result<Credentials> {
    match source {
        CredentialSource::File(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            let mut lines = text.lines();
            match (lines.next(), lines.next()) {
                (Some(user), Some(password)) if !user.is_empty() => Ok(Credentials::new(user, password)),
                _ => bail!("{} must hold two lines: user, password", path.display()),
            }
        }
        CredentialSource::Env(prefix) => {
            let read = |suffix: &str| {
                let name = format!("{prefix}_{suffix}");
                std::env::var(&name).with_context(|| format!("read environment variable {name}"))
            };
            Ok(Credentials::new(read("USER")?, read("PASSWORD")?))
        }
    }
}

type Serving = tokio::task::JoinHandle<()>;

fn serve_nodes(
    state: &StateDir,
    config: &Config,
    bus: &Bus,
    assignments: watch::Receiver<Option<Assignment>>,
    mut stopping: Stopping,
) -> anyhow::Result<Serving> {
    let socket = state.bus_socket();
    exposition::remove_stale(&socket)?;
    let listener = UnixListener::bind(&socket).with_context(|| format!("listen on {}", socket.display()))?;
    // The folder is readable by its owner only, so whoever connects is this machine's node.
    let node = Principal::new(config.node.to_string(), PrincipalKind::Node);
    let node = Caller { principal: node, session: None };
    let router = Server::builder()
        .layer(Guard::new(bus.clone(), move |_: &HeaderMap| Ok(Some(node.clone()))))
        .add_service(bus.alert_service())
        .add_service(bus.node_service(assignments));
    Ok(tokio::spawn(async move {
        // The nodes' streams end with the assignments (`rules.rs`).
        let stop = async move { stopping.wait().await };
        let served = router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop).await;
        if let Err(error) = served {
            error!(%error, "the nodes' listener ended");
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_configuration_says_about_keeping_reaches_the_bus() {
        let text = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
                    [alerts]\nflood_per_camera = 3\nflood_per_division = 9\nflood_window = \"30s\"\nflood_quiet = \"2m\"\n\
                    [evidence]\nkeep_days = 40\nreserve = \"2GB\"\n[audit]\nheads = \"/heads\"\nevery = \"1m\"\n[feed]\nkeep_days = 8\nmax_records = 20000\n\
                    [[division]]\ncode = \"330282\"\nname = \"n\"\n\
                    [[camera]]\nid = \"station\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n\
                    retention = \"key_point\"\n\
                    [[camera]]\nid = \"gate\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/y\"\n";
        let config = Config::parse(text, Path::new("/")).unwrap();
        let options = bus_options(&config, ConfigRevision(7), Arc::default());
        let (window, quiet) = (Duration::from_secs(30), Duration::from_secs(120));
        let floods = Limits { per_camera: 3, per_division: 9, window, quiet, config: ConfigRevision(7) };
        assert_eq!(options.sqlite.floods, floods);
        assert_eq!(options.evidence.keep_days, 40);
        assert_eq!(options.evidence.reserve_bytes, Some(2_000_000_000));
        assert_eq!(options.evidence.key_points.iter().collect::<Vec<_>>(), ["station"]);
        assert_eq!(options.feed_keep, Duration::from_secs(8 * 86_400));
        assert_eq!(options.feed_max_records, 20_000);
        assert_eq!(options.audit.heads.as_deref(), Some(Path::new("/heads")));
        assert_eq!(options.audit.every, Duration::from_secs(60));
    }

    #[tokio::test]
    async fn stopping_has_one_bound_however_many_tasks_hang() {
        let hang = || tokio::spawn(std::future::pending::<()>());
        let began = tokio::time::Instant::now();
        let limit = Duration::from_millis(200);
        assert!(!ended_within(limit, (0..20).map(|_| ("hanging", hang())).collect()).await);
        assert!(began.elapsed() < limit * 10, "{:?}", began.elapsed());
        assert!(ended_within(limit, vec![("done", tokio::spawn(async {}))]).await);
    }
}
