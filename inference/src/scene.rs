//! What the pixels say about the camera itself: light, detail, a checksum and a thumbnail. Measured on every picture that
//! is looked at, so it reads each byte of luma twice and little more (0.3 ms at 720p).

use bytes::Bytes;
use xueliang_base::{
    look::{Scene, Thumbnail},
    picture::Picture,
};

use crate::preprocess::planes::{Planes, Samples};

/// Every so many rows count for mean, spread and detail.
const ROW_STEP: usize = 4;

/// Measures a picture (after its privacy masks were painted). A picture whose planes do not hold what its format says
/// measures as black: it has no light, no detail, and no model will take it either.
pub fn measure(picture: &Picture) -> Scene {
    match Planes::of(picture) {
        Ok(planes) => measure_luma(&planes.luma, picture.full_range),
        Err(_) => Scene {
            mean_luma: 0.0,
            std_luma: 0.0,
            detail: 0.0,
            checksum: 0,
            thumbnail: thumbnail(vec![0; Thumbnail::WIDTH * Thumbnail::HEIGHT]),
        },
    }
}

/// The thumbnail alone, where nothing else is asked: the same as that of [`measure`].
pub fn thumbnail_of(picture: &Picture) -> Thumbnail {
    match Planes::of(picture) {
        Ok(planes) => {
            let (gain, black) = range(picture.full_range);
            thumbnail(cells(&planes.luma, gain as f32, black as f32))
        }
        Err(_) => thumbnail(vec![0; Thumbnail::WIDTH * Thumbnail::HEIGHT]),
    }
}

/// Factor and black of luma.
fn range(full: bool) -> (f64, f64) {
    if full { (1.0, 0.0) } else { (255.0 / 219.0, 16.0) }
}

fn measure_luma(luma: &Samples<'_>, full_range: bool) -> Scene {
    let (gain, black) = range(full_range);
    let (width, height) = (luma.row_bytes, luma.rows);
    let mut hash = Hash::new();
    let (mut sum, mut squared, mut differences, mut counted) = (0u64, 0u64, 0u64, 0u64);
    for y in 0..height {
        let row = luma.row(y);
        hash.update(row);
        if y % ROW_STEP == 0 {
            sum += u64::from(row.iter().map(|v| u32::from(*v)).sum::<u32>());
            // 16384 columns of 255² fit into 32 bits.
            squared += u64::from(row.iter().map(|v| u32::from(*v) * u32::from(*v)).sum::<u32>());
            differences +=
                u64::from(row.iter().zip(&row[1..]).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>());
            counted += width as u64;
        }
    }
    let counted = counted as f64;
    let mean = sum as f64 / counted;
    let variance = (squared as f64 / counted - mean.powi(2)).max(0.0);
    let pairs = (counted - height.div_ceil(ROW_STEP) as f64).max(1.0);
    Scene {
        mean_luma: ((mean - black) * gain).clamp(0.0, 255.0) as f32,
        std_luma: (variance.sqrt() * gain) as f32,
        detail: (differences as f64 / pairs * gain) as f32,
        checksum: hash.finish(),
        thumbnail: thumbnail(cells(luma, gain as f32, black as f32)),
    }
}

fn thumbnail(cells: Vec<u8>) -> Thumbnail {
    Thumbnail::new(Bytes::from(cells)).expect("it was made of WIDTH * HEIGHT cells")
}

/// The samples that belong to cell `i` of `count`: at least one, even in pictures smaller than the thumbnail.
fn cell(i: usize, count: usize, length: usize) -> std::ops::Range<usize> {
    let start = i * length / count;
    start..((i + 1) * length / count).max(start + 1)
}

fn cells(luma: &Samples<'_>, gain: f32, black: f32) -> Vec<u8> {
    let mut columns = vec![0u32; luma.row_bytes];
    let mut cells = Vec::with_capacity(Thumbnail::WIDTH * Thumbnail::HEIGHT);
    for j in 0..Thumbnail::HEIGHT {
        let rows = cell(j, Thumbnail::HEIGHT, luma.rows);
        columns.fill(0);
        // Whole rows first: adding rows to rows is what vector instructions do best.
        for y in rows.clone() {
            columns.iter_mut().zip(luma.row(y)).for_each(|(sum, v)| *sum += u32::from(*v));
        }
        for i in 0..Thumbnail::WIDTH {
            let across = cell(i, Thumbnail::WIDTH, luma.row_bytes);
            let count = (across.len() * rows.len()) as f32;
            let mean = columns[across].iter().sum::<u32>() as f32 / count;
            cells.push(((mean - black) * gain + 0.5) as u8);
        }
    }
    cells
}

/// A checksum of four independent lanes (after FNV and wyhash: multiply, rotate). Not for security: nobody gains by
/// making two pictures look the same.
struct Hash([u64; 4]);

impl Hash {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn new() -> Self {
        Self([1, 2, 3, 4])
    }
    fn add(lane: &mut u64, word: u64) {
        *lane = (*lane ^ word).wrapping_mul(Self::FACTOR).rotate_left(29);
    }
    fn word(bytes: &[u8]) -> u64 {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    }
    fn update(&mut self, row: &[u8]) {
        let mut blocks = row.chunks_exact(32);
        for block in &mut blocks {
            for (lane, bytes) in self.0.iter_mut().zip(block.chunks_exact(8)) {
                Self::add(lane, Self::word(bytes));
            }
        }
        for (lane, bytes) in self.0.iter_mut().zip(blocks.remainder().chunks(8)) {
            Self::add(lane, Self::word(bytes));
        }
    }
    fn finish(self) -> u64 {
        let mut all = 0;
        for lane in self.0 {
            Self::add(&mut all, lane);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::tests::{flat, picture};

    #[test]
    fn black_and_white_are_the_ends_of_the_scale_in_both_ranges() {
        for (full, black, white) in [(false, 16, 235), (true, 0, 255)] {
            let ends = |y| {
                let mut picture = flat(200, 100, [y, 128, 128]);
                picture.full_range = full;
                measure(&picture)
            };
            assert_eq!(ends(black).mean_luma, 0.0);
            assert_eq!(ends(white).mean_luma, 255.0);
            assert_eq!(ends(white).thumbnail.cells()[0], 255);
            assert_eq!((ends(white).std_luma, ends(white).detail), (0.0, 0.0));
        }
    }

    #[test]
    fn detail_and_spread_follow_the_pattern() {
        let mut stripes = picture(192, 108, |x, _| if x % 2 == 0 { [0, 128, 128] } else { [100, 128, 128] });
        stripes.full_range = true;
        let scene = measure(&stripes);
        assert!((scene.mean_luma - 50.0).abs() < 0.01);
        assert!((scene.std_luma - 50.0).abs() < 0.01);
        assert!((scene.detail - 100.0).abs() < 0.01);
    }

    #[test]
    fn a_single_changed_pixel_changes_the_checksum_wherever_it_is() {
        for (width, height) in [(101, 37), (3, 3), (64, 8)] {
            let base = measure(&flat(width, height, [90, 128, 128])).checksum;
            assert_eq!(base, measure(&flat(width, height, [90, 128, 128])).checksum);
            for (px, py) in [(0, 0), (width - 1, height - 1), (width / 2, height / 3)] {
                let other = picture(width, height, |x, y| [90 + u8::from((x, y) == (px, py)), 128, 128]);
                assert_ne!(base, measure(&other).checksum, "{px}, {py} of {width}x{height}");
            }
        }
    }

    #[test]
    fn the_thumbnail_is_a_small_copy() {
        let halves = picture(1280, 720, |x, _| if x < 640 { [16, 128, 128] } else { [235, 128, 128] });
        let scene = measure(&halves);
        for row in scene.thumbnail.cells().chunks(Thumbnail::WIDTH) {
            assert!(row[..48].iter().all(|v| *v == 0) && row[48..].iter().all(|v| *v == 255));
        }
    }

    #[test]
    fn the_smallest_and_the_broken_picture_are_measured() {
        assert_eq!(measure(&flat(1, 1, [235, 128, 128])).thumbnail.cells()[5183], 255);
        let mut broken = flat(64, 64, [235, 128, 128]);
        broken.planes.clear();
        assert_eq!(measure(&broken).mean_luma, 0.0);
    }
}
