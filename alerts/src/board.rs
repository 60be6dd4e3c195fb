//! Cameras as their nodes reported them last: kept in memory, since a node reports every two seconds.

mod near;
mod query;
mod summary;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use xueliang_base::{
    id::DivisionCode,
    point::PointClass,
    time::{Mono, SharedClock, Wall},
};
use xueliang_proto::v1;

use crate::reach::{self, Reach, reaches};
pub use query::{Listed, Query};

/// Cameras one report may hold: more than a node can run, few enough to keep in memory.
pub const MAX_CAMERAS: usize = 32_768;

/// A node that has been silent for longer says nothing about its cameras any more.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// What is said of a silent node's camera.
const SILENT: &str = "its node is silent: see the node's log";

#[derive(Debug)]
struct Report {
    cameras: Vec<v1::CameraStatus>,
    at: Mono,
    at_wall: Wall,
    config_revision: u64,
    not_analysing: bool,
    spool_failing: bool,
}

/// A camera as its node reported it, and whether that node is silent.
#[derive(Clone, Copy)]
struct Seen<'a> {
    camera: &'a v1::CameraStatus,
    silent: bool,
}

/// The latest report of every node.
pub struct CameraBoard {
    clock: SharedClock,
    nodes: Mutex<BTreeMap<String, Report>>,
}

/// One node, as its reports tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its principal's name.
    pub node: String,
    /// When it reported last.
    pub reported: Wall,
    /// Configuration it runs.
    pub config_revision: u64,
    /// Whether it reported in the last 10 s.
    pub alive: bool,
    /// Whether its latest report says that no look worker runs its models.
    pub not_analysing: bool,
    /// Whether its latest report says that its spool cannot be written.
    pub spool_failing: bool,
}

impl CameraBoard {
    /// A board without reports.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, nodes: Mutex::default() }
    }
    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Report>> {
        self.nodes.lock().expect("no code panics while it holds this lock")
    }
    /// Takes a node's report in place of the one before.
    pub fn report(&self, node: &str, report: v1::ReportRequest) {
        let v1::ReportRequest {
            node_id: _,
            config_revision,
            cameras,
            not_analysing,
            clock_steps: _,
            spool_failing,
        } = report;
        let (at, at_wall) = (self.clock.mono(), self.clock.wall());
        let report = Report { cameras, at, at_wall, config_revision, not_analysing, spool_failing };
        self.nodes().insert(node.to_owned(), report);
    }
    /// The node that reported a camera last, where it is `within` reach.
    pub fn node_of(&self, camera_id: &str, within: Option<&[Reach]>) -> Option<String> {
        let nodes = self.nodes();
        let sees = |camera: &v1::CameraStatus| reaches(within, &path(camera));
        let reports = nodes.iter().filter(|(_, report)| {
            let mut cameras = report.cameras.iter();
            cameras.any(|camera| camera.camera_id == camera_id && sees(camera))
        });
        reports.max_by_key(|(_, report)| report.at).map(|(node, _)| node.clone())
    }
    /// The divisions of a camera from the root down and the class of its point, as the latest report says; `None`: no node
    /// has reported it.
    pub fn place_of(&self, camera_id: &str) -> Option<(Vec<DivisionCode>, Option<PointClass>)> {
        let nodes = self.nodes();
        let known = |report: &Report| {
            let camera = report.cameras.iter().find(|camera| camera.camera_id == camera_id)?;
            Some((report.at, place(camera)))
        };
        nodes.values().filter_map(known).max_by_key(|(at, _)| *at).map(|(_, place)| place)
    }
    /// Every node that has reported.
    pub fn nodes_seen(&self) -> Vec<NodeSeen> {
        let now = self.clock.mono();
        let seen = |(node, report): (&String, &Report)| NodeSeen {
            node: node.clone(),
            reported: report.at_wall,
            config_revision: report.config_revision,
            alive: now.since(report.at) <= SILENT_AFTER,
            not_analysing: report.not_analysing,
            spool_failing: report.spool_failing,
        };
        self.nodes().iter().map(seen).collect()
    }
    /// Cameras that a query asks for, in any of these subtrees (none: all) that lie `within` others (`None`: all), and when the
    /// oldest of their reports came; 0 when no node has reported. Of a silent node's cameras the signal is no longer known.
    pub fn list(&self, query: &Query, divisions: &[DivisionCode], within: Option<&[Reach]>) -> (Listed, i64) {
        let nodes = self.nodes();
        let cameras = self.matching(&nodes, divisions, within).into_values();
        (query.page(cameras.map(|(camera, silent)| Seen { camera, silent })), oldest(&nodes))
    }
    /// How many cameras are blind, and which. Divisions are those of [`CameraBoard::list`].
    pub fn summary(
        &self,
        divisions: &[DivisionCode],
        within: Option<&[Reach]>,
    ) -> v1::SummariseCamerasResponse {
        let nodes = self.nodes();
        let cameras = self.matching(&nodes, divisions, within);
        summary::of(cameras.into_values(), oldest(&nodes))
    }
    /// Cameras by id, each with whether its node is silent.
    fn matching<'a>(
        &self,
        nodes: &'a BTreeMap<String, Report>,
        divisions: &[DivisionCode],
        within: Option<&[Reach]>,
    ) -> BTreeMap<&'a str, (&'a v1::CameraStatus, bool)> {
        let now = self.clock.mono();
        let wanted: BTreeSet<String> = divisions.iter().map(ToString::to_string).collect();
        let under = |camera: &v1::CameraStatus| camera.division_path.iter().any(|code| wanted.contains(code));
        let in_subtree = |camera: &&v1::CameraStatus| {
            // Whoever sees everything asks for it every few seconds: then no path is made.
            (wanted.is_empty() || under(camera)) && (within.is_none() || reaches(within, &path(camera)))
        };
        let mut cameras = BTreeMap::new();
        for report in nodes.values() {
            let silent = now.since(report.at) > SILENT_AFTER;
            for camera in report.cameras.iter().filter(in_subtree) {
                cameras.insert(camera.camera_id.as_str(), (camera, silent));
            }
        }
        cameras
    }
}

/// Divisions from the root down, and the class of the point. A node reports what a configuration says, so both can be read;
/// what cannot be is nowhere, and nobody who is bound to anything sees it.
fn place(camera: &v1::CameraStatus) -> (Vec<DivisionCode>, Option<PointClass>) {
    let divisions = camera.division_path.iter().filter_map(|code| code.parse().ok()).collect();
    (divisions, PointClass::from_number(camera.point_class))
}

fn path(camera: &v1::CameraStatus) -> String {
    let (divisions, class) = place(camera);
    reach::path(&divisions, class)
}

/// When the oldest report came; 0 when there is none.
fn oldest(nodes: &BTreeMap<String, Report>) -> i64 {
    nodes.values().map(|report| report.at_wall.0).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use xueliang_base::time::ManualClock;

    use super::*;

    #[test]
    fn the_cameras_of_a_silent_node_are_not_called_streaming() {
        let clock = ManualClock::at(Wall(1_000_000));
        let board = CameraBoard::new(clock.clone());
        let list = |divisions: &[DivisionCode]| board.list(&Query::default(), divisions, None);
        assert_eq!(list(&[]), (Listed::default(), 0));
        let camera = v1::CameraStatus {
            camera_id: "gate".into(),
            division_path: vec!["33".into(), "3301".into()],
            signal: v1::Signal::Streaming.into(),
            ..v1::CameraStatus::default()
        };
        let report = v1::ReportRequest {
            config_revision: 3,
            cameras: vec![camera],
            not_analysing: true,
            ..v1::ReportRequest::default()
        };
        board.report("n1", report);
        assert!(board.nodes_seen()[0].not_analysing);
        let division = |code: &str| [code.parse::<DivisionCode>().unwrap()];
        assert_eq!(list(&division("3301")).0.cameras[0].signal(), v1::Signal::Streaming);
        assert!(list(&division("3302")).0.cameras.is_empty());
        clock.advance(Duration::from_secs(11));
        assert_eq!(list(&[]).0.cameras[0].signal(), v1::Signal::Unspecified);
        assert!(!board.nodes_seen()[0].alive);
    }
}
