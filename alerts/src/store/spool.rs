//! The tables of a node's spool. What a spool is, is `spool.rs`'s to say.

use std::{
    collections::{BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{
    id::AlertId,
    kind::Lane,
    time::{Mono, SharedClock, Wall},
};

use super::{
    schema,
    sqlite::{
        SLOW_AFTER,
        file::{self, DbFile, Reader},
        writer::{Urgency, Writer},
    },
};
use crate::{
    crew::Crew,
    error::Error,
    error::Result,
    spool::queues::{QUEUES, Queue, Room, choose},
};

/// What an item of the spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpoolKind {
    /// A state of an alert: `content` is a `v1::Alert`.
    Alert,
    /// A piece of evidence: `content` is a `v1::EvidenceRef`, the bytes lie in a file.
    Evidence,
    /// Of no meaning: what a try of the disk writes.
    Try,
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
    /// Of the state's level.
    pub(crate) lane: Lane,
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
    /// The latest item; 0 when there is none.
    pub(crate) last: i64,
    /// Names of the files that items need.
    pub(crate) data_files: BTreeSet<String>,
}

/// What goes next out of a spool.
pub(crate) struct Next {
    pub(crate) states: Vec<SpoolItem>,
    /// Whether a backlog waits.
    pub(crate) backlog: bool,
    /// The latest item when these were chosen; 0 when there is none.
    pub(crate) last: i64,
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
        self.writer.run(Urgency::Usual, move |db, _| insert(db, &item))
    }
    /// Appends these in this order with one commit, up to the first that waits already with other content: for each
    /// whether it was new, and what was wrong with the one that stopped it.
    pub(crate) fn push_all(
        &self,
        items: Vec<SpoolItem>,
    ) -> impl Future<Output = Result<(Vec<bool>, Option<Error>)>> + Send + 'static {
        self.writer.run(Urgency::Usual, move |db, _| {
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
    /// Appends an item and removes it again, in one commit.
    pub(crate) fn try_write(&self, item: SpoolItem) -> impl Future<Output = Result<()>> + Send + 'static {
        self.writer.run(Urgency::Usual, move |db, _| {
            insert(db, &item)?;
            db.execute("DELETE FROM item WHERE item_id = ?1", [db.last_insert_rowid()])?;
            Ok(())
        })
    }
    /// Those of some alerts of which a state waits. `taken` is the ids of items that do not count, as a JSON array.
    pub(crate) async fn waits_of(
        &self,
        alerts: BTreeSet<AlertId>,
        taken: String,
    ) -> Result<BTreeSet<AlertId>> {
        self.reader.run(move |reader| reader.with(|db| waits_of(db, alerts, &taken))).await?
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
    /// The states to send next. The backlog is of alerts whose first item is `mark` or older; with a `mark` of 0 there is
    /// none. `taken` is the ids of items that do not count, as a JSON array.
    pub(crate) async fn next_states(&self, mark: i64, room: Room, taken: String) -> Result<Next> {
        self.reader.run(move |reader| reader.with(|db| next_states(db, mark, room, &taken))).await?
    }
    /// The oldest piece of evidence after an item. It is passed over while an older state of its alert waits: the bus
    /// takes none for an alert it does not have. `taken` as there.
    pub(crate) async fn oldest_evidence(&self, after: i64, taken: String) -> Result<Option<SpoolItem>> {
        self.reader.run(move |reader| reader.with(|db| oldest_evidence(db, after, &taken))).await?
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
        self.writer.run(Urgency::Usual, move |db, _| {
            let mut delete = db.prepare_cached("DELETE FROM item WHERE item_id = ?1")?;
            ids.iter().try_for_each(|id| delete.execute([id]).map(drop)).map_err(Error::from)
        })
    }
    /// Sets an item aside that the bus will never take.
    pub(crate) fn bury(&self, id: i64, reason: String) -> impl Future<Output = Result<()>> + Send + 'static {
        self.writer.run(Urgency::Usual, move |db, batch| {
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
        SpoolKind::Try => 2,
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
    let last = last(db)?;
    let mut query = db.prepare("SELECT DISTINCT data_file FROM item WHERE data_file <> ''")?;
    let data_files = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(Found { items, bytes, last, data_files })
}

fn last(db: &Connection) -> Result<i64> {
    Ok(db.query_row("SELECT coalesce(max(item_id), 0) FROM item", [], |row| row.get(0))?)
}

/// Lane and head of an alert of which a state waits.
fn queued(db: &Connection, alert: &str) -> Result<Option<(i64, i64)>> {
    let mut query =
        db.prepare_cached("SELECT lane, head FROM item WHERE alert_id = ?1 AND kind = 0 LIMIT 1")?;
    Ok(query.query_row([alert], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn insert(db: &Connection, item: &SpoolItem) -> Result<bool> {
    let alert = item.alert.to_string();
    let before = if item.kind == SpoolKind::Alert { queued(db, &alert)? } else { None };
    let own_lane = lane_number(item.lane);
    let lane = before.map_or(own_lane, |(lane, _)| lane.min(own_lane));
    let inserted = db
        .prepare_cached(
            "INSERT INTO item (kind, alert_id, revision, content, data_file, size_bytes, minted_us, minted_mono_ns, boot, \
             lane, head) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
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
            item.boot,
            lane,
            before.map_or(0, |(_, head)| head)
        ])?;
    if inserted > 0 {
        match before {
            // It takes those before it along: they must go first.
            Some((lane_before, _)) if lane < lane_before => {
                db.prepare_cached("UPDATE item SET lane = ?2 WHERE alert_id = ?1 AND kind = 0")?
                    .execute(params![alert, lane])?;
            }
            None if item.kind == SpoolKind::Alert => {
                db.prepare_cached("UPDATE item SET head = item_id WHERE item_id = ?1")?
                    .execute([db.last_insert_rowid()])?;
            }
            _ => {}
        }
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

fn lane_number(lane: Lane) -> i64 {
    i64::try_from(lane.index()).unwrap_or(i64::MAX)
}

fn next_states(db: &Connection, mark: i64, room: Room, taken: &str) -> Result<Next> {
    // One view of all queues: nothing moves from one to another meanwhile.
    let view = db.unchecked_transaction()?;
    let mut heads: [VecDeque<(i64, u64)>; 6] = Default::default();
    let mut backlog = false;
    for (heads, queue) in heads.iter_mut().zip(QUEUES) {
        *heads = heads_of(&view, queue, mark, room.count, taken)?;
        backlog |= queue.backlog && !heads.is_empty();
    }
    let mut query = view.prepare_cached(&format!("{ITEM} WHERE item_id = ?1"))?;
    let chosen = choose(heads, room, |(_, size)| *size).into_iter();
    let states = chosen.map(|(id, _)| query.query_row([id], |row| Ok(read_item(row)))?);
    Ok(Next { states: states.collect::<Result<_>>()?, backlog, last: last(&view)? })
}

/// The first items of a queue with their sizes.
fn heads_of(
    db: &Connection,
    queue: Queue,
    mark: i64,
    limit: usize,
    taken: &str,
) -> Result<VecDeque<(i64, u64)>> {
    let which = match queue.backlog {
        true if mark == 0 => return Ok(VecDeque::new()),
        true => "head <= ?2",
        false => "item_id > ?2 AND head > ?2",
    };
    let mut query = db.prepare_cached(&format!(
        "SELECT item_id, size_bytes FROM item INDEXED BY item_by_queue WHERE kind = 0 AND lane = ?1 AND {which} \
         AND item_id NOT IN (SELECT value FROM json_each(?4)) ORDER BY item_id LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let heads = query.query_map(params![lane_number(queue.lane), mark, limit, taken], |row| {
        Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0)))
    })?;
    Ok(heads.collect::<rusqlite::Result<_>>()?)
}

fn waits_of(db: &Connection, alerts: BTreeSet<AlertId>, taken: &str) -> Result<BTreeSet<AlertId>> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM item WHERE alert_id = ?1 AND kind = 0 \
         AND item_id NOT IN (SELECT value FROM json_each(?2)))",
    )?;
    let mut waits = BTreeSet::new();
    for alert in alerts {
        if query.query_row(params![alert.to_string(), taken], |row| row.get(0))? {
            waits.insert(alert);
        }
    }
    Ok(waits)
}

fn oldest_evidence(db: &Connection, after: i64, taken: &str) -> Result<Option<SpoolItem>> {
    let mut query = db.prepare_cached(&format!(
        "{ITEM} WHERE kind = 1 AND item_id > ?1 AND item_id NOT IN (SELECT value FROM json_each(?2)) \
         AND NOT EXISTS (SELECT 1 FROM item AS state WHERE state.alert_id = item.alert_id AND state.kind = 0 \
         AND state.item_id < item.item_id AND state.item_id NOT IN (SELECT value FROM json_each(?2))) \
         ORDER BY item_id LIMIT 1"
    ))?;
    let mut rows = query.query(params![after, taken])?;
    rows.next()?.map(read_item).transpose()
}

const ITEM: &str = "SELECT item_id, kind, alert_id, revision, content, data_file, size_bytes, minted_us, minted_mono_ns, \
                    boot, lane FROM item";

fn read_item(row: &Row<'_>) -> Result<SpoolItem> {
    let unsigned = |column| row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0));
    let alert: String = row.get(2)?;
    let lane = usize::try_from(unsigned(10)?).ok().and_then(|lane| Lane::ALL.get(lane).copied());
    Ok(SpoolItem {
        id: row.get(0)?,
        kind: if unsigned(1)? == 0 { SpoolKind::Alert } else { SpoolKind::Evidence },
        alert: alert
            .parse()
            .map_err(|_| Error::DataLoss(format!("the spool holds a damaged alert id {alert:?}")))?,
        revision: unsigned(3)?,
        lane: lane.unwrap_or(Lane::Critical),
        content: row.get(4)?,
        data_file: row.get(5)?,
        size_bytes: unsigned(6)?,
        minted_wall: Wall(row.get(7)?),
        minted_mono: Mono(unsigned(8)?),
        boot: row.get(9)?,
    })
}
