//! Turns of real sessions with a recorder that serves few.

use std::{path::Path, sync::Arc};

use xueliang_base::{
    shutdown,
    time::{SharedClock, SystemClock},
};
use xueliang_ingest::session;
use xueliang_simulator::{CameraSpec, Clip, Fault, Simulator};

use super::super::sessions::{Sessions, Spawn};
use super::*;
use crate::node::camera::Cell;

const CAMERAS: usize = 8;
const SESSIONS: u64 = 2;

fn config(simulator: &Simulator, keys: &str) -> Config {
    let mut text = format!(
        "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
         [[division]]\ncode = \"330282\"\nname = \"n\"\n\
         [[upstream]]\nid = \"nvr\"\nname = \"n\"\nsessions = {SESSIONS}\n"
    );
    for n in 0..CAMERAS {
        text.push_str(&format!(
            "[[camera]]\nid = \"c{n}\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"{}\"\nupstream = \"nvr\"\n{keys}\n",
            simulator.url(&format!("c{n}"))
        ));
    }
    Config::parse(&text, Path::new("/")).unwrap_or_else(|e| panic!("{e}"))
}

/// Looks at once at each first keyframe.
fn look(cells: &BTreeMap<CameraId, Arc<Cell>>) {
    for cell in cells.values() {
        let keyframe = cell.ring.freshest_keyframe().map(|(_, arrival)| arrival);
        cell.note(|noted| noted.looked = keyframe.or(noted.looked));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_has_never_more_sessions_than_it_serves_and_everybody_is_visited() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/clips/vtest@10fps.h264");
    let clip = Clip::load(Path::new(folder), None).expect("tools/footage.sh has made the clips");
    let specs = (0..CAMERAS).map(|n| CameraSpec::new(format!("c{n}"), clip.clone())).collect();
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), specs).await.unwrap();
    simulator.camera("c3").unwrap().apply(Fault::FirstAfter(Duration::from_secs(3))).unwrap();
    let clock: SharedClock = SystemClock::shared();
    let (_stop, stopping) = shutdown::pair();
    let for_sessions = clock.clone();
    let spawn: Spawn =
        Box::new(move |spec, cell| session::spawn(spec, cell, for_sessions.clone(), stopping.clone()));
    let mut sessions = Sessions::new(spawn, clock.clone(), Arc::default());
    let (cells, _) = sessions
        .renew(&config(&simulator, "acquire = \"patrol\"\npatrol_every = \"5s\""), &BTreeMap::new())
        .await;

    let begun = clock.mono();
    let mut next = begun;
    let visited = || cells.values().map(|cell| cell.live().connects).min().unwrap();
    while visited() < 2 {
        let clients: u64 = simulator.cameras().iter().map(|camera| camera.counters().clients).sum();
        assert!(clients <= SESSIONS, "{clients} sessions");
        let now = clock.mono();
        assert!(now.since(begun) < Duration::from_secs(120), "{:?}", sessions.acquired());
        if now >= next {
            look(&cells);
            sessions.turn();
            next = now.plus(Duration::from_millis(100));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let acquired = sessions.acquired();
    assert_eq!(acquired.cameras.len(), CAMERAS);
    assert!(acquired.cameras.values().all(|taken| taken.failures == 0), "{acquired:?}");
    let carries = &acquired.upstreams[0];
    assert!(carries.sessions <= 2 && carries.most_sessions == Some(2), "{carries:?}");
    let slow = sessions.stats().remove(&"c3".parse().unwrap()).unwrap().first_pictures;
    assert!(slow.took >= Duration::from_secs(6), "{slow:?}");

    // Taken all the time: one keeps its session, the other one is for turns.
    let (cells, _) = sessions.renew(&config(&simulator, ""), &BTreeMap::new()).await;
    let begun = clock.mono();
    let kept = || sessions_of(&simulator, "c0");
    while cells.values().filter(|cell| cell.noted().acquire == Acquire::Continuous).count() != 1
        || kept() != 1
    {
        assert!(clock.mono().since(begun) < Duration::from_secs(60));
        look(&cells);
        sessions.turn();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cells[&"c0".parse().unwrap()].noted().acquire, Acquire::Continuous);
    sessions.end_all().await;
    simulator.shutdown().await;
}

fn sessions_of(simulator: &Simulator, camera: &str) -> u64 {
    simulator.camera(camera).unwrap().counters().clients
}
