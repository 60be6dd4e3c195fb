//! Suppression: deciding about a state as it is stored, and showing what no reason holds back any more.

use std::sync::{Arc, atomic::Ordering};

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{
    alert::{Alert, Stage, StageTime},
    time::{Mono, Wall},
};
use xueliang_proto::v1::{self, SuppressionEnd};

use super::{
    super::FeedRow,
    Shared,
    convert::{alert_id, damaged, lane, level, limit, signed, unsigned},
    query::{Sql, int},
    silence,
    writer::Batch,
};
use crate::{
    error::Result,
    filter::Facts,
    inhibit::{self, Firing},
    silence::{Cause, Silence, decide},
};

/// Suppressed alerts looked at in one read, or released in one transaction.
const PAGE: usize = 256;
/// Alerts of one camera that may inhibit, looked at.
const MAX_SOURCES: i64 = 64;
/// Numbers of causes in the table.
pub(super) const BY_SILENCE: i32 = 1;
pub(super) const BY_ALERT: i32 = 2;
/// What the wall clock may be off by between two boots of the machine.
const WALL_UNCERTAINTY_US: u64 = 1_000_000;

/// A state to decide about.
pub(super) struct Subject<'a> {
    pub(super) id: &'a str,
    pub(super) revision: u64,
    pub(super) firing: bool,
    pub(super) facts: Facts<'a>,
}

/// A suppression that lasts.
#[derive(Debug, Clone, Copy)]
struct Lasting {
    id: i64,
    cause: Cause,
    shown_seq: i64,
}

/// Columns of [`read_lasting`], of `suppression p`.
const LASTING: &str = "p.suppression_id, p.shown_seq, p.cause, p.silence_id, p.inhibitor, p.inhibitor_kind";

fn read_lasting(row: &Row<'_>) -> Result<Lasting> {
    Ok(Lasting { id: row.get(0)?, shown_seq: row.get(1)?, cause: read_cause(row, 2)? })
}

/// A cause in four columns from `first` on.
pub(super) fn read_cause(row: &Row<'_>, first: usize) -> Result<Cause> {
    match row.get(first)? {
        BY_SILENCE => Ok(Cause::Silence(unsigned(row.get(first + 1)?))),
        BY_ALERT => Ok(Cause::Inhibition(alert_id(&row.get::<_, String>(first + 2)?)?, row.get(first + 3)?)),
        _ => Err(damaged("reason of a suppression")()),
    }
}

/// Decides about a state that is about to be stored, and keeps the decision: the suppression that it belongs to; `None`
/// when it is shown. `known_seq` is the place of the state before.
pub(super) fn consider(
    db: &Connection,
    subject: &Subject<'_>,
    known_seq: Option<i64>,
    now: Wall,
) -> Result<Option<i64>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {LASTING} FROM suppression p WHERE p.alert_id = ?1 AND p.until_us IS NULL"
    ))?;
    let mut rows = query.query([subject.id])?;
    let lasting = rows.next()?.map(read_lasting).transpose()?;
    let shown_seq = match (&lasting, known_seq) {
        (Some(lasting), _) => lasting.shown_seq,
        (None, Some(seq)) if !is_suppressed(db, seq)? => seq,
        (None, _) => 0,
    };
    // Whoever was shown an alert is shown its end.
    let cause = if !subject.firing && shown_seq > 0 {
        None
    } else {
        let silences = silence::active(db, now)?;
        cause_of(db, subject, &silences, now, lasting.map(|lasting| lasting.cause))?
    };
    let id = match (lasting, cause) {
        (Some(lasting), Some(cause)) if lasting.cause == cause => {
            extend(db, lasting.id, subject)?;
            Some(lasting.id)
        }
        (lasting, cause) => {
            if let Some(lasting) = lasting {
                let how = cause.map_or(SuppressionEnd::Shown, |_| SuppressionEnd::OtherCause);
                end(db, lasting.id, how, now)?;
            }
            cause.map(|cause| begin(db, subject, cause, shown_seq, now)).transpose()?
        }
    };
    if let Some(id) = id.filter(|_| !subject.firing) {
        end(db, id, SuppressionEnd::Resolved, now)?;
    }
    Ok(id)
}

/// Notes that the state at this place was not shown.
pub(super) fn keep(db: &Connection, seq: i64, suppression: i64) -> Result<()> {
    db.prepare_cached("INSERT INTO suppressed_state (seq, suppression_id) VALUES (?1, ?2)")?
        .execute([seq, suppression])?;
    Ok(())
}

fn is_suppressed(db: &Connection, seq: i64) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM suppressed_state WHERE seq = ?1)")?;
    Ok(query.query_row([seq], |row| row.get(0))?)
}

fn cause_of(
    db: &Connection,
    subject: &Subject<'_>,
    silences: &[Silence],
    now: Wall,
    before: Option<Cause>,
) -> Result<Option<Cause>> {
    let firing = sources(db, subject)?;
    Ok(decide(&subject.facts, now, silences, &firing, before))
}

/// Alerts of the same camera, or of what it hangs on, that fire, are shown, and may inhibit this one.
fn sources(db: &Connection, subject: &Subject<'_>) -> Result<Vec<Firing>> {
    let camera = subject.facts.camera;
    let mut all = Vec::new();
    for kind in inhibit::sources(&subject.facts) {
        let of_it = if inhibit::is_upstream(kind) {
            "a.alert_id IN (SELECT b.alert_id FROM camera_behind b WHERE b.camera = ?1)"
        } else {
            "a.camera = ?1"
        };
        let mut query = db.prepare_cached(&format!(
            "SELECT a.alert_id, a.level FROM alert a WHERE {of_it} AND a.kind = ?2 AND a.firing = 1 \
             AND a.alert_id <> ?3 AND NOT EXISTS (SELECT 1 FROM suppression p WHERE p.alert_id = a.alert_id \
             AND p.until_us IS NULL) LIMIT ?4",
        ))?;
        let mut rows = query.query(params![camera, kind, subject.id, MAX_SOURCES])?;
        while let Some(row) = rows.next()? {
            let alert = alert_id(&row.get::<_, String>(0)?)?;
            all.push(Firing { alert, kind, level: level(row.get(1)?)?, camera: camera.to_owned() });
        }
    }
    Ok(all)
}

fn begin(db: &Connection, subject: &Subject<'_>, cause: Cause, shown_seq: i64, now: Wall) -> Result<i64> {
    let (number, silence, inhibitor, kind) = match cause {
        Cause::Silence(silence) => (BY_SILENCE, silence, String::new(), 0),
        Cause::Inhibition(alert, kind) => (BY_ALERT, 0, alert.to_string(), kind),
    };
    db.prepare_cached(
        "INSERT INTO suppression (alert_id, level, cause, silence_id, inhibitor, inhibitor_kind, since_us, \
         first_revision, last_revision, states, shown_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 1, ?9)",
    )?
    .execute(params![
        subject.id,
        subject.facts.level.number(),
        number,
        signed(silence),
        inhibitor,
        kind,
        now.0,
        signed(subject.revision),
        shown_seq
    ])?;
    Ok(db.last_insert_rowid())
}

fn extend(db: &Connection, id: i64, subject: &Subject<'_>) -> Result<()> {
    db.prepare_cached(
        "UPDATE suppression SET last_revision = ?2, level = ?3, states = states + 1 WHERE suppression_id = ?1",
    )?
    .execute(params![id, signed(subject.revision), subject.facts.level.number()])?;
    Ok(())
}

fn end(db: &Connection, id: i64, how: SuppressionEnd, now: Wall) -> Result<()> {
    db.prepare_cached("UPDATE suppression SET until_us = ?2, ended = ?3 WHERE suppression_id = ?1")?
        .execute(params![id, now.0, i32::from(how)])?;
    Ok(())
}

/// An alert that is suppressed while it fires.
struct Held {
    lasting: Lasting,
    id: String,
    revision: u64,
    change_seq: i64,
    kind: i32,
    class: i32,
    level: u8,
    lane: i32,
    camera: String,
    path: String,
}

impl Held {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            lasting: read_lasting(row)?,
            id: row.get(6)?,
            revision: unsigned(row.get(7)?),
            change_seq: row.get(8)?,
            kind: row.get(9)?,
            class: row.get(10)?,
            level: row.get(11)?,
            lane: row.get(12)?,
            camera: row.get(13)?,
            path: row.get(14)?,
        })
    }
    fn subject(&self) -> Result<Subject<'_>> {
        let (path, camera) = (&self.path, &self.camera);
        let level = level(self.level)?;
        let facts = Facts { path, kind: self.kind, class: self.class, level, camera };
        Ok(Subject { id: &self.id, revision: self.revision, firing: true, facts })
    }
    /// The reason that holds now.
    fn cause(&self, db: &Connection, silences: &[Silence], now: Wall) -> Result<Option<Cause>> {
        cause_of(db, &self.subject()?, silences, now, Some(self.lasting.cause))
    }
}

fn held() -> Sql {
    Sql::new(format!(
        "SELECT {LASTING}, a.alert_id, a.revision, a.change_seq, a.kind, a.class, a.level, a.lane, a.camera, a.path \
         FROM suppression p JOIN alert a USING (alert_id) WHERE p.until_us IS NULL"
    ))
}

/// One page of suppressions that last: those whose reason no longer holds, and the last one where there may be more.
pub(super) fn releasable(db: &Connection, after: u64, now: Wall) -> Result<(Vec<u64>, Option<u64>)> {
    let mut sql = held();
    sql.add(" AND p.suppression_id > ? ORDER BY p.suppression_id LIMIT ?", [int(after), limit(PAGE).into()]);
    let page = sql.all(db, Held::read)?;
    let silences = silence::active(db, now)?;
    let mut due = Vec::new();
    for held in &page {
        if held.cause(db, &silences, now)? != Some(held.lasting.cause) {
            due.push(unsigned(held.lasting.id));
        }
    }
    let next = page.last().filter(|_| page.len() == PAGE).map(|held| unsigned(held.lasting.id));
    Ok((due, next))
}

/// Ends those of these suppressions whose reason no longer holds.
pub(super) fn release(db: &Connection, batch: &mut Batch<'_>, shared: &Shared, ids: &[u64]) -> Result<()> {
    let mut all = Vec::new();
    for id in ids {
        all.extend(held().add(" AND p.suppression_id = ?", [int(*id)]).all(db, Held::read)?);
    }
    end_all(db, batch, shared, all)
}

/// The same for all of a camera, where an alert that inhibits has ended.
pub(super) fn release_camera(
    db: &Connection,
    batch: &mut Batch<'_>,
    shared: &Shared,
    camera: &str,
) -> Result<()> {
    let mut sql = held();
    // What is beyond the page comes with the next look at all.
    sql.add(" AND a.firing = 1 AND a.camera = ? LIMIT ?", [camera.to_owned().into(), limit(PAGE).into()]);
    let all = sql.all(db, Held::read)?;
    end_all(db, batch, shared, all)
}

/// The same for all that one alert holds back, where it has ended: that of an upstream has those of many cameras.
pub(super) fn release_inhibited(
    db: &Connection,
    batch: &mut Batch<'_>,
    shared: &Shared,
    inhibitor: &str,
) -> Result<()> {
    let mut sql = held();
    // What is beyond the page comes with the next look at all.
    sql.add(
        " AND a.firing = 1 AND p.inhibitor = ? LIMIT ?",
        [inhibitor.to_owned().into(), limit(PAGE).into()],
    );
    let all = sql.all(db, Held::read)?;
    end_all(db, batch, shared, all)
}

/// Notes which cameras an alert stands for while it fires.
pub(super) fn note_behind(db: &Connection, alert: &Alert) -> Result<()> {
    let id = alert.id.to_string();
    db.prepare_cached("DELETE FROM camera_behind WHERE alert_id = ?1")?.execute([&id])?;
    let behind = alert.behind.iter().filter(|_| alert.state.is_firing());
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO camera_behind (camera, alert_id) VALUES (?1, ?2)")?;
    for camera in behind {
        insert.execute([camera.as_str(), &id])?;
    }
    Ok(())
}

fn end_all(db: &Connection, batch: &mut Batch<'_>, shared: &Shared, mut all: Vec<Held>) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let now = batch.wall();
    let silences = silence::active(db, now)?;
    // In the order in which they came.
    all.sort_by_key(|held| held.change_seq);
    for held in all {
        match held.cause(db, &silences, now)? {
            Some(cause) if cause == held.lasting.cause => {}
            Some(cause) => {
                end(db, held.lasting.id, SuppressionEnd::OtherCause, now)?;
                begin(db, &held.subject()?, cause, held.lasting.shown_seq, now)?;
            }
            None => show(db, batch, shared, &held)?,
        }
    }
    Ok(())
}

/// Gives the latest state of an alert a place in the feed.
fn show(db: &Connection, batch: &mut Batch<'_>, shared: &Shared, held: &Held) -> Result<()> {
    let (now, wall) = (batch.mono(), batch.wall());
    let mut query = db.prepare_cached(
        "SELECT content, identity, committed_us, committed_mono_ns, level FROM alert_state WHERE seq = ?1",
    )?;
    let state = query.query_row([held.change_seq], |row| {
        Ok((
            row.get::<_, Vec<u8>>(0)?,
            row.get::<_, Vec<u8>>(1)?,
            row.get::<_, i64>(2)?,
            Mono(unsigned(row.get(3)?)),
            row.get::<_, u8>(4)?,
        ))
    });
    let (content, identity, committed_us, committed, peak) =
        state.optional()?.ok_or_else(damaged("suppressed state"))?;
    let mut wire = v1::Alert::decode(content.as_slice()).map_err(|_| damaged("alert")())?;
    let stage = if unsigned(held.change_seq) > shared.boot_began.load(Ordering::Acquire) {
        StageTime::exact(Stage::Held, now.since(committed))
    } else {
        let passed = u64::try_from(wall.0.saturating_sub(committed_us)).unwrap_or(0);
        StageTime { stage: Stage::Held, duration_us: passed, uncertainty_us: WALL_UNCERTAINTY_US }
    };
    wire.stages.push((&stage).into());
    db.prepare_cached("INSERT INTO feed (lane, alert_id, committed_us) VALUES (?1, ?2, ?3)")?
        .execute(params![held.lane, held.id, wall.0])?;
    let seq = db.last_insert_rowid();
    db.prepare_cached(
        "INSERT INTO alert_state (seq, alert_id, revision, lane, level, identity, committed_us, \
         committed_mono_ns, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        seq,
        held.id,
        signed(held.revision),
        held.lane,
        peak,
        identity,
        wall.0,
        signed(now.0),
        wire.encode_to_vec()
    ])?;
    db.prepare_cached("UPDATE alert SET change_seq = ?2, committed_us = ?3 WHERE alert_id = ?1")?
        .execute(params![held.id, seq, wall.0])?;
    end(db, held.lasting.id, SuppressionEnd::Shown, wall)?;
    batch.rows.push(Arc::new(FeedRow {
        seq: unsigned(seq),
        lane: lane(held.lane)?,
        alert: alert_id(&held.id)?,
        kind: held.kind,
        class: held.class,
        level: level(peak)?,
        camera: held.camera.clone(),
        path: held.path.clone(),
        committed: now,
        record: v1::Record { alert: Some(wire), committed_unix_us: wall.0, lane: held.lane },
        encoded: std::sync::OnceLock::new(),
    }));
    Ok(())
}

#[cfg(test)]
mod tests;
