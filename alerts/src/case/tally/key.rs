//! By what cases are grouped: what each case's value is, and what it is called.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, StatisticsKey};

use super::{Counted, Roster};

/// In so much time neither hour nor day changes in any zone: all are a multiple of it off.
const QUARTER_US: i64 = 900_000_000;

/// What numbers in cases stand for, and what else groups are made by.
#[derive(Debug)]
pub struct Names {
    /// Camera and divisions of places, from the root down.
    pub places: HashMap<i64, (String, Vec<String>)>,
    /// Rule and model of what raised alerts.
    pub sources: HashMap<i64, (String, String)>,
    /// Units.
    pub units: HashMap<i64, String>,
    /// How many people's accounts act for each unit.
    pub people: HashMap<String, usize>,
    /// Who was on duty.
    pub roster: Roster,
    /// The zone of hours and days.
    pub zone: TimeZone,
    /// How far below the root of the tree divisions are told, the root being 1; 0: the camera's own.
    pub depth: usize,
}

/// What a value is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Label {
    Number(i32),
    Text(String),
    /// There is none: no unit was asked, nobody was on duty, no model counted.
    None,
    Others,
}

/// One key of a tally. Labels are numbered as they come; what a number in a case leads to is looked up once.
pub(super) struct Key<'a> {
    by: StatisticsKey,
    names: &'a Names,
    labels: Vec<Label>,
    numbers: HashMap<Label, u32>,
    known: HashMap<i64, u32>,
    /// The last quarter of an hour that was asked for, with its hour and its day's number.
    quarter: (i64, i64),
}

impl<'a> Key<'a> {
    pub(super) fn new(by: StatisticsKey, names: &'a Names) -> Self {
        let (labels, numbers, known) = Default::default();
        Self { by, names, labels, numbers, known, quarter: (i64::MIN, 0) }
    }
    /// The number of a label.
    pub(super) fn label(&mut self, label: Label) -> u32 {
        if let Some(number) = self.numbers.get(&label) {
            return *number;
        }
        let number = u32::try_from(self.labels.len()).expect("there are fewer labels than cases");
        self.labels.push(label.clone());
        self.numbers.insert(label, number);
        number
    }
    /// The number of a case's label.
    pub(super) fn of(&mut self, one: &Counted) -> u32 {
        let raw = match self.by {
            StatisticsKey::Kind => i64::from(one.kind),
            StatisticsKey::Level => i64::from(one.level),
            StatisticsKey::Division | StatisticsKey::Camera => one.place,
            StatisticsKey::Hour | StatisticsKey::Day => self.local(one.opened),
            StatisticsKey::Unit => one.unit.unwrap_or(-1),
            StatisticsKey::Shift => self.shift(one),
            StatisticsKey::Rule | StatisticsKey::Model => one.source.unwrap_or(-1),
            StatisticsKey::Unspecified => 0,
        };
        if let Some(number) = self.known.get(&raw) {
            return *number;
        }
        let label = self.named(raw, one.opened);
        let number = self.label(label);
        self.known.insert(raw, number);
        number
    }
    fn shift(&self, one: &Counted) -> i64 {
        let path = self.names.places.get(&one.place).map_or(&[][..], |(_, path)| path.as_slice());
        let found = self.names.roster.at(path, one.opened);
        found.and_then(|shift| i64::try_from(shift).ok()).unwrap_or(-1)
    }
    /// Hour, or a number of the day.
    fn local(&mut self, at: Wall) -> i64 {
        let quarter = at.0.div_euclid(QUARTER_US);
        if self.quarter.0 != quarter {
            let local = local(at, &self.names.zone);
            let value = match self.by {
                StatisticsKey::Hour => i64::from(local.hour()),
                _ => i64::from(local.date().year()) * 512 + i64::from(local.date().day_of_year()),
            };
            self.quarter = (quarter, value);
        }
        self.quarter.1
    }
    fn named(&self, raw: i64, opened: Wall) -> Label {
        let text = |text: Option<&String>| match text {
            Some(text) if !text.is_empty() => Label::Text(text.clone()),
            _ => Label::None,
        };
        match self.by {
            StatisticsKey::Kind | StatisticsKey::Level | StatisticsKey::Hour => {
                Label::Number(i32::try_from(raw).unwrap_or(i32::MAX))
            }
            StatisticsKey::Day => Label::Text(local(opened, &self.names.zone).date().to_string()),
            StatisticsKey::Camera => text(self.names.places.get(&raw).map(|(camera, _)| camera)),
            StatisticsKey::Division => {
                let path = self.names.places.get(&raw).map_or(&[][..], |(_, path)| path.as_slice());
                let at = if self.names.depth == 0 { path.len() } else { self.names.depth.min(path.len()) };
                text(at.checked_sub(1).and_then(|at| path.get(at)))
            }
            StatisticsKey::Unit => text(self.names.units.get(&raw)),
            StatisticsKey::Shift => {
                let shift = usize::try_from(raw).ok().and_then(|shift| self.names.roster.name(shift));
                text(shift.as_ref())
            }
            StatisticsKey::Rule => text(self.names.sources.get(&raw).map(|(rule, _)| rule)),
            StatisticsKey::Model => text(self.names.sources.get(&raw).map(|(_, model)| model)),
            StatisticsKey::Unspecified => Label::None,
        }
    }
    /// How many people's figures those of a label are; `None`: nobody's.
    pub(super) fn people(&self, label: u32) -> Option<usize> {
        let Label::Text(name) = self.labels.get(label as usize)? else { return None };
        match self.by {
            StatisticsKey::Unit => Some(self.names.people.get(name).copied().unwrap_or(0)),
            StatisticsKey::Shift => Some(self.names.roster.people(name)),
            _ => None,
        }
    }
    /// A label as it is told.
    pub(super) fn value(&self, label: u32) -> v1::StatisticsValue {
        let mut value = v1::StatisticsValue { key: self.by.into(), ..v1::StatisticsValue::default() };
        match self.labels.get(label as usize) {
            Some(Label::Number(number)) => value.number = *number,
            Some(Label::Text(text)) => value.text.clone_from(text),
            Some(Label::Others) => value.others = true,
            Some(Label::None) | None => {}
        }
        value
    }
}

fn local(at: Wall, zone: &TimeZone) -> jiff::civil::DateTime {
    zone.to_datetime(Timestamp::from_microsecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH))
}
