//! Promise 4 in miniature, and the bookkeeping around it.

use xueliang_base::kind::Kind;

use super::{
    simulation::{Cam, Sim, TICK},
    *,
};

mod pictures;
mod woken;

fn params(workers: usize) -> AttentionParams {
    AttentionParams { workers, ..AttentionParams::default() }
}
fn cams(count: usize, blind_max_s: f64, cost_ms: u64) -> Vec<Cam> {
    (0..count).map(|i| Cam::new(&format!("c{i:02}"), blind_max_s, cost_ms)).collect()
}
fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
fn id(text: &str) -> CameraId {
    text.parse().unwrap()
}
fn need(name: &str, weight: f32, blind_max_s: f64, continued: bool) -> CameraNeed {
    let rule = "r".parse().unwrap();
    let floor = Floor {
        rule,
        kind: Kind::WrongWay,
        blind_max: s(blind_max_s),
        deciding: s(blind_max_s),
        at_rest: s(blind_max_s),
        continued,
        models: Vec::new(),
        unserved: false,
    };
    CameraNeed { id: id(name), weight, floors: vec![floor], rest: None }
}
fn offer(now: Mono, keyframe_age_s: f64, units: usize) -> Offer {
    Offer {
        freshest_keyframe_arrival: Some(now.minus(s(keyframe_age_s))),
        newest_unit_arrival: Some(now),
        units_since_look: units,
        keyframe_interval_estimate: Some(s(2.0)),
        rhythm: None,
        blind: None,
    }
}
/// A look that saw the picture that arrived then.
fn ok(picture: Mono) -> LookOutcome {
    LookOutcome {
        cost: LookCost { decode_us: 10_000, preprocess_us: 0, infer_us: 20_000 },
        result: Ok(Seen { picture, models: Vec::new() }),
        units_decoded: 1,
    }
}

#[test]
fn with_capacity_to_spare_every_floor_is_kept() {
    let mut sim = Sim::new(params(2), cams(20, 4.0, 40));
    sim.run(60.0);
    for cam in &sim.cams {
        assert!(cam.longest(sim.start) <= 4.01, "{}: {}", cam.id, cam.longest(sim.start));
        assert!(cam.ages.iter().all(|age| *age <= s(5.0)));
    }
    assert_eq!(sim.attention.breaches(sim.now), []);
    let row = &sim.attention.coverage(&id("c00"))[0];
    assert_eq!(row.granted, Granted::Guaranteed, "{row:?}");
}

#[test]
fn at_ten_times_the_load_ages_stay_bounded_and_intervals_stretch_evenly() {
    // 40 cameras, every 2 s, 500 ms each: ten workers' work for one.
    let mut cams = cams(40, 2.0, 500);
    for (index, cam) in cams.iter_mut().enumerate() {
        cam.phase = Duration::from_millis(50) * u32::try_from(index).unwrap();
    }
    let mut sim = Sim::new(params(1), cams);
    sim.run(200.0);
    let warm = sim.start.plus(s(40.0));
    let means: Vec<f64> = sim.cams.iter().map(|cam| cam.mean(warm)).collect();
    for (cam, mean) in sim.cams.iter().zip(&means) {
        assert!((mean - 20.0).abs() < 3.0, "{}: {mean}", cam.id);
        let oldest = cam.ages.iter().max().unwrap();
        assert!(*oldest <= s(5.0) + TICK, "{}: {oldest:?}", cam.id);
    }
    let row = &sim.attention.coverage(&id("c00"))[0];
    assert!(matches!(row.granted, Granted::NotCovered(Why::Overloaded)), "{row:?}");
    assert!((row.expected_interval.as_secs_f64() - 23.5).abs() < 3.0, "{row:?}");
    assert_eq!(sim.attention.breaches(sim.now).len(), 40, "a broken floor is itself told");
    assert!(sim.attention.counters().refused[&NotLooked::Busy] > 100);
}

#[test]
fn cameras_in_step_do_not_leave_the_workers_idle() {
    // 40 keyframes at one moment, every 2 s, 50 ms each: what one worker can just do, one after the other.
    let mut sim = Sim::new(params(1), cams(40, 2.0, 50));
    sim.run(120.0);
    let warm = sim.start.plus(s(60.0));
    for cam in &sim.cams {
        assert!(cam.mean(warm) < 4.0, "{}: {}", cam.id, cam.mean(warm));
    }
}

#[test]
fn four_times_the_cameras_make_no_look_later_and_none_is_left_out() {
    let town = |count| {
        let mut cams = cams(count, 0.5, 25);
        for (index, cam) in cams.iter_mut().enumerate() {
            cam.continued = true;
            cam.phase = Duration::from_millis(97) * u32::try_from(index).unwrap();
        }
        let mut sim = Sim::new(AttentionParams { max_age: s(1.2), leases_per_worker: 16, ..params(2) }, cams);
        sim.run(60.0);
        sim
    };
    let p99 = |sim: &Sim| {
        let warm = sim.cams.iter().flat_map(|cam| &cam.ages[cam.ages.len() / 4..]);
        let mut ages: Vec<Duration> = warm.copied().collect();
        ages.sort_unstable();
        ages[ages.len() * 99 / 100]
    };
    let (few, many) = (town(10), town(60));
    assert!(
        p99(&many) <= p99(&few).max(s(0.13)),
        "{:?} with 10 cameras, {:?} with 60",
        p99(&few),
        p99(&many)
    );
    for cam in &many.cams {
        // Every keyframe, or every second where one was let pass.
        assert!(cam.longest(many.start.plus(s(10.0))) <= 4.3, "{}", cam.longest(many.start.plus(s(10.0))));
    }
    let leased = many.cams.iter().filter(|cam| many.attention.lease(&cam.id).is_some()).count();
    assert!((1..20).contains(&leased), "what is left of the workers' time is leased: {leased}");
    for cam in &many.cams {
        let granted = many.attention.coverage(&cam.id)[0].granted;
        let told = if many.attention.lease(&cam.id).is_some() {
            Granted::Guaranteed
        } else {
            Granted::NotCovered(Why::Overloaded)
        };
        assert_eq!(granted, told, "{}", cam.id);
    }
}

#[test]
fn cameras_that_send_their_keyframes_at_one_moment_leave_no_worker_idle() {
    // 60 keyframes of 25 ms every 2 s are three quarters of what one worker can do, but not within 100 ms.
    let mut cams = cams(60, 0.5, 25);
    cams.iter_mut().for_each(|cam| cam.continued = true);
    let mut sim = Sim::new(AttentionParams { max_age: s(1.2), ..params(2) }, cams);
    sim.run(120.0);
    let warm = sim.start.plus(s(60.0));
    let means: Vec<f64> = sim.cams.iter().map(|cam| cam.mean(warm)).collect();
    assert!(means.iter().all(|mean| *mean < 2.6), "{means:?}");
}

#[test]
fn under_overload_a_camera_of_twice_the_weight_is_looked_at_twice_as_often() {
    let mut cams = cams(30, 2.0, 400);
    for cam in &mut cams[..10] {
        cam.weight = 2.0;
    }
    let mut sim = Sim::new(params(1), cams);
    sim.run(200.0);
    let warm = sim.start.plus(s(40.0));
    let mean = |cams: &[Cam]| cams.iter().map(|cam| cam.mean(warm)).sum::<f64>() / 10.0;
    let (heavy, light) = (mean(&sim.cams[..10]), mean(&sim.cams[10..20]));
    assert!((light / heavy - 2.0).abs() < 0.3, "{heavy} {light}");
}

#[test]
fn under_overload_rare_and_frequent_cameras_stretch_by_the_same_factor() {
    let mut all = cams(20, 2.0, 400);
    all.extend((0..20).map(|i| Cam::new(&format!("d{i:02}"), 8.0, 400)));
    let mut sim = Sim::new(params(1), all);
    sim.run(300.0);
    let warm = sim.start.plus(s(60.0));
    let mean = |cams: &[Cam]| cams.iter().map(|cam| cam.mean(warm)).sum::<f64>() / 20.0;
    let (often, rare) = (mean(&sim.cams[..20]) / 2.0, mean(&sim.cams[20..]) / 8.0);
    assert!((often / rare - 1.0).abs() < 0.3, "{often} {rare}");
}

#[test]
fn cameras_that_fail_every_look_take_nothing_from_the_others() {
    let mut cams = cams(20, 4.0, 60);
    for cam in &mut cams[..10] {
        cam.broken = true;
    }
    let mut sim = Sim::new(params(1), cams);
    sim.run(60.0);
    for cam in &sim.cams[10..] {
        assert!(cam.longest(sim.start) <= 4.1, "{}: {}", cam.id, cam.longest(sim.start));
    }
    let broken = sim.decisions.iter().filter(|d| d.camera == id("c00")).count();
    assert!((2..12).contains(&broken), "tried again, ever more rarely: {broken}");
}

#[test]
fn continued_looks_at_three_hertz_keep_their_floor_on_leased_decoders() {
    let mut cams = cams(6, 0.4, 20);
    cams.iter_mut().for_each(|cam| cam.continued = true);
    let mut sim = Sim::new(params(2), cams);
    sim.run(30.0);
    let warm = sim.start.plus(s(2.0));
    for cam in &sim.cams {
        assert!(cam.longest(warm) <= 0.5, "{}: {}", cam.id, cam.longest(warm));
        assert!(sim.attention.lease(&cam.id).is_some());
    }
    assert_eq!(sim.attention.counters().leases_granted, 6);
    assert!(matches!(sim.attention.coverage(&id("c00"))[0].granted, Granted::Guaranteed));
}

#[test]
fn a_camera_without_a_lease_falls_back_to_keyframes_and_its_coverage_says_so() {
    let mut cams = cams(4, 0.4, 20);
    cams.iter_mut().for_each(|cam| cam.continued = true);
    let mut sim = Sim::new(AttentionParams { leases_per_worker: 2, ..params(1) }, cams);
    sim.run(20.0);
    assert_eq!(sim.attention.counters().leases_granted, 2);
    let rows: Vec<Granted> = sim.cams.iter().map(|cam| sim.attention.coverage(&cam.id)[0].granted).collect();
    assert_eq!(rows.iter().filter(|g| **g == Granted::NotCovered(Why::NoLease)).count(), 2, "{rows:?}");
    let warm = sim.start.plus(s(4.0));
    assert!(sim.cams.iter().all(|cam| cam.longest(warm) <= 2.1), "all are looked at, at keyframes at least");
}

#[test]
fn a_look_that_would_come_too_old_is_never_started() {
    let mut a = Attention::new(AttentionParams { max_age: s(1.0), ..params(1) });
    a.set_camera(need("a", 1.0, 1.0, false));
    let now = Mono(1_000_000_000_000);
    a.offer(&id("a"), offer(now, 1.2, 18));
    assert_eq!(a.next(now, &[WorkerId(0)]), None);
    let later = now.plus(s(2.0));
    assert_eq!(a.next(later, &[WorkerId(0)]), None);
    assert_eq!(a.take_refusals()[0].reason, NotLooked::TooOld);
    a.offer(&id("a"), offer(later, 0.3, 5));
    assert_eq!(a.next(later, &[WorkerId(0)]).unwrap().kind, LookKind::Keyframe);
}

#[test]
fn a_continued_look_that_lags_becomes_a_keyframe_look_on_its_own_worker() {
    let mut a = Attention::new(params(2));
    a.set_camera(need("a", 1.0, 0.4, true));
    let mut now = Mono(1_000_000_000_000);
    a.offer(&id("a"), offer(now, 0.0, 1));
    let first = a.next(now, &[WorkerId(1)]).unwrap();
    assert_eq!(first.lease, Some(LeaseChange::Granted { instead_of: None }));
    now = now.plus(s(0.1));
    a.done(now, &id("a"), ok(now));
    now = now.plus(s(60.0));
    // 900 units at 10 ms are 9 s of decoding.
    a.offer(&id("a"), offer(now, 0.5, 900));
    let second = a.next(now, &[WorkerId(0), WorkerId(1)]).unwrap();
    assert_eq!((second.kind, second.worker, second.lease), (LookKind::Keyframe, WorkerId(1), None));
    assert_eq!(a.counters().fallbacks, 1);
}

#[test]
fn a_clearly_more_important_camera_takes_a_lease_away_and_it_is_counted() {
    let mut a = Attention::new(AttentionParams { leases_per_worker: 1, ..params(1) });
    let mut now = Mono(1_000_000_000_000);
    a.set_camera(need("a", 1.0, 1.0, true));
    a.offer(&id("a"), offer(now, 0.0, 1));
    a.next(now, &[WorkerId(0)]).unwrap();
    a.done(now.plus(s(0.1)), &id("a"), ok(now));
    now = now.plus(s(20.0));
    a.set_camera(need("b", 4.0, 1.0, true));
    a.offer(&id("b"), offer(now, 0.0, 1));
    let decision = a.next(now, &[WorkerId(0)]).unwrap();
    assert_eq!(decision.lease, Some(LeaseChange::Granted { instead_of: Some(id("a")) }));
    assert_eq!((a.lease(&id("a")), a.lease(&id("b"))), (None, Some(WorkerId(0))));
    assert_eq!(a.counters().leases_revoked, 1);
}

#[test]
fn a_lost_worker_loses_its_looks_and_leases_and_the_camera_is_tried_elsewhere() {
    let mut a = Attention::new(params(2));
    a.set_camera(need("a", 1.0, 1.0, true));
    let mut now = Mono(1_000_000_000_000);
    a.offer(&id("a"), offer(now, 0.0, 1));
    a.next(now, &[WorkerId(0)]).unwrap();
    a.worker_lost(WorkerId(0));
    assert_eq!(a.lease(&id("a")), None);
    now = now.plus(s(3.0));
    a.offer(&id("a"), offer(now, 0.0, 1));
    let again = a.next(now, &[WorkerId(1)]).unwrap();
    assert_eq!(again.worker, WorkerId(1));
    a.remove_camera(&id("a"));
    assert_eq!(a.take_revoked(), [(id("a"), WorkerId(1))]);
    a.done(now, &id("a"), ok(now));
    assert_eq!(a.next(now, &[WorkerId(0)]), None, "nothing is left");
}

#[test]
fn another_floor_for_a_camera_that_is_looked_at_breaks_nothing_at_once() {
    let mut a = Attention::new(params(1));
    let start = Mono(1_000_000_000_000);
    a.set_camera(need("c", 1.0, 60.0, false));
    let mut now = start;
    for _ in 0..4 {
        a.offer(&id("c"), offer(now, 0.0, 1));
        let decision = a.next(now, &[WorkerId(0)]).unwrap();
        a.done(now, &decision.camera, ok(now));
        now = now.plus(s(60.0));
    }
    a.next(now, &[]);
    a.set_camera(need("c", 1.0, 5.0, false));
    assert_eq!(a.breaches(now.plus(s(6.0))), [], "it was in time by the floor before");
    assert_eq!(a.breaches(now.plus(s(20.0))).len(), 1);
}

#[test]
fn an_unreachable_camera_is_not_looked_at_and_breaches_its_floor_with_its_reason() {
    let mut a = Attention::new(params(1));
    a.set_camera(need("a", 1.0, 10.0, false));
    let now = Mono(1_000_000_000_000);
    a.offer(&id("a"), Offer { blind: Some(NotLooked::Offline), ..Offer::default() });
    assert_eq!(a.next(now, &[WorkerId(0)]), None);
    assert_eq!(a.next_wake(now), None);
    assert_eq!(a.breaches(now.plus(s(11.0))), []);
    let breach = a.breaches(now.plus(s(13.0))).remove(0);
    assert_eq!((breach.since, breach.reason), (now.plus(s(10.0)), NotLooked::Offline));
    assert_eq!(a.coverage(&id("a"))[0].granted, Granted::NotCovered(Why::Blind(NotLooked::Offline)));
}

#[test]
fn the_wake_up_time_is_when_the_next_look_is_due() {
    let mut a = Attention::new(params(1));
    a.set_camera(need("a", 1.0, 10.0, false));
    let now = Mono(1_000_000_000_000);
    let unforeseen = |at| Offer { keyframe_interval_estimate: None, ..offer(at, 0.0, 1) };
    a.offer(&id("a"), unforeseen(now));
    a.next(now, &[WorkerId(0)]).unwrap();
    assert_eq!(a.next_wake(now), None, "a look is on its way");
    a.done(now, &id("a"), ok(now));
    a.offer(&id("a"), unforeseen(now.plus(s(6.0))));
    assert_eq!(a.next(now.plus(s(6.0)), &[WorkerId(0)]), None);
    let wake = a.next_wake(now.plus(s(6.0))).unwrap();
    assert_eq!(wake, now.plus(s(8.0)));
    assert!(a.next(wake, &[WorkerId(0)]).is_some());
}

/// Longest time between two pictures that a model saw.
fn longest(cam: &Cam, model: &str) -> f64 {
    let seen = &cam.by_model[model];
    seen.windows(2).map(|p| p[1].since(p[0]).as_secs_f64()).fold(0.0, f64::max)
}

#[test]
fn each_model_looks_as_often_as_its_own_floor_asks() {
    // The camera's floor, keyframes every so many units at 15 a second, continued, other floors.
    let table: [(f64, u64, bool, &[f64]); 5] = [
        (0.5, 30, true, &[]),
        (5.0, 30, false, &[]),
        (4.0, 45, false, &[]),
        (5.0, 30, false, &[30.0]),
        (0.5, 30, true, &[1.0, 7.0]),
    ];
    for (blind_max, gop, continued, others) in table {
        let mut cam = Cam::new("a", blind_max, 30);
        (cam.gop, cam.continued, cam.others) = (gop, continued, others.to_vec());
        let mut sim = Sim::new(params(1), vec![cam]);
        sim.run(120.0);
        let cam = &sim.cams[0];
        assert_eq!(sim.attention.breaches(sim.now), [], "{blind_max} {others:?}");
        for (index, bound) in std::iter::once(&blind_max).chain(others).enumerate() {
            let longest = longest(cam, &format!("m{index}"));
            assert!(longest <= bound + 0.2, "floor {bound}, keyframes every {gop}: {longest}");
            assert!(longest >= bound * 0.6, "floor {bound} costs no more looks than it needs: {longest}");
        }
    }
}

#[test]
fn a_rule_whose_model_did_not_run_is_in_breach_though_its_camera_is_looked_at() {
    let mut a = Attention::new(params(1));
    let mut need = need("a", 1.0, 2.0, false);
    let model = "m".parse().unwrap();
    need.floors.push(Floor { rule: "q".parse().unwrap(), models: vec![model], ..need.floors[0].clone() });
    a.set_camera(need);
    let start = Mono(1_000_000_000_000);
    for step in 0..10 {
        let now = start.plus(s(f64::from(step) * 2.0));
        a.offer(&id("a"), offer(now, 0.0, 1));
        let decision = a.next(now, &[WorkerId(0)]).unwrap();
        assert_eq!(decision.models, ["m".parse().unwrap()]);
        a.done(now, &id("a"), ok(now));
    }
    let breaches = a.breaches(start.plus(s(18.5)));
    let rules: Vec<&str> = breaches.iter().map(|breach| breach.rule.as_str()).collect();
    assert_eq!(rules, ["q"]);
}

#[test]
fn a_continued_floor_served_at_keyframes_only_is_in_breach() {
    let mut cam = Cam::new("a", 0.5, 20);
    cam.continued = true;
    // No decoder to lease: looks come at keyframes, every 2 s.
    let mut sim = Sim::new(AttentionParams { leases_per_worker: 0, ..params(1) }, vec![cam]);
    sim.run(20.0);
    let breaches = sim.attention.breaches(sim.now);
    assert_eq!(breaches.len(), 1, "{breaches:?}");
    assert!(sim.now.since(breaches[0].since) > s(15.0), "and has been for long: {breaches:?}");
}

#[test]
fn a_camera_is_in_time_after_two_looks_one_soon_after_the_other() {
    let mut a = Attention::new(params(1));
    a.set_camera(need("a", 1.0, 2.0, false));
    let mut now = Mono(1_000_000_000_000);
    let mut look = |a: &mut Attention, after: f64| {
        now = now.plus(s(after));
        a.offer(&id("a"), offer(now, 0.0, 1));
        a.next(now, &[WorkerId(0)]).unwrap();
        a.done(now, &id("a"), ok(now));
        now
    };
    let mut at = look(&mut a, 0.0);
    assert_eq!(a.in_time(at, &id("a")), Some(false), "one look says nothing of the next");
    at = look(&mut a, 2.0);
    assert_eq!(a.in_time(at, &id("a")), Some(true));
    assert_eq!(a.in_time(at.plus(s(4.1)), &id("a")), Some(false), "and then nothing came");
    at = look(&mut a, 9.0);
    assert_eq!(a.in_time(at, &id("a")), Some(false));
    assert_eq!(a.in_time(at, &id("b")), None);
}

#[test]
fn one_slow_look_keeps_a_camera_from_being_looked_at_for_seconds_and_not_for_ever() {
    let mut a = Attention::new(AttentionParams { max_age: s(1.0), ..params(1) });
    a.set_camera(need("a", 1.0, 2.0, false));
    let mut now = Mono(1_000_000_000_000);
    a.offer(&id("a"), offer(now, 0.0, 1));
    let decision = a.next(now, &[WorkerId(0)]).unwrap();
    let slow = LookCost { decode_us: 100_000, preprocess_us: 0, infer_us: 3_900_000 };
    let seen = Seen { picture: now, models: decision.models };
    a.done(now.plus(s(4.0)), &id("a"), LookOutcome { cost: slow, result: Ok(seen), units_decoded: 1 });
    let mut waited = 0.0;
    loop {
        now = now.plus(s(0.5));
        waited += 0.5;
        a.offer(&id("a"), offer(now, 0.0, 1));
        if a.next(now, &[WorkerId(0)]).is_some() {
            break;
        }
        assert!(waited < 60.0, "it is never looked at again");
    }
    assert!(waited > 6.0, "for a while it is believed: {waited}");
}

/// A camera of one moving hazard, at rest until something wakes it.
fn resting() -> CameraNeed {
    let mut need = need("c", 1.0, 0.3, true);
    need.floors[0].at_rest = s(30.0);
    need.floors[0].models = vec!["m".parse().unwrap()];
    CameraNeed { rest: Some(Rest { glance: s(4.0), visits: Duration::ZERO }), ..need }
}

/// Looks for some seconds, each done at once: when, of what kind, whether a model ran.
fn watch(attention: &mut Attention, from: Mono, seconds: f64) -> Vec<(f64, LookKind, bool)> {
    let mut looks = Vec::new();
    for step in 0..(seconds / 0.05) as u32 {
        let now = from.plus(s(0.05) * step);
        let since_keyframe = now.since(Mono(0)).as_secs_f64() % 2.0;
        attention.offer(&id("c"), offer(now, since_keyframe, (since_keyframe * 20.0) as usize + 1));
        while let Some(decision) = attention.next(now, &[WorkerId(0)]) {
            looks.push((now.since(from).as_secs_f64(), decision.kind, !decision.models.is_empty()));
            let picture = match decision.kind {
                LookKind::Keyframe => now.minus(s(since_keyframe)),
                LookKind::Continued => now,
            };
            let result = Ok(Seen { picture, models: decision.models });
            attention.done(now, &decision.camera, LookOutcome { result, ..ok(picture) });
        }
    }
    looks
}

#[test]
fn at_rest_there_are_glances_and_floors_and_a_wake_brings_what_the_rules_ask() {
    let mut attention = Attention::new(params(1));
    attention.set_camera(resting());
    let start = Mono(1_000_000_000_000);
    let quiet = watch(&mut attention, start, 61.0);
    assert!((15..=17).contains(&quiet.len()), "a glance every 4 s: {quiet:?}");
    assert!(quiet.iter().all(|(_, kind, _)| *kind == LookKind::Keyframe));
    assert_eq!(
        quiet.iter().filter(|(.., model)| *model).count(),
        3,
        "the first, and one every 30 s: {quiet:?}"
    );
    assert_eq!(attention.vigil(&id("c")), Some(Vigil::Resting));
    assert_eq!(attention.breaches(start.plus(s(61.0))), []);

    let woken = start.plus(s(61.0));
    attention.wake(woken, &id("c"), s(10.0));
    assert_eq!(attention.vigil(&id("c")), Some(Vigil::Watching));
    // What was right at rest is no lateness now.
    assert_eq!(attention.breaches(woken), []);
    let watched = watch(&mut attention, woken, 20.0);
    let (awake, after): (Vec<_>, Vec<_>) = watched.into_iter().partition(|(at, ..)| *at < 10.0);
    assert!(awake[0].0 < 0.01 && awake.len() > 30, "{awake:?}");
    assert!(awake.iter().all(|(_, kind, model)| *kind == LookKind::Continued && *model), "{awake:?}");
    assert!(after.len() <= 3 && after.iter().all(|(_, kind, model)| *kind == LookKind::Keyframe && !model));
    assert_eq!(attention.lease(&id("c")), None, "its decoder is given back");
    assert_eq!(attention.take_revoked().len(), 1);
    assert_eq!(attention.counters().woken, 1);
}

#[test]
fn a_camera_that_is_stirred_gets_a_glance_at_its_next_keyframe_and_rests_on() {
    let mut attention = Attention::new(params(1));
    attention.set_camera(resting());
    let start = Mono(1_000_000_000_000);
    let before = watch(&mut attention, start, 12.5);
    assert_eq!(before.last(), Some(&(12.0, LookKind::Keyframe, false)));
    let stirred = start.plus(s(12.5));
    attention.stir(stirred, &id("c"));
    let after = watch(&mut attention, stirred, 8.0);
    let [first, second, ..] = after[..] else { panic!("{after:?}") };
    assert!((first.0 - 1.5).abs() < 0.06 && !first.2, "the keyframe after it: {after:?}");
    assert!((second.0 - 5.5).abs() < 0.06, "then every 4 s as before: {after:?}");
    assert_eq!((attention.vigil(&id("c")), attention.counters().stirred), (Some(Vigil::Resting), 1));
}

#[test]
fn a_rule_that_is_to_decide_gets_what_it_asks_and_gives_it_back() {
    let mut attention = Attention::new(params(1));
    let mut need = resting();
    let other = Floor {
        rule: "q".parse().unwrap(),
        models: vec!["n".parse().unwrap()],
        blind_max: s(5.0),
        continued: false,
        ..need.floors[0].clone()
    };
    need.floors.push(other);
    attention.set_camera(need);
    let start = Mono(1_000_000_000_000);
    watch(&mut attention, start, 10.0);
    let found = start.plus(s(10.0));
    attention.undecided(found, &id("c"), ["r".parse().unwrap()].into(), BTreeSet::new());
    assert_eq!(attention.vigil(&id("c")), Some(Vigil::Confirming));
    assert!(watch(&mut attention, found, 5.0).len() > 15);
    let rows = attention.coverage(&id("c"));
    assert_eq!((rows[0].blind_max, rows[1].blind_max), (s(0.3), s(30.0)), "the other rule rests: {rows:?}");
    let decided = found.plus(s(5.0));
    attention.undecided(decided, &id("c"), BTreeSet::new(), BTreeSet::new());
    assert_eq!(attention.vigil(&id("c")), Some(Vigil::Resting));
    assert!(watch(&mut attention, decided, 8.0).len() <= 3);
}

#[test]
fn a_slow_rule_has_looks_enough_to_decide_and_no_more_once_it_holds() {
    for rests in [true, false] {
        let mut need = resting();
        (need.floors[0].blind_max, need.floors[0].continued) = (s(10.0), false);
        (need.floors[0].deciding, need.floors[0].at_rest) = (s(2.0), s(30.0));
        need.rest = need.rest.filter(|_| rests);
        let mut attention = Attention::new(params(1));
        attention.set_camera(need);
        let models = |looks: Vec<(f64, LookKind, bool)>| looks.iter().filter(|(.., model)| *model).count();
        let mut now = Mono(1_000_000_000_000);
        watch(&mut attention, now, 40.0);
        now = now.plus(s(40.0));
        let rule = || BTreeSet::from(["r".parse().unwrap()]);
        attention.undecided(now, &id("c"), rule(), BTreeSet::new());
        let deciding = models(watch(&mut attention, now, 20.0));
        assert!((9..=11).contains(&deciding), "{deciding}, every keyframe");
        assert_eq!(attention.coverage(&id("c"))[0].blind_max, s(10.0), "that is no promise");
        now = now.plus(s(20.0));
        attention.undecided(now, &id("c"), BTreeSet::new(), rule());
        let holding = models(watch(&mut attention, now, 40.0));
        assert!((4..=6).contains(&holding), "{holding}, as often as it asks");
    }
}

#[test]
fn a_camera_that_never_rests_is_always_watched() {
    let mut attention = Attention::new(params(1));
    attention.set_camera(CameraNeed { rest: None, ..resting() });
    let start = Mono(1_000_000_000_000);
    attention.wake(start, &id("c"), s(10.0));
    assert_eq!((attention.vigil(&id("c")), attention.counters().woken), (Some(Vigil::Watching), 0));
    assert!(watch(&mut attention, start, 10.0).len() > 25);
}
