//! Steps of the wall clock, recorded: nothing here is ordered or measured by it, and people read it everywhere.

use std::{collections::VecDeque, time::Duration};

use tracing::{info, warn};
use xueliang_base::wall_step::{StepWatch, WallStep};

use super::{Bus, BusCounts};

/// How often the clocks are compared.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Steps that wait for a store that fails. The oldest give way: the latest say how the clock is now.
const WAITING: usize = 64;
/// Whose steps they are.
const SOURCE: &str = "bus";

/// Looks for steps, and holds those that are not on disk yet.
pub(crate) struct Steps {
    watch: StepWatch,
    waiting: VecDeque<WallStep>,
}

impl Bus {
    pub(crate) fn steps(&self) -> Steps {
        Steps { watch: StepWatch::new(self.0.clock.clone()), waiting: VecDeque::new() }
    }
    pub(super) async fn watch_clock(&self) {
        let mut steps = self.steps();
        let mut every_second = tokio::time::interval(LOOK_EVERY);
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every_second.tick().await;
            self.record_steps(&mut steps).await;
        }
    }
    pub(crate) async fn record_steps(&self, steps: &mut Steps) {
        if let Some(step) = steps.watch.look() {
            info!(by_us = step.by_us, now = %step.at, "the wall clock was set; order and ages do not depend on it");
            BusCounts::add(&self.0.counts.clock_steps, 1);
            if steps.waiting.len() == WAITING
                && let Some(lost) = steps.waiting.pop_front()
            {
                warn!(by_us = lost.by_us, at = %lost.at, "a step of the wall clock is not recorded: the store fails");
            }
            steps.waiting.push_back(step);
        }
        while let Some(step) = steps.waiting.front() {
            // A store that fails says so itself.
            if self.0.store.add_clock_step(SOURCE.to_owned(), *step).await.is_err() {
                return;
            }
            steps.waiting.pop_front();
        }
    }
}
