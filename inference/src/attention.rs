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
//! Continued looks come when pictures do ([`Rhythm`]): at the one that arrives nearest to when the look is due, so that none has
//! waited for the look.
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
//! A camera may *rest* ([`CameraNeed::rest`]): then it has a glance now and then, which the picture suffices for, and each rule
//! a look as often as its floor at rest asks. [`Attention::wake`] has it watched for a while, [`Attention::calm`] for no longer; a rule that has seen something and
//! is to decide gets what it asks for by itself ([`Attention::undecided`]) and gives it back. What wakes a camera is decided
//! elsewhere: no tier takes a look away from a floor at rest. Nor does a wake promise anything: what is promised of a rule whose
//! camera was woken is its floor at rest; what it asks for beyond is given as far as there is room, and counted where there is none.

use std::{collections::BTreeSet, time::Duration};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use xueliang_base::{
    id::{CameraId, RuleId},
    look::{LookCost, LookKind, NotLooked},
    time::Mono,
};

mod agenda;
mod camera;
mod choice;
mod cost;
mod coverage;
mod lease;
mod load;
mod look;
mod moments;
mod rhythm;
mod terms;

use agenda::{Agenda, Front};
use camera::{Flight, Limits, Seat};
use coverage::Coverage;
pub use coverage::{Breach, CoverageRow, Granted, Why};
use lease::{Free, Leases};
use load::Load;
use look::Bench;
pub use moments::Moments;
pub use rhythm::{Pace, Rhythm};
pub use terms::{
    AttentionParams, CameraNeed, Counters, Decision, Floor, LeaseChange, LookFor, LookOutcome, Offer,
    Refusal, Rest, Seen, Vigil, WorkerId,
};

/// Refusals kept until they are taken; beyond, the oldest go.
const MAX_REFUSALS: usize = 4096;

/// All cameras, in order of their ids; the index agenda and leases go by is their place in this order.
type Seats = IndexMap<CameraId, Seat, FixedState>;

/// The scheduler.
#[derive(Debug, Clone)]
pub struct Attention {
    params: AttentionParams,
    limits: Limits,
    seats: Seats,
    /// Follows from the seats; `None` where it is to be made again, as after a change of the cameras.
    agenda: Option<Agenda>,
    leases: Leases,
    load: Load,
    counters: Counters,
    refusals: Vec<Refusal>,
    revoked: Vec<(CameraId, WorkerId)>,
    /// Cameras that were woken, by when their watch is over.
    awake: BTreeSet<(Mono, CameraId)>,
    /// The latest moment it was asked at.
    latest: Mono,
}

impl Attention {
    /// A scheduler of no cameras.
    pub fn new(params: AttentionParams) -> Self {
        Self {
            limits: Limits { max_age: params.max_age, oldest_keyframe: Duration::MAX, stakes: false },
            leases: Leases::new(params.leases_per_worker),
            params,
            seats: Seats::default(),
            agenda: None,
            load: Load::default(),
            counters: Counters::default(),
            refusals: Vec::new(),
            revoked: Vec::new(),
            awake: BTreeSet::new(),
            latest: Mono(0),
        }
    }
    /// Adds a camera or changes what it needs; what is known of its cost stays.
    pub fn set_camera(&mut self, need: CameraNeed) {
        let CameraNeed { id, weight, floors, rest } = need;
        let now = self.latest;
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.need(now, weight, floors, rest);
        } else {
            let mut seat = Seat::new(self.params.first_cost);
            seat.need(now, weight, floors, rest);
            self.seats.insert_sorted(id.clone(), seat);
        }
        self.agenda = None;
        self.leases.weigh_again();
        self.keep_lease(&id);
    }
    /// Takes a camera out. A look in flight is forgotten; its `done` is ignored.
    pub fn remove_camera(&mut self, id: &CameraId) {
        self.release(id);
        self.seats.shift_remove(id);
        self.agenda = None;
    }
    /// Says what the camera's ring holds now.
    pub fn offer(&mut self, id: &CameraId, offer: Offer) {
        let Some((place, _, seat)) = self.seats.get_full_mut(id) else { return };
        self.load.passed_over += u64::from(seat.passes_over(&offer));
        let turned = seat.offer.blind.is_some() != offer.blind.is_some();
        seat.offer = offer;
        if turned && seat.lease.is_some() {
            self.leases.weigh_again();
        }
        self.renew(place);
    }
    /// Whether units between keyframes mean anything for this camera now.
    pub fn wants_every_unit(&self, id: &CameraId) -> bool {
        self.seats.get(id).is_some_and(|seat| seat.continued || seat.lease.is_some())
    }
    /// Something may be happening at the camera: if it rests, its next keyframe gets a glance.
    pub fn stir(&mut self, now: Mono, id: &CameraId) {
        self.rest(now);
        let Some(seat) = self.seats.get_mut(id).filter(|seat| seat.vigil() == Vigil::Resting) else { return };
        seat.stir(now);
        if self.attend(now, id) {
            self.counters.stirred += 1;
        }
    }
    /// Something happens at the camera: from now on it is watched for so long, if it ever rests.
    pub fn wake(&mut self, now: Mono, id: &CameraId, watch: Duration) {
        self.rest(now);
        let Some(seat) = self.seats.get_mut(id) else { return };
        let before = seat.awake_until();
        let Some(until) = seat.wake(now, watch) else { return };
        if let Some(before) = before {
            self.awake.remove(&(before, id.clone()));
        }
        self.awake.insert((until, id.clone()));
        if self.attend(now, id) {
            self.counters.woken += 1;
        }
    }
    /// What woke the camera has passed: its watch is over, and what its rules are to decide goes on.
    pub fn calm(&mut self, now: Mono, id: &CameraId) {
        self.rest(now);
        let Some(until) = self.seats.get_mut(id).and_then(Seat::calm) else { return };
        self.awake.remove(&(until, id.clone()));
        self.attend(now, id);
    }
    /// The rules of the camera that have seen something and are to decide, and those that hold and are to see it end: each is
    /// looked at as often as it asks, until it stands here no more.
    pub fn undecided(
        &mut self,
        now: Mono,
        id: &CameraId,
        deciding: BTreeSet<RuleId>,
        holding: BTreeSet<RuleId>,
    ) {
        self.rest(now);
        if let Some(seat) = self.seats.get_mut(id) {
            seat.undecided(deciding, holding);
            self.attend(now, id);
        }
    }
    /// How closely the camera is looked at.
    pub fn vigil(&self, id: &CameraId) -> Option<Vigil> {
        self.seats.get(id).map(Seat::vigil)
    }
    /// Whether this rule of the camera is looked at as at rest.
    pub fn rests(&self, id: &CameraId, rule: &RuleId) -> bool {
        let floors = self.seats.get(id).map_or(&[][..], |seat| &seat.floors);
        floors.iter().any(|kept| kept.resting && kept.floor.rule == *rule)
    }
    /// The look to start now on one of the free workers. Call again until it says `None`.
    pub fn next(&mut self, now: Mono, free: &[WorkerId]) -> Option<Decision> {
        self.latest = self.latest.max(now);
        self.rest(now);
        self.weigh(now);
        self.settle(now);
        self.refuse(now, free.is_empty());
        if free.is_empty() || self.agenda.as_ref()?.is_idle() {
            return None;
        }
        let free = Free::of(free);
        let mut front = self.front(now, &free)?;
        while let Some(place) = front.next(now, self.agenda.as_ref()?) {
            let seat = &self.seats[place];
            if seat.is_due(now, self.limits) {
                if let Some(decision) = self.start(now, place, &free) {
                    return Some(decision);
                }
                // Its keyframe may have grown old.
                self.agenda.as_mut()?.stand(place, &self.seats[place]);
            } else if !seat.is_doubted() {
                self.agenda.as_mut()?.leave(place);
            }
        }
        None
    }
    /// A look answered. Answers for cameras without a look in flight are ignored.
    pub fn done(&mut self, now: Mono, id: &CameraId, outcome: LookOutcome) {
        let Some((place, _, seat)) = self.seats.get_full_mut(id) else { return };
        let Some((flight, slow)) = seat.land(Some(now), &outcome, self.params.breach_grace) else { return };
        self.counters.woken_late += slow;
        // The glance that was wanted has been taken.
        seat.attend(now);
        self.load.landed += 1;
        self.load.busy += now.since(flight.started);
        if now > flight.deadline || outcome.result == Err(NotLooked::Deadline) {
            self.counters.deadline_misses += 1;
        }
        // A decoder that gave nothing, or died, is not worth its lease.
        if outcome.result.is_err() {
            self.release(id);
        }
        self.renew(place);
    }
    /// A worker died: its looks and leases are lost. The looks' `done` need not be called.
    pub fn worker_lost(&mut self, worker: WorkerId) {
        let failed =
            LookOutcome { cost: LookCost::default(), result: Err(NotLooked::WorkerLost), units_decoded: 0 };
        for seat in self.seats.values_mut() {
            if seat.flight.as_ref().is_some_and(|flight| flight.worker == worker) {
                seat.land(None, &failed, self.params.breach_grace);
            }
            if seat.lease == Some(worker) {
                seat.lease = None;
            }
        }
        self.agenda = None;
        let lost = self.leases.drop_worker(worker);
        self.counters.leases_revoked += u64::try_from(lost).unwrap_or(u64::MAX);
    }
    /// When to ask [`Attention::next`] again though no unit arrives and no look ends; `None` where only such an event
    /// can help.
    pub fn next_wake(&mut self, now: Mono) -> Option<Mono> {
        self.rest(now);
        self.settle(now);
        self.agenda.as_mut()?.next_wake()
    }
    /// What each rule of the camera is granted, by the load as it is measured.
    pub fn coverage(&self, id: &CameraId) -> Vec<CoverageRow> {
        Coverage::of(&self.params, &self.seats).rows(id)
    }
    /// The same of every camera at once, in order of their ids.
    pub fn coverages(&self) -> impl Iterator<Item = (&CameraId, Vec<CoverageRow>)> {
        let coverage = Coverage::of(&self.params, &self.seats);
        self.seats.keys().map(move |id| (id, coverage.rows(id)))
    }
    /// Rules that have been blind for longer than is promised. A breach ends with two looks in time, one after the other.
    pub fn breaches(&mut self, now: Mono) -> Vec<Breach> {
        self.rest(now);
        self.settle(now);
        coverage::breaches(&self.params, &self.seats, now)
    }
    /// Whether every rule of the camera was looked at in time, twice in a row: what ends a gap. `None` where no rule
    /// needs looks.
    pub fn in_time(&self, now: Mono, id: &CameraId) -> Option<bool> {
        let seat = self.seats.get(id).filter(|seat| !seat.floors.is_empty())?;
        let grace = self.params.breach_grace;
        let in_time = |kept: &choice::Kept| {
            kept.mended
                && kept.served.is_some()
                && kept.since(None).is_some_and(|since| now.since(since) <= kept.bound(grace))
        };
        Some(seat.floors.iter().all(in_time))
    }
    /// The worker that holds the camera's decoder.
    pub fn lease(&self, id: &CameraId) -> Option<WorkerId> {
        self.seats.get(id)?.lease
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

    /// Brings the agenda up to this moment.
    fn settle(&mut self, now: Mono) {
        if self.agenda.is_none() {
            self.seats.values_mut().for_each(|seat| seat.begin(now));
            self.agenda = Some(Agenda::build(&self.seats, self.limits));
        }
        if let Some(agenda) = &mut self.agenda {
            agenda.advance(now, &self.seats);
        }
    }
    /// Something about this camera has changed.
    fn renew(&mut self, place: usize) {
        if let Some(agenda) = &mut self.agenda {
            agenda.renew(place, &self.seats[place]);
        }
    }
    /// Lets cameras rest whose watch is over.
    fn rest(&mut self, now: Mono) {
        while let Some((until, _)) = self.awake.first()
            && *until <= now
        {
            let Some((_, id)) = self.awake.pop_first() else { return };
            self.attend(now, &id);
        }
    }
    /// Looks at a camera as closely as what is known asks for. Returns whether that is a change.
    fn attend(&mut self, now: Mono, id: &CameraId) -> bool {
        let Some((place, _, seat)) = self.seats.get_full_mut(id) else { return false };
        if !seat.attend(now) {
            return false;
        }
        self.leases.weigh_again();
        self.renew(place);
        self.keep_lease(id);
        true
    }
    /// Gives the camera's decoder back where no rule needs it now.
    fn keep_lease(&mut self, id: &CameraId) {
        if self.seats.get(id).is_none_or(|seat| !seat.continued) {
            self.release(id);
        }
    }
    fn release(&mut self, id: &CameraId) {
        let Some(worker) = self.leases.drop_camera(id) else { return };
        self.counters.leases_revoked += 1;
        self.revoked.push((id.clone(), worker));
        let surplus = self.revoked.len().saturating_sub(MAX_REFUSALS);
        self.revoked.drain(..surplus);
        if let Some((place, _, seat)) = self.seats.get_full_mut(id) {
            seat.lease = None;
            self.renew(place);
        }
    }
    /// Measures the load now and then, says what it means to keyframes, and takes a lease back where it has grown too
    /// much.
    fn weigh(&mut self, now: Mono) {
        if !self.load.is_old(now) {
            return;
        }
        self.load.measure(now, &self.params, &self.seats);
        let limits = Limits {
            oldest_keyframe: self.load.oldest_keyframe(),
            stakes: self.load.bears_promises(),
            ..self.limits
        };
        if limits != self.limits {
            self.limits = limits;
            if let Some(agenda) = &mut self.agenda {
                agenda.limit(limits, &self.seats);
            }
        }
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
        let Some(agenda) = &mut self.agenda else { return };
        for place in agenda.take_checks(now, busy) {
            let Some((id, seat)) = self.seats.get_index_mut(place) else { continue };
            if let Some(reason) = seat.refusal(now, self.limits, busy) {
                *self.counters.refused.entry(reason).or_default() += 1;
                self.refusals.push(Refusal { camera: id.clone(), at: now, reason });
            }
            agenda.checked(now, place, seat);
        }
        let surplus = self.refusals.len().saturating_sub(MAX_REFUSALS);
        self.refusals.drain(..surplus);
    }
    /// Who is in line, most urgent first.
    fn front(&mut self, now: Mono, free: &Free<'_>) -> Option<Front> {
        let (agenda, seats) = (self.agenda.as_ref()?, &self.seats);
        self.leases.weigh(worth(seats));
        let fits = agenda.least_wanting().is_some_and(|place| self.load.admits(&seats[place]));
        let grants = |priority| self.leases.grant(now, priority, free, fits, worth(seats)).is_some();
        Some(agenda.front(now, free, grants))
    }
    /// Starts the look of this camera that a free worker can do now, where there is one.
    fn start(&mut self, now: Mono, place: usize, free: &Free<'_>) -> Option<Decision> {
        let (id, seat) = self.seats.get_index(place)?;
        self.leases.weigh(worth(&self.seats));
        let bench = Bench { now, free, limits: self.limits, leases: &self.leases, load: &self.load };
        let choice = look::choose(bench, seat, worth(&self.seats))?;
        let camera = id.clone();
        self.counters.fallbacks += u64::from(choice.fallback);
        match choice.kind {
            LookKind::Keyframe => self.counters.keyframe_looks += 1,
            LookKind::Continued => self.counters.continued_looks += 1,
        }
        let picture = match choice.kind {
            LookKind::Keyframe => seat.offer.freshest_keyframe_arrival,
            LookKind::Continued => seat.offer.newest_unit_arrival,
        }?;
        if let Some(LeaseChange::Granted { instead_of }) = &choice.lease {
            self.load.add(seat);
            self.counters.leases_granted += 1;
            self.counters.leases_revoked += u64::from(instead_of.is_some());
            self.leases.give(now, &camera, choice.worker, instead_of.as_ref());
            if let Some((other, _, seat)) = instead_of.as_ref().and_then(|id| self.seats.get_full_mut(id)) {
                seat.lease = None;
                self.renew(other);
            }
            self.seats[place].lease = Some(choice.worker);
        }
        let deadline = now.plus(self.params.look_deadline);
        let seat = &mut self.seats[place];
        let step = seat.step(seat.lease == Some(choice.worker));
        let models = choice::models(&seat.floors, picture, step);
        let purpose = seat.purpose(picture, step);
        let owed = seat.is_owed(picture);
        self.counters.glances += u64::from(models.is_empty());
        seat.flight =
            Some(Flight { worker: choice.worker, kind: choice.kind, started: now, picture, deadline });
        self.renew(place);
        Some(Decision {
            camera,
            kind: choice.kind,
            worker: choice.worker,
            models,
            owed,
            purpose,
            lease: choice.lease,
            deadline,
            predicted_cost: choice.cost,
        })
    }
}

/// What a lease is worth at each camera; nothing where the camera cannot be looked at.
fn worth(seats: &Seats) -> impl Fn(&CameraId) -> f64 {
    move |id| seats.get(id).filter(|seat| seat.offer.blind.is_none()).map_or(0.0, Seat::priority)
}

#[cfg(test)]
mod scan;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
