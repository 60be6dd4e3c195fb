//! Suppression: deciding about a state as it is stored, and showing what no reason holds back any more.

use std::sync::{Arc, atomic::Ordering};

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{
    alert::{Alert, Place, Stage, StageTime},
    time::{Mono, Wall},
};
use xueliang_proto::v1::{self, SuppressionEnd};

use super::{
    super::FeedRow,
    Shared, cases,
    convert::{alert_id, damaged, lane, level, limit, signed, unsigned},
    flood,
    query::{Sql, int},
    writer::Batch,
};
use crate::{
    error::Result,
    filter::Facts,
    flood::{PUBLISHER, group_of, may_join},
    inhibit::{self, Firing},
    silence::{Cause, Reasons, decide},
};

/// Suppressed alerts looked at in one read, or released in one transaction.
const PAGE: usize = 256;
/// Alerts of one camera that may inhibit, looked at.
const MAX_SOURCES: i64 = 64;
/// Numbers of causes in the table.
pub(super) const BY_SILENCE: i32 = 1;
pub(super) const BY_ALERT: i32 = 2;
pub(super) const BY_FLOOD: i32 = 3;
/// What the wall clock may be off by between two boots of the machine.
const WALL_UNCERTAINTY_US: u64 = 1_000_000;

/// A state to decide about.
pub(super) struct Subject<'a> {
    pub(super) id: &'a str,
    pub(super) revision: u64,
    pub(super) firing: bool,
    /// It was shown as volatile, or an earlier state was.
    pub(super) told: bool,
    pub(super) publisher: &'a str,
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
        BY_FLOOD => Ok(Cause::Flood(alert_id(&row.get::<_, String>(first + 2)?)?)),
        _ => Err(damaged("reason of a suppression")()),
    }
}

/// Decides about a state that is about to be stored, and keeps the decision: the suppression that it belongs to; `None`
/// when it is shown. `known_seq` is the place of the state before.
pub(super) fn consider(
    db: &Connection,
    batch: &mut Batch<'_>,
    shared: &Shared,
    subject: &Subject<'_>,
    place: &Place,
    known_seq: Option<i64>,
) -> Result<Option<i64>> {
    let now = batch.wall();
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
    let cause = if subject.told || (!subject.firing && shown_seq > 0) {
        None
    } else {
        let before = lasting.map(|lasting| lasting.cause);
        why(db, batch, shared, subject, shown_seq, before, || Ok(place.clone()))?
    };
    let id = match (lasting, cause) {
        (Some(lasting), Some(cause)) if lasting.cause == cause => {
            extend(db, &lasting, subject)?;
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

/// Why an alert is not shown. One that would be shown first is counted, and may begin a flood group.
fn why(
    db: &Connection,
    batch: &mut Batch<'_>,
    shared: &Shared,
    subject: &Subject<'_>,
    shown_seq: i64,
    before: Option<Cause>,
    place: impl FnOnce() -> Result<Place>,
) -> Result<Option<Cause>> {
    let reasons = batch.reasons(db)?;
    let cause = cause_of(db, &reasons, subject, shown_seq, batch.wall(), before)?;
    match cause {
        Some(Cause::Flood(group)) if before != cause => {
            flood::came(db, batch, shared, &reasons, group)?;
            Ok(cause)
        }
        None if is_new(db, subject, shown_seq, before)? => {
            Ok(flood::arrive(db, batch, shared, subject, place)?.map(Cause::Flood))
        }
        _ => Ok(cause),
    }
}

/// Whether an alert may come to a flood group: nobody was shown it, and it has been in none.
fn is_new(db: &Connection, subject: &Subject<'_>, shown_seq: i64, before: Option<Cause>) -> Result<bool> {
    if shown_seq != 0 || !may_join(&subject.facts, subject.publisher) {
        return Ok(false);
    }
    match before {
        None => Ok(true),
        Some(Cause::Flood(_)) => Ok(false),
        // Another reason took over when its group had ended.
        Some(_) => {
            let sql = "SELECT EXISTS (SELECT 1 FROM suppression WHERE alert_id = ?1 AND cause = ?2)";
            let was: bool =
                db.prepare_cached(sql)?.query_row(params![subject.id, BY_FLOOD], |row| row.get(0))?;
            Ok(!was)
        }
    }
}

fn cause_of(
    db: &Connection,
    reasons: &Reasons,
    subject: &Subject<'_>,
    shown_seq: i64,
    now: Wall,
    before: Option<Cause>,
) -> Result<Option<Cause>> {
    let firing = sources(db, subject)?;
    let group = match before {
        Some(Cause::Flood(group)) => {
            let lasts = reasons.floods.iter().any(|one| one.alert == group);
            (lasts && may_join(&subject.facts, subject.publisher)).then_some(group)
        }
        _ if is_new(db, subject, shown_seq, before)? => group_of(&reasons.floods, &subject.facts),
        _ => None,
    };
    Ok(decide(&subject.facts, now, &reasons.silences, &firing, group, before))
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
             AND a.alert_id <> ?3 AND a.publisher <> ?5 AND a.drill = 0 AND NOT EXISTS (SELECT 1 FROM suppression p \
             WHERE p.alert_id = a.alert_id AND p.until_us IS NULL) LIMIT ?4",
        ))?;
        let mut rows = query.query(params![camera, kind, subject.id, MAX_SOURCES, PUBLISHER])?;
        while let Some(row) = rows.next()? {
            let alert = alert_id(&row.get::<_, String>(0)?)?;
            all.push(Firing { alert, kind, level: level(row.get(1)?)?, camera: camera.to_owned() });
        }
    }
    Ok(all)
}

/// The cameras behind an upstream that is down.
fn behind(db: &Connection, alert: &str) -> Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT camera FROM camera_behind WHERE alert_id = ?1")?;
    let cameras = query.query_map([alert], |row| row.get(0))?;
    Ok(cameras.collect::<rusqlite::Result<_>>()?)
}

/// All alerts that fire, are shown, and may inhibit others.
pub(super) fn inhibitors(db: &Connection) -> Result<Vec<Firing>> {
    let mut query = db.prepare(
        "SELECT a.alert_id, a.kind, a.level, a.camera FROM alert a WHERE a.firing = 1 AND a.publisher <> ?1 \
         AND a.drill = 0 \
         AND NOT EXISTS (SELECT 1 FROM suppression p WHERE p.alert_id = a.alert_id AND p.until_us IS NULL)",
    )?;
    let mut rows = query.query([PUBLISHER])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let kind = row.get(1)?;
        if inhibit::may_inhibit(kind) {
            let id: String = row.get(0)?;
            let (alert, level) = (alert_id(&id)?, level(row.get(2)?)?);
            let cameras = if inhibit::is_upstream(kind) { behind(db, &id)? } else { vec![row.get(3)?] };
            all.extend(cameras.into_iter().map(|camera| Firing { alert, kind, level, camera }));
        }
    }
    Ok(all)
}

fn begin(db: &Connection, subject: &Subject<'_>, cause: Cause, shown_seq: i64, now: Wall) -> Result<i64> {
    let (number, silence, inhibitor, kind) = match cause {
        Cause::Silence(silence) => (BY_SILENCE, silence, String::new(), 0),
        Cause::Inhibition(alert, kind) => (BY_ALERT, 0, alert.to_string(), kind),
        Cause::Flood(alert) => (BY_FLOOD, 0, alert.to_string(), 0),
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
    let id = db.last_insert_rowid();
    if let Cause::Flood(group) = cause {
        flood::note(db, group, 1, subject.facts.level)?;
    }
    Ok(id)
}

fn extend(db: &Connection, lasting: &Lasting, subject: &Subject<'_>) -> Result<()> {
    db.prepare_cached(
        "UPDATE suppression SET last_revision = ?2, level = ?3, states = states + 1 WHERE suppression_id = ?1",
    )?
    .execute(params![lasting.id, signed(subject.revision), subject.facts.level.number()])?;
    if let Cause::Flood(group) = lasting.cause {
        flood::note(db, group, 0, subject.facts.level)?;
    }
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
    publisher: String,
    drill: bool,
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
            publisher: row.get(15)?,
            drill: row.get(16)?,
        })
    }
    fn subject(&self) -> Result<Subject<'_>> {
        let (path, camera) = (&self.path, &self.camera);
        let level = level(self.level)?;
        let facts = Facts { path, kind: self.kind, class: self.class, level, camera, drill: self.drill };
        let publisher = &self.publisher;
        Ok(Subject { id: &self.id, revision: self.revision, firing: true, told: false, publisher, facts })
    }
    /// The reason that holds now.
    fn cause(&self, db: &Connection, reasons: &Reasons, now: Wall) -> Result<Option<Cause>> {
        let Lasting { cause, shown_seq, .. } = self.lasting;
        cause_of(db, reasons, &self.subject()?, shown_seq, now, Some(cause))
    }
}

fn held() -> Sql {
    Sql::new(format!(
        "SELECT {LASTING}, a.alert_id, a.revision, a.change_seq, a.kind, a.class, a.level, a.lane, a.camera, a.path, \
         a.publisher, a.drill FROM suppression p JOIN alert a USING (alert_id) WHERE p.until_us IS NULL"
    ))
}

/// One page of suppressions that last: those whose reason no longer holds, and the last one where there may be more.
pub(super) fn releasable(
    db: &Connection,
    reasons: &Reasons,
    after: u64,
    now: Wall,
) -> Result<(Vec<u64>, Option<u64>)> {
    let mut sql = held();
    // Of the members of a flood that lasts there may be thousands, and none is due.
    sql.add(
        " AND NOT (p.cause = ? AND EXISTS (SELECT 1 FROM flood f WHERE f.alert_id = p.inhibitor AND f.until_us IS NULL))",
        [BY_FLOOD.into()],
    );
    sql.add(" AND p.suppression_id > ? ORDER BY p.suppression_id LIMIT ?", [int(after), limit(PAGE).into()]);
    let page = sql.all(db, Held::read)?;
    let mut due = Vec::new();
    for held in &page {
        if held.cause(db, reasons, now)? != Some(held.lasting.cause) {
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
    // In the order in which they came.
    all.sort_by_key(|held| held.change_seq);
    for held in all {
        let Lasting { cause: before, shown_seq, id } = held.lasting;
        let subject = held.subject()?;
        let place = || Ok(flood::state_at(db, held.change_seq)?.place);
        match why(db, batch, shared, &subject, shown_seq, Some(before), place)? {
            Some(cause) if cause == before => {}
            Some(cause) => {
                end(db, id, SuppressionEnd::OtherCause, now)?;
                begin(db, &subject, cause, shown_seq, now)?;
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
    cases::wait(db, &held.id, wall.0)?;
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
