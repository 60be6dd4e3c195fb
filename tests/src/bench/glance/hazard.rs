//! Slow hazards, laid over thumbnails. A cell is the mean of its pixels, so what is mixed into the cells is what mixing it into
//! the pixels would have given.

use std::time::Duration;

use xueliang_base::{geometry::Rect, look::Thumbnail};

const W: usize = Thumbnail::WIDTH;
const H: usize = Thumbnail::HEIGHT;

/// Cells that a walker takes on `vtest.avi`: what is smaller is not visible yet.
const LARGE: usize = 24;

/// What comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A grey veil that grows and thickens over one minute, then stays and billows.
    Smoke,
    /// A block that drives in within four seconds, then stands.
    Lorry,
    /// An edge that climbs from below over five minutes, then stays.
    Water,
}

/// A hazard at a place of the picture.
#[derive(Debug, Clone, Copy)]
pub struct Hazard {
    /// What comes.
    pub kind: Kind,
    /// When it begins.
    pub from: Duration,
    /// Where it is in the end.
    pub place: Rect,
}

impl Hazard {
    /// Where it is then.
    pub fn bounds(&self, at: Duration) -> Option<Rect> {
        let since = at.checked_sub(self.from)?.as_secs_f32();
        let Rect { x0, y0, x1, y1 } = self.place;
        Some(match self.kind {
            Kind::Smoke => self.place,
            Kind::Lorry => Rect::new(x0 - (1.0 - (since / 4.0).min(1.0)) * 0.3, y0, x1, y1).clamped(),
            Kind::Water => Rect::new(x0, y1 - (y1 - y0) * (since / 300.0).min(1.0), x1, y1),
        })
    }
    /// Paints it, and says by how many luma steps its clearest cells, as many as a walker takes, differ from what was there.
    pub fn lay_over(&self, at: Duration, cells: &mut [f32]) -> f32 {
        let Some(since) = at.checked_sub(self.from).map(|since| since.as_secs_f32()) else { return 0.0 };
        let mut differences = Vec::new();
        for y in 0..H {
            for x in 0..W {
                let (px, py) = ((x as f32 + 0.5) / W as f32, (y as f32 + 0.5) / H as f32);
                let cell = &mut cells[y * W + x];
                let before = *cell;
                *cell = self.mixed(since, (px, py), before);
                let difference = (*cell - before).abs();
                if difference > 0.5 {
                    differences.push(difference);
                }
            }
        }
        differences.sort_by(|a, b| b.total_cmp(a));
        differences.truncate(LARGE);
        if differences.len() < LARGE {
            0.0
        } else {
            differences.iter().sum::<f32>() / differences.len() as f32
        }
    }
    fn mixed(&self, since: f32, (x, y): (f32, f32), before: f32) -> f32 {
        let Rect { x0, y0, x1, y1 } = self.place;
        match self.kind {
            Kind::Smoke => {
                let grown = (since / 60.0).min(1.0);
                let (cx, cy) = ((x0 + x1) / 2.0, y1 - (y1 - y0) * 0.5 * grown);
                let (rx, ry) = ((x1 - x0) / 2.0 * (0.3 + 0.7 * grown), (y1 - y0) / 2.0 * (0.3 + 0.7 * grown));
                let far = ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2);
                let billow = 1.0 + 0.15 * (since * 0.9 + x * 40.0).sin();
                let thick = 0.6 * grown * (-far * 1.5).exp() * billow;
                // Grey, and clearly lighter or darker than a usual ground.
                let smoke = if before < 130.0 { 200.0 } else { 70.0 };
                before + (smoke - before) * thick.min(1.0)
            }
            Kind::Lorry => {
                let shift = (1.0 - (since / 4.0).min(1.0)) * 0.3;
                let inside = (x0 - shift..x1 - shift).contains(&x) && (y0..y1).contains(&y);
                let body = if y < y0 + (y1 - y0) * 0.6 { 45.0 } else { 90.0 };
                let body = if (before - body).abs() < 20.0 { body + 60.0 } else { body };
                if inside { body } else { before }
            }
            Kind::Water => {
                let level = y1 - (y1 - y0) * (since / 300.0).min(1.0);
                // A cell that the edge runs through is part water.
                let under = ((y - level) * H as f32 + 0.5).clamp(0.0, 1.0);
                let inside = (x0..x1).contains(&x) && y < y1;
                let water = before * 0.7 + 8.0 + 2.0 * (since * 1.7 + x * 60.0).sin();
                if inside { before + (water - before) * under } else { before }
            }
        }
    }
}
