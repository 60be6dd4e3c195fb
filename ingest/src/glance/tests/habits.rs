//! What comes and goes is told a few times; what stands out from it, or stays, always is.

use super::*;

/// A branch that is black where it leans, in front of what is lighter.
const BRANCH: Rect = Rect { x0: 0.6, y0: 0.1, x1: 0.9, y1: 0.5 };
const SECOND: Duration = Duration::from_secs(1);

fn leaning(i: usize, plain: f32) -> f32 {
    if inside(&BRANCH, i) { plain - 90.0 } else { plain }
}
fn told_to_wake(told: &[Glimpse]) -> bool {
    told.iter().any(|glimpse| glimpse.change.is_some())
}
/// A gust of so many seconds and some of quiet. Whatever wakes is looked at, as in the service; whether anything did.
fn gust(town: &mut Town, seconds: u64, found: &[Rect]) -> bool {
    let mut woke = false;
    for _ in 0..seconds {
        if told_to_wake(&town.play(1, |_, i, plain| leaning(i, plain))) {
            woke = true;
            town.look(found);
        }
    }
    town.rest(14);
    woke
}
fn calm() -> Town {
    let mut town = Town::known(SECOND);
    for _ in 0..6 {
        gust(&mut town, 6, &[]);
    }
    town
}

#[test]
fn a_branch_that_leans_in_every_gust_is_told_twice_and_then_no_more() {
    let mut town = Town::known(SECOND);
    let woke: Vec<bool> = (0..12).map(|_| gust(&mut town, 6, &[])).collect();
    assert_eq!(woke[..2], [true, true]);
    assert_eq!(woke[2..], [false; 10], "{woke:?}");
    assert!(!gust(&mut town, 3, &[]), "nor in a shorter gust");
    let told = town.play(3, |_, i, plain| leaning(i, plain));
    assert!(told[1].waiting > 0.05 && told[1].label.is_some(), "it is seen all the same: {told:?}");
    town.rest(30);
    // Two hours of calm, and it is learned anew.
    town.every = 30_000;
    town.rest(7200);
    town.every = 1000;
    town.rest(30);
    assert!(gust(&mut town, 6, &[]));
}

#[test]
fn what_stays_longer_than_gusts_do_is_told_within_ten_seconds_and_a_glance() {
    for (every, gusts) in [(SECOND, 6), (SECOND, 40), (KEYFRAMES, 6)] {
        let mut town = calm();
        for _ in 0..4 {
            gust(&mut town, gusts, &[]);
        }
        town.every = u64::try_from(every.as_millis()).unwrap();
        // As dark as the branch, and it does not go.
        let told = town.play(40, |_, i, plain| leaning(i, plain));
        let first = told.iter().position(|glimpse| glimpse.change.is_some()).expect("it is told");
        let after = told[first].at.since(told[0].at);
        assert!(after <= Duration::from_secs(10) + every, "{after:?} in gusts of {gusts} s");
        assert!(told[first..].iter().all(|glimpse| glimpse.change.is_some()), "and until it is judged");
    }
}

#[test]
fn what_stands_out_from_the_branch_or_comes_beside_it_is_told_at_once() {
    let mut town = calm();
    let walker = Rect { x0: 0.7, y0: 0.2, x1: 0.74, y1: 0.35 };
    let told = town.play(2, |_, i, plain| if inside(&walker, i) { plain + 120.0 } else { leaning(i, plain) });
    assert!(told_to_wake(&told));
    town.rest(30);
    let told = town.play(2, |_, i, plain| if inside(&BLOCK, i) { plain - 60.0 } else { leaning(i, plain) });
    let bounds = told[0].change.as_ref().expect("it is told").bounds;
    assert!(bounds.x1 <= BRANCH.x0, "{bounds:?}");
}

#[test]
fn where_a_look_finds_something_nothing_is_a_habit() {
    let mut town = Town::known(SECOND);
    let woke: Vec<bool> = (0..8).map(|_| gust(&mut town, 6, &[BRANCH])).collect();
    assert_eq!(woke, [true; 8], "people who come and go are told each time");
    let mut town = calm();
    assert!(!gust(&mut town, 6, &[]));
    // A floor finds somebody there: what was learned is forgotten.
    town.play(4, |_, i, plain| leaning(i, plain));
    town.look(&[BRANCH]);
    town.rest(40);
    town.look(&[]);
    assert!(gust(&mut town, 6, &[]));
}

#[test]
fn a_gust_in_which_it_swings_counts_once() {
    let mut town = Town::known(FAST);
    let swings = |t: f32, i: usize, plain: f32| if t % 2.0 < 1.0 { leaning(i, plain) } else { plain };
    let mut woke = 0;
    for _ in 0..12 {
        let told = town.play(1, swings);
        woke += usize::from(told_to_wake(&told));
        town.look(&[]);
        town.rest(1);
    }
    assert!(woke >= 4, "for the time in which one counts it is told: {woke}");
}
