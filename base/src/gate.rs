//! Gates: the cheap tiers that decide between two floors whether a camera is worth a look, and the account of their
//! errors.
//!
//! A tier says what it saw ([`Said`]) far more often than anybody looks. It may ask for a look ([`Wake`]); it never takes one
//! away from a floor. So every look that a floor brought about is an exam that the tier did not choose: what it finds
//! while the tier had said nothing is a miss. Looks that the tier itself asked for say what its wakes cost, and nothing
//! about what it misses; [`GateCounts`] keeps the two apart.

use serde::{Deserialize, Serialize};

use crate::{geometry::Rect, time::Mono};

/// What a gate does with what it sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// Nothing: it is not even computed.
    Off,
    /// Decides, is held against the looks, and changes nothing.
    #[default]
    Shadow,
    /// Its wakes bring looks about.
    Enforce,
}

impl Gate {
    /// The word for configuration, logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Gate::Off => "off",
            Gate::Shadow => "shadow",
            Gate::Enforce => "enforce",
        }
    }
    /// The gate of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Gate::Off, Gate::Shadow, Gate::Enforce].into_iter().find(|gate| gate.word() == word)
    }
}

/// Which cheap tier speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Sizes and quantisers of access units. It can wake; it cannot vouch for silence.
    Encoded,
    /// Glances: thumbnails of decoded pictures.
    Pixels,
}

impl Tier {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Tier::Encoded => "encoded",
            Tier::Pixels => "pixels",
        }
    }
}

/// Why a tier asks for a look, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WakeReason {
    /// Something moves now: it may be gone at the next floor.
    Moving,
    /// Most of the picture is new: the light, the camera, or what fills the view.
    Global,
    /// Something is new, stays, and no look has judged it yet. It can wait for seconds.
    Staying,
    /// Something that a look found is still there. It can wait for what its rule asks.
    Kept,
}

impl WakeReason {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            WakeReason::Moving => "moving",
            WakeReason::Global => "global",
            WakeReason::Staying => "staying",
            WakeReason::Kept => "kept",
        }
    }
}

/// A tier's wish for a look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wake {
    /// Whose.
    pub tier: Tier,
    /// Arrival of the unit or picture that it speaks of.
    pub at: Mono,
    /// Why.
    pub reason: WakeReason,
    /// How clear it is, 0..=1; comparable within one tier and camera only.
    pub score: f32,
    /// Where, as far as the tier can tell.
    pub region: Option<Rect>,
}

/// What a tier says of a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// Nothing that is worth a look.
    #[default]
    Quiet,
    /// It cannot tell yet.
    Calibrating,
    /// It asked for a look.
    Awake,
}

/// Who brought a look about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A floor, or whatever else does not depend on this tier.
    Floor,
    /// A wake of this tier, before any floor was due.
    Wake,
}

/// What one tier said of one camera, held against its looks. All are numbers of looks.
///
/// What counts as found is a thing that a missed wake would have delayed: evidence of a rule that was not there at the look
/// before. An object that was found before and is found again is nobody's miss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Floors that found something, after a wake.
    pub hits: u64,
    /// Floors that found something though the tier had been quiet since the look before.
    pub misses: u64,
    /// Floors that found nothing, after a wake.
    pub false_wakes: u64,
    /// Floors that found nothing, and the tier had been quiet: looks that its silence would have saved.
    pub rests: u64,
    /// Looks that a wake brought about and that found something.
    pub woken_hits: u64,
    /// Looks that a wake brought about and that found nothing.
    pub woken_false: u64,
    /// Floors before which the tier could not tell.
    pub unjudged: u64,
    since_look: Said,
}

impl GateCounts {
    /// Notes what the tier says now. Until the next look, a wake outweighs all, and not being able to tell outweighs
    /// quiet.
    pub fn said(&mut self, said: Said) {
        self.since_look = self.since_look.max(said);
    }
    /// Notes a look that was carried out, and whether it found something new. What the tier says of the looked-at picture
    /// itself is noted before.
    pub fn looked(&mut self, cause: Cause, found: bool) {
        let said = std::mem::take(&mut self.since_look);
        let column = match (cause, said, found) {
            (Cause::Wake, _, true) => &mut self.woken_hits,
            (Cause::Wake, _, false) => &mut self.woken_false,
            (Cause::Floor, Said::Calibrating, _) => &mut self.unjudged,
            (Cause::Floor, Said::Awake, true) => &mut self.hits,
            (Cause::Floor, Said::Awake, false) => &mut self.false_wakes,
            (Cause::Floor, Said::Quiet, true) => &mut self.misses,
            (Cause::Floor, Said::Quiet, false) => &mut self.rests,
        };
        *column += 1;
    }
    /// Share of what floors found that the tier had asked for; `None` before anything was found.
    pub fn recall(&self) -> Option<f64> {
        share(self.hits, self.hits + self.misses)
    }
    /// The recall that the counts vouch for: the lower end of its 95 % interval (Wilson 1927). What a gate is judged by
    /// before it may act: three finds of three say little, three hundred of three hundred say .987.
    pub fn vouched_recall(&self) -> f64 {
        const Z: f64 = 1.96;
        let Some(p) = self.recall() else { return 0.0 };
        let n = (self.hits + self.misses) as f64;
        let z2 = Z * Z / n;
        ((p + z2 / 2.0 - (z2 * p * (1.0 - p) + z2 * z2 / 4.0).sqrt()) / (1.0 + z2)).max(0.0)
    }
    /// Share of floors that found nothing before which the tier had asked for a look; `None` before there was one.
    pub fn false_share(&self) -> Option<f64> {
        share(self.false_wakes, self.false_wakes + self.rests)
    }
}

impl std::ops::AddAssign<&GateCounts> for GateCounts {
    /// Adds what was counted; what was said since the last look stays each camera's own.
    fn add_assign(&mut self, other: &GateCounts) {
        let GateCounts { hits, misses, false_wakes, rests, woken_hits, woken_false, unjudged, since_look: _ } =
            other;
        self.hits += hits;
        self.misses += misses;
        self.false_wakes += false_wakes;
        self.rests += rests;
        self.woken_hits += woken_hits;
        self.woken_false += woken_false;
        self.unjudged += unjudged;
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_that_finds_what_the_tier_was_silent_about_is_a_miss() {
        let mut counts = GateCounts::default();
        counts.said(Said::Quiet);
        counts.looked(Cause::Floor, true);
        counts.looked(Cause::Floor, false);
        assert_eq!((counts.misses, counts.rests), (1, 1));
        assert_eq!(counts.recall(), Some(0.0));
    }

    #[test]
    fn one_wake_since_the_last_look_is_enough_and_lasts_for_one_look() {
        let mut counts = GateCounts::default();
        for said in [Said::Quiet, Said::Awake, Said::Calibrating, Said::Quiet] {
            counts.said(said);
        }
        counts.looked(Cause::Floor, true);
        counts.looked(Cause::Floor, true);
        assert_eq!((counts.hits, counts.misses), (1, 1));
    }

    #[test]
    fn looks_that_a_wake_chose_say_nothing_about_recall() {
        let mut counts = GateCounts::default();
        for _ in 0..100 {
            counts.said(Said::Awake);
            counts.looked(Cause::Wake, true);
        }
        assert_eq!((counts.woken_hits, counts.recall()), (100, None));
        counts.looked(Cause::Floor, true);
        assert_eq!(counts.recall(), Some(0.0));
    }

    #[test]
    fn what_could_not_be_told_is_neither_hit_nor_miss() {
        let mut counts = GateCounts::default();
        counts.said(Said::Calibrating);
        counts.looked(Cause::Floor, true);
        assert_eq!(counts, GateCounts { unjudged: 1, ..GateCounts::default() });
    }

    #[test]
    fn few_finds_vouch_for_little() {
        let all = |hits| GateCounts { hits, ..GateCounts::default() }.vouched_recall();
        assert_eq!(all(0), 0.0);
        assert!(all(3) < 0.45);
        assert!((all(300) - 0.987).abs() < 0.001);
        let half = GateCounts { hits: 50, misses: 50, ..GateCounts::default() };
        assert!(half.vouched_recall() < 0.5 && half.vouched_recall() > 0.39);
    }
}
