//! RTP payloads of NAL units: single units and fragmentation units, for H.264 (RFC 6184 §5.6, §5.8) and H.265
//! (RFC 7798 §4.4.1, §4.4.3). No aggregation.

use bytes::Bytes;

use super::{LONGEST_PAYLOAD, Writer};
use crate::clip::{AccessUnit, Codec, ParameterSets, nal_units};

/// H.264 §7.4.1, H.265 §7.4.2.2: these end a sequence or stream, and a looped clip goes on.
fn is_end(codec: Codec, nal: &[u8]) -> bool {
    match codec {
        Codec::H264 => matches!(nal[0] & 0x1f, 10 | 11),
        _ => matches!(nal[0] >> 1 & 0x3f, 36 | 37),
    }
}

/// Which parameter sets, VPS, SPS, PPS, `nal` belongs to.
fn parameter_set(codec: Codec, nal: &[u8]) -> Option<usize> {
    match (codec, nal[0] & 0x1f, nal[0] >> 1 & 0x3f) {
        (Codec::H265, _, 32) => Some(0),
        (Codec::H264, 7, _) | (Codec::H265, _, 33) => Some(1),
        (Codec::H264, 8, _) | (Codec::H265, _, 34) => Some(2),
        _ => None,
    }
}

fn is_delimiter(codec: Codec, nal: &[u8]) -> bool {
    match codec {
        Codec::H264 => nal[0] & 0x1f == 9,
        _ => nal[0] >> 1 & 0x3f == 35,
    }
}

/// Writes one access unit's packets. `sets` are the parameter sets in force; where the stream brings new ones with a
/// keyframe they replace them, and where it brings none they are sent with it.
pub(super) fn write_unit(writer: &mut Writer, codec: Codec, unit: &AccessUnit, sets: &mut ParameterSets) {
    let mut nals: Vec<Bytes> =
        nal_units(&unit.data).map(|range| unit.data.slice(range)).filter(|nal| !is_end(codec, nal)).collect();
    if unit.keyframe {
        let mut brought: [Vec<Bytes>; 3] = Default::default();
        for nal in &nals {
            if let Some(kind) = parameter_set(codec, nal) {
                brought[kind].push(nal.clone());
            }
        }
        let [vps, sps, pps] = brought;
        for (in_force, brought) in [(&mut sets.vps, vps), (&mut sets.sps, sps), (&mut sets.pps, pps)] {
            if !brought.is_empty() {
                *in_force = brought;
            }
        }
        nals.retain(|nal| parameter_set(codec, nal).is_none());
        let at = usize::from(nals.first().is_some_and(|nal| is_delimiter(codec, nal)));
        nals.splice(at..at, [&sets.vps, &sets.sps, &sets.pps].into_iter().flatten().cloned());
    }
    let last = nals.len().saturating_sub(1);
    for (index, nal) in nals.iter().enumerate() {
        write_nal(writer, codec, nal, index == last);
    }
}

fn write_nal(writer: &mut Writer, codec: Codec, nal: &[u8], ends_unit: bool) {
    if nal.len() <= LONGEST_PAYLOAD {
        writer.packet(&[nal], ends_unit);
        return;
    }
    let mut head = [0; 3];
    let (head, body) = match codec {
        Codec::H264 => {
            head[..2].copy_from_slice(&[nal[0] & 0xe0 | 28, nal[0] & 0x1f]);
            (&mut head[..2], &nal[1..])
        }
        _ => {
            head.copy_from_slice(&[nal[0] & 0x81 | 49 << 1, nal[1], nal[0] >> 1 & 0x3f]);
            (&mut head[..], &nal[2..])
        }
    };
    let chunk_bytes = LONGEST_PAYLOAD - head.len();
    let flags = head.len() - 1;
    let kind = head[flags];
    let count = body.len().div_ceil(chunk_bytes);
    for (index, chunk) in body.chunks(chunk_bytes).enumerate() {
        let is_last = index + 1 == count;
        head[flags] = kind | if index == 0 { 0x80 } else { 0 } | if is_last { 0x40 } else { 0 };
        writer.packet(&[head, chunk], ends_unit && is_last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(codec: Codec, unit: &AccessUnit, sets: &mut ParameterSets) -> Vec<(bool, Vec<u8>)> {
        let mut writer = Writer { bytes: Vec::new(), payload_type: 96 };
        write_unit(&mut writer, codec, unit, sets);
        let mut packets = Vec::new();
        super::super::for_each_packet(&mut writer.bytes, |packet| {
            packets.push((packet[5] & 0x80 != 0, packet[16..].to_vec()));
        });
        packets
    }

    fn unit(nals: &[&[u8]], keyframe: bool) -> AccessUnit {
        let data: Vec<u8> = nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect();
        AccessUnit { data: data.into(), keyframe, shown_at: 0 }
    }

    #[test]
    fn a_keyframe_always_brings_its_parameter_sets() {
        let mut sets = ParameterSets {
            vps: vec![],
            sps: vec![Bytes::from_static(b"\x67a")],
            pps: vec![Bytes::from_static(b"\x68b")],
        };
        let bare = unit(&[b"\x09\xf0", b"\x65slice", b"\x0b"], true);
        let nals =
            |packets: Vec<(bool, Vec<u8>)>| packets.into_iter().map(|(_, nal)| nal).collect::<Vec<_>>();
        let sent = nals(packets(Codec::H264, &bare, &mut sets));
        assert_eq!(sent, [&b"\x09\xf0"[..], b"\x67a", b"\x68b", b"\x65slice"]);
        let own = unit(&[b"\x67new", b"\x65slice"], true);
        assert_eq!(nals(packets(Codec::H264, &own, &mut sets)), [&b"\x67new"[..], b"\x68b", b"\x65slice"]);
        let delta = unit(&[b"\x41slice"], false);
        assert_eq!(nals(packets(Codec::H264, &delta, &mut sets)), [b"\x41slice"]);
    }

    #[test]
    fn fragments_join_to_the_nal_unit_they_came_from() {
        let body: Vec<u8> = (0..4000u32).map(|n| 1 | n as u8).collect();
        for (codec, header, fragment_header) in
            [(Codec::H264, &[0x41][..], 2), (Codec::H265, &[0x02, 0x01][..], 3)]
        {
            let nal = [header, &body].concat();
            let sent = packets(codec, &unit(&[&nal], false), &mut ParameterSets::default());
            assert_eq!(sent.len(), 3);
            assert!(sent.iter().all(|(_, payload)| payload.len() <= LONGEST_PAYLOAD));
            assert_eq!(sent.iter().map(|(marker, _)| *marker).collect::<Vec<_>>(), [false, false, true]);
            let flags: Vec<u8> =
                sent.iter().map(|(_, payload)| payload[fragment_header - 1] & 0xc0).collect();
            assert_eq!(flags, [0x80, 0, 0x40]);
            let joined: Vec<u8> =
                sent.iter().flat_map(|(_, payload)| payload[fragment_header..].to_vec()).collect();
            assert_eq!(joined, body);
        }
    }
}
