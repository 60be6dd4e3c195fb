//! When what woke a camera has passed.

use std::time::Duration;

use xueliang_base::time::Mono;

/// Once looks have found nothing for so long since anything moved, and there were so many of them, it has passed.
const AFTER: Duration = Duration::from_secs(2);
const LOOKS: u32 = 3;
/// Where that came to nothing so many times in a row, the next time passes sooner: a branch in the wind is not watched as
/// closely as what moves for the first time.
const IN_VAIN: u32 = 3;
const AFTER_IN_VAIN: Duration = Duration::from_secs(1);
const LOOKS_IN_VAIN: u32 = 2;
/// After so long without movement nothing is known of the wind any more, as with a change that comes and goes.
const FORGOTTEN: Duration = Duration::from_secs(1800);

/// What has moved or was found of late.
#[derive(Debug, Clone, Default)]
pub(super) struct Passing {
    /// When something last moved, or was found by a look, and how many looks have found nothing since.
    lively: Mono,
    empty: u32,
    /// Something has moved, and no look has found anything in it so far, nor has it passed.
    open: bool,
    /// How often in a row something moved and passed, and nothing was found.
    in_vain: u32,
}

impl Passing {
    /// Something moves.
    pub(super) fn moved(&mut self, at: Mono) {
        if at.since(self.lively) > FORGOTTEN {
            self.in_vain = 0;
        }
        self.lively(at);
        self.open = true;
    }
    /// A look of models at a picture of then found something, or nothing. Returns whether what moved has passed. A picture from before
    /// the movement says nothing of it; one in which it moves does.
    pub(super) fn looked(&mut self, at: Mono, found: bool) -> bool {
        if found {
            self.lively(at);
            (self.open, self.in_vain) = (false, 0);
            return false;
        }
        if at < self.lively {
            return false;
        }
        self.empty = self.empty.saturating_add(1);
        let (looks, after) =
            if self.in_vain < IN_VAIN { (LOOKS, AFTER) } else { (LOOKS_IN_VAIN, AFTER_IN_VAIN) };
        let passed = self.empty >= looks && at.since(self.lively) >= after;
        if passed && self.open {
            self.open = false;
            self.in_vain = self.in_vain.saturating_add(1);
        }
        passed
    }
    fn lively(&mut self, at: Mono) {
        (self.lively, self.empty) = (self.lively.max(at), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_MS: u64 = 500;

    /// Looks that find nothing, twice a second, until what moves now has passed.
    fn looks_until_passed(passing: &mut Passing, now_ms: &mut u64) -> u32 {
        passing.moved(Mono(*now_ms * 1_000_000));
        (1..)
            .find(|_| {
                *now_ms += EVERY_MS;
                passing.looked(Mono(*now_ms * 1_000_000), false)
            })
            .unwrap()
    }

    #[test]
    fn what_came_to_nothing_three_times_passes_sooner_until_something_is_found() {
        let (mut passing, mut now_ms) = (Passing::default(), 10_000);
        let taken: Vec<u32> = (0..5).map(|_| looks_until_passed(&mut passing, &mut now_ms)).collect();
        assert_eq!(taken, [4, 4, 4, 2, 2]);
        // Looks of a camera at rest are no further times.
        assert!(passing.looked(Mono((now_ms + 30_000) * 1_000_000), false));
        assert_eq!(passing.in_vain, 5);
        assert!(!passing.looked(Mono(now_ms * 1_000_000), true));
        assert_eq!(looks_until_passed(&mut passing, &mut now_ms), 4);
        for _ in 0..3 {
            looks_until_passed(&mut passing, &mut now_ms);
        }
        assert_eq!(looks_until_passed(&mut passing, &mut now_ms), 2);
        now_ms += 1_900_000;
        assert_eq!(looks_until_passed(&mut passing, &mut now_ms), 4, "after half an hour without movement");
    }

    #[test]
    fn however_late_looks_come_there_are_three_of_them_and_movement_between_begins_anew() {
        let mut passing = Passing::default();
        let at = |s: u64| Mono(s * 1_000_000_000);
        passing.moved(at(10));
        assert!(!passing.looked(at(14), false) && !passing.looked(at(18), false));
        passing.moved(at(19));
        assert_eq!([22, 26, 30].map(|s| passing.looked(at(s), false)), [false, false, true]);
        // The picture in which it moves counts, one from before it that answers late does not.
        passing.moved(at(40));
        assert_eq!([39, 40, 42, 44].map(|s| passing.looked(at(s), false)), [false, false, false, true]);
    }
}
