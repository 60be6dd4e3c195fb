//! Duty rules and shifts, as one version says them.

use xueliang_base::{id::DivisionCode, kind::Kind, time::Wall, wire};
use xueliang_proto::v1;

use super::{band::Band, check_text, history::Version};
use crate::error::{Error, Result};

/// Units that assist.
const MOST_ASSIST: usize = 16;
/// Entries of a call list.
const MOST_CALLS: usize = 32;

/// Who leads what where and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// As the wire and the store carry it, without what [`Rule::told`] adds.
    pub(super) wire: v1::DutyRule,
    /// The division whose subtree it holds for.
    pub division: DivisionCode,
    /// Kinds it holds for, in order and once each; empty: all.
    pub kinds: Vec<Kind>,
    /// In which mode; unspecified: both.
    pub mode: v1::DutyMode,
    /// When; `None`: always.
    pub band: Option<Band>,
}

/// An account on duty at a division.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// As the wire and the store carry it, without what [`Shift::told`] adds.
    pub(super) wire: v1::Shift,
    /// The division.
    pub division: DivisionCode,
    /// When, while it is in force; `None`: all the time.
    pub band: Option<Band>,
}

fn code(text: &str) -> Result<DivisionCode> {
    text.parse().map_err(|fault| Error::Invalid(format!("division_code: {fault}")))
}

fn mode(number: i32) -> Result<v1::DutyMode> {
    v1::DutyMode::try_from(number).map_err(|_| Error::Invalid(format!("mode: {number} is not known here")))
}

impl Rule {
    /// From the wire. Says what is wrong with it by itself.
    pub fn read(wire: v1::DutyRule) -> Result<Self> {
        let kind =
            |number: &i32| wire::kind_of(*number).map_err(|fault| Error::Invalid(format!("kinds: {fault}")));
        let mut kinds = wire.kinds.iter().map(kind).collect::<Result<Vec<Kind>>>()?;
        kinds.sort_unstable_by_key(|kind| kind.number());
        kinds.dedup();
        check_text("lead_unit", &wire.lead_unit, 1, 100)?;
        check_text("limits_profile", &wire.limits_profile, 0, 40)?;
        if wire.assist_units.len() > MOST_ASSIST || wire.call_list.len() > MOST_CALLS {
            return Err(Error::Invalid(format!(
                "assist_units, call_list: at most {MOST_ASSIST} units assist, and {MOST_CALLS} are called"
            )));
        }
        wire.assist_units.iter().try_for_each(|unit| check_text("assist_units", unit, 1, 100))?;
        for call in &wire.call_list {
            check_text("call_list.unit", &call.unit, 1, 100)?;
            check_text("call_list.account", &call.account, 0, 64)?;
        }
        let wire = v1::DutyRule {
            valid_from_unix_us: 0,
            valid_to_unix_us: 0,
            author: String::new(),
            made_unix_us: 0,
            ..wire
        };
        Ok(Self {
            division: code(&wire.division_code)?,
            kinds,
            mode: mode(wire.mode)?,
            band: wire.band.as_ref().map(Band::read).transpose()?,
            wire,
        })
    }
    /// The unit that leads.
    pub fn lead_unit(&self) -> &str {
        &self.wire.lead_unit
    }
    /// Units that assist.
    pub fn assist_units(&self) -> &[String] {
        &self.wire.assist_units
    }
    /// Whom to call, in order.
    pub fn call_list(&self) -> &[v1::Call] {
        &self.wire.call_list
    }
    /// Name of the time limits that apply; empty: the usual ones.
    pub fn limits_profile(&self) -> &str {
        &self.wire.limits_profile
    }
    /// Whether cases of levels 1 and 2 are dispatched as soon as they are confirmed.
    pub fn auto_dispatch(&self) -> bool {
        self.wire.auto_dispatch
    }
    /// As the store keeps it.
    pub(crate) fn stored(&self) -> &v1::DutyRule {
        &self.wire
    }
    /// As consoles are told it.
    pub fn told(number: u64, version: &Version<Rule>, until: Option<Wall>) -> v1::DutyRule {
        v1::DutyRule {
            rule_id: number,
            valid_from_unix_us: version.from.0,
            valid_to_unix_us: until.map_or(0, |until| until.0),
            author: version.author.clone(),
            made_unix_us: version.made.0,
            ..version.what.wire.clone()
        }
    }
}

impl Shift {
    /// From the wire. Says what is wrong with it by itself.
    pub fn read(wire: v1::Shift) -> Result<Self> {
        check_text("unit", &wire.unit, 1, 100)?;
        check_text("account", &wire.account, 1, 64)?;
        let wire = v1::Shift {
            valid_from_unix_us: 0,
            valid_to_unix_us: 0,
            author: String::new(),
            made_unix_us: 0,
            ..wire
        };
        Ok(Self {
            division: code(&wire.division_code)?,
            band: wire.band.as_ref().map(Band::read).transpose()?,
            wire,
        })
    }
    /// The unit.
    pub fn unit(&self) -> &str {
        &self.wire.unit
    }
    /// The account on duty.
    pub fn account(&self) -> &str {
        &self.wire.account
    }
    /// Whether it is on duty at a moment at which it is in force.
    pub fn holds(&self, at: Wall, site_zone: &str) -> bool {
        self.band.as_ref().is_none_or(|band| band.contains(at, site_zone))
    }
    /// As the store keeps it.
    pub(crate) fn stored(&self) -> &v1::Shift {
        &self.wire
    }
    /// As consoles are told it.
    pub fn told(number: u64, version: &Version<Shift>, until: Option<Wall>) -> v1::Shift {
        v1::Shift {
            shift_id: number,
            valid_from_unix_us: version.from.0,
            valid_to_unix_us: until.map_or(0, |until| until.0),
            author: version.author.clone(),
            made_unix_us: version.made.0,
            ..version.what.wire.clone()
        }
    }
}
