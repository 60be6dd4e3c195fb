//! Sessions: one connection to a stream at a time, for ever.
//!
//! [`spawn`] gives each camera a task on the few threads that all sessions share, which runs [`run`]: `run_once` attempts
//! with waits between them. A camera that fails is normal; what a failure means for the next attempt stands in [`Retry`],
//! what it means to people in [`SessionError`]. An attempt is made by `reader.rs` over one of two drivers, retina
//! ([`crate::retina`]) or GStreamer ([`crate::gst::rtsp`]), as `choice.rs` says; whatever else can be read stands behind
//! [`Source`].

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use ipnet::IpNet;
use tokio::{sync::watch, task::JoinHandle};
use tracing::{Instrument, info};
use xueliang_base::{
    config::{Hours, Stream},
    id::CameraId,
    shutdown::{self, Stop, Stopping},
    time::{Mono, SharedClock, Wall},
    unit::AccessUnit,
};

use self::{
    accounts::{Admission, Entry},
    reader::Reader,
    turn::{Turns, Visits},
};
use crate::{
    credentials::Credentials,
    error::Error,
    health::{Idle, Signal, SignalChange},
};

mod accounts;
mod address;
mod camera_time;
mod choice;
mod delivery;
mod error;
mod haste;
mod knock;
mod rate;
mod reader;
mod retry;
mod stats;
#[cfg(test)]
mod tests;
mod threads;
mod turn;

pub use accounts::Accounts;
pub(crate) use address::Place;
pub(crate) use camera_time::SenderReports;
pub use choice::{Driver, Reading, Why};
pub use delivery::{Delivery, RawUnit};
pub use error::SessionError;
pub(crate) use haste::Progress;
pub use rate::ConnectRate;
pub(crate) use reader::Attempt;
pub use retry::Retry;
pub use stats::{FirstPictures, SessionStats};
pub use turn::{Turn, Visit};

/// How often what cannot be woken looks whether it has been asked to stop.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(200);

/// Takes what a session delivers. Called from media threads: it must not block.
pub trait UnitSink: Send + Sync {
    /// The next access unit.
    fn unit(&self, unit: AccessUnit);
    /// The camera's signal has changed. Never called at the same time as `unit`.
    fn signal(&self, change: SignalChange);
}

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionSpec {
    /// Whose stream.
    pub camera: CameraId,
    /// How it is read.
    pub stream: Stream,
    /// Signs in with these.
    pub credentials: Option<Credentials>,
    /// Networks that the camera's address must lie in; none allows nothing.
    pub networks: Vec<IpNet>,
    /// When it is expected to deliver; `None` means always.
    pub expected_on: Option<Hours>,
    /// IANA zone of `expected_on`.
    pub timezone: String,
    /// It waits for turns to connect, and that is why; `None`: it connects for ever.
    pub idle: Option<Idle>,
    /// Number of its first access unit: 1, or one more than the last of a session before it.
    pub first_seq: u64,
    /// Shared by all sessions.
    pub connect_rate: ConnectRate,
    /// Shared by all sessions.
    pub accounts: Accounts,
}

impl SessionSpec {
    /// Whether a session of the other reads the same stream in the same way, so that it may simply go on.
    pub fn reads_like(&self, other: &Self) -> bool {
        // Taken apart, so that no field that comes later is forgotten here.
        let Self {
            camera,
            stream,
            credentials,
            networks,
            expected_on,
            timezone,
            idle,
            first_seq: _,
            connect_rate: _,
            accounts: _,
        } = self;
        *camera == other.camera
            && *stream == other.stream
            && *credentials == other.credentials
            && *networks == other.networks
            && *expected_on == other.expected_on
            && *timezone == other.timezone
            && *idle == other.idle
    }
}

/// Reads a stream once.
pub trait Source: Send {
    /// One attempt: connects and delivers until it fails or is asked to stop.
    fn run_once<'a>(&'a mut self, delivery: &'a Arc<Delivery>, halt: &'a Halt)
    -> BoxFuture<'a, SessionError>;
}

/// Asks one session, or all, to stop.
#[derive(Debug, Clone)]
pub struct Halt {
    all: Stopping,
    one: Stopping,
    /// Of an attempt: the turn it is made in.
    turn: Option<(Turns, Turn)>,
}

impl Halt {
    /// Whether stopping has been asked.
    pub fn asked(&self) -> bool {
        self.ended() || self.turn.as_ref().is_some_and(|(turns, turn)| turns.is_over(*turn))
    }
    /// Whether the session is to end, and not only an attempt.
    fn ended(&self) -> bool {
        self.one.asked() || self.all.asked()
    }
    /// Asks an attempt of this turn to stop as well when the turn is over.
    fn during(&self, turns: &Turns, turn: Turn) -> Self {
        Self { turn: Some((turns.clone(), turn)), ..self.clone() }
    }
    /// Waits until stopping is asked. Cancel-safe.
    pub async fn wait(&self) {
        let Self { mut all, mut one, turn } = self.clone();
        let over = async {
            match &turn {
                Some((turns, turn)) => turns.over(*turn).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = all.wait() => {}
            () = one.wait() => {}
            () = over => {}
        }
    }
    /// What the future gives; `None` when stopping is asked before.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.wait() => None,
            done = future => Some(done),
        }
    }
}

/// A running session. Dropping it asks it to stop, and does not wait.
#[derive(Debug)]
pub struct SessionHandle {
    delivery: Arc<Delivery>,
    stop: Stop,
    turns: watch::Sender<Turn>,
    task: JoinHandle<()>,
}

impl SessionHandle {
    /// What it has counted.
    pub fn stats(&self) -> SessionStats {
        self.delivery.stats()
    }
    /// The camera's signal.
    pub fn signal(&self) -> SignalChange {
        self.delivery.signal()
    }
    /// The number the next access unit will have.
    pub fn next_seq(&self) -> u64 {
        self.delivery.next_seq()
    }
    /// Says whether it may connect from now on.
    pub fn give(&self, turn: Turn) {
        if let Turn::Visit(number) = turn {
            self.delivery.visit_given(number);
        }
        self.turns.send_if_modified(|before| std::mem::replace(before, turn) != turn);
    }
    /// What came of the latest visit that it was given.
    pub fn visit(&self) -> Visit {
        self.delivery.visit()
    }
    /// Whether it is connected, or tries to be.
    pub fn is_open(&self) -> bool {
        self.delivery.is_open()
    }
    /// Whether it has ended: when asked to stop, or by a defect. Then start another.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
    /// Asks it to stop, and does not wait.
    pub fn ask_to_stop(&self) {
        self.stop.ask();
    }
    /// Asks it to stop and waits until it has (up to about a second where the camera is frozen). Blocks.
    pub fn stop(self) {
        self.ask_to_stop();
        // A panic of its task has been reported by the hook; there is nothing left to stop.
        let _ended = futures::executor::block_on(self.task);
    }
}

/// Starts a session. It ends when `stopping` is asked or its handle stops it.
pub fn spawn(
    spec: SessionSpec,
    sink: Arc<dyn UnitSink>,
    clock: SharedClock,
    stopping: Stopping,
) -> Result<SessionHandle, Error> {
    let reader = Reader::new(spec.clone(), Arc::clone(&clock));
    spawn_source(spec, Box::new(reader), sink, clock, stopping)
}

/// Starts a session over any source.
pub fn spawn_source(
    spec: SessionSpec,
    mut source: Box<dyn Source>,
    sink: Arc<dyn UnitSink>,
    clock: SharedClock,
    stopping: Stopping,
) -> Result<SessionHandle, Error> {
    let threads =
        threads::handle().map_err(|source| Error::Thread { camera: spec.camera.to_string(), source })?;
    let delivery = Arc::new(Delivery::new(spec.first_seq, sink, Arc::clone(&clock)));
    let (stop, one) = shutdown::pair();
    let halt = Halt { all: stopping, one, turn: None };
    let for_task = Arc::clone(&delivery);
    let (sender, turns) = turn::turns(spec.idle.map_or(Turn::Always, Turn::Closed));
    // Its log lines stand in the span of whoever starts it.
    let running = async move { run(source.as_mut(), &spec, &for_task, &clock, &halt, &turns).await };
    let task = threads.spawn(running.in_current_span());
    Ok(SessionHandle { delivery, stop, turns: sender, task })
}

/// Tries for ever, or as often as it is given a turn; returns when asked to stop.
async fn run(
    source: &mut dyn Source,
    spec: &SessionSpec,
    delivery: &Arc<Delivery>,
    clock: &SharedClock,
    halt: &Halt,
    turns: &Turns,
) {
    let camera = &spec.camera;
    let mut retry = Retry::new(seed(camera));
    let mut watch = Watch { spec, delivery, clock, halt: halt.clone(), zone: zone(&spec.timezone) };
    let mut visits = Visits::new(spec.idle.unwrap_or(Idle::Patrol));
    delivery.connecting(spec.idle);
    if spec.idle.is_none() && !watch.expected() {
        // Before the first attempt has failed: a camera that is off would be called silent while it does not answer.
        delivery.change(Signal::ExpectedOff, "outside the hours in which it is expected on".to_owned());
    }
    loop {
        let Some(turn) = halt.or(turns.next(visits.made)).await else { return };
        watch.halt = halt.during(turns, turn);
        let mut error = SessionError::Stopped;
        let mut streamed = None;
        if watch.wait(spec.connect_rate.turn(clock.mono())).await
            && let Some(admission) = watch.admission(turn, &mut error).await
        {
            delivery.open(admission, turn);
            error = source.run_once(delivery, &watch.halt).await;
            streamed = delivery.close(&error);
        }
        if halt.ended() {
            return;
        }
        if let Turn::Visit(number) = turn {
            visits.end(number, &error, streamed.is_some(), &watch);
            continue;
        }
        let Some(offline) = error.signal() else {
            if !turns.is_over(turn) {
                return;
            }
            // It was connected, and waits for turns from now on.
            delivery.change(Signal::NotConnected(visits.idle), String::new());
            continue;
        };
        delivery.failed(offline);
        watch.wait_lost(retry.wait(&error, streamed, clock.mono()), offline, &error).await;
    }
}

/// What a session does between its attempts.
struct Watch<'a> {
    spec: &'a SessionSpec,
    delivery: &'a Delivery,
    clock: &'a SharedClock,
    /// Also when the turn is over.
    halt: Halt,
    zone: jiff::tz::TimeZone,
}

impl Watch<'_> {
    /// Waits until the session may sign in; `None` when asked to stop. A visit does not wait out a refused account: that is
    /// its error.
    async fn admission(&self, turn: Turn, error: &mut SessionError) -> Option<Admission> {
        loop {
            let now = self.clock.mono();
            let entry = self.spec.accounts.enter(&self.spec.stream.url, self.spec.credentials.as_ref(), now);
            let go_on = match entry {
                Entry::Open(admission) => return Some(admission),
                Entry::Tried => self.wait(HEARTBEAT).await,
                Entry::Refused(_) if turn != Turn::Always => {
                    *error = SessionError::AccountRefused;
                    return None;
                }
                Entry::Refused(until) => {
                    let refused = SessionError::AccountRefused;
                    self.wait_lost(until.since(now), refused.signal()?, &refused).await
                }
            };
            if !go_on {
                return None;
            }
        }
    }
    /// Says that the camera is lost, and waits by the clock. False when asked to stop.
    async fn wait_lost(&self, for_: Duration, offline: Signal, error: &SessionError) -> bool {
        // The hours may begin or end meanwhile.
        self.wait_while(for_, || self.tell(offline, error)).await
    }
    /// Says what the camera's signal is, where an attempt has ended.
    fn tell(&self, signal: Signal, error: &SessionError) {
        let offline = matches!(signal, Signal::Offline(_) | Signal::Stalled);
        let signal = if offline && !self.expected() { Signal::ExpectedOff } else { signal };
        let detail = error.signal().map(|_| error.to_string()).unwrap_or_default();
        if self.delivery.change(signal, detail) && offline {
            info!(camera = %self.spec.camera, signal = signal.word(), cause = %error, "session lost");
        }
    }
    fn expected(&self) -> bool {
        self.spec.expected_on.is_none_or(|hours| hours.contains(minute_of_day(self.clock.wall(), &self.zone)))
    }
    /// Waits by the clock. False when asked to stop.
    async fn wait(&self, for_: Duration) -> bool {
        self.wait_while(for_, || {}).await
    }
    async fn wait_while(&self, for_: Duration, each_time: impl Fn()) -> bool {
        let until: Mono = self.clock.mono().plus(for_);
        loop {
            each_time();
            if self.halt.asked() {
                return false;
            }
            let left = until.since(self.clock.mono());
            if left.is_zero() {
                return true;
            }
            let pause = tokio::time::sleep(left.min(HEARTBEAT));
            if self.halt.or(pause).await.is_none() {
                return false;
            }
        }
    }
}

/// The zone of that name; UTC where it is not known here.
fn zone(name: &str) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get(name).unwrap_or(jiff::tz::TimeZone::UTC)
}

/// Minutes after midnight in the zone.
fn minute_of_day(wall: Wall, zone: &jiff::tz::TimeZone) -> u16 {
    let stamp = jiff::Timestamp::from_microsecond(wall.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let time = stamp.to_zoned(zone.clone()).time();
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

/// FNV-1a: cameras lost together must not come back together, and a camera's waits ought to be the same in each run.
fn seed(camera: &CameraId) -> u64 {
    camera.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
