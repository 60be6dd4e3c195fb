//! Commands as people and programs use them, by the built program.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};
use xueliang_tests::{
    cli, clips_folder,
    service::{command, free_ports},
};

fn clip(name: &str) -> String {
    clips_folder().join(name).display().to_string()
}

#[tokio::test]
async fn simulate_tells_every_fault_with_its_value_and_takes_clips_to_change_to() {
    let help = cli(&["simulate", "--help"]).await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for told in ["restart=5s", "corrupt=RATE", "show=NAME", "--alternative <NAME=FILE>", "normal"] {
        assert!(help.contains(told), "{told}: {help}");
    }

    let [port] = free_ports().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let camera = format!("gate={}", clip("vtest@10fps.h264"));
    let faults = "1s:show=other,2s:restart=1s,3s:corrupt=0.1,4s:normal";
    let alone = cli(&["simulate", &camera, "--listen", &listen, "--faults", faults]).await.unwrap();
    assert!(!alone.status.success());
    let said = String::from_utf8(alone.stderr).unwrap();
    assert!(said.contains("no clip named `other`") && said.contains("--alternative"), "{said}");

    let other = format!("other={}", clip("vtest@10fps.mjpeg"));
    let mut child = command()
        .unwrap()
        .args(["simulate", &camera, "--listen", &listen, "--faults", faults, "--alternative", &other])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap();
    assert_eq!(url, format!("rtsp://{listen}/gate"));
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap())).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let status = timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_fatal_error_is_one_line_of_json_where_json_is_asked_for() {
    let missing = "/nowhere/xueliang.toml";
    let logged = cli(&["--log-format", "json", "run", "--config", missing]).await.unwrap();
    assert!(!logged.status.success());
    let text = String::from_utf8(logged.stderr).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(line["error"].as_str().unwrap().contains(missing), "{text}");
    // For people it stays a sentence.
    let said = cli(&["run", "--config", missing]).await.unwrap();
    assert!(String::from_utf8(said.stderr).unwrap().starts_with("xueliang: read /nowhere"));
}
