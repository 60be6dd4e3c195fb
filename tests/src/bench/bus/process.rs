//! The bus as a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{process::Child, time::timeout};
use tonic::transport::{Channel, Endpoint};
use xueliang_proto::v1::alert_service_client::AlertServiceClient;

use crate::service::{command, free_ports, until};

/// Whatever takes longer does not come.
pub(in crate::bench) const PATIENCE: Duration = Duration::from_secs(30);

/// A camera, no limits of floods, nobody signs in.
const OPEN: &str = "[alerts]\nflood_per_camera = 0\nflood_per_division = 0\n\
                    [api]\nsign_in = \"none\"\n[[division]]\ncode = \"330282\"\nname = \"Bench\"\n\
                    [[camera]]\nid = \"gate\"\nname = \"Gate\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1:1/gate\"\n";

/// Where consoles connect.
#[derive(Clone)]
pub(in crate::bench) struct Api(String);

impl Api {
    /// A connection of its own.
    pub(in crate::bench) async fn connect(&self) -> anyhow::Result<AlertServiceClient<Channel>> {
        Ok(AlertServiceClient::new(self.channel().await?))
    }
    /// The same, for any service.
    pub(in crate::bench) async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(Endpoint::new(self.0.clone())?.connect().await?)
    }
}

pub(in crate::bench) struct BusProcess {
    folder: tempfile::TempDir,
    state: PathBuf,
    api: Api,
    console: String,
    child: Child,
}

impl BusProcess {
    /// Starts the role as the supervisor does, in a folder of its own. Whoever connects is the operator.
    pub(in crate::bench) async fn start() -> anyhow::Result<Self> {
        Self::start_with(OPEN).await
    }
    /// The same with another configuration, which says nothing of site, state, networks, models and listeners.
    pub(in crate::bench) async fn start_with(config: &str) -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, config).await
    }
    /// The same in a folder in which `state` may hold a record.
    pub(in crate::bench) async fn start_in(folder: tempfile::TempDir, config: &str) -> anyhow::Result<Self> {
        let state = folder.path().join("state");
        let bus = Self::spawn(folder, state, config)?;
        let up = until("the bus serves", PATIENCE, async || bus.api.connect().await.ok()).await;
        up.with_context(|| fs::read_to_string(bus.folder.path().join("bus.log")).unwrap_or_default())?;
        Ok(bus)
    }
    /// Starts it on a state folder that stays, and waits for nothing.
    pub(in crate::bench) fn start_on(state: &Path) -> anyhow::Result<Self> {
        Self::spawn(tempfile::tempdir()?, state.to_owned(), OPEN)
    }
    fn spawn(folder: tempfile::TempDir, state: PathBuf, more: &str) -> anyhow::Result<Self> {
        let [api, console] = free_ports()?;
        let config = folder.path().join("xueliang.toml");
        fs::write(
            &config,
            format!(
                "site = \"bench\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = []\n\
                 [listen]\napi = \"127.0.0.1:{api}\"\nconsole = \"127.0.0.1:{console}\"\n{more}"
            ),
        )?;
        let log = fs::File::create(folder.path().join("bus.log"))?;
        let mut bus = command()?;
        bus.args(["bus", "--config"]).arg(&config).arg("--state-dir").arg(&state);
        let child = bus.stdout(Stdio::null()).stderr(Stdio::from(log)).spawn()?;
        let [api, console] = [api, console].map(|port| format!("http://127.0.0.1:{port}"));
        Ok(Self { folder, state, api: Api(api), console, child })
    }
    /// Stops it as the supervisor does.
    pub(in crate::bench) async fn stop(self) -> anyhow::Result<()> {
        self.end(Signal::TERM).await
    }
    /// Stops it as a failure of power does, nearly.
    pub(in crate::bench) async fn kill(self) -> anyhow::Result<()> {
        self.end(Signal::KILL).await
    }
    async fn end(mut self, signal: Signal) -> anyhow::Result<()> {
        kill_process(Pid::from_raw(i32::try_from(self.pid()?)?).context("it has an id")?, signal)?;
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }
    pub(in crate::bench) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the bus has ended")
    }
    pub(in crate::bench) fn api(&self) -> &Api {
        &self.api
    }
    /// Where the operators' page is.
    pub(in crate::bench) fn console(&self) -> &str {
        &self.console
    }
    /// The node's way in.
    pub(in crate::bench) async fn publisher(&self) -> anyhow::Result<AlertServiceClient<Channel>> {
        Ok(AlertServiceClient::new(self.node().await?))
    }
    /// The same, for any service.
    pub(in crate::bench) async fn node(&self) -> anyhow::Result<Channel> {
        self.socket("run/bus.sock").await
    }
    /// The way in of this machine's operator.
    pub(in crate::bench) async fn operator(&self) -> anyhow::Result<Channel> {
        self.socket("run/api.sock").await
    }
    /// Where it keeps its record.
    pub(in crate::bench) fn state(&self) -> &Path {
        &self.state
    }
    async fn socket(&self, name: &str) -> anyhow::Result<Channel> {
        let socket = self.state.join(name);
        Ok(Endpoint::new(format!("unix:{}", socket.display()))?.connect().await?)
    }
}
