//! Whether the wall clock may be trusted with deleting. Retention counts days by it, across restarts; a clock that
//! someone sets a year ahead would have everything deleted at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tracing::warn;
use xueliang_base::time::{Mono, SharedClock, Wall};

/// Steps of the wall clock ahead of the monotonic one up to this are put right by time synchronisation as a matter of
/// course, and nothing that is kept for days depends on them.
const EXPLAINED: Duration = Duration::from_secs(3600);

/// The date, as far as it can be trusted.
pub(crate) struct Calendar {
    clock: SharedClock,
    began: (Mono, Wall),
    warned: AtomicBool,
}

impl Calendar {
    /// Trusts the wall clock as it is now.
    pub(crate) fn new(clock: SharedClock) -> Self {
        let began = (clock.mono(), clock.wall());
        Self { clock, began, warned: false.into() }
    }
    /// Now; `None` while the wall clock is further ahead than time has passed since the start. Said once a step.
    pub(crate) fn now(&self) -> Option<Wall> {
        let (mono, wall) = (self.clock.mono(), self.clock.wall());
        let latest = self.began.1.plus(mono.since(self.began.0)).plus(EXPLAINED);
        if wall <= latest {
            self.warned.store(false, Ordering::Relaxed);
            return Some(wall);
        }
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                %wall,
                passed_s = mono.since(self.began.0).as_secs(),
                "the wall clock has stepped ahead: nothing is deleted until it is put right, or the service is started \
                 again with the right time"
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::time::ManualClock;

    use super::*;

    #[test]
    fn a_clock_set_ahead_is_not_trusted_until_it_is_put_right() {
        let day = Duration::from_secs(24 * 3600);
        let clock = ManualClock::at(Wall(1_000_000));
        let calendar = Calendar::new(clock.clone());
        clock.advance(day);
        let now = Wall(1_000_000).plus(day);
        assert_eq!(calendar.now(), Some(now));
        clock.step_wall(now.plus(EXPLAINED / 2));
        assert!(calendar.now().is_some());
        clock.step_wall(now.plus(day));
        assert_eq!(calendar.now(), None);
        clock.step_wall(now.minus(day));
        assert_eq!(calendar.now(), Some(now.minus(day)));
    }
}
