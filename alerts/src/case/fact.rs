//! What lists and statistics go by: what the history of a case comes to. Pure: the store keeps it beside the history, from
//! which it can be made again at any time.
//!
//! How long something took is told by the clock on the wall; whether it was in time, by the timer that ran for it, which
//! knows of office hours, suspensions and extensions. Nobody who worked stands here, but the unit that was asked.

use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, CaseFlag};

use super::{Action, Case, Event, Owner, State, clock::Stage};

/// What an alert was judged to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nobody has judged it.
    #[default]
    None,
    /// 立案, or judged otherwise and taken up again.
    Confirmed,
    /// 误报.
    False,
    /// 不立案.
    NotAccepted,
    /// 重复合并.
    Merged,
    /// 自动恢复.
    Cleared,
}

impl Verdict {
    /// Every verdict, by its number in the store.
    pub const ALL: [Verdict; 6] = [
        Verdict::None,
        Verdict::Confirmed,
        Verdict::False,
        Verdict::NotAccepted,
        Verdict::Merged,
        Verdict::Cleared,
    ];
    /// Its number in the store.
    pub fn number(self) -> i64 {
        self as i64
    }
}

/// How long a stage took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// In microseconds.
    pub us: i64,
    /// Whether its limit had ended; `None`: it had none.
    pub late: Option<bool>,
}

/// Why a case is a false alarm, not accepted or void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 误报.
    False(v1::FalseAlarmReason),
    /// 不立案.
    NotAccepted(v1::NotAcceptedReason),
    /// 作废.
    Cancel(v1::CancelReason),
}

impl Reason {
    /// Its number in the store: those of each sort lie in a hundred of their own.
    pub fn number(self) -> i32 {
        match self {
            Reason::False(reason) => 100 + i32::from(reason),
            Reason::NotAccepted(reason) => 200 + i32::from(reason),
            Reason::Cancel(reason) => 300 + i32::from(reason),
        }
    }
}

/// What the history of a case comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fact {
    /// What it was judged to be.
    pub verdict: Verdict,
    /// Why it is what it is, where that has a reason.
    pub reason: Option<Reason>,
    /// Bits of [`bit`]; but overdue and due soon, which depend on when one asks.
    pub flags: u32,
    /// When the first of its running timers is 80 % used up.
    pub soon: Option<Wall>,
    /// When the first of them ends.
    pub limit: Option<Wall>,
    /// When its running limit to close ends.
    pub close_limit: Option<Wall>,
    /// The unit that was last asked to handle it.
    pub unit: Option<String>,
    /// From being opened to being judged by people.
    pub judge: Option<Took>,
    /// From being judged to the first dispatch.
    pub dispatch: Option<Took>,
    /// From a dispatch to its being taken, the first time.
    pub accept: Option<Took>,
    /// From the first dispatch to its being closed, since it was last reopened.
    pub close: Option<Took>,
    /// Closed by force, after its limit to close had ended.
    pub forced_late: bool,
    /// Its check ever began.
    pub checked: bool,
}

/// The bit of a flag.
pub fn bit(flag: CaseFlag) -> u32 {
    1 << i32::from(flag)
}

impl Fact {
    /// Of a case and the history that made it.
    pub fn of(case: &Case, history: &[Event]) -> Self {
        let mut fact = Fact::default();
        // Since when it waits to be dispatched, since when its last unit is asked, and since when it is handled.
        let (mut waits, mut asked, mut handled) = (None, None, None);
        for (before, event) in history.iter().zip(history.iter().skip(1)) {
            let at = event.at;
            let took = |since: Wall, stage| Took {
                us: at.0.saturating_sub(since.0),
                late: before.timers.all().find(|one| one.stage == stage).map(|timer| timer.is_over(at)),
            };
            fact.judged(before, event, || took(case.opened, Stage::Judge));
            match &event.action {
                Action::Confirm => waits = Some(at),
                Action::Dispatch(unit, _) => {
                    if let (None, Some(since)) = (fact.dispatch, waits) {
                        fact.dispatch = Some(took(since, Stage::Dispatch));
                    }
                    (asked, handled) = (Some(at), handled.or(Some(at)));
                    fact.unit = Some(unit.clone());
                }
                Action::Accept => {
                    if let (None, Some(since)) = (fact.accept, asked) {
                        fact.accept = Some(took(since, Stage::Accept));
                    }
                }
                Action::TakeUp => fact.checked = true,
                Action::Rework => fact.flags |= bit(CaseFlag::Reworked),
                Action::Pass => fact.close = handled.map(|since| took(since, Stage::Close)),
                Action::Heard(heard) if heard.closes => {
                    // What the other platform took it on for was never dispatched here.
                    fact.close = handled.or(waits).map(|since| took(since, Stage::Close));
                }
                Action::ForceClose => fact.forced_late = took(at, Stage::Close).late == Some(true),
                Action::Reopen => {
                    waits = Some(at);
                    (handled, fact.close, fact.forced_late) = (None, None, false);
                    fact.flags |= bit(CaseFlag::Reopened);
                }
                _ => {}
            }
        }
        let running = || case.timers.all().filter(|timer| timer.paused.is_none());
        fact.soon = running().map(|timer| timer.soon).min();
        fact.limit = running().map(|timer| timer.due).min();
        fact.close_limit = running().find(|timer| timer.stage == Stage::Close).map(|timer| timer.due);
        fact.mark(case);
        fact
    }
    /// What the event makes of the verdict and its reason.
    fn judged(&mut self, before: &Event, event: &Event, took: impl Fn() -> Took) {
        let verdict = match &event.action {
            Action::Confirm | Action::Reopen => Verdict::Confirmed,
            Action::FalseAlarm(_) => Verdict::False,
            Action::NotAccept(_) => Verdict::NotAccepted,
            Action::Merge(_) => Verdict::Merged,
            Action::Clear => Verdict::Cleared,
            // The platform that keeps the case says what it was.
            Action::Heard(heard) if heard.closes && heard.stage == v1::ExternalStage::FalseAlarm => {
                Verdict::False
            }
            Action::Heard(heard) if heard.closes => Verdict::Confirmed,
            _ => self.verdict,
        };
        let by_people = matches!(
            event.action,
            Action::Confirm | Action::FalseAlarm(_) | Action::NotAccept(_) | Action::Merge(_)
        );
        if by_people && before.state == State::New {
            self.judge = Some(took());
        }
        self.verdict = verdict;
        self.reason = match &event.action {
            Action::FalseAlarm(reason) => Some(Reason::False(*reason)),
            Action::NotAccept(reason) => Some(Reason::NotAccepted(*reason)),
            Action::Cancel(reason) => Some(Reason::Cancel(*reason)),
            Action::Reopen => None,
            _ => self.reason,
        };
    }
    fn mark(&mut self, case: &Case) {
        let marks = [
            (CaseFlag::WasOverdue, case.was_overdue),
            (CaseFlag::Drill, case.subject.drill),
            (CaseFlag::Urged, case.urged > 0),
            (CaseFlag::Supervised, case.supervision != v1::Supervision::Unspecified),
            (CaseFlag::Extended, case.extensions > 0),
            (CaseFlag::Whistled, case.whistle != v1::Whistle::Unspecified),
            (CaseFlag::LegalHold, case.legal_hold),
            (CaseFlag::External, case.subject.owner == Owner::External),
        ];
        self.flags |= marks.iter().filter(|(_, is)| *is).fold(0, |bits, (flag, _)| bits | bit(*flag));
    }
}
