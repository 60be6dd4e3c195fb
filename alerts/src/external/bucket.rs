//! A bound on a rate: so many a second over time, and ten seconds' worth at once.

use std::time::Duration;

use xueliang_base::time::Mono;

/// Seconds of its rate that may come at once.
const BURST_S: u32 = 10;

/// What is left of a rate, as the moment at which all of it is back.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u32,
    full_at: Mono,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), full_at: Mono(0) }
    }
    /// The most that may come at once.
    pub(super) fn most(&self) -> u32 {
        self.per_second.saturating_mul(BURST_S)
    }
    /// Takes as many as come, at most [`Bucket::most`], or says how long to wait before they may.
    pub(super) fn take(&mut self, count: u32, now: Mono) -> Result<(), Duration> {
        let each = Duration::from_secs(1) / self.per_second;
        let full_at = self.full_at.max(now).plus(each * count);
        let over = full_at.since(now.plus(each * self.most()));
        if over.is_zero() {
            self.full_at = full_at;
            return Ok(());
        }
        Err(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lets_its_rate_pass_and_no_more_and_what_waits_as_told_passes() {
        let mut bucket = Bucket::new(7);
        let (mut now, mut passed) = (Mono(1), 0_u64);
        for turn in 0..2000_u32 {
            let count = turn % 30 + 1;
            match bucket.take(count, now) {
                Ok(()) => passed += u64::from(count),
                Err(wait) => {
                    assert!(wait <= Duration::from_secs(10), "{wait:?}");
                    if turn % 2 == 0 {
                        now = now.plus(wait);
                        assert_eq!(bucket.take(count, now), Ok(()), "after the wait it was told");
                        passed += u64::from(count);
                    }
                }
            }
            now = now.plus(Duration::from_millis(u64::from(turn % 5)));
        }
        let seconds = now.since(Mono(1)).as_secs_f64();
        assert!(passed as f64 <= seconds * 7.0 + 71.0, "{passed} in {seconds} s");
        assert!(passed as f64 >= seconds * 7.0 * 0.95, "{passed} in {seconds} s");
    }

    #[test]
    fn a_quiet_time_gives_no_more_than_ten_seconds_worth() {
        let mut bucket = Bucket::new(5);
        let now = Mono(0).plus(Duration::from_secs(3600));
        assert_eq!(bucket.take(50, now), Ok(()));
        assert_eq!(bucket.take(1, now), Err(Duration::from_millis(200)));
    }
}
