use super::*;
use crate::plan::costs::{REFERENCE, Spread};
use xueliang_inference::attention::Rest;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// One kind of camera with that rule, whose looks take that many milliseconds, no more and no less.
fn town(rule: &str, look_ms: f64) -> (Mix, Costs) {
    let mut costs = Costs::parse(REFERENCE).unwrap();
    costs.worker.hop = Spread::fixed(1.0);
    for row in &mut costs.decode {
        (row.keyframe, row.unit) = (Spread::fixed(1.0), Spread::fixed(look_ms * 100.0));
    }
    for row in &mut costs.picture {
        (row.scene, row.prepare) = (Spread::fixed(1.0), Spread::fixed(1.0));
    }
    costs.model.iter_mut().for_each(|model| model.infer = Spread::fixed(look_ms * 1000.0));
    let text = format!(
        "[[type]]\nname = \"a\"\nshare = 1\ncodec = \"h264\"\nwidth = 1280\nheight = 720\nfps = 25\nkeyframes_s = 2\n\
         kbit_s = 1000\nhealth = []\n[[type.rule]]\n{rule}\n"
    );
    (Mix::parse(&text, &costs).unwrap(), costs)
}
fn options(cameras: usize, workers: usize) -> Options {
    Options { cameras, workers, time: s(300.0), seed: 1 }
}

/// The same with cameras that rest, before which something moves for that share of the time.
fn resting(rule: &str, look_ms: f64, share: f64) -> (Mix, Costs) {
    let (mut mix, costs) = town(rule, look_ms);
    mix.types[0].need.rest = Some(Rest { glance: mix.analysis.rest.glance, visits: Duration::ZERO });
    mix.types[0].active_share = share;
    (mix, costs)
}

const RARE: &str = "kind = \"FIRE_LANE_BLOCKED\"\nblind_max = \"8s\"";

#[test]
fn with_capacity_to_spare_looks_come_at_the_last_keyframe_in_time() {
    let (mix, costs) = town(RARE, 20.0);
    let tally = live(&mix, &costs, options(200, 2));
    let one = &tally.types[0];
    assert_eq!((one.floors[0].kept, tally.breached()), (200, 0));
    // Keyframes every 2 s, a floor of 8: a look every 6 s, when the next keyframe would be on the very edge.
    let looks = one.keyframe_looks as f64;
    assert!((looks / (200.0 * 300.0 / 6.0) - 1.0).abs() < 0.02, "{looks}");
    assert!((tally.utilisation(2) - looks * 0.02 / 600.0).abs() < 0.01, "{}", tally.utilisation(2));
    assert!(one.ages.quantile(0.5) < s(0.05), "{:?}", one.ages.quantile(0.5));
}

#[test]
fn with_too_few_workers_all_of_their_time_is_used_and_intervals_stretch_while_ages_do_not() {
    let (mix, costs) = town(RARE, 100.0);
    // 200 looks of 0.1 s every 8 s are two and a half workers' work, for one.
    let tally = live(&mix, &costs, options(200, 1));
    let one = &tally.types[0];
    assert!(tally.utilisation(1) > 0.93, "{}", tally.utilisation(1));
    // Some send their keyframes when few others do.
    assert!(tally.breached() > 150, "{}", tally.breached());
    let interval = one.intervals.quantile(0.5).as_secs_f64();
    assert!((interval - 20.0).abs() < 5.0, "{interval}");
    assert!(one.ages.longest() < s(0.4), "{:?}", one.ages.longest());
}

#[test]
fn moving_hazards_are_looked_at_between_keyframes_as_far_as_decoders_are_leased() {
    let (mix, costs) = town("kind = \"ZONE_INTRUSION\"", 10.0);
    let tally = live(&mix, &costs, options(10, 2));
    let one = &tally.types[0];
    assert_eq!((one.floors[0].kept, tally.breached(), tally.most_leases), (10, 0, 10));
    assert!(one.continued_looks > 6 * one.cameras * 100, "{}", one.continued_looks);
    let intervals = one.intervals.quantile(0.99);
    assert!(intervals < s(0.5) && intervals > s(0.3), "{intervals:?}");
    // Twenty times as many do not fit; who has no decoder is looked at at keyframes.
    let many = live(&mix, &costs, options(200, 2));
    assert!(many.breached() > 100 && many.most_leases < 100, "{} {}", many.breached(), many.most_leases);
}

#[test]
fn cameras_that_rest_are_glanced_at_and_looked_at_where_something_moves() {
    let rule = "kind = \"ZONE_INTRUSION\"";
    let (mix, costs) = resting(rule, 10.0, 0.0);
    let tally = live(&mix, &costs, options(100, 2));
    let one = &tally.types[0];
    assert_eq!((tally.breached(), tally.most_leases, one.active_looks), (0, 0, Some(0)));
    // A glance every 4 s at keyframes of 2 s.
    let looks = one.keyframe_looks as f64;
    assert!((looks / (100.0 * 300.0 / 4.0) - 1.0).abs() < 0.1, "{looks}");
    let still = tally.busy;
    // A tenth of the time something moves: then it is looked at between keyframes, for that time and a while after.
    let (mix, costs) = resting(rule, 10.0, 0.1);
    let tally = live(&mix, &costs, options(100, 4));
    let one = &tally.types[0];
    let continued = one.continued_looks as f64 / (100.0 * 300.0);
    assert!(continued > 0.1 * 2.0 && continued < 0.4 * 3.0, "{continued}");
    assert!(one.active_looks.unwrap() > one.continued_looks / 3, "{:?}", one.active_looks);
    assert!(tally.breached() == 0 && tally.busy > still * 5, "{} {:?}", tally.breached(), tally.busy);
    let (mix, costs) = town(rule, 10.0);
    let never = live(&mix, &costs, options(100, 4));
    assert!(never.busy > tally.busy * 2, "{:?} {:?}", never.busy, tally.busy);
}

#[test]
fn what_attention_is_not_told_changes_no_decision() {
    let moving = "kind = \"ZONE_INTRUSION\"";
    for (rule, look_ms, workers) in [
        (RARE, 30.0, 2),
        (RARE, 30.0, 1),
        ("kind = \"CROWD_DENSITY\"", 8.0, 1),
        (moving, 1.0, 2),
        (moving, 2.0, 3),
        ("kind = \"ZONE_INTRUSION\"\nblind_max = \"150ms\"", 0.2, 30),
    ] {
        let (mix, costs) = town(rule, look_ms);
        let sparing = live(&mix, &costs, options(150, workers));
        let mut town = Town::build(&mix, &costs, options(150, workers));
        town.thorough = true;
        let thorough = town.live(s(300.0));
        let came = |tally: &Tally| {
            let one = &tally.types[0];
            (one.keyframe_looks, one.continued_looks, tally.busy, tally.breached(), one.ages.longest())
        };
        assert_eq!(came(&sparing), came(&thorough), "{rule} on {workers}");
        let one = &sparing.types[0];
        assert!(one.keyframe_looks + one.continued_looks > 1000);
    }
}

#[test]
fn the_same_seed_gives_the_same_town_and_another_one_another() {
    let (mix, _) = town(RARE, 30.0);
    let costs = Costs::parse(REFERENCE).unwrap();
    let busy = |seed| live(&mix, &costs, Options { seed, ..options(50, 1) }).busy;
    assert_eq!(busy(1), busy(1));
    assert_ne!(busy(1), busy(2));
}

#[test]
fn shares_of_cameras_add_up() {
    for cameras in [1, 2, 10, 333, 22_000] {
        let counts = apportion(cameras, [0.333, 0.333, 0.334].into_iter());
        assert_eq!(counts.iter().sum::<usize>(), cameras, "{counts:?}");
    }
    assert_eq!(apportion(10, [0.55, 0.45].into_iter()), [6, 4]);
}
