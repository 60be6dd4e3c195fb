//! Who may be connected now: cameras that are taken all the time, on patrol or on request, behind upstreams that carry so
//! many sessions and so many bits a second. Pure: time, and what sessions say, are parameters.
//!
//! - **Continuous** cameras keep their session. Where an upstream has no room for all, the heaviest keep theirs, one session is
//!   left to take turns with, and the rest are visited like a patrol, every [`CROWDED_OUT`].
//! - A **patrol** visits: connect, wait for a keyframe however long the camera may take, close once it was looked at. While a
//!   rule has seen something and has not decided, the visit goes on.
//! - **On request** a camera is visited for as long as somebody asked.
//!
//! Of those that are due, the one that is latest goes first, counted in its own intervals, times its weight: while there is
//! room that is earliest due first; when there is not, all intervals stretch by one factor over the weight. Nobody overtakes the
//! one that is first by being smaller. A visit that goes on for a rule or a request gives way once somebody has waited there for
//! a whole interval more.
//!
//! A session counts from the moment it may connect until it is closed, and a little longer ([`SETTLE`]): the far end notices
//! later.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use xueliang_base::{
    config::{Acquire, Camera, Config},
    id::{CameraId, UpstreamId},
    time::Mono,
};

use crate::{
    health::Idle,
    session::{Turn, Visit},
};

mod budget;
mod seat;
#[cfg(test)]
mod tests;

use budget::{Budget, Room};
pub use budget::{Carries, Lack};
use seat::{Place, Seat};

/// Continuous cameras without room are visited so often.
pub const CROWDED_OUT: Duration = Duration::from_secs(60);
/// What is closed counts so much longer.
pub const SETTLE: Duration = Duration::from_millis(500);
/// A visit whose picture nobody has looked at by then is over: the workers are busy.
const LINGER: Duration = Duration::from_secs(10);
/// A visit goes on for a rule that cannot decide for at most so long.
const UNDECIDED: Duration = Duration::from_secs(600);
/// A visit that goes on is not made to give way before.
const LEAST_STAY: Duration = Duration::from_secs(10);
/// A session that has said nothing so long after its camera's patience is taken to hang.
const HANGS: Duration = Duration::from_secs(60);
/// A visit that failed is made again after this, then after twice as long, up to the interval; at once, where a camera that is
/// to stay connected was lost, after the first.
const AGAIN: Duration = Duration::from_secs(5);
const BACK: Duration = Duration::from_secs(1);

/// Why a camera of a configuration waits for turns to connect; `None`: it is connected all the time, and nothing limits that.
pub fn idle(config: &Config, camera: &Camera) -> Option<Idle> {
    match camera.acquire {
        Acquire::Patrol { .. } => Some(Idle::Patrol),
        Acquire::OnRequest => Some(Idle::OnRequest),
        Acquire::Continuous => {
            let mut above = config.chain(camera.upstream.as_ref());
            above.any(|one| one.sessions.is_some() || one.bandwidth.is_some()).then_some(Idle::Patrol)
        }
    }
}

/// What is heard of a camera's session and looks.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Its latest visit.
    pub visit: Visit,
    /// Whether it is connected or tries to be.
    pub open: bool,
    /// Whether its session may stay connected, as it was told.
    pub held: bool,
    /// Arrival of the latest picture that was looked at.
    pub looked: Option<Mono>,
    /// A rule has seen something, or something end, and has not decided.
    pub undecided: bool,
    /// Bits a second that it sends, where that was measured.
    pub bits: Option<u64>,
}

/// How a camera is taken now.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// As it is granted: patrol, for a continuous camera without room.
    pub acquire: Acquire,
    /// From one visit's picture to the next's, as it is.
    pub interval: Option<Duration>,
    /// Somebody asked for it, until then.
    pub asked: Option<Mono>,
    /// It is visited, and no picture has come yet.
    pub calling: bool,
    /// It is due, and waits for this.
    pub waits: Option<(UpstreamId, Lack)>,
    /// A continuous camera without room, and for want of what.
    pub crowded_out: Option<(UpstreamId, Lack)>,
    /// Visits that failed in a row.
    pub failures: u32,
}

/// The cameras of a node that wait for turns, and what they hang on.
#[derive(Debug, Default)]
pub struct Planner {
    budgets: Vec<Budget>,
    seats: BTreeMap<CameraId, Seat>,
    /// The number of the last visit.
    visits: u64,
    /// Bit rates have changed, or cameras.
    weigh: bool,
    refused: BTreeMap<(UpstreamId, Lack), u64>,
}

impl Planner {
    /// Takes a configuration; what is known of cameras that stay, stays.
    pub fn configure(&mut self, now: Mono, config: &Config) {
        self.budgets = Budget::all(config);
        let mut before = std::mem::take(&mut self.seats);
        for camera in &config.cameras {
            if idle(config, camera).is_none() {
                continue;
            }
            let above = config.chain(camera.upstream.as_ref());
            let above =
                above.filter_map(|one| self.budgets.iter().position(|budget| budget.id == one.id)).collect();
            let mut seat = before.remove(&camera.id).unwrap_or_default();
            seat.configure(now, camera, camera.sessions(&config.analysis.rest), above);
            self.seats.insert(camera.id.clone(), seat);
        }
        self.weigh = true;
    }

    /// Somebody asks for a camera, for so long from now on; no time at all takes it back. False where it waits for no turns: it
    /// is connected all the time, or there is none.
    pub fn ask(&mut self, now: Mono, id: &CameraId, lasting: Duration) -> bool {
        let Some(seat) = self.seats.get_mut(id) else { return false };
        seat.ask(now, lasting);
        true
    }

    /// Takes what is heard of a camera.
    pub fn hear(&mut self, now: Mono, id: &CameraId, heard: &Heard) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        seat.hear(now, heard);
        self.weigh |= seat.measure(now, heard.bits);
    }

    /// What changes now: who may connect, and who is to close.
    pub fn plan(&mut self, now: Mono) -> Vec<(CameraId, Turn)> {
        if std::mem::take(&mut self.weigh) {
            budget::hold(&self.budgets, &mut self.seats);
        }
        let mut orders = Vec::new();
        for (id, seat) in &mut self.seats {
            orders.extend(seat.turn(now).map(|turn| (id.clone(), turn)));
        }
        let mut room = Room::of(&self.budgets, self.seats.values());
        self.keep(&mut room, &mut orders);
        self.visit(now, &mut room, &mut orders);
        orders
    }

    /// Connects continuous cameras again whose room is free.
    fn keep(&mut self, room: &mut Room, orders: &mut Vec<(CameraId, Turn)>) {
        for (id, seat) in &mut self.seats {
            if seat.holds && seat.place == Place::Idle && room.lacks(&self.budgets, seat, true).is_none() {
                room.occupy(&self.budgets, seat);
                seat.place = Place::Held;
                orders.push((id.clone(), Turn::Always));
            }
        }
    }

    /// Visits who is due, the latest first.
    fn visit(&mut self, now: Mono, room: &mut Room, orders: &mut Vec<(CameraId, Turn)>) {
        let mut due: Vec<(f64, CameraId)> = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.wants(now))
            .map(|(id, seat)| (seat.urgency(now), id.clone()))
            .collect();
        due.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        for (_, id) in due {
            let Some(seat) = self.seats.get_mut(&id) else { continue };
            let Some((at, lack)) = room.lacks(&self.budgets, seat, false) else {
                room.occupy(&self.budgets, seat);
                self.visits += 1;
                seat.visit(now, self.visits);
                orders.push((id, Turn::Visit(self.visits)));
                continue;
            };
            // Whoever is behind it there waits as well: the first must not be overtaken by those that are smaller. But where
            // there will be no room for it whoever waits, waiting is no use.
            if room.comes(&self.budgets, seat) {
                room.block(at, lack);
            }
            if seat.waits.replace((at, lack)).is_none() {
                *self.refused.entry((self.budgets[at].id.clone(), lack)).or_default() += 1;
            }
            if seat.has_waited_long(now) {
                self.give_way(now, at, orders);
            }
        }
    }

    /// Ends a visit there that goes on for a rule or a request, the longest, where none is ending already.
    fn give_way(&mut self, now: Mono, at: usize, orders: &mut Vec<(CameraId, Turn)>) {
        let there = || self.seats.iter().filter(|(_, seat)| seat.above.contains(&at));
        if there().any(|(_, seat)| seat.is_closing()) {
            return;
        }
        let stays = there().filter_map(|(id, seat)| Some((seat.stays_since(now)?, id.clone())));
        let Some((_, id)) = stays.min() else { return };
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.gives_way(now);
            orders.push((id, Turn::Closed(seat.idle())));
        }
    }

    /// How a camera is taken now; `None`: it waits for no turns.
    pub fn taken(&self, now: Mono, id: &CameraId) -> Option<Taken> {
        let seat = self.seats.get(id)?;
        let named = |what: Option<(usize, Lack)>| {
            what.and_then(|(at, lack)| Some((self.budgets.get(at)?.id.clone(), lack)))
        };
        Some(Taken {
            acquire: seat.granted(),
            interval: seat.interval(now),
            asked: seat.asked_until(),
            calling: seat.is_calling(),
            waits: named(seat.waits.filter(|_| seat.wants(now))),
            crowded_out: named(seat.crowded_out),
            failures: seat.failures,
        })
    }

    /// What each upstream with a budget carries now.
    pub fn carries(&self, now: Mono) -> Vec<Carries> {
        let room = Room::of(&self.budgets, self.seats.values());
        let waiting = |at| {
            let waits = |seat: &&Seat| seat.wants(now) && seat.waits.is_some_and(|(there, _)| there == at);
            self.seats.values().filter(waits).count()
        };
        self.budgets.iter().enumerate().map(|(at, budget)| room.carries(at, budget, waiting(at))).collect()
    }

    /// How often a camera that was due had to wait, by upstream and by what it lacked there.
    pub fn refused(&self) -> &BTreeMap<(UpstreamId, Lack), u64> {
        &self.refused
    }
}

/// The heaviest first, then in order of their ids.
fn heavier(a: (f64, &CameraId), b: (f64, &CameraId)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1))
}
