//! One moment for each of many places, and whose comes first: setting, changing and taking one costs the same for any number of
//! places. Half a minute is cut into slots, as many as there are places, that lie in a ring; a slot is a list that goes through
//! its places.

use xueliang_base::time::Mono;

/// What the ring spans, in nanoseconds: moments beyond wait in the last slot, and are put in again when it comes.
const SPAN_BITS: u32 = 35;
const LEAST_SLOTS: usize = 64;
const MOST_SLOTS: usize = 1 << 15;
const NONE: u32 = u32::MAX;

/// The moments of places 0 to n.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Times are counted in slots: a moment's is its nanoseconds without so many bits.
    shift: u32,
    /// The one before which nothing is left.
    tick: u64,
    /// The first place of each slot.
    slots: Vec<u32>,
    /// A bit a slot: whether it has any.
    filled: Vec<u64>,
    places: Vec<Place>,
    count: usize,
    /// The first of all, where that is known.
    first: Option<(Mono, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its own moment; it stands in the slot of that, or of the last one there was room for.
    at: Option<Mono>,
    slot: u32,
    before: u32,
    after: u32,
}

impl Moments {
    /// None of them has one yet.
    pub fn new(places: usize) -> Self {
        let slots = places.next_power_of_two().clamp(LEAST_SLOTS, MOST_SLOTS);
        let nowhere = Place { at: None, slot: NONE, before: NONE, after: NONE };
        Self {
            shift: SPAN_BITS - slots.ilog2(),
            tick: 0,
            slots: vec![NONE; slots],
            filled: vec![0; slots / 64],
            places: vec![nowhere; places],
            count: 0,
            first: None,
        }
    }
    fn tick_of(&self, at: Mono) -> u64 {
        at.0 >> self.shift
    }
    fn turn(&self) -> u64 {
        self.slots.len() as u64
    }
    fn slot(&self, tick: u64) -> usize {
        (tick % self.turn()) as usize
    }
    /// Gives the place another moment, or none.
    pub fn set(&mut self, place: usize, at: Option<Mono>) {
        if self.places[place].at == at {
            return;
        }
        self.take_out(place);
        if let Some(at) = at {
            self.put_in(place, at);
            if self.count == 1 || self.first.is_some_and(|first| (at, place) < first) {
                self.first = Some((at, place));
            }
        }
    }
    /// The first moment of all.
    pub fn first(&mut self) -> Option<Mono> {
        self.find_first().map(|(at, _)| at)
    }
    /// Takes the first of all, if it is not after this moment; no later one is asked for with an earlier one.
    pub fn take(&mut self, now: Mono) -> Option<(Mono, usize)> {
        let first = self.find_first().filter(|(at, _)| *at <= now);
        match first {
            Some((_, place)) => self.take_out(place),
            None => self.pass(self.tick_of(now)),
        }
        first
    }
    fn find_first(&mut self) -> Option<(Mono, usize)> {
        if self.first.is_none() && self.count > 0 {
            let mut from = self.tick;
            let end = self.tick + self.turn();
            while let Some(tick) = self.next_filled(from).filter(|tick| *tick < end)
                && self.first.is_none_or(|(at, _)| tick <= self.tick_of(at))
            {
                let mut place = self.slots[self.slot(tick)];
                while let Some(Place { at: Some(at), after, .. }) = self.places.get(place as usize).copied() {
                    let other = (at, place as usize);
                    self.first = Some(self.first.map_or(other, |first| first.min(other)));
                    place = after;
                }
                from = tick + 1;
            }
        }
        self.first
    }
    /// Nothing is left before this tick.
    fn pass(&mut self, to: u64) {
        if to <= self.tick {
            return;
        }
        let mut from = std::mem::replace(&mut self.tick, to);
        let end = to.min(from + self.turn());
        // Those for which there was no room.
        while let Some(tick) = self.next_filled(from).filter(|tick| *tick < end) {
            let mut place = self.slots[self.slot(tick)];
            while let Some(Place { at: Some(at), after, .. }) = self.places.get(place as usize).copied() {
                self.take_out(place as usize);
                self.put_in(place as usize, at);
                place = after;
            }
            from = tick + 1;
        }
    }
    /// The first tick of a turn from this one that has something.
    fn next_filled(&self, from: u64) -> Option<u64> {
        let (word, bit, words) = (from / 64, from % 64, self.turn() / 64);
        // The word it begins in comes once more at the end, for what lies before it there.
        (0..=words).find_map(|step| {
            let bits = self.filled[((word + step) % words) as usize];
            let bits = if step == 0 { bits >> bit << bit } else { bits };
            (bits != 0).then(|| (word + step) * 64 + u64::from(bits.trailing_zeros()))
        })
    }
    fn put_in(&mut self, place: usize, at: Mono) {
        let slot = self.slot(self.tick_of(at).clamp(self.tick, self.tick + self.turn() - 1));
        let after = std::mem::replace(&mut self.slots[slot], place as u32);
        if let Some(after) = self.places.get_mut(after as usize) {
            after.before = place as u32;
        }
        self.filled[slot / 64] |= 1 << (slot % 64);
        self.places[place] = Place { at: Some(at), slot: slot as u32, before: NONE, after };
        self.count += 1;
    }
    fn take_out(&mut self, place: usize) {
        let Place { at, slot, before, after } = self.places[place];
        if at.is_none() {
            return;
        }
        self.places[place].at = None;
        self.count -= 1;
        if self.first.is_some_and(|(_, first)| first == place) {
            self.first = None;
        }
        if let Some(after) = self.places.get_mut(after as usize) {
            after.before = before;
        }
        match self.places.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => {
                self.slots[slot as usize] = after;
                if after == NONE {
                    self.filled[(slot / 64) as usize] &= !(1 << (slot % 64));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn they_come_in_their_order_as_from_a_sorted_set_however_far_apart_they_lie() {
        for (seed, apart_ms) in [1_u64, 40, 3000, 200_000].into_iter().enumerate() {
            let mut dice = SmallRng::seed_from_u64(seed as u64);
            let mut now = Mono(1_000_000_000_123);
            let mut moments = Moments::new(50);
            let mut plain: BTreeSet<(Mono, usize)> = BTreeSet::new();
            let mut taken = 0;
            for step in 0..20_000 {
                for _ in 0..dice.random_range(0..4) {
                    let place = dice.random_range(0..50);
                    let nanos = Duration::from_nanos(dice.random_range(0..apart_ms * 10_000_000));
                    // Some lie in the past.
                    let at = [now.plus(nanos), now.minus(nanos), now.plus(Duration::from_nanos(1))];
                    let at = dice.random_bool(0.8).then(|| at[dice.random_range(0..8_usize) % 7 % 3]);
                    moments.set(place, at);
                    plain.retain(|(_, other)| *other != place);
                    plain.extend(at.map(|at| (at, place)));
                }
                if dice.random_bool(0.5) {
                    assert_eq!(moments.first(), plain.first().map(|(at, _)| *at), "step {step}");
                }
                now = now.plus(Duration::from_nanos(dice.random_range(0..apart_ms * 1_000_000)));
                loop {
                    let expected = plain.first().copied().filter(|(at, _)| *at <= now);
                    assert_eq!(moments.take(now), expected, "seed {seed}, step {step}");
                    let Some(expected) = expected else { break };
                    plain.remove(&expected);
                    taken += 1;
                }
            }
            assert!(taken > 5000, "{taken}");
        }
    }
}
