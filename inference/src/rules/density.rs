//! More persons per square metre than is safe.
//!
//! Tells: the count of persons whose feet are in the zone over the zone's declared area.
//! Cannot tell: true numbers in a dense crowd. Detectors of whole persons lose those who are hidden; above about two
//! persons a square metre the count is a lower bound, and the threshold must be set by trial at the place.

use xueliang_base::{detection::Meaning, incident::MeasureKind};

use super::{Finding, Moment, Place};

pub(super) fn judge(
    moment: &Moment<'_>,
    place: &Place,
    min_score: f32,
    area_m2: f64,
    per_m2: f64,
) -> Option<Finding> {
    let mut looked = moment.hits(&[Meaning::Person], min_score)?;
    looked.hits.retain(|hit| place.contains(hit.detection.rect.foot()));
    let count = f64::from(u32::try_from(looked.hits.len()).unwrap_or(u32::MAX));
    let density = if area_m2 > 0.0 { count / area_m2 } else { 0.0 };
    if density < per_m2 {
        looked.hits.clear();
    }
    let finding = Finding::of_detections(&looked.hits, looked.complete)?;
    Some(finding.measure(MeasureKind::Count, count).measure(MeasureKind::DensityPerM2, density))
}
