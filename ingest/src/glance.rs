//! Glances, the pixel tier: is anything different, and is that worth a look?
//!
//! A glance holds one thumbnail of a decoded picture ([`Thumbnail`], taken after the privacy masks were painted) against
//! two backgrounds of its camera. The *short-term* one is what a cell has looked like since it last changed: it tells what
//! moves now from what stands. The *long-term* one is what the scene looks like when nothing is there. It tells what is new
//! and stays: smoke, rising water, a parked lorry, a bag. Any rate will do: a keyframe every few seconds, or every picture
//! of a sub-stream.
//!
//! What does not count: one gain and one offset of the light over the whole picture (clouds, exposure, dusk); what each
//! cell usually varies by (sensor noise, branches, rain), which is measured; fewer than four cells side by side; changes
//! away from all zones that rules watch; what creeps by less than about half a luma step a minute.
//!
//! **A change is absorbed by looks alone.** It wakes until two looks have seen it stand and found nothing there, the second
//! once it has stood for eight seconds; any further change of it wakes again. It becomes background once it has stood for
//! ten minutes and looks still find nothing there, counted from the last that did. What a look found is kept until two in
//! a row find nothing there, and quiet after a third. Without looks a change stays one for ever. A cell that moves while a
//! look finds nothing there grows more tolerant, by an eighth of what it differs a look, and less so over half an hour.
//!
//! **What comes and goes is told a few times.** A change that looks found empty and that ended by itself was told in vain. Where that
//! happened twice since a look found something, some seconds apart, changes there wake no more that differ by no more than those did and last for no
//! longer: ten seconds at most. So a branch that leans in the wind falls silent; what stands out from it is told at once, and smoke that
//! stays in front of it when it has outlasted the wind.
//!
//! When more than two fifths of the picture are new at once (the infrared lamps of a camera at night, a turned camera, a
//! covered lens), that wakes as such and vouches for nothing. Once it has lasted for ten seconds and a look has found nothing
//! in most of it, the background is learned anew, and [`Glimpse::state`] says so. The background of before is kept beside the new
//! one, cell by cell, so that a camera that switches back is known at once.
//!
//! It is not told: what something is; what has no more contrast than the noise of its cells; anything in front of a branch
//! that waves as much, and goes as soon; what was there while the background was learned. That is what floors are for, and what they find while
//! a glance was quiet is counted against it ([`xueliang_base::gate::GateCounts`]).
//!
//! The caller wires it so: every thumbnail to [`Glance::see`]; every look's own thumbnail to [`Glance::teach`], with the rectangles
//! of all that it detected and that rules weigh or hold; [`Glimpse::label`] to the encoded tier; [`Glimpse::wake`] to the
//! scheduler; [`Glance::restart`] when the stream or the view changes. A camera takes 65 KB, and 0.9 KB a zone.

use xueliang_base::{
    gate::{Said, Tier, Wake, WakeReason},
    geometry::Rect,
    look::Thumbnail,
    time::Mono,
};

mod calibration;
mod cells;
mod ground;
mod habits;
mod light;
mod watch;

use calibration::Calibration;
pub use cells::Cells;
pub use ground::Taught;
use ground::{Ground, Sighting};
pub use light::Light;
pub use watch::Watch;

/// Evidence, in cells times tolerances, at which the score is one half.
const HALF_SCORE: f32 = 16.0;
/// More than this many tolerances say no more.
const CLEAR: f32 = 4.0;
/// A pair of glances further apart does not say when something moved.
const LABELS: std::time::Duration = std::time::Duration::from_secs(5);

/// The glances of one camera.
#[derive(Debug, Clone)]
pub struct Glance {
    watch: Watch,
    scene: Scene,
    last: Option<Mono>,
}

#[derive(Debug, Clone)]
enum Scene {
    Calibrating(Calibration),
    Known(Box<Ground>),
}

/// What a glance tells of the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none yet: nothing is vouched for.
    Calibrating,
    /// It is there.
    Known,
    /// The scene went back to the background of before: day and night of an infrared camera.
    Flipped,
}

/// One glance.
#[derive(Debug, Clone, PartialEq)]
pub struct Glimpse {
    /// Arrival of its picture.
    pub at: Mono,
    /// Whether there is a background to hold it against.
    pub state: State,
    /// What is worth a look in what rules watch; `None` where nothing is.
    pub change: Option<Change>,
    /// Share of the picture that differs and that looks have judged empty, now or when the like came and went: no reason to wake.
    pub waiting: f32,
    /// The light, against that of the glance before.
    pub light: Light,
    /// What the encoded tier may learn from it.
    pub label: Option<Label>,
}

/// What is worth a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The most urgent reason.
    pub reason: WakeReason,
    /// 0..=1; grows with the cells that changed and with how far.
    pub score: f32,
    /// Share of the picture that changed for this reason.
    pub share: f32,
    /// The rectangle around it.
    pub bounds: Rect,
    /// Which of the watched zones it lies in or near, by their place in [`Watch::new`].
    pub zones: Vec<usize>,
}

/// What happened between two glances, anywhere in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Arrival of the picture before.
    pub since: Mono,
    /// Arrival of this one.
    pub at: Mono,
    /// Whether something moved, or nothing did but what comes and goes in vain.
    pub moved: bool,
}

impl Glimpse {
    /// For the account of this tier.
    pub fn said(&self) -> Said {
        match (&self.change, self.state) {
            (Some(_), _) => Said::Awake,
            (None, State::Calibrating) => Said::Calibrating,
            (None, State::Known | State::Flipped) => Said::Quiet,
        }
    }
    /// For the scheduler.
    pub fn wake(&self) -> Option<Wake> {
        self.change.as_ref().map(|change| Wake {
            tier: Tier::Pixels,
            at: self.at,
            reason: change.reason,
            score: change.score,
            region: Some(change.bounds),
        })
    }
}

impl Glance {
    /// Knows nothing yet.
    pub fn new(watch: Watch) -> Self {
        Self { watch, scene: Scene::Calibrating(Calibration::default()), last: None }
    }
    /// Other zones or masks. Where masks change, so do the thumbnails: restart it as well.
    pub fn set_watch(&mut self, watch: Watch) {
        self.watch = watch;
    }
    /// Forgets all it knows: another stream, another view.
    pub fn restart(&mut self) {
        *self = Self::new(self.watch.clone());
    }
    /// Memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let scene = match &self.scene {
            Scene::Calibrating(calibration) => calibration.bytes(),
            Scene::Known(ground) => ground.bytes(),
        };
        size_of::<Self>() + self.watch.zones.len() * size_of::<Cells>() + scene
    }
    /// Takes the thumbnail of a picture that arrived then; `None` where it is not newer than the last.
    pub fn see(&mut self, at: Mono, thumbnail: &Thumbnail) -> Option<Glimpse> {
        if self.last.is_some_and(|last| at <= last) {
            return None;
        }
        let before = self.last.replace(at);
        let cells = thumbnail.cells();
        let mut glimpse = Glimpse {
            at,
            state: State::Calibrating,
            change: None,
            waiting: 0.0,
            light: Light::SAME,
            label: None,
        };
        match &mut self.scene {
            Scene::Calibrating(calibration) => {
                if let Some(ground) = calibration.add(at, cells, &self.watch.seen) {
                    self.scene = Scene::Known(Box::new(ground));
                }
            }
            Scene::Known(ground) => {
                let sighting = ground.see(at, cells, &self.watch.seen);
                glimpse.state = if sighting.flipped { State::Flipped } else { State::Known };
                glimpse.waiting = (sighting.waiting & self.watch.near).share();
                glimpse.light = sighting.light;
                glimpse.label = label(before, at, &sighting);
                glimpse.change = self.watch.change(&sighting, |cell| ground.excess(cell, cells));
            }
        }
        Some(glimpse)
    }
    /// Learns from a look: its picture's arrival and thumbnail, and the rectangles of all that it found: what models
    /// detected, and what rules hold or still weigh. Only a look at which all models of the camera's rules ran may teach.
    pub fn teach(&mut self, at: Mono, thumbnail: &Thumbnail, found: &[Rect]) -> Taught {
        let Scene::Known(ground) = &mut self.scene else { return Taught::default() };
        // A shadow or a flame's shine reaches a little further than the rectangle.
        let found = found.iter().map(Cells::of_rect).fold(Cells::EMPTY, |all, rect| all | rect).grown(1)
            & self.watch.seen;
        let taught = ground.teach(at, thumbnail.cells(), &found, &self.watch.seen);
        if taught.restarted {
            self.scene = Scene::Calibrating(Calibration::after(ground.levels()));
        }
        taught
    }
}

impl Watch {
    fn change(&self, sighting: &Sighting, excess: impl Fn(usize) -> f32) -> Option<Change> {
        let moving = (sighting.moving & self.near).without_lone();
        let staying = (sighting.staying & self.near).without_lone();
        let kept = sighting.kept & self.near;
        let (reason, cells) = if sighting.global {
            let all = sighting.moving | sighting.staying | sighting.kept | sighting.waiting;
            (WakeReason::Global, all & self.near)
        } else if !moving.is_empty() {
            (WakeReason::Moving, moving)
        } else if sighting.flipped {
            (WakeReason::Global, self.near)
        } else if !staying.is_empty() {
            (WakeReason::Staying, staying)
        } else {
            (WakeReason::Kept, kept)
        };
        let bounds = cells.bounds()?;
        let evidence: f32 = cells.iter().map(|cell| excess(cell).min(CLEAR)).sum();
        let zones = self.zones.iter().enumerate().filter(|(_, zone)| !(cells & **zone).is_empty());
        Some(Change {
            reason,
            score: evidence / (evidence + HALF_SCORE),
            share: cells.share(),
            bounds,
            zones: zones.map(|(at, _)| at).collect(),
        })
    }
}

fn label(before: Option<Mono>, at: Mono, sighting: &Sighting) -> Option<Label> {
    let since = before.filter(|before| at.since(*before) <= LABELS)?;
    if sighting.global || sighting.flipped {
        return None;
    }
    // A tier that asked for a glance at each gust would cost what a fast glance does.
    let moved = sighting.moved & !sighting.restless | sighting.moving;
    Some(Label { since, at, moved: !moved.is_empty() })
}

#[cfg(test)]
mod tests;
