//! Liveness between processes: each role answers at a socket of its own, and says whether the loops it lives by still
//! turn. The supervisor asks every second and replaces a role that gives no good answer for too long: a process that is
//! stopped, or hangs, does not end by itself.
//!
//! The answer is one line: `alive`, or `hung:` and the loops that have not turned for [`LATE`].

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use xueliang_base::{
    shutdown::Stopping,
    time::{Mono, SharedClock},
};

use crate::exposition;

/// A loop that has not turned for so long hangs; each turns at least once a second.
const LATE: Duration = Duration::from_secs(3);
const ALIVE: &str = "alive";

/// The loops of a process. Clones share it.
#[derive(Clone)]
pub struct Pulse {
    clock: SharedClock,
    beats: Arc<Mutex<BTreeMap<&'static str, Mono>>>,
}

impl Pulse {
    /// No loops yet.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, beats: Arc::default() }
    }
    fn beats(&self) -> MutexGuard<'_, BTreeMap<&'static str, Mono>> {
        self.beats.lock().expect("no code panics while it holds this lock")
    }
    /// Answers at the socket until stopping is asked. Before a loop beats for the first time, nobody misses it.
    pub fn serve(&self, socket: &Path, stopping: Stopping) -> anyhow::Result<()> {
        let pulse = self.clone();
        exposition::spawn(socket, stopping, move || pulse.said())
    }
    /// A loop has turned.
    pub fn beat(&self, name: &'static str) {
        self.beats().insert(name, self.clock.mono());
    }
    fn said(&self) -> String {
        let now = self.clock.mono();
        let beats = self.beats();
        let late: Vec<_> =
            beats.iter().filter(|(_, at)| now.since(**at) > LATE).map(|(name, _)| *name).collect();
        if late.is_empty() { ALIVE.to_owned() } else { format!("hung: {}", late.join(", ")) }
    }
}

/// Asks a role; why it cannot be said to be alive.
pub async fn ask(socket: &Path) -> Result<(), String> {
    match exposition::read(socket).await {
        Some(said) if said == ALIVE => Ok(()),
        Some(said) if said.is_empty() => Err("it broke off its answer".to_owned()),
        Some(said) => Err(said),
        None => Err("no answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::{
        shutdown,
        time::{ManualClock, Wall},
    };

    use super::*;

    #[tokio::test]
    async fn a_loop_that_no_longer_turns_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("pulse");
        let (_stop, stopping) = shutdown::pair();
        let clock = ManualClock::at(Wall(0));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let pulse = Pulse::new(shared);
        assert!(ask(&socket).await.is_err(), "nobody answers");
        pulse.serve(&socket, stopping).unwrap();
        assert_eq!(ask(&socket).await, Ok(()));
        pulse.beat("looks");
        pulse.beat("store");
        clock.advance(LATE);
        pulse.beat("store");
        assert_eq!(ask(&socket).await, Ok(()));
        clock.advance(Duration::from_millis(1));
        assert_eq!(ask(&socket).await, Err("hung: looks".to_owned()));
        pulse.beat("looks");
        assert_eq!(ask(&socket).await, Ok(()));
    }
}
