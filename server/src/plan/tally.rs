//! What came of a simulated time: ages, intervals, and how long each floor was blind.

use std::time::Duration;

/// Buckets of a power of two.
const PARTS: u64 = 32;
const BUCKETS: usize = (64 * PARTS) as usize;

/// Durations to 3 %, however many.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, longest: Duration::ZERO }
    }
}

/// Values below [`PARTS`] have a bucket each, those above one for each of so many parts of a power of two.
fn bucket(us: u64) -> usize {
    let bits = u64::from(us.max(1).ilog2());
    let shift = bits.saturating_sub(u64::from(PARTS.ilog2()));
    usize::try_from(shift * PARTS + (us >> shift)).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    ((bucket - shift * PARTS) << shift) + (1 << shift) / 2
}

impl Histogram {
    pub(super) fn add(&mut self, value: Duration) {
        self.counts[bucket(u64::try_from(value.as_micros()).unwrap_or(u64::MAX))] += 1;
        self.total += 1;
        self.longest = self.longest.max(value);
    }
    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }
    /// The value that this share of all does not exceed.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut passed = 0;
        let found = self.counts.iter().position(|count| {
            passed += count;
            passed >= wanted.max(1)
        });
        found.map_or(Duration::ZERO, |bucket| Duration::from_micros(middle(bucket)).min(self.longest))
    }
}

/// What came of one kind of camera.
#[derive(Debug, Clone, Default)]
pub(super) struct TypeTally {
    pub(super) cameras: u64,
    pub(super) keyframe_looks: u64,
    pub(super) continued_looks: u64,
    /// Those that saw something move, of a kind that rests while nothing does.
    pub(super) active_looks: Option<u64>,
    /// From the arrival of a picture to the answer.
    pub(super) ages: Histogram,
    /// From one picture seen to the next.
    pub(super) intervals: Histogram,
    /// One a floor of the kind, in its order.
    pub(super) floors: Vec<FloorTally>,
}

/// What came of one floor of one kind of camera.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FloorTally {
    /// Cameras whose floor was never broken, and those where it was.
    pub(super) kept: u64,
    pub(super) breached: u64,
    /// The longest that any was blind.
    pub(super) longest: Duration,
}

/// What came of all.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) types: Vec<TypeTally>,
    /// Simulated time after the warm-up.
    pub(super) time: Duration,
    /// Workers' time spent on looks.
    pub(super) busy: Duration,
    /// Most decoders that were leased at once.
    pub(super) most_leases: usize,
    /// Looks that missed their deadline.
    pub(super) missed: u64,
}

impl TypeTally {
    fn and(mut self, other: Self) -> Self {
        self.cameras += other.cameras;
        self.keyframe_looks += other.keyframe_looks;
        self.continued_looks += other.continued_looks;
        self.active_looks = self.active_looks.zip(other.active_looks).map(|(one, more)| one + more);
        self.ages.merge(&other.ages);
        self.intervals.merge(&other.intervals);
        for (floor, more) in self.floors.iter_mut().zip(other.floors) {
            floor.kept += more.kept;
            floor.breached += more.breached;
            floor.longest = floor.longest.max(more.longest);
        }
        self
    }
}

impl Tally {
    /// Of this node and another one, with the same kinds of camera in the same time.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.types = self.types.into_iter().zip(other.types).map(|(one, more)| one.and(more)).collect();
        self.busy += other.busy;
        self.most_leases += other.most_leases;
        self.missed += other.missed;
        self
    }
    pub(super) fn breached(&self) -> u64 {
        self.types.iter().flat_map(|one| &one.floors).map(|floor| floor.breached).sum()
    }
    pub(super) fn utilisation(&self, workers: usize) -> f64 {
        self.busy.as_secs_f64() / (self.time.as_secs_f64() * workers as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_parts_in_a_hundred() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|us| histogram.add(Duration::from_micros(us * 7)));
        for (share, us) in [(0.5, 350_000.0), (0.99, 693_000.0), (0.999, 699_300.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((found / us - 1.0).abs() < 0.03, "{share}: {found} instead of {us}");
        }
        assert_eq!(histogram.longest(), Duration::from_micros(700_000));
        for us in (0..70).chain([1000, 12_345, 1 << 40, u64::MAX]) {
            let found = middle(bucket(us)) as f64;
            assert!((found - us as f64).abs() <= us as f64 * 0.03, "{us}: {found}");
        }
    }
}
