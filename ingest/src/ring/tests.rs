use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use xueliang_base::{look::NotLooked, time::Wall};

use super::*;

fn unit(seq: u64, keyframe: bool, discontinuity: bool, size: usize, at_ms: u64) -> AccessUnit {
    AccessUnit {
        seq,
        codec: Codec::H264,
        keyframe,
        discontinuity,
        pts_us: None,
        arrival: Mono(at_ms * 1_000_000),
        arrival_wall: Wall(0),
        camera_time: None,
        data: Bytes::from(vec![0; size]),
    }
}

/// Keyframes at 1, 6, 11, …; one unit each 100 ms, 10 bytes each.
fn filled(units: u64) -> Ring {
    let ring = Ring::new(10_000, Duration::from_secs(100));
    for seq in 1..=units {
        ring.push(unit(seq, seq % 5 == 1, seq == 1, 10, seq * 100));
    }
    ring
}

fn seqs(span: &Span) -> Vec<u64> {
    span.units.iter().map(|unit| unit.seq).collect()
}

#[test]
fn a_keyframe_look_takes_the_newest_and_supersedes_what_came_before() {
    let ring = filled(8);
    assert_eq!(ring.freshest_keyframe(), Some((6, Mono(600_000_000))));
    let span = ring.take_keyframe().unwrap();
    assert_eq!(seqs(&span), [6]);
    assert_eq!(ring.account().skipped, BTreeMap::from([(Skipped::Superseded, 5)]));
    ring.settle(&span.ticket, Settled::Looked { looked_seq: 6, decoded: 1 });
    drop(span);
    let account = ring.account();
    assert_eq!((account.looked_at, account.in_flight, account.in_ring), (1, 0, 2));
    assert_eq!(account.missing(), 0);
    assert!(ring.take_keyframe().is_none(), "a keyframe is looked at once");
}

#[test]
fn a_continued_look_goes_on_where_it_stopped_and_never_over_a_gap() {
    let ring = filled(8);
    let first = ring.take_from_keyframe().unwrap();
    assert_eq!(seqs(&first), [6, 7, 8]);
    assert!(ring.take_since(8).is_none(), "nothing new");
    ring.push(unit(9, false, false, 10, 900));
    ring.push(unit(10, false, false, 10, 1000));
    let second = ring.take_since(8).unwrap();
    assert_eq!(seqs(&second), [9, 10]);
    ring.settle(&second.ticket, Settled::Looked { looked_seq: 10, decoded: 2 });
    ring.push(unit(11, true, true, 10, 1100));
    assert!(ring.take_since(10).is_none());
    assert_eq!(ring.pending().decodable_since, Some(11));
    assert_eq!(seqs(&ring.take_from_keyframe().unwrap()), [11]);
    drop(first);
    let account = ring.account();
    assert_eq!(account.lost, BTreeMap::from([(NotLooked::WorkerLost, 4)]));
    assert_eq!((account.looked_at, account.referenced, account.missing()), (1, 1, 0));
}

#[test]
fn a_reordered_picture_of_an_earlier_span_is_looked_at_after_all() {
    let ring = filled(8);
    let first = ring.take_from_keyframe().unwrap();
    ring.settle(&first.ticket, Settled::Looked { looked_seq: 6, decoded: 3 });
    ring.push(unit(9, false, false, 10, 900));
    let second = ring.take_since(8).unwrap();
    ring.settle(&second.ticket, Settled::Looked { looked_seq: 8, decoded: 1 });
    let account = ring.account();
    assert_eq!((account.looked_at, account.referenced, account.missing()), (2, 2, 0));
}

#[test]
fn units_without_a_keyframe_before_them_are_skipped_as_such() {
    let ring = Ring::new(10_000, Duration::from_secs(100));
    ring.push(unit(1, false, true, 10, 100));
    ring.push(unit(2, true, false, 10, 200));
    ring.push(unit(3, false, true, 10, 300));
    ring.push(unit(4, false, false, 10, 400));
    let account = ring.account();
    assert_eq!(account.skipped, BTreeMap::from([(Skipped::NoReference, 3)]));
    assert_eq!((account.received, account.in_ring, account.missing()), (4, 1, 0));
    assert!(ring.take_from_keyframe().is_none(), "a gap stands after the newest keyframe");
    assert_eq!(seqs(&ring.take_keyframe().unwrap()), [2]);
}

#[test]
fn bytes_and_seconds_are_bounds() {
    let ring = Ring::new(50, Duration::from_millis(350));
    for seq in 1..=20 {
        ring.push(unit(seq, true, false, 10, seq * 100));
    }
    assert_eq!(ring.pending().units, 4, "350 ms hold four units 100 ms apart");
    ring.push(unit(21, true, false, 45, 2100));
    assert_eq!((ring.pending().units, ring.pending().bytes), (1, 45));
    ring.push(unit(22, true, false, 51, 2200));
    assert_eq!(ring.pending().units, 0, "a unit larger than the ring is not kept");
    assert_eq!(ring.account().missing(), 0);
}

#[test]
fn a_clip_starts_at_a_keyframe_and_leaves_the_account_alone() {
    let ring = filled(20);
    drop(ring.take_keyframe());
    let before = ring.account();
    let clip = ring.clip(Mono(900_000_000), Mono(1_300_000_000));
    assert_eq!(clip.iter().map(|unit| unit.seq).collect::<Vec<_>>(), [6, 7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(ring.clip(Mono(0), Mono(250_000_000)).len(), 2);
    assert_eq!(ring.account(), before);
}

#[test]
fn a_broken_account_is_seen() {
    let ring = filled(8);
    lock(&ring.0).account.in_ring -= 1;
    assert_eq!(ring.account().missing(), 1);
    lock(&ring.0).account.looked_at += 2;
    assert_eq!(ring.account().missing(), -1);
}

#[derive(Debug, Clone)]
enum Op {
    Push { keyframe: bool, discontinuity: bool, gap: bool, size: usize, after_ms: u64 },
    Keyframe,
    Since(u64),
    FromKeyframe,
    Settle { which: usize, looked: u64, decoded: u64 },
    Lose { which: usize },
    Forget { which: usize },
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (any::<u8>(), 0..60_usize, 0..400_u64).prop_map(|(dice, size, after_ms)| Op::Push {
            keyframe: dice % 4 == 0,
            discontinuity: dice % 16 == 1,
            gap: dice % 16 == 2,
            size,
            after_ms
        }),
        2 => Just(Op::Keyframe),
        2 => (0..4_u64).prop_map(Op::Since),
        2 => Just(Op::FromKeyframe),
        2 => (any::<usize>(), 0..8_u64, 0..8_u64)
            .prop_map(|(which, looked, decoded)| Op::Settle { which, looked, decoded }),
        1 => any::<usize>().prop_map(|which| Op::Lose { which }),
        1 => any::<usize>().prop_map(|which| Op::Forget { which }),
        1 => Just(Op::Clear),
    ]
}

proptest! {
    #[test]
    fn every_unit_stands_in_exactly_one_column(ops in proptest::collection::vec(op(), 1..200)) {
        let ring = Ring::new(300, Duration::from_secs(2));
        let (mut seq, mut now_ms) = (0, 0);
        let mut flying: Vec<Span> = Vec::new();
        for op in ops {
            match op {
                Op::Push { keyframe, discontinuity, gap, size, after_ms } => {
                    seq += if gap { 3 } else { 1 };
                    now_ms += after_ms;
                    ring.push(unit(seq, keyframe, discontinuity, size, now_ms));
                }
                Op::Keyframe => flying.extend(ring.take_keyframe()),
                Op::Since(back) => flying.extend(ring.take_since(seq.saturating_sub(back))),
                Op::FromKeyframe => flying.extend(ring.take_from_keyframe()),
                Op::Settle { which, looked, decoded } if !flying.is_empty() => {
                    let span = flying.swap_remove(which % flying.len());
                    let looked_seq = seq.saturating_sub(looked);
                    ring.settle(&span.ticket, Settled::Looked { looked_seq, decoded });
                }
                Op::Lose { which } if !flying.is_empty() => {
                    let span = &flying[which % flying.len()];
                    ring.settle(&span.ticket, Settled::Lost(NotLooked::Deadline));
                }
                Op::Forget { which } if !flying.is_empty() => drop(flying.swap_remove(which % flying.len())),
                Op::Clear => ring.clear(Skipped::Removed),
                _ => {}
            }
            let account = ring.account();
            prop_assert_eq!(account.missing(), 0, "{:?}", account);
            prop_assert_eq!(account.in_ring, ring.pending().units);
            let inner = lock(&ring.0);
            prop_assert!(inner.bytes <= 300);
            prop_assert_eq!(inner.bytes, inner.entries.iter().map(|e| e.unit.data.len()).sum::<usize>());
        }
        drop(flying);
        prop_assert_eq!(ring.account().in_flight, 0);
        prop_assert_eq!(ring.account().missing(), 0);
    }
}

#[test]
fn where_every_picture_of_a_span_was_looked_at_each_counts_once() {
    let ring = filled(8);
    let first = ring.take_from_keyframe().unwrap();
    // The picture of unit 8 is still held back.
    ring.settle(&first.ticket, Settled::Looked { looked_seq: 6, decoded: 3 });
    ring.also_looked_at([6, 7]);
    ring.push(unit(9, false, false, 10, 900));
    let second = ring.take_since(8).unwrap();
    ring.settle(&second.ticket, Settled::Looked { looked_seq: 8, decoded: 1 });
    ring.also_looked_at([9, 99]);
    let account = ring.account();
    assert_eq!((account.looked_at, account.referenced, account.missing()), (4, 0, 0), "{account:?}");
}
