use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::*;

const ONE: [WorkerId; 1] = [WorkerId(0)];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
fn at(after_ms: u64) -> Mono {
    Mono(3_600_000_000_000).plus(ms(after_ms))
}
fn id(n: usize) -> CameraId {
    format!("c{n:02}").parse().unwrap()
}

/// Streams of 15 pictures a second with a keyframe every two, and decoders as the looks task keeps them.
struct Town {
    spare: Spare,
    /// By camera: the last unit fed, and the last keyframe had.
    fed: Vec<(Option<u64>, Option<u64>)>,
}

const GOP: u64 = 30;

impl Town {
    fn new(cameras: usize, per_worker: usize) -> Self {
        let mut spare = Spare::new(per_worker);
        (0..cameras).for_each(|n| spare.add(at(0), &id(n)));
        Self { spare, fed: vec![(None, None); cameras] }
    }
    /// The newest unit of a camera at a time.
    fn newest(n: usize, now_ms: u64) -> u64 {
        (now_ms + n as u64 * 37) * 15 / 1000 + 1
    }
    /// Asks for a turn and takes it.
    fn turn(&mut self, now_ms: u64, free: &[WorkerId]) -> Option<(usize, Turn)> {
        let number = |id: &CameraId| id.as_str()[1..].parse::<usize>().unwrap();
        let fed = &self.fed;
        let turn = self.spare.next(at(now_ms), free, |id| {
            let (fed, had) = fed[number(id)];
            let newest = Self::newest(number(id), now_ms);
            let keyframe = newest - newest % GOP;
            Held {
                unfed: fed.map(|fed| usize::try_from(newest - fed).unwrap()),
                from_keyframe: Some(usize::try_from(newest - keyframe + 1).unwrap()),
                keyframe: had.is_none_or(|had| keyframe > had) && fed.is_none_or(|fed| keyframe > fed),
            }
        })?;
        let n = number(&turn.camera);
        let newest = Self::newest(n, now_ms);
        let keyframe = newest - newest % GOP;
        self.fed[n] = match turn.takes {
            Takes::Next | Takes::Restart => (Some(newest), Some(keyframe)),
            Takes::Keyframe => (None, Some(keyframe)),
        };
        Some((n, turn))
    }
    /// For so long every millisecond: whether the one worker is free of looks, and how long a turn takes. What was taken.
    fn run(
        &mut self,
        from_ms: u64,
        to_ms: u64,
        turn_ms: u64,
        mut free: impl FnMut(u64) -> bool,
    ) -> Vec<(u64, Turn)> {
        let (mut turns, mut under_way) = (Vec::new(), None);
        for now in from_ms..to_ms {
            if let Some((n, ends)) = under_way.filter(|(_, ends)| *ends <= now) {
                let _: u64 = ends;
                assert_eq!(self.spare.done(at(now), &id(n), true), None);
                under_way = None;
            }
            if under_way.is_none()
                && free(now)
                && let Some((n, turn)) = self.turn(now, &ONE)
            {
                under_way = Some((n, now + turn_ms));
                turns.push((now, turn));
            }
        }
        turns
    }
}

fn count(turns: &[(u64, Turn)], takes: Takes) -> usize {
    turns.iter().filter(|(_, turn)| turn.takes == takes).count()
}

#[test]
fn with_time_to_spare_every_picture_is_had_within_a_quarter_of_a_second() {
    let mut town = Town::new(20, 64);
    town.run(0, 4_000, 3, |_| true);
    let turns = town.run(4_000, 14_000, 3, |_| true);
    assert_eq!(count(&turns, Takes::Next), turns.len(), "each goes on where it was");
    for n in 0..20 {
        let times: Vec<u64> =
            turns.iter().filter(|(_, turn)| turn.camera == id(n)).map(|(now, _)| *now).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 320), "{n}: {times:?}");
    }
    assert_eq!(town.spare.kept(), 20);
}

#[test]
fn where_looks_leave_little_time_sub_streams_have_their_keyframes_and_are_followed_again_after() {
    let mut town = Town::new(20, 64);
    town.run(0, 4_000, 3, |_| true);
    // Looks leave one moment in two hundred milliseconds: a turn in four seconds for each.
    let turns = town.run(4_000, 44_000, 3, |now| now.is_multiple_of(200));
    let late: Vec<(u64, Turn)> = turns.into_iter().filter(|(now, _)| *now >= 8_000).collect();
    let keyframes = count(&late, Takes::Keyframe);
    assert!(keyframes * 10 >= late.len() * 4, "{keyframes} of {}", late.len());
    let per_camera = (0..20).map(|n| late.iter().filter(|(_, turn)| turn.camera == id(n)).count());
    let per_camera: Vec<usize> = per_camera.collect();
    let (least, most) = (per_camera.iter().min().unwrap(), per_camera.iter().max().unwrap());
    assert!(*least >= 4 && *most <= least * 3, "{per_camera:?}");
    town.run(44_000, 48_000, 3, |_| true);
    let turns = town.run(48_000, 50_000, 3, |_| true);
    assert_eq!(count(&turns, Takes::Next), turns.len());
}

#[test]
fn no_worker_keeps_more_decoders_than_it_may_and_the_rest_have_keyframes() {
    let mut town = Town::new(10, 4);
    town.run(0, 4_000, 1, |_| true);
    assert_eq!(town.spare.kept(), 4);
    let turns = town.run(4_000, 10_000, 1, |_| true);
    // Six cameras, a keyframe every two seconds.
    assert!((12..=24).contains(&count(&turns, Takes::Keyframe)), "{}", count(&turns, Takes::Keyframe));
    // One goes, and its place is taken.
    let gone = (0..10).find(|n| town.spare.holder(&id(*n)).is_some()).unwrap();
    assert_eq!(town.spare.remove(&id(gone)), Some(WorkerId(0)));
    assert_eq!(town.spare.kept(), 3);
    town.run(10_000, 14_000, 1, |_| true);
    assert_eq!(town.spare.kept(), 4);
}

#[test]
fn what_fails_is_tried_again_later_and_later_and_a_dead_worker_keeps_nothing() {
    let mut town = Town::new(1, 64);
    let (mut now, mut pauses) = (0, Vec::new());
    for _ in 0..8 {
        let since = now;
        while town.turn(now, &ONE).is_none() {
            now += 10;
        }
        town.fed[0] = (None, None);
        pauses.push(now - since);
        let kept = town.spare.holder(&id(0));
        assert_eq!(town.spare.done(at(now), &id(0), false), kept, "its worker is to be told");
        assert_eq!(town.spare.kept(), 0);
    }
    assert!(pauses.windows(2).all(|pair| pair[1] >= pair[0]), "{pauses:?}");
    assert!(pauses[2] >= 2_000 && pauses[7] >= 60_000, "{pauses:?}");
    let mut town = Town::new(4, 64);
    town.run(0, 4_000, 1, |_| true);
    town.spare.worker_lost(WorkerId(0));
    assert_eq!(town.spare.kept(), 0);
    assert!((0..4).all(|n| town.spare.holder(&id(n)).is_none()));
}

#[test]
fn on_random_histories_a_turn_is_on_a_free_worker_that_keeps_the_decoder_and_a_camera_has_one_at_a_time() {
    for seed in 0..200 {
        let mut dice = SmallRng::seed_from_u64(seed);
        let per_worker = dice.random_range(0..5);
        let mut town = Town::new(12, per_worker);
        let mut flights: Vec<(usize, WorkerId)> = Vec::new();
        let mut now = 0;
        for step in 0..400 {
            now += dice.random_range(0..80);
            let busy: Vec<WorkerId> = flights.iter().map(|(_, worker)| *worker).collect();
            let free: Vec<WorkerId> = (0..3)
                .map(WorkerId)
                .filter(|worker| !busy.contains(worker) && dice.random_bool(0.7))
                .collect();
            let holders: Vec<_> = (0..12).map(|n| town.spare.holder(&id(n))).collect();
            if let Some((n, turn)) = town.turn(now, &free) {
                assert!(free.contains(&turn.worker), "seed {seed}, step {step}");
                assert!(flights.iter().all(|(other, _)| *other != n), "seed {seed}, step {step}");
                assert!(
                    turn.takes != Takes::Next || holders[n] == Some(turn.worker),
                    "seed {seed}, step {step}: {turn:?} of {holders:?}"
                );
                flights.push((n, turn.worker));
            }
            for worker in (0..3).map(WorkerId) {
                let kept = (0..12).filter(|n| town.spare.holder(&id(*n)) == Some(worker)).count();
                assert!(kept <= per_worker, "seed {seed}, step {step}");
                assert_eq!(kept, town.spare.kept.get(&worker).copied().unwrap_or_default());
            }
            if !flights.is_empty() && dice.random_bool(0.6) {
                let (n, _) = flights.swap_remove(dice.random_range(0..flights.len()));
                let succeeded = dice.random_bool(0.9);
                if !succeeded {
                    town.fed[n] = (None, None);
                }
                let kept = town.spare.holder(&id(n)).filter(|_| !succeeded);
                assert_eq!(town.spare.done(at(now), &id(n), succeeded), kept, "its worker is to be told");
            }
            match dice.random_range(0..60) {
                0 => town.spare.worker_lost(WorkerId(dice.random_range(0..3))),
                1 => {
                    let n = dice.random_range(0..12);
                    flights.retain(|(other, _)| *other != n);
                    town.spare.add(at(now), &id(n));
                    town.fed[n] = (None, None);
                }
                2 => drop(town.spare.release(&id(dice.random_range(0..12)))),
                _ => {}
            }
        }
    }
}
