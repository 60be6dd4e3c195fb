//! Cases: opening, acting, and what their clocks say. A case is read by replaying its events; each is bound to the one
//! before by its hash, and one that is not makes the case unreadable rather than wrong.
//!
//! An alert costs a commit one entry of an index, no case: a case is opened by whoever touches it first. Floods of thousands
//! a second would otherwise pay three more rows each for cases that nobody looks at.

mod count;
pub(super) mod facts;
mod history;
mod links;
mod list;
mod notice;
mod search;

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, params};
use tracing::{debug, error, info};
use xueliang_base::{id::AlertId, kind::Level, time::Wall};
use xueliang_proto::v1;

use self::history::{AlertFacts, File, owner};
use super::{
    super::{
        ActOn, Answer, CaseKey, CaseNotice, CasePage, CaseQuery, Cases, DueCase, ManualReport, NoticeWay,
        SqliteStore, StatisticsQuery,
    },
    duty, file,
    writer::Urgency,
};
use crate::{
    case::{
        Action, Actor, Case, CaseNumber, Heard, OnDuty, Owner, State, Subject,
        clock::{Policy, due_now, next_due},
        tally::Told,
    },
    duty::Duty,
    error::{Error, Result},
    filter::Filter,
    reach::{self, Reach},
    rights::Principal,
};

/// How often somebody is told of a case whose history is damaged.
const DAMAGED: Duration = Duration::from_secs(600);

/// Where what cases go by is kept.
#[derive(Clone)]
pub(super) struct KnownRules {
    policy: Arc<Policy>,
    duty: Arc<duty::Known>,
}

/// What cases go by, at one moment: the configuration's policy, and divisions, duty rules and roster as they are.
pub(super) struct Rules {
    policy: Arc<Policy>,
    duty: Arc<Duty>,
}

impl KnownRules {
    pub(super) fn of(store: &SqliteStore) -> Self {
        Self { policy: Arc::clone(&store.cases), duty: Arc::clone(&store.duty) }
    }
    fn read(&self, db: &Connection) -> Result<Rules> {
        Ok(Rules { policy: Arc::clone(&self.policy), duty: self.duty.read(db)? })
    }
    pub(super) fn within(&self, db: &Connection) -> Result<Rules> {
        Ok(Rules { policy: Arc::clone(&self.policy), duty: self.duty.within(db)? })
    }
}

impl Rules {
    fn on_duty(&self, subject: &Subject, at: Wall) -> OnDuty {
        OnDuty::of(&self.duty, &self.policy, subject, at)
    }
}

/// An alert that was shown waits for its case to be touched, unless it was.
pub(super) fn wait(db: &Connection, alert: &str, since_us: i64) -> Result<()> {
    db.prepare_cached(
        "UPDATE alert SET untouched_us = ?2 WHERE alert_id = ?1 AND untouched_us IS NULL \
         AND NOT EXISTS (SELECT 1 FROM case_alert c WHERE c.alert_id = ?1)",
    )?
    .execute(params![alert, since_us])?;
    Ok(())
}

/// The alert has become more severe: its case's clock is to look at it.
pub(super) fn look_again(db: &Connection, alert: &str) -> Result<()> {
    db.prepare_cached(
        "UPDATE case_file SET due_us = 0 WHERE case_id = (SELECT case_id FROM case_alert WHERE alert_id = ?1)",
    )?
    .execute([alert])?;
    Ok(())
}

/// The alert has ended: the clock of its case, if nobody has judged that, is to look at it in its turn.
pub(super) fn look_at_the_end(db: &Connection, alert: &str, now_us: i64) -> Result<()> {
    db.prepare_cached(
        "UPDATE case_file SET due_us = min(coalesce(due_us, ?2), ?2) \
         WHERE case_id = (SELECT case_id FROM case_alert WHERE alert_id = ?1) AND state = ?3",
    )?
    .execute(params![alert, now_us, i32::from(v1::CaseState::New)])?;
    Ok(())
}

/// Where a key leads.
enum Found {
    Case(i64),
    Untouched(Box<AlertFacts>, Wall),
}

fn find(db: &Connection, key: &CaseKey, within: Option<&Vec<Reach>>) -> Result<Found> {
    let none = || match key {
        CaseKey::Number(number) => Error::NotFound(format!("there is no case {number}")),
        CaseKey::Alert(alert) => Error::NotFound(format!("there is no case of an alert {alert}")),
    };
    let mut query = match key {
        CaseKey::Number(_) => {
            db.prepare_cached("SELECT case_id, path FROM case_file WHERE number = ?1")?
        }
        CaseKey::Alert(_) => db.prepare_cached(
            "SELECT f.case_id, f.path FROM case_alert c JOIN case_file f USING (case_id) WHERE c.alert_id = ?1",
        )?,
    };
    let text = match key {
        CaseKey::Number(number) => number.to_string(),
        CaseKey::Alert(alert) => alert.to_string(),
    };
    let known: Option<(i64, String)> =
        query.query_row([text], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (found, path) = match (known, key) {
        (Some((id, path)), _) => (Found::Case(id), path),
        (None, CaseKey::Alert(alert)) => {
            let facts = AlertFacts::read(db, *alert)?.ok_or_else(none)?;
            let path = facts.path.clone();
            if !sees(within, &path) {
                return Err(none());
            }
            let Some(since) = facts.untouched else {
                return Err(Error::Conflict(format!(
                    "the alert {alert} has not been shown, or was over before there were cases: there is nothing to judge"
                )));
            };
            (Found::Untouched(Box::new(facts), since), path)
        }
        (None, CaseKey::Number(_)) => return Err(none()),
    };
    if sees(within, &path) { Ok(found) } else { Err(none()) }
}

fn sees(within: Option<&Vec<Reach>>, path: &str) -> bool {
    reach::reaches(within.map(Vec::as_slice), path)
}

/// The case that a key names, opened if nobody has touched it.
fn touch(db: &Connection, found: Found, rules: &Rules) -> Result<File> {
    match found {
        Found::Case(id) => File::load(db, id),
        Found::Untouched(facts, since) => {
            let subject = facts.subject(&rules.policy)?;
            File::open(db, subject, &facts.path, Actor::system(), "", since, rules)
        }
    }
}

fn act_on(db: &Connection, rules: &Rules, request: &ActOn, now: Wall) -> Result<Case> {
    let ActOn { key, revision, actor, action, note, within } = request;
    let mut file = touch(db, find(db, key, within.as_ref())?, rules)?;
    if file.was_done(*revision, actor, action, note)? {
        return Ok(file.case);
    }
    file.hear(db, now, rules)?;
    if let Action::Merge(into) = action {
        let target = find(db, &CaseKey::Number(into.clone()), within.as_ref())?;
        let mut target = touch(db, target, rules)?;
        if target.case.subject.drill != file.case.subject.drill {
            let message = "merge.into_number: a drill and what happened are no one case, name another";
            return Err(Error::Invalid(message.to_owned()));
        }
        let absorb = Action::Absorb(file.case.number.clone(), file.case.acted.clone());
        target.act(db, actor.clone(), absorb, note, now, rules)?;
    }
    file.act(db, actor.clone(), action.clone(), note, now, rules)?;
    dispatch_by_rule(db, &mut file, now, rules)?;
    Ok(file.case)
}

/// A case of level 1 or 2 that waits to be dispatched goes to the leading unit at once, where its duty rule says so. Where
/// that unit may not have it (采办分离), people decide.
fn dispatch_by_rule(db: &Connection, file: &mut File, now: Wall, rules: &Rules) -> Result<()> {
    let Case { state, level, subject, .. } = &file.case;
    if *state != State::Confirmed || *level > Level::SEVERE || subject.owner != Owner::Ours {
        return Ok(());
    }
    let on_duty = rules.on_duty(subject, now.max(file.case.changed));
    let Some(unit) = on_duty.unit.filter(|_| on_duty.auto_dispatch) else { return Ok(()) };
    let dispatch = Action::Dispatch(unit, on_duty.assisting);
    match file.act(db, Actor::system(), dispatch, "", now, rules) {
        Err(error @ (Error::Forbidden(_) | Error::Invalid(_) | Error::Conflict(_))) => {
            info!(case = %file.case.number, %error, "a case is not dispatched by its duty rule");
            Ok(())
        }
        done => done,
    }
}

fn report(db: &Connection, rules: &Rules, report: &ManualReport, now: Wall) -> Result<Case> {
    let ManualReport { subject, class, actor, note, key } = report;
    let subject = Subject { owner: owner(&rules.policy, &subject.path), ..subject.clone() };
    let mut known = db.prepare_cached("SELECT case_id FROM case_report WHERE account = ?1 AND key = ?2")?;
    let known: Option<i64> = known.query_row([&actor.account, key], |row| row.get(0)).optional()?;
    if let Some(id) = known {
        let file = File::load(db, id)?;
        let told = file.history.first().map(|event| event.note.as_str());
        let same = Subject { owner: subject.owner, ..file.case.subject.clone() } == subject;
        if same && told == Some(note.trim()) {
            return Ok(file.case);
        }
        return Err(Error::Conflict(format!(
            "idempotency_key: {key:?} stands for another report: use a new key for a new report"
        )));
    }
    let path = reach::path(&subject.path, *class);
    let file = File::open(db, subject, &path, actor.clone(), note, now, rules)?;
    db.prepare_cached("INSERT INTO case_report (account, key, case_id) VALUES (?1, ?2, ?3)")?
        .execute(params![actor.account, key, file.id])?;
    Ok(file.case)
}

/// A case that cannot be read is looked at again, and told of, then.
fn put_off(db: &Connection, number: &CaseNumber, until: Wall) -> Result<()> {
    db.prepare_cached("UPDATE case_file SET due_us = ?2 WHERE number = ?1")?
        .execute(params![number.as_str(), until.0])?;
    Ok(())
}

fn tick(db: &Connection, rules: &Rules, key: &CaseKey, displayed: bool, now: Wall) -> Result<Vec<Action>> {
    let mut file = touch(db, find(db, key, None)?, rules)?;
    file.hear(db, now, rules)?;
    dispatch_by_rule(db, &mut file, now, rules)?;
    let desks = rules.on_duty(&file.case.subject, now).desks;
    let due = due_now(&file.case, now, &desks, displayed, &rules.policy);
    for action in &due {
        file.act(db, Actor::system(), action.clone(), "", now, rules)?;
    }
    if due.is_empty() {
        // What it was woken for is over: it is woken when there is something to say.
        let next = next_due(&file.case, &desks, &rules.policy);
        db.prepare_cached("UPDATE case_file SET due_us = ?2 WHERE case_id = ?1")?
            .execute(params![file.id, next.map(|next| next.0)])?;
    }
    Ok(due)
}

/// Another system reported what it did with an alert: its case is told. Where that cannot be, the report stands without.
pub(super) fn hear_of(
    db: &Connection,
    rules: &Rules,
    alert: AlertId,
    report: &v1::ExternalState,
    now: Wall,
) -> Result<()> {
    let tell = || {
        let mut told = touch(db, find(db, &CaseKey::Alert(alert), None)?, rules)?;
        let stage = report.stage();
        let is_end = matches!(stage, v1::ExternalStage::Done | v1::ExternalStage::FalseAlarm);
        let closes = is_end && told.case.subject.owner == Owner::External && told.case.state.is_open();
        let (system, case_id) = (report.system.clone(), report.case_id.clone());
        let heard = Action::Heard(Heard { system, case_id, stage, closes });
        let actor = Actor::new(&report.principal, &report.system);
        told.act(db, actor, heard, "", now, rules)
    };
    match tell().map_err(alone) {
        Err(error) if file::storage_failed(&error) => Err(error),
        Err(error) => {
            debug!(%alert, %error, "a case is not told of a report");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Within the writer a damaged case is that case's trouble, not the storage's.
pub(super) fn alone(error: Error) -> Error {
    match error {
        Error::DataLoss(text) => Error::Damaged(text),
        other => other,
    }
}

impl Cases for SqliteStore {
    fn act_on_case(&self, request: ActOn) -> Answer<Case> {
        let known = KnownRules::of(self);
        // Somebody waits for it at a desk.
        Box::pin(self.writer.run(Urgency::Urgent, move |db, batch| {
            act_on(db, &known.within(db)?, &request, batch.wall()).map_err(alone)
        }))
    }
    fn report_manually(&self, manual: ManualReport) -> Answer<Case> {
        let known = KnownRules::of(self);
        Box::pin(self.writer.run(Urgency::Urgent, move |db, batch| {
            report(db, &known.within(db)?, &manual, batch.wall()).map_err(alone)
        }))
    }
    fn case(&self, key: CaseKey, asker: Option<Principal>) -> Answer<v1::GetCaseResponse> {
        let known = KnownRules::of(self);
        let now = self.clock.wall();
        self.read(move |db| list::one(db, &known.read(db)?, &key, asker.as_ref(), now))
    }
    fn has_limits(&self, profile: &str) -> bool {
        self.cases.has_profile(profile)
    }
    fn cases(&self, query: CaseQuery) -> Answer<CasePage> {
        let known = KnownRules::of(self);
        let now = self.clock.wall();
        self.search(move |db| list::all(db, &known.read(db)?, &query, now))
    }
    fn case_search_plan(&self, query: CaseQuery) -> Answer<Vec<String>> {
        let now = self.clock.wall();
        self.search(move |db| search::plan(db, &query, now))
    }
    fn case_statistics(&self, query: StatisticsQuery) -> Answer<(Told, Wall)> {
        let known = KnownRules::of(self);
        let now = self.clock.wall();
        self.count(move |db| Ok((count::all(db, &known.read(db)?, &query, now)?, now)))
    }
    fn cases_due(&self, limit: usize) -> Answer<Vec<DueCase>> {
        let known = KnownRules::of(self);
        let now = self.clock.wall();
        self.read(move |db| list::due(db, &known.read(db)?, limit, now))
    }
    fn case_notice_place(&self, way: NoticeWay) -> Answer<u64> {
        self.write(move |db, _| notice::place(db, &way))
    }
    fn next_case_notice(&self, filter: Arc<Filter>, after: u64) -> Answer<(Option<CaseNotice>, u64)> {
        self.catch_up(move |db| notice::next(db, &filter, after))
    }
    fn settle_case_notice(&self, way: NoticeWay, upto: Option<u64>, share: Option<v1::Share>) -> Answer<()> {
        self.write(move |db, _| notice::settle(db, &way, upto, share.as_ref()))
    }
    fn tick_case(&self, key: CaseKey, displayed: bool) -> Answer<Vec<Action>> {
        let known = KnownRules::of(self);
        self.write(move |db, batch| {
            match (tick(db, &known.within(db)?, &key, displayed, batch.wall()), &key) {
                (Err(Error::DataLoss(fault)), CaseKey::Number(number)) => {
                    error!(case = %number, fault, "a case's clock stands");
                    put_off(db, number, batch.wall().plus(DAMAGED))?;
                    Ok(Vec::new())
                }
                (said, _) => said.map_err(alone),
            }
        })
    }
}

#[cfg(test)]
mod tests;
