//! Deadlines against ones reckoned by hand, and what holds for all of them.

use std::time::Duration;

use jiff::{civil, tz::TimeZone};
use proptest::prelude::*;
use xueliang_base::kind::{Class, Level};

use super::*;

/// 2026 as published: National Day from Thursday to the next Wednesday, worked for on two Saturdays.
const FILE: &str = "# 2026\nhours 08:00-12:00 14:00-18:00\noff 2026-10-01..2026-10-07 国庆\n\
                    work 2026-09-26 # 调休\nwork 2026-10-10\n";

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn calendar() -> Calendar {
    Calendar::parse(FILE, shanghai()).unwrap()
}

fn at(text: &str) -> Wall {
    let local: civil::DateTime = text.parse().unwrap();
    Wall(local.to_zoned(shanghai()).unwrap().timestamp().as_microsecond())
}

#[test]
fn deadlines_are_those_reckoned_by_hand() {
    use LimitUnit::{Days, EmergencyMinutes, OfficeDays, OfficeMinutes};
    let calendar = calendar();
    for (begin, amount, unit, due) in [
        // Day and night, holidays too.
        ("2026-10-01T23:50", 30, EmergencyMinutes, "2026-10-02T00:20"),
        ("2026-10-01T09:00", 3, Days, "2026-10-04T09:00"),
        // Within a half day, over noon, over night, over a weekend.
        ("2026-09-14T08:30", 60, OfficeMinutes, "2026-09-14T09:30"),
        ("2026-09-14T11:30", 60, OfficeMinutes, "2026-09-14T14:30"),
        ("2026-09-14T17:00", 240, OfficeMinutes, "2026-09-15T11:00"),
        ("2026-09-18T17:00", 240, OfficeMinutes, "2026-09-21T11:00"),
        // The end of a half day is its end, not the begin of the next.
        ("2026-09-14T11:00", 60, OfficeMinutes, "2026-09-14T12:00"),
        // Begun in the evening, at noon, and on a Sunday.
        ("2026-09-14T22:00", 60, OfficeMinutes, "2026-09-15T09:00"),
        ("2026-09-14T13:00", 60, OfficeMinutes, "2026-09-14T15:00"),
        ("2026-09-20T10:00", 60, OfficeMinutes, "2026-09-21T09:00"),
        // Working days: one day's office hours each.
        ("2026-09-14T10:00", 1, OfficeDays, "2026-09-15T10:00"),
        ("2026-09-19T15:00", 1, OfficeDays, "2026-09-21T18:00"),
        // Friday to the Saturday that is worked on.
        ("2026-09-25T10:00", 1, OfficeDays, "2026-09-26T10:00"),
        // Over the holiday: Thursday and Friday after it, then the Saturday.
        ("2026-09-30T16:00", 3, OfficeDays, "2026-10-10T16:00"),
        ("2026-09-30T17:00", 240, OfficeMinutes, "2026-10-08T11:00"),
    ] {
        let timer = Timer::new(Stage::Close, Limit::new(amount, unit), at(begin), &calendar);
        assert_eq!(
            timer.due,
            at(due),
            "{amount} {unit:?} from {begin}: {}",
            timer.due.rfc3339("Asia/Shanghai")
        );
        assert!(timer.soon < timer.due && timer.soon >= timer.begin);
    }
}

#[test]
fn soon_is_at_eighty_hundredths_of_the_units_own_time() {
    let timer =
        Timer::new(Stage::Close, Limit::new(1, LimitUnit::OfficeDays), at("2026-09-18T14:00"), &calendar());
    // 6 h 24 min of eight: four on Friday, the rest on Monday.
    assert_eq!((timer.soon, timer.due), (at("2026-09-21T10:24"), at("2026-09-21T12:00")));
}

#[test]
fn what_stood_is_added_as_its_unit_counts_it_and_an_extension_is_one_more_limit() {
    let calendar = calendar();
    let limit = Limit::new(1, LimitUnit::OfficeDays);
    let timer = Timer::new(Stage::Close, limit, at("2026-09-28T10:00"), &calendar);
    assert_eq!(timer.due, at("2026-09-29T10:00"));
    // Put off from Monday 16:00 to Thursday after the holiday, 09:00: 2 + 8 + 8 + 1 office hours.
    let resumed = timer.pause(at("2026-09-28T16:00")).resume(at("2026-10-08T09:00"), &calendar);
    assert_eq!(resumed.due, at("2026-10-08T15:00"));
    // As much is left as was: four hours.
    assert_eq!(calendar.between(at("2026-10-08T09:00"), resumed.due), Duration::from_secs(4 * 3600));
    let extended = resumed.extend(&calendar);
    assert_eq!(extended.due, at("2026-10-09T15:00"));
    assert!(!extended.told_overdue && extended.extensions == 1);
}

#[test]
fn a_file_says_which_line_is_wrong() {
    for (text, line, part) in [
        ("off 2026-10-01\nholiday 2026-10-02", 2, "none of hours, off and work"),
        ("off 2026-13-01", 1, "is no day"),
        ("off 2026-10-07..2026-10-01", 1, "ends before it begins"),
        ("\noff 2026-10-01..2026-10-03\nwork 2026-10-02", 3, "named twice"),
        ("work", 1, "name a day"),
        ("hours 18:00-08:00", 1, "follow one another"),
        ("hours 08:00-12:00 11:00-13:00", 1, "follow one another"),
        ("hours 08:00", 1, "is no stretch"),
        ("hours", 1, "at least one"),
        ("off 0001-01-01..9999-12-31", 1, "days are named"),
    ] {
        let refused = Calendar::parse(text, shanghai()).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("line {line}: ")) && refused.contains(part),
            "{text:?}: {refused}"
        );
    }
    assert!(Calendar::parse("hours 00:00-24:00", shanghai()).is_ok());
}

#[test]
fn limits_are_those_of_the_lifecycles_table() {
    let level = |number: u8| Level::try_from(number).unwrap();
    let calendar = calendar();
    let minutes =
        |limits: &Limits, stage| limits.of(stage).map(|limit| calendar.length(limit).as_secs() / 60);
    for (class, number, expected) in [
        (Class::Event, 1, [Some(1), Some(2), Some(5), Some(30), Some(30), Some(24 * 60)]),
        (Class::State, 2, [Some(1), Some(2), Some(5), Some(30), Some(30), Some(24 * 60)]),
        (Class::State, 3, [Some(10), Some(15), Some(60), Some(240), Some(30), Some(3 * 480)]),
        (Class::Event, 4, [Some(30), Some(60), Some(480), None, Some(30), Some(5 * 480)]),
        (Class::Device, 4, [None, None, Some(240), None, Some(30), Some(72 * 60)]),
    ] {
        let limits = Limits::usual(class, level(number));
        assert_eq!(Stage::ALL.map(|stage| minutes(&limits, stage)), expected, "{class:?} {number}");
    }
}

fn moments() -> impl Strategy<Value = i64> {
    // Two years around the holiday, to the microsecond.
    at("2026-01-01T00:00").0..at("2027-12-31T00:00").0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn office_time_adds_up(begin in moments(), minutes in 0_u64..6_000, more in 0_u64..6_000) {
        let (calendar, begin) = (calendar(), Wall(begin));
        let long = |minutes| Duration::from_secs(60 * minutes);
        let one = calendar.after(begin, long(minutes));
        prop_assert!(one >= begin);
        prop_assert_eq!(calendar.between(begin, one), long(minutes));
        prop_assert_eq!(calendar.after(one, long(more)), calendar.after(begin, long(minutes + more)));
    }

    #[test]
    fn a_deadline_never_comes_nearer(
        begin in moments(), unit in 0_usize..4, amount in 1_u32..50, wait in 0_u64..400, stood in 0_u64..900,
    ) {
        let (calendar, begin) = (calendar(), Wall(begin));
        let hours = |hours| Duration::from_secs(3600 * hours);
        let timer = Timer::new(Stage::Close, Limit::new(amount, LimitUnit::ALL[unit]), begin, &calendar);
        let from = begin.plus(hours(wait));
        let to = from.plus(hours(stood));
        let resumed = timer.pause(from).resume(to, &calendar);
        prop_assert!(resumed.due >= timer.due && resumed.soon >= timer.soon && resumed.begin >= timer.begin);
        // What was left when it was put off is left when it is taken up.
        let left = |timer: &Timer, at| calendar.passed(timer.limit.unit, at, timer.due);
        if timer.due > from {
            prop_assert_eq!(left(&resumed, to), left(&timer, from));
        }
        let extended = resumed.extend(&calendar);
        prop_assert!(extended.due > resumed.due);
    }
}
