use tokio::{sync::watch, time::timeout};
use xueliang_alerts::spool::SpoolOptions;
use xueliang_base::{
    alert::EvidenceKind,
    incident::Incident,
    kind::Kind,
    shutdown,
    time::{ManualClock, Mono, SharedClock, Wall},
};

use super::*;
use crate::node::testing;

/// The task with a spool of its own; `room` for so much evidence.
struct Stage {
    inputs: mpsc::Sender<Input>,
    spool: Arc<Spool>,
    _wanted: mpsc::Receiver<Wanted>,
    counts: watch::Receiver<AlertingCounts>,
    _stop: shutdown::Stop,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn with(room: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: SharedClock = ManualClock::at(Wall(1_767_225_600_000_000));
        let spool = Arc::new(Spool::open(folder.path(), clock.clone(), SpoolOptions::default()).unwrap());
        let (footage, wanted) = mpsc::channel(room);
        let (inputs, queue) = mpsc::channel(8);
        let (counts, counts_seen) = watch::channel(AlertingCounts::default());
        let (stop, stopping) = shutdown::pair();
        let spec = AlertingSpec { clock, spool: spool.clone(), footage };
        tokio::spawn(run(spec, queue, counts, stopping));
        inputs.send(Input::Config(Arc::new(testing::config()))).await.unwrap();
        Self { inputs, spool, _wanted: wanted, counts: counts_seen, _stop: stop, _folder: folder }
    }

    /// The latest spooled states once so many were spooled.
    async fn spooled(&mut self, states: u64) -> Vec<Alert> {
        let enough = self.counts.wait_for(|counts| counts.states.values().sum::<u64>() >= states);
        timeout(Duration::from_secs(10), enough).await.unwrap().unwrap();
        self.spool.pending_latest().await.unwrap()
    }
}

fn raised(camera: &str) -> Input {
    let incident = Incident {
        rule: "rule".parse().unwrap(),
        kind: Kind::CamOffline,
        level: Kind::CamOffline.default_level(),
        zone: None,
        polygon: None,
        started_wall: Wall(1),
        decided_arrival: Mono(0),
        decided_wall: Wall(2),
        camera_time: None,
        last_seen_wall: Wall(2),
        count: 1,
        confidence: 0.0,
        measures: Vec::new(),
        regions: Vec::new(),
        thresholds: Vec::new(),
        looks: Vec::new(),
        model: None,
    };
    Input::Change(Box::new(Change {
        camera: camera.parse().unwrap(),
        edge: Edge::Raised(incident),
        revision: xueliang_base::id::ConfigRevision(1),
        model: None,
        stages: Vec::new(),
        since: Mono(0),
        unit_seq: Some(7),
    }))
}

#[tokio::test]
async fn an_alert_of_a_removed_camera_ends_with_a_new_revision() {
    let mut stage = Stage::with(1).await;
    let alert = testing::alert("removed", Kind::CamOffline);
    stage.inputs.send(Input::Orphan(Box::new(alert.clone()))).await.unwrap();
    let [ended] = &stage.spooled(1).await[..] else { panic!("one state") };
    assert_eq!((ended.id, ended.revision, &ended.place), (alert.id, AlertRevision(2), &alert.place));
    assert!(matches!(ended.state, AlertState::Resolved { why: Resolution::RuleRemoved, .. }));
}

#[tokio::test]
async fn evidence_that_finds_no_room_is_missing_with_the_reason() {
    let mut stage = Stage::with(1).await;
    stage.inputs.send(raised("gate")).await.unwrap();
    stage.inputs.send(raised("pond")).await.unwrap();
    let spooled = stage.spooled(3).await;
    let of = |camera: &str| spooled.iter().find(|alert| alert.place.camera.as_str() == camera).unwrap();
    assert!(of("gate").evidence.is_empty(), "its evidence is being made");
    let missing = &of("pond").evidence;
    let kinds: Vec<_> = missing.iter().map(|evidence| evidence.kind).collect();
    assert_eq!(kinds, EvidenceKind::ALL);
    assert!(
        missing.iter().all(|evidence| evidence.content.as_ref().is_err_and(|why| why.contains("waiting")))
    );
    assert_eq!(stage.counts.borrow().footage_dropped, 1);
}

#[tokio::test]
async fn evidence_that_a_dead_node_had_not_made_is_missing_with_the_reason() {
    let mut stage = Stage::with(1).await;
    let mut alert = testing::alert("gate", Kind::ZoneIntrusion);
    alert.evidence = vec![footage::missing(EvidenceKind::Preview, "known already")];
    stage.inputs.send(Input::Adopt(Box::new(alert))).await.unwrap();
    let [adopted] = &stage.spooled(1).await[..] else { panic!("one state") };
    assert_eq!(adopted.revision, AlertRevision(2));
    let why: Vec<_> = adopted.evidence.iter().map(|e| (e.kind, e.content.clone().unwrap_err())).collect();
    let expected = [
        (EvidenceKind::Preview, "known already".to_owned()),
        (EvidenceKind::Clip, "the node ended before it was made".to_owned()),
    ];
    assert_eq!(why, expected, "no still: no look decided it");
}
