//! One camera's decisions: a pure step from observations to edges of incidents.
//!
//! The same camera configuration, models, reference and observations give the same edges, which is what makes a
//! journal replayable. Nothing here reads a clock: time is in the observations.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use xueliang_base::{
    config::{Camera, Condition, Rule},
    detection::{Detection, Meaning},
    id::{ModelName, RuleId},
    incident::{Edge, Evidence, Incident, Resolution},
    kind::Kind,
    look::{NotLooked, Observation, Thumbnail},
    time::{Mono, Wall},
};

use crate::{
    logbook::{Noted, RuleNote},
    rules::{Episode, Moment},
    track::{TrackParams, Tracker},
};

pub(crate) mod eyes;
pub(crate) mod lens;

use eyes::Eyes;
pub use eyes::ModelMeanings;
use lens::Lens;

/// The view that a camera's zones were drawn on, as pixels: kept over restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Median of the first good looks.
    #[serde(with = "crate::journal::text::one")]
    pub thumbnail: Thumbnail,
    /// Detail of the same ([`xueliang_base::look::Scene::detail`]).
    pub detail: f32,
    /// The configuration's number of the view; another number makes this reference void.
    pub view: u32,
    /// The same view in the light of the last minutes.
    #[serde(default, with = "crate::journal::text::option")]
    pub recent: Option<Thumbnail>,
    /// The bare ground as each rule of left objects knows it.
    #[serde(default, with = "crate::journal::text::map")]
    pub grounds: BTreeMap<RuleId, Thumbnail>,
}

/// What a rule last knew: the answer to "why was there no alert".
#[derive(Debug, Clone, PartialEq)]
pub struct RuleState {
    /// The rule.
    pub rule: RuleId,
    /// Its kind.
    pub kind: Kind,
    /// Its latest evidence and when that was made; `None` before the first.
    pub evidence: Option<(Mono, Evidence)>,
    /// Whether it holds.
    pub active: bool,
}

/// What is wrong with a camera's latest picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PictureTroubles {
    /// Too dark to see the scene.
    pub dark: bool,
    /// Covered, blurred or uniform.
    pub covered: bool,
    /// The same as before, to the last bit, or found frozen by a rule.
    pub frozen: bool,
    /// Surely of another view than the zones were drawn on.
    pub view_moved: bool,
}

/// One camera's tracks, rules and incidents. A copy goes on by itself: given the same, both do the same.
#[derive(Debug, Clone)]
pub struct Analyst {
    lens: Lens,
    eyes: Eyes,
    /// It is of a drill camera: each drill begins and ends its incidents.
    drill: bool,
    /// Meanings that some rule follows over time; without any, nothing is tracked.
    tracked: BTreeSet<Meaning>,
    trackers: BTreeMap<ModelName, Tracker>,
    episodes: Vec<Episode>,
    last: Option<(Mono, Wall)>,
    troubles: PictureTroubles,
    /// When the rules' grounds were last put beside the reference.
    grounded: Option<Mono>,
    /// What it took over, in that order.
    adopted: Vec<Incident>,
}

/// How often the rules' grounds are renewed: as often as the recent form of the reference.
const GROUND_EVERY: Duration = Duration::from_secs(30);
/// Adopted incidents remembered for the journal: more than one camera has rules.
const MAX_ADOPTED: usize = 64;

impl Analyst {
    /// An analyst that has seen nothing. A stored reference of another view number is not used.
    ///
    /// Say with [`Analyst::with_models`] what the loaded models can see: without it a model's silence counts as
    /// absence only for meanings it has reported before.
    pub fn new(camera: &Camera, reference: Option<Reference>) -> Analyst {
        let tracked = camera
            .rules
            .iter()
            .filter(|rule| matches!(rule.condition, Condition::AgainstDirection { .. }))
            .flat_map(|rule| rule.condition.meanings())
            .collect();
        let lens = Lens::new(camera, reference);
        let ground = |rule: &Rule| lens.reference().and_then(|reference| reference.grounds.get(&rule.id));
        let episodes = camera.rules.iter().map(|rule| Episode::new(rule, camera, ground(rule))).collect();
        Self {
            lens,
            eyes: Eyes::default(),
            drill: camera.drill,
            tracked,
            trackers: BTreeMap::new(),
            episodes,
            last: None,
            troubles: PictureTroubles::default(),
            grounded: None,
            adopted: Vec::new(),
        }
    }
    /// Declares the loaded models and what each can see, in the order rules prefer them. The first model that lists
    /// a meaning serves it.
    #[must_use]
    pub fn with_models(mut self, models: &[ModelMeanings]) -> Self {
        self.eyes.declare(models);
        self
    }
    /// Tracks followed now.
    pub fn tracks(&self) -> usize {
        self.trackers.values().map(|tracker| tracker.tracks().len()).sum()
    }
    /// The models declared.
    pub fn models(&self) -> &[ModelMeanings] {
        self.eyes.declared()
    }
    /// Takes the next entry of the journal; gives what changed, in the order of the camera's rules.
    pub fn step(&mut self, observation: &Observation) -> Vec<Edge> {
        self.step_telling(observation, &mut |_, _| {})
    }
    /// As [`Analyst::step`], with what is to be noted in the camera's logbook.
    pub fn step_noting(&mut self, observation: &Observation) -> (Vec<Edge>, Noted) {
        let mut rules = Vec::with_capacity(self.episodes.len());
        let edges =
            self.step_telling(observation, &mut |episode, moment| rules.push(RuleNote::of(episode, moment)));
        for edge in &edges {
            let episodes = self.episodes.iter().position(|one| one.rule().id == edge.incident().rule);
            if let Some(note) = episodes.and_then(|index| rules.get_mut(index)) {
                note.turn(edge);
            }
        }
        (edges, Noted { rules, troubles: self.troubles })
    }
    /// `telling` is shown each rule, in order, after it took the entry.
    fn step_telling(
        &mut self,
        observation: &Observation,
        telling: &mut dyn FnMut(&Episode, &Moment<'_>),
    ) -> Vec<Edge> {
        self.last = Some((observation.at, observation.at_wall));
        let frozen = self
            .episodes
            .iter()
            .any(|e| e.incident().is_some() && matches!(e.rule().condition, Condition::Frozen));
        let mut picture = None;
        if let Ok(sight) = &observation.outcome {
            picture = self.lens.step(sight, frozen);
            if picture.is_none() {
                // The picture was looked at before, or came late: it tells nothing new, but that units arrive.
                tracing::debug!(look = %observation.look, "picture not later than the one before");
            } else {
                self.eyes.learn(&sight.views);
                self.follow(sight);
            }
            if let Some(picture) = &picture {
                self.troubles = self.lens.troubles(picture);
            }
        }
        let moment =
            Moment { observation, picture: picture.as_ref(), eyes: &self.eyes, trackers: &self.trackers };
        let mut edges = Vec::new();
        // Nobody sees the end of what a drill camera showed: it is over with the drill, and the next one begins anew.
        let over = self.drill && matches!(observation.outcome, Err(NotLooked::NotConnected));
        for episode in &mut self.episodes {
            if over {
                edges.extend(episode.drill_over(observation));
            }
            edges.extend(episode.step(&moment));
            telling(episode, &moment);
        }
        self.keep_grounds(observation.at);
        edges
    }
    fn keep_grounds(&mut self, at: Mono) {
        if self.grounded.is_some_and(|last| at.since(last) < GROUND_EVERY) {
            return;
        }
        let known = |episode: &Episode| Some((episode.rule().id.clone(), episode.ground()?));
        let grounds: BTreeMap<RuleId, Thumbnail> = self.episodes.iter().filter_map(known).collect();
        if !grounds.is_empty() && self.lens.reference().is_some() {
            self.lens.keep_grounds(grounds);
            self.grounded = Some(at);
        }
    }
    fn follow(&mut self, sight: &xueliang_base::look::Sight) {
        if self.tracked.is_empty() {
            return;
        }
        for view in &sight.views {
            let detections: Vec<Detection> = view
                .detections
                .iter()
                .filter(|d| self.tracked.contains(&d.meaning) && self.eyes.serves(&view.model, d.meaning))
                .copied()
                .collect();
            let new = || Tracker::new(TrackParams::default());
            self.trackers.entry(view.model.clone()).or_insert_with(new).step(sight.arrival, &detections);
        }
    }
    /// Ends all incidents because the camera goes.
    pub fn retire(&mut self, now: Mono) -> Vec<Edge> {
        let wall = self.last.map(|(at, wall)| wall.plus(now.since(at)));
        self.episodes.iter_mut().filter_map(|episode| episode.retire(now, wall)).collect()
    }
    /// The incidents that hold, in the order of the camera's rules.
    pub fn active(&self) -> Vec<&Incident> {
        self.episodes.iter().filter_map(Episode::incident).collect()
    }
    /// Takes over an incident of an earlier process life, or of before other rules were put in force; it is resolved only on
    /// observed absence. Where no rule of that name and kind is left that watches the same place, the incident comes back
    /// resolved: another place's emptiness says nothing of this one.
    pub fn adopt(&mut self, incident: Incident) -> Option<Edge> {
        if self.adopted.len() < MAX_ADOPTED {
            self.adopted.push(incident.clone());
        }
        let heir = self.episodes.iter_mut().find(|episode| {
            episode.rule().id == incident.rule
                && episode.rule().kind == incident.kind
                && episode.place() == (incident.zone.as_ref(), incident.polygon.as_ref())
        });
        match heir {
            Some(episode) => {
                episode.adopt(incident);
                None
            }
            None => Some(Edge::Resolved(incident, Resolution::RuleRemoved)),
        }
    }
    /// What it was given to take over, for the journal's head.
    pub fn adopted(&self) -> &[Incident] {
        &self.adopted
    }
    /// The reference view, once it is known. Store it when it changes; it does so at most twice a minute.
    pub fn reference(&self) -> Option<&Reference> {
        self.lens.reference()
    }
    /// What is wrong with the latest picture.
    pub fn troubles(&self) -> PictureTroubles {
        self.troubles
    }
    /// Its rules with their state, in the order of the camera's list.
    pub(crate) fn episodes(&self) -> &[Episode] {
        &self.episodes
    }
    /// Memory taken, approximately.
    pub fn bytes(&self) -> usize {
        let tracks = self.trackers.values().map(Tracker::bytes).sum::<usize>();
        size_of::<Self>() + tracks + self.episodes.iter().map(Episode::bytes).sum::<usize>()
    }
    /// What every rule last knew.
    pub fn rule_states(&self) -> Vec<RuleState> {
        self.episodes
            .iter()
            .map(|episode| RuleState {
                rule: episode.rule().id.clone(),
                kind: episode.rule().kind,
                evidence: episode.evidence(),
                active: episode.incident().is_some(),
            })
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod staging;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod thinning;
