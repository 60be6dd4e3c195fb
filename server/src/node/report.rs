//! Tells the bus how the cameras are, every second, and keeps the node's metrics.
//!
//! Counters come as gauges here, since they are read from where they are kept. Accounts of access units outlive the cells
//! they are kept in: see [`ledger`].

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

mod acquire;
mod gauges;
mod ledger;
mod readings;
mod steps;
mod subs;
mod work;

use tokio::{sync::watch, time::MissedTickBehavior};
use tonic::transport::Channel;
use tracing::{debug, error};
use xueliang_alerts::{publisher::PublisherCounts, spool::Spool};
use xueliang_base::{
    accounting::Account,
    config::Config,
    id::{CameraId, ConfigRevision, NodeId},
    language::Language,
    metrics::{Gauges, Metrics},
    point::PointClass,
    shutdown::Stopping,
    time::SharedClock,
};
use xueliang_inference::attention::{Granted, Why};
use xueliang_ingest::{acquire::Taken, health::Signal, session::SessionStats};
use xueliang_proto::v1::{self, ReportRequest, node_service_client::NodeServiceClient};

use acquire::AcquireMetrics;
use gauges::CameraGauges;
pub use ledger::Retired;
use ledger::{Counted, Ledger};
use steps::Steps;
use subs::SubMetrics;
use work::{Lives, WorkMetrics};

use super::{
    alerting::AlertingCounts,
    camera::Cell,
    control::Acquired,
    looks::{CameraFacts, LooksFacts},
    wire,
};

/// Reports come so often; the bus holds a node for gone after ten times that.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the task is made of.
pub struct ReportSpec {
    /// This node.
    pub node: NodeId,
    /// To the bus.
    pub channel: Channel,
    /// Time.
    pub clock: SharedClock,
    /// Cells that were replaced or removed.
    pub retired: Arc<Retired>,
    /// What the sessions counted.
    pub sessions: watch::Receiver<BTreeMap<CameraId, SessionStats>>,
    /// How cameras are taken.
    pub acquired: watch::Receiver<Acquired>,
    /// Cells of the cameras now.
    pub cells: watch::Receiver<BTreeMap<CameraId, Arc<Cell>>>,
    /// Configuration in force.
    pub configured: watch::Receiver<Option<(ConfigRevision, Arc<Config>)>>,
    /// Facts of the looks task.
    pub looks: watch::Receiver<LooksFacts>,
    /// Counts of the alerting task.
    pub alerting: watch::Receiver<AlertingCounts>,
    /// Its counts are metrics.
    pub spool: Arc<Spool>,
    /// Whether it cannot be written: that is reported at once.
    pub spool_failing: watch::Receiver<bool>,
    /// What the publisher did.
    pub published: Arc<PublisherCounts>,
    /// Look workers that are ready.
    pub workers: watch::Receiver<usize>,
    /// Where metrics are kept.
    pub metrics: Arc<Metrics>,
}

struct NodeMetrics {
    units: CameraGauges,
    missing: CameraGauges,
    signal: CameraGauges,
    sessions: CameraGauges,
    failures: CameraGauges,
    readings: Gauges,
    acquire: AcquireMetrics,
    looks: Gauges,
    states: Gauges,
    suppressed: Gauges,
    held: Gauges,
    dropped: Gauges,
    spool: Gauges,
    clock_steps: Gauges,
    subs: SubMetrics,
    work: WorkMetrics,
}

impl NodeMetrics {
    fn register(metrics: &Metrics) -> Self {
        Self {
            units: CameraGauges::register(
                metrics,
                "access_units",
                "access units by camera, column of the account and reason",
            ),
            missing: CameraGauges::register(
                metrics,
                "access_units_missing",
                "access units in no column or in two; not 0 is a defect",
            ),
            signal: CameraGauges::register(metrics, "camera_streaming", "1 while access units arrive"),
            sessions: CameraGauges::register(
                metrics,
                "sessions",
                "of each camera since the start: attempts to connect, streams that began, stalls, keyframes, and gaps \
                 where packets were lost",
            ),
            failures: CameraGauges::register(
                metrics,
                "session_failures",
                "attempts of each camera that failed since the start, by cause; stalls count by themselves",
            ),
            readings: metrics.gauges(
                "session_sources",
                "cameras by what reads them, and why it is not retina, the cheaper one",
            ),
            acquire: AcquireMetrics::register(metrics),
            looks: metrics.gauges("looks", "looks since the start, by kind and outcome"),
            states: metrics.gauges(
                "alert_states",
                "alert states stored since the start, in the spool or at the bus, by what happened",
            ),
            suppressed: metrics
                .gauges("incidents_suppressed", "incidents held back since the start, by reason"),
            held: metrics.gauges(
                "losses_held",
                "losses of cameras that waited, 10 s at most, for the verdict about what they hang on, since the start, by \
                 how that ended",
            ),
            dropped: metrics.gauges("dropped", "what found a full queue since the start, by queue"),
            spool: metrics.gauges("spool", "the spool and its publisher, by what is counted"),
            clock_steps: metrics
                .gauges("clock_steps", "steps of the wall clock of half a second or more since the start"),
            subs: SubMetrics::register(metrics),
            work: WorkMetrics::register(metrics),
        }
    }
}

impl NodeMetrics {
    /// Forgets a camera that is gone.
    fn forget(&mut self, id: &CameraId) {
        for gauges in [&mut self.units, &mut self.missing] {
            gauges.keep(|kept| kept != id);
        }
        self.subs.forget(id);
    }
}

/// Runs until stopping is asked.
pub async fn run(mut spec: ReportSpec, mut stopping: Stopping) {
    let mut metrics = NodeMetrics::register(&spec.metrics);
    let mut ledger = Ledger::default();
    let mut steps = Steps::new(spec.clock.clone());
    let mut client = NodeServiceClient::new(spec.channel.clone());
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            _ = tick.tick() => {}
            Ok(()) = spec.spool_failing.changed() => {}
        }
        set(&metrics.clock_steps, vec![("clock", "wall".to_owned())], steps.look());
        let ready = *spec.workers.borrow();
        metrics.work.workers_ready(ready);
        let Some((revision, config)) = spec.configured.borrow().clone() else { continue };
        metrics.work.configured(revision);
        let cells = spec.cells.borrow().clone();
        let facts = spec.looks.borrow().clone();
        let sessions = spec.sessions.borrow().clone();
        let acquired = spec.acquired.borrow().clone();
        let page = ledger.page(spec.clock.mono(), &cells, &spec.retired);
        let mut cameras = Vec::new();
        for (id, counted) in &page.accounts {
            let account = &counted.main;
            record_account(&mut metrics.units, &mut metrics.missing, id, account);
            metrics.subs.account(id, &counted.sub);
            if account.missing() != 0 {
                error!(camera = %id, missing = %account.missing(), ?account, "access units are unaccounted for");
            }
            if let Some(cell) = cells.get(id) {
                let (facts, stats) = (facts.cameras.get(id), sessions.get(id));
                cameras.push(status(&config, cell, facts, counted, stats, acquired.cameras.get(id)));
            }
        }
        record_sessions(&mut metrics, &cells, &sessions);
        metrics.subs.record(&cells, &config.analysis.rest, &facts);
        readings::record(&metrics.readings, &sessions);
        metrics.acquire.record(cells.len(), &acquired, &sessions);
        page.forgotten.iter().for_each(|id| metrics.forget(id));
        record_looks(&metrics, &facts);
        let lives = Lives {
            sessions: sessions.len(),
            pipelines: xueliang_ingest::gst::rtsp::pipelines(),
            rings: cells.len() + ledger.leaving(),
            ring_bytes: cells.values().map(|cell| cell.ring_bytes()).sum(),
        };
        metrics.work.record(&facts, &lives);
        let alerting = spec.alerting.borrow().clone();
        for (word, count) in &alerting.states {
            set(&metrics.states, vec![("change", (*word).to_owned())], *count);
        }
        for (reason, count) in &alerting.suppressed {
            set(&metrics.suppressed, vec![("reason", (*reason).to_owned())], *count);
        }
        for (verdict, count) in &alerting.held {
            set(&metrics.held, vec![("verdict", (*verdict).to_owned())], *count);
        }
        set(&metrics.dropped, vec![("queue", "footage".to_owned())], alerting.footage_dropped);
        let spool = spec.spool.counts();
        let spool_failing = *spec.spool_failing.borrow_and_update();
        let published = &spec.published;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (what, count) in [
            ("waiting", spool.waiting),
            ("waiting_bytes", spool.waiting_bytes),
            ("pushed", spool.pushed),
            ("refused", spool.refused),
            ("evidence_refused", spool.evidence_refused),
            ("reserve_refused", spool.reserve_refused),
            ("done", spool.done),
            ("dead", spool.dead),
            ("failures", alerting.spool_failures),
            ("failing", u64::from(spool_failing)),
            ("held", alerting.unkept as u64),
            ("published", read(&published.published)),
            ("direct", read(&published.direct)),
            ("publish_failures", read(&published.failures)),
        ] {
            set(&metrics.spool, vec![("what", what.to_owned())], count);
        }
        let report = ReportRequest {
            node_id: spec.node.to_string(),
            config_revision: revision.0,
            cameras,
            not_analysing: ready == 0 && !config.models.is_empty(),
            clock_steps: steps.untold(),
            spool_failing,
        };
        match client.report(report).await {
            Ok(_) => steps.told(),
            Err(status) => debug!(%status, "the bus took no report"),
        }
    }
}

fn set(gauges: &Gauges, labels: xueliang_base::metrics::Labels, value: u64) {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    gauges.get_or_create(&labels).set(value as f64);
}

/// What the looks task counts.
fn record_looks(metrics: &NodeMetrics, facts: &LooksFacts) {
    for ((kind, outcome), count) in &facts.looks {
        set(&metrics.looks, vec![("kind", (*kind).to_owned()), ("outcome", (*outcome).to_owned())], *count);
    }
    set(&metrics.dropped, vec![("queue", "changes".to_owned())], facts.changes_dropped);
}

/// One account of a camera.
fn record_account(units: &mut CameraGauges, missing: &mut CameraGauges, id: &CameraId, account: &Account) {
    let mut set = |column: &str, reason: &str, value: u64| {
        units.count(id, vec![("column", column.to_owned()), ("reason", reason.to_owned())], value);
    };
    for (column, value) in [
        ("received", account.received),
        ("looked_at", account.looked_at),
        ("referenced", account.referenced),
        ("in_ring", account.in_ring),
        ("in_flight", account.in_flight),
    ] {
        set(column, "", value);
    }
    for (reason, value) in &account.skipped {
        set("skipped", reason.word(), *value);
    }
    for (reason, value) in &account.lost {
        set("lost", reason.word(), *value);
    }
    #[expect(clippy::cast_precision_loss, reason = "a defect of more than 2^53 units is shown well enough")]
    missing.set(id, Vec::new(), account.missing() as f64);
}

/// What the sessions say and count. Those of removed cameras are gone with them.
fn record_sessions(
    metrics: &mut NodeMetrics,
    cells: &BTreeMap<CameraId, Arc<Cell>>,
    counted: &BTreeMap<CameraId, SessionStats>,
) {
    for (id, cell) in cells {
        let streaming = matches!(cell.live().signal, Signal::Streaming);
        metrics.signal.count(id, Vec::new(), u64::from(streaming));
        let Some(stats) = counted.get(id) else { continue };
        for (what, value) in [
            ("connects", stats.connects),
            ("streams", stats.streams),
            ("stalls", stats.stalls),
            ("keyframes", stats.keyframes),
            ("gaps", stats.gaps),
        ] {
            metrics.sessions.count(id, vec![("what", what.to_owned())], value);
        }
        for (cause, value) in &stats.failures {
            metrics.failures.count(id, vec![("cause", cause.word().to_owned())], *value);
        }
    }
    for gauges in [&mut metrics.signal, &mut metrics.sessions, &mut metrics.failures] {
        gauges.keep(|id| cells.contains_key(id));
    }
}

fn status(
    config: &Config,
    cell: &Cell,
    facts: Option<&CameraFacts>,
    account: &Counted,
    counted: Option<&SessionStats>,
    taken: Option<&Taken>,
) -> v1::CameraStatus {
    let camera = &cell.camera;
    let live = cell.live();
    let (source, source_reason) = readings::to_wire(counted);
    let not_looked =
        facts.and_then(|f| f.not_looked).map_or(v1::NotLooked::Unspecified, wire::reason_to_wire);
    let mut status = v1::CameraStatus {
        camera_id: camera.id.to_string(),
        name: camera.name.clone(),
        division_path: config.division_path(&camera.division).iter().map(ToString::to_string).collect(),
        signal: signal(live.signal).into(),
        since_unix_us: live.since_wall.0,
        detail: live.detail.clone(),
        not_looked: not_looked.into(),
        last_unit_unix_us: live.last_unit.map_or(0, |(_, wall)| wall.0),
        last_look_unix_us: facts.and_then(|f| f.last_look).map_or(0, |wall| wall.0),
        accounting: Some(accounting(&account.main)),
        coverage: facts.map(coverage).unwrap_or_default(),
        connects: live.connects,
        picture: facts.map(|facts| wire::troubles_to_wire(facts.troubles)).unwrap_or_default(),
        source: source.into(),
        source_reason,
        point_class: camera.class.map_or(0, PointClass::number),
        position: camera.position.map(|[longitude, latitude]| v1::GeoPoint { longitude, latitude }),
        address: camera.address.clone().unwrap_or_default(),
        drill: camera.drill,
        sub_stream: subs::to_wire(cell, &config.analysis.rest, facts, &account.sub),
        ..v1::CameraStatus::default()
    };
    acquire::tell(camera, live.signal, taken, &mut status);
    status
}

fn signal(signal: Signal) -> v1::Signal {
    match signal {
        Signal::Connecting => v1::Signal::Connecting,
        Signal::Streaming => v1::Signal::Streaming,
        Signal::Stalled => v1::Signal::Stalled,
        Signal::Offline(_) => v1::Signal::Offline,
        Signal::ExpectedOff => v1::Signal::ExpectedOff,
        Signal::NotConnected(_) => v1::Signal::NotConnected,
    }
}

fn accounting(account: &Account) -> v1::Accounting {
    v1::Accounting {
        received: account.received,
        looked_at: account.looked_at,
        referenced: account.referenced,
        skipped: account.skipped.iter().map(|(r, n)| reason(r.word(), *n)).collect(),
        lost: account.lost.iter().map(|(r, n)| reason(r.word(), *n)).collect(),
        in_ring: account.in_ring,
        in_flight: account.in_flight,
    }
}

fn reason(word: &str, units: u64) -> v1::ReasonCount {
    v1::ReasonCount { reason: word.to_owned(), units }
}

fn coverage(facts: &CameraFacts) -> Vec<v1::Coverage> {
    facts
        .coverage
        .iter()
        .map(|row| {
            let (granted, reason) = match &row.granted {
                Granted::Guaranteed => (v1::Granted::Guaranteed, None),
                Granted::BestEffort(reason) => (v1::Granted::BestEffort, Some(*reason)),
                Granted::NotCovered(reason) => (v1::Granted::NotCovered, Some(*reason)),
            };
            v1::Coverage {
                rule: row.rule.to_string(),
                kind: row.kind.number(),
                granted: granted.into(),
                blind_max_us: xueliang_base::time::micros(row.blind_max),
                interval_us: xueliang_base::time::micros(row.expected_interval),
                reason: reason.map(why).unwrap_or_default(),
                lack: reason.map_or(v1::CoverageLack::Unspecified, lack).into(),
            }
        })
        .collect()
}

fn lack(why: Why) -> v1::CoverageLack {
    match why {
        Why::Blind(_) => v1::CoverageLack::Blind,
        Why::NoLease => v1::CoverageLack::NoDecoder,
        Why::KeyframesTooRare => v1::CoverageLack::KeyframesTooRare,
        Why::Patrol => v1::CoverageLack::Patrol,
        Why::OnRequest => v1::CoverageLack::OnRequest,
        Why::Overloaded => v1::CoverageLack::Overloaded,
    }
}

/// Why a rule gets less than it asks for, and what to do.
pub fn why(why: Why) -> String {
    match why {
        Why::Blind(reason) => format!("cannot be looked at: {reason}"),
        _ => Language::English.word("CoverageLack", lack(why).into()),
    }
}
