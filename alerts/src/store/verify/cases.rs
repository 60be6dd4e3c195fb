//! Holds the histories of cases to the audit, which has the checksum of each of their entries.
//!
//! Both are written in one transaction and in one order, so that the first entry of the one belongs to the first of the other,
//! and so on. They are walked side by side, up to the first that is wrong.

use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest as _, Sha256};
use xueliang_base::alert::Sha256 as Sum;

use crate::error::Result;

/// An entry of a history, as the file has it.
struct Entry {
    number: String,
    revision: i64,
    /// What it says is what its checksum was made of.
    whole: bool,
    hash: Vec<u8>,
}

/// How many entries are what was written, and what is wrong with the first that is not.
pub(super) fn verify(db: &Connection) -> Result<(u64, Option<String>)> {
    let mut audited = db.prepare("SELECT subject FROM audit WHERE action = 'case' ORDER BY entry_id")?;
    let mut audited = audited.query_map([], |row| row.get::<_, String>(0))?;
    let mut kept = db.prepare(
        "SELECT coalesce(f.number, ''), e.revision, e.content, e.prev_hash, e.hash FROM case_event e \
         LEFT JOIN case_file f USING (case_id) ORDER BY e.event_id",
    )?;
    let mut kept = kept.query_map([], |row| {
        let blob = |at| row.get_ref(at)?.as_blob().map_err(|_| rusqlite::Error::InvalidQuery);
        let hash = blob(4)?.to_vec();
        let made: [u8; 32] = Sha256::new().chain_update(blob(3)?).chain_update(blob(2)?).finalize().into();
        Ok(Entry { number: row.get(0)?, revision: row.get(1)?, whole: made[..] == hash[..], hash })
    })?;
    let mut entries = 0;
    loop {
        let (said, entry) = (audited.next().transpose()?, kept.next().transpose()?);
        let (said, entry) = match (said, entry) {
            (None, None) => return Ok((entries, None)),
            (None, Some(entry)) => return Ok((entries, Some(put_in(&entry)))),
            (Some(said), None) => return Ok((entries, Some(taken_out(&said)))),
            (Some(said), Some(entry)) => (said, entry),
        };
        let named = format!("{} {} ", entry.number, entry.revision);
        if !said.starts_with(&named) {
            let is_there = is_there(db, &said)?;
            return Ok((entries, Some(if is_there { put_in(&entry) } else { taken_out(&said) })));
        }
        let sum = <[u8; 32]>::try_from(entry.hash).ok().map(Sum);
        let same = sum.is_some_and(|sum| said == format!("{named}sha256:{sum}"));
        if !entry.whole || !same {
            let Entry { number, revision, .. } = entry;
            return Ok((
                entries,
                Some(format!("entry {revision} of the case {number} is not what was written")),
            ));
        }
        entries += 1;
    }
}

/// Whether the file has the entry that the audit tells of.
fn is_there(db: &Connection, said: &str) -> Result<bool> {
    let mut words = said.split(' ');
    let (number, revision) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut find = db.prepare_cached(
        "SELECT 1 FROM case_file f JOIN case_event e USING (case_id) WHERE f.number = ?1 AND CAST(e.revision AS TEXT) = ?2",
    )?;
    Ok(find.query_row([number, revision], |_| Ok(())).optional()?.is_some())
}

fn put_in(Entry { number, revision, .. }: &Entry) -> String {
    format!(
        "entry {revision} of the case {number} was put in, or is not where it was: the audit tells of none there"
    )
}

fn taken_out(said: &str) -> String {
    let mut words = said.split(' ');
    let (number, revision) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    format!(
        "entry {revision} of the case {number} was taken out, or is not where it was: the audit tells of it"
    )
}
