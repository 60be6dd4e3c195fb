//! SSD as TensorFlow's detection zoo exports it, decoded in the graph but not suppressed: a table of scores and a table
//! of boxes, one row an anchor; boxes are ymin, xmin, ymax, xmax as shares of the input.

use std::slice::ChunksExact;

use super::Found;
use crate::preprocess::Placed;

type Table<'a> = (usize, ChunksExact<'a, f32>);

pub(super) fn decode(
    ((score_columns, scores), (box_columns, boxes)): (Table<'_>, Table<'_>),
    first_class: usize,
    (width, height): (f32, f32),
    placed: &Placed,
    found: &mut Found<'_>,
) -> Result<(), String> {
    found.check_classes(score_columns, first_class)?;
    if box_columns != 4 || boxes.len() != scores.len() {
        return Err(format!(
            "{} boxes of {box_columns} numbers for {} rows of scores",
            boxes.len(),
            scores.len()
        ));
    }
    for (scores, corners) in scores.zip(boxes) {
        for (class, score) in scores[first_class..].iter().enumerate() {
            if *score >= found.floor
                && let Some(meaning) = found.meaning(class)
                && let &[y0, x0, y1, x1] = corners
            {
                found.push(meaning, *score, placed.rect(x0 * width, y0 * height, x1 * width, y1 * height));
            }
        }
    }
    Ok(())
}
