//! Reads of cases: one, a page of them, and those whose clock has something to say.

use rusqlite::{Connection, types::Value};
use tracing::error;
use xueliang_base::{
    id::DivisionCode,
    kind::{Class, Lane},
    time::Wall,
};
use xueliang_proto::v1;

use super::{
    super::{
        super::{CaseKey, CaseQuery, DueCase},
        convert::{alert_id, damaged, lane_number, level, limit, unsigned},
        query::Sql,
    },
    Found, Rules, find,
    history::{AlertFacts, File},
};
use crate::{
    case::{
        Case, Event, State,
        clock::{Stage, Timer},
        on_duty::prefill,
    },
    error::{Error, Result},
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
    within: Option<&Vec<DivisionCode>>,
    now: Wall,
) -> Result<v1::GetCaseResponse> {
    let prefill = |case: &Case| prefill(&rules.duty, &rules.policy, case, now);
    match find(db, key, within)? {
        Found::Untouched(facts, since) => {
            let case = facts.untouched_case(rules, since)?;
            let told = Some(untouched(&facts, &case, now));
            Ok(v1::GetCaseResponse { case: told, history: Vec::new(), prefill: prefill(&case) })
        }
        Found::Case(id) => {
            let file = File::load(db, id)?;
            let history = (1_u64..).zip(&file.history).map(|(at, event): (u64, &Event)| event.to_wire(at));
            Ok(v1::GetCaseResponse {
                case: Some(touched(db, &file, now)?),
                history: history.collect(),
                prefill: prefill(&file.case),
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
            division_path: path.split('/').filter(|code| !code.is_empty()).map(str::to_owned).collect(),
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
    error!(case = %told.number, "the history of a case is damaged: `xueliang audit verify` tells what was changed");
    Ok(told)
}

/// Which columns name what both kinds of cases have.
struct Source {
    table: &'static str,
    time: &'static str,
    key: &'static str,
}

const TOUCHED: Source = Source { table: "case_file", time: "opened_us", key: "number" };
const UNTOUCHED: Source = Source { table: "alert", time: "untouched_us", key: "alert_id" };

impl Source {
    /// Begins a statement on one of them; whoever goes on adds the conditions of its own, then [`Self::end`].
    fn begin(&self, id: &str, query: &CaseQuery) -> Sql {
        let Source { table, time, key } = self;
        let mut sql =
            Sql::new(format!("SELECT a.{id}, a.{time}, a.{key} FROM {table} a WHERE a.{time} IS NOT NULL"));
        if query.filter.classes.is_empty() {
            let classes =
                [Class::Event, Class::State].map(|class| Value::from(i32::from(v1::KindClass::from(class))));
            sql.add(" AND a.class IN (?, ?)", classes);
        }
        if let Some(from) = query.from_inclusive {
            sql.add(&format!(" AND a.{time} >= ?"), [Value::from(from.0)]);
        }
        if let Some(to) = query.to_exclusive {
            sql.add(&format!(" AND a.{time} < ?"), [Value::from(to.0)]);
        }
        if let Some((opened, last)) = &query.before_exclusive {
            sql.add(
                &format!(" AND (a.{time}, a.{key}) < (?, ?)"),
                [Value::from(opened.0), Value::from(last.clone())],
            );
        }
        sql.filter(&query.filter, "a.level");
        sql
    }
    fn end(&self, sql: &mut Sql, query: &CaseQuery) {
        let Source { time, key, .. } = self;
        sql.add(&format!(" ORDER BY a.{time} DESC, a.{key} DESC LIMIT ?"), [Value::from(limit(query.limit))]);
    }
}

/// Where a row of a list comes from.
enum Row {
    Touched(i64),
    Untouched(String),
}

pub(super) fn all(db: &Connection, rules: &Rules, query: &CaseQuery, now: Wall) -> Result<Vec<v1::Case>> {
    let mut rows: Vec<(i64, String, Row)> = Vec::new();
    let mut sql = TOUCHED.begin("case_id", query);
    if !query.states.is_empty() {
        let numbers = query.states.iter().map(|state| Value::from(i32::from(v1::CaseState::from(*state))));
        let marks = vec!["?"; query.states.len()].join(", ");
        sql.add(&format!(" AND a.state IN ({marks})"), numbers);
    }
    if query.only_misses {
        sql.add(" AND a.missed_kind <> 0", []);
    }
    TOUCHED.end(&mut sql, query);
    rows.extend(sql.all(db, |row| Ok((row.get(1)?, row.get(2)?, Row::Touched(row.get(0)?))))?);
    if !query.only_misses && (query.states.is_empty() || query.states.contains(&State::New)) {
        let mut sql = UNTOUCHED.begin("alert_id", query);
        UNTOUCHED.end(&mut sql, query);
        rows.extend(sql.all(db, |row| Ok((row.get(1)?, row.get(2)?, Row::Untouched(row.get(0)?))))?);
    }
    rows.sort_by(|one, other| (other.0, &other.1).cmp(&(one.0, &one.1)));
    rows.truncate(query.limit);
    let told = |(since, _, row): &(i64, String, Row)| match row {
        Row::Touched(id) => match File::load(db, *id).and_then(|file| touched(db, &file, now)) {
            Err(Error::DataLoss(_)) => damaged_case(db, *id),
            told => told,
        },
        Row::Untouched(alert) => {
            let facts = AlertFacts::read(db, alert_id(alert)?)?.ok_or_else(damaged("alert"))?;
            let case = facts.untouched_case(rules, Wall(*since))?;
            Ok(untouched(&facts, &case, now))
        }
    };
    rows.iter().map(told).collect()
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
            let mut sql =
                Sql::new("SELECT a.alert_id, a.untouched_us FROM alert a WHERE a.class = ? AND a.lane = ?");
            sql.add("", [i32::from(v1::KindClass::from(class)).into(), lane_number(lane).into()]);
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
