//! As much of H.264 and H.265 as must be known without decoding: where a unit can be decoded from (ITU-T H.264 §7.4.1,
//! H.265 §7.4.2), and how large the pictures are that its parameter sets announce (H.264 §7.3.2.1.1, H.265 §7.3.2.2).
//! Input is hostile: everything is bounded, nothing panics.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use xueliang_base::unit::Codec;

/// What stands in one access unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// A decoder may begin here: an IDR or other random access picture, or a recovery point at this very picture.
    pub entry: bool,
    /// Sequence and picture parameter sets stand in it.
    pub parameters: bool,
    /// Largest width and height that its sequence parameter sets announce.
    pub largest: Option<(u32, u32)>,
    /// A sequence parameter set stands in it whose size cannot be told: nothing bounds the pictures it announces.
    pub unbounded: bool,
    /// Bytes from the first to the last parameter set, start codes included, when they stand before the picture.
    pub parameter_bytes: Option<Range<usize>>,
}

/// Looks through a unit, Annex B. Every JPEG is an entry; its size is left to the parser.
pub fn survey(codec: Codec, data: &[u8]) -> Survey {
    let mut survey = Survey::default();
    let h265 = match codec {
        Codec::H264 => false,
        Codec::H265 => true,
        Codec::Mjpeg => return Survey { entry: true, parameters: true, ..survey },
    };
    let (mut sps, mut pps, mut recovery, mut idr, mut slices) = (false, false, false, false, false);
    for (start, nal) in nals(data) {
        let Some(&first) = nal.first() else { continue };
        let kind = if h265 { (first >> 1) & 0x3f } else { first & 0x1f };
        let parameter = if h265 { (32..=34).contains(&kind) } else { matches!(kind, 7 | 8) };
        match (h265, kind) {
            (false, 7) | (true, 33) => {
                sps = true;
                let size = if h265 { h265_size(nal) } else { h264_size(nal) };
                match size {
                    Some((width, height)) => {
                        let (w, h) = survey.largest.unwrap_or_default();
                        survey.largest = Some((w.max(width), h.max(height)));
                    }
                    None => survey.unbounded = true,
                }
            }
            (false, 8) | (true, 34) => pps = true,
            (false, 6) => recovery |= recovers_here(nal),
            (false, 1..=5) => {
                slices = true;
                idr |= kind == 5;
            }
            (true, 0..=31) => {
                slices = true;
                idr |= (16..=23).contains(&kind);
            }
            _ => {}
        }
        if parameter && !slices {
            let end = start + 3 + nal.len();
            let from = survey.parameter_bytes.as_ref().map_or(start, |range| range.start);
            survey.parameter_bytes = Some(from..end);
        }
    }
    survey.entry = slices && (idr || recovery);
    survey.parameters = sps && pps;
    survey
}

/// Makes every keyframe of a stream decodable by itself.
#[derive(Debug, Default)]
pub struct Keyframes {
    parameters: Bytes,
}

/// A unit that was looked through.
#[derive(Debug)]
pub struct Completed {
    /// Whether decoding may begin here.
    pub keyframe: bool,
    /// It could begin here, if the stream had ever told its parameter sets.
    pub lacks_parameters: bool,
    /// Its bytes.
    pub data: Bytes,
}

impl Keyframes {
    /// Keyframes of a stream whose description told parameter sets, Annex B; empty where it told none.
    pub fn described(parameters: &[u8]) -> Self {
        Self { parameters: Bytes::copy_from_slice(parameters) }
    }
    /// Whether the unit is a keyframe, and its bytes: parameter sets seen before are put in front where it has none.
    pub fn complete(&mut self, codec: Codec, data: &[u8]) -> Completed {
        let survey = survey(codec, data);
        if let Some(range) = survey.parameter_bytes.filter(|_| survey.parameters) {
            let now = &data[range];
            if self.parameters != now {
                self.parameters = Bytes::copy_from_slice(now);
            }
        }
        if !survey.entry || survey.parameters {
            let data = Bytes::copy_from_slice(data);
            return Completed { keyframe: survey.entry, lacks_parameters: false, data };
        }
        let known = !self.parameters.is_empty();
        let mut whole = BytesMut::with_capacity(self.parameters.len() + data.len());
        whole.extend_from_slice(&self.parameters);
        whole.extend_from_slice(data);
        Completed { keyframe: known, lacks_parameters: !known, data: whole.freeze() }
    }
}

/// NAL units with the place of their three-byte start code.
pub fn nals(data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = start_code(data, 0);
    std::iter::from_fn(move || {
        let start = next?;
        next = start_code(data, start + 3);
        Some((start, &data[start + 3..next.unwrap_or(data.len())]))
    })
}

fn start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(third) = data.get(at + 2) {
        match third {
            0 => at += 1,
            1 if data[at] == 0 && data[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

/// Whether a supplemental NAL unit holds a recovery point (payload type 6) whose `recovery_frame_cnt` is 0.
fn recovers_here(nal: &[u8]) -> bool {
    let mut at = 1;
    while at + 2 < nal.len() {
        let mut numbers = [0_usize; 2];
        for number in &mut numbers {
            while let Some(&byte) = nal.get(at) {
                at += 1;
                *number += usize::from(byte);
                if byte != 0xff {
                    break;
                }
            }
        }
        let [kind, size] = numbers;
        if kind == 6 {
            // ue(v) 0 is the single bit 1.
            return nal.get(at).is_some_and(|byte| byte & 0x80 != 0);
        }
        at = at.saturating_add(size);
    }
    false
}

/// The size stands within the first 1.5 KiB of a set, even where twelve scaling lists of the longest codes a decoder
/// takes (15 bits) come before it; and whoever writes longer ones is refused.
const MAX_SET_BYTES: usize = 4096;

struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// Drops the NAL header and emulation prevention.
    fn new(nal: &[u8], header: usize) -> Self {
        let mut bytes = Vec::with_capacity(256);
        let mut zeros = 0;
        for &byte in nal.iter().skip(header).take(MAX_SET_BYTES) {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }
    fn bit(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = (byte >> (7 - self.at % 8)) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }
    fn take(&mut self, n: u32) -> Option<u32> {
        (0..n).try_fold(0_u32, |value, _| Some(value.wrapping_shl(1) | self.bit()?))
    }
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.take(zeros)?;
        Some((1_u32 << zeros) - 1 + rest)
    }
}

/// Coded size, before cropping: what a decoder must allocate.
fn h264_size(nal: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(nal, 1);
    let profile = bits.take(8)?;
    bits.take(16)?;
    bits.ue()?;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        let chroma = bits.ue()?;
        if chroma == 3 {
            bits.bit()?;
        }
        bits.ue()?;
        bits.ue()?;
        bits.bit()?;
        if bits.bit()? == 1 {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.bit()? == 1 {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.ue()?;
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.bit()?;
            bits.ue()?;
            bits.ue()?;
            for _ in 0..bits.ue()?.min(255) {
                bits.ue()?;
            }
        }
        _ => {}
    }
    bits.ue()?;
    bits.bit()?;
    let width = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let units = bits.ue()?.checked_add(1)?;
    let fields = 2 - bits.bit()?;
    Some((width, units.checked_mul(16 * fields)?))
}

fn skip_scaling_list(bits: &mut Bits, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            let code = i64::from(bits.ue()?);
            let delta = if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) };
            next = (last + delta).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

fn h265_size(nal: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(nal, 2);
    bits.take(4)?;
    let sub_layers = bits.take(3)?;
    bits.bit()?;
    // profile_tier_level: 88 bits of profile, 8 of level, then the sub-layers'.
    bits.at += 96;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if sub_layers > 0 {
        bits.at += 2 * (8 - sub_layers as usize);
    }
    for (profile, level) in present {
        bits.at += 88 * profile as usize + 8 * level as usize;
    }
    bits.ue()?;
    if bits.ue()? == 3 {
        bits.bit()?;
    }
    Some((bits.ue()?, bits.ue()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 64x64 baseline, by x264.
    const SPS_64: [u8; 11] = [0x67, 0x42, 0xc0, 0x0a, 0xdc, 0x42, 0x68, 0x40, 0x00, 0x00, 0x03];

    #[test]
    fn a_unit_without_a_random_access_picture_is_no_entry() {
        let inter = [0, 0, 0, 1, 0x67, 0x42, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x41, 0x9a, 1];
        let survey_ = survey(Codec::H264, &inter);
        assert!(!survey_.entry && survey_.parameters);
        assert_eq!(survey_.parameter_bytes, Some(1..11));
        let idr = [0, 0, 1, 0x65, 0x88];
        assert!(survey(Codec::H264, &idr).entry);
        let recovery = [0, 0, 1, 6, 6, 1, 0xc4, 0x80, 0, 0, 1, 0x41, 0x9a, 1];
        assert!(survey(Codec::H264, &recovery).entry);
        let later = [0, 0, 1, 6, 6, 1, 0x24, 0x80, 0, 0, 1, 0x41, 0x9a, 1];
        assert!(!survey(Codec::H264, &later).entry, "recovery some pictures later");
        assert!(survey(Codec::H265, &[0, 0, 1, 0x26, 1, 0xaf]).entry);
        assert!(!survey(Codec::H265, &[0, 0, 1, 0x02, 1, 0xd0]).entry);
    }

    #[test]
    fn the_largest_announced_size_counts() {
        let mut unit = vec![0, 0, 1];
        unit.extend(SPS_64);
        assert_eq!(survey(Codec::H264, &unit).largest, Some((64, 64)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..400), starts in 0..20_usize) {
            let mut data = data;
            for n in 0..starts {
                let at = n * 17;
                if at + 4 < data.len() {
                    data[at..at + 3].copy_from_slice(&[0, 0, 1]);
                    data[at + 3] = [0x67, 0x42, 0x06, 0x65, 0x68][n % 5];
                }
            }
            for codec in [Codec::H264, Codec::H265, Codec::Mjpeg] {
                survey(codec, &data);
            }
        }
    }
}
