//! Starts the roles of one machine, replaces those that end, and stops them in order.
//!
//! Order of stopping: the node first (it stops sessions, finishes its spool's current batch and its workers go with
//! it), then the bus (it closes consoles' streams with their cursors and its store), each asked by SIGTERM and killed
//! after its grace. Everything is right after SIGKILL as well; the order only spares work. Children die with the
//! supervisor, however it ends.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};
use tracing::{Instrument, error, info, info_span, warn};
use xueliang_base::{backoff::Backoff, shutdown};

use crate::{admin, state::StateDir};

/// A role to keep alive.
struct RoleSpec {
    name: &'static str,
    arguments: Vec<String>,
    /// Longest wait before it is started again.
    backoff_cap: Duration,
    /// How long it may take to stop when asked.
    grace: Duration,
}

/// What `run` needs.
#[derive(Debug)]
pub struct SupervisorSpec {
    /// The program that plays all roles.
    pub program: PathBuf,
    /// The configuration file to import.
    pub config: PathBuf,
    /// The parsed configuration.
    pub parsed: xueliang_base::config::Config,
    /// ONNX Runtime's shared library.
    pub runtime: PathBuf,
    /// `text` or `json`.
    pub log_format: String,
}

/// Runs the service until SIGINT or SIGTERM.
pub async fn run(spec: SupervisorSpec) -> anyhow::Result<()> {
    let state = StateDir::at(&spec.parsed.state_dir);
    state.create()?;
    let _held = state.lock()?;
    raise_open_files();

    let (stop_admin, stopping_admin) = shutdown::pair();
    let admin = admin::spawn(spec.parsed.listen.admin, state.clone(), stopping_admin).await?;
    info!(%admin, api = %spec.parsed.listen.api, state = %state.root().display(), "service starts");

    let text = |path: &std::path::Path| path.display().to_string();
    let bus = RoleSpec {
        name: "bus",
        arguments: vec![
            "--log-format".into(),
            spec.log_format.clone(),
            "bus".into(),
            "--config".into(),
            text(&spec.config),
            "--state-dir".into(),
            text(state.root()),
        ],
        backoff_cap: Duration::from_millis(900),
        grace: Duration::from_secs(8),
    };
    let node = RoleSpec {
        name: "node",
        arguments: vec![
            "--log-format".into(),
            spec.log_format.clone(),
            "node".into(),
            "--node".into(),
            spec.parsed.node.to_string(),
            "--state-dir".into(),
            text(state.root()),
            "--runtime".into(),
            text(&spec.runtime),
        ],
        backoff_cap: Duration::from_secs(5),
        grace: Duration::from_secs(10),
    };

    let (stop_bus, stopping_bus) = shutdown::pair();
    let (stop_node, stopping_node) = shutdown::pair();
    let program = spec.program.clone();
    let bus =
        tokio::spawn(keep(program.clone(), bus, stopping_bus).instrument(info_span!("role", name = "bus")));
    let mut node =
        tokio::spawn(keep(program, node, stopping_node).instrument(info_span!("role", name = "node")));

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = &mut node => warn!(?ended, "the node's supervision ended"),
    }
    info!("stopping: node, then bus");
    stop_node.ask();
    if !node.is_finished() {
        drop(node.await);
    }
    stop_bus.ask();
    drop(bus.await);
    stop_admin.ask();
    info!("stopped");
    Ok(())
}

async fn keep(program: PathBuf, spec: RoleSpec, mut stopping: shutdown::Stopping) {
    let mut backoff = Backoff::new(Duration::from_millis(200), spec.backoff_cap, 1);
    while !stopping.asked() {
        match start(&program, &spec) {
            Ok(mut child) => {
                let started = tokio::time::Instant::now();
                tokio::select! {
                    status = child.wait() => {
                        let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                        warn!(role = spec.name, status, "role ended, starting it again");
                        if started.elapsed() > Duration::from_secs(30) {
                            backoff.reset();
                        }
                    }
                    () = stopping.wait() => {
                        finish(child, &spec).await;
                        return;
                    }
                }
            }
            Err(error) => error!(role = spec.name, %error, "cannot start role"),
        }
        let wait = backoff.next_wait();
        tokio::select! {
            () = sleep(wait) => {}
            () = stopping.wait() => return,
        }
    }
}

fn start(program: &PathBuf, spec: &RoleSpec) -> anyhow::Result<Child> {
    Command::new(program)
        .args(&spec.arguments)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}

async fn finish(mut child: Child, spec: &RoleSpec) {
    let asked = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
    if asked && timeout(spec.grace, child.wait()).await.is_ok() {
        return;
    }
    warn!(role = spec.name, grace = ?spec.grace, "role did not stop in time, killing it");
    if let Err(error) = child.kill().await {
        error!(role = spec.name, %error, "cannot kill role");
    }
}

/// A plain shell allows 1,024 open files; a camera needs four.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "cannot raise the limit of open files");
    }
}

/// Ends this process when its supervisor does, however that ends.
pub fn die_with_parent() {
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM)) {
        warn!(%error, "cannot tie this process to its supervisor");
    }
}
