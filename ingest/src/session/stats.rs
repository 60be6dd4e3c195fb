//! What a session counts.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::time::Mono;

use super::Reading;
use crate::health::OfflineCause;

/// How many streams had their first keyframe within a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstPictures {
    /// Of each bound, those that took no longer, and longer than the bound before; the last took longer than all.
    counts: [u64; Self::BOUNDS_S.len() + 1],
    /// All together.
    pub took: Duration,
}

impl FirstPictures {
    /// Bounds, seconds: a camera takes one or two, a platform that calls it up twenty and more.
    pub const BOUNDS_S: [u64; 7] = [1, 2, 5, 10, 15, 20, 30];

    pub(super) fn count(&mut self, took: Duration) {
        let place = Self::BOUNDS_S.iter().position(|bound| took <= Duration::from_secs(*bound));
        self.counts[place.unwrap_or(Self::BOUNDS_S.len())] += 1;
        self.took += took;
    }
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
        self.took += other.took;
    }
    /// Streams that took no longer than each bound, in seconds; `None`: all.
    pub fn within(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = Self::BOUNDS_S.into_iter().map(Some).chain([None]);
        bounds.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }
}

/// Counters of one session since it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Attempts to connect.
    pub connects: u64,
    /// Attempts that delivered.
    pub streams: u64,
    /// Failures by cause.
    pub failures: BTreeMap<OfflineCause, u64>,
    /// Connections that stopped delivering, or never began.
    pub stalls: u64,
    /// Encoded bytes delivered.
    pub bytes: u64,
    /// Access units delivered.
    pub units: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Gaps inside a stream: packets were lost before a unit.
    pub gaps: u64,
    /// Time between keyframes, smoothed over about eight of them.
    pub keyframe_interval: Option<Duration>,
    /// What reads the camera, since its latest attempt.
    pub reading: Option<Reading>,
    /// How long streams took to their first keyframe, from the begin of the attempt.
    pub first_pictures: FirstPictures,
    /// Arrival of the newest access unit.
    pub last_unit: Option<Mono>,
    /// Arrival of the newest keyframe of this stream.
    pub(super) last_keyframe: Option<Mono>,
}

impl SessionStats {
    /// Adds what a later session of the same camera counted.
    pub fn add(&mut self, later: &SessionStats) {
        self.connects += later.connects;
        self.streams += later.streams;
        for (cause, times) in &later.failures {
            *self.failures.entry(*cause).or_default() += times;
        }
        self.stalls += later.stalls;
        self.bytes += later.bytes;
        self.units += later.units;
        self.keyframes += later.keyframes;
        self.gaps += later.gaps;
        self.first_pictures.add(&later.first_pictures);
        self.keyframe_interval = later.keyframe_interval.or(self.keyframe_interval);
        self.reading = later.reading.clone().or_else(|| self.reading.take());
        self.last_unit = later.last_unit.or(self.last_unit);
        self.last_keyframe = later.last_keyframe;
    }
    pub(super) fn unit(&mut self, at: Mono, bytes: usize, keyframe: bool, gap: bool) {
        self.units += 1;
        self.bytes += bytes as u64;
        self.gaps += u64::from(gap);
        self.last_unit = Some(at);
        if keyframe {
            self.keyframes += 1;
            if let Some(before) = self.last_keyframe.replace(at) {
                let new = at.since(before);
                self.keyframe_interval = Some(self.keyframe_interval.map_or(new, |old| (old * 7 + new) / 8));
            }
        }
    }
}
