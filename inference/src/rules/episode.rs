//! One rule of one camera over time: its condition, its timer and its incident.

use std::{collections::VecDeque, time::Duration};

use xueliang_base::{
    config::{Camera, Condition, Rule, Timing},
    geometry::Polygon,
    id::ZoneId,
    incident::{
        Edge, Evidence, Incident, LookRef, Measure, MeasureKind, Resolution, Threshold, ThresholdKind,
    },
    look::{Observation, Thumbnail},
    time::{Mono, Wall},
};

use super::{
    Conditioned, Finding, Moment,
    timing::{Change, Timer},
};

/// Looks an incident names.
const MAX_LOOKS: usize = 16;
/// Least time between two updates of one incident.
const UPDATE_EVERY: Duration = Duration::from_secs(10);

/// A rule with its state.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    rule: Rule,
    timing: Timing,
    conditioned: Conditioned,
    polygon: Option<Polygon>,
    timer: Timer,
    incident: Option<Incident>,
    told: Mono,
    told_measures: Vec<Measure>,
    recent: VecDeque<LookRef>,
    /// What the latest entry that told anything told, and when that was made.
    latest: Option<(Mono, Finding)>,
    /// Whether the latest entry told anything.
    spoke: bool,
}

impl Episode {
    pub(crate) fn new(rule: &Rule, camera: &Camera, ground: Option<&Thumbnail>) -> Self {
        let mut timing = rule.timing;
        if matches!(rule.condition, Condition::AgainstDirection { .. }) {
            // The travel is the persistence; a dwell on top would miss what drives through.
            timing.dwell = Duration::ZERO;
        }
        let zone = rule.zone.as_ref().and_then(|id| camera.zone(id));
        Self {
            rule: rule.clone(),
            timing,
            conditioned: Conditioned::new(rule, camera, ground),
            polygon: zone.map(|zone| zone.polygon.clone()),
            timer: Timer::new(&timing),
            incident: None,
            told: Mono(0),
            told_measures: Vec::new(),
            recent: VecDeque::new(),
            latest: None,
            spoke: false,
        }
    }
    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }
    pub(crate) fn incident(&self) -> Option<&Incident> {
        self.incident.as_ref()
    }
    /// The zone that it watches, and its outline; none for the whole picture.
    pub(crate) fn place(&self) -> (Option<&ZoneId>, Option<&Polygon>) {
        (self.rule.zone.as_ref(), self.polygon.as_ref())
    }
    /// What is known of the bare ground.
    pub(crate) fn ground(&self) -> Option<Thumbnail> {
        self.conditioned.ground()
    }
    /// The latest evidence and when it was made.
    pub(crate) fn evidence(&self) -> Option<(Mono, Evidence)> {
        self.latest.as_ref().map(|(at, finding)| (*at, finding.evidence))
    }
    /// What the latest entry told and when that was made; `None` where it told nothing.
    pub(crate) fn told(&self) -> Option<(Mono, &Finding)> {
        self.latest.as_ref().filter(|_| self.spoke).map(|(at, finding)| (*at, finding))
    }
    /// The timing that applies to it.
    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }
    /// What counts its time.
    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }
    /// Its condition.
    pub(crate) fn conditioned(&self) -> &Conditioned {
        &self.conditioned
    }
    /// Memory taken, approximately.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.timer.bytes() + self.conditioned.bytes()
    }
    /// Takes over an incident of an earlier process life.
    pub(crate) fn adopt(&mut self, incident: Incident) {
        let held = incident.measures.iter().find(|m| m.kind == MeasureKind::DwellS).map_or(0.0, |m| m.value);
        self.timer.adopt(Duration::try_from_secs_f64(held).unwrap_or_default());
        self.told = incident.decided_arrival;
        self.told_measures.clone_from(&incident.measures);
        self.recent = incident.looks.iter().copied().collect();
        self.incident = Some(incident);
    }
    /// Ends the incident because the rule goes.
    pub(crate) fn retire(&mut self, now: Mono, now_wall: Option<Wall>) -> Option<Edge> {
        let mut incident = self.incident.take()?;
        incident.decided_arrival = now;
        incident.decided_wall = now_wall.unwrap_or(incident.decided_wall);
        incident.camera_time = None;
        Some(Edge::Resolved(incident, Resolution::RuleRemoved))
    }
    /// The drill is over: ends the incident, and begins anew, so that no cooldown reaches into the next drill.
    pub(crate) fn drill_over(&mut self, observation: &Observation) -> Option<Edge> {
        self.timer = Timer::new(&self.timing);
        self.recent.clear();
        let mut incident = self.incident.take()?;
        decided(&mut incident, observation, observation.at, observation.at_wall);
        Some(Edge::Resolved(incident, Resolution::DrillOver))
    }
    pub(crate) fn step(&mut self, moment: &Moment<'_>) -> Option<Edge> {
        let at = self.conditioned.when(moment.observation);
        let active = self.incident.as_ref().map_or(&[][..], |incident| incident.regions.as_slice());
        let finding = self.conditioned.judge(moment, active);
        self.spoke = finding.is_some();
        let finding = finding?;
        let edge = self.decide(moment.observation, at, &finding);
        self.latest = Some((at, finding));
        edge
    }
    /// What an entry that told something changes.
    fn decide(&mut self, observation: &Observation, at: Mono, finding: &Finding) -> Option<Edge> {
        if matches!(finding.evidence, Evidence::NotLooked(_)) {
            return None;
        }
        let wall = when_wall(observation, at);
        // Subjects are only looked at, so a look not later than the last one cannot count twice.
        let fresh = self.timer.last_looked().is_none_or(|last| at > last);
        if fresh && finding.evidence == Evidence::Seen {
            self.recent.push_back(LookRef { look: observation.look, at_wall: wall, score: finding.score });
            if self.recent.len() > MAX_LOOKS {
                self.recent.pop_front();
            }
        }
        match self.timer.looked(at, wall, &finding.subjects) {
            Change::None => None,
            Change::Fired { started, started_wall, looks, .. } => {
                let mut incident = self.begin(started_wall, looks);
                debug_assert!(started <= at, "a stretch begins before it ends");
                self.mark(&mut incident, observation, at, wall, finding);
                self.tell(at, &incident);
                self.incident = Some(incident.clone());
                Some(Edge::Raised(incident))
            }
            Change::Held => {
                let mut incident = self.incident.take()?;
                incident.count += 1;
                self.mark(&mut incident, observation, at, wall, finding);
                let tell =
                    at.since(self.told) >= UPDATE_EVERY && material(&self.told_measures, &incident.measures);
                if tell {
                    self.tell(at, &incident);
                }
                self.incident = Some(incident.clone());
                tell.then_some(Edge::Updated(incident))
            }
            Change::Cleared => {
                let mut incident = self.incident.take()?;
                decided(&mut incident, observation, at, wall);
                self.recent.clear();
                Some(Edge::Resolved(incident, Resolution::ObservedAbsence))
            }
        }
    }
    fn tell(&mut self, at: Mono, incident: &Incident) {
        self.told = at;
        self.told_measures.clone_from(&incident.measures);
    }
    fn begin(&self, started_wall: Wall, looks: u64) -> Incident {
        let t = |kind, value: f64| Threshold { kind, value };
        let mut thresholds = self.conditioned.thresholds();
        thresholds.extend([
            t(ThresholdKind::DwellS, self.timing.dwell.as_secs_f64()),
            t(ThresholdKind::MaxGapS, self.timing.max_gap.as_secs_f64()),
            t(ThresholdKind::SeenShare, f64::from(self.timing.seen_share)),
            t(ThresholdKind::ClearS, self.timing.clear.as_secs_f64()),
        ]);
        Incident {
            rule: self.rule.id.clone(),
            kind: self.rule.kind,
            level: self.rule.level,
            zone: self.rule.zone.clone(),
            polygon: self.polygon.clone(),
            started_wall,
            decided_arrival: Mono(0),
            decided_wall: started_wall,
            camera_time: None,
            last_seen_wall: started_wall,
            count: looks,
            confidence: 0.0,
            measures: Vec::new(),
            regions: Vec::new(),
            thresholds,
            looks: Vec::new(),
            model: None,
        }
    }
    /// Writes what this look saw into the incident.
    fn mark(
        &self,
        incident: &mut Incident,
        observation: &Observation,
        at: Mono,
        wall: Wall,
        finding: &Finding,
    ) {
        decided(incident, observation, at, wall);
        incident.last_seen_wall = wall;
        incident.looks =
            self.recent.iter().filter(|look| look.at_wall >= incident.started_wall).copied().collect();
        let best = incident.looks.iter().map(|look| look.score).fold(finding.score, f32::max);
        incident.confidence = incident.confidence.max(best);
        incident.regions.clone_from(&finding.regions);
        incident.measures.clone_from(&finding.measures);
        let held = self.timer.held().as_secs_f64();
        incident.measures.push(Measure { kind: MeasureKind::DwellS, value: held });
        if finding.model.is_some() {
            incident.model.clone_from(&finding.model);
        }
    }
}

/// The wall time of the evidence: of the picture's arrival where it was made of a picture.
fn when_wall(observation: &Observation, at: Mono) -> Wall {
    match &observation.outcome {
        Ok(sight) if sight.arrival == at => sight.arrival_wall,
        _ => observation.at_wall,
    }
}

fn decided(incident: &mut Incident, observation: &Observation, at: Mono, wall: Wall) {
    incident.decided_arrival = at;
    incident.decided_wall = wall;
    incident.camera_time = observation.outcome.as_ref().ok().and_then(|sight| sight.camera_time);
}

/// Whether the measures changed enough to be told: by a fifth; times, which always grow, when they doubled.
fn material(told: &[Measure], now: &[Measure]) -> bool {
    now.iter().any(|measure| {
        let Some(before) = told.iter().find(|m| m.kind == measure.kind) else { return true };
        let change = (measure.value - before.value).abs();
        match measure.kind {
            MeasureKind::DwellS | MeasureKind::SilenceS => measure.value >= 2.0 * before.value.max(30.0),
            MeasureKind::Count => change >= 1.0 && change >= 0.2 * before.value.abs(),
            MeasureKind::AngleDeg => change >= 20.0,
            MeasureKind::MeanLuma => change >= 10.0,
            MeasureKind::CoveredShare | MeasureKind::ViewMatch | MeasureKind::UsedShare => change >= 0.1,
            MeasureKind::DensityPerM2 | MeasureKind::DaysLeft => change >= 0.2 * before.value.abs(),
        }
    })
}
