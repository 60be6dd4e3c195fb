//! The tables of a node's spool. What a spool is, is `spool.rs`'s to say.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
};

use rusqlite::{Connection, params};
use xueliang_base::{
    id::AlertId,
    time::{Mono, SharedClock, Wall},
};

use super::{
    schema,
    sqlite::{
        SLOW_AFTER,
        file::{self, DbFile, Reader},
        writer::Writer,
    },
};
use crate::{crew::Crew, error::Error, error::Result};

/// What an item of the spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpoolKind {
    /// A state of an alert: `content` is a `v1::Alert`.
    Alert,
    /// A piece of evidence: `content` is a `v1::EvidenceRef`, the bytes lie in a file.
    Evidence,
}

/// One item that waits for the bus.
#[derive(Debug, Clone)]
pub(crate) struct SpoolItem {
    /// Order of spooling; 0 before it is spooled.
    pub(crate) id: i64,
    pub(crate) kind: SpoolKind,
    pub(crate) alert: AlertId,
    /// Of the state; 0 for evidence.
    pub(crate) revision: u64,
    /// Encoded message.
    pub(crate) content: Vec<u8>,
    /// Name of the file beside the spool; empty where there is none.
    pub(crate) data_file: String,
    /// Bytes of content and file.
    pub(crate) size_bytes: u64,
    pub(crate) minted_wall: Wall,
    pub(crate) minted_mono: Mono,
    /// The boot in which `minted_mono` counts.
    pub(crate) boot: String,
}

/// What waited in a spool when it was opened.
pub(crate) struct Found {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
    /// Names of the files that items need.
    pub(crate) data_files: BTreeSet<String>,
}

/// Items set aside that are kept, for whoever looks into it.
const DEAD_KEPT: u32 = 10_000;

/// The database of a spool.
pub(crate) struct SpoolDb {
    writer: Writer,
    reader: Crew<Reader>,
    /// Held as long as the spool is open, so that no second process opens it. Last: it goes when the others are gone.
    _lock: std::fs::File,
}

impl SpoolDb {
    /// Opens or makes the spool's file.
    pub(crate) fn open(
        path: PathBuf,
        clock: SharedClock,
        max_pages: Option<Arc<AtomicU32>>,
        vfs: Option<String>,
    ) -> Result<(Self, Found)> {
        let lock = file::lock(&path.with_extension("lock"), "node process")?;
        let what = format!("the spool {}", path.display());
        let db_file = DbFile { path, what, steps: schema::SPOOL_STEPS, max_pages, vfs };
        let db = db_file.open()?;
        let found = found(&db)?;
        let read = db_file.clone();
        let writer = Writer::spawn("spool", db_file, db, clock, None, SLOW_AFTER, 4 << 20)?;
        let reader = Crew::spawn("spool-read", 1, 64, move || Reader::new(read.clone()))?;
        Ok((Self { writer, reader, _lock: lock }, found))
    }
    /// Appends; on disk when the answer comes. A state that waits already is appended once: `false` when its
    /// content is the same, an error when it is another.
    pub(crate) fn push(&self, item: SpoolItem) -> impl Future<Output = Result<bool>> + Send + 'static {
        self.writer.run(move |db, _| insert(db, &item))
    }
    /// Appends these in this order with one commit, up to the first that waits already with other content: for each
    /// whether it was new, and what was wrong with the one that stopped it.
    pub(crate) fn push_all(
        &self,
        items: Vec<SpoolItem>,
    ) -> impl Future<Output = Result<(Vec<bool>, Option<Error>)>> + Send + 'static {
        self.writer.run(move |db, _| {
            let mut new = Vec::with_capacity(items.len());
            for item in &items {
                match insert(db, item) {
                    Ok(was_new) => new.push(was_new),
                    Err(error @ Error::Conflict(_)) => return Ok((new, Some(error))),
                    Err(error) => return Err(error),
                }
            }
            Ok((new, None))
        })
    }
    /// Commits since it was opened.
    pub(crate) fn commits(&self) -> u64 {
        self.writer.health().commits
    }
    /// The latest state of every alert that has one waiting, as encoded.
    pub(crate) async fn latest(&self) -> Result<Vec<Vec<u8>>> {
        let latest = self.reader.run(|reader| {
            reader.with(|db| {
                // SQLite takes `content` from the row of the maximum.
                let sql = "SELECT content, max(revision) FROM item WHERE kind = 0 GROUP BY alert_id";
                let mut query = db.prepare_cached(sql)?;
                let rows = query.query_map([], |row| row.get(0))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
        });
        latest.await?
    }
    /// The oldest items of a kind. Evidence is passed over while an older state of its alert waits: the bus takes
    /// none for an alert it does not have.
    pub(crate) async fn oldest(&self, kind: SpoolKind, count: usize) -> Result<Vec<SpoolItem>> {
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        self.reader.run(move |reader| reader.with(|db| oldest(db, kind, limit))).await?
    }
    /// Whether an item that waits needs a file.
    pub(crate) async fn needs(&self, data_file: String) -> Result<bool> {
        let needs = self.reader.run(move |reader| {
            reader.with(|db| {
                let sql = "SELECT count(*) FROM item WHERE data_file = ?1";
                let items: i64 = db.query_row(sql, [data_file], |row| row.get(0))?;
                Ok(items > 0)
            })
        });
        needs.await?
    }
    /// Removes items that the bus has.
    pub(crate) fn done(&self, ids: Vec<i64>) -> impl Future<Output = Result<()>> + Send + 'static {
        self.writer.run(move |db, _| {
            let mut delete = db.prepare_cached("DELETE FROM item WHERE item_id = ?1")?;
            ids.iter().try_for_each(|id| delete.execute([id]).map(drop)).map_err(Error::from)
        })
    }
    /// Sets an item aside that the bus will never take.
    pub(crate) fn bury(&self, id: i64, reason: String) -> impl Future<Output = Result<()>> + Send + 'static {
        self.writer.run(move |db, batch| {
            db.execute(
                "INSERT OR REPLACE INTO dead (item_id, kind, alert_id, content, reason, died_us) \
                 SELECT item_id, kind, alert_id, content, ?2, ?3 FROM item WHERE item_id = ?1",
                params![id, reason, batch.wall().0],
            )?;
            db.execute("DELETE FROM item WHERE item_id = ?1", [id])?;
            db.execute(
                "DELETE FROM dead WHERE item_id IN (SELECT item_id FROM dead ORDER BY item_id DESC LIMIT -1 OFFSET ?1)",
                [DEAD_KEPT],
            )?;
            Ok(())
        })
    }
    /// How many were set aside, and why the latest was.
    pub(crate) async fn dead(&self) -> Result<(u64, Option<String>)> {
        let dead = self.reader.run(|reader| {
            reader.with(|db| {
                let count: i64 = db.query_row("SELECT count(*) FROM dead", [], |row| row.get(0))?;
                let mut latest =
                    db.prepare_cached("SELECT reason FROM dead ORDER BY item_id DESC LIMIT 1")?;
                let mut rows = latest.query([])?;
                let reason = rows.next()?.map(|row| row.get(0)).transpose()?;
                Ok((u64::try_from(count).unwrap_or(0), reason))
            })
        });
        dead.await?
    }
}

fn number(kind: SpoolKind) -> i64 {
    match kind {
        SpoolKind::Alert => 0,
        SpoolKind::Evidence => 1,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn found(db: &Connection) -> Result<Found> {
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    let (bytes, items) =
        db.query_row("SELECT coalesce(sum(size_bytes), 0), count(*) FROM item", [], |row| {
            Ok((count(row.get(0)?), count(row.get(1)?)))
        })?;
    let mut query = db.prepare("SELECT DISTINCT data_file FROM item WHERE data_file <> ''")?;
    let data_files = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(Found { items, bytes, data_files })
}

fn insert(db: &Connection, item: &SpoolItem) -> Result<bool> {
    let alert = item.alert.to_string();
    let inserted = db
        .prepare_cached(
            "INSERT INTO item (kind, alert_id, revision, content, data_file, size_bytes, minted_us, minted_mono_ns, boot) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
             ON CONFLICT (alert_id, revision) WHERE revision > 0 DO NOTHING",
        )?
        .execute(params![
            number(item.kind),
            alert,
            signed(item.revision),
            item.content,
            item.data_file,
            signed(item.size_bytes),
            item.minted_wall.0,
            signed(item.minted_mono.0),
            item.boot
        ])?;
    if inserted > 0 {
        return Ok(true);
    }
    let same: bool = db
        .prepare_cached(
            "SELECT content = ?3 FROM item WHERE alert_id = ?1 AND revision = ?2 AND revision > 0",
        )?
        .query_row(params![alert, signed(item.revision), item.content], |row| row.get(0))?;
    if same {
        return Ok(false);
    }
    Err(Error::Conflict(format!(
        "revision {} of alert {alert} waits in the spool with other content: give the new one the next revision",
        item.revision
    )))
}

fn oldest(db: &Connection, kind: SpoolKind, limit: i64) -> Result<Vec<SpoolItem>> {
    let mut query = db.prepare_cached(
        "SELECT item_id, alert_id, revision, content, data_file, size_bytes, minted_us, minted_mono_ns, boot \
         FROM item WHERE kind = ?1 AND (?1 = 0 OR NOT EXISTS (SELECT 1 FROM item AS state \
         WHERE state.alert_id = item.alert_id AND state.kind = 0 AND state.item_id < item.item_id)) \
         ORDER BY item_id LIMIT ?2",
    )?;
    let mut rows = query.query([number(kind), limit])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let unsigned = |column| row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0));
        let alert: String = row.get(1)?;
        items.push(SpoolItem {
            id: row.get(0)?,
            kind,
            alert: alert
                .parse()
                .map_err(|_| Error::DataLoss(format!("the spool holds a damaged alert id {alert:?}")))?,
            revision: unsigned(2)?,
            content: row.get(3)?,
            data_file: row.get(4)?,
            size_bytes: unsigned(5)?,
            minted_wall: Wall(row.get(6)?),
            minted_mono: Mono(unsigned(7)?),
            boot: row.get(8)?,
        });
    }
    Ok(items)
}
