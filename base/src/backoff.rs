//! Jittered exponential back-off: the first retry is immediate.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Grows from `base` to `cap` by doubling, each wait drawn evenly from half to all of it.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    random: SmallRng,
}

impl Backoff {
    /// A back-off whose jitter comes from `seed` (a hash of the camera's id, say), so that cameras lost together
    /// do not come back together.
    pub fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, failures: 0, random: SmallRng::seed_from_u64(seed) }
    }
    /// After a success that lasted.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
    /// Failures since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }
    /// How long to wait after one more failure: zero after the first.
    pub fn next_wait(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            return Duration::ZERO;
        }
        let doublings = (self.failures - 2).min(20);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(self.random.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_start_at_zero_grow_and_stay_under_the_cap() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60), 7);
        assert_eq!(backoff.next_wait(), Duration::ZERO);
        for _ in 0..100 {
            let wait = backoff.next_wait();
            assert!(wait >= Duration::from_millis(250) && wait <= Duration::from_secs(60));
        }
        assert!(backoff.next_wait() >= Duration::from_secs(30));
        backoff.reset();
        assert_eq!(backoff.next_wait(), Duration::ZERO);
    }
}
