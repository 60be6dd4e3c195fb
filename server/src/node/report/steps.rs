//! Steps of this machine's wall clock, until the bus has them on record.

use std::collections::VecDeque;

use tracing::info;
use xueliang_base::{
    time::SharedClock,
    wall_step::{StepWatch, WallStep},
};
use xueliang_proto::v1::ClockStep;

/// Steps that wait for the bus: as many as one report may tell. The oldest give way, and stay counted.
const WAITING: usize = 64;

pub(super) struct Steps {
    watch: StepWatch,
    waiting: VecDeque<WallStep>,
    count: u64,
}

impl Steps {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { watch: StepWatch::new(clock), waiting: VecDeque::new(), count: 0 }
    }
    /// To be called every second; how many steps there were since the start.
    pub(super) fn look(&mut self) -> u64 {
        if let Some(step) = self.watch.look() {
            info!(by_us = step.by_us, now = %step.at, "the wall clock was set; order and ages do not depend on it");
            self.count += 1;
            if self.waiting.len() == WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(step);
        }
        self.count
    }
    /// What the bus has not answered for.
    pub(super) fn untold(&self) -> Vec<ClockStep> {
        let step =
            |step: &WallStep| ClockStep { source: String::new(), at_unix_us: step.at.0, by_us: step.by_us };
        self.waiting.iter().map(step).collect()
    }
    /// The bus has them.
    pub(super) fn told(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xueliang_base::time::{Clock as _, ManualClock, Wall};

    use super::*;

    #[test]
    fn a_step_is_told_until_the_bus_has_it() {
        let clock = ManualClock::at(Wall(0));
        let mut steps = Steps::new(clock.clone());
        assert_eq!((steps.look(), steps.untold().len()), (0, 0));
        clock.step_wall(clock.wall().plus(Duration::from_secs(3600)));
        assert_eq!(steps.look(), 1);
        assert_eq!(steps.look(), 1);
        let told = steps.untold();
        assert_eq!((told[0].by_us, told[0].at_unix_us), (3_600_000_000, 3_600_000_000));
        steps.told();
        assert!(steps.untold().is_empty());
    }
}
