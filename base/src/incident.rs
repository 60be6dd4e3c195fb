//! Incidents: rules that hold, as the rules see them; the node turns them into alerts.

use serde::{Deserialize, Serialize};

use crate::{
    geometry::{Polygon, Rect},
    id::{LookId, ModelName, RuleId, ZoneId},
    kind::{Kind, Level},
    look::NotLooked,
    time::{CameraTime, Mono, Wall},
};

/// What a rule knows about a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The condition was seen to hold.
    Seen,
    /// The place was looked at and the condition did not hold.
    NotSeen,
    /// Nothing can be said. Neither fires nor resolves.
    NotLooked(NotLooked),
}

/// What a measure measures. The unit is part of the meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureKind {
    /// Objects counted in the zone.
    Count,
    /// Objects per square metre.
    DensityPerM2,
    /// Seconds the condition has held.
    DwellS,
    /// Share of the zone that is covered, 0..=1.
    CoveredShare,
    /// Degrees between the travel seen and the direction allowed.
    AngleDeg,
    /// Mean luma, 0..=255.
    MeanLuma,
    /// Seconds without a (new) picture.
    SilenceS,
    /// Similarity of the live view with the reference, -1..=1.
    ViewMatch,
    /// Share of the room for evidence that is used, 0..=1.
    UsedShare,
    /// Days until the room for evidence is used up.
    DaysLeft,
}

/// A typed number of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What it is.
    pub kind: MeasureKind,
    /// Its value, in the unit of the kind.
    pub value: f64,
}

/// What a threshold bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdKind {
    /// Least score of a detection.
    Score,
    /// Least seconds the condition must have been seen to hold.
    DwellS,
    /// Longest gap between two looks that still counts as watched.
    MaxGapS,
    /// Seconds of observed absence that resolve it.
    ClearS,
    /// Least objects per square metre.
    DensityPerM2,
    /// Widest angle from the allowed direction, degrees.
    AngleDeg,
    /// Least share of looks that must have seen it.
    SeenShare,
    /// Seconds without a (new) picture.
    SilenceS,
    /// Luma bound.
    MeanLuma,
    /// Least similarity with the reference view.
    ViewMatch,
    /// Share of the room for evidence that is used.
    UsedShare,
}

/// A threshold that applied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// What it bounds.
    pub kind: ThresholdKind,
    /// The bound.
    pub value: f64,
}

/// A look that counted towards an incident.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LookRef {
    /// Its number.
    pub look: LookId,
    /// Arrival of its picture, by the wall clock.
    pub at_wall: Wall,
    /// Best score that counted; 0 where the rule does not use scores.
    pub score: f32,
}

/// Why an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The place was looked at and the condition no longer held.
    ObservedAbsence,
    /// The rule or the camera was taken out of the configuration.
    RuleRemoved,
    /// It was a drill, and that is over: nobody saw it end.
    DrillOver,
}

/// A rule holding at one place. One rule has at most one incident at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The rule.
    pub rule: RuleId,
    /// Kind of hazard.
    pub kind: Kind,
    /// Severity, at most 2 by a detector.
    pub level: Level,
    /// The zone it concerns; `None` for the whole picture.
    pub zone: Option<ZoneId>,
    /// That zone's outline at the time.
    pub polygon: Option<Polygon>,
    /// Arrival of the first picture that counted.
    pub started_wall: Wall,
    /// Arrival of the picture that made it fire (or change, or end): the start of its ages.
    pub decided_arrival: Mono,
    /// The same by the wall clock.
    pub decided_wall: Wall,
    /// The camera's own time of that picture.
    pub camera_time: Option<CameraTime>,
    /// Arrival of the last picture that saw it, by the wall clock.
    pub last_seen_wall: Wall,
    /// Looks that saw it.
    pub count: u64,
    /// Best score so far; 0 where the rule does not use scores.
    pub confidence: f32,
    /// Typed numbers.
    pub measures: Vec<Measure>,
    /// Where in the picture; at most 32.
    pub regions: Vec<Rect>,
    /// The thresholds that applied.
    pub thresholds: Vec<Threshold>,
    /// The looks that counted, the latest 16.
    pub looks: Vec<LookRef>,
    /// The model whose detections counted.
    pub model: Option<ModelName>,
}

/// A change of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// It began to hold.
    Raised(Incident),
    /// It holds on and something worth telling changed (level, measures at most every 10 s).
    Updated(Incident),
    /// It ended.
    Resolved(Incident, Resolution),
}

impl Edge {
    /// The incident as it is after the change.
    pub fn incident(&self) -> &Incident {
        match self {
            Edge::Raised(incident) | Edge::Updated(incident) | Edge::Resolved(incident, _) => incident,
        }
    }
}
