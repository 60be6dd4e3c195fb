use std::path::Path;

use futures::StreamExt as _;
use tokio::sync::watch;
use tonic::Code;
use xueliang_base::config::Config;
use xueliang_proto::v1::{
    evidence_service_server::EvidenceService as _, node_service_server::NodeService as _,
};

use super::*;
use crate::{
    bus::BusOptions,
    grpc::{EvidenceApi, NodeApi},
    point::Points,
    rights::{Principal, PrincipalKind},
    role::{self, Role},
    store::RegisterQuery,
    testing::{Bench, book::Book, options},
};

const TOWN: &str = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
    [[division]]\ncode = \"33\"\nname = \"n\"\n[[division]]\ncode = \"3301\"\nname = \"n\"\nparent = \"33\"\n\
    [[camera]]\nid = \"gate\"\nname = \"North gate\"\ndivision = \"3301\"\nurl = \"rtsp://127.0.0.1/x\"\n";

struct Stage {
    bench: Bench,
    api: RuleApi,
    node: NodeApi,
    _assigned: watch::Sender<Option<crate::assignment::Assignment>>,
}

impl Stage {
    fn new() -> Self {
        let points = Points::of(&Config::parse(TOWN, Path::new("/")).unwrap());
        let bench = Bench::with(BusOptions { points: Arc::new(points), ..options() });
        let camera = v1::CameraStatus {
            camera_id: "gate".into(),
            division_path: vec!["33".into(), "3301".into()],
            ..v1::CameraStatus::default()
        };
        let report = v1::ReportRequest { cameras: vec![camera], ..v1::ReportRequest::default() };
        bench.bus.board().report("node-1", report);
        let (assigned, assignments) = watch::channel(None);
        let api = RuleApi { bus: bench.bus.clone(), book: Arc::new(Book::default()) };
        let node = NodeApi { bus: bench.bus.clone(), assignments };
        Self { bench, api, node, _assigned: assigned }
    }
}

fn point_admin(divisions: Option<&str>) -> Principal {
    let rights = role::rights(&[Role::PointAdmin].into());
    let divisions = divisions.map(|code| vec![code.parse().unwrap()]);
    Principal { rights, divisions, ..Principal::new("li", PrincipalKind::Console) }
}

fn by<T>(who: &Principal, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(who.clone());
    request
}

fn get() -> v1::GetCameraRulesRequest {
    v1::GetCameraRulesRequest { camera_id: "gate".into() }
}

fn rules(level: i32) -> v1::CameraRules {
    let rule = v1::CameraRule { kind: v1::Kind::FireFlame.into(), level, ..v1::CameraRule::default() };
    v1::CameraRules { zones: vec![], rules: vec![rule] }
}

fn put(rules: Option<v1::CameraRules>, upon: u64) -> v1::PutCameraRulesRequest {
    v1::PutCameraRulesRequest {
        camera_id: "gate".into(),
        rules,
        config_revision: upon,
        reason: "the chimney smokes".into(),
    }
}

#[tokio::test]
async fn rules_are_read_set_and_listed_by_who_may_within_their_divisions_and_audited() {
    let stage = Stage::new();
    let (api, li) = (&stage.api, point_admin(Some("3301")));
    let told = api.get_camera_rules(by(&li, get())).await.unwrap().into_inner();
    assert_eq!((told.camera_id.as_str(), told.set_here, told.config_revision), ("gate", false, 1));
    let now = told.rules.unwrap();
    assert_eq!(now.rules[0].rule_id, "fire_smoke");
    assert!(told.toml.contains("[[camera.rule]]") && told.toml.contains("FIRE_SMOKE"), "{}", told.toml);
    assert_eq!((told.masks.len(), told.kinds.len()), (1, xueliang_base::config::RULED_KINDS.len()));

    // Nobody else's, and by nobody who may not.
    let stranger = point_admin(Some("3302"));
    assert_eq!(api.get_camera_rules(by(&stranger, get())).await.unwrap_err().code(), Code::NotFound);
    let theirs = api.put_camera_rules(by(&stranger, put(Some(rules(2)), 1))).await.unwrap_err();
    assert_eq!(theirs.code(), Code::NotFound);
    let desk = Principal::new("desk", PrincipalKind::Console);
    for refused in [
        api.get_camera_rules(by(&desk, get())).await.err(),
        api.put_camera_rules(by(&desk, put(None, 1))).await.err(),
    ] {
        assert_eq!(refused.unwrap().code(), Code::PermissionDenied);
    }

    // What is wrong is told, all of it, a fault a line; nothing is set.
    let mut wrong = rules(1);
    wrong.rules[0].dwell_us = Some(u64::MAX);
    let refused = api.put_camera_rules(by(&li, put(Some(wrong), 1))).await.unwrap_err();
    assert_eq!((refused.code(), refused.message().lines().count()), (Code::InvalidArgument, 2));
    assert!(refused.message().contains("rule[0].level: is 1"), "{refused}");
    let silent = v1::PutCameraRulesRequest { reason: "x".into(), ..put(Some(rules(2)), 1) };
    assert_eq!(api.put_camera_rules(by(&li, silent)).await.unwrap_err().code(), Code::InvalidArgument);

    let set = api.put_camera_rules(by(&li, put(Some(rules(2)), 1))).await.unwrap().into_inner();
    let change = set.change.unwrap();
    assert_eq!((change.config_revision, change.principal.as_str()), (2, "li"));
    let late = api.put_camera_rules(by(&li, put(Some(rules(3)), 1))).await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    let told = api.get_camera_rules(by(&li, get())).await.unwrap().into_inner();
    assert!(told.set_here && told.rules.unwrap().rules[0].kind() == v1::Kind::FireFlame);
    let list = v1::ListRuleChangesRequest { camera_id: "gate".into() };
    let changes = api.list_rule_changes(by(&li, list)).await.unwrap().into_inner().changes;
    assert_eq!(changes.len(), 1);

    let audited = crate::store::tests::audited(stage.bench.folder.path());
    let words: Vec<_> = audited.iter().map(|one| (one.0.as_str(), one.1.as_str())).collect();
    assert_eq!(words, [("li", "rules_put"), ("li", "rules_put"), ("li", "rules_not_put")]);
    assert!(audited[0].2.contains("1 rules, sha256 ") && audited[0].2.ends_with("the chimney smokes"));
}

#[tokio::test]
async fn rules_are_tried_by_the_cameras_node() {
    let stage = Stage::new();
    let (api, li) = (&stage.api, point_admin(None));
    let ask = |rules| v1::TryCameraRulesRequest { camera_id: "gate".into(), rules: Some(rules) };
    let wrong = api.try_camera_rules(by(&li, ask(rules(1)))).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let away = api.try_camera_rules(by(&li, ask(rules(2)))).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable);

    let node = Principal::new("node-1", PrincipalKind::Node);
    let attach = |trials| v1::AttachRequest { node_id: "node-1".into(), trials, ..Default::default() };
    // A node of an earlier version is never asked.
    let old = stage.node.attach(by(&node, attach(false))).await.unwrap();
    assert_eq!(api.try_camera_rules(by(&li, ask(rules(2)))).await.unwrap_err().code(), Code::Unavailable);
    drop(old);
    let mut stream = stage.node.attach(by(&node, attach(true))).await.unwrap().into_inner();
    let stranger = point_admin(Some("3302"));
    let theirs = api.try_camera_rules(by(&stranger, ask(rules(2)))).await.unwrap_err();
    assert_eq!(theirs.code(), Code::NotFound);
    let answering = async {
        let question = stream.next().await.unwrap().unwrap().trial.unwrap();
        assert_eq!(question.camera_id, "gate");
        // As it was read: whatever the kind has by itself stands there.
        let asked = &question.rules.unwrap().rules[0];
        assert!(asked.rule_id == "fire_flame" && asked.min_score.is_some() && asked.dwell_us.is_some());
        let trial = v1::TryCameraRulesResponse { looks: 7, ..v1::TryCameraRulesResponse::default() };
        let answer = v1::AnswerTrialRequest {
            node_id: "node-1".into(),
            question_id: question.question_id,
            trial: Some(trial),
            ..v1::AnswerTrialRequest::default()
        };
        stage.node.answer_trial(by(&node, answer)).await.unwrap();
    };
    let (tried, ()) = tokio::join!(api.try_camera_rules(by(&li, ask(rules(2)))), answering);
    assert_eq!(tried.unwrap().into_inner().looks, 7);

    let refusing = async {
        let question = stream.next().await.unwrap().unwrap().trial.unwrap();
        let mut answer = v1::AnswerTrialRequest {
            node_id: "node-1".into(),
            question_id: question.question_id,
            message: "others are tried".into(),
            ..v1::AnswerTrialRequest::default()
        };
        answer.set_refusal(v1::ExplainRefusal::Busy);
        stage.node.answer_trial(by(&node, answer)).await.unwrap();
    };
    let (refused, ()) = tokio::join!(api.try_camera_rules(by(&li, ask(rules(2)))), refusing);
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_camera_whose_zones_are_drawn_is_shown_to_who_draws_them_and_stands_in_the_register() {
    let stage = Stage::new();
    let evidence = EvidenceApi(stage.bench.bus.clone());
    let node = Principal::new("node-1", PrincipalKind::Node);
    let attach = v1::AttachRequest { node_id: "node-1".into(), pictures: true, ..Default::default() };
    let mut stream = stage.node.attach(by(&node, attach)).await.unwrap().into_inner();
    let tune = v1::GetPictureRequest {
        camera_id: "gate".into(),
        purpose: v1::Purpose::Tune.into(),
        ..v1::GetPictureRequest::default()
    };
    let li = point_admin(Some("3301"));
    let answering = async {
        let question = stream.next().await.unwrap().unwrap().picture.unwrap();
        assert_eq!((question.camera_id.as_str(), question.zone_outline.len()), ("gate", 4));
        let answer = v1::AnswerPictureRequest {
            node_id: "node-1".into(),
            question_id: question.question_id,
            jpeg: "picture".into(),
            ..v1::AnswerPictureRequest::default()
        };
        stage.node.answer_picture(by(&node, answer)).await.unwrap();
    };
    let (shown, ()) = tokio::join!(evidence.get_picture(by(&li, tune.clone())), answering);
    assert_eq!(&shown.unwrap().into_inner().jpeg[..], b"picture");

    // Who may not tune, or not there, sees nothing, and whoever tunes sees no alert's camera by that.
    let desk = Principal::new("desk", PrincipalKind::Console);
    let refused = evidence.get_picture(by(&desk, tune.clone())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let theirs = evidence.get_picture(by(&point_admin(Some("3302")), tune.clone())).await.unwrap_err();
    assert_eq!(theirs.code(), Code::NotFound);
    let alert = crate::testing::critical();
    stage.bench.commit(std::slice::from_ref(&alert)).await;
    for (who, purpose) in [(&li, v1::Purpose::Judge), (&desk, v1::Purpose::Tune)] {
        let alert_id = alert.id.to_string();
        let ask = v1::GetPictureRequest { alert_id, purpose: purpose.into(), ..tune.clone() };
        assert!(evidence.get_picture(by(who, ask)).await.is_err());
    }
    let register = stage.bench.bus.store().list_register(RegisterQuery { limit: 9, ..Default::default() });
    let register = register.await.unwrap();
    let told: Vec<_> = register.iter().rev().map(|one| (one.principal.as_str(), one.granted)).collect();
    assert_eq!(told, [("li", true), ("desk", false), ("li", false), ("li", false), ("desk", false)]);
    let first = register.last().unwrap();
    assert_eq!((first.camera_id.as_str(), first.alert_id.as_str()), ("gate", ""));
    assert_eq!((first.purpose(), first.call_reason()), (v1::Purpose::Tune, v1::CallReason::TuneRules));
}
