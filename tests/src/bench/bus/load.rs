//! What is asked for and what came of it; when each alert was published.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// A load.
pub(super) struct Load {
    pub(super) consoles: usize,
    /// Alerts a second.
    pub(super) rate: usize,
    /// Alerts at the begin that count for nothing but loss and order.
    pub(super) warm: usize,
    /// Alerts in all.
    pub(super) count: usize,
}

/// What a load came to.
#[derive(Default)]
pub(super) struct Measured {
    /// From the call of Publish to each console, microseconds.
    pub(super) ages_us: Vec<u64>,
    pub(super) lost: usize,
    pub(super) reordered: usize,
    pub(super) doubled: usize,
    pub(super) gaps: usize,
    pub(super) took: Duration,
    pub(super) server_cpu: Duration,
    pub(super) own_cpu: Duration,
}

/// When each alert was published.
pub(super) struct Started {
    begin: Instant,
    at_us: Vec<AtomicU64>,
}

impl Started {
    pub(super) fn new(count: usize) -> Self {
        Self { begin: Instant::now(), at_us: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }
    pub(super) fn now(&self, index: usize) {
        self.at_us[index].store(self.us(), Ordering::Release);
    }
    pub(super) fn age_us(&self, index: usize) -> u64 {
        self.us().saturating_sub(self.at_us[index].load(Ordering::Acquire))
    }
    fn us(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Processor time of a process so far.
pub(super) fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th fields after it, in ticks of
    // a hundredth of a second.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
