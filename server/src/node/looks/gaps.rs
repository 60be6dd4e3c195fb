//! Coverage gaps: falling below a floor is itself an incident (promise 4).
//!
//! One a camera, whichever of its rules are below their floors; coverage says which. It begins only while the camera
//! delivers (one that sends nothing has an alert that says so), or is on patrol and visited too rarely, and it ends only
//! when every rule was looked at in time again: a camera that dies meanwhile ends no gap.

use std::{collections::BTreeMap, time::Duration};

use tracing::info;
use xueliang_base::{
    config::Acquire,
    id::CameraId,
    incident::{Edge, Incident, Measure, MeasureKind, Resolution, Threshold, ThresholdKind},
    kind::Kind,
    time::{Mono, Wall},
};
use xueliang_inference::attention::Breach;
use xueliang_ingest::health::{Idle, Signal};

use super::Looks;

/// The rule that such incidents name.
const RULE: &str = "coverage_gap";

/// A floor that has been broken for so long is an incident.
const GAP_AFTER: Duration = Duration::from_secs(10);

/// A camera that has delivered for so long should have been looked at, whatever its keyframe interval.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// A patrol that was lost has been visited in time again after so many intervals.
const MENDED_AFTER: u32 = 3;

/// Whether it is about coverage, and so is no rule's of the camera.
pub(super) fn is_gap(incident: &Incident) -> bool {
    incident.kind == Kind::CoverageGap && incident.rule.as_str() == RULE
}

impl Looks {
    /// Takes over gaps of the previous process life; gives the incidents that are of rules.
    pub(super) fn adopt_gaps(&mut self, id: &CameraId, adopted: Vec<Incident>) -> Vec<Incident> {
        let (gaps, of_rules): (Vec<_>, Vec<_>) = adopted.into_iter().partition(is_gap);
        if let Some(gap) = gaps.into_iter().next() {
            self.gaps.entry(id.clone()).or_insert(gap);
        }
        of_rules
    }

    /// Falling below a floor is itself an incident: one a camera that delivers and is not looked at often enough.
    pub(super) fn tell_gaps(&mut self, now: Mono) {
        let mut broken: BTreeMap<CameraId, Vec<Breach>> = BTreeMap::new();
        for breach in self.attention.breaches(now) {
            // One that has just come back is looked at soon.
            let running = self.cameras.get(&breach.camera).filter(|running| !running.cell.camera.drill);
            let delivers = running.is_some_and(|running| {
                let live = running.cell.live();
                match (live.signal, running.acquire) {
                    // Its floors follow its visits: they are broken when those come late. The first ones after it was lost
                    // mend what was broken then.
                    (Signal::NotConnected(Idle::Patrol), Acquire::Patrol { every }) => running
                        .lost
                        .is_none_or(|lost| breach.since > lost || now.since(lost) >= every * MENDED_AFTER),
                    _ => live.signal.not_looked().is_none() && now.since(live.since) >= SETTLED_AFTER,
                }
            });
            if delivers && now.since(breach.since) >= GAP_AFTER {
                broken.entry(breach.camera.clone()).or_default().push(breach);
            }
        }
        let known: Vec<CameraId> = self.gaps.keys().cloned().collect();
        for id in known {
            match self.attention.in_time(now, &id) {
                Some(true) => self.end_gap(&id, now, Resolution::ObservedAbsence),
                None => self.end_gap(&id, now, Resolution::RuleRemoved),
                Some(false) => {}
            }
        }
        let wall = self.spec.clock.wall();
        for (id, breaches) in broken {
            if !self.gaps.contains_key(&id)
                && let Some(incident) = gap_incident(now, wall, &breaches)
            {
                for breach in &breaches {
                    info!(camera = %id, rule = %breach.rule, kind = %breach.kind, reason = %breach.reason,
                        "below its floor");
                }
                self.gaps.insert(id.clone(), incident.clone());
                self.emit(&id, vec![Edge::Raised(incident)], Vec::new(), now, None);
            }
        }
    }

    pub(super) fn end_gap(&mut self, id: &CameraId, now: Mono, why: Resolution) {
        let Some(incident) = self.gaps.remove(id) else { return };
        let incident = Incident { decided_arrival: now, decided_wall: self.spec.clock.wall(), ..incident };
        self.emit(id, vec![Edge::Resolved(incident, why)], Vec::new(), now, None);
    }
}

/// An incident names one rule, its own; it counts those below their floors, and gives the floor of the longest broken.
fn gap_incident(now: Mono, wall: Wall, breaches: &[Breach]) -> Option<Incident> {
    let first = breaches.iter().min_by_key(|breach| breach.since)?;
    let silent = now.since(first.since);
    Some(Incident {
        rule: RULE.parse().ok()?,
        kind: Kind::CoverageGap,
        level: Kind::CoverageGap.default_level(),
        zone: None,
        polygon: None,
        started_wall: wall.minus(silent),
        decided_arrival: now,
        decided_wall: wall,
        camera_time: None,
        last_seen_wall: wall,
        count: u64::try_from(breaches.len()).unwrap_or(u64::MAX),
        confidence: 0.0,
        measures: vec![Measure { kind: MeasureKind::SilenceS, value: silent.as_secs_f64() }],
        regions: Vec::new(),
        thresholds: vec![Threshold {
            kind: ThresholdKind::SilenceS,
            value: (first.blind_max + GAP_AFTER).as_secs_f64(),
        }],
        looks: Vec::new(),
        model: None,
    })
}
