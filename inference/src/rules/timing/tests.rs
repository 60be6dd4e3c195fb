//! Properties of time in rules.

use proptest::prelude::*;

use super::*;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
fn timing(dwell: f64, max_gap: f64, share: f32, clear: f64) -> Timing {
    Timing { dwell: s(dwell), max_gap: s(max_gap), seen_share: share, clear: s(clear), cooldown: s(0.0) }
}

/// Looks at `(seconds, seen)`; gives the times of firing and clearing.
fn run(timing: &Timing, looks: impl IntoIterator<Item = (f64, bool)>) -> Vec<(f64, &'static str)> {
    let mut timer = Timer::new(timing);
    let mut edges = Vec::new();
    for (t, seen) in looks {
        let subjects: &[Subject] = if seen { &[Subject::WHOLE] } else { &[] };
        match timer.looked(Mono(0).plus(s(t)), Wall(0).plus(s(t)), subjects) {
            Change::Fired { .. } => edges.push((t, "fired")),
            Change::Cleared => edges.push((t, "cleared")),
            Change::None | Change::Held => {}
        }
    }
    edges
}

/// Looks every `1 / hz` seconds from 0 to `end` at a truth of intervals.
fn clip(truth: &[(f64, f64)], hz: f64, end: f64) -> Vec<(f64, bool)> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test times are small")]
    let count = (end * hz) as u32;
    (0..count)
        .map(|i| f64::from(i) / hz)
        .map(|t| (t, truth.iter().any(|(from, to)| (*from..*to).contains(&t))))
        .collect()
}

#[test]
fn a_condition_seen_for_the_dwell_fires_once_and_clears_once() {
    let edges = run(&timing(10.0, 2.0, 1.0, 5.0), clip(&[(5.0, 40.0)], 5.0, 60.0));
    assert_eq!(edges.len(), 2);
    assert!((edges[0].0 - 15.0).abs() < 0.3 && (edges[1].0 - 45.0).abs() < 0.3, "{edges:?}");
}

#[test]
fn zero_dwell_fires_at_the_first_sight() {
    assert_eq!(
        run(&timing(0.0, 1.0, 1.0, 0.0), [(3.0, true), (4.0, false)]),
        [(3.0, "fired"), (4.0, "cleared")]
    );
}

#[test]
fn time_between_two_looks_further_apart_than_the_gap_does_not_count() {
    let t = timing(10.0, 2.0, 1.0, 5.0);
    assert_eq!(run(&t, [(0.0, true), (9.0, true), (18.0, true), (27.0, true)]), []);
    // Eight seconds, a pause of five, two seconds more.
    let mut looks: Vec<_> = (0..=8).map(|i| (f64::from(i), true)).collect();
    looks.extend((13..=20).map(|i| (f64::from(i), true)));
    assert_eq!(run(&t, looks), [(15.0, "fired")]);
}

#[test]
fn a_gap_after_which_the_condition_is_not_seen_ends_the_stretch() {
    let mut looks: Vec<_> = (0..=8).map(|i| (f64::from(i), true)).collect();
    looks.push((13.0, false));
    looks.extend((14..=30).map(|i| (f64::from(i), true)));
    assert_eq!(run(&timing(10.0, 2.0, 0.5, 5.0), looks), [(24.0, "fired")]);
}

#[test]
fn a_pause_longer_than_the_dwell_begins_anew() {
    let mut looks: Vec<_> = (0..=8).map(|i| (f64::from(i), true)).collect();
    looks.extend((86_400..86_420).map(|i| (f64::from(i), true)));
    assert_eq!(run(&timing(10.0, 2.0, 1.0, 5.0), looks), [(86_410.0, "fired")]);
}

#[test]
fn unobserved_time_never_clears() {
    let t = timing(0.0, 2.0, 1.0, 5.0);
    assert_eq!(run(&t, [(0.0, true), (1.0, false), (100.0, false), (200.0, false)]), [(0.0, "fired")]);
    assert_eq!(
        run(&t, [(0.0, true), (1.0, false), (3.0, false), (100.0, false), (102.0, false), (104.0, false)]),
        [(0.0, "fired"), (104.0, "cleared")]
    );
}

#[test]
fn a_flickering_detection_fires_by_its_share_and_a_rare_one_does_not() {
    let flicker = |period: u32| (0..200).map(move |i| (f64::from(i) * 0.5, i % period != 0));
    assert_eq!(run(&timing(10.0, 2.0, 0.6, 5.0), flicker(3)).len(), 1);
    let rare = (0..200).map(|i| (f64::from(i) * 0.5, i % 4 == 0));
    assert_eq!(run(&timing(10.0, 2.0, 0.6, 5.0), rare), []);
}

#[test]
fn cooldown_holds_back_the_next_incident_until_it_has_passed() {
    let t = Timing { cooldown: s(30.0), ..timing(0.0, 2.0, 1.0, 0.0) };
    let looks = [(0.0, true), (1.0, false), (2.0, true), (20.0, true), (31.0, true)];
    assert_eq!(run(&t, looks), [(0.0, "fired"), (1.0, "cleared"), (31.0, "fired")]);
}

#[test]
fn subjects_that_take_turns_do_not_add_up() {
    let mut timer = Timer::new(&timing(10.0, 2.0, 0.8, 5.0));
    for i in 0..60u32 {
        let subject = Subject { key: u64::from(i / 5), lasting: true };
        let t = s(f64::from(i));
        assert_eq!(timer.looked(Mono(0).plus(t), Wall(0), &[subject]), Change::None);
    }
}

#[test]
fn a_subject_that_only_passes_does_not_keep_an_incident_alive() {
    let mut timer = Timer::new(&timing(2.0, 2.0, 1.0, 3.0));
    let mut cleared = false;
    for i in 0..20u32 {
        let subject = if i < 5 {
            Subject { key: 1, lasting: true }
        } else {
            Subject { key: 100 + u64::from(i), lasting: false }
        };
        let t = s(f64::from(i));
        cleared |= timer.looked(Mono(0).plus(t), Wall(0), &[subject]) == Change::Cleared;
    }
    assert!(cleared);
}

#[test]
fn memory_stays_bounded_over_a_day_at_ten_hertz() {
    let mut timer = Timer::new(&timing(100_000.0, 1.0, 1.0, 5.0));
    for i in 0..100_000u32 {
        timer.looked(Mono(0).plus(s(f64::from(i) * 0.1)), Wall(0), &[Subject::WHOLE]);
    }
    assert!(timer.stretches[&0].0.len() <= MAX_SPANS);
    let watched: u64 = timer.stretches[&0].0.iter().map(|span| span.watched_ns).sum();
    assert_eq!(watched / 1_000_000_000, 9_999, "merging loses no time");
}

proptest! {
    /// Spans well above or well below the dwell, in one clip, thinned.
    #[test]
    fn a_clip_thinned_to_five_two_one_and_a_quarter_hertz_gives_the_same_incidents(
        spans in prop::collection::vec((any::<bool>(), 0.0f64..4.0, 0.0f64..4.0), 1..6),
    ) {
        let t = timing(20.0, 5.0, 0.8, 20.0);
        let (mut truth, mut end, mut expected) = (Vec::new(), 10.0, Vec::new());
        for (long, jitter, pause) in spans {
            let length = if long { 45.0 + jitter } else { 6.0 + jitter };
            truth.push((end, end + length));
            if long {
                expected.extend([(end + 20.0, "fired"), (end + length + 20.0, "cleared")]);
            }
            end += length + 60.0 + pause;
        }
        for hz in [10.0, 5.0, 2.0, 1.0, 0.25] {
            let edges = run(&t, clip(&truth, hz, end + 60.0));
            let words: Vec<_> = edges.iter().map(|e| e.1).collect();
            prop_assert_eq!(&words, &expected.iter().map(|e| e.1).collect::<Vec<_>>(), "{} Hz", hz);
            for (got, want) in edges.iter().zip(&expected) {
                prop_assert!((got.0 - want.0).abs() <= 2.0 / hz + 0.01, "{} Hz: {:?} {:?}", hz, got, want);
            }
        }
    }
    /// Where looks are rarer than the rule's gap, it says nothing at all.
    #[test]
    fn looks_rarer_than_the_gap_neither_fire_nor_clear(
        seen in prop::collection::vec(any::<bool>(), 1..200), gap in 4.1f64..60.0,
    ) {
        let looks = seen.iter().enumerate().map(|(i, seen)| {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let t = i as f64 * gap;
            (t, *seen)
        });
        prop_assert_eq!(run(&timing(1.0, 4.0, 0.1, 1.0), looks), vec![]);
    }
    /// The seen time that made it fire was watched.
    #[test]
    fn no_rule_fires_on_less_watched_time_than_its_dwell(
        looks in prop::collection::vec((0.1f64..8.0, any::<bool>()), 1..100),
    ) {
        let rule = timing(6.0, 3.0, 0.5, 2.0);
        let mut timer = Timer::new(&rule);
        let (mut t, mut watched) = (0.0, 0.0);
        for (dt, seen) in looks {
            t += dt;
            watched += if dt <= 3.0 { dt } else { 0.0 };
            let subjects: &[Subject] = if seen { &[Subject::WHOLE] } else { &[] };
            if let Change::Fired { held, .. } = timer.looked(Mono(0).plus(s(t)), Wall(0), subjects) {
                prop_assert!(seen && watched + 1e-6 >= 6.0);
                prop_assert!(held.as_secs_f64() + 1e-6 >= 3.0);
            }
        }
    }
}
