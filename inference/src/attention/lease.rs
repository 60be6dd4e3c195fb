//! Which worker keeps a decoder open for which camera.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{id::CameraId, time::Mono};

use super::WorkerId;

/// A lease is not taken away sooner: opening a decoder costs several looks.
const HELD_AT_LEAST: Duration = Duration::from_secs(10);
/// How much higher the priority must be to take a lease away.
const CLEARLY: f64 = 1.5;

#[derive(Debug)]
pub(super) struct Leases {
    per_worker: usize,
    held: BTreeMap<CameraId, (WorkerId, Mono)>,
}

impl Leases {
    pub(super) fn new(per_worker: usize) -> Self {
        Self { per_worker, held: BTreeMap::new() }
    }
    pub(super) fn per_worker(&self) -> usize {
        self.per_worker
    }
    pub(super) fn of(&self, id: &CameraId) -> Option<WorkerId> {
        self.held.get(id).map(|(worker, _)| *worker)
    }
    pub(super) fn held_by(&self, worker: WorkerId) -> usize {
        self.held.values().filter(|(holder, _)| *holder == worker).count()
    }
    pub(super) fn drop_camera(&mut self, id: &CameraId) -> Option<WorkerId> {
        self.held.remove(id).map(|(worker, _)| worker)
    }
    pub(super) fn drop_worker(&mut self, worker: WorkerId) -> usize {
        let before = self.held.len();
        self.held.retain(|_, (holder, _)| *holder != worker);
        before - self.held.len()
    }
    /// The camera of the lowest priority that has held its lease for long enough to lose it.
    pub(super) fn least(&self, now: Mono, priority_of: impl Fn(&CameraId) -> f64) -> Option<CameraId> {
        let old = self.held.iter().filter(|(_, (_, since))| now.since(*since) >= HELD_AT_LEAST);
        old.map(|(id, _)| (priority_of(id), id))
            .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
            .map(|(_, id)| id.clone())
    }
    /// A lease on one of the free workers: one more where that fits, otherwise instead of the camera that is named.
    pub(super) fn grant(
        &mut self,
        now: Mono,
        id: &CameraId,
        priority: f64,
        free: &[WorkerId],
        fits: bool,
        priority_of: impl Fn(&CameraId) -> f64,
    ) -> Option<(WorkerId, Option<CameraId>)> {
        let worker = free.iter().copied().min_by_key(|worker| (self.held_by(*worker), *worker))?;
        if fits && self.held_by(worker) < self.per_worker {
            self.held.insert(id.clone(), (worker, now));
            return Some((worker, None));
        }
        let (victim, worker) = self
            .held
            .iter()
            .filter(|(_, (holder, since))| free.contains(holder) && now.since(*since) >= HELD_AT_LEAST)
            .map(|(other, (holder, _))| (priority_of(other), other, *holder))
            .filter(|(theirs, ..)| priority > theirs * CLEARLY)
            .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)))
            .map(|(_, other, holder)| (other.clone(), holder))?;
        self.held.remove(&victim);
        self.held.insert(id.clone(), (worker, now));
        Some((worker, Some(victim)))
    }
}
