//! The register of calls.

use rusqlite::{Connection, params};
use xueliang_proto::v1;

use super::{
    super::RegisterQuery,
    chain,
    convert::{limit, signed, unsigned},
    query::{Sql, int},
};
use crate::{audit::chain::Source, error::Result};

/// Numbers that came after the chain began are NULL where there is none: so the links of entries from before hold.
fn some(number: impl Into<i64>) -> Option<i64> {
    Some(number.into()).filter(|number| *number != 0)
}

/// Adds an entry; returns its number.
pub(super) fn add(db: &Connection, entry: &v1::RegisterEntry) -> Result<u64> {
    db.prepare_cached(
        "INSERT INTO register (at_us, principal, alert_id, kind, purpose, reason, granted, refusal, unit, call_reason, camera, \
         stretch, sha256, release_id, request_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        entry.at_unix_us,
        entry.principal,
        entry.alert_id,
        entry.kind,
        entry.purpose,
        entry.reason,
        entry.granted,
        entry.refusal,
        entry.unit,
        some(entry.call_reason),
        entry.camera_id,
        some(entry.stretch),
        entry.sha256,
        some(signed(entry.release_id)),
        some(signed(entry.request_id)),
    ])?;
    let entry_id = db.last_insert_rowid();
    chain::link(db, Source::Register, entry_id)?;
    Ok(unsigned(entry_id))
}

/// Reads entries.
pub(super) fn list(db: &Connection, query: &RegisterQuery) -> Result<Vec<v1::RegisterEntry>> {
    let mut sql = Sql::new(
        "SELECT entry_id, at_us, principal, alert_id, kind, purpose, reason, granted, refusal, unit, \
         coalesce(call_reason, 0), camera, coalesce(stretch, 0), sha256, coalesce(release_id, 0), \
         coalesce(request_id, 0) FROM register WHERE 1",
    );
    sql.add(" AND entry_id < ?", [query.before_exclusive.map_or(i64::MAX, signed).into()]);
    if let Some(after) = query.after_exclusive {
        sql.add(" AND entry_id > ?", [int(after)]);
    }
    if let Some(from) = query.from_inclusive {
        sql.add(" AND at_us >= ?", [from.0.into()]);
    }
    if let Some(to) = query.to_exclusive {
        sql.add(" AND at_us < ?", [to.0.into()]);
    }
    let texts = [
        ("alert_id", query.alert.map(|id| id.to_string())),
        ("principal", query.account.clone()),
        ("unit", query.unit.clone()),
        ("camera", query.camera.clone()),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            sql.add(&format!(" AND {column} = ?"), [text.into()]);
        }
    }
    let numbers = [
        ("call_reason", query.call_reason.map(|one| i64::from(i32::from(one)))),
        ("kind", query.kind.map(|one| i64::from(i32::from(one)))),
        ("release_id", query.release.map(signed)),
        ("request_id", query.request.map(signed)),
    ];
    for (column, number) in numbers {
        if let Some(number) = number {
            sql.add(&format!(" AND {column} = ?"), [number.into()]);
        }
    }
    if query.refused_only {
        sql.add(" AND granted = 0", []);
    }
    sql.about("register.alert_id", query.within.as_ref());
    let order = if query.oldest_first { "" } else { " DESC" };
    sql.add(&format!(" ORDER BY entry_id{order} LIMIT ?"), [limit(query.limit).into()]).all(db, |row| {
        Ok(v1::RegisterEntry {
            entry_id: unsigned(row.get(0)?),
            at_unix_us: row.get(1)?,
            principal: row.get(2)?,
            alert_id: row.get(3)?,
            kind: row.get(4)?,
            purpose: row.get(5)?,
            reason: row.get(6)?,
            granted: row.get(7)?,
            refusal: row.get(8)?,
            unit: row.get(9)?,
            call_reason: row.get(10)?,
            camera_id: row.get(11)?,
            stretch: row.get(12)?,
            sha256: row.get(13)?,
            release_id: unsigned(row.get(14)?),
            request_id: unsigned(row.get(15)?),
        })
    })
}
