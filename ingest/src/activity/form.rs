//! One form of the signal: how dear the pictures of the last moment were, against the cheap ones of the last minute.
//! Costs are logarithms to base 2, so one unit more is twice the bits.

use super::facts::Coding;

/// What a form weighs, and over what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Weight of the quantiser, in bits of cost for each doubling of its step (6 in QP).
    qp_weight: f32,
    now: Now,
}

/// What is called "now".
#[derive(Debug, Clone, Copy, PartialEq)]
enum Now {
    /// The last 0.4 s and nothing else, each picture as dear as it is.
    Sharp,
    /// A mean that fades with this time constant, in seconds, and takes a lone dear picture for no more than
    /// [`SPIKE`] times its neighbours: that is the encoder's doing, a scene cut or a smart codec's refresh of the
    /// background.
    Fading(f32),
}

/// At constant quality sizes tell at once, and the quantiser hardly matters. The closer an encoder holds a bit rate,
/// the more of what happens is in the quantiser alone, and the longer it takes to see it in the noise of the control.
pub(super) const SHAPES: [Shape; 3] = [
    Shape { qp_weight: 1.0, now: Now::Sharp },
    Shape { qp_weight: 2.0, now: Now::Fading(0.4) },
    Shape { qp_weight: 4.0, now: Now::Fading(0.8) },
];
/// The form in use before lessons tell otherwise.
pub(super) const DEFAULT_FORM: usize = 1;

/// How fast the baseline forgets.
const BASELINE_S: f32 = 60.0;
/// Share of the last minute that is as cheap as the baseline or cheaper.
const CHEAP: f32 = 0.15;
const SPIKE: f32 = 4.0;
/// Of a sharp now: its length, and the most pictures in it.
const SHARP_S: f32 = 0.4;
const SHARP_MOST: usize = 32;

/// Positions behind a keyframe that are kept apart. Rate control pays for a keyframe in the second after it.
const POSITIONS: usize = 32;
/// A position's offset counts when so many groups have passed: with very long groups it never does, nor need it.
const GROUPS: u8 = 4;
const BUCKETS: usize = POSITIONS + 2;

const BINS: usize = 192;
const BINS_A_BIT: f32 = 8.0;

/// How a picture stands in its group: which offset applies.
#[derive(Debug)]
pub(super) struct Places {
    seen: [u8; BUCKETS],
}

/// A bucket of pictures that cost alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    bucket: Option<usize>,
    pub trusted: bool,
}

impl Places {
    pub fn new() -> Self {
        Self { seen: [0; BUCKETS] }
    }
    /// `position` counts pictures since the keyframe, the next one being 0.
    pub fn of(&mut self, position: u32, coding: Coding) -> Place {
        let bucket = match (usize::try_from(position).unwrap_or(usize::MAX), coding) {
            (_, Coding::Intra) => None,
            (position, _) if position < POSITIONS => Some(position),
            (_, Coding::Between) => Some(POSITIONS),
            (_, Coding::Unreferenced) => Some(POSITIONS + 1),
            // What all others are compared with.
            (_, Coding::Inter) => None,
        };
        let Some(at) = bucket else { return Place { bucket, trusted: false } };
        self.seen[at] = self.seen[at].saturating_add(1);
        Place { bucket, trusted: self.seen[at] >= GROUPS }
    }
}

#[derive(Debug)]
pub(super) struct Form {
    shape: Shape,
    /// Pictures so far.
    pictures: u32,
    /// Cost that costs are kept relative to, so that the bins reach 12 bits to either side.
    origin: f32,
    /// Median cost, slowly followed.
    middle: f32,
    offsets: [f32; BUCKETS],
    /// Mean of now, linear.
    now: f32,
    /// The last pictures, linear, for a sharp now.
    last: [f32; SHARP_MOST],
    bins: [f32; BINS],
    total: f32,
    /// Of a picture now. It grows instead of the others fading.
    weight: f32,
}

impl Form {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            pictures: 0,
            origin: 0.0,
            middle: 0.0,
            offsets: [0.0; BUCKETS],
            now: 0.0,
            last: [0.0; SHARP_MOST],
            bins: [0.0; BINS],
            total: 0.0,
            weight: 1.0,
        }
    }
    /// Takes in a picture; how much dearer now is than the baseline. `both_ways`: cheaper counts, too.
    pub fn push(
        &mut self,
        bytes: u32,
        qp: Option<i8>,
        place: Place,
        interval_s: f32,
        both_ways: bool,
    ) -> f32 {
        let mut cost = (bytes as f32).log2();
        if let Some(qp) = qp {
            cost += self.shape.qp_weight * (f32::from(qp) - 26.0) / 6.0;
        }
        if self.pictures == 0 {
            self.origin = cost;
        }
        let cost = self.level(cost - self.origin, place, interval_s);
        self.pictures = self.pictures.wrapping_add(1).max(1);
        self.now = self.mean_with(cost.clamp(-20.0, 20.0).exp2(), interval_s);
        let now = self.now.log2();
        self.remember(now, interval_s);
        if both_ways { (now - self.quantile(0.5)).abs() } else { now - self.quantile(CHEAP) }
    }
    /// The mean of now, a picture more taken in.
    fn mean_with(&mut self, cost: f32, interval_s: f32) -> f32 {
        match self.shape.now {
            Now::Fading(_) if self.pictures == 1 => cost,
            Now::Fading(seconds) => {
                let share = (interval_s / seconds).clamp(1.0 / 64.0, 1.0);
                // Where one picture is all of now, the difference may round to nothing.
                (self.now + share * (cost.min(SPIKE * self.now) - self.now)).max(1e-7)
            }
            Now::Sharp => {
                let at = self.pictures as usize % SHARP_MOST;
                self.last[at] = cost;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped to the places"
                )]
                let count = (SHARP_S / interval_s).round().clamp(1.0, SHARP_MOST as f32) as usize;
                let count = count.min(self.pictures as usize);
                let sum: f32 = (0..count).map(|back| self.last[(at + SHARP_MOST - back) % SHARP_MOST]).sum();
                sum / count as f32
            }
        }
    }
    /// The cost without what its place in the group explains.
    fn level(&mut self, cost: f32, place: Place, interval_s: f32) -> f32 {
        let start = 1.0 / (self.pictures as f32 + 2.0);
        let step = (5.0 * interval_s / BASELINE_S).max(start);
        self.middle += if cost > self.middle { 0.5 * step } else { -0.5 * step };
        let Some(bucket) = place.bucket else { return cost };
        let offset = &mut self.offsets[bucket];
        let step = if place.trusted { 0.05 } else { 0.5 };
        // Somewhat below the median: what happens often at a place is not of the place.
        *offset += if cost - self.middle > *offset { 0.3 * step } else { -0.7 * step };
        if place.trusted { cost - *offset } else { cost }
    }
    fn remember(&mut self, cost: f32, interval_s: f32) {
        self.weight /= 1.0 - (interval_s / BASELINE_S).min(0.5);
        if self.weight > 1e6 {
            for bin in &mut self.bins {
                *bin /= self.weight;
            }
            self.total /= self.weight;
            self.weight = 1.0;
        }
        let bin = (cost * BINS_A_BIT + BINS as f32 / 2.0).clamp(0.0, BINS as f32 - 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index, clamped just above"
        )]
        let bin = bin as usize;
        self.bins[bin] += self.weight;
        self.total += self.weight;
    }
    fn quantile(&self, share: f32) -> f32 {
        let wanted = self.total * share;
        let mut below = 0.0;
        for (at, bin) in self.bins.iter().enumerate() {
            if *bin > 0.0 && below + bin >= wanted {
                let place = at as f32 + (wanted - below).max(0.0) / bin;
                return (place - BINS as f32 / 2.0) / BINS_A_BIT;
            }
            below += bin;
        }
        0.0
    }
}
