use std::time::Duration;

use proptest::prelude::*;
use xueliang_base::geometry::{Point, Polygon};

use super::{
    cells::{CELLS, H, W},
    *,
};

mod habits;

/// A scene of fixed texture, with the noise of a sensor.
struct Town {
    glance: Glance,
    /// Milliseconds.
    now: u64,
    every: u64,
    seed: u64,
    noise: f32,
    /// What the last glance was of.
    shown: Option<Thumbnail>,
}

/// Block of the middle: columns 40 to 52, rows 20 to 30.
const BLOCK: Rect = Rect { x0: 40.0 / 96.0, y0: 20.0 / 54.0, x1: 52.0 / 96.0, y1: 30.0 / 54.0 };

fn inside(rect: &Rect, cell: usize) -> bool {
    let (x, y) = ((cell % W) as f32 + 0.5, (cell / W) as f32 + 0.5);
    (rect.x0..rect.x1).contains(&(x / W as f32)) && (rect.y0..rect.y1).contains(&(y / H as f32))
}

/// Streets and walls, the same each time; another `which` is another scene.
fn texture(cell: usize, which: u64) -> f32 {
    let (x, y) = ((cell % W) as u64 / 6, (cell / W) as u64 / 6);
    let mixed = (x * 31 + y * 17 + which * 101 + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    60.0 + (mixed % 120) as f32
}

impl Town {
    fn new(every: Duration) -> Self {
        Self::watching(Watch::everything(), every)
    }
    fn watching(watch: Watch, every: Duration) -> Self {
        let every = u64::try_from(every.as_millis()).unwrap();
        Self { glance: Glance::new(watch), now: 1_000_000, every, seed: 9, noise: 0.6, shown: None }
    }
    /// With a background.
    fn known(every: Duration) -> Self {
        let mut town = Self::new(every);
        town.rest(40);
        town
    }
    fn random(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 40) as f32 / (1u64 << 24) as f32
    }
    fn at(&self) -> Mono {
        Mono(0).plus(Duration::from_millis(self.now))
    }
    /// One glance at what `cell` makes of the texture.
    fn show(&mut self, cell: impl Fn(usize, f32) -> f32) -> Glimpse {
        self.now += self.every;
        let mut cells = vec![0u8; CELLS];
        for (i, shown) in cells.iter_mut().enumerate() {
            let normal = (0..4).map(|_| self.random()).sum::<f32>() - 2.0;
            *shown = (cell(i, texture(i, 0)) + normal * 1.73 * self.noise + 0.5).clamp(0.0, 255.0) as u8;
        }
        let thumbnail = Thumbnail::new(cells.into()).unwrap();
        self.shown = Some(thumbnail.clone());
        self.glance.see(self.at(), &thumbnail).unwrap()
    }
    /// Glances for so many seconds; what they told.
    fn play(&mut self, seconds: u64, cell: impl Fn(f32, usize, f32) -> f32) -> Vec<Glimpse> {
        let start = self.now;
        let mut told = Vec::new();
        while self.now < start + seconds * 1000 {
            let since = (self.now - start) as f32 / 1000.0;
            told.push(self.show(|i, plain| cell(since, i, plain)));
        }
        told
    }
    fn rest(&mut self, seconds: u64) -> Vec<Glimpse> {
        self.play(seconds, |_, _, plain| plain)
    }
    /// A look at what was shown last.
    fn look(&mut self, found: &[Rect]) -> Taught {
        let shown = self.shown.clone().expect("something was shown");
        self.glance.teach(self.at(), &shown, found)
    }
}

const KEYFRAMES: Duration = Duration::from_secs(4);
const FAST: Duration = Duration::from_millis(500);
/// Every picture of a sub-stream.
const SUB_STREAM: Duration = Duration::from_millis(66);

fn reasons(told: &[Glimpse]) -> Vec<Option<WakeReason>> {
    told.iter().map(|glimpse| glimpse.change.as_ref().map(|change| change.reason)).collect()
}
fn awake(told: &[Glimpse]) -> usize {
    told.iter().filter(|glimpse| glimpse.change.is_some()).count()
}
fn block(by: f32) -> impl Fn(f32, usize, f32) -> f32 {
    move |_, i, plain| if inside(&BLOCK, i) { plain + by } else { plain }
}

#[test]
fn nothing_is_vouched_for_until_there_is_a_background() {
    for every in [KEYFRAMES, FAST, SUB_STREAM] {
        let mut town = Town::new(every);
        let told = town.rest(40);
        assert_eq!(told[0].said(), Said::Calibrating);
        assert!(told[0].wake().is_none());
        let known = told.iter().position(|glimpse| glimpse.state == State::Known).unwrap();
        let after = told[known].at.since(told[0].at);
        assert!((Duration::from_secs(15)..=Duration::from_secs(25)).contains(&after), "{after:?}");
        assert!(told[known..].iter().all(|glimpse| glimpse.said() == Said::Quiet));
    }
}

#[test]
fn noise_and_the_common_light_wake_nobody() {
    for every in [KEYFRAMES, FAST, SUB_STREAM] {
        let mut town = Town::known(every);
        // Clouds: a fifth darker and brighter within a minute; haze that comes and goes.
        let seconds = if every == SUB_STREAM { 70 } else { 240 };
        let told = town
            .play(seconds, |t, _, plain| plain * (1.0 + 0.2 * (t / 10.0).sin()) + 12.0 * (t / 37.0).sin());
        assert_eq!(awake(&told), 0, "{:?}", reasons(&told));
        assert!(told.iter().any(|glimpse| (glimpse.light.gain - 1.0).abs() > 0.005));
        // Exposure that jumps from one glance to the next.
        assert_eq!(awake(&town.play(12, |_, _, plain| plain * 0.6)), 0);
        assert_eq!(awake(&town.play(12, |_, _, plain| plain * 1.2)), 0);
    }
}

#[test]
fn who_walks_through_moves_and_leaves_nothing_behind() {
    for every in [KEYFRAMES, FAST, SUB_STREAM] {
        let mut town = Town::known(every);
        // Three by seven cells, half a column a second.
        let walker = |t: f32, i: usize, plain: f32| {
            let (x, y) = ((i % W) as f32, i / W);
            let left = 20.0 + t * 0.9;
            if (left..left + 3.0).contains(&x) && (20..27).contains(&y) { 20.0 } else { plain }
        };
        let told = town.play(60, walker);
        assert_eq!(awake(&told), told.len(), "{:?}", reasons(&told));
        let moving = reasons(&told).iter().filter(|reason| **reason == Some(WakeReason::Moving)).count();
        assert!(moving * 10 >= told.len() * 9);
        let change = told.last().unwrap().change.clone().unwrap();
        assert!(change.share < 0.01 && change.score > 0.5);
        assert!(change.bounds.x0 > 0.6 && change.bounds.x1 < 0.85 && change.bounds.y1 < 0.55, "{change:?}");
        let after = town.rest(40);
        assert_eq!(awake(&after[1..]), 0, "{:?}", reasons(&after));
    }
}

#[test]
fn what_stays_is_told_until_two_looks_have_judged_it_and_when_it_changes_again() {
    let mut town = Town::known(KEYFRAMES);
    let told = town.play(1200, block(25.0));
    assert_eq!(awake(&told), told.len(), "without looks it stays a change");
    assert_eq!(
        reasons(&told)[2..].iter().filter(|r| **r == Some(WakeReason::Staying)).count(),
        told.len() - 2
    );
    assert!(town.look(&[]).judged >= 100);
    assert_eq!(awake(&town.play(4, block(25.0))), 1, "one look is not enough");
    town.look(&[]);
    let told = town.play(40, block(25.0));
    assert_eq!(awake(&told), 0, "{:?}", reasons(&told));
    assert!(told[0].waiting > 0.02);
    // It grows lighter.
    let told = town.play(12, block(45.0));
    assert_eq!(awake(&told), told.len());
}

#[test]
fn a_change_is_background_after_ten_minutes_and_a_look_and_its_end_is_a_change() {
    let mut town = Town::known(KEYFRAMES);
    let mut absorbed_after = None;
    for look in 0..30 {
        town.play(32, block(25.0));
        let taught = town.look(&[]);
        if taught.absorbed > 0 && absorbed_after.is_none() {
            absorbed_after = Some((look + 1) * 32);
            assert!(taught.absorbed >= 100, "{taught:?}");
        }
    }
    let after = absorbed_after.expect("it was absorbed");
    assert!((600..=660).contains(&after), "after {after} s");
    let told = town.play(40, block(25.0));
    assert_eq!((awake(&told), told[0].waiting), (0, 0.0));
    // The bare ground is still known, something else there is not.
    assert_eq!(awake(&town.rest(12)), 0);
    assert_eq!(awake(&town.play(12, block(-25.0))), 3);
}

#[test]
fn while_looks_find_something_it_is_kept() {
    let mut town = Town::known(KEYFRAMES);
    town.play(8, block(25.0));
    for _ in 0..40 {
        let taught = town.look(&[BLOCK]);
        assert!(taught.kept >= 100 && taught.absorbed == 0, "{taught:?}");
        let told = town.play(28, block(25.0));
        assert!(told.iter().all(|t| t.change.as_ref().is_some_and(|c| c.reason == WakeReason::Kept)));
    }
    // It has gone.
    assert_eq!(awake(&town.rest(20)[1..]), 0);
}

#[test]
fn slow_smoke_is_found_and_held_for_as_long_as_nobody_has_judged_it() {
    for every in [KEYFRAMES, FAST, SUB_STREAM] {
        let mut town = Town::known(every);
        // A third of a step a second, to twenty steps after a minute.
        let seconds = if every == SUB_STREAM { 60 } else { 660 };
        let told = town.play(seconds, |t, i, plain| block((t / 3.0).min(20.0))(t, i, plain));
        let first = told.iter().position(|glimpse| glimpse.change.is_some()).unwrap();
        let after = told[first].at.since(told[0].at);
        assert!(after <= Duration::from_secs(24), "{after:?}");
        let held = awake(&told[first..]);
        // Where it is just visible, noise may hide it for a moment; at every picture there are many of these.
        let all = told.len() - first;
        assert!(held + if every == SUB_STREAM { all / 100 } else { 0 } >= all, "{held} of {all}");
    }
}

#[test]
fn rising_water_wakes_again_after_every_look_that_saw_nothing_in_it() {
    let mut town = Town::known(KEYFRAMES);
    let water = |offset: f32| {
        move |t: f32, i: usize, plain: f32| {
            // A row in twenty seconds.
            let level = 50.0 - (t + offset) / 20.0;
            let under = ((i / W) as f32 - level).clamp(0.0, 1.0);
            if (10..50).contains(&(i % W)) { plain - 20.0 * under } else { plain }
        }
    };
    for minute in 0..5 {
        let told = town.play(60, water(minute as f32 * 60.0));
        assert!(awake(&told) > 0, "minute {minute}");
        town.look(&[]);
    }
}

#[test]
fn a_branch_that_looks_find_empty_calms_down_and_nothing_else_does() {
    let mut town = Town::known(KEYFRAMES);
    let branch = Rect::new(0.6, 0.1, 0.9, 0.5);
    // Each leaf at its own pace.
    let waving = move |t: f32, i: usize, plain: f32| {
        let phase = (i as f32 * 0.37).sin() * 40.0;
        if inside(&branch, i) { plain + 14.0 * (t * 1.7 + phase).sin() } else { plain }
    };
    let mut wakes = Vec::new();
    for look in 0..40 {
        let told = town.play(32, move |t, i, plain| waving(t + look as f32 * 32.0, i, plain));
        wakes.push(awake(&told));
        town.look(&[]);
    }
    assert_eq!(wakes[0], 8, "{wakes:?}");
    assert!(wakes[25..].iter().sum::<usize>() <= 4, "{wakes:?}");
    // A walker's contrast beside the branch is told as before.
    let told = town.play(12, move |t, i, plain| block(10.0)(t, i, waving(t, i, plain)));
    assert_eq!(awake(&told), told.len());
}

#[test]
fn rain_wakes_for_some_looks_only() {
    let mut town = Town::known(KEYFRAMES);
    town.noise = 3.0;
    let mut wakes = Vec::new();
    for _ in 0..20 {
        wakes.push(awake(&town.rest(32)));
        town.look(&[]);
    }
    assert!(wakes[15..].iter().sum::<usize>() <= 4, "{wakes:?}");
}

#[test]
fn changes_count_in_and_near_watched_zones_only() {
    let square = |x: f32, y: f32| {
        let corners = [(x, y), (x + 0.2, y), (x + 0.2, y + 0.2), (x, y + 0.2)];
        Polygon::new(corners.map(|(x, y)| Point::new(x, y)).to_vec()).unwrap()
    };
    let (far, near, mask) = (square(0.0, 0.0), square(0.55, 0.4), square(0.4, 0.7));
    let watch = Watch::new([Some(&far), Some(&near)], std::slice::from_ref(&mask));
    let mut town = Town::watching(watch, KEYFRAMES);
    town.rest(40);
    // The block ends one cell before the second zone.
    let told = town.play(8, block(30.0));
    assert_eq!(told[1].change.as_ref().unwrap().zones, [1]);
    town.rest(20);
    let elsewhere = Rect::new(0.3, 0.05, 0.4, 0.2);
    let told = town.play(8, |_, i, plain| if inside(&elsewhere, i) { plain + 40.0 } else { plain });
    assert_eq!(awake(&told), 0);
    assert!(told[0].label.unwrap().moved, "the encoded tier sees it all the same");
    town.rest(20);
    let hidden = Rect::new(0.45, 0.75, 0.55, 0.85);
    let told = town.play(8, |_, i, plain| if inside(&hidden, i) { plain + 40.0 } else { plain });
    assert!(awake(&told) == 0 && !told[0].label.unwrap().moved);
    // Without any zone nothing wakes.
    let mut town = Town::watching(Watch::new([], &[]), KEYFRAMES);
    town.rest(40);
    assert_eq!(awake(&town.play(8, block(30.0))), 0);
}

#[test]
fn a_new_scene_is_learned_after_a_look_and_the_old_one_is_known_when_it_returns() {
    let mut town = Town::known(KEYFRAMES);
    let night = |_: f32, i: usize, _: f32| texture(i, 5) * 0.6;
    let told = town.play(300, night);
    assert!(
        reasons(&told).iter().all(|reason| *reason == Some(WakeReason::Global)),
        "without a look it stays so"
    );
    assert!(told.iter().all(|glimpse| glimpse.label.is_none()));
    assert!(town.look(&[]).restarted);
    let told = town.play(60, night);
    assert_eq!(told[0].state, State::Calibrating);
    let known = told.iter().position(|glimpse| glimpse.state == State::Known).unwrap();
    assert_eq!(awake(&told[known..]), 0);
    // Morning.
    let told = town.rest(60);
    assert_eq!(told[0].state, State::Flipped);
    assert_eq!(reasons(&told)[0], Some(WakeReason::Global));
    assert_eq!(awake(&told[1..]), 0, "{:?}", reasons(&told));
    let told = town.play(60, night);
    assert_eq!((told[0].state, awake(&told[1..])), (State::Flipped, 0));
}

#[test]
fn what_fills_the_view_and_was_found_is_no_new_scene() {
    let mut town = Town::known(KEYFRAMES);
    let lorry = Rect::new(0.1, 0.0, 0.9, 1.0);
    let parked = move |_: f32, i: usize, plain: f32| if inside(&lorry, i) { 40.0 } else { plain };
    for _ in 0..10 {
        assert_eq!(awake(&town.play(28, parked)), 7);
        assert!(!town.look(&[lorry]).restarted);
    }
}

#[test]
fn the_encoded_tier_is_told_what_moved_between_two_glances_and_nothing_else() {
    let mut town = Town::known(KEYFRAMES);
    let still = town.rest(4)[0].label.unwrap();
    assert!(!still.moved && still.at.since(still.since) == KEYFRAMES);
    let [came, stays, ..] = &town.play(12, block(30.0))[..] else { panic!("three glances") };
    assert!(came.label.unwrap().moved);
    assert!(!stays.label.unwrap().moved);
    town.now += 60_000;
    assert_eq!(town.rest(4)[0].label, None, "nobody watched the minute");
}

#[test]
fn the_encoded_tier_is_not_asked_to_tell_of_what_comes_and_goes_in_vain() {
    let mut town = Town::known(KEYFRAMES);
    let gust = |town: &mut Town| {
        let told = town.play(4, block(16.0));
        town.look(&[]);
        let ended = town.rest(28);
        [told[0].label.unwrap().moved, ended[0].label.unwrap().moved]
    };
    assert_eq!(gust(&mut town), [true, true]);
    assert_eq!(gust(&mut town), [true, false], "its end makes a habit of it");
    assert_eq!(gust(&mut town), [false, false]);
    let told = town.play(4, block(80.0));
    assert!(told[0].label.unwrap().moved, "what stands out from it does");
    town.rest(28);
    let beside = Rect::new(0.05, 0.6, 0.2, 0.9);
    let told = town.play(4, move |_, i, plain| if inside(&beside, i) { plain + 30.0 } else { plain });
    assert!(told[0].label.unwrap().moved, "what moves elsewhere does");
}

#[test]
fn an_older_picture_is_not_taken() {
    let mut town = Town::known(KEYFRAMES);
    let shown = town.shown.clone().unwrap();
    assert!(town.glance.see(town.at(), &shown).is_none());
    assert!(town.glance.see(Mono(0), &shown).is_none());
    town.glance.restart();
    assert!(town.glance.see(Mono(1), &shown).is_some(), "another stream");
}

#[test]
fn a_camera_takes_less_than_64_kib() {
    let mut town = Town::new(FAST);
    let most = |town: &Town, most: usize| town.glance.bytes().max(most);
    let mut bytes = 0;
    for _ in 0..80 {
        town.rest(1);
        bytes = most(&town, bytes);
    }
    town.play(20, |_, i, _| texture(i, 5));
    assert!(town.look(&[]).restarted);
    for _ in 0..30 {
        town.play(1, |_, i, _| texture(i, 5));
        bytes = most(&town, bytes);
    }
    assert!((50_000..=65_536).contains(&bytes), "{bytes}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_comes_scores_and_shares_are_shares_and_learning_is_no_loss_of_order(
        steps in prop::collection::vec((0u64..90_000, 0u8..6, any::<u8>(), 0.0f32..1.0, 0.0f32..1.0), 1..60),
    ) {
        let mut town = Town::new(KEYFRAMES);
        for (passes, what, level, x, y) in steps {
            town.every = passes.max(1);
            let rect = Rect::new(x, y, 0.5, 0.5);
            let glimpse = town.show(|i, plain| match what {
                0 => f32::from(level),
                1 => texture(i, u64::from(level)),
                2 => plain * f32::from(level) / 64.0,
                3 if inside(&rect, i) => f32::from(level),
                _ => plain,
            });
            if let Some(change) = &glimpse.change {
                prop_assert!((0.0..=1.0).contains(&change.score));
                prop_assert!(change.share > 0.0 && change.share <= 1.0);
                prop_assert!(change.bounds == change.bounds.clamped() && change.zones == [0]);
            }
            prop_assert!((0.0..=1.0).contains(&glimpse.waiting));
            if what == 5 {
                let taught = town.look(&[rect]);
                prop_assert!(taught.absorbed <= taught.judged && taught.judged + taught.calmed + taught.kept <= CELLS);
            }
        }
    }
}
