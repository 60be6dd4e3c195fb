//! What upstreams carry, and which continuous cameras keep their session there.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_base::{
    config::{Acquire, Config},
    id::{CameraId, UpstreamId},
};

use super::{
    heavier,
    seat::{Place, Seat},
};

/// What an upstream has too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// Sessions.
    Sessions,
    /// Bits a second.
    Bandwidth,
}

impl Lack {
    /// Both.
    pub const ALL: [Lack; 2] = [Lack::Sessions, Lack::Bandwidth];
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Lack::Sessions => "sessions",
            Lack::Bandwidth => "bandwidth",
        }
    }
}

/// An upstream that carries so much.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) id: UpstreamId,
    sessions: Option<u32>,
    bits: Option<u64>,
}

impl Budget {
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let limited = config.upstreams.iter().filter(|one| one.sessions.is_some() || one.bandwidth.is_some());
        limited.map(|one| Self { id: one.id.clone(), sessions: one.sessions, bits: one.bandwidth }).collect()
    }
    /// What a camera takes of it while it is connected: that may be more than there is, and then it is alone.
    fn load(&self, seat: &Seat) -> Load {
        let (sessions, bits) = (seat.takes(), seat.bits());
        Load {
            sessions: self.sessions.map_or(sessions, |most| sessions.min(most)),
            bits: self.bits.map_or(bits, |most| bits.min(most)),
        }
    }
    fn lacks(&self, load: Load) -> Option<Lack> {
        if self.sessions.is_some_and(|most| load.sessions > most) {
            Some(Lack::Sessions)
        } else if self.bits.is_some_and(|most| load.bits > most) {
            Some(Lack::Bandwidth)
        } else {
            None
        }
    }
}

/// Sessions, and bits a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Load {
    sessions: u32,
    bits: u64,
}

impl Load {
    fn plus(self, other: Self) -> Self {
        Self { sessions: self.sessions + other.sessions, bits: self.bits.saturating_add(other.bits) }
    }
}

/// What an upstream carries now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carries {
    /// Which.
    pub id: UpstreamId,
    /// Sessions that are open, or being opened or closed.
    pub sessions: u32,
    /// At most.
    pub most_sessions: Option<u32>,
    /// Bits a second that these are taken to send.
    pub bits: u64,
    /// At most.
    pub most_bits: Option<u64>,
    /// Cameras that are due and wait for room there.
    pub waiting: usize,
}

/// What is taken of each budget.
#[derive(Debug)]
pub(super) struct Room {
    occupied: Vec<Load>,
    /// By those that keep their session, connected or not.
    kept: Vec<Load>,
    /// By continuous cameras that are not connected.
    reserved: Vec<Load>,
    /// Whoever comes there now has to wait, for this.
    blocked: Vec<Option<Lack>>,
}

impl Room {
    pub(super) fn of<'a>(budgets: &[Budget], seats: impl Iterator<Item = &'a Seat>) -> Self {
        let none = vec![Load::default(); budgets.len()];
        let blocked = vec![None; budgets.len()];
        let mut room = Self { occupied: none.clone(), kept: none.clone(), reserved: none, blocked };
        for seat in seats {
            if seat.holds {
                add(&mut room.kept, budgets, seat);
            }
            if seat.place != Place::Idle {
                room.occupy(budgets, seat);
            } else if seat.holds {
                add(&mut room.reserved, budgets, seat);
            }
        }
        room
    }
    pub(super) fn occupy(&mut self, budgets: &[Budget], seat: &Seat) {
        add(&mut self.occupied, budgets, seat);
    }
    /// Where a seat does not fit, and for want of what. What is reserved is there for those that it is reserved for.
    pub(super) fn lacks(&self, budgets: &[Budget], seat: &Seat, reserved: bool) -> Option<(usize, Lack)> {
        seat.above.iter().find_map(|at| {
            let budget = &budgets[*at];
            let kept = if reserved { Load::default() } else { self.reserved[*at] };
            let load = self.occupied[*at].plus(kept).plus(budget.load(seat));
            let lack = self.blocked[*at].or_else(|| budget.lacks(load));
            lack.map(|lack| (*at, lack))
        })
    }
    /// Whether a seat fits once all visits are over.
    pub(super) fn comes(&self, budgets: &[Budget], seat: &Seat) -> bool {
        seat.above.iter().all(|at| budgets[*at].lacks(self.kept[*at].plus(budgets[*at].load(seat))).is_none())
    }
    /// Nobody else is to take room there.
    pub(super) fn block(&mut self, at: usize, lack: Lack) {
        self.blocked[at] = Some(lack);
    }
    pub(super) fn carries(&self, at: usize, budget: &Budget, waiting: usize) -> Carries {
        Carries {
            id: budget.id.clone(),
            sessions: self.occupied[at].sessions,
            most_sessions: budget.sessions,
            bits: self.occupied[at].bits,
            most_bits: budget.bits,
            waiting,
        }
    }
}

fn add(loads: &mut [Load], budgets: &[Budget], seat: &Seat) {
    for at in &seat.above {
        loads[*at] = loads[*at].plus(budgets[*at].load(seat));
    }
}

/// Decides which continuous cameras keep their session: the heaviest, as long as every upstream above them has room for them and,
/// where anybody takes turns behind it, for the largest of those.
pub(super) fn hold(budgets: &[Budget], seats: &mut BTreeMap<CameraId, Seat>) {
    let mut continuous: Vec<(f64, CameraId)> = Vec::new();
    let mut turns: BTreeSet<CameraId> = BTreeSet::new();
    for (id, seat) in seats.iter_mut() {
        (seat.holds, seat.crowded_out) = (false, None);
        match seat.acquire {
            Acquire::Continuous => continuous.push((seat.weight, id.clone())),
            Acquire::Patrol { .. } => drop(turns.insert(id.clone())),
            // Somebody may ask, and may be told that there is no room.
            Acquire::OnRequest => {}
        }
    }
    continuous.sort_by(|a, b| heavier((a.0, &a.1), (b.0, &b.1)));
    // Whoever is crowded out takes turns as well, which takes room: until nobody is any more.
    loop {
        let mut left = vec![Load::default(); budgets.len()];
        for seat in turns.iter().filter_map(|id| seats.get(id)) {
            for at in &seat.above {
                let one = budgets[*at].load(seat);
                left[*at] = Load { sessions: 1, bits: left[*at].bits.max(one.bits) };
            }
        }
        let before = turns.len();
        for (_, id) in &continuous {
            if turns.contains(id) {
                continue;
            }
            let Some(seat) = seats.get_mut(id) else { continue };
            seat.holds = true;
            let lack = seat.above.iter().find_map(|at| {
                let load = left[*at].plus(budgets[*at].load(seat));
                budgets[*at].lacks(load).map(|lack| (*at, lack))
            });
            seat.holds = lack.is_none();
            match lack {
                Some(_) => {
                    seat.crowded_out = lack;
                    turns.insert(id.clone());
                }
                None => add(&mut left, budgets, seat),
            }
        }
        if turns.len() == before {
            return;
        }
    }
}
