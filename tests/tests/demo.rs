//! The demonstration leaves nothing behind, however it ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::Child,
    time::timeout,
};
use xueliang_tests::{
    clips_folder, default_model,
    service::{Process, command, family, free_ports, processes, until},
};

/// Enough for a machine that is busy with other tests; by itself it takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

struct Demo {
    child: Child,
    folder: tempfile::TempDir,
    admin: u16,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [api, admin, console] = free_ports().unwrap();
        let child = command()
            .unwrap()
            .arg("demo")
            .arg("--dir")
            .arg(folder.path())
            .arg("--clips")
            .arg(clips_folder())
            .arg("--model")
            .arg(default_model())
            .args(["--api", &format!("127.0.0.1:{api}"), "--admin", &format!("127.0.0.1:{admin}")])
            .args(["--console", &format!("127.0.0.1:{console}"), "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, folder, admin }
    }
    /// The demo, the service and its roles.
    fn family(&self) -> Vec<Process> {
        family(self.child.id().unwrap())
    }
    fn send(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap())).unwrap();
        kill_process(pid, signal).unwrap();
    }
    async fn gone(&self, family: &[Process]) {
        until("every process ends", PATIENCE, async || {
            let now = processes();
            family.iter().all(|one| !now.iter().any(|process| same(process, one))).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", processes(), self.log()));
        assert!(TcpStream::connect(("127.0.0.1", self.admin)).await.is_err(), "its ports are free");
    }
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("service.log")).unwrap_or_default()
    }
}

/// The same process, by id and arguments: ids are given again. One that ended and was not waited for has none.
fn same(now: &Process, then: &Process) -> bool {
    now.pid == then.pid && now.arguments == then.arguments
}

#[tokio::test]
async fn a_demo_that_showed_an_alert_and_is_terminated_leaves_nothing_running() {
    let mut demo = Demo::start();
    let mut lines = BufReader::new(demo.child.stdout.take().unwrap()).lines();
    let alert = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it runs");
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            if value["event"] == "delivery" {
                return value["alert"]["kind"].clone();
            }
        }
    };
    let kind = timeout(PATIENCE, alert).await.unwrap_or_else(|_| panic!("no alert\n{}", demo.log()));
    assert!(kind.is_string(), "{kind}");
    let family = demo.family();
    assert!(family.len() >= 5, "demo, supervisor, bus, node and workers: {family:?}");

    demo.send(Signal::TERM);
    let status = timeout(PATIENCE, demo.child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "an orderly end: {status}");
    demo.gone(&family).await;
    assert!(demo.log().contains("stopped"), "the service stopped in order\n{}", demo.log());
}

#[tokio::test]
async fn a_killed_demo_takes_its_service_along() {
    let mut demo = Demo::start();
    let (root, admin) = (demo.child.id().unwrap(), demo.admin);
    until("the service is up", PATIENCE, async || {
        let roles = family(root).len();
        (roles >= 4 && TcpStream::connect(("127.0.0.1", admin)).await.is_ok()).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", demo.log()));
    let family = demo.family();
    demo.send(Signal::KILL);
    demo.child.wait().await.unwrap();
    demo.gone(&family).await;
}
