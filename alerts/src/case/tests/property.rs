//! Whatever people try, in whatever order, unit and hour: 采办分离 holds, no clock runs back, and history says what is.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Try {
    case: usize,
    account: usize,
    unit: usize,
    action: usize,
    other: usize,
    minutes: i64,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (0_usize..3, 0_usize..5, 0_usize..4, 0_usize..64, 0_usize..4, -5_i64..90).prop_map(
        |(case, account, unit, action, other, minutes)| Try { case, account, unit, action, other, minutes },
    );
    prop::collection::vec(one, 1..120)
}

const UNITS: [&str; 4] = ["desk", "brigade", "water", "grid"];

/// What an action makes of whoever does it, said anew here: 0 asks, 1 handles, 2 checks.
fn part(action: &Action) -> Option<usize> {
    Some(match action {
        Action::Open(..) | Action::Dispatch(..) | Action::GiveLink(..) | Action::Suspend | Action::Extend => {
            0
        }
        Action::Accept | Action::Return | Action::Start | Action::AskSuspension(_) | Action::Resume => 1,
        Action::Feedback(_) => 1,
        Action::TakeUp | Action::Pass | Action::Rework => 2,
        Action::ForceClose | Action::Reopen | Action::Cancel(_) => 2,
        _ => return None,
    })
}

/// Who did what over the history of a case and of all that are part of it.
fn parts(all: &[Told], one: usize) -> [(BTreeSet<String>, BTreeSet<String>); 3] {
    let mut found: [(BTreeSet<String>, BTreeSet<String>); 3] = Default::default();
    let absorbed = all.iter().filter(|told| all[one].case.absorbed.contains(&told.case.number));
    for event in absorbed.chain([&all[one]]).flat_map(|told| &told.history) {
        if let Some(part) = part(&event.action).filter(|_| !event.actor.is_system()) {
            found[part].0.insert(event.actor.account.clone());
            found[part].1.insert(event.actor.unit.clone());
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_path_breaks_the_separation_and_history_says_what_is(tries in tries()) {
        let manual = Subject { alert: None, ..subject(Kind::ManualReport, 3) };
        let mut all = vec![
            Told::alert(Kind::FireLaneBlocked, 3),
            Told::open(2, manual, Actor::new("p0", "grid")),
            Told::open(3, subject(Kind::FireFlame, 2), Actor::system()),
        ];
        let mut now = NOW;
        let mut reached = BTreeMap::<State, u32>::new();
        for one in tries {
            now = Wall(now.0 + one.minutes * 60_000_000);
            // Accounts move between units: a change of role is nothing else to a case.
            let actor = Actor::new(format!("p{}", one.account), UNITS[one.unit]);
            let actions = all_actions();
            let other = (one.case + 1 + one.other % 2) % 3;
            let action = match actions[one.action % actions.len()].clone() {
                // Half of all tries go on where the case stands.
                _ if one.action >= actions.len() => {
                    let state = all[one.case].case.state;
                    let on: Vec<Action> = actions
                        .iter()
                        .filter(|action| next(state, action).is_some_and(|to| to != state))
                        .filter(|action| !matches!(action, Action::Cancel(_) | Action::ForceClose))
                        .cloned()
                        .collect();
                    match on.get(one.other % on.len().max(1)) {
                        Some(action) => action.clone(),
                        None => continue,
                    }
                }
                action => action,
            };
            let action = match action {
                Action::Merge(_) => Action::Merge(all[other].case.number.clone()),
                Action::Dispatch(..) => Action::Dispatch(UNITS[one.other].to_owned(), Vec::new()),
                Action::Absorb(..) => continue,
                Action::AskSuspension(_) => Action::AskSuspension(now.plus(Duration::from_secs(7200))),
                Action::Claim(_) => Action::Claim(now.plus(CLAIM)),
                action => action,
            };
            let before = all[one.case].clone();
            if let Action::Merge(_) = &action {
                // As the store does it: both or none.
                let absorb = Action::Absorb(before.case.number.clone(), before.case.acted.clone());
                let mut into = all[other].clone();
                if into.at(now, &actor, absorb).is_err() || all[one.case].at(now, &actor, action).is_err() {
                    all[one.case] = before;
                    continue;
                }
                all[other] = into;
            } else if all[one.case].at(now, &actor, action).is_err() {
                prop_assert_eq!(&all[one.case].case, &before.case);
                continue;
            }
            let told = &all[one.case];
            *reached.entry(told.case.state).or_default() += 1;
            prop_assert!(told.case.changed >= before.case.changed, "its time runs back");
            prop_assert_eq!(told.case.revision, before.case.revision + 1);
            if let (Some(was), Some(is)) = (before.case.timers.close, told.case.timers.close) {
                prop_assert!(is.due >= was.due && is.begin >= was.begin, "the handling clock runs back");
            }
            for (at, told) in all.iter().enumerate() {
                prop_assert!(told.case.acted.is_separate());
                let [asked, handled, checked] = parts(&all, at);
                prop_assert!(asked.0.is_disjoint(&handled.0), "{asked:?} {handled:?}");
                prop_assert!(asked.0.is_disjoint(&checked.0), "{asked:?} {checked:?}");
                prop_assert!(handled.0.is_disjoint(&checked.0), "{handled:?} {checked:?}");
                prop_assert!(asked.1.is_disjoint(&handled.1), "{asked:?} {handled:?}");
                prop_assert!(handled.1.is_disjoint(&checked.1), "{handled:?} {checked:?}");
                let again = replay(&told.history).unwrap().unwrap();
                prop_assert_eq!(&again, &told.case);
            }
        }
        // And what the store keeps of an event is the event.
        for told in &all {
            for (at, event) in told.history.iter().enumerate() {
                let kept = event.to_wire(at as u64 + 1);
                prop_assert_eq!(&Event::try_from(kept).unwrap(), event);
            }
        }
    }
}
