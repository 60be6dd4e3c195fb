//! The chain over audit and register: each entry is linked in the transaction that keeps it.

use rusqlite::{Connection, OptionalExtension as _, Row, params, types::ValueRef};
use xueliang_base::time::Wall;

use super::{
    super::{Answer, AuditStore},
    SqliteStore,
    convert::{damaged, limit, signed, unsigned},
    file,
};
use crate::{
    audit::{
        chain::{Content, Frontier, Hash, Source},
        head::Head,
    },
    error::{Error, Result},
};

/// Set by the migration that brings the chain: what was there before is to be linked.
const BEGINS: &str = "audit_chain_begins";

/// The columns of an entry in the order in which they are hashed, after its number. Their places stay: a new column comes at
/// the end, and is empty or NULL in all rows that are there.
pub(in super::super) fn columns(source: Source) -> &'static str {
    match source {
        Source::Audit => "at_us, principal, action, subject",
        Source::Register => {
            "at_us, principal, alert_id, kind, purpose, reason, granted, refusal, unit, call_reason, camera, stretch, sha256, \
             release_id, request_id"
        }
    }
}

/// Number and content of a row of `entry_id` and [`columns`].
pub(in super::super) fn content(source: Source, row: &Row<'_>) -> Result<(i64, Content)> {
    let id = row.get(0)?;
    let mut content = Content::new(source, id);
    for index in 1.. {
        let column = u8::try_from(index - 1).unwrap_or(u8::MAX);
        match row.get_ref(index) {
            Ok(ValueRef::Integer(value)) => content.integer(column, value),
            Ok(ValueRef::Text(value)) => content.text(column, value),
            Ok(ValueRef::Null) => {}
            // The tables are strict.
            Ok(ValueRef::Real(_) | ValueRef::Blob(_)) => return Err(damaged(source.word())()),
            Err(rusqlite::Error::InvalidColumnIndex(_)) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((id, content))
}

/// Links an entry that was just kept.
pub(super) fn link(db: &Connection, source: Source, entry_id: i64) -> Result<()> {
    let mut query = db.prepare_cached(&format!(
        "SELECT entry_id, {} FROM {} WHERE entry_id = ?1",
        columns(source),
        source.word()
    ))?;
    let mut rows = query.query([entry_id])?;
    let row =
        rows.next()?.ok_or_else(|| Error::Internal("an entry that was just kept is not there".to_owned()))?;
    let (_, content) = content(source, row)?;
    let mut query =
        db.prepare_cached("SELECT link_no, hash FROM audit_chain ORDER BY link_no DESC LIMIT 1")?;
    let last = query.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
    let (number, before) = match last {
        Some((number, bytes)) => (number, hash(bytes)?),
        None => (0, Hash::ZERO),
    };
    insert(db, number + 1, source, entry_id, content.link(&before))
}

fn insert(db: &Connection, number: i64, source: Source, entry_id: i64, link: Hash) -> Result<()> {
    db.prepare_cached("INSERT INTO audit_chain (link_no, source, entry_id, hash) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![number, source as i64, entry_id, link.0])?;
    Ok(())
}

fn hash(bytes: Vec<u8>) -> Result<Hash> {
    Hash::of_bytes(&bytes).ok_or_else(damaged("link of the audit"))
}

/// Begins the chain with the entries that were there before it, once: those of the audit, then those of the register.
pub(super) fn begin(db: &Connection) -> Result<()> {
    if file::meta(db, BEGINS)?.is_none() {
        return Ok(());
    }
    let all = db.unchecked_transaction()?;
    let begun: bool = all.query_row("SELECT EXISTS (SELECT 1 FROM audit_chain)", [], |row| row.get(0))?;
    if !begun {
        let (mut number, mut before) = (0, Hash::ZERO);
        for source in [Source::Audit, Source::Register] {
            let sql =
                format!("SELECT entry_id, {} FROM {} ORDER BY entry_id", columns(source), source.word());
            let mut query = all.prepare(&sql)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let (id, content) = content(source, row)?;
                (number, before) = (number + 1, content.link(&before));
                insert(&all, number, source, id, before)?;
            }
        }
    }
    all.execute("DELETE FROM meta WHERE key = ?1", [BEGINS])?;
    all.commit()?;
    Ok(())
}

const HEAD: &str = "SELECT size, at_us, root, link, key, signature, frontier FROM audit_head";

/// A head by a row of [`HEAD`].
fn head(row: &Row<'_>) -> Result<Head> {
    let wrong = damaged("head of the audit");
    let bytes = |index| {
        Ok::<_, Error>(row.get_ref(index)?.as_blob().map_err(|_| damaged("head of the audit")())?.to_vec())
    };
    let hash = |index| bytes(index).map(|bytes| Hash::of_bytes(&bytes));
    let (root, link, key) = (hash(2)?, hash(3)?, hash(4)?);
    let signature: Option<[u8; 64]> = bytes(5)?.try_into().ok();
    match (root, link, key, signature) {
        (Some(root), Some(link), Some(key), Some(signature)) => {
            Ok(Head { size: unsigned(row.get(0)?), at: Wall(row.get(1)?), root, link, key, signature })
        }
        _ => Err(wrong()),
    }
}

/// Heads of more entries than this, by size.
pub(in super::super) fn heads(db: &Connection, after: u64, most: usize) -> Result<Vec<Head>> {
    let mut query = db.prepare_cached(&format!("{HEAD} WHERE size > ?1 ORDER BY size LIMIT ?2"))?;
    let mut rows = query.query(params![signed(after), limit(most)])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        heads.push(head(row)?);
    }
    Ok(heads)
}

fn last_head(db: &Connection) -> Result<Option<(Head, Frontier)>> {
    let mut query = db.prepare_cached(&format!("{HEAD} ORDER BY size DESC LIMIT 1"))?;
    let mut rows = query.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let tree: Vec<u8> = row.get(6)?;
    let tree = Frontier::of_bytes(&tree).ok_or_else(damaged("head of the audit"))?;
    Ok(Some((head(row)?, tree)))
}

fn links(db: &Connection, after: u64, most: usize) -> Result<Vec<(u64, Hash)>> {
    let mut query = db.prepare_cached(
        "SELECT link_no, hash FROM audit_chain WHERE link_no > ?1 ORDER BY link_no LIMIT ?2",
    )?;
    let mut rows = query.query(params![signed(after), limit(most)])?;
    let mut links = Vec::new();
    while let Some(row) = rows.next()? {
        links.push((unsigned(row.get(0)?), hash(row.get(1)?)?));
    }
    Ok(links)
}

impl AuditStore for SqliteStore {
    fn last_head(&self) -> Answer<Option<(Head, Frontier)>> {
        self.read(last_head)
    }
    fn audit_links(&self, after_exclusive: u64, limit: usize) -> Answer<Vec<(u64, Hash)>> {
        self.read(move |db| links(db, after_exclusive, limit))
    }
    fn put_head(&self, head: Head, tree: Frontier) -> Answer<()> {
        self.write(move |db, _| {
            // One that was given up while it waited for the disk may be there by now, and says the same.
            db.prepare_cached(
                "INSERT INTO audit_head (size, at_us, root, link, key, signature, frontier) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (size) DO NOTHING",
            )?
            .execute(params![
                signed(head.size),
                head.at.0,
                head.root.0,
                head.link.0,
                head.key.0,
                head.signature,
                tree.bytes()
            ])?;
            Ok(())
        })
    }
    fn last_audited(&self, action: &'static str) -> Answer<Vec<(String, Wall)>> {
        self.read(move |db| {
            let sql = "SELECT subject, max(at_us) FROM audit WHERE action = ?1 GROUP BY subject";
            let mut query = db.prepare_cached(sql)?;
            let all = query.query_map([action], |row| Ok((row.get(0)?, Wall(row.get(1)?))))?;
            Ok(all.collect::<rusqlite::Result<_>>()?)
        })
    }
    fn heads(&self, after_exclusive: u64, limit: usize) -> Answer<Vec<Head>> {
        self.read(move |db| heads(db, after_exclusive, limit))
    }
}
