//! Promises, holds, certificates, the space that evidence takes, and how far back the feed reaches.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};
use xueliang_base::{
    alert::{EvidenceKind, Sha256},
    id::{AlertId, CameraId},
    time::Wall,
};
use xueliang_proto::v1;

use super::{
    super::{
        Answer, AuditEntry, Certificate, CertificateQuery, DueEvidence, EvidenceBytes, FEED_FLOOR, Feed,
        HoldQuery, RetentionStore, STORE_FILE, schema,
    },
    SqliteStore,
    convert::{evidence_number, limit, signed, unsigned},
    query::Sql,
    rest,
};
use crate::error::{Error, Result};

const DAY_US: i64 = 86_400_000_000;
/// Evidence that takes room.
const KEPT: &str = "e.deleted = 0 AND e.sha256 <> ''";
/// Whose alert nobody holds.
const FREE: &str =
    "NOT EXISTS (SELECT 1 FROM legal_hold h WHERE h.alert_id = e.alert_id AND h.lifted_us IS NULL)";
const HOLD: &str = "hold_id, alert_id, set_by, reason, set_us, lifted_by, lift_reason, lifted_us";

fn kept(db: &Connection) -> Result<[(u64, u64); 3]> {
    let mut query = db.prepare_cached("SELECT bytes, pieces FROM evidence_space WHERE kind = ?1")?;
    let mut kinds = [(0, 0); 3];
    for (kind, kept) in EvidenceKind::ALL.into_iter().zip(&mut kinds) {
        let found = query
            .query_row([evidence_number(kind)], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))));
        *kept = found.optional()?.unwrap_or_default();
    }
    Ok(kinds)
}

fn evidence_bytes(db: &Connection, since: Wall, now: Wall, days: u32) -> Result<EvidenceBytes> {
    let mut query = db.prepare_cached(&format!(
        "SELECT coalesce(sum(size_bytes), 0) FROM evidence e WHERE {KEPT} AND stored_us >= ?1"
    ))?;
    let stored: i64 = query.query_row([since.0], |row| row.get(0))?;
    let mut leaving = vec![0; days as usize];
    let mut query = db.prepare_cached(&format!(
        "SELECT max(0, (keep_until_us - ?1) / {DAY_US}), sum(size_bytes) FROM evidence e \
         WHERE {KEPT} AND keep_until_us < ?2 AND {FREE} GROUP BY 1"
    ))?;
    let end = now.0.saturating_add(i64::from(days).saturating_mul(DAY_US));
    let mut rows = query.query([now.0, end])?;
    while let Some(row) = rows.next()? {
        let day = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
        if let Some(bytes) = leaving.get_mut(day) {
            *bytes = unsigned(row.get(1)?);
        }
    }
    let mut query =
        db.prepare_cached("SELECT count(DISTINCT alert_id) FROM legal_hold WHERE lifted_us IS NULL")?;
    let held: i64 = query.query_row([], |row| row.get(0))?;
    Ok(EvidenceBytes { kinds: kept(db)?, since: unsigned(stored), leaving, held_alerts: unsigned(held) })
}

/// What evidence takes by the store of a state folder, whether a service runs on it or not; `None` where there is none of
/// this schema.
pub(crate) fn evidence_in(
    state_dir: &Path,
    since: Wall,
    now: Wall,
    days: u32,
) -> Result<Option<EvidenceBytes>> {
    let path = state_dir.join(STORE_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.execute_batch("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0")?;
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if usize::try_from(found) != Ok(schema::STORE_STEPS.len()) {
        return Ok(None);
    }
    evidence_bytes(&db, since, now, days).map(Some)
}

fn evidence_due(db: &Connection, now: Wall, page: usize, skip: usize) -> Result<Vec<Result<DueEvidence>>> {
    let columns = rest::EVIDENCE;
    let mut query = db.prepare_cached(&format!(
        "SELECT {columns}, coalesce(a.camera, '') FROM evidence e LEFT JOIN alert a ON a.alert_id = e.alert_id \
         WHERE {KEPT} AND e.keep_until_us < ?1 AND {FREE} ORDER BY e.keep_until_us, e.alert_id, e.kind \
         LIMIT ?2 OFFSET ?3"
    ))?;
    let mut rows = query.query(params![now.0, limit(page), limit(skip)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let camera: String = row.get(6)?;
        all.push(rest::evidence_row(row).map(|row| DueEvidence { row, camera }));
    }
    Ok(all)
}

fn promise(db: &Connection, alert: AlertId, kind: EvidenceKind, keep_until: Wall) -> Result<()> {
    db.prepare_cached(
        "UPDATE evidence SET keep_until_us = ?3 WHERE alert_id = ?1 AND kind = ?2 AND keep_until_us < ?3",
    )?
    .execute(params![alert.to_string(), evidence_number(kind), keep_until.0])?;
    Ok(())
}

fn evidence_shared(db: &Connection, sha256: Sha256, alert: AlertId, kind: EvidenceKind) -> Result<bool> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM evidence WHERE sha256 = ?1 AND deleted = 0 AND NOT (alert_id = ?2 AND kind = ?3)",
    )?;
    let others: i64 = query
        .query_row(params![sha256.to_string(), alert.to_string(), evidence_number(kind)], |row| row.get(0))?;
    // Photos lie in the same folder.
    let mut photos =
        db.prepare_cached("SELECT count(*) FROM case_photo WHERE sha256 = ?1 AND deleted = 0")?;
    let photos: i64 = photos.query_row([sha256.to_string()], |row| row.get(0))?;
    Ok(others + photos > 0)
}

fn certify(db: &Connection, gone: &Certificate) -> Result<()> {
    let (alert, kind) = (gone.alert.to_string(), evidence_number(gone.kind));
    db.prepare_cached("UPDATE evidence SET deleted = 1 WHERE alert_id = ?1 AND kind = ?2")?
        .execute(params![alert, kind])?;
    db.prepare_cached(
        "INSERT INTO evidence_deleted (alert_id, kind, sha256, size_bytes, stored_us, deleted_us, promised_us, proof) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        alert,
        kind,
        gone.sha256.to_string(),
        signed(gone.size_bytes),
        gone.stored.0,
        gone.deleted.0,
        gone.promised.0,
        i32::from(gone.proof)
    ])?;
    Ok(())
}

fn certificates(db: &Connection, query: &CertificateQuery) -> Result<Vec<v1::DeletionCertificate>> {
    // Only what is asked for stands in the statement, so that an index serves it.
    let mut sql = Sql::new(
        "SELECT rowid, alert_id, kind, sha256, size_bytes, stored_us, promised_us, deleted_us, proof \
         FROM evidence_deleted WHERE 1",
    );
    sql.add(" AND rowid < ?", [query.before_exclusive.map_or(i64::MAX, signed).into()]);
    if let Some(alert) = query.alert {
        sql.add(" AND alert_id = ?", [alert.to_string().into()]);
    }
    if let Some(from) = query.from_inclusive {
        sql.add(" AND deleted_us >= ?", [from.0.into()]);
    }
    if let Some(to) = query.to_exclusive {
        sql.add(" AND deleted_us < ?", [to.0.into()]);
    }
    sql.about("evidence_deleted.alert_id", query.within.as_ref());
    sql.add(" ORDER BY rowid DESC LIMIT ?", [limit(query.limit).into()]).all(db, |row| {
        Ok(v1::DeletionCertificate {
            certificate_id: unsigned(row.get(0)?),
            alert_id: row.get(1)?,
            kind: row.get(2)?,
            sha256: row.get(3)?,
            size_bytes: unsigned(row.get(4)?),
            stored_unix_us: row.get(5)?,
            promised_unix_us: row.get(6)?,
            deleted_unix_us: row.get(7)?,
            proof: row.get(8)?,
        })
    })
}

fn hold_row(row: &Row<'_>) -> rusqlite::Result<v1::LegalHold> {
    Ok(v1::LegalHold {
        hold_id: unsigned(row.get(0)?),
        alert_id: row.get(1)?,
        set_by: row.get(2)?,
        reason: row.get(3)?,
        set_unix_us: row.get(4)?,
        lifted_by: row.get(5)?,
        lift_reason: row.get(6)?,
        lifted_unix_us: row.get::<_, Option<i64>>(7)?.unwrap_or(0),
    })
}

fn hold(db: &Connection, id: u64) -> Result<Option<v1::LegalHold>> {
    let mut query = db.prepare_cached(&format!("SELECT {HOLD} FROM legal_hold WHERE hold_id = ?1"))?;
    Ok(query.query_row([signed(id)], hold_row).optional()?)
}

fn in_force(db: &Connection, alert: &str) -> Result<Vec<v1::LegalHold>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {HOLD} FROM legal_hold WHERE alert_id = ?1 AND lifted_us IS NULL ORDER BY hold_id"
    ))?;
    let rows = query.query_map([alert], hold_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn set_hold(db: &Connection, wanted: &v1::LegalHold, max_in_force: u32, now: Wall) -> Result<v1::LegalHold> {
    let holds = in_force(db, &wanted.alert_id)?;
    let same = |one: &&v1::LegalHold| one.set_by == wanted.set_by && one.reason == wanted.reason;
    if let Some(there) = holds.iter().find(same) {
        return Ok(there.clone());
    }
    if holds.len() >= max_in_force as usize {
        return Err(Error::Invalid(format!(
            "alert {} is held {max_in_force} times already: lift a hold first",
            wanted.alert_id
        )));
    }
    db.prepare_cached("INSERT INTO legal_hold (alert_id, set_by, reason, set_us) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![wanted.alert_id, wanted.set_by, wanted.reason, wanted.set_unix_us])?;
    let set = v1::LegalHold { hold_id: unsigned(db.last_insert_rowid()), ..wanted.clone() };
    let subject = format!("hold {} on alert {}: {}", set.hold_id, set.alert_id, set.reason);
    rest::audit(db, &AuditEntry { principal: set.set_by.clone(), action: "hold evidence", subject }, now)?;
    Ok(set)
}

fn lift_hold(db: &Connection, id: u64, by: &str, reason: &str, now: Wall) -> Result<Option<v1::LegalHold>> {
    let Some(found) = hold(db, id)? else { return Ok(None) };
    if found.lifted_unix_us == 0 {
        db.prepare_cached(
            "UPDATE legal_hold SET lifted_by = ?2, lift_reason = ?3, lifted_us = ?4 WHERE hold_id = ?1",
        )?
        .execute(params![signed(id), by, reason, now.0])?;
        let subject = format!("hold {id} on alert {}: {reason}", found.alert_id);
        rest::audit(db, &AuditEntry { principal: by.to_owned(), action: "lift hold", subject }, now)?;
    }
    hold(db, id)
}

fn holds(db: &Connection, query: &HoldQuery) -> Result<Vec<v1::LegalHold>> {
    let mut sql = Sql::new(format!("SELECT {HOLD} FROM legal_hold WHERE 1"));
    sql.add(" AND hold_id < ?", [query.before_exclusive.map_or(i64::MAX, signed).into()]);
    if let Some(alert) = query.alert {
        sql.add(" AND alert_id = ?", [alert.to_string().into()]);
    }
    if !query.lifted_too {
        sql.add(" AND lifted_us IS NULL", []);
    }
    sql.about("legal_hold.alert_id", query.within.as_ref());
    sql.add(" ORDER BY hold_id DESC LIMIT ?", [limit(query.limit).into()]).all(db, |row| Ok(hold_row(row)?))
}

/// The feed is trimmed from the front only and has no holes: its ends say how long it is.
fn feed(db: &Connection) -> Result<Feed> {
    let mut query = db.prepare_cached(
        "SELECT coalesce((SELECT max(seq) FROM feed) - (SELECT min(seq) FROM feed) + 1, 0), \
         (SELECT committed_us FROM feed ORDER BY seq LIMIT 1)",
    )?;
    let feed = query.query_row([], |row| {
        let oldest: Option<i64> = row.get(1)?;
        Ok(Feed { records: unsigned(row.get(0)?), oldest: oldest.map(Wall) })
    });
    Ok(feed?)
}

fn last_path_of(db: &Connection, camera: &str) -> Result<Option<String>> {
    // Alerts have no index by camera: they are looked through for one that had them in several places, and for no other.
    let mut known = db.prepare_cached("SELECT path FROM case_place WHERE camera = ?1 LIMIT 2")?;
    let mut paths: Vec<String> = known.query_map([camera], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if paths.len() < 2 {
        return Ok(paths.pop());
    }
    let mut last =
        db.prepare_cached("SELECT path FROM alert WHERE camera = ?1 ORDER BY change_seq DESC LIMIT 1")?;
    Ok(last.query_row([camera], |row| row.get(0)).optional()?)
}

impl RetentionStore for SqliteStore {
    fn camera_of(&self, alert: AlertId) -> Answer<Option<String>> {
        self.read(move |db| {
            let mut query = db.prepare_cached("SELECT camera FROM alert WHERE alert_id = ?1")?;
            Ok(query.query_row([alert.to_string()], |row| row.get(0)).optional()?)
        })
    }
    fn last_path_of(&self, camera: CameraId) -> Answer<Option<String>> {
        self.read(move |db| last_path_of(db, camera.as_str()))
    }
    fn evidence_kept(&self) -> Answer<u64> {
        self.read(|db| Ok(kept(db)?.iter().map(|(bytes, _)| bytes).sum()))
    }
    fn evidence_bytes(&self, since: Wall, now: Wall, days: u32) -> Answer<EvidenceBytes> {
        // It goes through all that leaves in these days: whoever waits for one answer must not wait for it.
        self.catch_up(move |db| evidence_bytes(db, since, now, days))
    }
    fn evidence_due(&self, now: Wall, limit: usize, skip: usize) -> Answer<Vec<Result<DueEvidence>>> {
        self.read(move |db| evidence_due(db, now, limit, skip))
    }
    fn promise(&self, alert: AlertId, kind: EvidenceKind, keep_until: Wall) -> Answer<()> {
        self.write(move |db, _| promise(db, alert, kind, keep_until))
    }
    fn evidence_shared(&self, sha256: Sha256, alert: AlertId, kind: EvidenceKind) -> Answer<bool> {
        self.read(move |db| evidence_shared(db, sha256, alert, kind))
    }
    fn certify(&self, certificate: Certificate) -> Answer<()> {
        self.write(move |db, _| certify(db, &certificate))
    }
    fn certificates(&self, query: CertificateQuery) -> Answer<Vec<v1::DeletionCertificate>> {
        self.read(move |db| certificates(db, &query))
    }
    fn set_hold(&self, hold: v1::LegalHold, max_in_force: u32) -> Answer<v1::LegalHold> {
        self.write(move |db, batch| set_hold(db, &hold, max_in_force, batch.wall()))
    }
    fn lift_hold(&self, hold: u64, by: String, reason: String) -> Answer<Option<v1::LegalHold>> {
        self.write(move |db, batch| lift_hold(db, hold, &by, &reason, batch.wall()))
    }
    fn held(&self, alert: AlertId) -> Answer<bool> {
        self.read(move |db| Ok(!in_force(db, &alert.to_string())?.is_empty()))
    }
    fn holds(&self, query: HoldQuery) -> Answer<Vec<v1::LegalHold>> {
        self.read(move |db| holds(db, &query))
    }
    fn feed(&self) -> Answer<Feed> {
        self.read(feed)
    }
    fn trim_to(&self, max_records: u64) -> Answer<u64> {
        let shared = Arc::clone(&self.shared);
        let before = self.clock.wall().minus(FEED_FLOOR);
        let answer = self.write(move |db, _| rest::trim_to(db, max_records, before));
        Box::pin(async move {
            let (trimmed, upto) = answer.await?;
            shared.trimmed_to.fetch_max(upto, Ordering::AcqRel);
            Ok(trimmed)
        })
    }
}
