//! Places in the picture that something keeps: boxes that agree with the box first seen there.
//!
//! The anchor is the first box and never follows, so that what creeps forward is not taken for standing. A box that
//! goes and comes back to the same place within `forget` is the same subject: detectors flicker. Hence two lorries that
//! take the very same place one after the other, between two looks, cannot be told apart.

use std::time::Duration;

use xueliang_base::{geometry::Rect, time::Mono};

/// Places remembered; the ones not seen for longest go first.
const MAX_PLACES: usize = 64;

#[derive(Debug, Clone)]
struct Kept {
    key: u64,
    anchor: Rect,
    first: Mono,
    last: Mono,
    last_look: u64,
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
    /// Whether one of the two looks before saw it too: it stays, and does not merely come by again.
    pub(super) stays: bool,
}

/// The places of one rule.
#[derive(Debug)]
pub(super) struct Places {
    min_iou: f32,
    forget: Duration,
    kept: Vec<Kept>,
    next: u64,
    look: u64,
}

impl Places {
    pub(super) fn new(min_iou: f32, forget: Duration) -> Self {
        Self { min_iou, forget, kept: Vec::new(), next: 1, look: 0 }
    }
    /// Takes the boxes of one look; every box gets a place, an old one where it agrees best.
    pub(super) fn step(&mut self, at: Mono, boxes: &[Rect]) -> Vec<Standing> {
        self.look += 1;
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
                    last_look: self.look,
                });
                self.next += 1;
                self.kept.len() - 1
            });
            let kept = &mut self.kept[slot];
            let ago = self.look - kept.last_look;
            kept.last = at;
            kept.last_look = self.look;
            let (key, since) = (kept.key, at.since(kept.first));
            standing.push(Standing { index, key, since, stays: (1..=2).contains(&ago) });
        }
        if self.kept.len() > MAX_PLACES {
            self.kept.sort_by_key(|kept| (std::cmp::Reverse(kept.last), kept.key));
            self.kept.truncate(MAX_PLACES);
        }
        standing
    }
}
