//! From incidents to alerts: mints ids and revisions, and spools every state durably before anything is sent.
//!
//! One task; the suppressor knows the active alert of each place and kind. A state that cannot be spooled (disk full) is tried
//! again until it can: the queue in front is bounded, and what does not fit is counted by the looks task.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tracing::{error, info, warn};
use xueliang_alerts::{
    spool::Spool,
    suppress::{Decision, Suppressor},
};
use xueliang_base::{
    alert::{Alert, AlertState, EvidenceKind, EvidenceRef, Minting, Place, Stage, StageTime},
    config::Config,
    id::{AlertId, AlertRevision, CameraId},
    incident::{Edge, Resolution},
    shutdown::Stopping,
    time::SharedClock,
};

use super::{
    footage::{self, Wanted},
    looks::Change,
};

/// What the task takes.
pub enum Input {
    /// A change of an incident.
    Change(Box<Change>),
    /// The configuration that places and names come from.
    Config(Arc<Config>),
    /// An alert of the previous process life that is still active.
    Adopt(Box<Alert>),
    /// One whose camera is no longer there: nobody else can end it.
    Orphan(Box<Alert>),
    /// Evidence was made (or could not be) for an alert.
    Evidence(AlertId, Vec<EvidenceRef>),
}

/// What the task is made of.
pub struct AlertingSpec {
    /// Time.
    pub clock: SharedClock,
    /// Where states go.
    pub spool: Arc<Spool>,
    /// Where evidence is asked for.
    pub footage: mpsc::Sender<Wanted>,
}

/// Counts for metrics.
#[derive(Debug, Clone, Default)]
pub struct AlertingCounts {
    /// States spooled, by what happened.
    pub states: BTreeMap<&'static str, u64>,
    /// Incidents held back, by reason.
    pub suppressed: BTreeMap<&'static str, u64>,
    /// Evidence that found the queue full.
    pub footage_dropped: u64,
    /// Attempts to spool that failed.
    pub spool_failures: u64,
}

struct Alerting {
    spec: AlertingSpec,
    config: Option<Arc<Config>>,
    /// Latest state of every alert that may still change: active, or waiting for evidence.
    latest: BTreeMap<AlertId, Alert>,
    suppressor: Suppressor,
    counts: AlertingCounts,
}

/// Alerts that are resolved wait so long for late evidence.
const EVIDENCE_PATIENCE: Duration = Duration::from_secs(180);

/// Runs until its inputs' senders are gone or stopping is asked.
pub async fn run(
    spec: AlertingSpec,
    mut inputs: mpsc::Receiver<Input>,
    counts: tokio::sync::watch::Sender<AlertingCounts>,
    mut stopping: Stopping,
) {
    let mut alerting = Alerting {
        spec,
        config: None,
        latest: BTreeMap::new(),
        // Rules have cooldowns of their own, by their timing.
        suppressor: Suppressor::new(Duration::ZERO),
        counts: AlertingCounts::default(),
    };
    loop {
        let input = tokio::select! {
            input = inputs.recv() => input,
            () = stopping.wait() => return,
        };
        match input {
            None => return,
            Some(Input::Config(config)) => alerting.config = Some(config),
            Some(Input::Adopt(alert)) => alerting.adopt(*alert, &mut stopping).await,
            Some(Input::Orphan(alert)) => alerting.end_orphan(*alert, &mut stopping).await,
            Some(Input::Change(change)) => alerting.change(*change, &mut stopping).await,
            Some(Input::Evidence(id, evidence)) => alerting.evidence(id, evidence, &mut stopping).await,
        }
        alerting.forget();
        counts.send_replace(alerting.counts.clone());
    }
}

impl Alerting {
    async fn adopt(&mut self, alert: Alert, stopping: &mut Stopping) {
        self.suppressor.adopt(&alert);
        let id = alert.id;
        // What the process before this one had not made yet will never be made: its footage went with it.
        let missing: Vec<EvidenceRef> = EvidenceKind::ALL
            .into_iter()
            .filter(|kind| alert.evidence.iter().all(|known| known.kind != *kind))
            .filter(|kind| *kind != EvidenceKind::Still || !alert.explanation.looks.is_empty())
            .map(|kind| footage::missing(kind, "the node ended before it was made"))
            .collect();
        let newer = self.latest.get(&id).is_none_or(|known| known.revision < alert.revision);
        if newer {
            self.latest.insert(id, alert);
            if !missing.is_empty() {
                self.evidence(id, missing, stopping).await;
            }
        }
    }

    async fn end_orphan(&mut self, mut alert: Alert, stopping: &mut Stopping) {
        info!(alert = %alert.id, camera = %alert.place.camera, kind = %alert.kind, "alert of a removed camera resolved");
        alert.revision = AlertRevision(alert.revision.0 + 1);
        alert.state = AlertState::Resolved { why: Resolution::RuleRemoved, at: self.spec.clock.wall() };
        // Its ages would be those of an earlier picture: this state was decided by none.
        alert.stages.clear();
        self.keep(alert, stopping).await;
        *self.counts.states.entry("resolved").or_default() += 1;
    }

    async fn change(&mut self, change: Change, stopping: &mut Stopping) {
        let now = self.spec.clock.mono();
        let (id, word) = match self.suppressor.decide(&change.camera, &change.edge, now, AlertId::mint) {
            // Its own count of revisions does not know those that evidence adds; `latest` does.
            Decision::Publish { alert, .. } => match (&change.edge, self.latest.contains_key(&alert)) {
                (Edge::Resolved(..), _) => (alert, "resolved"),
                (_, false) => (alert, "raised"),
                // An incident that is raised while its alert is active goes on with it (after a restart, say).
                (_, true) => (alert, "updated"),
            },
            Decision::Suppress(_) => {
                self.counts.suppressed =
                    self.suppressor.counts().iter().map(|(reason, n)| (reason.word(), *n)).collect();
                return;
            }
        };
        let known = Some(id);
        let Some(place) = self.place(&change.camera, known) else {
            error!(camera = %change.camera, "an incident of a camera that is not configured");
            return;
        };
        let before = self.latest.get(&id);
        let revision = AlertRevision(before.map_or(1, |alert| alert.revision.0 + 1));
        let evidence = before.map(|alert| alert.evidence.clone()).unwrap_or_default();
        let mut stages = change.stages;
        if !stages.is_empty() {
            // From the dispatch of the look until now, less what the worker spent: transfer, tracks, rules.
            let worked: u64 = stages.iter().filter(|s| s.stage != Stage::Wait).map(|s| s.duration_us).sum();
            let since = self.spec.clock.mono().since(change.since);
            stages.push(StageTime::exact(Stage::Decide, since.saturating_sub(Duration::from_micros(worked))));
        }
        let alert = Alert::from_edge(
            &change.edge,
            Minting {
                id,
                revision,
                place,
                config: change.revision,
                model: change.model,
                stages,
                evidence,
                drill: false,
            },
        );
        match word {
            "raised" => {
                info!(alert = %id, camera = %change.camera, kind = %alert.kind, level = %alert.level, "alert raised");
            }
            "resolved" => {
                info!(alert = %id, camera = %change.camera, kind = %alert.kind, "alert resolved");
            }
            _ => {}
        }
        self.keep(alert.clone(), stopping).await;
        *self.counts.states.entry(word).or_default() += 1;
        if word == "raised" {
            let wanted = Wanted {
                alert: id,
                camera: change.camera,
                unit_seq: change.unit_seq,
                regions: alert.regions,
                outline: change.edge.incident().polygon.clone(),
                raised: self.spec.clock.mono(),
            };
            if self.spec.footage.try_send(wanted).is_err() {
                self.counts.footage_dropped += 1;
                warn!(alert = %id, "no evidence is made: too much is waiting");
                let missing = EvidenceKind::ALL.map(|kind| footage::missing(kind, footage::TOO_MUCH));
                self.evidence(id, missing.into(), stopping).await;
            }
        }
    }

    async fn evidence(&mut self, id: AlertId, evidence: Vec<EvidenceRef>, stopping: &mut Stopping) {
        let Some(before) = self.latest.get(&id) else { return };
        let mut alert = before.clone();
        alert.revision = AlertRevision(alert.revision.0 + 1);
        alert.evidence.retain(|known| evidence.iter().all(|new| new.kind != known.kind));
        alert.evidence.extend(evidence);
        // Its ages would be those of an earlier picture: this state has none of its own.
        alert.stages.clear();
        self.keep(alert, stopping).await;
        *self.counts.states.entry("evidence").or_default() += 1;
    }

    /// Spools a state, however long it takes: a full disk is told to people by the bus and the metrics.
    async fn keep(&mut self, alert: Alert, stopping: &mut Stopping) {
        loop {
            match self.spec.spool.push(&alert).await {
                Ok(()) => break,
                Err(error) => {
                    self.counts.spool_failures += 1;
                    error!(alert = %alert.id, %error, "cannot spool an alert, trying again in a second");
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                        () = stopping.wait() => return,
                    }
                }
            }
        }
        self.latest.insert(alert.id, alert);
    }

    fn place(&self, camera: &CameraId, known: Option<AlertId>) -> Option<Place> {
        let config = self.config.as_ref()?;
        if let Some(camera) = config.camera(camera) {
            return Some(Place::of_camera(config, camera));
        }
        // The camera was just removed: its alert keeps the place it had.
        known.and_then(|id| self.latest.get(&id)).map(|alert| alert.place.clone())
    }

    /// Forgets resolved alerts whose evidence cannot come any more.
    fn forget(&mut self) {
        self.suppressor.tidy(self.spec.clock.mono());
        let now = self.spec.clock.wall();
        self.latest.retain(|_, alert| match alert.state {
            AlertState::Firing => true,
            AlertState::Resolved { at, .. } => now < at.plus(EVIDENCE_PATIENCE),
        });
    }
}

#[cfg(test)]
mod tests;
