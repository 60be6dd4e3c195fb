//! A camera's sub-stream: what its session delivers, for glances at every picture.
//!
//! It is no part of the camera's health. While it delivers nothing, glances are taken at keyframes of the main stream, as
//! where there is no sub-stream; that is told and is nobody's incident.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tracing::info;
use xueliang_base::{id::CameraId, time::Wall, unit::AccessUnit};
use xueliang_ingest::{
    health::{Signal, SignalChange},
    ring::Ring,
    session::UnitSink,
};

use super::camera::Live;

/// Glances are late after two seconds, and no evidence is taken from here.
const SECONDS: Duration = Duration::from_secs(4);
const BYTES: usize = 4_000_000;

/// Shared between its session's thread and the looks task.
pub struct SubStream {
    camera: CameraId,
    /// Its units, with an account of their own.
    pub ring: Ring,
    live: Mutex<Live>,
}

impl SubStream {
    /// One without a session yet.
    pub fn new(camera: CameraId, now_wall: Wall) -> Self {
        Self { camera, ring: Ring::new(BYTES, SECONDS), live: Mutex::new(Live::new(now_wall)) }
    }
    /// What is known now.
    pub fn live(&self) -> Live {
        self.lock().clone()
    }
    /// Whether units arrive.
    pub fn streams(&self) -> bool {
        self.lock().signal == Signal::Streaming
    }
    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("no code panics while it holds this lock")
    }
}

impl UnitSink for SubStream {
    fn unit(&self, unit: AccessUnit) {
        self.lock().took(&unit);
        self.ring.push(unit);
    }
    fn signal(&self, change: SignalChange) {
        let (is, detail) = (change.signal, change.detail.clone());
        let was = {
            let mut live = self.lock();
            let was = live.signal;
            live.turned(change);
            was
        };
        match (was == Signal::Streaming, is == Signal::Streaming) {
            (false, true) => info!(camera = %self.camera, "sub-stream delivers, its pictures are glances"),
            (true, false) => info!(
                camera = %self.camera,
                signal = is.word(),
                detail,
                "sub-stream lost, glances are taken at keyframes of the main stream"
            ),
            _ => {}
        }
    }
}
