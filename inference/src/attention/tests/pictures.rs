//! Looks come when pictures do: against the same looks without knowledge of the streams' rhythm.

use super::*;

/// What a minute of continued looks was like.
struct Watched {
    per_second: f64,
    /// Of their ages.
    p50: Duration,
    p99: Duration,
    /// Between two pictures.
    longest: f64,
}

/// Six cameras like this one on leased decoders, whose rhythm is known or not, beside so many sub-streams.
fn watched(sub_streams: usize, told: bool, cam: &Cam) -> Watched {
    let mut cams = vec![cam.clone(); 6];
    for (index, cam) in (0..).zip(&mut cams) {
        (cam.id, cam.phase) = (id(&format!("c{index}")), Duration::from_millis(37) * index);
        (cam.continued, cam.told) = (true, told);
    }
    let mut sim = Sim::new(params(2), cams);
    sim.turns = Some((sub_streams, s(0.25), s(0.015)));
    sim.run(10.0);
    let warm = sim.now;
    sim.cams.iter_mut().for_each(|cam| cam.ages.clear());
    sim.run(60.0);
    let mut ages: Vec<Duration> = sim.cams.iter().flat_map(|cam| cam.ages.clone()).collect();
    ages.sort_unstable();
    assert!(sim.cams.iter().all(|cam| sim.attention.lease(&cam.id).is_some()));
    Watched {
        per_second: ages.len() as f64 / 60.0 / sim.cams.len() as f64,
        p50: ages[ages.len() / 2],
        p99: ages[ages.len() * 99 / 100],
        longest: sim.cams.iter().map(|cam| cam.longest(warm)).fold(0.0, f64::max),
    }
}

#[test]
fn continued_looks_come_when_pictures_do_as_often_as_is_asked_and_in_time_of_their_floors() {
    // Pictures a second, units a group, jitter, floor, looks a second that it makes.
    let table = [
        (10.0, 20, 0.0, 0.26, 5.0),
        (10.0, 20, 0.1, 0.26, 5.0),
        // So unevenly that the second picture may come too late for the floor.
        (10.0, 20, 0.3, 0.26, 6.1),
        (15.0, 30, 0.0, 0.26, 5.0),
        (15.0, 30, 0.15, 0.26, 5.0),
        (25.0, 50, 0.0, 0.26, 5.0),
        (25.0, 50, 0.1, 0.26, 5.0),
        (25.0, 50, 0.4, 0.26, 4.8),
        (25.0, 500, 0.1, 0.26, 5.0),
        (10.0, 20, 0.1, 0.3, 5.0),
        (15.0, 30, 0.1, 0.3, 3.8),
        (25.0, 50, 0.1, 0.3, 4.2),
        (10.0, 20, 0.1, 0.5, 2.5),
        (15.0, 300, 0.1, 1.0, 1.25),
        (6.0, 12, 0.1, 0.3, 6.0),
    ];
    for (fps, gop, jitter, floor, asked) in table {
        for (sub_streams, stalls) in [(0, None), (6, None), (0, Some((23.7, 0.2)))] {
            let mut cam = Cam::new("c", floor, 20);
            (cam.fps, cam.gop, cam.jitter, cam.stalls) = (fps, gop, jitter, stalls);
            let (before, now) = (watched(sub_streams, false, &cam), watched(sub_streams, true, &cam));
            let what = format!(
                "{fps} a second, jitter {jitter}, floor {floor}, {sub_streams} sub-streams, {stalls:?}"
            );
            let (p50, p99) = ((before.p50, now.p50), (before.p99, now.p99));
            assert!(now.p50 <= before.p50 && now.p99 <= before.p99 + TICK, "{what}: {p50:?}, {p99:?}");
            assert!((now.per_second / asked - 1.0).abs() < 0.05, "{what}: {} looks a second", now.per_second);
            let longest = floor + stalls.map_or(0.0, |(_, length)| length);
            assert!(now.longest <= longest, "{what}: {}", now.longest);
        }
    }
}

#[test]
fn a_camera_that_is_slower_than_its_floor_is_looked_at_at_every_picture() {
    let mut cam = Cam::new("c", 0.3, 20);
    (cam.fps, cam.gop, cam.jitter) = (1.0, 2, 0.1);
    let now = watched(0, true, &cam);
    assert!((now.per_second - 1.0).abs() < 0.05 && now.p99 < s(0.03), "{} {:?}", now.per_second, now.p99);
}

#[test]
fn a_stream_that_stalls_is_looked_at_once_more_and_then_not_before_it_goes_on() {
    let mut cam = Cam::new("c", 0.26, 20);
    (cam.fps, cam.gop, cam.continued, cam.stalls) = (10.0, 20, true, Some((7.0, 3.0)));
    let mut sim = Sim::new(params(1), vec![cam]);
    sim.run(70.0);
    let cam = &sim.cams[0];
    let (mut seen, mut stalled) = (cam.seen.clone(), 0);
    seen.dedup();
    assert_eq!(seen.len(), cam.seen.len(), "no picture is looked at twice");
    for (pair, age) in seen.windows(2).zip(&cam.ages[1..]) {
        stalled += usize::from(pair[1].since(pair[0]) > s(2.5));
        assert!(
            *age < s(0.26 + 0.05),
            "the last one before a stall waits for no longer than its floor: {age:?}"
        );
    }
    assert!((8..=10).contains(&stalled), "{stalled}");
}
