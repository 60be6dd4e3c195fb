//! Which worker keeps a decoder open for which camera.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use xueliang_base::{id::CameraId, time::Mono};

use super::WorkerId;

/// A lease is not taken away sooner: opening a decoder costs several looks.
const HELD_AT_LEAST: Duration = Duration::from_secs(10);
/// How much higher the priority must be to take a lease away.
const CLEARLY: f64 = 1.5;

/// Workers that can take a look now, in order.
#[derive(Debug)]
pub(super) struct Free<'a>(Cow<'a, [WorkerId]>);

impl<'a> Free<'a> {
    pub(super) fn of(workers: &'a [WorkerId]) -> Self {
        let mut workers = Cow::Borrowed(workers);
        if !workers.is_sorted() {
            workers.to_mut().sort_unstable();
        }
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
    /// The least of these.
    least_held: usize,
    /// What the cheapest of them is worth, where that is known.
    cheapest: Option<f64>,
}

impl Leases {
    pub(super) fn new(per_worker: usize) -> Self {
        Self { per_worker, held: BTreeMap::new(), by_worker: Vec::new(), least_held: 0, cheapest: None }
    }
    pub(super) fn held_by(&self, worker: WorkerId) -> usize {
        self.by_worker.get(worker.0 as usize).copied().unwrap_or_default()
    }
    /// The worker with the fewest leases.
    pub(super) fn fewest(&self, free: &Free<'_>) -> Option<WorkerId> {
        let unknown = |worker: &WorkerId| worker.0 as usize >= self.by_worker.len();
        let least = if free.0.last().is_some_and(unknown) { 0 } else { self.least_held };
        let mut fewest: Option<(usize, WorkerId)> = None;
        for worker in free.0.iter().copied() {
            let held = self.held_by(worker);
            // No other can have fewer.
            if held <= least {
                return Some(worker);
            }
            fewest = fewest.filter(|(other, _)| *other <= held).or(Some((held, worker)));
        }
        fewest.map(|(_, worker)| worker)
    }
    fn count(&mut self) {
        self.cheapest = None;
        self.least_held = self.by_worker.iter().copied().min().unwrap_or_default();
    }
    pub(super) fn drop_camera(&mut self, id: &CameraId) -> Option<WorkerId> {
        let (worker, _) = self.held.remove(id)?;
        self.by_worker[worker.0 as usize] -= 1;
        self.count();
        Some(worker)
    }
    pub(super) fn drop_worker(&mut self, worker: WorkerId) -> usize {
        let before = self.held.len();
        self.held.retain(|_, (holder, _)| *holder != worker);
        if let Some(held) = self.by_worker.get_mut(worker.0 as usize) {
            *held = 0;
        }
        self.count();
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
        free: &Free<'_>,
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
        self.count();
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn a_lease_goes_to_the_free_worker_that_holds_fewest_whatever_came_before() {
        let mut dice = SmallRng::seed_from_u64(5);
        let mut leases = Leases::new(4);
        let mut answers = [0; 3];
        for step in 0..4000 {
            let camera: CameraId = format!("c{}", dice.random_range(0..40)).parse().unwrap();
            let worker = WorkerId(dice.random_range(0..8));
            match dice.random_range(0..12) {
                0..6 if !leases.held.contains_key(&camera) => leases.give(Mono(step), &camera, worker, None),
                6..11 => drop(leases.drop_camera(&camera)),
                11 => drop(leases.drop_worker(worker)),
                _ => {}
            }
            let mut free: Vec<WorkerId> = (0..10).map(WorkerId).filter(|_| dice.random_bool(0.3)).collect();
            if dice.random_bool(0.5) {
                free.reverse();
            }
            let expected = free.iter().copied().min_by_key(|worker| (leases.held_by(*worker), *worker));
            assert_eq!(leases.fewest(&Free::of(&free)), expected, "step {step}");
            if let Some(worker) = expected {
                answers[leases.held_by(worker).min(2)] += 1;
            }
        }
        assert!(answers.iter().all(|times| *times > 100), "{answers:?}");
    }
}
