//! What is suppressed is kept with its reason, and shown when the reason ends while it still fires.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use xueliang_base::{
    alert::Alert,
    cursor::Cursor,
    kind::{Kind, Lane, Level},
    time::{Clock as _, Wall},
};
use xueliang_proto::v1::{self, SuppressionEnd, subscribe_response::Item, suppression::Cause};

use crate::{
    bus::Subscribe,
    flood, inhibit,
    rights::{Principal, PrincipalKind},
    store::{FeedQuery, ListQuery, SilenceQuery, SuppressionQuery},
    testing::{Bench, Console, alert, critical, key, key_of, minor, next_state, resolved},
};

mod flooded;

const MINUTE: Duration = Duration::from_secs(60);

fn operator() -> Principal {
    Principal::new("ana", PrincipalKind::Operator)
}

async fn silence(bench: &Bench, levels: &[i32], minutes: u32) -> u64 {
    let scope = v1::SilenceScope {
        camera_ids: vec!["gate".to_owned()],
        levels: levels.to_vec(),
        ..v1::SilenceScope::default()
    };
    let request = v1::CreateSilenceRequest {
        scope: Some(scope),
        purpose: v1::SilencePurpose::Maintenance.into(),
        reason: "work at the gate".to_owned(),
        begin_unix_us: 0,
        end_unix_us: bench.clock.wall().plus(MINUTE * minutes).0,
    };
    bench.bus.create_silence(&operator(), request).await.unwrap().silence_id
}

/// A console that reads everything from the beginning on.
async fn reader(bench: &Bench) -> Console {
    let cursor = Some(Cursor::start(bench.bus.store().epoch()));
    let mut console = bench.console("c", Subscribe { cursor, ..Subscribe::default() }).await;
    assert!(matches!(console.item().await, Some(Item::Opened(_))));
    console
}

/// The feed as it is, in order.
async fn feed(bench: &Bench) -> Vec<(String, u64)> {
    let mut rows = Vec::new();
    for lane in Lane::ALL {
        let query = FeedQuery {
            lane,
            filter: std::sync::Arc::default(),
            after_exclusive: 0,
            upto_inclusive: bench.bus.store().head(),
            latest_only: false,
            limit: 1000,
        };
        rows.extend(bench.bus.store().feed_page(query).await.unwrap().rows);
    }
    rows.sort_by_key(|row| row.seq);
    let key = |row: &std::sync::Arc<crate::store::FeedRow>| {
        let alert = row.record.alert.as_ref().unwrap();
        (alert.alert_id.clone(), alert.revision)
    };
    rows.iter().map(key).collect()
}

/// Latest begun first.
async fn listed(bench: &Bench) -> Vec<v1::Suppression> {
    let query = SuppressionQuery { limit: 1000, ..SuppressionQuery::default() };
    bench.bus.store().suppressions(query).await.unwrap()
}

fn by_silence(suppression: &v1::Suppression) -> Option<u64> {
    match &suppression.cause {
        Some(Cause::Silence(silence)) => Some(silence.silence_id),
        _ => None,
    }
}

#[tokio::test]
async fn the_end_of_a_silence_shows_the_latest_of_what_still_fires_and_not_what_has_ended() {
    let bench = Bench::new();
    let id = silence(&bench, &[], 10).await;
    let (fires, ended) = (minor(), minor());
    let again = next_state(&fires);
    bench.commit(&[fires.clone(), ended.clone(), again.clone(), resolved(&ended)]).await;
    let mut console = reader(&bench).await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await, []);

    bench.clock.advance(MINUTE * 10);
    bench.bus.look_at_suppressed().await;
    let delivery = console.delivery().await;
    assert_eq!(key(&delivery), key_of(&again));
    assert_eq!(feed(&bench).await, [key_of(&again)]);
    // It says how long it was held, and that adds up.
    let stages = delivery.record.unwrap().alert.unwrap().stages;
    let held = stages.iter().find(|stage| stage.stage() == v1::Stage::Held).unwrap();
    assert_eq!((held.duration_us, held.uncertainty_us), (600_000_000, 0));
    let sum: u64 = stages.iter().map(|stage| stage.duration_us).sum();
    assert_eq!(delivery.age_us, sum + delivery.deliver.unwrap().duration_us);
    // The next state goes on as if nothing had been.
    bench.commit(&[resolved(&again)]).await;
    assert_eq!(key(&console.delivery().await), key_of(&resolved(&again)));

    let listed = listed(&bench).await;
    let ends: Vec<_> = listed.iter().map(|one| (one.alert_id.clone(), one.end(), one.states)).collect();
    assert_eq!(
        ends,
        [
            (ended.id.to_string(), SuppressionEnd::Resolved, 2),
            (fires.id.to_string(), SuppressionEnd::Shown, 2)
        ]
    );
    assert!(listed.iter().all(|one| by_silence(one) == Some(id)));
    let history = bench.bus.store().history(fires.id).await.unwrap();
    let revisions: Vec<_> = history.iter().map(|state| state.alert.as_ref().unwrap().revision).collect();
    assert_eq!(revisions, [1, 2, 3]);
}

#[tokio::test]
async fn a_critical_alert_is_hidden_only_by_a_silence_that_names_its_level() {
    let bench = Bench::new();
    silence(&bench, &[], 60).await;
    let (shown, hidden) = (critical(), critical());
    bench.commit(std::slice::from_ref(&shown)).await;
    assert_eq!(feed(&bench).await, [key_of(&shown)]);
    let named = silence(&bench, &[2], 60).await;
    bench.commit(std::slice::from_ref(&hidden)).await;
    assert_eq!(feed(&bench).await, [key_of(&shown)]);
    let mut console = reader(&bench).await;
    assert_eq!(key(&console.delivery().await), key_of(&shown));
    bench.bus.expire_silence(&operator(), named).await.unwrap();
    assert_eq!(key(&console.delivery().await), key_of(&hidden));
}

#[tokio::test]
async fn what_rises_above_a_silence_is_shown_at_once_and_stays_shown() {
    let bench = Bench::new();
    silence(&bench, &[], 60).await;
    let low = alert(Kind::FireSmoke, 3);
    let mut high = next_state(&low);
    high.level = Level::SEVERE;
    let mut low_again = next_state(&high);
    low_again.level = Level::MAJOR;
    bench.commit(&[low.clone(), high.clone(), low_again.clone()]).await;
    assert_eq!(feed(&bench).await, [key_of(&high), key_of(&low_again)]);
    let listed = listed(&bench).await;
    assert_eq!((listed.len(), listed[0].end(), listed[0].states), (1, SuppressionEnd::Shown, 1));
}

#[tokio::test]
async fn whoever_was_shown_an_alert_is_shown_its_end() {
    let bench = Bench::new();
    let first = minor();
    bench.commit(std::slice::from_ref(&first)).await;
    silence(&bench, &[], 60).await;
    let second = next_state(&first);
    bench.commit(std::slice::from_ref(&second)).await;
    // What was shown before it was silenced is still delivered to whoever comes from far behind.
    bench.clock.advance(Duration::from_secs(61));
    let mut other = minor();
    other.place.camera = "pier".parse().unwrap();
    bench.commit(std::slice::from_ref(&other)).await;
    let mut late = reader(&bench).await;
    assert_eq!(key(&late.delivery().await), key_of(&first));
    assert_eq!(key(&late.delivery().await), key_of(&other));
    bench.commit(&[resolved(&second)]).await;
    assert_eq!(feed(&bench).await.last(), Some(&key_of(&resolved(&second))));
    assert_eq!(key(&late.delivery().await), key_of(&resolved(&second)));
}

#[tokio::test]
async fn a_covered_camera_holds_back_its_scene_until_it_sees_again() {
    let bench = Bench::new();
    let covered = alert(Kind::CamCovered, 3);
    let (garbage, fire) = (minor(), critical());
    let mut elsewhere = minor();
    elsewhere.place.camera = "pier".parse().unwrap();
    bench.commit(&[covered.clone(), garbage.clone(), fire.clone(), elsewhere.clone()]).await;
    assert_eq!(feed(&bench).await, [key_of(&covered), key_of(&fire), key_of(&elsewhere)]);
    let suppressed = listed(&bench).await;
    let inhibition = v1::Inhibition { alert_id: covered.id.to_string(), kind: Kind::CamCovered.number() };
    assert_eq!(suppressed[0].cause, Some(Cause::Inhibition(inhibition)));
    assert_eq!((suppressed.len(), suppressed[0].alert_id.clone()), (1, garbage.id.to_string()));
    // With the commit that ends the reason, not a second later.
    bench.commit(&[resolved(&covered)]).await;
    assert_eq!(feed(&bench).await[3..], [key_of(&resolved(&covered)), key_of(&garbage)]);
}

/// Of what these cameras hang on.
fn down(behind: &[&str]) -> Alert {
    let mut down = alert(Kind::UpstreamDown, 3);
    down.place.camera = "nvr".parse().unwrap();
    down.behind = behind.iter().map(|id| id.parse().unwrap()).collect();
    down
}

fn at(camera: &str, kind: Kind, level: u8) -> Alert {
    let mut alert = alert(kind, level);
    alert.place.camera = camera.parse().unwrap();
    alert
}

#[tokio::test]
async fn a_dead_recorder_is_one_alert_and_what_it_held_back_and_still_fires_is_shown_when_it_is_back() {
    let mut bench = Bench::new();
    let nvr = down(&["a", "b"]);
    let [a, b, elsewhere] = ["a", "b", "c"].map(|id| at(id, Kind::CamOffline, 4));
    // What the pictures of lost cameras show stays hidden though their losses are, and nothing critical does.
    let (scene, fire) = (at("a", Kind::ExposedGarbage, 4), at("a", Kind::FireFlame, 2));
    let shown = [&nvr, &elsewhere, &fire].map(key_of);
    bench.commit(&[nvr.clone(), a.clone(), b.clone(), elsewhere, scene.clone(), fire.clone()]).await;
    assert_eq!(feed(&bench).await, shown);
    bench = bench.reopen().await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await, shown);
    let inhibition = v1::Inhibition { alert_id: nvr.id.to_string(), kind: Kind::UpstreamDown.number() };
    let reasons = listed(&bench).await;
    assert_eq!(reasons.len(), 3);
    assert!(
        reasons.iter().all(|one| one.cause == Some(Cause::Inhibition(inhibition.clone()))),
        "{reasons:?}"
    );
    // One camera ends for itself, the other is still lost when the recorder is back; then its loss hides its scene.
    bench.commit(&[resolved(&b), resolved(&nvr)]).await;
    assert_eq!(feed(&bench).await[3..], [key_of(&resolved(&nvr)), key_of(&a)]);
    bench.bus.look_at_suppressed().await;
    let lasting: Vec<_> = listed(&bench).await.into_iter().filter(|one| one.until_unix_us == 0).collect();
    let [hidden] = &lasting[..] else { panic!("{lasting:?}") };
    assert_eq!(hidden.alert_id, scene.id.to_string());
    let inhibition = v1::Inhibition { alert_id: a.id.to_string(), kind: Kind::CamOffline.number() };
    assert_eq!(hidden.cause, Some(Cause::Inhibition(inhibition)));
}

#[tokio::test]
async fn a_loss_that_was_shown_before_its_recorder_was_is_shown_its_end_and_another_recorder_takes_over() {
    let bench = Bench::new();
    let (nvr, line) = (down(&["a", "b"]), down(&["a", "b", "c"]));
    let (a, b) = (at("a", Kind::CamOffline, 4), at("b", Kind::CamOffline, 4));
    bench.commit(&[a.clone(), line.clone(), next_state(&a), b.clone()]).await;
    assert_eq!(feed(&bench).await, [&a, &line].map(key_of));
    // What takes over comes first: nothing is shown in between.
    bench.commit(&[nvr.clone(), resolved(&line)]).await;
    let end_of_a = resolved(&next_state(&a));
    bench.commit(std::slice::from_ref(&end_of_a)).await;
    assert_eq!(feed(&bench).await[2..], [&nvr, &resolved(&line), &end_of_a].map(key_of));
    // Behind a recorder that has other cameras now, one that is no longer among them is shown.
    let mut fewer = next_state(&nvr);
    fewer.behind.truncate(1);
    bench.commit(std::slice::from_ref(&fewer)).await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await[5..], [&fewer, &b].map(key_of));
}

#[tokio::test]
async fn a_drill_is_held_back_by_no_alert_and_holds_none_back() {
    let bench = Bench::with(flooded::options());
    let drill = |of: Alert| Alert { drill: true, ..of };
    let (nvr, lost) = (down(&["a"]), at("a", Kind::CamOffline, 3));
    // What is down and lost hides what its camera shows, and no drill there.
    bench.commit(&[nvr.clone(), lost.clone()]).await;
    let (played, gone) = (drill(at("a", Kind::ZoneIntrusion, 3)), drill(at("a", Kind::CamOffline, 3)));
    bench.commit(&[played.clone(), gone.clone()]).await;
    assert_eq!(feed(&bench).await, [&nvr, &played, &gone].map(key_of));
    // What a drill says hides nothing that is true: a loss no scene, a flame no smoke.
    let (loss, flame) = (drill(at("b", Kind::CamOffline, 3)), drill(at("b", Kind::FireFlame, 2)));
    let (scene, smoke) = (at("b", Kind::ZoneIntrusion, 3), at("b", Kind::FireSmoke, 3));
    bench.commit(&[loss.clone(), flame.clone(), scene.clone(), smoke.clone()]).await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await[3..], [&loss, &flame, &scene, &smoke].map(key_of));
    let bench = bench.reopen().await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await.len(), 7);
    assert_eq!(
        listed(&bench).await.iter().map(|one| &one.alert_id).collect::<Vec<_>>(),
        [&lost.id.to_string()]
    );
}

#[tokio::test]
async fn drills_neither_count_towards_a_flood_nor_disappear_in_one() {
    let bench = Bench::with(flooded::options());
    let one = |drill| Alert { drill, ..at("gate", Kind::ExposedGarbage, 4) };
    for _ in 0..20 {
        bench.commit(&[one(true)]).await;
    }
    assert_eq!(feed(&bench).await.len(), 20);
    for _ in 0..3 {
        bench.commit(&[one(false)]).await;
    }
    assert_eq!(feed(&bench).await.len(), 23, "no more than the limit: no flood");
    // The next ones are one, which takes no drill.
    bench.commit(&[one(false), one(false)]).await;
    assert_eq!(feed(&bench).await.len(), 24);
    let drill = one(true);
    bench.commit(std::slice::from_ref(&drill)).await;
    assert_eq!(feed(&bench).await.last(), Some(&key_of(&drill)));
}

#[tokio::test]
async fn a_flame_holds_back_smoke_unless_the_flame_itself_is_silenced() {
    let bench = Bench::new();
    let (flame, smoke) = (critical(), alert(Kind::FireSmoke, 2));
    bench.commit(&[flame.clone(), smoke.clone()]).await;
    assert_eq!(feed(&bench).await, [key_of(&flame)]);
    let kinds = vec![Kind::FireFlame.number()];
    let request = v1::CreateSilenceRequest {
        scope: Some(v1::SilenceScope { kinds, levels: vec![2], ..v1::SilenceScope::default() }),
        purpose: v1::SilencePurpose::Drill.into(),
        reason: "a drill with fire".to_owned(),
        begin_unix_us: 0,
        end_unix_us: bench.clock.wall().plus(MINUTE).0,
    };
    bench.bus.create_silence(&operator(), request).await.unwrap();
    bench.commit(&[next_state(&flame)]).await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await, [key_of(&flame), key_of(&smoke)]);
}

#[tokio::test]
async fn a_restart_keeps_silences_and_what_they_hold_back() {
    let mut bench = Bench::new();
    let id = silence(&bench, &[], 10).await;
    let (before, after) = (minor(), minor());
    bench.commit(std::slice::from_ref(&before)).await;
    bench = bench.reopen().await;
    bench.commit(std::slice::from_ref(&after)).await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await, []);
    let query = SilenceQuery { limit: 9, ..SilenceQuery::default() };
    let silences = bench.bus.store().silences(query).await.unwrap();
    assert_eq!(silences.iter().map(|one| one.silence_id).collect::<Vec<_>>(), [id]);
    bench.clock.advance(MINUTE * 10);
    bench = bench.reopen().await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await, [key_of(&before), key_of(&after)]);
    // Shown once, also after another restart.
    bench = bench.reopen().await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(feed(&bench).await, [key_of(&before), key_of(&after)]);
}

#[tokio::test]
async fn a_snapshot_leaves_out_what_is_suppressed() {
    let bench = Bench::new();
    let (shown, hidden) = (minor(), minor());
    bench.commit(std::slice::from_ref(&shown)).await;
    silence(&bench, &[], 10).await;
    bench.commit(std::slice::from_ref(&hidden)).await;
    let mut console = bench.console("c", Subscribe::default()).await;
    assert!(matches!(console.item().await, Some(Item::Opened(_))));
    assert_eq!(console.snapshot().await.0, [key_of(&shown)]);
    let both = vec![shown.id, hidden.id];
    assert_eq!(bench.bus.store().suppressed_among(both).await.unwrap(), [hidden.id]);
}

#[derive(Debug, Clone)]
enum Step {
    Raise { kind: usize, level: u8, pier: bool, count: u8 },
    Next { which: usize, level: u8 },
    Resolve { which: usize },
    Silence { levels: Vec<i32>, minutes: u32 },
    Expire { which: usize },
    Wait { seconds: u64 },
    Look,
    Restart,
}

const KINDS: [Kind; 6] = [
    Kind::FireFlame,
    Kind::FireSmoke,
    Kind::CamCovered,
    Kind::CamOffline,
    Kind::ExposedGarbage,
    Kind::UpstreamDown,
];

/// Of the camera that all are of, or of what it hangs on.
fn raise(kind: Kind, level: u8) -> Alert {
    let behind = if kind == Kind::UpstreamDown { vec!["gate".parse().unwrap()] } else { Vec::new() };
    Alert { behind, ..alert(kind, level) }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KINDS.len(), 2u8..=4, any::<bool>(), 1u8..6)
            .prop_map(|(kind, level, pier, count)| Step::Raise { kind, level, pier, count }),
        4 => (any::<usize>(), 2u8..=4).prop_map(|(which, level)| Step::Next { which, level }),
        2 => any::<usize>().prop_map(|which| Step::Resolve { which }),
        2 => (prop::collection::vec(2i32..=4, 0..2), 1u32..20)
            .prop_map(|(levels, minutes)| Step::Silence { levels, minutes }),
        1 => any::<usize>().prop_map(|which| Step::Expire { which }),
        2 => (5u64..600).prop_map(|seconds| Step::Wait { seconds }),
        2 => Just(Step::Look),
        1 => Just(Step::Restart),
    ]
}

/// What the test knows by itself.
#[derive(Default)]
struct Known {
    latest: BTreeMap<String, Alert>,
    peaks: BTreeMap<String, Level>,
    /// Levels named, end.
    silences: BTreeMap<u64, (Vec<i32>, Wall)>,
    floods: flooded::Floods,
}

impl Known {
    fn note(&mut self, state: &Alert) {
        let peak = self.peaks.entry(state.id.to_string()).or_insert(state.level);
        *peak = (*peak).min(state.level);
        self.latest.insert(state.id.to_string(), state.clone());
    }
    fn firing(&self) -> Vec<Alert> {
        self.latest.values().filter(|alert| alert.state.is_firing()).cloned().collect()
    }
    /// Whether the reason of a suppression holds for this alert.
    fn holds(&self, alert: &str, cause: &Cause, now: Wall) -> bool {
        let peak = self.peaks[alert];
        let target = &self.latest[alert];
        match cause {
            Cause::Flood(group) => self.floods.holds(group, target, peak),
            Cause::Silence(silence) => {
                let (levels, end) = &self.silences[&silence.silence_id];
                let named = if levels.is_empty() {
                    peak >= Level::MAJOR
                } else {
                    levels.contains(&peak.number().into())
                };
                named && now < *end && target.place.camera.as_str() == "gate"
            }
            Cause::Inhibition(by) => {
                let source = &self.latest[&by.alert_id];
                let smoke = source.kind == Kind::FireFlame
                    && target.kind == Kind::FireSmoke
                    && self.peaks[&by.alert_id] <= peak;
                let blind = source.kind != Kind::FireFlame
                    && inhibit::may_inhibit(source.kind.number())
                    && target.kind.number() < 8000
                    && peak >= Level::MAJOR;
                let upstream = source.kind == Kind::UpstreamDown;
                let behind = upstream && target.kind == Kind::CamOffline && peak >= Level::MAJOR;
                let here = match upstream {
                    true => source.behind.contains(&target.place.camera),
                    false => source.place.camera == target.place.camera,
                };
                source.state.is_firing() && here && (smoke || blind || behind)
            }
        }
    }
}

async fn publish(bench: &Bench, known: &mut Known, state: &Alert) {
    bench.commit(std::slice::from_ref(state)).await;
    known.note(state);
    flooded::look(bench, known).await;
    let (id, revision) = key_of(state);
    let shown = feed(bench).await.contains(&(id.clone(), revision));
    let all = listed(bench).await;
    let suppressed = all
        .iter()
        .find(|one| one.alert_id == id && one.last_revision == revision && one.first_revision <= revision);
    assert_eq!(shown, suppressed.is_none(), "{id} {revision}: {all:?}");
    if let Some(one) = suppressed {
        let cause = one.cause.as_ref().unwrap();
        assert!(known.holds(&id, cause, bench.clock.wall()), "{one:?}");
    }
}

async fn history(steps: Vec<Step>) {
    let mut bench = Bench::with(flooded::options());
    let mut known = Known::default();
    for step in steps {
        match step {
            Step::Raise { kind, level, pier, count } => {
                for _ in 0..count {
                    let mut one = raise(KINDS[kind], level);
                    one.place.camera = if pier { "pier" } else { "gate" }.parse().unwrap();
                    publish(&bench, &mut known, &one).await;
                }
            }
            Step::Next { which, level } => {
                let firing = known.firing();
                if let Some(one) = firing.get(which % firing.len().max(1)) {
                    let mut state = next_state(one);
                    state.level = Level::try_from(level).unwrap();
                    publish(&bench, &mut known, &state).await;
                }
            }
            Step::Resolve { which } => {
                let firing = known.firing();
                if let Some(one) = firing.get(which % firing.len().max(1)) {
                    publish(&bench, &mut known, &resolved(one)).await;
                }
            }
            Step::Silence { levels, minutes } => {
                let id = silence(&bench, &levels, minutes).await;
                known.silences.insert(id, (levels, bench.clock.wall().plus(MINUTE * minutes)));
            }
            Step::Expire { which } => {
                let ids: Vec<_> = known.silences.keys().copied().collect();
                if let Some(id) = ids.get(which % ids.len().max(1)) {
                    bench.bus.expire_silence(&operator(), *id).await.unwrap();
                    let now = bench.clock.wall();
                    let (_, end) = known.silences.get_mut(id).unwrap();
                    *end = now.min(*end);
                    flooded::look(&bench, &mut known).await;
                }
            }
            Step::Wait { seconds } => bench.clock.advance(Duration::from_secs(seconds)),
            Step::Look => {
                bench.bus.look_at_suppressed().await;
                flooded::look(&bench, &mut known).await;
                flooded::judge(&bench).await;
                let now = bench.clock.wall();
                let all = listed(&bench).await;
                // The alert of a flood may be silenced itself.
                let lasting = |one: &&v1::Suppression| {
                    one.until_unix_us == 0 && known.latest.contains_key(&one.alert_id)
                };
                for one in all.iter().filter(lasting) {
                    assert!(known.holds(&one.alert_id, one.cause.as_ref().unwrap(), now), "{one:?}");
                }
            }
            Step::Restart => bench = bench.reopen().await,
        }
    }
    // Once no reason is left, everything that fires has been shown as it is.
    bench.clock.advance(MINUTE * 60);
    for one in known.firing() {
        if inhibit::may_inhibit(one.kind.number()) {
            publish(&bench, &mut known, &resolved(&one)).await;
        }
    }
    // What other reasons held back may come as a flood, and that is over, too, when it has been quiet.
    for _ in 0..2 {
        bench.bus.look_at_suppressed().await;
        flooded::look(&bench, &mut known).await;
        bench.clock.advance(MINUTE * 60);
    }
    bench.bus.look_at_suppressed().await;
    assert_eq!(flooded::judge(&bench).await, 0, "floods that last");
    let mut feed = feed(&bench).await;
    for one in known.firing() {
        assert!(feed.contains(&key_of(&one)), "{one:?}");
    }
    // What the alerts of floods say has been judged.
    feed.retain(|(id, _)| known.latest.contains_key(id));
    let mut latest = BTreeMap::new();
    for (id, revision) in &feed {
        let before = latest.insert(id, revision);
        assert!(before < Some(revision), "{id}: {revision} after {before:?}");
    }
    // And whoever was shown an alert was shown its end.
    for (id, revision) in latest {
        assert_eq!(*revision, known.latest[id].revision.0, "{id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]
    #[test]
    fn every_publication_is_shown_or_listed_with_a_reason_that_held(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(history(steps));
    }
}
