//! The bus role by itself: it starts with what it has, or says in its exit status that it cannot.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Child,
    time::{Instant, timeout},
};
use xueliang_proto::v1::{AttachRequest, node_service_client::NodeServiceClient};
use xueliang_tests::service::{command, free_ports, until};

const PATIENCE: Duration = Duration::from_secs(30);
/// Exit status of a bus that cannot start and will not by trying again.
const CANNOT_START: i32 = 78;

struct Site {
    folder: tempfile::TempDir,
    api: u16,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), api: free_ports::<1>().unwrap()[0] };
        site.write("camera.secret", "operator\nsecret\n");
        site.configure("Gate", "");
        site
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
    fn configure(&self, name: &str, rules: &str) {
        let text = format!(
            "site = \"test\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = []\n\
             [api]\nsign_in = \"none\"\n[listen]\napi = \"127.0.0.1:{}\"\nconsole = \"127.0.0.1:0\"\n[credentials.test]\nfile = \"camera.secret\"\n\
             [[division]]\ncode = \"330282\"\nname = \"Test\"\n\
             [[camera]]\nid = \"gate\"\nname = \"{name}\"\ndivision = \"330282\"\ncredentials = \"test\"\n\
             url = \"rtsp://127.0.0.1:1/gate\"\n{rules}",
            self.api
        );
        self.write("xueliang.toml", &text);
    }
    /// Starts the role as the supervisor does.
    fn start(&self) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("bus.log")).unwrap();
        command()
            .unwrap()
            .args(["--log-format", "json", "bus", "--config"])
            .arg(self.path("xueliang.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap()
    }
    fn log(&self) -> String {
        fs::read_to_string(self.path("bus.log")).unwrap_or_default()
    }
    /// The revision that a node is given, once the bus serves.
    async fn revision(&self) -> u64 {
        let socket = self.path("state/run/bus.sock");
        until("the bus serves its nodes", PATIENCE, async || attached(&socket).await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }
}

async fn attached(socket: &Path) -> Option<u64> {
    let mut client = NodeServiceClient::connect(format!("unix:{}", socket.display())).await.ok()?;
    let request = AttachRequest {
        node_id: "node-1".to_owned(),
        version: "test".to_owned(),
        ..AttachRequest::default()
    };
    let mut assigned = client.attach(request).await.ok()?.into_inner();
    Some(assigned.message().await.ok()??.config_revision)
}

async fn stop(mut bus: Child) -> Duration {
    let began = Instant::now();
    let pid = bus.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap())).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let status = timeout(PATIENCE, bus.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    began.elapsed()
}

#[tokio::test]
async fn a_bus_that_is_started_again_keeps_the_revision_in_force_whatever_became_of_the_files() {
    let site = Site::new();
    let bus = site.start();
    let first = site.revision().await;
    stop(bus).await;

    let broken: [(&str, &dyn Fn()); 3] = [
        ("credentials that cannot be read", &|| fs::remove_file(site.path("camera.secret")).unwrap()),
        ("a rule that no model can serve", &|| {
            site.write("camera.secret", "operator\nsecret\n");
            let zone = "[[camera.zone]]\nid = \"z\"\npolygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]\n";
            site.configure(
                "Gate, renamed",
                &format!("{zone}[[camera.rule]]\nkind = \"ZONE_INTRUSION\"\nzone = \"z\"\n"),
            );
        }),
        ("a file that is no configuration", &|| site.write("xueliang.toml", "site = ")),
    ];
    for (what, damage) in broken {
        damage();
        let before = site.log().len();
        let bus = site.start();
        assert_eq!(site.revision().await, first, "{what}");
        stop(bus).await;
        let log = site.log().split_off(before);
        assert!(log.contains("keeping the revision in force"), "{what}: {log}");
    }

    // What is whole again is imported.
    site.configure("Gate, renamed", "");
    let bus = site.start();
    assert!(site.revision().await > first);
    stop(bus).await;
}

#[tokio::test]
async fn a_bus_that_cannot_start_says_so_in_its_exit_status_and_its_log() {
    let site = Site::new();
    let taken = TcpListener::bind(("127.0.0.1", site.api)).unwrap();
    let status = timeout(PATIENCE, site.start().wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(CANNOT_START), "a port in use\n{}", site.log());
    assert!(site.log().contains("set listen.api to a free port"), "{}", site.log());
    drop(taken);

    let never = Site::new();
    fs::remove_file(never.path("camera.secret")).unwrap();
    let status = timeout(PATIENCE, never.start().wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(CANNOT_START), "never configured\n{}", never.log());
    let log = never.log();
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "ERROR", "{log}");
    assert!(line["error"].as_str().unwrap().contains("camera.secret"), "{log}");
}
