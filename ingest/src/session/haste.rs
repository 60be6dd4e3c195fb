//! How long a camera may take to answer, by what is known of it, and when an attempt is given up. Pure: times in, answers
//! out.
//!
//! A camera that took a connection and then fell silent must not hold its session for the 30 s that an on-demand platform
//! may need to start. What it was asked before it came back was asked of nobody: it is back within 2 s only if it is
//! asked again soon.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use xueliang_base::time::Mono;

use super::SessionError;

/// A stream that delivered and then has been silent for so long is taken down.
const STALL: Duration = Duration::from_secs(5);
/// How long the first unit of a camera that has worked before may take when it is tried again.
const HURRIED: Duration = Duration::from_secs(3);
/// And how long to describe its streams.
const HURRIED_ANSWER: Duration = Duration::from_secs(1);
/// After so many hurried attempts one has all the time that the configuration gives: it may be an on-demand platform.
const HURRIED_ATTEMPTS: u32 = 5;
/// Such a platform answers its first request at once, whatever the camera behind it does. One that answers nothing is given
/// no time until it has been gone for so long.
const GONE: Duration = Duration::from_secs(300);

/// What is known of a camera's answers, over its attempts.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// When it last delivered.
    worked: Option<Mono>,
    /// It needs longer to answer than a hurried attempt waits, even when all is well.
    slow: bool,
    /// Hurried attempts since it last delivered.
    hurried: u32,
}

/// How long one attempt is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Haste {
    /// For the first unit.
    pub(crate) first_unit: Duration,
    /// Given up soon where the streams are not described.
    hurried: bool,
    /// Given up soon where not even the first request is answered.
    answer_first: bool,
}

/// How far an attempt has come. Written by its driver.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    answered: AtomicBool,
    described: AtomicBool,
    slow: AtomicBool,
}

impl Progress {
    /// The camera has answered its first request.
    pub(crate) fn answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }
    /// The camera has described its streams.
    pub(crate) fn describe(&self) {
        self.answer();
        self.described.store(true, Ordering::Relaxed);
    }
    /// Whether it has.
    pub(crate) fn described(&self) -> bool {
        self.described.load(Ordering::Relaxed)
    }
}

impl Patience {
    /// What the next attempt is given, where the configuration gives the first unit so long.
    pub(super) fn next(&mut self, first_unit: Duration, now: Mono) -> Haste {
        let gone = self.worked.map(|last| now.since(last));
        let hurried = gone.is_some() && self.hurried < HURRIED_ATTEMPTS;
        self.hurried = if hurried { self.hurried + 1 } else { 0 };
        Haste {
            first_unit: if hurried { first_unit.min(HURRIED) } else { first_unit },
            hurried,
            answer_first: !self.slow && gone.is_some_and(|gone| gone < GONE),
        }
    }
    /// An attempt delivered until now.
    pub(super) fn worked(&mut self, progress: &Progress, now: Mono) {
        self.worked = Some(now);
        self.slow |= progress.slow.load(Ordering::Relaxed);
        self.hurried = 0;
    }
}

impl Haste {
    /// All the time that the configuration gives: a patrol meets platforms that call the camera up only now.
    pub(super) fn patient(first_unit: Duration) -> Self {
        Self { first_unit, hurried: false, answer_first: false }
    }
    /// Why the attempt is given up now, if it is. `silent` is the time since its newest unit, or since it began where none
    /// has been `delivered`.
    pub(crate) fn overdue(
        &self,
        progress: &Progress,
        silent: Duration,
        delivered: bool,
    ) -> Option<SessionError> {
        if delivered {
            return (silent >= STALL).then_some(SessionError::Stalled { after: silent });
        }
        if silent >= HURRIED_ANSWER {
            let answered = progress.answered.load(Ordering::Relaxed);
            if (self.answer_first && !answered) || (self.hurried && !progress.described()) {
                return Some(SessionError::NoFirstUnit { after: HURRIED_ANSWER });
            }
            if !answered {
                progress.slow.store(true, Ordering::Relaxed);
            }
        }
        (silent >= self.first_unit).then_some(SessionError::NoFirstUnit { after: self.first_unit })
    }
    /// When to look again whether it is overdue, where nothing else happens.
    pub(crate) fn look_again(&self, silent: Duration, delivered: bool) -> Duration {
        let next = match delivered {
            true => STALL,
            false if silent < HURRIED_ANSWER => HURRIED_ANSWER,
            false => self.first_unit,
        };
        // A timer may fire a little early; it must not be set for no time at all.
        next.saturating_sub(silent).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(30);

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000_000)
    }

    #[test]
    fn who_answers_nothing_is_asked_again_soon_until_it_has_been_gone_for_long() {
        let mut patience = Patience::default();
        let first = patience.next(FIRST, at(0));
        assert_eq!(first.first_unit, FIRST);
        assert!(!first.hurried && !first.answer_first, "nobody knows yet how long it takes");
        patience.worked(&Progress::default(), at(10));
        let hurried: Vec<_> = (0..12).map(|_| patience.next(FIRST, at(11))).collect();
        assert!(hurried.iter().all(|haste| haste.answer_first));
        let patient = hurried.iter().filter(|haste| !haste.hurried).count();
        assert_eq!(patient, 2, "one of six gives the camera behind it time");
        assert!(!patience.next(FIRST, at(10).plus(GONE)).answer_first);
        let slow = Progress::default();
        assert_eq!(first.overdue(&slow, HURRIED_ANSWER, false), None);
        patience.worked(&slow, at(1_000));
        assert!(!patience.next(FIRST, at(1_001)).answer_first, "it has always been slow");
    }

    #[test]
    fn each_silence_is_given_up_in_its_time() {
        let s = Duration::from_secs;
        let calm = Haste { first_unit: FIRST, hurried: false, answer_first: false };
        let progress = Progress::default();
        assert_eq!(calm.overdue(&progress, s(4), true), None);
        assert_eq!(calm.overdue(&progress, s(5), true), Some(SessionError::Stalled { after: s(5) }));
        assert_eq!(calm.overdue(&progress, s(29), false), None);
        assert_eq!(calm.overdue(&progress, FIRST, false), Some(SessionError::NoFirstUnit { after: FIRST }));
        let soon = Some(SessionError::NoFirstUnit { after: HURRIED_ANSWER });
        let hasty = Haste { first_unit: HURRIED, hurried: true, answer_first: true };
        assert_eq!(hasty.overdue(&progress, s(1), false), soon);
        progress.answer();
        assert_eq!(hasty.overdue(&progress, s(1), false), soon, "answered, and not described");
        progress.describe();
        assert_eq!(hasty.overdue(&progress, s(1), false), None);
        assert_eq!(
            hasty.overdue(&progress, HURRIED, false),
            Some(SessionError::NoFirstUnit { after: HURRIED })
        );
        // It is looked again no later than it can become overdue.
        assert_eq!(calm.look_again(s(3), true), s(2));
        assert_eq!(calm.look_again(Duration::ZERO, false), HURRIED_ANSWER);
        assert_eq!(calm.look_again(s(1), false), s(29));
    }
}
