//! Encoders of every temper, by their numbers alone. Real ones are measured by `make bench-activity`.

use bytes::Bytes;
use proptest::prelude::*;
use xueliang_base::time::Wall;

use super::*;

/// A made-up camera: what it says of each picture goes straight to the signal.
struct Camera {
    activity: Activity,
    codec: Codec,
    at: Mono,
    interval: Duration,
    group: u32,
    in_group: u32,
    random: u64,
}

/// What a camera was seen to do for a while.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    units: u32,
    awake: u32,
    first_s: Option<f32>,
}

impl Seen {
    fn share(&self) -> f32 {
        self.awake as f32 / self.units as f32
    }
}

impl Camera {
    fn new(hz: u32, group: u32) -> Self {
        Self {
            activity: Activity::new(0.99),
            codec: Codec::H264,
            at: Mono(1),
            interval: Duration::from_secs(1) / hz,
            group,
            in_group: 0,
            random: 7,
        }
    }
    /// From -1 to 1, mostly near 0.
    fn noise(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..3 {
            self.random =
                self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.random >> 40) as f32 / (1_u64 << 24) as f32;
        }
        sum / 1.5 - 1.0
    }
    fn unit(&mut self, coding: Coding, bytes: f32, qp: Option<i8>) -> Option<Wake> {
        let facts = Facts { bytes: (bytes.max(1.0)) as u32, coding, qp, size: Some((1280, 720)) };
        self.at = self.at.plus(self.interval);
        self.activity.follow(self.codec, self.at, false, facts)
    }
    /// Runs for a time. `picture` gives bytes and quantiser of a predicted picture by its position in the group.
    fn run(&mut self, seconds: u32, picture: impl Fn(u32) -> (f32, i8)) -> Seen {
        let mut seen = Seen::default();
        let begin = self.at;
        while self.at.since(begin) < Duration::from_secs(u64::from(seconds)) {
            let spread = (0.3 * self.noise()).exp2();
            let wake = if self.in_group == 0 {
                self.unit(Coding::Intra, 30_000.0 * spread, Some(24))
            } else {
                let (bytes, qp) = picture(self.in_group - 1);
                self.unit(Coding::Inter, bytes * spread, Some(qp))
            };
            self.in_group = (self.in_group + 1) % self.group;
            seen.units += 1;
            if wake.is_some() {
                seen.awake += 1;
                seen.first_s.get_or_insert(self.at.since(begin).as_secs_f32());
            }
        }
        seen
    }
}

#[test]
fn a_movement_wakes_at_once_and_rest_hardly_ever() {
    for group in [25, 50, 2000] {
        let mut camera = Camera::new(25, group);
        let rest = camera.run(90, |_| (1000.0, 28));
        assert!(rest.share() < 0.02, "group {group}: {rest:?}");
        let moves = camera.run(5, |_| (2500.0, 28));
        assert!(moves.first_s.is_some_and(|first| first < 0.5), "group {group}: {moves:?}");
        assert!(moves.share() > 0.9, "group {group}: {moves:?}");
        let after = camera.run(10, |_| (1000.0, 28));
        assert!(after.share() < 0.15, "group {group}: {after:?}");
        let counters = camera.activity.counters();
        assert!(counters.wakes >= 1 && counters.waking_units > 10 * counters.wakes, "{counters:?}");
    }
}

#[test]
fn nothing_is_woken_before_there_is_a_baseline() {
    let mut camera = Camera::new(25, 50);
    let begin = camera.run(9, |_| (1000.0, 28));
    let moves = camera.run(1, |_| (9000.0, 28));
    assert_eq!(begin.awake + moves.awake, 0);
    assert_eq!((camera.activity.state(), camera.activity.excess()), (State::Calibrating, None));
}

#[test]
fn what_keyframes_cost_their_neighbours_is_no_activity() {
    // Rate control starves the pictures after a keyframe, then is generous.
    let starved = |position: u32| match position {
        0..8 => (500.0, 36),
        8..16 => (2600.0, 30),
        _ => (1000.0, 28),
    };
    let mut camera = Camera::new(25, 50);
    camera.run(120, starved);
    let rest = camera.run(120, starved);
    assert!(rest.share() < 0.05, "{rest:?}");
    let moves = camera.run(6, |position| (starved(position).0 * 2.5, starved(position).1));
    assert!(moves.share() > 0.9, "{moves:?}");
}

#[test]
fn where_the_rate_is_constant_the_quantiser_tells() {
    let mut camera = Camera::new(25, 50);
    camera.run(90, |_| (4000.0, 25));
    let moves = camera.run(5, |_| (4000.0, 31));
    assert!(moves.share() > 0.9, "{moves:?}");
    let mut blind = Camera::new(25, 50);
    blind.codec = Codec::H265;
    for n in 0..3000 {
        let coding = if n % 50 == 0 { Coding::Intra } else { Coding::Inter };
        let wake = blind.unit(coding, 4000.0, None);
        assert!(wake.is_none());
    }
    assert_eq!(blind.activity.basis(), Basis::Size, "and it says that it has sizes alone");
    assert_eq!(blind.activity.state(), State::Usual);
    let louder =
        (0..10).filter(|_| blind.unit(Coding::Inter, 12_000.0, None).is_some_and(|w| w.basis == Basis::Size));
    assert!(louder.count() > 5);
}

#[test]
fn a_step_of_the_bit_rate_is_forgotten_within_two_minutes() {
    for (bytes, qp) in [(8000.0, 22), (1000.0, 34)] {
        let mut camera = Camera::new(25, 50);
        camera.run(90, |_| (3000.0, 28));
        camera.run(120, |_| (bytes, qp));
        let rest = camera.run(30, |_| (bytes, qp));
        assert!(rest.share() < 0.02, "{bytes} bytes at {qp}: {rest:?}");
        let moves = camera.run(5, |_| (bytes * 2.5, qp));
        assert!(moves.share() > 0.9, "{bytes} bytes at {qp}: {moves:?}");
    }
}

#[test]
fn the_noise_of_night_and_rain_become_usual_and_hide_little() {
    let mut camera = Camera::new(15, 60);
    camera.run(90, |_| (1000.0, 28));
    let dusk = camera.run(60, |_| (3500.0, 28));
    assert!(dusk.share() > 0.5, "an onset is worth a look: {dusk:?}");
    camera.run(120, |_| (3500.0, 28));
    let night = camera.run(60, |_| (3500.0, 28));
    assert!(night.share() < 0.02, "{night:?}");
    let moves = camera.run(5, |_| (7000.0, 28));
    assert!(moves.share() > 0.9, "{moves:?}");

    // Rain comes in gusts: each picture is up to twice as dear as the last.
    let mut rain = Camera::new(15, 60);
    let mut heavy = Seen::default();
    for minute in 0..4 {
        heavy = rain.run(60, |position| (3000.0 * (1.0 + 0.5 * (position as f32 * 2.4).sin()), 30));
        assert!(minute == 0 || heavy.units > 800);
    }
    assert!(heavy.share() < 0.3, "{heavy:?}");
}

#[test]
fn lone_dear_pictures_of_smart_codecs_keep_no_camera_awake() {
    let smart = |position: u32| if position % 50 == 49 { (12_000.0, 26) } else { (900.0, 28) };
    let mut camera = Camera::new(25, 1500);
    camera.run(120, smart);
    let rest = camera.run(120, smart);
    assert!(rest.share() < 0.25, "{rest:?}");
    let moves = camera.run(5, |position| (smart(position).0 * 3.0, 28));
    assert!(moves.share() > 0.9, "{moves:?}");
}

#[test]
fn a_stream_of_keyframes_wakes_by_change_in_either_direction() {
    for codec in [Codec::Mjpeg, Codec::H264] {
        for factor in [1.3, 0.7] {
            let mut camera = Camera::new(10, 1);
            camera.codec = codec;
            let qp = (codec != Codec::Mjpeg).then_some(30);
            let mut awake = 0;
            for _ in 0..900 {
                let bytes = 50_000.0 * (0.05 * camera.noise()).exp2();
                awake += u32::from(camera.unit(Coding::Intra, bytes, qp).is_some());
            }
            assert_eq!(awake, 0, "{codec:?}");
            let wakes: Vec<Wake> =
                (0..10).filter_map(|_| camera.unit(Coding::Intra, 50_000.0 * factor, qp)).collect();
            assert!(wakes.len() >= 5, "{codec:?} {factor}: {}", wakes.len());
            assert_eq!(wakes[0].reason, Reason::Changed);
            let basis = if codec == Codec::Mjpeg { Basis::Size } else { Basis::SizeAndQp };
            assert_eq!(wakes[0].basis, basis);
        }
    }
}

#[test]
fn a_stream_of_another_size_or_codec_begins_anew() {
    let mut camera = Camera::new(25, 50);
    camera.run(60, |_| (1000.0, 28));
    camera.codec = Codec::H265;
    let other = camera.run(5, |_| (9000.0, 28));
    assert_eq!((other.awake, camera.activity.state()), (0, State::Calibrating));
    assert_eq!(camera.activity.counters().restarts, 2);
}

/// Rest and movement that overlap, with a lesson a second: what was counted of the second half.
fn taught(recall: f32, rest: (f32, i8), moves: (f32, i8)) -> (Counters, Counters, Calibration) {
    let mut camera = Camera::new(10, 50);
    camera.activity = Activity::new(recall);
    let mut half = Counters::default();
    for round in 0..400_u32 {
        if round == 200 {
            half = camera.activity.counters();
        }
        let stir = 0.5 * camera.noise();
        for (lesson, (bytes, qp), seconds) in [(Lesson::Still, rest, 6), (Lesson::Moved, moves, 2)] {
            for _ in 0..seconds {
                camera.run(1, |_| (bytes * stir.exp2(), qp));
                let at = camera.at;
                camera.activity.teach(lesson, at);
            }
        }
    }
    (half, camera.activity.counters(), camera.activity.calibration())
}

#[test]
fn lessons_set_the_threshold_to_the_recall_that_is_asked_for() {
    for recall in [0.8, 0.95] {
        let (half, end, calibration) = taught(recall, (1000.0, 28), (1700.0, 28));
        let moved = (end.moved - half.moved) as f32;
        let found = 1.0 - (end.moved_missed - half.moved_missed) as f32 / moved;
        assert!(found > recall - 0.05, "asked {recall}, found {found}: {calibration:?}");
        // The bins are an eighth of a bit wide; more is found only as far as that goes.
        assert!(calibration.threshold > 0.1, "{calibration:?}");
        assert!(calibration.auc.is_some_and(|auc| auc > 0.85), "{calibration:?}");
    }
    let (_, _, low) = taught(0.8, (1000.0, 28), (1700.0, 28));
    let (_, _, high) = taught(0.98, (1000.0, 28), (1700.0, 28));
    assert!(low.threshold > high.threshold, "{low:?} {high:?}");
    assert!(low.false_wakes <= high.false_wakes, "{low:?} {high:?}");
}

#[test]
fn lessons_choose_the_form_that_tells_best() {
    // A sloppy rate control: sizes fall while the quantiser rises, and only a heavy weight on it shows that.
    let (_, _, calibration) = taught(0.95, (4000.0, 26), (2300.0, 29));
    assert!(calibration.auc.is_some_and(|auc| auc > 0.8), "{calibration:?}");
}

#[test]
fn a_few_lessons_make_it_more_watchful_never_less() {
    let mut camera = Camera::new(10, 50);
    camera.run(60, |_| (1000.0, 28));
    let untaught = camera.activity.calibration().threshold;
    for _ in 0..20 {
        camera.run(1, |_| (9000.0, 28));
        let at = camera.at;
        camera.activity.teach(Lesson::Moved, at);
        camera.run(5, |_| (1000.0, 28));
    }
    assert_eq!(camera.activity.calibration().threshold, untaught, "all of twenty were far above it");
    camera.run(5, |_| (1000.0, 28));
    let at = camera.at;
    camera.activity.teach(Lesson::Moved, at);
    let calibration = camera.activity.calibration();
    assert!(calibration.threshold < untaught, "one that was missed: {calibration:?}");
    assert_eq!(camera.activity.counters().moved_missed, 1);
}

#[test]
fn noise_that_looks_have_told_apart_wakes_no_more() {
    let mut camera = Camera::new(10, 50);
    let noisy = |camera: &mut Camera, taught: bool| {
        let mut awake = Seen::default();
        for _ in 0..120 {
            let flicker = 0.8 * camera.noise();
            let second = camera.run(1, |_| (1000.0 * flicker.exp2(), 28));
            awake.units += second.units;
            awake.awake += second.awake;
            let at = camera.at;
            if taught {
                camera.activity.teach(Lesson::Still, at);
            }
        }
        awake.share()
    };
    let (untaught, learning, after) =
        (noisy(&mut camera, false), noisy(&mut camera, true), noisy(&mut camera, true));
    assert!(untaught > 0.2, "{untaught}");
    assert!(after < 0.08 && after < learning.max(0.08), "{untaught} {learning} {after}");
    let moves = camera.run(3, |_| (6000.0, 28));
    assert!(moves.first_s.is_some_and(|first| first < 0.5), "{moves:?}");
}

#[test]
fn gusts_that_are_over_when_the_look_comes_are_told_apart_too_and_what_moved_is_not_taken_for_one() {
    let gusts = |camera: &mut Camera, moved: bool| {
        let mut woken = 0;
        for _ in 0..60 {
            camera.run(2, |_| (1000.0, 28));
            woken += u32::from(camera.run(1, |_| (2200.0, 28)).awake > 0);
            if moved {
                let at = camera.at;
                camera.activity.teach(Lesson::Moved, at);
            }
            camera.run(1, |_| (1000.0, 28));
            let at = camera.at;
            camera.activity.teach(Lesson::Still, at);
        }
        woken
    };
    let mut camera = Camera::new(10, 50);
    let woken = [(); 3].map(|()| gusts(&mut camera, false));
    assert!(woken[0] > 5 && woken[2] < 12, "{woken:?}");
    let counters = camera.activity.counters();
    assert!(counters.still_woken > 0 && counters.still_woken < counters.still / 3, "{counters:?}");
    let moves = camera.run(3, |_| (9000.0, 28));
    assert!(moves.first_s.is_some_and(|first| first < 0.5), "{moves:?}");

    // Where the gust is what moved, that it stood a second before a still look is no reason to miss the next.
    let mut camera = Camera::new(10, 50);
    let woken = [(); 3].map(|()| gusts(&mut camera, true));
    assert!(woken[2] > 55, "{woken:?}");
}

#[test]
fn a_lesson_without_a_moment_is_counted_and_teaches_nothing() {
    let mut camera = Camera::new(10, 50);
    let early = camera.at;
    camera.activity.teach(Lesson::Moved, early);
    camera.run(60, |_| (1000.0, 28));
    camera.activity.teach(Lesson::Still, early);
    let counters = camera.activity.counters();
    assert_eq!((counters.lessons_unplaced, counters.moved, counters.still), (2, 0, 0));
    let fresh = camera.at.minus(Duration::from_secs(8));
    camera.activity.teach(Lesson::Still, fresh);
    assert_eq!(camera.activity.counters().still, 1);
}

#[test]
fn a_unit_whose_quantiser_cannot_be_read_changes_nothing() {
    let mut camera = Camera::new(25, 2000);
    camera.run(60, |_| (1000.0, 28));
    let before = camera.activity.excess();
    camera.unit(Coding::Inter, 90_000.0, None);
    assert_eq!(camera.activity.excess(), before);
    assert_eq!(camera.activity.counters().qp_unread, 1);
}

#[test]
fn a_stream_takes_few_kilobytes() {
    assert!(size_of::<Activity>() <= 8 * 1024, "{}", size_of::<Activity>());
}

proptest! {
    #[test]
    fn no_units_make_it_panic_or_lose_its_numbers(
        units in proptest::collection::vec((any::<u32>(), 0..4_u8, -48..=51_i8, any::<bool>(), 0..3_000_000_000_u64, any::<bool>()), 1..300),
    ) {
        let mut activity = Activity::new(0.99);
        let mut at = 1;
        for (bytes, coding, qp, known, passed, gap) in units {
            at += passed;
            let coding = [Coding::Intra, Coding::Inter, Coding::Between, Coding::Unreferenced][usize::from(coding)];
            let facts = Facts { bytes: bytes.max(1), coding, qp: known.then_some(qp), size: None };
            let _ = activity.follow(Codec::H264, Mono(at), gap, facts);
            activity.teach(if known { Lesson::Moved } else { Lesson::Still }, Mono(at));
            prop_assert!(activity.excess.iter().all(|excess| excess.is_finite()));
            prop_assert!(activity.calibration().threshold.is_finite());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..200), head in 0..6_usize, h265: bool) {
        let mut unit = vec![0, 0, 1];
        unit.extend(if h265 { [[0x40, 1], [0x42, 1], [0x44, 1], [0x26, 1], [0x02, 1], [0, 1]][head] } else {
            [[0x67, 100], [0x68, 0xee], [0x65, 0x88], [0x41, 0x9a], [0x01, 0x9e], [0x06, 5]][head]
        });
        unit.extend(data);
        let mut activity = Activity::new(0.9);
        for seq in 1..3 {
            let unit = AccessUnit {
                seq,
                codec: if h265 { Codec::H265 } else { Codec::H264 },
                keyframe: head == 2,
                discontinuity: false,
                pts_us: None,
                arrival: Mono(seq),
                arrival_wall: Wall(0),
                camera_time: None,
                data: Bytes::copy_from_slice(&unit),
            };
            let _ = activity.push(&unit);
        }
    }
}
