//! What the entries say of the camera itself: which looks were made, and why others were not.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    gate::WakeReason,
    look::{LookKind, NotLooked},
    time::Mono,
};

use super::{
    Arriving, Explained, LookFor, LooksTaken, Missed, Spread, Stretch, Times, Watch, Woken, timeline::Flow,
};
use crate::logbook::{Block, Entry, Logbook, Standing, What, arriving};

/// The wall clock was set when an entry was dated by so much another one; what is less is its drift.
const SET: i64 = 1_000_000;

/// Whether a moment lies in a time.
pub(super) fn inside(at: Mono, within: (Mono, Mono)) -> bool {
    within.0 <= at && at < within.1
}

fn watch(missed: Option<NotLooked>) -> Watch {
    missed.map_or(Watch::Looked, Watch::Missed)
}

fn signal(silent: Option<NotLooked>) -> Arriving {
    silent.map_or(Arriving::Units, Arriving::Silent)
}

/// Looks of one kind and purpose.
#[derive(Default)]
struct Taken {
    intervals: Vec<Duration>,
    ages: Vec<Duration>,
    last: Mono,
}

/// What is counted of the time that is asked about.
#[derive(Default)]
struct Counts {
    taken: BTreeMap<(LookFor, bool), Taken>,
    missed: BTreeMap<NotLooked, (u64, u64)>,
    wakes: BTreeMap<WakeReason, (u64, Mono)>,
    clock_set_us: Option<i64>,
}

impl Counts {
    /// `before`: arrival of the picture of the look before.
    fn take(&mut self, entry: &Entry, before: Option<Mono>, times: &Times) {
        match entry.what {
            What::Looked { kind, purpose, woke, .. } => {
                let taken = self.taken.entry((purpose, kind == LookKind::Continued)).or_default();
                taken.intervals.extend(before.map(|before| entry.when.since(before)));
                taken.ages.push(entry.at.since(entry.when));
                taken.last = taken.last.max(entry.when);
                if let Some(reason) = woke {
                    let (all, last) = self.wakes.entry(reason).or_default();
                    *all += 1;
                    *last = entry.when.max(*last);
                }
            }
            What::Missed { reason, started } => {
                let (all, failed) = self.missed.entry(reason).or_default();
                *all += 1;
                *failed += u64::from(started);
            }
        }
        let now = times.wall.0.saturating_sub(i64::try_from(times.mono.0 / 1000).unwrap_or(i64::MAX));
        let set = now.saturating_sub(entry.offset_us);
        if set.abs() >= SET && self.clock_set_us.is_none_or(|known| set.abs() > known.abs()) {
            self.clock_set_us = Some(set);
        }
    }
}

/// All but what was asked, and the rules.
pub(super) fn of(logbook: &Logbook, times: &Times, known: (Mono, Mono)) -> Explained {
    let first = logbook.blocks().next().map(Block::standing);
    let stood = |of: fn(&Standing) -> Option<Option<NotLooked>>| first.and_then(of);
    let mut watched = Flow::new(known, stood(|first| first.watch).map_or(Watch::Untold, watch));
    let mut arrived = Flow::new(known, stood(|first| first.signal).map_or(Arriving::Untold, signal));
    let mut picture = Flow::new(known, first.and_then(|first| first.picture));
    let mut vigil = Flow::new(known, first.and_then(|first| first.vigil));
    let mut counts = Counts::default();
    let mut before = first.and_then(|first| first.seen);
    for entry in logbook.blocks().flat_map(Block::entries) {
        let missed = entry.what.missed();
        watched.tell(entry.when, watch(missed), missed.is_none());
        if let Some(word) = arriving(missed) {
            arrived.tell(entry.when, signal(word), false);
        }
        vigil.tell(entry.at, Some(entry.vigil), false);
        if inside(entry.when, known) {
            counts.take(&entry, before, times);
        }
        if let What::Looked { troubles, .. } = entry.what {
            picture.tell(entry.when, Some(troubles), true);
            before = Some(entry.when);
        }
    }
    let watch = watched.done();
    let lasted = |reason| {
        let so = watch.iter().filter(|stretch| stretch.what == Watch::Missed(reason));
        so.map(Stretch::lasts).sum()
    };
    let missed = counts
        .missed
        .into_iter()
        .map(|(reason, (times, failed))| Missed { reason, times, failed, lasted: lasted(reason) })
        .collect();
    let looks = counts
        .taken
        .into_iter()
        .map(|((purpose, continued), taken)| LooksTaken {
            kind: if continued { LookKind::Continued } else { LookKind::Keyframe },
            purpose,
            count: taken.ages.len() as u64,
            interval: Spread::of(taken.intervals),
            age: Spread::of(taken.ages),
            last: taken.last,
        })
        .collect();
    let wakes = counts.wakes.into_iter().map(|(reason, (times, last))| Woken { reason, times, last });
    Explained {
        times: times.clone(),
        from: known.0,
        to: known.1,
        known,
        clock_set_us: counts.clock_set_us,
        looks,
        missed,
        watch,
        signal: arrived.done(),
        vigil: vigil.done(),
        wakes: wakes.collect(),
        picture: picture.done(),
        rules: Vec::new(),
    }
}
