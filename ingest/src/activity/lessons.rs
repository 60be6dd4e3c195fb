//! What the decoded pictures taught about one camera: which form tells best, and from which excess on it wakes.

use xueliang_base::time::Mono;

use super::form::{DEFAULT_FORM, SHAPES};

/// What a decoded picture showed at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// Something had changed against the pictures before.
    Moved,
    /// Nothing had.
    Still,
}

pub(super) const FORMS: usize = SHAPES.len();

const BINS: usize = 60;
const BINS_A_BIT: f32 = 8.0;
const LOWEST: f32 = -2.0;
/// Lessons that count: older ones fade.
const KEPT: f32 = 2000.0;
/// Lessons of each kind, before another form may be chosen.
const ENOUGH: f32 = 20.0;
/// Another form must mistake still for moved so much less often: forms see the same moments, and a few lessons more
/// shall not make them take turns.
const BETTER: f32 = 0.85;

/// Excess in bits from which an untaught form wakes, a row for each form. On the clips of `make bench-activity` that
/// finds eight to ten of ten moved moments at constant quality, and at constant rate anything from one to ten.
const UNTAUGHT: [f32; FORMS] = [0.25, 0.3, 0.4];

/// Share of still stretches that may wake: a camera whose noise wakes it all the time is looked at no sooner than others when
/// something happens, and costs what a watched one does. Glances between floors see to what that misses. Stretches count and
/// not moments: a camera that wakes at one moment in thirty wakes in every second or third stretch, and each wake is a look.
const FALSE_WAKES: f32 = 0.08;

/// What was taught about one camera, and how that bears on waking it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Excess, in bits, from which the camera is woken.
    pub threshold: f32,
    /// Share of moved moments at which, or within 0.4 s of which, it is to wake.
    pub recall: f32,
    /// Lessons behind it, faded by age.
    pub moved: f32,
    /// Lessons of stillness behind it, faded by age.
    pub still: f32,
    /// Share of stretches of 2 s up to a still moment in which it wakes all the same; `None` without lessons. Near 1 the
    /// signal is worth nothing for this camera.
    pub false_wakes: Option<f32>,
    /// Probability that a moved moment exceeds a still one, 0.5 being chance; `None` without lessons of both kinds.
    pub auc: Option<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Scores {
    /// At the very moment of each lesson: how well a form tells.
    moved: [f32; BINS],
    still: [f32; BINS],
    /// Highest around each moved moment: where the threshold must lie. Whether it wakes a little sooner or later makes
    /// no difference to a camera.
    reached: [f32; BINS],
    /// Highest in the stretch up to each still moment: a wake anywhere in it is a look in vain.
    strayed: [f32; BINS],
}

#[derive(Debug)]
pub(super) struct Lessons {
    recall: f32,
    scores: [Scores; FORMS],
    moved: f32,
    still: f32,
    form: usize,
    threshold: f32,
}

fn bin(excess: f32) -> usize {
    let at = ((excess - LOWEST) * BINS_A_BIT).clamp(0.0, BINS as f32 - 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index, clamped just above"
    )]
    let at = at as usize;
    at
}

fn lower_edge(bin: usize) -> f32 {
    LOWEST + bin as f32 / BINS_A_BIT
}

impl Lessons {
    /// `recall` from 0.5 to 0.999.
    pub fn new(recall: f32) -> Self {
        let none =
            Scores { moved: [0.0; BINS], still: [0.0; BINS], reached: [0.0; BINS], strayed: [0.0; BINS] };
        Self {
            recall: recall.clamp(0.5, 0.999),
            scores: [none; FORMS],
            moved: 0.0,
            still: 0.0,
            form: DEFAULT_FORM,
            threshold: UNTAUGHT[DEFAULT_FORM],
        }
    }
    /// The form in use.
    pub fn form(&self) -> usize {
        self.form
    }
    /// Excess from which it wakes.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }
    pub fn recall(&self) -> f32 {
        self.recall
    }
    /// Takes a lesson, with the excess that each form had at its moment and about it.
    pub fn take(&mut self, lesson: Lesson, about: &About) {
        let fade = 1.0 - 1.0 / KEPT;
        for (form, scores) in self.scores.iter_mut().enumerate() {
            for kind in [&mut scores.moved, &mut scores.still, &mut scores.reached, &mut scores.strayed] {
                kind.iter_mut().for_each(|bin| *bin *= fade);
            }
            match lesson {
                Lesson::Moved => {
                    scores.moved[bin(about.nearest.excess[form])] += 1.0;
                    scores.reached[bin(about.around.excess[form])] += 1.0;
                }
                Lesson::Still => {
                    scores.still[bin(about.nearest.excess[form])] += 1.0;
                    scores.strayed[bin(about.before.excess[form])] += 1.0;
                }
            }
        }
        self.moved *= fade;
        self.still *= fade;
        match lesson {
            Lesson::Moved => self.moved += 1.0,
            Lesson::Still => self.still += 1.0,
        }
        if self.moved >= ENOUGH && self.still >= ENOUGH {
            for form in 0..FORMS {
                if 1.0 - self.auc(form) < BETTER * (1.0 - self.auc(self.form)) {
                    self.form = form;
                }
            }
        }
        self.threshold = self.threshold_of(self.form).max(self.quiet_from(self.form));
    }
    /// The lowest excess that no more than a few still stretches exceed; the lowest of all while too few were seen to tell.
    fn quiet_from(&self, form: usize) -> f32 {
        if self.still < ENOUGH {
            return LOWEST;
        }
        let mut above = 0.0;
        for (at, bin) in self.scores[form].strayed.iter().enumerate().rev() {
            above += bin;
            if above > (FALSE_WAKES * self.still).max(0.1) {
                return lower_edge(at + 1);
            }
        }
        LOWEST
    }
    /// The highest excess that still finds the wanted share of what moved. While there are too few lessons to tell
    /// that share, they may only lower it: one miss in a hundred cannot be seen in ten.
    fn threshold_of(&self, form: usize) -> f32 {
        let untaught = UNTAUGHT[form];
        let allowed = (1.0 - self.recall) * self.moved;
        let mut missed = 0.0;
        let mut taught = untaught;
        for (at, bin) in self.scores[form].reached.iter().enumerate() {
            missed += bin;
            // Faded lessons leave traces that are no lesson.
            if missed > allowed.max(0.1) {
                taught = lower_edge(at);
                break;
            }
        }
        if allowed < 1.0 { taught.min(untaught) } else { taught }
    }
    fn auc(&self, form: usize) -> f32 {
        let scores = &self.scores[form];
        let (mut below, mut won) = (0.0, 0.0);
        for (moved, still) in scores.moved.iter().zip(&scores.still) {
            won += moved * (below + still / 2.0);
            below += still;
        }
        won / (self.moved * self.still).max(f32::MIN_POSITIVE)
    }
    pub fn calibration(&self) -> Calibration {
        let scores = &self.scores[self.form];
        let woken: f32 = scores.strayed[bin(self.threshold)..].iter().sum();
        let any_still = self.still > 0.1;
        Calibration {
            threshold: self.threshold,
            recall: self.recall,
            moved: self.moved,
            still: self.still,
            false_wakes: any_still.then(|| woken / self.still),
            auc: (any_still && self.moved > 0.1).then(|| self.auc(self.form)),
        }
    }
}

/// A moment that a lesson may come for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    pub at: Mono,
    pub excess: [f32; FORMS],
    /// Whether the camera was woken then.
    pub active: bool,
}

const MOMENTS: usize = 64;
/// Moments are kept so far apart, 12.8 s in all: a look that takes longer is past its deadline anyway.
const APART_NS: u64 = 200_000_000;
/// A lesson is about the moments no further from its own.
const AROUND_NS: u64 = 400_000_000;
/// One of stillness is about the moments of so long before, too: a usual distance of keyframes, and so of looks.
const BEFORE_NS: u64 = 2_000_000_000;

/// The moments that a lesson is about.
#[derive(Debug)]
pub(super) struct About {
    /// The nearest.
    pub nearest: Moment,
    /// The highest of those around it.
    pub around: Moment,
    /// The highest of the stretch up to it.
    pub before: Moment,
}

/// The last moments, oldest overwritten.
#[derive(Debug)]
pub(super) struct Moments {
    held: [Moment; MOMENTS],
    count: usize,
    next: usize,
}

impl Moments {
    pub fn new() -> Self {
        Self { held: [Moment::default(); MOMENTS], count: 0, next: 0 }
    }
    pub fn push(&mut self, moment: Moment) {
        let newest = self.held[(self.next + MOMENTS - 1) % MOMENTS].at;
        if self.count > 0 && moment.at.0.saturating_sub(newest.0) < APART_NS {
            return;
        }
        self.held[self.next] = moment;
        self.next = (self.next + 1) % MOMENTS;
        self.count = (self.count + 1).min(MOMENTS);
    }
    /// What a lesson about `at` is about; `None` where no moment is held that near. What `moved` before it is in no
    /// still stretch.
    pub fn about(&self, at: Mono, moved: Option<Mono>) -> Option<About> {
        let held = &self.held[..self.count];
        let distance = |moment: &Moment| moment.at.0.abs_diff(at.0);
        let near = |moment: &&Moment| distance(moment) <= AROUND_NS;
        let nearest = *held.iter().filter(near).min_by_key(|moment| distance(moment))?;
        let begins = moved
            .map_or(0, |moved| moved.0 + AROUND_NS)
            .max(at.0.saturating_sub(BEFORE_NS))
            .min(nearest.at.0);
        let stretch = |moment: &&Moment| (begins..=nearest.at.0).contains(&moment.at.0);
        Some(About {
            nearest,
            around: highest(held.iter().filter(near), at),
            before: highest(held.iter().filter(stretch), at),
        })
    }
}

fn highest<'a>(moments: impl Iterator<Item = &'a Moment>, at: Mono) -> Moment {
    let lowest = Moment { at, excess: [f32::MIN; FORMS], active: false };
    moments.fold(lowest, |one, other| Moment {
        at,
        excess: std::array::from_fn(|form| one.excess[form].max(other.excess[form])),
        active: one.active || other.active,
    })
}
