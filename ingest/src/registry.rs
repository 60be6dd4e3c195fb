//! The registry: divisions, cameras, credentials and the configuration revisions that all parts run by.
//!
//! Zones and rules of a camera may be *tuned* while the service runs: that is a revision as well, kept as what it changed.
//! It counts over the configuration file for as long as the file says of that camera what it said then ([`xueliang_base::config::written_of`]).
//!
//! A revision is immutable: content as canonical JSON with its SHA-256, numbered from 1. Applying the content that is
//! in force with the credentials that are stored changes nothing; anything else makes the next revision. Secrets are sealed with a key that stands in a
//! file of its own beside the store (`registry.db.key`, mode 0600): a copy of the store alone opens nothing. Back up both.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use xueliang_base::{
    config::{CameraRules, Config},
    id::{CameraId, ConfigRevision, CredentialName},
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

/// Zones and rules that somebody set of a camera, or took back.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// The revision that it became; given by [`Registry::tune`].
    pub number: ConfigRevision,
    /// The camera.
    pub camera: CameraId,
    /// What it watches for from then on.
    pub rules: CameraRules,
    /// Whether somebody set them; otherwise they are those of the configuration file, put in force again.
    pub set_here: bool,
    /// What the configuration file said of the camera then ([`xueliang_base::config::written_of`]).
    pub made_for: [u8; 32],
    /// When; given by [`Registry::tune`].
    pub at: Wall,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
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

/// Has the cameras of a configuration file watch for what was set of them, where that counts; what the file says of those.
/// `written`: what stands in the file of each camera.
pub fn overlay(
    config: &mut Config,
    written: &BTreeMap<CameraId, [u8; 32]>,
    tuned: &BTreeMap<CameraId, Tuning>,
) -> BTreeMap<CameraId, CameraRules> {
    let mut told = BTreeMap::new();
    for camera in &mut config.cameras {
        let Some(tuning) = tuned.get(&camera.id) else { continue };
        if tuning.set_here && Some(&tuning.made_for) == written.get(&camera.id) {
            told.insert(camera.id.clone(), CameraRules::of(camera));
            tuning.rules.put_into(camera);
        }
    }
    told
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
    /// Keeps what somebody set of a camera as the next revision: `config`, which has it already. Its number and time are
    /// given here.
    pub fn tune(&mut self, mut tuning: Tuning, config: &Config) -> Result<Tuning, Error> {
        tuning.at = self.clock.0.wall();
        tuning.number = self.store.tune(&tuning, config)?;
        Ok(tuning)
    }
    /// What was set last of each camera.
    pub fn tuned(&self) -> Result<BTreeMap<CameraId, Tuning>, Error> {
        Ok(self.store.latest_tunings()?.into_iter().map(|one| (one.camera.clone(), one)).collect())
    }
    /// What was set of a camera, newest first.
    pub fn tunings_of(&self, camera: &CameraId, limit: usize) -> Result<Vec<Tuning>, Error> {
        self.store.tunings_of(camera, limit)
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
