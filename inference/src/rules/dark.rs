//! Too dark (or too bright) to see anything.
//!
//! Tells: that the mean luma is low and the picture even. A night street with lamps is not dark: it has contrast.
//! Cannot tell: night from a black bag over the lens; an abrupt change counts as covered (see `covered`).

use xueliang_base::{incident::MeasureKind, look::Scene};

use super::Finding;

/// Largest standard deviation of luma of a picture in which nothing can be seen.
const EVEN: f32 = 12.0;
/// Mean luma above which an even picture is overexposed.
const BRIGHT: f32 = 240.0;

/// Whether nothing can be seen for darkness.
pub(crate) fn is_dark(scene: &Scene, max_luma: f32) -> bool {
    scene.mean_luma < max_luma && scene.std_luma < EVEN
}
/// Whether nothing can be seen for light.
pub(crate) fn is_bright(scene: &Scene) -> bool {
    scene.mean_luma > BRIGHT && scene.std_luma < EVEN
}

pub(super) fn judge(scene: &Scene, max_luma: f32) -> Finding {
    Finding::of(is_dark(scene, max_luma)).measure(MeasureKind::MeanLuma, f64::from(scene.mean_luma))
}
