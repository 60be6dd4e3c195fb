//! Alerts: incidents as the record keeps them and consoles receive them.
//!
//! One [`Alert`] is one *state* of one alert: `(id, revision)` never changes its content. The node mints the id
//! once, spools the state durably, and only then publishes it. What is on the wire is `wire.rs`.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    config::{Camera, Config, Upstream},
    geometry::{Point, Rect},
    id::{AlertId, AlertRevision, CameraId, ConfigRevision, DivisionCode, ModelName, RuleId, ZoneId},
    incident::{Edge, Incident, LookRef, Measure, Resolution, Threshold},
    kind::{Kind, Level},
    point::PointClass,
    time::{CameraTime, Wall, micros},
};

/// Most regions a state carries.
pub const MAX_REGIONS: usize = 32;
/// Most looks an explanation names: the latest.
pub const MAX_LOOKS: usize = 16;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// The condition holds, as far as was seen.
    Firing,
    /// It ended.
    Resolved {
        /// Why.
        why: Resolution,
        /// When.
        at: Wall,
    },
}

impl AlertState {
    /// Whether the condition still holds.
    pub fn is_firing(self) -> bool {
        self == AlertState::Firing
    }
}

/// The place, as registered when the alert was raised.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The camera, or the upstream or part of this service that an alert is about.
    pub camera: CameraId,
    /// What operators call it.
    pub camera_name: String,
    /// Divisions from the root down to the camera's own.
    pub division_path: Vec<DivisionCode>,
    /// Name of the camera's own division.
    pub division_name: String,
    /// Street address, where registered.
    pub address: Option<String>,
    /// Longitude and latitude, WGS-84 degrees.
    pub position: Option<[f64; 2]>,
    /// The zone; `None` for the whole picture.
    pub zone: Option<ZoneId>,
    /// The class of the camera point; `None` where it declares none, and for what is no camera.
    pub class: Option<PointClass>,
}

impl Place {
    /// The place of a camera of the configuration; its zone is the incident's.
    pub fn of_camera(config: &Config, camera: &Camera) -> Self {
        let own = config.divisions.iter().find(|division| division.code == camera.division);
        Self {
            camera: camera.id.clone(),
            camera_name: camera.name.clone(),
            division_path: config.division_path(&camera.division),
            division_name: own.map(|division| division.name.clone()).unwrap_or_default(),
            address: camera.address.clone(),
            position: camera.position,
            zone: None,
            class: camera.class,
        }
    }
    /// The place of an upstream: the lowest division that all cameras behind it lie in.
    pub fn of_upstream(config: &Config, upstream: &Upstream) -> Self {
        let division_path = config.common_path(&upstream.id);
        let own = config.divisions.iter().find(|division| Some(&division.code) == division_path.last());
        Self {
            camera: upstream.place(),
            camera_name: upstream.name.clone(),
            division_name: own.map(|division| division.name.clone()).unwrap_or_default(),
            division_path,
            address: None,
            position: None,
            zone: None,
            class: None,
        }
    }
}

/// A SHA-256, printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}
impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// A text that is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is 64 hexadecimal digits")]
pub struct Sha256Error;

impl FromStr for Sha256 {
    type Err = Sha256Error;
    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(Sha256Error);
        }
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0]).ok_or(Sha256Error)? << 4 | value(pair[1]).ok_or(Sha256Error)?;
        }
        Ok(Self(bytes))
    }
}

/// The model whose detections counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// Name in its manifest.
    pub name: ModelName,
    /// Version in its manifest.
    pub version: String,
    /// Of the model file; `None` where the publisher does not say.
    pub sha256: Option<Sha256>,
}

/// Why the rule fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Configuration in force.
    pub config: ConfigRevision,
    /// The rule.
    pub rule: RuleId,
    /// Thresholds that applied.
    pub thresholds: Vec<Threshold>,
    /// Looks that counted, the latest [`MAX_LOOKS`].
    pub looks: Vec<LookRef>,
    /// Outline of the zone at the time; empty for the whole picture.
    pub zone_outline: Vec<Point>,
    /// The model; `None` where the rule needs none.
    pub model: Option<ModelRef>,
}

/// Kinds of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EvidenceKind {
    /// One redacted picture, JPEG.
    Still,
    /// Redacted pictures around the incident at a low rate.
    Preview,
    /// Original footage.
    Clip,
}

impl EvidenceKind {
    /// Every kind.
    pub const ALL: [EvidenceKind; 3] = [EvidenceKind::Still, EvidenceKind::Preview, EvidenceKind::Clip];
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            EvidenceKind::Still => "still",
            EvidenceKind::Preview => "preview",
            EvidenceKind::Clip => "clip",
        }
    }
}

/// A stretch of footage without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Arrival of its first picture.
    pub start: Wall,
    /// Arrival of its last picture.
    pub end: Wall,
}

/// Facts about stored evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceFacts {
    /// Of the stored bytes, computed when they were made.
    pub sha256: Sha256,
    /// Bytes stored.
    pub size_bytes: u64,
    /// Whether persons and plates are made unrecognisable in it.
    pub redacted: bool,
    /// Arrival of its first picture.
    pub start: Wall,
    /// Arrival of its last picture.
    pub end: Wall,
    /// Stretches without a gap, in order.
    pub stretches: Vec<Stretch>,
}

/// A piece of evidence of an alert, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceRef {
    /// What it is.
    pub kind: EvidenceKind,
    /// Its facts, or the reason why it is missing.
    pub content: Result<EvidenceFacts, String>,
}

/// A stage in the life of an alert, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// From the arrival of the picture until a look took it.
    Wait,
    /// Decoding.
    Decode,
    /// Preprocessing and inference.
    Infer,
    /// From the worker's answer until the alert was minted.
    Decide,
    /// From minting until it was sent to the bus: the node's durable spool.
    Spool,
    /// On the way from node to bus: only bounded.
    Hop,
    /// From receipt by the bus until it was on disk.
    Commit,
    /// While a suppression held it back.
    Held,
    /// From the commit until it was handed to a subscription's connection.
    Deliver,
}

impl Stage {
    /// Every stage in order.
    pub const ALL: [Stage; 9] = [
        Stage::Wait,
        Stage::Decode,
        Stage::Infer,
        Stage::Decide,
        Stage::Spool,
        Stage::Hop,
        Stage::Commit,
        Stage::Held,
        Stage::Deliver,
    ];
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Wait => "wait",
            Stage::Decode => "decode",
            Stage::Infer => "infer",
            Stage::Decide => "decide",
            Stage::Spool => "spool",
            Stage::Hop => "hop",
            Stage::Commit => "commit",
            Stage::Held => "held",
            Stage::Deliver => "deliver",
        }
    }
}

/// Time spent in one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageTime {
    /// The stage.
    pub stage: Stage,
    /// Microseconds spent.
    pub duration_us: u64,
    /// The true value lies within this of `duration_us`; 0 within one process.
    pub uncertainty_us: u64,
}

impl StageTime {
    /// A stage measured within one process.
    pub fn exact(stage: Stage, spent: Duration) -> Self {
        Self { stage, duration_us: micros(spent), uncertainty_us: 0 }
    }
}

/// One state of one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Minted once by the node.
    pub id: AlertId,
    /// Grows with every state of this alert, from 1.
    pub revision: AlertRevision,
    /// Kind of hazard.
    pub kind: Kind,
    /// Severity.
    pub level: Level,
    /// Firing or resolved.
    pub state: AlertState,
    /// Where.
    pub place: Place,
    /// Arrival of the first picture that counted.
    pub started: Wall,
    /// Arrival of the last picture that saw it.
    pub last_seen: Wall,
    /// Looks that saw it.
    pub count: u64,
    /// Best confidence so far, 0..=1; 0 where the rule does not use scores.
    pub confidence: f32,
    /// Typed numbers.
    pub measures: Vec<Measure>,
    /// Where in the picture, at most [`MAX_REGIONS`].
    pub regions: Vec<Rect>,
    /// Why it fired.
    pub explanation: Explanation,
    /// Evidence so far.
    pub evidence: Vec<EvidenceRef>,
    /// Ages of this state by stage, in order of the stages.
    pub stages: Vec<StageTime>,
    /// The camera's own time of the picture that decided it.
    pub camera_time: Option<CameraTime>,
    /// Arrival of that picture.
    pub decided: Wall,
    /// Who published it; set by the bus, empty before.
    pub publisher: String,
    /// Part of a drill.
    pub drill: bool,
    /// Of [`Kind::UpstreamDown`]: all cameras that hang on what is down, in order; at most
    /// [`MAX_BEHIND`](crate::config::MAX_BEHIND).
    pub behind: Vec<CameraId>,
    /// Of the same: the divisions that they lie in beside those of the place, subtrees included, in order.
    pub divisions_behind: Vec<DivisionCode>,
    /// Of the same: the classes of the points behind it, in order.
    pub classes_behind: Vec<PointClass>,
}

/// What an incident needs besides itself to become an alert.
#[derive(Debug, Clone)]
pub struct Minting {
    /// Identity of the alert.
    pub id: AlertId,
    /// Number of this state.
    pub revision: AlertRevision,
    /// The camera's place; the zone is taken from the incident.
    pub place: Place,
    /// Configuration in force.
    pub config: ConfigRevision,
    /// The incident's model with version and checksum.
    pub model: Option<ModelRef>,
    /// Stages known so far, from arrival to minting.
    pub stages: Vec<StageTime>,
    /// Evidence so far.
    pub evidence: Vec<EvidenceRef>,
    /// Part of a drill.
    pub drill: bool,
}

impl Alert {
    /// The state that an edge of an incident leads to.
    pub fn from_edge(edge: &Edge, minting: Minting) -> Self {
        let state = match edge {
            Edge::Raised(_) | Edge::Updated(_) => AlertState::Firing,
            Edge::Resolved(incident, why) => AlertState::Resolved { why: *why, at: incident.decided_wall },
        };
        Self::from_incident(edge.incident(), state, minting)
    }
    /// A state of an incident. What a rule may not say is bounded here: at most level 2, at most
    /// [`MAX_REGIONS`] regions within the picture, the latest [`MAX_LOOKS`] looks, scores in 0..=1.
    pub fn from_incident(incident: &Incident, state: AlertState, minting: Minting) -> Self {
        let share = |value: f32| if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        let looks = &incident.looks[incident.looks.len().saturating_sub(MAX_LOOKS)..];
        let mut stages = minting.stages;
        stages.sort_by_key(|time| time.stage);
        Self {
            id: minting.id,
            revision: minting.revision,
            kind: incident.kind,
            level: incident.level.max(Level::SEVERE),
            state,
            place: Place { zone: incident.zone.clone(), ..minting.place },
            started: incident.started_wall,
            last_seen: incident.last_seen_wall,
            count: incident.count,
            confidence: share(incident.confidence),
            measures: incident.measures.iter().filter(|m| m.value.is_finite()).copied().collect(),
            regions: incident.regions.iter().take(MAX_REGIONS).map(|rect| rect.clamped()).collect(),
            explanation: Explanation {
                config: minting.config,
                rule: incident.rule.clone(),
                thresholds: incident.thresholds.iter().filter(|t| t.value.is_finite()).copied().collect(),
                looks: looks.iter().map(|look| LookRef { score: share(look.score), ..*look }).collect(),
                zone_outline: incident.polygon.as_ref().map(|p| p.points().to_vec()).unwrap_or_default(),
                model: minting.model,
            },
            evidence: minting.evidence,
            stages,
            camera_time: incident.camera_time,
            decided: incident.decided_wall,
            publisher: String::new(),
            drill: minting.drill,
            behind: Vec::new(),
            divisions_behind: Vec::new(),
            classes_behind: Vec::new(),
        }
    }
    /// The time spent in a stage, where known.
    pub fn stage(&self, stage: Stage) -> Option<StageTime> {
        self.stages.iter().find(|time| time.stage == stage).copied()
    }
    /// Sets the time of a stage, in its place in the order.
    pub fn set_stage(&mut self, time: StageTime) {
        self.stages.retain(|known| known.stage != time.stage);
        self.stages.push(time);
        self.stages.sort_by_key(|known| known.stage);
    }
    /// Sum of all stages so far: from the arrival of the deciding picture.
    pub fn age_us(&self) -> u64 {
        self.stages.iter().fold(0, |sum, time| sum.saturating_add(time.duration_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sha256_reads_what_it_prints() {
        let sum = Sha256::of(b"abc");
        assert_eq!(sum.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sum.to_string().parse::<Sha256>().unwrap(), sum);
        for bad in ["", "ba", &"g".repeat(64), &"é".repeat(32), &"a".repeat(65)] {
            assert!(bad.parse::<Sha256>().is_err(), "{bad}");
        }
    }
}
