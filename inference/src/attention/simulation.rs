//! A node in miniature: cameras whose units arrive by a clock, workers that take synthetic times.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    id::CameraId,
    kind::Kind,
    look::{LookCost, LookKind, NotLooked},
    time::Mono,
};

use super::{
    Attention, AttentionParams, CameraNeed, Decision, Floor, LookOutcome, Offer, Pace, Seen, WorkerId,
};

pub(super) const TICK: Duration = Duration::from_millis(5);

/// A camera of the simulation.
#[derive(Debug, Clone)]
pub(super) struct Cam {
    pub(super) id: CameraId,
    pub(super) fps: f64,
    pub(super) gop: u64,
    pub(super) cost: LookCost,
    pub(super) blind_max: Duration,
    pub(super) weight: f32,
    pub(super) continued: bool,
    /// Longest blind times of further rules, each with a model of its own.
    pub(super) others: Vec<f64>,
    /// Its first unit comes so long after the start.
    pub(super) phase: Duration,
    /// Looks fail from this moment on.
    pub(super) broken: bool,
    /// Share of the time between two units by which one comes earlier or later at most; less than a half.
    pub(super) jitter: f64,
    /// Every so many seconds, nothing comes for so many; then what was held back comes at once.
    pub(super) stalls: Option<(f64, f64)>,
    /// Whether attention is told the rhythm of its units.
    pub(super) told: bool,
    pace: Pace,
    units: u64,
    decoded: u64,
    /// Units up to here were part of a look, or superseded by one.
    decided: u64,
    pub(super) seen: Vec<Mono>,
    pub(super) ages: Vec<Duration>,
    /// Arrivals of the pictures that each model saw; `m0` is the first rule's.
    pub(super) by_model: BTreeMap<String, Vec<Mono>>,
}

impl Cam {
    pub(super) fn new(name: &str, blind_max_s: f64, cost_ms: u64) -> Self {
        Self {
            id: name.parse().unwrap(),
            fps: 15.0,
            gop: 30,
            cost: LookCost { decode_us: cost_ms * 250, preprocess_us: 0, infer_us: cost_ms * 750 },
            blind_max: Duration::from_secs_f64(blind_max_s),
            weight: 1.0,
            continued: false,
            others: Vec::new(),
            phase: Duration::ZERO,
            broken: false,
            jitter: 0.0,
            stalls: None,
            told: true,
            pace: Pace::default(),
            units: 0,
            decoded: 0,
            decided: 0,
            seen: Vec::new(),
            ages: Vec::new(),
            by_model: BTreeMap::new(),
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "test counts are small")]
    fn arrival(&self, start: Mono, unit: u64) -> Mono {
        // Between -1 and 1, and the same at each call.
        let chance = (unit.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / f64::from(1 << 23) - 1.0;
        let mut at = (unit as f64 + chance * self.jitter).max(0.0) / self.fps;
        if let Some((every, length)) = self.stalls
            && at % every < length
        {
            at += length - at % every + unit as f64 * 1e-6;
        }
        start.plus(self.phase).plus(Duration::from_secs_f64(at))
    }
    fn offer(&self, start: Mono, leased: bool) -> Offer {
        if self.units == 0 {
            return Offer { blind: Some(NotLooked::Connecting), ..Offer::default() };
        }
        let newest = self.units - 1;
        let keyframe = newest / self.gop * self.gop;
        let from = if leased && self.decoded > 0 { self.decoded } else { keyframe };
        Offer {
            freshest_keyframe_arrival: (keyframe >= self.decided).then(|| self.arrival(start, keyframe)),
            newest_unit_arrival: Some(self.arrival(start, newest)),
            units_since_look: usize::try_from(self.units.saturating_sub(from)).unwrap(),
            #[expect(clippy::cast_precision_loss, reason = "test counts are small")]
            keyframe_interval_estimate: Some(Duration::from_secs_f64(self.gop as f64 / self.fps)),
            rhythm: self.pace.rhythm().filter(|_| self.told),
            blind: None,
        }
    }
    /// Longest time between two pictures seen after the warm-up.
    pub(super) fn longest(&self, after: Mono) -> f64 {
        let seen: Vec<_> = self.seen.iter().filter(|at| **at > after).collect();
        seen.windows(2).map(|p| p[1].since(*p[0]).as_secs_f64()).fold(0.0, f64::max)
    }
    #[expect(clippy::cast_precision_loss, reason = "test counts are small")]
    pub(super) fn mean(&self, after: Mono) -> f64 {
        let seen: Vec<_> = self.seen.iter().filter(|at| **at > after).collect();
        assert!(seen.len() > 2, "{} was looked at {} times", self.id, seen.len());
        seen[seen.len() - 1].since(*seen[0]).as_secs_f64() / (seen.len() - 1) as f64
    }
}

#[derive(Debug, Clone)]
struct Busy {
    until: Mono,
    /// None in a turn at a sub-stream.
    camera: Option<usize>,
    picture: Mono,
    outcome: LookOutcome,
}

/// The node.
pub(super) struct Sim {
    pub(super) attention: Attention,
    pub(super) cams: Vec<Cam>,
    workers: Vec<Option<Busy>>,
    pub(super) start: Mono,
    pub(super) now: Mono,
    pub(super) decisions: Vec<Decision>,
    /// Sub-streams, each of which takes a worker that has no look, so often and for so long, if it can.
    pub(super) turns: Option<(usize, Duration, Duration)>,
    turned: Vec<Mono>,
}

impl Sim {
    pub(super) fn new(params: AttentionParams, cams: Vec<Cam>) -> Self {
        let workers = vec![None; params.workers];
        let mut attention = Attention::new(params);
        for cam in &cams {
            attention.set_camera(CameraNeed {
                id: cam.id.clone(),
                weight: cam.weight,
                floors: std::iter::once(cam.blind_max)
                    .chain(cam.others.iter().copied().map(Duration::from_secs_f64))
                    .enumerate()
                    .map(|(index, blind_max)| Floor {
                        rule: format!("r{index}").parse().unwrap(),
                        kind: Kind::ZoneIntrusion,
                        blind_max,
                        deciding: blind_max,
                        at_rest: blind_max,
                        continued: cam.continued && index == 0,
                        models: vec![format!("m{index}").parse().unwrap()],
                        unserved: false,
                    })
                    .collect(),
                rest: None,
            });
        }
        let start = Mono(1_000_000_000_000);
        Self {
            attention,
            cams,
            workers,
            start,
            now: start,
            decisions: Vec::new(),
            turns: None,
            turned: Vec::new(),
        }
    }
    pub(super) fn run(&mut self, seconds: f64) {
        let end = self.now.plus(Duration::from_secs_f64(seconds));
        while self.now < end {
            self.now = self.now.plus(TICK);
            self.finish();
            self.arrive();
            self.start_looks();
        }
    }
    fn finish(&mut self) {
        for worker in 0..self.workers.len() {
            let Some(busy) = self.workers[worker].clone().filter(|busy| busy.until <= self.now) else {
                continue;
            };
            self.workers[worker] = None;
            let Some(camera) = busy.camera else { continue };
            let cam = &mut self.cams[camera];
            if let Ok(seen) = &busy.outcome.result {
                for model in &seen.models {
                    cam.by_model.entry(model.to_string()).or_default().push(busy.picture);
                }
                cam.seen.push(busy.picture);
                cam.ages.push(busy.until.since(busy.picture));
            }
            self.attention.done(self.now, &cam.id, busy.outcome);
        }
    }
    fn arrive(&mut self) {
        for cam in &mut self.cams {
            while cam.arrival(self.start, cam.units) <= self.now {
                cam.pace.took(cam.arrival(self.start, cam.units));
                cam.units += 1;
            }
            let leased = self.attention.lease(&cam.id).is_some();
            self.attention.offer(&cam.id, cam.offer(self.start, leased));
        }
    }
    fn start_looks(&mut self) {
        loop {
            let free: Vec<WorkerId> = (0..self.workers.len())
                .filter(|w| self.workers[*w].is_none())
                .map(|w| WorkerId(u32::try_from(w).unwrap()))
                .collect();
            let Some(decision) = self.attention.next(self.now, &free) else {
                self.turn(&free);
                return;
            };
            assert!(free.contains(&decision.worker), "only free workers are given work");
            let index = self.cams.iter().position(|cam| cam.id == decision.camera).unwrap();
            let cam = &mut self.cams[index];
            let offer =
                cam.offer(self.start, decision.lease.is_none() && self.attention.lease(&cam.id).is_some());
            let (picture, units) = match decision.kind {
                LookKind::Keyframe => (offer.freshest_keyframe_arrival.unwrap(), 1),
                LookKind::Continued => (offer.newest_unit_arrival.unwrap(), offer.units_since_look.max(1)),
            };
            if decision.kind == LookKind::Continued {
                cam.decoded = cam.units;
                cam.decided = cam.units;
            } else {
                cam.decided = (cam.units - 1) / cam.gop * cam.gop + 1;
            }
            let decode_us = cam.cost.decode_us * u64::try_from(units).unwrap();
            let seen = Seen { picture, models: decision.models.clone() };
            let result = if cam.broken { Err(NotLooked::Undecodable) } else { Ok(seen) };
            let cost = LookCost { decode_us, ..cam.cost };
            let took = Duration::from_micros(cost.decode_us + cost.infer_us);
            let outcome = LookOutcome { cost, result, units_decoded: units };
            let worker = usize::try_from(decision.worker.0).unwrap();
            self.workers[worker] =
                Some(Busy { until: self.now.plus(took), camera: Some(index), picture, outcome });
            self.decisions.push(decision);
        }
    }
    /// What workers do that have no look.
    fn turn(&mut self, free: &[WorkerId]) {
        let Some((streams, every, takes)) = self.turns else { return };
        self.turned.resize(streams, self.start);
        for worker in free {
            let oldest = self.turned.iter_mut().min().filter(|at| self.now.since(**at) >= every);
            let Some(turned) = oldest else { return };
            *turned = self.now;
            let outcome =
                LookOutcome { cost: LookCost::default(), result: Err(NotLooked::Busy), units_decoded: 0 };
            self.workers[worker.0 as usize] =
                Some(Busy { until: self.now.plus(takes), camera: None, picture: self.now, outcome });
        }
    }
}
