//! Pre-encoded clips: access units in decoding order, the order they are shown in, and what a decoder needs first.
//!
//! A clip is read from an elementary stream: Annex B for H.264 (`.h264`, `.264`) and H.265 (`.h265`, `.265`),
//! concatenated JFIF pictures for Motion JPEG (`.mjpeg`). Such a file carries no time, so the picture rate is given
//! by the caller or by the file's name: `gate@10fps.h264`. The order of showing is worked out from the pictures' order
//! counts, so that clips with B-frames get true timestamps.
//!
//! A clip is served in a loop and entered at any keyframe. That asks two things of it: its groups of pictures are
//! closed, and it begins with a keyframe (whatever stands before the first one is dropped).

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::rtp::Packets;

pub use rate::PictureRate;
pub(crate) use rate::RTP_CLOCK_HZ;

mod annexb;
mod assembly;
mod bits;
mod h264;
mod h265;
pub(crate) mod jpeg;
mod order;
mod rate;

pub(crate) use annexb::nal_units;

/// How a clip is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    H265,
    /// Motion JPEG: baseline JPEG pictures, as RFC 2435 carries them.
    Mjpeg,
}

/// One encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Annex B with start codes (H.264, H.265), or one whole JPEG. Parameter sets stand here only where the stream
    /// has them; see [`Clip::parameter_sets`].
    pub data: Bytes,
    /// A decoder can start here: IDR, BLA, or any JPEG.
    pub keyframe: bool,
    /// Place in the order of showing, from 0, within the clip.
    pub shown_at: u32,
}

/// NAL units, without start codes, that a decoder needs before the clip's first picture. Empty for JPEG.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterSets {
    /// Video parameter sets (H.265 only).
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

/// A clip, ready to be served by any number of cameras. Share it as `Arc<Clip>`: its RTP packets are made once.
#[derive(Debug)]
pub struct Clip {
    codec: Codec,
    rate: PictureRate,
    width: u32,
    height: u32,
    units: Vec<AccessUnit>,
    parameter_sets: ParameterSets,
    pictures_ahead: u32,
    packets: OnceLock<Packets>,
}

/// What a codec's reader makes of a stream.
struct Stream {
    width: u32,
    height: u32,
    units: Vec<AccessUnit>,
    parameter_sets: ParameterSets,
}

impl Clip {
    /// Reads a clip from a file; `rate` wins over the one in the file's name. Blocks on the file system.
    pub fn load(path: &Path, rate: Option<PictureRate>) -> Result<Arc<Self>, Error> {
        let codec = match path.extension().and_then(|extension| extension.to_str()) {
            Some("h264" | "264") => Codec::H264,
            Some("h265" | "265") => Codec::H265,
            Some("mjpeg") => Codec::Mjpeg,
            _ => return Err(Error::UnknownClipKind { path: path.to_owned() }),
        };
        let rate = match rate {
            Some(rate) => rate,
            None => PictureRate::from_file_name(path)?
                .ok_or_else(|| Error::NoPictureRate { path: path.to_owned() })?,
        };
        let stream = fs::read(path).map_err(|source| Error::ReadClip { path: path.to_owned(), source })?;
        Self::from_stream(codec, stream, rate)
            .map_err(|source| Error::LoadClip { path: path.to_owned(), source: Box::new(source) })
    }

    /// Reads a clip from an elementary stream in memory.
    pub fn from_stream(codec: Codec, stream: Vec<u8>, rate: PictureRate) -> Result<Arc<Self>, Error> {
        let stream = match codec {
            Codec::H264 => h264::read(&stream.into())?,
            Codec::H265 => h265::read(stream)?,
            Codec::Mjpeg => jpeg::read(stream.into())?,
        };
        Ok(Arc::new(Self::new(codec, rate, stream)))
    }

    fn new(codec: Codec, rate: PictureRate, stream: Stream) -> Self {
        let Stream { width, height, units, parameter_sets } = stream;
        let ahead = |(unit, place): (&AccessUnit, u32)| unit.shown_at.saturating_sub(place);
        let pictures_ahead = units.iter().zip(0..).map(ahead).max().unwrap_or(0);
        Self { codec, rate, width, height, units, parameter_sets, pictures_ahead, packets: OnceLock::new() }
    }

    /// A clip of empty pictures, each with its keyframe flag and its place in the order of showing.
    #[cfg(test)]
    pub(crate) fn of_units(rate: PictureRate, units: &[(bool, u32)]) -> Arc<Self> {
        let unit = |&(keyframe, shown_at)| AccessUnit { data: Bytes::new(), keyframe, shown_at };
        let units = units.iter().map(unit).collect();
        let stream = Stream { width: 16, height: 16, units, parameter_sets: ParameterSets::default() };
        Arc::new(Self::new(Codec::H264, rate, stream))
    }

    /// How the clip is encoded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Pictures a second.
    pub fn rate(&self) -> PictureRate {
        self.rate
    }

    /// Width in pixels, cropping applied.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, cropping applied.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The access units in decoding order; the first is a keyframe.
    pub fn units(&self) -> &[AccessUnit] {
        &self.units
    }

    /// What a decoder needs before the first picture.
    pub fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    /// How many pictures early the boldest picture is decoded: 0 without B-frames. An encoder that makes such a
    /// stream live is late by as many pictures.
    pub fn pictures_ahead(&self) -> u32 {
        self.pictures_ahead
    }

    /// One turn of the loop.
    pub fn duration(&self) -> Duration {
        self.rate.time_of(self.units.len() as u64)
    }

    /// The clip as RTP packets, made on the first call (about one copy of the clip's bytes).
    pub(crate) fn packets(&self) -> &Packets {
        self.packets.get_or_init(|| Packets::of(self))
    }
}
