//! Which camera deserves the next look: a pure scheduler over all cameras of a node.
//!
//! It pulls: whenever a worker is free, [`Attention::next`] chooses. A camera wants a look every `interval`, the
//! shortest `blind_max` of its rules. Among those that are due, the one whose time since its last picture is the largest
//! multiple of its interval, by weight, goes first: with capacity to spare that is earliest deadline first;
//! overloaded, it stretches all intervals by one factor over the weight, and nobody starves.
//!
//! There is no queue of pictures. A look takes what the ring holds now, is charged its predicted cost (a moving
//! average per camera), and is not started when its picture would be older than `max_age` when done: a continued look
//! then becomes a keyframe look, and a keyframe look waits for the next keyframe ([`Refusal`], `TooOld`).
//!
//! Moving hazards need *continued looks* and these a decoder *leased* to the camera on one worker. Leases are limited;
//! a camera of clearly higher priority takes one away, and a camera that sends nothing may lose its.
//!
//! A look says which models run in it: those without which some rule's floor would be broken before the next look
//! ([`Decision::models`]). A floor counts as kept only by looks at which all its models ran.
//!
//! Beyond what the workers can do, ages come before intervals. A continued look decodes all that came since the last, so
//! the rarer it gets, the dearer and later it is: decoders are leased only as far as their looks fit beside everybody's
//! keyframes, and the rest is looked at by keyframes. And of these only fresh ones are taken ([`AttentionParams::fresh`]):
//! the next is soon there. See [`load`].
//!
//! Which gates wake a camera earlier is decided elsewhere; here are floors only.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    id::{CameraId, ModelName, RuleId},
    kind::Kind,
    look::{LookCost, LookKind, NotLooked},
    time::Mono,
};

mod camera;
mod choice;
mod cost;
mod coverage;
mod lease;
mod load;

use camera::{Flight, Seat};
pub use coverage::{Breach, CoverageRow, Granted, Why};
use lease::Leases;
use load::Load;

/// A look worker of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// Bounds and guesses.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionParams {
    /// Look workers.
    pub workers: usize,
    /// Cameras whose decoder one worker may hold.
    pub leases_per_worker: usize,
    /// Age of a picture, when its look is done, beyond which the look is not worth starting.
    pub max_age: Duration,
    /// A worker that has not answered after this long is to be killed.
    pub look_deadline: Duration,
    /// Cost of a camera's first look, before any was measured.
    pub first_cost: Duration,
    /// How long over its `blind_max` a rule may be before that is a breach; at most `blind_max` once more, so that a
    /// floor of half a second is not kept by looks every two.
    pub breach_grace: Duration,
    /// Share of the workers' time that may be promised.
    pub promised_share: f64,
    /// While more is asked for than the workers can do, a keyframe that has waited for longer is left for the next one.
    pub fresh: Duration,
}

impl Default for AttentionParams {
    fn default() -> Self {
        Self {
            workers: 1,
            leases_per_worker: 8,
            max_age: Duration::from_secs(5),
            look_deadline: Duration::from_secs(5),
            first_cost: Duration::from_millis(60),
            breach_grace: Duration::from_secs(2),
            promised_share: 0.85,
            // A few looks of a usual detector: what a keyframe may wait for when several arrive at once.
            fresh: Duration::from_millis(100),
        }
    }
}

/// What a rule needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The rule.
    pub rule: RuleId,
    /// Its kind.
    pub kind: Kind,
    /// The longest time between two pictures looked at for it.
    pub blind_max: Duration,
    /// Whether keyframes do not suffice.
    pub continued: bool,
    /// The models that must run for it; none where the picture suffices.
    pub models: Vec<ModelName>,
    /// Whether no loaded model sees what it needs: then no look serves it.
    pub unserved: bool,
}

/// What a camera needs.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraNeed {
    /// The camera.
    pub id: CameraId,
    /// Share of scarce looks against other cameras.
    pub weight: f32,
    /// One a rule that needs pictures. A camera without any is never looked at.
    pub floors: Vec<Floor>,
}

/// What a camera's ring holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    /// Arrival of the newest keyframe that no look has had.
    pub freshest_keyframe_arrival: Option<Mono>,
    /// Arrival of the newest unit, where it can be decoded: by the leased decoder, or from a keyframe that is there.
    pub newest_unit_arrival: Option<Mono>,
    /// Units from the last one decoded by the leased decoder to the newest; without a lease, from the newest keyframe.
    pub units_since_look: usize,
    /// Typical time between keyframes, where known.
    pub keyframe_interval_estimate: Option<Duration>,
    /// Why the camera cannot be looked at now, where it cannot.
    pub blind: Option<NotLooked>,
}

/// What becomes of leases with a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseChange {
    /// The worker keeps a decoder for this camera from this look on; it begins at the newest keyframe. Where
    /// `instead_of` names a camera, the decoder that this worker kept for that one is closed first.
    Granted {
        /// The camera that loses its lease.
        instead_of: Option<CameraId>,
    },
}

/// A look to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whom to look at.
    pub camera: CameraId,
    /// From the newest keyframe alone, or every unit since the last look on the leased decoder. A keyframe look of a
    /// camera with a lease on this worker restarts that decoder at the keyframe.
    pub kind: LookKind,
    /// On which worker.
    pub worker: WorkerId,
    /// The models that must run, in order of name.
    pub models: Vec<ModelName>,
    /// What changes in leases.
    pub lease: Option<LeaseChange>,
    /// When to kill the worker if it has not answered.
    pub deadline: Mono,
    /// What it is expected to cost.
    pub predicted_cost: Duration,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookOutcome {
    /// Time spent by stage.
    pub cost: LookCost,
    /// What was seen, or why nothing.
    pub result: Result<Seen, NotLooked>,
    /// Units fed to the decoder, the one looked at included.
    pub units_decoded: usize,
}

/// What a look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Arrival of the picture; with reordered pictures it is not the newest unit.
    pub picture: Mono,
    /// The models that ran.
    pub models: Vec<ModelName>,
}

/// A look that was due and was not started: a line for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose.
    pub camera: CameraId,
    /// When.
    pub at: Mono,
    /// `TooOld` or `Busy`.
    pub reason: NotLooked,
}

/// What was done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Keyframe looks started.
    pub keyframe_looks: u64,
    /// Continued looks started.
    pub continued_looks: u64,
    /// Keyframe looks started because the continued look would have come too old.
    pub fallbacks: u64,
    /// Due looks not started, by reason.
    pub refused: BTreeMap<NotLooked, u64>,
    /// Leases given.
    pub leases_granted: u64,
    /// Leases taken away.
    pub leases_revoked: u64,
    /// Looks that answered after their deadline or never.
    pub deadline_misses: u64,
}

/// Refusals kept until they are taken; beyond, the oldest go.
const MAX_REFUSALS: usize = 4096;

/// The scheduler.
#[derive(Debug)]
pub struct Attention {
    params: AttentionParams,
    seats: BTreeMap<CameraId, Seat>,
    leases: Leases,
    load: Load,
    counters: Counters,
    refusals: Vec<Refusal>,
    revoked: Vec<(CameraId, WorkerId)>,
}

impl Attention {
    /// A scheduler of no cameras.
    pub fn new(params: AttentionParams) -> Self {
        let leases = Leases::new(params.leases_per_worker);
        Self {
            params,
            seats: BTreeMap::new(),
            leases,
            load: Load::default(),
            counters: Counters::default(),
            refusals: Vec::new(),
            revoked: Vec::new(),
        }
    }
    /// Adds a camera or changes what it needs; what is known of its cost stays.
    pub fn set_camera(&mut self, need: CameraNeed) {
        let CameraNeed { id, weight, floors } = need;
        let wants_lease = floors.iter().any(|floor| floor.continued);
        let first_cost = self.params.first_cost;
        self.seats.entry(id.clone()).or_insert_with(|| Seat::new(first_cost)).need(weight, floors);
        if !wants_lease {
            self.release(&id);
        }
    }
    /// Takes a camera out. A look in flight is forgotten; its `done` is ignored.
    pub fn remove_camera(&mut self, id: &CameraId) {
        self.seats.remove(id);
        self.release(id);
    }
    /// Says what the camera's ring holds now.
    pub fn offer(&mut self, id: &CameraId, offer: Offer) {
        if let Some(seat) = self.seats.get_mut(id) {
            self.load.passed_over += u64::from(seat.passes_over(&offer));
            seat.offer = offer;
        }
    }
    /// The look to start now on one of the free workers. Call again until it says `None`.
    pub fn next(&mut self, now: Mono, free: &[WorkerId]) -> Option<Decision> {
        self.weigh(now);
        self.refuse(now, free.is_empty());
        if free.is_empty() {
            return None;
        }
        let mut queue: Vec<(f64, CameraId)> = Vec::new();
        for (id, seat) in &mut self.seats {
            seat.begin(now);
            if seat.is_due(now, self.params.max_age) {
                queue.push((seat.urgency(now), id.clone()));
            }
        }
        queue.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        queue.into_iter().find_map(|(_, id)| self.plan(now, &id, free))
    }
    /// A look answered. Answers for cameras without a look in flight are ignored.
    pub fn done(&mut self, now: Mono, id: &CameraId, outcome: LookOutcome) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        let Some(flight) = seat.land(Some(now), &outcome, self.params.breach_grace) else { return };
        self.load.landed += 1;
        self.load.busy += now.since(flight.started);
        if now > flight.deadline || outcome.result == Err(NotLooked::Deadline) {
            self.counters.deadline_misses += 1;
        }
        // A decoder that gave nothing, or died, is not worth its lease.
        if outcome.result.is_err() {
            self.release(id);
        }
    }
    /// A worker died: its looks and leases are lost. The looks' `done` need not be called.
    pub fn worker_lost(&mut self, worker: WorkerId) {
        let failed =
            LookOutcome { cost: LookCost::default(), result: Err(NotLooked::WorkerLost), units_decoded: 0 };
        for seat in self.seats.values_mut() {
            if seat.flight.as_ref().is_some_and(|flight| flight.worker == worker) {
                seat.land(None, &failed, self.params.breach_grace);
            }
        }
        let lost = self.leases.drop_worker(worker);
        self.counters.leases_revoked += u64::try_from(lost).unwrap_or(u64::MAX);
    }
    /// When to ask [`Attention::next`] again though no unit arrives and no look ends; `None` where only such an event
    /// can help.
    pub fn next_wake(&self, now: Mono) -> Option<Mono> {
        self.seats.values().filter_map(|seat| seat.wake(now, self.params.max_age)).min()
    }
    /// What each rule of the camera is granted, by the load as it is measured.
    pub fn coverage(&self, id: &CameraId) -> Vec<CoverageRow> {
        coverage::rows(&self.params, &self.seats, &self.leases, id)
    }
    /// Rules that have been blind for longer than they may. A breach ends with two looks in time, one after the other.
    pub fn breaches(&mut self, now: Mono) -> Vec<Breach> {
        self.seats.values_mut().for_each(|seat| seat.begin(now));
        coverage::breaches(&self.params, &self.seats, now)
    }
    /// Whether every rule of the camera was looked at in time, twice in a row: what ends a gap. `None` where no rule
    /// needs looks.
    pub fn in_time(&self, now: Mono, id: &CameraId) -> Option<bool> {
        let seat = self.seats.get(id).filter(|seat| !seat.floors.is_empty())?;
        let grace = self.params.breach_grace;
        let in_time = |kept: &choice::Kept| {
            kept.mended && kept.served.is_some_and(|served| now.since(served) <= kept.bound(grace))
        };
        Some(seat.floors.iter().all(in_time))
    }
    /// The worker that holds the camera's decoder.
    pub fn lease(&self, id: &CameraId) -> Option<WorkerId> {
        self.leases.of(id)
    }
    /// Leases that ended without a look saying so, since the last call: their decoders are to be closed.
    pub fn take_revoked(&mut self) -> Vec<(CameraId, WorkerId)> {
        std::mem::take(&mut self.revoked)
    }
    /// Due looks that were not started, since the last call.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }
    /// What was done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn release(&mut self, id: &CameraId) {
        if let Some(worker) = self.leases.drop_camera(id) {
            self.counters.leases_revoked += 1;
            self.revoked.push((id.clone(), worker));
            let surplus = self.revoked.len().saturating_sub(MAX_REFUSALS);
            self.revoked.drain(..surplus);
        }
    }
    /// Measures the load now and then, says what it means to the seats, and takes a lease back where it has grown too much.
    fn weigh(&mut self, now: Mono) {
        if !self.load.is_old(now) {
            return;
        }
        self.load.measure(now, &self.params, &self.seats, &self.leases);
        let oldest = self.load.oldest_keyframe();
        self.seats.values_mut().for_each(|seat| seat.oldest_keyframe = oldest);
        while self.load.is_unbearable() {
            let seats = &self.seats;
            let least = self.leases.least(now, |id| seats.get(id).map_or(0.0, Seat::priority));
            let Some(id) = least else { break };
            if let Some(seat) = seats.get(&id) {
                self.load.subtract(seat);
            }
            self.release(&id);
        }
    }
    /// Notes, at most once an interval and camera, that a look was due and could not be.
    fn refuse(&mut self, now: Mono, busy: bool) {
        for (id, seat) in &mut self.seats {
            seat.begin(now);
            if let Some(reason) = seat.refusal(now, self.params.max_age, busy) {
                *self.counters.refused.entry(reason).or_default() += 1;
                self.refusals.push(Refusal { camera: id.clone(), at: now, reason });
            }
        }
        let surplus = self.refusals.len().saturating_sub(MAX_REFUSALS);
        self.refusals.drain(..surplus);
    }
    /// The look of this camera that a free worker can do now.
    fn plan(&mut self, now: Mono, id: &CameraId, free: &[WorkerId]) -> Option<Decision> {
        let max_age = self.params.max_age;
        let seat = self.seats.get(id)?;
        let held = self.leases.of(id);
        let keyframe = seat.keyframe_cost(now, max_age);
        let fewest = *free.iter().min_by_key(|worker| (self.leases.held_by(**worker), **worker))?;
        let (kind, worker, cost, lease) = match held {
            Some(worker) if free.contains(&worker) => match seat.continued_cost(now, max_age) {
                Some(cost) => (LookKind::Continued, worker, cost, None),
                None => {
                    let cost = keyframe?;
                    self.counters.fallbacks += 1;
                    (LookKind::Keyframe, worker, cost, None)
                }
            },
            // Its worker is busy with others; a keyframe look elsewhere is better than a second interval blind.
            Some(_) if seat.lateness(now) < 2.0 => return None,
            Some(_) => (LookKind::Keyframe, fewest, keyframe?, None),
            None if seat.continued => {
                let priority = |other: &CameraId| {
                    self.seats
                        .get(other)
                        .map_or(0.0, |seat| if seat.offer.blind.is_some() { 0.0 } else { seat.priority() })
                };
                // The first look on a fresh decoder begins at the newest keyframe.
                let fits = self.load.admits(seat);
                match seat.continued_cost(now, max_age) {
                    Some(cost) => match self.leases.grant(now, id, seat.priority(), free, fits, priority) {
                        Some((worker, instead_of)) => {
                            self.load.add(seat);
                            self.counters.leases_granted += 1;
                            self.counters.leases_revoked += u64::from(instead_of.is_some());
                            let change = LeaseChange::Granted { instead_of };
                            (LookKind::Continued, worker, cost, Some(change))
                        }
                        None => (LookKind::Keyframe, fewest, keyframe?, None),
                    },
                    None => (LookKind::Keyframe, fewest, keyframe?, None),
                }
            }
            None => (LookKind::Keyframe, fewest, keyframe?, None),
        };
        match kind {
            LookKind::Keyframe => self.counters.keyframe_looks += 1,
            LookKind::Continued => self.counters.continued_looks += 1,
        }
        let deadline = now.plus(self.params.look_deadline);
        let seat = self.seats.get_mut(id)?;
        let picture = match kind {
            LookKind::Keyframe => seat.offer.freshest_keyframe_arrival,
            LookKind::Continued => seat.offer.newest_unit_arrival,
        }?;
        let leased = self.leases.of(id) == Some(worker);
        let models = choice::models(&seat.floors, picture, seat.step(leased));
        seat.flight = Some(Flight { worker, kind, started: now, picture, deadline });
        Some(Decision { camera: id.clone(), kind, worker, models, lease, deadline, predicted_cost: cost })
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
