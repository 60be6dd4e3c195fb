//! Something stands in a declared hazard zone (water's edge, rails, substation).
//!
//! Tells: that at least one object of the meanings has its foot (the middle of its box's bottom edge) in the zone.
//! Cannot tell: who, nor whether it is the same one as before, and deliberately so; nor how deep behind an occlusion the
//! real foot is (a person behind a wall stands too far from the camera); nor anything about objects the model misses.

use xueliang_base::{detection::Meaning, incident::MeasureKind};

use super::{Finding, Moment, Place};

pub(super) fn judge(
    moment: &Moment<'_>,
    place: &Place,
    meanings: &[Meaning],
    min_score: f32,
) -> Option<Finding> {
    let mut looked = moment.hits(meanings, min_score)?;
    looked.hits.retain(|hit| place.contains(hit.detection.rect.foot()));
    let count = u32::try_from(looked.hits.len()).unwrap_or(u32::MAX);
    let finding = Finding::of_detections(&looked.hits, looked.complete)?;
    Some(finding.measure(MeasureKind::Count, f64::from(count)))
}
