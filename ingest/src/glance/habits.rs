//! What comes and goes in each part of the picture while looks find nothing in it: branches, flags, and their shadows.
//!
//! A change that ended by itself, and in which a look found nothing while it lasted, was told *in vain*. Once there were enough of
//! them in a region, without one in which something was found, the region has a habit: what differs by no more than such changes
//! did, and has lasted for no longer, is not worth a look. So a slow hazard in front of a tree is told as soon as it outlasts the
//! wind, and what stands out from the tree is told at once. Habits are forgotten where they are not confirmed. What a look finds in a
//! region ends them there.

use std::time::Duration;

use super::{
    cells::{Cells, H, W},
    ground::{LUMA, Level, tenths},
};

/// A region is a square of so many cells a side.
const SIDE: usize = 2;
const COLUMNS: usize = W / SIDE;
const ROWS: usize = H / SIDE;

/// Changes that were told in vain and make a habit: by Laplace's rule, the next one has something in it in one of four cases at most.
const ENOUGH: u8 = 2;
/// More of them are not remembered: else a habit would outlast the weather.
const MOST: u8 = 15;
/// Changes that count lie so far apart at least: a branch swings twice a second, and that is one gust.
const APART: Duration = Duration::from_secs(6);
/// A change that lasts for longer is told, whatever came and went before: no rule's floor at rest is shorter.
const LONGEST: Duration = Duration::from_secs(10);
/// A branch reaches a little further each time, by an eighth.
const FURTHER: u16 = 8;
/// One change in vain is forgotten after so long, as the spread of a cell is: gusts come back.
const FORGOTTEN: Duration = Duration::from_secs(1800);

/// One region, and the change under way in it.
#[derive(Debug, Clone, Copy, Default)]
struct Region {
    /// Changes told in vain since something was found here.
    vain: u8,
    /// The most by which they differed when looks found nothing there, in luma steps.
    reach: u8,
    /// How long the longest of them lasted, in tenths of a second.
    lasts: u8,
    /// The same of the change under way; the reach is zero as long as no look found it empty.
    now_reach: u8,
    now_lasts: u8,
    state: u8,
}

/// There is a change under way.
const OPEN: u8 = 1;
/// Something was found in it.
const FOUND: u8 = 2;
/// A change was counted in the stretch of [`APART`] under way, and in the one before.
const COUNTED: u8 = 4;
const COUNTED_BEFORE: u8 = 8;
const LATELY: u8 = COUNTED | COUNTED_BEFORE;

/// The regions of one camera.
#[derive(Debug, Clone, Default)]
pub(super) struct Habits {
    regions: Vec<Region>,
    since_counted: Duration,
    since_forgotten: Duration,
    /// Of the time passed, what is less than a tenth.
    rest: Duration,
}

impl Habits {
    pub(super) fn new() -> Self {
        Self {
            regions: vec![Region::default(); COLUMNS * ROWS],
            since_counted: Duration::ZERO,
            since_forgotten: Duration::ZERO,
            rest: Duration::ZERO,
        }
    }
    pub(super) fn bytes(&self) -> usize {
        self.regions.len() * size_of::<Region>()
    }
    /// Nobody saw what became of the changes under way.
    pub(super) fn interrupt(&mut self) {
        self.regions.iter_mut().for_each(|region| region.state &= LATELY);
    }
    /// Takes a glance, so long after the last: the cells that differ, those beside them that nearly do, and by how much. Gives the
    /// cells in which that is a habit.
    pub(super) fn see(
        &mut self,
        passed: Duration,
        changed: &Cells,
        nearly: &Cells,
        differs: impl Fn(usize) -> Level,
    ) -> Cells {
        self.pass(passed);
        let passed = passed + self.rest;
        let older = tenths(passed);
        self.rest = passed - Duration::from_millis(100) * u32::from(older);
        let older = u8::try_from(older).unwrap_or(u8::MAX);
        let (differing, there) = (regions(*changed), regions(*nearly | *changed));
        for (region, there) in self.regions.iter_mut().zip(there) {
            region.see(older, there);
        }
        if !differing.contains(&true) {
            return Cells::EMPTY;
        }
        let mut reach = vec![0u8; self.regions.len()];
        for cell in changed.iter() {
            let reach = &mut reach[region_of(cell)];
            *reach = (*reach).max(luma(differs(cell)));
        }
        let mut habit = Cells::EMPTY;
        for (at, reach) in reach.iter().enumerate().filter(|(at, _)| differing[*at]) {
            if self.is_habit(at, *reach) {
                mark(&mut habit, at);
            }
        }
        habit & *changed
    }
    /// Learns from a look: the cells that differed where it found nothing, by how much, and those where it found something.
    pub(super) fn teach(&mut self, empty: &Cells, found: &Cells, differs: impl Fn(usize) -> Level) {
        for cell in empty.iter() {
            let region = &mut self.regions[region_of(cell)];
            region.now_reach = region.now_reach.max(luma(differs(cell)));
        }
        for (region, found) in self.regions.iter_mut().zip(regions(*found)) {
            if found {
                (region.vain, region.reach, region.lasts) = (0, 0, 0);
                region.state |= FOUND;
            }
        }
    }
    /// Whether what differs so much there comes and goes, there or right beside.
    fn is_habit(&self, at: usize, reach: u8) -> bool {
        let lasts = self.regions[at].now_lasts;
        around(at).map(|at| &self.regions[at]).any(|habit| {
            let known = u16::from(habit.reach);
            habit.vain >= ENOUGH && u16::from(reach) <= known + known / FURTHER && lasts <= habit.lasts
        })
    }
    /// Where things come and go: the regions that have a habit, and those beside them, which it reaches into.
    pub(super) fn places(&self) -> Cells {
        let mut places = Cells::EMPTY;
        for (at, _) in self.regions.iter().enumerate().filter(|(_, region)| region.vain >= ENOUGH) {
            around(at).for_each(|at| mark(&mut places, at));
        }
        places
    }
    fn pass(&mut self, passed: Duration) {
        self.since_counted += passed;
        if self.since_counted >= APART {
            self.since_counted = Duration::ZERO;
            for region in &mut self.regions {
                let before = if region.state & COUNTED == 0 { 0 } else { COUNTED_BEFORE };
                region.state = region.state & !LATELY | before;
            }
        }
        self.since_forgotten += passed;
        if self.since_forgotten >= FORGOTTEN {
            self.since_forgotten = Duration::ZERO;
            self.regions.iter_mut().for_each(|region| region.vain = region.vain.saturating_sub(1));
        }
    }
}

impl Region {
    /// Takes a glance, so many tenths of a second after the last, at which it differs or does not.
    fn see(&mut self, older: u8, differs: bool) {
        if self.state & OPEN == 0 {
            // A change may have begun right before.
            (self.now_reach, self.now_lasts) = (0, 0);
            self.state = self.state & LATELY | if differs { OPEN } else { 0 };
            return;
        }
        // It may have lasted until right before this one.
        self.now_lasts = self.now_lasts.saturating_add(older);
        if !differs {
            self.end();
        }
    }
    /// The change under way has ended by itself.
    fn end(&mut self) {
        let in_vain = self.now_reach > 0 && self.state & FOUND == 0;
        if in_vain {
            let longest = u8::try_from(tenths(LONGEST)).unwrap_or(u8::MAX);
            self.reach = self.reach.max(self.now_reach);
            self.lasts = self.lasts.max(self.now_lasts).min(longest);
            self.vain = (self.vain + u8::from(self.state & LATELY == 0)).min(MOST);
            // Each one puts the next off.
            self.state |= COUNTED;
        }
        self.state &= LATELY;
    }
}

fn region_of(cell: usize) -> usize {
    cell / W / SIDE * COLUMNS + cell % W / SIDE
}
/// A region and those that touch it.
fn around(at: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (at % COLUMNS, at / COLUMNS);
    (y.saturating_sub(1)..(y + 2).min(ROWS))
        .flat_map(move |y| (x.saturating_sub(1)..(x + 2).min(COLUMNS)).map(move |x| y * COLUMNS + x))
}
fn regions(cells: Cells) -> Vec<bool> {
    let mut regions = vec![false; COLUMNS * ROWS];
    cells.iter().for_each(|cell| regions[region_of(cell)] = true);
    regions
}
fn mark(cells: &mut Cells, region: usize) {
    let first = region / COLUMNS * SIDE * W + region % COLUMNS * SIDE;
    (0..SIDE).for_each(|y| (0..SIDE).for_each(|x| cells.set(first + y * W + x)));
}
fn luma(level: Level) -> u8 {
    u8::try_from(level.div_ceil(LUMA)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cells of two regions side by side.
    fn place() -> Cells {
        let mut cells = Cells::EMPTY;
        (0..4).for_each(|x| cells.set(20 * W + 40 + x));
        cells
    }

    proptest! {
        #[test]
        fn whatever_came_and_went_what_stays_is_told_within_ten_seconds_and_a_glance(
            history in prop::collection::vec((50u64..5000, any::<bool>(), 0u16..200, 0u8..4), 1..300),
            every in 50u64..5000,
            reach in 1u16..200,
        ) {
            let mut habits = Habits::new();
            let none = Cells::EMPTY;
            let at = |habits: &mut Habits, passed: u64, there: bool, reach: u16| {
                let cells = if there { place() } else { none };
                habits.see(Duration::from_millis(passed), &cells, &cells, |_| reach * LUMA)
            };
            for (passed, there, reach, look) in history {
                let habit = at(&mut habits, passed, there, reach);
                prop_assert!(there || habit.is_empty());
                match look {
                    0 if there => habits.teach(&place(), &none, |_| reach * LUMA),
                    1 if there => {
                        habits.teach(&none, &place(), |_| reach * LUMA);
                        prop_assert!(habits.regions[region_of(20 * W + 40)].vain == 0);
                    }
                    _ => {}
                }
            }
            at(&mut habits, every, false, 0);
            let mut lasted = 0;
            while !at(&mut habits, every, true, reach).is_empty() {
                prop_assert!(lasted <= 10_100, "still a habit after {lasted} ms");
                lasted += every;
            }
        }
    }
}
