//! The bus's metrics: counters of what consoles were given, the store, evidence, and ages.
//!
//! Ages are those of a console within the bus that keeps up: it subscribes like any other, and measures each state
//! that has a picture, from the picture's arrival. What a slow console waits for by its own fault is not in them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tracing::{debug, warn};
use xueliang_alerts::{
    account::Accounts,
    assignment::Assignment,
    bus::{Bus, Subscribe},
    evidence::{NoRoom, Usage},
    rights::{Principal, PrincipalKind},
    store::Feed,
};
use xueliang_base::{
    alert::EvidenceKind,
    config::Config,
    cursor::Cursor,
    metrics::{Counters, Gauges, Histograms, Metrics},
    shutdown::Stopping,
    wire,
};
use xueliang_proto::v1::{Delivery, Stage, subscribe_response::Item};

use super::Serving;
use crate::{exposition, state::StateDir};

/// How often the space that evidence takes is asked for: it costs a query.
const USAGE: Duration = Duration::from_secs(10);
/// Before the measuring console connects again.
const AGAIN: Duration = Duration::from_secs(1);
const EVIDENCE: [EvidenceKind; 3] = [EvidenceKind::Still, EvidenceKind::Preview, EvidenceKind::Clip];

struct BusMetrics {
    deliveries: Counters,
    store: Gauges,
    writes: Counters,
    subscriptions: Gauges,
    evidence: Gauges,
    evidence_bytes: Gauges,
    refused: Counters,
    pictures: Counters,
    external: Counters,
    sign_ins: Counters,
    feed: Gauges,
    trimmed: Counters,
    cases: Counters,
    ages: Histograms,
    stages: Histograms,
    config: Gauges,
    clock_steps: Counters,
}

impl BusMetrics {
    fn register(metrics: &Metrics) -> Self {
        Self {
            deliveries: metrics
                .counters("deliveries", "items handed to consoles, the measuring one included, by what"),
            store: metrics
                .gauges("store", "the store: whether it fails, head of the feed, log, latest commit"),
            writes: metrics.counters("store_writes", "transactions of the store and states it refused"),
            subscriptions: metrics.gauges("subscriptions", "streams of consoles open now"),
            evidence: metrics.gauges("evidence", "space that evidence takes, and days until it is used up"),
            evidence_bytes: metrics.gauges("evidence_bytes", "space that each kind of evidence takes"),
            refused: metrics.counters("evidence_refused", "pieces that found no room, by kind and reason"),
            pictures: metrics.counters("pictures", "redacted pictures of the moment, by what became of them"),
            feed: metrics.gauges("feed", "records that the feed holds, and when the oldest was committed"),
            trimmed: metrics.counters("feed_trimmed", "records trimmed from the feed, by reason"),
            cases: metrics.counters("cases", "entries that the clock made in cases, and desks told by them"),
            external: metrics.counters(
                "external",
                "states of external publishers by publisher and what became of them, and requests with an unknown token",
            ),
            sign_ins: metrics.counters(
                "sign_ins",
                "sign-ins by what became of them, and refusals that are missing in the log of accounts",
            ),
            ages: metrics.seconds(
                "age_seconds",
                "from arrival of the picture to committed and to sent, by a console that keeps up",
            ),
            stages: metrics.seconds("stage_seconds", "the parts of these ages by stage"),
            clock_steps: metrics.counters("clock_steps", "steps of the wall clock of half a second or more"),
            config: metrics.gauges("config", "the configuration in force: revision, cameras, models"),
        }
    }
}

/// What is read when the metrics are asked for.
#[derive(Default)]
struct Shared {
    usage: std::sync::Mutex<Option<Usage>>,
    feed: std::sync::Mutex<Option<Feed>>,
    /// Whether the measuring console is connected.
    measuring: AtomicBool,
}

fn set(gauges: &Gauges, label: &'static str, value: &str, count: f64) {
    gauges.get_or_create(&vec![(label, value.to_owned())]).set(count);
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

/// A counter that is kept elsewhere.
fn total(counters: &Counters, label: &'static str, value: &str, count: u64) {
    counters.get_or_create(&vec![(label, value.to_owned())]).inner().store(count, Ordering::Relaxed);
}

/// Serves the metrics on the role's socket, and measures until stopping is asked.
pub fn spawn(
    state: &StateDir,
    bus: &Bus,
    accounts: &Accounts,
    config: &Config,
    assignments: watch::Receiver<Option<Assignment>>,
    metrics: &Arc<Metrics>,
    stopping: Stopping,
) -> anyhow::Result<Serving> {
    let own = Arc::new(BusMetrics::register(metrics));
    for (what, count) in [("cameras", config.cameras.len() as u64), ("models", config.models.len() as u64)] {
        set(&own.config, "what", what, float(count));
    }
    let shared = Arc::new(Shared::default());
    let shown = (own.clone(), bus.clone(), accounts.clone(), shared.clone());
    let text_of = metrics.clone();
    exposition::spawn(&state.metrics_socket("bus"), stopping.clone(), move || {
        let (own, bus, accounts, shared) = &shown;
        // Rules of cameras are tuned while the service runs: each time that is another revision.
        let revision = assignments.borrow().as_ref().map_or(0, |assignment| assignment.revision.0);
        set(&own.config, "what", "revision", float(revision));
        read(own, bus, shared);
        read_sign_ins(own, accounts);
        text_of.text()
    })?;
    let bus = bus.clone();
    Ok(tokio::spawn(async move {
        let mut stopped = stopping.clone();
        tokio::select! {
            () = stopped.wait() => {}
            () = measure_space(&bus, &shared) => {}
            () = measure_ages(&bus, &own, &shared) => {}
        }
    }))
}

fn read_sign_ins(own: &BusMetrics, accounts: &Accounts) {
    let counts = accounts.counts();
    for (what, count) in [
        ("signed_in", &counts.signed_in),
        ("refused", &counts.refused),
        ("limited", &counts.limited),
        ("notes_lost", &counts.notes_lost),
    ] {
        total(&own.sign_ins, "what", what, count.load(Ordering::Relaxed));
    }
}

fn read(own: &BusMetrics, bus: &Bus, shared: &Shared) {
    let counts = bus.counts();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    for (what, count) in [
        ("delivered", read(&counts.delivered)),
        ("late", read(&counts.late)),
        ("summarised", read(&counts.summarised)),
        ("superseded", read(&counts.superseded)),
        ("gaps", read(&counts.gaps)),
        ("stalled", read(&counts.stalled)),
        ("opened", read(&counts.opened)),
        ("invalid", read(&counts.invalid)),
        ("audit_lost", read(&counts.notes_lost)),
        ("volatile", read(&counts.volatile)),
        ("volatile_dropped", read(&counts.volatile_dropped)),
    ] {
        total(&own.deliveries, "what", what, count);
    }
    total(&own.clock_steps, "clock", "wall", read(&counts.clock_steps));
    let health = bus.store().health();
    for (what, count) in [
        ("failing", u64::from(health.failing.is_some())),
        ("feed_head", bus.store().head()),
        ("wal_bytes", health.wal_bytes),
        ("volatile", bus.volatile() as u64),
        ("last_commit_us", health.last_commit_us),
    ] {
        set(&own.store, "what", what, float(count));
    }
    for (what, count) in [
        ("commits", health.commits),
        ("failures", health.failures),
        ("checkpoints", health.checkpoints),
        ("stale", health.stale),
        ("conflicts", health.conflicts),
    ] {
        total(&own.writes, "what", what, count);
    }
    let ours = usize::from(shared.measuring.load(Ordering::Relaxed));
    set(&own.subscriptions, "state", "open", float(bus.subscriptions().saturating_sub(ours) as u64));
    for kind in EVIDENCE {
        for why in NoRoom::ALL {
            let labels = vec![("kind", kind.word().to_owned()), ("reason", why.word().to_owned())];
            let count = bus.evidence().refusals().of(kind, why);
            own.refused.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
        }
    }
    let live = bus.live_counts();
    for (what, count) in [
        ("opened", &live.opened),
        ("given", &live.given),
        ("shared", &live.shared),
        ("refused", &live.refused),
    ] {
        total(&own.pictures, "what", what, read(count));
    }
    let external = bus.external();
    for (publisher, counts) in external.counts() {
        for (what, count) in [
            ("taken", &counts.taken),
            ("unprocessed", &counts.unprocessed),
            ("refused", &counts.refused),
            ("limited", &counts.limited),
        ] {
            let labels = vec![("publisher", publisher.to_owned()), ("what", what.to_owned())];
            own.external.get_or_create(&labels).inner().store(read(count), Ordering::Relaxed);
        }
    }
    total(&own.external, "what", "unknown_token", read(&external.unknown_tokens));
    total(&own.trimmed, "reason", "age", read(&counts.trimmed_by_age));
    total(&own.trimmed, "reason", "size", read(&counts.trimmed_by_size));
    total(&own.cases, "what", "ticks", read(&counts.case_ticks));
    total(&own.cases, "what", "escalations", read(&counts.case_escalations));
    total(&own.cases, "what", "damaged", read(&counts.case_damaged));
    total(&own.cases, "what", "unknown_links", read(&counts.links_unknown));
    if let Some(feed) = *shared.feed.lock().expect("no code panics while it holds this lock") {
        set(&own.feed, "what", "records", float(feed.records));
        let oldest = feed
            .oldest
            .map_or(0.0, |oldest| Duration::from_micros(oldest.0.max(0).unsigned_abs()).as_secs_f64());
        set(&own.feed, "what", "oldest_unix_seconds", oldest);
    }
    if let Some(usage) = &*shared.usage.lock().expect("no code panics while it holds this lock") {
        for (what, count) in [
            ("used_bytes", usage.used_bytes),
            ("max_bytes", usage.max_bytes),
            ("room_bytes", usage.room_bytes),
            ("disk_free_bytes", usage.disk_free_bytes),
            ("reserve_bytes", usage.reserve_bytes),
            ("held_alerts", usage.held_alerts),
            ("pieces", usage.pieces),
        ] {
            set(&own.evidence, "what", what, float(count));
        }
        set(&own.evidence, "what", "used_share", usage.share());
        for (kind, (bytes, _)) in EVIDENCE.into_iter().zip(usage.kinds) {
            set(&own.evidence_bytes, "kind", kind.word(), float(bytes));
        }
        match usage.days_left {
            Some(days) => set(&own.evidence, "what", "days_left", days),
            // While nothing comes there is no forecast.
            None => drop(own.evidence.remove(&vec![("what", "days_left".to_owned())])),
        }
    }
}

async fn measure_space(bus: &Bus, shared: &Shared) {
    let mut tick = tokio::time::interval(USAGE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match bus.evidence().usage().await {
            Ok(usage) => {
                *shared.usage.lock().expect("no code panics while it holds this lock") = Some(usage);
            }
            Err(error) => debug!(%error, "space of evidence not read"),
        }
        match bus.store().feed().await {
            Ok(feed) => *shared.feed.lock().expect("no code panics while it holds this lock") = Some(feed),
            Err(error) => debug!(%error, "length of the feed not read"),
        }
    }
}

async fn measure_ages(bus: &Bus, own: &BusMetrics, shared: &Shared) {
    let principal = Principal::new("bus-ages", PrincipalKind::Console);
    let mut cursor: Option<Cursor> = None;
    loop {
        let wanted = Subscribe { cursor, internal: true, ..Subscribe::default() };
        match bus.subscribe(&principal, wanted).await {
            Ok(mut stream) => {
                shared.measuring.store(true, Ordering::Relaxed);
                while let Some(response) = stream.next().await {
                    let place = match &response.item {
                        Some(Item::Delivery(delivery)) => {
                            observe(own, delivery);
                            &delivery.cursor
                        }
                        Some(Item::Snapshot(mark)) => &mark.cursor,
                        Some(Item::Summary(summary)) => &summary.cursor,
                        Some(Item::Bookmark(bookmark)) => &bookmark.cursor,
                        _ => continue,
                    };
                    if !place.is_empty() && bus.acknowledge(&principal, stream.id(), place).is_ok() {
                        cursor = Cursor::decode(place).ok().or(cursor);
                    }
                }
                shared.measuring.store(false, Ordering::Relaxed);
            }
            Err(error) => warn!(%error, "ages are not measured"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn observe(own: &BusMetrics, delivery: &Delivery) {
    let Some(alert) = delivery.record.as_ref().and_then(|record| record.alert.as_ref()) else { return };
    // A state without a picture of its own (a lost camera, evidence that came later) has no age to speak of.
    let has_picture = alert.stages.iter().any(|stage| stage.stage() == Stage::Wait);
    if delivery.in_snapshot || delivery.volatile || !has_picture {
        return;
    }
    let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
    let age = |to: &str, us: u64| own.ages.get_or_create(&vec![("to", to.to_owned())]).observe(seconds(us));
    age("committed", alert.stages.iter().map(|stage| stage.duration_us).sum());
    age("sent", delivery.age_us);
    for stage in alert.stages.iter().chain(delivery.deliver.as_ref()) {
        let word = wire::word(stage.stage().as_str_name(), "STAGE_");
        own.stages.get_or_create(&vec![("stage", word)]).observe(seconds(stage.duration_us));
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::time::SystemClock;
    use xueliang_proto::v1::{self, StageTime};

    use super::*;

    fn stage(stage: Stage, ms: u64) -> StageTime {
        StageTime { stage: stage.into(), duration_us: ms * 1000, uncertainty_us: 0 }
    }

    #[test]
    fn ages_are_measured_to_the_commit_and_to_the_sending() {
        let metrics = Metrics::new("bus");
        let own = BusMetrics::register(&metrics);
        let alert = v1::Alert {
            stages: vec![stage(Stage::Wait, 300), stage(Stage::Commit, 100)],
            ..v1::Alert::default()
        };
        let delivery = Delivery {
            record: Some(v1::Record { alert: Some(alert), ..v1::Record::default() }),
            deliver: Some(stage(Stage::Deliver, 2000)),
            age_us: 2_400_000,
            ..Delivery::default()
        };
        observe(&own, &delivery);
        observe(&own, &Delivery { in_snapshot: true, ..delivery });
        let text = metrics.text();
        for line in [
            "xueliang_bus_age_seconds_count{to=\"committed\"} 1",
            "xueliang_bus_age_seconds_bucket{le=\"0.5\",to=\"committed\"} 1",
            "xueliang_bus_age_seconds_bucket{le=\"1.5\",to=\"sent\"} 0",
            "xueliang_bus_age_seconds_bucket{le=\"2.5\",to=\"sent\"} 1",
            "xueliang_bus_stage_seconds_count{stage=\"deliver\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[tokio::test]
    async fn counters_are_counters_and_evidence_tells_its_space() {
        let folder = tempfile::tempdir().unwrap();
        let bus =
            Bus::open(folder.path(), SystemClock::shared(), xueliang_alerts::bus::BusOptions::default());
        let bus = bus.unwrap();
        let metrics = Metrics::new("bus");
        let (own, shared) = (BusMetrics::register(&metrics), Shared::default());
        *shared.usage.lock().unwrap() = Some(bus.evidence().usage().await.unwrap());
        *shared.feed.lock().unwrap() = Some(bus.store().feed().await.unwrap());
        read(&own, &bus, &shared);
        let text = metrics.text();
        for line in [
            "xueliang_bus_evidence{what=\"used_share\"} 0",
            "xueliang_bus_evidence_bytes{kind=\"still\"} 0",
            "xueliang_bus_feed{what=\"records\"} 0",
            "xueliang_bus_feed_trimmed_total{reason=\"size\"} 0",
            "# TYPE xueliang_bus_deliveries counter",
            "xueliang_bus_deliveries_total{what=\"gaps\"} 0",
            "xueliang_bus_store_writes_total{what=\"failures\"} 0",
            "xueliang_bus_store{what=\"failing\"} 0",
            "xueliang_bus_evidence{what=\"used_bytes\"} 0",
            "xueliang_bus_evidence_refused_total{kind=\"clip\",reason=\"reserve\"} 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("days_left"), "nothing comes, so there is no forecast");
    }
}
