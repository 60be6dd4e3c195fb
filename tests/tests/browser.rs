//! The operators' page in a real browser, before a real service that watches a simulated town and one that asks who one is. What is done in the page stands
//! in `console/e2e`; this starts what it needs and says where that is.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};
use xueliang_tests::{
    Service, clip,
    service::{BUSY_ZONE, TestCamera, command, repository, until},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Somebody walks through it all the time, and at a pond that is a severe alert.
const POND: &str = r#"position = [121.2312, 30.1744]
address = "塘边路 1 号"
[[camera.zone]]
id = "bank"
polygon = [[0.62, 0.40], [0.90, 0.40], [0.90, 0.74], [0.62, 0.74]]
[[camera.rule]]
kind = "WATER_ZONE_ENTRY"
zone = "bank"
"#;

/// Beside it, and nobody has said where exactly.
const PARK: &str = "address = \"塘边路 1 号\"\n";

/// Before and behind [`BUSY_ZONE`]: somebody walks through it in drills.
const IN_DRILLS: &str = "acquire = \"on-request\"\ndrill = true\n";
const ONCE: &str = "cooldown = \"5m\"\n";

/// On the map beside it.
const SQUARE: &str = "position = [121.2486, 30.1691]\n";

/// A camera that nobody can reach.
const AWAY: &str = r#"
[[camera]]
id = "weir"
name = "Camera weir"
division = "330282"
url = "rtsp://127.0.0.1:1/none"
"#;

/// What is filed of the camera that it stands behind: it ought to have been filed long ago.
const FILING: &str = r#"
[camera.filing]
managing_unit = "水务站"
in_use_since = "2025-05-01"
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
position = [121.2571, 30.1803]
"#;

/// Accounts of the service that asks who one is: a judge who is set up, and one whose owner still has to be.
const JUDGE: &str = "ana";
const KEEPER: &str = "bo";
/// Those who work on a case beside the judge, each with unit, name and role: nobody both asks, handles and checks (采办分离).
/// The last of them signs in with a second factor.
const PEOPLE: [(&str, &str, &str, &str); 6] = [
    ("jan", "指挥中心", "江安", "judge"),
    ("dora", "指挥中心", "杜拉", "dispatcher"),
    ("hugo", "消防大队", "胡戈", "handler"),
    ("vera", "督查科", "薇拉", "verifier"),
    ("lea", "指挥中心", "李雅", "leader"),
    ("tom", "指挥中心", "汤牧", "judge"),
];
const PASSWORD: &str = "Nine-lamps-by-the-1-river";

/// A server of a map's tiles, each of them one grey pixel; until the runtime ends.
async fn tiles() -> SocketAddr {
    const PIXEL: [u8; 43] =
        *b"GIF89a\x01\x00\x01\x00\x80\x01\x00\x40\x50\x60\xff\xff\xff\x21\xf9\x04\x01\x0a\x00\x01\x00\x2c\
        \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let head = "HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\ncontent-length: 43\r\nconnection: close\r\n\r\n";
                // A browser that goes away before it has its tile is no fault.
                if stream.read(&mut request).await.is_ok() {
                    let _sent = stream.write_all(&[head.as_bytes(), &PIXEL].concat()).await;
                }
            });
        }
    });
    address
}

/// A service without pictures but for drills that lets nobody in who has not signed in, and the one-time token of [`KEEPER`].
async fn secured(tiles: SocketAddr) -> (Service, String) {
    let play = [IN_DRILLS, BUSY_ZONE, ONCE].concat();
    let play = TestCamera::new("play", clip("vtest@10fps.h264").unwrap(), &play);
    let mut service = Service::prepare(vec![play], "").await.unwrap();
    fs::write(service.folder.path().join("box-7.token"), TOKEN).unwrap();
    service
        .edit(|text| {
            let map = format!(
                "[map]\ntiles = \"http://{tiles}/{{z}}/{{x}}/{{y}}.png\"\napproval = \"测S(2026)001号\"\n"
            );
            text.replace("sign_in = \"none\"", "sign_in = \"required\"") + AWAY + SQUARE + PUBLISHER + &map
        })
        .unwrap();
    service.run().await.unwrap();
    until("accounts can be made", MINUTE, async || account(&service, &["list"], "").await.ok())
        .await
        .unwrap();
    let add = ["add", "--division", "330282", "--unit"];
    for (name, unit, called, role) in PEOPLE.into_iter().chain([(JUDGE, "指挥中心", "安娜", "judge")]) {
        let one = [&add[..], &[unit, "--display-name", called, "--role", role, name]].concat();
        let token = account(&service, &one, "").await.unwrap();
        account(&service, &["set-up"], &format!("{token}\n{PASSWORD}\n")).await.unwrap();
    }
    let keeper = [&add[..], &["视频科", "--display-name", "阿波", "--role", "point-admin", KEEPER]].concat();
    let token = account(&service, &keeper, "").await.unwrap();
    (service, token)
}

/// `xueliang account` with this on its standard input; the first line that it prints.
async fn account(service: &Service, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut child = command()?
        .args(["account", "--config"])
        .arg(service.config())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("it reads")?.write_all(input.as_bytes()).await?;
    let output = tokio::time::timeout(MINUTE, child.wait_with_output()).await??;
    ensure!(output.status.success(), "account {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// Where people look at what the tests saw.
fn screenshots() -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), Into::into);
    repository().join(target).join("console-screenshots")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_judge_and_settle_what_happens_in_a_browser_whatever_happens_to_the_bus() {
    let footage = clip("vtest@10fps.h264").unwrap();
    let tree = clip("tree@10fps.h264").unwrap();
    let cameras = vec![
        TestCamera::new("pond", footage.clone(), POND),
        TestCamera::new("square", footage, SQUARE),
        TestCamera::new("park", tree, PARK),
    ];
    let mut service = Service::prepare(cameras, "").await.unwrap();
    fs::write(service.folder.path().join("box-7.token"), TOKEN).unwrap();
    // With a rule of a severe kind: a blind camera and lost coverage.
    service.edit(|text| format!("{text}{AWAY}{POND}{FILING}{PUBLISHER}")).unwrap();
    service.run().await.unwrap();
    until("the page is served", MINUTE, async || {
        let address = service.console.trim_start_matches("http://");
        tokio::net::TcpStream::connect(address).await.ok()
    })
    .await
    .unwrap();

    let (mut asking, token) = secured(tiles().await).await;

    let status = Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(repository().join("console"))
        .env("XUELIANG_CONSOLE", &service.console)
        .env("XUELIANG_TOKEN", TOKEN)
        .env("XUELIANG_SECURED", &asking.console)
        .env("XUELIANG_ACCOUNT", JUDGE)
        .env("XUELIANG_PASSWORD", PASSWORD)
        .env("XUELIANG_NEW_ACCOUNT", KEEPER)
        .env("XUELIANG_ONE_TIME_TOKEN", token)
        .env("XUELIANG_SUPERVISOR", service.supervisor_pid().unwrap().as_raw_nonzero().to_string())
        .env("XUELIANG_SCREENSHOTS", screenshots())
        .kill_on_drop(true)
        .status();
    let status = tokio::time::timeout(15 * MINUTE, status).await.expect("the browser's tests end").unwrap();
    assert!(
        status.success(),
        "{status}: what failed stands above; the services' logs:\n{}\n\n{}",
        tail(&service.log()),
        tail(&asking.log())
    );
    service.stop().await.unwrap();
    asking.stop().await.unwrap();
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
