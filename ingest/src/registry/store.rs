//! SQLite behind the registry. WAL and `synchronous=FULL`: what was applied is on disk when the call returns.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params,
};
use sha2::{Digest, Sha256};
use tracing::error;
use xueliang_base::{
    config::Config,
    error::ErrorKind,
    id::{CameraId, ConfigRevision, CredentialName, DivisionCode},
    time::Wall,
};

use super::{Revision, Tuning};
use crate::Error;

/// The schema in steps; their number is its version. Every change adds a step.
const STEPS: [&str; 2] = [
    "
CREATE TABLE revision (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    config TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    applied_us INTEGER NOT NULL,
    applied_by TEXT NOT NULL
) STRICT;
CREATE TRIGGER revision_is_never_changed BEFORE UPDATE ON revision
    BEGIN SELECT RAISE(ABORT, 'a configuration revision is immutable: apply a new one'); END;
CREATE TRIGGER revision_is_never_deleted BEFORE DELETE ON revision
    BEGIN SELECT RAISE(ABORT, 'a configuration revision is immutable: apply a new one'); END;
CREATE TABLE division (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    parent TEXT REFERENCES division (code) DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE TABLE camera (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    division TEXT NOT NULL REFERENCES division (code) DEFERRABLE INITIALLY DEFERRED,
    url TEXT NOT NULL,
    credentials TEXT,
    registered_us INTEGER NOT NULL,
    removed_us INTEGER
) STRICT;
CREATE TABLE credential (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;
",
    "
-- Revisions, too: each is the one before with other zones and rules of one camera.
CREATE TABLE tuning (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    camera TEXT NOT NULL,
    rules TEXT NOT NULL,
    set_here INTEGER NOT NULL CHECK (set_here IN (0, 1)),
    made_for BLOB NOT NULL CHECK (length(made_for) = 32),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    row_sha256 BLOB NOT NULL CHECK (length(row_sha256) = 32),
    at_us INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX tuning_of_camera ON tuning (camera, number);
CREATE TRIGGER tuning_is_never_changed BEFORE UPDATE ON tuning
    BEGIN SELECT RAISE(ABORT, 'a configuration revision is immutable: apply a new one'); END;
CREATE TRIGGER tuning_is_never_deleted BEFORE DELETE ON tuning
    BEGIN SELECT RAISE(ABORT, 'a configuration revision is immutable: apply a new one'); END;
",
];

/// A tuning as far as it can be read, and the sum of the configuration that it led to.
type Read = (Result<Tuning, Error>, [u8; 32]);

/// The store, opened.
pub(super) struct Store {
    path: PathBuf,
    db: Connection,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What SQLite says. Its own type stays in here.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFault(rusqlite::Error);

impl StoreFault {
    /// What it means to its caller.
    pub fn kind(&self) -> ErrorKind {
        match self.0.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::DataLoss,
            Some(ErrorCode::DiskFull) => ErrorKind::Exhausted,
            _ => ErrorKind::Unavailable,
        }
    }
}

/// A fault of the store at a place.
fn fault(path: &Path) -> impl Fn(rusqlite::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::Store { path: path.clone(), source: StoreFault(error) }
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let fail = fault(path);
        // Made here, so that nobody else may read it: it names cameras and where they are. Never opened besides SQLite
        // once it exists: closing that descriptor would take SQLite's locks away.
        make_private(path, "make")?;
        let db = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(&fail)?;
        db.busy_timeout(Duration::from_secs(5)).map_err(&fail)?;
        // Before anything is written: a newer store must be left as it is.
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(&fail)?;
        let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(Error::NewerStore { path: path.to_owned(), found, known });
        }
        db.pragma_update(None, "journal_mode", "WAL").map_err(&fail)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(&fail)?;
        db.pragma_update(None, "foreign_keys", "ON").map_err(&fail)?;
        let done = usize::try_from(found).unwrap_or(0);
        let mut store = Self { path: path.to_owned(), db };
        if (1..known).contains(&found) {
            // For whoever goes back to the version before; with the number of the schema that it has.
            let copy = super::beside(path, &format!(".before-schema-{found}"));
            if !copy.exists() {
                store.backup_to(&copy)?;
            }
        }
        let tx = store.db.transaction().map_err(&fail)?;
        for step in &STEPS[done..] {
            tx.execute_batch(step).map_err(&fail)?;
        }
        tx.pragma_update(None, "user_version", known).map_err(&fail)?;
        tx.commit().map_err(&fail)?;
        Ok(store)
    }

    pub(super) fn apply(
        &mut self,
        config: &Config,
        sealed: &BTreeMap<CredentialName, Vec<u8>>,
        kept: impl FnOnce(&BTreeMap<CredentialName, Vec<u8>>) -> bool,
        by: &str,
        now: Wall,
    ) -> Result<(ConfigRevision, bool), Error> {
        let fail = fault(&self.path);
        let (json, sha256) = self.canonical(config)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fail)?;
        let newest = newest_sum(&tx).map_err(&fail)?;
        let number = match newest {
            Some((number, before)) if before == sha256 && kept(&sealed_in(&tx, &self.path)?) => {
                return Ok((ConfigRevision(number.unsigned_abs()), false));
            }
            Some((number, _)) => number + 1,
            None => 1,
        };
        tx.execute(
            "INSERT INTO revision (number, config, sha256, applied_us, applied_by) VALUES (?, ?, ?, ?, ?)",
            params![number, json, sha256, now.0, by],
        )
        .map_err(&fail)?;
        rows(&tx, config, now).map_err(&fail)?;
        tx.execute("DELETE FROM credential", []).map_err(&fail)?;
        for (name, sealed) in sealed {
            tx.execute("INSERT INTO credential (name, sealed) VALUES (?, ?)", params![name.as_str(), sealed])
                .map_err(&fail)?;
        }
        tx.commit().map_err(&fail)?;
        Ok((ConfigRevision(number.unsigned_abs()), true))
    }

    /// A configuration as text, with its sum. Through a value, whose maps are sorted: the same content gives the same bytes.
    fn canonical(&self, config: &Config) -> Result<(String, [u8; 32]), Error> {
        let json = serde_json::to_value(config).and_then(|value| serde_json::to_string(&value));
        let json = json.map_err(|error| self.no_json(&error))?;
        let sum = Sha256::digest(json.as_bytes()).into();
        Ok((json, sum))
    }
    fn no_json(&self, error: &serde_json::Error) -> Error {
        let reason = format!("a configuration does not become JSON ({error})");
        Error::DamagedStore { path: self.path.clone(), reason }
    }

    pub(super) fn newest(&self) -> Result<Option<Revision>, Error> {
        self.upto(i64::MAX)
    }

    pub(super) fn revision(&self, number: ConfigRevision) -> Result<Option<Revision>, Error> {
        let found = self.upto(i64::try_from(number.0).unwrap_or(i64::MAX))?;
        Ok(found.filter(|revision| revision.number == number))
    }

    /// The newest revision up to a number: one that holds a whole configuration, with what was tuned since.
    fn upto(&self, number: i64) -> Result<Option<Revision>, Error> {
        let whole =
            self.one("SELECT * FROM revision WHERE number <= ? ORDER BY number DESC LIMIT 1", [number])?;
        let Some(mut revision) = whole else { return Ok(None) };
        let from = i64::try_from(revision.number.0).unwrap_or(i64::MAX);
        let tuned = self.tunings("number > ? AND number <= ? ORDER BY number", params![from, number])?;
        for (tuning, sum) in tuned {
            let tuning = tuning?;
            revision.sha256 = sum;
            if let Some(camera) = revision.config.cameras.iter_mut().find(|one| one.id == tuning.camera) {
                tuning.rules.put_into(camera);
            }
            (revision.number, revision.applied, revision.by) = (tuning.number, tuning.at, tuning.by);
        }
        Ok(Some(revision))
    }

    /// Keeps other zones and rules of one camera as the next revision, `config`, which has them.
    pub(super) fn tune(&mut self, tuning: &Tuning, config: &Config) -> Result<ConfigRevision, Error> {
        let fail = fault(&self.path);
        let (_, sha256) = self.canonical(config)?;
        let rules = serde_json::to_string(&tuning.rules).map_err(|error| self.no_json(&error))?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fail)?;
        let number = newest_sum(&tx).map_err(&fail)?.map_or(1, |(number, _)| number + 1);
        tx.execute(
            "INSERT INTO tuning (number, camera, rules, set_here, made_for, sha256, row_sha256, at_us, set_by, why)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                number,
                tuning.camera.as_str(),
                rules,
                tuning.set_here,
                tuning.made_for,
                sha256,
                row_sum(tuning.camera.as_str(), &rules, tuning.set_here, &tuning.made_for),
                tuning.at.0,
                tuning.by,
                tuning.why,
            ],
        )
        .map_err(&fail)?;
        tx.commit().map_err(&fail)?;
        Ok(ConfigRevision(number.unsigned_abs()))
    }

    /// What was tuned last of each camera. One that cannot be read is told in the log, and keeps no service from starting.
    pub(super) fn latest_tunings(&self) -> Result<Vec<Tuning>, Error> {
        let latest = "number IN (SELECT max(number) FROM tuning GROUP BY camera)";
        let mut read = Vec::new();
        for (tuning, _) in self.tunings(latest, [])? {
            match tuning {
                Ok(tuning) => read.push(tuning),
                Err(error) => {
                    error!(%error, "rules that were set of a camera cannot be read: the configuration file counts");
                }
            }
        }
        Ok(read)
    }

    /// What was tuned of a camera, newest first.
    pub(super) fn tunings_of(&self, camera: &CameraId, limit: usize) -> Result<Vec<Tuning>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let of = "camera = ? ORDER BY number DESC LIMIT ?";
        self.tunings(of, params![camera.as_str(), limit])?.into_iter().map(|(tuning, _)| tuning).collect()
    }

    /// Tunings, each as far as it can be read, with the sums of the configurations that they led to.
    fn tunings(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<Read>, Error> {
        type Fields = (i64, String, String, bool, [u8; 32], [u8; 32], [u8; 32], i64, String, String);
        let fail = fault(&self.path);
        let sql = format!(
            "SELECT number, camera, rules, set_here, made_for, sha256, row_sha256, at_us, set_by, why FROM tuning \
             WHERE {which}"
        );
        let mut statement = self.db.prepare(&sql).map_err(&fail)?;
        let row = |row: &Row<'_>| {
            let fields: Fields = (
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
                row.get(8)?,
                row.get(9)?,
            );
            Ok(fields)
        };
        let mut found = Vec::new();
        for row in statement.query_map(parameters, row).map_err(&fail)? {
            let (number, camera, rules, set_here, made_for, sha256, sum, at_us, by, why) =
                row.map_err(&fail)?;
            let damaged = |reason: String| Error::DamagedStore {
                path: self.path.clone(),
                reason: format!("revision {number} cannot be read ({reason})"),
            };
            let read = || {
                if row_sum(&camera, &rules, set_here, &made_for) != sum {
                    return Err(damaged("it does not have the checksum it was stored with".to_owned()));
                }
                Ok(Tuning {
                    number: ConfigRevision(number.unsigned_abs()),
                    camera: camera
                        .parse()
                        .map_err(|error: xueliang_base::id::IdError| damaged(error.to_string()))?,
                    rules: serde_json::from_str(&rules).map_err(|error| damaged(error.to_string()))?,
                    set_here,
                    made_for,
                    at: Wall(at_us),
                    by: by.clone(),
                    why: why.clone(),
                })
            };
            found.push((read(), sha256));
        }
        Ok(found)
    }

    fn one(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Option<Revision>, Error> {
        let row = |row: &Row<'_>| {
            let fields: (i64, String, [u8; 32], i64, String) = (
                row.get("number")?,
                row.get("config")?,
                row.get("sha256")?,
                row.get("applied_us")?,
                row.get("applied_by")?,
            );
            Ok(fields)
        };
        let found = self.db.query_row(sql, parameters, row).optional().map_err(fault(&self.path))?;
        let Some((number, json, sha256, applied_us, by)) = found else { return Ok(None) };
        let damaged = |reason: String| Error::DamagedStore { path: self.path.clone(), reason };
        if Sha256::digest(json.as_bytes())[..] != sha256 {
            return Err(damaged(format!("revision {number} does not have the checksum it was stored with")));
        }
        let config = serde_json::from_str(&json)
            .map_err(|error| damaged(format!("revision {number} cannot be read ({error})")))?;
        Ok(Some(Revision {
            number: ConfigRevision(number.unsigned_abs()),
            config,
            applied: Wall(applied_us),
            by,
            sha256,
        }))
    }

    pub(super) fn holds_secrets(&self) -> Result<bool, Error> {
        self.db
            .query_row("SELECT EXISTS (SELECT 1 FROM credential)", [], |row| row.get(0))
            .map_err(fault(&self.path))
    }

    pub(super) fn sealed(&self) -> Result<BTreeMap<CredentialName, Vec<u8>>, Error> {
        sealed_in(&self.db, &self.path)
    }

    pub(super) fn backup_to(&self, path: &Path) -> Result<(), Error> {
        let file = |doing| move |source| Error::File { doing, path: path.to_owned(), source };
        if path.exists() {
            return Err(file("back up to")(io::ErrorKind::AlreadyExists.into()));
        }
        let part = super::beside(path, ".part");
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file("clear the way to")(error));
            }
            _ => {}
        }
        make_private(&part, "back up to")?;
        let verdict = self.copy_to(&part).map_err(fault(&part))?;
        if verdict != "ok" {
            return Err(Error::DamagedStore { path: part, reason: verdict });
        }
        let synced = File::open(&part).and_then(|copy| copy.sync_all());
        let renamed = synced.and_then(|()| fs::rename(&part, path));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        renamed.and_then(|()| File::open(folder)?.sync_all()).map_err(file("finish the backup"))
    }

    /// Copies into an empty file and says how the copy is: `ok`, or what is wrong with it.
    fn copy_to(&self, path: &Path) -> rusqlite::Result<String> {
        let mut copy = Connection::open(path)?;
        // The store is small: all pages in one step, without letting writers in between; again while it is busy.
        let backup = rusqlite::backup::Backup::new(&self.db, &mut copy)?;
        backup.run_to_completion(i32::MAX, Duration::from_millis(20), None)?;
        drop(backup);
        // The copy is one file: it must not need a log beside it.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
    }
}

/// The sum of a tuning as it stands in the store, whatever a later version makes of a configuration.
fn row_sum(camera: &str, rules: &str, set_here: bool, made_for: &[u8; 32]) -> [u8; 32] {
    let mut sum = Sha256::new();
    for part in [camera.as_bytes(), rules.as_bytes(), &[u8::from(set_here)], made_for] {
        sum.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        sum.update(part);
    }
    sum.finalize().into()
}

/// Number and sum of the newest revision, whether it holds a whole configuration or what was tuned.
fn newest_sum(db: &Connection) -> rusqlite::Result<Option<(i64, [u8; 32])>> {
    let sql = "SELECT number, sha256 FROM revision UNION ALL SELECT number, sha256 FROM tuning ORDER BY number DESC LIMIT 1";
    db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

fn sealed_in(db: &Connection, path: &Path) -> Result<BTreeMap<CredentialName, Vec<u8>>, Error> {
    let fail = fault(path);
    let mut statement = db.prepare("SELECT name, sealed FROM credential").map_err(&fail)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).map_err(&fail)?;
    let mut sealed = BTreeMap::new();
    for row in rows {
        let (name, bytes) = row.map_err(&fail)?;
        let name = name.parse().map_err(|error: xueliang_base::id::IdError| Error::DamagedStore {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        sealed.insert(name, bytes);
    }
    Ok(sealed)
}

/// Makes an empty file that only we may read, where there is none.
fn make_private(path: &Path, doing: &'static str) -> Result<(), Error> {
    match OpenOptions::new().append(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::File { doing, path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Keeps others from opening the registry at the same time, as long as the file lives: SQLite gives up at once where
/// two switch a new store to WAL.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let open = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let locked = open.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| Error::File { doing: "lock", path: path.to_owned(), source })
}

/// What a stranger with the file can do to the store: runs SQL, gives the first number of the first row, if any.
#[cfg(test)]
pub(super) fn stranger(path: &Path, sql: &str) -> Result<Option<i64>, String> {
    let db = Connection::open(path).map_err(|error| error.to_string())?;
    if sql.starts_with("SELECT") {
        return db.query_row(sql, [], |row| row.get(0)).optional().map_err(|error| error.to_string());
    }
    db.execute_batch(sql).map(|()| None).map_err(|error| error.to_string())
}

/// Divisions and cameras as rows. A camera that is gone keeps its row, marked, so that old alerts find its name.
fn rows(tx: &Transaction<'_>, config: &Config, now: Wall) -> Result<(), rusqlite::Error> {
    for division in &config.divisions {
        tx.execute(
            "INSERT INTO division (code, name, parent) VALUES (?1, ?2, ?3)
             ON CONFLICT (code) DO UPDATE SET name = ?2, parent = ?3",
            params![
                division.code.as_str(),
                division.name,
                division.parent.as_ref().map(DivisionCode::as_str)
            ],
        )?;
    }
    tx.execute("UPDATE camera SET removed_us = ? WHERE removed_us IS NULL", [now.0])?;
    for camera in &config.cameras {
        tx.execute(
            "INSERT INTO camera (id, name, division, url, credentials, registered_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET name = ?2, division = ?3, url = ?4, credentials = ?5, removed_us = NULL",
            params![
                camera.id.as_str(),
                camera.name,
                camera.division.as_str(),
                camera.stream.url.as_str(),
                camera.stream.credentials.as_ref().map(CredentialName::as_str),
                now.0,
            ],
        )?;
    }
    Ok(())
}
