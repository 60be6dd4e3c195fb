//! A recorder that serves few sessions, with many cameras on patrol, one whose first picture takes long, and one that is asked for.

use std::process::Output;

use xueliang_proto::v1::{Acquisition, Granted, Signal};
use xueliang_tests::cli;

use super::*;

const SESSIONS: u64 = 4;
const CAMERAS: usize = 10;

fn camera(n: usize) -> TestCamera {
    let mut keys = "upstream = \"nvr\"\nacquire = \"patrol\"\npatrol_every = \"10s\"\n\
                    health = [\"CAM_OFFLINE\", \"CAM_COVERED\"]\n"
        .to_owned();
    if n == 0 {
        keys.push_str(EMPTY_ZONE);
    }
    walkers(&format!("c{n}"), &keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patrol_keeps_to_the_recorders_sessions_and_visits_everybody_in_time() {
    let asked = walkers("pond", "upstream = \"nvr\"\nacquire = \"on-request\"\n");
    let cameras: Vec<TestCamera> = (0..CAMERAS).map(camera).chain([asked]).collect();
    let extra = format!("[[upstream]]\nid = \"nvr\"\nname = \"Recorder\"\nsessions = {SESSIONS}\n");
    let mut service = Service::prepare(cameras, &extra).await.unwrap();
    service.simulator.camera("c7").unwrap().apply(Fault::FirstAfter(Duration::from_secs(6))).unwrap();
    service.run().await.unwrap();

    // Over two rounds the recorder never has more sessions than it can serve.
    let clients = || service.simulator.cameras().iter().map(|camera| camera.counters().clients).sum::<u64>();
    let played = || {
        let cameras = service.simulator.cameras();
        let patrol = cameras.iter().filter(|camera| camera.name() != "pond");
        patrol.map(|camera| camera.counters().sessions_played).min().unwrap()
    };
    let mut most = 0;
    let begun = tokio::time::Instant::now();
    while played() < 3 {
        most = most.max(clients());
        assert!(most <= SESSIONS, "{most} sessions");
        assert!(begun.elapsed() < 4 * MINUTE, "{} rounds\n{}", played(), service.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(service.simulator.camera("pond").unwrap().counters().sessions_played, 0, "nobody asked");
    let cameras = until("all were looked at", MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let looked = cameras.values().filter(|camera| camera.last_look_unix_us != 0).count();
        (looked == CAMERAS).then_some(cameras)
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    for (id, camera) in &cameras {
        let well = matches!(camera.signal(), Signal::NotConnected | Signal::Streaming);
        assert!(well, "a camera between two visits is not lost: {id} {camera:?}");
    }
    assert_eq!(cameras["c3"].acquisition(), Acquisition::Patrol);
    // A mean from picture to picture: one may have come a moment late, and the next in time.
    assert!(cameras["c3"].patrol_interval_us >= 9_900_000, "{:?}", cameras["c3"]);
    assert!(cameras["c3"].evidence.starts_with("a still;"));
    assert_eq!(cameras["pond"].acquisition(), Acquisition::OnRequest);
    // Moving hazards are not covered by a picture now and then, and that is said.
    let intrusion = cameras["c0"].coverage.iter().find(|row| row.kind() == Kind::ZoneIntrusion).unwrap();
    assert_eq!(intrusion.granted(), Granted::NotCovered);
    assert!(intrusion.reason.contains("patrol"), "{intrusion:?}");
    let load = async |what: &str| {
        let labels = ["upstream=\"nvr\"".to_owned(), format!("what=\"{what}\"")];
        service.metric("xueliang_node_upstream_load", &labels.each_ref().map(String::as_str)).await.unwrap()
    };
    assert_eq!(load("sessions_budget").await, SESSIONS as f64);
    assert!(load("sessions").await <= SESSIONS as f64);
    let slow = service.metric("xueliang_node_first_pictures", &["within_s=\"+Inf\""]).await.unwrap()
        - service.metric("xueliang_node_first_pictures", &["within_s=\"5\""]).await.unwrap();
    assert!(slow >= 2.0, "first pictures that took long are counted: {slow}");

    // Somebody asks.
    let look = |id: &'static str| {
        let api = service.api.clone();
        tokio::spawn(
            async move { cli(&["cameras", "look", id, "--for", "12s", "--api", &api]).await.unwrap() },
        )
    };
    let text = |output: &Output| {
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let output = look("pond").await.unwrap();
    assert!(output.status.success() && text(&output).contains("pond: streaming"), "{}", text(&output));
    let output = look("nowhere").await.unwrap();
    assert!(
        !output.status.success() && text(&output).contains("there is no camera nowhere"),
        "{}",
        text(&output)
    );
    until("it is closed again", MINUTE, async || {
        let pond = service.simulator.camera("pond").unwrap().counters();
        (pond.clients == 0 && pond.sessions_played > 0).then_some(())
    })
    .await
    .unwrap();

    // A camera that dies is lost when its visits have failed.
    let mut desk = Desk::open(&service.api, "ops", MINUTE).await.unwrap();
    service.simulator.camera("c5").unwrap().apply(Fault::Stop).unwrap();
    desk.until("c5", 2 * MINUTE, |alert| firing(alert, "c5", Kind::CamOffline)).await.unwrap();
    service.simulator.camera("c5").unwrap().clear();
    desk.until("c5", 2 * MINUTE, |alert| resolved(alert, "c5", Kind::CamOffline)).await.unwrap();
    let others: Vec<String> = desk
        .latest()
        .into_values()
        .filter(|alert| alert.kind() == Kind::CamOffline)
        .map(|alert| alert.place.unwrap().camera_id)
        .filter(|id| id != "c5")
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(service.units_missing(CAMERAS + 1).await.unwrap(), 0.0);
    service.stop().await.unwrap();
}
