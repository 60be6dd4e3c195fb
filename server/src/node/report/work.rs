//! Gauges of what the node works with (configuration, workers, what lives in it) and of how attention shares it out.

use xueliang_base::{
    id::ConfigRevision,
    metrics::{Gauges, Metrics},
};
use xueliang_inference::attention::Granted;

use super::{gauges::CameraGauges, set};
use crate::node::looks::LooksFacts;

/// What lives in the node, besides what the looks task knows.
pub(super) struct Lives {
    /// Of cameras, whether they are connected or not.
    pub(super) sessions: usize,
    /// Of sessions, connected or on their way up or down.
    pub(super) pipelines: usize,
    /// Those of cameras that were replaced or removed included, while units in them are undecided.
    pub(super) rings: usize,
    /// Encoded bytes that the rings of cameras hold.
    pub(super) ring_bytes: u64,
}

pub(super) struct WorkMetrics {
    revision: Gauges,
    workers: Gauges,
    live: Gauges,
    ring_bytes: Gauges,
    attention: Gauges,
    vigils: Gauges,
    gates: Gauges,
    refused: Gauges,
    coverage: CameraGauges,
    gaps: Gauges,
}

impl WorkMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let own = Self {
            revision: metrics.gauges("config_revision", "configuration in force; 0 before the first"),
            workers: metrics.gauges("workers_ready", "look workers that can take a look now"),
            live: metrics.gauges("live_objects", "what lives in this process, by what it is"),
            ring_bytes: metrics.gauges("ring_bytes", "encoded bytes that the rings of all cameras hold"),
            attention: metrics
                .gauges("attention", "decisions of attention since the start, by what they were"),
            vigils: metrics.gauges("cameras_by_vigil", "cameras by how closely they are looked at"),
            gates: metrics.gauges(
                "gate_looks",
                "looks of models since the start, by tier and by what it had said: hits, misses, false_wakes and rests of \
                 looks that floors brought about; woken_hits, woken_false of those it asked for; unjudged",
            ),
            refused: metrics.gauges("looks_refused", "due looks that were not started, by reason"),
            coverage: CameraGauges::register(
                metrics,
                "coverage",
                "rules of each camera by what they are granted: guaranteed, best_effort, not_covered",
            ),
            gaps: metrics.gauges("coverage_gaps", "cameras with an active alert that they are below a floor"),
        };
        own.configured(ConfigRevision(0));
        own.workers_ready(0);
        own
    }

    pub(super) fn configured(&self, revision: ConfigRevision) {
        set(&self.revision, Vec::new(), revision.0);
    }

    pub(super) fn workers_ready(&self, ready: usize) {
        set(&self.workers, Vec::new(), ready as u64);
    }

    pub(super) fn record(&mut self, facts: &LooksFacts, lives: &Lives) {
        for (what, count) in [
            ("sessions", lives.sessions),
            ("pipelines", lives.pipelines),
            ("rings", lives.rings),
            ("leases", facts.leases),
            ("sub_decoders", facts.sub_decoders),
            ("tracks", facts.tracks),
        ] {
            set(&self.live, vec![("what", what.to_owned())], count as u64);
        }
        set(&self.ring_bytes, Vec::new(), lives.ring_bytes);
        let did = &facts.attention;
        for (what, count) in [
            ("keyframe_looks", did.keyframe_looks),
            ("continued_looks", did.continued_looks),
            ("fallbacks", did.fallbacks),
            ("glances", did.glances),
            ("stirred", did.stirred),
            ("woken", did.woken),
            ("woken_late", did.woken_late),
            ("leases_granted", did.leases_granted),
            ("leases_revoked", did.leases_revoked),
            ("deadline_misses", did.deadline_misses),
        ] {
            set(&self.attention, vec![("what", what.to_owned())], count);
        }
        for (vigil, cameras) in &facts.vigils {
            set(&self.vigils, vec![("vigil", vigil.word().to_owned())], *cameras);
        }
        for (tier, counts) in &facts.gates {
            for (outcome, looks) in [
                ("hits", counts.hits),
                ("misses", counts.misses),
                ("false_wakes", counts.false_wakes),
                ("rests", counts.rests),
                ("woken_hits", counts.woken_hits),
                ("woken_false", counts.woken_false),
                ("unjudged", counts.unjudged),
            ] {
                let labels = vec![("tier", tier.word().to_owned()), ("outcome", outcome.to_owned())];
                set(&self.gates, labels, looks);
            }
        }
        for (reason, count) in &did.refused {
            set(&self.refused, vec![("reason", reason.word().to_owned())], *count);
        }
        for (id, camera) in &facts.cameras {
            let mut granted = [("guaranteed", 0), ("best_effort", 0), ("not_covered", 0)];
            for row in &camera.coverage {
                granted[match row.granted {
                    Granted::Guaranteed => 0,
                    Granted::BestEffort(_) => 1,
                    Granted::NotCovered(_) => 2,
                }]
                .1 += 1;
            }
            for (word, rules) in granted {
                self.coverage.count(id, vec![("granted", word.to_owned())], rules);
            }
        }
        self.coverage.keep(|id| facts.cameras.contains_key(id));
        set(&self.gaps, Vec::new(), facts.gaps as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xueliang_base::{kind::Kind, look::NotLooked};
    use xueliang_inference::attention::{CoverageRow, Why};

    use super::*;
    use crate::node::looks::CameraFacts;

    #[test]
    fn what_the_node_works_with_and_what_attention_does_are_shown() {
        let metrics = Metrics::new("node");
        let mut work = WorkMetrics::register(&metrics);
        let text = metrics.text();
        for line in ["xueliang_node_config_revision{} 0.0\n", "xueliang_node_workers_ready{} 0.0\n"] {
            assert!(text.contains(line), "before anything is configured: {line}\n{text}");
        }
        let row = |granted| CoverageRow {
            rule: "rule".parse().unwrap(),
            kind: Kind::ZoneIntrusion,
            granted,
            blind_max: Duration::from_secs(1),
            expected_interval: Duration::from_secs(1),
        };
        let coverage = vec![
            row(Granted::Guaranteed),
            row(Granted::BestEffort(Why::NoLease)),
            row(Granted::BestEffort(Why::Overloaded)),
        ];
        let camera = CameraFacts { coverage, ..CameraFacts::default() };
        let mut facts = LooksFacts { leases: 3, tracks: 6, gaps: 1, ..LooksFacts::default() };
        facts.cameras = [("gate".parse().unwrap(), camera.clone()), ("pond".parse().unwrap(), camera)].into();
        facts.attention.keyframe_looks = 7;
        facts.attention.deadline_misses = 2;
        facts.attention.refused = [(NotLooked::Busy, 5)].into();
        work.configured(ConfigRevision(4));
        work.workers_ready(2);
        work.record(&facts, &Lives { sessions: 2, pipelines: 5, rings: 4, ring_bytes: 9 });
        let text = metrics.text();
        for line in [
            "xueliang_node_config_revision{} 4.0\n",
            "xueliang_node_workers_ready{} 2.0\n",
            "xueliang_node_live_objects{what=\"sessions\"} 2.0\n",
            "xueliang_node_live_objects{what=\"pipelines\"} 5.0\n",
            "xueliang_node_live_objects{what=\"rings\"} 4.0\n",
            "xueliang_node_ring_bytes{} 9.0\n",
            "xueliang_node_live_objects{what=\"tracks\"} 6.0\n",
            "xueliang_node_live_objects{what=\"leases\"} 3.0\n",
            "xueliang_node_attention{what=\"keyframe_looks\"} 7.0\n",
            "xueliang_node_attention{what=\"deadline_misses\"} 2.0\n",
            "xueliang_node_attention{what=\"leases_revoked\"} 0.0\n",
            "xueliang_node_looks_refused{reason=\"busy\"} 5.0\n",
            "xueliang_node_coverage{camera=\"pond\",granted=\"guaranteed\"} 1.0\n",
            "xueliang_node_coverage{camera=\"pond\",granted=\"best_effort\"} 2.0\n",
            "xueliang_node_coverage{camera=\"pond\",granted=\"not_covered\"} 0.0\n",
            "xueliang_node_coverage_gaps{} 1.0\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        facts.cameras.remove(&"pond".parse().unwrap());
        work.record(&facts, &Lives { sessions: 1, pipelines: 1, rings: 1, ring_bytes: 0 });
        assert!(!metrics.text().contains("pond"), "a camera that is gone");
    }
}
