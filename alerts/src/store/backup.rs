//! Backups: a consistent copy with a manifest, and the way back under a new epoch.
//!
//! A backup is a folder, readable by its owner only: `store.db`, what others put beside it (the registry and its key),
//! and `manifest.json`, which names them all with their sums and is written last. Evidence files are content-addressed
//! and never change; they are copied by any means, the folder `evidence/` as it is. A restore puts `store.db` in place
//! last: cut off before that, it is simply done again.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::Duration,
};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tracing::info;
use xueliang_base::time::Wall;

use super::{
    STORE_FILE, schema,
    sqlite::{self, file},
};
use crate::{
    error::{Error, Result},
    evidence::files::{disk_space, parent},
};

/// Where copies before a newer schema lie, with the number of the schema that they have.
const COPY_FOLDER: &str = "before-schema-";
/// So many of them are kept.
const KEPT_COPIES: usize = 2;
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
    /// The other files of the backup.
    #[serde(default)]
    pub others: Vec<OtherFile>,
}

/// A file beside the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherFile {
    /// Its name in the backup and in the state folder.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Of its bytes.
    pub sha256: String,
}

/// Makes the folder of a backup, for its owner only: it holds passwords of cameras and their key.
pub fn make_folder(to: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let doing = || format!("make the folder {}", to.display());
    private_folder(to)?;
    if fs::read_dir(to).map_err(Error::io(doing()))?.next().is_some() {
        return Err(Error::Conflict(format!("{} is not empty: name a new folder", to.display())));
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).map_err(Error::io(doing()))
}

fn private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(Error::io(format_args!("make the folder {}", path.display())))
}

/// Copies an open store into a folder made by [`make_folder`] and verifies the copy. `others` lie there already.
pub(super) fn backup(store: &Path, to: &Path, others: &[&str], at: Wall) -> Result<Manifest> {
    let copy = to.join(STORE_FILE);
    if copy.exists() || to.join(MANIFEST_FILE).exists() {
        return Err(Error::Conflict(format!("{} holds a backup already: name a new folder", to.display())));
    }
    let part = to.join("store.db.part");
    remove(&part)?;
    {
        let source = Connection::open(store)?;
        source.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON")?;
        copy_pages(&source, &part)?;
    }
    let (schema, epoch, head) = verify(&part)?;
    sync(&part)?;
    let (sha256, size_bytes) = sum(&part)?;
    let mut listed = Vec::new();
    for name in others {
        let file = to.join(name);
        sync(&file)?;
        let (sha256, size_bytes) = sum(&file)?;
        listed.push(OtherFile { name: (*name).to_owned(), size_bytes, sha256 });
    }
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        schema,
        epoch,
        head,
        taken_unix_us: at.0,
        size_bytes,
        sha256,
        others: listed,
    };
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

/// Copies an open database into a new file.
fn copy_pages(source: &Connection, to: &Path) -> Result<()> {
    let mut target = Connection::open(to)?;
    // All pages in one step: a consistent copy that writers, in WAL mode, need not wait for.
    rusqlite::backup::Backup::new(source, &mut target)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    // The copy is one file: it must not need a log beside it.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    Ok(())
}

/// Keeps a copy of a database, verified, in `before-schema-N/` beside it: what an older version goes on with when the
/// newer one is taken back. Whoever puts the copy in place begins a new epoch, because what came after it is gone. The
/// last [`KEPT_COPIES`] are kept.
pub(super) fn before_migration(db: &Connection, path: &Path, schema: i64) -> Result<()> {
    let folder = parent(path);
    let place = folder.join(format!("{COPY_FOLDER}{schema}"));
    let name = path.file_name().expect("a database is a file");
    let size = fs::metadata(path).map_err(Error::io(format_args!("read {}", path.display())))?.len();
    let free = disk_space(folder)?.free;
    room_for_copy(path, size, free)?;
    private_folder(&place)?;
    let part = place.join(Path::new(name).with_extension("part"));
    remove(&part)?;
    copy_pages(db, &part)?;
    {
        let copy = Connection::open(&part)?;
        copy.execute_batch("PRAGMA synchronous = FULL")?;
        if let Err(error) = sound(&copy, &part) {
            remove(&part)?;
            return Err(error);
        }
        if copy.table_exists(None, "meta")? {
            copy.execute_batch(schema::NEW_EPOCH)?;
        }
    }
    sync(&part)?;
    rename(&part, &place.join(name))?;
    sync(&place)?;
    sync(folder)?;
    info!(schema, copy = %place.display(), "copied before a newer schema");
    forget_older_copies(folder)
}

/// Refuses where there is no room for a copy, and for as much that the migration may write anew.
fn room_for_copy(path: &Path, size: u64, free: u64) -> Result<()> {
    let needed = size.saturating_mul(2);
    if free >= needed {
        return Ok(());
    }
    Err(Error::Exhausted(format!(
        "{} is copied before it is brought to a newer schema: that takes {needed} bytes, and its disk has {free} free; \
         make room, or go on with the version before",
        path.display()
    )))
}

/// Removes all but the copies of the latest schemas.
fn forget_older_copies(folder: &Path) -> Result<()> {
    let doing = || format!("look through {}", folder.display());
    let mut copies = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(doing()))? {
        let name = entry.map_err(Error::io(doing()))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(COPY_FOLDER)?.parse::<u32>().ok());
        copies.extend(number);
    }
    copies.sort_unstable();
    for number in copies.iter().rev().skip(KEPT_COPIES) {
        let old = folder.join(format!("{COPY_FOLDER}{number}"));
        fs::remove_dir_all(&old).map_err(Error::io(format_args!("remove {}", old.display())))?;
    }
    Ok(())
}

/// Copies the store of a state folder, whether a service runs on it or not, into a folder made by [`make_folder`] and
/// verifies the copy. The manifest names the files `others`, which lie in that folder already, too.
pub fn backup_files(state_dir: &Path, to: &Path, others: &[&str], at: Wall) -> Result<Manifest> {
    let store = state_dir.join(STORE_FILE);
    if !store.is_file() {
        return Err(Error::NotFound(format!(
            "{} is missing: there is nothing to back up yet",
            store.display()
        )));
    }
    backup(&store, to, others, at)
}

/// Reads what a backup says about itself.
pub fn read_manifest(from: &Path) -> Result<Manifest> {
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
    Ok(manifest)
}

/// Verifies a backup and puts its files into a state folder that has none of them; the store comes last. It begins a
/// new epoch, so that every console learns that it may have seen what is no longer there. Sessions and one-time tokens of its
/// time no longer count: they may have been ended since.
pub fn restore(from: &Path, state_dir: &Path) -> Result<Manifest> {
    let manifest = read_manifest(from)?;
    let store_file = OtherFile {
        name: STORE_FILE.to_owned(),
        size_bytes: manifest.size_bytes,
        sha256: manifest.sha256.clone(),
    };
    for file in manifest.others.iter().chain([&store_file]) {
        // A manifest could be made by anyone: its names lead nowhere but into the folder.
        if Path::new(&file.name).file_name() != Some(file.name.as_ref()) {
            return Err(Error::DataLoss(format!("the manifest names {:?}: take another backup", file.name)));
        }
        let copy = from.join(&file.name);
        if sum(&copy)? != (file.sha256.clone(), file.size_bytes) {
            let shown = copy.display();
            return Err(Error::DataLoss(format!(
                "{shown} is not what its manifest says: take another backup"
            )));
        }
    }
    fs::create_dir_all(state_dir)
        .map_err(Error::io(format_args!("make the folder {}", state_dir.display())))?;
    let store = state_dir.join(STORE_FILE);
    if store.exists() {
        return Err(Error::Conflict(format!("{} exists: move it away first", store.display())));
    }
    for file in &manifest.others {
        let place = state_dir.join(&file.name);
        // One that is the same was put there by a restore that was cut off.
        if place.exists() && sum(&place)?.0 != file.sha256 {
            return Err(Error::Conflict(format!("{} exists: move it away first", place.display())));
        }
    }
    for file in &manifest.others {
        put(&from.join(&file.name), state_dir, &file.name)?;
    }
    let copy = from.join(STORE_FILE);
    let part = state_dir.join("store.db.part");
    remove(&part)?;
    fs::copy(&copy, &part).map_err(Error::io(format_args!("copy {}", copy.display())))?;
    verify(&part)?;
    {
        let mut db = Connection::open(&part)?;
        db.execute_batch("PRAGMA synchronous = FULL")?;
        // The backup itself is the copy from before.
        schema::migrate(&mut db, "the backup", schema::STORE_STEPS, None)?;
        sqlite::set_new_epoch(&db)?;
        db.execute_batch("DELETE FROM account_session; DELETE FROM account_ticket")?;
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

/// Puts a file into the state folder, whole or not at all, for its owner only. Logs of an earlier database of that name
/// go first.
fn put(from: &Path, state_dir: &Path, name: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let part = state_dir.join(format!("{name}.part"));
    remove(&part)?;
    fs::copy(from, &part)
        .and_then(|_| fs::set_permissions(&part, fs::Permissions::from_mode(0o600)))
        .map_err(Error::io(format_args!("copy {}", from.display())))?;
    sync(&part)?;
    for ending in ["-wal", "-shm"] {
        remove(&state_dir.join(format!("{name}{ending}")))?;
    }
    rename(&part, &state_dir.join(name))?;
    sync(state_dir)
}

/// Whether a database is whole, page by page.
fn sound(db: &Connection, path: &Path) -> Result<()> {
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Error::DataLoss(format!("{} is damaged: {verdict}", path.display())))
}

fn verify(path: &Path) -> Result<(i64, String, u64)> {
    let db = Connection::open(path)?;
    sound(&db, path)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_for_the_copy_is_told_before_anything_is_touched() {
        let path = Path::new("state/store.db");
        assert!(room_for_copy(path, 500, 1000).is_ok());
        let refused = room_for_copy(path, 500, 999).unwrap_err();
        assert!(matches!(&refused, Error::Exhausted(text) if text.contains("1000 bytes")), "{refused}");
    }
}
