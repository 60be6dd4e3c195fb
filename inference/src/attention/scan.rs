//! The same decisions by walking over all cameras: slow, plain, and what the agenda is held to on random histories.

use rand::{Rng, SeedableRng, rngs::SmallRng};
use xueliang_base::kind::Kind;

use super::*;

impl Attention {
    /// [`Attention::next`], asking every camera.
    fn next_by_scan(&mut self, now: Mono, free: &[WorkerId]) -> Option<Decision> {
        self.rest(now);
        self.weigh(now);
        let limits = self.limits;
        for (id, seat) in &mut self.seats {
            seat.begin(now);
            if let Some(reason) = seat.refusal(now, limits, free.is_empty()) {
                *self.counters.refused.entry(reason).or_default() += 1;
                self.refusals.push(Refusal { camera: id.clone(), at: now, reason });
            }
        }
        let mut queue: Vec<(f64, usize)> = Vec::new();
        for (place, seat) in self.seats.values().enumerate() {
            if seat.is_due(now, limits) {
                queue.push((seat.urgency(now, limits), place));
            }
        }
        queue.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        // With no agenda, nothing is kept up to date.
        self.agenda = None;
        let free = Free::of(free);
        queue.into_iter().find_map(|(_, place)| self.start(now, place, &free))
    }
    /// [`Attention::next_wake`], asking every camera; whether that is certain.
    fn wake_by_scan(&self, now: Mono) -> (Option<Mono>, bool) {
        let limits = self.limits;
        let wakes = self.seats.values().filter_map(|seat| {
            let due = seat.due_from()?;
            (due > now && !seat.is_due(now, limits) && seat.is_due(due, limits)).then_some(due)
        });
        (wakes.min(), !self.seats.values().any(Seat::is_doubted))
    }
    /// What each rule is granted, summing up all cameras for each.
    fn first_in_line(&self, id: &CameraId) -> (usize, f64) {
        let seat = &self.seats[id];
        let (mut before, mut needed) = (0, seat.load(true) - seat.load(false));
        for (other, theirs) in self.seats.iter().filter(|(_, theirs)| theirs.offer.blind.is_none()) {
            needed += theirs.load(false);
            let first = theirs.lease.is_some() || (theirs.priority(), id) > (seat.priority(), other);
            if theirs.continued && other != id && first {
                before += 1;
                needed += theirs.load(true) - theirs.load(false);
            }
        }
        (before, needed)
    }
}

/// A camera of a random history, as far as its next offer depends on it.
struct Camera {
    id: CameraId,
    step: Option<Duration>,
    phase: Duration,
    /// How unevenly units come, where that is known.
    uneven: Option<Duration>,
    cost: LookCost,
    blind: bool,
}

struct History {
    dice: SmallRng,
    now: Mono,
    cameras: Vec<Camera>,
    /// Looks on their way: camera, worker, picture, models, when they end.
    flights: Vec<(CameraId, WorkerId, Mono, Decision, Mono)>,
    workers: u32,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = SmallRng::seed_from_u64(seed);
        let workers = dice.random_range(1..6);
        Self { dice, now: Mono(1_000_000_000_000), cameras: Vec::new(), flights: Vec::new(), workers }
    }
    fn params(&mut self) -> AttentionParams {
        AttentionParams {
            workers: self.workers as usize,
            leases_per_worker: self.dice.random_range(0..4),
            max_age: Duration::from_millis(self.dice.random_range(300..9000)),
            ..AttentionParams::default()
        }
    }
    fn need(&mut self, id: CameraId) -> CameraNeed {
        let dice = &mut self.dice;
        let floors = (0..dice.random_range(0..4))
            .map(|index| {
                let blind_max =
                    Duration::from_millis([300, 500, 1000, 5000, 5000, 30_000][dice.random_range(0..6)]);
                Floor {
                    rule: format!("r{index}").parse().unwrap(),
                    kind: Kind::ZoneIntrusion,
                    blind_max,
                    deciding: blind_max / 3,
                    at_rest: blind_max.max(Duration::from_secs(10)),
                    continued: dice.random_bool(0.3),
                    models: vec![format!("m{index}").parse().unwrap()],
                    unserved: dice.random_bool(0.1),
                }
            })
            .collect();
        let rest = Rest { glance: Duration::from_secs(4), visits: Duration::ZERO };
        let rest = dice.random_bool(0.5).then_some(rest);
        CameraNeed { id, weight: [1.0, 1.0, 1.0, 2.0, 0.5][dice.random_range(0..5)], floors, rest }
    }
    fn add(&mut self) -> CameraId {
        let dice = &mut self.dice;
        let id: CameraId = format!("c{:02}", dice.random_range(0..60)).parse().unwrap();
        // Some looks take so long that they are hardly ever worth their start.
        let most = if dice.random_bool(0.05) { 12_000_000 } else { 300_000 };
        let camera = Camera {
            id: id.clone(),
            step: [None, Some(500), Some(2000), Some(2000), Some(4000)][dice.random_range(0..5)]
                .map(Duration::from_millis),
            phase: Duration::from_nanos(dice.random_range(0..4_000_000_000)),
            uneven: [None, Some(0), Some(2), Some(30)][dice.random_range(0..4)].map(Duration::from_millis),
            cost: LookCost {
                decode_us: dice.random_range(500..40_000),
                preprocess_us: 0,
                infer_us: dice.random_range(1000..most),
            },
            blind: false,
        };
        self.cameras.retain(|camera| camera.id != id);
        self.cameras.push(camera);
        id
    }
    /// The ring: keyframes every step, units every 40 ms.
    fn offer(&mut self, index: usize) -> (CameraId, Offer) {
        let camera = &self.cameras[index];
        let grid = |step: Duration| {
            let since = self.now.since(Mono(0).plus(camera.phase)).as_nanos();
            self.now.minus(Duration::from_nanos(u64::try_from(since % step.as_nanos()).unwrap()))
        };
        let newest = grid(Duration::from_millis(40));
        let offer = Offer {
            freshest_keyframe_arrival: Some(grid(camera.step.unwrap_or(Duration::from_secs(3)))),
            newest_unit_arrival: Some(newest),
            units_since_look: self.dice.random_range(1..60),
            keyframe_interval_estimate: camera.step,
            rhythm: camera.uneven.map(|uneven| Rhythm { every: Duration::from_millis(40), uneven }),
            blind: camera.blind.then_some(NotLooked::Offline),
        };
        (camera.id.clone(), offer)
    }
    /// Something happens; attention is told.
    fn step(&mut self, attention: &mut Attention) {
        self.now = self.now.plus(Duration::from_nanos(self.dice.random_range(0..400_000_000)));
        let now = self.now;
        let (over, going) = std::mem::take(&mut self.flights).into_iter().partition(|flight| flight.4 <= now);
        self.flights = going;
        for (id, _, picture, decision, _) in over {
            let cost = self.cameras.iter().find(|camera| camera.id == id).map(|camera| camera.cost);
            let result = match self.dice.random_range(0..20) {
                0 => Err(NotLooked::Undecodable),
                _ => Ok(Seen { picture, models: decision.models }),
            };
            let units_decoded = self.dice.random_range(1..20);
            attention.done(now, &id, LookOutcome { cost: cost.unwrap_or_default(), result, units_decoded });
        }
        match self.dice.random_range(0..60) {
            0 if self.cameras.len() < 40 => {
                let id = self.add();
                attention.set_camera(self.need(id));
            }
            1 if !self.cameras.is_empty() => {
                let index = self.dice.random_range(0..self.cameras.len());
                let id = self.cameras.swap_remove(index).id;
                attention.remove_camera(&id);
                self.flights.retain(|flight| flight.0 != id);
            }
            2 if !self.cameras.is_empty() => {
                let index = self.dice.random_range(0..self.cameras.len());
                self.cameras[index].blind ^= true;
            }
            3 => {
                let worker = WorkerId(self.dice.random_range(0..self.workers));
                attention.worker_lost(worker);
                self.flights.retain(|flight| flight.1 != worker);
            }
            4..10 if !self.cameras.is_empty() => {
                let index = self.dice.random_range(0..self.cameras.len());
                let watch = Duration::from_millis(self.dice.random_range(500..4000));
                attention.wake(now, &self.cameras[index].id, watch);
            }
            14..18 if !self.cameras.is_empty() => {
                let index = self.dice.random_range(0..self.cameras.len());
                attention.stir(now, &self.cameras[index].id);
            }
            18..20 if !self.cameras.is_empty() => {
                let index = self.dice.random_range(0..self.cameras.len());
                attention.calm(now, &self.cameras[index].id);
            }
            10..14 if !self.cameras.is_empty() => {
                let index = self.dice.random_range(0..self.cameras.len());
                let mut rules = || {
                    let some = (0..3).filter(|_| self.dice.random_bool(0.3));
                    some.map(|n| format!("r{n}").parse().unwrap()).collect()
                };
                let (deciding, holding) = (rules(), rules());
                attention.undecided(now, &self.cameras[index].id, deciding, holding);
            }
            _ => {}
        }
        for index in 0..self.cameras.len() {
            if self.dice.random_bool(0.7) {
                let (id, offer) = self.offer(index);
                attention.offer(&id, offer);
            }
        }
    }
    fn free(&self) -> Vec<WorkerId> {
        let busy: Vec<WorkerId> = self.flights.iter().map(|flight| flight.1).collect();
        (0..self.workers).map(WorkerId).filter(|worker| !busy.contains(worker)).collect()
    }
    fn start(&mut self, attention: &Attention, decision: &Decision) {
        let seat = &attention.seats[&decision.camera];
        let picture = seat.flight.as_ref().expect("its look is on its way").picture;
        let until = self.now.plus(Duration::from_millis(self.dice.random_range(5..600)));
        let (id, worker) = (decision.camera.clone(), decision.worker);
        self.flights.push((id, worker, picture, decision.clone(), until));
    }
}

#[test]
fn on_random_histories_the_agenda_decides_what_a_walk_over_all_cameras_does() {
    let (mut looks, mut refused, mut leased, mut wakes) = (0, 0, 0, 0);
    for seed in 0..120 {
        let mut history = History::new(seed);
        let params = history.params();
        let mut attention = Attention::new(params);
        for _ in 0..history.dice.random_range(1..40) {
            let id = history.add();
            attention.set_camera(history.need(id));
        }
        for step in 0..250 {
            history.step(&mut attention);
            loop {
                let free = history.free();
                let (now, mut plain) = (history.now, attention.clone());
                let expected = plain.next_by_scan(now, &free);
                let decision = attention.next(now, &free);
                assert_eq!(decision, expected, "seed {seed}, step {step}");
                assert_eq!(attention.refusals, plain.refusals, "seed {seed}, step {step}");
                assert_eq!(attention.counters, plain.counters, "seed {seed}, step {step}");
                refused += attention.take_refusals().len();
                let Some(decision) = decision else { break };
                looks += 1;
                leased += usize::from(decision.lease.is_some());
                history.start(&attention, &decision);
            }
            let (expected, certain) = attention.wake_by_scan(history.now);
            let wake = attention.next_wake(history.now);
            wakes += usize::from(wake.is_some());
            assert!(
                wake == expected
                    || (!certain && wake.is_some_and(|wake| expected.is_none_or(|at| wake <= at))),
                "seed {seed}, step {step}: {wake:?} instead of {expected:?}"
            );
        }
        coverage_as_by_scan(&attention, seed);
    }
    // Histories in which nothing happens would prove nothing.
    assert!(
        looks > 20_000 && refused > 2_000 && leased > 500 && wakes > 5_000,
        "{looks} {refused} {leased} {wakes}"
    );
}

/// A camera without a lease is told that it would get one exactly where summing up for it alone says so.
fn coverage_as_by_scan(attention: &Attention, seed: u64) {
    let coverage = Coverage::of(&attention.params, &attention.seats);
    for (id, seat) in attention.seats.iter().filter(|(_, seat)| seat.continued && seat.lease.is_none()) {
        let (before, needed) = attention.first_in_line(id);
        let workers = attention.params.workers;
        let expected = if needed > workers as f64 * load::LEASED_SHARE {
            Err(Why::Overloaded)
        } else if before >= attention.params.leases_per_worker * workers {
            Err(Why::NoLease)
        } else {
            Ok(())
        };
        assert_eq!(coverage.lease(id, seat), expected, "seed {seed}, {id}");
    }
}
