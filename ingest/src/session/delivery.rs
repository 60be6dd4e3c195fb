//! Between a source and the sink: numbers the units, stamps their arrival, marks gaps, keeps signal and counters.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use xueliang_base::{
    time::{CameraTime, Mono, SharedClock},
    unit::{AccessUnit, Codec},
};

use super::{Reading, SessionError, SessionStats, Turn, UnitSink, Visit, accounts::Admission};
use crate::health::{Idle, Signal, SignalChange};

/// A unit as a source has it.
#[derive(Debug, Clone)]
pub struct RawUnit {
    /// Encoding.
    pub codec: Codec,
    /// Whether decoding may begin here.
    pub keyframe: bool,
    /// Whether packets were lost just before it.
    pub gap: bool,
    /// Presentation time on the stream's media clock, in microseconds.
    pub pts_us: Option<i64>,
    /// The camera's own time of it.
    pub camera_time: Option<CameraTime>,
    /// Annex B byte stream, or one JPEG file.
    pub data: Bytes,
}

/// Where a source delivers to.
pub struct Delivery {
    sink: Arc<dyn UnitSink>,
    clock: SharedClock,
    state: Mutex<State>,
}

struct State {
    next_seq: u64,
    /// Units from a source that is being torn down are dropped.
    open: bool,
    opened: Mono,
    /// The next unit is the first of a stream, or follows a change of codec.
    broken: bool,
    codec: Option<Codec>,
    first: Option<Mono>,
    last: Option<Mono>,
    /// Of the attempt under way.
    admission: Option<Admission>,
    signal: SignalChange,
    stats: SessionStats,
    /// A keyframe has come in this attempt.
    pictured: bool,
    /// The attempt is made for one visit.
    visiting: bool,
    visit: Visit,
}

impl Delivery {
    pub(super) fn new(first_seq: u64, sink: Arc<dyn UnitSink>, clock: SharedClock) -> Self {
        let (since, since_wall) = (clock.mono(), clock.wall());
        let signal =
            SignalChange { signal: Signal::Connecting, since, since_wall, detail: String::new(), edges: 0 };
        let state = Mutex::new(State {
            next_seq: first_seq.max(1),
            open: false,
            opened: since,
            broken: true,
            codec: None,
            first: None,
            last: None,
            admission: None,
            signal,
            stats: SessionStats::default(),
            pictured: false,
            visiting: false,
            visit: Visit::default(),
        });
        Self { sink, clock, state }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        // A sink that panics must not take the session down with it.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    /// Hands on one unit. Its arrival is now.
    pub fn unit(&self, raw: RawUnit) {
        let (arrival, arrival_wall) = (self.clock.mono(), self.clock.wall());
        let mut state = self.state();
        if !state.open {
            return;
        }
        if state.first.is_none() {
            state.first = Some(arrival);
            state.stats.streams += 1;
            state.stats.last_keyframe = None;
            state.admission.iter_mut().for_each(Admission::accepted);
            self.set(&mut state, Signal::Streaming, String::new());
        }
        state.last = Some(arrival);
        if raw.keyframe && !std::mem::replace(&mut state.pictured, true) {
            let took = arrival.since(state.opened);
            state.stats.first_pictures.count(took);
            if state.visiting {
                state.visit.picture = Some((arrival, took));
            }
        }
        let changed = state.codec.replace(raw.codec).is_some_and(|codec| codec != raw.codec);
        let discontinuity = std::mem::take(&mut state.broken) || raw.gap || changed;
        let seq = state.next_seq;
        state.next_seq += 1;
        state.stats.unit(arrival, raw.data.len(), raw.keyframe, raw.gap);
        // Under the lock, so that units and signals reach the sink in order.
        self.sink.unit(AccessUnit {
            seq,
            codec: raw.codec,
            keyframe: raw.keyframe,
            discontinuity,
            pts_us: raw.pts_us,
            arrival,
            arrival_wall,
            camera_time: raw.camera_time,
            data: raw.data,
        });
    }
    /// Time since the newest unit of this attempt, or since it began; and whether a unit has come in it.
    pub fn silence(&self) -> (Duration, bool) {
        let state = self.state();
        (self.clock.mono().since(state.last.unwrap_or(state.opened)), state.last.is_some())
    }
    /// The camera let us in: its user and password are right, whatever comes next.
    pub(crate) fn accepted(&self) {
        self.state().admission.iter_mut().for_each(Admission::accepted);
    }
    /// What makes the attempt under way.
    pub(super) fn read_by(&self, reading: Reading) {
        self.state().stats.reading = Some(reading);
    }
    pub(super) fn open(&self, admission: Admission, turn: Turn) {
        let mut state = self.state();
        state.open = true;
        state.pictured = false;
        state.visiting = matches!(turn, Turn::Visit(_));
        state.admission = Some(admission);
        state.opened = self.clock.mono();
        state.broken = true;
        state.first = None;
        state.last = None;
        state.stats.connects += 1;
    }
    /// Whether the attempt under way is a visit: its camera may always take its time.
    pub(super) fn is_visit(&self) -> bool {
        self.state().visiting
    }
    /// Whether an attempt is under way.
    pub(super) fn is_open(&self) -> bool {
        self.state().open
    }
    /// A visit was given and has not begun.
    pub(super) fn visit_given(&self, number: u64) {
        self.state().visit = Visit { number, ..Visit::default() };
    }
    /// A visit has ended, its connection is closed.
    pub(super) fn visit_over(&self, number: u64, error: &SessionError) {
        let mut state = self.state();
        if state.visit.number == number {
            state.visit.over = true;
            state.visit.failure = error.signal().map(|_| error.clone());
        }
    }
    pub(super) fn visit(&self) -> Visit {
        self.state().visit.clone()
    }
    /// Ends an attempt; returns how long it delivered, if it did.
    pub(super) fn close(&self, error: &SessionError) -> Option<Duration> {
        let mut state = self.state();
        state.open = false;
        if let Some(admission) = state.admission.take() {
            admission.ended(error, self.clock.mono());
        }
        state.last.zip(state.first).map(|(last, first)| last.since(first))
    }
    pub(super) fn failed(&self, signal: Signal) {
        let mut state = self.state();
        match signal {
            Signal::Offline(cause) => *state.stats.failures.entry(cause).or_default() += 1,
            _ => state.stats.stalls += 1,
        }
    }
    /// Tells the sink that a first attempt is under way, or that it waits for its turn.
    pub(super) fn connecting(&self, idle: Option<Idle>) {
        let mut state = self.state();
        if let Some(idle) = idle {
            state.signal.signal = Signal::NotConnected(idle);
        }
        state.signal.edges += 1;
        self.sink.signal(state.signal.clone());
    }
    /// Changes the signal; false when it is the same already.
    pub(super) fn change(&self, signal: Signal, detail: String) -> bool {
        self.set(&mut self.state(), signal, detail)
    }
    fn set(&self, state: &mut State, signal: Signal, detail: String) -> bool {
        if state.signal.signal == signal {
            state.signal.detail = detail;
            return false;
        }
        state.signal = SignalChange {
            signal,
            since: self.clock.mono(),
            since_wall: self.clock.wall(),
            detail,
            edges: state.signal.edges + 1,
        };
        self.sink.signal(state.signal.clone());
        true
    }
    pub(super) fn signal(&self) -> SignalChange {
        self.state().signal.clone()
    }
    pub(super) fn stats(&self) -> SessionStats {
        self.state().stats.clone()
    }
    pub(super) fn next_seq(&self) -> u64 {
        self.state().next_seq
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
