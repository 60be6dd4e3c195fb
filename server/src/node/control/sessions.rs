//! The sessions of this node's cameras: started for new cameras, renewed when what they read by changed, ended when
//! their camera is gone, and started again when they end by a defect or could not be started.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::{error, info, info_span, warn};
use xueliang_base::{
    backoff::Backoff,
    config::{Camera, CameraRules, Config, Stream},
    id::{CameraId, CredentialName},
    time::{Mono, SharedClock},
};
use xueliang_ingest::{
    acquire,
    credentials::Credentials,
    health::{OfflineCause, Signal, SignalChange},
    ring::Ring,
    session::{Accounts, ConnectRate, SessionHandle, SessionSpec, SessionStats, Turn, UnitSink},
};

use super::acquire::{Acquired, Acquisition};
use crate::node::camera::{Cell, Dirty};

/// Sessions that are asked to stop may take so long, all together; a frozen camera takes about a second.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Starts a session that delivers there.
pub(super) type Spawn =
    Box<dyn Fn(SessionSpec, Arc<dyn UnitSink>) -> Result<SessionHandle, xueliang_ingest::Error> + Send>;

/// A session that failed is started again after at most so long.
const RESTART_CAP: Duration = Duration::from_secs(30);
/// One that ran for so long was well: its next failure is its first.
const LASTED: Duration = Duration::from_secs(60);

pub(super) struct Session {
    pub(super) cell: Arc<Cell>,
    /// Where it delivers to: the cell, or its sub-stream.
    sink: Arc<dyn UnitSink>,
    /// That of the camera's sub-stream, which begins, is mended and ends with it.
    sub: Option<Box<Session>>,
    /// What it was started with, or is to be started with next.
    spec: SessionSpec,
    /// `None` while it waits to be started again.
    pub(super) handle: Option<SessionHandle>,
    /// The turn that it was given; none since it was started.
    pub(super) turn: Option<Turn>,
    /// What the sessions before it counted.
    past: SessionStats,
    started: Mono,
    restart_at: Mono,
    backoff: Backoff,
}

impl Session {
    fn new(cell: Arc<Cell>, spec: SessionSpec, now: Mono) -> Self {
        let backoff = Backoff::new(Duration::from_secs(1), RESTART_CAP, spec.first_seq);
        let past = SessionStats::default();
        let sink = cell.feed();
        let (sub, handle, turn) = (None, None, None);
        Self { cell, sink, sub, spec, handle, turn, past, started: now, restart_at: now, backoff }
    }
    /// Has the camera's sub-stream read as well.
    fn with_sub(mut self, stream: Option<&Stream>) -> Self {
        let Some((stream, sub)) = stream.zip(self.cell.sub.clone()) else { return self };
        let spec = SessionSpec { stream: stream.clone(), first_seq: 1, ..self.spec.clone() };
        self.sub = Some(Box::new(Self { sink: sub, ..Self::new(self.cell.clone(), spec, self.started) }));
        self
    }
    /// Its camera has other zones and rules.
    fn watch_for(&mut self, camera: &Arc<Camera>) {
        let cell = Arc::new(self.cell.watching_for(camera.clone()));
        if let Some(sub) = &mut self.sub {
            sub.cell = cell.clone();
        }
        self.cell = cell;
    }
    /// It and that of its sub-stream.
    pub(super) fn all(&self) -> impl Iterator<Item = &Session> {
        std::iter::once(self).chain(self.sub.as_deref())
    }
    /// Starts it; a failure is the camera's state until the next attempt.
    fn start(&mut self, spawn: &Spawn, clock: &SharedClock) {
        self.started = clock.mono();
        self.turn = None;
        match spawn(self.spec.clone(), self.sink.clone()) {
            Ok(handle) => self.handle = Some(handle),
            Err(error) => self.failed(&error.to_string(), clock),
        }
    }
    /// Takes note of a session that ended by itself.
    fn mend(&mut self, spawn: &Spawn, clock: &SharedClock) {
        if let Some(handle) = self.handle.take_if(|handle| handle.is_finished()) {
            self.spec.first_seq = handle.next_seq();
            self.past.add(&handle.stats());
            if clock.mono().since(self.started) > LASTED {
                self.backoff.reset();
            }
            self.failed("its session ended by a defect of this program: see the log", clock);
        }
        if self.handle.is_none() && clock.mono() >= self.restart_at {
            self.start(spawn, clock);
        }
        if let Some(sub) = &mut self.sub {
            info_span!("sub_stream").in_scope(|| sub.mend(spawn, clock));
        }
        self.give_sub();
    }
    fn failed(&mut self, detail: &str, clock: &SharedClock) {
        error!(camera = %self.spec.camera, detail, "a session failed, it is started again");
        let (since, since_wall) = (clock.mono(), clock.wall());
        self.restart_at = since.plus(self.backoff.next_wait());
        let signal = Signal::Offline(OfflineCause::Internal);
        self.sink.signal(SignalChange { signal, since, since_wall, detail: detail.to_owned(), edges: 0 });
    }
    /// Says whether it may connect from now on.
    pub(super) fn give(&mut self, turn: Turn) {
        if let Some(handle) = &self.handle {
            self.turn = Some(turn);
            handle.give(turn);
        }
        self.give_sub();
    }
    /// Its sub-stream is read while it is connected for good.
    fn give_sub(&mut self) {
        if let (Some(sub), Some(idle), Some(turn)) = (&mut self.sub, self.spec.idle, self.turn) {
            let turn = if turn == Turn::Always { turn } else { Turn::Closed(idle) };
            if sub.turn != Some(turn) {
                sub.give(turn);
            }
        }
    }
    fn stats(&self) -> SessionStats {
        let mut stats = self.past.clone();
        if let Some(handle) = &self.handle {
            stats.add(&handle.stats());
        }
        stats
    }
    fn next_seq(&self) -> u64 {
        self.handle.as_ref().map_or(self.spec.first_seq, SessionHandle::next_seq)
    }
}

/// All sessions, by camera.
pub(super) struct Sessions {
    spawn: Spawn,
    clock: SharedClock,
    dirty: Arc<Dirty>,
    rate: ConnectRate,
    accounts: Accounts,
    running: BTreeMap<CameraId, Session>,
    acquisition: Acquisition,
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
            acquisition: Acquisition::default(),
        }
    }

    /// Starts sessions of new cameras, ends those of removed ones, renews those that read by other facts now: another
    /// address or password, but also other allowed networks or another time zone. The cells of all cameras, and those that
    /// nothing is delivered to any more.
    pub(super) async fn renew(
        &mut self,
        config: &Config,
        credentials: &BTreeMap<CredentialName, Credentials>,
    ) -> (BTreeMap<CameraId, Arc<Cell>>, Vec<Arc<Cell>>) {
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
                idle: acquire::idle(config, camera),
                first_seq: 1,
                connect_rate: self.rate.clone(),
                accounts: self.accounts.clone(),
            };
            match before.remove(&camera.id) {
                Some(session) if *session.cell.camera == *camera && session.spec.reads_like(&spec) => {
                    self.running.insert(camera.id.clone(), session);
                }
                Some(mut session)
                    if differs_in_rules_alone(&session.cell.camera, camera, config)
                        && session.spec.reads_like(&spec) =>
                {
                    info!(camera = %camera.id, "zones and rules changed, its session goes on");
                    session.watch_for(&Arc::new(camera.clone()));
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
            let before = ended.iter().find(|session| session.spec.camera == camera.id);
            spec.first_seq = before.map_or(1, Session::next_seq);
            let ring = Ring::new(config.analysis.ring_bytes, config.analysis.ring_seconds);
            let camera = Arc::new(camera.clone());
            let cell = Arc::new(Cell::new(camera.clone(), ring, self.dirty.clone(), self.clock.wall()));
            let sub = camera.glanced(&config.analysis.rest);
            let mut session = Session::new(cell, spec, self.clock.mono()).with_sub(sub);
            session.past = before.map(Session::stats).unwrap_or_default();
            session.mend(&self.spawn, &self.clock);
            self.running.insert(camera.id.clone(), session);
        }
        self.acquisition.configure(self.clock.mono(), config);
        self.turn();
        let cells = self.running.iter().map(|(id, session)| (id.clone(), session.cell.clone())).collect();
        (cells, ended.into_iter().map(|session| session.cell).collect())
    }

    /// Starts again what has ended or could not be started. Call it every second.
    pub(super) fn mend(&mut self) {
        for session in self.running.values_mut() {
            session.mend(&self.spawn, &self.clock);
        }
    }

    /// Gives the sessions that wait for turns what the planner grants. Call it several times a second.
    pub(super) fn turn(&mut self) {
        self.acquisition.turn(self.clock.mono(), &mut self.running);
    }

    /// Somebody asks for a camera. False where it is connected all the time, or unknown.
    pub(super) fn ask(&mut self, id: &CameraId, lasting: Duration) -> bool {
        self.acquisition.ask(self.clock.mono(), id, lasting)
    }

    /// How cameras are taken.
    pub(super) fn acquired(&self) -> Acquired {
        self.acquisition.acquired(self.clock.mono())
    }

    /// What the sessions of each camera have counted since the start.
    pub(super) fn stats(&self) -> BTreeMap<CameraId, SessionStats> {
        self.running.iter().map(|(id, session)| (id.clone(), session.stats())).collect()
    }

    /// Ends all sessions.
    pub(super) async fn end_all(&mut self) {
        let ended: Vec<Session> = std::mem::take(&mut self.running).into_values().collect();
        end(&ended).await;
    }
}

/// Whether a camera is the same but for its zones and rules, and what is read of it, too.
fn differs_in_rules_alone(before: &Camera, now: &Camera, config: &Config) -> bool {
    let mut same = before.clone();
    CameraRules::of(now).put_into(&mut same);
    let rest = &config.analysis.rest;
    same == *now && before.glanced(rest) == now.glanced(rest)
}

/// Asks sessions to stop, all at once, and waits until they have, but not for ever: what they still deliver goes to
/// cells that nobody looks at any more.
async fn end(sessions: &[Session]) {
    let all = || sessions.iter().flat_map(Session::all);
    let handles = || all().filter_map(|session| session.handle.as_ref().zip(Some(&session.spec.camera)));
    for (handle, _) in handles() {
        handle.ask_to_stop();
    }
    let give_up = Instant::now() + END_PATIENCE;
    while let Some((_, camera)) = handles().find(|(handle, _)| !handle.is_finished()) {
        if Instant::now() > give_up {
            warn!(%camera, "a session does not end, going on without it");
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests;
