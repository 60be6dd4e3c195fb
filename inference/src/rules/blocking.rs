//! A vehicle (or goods) stands still in a lane or exit that must be free.
//!
//! Tells: that a box of the meanings whose lower half lies in the zone to `min_inside` keeps its place for the dwell;
//! each box alone, so that passing traffic adds up to nothing. Detections may flicker within the rule's `seen_share`.
//! Cannot tell: one vehicle from the next that takes the very same place between two looks; a parked one from one that
//! is being unloaded; nor anything hidden behind another vehicle.

use xueliang_base::{config::Timing, detection::Meaning, geometry::Rect, incident::MeasureKind};

use super::{Finding, Hit, Moment, Place, places::Places, timing::Subject};

/// Least overlap with the box first seen: boxes of a standing car jitter to 0.8, one that moved on by a third of its
/// length falls to 0.5.
const STILL_IOU: f32 = 0.6;

/// The places vehicles keep.
#[derive(Debug, Clone)]
pub(super) struct Blocking {
    places: Places,
}

/// Whether the lower half of a box lies in the place to that share.
pub(super) fn inside(place: &Place, rect: &Rect, min_inside: f32) -> bool {
    let rect = rect.clamped();
    let lower = Rect { y0: f32::midpoint(rect.y0, rect.y1), ..rect };
    place.covers(&lower) >= min_inside
}

impl Blocking {
    pub(super) fn new(timing: &Timing) -> Self {
        Self { places: Places::new(STILL_IOU, timing) }
    }
    /// `clear` says whether the picture can show absence.
    pub(super) fn judge(
        &mut self,
        moment: &Moment<'_>,
        place: &Place,
        meanings: &[Meaning],
        (min_score, min_inside): (f32, f32),
        clear: bool,
    ) -> Option<Finding> {
        let mut looked = moment.hits(meanings, min_score)?;
        if looked.nobody {
            // No model of this rule ran: the look must not even age the places.
            return None;
        }
        looked.hits.retain(|hit| inside(place, &hit.detection.rect, min_inside));
        let hits = &looked.hits;
        let boxes: Vec<Rect> = hits.iter().map(|hit| hit.detection.rect).collect();
        let mut standing = self.places.step(moment.sight()?.arrival, &boxes, looked.complete && clear);
        standing.sort_by_key(|s| (std::cmp::Reverse(s.since), s.index));
        standing.truncate(super::MAX_REGIONS);
        // A vehicle that has just come may be passing. It begins a stretch, but keeps no incident alive.
        let lasting: Vec<Hit<'_>> = standing.iter().filter(|s| s.stays).map(|s| hits[s.index]).collect();
        if lasting.is_empty() && !looked.complete {
            // Those that pass say nothing of the one that stands where nobody looked.
            return None;
        }
        let count = u32::try_from(lasting.len()).unwrap_or(u32::MAX);
        let shown = if lasting.is_empty() { hits } else { &lasting };
        let mut finding =
            Finding::of_detections(shown, looked.complete)?.measure(MeasureKind::Count, f64::from(count));
        finding.subjects = standing.iter().map(|s| Subject { key: s.key, lasting: s.stays }).collect();
        Some(finding)
    }
}
