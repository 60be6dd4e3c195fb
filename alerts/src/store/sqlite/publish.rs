//! Storing one state: who knows it already, what lane it takes, and its rows.

use std::sync::{Arc, OnceLock, atomic::Ordering};

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use xueliang_base::{
    alert::{Alert, Sha256, Stage, StageTime},
    kind::{Kind, Level},
    time::{Mono, micros},
};
use xueliang_proto::v1;

use super::{
    super::{FeedRow, Incoming, Outcome},
    Shared, cases,
    convert::{lane, lane_number, level, signed, unsigned},
    suppression::{self, Subject},
    writer::Batch,
};
use crate::{
    error::Result,
    external,
    filter::Facts,
    inhibit::{is_upstream, may_inhibit},
    reach::path_of,
};

/// What is known of an alert.
struct Known {
    revision: u64,
    change_seq: i64,
    kind: i32,
    camera: String,
    lane: i32,
    level: u8,
    path: String,
    publisher: String,
    /// Its case waits to be touched.
    waits: bool,
}

/// Content that two sendings of one state share: what the publisher said, less what each sending adds.
fn identity(alert: &v1::Alert) -> Sha256 {
    let mut said = alert.clone();
    said.publisher.clear();
    if said.explanation.as_ref().is_some_and(|why| why.rule == external::RULE) {
        // The publisher names the place; what else is known of it is of the configuration that was in force.
        said.place = said.place.map(|place| v1::Place {
            camera_id: place.camera_id,
            zone: place.zone,
            ..v1::Place::default()
        });
        said.explanation = said
            .explanation
            .map(|why| v1::Explanation { thresholds: why.thresholds, ..v1::Explanation::default() });
    }
    said.stages.retain(|time| {
        use v1::Stage::{Commit, Deliver, Held, Hop, Spool};
        !matches!(time.stage(), Spool | Hop | Commit | Held | Deliver)
    });
    Sha256::of(&said.encode_to_vec())
}

pub(super) fn store(
    db: &Connection,
    batch: &mut Batch<'_>,
    shared: &Shared,
    incoming: &Incoming,
) -> Result<Outcome> {
    let alert = &incoming.alert;
    let id = alert.id.to_string();
    let mut wire = v1::Alert::from(alert);
    let identity = identity(&wire);
    let known = known(db, &id)?;
    if let Some(known) = &known
        && let Some(outcome) = judge(db, known, &wire, identity)?
    {
        match outcome {
            Outcome::Stale => shared.stale.fetch_add(1, Ordering::Relaxed),
            Outcome::Conflict(_) => shared.conflicts.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        return Ok(outcome);
    }

    let waits = known.as_ref().map(|known| known.waits);
    let rises = known.as_ref().is_some_and(|known| alert.level.number() < known.level);
    // The urgency of an alert only grows: its end travels the lane that its worst state travelled.
    let mut peak = alert.level;
    let mut lane_now = alert.level.lane();
    if let Some(known) = &known {
        peak = peak.min(level(known.level)?);
        lane_now = lane_now.min(lane(known.lane)?);
    }
    let now = batch.mono();
    wire.stages.push((&commit_stage(incoming, now, batch)).into());
    let committed_us = batch.wall().0;
    let (kind, class) = (wire.kind, wire.kind_class);
    // Whoever was told of an alert is told of its end: its place among the divisions is the one it was raised in.
    let known_seq = known.as_ref().map(|known| known.change_seq);
    let path = known.map_or_else(|| path_of(alert), |known| known.path);
    let camera = alert.place.camera.as_str();
    let subject = Subject {
        id: &id,
        revision: wire.revision,
        firing: alert.state.is_firing(),
        told: incoming.told,
        publisher: &alert.publisher,
        facts: Facts { path: &path, kind, class, level: peak, camera, drill: alert.drill },
    };
    let suppressed = suppression::consider(db, batch, shared, &subject, &alert.place, known_seq)?;
    let lane_number = lane_number(lane_now);

    db.prepare_cached("INSERT INTO feed (lane, alert_id, committed_us) VALUES (?1, ?2, ?3)")?
        .execute(params![lane_number, id, committed_us])?;
    let seq = db.last_insert_rowid();
    if suppressed.is_some() {
        // The place is taken, and nothing is told there.
        db.prepare_cached("DELETE FROM feed WHERE seq = ?1")?.execute([seq])?;
    }
    db.prepare_cached(
        "INSERT INTO alert_state (seq, alert_id, revision, lane, level, identity, committed_us, \
         committed_mono_ns, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        seq,
        id,
        signed(wire.revision),
        lane_number,
        peak.number(),
        identity.0.as_slice(),
        committed_us,
        signed(now.0),
        wire.encode_to_vec()
    ])?;
    let shown = suppressed.is_none();
    // For lists of cases; of an alert that is known, they stand there.
    let origin = match waits {
        None => Some((cases::facts::place(db, camera, &path)?, cases::facts::source(db, &wire)?)),
        Some(_) => None,
    };
    upsert(db, alert, (seq, committed_us), peak, lane_number, (&path, origin), shown)?;
    if shown && waits == Some(false) {
        cases::wait(db, &id, committed_us)?;
    }
    if rises {
        cases::look_again(db, &id)?;
    }
    if waits.is_some() && !alert.state.is_firing() {
        cases::look_at_the_end(db, &id, committed_us)?;
    }
    if is_upstream(kind) {
        suppression::note_behind(db, alert)?;
    }
    if let Some(suppression) = suppressed {
        suppression::keep(db, seq, suppression)?;
        return Ok(Outcome::Committed(unsigned(seq)));
    }
    batch.rows.push(Arc::new(FeedRow {
        seq: unsigned(seq),
        lane: lane_now,
        alert: alert.id,
        kind,
        class,
        level: peak,
        camera: alert.place.camera.to_string(),
        path,
        committed: now,
        record: v1::Record { alert: Some(wire), committed_unix_us: committed_us, lane: lane_number },
        encoded: OnceLock::new(),
    }));
    if !alert.state.is_firing() && is_upstream(kind) {
        suppression::release_inhibited(db, batch, shared, &id)?;
    } else if !alert.state.is_firing() && may_inhibit(kind) {
        suppression::release_camera(db, batch, shared, camera)?;
    }
    Ok(Outcome::Committed(unsigned(seq)))
}

fn known(db: &Connection, id: &str) -> Result<Option<Known>> {
    let mut query = db.prepare_cached(
        "SELECT revision, kind, camera, lane, level, path, publisher, change_seq, \
         untouched_us IS NOT NULL FROM alert WHERE alert_id = ?1",
    )?;
    let known = query.query_row([id], |row| {
        Ok(Known {
            revision: unsigned(row.get(0)?),
            kind: row.get(1)?,
            camera: row.get(2)?,
            lane: row.get(3)?,
            level: row.get(4)?,
            path: row.get(5)?,
            publisher: row.get(6)?,
            change_seq: row.get(7)?,
            waits: row.get(8)?,
        })
    });
    Ok(known.optional()?)
}

/// Why a state of a known alert is not stored; `None` when it is.
fn judge(db: &Connection, known: &Known, wire: &v1::Alert, identity: Sha256) -> Result<Option<Outcome>> {
    // Before anything is said about what is stored: it is nobody else's to know.
    if known.publisher != wire.publisher {
        return Ok(Some(Outcome::Invalid(format!(
            "alert {} belongs to another publisher: only the one that raised it may change or resolve it; publish what \
             you see as an alert of your own",
            wire.alert_id
        ))));
    }
    let mut query =
        db.prepare_cached("SELECT identity FROM alert_state WHERE alert_id = ?1 AND revision = ?2")?;
    let stored: Option<Vec<u8>> =
        query.query_row(params![wire.alert_id, signed(wire.revision)], |row| row.get(0)).optional()?;
    if let Some(stored) = stored {
        return Ok(Some(if stored == identity.0 {
            Outcome::Duplicate
        } else {
            Outcome::Conflict(format!(
                "revision {} of alert {} is on disk with other content: a state never changes, publish the next \
                 revision",
                wire.revision, wire.alert_id
            ))
        }));
    }
    if wire.revision < known.revision {
        return Ok(Some(Outcome::Stale));
    }
    let camera = wire.place.as_ref().map_or("", |place| place.camera_id.as_str());
    if known.kind != wire.kind || known.camera != camera {
        let kind = Kind::from_number(known.kind).map_or_else(|| known.kind.to_string(), String::from);
        return Ok(Some(Outcome::Invalid(format!(
            "alert {} is a {kind} of camera {}: publish another place or kind as another alert",
            wire.alert_id, known.camera
        ))));
    }
    Ok(None)
}

/// As it is written, the commit stage ends with the row: how long the disk then takes is known only afterwards, so the
/// duration of the commit before stands as its uncertainty. Delivery out of the store is measured from the same moment.
fn commit_stage(incoming: &Incoming, now: Mono, batch: &Batch<'_>) -> StageTime {
    StageTime {
        stage: Stage::Commit,
        duration_us: micros(now.since(incoming.received)),
        uncertainty_us: batch.last_commit_us,
    }
}

/// A row that is on disk now: what is delivered at once says exactly when.
pub(super) fn settle(row: &mut FeedRow, now: Mono) {
    let stages = row.record.alert.as_mut().map(|alert| &mut alert.stages);
    let last = |all: &mut Vec<v1::StageTime>| {
        all.iter().rposition(|time| matches!(time.stage(), v1::Stage::Commit | v1::Stage::Held))
    };
    if let Some(all) = stages
        && let Some(commit) = last(all).and_then(|last| all.get_mut(last))
    {
        commit.duration_us = commit.duration_us.saturating_add(micros(now.since(row.committed)));
        if commit.stage() == v1::Stage::Commit {
            commit.uncertainty_us = 0;
        }
        row.committed = now;
    }
}

fn upsert(
    db: &Connection,
    alert: &Alert,
    (seq, committed_us): (i64, i64),
    peak: Level,
    lane: i32,
    (path, origin): (&str, Option<(i64, Option<i64>)>),
    shown: bool,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO alert (alert_id, revision, change_seq, kind, class, level, lane, firing, camera, path, \
         publisher, committed_us, untouched_us, place, source, drill) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
         ON CONFLICT (alert_id) DO UPDATE SET revision = ?2, change_seq = ?3, level = ?6, lane = ?7, \
         firing = ?8, committed_us = ?12",
    )?
    .execute(params![
        alert.id.to_string(),
        signed(alert.revision.0),
        seq,
        alert.kind.number(),
        i32::from(v1::KindClass::from(alert.kind.class())),
        peak.number(),
        lane,
        alert.state.is_firing(),
        alert.place.camera.as_str(),
        path,
        alert.publisher,
        committed_us,
        shown.then_some(committed_us),
        origin.map(|(place, _)| place),
        origin.and_then(|(_, source)| source),
        alert.drill,
    ])?;
    Ok(())
}
