//! What is counted of a group, and how long its stages took.

use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, CaseFlag};

use super::Counted;
use crate::case::{
    State,
    fact::{Took, Verdict, bit},
};

/// How long a stage took, case by case: shares of all are exact, so all are kept until they are told.
#[derive(Debug, Default)]
struct Stage {
    took_us: Vec<i64>,
    timed: u64,
    in_time: u64,
}

/// The value that so many hundredths of all lie at or below, by the nearest rank.
fn percentile(all: &mut [i64], hundredths: usize) -> i64 {
    let rank = (all.len() * hundredths).div_ceil(100);
    if rank == 0 {
        return 0;
    }
    *all.select_nth_unstable(rank - 1).1
}

impl Stage {
    fn add(&mut self, took: Option<Took>) {
        let Some(took) = took else { return };
        self.took_us.push(took.us);
        self.timed += u64::from(took.late.is_some());
        self.in_time += u64::from(took.late == Some(false));
    }
    fn absorb(&mut self, other: Stage) {
        // The longer one stays where it is.
        let (mut longer, shorter) = if self.took_us.len() < other.took_us.len() {
            (other.took_us, std::mem::take(&mut self.took_us))
        } else {
            (std::mem::take(&mut self.took_us), other.took_us)
        };
        longer.extend_from_slice(&shorter);
        self.took_us = longer;
        self.timed += other.timed;
        self.in_time += other.in_time;
    }
    fn told(&mut self) -> Option<v1::StageStatistics> {
        Some(v1::StageStatistics {
            cases: self.took_us.len() as u64,
            in_time: share(self.in_time, self.timed),
            p50_us: percentile(&mut self.took_us, 50),
            p90_us: percentile(&mut self.took_us, 90),
        })
    }
}

fn share(part: u64, whole: u64) -> Option<v1::Proportion> {
    Some(v1::Proportion { part, whole })
}

/// Sums over a group.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// What is only counted, as it is told.
    counts: v1::CaseStatistics,
    false_alarms: (u64, u64),
    closed_in_time: (u64, u64),
    reworked: (u64, u64),
    judge: Stage,
    dispatch: Stage,
    accept: Stage,
    close: Stage,
}

impl Sums {
    pub(super) fn cases(&self) -> usize {
        usize::try_from(self.counts.cases).unwrap_or(usize::MAX)
    }
    pub(super) fn add(&mut self, one: &Counted, now: Wall) {
        let is = |flag| one.flags & bit(flag) != 0;
        let over = |limit: Option<Wall>| limit.is_some_and(|limit| limit <= now);
        let is_open = one.state.is_none_or(State::is_open);
        let is_manual = one.kind == v1::Kind::ManualReport as i32;
        let counts = &mut self.counts;
        let count = |counter: &mut u64, counts: bool| *counter += u64::from(counts);
        count(&mut counts.cases, true);
        count(&mut counts.alerts, !is_manual);
        count(&mut counts.manual_reports, is_manual);
        count(&mut counts.machine_misses, one.is_miss);
        let void = one.state == Some(State::Cancelled);
        count(&mut counts.cancelled, void);
        let judged = |verdict| !void && one.verdict == verdict;
        count(&mut counts.unjudged, judged(Verdict::None));
        count(&mut counts.confirmed, judged(Verdict::Confirmed));
        count(&mut counts.not_accepted, judged(Verdict::NotAccepted));
        count(&mut counts.judged_false, judged(Verdict::False));
        count(&mut counts.merged, judged(Verdict::Merged));
        count(&mut counts.cleared, judged(Verdict::Cleared));
        count(&mut counts.forced_closes, one.state == Some(State::ForcedClosed));
        count(&mut counts.overdue, is_open && over(one.limit));
        count(&mut counts.whistled, is(CaseFlag::Whistled));
        count(&mut counts.extended, is(CaseFlag::Extended));
        count(&mut counts.reopened, is(CaseFlag::Reopened));
        // A person's report is no alarm of the machine.
        let judged_at_all =
            [Verdict::Confirmed, Verdict::NotAccepted, Verdict::False].into_iter().any(judged);
        count(&mut self.false_alarms.1, !is_manual && judged_at_all);
        count(&mut self.false_alarms.0, !is_manual && judged(Verdict::False));
        let closed = one.close.and_then(|took| took.late);
        let late = closed == Some(true) || one.forced_late || (is_open && over(one.close_limit));
        count(&mut self.closed_in_time.0, closed == Some(false));
        count(&mut self.closed_in_time.1, closed == Some(false) || late);
        count(&mut self.reworked.0, one.checked && is(CaseFlag::Reworked));
        count(&mut self.reworked.1, one.checked);
        self.judge.add(one.judge);
        self.dispatch.add(one.dispatch);
        self.accept.add(one.accept);
        self.close.add(one.close);
    }
    pub(super) fn absorb(&mut self, other: Sums) {
        let (sum, more) = (&mut self.counts, &other.counts);
        for (counter, more) in [
            (&mut sum.cases, more.cases),
            (&mut sum.alerts, more.alerts),
            (&mut sum.manual_reports, more.manual_reports),
            (&mut sum.machine_misses, more.machine_misses),
            (&mut sum.unjudged, more.unjudged),
            (&mut sum.confirmed, more.confirmed),
            (&mut sum.not_accepted, more.not_accepted),
            (&mut sum.judged_false, more.judged_false),
            (&mut sum.merged, more.merged),
            (&mut sum.cleared, more.cleared),
            (&mut sum.cancelled, more.cancelled),
            (&mut sum.forced_closes, more.forced_closes),
            (&mut sum.overdue, more.overdue),
            (&mut sum.whistled, more.whistled),
            (&mut sum.extended, more.extended),
            (&mut sum.reopened, more.reopened),
            (&mut self.false_alarms.0, other.false_alarms.0),
            (&mut self.false_alarms.1, other.false_alarms.1),
            (&mut self.closed_in_time.0, other.closed_in_time.0),
            (&mut self.closed_in_time.1, other.closed_in_time.1),
            (&mut self.reworked.0, other.reworked.0),
            (&mut self.reworked.1, other.reworked.1),
        ] {
            *counter += more;
        }
        self.judge.absorb(other.judge);
        self.dispatch.absorb(other.dispatch);
        self.accept.absorb(other.accept);
        self.close.absorb(other.close);
    }
    /// As it is told. How long each case took stays, in another order.
    pub(super) fn told(&mut self) -> v1::CaseStatistics {
        v1::CaseStatistics {
            false_alarms: share(self.false_alarms.0, self.false_alarms.1),
            closed_in_time: share(self.closed_in_time.0, self.closed_in_time.1),
            reworked: share(self.reworked.0, self.reworked.1),
            judge: self.judge.told(),
            dispatch: self.dispatch.told(),
            accept: self.accept.told(),
            close: self.close.told(),
            ..self.counts.clone()
        }
    }
}
