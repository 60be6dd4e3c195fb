//! What is asked for and what came of it; when each alert was published; what processes used meanwhile.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::Context;
use tokio::{task::JoinSet, time::Instant};
use xueliang_base::kind::Lane;

use super::super::processor_time;

/// Calls of Publish under way at once for one flow, at most.
const PUBLISHING: usize = 256;

/// Alerts of one lane, at a rate.
#[derive(Clone, Copy)]
pub(super) struct Flow {
    pub(super) lane: Lane,
    /// Alerts a second.
    pub(super) rate: usize,
    /// Alerts of one call of Publish.
    pub(super) batch: usize,
}

/// How consoles acknowledge.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Acks {
    /// Each delivery by a message of its own, all over one call.
    Stream,
    /// Each delivery by a call of its own.
    Calls,
    /// The newest, once the call before is answered.
    Newest,
}

/// A load.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) consoles: usize,
    /// One flow a lane, at most.
    pub(super) flows: Vec<Flow>,
    /// Seconds at the begin that count for nothing but loss and order.
    pub(super) warm: usize,
    /// Seconds measured.
    pub(super) seconds: usize,
    pub(super) acks: Acks,
}

impl Load {
    /// Critical alerts one by one, each delivery acknowledged by itself.
    pub(super) fn critical(consoles: usize, rate: usize, seconds: usize) -> Self {
        let flows = vec![Flow { lane: Lane::Critical, rate, batch: 1 }];
        Self { consoles, flows, warm: 2, seconds, acks: Acks::Stream }
    }
    /// Alerts of a lane in all.
    pub(super) fn count(&self, lane: Lane) -> usize {
        self.rate(lane) * (self.warm + self.seconds)
    }
    /// The first alert of a lane that is measured.
    pub(super) fn measured_from(&self, lane: Lane) -> usize {
        self.rate(lane) * self.warm
    }
    fn rate(&self, lane: Lane) -> usize {
        self.flows.iter().filter(|flow| flow.lane == lane).map(|flow| flow.rate).sum()
    }
}

/// When each alert was published, by lane.
pub(super) struct Started {
    begin: Instant,
    at_us: [Vec<AtomicU64>; 3],
}

impl Started {
    pub(super) fn new(load: &Load) -> Self {
        let none = |lane| (0..load.count(lane)).map(|_| AtomicU64::new(0)).collect();
        Self { begin: Instant::now(), at_us: Lane::ALL.map(none) }
    }
    pub(super) fn now(&self, lane: Lane, index: usize) {
        self.at_us[lane.index()][index].store(self.us(), Ordering::Release);
    }
    pub(super) fn at_us(&self, lane: Lane, index: usize) -> u64 {
        self.at_us[lane.index()][index].load(Ordering::Acquire)
    }
    pub(super) fn age_us(&self, lane: Lane, index: usize) -> u64 {
        self.us().saturating_sub(self.at_us(lane, index))
    }
    pub(super) fn us(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Calls `publish` with the first index of each batch of a flow at its rate, whatever the answers take.
pub(super) async fn pace<F>(
    load: &Load,
    flow: Flow,
    mut publish: impl FnMut(usize) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let every = Duration::from_secs(1) * u32::try_from(flow.batch)? / u32::try_from(flow.rate)?;
    let mut tick = tokio::time::interval(every);
    let mut calls = JoinSet::new();
    for index in (0..load.count(flow.lane)).step_by(flow.batch) {
        tick.tick().await;
        while let Some(call) = calls.try_join_next() {
            call??;
        }
        if calls.len() >= PUBLISHING {
            calls.join_next().await.context("one is under way")???;
        }
        calls.spawn(publish(index));
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    Ok(())
}

/// What was received at one console, or at all of them.
#[derive(Default)]
pub(super) struct Tally {
    /// Number of the alert and its age from the call of Publish on, microseconds; by lane.
    pub(super) ages: [Vec<(usize, u64)>; 3],
    pub(super) lost: usize,
    pub(super) reordered: usize,
    pub(super) doubled: usize,
    pub(super) gaps: usize,
    /// Streams that the bus closed or refused before all was there.
    pub(super) closed: usize,
    /// Minor alerts counted in summaries.
    pub(super) summarised: usize,
    /// Summaries whose count is not that of their ids.
    pub(super) miscounted: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        for (all, more) in self.ages.iter_mut().zip(&other.ages) {
            all.extend(more);
        }
        self.add_faults(other);
    }
    /// Adds all but the ages.
    pub(super) fn add_faults(&mut self, other: &Self) {
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.doubled += other.doubled;
        self.gaps += other.gaps;
        self.closed += other.closed;
        self.summarised += other.summarised;
        self.miscounted += other.miscounted;
    }
    /// Lost, reordered, doubled, gaps.
    pub(super) fn faults(&self) -> [usize; 4] {
        [self.lost, self.reordered, self.doubled, self.gaps]
    }
    /// Of alerts of a lane from one on.
    pub(super) fn ages_us(&self, lane: Lane, from: usize) -> Vec<u64> {
        self.ages[lane.index()].iter().filter(|(index, _)| *index >= from).map(|(_, age)| *age).collect()
    }
}

/// What a load came to.
pub(super) struct Measured {
    pub(super) tally: Tally,
    pub(super) took: Duration,
    pub(super) server_cpu: Duration,
    pub(super) own_cpu: Duration,
    /// Resident memory of the server at the end.
    pub(super) server_bytes: u64,
}

/// Measures what a load takes of the processor.
pub(super) struct Meter {
    began: Instant,
    pid: u32,
    server: Duration,
    own: Duration,
}

impl Meter {
    pub(super) fn start(pid: u32) -> Self {
        Self { began: Instant::now(), pid, server: cpu(pid), own: cpu(std::process::id()) }
    }
    pub(super) fn stop(&self, tally: Tally) -> Measured {
        Measured {
            tally,
            took: self.began.elapsed(),
            server_cpu: cpu(self.pid).saturating_sub(self.server),
            own_cpu: cpu(std::process::id()).saturating_sub(self.own),
            server_bytes: resident_bytes(self.pid),
        }
    }
}

/// Nothing where it has ended.
fn cpu(pid: u32) -> Duration {
    processor_time(pid).unwrap_or_default()
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(0) * 1024
}
