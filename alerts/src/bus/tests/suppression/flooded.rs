//! Flood groups: one line for many alerts, which are listed, counted, and shown when it ends.

use xueliang_base::time::Mono;

use super::*;
use crate::{bus::BusOptions, flood::Limits, store::FeedRow};

const WINDOW: Duration = MINUTE;
const QUIET: Duration = Duration::from_secs(300);
const PER_CAMERA: usize = 3;
const PER_DIVISION: usize = 5;

pub(super) fn options() -> BusOptions {
    let mut options = crate::testing::options();
    let (per_camera, per_division) = (PER_CAMERA as u32, PER_DIVISION as u32);
    options.sqlite.floods =
        Limits { per_camera, per_division, window: WINDOW, quiet: QUIET, ..Limits::default() };
    options
}

/// What the oracle of random histories knows of floods: which alerts were lines of their own, since when.
#[derive(Default)]
pub(super) struct Floods {
    /// Alerts that were shown first, and not by the end of a group: kind, camera, when.
    lines: BTreeMap<String, (Kind, String, Mono)>,
    shown: BTreeSet<String>,
    /// Members: when they came, and to which group.
    members: BTreeMap<String, (String, Mono)>,
    groups: BTreeMap<String, Alert>,
}

impl Floods {
    pub(super) fn holds(&self, group: &v1::FloodGroup, member: &Alert, peak: Level) -> bool {
        let group = &self.groups[&group.alert_id];
        let here = group.place.camera == member.place.camera || group.place.camera.as_str() == "flood";
        let firing = group.state.is_firing();
        here && firing && group.kind == member.kind && peak >= Level::MAJOR
    }
    /// Lines of a kind, at a camera or anywhere, that are younger than the window.
    fn recent(&self, kind: Kind, camera: Option<&str>, now: Mono) -> usize {
        let of = |line: &&(Kind, String, Mono)| {
            line.0 == kind && camera.is_none_or(|camera| line.1 == camera) && now.since(line.2) < WINDOW
        };
        self.lines.values().filter(of).count()
    }
}

async fn groups(bench: &Bench, firing: Option<bool>) -> Vec<std::sync::Arc<FeedRow>> {
    let publisher = Some(flood::PUBLISHER.to_owned());
    let query = ListQuery { publisher, firing, limit: 1000, ..ListQuery::default() };
    bench.bus.store().list(query).await.unwrap()
}

fn state(row: &FeedRow) -> Alert {
    row.record.alert.clone().unwrap().try_into().unwrap()
}

/// Takes note of what has been shown or has joined a group since, and holds the lines to the limits.
pub(super) async fn look(bench: &Bench, known: &mut Known) {
    let now = bench.clock.mono();
    let shown: BTreeSet<String> = feed(bench).await.into_iter().map(|(id, _)| id).collect();
    let suppressions = listed(bench).await;
    let floods = &mut known.floods;
    let before = floods.groups.len();
    floods.groups = groups(bench, None).await.iter().map(|row| (row.alert.to_string(), state(row))).collect();
    for one in &suppressions {
        if let Some(Cause::Flood(group)) = &one.cause {
            if let Some((first, _)) = floods.members.get(&one.alert_id) {
                assert_eq!(*first, group.alert_id, "in one group only");
                continue;
            }
            assert!(!floods.shown.contains(&one.alert_id), "shown before: {one:?}");
            floods.members.insert(one.alert_id.clone(), (group.alert_id.clone(), now));
        }
    }
    for (id, alert) in known.latest.iter().filter(|(id, _)| shown.contains(*id)) {
        let new = floods.shown.insert(id.clone());
        if new && known.peaks[id] >= Level::MAJOR && !floods.members.contains_key(id) {
            floods.lines.insert(id.clone(), (alert.kind, alert.place.camera.to_string(), now));
        }
    }
    // What says that a recorder is down joins no group.
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::UpstreamDown) {
        let total = floods.recent(kind, None, now);
        assert!(total <= PER_DIVISION, "{kind}: {total} lines");
        for camera in ["gate", "pier"] {
            let of_camera = floods.recent(kind, Some(camera), now);
            assert!(of_camera <= PER_CAMERA, "{kind} at {camera}: {of_camera} lines");
            // And no group began before the limit was reached.
            let begun = floods.groups.values().filter(|group| group.started == bench.clock.wall());
            for group in begun.filter(|group| group.kind == kind && floods.groups.len() > before) {
                if group.place.camera.as_str() == camera {
                    assert_eq!(of_camera, PER_CAMERA, "{group:?}");
                } else if group.place.camera.as_str() == "flood" {
                    assert_eq!(total, PER_DIVISION, "{group:?}");
                }
            }
        }
    }
}

/// After a look of the bus: what the groups' alerts say is so, to the alert. How many groups last.
pub(super) async fn judge(bench: &Bench) -> usize {
    let shown = feed(bench).await;
    let suppressions = listed(bench).await;
    let all = groups(bench, None).await;
    for row in &all {
        let alert = state(row);
        let by = SuppressionQuery { by: Some(row.alert), limit: 1000, ..SuppressionQuery::default() };
        let members = bench.bus.store().suppressions(by).await.unwrap();
        let mine = |one: &&v1::Suppression| matches!(&one.cause, Some(Cause::Flood(group)) if group.alert_id == row.alert.to_string());
        assert_eq!(members.len(), suppressions.iter().filter(mine).count());
        assert_eq!(alert.count, members.len() as u64, "{alert:?}");
        let Some(Cause::Flood(group)) = &members[0].cause else { panic!("{members:?}") };
        assert_eq!(group.members, alert.count);
        assert!(members.iter().all(|one| one.level >= alert.level.number().into() || one.until_unix_us > 0));
        assert!(alert.state.is_firing() || members.iter().all(|one| one.until_unix_us > 0));
        // It may be silenced or inhibited while it lasts, as any other that was shown.
        assert!(shown.contains(&(row.alert.to_string(), 1)), "the begin of {alert:?}");
        assert!(alert.state.is_firing() || shown.contains(&key_of(&alert)), "the end of {alert:?}");
    }
    all.iter().filter(|row| state(row).state.is_firing()).count()
}

fn at(camera: &str) -> Alert {
    let mut one = minor();
    one.place.camera = camera.parse().unwrap();
    one
}

/// One alert at each of so many cameras.
fn storm(count: usize) -> Vec<Alert> {
    (0..count).map(|index| at(&format!("camera-{index}"))).collect()
}

#[tokio::test]
async fn a_storm_is_one_line_that_counts_and_lists_and_what_still_fires_after_it_is_shown() {
    let bench = Bench::with(options());
    let mut console = reader(&bench).await;
    let alerts = storm(300);
    for some in alerts.chunks(100) {
        bench.commit(some).await;
    }
    bench.bus.look_at_suppressed().await;
    // The first ones, and the group.
    let [group] = &groups(&bench, Some(true)).await[..] else { panic!("one group") };
    let group = state(group);
    assert_eq!(group.place.division_path, alerts[0].place.division_path);
    assert_eq!((group.place.camera.as_str(), group.place.camera_name.as_str()), ("flood", "county"));
    assert_eq!((group.kind, group.level, group.count), (Kind::ExposedGarbage, Level::GENERAL, 295));
    assert_eq!(group.explanation.rule.as_str(), flood::RULE);
    let mut expected: Vec<_> = alerts[..PER_DIVISION].iter().map(key_of).collect();
    expected.extend([(group.id.to_string(), 1), (group.id.to_string(), 2)]);
    assert_eq!(feed(&bench).await, expected);
    // A console that keeps up sees the group begin and grow; the last it is told is what is so.
    let mut counts = Vec::new();
    while counts.last() != Some(&295) {
        let alert = console.delivery().await.record.unwrap().alert.unwrap();
        if alert.publisher == flood::PUBLISHER {
            counts.push(alert.count);
        }
    }
    assert!(counts.is_sorted());
    // Every member is listed, with the group as the reason.
    let by = SuppressionQuery { by: Some(group.id), limit: 1000, ..SuppressionQuery::default() };
    let members = bench.bus.store().suppressions(by).await.unwrap();
    let listed: BTreeSet<_> = members.iter().map(|one| one.alert_id.clone()).collect();
    assert_eq!(listed, alerts[PER_DIVISION..].iter().map(|one| one.id.to_string()).collect());

    // What was shown before goes on; what joined and ends is never shown.
    let (line, member) = (resolved(&alerts[0]), resolved(&alerts[9]));
    bench.commit(&[line.clone(), member]).await;
    assert_eq!(feed(&bench).await.last(), Some(&key_of(&line)));
    // Nothing changes before the quiet time is over.
    bench.clock.advance(QUIET - Duration::from_millis(1));
    bench.bus.look_at_suppressed().await;
    assert_eq!(judge(&bench).await, 1);
    bench.clock.advance(Duration::from_millis(1));
    bench.bus.look_at_suppressed().await;
    assert_eq!(judge(&bench).await, 0);
    let shown = feed(&bench).await;
    let end = shown.iter().position(|key| *key == (group.id.to_string(), 3)).expect("its end is shown");
    let rest: Vec<_> =
        alerts[PER_DIVISION..].iter().filter(|one| one.id != alerts[9].id).map(key_of).collect();
    assert_eq!(shown[end + 1..], rest);
    // It is over, and one more is just one more.
    let one = at("after");
    bench.commit(std::slice::from_ref(&one)).await;
    assert_eq!(feed(&bench).await.last(), Some(&key_of(&one)));
}

#[tokio::test]
async fn a_flapping_camera_is_a_group_of_its_own_and_its_neighbours_are_shown() {
    let bench = Bench::with(options());
    for _ in 0..20 {
        let flaps = at("gate");
        bench.commit(&[flaps.clone(), resolved(&flaps)]).await;
        bench.clock.advance(Duration::from_secs(10));
    }
    bench.bus.look_at_suppressed().await;
    let [group] = &groups(&bench, Some(true)).await[..] else { panic!("one group") };
    assert_eq!((group.camera.as_str(), state(group).count), ("gate", 17));
    assert_eq!(feed(&bench).await.len(), 2 * PER_CAMERA + 2);
    let other = at("pier");
    bench.commit(std::slice::from_ref(&other)).await;
    assert_eq!(feed(&bench).await.last(), Some(&key_of(&other)));
    // It would go on for ever, and slows down: the group ends.
    for _ in 0..8 {
        bench.clock.advance(QUIET / 3);
        bench.bus.look_at_suppressed().await;
        bench.commit(&[at("gate")]).await;
    }
    assert_eq!(judge(&bench).await, 0);
}

#[tokio::test]
async fn nothing_critical_is_ever_grouped_and_a_member_that_becomes_so_is_shown_at_once() {
    let bench = Bench::with(options());
    let fires: Vec<_> = (0..40).map(|_| critical()).collect();
    bench.commit(&fires).await;
    assert_eq!(feed(&bench).await, fires.iter().map(key_of).collect::<Vec<_>>());
    let smoke: Vec<_> = (0..10)
        .map(|index| {
            let mut one = alert(Kind::FireSmoke, 3);
            one.place.camera = format!("camera-{index}").parse().unwrap();
            one
        })
        .collect();
    bench.commit(&smoke).await;
    let mut worse = next_state(&smoke[9]);
    worse.level = Level::SEVERE;
    bench.commit(std::slice::from_ref(&worse)).await;
    assert_eq!(feed(&bench).await.last(), Some(&key_of(&worse)));
    // And stays so, whatever level it falls to.
    let mut after = next_state(&worse);
    after.level = Level::MAJOR;
    bench.commit(std::slice::from_ref(&after)).await;
    assert_eq!(feed(&bench).await.last(), Some(&key_of(&after)));
}

#[tokio::test]
async fn what_a_silence_held_back_does_not_come_as_a_storm_when_it_ends() {
    let bench = Bench::with(options());
    let id = silence(&bench, &[], 10).await;
    let alerts: Vec<_> = (0..10).map(|_| at("gate")).collect();
    bench.commit(&alerts).await;
    assert_eq!(groups(&bench, None).await.len(), 0, "nobody saw a line");
    bench.bus.expire_silence(&operator(), id).await.unwrap();
    bench.bus.look_at_suppressed().await;
    let expected: Vec<_> = alerts[..PER_CAMERA].iter().map(key_of).collect();
    assert_eq!(feed(&bench).await[..PER_CAMERA], expected);
    assert_eq!(judge(&bench).await, 1);
    bench.clock.advance(QUIET);
    bench.bus.look_at_suppressed().await;
    let shown = feed(&bench).await;
    assert!(alerts.iter().all(|one| shown.contains(&key_of(one))));
}

#[tokio::test]
async fn a_group_lasts_over_restarts_and_ends_when_groups_are_turned_off() {
    let mut bench = Bench::with(options());
    let alerts = storm(10);
    bench.commit(&alerts).await;
    bench = bench.reopen().await;
    let more = at("more");
    bench.commit(std::slice::from_ref(&more)).await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(judge(&bench).await, 1);
    assert_eq!(state(&groups(&bench, Some(true)).await[0]).count, 6);
    assert!(!feed(&bench).await.contains(&key_of(&more)));
    bench.options.sqlite.floods = Limits::default();
    bench = bench.reopen().await;
    bench.bus.look_at_suppressed().await;
    assert_eq!(judge(&bench).await, 0);
    assert!(feed(&bench).await.contains(&key_of(&more)));
    bench.commit(&storm(10)).await;
    assert_eq!(groups(&bench, None).await.len(), 1, "none begins");
}
