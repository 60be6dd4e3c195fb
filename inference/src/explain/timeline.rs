//! A stretch of time cut into parts, without holes and without overlaps.

use std::time::Duration;

use xueliang_base::time::Mono;

/// A part of time in which one thing was so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<T> {
    /// Since when.
    pub from: Mono,
    /// Until when; where the next one begins.
    pub to: Mono,
    /// What was so.
    pub what: T,
    /// Looks whose picture arrived in it.
    pub looks: u64,
    /// Of them, those that saw what was looked for.
    pub seen: u64,
}

impl<T> Stretch<T> {
    /// How long it is.
    pub fn lasts(&self) -> Duration {
        self.to.since(self.from)
    }
}

/// Stretches of a given time, in the making. Spans come in order, each where the one before ended.
#[derive(Debug)]
pub(super) struct Timeline<T> {
    within: (Mono, Mono),
    stretches: Vec<Stretch<T>>,
    /// Looks of spans without a length.
    left: (u64, u64),
}

impl<T: PartialEq> Timeline<T> {
    pub(super) fn new(within: (Mono, Mono)) -> Self {
        Self { within, stretches: Vec::new(), left: (0, 0) }
    }
    /// From one moment to another it was so; `look` says whether it began with a look, and whether that saw something.
    pub(super) fn span(&mut self, from: Mono, to: Mono, what: T, look: Option<bool>) {
        if let Some(saw) = look.filter(|_| from >= self.within.0 && from < self.within.1) {
            self.left.0 += 1;
            self.left.1 += u64::from(saw);
        }
        let (from, to) = (from.max(self.within.0), to.min(self.within.1));
        if from >= to {
            return;
        }
        let (looks, seen) = std::mem::take(&mut self.left);
        match self.stretches.last_mut() {
            Some(last) if last.what == what => {
                last.to = to;
                last.looks += looks;
                last.seen += seen;
            }
            _ => self.stretches.push(Stretch { from, to, what, looks, seen }),
        }
    }
    pub(super) fn done(self) -> Vec<Stretch<T>> {
        self.stretches
    }
}

/// A timeline of a state that lasts until another is told.
#[derive(Debug)]
pub(super) struct Flow<T> {
    line: Timeline<T>,
    now: (Mono, T, bool),
}

impl<T: PartialEq + Copy> Flow<T> {
    /// `first` is so until something else is told.
    pub(super) fn new(within: (Mono, Mono), first: T) -> Self {
        Self { line: Timeline::new(within), now: (Mono(0), first, false) }
    }
    /// From this moment on it is so. Moments that go back count as the one before.
    pub(super) fn tell(&mut self, at: Mono, what: T, look: bool) {
        let at = at.max(self.now.0);
        self.close(at);
        self.now = (at, what, look);
    }
    fn close(&mut self, at: Mono) {
        let (since, what, look) = self.now;
        self.line.span(since, at, what, look.then_some(false));
    }
    pub(super) fn done(mut self) -> Vec<Stretch<T>> {
        self.close(Mono(u64::MAX));
        self.line.done()
    }
}
