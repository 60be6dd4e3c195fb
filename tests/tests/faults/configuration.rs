//! What is refused before anything starts, and what is refused when it connects.

use std::{fs, path::Path};

use xueliang_proto::v1::Signal;
use xueliang_tests::{cli, default_model};

use super::*;

/// Each line is wrong in its own way; `{model}` is the only thing to be put in.
const BAD: &str = r#"site = "Hushan town"
stie = "Hushan town"
state_dir = "state"
networks = ["127.0.0.0/8"]
models = ["{model}", "no-such-model"]
timezone = "Asia/Nowhere"
[listen]
api = "0.0.0.0:8750"
[evidence]
keep_days = 7
[credentials.gate]
file = "no-such.secret"
[[division]]
code = "330282"
name = "Cixi"
[[camera]]
id = "pond"
name = "Pond"
division = "440000"
url = "rtsp://operator:canary-7f3a9e51@127.0.0.1/pond"
credentials = "gato"
transport = "carrier pigeon"
[[camera.zone]]
id = "water"
polygon = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
[[camera]]
id = "gate"
name = "Gate"
division = "330282"
url = "http://127.0.0.1/gate"
[[camera.rule]]
kind = "PERSON_PRESENT"
[[camera.rule]]
kind = "ZONE_INTRUSION"
zone = "nowhere"
dwell = 2
[[camera]]
id = "far"
name = "Far"
division = "330282"
url = "rtsp://192.0.2.7/far"
"#;

/// Writes the bad configuration, changed; its path.
fn write(folder: &Path, change: impl FnOnce(String) -> String) -> String {
    let config = folder.join("bad.toml");
    fs::write(&config, change(BAD.replace("{model}", &default_model().display().to_string()))).unwrap();
    config.display().to_string()
}

/// What `check` says about it.
async fn checked(config: &str) -> String {
    let output = cli(&["check", "--config", config]).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains(PASSWORD), "a password in the file is not repeated\n{text}");
    let faults = text.lines().count() - 1;
    assert!(text.ends_with(&format!("{faults} faults; nothing was started or changed\n")), "{text}");
    text
}

/// Faults by a part of their message, and the line that must be named.
fn assert_said(text: &str, faults: &[(Option<usize>, &str)]) {
    for (line, about) in faults {
        let found = text.lines().find(|found| found.contains(about));
        let found = found.unwrap_or_else(|| panic!("{about:?} is not in\n{text}"));
        if let Some(line) = line {
            assert!(found.starts_with(&format!("line {line}: ")), "line {line} is meant: {found}");
        }
    }
}

#[tokio::test]
async fn bad_configurations_are_refused_with_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), |text| text);
    let text = checked(&config).await;
    assert_said(
        &text,
        &[
            (Some(2), "did you mean \"site\""),
            (Some(6), "timezone"),
            (Some(8), "is not loopback"),
            (Some(10), "at least 30 days"),
            (Some(20), "[credentials.NAME]"),
            (Some(22), "carrier pigeon"),
            (Some(25), "camera[pond].zone[water].polygon"),
            (Some(30), "has scheme http"),
            (Some(32), "is no kind of hazard"),
            (Some(35), "nowhere is not a zone of this camera"),
            (Some(36), "write a time with its unit"),
            // What the text alone cannot tell.
            (None, "models[1]"),
            (None, "no-such.secret"),
            (None, "192.0.2.7 lies in none of the allowed networks"),
        ],
    );

    let output = cli(&["run", "--config", &config]).await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("carrier pigeon") && error.contains("has scheme http"), "{error}");
    assert!(!error.contains(PASSWORD), "{error}");
    assert!(!folder.path().join("state").exists(), "nothing was made");
}

#[tokio::test]
async fn a_missing_key_hides_no_other_fault_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), |text| text.replace("site = \"Hushan town\"\nstie", "stie"));
    let text = checked(&config).await;
    assert_said(
        &text,
        &[
            (None, "site is missing"),
            (Some(5), "timezone"),
            (Some(7), "is not loopback"),
            (Some(9), "at least 30 days"),
            (Some(21), "carrier pigeon"),
        ],
    );
    assert_eq!(text.matches("unknown key").count(), 1, "only stie is unknown\n{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_camera_address_outside_the_networks_is_refused() {
    // Somebody listens there, so that a connection would be seen.
    let outside = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = outside.local_addr().unwrap();
    let mut service =
        Service::prepare(vec![walkers("inside", ""), walkers("outside", "")], "").await.unwrap();
    service
        .edit(|text| {
            let changed = text
                .replace("127.0.0.0/8", "127.0.0.1/32")
                .replace(&service.simulator.url("outside"), &format!("rtsp://{address}/outside"));
            assert!(changed.contains(&address.to_string()));
            changed
        })
        .unwrap();
    let output = cli(&["check", "--config", &service.config().display().to_string()]).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("camera[outside].url: 127.0.0.2 lies in none of the allowed networks"), "{text}");

    // A name may resolve to it after the check: the session itself refuses.
    service.run().await.unwrap();
    let refused = until("the session is refused, the other streams", MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let (inside, outside) = (cameras.get("inside")?, cameras.get("outside")?);
        (inside.signal() == Signal::Streaming && outside.signal() == Signal::Offline)
            .then(|| outside.detail.clone())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    assert!(refused.contains("outside the allowed networks"), "{refused}");
    let came = tokio::time::timeout(Duration::from_secs(5), outside.accept()).await;
    assert!(came.is_err(), "somebody connected: {came:?}");
    assert_eq!(service.units("outside", "received").await.unwrap(), 0.0);
    service.stop().await.unwrap();
}
