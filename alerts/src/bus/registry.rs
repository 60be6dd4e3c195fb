//! The subscriptions that are open, by id and by name.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{Notify, watch};
use xueliang_proto::v1::CloseReason;

use super::credit::Credits;
use crate::error::{Error, Result};

/// What the task of a subscription, its stream and its acknowledgements share.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) principal: String,
    /// Empty when unnamed.
    pub(crate) name: String,
    credits: Mutex<Credits>,
    /// Wakes the task after an acknowledgement.
    pub(crate) acknowledged: Notify,
    close: watch::Sender<Option<CloseReason>>,
}

impl Open {
    pub(crate) fn new(id: String, principal: String, name: String, credits: Credits) -> Self {
        let close = watch::channel(None).0;
        Self { id, principal, name, credits: Mutex::new(credits), acknowledged: Notify::new(), close }
    }
    pub(crate) fn credits(&self) -> MutexGuard<'_, Credits> {
        self.credits.lock().expect("no code panics while it holds this lock")
    }
    pub(crate) fn closing(&self) -> watch::Receiver<Option<CloseReason>> {
        self.close.subscribe()
    }
}

/// All open subscriptions.
pub(crate) struct Registry {
    open: Mutex<HashMap<String, Arc<Open>>>,
    max: usize,
}

impl Registry {
    pub(crate) fn new(max: usize) -> Self {
        Self { open: Mutex::default(), max }
    }
    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Open>>> {
        self.open.lock().expect("no code panics while it holds this lock")
    }
    /// Closes the subscription that has this name, if any.
    pub(crate) fn replace(&self, principal: &str, name: &str) {
        let same = |one: &&Arc<Open>| one.principal == principal && one.name == name && !name.is_empty();
        let old: Vec<Arc<Open>> = self.open().values().filter(same).cloned().collect();
        for one in old {
            self.remove(&one.id);
            one.close.send_replace(Some(CloseReason::Replaced));
        }
    }
    pub(crate) fn add(&self, one: Arc<Open>) -> Result<()> {
        let mut open = self.open();
        if open.len() >= self.max {
            let max = self.max;
            return Err(Error::Exhausted(format!(
                "{max} subscriptions are open, no more are allowed: close some"
            )));
        }
        open.insert(one.id.clone(), one);
        Ok(())
    }
    pub(crate) fn remove(&self, id: &str) {
        self.open().remove(id);
    }
    /// The subscription of that id, for its own principal only.
    pub(crate) fn find(&self, principal: &str, id: &str) -> Result<Arc<Open>> {
        let found = self.open().get(id).filter(|one| one.principal == principal).cloned();
        found.ok_or_else(|| {
            Error::NotFound(format!(
                "{principal} has no open subscription {id:?}: it may have ended, subscribe again"
            ))
        })
    }
    pub(crate) fn close_all(&self) {
        for one in self.open().values() {
            one.close.send_replace(Some(CloseReason::Shutdown));
        }
    }
    pub(crate) fn len(&self) -> usize {
        self.open().len()
    }
}
