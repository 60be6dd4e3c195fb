//! RTCP sender reports (RFC 3550 §6.4.1) with the source's name (§6.5), so that clients can tell the wall time of a
//! picture.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from the NTP epoch, 1900, to the Unix epoch, 1970.
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;
const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;
const NAME: &[u8] = b"xueliang-simulator";

/// What a report says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SenderReport {
    pub(crate) ssrc: u32,
    /// The camera's wall clock, since the Unix epoch.
    pub(crate) wall: Duration,
    /// The RTP clock at the same moment.
    pub(crate) timestamp: u32,
    /// Packets sent so far.
    pub(crate) packets: u32,
    /// Payload sent so far, in bytes.
    pub(crate) payload_bytes: u32,
}

impl SenderReport {
    /// Appends the report, framed for the interleaved `channel`.
    pub(crate) fn write(&self, channel: u8, out: &mut Vec<u8>) {
        let mut packet = vec![0x80, SENDER_REPORT, 0, 6];
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        let seconds = (self.wall.as_secs() + NTP_TO_UNIX_SECONDS) as u32;
        let fraction = ((u64::from(self.wall.subsec_nanos()) << 32) / 1_000_000_000) as u32;
        for word in [seconds, fraction, self.timestamp, self.packets, self.payload_bytes] {
            packet.extend_from_slice(&word.to_be_bytes());
        }
        let mut chunk = self.ssrc.to_be_bytes().to_vec();
        chunk.extend_from_slice(&[CNAME, NAME.len() as u8]);
        chunk.extend_from_slice(NAME);
        // At least one zero byte ends the items, and the chunk fills whole words.
        chunk.resize((chunk.len() / 4 + 1) * 4, 0);
        packet.extend_from_slice(&[0x81, SOURCE_DESCRIPTION, 0, (chunk.len() / 4) as u8]);
        packet.extend_from_slice(&chunk);
        out.extend_from_slice(&[b'$', channel, 0, packet.len() as u8]);
        out.extend_from_slice(&packet);
    }
}

/// The wall clock, since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a camera has a clock of its own; this is where it is read")]
pub(crate) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_layout_of_the_standard() {
        let mut out = Vec::new();
        let wall = Duration::new(1_000, 500_000_000);
        SenderReport { ssrc: 1, wall, timestamp: 2, packets: 3, payload_bytes: 4 }.write(5, &mut out);
        assert_eq!(&out[..4], &[b'$', 5, 0, (out.len() - 4) as u8]);
        let words: Vec<u32> =
            out[4..].chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        let ntp_seconds = (NTP_TO_UNIX_SECONDS + 1_000) as u32;
        assert_eq!(words[..7], [0x80c8_0006, 1, ntp_seconds, 0x8000_0000, 2, 3, 4]);
        assert_eq!(words[7] >> 16, 0x81ca);
        assert_eq!((words[7] & 0xffff) as usize, words.len() - 8);
        assert_eq!(out.last(), Some(&0));
    }
}
