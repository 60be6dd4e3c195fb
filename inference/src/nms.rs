//! Suppression of doubles: of boxes of one meaning that overlap much, the best stays.
//!
//! By meaning and not by the model's class: a lorry that a model sees as truck and as car is one vehicle.

use xueliang_base::detection::Detection;

/// Boxes that enter suppression at most, best first. A busy crossing has some hundreds before suppression; the bound
/// keeps a misbehaving model from costing quadratic time.
pub const CANDIDATES_MAX: usize = 3000;

/// Sorts by falling score; equal scores by place, so that the order never depends on the model's.
pub fn sort(detections: &mut [Detection]) {
    detections.sort_by(|a, b| {
        let place = |d: &Detection| (d.rect.x0, d.rect.y0, d.rect.x1, d.rect.y1);
        b.score.total_cmp(&a.score).then(a.meaning.cmp(&b.meaning)).then_with(|| {
            let (a, b) = (place(a), place(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2)).then(a.3.total_cmp(&b.3))
        })
    });
}

/// Keeps the best of those that overlap by more than `iou`, meaning by meaning; the result is sorted by score.
pub fn suppress(detections: &mut Vec<Detection>, iou: f32) {
    sort(detections);
    detections.truncate(CANDIDATES_MAX);
    let mut kept: Vec<Detection> = Vec::new();
    for detection in detections.drain(..) {
        let double = |k: &Detection| k.meaning == detection.meaning && k.rect.iou(&detection.rect) > iou;
        if !kept.iter().any(double) {
            kept.push(detection);
        }
    }
    *detections = kept;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xueliang_base::{detection::Meaning, geometry::Rect};

    use super::*;

    fn seen(meaning: Meaning, score: f32, x: f32) -> Detection {
        Detection { meaning, score, rect: Rect::new(x, 0.2, x + 0.2, 0.6) }
    }

    #[test]
    fn the_best_of_doubles_stays_and_other_meanings_are_left_alone() {
        let mut all = vec![
            seen(Meaning::Person, 0.5, 0.11),
            seen(Meaning::Person, 0.9, 0.10),
            seen(Meaning::TwoWheeler, 0.6, 0.10),
            seen(Meaning::Person, 0.7, 0.50),
        ];
        suppress(&mut all, 0.5);
        let left: Vec<_> = all.iter().map(|d| (d.meaning, d.score)).collect();
        assert_eq!(left, [(Meaning::Person, 0.9), (Meaning::Person, 0.7), (Meaning::TwoWheeler, 0.6)]);
    }

    proptest! {
        #[test]
        fn what_is_left_never_overlaps_and_covers_what_was_there(
            boxes in prop::collection::vec((0.0f32..0.8, 0.0f32..1.0, any::<bool>()), 0..60)
        ) {
            let meaning = |p: bool| if p { Meaning::Person } else { Meaning::Vehicle };
            let all: Vec<_> = boxes.into_iter().map(|(x, score, p)| seen(meaning(p), score, x)).collect();
            let mut left = all.clone();
            suppress(&mut left, 0.4);
            for (i, a) in left.iter().enumerate() {
                for b in &left[i + 1..] {
                    prop_assert!(a.score >= b.score);
                    prop_assert!(a.meaning != b.meaning || a.rect.iou(&b.rect) <= 0.4);
                }
            }
            for d in &all {
                let held = |k: &Detection| {
                    k == d || (k.meaning == d.meaning && k.score >= d.score && k.rect.iou(&d.rect) > 0.4)
                };
                prop_assert!(left.iter().any(held));
            }
        }
    }
}
