//! Limits, in four units, and which apply to a case: those of its kind's class and level.

use std::time::Duration;

use xueliang_base::{
    id::DivisionCode,
    kind::{Class, Level},
    time::Wall,
};

use super::{Calendar, Stage};

/// In what a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitUnit {
    /// 紧急工作时, in minutes: day and night.
    EmergencyMinutes,
    /// 工作时, in minutes of office hours.
    OfficeMinutes,
    /// 工作日: the office hours of so many working days.
    OfficeDays,
    /// 自然日: 24 hours each.
    Days,
}

impl LimitUnit {
    /// Every unit.
    pub const ALL: [LimitUnit; 4] =
        [LimitUnit::EmergencyMinutes, LimitUnit::OfficeMinutes, LimitUnit::OfficeDays, LimitUnit::Days];
    fn in_office_hours(self) -> bool {
        matches!(self, LimitUnit::OfficeMinutes | LimitUnit::OfficeDays)
    }
    /// The earliest moment by which so much of this unit's time has passed.
    pub(super) fn after(self, at: Wall, time: Duration, calendar: &Calendar) -> Wall {
        if self.in_office_hours() { calendar.after(at, time) } else { at.plus(time) }
    }
    /// How much of this unit's time lies between two moments.
    pub(super) fn between(self, from: Wall, to: Wall, calendar: &Calendar) -> Duration {
        if self.in_office_hours() {
            calendar.between(from, to)
        } else {
            Duration::from_micros(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
        }
    }
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    /// How many.
    pub amount: u32,
    /// Of what.
    pub unit: LimitUnit,
}

impl Limit {
    /// So many of a unit.
    pub const fn new(amount: u32, unit: LimitUnit) -> Self {
        Self { amount, unit }
    }
    /// Its length in its unit's time.
    pub fn length(self, calendar: &Calendar) -> Duration {
        let one = match self.unit {
            LimitUnit::EmergencyMinutes | LimitUnit::OfficeMinutes => Duration::from_secs(60),
            LimitUnit::OfficeDays => calendar.office_day(),
            LimitUnit::Days => Duration::from_secs(86_400),
        };
        one.saturating_mul(self.amount)
    }
}

/// The limits of a case, by stage; a stage without one is not timed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits(pub [Option<Limit>; 6]);

impl Limits {
    /// Of a stage.
    pub fn of(&self, stage: Stage) -> Option<Limit> {
        self.0[stage as usize]
    }
    /// What is usual for a class and level: the table of the lifecycle.
    pub fn usual(class: Class, level: Level) -> Self {
        use LimitUnit::{Days, EmergencyMinutes, OfficeDays, OfficeMinutes};
        let minutes = |amount| Some(Limit::new(amount, EmergencyMinutes));
        let office = |amount| Some(Limit::new(amount, OfficeMinutes));
        let days = |amount| Some(Limit::new(amount, OfficeDays));
        let verify = minutes(30);
        Self(match (class, level.number()) {
            (Class::Device, _) => [None, None, office(4 * 60), None, verify, Some(Limit::new(3, Days))],
            // Danger to life: nobody waits for the office to open.
            (_, 1 | 2) => [minutes(1), minutes(2), minutes(5), minutes(30), verify, minutes(24 * 60)],
            (_, 3) => [minutes(10), minutes(15), minutes(60), office(4 * 60), verify, days(3)],
            _ => [minutes(30), office(60), days(1), None, verify, days(5)],
        })
    }
}

/// What the clock of cases goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Office hours and holidays.
    pub calendar: Calendar,
    /// Divisions whose cases another platform keeps, subtrees included.
    pub external: Vec<DivisionCode>,
}

impl Policy {
    /// A calendar, and every case kept here.
    pub fn usual(calendar: Calendar) -> Self {
        Self { calendar, external: Vec::new() }
    }
    /// The limits of a case.
    pub fn limits(&self, class: Class, level: Level) -> Limits {
        Limits::usual(class, level)
    }
}
