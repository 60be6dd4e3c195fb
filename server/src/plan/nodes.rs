//! Nodes, each with its share of the cameras, its own workers and its own scheduler: nothing passes between them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    Costs, Mix,
    tally::Tally,
    town::{self, Options},
};

/// Lets each of so many nodes live, as many at once as there are cores. `options` says the cameras of all, and the workers of each.
pub(super) fn live(mix: &Mix, costs: &Costs, options: Options, nodes: usize) -> Tally {
    let (share, more) = (options.cameras / nodes, options.cameras % nodes);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let node = next.fetch_add(1, Ordering::Relaxed);
            if node >= nodes {
                return done;
            }
            let cameras = share + usize::from(node < more);
            let seed = options.seed.wrapping_add(node as u64);
            done.push((node, town::live(mix, costs, Options { cameras, seed, ..options })));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut tallies: Vec<(usize, Tally)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(nodes)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a town that lives to its end")).collect()
    });
    // The same sums whoever was done first.
    tallies.sort_by_key(|(node, _)| *node);
    tallies.into_iter().map(|(_, tally)| tally).reduce(Tally::and).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::costs::REFERENCE;

    #[test]
    fn nodes_live_as_each_would_alone() {
        let costs = Costs::parse(REFERENCE).unwrap();
        let mix = Mix::parse(include_str!("../../../docs/examples/town.toml"), &costs).unwrap();
        let options = Options { cameras: 250, workers: 1, time: Duration::from_secs(60), seed: 7 };
        let all = live(&mix, &costs, options, 3);
        let alone = |cameras, seed| town::live(&mix, &costs, Options { cameras, seed, ..options });
        let each = [alone(84, 7), alone(83, 8), alone(83, 9)];
        let sum = |of: fn(&Tally) -> u64| each.iter().map(of).sum::<u64>();
        let looks = |tally: &Tally| {
            tally.types.iter().map(|one| one.keyframe_looks + one.continued_looks).sum::<u64>()
        };
        let cameras = |tally: &Tally| tally.types.iter().map(|one| one.cameras).sum::<u64>();
        assert_eq!((looks(&all), cameras(&all)), (sum(looks), 250));
        assert_eq!(all.breached(), sum(Tally::breached));
        assert_eq!(all.busy, each.iter().map(|one| one.busy).sum::<Duration>());
        let longest = |tally: &Tally| tally.types[0].ages.longest();
        assert_eq!(longest(&all), each.iter().map(longest).max().unwrap());
    }
}
