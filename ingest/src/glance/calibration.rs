//! The first background: the median of a few glances that lie apart, and how much each cell varies around it.

use std::time::Duration;

use xueliang_base::time::Mono;

use super::{
    cells::{CELLS, Cells},
    ground::{Ground, LUMA, Level, SPREAD_LEAST},
    light::{Light, level},
};

/// Glances whose median is the background: whoever walks through is in fewer than half of them.
const LEAST: usize = 5;
const MOST: usize = 7;
/// From one to the next at least, and from first to last.
const APART: Duration = Duration::from_millis(2500);
const SPAN: Duration = Duration::from_secs(15);
/// Within which two glances count as alike while their common light is sought.
const ALIKE: Level = 4 * LUMA;

/// Glances on the way to a background.
#[derive(Debug, Clone, Default)]
pub(super) struct Calibration {
    glances: Vec<(Mono, Vec<u8>)>,
    /// The background of before, where there was one: the scene may go back to it.
    before: Option<Vec<Level>>,
}

impl Calibration {
    pub(super) fn after(before: Vec<Level>) -> Self {
        Self { glances: Vec::new(), before: Some(before) }
    }
    pub(super) fn bytes(&self) -> usize {
        self.glances.len() * CELLS
            + self.before.as_ref().map_or(0, |levels| levels.len() * size_of::<Level>())
    }
    /// Takes a glance; the background, once it is there.
    pub(super) fn add(&mut self, at: Mono, picture: &[u8], used: &Cells) -> Option<Ground> {
        if self.glances.last().is_some_and(|(last, _)| at.since(*last) < APART) {
            return None;
        }
        self.glances.push((at, picture.to_vec()));
        let first = self.glances.first().map_or(at, |(first, _)| *first);
        let enough = self.glances.len() >= LEAST && at.since(first) >= SPAN;
        (enough || self.glances.len() >= MOST).then(|| self.ground(at, picture, used))
    }
    fn ground(&mut self, at: Mono, picture: &[u8], used: &Cells) -> Ground {
        let alike = vec![ALIKE; CELLS];
        // All in the light of the last.
        let glances: Vec<Vec<Level>> = self
            .glances
            .drain(..)
            .map(|(_, glance)| {
                let levels: Vec<Level> = glance.iter().map(|cell| level(*cell)).collect();
                let mapping = Light::fit(picture, &levels, &alike, used).mapping();
                levels.into_iter().map(|level| mapping.of(level)).collect()
            })
            .collect();
        let (mut ground, mut spread) = (Vec::with_capacity(CELLS), Vec::with_capacity(CELLS));
        let mut values = Vec::with_capacity(MOST);
        for cell in 0..CELLS {
            values.clear();
            values.extend(glances.iter().map(|glance| glance[cell]));
            values.sort_unstable();
            let median = values[values.len() / 2];
            values.iter_mut().for_each(|value| *value = value.abs_diff(median));
            values.sort_unstable();
            // The largest deviation may be somebody who walked through.
            let usual = &values[..values.len() - 1];
            let mean =
                usual.iter().map(|d| u32::from(*d)).sum::<u32>() / u32::try_from(usual.len()).unwrap_or(1);
            ground.push(median);
            spread.push(Level::try_from(mean).unwrap_or(Level::MAX).max(SPREAD_LEAST));
        }
        Ground::new(at, ground, self.before.take(), spread, picture)
    }
}
