//! Pictures of the moment, beside evidence that is to be made.

use xueliang_base::time::Clock as _;
use xueliang_ingest::health::{Idle, OfflineCause, Signal, SignalChange};
use xueliang_proto::v1::{PictureQuestion, PictureRefusal};

use super::*;
use crate::node::picture::{Picture, WAITING};

type Made = Result<Picture, (PictureRefusal, String)>;

impl Stage {
    /// Asks as the bus does; the answer comes when the worker is let.
    fn look(&self, camera: &str) -> tokio::task::JoinHandle<Made> {
        let (pictures, camera_id) = (self.pictures.clone(), camera.to_owned());
        let question = PictureQuestion { camera_id, ..PictureQuestion::default() };
        tokio::spawn(async move { pictures.take(&question).await })
    }
    async fn refused(&self, camera: &str) -> PictureRefusal {
        self.look(camera).await.unwrap().unwrap_err().0
    }
    fn turn(&self, signal: Signal) {
        let (since, since_wall) = (self.clock.mono(), self.clock.wall());
        self.cell.signal(SignalChange { signal, since, since_wall, detail: String::new(), edges: 0 });
    }
    fn streams(&self) {
        self.turn(Signal::Streaming);
    }
}

#[tokio::test]
async fn a_picture_of_the_moment_is_the_newest_that_decodes_and_leaves_the_account_as_it_is() {
    let stage = Stage::new();
    stage.streams();
    stage.film(1, 25);
    let before = stage.cell.ring.account();
    stage.lets.add_permits(1);
    let picture = stage.look("gate").await.unwrap().unwrap();
    assert_eq!(stage.asked(1).await, [vec![25]], "from the keyframe before it on");
    assert_eq!(stage.cell.ring.account(), before);
    assert_eq!(picture.arrival(), stage.clock.mono());
}

#[tokio::test]
async fn a_camera_that_shows_nothing_now_is_refused_whatever_it_sent_before() {
    let stage = Stage::new();
    stage.streams();
    assert_eq!(stage.refused("gate").await, PictureRefusal::Undecodable, "nothing has come yet");
    stage.film(1, 25);
    assert_eq!(stage.refused("nowhere").await, PictureRefusal::Away);
    for (signal, refusal) in [
        (Signal::Offline(OfflineCause::Internal), PictureRefusal::Blind),
        (Signal::Stalled, PictureRefusal::Blind),
        (Signal::NotConnected(Idle::Patrol), PictureRefusal::NotConnected),
    ] {
        stage.turn(signal);
        assert_eq!(stage.refused("gate").await, refusal);
    }
    stage.streams();
    stage.clock.advance(Duration::from_secs(16));
    assert_eq!(stage.refused("gate").await, PictureRefusal::Undecodable, "it is of another moment");
    assert!(stage.asked.lock().unwrap().is_empty(), "the worker was asked for none of them");
}

#[tokio::test]
async fn what_cannot_be_redacted_is_not_shown() {
    let stage = Stage::new();
    stage.streams();
    stage.film(1, 5);
    let message = "no loaded model sees \"person\"".to_owned();
    let failed = WorkerFailed { reason: xueliang_proto::v1::NotLooked::ModelFailed.into(), message };
    *stage.fails.lock().unwrap() = Some(failed);
    stage.lets.add_permits(1);
    let (refusal, why) = stage.look("gate").await.unwrap().unwrap_err();
    assert_eq!((refusal, why.as_str()), (PictureRefusal::NotRedacted, "no loaded model sees \"person\""));
}

#[tokio::test]
async fn pictures_of_the_moment_come_after_evidence_and_only_few_wait() {
    let stage = Stage::new();
    stage.streams();
    stage.film(1, 40);
    stage.want("gate", None).await;
    assert_eq!(stage.asked(1).await, [vec![1, 6]], "a preview is in work");
    let looks: Vec<_> = (0..WAITING).map(|_| stage.look("gate")).collect();
    while stage.pictures.asks.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.refused("gate").await, PictureRefusal::Busy, "no more than that wait");
    // A still comes before them, and one of them between two pieces of the preview.
    stage.want("gate", Some(33)).await;
    while stage.wanted.capacity() < stage.wanted.max_capacity() {
        tokio::task::yield_now().await;
    }
    stage.lets.add_permits(2);
    assert_eq!(stage.asked(2).await[1], [33]);
    stage.lets.add_permits(20);
    for look in looks {
        look.await.unwrap().unwrap();
    }
    let asked = stage.asked(6).await;
    let at = |unit: u64| asked.iter().position(|one| one.contains(&unit)).unwrap();
    assert!(at(33) < at(40), "{asked:?}");
}
