//! What must not be seen: behind privacy masks, and the cameras' passwords.

use std::fs;

use xueliang_base::{
    time::{Mono, Wall},
    unit::{AccessUnit, Codec},
};
use xueliang_ingest::decode::{DecodeLimits, Decoder};
use xueliang_proto::v1::{self, EvidenceKind};

use super::*;

/// Over all of [`BUSY_ZONE`], and some more: a box is seen by its foot, and by the rest of it.
const OVER_THE_ZONE: &str = r#"
[[camera.mask]]
polygon = [[0.50, 0.20], [1.0, 0.20], [1.0, 1.0], [0.50, 1.0]]
"#;

/// Beside it: passers-by on the left half are nobody's business.
const BESIDE_THE_ZONE: &str = r#"
[[camera.mask]]
polygon = [[0.05, 0.10], [0.45, 0.10], [0.45, 0.90], [0.05, 0.90]]
"#;

/// Least and largest luma within the mask beside the zone, a little inside of its edges, and of the whole picture.
fn luma(jpeg: &[u8]) -> ((u8, u8), (u8, u8)) {
    xueliang_ingest::init().unwrap();
    let limits = DecodeLimits { max_width: 4096, max_height: 2304 };
    let unit = AccessUnit {
        seq: 1,
        codec: Codec::Mjpeg,
        keyframe: true,
        discontinuity: true,
        pts_us: None,
        arrival: Mono(1),
        arrival_wall: Wall(1),
        camera_time: None,
        data: jpeg.to_vec().into(),
    };
    let picture = Decoder::new(Codec::Mjpeg, limits).unwrap().decode_keyframe(&unit).unwrap();
    let (width, height) = (picture.width as usize, picture.height as usize);
    let plane = &picture.planes[0];
    let within = |x: std::ops::Range<usize>, y: std::ops::Range<usize>| {
        let mut bounds = (u8::MAX, 0);
        for row in y {
            for luma in &plane.data[row * plane.stride..][x.clone()] {
                bounds = (bounds.0.min(*luma), bounds.1.max(*luma));
            }
        }
        bounds
    };
    let masked = within(width * 10 / 100..width * 40 / 100, height * 15 / 100..height * 85 / 100);
    (masked, within(0..width, 0..height))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_behind_a_mask_is_seen_shown_or_kept() {
    let cameras = vec![
        walkers("open", BUSY_ZONE),
        walkers("hidden", &format!("{OVER_THE_ZONE}{BUSY_ZONE}")),
        walkers("beside", &format!("{BESIDE_THE_ZONE}{BUSY_ZONE}")),
    ];
    let mut service = Service::start(cameras, "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    let mut ids = Vec::new();
    for camera in ["open", "beside"] {
        let seen = |alert: &v1::Alert| firing(alert, camera, Kind::ZoneIntrusion);
        let alert = desk.until(camera, MINUTE, seen).await.unwrap();
        ids.push(xueliang_tests::desk::alert_of(&alert).alert_id.clone());
    }
    let mut evidence = EvidenceServiceClient::connect(service.api.clone()).await.unwrap();
    let mut bounds = Vec::new();
    for id in &ids {
        let still = until("the still is served", MINUTE, async || {
            let request = GetStillRequest { alert_id: id.clone(), purpose: Purpose::Judge.into() };
            evidence.get_still(request).await.ok()
        });
        bounds.push(luma(&still.await.unwrap().into_inner().jpeg));
    }
    let spread = |(least, largest): (u8, u8)| largest - least;
    let [(open, _), (masked, whole)] = bounds[..] else { panic!("two stills") };
    assert!(spread(open) > 60, "without a mask there is something to see: {open:?}");
    assert!(spread(masked) < 12, "behind the mask nothing is: {masked:?}");
    assert!(spread(whole) > 60, "beside it there is: {whole:?}");

    // The clip would show it: it is not kept, and whoever asks is told why.
    let id = ids[1].clone();
    let refused = |alert: &v1::Alert| {
        alert.alert_id == id
            && alert.evidence.iter().any(|evidence| {
                evidence.kind() == EvidenceKind::Clip && evidence.missing_reason.contains("privacy masks")
            })
    };
    desk.until("the reason", MINUTE, refused).await.unwrap();
    let request = GetClipRequest {
        alert_id: id.clone(),
        purpose: Purpose::Judge.into(),
        reason: "checking the excavation".to_owned(),
        ..GetClipRequest::default()
    };
    assert!(evidence.get_clip(request).await.is_err());

    // By now the same walk, unhidden, has been seen many times over.
    until("it is looked at", MINUTE, async || {
        desk.follow(Duration::from_secs(1)).await.ok()?;
        (service.units("hidden", "looked_at").await.ok()? > 20.0).then_some(())
    })
    .await
    .unwrap();
    let behind = desk.latest().into_values().find(|alert| firing(alert, "hidden", Kind::ZoneIntrusion));
    assert!(behind.is_none(), "{behind:?}");
    service.stop().await.unwrap();
}

/// Everything that others on the machine or at a console may read about the service.
async fn readable(service: &Service) -> String {
    let mut text = service.log();
    text.push_str(&service.metrics().await.unwrap());
    for camera in service.cameras().await.unwrap().values() {
        text.push_str(&format!("{camera:?}\n"));
    }
    let roles = service.roles();
    assert!(roles.len() >= 4, "supervisor, bus, node and workers: {roles:?}");
    for pid in roles.keys() {
        for file in ["cmdline", "environ", "comm"] {
            let read = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(&read));
        }
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            text.push_str(&fs::read_to_string(thread.path().join("comm")).unwrap_or_default());
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_shows_nowhere_whether_it_is_right_or_wrong() {
    let mut service = Service::prepare(vec![walkers("a", ""), walkers("b", "")], "").await.unwrap();
    let secret = service.folder.path().join("camera.secret");
    let right = fs::read_to_string(&secret).unwrap();
    assert!(right.contains(PASSWORD));
    fs::write(&secret, "operator\ncanary-wrong-5d1c\n").unwrap();
    service.run().await.unwrap();
    until("both are refused", MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let told = cameras.values().filter(|c| c.detail.contains("refuse")).count();
        (told == 2).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    let failed = |id| service.simulator.camera(id).unwrap().counters().logins_failed;
    assert_eq!(failed("a") + failed("b"), 1, "one tries the account for both");
    let text = readable(&service).await;
    assert!(!text.contains("canary"), "{text}");

    // Corrected, and taken over with the next start of the bus: nobody waits five minutes.
    fs::write(&secret, right).unwrap();
    service.signal("bus", Signal::KILL);
    until("both stream", MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let well = cameras.values().filter(|c| c.signal() == v1::Signal::Streaming).count();
        (well == 2).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    let text = readable(&service).await;
    assert!(!text.contains("canary"), "{text}");
    service.stop().await.unwrap();
}
