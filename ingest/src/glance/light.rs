//! How the light of a picture differs from that of its background: one gain and one offset for all cells.
//!
//! Clouds, exposure and dusk scale the brightness that a camera sends; haze and flare add to it. What does not follow the
//! common light is a change.

use super::{
    cells::{Cells, small},
    ground::{BLACK, LUMA, Level},
};

/// `picture = gain * background + offset`, in luma steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Light {
    /// 1 where nothing changed.
    pub gain: f32,
    /// 0 where nothing changed.
    pub offset: f32,
}

/// No light changes by more from one glance to the next without being a new scene.
const GAINS: std::ops::RangeInclusive<f32> = 0.2..=5.0;
const OFFSET: f32 = 64.0;
/// Bytes that change with the light.
const FOLLOWING: std::ops::RangeInclusive<u8> = 3..=252;
/// Rounds of fitting the line to the cells that lie near it.
const ROUNDS: usize = 3;

impl Light {
    /// That of the background itself.
    pub const SAME: Light = Light { gain: 1.0, offset: 0.0 };

    /// How levels of the background become levels in this light.
    pub(super) fn mapping(self) -> Mapping {
        #[expect(clippy::cast_possible_truncation, reason = "gain and offset are bounded")]
        let (gain, offset) =
            ((self.gain * 4096.0).round() as i32, (self.offset * f32::from(LUMA)).round() as i32);
        Mapping { gain, offset: offset * 4096 + 2048 }
    }
    /// Whether it is too near the background's own to be told from it.
    pub(super) fn is_same(self) -> bool {
        (self.gain - 1.0).abs() < 0.004 && self.offset.abs() < 0.25
    }
    /// The light that explains most of the cells of `used`, each within its tolerance.
    pub(super) fn fit(picture: &[u8], ground: &[Level], tolerance: &[Level], used: &Cells) -> Self {
        let same = Self::SAME;
        let start = if same.explains(picture, ground, tolerance, used) * 10 >= used.count() * 7 {
            same
        } else {
            let scaled = Self { gain: median_ratio(picture, ground, used), offset: 0.0 };
            let shifted = Self { gain: 1.0, offset: median_difference(picture, ground, used) };
            let explained = |light: &Self| light.explains(picture, ground, tolerance, used);
            [same, scaled, shifted].into_iter().max_by_key(explained).unwrap_or(same)
        };
        let mut light = start;
        for round in 0..ROUNDS {
            // From wide to narrow.
            let halves = if round == 0 { 6 } else { 3 };
            light = light.refined(picture, ground, tolerance, used, halves);
        }
        // A line may be drawn through what moved: it must be better than where it began.
        let explained = |light: Self| light.explains(picture, ground, tolerance, used);
        if explained(light) >= explained(start) { light } else { start }
    }
    /// The cells that lie within so many halves of their tolerance in this light.
    fn near(self, picture: &[u8], ground: &[Level], tolerance: &[Level], halves: u32) -> Cells {
        let mapping = self.mapping();
        let cells = picture.iter().zip(ground).zip(tolerance);
        let flags: Vec<u8> = cells
            .map(|((now, ground), tolerance)| {
                let apart = u32::from(shown(mapping.of(*ground)).abs_diff(level(*now)));
                u8::from(apart * 2 <= u32::from(*tolerance) * halves)
            })
            .collect();
        Cells::from_flags(&flags)
    }
    /// How many of the cells lie within their tolerance in this light.
    pub(super) fn explains(
        self,
        picture: &[u8],
        ground: &[Level],
        tolerance: &[Level],
        used: &Cells,
    ) -> usize {
        (self.near(picture, ground, tolerance, 2) & *used).count()
    }
    /// The least squares line through the cells within so many half tolerances of this one: a quarter of them will do.
    fn refined(
        self,
        picture: &[u8],
        ground: &[Level],
        tolerance: &[Level],
        used: &Cells,
        halves: u32,
    ) -> Self {
        let near = self.near(picture, ground, tolerance, halves) & *used & Cells::quarter();
        let (mut n, mut sx, mut sy, mut sxx, mut sxy) = (0.0f64, 0.0, 0.0, 0.0, 0.0);
        for cell in near.iter() {
            // What is near black or white does not follow the light.
            if !FOLLOWING.contains(&picture[cell]) {
                continue;
            }
            let (x, y) = (luma(ground[cell]), f64::from(picture[cell]));
            n += 1.0;
            sx += x;
            sy += y;
            sxx += x * x;
            sxy += x * y;
        }
        if n < 32.0 {
            return self;
        }
        let (mx, my) = (sx / n, sy / n);
        let variance = sxx / n - mx * mx;
        // A scene without contrast has no gain to see.
        let gain = if variance < 9.0 { 1.0 } else { (sxy / n - mx * my) / variance };
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let light = Self { gain: gain as f32, offset: (my - gain * mx) as f32 };
        if GAINS.contains(&light.gain) && light.offset.abs() <= OFFSET { light } else { self }
    }
}

/// A light, as whole numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mapping {
    gain: i32,
    offset: i32,
}

impl Mapping {
    pub(super) fn of(self, level: Level) -> Level {
        // Five times the largest level and 4096 fit into 31 bits.
        let mapped = ((i32::from(level) - i32::from(BLACK)) * self.gain + self.offset) >> 12;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a level")]
        let mapped = (mapped + i32::from(BLACK)).clamp(0, i32::from(Level::MAX) - 1) as Level;
        mapped
    }
}

/// A byte of a thumbnail as a level.
pub(super) fn level(cell: u8) -> Level {
    BLACK + Level::from(cell) * LUMA
}

/// What a camera sends of a level: it may lie beyond black or white.
pub(super) fn shown(level: Level) -> Level {
    level.clamp(BLACK, BLACK + 255 * LUMA)
}

fn luma(level: Level) -> f64 {
    (f64::from(level) - f64::from(BLACK)) / f64::from(LUMA)
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

fn median_ratio(picture: &[u8], ground: &[Level], used: &Cells) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
    let ratio = |cell: usize| (f32::from(picture[cell]) + 1.0) / (luma(ground[cell]).max(0.0) as f32 + 1.0);
    median(used.iter().map(ratio).collect()).unwrap_or(1.0).clamp(*GAINS.start(), *GAINS.end())
}

fn median_difference(picture: &[u8], ground: &[Level], used: &Cells) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
    let difference = |cell: usize| f32::from(picture[cell]) - luma(ground[cell]) as f32;
    median(used.iter().map(difference).collect()).unwrap_or(0.0).clamp(-OFFSET, OFFSET)
}

/// The share of `used` that `n` cells are.
pub(super) fn share_of(n: usize, used: &Cells) -> f32 {
    small(n) / small(used.count().max(1))
}
