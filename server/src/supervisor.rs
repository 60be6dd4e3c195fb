//! Starts the roles of one machine, replaces those that end, and stops them in order.
//!
//! Order of stopping: the node first (it stops sessions, finishes its spool's current batch and its workers go with
//! it), then the bus (it closes consoles' streams with their cursors and its store), each asked by SIGTERM and killed
//! after its grace. Everything is right after SIGKILL as well; the order only spares work. Children die with the
//! supervisor, however it ends.
//!
//! A role that ends is started again. So is one that hangs, or is stopped by a signal: it does not end by itself, so each
//! role is asked every second whether it is alive (see [`crate::pulse`]), and killed when it has not been for too long.

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context, bail, ensure};
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
    /// Exit status that says that it could not start, and will not before somebody does something.
    cannot_start: Option<u8>,
}

/// A role is asked so often whether it is alive.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// So many questions in a row without a good answer, and a role is taken for hung. Questions are counted, not seconds: when
/// the whole machine stood still, nobody is to blame.
const SILENT: u32 = 10;
/// A role that could not start so often in a row, and never did, will not.
const TRIES: u32 = 3;
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
        cannot_start: Some(crate::roles::bus::CANNOT_START),
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
        cannot_start: None,
    };

    let (stop_bus, stopping_bus) = shutdown::pair();
    let (stop_node, stopping_node) = shutdown::pair();
    let program = spec.program.clone();
    let mut bus =
        tokio::spawn(keep(program.clone(), bus, stopping_bus).instrument(info_span!("role", name = "bus")));
    let mut node =
        tokio::spawn(keep(program, node, stopping_node).instrument(info_span!("role", name = "node")));

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let given_up = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        _ = &mut node => Some("node"),
        _ = &mut bus => Some("bus"),
    };
    info!("stopping: node, then bus");
    stop_node.ask();
    if given_up != Some("node") {
        drop(node.await);
    }
    stop_bus.ask();
    if given_up != Some("bus") {
        drop(bus.await);
    }
    stop_admin.ask();
    info!("stopped");
    match given_up {
        Some(role) => bail!("the {role} cannot start: its own error is above; mend that and start again"),
        None => Ok(()),
    }
}

/// Keeps a role alive until stopping is asked, or it has shown that it cannot start.
async fn keep(program: PathBuf, spec: RoleSpec, mut stopping: shutdown::Stopping) {
    // Once it has served, what keeps it from starting may pass: a port taken for a moment, a disk.
    let (mut served, mut failed) = (false, 0);
    let mut backoff = Backoff::new(Duration::from_millis(200), spec.backoff_cap, 1);
    while !stopping.asked() {
        match start(&program, &spec) {
            Ok(mut child) => {
                let started = tokio::time::Instant::now();
                tokio::select! {
                    status = child.wait() => {
                        let code = status.as_ref().ok().and_then(ExitStatus::code);
                        if code.is_some() && code == spec.cannot_start.map(i32::from) {
                            failed += 1;
                        } else {
                            served = true;
                        }
                        if !served && failed >= TRIES {
                            error!(role = spec.name, tries = failed, "role cannot start, giving up");
                            return;
                        }
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
        .env(PARENT, std::process::id().to_string())
        .stdin(std::process::Stdio::null())
        // Ctrl-C in a terminal is for the supervisor, which stops roles in their order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}

/// The variable that tells a role or worker which process has started it.
pub const PARENT: &str = "XUELIANG_PARENT";

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

/// Sends this process a signal when the one that has started it ends, however that ends. False when it has ended already.
pub fn die_with_parent(signal: Signal, parent: Option<u32>) -> bool {
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(signal)) {
        warn!(%error, "cannot tie this process to the one that has started it");
    }
    // It may have ended before it was listened for.
    parent.is_none_or(|parent| std::os::unix::process::parent_id() == parent)
}

/// Ends a role or worker with the process that has started it. By SIGKILL: nobody is left to kill one that hangs, and two
/// nodes on one spool are worse than one that did not say goodbye.
pub fn belong_to_parent() -> anyhow::Result<()> {
    let parent = std::env::var(PARENT).ok().and_then(|id| id.parse().ok());
    ensure!(die_with_parent(Signal::KILL, parent), "the process that has started this one is gone");
    Ok(())
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
            cannot_start: None,
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

    #[tokio::test]
    async fn a_role_that_never_could_start_is_given_up_and_one_that_has_served_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let spec = |script: String| RoleSpec {
            name: "test",
            arguments: vec!["-c".to_owned(), script],
            backoff_cap: Duration::from_millis(10),
            grace: Duration::from_secs(1),
            pulse: folder.path().join("no-such.pulse"),
            ask_every: ASK_EVERY,
            cannot_start: Some(78),
        };
        let (_stop, stopping) = shutdown::pair();
        let kept = keep("/bin/sh".into(), spec("exit 78".to_owned()), stopping.clone());
        timeout(Duration::from_secs(30), kept).await.expect("it was not given up");

        // The first time it ends otherwise.
        let runs = folder.path().join("runs");
        let script = format!("echo >> {0}; [ $(wc -l < {0}) -gt 1 ] && exit 78; exit 1", runs.display());
        let kept = tokio::spawn(keep("/bin/sh".into(), spec(script), stopping));
        let started = || std::fs::read_to_string(&runs).unwrap_or_default().lines().count();
        let often = async {
            while started() < TRIES as usize + 3 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(30), often).await.expect("it was given up");
        assert!(!kept.is_finished());
    }
}
