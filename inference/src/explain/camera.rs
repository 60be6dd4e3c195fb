//! What the journal's entries say of the camera itself: which looks were made, and why others were not.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    look::{LookKind, NotLooked, Observation},
    time::Mono,
};

use super::{Arriving, LookFor, LooksTaken, Missed, Spread, Stretch, Times, Watch, timeline::Flow};
use crate::journal::Journal;

/// The wall clock was set when an entry was dated by so much another one; what is less is its drift.
const SET: i64 = 1_000_000;

pub(super) struct Camera {
    pub(super) clock_set_us: Option<i64>,
    pub(super) looks: Vec<LooksTaken>,
    pub(super) missed: Vec<Missed>,
    pub(super) watch: Vec<Stretch<Watch>>,
    pub(super) signal: Vec<Stretch<Arriving>>,
}

/// When an entry tells of: the arrival of its picture, where there is one.
pub(super) fn when(observation: &Observation) -> Mono {
    observation.outcome.as_ref().map_or(observation.at, |sight| sight.arrival)
}

/// Whether a moment lies in a time.
pub(super) fn inside(at: Mono, within: (Mono, Mono)) -> bool {
    within.0 <= at && at < within.1
}

/// The entry's word on whether units arrive; `None` where it has none.
fn arriving(outcome: Option<NotLooked>) -> Option<Arriving> {
    match outcome {
        Some(
            reason @ (NotLooked::Connecting
            | NotLooked::Offline
            | NotLooked::Stalled
            | NotLooked::ExpectedOff
            | NotLooked::NotConnected),
        ) => Some(Arriving::Silent(reason)),
        Some(NotLooked::TooOld | NotLooked::Busy | NotLooked::WorkerLost) => None,
        _ => Some(Arriving::Units),
    }
}

pub(super) fn of(journal: &Journal, times: &Times, known: (Mono, Mono)) -> Camera {
    let mut watch = Flow::new(known, Watch::Untold);
    let mut signal = Flow::new(known, Arriving::Untold);
    let mut taken: BTreeMap<bool, (Vec<Duration>, Vec<Duration>)> = BTreeMap::new();
    let mut counts: BTreeMap<NotLooked, (u64, u64)> = BTreeMap::new();
    let mut clock_set_us: Option<i64> = None;
    let mut before: Option<Mono> = None;
    for observation in journal.iter() {
        let at = when(observation);
        let reason = observation.outcome.as_ref().err().copied();
        watch.tell(at, reason.map_or(Watch::Looked, Watch::Missed), reason.is_none());
        if let Some(word) = arriving(reason) {
            signal.tell(at, word, false);
        }
        if inside(at, known) {
            match reason {
                None => {
                    let (intervals, ages) = taken.entry(observation.kind == LookKind::Continued).or_default();
                    intervals.extend(before.map(|before| at.since(before)));
                    ages.push(observation.at.since(at));
                }
                Some(reason) => {
                    let (all, failed) = counts.entry(reason).or_default();
                    *all += 1;
                    *failed += u64::from(observation.look.0 != 0);
                }
            }
            let set = times.wall(observation.at).0 - observation.at_wall.0;
            if set.abs() >= SET && clock_set_us.is_none_or(|known| set.abs() > known.abs()) {
                clock_set_us = Some(set);
            }
        }
        if reason.is_none() {
            before = Some(at);
        }
    }
    let watch = watch.done();
    let lasted = |reason| {
        let so = watch.iter().filter(|stretch| stretch.what == Watch::Missed(reason));
        so.map(Stretch::lasts).sum()
    };
    let missed = counts
        .into_iter()
        .map(|(reason, (times, failed))| Missed { reason, times, failed, lasted: lasted(reason) })
        .collect();
    let looks = taken
        .into_iter()
        .map(|(continued, (intervals, ages))| LooksTaken {
            kind: if continued { LookKind::Continued } else { LookKind::Keyframe },
            purpose: LookFor::Floor,
            count: ages.len() as u64,
            interval: Spread::of(intervals),
            age: Spread::of(ages),
        })
        .collect();
    Camera { clock_set_us, looks, missed, watch, signal: signal.done() }
}
