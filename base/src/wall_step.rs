//! Steps of the wall clock: someone set it, or time synchronisation did. Found by comparing it with the monotonic one,
//! which is never set; nothing is ordered or measured by the wall clock, so a step is recorded and no more.

use std::time::Duration;

use crate::time::{Mono, SharedClock, Wall, micros};

/// Less than this is left to time synchronisation, which steps above 0.128 s and slews below.
pub const LEAST: Duration = Duration::from_millis(500);
/// The two clocks are read one after the other. If that took longer, they say nothing about one another.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// The wall clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallStep {
    /// By the clock as it is now.
    pub at: Wall,
    /// How far it was set ahead; below 0: back.
    pub by_us: i64,
}

/// Compares the two clocks from look to look. A machine that slept looks as if its wall clock had been set ahead.
pub struct StepWatch {
    clock: SharedClock,
    last: Option<(Mono, Wall)>,
}

impl StepWatch {
    /// Steps from now on.
    pub fn new(clock: SharedClock) -> Self {
        let mut watch = Self { clock, last: None };
        watch.last = watch.read();
        watch
    }
    /// Both clocks at one moment.
    fn read(&self) -> Option<(Mono, Wall)> {
        let before = self.clock.mono();
        let wall = self.clock.wall();
        (self.clock.mono().since(before) < READ_WITHIN).then_some((before, wall))
    }
    /// To be called every second or so; a step since the last call.
    pub fn look(&mut self) -> Option<WallStep> {
        let (mono, wall) = self.read()?;
        let (last_mono, last_wall) = self.last.replace((mono, wall))?;
        let by_us = wall.0.saturating_sub(last_wall.plus(mono.since(last_mono)).0);
        (by_us.unsigned_abs() >= micros(LEAST)).then_some(WallStep { at: wall, by_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Clock as _, ManualClock};

    #[test]
    fn a_step_of_half_a_second_is_told_once_and_time_that_passes_is_none() {
        let clock = ManualClock::at(Wall(1_000_000_000));
        let mut watch = StepWatch::new(clock.clone());
        clock.advance(Duration::from_secs(7200));
        assert_eq!(watch.look(), None);
        clock.step_wall(clock.wall().plus(LEAST - Duration::from_millis(1)));
        assert_eq!(watch.look(), None, "the work of time synchronisation");
        for by in [3600, -7200, 1] {
            clock.advance(Duration::from_secs(1));
            let now = clock.wall();
            clock.step_wall(Wall(now.0 + by * 1_000_000));
            assert_eq!(watch.look(), Some(WallStep { at: clock.wall(), by_us: by * 1_000_000 }));
            assert_eq!(watch.look(), None);
        }
    }
}
