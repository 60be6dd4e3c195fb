//! Of which cameras, and until when, an alert gives pictures of the moment: pure.
//!
//! Of its own camera while it fires, for half an hour after its end, and while people work on its case. Of cameras near it
//! within the alert's minutes alone: what lies beside a hazard is looked at for the hazard's sake.

use std::time::Duration;

use xueliang_base::time::Wall;
use xueliang_proto::v1;

use crate::case::State;

/// An alert that has ended can be judged with its place before one's eyes for so long.
pub(crate) const AFTER: Duration = Duration::from_secs(1800);
/// Pictures of cameras near it are given from so long before its first picture to so long after its last one.
pub(crate) const MINUTES: Duration = Duration::from_secs(120);
/// Metres of a degree along a meridian (mean radius of the earth, 6371 km).
const DEGREE_M: f64 = 111_195.0;

/// Until when pictures of the alert's own camera can be had; `None`: that is not known yet.
pub(crate) fn own_until(alert: &v1::Alert, case: Option<v1::CaseState>) -> Option<Wall> {
    let at_work = |state: v1::CaseState| {
        let ours = State::ALL.into_iter().find(|one| v1::CaseState::from(*one) == state);
        ours.is_some_and(|one| one.is_open() && one != State::New)
    };
    if case.is_some_and(at_work) {
        return None;
    }
    ended(alert).map(|at| at.plus(AFTER))
}

/// Until when pictures of cameras near it can be had; `None`: it fires.
pub(crate) fn nearby_until(alert: &v1::Alert) -> Option<Wall> {
    ended(alert).map(|at| at.plus(MINUTES))
}

/// When it was over.
fn ended(alert: &v1::Alert) -> Option<Wall> {
    let over = alert.state() == v1::AlertState::Resolved;
    over.then(|| Wall(alert.resolved_unix_us.max(alert.last_seen_unix_us)))
}

/// Metres between two places, as far as a town goes; `None` where either is not known.
pub(crate) fn distance_m(one: Option<&v1::GeoPoint>, other: Option<&v1::GeoPoint>) -> Option<f64> {
    let (one, other) = (one?, other?);
    let (north, east) = (other.latitude - one.latitude, other.longitude - one.longitude);
    let narrow = f64::midpoint(one.latitude, other.latitude).to_radians().cos();
    let metres = (north * DEGREE_M).hypot(east * narrow * DEGREE_M);
    metres.is_finite().then_some(metres)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn alert(resolved_s: i64) -> v1::Alert {
        let mut alert = v1::Alert { last_seen_unix_us: 90 * S, ..v1::Alert::default() };
        alert.set_state(if resolved_s == 0 { v1::AlertState::Firing } else { v1::AlertState::Resolved });
        alert.resolved_unix_us = resolved_s * S;
        alert
    }

    #[test]
    fn the_own_camera_is_shown_while_somebody_works_on_it_and_others_for_the_alerts_minutes() {
        let (firing, over) = (alert(0), alert(100));
        assert_eq!((own_until(&firing, None), nearby_until(&firing)), (None, None));
        assert_eq!(nearby_until(&over), Some(Wall(220 * S)));
        let half_an_hour = Some(Wall(1900 * S));
        for (state, until) in [
            (v1::CaseState::New, half_an_hour),
            (v1::CaseState::Dispatched, None),
            (v1::CaseState::Verifying, None),
            (v1::CaseState::FalseAlarm, half_an_hour),
            (v1::CaseState::Closed, half_an_hour),
        ] {
            assert_eq!(own_until(&over, Some(state)), until, "{state:?}");
        }
        assert_eq!(own_until(&over, None), half_an_hour);
    }

    #[test]
    fn distances_are_those_on_the_ground() {
        let at = |longitude, latitude| v1::GeoPoint { longitude, latitude };
        let gate = at(121.25, 30.17);
        let metres = |other: &v1::GeoPoint| distance_m(Some(&gate), Some(other)).unwrap();
        assert!((metres(&at(121.25, 30.171)) - 111.2).abs() < 0.5);
        assert!((metres(&at(121.251, 30.17)) - 96.1).abs() < 0.5);
        assert_eq!(distance_m(Some(&gate), None), None);
        assert_eq!(distance_m(Some(&gate), Some(&at(f64::NAN, 30.0))), None);
    }
}
