//! Shifts as statistics know them: places and hours, whoever was on duty. What somebody's name would say stands nowhere here,
//! but how many they were.

use std::collections::{BTreeSet, HashMap};

use xueliang_base::time::Wall;
use xueliang_proto::v1;

use crate::duty::{Band, Duty, Shift};

/// Hours at a place.
#[derive(Debug)]
struct Hours {
    name: String,
    /// When it was in force, from and until.
    spans: Vec<(Wall, Option<Wall>, Option<Band>)>,
    accounts: BTreeSet<String>,
}

/// Shifts that were in force in a stretch of time.
#[derive(Debug, Default)]
pub struct Roster {
    all: Vec<Hours>,
    /// Of each division.
    by_division: HashMap<String, Vec<usize>>,
    zone: String,
}

/// What the hours of a shift are called.
fn hours(shift: &v1::Shift) -> String {
    let Some(band) = &shift.band else { return format!("{} 00:00-24:00", shift.division_code) };
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    let mut days = band.days.clone();
    days.sort_unstable();
    days.dedup();
    let mut name = format!("{} {}-{}", shift.division_code, clock(band.from_minute), clock(band.to_minute));
    if !days.is_empty() && days.len() < 7 {
        let days: Vec<String> = days.iter().map(ToString::to_string).collect();
        name.push_str(&format!(" days {}", days.join(",")));
    }
    if !band.zone.is_empty() {
        name.push_str(&format!(" {}", band.zone));
    }
    name
}

impl Roster {
    /// Of what was in force between two moments.
    pub fn new(duty: &Duty, from: Wall, to: Wall, zone: &str) -> Self {
        let mut roster = Self { zone: zone.to_owned(), ..Self::default() };
        let mut known = HashMap::<String, usize>::new();
        for key in duty.shifts.keys() {
            for version in duty.shifts.of(key).iter().filter(|version| version.lives()) {
                let until = duty.shifts.until(key, version);
                if version.from >= to || until.is_some_and(|until| until <= from || until <= version.from) {
                    continue;
                }
                roster.add(&mut known, &version.what, version.from, until);
            }
        }
        roster
    }
    fn add(&mut self, known: &mut HashMap<String, usize>, shift: &Shift, from: Wall, until: Option<Wall>) {
        let name = hours(shift.stored());
        let at = *known.entry(name.clone()).or_insert(self.all.len());
        if at == self.all.len() {
            self.all.push(Hours { name, spans: Vec::new(), accounts: BTreeSet::new() });
            self.by_division.entry(shift.division.to_string()).or_default().push(at);
        }
        self.all[at].spans.push((from, until, shift.band.clone()));
        self.all[at].accounts.insert(shift.account().to_owned());
    }
    /// The shift that was on duty for a place: of the division nearest to it that had one.
    pub(super) fn at(&self, path: &[String], at: Wall) -> Option<usize> {
        path.iter()
            .rev()
            .filter(|code| self.by_division.contains_key(*code))
            .find_map(|code| self.of(code, at))
    }
    fn of(&self, division: &str, at: Wall) -> Option<usize> {
        let holds = |hours: &&usize| {
            self.all[**hours].spans.iter().any(|(from, until, band)| {
                *from <= at
                    && until.is_none_or(|until| at < until)
                    && band.as_ref().is_none_or(|band| band.contains(at, &self.zone))
            })
        };
        self.by_division.get(division)?.iter().find(holds).copied()
    }
    /// What a shift is called.
    pub(super) fn name(&self, shift: usize) -> Option<String> {
        self.all.get(shift).map(|hours| hours.name.clone())
    }
    /// How many were on duty in shifts of this name.
    pub(super) fn people(&self, name: &str) -> usize {
        self.all.iter().find(|hours| hours.name == name).map_or(0, |hours| hours.accounts.len())
    }
}
