use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use xueliang_base::{
    picture::PixelFormat,
    time::{Clock, Mono, SystemClock, Wall},
};
use xueliang_simulator::{Clip, Codec as ClipCodec};

use super::*;

const LIMITS: DecodeLimits = DecodeLimits { max_width: 4096, max_height: 2304 };

fn clip(name: &str) -> Arc<Clip> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/clips"));
    Clip::load(&folder.join(name), None).expect("tools/footage.sh has made the clips")
}

fn units(clip: &Clip, n: usize) -> Vec<AccessUnit> {
    let codec = match clip.codec() {
        ClipCodec::H264 => Codec::H264,
        ClipCodec::H265 => Codec::H265,
        ClipCodec::Mjpeg => Codec::Mjpeg,
    };
    let sets = clip.parameter_sets();
    let parameters: Vec<u8> = [&sets.vps, &sets.sps, &sets.pps]
        .into_iter()
        .flatten()
        .flat_map(|nal| [&[0, 0, 0, 1], &nal[..]].concat())
        .collect();
    let numbered = (1_u64..).zip(clip.units()).take(n);
    let made = numbered.map(|(seq, unit)| {
        let data =
            if unit.keyframe { [&parameters, &unit.data[..]].concat().into() } else { unit.data.clone() };
        AccessUnit {
            seq,
            codec,
            keyframe: unit.keyframe,
            discontinuity: seq == 1,
            pts_us: None,
            arrival: Mono(seq * 1_000),
            arrival_wall: Wall(0),
            camera_time: None,
            data,
        }
    });
    made.collect()
}

fn decoder(codec: Codec) -> Decoder {
    Decoder::new(codec, LIMITS).unwrap()
}

/// Mean absolute difference of luma, 0..=255.
fn difference(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let row = |p: &Picture, y: usize| p.planes[0].data[y * p.planes[0].stride..][..p.width as usize].to_vec();
    let rows = (0..a.height as usize)
        .map(|y| row(a, y).iter().zip(row(b, y)).map(|(x, y)| u64::from(x.abs_diff(y))).sum::<u64>());
    rows.sum::<u64>() as f64 / f64::from(a.width * a.height)
}

#[test]
fn every_codec_gives_pictures_of_its_units() {
    for (name, reordered) in [
        ("vtest@10fps.h264", false),
        ("vtest@10fps.h265", false),
        ("vtest@10fps.mjpeg", false),
        ("vtest-bframes@10fps.h264", true),
    ] {
        let units = units(&clip(name), 25);
        let mut decoder = decoder(units[0].codec);
        let mut got = decoder.decode(&units, Want::All).unwrap();
        assert_eq!(got.units_decoded, 25, "{name}");
        if !reordered {
            assert_eq!(got.pictures.len(), 25, "{name}: nothing is held back");
        }
        got.pictures.extend(decoder.drain(Want::All).unwrap().pictures);
        let mut seqs: Vec<_> = got.pictures.iter().map(|picture| picture.unit_seq).collect();
        assert_eq!(seqs.is_sorted(), !reordered, "{name}: {seqs:?}");
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=25).collect::<Vec<_>>(), "{name}");
        let picture = &got.pictures[3];
        assert_eq!((picture.width, picture.height, picture.format), (768, 576, PixelFormat::I420));
        assert_eq!(picture.full_range, name.ends_with("mjpeg"), "{name}");
        assert_eq!(picture.arrival, Mono(picture.unit_seq * 1_000));
    }
}

#[test]
fn pictures_with_b_frames_are_the_same_as_without() {
    let plain =
        decoder(Codec::H264).decode(&units(&clip("vtest@10fps.h264"), 12), Want::All).unwrap().pictures;
    let clip = clip("vtest-bframes@10fps.h264");
    let mut decoder = decoder(Codec::H264);
    let mut pictures = decoder.decode(&units(&clip, 12), Want::All).unwrap().pictures;
    pictures.extend(decoder.drain(Want::All).unwrap().pictures);
    // A unit's place in the order of showing tells which plain picture it must look like.
    for picture in &pictures {
        let shown = clip.units()[usize::try_from(picture.unit_seq).unwrap() - 1].shown_at as usize;
        if let Some(same) = plain.get(shown) {
            assert!(difference(picture, same) < 4.0, "unit {} shown at {shown}", picture.unit_seq);
        }
    }
}

#[test]
fn a_keyframe_look_neither_finds_nor_leaves_anything() {
    for name in ["vtest@10fps.h264", "vtest@10fps.h265", "vtest@10fps.mjpeg", "vtest-bframes@10fps.h264"] {
        let units = units(&clip(name), 60);
        let keyframes: Vec<_> = units.iter().filter(|unit| unit.keyframe).take(3).collect();
        let mut decoder = decoder(units[0].codec);
        for keyframe in &keyframes {
            let picture = decoder.decode_keyframe(keyframe).unwrap();
            assert_eq!(picture.unit_seq, keyframe.seq, "{name}");
        }
        let first = decoder.decode_keyframe(keyframes[0]).unwrap();
        decoder.decode(&units[..7], Want::Last).unwrap();
        let again = decoder.decode_keyframe(keyframes[0]).unwrap();
        assert!(difference(&first, &again) < 1e-9, "{name}");
    }
}

#[test]
fn continued_looks_go_on_from_call_to_call() {
    let units = units(&clip("vtest@10fps.h264"), 40);
    let whole = decoder(Codec::H264).decode(&units, Want::All).unwrap().pictures;
    let mut decoder = decoder(Codec::H264);
    for part in units.chunks(7) {
        let got = decoder.decode(part, Want::Last).unwrap();
        let [picture] = &got.pictures[..] else { panic!("one picture") };
        assert_eq!(picture.unit_seq, part[part.len() - 1].seq);
        let same = whole.iter().find(|p| p.unit_seq == picture.unit_seq).unwrap();
        assert!(difference(picture, same) < 1e-9);
    }
}

#[test]
fn a_change_of_size_is_followed() {
    let (large, small) = (units(&clip("vtest@10fps.h264"), 3), units(&clip("vtest-320x240@10fps.h264"), 3));
    let mut decoder = decoder(Codec::H264);
    let mut widths = Vec::new();
    for part in [&large, &small, &large] {
        let mut part = part.clone();
        part[0].discontinuity = true;
        widths.push(decoder.decode(&part, Want::Last).unwrap().pictures[0].width);
    }
    assert_eq!(widths, [768, 320, 768]);
}

#[test]
fn a_picture_larger_than_allowed_never_reaches_a_decoder() {
    let limits = DecodeLimits { max_width: 640, max_height: 480 };
    for name in ["vtest@10fps.h264", "vtest@10fps.h265", "vtest@10fps.mjpeg"] {
        let units = units(&clip(name), 3);
        let mut decoder = Decoder::new(units[0].codec, limits).unwrap();
        for _ in 0..2 {
            let error = decoder.decode(&units, Want::Last).unwrap_err();
            assert!(matches!(error, DecodeError::TooLarge { width: 768, .. }), "{name}: {error}");
            let error = decoder.decode_keyframe(&units[0]).unwrap_err();
            assert!(matches!(error, DecodeError::TooLarge { width: 768, .. }), "{name}: {error}");
        }
    }
    // Small first, large later: the switch is stopped as well, and the decoder still serves.
    let (small, large) = (units(&clip("vtest-320x240@10fps.h264"), 3), units(&clip("vtest@10fps.h264"), 3));
    let mut decoder = Decoder::new(Codec::H264, limits).unwrap();
    decoder.decode(&small, Want::Last).unwrap();
    assert!(decoder.decode(&large, Want::Last).is_err());
    assert_eq!(decoder.decode(&small, Want::Last).unwrap().pictures.len(), 1);
}

/// What stands before the size in a sequence parameter set.
enum Before {
    /// Baseline profile: next to nothing.
    Little,
    /// High profile with eight scaling lists whose every step takes the longest code: 420 bytes.
    ScalingLists,
    /// The same, each step with a code of 63 bits, which no decoder takes: nearly 2 KiB.
    Overlong,
    /// It ends before the size.
    Cut,
}

/// A sequence parameter set, number 1, of so many macroblocks.
fn hostile_sps(width: u32, height: u32, before: Before) -> Vec<u8> {
    let mut bits = String::new();
    let ue = |n: u32| {
        let binary = format!("{:b}", u64::from(n) + 1);
        format!("{}{binary}", "0".repeat(binary.len() - 1))
    };
    bits += &ue(1);
    if !matches!(before, Before::Little) {
        // 4:2:0 of 8 bits, with scaling lists.
        bits += &[ue(1), ue(0), ue(0), "01".to_owned()].concat();
        for list in 0..8 {
            bits += "1";
            for step in 0..if list < 6 { 16 } else { 64 } {
                // 8, 135, 8, 135 …: no step is 0, which would end the list.
                let code = if step % 2 == 0 { 253 } else { 254 };
                bits += &ue(if matches!(before, Before::Overlong) { u32::MAX - 1 } else { code });
            }
        }
    }
    if !matches!(before, Before::Cut) {
        for part in [ue(0), ue(2), ue(1), "0".to_owned(), ue(width - 1), ue(height - 1), "1100".to_owned()] {
            bits += &part;
        }
    }
    bits += "1";
    bits += &"0".repeat(bits.len().next_multiple_of(8) - bits.len());
    let bytes = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap());
    let profile = if matches!(before, Before::Little) { 66 } else { 100 };
    let mut set = vec![0, 0, 0, 1, 0x67, profile, 0, 51];
    let mut zeros = 0;
    for byte in bytes {
        if zeros == 2 && byte <= 3 {
            set.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        set.push(byte);
    }
    set
}

#[test]
fn a_second_parameter_set_cannot_smuggle_a_huge_picture_past_the_filter() {
    // The parser announces the last set of a unit, the decoder uses the one that the slices name.
    let good = units(&clip("vtest@10fps.h264"), 1).remove(0);
    let smuggled = |before| {
        let data = [&hostile_sps(1024, 512, before), &good.data[..]].concat().into();
        decoder(Codec::H264).decode_keyframe(&AccessUnit { data, ..good.clone() }).unwrap_err()
    };
    for before in [Before::Little, Before::ScalingLists, Before::Overlong] {
        let error = smuggled(before);
        assert!(matches!(error, DecodeError::TooLarge { width: 16384, height: 8192, .. }), "{error}");
    }
    // Where the size cannot be told, nothing bounds it.
    let error = smuggled(Before::Cut);
    assert!(matches!(&error, DecodeError::Undecodable { reason, .. } if reason.contains("size")), "{error}");
}

#[test]
fn damage_gives_an_error_or_a_picture_and_never_harm() {
    for name in ["vtest@10fps.h264", "vtest@10fps.h265", "vtest@10fps.mjpeg"] {
        let good = units(&clip(name), 30);
        let mut decoder = decoder(good[0].codec);
        for step in [7, 31, 97] {
            let mut bad = good.clone();
            for unit in &mut bad {
                let mut data = unit.data.to_vec();
                for at in (step..data.len()).step_by(step * 37) {
                    data[at] ^= 0x55;
                }
                unit.data = data.into();
            }
            let _either = decoder.decode(&bad, Want::Last);
            let _either = decoder.decode_keyframe(&bad[0]);
        }
        for data in
            [Bytes::new(), Bytes::from_static(&[0; 40]), Bytes::from_static(b"\0\0\x01\x65\xff\xff\xff\xff")]
        {
            let unit = AccessUnit { data, ..good[0].clone() };
            assert!(
                matches!(decoder.decode_keyframe(&unit), Err(DecodeError::Undecodable { seq: 1, .. })),
                "{name}"
            );
        }
        let picture = decoder.decode_keyframe(&good[0]).unwrap();
        assert_eq!(picture.unit_seq, 1, "{name}: it still serves");
    }
}

#[test]
fn a_unit_of_another_codec_is_refused() {
    let h265 = units(&clip("vtest@10fps.h265"), 1);
    let error = decoder(Codec::H264).decode_keyframe(&h265[0]).unwrap_err();
    assert_eq!(error, DecodeError::WrongCodec { decoder: Codec::H264, unit: Codec::H265 });
}

/// Prints what looks cost: `cargo test --release -p xueliang-ingest cost -- --ignored --nocapture`.
#[test]
#[ignore = "measures; asserts nothing"]
fn cost_of_looks() {
    let clock = SystemClock;
    for name in ["vtest@10fps.h264", "vtest-bframes@10fps.h264", "vtest@10fps.h265", "vtest@10fps.mjpeg"] {
        let units = units(&clip(name), 100);
        let keyframes: Vec<_> = units.iter().filter(|unit| unit.keyframe).take(5).collect();
        let start = clock.mono();
        let mut decoder = decoder(units[0].codec);
        let built = clock.mono().since(start);
        decoder.decode_keyframe(keyframes[0]).unwrap();
        let start = clock.mono();
        for n in 0..50 {
            decoder.decode_keyframe(keyframes[n % keyframes.len()]).unwrap();
        }
        let keyframe = clock.mono().since(start) / 50;
        decoder.decode(&units[..1], Want::Last).unwrap();
        let start = clock.mono();
        for unit in units[1..].chunks(3) {
            decoder.decode(unit, Want::Last).unwrap();
        }
        let unit = clock.mono().since(start) / 99;
        println!("{name}: build {built:?}, keyframe look {keyframe:?}, continued {unit:?} a unit");
    }
}
