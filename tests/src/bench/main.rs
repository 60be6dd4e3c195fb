//! `make bench-main`: the main job, from a camera to a console.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use xueliang_proto::v1::{Kind, Stage};

use super::{Table, accuracy, percentile};
use crate::{
    Desk, Service, clip, default_model,
    desk::{alert_of, firing},
    program, repository,
    service::{BUSY_ZONE, EMPTY_ZONE, TestCamera, until},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Ages are watched for so long, each time.
const WATCH: Duration = Duration::from_secs(60);

/// Measures and prints.
pub async fn run() -> anyhow::Result<Table> {
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", machine());
    accuracy_rows(&mut table)?;
    replay_rows(&mut table)?;
    let alone = town_rows(&mut table).await?;
    overload_rows(&mut table, alone).await?;
    Ok(table)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |m| m.1);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{cores} cores, {model}, load before {}, {profile} build", load.split(' ').next().unwrap_or("?"))
}

fn accuracy_rows(table: &mut Table) -> anyhow::Result<()> {
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

fn walkers(id: &str) -> anyhow::Result<TestCamera> {
    Ok(TestCamera::new(id, clip("vtest@10fps.h264")?, BUSY_ZONE))
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

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// Rules that change often, so that there are many ages to measure.
const RESTLESS: &str = "dwell = \"600ms\"\nclear = \"1s\"\ncooldown = \"0s\"\n";

fn restless(id: &str) -> anyhow::Result<TestCamera> {
    let mut camera = walkers(id)?;
    camera.rules.push_str(RESTLESS);
    Ok(camera)
}

async fn town_rows(table: &mut Table) -> anyhow::Result<u64> {
    let cameras = (1..=6).map(|n| restless(&format!("c{n}"))).collect::<anyhow::Result<Vec<_>>>()?;
    let started = tokio::time::Instant::now();
    let mut service = Service::start(cameras, "").await?;
    let mut desk = Desk::open(&service.api, "bench", MINUTE).await?;
    desk.until("the first alert", 2 * MINUTE, |alert| alert.kind() == Kind::ZoneIntrusion).await?;
    let first = started.elapsed();
    table.row(
        "first alert after the start of the service",
        format!("{:.1} s", first.as_secs_f64()),
        "<= 60 s",
        first <= MINUTE,
    );
    desk.follow(WATCH).await?;
    let (mut committed, mut sent, stages) = ages(&desk);
    table.note("states delivered live, 6 cameras, 60 s", sent.len().to_string());
    for (stage, mut values) in stages {
        let (p50, p99) = (percentile(&mut values, 0.5), percentile(&mut values, 0.99));
        table.note(
            &format!("age, stage {}", stage.trim_start_matches("STAGE_").to_lowercase()),
            format!("p50 {:.1} ms, p99 {:.1} ms", ms(p50), ms(p99)),
        );
    }
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

/// The journals of the running node give the incidents that the desk saw.
async fn journal_row(table: &mut Table, service: &Service, desk: &Desk) -> anyhow::Result<()> {
    service.signal("node", Signal::USR1);
    let journal = service.folder.path().join("state/node/journals/c1.journal");
    until("the journal is written", MINUTE, async || journal.is_file().then_some(())).await?;
    let output = Command::new(program()?).arg("replay").arg("--journal").arg(&journal).output()?;
    ensure!(output.status.success(), "replay: {}", String::from_utf8_lossy(&output.stderr));
    // When each incident began, by both accounts; the desk may lag by those of the last seconds.
    let mut replayed: Vec<i64> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let raised = &value["edge"]["raised"];
        if raised["kind"] == "ZONE_INTRUSION" {
            replayed.push(raised["started_wall"].as_i64().context("started_wall is a number")?);
        }
    }
    let live: Vec<i64> = desk
        .deliveries
        .iter()
        .map(alert_of)
        .filter(|alert| alert.revision == 1 && firing(alert, "c1", Kind::ZoneIntrusion))
        .map(|alert| alert.started_unix_us)
        .collect();
    let same = replayed.len() >= live.len() && replayed[..live.len()] == live[..];
    table.row(
        "incidents of the live journal, replayed",
        format!("{} replayed, {} seen live", replayed.len(), live.len()),
        "the same",
        same && !live.is_empty(),
    );
    Ok(())
}

/// `kill -9` of everything: the feed goes on at its cursor.
async fn kill_row(table: &mut Table, service: &mut Service, desk: &mut Desk) -> anyhow::Result<()> {
    service.kill_everything().await?;
    service.run().await?;
    desk.resume(MINUTE).await?;
    desk.follow(Duration::from_secs(15)).await?;
    let request = xueliang_proto::v1::ListAlertsRequest { page_size: 1000, ..Default::default() };
    let listed = desk.client().list_alerts(request).await?.into_inner().records;
    desk.follow(Duration::from_secs(2)).await?;
    let latest = desk.latest();
    let missing = listed
        .iter()
        .filter_map(|record| record.alert.as_ref())
        .filter(|alert| latest.get(&alert.alert_id).is_none_or(|seen| seen.revision < alert.revision))
        .count();
    table.row(
        "after kill -9 of everything: alerts missing, states doubled, gaps",
        format!("{missing}, {}, {} of {} alerts", desk.doubled.len(), desk.gaps, listed.len()),
        "0, 0, 0",
        missing == 0 && desk.doubled.is_empty() && desk.gaps == 0,
    );
    Ok(())
}

/// Four times as many cameras as the machine can look at: ages hold, intervals stretch.
async fn overload_rows(table: &mut Table, alone_p99: u64) -> anyhow::Result<()> {
    let capacity = capacity().await?;
    let attached = (capacity * 4.0).ceil().max(8.0) as usize;
    table.note(
        "cameras with a moving hazard that this machine can look at",
        format!("{capacity:.0}; attached {attached}"),
    );
    let cameras = (1..=attached).map(|n| restless(&format!("c{n}"))).collect::<anyhow::Result<Vec<_>>>()?;
    let mut service = Service::start(cameras, "").await?;
    let mut desk = Desk::open(&service.api, "bench", MINUTE).await?;
    desk.until("an alert", 2 * MINUTE, |alert| alert.kind() == Kind::ZoneIntrusion).await?;
    // All sessions are up and all decoders leased before ages count.
    desk.follow(Duration::from_secs(20)).await?;
    desk.deliveries.clear();
    desk.follow(WATCH).await?;
    let (_, mut sent, _) = ages(&desk);
    let p99 = percentile(&mut sent, 0.99);
    let ratio = p99 as f64 / alone_p99.max(1) as f64;
    table.row(
        "age to sent with four times the cameras",
        format!(
            "p50 {:.0} ms, p99 {:.0} ms, {ratio:.2} of the town's, {} states",
            ms(percentile(&mut sent, 0.5)),
            ms(p99),
            sent.len()
        ),
        "p99 <= 1.2 of the town's",
        !sent.is_empty() && ratio <= 1.2,
    );
    let missing = service.metric("xueliang_node_access_units_missing", &[]).await?;
    table.row("access units unaccounted for, under overload", format!("{missing}"), "0", missing == 0.0);
    service.stop().await?;
    Ok(())
}

/// Looks a second this machine can do, over the two a second that a moving hazard asks for.
async fn capacity() -> anyhow::Result<f64> {
    let probe = (1..=60).map(|n| walkers(&format!("p{n}"))).collect::<anyhow::Result<Vec<_>>>()?;
    let mut service = Service::start(probe, "").await?;
    let looked = async || service.metric("xueliang_node_looks", &["outcome=\"looked\""]).await.ok();
    until("looks", MINUTE, async || looked().await.filter(|looks| *looks > 100.0)).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = looked().await.context("metrics")?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = looked().await.context("metrics")?;
    service.stop().await?;
    Ok((after - before) / 20.0 / 2.0)
}
