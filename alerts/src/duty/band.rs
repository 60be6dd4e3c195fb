//! A stretch of the day on some days of the week, in a zone; it may pass midnight.

use xueliang_base::time::{Wall, is_zone};
use xueliang_proto::v1;

use crate::error::{Error, Result};

const DAY: u16 = 1440;

/// When, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// Bit `n` for day `n`, 1 Monday to 7 Sunday; a stretch belongs to the day on which it begins.
    days: u8,
    from_min: u16,
    to_min: u16,
    /// `None`: the site's.
    zone: Option<String>,
}

impl Band {
    /// From the wire. Says what is wrong with it.
    pub fn read(wire: &v1::TimeBand) -> Result<Self> {
        let mut days = 0;
        for day in &wire.days {
            if !(1..=7).contains(day) {
                return Err(Error::Invalid(format!("band.days: {day} is no day, Monday is 1 and Sunday 7")));
            }
            days |= 1 << day;
        }
        let minute = |field: &str, value: u32, most: u16| {
            let known = u16::try_from(value).ok().filter(|minute| *minute <= most);
            known.ok_or_else(|| Error::Invalid(format!("{field}: {value} is more than {most}")))
        };
        if !wire.zone.is_empty() && !is_zone(&wire.zone) {
            return Err(Error::Invalid(format!(
                "band.zone: {:?} is no IANA zone, as \"Asia/Shanghai\"",
                wire.zone
            )));
        }
        Ok(Self {
            days: if days == 0 { 0b1111_1110 } else { days },
            from_min: minute("band.from_minute", wire.from_minute, DAY - 1)?,
            to_min: minute("band.to_minute", wire.to_minute, DAY)?,
            zone: (!wire.zone.is_empty()).then(|| wire.zone.clone()),
        })
    }
    /// Whether a moment lies in it; `site_zone` is the zone where it names none.
    pub fn contains(&self, at: Wall, site_zone: &str) -> bool {
        // Zones are checked when they are read; what a later data base of zones no longer knows is taken as UTC.
        let zone = self.zone.as_deref().unwrap_or(site_zone);
        let local = at.day_and_minute(zone).or_else(|| at.day_and_minute("UTC"));
        let Some((day, minute)) = local else { return false };
        let begins = |day: u8| self.days & (1 << day) != 0;
        let day_before = if day == 1 { 7 } else { day - 1 };
        if self.from_min < self.to_min {
            begins(day) && (self.from_min..self.to_min).contains(&minute)
        } else {
            (minute >= self.from_min && begins(day)) || (minute < self.to_min && begins(day_before))
        }
    }
    /// How much of a week it is, in minutes.
    pub fn minutes_a_week(&self) -> u32 {
        let a_day = if self.from_min < self.to_min {
            self.to_min - self.from_min
        } else {
            DAY - self.from_min + self.to_min
        };
        self.days.count_ones() * u32::from(a_day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "Asia/Shanghai";
    /// Thursday, 1 January 2026, 08:00 in Shanghai.
    const THURSDAY_8: i64 = 1_767_225_600_000_000;
    const MINUTE: i64 = 60_000_000;

    fn band(days: &[u32], from_minute: u32, to_minute: u32) -> Band {
        Band::read(&v1::TimeBand { days: days.to_vec(), from_minute, to_minute, zone: String::new() })
            .unwrap()
    }
    fn at(minutes: i64) -> Wall {
        Wall(THURSDAY_8 + minutes * MINUTE)
    }

    #[test]
    fn a_night_shift_belongs_to_the_day_on_which_it_begins() {
        let night = band(&[4], 20 * 60, 8 * 60);
        let held: Vec<i64> = (-48..48).filter(|hour| night.contains(at(hour * 60), ZONE)).collect();
        // From Thursday 20:00 to Friday 08:00, and no other night.
        assert_eq!(held, (12..24).collect::<Vec<_>>());
        assert_eq!(night.minutes_a_week(), 720);
    }

    #[test]
    fn a_shift_of_24_hours_hands_over_without_a_hole() {
        let whole = band(&[], 480, 480);
        assert!((-3000..3000).all(|minute| whole.contains(at(minute), ZONE)));
        let odd = band(&[1, 3, 5, 7], 480, 480);
        let even = band(&[2, 4, 6], 480, 480);
        // Sunday's ends on Monday at 08:00, where Monday's begins.
        assert!(
            (-10_080..10_080).all(|minute| odd.contains(at(minute), ZONE) != even.contains(at(minute), ZONE))
        );
        assert_eq!(odd.minutes_a_week() + even.minutes_a_week(), 7 * 1440);
    }

    #[test]
    fn a_band_keeps_to_its_own_zone() {
        let wire = v1::TimeBand { days: vec![4], from_minute: 0, to_minute: 1440, zone: "UTC".to_owned() };
        let utc = Band::read(&wire).unwrap();
        assert!(utc.contains(at(0), ZONE) && !utc.contains(at(-1), ZONE));
        assert!(band(&[4], 0, 1440).contains(at(-1), ZONE));
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_field() {
        let wire = |days: &[u32], from_minute, to_minute, zone: &str| v1::TimeBand {
            days: days.to_vec(),
            from_minute,
            to_minute,
            zone: zone.to_owned(),
        };
        for (wire, field) in [
            (wire(&[0], 0, 1, ""), "band.days"),
            (wire(&[8], 0, 1, ""), "band.days"),
            (wire(&[], 1440, 1, ""), "band.from_minute"),
            (wire(&[], 0, 1441, ""), "band.to_minute"),
            (wire(&[], 0, 1, "Mars/Olympus"), "band.zone"),
        ] {
            let refused = Band::read(&wire).unwrap_err().to_string();
            assert!(refused.starts_with(field), "{refused}");
        }
    }
}
