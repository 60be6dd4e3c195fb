//! The camera's own time of each unit, from RTCP sender reports (RFC 3550 §6.4.1): a report pairs the camera's clock
//! with the stream's RTP time, and each unit's RTP time is that of its newest packet.

use std::sync::{Arc, Mutex, MutexGuard};

use gstreamer as gst;
use gstreamer::prelude::*;
use xueliang_base::time::{CameraTime, Mono, SharedClock, Wall};

/// Seconds from 1900 to 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;
/// 2000-01-01: a camera that says less has never been told the time.
const SANE_FROM_S: i64 = 946_684_800;
/// A report may pair its two times up to a picture apart; encoders stamp pictures after they were exposed.
const PAIRING_US: u64 = 20_000;
/// Crystals of cheap cameras, with a margin.
const DRIFT_PPM: u64 = 200;
/// A report older than this says nothing any more.
const OLD_S: i64 = 60;
/// Two reports that disagree by more than this: one of the camera's clocks was set meanwhile.
const DISAGREE_US: u64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
struct Report {
    unix_us: i64,
    rtp: u32,
    clock_hz: u32,
    /// How far the report before was off.
    off_us: u64,
    at: Mono,
}

#[derive(Debug, Default)]
struct State {
    rtp: Option<u32>,
    report: Option<Report>,
}

/// What is known of a stream's times. Clones share it.
#[derive(Clone)]
pub(super) struct Times {
    state: Arc<Mutex<State>>,
    clock: SharedClock,
}

/// Listens to the sender reports of the session.
pub(super) fn listen(source: &gst::Element, clock: &SharedClock) -> Times {
    let times = Times { state: Arc::default(), clock: Arc::clone(clock) };
    let for_buffers = times.clone();
    source.connect("new-manager", false, move |values| {
        let manager = values.get(1)?.get::<gst::Element>().ok()?;
        let times = for_buffers.clone();
        manager.connect("new-jitterbuffer", false, move |values| {
            let jitter = values.get(1)?.get::<gst::Element>().ok()?;
            let times = times.clone();
            jitter.connect("handle-sync", false, move |values| {
                let sync = values.get(1)?.get::<gst::Structure>().ok()?;
                let clock_hz = sync.get::<u32>("clock-rate").ok()?;
                let report = sync.get::<gst::Buffer>("sr-buffer").ok()?;
                times.report(&report.map_readable().ok()?, clock_hz);
                None
            });
            None
        });
        None
    });
    times
}

impl Times {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    /// Notes the RTP time of every packet that enters the pad.
    pub(super) fn watch(&self, pad: &gst::Pad) {
        let times = self.clone();
        let note = move |buffer: &gst::BufferRef| {
            let mut bytes = [0; 4];
            if buffer.copy_to_slice(4, &mut bytes).is_ok() {
                times.state().rtp = Some(u32::from_be_bytes(bytes));
            }
        };
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => note(buffer),
                Some(gst::PadProbeData::BufferList(list)) => {
                    if let Some(buffer) = list.len().checked_sub(1).and_then(|last| list.get(last)) {
                        note(buffer);
                    }
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
    }
    /// The camera's time of the unit that is being delivered.
    pub(super) fn of_this_unit(&self) -> Option<CameraTime> {
        let state = self.state();
        let (report, rtp) = (state.report?, state.rtp?);
        if self.clock.mono().since(report.at).as_secs() > OLD_S.unsigned_abs() {
            return None;
        }
        let since_us = ticks_us(rtp, report.rtp, report.clock_hz)?;
        let error_us = PAIRING_US + report.off_us + since_us.unsigned_abs() * DRIFT_PPM / 1_000_000;
        Some(CameraTime { wall: Wall(report.unix_us + since_us), error_us })
    }
    fn report(&self, packet: &[u8], clock_hz: u32) {
        let Some((unix_us, rtp)) = parse(packet) else { return };
        let at = self.clock.mono();
        let mut state = self.state();
        let off_us = match state.report {
            Some(before) => {
                let expected = ticks_us(rtp, before.rtp, clock_hz).map(|us| before.unix_us + us);
                expected.map_or(DISAGREE_US, |expected| expected.abs_diff(unix_us))
            }
            None => 0,
        };
        let sane = unix_us >= SANE_FROM_S * 1_000_000 && clock_hz > 0;
        state.report =
            (sane && off_us < DISAGREE_US).then_some(Report { unix_us, rtp, clock_hz, off_us, at });
    }
}

/// Microseconds from one RTP time to another, over the wrap; `None` when further apart than a report is good for.
fn ticks_us(to: u32, from: u32, clock_hz: u32) -> Option<i64> {
    let ticks = i64::from(to.wrapping_sub(from).cast_signed());
    let us = ticks.checked_mul(1_000_000)?.checked_div(i64::from(clock_hz))?;
    (us.abs() <= OLD_S * 1_000_000).then_some(us)
}

/// Unix microseconds and RTP time of a sender report.
fn parse(packet: &[u8]) -> Option<(i64, u32)> {
    let word = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
    if packet.first()? >> 6 != 2 || *packet.get(1)? != 200 {
        return None;
    }
    let seconds = i64::from(word(8)?);
    let fraction_us = (u64::from(word(12)?) * 1_000_000) >> 32;
    let unix_us = (seconds - NTP_TO_UNIX_S) * 1_000_000 + i64::try_from(fraction_us).ok()?;
    Some((unix_us, word(16)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xueliang_base::time::ManualClock;

    use super::*;

    fn packet(unix_s: i64, rtp: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 200, 0, 6, 1, 2, 3, 4];
        packet.extend(u32::try_from(unix_s + NTP_TO_UNIX_S).unwrap().to_be_bytes());
        packet.extend(0x8000_0000_u32.to_be_bytes());
        packet.extend(rtp.to_be_bytes());
        packet.extend([0; 8]);
        packet
    }

    #[test]
    fn a_unit_is_dated_by_the_report_over_the_wrap_of_rtp_time() {
        let clock = ManualClock::at(Wall(0));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let times = Times { state: Arc::default(), clock: shared };
        times.state().rtp = Some(44_999);
        assert_eq!(times.of_this_unit(), None);
        times.report(&packet(1_700_000_000, u32::MAX - 45_000 + 1), 90_000);
        times.state().rtp = Some(45_000);
        let time = times.of_this_unit().unwrap();
        assert_eq!(time.wall, Wall(1_700_000_001_500_000));
        assert_eq!(time.error_us, PAIRING_US + 200);
        clock.advance(Duration::from_secs(61));
        assert_eq!(times.of_this_unit(), None, "the report is old");
    }

    #[test]
    fn a_clock_that_was_set_or_never_told_gives_no_time() {
        let clock: SharedClock = ManualClock::at(Wall(0));
        let times = Times { state: Arc::default(), clock };
        times.state().rtp = Some(90_000);
        times.report(&packet(86_400, 0), 90_000);
        assert_eq!(times.of_this_unit(), None, "1970");
        times.report(&packet(1_700_000_000, 0), 90_000);
        assert!(times.of_this_unit().is_some());
        times.report(&packet(1_700_003_600, 90_000), 90_000);
        assert_eq!(times.of_this_unit(), None, "an hour forward within a second");
        times.report(&[0; 3], 90_000);
        times.report(&packet(1_700_003_601, 180_000), 90_000);
        assert!(times.of_this_unit().is_some());
    }
}
