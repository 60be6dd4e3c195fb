//! One camera's cell: what its session delivers, where looks can reach it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;
use xueliang_base::{
    config::Camera,
    id::CameraId,
    time::{Mono, Wall},
    unit::AccessUnit,
};
use xueliang_ingest::{
    health::{Signal, SignalChange},
    ring::Ring,
    session::UnitSink,
};

/// Cameras that have something new, for the looks task. Bounded by the number of cameras.
#[derive(Debug, Default)]
pub struct Dirty {
    cameras: Mutex<BTreeSet<CameraId>>,
    notify: Notify,
}

impl Dirty {
    /// Marks a camera. Never blocks for long, so media threads may call it.
    pub fn mark(&self, id: &CameraId) {
        let fresh = self.lock().insert(id.clone());
        if fresh {
            self.notify.notify_one();
        }
    }
    /// Takes all marks.
    pub fn take(&self) -> BTreeSet<CameraId> {
        std::mem::take(&mut *self.lock())
    }
    /// Waits for a mark. Cancel-safe.
    pub async fn wait(&self) {
        self.notify.notified().await;
    }
    fn lock(&self) -> MutexGuard<'_, BTreeSet<CameraId>> {
        self.cameras.lock().expect("no code panics while it holds this lock")
    }
}

/// What a session said last.
#[derive(Debug, Clone)]
pub struct Live {
    /// State and since when.
    pub signal: Signal,
    /// Since when.
    pub since: Mono,
    /// The same, for people.
    pub since_wall: Wall,
    /// What happened and what to do.
    pub detail: String,
    /// Arrival of the latest access unit.
    pub last_unit: Option<(Mono, Wall)>,
    /// Bytes and units since the start, for rates.
    pub bytes: u64,
    /// Connections that delivered since the start.
    pub connects: u64,
    /// Latest keyframe's arrival, to estimate their interval.
    last_keyframe: Option<Mono>,
    /// Time between keyframes, smoothed.
    pub keyframe_interval: Option<std::time::Duration>,
}

/// One camera, shared between its session's thread and the looks task.
pub struct Cell {
    /// Its registration.
    pub camera: Arc<Camera>,
    /// Its units.
    pub ring: Ring,
    live: Mutex<Live>,
    dirty: Arc<Dirty>,
}

impl Cell {
    /// A cell without a session yet.
    pub fn new(camera: Arc<Camera>, ring: Ring, dirty: Arc<Dirty>, now_wall: Wall) -> Self {
        let live = Live {
            signal: Signal::Connecting,
            since: Mono(0),
            since_wall: now_wall,
            detail: String::new(),
            last_unit: None,
            bytes: 0,
            connects: 0,
            last_keyframe: None,
            keyframe_interval: None,
        };
        Self { camera, ring, live: Mutex::new(live), dirty }
    }
    /// What is known now.
    pub fn live(&self) -> Live {
        self.lock().clone()
    }
    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("no code panics while it holds this lock")
    }
}

impl UnitSink for Cell {
    fn unit(&self, unit: AccessUnit) {
        {
            let mut live = self.lock();
            live.last_unit = Some((unit.arrival, unit.arrival_wall));
            live.bytes += unit.data.len() as u64;
            if unit.keyframe {
                if let Some(last) = live.last_keyframe
                    && !unit.discontinuity
                {
                    let interval = unit.arrival.since(last);
                    live.keyframe_interval = Some(
                        live.keyframe_interval
                            .map_or(interval, |smooth| smooth.mul_f64(0.7) + interval.mul_f64(0.3)),
                    );
                }
                live.last_keyframe = Some(unit.arrival);
            }
        }
        self.ring.push(unit);
        self.dirty.mark(&self.camera.id);
    }
    fn signal(&self, change: SignalChange) {
        {
            let mut live = self.lock();
            live.connects +=
                u64::from(change.signal == Signal::Streaming && live.signal != Signal::Streaming);
            live.signal = change.signal;
            live.since = change.since;
            live.since_wall = change.since_wall;
            live.detail = change.detail;
        }
        self.dirty.mark(&self.camera.id);
    }
}
