//! CenterNet (Zhou et al. 2019, arXiv:1904.07850), decoded in the graph: rows of x1, y1, x2, y2 in pixels of the input,
//! score, class. Unused rows have a low score.

use super::Found;
use crate::preprocess::Placed;

pub(super) fn decode(
    (columns, rows): (usize, std::slice::ChunksExact<'_, f32>),
    placed: &Placed,
    found: &mut Found<'_>,
) -> Result<(), String> {
    if columns != 6 {
        return Err(format!("rows of {columns} numbers, 6 are needed"));
    }
    for row in rows {
        let &[x0, y0, x1, y1, score, class] = row else { continue };
        if score < found.floor {
            continue;
        }
        let listed = found.classes.len();
        if class < 0.0 || class.round() >= listed as f32 {
            return Err(format!(
                "class {class} in the output, the manifest lists {listed}: list every index"
            ));
        }
        if let Some(meaning) = found.meaning(class.round() as usize) {
            found.push(meaning, score, placed.rect(x0, y0, x1, y1));
        }
    }
    Ok(())
}
