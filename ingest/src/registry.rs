//! The registry: divisions, cameras, credentials and the configuration revisions that all parts run by.
//!
//! A revision is immutable: content as canonical JSON with its SHA-256, numbered from 1. Applying the content that is
//! in force with the credentials that are stored changes nothing; anything else makes the next revision. Secrets are sealed with a key that stands in a
//! file of its own beside the store (`registry.db.key`, mode 0600): a copy of the store alone opens nothing. Back up both.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use xueliang_base::{
    config::Config,
    id::{ConfigRevision, CredentialName},
    time::{SharedClock, Wall},
};

use crate::{Credentials, Error};

mod secret;
mod store;
#[cfg(test)]
mod tests;

use secret::Key;
use store::Store;
pub use store::StoreFault;

/// One applied configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Its number.
    pub number: ConfigRevision,
    /// Its content.
    pub config: Config,
    /// When it was applied.
    pub applied: Wall,
    /// Who applied it.
    pub by: String,
    /// SHA-256 of its canonical JSON.
    pub sha256: [u8; 32],
}

/// The registry's store, opened. Its methods block on the disk.
#[derive(Debug)]
pub struct Registry {
    store: Store,
    key: Key,
    key_file: PathBuf,
    clock: SharedClockDebug,
}

struct SharedClockDebug(SharedClock);

impl std::fmt::Debug for SharedClockDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The file of that name with an ending added.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

impl Registry {
    /// Opens the store, or makes it, with its key file beside it (same name and `.key`).
    pub fn open(path: &Path, clock: SharedClock) -> Result<Self, Error> {
        let key_file = beside(path, ".key");
        let _opening = store::lock(&beside(path, ".lock"))?;
        let store = Store::open(path)?;
        let key = Key::load_or_make(&key_file, store.holds_secrets()?)?;
        Ok(Self { store, key, key_file, clock: SharedClockDebug(clock) })
    }
    /// Puts a configuration in force, with its credentials, and gives its revision and whether it is a new one.
    /// Credentials replace those stored; those of names that are no longer used are deleted. Stored ones that do not
    /// open with our key count as changed: applying heals a store whose key was lost and made anew.
    pub fn apply(
        &mut self,
        config: &Config,
        credentials: &BTreeMap<CredentialName, Credentials>,
        by: &str,
    ) -> Result<(ConfigRevision, bool), Error> {
        let mut sealed = BTreeMap::new();
        for (name, credentials) in credentials {
            sealed.insert(name.clone(), self.key.seal(name, credentials)?);
        }
        let key = &self.key;
        let kept = |stored: &BTreeMap<CredentialName, Vec<u8>>| {
            stored.len() == credentials.len()
                && stored.iter().all(|(name, sealed)| {
                    let opened = key.open(name, sealed);
                    opened.is_some() && opened.as_ref() == credentials.get(name)
                })
        };
        self.store.apply(config, &sealed, kept, by, self.clock.0.wall())
    }
    /// The configuration in force.
    pub fn current(&self) -> Result<Option<(ConfigRevision, Config)>, Error> {
        Ok(self.store.newest()?.map(|revision| (revision.number, revision.config)))
    }
    /// An applied configuration.
    pub fn revision(&self, number: ConfigRevision) -> Result<Option<Revision>, Error> {
        self.store.revision(number)
    }
    /// All stored credentials.
    pub fn credentials(&self) -> Result<BTreeMap<CredentialName, Credentials>, Error> {
        let mut opened = BTreeMap::new();
        for (name, sealed) in self.store.sealed()? {
            let credentials = self.open_sealed(&name, &sealed)?;
            opened.insert(name, credentials);
        }
        Ok(opened)
    }
    /// The stored credentials of that name.
    pub fn credential(&self, name: &CredentialName) -> Result<Option<Credentials>, Error> {
        let sealed = self.store.sealed()?.remove(name);
        sealed.map(|sealed| self.open_sealed(name, &sealed)).transpose()
    }
    /// Copies the store, as it is now, to a new file, while it is in use, and checks the copy's integrity. The key
    /// file is not copied: the caller copies it beside (same name and `.key`), or the copy's credentials stay shut.
    pub fn backup_to(&self, path: &Path) -> Result<(), Error> {
        self.store.backup_to(path)
    }
    fn open_sealed(&self, name: &CredentialName, sealed: &[u8]) -> Result<Credentials, Error> {
        let wrong = || Error::WrongKey { name: name.clone(), key_file: self.key_file.clone() };
        self.key.open(name, sealed).ok_or_else(wrong)
    }
}
