//! YOLOX (Ge et al. 2021, arXiv:2107.08430): one row a grid cell, strides 8, 16 and 32 one after the other, each row by
//! row. A row is x, y, log w, log h, objectness and the classes' scores; centre = (cell + xy) · stride, size =
//! exp(wh) · stride, score = objectness · class.

use super::Found;
use crate::preprocess::Placed;

const STRIDES: [u32; 3] = [8, 16, 32];

pub(super) fn decode(
    (columns, rows): (usize, std::slice::ChunksExact<'_, f32>),
    (width, height): (u32, u32),
    placed: &Placed,
    found: &mut Found<'_>,
) -> Result<(), String> {
    found.check_classes(columns, 5)?;
    let cells = STRIDES.into_iter().flat_map(|stride| {
        (0..height / stride)
            .flat_map(move |y| (0..width / stride).map(move |x| (x as f32, y as f32, stride as f32)))
    });
    let count: usize = STRIDES.iter().map(|s| (width / s) as usize * (height / s) as usize).sum();
    if rows.len() != count {
        return Err(format!(
            "the output has {} rows, an input of {width}x{height} needs {count}",
            rows.len()
        ));
    }
    for (row, (x, y, stride)) in rows.zip(cells) {
        let &[dx, dy, log_w, log_h, objectness, ref scores @ ..] = row else { continue };
        // No class can pass where the object itself does not.
        if objectness < found.floor {
            continue;
        }
        let (cx, cy) = ((x + dx) * stride, (y + dy) * stride);
        let (half_w, half_h) = (log_w.exp() * stride / 2.0, log_h.exp() * stride / 2.0);
        let rect = placed.rect(cx - half_w, cy - half_h, cx + half_w, cy + half_h);
        for (class, score) in scores.iter().enumerate() {
            let score = objectness * score;
            if score >= found.floor
                && let Some(meaning) = found.meaning(class)
            {
                found.push(meaning, score, rect);
            }
        }
    }
    Ok(())
}
