//! Sessions: one connection to a stream at a time, for ever.
//!
//! [`spawn`] gives each camera a thread of its own, which runs [`run`]: `run_once` attempts with waits between them. A
//! camera that fails is normal; what a failure means for the next attempt stands in [`Retry`], what it means to
//! people in [`SessionError`]. Sources stand behind [`Source`]; GStreamer's is [`crate::gst::rtsp::RtspSource`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, Thread},
    time::Duration,
};

use ipnet::IpNet;
use tracing::info;
use xueliang_base::{
    config::{Hours, Stream},
    id::CameraId,
    shutdown::Stopping,
    time::{Mono, SharedClock, Wall},
    unit::AccessUnit,
};

use self::accounts::{Admission, Entry};
use crate::gst::rtsp::RtspSource;
use crate::{
    credentials::Credentials,
    error::Error,
    health::{Signal, SignalChange},
};

mod accounts;
pub mod address;
mod delivery;
mod error;
mod rate;
mod retry;
mod stats;
#[cfg(test)]
mod tests;

pub use accounts::Accounts;
pub use delivery::{Delivery, RawUnit};
pub use error::SessionError;
pub use rate::ConnectRate;
pub use retry::Retry;
pub use stats::SessionStats;

/// How often a session looks whether it has been asked to stop.
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
    }
}

/// Reads a stream once.
pub trait Source: Send {
    /// One attempt: connects and delivers until it fails or is asked to stop. Blocks.
    fn run_once(&mut self, delivery: &Arc<Delivery>, halt: &Halt) -> SessionError;
}

/// Asks one session, or all, to stop.
#[derive(Debug, Clone)]
pub struct Halt {
    all: Stopping,
    one: Arc<AtomicBool>,
}

impl Halt {
    /// Stops with `all`, or when asked alone.
    pub fn new(all: Stopping) -> Self {
        Self { all, one: Arc::default() }
    }
    /// Whether stopping has been asked.
    pub fn asked(&self) -> bool {
        self.one.load(Ordering::Relaxed) || self.all.asked()
    }
}

/// A running session. Dropping it asks it to stop, and does not wait.
#[derive(Debug)]
pub struct SessionHandle {
    delivery: Arc<Delivery>,
    halt: Halt,
    thread: Thread,
    join: Option<JoinHandle<()>>,
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
    /// Whether its thread has ended: when asked to stop, or by a defect. Then start another.
    pub fn is_finished(&self) -> bool {
        self.join.as_ref().is_none_or(JoinHandle::is_finished)
    }
    /// Asks it to stop, and does not wait.
    pub fn ask_to_stop(&self) {
        self.halt.one.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
    /// Asks it to stop and waits until it has (up to about a second where the camera is frozen). Blocks.
    pub fn stop(mut self) {
        self.ask_to_stop();
        if let Some(join) = self.join.take() {
            // A panic of that thread has been reported by its hook; there is nothing left to stop.
            let _ended = join.join();
        }
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// Starts a session over GStreamer on a thread of its own. It ends when `stopping` is asked or its handle stops it.
pub fn spawn(
    spec: SessionSpec,
    sink: Arc<dyn UnitSink>,
    clock: SharedClock,
    stopping: Stopping,
) -> Result<SessionHandle, Error> {
    let source = RtspSource::new(spec.clone(), Arc::clone(&clock));
    spawn_source(spec, Box::new(source), sink, clock, stopping)
}

/// Starts a session over any source.
pub fn spawn_source(
    spec: SessionSpec,
    mut source: Box<dyn Source>,
    sink: Arc<dyn UnitSink>,
    clock: SharedClock,
    stopping: Stopping,
) -> Result<SessionHandle, Error> {
    let delivery = Arc::new(Delivery::new(spec.first_seq, sink, Arc::clone(&clock)));
    let halt = Halt::new(stopping);
    let (for_thread, halt_for_thread) = (Arc::clone(&delivery), halt.clone());
    let camera = spec.camera.clone();
    let join = std::thread::Builder::new()
        .name(format!("session:{camera}"))
        .spawn(move || run(source.as_mut(), &spec, &for_thread, &clock, &halt_for_thread))
        .map_err(|source| Error::Thread { camera: camera.to_string(), source })?;
    Ok(SessionHandle { delivery, halt, thread: join.thread().clone(), join: Some(join) })
}

/// Tries for ever; returns when asked to stop.
pub fn run(
    source: &mut dyn Source,
    spec: &SessionSpec,
    delivery: &Arc<Delivery>,
    clock: &SharedClock,
    halt: &Halt,
) {
    let camera = &spec.camera;
    let mut retry = Retry::new(seed(camera));
    let watch = Watch { spec, delivery, clock, halt, zone: zone(&spec.timezone) };
    delivery.connecting();
    if !watch.expected() {
        // Before the first attempt has failed: a camera that is off would be called silent while it does not answer.
        delivery.change(Signal::ExpectedOff, "outside the hours in which it is expected on".to_owned());
    }
    loop {
        if !watch.wait(spec.connect_rate.turn(clock.mono())) {
            return;
        }
        let Some(admission) = watch.admission() else { return };
        delivery.open(admission);
        let error = source.run_once(delivery, halt);
        let streamed = delivery.close(&error);
        let Some(offline) = error.signal() else { return };
        if halt.asked() {
            return;
        }
        delivery.failed(offline);
        if !watch.wait_lost(retry.wait(&error, streamed, clock.mono()), offline, &error) {
            return;
        }
    }
}

/// What a session does between its attempts.
struct Watch<'a> {
    spec: &'a SessionSpec,
    delivery: &'a Delivery,
    clock: &'a SharedClock,
    halt: &'a Halt,
    zone: jiff::tz::TimeZone,
}

impl Watch<'_> {
    /// Waits until the session may sign in; `None` when asked to stop.
    fn admission(&self) -> Option<Admission> {
        loop {
            let now = self.clock.mono();
            let entry = self.spec.accounts.enter(&self.spec.stream.url, self.spec.credentials.as_ref(), now);
            let go_on = match entry {
                Entry::Open(admission) => return Some(admission),
                Entry::Tried => self.wait(HEARTBEAT),
                Entry::Refused(until) => {
                    let refused = SessionError::AccountRefused;
                    self.wait_lost(until.since(now), refused.signal()?, &refused)
                }
            };
            if !go_on {
                return None;
            }
        }
    }
    /// Says that the camera is lost, and waits by the clock. False when asked to stop.
    fn wait_lost(&self, for_: Duration, offline: Signal, error: &SessionError) -> bool {
        self.wait_while(for_, || {
            // The hours may begin or end meanwhile.
            let signal = if self.expected() { offline } else { Signal::ExpectedOff };
            if self.delivery.change(signal, error.to_string()) {
                info!(camera = %self.spec.camera, signal = signal.word(), cause = %error, "session lost");
            }
        })
    }
    fn expected(&self) -> bool {
        self.spec.expected_on.is_none_or(|hours| hours.contains(minute_of_day(self.clock.wall(), &self.zone)))
    }
    /// Waits by the clock. False when asked to stop.
    fn wait(&self, for_: Duration) -> bool {
        self.wait_while(for_, || {})
    }
    fn wait_while(&self, for_: Duration, each_time: impl Fn()) -> bool {
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
            std::thread::park_timeout(left.min(HEARTBEAT));
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
