//! A run of entries, packed: each names one of the block's words, and figures stand beside, in order.

use std::time::Duration;

use xueliang_base::{
    incident::{Evidence, Resolution, ThresholdKind},
    time::{Wall, micros},
};

use super::{Entry, Held, Mono, RuleNote, Standing, Told, Turn, Vigil, What};
use crate::rules::{Near, Progress};

/// Room for so many more is made at once.
const MORE: usize = 64;
/// A wall clock that is off by less has drifted, and was not set.
const DRIFT_US: i64 = 100_000;

/// What entries have in common.
#[derive(Debug, Clone, PartialEq)]
struct Word {
    what: What,
    vigil: Vigil,
    rules: Box<[RuleWord]>,
}

/// What it says of a rule, apart from figures.
#[derive(Debug, Clone, Copy, PartialEq)]
struct RuleWord {
    rests: bool,
    told: Option<ToldWord>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct ToldWord {
    evidence: Evidence,
    /// Whether it is of the moment of the entry and not of the picture.
    own_time: bool,
    cooling: bool,
    elsewhere: bool,
    /// The threshold that was missed, and its value.
    near: Option<(ThresholdKind, f64)>,
    /// Whether there is a share as well.
    progress: Option<bool>,
    held: bool,
    /// `None` in it: raised.
    turn: Option<Option<Resolution>>,
}

/// 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Packed {
    when: Mono,
    /// From then until the entry was made.
    age_us: u32,
    word: u32,
}

/// A run of entries.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    begins: Mono,
    standing: Standing,
    words: Vec<Word>,
    entries: Vec<Packed>,
    figures: Vec<u32>,
    /// The wall clock over the other one, from that entry on.
    offsets: Vec<(usize, i64)>,
}

impl Block {
    pub(super) fn new(begins: Mono, standing: Standing) -> Self {
        let (words, entries, figures, offsets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { begins, standing, words, entries, figures, offsets }
    }
    /// Since when it tells.
    pub(crate) fn begins(&self) -> Mono {
        self.begins
    }
    /// How things stood then.
    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
    /// Memory taken.
    pub(super) fn bytes(&self) -> usize {
        let rules = self.standing.rules.len();
        size_of::<Self>()
            + rules * size_of::<super::RuleStanding>()
            + self.words.capacity() * size_of::<Word>()
            + self.words.len() * rules * size_of::<RuleWord>()
            + self.entries.capacity() * size_of::<Packed>()
            + self.figures.capacity() * size_of::<u32>()
            + self.offsets.capacity() * size_of::<(usize, i64)>()
    }
    pub(super) fn push(&mut self, entry: &Entry) {
        let word = Word {
            what: entry.what,
            vigil: entry.vigil,
            rules: entry.rules.iter().map(|note| self.rule(note, entry.when)).collect(),
        };
        // Few words, of which the latest are the likeliest.
        let known = self.words.iter().rposition(|known| *known == word);
        let word = known.unwrap_or_else(|| {
            push(&mut self.words, word, 4);
            self.words.len() - 1
        });
        if self
            .offsets
            .last()
            .is_none_or(|(_, last)| entry.offset_us.abs_diff(*last) >= DRIFT_US.unsigned_abs())
        {
            push(&mut self.offsets, (self.entries.len(), entry.offset_us), 1);
        }
        let packed = Packed {
            when: entry.when,
            age_us: u32::try_from(micros(entry.at.since(entry.when))).unwrap_or(u32::MAX),
            word: u32::try_from(word).unwrap_or(u32::MAX),
        };
        push(&mut self.entries, packed, MORE);
    }
    /// Writes the figures; gives the rest.
    fn rule(&mut self, note: &RuleNote, when: Mono) -> RuleWord {
        let told = note.told.map(|told| {
            self.write(told.near.map(|near| (near.best as f32).to_bits()));
            if let Some(Progress { watched, seen, share }) = told.progress {
                self.write(halves(nanos(watched)).into_iter().chain(halves(nanos(seen))));
                self.write(share.into_iter().flat_map(|share| halves(share.to_bits())));
            }
            if let Some((looks, best)) = told.held {
                self.write([u32::try_from(looks).unwrap_or(u32::MAX), best.to_bits()]);
            }
            if let Some(Turn::Raised(held)) = told.turn {
                self.write(halves(held.started.0.cast_unsigned()));
            }
            ToldWord {
                evidence: told.evidence,
                own_time: told.at != when,
                cooling: told.cooling,
                elsewhere: told.elsewhere,
                near: told.near.map(|near| (near.kind, near.needed)),
                progress: told.progress.map(|progress| progress.share.is_some()),
                held: told.held.is_some(),
                turn: told.turn.map(|turn| match turn {
                    Turn::Raised(_) => None,
                    Turn::Resolved(why) => Some(why),
                }),
            }
        });
        RuleWord { rests: note.rests, told }
    }
    fn write(&mut self, figures: impl IntoIterator<Item = u32>) {
        figures.into_iter().for_each(|figure| push(&mut self.figures, figure, MORE));
    }
    /// Its entries, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut figures = self.figures.iter().copied();
        let mut offsets = self.offsets.iter().copied().peekable();
        let mut offset_us = 0;
        self.entries.iter().enumerate().map(move |(index, packed)| {
            while let Some((_, offset)) = offsets.next_if(|(from, _)| *from <= index) {
                offset_us = offset;
            }
            let word = &self.words[packed.word as usize];
            let (when, at) = (packed.when, packed.when.plus(Duration::from_micros(packed.age_us.into())));
            let rules = word.rules.iter().map(|rule| read(rule, when, at, &mut figures)).collect();
            Entry { at, when, offset_us, what: word.what, vigil: word.vigil, rules }
        })
    }
}

fn read(word: &RuleWord, when: Mono, at: Mono, figures: &mut impl Iterator<Item = u32>) -> RuleNote {
    let mut one = || figures.next().unwrap_or_default();
    let told = word.told.map(|told| {
        let near = told.near.map(|(kind, needed)| Near { kind, best: f32::from_bits(one()).into(), needed });
        let progress = told.progress.map(|shared| Progress {
            watched: Duration::from_nanos(whole(&mut one)),
            seen: Duration::from_nanos(whole(&mut one)),
            share: shared.then(|| f64::from_bits(whole(&mut one))),
        });
        let held = told.held.then(|| (u64::from(one()), f32::from_bits(one())));
        let turn = told.turn.map(|why| match why {
            Some(why) => Turn::Resolved(why),
            None => {
                let started = Wall(whole(&mut one).cast_signed());
                let (looks, best) = held.unwrap_or_default();
                Turn::Raised(Held { started, looks, best })
            }
        });
        Told {
            at: if told.own_time { at } else { when },
            evidence: told.evidence,
            cooling: told.cooling,
            elsewhere: told.elsewhere,
            near,
            progress,
            held,
            turn,
        }
    });
    RuleNote { told, rests: word.rests }
}

fn push<T>(all: &mut Vec<T>, one: T, more: usize) {
    if all.len() == all.capacity() {
        all.reserve_exact(more);
    }
    all.push(one);
}

fn nanos(of: Duration) -> u64 {
    u64::try_from(of.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "each half is kept")]
fn halves(of: u64) -> [u32; 2] {
    [(of >> 32) as u32, of as u32]
}

fn whole(one: &mut impl FnMut() -> u32) -> u64 {
    u64::from(one()) << 32 | u64::from(one())
}
