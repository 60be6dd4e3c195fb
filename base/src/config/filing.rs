//! `[camera.filing]`: what the file of a camera point (一机一档) and its filing with the police (备案, Order 799, Art. 14) say of it
//! beside what the service needs itself. All of it is of devices, places and units; there is no field for a person.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::reader::{Section, parsed, text, whole};

/// What is to be filed of a point. What is not known is left out, and the sheets say so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filing {
    /// 设备编码: 20 digits as GB/T 28181 has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_code: Option<String>,
    /// 设备厂商, by its number in the file of points: 1 to 15, or 99.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<u8>,
    /// 设备型号.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// 摄像机类型, by its number: 1 dome, 2 half dome, 3 fixed, 4 remote, 5 checkpoint, 99 unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera_type: Option<u8>,
    /// 管理单位.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managing_unit: Option<String>,
    /// 所属辖区公安机关: 12 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub police_code: Option<String>,
    /// What allows the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<LegalBasis>,
    /// 投入使用: since when it is in use; from this day the 30 days run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_use_since: Option<Day>,
    /// 录像保存天数: for how many days its recorder keeps what it records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_days: Option<u32>,
    /// 提示标识: since when a sign stands there; `None`: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_since: Option<Day>,
}

/// What allows a point in a public place: Order 799, Arts 7 and 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LegalBasis {
    /// Art. 7, first paragraph: a department of the government.
    #[serde(rename = "7-1")]
    Art7First,
    /// Art. 7, second paragraph: who runs the place.
    #[serde(rename = "7-2")]
    Art7Second,
    /// Art. 9: who has a duty of security at another place.
    #[serde(rename = "9")]
    Art9,
}

impl LegalBasis {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Art7First => "7-1",
            Self::Art7Second => "7-2",
            Self::Art9 => "9",
        }
    }
}

impl FromStr for LegalBasis {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Art7First, Self::Art7Second, Self::Art9].into_iter().find(|one| one.word() == text).ok_or_else(
            || {
                format!(
                    "{text:?}: use \"7-1\" (a department of the government), \"7-2\" (who runs the place) or \"9\" (who \
                     has a duty of security there); who is none of these may not install a camera in a public place"
                )
            },
        )
    }
}

/// A day of the calendar, `2026-11-30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(jiff::civil::Date);

impl Day {
    /// The day of a moment in a zone; in UTC where there is no such zone.
    pub fn of(at: crate::time::Wall, zone: &str) -> Self {
        let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let stamp = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
        Self(stamp.to_zoned(zone).date())
    }
    /// When it begins in a zone; in UTC where there is no such zone.
    pub fn begin(self, zone: &str) -> crate::time::Wall {
        let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let stamp = self.0.to_zoned(zone).map(|zoned| zoned.timestamp()).unwrap_or_default();
        crate::time::Wall(stamp.as_microsecond())
    }
    /// So many days later; the last day there is where that is beyond it.
    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(jiff::Span::new().days(i64::from(days))))
    }
    /// Days from this one to another; below 0 where that is past.
    pub fn until(self, other: Self) -> i64 {
        // Days of the calendar have 24 hours each: no zone, and no change of its clocks, is asked about.
        self.0.duration_until(other.0).as_hours() / 24
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no day: write it as \"2026-11-30\"");
        // Anything longer is a time as well, which jiff would take.
        if text.len() != 10 {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for Day {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.to_string()
    }
}

pub(super) fn read(camera: &Section<'_>) -> Filing {
    #[expect(clippy::cast_possible_truncation, reason = "the numbers are below 100")]
    let coded = |value: &DeValue<'_>, most: u64| {
        whole(1, 99)(value).and_then(|number| {
            if number <= most || number == 99 {
                Ok(number as u8)
            } else {
                Err(format!("use 1 to {most}, or 99"))
            }
        })
    };
    camera
        .section("filing", |s| Filing {
            device_code: s.opt("device_code", |value| digits(value, 20)),
            vendor: s.opt("vendor", |value| coded(value, 15)),
            model: s.opt("model", text),
            camera_type: s.opt("camera_type", |value| coded(value, 5)),
            managing_unit: s.opt("managing_unit", text),
            police_code: s.opt("police_code", |value| digits(value, 12)),
            legal_basis: s.opt("legal_basis", parsed),
            in_use_since: s.opt("in_use_since", day),
            #[expect(clippy::cast_possible_truncation, reason = "it is at most ten years")]
            recorded_days: s.opt("recorded_days", whole(0, 3650)).map(|days| days as u32),
            sign_since: s.opt("sign_since", day),
        })
        .unwrap_or_default()
}

/// Days are written as texts or as TOML has them.
fn day(value: &DeValue<'_>) -> Result<Day, String> {
    match value {
        DeValue::Datetime(at) => at.to_string().parse(),
        _ => parsed(value),
    }
}

fn digits(value: &DeValue<'_>, count: usize) -> Result<String, String> {
    let text = text(value)?;
    if text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(format!("{text:?}: write {count} digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    #[test]
    fn a_day_is_that_of_the_site_and_days_are_counted_between_days() {
        // 2026-11-30T16:30:00Z is the first of December in Shanghai.
        let at = Wall(1_796_056_200_000_000);
        let (shanghai, utc) = (Day::of(at, "Asia/Shanghai"), Day::of(at, "UTC"));
        assert_eq!((shanghai.to_string().as_str(), utc.to_string().as_str()), ("2026-12-01", "2026-11-30"));
        assert_eq!((utc.until(shanghai), shanghai.until(utc)), (1, -1));
        assert_eq!(Day::of(shanghai.begin("Asia/Shanghai"), "Asia/Shanghai"), shanghai);
        assert_eq!(shanghai.begin("UTC").0 - shanghai.begin("Asia/Shanghai").0, 8 * 3600 * 1_000_000);
        assert_eq!(utc.plus(30).to_string(), "2026-12-30");
        assert_eq!(utc.until(utc.plus(30)), 30);
        for wrong in ["2026-13-01", "2026-11-30T00:00:00", "30.11.2026", ""] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }
}
