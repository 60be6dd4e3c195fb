//! What the encoder's work tells of a scene, without decoding: pictures between keyframes get dearer when something
//! moves. A few hundred nanoseconds a unit, for H.264 and H.265 by size and quantiser, for MJPEG by size alone.
//!
//! **It may wake a camera; it never vouches for silence.** Slow, small and faint things cost an encoder nothing, and
//! one that holds a bit rate hides even large ones. So all that comes out is a [`Wake`] or none, and none says nothing:
//! no type here can be turned into "nothing there". How much it misses is measured, by lessons from decoded pictures
//! ([`Activity::teach`]), and stated ([`Counters`], [`Calibration`]).
//!
//! The cost of a picture is `log2(bytes) + k (QP - 26) / 6`, less what its place in the group of pictures explains.
//! The mean of the last 0.4 s is compared with the 15th percentile of the last minute, forgotten exponentially: that
//! follows rain, night noise and changes of rate within a minute, downwards within seconds. Lessons choose `k` and the
//! threshold for each camera. Memory is bounded (below 8 KiB a stream), nothing is allocated once a stream's parameter
//! sets are known, and there is no clock here: units carry their arrival.

use std::time::Duration;

use xueliang_base::{
    time::Mono,
    unit::{AccessUnit, Codec},
};

mod facts;
mod form;
mod lessons;
#[cfg(test)]
mod tests;

pub use facts::{Coding, Facts, Reader};
pub use lessons::{Calibration, Lesson};

use form::{Form, Places, SHAPES};
use lessons::{FORMS, Lessons, Moment, Moments};

/// Before so many seconds and scored pictures there is no baseline to speak of.
const CALIBRATING_S: f32 = 10.0;
const CALIBRATING_PICTURES: u32 = 20;
/// After so many units in a row whose quantiser can be read where it could not, or the other way round, the stream
/// counts as one of the other kind.
const TURN: u32 = 32;
/// From so many keyframes in a row on, the stream has nothing else.
const INTRA_STREAM: u32 = 3;

/// A reason to look at a camera now. That there is none is no reason not to.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Wake {
    /// Arrival of the unit that says so.
    pub at: Mono,
    /// Arrival of the first unit of this stretch that said so.
    pub since: Mono,
    /// Why.
    pub reason: Reason,
    /// How many times dearer the pictures of now are than the cheap ones of the last minute, as a power of 2.
    pub excess: f32,
    /// The excess beyond the camera's threshold, in the same unit: how urgent.
    pub beyond: f32,
    /// What it was seen in.
    pub basis: Basis,
}

/// Why a camera is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Pictures that are predicted from others cost more than usual.
    Dearer,
    /// In a stream of keyframes alone, pictures cost more or less than usual.
    Changed,
}

impl Reason {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Dearer => "dearer",
            Reason::Changed => "changed",
        }
    }
}

/// What the signal is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Sizes and quantisers.
    SizeAndQp,
    /// Sizes alone: the codec has no quantiser to read, or it cannot be read. Blind at constant bit rate.
    Size,
}

impl Basis {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Basis::SizeAndQp => "size_and_qp",
            Basis::Size => "size",
        }
    }
}

/// How the encoder stands. It is about the encoder, not about the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is no baseline yet; nothing is woken.
    Calibrating,
    /// It works as it did in the last minute. Whatever happens may go on unseen.
    Usual,
    /// It works harder: the camera is woken.
    Active,
}

impl State {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            State::Calibrating => "calibrating",
            State::Usual => "usual",
            State::Active => "active",
        }
    }
}

/// What has been counted since the stream's start; only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Units pushed.
    pub units: u64,
    /// Of these, in H.264 and H.265, those whose quantiser could not be read.
    pub qp_unread: u64,
    /// Units that woke.
    pub waking_units: u64,
    /// Stretches of such units.
    pub wakes: u64,
    /// Baselines begun anew: at the start, with another codec or picture size, or with quantisers (un)readable.
    pub restarts: u64,
    /// Lessons that something moved.
    pub moved: u64,
    /// Of these, those around whose moment the camera was not woken: what the signal missed.
    pub moved_missed: u64,
    /// Lessons that nothing moved.
    pub still: u64,
    /// Of these, those in whose stretch of 2 s up to them the camera was woken.
    pub still_woken: u64,
    /// Lessons for which no moment was held: too late, or while calibrating.
    pub lessons_unplaced: u64,
}

/// The signal of one stream.
#[derive(Debug)]
pub struct Activity {
    reader: Reader,
    codec: Option<Codec>,
    size: Option<(u32, u32)>,
    basis: Basis,
    /// Units in a row that are of the other basis.
    turned: u32,
    arrival: Option<Mono>,
    /// Mean time between units.
    interval_s: f32,
    units: u32,
    /// Pictures since the last that was coded from itself.
    position: u32,
    /// Pictures in a row that were coded from themselves.
    intra: u32,
    /// Since the baseline began.
    seconds: f32,
    scored: u32,
    places: Places,
    forms: [Form; FORMS],
    excess: [f32; FORMS],
    since: Option<Mono>,
    lessons: Lessons,
    moments: Moments,
    /// The last moment of which a lesson said that something moved.
    moved: Option<Mono>,
    counters: Counters,
}

impl Activity {
    /// For a stream of which nothing is known. `recall` is the share of moved moments that lessons are to make it find,
    /// 0.5 to 0.999.
    pub fn new(recall: f32) -> Self {
        Self {
            reader: Reader::default(),
            codec: None,
            size: None,
            basis: Basis::SizeAndQp,
            turned: 0,
            arrival: None,
            interval_s: 0.04,
            units: 0,
            position: 0,
            intra: 0,
            seconds: 0.0,
            scored: 0,
            places: Places::new(),
            forms: SHAPES.map(Form::new),
            excess: [0.0; FORMS],
            since: None,
            lessons: Lessons::new(recall),
            moments: Moments::new(),
            moved: None,
            counters: Counters::default(),
        }
    }
    /// Takes the stream's next unit. A reason to look at the camera, for every unit while it lasts.
    pub fn push(&mut self, unit: &AccessUnit) -> Option<Wake> {
        let facts = self.reader.read(unit);
        self.follow(unit.codec, unit.arrival, unit.discontinuity, facts)
    }
    /// What a decoded picture showed of the unit that arrived `at`. A lesson comes within 12 s, or it has no moment any
    /// more and is counted so. Give those of looks and glances that were due anyway: if only woken cameras taught, what
    /// was missed would never be learnt.
    pub fn teach(&mut self, lesson: Lesson, at: Mono) {
        let Some(about) = self.moments.about(at, self.moved) else {
            self.counters.lessons_unplaced += 1;
            return;
        };
        match lesson {
            Lesson::Moved => {
                self.moved = self.moved.max(Some(at));
                self.counters.moved += 1;
                self.counters.moved_missed += u64::from(!about.around.active);
            }
            Lesson::Still => {
                self.counters.still += 1;
                self.counters.still_woken += u64::from(about.before.active);
            }
        }
        self.lessons.take(lesson, &about);
    }
    /// How the encoder stands.
    pub fn state(&self) -> State {
        match self.since {
            _ if !self.calibrated() => State::Calibrating,
            Some(_) => State::Active,
            None => State::Usual,
        }
    }
    /// What the signal is made of.
    pub fn basis(&self) -> Basis {
        self.basis
    }
    /// Excess over the baseline now, as a power of 2, and over the threshold; `None` while calibrating. To be shown and
    /// measured: a low one says no more than a missing [`Wake`].
    pub fn excess(&self) -> Option<(f32, f32)> {
        let excess = self.excess[self.lessons.form()];
        self.calibrated().then(|| (excess, excess - self.lessons.threshold()))
    }
    /// What was taught, and what it is worth.
    pub fn calibration(&self) -> Calibration {
        self.lessons.calibration()
    }
    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }
    fn calibrated(&self) -> bool {
        self.seconds >= CALIBRATING_S && self.scored >= CALIBRATING_PICTURES
    }
    fn follow(&mut self, codec: Codec, arrival: Mono, discontinuity: bool, facts: Facts) -> Option<Wake> {
        self.counters.units += 1;
        self.time(arrival);
        if discontinuity {
            // Where in its group the next picture stands is not known; far behind the keyframe is the safe guess.
            self.position = u32::MAX;
        }
        self.recognise(codec, &facts);
        let qp = facts.qp.filter(|_| self.basis == Basis::SizeAndQp);
        if self.basis == Basis::SizeAndQp && qp.is_none() {
            // Without its quantiser it compares with nothing.
            return self.verdict(arrival);
        }
        let intra = facts.coding == Coding::Intra;
        if intra {
            self.position = 0;
            self.intra = self.intra.saturating_add(1);
            // What a keyframe costs among predicted pictures tells of the scene, not of what happens in it.
            if self.intra < INTRA_STREAM {
                return self.verdict(arrival);
            }
        } else {
            self.intra = 0;
        }
        let place = self.places.of(self.position, facts.coding);
        if !intra {
            self.position = self.position.saturating_add(1);
        }
        for (form, excess) in self.forms.iter_mut().zip(&mut self.excess) {
            *excess = form.push(facts.bytes, qp, place, self.interval_s, intra);
        }
        self.scored = self.scored.saturating_add(1);
        self.verdict(arrival)
    }
    /// Arrivals come in bursts, so single distances say little; a gap says nothing of the rate.
    fn time(&mut self, arrival: Mono) {
        if let Some(before) = self.arrival.replace(arrival) {
            let passed = arrival.since(before).min(Duration::from_secs(2)).as_secs_f32();
            self.units = self.units.saturating_add(1);
            let share = (1.0 / self.units as f32).max(1.0 / 64.0);
            self.interval_s = (self.interval_s + share * (passed - self.interval_s)).clamp(0.002, 2.0);
            self.seconds += passed;
        }
    }
    /// Begins anew where costs would be compared with those of another stream.
    fn recognise(&mut self, codec: Codec, facts: &Facts) {
        let coded = codec != Codec::Mjpeg;
        self.counters.qp_unread += u64::from(coded && facts.qp.is_none());
        let other_size = self.size.zip(facts.size).is_some_and(|(before, now)| before != now);
        if self.codec != Some(codec) || other_size {
            self.lessons = Lessons::new(self.lessons.recall());
            self.restart(if coded { Basis::SizeAndQp } else { Basis::Size });
        } else {
            let now = if facts.qp.is_some() { Basis::SizeAndQp } else { Basis::Size };
            self.turned = if now == self.basis { 0 } else { self.turned + 1 };
            if self.turned >= TURN {
                self.lessons = Lessons::new(self.lessons.recall());
                self.restart(now);
            }
        }
        self.codec = Some(codec);
        self.size = facts.size.or(self.size);
    }
    fn restart(&mut self, basis: Basis) {
        self.counters.restarts += 1;
        self.basis = basis;
        self.turned = 0;
        self.seconds = 0.0;
        self.scored = 0;
        self.places = Places::new();
        self.forms = SHAPES.map(Form::new);
        self.moments = Moments::new();
        self.since = None;
    }
    fn verdict(&mut self, arrival: Mono) -> Option<Wake> {
        let (excess, beyond) = self.excess()?;
        let active = beyond > 0.0;
        self.moments.push(Moment { at: arrival, excess: self.excess, active });
        if !active {
            self.since = None;
            return None;
        }
        self.counters.wakes += u64::from(self.since.is_none());
        self.counters.waking_units += 1;
        let since = *self.since.get_or_insert(arrival);
        let reason = if self.intra >= INTRA_STREAM { Reason::Changed } else { Reason::Dearer };
        Some(Wake { at: arrival, since, reason, excess, beyond, basis: self.basis })
    }
}
