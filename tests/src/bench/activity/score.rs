//! How well a signal tells what moves from what does not, and the simple signal that ours is compared with.

use std::collections::VecDeque;

use xueliang_ingest::activity::{Coding, Facts};

/// Values of a signal, and whether something moved.
pub type Scored = Vec<(f64, bool)>;

/// Area under the receiver operating characteristic: the probability that a moved moment exceeds a still one.
pub fn auc(scored: &Scored) -> f64 {
    let mut sorted = scored.clone();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won) = (0.0, 0.0);
    let mut rest = &sorted[..];
    while let Some((value, _)) = rest.first() {
        // Equal values win half.
        let equal = rest.partition_point(|(other, _)| other <= value);
        let moved = rest[..equal].iter().filter(|(_, moved)| *moved).count() as f64;
        let still = equal as f64 - moved;
        won += moved * (below + still / 2.0);
        below += still;
        rest = &rest[equal..];
    }
    let moved = sorted.len() as f64 - below;
    won / (moved * below)
}

/// Share of all moments at which a signal that finds `recall` of the moved ones is awake.
pub fn wake_share(scored: &Scored, recall: f64) -> f64 {
    let mut moved: Vec<f64> = scored.iter().filter(|(_, moved)| *moved).map(|(value, _)| *value).collect();
    moved.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the values")]
    let missed = (moved.len() as f64 * (1.0 - recall)) as usize;
    let Some(threshold) = moved.get(missed) else { return f64::NAN };
    let awake = scored.iter().filter(|(value, _)| value >= threshold).count();
    awake as f64 / scored.len() as f64
}

/// The logarithm of the mean size of the predicted pictures of 0.4 s over the 20th percentile of those means in the
/// past minute; with or without `2^((QP - 26) / 6)`.
pub struct Simple {
    with_qp: bool,
    hz: f64,
    costs: VecDeque<f64>,
    means: VecDeque<f64>,
    last: Option<f64>,
}

impl Simple {
    pub fn new(with_qp: bool, hz: f64) -> Self {
        Self { with_qp, hz, costs: VecDeque::new(), means: VecDeque::new(), last: None }
    }
    /// The signal after that picture; `None` before the first predicted one.
    pub fn push(&mut self, facts: Facts, all_intra: bool) -> Option<f64> {
        if facts.coding == Coding::Intra && !all_intra {
            return self.last;
        }
        let qp = facts.qp.filter(|_| self.with_qp).map_or(26.0, f64::from);
        let cost = f64::from(facts.bytes) * ((qp - 26.0) / 6.0).exp2();
        let mean = keep(&mut self.costs, cost, 0.4 * self.hz);
        let mean = mean.iter().sum::<f64>() / mean.len() as f64;
        let mut past: Vec<f64> = keep(&mut self.means, mean, 60.0 * self.hz).iter().copied().collect();
        past.sort_by(f64::total_cmp);
        self.last = Some((mean / past[(past.len() - 1) / 5]).log2());
        self.last
    }
}

fn keep(values: &mut VecDeque<f64>, value: f64, most: f64) -> &VecDeque<f64> {
    values.push_back(value);
    while values.len() as f64 > most.round().max(1.0) {
        values.pop_front();
    }
    values
}

#[cfg(test)]
mod tests {
    use super::{auc, wake_share};

    #[test]
    fn a_perfect_signal_scores_one_and_a_constant_one_half() {
        let perfect = vec![(2.0, true), (1.0, false), (3.0, true), (0.0, false)];
        assert!((auc(&perfect) - 1.0).abs() < 1e-9);
        assert!((wake_share(&perfect, 0.99) - 0.5).abs() < 1e-9);
        let constant = vec![(1.0, true), (1.0, false), (1.0, false)];
        assert!((auc(&constant) - 0.5).abs() < 1e-9);
        assert!((wake_share(&constant, 0.99) - 1.0).abs() < 1e-9);
    }
}
