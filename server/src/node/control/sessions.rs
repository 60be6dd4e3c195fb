//! The sessions of this node's cameras: started for new cameras, renewed when what they read by changed, ended when
//! their camera is gone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};
use xueliang_base::{
    config::Config,
    id::{CameraId, CredentialName},
    time::SharedClock,
};
use xueliang_ingest::{
    credentials::Credentials,
    ring::Ring,
    session::{Accounts, ConnectRate, SessionHandle, SessionSpec},
};

use crate::node::camera::{Cell, Dirty};

/// Sessions that are asked to stop may take so long, all together; a frozen camera takes about a second.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Starts a session that delivers to a cell.
pub(super) type Spawn =
    Box<dyn Fn(SessionSpec, Arc<Cell>) -> Result<SessionHandle, xueliang_ingest::Error> + Send>;

struct Session {
    cell: Arc<Cell>,
    /// What it was started with.
    spec: SessionSpec,
    handle: SessionHandle,
}

/// All sessions, by camera.
pub(super) struct Sessions {
    spawn: Spawn,
    clock: SharedClock,
    dirty: Arc<Dirty>,
    rate: ConnectRate,
    accounts: Accounts,
    running: BTreeMap<CameraId, Session>,
}

impl Sessions {
    pub(super) fn new(spawn: Spawn, clock: SharedClock, dirty: Arc<Dirty>) -> Self {
        Self {
            spawn,
            clock,
            dirty,
            rate: ConnectRate::default(),
            accounts: Accounts::default(),
            running: BTreeMap::new(),
        }
    }

    /// Starts sessions of new cameras, ends those of removed ones, renews those that read by other facts now: another
    /// address or password, but also other allowed networks or another time zone. The cells of all cameras.
    pub(super) async fn renew(
        &mut self,
        config: &Config,
        credentials: &BTreeMap<CredentialName, Credentials>,
    ) -> BTreeMap<CameraId, Arc<Cell>> {
        let mut before = std::mem::take(&mut self.running);
        let mut changed = Vec::new();
        let mut to_start = Vec::new();
        for camera in &config.cameras {
            let spec = SessionSpec {
                camera: camera.id.clone(),
                stream: camera.stream.clone(),
                credentials: camera
                    .stream
                    .credentials
                    .as_ref()
                    .and_then(|name| credentials.get(name))
                    .cloned(),
                networks: config.networks.clone(),
                expected_on: camera.expected_on,
                timezone: config.timezone.clone(),
                first_seq: 1,
                connect_rate: self.rate.clone(),
                accounts: self.accounts.clone(),
            };
            match before.remove(&camera.id) {
                Some(session) if *session.cell.camera == *camera && session.spec.reads_like(&spec) => {
                    self.running.insert(camera.id.clone(), session);
                }
                Some(session) => {
                    changed.push(session);
                    to_start.push((camera, spec));
                }
                None => to_start.push((camera, spec)),
            }
        }
        for id in before.keys() {
            info!(camera = %id, "camera removed");
        }
        let ended: Vec<Session> = changed.into_iter().chain(before.into_values()).collect();
        end(&ended).await;
        for (camera, mut spec) in to_start {
            if let Some(session) = ended.iter().find(|session| session.spec.camera == camera.id) {
                spec.first_seq = session.handle.next_seq();
            }
            let ring = Ring::new(config.analysis.ring_bytes, config.analysis.ring_seconds);
            let camera = Arc::new(camera.clone());
            let cell = Arc::new(Cell::new(camera.clone(), ring, self.dirty.clone(), self.clock.wall()));
            match (self.spawn)(spec.clone(), cell.clone()) {
                Ok(handle) => {
                    self.running.insert(camera.id.clone(), Session { cell, spec, handle });
                }
                Err(error) => error!(camera = %camera.id, %error, "cannot start a session"),
            }
        }
        self.running.iter().map(|(id, session)| (id.clone(), session.cell.clone())).collect()
    }

    /// Ends all sessions.
    pub(super) async fn end_all(&mut self) {
        let ended: Vec<Session> = std::mem::take(&mut self.running).into_values().collect();
        end(&ended).await;
    }
}

/// Asks sessions to stop, all at once, and waits until they have, but not for ever: what they still deliver goes to
/// cells that nobody looks at any more.
async fn end(sessions: &[Session]) {
    for session in sessions {
        session.handle.ask_to_stop();
    }
    let give_up = Instant::now() + END_PATIENCE;
    while let Some(late) = sessions.iter().find(|session| !session.handle.is_finished()) {
        if Instant::now() > give_up {
            warn!(camera = %late.spec.camera, "a session does not end, going on without it");
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests;
