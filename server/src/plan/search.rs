//! How many nodes a town needs, and how many look workers each of them.

use std::time::Duration;

use super::{Costs, Mix, nodes, tally::Tally, town::Options};

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The fewest workers of a node that keep all floors that can be kept.
    pub(super) workers: usize,
    /// The town with far more than enough.
    pub(super) plenty: Tally,
}

/// A town with far more workers than enough, and how many each node has: it shows what no number of workers can keep, and how
/// much work there is.
pub(super) fn plenty(mix: &Mix, costs: &Costs, options: Options, nodes: usize) -> (usize, Tally) {
    let mut workers = estimate(mix, costs, options.cameras as f64 / nodes as f64);
    loop {
        let tally = nodes::live(mix, costs, Options { workers, ..options }, nodes);
        if tally.utilisation(workers * nodes) <= 0.6 || workers >= options.cameras {
            return (workers, tally);
        }
        workers *= 2;
    }
}

/// Some minutes, in which each floor comes about several times.
pub(super) fn stretch(mix: &Mix, time: Duration) -> Duration {
    let longest = mix.types.iter().flat_map(|one| &one.need.floors).map(|floor| floor.blind_max).max();
    (longest.unwrap_or_default() * 4).max(Duration::from_secs(120)).min(time)
}

/// Tries numbers of workers on short stretches of time. All have the same chances, so that one differs from the next by its
/// workers only.
pub(super) fn workers_for(mix: &Mix, costs: &Costs, options: Options, nodes: usize) -> Found {
    let options = Options { time: stretch(mix, options.time), ..options };
    let tried = |workers: usize| nodes::live(mix, costs, Options { workers, ..options }, nodes);
    let (most, plenty) = plenty(mix, costs, options, nodes);
    let out_of_reach = plenty.breached();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of workers")]
    let mut too_few = (plenty.utilisation(most * nodes) * most as f64).floor() as usize;
    let mut found = most;
    // To one in a hundred.
    while found - too_few > (found / 100).max(1) {
        let middle = too_few + (found - too_few) / 2;
        if tried(middle).breached() <= out_of_reach { found = middle } else { too_few = middle }
    }
    Found { workers: found, plenty }
}

/// Twice the workers that looks at the pace of the floors would take.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of workers")]
fn estimate(mix: &Mix, costs: &Costs, cameras: f64) -> usize {
    let infer = costs.model.iter().map(|model| model.infer.mean_us).fold(0.0, f64::max);
    let each = mix.types.iter().map(|one| {
        let floors = &one.need.floors;
        let Some(interval) = floors.iter().map(|floor| floor.blind_max.as_secs_f64()).reduce(f64::min) else {
            return 0.0;
        };
        let Some(decode) = costs.decoding(one.codec, one.width, one.height) else { return 0.0 };
        let pixels = costs.pixels(one.width, one.height);
        let continued = floors.iter().any(|floor| floor.continued);
        let decode_us =
            if continued { decode.unit.mean_us * one.fps * interval } else { decode.keyframe.mean_us };
        let seen = floors.iter().filter(|floor| !floor.models.is_empty());
        let inferred = seen.map(|floor| interval / floor.blind_max.as_secs_f64()).fold(0.0, f64::max);
        let us = costs.worker.hop.mean_us
            + pixels.scene.mean_us
            + decode_us
            + (pixels.prepare.mean_us + infer) * inferred;
        one.share * us / 1e6 / interval
    });
    (each.sum::<f64>() * cameras * 2.0).ceil().max(1.0) as usize + 1
}
