//! Pictures of the moment: who is given which, for how long, and what stands in the register before.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::Mutex;
use xueliang_base::{alert::Alert, geometry::Rect, id::CameraId};
use xueliang_proto::v1::PictureRefusal;

use super::*;
use crate::{
    evidence::Call,
    explain::Takes,
    rights::{Grant, Right},
    store::{RegisterQuery, faulty_disk::FaultyDisk},
};

/// A bus with one node, which answers each question as it was last told.
struct Stage {
    bench: Bench,
    answers: Arc<Mutex<v1::AnswerPictureRequest>>,
    asked: Arc<Mutex<Vec<v1::PictureQuestion>>>,
}

impl Stage {
    fn new(options: BusOptions) -> Self {
        let bench = Bench::with(options);
        let camera = |id: &str, division: &str, latitude| v1::CameraStatus {
            camera_id: id.into(),
            name: id.into(),
            division_path: vec!["33".into(), division.into()],
            position: Some(v1::GeoPoint { longitude: 121.25, latitude }),
            ..v1::CameraStatus::default()
        };
        let cameras = vec![
            camera("gate", "3301", 30.17),
            camera("bridge", "3301", 30.171),
            camera("pier", "3302", 30.171),
        ];
        bench.bus.board().report("node-1", v1::ReportRequest { cameras, ..v1::ReportRequest::default() });
        let picture = v1::AnswerPictureRequest { jpeg: "picture-1".into(), ..Default::default() };
        let answers = Arc::new(Mutex::new(picture));
        let asked: Arc<Mutex<Vec<_>>> = Arc::default();
        let explainer = Arc::clone(bench.bus.explainer());
        let mut questions = explainer.attach("node-1", Takes { pictures: true, ..Takes::default() });
        let (told, heard) = (Arc::clone(&answers), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Some(question) = questions.next().await.and_then(|one| one.picture) {
                let question_id = question.question_id;
                heard.lock().await.push(v1::PictureQuestion { question_id: 0, ..question });
                let answer = told.lock().await.clone();
                explainer.answer_picture("node-1", v1::AnswerPictureRequest { question_id, ..answer });
            }
        });
        Self { bench, answers, asked }
    }
    async fn alert(&self) -> Alert {
        let mut alert = critical();
        alert.place.position = Some([121.25, 30.17]);
        alert.regions = vec![Rect::new(0.1, 0.1, 0.2, 0.2)];
        self.bench.commit(std::slice::from_ref(&alert)).await;
        alert
    }
    async fn open(
        &self,
        who: &Principal,
        alert: &Alert,
        nearby: Option<&str>,
    ) -> Result<v1::GetPictureResponse> {
        let nearby = nearby.map(|id| id.parse::<CameraId>().unwrap());
        self.bench.bus.open_picture(who, &call(alert), nearby).await
    }
    async fn go_on(&self, who: &Principal, opening: &str) -> Result<v1::GetPictureResponse> {
        self.bench.clock.advance(Duration::from_millis(1500));
        self.bench.bus.next_picture(who, opening).await
    }
    async fn register(&self) -> Vec<v1::RegisterEntry> {
        let query = RegisterQuery { limit: 100, ..RegisterQuery::default() };
        self.bench.bus.store().list_register(query).await.unwrap()
    }
}

fn call(alert: &Alert) -> Call {
    Call {
        alert: alert.id,
        purpose: v1::Purpose::Judge,
        call_reason: v1::CallReason::CheckAlert,
        reason: String::new(),
    }
}
fn desk(divisions: Option<&str>) -> Principal {
    let divisions = divisions.map(|code| vec![code.parse().unwrap()]);
    Principal { divisions, ..Principal::new("desk", PrincipalKind::Console) }
}

#[tokio::test]
async fn an_opening_has_one_entry_with_the_alerts_number_however_many_pictures_it_gives() {
    let stage = Stage::new(options());
    let (alert, desk) = (stage.alert().await, desk(None));
    let first = stage.open(&desk, &alert, None).await.unwrap();
    assert_eq!((&first.jpeg[..], first.refusal()), (&b"picture-1"[..], PictureRefusal::Unspecified));
    for number in 2..6 {
        stage.answers.lock().await.jpeg = format!("picture-{number}").into();
        let next = stage.go_on(&desk, &first.opening).await.unwrap();
        assert_eq!((&next.jpeg, &next.opening), (&stage.answers.lock().await.jpeg, &first.opening));
    }
    let register = stage.register().await;
    let [entry] = &register[..] else { panic!("{register:?}") };
    assert_eq!((entry.kind(), entry.granted), (v1::EvidenceKind::Live, true));
    assert_eq!((entry.camera_id.as_str(), entry.reason.clone()), ("gate", format!("alert {}", alert.id)));
    assert_eq!(entry.sha256, xueliang_base::alert::Sha256::of(b"picture-1").to_string());
    // What the alert is about may be less coarse, as in its still.
    assert!(stage.asked.lock().await.iter().all(|one| one.camera_id == "gate" && one.regions.len() == 1));

    // It is this account's alone, and only while the account has the right.
    let other = Principal { name: "other".into(), ..desk.clone() };
    let closed = stage.go_on(&other, &first.opening).await.unwrap();
    assert_eq!((closed.refusal(), closed.jpeg.len()), (PictureRefusal::Closed, 0));
    assert!(!stage.go_on(&desk, &first.opening).await.unwrap().jpeg.is_empty(), "and stays what it was");
    let grant = Grant { rights: [Right::ReadAlerts].into(), divisions: None, classes: None };
    stage.bench.bus.grant("desk", Some(grant));
    let held = stage.bench.bus.rights().of(&desk);
    assert!(matches!(stage.go_on(&held, &first.opening).await, Err(Error::Forbidden(_))));
    assert!(matches!(stage.open(&held, &alert, None).await, Err(Error::Forbidden(_))));
    assert!(!stage.register().await[0].granted, "who may not see pictures stands there as refused");
    let counts = stage.bench.bus.live_counts();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((read(&counts.opened), read(&counts.given), read(&counts.refused)), (1, 6, 3));
}

#[tokio::test]
async fn the_entry_of_an_opening_is_on_disk_before_the_first_byte() {
    let disk = FaultyDisk::new();
    let mut slow = options();
    slow.sqlite.vfs = Some(disk.vfs());
    let stage = Stage::new(slow);
    let (alert, desk) = (stage.alert().await, desk(None));
    disk.hold_syncs();
    let mut asked = Box::pin(stage.open(&desk, &alert, None));
    while disk.waiting_syncs() == 0 {
        assert!(asked.as_mut().now_or_never().is_none(), "a picture came before the entry was on disk");
        tokio::task::yield_now().await;
    }
    assert!(asked.as_mut().now_or_never().is_none(), "a picture came before the entry was on disk");
    disk.release_syncs();
    assert_eq!(asked.await.unwrap().jpeg, "picture-1");
    // Where it cannot be written nothing is given.
    crate::store::tests::refuse_entries(stage.bench.folder.path(), "register");
    assert!(stage.open(&desk, &alert, None).await.is_err());
}

#[tokio::test]
async fn the_entry_of_a_picture_to_draw_on_is_on_disk_before_the_first_byte() {
    let text = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"3301\"\nname = \"n\"\n\
                [[camera]]\nid = \"gate\"\nname = \"n\"\ndivision = \"3301\"\nurl = \"rtsp://127.0.0.1/x\"\n";
    let config = xueliang_base::config::Config::parse(text, Path::new("/")).unwrap();
    let points = Arc::new(Points::of(&config));
    let stage = Stage::new(BusOptions { points, ..options() });
    let li = Principal { rights: [Right::TuneRules].into(), ..desk(None) };
    let draw = || stage.bench.bus.tuning_picture(&li, "gate".parse().unwrap());
    assert_eq!(draw().await.unwrap().jpeg, "picture-1");
    assert_eq!(stage.register().await.len(), 1);
    crate::store::tests::refuse_entries(stage.bench.folder.path(), "register");
    assert!(draw().await.is_err(), "where it cannot be written nothing is given");
}

#[tokio::test]
async fn what_a_node_refuses_is_told_with_its_reason_and_stands_in_the_register() {
    let stage = Stage::new(options());
    let (alert, desk) = (stage.alert().await, desk(None));
    {
        let mut answer = stage.answers.lock().await;
        answer.jpeg.clear();
        answer.set_refusal(PictureRefusal::NotRedacted);
        answer.message = "no loaded model sees \"person\"".into();
    }
    let told = stage.open(&desk, &alert, None).await.unwrap();
    assert_eq!((told.refusal(), told.opening.as_str()), (PictureRefusal::NotRedacted, ""));
    let entry = stage.register().await.remove(0);
    assert_eq!((entry.granted, entry.refusal), (false, "no loaded model sees \"person\"".into()));
    // A camera that no node runs has no picture.
    let mut elsewhere = critical();
    elsewhere.place.camera = "quay".parse().unwrap();
    stage.bench.commit(std::slice::from_ref(&elsewhere)).await;
    let told = stage.open(&desk, &elsewhere, None).await.unwrap();
    assert_eq!(told.refusal(), PictureRefusal::Away);
}

#[tokio::test]
async fn cameras_near_an_alert_are_shown_within_ones_divisions_and_the_alerts_minutes_and_coarse() {
    let stage = Stage::new(options());
    let alert = stage.alert().await;
    let near = async |who: &Principal| {
        let told = stage.bench.bus.nearby_cameras(who, alert.id).await.unwrap();
        (told.cameras.into_iter().map(|one| one.camera_id).collect::<Vec<_>>(), told.until_unix_us)
    };
    let (town, county) = (desk(None), desk(Some("3301")));
    assert_eq!(near(&town).await, (vec!["bridge".to_owned(), "pier".to_owned()], 0));
    assert_eq!(near(&county).await, (vec!["bridge".to_owned()], 0));
    let elsewhere = desk(Some("3302"));
    assert!(matches!(stage.bench.bus.nearby_cameras(&elsewhere, alert.id).await, Err(Error::NotFound(_))));
    // Another division's camera, and one that is not near, are as if there were none.
    for (who, camera) in [(&county, "pier"), (&town, "quay"), (&elsewhere, "bridge")] {
        let refused = stage.open(who, &alert, Some(camera)).await;
        assert!(matches!(refused, Err(Error::NotFound(_))), "{camera}: {refused:?}");
        let entry = stage.register().await.remove(0);
        assert_eq!((entry.granted, entry.camera_id.as_str()), (false, camera));
    }
    let opened = stage.open(&county, &alert, Some("bridge")).await.unwrap();
    assert_eq!(opened.jpeg, "picture-1");
    let entry = stage.register().await.remove(0);
    assert_eq!((entry.granted, entry.camera_id.as_str()), (true, "bridge"));
    assert_eq!(entry.alert_id, alert.id.to_string());
    let last = stage.asked.lock().await.last().cloned().unwrap();
    assert_eq!((last.camera_id.as_str(), last.regions.len()), ("bridge", 0), "nothing of it is the alert's");

    // It ends with the alert.
    stage.bench.commit(&[resolved(&alert)]).await;
    assert_eq!(stage.go_on(&county, &opened.opening).await.unwrap().jpeg, "picture-1");
    stage.bench.clock.advance(Duration::from_secs(121));
    let over = stage.open(&county, &alert, Some("bridge")).await.unwrap();
    assert_eq!(over.refusal(), PictureRefusal::Over);
    assert!(near(&county).await.0.is_empty());
    // Its own camera can be looked at a while longer, by whoever judges what has ended.
    assert_eq!(stage.open(&county, &alert, None).await.unwrap().jpeg, "picture-1");
    stage.bench.clock.advance(Duration::from_secs(1800));
    assert_eq!(stage.open(&county, &alert, None).await.unwrap().refusal(), PictureRefusal::Over);
}

#[tokio::test]
async fn where_pictures_of_nearby_cameras_are_turned_off_there_are_none() {
    let stage = Stage::new(BusOptions { nearby_m: 0, ..options() });
    let (alert, desk) = (stage.alert().await, desk(None));
    let told = stage.bench.bus.nearby_cameras(&desk, alert.id).await.unwrap();
    assert_eq!((told.within_m, told.cameras.len()), (0, 0));
    assert!(matches!(stage.open(&desk, &alert, Some("bridge")).await, Err(Error::NotFound(_))));
}
