//! Silences, lists of what was suppressed, and reading what may suppress.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use prost::Message as _;
use rusqlite::{Connection, Row, params};
use xueliang_base::{id::AlertId, time::Wall};
use xueliang_proto::v1;

use super::{
    super::{Answer, AuditEntry, SilenceQuery, SqliteStore, SuppressionQuery, Suppressions},
    convert::{damaged, limit, signed, unsigned},
    flood,
    query::{Sql, int},
    rest,
    suppression::{read_cause, releasable, release},
    writer::Batch,
};
use crate::{
    error::{Error, Result},
    silence::{Cause, MOST, Reasons, Silence, Silences},
};

impl Suppressions for SqliteStore {
    fn add_silence(&self, silence: Silence) -> Answer<v1::Silence> {
        self.write(move |db, batch| add(db, batch, silence.wire))
    }
    fn expire_silence(&self, silence: u64, principal: String) -> Answer<v1::Silence> {
        self.write(move |db, batch| expire(db, batch, silence, &principal))
    }
    fn silences(&self, query: SilenceQuery) -> Answer<Vec<v1::Silence>> {
        let now = self.clock.wall();
        self.read(move |db| list(db, &query, now))
    }
    fn suppressions(&self, query: SuppressionQuery) -> Answer<Vec<v1::Suppression>> {
        self.read(move |db| suppressions(db, &query))
    }
    fn suppressed_among(&self, alerts: Vec<AlertId>) -> Answer<Vec<AlertId>> {
        self.read(move |db| suppressed_among(db, alerts))
    }
    fn reasons(&self) -> Arc<Reasons> {
        self.shared.reasons()
    }
    fn floods_due(&self) -> Answer<bool> {
        let (limits, now) = (self.shared.floods, self.clock.mono());
        self.read(move |db| Ok(!flood::due(db, &limits, now)?.is_empty()))
    }
    fn tend_floods(&self) -> Answer<()> {
        let shared = Arc::clone(&self.shared);
        self.write(move |db, batch| flood::tend(db, batch, &shared))
    }
    fn releasable(&self, after_exclusive: u64) -> Answer<(Vec<u64>, Option<u64>)> {
        let (now, reasons) = (self.clock.wall(), self.shared.reasons());
        self.read(move |db| releasable(db, &reasons, after_exclusive, now))
    }
    fn release(&self, suppressions: Vec<u64>) -> Answer<()> {
        let shared = Arc::clone(&self.shared);
        self.write(move |db, batch| release(db, batch, &shared, &suppressions))
    }
}

const SILENCE: &str = "SELECT silence_id, scope, purpose, author, reason, begin_us, end_us, created_us, expired_us, \
     expired_by FROM silence";

fn read(row: &Row<'_>) -> Result<v1::Silence> {
    let scope: Vec<u8> = row.get(1)?;
    Ok(v1::Silence {
        silence_id: unsigned(row.get(0)?),
        scope: Some(v1::SilenceScope::decode(scope.as_slice()).map_err(|_| damaged("silence")())?),
        purpose: row.get(2)?,
        author: row.get(3)?,
        reason: row.get(4)?,
        begin_unix_us: row.get(5)?,
        end_unix_us: row.get(6)?,
        created_unix_us: row.get(7)?,
        expired_unix_us: row.get(8)?,
        expired_by: row.get(9)?,
    })
}

/// What may suppress. No more silences than [`MOST`] have not ended, so those that end last are all of them, whatever the
/// time is.
pub(super) fn reasons(db: &Connection) -> Result<Reasons> {
    let mut query =
        db.prepare_cached(&format!("{SILENCE} WHERE expired_us = 0 ORDER BY end_us DESC LIMIT ?1"))?;
    let mut rows = query.query([MOST])?;
    let mut silences = Vec::new();
    while let Some(row) = rows.next()? {
        silences.push(Silence::read(read(row)?)?);
    }
    Ok(Reasons { silences: Silences::new(silences), floods: flood::lasting(db)? })
}

fn one(db: &Connection, id: u64) -> Result<v1::Silence> {
    let mut query = db.prepare_cached(&format!("{SILENCE} WHERE silence_id = ?1"))?;
    let mut rows = query.query([signed(id)])?;
    match rows.next()? {
        Some(row) => read(row),
        None => Err(Error::NotFound(format!("silence_id: there is no silence {id}"))),
    }
}

fn audit(db: &Connection, who: &str, action: &'static str, silence: &v1::Silence, now: Wall) -> Result<()> {
    let v1::Silence { silence_id, reason, .. } = silence;
    let (begin, end) = (Wall(silence.begin_unix_us), Wall(silence.end_unix_us));
    let subject = format!("silence {silence_id} from {begin} to {end}: {reason}");
    rest::audit(db, &AuditEntry { principal: who.to_owned(), action, subject }, now)
}

fn add(db: &Connection, batch: &mut Batch<'_>, silence: v1::Silence) -> Result<v1::Silence> {
    let now = batch.wall();
    let mut query = db.prepare_cached("SELECT count(*) FROM silence WHERE expired_us = 0 AND end_us > ?1")?;
    let there: u32 = query.query_row([now.0], |row| row.get(0))?;
    if there >= MOST {
        // Nothing is wrong with the storage, so this must not look like it.
        return Err(Error::Conflict(format!(
            "{there} silences have not ended, no more are kept: let some expire, or widen one"
        )));
    }
    db.prepare_cached(
        "INSERT INTO silence (scope, purpose, author, reason, begin_us, end_us, created_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        silence.scope.clone().unwrap_or_default().encode_to_vec(),
        silence.purpose,
        silence.author,
        silence.reason,
        silence.begin_unix_us,
        silence.end_unix_us,
        silence.created_unix_us
    ])?;
    let silence = v1::Silence { silence_id: unsigned(db.last_insert_rowid()), ..silence };
    batch.reasons_changed();
    audit(db, &silence.author, "silence_made", &silence, now)?;
    Ok(silence)
}

fn expire(db: &Connection, batch: &mut Batch<'_>, id: u64, principal: &str) -> Result<v1::Silence> {
    let (silence, now) = (one(db, id)?, batch.wall());
    if silence.expired_unix_us != 0 || silence.end_unix_us <= now.0 {
        return Ok(silence);
    }
    db.prepare_cached("UPDATE silence SET expired_us = ?2, expired_by = ?3 WHERE silence_id = ?1")?
        .execute(params![signed(id), now.0, principal])?;
    batch.reasons_changed();
    audit(db, principal, "silence_expired", &silence, now)?;
    one(db, id)
}

fn list(db: &Connection, query: &SilenceQuery, now: Wall) -> Result<Vec<v1::Silence>> {
    let mut sql = Sql::new(format!("{SILENCE} WHERE 1"));
    if !query.with_ended {
        sql.add(" AND expired_us = 0 AND end_us > ?", [now.0.into()]);
    }
    if let Some(before) = query.before_exclusive {
        sql.add(" AND silence_id < ?", [int(before)]);
    }
    let Some(within) = &query.within else {
        return sql.add(" ORDER BY silence_id DESC LIMIT ?", [limit(query.limit).into()]).all(db, read);
    };
    let mut all = sql.add(" ORDER BY silence_id DESC", []).all(db, read)?;
    // A scope is of no class of points: whoever is bound to classes reaches none.
    all.retain(|silence| {
        let divisions = silence.scope.as_ref().map(|scope| scope.divisions.as_slice()).unwrap_or_default();
        !divisions.is_empty() && divisions.iter().all(|code| within.iter().any(|own| own.as_str() == code))
    });
    all.truncate(query.limit);
    Ok(all)
}

fn suppressions(db: &Connection, query: &SuppressionQuery) -> Result<Vec<v1::Suppression>> {
    let mut sql = Sql::new(
        "SELECT p.suppression_id, p.alert_id, a.kind, p.level, a.camera, p.cause, p.silence_id, p.inhibitor, \
         p.inhibitor_kind, p.since_us, p.until_us, p.ended, p.first_revision, p.last_revision, p.states \
         FROM suppression p JOIN alert a USING (alert_id) WHERE 1",
    );
    if query.only_lasting {
        sql.add(" AND p.until_us IS NULL", []);
    }
    if let Some(from) = query.from_unix_us {
        sql.add(" AND (p.until_us IS NULL OR p.until_us >= ?)", [from.into()]);
    }
    if let Some(to) = query.to_unix_us {
        sql.add(" AND p.since_us < ?", [to.into()]);
    }
    if let Some(by) = query.by {
        sql.add(" AND p.inhibitor = ? AND p.inhibitor <> ''", [by.to_string().into()]);
    }
    if let Some(before) = query.before_exclusive {
        sql.add(" AND p.suppression_id < ?", [int(before)]);
    }
    sql.filter(&query.filter, "p.level");
    sql.add(" ORDER BY p.suppression_id DESC LIMIT ?", [limit(query.limit).into()]);
    let rows = sql.all(db, |row| Ok((read_suppression(row)?, read_cause(row, 5)?)))?;
    let mut silences = BTreeMap::new();
    let mut all = Vec::with_capacity(rows.len());
    for (mut suppression, cause) in rows {
        suppression.cause = Some(match cause {
            Cause::Silence(id) => {
                let silence = match silences.entry(id) {
                    Entry::Vacant(entry) => entry.insert(one(db, id)?),
                    Entry::Occupied(entry) => entry.into_mut(),
                };
                v1::suppression::Cause::Silence(silence.clone())
            }
            Cause::Inhibition(alert, kind) => {
                v1::suppression::Cause::Inhibition(v1::Inhibition { alert_id: alert.to_string(), kind })
            }
            Cause::Flood(alert) => {
                let members = flood::members(db, alert)?;
                v1::suppression::Cause::Flood(v1::FloodGroup { alert_id: alert.to_string(), members })
            }
        });
        all.push(suppression);
    }
    Ok(all)
}

fn read_suppression(row: &Row<'_>) -> Result<v1::Suppression> {
    Ok(v1::Suppression {
        suppression_id: unsigned(row.get(0)?),
        alert_id: row.get(1)?,
        kind: row.get(2)?,
        level: row.get(3)?,
        camera_id: row.get(4)?,
        cause: None,
        since_unix_us: row.get(9)?,
        until_unix_us: row.get::<_, Option<i64>>(10)?.unwrap_or(0),
        end: row.get(11)?,
        first_revision: unsigned(row.get(12)?),
        last_revision: unsigned(row.get(13)?),
        states: unsigned(row.get(14)?),
    })
}

fn suppressed_among(db: &Connection, alerts: Vec<AlertId>) -> Result<Vec<AlertId>> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM alert a JOIN suppressed_state x ON x.seq = a.change_seq WHERE a.alert_id = ?1)",
    )?;
    let mut suppressed = Vec::new();
    for alert in alerts {
        if query.query_row([alert.to_string()], |row| row.get(0))? {
            suppressed.push(alert);
        }
    }
    Ok(suppressed)
}
