//! What the capacity allows: what is granted, and what is broken.
//!
//! A camera costs its predicted look over its interval, in workers. Where the sum exceeds what may be promised, the
//! intervals are stretched as the scheduler stretches them: by one factor over each camera's weight, but never shortened.

use std::{cmp::Reverse, time::Duration};

use xueliang_base::{
    id::{CameraId, RuleId},
    kind::Kind,
    look::NotLooked,
    time::Mono,
};

use super::{AttentionParams, Seats, camera::Seat, load::LEASED_SHARE};

/// Beyond so many times its bound a rule is not covered.
const BEST_EFFORT: f64 = 3.0;

/// Why a rule gets less than it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The camera cannot be looked at.
    Blind(NotLooked),
    /// No decoder is left to lease, and its keyframes come too rarely.
    NoLease,
    /// Keyframes come too rarely.
    KeyframesTooRare,
    /// Not enough workers.
    Overloaded,
    /// The camera is only visited now and then.
    Patrol,
    /// The camera is only connected when somebody asks.
    OnRequest,
}

/// What a rule is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// Its bound is kept.
    Guaranteed,
    /// Its bound is exceeded, at most threefold.
    BestEffort(Why),
    /// Its bound is exceeded by more, or it cannot be served at all.
    NotCovered(Why),
}

/// One rule's coverage.
#[derive(Debug, Clone, PartialEq)]
pub struct CoverageRow {
    /// The rule.
    pub rule: RuleId,
    /// Its kind.
    pub kind: Kind,
    /// What it is granted.
    pub granted: Granted,
    /// The longest time it may be blind, as is promised now: longer where its camera rests, or was only woken.
    pub blind_max: Duration,
    /// The time between looks to expect.
    pub expected_interval: Duration,
}

/// A rule that is blind for longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The camera.
    pub camera: CameraId,
    /// The rule.
    pub rule: RuleId,
    /// Its kind.
    pub kind: Kind,
    /// The longest time it may be blind.
    pub blind_max: Duration,
    /// When its time was up.
    pub since: Mono,
    /// The camera's own reason where it has one, `ModelFailed` where no model serves the rule, otherwise `Busy`.
    pub reason: NotLooked,
}

pub(super) fn breaches(params: &AttentionParams, seats: &Seats, now: Mono) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (id, seat) in seats {
        for kept in &seat.floors {
            let floor = &kept.floor;
            let Some(last) = kept.since(seat.born()) else { continue };
            let up = last.plus(kept.promised());
            // One look does not mend a floor; the next must come in time too.
            let over = now.since(last) > kept.bound(params.breach_grace);
            let since = kept.late_since.or(over.then_some(up));
            if let Some(since) = since {
                let own = if floor.unserved { NotLooked::ModelFailed } else { NotLooked::Busy };
                let reason = seat.offer.blind.unwrap_or(own);
                breaches.push(Breach {
                    camera: id.clone(),
                    rule: floor.rule.clone(),
                    kind: floor.kind,
                    blind_max: kept.promised(),
                    since,
                    reason,
                });
            }
        }
    }
    breaches
}

/// What can be said of all cameras together at one moment, for the rows of each.
pub(super) struct Coverage<'a> {
    params: &'a AttentionParams,
    seats: &'a Seats,
    stretch: f64,
    /// Workers that everybody's keyframes take.
    keyframes: f64,
    /// Cameras that want a decoder, in the order in which they get one: those that hold one, then by priority. With each,
    /// what it and those before it take of the workers beyond their keyframes.
    leased: Vec<(Rank<'a>, f64)>,
}

/// The lower, the sooner: whether it holds no lease, its priority, its id.
type Rank<'a> = (bool, Reverse<u64>, &'a CameraId);

fn rank<'a>(id: &'a CameraId, seat: &Seat) -> Rank<'a> {
    // Priorities are positive, and the bits of positive numbers are in the order of the numbers.
    (seat.lease.is_none(), Reverse(seat.priority().to_bits()), id)
}

impl<'a> Coverage<'a> {
    pub(super) fn of(params: &'a AttentionParams, seats: &'a Seats) -> Self {
        let visible = || seats.iter().filter(|(_, seat)| seat.offer.blind.is_none());
        let wanting = visible().filter(|(_, seat)| seat.continued);
        let mut leased: Vec<(Rank<'a>, f64)> =
            wanting.map(|(id, seat)| (rank(id, seat), seat.extra())).collect();
        leased.sort_by_key(|(rank, _)| *rank);
        let mut all = 0.0;
        for (_, load) in &mut leased {
            all += *load;
            *load = all;
        }
        let keyframes = visible().map(|(_, seat)| seat.load(false)).sum();
        Self { params, seats, stretch: stretch(params, seats), keyframes, leased }
    }

    /// What the rules of a camera are granted.
    pub(super) fn rows(&self, id: &CameraId) -> Vec<CoverageRow> {
        let Some((id, seat)) = self.seats.get_key_value(id) else { return Vec::new() };
        let Some(interval) = seat.interval() else { return Vec::new() };
        let loaded = interval.as_secs_f64() * (self.stretch / seat.weight()).max(1.0);
        let leased = self.lease(id, seat);
        let keyframes = seat.offer.keyframe_interval_estimate.unwrap_or_default().as_secs_f64();
        seat.floors
            .iter()
            .map(|kept| {
                let floor = &kept.floor;
                let bound = kept.promised().as_secs_f64();
                let by_keyframes = if leased.is_ok() { 0.0 } else { keyframes };
                let expected = loaded.max(by_keyframes);
                let why = match seat.offer.blind {
                    _ if floor.unserved => Why::Blind(NotLooked::ModelFailed),
                    Some(reason) => Why::Blind(reason),
                    None if by_keyframes > bound && kept.promises_continued() => {
                        leased.err().unwrap_or(Why::NoLease)
                    }
                    None if by_keyframes > bound => Why::KeyframesTooRare,
                    None => Why::Overloaded,
                };
                let never = seat.offer.blind.is_some() || floor.unserved;
                let granted = if never || expected > bound * BEST_EFFORT {
                    Granted::NotCovered(why)
                } else if expected > bound * 1.001 {
                    Granted::BestEffort(why)
                } else if kept.promises_continued()
                    && let Err(why) = leased
                {
                    // Often enough for now, but only while keyframes stay as frequent.
                    Granted::BestEffort(why)
                } else {
                    Granted::Guaranteed
                };
                CoverageRow {
                    rule: floor.rule.clone(),
                    kind: floor.kind,
                    granted,
                    blind_max: kept.promised(),
                    expected_interval: Duration::try_from_secs_f64(expected).unwrap_or(Duration::MAX),
                }
            })
            .collect()
    }

    /// Whether the camera has a lease, or would get one: leases go by priority, as far as decoders and workers' time last.
    pub(super) fn lease(&self, id: &CameraId, seat: &Seat) -> Result<(), Why> {
        if !seat.continued {
            return Err(Why::NoLease);
        }
        if seat.lease.is_some() {
            return Ok(());
        }
        let own = rank(id, seat);
        let before = self.leased.partition_point(|(rank, _)| *rank < own);
        let first = before.checked_sub(1).map_or(0.0, |last| self.leased[last].1);
        let needed = self.keyframes + first + seat.extra();
        #[expect(clippy::cast_precision_loss, reason = "workers of one machine")]
        let workers = self.params.workers as f64;
        if needed > workers * LEASED_SHARE {
            Err(Why::Overloaded)
        } else if before >= self.params.leases_per_worker * self.params.workers {
            Err(Why::NoLease)
        } else {
            Ok(())
        }
    }
}

/// By which factor, over their weights, intervals stretch so that the load fits; 1 or less where it fits anyway.
fn stretch(params: &AttentionParams, seats: &Seats) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "workers of one machine")]
    let capacity = params.workers as f64 * params.promised_share;
    // Of each camera that can be looked at: load at its own interval, and weight.
    let mut loads: Vec<(f64, f64)> = seats
        .values()
        .filter(|seat| seat.offer.blind.is_none())
        .filter_map(|seat| {
            let interval = seat.interval()?.as_secs_f64();
            let continued = seat.continued && seat.lease.is_some();
            let cost = if continued { seat.cost.usual() } else { seat.cost.keyframe() };
            // Without a lease it cannot be looked at more often than keyframes come.
            let keyframes = seat.offer.keyframe_interval_estimate.map_or(0.0, |d| d.as_secs_f64());
            let interval = if continued { interval } else { interval.max(keyframes) };
            Some((cost.as_secs_f64() / interval, seat.weight()))
        })
        .collect();
    // Heaviest weights saturate first: they keep their interval, the rest shares what is left.
    loads.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (mut fixed, mut rest) = (0.0, loads.iter().map(|(load, weight)| load * weight).sum::<f64>());
    let mut factor = if capacity > fixed { rest / (capacity - fixed) } else { f64::INFINITY };
    for (load, weight) in loads {
        if factor >= weight {
            break;
        }
        fixed += load;
        rest -= load * weight;
        factor = if capacity > fixed { rest.max(0.0) / (capacity - fixed) } else { f64::INFINITY };
    }
    factor
}
