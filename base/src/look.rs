//! Looks: decisions to decode and infer a camera's freshest span, and what came of them.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    detection::Detection,
    id::{ConfigRevision, LookId, ModelName},
    time::{CameraTime, Mono, Wall},
};

/// How a look gets its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookKind {
    /// Decodes one keyframe, on any decoder.
    Keyframe,
    /// Feeds a leased decoder every unit since the last look.
    Continued,
}

/// Why nothing could be said of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotLooked {
    /// No access unit has come yet.
    Connecting,
    /// The camera cannot be reached or refuses us.
    Offline,
    /// Connected, but no access unit arrives.
    Stalled,
    /// The freshest keyframe would have been too old when done.
    TooOld,
    /// No worker was free in time.
    Busy,
    /// The worker did not answer by the deadline and was killed.
    Deadline,
    /// The worker died.
    WorkerLost,
    /// The decoder gave no picture.
    Undecodable,
    /// The picture is larger than allowed.
    TooLarge,
    /// The model failed.
    ModelFailed,
    /// The live view matches none of the camera's declared views: its zones mean nothing now.
    ViewMoved,
    /// Covered, dark or overexposed: the scene cannot be seen.
    Blind,
    /// The same picture again: nothing new was seen.
    Frozen,
    /// The camera is expected to be off at this time.
    ExpectedOff,
    /// Units arrive, and no rule needs a look yet.
    NotDue,
    /// Not connected, as the camera's acquisition says: between two visits of a patrol, or nobody asked.
    NotConnected,
}

impl NotLooked {
    /// The word for logs, metrics and the journal.
    pub fn word(self) -> &'static str {
        match self {
            NotLooked::Connecting => "connecting",
            NotLooked::Offline => "offline",
            NotLooked::Stalled => "stalled",
            NotLooked::TooOld => "too_old",
            NotLooked::Busy => "busy",
            NotLooked::Deadline => "deadline",
            NotLooked::WorkerLost => "worker_lost",
            NotLooked::Undecodable => "undecodable",
            NotLooked::TooLarge => "too_large",
            NotLooked::ModelFailed => "model_failed",
            NotLooked::ViewMoved => "view_moved",
            NotLooked::Blind => "blind",
            NotLooked::Frozen => "frozen",
            NotLooked::ExpectedOff => "expected_off",
            NotLooked::NotDue => "not_due",
            NotLooked::NotConnected => "not_connected",
        }
    }
}
impl fmt::Display for NotLooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A coarse grey copy of a picture (after privacy masks), for scene rules: [`Thumbnail::WIDTH`] by
/// [`Thumbnail::HEIGHT`] bytes, row by row, each the mean luma of its cell. Too coarse to tell who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail(Bytes);

impl Thumbnail {
    /// Cells across.
    pub const WIDTH: usize = 96;
    /// Cells down.
    pub const HEIGHT: usize = 54;

    /// Takes exactly `WIDTH * HEIGHT` bytes.
    pub fn new(cells: Bytes) -> Option<Self> {
        (cells.len() == Self::WIDTH * Self::HEIGHT).then_some(Self(cells))
    }
    /// The cells, row by row.
    pub fn cells(&self) -> &Bytes {
        &self.0
    }
}

/// What the pixels of one picture say about the camera itself, measured on the masked picture at full size.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Mean luma, 0..=255 full range.
    pub mean_luma: f32,
    /// Standard deviation of luma.
    pub std_luma: f32,
    /// Mean absolute difference of horizontally neighbouring pixels: falls when covered or blurred.
    pub detail: f32,
    /// Checksum of the luma plane: two pictures of a live sensor never agree.
    pub checksum: u64,
    /// Coarse grey copy.
    pub thumbnail: Thumbnail,
}

/// What one look saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// Arrival of the picture looked at.
    pub arrival: Mono,
    /// The same by the wall clock.
    pub arrival_wall: Wall,
    /// The camera's own time of it.
    pub camera_time: Option<CameraTime>,
    /// The models that looked, with what each saw; a model whose interval had not passed does not appear.
    pub views: Vec<ModelView>,
    /// The picture's own facts.
    pub scene: Scene,
    /// Picture width over height.
    pub aspect: f32,
}

/// What one model saw in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// The model.
    pub model: ModelName,
    /// Its detections at or above the model's threshold, by falling score.
    pub detections: Vec<Detection>,
}

/// One entry of a camera's journal: the only input of tracks and rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The look, counted by the node; 0 where no look was tried (a stalled stream, say).
    pub look: LookId,
    /// Keyframe or continued.
    pub kind: LookKind,
    /// The configuration in force.
    pub revision: ConfigRevision,
    /// When this entry was made. Entries of one journal never go back in it.
    pub at: Mono,
    /// The same by the wall clock.
    pub at_wall: Wall,
    /// What was seen, or why nothing could be.
    pub outcome: Result<Sight, NotLooked>,
}

/// Microseconds that one look spent in each stage, in the worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookCost {
    /// Decoding the span.
    pub decode_us: u64,
    /// Picture to tensor.
    pub preprocess_us: u64,
    /// Running the models.
    pub infer_us: u64,
}
