//! Flame or smoke, by a detector or by a classifier of tiles.
//!
//! Tells: that a box or tile in the place has the meaning; the rule's dwell and share ask for persistence.
//! Cannot tell: fire from a picture of fire, brake lights in rain, welding or steam better than the model does; nor a fire
//! smaller than the model's tile. A picture full of smoke may look covered or like another view: such pictures may
//! raise it, and never end it.

use xueliang_base::{detection::Meaning, geometry::Rect};

use super::{Finding, Moment, Place};

/// Share of a tile inside the zone that counts as being there; tiles are coarse.
const LEAST_INSIDE: f32 = 0.25;

pub(super) fn judge(moment: &Moment<'_>, place: &Place, meaning: Meaning, min_score: f32) -> Option<Finding> {
    let mut looked = moment.hits(&[meaning], min_score)?;
    looked.hits.retain(|hit| inside(place, &hit.detection.rect));
    Finding::of_detections(&looked.hits, looked.complete)
}

/// Whether a box or tile is in the place.
pub(super) fn inside(place: &Place, rect: &Rect) -> bool {
    let rect = rect.clamped();
    place.contains(rect.centre()) || place.covers(&rect) >= LEAST_INSIDE
}
