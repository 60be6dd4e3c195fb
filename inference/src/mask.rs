//! Privacy masks: parts of the picture that nothing may look at. They are painted grey right after decoding, before
//! inference and before everything derived from the picture.
//!
//! A pixel that a mask touches at all is painted, in luma and in chroma. Rows to paint are worked out once a picture size.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use xueliang_base::{
    geometry::Polygon,
    picture::{Picture, PixelFormat},
};

/// Middle grey, for luma and for both chroma.
const GREY: u8 = 128;

/// Columns to paint, row by row.
type Spans = Vec<Vec<Range<usize>>>;

#[derive(Debug)]
struct Painted {
    size: (u32, u32),
    luma: Spans,
    chroma: Spans,
}

/// A camera's privacy masks.
#[derive(Debug)]
pub struct Masks {
    polygons: Vec<Polygon>,
    painted: Mutex<Option<Arc<Painted>>>,
}

impl Masks {
    /// Masks over these parts of the picture; none at all is fine.
    pub fn new(polygons: &[Polygon]) -> Self {
        Self { polygons: polygons.to_vec(), painted: Mutex::new(None) }
    }
    /// Whether there is nothing to paint.
    pub fn is_empty(&self) -> bool {
        self.polygons.is_empty()
    }
    /// The picture with the masks painted. Without masks the bytes are shared, not copied.
    pub fn apply(&self, picture: &Picture) -> Picture {
        let mut masked = picture.clone();
        if self.is_empty() {
            return masked;
        }
        let painted = self.painted((picture.width, picture.height));
        let pair = if picture.format == PixelFormat::Nv12 { 2 } else { 1 };
        for (i, plane) in masked.planes.iter_mut().enumerate() {
            let (spans, step) = if i == 0 { (&painted.luma, 1) } else { (&painted.chroma, pair) };
            let mut data = plane.data.to_vec();
            for (row, spans) in data.chunks_mut(plane.stride.max(1)).zip(spans) {
                for span in spans {
                    let end = (span.end * step).min(row.len());
                    row[(span.start * step).min(end)..end].fill(GREY);
                }
            }
            plane.data = Bytes::from(data);
        }
        masked
    }
    fn painted(&self, size: (u32, u32)) -> Arc<Painted> {
        let mut kept = self.painted.lock().expect("no code panics while it holds this lock");
        if let Some(painted) = kept.as_ref().filter(|p| p.size == size) {
            return Arc::clone(painted);
        }
        let (w, h) = (f64::from(size.0), f64::from(size.1));
        let painted = Arc::new(Painted {
            size,
            luma: spans(&self.polygons, w, h),
            chroma: spans(&self.polygons, w / 2.0, h / 2.0),
        });
        *kept = Some(Arc::clone(&painted));
        painted
    }
}

/// The columns of each row that the polygons touch, on a grid of `width` by `height` cells (the last may be a half).
pub(crate) fn spans(polygons: &[Polygon], width: f64, height: f64) -> Spans {
    let columns = width.ceil() as usize;
    (0..height.ceil() as usize)
        .map(|row| {
            let mut spans: Vec<_> =
                polygons.iter().flat_map(|p| row_spans(p, row as f64, width, height)).collect();
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            spans
                .into_iter()
                .map(|(x0, x1)| {
                    (x0.floor() as usize)..(x1.ceil() as usize).max(x0.floor() as usize + 1).min(columns)
                })
                .collect()
        })
        .collect()
}

/// Where a polygon lies between the lines `row` and `row + 1`: the stretches inside it on the upper line, and the extent
/// of every edge between the lines. Together they are exactly the columns it touches: going down from the upper line
/// one is inside from the start or crosses an edge.
fn row_spans(polygon: &Polygon, row: f64, width: f64, height: f64) -> Vec<(f64, f64)> {
    let points: Vec<_> =
        polygon.points().iter().map(|p| (f64::from(p.x) * width, f64::from(p.y) * height)).collect();
    let edges = points.iter().zip(points.iter().cycle().skip(1));
    let mut crossings = Vec::new();
    let mut spans = Vec::new();
    for (&(ax, ay), &(bx, by)) in edges {
        let at = |y: f64| if by == ay { ax } else { ax + (bx - ax) * (y - ay) / (by - ay) };
        if (ay > row) != (by > row) {
            crossings.push(at(row));
        }
        let (top, bottom) = (ay.min(by).max(row), ay.max(by).min(row + 1.0));
        if top <= bottom {
            let (from, to) = if by == ay { (ax, bx) } else { (at(top), at(bottom)) };
            spans.push((from.min(to), from.max(to)));
        }
    }
    crossings.sort_by(f64::total_cmp);
    spans.extend(crossings.chunks_exact(2).map(|pair| (pair[0], pair[1])));
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xueliang_base::geometry::Point;

    use super::*;
    use crate::preprocess::tests::flat;

    fn polygon(points: &[[f32; 2]]) -> Polygon {
        Polygon::try_from(points.to_vec()).unwrap()
    }

    #[test]
    fn a_mask_is_painted_in_luma_and_chroma_and_nothing_else_is() {
        let masks = Masks::new(&[polygon(&[[0.25, 0.5], [0.75, 0.5], [0.75, 1.0], [0.25, 1.0]])]);
        let masked = masks.apply(&flat(64, 32, [50, 60, 70]));
        for (i, plain) in [50, 60, 70].into_iter().enumerate() {
            let plane = &masked.planes[i];
            for (at, value) in plane.data.iter().enumerate() {
                let step = if i == 0 { 1 } else { 2 };
                let (x, y) = (at % plane.stride * step, at / plane.stride * step);
                let inside = (16..48).contains(&x) && y >= 16;
                // The edge x = 48 lies on a line between pixels and touches neither side by more than a point.
                if !(inside || x == 48 || y == 15 || y == 14) {
                    assert_eq!(*value, plain, "plane {i} at {x}, {y}");
                } else if inside {
                    assert_eq!(*value, GREY, "plane {i} at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn without_masks_the_bytes_are_shared() {
        let picture = flat(16, 16, [1, 2, 3]);
        assert_eq!(Masks::new(&[]).apply(&picture).planes[0].data.as_ptr(), picture.planes[0].data.as_ptr());
    }

    #[test]
    fn a_mask_follows_the_size_of_the_picture() {
        let masks = Masks::new(&[polygon(&[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]])]);
        for (width, height) in [(64, 48), (31, 17), (2, 1), (640, 360), (64, 48)] {
            let masked = masks.apply(&flat(width, height, [10, 20, 30]));
            assert_eq!(masked.planes[0].data[0], GREY);
            assert_eq!(masked.planes[2].data[0], GREY);
            if width > 2 {
                assert_eq!(masked.planes[0].data[width as usize - 1], 10);
            }
        }
        // A picture that is not what it says is painted as far as it goes.
        let mut odd = flat(64, 48, [10, 20, 30]);
        odd.planes[0].data.truncate(100);
        assert_eq!(masks.apply(&odd).planes[0].data.len(), 100);
    }

    proptest! {
        #[test]
        fn no_point_inside_a_mask_is_left_unpainted(
            corners in prop::array::uniform3((0.0f32..=1.0, 0.0f32..=1.0)),
            samples in prop::collection::vec((0.0f32..1.0, 0.0f32..1.0), 200),
            width in 1u32..80,
            height in 1u32..80,
        ) {
            let points = corners.map(|(x, y)| Point::new(x, y)).to_vec();
            let Ok(polygon) = Polygon::new(points) else { return Ok(()) };
            let masked = Masks::new(std::slice::from_ref(&polygon)).apply(&flat(width, height, [1, 2, 3]));
            for (x, y) in samples {
                if polygon.contains(Point::new(x, y)) {
                    let (px, py) = ((x * width as f32) as usize, (y * height as f32) as usize);
                    prop_assert_eq!(masked.planes[0].data[py * width as usize + px], GREY);
                    let chroma = py / 2 * masked.planes[1].stride + px / 2;
                    prop_assert_eq!(masked.planes[1].data[chroma], GREY);
                }
            }
        }
    }
}
