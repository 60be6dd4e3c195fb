//! When a stream's next picture is to be expected, and which of them a continued look had better take.
//!
//! A look takes the newest picture there is. One that falls due between two pictures takes a picture that has waited for up to
//! the whole time between the two. So looks come when pictures do: a look is of the picture that arrives nearest to the moment it
//! is due, and begins when that one arrives. Two things are kept: a picture is only waited for where it comes before the
//! floor is over, late as pictures of this stream may be; and no look waits beyond its time for longer than one takes to come.

use std::time::Duration;

use xueliang_base::time::Mono;

/// Weight of the newest unit in the mean time between two, one in so many; and in the mean deviation from that.
const SMOOTH: u32 = 16;
const SMOOTH_UNEVEN: u32 = 8;
/// Units after which the means are believed.
const ENOUGH: u32 = 8;
/// A pause of the stream counts as so many of its usual ones: it says little of the next.
const MOST: u32 = 2;
/// A picture is late by at most so many mean deviations, as round trips are told in TCP (RFC 6298) ...
const DEVIATIONS: u32 = 4;
/// ... by this share of the time between two, where nothing is uneven: a unit takes a moment from its arrival until attention is
/// told of it ...
const LEAST_PATIENCE: u32 = 8;
/// ... and by no more than this share: then the stream has stalled.
const MOST_PATIENCE: f64 = 0.75;

/// How the units of a stream come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rhythm {
    /// Mean time from one unit's arrival to the next.
    pub every: Duration,
    /// Mean deviation from that.
    pub uneven: Duration,
}

impl Rhythm {
    /// How long a picture is waited for beyond the moment it is expected at.
    fn patience(self) -> Duration {
        (self.uneven * DEVIATIONS).clamp(self.every / LEAST_PATIENCE, self.every.mul_f64(MOST_PATIENCE))
    }
}

/// Learns the rhythm of a stream from arrivals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    last: Option<Mono>,
    rhythm: Rhythm,
    measured: u32,
}

impl Pace {
    /// A unit arrived.
    pub fn took(&mut self, arrival: Mono) {
        let Some(last) = self.last.replace(arrival) else { return };
        let Rhythm { every, uneven } = &mut self.rhythm;
        let step = arrival.since(last);
        self.measured = self.measured.saturating_add(1);
        // The first ones are as good as each other.
        let share = |of: u32| self.measured.min(of);
        let step = if self.measured > ENOUGH { step.min(*every * MOST) } else { step };
        if self.measured > 1 {
            let off = step.max(*every) - step.min(*every);
            let share = share(SMOOTH_UNEVEN);
            *uneven = (*uneven * (share - 1) + off) / share;
        }
        let share = share(SMOOTH);
        *every = (*every * (share - 1) + step) / share;
    }
    /// Units are missing: the next one says nothing of the time between two.
    pub fn interrupt(&mut self) {
        self.last = None;
    }
    /// The rhythm, once it is known.
    pub fn rhythm(&self) -> Option<Rhythm> {
        (self.measured >= ENOUGH && !self.rhythm.every.is_zero()).then_some(self.rhythm)
    }
}

/// What the next continued look of a camera goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Awaited {
    /// Arrival of the picture that was looked at last.
    pub(super) seen: Mono,
    /// The longest time from there to the next picture.
    pub(super) floor: Duration,
    /// When the next look is due by time alone.
    pub(super) due: Mono,
    /// Arrival of the newest picture, which is newer than the one seen.
    pub(super) newest: Mono,
    pub(super) rhythm: Rhythm,
}

impl Awaited {
    /// From when on the look is due while no newer picture arrives.
    pub(super) fn from(self) -> Mono {
        let Self { seen, floor, due, newest, rhythm } = self;
        let given_up = newest.plus(rhythm.every).plus(rhythm.patience());
        if given_up > seen.plus(floor) {
            // The next one may break the floor. Pictures that come in time of the floor lie beyond its first half; where they
            // do not, the rhythm is mistaken.
            return if newest.since(seen) >= floor / 2 { newest } else { due };
        }
        if newest.plus(rhythm.every / 2) >= due {
            newest
        } else {
            due.max(given_up.min(due.plus(rhythm.every)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
    fn at(after_ms: u64) -> Mono {
        Mono(1_000_000_000_000).plus(ms(after_ms))
    }

    #[test]
    fn the_picture_that_is_looked_at_is_the_nearest_to_when_the_look_is_due_and_in_time_of_the_floor() {
        // Floor, due, time between pictures, deviation, the newest: from when on the look is due; 0 is at once.
        let table = [
            ("10 a second, two too early", 260, 208, 100, 0, 100, 212),
            ("10 a second, the second", 260, 208, 100, 0, 200, 0),
            ("15 a second, the second", 260, 208, 67, 0, 134, 209),
            ("15 a second, the third", 260, 208, 67, 0, 201, 0),
            ("25 a second, the fourth", 260, 208, 40, 0, 160, 208),
            ("25 a second, the fifth", 260, 208, 40, 0, 200, 0),
            ("the next would break the floor", 300, 240, 100, 0, 200, 0),
            ("the next comes too unevenly for the floor", 300, 240, 90, 10, 180, 0),
            ("the same where there is room for it", 300, 240, 80, 10, 160, 280),
            ("slower than the floor", 300, 240, 400, 0, 400, 0),
            ("a rhythm that cannot be right", 300, 240, 400, 0, 40, 240),
            ("a picture that does not come", 5000, 4000, 40, 0, 1000, 4000),
            ("an uneven stream is waited for longer", 260, 208, 100, 5, 100, 220),
            ("and never for more than its step", 500, 400, 100, 60, 240, 415),
            ("nor beyond the moment it is due by more", 900, 400, 100, 60, 340, 500),
        ];
        for (what, floor, due, every, uneven, newest, expected) in table {
            let rhythm = Rhythm { every: ms(every), uneven: ms(uneven) };
            let awaited = Awaited { seen: at(0), floor: ms(floor), due: at(due), newest: at(newest), rhythm };
            let from = awaited.from();
            let expected = if expected == 0 { at(newest) } else { at(expected) };
            assert!(from >= expected && from.since(expected) < ms(1), "{what}: {from:?} for {expected:?}");
        }
    }

    #[test]
    fn the_rhythm_is_the_mean_and_a_pause_says_little() {
        let mut pace = Pace::default();
        let mut now = at(0);
        let mut take = |pace: &mut Pace, step: u64| {
            now = now.plus(ms(step));
            pace.took(now);
        };
        for _ in 0..8 {
            take(&mut pace, 100);
        }
        assert_eq!(pace.rhythm(), None, "too few");
        take(&mut pace, 100);
        assert_eq!(pace.rhythm(), Some(Rhythm { every: ms(100), uneven: ms(0) }));
        for step in [90, 110].repeat(20) {
            take(&mut pace, step);
        }
        let Rhythm { every, uneven } = pace.rhythm().unwrap();
        assert!(
            (ms(99)..ms(102)).contains(&every) && (ms(9)..ms(11)).contains(&uneven),
            "{every:?} {uneven:?}"
        );
        take(&mut pace, 60_000);
        assert!(pace.rhythm().unwrap().every < ms(110), "{pace:?}");
        pace.interrupt();
        take(&mut pace, 60_000);
        assert!(pace.rhythm().unwrap().every < ms(110), "{pace:?}");
        // Other settings are learned.
        for _ in 0..100 {
            take(&mut pace, 40);
        }
        let Rhythm { every, uneven } = pace.rhythm().unwrap();
        assert!((ms(39)..ms(42)).contains(&every) && uneven < ms(2), "{every:?} {uneven:?}");
        for _ in 0..200 {
            take(&mut pace, 500);
        }
        assert!((ms(480)..=ms(500)).contains(&pace.rhythm().unwrap().every), "{pace:?}");
    }
}
