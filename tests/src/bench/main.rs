//! `make bench-main`: the main job, from a camera to a console.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use xueliang_base::time::{Clock, SystemClock};
use xueliang_proto::v1::{AlertState, GetAlertRequest, Kind, Record, Stage};

use super::{Table, accuracy, percentile};
use crate::{
    Desk, Service, clip, default_model,
    desk::{alert_of, lost},
    program, repository,
    service::{BUSY_ZONE, EMPTY_ZONE, TestCamera, until},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Ages of many cameras are watched for so long.
const WATCH: Duration = Duration::from_secs(60);
/// And of the town, whose states are few: a p99 of forty would be their most.
const WATCH_TOWN: Duration = Duration::from_secs(180);

/// Cameras of the town.
const TOWN: usize = 6;

/// What can be measured by itself: the town's ages, and those with four times the cameras.
pub const AGES: &str = "ages";

/// Measures and prints all, or [`AGES`].
pub async fn run(only: Option<&str>) -> anyhow::Result<Table> {
    anyhow::ensure!(only.is_none_or(|only| only == AGES), "{only:?} is none of {AGES:?}");
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", machine());
    if only.is_none() {
        accuracy_rows(&mut table)?;
        replay_rows(&mut table)?;
    }
    let alone = town_rows(&mut table).await?;
    overload_rows(&mut table, alone).await?;
    Ok(table)
}

/// Cores and model of the processor.
pub(super) fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |m| m.1);
    format!("{cores} cores, {model}")
}

pub(super) fn machine() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{}, load before {}, {profile} build", processor(), load.split(' ').next().unwrap_or("?"))
}

/// Rows of the candidates' table in `docs/models.md`: name, milliseconds, AP50.
fn candidates(text: &str) -> Vec<(String, String, String)> {
    text.lines()
        .skip_while(|line| !line.starts_with("| candidate |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            Some((cells.get(1)?.replace("**", ""), (*cells.get(3)?).to_owned(), (*cells.get(4)?).to_owned()))
        })
        .collect()
}

fn accuracy_rows(table: &mut Table) -> anyhow::Result<()> {
    let candidates = candidates(&fs::read_to_string(repository().join("docs/models.md"))?);
    ensure!(candidates.len() > 1, "docs/models.md has no table of candidates any more");
    for (name, ms, ap50) in candidates {
        table.note(&format!("candidate, as in docs/models.md: {name}"), format!("{ap50} at {ms} ms"));
    }
    let figure = "AP50 of persons on vtest.avi, default model";
    let Some(data) = std::env::var_os("XUELIANG_DEV_DATA").map(PathBuf::from) else {
        table.no_data(figure, ">= 0.85");
        return Ok(());
    };
    let truth = data.join("eval/vtest_PETS09-S2L1_gt.txt");
    let ours = accuracy::of_model(&default_model(), &truth)?;
    let shown = format!("{:.3} at {:.1} ms a look, {} pictures", ours.ap50, ours.least_ms, ours.pictures);
    table.row(figure, shown, ">= 0.85", ours.ap50 >= 0.85);
    // The model most users bring: its folder with the manifest that the project ships, nothing else.
    let brought = tempfile::tempdir()?;
    fs::copy(data.join("models/yolox-nano/model.onnx"), brought.path().join("model.onnx"))?;
    fs::copy(repository().join("models/bring/yolox-nano.toml"), brought.path().join("manifest.toml"))?;
    let yolox = accuracy::of_model(brought.path(), &truth)?;
    table.note(
        "the same, YOLOX-nano as users bring it",
        format!("{:.3} at {:.1} ms a look", yolox.ap50, yolox.least_ms),
    );
    Ok(())
}

/// Runs `xueliang replay` on the campus footage with the given zone and rule.
fn replay(folder: &Path, rules: &str, more: &[&str]) -> anyhow::Result<Vec<u8>> {
    let config = folder.join("replay.toml");
    fs::write(
        &config,
        format!(
            "site = \"bench\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\nmodels = [{:?}]\n\
             [[division]]\ncode = \"1\"\nname = \"x\"\n[[camera]]\nid = \"c\"\nname = \"c\"\ndivision = \"1\"\n\
             url = \"rtsp://127.0.0.1/c\"\n{rules}",
            default_model().display().to_string()
        ),
    )?;
    let output = Command::new(program()?)
        .arg("replay")
        .arg(repository().join(".cache/footage/vtest.avi"))
        .arg("--rules")
        .arg(&config)
        .args(more)
        .current_dir(repository())
        .output()?;
    ensure!(output.status.success(), "replay: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn replay_rows(table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let raised = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().filter(|l| l.contains("\"raised\"") && l.contains("ZONE_INTRUSION")).count()
    };
    let journal = folder.path().join("clip.journal");
    let journal_text = journal.display().to_string();
    let first = replay(folder.path(), BUSY_ZONE, &["--journal-out", &journal_text])?;
    let second = replay(folder.path(), BUSY_ZONE, &[])?;
    let empty = replay(folder.path(), EMPTY_ZONE, &[])?;
    let again = Command::new(program()?)
        .args(["replay", "--journal", &journal_text])
        .output()
        .context("replay a journal")?;
    table.row(
        "incidents in a zone that people walk through",
        raised(&first).to_string(),
        ">= 1",
        raised(&first) >= 1,
    );
    table.row("incidents in a zone where nobody walks", raised(&empty).to_string(), "0", raised(&empty) == 0);
    table.row(
        "two replays of one recording",
        format!("{} and {} bytes", first.len(), second.len()),
        "equal bytes",
        first == second,
    );
    table.row(
        "replay of that recording's journal",
        format!("{} bytes", again.stdout.len()),
        "equal bytes",
        first == again.stdout,
    );
    Ok(())
}

/// Ages of what was delivered live, by stage, and in all.
fn ages(desk: &Desk) -> (Vec<u64>, Vec<u64>, BTreeMap<&'static str, Vec<u64>>) {
    let (mut committed, mut sent, mut stages) = (Vec::new(), Vec::new(), BTreeMap::<_, Vec<u64>>::new());
    for delivery in desk.deliveries.iter().filter(|delivery| !delivery.in_snapshot) {
        let alert = alert_of(delivery);
        if !alert.stages.iter().any(|stage| stage.stage() == Stage::Wait) {
            // A state without a picture of its own: a lost camera, or evidence that came later.
            continue;
        }
        committed.push(alert.stages.iter().map(|stage| stage.duration_us).sum());
        sent.push(delivery.age_us);
        for stage in alert.stages.iter().chain(delivery.deliver.as_ref()) {
            stages.entry(stage.stage().as_str_name()).or_default().push(stage.duration_us);
        }
    }
    (committed, sent, stages)
}

fn stage_notes(table: &mut Table, what: &str, stages: BTreeMap<&'static str, Vec<u64>>) {
    for (stage, mut values) in stages {
        let (p50, p99) = (percentile(&mut values, 0.5), percentile(&mut values, 0.99));
        table.note(
            &format!("{what}, stage {}", stage.trim_start_matches("STAGE_").to_lowercase()),
            format!("p50 {:.1} ms, p99 {:.1} ms", ms(p50), ms(p99)),
        );
    }
}

pub(super) fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// Rules that change often, so that there are many ages to measure.
pub(super) const RESTLESS: &str = "dwell = \"600ms\"\nclear = \"1s\"\ncooldown = \"0s\"\n";

/// Cameras of one clip, each at another place of it: they send their keyframes, and see somebody, when they do.
pub(super) fn town(cameras: usize, more: &str) -> anyhow::Result<Vec<TestCamera>> {
    let clip = clip("vtest@10fps.h264")?;
    (0..cameras)
        .map(|n| {
            let mut camera = TestCamera::new(&format!("c{}", n + 1), clip.clone(), BUSY_ZONE);
            camera.spec = camera.spec.ahead(clip.duration().mul_f64(n as f64 / cameras as f64));
            camera.rules.push_str(more);
            Ok(camera)
        })
        .collect()
}

async fn town_rows(table: &mut Table) -> anyhow::Result<u64> {
    let cameras = town(TOWN, RESTLESS)?;
    let started = tokio::time::Instant::now();
    // The journals are compared with the record whole.
    let mut service = Service::start(cameras, "[analysis]\njournal = \"64MB\"\n").await?;
    let mut desk = Desk::open(&service.api, "bench", MINUTE).await?;
    desk.until("the first alert", 2 * MINUTE, |alert| alert.kind() == Kind::ZoneIntrusion).await?;
    let first = started.elapsed();
    table.row(
        "first alert after the start of the service",
        format!("{:.1} s", first.as_secs_f64()),
        "<= 60 s",
        first <= MINUTE,
    );
    desk.follow(WATCH_TOWN).await?;
    let (mut committed, mut sent, stages) = ages(&desk);
    let seconds = WATCH_TOWN.as_secs();
    table.note(&format!("states delivered live, {TOWN} cameras, {seconds} s"), sent.len().to_string());
    stage_notes(table, "age", stages);
    let p99_committed = percentile(&mut committed, 0.99);
    table.row(
        "age from arrival to committed",
        format!("p50 {:.0} ms, p99 {:.0} ms", ms(percentile(&mut committed, 0.5)), ms(p99_committed)),
        "p99 < 1500 ms",
        !committed.is_empty() && p99_committed < 1_500_000,
    );
    let p99 = percentile(&mut sent, 0.99);
    table.row(
        "age from arrival to sent",
        format!("p50 {:.0} ms, p99 {:.0} ms", ms(percentile(&mut sent, 0.5)), ms(p99)),
        "p99 < 1500 ms",
        !sent.is_empty() && p99 < 1_500_000,
    );
    journal_row(table, &service, &desk).await?;
    kill_row(table, &mut service, &mut desk).await?;
    service.stop().await?;
    Ok(p99)
}

/// One change of an incident, by either account: camera, kind, rule, what happened, when it began, when it changed.
type Change = (String, String, String, &'static str, i64, i64);

/// The changes that a replay printed.
fn replayed(lines: &str) -> anyhow::Result<BTreeSet<Change>> {
    let mut changes = BTreeSet::new();
    for line in lines.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let edge = &value["edge"];
        let (word, incident) = [
            ("raised", &edge["raised"]),
            ("updated", &edge["updated"]),
            // Beside it stands why.
            ("resolved", &edge["resolved"][0]),
        ]
        .into_iter()
        .find(|(_, incident)| incident.is_object())
        .with_context(|| format!("no edge: {line}"))?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let time = |name: &str| incident[name].as_i64().with_context(|| format!("{name} is a number"));
        let (started, decided) = (time("started_wall")?, time("decided_wall")?);
        changes.insert((
            text(&value["camera"]),
            text(&incident["kind"]),
            text(&incident["rule"]),
            word,
            started,
            decided,
        ));
    }
    Ok(changes)
}

/// The changes that an alert's states in the record tell; those that evidence added change nothing.
fn recorded(history: &[Record]) -> BTreeSet<Change> {
    let mut changes = BTreeSet::new();
    let mut last = None;
    for alert in history.iter().filter_map(|record| record.alert.as_ref()) {
        let word = match (alert.state(), alert.revision) {
            (AlertState::Resolved, _) => "resolved",
            (_, 1) => "raised",
            _ => "updated",
        };
        if last.replace((word == "resolved", alert.decided_unix_us))
            == Some((word == "resolved", alert.decided_unix_us))
        {
            continue;
        }
        let kind = xueliang_base::kind::Kind::from_number(alert.kind).map_or("", |kind| kind.code());
        let camera = alert.place.as_ref().map_or("", |place| place.camera_id.as_str());
        let rule = alert.explanation.as_ref().map_or("", |explanation| explanation.rule.as_str());
        changes.insert((
            camera.to_owned(),
            kind.to_owned(),
            rule.to_owned(),
            word,
            alert.started_unix_us,
            alert.decided_unix_us,
        ));
    }
    changes
}

/// The journals of the running node give the incidents that the record holds: of every camera and kind, each begin,
/// change and end.
async fn journal_row(table: &mut Table, service: &Service, desk: &Desk) -> anyhow::Result<()> {
    // What happened within the last seconds may be on its way still.
    let upto = SystemClock.wall().0 - 3_000_000;
    service.signal("node", Signal::USR1);
    let mut by_journal = BTreeSet::new();
    for camera in 1..=TOWN {
        let journal = service.folder.path().join(format!("state/node/journals/c{camera}.journal"));
        until("the journal is written", MINUTE, async || journal.is_file().then_some(())).await?;
        let output = Command::new(program()?).arg("replay").arg("--journal").arg(&journal).output()?;
        ensure!(output.status.success(), "replay: {}", String::from_utf8_lossy(&output.stderr));
        by_journal.extend(replayed(&String::from_utf8_lossy(&output.stdout))?);
    }
    let mut by_record = BTreeSet::new();
    for (alert_id, alert) in desk.listed().await? {
        if alert.publisher != "bus" {
            let answer = desk.client().get_alert(GetAlertRequest { alert_id }).await?.into_inner();
            by_record.extend(recorded(&answer.history));
        }
    }
    by_journal.retain(|change| change.5 <= upto);
    by_record.retain(|change| change.5 <= upto);
    // What the node says of itself is in no camera's journal.
    let all = by_record.len();
    by_record.retain(|change| change.1 != xueliang_base::kind::Kind::CoverageGap.code());
    table.note("coverage gaps told of", (all - by_record.len()).to_string());
    let odd: Vec<_> = by_journal.symmetric_difference(&by_record).collect();
    for change in odd.iter().take(10) {
        let side = if by_journal.contains(*change) { "journal" } else { "record" };
        eprintln!("only in the {side}: {change:?}");
    }
    table.row(
        "changes of incidents by the live journals and in the record (camera, kind, rule, what, times)",
        format!("{} and {}, {} in one only", by_journal.len(), by_record.len(), odd.len()),
        "the same",
        odd.is_empty() && !by_record.is_empty(),
    );
    Ok(())
}

/// `kill -9` of everything: the feed goes on at its cursor, and nothing acknowledged is gone.
async fn kill_row(table: &mut Table, service: &mut Service, desk: &mut Desk) -> anyhow::Result<()> {
    let acknowledged = desk.acknowledged();
    service.kill_everything().await?;
    service.run().await?;
    desk.resume(MINUTE).await?;
    desk.follow(Duration::from_secs(15)).await?;
    let listed = desk.listed().await?;
    desk.follow(Duration::from_secs(2)).await?;
    let latest = desk.latest();
    let missing = listed
        .values()
        .filter(|alert| latest.get(&alert.alert_id).is_none_or(|seen| seen.revision < alert.revision))
        .count();
    table.row(
        "after kill -9 of everything: alerts missing, states doubled, gaps",
        format!("{missing}, {}, {} of {} alerts", desk.doubled.len(), desk.gaps, listed.len()),
        "0, 0, 0",
        missing == 0 && desk.doubled.is_empty() && desk.gaps == 0,
    );
    let lost = lost(&acknowledged, &listed);
    table.row(
        "alerts acknowledged before it that the record no longer holds at that revision",
        format!("{} of {}", lost.len(), acknowledged.len()),
        "0",
        lost.is_empty() && !acknowledged.is_empty(),
    );
    Ok(())
}

/// As many cameras as the machine can look at, and four times as many: ages hold, intervals stretch.
async fn overload_rows(table: &mut Table, alone_p99: u64) -> anyhow::Result<()> {
    let probe = capacity().await?;
    let full = probe.capacity.ceil().max(2.0) as usize;
    let attached = full * 4;
    // Where the probe never asked for more than the machine gave, four times as many would be no overload.
    table.row(
        "cameras with a moving hazard that this machine can look at",
        format!("{:.0} of {} tried; attached {full}, then {attached}", probe.capacity, probe.cameras),
        "less than were tried",
        probe.saturated,
    );
    let full_p99 = loaded(table, "age with as many cameras as can be looked at", full).await?;
    let p99 = loaded(table, "age with four times as many", attached).await?;
    let ratio = p99 as f64 / full_p99.max(1) as f64;
    let alone = p99 as f64 / alone_p99.max(1) as f64;
    table.row(
        "age to sent with four times the cameras that can be looked at",
        format!("{ratio:.2} of that with as many as can be; {alone:.2} of the town's of {TOWN}"),
        "p99 <= 1.2 of that with as many",
        ratio <= 1.2,
    );
    Ok(())
}

/// The p99 of ages to sent, in microseconds, with so many cameras attached.
async fn loaded(table: &mut Table, what: &str, cameras: usize) -> anyhow::Result<u64> {
    let mut service = Service::start(town(cameras, RESTLESS)?, "").await?;
    let mut desk = Desk::open(&service.api, "bench", MINUTE).await?;
    desk.until("an alert", 2 * MINUTE, |alert| alert.kind() == Kind::ZoneIntrusion).await?;
    // All sessions are up and all decoders leased before ages count.
    desk.follow(Duration::from_secs(20)).await?;
    desk.deliveries.clear();
    desk.follow(WATCH).await?;
    let (_, mut sent, stages) = ages(&desk);
    stage_notes(table, what, stages);
    let (p50, p99) = (percentile(&mut sent, 0.5), percentile(&mut sent, 0.99));
    let shown = format!("p50 {:.0} ms, p99 {:.0} ms, {} states", ms(p50), ms(p99), sent.len());
    table.row(
        &format!("{what} ({cameras}), to sent"),
        shown,
        "p99 < 1500 ms",
        !sent.is_empty() && p99 < 1_500_000,
    );
    let missing = service.units_missing(cameras).await?;
    table.row(
        &format!("access units unaccounted for, {cameras} cameras"),
        format!("{missing}"),
        "0",
        missing == 0.0,
    );
    service.stop().await?;
    Ok(p99)
}

/// Looks a second that a moving hazard asks for.
const ASKED: f64 = 2.0;
/// Cameras of the probe, first and at most; it doubles until the machine gives less than is asked for.
const PROBE: std::ops::RangeInclusive<usize> = 60..=480;

/// What the probe found.
pub(super) struct Capacity {
    /// Cameras' worth of looks.
    pub(super) capacity: f64,
    pub(super) cameras: usize,
    pub(super) saturated: bool,
}

/// Looks a second this machine can do, over what a camera asks for.
pub(super) async fn capacity() -> anyhow::Result<Capacity> {
    let mut cameras = *PROBE.start();
    loop {
        let capacity = probe(cameras).await? / ASKED;
        let saturated = capacity < 0.9 * cameras as f64;
        if saturated || cameras * 2 > *PROBE.end() {
            return Ok(Capacity { capacity, cameras, saturated });
        }
        cameras *= 2;
    }
}

/// Looks a second at so many cameras.
async fn probe(cameras: usize) -> anyhow::Result<f64> {
    let probe = town(cameras, "")?;
    let mut service = Service::start(probe, "").await?;
    let looked = async || service.metric("xueliang_node_looks", &["outcome=\"looked\""]).await.ok();
    until("looks", MINUTE, async || looked().await.filter(|looks| *looks > 100.0)).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = looked().await.context("metrics")?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = looked().await.context("metrics")?;
    service.stop().await?;
    Ok((after - before) / 20.0)
}

#[cfg(test)]
mod tests {
    use xueliang_proto::v1::{Alert, Explanation, Place};

    use super::*;

    #[test]
    fn the_candidates_table_is_found_in_the_document() {
        let text = fs::read_to_string(repository().join("docs/models.md")).unwrap();
        let rows = candidates(&text);
        assert!(rows.len() > 10, "{rows:?}");
        assert!(
            rows.iter()
                .any(|(name, ms, ap50)| name == "CenterNet 448×256" && ms == "19.1" && ap50 == "0.890")
        );
    }

    #[test]
    fn both_accounts_of_an_incident_are_the_same_and_evidence_is_no_change() {
        let lines = r#"{"camera":"c1","edge":{"raised":{"rule":"r","kind":"ZONE_INTRUSION","started_wall":1,"decided_wall":2}}}
{"camera":"c1","edge":{"updated":{"rule":"r","kind":"ZONE_INTRUSION","started_wall":1,"decided_wall":3}}}
{"camera":"c1","edge":{"resolved":[{"rule":"r","kind":"ZONE_INTRUSION","started_wall":1,"decided_wall":9},"observed_absence"]}}"#;
        let state = |revision, state: AlertState, decided_unix_us| Record {
            alert: Some(Alert {
                revision,
                kind: Kind::ZoneIntrusion.into(),
                state: state.into(),
                started_unix_us: 1,
                decided_unix_us,
                place: Some(Place { camera_id: "c1".to_owned(), ..Place::default() }),
                explanation: Some(Explanation { rule: "r".to_owned(), ..Explanation::default() }),
                ..Alert::default()
            }),
            ..Record::default()
        };
        let history = [
            state(1, AlertState::Firing, 2),
            state(2, AlertState::Firing, 2), // its still came
            state(3, AlertState::Firing, 3),
            state(4, AlertState::Resolved, 9),
            state(5, AlertState::Resolved, 9), // its clip came
        ];
        let by_journal = replayed(lines).unwrap();
        assert_eq!(by_journal.len(), 3);
        assert_eq!(by_journal, recorded(&history));
        assert_ne!(by_journal, recorded(&history[..3]), "an end that is missing shows");
    }
}
