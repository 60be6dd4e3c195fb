use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const ROOM: Room = Room { count: 256, bytes: u64::MAX };

/// What a batch takes out of queues that hold these sizes: of each how many.
fn taken(sizes: &[Vec<u64>; 6], room: Room) -> [usize; 6] {
    let mut heads: [VecDeque<(usize, usize)>; 6] = Default::default();
    for (queue, sizes) in sizes.iter().enumerate() {
        heads[queue] = (0..sizes.len()).map(|place| (queue, place)).collect();
    }
    let mut taken = [0; 6];
    let chosen = choose(heads, room, |(queue, place)| sizes[*queue][*place]);
    for (queue, place) in chosen {
        assert_eq!(place, taken[queue], "a queue gives its first ones, in order");
        taken[queue] += 1;
    }
    taken
}

proptest! {
    #[test]
    fn a_batch_is_full_fair_and_within_its_room(
        sizes in proptest::array::uniform6(proptest::collection::vec(1_u64..2000, 0..400)),
        bytes in 2000_u64..400_000,
    ) {
        let taken_all = taken(&sizes, ROOM);
        let waiting: usize = sizes.iter().map(Vec::len).sum();
        prop_assert_eq!(taken_all.iter().sum::<usize>(), waiting.min(ROOM.count));
        for (taken, sizes) in taken_all.iter().zip(&sizes) {
            prop_assert!(*taken >= sizes.len().min(ROOM.share()));
        }
        // Short of bytes: no queue that has something is left out, as long as there is room for one of each.
        let taken = taken(&sizes, Room { bytes, ..ROOM });
        let used: u64 = sizes.iter().zip(taken).map(|(sizes, taken)| sizes[..taken].iter().sum::<u64>()).sum();
        prop_assert!(used <= bytes);
        if bytes >= 6 * 2000 {
            prop_assert!(taken.iter().zip(&sizes).all(|(taken, sizes)| *taken > 0 || sizes.is_empty()));
        }
    }
}

#[test]
fn one_that_is_larger_than_a_batch_goes_alone() {
    let mut sizes: [Vec<u64>; 6] = Default::default();
    sizes[3] = vec![500, 1];
    assert_eq!(taken(&sizes, Room { bytes: 100, ..ROOM }), [0, 0, 0, 1, 0, 0]);
}

/// Batches in which the backlog drains while live states come.
#[derive(Default)]
struct Town {
    queues: [VecDeque<u32>; 6],
    /// Live states that have not been sent, and the batch they came before.
    born: BTreeMap<u32, u32>,
    sent: BTreeSet<u32>,
    next: u32,
}

impl Town {
    fn comes(&mut self, queue: usize, batch: u32) {
        self.queues[queue].push_back(self.next);
        if !QUEUES[queue].backlog {
            self.born.insert(self.next, batch);
        }
        self.next += 1;
    }
    /// Sends one batch; the longest that a live state of it has waited, in batches.
    fn send(&mut self, batch: u32) -> u32 {
        let heads = self.queues.each_ref().map(|queue| queue.iter().take(ROOM.count).copied().collect());
        let mut age = 0;
        for one in choose(heads, ROOM, |_| 1) {
            let queue = self.queues.iter_mut().find(|queue| queue.front() == Some(&one));
            queue.expect("each queue is sent in its order").pop_front();
            assert!(self.sent.insert(one), "{one} is sent twice");
            age = age.max(self.born.remove(&one).map_or(0, |born| batch - born));
        }
        age
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn live_states_go_with_the_next_batch_while_a_backlog_of_50_000_drains(
        lanes in proptest::collection::vec(0_usize..3, 100),
        critical in proptest::collection::vec(0_u32..=90, 20),
        others in proptest::collection::vec((0_u32..=32, 0_u32..=32), 20),
    ) {
        let mut town = Town::default();
        for one in 0..50_000 {
            town.comes(lanes[one % lanes.len()] * 2 + 1, 0);
        }
        let backlog = |town: &Town| [1, 3, 5].iter().map(|queue| town.queues[*queue].len()).sum::<usize>();
        let mut batch = 0;
        while backlog(&town) > 0 {
            batch += 1;
            let turn = batch as usize % 20;
            for (queue, count) in [(0, critical[turn]), (2, others[turn].0), (4, others[turn].1)] {
                (0..count).for_each(|_| town.comes(queue, batch));
            }
            prop_assert_eq!(town.send(batch), 0, "a live state waited for the backlog");
            // 96 of each batch are the backlog's, a third of them each lane's.
            prop_assert!(batch <= 50_000 / 32, "{} of the backlog are left", backlog(&town));
        }
        prop_assert_eq!(town.sent.len(), town.next as usize, "nothing is lost");
    }
}
