//! The operators' page in a real browser, before a real service that watches a simulated town. What is done in the page stands
//! in `console/e2e`; this starts what it needs and says where that is.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, time::Duration};

use tokio::process::Command;
use xueliang_tests::{
    Service, clip,
    service::{TestCamera, repository, until},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Somebody walks through it all the time, and at a pond that is a severe alert.
const POND: &str = r#"
[[camera.zone]]
id = "bank"
polygon = [[0.62, 0.40], [0.90, 0.40], [0.90, 0.74], [0.62, 0.74]]
[[camera.rule]]
kind = "WATER_ZONE_ENTRY"
zone = "bank"
"#;

const TOKEN: &str = "browser-tests-0123456789abcdef0123456789";

/// An external publisher, whose alerts come when a test says so.
const PUBLISHER: &str = r#"
[[publisher]]
name = "box-7"
token_file = "box-7.token"
divisions = ["330282"]
kinds = ["FIRE_FLAME", "FIRE_SMOKE", "FIRE_LANE_BLOCKED", "PERSON_IN_WATER", "ROAD_FLOOD", "ROAD_OBSTACLE", "LEFT_OBJECT",
         "EXPOSED_GARBAGE", "BIN_OVERFLOW", "MATERIAL_PILED", "MANHOLE_MISSING"]
max_per_second = 200
[[publisher.device]]
id = "quay-thermal"
name = "东码头热成像 Quay, thermal camera"
division = "330282"
"#;

/// Where people look at what the tests saw.
fn screenshots() -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), Into::into);
    repository().join(target).join("console-screenshots")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_hears_opens_and_silences_in_a_browser_whatever_happens_to_the_bus() {
    let footage = clip("vtest@10fps.h264").unwrap();
    let tree = clip("tree@10fps.h264").unwrap();
    let cameras = vec![
        TestCamera::new("pond", footage.clone(), POND),
        TestCamera::new("square", footage, ""),
        TestCamera::new("park", tree, ""),
    ];
    let mut service = Service::prepare(cameras, "").await.unwrap();
    fs::write(service.folder.path().join("box-7.token"), TOKEN).unwrap();
    // A camera that nobody can reach, with a rule of a severe kind: a blind camera and lost coverage.
    let away = "[[camera]]\nid = \"weir\"\nname = \"Camera weir\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1:1/none\"\n";
    service.edit(|text| format!("{text}{away}{POND}{PUBLISHER}")).unwrap();
    service.run().await.unwrap();
    until("the page is served", MINUTE, async || {
        let address = service.console.trim_start_matches("http://");
        tokio::net::TcpStream::connect(address).await.ok()
    })
    .await
    .unwrap();

    let status = Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(repository().join("console"))
        .env("XUELIANG_CONSOLE", &service.console)
        .env("XUELIANG_TOKEN", TOKEN)
        .env("XUELIANG_SUPERVISOR", service.supervisor_pid().unwrap().as_raw_nonzero().to_string())
        .env("XUELIANG_SCREENSHOTS", screenshots())
        .kill_on_drop(true)
        .status();
    let status = tokio::time::timeout(15 * MINUTE, status).await.expect("the browser's tests end").unwrap();
    assert!(
        status.success(),
        "{status}: what failed stands above; the service's log:\n{}",
        tail(&service.log())
    );
    service.stop().await.unwrap();
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
