//! Access units to pictures, for the few units that are looked at.
//!
//! A [`Decoder`] works on the thread that calls it and has none of its own: when a call returns, every unit given to
//! it has been decoded, so nothing has to be waited for. Pictures share their bytes with the decoder's buffers; they
//! are copied only where the decoder's layout is not one of ours. A unit that keeps the decoder busy for ever cannot
//! be interrupted from inside; whoever must not hang runs decoders in a process that can be killed (the worker).

use xueliang_base::{
    error::ErrorKind,
    picture::Picture,
    unit::{AccessUnit, Codec},
};

use crate::gst::decode::{Coding, Engine, Feed};
use crate::nal;

#[cfg(test)]
mod tests;

/// Bounds on what may reach a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// In pixels, as coded (a multiple of 16 for H.264: 1088 for a picture of 1080 lines).
    pub max_width: u32,
    /// In pixels, as coded.
    pub max_height: u32,
}

impl DecodeLimits {
    /// Whether a picture of that size may be decoded. Sizes are compared as coded, in whole macroblocks.
    pub fn allow(self, width: u32, height: u32) -> bool {
        width <= self.max_width.next_multiple_of(16) && height <= self.max_height.next_multiple_of(16)
    }
}

/// Which pictures are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Only the newest that came out.
    Last,
    /// All, in order of showing.
    All,
}

/// What came out.
#[derive(Debug, Clone, Default)]
pub struct Decoded {
    /// Pictures, in order of showing. With reordered pictures they lag behind the units.
    pub pictures: Vec<Picture>,
    /// Units that the decoder took.
    pub units_decoded: usize,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The picture is larger than allowed.
    #[error(
        "a picture of {width}x{height} is larger than {}x{} allows: raise `max_width` and `max_height`, or choose \
         the camera's sub-stream", limits.max_width, limits.max_height
    )]
    TooLarge {
        /// Announced width.
        width: u32,
        /// Announced height.
        height: u32,
        /// What is allowed.
        limits: DecodeLimits,
    },
    /// The decoder gave no picture.
    #[error("unit {seq} gives no picture: {reason}")]
    Undecodable {
        /// The unit, or the last of them.
        seq: u64,
        /// What the decoder says.
        reason: String,
    },
    /// The units are of another encoding than the decoder.
    #[error("a {} unit was given to a decoder of {}: make a new one", unit.name(), decoder.name())]
    WrongCodec {
        /// What the decoder is for.
        decoder: Codec,
        /// What it was given.
        unit: Codec,
    },
    /// GStreamer does not build a decoder.
    #[error("build a decoder: {0}")]
    Build(String),
}

impl DecodeError {
    /// What it means to its caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DecodeError::TooLarge { .. } => ErrorKind::Exhausted,
            DecodeError::Undecodable { .. } => ErrorKind::DataLoss,
            DecodeError::WrongCodec { .. } => ErrorKind::InvalidInput,
            DecodeError::Build(_) => ErrorKind::Internal,
        }
    }
}

/// A decoder of one encoding. It keeps its references from call to call, for continued looks.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    limits: DecodeLimits,
    engine: Engine,
    /// It has references that a keyframe look must not leave behind or find.
    dirty: bool,
}

impl Decoder {
    /// A decoder for that encoding. After a change of encoding make a new one; changes of size it follows.
    pub fn new(codec: Codec, limits: DecodeLimits) -> Result<Self, DecodeError> {
        let coding = match codec {
            Codec::H264 => Coding::H264,
            Codec::H265 => Coding::H265,
            Codec::Mjpeg => Coding::Mjpeg,
        };
        Ok(Self { codec, limits, engine: Engine::build(coding, limits, None)?, dirty: false })
    }
    /// Decodes units in order; the first after making, [`Decoder::drain`] or [`Decoder::reset`] is a keyframe. After
    /// an error the references are gone: start again with a keyframe.
    pub fn decode(&mut self, units: &[AccessUnit], want: Want) -> Result<Decoded, DecodeError> {
        self.engine.want(want);
        self.dirty = true;
        let mut units_decoded = 0;
        for unit in units {
            if let Err(error) = self.feed(unit) {
                self.reset();
                return Err(error);
            }
            units_decoded += 1;
        }
        Ok(Decoded { pictures: self.engine.collect()?, units_decoded })
    }
    /// Gives out the pictures that were waiting for their order, and forgets all references.
    pub fn drain(&mut self, want: Want) -> Result<Decoded, DecodeError> {
        self.engine.want(want);
        self.engine.finish();
        let pictures = self.engine.collect();
        self.reset();
        Ok(Decoded { pictures: pictures?, units_decoded: 0 })
    }
    /// Decodes one keyframe by itself: nothing of earlier units is used, nothing is kept for later ones.
    pub fn decode_keyframe(&mut self, unit: &AccessUnit) -> Result<Picture, DecodeError> {
        if self.dirty {
            self.reset();
        }
        self.engine.want(Want::Last);
        self.dirty = true;
        let fed = self.feed(unit);
        if fed.is_ok() {
            self.engine.finish();
        }
        let pictures = fed.and_then(|()| self.engine.collect());
        let said = self.engine.said();
        self.reset();
        pictures?.pop().ok_or_else(|| DecodeError::Undecodable {
            seq: unit.seq,
            reason: said.unwrap_or_else(|| "it is damaged, or needs another before it".to_owned()),
        })
    }
    /// Forgets all references and pictures not yet given out.
    pub fn reset(&mut self) {
        self.engine.flush();
        self.dirty = false;
    }
    fn feed(&mut self, unit: &AccessUnit) -> Result<(), DecodeError> {
        if unit.codec != self.codec {
            return Err(DecodeError::WrongCodec { decoder: self.codec, unit: unit.codec });
        }
        // The caps filter behind the parser sees one parameter set a unit; a hostile unit may bring several.
        let survey = nal::survey(unit.codec, &unit.data);
        if let Some((width, height)) = survey.largest
            && !self.limits.allow(width, height)
        {
            return Err(DecodeError::TooLarge { width, height, limits: self.limits });
        }
        if survey.unbounded {
            let reason = "a sequence parameter set does not tell the size of its pictures".to_owned();
            return Err(DecodeError::Undecodable { seq: unit.seq, reason });
        }
        self.engine.feed(&Feed {
            seq: unit.seq,
            discontinuity: unit.discontinuity,
            arrival: unit.arrival,
            arrival_wall: unit.arrival_wall,
            camera_time: unit.camera_time,
            data: unit.data.clone(),
        })
    }
}
