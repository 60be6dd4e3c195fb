//! Glances at the pictures of a sub-stream. Its thumbnails are held against a background of its own: those of the main
//! stream are another encoder's.
//!
//! It shows the same field of view, so zones, masks and what looks find lie where they lie in the main stream. What a look of
//! the main stream found is taught with the sub-stream's picture of that moment.

use std::{collections::VecDeque, time::Duration};

use xueliang_base::{gate::WakeReason, geometry::Rect, look::Thumbnail, time::Mono};
use xueliang_ingest::glance::{Glance, Glimpse, State, Watch};

/// The tier speaks by the sub-stream while its pictures are no older.
const LIVE: Duration = Duration::from_secs(2);
/// Thumbnails are kept for the answers of looks: as far apart, and as many.
const KEPT_APART: Duration = Duration::from_millis(150);
const KEPT: usize = 16;
/// A picture that lies further from that of the look does not show what the look saw.
const SAME_MOMENT: Duration = Duration::from_millis(250);
/// What moves has moved on a little: found rectangles reach so much further on each side, in shares of the picture.
const WIDER: f32 = 0.03;

pub(super) struct SubGlances {
    glance: Glance,
    /// A change that only stands there asks for a look as often as glances at the main stream would.
    every: Duration,
    /// Arrival of the latest picture, and whether there was a background for it.
    latest: Option<(Mono, bool)>,
    kept: VecDeque<(Mono, Thumbnail)>,
    /// What a look found, whose moment has not come here yet.
    lesson: Option<(Mono, Vec<Rect>)>,
    asked: Option<Mono>,
}

impl SubGlances {
    pub(super) fn new(watch: Watch, every: Duration) -> Self {
        Self {
            glance: Glance::new(watch),
            every,
            latest: None,
            kept: VecDeque::new(),
            lesson: None,
            asked: None,
        }
    }
    /// Takes a picture's thumbnail.
    pub(super) fn see(&mut self, at: Mono, thumbnail: &Thumbnail) -> Option<Glimpse> {
        let glimpse = self.glance.see(at, thumbnail)?;
        self.latest = Some((at, glimpse.state != State::Calibrating));
        if self.kept.back().is_none_or(|(last, _)| at.since(*last) >= KEPT_APART) {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back((at, thumbnail.clone()));
            if let Some((moment, found)) = self.lesson.take_if(|(moment, _)| at >= *moment) {
                self.teach(moment, &found);
            }
        }
        Some(glimpse)
    }
    /// Whether what is wrong with a glance for this reason is worth asking for a look now.
    pub(super) fn asks(&mut self, at: Mono, reason: WakeReason) -> bool {
        let asks = match reason {
            WakeReason::Moving => return true,
            WakeReason::Staying | WakeReason::Global => {
                self.asked.is_none_or(|asked| at.since(asked) >= self.every)
            }
            WakeReason::Kept => false,
        };
        if asks {
            self.asked = Some(at);
        }
        asks
    }
    /// Whether it tells of this moment.
    pub(super) fn tells(&self, at: Mono) -> bool {
        self.latest.is_some_and(|(latest, known)| known && at.since(latest) <= LIVE)
    }
    /// Learns from a look at a picture of the main stream: its arrival, and what was found.
    pub(super) fn learn(&mut self, moment: Mono, found: Vec<Rect>) {
        if self.kept.back().is_some_and(|(newest, _)| *newest >= moment) {
            self.teach(moment, &found);
        } else {
            self.lesson = Some((moment, found));
        }
    }
    fn teach(&mut self, moment: Mono, found: &[Rect]) {
        let apart = |at: Mono| at.since(moment).max(moment.since(at));
        let nearest = self.kept.iter().min_by_key(|(at, _)| apart(*at));
        let Some((at, thumbnail)) = nearest.filter(|(at, _)| apart(*at) <= SAME_MOMENT) else { return };
        let wider = |rect: &Rect| {
            Rect::new(rect.x0 - WIDER, rect.y0 - WIDER, rect.x1 + WIDER, rect.y1 + WIDER).clamped()
        };
        let found: Vec<Rect> = found.iter().map(wider).collect();
        self.glance.teach(*at, thumbnail, &found);
    }
}
