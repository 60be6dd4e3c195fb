//! `make bench-bus`: the alert bus under load, from the call of Publish to every console.
//!
//! The bus is the real process; consoles are gRPC streams of this process, each on a connection of its own, that
//! acknowledge what they take. Publishers use the node's socket and wait until the alert is on disk. Ages run from
//! just before Publish is called to the receipt at a console, by one clock. What is compared is run in turns, several
//! times, and the median of its p99 counts: both sides see what else the machine does.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::timeout;
use xueliang_base::kind::Lane;

use self::{
    load::{Acks, Flow, Load, Measured, Tally},
    scenes::Beside,
};
use super::{Table, percentile};

pub(super) mod alerts;
mod console;
mod load;
#[cfg(feature = "peers")]
mod peers;
pub(super) mod process;
mod record;
mod scenes;
mod silences;

/// Servers that are measured beside the bus, in builds with the feature `peers`.
const PEERS: [&str; 2] = ["NATS JetStream", "Redis Streams"];
/// All of it takes some seven minutes, and a minute more where the record must be made first.
const LIMIT: Duration = Duration::from_secs(600);
/// Turns of what is compared: the p99 of two turns differ by as much as what is to be told apart.
const TURNS: usize = 5;
/// Most memory that a stalled console may cost.
const STALLED_BYTES: u64 = 4 << 20;

/// What can be measured by itself.
pub const PARTS: [&str; 6] = ["fan-out", "stalled", "flood", "reconnect", "restart", "silences"];

/// Measures and prints all, or one of [`PARTS`].
pub async fn run(only: Option<&str>) -> anyhow::Result<Table> {
    if let Some(only) = only {
        ensure!(PARTS.contains(&only), "{only:?} is none of {PARTS:?}");
    }
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    let mut total = Tally::default();
    let parts = parts(&mut table, &mut total, only);
    timeout(LIMIT, parts).await.with_context(|| format!("not done within {LIMIT:?}"))??;
    table.row(
        "the whole run: lost, reordered, doubled, gaps",
        format!("{:?}; {} streams ended early, and gone on with", total.faults(), total.closed),
        "0, 0, 0, 0",
        total.faults() == [0; 4],
    );
    Ok(table)
}

async fn parts(table: &mut Table, total: &mut Tally, only: Option<&str>) -> anyhow::Result<()> {
    let wanted = |part| only.is_none_or(|only| only == part);
    if wanted("fan-out") {
        fan_out(table, total).await?;
    }
    if wanted("stalled") {
        stalled(table, total).await?;
    }
    if wanted("flood") {
        flood(table, total).await?;
    }
    if wanted("reconnect") {
        reconnect(table, total).await?;
    }
    if wanted("restart") {
        restart(table).await?;
    }
    if wanted("silences") {
        silences(table).await?;
    }
    Ok(())
}

/// Median and p99 of several turns.
#[derive(Default)]
struct Ages {
    p50_us: Vec<u64>,
    p99_us: Vec<u64>,
    values: usize,
}

impl Ages {
    fn add(&mut self, mut ages_us: Vec<u64>) {
        self.p50_us.push(percentile(&mut ages_us, 0.5));
        self.p99_us.push(percentile(&mut ages_us, 0.99));
        self.values += ages_us.len();
    }
    /// Of the middle turn.
    fn p99_ms(&self) -> f64 {
        ms(percentile(&mut self.p99_us.clone(), 0.5))
    }
}

impl std::fmt::Display for Ages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let p50 = ms(percentile(&mut self.p50_us.clone(), 0.5));
        write!(f, "p50 {p50:.1} ms, p99 {:.1} ms", self.p99_ms())?;
        if self.p99_us.len() > 1 {
            let turns: Vec<_> = self.p99_us.iter().map(|us| format!("{:.1}", ms(*us))).collect();
            write!(f, " (p99 of the turns {})", turns.join(", "))?;
        }
        write!(f, ", {} deliveries", self.values)
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Ages of a lane once the load was warm.
fn ages_of(measured: &Measured, load: &Load, lane: Lane) -> Vec<u64> {
    measured.tally.ages_us(lane, load.measured_from(lane))
}

fn processor(measured: &Measured) -> String {
    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / measured.took.as_secs_f64();
    let (server, own) = (share(measured.server_cpu), share(measured.own_cpu));
    format!("server {server:.0} %, load generator {own:.0} %, for {:.1} s", measured.took.as_secs_f64())
}

async fn fan_out(table: &mut Table, total: &mut Tally) -> anyhow::Result<()> {
    let what = "100 consoles, 200 alerts/s of 1 KB, each acknowledged";
    let load = Load::critical(100, 200, 6);
    let mut ours = Ages::default();
    let mut theirs = PEERS.map(|_| Ages::default());
    for _ in 0..TURNS {
        let measured = scenes::run(&load).await?;
        ours.add(ages_of(&measured, &load, Lane::Critical));
        table.note(&format!("{what}: processor, of one core"), processor(&measured));
        total.add_faults(&measured.tally);
        peers_turn(table, what, &load, &mut theirs).await;
    }
    let figure = format!("{what}: durable publish to console");
    for (name, ages) in PEERS.into_iter().zip(&theirs) {
        match ages.values {
            0 => table.no_data(&format!("{figure}, {name}"), "-"),
            _ => table.note(&format!("{figure}, {name}"), ages.to_string()),
        }
    }
    let bar = "p99 <= that of the better peer";
    let measured = theirs.iter().filter(|ages| ages.values > 0).map(Ages::p99_ms).reduce(f64::min);
    match measured {
        Some(best) => table.row(&figure, ours.to_string(), bar, ours.p99_ms() <= best),
        None => {
            table.note(&figure, ours.to_string());
            table.no_data(&format!("{figure}, beside the peers"), bar);
        }
    }

    // As a browser must do it.
    let calls = Load { acks: Acks::Calls, ..load.clone() };
    let measured = scenes::run(&calls).await?;
    let mut ages = Ages::default();
    ages.add(ages_of(&measured, &calls, Lane::Critical));
    table.note(&format!("{figure}, each acknowledged by a call of its own"), ages.to_string());
    table.note(&format!("{what} by a call of its own: processor, of one core"), processor(&measured));
    total.add_faults(&measured.tally);

    let what = "1000 consoles, 10 alerts/s of 1 KB, each acknowledged";
    let load = Load::critical(1000, 10, 10);
    let measured = scenes::run(&load).await?;
    let mut ages = Ages::default();
    ages.add(ages_of(&measured, &load, Lane::Critical));
    table.note(&format!("{what}: durable publish to console"), ages.to_string());
    table.note(&format!("{what}: processor, of one core"), processor(&measured));
    total.add_faults(&measured.tally);
    Ok(())
}

/// A turn of each peer that is there.
#[cfg(feature = "peers")]
async fn peers_turn(table: &mut Table, what: &str, load: &Load, ages: &mut [Ages; 2]) {
    for (peer, ages) in peers::Peer::ALL.into_iter().zip(ages) {
        let name = peer.name();
        if !peer.is_there() {
            continue;
        }
        match peer.measure(load).await {
            Ok((measured, setting)) => {
                ages.add(ages_of(&measured, load, Lane::Critical));
                let faults = measured.tally.faults();
                table.note(
                    &format!("{what}, {name}: processor, of one core"),
                    format!("{}; {setting}; lost, reordered, doubled, gaps {faults:?}", processor(&measured)),
                );
            }
            Err(error) => table.note(&format!("{what}, {name}"), format!("failed: {error:#}")),
        }
    }
}
#[cfg(not(feature = "peers"))]
async fn peers_turn(_: &mut Table, _: &str, _: &Load, _: &mut [Ages; 2]) {}

async fn stalled(table: &mut Table, total: &mut Tally) -> anyhow::Result<()> {
    let flows = vec![Flow { lane: Lane::Major, rate: 200, batch: 1 }];
    let mut load = Load { consoles: 50, flows, warm: 2, seconds: 6, acks: Acks::Stream };
    let (mut without, mut with) = (Ages::default(), Ages::default());
    let mut cost = Vec::new();
    for _ in 0..TURNS {
        load.consoles = 50;
        let quiet = scenes::run(&load).await?;
        without.add(ages_of(&quiet, &load, Lane::Major));
        load.consoles = 45;
        let slowed = scenes::run_beside(&load, Beside { stalled: 5, ..Beside::default() }).await?.measured;
        with.add(ages_of(&slowed, &load, Lane::Major));
        cost.push(slowed.server_bytes.saturating_sub(quiet.server_bytes) / 5);
        total.add_faults(&quiet.tally);
        total.add_faults(&slowed.tally);
    }
    let what = "50 consoles, 200 alerts/s";
    table.note(&format!("{what}, none stalled"), without.to_string());
    compared(table, &format!("{what}, 5 of them stalled: the others"), &with, &without, 1.2);
    let bytes = percentile(&mut cost, 1.0);
    table.row(
        &format!("{what}, 5 of them stalled: memory of each, most of {TURNS} turns"),
        format!("{:.2} MiB", mib(bytes)),
        "<= 4 MiB",
        bytes <= STALLED_BYTES,
    );
    Ok(())
}

async fn flood(table: &mut Table, total: &mut Tally) -> anyhow::Result<()> {
    let steady = [Lane::Critical, Lane::Major].map(|lane| Flow { lane, rate: 20, batch: 1 });
    let quiet_load = Load { consoles: 20, flows: steady.to_vec(), warm: 2, seconds: 6, acks: Acks::Newest };
    let mut load = quiet_load.clone();
    load.flows.push(Flow { lane: Lane::Minor, rate: 2000, batch: 20 });
    let (mut before, mut during) = (Ages::default(), Ages::default());
    let mut flooded = Tally::default();
    for _ in 0..TURNS {
        let quiet = scenes::run(&quiet_load).await?;
        before.add(ages_of(&quiet, &quiet_load, Lane::Critical));
        let measured = scenes::run(&load).await?;
        during.add(ages_of(&measured, &load, Lane::Critical));
        flooded.add_faults(&measured.tally);
        total.add_faults(&quiet.tally);
    }
    total.add_faults(&flooded);
    let what = "20 consoles, 20 critical alerts/s";
    table.note(&format!("{what}, no flood"), before.to_string());
    compared(table, &format!("{what}, in a flood of 2000 minor ones/s"), &during, &before, 1.5);
    let minor = load.count(Lane::Minor) * load.consoles * TURNS;
    table.row(
        "the flood: alerts of any lane lost, minor ones doubled or miscounted",
        format!(
            "{}, {}, {} of {minor} minor deliveries, of which {} were summarised",
            flooded.lost, flooded.doubled, flooded.miscounted, flooded.summarised
        ),
        "0, 0, 0",
        [flooded.lost, flooded.doubled, flooded.miscounted] == [0; 3],
    );
    Ok(())
}

async fn silences(table: &mut Table) -> anyhow::Result<()> {
    let rates = silences::measure().await?;
    let share = |rate: f64| format!("{rate:.0}/s, {:.2} of {:.0}/s", rate / rates.plain, rates.plain);
    let bar = ">= 0.90";
    for (what, rate) in [("256 silences hold", rates.silenced), ("floods are counted", rates.counted)] {
        table.row(&format!("publishing while {what}"), share(rate), bar, rate >= rates.plain * 0.9);
    }
    Ok(())
}

async fn reconnect(table: &mut Table, total: &mut Tally) -> anyhow::Result<()> {
    let load = Load { acks: Acks::Newest, ..Load::critical(20, 10, 20) };
    let outcome = scenes::run_beside(&load, Beside { cut: 1000, ..Beside::default() }).await?;
    let (resumed, mut live) = (outcome.resumed_in, outcome.meanwhile_us);
    table.row(
        "1000 consoles reconnecting at once: all resumed",
        format!("in {:.1} s", resumed.as_secs_f64()),
        "<= 15 s",
        resumed <= Duration::from_secs(15),
    );
    let p99 = ms(percentile(&mut live, 0.99));
    table.row(
        "1000 consoles reconnecting at once: live p99 of 20 others meanwhile",
        format!("{p99:.1} ms of {} deliveries", live.len()),
        "< 250 ms",
        p99 < 250.0 && !live.is_empty(),
    );
    total.add_faults(&outcome.measured.tally);
    Ok(())
}

async fn restart(table: &mut Table) -> anyhow::Result<()> {
    let took: Vec<Duration> = record::restarts(3).await?;
    let shown: Vec<_> = took.iter().map(|took| format!("{:.2}", took.as_secs_f64())).collect();
    let mut took_us: Vec<_> =
        took.iter().map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)).collect();
    table.row(
        "restart after kill -9, a million alerts in the record: a console has its snapshot",
        format!("after {} s", shown.join(", ")),
        "the middle one <= 1 s",
        percentile(&mut took_us, 0.5) <= 1_000_000,
    );
    Ok(())
}

/// The p99 of one load against that of another.
fn compared(table: &mut Table, figure: &str, ages: &Ages, other: &Ages, most: f64) {
    let times = ages.p99_ms() / other.p99_ms();
    let held = times <= most;
    table.row(figure, format!("{ages}, {times:.2} times the p99 without"), &format!("<= {most} times"), held);
}
