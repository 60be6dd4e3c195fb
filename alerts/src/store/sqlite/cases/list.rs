//! Reads of cases: one, a page of them, and those whose clock has something to say.

use rusqlite::{Connection, types::Value};
use xueliang_base::{
    kind::{Class, Lane},
    time::Wall,
};
use xueliang_proto::v1;

use super::{
    super::{
        super::{CaseKey, CasePage, CaseQuery, DueCase},
        convert::{alert_id, damaged, lane_number, level, limit, unsigned},
        query::Sql,
    },
    Found, Rules, find,
    history::{AlertFacts, File},
    search::{self, Row},
};
use crate::{
    case::{
        Case, Event, barred,
        clock::{Stage, Timer},
        may,
        on_duty::prefill,
    },
    error::{Error, Result},
    reach,
    rights::Principal,
};

/// A case that nobody has touched, as it is told.
fn untouched(facts: &AlertFacts, case: &Case, now: Wall) -> v1::Case {
    let condition_ended_unix_us = facts.ended().map_or(0, |ended| ended.0);
    v1::Case { number: String::new(), revision: 0, condition_ended_unix_us, ..case.to_wire(now) }
}

/// A case as it is told: of its alert's end, too, where its history does not know of it yet.
fn touched(db: &Connection, file: &File, now: Wall) -> Result<v1::Case> {
    let mut told = file.case.to_wire(now);
    if told.condition_ended_unix_us == 0
        && let Some(alert) = file.case.subject.alert
        && let Some(facts) = AlertFacts::read(db, alert)?
    {
        told.condition_ended_unix_us = facts.ended().map_or(0, |ended| ended.0);
    }
    Ok(told)
}

pub(super) fn one(
    db: &Connection,
    rules: &Rules,
    key: &CaseKey,
    asker: Option<&Principal>,
    now: Wall,
) -> Result<v1::GetCaseResponse> {
    let may = |case: &Case| {
        asker.map(|caller| may(case, caller, now)).unwrap_or_default().into_iter().map(i32::from).collect()
    };
    let barred = |case: &Case| asker.map(|caller| barred(case, caller, now)).unwrap_or_default();
    let within = asker.and_then(Principal::reach);
    let prefill = |case: &Case| prefill(&rules.duty, &rules.policy, case, now);
    match find(db, key, within.as_ref())? {
        Found::Untouched(facts, since) => {
            let case = facts.untouched_case(rules, since)?;
            let told = Some(untouched(&facts, &case, now));
            let (prefill, may, barred) = (prefill(&case), may(&case), barred(&case));
            Ok(v1::GetCaseResponse { case: told, history: Vec::new(), prefill, may, barred })
        }
        Found::Case(id) => {
            let file = File::load(db, id)?;
            let history = (1_u64..).zip(&file.history).map(|(at, event): (u64, &Event)| event.to_wire(at));
            Ok(v1::GetCaseResponse {
                case: Some(touched(db, &file, now)?),
                history: history.collect(),
                prefill: prefill(&file.case),
                may: may(&file.case),
                barred: barred(&file.case),
            })
        }
    }
}

/// A case whose history cannot be read, as its row tells of it: the rest of a list is told all the same.
fn damaged_case(db: &Connection, id: i64) -> Result<v1::Case> {
    let mut query = db.prepare_cached(
        "SELECT number, revision, state, kind, class, level, camera, path, opened_us FROM case_file WHERE case_id = ?1",
    )?;
    let told = query.query_row([id], |row| {
        let path: String = row.get(7)?;
        let subject = v1::CaseSubject {
            kind: row.get(3)?,
            kind_class: row.get(4)?,
            level: row.get(5)?,
            camera_id: row.get(6)?,
            division_path: reach::own_divisions(&path).map(str::to_owned).collect(),
            ..v1::CaseSubject::default()
        };
        Ok(v1::Case {
            number: row.get(0)?,
            revision: unsigned(row.get(1)?),
            state: row.get(2)?,
            level: row.get(5)?,
            opened_unix_us: row.get(8)?,
            subject: Some(subject),
            damaged: true,
            ..v1::Case::default()
        })
    })?;
    Ok(told)
}

fn of_alert(db: &Connection, rules: &Rules, alert: &str, since: Wall, now: Wall) -> Result<v1::Case> {
    let facts = AlertFacts::read(db, alert_id(alert)?)?.ok_or_else(damaged("alert"))?;
    let case = facts.untouched_case(rules, since)?;
    Ok(untouched(&facts, &case, now))
}

/// A case that nobody has touched, of an alert that cannot be read, as the alert's row tells of it.
fn damaged_alert(db: &Connection, alert: &str, since: Wall) -> Result<v1::Case> {
    let mut query =
        db.prepare_cached("SELECT kind, class, level, camera, path FROM alert WHERE alert_id = ?1")?;
    let told = query.query_row([alert], |row| {
        let path: String = row.get(4)?;
        let level = row.get(2)?;
        let subject = v1::CaseSubject {
            alert_id: alert.to_owned(),
            kind: row.get(0)?,
            kind_class: row.get(1)?,
            level,
            camera_id: row.get(3)?,
            division_path: reach::own_divisions(&path).map(str::to_owned).collect(),
            ..v1::CaseSubject::default()
        };
        Ok(v1::Case {
            state: v1::CaseState::New.into(),
            level,
            opened_unix_us: since.0,
            subject: Some(subject),
            damaged: true,
            ..v1::Case::default()
        })
    })?;
    Ok(told)
}

pub(super) fn all(db: &Connection, rules: &Rules, query: &CaseQuery, now: Wall) -> Result<CasePage> {
    let once = db.unchecked_transaction()?;
    let found = search::find(&once, query, now)?;
    let told = |(since, row): &(Wall, Row)| match row {
        Row::Touched(id) => match File::load(&once, *id).and_then(|file| touched(&once, &file, now)) {
            Err(Error::DataLoss(_)) => damaged_case(&once, *id),
            told => told,
        },
        Row::Untouched(alert) => match of_alert(&once, rules, alert, *since, now) {
            Err(Error::DataLoss(_)) => damaged_alert(&once, alert, *since),
            told => told,
        },
    };
    let cases = found.rows.iter().map(told).collect::<Result<_>>()?;
    Ok(CasePage { cases, total: found.total })
}

pub(super) fn due(db: &Connection, rules: &Rules, most: usize, now: Wall) -> Result<Vec<DueCase>> {
    // With the most severe level each may have: what is severe is looked at first, touched or not.
    let mut due = Vec::new();
    // What nobody has touched, as soon as its clock may have something to say: by lane, since limits go by level. Where a
    // town has limits of its own for some, the shortest wakes all of the lane; from then on each goes by its own.
    for lane in Lane::ALL {
        let severities = match lane {
            Lane::Critical => &[1, 2][..],
            Lane::Major => &[3],
            Lane::Minor => &[4],
        };
        let levels = severities.iter().map(|severity| level(*severity)).collect::<Result<Vec<_>>>()?;
        for class in [Class::Event, Class::State, Class::Device] {
            let limits: Vec<_> =
                levels.iter().flat_map(|level| rules.policy.to_judge(class, *level)).collect();
            // Nobody is asked to judge what a town gives no time for: of devices, usually.
            if limits.is_empty() {
                continue;
            }
            // The latest begin of which 80 % are over by now, as the same timer reckons it from there.
            let soon = |begin: Wall| {
                let timers = limits
                    .iter()
                    .map(|limit| Timer::new(Stage::Judge, *limit, begin, &rules.policy.calendar).soon);
                timers.min().is_some_and(|soon| soon <= now)
            };
            let kinds: Option<Vec<_>> =
                levels.iter().map(|level| rules.policy.kinds_to_judge(class, *level)).collect();
            let mut sql = match kinds {
                None => {
                    let mut sql = Sql::new(
                        "SELECT a.alert_id, a.untouched_us FROM alert a WHERE a.class = ? AND a.lane = ?",
                    );
                    sql.add("", [i32::from(v1::KindClass::from(class)).into(), lane_number(lane).into()]);
                    sql
                }
                // The rest of the class is judged by nobody and stays untouched for ever: it is passed over within an index.
                Some(kinds) => {
                    let mut sql = Sql::new(
                        "SELECT a.alert_id, a.untouched_us FROM alert a INDEXED BY alert_untouched_by_time \
                         WHERE a.untouched_us IS NOT NULL AND a.class = ?",
                    );
                    sql.add("", [i32::from(v1::KindClass::from(class)).into()]);
                    let kinds: Vec<i64> =
                        kinds.concat().iter().map(|kind| i64::from(kind.number())).collect();
                    for (column, numbers) in
                        [("kind", kinds), ("level", severities.iter().map(|one| i64::from(*one)).collect())]
                    {
                        let marks = vec!["?"; numbers.len()].join(", ");
                        sql.add(
                            &format!(" AND a.{column} IN ({marks})"),
                            numbers.into_iter().map(Value::from),
                        );
                    }
                    sql
                }
            };
            sql.add(
                " AND a.untouched_us <= ? ORDER BY a.untouched_us LIMIT ?",
                [now.0.into(), limit(most).into()],
            );
            let rows = sql.all(db, |row| Ok((alert_id(&row.get::<_, String>(0)?)?, Wall(row.get(1)?))))?;
            let over = rows.into_iter().take_while(|(_, begin)| soon(*begin));
            let case = |alert| DueCase { key: CaseKey::Alert(alert), to_judge: Some(alert) };
            due.extend(over.map(|(alert, _)| (severities[0], case(alert))));
        }
    }
    let mut sql = Sql::new(
        "SELECT f.number, f.state, c.alert_id, f.level FROM case_file f LEFT JOIN case_alert c USING (case_id) \
         WHERE f.due_us <= ? ORDER BY f.level, f.due_us LIMIT ?",
    );
    sql.add("", [now.0.into(), limit(most).into()]);
    let touched = sql.all(db, |row| {
        let number: String = row.get(0)?;
        let is_new = row.get::<_, i32>(1)? == i32::from(v1::CaseState::New);
        let alert = row.get::<_, Option<String>>(2)?.filter(|_| is_new);
        let case = DueCase {
            key: CaseKey::Number(number.parse().map_err(|_| damaged("case's number")())?),
            to_judge: alert.map(|id| alert_id(&id)).transpose()?,
        };
        Ok((row.get(3)?, case))
    })?;
    due.extend(touched);
    due.sort_by_key(|(severity, _)| *severity);
    Ok(due.into_iter().map(|(_, case)| case).collect())
}
