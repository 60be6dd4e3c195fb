//! Files named by what is in them: `<first two digits>/<sha256>`, written beside, synced, renamed.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
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
}

impl Files {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .map_err(Error::io(format_args!("make the folder {}", folder.display())))?;
        Ok(Self { folder: folder.to_owned(), crew: Crew::spawn("evidence", 2, 64, || ())? })
    }
    /// Where the bytes of a checksum lie.
    pub(crate) fn path(&self, sum: Sha256) -> PathBuf {
        let name = sum.to_string();
        self.folder.join(&name[..2]).join(name)
    }
    /// Stores bytes after checking their sum; on disk when the answer comes.
    pub(crate) async fn write(&self, sum: Sha256, data: Bytes) -> Result<()> {
        let path = self.path(sum);
        self.crew.run(move |()| write(&path, sum, &data)).await?
    }
    /// Reads bytes and checks their sum: damaged ones are never returned.
    pub(crate) async fn read(&self, sum: Sha256) -> Result<Bytes> {
        let path = self.path(sum);
        self.crew.run(move |()| read(&path, sum)).await?
    }
    /// Deletes a file and sees to it that it is gone.
    pub(crate) async fn delete(&self, sum: Sha256) -> Result<()> {
        let path = self.path(sum);
        self.crew.run(move |()| delete(&path)).await?
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("every file lies in a folder of ours")
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io(format_args!("sync the folder {}", folder.display())))
}

fn write(path: &Path, sum: Sha256, data: &[u8]) -> Result<()> {
    if Sha256::of(data) != sum {
        return Err(Error::Invalid("the bytes do not have the checksum told: send them again".to_owned()));
    }
    let doing = || format!("write {}", path.display());
    let folder = parent(path);
    if !folder.exists() {
        fs::create_dir_all(folder).map_err(Error::io(doing()))?;
        sync_folder(parent(folder))?;
    }
    if path.exists() && read(path, sum).is_ok() {
        return Ok(());
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
    sync_folder(folder)
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
        sync_folder(folder)?;
    }
    if path.exists() {
        return Err(Error::Unavailable(format!("{} is still there after its deletion", path.display())));
    }
    Ok(())
}
