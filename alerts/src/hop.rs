//! How long a state was on its way from its publisher to the bus.
//!
//! Within one boot of one machine both read the same monotonic clock, and the hop is exact. Between machines each
//! answer of the bus bounds how far the two clocks are apart: a request cannot arrive before it was sent, nor an answer.
//! What lies between receipt and answer, the fsync above all, does not widen these bounds. Wall clocks are not asked.

use xueliang_base::{
    alert::{Stage, StageTime},
    time::{Boot, Mono, micros},
};
use xueliang_proto::v1;

/// The hop of a publisher that tells nothing lies under the deadline of its call.
const UNKNOWN: std::time::Duration = std::time::Duration::from_secs(10);
/// Two monotonic clocks drift apart by 1000 ppm at most, one part in this many: time synchronisation may slew each of
/// them by 500 ppm.
const DRIFT: u64 = 1000;

/// Another machine's monotonic clock, as exchanges with it tell.
///
/// The exchange with the shortest round trip tells most, until drift has made it worth less than a later one. All
/// bounds widen at the same rate, so that only the best needs to be kept: what it beats now it beats for ever.
#[derive(Debug, Default)]
pub(crate) struct PeerClock {
    best: Option<Sample>,
}

#[derive(Debug)]
struct Sample {
    boot: String,
    offset_ns: i64,
    uncertainty_ns: u64,
    at: Mono,
}

impl Sample {
    fn uncertainty_ns(&self, now: Mono) -> u64 {
        self.uncertainty_ns.saturating_add(now.0.saturating_sub(self.at.0) / DRIFT)
    }
}

impl PeerClock {
    /// Takes note of an exchange: sent and returned by our clock, received and answered by theirs. What contradicts
    /// itself is left out.
    pub(crate) fn note(&mut self, sent: Mono, theirs: &v1::ReceiveTime, returned: Mono) {
        let (Some(away), Some(there)) =
            (returned.0.checked_sub(sent.0), theirs.answered_mono_ns.checked_sub(theirs.received_mono_ns))
        else {
            return;
        };
        let Some(round_trip) = away.checked_sub(there) else { return };
        let middle = |a: u64, b: u64| i128::from(a) + i128::from(b);
        let apart = middle(theirs.received_mono_ns, theirs.answered_mono_ns) - middle(sent.0, returned.0);
        let Ok(offset_ns) = i64::try_from(apart / 2) else { return };
        let sample = Sample {
            boot: theirs.boot_id.clone(),
            offset_ns,
            uncertainty_ns: round_trip.div_ceil(2),
            at: returned,
        };
        let better = self.best.as_ref().is_none_or(|best| {
            best.boot != sample.boot || best.uncertainty_ns(returned) >= sample.uncertainty_ns
        });
        if better {
            self.best = Some(sample);
        }
    }
    /// What is to be said of something that is sent now.
    pub(crate) fn sent(&self, boot: &Boot, now: Mono) -> v1::SendTime {
        let offset = |best: &Sample| v1::ClockOffset {
            boot_id: best.boot.clone(),
            offset_ns: best.offset_ns,
            uncertainty_ns: best.uncertainty_ns(now),
        };
        let receiver = self.best.as_ref().filter(|best| best.boot != boot.as_str()).map(offset);
        v1::SendTime { boot_id: boot.as_str().to_owned(), sent_mono_ns: now.0, receiver }
    }
}

/// The hop of a publication that was received at a moment of this boot, as well as it can be told.
pub(crate) fn stage(publication: &v1::Publication, received: Mono, boot: &Boot) -> StageTime {
    let told = publication.sent.as_ref().and_then(|sent| dated(sent, received, boot));
    told.unwrap_or_else(|| bounded(publication.last_round_trip_us))
}

fn dated(sent: &v1::SendTime, received: Mono, boot: &Boot) -> Option<StageTime> {
    if sent.boot_id == boot.as_str() {
        // A reading that lies ahead is of another clock after all: that of a virtual machine's copy, say.
        let spent = received.0.checked_sub(sent.sent_mono_ns)?;
        return Some(StageTime { stage: Stage::Hop, duration_us: spent / 1000, uncertainty_us: 0 });
    }
    let receiver = sent.receiver.as_ref().filter(|receiver| receiver.boot_id == boot.as_str())?;
    let left = i128::from(sent.sent_mono_ns) + i128::from(receiver.offset_ns);
    let spent_us = (i128::from(received.0) - left) / 1000;
    // Nothing arrives before it was sent: what the estimate lies beyond that, it may be wrong by.
    let contradiction_us = u64::try_from((-spent_us).max(0)).unwrap_or(u64::MAX);
    Some(StageTime {
        stage: Stage::Hop,
        duration_us: u64::try_from(spent_us.max(0)).unwrap_or(u64::MAX),
        uncertainty_us: receiver.uncertainty_ns.div_ceil(1000).saturating_add(contradiction_us),
    })
}

/// The two clocks need not agree, so the hop is only bounded: by the round trip before it.
fn bounded(round_trip_us: u64) -> StageTime {
    let (duration_us, uncertainty_us) = match round_trip_us {
        0 => (0, micros(UNKNOWN)),
        _ => (round_trip_us / 2, round_trip_us.div_ceil(2)),
    };
    StageTime { stage: Stage::Hop, duration_us, uncertainty_us }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    /// Their clock reads so much more than ours.
    const AHEAD: u64 = 500 * SECOND;

    fn exchange(clock: &mut PeerClock, sent: u64, out: u64, there: u64, back: u64) {
        let received = sent + out + AHEAD;
        let theirs = v1::ReceiveTime {
            boot_id: "theirs".to_owned(),
            received_mono_ns: received,
            answered_mono_ns: received + there,
        };
        clock.note(Mono(sent), &theirs, Mono(sent + out + there + back));
    }

    fn offset(clock: &PeerClock, now: u64) -> v1::ClockOffset {
        clock.sent(&Boot::new("ours"), Mono(now)).receiver.unwrap()
    }

    #[test]
    fn the_shortest_round_trip_tells_the_offset_until_drift_makes_a_later_one_better() {
        let mut clock = PeerClock::default();
        assert_eq!(clock.sent(&Boot::new("ours"), Mono(0)).receiver, None);
        // A slow way there, and a commit of 80 ms, which is no part of the round trip.
        exchange(&mut clock, SECOND, 40 * MS, 80 * MS, 2 * MS);
        let wide = offset(&clock, SECOND);
        assert_eq!(wide.uncertainty_ns, 21 * MS);
        assert!(wide.offset_ns.abs_diff(AHEAD.cast_signed()) <= wide.uncertainty_ns);
        exchange(&mut clock, 2 * SECOND, MS, 0, MS);
        assert_eq!(offset(&clock, 2 * SECOND).offset_ns.unsigned_abs(), AHEAD);
        // Worse than what is known: left out, and what is known is worth less by the second.
        exchange(&mut clock, 3 * SECOND, 30 * MS, 0, MS);
        let kept = offset(&clock, 4 * SECOND);
        assert_eq!(kept.offset_ns.unsigned_abs(), AHEAD);
        assert!((3 * MS - MS / 100..=3 * MS).contains(&kept.uncertainty_ns), "{kept:?}");
        exchange(&mut clock, 60 * SECOND, 20 * MS, 0, 4 * MS);
        assert_eq!(offset(&clock, 60 * SECOND).uncertainty_ns, 12 * MS);
    }

    #[test]
    fn a_peer_that_restarted_its_machine_is_measured_anew_and_nonsense_is_left_out() {
        let mut clock = PeerClock::default();
        exchange(&mut clock, SECOND, MS, 0, MS);
        let theirs = |received, answered| v1::ReceiveTime {
            boot_id: "another".to_owned(),
            received_mono_ns: received,
            answered_mono_ns: answered,
        };
        clock.note(Mono(2 * SECOND), &theirs(9, 8), Mono(2 * SECOND + MS));
        clock.note(Mono(2 * SECOND), &theirs(0, 5 * MS), Mono(2 * SECOND + MS));
        assert_eq!(offset(&clock, 2 * SECOND).boot_id, "theirs");
        clock.note(Mono(2 * SECOND), &theirs(0, 0), Mono(2 * SECOND + 90 * MS));
        assert_eq!(offset(&clock, 2 * SECOND).boot_id, "another");
        // Within one boot nothing needs to be known.
        assert_eq!(clock.sent(&Boot::new("another"), Mono(0)).receiver, None);
    }

    #[test]
    fn a_hop_is_exact_within_a_boot_and_estimated_between_two() {
        let here = Boot::new("here");
        let received = Mono::default().plus(Duration::from_millis(1000));
        let hop = |sent: Option<v1::SendTime>, last_round_trip_us| {
            let publication = v1::Publication { alert: None, last_round_trip_us, sent };
            let told = stage(&publication, received, &here);
            assert_eq!(told.stage, Stage::Hop);
            (told.duration_us, told.uncertainty_us)
        };
        let sent = |boot: &str, mono, receiver| {
            Some(v1::SendTime { boot_id: boot.to_owned(), sent_mono_ns: mono, receiver })
        };
        let of = |boot: &str, offset_ns, uncertainty_ns| {
            Some(v1::ClockOffset { boot_id: boot.to_owned(), offset_ns, uncertainty_ns })
        };
        assert_eq!(hop(sent("here", 930 * MS, None), 4_000), (70_000, 0));
        assert_eq!(hop(sent("here", 1001 * MS, None), 4_000), (2_000, 2_000), "ahead of us: not our clock");
        let known = of("here", 100 * MS.cast_signed(), 3 * MS);
        assert_eq!(hop(sent("there", 850 * MS, known.clone()), 4_000), (50_000, 3_000));
        assert_eq!(hop(sent("there", 905 * MS, known), 4_000), (0, 8_000));
        assert_eq!(hop(sent("there", 850 * MS, of("before", 0, 0)), 4_000), (2_000, 2_000));
        assert_eq!(hop(None, 4_001), (2_000, 2_001));
        assert_eq!(hop(None, 0), (0, 10_000_000));
        let nonsense = hop(sent("there", u64::MAX, of("here", i64::MAX, u64::MAX)), 0);
        assert!(nonsense.0 == 0 && nonsense.1 > 1 << 50, "{nonsense:?}");
    }
}
