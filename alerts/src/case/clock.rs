//! Timers of a case: limits in four units, standing while it is put off, longer when extended, never begun anew by
//! returning or rework. And what is due at a moment: soon, over, or somebody further up to be told.

pub mod calendar;
pub mod limits;

pub use xueliang_base::limit::{Limit, LimitUnit};
use xueliang_base::time::Wall;
use xueliang_proto::v1;

pub use self::{
    calendar::Calendar,
    limits::{Limits, OwnLimits, Policy},
};
use super::{Action, Case, Owner, State};

/// What a timer limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Until it is judged.
    Judge,
    /// Until it is dispatched.
    Dispatch,
    /// Until the unit has taken it.
    Accept,
    /// Until the unit is at it.
    Start,
    /// Until what was fed back is checked.
    Verify,
    /// From the first dispatch until it is closed.
    Close,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 6] =
        [Stage::Judge, Stage::Dispatch, Stage::Accept, Stage::Start, Stage::Verify, Stage::Close];
    /// The stage that a state waits in, besides [`Stage::Close`].
    fn of(state: State) -> Option<Stage> {
        Some(match state {
            State::New => Stage::Judge,
            State::Confirmed | State::Returned | State::Reopened => Stage::Dispatch,
            State::Dispatched => Stage::Accept,
            State::Accepted | State::Rework => Stage::Start,
            State::Feedback | State::Verifying => Stage::Verify,
            _ => return None,
        })
    }
}

/// One timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// What it limits.
    pub stage: Stage,
    /// Its limit, without extensions.
    pub limit: Limit,
    /// When it began, later by the time for which it stood.
    pub begin: Wall,
    /// When the limit ends.
    pub due: Wall,
    /// When 80 % of it are used up.
    pub soon: Wall,
    /// Since when it stands.
    pub paused: Option<Wall>,
    /// How often one more limit was granted.
    pub extensions: u32,
    /// Its being due soon is in the history.
    pub told_soon: bool,
    /// Its being overdue is in the history.
    pub told_overdue: bool,
    /// Rungs of the ladder that were told.
    pub rungs: u32,
}

impl Timer {
    /// A limit that begins at a moment.
    pub fn new(stage: Stage, limit: Limit, begin: Wall, calendar: &Calendar) -> Self {
        let timer = Self {
            stage,
            limit,
            begin,
            due: begin,
            soon: begin,
            paused: None,
            extensions: 0,
            told_soon: false,
            told_overdue: false,
            rungs: 0,
        };
        timer.reckoned(calendar)
    }
    /// With its ends as they follow from the rest.
    fn reckoned(mut self, calendar: &Calendar) -> Self {
        let whole = calendar.length(self.limit).saturating_mul(1 + self.extensions);
        self.due = calendar.forward(self.limit.unit, self.begin, whole);
        self.soon = calendar.forward(self.limit.unit, self.begin, whole * 4 / 5);
        self
    }
    /// Stands from a moment on.
    fn pause(self, at: Wall) -> Self {
        Self { paused: self.paused.or(Some(at)), ..self }
    }
    /// Runs on; its ends move by the time for which it stood, as its unit counts it.
    fn resume(mut self, at: Wall, calendar: &Calendar) -> Self {
        let Some(since) = self.paused.take() else { return self };
        let stood = calendar.passed(self.limit.unit, since, at);
        self.begin = calendar.forward(self.limit.unit, self.begin, stood);
        self.reckoned(calendar)
    }
    /// One more limit. What was told of the end before is told again of the new one.
    fn extend(mut self, calendar: &Calendar) -> Self {
        self.extensions += 1;
        (self.told_soon, self.told_overdue, self.rungs) = (false, false, 0);
        self.reckoned(calendar)
    }
    /// When a rung of the ladder is told: the first at the end of the limit, the next each two limits later. So somebody
    /// else at the desk hears of a level 1 after a minute, and the desk above after three.
    pub fn rung_at(&self, rung: u32, calendar: &Calendar) -> Wall {
        let more = calendar.length(self.limit).saturating_mul(rung.saturating_mul(2));
        calendar.forward(self.limit.unit, self.due, more)
    }
    /// Whether its limit has ended.
    pub fn is_over(&self, now: Wall) -> bool {
        self.paused.is_none() && now >= self.due
    }
    /// Whether 80 % of it are used up.
    pub fn is_soon(&self, now: Wall) -> bool {
        self.paused.is_none() && now >= self.soon
    }
}

/// The timers of a case: of the stage it waits in, and until it is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timers {
    /// Of the stage.
    pub stage: Option<Timer>,
    /// Until it is closed.
    pub close: Option<Timer>,
}

impl Timers {
    /// Both, where they are.
    pub fn all(&self) -> impl Iterator<Item = &Timer> {
        self.stage.iter().chain(&self.close)
    }
    fn change(&mut self, stage: Stage, how: impl FnMut(&mut Timer)) {
        self.stage.iter_mut().chain(&mut self.close).filter(|timer| timer.stage == stage).for_each(how);
    }
}

/// The timers of a case after an action. `after` is the case as it makes it, its timers not set yet; `before` is none for
/// the first event.
pub fn timers_after(
    before: Option<&Case>,
    after: &Case,
    action: &Action,
    at: Wall,
    limits: &Limits,
    calendar: &Calendar,
) -> Timers {
    let mut timers = before.map(|case| case.timers.clone()).unwrap_or_default();
    match action {
        Action::Suspend => timers.close = timers.close.map(|timer| timer.pause(at)),
        Action::Resume => timers.close = timers.close.map(|timer| timer.resume(at, calendar)),
        Action::Extend => timers.close = timers.close.map(|timer| timer.extend(calendar)),
        Action::DueSoon(stage) => timers.change(*stage, |timer| timer.told_soon = true),
        Action::Overdue(stage) => timers.change(*stage, |timer| timer.told_overdue = true),
        Action::Escalate(stage, ..) => timers.change(*stage, |timer| timer.rungs += 1),
        _ => {}
    }
    // What another platform keeps is timed there, once it is judged here.
    let ours = after.subject.owner == Owner::Ours || after.state == State::New;
    let wanted = Stage::of(after.state).filter(|_| ours);
    let fresh = matches!(action, Action::Dispatch(..));
    if let Action::Regrade(_) = action {
        // The limit of the new level, from the moment that the old one began: what is over by it is told at once.
        let begin = timers.stage.map_or(at, |timer| timer.begin);
        timers.stage = started(wanted, limits, begin, calendar);
    } else if fresh || timers.stage.map(|timer| timer.stage) != wanted {
        timers.stage = started(wanted, limits, at, calendar);
    }
    if !after.state.is_open() {
        timers.close = None;
    } else if after.state == State::Dispatched && timers.close.is_none() {
        timers.close = limits.of(Stage::Close).map(|limit| Timer::new(Stage::Close, limit, at, calendar));
    }
    timers
}

fn started(stage: Option<Stage>, limits: &Limits, begin: Wall, calendar: &Calendar) -> Option<Timer> {
    let stage = stage?;
    Some(Timer::new(stage, limits.of(stage)?, begin, calendar))
}

/// What the clock has to say about a case now, in order; nothing that it has said. `ladder` names the desks to be told,
/// nearest first; `displayed` whether any console has displayed its alert.
pub fn due_now(case: &Case, now: Wall, ladder: &[String], displayed: bool, policy: &Policy) -> Vec<Action> {
    let (mut due, calendar) = (Vec::new(), &policy.calendar);
    if !case.state.is_open() {
        return due;
    }
    if clears_at(case, policy).is_some_and(|at| now >= at) {
        return vec![Action::Clear];
    }
    if case.state == State::Suspended && case.suspend_until.is_some_and(|until| now >= until) {
        due.push(Action::Resume);
    }
    for timer in case.timers.all().filter(|timer| timer.paused.is_none()) {
        if timer.is_soon(now) && !timer.told_soon {
            due.push(Action::DueSoon(timer.stage));
        }
        if timer.is_over(now) && !timer.told_overdue {
            due.push(Action::Overdue(timer.stage));
        }
        let claimed = timer.stage == Stage::Judge && case.claimed(now).is_some();
        if claimed || case.acknowledged.is_some_and(|until| now < until) {
            continue;
        }
        let cause = match timer.stage {
            Stage::Judge if !displayed => v1::EscalationCause::NotDisplayed,
            Stage::Judge => v1::EscalationCause::NotClaimed,
            _ => v1::EscalationCause::Overdue,
        };
        // Of a list that has changed since, whoever comes first and does not know yet: nobody is passed over.
        let untold = ladder.iter().filter(|desk| !case.has_told(timer.stage, desk));
        let rungs = (timer.rungs..).zip(untold);
        let reached = rungs.take_while(|(rung, _)| now >= timer.rung_at(*rung, calendar));
        due.extend(reached.map(|(_, desk)| Action::Escalate(timer.stage, cause, desk.clone())));
    }
    due
}

/// When the clock may have something to say about a case at the earliest, as far as its history knows; `None`: never.
pub fn next_due(case: &Case, ladder: &[String], policy: &Policy) -> Option<Wall> {
    let calendar = &policy.calendar;
    if !case.state.is_open() {
        return None;
    }
    if case.state == State::Suspended {
        return case.suspend_until;
    }
    let of = |timer: &Timer| {
        if timer.paused.is_some() {
            return None;
        }
        let untold = ladder.iter().any(|desk| !case.has_told(timer.stage, desk));
        let rung = untold.then(|| timer.rung_at(timer.rungs, calendar));
        // Nobody is told over the head of who judges or has it, before that ends.
        let claim = case.claim.as_ref().filter(|_| timer.stage == Stage::Judge).map(|claim| claim.until);
        let held = claim.max(case.acknowledged);
        let rung = rung.map(|at| held.map_or(at, |until| at.max(until)));
        let soon = (!timer.told_soon).then_some(timer.soon);
        let over = (!timer.told_overdue).then_some(timer.due);
        [soon, over, rung].into_iter().flatten().min()
    };
    case.timers.all().filter_map(of).chain(clears_at(case, policy)).min()
}

/// When the clock clears a case: its condition was seen to have ended, people are in no danger from it, and nobody has
/// touched it for a while. What somebody has under hold or supervises waits for them.
fn clears_at(case: &Case, policy: &Policy) -> Option<Wall> {
    use v1::Supervision::{Automatic, Unspecified};
    let left_alone =
        !case.legal_hold && case.absorbed.is_empty() && matches!(case.supervision, Unspecified | Automatic);
    if case.state != State::New || !case.may_clear() || !case.end_observed || !left_alone {
        return None;
    }
    let quiet_since = case.condition_ended?.max(case.touched.unwrap_or(Wall(i64::MIN)));
    let claimed_until = case.claim.as_ref().map_or(Wall(i64::MIN), |claim| claim.until);
    Some(quiet_since.plus(policy.clear_after).max(claimed_until))
}

#[cfg(test)]
mod tests;
