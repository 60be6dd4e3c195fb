//! Statistics of cases: a fold over what each came to. Pure: what is read, and the names that stand for numbers in it, come
//! from the store.
//!
//! Nothing is counted by anybody. A unit or a shift of so few people that its figures were somebody's stands together with
//! others ([`few`]): figures of work are for those who organise it.

mod key;
mod roster;
mod sums;

use std::collections::{BTreeMap, HashMap};

use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, StatisticsKey};

pub use self::{key::Names, roster::Roster};
use self::{
    key::{Key, Label},
    sums::Sums,
};
use super::{
    State,
    fact::{Took, Verdict},
};

/// Accounts that a unit or a shift needs to be told apart: with two, each knows what the other did.
pub const FEWEST_PEOPLE: usize = 3;
/// Cases that it needs: shares of fewer say nothing of how work is organised.
pub const FEWEST_CASES: usize = 10;

/// A case, as it is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// When it was opened.
    pub opened: Wall,
    /// Number of its kind.
    pub kind: i32,
    /// Number of its most severe level.
    pub level: i32,
    /// Number of its place.
    pub place: i64,
    /// Number of what raised its alert.
    pub source: Option<i64>,
    /// Number of the unit that was last asked.
    pub unit: Option<i64>,
    /// Where it stands; `None`: nobody has touched it.
    pub state: Option<State>,
    /// Bits of [`super::fact::bit`].
    pub flags: u32,
    /// Somebody reported what the machine missed.
    pub is_miss: bool,
    /// When the first of its running timers ends.
    pub limit: Option<Wall>,
    /// When its running limit to close ends.
    pub close_limit: Option<Wall>,
    /// What it was judged to be.
    pub verdict: Verdict,
    /// To being judged.
    pub judge: Option<Took>,
    /// To being dispatched.
    pub dispatch: Option<Took>,
    /// To being taken.
    pub accept: Option<Took>,
    /// To being closed.
    pub close: Option<Took>,
    /// Closed by force when its limit to close had ended.
    pub forced_late: bool,
    /// Its check ever began.
    pub checked: bool,
}

/// A fold over cases.
pub struct Tally<'a> {
    keys: Vec<Key<'a>>,
    groups: HashMap<Vec<u32>, Sums>,
    now: Wall,
}

/// What a fold comes to.
pub struct Told {
    /// Groups, those of most cases first; each with its place in that order.
    pub groups: Vec<v1::CaseStatistics>,
    /// All together.
    pub total: v1::CaseStatistics,
}

impl<'a> Tally<'a> {
    /// By these keys, at a moment.
    pub fn new(by: &[StatisticsKey], names: &'a Names, now: Wall) -> Self {
        Self { keys: by.iter().map(|key| Key::new(*key, names)).collect(), groups: HashMap::new(), now }
    }
    /// Counts a case.
    pub fn add(&mut self, one: &Counted) {
        let group = self.keys.iter_mut().map(|key| key.of(one)).collect();
        self.groups.entry(group).or_default().add(one, self.now);
    }
    /// What all of them come to.
    pub fn told(mut self) -> Told {
        for at in 0..self.keys.len() {
            self.fold_few(at);
        }
        let mut total = Sums::default();
        let mut groups = Vec::new();
        for (labels, mut sums) in self.groups {
            if !self.keys.is_empty() {
                let of = self.keys.iter().zip(&labels).map(|(key, label)| key.value(*label)).collect();
                groups.push(v1::CaseStatistics { of, ..sums.told() });
            }
            total.absorb(sums);
        }
        groups.sort_by(|one, other| other.cases.cmp(&one.cases).then_with(|| name(one).cmp(&name(other))));
        Told { groups, total: total.told() }
    }
    /// Puts those values of a key together that may not be told apart.
    fn fold_few(&mut self, at: usize) {
        let mut cases = BTreeMap::<u32, usize>::new();
        for (labels, sums) in &self.groups {
            *cases.entry(labels[at]).or_default() += sums.cases();
        }
        let folded = {
            let key = &self.keys[at];
            let values =
                cases.iter().filter_map(|(label, cases)| Some((*label, *cases, key.people(*label)?)));
            few(values.collect())
        };
        if folded.is_empty() {
            return;
        }
        let others = self.keys[at].label(Label::Others);
        let groups = std::mem::take(&mut self.groups);
        for (mut labels, sums) in groups {
            if folded.contains(&labels[at]) {
                labels[at] = others;
            }
            self.groups.entry(labels).or_default().absorb(sums);
        }
    }
}

/// What a group is called, for an order that stays.
pub fn name(group: &v1::CaseStatistics) -> String {
    let parts =
        group.of.iter().map(|one| format!("{}\u{1f}{:010}\u{1f}{}", one.text, one.number, one.others));
    parts.collect::<Vec<_>>().join("\u{1f}")
}

/// Which of these (label, cases, accounts) are not told apart: those of few people or few cases. Those are enough together
/// that what they come to, or what is left of all without the others, is nobody's: else the smallest of the rest joins them.
fn few(mut all: Vec<(u32, usize, usize)>) -> Vec<u32> {
    all.sort_by_key(|(label, cases, _)| (*cases, *label));
    let enough = |people: usize, cases: usize| people >= FEWEST_PEOPLE && cases >= FEWEST_CASES;
    let (mut folded, mut rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, cases, people)| !enough(*people, *cases));
    let together = |some: &[(u32, usize, usize)]| {
        let sum = some.iter().fold((0, 0), |sum, one| (sum.0 + one.2, sum.1 + one.1));
        some.len() > 1 && enough(sum.0, sum.1)
    };
    while !folded.is_empty() && !together(&folded) && !rest.is_empty() {
        folded.push(rest.remove(0));
    }
    folded.into_iter().map(|(label, ..)| label).collect()
}

#[cfg(test)]
mod tests;
