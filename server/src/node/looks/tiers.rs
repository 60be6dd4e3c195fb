//! The cheap tiers of one camera: what they say between looks, what looks teach them, and the account of their errors.
//!
//! The encoded tier listens to the units themselves, on the session's side ([`Cell`]); it may only ask for a glance. Every
//! picture that is decoded is a glance, whether models see it or not. A look of models is an exam of both tiers, and teaches.

use std::{collections::BTreeSet, time::Duration};

use xueliang_base::{
    config::{Camera, RestOptions},
    detection::Meaning,
    gate::{Cause, Gate, GateCounts, Said, Tier, WakeReason},
    geometry::Rect,
    id::{ModelName, RuleId},
    incident::{Evidence, Incident},
    look::{Sight, Thumbnail},
    time::Mono,
};
use xueliang_inference::{analyst::RuleState, attention::CameraNeed};
use xueliang_ingest::{
    activity::Lesson,
    glance::{Glance, Watch},
};

use crate::node::camera::Cell;

mod passing;
mod sub;

use passing::Passing;
use sub::SubGlances;

/// How long a camera is watched for what stands still, or is everywhere: one look tells what it is.
const JUDGED_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Tiers {
    gate: Gate,
    watch: Duration,
    glance: Glance,
    /// The pixel tier's other source, where the camera has a sub-stream.
    sub: Option<SubGlances>,
    passing: Passing,
    encoded: GateCounts,
    pixels: GateCounts,
    /// Meanings that rules weigh.
    weighed: BTreeSet<Meaning>,
    /// Models of all rules: a look without one of them cannot say that nothing is there.
    models: BTreeSet<ModelName>,
    /// Rules that had seen something at the latest look.
    seen: BTreeSet<RuleId>,
    /// Whether the look on its way would have come at rest too.
    owed: bool,
}

impl Tiers {
    /// None where the camera's gates are off.
    pub(super) fn new(camera: &Camera, rest: &RestOptions) -> Option<Self> {
        let gate = camera.gate(rest);
        if gate == Gate::Off {
            return None;
        }
        let zone = |rule: &xueliang_base::config::Rule| {
            let zone = rule.zone.as_ref().and_then(|id| camera.zone(id));
            zone.map(|zone| &zone.polygon)
        };
        // What a rule of the camera itself tells (covered, moved, dark) is told of the whole picture, at every glance.
        let rules = camera.rules.iter().filter(|rule| !rule.condition.meanings().is_empty());
        let watch = Watch::new(rules.clone().map(zone), &camera.masks);
        Some(Self {
            gate,
            watch: rest.watch,
            sub: camera.sub_stream.as_ref().map(|_| SubGlances::new(watch.clone(), rest.glance)),
            glance: Glance::new(watch),
            passing: Passing::default(),
            encoded: GateCounts::default(),
            pixels: GateCounts::default(),
            weighed: rules.flat_map(|rule| rule.condition.meanings()).collect(),
            models: BTreeSet::new(),
            seen: BTreeSet::new(),
            owed: true,
        })
    }
    /// Learns which models the rules need.
    pub(super) fn declare(&mut self, need: &CameraNeed) {
        self.models = need.floors.iter().flat_map(|floor| floor.models.iter().cloned()).collect();
    }
    /// Whether what the tiers say brings looks about.
    pub(super) fn enforced(&self) -> bool {
        self.gate == Gate::Enforce
    }
    pub(super) fn counts(&self) -> [(Tier, &GateCounts); 2] {
        [(Tier::Encoded, &self.encoded), (Tier::Pixels, &self.pixels)]
    }
    /// A look was started.
    pub(super) fn started(&mut self, owed: bool) {
        self.owed = owed;
    }
    /// The encoded tier has asked for a glance, or has been quiet.
    pub(super) fn heard(&mut self, said: Said) {
        self.encoded.said(said);
    }
    /// Every decoded picture is a glance. Why and for how long to watch the camera, where that is worth it.
    pub(super) fn glance(&mut self, sight: &Sight, cell: &Cell) -> Option<(WakeReason, Duration)> {
        let glimpse = self.glance.see(sight.arrival, &sight.scene.thumbnail)?;
        // While the sub-stream tells of every moment, the tier is quiet by its word; either of the two wakes.
        let said = glimpse.said();
        if said == Said::Awake || self.sub.as_ref().is_none_or(|sub| !sub.tells(sight.arrival)) {
            self.pixels.said(said);
        }
        if let Some(label) = glimpse.label {
            cell.teach(if label.moved { Lesson::Moved } else { Lesson::Still }, label.at);
        }
        let reason = glimpse.wake()?.reason;
        let watch = match reason {
            WakeReason::Moving => {
                self.passing.moved(sight.arrival);
                self.watch
            }
            WakeReason::Staying | WakeReason::Global => JUDGED_WITHIN,
            // Its rule looks as often as it asks, and floors see to what no rule has.
            WakeReason::Kept => return None,
        };
        Some((reason, watch))
    }
    /// Every picture of the sub-stream is a glance, too. For how long to watch the camera, where that is worth it.
    pub(super) fn glance_sub(&mut self, at: Mono, thumbnail: &Thumbnail) -> Option<Duration> {
        let sub = self.sub.as_mut()?;
        let glimpse = sub.see(at, thumbnail)?;
        let said = glimpse.said();
        // Until it has a background, the main stream speaks.
        if said != Said::Calibrating {
            self.pixels.said(said);
        }
        let reason = glimpse.wake()?.reason;
        let watch = if reason == WakeReason::Moving { self.watch } else { JUDGED_WITHIN };
        let asks = sub.asks(at, reason);
        if reason == WakeReason::Moving {
            self.passing.moved(at);
        }
        asks.then_some(watch)
    }
    /// What a look of models found, after the rules have judged it. Returns whether what woke the camera has passed: looks find
    /// nothing that rules weigh or hold, and nothing has moved meanwhile.
    pub(super) fn looked(&mut self, sight: &Sight, states: &[RuleState], active: &[&Incident]) -> bool {
        if sight.views.is_empty() {
            return false;
        }
        let of_models = |state: &&RuleState| (1000..8000).contains(&state.kind.number());
        let sees = |state: &&RuleState| matches!(state.evidence, Some((_, Evidence::Seen)));
        let seen: BTreeSet<RuleId> =
            states.iter().filter(of_models).filter(sees).map(|state| state.rule.clone()).collect();
        let found = seen.iter().any(|rule| !self.seen.contains(rule));
        self.seen = seen;
        let cause = if self.owed { Cause::Floor } else { Cause::Wake };
        self.encoded.looked(cause, found);
        self.pixels.looked(cause, found);
        let ran = |model: &ModelName| sight.views.iter().any(|view| view.model == *model);
        if !self.models.iter().all(ran) {
            return false;
        }
        let detections = sight.views.iter().flat_map(|view| &view.detections);
        let weighed = detections.filter(|one| self.weighed.contains(&one.meaning)).map(|one| one.rect);
        let held = active.iter().flat_map(|incident| incident.regions.iter().copied());
        let found: Vec<Rect> = weighed.chain(held).collect();
        self.glance.teach(sight.arrival, &sight.scene.thumbnail, &found);
        let passed = self.passing.looked(sight.arrival, !found.is_empty());
        if let Some(sub) = &mut self.sub {
            sub.learn(sight.arrival, found);
        }
        passed
    }
}
