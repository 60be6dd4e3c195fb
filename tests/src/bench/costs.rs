//! `make bench-costs`: what things cost on this machine, as a file for `xueliang plan --costs`.
//!
//! The service's own code does what is measured: its sessions receive, its decoders decode, its models look, its rules
//! step, its workers answer. Footage is that of the tests, scaled to the sizes of cameras and encoded at their rates. Times
//! of code are those of the processor, so that a machine that does other things as well measures right; the way to a worker
//! and back is by the clock, and wants a quiet machine.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use xueliang_base::{
    config::StreamSource,
    time::{Boot, Clock, Mono, SystemClock, Wall},
};
use xueliang_server::plan::{
    Costs,
    costs::{Machine, Spread},
};

use super::{Table, percentile};
use crate::repository;

pub(super) mod footage;
pub(super) mod looks;
pub(super) mod service;

/// What the file says first.
const HEAD: &str = "\
# What things cost on the machine that is named here, for `xueliang plan`. Written by `make bench-costs`; docs/plan.md
# describes it. Times are microseconds of one core; a spread has a mean and a 99th percentile.

";

/// Measures, prints, and writes the file.
pub async fn run(file: Option<&str>) -> anyhow::Result<Table> {
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    let folder = tempfile::tempdir()?;
    let clips = footage::clips(folder.path())?;
    let (decode, picture, model, rules) = looks::measure(&clips)?;
    // What a camera costs that retina cannot read: the dearer one.
    let received = service::receive(service::h264(&clips)?, StreamSource::Gstreamer).await?;
    let served = service::serve(&clips, &received, rules).await?;
    let scene = picture.first().context("a size was measured")?.scene;
    let worker = served.worker(scene, looks::lease_mib(&clips)?);
    let costs = Costs {
        machine: Machine {
            processor: super::main::processor(),
            taken: SystemClock.wall().rfc3339("UTC").chars().take(10).collect(),
            note: format!(
                "{} build, GStreamer's source over TCP",
                if cfg!(debug_assertions) { "debug" } else { "release" }
            ),
        },
        node: served.node,
        worker,
        decode,
        picture,
        model: vec![model],
    };
    let text = format!("{HEAD}{}", toml::to_string(&costs)?);
    Costs::parse(&text).context("what was measured makes no sense")?;
    tell(&mut table, &costs);
    let path = file.map_or_else(|| repository().join(".cache/costs.toml"), PathBuf::from);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    table.note("written to", path.display().to_string());
    Ok(table)
}

fn tell(table: &mut Table, costs: &Costs) {
    let show = |spread: &Spread| {
        format!("mean {:.2} ms, p99 {:.2} ms", spread.mean_us / 1000.0, spread.p99_us / 1000.0)
    };
    let node = &costs.node;
    table.note("receiving a unit into its ring", format!("{:.0} µs", node.unit_us));
    let rules =
        format!("{:.0} µs, {:.0} µs with something to see", node.rules_still_us, node.rules_active_us);
    table.note("tracks and rules of a look", rules);
    table.note("a look in the node, besides", format!("{:.0} µs", node.look_us));
    table.note("to a worker and back, besides its work", show(&costs.worker.hop));
    for row in &costs.decode {
        let what = format!("{} {}x{}", row.codec.name(), row.width, row.height);
        table.note(&format!("a keyframe of {what}"), show(&row.keyframe));
        table.note(&format!("a unit of {what}"), show(&row.unit));
    }
    for row in &costs.picture {
        let what = format!("{}x{}", row.width, row.height);
        table.note(&format!("scene of {what}"), show(&row.scene));
        table.note(&format!("{what} to the model's input"), show(&row.prepare));
        table.note(&format!("redacted JPEG of {what}"), show(&row.jpeg));
    }
    for model in &costs.model {
        table.note(&format!("model {}", model.name), show(&model.infer));
    }
    let memory = format!(
        "session {:.1}, worker {:.0}, leased decoder {:.1}, service {:.0} MiB",
        node.session_mib, costs.worker.base_mib, costs.worker.lease_mib, node.base_mib
    );
    table.note("memory", memory);
}

/// The processor's time of this thread, as a clock.
#[derive(Debug, Clone, Copy)]
struct ThreadTime;

impl Clock for ThreadTime {
    fn mono(&self) -> Mono {
        Mono(of(ClockId::ThreadCPUTime))
    }
    fn wall(&self) -> Wall {
        SystemClock.wall()
    }
    fn boot(&self) -> Boot {
        SystemClock.boot()
    }
}

fn of(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The processor's time of this process.
fn process_time() -> Duration {
    Duration::from_nanos(of(ClockId::ProcessCPUTime))
}

/// Times of one kind of work, nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<u64>);

impl Times {
    /// Does it, and takes the processor's time of this thread; for `parts` equal pieces of work at once.
    pub(super) fn take<T>(&mut self, parts: u64, work: impl FnOnce() -> T) -> T {
        let start = ThreadTime.mono();
        let out = work();
        let took = u64::try_from(ThreadTime.mono().since(start).as_nanos()).unwrap_or(u64::MAX);
        self.0.push(took / parts.max(1));
        out
    }
    pub(super) fn spread(&mut self) -> Spread {
        let mean_us = self.0.iter().sum::<u64>() as f64 / self.0.len().max(1) as f64 / 1000.0;
        let p99_us = percentile(&mut self.0, 0.99) as f64 / 1000.0;
        Spread { mean_us: round(mean_us), p99_us: round(p99_us.max(mean_us)) }
    }
}

/// To three digits that mean something.
fn round(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let scale = 10f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

/// Resident memory of a process, MiB.
fn resident_mib(process: i32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
