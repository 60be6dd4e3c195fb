//! Which cells of a camera count: those in or near a zone that some rule watches, less what privacy masks hide.

use xueliang_base::geometry::Polygon;

use super::cells::Cells;

/// Cells around a zone that count as well, two hundredths of the picture's width: what comes is seen before it is there.
const NEAR: usize = 2;

/// Where a change is worth a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// Not behind a mask: what the light is read from, and what movement is told of.
    pub(super) seen: Cells,
    /// In or near a zone.
    pub(super) near: Cells,
    pub(super) zones: Vec<Cells>,
}

impl Watch {
    /// The zones that rules watch, in an order that [`super::Change::zones`] refers to; `None` is the whole picture. Without any
    /// zone nothing wakes. Of `masks` nothing is seen.
    pub fn new<'a>(zones: impl IntoIterator<Item = Option<&'a Polygon>>, masks: &[Polygon]) -> Self {
        let hidden = masks.iter().map(Cells::of).fold(Cells::EMPTY, |all, mask| all | mask);
        let seen = !hidden;
        let zones: Vec<Cells> = zones
            .into_iter()
            .map(|zone| zone.map_or(Cells::FULL, |zone| Cells::of(zone).grown(NEAR)) & seen)
            .collect();
        let near = zones.iter().fold(Cells::EMPTY, |all, zone| all | *zone);
        Self { seen, near, zones }
    }
    /// The whole picture.
    pub fn everything() -> Self {
        Self::new([None], &[])
    }
}
