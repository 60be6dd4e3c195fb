//! Which incidents of the reference were raised with attention too, and how much later. Pure.

/// An incident, in microseconds of one clock: when it was raised and until when it lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lasted {
    pub(super) raised: i64,
    /// `i64::MAX`: it lasts.
    pub(super) until: i64,
}

/// The incidents of one rule of one camera, compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Matched {
    /// How much later each that was raised in time was; negative: sooner.
    pub(super) delays: Vec<i64>,
    /// Raised, but later than allowed: by how much in all.
    pub(super) late: Vec<i64>,
    /// Never raised while the reference's lasted, nor within what is allowed.
    pub(super) missed: usize,
    /// Raised while the reference had nothing.
    pub(super) alone: usize,
}

impl Matched {
    pub(super) fn add(&mut self, other: Self) {
        self.delays.extend(other.delays);
        self.late.extend(other.late);
        self.missed += other.missed;
        self.alone += other.alone;
    }
    pub(super) fn of(&self) -> usize {
        self.delays.len() + self.late.len() + self.missed
    }
}

/// Compares incidents. Those of the reference count that were raised in the window; both lists are of one rule at one
/// camera. An incident that lasts when the reference's is raised stands for it.
pub(super) fn compare(
    reference: &[Lasted],
    found: &[Lasted],
    allowed: i64,
    window: std::ops::Range<i64>,
) -> Matched {
    let mut matched = Matched::default();
    for wanted in reference.iter().filter(|one| window.contains(&one.raised)) {
        let latest = wanted.until.saturating_add(allowed);
        let overlaps = |one: &&Lasted| one.until >= wanted.raised && one.raised <= latest;
        let first = found.iter().filter(overlaps).map(|one| one.raised.saturating_sub(wanted.raised)).min();
        match first {
            None => matched.missed += 1,
            Some(delay) if delay > allowed => matched.late.push(delay),
            Some(delay) => matched.delays.push(delay),
        }
    }
    let explained = |one: &&Lasted| {
        reference.iter().any(|wanted| {
            one.until >= wanted.raised.saturating_sub(allowed)
                && one.raised <= wanted.until.saturating_add(allowed)
        })
    };
    matched.alone =
        found.iter().filter(|one| window.contains(&one.raised)).filter(|one| !explained(one)).count();
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasted(times: &[(i64, i64)]) -> Vec<Lasted> {
        times.iter().map(|&(raised, until)| Lasted { raised, until }).collect()
    }

    #[test]
    fn what_is_raised_in_time_late_never_or_alone_is_told_apart() {
        let reference = lasted(&[(100, 200), (300, 400), (500, 600), (5_000, i64::MAX)]);
        // In time; later than allowed; never; alone; and one that stands for the last, which is out of the window.
        let found = lasted(&[(110, 210), (350, 420), (900, 950), (5_010, i64::MAX)]);
        let matched = compare(&reference, &found, 20, 0..1_000);
        assert_eq!(matched, Matched { delays: vec![10], late: vec![50], missed: 1, alone: 1 });
        assert_eq!(matched.of(), 3);
    }

    #[test]
    fn one_that_lasts_already_stands_for_the_next_and_is_sooner() {
        let matched = compare(&lasted(&[(100, 200), (260, 300)]), &lasted(&[(90, i64::MAX)]), 20, 0..1_000);
        assert_eq!(matched.delays, [-10, -170]);
        assert_eq!((matched.missed, matched.alone), (0, 0));
    }

    #[test]
    fn nothing_found_misses_all_and_nothing_wanted_makes_all_alone() {
        let some = lasted(&[(100, 200), (300, 400)]);
        assert_eq!(compare(&some, &[], 20, 0..1_000).missed, 2);
        assert_eq!(compare(&[], &some, 20, 0..1_000).alone, 2);
    }
}
