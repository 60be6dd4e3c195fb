//! Flood groups in the tables: what comes is counted, and groups begin, grow and end with the commit that does it.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use tracing::warn;
use xueliang_base::{
    alert::{Alert, Place},
    id::AlertId,
    kind::{Kind, Level},
    time::{Boot, Mono},
};
use xueliang_proto::v1;

use super::{
    super::{Incoming, Outcome},
    Shared,
    convert::{alert_id, damaged, level, signed, unsigned},
    file, publish,
    suppression::Subject,
    writer::Batch,
};
use crate::{
    error::{Error, Result},
    flood::{Arrivals, Group, Limits, begun, next, places},
    silence::Reasons,
};

/// Groups that last.
pub(super) fn lasting(db: &Connection) -> Result<Vec<Group>> {
    let mut query = db.prepare_cached("SELECT alert_id, kind, place FROM flood WHERE until_us IS NULL")?;
    let mut rows = query.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let alert = alert_id(&row.get::<_, String>(0)?)?;
        all.push(Group { alert, kind: row.get(1)?, place: row.get(2)? });
    }
    Ok(all)
}

/// How many members a group has had.
pub(super) fn members(db: &Connection, group: AlertId) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT members FROM flood WHERE alert_id = ?1")?;
    Ok(unsigned(query.query_row([group.to_string()], |row| row.get(0))?))
}

fn count(db: &Connection, kind: i32, place: &str, limit: u32, now: Mono) -> Result<Arrivals> {
    let mut query = db.prepare_cached("SELECT times FROM flood_arrival WHERE kind = ?1 AND place = ?2")?;
    let times: Option<Vec<u8>> = query.query_row(params![kind, place], |row| row.get(0)).optional()?;
    let mut arrivals = times.map_or_else(Arrivals::default, |times| Arrivals::decode(&times));
    arrivals.add(now, limit);
    db.prepare_cached("INSERT OR REPLACE INTO flood_arrival (kind, place, times) VALUES (?1, ?2, ?3)")?
        .execute(params![kind, place, arrivals.encode()])?;
    Ok(arrivals)
}

/// Counts an alert that a group takes.
pub(super) fn came(
    db: &Connection,
    batch: &Batch<'_>,
    shared: &Shared,
    reasons: &Reasons,
    group: AlertId,
) -> Result<()> {
    if let Some(group) = reasons.floods.iter().find(|one| one.alert == group) {
        count(db, group.kind, &group.place, shared.floods.at(&group.place), batch.mono())?;
    }
    Ok(())
}

/// Counts an alert that is in no group and is to be shown first; the group that begins with it, if one does.
pub(super) fn arrive(
    db: &Connection,
    batch: &mut Batch<'_>,
    shared: &Shared,
    subject: &Subject<'_>,
    of: impl FnOnce() -> Result<Place>,
) -> Result<Option<AlertId>> {
    let (limits, now) = (&shared.floods, batch.mono());
    for place in places(&subject.facts) {
        let limit = limits.at(place);
        if limit > 0 && count(db, subject.facts.kind, place, limit, now)?.more_than(limit, limits.window, now)
        {
            return begin(db, batch, shared, subject, place, &of()?).map(Some);
        }
    }
    Ok(None)
}

fn begin(
    db: &Connection,
    batch: &mut Batch<'_>,
    shared: &Shared,
    subject: &Subject<'_>,
    place: &str,
    of: &Place,
) -> Result<AlertId> {
    let (level, wall) = (subject.facts.level, batch.wall());
    let kind = Kind::from_number(subject.facts.kind).ok_or_else(damaged("kind"))?;
    let alert = begun(place, kind, level, of, wall, shared.floods.config);
    let group = alert.id;
    db.prepare_cached(
        "INSERT INTO flood (alert_id, kind, place, level, since_us, members, told) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
    )?
    .execute(params![group.to_string(), kind.number(), place, level.number(), wall.0, signed(alert.count)])?;
    batch.reasons_changed();
    say(db, batch, shared, alert)?;
    Ok(group)
}

/// More members, and the level of one.
pub(super) fn note(db: &Connection, group: AlertId, more: i64, level: Level) -> Result<()> {
    db.prepare_cached("UPDATE flood SET members = members + ?2, level = min(level, ?3) WHERE alert_id = ?1")?
        .execute(params![group.to_string(), more, level.number()])?;
    Ok(())
}

/// A group whose alert has something to say.
pub(super) struct Due {
    group: Group,
    members: u64,
    level: Level,
    ends: bool,
    /// Where the latest state of its alert stands.
    change_seq: i64,
}

pub(super) fn due(db: &Connection, limits: &Limits, now: Mono) -> Result<Vec<Due>> {
    let mut query = db.prepare_cached(
        "SELECT f.alert_id, f.place, f.members, f.told, f.level, a.level, a.change_seq, c.times, f.kind \
         FROM flood f JOIN alert a USING (alert_id) \
         LEFT JOIN flood_arrival c ON c.kind = f.kind AND c.place = f.place WHERE f.until_us IS NULL",
    )?;
    let mut rows = query.query([])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let place: String = row.get(1)?;
        let (members, told): (i64, i64) = (row.get(2)?, row.get(3)?);
        let (is, said): (u8, u8) = (row.get(4)?, row.get(5)?);
        let arrivals = Arrivals::decode(&row.get::<_, Option<Vec<u8>>>(7)?.unwrap_or_default());
        let limit = limits.at(&place);
        let ends = limit == 0 || !arrivals.more_than(limit, limits.quiet, now);
        if ends || members > told || is < said {
            due.push(Due {
                group: Group { alert: alert_id(&row.get::<_, String>(0)?)?, kind: row.get(8)?, place },
                members: unsigned(members),
                level: level(is)?,
                ends,
                change_seq: row.get(6)?,
            });
        }
    }
    Ok(due)
}

/// Lets the groups' alerts say what they have to say.
pub(super) fn tend(db: &Connection, batch: &mut Batch<'_>, shared: &Shared) -> Result<()> {
    let wall = batch.wall();
    for Due { group, members, level, ends, change_seq } in due(db, &shared.floods, batch.mono())? {
        db.prepare_cached("UPDATE flood SET told = ?2, until_us = ?3 WHERE alert_id = ?1")?
            .execute(params![group.alert.to_string(), signed(members), ends.then_some(wall.0)])?;
        if ends {
            batch.reasons_changed();
            db.prepare_cached("DELETE FROM flood_arrival WHERE kind = ?1 AND place = ?2")?
                .execute(params![group.kind, group.place])?;
        }
        let alert = next(state_at(db, change_seq)?, members, level, ends, wall);
        say(db, batch, shared, alert)?;
    }
    Ok(())
}

/// Stores a state of a group's alert.
fn say(db: &Connection, batch: &mut Batch<'_>, shared: &Shared, alert: Alert) -> Result<()> {
    let incoming = Incoming { alert, received: batch.mono(), told: false };
    match publish::store(db, batch, shared, &incoming)? {
        Outcome::Committed(_) => Ok(()),
        other => Err(Error::Internal(format!("the alert of a flood group is not stored: {other:?}"))),
    }
}

/// The state at a place of the feed.
pub(super) fn state_at(db: &Connection, seq: i64) -> Result<Alert> {
    let mut query = db.prepare_cached("SELECT content FROM alert_state WHERE seq = ?1")?;
    let content: Vec<u8> = query.query_row([seq], |row| row.get(0))?;
    let wire = v1::Alert::decode(content.as_slice()).map_err(|_| damaged("alert")())?;
    Alert::try_from(wire).map_err(|_| damaged("alert")())
}

/// What was counted by the clock of another boot says nothing any more; groups that last do so for a quiet time.
pub(super) fn begin_boot(db: &Connection, boot: &Boot, now: Mono) {
    if let Err(error) = count_anew(db, boot, now) {
        warn!(%error, "flood groups of before the boot may last too long");
    }
}

fn count_anew(db: &Connection, boot: &Boot, now: Mono) -> Result<()> {
    const KEY: &str = "flood_boot";
    if file::meta(db, KEY)?.is_some_and(|name| name == boot.as_str().as_bytes()) {
        return Ok(());
    }
    let once = db.unchecked_transaction()?;
    for group in lasting(&once)? {
        let key = params![group.kind, group.place];
        let sql = "SELECT times FROM flood_arrival WHERE kind = ?1 AND place = ?2";
        let times: Option<Vec<u8>> = once.query_row(sql, key, |row| row.get(0)).optional()?;
        let mut arrivals = Arrivals::decode(&times.unwrap_or_default());
        arrivals.restart(now);
        let sql = "UPDATE flood_arrival SET times = ?3 WHERE kind = ?1 AND place = ?2";
        once.execute(sql, params![group.kind, group.place, arrivals.encode()])?;
    }
    once.execute_batch(
        "DELETE FROM flood_arrival WHERE NOT EXISTS (SELECT 1 FROM flood f WHERE f.kind = flood_arrival.kind \
         AND f.place = flood_arrival.place AND f.until_us IS NULL)",
    )?;
    file::set_meta(&once, KEY, boot.as_str().as_bytes())?;
    once.commit()?;
    Ok(())
}
