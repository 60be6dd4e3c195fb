//! What happens before a camera that may rest: stretches in which something moves, and others. Both end by chance, as often
//! as their mean says, so that how long one has lasted tells nothing of its end.

use std::time::Duration;

use rand::{Rng, rngs::SmallRng};
use xueliang_base::time::Mono;

use super::super::mix::CameraType;

/// How long stretches take on average.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretches {
    active: Duration,
    still: Duration,
    share: f64,
}

/// The stretch that a camera is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    active: bool,
    until: Mono,
}

impl Stretches {
    pub(super) fn of(camera: &CameraType) -> Self {
        let share = camera.active_share;
        // Where nothing ever moves, or always something, the other stretch has no length.
        let still = if share > 0.0 { camera.active_s * (1.0 - share) / share } else { f64::MAX };
        Self {
            active: Duration::from_secs_f64(camera.active_s),
            still: Duration::try_from_secs_f64(still).unwrap_or(Duration::MAX),
            share,
        }
    }
}

impl Scene {
    pub(super) fn begin(of: &Stretches, start: Mono, dice: &mut SmallRng) -> Self {
        let active = dice.random_bool(of.share);
        let mut scene = Self { active, until: start };
        scene.last(of, dice);
        scene
    }
    fn last(&mut self, of: &Stretches, dice: &mut SmallRng) {
        let mean = if self.active { of.active } else { of.still };
        let times = -(1.0 - dice.random::<f64>()).ln();
        let lasts = Duration::try_from_secs_f64(mean.as_secs_f64() * times).unwrap_or(Duration::MAX);
        self.until = self.until.plus(lasts);
    }
    /// Whether something moves then. Asked of later and later moments.
    pub(super) fn is_active(&mut self, of: &Stretches, at: Mono, dice: &mut SmallRng) -> bool {
        if of.share <= 0.0 || of.share >= 1.0 {
            return of.share > 0.0;
        }
        while self.until <= at {
            self.active = !self.active;
            self.last(of, dice);
        }
        self.active
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn something_moves_for_its_share_of_the_time_in_stretches_of_their_mean() {
        for (share, active_s) in [(0.0, 20.0), (0.05, 20.0), (0.5, 5.0), (1.0, 20.0)] {
            let of = Stretches {
                active: Duration::from_secs_f64(active_s),
                still: Duration::from_secs_f64(if share > 0.0 {
                    active_s * (1.0 - share) / share
                } else {
                    1.0
                }),
                share,
            };
            let mut dice = SmallRng::seed_from_u64(3);
            let mut scene = Scene::begin(&of, Mono(0), &mut dice);
            let (mut active, mut begins, mut before) = (0_u32, 0_u32, false);
            let steps = 1_000_000_u32;
            for step in 0..steps {
                let now = scene.is_active(&of, Mono(u64::from(step) * 500_000_000), &mut dice);
                active += u32::from(now);
                begins += u32::from(now && !before);
                before = now;
            }
            let found = f64::from(active) / f64::from(steps);
            assert!((found - share).abs() < 0.02, "{share}: {found}");
            if share > 0.0 && share < 1.0 {
                let mean = f64::from(active) * 0.5 / f64::from(begins);
                assert!((mean / active_s - 1.0).abs() < 0.2, "{mean} instead of {active_s}");
            }
        }
    }
}
