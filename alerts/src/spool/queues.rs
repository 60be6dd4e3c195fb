//! Which of what waits in a spool goes next.
//!
//! What waited when the bus came back is the backlog; alerts raised from then on are live. Each lane has a queue of either,
//! so that no fresh alert waits behind an outage, and no outage's alerts behind fresh ones: every queue is sure of a share
//! of each batch, and what is left goes by urgency. All states of one alert stand in one queue, in the order of their
//! spooling, so that no revision overtakes another.

use std::collections::VecDeque;

use xueliang_base::kind::Lane;

/// One queue of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Of the most urgent state of its alerts that waits.
    pub(crate) lane: Lane,
    /// Whether its alerts waited already when the bus came back.
    pub(crate) backlog: bool,
}

/// All queues, the most urgent first.
pub(crate) const QUEUES: [Queue; 6] = [
    Queue { lane: Lane::Critical, backlog: false },
    Queue { lane: Lane::Critical, backlog: true },
    Queue { lane: Lane::Major, backlog: false },
    Queue { lane: Lane::Major, backlog: true },
    Queue { lane: Lane::Minor, backlog: false },
    Queue { lane: Lane::Minor, backlog: true },
];

/// How much a batch may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) count: usize,
    /// Of states, each a few KiB; the first is taken whatever it is.
    pub(crate) bytes: u64,
}

impl Room {
    /// States of a batch that every queue is sure of: three quarters of it are given away so, the rest goes by urgency.
    fn share(self) -> usize {
        (self.count / 8).max(1)
    }
}

/// Chooses a batch from the heads of the queues, in their order. `size` is the bytes of one.
pub(crate) fn choose<T>(mut heads: [VecDeque<T>; 6], room: Room, size: impl Fn(&T) -> u64) -> Vec<T> {
    let mut chosen: [Vec<T>; 6] = Default::default();
    let (mut count, mut bytes) = (0, 0);
    let mut take = |queue: usize| {
        let Some(next) = heads[queue].front().map(&size) else { return false };
        let fits = count == 0 || count < room.count && bytes + next <= room.bytes;
        if fits && let Some(one) = heads[queue].pop_front() {
            (count, bytes) = (count + 1, bytes + next);
            chosen[queue].push(one);
        }
        fits
    };
    // In turns, so that where bytes are short they are short for all.
    for _ in 0..room.share() {
        for queue in 0..QUEUES.len() {
            take(queue);
        }
    }
    for queue in 0..QUEUES.len() {
        while take(queue) {}
    }
    chosen.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
