//! What cases come to, as lists and statistics read it: kept in the transaction that adds to a history, and made anew of the
//! histories that were there before.

use prost::Message as _;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};
use tracing::{info, warn};
use xueliang_proto::v1;

use super::{
    super::{convert::damaged, file},
    history::File,
};
use crate::{
    case::{Case, Event, Fact, fact::Took},
    error::{Error, Result},
};

/// Set by the migration that brings the facts: those of what was there before are to be made.
const BEGINS: &str = "case_facts_begin";

/// The bit of a report of what the machine missed, which is no flag of the protocol.
pub(super) const MISS: u32 = 1 << 30;

fn number(
    mut find: CachedStatement<'_>,
    mut add: CachedStatement<'_>,
    named: impl rusqlite::Params + Clone,
) -> Result<i64> {
    if let Some(known) = find.query_row(named.clone(), |row| row.get(0)).optional()? {
        return Ok(known);
    }
    Ok(add.insert(named)?)
}

/// The number of a place: a camera and its path of divisions.
pub(in super::super) fn place(db: &Connection, camera: &str, path: &str) -> Result<i64> {
    let find = db.prepare_cached("SELECT place FROM case_place WHERE camera = ?1 AND path = ?2")?;
    let add = db.prepare_cached("INSERT INTO case_place (camera, path) VALUES (?1, ?2)")?;
    number(find, add, [camera, path])
}

/// The number of what raised an alert: its rule, and the model whose detections counted.
pub(in super::super) fn source(db: &Connection, alert: &v1::Alert) -> Result<Option<i64>> {
    let Some(why) = &alert.explanation else { return Ok(None) };
    let model = why.model.as_ref().map(|model| format!("{} {}", model.name, model.version));
    let model = model.unwrap_or_default();
    let find = db.prepare_cached("SELECT source FROM case_source WHERE rule = ?1 AND model = ?2")?;
    let add = db.prepare_cached("INSERT INTO case_source (rule, model) VALUES (?1, ?2)")?;
    number(find, add, [why.rule.as_str(), model.trim()]).map(Some)
}

fn unit(db: &Connection, name: &str) -> Result<i64> {
    let find = db.prepare_cached("SELECT unit FROM case_unit WHERE name = ?1")?;
    let add = db.prepare_cached("INSERT INTO case_unit (name) VALUES (?1)")?;
    number(find, add, [name])
}

/// Where the case is, and what raised its alert.
fn origin(db: &Connection, id: i64) -> Result<(i64, Option<i64>)> {
    let mut query = db.prepare_cached(
        "SELECT f.camera, f.path, a.source FROM case_file f LEFT JOIN case_alert c USING (case_id) \
         LEFT JOIN alert a ON a.alert_id = c.alert_id WHERE f.case_id = ?1",
    )?;
    let (camera, path, source): (String, String, _) =
        query.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok((place(db, &camera, &path)?, source))
}

/// Keeps what a case comes to.
pub(super) fn keep(db: &Connection, id: i64, case: &Case, history: &[Event]) -> Result<()> {
    let fact = Fact::of(case, history);
    let asked = fact.unit.as_deref().map(|name| unit(db, name)).transpose()?;
    let us = |took: Option<Took>| took.map(|took| took.us);
    let late = |took: Option<Took>| took.and_then(|took| took.late);
    let miss = if case.subject.miss.is_some() { MISS } else { 0 };
    let flags = Some(fact.flags | miss).filter(|bits| *bits != 0);
    let (state, level) = (i32::from(v1::CaseState::from(case.state)), case.peak.number());
    let (soon, limit) = (fact.soon.map(|at| at.0), fact.limit.map(|at| at.0));
    let (reason, verdict) = (fact.reason.map(crate::case::fact::Reason::number), fact.verdict.number());
    let close_limit = fact.close_limit.map(|at| at.0);
    let changed = db
        .prepare_cached(
            "UPDATE case_fact SET level = ?3, state = ?4, reason = ?5, flags = ?6, soon_us = ?7, limit_us = ?8, \
             close_limit_us = ?9, verdict = ?10, unit = ?11, judge_us = ?12, judge_late = ?13, dispatch_us = ?14, \
             dispatch_late = ?15, accept_us = ?16, accept_late = ?17, close_us = ?18, close_late = ?19, \
             forced_late = ?20, checked = ?21 WHERE opened_us = ?1 AND case_id = ?2",
        )?
        .execute(params![
            case.opened.0,
            id,
            level,
            state,
            reason,
            flags,
            soon,
            limit,
            close_limit,
            verdict,
            asked,
            us(fact.judge),
            late(fact.judge),
            us(fact.dispatch),
            late(fact.dispatch),
            us(fact.accept),
            late(fact.accept),
            us(fact.close),
            late(fact.close),
            fact.forced_late,
            fact.checked,
        ])?;
    if changed == 0 {
        let (place, source) = origin(db, id)?;
        db.prepare_cached(
            "INSERT INTO case_fact (opened_us, case_id, class, kind, level, state, place, source, verdict, \
             forced_late, checked) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0)",
        )?
        .execute(params![
            case.opened.0,
            id,
            i32::from(v1::KindClass::from(case.subject.kind.class())),
            case.subject.kind.number(),
            level,
            state,
            place,
            source,
        ])?;
        return keep(db, id, case, history);
    }
    Ok(())
}

/// Of a case whose history cannot be read: what stands beside it, so that lists still name it.
fn keep_damaged(db: &Connection, id: i64) -> Result<()> {
    let (place, source) = origin(db, id)?;
    db.prepare_cached(
        "INSERT INTO case_fact (opened_us, case_id, class, kind, level, state, place, source, verdict, forced_late, \
         checked) SELECT opened_us, case_id, class, kind, level, state, ?2, ?3, 0, 0, 0 FROM case_file \
         WHERE case_id = ?1",
    )?
    .execute(params![id, place, source])?;
    Ok(())
}

/// Makes the facts of what was there before them, once.
pub(in super::super) fn begin(db: &Connection) -> Result<()> {
    if file::meta(db, BEGINS)?.is_none() {
        return Ok(());
    }
    let all = db.unchecked_transaction()?;
    all.execute("DELETE FROM case_fact", [])?;
    all.execute(
        "INSERT OR IGNORE INTO case_place (camera, path) SELECT DISTINCT camera, path FROM alert",
        [],
    )?;
    all.execute(
        "UPDATE alert SET place = (SELECT p.place FROM case_place p WHERE p.camera = alert.camera \
         AND p.path = alert.path)",
        [],
    )?;
    of_alerts(&all)?;
    let ids: Vec<i64> = {
        let mut query = all.prepare("SELECT case_id FROM case_file ORDER BY case_id")?;
        query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for id in &ids {
        match File::load(&all, *id) {
            Ok(file) => keep(&all, *id, &file.case, &file.history)?,
            Err(Error::DataLoss(fault)) => {
                warn!(case = id, fault, "a case's history is damaged: lists go by what stands beside it");
                keep_damaged(&all, *id)?;
            }
            Err(error) => return Err(error),
        }
    }
    all.execute("DELETE FROM meta WHERE key = ?1", [BEGINS])?;
    all.commit()?;
    if !ids.is_empty() {
        info!(cases = ids.len(), "cases can be searched by what they came to");
    }
    Ok(())
}

/// What raised each alert, and whether it is a drill. Of one whose state cannot be read neither is known.
fn of_alerts(db: &Connection) -> Result<()> {
    let mut query = db.prepare(
        "SELECT a.alert_id, s.content FROM alert a JOIN alert_state s ON s.seq = a.change_seq \
         WHERE a.alert_id > ?1 ORDER BY a.alert_id LIMIT 1000",
    )?;
    let mut set = db.prepare("UPDATE alert SET source = ?2, drill = ?3 WHERE alert_id = ?1")?;
    let mut last = String::new();
    loop {
        let mut rows = query.query([&last])?;
        let mut some = Vec::new();
        while let Some(row) = rows.next()? {
            let content = row.get_ref(1)?.as_blob().map_err(|_| damaged("alert")())?;
            some.push((row.get::<_, String>(0)?, v1::Alert::decode(content)));
        }
        drop(rows);
        let Some((end, _)) = some.last() else { return Ok(()) };
        last.clone_from(end);
        for (id, alert) in &some {
            match alert {
                Ok(alert) => drop(set.execute(params![id, source(db, alert)?, alert.drill])?),
                Err(error) => {
                    warn!(alert = id, %error, "an alert cannot be read: statistics do not know what raised it");
                }
            }
        }
    }
}
