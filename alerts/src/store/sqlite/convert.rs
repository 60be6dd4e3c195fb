//! Rows to values. SQLite's integers are signed 64 bit; ours fit, because they count from 1.

use std::sync::{Arc, OnceLock};

use prost::Message as _;
use rusqlite::Row;
use xueliang_base::{
    alert::EvidenceKind,
    id::AlertId,
    kind::{Lane, Level},
    time::Mono,
};
use xueliang_proto::v1;

use super::super::FeedRow;
use crate::error::{Error, Result};

/// Columns of [`feed_row`], for `alert_state s` joined with `alert a`.
pub(super) const COLUMNS: &str = "s.seq, s.lane, s.alert_id, a.kind, a.class, s.level, a.camera, a.path, \
     s.committed_us, s.committed_mono_ns, s.content";

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
pub(super) fn limit(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
pub(super) fn lane_number(lane: Lane) -> i32 {
    v1::Lane::from(lane).into()
}
pub(super) fn evidence_number(kind: EvidenceKind) -> i32 {
    v1::EvidenceKind::from(kind).into()
}

pub(super) fn damaged(what: &str) -> impl FnOnce() -> Error {
    let text = format!("the store holds a damaged {what}: restore a backup");
    move || Error::DataLoss(text)
}

pub(super) fn lane(number: i32) -> Result<Lane> {
    xueliang_base::wire::lane_of(number).map_err(|_| damaged("lane")())
}
pub(super) fn level(number: u8) -> Result<Level> {
    Level::try_from(number).map_err(|_| damaged("level")())
}
pub(super) fn alert_id(text: &str) -> Result<AlertId> {
    text.parse().map_err(|_| damaged("alert id")())
}

/// The record of a state.
pub(super) fn record(content: &[u8], lane: i32, committed_us: i64) -> Result<v1::Record> {
    let alert = v1::Alert::decode(content).map_err(|_| damaged("alert")())?;
    Ok(v1::Record { alert: Some(alert), committed_unix_us: committed_us, lane })
}

/// A row of [`COLUMNS`].
pub(super) fn feed_row(row: &Row<'_>) -> Result<Arc<FeedRow>> {
    let seq = unsigned(row.get(0)?);
    let lane_number: i32 = row.get(1)?;
    let content = row.get_ref(10)?.as_blob().map_err(|_| damaged("alert")())?;
    let committed_mono: i64 = row.get(9)?;
    Ok(Arc::new(FeedRow {
        seq,
        lane: lane(lane_number)?,
        alert: alert_id(&row.get::<_, String>(2)?)?,
        kind: row.get(3)?,
        class: row.get(4)?,
        level: level(row.get(5)?)?,
        camera: row.get(6)?,
        path: row.get(7)?,
        committed: Mono(unsigned(committed_mono)),
        record: record(content, lane_number, row.get(8)?)?,
        encoded: OnceLock::new(),
    }))
}
