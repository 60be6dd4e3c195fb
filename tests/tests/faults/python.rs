//! A console and a publisher that are not ours: Python, with code generated from our `.proto` by the stock gRPC tools.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use tokio::process::Command;
use xueliang_proto::v1::ListAlertsRequest;
use xueliang_tests::{desk::alert_of, repository};

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
    // With all that it imports.
    command.args(["alert", "time"].map(|name| proto.join(format!("xueliang/v1/{name}.proto"))));
    let output = command.output().await.unwrap();
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

const BOX: &str = r#"
[[publisher]]
name = "box-7"
token_file = "box-7.token"
divisions = ["330282"]
kinds = ["FIRE_FLAME"]
max_per_second = 1
[[publisher.device]]
id = "quay-thermal"
name = "Quay, thermal"
division = "330282"
"#;

/// What a box of another maker printed, and whether it got its way.
async fn run_box(service: &Service, generated: &Path, arguments: &[&str]) -> (Vec<serde_json::Value>, bool) {
    let mut other = python();
    other.arg(repository().join("tests/python/box.py")).arg(generated);
    other.arg(service.api.trim_start_matches("http://")).args(arguments);
    let output = other.stdout(Stdio::piped()).output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_in_python_publishes_under_its_own_name_at_its_own_rate_and_nobody_does_without_a_token() {
    let mut service = Service::prepare(vec![walkers("lost", "")], BOX).await.unwrap();
    let folder = service.folder.path().to_owned();
    let (token, wrong) = (folder.join("box-7.token"), folder.join("wrong.token"));
    std::fs::write(&token, "a-token-of-32-characters-or-more\n").unwrap();
    std::fs::write(&wrong, "a-token-of-32-characters-that-is-nobodys\n").unwrap();
    let generated = folder.join("generated");
    std::fs::create_dir(&generated).unwrap();
    generate(&generated).await;
    let (token, wrong) = (token.to_str().unwrap(), wrong.to_str().unwrap());
    service.run().await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();

    // Four alerts are twelve states: ten may come at once, the rest when the bus says so.
    let fire = ["--place", "quay-thermal", "--kind", "FIRE_FLAME"];
    let (lines, done) =
        run_box(&service, &generated, &[&fire[..], &["--alerts", "4", "--token-file", token]].concat()).await;
    assert!(done, "{lines:?}");
    let results: Vec<_> = lines.iter().filter(|line| line["item"] == "result").collect();
    let outcomes = ["COMMITTED", "DUPLICATE", "COMMITTED"].map(|word| format!("PUBLISH_OUTCOME_{word}"));
    assert_eq!(results.len(), 12);
    for (line, outcome) in results.iter().zip(outcomes.iter().cycle()) {
        assert_eq!(line["outcome"], outcome.as_str(), "{line}");
    }
    let limited: Vec<_> = lines.iter().filter(|line| line["code"] == "RESOURCE_EXHAUSTED").collect();
    assert!(!limited.is_empty() && limited.len() == lines.len() - 12, "{lines:?}");
    let id = results[11]["alert"].as_str().unwrap();
    let delivery = desk
        .until("the box's last alert, ended", MINUTE, |alert| alert.alert_id == id && alert.revision == 2)
        .await
        .unwrap();
    let alert = alert_of(&delivery);
    let place = alert.place.as_ref().unwrap();
    assert_eq!((alert.publisher.as_str(), place.camera_name.as_str()), ("box-7", "Quay, thermal"));
    let taken = service.metric("xueliang_bus_external_total", &["box-7", "taken"]).await.unwrap();
    let limited = service.metric("xueliang_bus_external_total", &["box-7", "limited"]).await.unwrap();
    assert!(taken >= 12.0 && limited >= 3.0, "{taken} taken, {limited} over the rate");

    let elsewhere = ["--place", "gate", "--kind", "FIRE_FLAME", "--token-file", token];
    let (lines, done) = run_box(&service, &generated, &elsewhere).await;
    assert!(
        done && lines.iter().any(|line| line["message"].to_string().contains("no device of its own")),
        "{lines:?}"
    );
    for (more, code) in [(vec![], "PERMISSION_DENIED"), (vec!["--token-file", wrong], "UNAUTHENTICATED")] {
        let (lines, done) = run_box(&service, &generated, &[&fire[..], &more].concat()).await;
        assert!(!done && lines.len() == 1 && lines[0]["code"] == code, "{code}: {lines:?}");
    }
    assert!(!service.log().contains("a-token-of-32"), "no token stands in the log");
    service.stop().await.unwrap();
}
