use proptest::prelude::*;

use super::*;

/// What came out: bytes, time, gap.
type Given = Vec<(Vec<u8>, i64, bool)>;

struct Stage {
    units: Units,
    given: Given,
}

impl Stage {
    fn new(codec: Codec) -> Self {
        Self { units: Units::new(codec), given: Vec::new() }
    }
    fn packet(&mut self, ticks: i64, payload: &[u8], last: bool, lost: bool) {
        let packet = Packet { payload, ticks, rtp: 7, last, lost };
        self.units.take(&packet, |unit| self.given.push((unit.data.to_vec(), unit.ticks, unit.gap)));
    }
}

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| START_CODE.iter().chain(*nal)).copied().collect()
}

const SPS: &[u8] = &[0x67, 1, 2, 3];
const PPS: &[u8] = &[0x68, 4, 5];
const OTHER_PPS: &[u8] = &[0x68, 6];
const IDR: &[u8] = &[0x65, 0x88, 7, 8, 9, 10, 11];
const INTER: &[u8] = &[0x41, 0x9a, 12];
const SECOND_SLICE: &[u8] = &[0x41, 0x2a, 13];

/// FU-A packets of a NAL unit of one header byte, so many bytes in each.
fn fragments(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
    let parts: Vec<_> = nal[1..].chunks(size).collect();
    let last = parts.len() - 1;
    let packet = |(n, part): (usize, &&[u8])| {
        let flags = u8::from(n == 0) << 7 | u8::from(n == last) << 6;
        [&[28 | (nal[0] & 0x60), flags | (nal[0] & 0x1f)], *part].concat()
    };
    parts.iter().enumerate().map(packet).collect()
}

#[test]
fn every_way_to_pack_gives_the_same_unit_with_every_parameter_set() {
    let whole = annex_b(&[SPS, PPS, OTHER_PPS, IDR]);
    let stap = [&[24, 0, 4], SPS, &[0, 3], PPS, &[0, 2], OTHER_PPS].concat();
    let mut single = Stage::new(Codec::H264);
    for nal in [SPS, PPS, OTHER_PPS, IDR] {
        single.packet(0, nal, nal == IDR, false);
    }
    let mut packed = Stage::new(Codec::H264);
    packed.packet(0, &stap, false, false);
    for (n, part) in fragments(IDR, 2).iter().enumerate() {
        packed.packet(0, part, n == 2, false);
    }
    for stage in [single, packed] {
        assert_eq!(stage.given, [(whole.clone(), 0, false)]);
        assert_eq!(stage.units.damaged(), 0);
    }
}

#[test]
fn h265_is_read_in_every_packing() {
    let (vps, idr) = ([0x40, 1, 9], [0x26, 1, 0xaf, 1, 2, 3]);
    let mut stage = Stage::new(Codec::H265);
    stage.packet(0, &[&[0x60, 1, 0, 3], &vps[..], &[0, 6], &idr[..]].concat(), true, false);
    stage.packet(1, &vps, false, false);
    stage.packet(1, &[0x62, 1, 0x80 | 19, 0xaf, 1], false, false);
    stage.packet(1, &[0x62, 1, 0x40 | 19, 2, 3], true, false);
    let whole = annex_b(&[&vps, &idr]);
    assert_eq!(stage.given, [(whole.clone(), 0, false), (whole, 1, false)]);
}

#[test]
fn marks_in_wrong_places_split_and_join_no_pictures() {
    let mut stage = Stage::new(Codec::H264);
    // A mark and a time of its own behind the parameter sets, and no mark behind the picture.
    stage.packet(0, SPS, true, false);
    stage.packet(1, PPS, true, false);
    stage.packet(2, IDR, false, false);
    stage.packet(3, INTER, false, false);
    stage.packet(3, SECOND_SLICE, true, false);
    let first = annex_b(&[SPS, PPS, IDR]);
    assert_eq!(stage.given, [(first, 2, false), (annex_b(&[INTER, SECOND_SLICE]), 3, false)]);
}

#[test]
fn a_loss_costs_the_unit_it_fell_into_and_marks_the_next() {
    let mut stage = Stage::new(Codec::H264);
    let parts = fragments(IDR, 1);
    // Joined in the middle of a picture: nothing was lost from what was asked for.
    stage.packet(0, &parts[3], true, false);
    stage.packet(1, INTER, true, false);
    assert_eq!(stage.given.pop(), Some((annex_b(&[INTER]), 1, false)));
    stage.packet(2, &parts[0], false, false);
    stage.packet(2, &parts[3], false, true);
    stage.packet(2, &parts[5], true, false);
    stage.packet(3, INTER, true, false);
    assert_eq!(stage.given, [(annex_b(&[INTER]), 3, true)]);
    // Between two units it costs none.
    stage.packet(4, INTER, true, true);
    stage.packet(5, INTER, true, false);
    let gaps: Vec<_> = stage.given.iter().map(|(_, ticks, gap)| (*ticks, *gap)).collect();
    assert_eq!(gaps, [(3, true), (4, true), (5, false)]);
    // The first slices of a picture: the others are none.
    stage.packet(6, SECOND_SLICE, true, true);
    assert_eq!(stage.given.len(), 3);
}

#[test]
fn a_unit_without_end_is_left_out_and_its_memory_given_back() {
    let mut stage = Stage::new(Codec::H264);
    let part = vec![0; 60_000];
    stage.packet(0, &[&[0x7c, 0x85, 0x88], &part[..]].concat(), false, false);
    for _ in 0..1_000 {
        stage.packet(0, &[&[0x7c, 0x05], &part[..]].concat(), false, false);
        assert!(stage.units.data.capacity() <= 2 * MAX_UNIT_BYTES);
    }
    assert!(stage.units.data.capacity() <= KEPT_BYTES);
    stage.packet(1, INTER, true, false);
    assert_eq!(stage.given.len(), 1);
    // And pictures that are never whole are counted.
    for ticks in 2..40 {
        stage.packet(ticks, SECOND_SLICE, true, false);
    }
    assert_eq!(stage.units.damaged(), 38);
}

proptest! {
    #[test]
    fn no_packets_make_it_panic(
        packets in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..40), 0..4_i64, any::<bool>(), any::<bool>()),
            0..60,
        ),
        kinds in proptest::collection::vec(0..8_usize, 60),
    ) {
        for codec in [Codec::H264, Codec::H265] {
            let mut stage = Stage::new(codec);
            for ((payload, ticks, last, lost), kind) in packets.iter().zip(&kinds) {
                let mut payload = payload.clone();
                if let Some(first) = payload.first_mut() {
                    *first = [*first, 0x41, 0x18, 0x7c, 0x67, 0x60, 0x62, 0x26][*kind];
                }
                stage.packet(*ticks, &payload, *last, *lost);
            }
            // Whatever is given begins with a start code and holds a slice.
            for (data, _, _) in &stage.given {
                prop_assert!(data.starts_with(&START_CODE));
            }
        }
    }
}
