//! The alert about the space for evidence: raised at 80 % of the room, told again when new evidence begins to shrink
//! (at 90, 95 and 100 %), resolved below 75 %. Its measures are the share in use and the days left.

use xueliang_alerts::evidence::Usage;
use xueliang_base::{
    incident::{Measure, MeasureKind, Threshold, ThresholdKind},
    time::Mono,
};

use super::{Duration, Kind, Subject};

/// The rule of these alerts.
pub(super) const RULE: &str = "evidence_space";
/// How often the space is asked for: it costs a query.
pub(super) const EVERY: Duration = Duration::from_secs(10);
const BEGINS: f64 = 0.8;
const ENDS_BELOW: f64 = 0.75;
/// Shares from which on it is told once more: clips give way, previews, everything.
const STAGES: [f64; 4] = [BEGINS, 0.9, 0.95, 1.0];

/// The subject of the alert.
pub(super) fn subject() -> Option<Subject> {
    let subject =
        Subject::new(Kind::StorageFault, "evidence", "space for evidence".to_owned(), RULE, Duration::ZERO)?;
    let threshold = Threshold { kind: ThresholdKind::UsedShare, value: BEGINS };
    Some(Subject { thresholds: vec![threshold], ..subject })
}

/// Takes what is used; whether the alert holds.
pub(super) fn take(subject: &mut Subject, usage: &Usage) -> bool {
    let share = usage.share();
    let used = Measure { kind: MeasureKind::UsedShare, value: share };
    let days = usage.days_left.map(|value| Measure { kind: MeasureKind::DaysLeft, value });
    subject.measures = std::iter::once(used).chain(days).collect();
    let raised = subject.held || subject.active.is_some();
    share >= if raised { ENDS_BELOW } else { BEGINS }
}

/// Whether more is used by now than was told, by a stage at least.
pub(super) fn rose(told: &[Measure], now: &[Measure]) -> bool {
    let stage = |measures: &[Measure]| {
        let share = measures.iter().find(|measure| measure.kind == MeasureKind::UsedShare)?;
        Some(STAGES.iter().filter(|from| share.value >= **from).count())
    };
    stage(now).is_some_and(|now| stage(told).is_none_or(|told| now > told))
}

/// When the space was asked for last, and what came of it.
#[derive(Default)]
pub(super) struct Asked {
    at: Option<Mono>,
    pub(super) holds: Option<bool>,
}

impl Asked {
    /// Whether it is time to ask again.
    pub(super) fn due(&mut self, now: Mono) -> bool {
        let due = self.at.is_none_or(|at| now.since(at) >= EVERY);
        if due {
            self.at = Some(now);
        }
        due
    }
}
