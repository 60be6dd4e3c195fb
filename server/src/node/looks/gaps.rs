//! Coverage gaps: falling below a floor is itself an incident (promise 4).

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    id::CameraId,
    incident::{Edge, Incident, Measure, MeasureKind, Resolution, Threshold, ThresholdKind},
    kind::Kind,
    time::{Mono, Wall},
};

use super::Looks;

/// A floor that has been broken for so long is an incident.
const GAP_AFTER: Duration = Duration::from_secs(10);

/// A camera that has delivered for so long should have been looked at, whatever its keyframe interval.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

impl Looks {
    /// Falling below a floor is itself an incident: one a camera that delivers and is not looked at often enough.
    pub(super) fn tell_gaps(&mut self, now: Mono) {
        let wall = self.spec.clock.wall();
        let mut broken: BTreeMap<CameraId, Mono> = BTreeMap::new();
        for breach in self.attention.breaches(now) {
            // A camera that sends nothing has an alert that says so, and one that has just come back is looked at soon.
            let delivers = self.cameras.get(&breach.camera).is_some_and(|running| {
                let live = running.cell.live();
                live.signal.not_looked().is_none() && now.since(live.since) >= SETTLED_AFTER
            });
            if delivers && now.since(breach.since) >= GAP_AFTER {
                let since = broken.entry(breach.camera).or_insert(breach.since);
                *since = (*since).min(breach.since);
            }
        }
        let ended: Vec<CameraId> = self.gaps.keys().filter(|id| !broken.contains_key(*id)).cloned().collect();
        for id in ended {
            if let Some(incident) = self.gaps.remove(&id) {
                let incident = Incident { decided_arrival: now, decided_wall: wall, ..incident };
                let edge = Edge::Resolved(incident, Resolution::ObservedAbsence);
                self.emit(&id, vec![edge], Vec::new(), now, None);
            }
        }
        for (id, since) in broken {
            if !self.gaps.contains_key(&id)
                && let Some(incident) = gap_incident(now, wall, since)
            {
                self.gaps.insert(id.clone(), incident.clone());
                self.emit(&id, vec![Edge::Raised(incident)], Vec::new(), now, None);
            }
        }
    }
}

fn gap_incident(now: Mono, wall: Wall, since: Mono) -> Option<Incident> {
    let silent = now.since(since);
    Some(Incident {
        rule: "coverage_gap".parse().ok()?,
        kind: Kind::CoverageGap,
        level: Kind::CoverageGap.default_level(),
        zone: None,
        polygon: None,
        started_wall: wall.minus(silent),
        decided_arrival: now,
        decided_wall: wall,
        camera_time: None,
        last_seen_wall: wall,
        count: 1,
        confidence: 0.0,
        measures: vec![Measure { kind: MeasureKind::SilenceS, value: silent.as_secs_f64() }],
        regions: Vec::new(),
        thresholds: vec![Threshold { kind: ThresholdKind::SilenceS, value: GAP_AFTER.as_secs_f64() }],
        looks: Vec::new(),
        model: None,
    })
}
