//! The audit of deliveries, in stretches of the feed.

use std::collections::BTreeMap;

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use xueliang_base::{id::AlertId, kind::Lane, time::Wall};
use xueliang_proto::v1::{self, DeliveryStage};

use super::{
    super::{Delivered, DeliveryNote, Reached, Reader},
    convert::{damaged, lane, lane_number, level, signed, unsigned},
};
use crate::{
    error::Result,
    filter::{Facts, Filter},
};

/// Stretches that follow one another within this become one: a moment is then known no better.
const MERGE_US: i64 = 10_000_000;
/// States looked at where any will do: so many of the first, and of the last.
const EITHER_END: usize = 16;
/// Stretches deleted in one transaction.
const TRIM_ROWS: i64 = 5_000;

pub(super) fn save(db: &Connection, notes: &[DeliveryNote]) -> Result<()> {
    notes.iter().try_for_each(|note| {
        let reader = reader_id(db, &note.reader)?;
        if note.snapshot { save_snapshot(db, reader, note) } else { save_rows(db, reader, note) }
    })
}

fn reader_id(db: &Connection, reader: &Reader) -> Result<i64> {
    let mut find = db.prepare_cached(
        "SELECT reader_id FROM delivery_reader WHERE principal = ?1 AND name = ?2 AND mark = ?3",
    )?;
    let known = find
        .query_row(params![reader.principal, reader.subscription, reader.mark.0], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let (filter, within) = reader.filter.stored();
    db.prepare_cached(
        "INSERT INTO delivery_reader (principal, name, mark, filter, within) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        reader.principal,
        reader.subscription,
        reader.mark.0,
        filter.encode_to_vec(),
        within
    ])?;
    Ok(db.last_insert_rowid())
}

fn insert(db: &Connection, reader: i64, note: &DeliveryNote, (after, upto): (i64, i64)) -> Result<()> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO delivery_range (reader_id, stage, snapshot, lane, after_seq, upto_seq, from_us, to_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        reader,
        i32::from(note.stage),
        note.snapshot,
        lane_number(note.lane),
        after,
        upto,
        note.from.0,
        note.to.0
    ])?;
    Ok(())
}

/// The first time counts.
fn save_snapshot(db: &Connection, reader: i64, note: &DeliveryNote) -> Result<()> {
    insert(db, reader, note, (0, signed(note.upto_inclusive)))
}

/// What is known of the stretch already stays: the first time counts. The rest extends what ends where it begins.
fn save_rows(db: &Connection, reader: i64, note: &DeliveryNote) -> Result<()> {
    let (mut after, upto) = (signed(note.after_exclusive), signed(note.upto_inclusive));
    let mut query = db.prepare_cached(
        "SELECT range_id, after_seq, upto_seq, from_us FROM delivery_range WHERE reader_id = ?1 AND stage = ?2 \
         AND snapshot = 0 AND lane = ?3 AND upto_seq >= ?4 ORDER BY upto_seq",
    )?;
    let stage = i32::from(note.stage);
    let mut rows = query.query(params![reader, stage, lane_number(note.lane), after])?;
    let mut before: Option<(i64, i64)> = None;
    let mut missing = Vec::new();
    while let Some(row) = rows.next()? {
        let (known_after, known_upto): (i64, i64) = (row.get(1)?, row.get(2)?);
        if known_after >= upto {
            break;
        }
        if known_after > after {
            missing.push((after, known_after));
        }
        after = known_upto;
        before = Some((row.get(0)?, row.get(3)?));
        if after >= upto {
            break;
        }
    }
    drop(rows);
    for stretch in missing {
        insert(db, reader, note, stretch)?;
    }
    if after >= upto {
        return Ok(());
    }
    match before.filter(|(_, from)| (0..=MERGE_US).contains(&(note.to.0 - from))) {
        Some((id, _)) => {
            db.prepare_cached(
                "UPDATE delivery_range SET upto_seq = ?2, to_us = max(to_us, ?3) WHERE range_id = ?1",
            )?
            .execute(params![id, upto, note.to.0])?;
            Ok(())
        }
        None => insert(db, reader, note, (after, upto)),
    }
}

/// By stage: between which moments it was reached first.
type Times = [Option<(i64, i64)>; STAGES.len()];

/// A state of the alert.
struct State {
    seq: i64,
    lane: Lane,
    level: xueliang_base::kind::Level,
    firing: bool,
    /// Place and commit of the state after it.
    next: Option<(i64, i64)>,
}

struct About {
    kind: i32,
    class: i32,
    camera: String,
    path: String,
    drill: bool,
}

fn about(db: &Connection, alert: &str) -> Result<Option<About>> {
    let mut query =
        db.prepare_cached("SELECT kind, class, camera, path, drill FROM alert WHERE alert_id = ?1")?;
    let about = query.query_row([alert], |row| {
        let (kind, class, camera) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(About { kind, class, camera, path: row.get(3)?, drill: row.get(4)? })
    });
    Ok(about.optional()?)
}

/// The states asked about, in order, as they were shown: one that was suppressed stands where it was shown later.
fn states(db: &Connection, alert: &str, revision: u64) -> Result<Vec<State>> {
    let mut query = db.prepare_cached(
        "SELECT seq, revision, lane, level, committed_us FROM alert_state s WHERE alert_id = ?1 \
         AND NOT EXISTS (SELECT 1 FROM suppressed_state x WHERE x.seq = s.seq) ORDER BY seq",
    )?;
    let mut rows = query.query([alert])?;
    let mut all: Vec<(State, u64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, committed_us): (i64, i64) = (row.get(0)?, row.get(4)?);
        if let Some((last, _)) = all.last_mut() {
            last.next = Some((seq, committed_us));
        }
        let (lane, level) = (lane(row.get(2)?)?, level(row.get(3)?)?);
        all.push((State { seq, lane, level, firing: false, next: None }, unsigned(row.get(1)?)));
    }
    if revision > 0 {
        all.retain(|(_, number)| *number == revision);
    } else if all.len() > 2 * EITHER_END {
        all.drain(EITHER_END..all.len() - EITHER_END);
    }
    let mut content = db.prepare_cached("SELECT content FROM alert_state WHERE seq = ?1")?;
    let mut chosen = Vec::with_capacity(all.len());
    for (mut state, _) in all {
        let bytes: Vec<u8> = content.query_row([state.seq], |row| row.get(0))?;
        let alert = v1::Alert::decode(bytes.as_slice()).map_err(|_| damaged("alert")())?;
        state.firing = alert.state() == v1::AlertState::Firing;
        chosen.push(state);
    }
    Ok(chosen)
}

const STAGES: [DeliveryStage; 4] =
    [DeliveryStage::Sent, DeliveryStage::Received, DeliveryStage::Displayed, DeliveryStage::Acknowledged];

pub(super) fn list(db: &Connection, alert: AlertId, revision: u64) -> Result<Vec<Delivered>> {
    let alert = alert.to_string();
    let Some(about) = about(db, &alert)? else { return Ok(Vec::new()) };
    let states = states(db, &alert, revision)?;
    let mut readers =
        db.prepare_cached("SELECT reader_id, principal, name, filter, within FROM delivery_reader")?;
    let mut rows = readers.query([])?;
    let mut found: BTreeMap<(String, String), Times> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let reader: i64 = row.get(0)?;
        let stored: Vec<u8> = row.get(3)?;
        let filter = v1::AlertFilter::decode(stored.as_slice()).map_err(|_| damaged("filter")())?;
        let within: Option<String> = row.get(4)?;
        let filter = Filter::of_stored(filter, within.as_deref()).map_err(|_| damaged("filter")())?;
        let mut first: Times = [None; 4];
        for state in &states {
            let facts = Facts {
                path: &about.path,
                kind: about.kind,
                class: about.class,
                level: state.level,
                camera: &about.camera,
                drill: about.drill,
            };
            if filter.wants(&facts) {
                look(db, reader, state, &mut first)?;
            }
        }
        // Each stage includes those before it.
        for stage in (2..STAGES.len()).rev() {
            first[stage - 1] = earlier(first[stage - 1], first[stage]);
        }
        if first.iter().any(Option::is_some) {
            let known = found.entry((row.get(1)?, row.get(2)?)).or_default();
            for (known, new) in known.iter_mut().zip(first) {
                *known = earlier(*known, new);
            }
        }
    }
    let reached = |stages: Times| {
        let all = STAGES.into_iter().zip(stages);
        all.filter_map(|(stage, when)| {
            when.map(|(from, to)| Reached { stage, from: Wall(from), to: Wall(to) })
        })
        .collect()
    };
    let delivered = found.into_iter().map(|((principal, subscription), stages)| Delivered {
        principal,
        subscription,
        stages: reached(stages),
    });
    Ok(delivered.collect())
}

fn earlier(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    a.into_iter().chain(b).min()
}

/// When a reader brought a state to each stage, where that is earlier than what is known.
fn look(db: &Connection, reader: i64, state: &State, first: &mut Times) -> Result<()> {
    let mut sent = false;
    for (stage, first) in STAGES.into_iter().zip(first) {
        let rows = stretch(db, reader, stage, false, state)?;
        // A lane that brings latest states only passes over a state that has a later one. Where that may have been so,
        // the later one speaks for the alert.
        let passed_over = |(_, _, to): &(i64, i64, i64)| {
            let later = state.next.is_some_and(|(_, committed)| committed <= *to);
            !sent && state.lane != Lane::Critical && later
        };
        let rows = rows.filter(|found| !passed_over(found));
        let snapshot = if state.firing { stretch(db, reader, stage, true, state)? } else { None };
        // It tells the latest state as of its place.
        let snapshot = snapshot.filter(|(upto, ..)| state.next.is_none_or(|(next, _)| next > *upto));
        let when = earlier(rows.map(|(_, from, to)| (from, to)), snapshot.map(|(_, from, to)| (from, to)));
        sent |= when.is_some();
        *first = earlier(*first, when);
    }
    Ok(())
}

/// End, begin and end in time of the stretch that holds a state, or of the first snapshot after it.
fn stretch(
    db: &Connection,
    reader: i64,
    stage: DeliveryStage,
    snapshot: bool,
    state: &State,
) -> Result<Option<(i64, i64, i64)>> {
    let mut query = db.prepare_cached(
        "SELECT after_seq, upto_seq, from_us, to_us FROM delivery_range WHERE reader_id = ?1 AND stage = ?2 \
         AND snapshot = ?3 AND lane = ?4 AND upto_seq >= ?5 ORDER BY upto_seq LIMIT 1",
    )?;
    let found = query
        .query_row(params![reader, i32::from(stage), snapshot, lane_number(state.lane), state.seq], |row| {
            Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        })
        .optional()?;
    Ok(found.filter(|(after, _)| *after < state.seq).map(|(_, found)| found))
}

/// Deletes the oldest stretches, and readers that have none left. Returns how many stretches.
pub(super) fn trim(db: &Connection, before: Wall) -> Result<u64> {
    // Numbers grow with time, but for the last seconds of a stretch that was extended.
    let upto: Option<i64> = db.query_row(
        "SELECT coalesce((SELECT range_id FROM delivery_range WHERE range_id < ?2 + \
         (SELECT min(range_id) FROM delivery_range) AND to_us >= ?1 ORDER BY range_id LIMIT 1) - 1, \
         (SELECT min(range_id) FROM delivery_range) + ?2 - 1)",
        params![before.0, TRIM_ROWS],
        |row| row.get(0),
    )?;
    let trimmed = match upto {
        Some(upto) => db.execute("DELETE FROM delivery_range WHERE range_id <= ?1", [upto])?,
        None => 0,
    };
    if trimmed > 0 {
        db.execute(
            "DELETE FROM delivery_reader WHERE NOT EXISTS \
             (SELECT 1 FROM delivery_range r WHERE r.reader_id = delivery_reader.reader_id)",
            [],
        )?;
    }
    Ok(u64::try_from(trimmed).unwrap_or(u64::MAX))
}
