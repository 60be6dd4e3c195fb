//! What an encoded picture cost, read from its first bytes and its length.

use xueliang_base::unit::{AccessUnit, Codec};

use crate::nal::{FirstSlices, PictureType};

/// How a picture is coded, as far as its cost depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// From itself: every JPEG, and keyframes.
    Intra,
    /// From other pictures; or it cannot be told.
    Inter,
    /// From two pictures at once.
    Between,
    /// From other pictures, and none is predicted from it: cheap by the encoder's choice.
    Unreferenced,
}

/// What the signal knows of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Bytes of its slices: without parameter sets, messages and filler. Never 0.
    pub bytes: u32,
    /// How it is coded.
    pub coding: Coding,
    /// Quantiser of its first slice, -48 to 51; `None` where it cannot be read.
    pub qp: Option<i8>,
    /// Coded width and height of the sequence; `None` where it is not known.
    pub size: Option<(u32, u32)>,
}

/// Reads the units of one stream, in order. A few hundred nanoseconds a unit: of its slices, only the first bytes are read.
#[derive(Debug, Default)]
pub struct Reader {
    slices: FirstSlices,
}

impl Reader {
    /// Reads the next unit.
    pub fn read(&mut self, unit: &AccessUnit) -> Facts {
        let data = &unit.data[..];
        if unit.codec == Codec::Mjpeg {
            return Facts { bytes: clamp(data.len()), coding: Coding::Intra, qp: None, size: None };
        }
        let found = self.slices.read(unit.codec, data);
        let (at, slice) = found.unwrap_or_default();
        let coding = match slice.picture {
            _ if unit.keyframe => Coding::Intra,
            PictureType::I => Coding::Intra,
            _ if found.is_some() && !slice.reference => Coding::Unreferenced,
            PictureType::B => Coding::Between,
            PictureType::P | PictureType::Other => Coding::Inter,
        };
        let bytes = clamp(without_filler(unit.codec, &data[at..]));
        Facts { bytes, coding, qp: slice.qp, size: self.slices.size(unit.codec) }
    }
}

fn clamp(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).max(1)
}

/// Filler data at the end (H.264 §7.3.2.7, H.265 §7.3.2.8) is how an encoder keeps a bit rate with nothing to say.
fn without_filler(codec: Codec, data: &[u8]) -> usize {
    let header: &[u8] = if codec == Codec::H264 { &[0, 0, 1, 0x0c] } else { &[0, 0, 1, 0x4c, 1] };
    let Some(body) = data.strip_suffix(&[0xff, 0x80]) else { return data.len() };
    let whole = 8 * body.rchunks_exact(8).take_while(|chunk| *chunk == [0xff; 8]).count();
    let body = &body[..body.len() - whole];
    let single = body.iter().rev().take_while(|byte| **byte == 0xff).count();
    body[..body.len() - single].strip_suffix(header).map_or(data.len(), <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filler_counts_for_nothing() {
        for (codec, header) in [(Codec::H264, &[0x0c_u8][..]), (Codec::H265, &[0x4c, 1])] {
            for filler in [1, 7, 8, 9, 300] {
                let mut data = vec![0x41, 0x9a, 7, 7];
                data.extend([0, 0, 1]);
                data.extend(header);
                data.extend(std::iter::repeat_n(0xff, filler));
                data.push(0x80);
                assert_eq!(without_filler(codec, &data), 4, "{codec:?} {filler}");
                data[4] = 1;
                assert_eq!(without_filler(codec, &data), data.len(), "no start code, no filler");
            }
        }
        assert_eq!(without_filler(Codec::H264, &[]), 0);
    }
}
