//! The view no longer matches its reference: the camera was turned, knocked or replaced.
//!
//! The measure is the normalised cross-correlation of the edges of two coarse copies, the best of shifts by up to one
//! cell (wind), or the first above 0.6: near 1 for the same view, 0.3 to 0.8 over changes of light and season, within 0.15 of 0 for another view.
//! 0.25 is a good bound.
//! Tells: that most edges are elsewhere, for as long as the debounce and the dwell ask.
//! Cannot tell: a tilt below one cell (1 % of the picture); a turn towards a scene with the same edges; in the dark or
//! under a cover it says `NotLooked(Blind)`. Changes that come within minutes (dusk) are followed, so a camera that
//! sags by little each day is not found.

use std::sync::Arc;

use xueliang_base::{
    incident::MeasureKind,
    look::{NotLooked, Thumbnail},
};

use super::Finding;
use crate::analyst::lens::PictureState;

const W: usize = Thumbnail::WIDTH;
const H: usize = Thumbnail::HEIGHT;
/// Gradients below this are noise, in luma steps.
const NOISE: f32 = 1.5;
/// No other view comes near this.
const CLEAR: f32 = 0.6;

/// The edges of a coarse copy.
#[derive(Debug, Clone)]
pub(crate) struct Edges {
    /// Horizontal and vertical, square roots of magnitudes with their signs: one lamp must not outweigh a street.
    /// Shared between copies: a journal keeps some.
    cells: Arc<[[f32; 2]]>,
}

impl Edges {
    pub(crate) fn of(cells: &[u8]) -> Self {
        let mut smooth = vec![0.0f32; W * H];
        for y in 1..H - 1 {
            for x in 1..W - 1 {
                let mut sum = 0u32;
                for row in [y - 1, y, y + 1] {
                    for column in [x - 1, x, x + 1] {
                        sum += u32::from(cells[row * W + column]);
                    }
                }
                #[expect(clippy::cast_precision_loss, reason = "at most 9 * 255")]
                let mean = sum as f32 / 9.0;
                smooth[y * W + x] = mean;
            }
        }
        let compress = |g: f32| if g.abs() < NOISE { 0.0 } else { g.signum() * g.abs().sqrt() };
        let mut edges = vec![[0.0; 2]; W * H];
        for y in 2..H - 2 {
            for x in 2..W - 2 {
                let i = y * W + x;
                edges[i] = [compress(smooth[i + 1] - smooth[i - 1]), compress(smooth[i + W] - smooth[i - W])];
            }
        }
        Self { cells: edges.into() }
    }
    /// -1..=1; `None` where either has next to no edges.
    pub(crate) fn similarity(&self, other: &Edges) -> Option<f32> {
        let mut best: Option<f32> = None;
        for (dy, dx) in [(1, 1), (0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)] {
            let (mut ab, mut aa, mut bb) = (0.0f32, 0.0f32, 0.0f32);
            for y in 3..H - 3 {
                let (from, shifted) = (y * W, (y + dy - 1) * W);
                for x in 3..W - 3 {
                    let (a, b) = (self.cells[from + x], other.cells[shifted + x + dx - 1]);
                    ab += a[0] * b[0] + a[1] * b[1];
                    aa += a[0] * a[0] + a[1] * a[1];
                    bb += b[0] * b[0] + b[1] * b[1];
                }
            }
            // Fewer than some 20 cells with an edge are no view.
            if aa > 40.0 && bb > 40.0 {
                let ncc = ab / (aa * bb).sqrt();
                best = Some(best.map_or(ncc, |best: f32| best.max(ncc)));
                // Clearly the same view: another shift would change nothing, and most looks end here.
                if ncc >= CLEAR {
                    return best;
                }
            }
        }
        best
    }
}

pub(super) fn judge(picture: &PictureState, min_match: f32) -> Option<Finding> {
    if picture.frozen {
        return Some(Finding::not_looked(NotLooked::Frozen));
    }
    if picture.blind {
        return Some(Finding::not_looked(NotLooked::Blind));
    }
    // Before there is a reference there is nothing to match.
    let found = picture.similarity?;
    Some(Finding::of(found < min_match).measure(MeasureKind::ViewMatch, f64::from(found)))
}
