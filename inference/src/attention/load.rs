//! What all cameras ask of the workers together, in workers: whether one more decoder may be leased, and how fresh a
//! keyframe must be.
//!
//! A camera with a lease costs a continued look an interval, any other a keyframe look an interval, or a keyframe where these
//! come more rarely. Cameras that cannot be looked at cost nothing.

use std::time::Duration;

use xueliang_base::time::Mono;

use super::{AttentionParams, Seats, camera::Seat};

/// Measured so often: averages of costs move slowly, and in less time too few keyframes come to judge by.
const MEASURED_EVERY: Duration = Duration::from_secs(2);
/// Share of the workers' time up to which leases are added. Looks come when pictures do and not when workers are idle: at
/// three quarters, waiting for a worker costs about as much as the look itself.
pub(super) const LEASED_SHARE: f64 = 0.75;
/// Workers that are busy for less of their time could take keyframes that are let pass. Busier ones would only make all
/// of them wait longer, unless what is asked for fits and comes at one moment.
const BUSY: f64 = 0.6;
/// Of ten keyframes that are due, one may be let pass.
const PASSED_OVER: u64 = 10;
/// A keyframe may wait while so many looks are made, one after the other. Whatever waits in an overload waits for about that
/// long, so it is no more than it takes to have the next look at hand when a worker is free.
const LOOKS_WAITED_FOR: u32 = 2;

#[derive(Debug, Clone, Default)]
pub(super) struct Load {
    at: Option<Mono>,
    /// Workers that are needed for what is leased and everybody's keyframes.
    needed: f64,
    /// Workers that would be needed if all who want one had a lease.
    wanted: f64,
    /// Whether what is promised can be done, whatever else is asked for.
    bears_promises: bool,
    /// Workers there are, and how many of them may be promised.
    workers: f64,
    promised: f64,
    /// Since it was last measured: looks that ended, the workers' time they took, and due keyframes that went without one.
    pub(super) landed: u64,
    pub(super) busy: Duration,
    pub(super) passed_over: u64,
    /// How long a look took of late.
    look: Duration,
    /// How long a keyframe may wait.
    window: Duration,
}

impl Load {
    pub(super) fn measure(&mut self, now: Mono, params: &AttentionParams, seats: &Seats) {
        #[expect(clippy::cast_precision_loss, reason = "workers of one machine")]
        let workers = params.workers as f64;
        (self.workers, self.promised) = (workers, workers * params.promised_share);
        (self.needed, self.wanted) = (0.0, 0.0);
        let mut pledged = 0.0;
        for seat in seats.values().filter(|seat| seat.offer.blind.is_none()) {
            let needed = seat.load(seat.lease.is_some());
            self.needed += needed;
            pledged += seat.promised_load();
            self.wanted +=
                if seat.continued == seat.lease.is_some() { needed } else { seat.load(seat.continued) };
        }
        // Averages of costs drift: who goes first must not change with each.
        self.bears_promises = pledged <= self.promised * if self.bears_promises { 1.1 } else { 1.0 };
        if let Some(look) = u32::try_from(self.landed).ok().and_then(|landed| self.busy.checked_div(landed)) {
            self.look = if self.look.is_zero() { look } else { (self.look * 3 + look) / 4 };
        }
        self.window = self.next_window(now, params);
        self.at = Some(now);
        (self.landed, self.busy, self.passed_over) = (0, Duration::ZERO, 0);
    }
    /// Wider while keyframes are let pass that workers have the time for, as when many cameras send theirs at one moment;
    /// narrower again otherwise.
    fn next_window(&self, now: Mono, params: &AttentionParams) -> Duration {
        let period = self.at.map_or(Duration::ZERO, |at| now.since(at)).as_secs_f64() * self.workers;
        let idle = self.busy.as_secs_f64() < period * BUSY;
        // Averages of costs drift a little after a lease was given by them.
        let fits = self.needed <= self.workers * LEASED_SHARE * 1.1;
        if (idle || fits) && self.passed_over * PASSED_OVER > self.passed_over + self.landed {
            self.window.mul_f64(1.5).min(params.max_age)
        } else {
            self.window.mul_f64(0.9).max(self.look * LOOKS_WAITED_FOR).max(params.fresh).min(params.max_age)
        }
    }
    pub(super) fn is_old(&self, now: Mono) -> bool {
        self.at.is_none_or(|at| now.since(at) >= MEASURED_EVERY)
    }
    /// How long a keyframe may have waited to be worth a look: a question only while more is asked for than may be promised.
    pub(super) fn oldest_keyframe(&self) -> Duration {
        if self.wanted > self.promised { self.window } else { Duration::MAX }
    }
    /// Whether what is promised can be done, whatever else is asked for.
    pub(super) fn bears_promises(&self) -> bool {
        self.bears_promises
    }
    /// Whether not even what is leased can be done.
    pub(super) fn is_unbearable(&self) -> bool {
        self.needed > self.promised
    }
    /// Whether a lease for this camera fits.
    pub(super) fn admits(&self, seat: &Seat) -> bool {
        self.needed + seat.extra() <= self.workers * LEASED_SHARE
    }
    /// Counts a lease that was just given.
    pub(super) fn add(&mut self, seat: &Seat) {
        self.needed += seat.extra();
    }
    /// Counts a lease that is taken back.
    pub(super) fn subtract(&mut self, seat: &Seat) {
        self.needed -= seat.extra();
    }
}
