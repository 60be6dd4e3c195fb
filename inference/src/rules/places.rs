//! Places in the picture that something keeps: boxes that agree with the box first seen there.
//!
//! The anchor is the first box and never follows, so that what creeps forward is not taken for standing. A box that
//! goes and comes back to the same place within `forget` is the same subject: detectors flicker. Hence two lorries that
//! take the very same place one after the other, between two looks, cannot be told apart.
//!
//! Whether something *stays* is told by time, not by a count of looks, so that it does not depend on how often the
//! camera is looked at: it was seen there at most `max_gap` ago, was not seen to be missing for half the time that would
//! resolve an incident, and has been there for a quarter of the dwell or five seconds.

use std::time::Duration;

use xueliang_base::{config::Timing, geometry::Rect, time::Mono};

/// Places remembered; the ones not seen for longest go first.
const MAX_PLACES: usize = 64;
/// What has kept its place for this long stays, however long the dwell: traffic moves on within it.
const STAYS_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
struct Kept {
    key: u64,
    anchor: Rect,
    first: Mono,
    last: Mono,
    /// Since when it has kept its place without a break.
    stays_since: Mono,
    /// The first look after `last` that would have seen it and did not.
    missed: Option<Mono>,
}

/// A box of this look that agrees with a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Index into the boxes given.
    pub(super) index: usize,
    /// The place.
    pub(super) key: u64,
    /// Time since the place was first taken.
    pub(super) since: Duration,
    /// Whether it has kept its place for some time: it stays, and does not merely come by.
    pub(super) stays: bool,
}

/// The places of one rule.
#[derive(Debug, Clone)]
pub(super) struct Places {
    min_iou: f32,
    forget: Duration,
    max_gap: Duration,
    /// Seen to be missing for longer, what comes back is another one.
    missing_max: Duration,
    stays_after: Duration,
    kept: Vec<Kept>,
    next: u64,
}

impl Places {
    pub(super) fn new(min_iou: f32, timing: &Timing) -> Self {
        Self {
            min_iou,
            forget: timing.dwell.max(timing.max_gap).max(timing.clear) * 2,
            max_gap: timing.max_gap,
            missing_max: timing.clear / 2,
            stays_after: STAYS_AFTER.min(timing.dwell / 4),
            kept: Vec::new(),
            next: 1,
        }
    }
    /// Takes the boxes of one look; every box gets a place, an old one where it agrees best. `sure` says whether the
    /// look would have seen whatever is there, so that a place without a box was seen to be empty.
    pub(super) fn step(&mut self, at: Mono, boxes: &[Rect], sure: bool) -> Vec<Standing> {
        let forget = self.forget;
        self.kept.retain(|kept| at.since(kept.last) <= forget);
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (index, rect) in boxes.iter().enumerate() {
            for (slot, kept) in self.kept.iter().enumerate() {
                let iou = kept.anchor.iou(rect);
                if iou >= self.min_iou {
                    pairs.push((iou, index, slot));
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut slots: Vec<Option<usize>> = vec![None; boxes.len()];
        let mut taken = vec![false; self.kept.len()];
        for (_, index, slot) in pairs {
            if slots[index].is_none() && !taken[slot] {
                slots[index] = Some(slot);
                taken[slot] = true;
            }
        }
        let mut standing = Vec::with_capacity(boxes.len());
        for (index, rect) in boxes.iter().enumerate() {
            let slot = slots[index].unwrap_or_else(|| {
                self.kept.push(Kept {
                    key: self.next,
                    anchor: *rect,
                    first: at,
                    last: at,
                    stays_since: at,
                    missed: None,
                });
                self.next += 1;
                taken.push(true);
                self.kept.len() - 1
            });
            let kept = &mut self.kept[slot];
            let missing = kept.missed.take().map_or(Duration::ZERO, |missed| at.since(missed));
            if at.since(kept.last) > self.max_gap || missing > self.missing_max {
                kept.stays_since = at;
            }
            kept.last = at;
            let stays = at > kept.stays_since && at.since(kept.stays_since) >= self.stays_after;
            standing.push(Standing { index, key: kept.key, since: at.since(kept.first), stays });
        }
        for (kept, taken) in self.kept.iter_mut().zip(&taken) {
            if sure && !taken {
                kept.missed.get_or_insert(at);
            }
        }
        if self.kept.len() > MAX_PLACES {
            self.kept.sort_by_key(|kept| (std::cmp::Reverse(kept.last), kept.key));
            self.kept.truncate(MAX_PLACES);
        }
        standing
    }
}
