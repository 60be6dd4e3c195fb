//! A drill goes the way of a true alert, says how far it came, and ends by itself.

use std::{path::Path, sync::Arc, time::Duration};

use tonic::Code;
use xueliang_base::config::Config;
use xueliang_proto::v1::{CaseState, DrillStep, case_action::What, case_key::By};

use super::*;
use crate::{
    bus::{BusOptions, Subscribe},
    point::Points,
    rights::{Principal, PrincipalKind, Right},
    testing::{Bench, options},
};

/// A town of two divisions with a camera in each, and a drill camera in one of them.
fn town() -> Bench {
    let text = "site = \"Town\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\n\
        [[division]]\ncode = \"33\"\nname = \"33\"\n\
        [[division]]\ncode = \"3301\"\nname = \"3301\"\nparent = \"33\"\n\
        [[division]]\ncode = \"3302\"\nname = \"3302\"\nparent = \"33\"\n\
        [[camera]]\nid = \"gate\"\nname = \"Gate\"\ndivision = \"3301\"\nurl = \"rtsp://127.0.0.1/1\"\n\
        [[camera]]\nid = \"quay\"\nname = \"Quay\"\ndivision = \"3302\"\nurl = \"rtsp://127.0.0.1/2\"\n\
        [[camera]]\nid = \"play\"\nname = \"Play\"\ndivision = \"3301\"\nurl = \"rtsp://127.0.0.1/3\"\n\
        acquire = \"on-request\"\ndrill = true\n";
    let points = Arc::new(Points::of(&Config::parse(text, Path::new("/")).unwrap()));
    Bench::with(BusOptions { points, ..options() })
}

fn account(name: &str, unit: &str) -> Principal {
    Principal { unit: Some(unit.to_owned()), ..Principal::new(name, PrincipalKind::Operator) }
}

async fn start(bench: &Bench, who: &Principal, camera: &str) -> Result<String, Status> {
    let mut request = Request::new(v1::StartDrillRequest { camera_id: camera.to_owned() });
    request.extensions_mut().insert(who.clone());
    Ok(DrillApi(bench.bus.clone()).start_drill(request).await?.into_inner().alert_id)
}

async fn get(bench: &Bench, who: &Principal, alert: &str) -> Result<v1::GetDrillResponse, Status> {
    ask(bench, who, v1::GetDrillRequest { alert_id: alert.to_owned(), ..Default::default() }).await
}

async fn ask(
    bench: &Bench,
    who: &Principal,
    request: v1::GetDrillRequest,
) -> Result<v1::GetDrillResponse, Status> {
    let mut request = Request::new(request);
    request.extensions_mut().insert(who.clone());
    Ok(DrillApi(bench.bus.clone()).get_drill(request).await?.into_inner())
}

fn done(drill: &v1::GetDrillResponse) -> Vec<DrillStep> {
    drill.marks.iter().filter(|one| one.at_unix_us != 0).map(v1::DrillMark::step).collect()
}

async fn act(bench: &Bench, who: &str, alert: &str, what: What) {
    let who = account(who, if who == "vera" { "audit" } else { "desk" });
    let key = Some(v1::CaseKey { by: Some(By::AlertId(alert.to_owned())) });
    let case = bench.bus.case(&who, key.clone()).await.unwrap().case.unwrap();
    let action = Some(v1::CaseAction { what: Some(what) });
    let request = v1::ActOnCaseRequest { key, revision: case.revision, action, note: String::new() };
    bench.bus.act_on_case(&who, request).await.unwrap();
}

#[tokio::test]
async fn a_drill_is_marked_wherever_it_comes_and_says_how_far_it_came() {
    let bench = town();
    let dora = account("dora", "desk");
    let mut console = bench.console("dora", Subscribe::default()).await;
    console.snapshot().await;
    let id = start(&bench, &dora, "gate").await.unwrap();
    let alert = console.delivery().await.record.unwrap().alert.unwrap();
    assert_eq!((alert.alert_id.as_str(), alert.drill, alert.publisher.as_str()), (id.as_str(), true, "bus"));
    assert_eq!(alert.place.unwrap().camera_name, "Gate");
    let drill = get(&bench, &dora, "").await.unwrap();
    assert_eq!((drill.alert_id.as_str(), drill.marks.len()), (id.as_str(), 11));
    assert!(!drill.from_camera && drill.until_unix_us == 0, "no camera has a part in it");
    assert_eq!(done(&drill), [DrillStep::Raised, DrillStep::Recorded]);

    act(&bench, "jan", &id, What::Confirm(v1::CaseConfirm {})).await;
    let dispatch = v1::CaseDispatch { unit: "brigade".to_owned(), assisting_units: Vec::new() };
    act(&bench, "dora", &id, What::Dispatch(dispatch)).await;
    let key = Some(v1::CaseKey { by: Some(By::AlertId(id.clone())) });
    let given = bench.bus.give_link(&dora, v1::GiveLinkRequest { key, life_s: 0 }).await.unwrap();
    let digest = crate::link::digest(&given.token).unwrap();
    let opened = bench.bus.open_link(digest).await.unwrap().unwrap();
    let told = bench.bus.look_by_link(opened.clone()).await.unwrap();
    assert!(told.case.unwrap().drill, "on the telephone, too");
    let accept = v1::ActByLinkRequest {
        revision: opened.case.revision,
        act: v1::HandlerAct::Accept.into(),
        ..Default::default()
    };
    bench.bus.act_by_link(digest, accept).await.unwrap();
    let drill = get(&bench, &dora, &id).await.unwrap();
    let told = done(&drill);
    let expected = [
        DrillStep::Raised,
        DrillStep::Recorded,
        DrillStep::Judged,
        DrillStep::Dispatched,
        DrillStep::LinkGiven,
        DrillStep::LinkOpened,
        DrillStep::Accepted,
    ];
    assert_eq!(told, expected);
    assert_eq!(drill.state(), CaseState::Accepted);
    let accepted = drill.marks.iter().find(|one| one.step() == DrillStep::Accepted).unwrap();
    assert_eq!(accepted.unit, "brigade");
}

#[tokio::test]
async fn a_drill_ends_by_itself_also_where_the_bus_was_started_again() {
    let bench = town();
    let dora = account("dora", "desk");
    let id = start(&bench, &dora, "gate").await.unwrap();
    bench.bus.end_drills().await.unwrap();
    assert!(!get(&bench, &dora, &id).await.unwrap().ended);
    let bench = bench.reopen().await;
    bench.clock.advance(Duration::from_secs(15 * 60));
    bench.bus.end_drills().await.unwrap();
    let drill = get(&bench, &dora, &id).await.unwrap();
    assert!(drill.ended);
    assert_eq!(drill.state(), CaseState::New, "its case is left to people");
}

#[tokio::test]
async fn whoever_dispatches_begins_a_drill_at_what_they_see_and_one_in_a_minute() {
    let bench = town();
    let mut bound = account("dora", "desk");
    bound.divisions = Some(vec!["3301".parse().unwrap()]);
    assert_eq!(start(&bench, &bound, "quay").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(start(&bench, &bound, "none").await.unwrap_err().code(), Code::NotFound);
    let mut judge = account("jan", "desk");
    judge.rights.remove(&Right::Dispatch);
    assert_eq!(start(&bench, &judge, "gate").await.unwrap_err().code(), Code::PermissionDenied);
    let id = start(&bench, &account("lea", "desk"), "quay").await.unwrap();
    assert_eq!(start(&bench, &bound, "gate").await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(get(&bench, &bound, &id).await.unwrap_err().code(), Code::NotFound, "of another division");
    assert_eq!(get(&bench, &bound, "").await.unwrap().alert_id, "");
    bench.clock.advance(Duration::from_secs(60));
    let own = start(&bench, &bound, "gate").await.unwrap();
    assert_eq!(get(&bench, &bound, "").await.unwrap().alert_id, own);
    assert_eq!(get(&bench, &judge, &id).await.unwrap().camera_id, "quay");
    let audit = crate::store::tests::audited(bench.folder.path());
    assert_eq!(audit.iter().filter(|one| one.1 == "drill_started").count(), 2);
}

mod at_camera;
