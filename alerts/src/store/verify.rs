//! Holds the audit and the register of a store to their chain and to signed heads, and the histories of cases to the audit
//! ([`cases`]). Reads only, beside a running service or
//! without one: who is to be checked is not asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::{Connection, OpenFlags, Rows};
use xueliang_base::time::Wall;

use super::{
    STORE_FILE, schema,
    sqlite::chain::{columns, content, heads},
};
use crate::{
    audit::{
        chain::{Content, Frontier, Hash, Source},
        head::Head,
    },
    error::{Error, Result},
};

mod cases;

/// What is wrong, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The first entry that is wrong, or the first of those among which it is; counted from 1 over audit and register.
    pub first: u64,
    /// The last of those among which it is.
    pub last: u64,
    /// What it is, and which entry of which table.
    pub what: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Entries that the chain has.
    pub entries: u64,
    /// Of them, of the audit and of the register.
    pub of: [u64; 2],
    /// Heads of the store that were looked at.
    pub heads: u64,
    /// Heads that were exported and looked at.
    pub exported: u64,
    /// Public keys that signed them, with how many heads each.
    pub keys: BTreeMap<Hash, u64>,
    /// The last head that held: how many entries it stands for, and when it was signed.
    pub sealed: Option<(u64, Wall)>,
    /// Heads that are not what their key signed, or are of another key than was asked for.
    pub false_heads: Vec<String>,
    /// The first entry that is wrong.
    pub wrong: Option<Wrong>,
    /// Entries of the histories of cases that are what was written, up to the first that is not.
    pub histories: u64,
    /// The first entry of a history that is wrong.
    pub wrong_history: Option<String>,
}

impl AuditReport {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.wrong.is_none() && self.wrong_history.is_none() && self.false_heads.is_empty()
    }
}

/// Verifies the audit, the register and the histories of cases of a state folder, the first two against its own heads, and against those that were exported.
/// With a key only heads of that key are believed.
pub fn verify_audit(state_dir: &Path, exported: &[Head], key: Option<Hash>) -> Result<AuditReport> {
    let path = state_dir.join(STORE_FILE);
    if !path.is_file() {
        return Err(Error::NotFound(format!(
            "{} holds no store: there is nothing to verify",
            state_dir.display()
        )));
    }
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.execute_batch("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384")?;
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if usize::try_from(found) != Ok(schema::STORE_STEPS.len()) {
        return Err(Error::Conflict(format!(
            "the store has the schema {found}, this version reads {}: verify it with the version that runs on it",
            schema::STORE_STEPS.len()
        )));
    }
    // All of it as of one moment.
    let moment = db.unchecked_transaction()?;
    verify(&moment, exported, key)
}

/// The same within a transaction.
pub(super) fn verify(db: &Connection, exported: &[Head], key: Option<Hash>) -> Result<AuditReport> {
    let own = heads(db, 0, usize::MAX)?;
    let mut report =
        AuditReport { heads: own.len() as u64, exported: exported.len() as u64, ..AuditReport::default() };
    let heads = believed(&mut report, &own, exported, key);
    let mut walk = Walk { tree: Frontier::default(), link: Hash::ZERO, heads, report };
    let wrong = walk.run(db)?;
    walk.report.entries = walk.tree.size();
    walk.report.wrong = wrong;
    (walk.report.histories, walk.report.wrong_history) = cases::verify(db)?;
    Ok(walk.report)
}

/// Heads that are what their key signed, by size.
fn believed<'a>(
    report: &mut AuditReport,
    own: &'a [Head],
    exported: &'a [Head],
    key: Option<Hash>,
) -> BTreeMap<u64, Vec<(&'a Head, &'static str)>> {
    let mut heads: BTreeMap<u64, Vec<(&Head, &'static str)>> = BTreeMap::new();
    let all =
        own.iter().map(|head| (head, "the store's")).chain(exported.iter().map(|head| (head, "an exported")));
    for (head, whose) in all {
        let told = || format!("{whose} head of {} entries, dated {},", head.size, head.at);
        if !head.is_signed() {
            report.false_heads.push(format!("{} is not what its key signed", told()));
        } else if key.is_some_and(|key| key != head.key) {
            report.false_heads.push(format!(
                "{} is signed by {}, not by the key that was given",
                told(),
                head.key
            ));
        } else {
            *report.keys.entry(head.key).or_default() += 1;
            heads.entry(head.size).or_default().push((head, whose));
        }
    }
    heads
}

/// The entries of one table, in order.
struct Entries<'a> {
    source: Source,
    rows: Rows<'a>,
    next: Option<(i64, Content)>,
    last: i64,
}

impl<'a> Entries<'a> {
    fn new(source: Source, rows: Rows<'a>) -> Result<Self> {
        let mut entries = Self { source, rows, next: None, last: 0 };
        entries.advance()?;
        Ok(entries)
    }
    fn advance(&mut self) -> Result<()> {
        self.last = self.next.as_ref().map_or(self.last, |(id, _)| *id);
        self.next = self.rows.next()?.map(|row| content(self.source, row)).transpose()?;
        Ok(())
    }
}

struct Walk<'a> {
    tree: Frontier,
    link: Hash,
    heads: BTreeMap<u64, Vec<(&'a Head, &'static str)>>,
    report: AuditReport,
}

impl Walk<'_> {
    /// Goes along the chain up to the first entry that is wrong.
    fn run(&mut self, db: &Connection) -> Result<Option<Wrong>> {
        let sql = |source: Source| {
            format!("SELECT entry_id, {} FROM {} ORDER BY entry_id", columns(source), source.word())
        };
        let mut audit = db.prepare(&sql(Source::Audit))?;
        let mut register = db.prepare(&sql(Source::Register))?;
        let mut entries = [
            Entries::new(Source::Audit, audit.query([])?)?,
            Entries::new(Source::Register, register.query([])?)?,
        ];
        let mut chain =
            db.prepare("SELECT link_no, source, entry_id, hash FROM audit_chain ORDER BY link_no")?;
        let mut links = chain.query([])?;
        while let Some(row) = links.next()? {
            let (number, source, id): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let hash = row.get_ref(3)?.as_blob().ok().and_then(Hash::of_bytes);
            let place = self.tree.size() + 1;
            if u64::try_from(number) != Ok(place) {
                return Ok(Some(self.here(format!("link {place} was taken out: the next is {number}"))));
            }
            let (Some(source), Some(hash)) = (Source::of_number(source), hash) else {
                return Ok(Some(self.here(format!("link {place} is none"))));
            };
            let of = &mut entries[source as usize - 1];
            let (table, content) = (
                source.word(),
                match &of.next {
                    Some((found, content)) if *found == id => content,
                    Some((found, _)) if *found < id => {
                        return Ok(Some(self.here(format!(
                            "entry {found} of the {} was put in beside the chain",
                            source.word()
                        ))));
                    }
                    _ => {
                        return Ok(Some(
                            self.here(format!("entry {id} of the {} was taken out", source.word())),
                        ));
                    }
                },
            );
            let link = content.link(&self.link);
            if link != hash {
                let what = format!("entry {id} of the {table} is not what was written, or not where it was");
                let unproven = self.report.sealed.is_none_or(|(sealed, _)| sealed + 1 < place) && place > 1;
                let or =
                    if unproven { " (or the one before was changed together with its link)" } else { "" };
                return Ok(Some(self.here(what + or)));
            }
            of.advance()?;
            self.report.of[source as usize - 1] += 1;
            self.link = link;
            self.tree.push(link);
            if let Some(wrong) = self.hold_to_heads() {
                return Ok(Some(wrong));
            }
        }
        for of in &entries {
            if let Some((id, _)) = &of.next {
                let what = format!("entry {id} of the {} was put in beside the chain", of.source.word());
                return Ok(Some(self.here(what)));
            }
        }
        if let Some((size, heads)) = self.heads.last_key_value().filter(|(size, _)| **size > self.tree.size())
        {
            let (head, whose) = heads[0];
            return Ok(Some(Wrong {
                first: self.tree.size() + 1,
                last: *size,
                what: format!(
                    "the chain ends with entry {}, and {whose} head of {} stands for {size}: what came after was cut off, or \
                     the store was restored from a backup",
                    self.tree.size(),
                    head.at
                ),
            }));
        }
        // The file's own count of numbers ever given.
        for of in &entries {
            let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0)";
            let given: i64 = db.query_row(sql, [of.source.word()], |row| row.get(0))?;
            if given != of.last {
                let what =
                    format!("the {} ends with entry {}, and {given} were written", of.source.word(), of.last);
                return Ok(Some(self.here(what)));
            }
        }
        Ok(None)
    }
    /// A fault of the entry that comes next.
    fn here(&self, what: String) -> Wrong {
        let place = self.tree.size() + 1;
        Wrong { first: place, last: place, what }
    }
    /// Holds what was walked so far to the heads of just so many entries.
    fn hold_to_heads(&mut self) -> Option<Wrong> {
        let size = self.tree.size();
        let heads = self.heads.get(&size)?;
        let root = self.tree.root();
        let before = self.report.sealed.map_or(0, |(sealed, _)| sealed);
        let at: BTreeSet<Wall> = heads.iter().map(|(head, _)| head.at).collect();
        for (head, whose) in heads {
            if head.root != root || head.link != self.link {
                return Some(Wrong {
                    first: before + 1,
                    last: size,
                    what: format!(
                        "{whose} head of {} says otherwise: one of these entries, or more, were written anew with their links, \
                         or the store was restored from a backup",
                        head.at
                    ),
                });
            }
        }
        self.report.sealed = at.last().map(|at| (size, *at));
        None
    }
}

#[cfg(test)]
mod tests;
