//! A recorder that dies with all its cameras, and a camera that dies alone.

use xueliang_proto::v1::{
    Alert, ListSuppressedRequest, Signal, Suppression, SuppressionEnd, suppression::Cause,
    suppression_service_client::SuppressionServiceClient,
};
use xueliang_simulator::Simulator;

use super::*;

const BEHIND: [&str; 3] = ["nvr-1", "nvr-2", "nvr-3"];

/// The recorder and its cameras, and what it hangs on together with the yard.
fn town(recorder: &Simulator) -> String {
    let mut text = "upstream = \"line\"\n[[upstream]]\nid = \"line\"\nname = \"Line to the quay\"\n\
                    [[upstream]]\nid = \"nvr\"\nname = \"Recorder in the pump house\"\nupstream = \"line\"\n"
        .to_owned();
    for id in BEHIND {
        text.push_str(&format!(
            "[[camera]]\nid = \"{id}\"\nname = \"Camera {id}\"\ndivision = \"330282\"\nurl = \"{}\"\n\
             credentials = \"test\"\nupstream = \"nvr\"\n",
            recorder.url(id)
        ));
    }
    text
}

async fn suppressed(service: &Service) -> Vec<Suppression> {
    let mut client = SuppressionServiceClient::connect(service.api.clone()).await.unwrap();
    client.list_suppressed(ListSuppressedRequest::default()).await.unwrap().into_inner().suppressions
}

/// Losses and what explains them, as the desk was shown them.
fn shown(desk: &Desk) -> Vec<Alert> {
    let told =
        |alert: &Alert| matches!(alert.kind(), Kind::CamOffline | Kind::VideoLost | Kind::UpstreamDown);
    desk.latest().into_values().filter(told).collect()
}

async fn streaming(service: &Service, count: usize) {
    until("cameras stream", MINUTE, async || {
        let cameras = service.cameras().await.ok()?;
        let streaming = cameras.values().filter(|camera| camera.signal() == Signal::Streaming).count();
        (cameras.len() == 4 && streaming == count).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_recorder_is_one_alert_and_a_dead_camera_is_its_own() {
    let cameras = BEHIND.map(|id| walkers(id, "").spec).into();
    let recorder = Simulator::start(([127, 0, 0, 1], 0).into(), cameras).await.unwrap();
    let mut service = Service::start(vec![walkers("yard", &town(&recorder))], "").await.unwrap();
    let mut desk = Desk::open(&service.api, "ops", MINUTE).await.unwrap();
    streaming(&service, 4).await;

    recorder.close_port().await;
    let down =
        desk.until("recorder", MINUTE, |alert| firing(alert, "nvr", Kind::UpstreamDown)).await.unwrap();
    let down = down.record.unwrap().alert.unwrap();
    assert_eq!(down.cameras_behind, BEHIND);
    let place = down.place.as_ref().unwrap();
    assert_eq!(place.camera_name, "Recorder in the pump house");
    assert_eq!(place.division_path, ["330282"]);
    // Each of its cameras raises an alert of its own all the same.
    let losses = until("three losses are listed with the reason", MINUTE, async || {
        let mut losses = suppressed(&service).await;
        losses.retain(|one| one.kind() == Kind::CamOffline);
        (losses.len() == 3).then_some(losses)
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    for loss in &losses {
        let Some(Cause::Inhibition(by)) = &loss.cause else { panic!("{loss:?}") };
        assert_eq!((&by.alert_id, by.kind()), (&down.alert_id, Kind::UpstreamDown));
        assert!(BEHIND.contains(&loss.camera_id.as_str()), "{loss:?}");
    }
    desk.follow(Duration::from_secs(2)).await.unwrap();
    assert_eq!(shown(&desk), std::slice::from_ref(&down), "nothing else is shown");
    // Who counts blind cameras counts them all.
    streaming(&service, 1).await;

    // The yard hangs on the same line and falls alone.
    service.simulator.camera("yard").unwrap().apply(Fault::Stop).unwrap();
    desk.until("yard", MINUTE, |alert| firing(alert, "yard", Kind::CamOffline)).await.unwrap();
    let mut places: Vec<_> = shown(&desk).into_iter().map(|alert| alert.place.unwrap().camera_id).collect();
    places.sort();
    assert_eq!(places, ["nvr", "yard"]);

    service.simulator.camera("yard").unwrap().clear();
    recorder.open_port().await.unwrap();
    desk.until("yard", MINUTE, |alert| resolved(alert, "yard", Kind::CamOffline)).await.unwrap();
    let over = 2 * MINUTE;
    desk.until("recorder", over, |alert| resolved(alert, "nvr", Kind::UpstreamDown)).await.unwrap();
    desk.follow(Duration::from_secs(3)).await.unwrap();
    assert_eq!(shown(&desk).len(), 2, "{:?}", shown(&desk));
    let ended = suppressed(&service).await;
    let ended = ended.iter().filter(|one| losses.iter().any(|loss| loss.alert_id == one.alert_id));
    let ends: Vec<_> = ended.map(Suppression::end).collect();
    assert_eq!(ends, [SuppressionEnd::Resolved; 3]);
    assert_eq!(service.units_missing(4).await.unwrap(), 0.0);
    service.stop().await.unwrap();
}
