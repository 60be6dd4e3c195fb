//! The division tree over time: paths, ladders, and what must hold at every moment.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_base::{id::DivisionCode, time::Wall};
use xueliang_proto::v1;

use super::{
    division::{Division, Level},
    history::{History, Version},
};

/// Divisions one above the other, and rungs of a ladder. Seven levels are usual; the rest is for nodes in between.
const DEEPEST: usize = 16;

/// Divisions, as they were, are and will be.
#[derive(Debug, Clone, Default)]
pub struct Tree(pub History<DivisionCode, Division>);

impl Tree {
    /// The version of a division in force at a moment.
    pub fn at(&self, code: &DivisionCode, at: Wall) -> Option<&Version<Division>> {
        self.0.at(code, at)
    }
    /// From a division up to the root, itself first; empty where it is not in force. Ends where a circle would begin.
    fn upwards(&self, code: &DivisionCode, at: Wall) -> Vec<&Division> {
        let mut found: Vec<&Division> = Vec::new();
        let mut next = Some(code);
        while let Some(version) = next.and_then(|code| self.at(code, at)) {
            if found.len() > DEEPEST {
                break;
            }
            next = version.what.parent.as_ref();
            found.push(&version.what);
        }
        found
    }
    /// Codes from the root down to a division, itself included; empty where it is not in force.
    pub fn path(&self, code: &DivisionCode, at: Wall) -> Vec<DivisionCode> {
        self.upwards(code, at).into_iter().rev().map(|one| one.code.clone()).collect()
    }
    /// Whether a division lies in one of these subtrees, at a moment.
    pub fn lies_in(&self, code: &DivisionCode, subtrees: &[DivisionCode], at: Wall) -> bool {
        self.upwards(code, at).iter().any(|one| subtrees.contains(&one.code))
    }
    /// Where what is not settled in a division goes, nearest first: up the ladder that it or the nearest division above
    /// says, or up its parents where none says one, or where nothing on its path stands on that ladder.
    pub fn escalation(&self, code: &DivisionCode, at: Wall) -> Vec<DivisionCode> {
        let above = self.upwards(code, at);
        let parents = || above.iter().skip(1).map(|one| one.code.clone()).collect();
        let Some(ladder) = above.iter().find_map(|one| one.ladder()) else { return parents() };
        let Some(begin) = above.iter().find(|one| step(one, ladder).is_some()) else { return parents() };
        let mut rungs = self.climb(begin, ladder, at).unwrap_or_default();
        if begin.code != *code {
            rungs.insert(0, begin.code.clone());
        }
        rungs
    }
    /// The rungs above a division on a ladder; `None` when they go round in a circle or to a division not in force.
    fn climb(&self, from: &Division, ladder: &str, at: Wall) -> Option<Vec<DivisionCode>> {
        let mut rungs: Vec<DivisionCode> = Vec::new();
        let mut next = step(from, ladder);
        while let Some(code) = next {
            if rungs.contains(code) || *code == from.code || rungs.len() >= DEEPEST {
                return None;
            }
            rungs.push(code.clone());
            next = step(&self.at(code, at)?.what, ladder);
        }
        Some(rungs)
    }
    /// A version as consoles are told it, with its path and where it escalates at a moment.
    pub fn told(&self, version: &Version<Division>, at: Wall) -> v1::Division {
        let code = &version.what.code;
        let text = |codes: Vec<DivisionCode>| codes.iter().map(ToString::to_string).collect();
        v1::Division {
            path_codes: text(self.path(code, at)),
            escalation_codes: text(self.escalation(code, at)),
            ..Division::told(version, self.0.until(code, version))
        }
    }
    /// What is wrong with these divisions, and because of them with those below and beside them, from a moment on: each
    /// with its code. Looks at every moment at which something begins or ends.
    pub fn faults(&self, touched: &BTreeSet<DivisionCode>, from: Wall) -> Vec<(DivisionCode, String)> {
        let moments: BTreeSet<Wall> = self.0.turns_after(from).chain([from]).collect();
        let mut faults: Vec<(DivisionCode, String)> = Vec::new();
        for at in moments {
            let now: BTreeMap<&DivisionCode, &Division> =
                self.0.all_at(at).map(|(code, version)| (code, &version.what)).collect();
            let depends = |one: &Division| {
                touched.contains(&one.code)
                    || one.parent.as_ref().is_some_and(|code| touched.contains(code))
                    || one.steps.iter().any(|(_, code)| touched.contains(code))
            };
            for one in now.values().filter(|one| depends(one)) {
                if let Some(fault) = self.fault(one, &now, at)
                    && !faults.iter().any(|(code, _)| *code == one.code)
                {
                    faults.push((one.code.clone(), fault));
                }
            }
        }
        faults
    }
    /// What is wrong with one division at a moment.
    fn fault(&self, one: &Division, now: &BTreeMap<&DivisionCode, &Division>, at: Wall) -> Option<String> {
        let code = &one.code;
        let parent = match &one.parent {
            None => None,
            Some(parent) => match now.get(parent) {
                Some(found) => Some(*found),
                None => {
                    return Some(format!(
                        "parent_code: {parent} is not in force at {at}, and {code} lies in it"
                    ));
                }
            },
        };
        let above = self.upwards(code, at);
        if above.len() > DEEPEST {
            return Some(format!(
                "parent_code: {code} would lie in itself, or deeper than the {DEEPEST} levels that are allowed"
            ));
        }
        if let Some(fault) = parent.and_then(|parent| level_fault(one, parent, &above[1..])) {
            return Some(fault);
        }
        if let Some(fault) = one.code_fault(above[1..].iter().find_map(|one| one.statutory_code())) {
            return Some(fault);
        }
        for (ladder, to) in &one.steps {
            if !now.contains_key(to) {
                return Some(format!(
                    "steps: {to}, above {code} on the ladder {ladder:?}, is not in force at {at}"
                ));
            }
            if self.climb(one, ladder, at).is_none() {
                return Some(format!(
                    "steps: the ladder {ladder:?} would lead from {code} back to itself, or has no end"
                ));
            }
        }
        None
    }
}

fn step<'a>(one: &'a Division, ladder: &str) -> Option<&'a DivisionCode> {
    one.steps.iter().find(|(name, _)| name == ladder).map(|(_, code)| code)
}

/// What is wrong with the levels of a division and of what lies above it, its parent first.
fn level_fault(one: &Division, parent: &Division, above: &[&Division]) -> Option<String> {
    let level = one.level?;
    let functional = |one: &Division| one.kind == v1::DivisionKind::Functional;
    let (code, zh) = (&one.code, level.zh());
    match level {
        Level::Grid if !functional(one) => {
            let village =
                parent.level == Some(Level::Village) || (functional(parent) && parent.level.is_none());
            if !village {
                return Some(format!(
                    "parent_code: a grid lies in a village or community, never directly in {} as {code} would",
                    parent.code
                ));
            }
        }
        Level::MicroGrid if !functional(one) && parent.level != Some(Level::Grid) => {
            return Some(format!("parent_code: a micro-grid lies in a grid, and {} is none", parent.code));
        }
        _ => {}
    }
    let ranked = above.iter().find(|one| one.level.is_some())?;
    let least = ranked.level?;
    let beside = level == least && (functional(one) || functional(ranked));
    let wrong = level <= least && !beside;
    wrong.then(|| {
        format!("level: {code} is of the level {zh} and lies in {}, of the level {}", ranked.code, least.zh())
    })
}
