//! Starts the roles of one machine, replaces those that end, and stops them in order.
//!
//! Order of stopping: the node first (it stops sessions, finishes its spool's current batch and its workers go with
//! it), then the bus (it closes consoles' streams with their cursors and its store), each asked by SIGTERM and killed
//! after its grace. Everything is right after SIGKILL as well; the order only spares work. Children die with the
//! supervisor, however it ends.
//!
//! A role that ends is started again. So is one that hangs, or is stopped by a signal: it does not end by itself, so each
//! role is asked every second whether it is alive (see [`crate::pulse`]), and killed when it has not been for too long.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tracing::{Instrument, error, info, info_span, warn};
use xueliang_base::{backoff::Backoff, shutdown};

use crate::{admin, pulse, state::StateDir};

/// A role to keep alive.
struct RoleSpec {
    name: &'static str,
    arguments: Vec<String>,
    /// Longest wait before it is started again.
    backoff_cap: Duration,
    /// How long it may take to stop when asked.
    grace: Duration,
    /// Where it says that it is alive.
    pulse: PathBuf,
    /// How often it is asked for that.
    ask_every: Duration,
}

/// A role is asked so often whether it is alive.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// So many questions in a row without a good answer, and a role is taken for hung. Questions are counted, not seconds: when
/// the whole machine stood still, nobody is to blame.
const SILENT: u32 = 10;
/// As many until the first good answer: a cold disk makes programs start slowly.
const SILENT_AT_START: u32 = 60;

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
        pulse: state.pulse_socket("bus"),
        ask_every: ASK_EVERY,
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
        pulse: state.pulse_socket("node"),
        ask_every: ASK_EVERY,
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
                    }
                    why = silent(&spec) => {
                        error!(role = spec.name, why, "role hangs, killing it and starting it again");
                        if let Err(error) = child.kill().await {
                            error!(role = spec.name, %error, "cannot kill role");
                        }
                    }
                    () = stopping.wait() => {
                        finish(child, &spec).await;
                        return;
                    }
                }
                if started.elapsed() > Duration::from_secs(30) {
                    backoff.reset();
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

/// Asks a role whether it is alive until it has not been for too long; what it said last.
async fn silent(spec: &RoleSpec) -> String {
    let mut tick = interval(spec.ask_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut patience = Patience::default();
    loop {
        tick.tick().await;
        let answer = pulse::ask(&spec.pulse).await;
        if patience.is_over(answer.is_ok()) {
            return answer.err().unwrap_or_default();
        }
    }
}

/// How long a role may be silent.
#[derive(Debug, Default)]
struct Patience {
    has_answered: bool,
    in_a_row: u32,
}

impl Patience {
    fn is_over(&mut self, alive: bool) -> bool {
        self.has_answered |= alive;
        self.in_a_row = if alive { 0 } else { self.in_a_row + 1 };
        self.in_a_row >= if self.has_answered { SILENT } else { SILENT_AT_START }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_start_slowly_and_then_be_silent_for_ten_questions() {
        let mut patience = Patience::default();
        assert!((1..SILENT_AT_START).all(|_| !patience.is_over(false)));
        assert!(patience.is_over(false), "it never came up");
        let mut patience = Patience::default();
        patience.is_over(true);
        for _ in 0..3 {
            assert!((1..SILENT).all(|_| !patience.is_over(false)));
            assert!(!patience.is_over(true), "one good answer is enough");
        }
        assert!((1..SILENT).all(|_| !patience.is_over(false)));
        assert!(patience.is_over(false));
    }

    #[tokio::test]
    async fn a_role_that_never_says_that_it_is_alive_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopping) = shutdown::pair();
        let pids = folder.path().join("pids");
        // Each writes its own id and is then as good as hung.
        let script = format!("echo $$ >> {}; exec sleep 600", pids.display());
        let spec = RoleSpec {
            name: "test",
            arguments: vec!["-c".to_owned(), script],
            backoff_cap: Duration::from_secs(1),
            grace: Duration::from_secs(1),
            pulse: folder.path().join("no-such.pulse"),
            ask_every: Duration::from_millis(5),
        };
        let kept = tokio::spawn(keep("/bin/sh".into(), spec, stopping));
        let started = || std::fs::read_to_string(&pids).unwrap_or_default().lines().count();
        let replaced = async {
            while started() < 2 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(30), replaced).await.expect("it was not replaced");
        stop.ask();
        kept.await.unwrap();
    }
}
