//! The media of one playing session: packets of the next picture, stamped, damaged where ordered, with a sender report
//! every few seconds.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use crate::camera::Camera;
use crate::clip::RTP_CLOCK_HZ;
use crate::counters::Counters;
use crate::feed::{Feed, Scene};
use crate::rtcp::{SenderReport, wall_clock};
use crate::rtp::{FRAMING, HEADER, Stamp, for_each_packet};

/// Between sender reports: RFC 3550 §6.2 asks for 5 s at least.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// A playing session.
#[derive(Debug)]
pub(crate) struct Delivery {
    camera: Arc<Camera>,
    pub(crate) feed: Feed,
    stamp: Stamp,
    timestamp_base: u32,
    packets: u32,
    payload_bytes: u32,
    report_at: Instant,
    wire: Vec<u8>,
}

impl Delivery {
    /// Starts to play on `channel`; the camera counts one client more until this is dropped.
    pub(crate) fn start(camera: Arc<Camera>, scene: Scene, channel: u8, ssrc: u32, now: Instant) -> Self {
        Counters::add(&camera.counters.clients, 1);
        Counters::add(&camera.counters.sessions_played, 1);
        let mut feed = Feed::new(camera.epoch, scene, now);
        feed.not_before(now + camera.state.borrow().first_after);
        let stamp = Stamp { channel, sequence: rand::random(), ssrc };
        let (timestamp_base, report_at) = (rand::random(), now);
        Self {
            camera,
            feed,
            stamp,
            timestamp_base,
            packets: 0,
            payload_bytes: 0,
            report_at,
            wire: Vec::new(),
        }
    }

    /// Sequence number and timestamp of the next packet, for `RTP-Info`.
    pub(crate) fn next_numbers(&self) -> (u16, u32) {
        (self.stamp.sequence, self.timestamp(self.feed.next().ticks))
    }

    /// The bytes of the next picture, with a report before it where one is due. The feed goes on to the picture after.
    pub(crate) fn next_bytes(&mut self, corrupt: f64, now: Instant) -> &[u8] {
        self.wire.clear();
        if now >= self.report_at {
            self.report_at = now + REPORT_INTERVAL;
            self.report(now);
        }
        let media_from = self.wire.len();
        let picture = self.feed.next();
        let (ticks, seed) = (picture.ticks, picture.number());
        self.wire.extend_from_slice(picture.clip.packets().unit(picture.unit));
        let timestamp = self.timestamp(ticks);
        let media = &mut self.wire[media_from..];
        let (packets, payload_bytes) = self.stamp.apply(media, timestamp);
        self.packets = self.packets.wrapping_add(packets);
        self.payload_bytes = self.payload_bytes.wrapping_add(payload_bytes);
        if corrupt > 0.0 {
            flip_bits(media, corrupt, seed);
        }
        self.feed.advance();
        &self.wire
    }

    /// The bytes of [`next_bytes`](Self::next_bytes) were written.
    pub(crate) fn sent(&self) {
        Counters::add(&self.camera.counters.units_sent, 1);
        Counters::add(&self.camera.counters.bytes_sent, self.wire.len() as u64);
    }

    fn report(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.camera.epoch);
        let ticks = elapsed.as_nanos() * u128::from(RTP_CLOCK_HZ) / 1_000_000_000;
        let offset_ms = self.camera.clock_offset_ms();
        let offset = Duration::from_millis(offset_ms.unsigned_abs());
        let wall = wall_clock();
        let wall = if offset_ms < 0 { wall.saturating_sub(offset) } else { wall + offset };
        let report = SenderReport {
            ssrc: self.stamp.ssrc,
            wall,
            timestamp: self.timestamp(ticks as i64),
            packets: self.packets,
            payload_bytes: self.payload_bytes,
        };
        report.write(self.stamp.channel + 1, &mut self.wire);
    }

    /// The RTP timestamp of a moment of the camera's timeline; it wraps.
    fn timestamp(&self, ticks: i64) -> u32 {
        self.timestamp_base.wrapping_add(ticks as u32)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.camera.counters.clients.fetch_sub(1, Relaxed);
    }
}

/// Flips each bit of payload with probability `rate`, the same ones for the same picture and rate.
fn flip_bits(media: &mut [u8], rate: f64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    // How many bits stay whole before the next flip is geometrically distributed; `1 - rate` is 0 where none does.
    let mut gap = || ((1.0 - random.random::<f64>()).ln() / (1.0 - rate).ln()) as usize;
    let mut skip = gap();
    for_each_packet(media, |packet| {
        let payload = &mut packet[FRAMING + HEADER..];
        let bits = payload.len() * 8;
        while skip < bits {
            payload[skip / 8] ^= 0x80 >> (skip % 8);
            skip = skip.saturating_add(1).saturating_add(gap());
        }
        skip -= bits;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let length = (HEADER + payload.len()) as u16;
        [&[b'$', 0][..], &length.to_be_bytes(), &[0; HEADER], payload].concat()
    }

    #[test]
    fn as_many_bits_are_flipped_as_the_rate_says_and_no_header_is_touched() {
        let whole = [framed(&[0; 1000]), framed(&[0; 1400])].concat();
        let flipped = |rate: f64, seed: u64| {
            let mut media = whole.clone();
            flip_bits(&mut media, rate, seed);
            assert_eq!(media[..16], whole[..16]);
            assert_eq!(media[1016..1032], whole[1016..1032]);
            media
        };
        let ones = |media: &[u8]| media.iter().map(|byte| byte.count_ones()).sum::<u32>();
        let header_ones = ones(&whole);
        for seed in 0..20 {
            let count = ones(&flipped(0.01, seed)) - header_ones;
            assert!((120..270).contains(&count), "{count} of 19,200 bits at 1 %, seed {seed}");
        }
        assert_eq!(ones(&flipped(1.0, 1)) - header_ones, 19_200);
        assert_eq!(flipped(0.01, 7), flipped(0.01, 7));
        assert_ne!(flipped(0.01, 7), flipped(0.01, 8));
    }
}
