//! Jittered exponential back-off. Whether the first retry is immediate is chosen when it is made.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Grows from `base` to `cap` by doubling, each wait drawn evenly from half to all of it.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    first_at_once: bool,
    random: SmallRng,
}

impl Backoff {
    /// A back-off whose jitter comes from `seed` (a hash of the camera's id, say), so that cameras lost together
    /// do not come back together. The first retry is immediate: right where what is called is lost one by one.
    pub fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, failures: 0, first_at_once: true, random: SmallRng::seed_from_u64(seed) }
    }
    /// The same, and the first wait is drawn evenly from zero to `base`: right where all callers lose the same
    /// service at one moment, and would all be back at the next.
    pub fn spread(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { first_at_once: false, ..Self::new(base, cap, seed) }
    }
    /// After a success that lasted.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
    /// Failures since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }
    /// How long to wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            let share = if self.first_at_once { 0.0 } else { self.random.random_range(0.0..=1.0) };
            return self.base.mul_f64(share);
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
    fn callers_that_lose_a_service_together_do_not_come_back_together() {
        let (base, cap) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut tenths = [0; 10];
        for seed in 0..1000 {
            let mut backoff = Backoff::spread(base, cap, seed);
            let first = backoff.next_wait();
            tenths[usize::try_from(first.as_millis() / 100).unwrap().min(9)] += 1;
            let second = backoff.next_wait();
            assert!(second >= base / 2 && second <= base);
        }
        assert!(tenths.iter().all(|count| (50..150).contains(count)), "{tenths:?}");
    }

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
