//! Clocks: which rows the monotonic clock of now can date, and the steps of wall clocks.

use rusqlite::{Connection, params};
use tracing::warn;
use xueliang_base::{
    time::{Boot, Wall},
    wall_step::WallStep,
};
use xueliang_proto::v1;

use super::{
    super::AuditEntry,
    convert::{limit, signed, unsigned},
    file, rest,
};
use crate::error::Result;

/// The place of the feed at which the machine's boot began, as far as is known: rows after it were committed in it.
/// Where that cannot be kept, it is the head, and ages over a restart of the process are less exact.
pub(super) fn boot_began(db: &Connection, boot: &Boot) -> Result<u64> {
    let head = file::head_of(db)?;
    let known = file::meta(db, "boot")?.is_some_and(|name| name == boot.as_str().as_bytes());
    let began = file::meta(db, "boot_began")?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    if let Some(began) = began.filter(|_| known) {
        return Ok(u64::from_be_bytes(began));
    }
    // The place first: what follows it may be missing, and never belong to another boot.
    let kept = file::set_meta(db, "boot_began", &head.to_be_bytes())
        .and_then(|()| file::set_meta(db, "boot", boot.as_str().as_bytes()));
    if let Err(error) = kept {
        warn!(%error, "the machine's boot is not on record: ages over a restart are less exact");
    }
    Ok(head)
}

pub(super) fn add_step(db: &Connection, source: &str, step: WallStep, now: Wall) -> Result<()> {
    let added = db
        .prepare_cached("INSERT OR IGNORE INTO clock_step (source, at_us, by_us) VALUES (?1, ?2, ?3)")?
        .execute(params![source, step.at.0, step.by_us])?;
    if added == 0 {
        return Ok(());
    }
    let subject = format!("by {} us, to {}", step.by_us, step.at);
    let principal = source.to_owned();
    rest::audit(db, &AuditEntry { principal, action: "wall_clock_stepped", subject }, now)
}

pub(super) fn steps(
    db: &Connection,
    before_exclusive: Option<u64>,
    most: usize,
) -> Result<Vec<(u64, v1::ClockStep)>> {
    let mut query = db.prepare_cached(
        "SELECT step_id, source, at_us, by_us FROM clock_step WHERE step_id < ?1 ORDER BY step_id DESC LIMIT ?2",
    )?;
    let before = before_exclusive.map_or(i64::MAX, signed);
    let rows = query.query_map(params![before, limit(most)], |row| {
        let step = v1::ClockStep { source: row.get(1)?, at_unix_us: row.get(2)?, by_us: row.get(3)? };
        Ok((unsigned(row.get(0)?), step))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
