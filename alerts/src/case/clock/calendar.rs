//! Office hours and holidays, from a file.
//!
//! A text, one statement a line; `#` begins a comment:
//!
//! ```text
//! hours 08:00-12:00 14:00-18:00      # of every working day; the last line of its kind counts
//! off   2026-10-01..2026-10-07 国庆  # days off, one or a stretch, and what for
//! work  2026-10-10                   # a working day all the same (调休)
//! ```
//!
//! Without a statement Saturdays and Sundays are off and office hours are 08:00 to 12:00 and 14:00 to 18:00. A day may be
//! named once. Days begin and end in the zone of the site.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};
use xueliang_base::{
    limit::{Limit, LimitUnit},
    time::Wall,
};

/// Most days that a limit may reach over: ten years.
const FARTHEST_DAYS: u32 = 3660;
/// Days that the file may name.
const MOST_DAYS: usize = 10_000;

/// Office hours and holidays in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    /// Begin and end, in minutes of the day; in order, apart.
    hours: Vec<(u32, u32)>,
    /// Days that are not as their day of the week: whether they are worked on.
    named: BTreeMap<civil::Date, bool>,
}

/// What is wrong with a calendar's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct CalendarError {
    line: usize,
    fault: String,
}

impl Calendar {
    /// Without any file.
    pub fn usual(zone: TimeZone) -> Self {
        Self { zone, hours: vec![(8 * 60, 12 * 60), (14 * 60, 18 * 60)], named: BTreeMap::new() }
    }
    /// Of a file's text.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, CalendarError> {
        let mut calendar = Self::usual(zone);
        for (index, line) in text.lines().enumerate() {
            let statement = line.split('#').next().unwrap_or_default();
            let mut words = statement.split_whitespace();
            let read = match words.next() {
                None => Ok(()),
                Some("hours") => read_hours(words).map(|hours| calendar.hours = hours),
                Some("off") => calendar.name(words.next(), false),
                Some("work") => calendar.name(words.next(), true),
                Some(other) => Err(format!("{other:?} is none of hours, off and work")),
            };
            read.map_err(|fault| CalendarError { line: index + 1, fault })?;
        }
        Ok(calendar)
    }
    fn name(&mut self, days: Option<&str>, worked: bool) -> Result<(), String> {
        let days = days.ok_or("name a day, as 2026-10-01, or a stretch, as 2026-10-01..2026-10-07")?;
        let (first, last) = days.split_once("..").unwrap_or((days, days));
        let date = |text: &str| {
            text.parse::<civil::Date>().map_err(|_| format!("{text:?} is no day, write it as 2026-10-01"))
        };
        let (mut day, last) = (date(first)?, date(last)?);
        if last < day {
            return Err(format!("{days} ends before it begins"));
        }
        loop {
            if self.named.insert(day, worked).is_some() {
                return Err(format!("{day} is named twice"));
            }
            if self.named.len() > MOST_DAYS {
                return Err(format!("more than {MOST_DAYS} days are named"));
            }
            if day == last {
                return Ok(());
            }
            day = day.tomorrow().map_err(|_| format!("{days} reaches too far"))?;
        }
    }
    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }
    /// Whether a day is worked on.
    pub fn is_working(&self, day: civil::Date) -> bool {
        let weekend = matches!(day.weekday(), civil::Weekday::Saturday | civil::Weekday::Sunday);
        self.named.get(&day).copied().unwrap_or(!weekend)
    }
    /// Office time of a working day.
    pub fn office_day(&self) -> Duration {
        let minutes: u32 = self.hours.iter().map(|(begin, end)| end - begin).sum();
        Duration::from_secs(u64::from(minutes) * 60)
    }
    fn day_of(&self, at: Wall) -> civil::Date {
        let stamp = Timestamp::from_microsecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        stamp.to_zoned(self.zone.clone()).date()
    }
    /// How long a limit is, in its unit's time.
    pub fn length(&self, limit: Limit) -> Duration {
        let one = match limit.unit {
            LimitUnit::EmergencyMinutes | LimitUnit::OfficeMinutes => Duration::from_secs(60),
            LimitUnit::OfficeDays => self.office_day(),
            LimitUnit::Days => Duration::from_secs(86_400),
        };
        one.saturating_mul(limit.amount)
    }
    /// The earliest moment by which so much of a unit's time has passed.
    pub(super) fn forward(&self, unit: LimitUnit, at: Wall, time: Duration) -> Wall {
        if unit.in_office_hours() { self.after(at, time) } else { at.plus(time) }
    }
    /// How much of a unit's time lies between two moments.
    pub(super) fn passed(&self, unit: LimitUnit, from: Wall, to: Wall) -> Duration {
        if unit.in_office_hours() {
            self.between(from, to)
        } else {
            Duration::from_micros(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
        }
    }
    /// The stretches of a day that are office hours.
    fn stretches(&self, day: civil::Date) -> impl Iterator<Item = (Wall, Wall)> {
        let hours = if self.is_working(day) { &self.hours[..] } else { &[] };
        let moment = move |minutes: u32| {
            let at =
                day.to_datetime(civil::Time::midnight()).checked_add(i64::from(minutes).minutes()).ok()?;
            let zoned = at.to_zoned(self.zone.clone()).ok()?;
            Some(Wall(zoned.timestamp().as_microsecond()))
        };
        // An hour that a change of the clocks leaves out is an empty stretch.
        let stretch = move |&(begin, end): &(u32, u32)| Some((moment(begin)?, moment(end)?));
        hours.iter().filter_map(stretch).filter(|(begin, end)| begin < end)
    }
    /// The earliest moment, not before `at`, by which so much office time has passed.
    pub fn after(&self, at: Wall, time: Duration) -> Wall {
        let mut left = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        if left == 0 {
            return at;
        }
        let mut day = self.day_of(at);
        for _ in 0..FARTHEST_DAYS {
            for (begin, end) in self.stretches(day) {
                let begin = begin.max(at);
                let room = end.0.saturating_sub(begin.0);
                if room >= left {
                    return Wall(begin.0 + left);
                }
                left -= room.max(0);
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        at.plus(Duration::from_secs(u64::from(FARTHEST_DAYS) * 86_400))
    }
    /// How much office time lies between two moments.
    pub fn between(&self, from: Wall, to: Wall) -> Duration {
        let (mut day, last) = (self.day_of(from), self.day_of(to));
        let mut sum = 0;
        for _ in 0..FARTHEST_DAYS {
            for (begin, end) in self.stretches(day) {
                sum += (end.min(to).0 - begin.max(from).0).max(0);
            }
            if day >= last {
                break;
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        Duration::from_micros(u64::try_from(sum).unwrap_or(0))
    }
}

fn read_hours<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<(u32, u32)>, String> {
    let wrong = |word: &str| format!("{word:?} is no stretch of a day, write it as 08:00-12:00");
    let minutes = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
        (hour <= 24 && minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
    };
    let mut hours: Vec<(u32, u32)> = Vec::new();
    for word in words {
        let stretch = word.split_once('-').and_then(|(begin, end)| Some((minutes(begin)?, minutes(end)?)));
        let (begin, end) = stretch.ok_or_else(|| wrong(word))?;
        if begin >= end || hours.last().is_some_and(|(_, before)| begin < *before) {
            return Err(format!("{word}: stretches follow one another, each with its begin before its end"));
        }
        hours.push((begin, end));
    }
    if hours.is_empty() { Err("name at least one stretch, as 08:00-12:00".to_owned()) } else { Ok(hours) }
}
