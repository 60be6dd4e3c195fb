//! A console that is not ours: Python, with code generated from our `.proto` by the stock gRPC tools.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use tokio::process::Command;
use xueliang_proto::v1::ListAlertsRequest;
use xueliang_tests::repository;

use super::*;

/// Python with the gRPC tools, as `tools/setup.sh --tests` installs them.
fn python() -> Command {
    let folder = repository().join(".cache/python-grpc");
    let mut command = Command::new(folder.join("python"));
    command.env("PYTHONPATH", &folder).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Generates Python code of the public API.
async fn generate(to: &Path) {
    let proto = repository().join("proto");
    let mut command = python();
    command.args(["-m", "grpc_tools.protoc", "-I"]).arg(&proto);
    command.arg(format!("--python_out={}", to.display())).arg(format!("--grpc_python_out={}", to.display()));
    let output = command.arg(proto.join("xueliang/v1/alert.proto")).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_in_python_misses_nothing_over_a_crash_of_the_bus() {
    let mut service =
        Service::start(vec![walkers("busy", BUSY_ZONE), walkers("lost", "")], "").await.unwrap();
    let generated = service.folder.path().join("generated");
    std::fs::create_dir(&generated).unwrap();
    generate(&generated).await;
    let api = service.api.trim_start_matches("http://").to_owned();
    let mut console = python();
    console.arg(repository().join("tests/python/console.py")).arg(&generated).arg(&api);
    let console = console.args(["python", "--seconds", "25"]).stdout(Stdio::piped()).spawn().unwrap();

    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    desk.until("an alert", MINUTE, |alert| firing(alert, "busy", Kind::ZoneIntrusion)).await.unwrap();
    let crash = service.signal("bus", Signal::KILL);
    assert_eq!(crash, 1, "one bus runs");
    service.simulator.camera("lost").unwrap().apply(Fault::Stop).unwrap();
    desk.until("an alert", MINUTE, |alert| firing(alert, "lost", Kind::CamOffline)).await.unwrap();

    let listed = desk.client().list_alerts(ListAlertsRequest::default()).await.unwrap().into_inner().records;

    let printed = console.wait_with_output().await.unwrap();
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    let mut shown: BTreeMap<String, u64> = BTreeMap::new();
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for line in printed.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *said.entry(line["item"].as_str().unwrap().to_owned()).or_default() += 1;
        if line["item"] == "record" {
            let revision = line["revision"].as_u64().unwrap();
            let before = shown.insert(line["alert"].as_str().unwrap().to_owned(), revision);
            assert!(before.is_none_or(|before| before < revision), "{line} after revision {before:?}");
        }
    }
    assert!(
        said["opened"] >= 2 && !said.contains_key("gap"),
        "it resumed without a gap: {said:?}\n{printed}"
    );
    let listed: Vec<_> = listed.into_iter().filter_map(|record| record.alert).collect();
    assert!(listed.iter().any(|alert| firing(alert, "lost", Kind::CamOffline)));
    for alert in listed {
        let got = shown.get(&alert.alert_id);
        assert!(got.is_some_and(|revision| *revision >= alert.revision), "{alert:?}: {got:?}\n{printed}");
    }
    service.stop().await.unwrap();
}
