//! "Why was there no alert?" has an answer, while cameras and nodes fail.

use tonic::Code;
use xueliang_base::time::{Clock as _, SystemClock};
use xueliang_proto::v1::{
    ExplainRequest, ExplainedCamera, ExplainedRule, ExplainedVerdict, Said, Signal as Sent,
    explain_service_client::ExplainServiceClient,
};
use xueliang_tests::service::cli;

use super::*;

const SECOND_US: i64 = 1_000_000;

async fn explain(
    service: &Service,
    camera: &str,
    from_unix_us: i64,
    to_unix_us: i64,
) -> Result<ExplainedCamera, tonic::Status> {
    let mut client = ExplainServiceClient::connect(service.api.clone()).await.unwrap();
    let request = ExplainRequest { camera_id: camera.to_owned(), from_unix_us, to_unix_us };
    Ok(client.explain(request).await?.into_inner().camera.unwrap())
}

fn now() -> i64 {
    SystemClock.wall().0
}

fn rule<'a>(camera: &'a ExplainedCamera, name: &str) -> &'a ExplainedRule {
    camera.rules.iter().find(|rule| rule.rule == name).unwrap_or_else(|| panic!("{name}: {camera:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_camera_did_is_told_with_the_time_in_which_it_sent_nothing_and_with_its_alerts() {
    let cameras = vec![walkers("busy", BUSY_ZONE), walkers("empty", EMPTY_ZONE)];
    let mut service = Service::start(cameras, "").await.unwrap();
    let mut desk = Desk::open(&service.api, "desk", MINUTE).await.unwrap();
    let intrusion = desk.until("someone in the zone", MINUTE, |a| firing(a, "busy", Kind::ZoneIntrusion));
    let intrusion = intrusion.await.unwrap().record.unwrap().alert.unwrap().alert_id;
    let until_now = async |camera: &str, seconds: i64| {
        let now = now();
        explain(&service, camera, now - seconds * SECOND_US, now).await
    };
    until("the empty zone was watched", MINUTE, async || {
        let told = until_now("empty", 4).await.ok()?;
        (rule(&told, "zone_intrusion").verdict() == ExplainedVerdict::NotSeen).then_some(())
    })
    .await
    .unwrap();

    let before = now();
    service.simulator.camera("empty").unwrap().apply(Fault::Stop).unwrap();
    let lost = desk.until("it is lost", MINUTE, |a| firing(a, "empty", Kind::CamOffline)).await.unwrap();
    let lost = lost.record.unwrap().alert.unwrap().alert_id;
    service.simulator.camera("empty").unwrap().clear();
    desk.until("it is back", MINUTE, |a| resolved(a, "empty", Kind::CamOffline)).await.unwrap();
    let told = until("the end is told", MINUTE, async || {
        let told = explain(&service, "empty", before - 3 * SECOND_US, now()).await.ok()?;
        (rule(&told, "cam_offline").incidents.first()?.resolved_unix_us != 0).then_some(told)
    })
    .await
    .unwrap();

    // Every moment is accounted for, and the silence shows in all that it is the reason of.
    let zone = rule(&told, "zone_intrusion");
    let ends = [told.known_from_unix_us, told.known_to_unix_us];
    assert_eq!(ends.map(|at| at / SECOND_US)[0], (before - 3 * SECOND_US) / SECOND_US);
    for parts in [&zone.said, &told.watch] {
        assert_eq!([parts[0].from_unix_us, parts.last().unwrap().to_unix_us], ends);
        assert!(parts.windows(2).all(|pair| pair[0].to_unix_us == pair[1].from_unix_us), "{parts:?}");
    }
    let silent = |said: &&xueliang_proto::v1::ExplainedStretch| said.said() == Said::NotLooked;
    let silence: i64 = zone.said.iter().filter(silent).map(|part| part.to_unix_us - part.from_unix_us).sum();
    assert!(silence > 10 * SECOND_US, "{zone:?}");
    assert_eq!(zone.verdict(), ExplainedVerdict::CouldNotLook, "{}", zone.text);
    assert!(zone.text.contains("the camera "), "{}", zone.text);
    assert!(told.signal.iter().any(|part| matches!(part.signal(), Sent::Offline | Sent::Stalled)));
    assert_eq!(told.signal.last().unwrap().signal(), Sent::Streaming);
    let offline = rule(&told, "cam_offline");
    assert_eq!(offline.verdict(), ExplainedVerdict::Alert, "{}", offline.text);
    assert_eq!(offline.incidents[0].alert_id, lost);
    let busy = until_now("busy", 120).await.unwrap();
    let ids: Vec<&str> =
        rule(&busy, "zone_intrusion").incidents.iter().map(|one| one.alert_id.as_str()).collect();
    assert!(ids.contains(&intrusion.as_str()), "{intrusion} in {ids:?}");

    // The same at the command line.
    let shown = |arguments: &[&str]| {
        let arguments: Vec<String> = ["explain"]
            .iter()
            .chain(arguments)
            .chain(&["--api", &service.api])
            .map(ToString::to_string)
            .collect();
        async move {
            let output = cli(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
            (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
        }
    };
    let (good, text) = shown(&["empty", "-2m"]).await;
    println!("{text}");
    assert!(good && text.contains("ZONE_INTRUSION in corner"), "{text}");
    assert!(text.contains(&format!("alert {lost}")), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let (good, text) = shown(&["empty", "-2m", "now", "--json"]).await;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(good && value["rules"].as_array().unwrap().len() >= 2, "{text}");
    let (good, text) = shown(&["harbour", "-2m"]).await;
    assert!(!good && text.contains("there is no camera harbour; there are: busy, empty"), "{text}");

    // A node that hangs, and dies of it, keeps nobody waiting; the next one knows nothing of what was before.
    assert!(service.signal("node", Signal::STOP) > 0);
    let refused = until_now("empty", 10).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    until("a new node has a logbook", MINUTE, async || {
        match explain(&service, "empty", before, before + SECOND_US).await {
            Err(status) if status.code() == Code::FailedPrecondition => {
                assert!(status.message().contains("logbook begins at"), "{status}");
                Some(())
            }
            _ => None,
        }
    })
    .await
    .unwrap();
    service.stop().await.unwrap();
}
