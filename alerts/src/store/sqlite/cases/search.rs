//! Which cases a list wants, latest first, those that nobody has touched among them.
//!
//! What is wanted is found by the condition that fewest cases meet, as the index of each says when it is counted up to a
//! bound ([`FEW`]); where all are met by many, by going back through time, past the narrow rows of `case_fact`. So a search
//! reads a few pages of an index where something rare is wanted, stops early where much is wanted, and in between looks
//! at each row once, not at the case behind it.

use rusqlite::{Connection, OptionalExtension as _, types::Value};
use xueliang_base::{
    kind::{Class, Level},
    time::Wall,
};
use xueliang_proto::v1::{self, CaseFlag};

use super::{
    super::{
        super::{CaseQuery, MOST_COUNTED},
        convert::limit,
        query::Sql,
    },
    facts::MISS,
};
use crate::{
    case::{CaseNumber, State, fact::bit},
    error::{Error, Result},
    filter::Filter,
    reach,
};

/// A condition that at most so many cases meet leads to them by its own index: to look each up and to sort them takes
/// less than to go back through a million.
const FEW: usize = 20_000;

/// A condition on cases that were touched.
struct Term {
    /// `{}` stands where a plus keeps the index of the column from being used.
    text: String,
    values: Vec<Value>,
    /// The index that leads to what meets it.
    index: Option<&'static str>,
}

impl Term {
    fn new(text: &str, values: impl IntoIterator<Item = Value>, index: Option<&'static str>) -> Self {
        Self { text: text.to_owned(), values: values.into_iter().collect(), index }
    }
    fn one_of<V: Into<Value>>(
        column: &str,
        values: impl IntoIterator<Item = V>,
        index: Option<&'static str>,
    ) -> Self {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        let marks = vec!["?"; values.len()].join(", ");
        Self { text: format!("{{}}{column} IN ({marks})"), values, index }
    }
    fn add(&self, sql: &mut Sql, leads: bool) {
        let text = self.text.replace("{}", if leads { "" } else { "+" });
        sql.add(&format!(" AND {text}"), self.values.iter().cloned());
    }
}

/// Where a row of a list comes from.
pub(super) enum Row {
    Touched(i64),
    Untouched(String),
}

/// Rows of a page, latest first, and how many all pages have if that was asked for.
pub(super) struct Found {
    pub(super) rows: Vec<(Wall, Row)>,
    pub(super) total: Option<usize>,
}

impl Found {
    fn none(query: &CaseQuery) -> Self {
        Self { rows: Vec::new(), total: counts(query).then_some(0) }
    }
}

/// Numbers of the places that a filter wants, as JSON; `None`: all.
pub(super) fn places(db: &Connection, filter: &Filter) -> Result<Option<Vec<i64>>> {
    let places = Filter {
        divisions: filter.divisions.clone(),
        cameras: filter.cameras.clone(),
        within: filter.within.clone(),
        ..Filter::default()
    };
    if places == Filter::default() {
        return Ok(None);
    }
    let mut sql = Sql::new("SELECT a.place FROM case_place a WHERE 1");
    sql.filter(&places, "0").all(db, |row| Ok(row.get(0)?)).map(Some)
}

fn json(places: &[i64]) -> Value {
    let all: Vec<String> = places.iter().map(ToString::to_string).collect();
    Value::from(format!("[{}]", all.join(",")))
}

/// The alerts of which cases are wanted, as JSON. Ids have nothing that JSON would escape.
fn alerts(query: &CaseQuery) -> Value {
    let all: Vec<String> = query.alerts.iter().map(|id| format!("\"{id}\"")).collect();
    Value::from(format!("[{}]", all.join(",")))
}

/// Whether cases are named, by number or alert: that leads to few, whatever else is wanted.
fn is_named(query: &CaseQuery) -> bool {
    query.number.is_some() || !query.alerts.is_empty()
}

/// Most severe levels wanted; `None`: all.
fn levels(query: &CaseQuery) -> Option<Vec<i64>> {
    let least = query.filter.least_level;
    if least.is_none() && query.levels.is_empty() {
        return None;
    }
    let wanted = |level: &Level| {
        least.is_none_or(|least| *level <= least) && (query.levels.is_empty() || query.levels.contains(level))
    };
    let all = [Level::EXTREME, Level::SEVERE, Level::MAJOR, Level::GENERAL];
    Some(all.into_iter().filter(wanted).map(|level| i64::from(level.number())).collect())
}

/// Classes wanted: without a word, all but devices.
fn classes(query: &CaseQuery) -> Vec<i32> {
    match query.filter.classes.as_slice() {
        [] => [Class::Event, Class::State].map(|class| i32::from(v1::KindClass::from(class))).to_vec(),
        some => {
            let mut once = some.to_vec();
            once.sort_unstable();
            once.dedup();
            once
        }
    }
}

/// The conditions on cases that were touched.
fn terms(query: &CaseQuery, places: Option<&Vec<i64>>, now: Wall) -> Vec<Term> {
    let mut terms = vec![Term::one_of("f.class", classes(query), None)];
    if let Some(places) = places {
        let text = "{}f.place IN (SELECT value FROM json_each(?))";
        terms.push(Term::new(text, [json(places)], Some("case_fact_by_place")));
    }
    if !query.filter.kinds.is_empty() {
        terms.push(Term::one_of("f.kind", query.filter.kinds.iter().copied(), Some("case_fact_by_kind")));
    }
    if let Some(levels) = levels(query) {
        terms.push(Term::one_of("f.level", levels, Some("case_fact_by_level")));
    }
    if !query.states.is_empty() {
        let states = query.states.iter().map(|state| i32::from(v1::CaseState::from(*state)));
        terms.push(Term::one_of("f.state", states, Some("case_fact_by_state")));
    }
    if !query.reasons.is_empty() {
        let reasons = query.reasons.iter().map(|reason| reason.number());
        terms.push(Term::one_of("f.reason", reasons, Some("case_fact_by_reason")));
    }
    let mut bits = if query.only_misses { MISS } else { 0 };
    for flag in &query.flags {
        match flag {
            CaseFlag::Overdue => {
                terms.push(Term::new("{}f.limit_us <= ?", [now.0.into()], Some("case_fact_by_limit")));
            }
            CaseFlag::DueSoon => {
                terms.push(Term::new("{}f.soon_us <= ?", [now.0.into()], Some("case_fact_by_soon")));
            }
            CaseFlag::WasOverdue => terms.push(Term::new(
                "((f.flags & ?) <> 0 OR f.limit_us <= ?)",
                [bit(*flag).into(), now.0.into()],
                None,
            )),
            other => bits |= bit(*other),
        }
    }
    if bits != 0 {
        terms.push(Term::new(
            "{}f.flags IS NOT NULL AND (f.flags & ?) = ?",
            [bits.into(), bits.into()],
            Some("case_fact_by_flag"),
        ));
    }
    terms
}

/// Between which moments, and after which case of the list.
#[derive(Default)]
struct Stretch {
    from_inclusive: Option<i64>,
    to_exclusive: Option<i64>,
    /// Opened then and with a smaller number, or earlier.
    touched_before: Option<(i64, i64)>,
    untouched_before: Option<(i64, String)>,
    untouched_upto: Option<i64>,
}

impl Stretch {
    fn of(db: &Connection, query: &CaseQuery) -> Result<Self> {
        let mut stretch = Self {
            from_inclusive: query.from_inclusive.map(|at| at.0),
            to_exclusive: query.to_exclusive.map(|at| at.0),
            ..Self::default()
        };
        // Of those opened at one moment, touched ones come first.
        match &query.before_exclusive {
            None => {}
            Some((at, key)) if key.parse::<CaseNumber>().is_ok() => {
                let mut find = db.prepare_cached("SELECT case_id, path FROM case_file WHERE number = ?1")?;
                let found: Option<(i64, String)> =
                    find.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                // What whoever asks may not see is not told to be there.
                let seen = found.filter(|(_, path)| reach::reaches(query.filter.within.as_deref(), path));
                let unknown = || Error::Invalid("page_token: use one from an earlier answer".to_owned());
                stretch.touched_before = Some((at.0, seen.ok_or_else(unknown)?.0));
                stretch.untouched_upto = Some(at.0);
            }
            Some((at, key)) => {
                stretch.touched_before = Some((at.0, i64::MIN));
                stretch.untouched_before = Some((at.0, key.clone()));
            }
        }
        Ok(stretch)
    }
    /// Adds the conditions on time to a statement on touched cases.
    fn add(&self, sql: &mut Sql) {
        if let Some(from) = self.from_inclusive {
            sql.add(" AND f.opened_us >= ?", [from.into()]);
        }
        if let Some(to) = self.to_exclusive {
            sql.add(" AND f.opened_us < ?", [to.into()]);
        }
        if let Some((at, id)) = self.touched_before {
            sql.add(" AND (f.opened_us, f.case_id) < (?, ?)", [at.into(), id.into()]);
        }
    }
}

/// Of the conditions that have an index, the one that fewest cases meet, if those are few.
fn leading(db: &Connection, terms: &[Term], stretch: &Stretch) -> Result<Option<usize>> {
    let mut best = (FEW + 1, None);
    for (at, term) in terms.iter().enumerate() {
        let Some(index) = term.index else { continue };
        let mut sql =
            Sql::new(format!("SELECT count(*) FROM (SELECT 1 FROM case_fact f INDEXED BY {index} WHERE 1"));
        term.add(&mut sql, true);
        stretch.add(&mut sql);
        sql.add(" LIMIT ?)", [limit(best.0).into()]);
        let met = sql.all(db, |row| Ok(row.get::<_, i64>(0)?))?;
        let met = met.first().and_then(|met| usize::try_from(*met).ok()).unwrap_or(usize::MAX);
        if met < best.0 {
            best = (met, Some(at));
        }
    }
    Ok(best.1)
}

/// The statement that finds touched cases, latest first.
fn statement(
    columns: &str,
    query: &CaseQuery,
    terms: &[Term],
    stretch: &Stretch,
    leads: Option<usize>,
) -> Sql {
    let mut sql = Sql::new(format!("SELECT {columns} FROM "));
    // No digit comes after 9, and a colon does. A place has so many cases a day.
    let numbers = query.number.as_ref().map(|number| [number.clone().into(), format!("{number}:").into()]);
    if !query.alerts.is_empty() {
        sql.add(
            "json_each(?) CROSS JOIN case_alert o ON o.alert_id = json_each.value CROSS JOIN case_file n ON n.case_id = o.case_id \
             CROSS JOIN case_fact f ON f.opened_us = n.opened_us AND f.case_id = n.case_id WHERE 1",
            [alerts(query)],
        );
        if let Some(numbers) = numbers {
            sql.add(" AND n.number >= ? AND n.number < ?", numbers);
        }
    } else if let Some(numbers) = numbers {
        sql.add(
            "case_file n INDEXED BY case_file_by_number CROSS JOIN case_fact f \
             ON f.opened_us = n.opened_us AND f.case_id = n.case_id WHERE n.number >= ? AND n.number < ?",
            numbers,
        );
    } else {
        match leads.and_then(|at| terms[at].index) {
            Some(index) => sql.add(&format!("case_fact f INDEXED BY {index} WHERE 1"), []),
            None => sql.add("case_fact f WHERE 1", []),
        };
    }
    for (at, term) in terms.iter().enumerate() {
        term.add(&mut sql, leads == Some(at));
    }
    stretch.add(&mut sql);
    sql
}

/// The statement on all touched cases that are wanted, in no order.
pub(super) fn touched(
    db: &Connection,
    columns: &str,
    query: &CaseQuery,
    places: Option<&Vec<i64>>,
    now: Wall,
) -> Result<Sql> {
    let (terms, stretch) = (terms(query, places, now), Stretch::of(db, query)?);
    let leads = leading(db, &terms, &stretch)?;
    Ok(statement(columns, query, &terms, &stretch, leads))
}

/// The statements on all untouched cases that are wanted, in no order.
pub(super) fn untouched(columns: &str, query: &CaseQuery, places: Option<&Vec<i64>>) -> Vec<Sql> {
    let stretch = Stretch {
        from_inclusive: query.from_inclusive.map(|at| at.0),
        to_exclusive: query.to_exclusive.map(|at| at.0),
        ..Stretch::default()
    };
    let of = |class| of_alerts(columns, query, places, &stretch, class);
    classes(query).into_iter().filter_map(of).collect()
}

/// The statement on untouched cases of a class; `None`: none of them is wanted.
fn of_alerts(
    columns: &str,
    query: &CaseQuery,
    places: Option<&Vec<i64>>,
    stretch: &Stretch,
    class: i32,
) -> Option<Sql> {
    let is_new = query.states.is_empty() || query.states.contains(&State::New);
    let drill = query.flags.contains(&CaseFlag::Drill);
    let marked = query.flags.iter().any(|flag| *flag != CaseFlag::Drill);
    if !is_new || marked || query.only_misses || !query.reasons.is_empty() || query.number.is_some() {
        return None;
    }
    let mut sql = Sql::new(format!("SELECT {columns} FROM "));
    if query.alerts.is_empty() {
        sql.add("alert a INDEXED BY alert_untouched_by_time WHERE a.untouched_us IS NOT NULL", []);
        sql.add(" AND a.class = ?", [class.into()]);
    } else {
        sql.add("json_each(?) CROSS JOIN alert a ON a.alert_id = json_each.value", [alerts(query)]);
        // The plus keeps the index by time out: it would lead past all of the class, once for each alert.
        sql.add(" WHERE +a.untouched_us IS NOT NULL AND +a.class = ?", [class.into()]);
    }
    if let Some(from) = stretch.from_inclusive {
        sql.add(" AND a.untouched_us >= ?", [from.into()]);
    }
    if let Some(to) = stretch.to_exclusive {
        sql.add(" AND a.untouched_us < ?", [to.into()]);
    }
    if let Some(upto) = stretch.untouched_upto {
        sql.add(" AND a.untouched_us <= ?", [upto.into()]);
    }
    if let Some((at, alert)) = &stretch.untouched_before {
        sql.add(" AND (a.untouched_us, a.alert_id) < (?, ?)", [(*at).into(), alert.clone().into()]);
    }
    if !query.filter.kinds.is_empty() {
        let kinds = Term::one_of("a.kind", query.filter.kinds.iter().copied(), None);
        kinds.add(&mut sql, false);
    }
    if let Some(levels) = levels(query) {
        Term::one_of("a.level", levels, None).add(&mut sql, false);
    }
    if let Some(places) = places {
        sql.add(" AND +a.place IN (SELECT value FROM json_each(?))", [json(places)]);
    }
    if drill {
        sql.add(" AND +a.drill = 1", []);
    }
    Some(sql)
}

const KEYS: &str = "f.opened_us, f.case_id";
const UNTOUCHED_KEYS: &str = "a.untouched_us, a.alert_id";

fn page_of_touched(query: &CaseQuery, terms: &[Term], stretch: &Stretch, leads: Option<usize>) -> Sql {
    let mut sql = statement(KEYS, query, terms, stretch, leads);
    sql.add(&format!(" ORDER BY f.opened_us DESC, f.case_id DESC LIMIT {}", most(query)), []);
    sql
}

fn page_of_untouched(
    query: &CaseQuery,
    places: Option<&Vec<i64>>,
    stretch: &Stretch,
    class: i32,
) -> Option<Sql> {
    let mut sql = of_alerts(UNTOUCHED_KEYS, query, places, stretch, class)?;
    sql.add(&format!(" ORDER BY a.untouched_us DESC, a.alert_id DESC LIMIT {}", most(query)), []);
    Some(sql)
}

/// Rows that are read of each part: what is counted is read in the same pass.
fn most(query: &CaseQuery) -> usize {
    if counts(query) { (MOST_COUNTED + 1).max(query.limit) } else { query.limit }
}

/// Whether all that are wanted are counted: with the first page, since later ones find what is left.
fn counts(query: &CaseQuery) -> bool {
    query.with_total && query.before_exclusive.is_none()
}

/// How a page of cases is found.
pub(super) fn plan(db: &Connection, query: &CaseQuery, now: Wall) -> Result<Vec<String>> {
    let places = places(db, &query.filter)?;
    let (terms, stretch) = (terms(query, places.as_ref(), now), Stretch::of(db, query)?);
    let leads = if is_named(query) { None } else { leading(db, &terms, &stretch)? };
    let mut steps = page_of_touched(query, &terms, &stretch, leads).plan(db)?;
    for sql in
        classes(query).iter().filter_map(|class| page_of_untouched(query, places.as_ref(), &stretch, *class))
    {
        steps.extend(sql.plan(db)?);
    }
    Ok(steps)
}

/// Finds a page of cases.
pub(super) fn find(db: &Connection, query: &CaseQuery, now: Wall) -> Result<Found> {
    let places = places(db, &query.filter)?;
    if places.as_ref().is_some_and(Vec::is_empty) || levels(query).is_some_and(|levels| levels.is_empty()) {
        return Ok(Found::none(query));
    }
    let stretch = Stretch::of(db, query)?;
    let terms = terms(query, places.as_ref(), now);
    let leads = if is_named(query) { None } else { leading(db, &terms, &stretch)? };
    let sql = page_of_touched(query, &terms, &stretch, leads);
    let touched = sql.all(db, |row| Ok((Wall(row.get(0)?), Row::Touched(row.get(1)?))))?;
    let mut total = touched.len();
    let mut rows: Vec<_> = touched.into_iter().take(query.limit).collect();
    for class in classes(query) {
        let Some(sql) = page_of_untouched(query, places.as_ref(), &stretch, class) else { break };
        let untouched = sql.all(db, |row| Ok((Wall(row.get(0)?), Row::Untouched(row.get(1)?))))?;
        total += untouched.len();
        rows.extend(untouched.into_iter().take(query.limit));
    }
    // Each part is in order already.
    rows.sort_by(|(one, of), (other, than)| {
        other.cmp(one).then_with(|| match (of, than) {
            (Row::Touched(one), Row::Touched(other)) => other.cmp(one),
            (Row::Untouched(one), Row::Untouched(other)) => other.cmp(one),
            (Row::Touched(_), Row::Untouched(_)) => std::cmp::Ordering::Less,
            (Row::Untouched(_), Row::Touched(_)) => std::cmp::Ordering::Greater,
        })
    });
    rows.truncate(query.limit);
    Ok(Found { rows, total: counts(query).then_some(total.min(MOST_COUNTED + 1)) })
}

#[cfg(test)]
mod tests;
