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
    not: Option<v1::RuleVerdict>,
}

/// What is asked: who is responsible for a kind of hazard, when, and how the town is run then.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The kind.
    pub kind: Kind,
    /// The moment.
    pub at: Wall,
    /// Unspecified is routine.
    pub mode: v1::DutyMode,
    /// Zone of bands that name none.
    pub site_zone: &'a str,
}

impl Asked<'_> {
    fn mode(&self) -> v1::DutyMode {
        if self.mode == v1::DutyMode::Unspecified { v1::DutyMode::Routine } else { self.mode }
    }
}

fn depth(path: &[DivisionCode], code: &DivisionCode) -> Option<usize> {
    path.iter().position(|one| one == code)
}

impl Duty {
    /// Who is responsible in a division.
    pub fn resolve(&self, asked: Asked<'_>, division: &DivisionCode) -> Result<Resolved<'_>> {
        let path = self.tree.path(division, asked.at);
        if path.is_empty() {
            return Err(Error::NotFound(format!(
                "division_code: {division} is not in force at {}",
                asked.at
            )));
        }
        let escalation = self.tree.escalation(division, asked.at);
        Ok(self.resolve_on(asked, &path, escalation))
    }
    /// Who is responsible at the end of a path, whether the tree knows of it or not.
    pub fn resolve_on(
        &self,
        asked: Asked<'_>,
        path: &[DivisionCode],
        escalation: Vec<DivisionCode>,
    ) -> Resolved<'_> {
        let (candidates, elsewhere) = self.candidates(asked, path);
        let taken = candidates.first().filter(|one| one.not.is_none());
        let rule = taken.map(|one| (one.number, one.version));
        let mut on_duty: Vec<(u64, &Version<Shift>)> = self
            .shifts
            .all_at(asked.at)
            .filter(|(_, version)| {
                depth(path, &version.what.division).is_some() && version.what.holds(asked.at, asked.site_zone)
            })
            .map(|(number, version)| (*number, version))
            .collect();
        let lead = rule.map(|(_, version)| version.what.lead_unit());
        on_duty.sort_by_key(|(number, version)| {
            let shift = &version.what;
            (Some(shift.unit()) != lead, Reverse(depth(path, &shift.division)), *number)
        });
        Resolved { rule, on_duty, escalation, trace: trace(&candidates, asked), elsewhere }
    }
    /// The rule that is taken at the end of a path, and no more.
    pub fn rule_on(&self, asked: Asked<'_>, path: &[DivisionCode]) -> Option<&Rule> {
        let (candidates, _) = self.candidates(asked, path);
        candidates.first().filter(|one| one.not.is_none()).map(|one| &one.version.what)
    }
    /// Rules of the divisions of a path, those that hold first, the most specific first; and how many there are elsewhere.
    fn candidates(&self, asked: Asked<'_>, path: &[DivisionCode]) -> (Vec<Candidate<'_>>, u32) {
        let (mut candidates, mut elsewhere) = (Vec::new(), 0);
        for (number, version) in self.rules.all_at(asked.at) {
            let rule = &version.what;
            let Some(depth) = depth(path, &rule.division) else {
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
            candidates.push(Candidate { number: *number, version, rank, not: does_not_hold(rule, asked) });
        }
        candidates.sort_unstable_by_key(|one| (one.not.is_some(), Reverse(one.rank)));
        (candidates, elsewhere)
    }
}

impl Resolved<'_> {
    /// As consoles are told it. `duty` is what it was resolved from.
    pub fn told(&self, duty: &Duty) -> v1::ResolveDutyResponse {
        let rule = self.rule.map(|(number, rule)| Rule::told(number, rule, duty.rules.until(&number, rule)));
        let shifts = self.on_duty.iter();
        let shifts =
            shifts.map(|(number, shift)| Shift::told(*number, shift, duty.shifts.until(number, shift)));
        v1::ResolveDutyResponse {
            rule,
            on_duty: shifts.collect(),
            escalation_codes: self.escalation.iter().map(ToString::to_string).collect(),
            trace: self.trace.clone(),
            elsewhere: self.elsewhere,
        }
    }
}

/// Why a rule of a division on the path does not hold; `None` when it does.
fn does_not_hold(rule: &Rule, asked: Asked<'_>) -> Option<v1::RuleVerdict> {
    if !rule.kinds.is_empty() && !rule.kinds.contains(&asked.kind) {
        return Some(v1::RuleVerdict::OtherKind);
    }
    if rule.mode != v1::DutyMode::Unspecified && rule.mode != asked.mode() {
        return Some(v1::RuleVerdict::OtherMode);
    }
    if rule.band.as_ref().is_some_and(|band| !band.contains(asked.at, asked.site_zone)) {
        return Some(v1::RuleVerdict::OtherTime);
    }
    None
}

fn trace(candidates: &[Candidate<'_>], asked: Asked<'_>) -> Vec<v1::RuleTrace> {
    let taken = candidates.first().filter(|one| one.not.is_none());
    let tell = |one: &Candidate<'_>| {
        let (verdict, why) = match (one.not, taken) {
            (Some(verdict), _) => {
                let what = match verdict {
                    v1::RuleVerdict::OtherKind => asked.kind.code().to_owned(),
                    v1::RuleVerdict::OtherMode => format!("the mode {}", word(asked.mode())),
                    _ => asked.at.rfc3339(asked.site_zone),
                };
                (verdict, format!("it is not for {what}"))
            }
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
