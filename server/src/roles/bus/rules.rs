//! What cameras watch for, kept in the registry: the configuration in force, tuned while the service runs. A thread of its own
//! holds the registry, since SQLite blocks; each change becomes a revision, and nodes are assigned it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};
use xueliang_alerts::{
    assignment::{Assignment, Secret},
    error::{Error, Result},
    store::Answer,
    tuning::{InForce, NewRules, RuleBook},
};
use xueliang_base::{
    config::{CameraRules, Config},
    error::ErrorKind,
    id::{CameraId, ConfigRevision},
    shutdown::Stopping,
    time::{SharedClock, Wall},
};
use xueliang_ingest::registry::{Registry, Tuning, overlay};
use xueliang_proto::v1;

use super::Wanted;

/// Calls that may wait for the registry; each takes milliseconds, seconds in a town of ten thousand cameras.
const WAITING: usize = 16;

/// Before a full queue is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// What the thread is asked.
enum Ask {
    InForce(CameraId, oneshot::Sender<Result<InForce>>),
    Put(Box<NewRules>, oneshot::Sender<Result<v1::RuleChange>>),
    Changes(CameraId, usize, oneshot::Sender<Result<Vec<v1::RuleChange>>>),
    /// The bus stops: the nodes' streams end.
    Stop,
}

/// The registry behind its thread.
#[derive(Clone)]
pub struct Rules(SyncSender<Ask>);

/// What the bus begins with.
pub struct Imported {
    /// The configuration in force.
    pub config: Config,
    /// Its number.
    pub revision: ConfigRevision,
    /// That, and each that follows.
    pub assignments: watch::Receiver<Option<Assignment>>,
    /// What cameras watch for.
    pub rules: Rules,
}

/// Imports the configuration as a revision (a new one only when something changed). What was broken while the service
/// ran must not stop a bus that is started again: then the revision in force stays in force.
pub async fn import(
    path: PathBuf,
    wanted: anyhow::Result<Wanted>,
    clock: SharedClock,
    mut stopping: Stopping,
) -> anyhow::Result<Imported> {
    let (asks, asked) = sync_channel(WAITING);
    let (reply, begun) = oneshot::channel();
    std::thread::Builder::new().name("registry".to_owned()).spawn(move || {
        match Keeper::begin(&path, wanted, clock) {
            Ok((keeper, assignments)) => {
                // The asker waits, unless the bus is being stopped.
                drop(reply.send(Ok((keeper.config.clone(), keeper.revision, assignments))));
                keeper.run(&asked);
            }
            Err(fault) => drop(reply.send(Err(fault))),
        }
    })?;
    let (config, revision, assignments) = begun.await.context("the registry's thread ended")??;
    let rules = Rules(asks);
    let stop = rules.0.clone();
    tokio::spawn(async move {
        stopping.wait().await;
        // The queue is short, and the thread empties it.
        while let Err(TrySendError::Full(_)) = stop.try_send(Ask::Stop) {
            tokio::time::sleep(AGAIN).await;
        }
    });
    Ok(Imported { config, revision, assignments, rules })
}

/// What the configuration file says.
struct Filed {
    /// Of each camera, as a sum.
    written: BTreeMap<CameraId, [u8; 32]>,
    /// Of those for which something else counts.
    rules: BTreeMap<CameraId, CameraRules>,
}

/// The thread's own.
struct Keeper {
    registry: Registry,
    /// In force.
    config: Config,
    revision: ConfigRevision,
    /// What the configuration file says; `None`: it could not be used, and what it says is not known.
    file: Option<Filed>,
    credentials: BTreeMap<String, Secret>,
    assigned: watch::Sender<Option<Assignment>>,
}

impl Keeper {
    fn begin(
        path: &Path,
        wanted: anyhow::Result<Wanted>,
        clock: SharedClock,
    ) -> anyhow::Result<(Self, watch::Receiver<Option<Assignment>>)> {
        let mut registry = Registry::open(path, clock)?;
        let mut file = None;
        let fault = match wanted {
            Ok(Wanted { mut config, written, credentials }) => {
                let tuned = registry.tuned()?;
                let rules = overlay(&mut config, &written, &tuned);
                tell_overruled(&config, &tuned, &rules);
                let (revision, changed) = registry.apply(&config, &credentials, "configuration file")?;
                info!(%revision, changed, cameras = config.cameras.len(), tuned = rules.len(), "configuration imported");
                file = Some(Filed { written, rules });
                None
            }
            Err(fault) => Some(fault),
        };
        let (revision, config) = match (registry.current()?, fault) {
            (Some(current), None) => current,
            (Some(current), Some(fault)) => {
                error!(
                    error = format!("{fault:#}"),
                    revision = %current.0,
                    "the configuration cannot be used, keeping the revision in force"
                );
                current
            }
            (None, Some(fault)) => return Err(fault),
            (None, None) => bail!("no configuration was ever imported"),
        };
        let credentials = registry.credentials()?;
        let credentials = credentials.iter().map(|(name, credentials)| {
            let (user, password) = credentials.expose();
            (name.to_string(), Secret { user: user.to_owned(), password: password.to_owned() })
        });
        let credentials: BTreeMap<_, _> = credentials.collect();
        let first = Assignment {
            revision,
            config_json: serde_json::to_vec(&config)?.into(),
            credentials: credentials.clone(),
        };
        let (assigned, assignments) = watch::channel(Some(first));
        Ok((Self { registry, config, revision, file, credentials, assigned }, assignments))
    }
    /// Answers until the bus stops.
    fn run(mut self, asked: &Receiver<Ask>) {
        while let Ok(ask) = asked.recv() {
            // Whoever asked may be gone.
            match ask {
                Ask::InForce(camera, reply) => drop(reply.send(self.in_force(&camera))),
                Ask::Put(rules, reply) => drop(reply.send(self.put(*rules))),
                Ask::Changes(camera, limit, reply) => drop(reply.send(self.changes(&camera, limit))),
                Ask::Stop => return,
            }
        }
    }
    fn in_force(&self, id: &CameraId) -> Result<InForce> {
        let camera = self.config.camera(id).ok_or_else(|| unknown(id))?.clone();
        let latest = self.registry.tunings_of(id, 1).map_err(stored)?.pop();
        let set_here = match &self.file {
            Some(file) => file.rules.contains_key(id),
            // What is in force is all that is known.
            None => latest.as_ref().is_some_and(|one| one.set_here && one.rules == CameraRules::of(&camera)),
        };
        let overruled = !set_here && latest.as_ref().is_some_and(|one| one.set_here);
        let changed = latest.as_ref().map(change);
        Ok(InForce { camera, changed, set_here, overruled, revision: self.revision })
    }
    fn put(&mut self, new: NewRules) -> Result<v1::RuleChange> {
        let NewRules { camera: id, rules, made_upon, principal, reason } = new;
        let Some(file) = &self.file else {
            return Err(Error::Conflict(
                "the configuration file cannot be used, and an earlier revision is in force: mend the file and start the \
                 service again, then set rules (xueliang check says what is wrong)"
                    .to_owned(),
            ));
        };
        let camera = self.config.camera(&id).ok_or_else(|| unknown(&id))?;
        let now = CameraRules::of(camera);
        if made_upon != self.revision {
            let upon = self.registry.revision(made_upon).map_err(stored)?;
            let upon = upon.and_then(|past| past.config.camera(&id).map(CameraRules::of));
            if upon.as_ref() != Some(&now) {
                return Err(Error::Conflict(format!(
                    "the rules of {id} are others since revision {made_upon}: read them again, and set yours upon revision {}",
                    self.revision
                )));
            }
        }
        let filed = file.rules.get(&id).unwrap_or(&now).clone();
        let made_for = file.written.get(&id).copied().ok_or_else(|| unknown(&id))?;
        let set_here = rules.is_some();
        let rules = rules.unwrap_or_else(|| filed.clone());
        if rules == now {
            return Err(Error::Conflict(format!(
                "these rules of {id} are in force already: nothing was set"
            )));
        }
        let mut config = self.config.clone();
        if let Some(camera) = config.cameras.iter_mut().find(|one| one.id == id) {
            rules.put_into(camera);
        }
        let config_json: Bytes = serde_json::to_vec(&config)
            .map_err(|error| Error::Internal(format!("a configuration does not become JSON: {error}")))?
            .into();
        let tuning = Tuning {
            number: ConfigRevision(0),
            camera: id.clone(),
            rules,
            set_here,
            made_for,
            at: Wall(0),
            by: principal,
            why: reason,
        };
        let kept = self.registry.tune(tuning, &config).map_err(stored)?;
        info!(camera = %id, revision = %kept.number, by = kept.by, set_here, "rules of a camera set");
        (self.config, self.revision) = (config, kept.number);
        if let Some(file) = &mut self.file {
            if set_here {
                file.rules.insert(id, filed);
            } else {
                file.rules.remove(&id);
            }
        }
        let credentials = self.credentials.clone();
        self.assigned.send_replace(Some(Assignment { revision: self.revision, config_json, credentials }));
        Ok(change(&kept))
    }
    fn changes(&self, id: &CameraId, limit: usize) -> Result<Vec<v1::RuleChange>> {
        let found = self.registry.tunings_of(id, limit).map_err(stored)?;
        Ok(found.iter().map(change).collect())
    }
}

/// What was tuned and counts no more is told once: it stays readable, and nobody wonders.
fn tell_overruled(
    config: &Config,
    tuned: &BTreeMap<CameraId, Tuning>,
    counting: &BTreeMap<CameraId, CameraRules>,
) {
    for (camera, tuning) in tuned {
        if tuning.set_here && !counting.contains_key(camera) && config.camera(camera).is_some() {
            warn!(%camera, by = tuning.by, revision = %tuning.number,
                  "rules that were set on the page count no more: the configuration file says something else since");
        }
    }
}

fn unknown(id: &CameraId) -> Error {
    Error::NotFound(format!("there is no camera {id}"))
}

fn stored(error: xueliang_ingest::Error) -> Error {
    match error.kind() {
        ErrorKind::DataLoss => Error::DataLoss(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}

fn change(tuning: &Tuning) -> v1::RuleChange {
    v1::RuleChange {
        at_unix_us: tuning.at.0,
        principal: tuning.by.clone(),
        reason: tuning.why.clone(),
        rules: tuning.set_here.then(|| v1::CameraRules::from(&tuning.rules)),
        config_revision: tuning.number.0,
    }
}

impl Rules {
    fn ask<T: Send + 'static>(&self, ask: impl FnOnce(oneshot::Sender<Result<T>>) -> Ask) -> Answer<T> {
        let (reply, told) = oneshot::channel();
        let sent = self.0.try_send(ask(reply));
        Box::pin(async move {
            match sent {
                Ok(()) => told.await.unwrap_or_else(|_| Err(gone())),
                Err(TrySendError::Full(_)) => {
                    Err(Error::Exhausted("many rules are read or set: ask again in a few seconds".to_owned()))
                }
                Err(TrySendError::Disconnected(_)) => Err(gone()),
            }
        })
    }
}

fn gone() -> Error {
    Error::Unavailable("the service stops: ask again when it has started".to_owned())
}

impl RuleBook for Rules {
    fn in_force(&self, camera: CameraId) -> Answer<InForce> {
        self.ask(|reply| Ask::InForce(camera, reply))
    }
    fn put(&self, rules: NewRules) -> Answer<v1::RuleChange> {
        self.ask(|reply| Ask::Put(Box::new(rules), reply))
    }
    fn changes(&self, camera: CameraId, limit: usize) -> Answer<Vec<v1::RuleChange>> {
        self.ask(|reply| Ask::Changes(camera, limit, reply))
    }
}

#[cfg(test)]
mod tests;
