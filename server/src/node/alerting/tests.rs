use tokio::{sync::watch, time::timeout};
use xueliang_alerts::spool::SpoolOptions;
use xueliang_base::{
    kind::Kind,
    shutdown,
    time::{ManualClock, SharedClock, Wall},
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

#[tokio::test]
async fn an_alert_of_a_removed_camera_ends_with_a_new_revision() {
    let mut stage = Stage::with(1).await;
    let alert = testing::alert("removed", Kind::CamOffline);
    stage.inputs.send(Input::Orphan(Box::new(alert.clone()))).await.unwrap();
    let [ended] = &stage.spooled(1).await[..] else { panic!("one state") };
    assert_eq!((ended.id, ended.revision, &ended.place), (alert.id, AlertRevision(2), &alert.place));
    assert!(matches!(ended.state, AlertState::Resolved { why: Resolution::RuleRemoved, .. }));
}
