//! From incidents to alerts: mints ids and revisions, and hands every state to the keeper, which puts it on a disk.
//!
//! One task; the suppressor knows the active alert of each place and kind. What waits when it wakes is minted in order and
//! spooled with one commit, so that a burst of incidents waits for one fsync and not for one each. While no disk takes
//! states the keeper holds some; the queue in front is bounded, and what does not fit is counted by the looks task.
//! Evidence is asked for only when its alert is on disk. What cameras hang on has alerts of its own, minted here
//! (`upstreams`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tracing::{error, info, warn};
use xueliang_alerts::{
    publisher::keeper::Keeper,
    suppress::{Decision, Suppressor},
};
use xueliang_base::{
    alert::{Alert, AlertState, EvidenceKind, EvidenceRef, Minting, Place, Stage, StageTime},
    config::Config,
    id::{AlertId, AlertRevision, CameraId, ConfigRevision},
    incident::{Edge, Resolution},
    kind::Kind,
    shutdown::Stopping,
    time::{Mono, SharedClock},
};

mod upstreams;

use upstreams::Upstreams;

use super::{
    camera::Cell,
    footage::{self, Marks, Wanted},
    looks::Change,
};

/// What the task takes.
pub enum Input {
    /// The configuration that places and names come from.
    Config(ConfigRevision, Arc<Config>),
    /// An alert of the previous process life that is still active.
    Adopt(Box<Alert>),
    /// One whose camera was no longer there when this process began: nobody else can end it.
    Orphan(Box<Alert>),
    /// Evidence was made (or could not be) for an alert.
    Evidence(AlertId, Vec<EvidenceRef>),
}

/// What the task is made of.
pub struct AlertingSpec {
    /// Time.
    pub clock: SharedClock,
    /// Where states go.
    pub keeper: Keeper<Kept>,
    /// Where evidence is asked for.
    pub footage: mpsc::Sender<Wanted>,
    /// The cameras, whose signals tell how what they hang on is.
    pub cells: watch::Receiver<BTreeMap<CameraId, Arc<Cell>>>,
}

/// Counts for metrics.
#[derive(Debug, Clone, Default)]
pub struct AlertingCounts {
    /// States on disk, by what happened.
    pub states: BTreeMap<&'static str, u64>,
    /// Incidents held back, by reason.
    pub suppressed: BTreeMap<&'static str, u64>,
    /// Evidence that found the queue full.
    pub footage_dropped: u64,
    /// Attempts to spool that failed.
    pub spool_failures: u64,
    /// Losses of cameras that waited for the verdict about what they hang on, by how that ended.
    pub held: BTreeMap<&'static str, u64>,
    /// States that are on no disk yet.
    pub unkept: usize,
}

struct Alerting {
    spec: AlertingSpec,
    config: Option<Arc<Config>>,
    revision: ConfigRevision,
    /// Latest state of every alert that may still change: active, or waiting for evidence.
    latest: BTreeMap<AlertId, Alert>,
    /// When those of them that are resolved were first seen to be: wall clocks are set, and say nothing of patience.
    ended: BTreeMap<AlertId, Mono>,
    suppressor: Suppressor,
    upstreams: Upstreams,
    counts: AlertingCounts,
    /// Where the counts are shown.
    shown: watch::Sender<AlertingCounts>,
    /// When alerts that no rule sees are ended; `None` when that was done for this configuration.
    heirs_by: Option<Mono>,
}

/// What is done with a state once it is on disk.
pub struct Kept {
    /// What happened, for the counts.
    word: &'static str,
    /// The evidence to ask for.
    wanted: Option<Wanted>,
}

/// What is taken from the queue at once: twice the cameras of a large node, and a commit of some hundred kilobytes.
const BURST: usize = 256;

/// With each configuration the looks task ends the incidents whose rule is gone, once it has workers or has waited for
/// them (20 s). Alerts that no rule sees so long after it are ended here: nobody else will.
const HEIRS_WITHIN: Duration = Duration::from_secs(30);

/// The rule of coverage gaps, which stands in no camera's list.
const COVERAGE_GAP: &str = "coverage_gap";

/// Whether pictures tell anything of an alert. They do not of looks that were not taken, and would be made just when there is no time.
fn shows(kind: Kind) -> bool {
    kind != Kind::CoverageGap
}

/// How often it is looked whether such a time has come.
const TICK: Duration = Duration::from_secs(1);

/// After stopping was asked, the looks task has so long to end. It is the one that ends this task: what it decides while
/// it stops is spooled as well.
const LOOKS_WITHIN: Duration = Duration::from_secs(4);

/// What is still on no disk then has so long to get there; both fit into the supervisor's grace.
const KEPT_WITHIN: Duration = Duration::from_secs(3);

/// Alerts that are resolved wait so long for late evidence.
const EVIDENCE_PATIENCE: Duration = Duration::from_secs(180);

/// Runs until the looks task is gone and everything it has sent is on disk; when stopping is asked, until that is so or
/// takes too long.
pub async fn run(
    spec: AlertingSpec,
    mut changes: mpsc::Receiver<Change>,
    mut inputs: mpsc::Receiver<Input>,
    counts: watch::Sender<AlertingCounts>,
    mut stopping: Stopping,
) {
    let mut alerting = Alerting {
        spec,
        config: None,
        revision: ConfigRevision(0),
        latest: BTreeMap::new(),
        ended: BTreeMap::new(),
        suppressor: Suppressor::default(),
        upstreams: Upstreams::default(),
        counts: AlertingCounts::default(),
        shown: counts,
        heirs_by: None,
    };
    let late = async move {
        stopping.wait().await;
        tokio::time::sleep(LOOKS_WITHIN).await;
    };
    tokio::pin!(late);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut taken, mut changed) = (Vec::new(), Vec::new());
    let (mut over, mut is_late, mut inputs_open) = (false, false, true);
    while !over {
        let room = is_late || alerting.spec.keeper.has_room();
        tokio::select! {
            count = changes.recv_many(&mut changed, BURST), if room => over = count == 0,
            count = inputs.recv_many(&mut taken, BURST), if inputs_open && room => inputs_open = count > 0,
            kept = alerting.spec.keeper.kept() => alerting.kept(kept),
            _ = tick.tick() => {}
            // What is queued is still received, then nothing.
            () = &mut late, if !is_late => (is_late, _) = (true, changes.close()),
        }
        // What a change was decided under (a configuration, say) was sent before it, so it is there by now and comes
        // first.
        if !changed.is_empty() {
            for _ in 0..inputs.len() {
                taken.extend(inputs.try_recv());
            }
        }
        taken.drain(..).for_each(|input| alerting.take(input));
        alerting.watch_upstreams();
        changed.drain(..).for_each(|change| alerting.arrive(change));
        alerting.let_losses_go(over.then_some("stopping"));
        alerting.end_upstreams().await;
        alerting.end_heirless();
        alerting.forget();
        alerting.show();
    }
    alerting.finish().await;
}

impl Alerting {
    /// Mints what an input asks for.
    fn take(&mut self, input: Input) {
        match input {
            Input::Config(revision, config) => {
                self.configure_upstreams(&config);
                (self.revision, self.config) = (revision, Some(config));
                self.heirless();
                self.heirs_by = Some(self.spec.clock.mono().plus(HEIRS_WITHIN));
            }
            Input::Adopt(alert) => self.adopt(*alert),
            Input::Orphan(alert) => self.end_orphan(*alert),
            Input::Evidence(id, evidence) => self.evidence(id, evidence),
        }
    }

    fn show(&mut self) {
        self.counts.spool_failures = self.spec.keeper.failures();
        self.counts.unkept = self.spec.keeper.held();
        self.shown.send_replace(self.counts.clone());
    }

    fn adopt(&mut self, alert: Alert) {
        if alert.kind == Kind::UpstreamDown {
            return self.adopt_upstream(alert);
        }
        self.suppressor.adopt(&alert);
        let id = alert.id;
        // What the process before this one had not made yet will never be made: its footage went with it.
        let missing: Vec<EvidenceRef> = EvidenceKind::ALL
            .into_iter()
            .filter(|_| shows(alert.kind))
            .filter(|kind| alert.evidence.iter().all(|known| known.kind != *kind))
            .filter(|kind| *kind != EvidenceKind::Still || !alert.explanation.looks.is_empty())
            .map(|kind| footage::missing(kind, "the node ended before it was made"))
            .collect();
        let newer = self.latest.get(&id).is_none_or(|known| known.revision < alert.revision);
        if newer {
            self.latest.insert(id, alert);
            if !missing.is_empty() {
                self.evidence(id, missing);
            }
        }
    }

    /// Forgets the rules that are gone; the active alerts that none sees now.
    fn heirless(&mut self) -> Vec<AlertId> {
        let Some(config) = &self.config else { return Vec::new() };
        let heirless = self.suppressor.keep_rules(|camera, rule| {
            config.camera(camera).is_some_and(|camera| {
                rule.as_str() == COVERAGE_GAP || camera.rules.iter().any(|known| known.id == *rule)
            })
        });
        heirless.into_iter().map(|(_, alert)| alert).collect()
    }

    /// Ends the alerts that no rule has taken over in time.
    fn end_heirless(&mut self) {
        if self.heirs_by.is_none_or(|by| self.spec.clock.mono() < by) {
            return;
        }
        self.heirs_by = None;
        for id in self.heirless() {
            if let Some(alert) = self.latest.get(&id).cloned() {
                self.end_orphan(alert);
            }
            if let Some(ended) = self.latest.get(&id) {
                self.suppressor.adopt(ended);
            }
        }
    }

    fn end_orphan(&mut self, mut alert: Alert) {
        info!(alert = %alert.id, camera = %alert.place.camera, kind = %alert.kind, "alert without a rule resolved");
        alert.revision = AlertRevision(alert.revision.0 + 1);
        alert.state = AlertState::Resolved { why: Resolution::RuleRemoved, at: self.spec.clock.wall() };
        // Its ages would be those of an earlier picture: this state was decided by none.
        alert.stages.clear();
        self.mint(alert, "resolved", None);
    }

    fn change(&mut self, change: Change) {
        let (id, word) = match self.suppressor.decide(&change.camera, &change.edge, AlertId::mint) {
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
        let drill = before.map_or(change.drill, |alert| alert.drill);
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
                drill,
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
        let wanted = (word == "raised" && shows(alert.kind)).then(|| Wanted {
            alert: id,
            camera: change.camera,
            unit_seq: change.unit_seq,
            marks: Marks { regions: alert.regions.clone(), outline: change.edge.incident().polygon.clone() },
            raised: self.spec.clock.mono(),
        });
        self.mint(alert, word, wanted);
    }

    fn evidence(&mut self, id: AlertId, evidence: Vec<EvidenceRef>) {
        let Some(before) = self.latest.get(&id) else { return };
        let mut alert = before.clone();
        alert.revision = AlertRevision(alert.revision.0 + 1);
        alert.evidence.retain(|known| evidence.iter().all(|new| new.kind != known.kind));
        alert.evidence.extend(evidence);
        // Its ages would be those of an earlier picture: this state has none of its own.
        alert.stages.clear();
        self.mint(alert, "evidence", None);
    }

    fn mint(&mut self, alert: Alert, word: &'static str, wanted: Option<Wanted>) {
        self.latest.insert(alert.id, alert.clone());
        self.spec.keeper.add(alert, Kept { word, wanted });
    }

    /// Takes note of states that are on disk, and asks for their evidence.
    fn kept(&mut self, states: Vec<Kept>) {
        for Kept { word, wanted } in states {
            *self.counts.states.entry(word).or_default() += 1;
            if let Some(wanted) = wanted {
                self.want(wanted);
            }
        }
    }

    /// Waits for what is on no disk yet, not for ever.
    async fn finish(&mut self) {
        let all_kept = async {
            while self.spec.keeper.held() > 0 {
                let kept = self.spec.keeper.kept().await;
                self.kept(kept);
                self.show();
            }
        };
        if tokio::time::timeout(KEPT_WITHIN, all_kept).await.is_err() {
            let states = self.spec.keeper.held();
            error!(states, "alerts are lost: they are on no disk, and the node must stop");
        }
    }

    /// Asks for an alert's evidence.
    fn want(&mut self, wanted: Wanted) {
        let id = wanted.alert;
        let wanted = Wanted { raised: self.spec.clock.mono(), ..wanted };
        if self.spec.footage.try_send(wanted).is_err() {
            self.counts.footage_dropped += 1;
            warn!(alert = %id, "no evidence is made: too much is waiting");
            let missing = EvidenceKind::ALL.map(|kind| footage::missing(kind, footage::TOO_MUCH));
            self.evidence(id, missing.into());
        }
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
        let now = self.spec.clock.mono();
        let ended = &mut self.ended;
        self.latest.retain(|id, alert| {
            alert.state.is_firing() || now.since(*ended.entry(*id).or_insert(now)) < EVIDENCE_PATIENCE
        });
        let latest = &self.latest;
        self.ended.retain(|id, _| latest.get(id).is_some_and(|alert| !alert.state.is_firing()));
    }
}

#[cfg(test)]
mod tests;
