//! The task with cameras whose signals the test sets.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use xueliang_base::{
    config::Config,
    id::ConfigRevision,
    incident::Incident,
    time::Clock as _,
    unit::{AccessUnit, Codec},
};
use xueliang_ingest::{
    health::{OfflineCause, Signal, SignalChange},
    ring::Ring,
    session::UnitSink as _,
};

use super::*;
use crate::node::{
    alerting::{
        Input,
        tests::{Stage, change},
    },
    camera::Cell,
    testing,
};

const BEHIND: [&str; 3] = ["a", "b", "c"];
const LOST: Signal = Signal::Offline(OfflineCause::Unreachable);

/// Three cameras behind a recorder.
fn config() -> Config {
    let mut text = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
                    [[division]]\ncode = \"33\"\nname = \"County\"\n\
                    [[upstream]]\nid = \"nvr\"\nname = \"Recorder\"\n"
        .to_owned();
    for id in BEHIND {
        text.push_str(&format!(
            "[[camera]]\nid = \"{id}\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/{id}\"\n\
             upstream = \"nvr\"\n"
        ));
    }
    Config::parse(&text, Path::new("/")).unwrap()
}

struct Town {
    stage: Stage,
    cells: Vec<Arc<Cell>>,
    seq: u64,
}

impl Town {
    /// In which all deliver.
    async fn new() -> Self {
        let config = config();
        let stage = Stage::with(60).await;
        let ring = || Ring::new(1 << 20, Duration::from_secs(30));
        let cell = |camera: &xueliang_base::config::Camera| {
            Arc::new(Cell::new(Arc::new(camera.clone()), ring(), Arc::default(), stage.clock.wall()))
        };
        let cells: Vec<_> = config.cameras.iter().map(cell).collect();
        stage.cells.send_replace(cells.iter().map(|cell| (cell.camera.id.clone(), cell.clone())).collect());
        stage.inputs.try_send(Input::Config(ConfigRevision(7), Arc::new(config))).unwrap();
        let mut town = Self { stage, cells, seq: 0 };
        town.signal(&BEHIND, Signal::Streaming);
        town.pass(1).await;
        town
    }
    fn signal(&self, ids: &[&str], signal: Signal) {
        let (since, since_wall) = (self.stage.clock.mono(), self.stage.clock.wall());
        for cell in self.cells.iter().filter(|cell| ids.contains(&cell.camera.id.as_str())) {
            cell.signal(SignalChange { signal, since, since_wall, detail: String::new(), edges: 1 });
        }
    }
    /// Seconds in which whatever streams delivers, and the task takes its turns.
    async fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.stage.clock.advance(Duration::from_secs(1));
            self.seq += 1;
            for cell in self.cells.iter().filter(|cell| cell.live().signal == Signal::Streaming) {
                cell.unit(AccessUnit {
                    seq: self.seq,
                    codec: Codec::H264,
                    keyframe: true,
                    discontinuity: false,
                    pts_us: None,
                    arrival: self.stage.clock.mono(),
                    arrival_wall: self.stage.clock.wall(),
                    camera_time: None,
                    data: Bytes::from_static(b"unit"),
                });
            }
            self.stage.turns().await;
        }
    }
    fn lose(&self, ids: &[&str]) {
        ids.iter().for_each(|id| self.stage.changes.try_send(change(id, Edge::Raised)).unwrap());
    }
    fn find(&self, ids: &[&str]) {
        let ends = |incident: Incident| Edge::Resolved(incident, Resolution::ObservedAbsence);
        ids.iter().for_each(|id| self.stage.changes.try_send(change(id, ends)).unwrap());
    }
    /// Places and revisions that were spooled, in order.
    async fn told(&self) -> Vec<(String, u64)> {
        self.stage.order().await
    }
    /// Revisions of the alerts about the recorder, in order.
    async fn recorder(&self) -> Vec<u64> {
        let told = self.told().await.into_iter();
        told.filter(|(place, _)| place == "nvr").map(|(_, revision)| revision).collect()
    }
    fn held(&self) -> Vec<(&'static str, u64)> {
        self.stage.counts.borrow().held.clone().into_iter().collect()
    }
}

fn told(places: &[(&str, u64)]) -> Vec<(String, u64)> {
    places.iter().map(|(place, revision)| ((*place).to_owned(), *revision)).collect()
}

#[tokio::test]
async fn a_recorder_that_is_down_is_told_before_the_losses_of_its_cameras_and_over_after_them() {
    let mut town = Town::new().await;
    town.signal(&BEHIND, LOST);
    town.pass(5).await;
    assert_eq!(town.told().await, told(&[("nvr", 1)]));
    let [down] = &town.stage.spool.pending_latest().await.unwrap()[..] else { panic!("one alert") };
    assert_eq!((down.kind, down.level, down.count), (Kind::UpstreamDown, Level::MAJOR, 3));
    assert_eq!(down.behind.iter().map(CameraId::as_str).collect::<Vec<_>>(), BEHIND);
    assert_eq!((down.place.camera_name.as_str(), down.place.division_name.as_str()), ("Recorder", "County"));
    assert_eq!(down.explanation.config, ConfigRevision(7));
    assert!(town.stage.wanted.is_empty(), "there is nothing to be seen of it");
    // By then nothing has to wait.
    town.lose(&BEHIND);
    town.pass(1).await;
    assert_eq!(town.told().await, told(&[("nvr", 1), ("a", 1), ("b", 1), ("c", 1)]));
    town.signal(&BEHIND, Signal::Streaming);
    town.pass(5).await;
    assert_eq!(town.told().await.len(), 4, "its cameras are still reported lost");
    town.find(&BEHIND);
    town.pass(5).await;
    // The spool gives the more urgent lane first: its end would come before theirs.
    let expected = [("nvr", 1), ("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2), ("c", 2)];
    assert_eq!(town.told().await, told(&expected));
    let sent = town.stage.spool.next_batch(expected.len()).await.unwrap();
    town.stage.spool.done(&sent).await.unwrap();
    town.pass(1).await;
    assert_eq!(town.told().await, told(&[("nvr", 2)]));
    let all = town.stage.spool.pending_latest().await.unwrap();
    let over = all.iter().find(|alert| alert.kind == Kind::UpstreamDown).unwrap();
    let AlertState::Resolved { why: Resolution::ObservedAbsence, at } = over.state else {
        panic!("{over:?}")
    };
    assert!(at < over.decided.minus(Duration::from_secs(4)), "it was back before all was over");
    assert_eq!(town.held(), []);
}

#[tokio::test]
async fn a_recorder_is_over_in_time_although_the_bus_takes_nothing_and_at_once_when_it_falls_again() {
    let mut town = Town::new().await;
    let falls_and_returns = async |town: &mut Town| {
        town.signal(&BEHIND, LOST);
        town.pass(5).await;
        town.lose(&BEHIND);
        town.pass(1).await;
        town.signal(&BEHIND, Signal::Streaming);
        town.find(&BEHIND);
        town.pass(60).await;
        town.recorder().await
    };
    assert_eq!(falls_and_returns(&mut town).await, [1], "the ends of the losses wait");
    assert_eq!(falls_and_returns(&mut town).await, [1, 2, 1]);
    town.pass(35).await;
    assert_eq!(town.recorder().await, [1, 2, 1, 2]);
}

#[tokio::test]
async fn losses_that_come_first_wait_for_the_verdict_and_follow_it() {
    let mut town = Town::new().await;
    town.signal(&["a"], LOST);
    town.lose(&["a"]);
    town.pass(1).await;
    town.signal(&["b", "c"], LOST);
    town.lose(&["b", "c"]);
    town.pass(2).await;
    assert_eq!(town.told().await, []);
    town.pass(5).await;
    assert_eq!(town.told().await, told(&[("nvr", 1), ("a", 1), ("b", 1), ("c", 1)]));
    assert_eq!(town.held(), [("upstream_down", 3)]);
}

#[tokio::test]
async fn a_loss_among_cameras_that_deliver_is_told_and_one_in_doubt_within_ten_seconds() {
    let mut town = Town::new().await;
    town.signal(&["a"], LOST);
    town.pass(4).await;
    town.lose(&["a"]);
    town.pass(1).await;
    assert_eq!(town.told().await, told(&[("a", 1)]), "the others deliver: nothing to wait for");
    assert_eq!(town.held(), []);
    // Of the others it is not known for a long time: they are begun anew and not tried yet.
    town.signal(&["a"], Signal::Streaming);
    town.find(&["a"]);
    town.pass(30).await;
    town.signal(&["a", "b"], LOST);
    town.signal(&["c"], Signal::Connecting);
    town.lose(&["a", "b"]);
    town.pass(8).await;
    assert_eq!(town.told().await.len(), 2);
    // It comes back: both are told, in their order.
    town.find(&["b"]);
    town.pass(1).await;
    assert_eq!(town.told().await[2..], told(&[("b", 1), ("b", 2)]));
    town.pass(3).await;
    assert_eq!(town.told().await[4..], told(&[("a", 1)]));
    assert_eq!(town.held(), [("followed", 1), ("no_verdict", 1)]);
}

#[tokio::test]
async fn a_critical_loss_never_waits() {
    let mut town = Town::new().await;
    town.signal(&BEHIND, LOST);
    let critical = |incident| Edge::Raised(Incident { level: Level::SEVERE, ..incident });
    town.stage.changes.try_send(change("a", critical)).unwrap();
    town.pass(1).await;
    assert_eq!(town.told().await, told(&[("a", 1)]));
}

#[tokio::test]
async fn what_waits_when_the_node_stops_is_spooled() {
    let mut town = Town::new().await;
    town.signal(&BEHIND, LOST);
    town.lose(&BEHIND);
    town.pass(1).await;
    assert_eq!(town.told().await, []);
    let Stage { changes, task, spool, counts, stop, .. } = town.stage;
    stop.ask();
    drop(changes);
    tokio::time::timeout(Duration::from_secs(10), task).await.expect("it ends").unwrap();
    assert_eq!(spool.pending_latest().await.unwrap().len(), 3);
    assert_eq!(counts.borrow().held.get("stopping"), Some(&3));
}

#[tokio::test]
async fn an_alert_of_the_previous_life_goes_on_and_ends_with_what_it_is_about() {
    let mut alert = testing::alert("nvr", Kind::UpstreamDown);
    alert.behind = vec!["a".parse().unwrap()];
    // The task adopts before it is configured.
    let stage = Stage::unconfigured(60);
    stage.inputs.try_send(Input::Adopt(Box::new(alert.clone()))).unwrap();
    let mut town = Town { stage, cells: Vec::new(), seq: 0 };
    town.pass(1).await;
    town.stage.inputs.try_send(Input::Config(ConfigRevision(8), Arc::new(config()))).unwrap();
    town.pass(60).await;
    let [goes_on] = &town.stage.spool.pending_latest().await.unwrap()[..] else { panic!("one alert") };
    assert_eq!((goes_on.id, goes_on.revision, goes_on.behind.len()), (alert.id, AlertRevision(2), 3));
    assert!(goes_on.state.is_firing() && goes_on.evidence.is_empty());
    let mut without = config();
    without.upstreams.clear();
    without.cameras.iter_mut().for_each(|camera| camera.upstream = None);
    town.stage.inputs.try_send(Input::Config(ConfigRevision(9), Arc::new(without))).unwrap();
    town.pass(1).await;
    let [ended] = &town.stage.spool.pending_latest().await.unwrap()[..] else { panic!("one alert") };
    assert_eq!((ended.id, ended.revision), (alert.id, AlertRevision(3)));
    assert!(matches!(ended.state, AlertState::Resolved { why: Resolution::RuleRemoved, .. }));
}
