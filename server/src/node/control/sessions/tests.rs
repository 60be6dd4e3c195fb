use std::sync::Mutex;

use xueliang_base::{
    shutdown,
    time::{ManualClock, Wall},
};
use xueliang_ingest::session::{Delivery, Halt, SessionError, Source, spawn_source};

use super::*;

/// A source that does nothing until it is asked to stop.
struct Idle;

impl Source for Idle {
    fn run_once(&mut self, _: &Arc<Delivery>, halt: &Halt) -> SessionError {
        while !halt.asked() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        SessionError::Stopped
    }
}

/// Sessions over sources of the test, and what each was started with, in order.
struct Stage {
    sessions: Sessions,
    started: Arc<Mutex<Vec<SessionSpec>>>,
    _stop: shutdown::Stop,
}

impl Stage {
    fn new() -> Self {
        let (stop, stopping) = shutdown::pair();
        let clock: SharedClock = ManualClock::at(Wall(0));
        let started = Arc::new(Mutex::new(Vec::new()));
        let (for_sessions, seen) = (clock.clone(), started.clone());
        let spawn: Spawn = Box::new(move |spec, cell| {
            seen.lock().unwrap().push(spec.clone());
            spawn_source(spec, Box::new(Idle), cell, for_sessions.clone(), stopping.clone())
        });
        Self { sessions: Sessions::new(spawn, clock, Arc::default()), started, _stop: stop }
    }

    /// The cells after a configuration, and the sessions started for it.
    async fn renew(
        &mut self,
        config: &Config,
        password: &str,
    ) -> (BTreeMap<CameraId, Arc<Cell>>, Vec<SessionSpec>) {
        let before = self.started.lock().unwrap().len();
        let credentials = BTreeMap::from([("test".parse().unwrap(), Credentials::new("operator", password))]);
        let cells = self.sessions.renew(config, &credentials).await;
        (cells, self.started.lock().unwrap()[before..].to_vec())
    }
}

/// Two cameras, of which only the first signs in.
fn config() -> Config {
    let text = r#"
site = "test"
state_dir = "state"
networks = ["127.0.0.0/8"]
models = []
timezone = "Asia/Shanghai"
[credentials.test]
file = "camera.secret"
[[division]]
code = "330282"
name = "Test"
[[camera]]
id = "gate"
name = "Gate"
division = "330282"
url = "rtsp://127.0.0.1:1/gate"
credentials = "test"
[[camera]]
id = "pond"
name = "Pond"
division = "330282"
url = "rtsp://127.0.0.1:1/pond"
"#;
    Config::parse(text, std::path::Path::new("/")).unwrap()
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
