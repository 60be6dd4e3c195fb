//! Metrics of one process, for Prometheus.
//!
//! Each role keeps its own [`Metrics`] and writes them as text to whoever connects to its exposition socket; the
//! supervisor joins them under `/metrics`. Names begin with `xueliang_` and the role, so they never collide.

use std::sync::{Mutex, MutexGuard};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Label pairs, in the order they are given.
pub type Labels = Vec<(&'static str, String)>;

/// A counter for each set of labels.
pub type Counters = Family<Labels, Counter>;

/// A gauge for each set of labels.
pub type Gauges = Family<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>;

/// A histogram for each set of labels.
pub type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Bounds of histograms of ages and durations, seconds: 5 ms to 60 s.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 15.0, 60.0];

/// Bounds of histograms of looks, seconds: 0.5 ms to 5 s.
const LOOK_SECONDS: [f64; 22] = [
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.012, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13,
    0.2, 0.3, 0.5, 1.0, 2.0, 5.0,
];

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
}

impl Metrics {
    /// Metrics whose names begin with `xueliang_ROLE_`.
    pub fn new(role: &str) -> Self {
        Self { registry: Mutex::new(Registry::with_prefix(format!("xueliang_{role}"))) }
    }
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().expect("no code panics while it holds this lock")
    }
    /// Registers counters; `_total` is added to the name.
    pub fn counters(&self, name: &str, help: &str) -> Counters {
        let counters = Counters::default();
        self.registry().register(name, help, counters.clone());
        counters
    }
    /// Registers gauges.
    pub fn gauges(&self, name: &str, help: &str) -> Gauges {
        let gauges = Gauges::default();
        self.registry().register(name, help, gauges.clone());
        gauges
    }
    /// Registers histograms of seconds.
    pub fn seconds(&self, name: &str, help: &str) -> Histograms {
        self.histograms(name, help, || Histogram::new(SECONDS))
    }
    /// Registers histograms of seconds whose bounds are those of looks.
    pub fn look_seconds(&self, name: &str, help: &str) -> Histograms {
        self.histograms(name, help, || Histogram::new(LOOK_SECONDS))
    }
    fn histograms(&self, name: &str, help: &str, make: fn() -> Histogram) -> Histograms {
        let histograms = Histograms::new_with_constructor(make);
        self.registry().register(name, help, histograms.clone());
        histograms
    }
    /// All metrics as OpenMetrics text, without the closing `# EOF`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        if encode(&mut text, &self.registry()).is_err() {
            text.clear();
        }
        text.truncate(text.trim_end_matches("# EOF\n").len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_carries_role_labels_and_values() {
        let metrics = Metrics::new("node");
        let looks = metrics.counters("looks", "looks by kind");
        looks.get_or_create(&vec![("kind", "keyframe".to_owned())]).inc_by(3);
        let text = metrics.text();
        assert!(text.contains("xueliang_node_looks_total{kind=\"keyframe\"} 3"), "{text}");
        assert!(!text.contains("EOF"));
    }
}
