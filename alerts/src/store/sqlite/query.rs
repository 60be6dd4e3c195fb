//! Reads of alerts and of the feed.

use std::{fmt::Write as _, sync::Arc};

use rusqlite::{Connection, Row, params, params_from_iter, types::Value};
use xueliang_base::{
    id::{AlertId, DivisionCode},
    kind::Lane,
};
use xueliang_proto::v1;

use super::{
    super::{FeedId, FeedQuery, FeedRow, ListQuery, Missed, Page, SnapshotKey},
    convert::{COLUMNS, alert_id, feed_row, lane_number, level, limit, record, signed, unsigned},
    file,
};
use crate::{error::Result, filter::Filter, reach::Reach};

/// Places of the feed that one read looks at: a console that wants little and is far behind keeps no reader busy.
pub(in super::super) const SCAN: u64 = 5_000;

/// States that [`history`] returns at most.
const MAX_HISTORY: i64 = 1000;

/// Parts of paths that are compared one by one, which is twice as fast as from a list; a statement takes no thousand of conditions.
const FEW: usize = 500;

/// A statement that grows, with its parameters.
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }
    /// Adds text in which `?` stands for each of the values in order.
    pub(super) fn add(&mut self, text: &str, values: impl IntoIterator<Item = Value>) -> &mut Self {
        self.text.push_str(text);
        self.values.extend(values);
        self
    }
    fn one_of(&mut self, column: &str, values: Vec<Value>) {
        if !values.is_empty() {
            let marks = vec!["?"; values.len()].join(", ");
            self.add(&format!(" AND {column} IN ({marks})"), values);
        }
    }
    /// Adds the conditions of a filter on `a` (alert); `level` names the column of the most severe level.
    pub(super) fn filter(&mut self, filter: &Filter, level: &str) -> &mut Self {
        self.one_of("a.kind", filter.kinds.iter().map(|n| Value::from(*n)).collect());
        self.one_of("a.class", filter.classes.iter().map(|n| Value::from(*n)).collect());
        if !filter.cameras.is_empty() {
            // As `Facts::is_of`.
            let any = vec!["a.camera = ? OR instr(a.path, ?) > 0"; filter.cameras.len()].join(" OR ");
            let values = filter.cameras.iter().flat_map(|id| [id.to_string(), format!("/@{id}/")]);
            self.add(&format!(" AND ({any})"), values.map(Value::from));
        }
        if let Some(least) = filter.least_level {
            self.add(&format!(" AND {level} <= ?"), [Value::from(i64::from(least.number()))]);
        }
        if !filter.divisions.is_empty() {
            self.under(filter.divisions.iter().map(DivisionCode::as_str));
        }
        if let Some(within) = &filter.within {
            self.under(within.iter().map(Reach::as_str));
        }
        self
    }
    /// Only what one of these parts of a path stands for.
    pub(super) fn under<'a>(&mut self, parts: impl Iterator<Item = &'a str>) {
        let all: Vec<&str> = parts.collect();
        if all.len() <= FEW {
            let any = vec!["instr(a.path, ?) > 0"; all.len()].join(" OR ");
            let any = if any.is_empty() { "FALSE".to_owned() } else { any };
            self.add(&format!(" AND ({any})"), all.into_iter().map(|part| Value::from(format!("/{part}/"))));
            return;
        }
        // No part holds a quote.
        let all: Vec<String> = all.into_iter().map(|part| format!("\"/{part}/\"")).collect();
        self.add(
            " AND EXISTS (SELECT 1 FROM json_each(?) WHERE instr(a.path, value) > 0)",
            [Value::from(format!("[{}]", all.join(",")))],
        );
    }
    /// Only rows about alerts within reach; `column` holds the alert's id.
    pub(super) fn about(&mut self, column: &str, within: Option<&Vec<Reach>>) -> &mut Self {
        if let Some(within) = within {
            self.add(&format!(" AND EXISTS (SELECT 1 FROM alert a WHERE a.alert_id = {column}"), []);
            self.under(within.iter().map(Reach::as_str));
            self.add(")", []);
        }
        self
    }
    pub(super) fn all<T>(&self, db: &Connection, read: impl Fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(db, |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }
    /// Takes row by row.
    pub(super) fn each(&self, db: &Connection, mut take: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let mut query = db.prepare_cached(&self.text)?;
        let mut rows = query.query(params_from_iter(&self.values))?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    }
    /// How it would be answered, step by step.
    pub(super) fn plan(&self, db: &Connection) -> Result<Vec<String>> {
        let explain = Sql { text: format!("EXPLAIN QUERY PLAN {}", self.text), values: self.values.clone() };
        explain.all(db, |row| Ok(row.get(3)?))
    }
}

pub(super) fn int(value: u64) -> Value {
    Value::from(signed(value))
}

/// A condition on `s` (alert_state): it was shown, now or when a suppression ended.
const SHOWN: &str = " AND NOT EXISTS (SELECT 1 FROM suppressed_state x WHERE x.seq = s.seq)";

/// All rows after a place.
pub(super) fn rows_after(db: &Connection, after: u64) -> Result<Vec<Arc<FeedRow>>> {
    let mut sql = Sql::new(format!("SELECT {COLUMNS} FROM alert_state s JOIN alert a USING (alert_id)"));
    sql.add(" WHERE s.seq > ?", [int(after)]).add(SHOWN, []).add(" ORDER BY s.seq", []).all(db, feed_row)
}

fn lane_rows(columns: &str, query: &FeedQuery, upto_inclusive: u64) -> Sql {
    let mut sql = Sql::new(format!(
        "SELECT {columns} FROM feed f JOIN alert_state s ON s.seq = f.seq JOIN alert a ON a.alert_id = f.alert_id"
    ));
    sql.add(
        " WHERE f.lane = ? AND f.seq > ? AND f.seq <= ?",
        [Value::from(lane_number(query.lane)), int(query.after_exclusive), int(upto_inclusive)],
    );
    if query.latest_only {
        // Of an alert that is suppressed, the latest that was shown.
        sql.add(
            " AND (a.change_seq = f.seq OR f.seq = (SELECT p.shown_seq FROM suppression p \
             WHERE p.alert_id = f.alert_id AND p.until_us IS NULL))",
            [],
        );
    }
    sql.filter(&query.filter, "s.level");
    sql.add(" ORDER BY f.seq LIMIT ?", [Value::from(limit(query.limit))]);
    sql
}

/// One page of a stretch, and how far the feed was trimmed, in one read of the database: trimming between the two
/// would be a gap that nobody notices.
fn page<T>(
    db: &Connection,
    columns: &str,
    query: &FeedQuery,
    seq: impl Fn(&T) -> u64,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Page<T>> {
    let once = db.unchecked_transaction()?;
    let trimmed_to = file::trimmed_of(&once)?;
    let upto = query.upto_inclusive.min(query.after_exclusive.saturating_add(SCAN));
    let rows = lane_rows(columns, query, upto).all(&once, read)?;
    let cut = rows.len() >= query.limit;
    let last = rows.last().filter(|_| cut).map(seq);
    Ok(Page { upto: last.unwrap_or(upto), cut, trimmed_to, rows })
}

pub(super) fn feed_page(db: &Connection, query: &FeedQuery) -> Result<Page<Arc<FeedRow>>> {
    page(db, COLUMNS, query, |row: &Arc<FeedRow>| row.seq, feed_row)
}

/// The same out of the record, of which nothing is ever trimmed.
pub(super) fn record_page(db: &Connection, query: &FeedQuery) -> Result<Page<Arc<FeedRow>>> {
    let upto = query.upto_inclusive.min(query.after_exclusive.saturating_add(SCAN));
    let mut sql = Sql::new(format!("SELECT {COLUMNS} FROM alert_state s JOIN alert a USING (alert_id)"));
    sql.add(
        " WHERE s.seq > ? AND s.seq <= ? AND s.lane = ?",
        [int(query.after_exclusive), int(upto), Value::from(lane_number(query.lane))],
    );
    // What is suppressed goes nowhere else either; it does once it is shown.
    sql.add(SHOWN, []);
    sql.filter(&query.filter, "s.level");
    sql.add(" ORDER BY s.seq LIMIT ?", [Value::from(limit(query.limit))]);
    let rows = sql.all(db, feed_row)?;
    let cut = rows.len() >= query.limit;
    let last = rows.last().filter(|_| cut).map(|row| row.seq);
    Ok(Page { upto: last.unwrap_or(upto), cut, trimmed_to: 0, rows })
}

pub(super) fn feed_ids(db: &Connection, query: &FeedQuery) -> Result<Page<FeedId>> {
    page(
        db,
        "f.seq, f.alert_id, a.kind",
        query,
        |id: &FeedId| id.seq,
        |row| {
            Ok(FeedId {
                seq: unsigned(row.get(0)?),
                alert: alert_id(&row.get::<_, String>(1)?)?,
                kind: row.get(2)?,
            })
        },
    )
}

pub(super) fn snapshot_page(
    db: &Connection,
    filter: &Filter,
    at_inclusive: u64,
    after: Option<SnapshotKey>,
    page: usize,
) -> Result<Vec<Arc<FeedRow>>> {
    let mut sql =
        Sql::new(format!("SELECT {COLUMNS} FROM alert a JOIN alert_state s ON s.seq = a.change_seq"));
    sql.add(" WHERE a.firing = 1 AND a.change_seq <= ?", [int(at_inclusive)]).add(SHOWN, []);
    if let Some((lane, seq)) = after {
        sql.add(" AND (a.lane, a.change_seq) > (?, ?)", [Value::from(lane_number(lane)), int(seq)]);
    }
    sql.filter(filter, "a.level");
    sql.add(" ORDER BY a.lane, a.change_seq LIMIT ?", [Value::from(limit(page))]).all(db, feed_row)
}

pub(super) fn missed(
    db: &Connection,
    filter: &Filter,
    after: [u64; 3],
    upto_inclusive: u64,
) -> Result<Missed> {
    // The feed is gone there, the history is not: so the counts are exact.
    let mut sql = Sql::new(
        "SELECT s.level, count(*), min(s.committed_us), max(s.committed_us) FROM alert_state s \
         JOIN alert a USING (alert_id) WHERE s.seq <= ?",
    );
    sql.values.push(int(upto_inclusive));
    let mut any = String::new();
    for (index, lane) in Lane::ALL.into_iter().enumerate() {
        let or = if index == 0 { "" } else { " OR " };
        let number = lane_number(lane);
        let _infallible = write!(any, "{or}(s.lane = {number} AND s.seq > ?)");
    }
    sql.add(&format!(" AND ({any})"), after.map(int)).add(SHOWN, []);
    sql.filter(filter, "s.level").add(" GROUP BY s.level ORDER BY s.level", []);
    let rows = sql.all(db, |row| {
        let times: (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok((level(row.get(0)?)?, unsigned(row.get(1)?), times))
    })?;
    Ok(Missed {
        from_unix_us: rows.iter().map(|row| row.2.0).min().unwrap_or(0),
        to_unix_us: rows.iter().map(|row| row.2.1).max().unwrap_or(0),
        counts: rows.into_iter().map(|(level, count, _)| (level, count)).collect(),
    })
}

pub(super) fn list(db: &Connection, query: &ListQuery) -> Result<Vec<Arc<FeedRow>>> {
    listing(query).all(db, feed_row)
}

pub(super) fn listing(query: &ListQuery) -> Sql {
    let mut sql =
        Sql::new(format!("SELECT {COLUMNS} FROM alert a JOIN alert_state s ON s.seq = a.change_seq WHERE 1"));
    sql.one_of("a.alert_id", query.alerts.iter().map(|id| Value::from(id.to_string())).collect());
    if let Some(end) = &query.id_ends {
        // A look at every id: people ask so, a few times a day.
        sql.add(" AND substr(a.alert_id, -length(?)) = ?", [end.clone().into(), end.clone().into()]);
    }
    if let Some(firing) = query.firing {
        sql.add(" AND a.firing = ?", [Value::from(firing)]);
    }
    if let Some(publisher) = &query.publisher {
        // Of drills, which are few, by no index of its own.
        let column = if query.drills { "+a.publisher" } else { "a.publisher" };
        sql.add(&format!(" AND {column} = ?"), [Value::from(publisher.clone())]);
    }
    if query.drills {
        sql.add(" AND a.drill = 1", []);
    }
    if let Some(before) = query.before_exclusive {
        sql.add(" AND a.change_seq < ?", [int(before)]);
    }
    sql.filter(&query.filter, "a.level");
    sql.add(" ORDER BY a.change_seq DESC LIMIT ?", [Value::from(limit(query.limit))]);
    sql
}

pub(super) fn history(db: &Connection, alert: AlertId) -> Result<Vec<v1::Record>> {
    // Of a state that was suppressed and shown later, as it was shown: with max(), the other columns are of that row.
    let mut query = db.prepare_cached(
        "SELECT content, lane, committed_us, max(seq) FROM alert_state WHERE alert_id = ?1 GROUP BY revision \
         ORDER BY revision DESC LIMIT ?2",
    )?;
    let mut rows = query.query(params![alert.to_string(), MAX_HISTORY])?;
    let mut states = Vec::new();
    while let Some(row) = rows.next()? {
        let content = row.get_ref(0)?.as_blob().map_err(|_| super::convert::damaged("alert")())?;
        states.push(record(content, row.get(1)?, row.get(2)?)?);
    }
    states.reverse();
    Ok(states)
}

pub(super) fn exists(db: &Connection, alert: AlertId) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM alert WHERE alert_id = ?1)")?;
    Ok(query.query_row([alert.to_string()], |row| row.get(0))?)
}
