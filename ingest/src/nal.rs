//! As much of H.264 and H.265 as must be known without decoding: where a unit can be decoded from (ITU-T H.264 §7.4.1,
//! H.265 §7.4.2), how large the pictures are that its parameter sets announce (H.264 §7.3.2.1.1, H.265 §7.3.2.2), and
//! what its first slice says. Input is hostile: everything is bounded, nothing panics.

use std::{ops::Range, sync::LazyLock};

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use xueliang_base::unit::Codec;

mod bits;
mod h264;
mod h265;
mod slice;

pub(crate) use slice::{PictureType, Slice};

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
                let size = if h265 { h265::size(nal) } else { h264::Sps::parse(nal).map(|sps| sps.size) };
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

/// The first slice stands no further in, or it is not looked for.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Reads the first slice of each unit of a stream; keeps the parameter sets for that.
#[derive(Debug, Default)]
pub(crate) struct FirstSlices {
    h264: h264::Sets,
    h265: h265::Sets,
}

impl FirstSlices {
    /// The place of the unit's first slice, behind its start code, and what it says. The slice's bytes are not searched.
    pub fn read(&mut self, codec: Codec, data: &[u8]) -> Option<(usize, Slice)> {
        let head = &data[..data.len().min(MAX_HEAD_BYTES)];
        let mut at = start_code(head, 0)? + 3;
        loop {
            let first = *head.get(at)?;
            match codec {
                Codec::H264 if matches!(first & 0x1f, 1..=5) => {
                    return Some((at, self.h264.slice(&data[at..])));
                }
                Codec::H265 if first & 0x40 == 0 => return Some((at, self.h265.slice(&data[at..]))),
                _ => {}
            }
            let next = start_code(head, at);
            let nal = &head[at..next.unwrap_or(head.len())];
            match codec {
                Codec::H264 => self.h264.take(nal),
                Codec::H265 => self.h265.take(nal),
                Codec::Mjpeg => return None,
            }
            at = next? + 3;
        }
    }
    /// Coded size that the newest sequence parameter set announces.
    pub fn size(&self, codec: Codec) -> Option<(u32, u32)> {
        match codec {
            Codec::H264 => self.h264.size(),
            Codec::H265 => self.h265.size(),
            Codec::Mjpeg => None,
        }
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

/// Every byte of every unit passes here: a search that the processor does many bytes at a time.
static START_CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&[0, 0, 1]));

fn start_code(data: &[u8], from: usize) -> Option<usize> {
    START_CODE.find(data.get(from..)?).map(|at| from + at)
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

    /// The first bytes of a stream by x264 and of one by x265: parameter sets, then slices with their quantisers.
    const H264: [(&str, Option<i8>); 7] = [
        ("6764000dacd94141fb011000000300100000030320f14299", None),
        ("68e938f2c8b0", None),
        (
            "658884002bfffef6737c0a6b6db0952e0576f766a3e5d092e5fb1060fad00018a741273d5f37772a280242000052",
            Some(13),
        ),
        (
            "41888840bffde2785480cf01447992fce60b268cd89c1d667e795261bab0ff7a8dbd6f7333c73b86dc7bfa5d2043",
            Some(12),
        ),
        (
            "419a453c210864e28041c803fc803fe280428113ff2e80d45baaba4b7fcecb31d7ab3847409b953d16cd04a23231",
            Some(19),
        ),
        (
            "419e636a53c9ff9d3ea7f030f5009db4dceac622154b79a7e03a61508267cb8146410b46cbb7ffb7f2981c08e164",
            Some(25),
        ),
        (
            "019e82744dff52f1d058e2a727f4c7916bd9d8ef5a1f743368a8028b9bac3641ebee278fdabb33806683c2d88bc2",
            Some(26),
        ),
    ];
    const H265: [(&str, Option<i8>); 7] = [
        ("42010101600000030090000003000003003ca00a080f16595964932bc05a020000030002000003003210", None),
        ("4401c172b42240", None),
        ("2801af1d80f7015bfff24efec7001fd1329415a226920000", Some(33)),
        ("0201d8097e3bf7d0a98bfd8db937111716f355e6194c60a1", Some(33)),
        ("0201d011ffd4da0741d0710716399b8ed5323740b46dbc89", Some(33)),
        ("0201d030927fdc414063b0adf9901bbb3856a3571ee75d2e", Some(33)),
        ("0201e08225f5f7184be8ced6ba2a326cd8e9e78aa083ae01", Some(35)),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
            .collect()
    }

    #[test]
    fn first_slices_have_the_quantisers_that_their_encoders_wrote() {
        for (codec, stream) in [(Codec::H264, H264), (Codec::H265, H265)] {
            let mut slices = FirstSlices::default();
            for (hex, qp) in stream {
                let unit = [vec![0, 0, 0, 1], bytes(hex)].concat();
                let slice = slices.read(codec, &unit);
                assert_eq!(slice.is_some(), qp.is_some(), "{codec:?} {hex}");
                assert_eq!(slice.and_then(|(_, slice)| slice.qp), qp, "{codec:?} {hex}");
            }
            assert_eq!(slices.size(codec), Some((320, 240)));
        }
    }

    proptest! {
        #[test]
        fn spoilt_streams_neither_panic_nor_give_quantisers_out_of_range(
            spoils in proptest::collection::vec((0..7_usize, 0..40_usize, any::<u8>()), 0..12),
            cut in 0..60_usize,
            long: bool,
        ) {
            for (codec, stream) in [(Codec::H264, H264), (Codec::H265, H265)] {
                let mut units = stream.map(|(hex, _)| bytes(hex));
                for (unit, at, mask) in &spoils {
                    if let Some(byte) = units[*unit].get_mut(*at) {
                        *byte ^= mask;
                    }
                }
                let mut slices = FirstSlices::default();
                for mut unit in units {
                    if long {
                        unit.extend((0..200_u8).map(|n| n.wrapping_mul(37)));
                    } else {
                        unit.truncate(cut);
                    }
                    unit.splice(0..0, [0, 0, 1]);
                    if let Some((at, slice)) = slices.read(codec, &unit) {
                        prop_assert!(at < unit.len());
                        prop_assert!(slice.qp.is_none_or(|qp| (-48..=51).contains(&qp)));
                    }
                }
            }
        }

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
