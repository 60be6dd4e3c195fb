//! Files named by what is in them: `<first two digits>/<sha256>`, written beside, synced, renamed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use xueliang_base::alert::Sha256;

use crate::{
    crew::Crew,
    error::{Error, Result},
};

/// A folder of content-addressed files, worked on by threads of its own.
pub(crate) struct Files {
    folder: PathBuf,
    crew: Crew<()>,
    /// Folders whose own entry is known to be on disk.
    shelves: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Files {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .map_err(Error::io(format_args!("make the folder {}", folder.display())))?;
        let crew = Crew::spawn("evidence", 2, 64, || ())?;
        Ok(Self { folder: folder.to_owned(), crew, shelves: Arc::default() })
    }
    /// Where the bytes of a checksum lie.
    pub(crate) fn path(&self, sum: Sha256) -> PathBuf {
        let name = sum.to_string();
        self.folder.join(&name[..2]).join(name)
    }
    /// Stores bytes after checking their sum; on disk when the answer comes.
    pub(crate) async fn write(&self, sum: Sha256, data: Bytes) -> Result<()> {
        let (path, shelves) = (self.path(sum), Arc::clone(&self.shelves));
        self.crew.run(move |()| write(&path, sum, &data, &shelves)).await?
    }
    /// Reads bytes and checks their sum: damaged ones are never returned.
    pub(crate) async fn read(&self, sum: Sha256) -> Result<Bytes> {
        let path = self.path(sum);
        self.crew.run(move |()| read(&path, sum)).await?
    }
    /// What is free on the disk of the folder, and how large that disk is.
    pub(crate) async fn disk(&self) -> Result<DiskSpace> {
        let folder = self.folder.clone();
        self.crew.run(move |()| disk_space(&folder)).await?
    }
    /// Deletes a file and sees to it that it is gone.
    pub(crate) async fn delete(&self, sum: Sha256) -> Result<()> {
        let path = self.path(sum);
        self.crew.run(move |()| delete(&path)).await?
    }
}

/// Bytes of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskSpace {
    /// What may still be written, without what is kept for the superuser.
    pub(crate) free: u64,
    /// All of it.
    pub(crate) total: u64,
}

/// The space of the disk that a folder lies on.
pub(crate) fn disk_space(folder: &Path) -> Result<DiskSpace> {
    let facts = rustix::fs::statvfs(folder).map_err(|error| {
        Error::io(format_args!("ask for the free space of {}", folder.display()))(error.into())
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
    Ok(DiskSpace { free: bytes(facts.f_bavail), total: bytes(facts.f_blocks) })
}

/// The folder of a file.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().expect("every file lies in a folder of ours")
}

/// Brings a file or folder to disk, through a descriptor of its own.
fn sync(path: &Path) -> Result<()> {
    #[cfg(test)]
    synced::note(path);
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::io(format_args!("sync {}", path.display())))
}

/// Sees to it that a folder is there and on disk.
fn shelve(folder: &Path, known: &Mutex<BTreeSet<PathBuf>>) -> Result<()> {
    // Held while it is made: another writer must not take it for being on disk.
    let mut known = known.lock().expect("no code panics while it holds this lock");
    if known.contains(folder) && folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(Error::io(format_args!("make the folder {}", folder.display())))?;
    sync(parent(folder))?;
    known.insert(folder.to_owned());
    Ok(())
}

fn write(path: &Path, sum: Sha256, data: &[u8], shelves: &Mutex<BTreeSet<PathBuf>>) -> Result<()> {
    if Sha256::of(data) != sum {
        return Err(Error::Invalid("the bytes do not have the checksum told: send them again".to_owned()));
    }
    let doing = || format!("write {}", path.display());
    let folder = parent(path);
    shelve(folder, shelves)?;
    if path.exists() && read(path, sum).is_ok() {
        // Whoever wrote it may have been cut off before it was on disk.
        sync(path)?;
        return sync(folder);
    }
    // One name a thread: two writers of the same bytes do not meet in one file.
    let part = path.with_extension(format!("{:?}.part", std::thread::current().id()));
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(data)?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    if let Err(error) = written {
        // What is left of it takes room, and nothing names it.
        let _removed = fs::remove_file(&part);
        return Err(Error::io(doing())(error));
    }
    sync(folder)
}

fn read(path: &Path, sum: Sha256) -> Result<Bytes> {
    let data = fs::read(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Error::DataLoss(format!("{} is missing: restore it from a backup", path.display()))
        } else {
            Error::io(format_args!("read {}", path.display()))(error)
        }
    })?;
    if Sha256::of(&data) != sum {
        return Err(Error::DataLoss(format!("{} is damaged: restore it from a backup", path.display())));
    }
    Ok(data.into())
}

fn delete(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(format_args!("delete {}", path.display()))(error));
        }
        _ => {}
    }
    if let Some(folder) = path.parent().filter(|folder| folder.exists()) {
        sync(folder)?;
    }
    if path.exists() {
        return Err(Error::Unavailable(format!("{} is still there after its deletion", path.display())));
    }
    Ok(())
}

/// What was brought to disk, for tests: whether an fsync was made cannot be seen afterwards.
#[cfg(test)]
mod synced {
    use std::{
        path::{Path, PathBuf},
        sync::Mutex,
    };

    static SYNCED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub(super) fn note(path: &Path) {
        SYNCED.lock().unwrap().push(path.to_owned());
    }
    pub(super) fn take(under: &Path) -> Vec<PathBuf> {
        let mut all = SYNCED.lock().unwrap();
        let (found, others) = all.drain(..).partition(|path| path.starts_with(under));
        *all = others;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_there_already_is_brought_to_disk_before_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let data = Bytes::from_static(b"picture");
        let sum = Sha256::of(&data);
        // As an earlier process left it that was killed before its last fsync.
        let path = Files::open(folder.path()).unwrap().path(sum);
        fs::create_dir(parent(&path)).unwrap();
        fs::write(&path, &data).unwrap();
        let files = Files::open(folder.path()).unwrap();
        files.write(sum, data.clone()).await.unwrap();
        let shelf = parent(&path).to_owned();
        assert_eq!(synced::take(folder.path()), [folder.path().to_owned(), path.clone(), shelf.clone()]);
        files.write(sum, data).await.unwrap();
        assert_eq!(synced::take(folder.path()), [path, shelf]);
    }
}
