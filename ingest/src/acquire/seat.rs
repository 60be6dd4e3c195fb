//! One camera that waits for turns: what it is to have, where it is, and when it is due.

use std::time::Duration;

use xueliang_base::{
    config::{Acquire, Camera},
    time::Mono,
};

use super::{AGAIN, BACK, CROWDED_OUT, HANGS, Heard, LEAST_STAY, LINGER, Lack, SETTLE, UNDECIDED};
use crate::{
    health::Idle,
    session::{SessionError, Turn, Visit},
};

/// A failed sign-in is not tried again before: three to five lock an account.
const ACCOUNT: Duration = Duration::from_secs(300);
/// A camera has to send less for so long until it is taken to: scenes come and go, and who keeps a session must not change with them.
const FALLS: Duration = Duration::from_secs(600);
/// Measurements further apart than this do not tell of the time between.
const APART: Duration = Duration::from_secs(60);
/// A camera that is only visited is never measured: after so long what it is stated to send counts again, and it may be tried.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// Where a camera is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Not connected.
    #[default]
    Idle,
    /// Connected, or on its way, for ever.
    Held,
    /// In a visit.
    Visiting {
        number: u64,
        since: Mono,
        /// Arrival of its first keyframe.
        picture: Option<Mono>,
    },
    /// Told to close; of a visit its number.
    Closing { number: Option<u64> },
    /// Closed, and the far end may not have noticed.
    Settling { until: Mono },
}

#[derive(Debug)]
struct Asked {
    until: Mono,
    /// It has had its turn and gave way: from now on it takes turns like everybody.
    gave_way: bool,
}

/// It sends clearly less than it was taken to.
#[derive(Debug)]
struct Less {
    since: Mono,
    /// The most of it.
    most: u64,
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) acquire: Acquire,
    pub(super) weight: f64,
    /// Sessions that it takes while it keeps them.
    pub(super) sessions: u32,
    /// Budgets of what it hangs on, from the nearest up.
    pub(super) above: Vec<usize>,
    /// It keeps its session.
    pub(super) holds: bool,
    /// It does not, and ought to.
    pub(super) crowded_out: Option<(usize, Lack)>,
    pub(super) place: Place,
    /// It was due and had to wait.
    pub(super) waits: Option<(usize, Lack)>,
    /// Visits in a row.
    pub(super) failures: u32,
    stated: u64,
    measured: Option<u64>,
    measured_at: Mono,
    less: Option<Less>,
    patience: Duration,
    /// When its next visit is due.
    due: Mono,
    /// Before that it is not tried, whoever asks.
    not_before: Mono,
    /// It was visited.
    known: bool,
    /// Arrival of the latest visit's first picture.
    last: Option<Mono>,
    interval: Option<Duration>,
    /// How long its first picture takes.
    lead: Duration,
    asked: Option<Asked>,
    undecided: bool,
    looked: Option<Mono>,
}

impl Default for Seat {
    fn default() -> Self {
        Self {
            acquire: Acquire::default(),
            weight: 1.0,
            sessions: 1,
            above: Vec::new(),
            holds: false,
            crowded_out: None,
            place: Place::Idle,
            waits: None,
            failures: 0,
            stated: 0,
            measured: None,
            measured_at: Mono(0),
            less: None,
            patience: Duration::ZERO,
            due: Mono(0),
            not_before: Mono(0),
            known: false,
            last: None,
            interval: None,
            lead: Duration::ZERO,
            asked: None,
            undecided: false,
            looked: None,
        }
    }
}

impl Seat {
    pub(super) fn configure(&mut self, now: Mono, camera: &Camera, sessions: u32, above: Vec<usize>) {
        if self.acquire != camera.acquire || !self.known {
            (self.due, self.interval) = (now, None);
        }
        self.acquire = camera.acquire;
        self.weight = f64::from(camera.weight);
        self.sessions = sessions;
        self.above = above;
        self.stated = camera.stated_bit_rate();
        self.patience = camera.stream.first_unit_timeout;
        self.waits = None;
    }
    /// Sessions that it takes when it is connected: a visit is one.
    pub(super) fn takes(&self) -> u32 {
        let kept = self.holds || matches!(self.place, Place::Held | Place::Closing { number: None });
        if kept { self.sessions } else { 1 }
    }
    /// Bits a second that its session takes.
    pub(super) fn bits(&self) -> u64 {
        self.measured.unwrap_or(self.stated)
    }
    /// Takes a measurement; true where it says something new: at once where it is the first or more, after [`FALLS`] of less.
    pub(super) fn measure(&mut self, now: Mono, bits: Option<u64>) -> bool {
        let before = self.bits();
        let Some(bits) = bits else {
            if !self.holds && now.since(self.measured_at) >= FORGOTTEN {
                (self.measured, self.less) = (None, None);
            }
            return self.bits() != before;
        };
        let gap = now.since(std::mem::replace(&mut self.measured_at, now));
        let clearly = bits.abs_diff(before) > before / 5;
        if !clearly || self.measured.is_none() || bits > before {
            self.less = None;
            if clearly || self.measured.is_none() {
                self.measured = Some(bits);
            }
            return clearly;
        }
        let less = self.less.take_if(|_| gap <= APART).unwrap_or(Less { since: now, most: bits });
        let less = Less { most: less.most.max(bits), ..less };
        if now.since(less.since) < FALLS {
            self.less = Some(less);
            return false;
        }
        self.measured = Some(less.most);
        true
    }
    /// How it is taken.
    pub(super) fn granted(&self) -> Acquire {
        match self.acquire {
            Acquire::Continuous if !self.holds => Acquire::Patrol { every: CROWDED_OUT },
            acquire => acquire,
        }
    }
    pub(super) fn idle(&self) -> Idle {
        if self.acquire == Acquire::OnRequest { Idle::OnRequest } else { Idle::Patrol }
    }
    fn every(&self) -> Duration {
        match self.granted() {
            Acquire::Patrol { every } => every,
            _ => CROWDED_OUT,
        }
    }

    pub(super) fn ask(&mut self, now: Mono, lasting: Duration) {
        let gave_way = self.asked.as_ref().is_some_and(|asked| asked.gave_way);
        self.asked = (!lasting.is_zero()).then(|| Asked { until: now.plus(lasting), gave_way });
    }
    pub(super) fn asked_until(&self) -> Option<Mono> {
        self.asked.as_ref().map(|asked| asked.until)
    }

    pub(super) fn hear(&mut self, now: Mono, heard: &Heard) {
        (self.undecided, self.looked) = (heard.undecided, heard.looked);
        match &mut self.place {
            Place::Visiting { number, .. } | Place::Closing { number: Some(number) }
                if heard.visit.number != *number =>
            {
                // Its session was renewed.
                self.place = Place::Settling { until: now.plus(SETTLE) };
            }
            Place::Visiting { picture, .. } => {
                if picture.is_none()
                    && let Some((at, took)) = heard.visit.picture
                {
                    *picture = Some(at);
                    self.pictured(at, took);
                }
                if heard.visit.over {
                    self.ended(now, &heard.visit);
                }
            }
            Place::Closing { number } => {
                let closed = !heard.open && (number.is_none() || heard.visit.over);
                if closed {
                    self.place = Place::Settling { until: now.plus(SETTLE) };
                }
            }
            Place::Held if !heard.held => self.place = Place::Settling { until: now.plus(SETTLE) },
            Place::Idle | Place::Held | Place::Settling { .. } => {}
        }
    }
    /// Its first picture has come.
    fn pictured(&mut self, at: Mono, took: Duration) {
        if let Some(last) = self.last.replace(at) {
            let new = at.since(last);
            self.interval = Some(self.interval.map_or(new, |old| (old * 3 + new) / 4));
        }
        (self.failures, self.waits) = (0, None);
        // It is called early, so that its picture comes in time.
        self.lead = if self.lead.is_zero() { took } else { (self.lead * 3 + took) / 4 };
        self.rests_from(at);
        self.known = true;
    }
    /// Its latest picture came then.
    fn rests_from(&mut self, at: Mono) {
        self.last = Some(at);
        self.due = at.plus(self.every()).minus(self.lead.min(self.every() / 2));
    }
    /// Its visit ended by itself.
    fn ended(&mut self, now: Mono, visit: &Visit) {
        self.place = Place::Settling { until: now.plus(SETTLE) };
        let Some(failure) = &visit.failure else { return };
        if visit.picture.is_some() {
            self.not_before = now.plus(BACK);
            return;
        }
        self.failed(now, failure.locks_accounts() || *failure == SessionError::AccountRefused);
    }
    fn failed(&mut self, now: Mono, account: bool) {
        self.known = true;
        self.failures = self.failures.saturating_add(1);
        let wait = (AGAIN * 2u32.pow(self.failures.min(16) - 1)).min(self.every());
        let wait = if account { wait.max(ACCOUNT) } else { wait };
        (self.due, self.not_before) = (now.plus(wait), now.plus(wait));
    }

    /// What it is to do now, where that is something else.
    pub(super) fn turn(&mut self, now: Mono) -> Option<Turn> {
        self.asked.take_if(|asked| asked.until <= now);
        match self.place {
            Place::Settling { until } if until <= now => self.place = Place::Idle,
            Place::Held if !self.holds => {
                // Its pictures came all the time.
                (self.last, self.interval) = (None, None);
                self.place = Place::Closing { number: None };
                return Some(Turn::Closed(self.idle()));
            }
            Place::Visiting { .. } if self.holds => {
                self.place = Place::Held;
                return Some(Turn::Always);
            }
            Place::Visiting { number, since, picture } if self.is_done(now, since, picture) => {
                match picture {
                    None => self.failed(now, false),
                    Some(picture) => self.rests_from(self.looked.map_or(picture, |at| at.max(picture))),
                }
                self.place = Place::Closing { number: Some(number) };
                return Some(Turn::Closed(self.idle()));
            }
            _ => {}
        }
        None
    }
    fn is_done(&self, now: Mono, since: Mono, picture: Option<Mono>) -> bool {
        let Some(picture) = picture else { return now.since(since) >= self.patience + HANGS };
        if self.stays(now, since) {
            return false;
        }
        let looked = self.looked.is_some_and(|looked| looked >= picture);
        looked || now.since(picture) >= LINGER
    }
    /// Whether a visit goes on after its picture was looked at.
    fn stays(&self, now: Mono, since: Mono) -> bool {
        self.asked.is_some() || (self.undecided && now.since(since) < UNDECIDED)
    }

    /// Whether it is to be visited now.
    pub(super) fn wants(&self, now: Mono) -> bool {
        if self.place != Place::Idle || self.holds || now < self.not_before {
            return false;
        }
        self.asked.is_some() || (self.acquire != Acquire::OnRequest && now >= self.due)
    }
    /// The higher, the sooner.
    pub(super) fn urgency(&self, now: Mono) -> f64 {
        match &self.asked {
            Some(asked) if !asked.gave_way => f64::INFINITY,
            _ if !self.known => 1e9 * self.weight,
            _ => self.lateness(now) * self.weight,
        }
    }
    /// Time since its latest picture was due to be taken, in intervals.
    fn lateness(&self, now: Mono) -> f64 {
        let every = self.every();
        (now.since(self.due) + every).as_secs_f64() / every.as_secs_f64()
    }
    /// Whether others that stay longer than for a picture are to give way to it.
    pub(super) fn has_waited_long(&self, now: Mono) -> bool {
        now.since(self.due.max(self.not_before)) >= self.every()
    }
    pub(super) fn visit(&mut self, now: Mono, number: u64) {
        self.place = Place::Visiting { number, since: now, picture: None };
        self.waits = None;
    }
    /// Since when its visit goes on only for a rule or a request, where it may be made to give way.
    pub(super) fn stays_since(&self, now: Mono) -> Option<Mono> {
        match self.place {
            Place::Visiting { since, picture: Some(picture), .. }
                if self.stays(now, since) && now.since(picture) >= LEAST_STAY =>
            {
                Some(since)
            }
            _ => None,
        }
    }
    pub(super) fn gives_way(&mut self, now: Mono) {
        if let Place::Visiting { number, .. } = self.place {
            self.place = Place::Closing { number: Some(number) };
        }
        if let Some(asked) = &mut self.asked {
            asked.gave_way = true;
        }
        // It has just been looked at.
        self.rests_from(now);
    }
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.place, Place::Closing { .. } | Place::Settling { .. })
    }
    pub(super) fn is_calling(&self) -> bool {
        matches!(self.place, Place::Visiting { picture: None, .. })
    }
    /// From picture to picture, of visits; at least what the latest has taken.
    pub(super) fn interval(&self, now: Mono) -> Option<Duration> {
        let overdue = now.since(self.last?);
        let staying = matches!(self.place, Place::Visiting { picture: Some(_), .. });
        Some(match self.interval {
            Some(interval) if staying => interval,
            Some(interval) => interval.max(overdue),
            None if staying => return None,
            None => overdue.max(self.every()),
        })
    }
}
