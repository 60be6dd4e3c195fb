//! What a camera's acquisition means for its looks, and what can be promised of its rules.
//!
//! A camera on patrol is looked at once a visit: it always rests, with floors of its interval. While a rule of it has seen
//! something, the visit goes on, and that rule is looked at as often as it asks.

use std::time::Duration;

use xueliang_base::{
    config::{Acquire, Camera},
    look::NotLooked,
};
use xueliang_inference::attention::{CameraNeed, CoverageRow, Granted, Rest, Why};
use xueliang_ingest::health::{Idle, Signal};

use super::{Looks, need_of};

/// Visits come so much later than they ought to before a floor is broken.
const LATE: f64 = 1.4;
/// Visits come a little early and late.
const JITTER: f64 = 1.1;
/// A visit that comes so early is looked at all the same.
const EARLY: f64 = 0.5;
/// Beyond so many times its bound a rule is not covered, as attention has it.
const BEST_EFFORT: f64 = 3.0;

/// What a camera that is taken so asks of attention.
pub fn need_at(need: CameraNeed, acquire: Acquire) -> CameraNeed {
    let Acquire::Patrol { every } = acquire else { return need };
    let mut need = need;
    for floor in &mut need.floors {
        floor.at_rest = floor.blind_max.max(every.mul_f64(LATE));
    }
    need.rest = Some(Rest { glance: every.mul_f64(EARLY), visits: every });
    need
}

/// Says what the rules of a camera can be promised that is not connected all the time. `interval` is from one visit's picture to
/// the next's, where that is known. Of a camera that is lost, attention has said all there is.
pub fn cover(
    rows: &mut [CoverageRow],
    camera: &Camera,
    acquire: Acquire,
    interval: Option<Duration>,
    signal: Signal,
) {
    let lost = matches!(signal, Signal::Offline(_) | Signal::Stalled | Signal::ExpectedOff);
    for row in rows {
        let Some(rule) = camera.rules.iter().find(|rule| rule.id == row.rule) else { continue };
        let unserved = matches!(row.granted, Granted::NotCovered(Why::Blind(NotLooked::ModelFailed)));
        if lost || unserved {
            continue;
        }
        match acquire {
            Acquire::Continuous if signal == Signal::NotConnected(Idle::OnRequest) => {
                row.granted = Granted::NotCovered(Why::OnRequest);
            }
            Acquire::Continuous => {}
            Acquire::OnRequest => row.granted = Granted::NotCovered(Why::OnRequest),
            Acquire::Patrol { every } => {
                let expected = interval.unwrap_or(every).max(every);
                (row.blind_max, row.expected_interval) = (rule.blind_max, expected);
                row.granted = if !rule.condition.keyframes_suffice()
                    || expected > rule.blind_max.mul_f64(BEST_EFFORT)
                {
                    Granted::NotCovered(Why::Patrol)
                } else if expected > rule.blind_max.mul_f64(JITTER) {
                    Granted::BestEffort(Why::Patrol)
                } else {
                    Granted::Guaranteed
                };
            }
        }
    }
}

impl Looks {
    /// Follows cameras whose acquisition has changed: a patrol that was asked for, a session that has no room any more.
    pub(super) fn follow_acquisition(&mut self) {
        for running in self.cameras.values_mut() {
            let acquire = running.cell.noted().acquire;
            if acquire == running.acquire {
                continue;
            }
            running.acquire = acquire;
            let need = need_of(&running.cell.camera, &self.spec.analysis.rest, &self.models);
            self.attention.set_camera(need_at(need, acquire));
        }
    }
}
