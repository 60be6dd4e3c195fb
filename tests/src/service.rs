//! The service under test: a configuration, a state folder, and the supervisor's process.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use xueliang_proto::v1::{CameraStatus, ListCamerasRequest, camera_service_client::CameraServiceClient};
use xueliang_simulator::{Account, CameraSpec, Clip, Simulator};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_owned()
}

/// Where `make` puts prepared clips.
pub fn clips_folder() -> PathBuf {
    repository().join(".cache/clips")
}

/// A prepared clip.
pub fn clip(name: &str) -> anyhow::Result<Arc<Clip>> {
    let path = clips_folder().join(name);
    Clip::load(&path, None).with_context(|| format!("load {}: run `make setup`", path.display()))
}

/// The committed model.
pub fn default_model() -> PathBuf {
    repository().join("models/centernet-mobilenetv3")
}

/// The program under test: built beside this one.
pub fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    for folder in own.ancestors().skip(1).take(2) {
        let path = folder.join("xueliang");
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("the program is not built: run `cargo build --bin xueliang` with the same profile")
}

/// The program with what it needs to find its libraries.
pub fn command() -> anyhow::Result<Command> {
    let mut command = Command::new(program()?);
    command
        .env("ORT_DISABLE_TELEMETRY", "1")
        .env("XUELIANG_ONNXRUNTIME", repository().join(".cache/onnxruntime/libonnxruntime.so"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// Runs the program to its end: `check`, `backup` and the like.
pub async fn cli(arguments: &[&str]) -> anyhow::Result<Output> {
    let run = command()?.args(arguments).output();
    tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .with_context(|| format!("xueliang {}: did not end", arguments.join(" ")))?
        .with_context(|| format!("xueliang {}", arguments.join(" ")))
}

/// Ports that were free together a moment ago, below the ephemeral range. No two calls of a process give the same ones.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000)?;
    let mut held = Vec::new();
    for _ in 0..10_000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed) % 10_000) % 10_000;
        held.extend(TcpListener::bind(("127.0.0.1", port)).map(|listener| (port, listener)));
        if held.len() == N {
            // All are held until the last is found, so they differ and none is another's.
            return Ok(std::array::from_fn(|at| held[at].0));
        }
    }
    bail!("no {N} ports are free on loopback")
}

/// A camera of the town under test.
pub struct TestCamera {
    /// Its id and the simulator's name for it.
    pub id: String,
    /// What it shows and how it fails.
    pub spec: CameraSpec,
    /// Zones and rules, as TOML.
    pub rules: String,
}

/// The zone of `vtest` that somebody walks through all the time, with a rule for it.
pub const BUSY_ZONE: &str = r#"
[[camera.zone]]
id = "pit"
polygon = [[0.62, 0.40], [0.90, 0.40], [0.90, 0.74], [0.62, 0.74]]
[[camera.rule]]
kind = "ZONE_INTRUSION"
zone = "pit"
"#;

/// The zone of `vtest` where nobody ever walks, with the same rule.
pub const EMPTY_ZONE: &str = r#"
[[camera.zone]]
id = "corner"
polygon = [[0.0, 0.80], [0.11, 0.80], [0.11, 1.0], [0.0, 1.0]]
[[camera.rule]]
kind = "ZONE_INTRUSION"
zone = "corner"
"#;

const USER: &str = "operator";
/// The canary: it may appear in no log, metric, error or process list.
pub const PASSWORD: &str = "canary-7f3a9e51";

impl TestCamera {
    /// A camera that asks for the canary's password.
    pub fn new(id: &str, clip: Arc<Clip>, rules: &str) -> Self {
        let spec = CameraSpec::new(id, clip).account(Account::new(USER, PASSWORD));
        Self { id: id.to_owned(), spec, rules: rules.to_owned() }
    }
}

/// The running service with its town.
pub struct Service {
    /// The town; several services may watch one.
    pub simulator: Arc<Simulator>,
    /// Temporary folder: configuration, state, logs.
    pub folder: tempfile::TempDir,
    /// Console address, as `http://127.0.0.1:PORT`.
    pub api: String,
    /// Admin address, as `127.0.0.1:PORT`.
    pub admin: String,
    /// The operators' page, as `http://127.0.0.1:PORT`.
    pub console: String,
    child: Option<Child>,
}

impl Service {
    /// Writes the configuration and starts the service. `extra` stands before the first table.
    pub async fn start(cameras: Vec<TestCamera>, extra: &str) -> anyhow::Result<Self> {
        let mut service = Self::prepare(cameras, extra).await?;
        service.run().await?;
        Ok(service)
    }

    /// As [`Service::start`], but only the town runs: the configuration may still be edited. However many alerts come, each is
    /// shown.
    pub async fn prepare(cameras: Vec<TestCamera>, extra: &str) -> anyhow::Result<Self> {
        let (specs, rules): (Vec<_>, Vec<_>) =
            cameras.into_iter().map(|camera| (camera.spec, (camera.id, camera.rules))).unzip();
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), specs).await?;
        Self::watching(Arc::new(simulator), &rules, extra)
    }

    /// A service that is still to be started, for cameras of a town that runs: their ids and their rules as TOML.
    pub fn watching(
        simulator: Arc<Simulator>,
        cameras: &[(String, String)],
        extra: &str,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let [api, admin, console] = free_ports()?;
        let mut text = format!(
            "site = \"test\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = [{:?}]\n{extra}\n\
             [alerts]\nflood_per_camera = 0\nflood_per_division = 0\n\
             [api]\nsign_in = \"none\"\n[listen]\napi = \"127.0.0.1:{api}\"\nadmin = \"127.0.0.1:{admin}\"\nconsole = \"127.0.0.1:{console}\"\n\
             [credentials.test]\nfile = \"camera.secret\"\n\
             [[division]]\ncode = \"330282\"\nname = \"Test\"\n",
            default_model().display().to_string()
        );
        for (id, rules) in cameras {
            text.push_str(&format!(
                "[[camera]]\nid = \"{id}\"\nname = \"Camera {id}\"\ndivision = \"330282\"\nurl = \"{}\"\n\
                 credentials = \"test\"\n{rules}\n",
                simulator.url(id)
            ));
        }
        fs::write(folder.path().join("camera.secret"), format!("{USER}\n{PASSWORD}\n"))?;
        fs::write(folder.path().join("xueliang.toml"), text)?;
        Ok(Self {
            simulator,
            folder,
            api: format!("http://127.0.0.1:{api}"),
            admin: format!("127.0.0.1:{admin}"),
            console: format!("http://127.0.0.1:{console}"),
            child: None,
        })
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("xueliang.toml")
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Changes the configuration file; the next start reads it.
    pub fn edit(&self, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
        fs::write(self.config(), change(fs::read_to_string(self.config())?))?;
        Ok(())
    }

    /// Starts the supervisor; logs are appended.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        self.child = Some(self.supervisor()?.spawn()?);
        Ok(())
    }

    /// As [`Service::run`], in a process group of its own, as a shell with job control starts it in a terminal.
    pub async fn run_as_in_a_terminal(&mut self) -> anyhow::Result<()> {
        self.child = Some(self.supervisor()?.process_group(0).spawn()?);
        Ok(())
    }

    fn supervisor(&self) -> anyhow::Result<Command> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let mut command = command()?;
        command.args(["--log-format", "json", "run", "--config"]).arg(self.config());
        command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        Ok(command)
    }

    /// Waits until the supervisor ends; how it did.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let child = self.child.as_mut().context("it was started")?;
        let status = tokio::time::timeout(limit, child.wait()).await.context("the service goes on")??;
        self.child = None;
        Ok(status)
    }

    /// The supervisor's process.
    pub fn supervisor_pid(&self) -> anyhow::Result<Pid> {
        let id = self.child.as_ref().and_then(Child::id).context("it runs")?;
        Pid::from_raw(i32::try_from(id)?).context("it has an id")
    }

    /// Everything the service logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
    fn log_path(&self) -> PathBuf {
        self.folder.path().join("service.log")
    }

    /// Process ids below the supervisor whose arguments hold `word`, the supervisor itself for `"run"`.
    pub fn pids(&self, word: &str) -> Vec<i32> {
        let of_role = |family: &Process| family.arguments.iter().any(|argument| argument == word);
        self.family().into_iter().filter(of_role).map(|process| process.pid).collect()
    }

    /// The supervisor and all that it started, by id: the role of each, for workers with what they work for.
    pub fn roles(&self) -> BTreeMap<i32, String> {
        let role = |process: &Process| {
            let after = |word: &str| {
                let at = process.arguments.iter().position(|argument| argument == word)?;
                process.arguments.get(at + 1).map(String::as_str)
            };
            let known = ["run", "bus", "node", "worker"];
            let role = process.arguments.iter().find(|argument| known.contains(&argument.as_str()))?;
            Some(match after("--purpose") {
                Some(purpose) => format!("{role} {purpose}"),
                None => role.clone(),
            })
        };
        self.family().iter().filter_map(|process| Some((process.pid, role(process)?))).collect()
    }

    /// The supervisor and all that it started.
    pub fn family(&self) -> Vec<Process> {
        self.child.as_ref().and_then(Child::id).map(family).unwrap_or_default()
    }

    /// Sends a signal to every process of a role; how many got it.
    pub fn signal(&self, role: &str, signal: Signal) -> usize {
        self.pids(role)
            .into_iter()
            .filter_map(Pid::from_raw)
            .filter(|pid| kill_process(*pid, signal).is_ok())
            .count()
    }

    /// SIGKILL to the supervisor and all that it started, at once.
    pub async fn kill_everything(&mut self) -> anyhow::Result<()> {
        let mut all = self.pids("worker");
        all.extend(self.pids("node"));
        all.extend(self.pids("bus"));
        all.extend(self.pids("run"));
        ensure!(all.len() >= 4, "expected supervisor, bus, node and workers, found {all:?}");
        for pid in all.into_iter().filter_map(Pid::from_raw) {
            // It may have died with its parent already.
            let _dead = kill_process(pid, Signal::KILL);
        }
        if let Some(mut child) = self.child.take() {
            child.wait().await?;
        }
        Ok(())
    }

    /// SIGTERM; waits for an orderly end. How long it took.
    pub async fn stop(&mut self) -> anyhow::Result<Duration> {
        let started = tokio::time::Instant::now();
        if let Some(mut child) = self.child.take() {
            let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            kill_process(pid.context("it runs")?, Signal::TERM)?;
            let status = tokio::time::timeout(Duration::from_secs(25), child.wait()).await??;
            ensure!(status.success(), "the service ended with {status}");
        }
        Ok(started.elapsed())
    }

    /// `/metrics` as text.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        self.get("/metrics").await
    }

    /// Reads a path of the admin listener.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(&self.admin).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.admin).as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    /// Sum of a metric's samples whose labels hold all of `labels`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
        Ok(self.samples(name, labels).await?.into_iter().sum())
    }

    /// A metric's samples whose labels hold all of `labels`.
    pub async fn samples(&self, name: &str, labels: &[&str]) -> anyhow::Result<Vec<f64>> {
        let text = self.metrics().await?;
        // A counter is exposed with `_total` after its name.
        let of_metric = |line: &&str| {
            line.strip_prefix(name)
                .map(|rest| rest.strip_prefix("_total").unwrap_or(rest))
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        Ok(text
            .lines()
            .filter(of_metric)
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .collect())
    }

    /// Access units in no column of their camera's account, or in two: of every camera, so that none is left out.
    pub async fn units_missing(&self, cameras: usize) -> anyhow::Result<f64> {
        let samples = self.samples("xueliang_node_access_units_missing", &[]).await?;
        ensure!(samples.len() == cameras, "{} of {cameras} cameras have an account", samples.len());
        Ok(samples.into_iter().map(f64::abs).sum())
    }

    /// Access units of one camera in one column of its account.
    pub async fn units(&self, camera: &str, column: &str) -> anyhow::Result<f64> {
        let labels = [format!("camera=\"{camera}\""), format!("column=\"{column}\"")];
        self.metric("xueliang_node_access_units", &labels.each_ref().map(String::as_str)).await
    }

    /// Every camera's state, as consoles see it.
    pub async fn cameras(&self) -> anyhow::Result<BTreeMap<String, CameraStatus>> {
        let mut client = CameraServiceClient::connect(self.api.clone()).await?;
        let listed = client.list_cameras(ListCamerasRequest::default()).await?.into_inner();
        Ok(listed.cameras.into_iter().map(|camera| (camera.camera_id.clone(), camera)).collect())
    }
}

/// A process and all that it started, and so on.
pub fn family(root: u32) -> Vec<Process> {
    let mut family = vec![i32::try_from(root).unwrap_or(0)];
    let processes = processes();
    loop {
        let before = family.len();
        for process in &processes {
            if family.contains(&process.parent) && !family.contains(&process.pid) {
                family.push(process.pid);
            }
        }
        if family.len() == before {
            break;
        }
    }
    processes.into_iter().filter(|process| family.contains(&process.pid)).collect()
}

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Who started it.
    pub parent: i32,
    /// Its arguments, the program first.
    pub arguments: Vec<String>,
}

/// All processes of this machine.
pub fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name in parentheses may hold spaces; the parent is the second field after it.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let arguments = String::from_utf8_lossy(&line).split('\0').map(str::to_owned).collect();
            Some(Process { pid, parent, arguments })
        })
        .collect()
}

/// Which of these processes still run. (Ids are given again, so arguments are compared as well; one that ended and was not
/// waited for has none.)
pub fn still_running(family: &[Process]) -> Vec<Process> {
    let now = processes();
    let runs = |one: &&Process| now.iter().any(|p| p.pid == one.pid && p.arguments == one.arguments);
    family.iter().filter(runs).cloned().collect()
}

/// Waits until `check` says yes, asking ten times a second; an error names what was waited for.
pub async fn until<F, T>(what: &str, limit: Duration, mut check: F) -> anyhow::Result<T>
where
    F: AsyncFnMut() -> Option<T>,
{
    let end = tokio::time::Instant::now() + limit;
    loop {
        if let Some(value) = check().await {
            return Ok(value);
        }
        ensure!(tokio::time::Instant::now() < end, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
