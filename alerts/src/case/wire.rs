//! Cases to and from the protocol: what consoles are told, what they ask for, and how the store keeps an event.

use std::collections::BTreeSet;

use prost::Message as _;
use xueliang_base::{
    alert::Sha256,
    kind::{Kind, Level},
    time::Wall,
    wire,
};
use xueliang_proto::v1::{self, case_action::What};

use super::{
    Acted, Action, Actor, Case, CaseNumber, Event, Heard, Miss, Owner, State, Subject,
    actor::Actors,
    clock::{Limit, LimitUnit, Stage, Timer, Timers},
};
use crate::error::{Error, Result};

fn invalid<E: std::fmt::Display>(field: &str) -> impl FnOnce(E) -> Error {
    move |fault| Error::Invalid(format!("{field}: {fault}"))
}

/// One of a list by its number in the protocol, which counts from 1.
fn listed<T: Copy>(all: &[T], number: i32, field: &str) -> Result<T> {
    let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let unknown = || Error::Invalid(format!("{field}: {number} is not known here"));
    at.and_then(|at| all.get(at)).copied().ok_or_else(unknown)
}

/// A value of the protocol's own enumerations that is set.
pub(crate) fn set<T: TryFrom<i32> + Into<i32> + Copy>(number: i32, field: &str) -> Result<T> {
    let known = T::try_from(number).ok().filter(|value| (*value).into() != 0);
    known.ok_or_else(|| Error::Invalid(format!("{field}: must be one of those known here")))
}

fn moment(at: Option<Wall>) -> i64 {
    at.map_or(0, |at| at.0)
}

fn wall(us: i64) -> Option<Wall> {
    (us != 0).then_some(Wall(us))
}

fn number(text: &str, field: &str) -> Result<CaseNumber> {
    text.parse().map_err(invalid(field))
}

pub(crate) fn level(number: i32, field: &str) -> Result<Level> {
    wire::level_of(number).map_err(invalid(field))
}

impl From<State> for v1::CaseState {
    fn from(state: State) -> Self {
        // Both list them in one order; a test holds them to it.
        v1::CaseState::try_from(state as i32 + 1).unwrap_or(v1::CaseState::Unspecified)
    }
}

/// A state by its number.
pub(crate) fn state(number: i32) -> Result<State> {
    listed(&State::ALL, number, "states")
}

pub(crate) fn stage_number(stage: Stage) -> i32 {
    stage as i32 + 1
}

fn stage(number: i32) -> Result<Stage> {
    listed(&Stage::ALL, number, "stage")
}

impl From<&Actor> for v1::CaseActor {
    fn from(actor: &Actor) -> Self {
        Self { account: actor.account.clone(), unit: actor.unit.clone() }
    }
}

fn capacities(acted: &Acted) -> v1::CaseCapacities {
    let of = |actors: &Actors| {
        let Actors { accounts, units } = actors.clone();
        Some(v1::CaseActors { accounts: accounts.into_iter().collect(), units: units.into_iter().collect() })
    };
    let [requested, handled, verified] = &acted.0;
    v1::CaseCapacities { requested: of(requested), handled: of(handled), verified: of(verified) }
}

fn acted(wire: v1::CaseCapacities) -> Acted {
    let of = |actors: Option<v1::CaseActors>| {
        let v1::CaseActors { accounts, units } = actors.unwrap_or_default();
        Actors { accounts: BTreeSet::from_iter(accounts), units: BTreeSet::from_iter(units) }
    };
    Acted([of(wire.requested), of(wire.handled), of(wire.verified)])
}

pub(crate) fn limit(limit: Limit) -> v1::Limit {
    v1::Limit { amount: limit.amount, unit: limit.unit as i32 + 1 }
}

fn timer(timer: &Timer) -> v1::CaseTimer {
    v1::CaseTimer {
        stage: stage_number(timer.stage),
        limit: Some(limit(timer.limit)),
        begin_unix_us: timer.begin.0,
        due_unix_us: timer.due.0,
        soon_unix_us: timer.soon.0,
        paused_unix_us: moment(timer.paused),
        extensions: timer.extensions,
        told_soon: timer.told_soon,
        told_overdue: timer.told_overdue,
        rungs: timer.rungs,
    }
}

fn timers(wire: Vec<v1::CaseTimer>) -> Result<Timers> {
    let mut timers = Timers::default();
    for one in wire {
        let limit = one.limit.unwrap_or_default();
        let timer = Timer {
            stage: stage(one.stage)?,
            limit: Limit::new(limit.amount, listed(&LimitUnit::ALL, limit.unit, "limit.unit")?),
            begin: Wall(one.begin_unix_us),
            due: Wall(one.due_unix_us),
            soon: Wall(one.soon_unix_us),
            paused: wall(one.paused_unix_us),
            extensions: one.extensions,
            told_soon: one.told_soon,
            told_overdue: one.told_overdue,
            rungs: one.rungs,
        };
        let place = if timer.stage == Stage::Close { &mut timers.close } else { &mut timers.stage };
        *place = Some(timer);
    }
    Ok(timers)
}

impl From<&Subject> for v1::CaseSubject {
    fn from(subject: &Subject) -> Self {
        Self {
            alert_id: subject.alert.map(|id| id.to_string()).unwrap_or_default(),
            kind: subject.kind.number(),
            kind_class: v1::KindClass::from(subject.kind.class()).into(),
            level: v1::Level::from(subject.level).into(),
            camera_id: subject.camera.to_string(),
            division_path: subject.path.iter().map(ToString::to_string).collect(),
            drill: subject.drill,
            miss: subject
                .miss
                .map(|miss| v1::MachineMiss { kind: miss.kind.number(), seen_unix_us: miss.seen.0 }),
            owner: match subject.owner {
                Owner::Ours => v1::CaseOwner::Ours,
                Owner::External => v1::CaseOwner::External,
            }
            .into(),
        }
    }
}

/// A miss of the machine. Kinds of devices and of reports are none.
pub(crate) fn miss(wire: v1::MachineMiss) -> Result<Miss> {
    let kind: Kind = wire::kind_of(wire.kind).map_err(invalid("miss.kind"))?;
    let seen = wall(wire.seen_unix_us)
        .ok_or_else(|| Error::Invalid("miss.seen_unix_us: say when it was to be seen".to_owned()))?;
    Ok(Miss { kind, seen })
}

fn subject(wire: v1::CaseSubject) -> Result<Subject> {
    let alert = Some(wire.alert_id).filter(|id| !id.is_empty());
    Ok(Subject {
        alert: alert.map(|id| id.parse()).transpose().map_err(invalid("alert_id"))?,
        kind: wire::kind_of(wire.kind).map_err(invalid("kind"))?,
        level: level(wire.level, "level")?,
        camera: wire.camera_id.parse().map_err(invalid("camera_id"))?,
        path: wire
            .division_path
            .iter()
            .map(|code| code.parse())
            .collect::<Result<_, _>>()
            .map_err(invalid("division_path"))?,
        drill: wire.drill,
        miss: wire.miss.map(miss).transpose()?,
        owner: if wire.owner == i32::from(v1::CaseOwner::External) { Owner::External } else { Owner::Ours },
    })
}

impl From<&Action> for v1::CaseAction {
    fn from(action: &Action) -> Self {
        let what = match action {
            Action::Open(number, subject) => What::Opened(v1::CaseOpened {
                number: number.to_string(),
                subject: Some((&**subject).into()),
            }),
            Action::Claim(until) => What::Claim(v1::CaseClaim { until_unix_us: until.0 }),
            Action::Release => What::Release(v1::CaseRelease {}),
            Action::Confirm => What::Confirm(v1::CaseConfirm {}),
            Action::FalseAlarm(reason) => What::FalseAlarm(v1::CaseFalseAlarm { reason: i32::from(*reason) }),
            Action::NotAccept(reason) => What::NotAccept(v1::CaseNotAccept { reason: i32::from(*reason) }),
            Action::Merge(into) => What::Merge(v1::CaseMerge { into_number: into.to_string() }),
            Action::Absorb(from, acted) => What::Absorb(v1::CaseAbsorb {
                from_number: from.to_string(),
                capacities: Some(capacities(acted)),
            }),
            Action::Clear => What::Clear(v1::CaseClear {}),
            Action::ConditionEnded { at, observed } => {
                What::ConditionEnded(v1::CaseConditionEnded { ended_unix_us: at.0, observed: *observed })
            }
            Action::Regrade(level) => {
                What::Regrade(v1::CaseRegrade { level: v1::Level::from(*level).into() })
            }
            Action::Dispatch(unit, assisting) => {
                What::Dispatch(v1::CaseDispatch { unit: unit.clone(), assisting_units: assisting.clone() })
            }
            Action::Return => What::Return(v1::CaseReturn {}),
            Action::Accept => What::Accept(v1::CaseAccept {}),
            Action::Start => What::Start(v1::CaseStart {}),
            Action::AskSuspension(until) => {
                What::AskSuspension(v1::CaseAskSuspension { target_unix_us: until.0 })
            }
            Action::Suspend => What::Suspend(v1::CaseSuspend {}),
            Action::Resume => What::Resume(v1::CaseResume {}),
            Action::Feedback(proofs) => What::Feedback(v1::CaseFeedback {
                proof_sha256: proofs.iter().map(ToString::to_string).collect(),
            }),
            Action::TakeUp => What::TakeUp(v1::CaseTakeUp {}),
            Action::Pass => What::Pass(v1::CasePass {}),
            Action::Rework => What::Rework(v1::CaseRework {}),
            Action::ForceClose => What::ForceClose(v1::CaseForceClose {}),
            Action::Reopen => What::Reopen(v1::CaseReopen {}),
            Action::Cancel(reason) => What::Cancel(v1::CaseCancel { reason: i32::from(*reason) }),
            Action::Rate(stars) => What::Rate(v1::CaseRate { stars: u32::from(*stars) }),
            Action::Urge => What::Urge(v1::CaseUrge {}),
            Action::Supervise(kind) => What::Supervise(v1::CaseSupervise { supervision: i32::from(*kind) }),
            Action::Extend => What::Extend(v1::CaseExtend {}),
            Action::Whistle(kind) => What::Whistle(v1::CaseWhistle { whistle: i32::from(*kind) }),
            Action::Hold(held) => What::Hold(v1::CaseHold { held: *held }),
            Action::DueSoon(stage) => What::DueSoon(v1::CaseDueSoon { stage: stage_number(*stage) }),
            Action::Overdue(stage) => What::Overdue(v1::CaseOverdue { stage: stage_number(*stage) }),
            Action::Escalate(stage, cause, desk) => What::Escalate(v1::CaseEscalate {
                stage: stage_number(*stage),
                cause: i32::from(*cause),
                desk: desk.clone(),
            }),
            Action::Acknowledge => What::Acknowledge(v1::CaseAcknowledge {}),
            Action::Heard(heard) => What::Heard(v1::CaseHeard {
                system: heard.system.clone(),
                case_id: heard.case_id.clone(),
                stage: heard.stage.into(),
                closes: heard.closes,
            }),
            Action::GiveLink(link, until) => {
                What::GiveLink(v1::CaseGiveLink { link_id: *link, until_unix_us: until.0 })
            }
        };
        Self { what: Some(what) }
    }
}

impl Action {
    /// Its number in the protocol, which is that of its field.
    pub(crate) fn act(&self) -> v1::CaseAct {
        let bytes = v1::CaseAction::from(self).encode_to_vec();
        let key = prost::encoding::decode_varint(&mut bytes.as_slice()).unwrap_or(0);
        let number = i32::try_from(key >> 3).unwrap_or(0);
        v1::CaseAct::try_from(number).unwrap_or(v1::CaseAct::Unspecified)
    }
}

impl TryFrom<v1::CaseAction> for Action {
    type Error = Error;
    fn try_from(wire: v1::CaseAction) -> Result<Self> {
        let what = wire.what.ok_or_else(|| Error::Invalid("action: say what is to be done".to_owned()))?;
        Ok(match what {
            What::Opened(one) => Action::Open(
                number(&one.number, "opened.number")?,
                Box::new(subject(one.subject.unwrap_or_default())?),
            ),
            What::Claim(one) => Action::Claim(Wall(one.until_unix_us)),
            What::Release(_) => Action::Release,
            What::Confirm(_) => Action::Confirm,
            What::FalseAlarm(one) => Action::FalseAlarm(set(one.reason, "false_alarm.reason")?),
            What::NotAccept(one) => Action::NotAccept(set(one.reason, "not_accept.reason")?),
            What::Merge(one) => Action::Merge(number(&one.into_number, "merge.into_number")?),
            What::Absorb(one) => Action::Absorb(
                number(&one.from_number, "absorb.from_number")?,
                acted(one.capacities.unwrap_or_default()),
            ),
            What::Clear(_) => Action::Clear,
            What::ConditionEnded(one) => {
                Action::ConditionEnded { at: Wall(one.ended_unix_us), observed: one.observed }
            }
            What::Regrade(one) => Action::Regrade(level(one.level, "regrade.level")?),
            What::Dispatch(one) => Action::Dispatch(one.unit, one.assisting_units),
            What::Return(_) => Action::Return,
            What::Accept(_) => Action::Accept,
            What::Start(_) => Action::Start,
            What::AskSuspension(one) => Action::AskSuspension(Wall(one.target_unix_us)),
            What::Suspend(_) => Action::Suspend,
            What::Resume(_) => Action::Resume,
            What::Feedback(one) => Action::Feedback(
                one.proof_sha256
                    .iter()
                    .map(|sum| sum.parse::<Sha256>())
                    .collect::<Result<_, _>>()
                    .map_err(invalid("feedback.proof_sha256"))?,
            ),
            What::TakeUp(_) => Action::TakeUp,
            What::Pass(_) => Action::Pass,
            What::Rework(_) => Action::Rework,
            What::ForceClose(_) => Action::ForceClose,
            What::Reopen(_) => Action::Reopen,
            What::Cancel(one) => Action::Cancel(set(one.reason, "cancel.reason")?),
            What::Rate(one) => Action::Rate(
                u8::try_from(one.stars)
                    .ok()
                    .filter(|stars| (1..=5).contains(stars))
                    .ok_or_else(|| Error::Invalid("rate.stars: give 1 to 5".to_owned()))?,
            ),
            What::Urge(_) => Action::Urge,
            What::Supervise(one) => Action::Supervise(set(one.supervision, "supervise.supervision")?),
            What::Extend(_) => Action::Extend,
            What::Whistle(one) => Action::Whistle(set(one.whistle, "whistle.whistle")?),
            What::Hold(one) => Action::Hold(one.held),
            What::DueSoon(one) => Action::DueSoon(stage(one.stage)?),
            What::Overdue(one) => Action::Overdue(stage(one.stage)?),
            What::Escalate(one) => {
                Action::Escalate(stage(one.stage)?, set(one.cause, "escalate.cause")?, one.desk)
            }
            What::Acknowledge(_) => Action::Acknowledge,
            What::Heard(one) => Action::Heard(Heard {
                stage: set(one.stage, "heard.stage")?,
                system: one.system,
                case_id: one.case_id,
                closes: one.closes,
            }),
            What::GiveLink(one) => Action::GiveLink(one.link_id, Wall(one.until_unix_us)),
        })
    }
}

impl Event {
    /// As it is kept and told, with the revision that the case has by it.
    pub(crate) fn to_wire(&self, revision: u64) -> v1::CaseEvent {
        v1::CaseEvent {
            revision,
            at_unix_us: self.at.0,
            actor: Some((&self.actor).into()),
            action: Some((&self.action).into()),
            note: self.note.clone(),
            state: v1::CaseState::from(self.state).into(),
            timers: self.timers.all().map(timer).collect(),
        }
    }
}

impl TryFrom<v1::CaseEvent> for Event {
    type Error = Error;
    fn try_from(wire: v1::CaseEvent) -> Result<Self> {
        let actor = wire.actor.unwrap_or_default();
        Ok(Self {
            at: Wall(wire.at_unix_us),
            actor: Actor::new(actor.account, actor.unit),
            action: wire.action.unwrap_or_default().try_into()?,
            note: wire.note,
            timers: timers(wire.timers)?,
            state: state(wire.state)?,
        })
    }
}

impl Case {
    /// As consoles are told it, at a moment.
    pub(crate) fn to_wire(&self, now: Wall) -> v1::Case {
        let claim = self.claimed(now);
        v1::Case {
            number: self.number.to_string(),
            revision: self.revision,
            state: v1::CaseState::from(self.state).into(),
            subject: Some((&self.subject).into()),
            level: v1::Level::from(self.level).into(),
            opened_unix_us: self.opened.0,
            changed_unix_us: self.changed.0,
            claimed_by: claim.map(|claim| (&claim.by).into()),
            claimed_until_unix_us: claim.map_or(0, |claim| claim.until.0),
            condition_ended_unix_us: moment(self.condition_ended),
            unit: self.unit.clone().unwrap_or_default(),
            assisting_units: self.assisting.clone(),
            timers: self.timers.all().map(timer).collect(),
            due_soon: self.timers.all().any(|timer| timer.is_soon(now)),
            overdue: self.timers.all().any(|timer| timer.is_over(now)),
            was_overdue: self.was_overdue || self.timers.all().any(|timer| timer.is_over(now)),
            urged: self.urged,
            supervision: self.supervision.into(),
            extensions: self.extensions,
            whistle: self.whistle.into(),
            legal_hold: self.legal_hold,
            merged_into: self.merged_into.as_ref().map(ToString::to_string).unwrap_or_default(),
            absorbed: self.absorbed.iter().map(ToString::to_string).collect(),
            stars: u32::from(self.stars.unwrap_or(0)),
            capacities: Some(capacities(&self.acted)),
            suspend_until_unix_us: moment(self.suspend_until),
            escalations: self.escalations,
            acknowledged_until_unix_us: moment(self.acknowledged.filter(|until| now < *until)),
            damaged: false,
        }
    }
}
