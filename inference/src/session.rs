//! Running a model on a picture.
//!
//! [`Detector`] is what a look worker holds: one a model and worker, never shared. `ort` is the real one, `fake` says what
//! a test tells it to.

use xueliang_base::{detection::Detection, picture::Picture};

use crate::{Error, model::Manifest};

pub mod fake;
pub mod ort;

pub use self::ort::init_runtime;

/// What one model saw in one picture, and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// Detections by falling score, each object once.
    pub detections: Vec<Detection>,
    /// Whether the model's list was full, so that objects may be missing from it.
    pub saturated: bool,
    /// Microseconds from picture to tensor.
    pub preprocess_us: u64,
    /// Microseconds of running the model and reading its output.
    pub infer_us: u64,
}

/// One model, ready to look. A look blocks for milliseconds: it belongs on a thread of its own.
pub trait Detector: Send {
    /// What the model takes and gives.
    fn model(&self) -> &Manifest;
    /// Looks at one picture. `min_score` replaces the manifest's threshold (a low one is for redaction).
    ///
    /// An error means that nothing was seen *and nothing is known*: it never stands for an empty scene.
    fn look(&mut self, picture: &Picture, min_score: Option<f32>) -> Result<Looked, Error>;
}
