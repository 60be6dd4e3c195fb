//! The smallest sums, and who is not told apart.

use super::*;

#[test]
fn the_few_stand_together_and_never_alone() {
    // Label, cases, accounts.
    assert_eq!(few(vec![(1, 50, 5), (2, 40, 3)]), [] as [u32; 0]);
    // One of two accounts, and one with nine cases: together they are enough.
    assert_eq!(few(vec![(1, 50, 5), (2, 40, 2), (3, 9, 9)]), [3, 2]);
    // One alone would be what is left of all: the smallest of the rest joins it.
    assert_eq!(few(vec![(1, 50, 5), (2, 40, 3), (3, 30, 2)]), [3, 2]);
    // Two of one account each are two people, who know of each other: another joins.
    assert_eq!(few(vec![(1, 50, 5), (2, 30, 1), (3, 20, 1)]), [3, 2, 1]);
    assert_eq!(few(vec![(7, 500, 1)]), [7]);
    assert_eq!(few(Vec::new()), [] as [u32; 0]);
}

fn names() -> Names {
    Names {
        places: HashMap::from([(1, ("gate".to_owned(), ["33", "3301"].map(str::to_owned).into()))]),
        sources: HashMap::from([(1, ("rule".to_owned(), String::new()))]),
        units: HashMap::new(),
        people: HashMap::new(),
        roster: Roster::default(),
        zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        depth: 9,
    }
}

#[test]
fn hours_and_days_are_those_of_the_site() {
    let names = names();
    // Thursday, 1 January 2026, 08:00 in Shanghai, midnight in Greenwich.
    let eight = Wall(1_767_225_600_000_000);
    let mut tally = Tally::new(&[StatisticsKey::Day, StatisticsKey::Hour], &names, eight);
    for minutes in [-481, -480, 0, 59, 60] {
        tally.add(&Counted { opened: Wall(eight.0 + minutes * 60_000_000), ..Counted::default() });
    }
    let told = tally.told();
    let groups: Vec<_> =
        told.groups.iter().map(|one| (one.of[0].text.as_str(), one.of[1].number, one.cases)).collect();
    let mut expected =
        [("2025-12-31", 23, 1), ("2026-01-01", 0, 1), ("2026-01-01", 8, 2), ("2026-01-01", 9, 1)];
    expected.sort_by_key(|one| std::cmp::Reverse(one.2));
    let (mut groups, mut expected) = (groups, expected.to_vec());
    assert!(groups.is_sorted_by(|one, next| one.2 >= next.2));
    groups.sort();
    expected.sort();
    assert_eq!(groups, expected);
}

#[test]
fn divisions_end_at_the_cameras_own_and_what_has_no_name_is_told_as_none() {
    let names = names();
    for (key, source, text) in [
        (StatisticsKey::Division, Some(1), "3301"),
        (StatisticsKey::Rule, Some(1), "rule"),
        (StatisticsKey::Model, Some(1), ""),
        (StatisticsKey::Rule, None, ""),
        (StatisticsKey::Unit, Some(1), ""),
        (StatisticsKey::Shift, Some(1), ""),
    ] {
        let mut tally = Tally::new(&[key], &names, Wall(0));
        tally.add(&Counted { place: 1, source, ..Counted::default() });
        let told = tally.told();
        assert_eq!(told.groups.len(), 1);
        let value = &told.groups[0].of[0];
        assert_eq!((value.text.as_str(), value.others), (text, false), "{key:?}");
    }
}

#[test]
fn half_and_nine_tenths_are_by_the_nearest_rank() {
    let names = names();
    let mut tally = Tally::new(&[], &names, Wall(0));
    for us in (1..=10).rev() {
        let judge = Some(Took { us, late: (us % 2 == 0).then_some(us > 4) });
        tally.add(&Counted { judge, ..Counted::default() });
    }
    let judge = tally.told().total.judge.unwrap();
    assert_eq!((judge.cases, judge.p50_us, judge.p90_us), (10, 5, 9));
    assert_eq!(judge.in_time, Some(v1::Proportion { part: 2, whole: 5 }));
}
