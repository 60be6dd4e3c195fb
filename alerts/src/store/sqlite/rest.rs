//! Subscriptions, evidence, audit, trimming by age.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{alert::EvidenceKind, cursor::Cursor, id::AlertId, time::Wall, wire};
use xueliang_proto::v1;

use super::{
    super::{Acked, AuditEntry, EvidenceRow},
    chain,
    convert::{alert_id, damaged, evidence_number, signed, unsigned},
    file,
};
use crate::{
    audit::chain::Source,
    error::{Error, Result},
};

/// Rows trimmed in one transaction, so that no publisher waits long.
const TRIM_ROWS: i64 = 10_000;

pub(super) fn acked(db: &Connection, principal: &str, name: &str) -> Result<Option<Cursor>> {
    let mut query =
        db.prepare_cached("SELECT cursor FROM subscription WHERE principal = ?1 AND name = ?2")?;
    let bytes: Option<Vec<u8>> = query.query_row([principal, name], |row| row.get(0)).optional()?;
    bytes.map(|bytes| Cursor::decode(&bytes).map_err(|_| damaged("cursor")())).transpose()
}

pub(super) fn save_acked(db: &Connection, one: &Acked, now: Wall) -> Result<()> {
    let mut cursor = one.cursor;
    if let Some(before) = acked(db, &one.principal, &one.subscription)? {
        cursor = cursor.not_before(&before);
    }
    db.prepare_cached(
        "INSERT OR REPLACE INTO subscription (principal, name, cursor, acked_us) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![one.principal, one.subscription, cursor.encode(), now.0])?;
    Ok(())
}

pub(super) fn knows_subscriber(db: &Connection, principal: &str, name: &str) -> Result<bool> {
    let mut query =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM subscriber WHERE principal = ?1 AND name = ?2)")?;
    Ok(query.query_row([principal, name], |row| row.get(0))?)
}

pub(super) fn add_subscriber(
    db: &Connection,
    principal: &str,
    name: &str,
    max_names: u32,
    now: Wall,
) -> Result<()> {
    let mut query =
        db.prepare_cached("SELECT count(*) FROM subscriber WHERE principal = ?1 AND name <> ''")?;
    let names: i64 = query.query_row([principal], |row| row.get(0))?;
    if knows_subscriber(db, principal, name)? {
        return Ok(());
    }
    if !name.is_empty() && names >= i64::from(max_names) {
        return Err(Error::Invalid(format!(
            "subscription: {principal} has used {names} names, no more are kept: use one of them again, or none"
        )));
    }
    db.prepare_cached("INSERT INTO subscriber (principal, name, first_us) VALUES (?1, ?2, ?3)")?
        .execute(params![principal, name, now.0])?;
    let (principal, subject) = (principal.to_owned(), name.to_owned());
    audit(db, &AuditEntry { principal, action: "subscribe", subject }, now)
}

/// Columns of [`evidence_row`], for `evidence e`.
pub(super) const EVIDENCE: &str = "e.alert_id, e.kind, e.facts, e.stored_us, e.keep_until_us, e.deleted";

pub(super) fn evidence_row(row: &Row<'_>) -> Result<EvidenceRow> {
    let facts: Vec<u8> = row.get(2)?;
    Ok(EvidenceRow {
        alert: alert_id(&row.get::<_, String>(0)?)?,
        kind: wire::evidence_kind_of(row.get(1)?).map_err(|_| damaged("kind of evidence")())?,
        facts: v1::EvidenceRef::decode(facts.as_slice()).map_err(|_| damaged("piece of evidence")())?,
        stored: Wall(row.get(3)?),
        keep_until: Wall(row.get(4)?),
        deleted: row.get(5)?,
    })
}

pub(super) fn evidence(db: &Connection, alert: AlertId, kind: EvidenceKind) -> Result<Option<EvidenceRow>> {
    let mut query =
        db.prepare_cached(&format!("SELECT {EVIDENCE} FROM evidence e WHERE alert_id = ?1 AND kind = ?2"))?;
    let mut rows = query.query(params![alert.to_string(), evidence_number(kind)])?;
    rows.next()?.map(evidence_row).transpose()
}

pub(super) fn put_evidence(db: &Connection, row: &EvidenceRow) -> Result<Option<EvidenceRow>> {
    if let Some(there) = evidence(db, row.alert, row.kind)? {
        // A note that there is none gives way to the thing itself; nothing else is replaced.
        if there.facts.missing_reason.is_empty() || there.deleted {
            return Ok((there.facts != row.facts).then_some(there));
        }
    }
    db.prepare_cached(
        "INSERT INTO evidence (alert_id, kind, sha256, size_bytes, facts, stored_us, keep_until_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (alert_id, kind) DO UPDATE SET sha256 = ?3, \
         size_bytes = ?4, facts = ?5, stored_us = ?6, keep_until_us = ?7",
    )?
    .execute(params![
        row.alert.to_string(),
        evidence_number(row.kind),
        row.facts.sha256,
        signed(row.facts.size_bytes),
        row.facts.encode_to_vec(),
        row.stored.0,
        row.keep_until.0
    ])?;
    Ok(None)
}

pub(super) fn audit(db: &Connection, entry: &AuditEntry, now: Wall) -> Result<()> {
    db.prepare_cached("INSERT INTO audit (at_us, principal, action, subject) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![now.0, entry.principal, entry.action, entry.subject])?;
    chain::link(db, Source::Audit, db.last_insert_rowid())
}

/// The last place that goes when all rows committed before a moment go. Wall time may step back between rows: the first
/// row that must stay ends the trimming.
fn older_than(db: &Connection, before: Wall) -> Result<i64> {
    let mut query = db.prepare_cached(
        "SELECT coalesce((SELECT min(seq) FROM feed WHERE committed_us >= ?1) - 1, \
         (SELECT coalesce(max(seq), 0) FROM feed))",
    )?;
    Ok(query.query_row([before.0], |row| row.get(0))?)
}

/// Trims rows committed before a moment.
pub(super) fn trim(db: &Connection, before: Wall) -> Result<(u64, u64)> {
    let upto = older_than(db, before)?;
    trim_upto(db, upto)
}

/// Trims rows committed before a moment as far as there are more than `max_records`.
pub(super) fn trim_to(db: &Connection, max_records: u64, before: Wall) -> Result<(u64, u64)> {
    let newest: i64 = db.query_row("SELECT coalesce(max(seq), 0) FROM feed", [], |row| row.get(0))?;
    let upto = newest.saturating_sub(signed(max_records));
    // The age of what would go is asked for only where something would.
    let oldest: i64 = db.query_row("SELECT coalesce(min(seq), 0) FROM feed", [], |row| row.get(0))?;
    if upto < oldest {
        return Ok((0, 0));
    }
    let upto = upto.min(older_than(db, before)?);
    trim_upto(db, upto)
}

/// Trims from the front only, so that one number says how far; returns how many rows, and that number.
fn trim_upto(db: &Connection, upto: i64) -> Result<(u64, u64)> {
    let bounded: i64 =
        db.query_row("SELECT (SELECT coalesce(min(seq), 1) FROM feed) + ?1 - 1", [TRIM_ROWS], |row| {
            row.get(0)
        })?;
    let upto = upto.min(bounded);
    let trimmed = db.execute("DELETE FROM feed WHERE seq <= ?1", [upto])?;
    let upto = unsigned(upto).max(file::trimmed_of(db)?);
    if trimmed > 0 {
        file::set_meta(db, "trimmed_to", &upto.to_be_bytes())?;
    }
    Ok((u64::try_from(trimmed).unwrap_or(u64::MAX), if trimmed > 0 { upto } else { 0 }))
}
