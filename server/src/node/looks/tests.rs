//! The looks task with a clock and a worker that the test drives.

use std::path::Path;

use tokio::sync::watch;
use xueliang_base::{
    config::{CameraRules, Config},
    gate::{GateCounts, Tier},
    incident::Resolution,
    kind::Kind,
    metrics::Metrics,
    time::{Clock, ManualClock, Wall},
    unit::Codec,
};
use xueliang_inference::{
    attention::{Granted, Vigil, Why},
    logbook::LogbookBounds,
};
use xueliang_ingest::{
    health::{OfflineCause, Signal, SignalChange},
    ring::Ring,
    session::UnitSink,
};
use xueliang_proto::v1::{
    self, LoadedModel, ModelRef as WireModel, Region, WorkerDetection, WorkerLook, WorkerReleased, WorkerSaw,
    WorkerView,
};

use super::*;
use crate::node::pool::Job;

mod patrol;
mod subs;

pub(super) fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn id() -> CameraId {
    "gate".parse().unwrap()
}

/// One camera with these keys, zones and rules.
fn config(rules: &str) -> Arc<Config> {
    let text = format!(
        r#"
site = "Test town"
state_dir = "state"
networks = ["127.0.0.0/8"]
[[division]]
code = "330282"
name = "Cixi"
[[camera]]
id = "gate"
name = "North gate"
division = "330282"
url = "rtsp://127.0.0.1:8554/gate"
{rules}
"#
    );
    Arc::new(Config::parse(&text, Path::new("/etc/xueliang")).unwrap_or_else(|e| panic!("{:?}", e.faults)))
}

/// Persons at a pond, at once; further keys of the rule.
fn pond(more: &str) -> Arc<Config> {
    config(&format!(
        r#"
health = []
[[camera.zone]]
id = "pond"
polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
[[camera.rule]]
kind = "WATER_ZONE_ENTRY"
zone = "pond"
dwell = "0s"
{more}
"#
    ))
}

struct Stage {
    clock: Arc<ManualClock>,
    looks: Looks,
    answers: mpsc::Receiver<Answered>,
    jobs: mpsc::Receiver<Job>,
    changes: mpsc::Receiver<Change>,
    facts: watch::Receiver<LooksFacts>,
    dirty: Arc<Dirty>,
    revision: u64,
    seq: u64,
    /// Something moves in the middle that no model sees.
    branch: bool,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let clock = ManualClock::at(Wall(1_767_225_600_000_000));
        let folder = tempfile::tempdir().unwrap();
        let (worker, jobs) = Worker::fake();
        let (changes, changed) = mpsc::channel(64);
        let (facts, facts_seen) = watch::channel(LooksFacts::default());
        let dirty = Arc::new(Dirty::default());
        let (looks, answers) = Looks::build(LooksSpec {
            clock: clock.clone(),
            dirty: dirty.clone(),
            workers: vec![worker],
            analysis: pond("").analysis.clone(),
            folder: folder.path().to_owned(),
            changes,
            facts,
            times: LookTimes::register(&Metrics::new("node")),
        });
        Self {
            clock,
            looks,
            answers,
            jobs,
            changes: changed,
            facts: facts_seen,
            dirty,
            revision: 0,
            seq: 0,
            branch: false,
            _folder: folder,
        }
    }
    /// The worker is ready, with a model that sees persons.
    fn ready(&mut self) {
        let model = WireModel { name: "street".to_owned(), version: "1".to_owned(), sha256: String::new() };
        let models = vec![LoadedModel { model: Some(model), meanings: vec!["person".to_owned()] }];
        self.looks.pool(PoolEvent::Ready { worker: 0, models });
    }
    fn cell(&self, config: &Config) -> Arc<Cell> {
        let camera = Arc::new(config.cameras[0].clone());
        let ring = Ring::new(1 << 20, s(30.0));
        Arc::new(Cell::new(camera, ring, self.dirty.clone(), self.clock.wall()))
    }
    fn configure(&mut self, config: &Arc<Config>, cell: &Arc<Cell>, adopted: Vec<Incident>) {
        self.revision += 1;
        self.looks.configure(Assignment {
            revision: ConfigRevision(self.revision),
            config: config.clone(),
            cells: config.cameras.iter().map(|camera| (camera.id.clone(), cell.clone())).collect(),
            adopted: BTreeMap::from([(id(), adopted)]),
        });
    }
    fn signal(&self, cell: &Cell, signal: Signal) {
        let (since, since_wall) = (self.clock.mono(), self.clock.wall());
        cell.signal(SignalChange { signal, since, since_wall, detail: String::new(), edges: 1 });
    }
    /// A keyframe arrives.
    fn unit(&mut self, cell: &Cell) {
        self.seq += 1;
        cell.unit(AccessUnit {
            seq: self.seq,
            codec: Codec::H264,
            keyframe: true,
            discontinuity: false,
            pts_us: None,
            arrival: self.clock.mono(),
            arrival_wall: self.clock.wall(),
            camera_time: None,
            data: vec![0; 100].into(),
        });
        self.looks.offer(&id());
    }
    /// The look that the worker is asked for now, if any.
    async fn asked(&mut self) -> Option<(WorkerLook, Job)> {
        self.looks.dispatch();
        for _ in 0..20 {
            tokio::task::yield_now().await;
            while let Ok(mut job) = self.jobs.try_recv() {
                match job.request.ask.take() {
                    Some(Ask::Look(look)) => return Some((look, job)),
                    _ => drop(job.answer.send(Ok(Answer::Released(WorkerReleased {})))),
                }
            }
        }
        None
    }
    /// Time passes, a keyframe arrives and is looked at, with so many persons in the middle; says what was asked.
    async fn look(&mut self, cell: &Cell, after: f64, persons: usize) -> Option<WorkerLook> {
        self.clock.advance(s(after));
        self.unit(cell);
        let (look, job) = self.asked().await?;
        let mut saw = saw(&look, persons);
        if self.branch {
            saw.thumbnail = cells(saw.seq, 1).into();
        }
        assert!(job.answer.send(Ok(Answer::Saw(saw))).is_ok());
        self.finish().await;
        Some(look)
    }
    async fn finish(&mut self) {
        let answered = self.answers.recv().await.unwrap();
        self.looks.answered(answered);
    }
    fn tick(&mut self, after: f64) {
        self.clock.advance(s(after));
        self.looks.tick();
        self.looks.dispatch();
    }
    fn edges(&mut self) -> Vec<(&'static str, Kind)> {
        let mut edges = Vec::new();
        while let Ok(change) = self.changes.try_recv() {
            let word = match &change.edge {
                Edge::Raised(_) => "raised",
                Edge::Updated(_) => "updated",
                Edge::Resolved(_, Resolution::ObservedAbsence) => "resolved",
                Edge::Resolved(_, Resolution::RuleRemoved) => "rule removed",
                Edge::Resolved(_, Resolution::DrillOver) => "drill over",
            };
            edges.push((word, change.edge.incident().kind));
        }
        edges
    }
    /// What the journal says without a look, in order, each run of the same once.
    fn not_looked(&self) -> Vec<NotLooked> {
        let journal = &self.looks.cameras[&id()].journal;
        let mut reasons: Vec<NotLooked> = journal.iter().filter_map(|o| o.outcome.err()).collect();
        reasons.dedup();
        reasons
    }
    fn incidents(&self) -> Vec<Kind> {
        self.looks.cameras[&id()].analyst.active().iter().map(|incident| incident.kind).collect()
    }
}

fn saw(look: &WorkerLook, persons: usize) -> WorkerSaw {
    let seq = look.units.last().unwrap().seq;
    let person = WorkerDetection {
        meaning: "person".to_owned(),
        score: 0.9,
        region: Some(Region { x0: 0.4, y0: 0.4, x1: 0.5, y1: 0.6 }),
    };
    WorkerSaw {
        seq,
        decoded: u32::try_from(look.units.len()).unwrap(),
        views: look
            .models
            .iter()
            .map(|model| WorkerView { model: model.clone(), detections: vec![person.clone(); persons] })
            .collect(),
        mean_luma: 110.0,
        std_luma: 40.0,
        detail: 8.0,
        checksum: seq,
        thumbnail: cells(seq, persons).into(),
        aspect: 1.7,
        decode_us: 2_000,
        preprocess_us: 1_000,
        infer_us: 20_000,
        forgotten: false,
    }
}

/// The thumbnail of a picture. Who is there stands out, and moves.
fn cells(seq: u64, persons: usize) -> Vec<u8> {
    let person = |i: u64| (38 + seq % 4..46 + seq % 4).contains(&(i % 96)) && (22..32).contains(&(i / 96));
    (0u64..96 * 54)
        .map(|i| 60 + u8::try_from((i / 8 * 7 + i / 600 * 31) % 97 + seq % 3).unwrap())
        .zip(0..)
        .map(|(level, i)| if persons > 0 && person(i) { 250 - level } else { level })
        .collect()
}

#[tokio::test]
async fn cameras_begun_without_a_worker_see_hazards_once_one_is_ready() {
    let mut stage = Stage::new();
    let config = pond("");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.tick(25.0);
    assert_eq!(stage.looks.cameras.len(), 1, "watched for silence without a worker");
    stage.ready();
    let look = stage.look(&cell, 1.0, 1).await.unwrap();
    assert_eq!(look.models, ["street"]);
    assert_eq!(stage.edges(), [("raised", Kind::WaterZoneEntry)]);
    // The models are declared: a model's silence is an absence.
    for _ in 0..25 {
        stage.look(&cell, 0.5, 0).await.unwrap();
    }
    assert_eq!(stage.edges(), [("resolved", Kind::WaterZoneEntry)]);
}

#[tokio::test]
async fn a_camera_with_new_credentials_is_watched_through_its_new_cell() {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("");
    let old = stage.cell(&config);
    stage.configure(&config, &old, Vec::new());
    stage.signal(&old, Signal::Streaming);
    stage.look(&old, 1.0, 1).await.unwrap();
    assert_eq!(stage.edges(), [("raised", Kind::WaterZoneEntry)]);
    // The same camera to the letter, another session.
    let new = stage.cell(&config);
    stage.configure(&config, &new, Vec::new());
    stage.signal(&new, Signal::Streaming);
    stage.look(&new, 1.0, 1).await.expect("what the new session delivers is looked at");
    assert_eq!(stage.edges(), [], "its incident goes on");
    assert_eq!(stage.incidents(), [Kind::WaterZoneEntry]);
}

#[tokio::test]
async fn an_answer_for_the_cell_before_says_nothing_of_the_new_one() {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("");
    let old = stage.cell(&config);
    stage.configure(&config, &old, Vec::new());
    stage.signal(&old, Signal::Streaming);
    stage.unit(&old);
    let (look, job) = stage.asked().await.unwrap();
    let new = stage.cell(&config);
    stage.configure(&config, &new, Vec::new());
    assert!(job.answer.send(Ok(Answer::Saw(saw(&look, 1)))).is_ok());
    stage.finish().await;
    assert_eq!(stage.edges(), []);
    assert_eq!(new.ring.account().missing(), 0);
    stage.signal(&new, Signal::Streaming);
    stage.look(&new, 1.0, 0).await.expect("the worker is free again");
}

#[tokio::test]
async fn an_edit_ends_only_incidents_whose_rule_is_gone() {
    let mut stage = Stage::new();
    stage.ready();
    let both =
        pond("[[camera.rule]]\nid = \"other\"\nkind = \"ZONE_INTRUSION\"\nzone = \"pond\"\ndwell = \"0s\"");
    let cell = stage.cell(&both);
    stage.configure(&both, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.look(&cell, 1.0, 1).await.unwrap();
    assert_eq!(stage.edges(), [("raised", Kind::WaterZoneEntry), ("raised", Kind::ZoneIntrusion)]);
    // One rule goes, the other is edited.
    let one = pond("cooldown = \"5s\"");
    let cell = stage.cell(&one);
    stage.configure(&one, &cell, Vec::new());
    assert_eq!(stage.edges(), [("rule removed", Kind::ZoneIntrusion)]);
    stage.signal(&cell, Signal::Streaming);
    for _ in 0..25 {
        stage.look(&cell, 0.5, 0).await.unwrap();
    }
    assert_eq!(stage.edges(), [("resolved", Kind::WaterZoneEntry)], "by what was seen");
}

#[tokio::test]
async fn a_worker_that_missed_its_deadline_gets_no_look_before_it_is_ready_again() {
    for reason in [NotLooked::Deadline, NotLooked::WorkerLost] {
        let mut stage = Stage::new();
        stage.ready();
        let config = pond("");
        let cell = stage.cell(&config);
        stage.configure(&config, &cell, Vec::new());
        stage.signal(&cell, Signal::Streaming);
        stage.unit(&cell);
        let (_, job) = stage.asked().await.unwrap();
        assert!(job.answer.send(Err(reason)).is_ok());
        stage.finish().await;
        // The pool has not yet said that it is gone.
        assert!(stage.look(&cell, 10.0, 0).await.is_none(), "{reason}");
        stage.looks.pool(PoolEvent::Lost { worker: 0 });
        assert!(stage.look(&cell, 10.0, 0).await.is_none(), "{reason}");
        stage.ready();
        assert!(stage.look(&cell, 10.0, 0).await.is_some(), "{reason}");
    }
}

#[tokio::test]
async fn an_answer_of_the_child_before_does_not_stop_the_next_one() {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.unit(&cell);
    let (_, job) = stage.asked().await.unwrap();
    // The next child is ready before the answer about the last one is read.
    stage.looks.pool(PoolEvent::Lost { worker: 0 });
    stage.ready();
    assert!(job.answer.send(Err(NotLooked::Deadline)).is_ok());
    stage.finish().await;
    assert!(stage.look(&cell, 10.0, 0).await.is_some());
}

/// A camera that delivers and has not been looked at for long, and its gap.
async fn in_a_gap() -> (Stage, Arc<Cell>) {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.look(&cell, 1.0, 0).await.unwrap();
    stage.looks.pool(PoolEvent::Lost { worker: 0 });
    for _ in 0..60 {
        stage.unit(&cell);
        stage.tick(1.0);
    }
    assert_eq!(stage.edges(), [("raised", Kind::CoverageGap)]);
    (stage, cell)
}

#[tokio::test]
async fn a_gap_outlasts_its_camera_and_ends_when_looks_are_in_time_again() {
    let (mut stage, cell) = in_a_gap().await;
    stage.signal(&cell, Signal::Offline(OfflineCause::Closed));
    for _ in 0..60 {
        stage.tick(1.0);
    }
    assert_eq!(stage.edges(), [], "a dead camera is not looked at more often");
    stage.signal(&cell, Signal::Streaming);
    stage.ready();
    stage.look(&cell, 1.0, 0).await.unwrap();
    stage.tick(0.0);
    assert_eq!(stage.edges(), [], "one look says nothing of the next");
    stage.look(&cell, 0.5, 0).await.unwrap();
    stage.tick(0.0);
    assert_eq!(stage.edges(), [("resolved", Kind::CoverageGap)]);
}

#[tokio::test]
async fn a_gap_ends_with_its_camera() {
    let (mut stage, _cell) = in_a_gap().await;
    let config = pond("");
    stage.looks.apply(Assignment {
        revision: ConfigRevision(9),
        config,
        cells: BTreeMap::new(),
        adopted: BTreeMap::new(),
    });
    assert_eq!(stage.edges(), [("rule removed", Kind::CoverageGap)]);
}

#[tokio::test]
async fn a_gap_of_the_process_before_goes_on_until_looks_are_in_time() {
    let (before, _cell) = in_a_gap().await;
    let gap = before.looks.gaps[&id()].clone();
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, vec![gap]);
    stage.signal(&cell, Signal::Streaming);
    stage.tick(1.0);
    assert_eq!(stage.edges(), []);
    stage.look(&cell, 1.0, 0).await.unwrap();
    stage.look(&cell, 0.5, 0).await.unwrap();
    stage.tick(0.0);
    assert_eq!(stage.edges(), [("resolved", Kind::CoverageGap)]);
}

#[tokio::test]
async fn a_camera_with_nothing_due_is_not_called_busy() {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("blind_max = \"60s\"\nmax_gap = \"90s\"");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.look(&cell, 0.1, 0).await.unwrap();
    for _ in 0..40 {
        stage.unit(&cell);
        stage.tick(1.0);
    }
    assert_eq!(stage.not_looked(), []);
}

#[tokio::test]
async fn a_look_that_was_due_and_not_made_is_told_with_its_reason_and_counted() {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("blind_max = \"5s\"\nmax_gap = \"9s\"");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.look(&cell, 0.1, 0).await.unwrap();
    // No keyframe comes: there is nothing that could be looked at.
    for _ in 0..12 {
        stage.tick(1.0);
    }
    assert_eq!(stage.not_looked(), [NotLooked::TooOld]);
    // Keyframes come, and no worker is free.
    stage.looks.pool(PoolEvent::Lost { worker: 0 });
    for _ in 0..12 {
        stage.unit(&cell);
        stage.tick(1.0);
    }
    assert_eq!(stage.not_looked(), [NotLooked::TooOld, NotLooked::Busy]);
    let counters = stage.facts.borrow().attention.clone();
    assert!(counters.refused[&NotLooked::Busy] >= 2, "{counters:?}");
    assert!(counters.keyframe_looks + counters.continued_looks >= 1, "{counters:?}");
    let told = stage.looks.cameras[&id()].journal.len();
    assert!(told <= 1 + 24 / 5 + 1, "at most once an interval: {told}");
}

#[tokio::test]
async fn a_camera_that_is_only_watched_for_silence_is_found_back() {
    let mut stage = Stage::new();
    stage.ready();
    let config = config("health = [\"CAM_OFFLINE\"]");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Offline(OfflineCause::Refused));
    for _ in 0..30 {
        stage.tick(1.0);
    }
    assert_eq!(stage.edges(), [("raised", Kind::CamOffline)]);
    stage.signal(&cell, Signal::Streaming);
    for _ in 0..30 {
        stage.unit(&cell);
        stage.tick(1.0);
    }
    assert_eq!(stage.edges(), [("resolved", Kind::CamOffline)]);
    assert_eq!(stage.facts.borrow().cameras[&id()].not_looked, None, "nothing is wrong with it");
    let told = stage.looks.cameras[&id()].journal.len();
    stage.tick(1.0);
    assert_eq!(stage.looks.cameras[&id()].journal.len(), told, "and then there is nothing to tell");
}

#[tokio::test]
async fn a_camera_whose_decoder_was_forgotten_keeps_its_lease_and_begins_at_a_keyframe() {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.unit(&cell);
    let (look, job) = stage.asked().await.unwrap();
    assert!(look.continued && look.restart);
    let saw = WorkerSaw { forgotten: true, ..saw(&look, 0) };
    assert!(job.answer.send(Ok(Answer::Saw(saw))).is_ok());
    stage.finish().await;
    let lease = stage.looks.attention.lease(&id());
    assert!(lease.is_some());
    let next = stage.look(&cell, 1.0, 0).await.unwrap();
    assert!(next.continued && next.restart);
    let after = stage.look(&cell, 1.0, 0).await.unwrap();
    assert!(after.continued && !after.restart);
    assert_eq!(stage.looks.attention.lease(&id()), lease);
}

#[tokio::test]
async fn a_dark_or_frozen_picture_is_a_state_and_no_coverage() {
    let mut stage = Stage::new();
    stage.ready();
    let config = pond("");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    type Change = fn(&mut WorkerSaw);
    let table: [(Change, Vec<v1::PictureTrouble>, bool); 4] = [
        (|_| (), vec![], true),
        // Black from one look to the next is no nightfall.
        (
            |saw| (saw.mean_luma, saw.std_luma) = (3.0, 1.0),
            vec![v1::PictureTrouble::Dark, v1::PictureTrouble::Covered],
            false,
        ),
        (|_| (), vec![], true),
        (|saw| saw.checksum = saw.seq - 1, vec![v1::PictureTrouble::Frozen], false),
    ];
    for (change, troubles, covered) in table {
        stage.clock.advance(s(0.5));
        stage.unit(&cell);
        let (look, job) = stage.asked().await.unwrap();
        let mut saw = saw(&look, 0);
        change(&mut saw);
        assert!(job.answer.send(Ok(Answer::Saw(saw))).is_ok());
        stage.finish().await;
        stage.tick(0.0);
        let facts = stage.facts.borrow().cameras[&id()].clone();
        let told: Vec<i32> = troubles.into_iter().map(i32::from).collect();
        assert_eq!(crate::node::wire::troubles_to_wire(facts.troubles), told);
        let blind = matches!(facts.coverage[0].granted, Granted::NotCovered(Why::Blind(_)));
        assert_eq!(!blind, covered, "{:?}", facts.coverage);
    }
}

#[tokio::test]
async fn a_slow_disk_holds_up_no_look_and_loses_no_journal() {
    let mut stage = Stage::new();
    let (keeper, pages) = Keeper::fake();
    stage.looks.keeper = Some(keeper);
    stage.ready();
    let config = pond("");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    // Nobody reads the queue.
    for _ in 0..20 {
        stage.looks.want_journals();
    }
    stage.look(&cell, 1.0, 1).await.expect("a look goes on meanwhile");
    assert_eq!(stage.edges(), [("raised", Kind::WaterZoneEntry)]);
    assert!(!stage.looks.journals.is_empty(), "it is still wanted");
    let snapshot: Vec<keep::Page> = pages.try_iter().collect();
    let keep::Page::Journal { journal, .. } = &snapshot[0] else { panic!("a journal was asked for") };
    assert_eq!(journal.len(), 0, "as it was when it was asked for");
    stage.looks.write_journals();
    let keep::Page::Journal { journal, .. } = pages.try_recv().unwrap() else { panic!("and another") };
    assert_eq!(journal.len(), 1);
}

/// A pond whose camera rests.
fn resting_pond(gate: &str) -> Arc<Config> {
    config(&format!(
        r#"
gate = "{gate}"
health = []
[[camera.zone]]
id = "pond"
polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
[[camera.rule]]
kind = "WATER_ZONE_ENTRY"
zone = "pond"
blind_max = "2s"
dwell = "3s"
max_gap = "5s"
clear = "6s"
"#
    ))
}

impl Stage {
    /// Keyframes every two seconds, with so many persons in the pond: how many looks there were, and how many of models.
    async fn watch(&mut self, cell: &Cell, seconds: u32, persons: usize) -> (usize, usize) {
        let (mut looks, mut of_models) = (0, 0);
        for _ in 0..seconds / 2 {
            if let Some(look) = self.look(cell, 2.0, persons).await {
                looks += 1;
                of_models += usize::from(!look.models.is_empty());
            }
        }
        (looks, of_models)
    }
    fn vigil(&self) -> Option<Vigil> {
        self.looks.attention.vigil(&id())
    }
    /// What the last seconds are told to have been.
    async fn explained(&self, seconds: f64) -> v1::ExplainedCamera {
        let (reply, told) = tokio::sync::oneshot::channel();
        let to = self.clock.wall();
        self.looks.explain(ExplainAsk { camera: id(), from: to.minus(s(seconds)), to, reply });
        crate::node::explain::to_wire(&told.await.unwrap().unwrap())
    }
    fn pixels(&mut self) -> GateCounts {
        self.looks.publish_facts();
        self.facts.borrow().gates[&Tier::Pixels]
    }
}

#[tokio::test]
async fn a_resting_camera_is_glanced_at_wakes_when_something_moves_and_rests_again() {
    let mut stage = Stage::new();
    stage.ready();
    let config = resting_pond("enforce");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.watch(&cell, 120, 0).await;
    assert_eq!(stage.vigil(), Some(Vigil::Resting));
    let (looks, of_models) = stage.watch(&cell, 60, 0).await;
    assert!((14..=16).contains(&looks) && of_models <= 3, "{of_models} of {looks}");
    let told = stage.explained(60.0).await;
    let count = |told: &v1::ExplainedCamera, purpose| {
        told.looks.iter().filter(|looks| looks.purpose() == purpose).map(|looks| looks.count).sum::<u64>()
    };
    use v1::LookPurpose::{Decide, Glance, Rest, Stirred, Watch};
    assert_eq!(count(&told, Rest), of_models as u64);
    assert_eq!(count(&told, Glance), (looks - of_models) as u64);
    assert_eq!(told.rules[0].verdict(), v1::ExplainedVerdict::Rested, "{}", told.rules[0].text);
    assert!(told.vigil.iter().all(|part| part.vigil() == v1::Vigil::Resting) && told.wakes.is_empty());

    // Two glances at most until it is seen, then every keyframe until it is decided.
    let (_, of_models) = stage.watch(&cell, 12, 1).await;
    assert!(of_models >= 4, "{of_models}");
    assert_eq!(stage.edges(), [("raised", Kind::WaterZoneEntry)]);
    assert_eq!(stage.vigil(), Some(Vigil::Confirming));
    stage.watch(&cell, 16, 0).await;
    assert_eq!(stage.edges(), [("resolved", Kind::WaterZoneEntry)]);
    stage.watch(&cell, 40, 0).await;
    assert_eq!(stage.vigil(), Some(Vigil::Resting));
    let counts = stage.pixels();
    assert_eq!((counts.misses, counts.woken_hits), (0, 1), "{counts:?}");
    let told = stage.explained(68.0).await;
    assert!(told.wakes.iter().any(|woken| woken.reason() == v1::WakeReason::Moving), "{told:?}");
    let glances = count(&told, Glance) + count(&told, Stirred);
    assert!(count(&told, Watch) > 0 && count(&told, Decide) > 0 && glances > 5, "{:?}", told.looks);
    assert_eq!(told.rules[0].verdict(), v1::ExplainedVerdict::Alert);
    for vigil in [v1::Vigil::Resting, v1::Vigil::Watching, v1::Vigil::Confirming] {
        assert!(told.vigil.iter().any(|part| part.vigil() == vigil), "{vigil:?} in {:?}", told.vigil);
    }
}

#[tokio::test]
async fn what_moved_and_passed_with_nothing_found_is_watched_no_longer() {
    let mut stage = Stage::new();
    stage.ready();
    let config = resting_pond("enforce");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    stage.watch(&cell, 120, 0).await;
    stage.branch = true;
    stage.watch(&cell, 4, 0).await;
    stage.branch = false;
    // It has just moved; the looks that follow, two seconds apart, find nothing.
    stage.watch(&cell, 2, 0).await;
    assert_eq!(stage.vigil(), Some(Vigil::Watching));
    stage.watch(&cell, 4, 0).await;
    assert_eq!(stage.vigil(), Some(Vigil::Resting), "for 10 s at most, and no longer than there is cause");
    // What is found is watched as long as before.
    stage.watch(&cell, 4, 1).await;
    stage.watch(&cell, 4, 0).await;
    assert_ne!(stage.vigil(), Some(Vigil::Resting));
}

#[tokio::test]
async fn in_shadow_the_tiers_are_held_against_the_looks_and_change_none() {
    let mut stage = Stage::new();
    stage.ready();
    let config = resting_pond("shadow");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    let (looks, of_models) = stage.watch(&cell, 120, 0).await;
    assert_eq!((looks, of_models), (60, 60), "every keyframe, as the rule asks");
    stage.watch(&cell, 12, 1).await;
    assert_eq!(stage.vigil(), Some(Vigil::Confirming));
    let counts = stage.pixels();
    assert_eq!((counts.hits, counts.misses, counts.woken_hits + counts.woken_false), (1, 0, 0), "{counts:?}");
    assert!(counts.rests > 40, "{counts:?}");
}

#[tokio::test]
async fn what_a_camera_keeps_beside_its_ring_stays_well_under_four_megabytes() {
    let mut stage = Stage::new();
    stage.ready();
    let config = resting_pond("shadow");
    let cell = stage.cell(&config);
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    let (looks, _) = stage.watch(&cell, 3000, 1).await;
    let running = &stage.looks.cameras[&id()];
    let (journal, logbook) = (&running.journal, &running.logbook);
    assert!(
        journal.dropped() > 0 && journal.bytes() > 380_000,
        "the journal is full: {} looks",
        journal.len()
    );
    assert_eq!(logbook.len(), looks, "the logbook has all");
    let rest = running.analyst.bytes() + size_of::<Running>();
    let most = journal.bytes() + LogbookBounds::default().max_bytes + rest;
    assert!(most < 1_400_000, "{} {} {rest}", journal.bytes(), logbook.bytes());
}

#[tokio::test]
async fn what_a_camera_did_is_told_from_its_logbook_and_of_no_other_camera() {
    let mut stage = Stage::new();
    let config = pond("blind_max = \"1s\"");
    let cell = stage.cell(&config);
    stage.ready();
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    let began = stage.clock.wall();
    for persons in [0, 0, 1, 0] {
        stage.look(&cell, 1.0, persons).await.expect("it is looked at");
    }
    stage.clock.advance(s(1.0));
    let ask = |stage: &Stage, camera: &str, from| {
        let (reply, told) = tokio::sync::oneshot::channel();
        let to = stage.clock.wall();
        stage.looks.explain(ExplainAsk { camera: camera.parse().unwrap(), from, to, reply });
        told
    };
    let told = ask(&stage, "gate", began).await.unwrap().unwrap();
    let told = crate::node::explain::to_wire(&told);
    assert_eq!((told.camera_id.as_str(), told.config_revision, told.looks[0].count), ("gate", 1, 4));
    let [rule] = &told.rules[..] else { panic!("one rule") };
    assert_eq!((rule.verdict(), rule.seen, rule.not_seen), (v1::ExplainedVerdict::Alert, 1, 3));
    let raised = stage.changes.try_recv().unwrap();
    assert_eq!(rule.incidents[0].started_unix_us, raised.edge.incident().started_wall.0);
    assert!(matches!(ask(&stage, "quay", began).await.unwrap(), Err(Untold::UnknownCamera(_))));
    let outside = ask(&stage, "gate", began.plus(s(3600.0))).await.unwrap();
    assert!(matches!(outside, Err(Untold::Unexplained(_))));
}

#[tokio::test]
async fn rules_are_tried_on_what_looks_saw_and_begin_a_camera_anew_on_the_same_ring() {
    let mut stage = Stage::new();
    let config = pond("blind_max = \"1s\"");
    let cell = stage.cell(&config);
    stage.ready();
    stage.configure(&config, &cell, Vec::new());
    stage.signal(&cell, Signal::Streaming);
    for persons in [0, 1, 0] {
        stage.look(&cell, 1.0, persons).await.expect("it is looked at");
    }
    assert_eq!(stage.edges()[0], ("raised", Kind::WaterZoneEntry));
    // Persons stand in the middle: a zone in a corner sees none of them.
    let corner = "[[zone]]\nid = \"pond\"\npolygon = [[0, 0], [0.05, 0], [0.05, 0.05]]\n\
                  [[rule]]\nkind = \"WATER_ZONE_ENTRY\"\nzone = \"pond\"\ndwell = \"0s\"\n";
    let rules = CameraRules::parse(corner).unwrap();
    let (reply, told) = tokio::sync::oneshot::channel();
    stage.looks.try_rules(TrialAsk { camera: id(), rules: rules.clone(), reply });
    let told = told.await.unwrap().unwrap();
    assert_eq!((told.tried.looks, told.tried.rules[0].seen, told.tried.rules[0].not_seen), (3, 0, 3));
    assert_eq!((told.in_force.rules[0].seen, told.in_force.rules[0].incidents.len()), (1, 1));
    assert!(stage.edges().is_empty() && told.revision == ConfigRevision(1), "nothing has changed");

    // They come while a look is on its way: its units are accounted for, and what it saw is told to nobody.
    stage.clock.advance(s(1.0));
    stage.unit(&cell);
    let (look, job) = stage.asked().await.expect("it is looked at");
    let mut other = config.cameras[0].clone();
    rules.put_into(&mut other);
    let next = Arc::new(cell.watching_for(Arc::new(other.clone())));
    let other = Arc::new(Config { cameras: vec![other], ..Config::clone(&config) });
    stage.configure(&other, &next, Vec::new());
    assert!(job.answer.send(Ok(Answer::Saw(saw(&look, 1)))).is_ok());
    stage.finish().await;
    let account = next.ring.account();
    assert_eq!((account.received, account.looked_at, account.in_flight), (4, 4, 0), "{account:?}");
    assert!(stage.looks.cameras[&id()].journal.is_empty(), "another analyst begins another journal");
    stage.look(&next, 1.0, 1).await.expect("the next is looked at");
    assert!(!stage.edges().contains(&("raised", Kind::WaterZoneEntry)), "by its rules of now");
    assert_eq!(next.ring.account().looked_at, 5);
}
