//! Who acts on a case, in which capacity, and 采办分离: who asked for the work, who did it and who checked it are three.
//!
//! An account that ever acted on a case in one capacity never acts on it in another, whatever unit or role it has by then. A
//! unit that handled it neither asks for it nor checks it, and the other way round; asking and checking may be two people of
//! one unit, as in a town whose command centre does both.

use std::collections::BTreeSet;

use super::Refusal;
use crate::rights::Principal;

/// The account that the clock acts under, for no unit. Whoever else is called so has a unit, and is not taken for it.
pub const SYSTEM: &str = "system";

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor {
    /// The account.
    pub account: String,
    /// The unit it acts for.
    pub unit: String,
}

impl Actor {
    /// An account of a unit.
    pub fn new(account: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { account: account.into(), unit: unit.into() }
    }
    /// The clock.
    pub fn system() -> Self {
        Self::new(SYSTEM, "")
    }
    /// A caller. One without a unit stands for itself.
    pub fn of(principal: &Principal) -> Self {
        let unit = principal.unit.as_ref().filter(|unit| !unit.is_empty());
        Self::new(&principal.name, unit.unwrap_or(&principal.name))
    }
    /// Whether it is the clock.
    pub fn is_system(&self) -> bool {
        self.account == SYSTEM && self.unit.is_empty()
    }
}

/// What somebody is to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// 采: reported it, or asked for its handling.
    Requested,
    /// 办: handled it.
    Handled,
    /// 核: checked it, or closed it in place of a check.
    Verified,
}

impl Capacity {
    const ALL: [Capacity; 3] = [Capacity::Requested, Capacity::Handled, Capacity::Verified];
    fn word(self) -> &'static str {
        match self {
            Capacity::Requested => "reported or dispatched",
            Capacity::Handled => "handled",
            Capacity::Verified => "verified or closed",
        }
    }
    /// Whether one unit may act in both.
    fn shares_unit(self, other: Capacity) -> bool {
        self != Capacity::Handled && other != Capacity::Handled
    }
}

/// Those who acted in one capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actors {
    /// Accounts.
    pub accounts: BTreeSet<String>,
    /// Units.
    pub units: BTreeSet<String>,
}

/// Who ever acted on a case. Grows only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acted(pub [Actors; 3]);

impl Acted {
    /// Those of a capacity.
    pub fn of(&self, capacity: Capacity) -> &Actors {
        &self.0[capacity as usize]
    }
    fn others(&self, capacity: Capacity) -> impl Iterator<Item = (Capacity, &Actors)> {
        let others = Capacity::ALL.into_iter().filter(move |other| *other != capacity);
        others.map(|other| (other, self.of(other)))
    }
    /// Adds one that acts; the clock is nobody.
    pub(super) fn add(&mut self, capacity: Capacity, actor: &Actor) -> Result<(), Refusal> {
        if actor.is_system() {
            return Ok(());
        }
        for (other, actors) in self.others(capacity) {
            if actors.accounts.contains(&actor.account) {
                return Err(Refusal::Separation(format!(
                    "{} has {} this case and may not act on it otherwise (采办分离): let another account do this",
                    actor.account,
                    other.word()
                )));
            }
        }
        self.add_unit(capacity, &actor.unit)?;
        self.0[capacity as usize].accounts.insert(actor.account.clone());
        Ok(())
    }
    /// Adds a unit that is asked to act.
    pub(super) fn add_unit(&mut self, capacity: Capacity, unit: &str) -> Result<(), Refusal> {
        for (other, actors) in self.others(capacity) {
            if !capacity.shares_unit(other) && actors.units.contains(unit) {
                return Err(Refusal::Separation(format!(
                    "the unit {unit} has {} this case and may not act on it otherwise (采办分离): let another unit do \
                     this",
                    other.word()
                )));
            }
        }
        self.0[capacity as usize].units.insert(unit.to_owned());
        Ok(())
    }
    /// Adds all who acted on a case that becomes part of this one.
    pub(super) fn absorb(&mut self, other: &Acted) -> Result<(), Refusal> {
        for capacity in Capacity::ALL {
            let Actors { accounts, units } = other.of(capacity);
            for unit in units {
                self.add_unit(capacity, unit)?;
            }
            for account in accounts {
                let clash = self.others(capacity).find(|(_, actors)| actors.accounts.contains(account));
                if let Some((clash, _)) = clash {
                    return Err(Refusal::Separation(format!(
                        "{account} has {} the one case and {} the other (采办分离): they cannot become one, close \
                         them apart",
                        capacity.word(),
                        clash.word()
                    )));
                }
                self.0[capacity as usize].accounts.insert(account.clone());
            }
        }
        Ok(())
    }
    /// Whether nobody acted in two capacities that exclude each other.
    #[cfg(test)]
    pub(crate) fn is_separate(&self) -> bool {
        Capacity::ALL.into_iter().all(|capacity| {
            self.others(capacity).all(|(other, actors)| {
                self.of(capacity).accounts.is_disjoint(&actors.accounts)
                    && (capacity.shares_unit(other) || self.of(capacity).units.is_disjoint(&actors.units))
            })
        })
    }
}
