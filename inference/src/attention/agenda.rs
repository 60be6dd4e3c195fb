//! Who may be due, and who is next: so that a decision costs what it concerns, and not a walk over all cameras.
//!
//! All of it follows from the seats, which alone decide; it may be dropped at any time and made again. It rests on how a
//! seat's being due depends on time while nothing else changes: it begins at a moment that is known
//! ([`Seat::ready_at`]), and once it has ended, as when a keyframe has grown old, it does not come back. So a seat waits
//! for its moment, then stands in a line until a look begins or it is found not to be due any more.
//!
//! Urgency grows with time, faster at one camera than at another, but in the same way at cameras of one interval and one
//! weight. These form a line, where whoever has waited longest is first; only the first ones of all lines are compared.

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    ops::Bound,
    time::Duration,
};

use xueliang_base::time::Mono;

use super::{
    Seats, WorkerId,
    camera::{AT_STAKE, FIRST, Limits, PATIENCE, Seat},
    lease::Free,
    moments::Moments,
};

/// What a look takes that could begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Takes {
    /// Any worker: there is a new keyframe.
    Anyone,
    /// The worker that holds the decoder, as long as it is better to wait for that one.
    Holder(WorkerId),
    /// A lease: there is no new keyframe.
    Lease,
}

/// Cameras among which whoever has waited longest is most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    /// Whether they were never tried.
    pub(super) first: bool,
    /// Whether a floor at rest is at stake.
    pub(super) at_stake: bool,
    pub(super) interval: Duration,
    /// A positive number's bits, which are in the order of the numbers.
    pub(super) weight: u64,
    pub(super) takes: Takes,
}

impl Line {
    fn lateness(&self, now: Mono, since: Mono) -> f64 {
        now.since(since).as_secs_f64() / self.interval.as_secs_f64()
    }
    /// Of whoever in it has waited since then: the seat itself need not be fetched.
    fn urgency(&self, now: Mono, since: Mono) -> f64 {
        let first = if self.first { FIRST } else { 0.0 };
        let at_stake = if self.at_stake { AT_STAKE } else { 0.0 };
        first + at_stake + self.lateness(now, since) * f64::from_bits(self.weight)
    }
    /// Whether that one had better wait for the worker that holds its decoder than be looked at elsewhere.
    fn waits_for_its_worker(&self, now: Mono, since: Mono) -> bool {
        now.since(since) < self.interval * PATIENCE
    }
    /// What a lease is worth to each of them.
    fn priority(&self) -> f64 {
        f64::from_bits(self.weight) / self.interval.as_secs_f64()
    }
}

/// A place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Post {
    line: Line,
    /// Since when it has waited.
    since: Mono,
    /// What a lease would take of the workers ([`Seat::extra`]), in a form that is in the order of the numbers.
    extra: u64,
}

impl Post {
    fn of(now: Mono, seat: &Seat, limits: Limits) -> Self {
        let bits = seat.extra().to_bits();
        let extra = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
        Self { line: seat.line(now, limits), since: seat.waits_since().unwrap_or_default(), extra }
    }
}

/// Where a seat stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stand {
    /// Nothing makes it due but a change.
    #[default]
    Out,
    /// It may be due from a moment on.
    Waits,
    /// It may be due.
    InLine(Post),
}

#[derive(Debug, Clone)]
pub(super) struct Agenda {
    /// By place of the seat, as all that follows.
    stands: Vec<Stand>,
    /// When those that wait may be due.
    waiting: Moments,
    lines: BTreeMap<Line, BTreeSet<(Mono, usize)>>,
    /// Seats in line that take a lease, by what that would take of the workers.
    wanting: BTreeSet<(u64, usize)>,
    /// When to see whether a look is refused.
    checks: Moments,
    /// Seats over their interval that are due: refused as soon as no worker is free.
    pressing: BTreeSet<usize>,
    /// The moment it was brought up to.
    now: Mono,
    limits: Limits,
}

impl Agenda {
    pub(super) fn build(seats: &Seats, limits: Limits) -> Self {
        let mut agenda = Self {
            stands: vec![Stand::default(); seats.len()],
            waiting: Moments::new(seats.len()),
            lines: BTreeMap::new(),
            wanting: BTreeSet::new(),
            checks: Moments::new(seats.len()),
            pressing: BTreeSet::new(),
            now: Mono(0),
            limits,
        };
        for (place, seat) in seats.values().enumerate() {
            agenda.renew(place, seat);
        }
        agenda
    }
    /// Takes up other limits. For most seats they change nothing, which costs less than making all again.
    pub(super) fn limit(&mut self, limits: Limits, seats: &Seats) {
        self.limits = limits;
        for (place, seat) in seats.values().enumerate() {
            self.renew(place, seat);
        }
    }
    /// Takes up what has changed at a seat.
    pub(super) fn renew(&mut self, place: usize, seat: &Seat) {
        self.stand(place, seat);
        self.pressing.remove(&place);
        self.checks.set(place, seat.refused_from());
    }
    /// Lets a seat stand where it belongs now.
    pub(super) fn stand(&mut self, place: usize, seat: &Seat) {
        let ready = seat.ready_at(self.limits);
        let stand = match ready {
            Some(at) if at <= self.now => Stand::InLine(Post::of(self.now, seat, self.limits)),
            Some(_) => Stand::Waits,
            None => Stand::Out,
        };
        self.waiting.set(place, ready.filter(|_| stand == Stand::Waits));
        if stand == self.stands[place] {
            return;
        }
        self.leave(place);
        if let Stand::InLine(post) = stand {
            self.lines.entry(post.line).or_default().insert((post.since, place));
            if post.line.takes == Takes::Lease {
                self.wanting.insert((post.extra, place));
            }
        }
        self.stands[place] = stand;
    }
    /// It stands in no line any more, as when it is not due and will not be until something changes.
    pub(super) fn leave(&mut self, place: usize) {
        if let Stand::InLine(post) = std::mem::take(&mut self.stands[place]) {
            self.wanting.remove(&(post.extra, place));
            if let Some(seats) = self.lines.get_mut(&post.line) {
                seats.remove(&(post.since, place));
                if seats.is_empty() {
                    self.lines.remove(&post.line);
                }
            }
        }
    }
    /// Whose moment has come stands in line.
    pub(super) fn advance(&mut self, now: Mono, seats: &Seats) {
        self.now = self.now.max(now);
        while let Some((_, place)) = self.waiting.take(self.now) {
            self.stand(place, &seats[place]);
        }
    }
    /// Of the seats in line that take a lease, the one for which there is room soonest.
    pub(super) fn least_wanting(&self) -> Option<usize> {
        self.wanting.first().map(|(_, place)| *place)
    }
    /// The next moment that makes a seat due.
    pub(super) fn next_wake(&mut self) -> Option<Mono> {
        self.waiting.first()
    }
    /// Whether nobody is in line.
    pub(super) fn is_idle(&self) -> bool {
        self.lines.is_empty()
    }
    /// The seats in line, most urgent first. Left out are lines of which not one can be looked at now: that wait for a busy
    /// worker, or for a lease where `grants` says that none is to be had at that priority.
    pub(super) fn front(&self, now: Mono, free: &Free<'_>, grants: impl Fn(f64) -> bool) -> Front {
        let heads = self.lines.iter().filter_map(|(line, waiting)| {
            let (since, place) = *waiting.first()?;
            let served = match line.takes {
                Takes::Anyone => true,
                // If the first of a line waits, all do.
                Takes::Holder(worker) => free.has(worker) || !line.waits_for_its_worker(now, since),
                Takes::Lease => grants(line.priority()),
            };
            served.then(|| Head { urgency: line.urgency(now, since), place, since, line: *line })
        });
        Front(heads.collect())
    }
    /// Seats whose looks may have to be refused, in order.
    pub(super) fn take_checks(&mut self, now: Mono, busy: bool) -> Vec<usize> {
        let mut places = Vec::new();
        while let Some((_, place)) = self.checks.take(now) {
            places.push(place);
        }
        if busy {
            places.extend(std::mem::take(&mut self.pressing));
        }
        places.sort_unstable();
        places.dedup();
        places
    }
    /// It was looked whether this seat's look is refused: when to look again.
    pub(super) fn checked(&mut self, now: Mono, place: usize, seat: &Seat) {
        let limits = self.limits;
        self.pressing.remove(&place);
        let again = match seat.refused_from() {
            Some(from) if from <= now => {
                if seat.is_due(now, limits) {
                    self.pressing.insert(place);
                    // From then on it may be too old.
                    seat.due_until(now, limits).map(|until| until.max(now).plus(Duration::from_nanos(1)))
                } else {
                    // Waiting alone may make a doubted one due.
                    if seat.is_doubted() {
                        self.pressing.insert(place);
                    }
                    seat.ready_at(limits).filter(|at| *at > now)
                }
            }
            from => from,
        };
        self.checks.set(place, again);
    }
}

/// The first of a line that were not taken yet.
#[derive(Debug)]
struct Head {
    urgency: f64,
    place: usize,
    since: Mono,
    line: Line,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.urgency.total_cmp(&other.urgency).then(other.place.cmp(&self.place))
    }
}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Head {}

/// A walk over the lines, by urgency. Seats that were given out may leave their lines meanwhile.
#[derive(Debug)]
pub(super) struct Front(BinaryHeap<Head>);

impl Front {
    pub(super) fn next(&mut self, now: Mono, agenda: &Agenda) -> Option<usize> {
        let Head { place, since, line, .. } = self.0.pop()?;
        let after = (Bound::Excluded((since, place)), Bound::Unbounded);
        let follower = agenda.lines.get(&line).and_then(|waiting| waiting.range(after).next());
        self.0.extend(follower.map(|&(since, place)| Head {
            urgency: line.urgency(now, since),
            place,
            since,
            line,
        }));
        Some(place)
    }
}
