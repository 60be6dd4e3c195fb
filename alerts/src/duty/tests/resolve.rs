//! Who is responsible: the most specific rule, whatever else is there, and why.

use xueliang_base::kind::Kind;

use super::*;

const ZONE: &str = "Asia/Shanghai";
const PLACES: [&str; 4] = ["330282", "330282101", "330282101001", "330282101001001"];
const KINDS: [Kind; 3] = [Kind::FireFlame, Kind::FireLaneBlocked, Kind::ExposedGarbage];

fn rule(
    place: &str,
    kinds: &[Kind],
    mode: v1::DutyMode,
    band: Option<(u32, u32)>,
    lead: &str,
) -> v1::DutyRule {
    v1::DutyRule {
        division_code: place.to_owned(),
        kinds: kinds.iter().map(|kind| kind.number()).collect(),
        mode: mode.into(),
        band: band.map(|(from_minute, to_minute)| v1::TimeBand {
            from_minute,
            to_minute,
            ..v1::TimeBand::default()
        }),
        lead_unit: lead.to_owned(),
        ..v1::DutyRule::default()
    }
}

fn asked(kind: Kind, at: Wall, mode: v1::DutyMode) -> Asked<'static> {
    Asked { kind, at, mode, site_zone: ZONE }
}

fn town() -> Town {
    let mut town = Town::new();
    town.put(division("330282101001001", "330282101001")).unwrap();
    town
}

use v1::DutyMode::{Emergency, Routine, Unspecified};

#[test]
fn the_most_specific_rule_leads_and_each_other_one_is_told_why_not() {
    let mut town = town();
    let grid = PLACES[3];
    let evening = Some((18 * 60, 8 * 60));
    let fire: &[Kind] = &[Kind::FireFlame];
    // Each one is more specific than all before it.
    let rules = [
        rule(PLACES[0], &[], Unspecified, None, "county desk"),
        rule(PLACES[3], &[], Unspecified, None, "grid"),
        rule(PLACES[0], &[Kind::FireFlame, Kind::FireSmoke], Unspecified, None, "fire brigade"),
        rule(PLACES[0], fire, Unspecified, None, "flames"),
        rule(PLACES[0], fire, Unspecified, evening, "flames by night"),
        rule(PLACES[1], fire, Unspecified, None, "town brigade"),
        rule(PLACES[0], fire, Routine, None, "routine"),
    ];
    for (index, one) in rules.iter().enumerate() {
        let number = town.edit(put_rule(boss(), one.clone())).unwrap();
        assert_eq!(number, index as u64 + 1);
        let found = town.duty.resolve(asked(Kind::FireFlame, NOW, Unspecified), &code(grid)).unwrap();
        let (taken, version) = found.rule.unwrap();
        assert_eq!((taken, version.what.lead_unit()), (number, one.lead_unit.as_str()));
    }
    let answer = town.duty.resolve(asked(Kind::FireFlame, NOW, Emergency), &code(grid)).unwrap();
    assert_eq!(answer.rule.unwrap().1.what.lead_unit(), "town brigade");
    let told: Vec<_> =
        answer.trace.iter().map(|one| (one.rule_id, one.verdict(), one.why.as_str())).collect();
    let less = v1::RuleVerdict::LessSpecific;
    assert_eq!(
        told,
        [
            (6, v1::RuleVerdict::Taken, "it is the most specific for 330282101"),
            (5, less, "rule 6 is of a division further down"),
            (4, less, "rule 6 is of a division further down"),
            (3, less, "rule 6 is of a division further down"),
            (2, less, "rule 6 names the kind"),
            (1, less, "rule 6 names the kind"),
            (7, v1::RuleVerdict::OtherMode, "it is not for the mode emergency"),
        ]
    );
    // Garbage is the grid's; in the village beside it the county's; nothing is of a place that is not there.
    let lead = |kind, place: &str| {
        let found = town.duty.resolve(asked(kind, NOW, Routine), &code(place))?;
        Ok::<_, Error>(found.rule.map(|(_, version)| version.what.lead_unit().to_owned()))
    };
    assert_eq!(lead(Kind::ExposedGarbage, grid), Ok(Some("grid".to_owned())));
    assert_eq!(lead(Kind::ExposedGarbage, PLACES[2]), Ok(Some("county desk".to_owned())));
    assert!(
        lead(Kind::ExposedGarbage, "nowhere").unwrap_err().to_string().contains("nowhere is not in force")
    );
    let counted = town.duty.resolve(asked(Kind::ExposedGarbage, NOW, Routine), &code(PLACES[2])).unwrap();
    assert_eq!((counted.trace.len(), counted.elsewhere), (6, 1));
    // A rule that is ended leads no more, and led before.
    town.now = hours(1);
    town.edit(end_rule(boss(), 6, 0)).unwrap();
    let lead = |at| {
        let found = town.duty.resolve(asked(Kind::FireFlame, at, Emergency), &code(grid)).unwrap();
        found.rule.unwrap().1.what.lead_unit().to_owned()
    };
    assert_eq!((lead(hours(0)).as_str(), lead(hours(1)).as_str()), ("town brigade", "flames by night"));
}

#[test]
fn those_on_duty_are_told_nearest_first_and_the_leading_unit_before_all() {
    let mut town = town();
    town.edit(put_rule(boss(), rule(PLACES[0], &[], Unspecified, None, "brigade"))).unwrap();
    let shift = |place: &str, unit: &str, account: &str, band: Option<(u32, u32)>| v1::Shift {
        division_code: place.to_owned(),
        unit: unit.to_owned(),
        account: account.to_owned(),
        band: band.map(|(from_minute, to_minute)| v1::TimeBand {
            from_minute,
            to_minute,
            ..v1::TimeBand::default()
        }),
        ..v1::Shift::default()
    };
    let night = Some((20 * 60, 8 * 60));
    for wire in [
        shift(PLACES[0], "desk", "ana", None),
        shift(PLACES[2], "village", "bo", night),
        shift(PLACES[2], "village", "day", Some((8 * 60, 20 * 60))),
        shift(PLACES[1], "brigade", "cai", night),
        shift(PLACES[0], "brigade", "deng", night),
    ] {
        town.edit(put_shift(boss(), wire)).unwrap();
    }
    let on_duty = |town: &Town, at: Wall| -> Vec<String> {
        let found = town.duty.resolve(asked(Kind::FireFlame, at, Routine), &code(PLACES[3])).unwrap();
        found.on_duty.iter().map(|(_, version)| version.what.account().to_owned()).collect()
    };
    let night_at = (0..24)
        .map(hours)
        .find(|at| (20 * 60..24 * 60).contains(&at.day_and_minute(ZONE).unwrap().1))
        .unwrap();
    let day_at = Wall(night_at.0 + 12 * HOUR);
    assert_eq!(on_duty(&town, night_at), ["cai", "deng", "bo", "ana"]);
    assert_eq!(on_duty(&town, day_at), ["day", "ana"]);
    // Bo's shift ends, by its end; what was is told as it was.
    town.now = Wall(night_at.0 + HOUR);
    let ended = v1::Shift { shift_id: 2, valid_to_unix_us: 1, ..shift(PLACES[2], "village", "bo", night) };
    town.edit(put_shift(boss(), ended)).unwrap();
    assert_eq!(on_duty(&town, night_at), ["cai", "deng", "bo", "ana"]);
    assert_eq!(on_duty(&town, town.now), ["cai", "deng", "ana"]);
    // And is taken up again by another.
    let anew = v1::Shift { shift_id: 2, ..shift(PLACES[2], "village", "fei", night) };
    town.edit(put_shift(boss(), anew)).unwrap();
    assert_eq!(on_duty(&town, town.now), ["cai", "deng", "fei", "ana"]);
    // However often a shift is changed for which something else is planned, each change is one version a planned moment.
    let planned = |account, hour| v1::Shift {
        shift_id: 2,
        valid_from_unix_us: hour,
        ..shift(PLACES[2], "village", account, night)
    };
    town.edit(put_shift(boss(), planned("gu", town.now.0 + 24 * HOUR))).unwrap();
    let before = town.versions;
    for account in ["hu", "lin", "mo", "nie", "ou"] {
        town.edit(put_shift(boss(), planned(account, 0))).unwrap();
    }
    assert_eq!(town.versions, before + 10);
    assert_eq!(on_duty(&town, Wall(town.now.0 + 24 * HOUR)), ["cai", "deng", "ou", "ana"]);
}

fn any_rule() -> impl Strategy<Value = v1::DutyRule> {
    let kinds = proptest::collection::vec(0..KINDS.len(), 0..3);
    let band = proptest::option::of((0u32..1440, 0u32..=1440));
    (0..PLACES.len(), kinds, 0..3i32, band).prop_map(|(place, kinds, mode, band)| {
        let kinds: Vec<Kind> = kinds.into_iter().map(|index| KINDS[index]).collect();
        rule(PLACES[place], &kinds, v1::DutyMode::try_from(mode).unwrap(), band, "unit")
    })
}

proptest! {
    /// One more rule leads where it holds and is more specific, and changes nothing anywhere else; the order in which rules
    /// came into memory decides nothing.
    #[test]
    fn one_more_rule_changes_only_what_it_takes_itself(
        rules in proptest::collection::vec(any_rule(), 0..12),
        more in any_rule(),
        at in 0i64..168,
    ) {
        let mut before = town();
        for one in rules {
            before.edit(put_rule(boss(), one)).unwrap();
        }
        let mut after = Town { duty: before.duty.clone(), now: NOW, versions: before.versions, audited: Vec::new() };
        let number = after.edit(put_rule(boss(), more)).unwrap();
        let mut turned = Duty { rules: History::default(), ..after.duty.clone() };
        let keys: Vec<u64> = after.duty.rules.keys().copied().collect();
        for key in keys.iter().rev() {
            turned.rules.add(*key, after.duty.rules.of(key)[0].clone());
        }
        let more = after.duty.rules.of(&number)[0].what.clone();
        for kind in KINDS {
            for (depth, place) in PLACES.iter().enumerate() {
                for mode in [Routine, Emergency] {
                    let ask = |duty: &Duty| {
                        let found = duty.resolve(asked(kind, hours(at), mode), &code(place)).unwrap();
                        let taken = found.trace.iter().filter(|one| one.verdict() == v1::RuleVerdict::Taken);
                        let taken: Vec<u64> = taken.map(|one| one.rule_id).collect();
                        let rule = found.rule.map(|(number, _)| number);
                        assert_eq!(taken, rule.into_iter().collect::<Vec<_>>(), "the trace tells what was taken");
                        assert_eq!(found.trace.len() + found.elsewhere as usize, duty.rules.len());
                        rule
                    };
                    let (was, is) = (ask(&before.duty), ask(&after.duty));
                    prop_assert_eq!(ask(&turned), is);
                    let holds = PLACES[..=depth].contains(&more.division.as_str())
                        && (more.kinds.is_empty() || more.kinds.contains(&kind))
                        && (more.mode == Unspecified || more.mode == mode)
                        && more.band.as_ref().is_none_or(|band| band.contains(hours(at), ZONE));
                    if is != was {
                        prop_assert!(holds && is == Some(number), "{:?} became {:?}", was, is);
                    }
                    if holds && was.is_none() {
                        prop_assert_eq!(is, Some(number));
                    }
                }
            }
        }
    }
}
