//! Reads an H.265 byte stream: access units (§7.4.2.4.4), size from the SPS (§7.3.2.2.1), order from the slice headers
//! (§7.3.6.1).
//!
//! A clean random access picture (CRA) that no leading picture skips over is made a broken link access picture (BLA)
//! here, by the type in its NAL header: both have the same slice header (§7.3.6.1), and only a BLA tells a decoder that
//! already runs (the loop's turn, a switch of clips) to start anew.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::annexb::nal_units;
use super::assembly::{Role, Syntax, assemble};
use super::bits::Bits;
use super::order::{CountUnwrapper, Order};
use super::{ParameterSets, Stream};
use crate::error::Error;

// NAL unit types, table 7-1.
const RASL: std::ops::RangeInclusive<u8> = 8..=9;
const RADL: std::ops::RangeInclusive<u8> = 6..=7;
const BLA: std::ops::RangeInclusive<u8> = 16..=18;
const BLA_W_RADL: u8 = 17;
const IDR: std::ops::RangeInclusive<u8> = 19..=20;
const CRA: u8 = 21;
const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
const LAST_SLICE: u8 = 31;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const PREFIX_SEI: u8 = 39;

/// The type of a NAL unit.
fn nal_type(nal: &[u8]) -> u8 {
    nal[0] >> 1 & 0x3f
}

#[derive(Debug, Clone)]
struct Sps {
    nal: Bytes,
    width: u32,
    height: u32,
    count_bits: u32,
    separate_planes: bool,
}

#[derive(Debug, Clone)]
struct Pps {
    nal: Bytes,
    sps_id: u32,
    output_flag_present: bool,
    extra_slice_bits: u32,
}

/// Reads a whole stream.
pub(super) fn read(mut stream: Vec<u8>) -> Result<Stream, Error> {
    make_entry_points(&mut stream)?;
    assemble::<Reader>(&stream.into())
}

/// Makes every CRA a BLA; refuses a stream whose groups of pictures are open.
fn make_entry_points(stream: &mut [u8]) -> Result<(), Error> {
    let starts: Vec<usize> =
        nal_units(stream).filter(|range| range.len() > 2).map(|range| range.start).collect();
    for start in starts {
        let kind = nal_type(&stream[start..]);
        if RASL.contains(&kind) {
            return Err(Error::UnsupportedClip {
                what: "H.265 with open groups of pictures".to_owned(),
                instead: "close them: `-x265-params open-gop=0` in ffmpeg, `option-string=open-gop=0` in x265enc",
            });
        }
        if kind == CRA {
            stream[start] = stream[start] & 0x81 | BLA_W_RADL << 1;
        }
    }
    Ok(())
}

/// Parameter sets met so far, and the running order count.
#[derive(Default)]
struct Reader {
    vps: BTreeMap<u32, Bytes>,
    sps: BTreeMap<u32, Sps>,
    pps: BTreeMap<u32, Pps>,
    counts: CountUnwrapper,
}

impl Reader {
    fn take_vps(&mut self, nal: &Bytes) -> Result<(), Error> {
        let id = Bits::new(nal, 2, "H.265 video parameter set").unsigned(4)?;
        self.vps.insert(id, nal.clone());
        Ok(())
    }

    fn take_sps(&mut self, nal: &Bytes) -> Result<(), Error> {
        let (id, sps) = parse_sps(nal)?;
        self.sps.insert(id, sps);
        Ok(())
    }

    fn take_pps(&mut self, nal: &Bytes) -> Result<(), Error> {
        let mut bits = Bits::new(nal, 2, "H.265 picture parameter set");
        let id = bits.exp_golomb_to(63)?;
        let sps_id = bits.exp_golomb_to(15)?;
        bits.skip(1); // dependent_slice_segments_enabled_flag
        let output_flag_present = bits.flag()?;
        let extra_slice_bits = bits.unsigned(3)?;
        self.pps.insert(id, Pps { nal: nal.clone(), sps_id, output_flag_present, extra_slice_bits });
        Ok(())
    }

    /// The parameter sets of a first slice, with the header's bits standing after the id of the PPS.
    fn slice(&self, nal: &Bytes) -> Result<(&Sps, &Pps, Bits), Error> {
        let mut bits = Bits::new(nal, 2, "H.265 slice header");
        bits.skip(1); // first_slice_segment_in_pic_flag
        if IRAP.contains(&nal_type(nal)) {
            bits.skip(1); // no_output_of_prior_pics_flag
        }
        let pps = self.pps.get(&bits.exp_golomb_to(63)?).ok_or(Error::NoKeyframe)?;
        let sps = self.sps.get(&pps.sps_id).ok_or(Error::NoKeyframe)?;
        Ok((sps, pps, bits))
    }
}

impl Syntax for Reader {
    fn role(nal: &[u8]) -> Role {
        // first_slice_segment_in_pic_flag follows the header of two bytes.
        match (nal_type(nal), nal.get(2).is_some_and(|byte| byte & 0x80 != 0)) {
            (kind @ 0..=LAST_SLICE, true) => Role::FirstSlice { keyframe: IRAP.contains(&kind) },
            (0..=LAST_SLICE, false) => Role::Slice,
            (VPS | SPS | PPS | DELIMITER | PREFIX_SEI | 41..=44 | 48..=55, _) => Role::Opens,
            _ => Role::Other,
        }
    }

    fn remember(&mut self, nal: &Bytes) -> Result<(), Error> {
        match nal_type(nal) {
            VPS => self.take_vps(nal),
            SPS => self.take_sps(nal),
            PPS => self.take_pps(nal),
            _ => Ok(()),
        }
    }

    fn entry(&self, nal: &Bytes) -> Result<(u32, u32, ParameterSets), Error> {
        let (sps, ..) = self.slice(nal)?;
        if self.vps.is_empty() {
            return Err(Error::NoKeyframe);
        }
        let sets = ParameterSets {
            vps: self.vps.values().cloned().collect(),
            sps: self.sps.values().map(|sps| sps.nal.clone()).collect(),
            pps: self.pps.values().map(|pps| pps.nal.clone()).collect(),
        };
        Ok((sps.width, sps.height, sets))
    }

    fn order(&mut self, nal: &Bytes) -> Result<Order, Error> {
        let kind = nal_type(nal);
        let resets = IDR.contains(&kind) || BLA.contains(&kind);
        let (sps, pps, mut bits) = self.slice(nal)?;
        bits.skip(pps.extra_slice_bits as usize);
        bits.exp_golomb_to(2)?; // slice_type
        if pps.output_flag_present {
            bits.skip(1);
        }
        if sps.separate_planes {
            bits.skip(2); // colour_plane_id
        }
        let count_bits = sps.count_bits;
        let low = if IDR.contains(&kind) { 0 } else { bits.unsigned(count_bits)? };
        if resets {
            // §8.3.1: the high part of an entry point's count is zero, however large its low part.
            self.counts.restart(low);
            return Ok(Order { resets, count: i64::from(low) });
        }
        // prevTid0Pic of §8.3.1: temporal layer 0, no leading picture, no sub-layer non-reference picture.
        let is_layer_0 = nal[1] & 0x07 == 1;
        let is_reference = is_layer_0 && !RADL.contains(&kind) && !(kind < 16 && kind.is_multiple_of(2));
        let count = self.counts.unwrap(low, count_bits, is_reference);
        Ok(Order { resets, count })
    }
}

fn parse_sps(nal: &Bytes) -> Result<(u32, Sps), Error> {
    let mut bits = Bits::new(nal, 2, "H.265 sequence parameter set");
    bits.skip(4); // sps_video_parameter_set_id
    let sub_layers = bits.unsigned(3)?;
    bits.skip(1); // sps_temporal_id_nesting_flag
    skip_profile_tier_level(&mut bits, sub_layers)?;
    let id = bits.exp_golomb_to(15)?;
    let chroma_format = bits.exp_golomb_to(3)?;
    let separate_planes = chroma_format == 3 && bits.flag()?;
    let width = bits.exp_golomb_to(16_384)?;
    let height = bits.exp_golomb_to(16_384)?;
    let (mut crop_width, mut crop_height) = (0, 0);
    if bits.flag()? {
        let unit_width = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
        let unit_height = if chroma_format == 1 { 2 } else { 1 };
        crop_width = (bits.exp_golomb_to(width)? + bits.exp_golomb_to(width)?) * unit_width;
        crop_height = (bits.exp_golomb_to(height)? + bits.exp_golomb_to(height)?) * unit_height;
    }
    bits.exp_golomb()?; // bit_depth_luma_minus8
    bits.exp_golomb()?; // bit_depth_chroma_minus8
    let count_bits = bits.exp_golomb_to(12)? + 4;
    let width = width.checked_sub(crop_width).ok_or_else(|| bits.damaged())?;
    let height = height.checked_sub(crop_height).ok_or_else(|| bits.damaged())?;
    Ok((id, Sps { nal: nal.clone(), width, height, count_bits, separate_planes }))
}

/// Passes over §7.3.3 with `sub_layers` layers above the first.
fn skip_profile_tier_level(bits: &mut Bits, sub_layers: u32) -> Result<(), Error> {
    bits.skip(88 + 8); // general profile, tier and constraints; general_level_idc
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize));
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_group_of_pictures_is_refused_with_the_way_out() {
        let mut stream = vec![0, 0, 1, CRA << 1, 1, 0x80, 0, 0, 1, 8 << 1, 1, 0x80];
        let error = make_entry_points(&mut stream).unwrap_err();
        assert!(error.to_string().contains("open-gop=0"), "{error}");
    }

    #[test]
    fn a_clean_random_access_picture_becomes_a_broken_link() {
        let mut stream = vec![0, 0, 1, CRA << 1 | 1, 1, 0x80, 0, 0, 1, 1 << 1, 1, 0x80];
        make_entry_points(&mut stream).unwrap();
        assert_eq!(stream[3], BLA_W_RADL << 1 | 1);
        assert_eq!(stream[9], 1 << 1);
    }

    #[test]
    fn a_keyframe_without_its_parameter_sets_is_refused() {
        assert!(matches!(read(Vec::new()), Err(Error::NoKeyframe)));
        assert!(matches!(read(vec![0, 0, 1, 19 << 1, 1, 0xaf, 0x08, 0x80]), Err(Error::NoKeyframe)));
    }
}
