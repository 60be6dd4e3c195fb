//! Connected parts of a coarse mask ([`Thumbnail`] cells).

use xueliang_base::{
    geometry::{Point, Rect},
    look::Thumbnail,
};

const W: usize = Thumbnail::WIDTH;
const H: usize = Thumbnail::HEIGHT;

/// Indices of the cells of one connected part.
pub(super) type Blob = Vec<usize>;

/// The 8-connected parts of a mask of `WIDTH * HEIGHT` cells, in reading order of their first cells.
pub(super) fn connected(mask: &[bool]) -> Vec<Blob> {
    let mut left = mask.to_vec();
    let mut blobs = Vec::new();
    for start in 0..W * H {
        if !left[start] {
            continue;
        }
        left[start] = false;
        let mut blob = vec![start];
        let mut next = 0;
        while let Some(cell) = blob.get(next).copied() {
            next += 1;
            for neighbour in neighbours(cell) {
                if left[neighbour] {
                    left[neighbour] = false;
                    blob.push(neighbour);
                }
            }
        }
        blob.sort_unstable();
        blobs.push(blob);
    }
    blobs
}

/// The up to eight cells around one.
pub(super) fn neighbours(cell: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (cell % W, cell / W);
    (y.saturating_sub(1)..=(y + 1).min(H - 1))
        .flat_map(move |row| (x.saturating_sub(1)..=(x + 1).min(W - 1)).map(move |column| row * W + column))
        .filter(move |other| *other != cell)
}

/// The middle of a cell.
pub(super) fn middle(cell: usize) -> Point {
    Point::new((small(cell % W) + 0.5) / small(W), (small(cell / W) + 0.5) / small(H))
}

/// The rectangle around a part.
pub(super) fn bounds(blob: &[usize]) -> Rect {
    let (mut x0, mut y0, mut x1, mut y1) = (W, H, 0, 0);
    for cell in blob {
        (x0, x1) = (x0.min(cell % W), x1.max(cell % W + 1));
        (y0, y1) = (y0.min(cell / W), y1.max(cell / W + 1));
    }
    Rect::new(small(x0) / small(W), small(y0) / small(H), small(x1) / small(W), small(y1) / small(H))
}

/// The share of the picture that a number of cells covers.
pub(super) fn share(cells: usize) -> f32 {
    small(cells) / small(W * H)
}

#[expect(clippy::cast_precision_loss, reason = "at most 5184")]
fn small(n: usize) -> f32 {
    n as f32
}
