//! Something new stays where nothing was, by coarse copies of the picture (96 by 54 grey cells).
//!
//! Tells: that a part of the picture differs from the long-term background, keeps its place and brightness for the
//! dwell, has the allowed size, lies in the zone, and is not where a person, vehicle, two-wheeler or animal is detected.
//! It is judged only at looks whose models looked for all of these ([`Condition::EXPLAINING`]), since someone who waits
//! must never be an alert; the looks between only tell which cells keep still. After `max_gap` without such a look it is
//! `NotLooked(Busy)`. The background is gain-compensated (clouds, exposure) and does not learn what differs.
//! Cannot tell: what it is; anything smaller than about three cells (a tenth of a percent of the picture); anything of the
//! brightness of its ground; an object in a crowd that keeps hiding it; an object from a person or vehicle that the
//! models miss again and again. When more than 30 % of the cells change at once it is the light or the camera:
//! `NotLooked(Blind)`, and after two minutes of it the background is learned anew, with whatever lies there.
//!
//! While an incident is active its regions are not learned: absence is only what the bare ground shows. What hides them is
//! `NotLooked(Blind)`. The background outlives the process ([`StaticForeground::ground`]), so that the object is still
//! one after a restart. Where it had to be learned anew with the object perhaps in it, nothing is said until the
//! object was seen to be taken, or the old ground is seen again.
//! A removed object (its ground is new too) is told by where the edges are: in the background, not in the picture.

use std::time::Duration;

use xueliang_base::{
    config::{Condition, Timing},
    detection::Meaning,
    geometry::Rect,
    incident::MeasureKind,
    look::{NotLooked, Sight, Thumbnail},
    time::Mono,
};

use super::{Finding, Moment, Place, blobs, places::Places, regions, timing::Subject};

const CELLS: usize = Thumbnail::WIDTH * Thumbnail::HEIGHT;
/// Memory of one rule's background, approximately: three numbers a cell.
pub(super) const BYTES: usize = CELLS * 16;
/// Looks whose median is the first background, and the least time between them.
const LEARN_LOOKS: usize = 5;
const LEARN_EVERY: Duration = Duration::from_secs(1);
/// Luma steps by which a cell must differ, and the share of its own brightness.
const DIFFERS: f32 = 14.0;
const DIFFERS_SHARE: f32 = 0.12;
/// Luma steps within which a cell is unchanged between looks.
const STEADY: f32 = 8.0;
/// Share of changed cells that is a change of scene.
const SCENE_CHANGE: f32 = 0.30;
/// How long a changed scene lasts before it is the scene.
const RELEARN: Duration = Duration::from_secs(120);
/// Time constant with which the background follows, in seconds.
const FOLLOW_S: f64 = 60.0;
/// What differs and is no candidate (too large, outside, a parked vehicle) is background after this long.
const ABSORB: Duration = Duration::from_secs(600);
/// Detections explain a difference for this long after they were made; those of the look before for as long as it is
/// the one before, since detectors flicker.
const EXPLAINED: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
struct Background {
    cells: Vec<f32>,
    last: Vec<f32>,
    steady_since: Vec<Mono>,
    at: Mono,
    gain: f32,
}

/// The background and what differs from it.
#[derive(Debug, Clone)]
pub(super) struct StaticForeground {
    learning: Vec<(Mono, Vec<u8>)>,
    background: Option<Background>,
    changed_since: Option<Mono>,
    explained: Vec<(Mono, Rect)>,
    /// The ground before it was learned anew, while an incident was active.
    old: Option<Vec<f32>>,
    /// Regions of the active incident whose background may hold the object.
    owed: Vec<Rect>,
    /// The last two looks at which all explaining models looked, latest first.
    explaining: [Option<Mono>; 2],
    max_gap: Duration,
    places: Places,
}

impl StaticForeground {
    /// `ground` is the background of an earlier process life.
    pub(super) fn new(timing: &Timing, ground: Option<&Thumbnail>) -> Self {
        Self {
            learning: Vec::new(),
            background: ground.map(Background::restored),
            old: None,
            owed: Vec::new(),
            changed_since: None,
            explained: Vec::new(),
            explaining: [None; 2],
            max_gap: timing.max_gap,
            places: Places::new(0.4, timing),
        }
    }
    /// The background as it is, to be kept over restarts.
    pub(super) fn ground(&self) -> Option<Thumbnail> {
        let cells = &self.background.as_ref()?.cells;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
        let cells: Vec<u8> = cells.iter().map(|cell| cell.round().clamp(0.0, 255.0) as u8).collect();
        Thumbnail::new(cells.into())
    }
    /// `active` are the regions of the rule's incident, empty where it has none.
    pub(super) fn judge(
        &mut self,
        moment: &Moment<'_>,
        place: &Place,
        (min_area, max_area): (f32, f32),
        active: &[Rect],
    ) -> Option<Finding> {
        let sight = moment.sight()?;
        let at = sight.arrival;
        let complete = self.explain(moment, sight);
        let cells = sight.scene.thumbnail.cells();
        if active.is_empty() {
            self.owed.clear();
            self.old = None;
        }
        let Some(background) = &mut self.background else {
            self.learn(at, cells, active);
            return (!active.is_empty()).then(|| Finding::not_looked(NotLooked::Blind));
        };
        if at <= background.at {
            return None;
        }
        let differs = background.compare(at, cells);
        let changed = blobs::share(differs.iter().filter(|cell| **cell).count());
        if changed > SCENE_CHANGE {
            let since = *self.changed_since.get_or_insert(at);
            if at.since(since) >= RELEARN {
                self.old = self.background.take().map(|background| background.cells);
                self.learning.clear();
                self.changed_since = None;
            }
            return Some(Finding::not_looked(NotLooked::Blind));
        }
        self.changed_since = None;
        if !complete {
            // Who or what it is cannot be told now. Only that nobody looked for so long is worth saying.
            background.follow(at, &differs, &[]);
            let lately = self.explaining[0].is_some_and(|when| at.since(when) <= self.max_gap);
            return (!lately).then(|| Finding::not_looked(NotLooked::Busy));
        }
        let still: Vec<bool> = (0..CELLS).map(|i| differs[i] && at > background.steady_since[i]).collect();
        let mut absorbed = vec![false; CELLS];
        let mut boxes = Vec::new();
        for blob in blobs::connected(&still) {
            let bounds = blobs::bounds(&blob);
            let inside = blob.iter().filter(|cell| place.contains(blobs::middle(**cell))).count();
            let fits = (min_area..=max_area).contains(&blobs::share(blob.len())) && inside * 2 >= blob.len();
            let explained = self
                .explained
                .iter()
                .any(|(_, rect)| rect.overlap(&bounds) >= 0.25 * bounds.area().min(rect.area()));
            let since = blob.iter().map(|cell| background.steady_since[*cell]).max().unwrap_or(at);
            let hole = background.is_hole(&blob);
            let touches = |rect: &Rect| rect.overlap(&bounds) >= 0.25 * bounds.area().min(rect.area());
            let owed = self.owed.iter().any(touches);
            let kept = active.iter().any(touches);
            if hole && owed {
                // What the background was learned with was taken: this is the bare ground.
                self.owed.retain(|rect| !touches(rect));
                blob.iter().for_each(|cell| absorbed[*cell] = true);
            } else if !kept && (hole || ((explained || !fits) && at.since(since) >= ABSORB)) {
                blob.iter().for_each(|cell| absorbed[*cell] = true);
            } else if fits && !explained && !owed {
                boxes.push((bounds, blob.len()));
            }
        }
        let hidden = active.iter().any(|rect| {
            let inside: Vec<usize> = cells_in(rect).collect();
            let covered = inside.iter().filter(|cell| differs[**cell] && !absorbed[**cell]).count();
            covered * 2 >= inside.len().max(1)
        });
        let doubtful = hidden || !self.owed.is_empty();
        background.follow(at, &differs, &absorbed);
        // Largest first, in case there are more than an incident carries.
        boxes.sort_by_key(|(_, cells)| std::cmp::Reverse(*cells));
        boxes.truncate(super::MAX_REGIONS);
        let rects: Vec<Rect> = boxes.iter().map(|(rect, _)| *rect).collect();
        let standing = self.places.step(at, &rects, !doubtful);
        if doubtful && standing.iter().all(|s| !s.stays) {
            // Neither the object nor the bare ground is seen.
            return Some(Finding::not_looked(NotLooked::Blind));
        }
        let area: usize = boxes.iter().map(|(_, cells)| cells).sum();
        let share = if place.zoned { blobs::share(area) / place.polygon.area() } else { blobs::share(area) };
        let mut finding = Finding::of(!rects.is_empty())
            .measure(MeasureKind::Count, f64::from(u32::try_from(rects.len()).unwrap_or(u32::MAX)))
            .measure(MeasureKind::CoveredShare, f64::from(share.min(1.0)));
        finding.subjects = standing.iter().map(|s| Subject { key: s.key, lasting: s.stays }).collect();
        finding.regions = regions(rects.into_iter());
        Some(finding)
    }
    /// Keeps where living and moving things are; tells whether this look's models looked for all of them.
    fn explain(&mut self, moment: &Moment<'_>, sight: &Sight) -> bool {
        let at = sight.arrival;
        let asked: Vec<Meaning> = Condition::EXPLAINING
            .into_iter()
            .filter(|meaning| {
                matches!(meaning, Meaning::Person | Meaning::Vehicle) || moment.eyes.sees(*meaning)
            })
            .collect();
        let complete = moment.eyes.look(&asked, &sight.views).complete;
        if complete && self.explaining[0].is_none_or(|last| at > last) {
            self.explaining = [Some(at), self.explaining[0]];
        }
        let before = self.explaining[1];
        self.explained.retain(|(when, _)| {
            let age = at.since(*when);
            age <= EXPLAINED || (age <= self.max_gap && before.is_some_and(|before| *when >= before))
        });
        for detection in sight.views.iter().flat_map(|view| &view.detections).take(128) {
            let explains =
                !matches!(detection.meaning, Meaning::PortableObject | Meaning::Fire | Meaning::Smoke);
            if explains {
                self.explained.push((at, detection.rect));
            }
        }
        let surplus = self.explained.len().saturating_sub(256);
        self.explained.drain(..surplus);
        complete
    }
    fn learn(&mut self, at: Mono, cells: &[u8], active: &[Rect]) {
        if self.learning.last().is_some_and(|(last, _)| at.since(*last) < LEARN_EVERY) {
            return;
        }
        self.learning.push((at, cells.to_vec()));
        if self.learning.len() < LEARN_LOOKS {
            return;
        }
        let median: Vec<f32> = (0..CELLS)
            .map(|i| {
                let mut values: Vec<u8> = self.learning.iter().map(|(_, cells)| cells[i]).collect();
                values.sort_unstable();
                f32::from(values[LEARN_LOOKS / 2])
            })
            .collect();
        self.learning.clear();
        let old = self.old.take();
        let bare = |rect: &Rect| old.as_ref().is_some_and(|old| shows_old_ground(old, &median, rect));
        self.owed = active.iter().filter(|rect| !bare(rect)).copied().collect();
        self.background = Some(Background {
            last: median.clone(),
            cells: median,
            steady_since: vec![at; CELLS],
            at,
            gain: 1.0,
        });
    }
}

/// The cells whose middle lies in a rectangle.
fn cells_in(rect: &Rect) -> impl Iterator<Item = usize> {
    let rect = *rect;
    (0..CELLS).filter(move |cell| {
        let middle = blobs::middle(*cell);
        (rect.x0..rect.x1).contains(&middle.x) && (rect.y0..rect.y1).contains(&middle.y)
    })
}

/// Whether a region looks as it did before, in the light that now falls around it.
fn shows_old_ground(old: &[f32], now: &[f32], rect: &Rect) -> bool {
    let (w, h) = (rect.width() / 2.0, rect.height() / 2.0);
    let around = Rect::new(rect.x0 - w, rect.y0 - h, rect.x1 + w, rect.y1 + h);
    let inside: Vec<usize> = cells_in(rect).collect();
    let (mut before, mut after) = (1.0f32, 1.0f32);
    for cell in cells_in(&around).filter(|cell| inside.binary_search(cell).is_err()) {
        before += old[cell];
        after += now[cell];
    }
    let same = |cell: &&usize| {
        let ground = old[**cell] * after / before;
        (now[**cell] - ground).abs() <= DIFFERS.max(DIFFERS_SHARE * ground.min(255.0))
    };
    inside.iter().filter(same).count() * 10 >= inside.len() * 9
}

impl Background {
    /// Of an earlier process life; every cell that still shows it is steady from the first look on.
    fn restored(ground: &Thumbnail) -> Self {
        let cells: Vec<f32> = ground.cells().iter().map(|cell| f32::from(*cell)).collect();
        Self { last: cells.clone(), cells, steady_since: vec![Mono(0); CELLS], at: Mono(0), gain: 1.0 }
    }
    /// Brings the background to the light of this look and tells which cells differ from it.
    fn compare(&mut self, at: Mono, cells: &[u8]) -> Vec<bool> {
        let mut ratios: Vec<f32> = cells
            .iter()
            .zip(&self.cells)
            .map(|(cell, back)| (f32::from(*cell) + 1.0) / (back + 1.0))
            .collect();
        let (_, median, _) = ratios.select_nth_unstable_by(CELLS / 2, f32::total_cmp);
        self.gain = median.clamp(0.25, 4.0);
        let gain = self.gain;
        self.cells.iter_mut().for_each(|back| *back *= gain);
        let mut differs = vec![false; CELLS];
        for (i, cell) in cells.iter().enumerate() {
            let (cell, back) = (f32::from(*cell), self.cells[i]);
            differs[i] = (cell - back).abs() > DIFFERS.max(DIFFERS_SHARE * back.min(255.0));
            if (cell - self.last[i] * gain).abs() > STEADY {
                self.steady_since[i] = at;
                self.last[i] = cell;
            } else {
                self.last[i] *= gain;
            }
        }
        // What the cells show now, for edges and for absorbing; steadiness keeps its own reference.
        self.shown(cells);
        differs
    }
    fn shown(&mut self, cells: &[u8]) {
        for (last, cell) in self.last.iter_mut().zip(cells) {
            // Follows slowly within the steady band, so that noise does not add up to a change.
            *last += (f32::from(*cell) - *last) * 0.2;
        }
    }
    /// Whether the part's outline lies in the background rather than in the picture: something was taken away.
    fn is_hole(&self, blob: &[usize]) -> bool {
        let (mut now, mut before) = (0.0f32, 0.0f32);
        for cell in blob {
            for other in blobs::neighbours(*cell).filter(|other| blob.binary_search(other).is_err()) {
                now += (self.last[*cell] - self.last[other]).abs();
                before += (self.cells[*cell] - self.cells[other]).abs();
            }
        }
        before > 1.3 * now
    }
    fn follow(&mut self, at: Mono, differs: &[bool], absorbed: &[bool]) {
        // A restored background has not been compared yet: the time away is no time watched.
        let dt = if self.at == Mono(0) { 0.0 } else { at.since(self.at).as_secs_f64() };
        #[expect(clippy::cast_possible_truncation, reason = "a share")]
        let rate = (1.0 - (-dt / FOLLOW_S).exp()) as f32;
        for (i, differs) in differs.iter().enumerate() {
            if absorbed.get(i).copied().unwrap_or(false) {
                self.cells[i] = self.last[i];
            } else if !differs {
                self.cells[i] += (self.last[i] - self.cells[i]) * rate;
            }
        }
        self.at = at;
    }
}
