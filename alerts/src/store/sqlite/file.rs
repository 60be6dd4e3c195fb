//! One SQLite file: opening it, its errors, its reader connections.
//!
//! After an error of the disk a connection is dropped, because the kernel reports a failed fsync once and then
//! calls the lost pages clean. What is opened next first writes the whole log back into the database through
//! new descriptors and empties it ([`settle`]); only then is a commit tried again. Otherwise new commits would lie
//! behind frames that are not on disk, and a cut of the power would take them along. The log that an earlier
//! process left is settled the same way: nobody knows how its last fsync went.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::super::schema;
use crate::error::{Error, Result};

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        match code {
            Some(ErrorCode::DiskFull) => Error::Exhausted(format!(
                "the disk of the store is full: make room, nothing was stored ({error})"
            )),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Error::Unavailable(format!(
                    "the store cannot be written: check its folder and disk ({error})"
                ))
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed) => {
                Error::Unavailable(format!("the disk of the store fails: check it ({error})"))
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Unavailable(format!("the store is busy: try again ({error})"))
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Error::DataLoss(format!("the store is damaged: restore a backup ({error})"))
            }
            _ => Error::Internal(format!("the store: {error}")),
        }
    }
}

/// Whether the storage itself failed, and the connection with it.
pub(super) fn storage_failed(error: &Error) -> bool {
    matches!(error, Error::Exhausted(_) | Error::Unavailable(_) | Error::DataLoss(_))
}

/// A file that can be opened again and again.
#[derive(Debug, Clone)]
pub(in super::super) struct DbFile {
    pub(in super::super) path: PathBuf,
    /// What errors call it.
    pub(in super::super) what: String,
    pub(in super::super) steps: &'static [&'static str],
    pub(in super::super) max_pages: Option<Arc<AtomicU32>>,
    /// Name of SQLite's VFS; its own where there is none.
    pub(in super::super) vfs: Option<String>,
}

impl DbFile {
    /// Opens the file for commits, makes it where there is none, and brings it to the latest schema. Nothing is
    /// written behind a log that may not be on disk.
    pub(in super::super) fn open(&self) -> Result<Connection> {
        let mut db = self.connect()?;
        settle(&db)?;
        if let Some(pages) = &self.max_pages {
            let pages = pages.load(Ordering::Relaxed);
            db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        }
        schema::migrate(&mut db, &self.what, self.steps, Some(&self.path))?;
        Ok(db)
    }
    /// A connection that commits nothing: for checkpoints.
    pub(super) fn connect(&self) -> Result<Connection> {
        let db = self.connection(OpenFlags::default())?;
        pragmas(&db)?;
        db.execute_batch("PRAGMA wal_autocheckpoint = 0")?;
        Ok(db)
    }
    fn connection(&self, flags: OpenFlags) -> Result<Connection> {
        Ok(match &self.vfs {
            None => Connection::open_with_flags(&self.path, flags)?,
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_str())?,
        })
    }
}

/// Takes the lock that says which process has the files beside it open. `who` is what errors call that one.
pub(in super::super) fn lock(path: &Path, who: &str) -> Result<fs::File> {
    let doing = || format!("lock {}", path.display());
    let open = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = open.map_err(Error::io(doing()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Conflict(format!(
            "{} is in use by another {who}: stop that one first",
            path.display()
        ))),
        Err(fs::TryLockError::Error(error)) => Err(Error::io(doing())(error)),
    }
}

fn pragmas(db: &Connection) -> Result<()> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // Half a MiB of pages a connection: the system caches the file as well, and memory is to settle soon.
    db.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; \
         PRAGMA cache_size = -512",
    )?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Writes the whole log back into the database and empties it; fails where either fails.
fn settle(db: &Connection) -> Result<()> {
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Err(Error::Unavailable(
            "the store's log is still being read, by a backup, say: it is tried again".to_owned(),
        ));
    }
    Ok(())
}

/// A connection that only reads, opened when first needed and again after an error of the disk.
pub(in super::super) struct Reader {
    file: DbFile,
    db: Option<Connection>,
}

impl Reader {
    pub(in super::super) fn new(file: DbFile) -> Self {
        Self { file, db: None }
    }
    pub(in super::super) fn with<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let db = match self.db.take() {
            Some(db) => db,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let db = self.file.connection(flags)?;
                pragmas(&db)?;
                db.execute_batch("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0")?;
                db
            }
        };
        let result = work(&db);
        if !result.as_ref().is_err_and(storage_failed) {
            self.db = Some(db);
        }
        result
    }
}

/// A value of the table `meta`.
pub(in super::super) fn meta(db: &Connection, key: &str) -> Result<Option<Vec<u8>>> {
    Ok(db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

/// Sets a value of the table `meta`.
pub(super) fn set_meta(db: &Connection, key: &str, value: &[u8]) -> Result<()> {
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", (key, value))?;
    Ok(())
}

/// The last place of the feed, trimmed rows included.
pub(in super::super) fn head_of(db: &Connection) -> Result<u64> {
    let head: i64 = db.query_row("SELECT coalesce(max(seq), 0) FROM alert_state", [], |row| row.get(0))?;
    Ok(super::convert::unsigned(head))
}

/// Rows up to here may have been trimmed.
pub(super) fn trimmed_of(db: &Connection) -> Result<u64> {
    let bytes = meta(db, "trimmed_to")?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    Ok(bytes.map_or(0, u64::from_be_bytes))
}
