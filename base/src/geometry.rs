//! Geometry in picture coordinates: x to the right, y down, both 0..=1 of the picture.

use serde::{Deserialize, Serialize};

/// A point of the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// From the left edge, 0..=1.
    pub x: f32,
    /// From the top edge, 0..=1.
    pub y: f32,
}

impl Point {
    /// A point.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }
}

/// An upright rectangle; `x0 <= x1` and `y0 <= y1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

impl Rect {
    /// The whole picture.
    pub const FULL: Rect = Rect { x0: 0.0, y0: 0.0, x1: 1.0, y1: 1.0 };

    /// A rectangle from any two opposite corners.
    pub fn new(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self { x0: x0.min(x1), y0: y0.min(y1), x1: x0.max(x1), y1: y0.max(y1) }
    }
    /// The part inside the picture.
    #[must_use]
    pub fn clamped(self) -> Self {
        let c = |v: f32| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) };
        Self { x0: c(self.x0), y0: c(self.y0), x1: c(self.x1), y1: c(self.y1) }
    }
    /// Width.
    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }
    /// Height.
    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }
    /// Area as a share of the picture.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }
    /// Middle.
    pub fn centre(&self) -> Point {
        Point::new((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }
    /// Middle of the bottom edge: where a standing object touches the ground.
    pub fn foot(&self) -> Point {
        Point::new((self.x0 + self.x1) / 2.0, self.y1)
    }
    /// Shared area.
    pub fn overlap(&self, other: &Rect) -> f32 {
        let w = self.x1.min(other.x1) - self.x0.max(other.x0);
        let h = self.y1.min(other.y1) - self.y0.max(other.y0);
        if w > 0.0 && h > 0.0 { w * h } else { 0.0 }
    }
    /// Shared area over the area of both.
    pub fn iou(&self, other: &Rect) -> f32 {
        let both = self.overlap(other);
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }
    /// The smallest rectangle that holds both.
    #[must_use]
    pub fn union(&self, other: &Rect) -> Rect {
        Rect {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }
}

/// Why a list of points is no polygon.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolygonError {
    /// Fewer than three points.
    #[error("a polygon needs at least 3 points, got {0}")]
    TooFew(usize),
    /// More than 64 points.
    #[error("a polygon may have at most 64 points, got {0}")]
    TooMany(usize),
    /// A point outside the picture.
    #[error(
        "point {index} ({x}, {y}) lies outside the picture: coordinates are shares of the picture, 0 to 1"
    )]
    Outside {
        /// Index from 0.
        index: usize,
        /// Its x.
        x: f32,
        /// Its y.
        y: f32,
    },
    /// Two edges cross.
    #[error("edges {0} and {1} cross: list the corners in order around the zone")]
    Crossing(usize, usize),
    /// Nearly no area.
    #[error("the polygon covers {0:.6} of the picture, at least 0.0001 is needed")]
    TooSmall(f32),
}

/// A simple polygon within the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<[f32; 2]>", into = "Vec<[f32; 2]>")]
pub struct Polygon(Vec<Point>);

impl TryFrom<Vec<[f32; 2]>> for Polygon {
    type Error = PolygonError;
    fn try_from(points: Vec<[f32; 2]>) -> Result<Self, PolygonError> {
        Self::new(points.into_iter().map(|[x, y]| Point::new(x, y)).collect())
    }
}
impl From<Polygon> for Vec<[f32; 2]> {
    fn from(polygon: Polygon) -> Self {
        polygon.0.into_iter().map(|p| [p.x, p.y]).collect()
    }
}

impl Polygon {
    /// Checks and makes a polygon.
    pub fn new(points: Vec<Point>) -> Result<Self, PolygonError> {
        if points.len() < 3 {
            return Err(PolygonError::TooFew(points.len()));
        }
        if points.len() > 64 {
            return Err(PolygonError::TooMany(points.len()));
        }
        for (index, p) in points.iter().enumerate() {
            if !(0.0..=1.0).contains(&p.x) || !(0.0..=1.0).contains(&p.y) {
                return Err(PolygonError::Outside { index, x: p.x, y: p.y });
            }
        }
        let n = points.len();
        for i in 0..n {
            for j in i + 2..n {
                let neighbours = i == 0 && j == n - 1;
                if !neighbours && segments_cross(points[i], points[i + 1], points[j], points[(j + 1) % n]) {
                    return Err(PolygonError::Crossing(i, j));
                }
            }
        }
        let polygon = Self(points);
        let area = polygon.area();
        if area < 1e-4 {
            return Err(PolygonError::TooSmall(area));
        }
        Ok(polygon)
    }
    /// The whole picture.
    pub fn full() -> Self {
        Self(vec![Point::new(0.0, 0.0), Point::new(1.0, 0.0), Point::new(1.0, 1.0), Point::new(0.0, 1.0)])
    }
    /// Its corners in order.
    pub fn points(&self) -> &[Point] {
        &self.0
    }
    /// Area as a share of the picture (shoelace formula).
    pub fn area(&self) -> f32 {
        let n = self.0.len();
        let twice: f32 = (0..n)
            .map(|i| {
                let (a, b) = (self.0[i], self.0[(i + 1) % n]);
                a.x * b.y - b.x * a.y
            })
            .sum();
        twice.abs() / 2.0
    }
    /// Whether the point lies inside (even-odd rule).
    pub fn contains(&self, p: Point) -> bool {
        let n = self.0.len();
        let mut inside = false;
        let mut j = n - 1;
        for i in 0..n {
            let (a, b) = (self.0[i], self.0[j]);
            if (a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x {
                inside = !inside;
            }
            j = i;
        }
        inside
    }
    /// The smallest rectangle around it.
    pub fn bounds(&self) -> Rect {
        self.0.iter().fold(Rect { x0: 1.0, y0: 1.0, x1: 0.0, y1: 0.0 }, |r, p| Rect {
            x0: r.x0.min(p.x),
            y0: r.y0.min(p.y),
            x1: r.x1.max(p.x),
            y1: r.y1.max(p.y),
        })
    }
    /// Share of the rectangle that lies inside, sampled on an 8 by 8 grid: within 1/16 of the true value for
    /// convex zones, which is finer than a detector's box.
    pub fn covers(&self, rect: &Rect) -> f32 {
        const STEPS: u8 = 8;
        let mut inside = 0u8;
        for i in 0..STEPS {
            for j in 0..STEPS {
                let f = |k: u8| (f32::from(k) + 0.5) / f32::from(STEPS);
                let p = Point::new(rect.x0 + rect.width() * f(i), rect.y0 + rect.height() * f(j));
                inside += u8::from(self.contains(p));
            }
        }
        f32::from(inside) / f32::from(STEPS * STEPS)
    }
}

/// Twice the signed area of the triangle: positive when `c` lies to the left of `a` to `b` with y down.
fn turn(a: Point, b: Point, c: Point) -> f32 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// Whether two segments properly cross (touching ends do not count).
pub fn segments_cross(a: Point, b: Point, c: Point, d: Point) -> bool {
    let (t1, t2) = (turn(a, b, c), turn(a, b, d));
    let (t3, t4) = (turn(c, d, a), turn(c, d, b));
    t1 * t2 < 0.0 && t3 * t4 < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square() -> Polygon {
        Polygon::try_from(vec![[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]]).unwrap()
    }

    #[test]
    fn absurd_polygons_say_what_is_wrong() {
        let make = |points: Vec<[f32; 2]>| Polygon::try_from(points).unwrap_err().to_string();
        assert!(make(vec![[0.1, 0.1], [0.2, 0.2]]).contains("at least 3"));
        assert!(make(vec![[0.1, 0.1], [640.0, 0.2], [0.5, 0.5]]).contains("shares of the picture"));
        assert!(make(vec![[f32::NAN, 0.1], [0.4, 0.2], [0.5, 0.5]]).contains("point 0"));
        assert!(make(vec![[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]).contains("cross"));
        assert!(make(vec![[0.1, 0.1], [0.1001, 0.1], [0.1, 0.1001]]).contains("at least 0.0001"));
        assert!(make(vec![[0.5, 0.5]; 65]).contains("at most 64"));
    }

    #[test]
    fn a_polygon_contains_its_inside_only() {
        let zone = square();
        assert!(zone.contains(Point::new(0.4, 0.4)));
        assert!(!zone.contains(Point::new(0.7, 0.4)));
        assert!((zone.area() - 0.16).abs() < 1e-6);
        assert!((zone.covers(&Rect::new(0.5, 0.3, 0.7, 0.5)) - 0.5).abs() < 0.07);
    }

    #[test]
    fn overlap_of_rectangles_is_symmetric_and_bounded() {
        let a = Rect::new(0.0, 0.0, 0.5, 0.5);
        let b = Rect::new(0.25, 0.25, 0.75, 0.75);
        assert!((a.iou(&b) - b.iou(&a)).abs() < 1e-6);
        assert!((a.iou(&a) - 1.0).abs() < 1e-6);
        assert_eq!(a.iou(&Rect::new(0.6, 0.6, 0.7, 0.7)), 0.0);
    }
}
