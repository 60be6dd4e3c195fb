//! One camera in the scheduler: what it needs, what its ring offers, when it was last looked at.

use std::{collections::BTreeSet, time::Duration};

use xueliang_base::{
    id::RuleId,
    look::{LookKind, NotLooked},
    time::Mono,
};

use super::{
    Floor, LookFor, LookOutcome, Offer, Rest, Vigil, WorkerId,
    agenda::{Line, Takes},
    choice::Kept,
    cost::Cost,
    rhythm::Awaited,
};

/// A camera whose next keyframe cannot be foreseen is due after this share of its interval, so that waiting for a worker
/// does not break the floor.
const EARLY: f64 = 0.8;
/// Failures in a row stretch the interval by at most this factor.
const MOST_BACKOFF: u32 = 16;
/// Units come so far apart until it is known better: 25 a second.
const USUAL_GAP: Duration = Duration::from_millis(40);
/// No stream is faster.
const LEAST_GAP: Duration = Duration::from_millis(8);
/// Slow looks are a matter of seconds.
const DOUBTED: Duration = Duration::from_secs(5);
/// Keyframes that come no further apart may be let pass for the next one.
const SOON: Duration = Duration::from_millis(2500);
/// A camera that is awake is not told so more often.
const WAKES_APART: Duration = Duration::from_millis(500);
/// A glance that is wanted comes with the next keyframe, unless there was one this short a time ago.
const STIRRED: Duration = Duration::from_millis(500);
/// Retries after failures are at least this far apart.
const LEAST_RETRY: Duration = Duration::from_secs(1);

/// A predicted cost from which on doubt outruns the age of the picture (it halves every [`DOUBTED`]): a look that is not
/// worth its start may become so by waiting. Of cheaper looks that is never true.
const HOPELESS: Duration = Duration::from_secs(7);
/// A camera waits for the worker that holds its decoder until it is so many intervals late. Then a keyframe look
/// elsewhere is better.
pub(super) const PATIENCE: u32 = 2;
/// Looks that failed in a row, from which on nothing that is promised depends on the next: it would fail, and be tried first again.
const HOPEFUL: u32 = 3;
/// What urgency is more at a camera that was never looked at: it goes before all that were, once.
pub(super) const FIRST: f64 = 1e9;
/// And then those without which a promise is broken: what whoever was woken asks for beyond its promise waits for them.
pub(super) const AT_STAKE: f64 = 1e6;

/// When a look is not worth its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Age of its picture when it is done.
    pub(super) max_age: Duration,
    /// A keyframe that has waited for longer is left for the next one.
    pub(super) oldest_keyframe: Duration,
    /// Whether what is promised can be done: then what a promise depends on goes first, and its keyframe may wait.
    pub(super) stakes: bool,
}

/// A look on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) worker: WorkerId,
    pub(super) kind: LookKind,
    pub(super) started: Mono,
    /// Arrival of the picture it takes.
    pub(super) picture: Mono,
    pub(super) deadline: Mono,
}

#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) floors: Vec<Kept>,
    pub(super) offer: Offer,
    pub(super) flight: Option<Flight>,
    pub(super) cost: Cost,
    /// Whether some floor needs continued looks.
    pub(super) continued: bool,
    /// The worker that holds its decoder.
    pub(super) lease: Option<WorkerId>,
    /// Typical time between units, once continued looks have shown it.
    unit_gap: Duration,
    weight: f64,
    interval: Option<Duration>,
    /// Whether glances ask for that, and no floor does.
    glancing: bool,
    rest: Option<Rest>,
    /// Until when it is watched after it was woken.
    awake_until: Option<Mono>,
    /// Since when a glance is wanted that has not been taken.
    stirred: Option<Mono>,
    /// Rules that have seen something and are to decide, or to see it end.
    undecided: BTreeSet<RuleId>,
    /// Of these, those that do not hold yet.
    deciding: BTreeSet<RuleId>,
    /// When the scheduler first saw it.
    born: Option<Mono>,
    /// Arrival of the last picture seen.
    pub(super) seen: Option<Mono>,
    /// Time between the last two pictures seen, or what is left of longer ones before: under overload the next takes as long.
    stepped: Duration,
    tried: Option<Mono>,
    failures: u32,
    refused: Option<Mono>,
}

impl Seat {
    pub(super) fn new(first_cost: Duration) -> Self {
        Self {
            floors: Vec::new(),
            offer: Offer::default(),
            flight: None,
            cost: Cost::new(first_cost),
            continued: false,
            lease: None,
            unit_gap: USUAL_GAP,
            weight: 1.0,
            interval: None,
            glancing: false,
            rest: None,
            awake_until: None,
            stirred: None,
            undecided: BTreeSet::new(),
            deciding: BTreeSet::new(),
            born: None,
            seen: None,
            stepped: Duration::ZERO,
            tried: None,
            failures: 0,
            refused: None,
        }
    }
    /// Takes what it needs from now on. What a rule has had, it has had, whatever its floor is now; but what was right by the
    /// floor before is no lateness.
    pub(super) fn need(&mut self, now: Mono, weight: f32, floors: Vec<Floor>, rest: Option<Rest>) {
        let weight = f64::from(weight);
        self.weight = if weight.is_finite() { weight.clamp(0.01, 100.0) } else { 1.0 };
        let mut before = std::mem::take(&mut self.floors);
        self.floors = floors
            .into_iter()
            .map(|floor| match before.iter().position(|kept| kept.is_of(&floor)) {
                Some(at) => before.swap_remove(at).renewed(now, floor),
                None => Kept::new(floor),
            })
            .collect();
        self.rest = rest;
        let (deciding, holding) = (std::mem::take(&mut self.deciding), std::mem::take(&mut self.undecided));
        self.undecided(deciding, holding);
        self.attend(now.max(self.born.unwrap_or_default()));
    }
    /// Looks at each rule as closely as what is known now asks for. Returns whether that is a change.
    pub(super) fn attend(&mut self, now: Mono) -> bool {
        self.awake_until = self.awake_until.filter(|until| *until > now);
        let rests = self.rest.is_some() && self.awake_until.is_none();
        let mut changed = false;
        for kept in &mut self.floors {
            let undecided = self.undecided.contains(&kept.floor.rule);
            let woken = self.rest.is_some() && !rests && !undecided;
            changed |= kept.rest(now, rests && !undecided, woken);
            changed |= kept.decide(self.deciding.contains(&kept.floor.rule));
        }
        // Nothing is looked at more often than pictures come.
        let least = Duration::from_millis(20);
        let pause = |rest: Rest| if self.stirred.is_some() { STIRRED } else { rest.glance };
        let glance = self.rest.map(pause).filter(|_| self.floors.iter().any(|kept| kept.resting));
        let floor = self.floors.iter().map(|kept| kept.asks().max(least)).min();
        self.glancing = glance.is_some_and(|glance| floor.is_some_and(|floor| glance < floor));
        let interval = if self.glancing { glance } else { floor };
        changed |= interval != self.interval;
        self.interval = interval;
        self.continued = self.floors.iter().any(Kept::continued);
        changed
    }
    /// Something may be happening: the next picture is worth a glance.
    pub(super) fn stir(&mut self, now: Mono) {
        self.stirred.get_or_insert(now);
    }
    /// Something happens: the camera is watched for so long. Returns until when, where that is news.
    pub(super) fn wake(&mut self, now: Mono, watch: Duration) -> Option<Mono> {
        self.rest?;
        let until = now.plus(watch);
        // Whatever wakes does so again and again.
        let news = self.awake_until.is_none_or(|before| until > before.plus(WAKES_APART));
        news.then(|| *self.awake_until.insert(until))
    }
    /// What woke it has passed. Returns until when it would have been watched.
    pub(super) fn calm(&mut self) -> Option<Mono> {
        self.awake_until.take()
    }
    pub(super) fn awake_until(&self) -> Option<Mono> {
        self.awake_until
    }
    /// Says which rules are to decide, and which hold and are to be seen to end.
    pub(super) fn undecided(&mut self, mut deciding: BTreeSet<RuleId>, mut holding: BTreeSet<RuleId>) {
        let known = |rule: &RuleId| self.floors.iter().any(|kept| kept.floor.rule == *rule);
        deciding.retain(known);
        holding.retain(known);
        holding.extend(deciding.iter().cloned());
        (self.undecided, self.deciding) = (holding, deciding);
    }
    pub(super) fn vigil(&self) -> Vigil {
        let resting = |kept: &Kept| kept.resting;
        match (self.undecided.is_empty(), self.floors.iter().any(resting)) {
            (false, _) => Vigil::Confirming,
            (true, false) => Vigil::Watching,
            (true, true) => Vigil::Resting,
        }
    }
    /// Whether a picture would be looked at if the camera rested.
    pub(super) fn is_owed(&self, picture: Mono) -> bool {
        self.rest.is_none() || self.floors.iter().any(|kept| kept.is_owed(picture))
    }
    /// What a look at this picture is made for; the next one comes so long after it.
    pub(super) fn purpose(&self, picture: Mono, step: Duration) -> LookFor {
        if self.rest.is_none() {
            return LookFor::Floor;
        }
        let due = || self.floors.iter().filter(|kept| kept.breaks(picture, step));
        if due().any(|kept| kept.resting || kept.is_owed(picture)) {
            LookFor::Rest
        } else if due().any(|kept| self.undecided.contains(&kept.floor.rule)) {
            LookFor::Decide
        } else if due().next().is_some() {
            LookFor::Watch
        } else if self.stirred.is_some() {
            LookFor::Stirred
        } else {
            LookFor::Glance
        }
    }
    pub(super) fn begin(&mut self, now: Mono) {
        self.born.get_or_insert(now);
    }
    /// Where blindness of a floor is counted from before its first look.
    pub(super) fn born(&self) -> Option<Mono> {
        self.born
    }
    /// The longest time from one picture to the next that is to be expected.
    pub(super) fn step(&self, leased: bool) -> Duration {
        let keyframes = self.offer.keyframe_interval_estimate.filter(|_| !leased).unwrap_or_default();
        let visits = self.rest.map_or(Duration::ZERO, |rest| rest.visits);
        self.interval.unwrap_or_default().max(keyframes).max(self.stepped).max(visits)
    }
    /// Where blindness is counted from.
    pub(super) fn since(&self) -> Option<Mono> {
        self.seen.or(self.born)
    }
    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }
    pub(super) fn weight(&self) -> f64 {
        self.weight
    }
    /// Whether a keyframe that was due goes without a look, now that another is there.
    pub(super) fn passes_over(&self, next: &Offer) -> bool {
        let (Some(passed), Some(newer), Some(interval)) =
            (self.offer.freshest_keyframe_arrival, next.freshest_keyframe_arrival, self.interval)
        else {
            return false;
        };
        let due = self.since().is_some_and(|since| passed > since && newer.since(since) > interval);
        newer > passed && due && self.flight.is_none()
    }
    /// Workers that looking at it in time takes, with a leased decoder or without.
    pub(super) fn load(&self, leased: bool) -> f64 {
        let Some(interval) = self.interval else { return 0.0 };
        let (cost, interval) = if leased {
            // Where it is late, its looks take more units than they would in time.
            (self.cost.every(interval, self.unit_gap), interval)
        } else {
            (self.cost.keyframe(), interval.max(self.offer.keyframe_interval_estimate.unwrap_or_default()))
        };
        cost.as_secs_f64() / interval.as_secs_f64()
    }
    /// Workers that what is promised takes, without what whoever was woken asks for beyond.
    pub(super) fn promised_load(&self) -> f64 {
        let promises = self.floors.iter().filter(|kept| !kept.floor.unserved);
        let Some(promised) = promises.map(Kept::promised).min().filter(|promised| !promised.is_zero()) else {
            return 0.0;
        };
        let leased = self.lease.is_some() && self.floors.iter().any(Kept::promises_continued);
        let cost = self.cost.of_models();
        let (cost, promised) = if leased {
            (cost.every(promised, self.unit_gap), promised)
        } else {
            (cost.keyframe(), promised.max(self.offer.keyframe_interval_estimate.unwrap_or_default()))
        };
        cost.as_secs_f64() / promised.as_secs_f64()
    }
    /// Workers that a lease would take beyond its keyframes.
    pub(super) fn extra(&self) -> f64 {
        self.load(true) - self.load(false)
    }
    /// The higher, the more a lease is worth here.
    pub(super) fn priority(&self) -> f64 {
        self.weight / self.interval.map_or(f64::INFINITY, |interval| interval.as_secs_f64())
    }
    /// The last try. A failed look counts as one, or dead cameras would crowd out the others.
    pub(super) fn waits_since(&self) -> Option<Mono> {
        let since = self.since()?;
        Some(self.tried.map_or(since, |tried| tried.max(since)))
    }
    /// Time since the last try, in intervals.
    #[cfg(test)]
    fn lateness(&self, now: Mono) -> f64 {
        let (Some(interval), Some(since)) = (self.interval, self.waits_since()) else { return 0.0 };
        now.since(since).as_secs_f64() / interval.as_secs_f64()
    }
    /// Never looked at.
    fn is_first(&self) -> bool {
        self.seen.is_none() && self.tried.is_none()
    }
    /// As its line says it ([`Line`]), of this seat alone.
    #[cfg(test)]
    pub(super) fn urgency(&self, now: Mono, limits: Limits) -> f64 {
        let first = if self.is_first() { FIRST } else { 0.0 };
        let at_stake = self.is_at_stake(limits);
        first + if at_stake { AT_STAKE } else { 0.0 } + self.lateness(now) * self.weight
    }
    /// All that its urgency depends on besides the time since the last try, and what its look takes.
    pub(super) fn line(&self, now: Mono, limits: Limits) -> Line {
        let new = |arrival: Mono| self.keyframe_cost(now.max(arrival), limits).is_some();
        let by_keyframe = || self.is_doubted() || self.offer.freshest_keyframe_arrival.is_some_and(new);
        Line {
            first: self.is_first(),
            at_stake: self.is_at_stake(limits),
            interval: self.interval.unwrap_or_default(),
            weight: self.weight.to_bits(),
            takes: match self.lease {
                Some(worker) => Takes::Holder(worker),
                None if self.continued && !by_keyframe() => Takes::Lease,
                None => Takes::Anyone,
            },
        }
    }
    /// Whether it is better to wait for the worker that holds its decoder than to look elsewhere.
    pub(super) fn waits_for_its_worker(&self, now: Mono) -> bool {
        let waits = self.waits_since().zip(self.interval);
        waits.is_none_or(|(since, interval)| now.since(since) < interval * PATIENCE)
    }
    /// When the next look is due by time alone.
    pub(super) fn due_at(&self) -> Option<Mono> {
        let interval = self.interval?;
        let Some(seen) = self.seen.filter(|_| self.failures == 0) else {
            let Some(tried) = self.tried else { return self.born };
            let backoff = 1 << self.failures.min(MOST_BACKOFF.ilog2());
            return Some(tried.plus((interval * backoff).max(LEAST_RETRY).min(Duration::from_secs(60))));
        };
        // Where the next keyframe can be foreseen, looks come at keyframes, the last that is in time.
        let foreseen = !self.continued && self.offer.keyframe_interval_estimate.is_some();
        Some(seen.plus(if foreseen { interval } else { interval.mul_f64(EARLY) }))
    }
    /// From when on it is due with the pictures that there are: a leased decoder waits for the one that suits best.
    pub(super) fn due_from(&self) -> Option<Mono> {
        let due = self.due_at()?;
        let awaited = || {
            let (seen, newest) = (self.seen?, self.offer.newest_unit_arrival?);
            let looks = self.continued && self.lease.is_some() && self.failures == 0 && newest > seen;
            let (floor, rhythm) = (self.interval?, self.offer.rhythm?);
            looks.then_some(Awaited { seen, floor, due, newest, rhythm })
        };
        Some(awaited().map_or(due, Awaited::from))
    }
    /// Whether a look should start now and could.
    pub(super) fn is_due(&self, now: Mono, limits: Limits) -> bool {
        if self.flight.is_some() || self.offer.blind.is_some() {
            return false;
        }
        let possible = self.continued_cost(now, limits).filter(|_| self.continued).is_some()
            || self.keyframe_cost(now, limits).is_some();
        let Some(due) = self.due_from() else { return false };
        possible && (now >= due || self.last_chance(now))
    }
    /// From when on it is due while nothing but time changes; `None` where it never is.
    pub(super) fn ready_at(&self, limits: Limits) -> Option<Mono> {
        if self.flight.is_some() || self.offer.blind.is_some() {
            return None;
        }
        let due = self.due_from()?;
        // The last keyframe in time is the last at once, or when the look is due anyway.
        let due = if self.last_chance(Mono(0)) { Mono(0) } else { due };
        let by_unit = |arrival: Mono| self.continued_cost(due.max(arrival), limits).is_some();
        let by_keyframe =
            |arrival: Mono| self.is_doubted() || self.keyframe_cost(due.max(arrival), limits).is_some();
        let possible = (self.continued && self.offer.newest_unit_arrival.is_some_and(by_unit))
            || self.offer.freshest_keyframe_arrival.is_some_and(by_keyframe);
        possible.then_some(due)
    }
    /// Whether waiting alone may make a look worth its start that is not.
    pub(super) fn is_doubted(&self) -> bool {
        self.cost.keyframe() > HOPELESS
    }
    /// Until when a camera that is due stays so at least, while nothing but time changes.
    pub(super) fn due_until(&self, now: Mono, limits: Limits) -> Option<Mono> {
        let until = |arrival: Mono, cost: Duration, oldest: Duration| {
            arrival.plus(limits.max_age.saturating_sub(cost).min(oldest))
        };
        let by_unit = self
            .continued_cost(now, limits)
            .filter(|_| self.continued)
            .zip(self.offer.newest_unit_arrival)
            .map(|(cost, arrival)| until(arrival, cost, Duration::MAX));
        let by_keyframe = self
            .keyframe_cost(now, limits)
            .zip(self.offer.freshest_keyframe_arrival)
            .map(|(cost, arrival)| until(arrival, cost, self.oldest_keyframe(limits)));
        by_unit.max(by_keyframe)
    }
    /// Whether the newest keyframe is the last one that comes before the floor is broken.
    fn last_chance(&self, now: Mono) -> bool {
        let (Some(interval), Some(seen), Some(keyframe), Some(step)) = (
            self.interval,
            self.seen,
            self.offer.freshest_keyframe_arrival,
            self.offer.keyframe_interval_estimate,
        ) else {
            return false;
        };
        // Not for cameras that can be looked at between keyframes, and not twice for one keyframe.
        let next = keyframe.plus(step.mul_f64(1.1));
        // A glance is no floor: the keyframe that comes nearest to its time will do.
        let late = if self.glancing { step / 2 } else { Duration::ZERO };
        !self.continued && self.failures == 0 && keyframe > seen && next.max(now) > seen.plus(interval + late)
    }
    /// What is left of a prediction: one that keeps its camera from being looked at would never be measured again, so
    /// beyond twice the interval it halves every [`DOUBTED`].
    fn believed(&self, now: Mono, cost: Duration) -> Duration {
        let Some(last) = self.tried.or(self.born) else { return cost };
        let overdue = now.since(last).saturating_sub(self.interval.unwrap_or_default() * 2);
        if overdue.is_zero() {
            return cost;
        }
        cost.mul_f64(0.5f64.powf(overdue.as_secs_f64() / DOUBTED.as_secs_f64()))
    }
    /// Its promises that are broken unless its newest keyframe, or the next one, is looked at. Time alone changes nothing of them.
    fn at_stake(&self, limits: Limits) -> impl Iterator<Item = &Kept> {
        let two = self.two_keyframes();
        let keyframe =
            self.offer.freshest_keyframe_arrival.filter(|_| limits.stakes && self.failures < HOPEFUL);
        let broken = move |kept: &&Kept| keyframe.is_some_and(|arrival| kept.is_at_stake(arrival, two));
        self.floors.iter().filter(broken)
    }
    fn is_at_stake(&self, limits: Limits) -> bool {
        self.at_stake(limits).next().is_some()
    }
    fn two_keyframes(&self) -> Duration {
        self.offer.keyframe_interval_estimate.unwrap_or_default() * 2
    }
    /// How long its newest keyframe may wait: for a promise that keyframes can keep, as long as a result may be old.
    fn oldest_keyframe(&self, limits: Limits) -> Duration {
        let two = self.two_keyframes();
        let depends = self.at_stake(limits).any(|kept| kept.promised() >= two);
        if depends { Duration::MAX } else { limits.oldest_keyframe }
    }
    /// Predicted cost of a keyframe look, where there is a new keyframe and it would not come too old.
    pub(super) fn keyframe_cost(&self, now: Mono, limits: Limits) -> Option<Duration> {
        let arrival = self.offer.freshest_keyframe_arrival?;
        let cost = self.believed(now, self.cost.keyframe());
        let new = self.seen.is_none_or(|seen| arrival > seen);
        let waited = now.since(arrival);
        // Only where the next one is soon there: after a rare one it is the camera that would wait too long.
        let soon = self.offer.keyframe_interval_estimate.is_some_and(|step| step <= SOON);
        let fresh = !soon || waited <= self.oldest_keyframe(limits);
        (new && fresh && waited.saturating_add(cost) <= limits.max_age).then_some(cost)
    }
    /// Predicted cost of a continued look, where there is a new unit and it would not come too old.
    pub(super) fn continued_cost(&self, now: Mono, limits: Limits) -> Option<Duration> {
        let arrival = self.offer.newest_unit_arrival?;
        let cost = self.cost.continued(self.offer.units_since_look.max(1));
        let new = self.seen.is_none_or(|seen| arrival > seen);
        (new && now.since(arrival).saturating_add(cost) <= limits.max_age).then_some(cost)
    }
    /// From when on a look that is not made is over its interval and would be refused, at most once an interval.
    pub(super) fn refused_from(&self) -> Option<Mono> {
        if self.flight.is_some() || self.offer.blind.is_some() {
            return None;
        }
        Some(self.waits_since().max(self.refused)?.plus(self.interval?))
    }
    /// Why a look that is over its interval is not made.
    pub(super) fn refusal(&mut self, now: Mono, limits: Limits, busy: bool) -> Option<NotLooked> {
        if self.refused_from()? > now {
            return None;
        }
        let reason = if self.is_due(now, limits) {
            if !busy {
                return None;
            }
            NotLooked::Busy
        } else if self.offer.newest_unit_arrival.is_some() && self.failures == 0 {
            // Its newest keyframe was looked at before, or has grown old, or left the ring.
            NotLooked::TooOld
        } else {
            return None;
        };
        self.refused = Some(now);
        Some(reason)
    }
    /// The look that was on its way has ended; with it, how many rules had waited for longer than whoever was woken asks.
    pub(super) fn land(
        &mut self,
        now: Option<Mono>,
        outcome: &LookOutcome,
        grace: Duration,
    ) -> Option<(Flight, u64)> {
        let flight = self.flight.take()?;
        self.tried = Some(flight.started);
        let mut slow = 0;
        if let Ok(seen) = &outcome.result {
            self.failures = 0;
            let born = self.born;
            for kept in self.floors.iter_mut().filter(|kept| kept.is_served_by(&seen.models)) {
                slow += u64::from(kept.serve(seen.picture, born, grace));
            }
            let stepped = self.seen.map_or(Duration::ZERO, |seen| flight.picture.since(seen));
            // Longer than any floor is no rhythm of looks: the camera was away, or no floor can be kept.
            let served = self.floors.iter().filter(|kept| !kept.floor.unserved);
            let longest = served.map(|kept| kept.floor.at_rest.max(kept.floor.blind_max)).max();
            let stepped =
                if longest.is_some_and(|longest| stepped > longest) { Duration::ZERO } else { stepped };
            // Times differ where workers are short, and a floor that counts on the shorter ones is broken by the longer.
            self.stepped = stepped.max((self.stepped * 3 + stepped) / 4);
            if flight.kind == LookKind::Continued
                && let Some(seen) = self.seen
            {
                let units = u32::try_from(outcome.units_decoded.max(1)).unwrap_or(u32::MAX);
                let gap = (flight.picture.since(seen) / units).max(LEAST_GAP);
                self.unit_gap = (self.unit_gap * 3 + gap) / 4;
            }
            self.stirred = self.stirred.filter(|since| seen.picture < *since);
            self.seen = Some(self.seen.map_or(flight.picture, |seen| seen.max(flight.picture)));
            self.cost.learn(flight.kind, &outcome.cost, outcome.units_decoded);
        } else {
            self.failures = self.failures.saturating_add(1);
            self.tried = now.or(self.tried);
        }
        Some((flight, slow))
    }
}
