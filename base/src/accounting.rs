//! Promise 3, counted: where every access unit of a camera went.
//!
//! `received = looked_at + referenced + skipped + lost + in_ring + in_flight`. The ring moves a unit from one
//! column to the next; nothing else may. [`Account::missing`] is the proof, checked while running and exported.

use std::collections::BTreeMap;

use crate::look::NotLooked;

/// Why a unit was passed over, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skipped {
    /// A later keyframe look made it pointless: the camera needed no closer look.
    Superseded,
    /// It left the ring before any look wanted it.
    Expired,
    /// It cannot be decoded without a keyframe that is not there.
    NoReference,
    /// The camera was removed or its stream changed.
    Removed,
}

impl Skipped {
    /// Every reason.
    pub const ALL: [Skipped; 4] =
        [Skipped::Superseded, Skipped::Expired, Skipped::NoReference, Skipped::Removed];
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Skipped::Superseded => "superseded",
            Skipped::Expired => "expired",
            Skipped::NoReference => "no_reference",
            Skipped::Removed => "removed",
        }
    }
}

/// Access units of one camera, each in exactly one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// All that arrived.
    pub received: u64,
    /// Decoded, and inferred.
    pub looked_at: u64,
    /// Decoded so that another could be.
    pub referenced: u64,
    /// Passed over on purpose.
    pub skipped: BTreeMap<Skipped, u64>,
    /// Handed to a look that failed.
    pub lost: BTreeMap<NotLooked, u64>,
    /// Undecided, in the ring.
    pub in_ring: u64,
    /// With a worker now.
    pub in_flight: u64,
}

impl Account {
    /// Units that stand in no column (positive) or in two (negative). Anything but 0 is a defect of ours.
    pub fn missing(&self) -> i128 {
        let placed = u128::from(self.looked_at)
            + u128::from(self.referenced)
            + self.skipped.values().map(|n| u128::from(*n)).sum::<u128>()
            + self.lost.values().map(|n| u128::from(*n)).sum::<u128>()
            + u128::from(self.in_ring)
            + u128::from(self.in_flight);
        i128::from(self.received) - i128::try_from(placed).unwrap_or(i128::MAX)
    }
}

impl std::ops::AddAssign<&Account> for Account {
    fn add_assign(&mut self, other: &Account) {
        // Taken apart, so that no column that comes later is forgotten here.
        let Account { received, looked_at, referenced, skipped, lost, in_ring, in_flight } = other;
        self.received += received;
        self.looked_at += looked_at;
        self.referenced += referenced;
        for (why, units) in skipped {
            *self.skipped.entry(*why).or_default() += units;
        }
        for (why, units) in lost {
            *self.lost.entry(*why).or_default() += units;
        }
        self.in_ring += in_ring;
        self.in_flight += in_flight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_forgets_a_unit_shows_it() {
        let mut account = Account { received: 10, looked_at: 2, referenced: 3, ..Account::default() };
        account.skipped.insert(Skipped::Superseded, 2);
        account.lost.insert(NotLooked::Deadline, 1);
        account.in_ring = 2;
        assert_eq!(account.missing(), 0);
        account.in_ring = 1;
        assert_eq!(account.missing(), 1);
        account.looked_at = 4;
        assert_eq!(account.missing(), -1);
    }
}
