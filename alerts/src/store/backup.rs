//! Backups: a consistent copy with a manifest, and the way back under a new epoch.
//!
//! A backup is a folder: `store.db` and `manifest.json`. Evidence files are content-addressed and never change;
//! they are copied by any means, the folder `evidence/` as it is.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::Duration,
};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use xueliang_base::time::Wall;

use super::{
    STORE_FILE, schema,
    sqlite::{self, file},
};
use crate::error::{Error, Result};

const MANIFEST_FILE: &str = "manifest.json";
const FORMAT: &str = "xueliang-backup-1";

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `xueliang-backup-1`.
    pub format: String,
    /// Schema of the copy.
    pub schema: i64,
    /// Epoch it was taken in; a restored store begins another.
    pub epoch: String,
    /// Last place of the feed that it holds.
    pub head: u64,
    /// When it was taken.
    pub taken_unix_us: i64,
    /// Size of the copy.
    pub size_bytes: u64,
    /// Of the copy.
    pub sha256: String,
}

/// Copies an open store into a new folder and verifies the copy.
pub(super) fn backup(store: &Path, to: &Path, at: Wall) -> Result<Manifest> {
    fs::create_dir_all(to).map_err(Error::io(format_args!("make the folder {}", to.display())))?;
    let copy = to.join(STORE_FILE);
    if copy.exists() || to.join(MANIFEST_FILE).exists() {
        return Err(Error::Conflict(format!("{} holds a backup already: name a new folder", to.display())));
    }
    let part = to.join("store.db.part");
    remove(&part)?;
    {
        let source = Connection::open(store)?;
        source.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON")?;
        let mut target = Connection::open(&part)?;
        // All pages in one step: a consistent copy that writers, in WAL mode, need not wait for.
        rusqlite::backup::Backup::new(&source, &mut target)?.run_to_completion(
            i32::MAX,
            Duration::ZERO,
            None,
        )?;
        // The copy is one file: it must not need a log beside it.
        target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    }
    let (schema, epoch, head) = verify(&part)?;
    sync(&part)?;
    let (sha256, size_bytes) = sum(&part)?;
    let manifest =
        Manifest { format: FORMAT.to_owned(), schema, epoch, head, taken_unix_us: at.0, size_bytes, sha256 };
    rename(&part, &copy)?;
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Error::Internal(format!("write the manifest: {error}")))?;
    let file = to.join("manifest.json.part");
    fs::write(&file, text).map_err(Error::io(format_args!("write {}", file.display())))?;
    sync(&file)?;
    rename(&file, &to.join(MANIFEST_FILE))?;
    sync(to)?;
    Ok(manifest)
}

/// Copies the store of a state folder, whether a service runs on it or not, into a new folder and verifies the copy.
pub fn backup_files(state_dir: &Path, to: &Path, at: Wall) -> Result<Manifest> {
    let store = state_dir.join(STORE_FILE);
    if !store.is_file() {
        return Err(Error::NotFound(format!(
            "{} is missing: there is nothing to back up yet",
            store.display()
        )));
    }
    backup(&store, to, at)
}

/// Verifies a backup and makes it the store of a state folder that has none. The store begins a new epoch, so
/// that every console learns that it may have seen what is no longer there.
pub fn restore(from: &Path, state_dir: &Path) -> Result<Manifest> {
    let manifest_file = from.join(MANIFEST_FILE);
    let text = fs::read(&manifest_file).map_err(|error| {
        Error::NotFound(format!("{} is no backup: read {MANIFEST_FILE}: {error}", from.display()))
    })?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| Error::DataLoss(format!("{} is damaged: {error}", manifest_file.display())))?;
    if manifest.format != FORMAT {
        let format = &manifest.format;
        return Err(Error::Invalid(format!(
            "the backup has the format {format:?}, this version reads {FORMAT:?}"
        )));
    }
    let copy = from.join(STORE_FILE);
    let found = sum(&copy)?;
    if found != (manifest.sha256.clone(), manifest.size_bytes) {
        let shown = copy.display();
        return Err(Error::DataLoss(format!("{shown} is not what its manifest says: take another backup")));
    }
    fs::create_dir_all(state_dir)
        .map_err(Error::io(format_args!("make the folder {}", state_dir.display())))?;
    let store = state_dir.join(STORE_FILE);
    if store.exists() {
        return Err(Error::Conflict(format!("{} exists: move it away first", store.display())));
    }
    let part = state_dir.join("store.db.part");
    remove(&part)?;
    fs::copy(&copy, &part).map_err(Error::io(format_args!("copy {}", copy.display())))?;
    verify(&part)?;
    {
        let mut db = Connection::open(&part)?;
        db.execute_batch("PRAGMA synchronous = FULL")?;
        schema::migrate(&mut db, "the backup", schema::STORE_STEPS)?;
        sqlite::set_new_epoch(&db)?;
    }
    // A log of an earlier store of this folder must not be taken for this one's.
    for ending in ["-wal", "-shm"] {
        remove(&state_dir.join(format!("{STORE_FILE}{ending}")))?;
    }
    sync(&part)?;
    rename(&part, &store)?;
    sync(state_dir)?;
    Ok(manifest)
}

fn verify(path: &Path) -> Result<(i64, String, u64)> {
    let db = Connection::open(path)?;
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Error::DataLoss(format!("{} is damaged: {verdict}", path.display())));
    }
    let schema: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(schema::STORE_STEPS.len()).expect("there are a handful of steps");
    if schema > known {
        return Err(Error::Newer { what: path.display().to_string(), found: schema, known });
    }
    let epoch = file::meta(&db, "epoch")?.unwrap_or_default();
    let epoch = epoch.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((schema, epoch, file::head_of(&db)?))
}

fn sum(path: &Path) -> Result<(String, u64)> {
    use sha2::Digest as _;
    let doing = || format!("read {}", path.display());
    let mut file = File::open(path).map_err(Error::io(doing()))?;
    let mut digest = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).map_err(Error::io(doing()))?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        size += read as u64;
    }
    let sum = xueliang_base::alert::Sha256(digest.finalize().into());
    Ok((sum.to_string(), size))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format_args!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::io(format_args!("rename {}", from.display())))
}

/// Brings a file or folder to disk.
fn sync(path: &Path) -> Result<()> {
    let doing = || format!("sync {}", path.display());
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io(doing()))
}
