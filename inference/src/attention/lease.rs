//! Which worker keeps a decoder open for which camera.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{id::CameraId, time::Mono};

use super::WorkerId;

/// A lease is not taken away sooner: opening a decoder costs several looks.
const HELD_AT_LEAST: Duration = Duration::from_secs(10);
/// How much higher the priority must be to take a lease away.
const CLEARLY: f64 = 1.5;

/// Workers that can take a look now.
#[derive(Debug)]
pub(super) struct Free(Vec<WorkerId>);

impl Free {
    pub(super) fn of(workers: &[WorkerId]) -> Self {
        let mut workers = workers.to_vec();
        workers.sort_unstable();
        Self(workers)
    }
    pub(super) fn has(&self, worker: WorkerId) -> bool {
        self.0.binary_search(&worker).is_ok()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Leases {
    per_worker: usize,
    held: BTreeMap<CameraId, (WorkerId, Mono)>,
    /// By number of the worker.
    by_worker: Vec<usize>,
    /// What the cheapest of them is worth, where that is known.
    cheapest: Option<f64>,
}

impl Leases {
    pub(super) fn new(per_worker: usize) -> Self {
        Self { per_worker, held: BTreeMap::new(), by_worker: Vec::new(), cheapest: None }
    }
    pub(super) fn held_by(&self, worker: WorkerId) -> usize {
        self.by_worker.get(worker.0 as usize).copied().unwrap_or_default()
    }
    /// The worker with the fewest leases.
    pub(super) fn fewest(&self, free: &Free) -> Option<WorkerId> {
        free.0.iter().copied().min_by_key(|worker| (self.held_by(*worker), *worker))
    }
    pub(super) fn drop_camera(&mut self, id: &CameraId) -> Option<WorkerId> {
        let (worker, _) = self.held.remove(id)?;
        self.by_worker[worker.0 as usize] -= 1;
        self.cheapest = None;
        Some(worker)
    }
    pub(super) fn drop_worker(&mut self, worker: WorkerId) -> usize {
        let before = self.held.len();
        self.held.retain(|_, (holder, _)| *holder != worker);
        if let Some(held) = self.by_worker.get_mut(worker.0 as usize) {
            *held = 0;
        }
        self.cheapest = None;
        before - self.held.len()
    }
    /// What a lease is worth at its camera has changed.
    pub(super) fn weigh_again(&mut self) {
        self.cheapest = None;
    }
    /// Learns what the cheapest lease is worth, where that is not known.
    pub(super) fn weigh(&mut self, worth: impl Fn(&CameraId) -> f64) {
        if self.cheapest.is_none() {
            self.cheapest = Some(self.held.keys().map(worth).fold(f64::INFINITY, f64::min));
        }
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
        &self,
        now: Mono,
        priority: f64,
        free: &Free,
        fits: bool,
        worth: impl Fn(&CameraId) -> f64,
    ) -> Option<(WorkerId, Option<CameraId>)> {
        let worker = self.fewest(free)?;
        if fits && self.held_by(worker) < self.per_worker {
            return Some((worker, None));
        }
        if self.cheapest.is_some_and(|cheapest| priority <= cheapest * CLEARLY) {
            return None;
        }
        self.held
            .iter()
            .filter(|(_, (holder, since))| free.has(*holder) && now.since(*since) >= HELD_AT_LEAST)
            .map(|(other, (holder, _))| (worth(other), other, *holder))
            .filter(|(theirs, ..)| priority > theirs * CLEARLY)
            .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)))
            .map(|(_, other, holder)| (holder, Some(other.clone())))
    }
    /// Notes a lease that was granted.
    pub(super) fn give(&mut self, now: Mono, id: &CameraId, worker: WorkerId, instead_of: Option<&CameraId>) {
        if let Some(other) = instead_of {
            self.drop_camera(other);
        }
        self.held.insert(id.clone(), (worker, now));
        let index = worker.0 as usize;
        if self.by_worker.len() <= index {
            self.by_worker.resize(index + 1, 0);
        }
        self.by_worker[index] += 1;
        self.cheapest = None;
    }
}
