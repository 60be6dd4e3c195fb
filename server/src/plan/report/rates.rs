//! Cores that a camera takes besides its looks.

use super::super::{Costs, mix::CameraType};

/// A redacted still and the pictures of a preview.
const PICTURES_PER_ALERT: f64 = 41.0;
/// Footage around an alert that is decoded for them, seconds.
const FOOTAGE_S: f64 = 20.0;
const DAY_S: f64 = 86_400.0;

/// Receiving its units and putting them into its ring.
pub(in crate::plan) fn receive(of: &CameraType, costs: &Costs) -> f64 {
    of.connected() * of.fps * costs.node.unit_us / 1e6
}

/// Redacted stills and previews of its alerts.
pub(in crate::plan) fn evidence(of: &CameraType, costs: &Costs) -> f64 {
    let decode = costs.decoding(of.codec, of.width, of.height).map_or(0.0, |row| row.unit.mean_us);
    let jpeg = costs.pixels(of.width, of.height).jpeg.mean_us;
    let alert_us = FOOTAGE_S * of.fps * decode + PICTURES_PER_ALERT * jpeg;
    of.alerts_per_day / DAY_S * alert_us / 1e6
}
