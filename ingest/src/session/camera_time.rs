//! The camera's own time of each unit, from RTCP sender reports (RFC 3550 §6.4.1): a report pairs the camera's clock
//! with the stream's RTP time, and each unit has an RTP time.

use xueliang_base::time::{CameraTime, Mono, Wall};

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

/// What the sender reports of one stream have told.
#[derive(Debug, Default)]
pub(crate) struct SenderReports {
    newest: Option<Report>,
}

impl SenderReports {
    /// The camera's time of the unit with that RTP time.
    pub(crate) fn time_of(&self, rtp: u32, now: Mono) -> Option<CameraTime> {
        let report = self.newest?;
        if now.since(report.at).as_secs() > OLD_S.unsigned_abs() {
            return None;
        }
        let since_us = ticks_us(rtp, report.rtp, report.clock_hz)?;
        let error_us = PAIRING_US + report.off_us + since_us.unsigned_abs() * DRIFT_PPM / 1_000_000;
        Some(CameraTime { wall: Wall(report.unix_us + since_us), error_us })
    }
    /// Takes note of an RTCP packet that came `at`, if it begins with a sender report. The stream's RTP time runs at
    /// `clock_hz`.
    pub(crate) fn note(&mut self, packet: &[u8], clock_hz: u32, at: Mono) {
        let Some((unix_us, rtp)) = parse(packet) else { return };
        let off_us = match self.newest {
            Some(before) => {
                let expected = ticks_us(rtp, before.rtp, clock_hz).map(|us| before.unix_us + us);
                expected.map_or(DISAGREE_US, |expected| expected.abs_diff(unix_us))
            }
            None => 0,
        };
        let sane = unix_us >= SANE_FROM_S * 1_000_000 && clock_hz > 0;
        self.newest = (sane && off_us < DISAGREE_US).then_some(Report { unix_us, rtp, clock_hz, off_us, at });
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
    use super::*;

    fn packet(unix_s: i64, rtp: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 200, 0, 6, 1, 2, 3, 4];
        packet.extend(u32::try_from(unix_s + NTP_TO_UNIX_S).unwrap().to_be_bytes());
        packet.extend(0x8000_0000_u32.to_be_bytes());
        packet.extend(rtp.to_be_bytes());
        packet.extend([0; 8]);
        packet
    }

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000_000)
    }

    #[test]
    fn a_unit_is_dated_by_the_report_over_the_wrap_of_rtp_time() {
        let mut reports = SenderReports::default();
        assert_eq!(reports.time_of(44_999, at(0)), None);
        reports.note(&packet(1_700_000_000, u32::MAX - 45_000 + 1), 90_000, at(0));
        let time = reports.time_of(45_000, at(1)).unwrap();
        assert_eq!(time.wall, Wall(1_700_000_001_500_000));
        assert_eq!(time.error_us, PAIRING_US + 200);
        assert_eq!(reports.time_of(45_000, at(61)), None, "the report is old");
    }

    #[test]
    fn a_clock_that_was_set_or_never_told_gives_no_time() {
        let mut reports = SenderReports::default();
        reports.note(&packet(86_400, 0), 90_000, at(0));
        assert_eq!(reports.time_of(90_000, at(0)), None, "1970");
        reports.note(&packet(1_700_000_000, 0), 90_000, at(0));
        assert!(reports.time_of(90_000, at(0)).is_some());
        reports.note(&packet(1_700_003_600, 90_000), 90_000, at(1));
        assert_eq!(reports.time_of(90_000, at(1)), None, "an hour forward within a second");
        reports.note(&[0; 3], 90_000, at(1));
        reports.note(&packet(1_700_003_601, 180_000), 90_000, at(2));
        assert!(reports.time_of(90_000, at(2)).is_some());
    }
}
