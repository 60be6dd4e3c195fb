//! The picture that is painted on: Y, Cb and Cr for every pixel, full range BT.601, as JPEG wants it.

use jpeg_encoder::{ColorType, Encoder};
use xueliang_base::{
    geometry::{Point, Polygon, Rect},
    picture::Picture,
};

use crate::{
    mask,
    preprocess::{Scaled, colour::Matrix},
};

/// Largest side of a canvas.
const SIDE_MAX: u32 = 4096;

/// A part of a canvas in pixels, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x0: usize,
    pub(super) y0: usize,
    pub(super) x1: usize,
    pub(super) y1: usize,
}

impl Area {
    pub(super) fn longer_side(self) -> usize {
        (self.x1 - self.x0).max(self.y1 - self.y0)
    }
}

/// A picture being painted.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// A copy of the picture, not wider than asked for.
    pub(super) fn of(picture: &Picture, max_width: u32) -> Result<Self, String> {
        let (w, h) = (f64::from(picture.width), f64::from(picture.height));
        // A picture without size is refused below, before anything is divided by it.
        let most = f64::from(max_width.min(SIDE_MAX));
        let ratio = (most / w).min(f64::from(SIDE_MAX) / h).min(1.0);
        let size = ((w * ratio).round().max(1.0) as u32, (h * ratio).round().max(1.0) as u32);
        let mut scaled = Scaled::default();
        scaled.whole(picture, size)?;
        let matrix = Matrix::of(picture);
        let (width, height) = (scaled.width, scaled.height);
        let mut pixels = Vec::with_capacity(width * height);
        let [mut r, mut g, mut b] = [(); 3].map(|()| vec![0.0; width]);
        for y in 0..height {
            matrix.row(scaled.row(y), [&mut r, &mut g, &mut b]);
            pixels.extend(r.iter().zip(&g).zip(&b).map(|((r, g), b)| jfif(*r, *g, *b)));
        }
        Ok(Self { width, height, pixels })
    }
    pub(super) fn width(&self) -> usize {
        self.width
    }
    pub(super) fn height(&self) -> usize {
        self.height
    }
    pub(super) fn longer_side(&self) -> usize {
        self.width.max(self.height)
    }
    /// The pixels that a rectangle touches; `None` where it lies outside.
    pub(super) fn area(&self, rect: &Rect) -> Option<Area> {
        let rect = rect.clamped();
        let side = |from: f32, to: f32, length: usize| {
            let end = ((to * length as f32).ceil() as usize).min(length);
            ((from * length as f32) as usize, end)
        };
        let (x0, x1) = side(rect.x0, rect.x1, self.width);
        let (y0, y1) = side(rect.y0, rect.y1, self.height);
        (x0 < x1 && y0 < y1).then_some(Area { x0, y0, x1, y1 })
    }
    /// Makes everything coarse that lies neither in a region nor in the zone.
    pub(super) fn coarsen_outside(&mut self, regions: &[Rect], zone: Option<&Polygon>, block: usize) {
        let mut clear = vec![false; self.pixels.len()];
        for area in regions.iter().filter_map(|rect| self.area(rect)) {
            for y in area.y0..area.y1 {
                clear[y * self.width + area.x0..y * self.width + area.x1].fill(true);
            }
        }
        if let Some(zone) = zone {
            let rows = mask::spans(std::slice::from_ref(zone), self.width as f64, self.height as f64);
            for (row, spans) in clear.chunks_mut(self.width).zip(rows) {
                spans.into_iter().for_each(|span| row[span].fill(true));
            }
        }
        let whole = Area { x0: 0, y0: 0, x1: self.width, y1: self.height };
        self.each_block(whole, block, |i| !clear[i]);
    }
    /// Pixelates an area, grown to whole blocks.
    pub(super) fn pixelate(&mut self, area: Area, block: usize) {
        self.each_block(area, block, |_| true);
    }
    /// Gives the chosen pixels of every block that touches the area their mean.
    fn each_block(&mut self, area: Area, block: usize, chosen: impl Fn(usize) -> bool) {
        for by in area.y0 / block..area.y1.div_ceil(block) {
            for bx in area.x0 / block..area.x1.div_ceil(block) {
                let (mut sum, mut count) = ([0u32; 3], 0u32);
                let rows = by * block..((by + 1) * block).min(self.height);
                let columns = bx * block..((bx + 1) * block).min(self.width);
                for y in rows.clone() {
                    for i in columns.clone().map(|x| y * self.width + x).filter(|i| chosen(*i)) {
                        (0..3).for_each(|c| sum[c] += u32::from(self.pixels[i][c]));
                        count += 1;
                    }
                }
                // The mean of bytes is a byte; a block of 4096² pixels fits into 32 bits.
                let mean = sum.map(|s| u8::try_from(s / count.max(1)).unwrap_or(u8::MAX));
                for y in rows {
                    for i in columns.clone().map(|x| y * self.width + x).filter(|i| chosen(*i)) {
                        self.pixels[i] = mean;
                    }
                }
            }
        }
    }
    /// Draws the outline of a rectangle.
    pub(super) fn frame(&mut self, rect: &Rect, colour: [u8; 3]) {
        let r = rect.clamped();
        let corners = [(r.x0, r.y0), (r.x1, r.y0), (r.x1, r.y1), (r.x0, r.y1)];
        self.outline(&corners.map(|(x, y)| Point::new(x, y)), colour);
    }
    /// Draws a closed line through the points.
    pub(super) fn outline(&mut self, points: &[Point], colour: [u8; 3]) {
        let thick = (self.longer_side() / 400).max(1);
        let (w, h) = (self.width as f32 - 1.0, self.height as f32 - 1.0);
        for (a, b) in points.iter().zip(points.iter().cycle().skip(1)) {
            let (dx, dy) = ((b.x - a.x) * w, (b.y - a.y) * h);
            let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
            for step in 0..=steps as usize {
                let t = step as f32 / steps;
                self.dot(
                    (a.x * w + dx * t).round() as usize,
                    (a.y * h + dy * t).round() as usize,
                    thick,
                    colour,
                );
            }
        }
    }
    fn dot(&mut self, x: usize, y: usize, thick: usize, colour: [u8; 3]) {
        for y in y.saturating_sub(thick / 2)..(y + thick.div_ceil(2)).min(self.height) {
            for x in x.saturating_sub(thick / 2)..(x + thick.div_ceil(2)).min(self.width) {
                self.pixels[y * self.width + x] = colour;
            }
        }
    }
    /// The canvas as JPEG.
    pub(super) fn jpeg(&self, quality: u8) -> Result<Vec<u8>, String> {
        let side = |n: usize| u16::try_from(n).map_err(|_| format!("{n} pixels are too many for JPEG"));
        let (width, height) = (side(self.width)?, side(self.height)?);
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, quality)
            .encode(self.pixels.as_flattened(), width, height, ColorType::Ycbcr)
            .map_err(|e| format!("encode JPEG: {e}"))?;
        Ok(bytes)
    }
    /// One pixel.
    #[cfg(test)]
    pub(super) fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }
}

/// From RGB to JPEG's colours (ITU-T T.871 clause 7).
fn jfif(r: f32, g: f32, b: f32) -> [u8; 3] {
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    let cb = 128.0 - 0.168_736 * r - 0.331_264 * g + 0.5 * b;
    let cr = 128.0 + 0.5 * r - 0.418_688 * g - 0.081_312 * b;
    // Conversion of floats to bytes saturates.
    [y, cb, cr].map(|v| (v + 0.5) as u8)
}
