//! Sets of thumbnail cells, a row a word: what glances mark, grow and cut into parts.

use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not};

use xueliang_base::{
    geometry::{Point, Polygon, Rect},
    look::Thumbnail,
};

pub(super) const W: usize = Thumbnail::WIDTH;
pub(super) const H: usize = Thumbnail::HEIGHT;
/// Cells of a thumbnail.
pub(super) const CELLS: usize = W * H;
/// Bounds the time of cutting noise into parts.
const MOST_PARTS: usize = 100;
const ROW: u128 = (1 << W) - 1;

/// A set of cells of a [`Thumbnail`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cells([u128; H]);

impl Cells {
    /// None.
    pub const EMPTY: Cells = Cells([0; H]);
    /// All.
    pub const FULL: Cells = Cells([ROW; H]);

    /// A quarter: every second cell of every second row.
    pub(super) fn quarter() -> Self {
        let columns = (0..W).step_by(2).fold(0, |row, x| row | 1 << x);
        let mut cells = Self::EMPTY;
        cells.0.iter_mut().step_by(2).for_each(|row| *row = columns);
        cells
    }
    /// The cells whose middle lies in the polygon or through which its outline runs.
    pub fn of(polygon: &Polygon) -> Self {
        let mut cells = Self::EMPTY;
        for cell in 0..CELLS {
            if polygon.contains(middle(cell)) {
                cells.set(cell);
            }
        }
        let points = polygon.points();
        for (a, b) in points.iter().zip(points.iter().cycle().skip(1)) {
            // Half a cell a step: no cell is stepped over, at most a corner is cut.
            let steps = 2 * W;
            for step in 0..=steps {
                let t = small(step) / small(steps);
                cells.set(cell_at(Point::new(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t)));
            }
        }
        cells
    }
    /// The cells that a rectangle touches.
    pub fn of_rect(rect: &Rect) -> Self {
        let rect = rect.clamped();
        let (first, last) = (cell_at(Point::new(rect.x0, rect.y0)), cell_at(Point::new(rect.x1, rect.y1)));
        let mut cells = Self::EMPTY;
        let columns = ROW >> (W - 1 - (last % W - first % W)) << (first % W);
        cells.0[first / W..=last / W].fill(columns);
        cells
    }
    /// How many.
    pub fn count(&self) -> usize {
        self.0.iter().map(|row| row.count_ones() as usize).sum()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|row| *row == 0)
    }
    /// The share of the picture.
    pub fn share(&self) -> f32 {
        small(self.count()) / small(CELLS)
    }
    /// The rectangle around them; `None` where there are none.
    pub fn bounds(&self) -> Option<Rect> {
        let top = self.0.iter().position(|row| *row != 0)?;
        let bottom = self.0.iter().rposition(|row| *row != 0)? + 1;
        let columns = self.0.iter().fold(0, |all, row| all | row);
        let (left, right) = (columns.trailing_zeros() as usize, 128 - columns.leading_zeros() as usize);
        Some(Rect::new(
            small(left) / small(W),
            small(top) / small(H),
            small(right) / small(W),
            small(bottom) / small(H),
        ))
    }
    /// With all neighbours, corners too, so many times.
    #[must_use]
    pub fn grown(mut self, times: usize) -> Self {
        for _ in 0..times {
            let wide = self.0.map(|row| (row | row << 1 | row >> 1) & ROW);
            for y in 0..H {
                let above = if y > 0 { wide[y - 1] } else { 0 };
                let below = wide.get(y + 1).copied().unwrap_or(0);
                self.0[y] = above | wide[y] | below;
            }
        }
        self
    }
    /// The parts of `self`, connected over corners too, that hold a cell of `seeds`.
    #[must_use]
    pub fn reached_from(&self, seeds: &Cells) -> Self {
        let mut reached = *self & *seeds;
        loop {
            let before = reached;
            // Down, then up: a part without dents is done in one round.
            for y in (0..H).chain((0..H).rev()) {
                let above = if y > 0 { reached.0[y - 1] } else { 0 };
                let below = reached.0.get(y + 1).copied().unwrap_or(0);
                let from = above | reached.0[y] | below;
                reached.0[y] |= (from | from << 1 | from >> 1) & self.0[y];
            }
            if reached == before {
                return reached;
            }
        }
    }
    /// Without cells that have no neighbour, over corners neither.
    #[must_use]
    pub fn without_lone(&self) -> Self {
        let mut kept = *self;
        for y in 0..H {
            let above = if y > 0 { self.0[y - 1] } else { 0 };
            let below = self.0.get(y + 1).copied().unwrap_or(0);
            let around = above | below;
            let beside = self.0[y];
            kept.0[y] &= around | (around | beside) << 1 | (around | beside) >> 1;
        }
        kept
    }
    /// Without connected parts of fewer cells than `least`. Among very many parts the last are not looked at, and stay.
    #[must_use]
    pub fn without_specks(&self, least: usize) -> Self {
        let mut left = *self;
        let mut kept = Self::EMPTY;
        for _ in 0..MOST_PARTS {
            let Some(y) = left.0.iter().position(|row| *row != 0) else { break };
            let mut seed = Self::EMPTY;
            seed.0[y] = left.0[y] & left.0[y].wrapping_neg();
            let part = left.reached_from(&seed);
            if part.count() >= least {
                kept |= part;
            }
            left &= !part;
        }
        kept | left
    }
    /// All cells in reading order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(y, row)| {
            let mut left = *row;
            std::iter::from_fn(move || {
                let x = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (x < W).then_some(y * W + x)
            })
        })
    }
    /// Whether it holds the cell.
    pub fn has(&self, cell: usize) -> bool {
        self.0[cell / W] >> (cell % W) & 1 == 1
    }
    /// Adds a cell.
    pub fn set(&mut self, cell: usize) {
        self.0[cell / W] |= 1 << (cell % W);
    }
    /// The cells whose flag is 1, of flags that are 0 or 1.
    pub(super) fn from_flags(flags: &[u8]) -> Self {
        let mut cells = Self::EMPTY;
        for (row, flags) in cells.0.iter_mut().zip(flags.chunks_exact(W)) {
            for (at, eight) in flags.chunks_exact(8).enumerate() {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(eight);
                // Shifts the last bit of each byte to a place of its own in the highest one.
                let bits = u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
                *row |= u128::from(bits) << (8 * at);
            }
        }
        cells
    }
    /// A flag a cell.
    pub(super) fn flags(&self) -> Vec<u8> {
        self.0.iter().flat_map(|row| (0..W).map(move |x| u8::from(row >> x & 1 == 1))).collect()
    }
}

impl BitAnd for Cells {
    type Output = Self;
    fn bitand(mut self, other: Self) -> Self {
        self &= other;
        self
    }
}
impl BitAndAssign for Cells {
    fn bitand_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(row, other)| *row &= other);
    }
}
impl BitOr for Cells {
    type Output = Self;
    fn bitor(mut self, other: Self) -> Self {
        self |= other;
        self
    }
}
impl BitOrAssign for Cells {
    fn bitor_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(row, other)| *row |= other);
    }
}
impl Not for Cells {
    type Output = Self;
    fn not(self) -> Self {
        Self(self.0.map(|row| !row & ROW))
    }
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cells in {:?}", self.count(), self.bounds())
    }
}

fn middle(cell: usize) -> Point {
    Point::new((small(cell % W) + 0.5) / small(W), (small(cell / W) + 0.5) / small(H))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the picture")]
fn cell_at(point: Point) -> usize {
    let x = (point.x.clamp(0.0, 1.0) * small(W)) as usize;
    let y = (point.y.clamp(0.0, 1.0) * small(H)) as usize;
    y.min(H - 1) * W + x.min(W - 1)
}

#[expect(clippy::cast_precision_loss, reason = "at most 5184")]
pub(super) fn small(n: usize) -> f32 {
    n as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some(cells: &[usize]) -> Cells {
        let mut set = Cells::EMPTY;
        cells.iter().for_each(|cell| set.set(*cell));
        set
    }

    #[test]
    fn a_set_grows_over_corners_and_not_over_edges_of_the_picture() {
        assert_eq!(some(&[0]).grown(1), some(&[0, 1, W, W + 1]));
        assert_eq!(some(&[W - 1]).grown(1).count(), 4);
        assert_eq!(some(&[CELLS - 1]).grown(2).count(), 9);
        assert_eq!(Cells::FULL.grown(1), Cells::FULL);
        assert_eq!(some(&[5 * W + 5]).grown(1).count(), 9);
    }

    #[test]
    fn rectangles_and_polygons_mark_the_cells_they_touch() {
        assert_eq!(Cells::of_rect(&Rect::FULL), Cells::FULL);
        assert_eq!(Cells::of_rect(&Rect::new(0.5, 0.5, 0.5, 0.5)).count(), 1);
        assert_eq!(Cells::of_rect(&Rect::new(-3.0, f32::NAN, 9.0, 0.0)).count(), W);
        let half = Polygon::try_from(vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]).unwrap();
        // The edge at one half lies in the first column to its right.
        assert_eq!(Cells::of(&half).count(), 49 * H);
        // A sliver thinner than a cell is not lost.
        let sliver = Polygon::try_from(vec![[0.1, 0.501], [0.9, 0.501], [0.9, 0.504], [0.1, 0.504]]).unwrap();
        assert!(Cells::of(&sliver).count() >= 76);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn parts_are_what_a_plain_flood_fill_finds(
            marked in prop::collection::vec(0..CELLS, 0..1000),
            seeds in prop::collection::vec(0..CELLS, 0..40),
            least in 2usize..6,
        ) {
            let (set, seeds) = (some(&marked), some(&seeds));
            let neighbours = |cell: usize| {
                let (x, y) = (cell % W, cell / W);
                (y.saturating_sub(1)..=(y + 1).min(H - 1)).flat_map(move |row| {
                    (x.saturating_sub(1)..=(x + 1).min(W - 1)).map(move |column| row * W + column)
                })
            };
            let flood = |seed: usize, of: &Cells| {
                let mut part = Cells::EMPTY;
                let mut stack = vec![seed];
                while let Some(cell) = stack.pop() {
                    if of.has(cell) && !part.has(cell) {
                        part.set(cell);
                        stack.extend(neighbours(cell));
                    }
                }
                part
            };
            let (mut reached, mut social, mut large) = (Cells::EMPTY, Cells::EMPTY, Cells::EMPTY);
            let mut parts = std::collections::BTreeSet::new();
            for cell in set.iter() {
                let part = flood(cell, &set);
                if !(part & seeds).is_empty() {
                    reached |= part;
                }
                if part.count() > 1 {
                    social |= part;
                }
                if part.count() >= least {
                    large |= part;
                }
                parts.insert(part.iter().next());
            }
            prop_assert_eq!(set.reached_from(&seeds), reached);
            prop_assert_eq!(set.without_lone(), social);
            if parts.len() < MOST_PARTS {
                prop_assert_eq!(set.without_specks(least), large);
            }
            prop_assert_eq!(set.iter().count(), set.count());
            prop_assert_eq!(Cells::from_flags(&set.flags()), set);
        }
    }
}
