//! Which look of a camera a free worker can do now. Pure: it decides, the caller does.

use std::time::Duration;

use xueliang_base::{id::CameraId, look::LookKind, time::Mono};

use super::{
    LeaseChange, WorkerId,
    camera::{Limits, Seat},
    lease::{Free, Leases},
    load::Load,
};

/// What there is to look with.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) now: Mono,
    pub(super) free: &'a Free<'a>,
    pub(super) limits: Limits,
    pub(super) leases: &'a Leases,
    pub(super) load: &'a Load,
}

/// A look that can be started.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) kind: LookKind,
    pub(super) worker: WorkerId,
    /// What it is expected to cost.
    pub(super) cost: Duration,
    pub(super) lease: Option<LeaseChange>,
    /// Whether the continued look would have come too old.
    pub(super) fallback: bool,
}

/// The look of a camera that is due: continued where it holds a decoder or may have one, otherwise of its newest
/// keyframe. `worth` is what a lease is worth at another camera. `None` where it is better to wait.
pub(super) fn choose(bench: Bench<'_>, seat: &Seat, worth: impl Fn(&CameraId) -> f64) -> Option<Choice> {
    let Bench { now, free, limits, leases, load } = bench;
    let keyframe_on = |worker: WorkerId, fallback: bool| {
        let cost = seat.keyframe_cost(now, limits)?;
        Some(Choice { kind: LookKind::Keyframe, worker, cost, lease: None, fallback })
    };
    let continued = seat.continued_cost(now, limits);
    match seat.lease {
        Some(worker) if free.has(worker) => match continued {
            Some(cost) => {
                Some(Choice { kind: LookKind::Continued, worker, cost, lease: None, fallback: false })
            }
            None => keyframe_on(worker, true),
        },
        Some(_) if seat.waits_for_its_worker(now) => None,
        None if seat.continued => {
            // The first look on a fresh decoder begins at the newest keyframe.
            let granted = continued.and_then(|cost| {
                let fits = load.admits(seat);
                Some((cost, leases.grant(now, seat.priority(), free, fits, worth)?))
            });
            let Some((cost, (worker, instead_of))) = granted else {
                return keyframe_on(leases.fewest(free)?, false);
            };
            let lease = Some(LeaseChange::Granted { instead_of });
            Some(Choice { kind: LookKind::Continued, worker, cost, lease, fallback: false })
        }
        _ => keyframe_on(leases.fewest(free)?, false),
    }
}
