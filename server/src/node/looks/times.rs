//! How long looks take by stage, and how old their pictures are: for metrics, and as costs for `xueliang plan`.

use std::time::Duration;

use xueliang_base::{
    look::{LookCost, LookKind},
    metrics::{Counters, Histograms, Metrics},
};

/// Of all looks that saw something.
#[derive(Debug, Clone)]
pub struct LookTimes {
    stages: Histograms,
    ages: Histograms,
    units: Counters,
}

/// A look that saw something.
pub(super) struct Took<'a> {
    pub(super) kind: LookKind,
    /// From its start to its answer.
    pub(super) whole: Duration,
    /// From the arrival of its picture to its answer.
    pub(super) age: Duration,
    pub(super) cost: &'a LookCost,
    /// Units decoded.
    pub(super) units: u64,
    /// Whether a model ran.
    pub(super) inferred: bool,
}

impl LookTimes {
    /// Registers the metrics.
    pub fn register(metrics: &Metrics) -> Self {
        Self {
            stages: metrics.look_seconds(
                "look_seconds",
                "looks by kind and stage: decode, prepare and infer (where a model ran), and the rest up to the answer; sub_stream: \
                 turns of glances at sub-streams",
            ),
            ages: metrics
                .look_seconds("look_age_seconds", "age of the pictures of looks at the answer, from their arrival"),
            units: metrics.counters("look_units", "access units that looks decoded, by kind of look"),
        }
    }
    pub(super) fn record(&self, took: &Took<'_>) {
        let kind = match took.kind {
            LookKind::Keyframe => "keyframe",
            LookKind::Continued => "continued",
        };
        let look = || ("look", kind.to_owned());
        let us = Duration::from_micros;
        let LookCost { decode_us, preprocess_us, infer_us } = *took.cost;
        let rest = took.whole.saturating_sub(us(decode_us + preprocess_us + infer_us));
        let stages = [
            ("decode", us(decode_us)),
            ("rest", rest),
            ("prepare", us(preprocess_us)),
            ("infer", us(infer_us)),
        ];
        for (stage, time) in &stages[..if took.inferred { 4 } else { 2 }] {
            let labels = vec![look(), ("stage", (*stage).to_owned())];
            self.stages.get_or_create(&labels).observe(time.as_secs_f64());
        }
        self.ages.get_or_create(&vec![look()]).observe(took.age.as_secs_f64());
        self.units.get_or_create(&vec![look()]).inc_by(took.units);
    }
    /// A turn at a sub-stream: how long it took from its start to its answer, how much of that was decoding, so many units,
    /// and the ages of its pictures.
    pub(super) fn record_turn(&self, whole: Duration, decode: Duration, units: u64, ages: &[Duration]) {
        let look = || ("look", "sub_stream".to_owned());
        for (stage, time) in [("decode", decode), ("rest", whole.saturating_sub(decode))] {
            let labels = vec![look(), ("stage", stage.to_owned())];
            self.stages.get_or_create(&labels).observe(time.as_secs_f64());
        }
        let shown = self.ages.get_or_create(&vec![look()]);
        ages.iter().for_each(|age| shown.observe(age.as_secs_f64()));
        self.units.get_or_create(&vec![look()]).inc_by(units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_of_a_look_add_up_to_the_whole_and_models_that_did_not_run_count_nothing() {
        let metrics = Metrics::new("node");
        let times = LookTimes::register(&metrics);
        let cost = LookCost { decode_us: 5_000, preprocess_us: 1_000, infer_us: 20_000 };
        let ms = Duration::from_millis;
        let mut took = Took {
            kind: LookKind::Keyframe,
            whole: ms(30),
            age: ms(80),
            cost: &cost,
            units: 1,
            inferred: true,
        };
        times.record(&took);
        let sum = |stage: &str| {
            let text = metrics.text();
            let begins = format!("xueliang_node_look_seconds_sum{{look=\"keyframe\",stage=\"{stage}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&begins)?.parse::<f64>().ok())
        };
        let all = ["decode", "prepare", "infer", "rest"].map(|stage| sum(stage).unwrap());
        assert!((all.iter().sum::<f64>() - 0.03).abs() < 1e-9 && (all[3] - 0.004).abs() < 1e-9, "{all:?}");
        took.inferred = false;
        times.record(&took);
        assert_eq!((sum("decode"), sum("infer")), (Some(0.01), Some(0.02)));
        let text = metrics.text();
        assert!(text.contains("xueliang_node_look_units_total{look=\"keyframe\"} 2"), "{text}");
        let ages =
            text.lines().find(|line| line.contains("look_age_seconds_bucket{") && line.contains("\"0.08\""));
        assert!(ages.is_some_and(|line| line.ends_with(" 2")), "{text}");
    }
}
