//! The bus's own alerts: a node that reports no more, one whose look workers do not run its models or whose spool cannot
//! be written, a store that fails, and space for evidence that runs out. Silence of the analysis is a fact that operators must be told, and nobody else can tell it.
//!
//! Each is about a [`Subject`]. A state is minted once and offered again until the store has answered for it, so that
//! a commit that failed towards us and is on disk all the same becomes no second alert. A failing store cannot take
//! the alert about itself: consoles see it as volatile at once, and it is stored as soon as it can be, dated from when the
//! failure began. What is offered each second meanwhile is also what finds out that the store works again. Nothing here
//! waits for a disk that hangs: one offer of each alert, and one try of the store, are under way at a time.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::timeout;
use tracing::{debug, error, info, warn};
use xueliang_alerts::{
    board::NodeSeen,
    bus::{Bus, Published},
    error::Error,
    flood::PUBLISHER,
    rights::{Principal, PrincipalKind},
    store::{Acked, ListQuery},
};
use xueliang_base::{
    alert::{Alert, AlertState, Explanation, Place},
    config::Config,
    cursor::Cursor,
    id::{AlertId, AlertRevision, CameraId, ConfigRevision, RuleId},
    incident::{Measure, MeasureKind, Resolution, Threshold, ThresholdKind},
    kind::Kind,
    shutdown::Stopping,
    time::{Boot, Mono, SharedClock, Wall},
};
use xueliang_proto::v1::{Publication, PublishOutcome, SendTime};

mod space;

/// A node that has not reported for so long is down, and so is one without a look worker. Reports come every second.
const SILENT: Duration = Duration::from_secs(10);
/// The rule of nodes that have models and no look worker.
const NO_WORKER: &str = "no_look_worker";
/// The rule of nodes that cannot write their spool.
const SPOOL: &str = "spool_failing";
/// What stands in the place of a camera in alerts about the store.
const STORE: &str = "store";
/// Between two tries of the store: one commit each, of one small row that replaces itself.
const TRY: Duration = Duration::from_secs(5);
/// Between two offers of one state.
const OFFER: Duration = Duration::from_secs(1);
/// How soon a change is seen: a store that fails is to be told within a second.
const TICK: Duration = Duration::from_millis(250);
/// The store's answer about the alerts of an earlier life is waited for so long at a time.
const READ: Duration = Duration::from_secs(5);
/// A store that fails now and then is one alert, not one each time.
const CALM: Duration = Duration::from_secs(5);

/// What an alert of the bus is about, and how far its alert has come.
struct Subject {
    kind: Kind,
    /// Stands in the place of a camera.
    id: CameraId,
    name: String,
    rule: RuleId,
    /// It must hold for so long.
    patience: Duration,
    /// What else bounds it, and what is measured of it now.
    thresholds: Vec<Threshold>,
    measures: Vec<Measure>,
    /// Since when it holds.
    since: Option<(Mono, Wall)>,
    /// Its alert, on disk and firing.
    active: Option<Alert>,
    /// A state that was minted and may not be on disk.
    pending: Option<Alert>,
    /// The store refused a state for good while this held, or did not: none is minted until that changes.
    refused: Option<bool>,
    /// Whether it held when that could be told last.
    held: bool,
    /// When the pending state was offered last.
    offered: Option<Mono>,
    /// That offer is under way.
    offering: bool,
}

/// Where the alerts belong, and under which configuration.
struct Site<'a> {
    config: &'a Config,
    revision: ConfigRevision,
}

impl Subject {
    fn node(name: &str) -> Option<Self> {
        let patience = SILENT;
        Self::new(Kind::AnalyzerDown, name, format!("analysis node {name}"), "node_silent", patience)
    }
    /// A node that reports, and has no look worker for its models: while they load, or cannot be loaded.
    fn workers(name: &str) -> Option<Self> {
        let shown = format!("look workers of node {name}");
        Self::new(Kind::AnalyzerDown, name, shown, NO_WORKER, SILENT)
    }
    /// A node that cannot write its spool.
    fn spool(name: &str) -> Option<Self> {
        Self::new(Kind::StorageFault, name, format!("spool of node {name}"), SPOOL, Duration::ZERO)
    }
    fn store() -> Option<Self> {
        Self::new(Kind::StorageFault, STORE, "alert store".to_owned(), "store_failing", Duration::ZERO)
    }
    /// `None` when the name can stand in no alert.
    fn new(kind: Kind, id: &str, name: String, rule: &str, patience: Duration) -> Option<Self> {
        let (id, rule) = (id.parse().ok()?, rule.parse().ok()?);
        let (since, active, pending, refused, held) = (None, None, None, None, false);
        let (thresholds, measures) = (Vec::new(), Vec::new());
        let (offered, offering) = (None, false);
        Some(Self {
            kind,
            id,
            name,
            rule,
            patience,
            thresholds,
            measures,
            since,
            active,
            pending,
            refused,
            held,
            offered,
            offering,
        })
    }
    /// Whether it is so, by the node's report of the last seconds; `None` when that cannot be told without one.
    fn holds(&self, report: Option<&NodeSeen>) -> Option<bool> {
        match self.rule.as_str() {
            NO_WORKER => report.map(|report| report.not_analysing),
            SPOOL => report.map(|report| report.spool_failing),
            _ => Some(report.is_none()),
        }
    }
    fn key(&self) -> (CameraId, RuleId) {
        (self.id.clone(), self.rule.clone())
    }
    fn is_about(&self, alert: &Alert) -> bool {
        alert.kind == self.kind && alert.place.camera == self.id && alert.explanation.rule == self.rule
    }
    /// Takes what is so now (`None`: it cannot be told, so nothing changes); the state that is to be stored, if any.
    fn step(&mut self, holds: Option<bool>, now: (Mono, Wall), site: &Site<'_>) -> Option<Alert> {
        let Some(holds) = holds else { return self.pending.clone() };
        self.held = holds;
        if holds {
            self.since.get_or_insert(now);
        } else {
            self.since = None;
        }
        if self.refused != Some(holds) {
            self.refused = None;
        }
        if self.pending.is_none() && self.refused.is_none() {
            self.pending = match (&self.active, self.since) {
                (None, Some(since)) if now.0.since(since.0) >= self.patience => {
                    Some(self.begun(since, now, site))
                }
                (Some(active), None) => Some(ended(active, now.1)),
                (Some(active), Some(_)) if space::rose(&active.measures, &self.measures) => {
                    Some(self.changed(active, now.1))
                }
                _ => None,
            };
        }
        self.pending.clone()
    }
    /// Takes the store's answer about the pending state; whether what is on disk must be read again.
    fn settle(&mut self, published: &Published) -> bool {
        let Some(alert) = self.pending.take() else { return false };
        // What follows is another state: it need not wait.
        self.offered = None;
        match published.outcome {
            PublishOutcome::Committed | PublishOutcome::Duplicate => {
                if alert.state.is_firing() {
                    warn!(about = self.name, kind = %self.kind, "alert raised");
                    self.active = Some(alert);
                } else {
                    info!(about = self.name, kind = %self.kind, "alert resolved");
                    self.active = None;
                }
                false
            }
            outcome => {
                let message = &published.message;
                error!(about = self.name, ?outcome, message, "the store refuses the alert");
                self.refused = Some(self.held);
                true
            }
        }
    }
    /// The alert goes on with other measures.
    fn changed(&self, alert: &Alert, wall: Wall) -> Alert {
        Alert {
            revision: AlertRevision(alert.revision.0 + 1),
            measures: self.measures.clone(),
            last_seen: wall,
            decided: wall,
            stages: Vec::new(),
            ..alert.clone()
        }
    }
    fn begun(&self, since: (Mono, Wall), now: (Mono, Wall), site: &Site<'_>) -> Alert {
        let root = site.config.divisions.first();
        let seconds = |time: Duration| time.as_secs_f64();
        Alert {
            id: AlertId::mint(),
            revision: AlertRevision(1),
            kind: self.kind,
            level: self.kind.default_level(),
            state: AlertState::Firing,
            place: Place {
                camera: self.id.clone(),
                camera_name: self.name.clone(),
                division_path: root.map(|root| root.code.clone()).into_iter().collect(),
                division_name: root.map_or_else(String::new, |root| root.name.clone()),
                address: None,
                position: None,
                zone: None,
                class: None,
            },
            started: since.1,
            last_seen: now.1,
            count: 1,
            confidence: 0.0,
            measures: std::iter::once(Measure {
                kind: MeasureKind::DwellS,
                value: seconds(now.0.since(since.0)),
            })
            .chain(self.measures.iter().copied())
            .collect(),
            regions: Vec::new(),
            explanation: Explanation {
                config: site.revision,
                rule: self.rule.clone(),
                thresholds: std::iter::once(Threshold {
                    kind: ThresholdKind::DwellS,
                    value: seconds(self.patience),
                })
                .chain(self.thresholds.iter().copied())
                .collect(),
                looks: Vec::new(),
                zone_outline: Vec::new(),
                model: None,
            },
            evidence: Vec::new(),
            stages: Vec::new(),
            camera_time: None,
            decided: now.1,
            publisher: String::new(),
            drill: false,
            behind: Vec::new(),
            divisions_behind: Vec::new(),
            classes_behind: Vec::new(),
        }
    }
}

fn ended(alert: &Alert, wall: Wall) -> Alert {
    Alert {
        revision: AlertRevision(alert.revision.0 + 1),
        state: AlertState::Resolved { why: Resolution::ObservedAbsence, at: wall },
        last_seen: wall,
        decided: wall,
        stages: Vec::new(),
        ..alert.clone()
    }
}

/// Runs until stopping is asked.
pub async fn run(
    bus: Bus,
    config: Config,
    revision: ConfigRevision,
    clock: SharedClock,
    mut stopping: Stopping,
) {
    let principal = Principal::new(PUBLISHER, PrincipalKind::Node);
    let site = Site { config: &config, revision };
    let mut store = Subject::store();
    let (mut space, mut asked) = (space::subject(), space::Asked::default());
    let mut nodes: BTreeMap<String, Vec<Subject>> = BTreeMap::new();
    nodes.insert(config.node.to_string(), of_node(config.node.as_str()));
    // Which alerts an earlier bus process left firing is asked until it is known: to guess would raise them twice.
    let mut known = false;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut tried, mut trying, mut failed) = (None::<Mono>, false, None::<Mono>);
    let mut doing: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            _ = tick.tick() => {}
            Some(done) = doing.next() => match done {
                Done::Tried => trying = false,
                Done::Offered(about, published) => {
                    let mut subjects =
                        nodes.values_mut().flatten().chain(store.as_mut()).chain(space.as_mut());
                    if let Some(subject) = subjects.find(|subject| subject.key() == about) {
                        subject.offering = false;
                        // An offer that fails is made again: the store has said why in the log.
                        known &= !published.is_some_and(|published| subject.settle(&published));
                    }
                }
            },
        }
        let now = clock.mono();
        let failing = bus.store().health().failing.is_some();
        if failing {
            failed = Some(now);
        }
        let wait = if failing { OFFER } else { TRY };
        if !trying && tried.is_none_or(|tried| now.since(tried) >= wait) {
            (tried, trying) = (Some(now), true);
            let bus = bus.clone();
            doing.push(Box::pin(async move {
                try_store(&bus).await;
                Done::Tried
            }));
        }
        let seen = bus.board().nodes_seen();
        for name in seen.iter().map(|seen| &seen.node) {
            if !nodes.contains_key(name) {
                nodes.insert(name.clone(), of_node(name));
            }
        }
        if !known {
            let found = timeout(READ, active(&bus)).await;
            match found.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".to_owned()))) {
                Ok(alerts) => {
                    adopt(alerts, nodes.values_mut().flatten().chain(store.as_mut()).chain(space.as_mut()));
                    known = true;
                }
                Err(error) => {
                    warn!(%error, "the bus's own alerts cannot be read yet");
                    continue;
                }
            }
        }
        if let Some(subject) = space.as_mut().filter(|_| !failing && asked.due(now)) {
            // What cannot be read changes nothing: the store's own alert tells of that.
            let usage = timeout(OFFER, bus.evidence().usage()).await;
            asked.holds = usage.ok().and_then(Result::ok).map(|usage| space::take(subject, &usage));
        }
        let fails = failed.is_some_and(|failed| now.since(failed) < CALM);
        let subjects = told(&mut nodes, store.as_mut(), &seen, fails);
        let space = space.as_mut().map(|space| (space, asked.holds));
        for (subject, holds) in subjects.into_iter().chain(space) {
            let Some(alert) = subject.step(holds, (clock.mono(), clock.wall()), &site) else { continue };
            if subject.offering || subject.offered.is_some_and(|offered| now.since(offered) < OFFER) {
                continue;
            }
            (subject.offered, subject.offering) = (Some(now), true);
            let (about, bus, principal) = (subject.key(), bus.clone(), principal.clone());
            doing.push(Box::pin(
                async move { Done::Offered(about, offer(&bus, &principal, &alert, now).await) },
            ));
        }
    }
}

/// What was under way.
enum Done {
    Tried,
    /// Of a subject; `None` when it is not known what became of it.
    Offered((CameraId, RuleId), Option<Published>),
}

/// What there is to tell of a node.
fn of_node(name: &str) -> Vec<Subject> {
    [Subject::node(name), Subject::workers(name), Subject::spool(name)].into_iter().flatten().collect()
}

/// Every subject, and whether it is so.
fn told<'a>(
    nodes: &'a mut BTreeMap<String, Vec<Subject>>,
    store: Option<&'a mut Subject>,
    seen: &[NodeSeen],
    failing: bool,
) -> Vec<(&'a mut Subject, Option<bool>)> {
    let mut told = Vec::new();
    for (name, subjects) in nodes {
        let report = seen.iter().find(|seen| seen.node == *name && seen.alive);
        for subject in subjects {
            let holds = subject.holds(report);
            told.push((subject, holds));
        }
    }
    told.extend(store.map(|store| (store, Some(failing))));
    told
}

/// Offers a state; `None` when it is not known what became of it.
async fn offer(bus: &Bus, principal: &Principal, alert: &Alert, now: Mono) -> Option<Published> {
    // There is no way to go.
    let boot_id = Boot::of_this_machine().as_str().to_owned();
    let sent = Some(SendTime { boot_id, sent_mono_ns: now.0, receiver: None });
    let publication = Publication { alert: Some(alert.into()), sent, ..Publication::default() };
    bus.publish(principal, vec![publication], now).await.ok()?.pop()
}

/// Writes a row that means nothing.
async fn try_store(bus: &Bus) {
    let cursor = Cursor::start(bus.store().epoch());
    let row = Acked { principal: "bus".to_owned(), subscription: "try".to_owned(), cursor };
    if let Err(error) = bus.store().save_acked(vec![row]).await {
        debug!(%error, "the store was tried");
    }
}

/// The bus's own alerts that are firing.
async fn active(bus: &Bus) -> xueliang_alerts::error::Result<Vec<Alert>> {
    let publisher = Some(PUBLISHER.to_owned());
    let query = ListQuery { firing: Some(true), publisher, limit: 1000, ..ListQuery::default() };
    let rows = bus.store().list(query).await?;
    Ok(rows.iter().filter_map(|row| Alert::try_from(row.record.alert.clone()?).ok()).collect())
}

/// Each subject goes on with its alert on disk. What no subject is left for (a node under another name) stays.
fn adopt<'a>(alerts: Vec<Alert>, subjects: impl Iterator<Item = &'a mut Subject>) {
    for subject in subjects {
        subject.active = alerts.iter().find(|alert| subject.is_about(alert)).cloned();
    }
}

#[cfg(test)]
mod tests;
