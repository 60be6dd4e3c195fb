//! `make bench-bus`: the alert bus under load, from the call of Publish to every console.
//!
//! The bus is the real process; consoles are gRPC streams of this process, each on a connection of its own, that
//! acknowledge every delivery by a call. Publishers use the node's socket and wait until the alert is on disk. Ages run from
//! just before Publish is called to the receipt at a console, by one clock.

use std::time::Duration;

use self::{
    load::{Load, Measured},
    ours::BusProcess,
};
use super::Table;

mod load;
mod ours;

/// Measures and prints.
pub async fn run() -> anyhow::Result<Table> {
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    for (consoles, rate, seconds) in [(100, 200, 10), (1000, 10, 10)] {
        let load = Load { consoles, rate, warm: rate * 2, count: rate * (2 + seconds) };
        let bus = BusProcess::start(consoles).await?;
        let mut measured = bus.measure(&load).await?;
        bus.stop().await?;
        rows(&mut table, &load, &mut measured);
    }
    Ok(table)
}

fn rows(table: &mut Table, load: &Load, measured: &mut Measured) {
    let what = format!("{} consoles, {} alerts/s of 1 KB", load.consoles, load.rate);
    let (p50, p99) =
        (super::percentile(&mut measured.ages_us, 0.5), super::percentile(&mut measured.ages_us, 0.99));
    let ms = |us: u64| us as f64 / 1000.0;
    table.note(
        &format!("{what}: durable publish to console"),
        format!("p50 {:.1} ms, p99 {:.1} ms, {} deliveries", ms(p50), ms(p99), measured.ages_us.len()),
    );
    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / measured.took.as_secs_f64();
    table.note(
        &format!("{what}: processor, of one core"),
        format!("bus {:.0} %, load generator {:.0} %", share(measured.server_cpu), share(measured.own_cpu)),
    );
    let wrong = [measured.lost, measured.reordered, measured.doubled, measured.gaps];
    table.row(
        &format!("{what}: lost, reordered, doubled, gaps"),
        format!("{wrong:?} of {} deliveries", load.count * load.consoles),
        "0, 0, 0, 0",
        wrong == [0; 4],
    );
}
