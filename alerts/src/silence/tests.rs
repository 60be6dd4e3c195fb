use proptest::prelude::*;
use xueliang_base::kind::Kind;

use super::*;

const NOW: Wall = Wall(1_790_000_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn request() -> v1::CreateSilenceRequest {
    let scope = v1::SilenceScope { camera_ids: vec!["gate".to_owned()], ..v1::SilenceScope::default() };
    v1::CreateSilenceRequest {
        scope: Some(scope),
        purpose: v1::SilencePurpose::Nuisance.into(),
        reason: "a flag in the wind".to_owned(),
        begin_unix_us: 0,
        end_unix_us: NOW.plus(HOUR).0,
    }
}
fn scoped(change: impl FnOnce(&mut v1::SilenceScope)) -> v1::CreateSilenceRequest {
    let mut request = request();
    change(request.scope.get_or_insert_default());
    request
}
fn facts(kind: Kind, level: u8) -> Facts<'static> {
    let level = Level::try_from(level).unwrap();
    Facts { path: "/33/3301/", kind: kind.number(), class: 0, level, camera: "gate", drill: false }
}

#[test]
fn a_silence_says_why_and_ends() {
    let made = Silence::new(request(), "ana", NOW).unwrap().wire;
    assert_eq!((made.author.as_str(), made.begin_unix_us, made.created_unix_us), ("ana", NOW.0, NOW.0));
    type Change = fn(&mut v1::CreateSilenceRequest);
    let faults: [(&str, Change); 12] = [
        ("reason", |r| r.reason = "  no ".to_owned()),
        ("reason", |r| r.reason = "长".repeat(501)),
        ("reason", |r| r.reason = "line\nbreak".to_owned()),
        ("purpose", |r| r.purpose = 0),
        ("purpose", |r| r.purpose = 99),
        ("end_unix_us", |r| r.end_unix_us = 0),
        ("end_unix_us", |r| r.end_unix_us = NOW.0),
        ("end_unix_us", |r| r.end_unix_us = NOW.plus(LONGEST).0 + 1),
        ("begin_unix_us", |r| r.begin_unix_us = NOW.plus(FARTHEST).0 + 1),
        ("scope", |r| r.scope = None),
        ("scope.levels", |r| r.scope.get_or_insert_default().levels = vec![5]),
        ("filter.kinds", |r| r.scope.get_or_insert_default().kinds = vec![7]),
    ];
    for (field, spoil) in faults {
        let mut request = request();
        spoil(&mut request);
        let refused = Silence::new(request.clone(), "ana", NOW).unwrap_err().to_string();
        assert!(refused.starts_with(field), "{request:?}: {refused}");
    }
}

#[test]
fn critical_levels_are_silenced_by_name_and_for_8_hours_only() {
    let all = Silence::new(request(), "ana", NOW).unwrap();
    for (level, covered) in [(1, false), (2, false), (3, true), (4, true)] {
        assert_eq!(all.covers(&facts(Kind::FireFlame, level), NOW), covered, "level {level}");
    }
    let named = scoped(|scope| scope.levels = vec![2]);
    let silence = Silence::new(named.clone(), "ana", NOW).unwrap();
    for level in 1..=4 {
        assert_eq!(silence.covers(&facts(Kind::FireFlame, level), NOW), level == 2, "level {level}");
    }
    let longest = v1::CreateSilenceRequest { end_unix_us: NOW.plus(LONGEST_CRITICAL).0, ..named };
    Silence::new(longest.clone(), "ana", NOW).unwrap();
    let longer = v1::CreateSilenceRequest { end_unix_us: longest.end_unix_us + 1, ..longest };
    assert!(Silence::new(longer, "ana", NOW).unwrap_err().to_string().contains("8 hours"));
}

#[test]
fn a_silence_covers_its_scope_from_begin_to_end() {
    let window = v1::CreateSilenceRequest {
        begin_unix_us: NOW.plus(HOUR).0,
        end_unix_us: NOW.plus(HOUR * 2).0,
        ..scoped(|scope| {
            scope.divisions = vec!["33".to_owned()];
            scope.kinds = vec![Kind::ExposedGarbage.number()];
        })
    };
    let mut silence = Silence::new(window, "ana", NOW).unwrap();
    let garbage = facts(Kind::ExposedGarbage, 4);
    let at = |us: i64| Wall(NOW.plus(HOUR).0 + us);
    assert!(!silence.covers(&garbage, at(-1)) && silence.covers(&garbage, at(0)));
    let last = i64::try_from(HOUR.as_micros()).unwrap();
    assert!(silence.covers(&garbage, at(last - 1)) && !silence.covers(&garbage, at(last)));
    assert!(!silence.covers(&facts(Kind::BinOverflow, 4), at(0)));
    assert!(!silence.covers(&Facts { camera: "pier", ..garbage }, at(0)));
    assert!(
        !silence.covers(&Facts { path: "/34/|/3301/@gate/", ..garbage }, at(0)),
        "it is of more than that"
    );
    assert!(!silence.covers(&Facts { path: "/34/3301/", ..garbage }, at(0)));
    silence.wire.expired_unix_us = at(5).0;
    assert!(!silence.covers(&garbage, at(6)));
}

prop_compose! {
    fn silence()(camera in "gate|pier", levels in prop::collection::vec(1i32..=4, 0..3), begin in 0u64..100, lasts in 1u64..100, id in 1u64..9, divisions in prop::sample::subsequence(vec!["33", "3301", "34"], 0..3)) -> Silence {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let request = v1::CreateSilenceRequest {
            begin_unix_us: NOW.plus(minutes(begin)).0,
            end_unix_us: NOW.plus(minutes(begin + lasts)).0,
            ..scoped(|scope| { scope.camera_ids = vec![camera]; scope.levels = levels;
                scope.divisions = divisions.into_iter().map(str::to_owned).collect(); })
        };
        let mut silence = Silence::new(request, "ana", NOW).unwrap();
        silence.wire.silence_id = id;
        silence
    }
}

proptest! {
    #[test]
    fn a_reason_holds_when_it_is_given_and_stays_while_it_holds(
        silences in prop::collection::vec(silence(), 0..5),
        sources in prop::collection::vec((0usize..42, 1u8..=4, "gate|pier"), 0..5),
        kind in 0usize..42, level in 1u8..=4, minute in 0u64..200, before in 0usize..10, flood in any::<bool>(),
    ) {
        let at = NOW.plus(Duration::from_secs(60 * minute));
        let target = facts(Kind::all().nth(kind).unwrap(), level);
        let firing: Vec<_> = sources.into_iter().map(|(kind, level, camera)| Firing {
            alert: AlertId::mint(),
            kind: Kind::all().nth(kind).unwrap().number(),
            level: Level::try_from(level).unwrap(),
            camera,
        }).collect();
        let group = flood.then(AlertId::mint);
        let held: Vec<_> = silences.iter().filter(|one| one.covers(&target, at))
            .map(|one| Cause::Silence(one.wire.silence_id))
            .chain(firing.iter().filter(|one| inhibits(one, &target)).map(|one| Cause::Inhibition(one.alert, one.kind)))
            .chain(group.map(Cause::Flood))
            .collect();
        let indexed = Silences::new(silences.clone());
        let decided = decide(&target, at, &indexed, &firing, group, None);
        prop_assert_eq!(decided.is_some(), !held.is_empty());
        prop_assert!(decided.is_none_or(|cause| held.contains(&cause)));
        if let Some(before) = held.get(before) {
            prop_assert_eq!(decide(&target, at, &indexed, &firing, group, Some(*before)), Some(*before));
        }
        let gone = Cause::Silence(99);
        prop_assert_eq!(decide(&target, at, &indexed, &firing, group, Some(gone)), decided);
    }
}
