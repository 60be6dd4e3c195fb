//! What each cell of a camera's thumbnail usually looks like, and how long it has looked as it does now.
//!
//! Levels are luma in 128ths, 16 bits, with room beyond black and white: ten bytes a cell in all, 52 KB a camera.

use std::time::Duration;

use xueliang_base::time::Mono;

use super::{
    cells::{CELLS, Cells},
    habits::Habits,
    light::{Light, level, share_of, shown},
};

/// Luma in 128ths of a step, from [`BLACK`] on. A background keeps what another light drives beyond black or white: it
/// comes back.
pub(super) type Level = u16;
/// One step of luma.
pub(super) const LUMA: Level = 128;
/// Luma 0.
pub(super) const BLACK: Level = 64 * LUMA;
/// No level: above all that a byte makes.
const NONE: Level = Level::MAX;

/// A cell differs by more than this and [`SPREADS`] times its spread. A byte rounds by half a step, and encoders by
/// another; two steps are seen by nobody.
const TOLERANCE: Level = 2 * LUMA;
const SPREADS: Level = 6;
/// The least spread, a quarter step: what rounding alone makes.
pub(super) const SPREAD_LEAST: Level = LUMA / 4;
/// The most: a cell that differs by 60 steps is always told.
const SPREAD_MOST: Level = 58 * LUMA / SPREADS;
/// Cells that must differ side by side: a thumbnail shows a person whom a detector would find in more.
const PART: usize = 4;
/// Share of what a moving cell differs by that one look that finds nothing there adds to its spread: a few such looks
/// quieten a branch.
const CALMS: u32 = 8;

/// A change that has looked alike for so long stands.
pub(super) const STANDS: Duration = Duration::from_secs(3);
/// What stands is judged by two looks that lie at least so far apart.
const JUDGED: Duration = Duration::from_secs(8);
/// What stands and has been judged empty is background after this long.
pub(super) const ABSORBED: Duration = Duration::from_secs(600);
/// Time constant with which background and spread follow what does not differ: slower than any hazard.
const FOLLOWS_S: f32 = 600.0;
/// And of a spread that falls: gusts come back.
const CALMS_DOWN_S: f32 = 1800.0;
/// How often they follow: a step of a level is 1/128, and a slower clock takes smaller shares.
const FOLLOWS_EVERY: Duration = Duration::from_secs(4);
/// A longer pause between glances was not watched: nothing is known to have stood in it.
const PAUSE: Duration = Duration::from_secs(60);

/// Share of differing cells above which the scene is new.
const GLOBAL: f32 = 0.4;
/// A new scene that has stood for so long, and was judged, is learned.
const SETTLES: Duration = Duration::from_secs(10);

/// What a glance saw, cell by cell. The sets but `moved` and `restless` are disjoint.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    /// Differs from the glance before, wherever that was.
    pub(super) moved: Cells,
    /// Where things come and go in vain.
    pub(super) restless: Cells,
    /// Differs, and has not stood.
    pub(super) moving: Cells,
    /// Differs and stands, and looks have not judged it.
    pub(super) staying: Cells,
    /// Differs and stands, and a look found something there.
    pub(super) kept: Cells,
    /// Differs and stands, and two looks found nothing there; or differs as it does now and then.
    pub(super) waiting: Cells,
    /// Most of the picture differs.
    pub(super) global: bool,
    /// The scene went back to the background of before.
    pub(super) flipped: bool,
    pub(super) light: Light,
}

/// What a look taught: cells, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taught {
    /// Differ where the look found something: kept until a look finds nothing there.
    pub kept: usize,
    /// Differ and stand where the look found nothing.
    pub judged: usize,
    /// Of these, those that are background from now on.
    pub absorbed: usize,
    /// Differ and move where the look found nothing: told less easily from now on.
    pub calmed: usize,
    /// The look saw a new scene: the background is learned anew.
    pub restarted: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// The long-term background.
    ground: Vec<Level>,
    /// A second one that is as good, or [`NONE`]: what was the background before.
    other: Vec<Level>,
    /// The short-term background: what the cell has looked like since it last changed.
    lately: Vec<Level>,
    /// Mean deviation that is usual.
    spread: Vec<Level>,
    /// Tenths of a second for which the cell has looked like `lately`.
    steady: Vec<u16>,
    /// Differing cells that one look judged empty, that two did, and where one found something.
    judged: Cells,
    cleared: Cells,
    kept: Cells,
    habits: Habits,
    at: Mono,
    followed_at: Mono,
    global_since: Option<Mono>,
    /// Of the time passed, what is less than a tenth.
    rest: Duration,
}

/// One picture against both backgrounds.
struct Compared {
    /// Differs from the long-term background, by its tolerance and by three fifths of it.
    strong: Cells,
    weak: Cells,
    /// The same against the short-term one.
    moved: Cells,
    moved_weak: Cells,
}

impl Compared {
    /// Cells that differ, and those beside them that nearly do, in parts of some size.
    fn changed(&self) -> Cells {
        self.weak.without_lone().reached_from(&self.strong).without_specks(PART)
    }
}

impl Ground {
    pub(super) fn new(
        at: Mono,
        ground: Vec<Level>,
        other: Option<Vec<Level>>,
        spread: Vec<Level>,
        picture: &[u8],
    ) -> Self {
        Self {
            ground,
            other: other.unwrap_or_else(|| vec![NONE; CELLS]),
            lately: picture.iter().map(|cell| level(*cell)).collect(),
            spread,
            steady: vec![0; CELLS],
            judged: Cells::EMPTY,
            cleared: Cells::EMPTY,
            kept: Cells::EMPTY,
            habits: Habits::new(),
            at,
            followed_at: at,
            global_since: None,
            rest: Duration::ZERO,
        }
    }
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + 5 * CELLS * size_of::<Level>() + self.habits.bytes()
    }
    /// Takes a picture in.
    pub(super) fn see(&mut self, at: Mono, picture: &[u8], used: &Cells) -> Sighting {
        let passed = at.since(self.at);
        self.at = at;
        let tolerance = self.tolerance();
        let mut light = Light::fit(picture, &self.ground, &tolerance, used);
        let mut flipped = false;
        if share_of(light.explains(picture, &self.ground, &tolerance, used), used) < 1.0 - GLOBAL {
            let known = flagged(self.other.iter().map(|level| *level != NONE)) & *used;
            let other = Light::fit(picture, &self.other, &tolerance, &known);
            let explains = other.explains(picture, &self.other, &tolerance, &known);
            if share_of(explains, used) > 1.0 - GLOBAL {
                std::mem::swap(&mut self.ground, &mut self.other);
                (light, flipped) = (other, true);
            }
        }
        let mut compared = self.compare(picture, light, &tolerance, used);
        let changed = compared.changed();
        let global = share_of(changed.count(), used) > GLOBAL;
        if !global && !light.is_same() {
            // From here on all is in this picture's light.
            let mapping = light.mapping();
            for levels in [&mut self.ground, &mut self.other, &mut self.lately] {
                let known = |level: Level| if level == NONE { NONE } else { mapping.of(level) };
                levels.iter_mut().for_each(|level| *level = known(*level));
            }
        } else if global {
            // No light explains it: what moved is what differs from the glance before as it was.
            compared = self.compare(picture, Light::SAME, &tolerance, used);
        }
        self.global_since = global.then(|| self.global_since.unwrap_or(at));
        self.settle(passed, picture, &compared.moved);
        let standing = self.steady_for(STANDS);
        let unsettled = compared.weak | changed;
        self.judged &= unsettled & !compared.moved;
        self.cleared &= unsettled & !compared.moved;
        self.kept &= unsettled;
        if !global {
            self.follow(at, picture, &tolerance, &changed);
        }
        let habit = self.habit(passed, picture, global, &compared, &changed);
        let changed = changed & !habit;
        let moving = changed & !standing;
        let (kept, cleared) = (changed & standing & self.kept, changed & standing & self.cleared);
        let kept_or_cleared = kept | cleared;
        Sighting {
            moved: compared.moved_weak.without_lone().reached_from(&compared.moved).without_specks(PART),
            restless: self.habits.places(),
            moving: moving.without_lone(),
            staying: (changed & standing & !kept_or_cleared).without_lone(),
            kept,
            waiting: (cleared & !kept) | habit,
            global,
            flipped,
            light,
        }
    }
    /// Of the cells that differ, those in which that comes and goes and looks have found nothing. What one found there is not.
    fn habit(
        &mut self,
        passed: Duration,
        picture: &[u8],
        global: bool,
        compared: &Compared,
        changed: &Cells,
    ) -> Cells {
        let mut habits = std::mem::take(&mut self.habits);
        let habit = if global || passed > PAUSE {
            habits.interrupt();
            Cells::EMPTY
        } else {
            habits.see(passed, changed, &compared.weak, |cell| self.differs(cell, picture, Light::SAME))
        };
        self.habits = habits;
        habit & !self.kept
    }
    /// Learns from a look at a picture: in `found` it found something, elsewhere nothing.
    pub(super) fn teach(&mut self, at: Mono, picture: &[u8], found: &Cells, used: &Cells) -> Taught {
        let tolerance = self.tolerance();
        let light = Light::fit(picture, &self.ground, &tolerance, used);
        let compared = self.compare(picture, light, &tolerance, used);
        let changed = compared.changed();
        let empty = changed & !*found;
        let mut taught = Taught::default();
        let kept = changed & *found;
        if share_of(changed.count(), used) > GLOBAL {
            // Nothing can be said of single cells. What fills the view and was found is no new scene.
            let settled = self.global_since.is_some_and(|since| at.since(since) >= SETTLES);
            taught.restarted = settled && empty.count() * 2 > changed.count();
            taught.kept = kept.count();
            self.kept |= kept;
            return taught;
        }
        let mut habits = std::mem::take(&mut self.habits);
        habits.teach(&empty, &kept, |cell| self.differs(cell, picture, light));
        self.habits = habits;
        // A cell that has changed since the look's picture stands for nothing that the look saw.
        let stood = empty & self.steady_for(STANDS) & !compared.moved;
        let absorbed = stood & self.cleared & self.steady_for(ABSORBED);
        for cell in absorbed.iter() {
            self.other[cell] = self.ground[cell];
            self.ground[cell] = self.lately[cell];
        }
        // What a look has found takes one more: detectors overlook things.
        let again = stood & self.judged & self.steady_for(JUDGED);
        self.cleared |= again & !self.kept;
        self.kept &= !again;
        self.judged |= stood;
        self.cleared &= !absorbed;
        self.judged &= !absorbed;
        let moves = empty & !stood;
        for cell in moves.iter() {
            let differs = self.differs(cell, picture, light);
            let more = u32::from(differs.saturating_sub(self.spread[cell])) / CALMS;
            self.spread[cell] += Level::try_from(more).unwrap_or(0);
            self.spread[cell] = self.spread[cell].min(SPREAD_MOST);
        }
        self.kept |= kept;
        self.judged &= !kept;
        self.cleared &= !kept;
        let stands = tenths(STANDS);
        // Absorbing counts from the last time that something was found.
        for cell in kept.iter() {
            self.steady[cell] = self.steady[cell].min(stands);
        }
        taught.kept = kept.count();
        taught.judged = stood.count();
        taught.absorbed = absorbed.count();
        taught.calmed = moves.count();
        taught
    }
    /// The background, to be kept as the one of before.
    pub(super) fn levels(&self) -> Vec<Level> {
        self.ground.clone()
    }
    /// How many tolerances a cell differs by.
    pub(super) fn excess(&self, cell: usize, picture: &[u8]) -> f32 {
        let tolerance = tolerance_of(self.spread[cell]);
        f32::from(self.differs(cell, picture, Light::SAME)) / f32::from(tolerance)
    }

    fn differs(&self, cell: usize, picture: &[u8], light: Light) -> Level {
        let now = level(picture[cell]);
        let mapping = light.mapping();
        let from =
            |level: Level| if level == NONE { Level::MAX } else { shown(mapping.of(level)).abs_diff(now) };
        from(self.ground[cell]).min(from(self.other[cell]))
    }
    fn tolerance(&self) -> Vec<Level> {
        self.spread.iter().map(|spread| tolerance_of(*spread)).collect()
    }
    fn steady_for(&self, time: Duration) -> Cells {
        let least = tenths(time);
        flagged(self.steady.iter().map(|steady| *steady >= least))
    }
    fn compare(&self, picture: &[u8], light: Light, tolerance: &[Level], used: &Cells) -> Compared {
        let mapping = light.mapping();
        let (mut apart, mut moved) = (vec![0; CELLS], vec![0; CELLS]);
        for ((apart, now), (ground, other)) in
            apart.iter_mut().zip(picture).zip(self.ground.iter().zip(&self.other))
        {
            let now = level(*now);
            let second = if *other == NONE { Level::MAX } else { shown(mapping.of(*other)).abs_diff(now) };
            *apart = shown(mapping.of(*ground)).abs_diff(now).min(second);
        }
        for ((moved, now), lately) in moved.iter_mut().zip(picture).zip(&self.lately) {
            *moved = shown(mapping.of(*lately)).abs_diff(level(*now));
        }
        let above =
            |values: &[Level]| flagged(values.iter().zip(tolerance).map(|(v, most)| v > most)) & *used;
        let nearly = |values: &[Level]| {
            let pairs = values.iter().zip(tolerance);
            flagged(pairs.map(|(v, most)| u32::from(*v) * 5 > u32::from(*most) * 3)) & *used
        };
        Compared {
            strong: above(&apart),
            weak: nearly(&apart),
            moved: above(&moved),
            moved_weak: nearly(&moved),
        }
    }
    /// Brings the short-term background on.
    fn settle(&mut self, passed: Duration, picture: &[u8], moved: &Cells) {
        let watched = if passed > PAUSE { Duration::ZERO } else { passed + self.rest };
        let older = tenths(watched);
        self.rest = watched - Duration::from_millis(u64::from(older) * 100);
        // Nothing is known to have stood in a pause.
        let keeps = u16::from(passed <= PAUSE);
        let fresh = tenths(JUDGED);
        let moved = moved.flags();
        let cells = picture.iter().zip(&moved).zip(self.lately.iter_mut().zip(&mut self.steady));
        for ((now, moved), (lately, steady)) in cells {
            let now = level(*now);
            let still = *moved == 0;
            *steady = if still { steady.saturating_add(older) * keeps } else { 0 };
            // The mean of a few glances, then all but fixed: what creeps must not take it along.
            let mean = towards_third(*lately, now);
            *lately = if !still {
                now
            } else if *steady < fresh {
                mean
            } else {
                *lately
            };
        }
    }
    /// Lets the backgrounds and the spread of what does not differ follow.
    fn follow(&mut self, at: Mono, picture: &[u8], tolerance: &[Level], changed: &Cells) {
        let passed = at.since(self.followed_at);
        if passed < FOLLOWS_EVERY {
            return;
        }
        self.followed_at = at;
        let passed = passed.min(PAUSE).as_secs_f32();
        for cell in 0..CELLS {
            let now = level(picture[cell]);
            let lately = self.lately[cell];
            self.lately[cell] = nudged(lately, now, passed / FOLLOWS_S);
            if changed.has(cell) {
                continue;
            }
            let nearest = if self.other[cell] != NONE
                && self.other[cell].abs_diff(now) < self.ground[cell].abs_diff(now)
            {
                &mut self.other[cell]
            } else {
                &mut self.ground[cell]
            };
            *nearest = nudged(*nearest, now, passed / FOLLOWS_S);
            let deviates = lately.abs_diff(now).min(tolerance[cell]);
            let spread = self.spread[cell];
            let time = if deviates < spread { CALMS_DOWN_S } else { FOLLOWS_S };
            self.spread[cell] = nudged(spread, deviates, passed / time).clamp(SPREAD_LEAST, SPREAD_MOST);
        }
    }
}

fn flagged(flags: impl Iterator<Item = bool>) -> Cells {
    let flags: Vec<u8> = flags.map(u8::from).collect();
    Cells::from_flags(&flags)
}

fn towards_third(from: Level, to: Level) -> Level {
    // 77/256 of the way.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two levels")]
    let there = (i32::from(from) + (((i32::from(to) - i32::from(from)) * 77) >> 8)) as Level;
    there
}

fn tolerance_of(spread: Level) -> Level {
    TOLERANCE + spread.min(SPREAD_MOST) * SPREADS
}

pub(super) fn tenths(time: Duration) -> u16 {
    u16::try_from(time.as_millis() / 100).unwrap_or(u16::MAX)
}

fn towards(from: Level, to: Level, share: f32) -> Level {
    let step = f32::from(from.abs_diff(to)) * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a level")]
    let step = step.round() as Level;
    if to > from { from + step } else { from - step }
}

/// As [`towards`], and by one 128th at least.
fn nudged(from: Level, to: Level, share: f32) -> Level {
    let there = towards(from, to, share.min(1.0));
    match to.cmp(&from) {
        std::cmp::Ordering::Greater => there.max(from + 1),
        std::cmp::Ordering::Less => there.min(from - 1),
        std::cmp::Ordering::Equal => there,
    }
}
