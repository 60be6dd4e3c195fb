//! Decoded pictures.

use bytes::Bytes;

use crate::time::{CameraTime, Mono, Wall};

/// How the chroma planes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// Three planes: Y, U, V; chroma halved in both directions.
    I420,
    /// Two planes: Y, then U and V interleaved; chroma halved in both directions.
    Nv12,
}

/// One plane of bytes.
#[derive(Debug, Clone)]
pub struct Plane {
    /// Rows of `stride` bytes each.
    pub data: Bytes,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// One decoded access unit, limited range ("studio swing") YUV as cameras send it. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Layout of `planes`.
    pub format: PixelFormat,
    /// Whether the values use 0..=255 instead of 16..=235 (as JPEG does).
    pub full_range: bool,
    /// Two or three planes by `format`.
    pub planes: Vec<Plane>,
    /// The access unit it came from.
    pub unit_seq: u64,
    /// Arrival of that unit.
    pub arrival: Mono,
    /// Arrival of that unit by the wall clock.
    pub arrival_wall: Wall,
    /// The camera's own time of that unit.
    pub camera_time: Option<CameraTime>,
}
