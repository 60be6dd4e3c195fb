//! Sinks: places, the share ledger, dead letters, and reports of other systems.

use std::sync::Arc;

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{id::AlertId, kind::Lane, time::Wall};
use xueliang_proto::v1;

use super::{
    super::{
        Answer, AuditEntry, FeedQuery, FeedRow, Page,
        sinks::{Fate, LetterQuery, Origin, Retry, Settlement, ShareQuery, SinkStore},
    },
    SqliteStore, cases,
    convert::{COLUMNS, damaged, feed_row, lane, limit, signed, unsigned},
    file,
    query::{self, Sql},
    rest::audit,
};
use crate::error::{Error, Result};

/// Reports about one alert.
const MAX_REPORTS: i64 = 1000;
const DEAD: i32 = v1::DeadLetterState::Dead as i32;
const RETRYING: i32 = v1::DeadLetterState::Retrying as i32;
const SETTLED: i32 = v1::DeadLetterState::Settled as i32;
const LETTER: &str =
    "SELECT letter_id, sink, alert_id, revision, fault, status, attempts, died_us, state FROM dead_letter";

fn known_place(db: &Connection, sink: &str) -> Result<Option<[u64; 3]>> {
    let mut query = db.prepare_cached("SELECT critical, major, minor FROM sink WHERE name = ?1")?;
    let place = query
        .query_row([sink], |row| Ok([unsigned(row.get(0)?), unsigned(row.get(1)?), unsigned(row.get(2)?)]));
    Ok(place.optional()?)
}

fn place(db: &Connection, sink: &str, now: Wall) -> Result<[u64; 3]> {
    if let Some(place) = known_place(db, sink)? {
        return Ok(place);
    }
    let head = file::head_of(db)?;
    db.prepare_cached(
        "INSERT INTO sink (name, critical, major, minor, since_us) VALUES (?1, ?2, ?2, ?2, ?3)",
    )?
    .execute(params![sink, signed(head), now.0])?;
    Ok([head; 3])
}

fn save_place(db: &Connection, sink: &str, place: [u64; 3]) -> Result<()> {
    let place = place.map(signed);
    db.prepare_cached(
        "UPDATE sink SET critical = max(critical, ?2), major = max(major, ?3), minor = max(minor, ?4) WHERE name = ?1",
    )?
    .execute(params![sink, place[0], place[1], place[2]])?;
    Ok(())
}

/// An entry of the share ledger.
pub(super) fn note_share(db: &Connection, sink: &str, share: &v1::Share) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO share (at_us, sink, alert_id, revision, status, content, size_bytes, attempt) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        share.at_unix_us,
        sink,
        share.alert_id,
        signed(share.revision),
        share.status,
        share.content,
        signed(share.size_bytes),
        share.attempt
    ])?;
    Ok(())
}

fn settle(db: &Connection, one: &Settlement, now: Wall) -> Result<()> {
    if let Some(share) = &one.share {
        note_share(db, &one.sink, share)?;
    }
    match (one.origin, one.fate) {
        (Origin::Lane(lane), fate) if fate != Fate::Waits => {
            let mut place = [0; 3];
            place[lane.index()] = one.seq;
            save_place(db, &one.sink, place)?;
            if let Fate::Dead { fault, status } = fate {
                db.prepare_cached(
                    "INSERT INTO dead_letter (sink, alert_id, revision, seq, fault, status, attempts, died_us, state) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    one.sink,
                    one.alert.to_string(),
                    signed(one.revision),
                    signed(one.seq),
                    i32::from(fault),
                    status,
                    one.attempts,
                    now.0,
                    DEAD
                ])?;
            }
        }
        (Origin::Letter(letter), Fate::Taken) => {
            db.prepare_cached("UPDATE dead_letter SET state = ?2, attempts = ?3 WHERE letter_id = ?1")?
                .execute(params![signed(letter), SETTLED, one.attempts])?;
        }
        (Origin::Letter(letter), Fate::Dead { fault, status }) => {
            db.prepare_cached(
                "UPDATE dead_letter SET state = ?2, attempts = ?3, fault = ?4, status = ?5, died_us = ?6 \
                 WHERE letter_id = ?1",
            )?
            .execute(params![
                signed(letter),
                DEAD,
                one.attempts,
                i32::from(fault),
                status,
                now.0
            ])?;
        }
        _ => {}
    }
    Ok(())
}

fn still_shared(db: &Connection, sink: &str, alert: AlertId) -> Result<bool> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM share WHERE alert_id = ?1 AND sink = ?2 AND content = ?3 \
         AND status BETWEEN 200 AND 299)",
    )?;
    let still = i32::from(v1::ShareContent::MetadataAndRedactedStill);
    Ok(query.query_row(params![alert.to_string(), sink, still], |row| row.get(0))?)
}

fn list_shares(db: &Connection, query: &ShareQuery) -> Result<Vec<v1::Share>> {
    let mut sql = Sql::new(
        "SELECT share_id, at_us, sink, alert_id, revision, status, content, size_bytes, attempt FROM share WHERE 1",
    );
    if let Some(alert) = query.alert {
        sql.add(" AND alert_id = ?", [alert.to_string().into()]);
    }
    if let Some(sink) = &query.sink {
        sql.add(" AND sink = ?", [sink.clone().into()]);
    }
    sql.add(
        " AND at_us >= ? AND at_us < ? AND share_id < ?",
        [
            query.from_us.into(),
            query.to_us.unwrap_or(i64::MAX).into(),
            query.before_exclusive.map_or(i64::MAX, signed).into(),
        ],
    );
    sql.about("share.alert_id", query.within.as_ref());
    sql.add(" ORDER BY share_id DESC LIMIT ?", [limit(query.limit).into()]).all(db, |row| {
        Ok(v1::Share {
            share_id: unsigned(row.get(0)?),
            at_unix_us: row.get(1)?,
            sink: row.get(2)?,
            alert_id: row.get(3)?,
            revision: unsigned(row.get(4)?),
            status: row.get(5)?,
            content: row.get(6)?,
            size_bytes: unsigned(row.get(7)?),
            attempt: row.get(8)?,
        })
    })
}

fn letter(row: &Row<'_>) -> rusqlite::Result<v1::DeadLetter> {
    Ok(v1::DeadLetter {
        letter_id: unsigned(row.get(0)?),
        sink: row.get(1)?,
        alert_id: row.get(2)?,
        revision: unsigned(row.get(3)?),
        fault: row.get(4)?,
        status: row.get(5)?,
        attempts: row.get(6)?,
        died_unix_us: row.get(7)?,
        state: row.get(8)?,
    })
}

fn list_letters(db: &Connection, query: &LetterQuery) -> Result<Vec<v1::DeadLetter>> {
    let mut sql = Sql::new(format!("{LETTER} WHERE 1"));
    if let Some(sink) = &query.sink {
        sql.add(" AND sink = ?", [sink.clone().into()]);
    }
    if !query.with_settled {
        sql.add(&format!(" AND state <> {SETTLED}"), []);
    }
    let before = query.before_exclusive.map_or(i64::MAX, signed);
    sql.add(" AND letter_id < ?", [before.into()]);
    sql.about("dead_letter.alert_id", query.within.as_ref());
    sql.add(" ORDER BY letter_id DESC LIMIT ?", [limit(query.limit).into()]).all(db, |row| Ok(letter(row)?))
}

fn retry_letters(db: &Connection, sink: &str, ids: &[u64], principal: &str, now: Wall) -> Result<u64> {
    let retry = "UPDATE dead_letter SET state = ?1 WHERE sink = ?2 AND state = ?3";
    let count = if ids.is_empty() {
        db.prepare_cached(retry)?.execute(params![RETRYING, sink, DEAD])?
    } else {
        let mut one = db.prepare_cached(&format!("{retry} AND letter_id = ?4"))?;
        ids.iter().try_fold(0, |count, id| {
            Ok::<_, rusqlite::Error>(count + one.execute(params![RETRYING, sink, DEAD, signed(*id)])?)
        })?
    };
    let subject = if ids.is_empty() { format!("{sink}: all") } else { format!("{sink}: {ids:?}") };
    audit(db, &AuditEntry { principal: principal.to_owned(), action: "retry-dead-letters", subject }, now)?;
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

fn next_retry(db: &Connection, sink: &str) -> Result<Option<Retry>> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, d.letter_id, d.attempts FROM dead_letter d JOIN alert_state s ON s.seq = d.seq \
         JOIN alert a ON a.alert_id = s.alert_id WHERE d.sink = ?1 AND d.state = {RETRYING} \
         ORDER BY d.letter_id LIMIT 1"
    ))?;
    let mut rows = select.query([sink])?;
    let retry = |row: &Row<'_>| {
        Ok(Retry { letter: unsigned(row.get(11)?), attempts: row.get(12)?, row: feed_row(row)? })
    };
    rows.next()?.map(retry).transpose()
}

fn report(
    db: &Connection,
    rules: &cases::Rules,
    mut state: v1::ExternalState,
    key: &str,
    now: Wall,
) -> Result<(v1::ExternalState, bool)> {
    let mut kept =
        db.prepare_cached("SELECT content FROM external_state WHERE principal = ?1 AND key = ?2")?;
    let kept: Option<Vec<u8>> = kept.query_row([&state.principal, key], |row| row.get(0)).optional()?;
    if let Some(kept) = kept {
        let kept = v1::ExternalState::decode(kept.as_slice()).map_err(|_| damaged("external state")())?;
        state.reported_unix_us = kept.reported_unix_us;
        if state == kept {
            return Ok((kept, true));
        }
        return Err(Error::Conflict(format!(
            "idempotency_key: {key:?} stands for another report: use a new key for a new report"
        )));
    }
    let alert: AlertId =
        state.alert_id.parse().map_err(|fault| Error::Invalid(format!("alert_id: {fault}")))?;
    if !query::exists(db, alert)? {
        return Err(Error::NotFound(format!("there is no alert {alert}")));
    }
    let mut count = db.prepare_cached("SELECT count(*) FROM external_state WHERE alert_id = ?1")?;
    let count: i64 = count.query_row([&state.alert_id], |row| row.get(0))?;
    if count >= MAX_REPORTS {
        // Not `Exhausted`: the disk is not to blame, nor is anybody else whose states are committed with this.
        return Err(Error::Conflict(format!("alert {alert} has {count} reports, no more are kept")));
    }
    state.reported_unix_us = now.0;
    db.prepare_cached(
        "INSERT INTO external_state (principal, key, alert_id, content) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![state.principal, key, state.alert_id, state.encode_to_vec()])?;
    cases::hear_of(db, rules, alert, &state, now)?;
    let subject = format!("{} {} {}", state.alert_id, state.system, state.stage().as_str_name());
    audit(db, &AuditEntry { principal: state.principal.clone(), action: "external-state", subject }, now)?;
    Ok((state, false))
}

fn list_external(db: &Connection, alert: AlertId) -> Result<Vec<v1::ExternalState>> {
    let mut select = db.prepare_cached(
        "SELECT content FROM external_state WHERE alert_id = ?1 ORDER BY report_id LIMIT ?2",
    )?;
    let mut rows = select.query(params![alert.to_string(), MAX_REPORTS])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let content: Vec<u8> = row.get(0)?;
        all.push(v1::ExternalState::decode(content.as_slice()).map_err(|_| damaged("external state")())?);
    }
    Ok(all)
}

impl SinkStore for SqliteStore {
    fn sink_place(&self, sink: String) -> Answer<[u64; 3]> {
        self.write(move |db, batch| place(db, &sink, batch.wall()))
    }
    fn save_sink_place(&self, sink: String, place: [u64; 3]) -> Answer<()> {
        self.write(move |db, _| save_place(db, &sink, place))
    }
    fn record_page(&self, query: FeedQuery) -> Answer<Page<Arc<FeedRow>>> {
        self.catch_up(move |db| query::record_page(db, &query))
    }
    fn lane_of(&self, alert: AlertId) -> Answer<Option<Lane>> {
        self.catch_up(move |db| {
            let mut select = db.prepare_cached("SELECT lane FROM alert WHERE alert_id = ?1")?;
            let number = select.query_row([alert.to_string()], |row| row.get(0)).optional()?;
            number.map(lane).transpose()
        })
    }
    fn settle(&self, settlement: Settlement) -> Answer<()> {
        self.write(move |db, batch| settle(db, &settlement, batch.wall()))
    }
    fn still_shared(&self, sink: String, alert: AlertId) -> Answer<bool> {
        self.catch_up(move |db| still_shared(db, &sink, alert))
    }
    fn list_shares(&self, query: ShareQuery) -> Answer<Vec<v1::Share>> {
        self.read(move |db| list_shares(db, &query))
    }
    fn list_letters(&self, query: LetterQuery) -> Answer<Vec<v1::DeadLetter>> {
        self.read(move |db| list_letters(db, &query))
    }
    fn dead_letters(&self, sink: String) -> Answer<u64> {
        self.read(move |db| {
            let mut count =
                db.prepare_cached("SELECT count(*) FROM dead_letter WHERE sink = ?1 AND state = ?2")?;
            Ok(unsigned(count.query_row(params![sink, DEAD], |row| row.get(0))?))
        })
    }
    fn retry_letters(&self, sink: String, ids: Vec<u64>, principal: String) -> Answer<u64> {
        self.write(move |db, batch| retry_letters(db, &sink, &ids, &principal, batch.wall()))
    }
    fn next_retry(&self, sink: String) -> Answer<Option<Retry>> {
        self.catch_up(move |db| next_retry(db, &sink))
    }
    fn report_external(&self, state: v1::ExternalState, key: String) -> Answer<(v1::ExternalState, bool)> {
        let known = cases::KnownRules::of(self);
        self.write(move |db, batch| {
            report(db, &known.within(db)?, state, &key, batch.wall()).map_err(cases::alone)
        })
    }
    fn list_external(&self, alert: AlertId) -> Answer<Vec<v1::ExternalState>> {
        self.read(move |db| list_external(db, alert))
    }
}
