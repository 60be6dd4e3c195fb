//! Rules: what each kind of condition knows about a look, as [`Evidence`], and what follows over time, as edges.
//!
//! One file a kind of condition; each says at its head what it can and cannot tell. All are pure: the same journal
//! gives the same edges.
//!
//! # What may be said of which picture
//!
//! | the picture | Seen | NotSeen |
//! |---|---|---|
//! | dark, overexposed, covered | counts, where a model saw it | `NotLooked(Blind)` |
//! | the same again, to the last bit | `NotLooked(Frozen)` | `NotLooked(Frozen)` |
//! | of another view, rules with a zone | `NotLooked(ViewMoved)` (fire and smoke count) | `NotLooked(ViewMoved)` |
//! | perhaps of another view (not yet sure) | counts | `NotLooked(ViewMoved)` |
//!
//! So a bad picture may raise an alert and never ends one. A look at which the rule's model did not run says nothing,
//! not even that nobody looked.

use std::collections::BTreeMap;

use xueliang_base::{
    config::{Camera, Condition, Rule, Zone},
    detection::{Detection, Meaning},
    geometry::{Point, Polygon, Rect},
    id::ModelName,
    incident::{Evidence, Measure, MeasureKind, Threshold, ThresholdKind},
    look::{NotLooked, Observation, Sight, Thumbnail},
    time::Mono,
};

use crate::{
    analyst::{eyes::Eyes, lens::PictureState},
    track::Tracker,
};

pub mod blocking;
pub mod burning;
pub mod covered;
pub mod dark;
pub mod density;
pub mod direction;
pub mod frozen;
pub mod in_zone;
pub mod left_object;
pub mod moved;
pub mod signal;
pub mod timing;

mod blobs;
mod episode;
mod near;
mod places;

pub(crate) use episode::Episode;
pub(crate) use near::Near;
pub(crate) use timing::Progress;
use timing::Subject;

/// Regions an incident carries.
pub(crate) const MAX_REGIONS: usize = 32;

/// What one look told one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Seen, not seen, or nothing can be said.
    pub evidence: Evidence,
    /// For what it holds; empty unless seen.
    pub subjects: Vec<Subject>,
    /// Typed numbers of this look.
    pub measures: Vec<Measure>,
    /// Where in the picture, best first; at most 32.
    pub regions: Vec<Rect>,
    /// Best score that counted; 0 where the rule does not use scores.
    pub score: f32,
    /// The model that gave it.
    pub model: Option<ModelName>,
}

impl Finding {
    /// The condition holds, for the whole zone.
    pub(crate) fn seen() -> Self {
        Self { evidence: Evidence::Seen, subjects: vec![Subject::WHOLE], ..Self::not_seen() }
    }
    /// The place was looked at and the condition does not hold.
    pub(crate) fn not_seen() -> Self {
        Self {
            evidence: Evidence::NotSeen,
            subjects: Vec::new(),
            measures: Vec::new(),
            regions: Vec::new(),
            score: 0.0,
            model: None,
        }
    }
    /// Nothing can be said.
    pub(crate) fn not_looked(reason: NotLooked) -> Self {
        Self { evidence: Evidence::NotLooked(reason), ..Self::not_seen() }
    }
    /// Seen if `holds`.
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::seen() } else { Self::not_seen() }
    }
    pub(crate) fn measure(mut self, kind: MeasureKind, value: f64) -> Self {
        self.measures.push(Measure { kind, value });
        self
    }
    /// Seen where any detection counted, with their boxes, best score and its model. `None` where there is none and
    /// not all models looked.
    pub(crate) fn of_detections(hits: &[Hit<'_>], complete: bool) -> Option<Self> {
        let mut finding = Self::of(!hits.is_empty());
        if let Some(best) = hits.iter().max_by(|a, b| a.detection.score.total_cmp(&b.detection.score)) {
            finding.score = best.detection.score;
            finding.model = Some(best.model.clone());
        }
        finding.regions = regions(hits.iter().map(|hit| hit.detection.rect));
        (complete || !hits.is_empty()).then_some(finding)
    }
}

/// At most 32 regions within the picture.
pub(crate) fn regions(rects: impl Iterator<Item = Rect>) -> Vec<Rect> {
    rects.take(MAX_REGIONS).map(Rect::clamped).collect()
}

/// A detection and the model that made it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit<'a> {
    pub(crate) detection: &'a Detection,
    pub(crate) model: &'a ModelName,
}

/// Everything a rule may know of one entry of the journal.
pub(crate) struct Moment<'a> {
    pub(crate) observation: &'a Observation,
    /// What the picture says of the camera; present exactly where there was a picture.
    pub(crate) picture: Option<&'a PictureState>,
    pub(crate) eyes: &'a Eyes,
    pub(crate) trackers: &'a BTreeMap<ModelName, Tracker>,
}

impl<'a> Moment<'a> {
    pub(crate) fn sight(&self) -> Option<&'a Sight> {
        self.observation.outcome.as_ref().ok()
    }
    /// The detections of these meanings from this score on, best first; `None` where there is no picture.
    pub(crate) fn hits(&self, meanings: &[Meaning], min_score: f32) -> Option<Hits<'a>> {
        let looked = self.eyes.look(meanings, &self.sight()?.views);
        let mut hits = looked.hits;
        hits.retain(|hit| hit.detection.score >= min_score);
        hits.sort_by(|a, b| b.detection.score.total_cmp(&a.detection.score));
        Some(Hits { hits, complete: looked.complete, nobody: looked.models.is_empty() })
    }
}

/// Detections of some meanings.
pub(crate) struct Hits<'a> {
    /// Best first.
    pub(crate) hits: Vec<Hit<'a>>,
    /// Whether the models of all the meanings looked, so that none is an absence.
    pub(crate) complete: bool,
    /// Whether no model of any of the meanings looked.
    pub(crate) nobody: bool,
}

/// Where a rule looks.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) polygon: Polygon,
    /// Whether it is a zone, bound to the view, rather than the whole picture.
    pub(crate) zoned: bool,
}

impl Place {
    fn new(zone: Option<&Zone>) -> Self {
        Self { polygon: zone.map_or_else(Polygon::full, |zone| zone.polygon.clone()), zoned: zone.is_some() }
    }
    pub(crate) fn contains(&self, point: Point) -> bool {
        // A box that reaches the picture's edge stands on it, and the even-odd rule excludes edges.
        !self.zoned || self.polygon.contains(Point::new(point.x.min(0.9999), point.y.min(0.9999)))
    }
    pub(crate) fn covers(&self, rect: &Rect) -> f32 {
        if self.zoned { self.polygon.covers(rect) } else { 1.0 }
    }
}

/// A condition with what it remembers.
#[derive(Debug, Clone)]
enum Judge {
    InZone,
    Blocking(Box<blocking::Blocking>),
    AgainstDirection,
    Density,
    StaticForeground(Box<left_object::StaticForeground>),
    Burning,
    Dark,
    Covered,
    Frozen(frozen::Frozen),
    Moved,
    NoSignal(signal::Signal),
}

/// A rule's condition at its place.
#[derive(Debug, Clone)]
pub(crate) struct Conditioned {
    condition: Condition,
    place: Place,
    judge: Judge,
    max_gap: std::time::Duration,
}

impl Conditioned {
    /// `ground` is what the rule knew of the bare ground in an earlier process life.
    pub(crate) fn new(rule: &Rule, camera: &Camera, ground: Option<&Thumbnail>) -> Self {
        let zone = rule.zone.as_ref().and_then(|id| camera.zone(id));
        let judge = match &rule.condition {
            Condition::InZone { .. } => Judge::InZone,
            Condition::Blocking { .. } => Judge::Blocking(Box::new(blocking::Blocking::new(&rule.timing))),
            Condition::AgainstDirection { .. } => Judge::AgainstDirection,
            Condition::Density { .. } => Judge::Density,
            Condition::StaticForeground { .. } => {
                Judge::StaticForeground(Box::new(left_object::StaticForeground::new(&rule.timing, ground)))
            }
            Condition::Burning { .. } => Judge::Burning,
            Condition::Dark { .. } => Judge::Dark,
            Condition::Covered { .. } => Judge::Covered,
            Condition::Frozen => Judge::Frozen(frozen::Frozen::default()),
            Condition::Moved { .. } => Judge::Moved,
            Condition::NoSignal => Judge::NoSignal(signal::Signal::default()),
        };
        Self {
            condition: rule.condition.clone(),
            place: Place::new(zone),
            judge,
            max_gap: rule.timing.max_gap,
        }
    }
    /// When the evidence of this entry was made: the picture's arrival, where there was one.
    pub(crate) fn when(&self, observation: &Observation) -> Mono {
        match (&observation.outcome, &self.condition) {
            (Ok(sight), condition) if condition.needs_picture() => sight.arrival,
            _ => observation.at,
        }
    }
    /// What is known of the bare ground, for rules that compare with it.
    pub(crate) fn ground(&self) -> Option<Thumbnail> {
        match &self.judge {
            Judge::StaticForeground(state) => state.ground(),
            _ => None,
        }
    }
    /// What this entry tells; `None` where it tells nothing, not even that nobody looked. `active` are the regions of the
    /// rule's incident, where it has one.
    pub(crate) fn judge(&mut self, moment: &Moment<'_>, active: &[Rect]) -> Option<Finding> {
        if let Judge::NoSignal(signal) = &mut self.judge {
            return Some(signal.judge(moment.observation));
        }
        let (sight, picture) = match (&moment.observation.outcome, moment.picture) {
            (Err(reason), _) => return Some(Finding::not_looked(*reason)),
            (Ok(sight), Some(picture)) => (sight, picture),
            (Ok(_), None) => return None,
        };
        match (&mut self.judge, &self.condition) {
            // The camera's own state: these decide what the others may say, and are told apart among themselves.
            (Judge::Dark, Condition::Dark { max_luma }) => Some(dark::judge(&sight.scene, *max_luma)),
            (Judge::Covered, Condition::Covered { lost_detail }) => covered::judge(picture, *lost_detail),
            (Judge::Frozen(frozen), _) => Some(frozen.judge(sight, picture)),
            (Judge::Moved, Condition::Moved { min_match }) => moved::judge(picture, *min_match),
            _ => self.judge_scene(moment, picture, active),
        }
    }
    fn judge_scene(
        &mut self,
        moment: &Moment<'_>,
        picture: &PictureState,
        active: &[Rect],
    ) -> Option<Finding> {
        if picture.frozen {
            return Some(Finding::not_looked(NotLooked::Frozen));
        }
        let burning = matches!(self.judge, Judge::Burning);
        if self.place.zoned && picture.view.moved() && !burning {
            return Some(Finding::not_looked(NotLooked::ViewMoved));
        }
        let doubt = if picture.blind {
            Some(NotLooked::Blind)
        } else if self.place.zoned && picture.view.doubtful() {
            Some(NotLooked::ViewMoved)
        } else {
            None
        };
        let finding = match (&mut self.judge, &self.condition) {
            (Judge::InZone, Condition::InZone { meanings, min_score }) => {
                in_zone::judge(moment, &self.place, meanings, *min_score)
            }
            (Judge::Blocking(state), Condition::Blocking { meanings, min_score, min_inside }) => {
                state.judge(moment, &self.place, meanings, (*min_score, *min_inside), doubt.is_none())
            }
            (Judge::AgainstDirection, condition) => {
                direction::judge(moment, &self.place, condition, self.max_gap)
            }
            (Judge::Density, Condition::Density { min_score, area_m2, per_m2 }) => {
                density::judge(moment, &self.place, *min_score, *area_m2, *per_m2)
            }
            (Judge::StaticForeground(state), Condition::StaticForeground { min_area, max_area }) => {
                // Pixels of a bad picture are neither evidence nor background.
                if picture.blind {
                    return Some(Finding::not_looked(NotLooked::Blind));
                }
                if picture.view.doubtful() {
                    return Some(Finding::not_looked(NotLooked::ViewMoved));
                }
                state.judge(moment, &self.place, (*min_area, *max_area), active)
            }
            (Judge::Burning, Condition::Burning { meaning, min_score }) => {
                burning::judge(moment, &self.place, *meaning, *min_score)
            }
            _ => None,
        }?;
        match doubt {
            // What only passes keeps no incident alive: to the timer it would be an absence.
            Some(reason) if finding.subjects.iter().all(|subject| !subject.lasting) => {
                Some(Finding::not_looked(reason))
            }
            _ => Some(finding),
        }
    }
    /// Memory taken beside its own, approximately.
    fn bytes(&self) -> usize {
        match &self.judge {
            Judge::StaticForeground(_) => left_object::BYTES,
            _ => 0,
        }
    }
    /// The thresholds this condition decides by, besides time.
    pub(crate) fn thresholds(&self) -> Vec<Threshold> {
        let t = |kind, value: f64| Threshold { kind, value };
        match &self.condition {
            Condition::InZone { min_score, .. }
            | Condition::Blocking { min_score, .. }
            | Condition::Burning { min_score, .. } => {
                vec![t(ThresholdKind::Score, f64::from(*min_score))]
            }
            Condition::AgainstDirection { min_score, tolerance_deg, .. } => vec![
                t(ThresholdKind::Score, f64::from(*min_score)),
                t(ThresholdKind::AngleDeg, *tolerance_deg),
            ],
            Condition::Density { min_score, per_m2, .. } => {
                vec![t(ThresholdKind::Score, f64::from(*min_score)), t(ThresholdKind::DensityPerM2, *per_m2)]
            }
            Condition::Dark { max_luma } => vec![t(ThresholdKind::MeanLuma, f64::from(*max_luma))],
            Condition::Moved { min_match } => vec![t(ThresholdKind::ViewMatch, f64::from(*min_match))],
            Condition::StaticForeground { .. }
            | Condition::Covered { .. }
            | Condition::Frozen
            | Condition::NoSignal => Vec::new(),
        }
    }
}
