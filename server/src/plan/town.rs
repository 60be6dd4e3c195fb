//! A town that lives by the mix, looked at by the scheduler of the service.
//!
//! Simulated are the moments that matter: a look ends; a unit arrives that attention has to be told of; attention asks to
//! be woken. Every camera sends as steadily as its kind says, from a moment of its own, so that the other units, which
//! change no decision, need not be walked through: attention would be told of them and go on waiting. Looks take what is
//! drawn from the costs; a worker does one at a time.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use xueliang_base::{
    id::CameraId,
    look::{LookCost, LookKind, NotLooked},
    time::Mono,
};
use xueliang_inference::attention::{
    Attention, AttentionParams, CameraNeed, Decision, LeaseChange, LookOutcome, Moments, Seen, Vigil,
    WorkerId,
};

use super::{
    Costs, Mix,
    costs::Urn,
    tally::{FloorTally, Tally, TypeTally},
};

mod camera;
mod scene;

use camera::{Camera, Kind};
use scene::Scene;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Cameras of the town.
    pub cameras: usize,
    /// Look workers.
    pub workers: usize,
    /// What is counted.
    pub time: Duration,
    /// Where chance begins.
    pub seed: u64,
}

/// What goes before and is not counted, at least.
const WARM_UP: Duration = Duration::from_secs(60);
/// And at most: patrols may go round in a day.
const LONGEST_WARM_UP: Duration = Duration::from_secs(900);
/// A keyframe that comes at most so many intervals before another is due is told to attention (its own margin is 1.1).
const AHEAD: f64 = 1.2;
/// The share of its interval after which a camera of continued looks is due.
const EARLY: f64 = 0.8;

/// A look on its way.
struct Look {
    until: Mono,
    worker: WorkerId,
    camera: usize,
    picture: Mono,
    models: u64,
    outcome: LookOutcome,
}

struct Town<'a> {
    kinds: Vec<Kind<'a>>,
    models: Vec<(String, Urn)>,
    hop: Urn,
    cameras: Vec<Camera>,
    attention: Attention,
    /// When to tell attention again what a camera's ring holds.
    notes: Moments,
    /// The looks on their way, and when they end, first the first.
    looks: Vec<Option<Look>>,
    ends: BinaryHeap<Reverse<(Mono, u32)>>,
    free: Vec<WorkerId>,
    dice: SmallRng,
    now: Mono,
    counted_from: Mono,
    leases: usize,
    tally: Tally,
    deadline: Duration,
    /// How long a camera is watched for what moves.
    watch: Duration,
    /// Whether attention is told of all, as a test compares it.
    thorough: bool,
}

/// Lets a town live.
pub(super) fn live(mix: &Mix, costs: &Costs, options: Options) -> Tally {
    Town::build(mix, costs, options).live(options.time)
}

impl<'a> Town<'a> {
    fn build(mix: &'a Mix, costs: &Costs, options: Options) -> Self {
        let params = AttentionParams {
            workers: options.workers,
            leases_per_worker: mix.analysis.leases_per_worker,
            max_age: mix.analysis.max_age,
            look_deadline: mix.analysis.look_deadline,
            ..AttentionParams::default()
        };
        let names: Vec<&str> = costs.model.iter().map(|model| model.name.as_str()).collect();
        let kinds: Vec<Kind<'a>> =
            mix.types.iter().map(|of| Kind::of(of, costs, &names, params.breach_grace)).collect();
        let start = Mono(1_000_000_000_000);
        // Leases and averages settle before anything is counted, and every camera has had its turn twice.
        let turn = |kind: &Kind<'_>| kind.interval.map(|interval| interval.max(kind.keyframes));
        let longest = kinds.iter().filter_map(turn).max().unwrap_or_default();
        let warm_up = WARM_UP.max((longest * 3).min(LONGEST_WARM_UP));
        let mut dice = SmallRng::seed_from_u64(options.seed);
        let mut attention = Attention::new(params);
        let mut tally = Tally { time: options.time, ..Tally::default() };
        let floors = |kind: &Kind<'_>| vec![FloorTally::default(); kind.floors.len()];
        let nothing = |kind: &Kind<'_>| TypeTally {
            floors: floors(kind),
            active_looks: kind.rests.map(|_| 0),
            ..TypeTally::default()
        };
        tally.types = kinds.iter().map(nothing).collect();
        let mut cameras = Vec::with_capacity(options.cameras);
        let counts = apportion(options.cameras, mix.types.iter().map(|one| one.share));
        let owners = counts.iter().enumerate().flat_map(|(kind, count)| std::iter::repeat_n(kind, *count));
        for (index, kind) in owners.enumerate() {
            let id: CameraId = format!("c{index:07}").parse().expect("letters and digits");
            let of = &kinds[kind];
            attention.set_camera(CameraNeed { id: id.clone(), ..of.of.need.clone() });
            tally.types[kind].cameras += 1;
            let phase = of.keyframes.mul_f64(dice.random());
            let scene = of.rests.map(|stretches| Scene::begin(&stretches, start, &mut dice));
            cameras.push(Camera {
                id,
                kind,
                first: start.plus(phase).minus(of.keyframes),
                flying: false,
                leased: false,
                fed: None,
                decided: 0,
                seen: None,
                scene,
                served: vec![(start, Duration::ZERO); of.floors.len()],
            });
        }
        let mut town = Self {
            kinds,
            models: costs.model.iter().map(|model| (model.name.clone(), model.infer.urn())).collect(),
            hop: costs.worker.hop.urn(),
            cameras,
            attention,
            notes: Moments::new(options.cameras),
            looks: (0..options.workers).map(|_| None).collect(),
            ends: BinaryHeap::new(),
            free: (0..options.workers)
                .map(|worker| WorkerId(u32::try_from(worker).unwrap_or(u32::MAX)))
                .collect(),
            dice,
            now: start,
            counted_from: start.plus(warm_up),
            leases: 0,
            tally,
            deadline: mix.analysis.look_deadline,
            watch: mix.analysis.rest.watch,
            thorough: false,
        };
        for index in 0..town.cameras.len() {
            let camera = &town.cameras[index];
            let kind = &town.kinds[camera.kind];
            // Its first keyframe, at any time of its interval: as after days in which sessions ended and began.
            let spread = kind.interval.unwrap_or_default().mul_f64(town.dice.random());
            let first = camera.last(kind.keyframes, town.now.plus(spread)).plus(kind.keyframes);
            if kind.interval.is_some() {
                town.note(index, first);
            }
        }
        town
    }

    fn live(mut self, time: Duration) -> Tally {
        let end = self.counted_from.plus(time);
        loop {
            let look = self.ends.peek().map(|Reverse((at, _))| *at);
            let wake = self.attention.next_wake(self.now).map(|at| at.max(self.now));
            let Some(at) = [look, self.notes.first(), wake].into_iter().flatten().min() else { break };
            if at >= end {
                break;
            }
            self.now = at.max(self.now);
            while let Some(Reverse((at, worker))) = self.ends.peek().copied()
                && at <= self.now
            {
                self.ends.pop();
                self.finish(worker);
            }
            while let Some((_, camera)) = self.notes.take(self.now) {
                self.tell(camera);
            }
            while let Some(decision) = self.attention.next(self.now, &self.free) {
                self.start(decision);
            }
            self.attention.take_refusals();
            for (id, _) in self.attention.take_revoked() {
                self.lose_lease(&id);
            }
        }
        self.close(end)
    }

    /// A camera is called by its place.
    fn place(&self, id: &CameraId) -> Option<usize> {
        id.as_str().strip_prefix('c')?.parse().ok().filter(|place| *place < self.cameras.len())
    }
    fn note(&mut self, camera: usize, at: Mono) {
        self.notes.set(camera, Some(at.max(self.now.plus(Duration::from_nanos(1)))));
    }

    /// Tells attention what the camera's ring holds, where that may make it due, and notes when to do so again.
    fn tell(&mut self, index: usize) {
        let camera = &self.cameras[index];
        let kind = &self.kinds[camera.kind];
        let Some(interval) = kind.interval else { return };
        let (now, seen) = (self.now, camera.seen);
        // Who is watched gets a decoder at any unit, and not at the next keyframe.
        let watched = kind.rests.is_some()
            && kind.continued
            && self.attention.vigil(&camera.id) != Some(Vigil::Resting);
        let step = if camera.leased || watched { kind.unit } else { kind.keyframes };
        let newest = camera.last(step, now);
        // From then on its pictures may make it due.
        let from = match seen {
            None => Mono(0),
            // At rest a glance may be due, and one that wakes makes the next picture so.
            Some(_) if self.thorough || kind.rests.is_some() => Mono(0),
            Some(seen) if camera.leased => seen.plus(kind.earliest),
            Some(seen) => {
                let interval = if kind.continued { interval.mul_f64(EARLY) } else { interval };
                seen.plus(interval).minus(step.mul_f64(AHEAD))
            }
        };
        let timely = if camera.leased { now >= from } else { newest >= from };
        if timely && seen.is_none_or(|seen| newest > seen) {
            let offer = camera.offer(kind, now);
            self.attention.offer(&camera.id, offer);
        }
        let next =
            if camera.leased && now < from { from } else { camera.last(step, now.max(from)).plus(step) };
        self.note(index, next);
    }

    fn start(&mut self, decision: Decision) {
        let Some(index) = self.place(&decision.camera) else { return };
        if let Some(LeaseChange::Granted { instead_of }) = &decision.lease {
            if let Some(other) = instead_of {
                self.lose_lease(other);
            }
            self.cameras[index].leased = true;
            self.cameras[index].fed = None;
            self.leases += 1;
            self.tally.most_leases = self.tally.most_leases.max(self.leases);
        }
        let camera = &mut self.cameras[index];
        let kind = &self.kinds[camera.kind];
        let newest = camera.unit_at(kind.unit, self.now);
        let keyframe = newest / kind.group * kind.group;
        let dice = &mut self.dice;
        let (taken, decode_us, units) = match decision.kind {
            LookKind::Keyframe => (keyframe, kind.decode_keyframe.draw(dice), 1),
            LookKind::Continued => {
                let from = camera.fed.unwrap_or(keyframe).min(newest);
                let units = newest + 1 - from;
                let restart = if camera.fed.is_none() { kind.decode_keyframe.draw(dice) } else { 0 };
                let following = units - u64::from(camera.fed.is_none());
                (newest, restart + following * kind.decode_unit.draw(dice), units)
            }
        };
        camera.decided = taken + 1;
        if camera.leased {
            camera.fed = Some(taken + 1);
        }
        let mut cost = LookCost { decode_us, ..LookCost::default() };
        let mut models = 0;
        for name in &decision.models {
            let Some(at) = self.models.iter().position(|(model, _)| model == name.as_str()) else { continue };
            models |= 1 << at;
            cost.preprocess_us += kind.prepare.draw(dice);
            cost.infer_us += self.models[at].1.draw(dice);
        }
        let besides = self.hop.draw(dice) + kind.scene.draw(dice);
        let took = Duration::from_micros(cost.decode_us + cost.preprocess_us + cost.infer_us + besides);
        let picture = camera.arrival(kind.unit, taken);
        camera.flying = true;
        self.notes.set(index, None);
        let result = if took > self.deadline {
            self.tally.missed += 1;
            Err(NotLooked::Deadline)
        } else {
            Ok(Seen { picture, models: decision.models })
        };
        let until = self.now.plus(took.min(self.deadline));
        let outcome =
            LookOutcome { cost, result, units_decoded: usize::try_from(units).unwrap_or(usize::MAX) };
        let (worker, place) = (decision.worker, decision.worker.0 as usize);
        if self.now >= self.counted_from {
            self.tally.busy += until.since(self.now);
            let tally = &mut self.tally.types[camera.kind];
            match decision.kind {
                LookKind::Keyframe => tally.keyframe_looks += 1,
                LookKind::Continued => tally.continued_looks += 1,
            }
        }
        self.looks[place] = Some(Look { until, worker, camera: index, picture, models, outcome });
        self.ends.push(Reverse((until, worker.0)));
        if let Ok(at) = self.free.binary_search(&worker) {
            self.free.remove(at);
        }
    }

    fn finish(&mut self, worker: u32) {
        let Some(look) = self.looks[worker as usize].take() else { return };
        let at = self.free.partition_point(|worker| *worker < look.worker);
        self.free.insert(at, look.worker);
        let camera = &mut self.cameras[look.camera];
        camera.flying = false;
        if look.outcome.result.is_ok() {
            let kind = &self.kinds[camera.kind];
            if self.now >= self.counted_from {
                let tally = &mut self.tally.types[camera.kind];
                tally.ages.add(look.until.since(look.picture));
                if let Some(seen) = camera.seen {
                    tally.intervals.add(look.picture.since(seen));
                }
            }
            camera.seen = camera.seen.max(Some(look.picture));
            for ((models, _), (served, longest)) in kind.floors.iter().zip(&mut camera.served) {
                if models & look.models == *models {
                    if look.picture >= self.counted_from {
                        *longest = (*longest).max(look.picture.since(*served));
                    }
                    *served = (*served).max(look.picture);
                }
            }
        }
        let looked = look.outcome.result.is_ok();
        self.attention.done(self.now, &self.cameras[look.camera].id, look.outcome);
        if looked {
            self.glance(look.camera, look.picture);
        }
        self.tell(look.camera);
    }

    /// What moves in a picture has its camera watched, if that ever rests.
    fn glance(&mut self, index: usize, picture: Mono) {
        let camera = &mut self.cameras[index];
        let (Some(scene), Some(stretches)) = (&mut camera.scene, &self.kinds[camera.kind].rests) else {
            return;
        };
        if scene.is_active(stretches, picture, &mut self.dice) {
            if self.now >= self.counted_from {
                self.tally.types[camera.kind].active_looks.as_mut().into_iter().for_each(|looks| *looks += 1);
            }
            self.attention.wake(self.now, &camera.id, self.watch);
        }
    }

    fn lose_lease(&mut self, id: &CameraId) {
        let Some(index) = self.place(id) else { return };
        self.leases -= usize::from(self.cameras[index].leased);
        self.cameras[index].leased = false;
        self.cameras[index].fed = None;
        if !self.cameras[index].flying {
            self.tell(index);
        }
    }

    fn close(mut self, end: Mono) -> Tally {
        // What a look on its way takes beyond the end is not of this time.
        for look in self.looks.iter().flatten() {
            self.tally.busy = self.tally.busy.saturating_sub(look.until.since(end));
        }
        for camera in &self.cameras {
            let kind = &self.kinds[camera.kind];
            let floors =
                kind.floors.iter().zip(&camera.served).zip(&mut self.tally.types[camera.kind].floors);
            for (((_, bound), (served, longest)), tally) in floors {
                let longest = (*longest).max(end.since((*served).max(self.counted_from)));
                tally.longest = tally.longest.max(longest);
                if longest > *bound { tally.breached += 1 } else { tally.kept += 1 }
            }
        }
        self.tally
    }
}

/// So many cameras by share: what is left over by rounding goes to the largest remainders.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of a number of cameras")]
fn apportion(cameras: usize, shares: impl Iterator<Item = f64>) -> Vec<usize> {
    let exact: Vec<f64> = shares.map(|share| share * cameras as f64).collect();
    let mut counts: Vec<usize> = exact.iter().map(|count| count.floor() as usize).collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    let left = cameras.saturating_sub(counts.iter().sum());
    for kind in order.iter().cycle().take(left) {
        counts[*kind] += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
