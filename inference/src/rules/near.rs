//! How near a look came to a threshold that it missed: for people who ask why there was no alert. Decides nothing.

use xueliang_base::{
    config::Condition,
    detection::{Detection, Meaning},
    geometry::Rect,
    incident::{MeasureKind, ThresholdKind},
};

use super::{Conditioned, Finding, Moment, blocking, burning};

/// A threshold that was missed, and by how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Near {
    pub(crate) kind: ThresholdKind,
    /// The value that came nearest.
    pub(crate) best: f64,
    /// The value it takes.
    pub(crate) needed: f64,
}

impl Near {
    /// Whether this one came nearer than another of its kind.
    pub(crate) fn beats(&self, other: &Near) -> bool {
        match self.kind {
            // These are missed from above.
            ThresholdKind::MeanLuma | ThresholdKind::ViewMatch => self.best < other.best,
            _ => self.best > other.best,
        }
    }
}

/// Whether something of the right meaning and score was seen, and not where the rule looks.
pub(crate) type Elsewhere = bool;

impl Conditioned {
    /// What a look that did not see the condition missed it by, and whether what it saw was elsewhere.
    pub(crate) fn near(&self, moment: &Moment<'_>, finding: &Finding) -> (Option<Near>, Elsewhere) {
        let place = &self.place;
        let measured = |measure: MeasureKind, kind, needed: f64| {
            let one = finding.measures.iter().find(|one| one.kind == measure)?;
            Some(Near { kind, best: one.value, needed })
        };
        let centre = |rect: &Rect| place.contains(rect.foot());
        match &self.condition {
            Condition::InZone { meanings, min_score }
            | Condition::AgainstDirection { meanings, min_score, .. } => {
                scores(moment, meanings, *min_score, centre)
            }
            Condition::Blocking { meanings, min_score, min_inside } => {
                scores(moment, meanings, *min_score, |rect| blocking::inside(place, rect, *min_inside))
            }
            Condition::Burning { meaning, min_score } => {
                scores(moment, &[*meaning], *min_score, |rect| burning::inside(place, rect))
            }
            Condition::Density { per_m2, .. } => {
                let density = measured(MeasureKind::DensityPerM2, ThresholdKind::DensityPerM2, *per_m2);
                (density, false)
            }
            Condition::Dark { max_luma } => {
                let luma = measured(MeasureKind::MeanLuma, ThresholdKind::MeanLuma, f64::from(*max_luma));
                (luma, false)
            }
            Condition::Moved { min_match } => {
                let similar =
                    measured(MeasureKind::ViewMatch, ThresholdKind::ViewMatch, f64::from(*min_match));
                (similar, false)
            }
            Condition::StaticForeground { .. }
            | Condition::Covered { .. }
            | Condition::Frozen
            | Condition::NoSignal => (None, false),
        }
    }
}

/// The best score below the threshold of what is inside, and whether anything above it is outside.
fn scores(
    moment: &Moment<'_>,
    meanings: &[Meaning],
    min_score: f32,
    inside: impl Fn(&Rect) -> bool,
) -> (Option<Near>, Elsewhere) {
    let Some(sight) = moment.sight() else { return (None, false) };
    let looked = moment.eyes.look(meanings, &sight.views);
    let (within, without): (Vec<&Detection>, Vec<&Detection>) =
        looked.hits.iter().map(|hit| hit.detection).partition(|detection| inside(&detection.rect));
    let low = within.iter().map(|detection| detection.score).filter(|score| *score < min_score);
    let near = low.max_by(f32::total_cmp).map(|score| Near {
        kind: ThresholdKind::Score,
        best: f64::from(score),
        needed: f64::from(min_score),
    });
    (near, without.iter().any(|detection| detection.score >= min_score))
}
