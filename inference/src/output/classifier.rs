//! Classifiers: one logit a class for the whole of what the model was shown. The detection's rectangle is that part of
//! the picture: a tile, or the frame.

use super::Found;
use crate::{model::Activation, preprocess::Placed};

pub(super) fn decode(
    (columns, mut rows): (usize, std::slice::ChunksExact<'_, f32>),
    activation: Activation,
    placed: &Placed,
    found: &mut Found<'_>,
) -> Result<(), String> {
    found.check_classes(columns, 0)?;
    let (Some(logits), 0) = (rows.next(), rows.len()) else {
        return Err("more than one row of logits; batch 1 is needed".to_owned());
    };
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|v| (v - most).exp()).sum();
    for (class, logit) in logits.iter().enumerate() {
        let score = match activation {
            Activation::Sigmoid { negated: false } => 1.0 / (1.0 + (-logit).exp()),
            // 1 - sigmoid(x) = sigmoid(-x), without losing the digits near 1.
            Activation::Sigmoid { negated: true } => 1.0 / (1.0 + logit.exp()),
            Activation::Softmax => (logit - most).exp() / sum,
        };
        if score >= found.floor
            && let Some(meaning) = found.meaning(class)
        {
            found.push(meaning, score, Some(placed.part));
        }
    }
    Ok(())
}
