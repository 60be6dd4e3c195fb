use std::sync::Mutex;

use futures::future::BoxFuture;
use xueliang_base::unit::Codec;
use xueliang_base::{
    shutdown,
    time::{ManualClock, Wall},
};
use xueliang_ingest::session::{Delivery, Halt, RawUnit, SessionError, Source, spawn_source};

use super::*;
use crate::node::testing::config;

/// A source that does nothing until it is asked to stop.
struct Idle;

impl Source for Idle {
    fn run_once<'a>(&'a mut self, _: &'a Arc<Delivery>, halt: &'a Halt) -> BoxFuture<'a, SessionError> {
        Box::pin(async {
            halt.wait().await;
            SessionError::Stopped
        })
    }
}

/// A source that delivers two units and panics.
struct Clumsy;

impl Source for Clumsy {
    fn run_once<'a>(&'a mut self, delivery: &'a Arc<Delivery>, _: &'a Halt) -> BoxFuture<'a, SessionError> {
        Box::pin(async {
            for _ in 0..2 {
                delivery.unit(RawUnit {
                    codec: Codec::H264,
                    keyframe: true,
                    gap: false,
                    pts_us: None,
                    camera_time: None,
                    data: vec![0].into(),
                });
            }
            panic!("on purpose");
        })
    }
}

/// Sessions over sources of the test, and what each was started with, in order.
struct Stage {
    sessions: Sessions,
    clock: Arc<ManualClock>,
    started: Arc<Mutex<Vec<SessionSpec>>>,
    _stop: shutdown::Stop,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| Ok(Box::new(Idle)))
    }

    /// `source` gives the source of each start, from the first on.
    fn with(
        source: impl Fn(usize) -> Result<Box<dyn Source>, xueliang_ingest::Error> + Send + 'static,
    ) -> Self {
        let (stop, stopping) = shutdown::pair();
        let manual = ManualClock::at(Wall(0));
        let clock: SharedClock = manual.clone();
        let started = Arc::new(Mutex::new(Vec::new()));
        let (for_sessions, seen) = (clock.clone(), started.clone());
        let spawn: Spawn = Box::new(move |spec, cell| {
            let mut seen = seen.lock().unwrap();
            seen.push(spec.clone());
            spawn_source(spec, source(seen.len())?, cell, for_sessions.clone(), stopping.clone())
        });
        let sessions = Sessions::new(spawn, clock, Arc::default());
        Self { sessions, clock: manual, started, _stop: stop }
    }

    /// Mends until something was started; each time a second later. Sessions end on other threads.
    fn mend(&mut self) -> SessionSpec {
        let before = self.started.lock().unwrap().len();
        for _ in 0..2_000 {
            self.clock.advance(Duration::from_secs(1));
            self.sessions.mend();
            if let Some(spec) = self.started.lock().unwrap().get(before) {
                return spec.clone();
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("nothing was started");
    }

    /// The cells after a configuration, and the sessions started for it.
    async fn renew(
        &mut self,
        config: &Config,
        password: &str,
    ) -> (BTreeMap<CameraId, Arc<Cell>>, Vec<SessionSpec>) {
        let before = self.started.lock().unwrap().len();
        let credentials = BTreeMap::from([("test".parse().unwrap(), Credentials::new("operator", password))]);
        let (cells, _) = self.sessions.renew(config, &credentials).await;
        (cells, self.started.lock().unwrap()[before..].to_vec())
    }
}

fn ids(specs: &[SessionSpec]) -> Vec<&str> {
    specs.iter().map(|spec| spec.camera.as_str()).collect()
}

#[tokio::test]
async fn another_password_alone_renews_the_sessions_that_sign_in_with_it() {
    let mut stage = Stage::new();
    let (before, started) = stage.renew(&config(), "old").await;
    assert_eq!(ids(&started), ["gate", "pond"]);
    let (same, started) = stage.renew(&config(), "old").await;
    assert!(started.is_empty(), "nothing changed, nothing is started");
    assert!(same.iter().all(|(id, cell)| Arc::ptr_eq(cell, &before[id])));
    let (after, started) = stage.renew(&config(), "new").await;
    assert_eq!(ids(&started), ["gate"]);
    assert_eq!(started[0].credentials, Some(Credentials::new("operator", "new")));
    let kept = |id: &str| Arc::ptr_eq(&after[&id.parse().unwrap()], &before[&id.parse().unwrap()]);
    assert!(!kept("gate") && kept("pond"));
}

#[tokio::test]
async fn other_zones_and_rules_leave_the_session_and_its_ring_as_they_are() {
    let mut stage = Stage::new();
    let (before, _) = stage.renew(&config(), "old").await;
    let mut other = config();
    let gate = &mut other.cameras[0];
    gate.rules.clear();
    let (after, started) = stage.renew(&other, "old").await;
    assert!(started.is_empty(), "{:?}", ids(&started));
    let (id, pond) = ("gate".parse().unwrap(), "pond".parse().unwrap());
    assert!(after[&id].shares_feed(&before[&id]) && !Arc::ptr_eq(&after[&id], &before[&id]));
    assert!(after[&id].camera.rules.is_empty() && Arc::ptr_eq(&after[&pond], &before[&pond]));
    // What is read otherwise is another session.
    other.cameras[0].weight = 2.0;
    let (weighed, started) = stage.renew(&other, "old").await;
    assert_eq!(ids(&started), ["gate"]);
    assert!(!weighed[&id].shares_feed(&before[&id]));
}

#[tokio::test]
async fn allowed_networks_and_the_time_zone_reach_running_sessions() {
    let mut stage = Stage::new();
    stage.renew(&config(), "old").await;
    let mut narrowed = config();
    narrowed.networks = vec!["10.0.0.0/8".parse().unwrap()];
    let (_, started) = stage.renew(&narrowed, "old").await;
    assert_eq!(ids(&started), ["gate", "pond"]);
    assert!(started.iter().all(|spec| spec.networks == narrowed.networks));
    let mut moved = narrowed.clone();
    moved.timezone = "Asia/Urumqi".to_owned();
    let (_, started) = stage.renew(&moved, "old").await;
    assert!(started.len() == 2 && started.iter().all(|spec| spec.timezone == moved.timezone));
}

#[tokio::test]
async fn a_session_that_panics_is_started_again_where_it_stopped() {
    let mut stage = Stage::with(|start| Ok(if start == 1 { Box::new(Clumsy) } else { Box::new(Idle) }));
    let mut one = config();
    one.cameras.truncate(1);
    let (cells, _) = stage.renew(&one, "old").await;
    let again = stage.mend();
    assert_eq!((again.camera.as_str(), again.first_seq), ("gate", 3));
    let cell = &cells[&again.camera];
    assert_eq!(cell.ring.account().received, 2, "into the same cell");
    for _ in 0..60 {
        stage.clock.advance(Duration::from_secs(1));
        stage.sessions.mend();
    }
    assert_eq!(stage.started.lock().unwrap().len(), 2, "one that runs is left alone");
    // What was counted stays counted.
    until(|| {
        let stats = &stage.sessions.stats()[&again.camera];
        (stats.connects, stats.units) == (2, 2)
    })
    .await;
}

#[tokio::test]
async fn a_camera_whose_session_cannot_be_started_is_offline_and_tried_again() {
    let mut stage = Stage::with(|start| {
        let source = std::io::Error::other("no threads left");
        let error = xueliang_ingest::Error::Thread { camera: "gate".to_owned(), source };
        if start <= 3 { Err(error) } else { Ok(Box::new(Idle)) }
    });
    let mut one = config();
    one.cameras.truncate(1);
    let (cells, _) = stage.renew(&one, "old").await;
    let cell = cells.values().next().expect("its cell is there, for reports and rules");
    assert_eq!(cell.live().signal, Signal::Offline(OfflineCause::Internal));
    assert!(cell.live().detail.contains("no threads left"));
    for _ in 0..3 {
        stage.mend();
    }
    until(|| cell.live().signal == Signal::Connecting).await;
}

/// A session that is started tells its cell so from another thread.
async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

/// A source that takes a while to stop, as where a camera is frozen.
struct Slow;

impl Source for Slow {
    fn run_once<'a>(&'a mut self, _: &'a Arc<Delivery>, halt: &'a Halt) -> BoxFuture<'a, SessionError> {
        Box::pin(async {
            halt.wait().await;
            sleep(Duration::from_millis(700)).await;
            SessionError::Stopped
        })
    }
}

#[tokio::test]
async fn sessions_that_stop_slowly_are_ended_all_at_once() {
    let mut stage = Stage::with(|_| Ok(Box::new(Slow)));
    let mut many = config();
    let first = many.cameras[0].clone();
    many.cameras.clear();
    for n in 0..10 {
        let mut camera = first.clone();
        camera.id = format!("gate-{n}").parse().unwrap();
        many.cameras.push(camera);
    }
    stage.renew(&many, "old").await;
    let begun = Instant::now();
    stage.renew(&many, "new").await;
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(2_500),
        "one after the other takes seven seconds, this took {took:?}"
    );
    stage.sessions.end_all().await;
}

/// The first camera alone, with a sub-stream.
fn with_sub() -> Config {
    let mut config = config();
    config.cameras.truncate(1);
    let camera = &mut config.cameras[0];
    let url = "rtsp://127.0.0.1:1/gate-2".parse().unwrap();
    camera.sub_stream = Some(Stream { url, ..camera.stream.clone() });
    config
}

#[tokio::test]
async fn a_sub_stream_has_a_session_of_its_own_that_signs_in_and_ends_with_that_of_its_camera() {
    let mut stage = Stage::new();
    let (_, started) = stage.renew(&with_sub(), "old").await;
    let paths: Vec<&str> = started.iter().map(|spec| spec.stream.url.path()).collect();
    assert_eq!((ids(&started), paths), (vec!["gate", "gate"], vec!["/gate", "/gate-2"]));
    assert!(started.iter().all(|spec| spec.credentials == Some(Credentials::new("operator", "old"))));
    let (_, started) = stage.renew(&with_sub(), "new").await;
    assert_eq!(started.len(), 2, "another password renews both");
    let mut off = with_sub();
    off.cameras[0].gate = Some(xueliang_base::gate::Gate::Off);
    let (_, started) = stage.renew(&off, "new").await;
    assert_eq!(started.len(), 1, "without glances it is not read");
    stage.sessions.end_all().await;
}

#[tokio::test]
async fn a_sub_stream_that_cannot_be_read_is_no_state_of_its_camera_and_is_tried_again() {
    // The second start is the sub-stream's.
    let mut stage = Stage::with(|start| {
        let source = std::io::Error::other("no threads left");
        let error = xueliang_ingest::Error::Thread { camera: "gate".to_owned(), source };
        if start == 2 { Err(error) } else { Ok(Box::new(Idle)) }
    });
    let (cells, _) = stage.renew(&with_sub(), "old").await;
    let cell = cells.values().next().unwrap();
    let sub = cell.sub.as_ref().unwrap();
    assert_eq!(sub.live().signal, Signal::Offline(OfflineCause::Internal));
    assert_eq!(cell.live().signal, Signal::Connecting);
    assert_eq!(stage.mend().stream.url.path(), "/gate-2");
    until(|| sub.live().signal == Signal::Connecting).await;
    assert!(!sub.streams());
}
