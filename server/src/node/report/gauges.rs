//! Gauges by camera, whose label sets go when their camera does.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_base::{
    id::CameraId,
    metrics::{Gauges, Labels, Metrics},
};

/// One name, a value for each camera and set of further labels.
pub(super) struct CameraGauges {
    gauges: Gauges,
    shown: BTreeMap<CameraId, BTreeSet<Labels>>,
}

impl CameraGauges {
    pub(super) fn register(metrics: &Metrics, name: &str, help: &str) -> Self {
        Self { gauges: metrics.gauges(name, help), shown: BTreeMap::new() }
    }
    pub(super) fn set(&mut self, camera: &CameraId, mut labels: Labels, value: f64) {
        labels.insert(0, ("camera", camera.to_string()));
        self.gauges.get_or_create(&labels).set(value);
        if !self.shown.get(camera).is_some_and(|shown| shown.contains(&labels)) {
            self.shown.entry(camera.clone()).or_default().insert(labels);
        }
    }
    pub(super) fn count(&mut self, camera: &CameraId, labels: Labels, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        self.set(camera, labels, value as f64);
    }
    /// Shows no other cameras any more.
    pub(super) fn keep(&mut self, wanted: impl Fn(&CameraId) -> bool) {
        let gauges = &self.gauges;
        self.shown.retain(|camera, shown| {
            let keep = wanted(camera);
            if !keep {
                for labels in shown.iter() {
                    gauges.remove(labels);
                }
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_is_gone_leaves_no_label_sets() {
        let metrics = Metrics::new("node");
        let mut gauges = CameraGauges::register(&metrics, "units", "units");
        let (gate, pond): (CameraId, CameraId) = ("gate".parse().unwrap(), "pond".parse().unwrap());
        for camera in [&gate, &pond] {
            gauges.count(camera, vec![("column", "received".to_owned())], 3);
            gauges.count(camera, vec![("column", "lost".to_owned())], 1);
        }
        gauges.keep(|camera| *camera == pond);
        let text = metrics.text();
        assert!(!text.contains("gate"), "{text}");
        assert!(text.contains("xueliang_node_units{camera=\"pond\",column=\"received\"} 3"), "{text}");
    }
}
