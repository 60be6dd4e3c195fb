//! A drill at a drill camera: its node is asked, and what it raises is the drill.

use futures::{StreamExt as _, stream::BoxStream};
use tokio::sync::watch;
use xueliang_base::{
    alert::{Alert, Stage, StageTime},
    kind::Kind,
    time::{Clock as _, Wall},
};
use xueliang_proto::v1::{Signal, node_service_server::NodeService as _};

use super::*;
use crate::{
    grpc::NodeApi,
    testing::{alert, resolved},
};

const WAIT_MS: u64 = 40;
const INFER_MS: u64 = 50;
const DECIDE_MS: u64 = 10;

/// What the node says of the drill camera.
fn report(bench: &Bench, of: v1::CameraStatus) {
    let camera = v1::CameraStatus {
        camera_id: "play".to_owned(),
        division_path: vec!["33".to_owned(), "3301".to_owned()],
        drill: true,
        ..of
    };
    bench.bus.board().report("node-1", v1::ReportRequest { cameras: vec![camera], ..Default::default() });
}

/// What the node raises of a picture that arrived then.
fn played(kind: Kind, at: Wall) -> Alert {
    let mut one = Alert { drill: true, started: at, last_seen: at, decided: at, ..alert(kind, 2) };
    one.place.camera = "play".parse().unwrap();
    let stages = [(Stage::Wait, WAIT_MS), (Stage::Infer, INFER_MS), (Stage::Decide, DECIDE_MS)];
    one.stages = stages.map(|(stage, ms)| StageTime::exact(stage, Duration::from_millis(ms))).into();
    one
}

fn at_play() -> v1::GetDrillRequest {
    v1::GetDrillRequest { camera_id: "play".to_owned(), ..Default::default() }
}

fn mark(drill: &v1::GetDrillResponse, step: DrillStep) -> i64 {
    drill.marks.iter().find(|one| one.step() == step).map_or(-1, |one| one.at_unix_us)
}

/// A bench whose node is attached, and what that is told.
async fn attached(bench: &Bench) -> (BoxStream<'static, v1::AttachResponse>, impl Sized + use<>) {
    let (assigned, assignments) = watch::channel(None);
    let node = NodeApi { bus: bench.bus.clone(), assignments };
    let attach = v1::AttachRequest {
        node_id: "node-1".to_owned(),
        explains: true,
        connects: true,
        ..Default::default()
    };
    let mut request = Request::new(attach);
    request.extensions_mut().insert(Principal::new("node-1", PrincipalKind::Node));
    let told = node.attach(request).await.unwrap().into_inner();
    (told.filter_map(async |one| one.ok()).boxed(), assigned)
}

#[tokio::test]
async fn its_node_is_asked_and_the_alert_that_the_node_raises_is_the_drill_s() {
    let bench = town();
    let dora = account("dora", "desk");
    assert_eq!(start(&bench, &dora, "play").await.unwrap_err().code(), Code::NotFound, "no node has it");
    report(&bench, v1::CameraStatus::default());
    assert_eq!(start(&bench, &dora, "play").await.unwrap_err().code(), Code::Unavailable, "it is away");
    let bench = bench.reopen().await;
    assert_eq!(get(&bench, &dora, "").await.unwrap(), v1::GetDrillResponse::default(), "nobody was asked");
    report(&bench, v1::CameraStatus::default());
    let (mut told, _assigned) = attached(&bench).await;
    // What was there before is of no drill that begins now.
    bench.commit(&[resolved(&played(Kind::ZoneIntrusion, bench.clock.wall()))]).await;
    bench.clock.advance(Duration::from_secs(1));
    let asked = bench.clock.wall();
    assert_eq!(start(&bench, &dora, "play").await.unwrap(), "", "the bus raises nothing");
    let order = told.next().await.unwrap().connect.unwrap();
    assert_eq!((order.camera_id.as_str(), order.for_us), ("play", 120_000_000));
    let drill = get(&bench, &dora, "").await.unwrap();
    assert_eq!((drill.alert_id.as_str(), drill.camera_name.as_str()), ("", "Play"));
    assert!(drill.from_camera && !drill.missed && drill.until_unix_us == asked.0 + 120_000_000);
    assert_eq!((done(&drill), drill.marks.len()), (vec![DrillStep::Asked], 14));

    // The camera delivers; then its rule has seen it.
    bench.clock.advance(Duration::from_secs(2));
    let seen = bench.clock.wall();
    report(
        &bench,
        v1::CameraStatus {
            signal: Signal::Streaming.into(),
            since_unix_us: seen.0,
            last_unit_unix_us: seen.0 + 500,
            last_look_unix_us: seen.0 + 300,
            ..Default::default()
        },
    );
    let drill = get(&bench, &dora, "").await.unwrap();
    assert_eq!(done(&drill), [DrillStep::Asked, DrillStep::Pictured, DrillStep::LookedAt]);
    assert_eq!((mark(&drill, DrillStep::Pictured), drill.signal()), (seen.0, Signal::Streaming));
    let mut console = bench.console("dora", Subscribe::default()).await;
    console.snapshot().await;
    // That the camera is dark is said of it, and is no proof of a rule.
    bench.commit(&[played(Kind::ImgDark, seen)]).await;
    assert_eq!(get(&bench, &dora, "").await.unwrap().alert_id, "");
    let raised = played(Kind::ZoneIntrusion, seen);
    bench.clock.advance(Duration::from_secs(1));
    bench.commit(std::slice::from_ref(&raised)).await;
    let later =
        Alert { id: xueliang_base::id::AlertId::mint(), ..played(Kind::ZoneIntrusion, bench.clock.wall()) };
    bench.clock.advance(Duration::from_secs(1));
    bench.commit(&[later]).await;
    for request in [at_play(), v1::GetDrillRequest::default()] {
        let drill = ask(&bench, &dora, request).await.unwrap();
        assert_eq!(drill.alert_id, raised.id.to_string(), "the first that came");
        assert!(drill.from_camera && !drill.ended);
        assert_eq!(mark(&drill, DrillStep::Asked), asked.0);
        assert_eq!(mark(&drill, DrillStep::Pictured), seen.0);
        let ms = |ms: u64| seen.plus(Duration::from_millis(ms)).0;
        assert_eq!(mark(&drill, DrillStep::LookedAt), ms(WAIT_MS + INFER_MS));
        assert_eq!(mark(&drill, DrillStep::Raised), ms(WAIT_MS + INFER_MS + DECIDE_MS));
        assert_eq!(mark(&drill, DrillStep::Recorded), seen.0 + 1_000_000);
        let steps: Vec<DrillStep> = drill.marks.iter().map(v1::DrillMark::step).collect();
        assert_eq!(
            steps[..5],
            [
                DrillStep::Asked,
                DrillStep::Pictured,
                DrillStep::LookedAt,
                DrillStep::Raised,
                DrillStep::Recorded
            ]
        );
    }
    act(&bench, "jan", &raised.id.to_string(), What::Confirm(v1::CaseConfirm {})).await;
    // Its end is the drill's, and a bus that was started again knows of it all the same.
    let mut end = crate::testing::next_state(&raised);
    end.state = xueliang_base::alert::AlertState::Resolved {
        why: xueliang_base::incident::Resolution::DrillOver,
        at: bench.clock.wall(),
    };
    bench.commit(&[end]).await;
    drop((told, console));
    let bench = bench.reopen().await;
    let drill = ask(&bench, &dora, at_play()).await.unwrap();
    assert_eq!((drill.alert_id.as_str(), drill.ended), (raised.id.to_string().as_str(), true));
    assert_eq!(drill.state(), CaseState::Confirmed);
    assert!(mark(&drill, DrillStep::Asked) > 0 && mark(&drill, DrillStep::Judged) > 0);
    let named = get(&bench, &dora, &raised.id.to_string()).await.unwrap();
    assert_eq!(named.marks, drill.marks);
    // The camera still plays, whoever asks whom.
    let (_told, _assigned) = attached(&bench).await;
    report(&bench, v1::CameraStatus::default());
    bench.clock.advance(Duration::from_secs(61));
    let plays = start(&bench, &dora, "play").await.unwrap_err();
    assert_eq!(plays.code(), Code::ResourceExhausted, "{plays}");
}

#[tokio::test]
async fn an_alert_that_does_not_come_is_said_and_what_still_fires_is_no_other_drill() {
    let bench = town();
    let dora = account("dora", "desk");
    let (_told, _assigned) = attached(&bench).await;
    report(&bench, v1::CameraStatus::default());
    start(&bench, &dora, "play").await.unwrap();
    let mut away = account("wen", "desk");
    away.divisions = Some(vec!["3302".parse().unwrap()]);
    assert_eq!(ask(&bench, &away, at_play()).await.unwrap(), v1::GetDrillResponse::default());
    assert_eq!(get(&bench, &away, "").await.unwrap(), v1::GetDrillResponse::default());
    bench.clock.advance(Duration::from_secs(61));
    let plays = start(&bench, &dora, "play").await.unwrap_err();
    assert_eq!(plays.code(), Code::ResourceExhausted, "it plays");
    bench.clock.advance(Duration::from_secs(59));
    assert!(!get(&bench, &dora, "").await.unwrap().missed, "it may be on its way");
    bench.clock.advance(Duration::from_secs(16));
    report(
        &bench,
        v1::CameraStatus {
            signal: Signal::Offline.into(),
            detail: "nothing listens at its port".to_owned(),
            ..Default::default()
        },
    );
    let drill = get(&bench, &dora, "").await.unwrap();
    assert!(drill.missed && drill.detail.contains("nothing listens"));
    assert_eq!((done(&drill), drill.signal()), (vec![DrillStep::Asked], Signal::Offline));

    // Somebody had it connected by other means, and it has raised something.
    let fires = played(Kind::ZoneIntrusion, bench.clock.wall());
    bench.commit(std::slice::from_ref(&fires)).await;
    let refused = start(&bench, &dora, "play").await.unwrap_err();
    assert!(refused.message().contains("still fires"), "{refused}");
    bench.commit(&[resolved(&fires)]).await;
    bench.clock.advance(Duration::from_secs(1));
    report(&bench, v1::CameraStatus { signal: Signal::Streaming.into(), ..Default::default() });
    let refused = start(&bench, &dora, "play").await.unwrap_err();
    assert!(refused.message().contains("is connected"), "{refused}");
    report(&bench, v1::CameraStatus { signal: Signal::NotConnected.into(), ..Default::default() });
    start(&bench, &dora, "play").await.unwrap();
    // What the drill before it raised has waited in the node's spool.
    let late = bench.clock.wall().minus(Duration::from_secs(60));
    bench.commit(&[played(Kind::ZoneIntrusion, late)]).await;
    assert_eq!(ask(&bench, &dora, at_play()).await.unwrap().alert_id, "");
    // A drill at a camera of the town is the latest one then, and begins at the record.
    bench.clock.advance(Duration::from_secs(60));
    let id = start(&bench, &dora, "gate").await.unwrap();
    let drill = get(&bench, &dora, "").await.unwrap();
    assert_eq!((drill.alert_id, drill.from_camera, drill.marks.len()), (id, false, 11));
    assert_eq!(ask(&bench, &dora, at_play()).await.unwrap().alert_id, "", "that one still waits");
}
