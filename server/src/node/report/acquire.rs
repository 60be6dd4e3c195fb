//! How cameras are taken: sessions of upstreams beside their budgets, who waits, how long first pictures take; and the same of
//! one camera in words.

use std::collections::BTreeMap;

use xueliang_base::{
    config::{Acquire, Camera},
    id::{CameraId, UpstreamId},
    metrics::{Gauges, Metrics},
    time::micros,
};
use xueliang_ingest::{
    acquire::{CROWDED_OUT, Lack, Taken},
    health::Signal,
    session::{FirstPictures, SessionStats},
};
use xueliang_proto::v1;

use super::set;
use crate::node::control::Acquired;

pub(super) struct AcquireMetrics {
    cameras: Gauges,
    upstreams: Gauges,
    refused: Gauges,
    pictures: Gauges,
    seconds: Gauges,
}

impl AcquireMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        Self {
            cameras: metrics.gauges(
                "cameras_by_acquisition",
                "cameras by how they are taken, as granted, and of those: calling (visited, no picture yet), waiting (due, no room), \
                 crowded_out (continuous, visited for want of room), asked",
            ),
            upstreams: metrics.gauges(
                "upstream_load",
                "of each upstream with a budget: sessions, and bits a second that they are taken to send, each beside its \
                 budget; cameras that wait for room",
            ),
            refused: metrics.gauges(
                "acquisition_waits",
                "times since the start that a camera was due and had to wait, by upstream and by what it lacked",
            ),
            pictures: metrics.gauges(
                "first_pictures",
                "streams since the start whose first keyframe came within so many seconds of the attempt's begin",
            ),
            seconds: metrics.gauges("first_pictures_seconds", "how long those took, all together"),
        }
    }

    pub(super) fn record(
        &self,
        cameras: usize,
        acquired: &Acquired,
        sessions: &BTreeMap<CameraId, SessionStats>,
    ) {
        let count = |of: &dyn Fn(&Taken) -> bool| acquired.cameras.values().filter(|one| of(one)).count();
        let free = cameras.saturating_sub(acquired.cameras.len());
        for (word, count) in [
            ("continuous", free + count(&|one| one.acquire == Acquire::Continuous)),
            ("patrol", count(&|one| matches!(one.acquire, Acquire::Patrol { .. }))),
            ("on-request", count(&|one| one.acquire == Acquire::OnRequest)),
            ("calling", count(&|one| one.calling)),
            ("waiting", count(&|one| one.waits.is_some())),
            ("crowded_out", count(&|one| one.crowded_out.is_some())),
            ("asked", count(&|one| one.asked.is_some())),
        ] {
            set(&self.cameras, vec![("what", word.to_owned())], count as u64);
        }
        // Upstreams come and go with configurations.
        self.upstreams.clear();
        for one in &acquired.upstreams {
            let labels = |what: &str| vec![("upstream", one.id.to_string()), ("what", what.to_owned())];
            set(&self.upstreams, labels("sessions"), one.sessions.into());
            set(&self.upstreams, labels("bits"), one.bits);
            set(&self.upstreams, labels("waiting"), one.waiting as u64);
            if let Some(most) = one.most_sessions {
                set(&self.upstreams, labels("sessions_budget"), most.into());
            }
            if let Some(most) = one.most_bits {
                set(&self.upstreams, labels("bits_budget"), most);
            }
        }
        for ((upstream, lack), times) in &acquired.refused {
            let labels = vec![("upstream", upstream.to_string()), ("reason", lack.word().to_owned())];
            set(&self.refused, labels, *times);
        }
        let mut all = FirstPictures::default();
        sessions.values().for_each(|stats| all.add(&stats.first_pictures));
        for (bound, streams) in all.within() {
            let bound = bound.map_or("+Inf".to_owned(), |bound| bound.to_string());
            set(&self.pictures, vec![("within_s", bound)], streams);
        }
        self.seconds.get_or_create(&Vec::new()).set(all.took.as_secs_f64());
    }
}

/// What a status says of how a camera is taken; `None`: it is connected all the time.
pub(super) fn tell(camera: &Camera, signal: Signal, taken: Option<&Taken>, status: &mut v1::CameraStatus) {
    let granted = taken.map_or(camera.acquire, |taken| taken.acquire);
    status.set_acquisition(match granted {
        Acquire::Continuous => v1::Acquisition::Continuous,
        Acquire::Patrol { .. } => v1::Acquisition::Patrol,
        Acquire::OnRequest => v1::Acquisition::OnRequest,
    });
    granted.evidence().clone_into(&mut status.evidence);
    let Some(taken) = taken else { return };
    if let Acquire::Patrol { every } = granted {
        status.patrol_interval_us = micros(taken.interval.unwrap_or(every));
    }
    let words = words(camera, signal, taken);
    if !words.is_empty() {
        status.detail = if status.detail.is_empty() { words } else { format!("{}; {words}", status.detail) };
    }
}

fn lacks((upstream, lack): &(UpstreamId, Lack)) -> String {
    match lack {
        Lack::Sessions => format!("all sessions of upstream {upstream} are taken"),
        Lack::Bandwidth => format!("upstream {upstream} has no bandwidth left"),
    }
}

fn words(camera: &Camera, signal: Signal, taken: &Taken) -> String {
    let mut parts = Vec::new();
    if let Some(why) = &taken.crowded_out {
        parts.push(format!(
            "{}: visited every {CROWDED_OUT:?} instead of staying connected; raise the budget, or have other cameras \
             patrolled",
            lacks(why)
        ));
    }
    if !matches!(signal, Signal::NotConnected(_)) {
        return parts.join("; ");
    }
    match &taken.waits {
        _ if taken.calling => parts.push("called, and no picture has come yet".to_owned()),
        Some(why) => parts.push(format!("due, and waits: {}", lacks(why))),
        None if taken.failures > 0 => {
            parts.push("its latest visit failed, and is made again soon".to_owned());
        }
        None => parts.push(match taken.acquire {
            Acquire::Patrol { every } => format!("between two visits, every {every:?}"),
            Acquire::OnRequest => {
                format!("connected when asked: xueliang cameras look {} --for 60s", camera.id)
            }
            Acquire::Continuous => "about to be connected".to_owned(),
        }),
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use xueliang_ingest::{acquire::Carries, health::Idle};

    fn taken() -> Taken {
        Taken {
            acquire: Acquire::Patrol { every: Duration::from_secs(60) },
            interval: Some(Duration::from_secs(72)),
            asked: None,
            calling: false,
            waits: None,
            crowded_out: None,
            failures: 0,
        }
    }

    #[test]
    fn a_status_says_how_the_camera_is_taken_why_it_waits_and_which_evidence_that_gives() {
        let camera = crate::node::testing::config().cameras.remove(0);
        let told = |signal, taken: &Taken| {
            let mut status = v1::CameraStatus::default();
            tell(&camera, signal, Some(taken), &mut status);
            (status.acquisition(), status.patrol_interval_us, status.detail, status.evidence)
        };
        let between = Signal::NotConnected(Idle::Patrol);
        let (acquisition, interval, detail, evidence) = told(between, &taken());
        assert_eq!((acquisition, interval), (v1::Acquisition::Patrol, 72_000_000));
        assert_eq!(detail, "between two visits, every 60s");
        assert!(evidence.starts_with("a still;"), "{evidence}");
        let nvr = Some(("nvr".parse().unwrap(), Lack::Sessions));
        let waits = Taken { waits: nvr.clone(), ..taken() };
        assert_eq!(told(between, &waits).2, "due, and waits: all sessions of upstream nvr are taken");
        assert_eq!(told(Signal::Streaming, &waits).2, "");
        let crowded = Taken { crowded_out: nvr, ..taken() };
        assert!(told(Signal::Streaming, &crowded).2.contains("instead of staying connected"));
        let asked = Taken { acquire: Acquire::OnRequest, ..taken() };
        assert!(told(Signal::NotConnected(Idle::OnRequest), &asked).2.contains("cameras look gate"));
    }

    #[test]
    fn budgets_waits_and_first_pictures_are_shown() {
        let metrics = Metrics::new("node");
        let own = AcquireMetrics::register(&metrics);
        let upstream: UpstreamId = "nvr".parse().unwrap();
        let waits = Taken { waits: Some((upstream.clone(), Lack::Sessions)), ..taken() };
        let acquired = Acquired {
            cameras: BTreeMap::from([("a".parse().unwrap(), taken()), ("b".parse().unwrap(), waits)]),
            upstreams: vec![Carries {
                id: upstream.clone(),
                sessions: 3,
                most_sessions: Some(4),
                bits: 6_000_000,
                most_bits: None,
                waiting: 1,
            }],
            refused: BTreeMap::from([((upstream, Lack::Sessions), 7)]),
        };
        own.record(5, &acquired, &BTreeMap::from([("a".parse().unwrap(), SessionStats::default())]));
        let text = metrics.text();
        for line in [
            "xueliang_node_cameras_by_acquisition{what=\"continuous\"} 3.0\n",
            "xueliang_node_cameras_by_acquisition{what=\"patrol\"} 2.0\n",
            "xueliang_node_cameras_by_acquisition{what=\"waiting\"} 1.0\n",
            "xueliang_node_upstream_load{upstream=\"nvr\",what=\"sessions\"} 3.0\n",
            "xueliang_node_upstream_load{upstream=\"nvr\",what=\"sessions_budget\"} 4.0\n",
            "xueliang_node_acquisition_waits{upstream=\"nvr\",reason=\"sessions\"} 7.0\n",
            "xueliang_node_first_pictures{within_s=\"20\"} 0.0\n",
            "xueliang_node_first_pictures{within_s=\"+Inf\"} 0.0\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("bits_budget"));
        own.record(5, &Acquired::default(), &BTreeMap::new());
        assert!(!metrics.text().contains("what=\"sessions\""), "an upstream that is gone");
    }
}
