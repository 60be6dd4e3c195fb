//! Three hundred quiet cameras on one machine, for ten minutes.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::Context;

use super::{
    footage::{Clips, Encoding, Shot, mbit_s},
    town::{self, MIX, ON, sum},
};
use crate::{Service, bench::Table};

const CAMERAS: usize = 300;
const SETTLE: Duration = Duration::from_secs(60);
const WATCHED: Duration = Duration::from_secs(600);
const SAMPLED: Duration = Duration::from_secs(10);
/// What a ring keeps by default.
const RING_S: f64 = 30.0;

/// The worst of what was seen while they were watched.
#[derive(Debug, Default)]
struct Worst {
    samples: usize,
    /// Cameras below a floor, and rules that are granted less than they ask for.
    gaps: f64,
    ungranted: f64,
    /// Cameras that did not stream.
    silent: f64,
    memory_mib: f64,
    memory_by_role: BTreeMap<String, f64>,
}

pub(super) async fn rows(table: &mut Table, clips: &Clips) -> anyhow::Result<()> {
    let shown = [clips.own(Shot::Lawn, Encoding::Crf)?, clips.own(Shot::Tree, Encoding::Crf)?];
    let rings_mib = shown.iter().map(|clip| mbit_s(clip) * RING_S / 8.0).sum::<f64>() / shown.len() as f64
        * 1e6
        / f64::from(1 << 20);
    let services = town::start(vec![(town::cameras("c", &shown, CAMERAS, town::mix), ON)]).await?;
    let service = &services[0];
    let name =
        format!("{CAMERAS} cameras, {} and {}, {}", shown_name(0), shown_name(1), Encoding::Crf.name());
    table.note(&format!("{name}: rules"), MIX);
    tokio::time::sleep(SETTLE).await;
    let own = town::Moment::of_this_process()?;
    let before = town::Moment::of(service).await?;
    let begun = sessions(&service.metrics().await?);
    let mut worst = Worst::default();
    let end = tokio::time::Instant::now() + WATCHED;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(SAMPLED).await;
        sample(service, &mut worst).await?;
    }
    let spent = before.until(town::Moment::of(service).await?);
    let own = (town::Moment::of_this_process()? - own).as_secs_f64() / spent.seconds * 100.0;
    let ended = sessions(&service.metrics().await?);
    let missing = service.units_missing(CAMERAS).await?;
    let refused = spent.grew("xueliang_node_looks_refused", &[]);
    table.row(
        &format!(
            "{name}: cameras below a floor, and rules not guaranteed, at the worst of {} times",
            worst.samples
        ),
        format!("{}, {} ({refused} looks refused)", worst.gaps, worst.ungranted),
        "0, 0",
        worst.gaps == 0.0 && worst.ungranted == 0.0,
    );
    let minutes = WATCHED.as_secs() / 60;
    table.row(
        &format!("{name}: sessions lost or begun anew in {minutes} minutes, and cameras silent at the worst"),
        format!("{}, {}", ended - begun, worst.silent),
        "0, 0",
        ended == begun && worst.silent == 0.0,
    );
    table.row(&format!("{name}: units unaccounted for"), format!("{missing}"), "0", missing == 0.0);
    let each = worst.memory_mib / CAMERAS as f64 - rings_mib;
    table.row(
        &format!(
            "{name}: memory of a camera beside its ring of {rings_mib:.1} MiB, of all processes at the most"
        ),
        format!("{each:.2} MiB of {:.0} MiB in all", worst.memory_mib),
        "<= 4 MB",
        each * f64::from(1 << 20) <= 4e6,
    );
    let told: Vec<String> =
        worst.memory_by_role.iter().map(|(role, mib)| format!("{role} {mib:.0}")).collect();
    table.note(&format!("{name}: memory by role then, MiB"), told.join(", "));
    table.note(
        &format!("{name}: of a core, in all"),
        format!("{:.1} %; simulated cameras, not charged, {own:.1} %", spent.percent(1)),
    );
    table.note(&format!("{name}: by role, of a core, a camera"), spent.told(CAMERAS));
    table.note(&format!("{name}: alerts since its start"), town::alerts(service).await?);
    town::stop(services).await
}

fn shown_name(n: usize) -> &'static str {
    [Shot::Lawn, Shot::Tree][n].name()
}

/// Attempts to connect, streams that ended or stalled, and failures, of all cameras so far.
fn sessions(metrics: &str) -> f64 {
    ["connects", "streams", "stalls"]
        .map(|what| sum(metrics, "xueliang_node_sessions", &[&format!("what=\"{what}\"")]))
        .iter()
        .sum::<f64>()
        + sum(metrics, "xueliang_node_session_failures", &[])
}

async fn sample(service: &Service, worst: &mut Worst) -> anyhow::Result<()> {
    let metrics = service.metrics().await?;
    let ungranted = ["best_effort", "not_covered"]
        .map(|granted| sum(&metrics, "xueliang_node_coverage", &[&format!("granted=\"{granted}\"")]));
    worst.samples += 1;
    worst.gaps = worst.gaps.max(sum(&metrics, "xueliang_node_coverage_gaps", &[]));
    worst.ungranted = worst.ungranted.max(ungranted.iter().sum());
    let streaming = sum(&metrics, "xueliang_node_camera_streaming", &[]);
    worst.silent = worst.silent.max(CAMERAS as f64 - streaming);
    let mut by_role = BTreeMap::new();
    for (pid, role) in service.roles() {
        *by_role.entry(role).or_default() += proportional_mib(pid)?;
    }
    let memory = by_role.values().sum();
    if memory > worst.memory_mib {
        (worst.memory_mib, worst.memory_by_role) = (memory, by_role);
    }
    Ok(())
}

/// Resident memory of a process, what it shares with others divided among them.
fn proportional_mib(pid: i32) -> anyhow::Result<f64> {
    // One that has ended meanwhile holds nothing.
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { return Ok(0.0) };
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("a process has memory")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
