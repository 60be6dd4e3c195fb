//! What is promised of a camera that was woken: what it is promised at rest. What it asks for beyond is given where there is room.

use super::*;

/// Cameras of one moving hazard, at rest: a decoder for one of them.
fn town(cameras: usize) -> Attention {
    let mut attention = Attention::new(AttentionParams { leases_per_worker: 1, ..params(1) });
    for index in 0..cameras {
        attention.set_camera(CameraNeed { id: camera(index), ..resting() });
    }
    attention
}
fn camera(index: usize) -> CameraId {
    id(&format!("c{index}"))
}

/// So many seconds in which all are woken every five; keyframes come every 2 s, units every 50 ms, looks are done at once. Looks of
/// those in `blind` fail.
fn alarm(attention: &mut Attention, cameras: usize, from: Mono, seconds: u32, blind: &[usize]) -> Mono {
    for step in 0..seconds * 20 {
        let now = from.plus(s(0.05) * step);
        for index in 0..cameras {
            let since_keyframe = now.since(Mono(0)).as_secs_f64() % 2.0;
            attention.offer(&camera(index), offer(now, since_keyframe, 1));
            if step % 100 == 0 {
                attention.wake(now, &camera(index), s(10.0));
            }
        }
        while let Some(decision) = attention.next(now, &[WorkerId(0)]) {
            let offered = attention.seats[&decision.camera].flight.as_ref().unwrap().picture;
            let failed = blind.iter().any(|index| camera(*index) == decision.camera);
            let seen = Seen { picture: offered, models: decision.models };
            let result = if failed { Err(NotLooked::Undecodable) } else { Ok(seen) };
            attention.done(now, &decision.camera, LookOutcome { result, ..ok(offered) });
        }
    }
    from.plus(s(f64::from(seconds)))
}

#[test]
fn who_was_woken_and_finds_no_decoder_keeps_its_floor_at_rest_and_that_is_no_gap() {
    let mut attention = town(4);
    let now = alarm(&mut attention, 4, Mono(1_000_000_000_000), 90, &[]);
    let leased = (0..4).filter(|index| attention.lease(&camera(*index)).is_some()).count();
    assert_eq!(leased, 1);
    assert_eq!(attention.breaches(now), [], "every keyframe of theirs is looked at");
    for index in 0..4 {
        assert_eq!(attention.vigil(&camera(index)), Some(Vigil::Watching));
        let row = &attention.coverage(&camera(index))[0];
        assert_eq!((row.granted, row.blind_max), (Granted::Guaranteed, s(30.0)), "{row:?}");
        assert_eq!(attention.in_time(now, &camera(index)), Some(true));
    }
    let late = attention.counters().woken_late;
    assert!(
        (100..150).contains(&late),
        "three cameras, a look every 2 s for 90 s, and all of it is counted: {late}"
    );
}

#[test]
fn waking_puts_no_floor_at_rest_off() {
    let mut attention = town(2);
    let start = Mono(1_000_000_000_000);
    let now = alarm(&mut attention, 2, start, 20, &[]);
    let before = attention.counters().woken_late;
    // From then on one of them cannot be looked at, and is woken again and again.
    let later = alarm(&mut attention, 2, now, 28, &[1]);
    assert_eq!(attention.breaches(later), []);
    let later = alarm(&mut attention, 2, later, 6, &[1]);
    let breaches = attention.breaches(later);
    assert_eq!(breaches.len(), 1, "{breaches:?}");
    assert_eq!((&breaches[0].camera, breaches[0].blind_max), (&camera(1), s(30.0)));
    assert!(later.since(breaches[0].since) < s(7.0), "{breaches:?}");
    // The first look after so long is late by what is promised, and is no matter of decoders.
    let again = alarm(&mut attention, 2, later, 3, &[]);
    assert_eq!(attention.breaches(again).len(), 1, "one look mends no floor");
    assert!(attention.counters().woken_late <= before + 40);
}

#[test]
fn a_rule_that_has_seen_something_is_promised_what_it_asks() {
    let mut attention = town(2);
    let now = alarm(&mut attention, 2, Mono(1_000_000_000_000), 20, &[]);
    let without = (0..2).map(camera).find(|id| attention.lease(id).is_none()).unwrap();
    attention.undecided(now, &without, ["r".parse().unwrap()].into(), BTreeSet::new());
    assert_eq!(attention.breaches(now), [], "what was right when it was woken is no lateness now");
    let row = &attention.coverage(&without)[0];
    assert_eq!((row.granted, row.blind_max), (Granted::NotCovered(Why::NoLease), s(0.3)), "{row:?}");
    let later = alarm(&mut attention, 2, now, 5, &[]);
    let breaches = attention.breaches(later);
    assert_eq!(breaches.iter().map(|breach| &breach.camera).collect::<Vec<_>>(), [&without]);
    attention.undecided(later, &without, BTreeSet::new(), BTreeSet::new());
    assert_eq!(attention.breaches(later), [], "it has decided");
}

#[test]
fn floors_at_rest_hold_where_keyframes_come_together_and_others_are_woken_all_the_time() {
    // What rests takes one of two workers, in bursts of forty; what is woken would take ten more, and one by its keyframes alone.
    let (resting_ones, woken_ones) = (160, 120);
    let mut sim = bursts(resting_ones + woken_ones, 25);
    let names: Vec<CameraId> = sim.cams.iter().map(|cam| cam.id.clone()).collect();
    for name in &names {
        sim.attention.set_camera(CameraNeed { id: name.clone(), ..resting() });
    }
    for second in 0..180 {
        for name in &names[resting_ones..] {
            sim.attention.wake(sim.now, name, s(10.0));
        }
        sim.run(1.0);
        let late = sim.attention.breaches(sim.now);
        assert!(second < 60 || late.is_empty(), "after {second} s: {late:?}");
    }
    for cam in &sim.cams[..resting_ones] {
        let served = &cam.by_model["m"];
        let longest = served.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
        assert!(longest <= s(30.0), "{}: {longest:?}", cam.id);
        assert!(cam.ages.iter().all(|age| *age <= s(1.2) + TICK), "{}", cam.id);
    }
}

#[test]
fn what_fails_again_and_again_takes_nothing_from_what_is_promised() {
    let (resting_ones, broken_ones) = (160, 60);
    let mut sim = bursts(resting_ones + broken_ones, 25);
    let names: Vec<CameraId> = sim.cams.iter().map(|cam| cam.id.clone()).collect();
    for (index, name) in names.iter().enumerate() {
        sim.attention.set_camera(CameraNeed { id: name.clone(), ..resting() });
        sim.cams[index].broken = index >= resting_ones;
    }
    sim.run(180.0);
    for cam in &sim.cams[..resting_ones] {
        let served = &cam.by_model["m"];
        let longest = served.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
        assert!(longest <= s(30.0), "{}: {longest:?}", cam.id);
    }
}

/// Cameras that send their keyframes in four bursts every 2 s, for two workers.
fn bursts(count: usize, cost_ms: u64) -> Sim {
    let mut cams = cams(count, 0.3, cost_ms);
    for (index, cam) in cams.iter_mut().enumerate() {
        cam.continued = true;
        cam.phase = Duration::from_millis(500) * u32::try_from(index % 4).unwrap();
    }
    Sim::new(AttentionParams { max_age: s(1.2), leases_per_worker: 16, ..params(2) }, cams)
}

#[test]
fn where_floors_at_rest_take_all_there_is_nobody_else_is_left_out() {
    // 400 floors of 30 s at 200 ms each: more than two workers can keep. They ask for a glance every 4 s, so that is what the one
    // that never rests asks for too: all are stretched alike.
    let (resting_ones, others) = (400, 3);
    let mut sim = bursts(resting_ones + others, 200);
    let names: Vec<CameraId> = sim.cams.iter().map(|cam| cam.id.clone()).collect();
    let [unresting, deciding, failing] = [0, 1, 2].map(|index| names[resting_ones + index].clone());
    for name in &names {
        sim.attention.set_camera(CameraNeed { id: name.clone(), ..resting() });
    }
    let never = need("c", 1.0, 4.0, false);
    sim.attention.set_camera(CameraNeed { id: unresting.clone(), ..never });
    sim.cams[resting_ones + 2].broken = true;
    sim.run(10.0);
    sim.cams[resting_ones + 2].broken = false;
    let rules = || ["r".parse().unwrap()].into();
    for _ in 0..120 {
        sim.attention.undecided(sim.now, &deciding, rules(), BTreeSet::new());
        sim.run(1.0);
    }
    for name in [unresting, deciding, failing] {
        let cam = sim.cams.iter().find(|cam| cam.id == name).unwrap();
        let seen = cam.seen.iter().filter(|at| **at > sim.start.plus(s(30.0))).count();
        assert!(seen > 1, "{name} was looked at {seen} times in 100 s");
    }
}

#[test]
fn a_camera_that_was_away_for_an_hour_costs_one_look_of_all_its_models_when_it_is_back() {
    let mut attention = Attention::new(params(1));
    attention.set_camera(resting());
    let start = Mono(1_000_000_000_000);
    watch(&mut attention, start, 40.0);
    let back = start.plus(s(3640.0));
    let models = watch(&mut attention, back, 24.0).into_iter().filter(|(_, _, model)| *model).count();
    assert_eq!(models, 1);
}
