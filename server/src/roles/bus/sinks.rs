//! The sinks of a configuration, and their metrics.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::Context as _;
use tracing::debug;
use xueliang_alerts::{
    bus::Bus,
    filter::Filter,
    sink::{Secret, SinkOptions, SinkSpec, Sinks},
};
use xueliang_base::{
    config::{Config, Sink},
    metrics::{Counters, Gauges, Metrics},
    shutdown::Stopping,
    time::SharedClock,
};

use super::Serving;

/// How often what waits is counted: it costs a query where a sink is behind.
const MEASURE: Duration = Duration::from_secs(5);

fn spec(config: &Config, sink: &Sink) -> SinkSpec {
    SinkSpec {
        name: sink.id.to_string(),
        site: config.site.clone(),
        url: sink.url.clone(),
        networks: sink.networks.clone(),
        secret_file: sink.secret_file.clone(),
        ca_file: sink.ca_file.clone(),
        filter: Filter {
            divisions: sink.divisions.clone(),
            kinds: sink.kinds.iter().map(|kind| kind.number()).collect(),
            least_level: sink.least_level,
            ..Filter::default()
        },
        with_still: sink.with_still,
        with_cases: sink.with_cases,
    }
}

/// The sinks of a configuration over a bus.
pub fn of(bus: &Bus, config: &Config) -> Sinks {
    let specs = config.sinks.iter().map(|sink| spec(config, sink)).collect();
    Sinks::new(bus.clone(), specs, SinkOptions::default())
}

/// Refuses a sink whose secret cannot be used.
pub async fn refuse_unsigned(config: &Config) -> anyhow::Result<()> {
    for sink in &config.sinks {
        let read = Secret::read(&sink.secret_file).await.map_err(anyhow::Error::msg);
        read.with_context(|| format!("sink[{}].secret_file", sink.id))?;
    }
    Ok(())
}

/// Sends, and measures how that goes, until stopping is asked.
pub fn spawn(sinks: Sinks, clock: SharedClock, metrics: &Metrics, stopping: Stopping) -> Serving {
    let states = metrics.counters("sink_states", "states by sink and what became of them at each try");
    let lag =
        metrics.gauges("sink", "sinks: states that wait, age of the oldest, dead letters, failures in a row");
    tokio::spawn(async move {
        tokio::select! {
            () = sinks.run(stopping) => {}
            () = measure(&sinks, &clock, &states, &lag) => {}
        }
    })
}

async fn measure(sinks: &Sinks, clock: &SharedClock, states: &Counters, gauges: &Gauges) {
    let mut tick = tokio::time::interval(MEASURE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for name in sinks.names() {
            if let Err(error) = measure_one(sinks, name, clock, states, gauges).await {
                debug!(sink = name, %error, "what waits for a sink is not known");
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
async fn measure_one(
    sinks: &Sinks,
    name: &str,
    clock: &SharedClock,
    states: &Counters,
    gauges: &Gauges,
) -> xueliang_alerts::error::Result<()> {
    let Some(counts) = sinks.counts(name) else { return Ok(()) };
    let labels = |what: &str| vec![("sink", name.to_owned()), ("what", what.to_owned())];
    for (what, count) in [
        ("taken", counts.taken),
        ("failed", counts.failed),
        ("dead", counts.dead),
        ("passed", counts.passed),
        ("notices_taken", counts.notices_taken),
        ("notices_dead", counts.notices_dead),
    ] {
        states.get_or_create(&labels(what)).inner().store(count, Ordering::Relaxed);
    }
    let lag = sinks.lag(name).await?;
    let age_us = if lag.waiting == 0 { 0 } else { clock.wall().0.saturating_sub(lag.oldest_unix_us).max(0) };
    for (what, value) in [
        ("waiting", lag.waiting as f64),
        ("oldest_seconds", age_us as f64 / 1e6),
        ("dead_letters", sinks.dead_letters(name).await? as f64),
        ("failures", counts.failures as f64),
    ] {
        gauges.get_or_create(&labels(what)).set(value);
    }
    Ok(())
}
