//! Properties of tracks.

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn at(s: f64) -> Mono {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test times are small")]
    Mono(SECOND * 100 + (s * 1e9) as u64)
}
fn seen(meaning: Meaning, x: f32, y: f32, score: f32) -> Detection {
    Detection { meaning, score, rect: Rect::new(x, y, x + 0.08, y + 0.12) }
}

/// Two vehicles cross the picture in opposite directions on two lanes.
fn crossing(hz: f64, seconds: f64) -> Tracker {
    let mut tracker = Tracker::new(TrackParams::default());
    let mut t = 0.0;
    while t < seconds {
        #[expect(clippy::cast_possible_truncation, reason = "test positions are small")]
        let x = (t * 0.1) as f32;
        tracker.step(
            at(t),
            &[seen(Meaning::Vehicle, 0.05 + x, 0.3, 0.8), seen(Meaning::Vehicle, 0.85 - x, 0.36, 0.8)],
        );
        t += 1.0 / hz;
    }
    tracker
}

#[test]
fn two_vehicles_that_pass_each_other_keep_their_ids_at_ten_five_and_three_hertz() {
    for hz in [10.0, 5.0, 3.0] {
        let tracker = crossing(hz, 7.0);
        let ids: Vec<u64> = tracker.tracks().iter().map(|t| t.id).collect();
        assert_eq!(ids, [1, 2], "{hz} Hz");
        let (a, b) = (&tracker.tracks()[0], &tracker.tracks()[1]);
        assert!(a.rect.centre().x > 0.5 && b.rect.centre().x < 0.5, "each went its way");
        assert!(a.path.front().unwrap().foot.x < a.path.back().unwrap().foot.x);
    }
}

#[test]
fn a_low_score_carries_on_a_track_but_begins_none() {
    let mut tracker = Tracker::new(TrackParams::default());
    tracker.step(at(0.0), &[seen(Meaning::Person, 0.5, 0.5, 0.9)]);
    tracker.step(at(0.1), &[seen(Meaning::Person, 0.5, 0.5, 0.2), seen(Meaning::Person, 0.1, 0.1, 0.2)]);
    assert_eq!(tracker.tracks().len(), 1);
    assert!(tracker.tracks()[0].matched_now);
    tracker.step(at(0.2), &[seen(Meaning::Person, 0.1, 0.1, 0.2)]);
    assert_eq!(tracker.tracks().len(), 1);
}

#[test]
fn a_single_flash_after_the_first_picture_is_no_track() {
    let mut tracker = Tracker::new(TrackParams::default());
    tracker.step(at(0.0), &[]);
    tracker.step(at(0.1), &[seen(Meaning::Vehicle, 0.5, 0.5, 0.9)]);
    tracker.step(at(0.2), &[]);
    tracker.step(at(0.3), &[]);
    assert!(tracker.tracks().is_empty());
}

#[test]
fn an_object_hidden_for_a_second_keeps_its_id_and_one_hidden_for_long_does_not() {
    let mut tracker = Tracker::new(TrackParams::default());
    for i in 0..10 {
        tracker.step(at(f64::from(i) * 0.2), &[seen(Meaning::Vehicle, 0.2, 0.5, 0.9)]);
    }
    for i in 10..15 {
        tracker.step(at(f64::from(i) * 0.2), &[]);
    }
    tracker.step(at(3.0), &[seen(Meaning::Vehicle, 0.2, 0.5, 0.9)]);
    assert_eq!(tracker.tracks()[0].id, 1);
    for i in 16..40 {
        tracker.step(at(f64::from(i) * 0.2), &[]);
    }
    assert!(tracker.tracks().is_empty());
}

#[test]
fn looks_four_seconds_apart_are_reported_as_gaps_and_still_hold_what_stands() {
    let mut tracker = Tracker::new(TrackParams::default());
    for i in 0..6 {
        tracker.step(at(f64::from(i) * 4.0), &[seen(Meaning::Vehicle, 0.4, 0.4, 0.7)]);
        assert!(tracker.gap());
    }
    assert_eq!(tracker.tracks().len(), 1);
    assert_eq!(tracker.tracks()[0].id, 1);
    assert!(tracker.tracks()[0].path.len() <= 1, "no travel is claimed across a gap");
}

#[test]
fn a_person_never_becomes_a_vehicle() {
    let mut tracker = Tracker::new(TrackParams::default());
    tracker.step(at(0.0), &[seen(Meaning::Person, 0.5, 0.5, 0.9)]);
    tracker.step(at(0.1), &[seen(Meaning::Vehicle, 0.5, 0.5, 0.9)]);
    assert!(tracker.tracks().iter().all(|t| t.meaning == Meaning::Person && !t.matched_now));
}

#[test]
fn a_picture_that_is_not_later_changes_nothing() {
    let mut tracker = Tracker::new(TrackParams::default());
    tracker.step(at(1.0), &[seen(Meaning::Person, 0.5, 0.5, 0.9)]);
    tracker.step(at(1.0), &[]);
    tracker.step(at(0.5), &[]);
    assert!(tracker.tracks()[0].matched_now);
}

proptest! {
    #[test]
    fn any_detections_at_any_times_leave_bounded_and_finite_tracks(
        steps in prop::collection::vec(
            (0.01f64..6.0, prop::collection::vec((0f32..0.9, 0f32..0.9, 0.0f32..0.5, 0.0f32..1.0), 0..20)), 1..30),
    ) {
        let mut tracker = Tracker::new(TrackParams::default());
        let mut t = 0.0;
        for (dt, boxes) in steps {
            t += dt;
            let detections: Vec<_> = boxes
                .iter()
                .map(|(x, y, size, score)| Detection {
                    meaning: Meaning::Vehicle, score: *score, rect: Rect::new(*x, *y, x + size, y + size),
                })
                .collect();
            let tracks = tracker.step(at(t), &detections);
            let mut ids: Vec<_> = tracks.iter().map(|t| t.id).collect();
            ids.dedup();
            prop_assert_eq!(ids.len(), tracks.len());
            for track in tracks {
                prop_assert!(track.rect.x0.is_finite() && track.rect.y1.is_finite());
                prop_assert!(track.path.len() <= PATH_POINTS);
            }
            prop_assert!(tracks.iter().filter(|t| t.matched_now).count() <= detections.len());
        }
    }
}
