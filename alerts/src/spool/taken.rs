//! What the bus has taken out of a spool and its disk still holds: removed from there when it can be written again.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use xueliang_base::alert::Sha256;

use crate::error::Result;

/// Items that may be remembered so: the states of hours, a few hundred kilobytes.
const MOST: usize = 16_384;

/// Items by id, each with its file.
pub(super) type Items = BTreeMap<i64, Option<Sha256>>;

/// Items that are gone for everybody but the disk.
#[derive(Debug, Default)]
pub(super) struct Taken {
    items: Mutex<Items>,
    /// Whether the latest attempt to remove them failed.
    failing: AtomicBool,
}

impl Taken {
    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().expect("no code panics while it holds this lock")
    }
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.items().len() + more <= MOST
    }
    pub(super) fn is_empty(&self) -> bool {
        self.items().is_empty()
    }
    pub(super) fn add(&self, id: i64, file: Option<Sha256>) {
        self.items().insert(id, file);
    }
    pub(super) fn all(&self) -> Items {
        self.items().clone()
    }
    /// Their ids as a JSON array, which is how SQLite takes a list.
    pub(super) fn listed(&self) -> String {
        let ids: Vec<String> = self.items().keys().map(ToString::to_string).collect();
        format!("[{}]", ids.join(","))
    }
    /// Takes note of an attempt to remove these; whether it went otherwise than the one before.
    pub(super) fn swept(&self, items: &Items, removed: &Result<()>) -> bool {
        if removed.is_ok() {
            self.items().retain(|id, _| !items.contains_key(id));
        }
        self.failing.swap(removed.is_err(), Relaxed) != removed.is_err()
    }
}
