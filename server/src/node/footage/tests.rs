mod picture;

use std::sync::Mutex;

use tokio::{sync::Semaphore, time::timeout};
use xueliang_alerts::spool::SpoolOptions;
use xueliang_base::{
    shutdown,
    time::{ManualClock, Wall},
    unit::Codec,
};
use xueliang_ingest::{ring::Ring, session::UnitSink};
use xueliang_proto::v1::{RenderedPicture, WorkerFailed, WorkerRendered};

use super::*;
use crate::node::{picture::Pictures, testing};

const PATIENCE: Duration = Duration::from_secs(10);

/// The task over a worker of the test, which answers each request when it is let.
struct Stage {
    clock: Arc<ManualClock>,
    cell: Arc<Cell>,
    wanted: mpsc::Sender<Wanted>,
    told: mpsc::Receiver<Input>,
    /// Pictures asked for, by request.
    asked: Arc<Mutex<Vec<Vec<u64>>>>,
    lets: Arc<Semaphore>,
    /// What the worker says instead of giving pictures.
    fails: Arc<Mutex<Option<WorkerFailed>>>,
    pictures: Pictures,
    _cells: watch::Sender<BTreeMap<CameraId, Arc<Cell>>>,
    _budget: watch::Sender<EvidenceBudget>,
    _stop: shutdown::Stop,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Wall(1_767_225_600_000_000));
        let shared: SharedClock = clock.clone();
        let config = testing::config();
        let camera = Arc::new(config.cameras[0].clone());
        let ring = Ring::new(1 << 20, Duration::from_secs(20));
        let cell = Arc::new(Cell::new(camera.clone(), ring, Arc::default(), shared.wall()));
        let (cells, cells_seen) = watch::channel(BTreeMap::from([(camera.id.clone(), cell.clone())]));
        // Whatever the ring holds is footage, and it is there at once.
        let whole =
            EvidenceBudget { before: Duration::from_secs(60), after: Duration::ZERO, ..config.evidence };
        let (budget, budget_seen) = watch::channel(whole);
        let (alerting, told) = mpsc::channel(64);
        let (asked, lets) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let (noted, waited) = (asked.clone(), lets.clone());
        let fails: Arc<Mutex<Option<WorkerFailed>>> = Arc::default();
        let failing = fails.clone();
        let worker: AskWorker = Box::new(move |ask, _| {
            let (noted, waited, failing) = (noted.clone(), waited.clone(), failing.clone());
            Box::pin(async move {
                let Ask::Render(render) = ask else { return Err(NotLooked::WorkerLost) };
                assert!(render.units[0].keyframe, "each request decodes by itself");
                noted.lock().unwrap().push(render.wanted.clone());
                waited.acquire().await.unwrap().forget();
                if let Some(failed) = failing.lock().unwrap().clone() {
                    return Ok(Answer::Failed(failed));
                }
                let jpeg = Bytes::from_static(b"jpeg");
                let pictures =
                    render.wanted.into_iter().map(|seq| RenderedPicture { seq, jpeg: jpeg.clone() });
                Ok(Answer::Rendered(WorkerRendered { pictures: pictures.collect() }))
            })
        });
        let spec = FootageSpec {
            clock: shared.clone(),
            worker,
            spool: Arc::new(Spool::open(folder.path(), shared, SpoolOptions::default()).unwrap()),
            alerting,
            cells: cells_seen.clone(),
            budget: budget_seen,
            scratch: folder.path().to_owned(),
        };
        let (wanted, queue) = mpsc::channel(64);
        let (stop, stopping) = shutdown::pair();
        let (asks, asked_for) = mpsc::channel(crate::node::picture::WAITING);
        let pictures = Pictures { clock: clock.clone(), asks, cells: cells_seen };
        tokio::spawn(run(spec, queue, asked_for, stopping));
        Self {
            clock,
            cell,
            wanted,
            told,
            asked,
            lets,
            fails,
            pictures,
            _cells: cells,
            _budget: budget,
            _stop: stop,
            _folder: folder,
        }
    }

    /// Ten units a second from `first` on, every tenth a keyframe.
    fn film(&self, first: u64, count: u64) {
        for seq in first..first + count {
            self.clock.advance(Duration::from_millis(100));
            let (arrival, arrival_wall) = {
                use xueliang_base::time::Clock;
                (self.clock.mono(), self.clock.wall())
            };
            self.cell.unit(AccessUnit {
                seq,
                codec: Codec::H264,
                keyframe: (seq - 1).is_multiple_of(10),
                discontinuity: seq == 1,
                pts_us: None,
                arrival,
                arrival_wall,
                camera_time: None,
                data: vec![0; 16].into(),
            });
        }
    }

    async fn want(&self, camera: &str, unit_seq: Option<u64>) -> AlertId {
        use xueliang_base::time::Clock;
        let alert = AlertId::mint();
        let wanted = Wanted {
            alert,
            camera: camera.parse().unwrap(),
            unit_seq,
            marks: Marks::default(),
            raised: self.clock.mono(),
        };
        self.wanted.send(wanted).await.unwrap();
        alert
    }

    async fn asked(&self, requests: usize) -> Vec<Vec<u64>> {
        let enough = async {
            while self.asked.lock().unwrap().len() < requests {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, enough).await.unwrap();
        self.asked.lock().unwrap().clone()
    }

    async fn told(&mut self) -> (AlertId, Vec<EvidenceRef>) {
        match timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap() {
            Input::Evidence(alert, evidence) => (alert, evidence),
            _ => panic!("evidence is all that is told"),
        }
    }
}

#[tokio::test]
async fn a_still_is_taken_at_once_and_drawn_before_the_rest_of_a_preview() {
    let mut stage = Stage::new();
    stage.film(1, 40);
    let first = stage.want("gate", None).await;
    assert_eq!(stage.asked(1).await, [vec![1, 6]], "a preview begins with its first keyframe");
    // The worker is busy with it. Until it has time again, the ring has forgotten the picture.
    let second = stage.want("gate", Some(33)).await;
    while stage.wanted.capacity() < stage.wanted.max_capacity() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stage.cell.ring.clear(xueliang_base::accounting::Skipped::Removed);
    stage.lets.add_permits(1);
    assert_eq!(stage.asked(2).await[1], [33], "the still comes before the next piece");
    stage.lets.add_permits(20);
    let (alert, still) = stage.told().await;
    assert_eq!((alert, still[0].kind), (second, EvidenceKind::Still));
    assert!(still[0].content.is_ok(), "{still:?}");
    assert_eq!(stage.asked(5).await[2..], [vec![11, 16], vec![21, 26], vec![31, 36]]);
    let (alert, preview) = stage.told().await;
    assert_eq!((alert, preview[0].kind), (first, EvidenceKind::Preview));
    assert!(preview[0].content.is_ok(), "{preview:?}");
}

#[tokio::test]
async fn what_is_not_made_is_told_with_its_reason() {
    let mut stage = Stage::new();
    stage.film(1, 10);
    let removed = stage.want("removed", Some(3)).await;
    let (alert, missing) = stage.told().await;
    assert_eq!(alert, removed);
    assert_eq!(missing.iter().map(|evidence| evidence.kind).collect::<Vec<_>>(), EvidenceKind::ALL);
    assert!(missing.iter().all(|e| e.content.as_ref().is_err_and(|why| why.contains("configuration"))));

    // One more still than fits, and one that the worker has in hand.
    let mut alerts = Vec::new();
    for _ in 0..STILLS + 2 {
        alerts.push(stage.want("gate", Some(3)).await);
        if alerts.len() == 1 {
            stage.asked(1).await;
        }
    }
    // Footage of theirs is told as well, when its time comes.
    let (alert, missing) = loop {
        let told = stage.told().await;
        if told.1[0].kind == EvidenceKind::Still {
            break told;
        }
    };
    assert_eq!(Some(&alert), alerts.last());
    assert_eq!(missing[0].content, Err(TOO_MUCH.to_owned()));
}
