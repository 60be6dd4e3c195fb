//! What cameras hang on: one alert for a recorder, switch or line that is down, and losses that wait for the verdict.
//!
//! The bus holds back the losses of the cameras behind what is down, so its alert has to come before theirs. A loss whose
//! upstream may turn out to be down waits, for [`GRACE`] at most; of one alone among cameras that deliver the verdict is in
//! already. Levels 1 and 2 never wait. For the same reason its end comes after theirs: the bus shows what still fires when
//! its explanation ends, and takes the lane of recorders before the lane of cameras.

use std::collections::{BTreeMap, BTreeSet};

use tracing::info;
use xueliang_base::{
    alert::{Alert, AlertState, Explanation, Place},
    config::Config,
    id::{AlertId, AlertRevision, CameraId, UpstreamId},
    incident::{Edge, Measure, MeasureKind, Resolution, Threshold, ThresholdKind},
    kind::{Kind, Level},
    time::Mono,
};
use xueliang_ingest::upstream::{DWELL, Fall, GRACE, Heard, RETURN, Tree, Turn, Watch};

use super::Alerting;
use crate::node::looks::Change;

/// The rule of alerts about upstreams, which stands in no camera's list.
const RULE: &str = "upstream_down";

/// What is watched, and what waits for it.
#[derive(Default)]
pub(super) struct Upstreams {
    tree: Tree,
    watch: Watch,
    heard: BTreeMap<CameraId, Heard>,
    /// The alert of each that is down.
    active: BTreeMap<UpstreamId, AlertId>,
    /// Those of them that are over, once the bus has the ends of the losses they explain.
    ending: BTreeMap<UpstreamId, Ending>,
    /// Losses that wait: one a camera and kind at most.
    held: Vec<Held>,
}

struct Ending {
    /// Since when it is back.
    back: Mono,
    /// The ends of the losses are waited for until then.
    until: Mono,
}

struct Held {
    change: Change,
    until: Mono,
}

impl Upstreams {
    /// Why a loss that waits need not any more; `None` while it must.
    fn verdict(&self, held: &Held, now: Mono) -> Option<&'static str> {
        let camera = &held.change.camera;
        if self.watch.explains(&self.tree, camera) {
            Some("upstream_down")
        } else if !self.watch.is_open(&self.tree, &self.heard, camera) {
            Some("upstream_works")
        } else {
            (now >= held.until).then_some("no_verdict")
        }
    }
}

fn is_loss(kind: Kind) -> bool {
    matches!(kind, Kind::CamOffline | Kind::VideoLost)
}

impl Alerting {
    /// Goes on with an alert of the previous process life about an upstream.
    pub(super) fn adopt_upstream(&mut self, alert: Alert) {
        if let Ok(id) = UpstreamId::try_from(alert.place.camera.to_string())
            && alert.state.is_firing()
        {
            self.upstreams.watch.adopt(&id);
            self.upstreams.active.insert(id, alert.id);
        }
        self.latest.insert(alert.id, alert);
    }

    /// Watches what a configuration names. Alerts about what it does not name end, others name the cameras of now.
    pub(super) fn configure_upstreams(&mut self, config: &Config) {
        self.upstreams.tree = Tree::of(config);
        let active: Vec<_> = self.upstreams.active.iter().map(|(id, alert)| (id.clone(), *alert)).collect();
        for (id, alert) in active {
            let Some(mut alert) = self.latest.get(&alert).cloned() else { continue };
            let behind = self.upstreams.tree.behind(&id);
            if behind.is_empty() {
                self.upstreams.active.remove(&id);
                self.upstreams.ending.remove(&id);
                self.upstreams.watch.forget(&id);
                self.end_orphan(alert);
            } else if alert.behind != behind {
                alert.behind = behind.to_vec();
                alert.divisions_behind = config.divisions_behind(&id);
                alert.classes_behind = config.classes_behind(&id);
                alert.revision = AlertRevision(alert.revision.0 + 1);
                alert.stages.clear();
                self.mint(alert, "updated", None);
            }
        }
    }

    /// Looks how the cameras are; mints what follows for what they hang on.
    pub(super) fn watch_upstreams(&mut self) {
        // What was adopted waits for the configuration it came with.
        if self.config.is_none() {
            return;
        }
        let now = self.spec.clock.mono();
        self.upstreams.heard = self.heard();
        let Upstreams { tree, watch, heard, .. } = &mut self.upstreams;
        for (id, turn) in watch.step(tree, heard, now) {
            match turn {
                Turn::Down(fall) => {
                    self.upstream_over(&id, now);
                    self.upstream_down(id, fall, now);
                }
                Turn::Over(back) => {
                    self.upstreams.ending.insert(id, Ending { back, until: now.plus(RETURN) });
                }
            }
        }
    }

    fn heard(&self) -> BTreeMap<CameraId, Heard> {
        let firing = self.latest.values().filter(|alert| is_loss(alert.kind) && alert.state.is_firing());
        let held = self.upstreams.held.iter().map(|held| &held.change.camera);
        let lost: BTreeSet<&CameraId> = firing.map(|alert| &alert.place.camera).chain(held).collect();
        let cells = self.spec.cells.borrow();
        let heard = |camera: &CameraId| {
            let live = cells.get(camera)?.live();
            let last_unit = live.last_unit.map(|(at, _)| at);
            let lost = lost.contains(camera);
            Some((camera.clone(), Heard { signal: live.signal, since: live.since, last_unit, lost }))
        };
        self.upstreams.tree.cameras().filter_map(heard).collect()
    }

    fn upstream_down(&mut self, id: UpstreamId, fall: Fall, now: Mono) {
        let Some(config) = self.config.clone() else { return };
        let (Some(upstream), Ok(rule)) = (config.upstream(&id), RULE.parse()) else { return };
        let wall = self.spec.clock.wall();
        let behind = self.upstreams.tree.behind(&id).to_vec();
        let alert = Alert {
            id: AlertId::mint(),
            revision: AlertRevision(1),
            kind: Kind::UpstreamDown,
            level: Kind::UpstreamDown.default_level(),
            state: AlertState::Firing,
            place: Place::of_upstream(&config, upstream),
            started: wall.minus(now.since(fall.first)),
            last_seen: wall,
            count: u64::try_from(fall.lost).unwrap_or(u64::MAX),
            confidence: 0.0,
            measures: vec![Measure {
                kind: MeasureKind::SilenceS,
                value: now.since(fall.last).as_secs_f64(),
            }],
            regions: Vec::new(),
            explanation: Explanation {
                config: self.revision,
                rule,
                thresholds: vec![Threshold { kind: ThresholdKind::DwellS, value: DWELL.as_secs_f64() }],
                looks: Vec::new(),
                zone_outline: Vec::new(),
                model: None,
            },
            evidence: Vec::new(),
            stages: Vec::new(),
            camera_time: None,
            decided: wall,
            publisher: String::new(),
            drill: false,
            behind,
            divisions_behind: config.divisions_behind(&upstream.id),
            classes_behind: config.classes_behind(&upstream.id),
        };
        info!(alert = %alert.id, upstream = %id, lost = fall.lost, behind = alert.behind.len(), "upstream down");
        self.upstreams.active.insert(id, alert.id);
        self.mint(alert, "raised", None);
    }

    /// Ends the alerts about what is over, when nobody is shown a loss for it.
    pub(super) async fn end_upstreams(&mut self) {
        let ending: Vec<_> = self.upstreams.ending.iter().map(|(id, one)| (id.clone(), one.until)).collect();
        for (id, until) in ending {
            let behind = self.upstreams.tree.behind(&id);
            let explained = |alert: &&Alert| is_loss(alert.kind) && behind.contains(&alert.place.camera);
            let losses = self.latest.values().filter(explained).map(|alert| alert.id).collect();
            let waits = self.spec.keeper.waits_of_any(losses);
            let now = self.spec.clock.mono();
            if now >= until || !waits.await {
                self.upstream_over(&id, now);
            }
        }
    }

    /// Ends the alert about an upstream if that is over.
    fn upstream_over(&mut self, id: &UpstreamId, now: Mono) {
        let Some(Ending { back, .. }) = self.upstreams.ending.remove(id) else { return };
        let alert = self.upstreams.active.remove(id).and_then(|alert| self.latest.get(&alert)).cloned();
        let Some(mut alert) = alert else { return };
        let wall = self.spec.clock.wall();
        info!(alert = %alert.id, upstream = %id, "upstream back");
        alert.revision = AlertRevision(alert.revision.0 + 1);
        alert.state =
            AlertState::Resolved { why: Resolution::ObservedAbsence, at: wall.minus(now.since(back)) };
        (alert.last_seen, alert.decided) = (wall, wall);
        alert.stages.clear();
        self.mint(alert, "resolved", None);
    }

    /// Takes a change of an incident; a loss may have to wait.
    pub(super) fn arrive(&mut self, change: Change) {
        let incident = change.edge.incident();
        // Whatever comes of it next, it comes after it.
        let before = |held: &mut Held| {
            held.change.camera == change.camera && held.change.edge.incident().kind == incident.kind
        };
        let before: Vec<Held> = self.upstreams.held.extract_if(.., before).collect();
        before.into_iter().for_each(|held| self.let_go(held, "followed"));
        let known = |alert: &Alert| {
            alert.state.is_firing() && alert.kind == incident.kind && alert.place.camera == change.camera
        };
        let waits = matches!(&change.edge, Edge::Raised(_))
            && is_loss(incident.kind)
            && incident.level >= Level::MAJOR
            && self.upstreams.watch.is_open(&self.upstreams.tree, &self.upstreams.heard, &change.camera)
            && !self.latest.values().any(known);
        if waits {
            let until = self.spec.clock.mono().plus(GRACE);
            self.upstreams.held.push(Held { change, until });
        } else {
            self.change(change);
        }
    }

    /// Lets go of the losses whose verdict is in, or comes too late; of all where `all` is given as the reason.
    pub(super) fn let_losses_go(&mut self, all: Option<&'static str>) {
        let now = self.spec.clock.mono();
        for held in std::mem::take(&mut self.upstreams.held) {
            match all.or_else(|| self.upstreams.verdict(&held, now)) {
                Some(why) => self.let_go(held, why),
                None => self.upstreams.held.push(held),
            }
        }
    }

    fn let_go(&mut self, held: Held, why: &'static str) {
        *self.counts.held.entry(why).or_default() += 1;
        self.change(held.change);
    }
}

#[cfg(test)]
mod tests;
