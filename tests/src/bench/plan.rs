//! `make bench-plan`: what a decision about a look takes with many cameras, and how long it takes to plan a county.

use std::{process::Command, time::Duration};

use anyhow::{Context, ensure};
use rustix::time::{ClockId, clock_gettime};
use xueliang_base::{
    id::CameraId,
    kind::Kind,
    look::LookCost,
    time::{Clock, Mono, SystemClock},
};
use xueliang_inference::attention::{
    Attention, AttentionParams, CameraNeed, Floor, LookOutcome, Offer, Seen, WorkerId,
};

use super::{Table, processor_time_of_children};
use crate::{program, repository};

/// Cameras of the design.
const COUNTY: usize = 22_000;
/// Keyframes come so often, and each is the last in time.
const KEYFRAMES: Duration = Duration::from_secs(4);
const FLOOR: Duration = Duration::from_secs(5);
const ROUNDS: usize = 4;
const BAR: Duration = Duration::from_secs(30);

/// Measures and prints.
pub fn run() -> anyhow::Result<Table> {
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    let mut least = None;
    for cameras in [100, 1000, COUNTY] {
        let took = decision_us(cameras)?;
        let ratio = took / *least.get_or_insert(took);
        table.row(
            &format!("a decision with {cameras} cameras: offer, choice, answer"),
            format!("{took:.2} µs, {ratio:.1} times that of 100"),
            "<= 10 times",
            ratio <= 10.0,
        );
    }
    let mix = repository().join("docs/examples/town.toml");
    let searched = county(&mix, &[])?;
    let (nodes, workers) = (searched.nodes.to_string(), searched.workers.to_string());
    table.note(
        "what a county needs, found",
        format!("{nodes} nodes with {workers} workers each, in {}", searched.took()),
    );
    let hour = county(&mix, &["--nodes", &nodes, "--workers", &workers])?;
    let bar = format!("< {} s", BAR.as_secs());
    table.row("an hour of 22,000 cameras", hour.took(), &bar, hour.wall < BAR);
    let one = (searched.nodes * searched.workers).to_string();
    let hour = county(&mix, &["--nodes", "1", "--workers", &one])?;
    table.note("the same on one node, which is planned on one core", hour.took());
    Ok(table)
}

fn processor_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The processor's time of a look in the scheduler: one camera after the other sends a keyframe, is due and looked at.
fn decision_us(cameras: usize) -> anyhow::Result<f64> {
    let mut attention = Attention::new(AttentionParams { workers: 1, ..AttentionParams::default() });
    let ids: Vec<CameraId> = (0..cameras).map(|n| format!("c{n:05}").parse()).collect::<Result<_, _>>()?;
    for id in &ids {
        let floor = Floor {
            rule: "r".parse()?,
            kind: Kind::CamCovered,
            blind_max: FLOOR,
            deciding: FLOOR,
            at_rest: FLOOR,
            continued: false,
            models: Vec::new(),
            unserved: false,
        };
        attention.set_camera(CameraNeed { id: id.clone(), weight: 1.0, floors: vec![floor], rest: None });
    }
    let pause = KEYFRAMES / u32::try_from(cameras)?;
    let cost = LookCost { decode_us: 5, preprocess_us: 0, infer_us: 0 };
    let (mut now, mut looks, mut began) = (Mono(1_000_000_000_000), 0_usize, Duration::ZERO);
    // The fewer there are, the more rounds, so that all are measured for as long.
    let rounds = ROUNDS * COUNTY / cameras;
    for round in 0..=rounds {
        if round == 1 {
            (looks, began) = (0, processor_time(ClockId::ThreadCPUTime));
        }
        for id in &ids {
            now = now.plus(pause);
            let offer = Offer {
                freshest_keyframe_arrival: Some(now),
                newest_unit_arrival: Some(now),
                units_since_look: 1,
                keyframe_interval_estimate: Some(KEYFRAMES),
                rhythm: None,
                blind: None,
            };
            attention.offer(id, offer);
            while let Some(decision) = attention.next(now, &[WorkerId(0)]) {
                let seen = Seen { picture: now, models: decision.models };
                attention.done(
                    now,
                    &decision.camera,
                    LookOutcome { cost, result: Ok(seen), units_decoded: 1 },
                );
                looks += 1;
            }
        }
    }
    let took = processor_time(ClockId::ThreadCPUTime).saturating_sub(began);
    ensure!(looks == rounds * cameras, "{looks} looks at {cameras} cameras in {rounds} rounds");
    Ok(took.as_secs_f64() * 1e6 / looks as f64)
}

/// What planning an hour of the county took, and what was planned.
struct County {
    wall: Duration,
    processor: Duration,
    nodes: u64,
    workers: u64,
}

impl County {
    fn took(&self) -> String {
        let (wall, processor) = (self.wall.as_secs_f64(), self.processor.as_secs_f64());
        format!("{wall:.1} s, {processor:.1} s of the processor's time")
    }
}

fn county(mix: &std::path::Path, more: &[&str]) -> anyhow::Result<County> {
    let (before, began) = (processor_time_of_children()?, SystemClock.mono());
    let output = Command::new(program()?)
        .args(["plan", "--cameras", &COUNTY.to_string(), "--json", "--mix"])
        .arg(mix)
        .args(more)
        .output()
        .context("run xueliang plan")?;
    let wall = SystemClock.mono().since(began);
    let processor = processor_time_of_children()?.saturating_sub(before);
    ensure!(output.status.success(), "plan: {}", String::from_utf8_lossy(&output.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| plan[name].as_u64().with_context(|| format!("a plan tells its {name}"));
    Ok(County { wall, processor, nodes: number("nodes")?, workers: number("workers")? })
}
