//! What the looks task tells reports and metrics.

use std::collections::BTreeMap;

use xueliang_base::{
    gate::{GateCounts, Tier},
    id::CameraId,
    incident::Evidence,
    look::NotLooked,
    time::Wall,
};
use xueliang_inference::{
    analyst::{PictureTroubles, RuleState},
    attention::{Counters, CoverageRow, Granted, Vigil, Why},
};

use super::{Looks, SubCounts, cover, tiers::Tiers};

/// Facts for reports and metrics, renewed with every tick.
#[derive(Debug, Clone, Default)]
pub struct CameraFacts {
    /// Arrival of the latest picture looked at.
    pub last_look: Option<Wall>,
    /// Arrival of the latest picture of its sub-stream glanced at.
    pub last_glance: Option<Wall>,
    /// Why the latest moment could not be looked at.
    pub not_looked: Option<NotLooked>,
    /// What is wrong with the latest picture.
    pub troubles: PictureTroubles,
    /// Coverage, rule by rule; a rule that could tell nothing from the latest picture is not covered.
    pub coverage: Vec<CoverageRow>,
}

/// What the task publishes for reports.
#[derive(Debug, Clone, Default)]
pub struct LooksFacts {
    /// By camera.
    pub cameras: BTreeMap<CameraId, CameraFacts>,
    /// Looks done, by kind and outcome.
    pub looks: BTreeMap<(&'static str, &'static str), u64>,
    /// What attention did.
    pub attention: Counters,
    /// Incident changes that found the alerting queue full.
    pub changes_dropped: u64,
    /// Cameras by how closely they are looked at.
    pub vigils: BTreeMap<Vigil, u64>,
    /// What each tier said, held against the looks, of all cameras whose gates are not off.
    pub gates: BTreeMap<Tier, GateCounts>,
    /// What was done at sub-streams.
    pub subs: SubCounts,
    /// Decoders that are kept for sub-streams now.
    pub sub_decoders: usize,
    /// Decoders that cameras hold now.
    pub leases: usize,
    /// Tracks followed now, of all cameras.
    pub tracks: usize,
    /// Cameras with a coverage gap now.
    pub gaps: usize,
}

impl Looks {
    pub(super) fn publish_facts(&mut self) {
        // Of all at once: asked one by one, each would be compared with all others.
        let mut coverage: BTreeMap<&CameraId, _> = self.attention.coverages().collect();
        self.facts.cameras = self
            .cameras
            .iter()
            .map(|(id, running)| {
                let mut facts = running.facts.clone();
                facts.last_glance = running.sub.as_ref().and_then(|sub| sub.last);
                facts.troubles = running.analyst.troubles();
                let camera = &running.cell.camera;
                // A drill camera covers nothing of the town.
                facts.coverage = coverage.remove(id).filter(|_| !camera.drill).unwrap_or_default();
                let (noted, signal) = (running.cell.noted(), running.cell.live().signal);
                cover(&mut facts.coverage, camera, noted.acquire, noted.interval, signal);
                blind(&mut facts.coverage, &running.analyst.rule_states());
                (id.clone(), facts)
            })
            .collect();
        self.facts.attention = self.attention.counters().clone();
        self.facts.vigils = Vigil::ALL.map(|vigil| (vigil, 0)).into();
        for vigil in self.cameras.keys().filter_map(|id| self.attention.vigil(id)) {
            *self.facts.vigils.entry(vigil).or_default() += 1;
        }
        self.facts.gates.clear();
        for (tier, counts) in
            self.cameras.values().filter_map(|running| running.tiers.as_ref()).flat_map(Tiers::counts)
        {
            *self.facts.gates.entry(tier).or_default() += counts;
        }
        self.facts.leases = self.cameras.keys().filter(|id| self.attention.lease(id).is_some()).count();
        self.facts.sub_decoders = self.spare.kept();
        self.facts.tracks = self.cameras.values().map(|running| running.analyst.tracks()).sum();
        self.facts.gaps = self.gaps.len();
        self.spec.facts.send_replace(self.facts.clone());
    }
}

/// Looks in time are no coverage for a rule that can tell nothing from what they show.
fn blind(coverage: &mut [CoverageRow], states: &[RuleState]) {
    for row in coverage {
        let evidence = states.iter().find(|state| state.rule == row.rule).and_then(|state| state.evidence);
        if let Some((
            _,
            Evidence::NotLooked(reason @ (NotLooked::Blind | NotLooked::Frozen | NotLooked::ViewMoved)),
        )) = evidence
        {
            row.granted = Granted::NotCovered(Why::Blind(reason));
        }
    }
}
