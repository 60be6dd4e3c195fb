//! A bus process without anything beside it, and a publisher that speaks to it as a node does.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{io::AsyncReadExt, net::UnixStream, process::Child};
use tonic::transport::{Channel, Endpoint, Uri};
use xueliang_base::{
    alert::{Alert, AlertState, Place},
    id::AlertRevision,
    incident::Resolution,
    kind::{Kind, Level},
    testing,
    time::{Clock, SystemClock},
};
use xueliang_proto::v1::{self, alert_service_client::AlertServiceClient};
use xueliang_tests::service::{command, free_ports};

pub type Client = AlertServiceClient<Channel>;

/// One bus with its folder.
pub struct Site {
    folder: tempfile::TempDir,
    port: u16,
}

impl Site {
    pub fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), port: free_ports::<1>().unwrap()[0] };
        // The oracle follows each alert by itself.
        let text = format!(
            "site = \"test\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = []\n\
             [alerts]\nflood_per_camera = 0\nflood_per_division = 0\n\
             [api]\nsign_in = \"none\"\n[listen]\napi = \"127.0.0.1:{}\"\nconsole = \"127.0.0.1:0\"\n[[division]]\ncode = \"330282\"\nname = \"Test\"\n\
             [[camera]]\nid = \"gate\"\nname = \"Gate\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1:1/gate\"\n",
            site.port
        );
        fs::write(site.path("xueliang.toml"), text).unwrap();
        site
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Where consoles connect.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
    /// Starts the role as the supervisor does, armed with a failpoint or not.
    pub fn start(&self, failpoint: Option<&str>) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("bus.log")).unwrap();
        let mut command = command().unwrap();
        if let Some(failpoint) = failpoint {
            command.env("XUELIANG_FAILPOINT", failpoint);
        }
        command
            .args(["--log-format", "json", "bus", "--config"])
            .arg(self.path("xueliang.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap()
    }
    /// A publisher's connection. It is made when it is used first, and again after each loss.
    pub fn publisher(&self) -> Client {
        let socket = self.path("state/run/bus.sock");
        let connect = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
        });
        let endpoint = Endpoint::from_static("http://bus.invalid").timeout(Duration::from_secs(5));
        AlertServiceClient::new(endpoint.connect_with_connector_lazy(connect))
    }
    /// A value of the bus's metrics: the first line that begins so.
    pub async fn metric(&self, line: &str) -> Option<f64> {
        let mut text = String::new();
        let mut socket = UnixStream::connect(self.path("state/run/bus.metrics")).await.ok()?;
        socket.read_to_string(&mut text).await.ok()?;
        let found = text.lines().find(|known| known.starts_with(line))?;
        found.rsplit_once(' ')?.1.parse().ok()
    }
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("bus.log")).unwrap_or_default()
    }
}

/// Sends a signal to the bus.
pub fn send(bus: &Child, signal: Signal) {
    if let Some(pid) = bus.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap())) {
        // One that is gone already has what it would get.
        let _gone = kill_process(pid, signal);
    }
}

/// A first state of a new alert.
pub fn fresh(level: u8) -> Alert {
    let kind = match level {
        1 | 2 => Kind::FireFlame,
        3 => Kind::FireLaneBlocked,
        _ => Kind::ExposedGarbage,
    };
    let sample = testing::alert(kind, SystemClock.wall());
    let place = Place { division_path: vec!["330282".parse().unwrap()], ..sample.place };
    Alert { level: Level::try_from(level).unwrap(), place, ..sample }
}

/// Its next state, which `count` makes different from any other.
pub fn next(alert: &Alert, count: u64, end: bool) -> Alert {
    let mut next = alert.clone();
    next.revision = AlertRevision(alert.revision.0 + 1);
    next.count = count;
    if end {
        next.state = AlertState::Resolved { why: Resolution::ObservedAbsence, at: SystemClock.wall() };
    }
    next
}

/// As the wire has it.
pub fn publication(alert: &Alert) -> v1::Publication {
    v1::Publication {
        alert: Some(v1::Alert::from(alert)),
        last_round_trip_us: 1000,
        ..v1::Publication::default()
    }
}
