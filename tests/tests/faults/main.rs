//! The service keeps its promises while its town and its own processes fail. Real program, real footage.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use rustix::process::Signal;
use xueliang_proto::v1::{
    GetClipRequest, GetStillRequest, Kind, Purpose, evidence_service_client::EvidenceServiceClient,
};
use xueliang_simulator::Fault;
use xueliang_tests::{
    Desk, Service, clip,
    desk::{firing, lost, resolved},
    service::{BUSY_ZONE, EMPTY_ZONE, PASSWORD, TestCamera, until},
};

mod acquire;
mod backup;
mod configuration;
mod consoles;
mod explain;
mod media;
mod privacy;
mod python;
mod reconfiguration;
mod substream;
mod supervision;
mod tuning;
mod upstream;

const MINUTE: Duration = Duration::from_secs(60);

fn walkers(id: &str, rules: &str) -> TestCamera {
    let mut camera = TestCamera::new(id, clip("vtest@10fps.h264").unwrap(), rules);
    camera.spec = camera
        .spec
        .alternative("dark", clip("vtest-dark@10fps.h264").unwrap())
        .alternative("away", clip("vtest-away@10fps.h264").unwrap());
    camera
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_danger_zone_alerts_with_evidence_and_one_where_nobody_walks_does_not() {
    let cameras = vec![walkers("busy", BUSY_ZONE), walkers("empty", EMPTY_ZONE)];
    let mut service = Service::start(cameras, "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();

    let first = desk
        .until("someone in the zone", MINUTE, |alert| firing(alert, "busy", Kind::ZoneIntrusion))
        .await
        .unwrap();
    assert!(first.age_us > 0, "its age is stated");
    let alert = first.record.unwrap().alert.unwrap();
    let explanation = alert.explanation.unwrap();
    assert!(!explanation.looks.is_empty() && !explanation.thresholds.is_empty(), "it says why");
    assert_eq!(explanation.zone_outline.len(), 4);
    assert!(explanation.model.is_some_and(|model| model.sha256.len() == 64), "it names the model");

    // The redacted still comes at once, the clip when the footage after the incident is there.
    let id = alert.alert_id.clone();
    desk.until("a still", MINUTE, |a| a.alert_id == id && !a.evidence.is_empty()).await.unwrap();
    let mut evidence = EvidenceServiceClient::connect(service.api.clone())
        .await
        .unwrap()
        .max_decoding_message_size(64 << 20);
    let still = until("the still is served", MINUTE, async || {
        let request = GetStillRequest { alert_id: id.clone(), purpose: Purpose::Judge.into() };
        evidence.get_still(request).await.ok()
    })
    .await
    .unwrap()
    .into_inner();
    assert_eq!(&still.jpeg[..2], [0xff, 0xd8], "it is a JPEG");
    assert!(still.evidence.unwrap().redacted);

    desk.until("a clip", MINUTE, |a| a.alert_id == id && a.evidence.iter().any(|e| e.kind == 3))
        .await
        .unwrap();
    let without_reason = GetClipRequest {
        alert_id: id.clone(),
        purpose: Purpose::Judge.into(),
        reason: String::new(),
        ..GetClipRequest::default()
    };
    assert!(evidence.get_clip(without_reason.clone()).await.is_err(), "an original needs a reason");
    let with_reason = GetClipRequest { reason: "checking the excavation".to_owned(), ..without_reason };
    let mut pieces =
        until("the clip is served", MINUTE, async || evidence.get_clip(with_reason.clone()).await.ok())
            .await
            .unwrap()
            .into_inner();
    let mut bytes = 0;
    while let Some(piece) = pieces.message().await.unwrap() {
        bytes += piece.data.len();
    }
    assert!(bytes > 100_000, "{bytes} bytes of footage");
    let register = evidence.list_register(xueliang_proto::v1::ListRegisterRequest::default()).await.unwrap();
    let register = register.into_inner().entries;
    assert!(register.iter().any(|entry| entry.reason == "checking the excavation" && entry.granted));
    assert!(register.iter().any(|entry| !entry.granted), "the refusal is registered as well");

    let wrong = desk.latest().into_values().find(|alert| {
        alert.place.as_ref().is_some_and(|place| place.camera_id == "empty")
            && alert.kind() == Kind::ZoneIntrusion
    });
    assert!(wrong.is_none(), "{wrong:?}");
    assert!(!service.log().contains(PASSWORD), "the password stands in no log");
    assert!(!service.metrics().await.unwrap().contains(PASSWORD));
    assert_eq!(service.units_missing(2).await.unwrap(), 0.0);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dark_frozen_turned_and_lost_cameras_raise_and_resolve_alerts() {
    let cameras =
        ["dark", "frozen", "turned", "lost"].into_iter().map(|id| walkers(id, "")).collect::<Vec<_>>();
    let mut service = Service::start(cameras, "").await.unwrap();
    let mut desk = Desk::open(&service.api, "ops", MINUTE).await.unwrap();
    until("all cameras are looked at", MINUTE, async || {
        let looked = service.metric("xueliang_node_looks", &["looked"]).await.ok()?;
        (looked > 20.0).then_some(())
    })
    .await
    .unwrap();
    let faults = [
        ("dark", Fault::Dark, Kind::ImgDark),
        ("frozen", Fault::Freeze, Kind::ImgFreeze),
        ("turned", Fault::Away, Kind::CamMoved),
        ("lost", Fault::Stop, Kind::CamOffline),
    ];
    for (camera, fault, _) in faults.clone() {
        service.simulator.camera(camera).unwrap().apply(fault).unwrap();
    }
    for (camera, _, kind) in faults.clone() {
        desk.until(camera, MINUTE, |alert| firing(alert, camera, kind)).await.unwrap();
    }
    for (camera, ..) in faults.clone() {
        service.simulator.camera(camera).unwrap().clear();
    }
    for (camera, _, kind) in faults {
        desk.until(camera, MINUTE, |alert| resolved(alert, camera, kind)).await.unwrap();
    }
    assert_eq!(service.units_missing(4).await.unwrap(), 0.0);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_any_role_in_mid_look_loses_nothing_acknowledged_and_doubles_nothing() {
    let mut service = Service::start(vec![walkers("busy", BUSY_ZONE)], "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    desk.until("an alert", MINUTE, |alert| firing(alert, "busy", Kind::ZoneIntrusion)).await.unwrap();

    for (role, signal) in [
        ("worker", Signal::KILL),
        ("worker", Signal::SEGV),
        ("worker", Signal::STOP),
        ("bus", Signal::KILL),
        ("node", Signal::KILL),
        ("node", Signal::SEGV),
        ("bus", Signal::SEGV),
        // Neither ends by itself: the supervisor must notice.
        ("node", Signal::STOP),
        ("bus", Signal::STOP),
    ] {
        let looked = async || service.metric("xueliang_node_looks", &["looked"]).await.ok();
        let before = until("metrics", MINUTE, looked).await.unwrap();
        // A look that cannot end is in flight when the signal comes.
        service.signal("worker", Signal::STOP);
        // Reports come once a second: those of before tell of looks that have ended since.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        until("a look is in flight", MINUTE, async || {
            (service.units("busy", "in_flight").await.ok()? > 0.0).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{role} {signal:?}: {error}\n{}", service.log()));
        let old = service.pids(role);
        assert!(service.signal(role, signal) > 0, "{role} runs");
        if signal == Signal::SEGV {
            // Rust's handler of stack overflows takes the first SIGSEGV that comes from outside and puts the default
            // back; a real fault would happen again at once.
            service.signal(role, Signal::CONT);
            tokio::time::sleep(Duration::from_millis(300)).await;
            service.signal(role, signal);
        }
        // A node counts its looks from its own start.
        let before = if role == "node" { 0.0 } else { before };
        until("looks go on", MINUTE, async || {
            let looked = service.metric("xueliang_node_looks", &["looked"]).await.ok()?;
            let replaced = service.pids(role).iter().any(|pid| !old.contains(pid));
            (replaced && looked > before + 5.0).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{role} {signal:?}: {error}\n{}", service.log()));
        if role == "worker" {
            // Reports come once a second.
            until("what was in flight is counted lost", MINUTE, async || {
                (service.units("busy", "lost").await.ok()? > 0.0).then_some(())
            })
            .await
            .unwrap_or_else(|error| panic!("{signal:?}: {error}"));
        }
        desk.follow(Duration::from_secs(1)).await.unwrap();
    }
    desk.follow(Duration::from_secs(5)).await.unwrap();
    assert!(desk.doubled.is_empty(), "{:?}", desk.doubled);
    let gone = lost(&desk.acknowledged(), &desk.listed().await.unwrap());
    assert!(gone.is_empty(), "shown, acknowledged and no longer in the record: {gone:?}");
    assert_eq!(service.units_missing(1).await.unwrap(), 0.0);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_killing_everything_the_feed_resumes_from_its_cursor() {
    let mut service = Service::start(vec![walkers("busy", BUSY_ZONE)], "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    desk.until("an alert", MINUTE, |alert| firing(alert, "busy", Kind::ZoneIntrusion)).await.unwrap();
    desk.follow(Duration::from_secs(3)).await.unwrap();
    for _ in 0..2 {
        service.kill_everything().await.unwrap();
        service.run().await.unwrap();
        desk.resume(MINUTE).await.unwrap();
        desk.follow(Duration::from_secs(6)).await.unwrap();
    }
    assert_eq!(desk.gaps, 0, "the store is the same: nothing was missed");
    assert!(desk.doubled.is_empty(), "{:?}", desk.doubled);
    // Everything the record holds reached the desk, in its latest state, and what reached the desk is in the record.
    let listed = desk.listed().await.unwrap();
    let gone = lost(&desk.acknowledged(), &listed);
    assert!(gone.is_empty(), "shown, acknowledged and no longer in the record: {gone:?}");
    desk.follow(Duration::from_secs(2)).await.unwrap();
    let seen = desk.latest();
    for alert in listed.into_values() {
        let shown = seen.get(&alert.alert_id).unwrap_or_else(|| panic!("{alert:?} never reached the desk"));
        assert!(shown.revision >= alert.revision, "{} stopped at {}", alert.alert_id, shown.revision);
    }
    // One rule at one place has one alert at a time, however often the node dies.
    let active = seen.values().filter(|alert| firing(alert, "busy", Kind::ZoneIntrusion)).count();
    assert!(active <= 1, "{active} alerts of one rule are firing");
    service.stop().await.unwrap();
}
