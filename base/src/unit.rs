//! Access units: encoded pictures as a session delivers them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::time::{CameraTime, Mono, Wall};

/// How a stream is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// ITU-T H.264, Annex B byte stream.
    H264,
    /// ITU-T H.265, Annex B byte stream.
    H265,
    /// Motion JPEG: every unit is a JPEG file.
    Mjpeg,
}

impl Codec {
    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "H.264",
            Codec::H265 => "H.265",
            Codec::Mjpeg => "MJPEG",
        }
    }
}

/// One encoded picture. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Counts the units of one camera in order of arrival, from 1, over reconnects.
    pub seq: u64,
    /// Encoding.
    pub codec: Codec,
    /// Whether decoding may begin here. Keyframes carry their parameter sets in band.
    pub keyframe: bool,
    /// Whether units are missing, or a new session began, just before this one.
    pub discontinuity: bool,
    /// Presentation time on the session's media clock, in microseconds; `None` where the stream gives none.
    pub pts_us: Option<i64>,
    /// When its last byte had arrived here.
    pub arrival: Mono,
    /// The same moment by this machine's wall clock.
    pub arrival_wall: Wall,
    /// The camera's own time of it, where the stream tells.
    pub camera_time: Option<CameraTime>,
    /// Annex B byte stream, or one JPEG file.
    pub data: Bytes,
}
