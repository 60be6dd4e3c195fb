//! Turns of sessions: tells the planner what is heard of each camera, gives sessions their turns, and tells others what that
//! means. Decisions are the planner's ([`xueliang_ingest::acquire`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use xueliang_base::{
    config::{Acquire, Config},
    id::{CameraId, UpstreamId},
    time::Mono,
};
use xueliang_ingest::{
    acquire::{Carries, Heard, Lack, Planner, Taken},
    health::Signal,
    session::{SessionHandle, Turn},
};

use super::sessions::Session;

/// A bit rate is measured over so long: several keyframes.
const MEASURED_OVER: Duration = Duration::from_secs(20);

/// How cameras are taken, for reports and metrics.
#[derive(Debug, Clone, Default)]
pub struct Acquired {
    /// Those that wait for turns.
    pub cameras: BTreeMap<CameraId, Taken>,
    /// Upstreams with a budget.
    pub upstreams: Vec<Carries>,
    /// How often a camera that was due had to wait.
    pub refused: BTreeMap<(UpstreamId, Lack), u64>,
}

/// A stream since when, and its bytes then.
struct Meter {
    since: Mono,
    bytes: u64,
}

#[derive(Default)]
pub(super) struct Acquisition {
    planner: Planner,
    /// Cameras that wait for turns.
    waiting: BTreeSet<CameraId>,
    meters: BTreeMap<CameraId, Meter>,
}

impl Acquisition {
    pub(super) fn configure(&mut self, now: Mono, config: &Config) {
        self.planner.configure(now, config);
        let waits = |camera: &&xueliang_base::config::Camera| {
            xueliang_ingest::acquire::idle(config, camera).is_some()
        };
        self.waiting = config.cameras.iter().filter(waits).map(|camera| camera.id.clone()).collect();
        self.meters.retain(|id, _| self.waiting.contains(id));
    }
    /// Somebody asks for a camera. False where it is connected all the time, or unknown.
    pub(super) fn ask(&mut self, now: Mono, id: &CameraId, lasting: Duration) -> bool {
        self.planner.ask(now, id, lasting)
    }
    /// Gives turns. Call it several times a second.
    pub(super) fn turn(&mut self, now: Mono, sessions: &mut BTreeMap<CameraId, Session>) {
        if self.waiting.is_empty() {
            return;
        }
        for id in &self.waiting {
            let Some(session) = sessions.get(id) else { continue };
            let heard = heard(now, session, self.meters.entry(id.clone()));
            self.planner.hear(now, id, &heard);
        }
        for (id, turn) in self.planner.plan(now) {
            if let Some(session) = sessions.get_mut(&id) {
                session.give(turn);
            }
        }
        for id in &self.waiting {
            if let (Some(session), Some(taken)) = (sessions.get(id), self.planner.taken(now, id)) {
                // Whoever asks wants it watched.
                let asked = taken.asked.is_some();
                let acquire = if asked { Acquire::Continuous } else { taken.acquire };
                session.cell.note(|noted| (noted.acquire, noted.interval) = (acquire, taken.interval));
            }
        }
    }
    pub(super) fn acquired(&self, now: Mono) -> Acquired {
        let taken = |id: &CameraId| Some((id.clone(), self.planner.taken(now, id)?));
        Acquired {
            cameras: self.waiting.iter().filter_map(taken).collect(),
            upstreams: self.planner.carries(now),
            refused: self.planner.refused().clone(),
        }
    }
}

fn heard(
    now: Mono,
    session: &Session,
    meter: std::collections::btree_map::Entry<'_, CameraId, Meter>,
) -> Heard {
    let (live, noted) = (session.cell.live(), session.cell.noted());
    let mut bits = None;
    if live.signal == Signal::Streaming {
        let sub = session.cell.sub.as_ref().map_or(0, |sub| sub.live().bytes);
        let bytes = live.bytes + sub;
        let meter = meter.or_insert(Meter { since: now, bytes });
        let lasted = now.since(meter.since);
        if lasted >= MEASURED_OVER {
            let sent = bytes.saturating_sub(meter.bytes) as f64 * 8.0 / lasted.as_secs_f64();
            bits = Some(sent as u64);
            *meter = Meter { since: now, bytes };
        }
    } else if let std::collections::btree_map::Entry::Occupied(meter) = meter {
        meter.remove();
    }
    let visit = session.handle.as_ref().map(SessionHandle::visit).unwrap_or_default();
    // Where no rule needs a picture nobody looks at one.
    let looks = session.cell.camera.rules.iter().any(|rule| rule.condition.needs_picture());
    let pictured = visit.picture.map(|(at, _)| at);
    Heard {
        visit,
        open: session.all().filter_map(|one| one.handle.as_ref()).any(SessionHandle::is_open),
        held: session.handle.is_some() && session.turn == Some(Turn::Always),
        looked: if looks { noted.looked } else { pictured },
        undecided: noted.undecided,
        bits,
    }
}

#[cfg(test)]
mod tests;
