//! Moments of many cameras, to a millisecond: putting one in and taking it out costs the same for any number of them.

use std::time::Duration;

use xueliang_base::time::Mono;

const TICK: Duration = Duration::from_millis(1);
/// A minute and some: moments beyond are put in again when it has gone round.
const SLOTS: u64 = 1 << 16;

#[derive(Debug)]
pub(super) struct Wheel {
    start: Mono,
    /// The tick up to which all was taken.
    taken: u64,
    slots: Vec<Vec<(usize, Mono)>>,
    count: usize,
}

impl Wheel {
    pub(super) fn new(start: Mono) -> Self {
        Self { start, taken: 0, slots: (0..SLOTS).map(|_| Vec::new()).collect(), count: 0 }
    }
    /// The first tick that is not before this moment.
    fn tick(&self, at: Mono) -> u64 {
        u64::try_from(at.since(self.start).as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
    }
    fn moment(&self, tick: u64) -> Mono {
        self.start.plus(Duration::from_millis(tick))
    }
    pub(super) fn put(&mut self, camera: usize, at: Mono) {
        let tick = self.tick(at).clamp(self.taken + 1, self.taken + SLOTS - 1);
        self.slots[(tick % SLOTS) as usize].push((camera, at));
        self.count += 1;
    }
    /// When something comes out next.
    pub(super) fn next(&self) -> Option<Mono> {
        if self.count == 0 {
            return None;
        }
        (self.taken + 1..self.taken + SLOTS)
            .find(|tick| !self.slots[(tick % SLOTS) as usize].is_empty())
            .map(|tick| self.moment(tick))
    }
    /// Takes out all up to this moment.
    pub(super) fn take(&mut self, now: Mono, into: &mut Vec<(usize, Mono)>) {
        let mut early = Vec::new();
        while self.count > 0 && self.moment(self.taken + 1) <= now {
            self.taken += 1;
            let slot = &mut self.slots[(self.taken % SLOTS) as usize];
            self.count -= slot.len();
            for entry in slot.drain(..) {
                if entry.1 <= now { into.push(entry) } else { early.push(entry) }
            }
        }
        if self.count == 0 {
            let whole = u64::try_from(now.since(self.start).as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
            self.taken = self.taken.max(whole);
        }
        for (camera, at) in early {
            self.put(camera, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn everything_comes_out_within_a_tick_of_its_moment_and_once() {
        let start = Mono(5_000_000_123);
        let (mut wheel, mut dice) = (Wheel::new(start), SmallRng::seed_from_u64(3));
        // Some lie beyond a turn of the wheel.
        let moments: Vec<Mono> =
            (0..500).map(|_| start.plus(Duration::from_micros(dice.random_range(1..400_000_000)))).collect();
        moments.iter().enumerate().for_each(|(camera, at)| wheel.put(camera, *at));
        let (mut out, mut seen) = (Vec::new(), vec![0; moments.len()]);
        while let Some(now) = wheel.next() {
            wheel.take(now, &mut out);
            for (camera, at) in out.drain(..) {
                assert_eq!(at, moments[camera]);
                assert!(now >= at && now.since(at) <= TICK, "{:?} late", now.since(at));
                seen[camera] += 1;
            }
        }
        assert!(seen.iter().all(|times| *times == 1));
    }
}
