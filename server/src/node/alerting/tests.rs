use tokio::{sync::watch, time::timeout};
use xueliang_alerts::spool::{Spool, SpoolOptions};
use xueliang_base::{
    alert::EvidenceKind,
    incident::Incident,
    kind::Kind,
    shutdown,
    time::{Clock as _, ManualClock, Mono, Wall},
};

use super::*;
use crate::node::testing;

/// The task with a spool of its own; `room` for so much evidence.
pub(super) struct Stage {
    pub(super) changes: mpsc::Sender<Change>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) spool: Arc<Spool>,
    pub(super) wanted: mpsc::Receiver<Wanted>,
    pub(super) counts: watch::Receiver<AlertingCounts>,
    pub(super) cells: watch::Sender<BTreeMap<CameraId, Arc<Cell>>>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) task: tokio::task::JoinHandle<()>,
    pub(super) stop: shutdown::Stop,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn with(room: usize) -> Self {
        Self::on(tempfile::tempdir().unwrap(), SpoolOptions::default(), room).await
    }

    /// One that has no configuration yet.
    pub(super) fn unconfigured(room: usize) -> Self {
        Self::begun(tempfile::tempdir().unwrap(), SpoolOptions::default(), room)
    }

    async fn on(folder: tempfile::TempDir, options: SpoolOptions, room: usize) -> Self {
        let stage = Self::begun(folder, options, room);
        let config = Arc::new(testing::config());
        stage.inputs.send(Input::Config(ConfigRevision(1), config)).await.unwrap();
        stage
    }

    fn begun(folder: tempfile::TempDir, options: SpoolOptions, room: usize) -> Self {
        let clock = ManualClock::at(Wall(1_767_225_600_000_000));
        let spool = Arc::new(Spool::open(folder.path(), clock.clone(), options).unwrap());
        let (footage, wanted) = mpsc::channel(room);
        let (changes, change_queue) = mpsc::channel(256);
        let (inputs, queue) = mpsc::channel(256);
        let (counts, counts_seen) = watch::channel(AlertingCounts::default());
        let (stop, stopping) = shutdown::pair();
        let (cells, cells_seen) = watch::channel(BTreeMap::new());
        // Nobody listens there.
        let nowhere = xueliang_client::address("http://127.0.0.1:9").unwrap().connect_lazy();
        let keeper = Keeper::new(spool.clone(), nowhere, clock.clone(), Arc::default());
        let spec = AlertingSpec { clock: clock.clone(), keeper, footage, cells: cells_seen };
        let task = tokio::spawn(run(spec, change_queue, queue, counts, stopping));
        Self {
            changes,
            inputs,
            spool,
            wanted,
            counts: counts_seen,
            cells,
            clock,
            task,
            stop,
            _folder: folder,
        }
    }

    /// The latest spooled states once so many were spooled.
    pub(super) async fn spooled(&mut self, states: u64) -> Vec<Alert> {
        let enough = self.counts.wait_for(|counts| counts.states.values().sum::<u64>() >= states);
        timeout(Duration::from_secs(10), enough).await.unwrap().unwrap();
        self.spool.pending_latest().await.unwrap()
    }

    /// Waits until the task has taken what was sent, seen what time it is, and spooled what came of it: its counts are shown with every turn, and
    /// the second one began after now.
    pub(super) async fn turns(&mut self) {
        for _ in 0..2 {
            self.counts.mark_unchanged();
            // Of an alert that nobody knows: nothing but a turn.
            self.inputs.try_send(Input::Evidence(AlertId::mint(), Vec::new())).unwrap();
            timeout(Duration::from_secs(10), self.counts.changed()).await.unwrap().unwrap();
        }
        let kept = self.counts.wait_for(|counts| counts.unkept == 0);
        timeout(Duration::from_secs(10), kept).await.unwrap().unwrap();
    }

    /// Resolved alerts among the spooled ones, so long after what was sent was taken.
    async fn resolved_after(&mut self, seconds: u64) -> Vec<Alert> {
        self.turns().await;
        self.clock.advance(Duration::from_secs(seconds));
        self.turns().await;
        let mut all = self.spool.pending_latest().await.unwrap();
        all.retain(|alert| !alert.state.is_firing());
        all
    }

    /// Every spooled state, in order: its camera and revision.
    pub(super) async fn order(&self) -> Vec<(String, u64)> {
        let batch = self.spool.next_batch(1000).await.unwrap();
        let of = |alert: &xueliang_proto::v1::Alert| {
            (alert.place.clone().unwrap_or_default().camera_id, alert.revision)
        };
        batch.iter().map(|waiting| of(&waiting.item)).collect()
    }
}

fn raised(camera: &str) -> Change {
    change(camera, Edge::Raised)
}

pub(super) fn change(camera: &str, edge: impl FnOnce(Incident) -> Edge) -> Change {
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
    Change {
        camera: camera.parse().unwrap(),
        edge: edge(incident),
        revision: ConfigRevision(1),
        model: None,
        stages: Vec::new(),
        since: Mono(0),
        unit_seq: Some(7),
        drill: false,
    }
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
async fn all_that_a_drill_camera_raises_is_a_drill_for_ever_and_nothing_of_another_is() {
    let mut stage = Stage::unconfigured(4);
    // What was decided counts, and not what the camera has become since.
    let mut config = testing::config();
    config.cameras[1].drill = true;
    stage.inputs.send(Input::Config(ConfigRevision(1), Arc::new(config))).await.unwrap();
    stage.changes.send(Change { drill: true, ..raised("gate") }).await.unwrap();
    stage.changes.send(raised("pond")).await.unwrap();
    let drills = |all: Vec<Alert>| -> BTreeMap<String, bool> {
        all.into_iter().map(|alert| (alert.place.camera.to_string(), alert.drill)).collect()
    };
    let expected = BTreeMap::from([("gate".to_owned(), true), ("pond".to_owned(), false)]);
    assert_eq!(drills(stage.spooled(2).await), expected);
    // Its alert stays what it was.
    stage
        .changes
        .send(change("gate", |incident| Edge::Resolved(incident, Resolution::DrillOver)))
        .await
        .unwrap();
    assert_eq!(drills(stage.spooled(3).await), expected);
}

#[tokio::test]
async fn evidence_that_finds_no_room_is_missing_with_the_reason() {
    let mut stage = Stage::with(1).await;
    stage.changes.send(raised("gate")).await.unwrap();
    stage.changes.send(raised("pond")).await.unwrap();
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

#[tokio::test]
async fn a_wall_clock_that_is_set_ahead_makes_no_evidence_come_too_late() {
    let mut stage = Stage::with(1).await;
    stage.changes.send(raised("gate")).await.unwrap();
    let ends = |incident| Edge::Resolved(incident, Resolution::ObservedAbsence);
    stage.changes.send(change("gate", ends)).await.unwrap();
    let id = stage.spooled(2).await[0].id;
    stage.clock.step_wall(stage.clock.wall().plus(Duration::from_secs(3600)));
    stage.turns().await;
    let clip = || vec![footage::missing(EvidenceKind::Clip, "no room")];
    stage.inputs.send(Input::Evidence(id, clip())).await.unwrap();
    let [late] = &stage.spooled(3).await[..] else { panic!("one alert") };
    assert_eq!((late.revision, late.evidence.len()), (AlertRevision(3), 1));
    // Patience ends all the same.
    assert_eq!(stage.resolved_after(181).await.len(), 1);
    stage.inputs.send(Input::Evidence(id, clip())).await.unwrap();
    stage.turns().await;
    assert_eq!(stage.order().await.len(), 3);
}

/// A configuration of so many cameras, and their ids.
fn town(cameras: usize) -> (Arc<Config>, Vec<String>) {
    let mut config = testing::config();
    let first = config.cameras[0].clone();
    let ids: Vec<String> = (0..cameras).map(|index| format!("cam-{index:03}")).collect();
    config.cameras = ids
        .iter()
        .map(|id| xueliang_base::config::Camera { id: id.parse().unwrap(), ..first.clone() })
        .collect();
    (Arc::new(config), ids)
}

#[tokio::test]
async fn a_burst_costs_two_commits_at_most_and_keeps_its_order() {
    let mut stage = Stage::with(60).await;
    let (config, cameras) = town(60);
    stage.inputs.try_send(Input::Config(ConfigRevision(2), config)).unwrap();
    let before = stage.spool.commits();
    for id in &cameras {
        stage.changes.try_send(raised(id)).unwrap();
    }
    // One of them goes on and ends within the burst.
    stage.changes.try_send(change(&cameras[7], Edge::Updated)).unwrap();
    let ends = |incident| Edge::Resolved(incident, Resolution::ObservedAbsence);
    stage.changes.try_send(change(&cameras[7], ends)).unwrap();
    assert_eq!(stage.spooled(62).await.len(), 60);
    let commits = stage.spool.commits() - before;
    assert!(commits <= 2, "{commits} commits, each waits for the disk");
    let mut expected: Vec<_> = cameras.iter().map(|id| (id.clone(), 1)).collect();
    expected.extend([(cameras[7].clone(), 2), (cameras[7].clone(), 3)]);
    assert_eq!(stage.order().await, expected);
    assert_eq!(stage.wanted.len(), 60);
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_costs_no_state_and_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Wall(0));
    drop(Spool::open(folder.path(), clock, SpoolOptions::default()).unwrap());
    // Not one page more than it has.
    let pages = std::fs::metadata(folder.path().join("spool.db")).unwrap().len() / 4096;
    let pages = Arc::new(std::sync::atomic::AtomicU32::new(pages.try_into().unwrap()));
    let options = SpoolOptions { max_pages: Some(pages.clone()), ..SpoolOptions::default() };
    let mut stage = Stage::on(folder, options, 60).await;
    let (config, cameras) = town(60);
    stage.inputs.try_send(Input::Config(ConfigRevision(2), config)).unwrap();
    for id in &cameras {
        stage.changes.try_send(raised(id)).unwrap();
    }
    let failed = stage.counts.wait_for(|counts| counts.spool_failures > 0);
    timeout(Duration::from_secs(10), failed).await.expect("it is told while it fails").unwrap();
    assert!(stage.wanted.is_empty(), "no evidence of an alert that is not on disk");
    stage.changes.try_send(change(&cameras[3], Edge::Updated)).unwrap();
    pages.store(10_000, std::sync::atomic::Ordering::Relaxed);
    stage.spooled(61).await;
    let mut expected: Vec<_> = cameras.iter().map(|id| (id.clone(), 1)).collect();
    expected.push((cameras[3].clone(), 2));
    assert_eq!(stage.order().await, expected);
    assert_eq!(stage.wanted.len(), 60);
}

#[tokio::test]
async fn what_was_decided_before_the_node_stops_is_spooled() {
    let mut stage = Stage::with(60).await;
    let (config, cameras) = town(60);
    stage.inputs.try_send(Input::Config(ConfigRevision(2), config)).unwrap();
    for id in &cameras[..59] {
        stage.changes.try_send(raised(id)).unwrap();
    }
    stage.stop.ask();
    stage.spooled(59).await;
    // The looks task ends later, with a last change; this task ends with it.
    stage.changes.try_send(raised(&cameras[59])).unwrap();
    drop(stage.changes);
    timeout(Duration::from_secs(10), stage.task).await.expect("it ends").unwrap();
    assert_eq!(stage.spool.pending_latest().await.unwrap().len(), 60);
}

#[tokio::test]
async fn a_full_disk_does_not_keep_the_node_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let options = SpoolOptions { max_bytes: 1, ..SpoolOptions::default() };
    let mut stage = Stage::on(folder, options, 1).await;
    stage.changes.try_send(raised("gate")).unwrap();
    stage.counts.wait_for(|counts| counts.spool_failures > 0).await.unwrap();
    stage.stop.ask();
    drop(stage.changes);
    timeout(Duration::from_secs(9), stage.task).await.expect("it gives up").unwrap();
    assert!(stage.wanted.is_empty() && stage.counts.borrow().states.is_empty());
}

/// An adopted alert that lacks no evidence, of this rule.
fn adopted(camera: &str, kind: Kind, rule: &str) -> Alert {
    let mut alert = testing::alert(camera, kind);
    alert.explanation.rule = rule.parse().unwrap();
    alert.evidence = EvidenceKind::ALL.map(|kind| footage::missing(kind, "known already")).into();
    alert
}

/// An edge of the incident behind an alert, by a rule.
fn edge_of(alert: &Alert, rule: &str, edge: impl FnOnce(Incident) -> Edge) -> Change {
    change(alert.place.camera.as_str(), |incident| {
        edge(Incident { rule: rule.parse().unwrap(), kind: alert.kind, level: alert.level, ..incident })
    })
}

#[tokio::test]
async fn an_alert_whose_rule_is_gone_ends_once_whoever_ends_it() {
    let mut stage = Stage::with(1).await;
    // Of rules that were renamed, that another one takes over from, that nobody ends; one that goes on, and a gap.
    let renamed = adopted("gate", Kind::ZoneIntrusion, "old");
    let heired = adopted("gate", Kind::FireLaneBlocked, "old");
    let forgotten = adopted("pond", Kind::ZoneIntrusion, "old");
    let offline = adopted("gate", Kind::CamOffline, "cam_offline");
    let gap = adopted("gate", Kind::CoverageGap, COVERAGE_GAP);
    for alert in [&renamed, &heired, &forgotten, &offline, &gap] {
        stage.inputs.try_send(Input::Adopt(Box::new(alert.clone()))).unwrap();
    }
    let mut config = testing::config();
    let rule = config.cameras[0].rules[0].clone();
    config.cameras[0].rules.push(xueliang_base::config::Rule { id: "new".parse().unwrap(), ..rule });
    stage.inputs.try_send(Input::Config(ConfigRevision(2), Arc::new(config))).unwrap();
    // What the looks task does with them: it ends the incidents of rules that are gone.
    let removed = |incident| Edge::Resolved(incident, Resolution::RuleRemoved);
    stage.changes.try_send(edge_of(&renamed, "old", removed)).unwrap();
    stage.changes.try_send(edge_of(&heired, "new", Edge::Updated)).unwrap();
    stage.changes.try_send(edge_of(&heired, "old", removed)).unwrap();
    let ended: Vec<_> = stage.resolved_after(29).await.iter().map(|alert| alert.id).collect();
    assert_eq!(ended, [renamed.id], "the looks task has its chance");
    let ended = stage.resolved_after(2).await;
    let mut ids: Vec<_> = ended.iter().map(|alert| (alert.id, alert.revision.0)).collect();
    let mut expected = vec![(renamed.id, 2), (forgotten.id, 2)];
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
    assert!(
        ended.iter().all(|a| matches!(a.state, AlertState::Resolved { why: Resolution::RuleRemoved, .. }))
    );
    // Late word of the one, and the end of the other by its heir.
    stage.changes.try_send(edge_of(&forgotten, "old", removed)).unwrap();
    stage.changes.try_send(edge_of(&heired, "new", removed)).unwrap();
    let ended = stage.resolved_after(100).await;
    assert_eq!(ended.len(), 3);
    assert_eq!(ended.iter().find(|alert| alert.id == forgotten.id).unwrap().revision.0, 2);
    assert_eq!(stage.counts.borrow().suppressed.get("never_raised"), Some(&1));
}

#[tokio::test]
async fn the_alerts_of_a_camera_that_is_removed_meanwhile_end_once() {
    let mut stage = Stage::with(60).await;
    stage.changes.try_send(change("gate", Edge::Raised)).unwrap();
    stage.changes.try_send(change("pond", Edge::Raised)).unwrap();
    let before = stage.spooled(2).await;
    let mut config = testing::config();
    config.cameras.clear();
    stage.inputs.try_send(Input::Config(ConfigRevision(2), Arc::new(config))).unwrap();
    // The looks task ends those of one; of the other its word is lost.
    let removed = |incident| Edge::Resolved(incident, Resolution::RuleRemoved);
    stage.changes.try_send(change("gate", removed)).unwrap();
    let ended = stage.resolved_after(31).await;
    let mut states: Vec<_> = ended.iter().map(|alert| (alert.id, alert.revision.0)).collect();
    states.sort();
    let mut expected: Vec<_> = before.iter().map(|alert| (alert.id, 2)).collect();
    expected.sort();
    assert_eq!(states, expected);
    assert!(ended.iter().all(|alert| !alert.place.camera_name.is_empty()), "they keep their place");
    assert_eq!(stage.resolved_after(100).await, ended);
}
