//! How many look workers a town needs.

use std::time::Duration;

use super::{
    Costs, Mix,
    tally::Tally,
    town::{self, Options},
};

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The fewest workers that keep all floors that can be kept.
    pub(super) workers: usize,
    /// The town with far more than enough.
    pub(super) plenty: Tally,
}

/// Tries numbers of workers on short stretches of time. All have the same chances, so that one differs from the next by its
/// workers only.
pub(super) fn workers_for(mix: &Mix, costs: &Costs, options: Options) -> Found {
    let longest = mix.types.iter().flat_map(|one| &one.need.floors).map(|floor| floor.blind_max).max();
    let time = (longest.unwrap_or_default() * 4).max(Duration::from_secs(120)).min(options.time);
    let tried = |workers: usize| town::live(mix, costs, Options { workers, time, ..options });
    // Far more than enough shows what no number of workers can keep, and how much work there is.
    let mut most = estimate(mix, costs, options.cameras);
    let mut plenty = tried(most);
    while plenty.utilisation(most) > 0.6 && most < options.cameras {
        most *= 2;
        plenty = tried(most);
    }
    let out_of_reach = plenty.breached();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of workers")]
    let mut too_few = (plenty.utilisation(most) * most as f64).floor() as usize;
    let mut enough = most;
    // To one in a hundred.
    while enough - too_few > (enough / 100).max(1) {
        let middle = too_few + (enough - too_few) / 2;
        if tried(middle).breached() <= out_of_reach { enough = middle } else { too_few = middle }
    }
    Found { workers: enough, plenty }
}

/// Twice the workers that looks at the pace of the floors would take.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of workers")]
fn estimate(mix: &Mix, costs: &Costs, cameras: usize) -> usize {
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
    let workers = each.sum::<f64>() * cameras as f64;
    (workers * 2.0).ceil().max(1.0) as usize + 1
}
