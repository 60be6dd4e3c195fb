//! Subscriptions, evidence, register, audit, trimming.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{
    alert::{EvidenceKind, Sha256},
    cursor::Cursor,
    id::AlertId,
    time::Wall,
    wire,
};
use xueliang_proto::v1;

use super::{
    super::{Acked, AuditEntry, Certificate, EvidenceBytes, EvidenceRow, RegisterQuery},
    convert::{alert_id, damaged, evidence_number, limit, signed, unsigned},
    file,
};
use crate::error::{Error, Result};

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

const EVIDENCE: &str = "SELECT alert_id, kind, facts, stored_us, deleted FROM evidence";

fn evidence_row(row: &Row<'_>) -> Result<EvidenceRow> {
    let facts: Vec<u8> = row.get(2)?;
    Ok(EvidenceRow {
        alert: alert_id(&row.get::<_, String>(0)?)?,
        kind: wire::evidence_kind_of(row.get(1)?).map_err(|_| damaged("kind of evidence")())?,
        facts: v1::EvidenceRef::decode(facts.as_slice()).map_err(|_| damaged("piece of evidence")())?,
        stored: Wall(row.get(3)?),
        deleted: row.get(4)?,
    })
}

pub(super) fn evidence(db: &Connection, alert: AlertId, kind: EvidenceKind) -> Result<Option<EvidenceRow>> {
    let mut query = db.prepare_cached(&format!("{EVIDENCE} WHERE alert_id = ?1 AND kind = ?2"))?;
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
        "INSERT INTO evidence (alert_id, kind, sha256, size_bytes, facts, stored_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (alert_id, kind) DO UPDATE SET sha256 = ?3, \
         size_bytes = ?4, facts = ?5, stored_us = ?6",
    )?
    .execute(params![
        row.alert.to_string(),
        evidence_number(row.kind),
        row.facts.sha256,
        signed(row.facts.size_bytes),
        row.facts.encode_to_vec(),
        row.stored.0
    ])?;
    Ok(None)
}

pub(super) fn evidence_bytes(db: &Connection, since: Wall) -> Result<EvidenceBytes> {
    let mut query = db.prepare_cached(
        "SELECT bytes, pieces, (SELECT coalesce(sum(size_bytes), 0) FROM evidence \
         WHERE deleted = 0 AND sha256 <> '' AND stored_us >= ?1) FROM evidence_kept",
    )?;
    let bytes = query.query_row([since.0], |row| {
        Ok(EvidenceBytes {
            kept: unsigned(row.get(0)?),
            pieces: unsigned(row.get(1)?),
            since: unsigned(row.get(2)?),
        })
    });
    Ok(bytes?)
}

pub(super) fn evidence_before(
    db: &Connection,
    before: Wall,
    page: usize,
    skip: usize,
) -> Result<Vec<Result<EvidenceRow>>> {
    let mut query = db.prepare_cached(&format!(
        "{EVIDENCE} WHERE deleted = 0 AND stored_us < ?1 AND sha256 <> '' ORDER BY stored_us, alert_id, kind \
         LIMIT ?2 OFFSET ?3"
    ))?;
    let mut rows = query.query(params![before.0, limit(page), limit(skip)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(evidence_row(row));
    }
    Ok(all)
}

pub(super) fn evidence_shared(
    db: &Connection,
    sha256: Sha256,
    alert: AlertId,
    kind: EvidenceKind,
) -> Result<bool> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM evidence WHERE sha256 = ?1 AND deleted = 0 AND NOT (alert_id = ?2 AND kind = ?3)",
    )?;
    let others: i64 = query
        .query_row(params![sha256.to_string(), alert.to_string(), evidence_number(kind)], |row| row.get(0))?;
    Ok(others > 0)
}

pub(super) fn certify(db: &Connection, gone: &Certificate) -> Result<()> {
    let (alert, kind) = (gone.alert.to_string(), evidence_number(gone.kind));
    db.prepare_cached("UPDATE evidence SET deleted = 1 WHERE alert_id = ?1 AND kind = ?2")?
        .execute(params![alert, kind])?;
    db.prepare_cached(
        "INSERT INTO evidence_deleted (alert_id, kind, sha256, size_bytes, stored_us, deleted_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        alert,
        kind,
        gone.sha256.to_string(),
        signed(gone.size_bytes),
        gone.stored.0,
        gone.deleted.0
    ])?;
    Ok(())
}

pub(super) fn register(db: &Connection, entry: &v1::RegisterEntry) -> Result<u64> {
    db.prepare_cached(
        "INSERT INTO register (at_us, principal, alert_id, kind, purpose, reason, granted, refusal) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        entry.at_unix_us,
        entry.principal,
        entry.alert_id,
        entry.kind,
        entry.purpose,
        entry.reason,
        entry.granted,
        entry.refusal
    ])?;
    Ok(unsigned(db.last_insert_rowid()))
}

pub(super) fn list_register(db: &Connection, query: &RegisterQuery) -> Result<Vec<v1::RegisterEntry>> {
    let mut select = db.prepare_cached(
        "SELECT entry_id, at_us, principal, alert_id, kind, purpose, reason, granted, refusal FROM register \
         WHERE (?1 IS NULL OR alert_id = ?1) AND entry_id < ?2 ORDER BY entry_id DESC LIMIT ?3",
    )?;
    let before = query.before_exclusive.map_or(i64::MAX, signed);
    let alert = query.alert.map(|id| id.to_string());
    let rows = select.query_map(params![alert, before, limit(query.limit)], |row| {
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
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn audit(db: &Connection, entry: &AuditEntry, now: Wall) -> Result<()> {
    db.prepare_cached("INSERT INTO audit (at_us, principal, action, subject) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![now.0, entry.principal, entry.action, entry.subject])?;
    Ok(())
}

/// Trims from the front only, so that one number says how far; returns how many rows, and that number.
pub(super) fn trim(db: &Connection, before: Wall) -> Result<(u64, u64)> {
    // Wall time may step back between rows: the first row that must stay ends the trimming.
    let upto: i64 = db.query_row(
        "SELECT min(coalesce((SELECT min(seq) FROM feed WHERE committed_us >= ?1) - 1, \
         (SELECT coalesce(max(seq), 0) FROM feed)), (SELECT coalesce(min(seq), 1) FROM feed) + ?2 - 1)",
        params![before.0, TRIM_ROWS],
        |row| row.get(0),
    )?;
    let trimmed = db.execute("DELETE FROM feed WHERE seq <= ?1", [upto])?;
    let upto = unsigned(upto).max(file::trimmed_of(db)?);
    if trimmed > 0 {
        file::set_meta(db, "trimmed_to", &upto.to_be_bytes())?;
    }
    Ok((u64::try_from(trimmed).unwrap_or(u64::MAX), if trimmed > 0 { upto } else { 0 }))
}
