//! Looks become detections, tracks and incidents. Knows nothing of RTSP, consoles or storage.
//!
//! Two halves. *Pixels*: models, sessions, preprocessing, outputs, the scene's facts and redaction; they run in look
//! workers. *Decisions*: attention, tracks, rules, journal and logbook; they are pure, and run in the node.

// Pixels.
pub mod mask;
pub mod model;
pub mod nms;
pub mod output;
pub mod preprocess;
pub mod redact;
pub mod scene;
pub mod session;

// Decisions.
pub mod analyst;
pub mod attention;
pub mod capability;
pub mod explain;
pub mod journal;
pub mod logbook;
pub mod rules;
pub mod spare;
pub mod track;
pub mod trial;

mod error;
pub use error::Error;
