//! Glances at sub-streams: turns of workers that no look needs, and what their pictures show.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tracing::{debug, warn};
use xueliang_base::{
    id::CameraId,
    look::{NotLooked, Thumbnail},
    time::{Mono, Wall},
    unit::AccessUnit,
};
use xueliang_inference::{
    attention::WorkerId,
    spare::{Held, Takes, Turn},
};
use xueliang_ingest::ring::{Settled, Span};
use xueliang_proto::v1::{WorkerGlance, WorkerGlanced, worker_request::Ask, worker_response::Answer};

use super::{Answered, Looks, RECENT_UNITS, Running};
use crate::node::{camera::Cell, sub_stream::SubStream, wire};

/// Decoders that one worker keeps for sub-streams: some 2 MB each at 352x288.
pub(super) const PER_WORKER: usize = 64;

/// A sub-stream that is glanced at.
#[derive(Default)]
pub(super) struct Followed {
    /// The last unit that its decoder was fed.
    fed: Option<u64>,
    /// Arrivals of units of the latest turns: pictures may come out later.
    recent: VecDeque<(u64, Mono, Wall)>,
    /// Units up to here cannot be decoded.
    failed: u64,
    /// Arrival of the latest picture.
    pub(super) last: Option<Wall>,
}

impl Followed {
    /// Its decoder is gone.
    pub(super) fn forget(&mut self) {
        self.fed = None;
    }
    fn arrival(&self, seq: u64) -> Option<(Mono, Wall)> {
        self.recent.iter().find(|(recent, ..)| *recent == seq).map(|(_, at, wall)| (*at, *wall))
    }
    fn note(&mut self, units: &[AccessUnit]) {
        for unit in units {
            if self.recent.len() == RECENT_UNITS {
                self.recent.pop_front();
            }
            self.recent.push_back((unit.seq, unit.arrival, unit.arrival_wall));
        }
    }
    fn held(&self, sub: &SubStream) -> Held {
        let pending = sub.ring.pending();
        let count = |units: u64| usize::try_from(units).unwrap_or(usize::MAX);
        let begin = pending.decodable_since.filter(|seq| *seq > self.failed);
        Held {
            unfed: self.fed.map(|fed| count(pending.newest_seq.saturating_sub(fed))),
            from_keyframe: begin.map(|seq| count(pending.newest_seq + 1 - seq)),
            keyframe: sub.ring.freshest_keyframe().is_some_and(|(seq, _)| seq > self.failed),
        }
    }
}

/// What was done at sub-streams so far, of all cameras.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubCounts {
    /// Turns that went on with a stream.
    pub followed: u64,
    /// Turns at a keyframe alone: there was no time to follow, or no decoder.
    pub keyframes: u64,
    /// Turns that failed.
    pub failed: u64,
    /// Pictures glanced at.
    pub pictures: u64,
    /// Turns that had something worth a look.
    pub wakes: u64,
}

/// A turn that was answered.
pub(super) struct Glanced {
    camera: CameraId,
    /// Of which registration: one of before other rules is another.
    cell: Arc<Cell>,
    pub(super) worker: usize,
    pub(super) life: u64,
    takes: Takes,
    span: Span,
    dispatched: Mono,
    pub(super) answer: Result<Answer, NotLooked>,
}

impl Looks {
    /// Begins to glance at the camera's sub-stream, where it has one and its gates are on.
    pub(super) fn follow(&mut self, now: Mono, id: &CameraId) {
        self.unfollow(id);
        if self.cameras.get(id).is_some_and(|running| running.sub.is_some()) {
            self.spare.add(now, id);
        }
    }
    /// Ends that.
    pub(super) fn unfollow(&mut self, id: &CameraId) {
        if let Some(worker) = self.spare.remove(id) {
            self.release(id, worker, true);
        }
    }
    /// A sub-stream that sends nothing needs no decoder.
    pub(super) fn rest_sub(&mut self, id: &CameraId) {
        let Some(running) = self.cameras.get(id) else { return };
        if running.cell.sub.as_ref().is_none_or(|sub| sub.streams()) {
            return;
        }
        if let Some(worker) = self.spare.release(id) {
            self.release(id, worker, true);
        }
    }
    /// Decoders of a worker that is gone are gone.
    pub(super) fn subs_lost(&mut self, worker: WorkerId) {
        self.spare.worker_lost(worker);
        for (id, running) in &mut self.cameras {
            if let Some(sub) = running.sub.as_mut().filter(|_| self.spare.holder(id).is_none()) {
                sub.forget();
            }
        }
    }
    /// Starts a turn on one of these workers, for which there is no look. Whether one was started.
    pub(super) fn turn(&mut self, now: Mono, free: &[WorkerId]) -> bool {
        loop {
            let cameras = &self.cameras;
            let held = |id: &CameraId| {
                let running = cameras.get(id);
                let both = running.and_then(|running| running.sub.as_ref().zip(running.cell.sub.as_ref()));
                both.map(|(followed, sub)| followed.held(sub)).unwrap_or_default()
            };
            let Some(turn) = self.spare.next(now, free, held) else { return false };
            if self.start_turn(&turn, now) {
                return true;
            }
            // It left the ring in this moment.
            let kept = self.spare.done(now, &turn.camera, true);
            debug_assert_eq!(kept, None, "only a failure takes a decoder away");
        }
    }

    fn start_turn(&mut self, turn: &Turn, now: Mono) -> bool {
        let Some(Running { cell, sub: Some(followed), .. }) = self.cameras.get_mut(&turn.camera) else {
            return false;
        };
        let Some(sub) = cell.sub.clone() else { return false };
        let next = match turn.takes {
            Takes::Next => followed.fed.and_then(|fed| sub.ring.take_since(fed)),
            Takes::Restart | Takes::Keyframe => None,
        };
        let (span, restart) = match (turn.takes, next) {
            (Takes::Keyframe, _) => (sub.ring.take_keyframe(), false),
            (_, Some(span)) => (Some(span), false),
            // After a gap, too, its decoder begins anew.
            (_, None) => (sub.ring.take_from_keyframe(), true),
        };
        let Some(span) = span.filter(|span| !span.units.is_empty()) else {
            followed.forget();
            return false;
        };
        followed.fed = span.units.last().map(|unit| unit.seq).filter(|_| turn.takes != Takes::Keyframe);
        followed.note(&span.units);
        let index = turn.worker.0 as usize;
        let Some(slot) = self.slots.get_mut(index) else { return false };
        slot.busy = true;
        let ask = Ask::Glance(WorkerGlance {
            camera_id: turn.camera.to_string(),
            codec: wire::codec_to_wire(span.units[0].codec).into(),
            continued: turn.takes != Takes::Keyframe,
            restart,
            units: span.units.iter().map(wire::unit_to_wire).collect(),
            masks: cell.camera.masks.iter().map(wire::outline_to_wire).collect(),
        });
        let (worker, life) = (slot.worker.clone(), slot.life);
        let (done, deadline) = (self.done.clone(), self.spec.analysis.look_deadline);
        let (camera, cell, takes) = (turn.camera.clone(), cell.clone(), turn.takes);
        tokio::spawn(async move {
            let answer = worker.ask(ask, deadline).await;
            let glanced = Glanced { camera, cell, worker: index, life, takes, span, dispatched: now, answer };
            // The looks task may have ended: then the span's ticket counts its units as lost.
            drop(done.send(Answered::Glances(glanced)).await);
        });
        true
    }

    pub(super) fn glanced(&mut self, done: Glanced) {
        let now = self.spec.clock.mono();
        self.freed(done.worker, done.life, done.answer.as_ref().err());
        let outcome = match done.answer {
            Ok(Answer::Glanced(glanced)) => pictures(&glanced).map(|pictures| (pictures, glanced)),
            Ok(Answer::Failed(failed)) => {
                debug!(camera = %done.camera, message = failed.message, "could not glance at the sub-stream");
                Err(wire::reason_from_wire(failed.reason()))
            }
            Ok(_) => Err(NotLooked::WorkerLost),
            Err(reason) => Err(reason),
        };
        let Some(ring) = done.cell.sub.as_ref().map(|sub| &sub.ring) else { return };
        match &outcome {
            Ok((pictures, glanced)) => {
                let mut seqs = pictures.iter().map(|(seq, _)| *seq);
                let looked_seq = seqs.next().unwrap_or_default();
                ring.settle(
                    &done.span.ticket,
                    Settled::Looked { looked_seq, decoded: u64::from(glanced.decoded) },
                );
                ring.also_looked_at(seqs);
            }
            Err(reason) => ring.settle(&done.span.ticket, Settled::Lost(*reason)),
        }
        let Some(running) = self.cameras.get_mut(&done.camera) else { return };
        let same = Arc::ptr_eq(&running.cell, &done.cell);
        let Some(followed) = running.sub.as_mut().filter(|_| same) else { return };
        let kept = self.spare.done(now, &done.camera, outcome.is_ok());
        let Ok((pictures, glanced)) = outcome else {
            self.facts.subs.failed += 1;
            followed.forget();
            // Its keyframe may be what cannot be decoded: not the same again.
            followed.failed = done.span.units.last().map_or(followed.failed, |unit| unit.seq);
            // A turn that took too long, or could not be read, leaves its decoder with the worker.
            if let Some(worker) = kept {
                self.release(&done.camera, worker, true);
            }
            return;
        };
        match done.takes {
            Takes::Next | Takes::Restart => self.facts.subs.followed += 1,
            Takes::Keyframe => self.facts.subs.keyframes += 1,
        }
        self.facts.subs.pictures += pictures.len() as u64;
        let decode = Duration::from_micros(glanced.decode_us);
        let mut ages = Vec::with_capacity(pictures.len());
        let mut watch: Option<Duration> = None;
        for (seq, thumbnail) in pictures {
            let Some((arrival, wall)) = followed.arrival(seq) else { continue };
            ages.push(now.since(arrival));
            followed.last = followed.last.max(Some(wall));
            if let Some(tiers) = &mut running.tiers {
                watch = watch.max(tiers.glance_sub(arrival, &thumbnail));
            }
        }
        self.spec.times.record_turn(now.since(done.dispatched), decode, u64::from(glanced.decoded), &ages);
        let Some(watch) = watch else { return };
        self.facts.subs.wakes += 1;
        if running.tiers.as_ref().is_some_and(super::Tiers::enforced) {
            self.attention.wake(now, &done.camera, watch);
            self.offer(&done.camera);
        }
    }
}

fn pictures(glanced: &WorkerGlanced) -> Result<Vec<(u64, Thumbnail)>, NotLooked> {
    let picture =
        |one: &xueliang_proto::v1::GlancedPicture| Some((one.seq, Thumbnail::new(one.thumbnail.clone())?));
    glanced.pictures.iter().map(picture).collect::<Option<_>>().ok_or_else(|| {
        warn!("a worker's thumbnail is of another size");
        NotLooked::WorkerLost
    })
}
