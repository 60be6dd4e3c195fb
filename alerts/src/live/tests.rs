//! Openings and shared pictures, on a clock that the tests drive.

use xueliang_base::{
    id::AlertId,
    time::{Clock as _, ManualClock},
};

use super::*;
use crate::{error::Error, live::opening};

fn what() -> Opened {
    Opened { alert: AlertId::mint(), nearby: None }
}
fn s(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

#[test]
fn an_opening_is_its_accounts_lives_while_it_is_asked_for_and_five_minutes_at_most() {
    let mut all = Openings::default();
    let what = what();
    let token = all.open("ana", what.clone(), s(0)).unwrap().unwrap();
    assert_eq!(all.again("bo", &token, s(2)).unwrap().unwrap_err().refusal, PictureRefusal::Closed);
    let mut at = 2;
    while let Ok(again) = all.again("ana", &token, s(at)).unwrap() {
        assert_eq!(again, what);
        at += 2;
    }
    assert_eq!(at, 300, "whoever looks");
    let token = all.open("ana", what, s(400)).unwrap().unwrap();
    assert_eq!(all.left(&token, s(410)), Duration::from_secs(290));
    let idle = all.again("ana", &token, s(416)).unwrap();
    assert_eq!(idle.unwrap_err().refusal, PictureRefusal::Closed, "nobody asked for a while");
}

#[test]
fn one_picture_a_second_is_given_and_few_are_open_at_once() {
    let mut all = Openings::default();
    let token = all.open("ana", what(), s(0)).unwrap().unwrap();
    let soon = Mono(500_000_000);
    match all.again("ana", &token, soon) {
        Err(Error::TooMany { retry_after, .. }) => assert_eq!(retry_after, Duration::from_millis(400)),
        other => panic!("{other:?}"),
    }
    assert!(all.again("ana", &token, s(1)).unwrap().is_ok());
    let refused =
        |opened: crate::error::Result<Result<String, NoPicture>>| opened.unwrap().unwrap_err().refusal;
    for _ in 1..opening::OF_ACCOUNT {
        all.open("ana", what(), s(1)).unwrap().unwrap();
    }
    assert_eq!(refused(all.open("ana", what(), s(1))), PictureRefusal::TooMany);
    for other in opening::OF_ACCOUNT..opening::OF_ALL {
        all.open(&format!("account-{other}"), what(), s(1)).unwrap().unwrap();
    }
    assert_eq!(refused(all.open("bo", what(), s(1))), PictureRefusal::TooMany);
    // Those that were left make room by themselves.
    assert!(all.open("bo", what(), s(20)).unwrap().is_ok());
}

fn question(camera: &str, left: f32) -> v1::PictureQuestion {
    let region = v1::Region { x0: left, ..v1::Region::default() };
    v1::PictureQuestion { camera_id: camera.into(), regions: vec![region], ..Default::default() }
}
fn answer() -> v1::AnswerPictureRequest {
    v1::AnswerPictureRequest { jpeg: "jpeg".into(), age_us: 200_000, ..Default::default() }
}

#[tokio::test]
async fn all_who_look_at_the_same_share_one_picture_a_second() {
    let clock = ManualClock::at(Wall(1));
    let live = Live::new(clock.clone());
    let asked = AtomicU64::new(0);
    let look = async |question: v1::PictureQuestion| {
        let ask = |_| async {
            asked.fetch_add(1, Ordering::Relaxed);
            // Others ask meanwhile.
            tokio::task::yield_now().await;
            Ok(answer())
        };
        live.picture(&question, ask).await
    };
    let gate = || question("gate", 0.1);
    let (one, other) = tokio::join!(look(gate()), look(gate()));
    assert_eq!(one, other);
    clock.advance(Duration::from_millis(800));
    let later = look(gate()).await.unwrap();
    assert_eq!(later.age(clock.mono()), Duration::from_secs(1), "its age grows");
    assert_eq!((asked.load(Ordering::Relaxed), live.counts.shared.load(Ordering::Relaxed)), (1, 2));
    clock.advance(Duration::from_millis(300));
    look(gate()).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // What may be shown differs from alert to alert, and a camera serves a few at once.
    for view in [0.2, 0.3, 0.4] {
        look(question("gate", view)).await.unwrap();
    }
    assert_eq!(look(question("gate", 0.5)).await.unwrap_err().refusal, PictureRefusal::Busy);
    assert!(look(question("pond", 0.5)).await.is_ok());
    clock.advance(KEPT);
    assert!(look(question("gate", 0.5)).await.is_ok(), "nobody looks at the others any more");
}

#[tokio::test]
async fn what_is_no_picture_is_not_given_as_one() {
    let live = Live::new(ManualClock::at(Wall(1)));
    for (camera, jpeg) in [("gate", vec![]), ("pond", vec![0; MAX_BYTES + 1])] {
        let answer = v1::AnswerPictureRequest { jpeg: jpeg.into(), ..answer() };
        let told = live.picture(&question(camera, 0.1), |_| async move { Ok(answer) }).await;
        assert_eq!(told.unwrap_err().refusal, PictureRefusal::Undecodable);
    }
}
