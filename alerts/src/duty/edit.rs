//! What may be put into the tree, the rules and the roster, and what the configuration brings.
//!
//! A version holds from now or later: what was in force before stays what it was, except that a code which was never used may
//! begin in the past. What was planned for later stays planned, unless it is ended; of a shift it is dropped.

use std::collections::BTreeSet;

use xueliang_base::{config, id::DivisionCode, time::Wall};
use xueliang_proto::v1;

use super::{
    Duty, Edit, MOST,
    division::Division,
    history::{History, Version},
    rule::{Rule, Shift},
    tree::Tree,
};
use crate::{
    error::{Error, Result},
    rights::Principal,
    store::AuditEntry,
};

/// In whose name the configuration's divisions are kept.
const CONFIGURATION: &str = "configuration";

/// What a version says.
#[derive(Debug, Clone)]
pub enum What {
    /// A division.
    Division(Box<Division>),
    /// A rule of this number.
    Rule(u64, Box<Rule>),
    /// A shift of this number.
    Shift(u64, Box<Shift>),
}

/// A version to keep.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// In force from here.
    pub from: Wall,
    /// Until here, exclusive.
    pub to: Option<Wall>,
    /// What it says.
    pub what: What,
}

/// What an edit makes; without versions there was nothing to do.
#[derive(Debug, Clone)]
pub struct Edited {
    /// Versions, in order.
    pub versions: Vec<NewVersion>,
    /// Who did what: kept with them.
    pub audit: AuditEntry,
    /// Number of the rule or shift; 0 of divisions.
    pub number: u64,
}

impl Edited {
    fn of(who: &str, action: &'static str, subject: String) -> Self {
        let audit = AuditEntry { principal: who.to_owned(), action, subject };
        Self { versions: Vec::new(), audit, number: 0 }
    }
    pub(super) fn with(who: &str, action: &'static str, subject: String, versions: Vec<NewVersion>) -> Self {
        Self { versions, ..Self::of(who, action, subject) }
    }
}

pub(super) fn division_version(from: Wall, to: Option<Wall>, one: Division) -> NewVersion {
    NewVersion { from, to, what: What::Division(Box::new(one)) }
}

/// The tree as it would be with these versions of divisions.
pub(super) fn tree_with(tree: &Tree, versions: &[NewVersion]) -> Tree {
    let mut tree = tree.clone();
    for (index, version) in versions.iter().enumerate() {
        if let What::Division(one) = &version.what {
            // Later than all that is kept, in order.
            let number = u64::MAX / 2 + index as u64;
            let (author, made) = (String::new(), version.from);
            let version = Version {
                number,
                from: version.from,
                to: version.to,
                author,
                made,
                what: one.as_ref().clone(),
            };
            tree.0.add(one.code.clone(), version);
        }
    }
    tree
}

/// Refuses a principal to whom a division, as it was, is and will be, does not belong.
pub(super) fn check_owns(who: &Principal, tree: &Tree, code: &DivisionCode) -> Result<()> {
    let Some(own) = &who.divisions else { return Ok(()) };
    let mut lives = tree.0.of(code).iter().filter(|version| version.lives()).peekable();
    if lives.peek().is_some() && lives.all(|version| tree.lies_in(code, own, version.from)) {
        return Ok(());
    }
    Err(Error::NotFound(format!("there is no division {code} among those that you may see")))
}

fn checked(tree: &Tree, versions: &[NewVersion], from: Wall) -> Result<()> {
    let touched: BTreeSet<DivisionCode> = versions
        .iter()
        .filter_map(|version| match &version.what {
            What::Division(one) => Some(one.code.clone()),
            _ => None,
        })
        .collect();
    match tree_with(tree, versions).faults(&touched, from).into_iter().next() {
        None => Ok(()),
        Some((_, fault)) => Err(Error::Invalid(fault)),
    }
}

/// From when until when a version is to hold: not before `first`.
fn period(wire_from: i64, wire_to: i64, first: Wall) -> Result<(Wall, Option<Wall>)> {
    let from = Wall(wire_from).max(first);
    let to = (wire_to != 0).then_some(Wall(wire_to));
    if to.is_some_and(|to| to <= from) {
        return Err(Error::Invalid("valid_to_unix_us: must lie after the begin and after now".to_owned()));
    }
    Ok((from, to))
}

fn not_full(used: usize) -> Result<()> {
    if used < MOST {
        return Ok(());
    }
    // Nothing is wrong with the storage, so this must not look like it.
    Err(Error::Conflict(format!("{MOST} are kept already, ended ones included: no more are")))
}

/// Adds a division or changes one.
pub fn put_division(who: Principal, wire: v1::Division) -> Edit {
    Box::new(move |duty, now| {
        let (wanted_from, wanted_to) = (wire.valid_from_unix_us, wire.valid_to_unix_us);
        let mut one = Division::read(v1::Division { configured: false, ..wire })?;
        let known = !duty.tree.0.of(&one.code).is_empty();
        let first = if known || wanted_from == 0 { now } else { Wall(wanted_from) };
        let (from, to) = period(wanted_from, wanted_to, first)?;
        if known {
            check_owns(&who, &duty.tree, &one.code)?;
        } else {
            not_full(duty.tree.0.len())?;
        }
        if let Some(own) = &who.divisions
            && !one.parent.as_ref().is_some_and(|parent| duty.tree.lies_in(parent, own, from))
            && !(known && own.contains(&one.code))
        {
            return Err(Error::Forbidden(
                "parent_code: name a division that you may see yourself".to_owned(),
            ));
        }
        if let Some(there) = duty.tree.at(&one.code, from).filter(|there| there.what.is_configured()) {
            if there.what.parent != one.parent || there.what.name() != one.name() || to.is_some() {
                return Err(declared(&one.code));
            }
            one.wire.configured = true;
        }
        let subject = format!("division {} {} from {from}", one.code, one.name());
        let versions = vec![division_version(from, to, one)];
        checked(&duty.tree, &versions, from)?;
        Ok(Edited::with(&who.name, "put-division", subject, versions))
    })
}

fn declared(code: &DivisionCode) -> Error {
    Error::Conflict(format!(
        "{code} is declared by the configuration, which alone gives its parent and name and ends it: change it there"
    ))
}

/// The versions that end a key at a moment, and what was planned for later.
fn ends<K: Ord + Clone, T: Clone>(
    history: &History<K, T>,
    key: &K,
    at: Wall,
    what: impl Fn(T) -> What,
) -> Vec<NewVersion> {
    let end = |from: Wall, version: &Version<T>| NewVersion {
        from,
        to: Some(from),
        what: what(version.what.clone()),
    };
    let now = history.at(key, at).map(|version| end(at, version));
    let later = history.of(key).iter().filter(|version| version.from > at && version.lives());
    now.into_iter().chain(later.map(|version| end(version.from, version))).collect()
}

pub(super) fn division_ends(tree: &Tree, code: &DivisionCode, at: Wall) -> Vec<NewVersion> {
    ends(&tree.0, code, at, |one| What::Division(Box::new(one)))
}

/// When an end is to be: not before now.
fn end_at(wire: i64, now: Wall) -> Wall {
    Wall(wire).max(now)
}

/// Ends a division.
pub fn end_division(who: Principal, code: DivisionCode, at_unix_us: i64) -> Edit {
    Box::new(move |duty, now| {
        check_owns(&who, &duty.tree, &code)?;
        let at = end_at(at_unix_us, now);
        let versions = duty.tree.0.of(&code);
        if versions.is_empty() {
            return Err(Error::NotFound(format!("code: there is no division {code}")));
        }
        if versions
            .iter()
            .any(|version| version.what.is_configured() && duty.tree.0.until(&code, version).is_none())
        {
            return Err(declared(&code));
        }
        let versions = division_ends(&duty.tree, &code, at);
        checked(&duty.tree, &versions, at)
            .map_err(|fault| Error::Conflict(format!("{fault}: end or move that first")))?;
        Ok(Edited::with(&who.name, "end-division", format!("division {code} at {at}"), versions))
    })
}

/// Refuses a division that is not in force then, or that is not the principal's.
fn check_place(who: &Principal, duty: &Duty, code: &DivisionCode, at: Wall) -> Result<()> {
    check_owns(who, &duty.tree, code)?;
    if duty.tree.at(code, at).is_none() {
        return Err(Error::NotFound(format!("division_code: {code} is not in force at {at}")));
    }
    Ok(())
}

fn next_number<T>(history: &History<u64, T>) -> u64 {
    history.keys().next_back().map_or(1, |last| last + 1)
}

/// The latest version of a rule or shift, whether it is in force or not.
fn latest<'a, T>(history: &'a History<u64, T>, number: u64, what: &str) -> Result<&'a T> {
    let last = history.of(&number).last();
    last.map(|version| &version.what).ok_or_else(|| Error::NotFound(format!("{what}: there is no {number}")))
}

/// Adds a rule or changes one.
pub fn put_rule(who: Principal, wire: v1::DutyRule) -> Edit {
    Box::new(move |duty, now| {
        let (from, to) = period(wire.valid_from_unix_us, wire.valid_to_unix_us, now)?;
        let mut number = wire.rule_id;
        let rule = Rule::read(v1::DutyRule { rule_id: 0, ..wire })?;
        check_place(&who, duty, &rule.division, from)?;
        if number == 0 {
            not_full(duty.rules.len())?;
            number = next_number(&duty.rules);
        } else {
            check_owns(&who, &duty.tree, &latest(&duty.rules, number, "rule_id")?.division)?;
        }
        let subject = format!("rule {number} at {}: {} leads from {from}", rule.division, rule.lead_unit());
        let versions = vec![NewVersion { from, to, what: What::Rule(number, Box::new(rule)) }];
        Ok(Edited { number, ..Edited::with(&who.name, "put-duty-rule", subject, versions) })
    })
}

/// Ends a rule.
pub fn end_rule(who: Principal, number: u64, at_unix_us: i64) -> Edit {
    Box::new(move |duty, now| {
        check_owns(&who, &duty.tree, &latest(&duty.rules, number, "rule_id")?.division)?;
        let at = end_at(at_unix_us, now);
        let versions = ends(&duty.rules, &number, at, |rule| What::Rule(number, Box::new(rule)));
        let subject = format!("rule {number} at {at}");
        Ok(Edited { number, ..Edited::with(&who.name, "end-duty-rule", subject, versions) })
    })
}

/// Adds a shift, changes one, or ends it.
pub fn put_shift(who: Principal, wire: v1::Shift) -> Edit {
    Box::new(move |duty, now| {
        let mut number = wire.shift_id;
        let from = Wall(wire.valid_from_unix_us).max(now);
        let mut to = (wire.valid_to_unix_us != 0).then_some(Wall(wire.valid_to_unix_us));
        let shift = Shift::read(v1::Shift { shift_id: 0, ..wire })?;
        check_place(&who, duty, &shift.division, from)?;
        if number == 0 {
            not_full(duty.shifts.len())?;
            (_, to) = period(from.0, to.map_or(0, |to| to.0), now)?;
            number = next_number(&duty.shifts);
        } else {
            check_owns(&who, &duty.tree, &latest(&duty.shifts, number, "shift_id")?.division)?;
            to = to.map(|to| to.max(from));
        }
        let subject = format!(
            "shift {number} at {}: {} of {} from {from}",
            shift.division,
            shift.account(),
            shift.unit()
        );
        let what = What::Shift(number, Box::new(shift));
        // What was planned for later, an end included, gives way.
        let later = duty.shifts.of(&number).iter().map(|version| version.from).filter(|begin| *begin > from);
        let later: BTreeSet<Wall> = later.collect();
        let later = later.into_iter().map(|from| NewVersion {
            from,
            to: to.map(|to| to.max(from)),
            what: what.clone(),
        });
        let versions = [NewVersion { from, to, what: what.clone() }].into_iter().chain(later).collect();
        Ok(Edited { number, ..Edited::with(&who.name, "put-shift", subject, versions) })
    })
}

/// Brings in the divisions that the configuration declares, as it declares them, and lets go of those that it no longer
/// does: they stay in the tree, and may be changed and ended like others.
pub fn seed(divisions: Vec<config::Division>) -> Edit {
    Box::new(move |duty, now| {
        let mut versions = Vec::new();
        for one in &divisions {
            let wanted = Division::configured(&one.code, one.parent.as_ref(), &one.name);
            let there = duty.tree.0.of(&one.code);
            let Some(last) = there.last() else {
                versions.push(division_version(Wall(0), None, wanted));
                continue;
            };
            let current = duty.tree.at(&one.code, now);
            if current.is_none() {
                versions.push(division_version(now, None, as_configured(&last.what, &wanted)));
            }
            // What gave way to another of the same moment stays as it is.
            let counts = |version: &&Version<Division>| {
                !there.iter().any(|other| other.from == version.from && other.number > version.number)
            };
            let later = there.iter().filter(|version| version.from > now).filter(counts);
            for version in current.into_iter().chain(later) {
                let kept = as_configured(&version.what, &wanted);
                if kept != version.what || version.to.is_some() {
                    versions.push(division_version(version.from.max(now), None, kept));
                }
            }
        }
        for (code, version) in duty.tree.0.all_at(now) {
            if version.what.is_configured() && !divisions.iter().any(|one| one.code == *code) {
                let mut freed = version.what.clone();
                freed.wire.configured = false;
                versions.push(division_version(now, version.to, freed));
            }
        }
        let subject = format!("{} versions of divisions of the configuration", versions.len());
        Ok(Edited::with(CONFIGURATION, "seed-divisions", subject, versions))
    })
}

/// What is known of a division, with what the configuration says of it.
fn as_configured(there: &Division, wanted: &Division) -> Division {
    let wire = v1::Division {
        parent_code: wanted.wire.parent_code.clone(),
        name: wanted.wire.name.clone(),
        configured: true,
        ..there.wire.clone()
    };
    Division { parent: wanted.parent.clone(), wire, ..there.clone() }
}
