//! How many connections all sessions of a process may open in a second: a recorder that comes back with 64 channels,
//! or a whole town after a power cut, must not be met with all at once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use xueliang_base::time::Mono;

/// Turns to connect, shared by all sessions. Clones share it.
#[derive(Debug, Clone)]
pub struct ConnectRate(Arc<Mutex<Turns>>);

#[derive(Debug)]
struct Turns {
    apart: Duration,
    burst: Duration,
    next: Mono,
}

impl ConnectRate {
    /// At most `per_s` turns a second, of which so many may be taken at once.
    pub fn new(per_s: u32, burst: u32) -> Self {
        let apart = Duration::from_secs(1) / per_s.max(1);
        Self(Arc::new(Mutex::new(Turns { apart, burst: apart * burst.max(1), next: Mono(0) })))
    }
    /// Takes the next turn; it comes after the returned wait.
    pub fn turn(&self, now: Mono) -> Duration {
        let mut turns = self.0.lock().expect("no code panics while it holds this lock");
        let earliest = now.plus(turns.apart).minus(turns.burst);
        let mine = turns.next.max(earliest);
        turns.next = mine.plus(turns.apart);
        mine.since(now)
    }
}

impl Default for ConnectRate {
    /// 50 a second, 20 at once: about what one core builds sessions for.
    fn default() -> Self {
        Self::new(50, 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_keeps_its_distance() {
        let rate = ConnectRate::new(10, 3);
        let now = Mono(5_000_000_000);
        let waits: Vec<_> = (0..6).map(|_| rate.turn(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        let later = now.plus(Duration::from_secs(10));
        let waits: Vec<_> = (0..4).map(|_| rate.turn(later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100]);
    }
}
