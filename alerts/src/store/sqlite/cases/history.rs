//! A case as it lies in the file: its history, read by replaying it, and what an alert tells its case.

use prost::Message as _;
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use xueliang_base::{
    alert::Sha256 as Sum,
    id::{AlertId, DivisionCode},
    kind::{Kind, Level},
    time::Wall,
};
use xueliang_proto::v1;

use super::{
    super::{
        super::AuditEntry,
        convert::{damaged, level, signed, unsigned},
        rest,
    },
    Rules, facts, notice,
};
use crate::{
    case::{
        Action, Actor, Case, CaseNumber, Event, OnDuty, Owner, State, Subject, act, apply,
        clock::{Policy, next_due},
    },
    error::{Error, Result},
};

/// Events that a case has at most, so that it is read at once; what ends it is always taken.
const MOST_EVENTS: u64 = 1000;

/// What an alert tells its case.
pub(super) struct AlertFacts {
    id: AlertId,
    kind: Kind,
    /// The most severe so far.
    level: Level,
    pub(super) path: String,
    camera: String,
    /// Since when its case waits to be touched.
    pub(super) untouched: Option<Wall>,
    state: v1::Alert,
}

impl AlertFacts {
    pub(super) fn read(db: &Connection, id: AlertId) -> Result<Option<Self>> {
        let mut query = db.prepare_cached(
            "SELECT a.kind, a.level, a.path, a.camera, a.untouched_us, s.content FROM alert a \
             JOIN alert_state s ON s.seq = a.change_seq WHERE a.alert_id = ?1",
        )?;
        let mut rows = query.query([id.to_string()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let content = row.get_ref(5)?.as_blob().map_err(|_| damaged("alert")())?;
        Ok(Some(Self {
            id,
            kind: Kind::from_number(row.get(0)?).ok_or_else(damaged("kind"))?,
            level: level(row.get(1)?)?,
            path: row.get(2)?,
            camera: row.get(3)?,
            untouched: row.get::<_, Option<i64>>(4)?.map(Wall),
            state: v1::Alert::decode(content).map_err(|_| damaged("alert")())?,
        }))
    }
    /// Where it is, in words.
    pub(super) fn place(&self) -> Option<&v1::Place> {
        self.state.place.as_ref()
    }
    /// When it began.
    pub(super) fn started(&self) -> i64 {
        self.state.started_unix_us
    }
    pub(super) fn ended(&self) -> Option<Wall> {
        (self.state.resolved_unix_us != 0).then_some(Wall(self.state.resolved_unix_us))
    }
    pub(super) fn subject(&self, policy: &Policy) -> Result<Subject> {
        let place = self.state.place.as_ref().map(|place| place.division_path.as_slice());
        let path: Vec<DivisionCode> = place
            .unwrap_or_default()
            .iter()
            .map(|code| code.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| damaged("division")())?;
        Ok(Subject {
            alert: Some(self.id),
            kind: self.kind,
            level: self.level,
            camera: self.camera.parse().map_err(|_| damaged("camera")())?,
            owner: owner(policy, &path),
            path,
            drill: self.state.drill,
            miss: None,
        })
    }
    /// The case as it would be if somebody touched it now, without a number of its own.
    pub(super) fn untouched_case(&self, rules: &Rules, since: Wall) -> Result<Case> {
        let none = CaseNumber::new(&"0".repeat(24), 0);
        let subject = self.subject(&rules.policy)?;
        let on_duty = rules.on_duty(&subject, since);
        let (_, case) = opening(none, subject, Actor::system(), "", since, (&rules.policy, &on_duty))?;
        Ok(case)
    }
}

pub(super) fn owner(policy: &Policy, path: &[DivisionCode]) -> Owner {
    if path.iter().any(|code| policy.external.contains(code)) { Owner::External } else { Owner::Ours }
}

fn opening(
    number: CaseNumber,
    subject: Subject,
    actor: Actor,
    note: &str,
    at: Wall,
    (policy, on_duty): (&Policy, &OnDuty),
) -> Result<(Event, Case)> {
    Ok(act(None, actor, Action::Open(number, Box::new(subject)), note, at, policy, on_duty)?)
}

/// A case with its history, as it lies in the file.
pub(super) struct File {
    pub(super) id: i64,
    pub(super) case: Case,
    pub(super) history: Vec<Event>,
    hash: [u8; 32],
}

fn link(previous: &[u8; 32], content: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(previous).chain_update(content).finalize().into()
}

impl File {
    pub(super) fn load(db: &Connection, id: i64) -> Result<Self> {
        let broken = || {
            Error::DataLoss(
                "the history of this case is not what was written, it can be neither told nor acted on: ask whoever runs the \
                 service, a backup holds it as it was, and the audit the checksum of each entry"
                    .to_owned(),
            )
        };
        let mut query = db.prepare_cached("SELECT revision FROM case_file WHERE case_id = ?1")?;
        let revision: i64 = query.query_row([id], |row| row.get(0))?;
        let mut query = db.prepare_cached(
            "SELECT content, prev_hash, hash FROM case_event WHERE case_id = ?1 ORDER BY revision",
        )?;
        let mut rows = query.query([id])?;
        let (mut hash, mut case, mut history) = ([0; 32], None, Vec::new());
        while let Some(row) = rows.next()? {
            let blob = |at| row.get_ref(at)?.as_blob().map_err(|_| rusqlite::Error::InvalidQuery);
            let content = blob(0)?;
            let next = link(&hash, content);
            let event = v1::CaseEvent::decode(content).ok().and_then(|wire| Event::try_from(wire).ok());
            let applied = event.and_then(|event| Some((apply(case.as_ref(), &event).ok()?, event)));
            match applied {
                Some((after, event)) if blob(1)? == hash && blob(2)? == next => {
                    (hash, case) = (next, Some(after));
                    history.push(event);
                }
                _ => return Err(broken()),
            }
        }
        match case {
            Some(case) if case.revision == unsigned(revision) => Ok(Self { id, case, history, hash }),
            _ => Err(broken()),
        }
    }
    /// Opens a case, with its first event.
    pub(super) fn open(
        db: &Connection,
        subject: Subject,
        path: &str,
        actor: Actor,
        note: &str,
        at: Wall,
        rules: &Rules,
    ) -> Result<Self> {
        let policy = &rules.policy;
        let head = CaseNumber::head(&subject.path, at, policy.calendar.zone(), subject.kind);
        let mut next = db.prepare_cached(
            "INSERT INTO case_sequence (head, last) VALUES (?1, 1) \
             ON CONFLICT (head) DO UPDATE SET last = last + 1 RETURNING last",
        )?;
        let sequence = unsigned(next.query_row([&head], |row| row.get(0))?);
        let alert = subject.alert;
        let on_duty = rules.on_duty(&subject, at);
        let number = CaseNumber::new(&head, sequence);
        let (event, case) = opening(number, subject, actor, note, at, (policy, &on_duty))?;
        db.prepare_cached(
            "INSERT INTO case_file (number, revision, state, kind, class, level, camera, path, opened_us, \
             missed_kind) VALUES (?1, 0, 0, ?2, ?3, 0, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            case.number.as_str(),
            case.subject.kind.number(),
            i32::from(v1::KindClass::from(case.subject.kind.class())),
            case.subject.camera.as_str(),
            path,
            case.opened.0,
            case.subject.miss.map_or(0, |miss| miss.kind.number()),
        ])?;
        let id = db.last_insert_rowid();
        if let Some(alert) = alert {
            db.prepare_cached("INSERT INTO case_alert (alert_id, case_id) VALUES (?1, ?2)")?
                .execute(params![alert.to_string(), id])?;
            db.prepare_cached("UPDATE alert SET untouched_us = NULL WHERE alert_id = ?1")?
                .execute([alert.to_string()])?;
        }
        let next = next_due(&case, &on_duty.desks, policy);
        let mut file = Self { id, case: case.clone(), history: Vec::new(), hash: [0; 32] };
        file.append(db, event, case, next)?;
        Ok(file)
    }
    fn append(&mut self, db: &Connection, event: Event, case: Case, due: Option<Wall>) -> Result<()> {
        let content = event.to_wire(case.revision).encode_to_vec();
        let hash = link(&self.hash, &content);
        db.prepare_cached(
            "INSERT INTO case_event (case_id, revision, at_us, content, prev_hash, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![self.id, signed(case.revision), event.at.0, content, self.hash, hash])?;
        // Whoever shortens or rewrites a history has the audit against it.
        let entry = AuditEntry {
            principal: event.actor.account.clone(),
            action: "case",
            subject: format!("{} {} sha256:{}", case.number, case.revision, Sum(hash)),
        };
        rest::audit(db, &entry, event.at)?;
        db.prepare_cached(
            "UPDATE case_file SET revision = ?2, state = ?3, level = ?4, due_us = ?5 WHERE case_id = ?1",
        )?
        .execute(params![
            self.id,
            signed(case.revision),
            i32::from(v1::CaseState::from(case.state)),
            case.peak.number(),
            due.map(|due| due.0),
        ])?;
        if notice::is_told(&event, &case) {
            db.prepare_cached("INSERT INTO case_notice (case_id, revision) VALUES (?1, ?2)")?
                .execute(params![self.id, signed(case.revision)])?;
        }
        (self.hash, self.case) = (hash, case);
        self.history.push(event);
        facts::keep(db, self.id, &self.case, &self.history)
    }
    pub(super) fn act(
        &mut self,
        db: &Connection,
        actor: Actor,
        action: Action,
        note: &str,
        now: Wall,
        rules: &Rules,
    ) -> Result<()> {
        let by_clock = actor.is_system();
        let on_duty = rules.on_duty(&self.case.subject, now.max(self.case.changed));
        let (event, case) = act(Some(&self.case), actor, action, note, now, &rules.policy, &on_duty)?;
        // What its alert and its clock say must not keep people from closing it.
        let most = if by_clock { MOST_EVENTS * 2 } else { MOST_EVENTS };
        if self.case.revision >= most && case.state.is_open() {
            return Err(Error::Conflict(format!(
                "the case {} has {MOST_EVENTS} entries, no more are kept: close it, and report what is left anew",
                case.number
            )));
        }
        let due = next_due(&case, &on_duty.desks, &rules.policy);
        self.append(db, event, case, due)
    }
    /// What the alert has become since: its end, and a level more severe.
    pub(super) fn hear(&mut self, db: &Connection, now: Wall, rules: &Rules) -> Result<()> {
        let Some(alert) = self.case.subject.alert else { return Ok(()) };
        let facts = AlertFacts::read(db, alert)?.ok_or_else(damaged("alert of a case"))?;
        let ended = facts.ended().filter(|_| self.case.condition_ended.is_none());
        let rises = facts.level < self.case.peak
            && matches!(self.case.state, State::New | State::Confirmed | State::Reopened);
        let observed = facts.state.resolution() == v1::Resolution::ObservedAbsence;
        let heard = ended.map(|at| Action::ConditionEnded { at, observed }).into_iter();
        for action in heard.chain(rises.then_some(Action::Regrade(facts.level))) {
            self.act(db, Actor::system(), action, "", now, rules)?;
        }
        Ok(())
    }
    /// Whether this very thing was done by its actor, and nothing else that counts, since a revision: then the answer was
    /// lost. Refuses whoever does not know what others have done since, and says what.
    pub(super) fn was_done(&self, known: u64, actor: &Actor, action: &Action, note: &str) -> Result<bool> {
        let number = &self.case.number;
        if known > self.case.revision {
            return Err(Error::Invalid(format!(
                "revision: the case {number} is at {}, give the one that you have read",
                self.case.revision
            )));
        }
        let since = usize::try_from(known).unwrap_or(usize::MAX);
        let news: Vec<&Event> = self.history.iter().skip(since).filter(|event| !is_quiet(event)).collect();
        let same = |event: &Event| {
            let done = match (&event.action, action) {
                (Action::Claim(_), Action::Claim(_)) => true,
                // What was left open was filled in by the duty rule of then.
                (Action::Dispatch(_, helped), Action::Dispatch(unit, help)) if unit.is_empty() => {
                    help.is_empty() || help == helped
                }
                (done, asked) => done == asked,
            };
            event.actor == *actor && event.note == note.trim() && done
        };
        let by_rule = |event: &Event| event.actor.is_system() && matches!(event.action, Action::Dispatch(..));
        match news[..] {
            [] => Ok(false),
            [one] if same(one) => Ok(true),
            // A duty rule dispatched what was confirmed.
            [one, next] if same(one) && by_rule(next) => Ok(true),
            [.., last] => Err(Error::Conflict(format!(
                "{} was first: the case {number} has been {} at {}, and is {} at revision {}: read it again",
                if last.actor.is_system() {
                    "the clock".to_owned()
                } else {
                    format!("{} of {}", last.actor.account, last.actor.unit)
                },
                last.action.word(),
                last.at,
                self.case.state,
                self.case.revision
            ))),
        }
    }
}

/// What stands in nobody's way: notes of the clock and of other systems that change no state, and links that were given.
fn is_quiet(event: &Event) -> bool {
    match &event.action {
        Action::Heard(heard) => !heard.closes,
        Action::GiveLink(..) => true,
        Action::Open(..)
        | Action::DueSoon(_)
        | Action::Overdue(_)
        | Action::Escalate(..)
        | Action::ConditionEnded { .. } => event.actor.is_system(),
        _ => false,
    }
}
