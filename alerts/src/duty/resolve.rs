//! Who is responsible. Pure: the moment is a parameter.
//!
//! Of the rules that hold, the most specific one is taken. What counts, in this order: that it names the mode (an emergency
//! overrides what holds at any time); that it names the kind (谁主管谁负责: who is in charge of fires is so in every grid); how
//! deep its division lies; that it names fewer kinds; how little of the week its band is; that its number is higher. No two
//! rules are equal in all of them, so the order in which rules are looked at decides nothing.

use std::cmp::Reverse;

use xueliang_base::{id::DivisionCode, kind::Kind, time::Wall};
use xueliang_proto::v1;

use super::{
    Duty,
    band::Band,
    history::Version,
    rule::{Rule, Shift},
};
use crate::error::{Error, Result};

/// Minutes of a week: the band of a rule that always holds.
const WEEK: u32 = 7 * 1440;

/// Who is responsible, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved<'a> {
    /// The rule that was taken, with its number; `None`: none holds.
    pub rule: Option<(u64, &'a Version<Rule>)>,
    /// Shifts on duty at the place and above it: those of the leading unit, then the others; each nearest first.
    pub on_duty: Vec<(u64, &'a Version<Shift>)>,
    /// Where what is not settled goes, nearest first.
    pub escalation: Vec<DivisionCode>,
    /// The rules of the divisions on the path, the one taken first, then by how specific they are.
    pub trace: Vec<v1::RuleTrace>,
    /// Rules in force elsewhere.
    pub elsewhere: u32,
}

/// How specific a rule is: see the head of this file.
type Rank = (bool, bool, usize, Reverse<usize>, Reverse<u32>, u64);

struct Candidate<'a> {
    number: u64,
    version: &'a Version<Rule>,
    rank: Rank,
    /// Why it does not hold.
    not: Option<(v1::RuleVerdict, String)>,
}

impl Duty {
    /// Who is responsible for a kind of hazard in a division at a moment. A mode that is unspecified is routine.
    pub fn resolve(
        &self,
        kind: Kind,
        division: &DivisionCode,
        at: Wall,
        mode: v1::DutyMode,
        site_zone: &str,
    ) -> Result<Resolved<'_>> {
        let mode = if mode == v1::DutyMode::Unspecified { v1::DutyMode::Routine } else { mode };
        let path = self.tree.path(division, at);
        if path.is_empty() {
            return Err(Error::NotFound(format!("division_code: {division} is not in force at {at}")));
        }
        let depth = |code: &DivisionCode| path.iter().position(|one| one == code);
        let mut candidates = Vec::new();
        let mut elsewhere = 0;
        for (number, version) in self.rules.all_at(at) {
            let rule = &version.what;
            let Some(depth) = depth(&rule.division) else {
                elsewhere += 1;
                continue;
            };
            let week = rule.band.as_ref().map_or(WEEK, Band::minutes_a_week);
            let rank = (
                rule.mode != v1::DutyMode::Unspecified,
                !rule.kinds.is_empty(),
                depth,
                Reverse(rule.kinds.len()),
                Reverse(week),
                *number,
            );
            let not = does_not_hold(rule, kind, at, mode, site_zone);
            candidates.push(Candidate { number: *number, version, rank, not });
        }
        candidates.sort_unstable_by_key(|one| (one.not.is_some(), Reverse(one.rank)));
        let taken = candidates.first().filter(|one| one.not.is_none());
        let rule = taken.map(|one| (one.number, one.version));
        let mut on_duty: Vec<(u64, &Version<Shift>)> = self
            .shifts
            .all_at(at)
            .filter(|(_, version)| {
                depth(&version.what.division).is_some() && version.what.holds(at, site_zone)
            })
            .map(|(number, version)| (*number, version))
            .collect();
        let lead = rule.map(|(_, version)| version.what.lead_unit());
        on_duty.sort_by_key(|(number, version)| {
            let shift = &version.what;
            (Some(shift.unit()) != lead, Reverse(depth(&shift.division)), *number)
        });
        Ok(Resolved {
            rule,
            on_duty,
            escalation: self.tree.escalation(division, at),
            trace: trace(&candidates),
            elsewhere,
        })
    }
}

/// Why a rule of a division on the path does not hold; `None` when it does.
fn does_not_hold(
    rule: &Rule,
    kind: Kind,
    at: Wall,
    mode: v1::DutyMode,
    site_zone: &str,
) -> Option<(v1::RuleVerdict, String)> {
    if !rule.kinds.is_empty() && !rule.kinds.contains(&kind) {
        return Some((v1::RuleVerdict::OtherKind, format!("it is not for {}", kind.code())));
    }
    if rule.mode != v1::DutyMode::Unspecified && rule.mode != mode {
        return Some((v1::RuleVerdict::OtherMode, format!("it is not for the mode {}", word(mode))));
    }
    if rule.band.as_ref().is_some_and(|band| !band.contains(at, site_zone)) {
        return Some((v1::RuleVerdict::OtherTime, format!("it is not for {}", at.rfc3339(site_zone))));
    }
    None
}

fn trace(candidates: &[Candidate<'_>]) -> Vec<v1::RuleTrace> {
    let taken = candidates.first().filter(|one| one.not.is_none());
    let tell = |one: &Candidate<'_>| {
        let (verdict, why) = match (&one.not, taken) {
            (Some((verdict, why)), _) => (*verdict, why.clone()),
            (None, Some(taken)) if taken.number != one.number => {
                let why = format!("rule {} {}", taken.number, more_specific(taken.rank, one.rank));
                (v1::RuleVerdict::LessSpecific, why)
            }
            (None, _) => {
                (v1::RuleVerdict::Taken, format!("it is the most specific for {}", one.version.what.division))
            }
        };
        v1::RuleTrace { rule_id: one.number, verdict: verdict.into(), why }
    };
    candidates.iter().map(tell).collect()
}

/// In what a rule is more specific than another.
fn more_specific(a: Rank, b: Rank) -> &'static str {
    match (a.0 == b.0, a.1 == b.1, a.2 == b.2, a.3 == b.3, a.4 == b.4) {
        (false, ..) => "names the mode",
        (_, false, ..) => "names the kind",
        (_, _, false, ..) => "is of a division further down",
        (_, _, _, false, _) => "names fewer kinds",
        (_, _, _, _, false) => "is for less of the week",
        _ => "is alike and was made later",
    }
}

fn word(mode: v1::DutyMode) -> &'static str {
    match mode {
        v1::DutyMode::Emergency => "emergency",
        v1::DutyMode::Routine | v1::DutyMode::Unspecified => "routine",
    }
}
