//! RTP packets (RFC 3550 §5.1) of a whole clip, made once, in the framing of RTSP over TCP (RFC 2326 §10.12):
//! `$`, channel, length of 16 bits, packet. What differs between sessions and turns of the loop (channel, sequence
//! number, timestamp, source) is left zero here and written into a session's own copy by [`Stamp`].

use std::ops::Range;

use crate::clip::{Clip, Codec};

mod jpeg;
mod nal;

/// Bytes before a packet: `$`, channel, length.
pub(crate) const FRAMING: usize = 4;
/// Bytes of an RTP header without extensions.
pub(crate) const HEADER: usize = 12;
/// The longest payload of one packet: what fits in an Ethernet frame, as cameras do even over TCP.
const LONGEST_PAYLOAD: usize = 1400;

/// The static payload type of JPEG (RFC 3551 §6).
const JPEG_PAYLOAD_TYPE: u8 = 26;
/// The dynamic payload type everybody uses first.
const DYNAMIC_PAYLOAD_TYPE: u8 = 96;

/// The payload type a codec is sent with.
pub(crate) fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::H264 | Codec::H265 => DYNAMIC_PAYLOAD_TYPE,
        Codec::Mjpeg => JPEG_PAYLOAD_TYPE,
    }
}

/// All packets of a clip.
#[derive(Debug)]
pub(crate) struct Packets {
    bytes: Vec<u8>,
    units: Vec<Range<usize>>,
}

impl Packets {
    /// Packetises `clip`. A keyframe that comes without parameter sets gets them.
    pub(crate) fn of(clip: &Clip) -> Self {
        let mut writer = Writer { bytes: Vec::new(), payload_type: payload_type(clip.codec()) };
        let mut units = Vec::with_capacity(clip.units().len());
        let mut sets = clip.parameter_sets().clone();
        for unit in clip.units() {
            let start = writer.bytes.len();
            match clip.codec() {
                Codec::H264 | Codec::H265 => nal::write_unit(&mut writer, clip.codec(), unit, &mut sets),
                Codec::Mjpeg => jpeg::write_unit(&mut writer, &unit.data),
            }
            units.push(start..writer.bytes.len());
        }
        Self { bytes: writer.bytes, units }
    }

    /// The packets of one access unit, framed, to be copied and stamped.
    pub(crate) fn unit(&self, index: usize) -> &[u8] {
        &self.bytes[self.units[index].clone()]
    }
}

/// Appends framed packets.
struct Writer {
    bytes: Vec<u8>,
    payload_type: u8,
}

impl Writer {
    /// Appends one packet whose payload is `parts` joined; `marker` ends an access unit.
    fn packet(&mut self, parts: &[&[u8]], marker: bool) {
        let length = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u16::try_from(length).expect("payloads are at most LONGEST_PAYLOAD bytes and a header");
        self.bytes.extend_from_slice(&[b'$', 0]);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(&[0x80, self.payload_type | if marker { 0x80 } else { 0 }]);
        self.bytes.extend_from_slice(&[0; HEADER - 2]);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// What one session writes into its copy of a unit's packets.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// The interleaved channel.
    pub(crate) channel: u8,
    /// The next packet's sequence number.
    pub(crate) sequence: u16,
    /// The source.
    pub(crate) ssrc: u32,
}

impl Stamp {
    /// Stamps the framed packets in `packets`; gives their number, and their payload in bytes.
    pub(crate) fn apply(&mut self, packets: &mut [u8], timestamp: u32) -> (u32, u32) {
        let (mut count, mut payload_bytes) = (0, 0);
        for_each_packet(packets, |packet| {
            packet[1] = self.channel;
            packet[6..8].copy_from_slice(&self.sequence.to_be_bytes());
            packet[8..12].copy_from_slice(&timestamp.to_be_bytes());
            packet[12..16].copy_from_slice(&self.ssrc.to_be_bytes());
            self.sequence = self.sequence.wrapping_add(1);
            count += 1;
            payload_bytes += (packet.len() - FRAMING - HEADER) as u32;
        });
        (count, payload_bytes)
    }
}

/// Visits each framed packet, framing included.
pub(crate) fn for_each_packet(mut packets: &mut [u8], mut visit: impl FnMut(&mut [u8])) {
    while packets.len() > FRAMING + HEADER {
        let length = FRAMING + usize::from(u16::from_be_bytes([packets[2], packets[3]]));
        let (packet, rest) = packets.split_at_mut(length.min(packets.len()));
        visit(packet);
        packets = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamping_numbers_the_packets_and_leaves_the_payload() {
        let mut writer = Writer { bytes: Vec::new(), payload_type: 96 };
        writer.packet(&[b"ab", b"c"], false);
        writer.packet(&[b"d"], true);
        let mut stamp = Stamp { channel: 2, sequence: u16::MAX, ssrc: 0x0102_0304 };
        assert_eq!(stamp.apply(&mut writer.bytes, 0xa0b0_c0d0), (2, 4));
        assert_eq!(stamp.sequence, 1);
        let first = [&b"$\x02\x00\x0f\x80\x60\xff\xff\xa0\xb0\xc0\xd0\x01\x02\x03\x04"[..], b"abc"].concat();
        let second = [&b"$\x02\x00\x0d\x80\xe0\x00\x00\xa0\xb0\xc0\xd0\x01\x02\x03\x04"[..], b"d"].concat();
        assert_eq!(writer.bytes, [first, second].concat());
    }
}
