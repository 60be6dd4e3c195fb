//! The subscriptions that are open, by id and by name, and the last that were.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{Notify, watch};
use xueliang_proto::v1::CloseReason;

use super::{credit::Credits, trail::Trail};
use crate::{
    error::{Error, Result},
    store::DeliveryNote,
};

/// What the task of a subscription, its stream and its acknowledgements share.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) principal: String,
    /// Empty when unnamed.
    pub(crate) name: String,
    credits: Mutex<Credits>,
    /// For the audit of deliveries; none for readings within the bus.
    trail: Option<Mutex<Trail>>,
    /// Wakes the task after an acknowledgement.
    pub(crate) acknowledged: Notify,
    close: watch::Sender<Option<CloseReason>>,
}

impl Open {
    pub(crate) fn new(
        id: String,
        principal: String,
        name: String,
        credits: Credits,
        trail: Option<Trail>,
    ) -> Self {
        Self {
            id,
            principal,
            name,
            credits: Mutex::new(credits),
            trail: trail.map(Mutex::new),
            acknowledged: Notify::new(),
            close: watch::channel(None).0,
        }
    }
    pub(crate) fn trail(&self) -> Option<MutexGuard<'_, Trail>> {
        self.trail.as_ref().map(|trail| trail.lock().expect("no code panics while it holds this lock"))
    }
    fn take_notes(&self) -> Vec<DeliveryNote> {
        self.trail().map(|mut trail| trail.take()).unwrap_or_default()
    }
    pub(crate) fn credits(&self) -> MutexGuard<'_, Credits> {
        self.credits.lock().expect("no code panics while it holds this lock")
    }
    pub(crate) fn closing(&self) -> watch::Receiver<Option<CloseReason>> {
        self.close.subscribe()
    }
    /// Asks the task to end the stream. The first reason stands, unless there is one that allows no further delivery.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.close.send_if_modified(|told| {
            let stands = told.is_some() && reason != CloseReason::RightsChanged;
            if !stands {
                *told = Some(reason);
            }
            !stands
        });
    }
    /// Whether nothing may be delivered any more, whatever is on its way.
    pub(crate) fn is_cut(&self) -> bool {
        *self.close.borrow() == Some(CloseReason::RightsChanged)
    }
}

/// Subscriptions that have ended and may still be acknowledged.
const ENDED: usize = 256;
/// Notes kept of those that are forgotten before they are saved: of the busiest second, many times over.
const NOTES: usize = 65_536;

/// All subscriptions: the open ones, and the last that ended.
#[derive(Default)]
struct All {
    open: HashMap<String, Arc<Open>>,
    /// What lies on the way to a console when its stream ends is still shown and acknowledged.
    ended: VecDeque<Arc<Open>>,
    /// Of those that are forgotten by now.
    notes: Vec<DeliveryNote>,
    notes_lost: u64,
}

impl All {
    fn end(&mut self, id: &str) -> Option<Arc<Open>> {
        let one = self.open.remove(id)?;
        self.ended.push_back(Arc::clone(&one));
        if self.ended.len() > ENDED
            && let Some(forgotten) = self.ended.pop_front()
        {
            let mut notes = forgotten.take_notes();
            let room = NOTES.saturating_sub(self.notes.len());
            self.notes_lost += notes.len().saturating_sub(room) as u64;
            notes.truncate(room);
            self.notes.append(&mut notes);
        }
        Some(one)
    }
}

/// All subscriptions, by id and by name.
pub(crate) struct Registry {
    all: Mutex<All>,
    max: usize,
}

impl Registry {
    pub(crate) fn new(max: usize) -> Self {
        Self { all: Mutex::default(), max }
    }
    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().expect("no code panics while it holds this lock")
    }
    /// Adds a subscription in place of the one that has its name, if any: of two that come at once, one lives.
    pub(crate) fn add(&self, one: Arc<Open>) -> Result<()> {
        let mut all = self.all();
        let same = |other: &&Arc<Open>| {
            !one.name.is_empty() && other.principal == one.principal && other.name == one.name
        };
        let old: Option<String> = all.open.values().find(same).map(|other| other.id.clone());
        if old.is_none() && all.open.len() >= self.max {
            let max = self.max;
            return Err(Error::Exhausted(format!(
                "{max} subscriptions are open, no more are allowed: close some"
            )));
        }
        if let Some(old) = old.and_then(|id| all.end(&id)) {
            old.close(CloseReason::Replaced);
        }
        all.open.insert(one.id.clone(), one);
        Ok(())
    }
    /// Ends a subscription: its place is free, and for a while it may still be acknowledged.
    pub(crate) fn end(&self, id: &str) {
        self.all().end(id);
    }
    /// The subscription of that id, for its own principal only.
    pub(crate) fn find(&self, principal: &str, id: &str) -> Result<Arc<Open>> {
        let all = self.all();
        let found = all.open.get(id).or_else(|| all.ended.iter().find(|one| one.id == id));
        let found = found.filter(|one| one.principal == principal).cloned();
        found.ok_or_else(|| {
            Error::NotFound(format!(
                "{principal} has no open subscription {id:?}: it may have ended, subscribe again"
            ))
        })
    }
    pub(crate) fn close_all(&self) {
        for one in self.all().open.values() {
            one.close(CloseReason::Shutdown);
        }
    }
    /// Ends the streams of a principal.
    pub(crate) fn close_of(&self, principal: &str, reason: CloseReason) {
        self.all().open.values().filter(|one| one.principal == principal).for_each(|one| one.close(reason));
    }
    /// Takes what is to be saved of the audit of deliveries, and how much of it was lost for want of room.
    pub(crate) fn take_notes(&self) -> (Vec<DeliveryNote>, u64) {
        let (mut notes, lost, all) = {
            let mut all = self.all();
            let streams: Vec<_> = all.open.values().chain(&all.ended).cloned().collect();
            (std::mem::take(&mut all.notes), std::mem::take(&mut all.notes_lost), streams)
        };
        all.iter().for_each(|one| notes.append(&mut one.take_notes()));
        (notes, lost)
    }
    pub(crate) fn len(&self) -> usize {
        self.all().open.len()
    }
}
