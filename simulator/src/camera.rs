//! One simulated camera: what it is given, what it does now, and the handle that changes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::{Account, Guard};
use crate::clip::{Clip, Codec};
use crate::counters::{CameraCounters, Counters};
use crate::error::Error;
use crate::fault::{AWAY, DARK, Fault};
use crate::feed::Scene;
use crate::schedule::{Change, Schedule};

/// What a camera is given at the start.
#[derive(Debug, Clone)]
pub struct CameraSpec {
    name: String,
    clip: Arc<Clip>,
    alternatives: BTreeMap<String, Arc<Clip>>,
    account: Option<Account>,
    schedule: Schedule,
    session_timeout: Duration,
    write_patience: Duration,
    clock_offset_ms: i64,
    ahead: Duration,
}

impl CameraSpec {
    /// A camera that shows `clip` at the URL path `name` (`gate`, `town/gate/main`, `cam?channel=1&subtype=0`), open
    /// to everybody.
    pub fn new(name: impl Into<String>, clip: Arc<Clip>) -> Self {
        Self {
            name: name.into(),
            clip,
            alternatives: BTreeMap::new(),
            account: None,
            schedule: Schedule::default(),
            session_timeout: Duration::from_secs(60),
            write_patience: Duration::from_secs(5),
            clock_offset_ms: 0,
            ahead: Duration::ZERO,
        }
    }

    /// Gives another clip to show on command; `dark` and `away` are the names of [`Fault::Dark`] and [`Fault::Away`].
    pub fn alternative(mut self, name: impl Into<String>, clip: Arc<Clip>) -> Self {
        self.alternatives.insert(name.into(), clip);
        self
    }

    /// Asks for a login with DESCRIBE, SETUP and PLAY.
    pub fn account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// Runs a schedule of faults from the start on.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Closes a session of which nothing was heard for so long. Default 60 s. RTSP tells it in whole seconds.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// Closes a connection whose socket takes nothing for so long. Default 5 s.
    pub fn write_patience(mut self, patience: Duration) -> Self {
        self.write_patience = patience;
        self
    }

    /// Sets the camera's wall clock, as its sender reports tell it, ahead (or behind, if negative).
    pub fn clock_offset_ms(mut self, offset_ms: i64) -> Self {
        self.clock_offset_ms = offset_ms;
        self
    }

    /// Begins so far in its clip, so that cameras of one clip do not show the same, and send their keyframes, at once.
    pub fn ahead(mut self, ahead: Duration) -> Self {
        self.ahead = ahead;
        self
    }
}

/// How a camera behaves towards its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Serving,
    Stalled,
    HalfOpen,
    Refusing,
    /// Until a time, or until the faults are cleared.
    Stopped(Option<Instant>),
}

/// What a camera does now. Every connection has a copy and is told when it changes.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) scene: Scene,
    pub(crate) service: Service,
    /// Probability of each bit of payload to be flipped.
    pub(crate) corrupt: f64,
    /// From PLAY to the first picture.
    pub(crate) first_after: Duration,
}

impl State {
    pub(crate) fn codec(&self) -> Codec {
        self.scene.clip.codec()
    }

    pub(crate) fn is_stopped(&self, now: Instant) -> bool {
        matches!(self.service, Service::Stopped(until) if until.is_none_or(|until| now < until))
    }
}

/// A camera at work.
#[derive(Debug)]
pub(crate) struct Camera {
    spec: CameraSpec,
    /// When its schedule begins.
    pub(crate) begun: Instant,
    pub(crate) epoch: Instant,
    pub(crate) state: watch::Sender<State>,
    pub(crate) guard: Guard,
    pub(crate) counters: Counters,
}

impl Camera {
    /// Checks `spec` and packetises its clips. The timeline begins a part `phase` of a picture's time after `start`.
    pub(crate) fn build(spec: CameraSpec, start: Instant, phase: f64) -> Result<Self, Error> {
        let is_url_path = !spec.name.is_empty()
            && spec.name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
            && !spec.name.starts_with('/')
            && !spec.name.ends_with('/');
        if !is_url_path {
            return Err(Error::BadCameraName { name: spec.name });
        }
        for clip in spec.alternatives.values().chain([&spec.clip]) {
            clip.packets();
        }
        let begun = start + spec.clip.rate().time_of(1).mul_f64(phase);
        // A machine that has not been up for so long begins where it can.
        let epoch = begun.checked_sub(spec.ahead).unwrap_or(begun);
        let scene = Scene { clip: Arc::clone(&spec.clip), frozen_since: None };
        let state = watch::Sender::new(State {
            scene,
            service: Service::Serving,
            corrupt: 0.0,
            first_after: Duration::ZERO,
        });
        let guard = Guard::new(spec.account.clone());
        let camera = Self { spec, begun, epoch, state, guard, counters: Counters::default() };
        for step in camera.spec.schedule.steps() {
            if let Change::Apply(fault) = &step.change {
                camera.check(fault)?;
            }
        }
        Ok(camera)
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.spec.schedule
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(crate) fn session_timeout(&self) -> Duration {
        self.spec.session_timeout
    }

    pub(crate) fn write_patience(&self) -> Duration {
        self.spec.write_patience
    }

    pub(crate) fn clock_offset_ms(&self) -> i64 {
        self.spec.clock_offset_ms
    }

    fn alternative(&self, clip: &str) -> Result<Arc<Clip>, Error> {
        self.spec
            .alternatives
            .get(clip)
            .cloned()
            .ok_or_else(|| Error::NoAlternative { camera: self.spec.name.clone(), clip: clip.to_owned() })
    }

    /// Whether `fault` can happen to this camera.
    fn check(&self, fault: &Fault) -> Result<(), Error> {
        match fault {
            Fault::Dark => self.alternative(DARK).map(drop),
            Fault::Away => self.alternative(AWAY).map(drop),
            Fault::Show(clip) => self.alternative(clip).map(drop),
            Fault::LockAccount if !self.guard.has_account() => {
                Err(Error::NoAccount { camera: self.spec.name.clone() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn apply(&self, fault: Fault) -> Result<(), Error> {
        self.check(&fault)?;
        tracing::debug!(camera = self.name(), %fault, "simulated fault begins");
        let show = |clip: Arc<Clip>| {
            clip.packets();
            self.state.send_modify(|state| state.scene.clip = clip);
        };
        let serve = |service| self.state.send_modify(|state| state.service = service);
        match fault {
            Fault::Dark => show(self.alternative(DARK)?),
            Fault::Away => show(self.alternative(AWAY)?),
            Fault::Show(clip) => show(self.alternative(&clip)?),
            Fault::ChangeClip(clip) => show(clip),
            Fault::Freeze => self.state.send_modify(|state| {
                state.scene.frozen_since.get_or_insert_with(Instant::now);
            }),
            Fault::Corrupt(rate) => self.state.send_modify(|state| state.corrupt = rate.clamp(0.0, 1.0)),
            Fault::Stall => serve(Service::Stalled),
            Fault::HalfOpen => serve(Service::HalfOpen),
            Fault::Refuse => serve(Service::Refusing),
            Fault::Stop => serve(Service::Stopped(None)),
            Fault::Restart(down) => serve(Service::Stopped(Some(Instant::now() + down))),
            Fault::LockAccount => self.guard.lock(),
            Fault::FirstAfter(after) => self.state.send_modify(|state| state.first_after = after),
        }
        Ok(())
    }

    pub(crate) fn clear(&self) {
        tracing::debug!(camera = self.name(), "simulated faults end");
        self.guard.unlock();
        self.state.send_modify(|state| {
            state.scene = Scene { clip: Arc::clone(&self.spec.clip), frozen_since: None };
            state.service = Service::Serving;
            state.corrupt = 0.0;
            state.first_after = Duration::ZERO;
        });
    }
}

/// A running camera, to break it and to read its counters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CameraHandle {
    camera: Arc<Camera>,
}

impl CameraHandle {
    pub(crate) fn new(camera: Arc<Camera>) -> Self {
        Self { camera }
    }

    /// The camera's name.
    pub fn name(&self) -> &str {
        self.camera.name()
    }

    /// Begins a fault at once (a change of picture waits for the new clip's next keyframe).
    pub fn apply(&self, fault: Fault) -> Result<(), Error> {
        self.camera.apply(fault)
    }

    /// Ends all faults: first clip, undamaged, in service, account unlocked.
    pub fn clear(&self) {
        self.camera.clear();
    }

    /// The counters now.
    pub fn counters(&self) -> CameraCounters {
        self.camera.counters.snapshot()
    }

    /// The start of the camera's timeline: in decoding order, picture `n` of any clip leaves at `epoch + n / rate`.
    pub fn epoch(&self) -> Instant {
        self.camera.epoch
    }
}
