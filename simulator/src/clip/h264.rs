//! Reads an H.264 byte stream: access units (§7.4.1.2.3), size from the SPS (§7.3.2.1.1), order from the slice headers
//! (§7.3.3). Progressive streams with picture order count types 0 and 2 are served; cameras make no others.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::assembly::{Role, Syntax, assemble};
use super::bits::Bits;
use super::order::{CountUnwrapper, Order};
use super::{ParameterSets, Stream};
use crate::error::Error;

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;

/// The type of a NAL unit.
fn nal_type(nal: &[u8]) -> u8 {
    nal[0] & 0x1f
}

/// What slice headers and sizes need of an SPS.
#[derive(Debug, Clone)]
struct Sps {
    nal: Bytes,
    width: u32,
    height: u32,
    frame_num_bits: u32,
    /// Bits of the low part of the order count (type 0), or none where order is decoding order (type 2).
    count_bits: Option<u32>,
    separate_planes: bool,
    frames_only: bool,
}

/// Reads a whole stream.
pub(super) fn read(stream: &Bytes) -> Result<Stream, Error> {
    assemble::<Reader>(stream)
}

/// Parameter sets met so far, and the running order count.
#[derive(Default)]
struct Reader {
    sps: BTreeMap<u32, Sps>,
    /// PPS by id, with the id of its SPS.
    pps: BTreeMap<u32, (Bytes, u32)>,
    counts: CountUnwrapper,
    /// Pictures since the last reset, for streams whose order is decoding order.
    decoded: i64,
}

impl Reader {
    fn take_sps(&mut self, nal: &Bytes) -> Result<(), Error> {
        let (id, sps) = parse_sps(nal)?;
        self.sps.insert(id, sps);
        Ok(())
    }

    fn take_pps(&mut self, nal: &Bytes) -> Result<(), Error> {
        let mut bits = Bits::new(nal, 1, "H.264 picture parameter set");
        let id = bits.exp_golomb_to(255)?;
        let sps_id = bits.exp_golomb_to(31)?;
        self.pps.insert(id, (nal.clone(), sps_id));
        Ok(())
    }

    /// The SPS of a slice, with the header's bits standing after the id of the PPS.
    fn slice(&self, nal: &Bytes) -> Result<(&Sps, Bits), Error> {
        let mut bits = Bits::new(nal, 1, "H.264 slice header");
        bits.exp_golomb()?; // first_mb_in_slice
        bits.exp_golomb_to(9)?; // slice_type
        let pps_id = bits.exp_golomb_to(255)?;
        let sps =
            self.pps.get(&pps_id).and_then(|(_, sps_id)| self.sps.get(sps_id)).ok_or(Error::NoKeyframe)?;
        Ok((sps, bits))
    }
}

impl Syntax for Reader {
    fn role(nal: &[u8]) -> Role {
        // first_mb_in_slice is 0 where its one-bit code comes first.
        match (nal_type(nal), nal.get(1).is_some_and(|byte| byte & 0x80 != 0)) {
            (kind @ SLICE..=IDR_SLICE, true) => Role::FirstSlice { keyframe: kind == IDR_SLICE },
            (SLICE..=IDR_SLICE, false) => Role::Slice,
            (SEI | SPS | PPS | DELIMITER | 14..=18, _) => Role::Opens,
            _ => Role::Other,
        }
    }

    fn remember(&mut self, nal: &Bytes) -> Result<(), Error> {
        match nal_type(nal) {
            SPS => self.take_sps(nal),
            PPS => self.take_pps(nal),
            _ => Ok(()),
        }
    }

    fn entry(&self, nal: &Bytes) -> Result<(u32, u32, ParameterSets), Error> {
        let (sps, _) = self.slice(nal)?;
        let sets = ParameterSets {
            vps: Vec::new(),
            sps: self.sps.values().map(|sps| sps.nal.clone()).collect(),
            pps: self.pps.values().map(|(nal, _)| nal.clone()).collect(),
        };
        Ok((sps.width, sps.height, sets))
    }

    fn order(&mut self, nal: &Bytes) -> Result<Order, Error> {
        let is_idr = nal_type(nal) == IDR_SLICE;
        let is_reference = nal[0] & 0x60 != 0;
        let (sps, mut bits) = self.slice(nal)?;
        let count_bits = sps.count_bits;
        if sps.separate_planes {
            bits.skip(2); // colour_plane_id
        }
        bits.unsigned(sps.frame_num_bits)?;
        if !sps.frames_only && bits.flag()? {
            return Err(Error::UnsupportedClip {
                what: "H.264 coded in fields".to_owned(),
                instead: "encode progressive pictures",
            });
        }
        if is_idr {
            bits.exp_golomb()?; // idr_pic_id
            self.counts.restart(0);
            self.decoded = 0;
        }
        self.decoded += 1;
        let count = match count_bits {
            Some(count_bits) => self.counts.unwrap(bits.unsigned(count_bits)?, count_bits, is_reference),
            None => self.decoded,
        };
        Ok(Order { resets: is_idr, count })
    }
}

fn parse_sps(nal: &Bytes) -> Result<(u32, Sps), Error> {
    let mut bits = Bits::new(nal, 1, "H.264 sequence parameter set");
    let profile = bits.unsigned(8)?;
    bits.skip(16); // constraint flags, level_idc
    let id = bits.exp_golomb_to(31)?;
    let mut chroma_format = 1;
    let mut separate_planes = false;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma_format = bits.exp_golomb_to(3)?;
        if chroma_format == 3 {
            separate_planes = bits.flag()?;
        }
        bits.exp_golomb()?; // bit_depth_luma_minus8
        bits.exp_golomb()?; // bit_depth_chroma_minus8
        bits.skip(1); // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
        }
    }
    let frame_num_bits = bits.exp_golomb_to(12)? + 4;
    let count_bits = match bits.exp_golomb_to(2)? {
        0 => Some(bits.exp_golomb_to(12)? + 4),
        2 => None,
        other => {
            return Err(Error::UnsupportedClip {
                what: format!("H.264 with picture order count type {other}"),
                instead: "encode it with x264, which uses types 0 and 2",
            });
        }
    };
    bits.exp_golomb()?; // max_num_ref_frames
    bits.skip(1); // gaps_in_frame_num_value_allowed_flag
    let width = (bits.exp_golomb_to(1023)? + 1) * 16;
    let map_units = bits.exp_golomb_to(1023)? + 1;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.skip(1); // mb_adaptive_frame_field_flag
    }
    let height = map_units * 16 * if frames_only { 1 } else { 2 };
    bits.skip(1); // direct_8x8_inference_flag
    let (mut crop_width, mut crop_height) = (0, 0);
    if bits.flag()? {
        let unit_width = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
        let unit_height = if chroma_format == 1 { 2 } else { 1 } * if frames_only { 1 } else { 2 };
        crop_width = (bits.exp_golomb_to(width)? + bits.exp_golomb_to(width)?) * unit_width;
        crop_height = (bits.exp_golomb_to(height)? + bits.exp_golomb_to(height)?) * unit_height;
    }
    let width = width.checked_sub(crop_width).ok_or_else(|| bits.damaged())?;
    let height = height.checked_sub(crop_height).ok_or_else(|| bits.damaged())?;
    Ok((
        id,
        Sps { nal: nal.clone(), width, height, frame_num_bits, count_bits, separate_planes, frames_only },
    ))
}

fn skip_scaling_lists(bits: &mut Bits, lists: usize) -> Result<(), Error> {
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed_exp_golomb()?).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPS of 1920x1080 (coded 1088), High profile, as x264 writes it.
    const SPS_1080: [u8; 24] = [
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00,
        0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c,
    ];

    #[test]
    fn cropping_counts_in_the_size() {
        let (id, sps) = parse_sps(&Bytes::from_static(&SPS_1080)).unwrap();
        assert_eq!((id, sps.width, sps.height), (0, 1920, 1080));
        assert!(sps.frames_only);
        assert!(sps.count_bits.is_some());
    }

    #[test]
    fn a_stream_without_a_keyframe_is_refused() {
        assert!(matches!(read(&Bytes::new()), Err(Error::NoKeyframe)));
        // A keyframe without its parameter sets.
        assert!(matches!(
            read(&Bytes::from_static(&[0, 0, 1, 0x65, 0x88, 0x84, 0x21])),
            Err(Error::NoKeyframe)
        ));
    }

    #[test]
    fn a_sequence_parameter_set_cut_short_is_an_error_and_no_panic() {
        for length in 1..12 {
            let mut stream = vec![0, 0, 0, 1];
            stream.extend_from_slice(&SPS_1080[..length]);
            assert!(read(&stream.into()).is_err(), "cut to {length} bytes");
        }
    }
}
