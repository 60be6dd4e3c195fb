//! Suppression on the node, before an alert is minted: one place and kind of hazard is one alert at a time.
//!
//! Pure: edges of incidents in, decisions out. Nothing is dropped silently: every edge that makes no alert of its own says
//! why, and is counted; the alert that stands for it is on its way. A cooldown holds back the incident itself (the timing of
//! its rule), and `explain` lists it. What an alert that was minted is suppressed by, silences and other alerts, is decided
//! by the bus (`silence.rs`).

use std::collections::BTreeMap;

use xueliang_base::{
    alert::Alert,
    id::{AlertId, AlertRevision, CameraId, RuleId, ZoneId},
    incident::Edge,
    kind::{Kind, Level},
};

/// One place and kind of hazard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The camera.
    pub camera: CameraId,
    /// The zone; `None` for the whole picture.
    pub zone: Option<ZoneId>,
    /// The kind.
    pub kind: Kind,
}

/// Why an edge makes no alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Another rule still sees what this one no longer sees.
    StillSeenByAnother,
    /// Less severe than what another rule sees there now.
    Outranked,
    /// It ends what never became an alert.
    NeverRaised,
}

impl Reason {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Reason::StillSeenByAnother => "still_seen_by_another",
            Reason::Outranked => "outranked",
            Reason::NeverRaised => "never_raised",
        }
    }
}

/// What to do with an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Publish this state of this alert. Revision 1 begins it.
    Publish {
        /// The alert.
        alert: AlertId,
        /// The state's number.
        revision: AlertRevision,
    },
    /// Publish nothing.
    Suppress(Reason),
}

#[derive(Debug)]
struct Active {
    alert: AlertId,
    revision: u64,
    /// The rules that see it, each with its level.
    holders: BTreeMap<RuleId, Level>,
}

/// Knows what is active at every place.
#[derive(Debug, Default)]
pub struct Suppressor {
    active: BTreeMap<Key, Active>,
    counts: BTreeMap<Reason, u64>,
}

impl Suppressor {
    /// Takes over the latest state of an alert of an earlier life, as the bus or the spool has it: a firing one is
    /// active, its next state is an update; a resolved one is over. Revisions at or below one that is known change
    /// nothing. Where two alerts of one place and kind fire, the later one is active.
    pub fn adopt(&mut self, alert: &Alert) {
        let key =
            Key { camera: alert.place.camera.clone(), zone: alert.place.zone.clone(), kind: alert.kind };
        if let Some(known) = self.active.get(&key) {
            let same = known.alert == alert.id;
            if (same && known.revision >= alert.revision.0) || (!same && known.alert > alert.id) {
                return;
            }
            if !alert.state.is_firing() {
                if same {
                    self.active.remove(&key);
                }
                return;
            }
        }
        if alert.state.is_firing() {
            let active = Active {
                alert: alert.id,
                revision: alert.revision.0,
                holders: BTreeMap::from([(alert.explanation.rule.clone(), alert.level)]),
            };
            self.active.insert(key, active);
        }
    }
    /// Forgets the rules that exist no more: to be called with each configuration, after the adoptions that it came
    /// with. `exists` says whether a camera has a rule; where rules come from elsewhere, it must know them too.
    /// Returns the active alerts that no rule sees now. They stay active, so that a rule that sees the same place goes
    /// on with them and its resolution ends them; whoever knows that none will publishes their end and adopts it.
    pub fn keep_rules(&mut self, exists: impl Fn(&CameraId, &RuleId) -> bool) -> Vec<(Key, AlertId)> {
        for (key, active) in &mut self.active {
            active.holders.retain(|rule, _| exists(&key.camera, rule));
        }
        let orphans = self.active.iter().filter(|(_, active)| active.holders.is_empty());
        orphans.map(|(key, active)| (key.clone(), active.alert)).collect()
    }
    /// Decides on an edge of a camera's incident. `mint` gives the id of a new alert.
    pub fn decide(&mut self, camera: &CameraId, edge: &Edge, mint: impl FnOnce() -> AlertId) -> Decision {
        let incident = edge.incident();
        let key = Key { camera: camera.clone(), zone: incident.zone.clone(), kind: incident.kind };
        let decision = match edge {
            Edge::Raised(_) | Edge::Updated(_) => self.seen(key, &incident.rule, incident.level, mint),
            Edge::Resolved(..) => self.gone(key, &incident.rule),
        };
        if let Decision::Suppress(reason) = decision {
            *self.counts.entry(reason).or_default() += 1;
        }
        decision
    }
    fn seen(&mut self, key: Key, rule: &RuleId, level: Level, mint: impl FnOnce() -> AlertId) -> Decision {
        if let Some(active) = self.active.get_mut(&key) {
            active.holders.insert(rule.clone(), level);
            let worst = active.holders.values().min().copied().unwrap_or(level);
            if worst < level {
                return Decision::Suppress(Reason::Outranked);
            }
            active.revision += 1;
            return Decision::Publish { alert: active.alert, revision: AlertRevision(active.revision) };
        }
        let alert = mint();
        let holders = BTreeMap::from([(rule.clone(), level)]);
        self.active.insert(key, Active { alert, revision: 1, holders });
        Decision::Publish { alert, revision: AlertRevision(1) }
    }
    fn gone(&mut self, key: Key, rule: &RuleId) -> Decision {
        let Some(active) = self.active.get_mut(&key) else {
            return Decision::Suppress(Reason::NeverRaised);
        };
        active.holders.remove(rule);
        if !active.holders.is_empty() {
            return Decision::Suppress(Reason::StillSeenByAnother);
        }
        let decision =
            Decision::Publish { alert: active.alert, revision: AlertRevision(active.revision + 1) };
        self.active.remove(&key);
        decision
    }
    /// Edges suppressed so far, by reason.
    pub fn counts(&self) -> &BTreeMap<Reason, u64> {
        &self.counts
    }
    /// Alerts that are active, with their latest revision.
    pub fn active(&self) -> impl Iterator<Item = (&Key, AlertId, AlertRevision)> {
        self.active.iter().map(|(key, active)| (key, active.alert, AlertRevision(active.revision)))
    }
}

#[cfg(test)]
mod tests;
