//! How long people may take for something, in one of four units: as a configuration writes it, and as cases are timed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// In what a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Every unit, in the order of the protocol.
    pub const ALL: [LimitUnit; 4] =
        [LimitUnit::EmergencyMinutes, LimitUnit::OfficeMinutes, LimitUnit::OfficeDays, LimitUnit::Days];
    /// Whether it stands outside office hours.
    pub fn in_office_hours(self) -> bool {
        matches!(self, LimitUnit::OfficeMinutes | LimitUnit::OfficeDays)
    }
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// How many.
    pub amount: u32,
    /// Of what.
    pub unit: LimitUnit,
}

/// What is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no limit: write \"10 minutes\" or \"24 hours\" (day and night), \"4 office hours\", \"3 working days\" or \
     \"2 days\", at most a year"
)]
pub struct LimitError(String);

/// The longest limit, in minutes and in days: a leap year.
const LONGEST: (u32, u32) = (366 * 24 * 60, 366);

impl Limit {
    /// So many of a unit.
    pub const fn new(amount: u32, unit: LimitUnit) -> Self {
        Self { amount, unit }
    }
}

impl FromStr for Limit {
    type Err = LimitError;
    fn from_str(text: &str) -> Result<Self, LimitError> {
        let wrong = || LimitError(text.to_owned());
        let (amount, unit) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let amount: u32 = amount.parse().map_err(|_| wrong())?;
        let (each, unit) = match unit.trim() {
            "minute" | "minutes" => (1, LimitUnit::EmergencyMinutes),
            "hour" | "hours" => (60, LimitUnit::EmergencyMinutes),
            "office minute" | "office minutes" => (1, LimitUnit::OfficeMinutes),
            "office hour" | "office hours" => (60, LimitUnit::OfficeMinutes),
            "working day" | "working days" => (1, LimitUnit::OfficeDays),
            "day" | "days" => (1, LimitUnit::Days),
            _ => return Err(wrong()),
        };
        let most = match unit {
            LimitUnit::EmergencyMinutes | LimitUnit::OfficeMinutes => LONGEST.0,
            LimitUnit::OfficeDays | LimitUnit::Days => LONGEST.1,
        };
        let amount = amount.checked_mul(each).filter(|amount| (1..=most).contains(amount));
        Ok(Self::new(amount.ok_or_else(wrong)?, unit))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            LimitUnit::EmergencyMinutes => "minutes",
            LimitUnit::OfficeMinutes => "office minutes",
            LimitUnit::OfficeDays => "working days",
            LimitUnit::Days => "days",
        };
        write!(f, "{} {unit}", self.amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written_and_anything_else_is_refused() {
        use LimitUnit::{Days, EmergencyMinutes, OfficeDays, OfficeMinutes};
        for (text, amount, unit) in [
            ("1 minute", 1, EmergencyMinutes),
            ("24 hours", 1440, EmergencyMinutes),
            ("4 office hours", 240, OfficeMinutes),
            ("3 working days", 3, OfficeDays),
            ("366 days", 366, Days),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(limit, Limit::new(amount, unit), "{text}");
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        for text in
            ["", "5", "5m", "0 minutes", "-1 days", "367 days", "8785 hours", "4294967295 hours", "1 week"]
        {
            let refused = text.parse::<Limit>().unwrap_err().to_string();
            assert!(refused.contains("is no limit: write"), "{refused}");
        }
    }
}
