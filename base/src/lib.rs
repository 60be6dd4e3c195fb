//! Shared vocabulary and mechanisms of every crate.
//!
//! Vocabulary: ids, time, geometry, kinds of hazard, cameras, access units, pictures, detections, looks,
//! incidents, alerts, cursors and the configuration. Mechanisms: clock, bounded queue, backoff, shutdown,
//! error kinds, metrics and logging. Nothing here knows a driver: no GStreamer, no ONNX Runtime, no SQL, no
//! tonic server.

pub mod accounting;
pub mod alert;
pub mod backoff;
pub mod config;
pub mod csv;
pub mod cursor;
pub mod detection;
pub mod error;
pub mod failpoint;
pub mod gate;
pub mod geometry;
pub mod id;
pub mod incident;
pub mod kind;
pub mod language;
pub mod limit;
pub mod look;
pub mod metrics;
pub mod picture;
pub mod point;
pub mod queue;
pub mod shutdown;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod unit;
pub mod vocabulary;
pub mod wall_step;
pub mod wire;
