//! One look: from attention's decision to a worker and back.

use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, warn};
use xueliang_base::{
    alert::{Stage, StageTime},
    id::LookId,
    look::{LookCost, LookKind, NotLooked, Observation, Sight},
    time::Mono,
    unit::AccessUnit,
};
use xueliang_inference::attention::{Decision, LeaseChange, LookOutcome, Seen};
use xueliang_ingest::ring::Settled;
use xueliang_proto::v1::{WorkerLook, worker_request::Ask, worker_response::Answer};

use super::{Answered, Done, Looks, RECENT_UNITS, times::Took};
use crate::node::wire;

impl Looks {
    pub(super) fn start(&mut self, decision: &Decision, now: Mono) {
        let id = decision.camera.clone();
        if let Some(LeaseChange::Granted { instead_of }) = &decision.lease {
            if let Some(other) = instead_of {
                self.release(other, decision.worker, false);
            }
            if let Some(running) = self.cameras.get_mut(&id) {
                running.last_fed = None;
            }
        }
        let leased = self.attention.lease(&id) == Some(decision.worker);
        let Some(running) = self.cameras.get_mut(&id) else { return };
        let ring = &running.cell.ring;
        let mut restart = false;
        let span = match decision.kind {
            LookKind::Keyframe => {
                restart = leased;
                ring.take_keyframe()
            }
            LookKind::Continued => running.last_fed.and_then(|fed| ring.take_since(fed)).or_else(|| {
                restart = true;
                ring.take_from_keyframe()
            }),
        };
        let Some(span) = span.filter(|span| !span.units.is_empty()) else {
            // It left the ring since it was offered.
            let outcome =
                LookOutcome { cost: LookCost::default(), result: Err(NotLooked::TooOld), units_decoded: 0 };
            self.attention.done(now, &id, outcome);
            self.not_looked(&id, NotLooked::TooOld);
            self.offer(&id);
            return;
        };
        if leased {
            running.last_fed = span.units.last().map(|unit| unit.seq);
        }
        for unit in &span.units {
            if running.recent.len() == RECENT_UNITS {
                running.recent.pop_front();
            }
            running.recent.push_back(AccessUnit { data: Bytes::new(), ..unit.clone() });
        }
        let camera = running.cell.camera.clone();
        let codec = span.units[0].codec;
        let ask = Ask::Look(WorkerLook {
            camera_id: id.to_string(),
            codec: wire::codec_to_wire(codec).into(),
            continued: leased,
            restart,
            units: span.units.iter().map(wire::unit_to_wire).collect(),
            masks: camera.masks.iter().map(wire::outline_to_wire).collect(),
            models: decision.models.iter().map(ToString::to_string).collect(),
        });
        let look = LookId(self.next_look);
        self.next_look += 1;
        running.in_flight = Some(look);
        running.purpose = decision.purpose;
        if let Some(tiers) = &mut running.tiers {
            tiers.started(decision.owed);
        }
        let index = decision.worker.0 as usize;
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.busy = true;
        let (worker, life) = (slot.worker.clone(), slot.life);
        let done = self.done.clone();
        let (kind, deadline) = (decision.kind, self.spec.analysis.look_deadline);
        tokio::spawn(async move {
            let answer = worker.ask(ask, deadline).await;
            let done_look =
                Done { camera: id, worker: index, life, kind, look, span, dispatched: now, answer };
            // The looks task may have ended: then the span's ticket counts its units as lost.
            drop(done.send(Answered::Look(done_look)).await);
        });
    }

    pub(super) fn finish(&mut self, done: Done) {
        let now = self.spec.clock.mono();
        self.freed(done.worker, done.life, done.answer.as_ref().err());
        let outcome = match done.answer {
            Ok(Answer::Saw(saw)) => wire::saw_from_wire(saw).map_err(|error| {
                warn!(camera = %done.camera, %error, "worker's answer cannot be used");
                NotLooked::WorkerLost
            }),
            Ok(Answer::Failed(failed)) => {
                debug!(camera = %done.camera, message = failed.message, "could not look");
                Err(wire::reason_from_wire(failed.reason()))
            }
            Ok(_) => Err(NotLooked::WorkerLost),
            Err(reason) => Err(reason),
        };
        // A picture of a unit long gone: nothing can be said of when it was.
        let unit_of = |seq| self.cameras.get(&done.camera)?.recent.iter().find(|u| u.seq == seq).cloned();
        let looked = match &outcome {
            Ok(saw) => unit_of(saw.seq).ok_or(NotLooked::Undecodable),
            Err(reason) => Err(*reason),
        };
        let settled = match &outcome {
            Ok(saw) => Settled::Looked { looked_seq: saw.seq, decoded: u64::from(saw.decoded) },
            Err(reason) => Settled::Lost(*reason),
        };
        let kind_word = if done.kind == LookKind::Keyframe { "keyframe" } else { "continued" };
        let outcome_word = looked.as_ref().map_or_else(|reason| reason.word(), |_| "looked");
        let Some(running) = self.cameras.get_mut(&done.camera) else { return };
        running.cell.ring.settle(&done.span.ticket, settled);
        // Of before the camera was begun anew: its units are settled, and nobody is told.
        if running.in_flight != Some(done.look) {
            return;
        }
        *self.facts.looks.entry((kind_word, outcome_word)).or_default() += 1;
        running.in_flight = None;
        // Without its decoder the next continued look begins at a keyframe; the lease stays.
        let forgotten = outcome.as_ref().is_ok_and(|saw| saw.forgotten);
        if looked.is_err() || forgotten {
            running.last_fed = None;
        }
        self.attention.done(
            now,
            &done.camera,
            LookOutcome {
                cost: outcome.as_ref().map(|saw| saw.cost).unwrap_or_default(),
                result: looked.as_ref().map_err(|reason| *reason).map(|unit| Seen {
                    picture: unit.arrival,
                    models: outcome
                        .iter()
                        .flat_map(|saw| &saw.views)
                        .map(|view| view.model.clone())
                        .collect(),
                }),
                units_decoded: outcome.as_ref().map_or(0, |saw| saw.decoded as usize),
            },
        );
        if let (Ok(saw), Ok(unit)) = (&outcome, &looked) {
            self.spec.times.record(&Took {
                kind: done.kind,
                whole: now.since(done.dispatched),
                age: now.since(unit.arrival),
                cost: &saw.cost,
                units: u64::from(saw.decoded),
                inferred: !saw.views.is_empty(),
            });
        }
        let (observed, stages, unit_seq) = match (outcome, looked) {
            (Ok(saw), Ok(unit)) => {
                let infer = Duration::from_micros(saw.cost.preprocess_us + saw.cost.infer_us);
                let stages = vec![
                    StageTime::exact(Stage::Wait, done.dispatched.since(unit.arrival)),
                    StageTime::exact(Stage::Decode, Duration::from_micros(saw.cost.decode_us)),
                    StageTime::exact(Stage::Infer, infer),
                ];
                let sight = Sight {
                    arrival: unit.arrival,
                    arrival_wall: unit.arrival_wall,
                    camera_time: unit.camera_time,
                    views: saw.views,
                    scene: saw.scene,
                    aspect: saw.aspect,
                };
                (Ok(sight), stages, Some(unit.seq))
            }
            (_, Err(reason)) | (Err(reason), _) => (Err(reason), Vec::new(), None),
        };
        let observation = Observation {
            look: done.look,
            kind: done.kind,
            revision: self.revision,
            at: now,
            at_wall: self.spec.clock.wall(),
            outcome: observed,
        };
        self.observe(&done.camera, observation, stages, done.dispatched, unit_seq);
        self.offer(&done.camera);
    }
}
