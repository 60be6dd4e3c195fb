//! Rules of a camera are tried and put in force while the service runs, and outlive its parts.

use tonic::Code;
use xueliang_proto::v1::{
    CameraRules, GetCameraRulesRequest, GetCameraRulesResponse, GetPictureRequest, Point,
    PutCameraRulesRequest, TryCameraRulesRequest, TryCameraRulesResponse, Zone,
    rule_service_client::RuleServiceClient,
};

use super::*;

const CAMERA: &str = "empty";

async fn rules(service: &Service) -> Option<GetCameraRulesResponse> {
    let mut client = RuleServiceClient::connect(service.api.clone()).await.ok()?;
    let request = GetCameraRulesRequest { camera_id: CAMERA.to_owned() };
    Some(client.get_camera_rules(request).await.ok()?.into_inner())
}

async fn tried(service: &Service, rules: &CameraRules) -> Option<TryCameraRulesResponse> {
    let mut client = RuleServiceClient::connect(service.api.clone()).await.ok()?;
    let request = TryCameraRulesRequest { camera_id: CAMERA.to_owned(), rules: Some(rules.clone()) };
    Some(client.try_camera_rules(request).await.ok()?.into_inner())
}

async fn put(service: &Service, rules: Option<CameraRules>, upon: u64) -> Result<u64, tonic::Status> {
    let mut client = RuleServiceClient::connect(service.api.clone()).await.unwrap();
    let request = PutCameraRulesRequest {
        camera_id: CAMERA.to_owned(),
        rules,
        config_revision: upon,
        reason: "people cross here".to_owned(),
    };
    Ok(client.put_camera_rules(request).await?.into_inner().change.unwrap().config_revision)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_is_drawn_tried_and_in_force_without_a_restart_and_stays_after_one() {
    let mut service = Service::start(vec![walkers(CAMERA, EMPTY_ZONE)], "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    let told = until("its rules are read", MINUTE, async || rules(&service).await).await.unwrap();
    assert!(!told.set_here && told.toml.contains("ZONE_INTRUSION"), "{}", told.toml);

    // Somebody looks at the camera to draw on its picture.
    let mut evidence = EvidenceServiceClient::connect(service.api.clone()).await.unwrap();
    let shown = until("a picture to draw on", MINUTE, async || {
        let purpose = Purpose::Tune.into();
        let ask = GetPictureRequest { camera_id: CAMERA.to_owned(), purpose, ..Default::default() };
        let shown = evidence.get_picture(ask).await.ok()?.into_inner();
        (!shown.jpeg.is_empty()).then_some(shown)
    });
    assert_eq!(&shown.await.unwrap().jpeg[..2], [0xff, 0xd8], "it is a JPEG");

    // The zone over the whole picture: people walk there, and nobody in the one in force.
    let mut draft = told.rules.clone().unwrap();
    let corner = |(x, y)| Point { x, y };
    let outline = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(corner).to_vec();
    let zone_id = draft.zones[0].zone_id.clone();
    draft.zones[0] = Zone { zone_id, outline, ..Zone::default() };
    let rule = draft.rules.iter().position(|one| one.kind() == Kind::ZoneIntrusion).unwrap();
    let trial = until("a trial raises what would have been", MINUTE, async || {
        let trial = tried(&service, &draft).await?;
        (!trial.tried[rule].incidents.is_empty()).then_some(trial)
    });
    let trial = trial.await.unwrap();
    assert!(trial.looks > 0 && trial.tried[rule].seen > 0);
    assert!(trial.in_force[rule].incidents.is_empty(), "nobody is in the zone in force: {trial:?}");
    assert!(!desk.latest().into_values().any(|a| a.kind() == Kind::ZoneIntrusion), "a trial raises nothing");

    let revision = put(&service, Some(draft.clone()), told.config_revision).await.unwrap();
    assert!(revision > told.config_revision);
    let alert =
        desk.until("someone is in it", MINUTE, |a| firing(a, CAMERA, Kind::ZoneIntrusion)).await.unwrap();
    let alert = alert.record.unwrap().alert.unwrap();
    assert_eq!(alert.explanation.unwrap().config_revision, revision, "the alert names it");
    let late = put(&service, None, told.config_revision).await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);

    // Whatever dies, it stays in force, and nothing is new.
    service.kill_everything().await.unwrap();
    service.run().await.unwrap();
    desk.resume(MINUTE).await.unwrap();
    let after = until("its rules are read again", MINUTE, async || rules(&service).await).await.unwrap();
    assert!(after.set_here && !after.overruled);
    assert_eq!((after.config_revision, after.rules), (revision, Some(draft)));
    until("the node runs them", MINUTE, async || {
        let running = service.metric("xueliang_node_config_revision", &[]).await.ok()?;
        (running == f64::from(u32::try_from(revision).unwrap())).then_some(())
    })
    .await
    .unwrap();

    // Back to the file: what was raised by a zone that is gone is not held for ever.
    put(&service, None, revision).await.unwrap();
    let back = rules(&service).await.unwrap();
    assert!(!back.set_here && back.rules == told.rules);
    desk.until("it ends", MINUTE, |a| resolved(a, CAMERA, Kind::ZoneIntrusion)).await.unwrap();
    service.stop().await.unwrap();
}
