//! A vehicle travels against the direction of its lane.
//!
//! Tells: that one track moved through the zone for at least `min_travel` of the picture's height at an angle to the
//! allowed direction above the tolerance, steadily. An event: it fires at once and ends when no such track was seen for
//! `clear`; the rule's dwell does not apply.
//! Cannot tell: anything where looks come less often than about once a second (tracks cannot be joined; it then says
//! `NotLooked(Busy)`); reversing into a parking space from wrong-way driving, unless `min_travel` is chosen for it;
//! directions along the line of sight, where travel in the picture is small.

use std::time::Duration;

use xueliang_base::{
    config::Condition,
    geometry::Point,
    incident::{Evidence, MeasureKind},
    look::NotLooked,
};

use super::{Finding, Moment, Place, regions};
use crate::track::Track;

/// Least share of the way that is straight: a box that wobbles in place travels far and gets nowhere.
const STRAIGHT: f64 = 0.7;

pub(super) fn judge(
    moment: &Moment<'_>,
    place: &Place,
    condition: &Condition,
    max_gap: Duration,
) -> Option<Finding> {
    let Condition::AgainstDirection { meanings, min_score, direction_deg, tolerance_deg, min_travel } =
        condition
    else {
        return None;
    };
    let sight = moment.sight()?;
    let looked = moment.eyes.look(meanings, &sight.views);
    if looked.models.is_empty() {
        return None;
    }
    let mut against = Vec::new();
    let mut gap = false;
    for model in &looked.models {
        let Some(tracker) = moment.trackers.get(*model) else { continue };
        gap |= tracker.gap();
        for track in tracker.tracks() {
            let counts = track.matched_now
                && track.score >= *min_score
                && meanings.contains(&track.meaning)
                && moment.eyes.serves(model, track.meaning);
            let angle = travel(track, place, f64::from(sight.aspect), max_gap)
                .filter(|way| way.length >= f64::from(*min_travel))
                .map(|way| angle_between(way.angle_deg, *direction_deg));
            if let Some(angle) = angle.filter(|angle| counts && *angle > *tolerance_deg) {
                against.push((track, angle, *model));
            }
        }
    }
    if against.is_empty() && !looked.complete {
        return None;
    }
    if against.is_empty() && gap {
        return Some(Finding::not_looked(NotLooked::Busy));
    }
    let mut finding = Finding::of(!against.is_empty());
    if let Some((track, _, model)) = against.iter().max_by(|a, b| a.0.score.total_cmp(&b.0.score)) {
        finding.score = track.score;
        finding.model = Some((*model).clone());
    }
    if finding.evidence == Evidence::Seen {
        let widest = against.iter().map(|(_, angle, _)| *angle).fold(0.0, f64::max);
        let count = u32::try_from(against.len()).unwrap_or(u32::MAX);
        finding =
            finding.measure(MeasureKind::Count, f64::from(count)).measure(MeasureKind::AngleDeg, widest);
    }
    finding.regions = regions(against.iter().map(|(track, ..)| track.rect));
    Some(finding)
}

struct Way {
    /// Picture heights.
    length: f64,
    /// Clockwise from up.
    angle_deg: f64,
}

/// The net travel of the track's latest unbroken part inside the place.
fn travel(track: &Track, place: &Place, aspect: f64, max_gap: Duration) -> Option<Way> {
    let mut part: Vec<Point> = Vec::new();
    let mut later = None;
    for point in track.path.iter().rev() {
        let broken = later.is_some_and(|at: xueliang_base::time::Mono| at.since(point.at) > max_gap);
        if broken || !place.contains(point.foot) {
            break;
        }
        later = Some(point.at);
        part.push(point.foot);
    }
    // Three points: two may be one wrong association.
    if part.len() < 3 {
        return None;
    }
    part.reverse();
    let step = |a: Point, b: Point| (f64::from(b.x - a.x) * aspect, f64::from(b.y - a.y));
    let (dx, dy) = step(*part.first()?, *part.last()?);
    let length = dx.hypot(dy);
    // Ways are summed over thirds, so that jitter between neighbours does not lengthen them.
    let third = (part.len() / 3).max(1);
    let mut marks: Vec<Point> = part.iter().step_by(third).copied().collect();
    marks.push(*part.last()?);
    let way: f64 = marks.windows(2).map(|pair| step(pair[0], pair[1])).map(|(x, y)| x.hypot(y)).sum();
    let (lx, ly) = step(part[part.len() / 2], *part.last()?);
    let still_going = lx * dx + ly * dy > 0.0;
    (length > 0.0 && length >= STRAIGHT * way && still_going)
        .then(|| Way { length, angle_deg: dx.atan2(-dy).to_degrees().rem_euclid(360.0) })
}

/// 0..=180.
fn angle_between(a: f64, b: f64) -> f64 {
    let d = (a - b).rem_euclid(360.0);
    d.min(360.0 - d)
}
