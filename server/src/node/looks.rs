//! The looks task: owns attention, the cameras and their rules, and hands looks to workers.
//!
//! One task does all of it, so nothing here is locked or queued: it wakes when a camera has something new, when a
//! worker answers, when the configuration changes, and when attention asked to be woken.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;
use tracing::warn;
use xueliang_base::{
    alert::{ModelRef, StageTime},
    config::Acquire,
    detection::Meaning,
    gate::Said,
    id::{CameraId, ConfigRevision, LookId},
    incident::{Edge, Evidence, Incident},
    kind::Kind,
    look::{LookKind, NotLooked, Observation},
    time::{Mono, SharedClock},
    unit::AccessUnit,
};
use xueliang_inference::{
    analyst::{Analyst, Reference, RuleState},
    attention::{Attention, AttentionParams, LookFor, Offer, Vigil, WorkerId},
    journal::Journal,
    logbook::{Logbook, Setting},
    spare::Spare,
};
use xueliang_ingest::ring::Span;
use xueliang_proto::v1::{WorkerRelease, worker_request::Ask, worker_response::Answer};

mod acquire;
mod assign;
mod explain;
mod facts;
mod gaps;
mod keep;
mod look;
mod need;
mod subs;
mod tiers;
mod times;

pub use acquire::{cover, need_at};
pub use assign::Assignment;
use explain::Teller;
pub use explain::{Compared, ExplainAsk, Told, TrialAsk, Untold};
pub use facts::{CameraFacts, LooksFacts};
use keep::Keeper;
pub use need::{need, need_of};
pub use subs::SubCounts;
use subs::{Followed, Glanced};
use tiers::Tiers;
pub use times::LookTimes;

use super::{
    camera::{Cell, Dirty},
    pool::{PoolEvent, Worker},
};

/// How often cameras are visited that have nothing new: the pace at which silence is noticed.
const TICK: Duration = Duration::from_secs(1);

/// How often it is noted that a camera is still not connected, which it need not be.
const BETWEEN: Duration = Duration::from_secs(5);

/// What a camera's journal keeps at most, whatever room it has.
const JOURNAL_AGE: Duration = Duration::from_secs(6 * 3600);

/// Without a worker for so long, cameras are watched all the same: silence needs no model.
const WORKERS_PATIENCE: Duration = Duration::from_secs(20);

/// Units whose facts are remembered after their look: reordered pictures come out later.
const RECENT_UNITS: usize = 48;

/// An incident's change, with what is needed to make an alert of it.
#[derive(Debug)]
pub struct Change {
    /// The camera.
    pub camera: CameraId,
    /// What changed.
    pub edge: Edge,
    /// Configuration in force.
    pub revision: ConfigRevision,
    /// Model behind it, with version and checksum.
    pub model: Option<ModelRef>,
    /// Wait, decode and inference of the deciding look; empty where there was none.
    pub stages: Vec<StageTime>,
    /// When the look was handed to its worker; for changes without a look, when they were noticed.
    pub since: Mono,
    /// The unit whose picture decided it.
    pub unit_seq: Option<u64>,
    /// Whether it is of a drill camera.
    pub drill: bool,
}

/// What others may ask of the looks task.
pub enum Order {
    /// Run these cameras from now on.
    Configure(Box<Assignment>),
    /// A worker started or ended.
    Pool(PoolEvent),
    /// Write every camera's journal beside its view, for `replay --journal`.
    WriteJournals,
    /// Tell what a camera did.
    Explain(ExplainAsk),
    /// Tell what would have come of other rules.
    Try(TrialAsk),
}

struct Slot {
    worker: Worker,
    /// Whether its child can take a look.
    ready: bool,
    /// Counts its children that became ready.
    life: u64,
    busy: bool,
}

struct Running {
    cell: Arc<Cell>,
    analyst: Analyst,
    /// Shared only while it is being written to disk.
    journal: Arc<Journal>,
    logbook: Logbook,
    /// The reference view the analyst began with, for the journal's head, and the one stored last.
    began_with: Option<Reference>,
    stored: Option<Reference>,
    /// What decides between floors whether it is worth a look; none where its gates are off.
    tiers: Option<Tiers>,
    /// Its sub-stream, where that is glanced at.
    sub: Option<Followed>,
    /// How it is taken, as attention knows.
    acquire: Acquire,
    /// The last unit its leased decoder was fed.
    last_fed: Option<u64>,
    /// Units of the latest looks.
    recent: VecDeque<AccessUnit>,
    /// The look on its way: an answer to another one is of a cell or a worker that is gone.
    in_flight: Option<LookId>,
    /// What the latest look was started for.
    purpose: LookFor,
    last_observed: Mono,
    /// When it was lost last, or not expected to send.
    lost: Option<Mono>,
    /// Whether it was silent when last observed, or has an incident that says so.
    silent: bool,
    facts: CameraFacts,
}

impl Running {
    /// Whether it is a drill camera that nobody asks for: whatever its session says, its drill is over.
    fn over(&self) -> bool {
        self.cell.camera.drill && self.acquire == Acquire::OnRequest
    }
    /// Why there is nothing to look at, where there is not. In a drill the camera will be connected again, whatever becomes of one visit.
    fn silence(&self) -> Option<NotLooked> {
        match self.cell.live().signal.not_looked() {
            _ if self.over() => Some(NotLooked::NotConnected),
            Some(NotLooked::NotConnected) if self.cell.camera.drill => Some(NotLooked::Connecting),
            silence => silence,
        }
    }
}

struct Done {
    camera: CameraId,
    worker: usize,
    /// Of which of its children.
    life: u64,
    kind: LookKind,
    look: LookId,
    span: Span,
    dispatched: Mono,
    answer: Result<Answer, NotLooked>,
}

/// What a worker was asked.
enum Answered {
    Look(Done),
    Glances(Glanced),
}

/// What the task is made of.
pub struct LooksSpec {
    /// Time.
    pub clock: SharedClock,
    /// Marks of cameras with something new.
    pub dirty: Arc<Dirty>,
    /// The slots of the pool, in order.
    pub workers: Vec<Worker>,
    /// Bounds.
    pub analysis: xueliang_base::config::Analysis,
    /// Folder of reference views and written journals.
    pub folder: PathBuf,
    /// Where changes of incidents go.
    pub changes: mpsc::Sender<Change>,
    /// Where facts for reports go.
    pub facts: tokio::sync::watch::Sender<LooksFacts>,
    /// Where times of looks go.
    pub times: LookTimes,
}

/// The task's state.
pub struct Looks {
    spec: LooksSpec,
    attention: Attention,
    /// What workers do with the time that attention leaves.
    spare: Spare,
    slots: Vec<Slot>,
    cameras: BTreeMap<CameraId, Running>,
    models: Vec<(ModelRef, Vec<Meaning>)>,
    revision: ConfigRevision,
    /// An assignment that waits for the first worker to say what its models see.
    waiting: Option<Assignment>,
    started: Mono,
    /// Cameras below a floor.
    gaps: BTreeMap<CameraId, Incident>,
    /// Of the site.
    timezone: String,
    /// Writes views and journals.
    keeper: Option<Keeper>,
    /// Explains from logbooks.
    teller: Option<Teller>,
    /// Journals that are still to be written.
    journals: BTreeSet<CameraId>,
    next_look: u64,
    done: mpsc::Sender<Answered>,
    facts: LooksFacts,
}

/// Runs until the orders' senders are gone.
pub async fn run(spec: LooksSpec, mut orders: mpsc::Receiver<Order>) {
    let dirty = spec.dirty.clone();
    let clock = spec.clock.clone();
    let (mut looks, mut answers) = Looks::build(spec);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let now = clock.mono();
        let wakes = [looks.attention.next_wake(now), looks.spare.next_wake(now)];
        let wake = wakes
            .into_iter()
            .flatten()
            .min()
            .map_or(TICK, |at| at.since(now).clamp(Duration::from_millis(1), TICK));
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Configure(assignment)) => looks.configure(*assignment),
                Some(Order::Pool(event)) => looks.pool(event),
                Some(Order::WriteJournals) => looks.want_journals(),
                Some(Order::Explain(ask)) => looks.explain(ask),
                Some(Order::Try(ask)) => looks.try_rules(ask),
                None => return,
            },
            Some(answered) = answers.recv() => looks.answered(answered),
            () = dirty.wait() => {
                for id in dirty.take() {
                    looks.offer(&id);
                }
            }
            _ = tick.tick() => looks.tick(),
            () = tokio::time::sleep(wake) => {}
        }
        looks.dispatch();
        looks.write_journals();
    }
}

impl Looks {
    /// A task without cameras, and where its workers' answers come.
    fn build(spec: LooksSpec) -> (Self, mpsc::Receiver<Answered>) {
        let slots: Vec<Slot> = spec
            .workers
            .iter()
            .map(|worker| Slot { worker: worker.clone(), ready: false, life: 0, busy: false })
            .collect();
        // At most one answer a worker can be on its way.
        let (done, answers) = mpsc::channel(slots.len().max(1));
        let attention = Attention::new(AttentionParams {
            workers: slots.len(),
            leases_per_worker: spec.analysis.leases_per_worker,
            max_age: spec.analysis.max_age,
            look_deadline: spec.analysis.look_deadline,
            ..AttentionParams::default()
        });
        let started = spec.clock.mono();
        let looks = Self {
            spec,
            attention,
            spare: Spare::new(subs::PER_WORKER),
            slots,
            cameras: BTreeMap::new(),
            models: Vec::new(),
            revision: ConfigRevision(0),
            waiting: None,
            started,
            gaps: BTreeMap::new(),
            timezone: "UTC".to_owned(),
            keeper: Keeper::spawn(),
            teller: Teller::spawn(),
            journals: BTreeSet::new(),
            next_look: 1,
            done,
            facts: LooksFacts::default(),
        };
        (looks, answers)
    }

    fn pool(&mut self, event: PoolEvent) {
        match event {
            PoolEvent::Ready { worker, models } => {
                if let Some(slot) = self.slots.get_mut(worker) {
                    slot.ready = true;
                    slot.life += 1;
                }
                if self.models.is_empty() && !models.is_empty() {
                    self.models = models.iter().filter_map(assign::model_of).collect();
                    self.declare_models();
                }
                if let Some(assignment) = self.waiting.take() {
                    self.apply(assignment);
                }
            }
            PoolEvent::Lost { worker } => {
                if let Some(slot) = self.slots.get_mut(worker) {
                    slot.ready = false;
                }
                self.attention.worker_lost(worker_id(worker));
                self.subs_lost(worker_id(worker));
                for (id, running) in &mut self.cameras {
                    if self.attention.lease(id).is_none() {
                        running.last_fed = None;
                    }
                }
            }
        }
    }

    fn offer(&mut self, id: &CameraId) {
        let Some(running) = self.cameras.get_mut(id) else { return };
        let live = running.cell.live();
        let heard = running.cell.heard();
        let pending = running.cell.ring.pending();
        let keyframe = running.cell.ring.freshest_keyframe();
        // From here a continued look decodes: after what its decoder had, otherwise from the newest keyframe on.
        let first = running.last_fed.map(|fed| fed + 1).or(pending.decodable_since);
        self.attention.offer(
            id,
            Offer {
                freshest_keyframe_arrival: keyframe.map(|(_, arrival)| arrival),
                newest_unit_arrival: pending.newest_arrival.filter(|_| first.is_some()),
                units_since_look: first.map_or(0, |first| {
                    usize::try_from((pending.newest_seq + 1).saturating_sub(first)).unwrap_or(usize::MAX)
                }),
                keyframe_interval_estimate: live.keyframe_interval,
                rhythm: live.pace.rhythm(),
                blind: live.signal.not_looked(),
            },
        );
        if running.cell.want_every_unit(self.attention.wants_every_unit(id)) {
            // What came while it rested is offered with the next unit, or here.
            self.spec.dirty.mark(id);
        }
        if let (Some(said), Some(tiers)) = (heard, &mut running.tiers) {
            tiers.heard(said);
            if said == Said::Awake && tiers.enforced() {
                self.attention.stir(self.spec.clock.mono(), id);
            }
        }
    }

    fn dispatch(&mut self) {
        loop {
            let free: Vec<WorkerId> = self
                .slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.ready && !slot.busy)
                .map(|(index, _)| worker_id(index))
                .collect();
            let now = self.spec.clock.mono();
            let decision = self.attention.next(now, &free);
            for refusal in self.attention.take_refusals() {
                self.not_looked(&refusal.camera, refusal.reason);
            }
            for (id, worker) in self.attention.take_revoked() {
                self.release(&id, worker, false);
            }
            match decision {
                Some(decision) => self.start(&decision, now),
                None if self.turn(now, &free) => {}
                None => return,
            }
        }
    }

    fn answered(&mut self, answered: Answered) {
        match answered {
            Answered::Look(done) => self.finish(done),
            Answered::Glances(glanced) => self.glanced(glanced),
        }
    }

    /// A worker has answered, or never will.
    fn freed(&mut self, worker: usize, life: u64, error: Option<&NotLooked>) {
        let Some(slot) = self.slots.get_mut(worker) else { return };
        slot.busy = false;
        // Its child is dead or about to be killed: no other look may go there before the next one is ready, which may be
        // already.
        let dead = matches!(error, Some(NotLooked::Deadline | NotLooked::WorkerLost));
        if dead && slot.life == life {
            slot.ready = false;
        }
    }

    fn observe(
        &mut self,
        id: &CameraId,
        observation: Observation,
        stages: Vec<StageTime>,
        since: Mono,
        unit_seq: Option<u64>,
    ) {
        let Some(running) = self.cameras.get_mut(id) else { return };
        running.last_observed = observation.at;
        let reason = observation.outcome.as_ref().err().copied();
        running.facts.not_looked = reason.filter(|reason| *reason != NotLooked::NotDue);
        if let Ok(sight) = &observation.outcome {
            running.facts.last_look = Some(sight.arrival_wall);
        }
        let watch = observation.outcome.as_ref().ok().and_then(|sight| {
            let tiers = running.tiers.as_mut()?;
            let watch = tiers.glance(sight, &running.cell)?;
            tiers.enforced().then_some(watch)
        });
        let (edges, noted) = running.analyst.step_noting(&observation);
        let states = running.analyst.rule_states();
        let passed = match (&observation.outcome, &mut running.tiers) {
            (Ok(sight), Some(tiers)) => tiers.looked(sight, &states, &running.analyst.active()),
            _ => false,
        };
        let arrival = observation.outcome.as_ref().ok().map(|sight| sight.arrival);
        // A look that was not made says nothing about what the rules have seen.
        let tells = arrival.is_some() || running.cell.live().signal.not_looked().is_some();
        let undecided = states.iter().any(decides);
        running.cell.note(|noted| {
            noted.looked = arrival.or(noted.looked);
            noted.undecided = if tells { undecided } else { noted.undecided };
        });
        if matches!(reason, Some(NotLooked::Offline | NotLooked::Stalled | NotLooked::ExpectedOff)) {
            running.lost = Some(running.last_observed);
        }
        let offline = |incident: &&Incident| incident.kind == Kind::CamOffline;
        running.silent =
            matches!(reason, Some(NotLooked::Connecting | NotLooked::Offline | NotLooked::Stalled))
                || running.analyst.active().iter().any(offline);
        let now = self.spec.clock.mono();
        // What has seen something is to decide; what holds is to be seen to end.
        // Between two visits nobody can look more often than they come.
        let between = reason == Some(NotLooked::NotConnected);
        let open = |wanted: fn(&RuleState) -> bool| {
            let open = states.iter().filter(|state| !between && wanted(state));
            open.map(|state| state.rule.clone()).collect()
        };
        if tells {
            let (deciding, holding) =
                (open(|state| seen(state) && !state.active), open(|state| state.active));
            self.attention.undecided(now, id, deciding, holding);
        }
        if let Some((_, watch)) = watch {
            self.attention.wake(now, id, watch);
        } else if passed {
            self.attention.calm(now, id);
        }
        let attention = &self.attention;
        let setting = Setting {
            purpose: running.purpose,
            woke: watch.map(|(reason, _)| reason),
            vigil: attention.vigil(id).unwrap_or(Vigil::Watching),
            rests: &|rule| attention.rests(id, rule),
        };
        running.logbook.push(&observation, noted, &setting);
        Arc::make_mut(&mut running.journal).push(observation);
        self.offer(id);
        self.emit(id, edges, stages, since, unit_seq);
    }

    fn emit(
        &mut self,
        id: &CameraId,
        edges: Vec<Edge>,
        stages: Vec<StageTime>,
        since: Mono,
        unit_seq: Option<u64>,
    ) {
        let drill = self.cameras.get(id).is_some_and(|running| running.cell.camera.drill);
        for edge in edges {
            let model = edge.incident().model.as_ref().and_then(|name| {
                self.models.iter().find(|(model, _)| &model.name == name).map(|(model, _)| model.clone())
            });
            let change = Change {
                camera: id.clone(),
                edge,
                revision: self.revision,
                model,
                stages: stages.clone(),
                since,
                unit_seq,
                drill,
            };
            if let Err(error) = self.spec.changes.try_send(change) {
                self.facts.changes_dropped += 1;
                warn!(camera = %id, %error, "an incident's change is lost: alerting is stuck");
            }
        }
    }

    /// An observation without a look.
    fn not_looked(&mut self, id: &CameraId, reason: NotLooked) {
        let now = self.spec.clock.mono();
        let observation = Observation {
            look: LookId(0),
            kind: LookKind::Keyframe,
            revision: self.revision,
            at: now,
            at_wall: self.spec.clock.wall(),
            outcome: Err(reason),
        };
        self.observe(id, observation, Vec::new(), now, None);
    }

    /// Visits every camera: silence is an observation too.
    fn tick(&mut self) {
        let now = self.spec.clock.mono();
        let ids: Vec<CameraId> = self.cameras.keys().cloned().collect();
        for id in ids {
            let Some(running) = self.cameras.get(&id) else { continue };
            let silence = running.silence();
            // While units arrive, attention says which looks were due and were not made. That they arrive again must be
            // told all the same: a rule about silence needs no look.
            let reason = silence.or(running.silent.then_some(NotLooked::NotDue));
            // Between two visits nothing happens, and journals are small.
            let again = reason == Some(NotLooked::NotConnected) && running.facts.not_looked == reason;
            if let Some(reason) = reason
                && running.in_flight.is_none()
                && now.since(running.last_observed) >= if again { BETWEEN } else { TICK }
            {
                self.not_looked(&id, reason);
            }
            self.offer(&id);
            self.rest_sub(&id);
        }
        if let Some(assignment) = self.waiting.take() {
            if now.since(self.started) > WORKERS_PATIENCE {
                warn!("no look worker is ready: cameras are watched for silence only");
                self.apply(assignment);
            } else {
                self.waiting = Some(assignment);
            }
        }
        self.follow_acquisition();
        self.tell_gaps(now);
        self.write_journals();
        self.keep_views();
        self.publish_facts();
    }

    /// Gives a leased decoder back, or that of its sub-stream; the worker forgets it between looks.
    fn release(&mut self, id: &CameraId, worker: WorkerId, sub_stream: bool) {
        if let Some(running) = self.cameras.get_mut(id) {
            if !sub_stream {
                running.last_fed = None;
            } else if let Some(sub) = &mut running.sub {
                sub.forget();
            }
        }
        let Some(slot) = self.slots.get(worker.0 as usize) else { return };
        let (worker, camera_id) = (slot.worker.clone(), id.to_string());
        tokio::spawn(async move {
            // A worker that is gone has forgotten it as well.
            drop(
                worker
                    .ask(Ask::Release(WorkerRelease { camera_id, sub_stream }), Duration::from_secs(5))
                    .await,
            );
        });
    }
}

fn seen(state: &RuleState) -> bool {
    matches!(state.evidence, Some((_, Evidence::Seen)))
}

/// Whether a rule has seen something, or seen it end, and has not decided.
fn decides(state: &RuleState) -> bool {
    match state.evidence {
        Some((_, Evidence::Seen)) => !state.active,
        Some((_, Evidence::NotSeen)) => state.active,
        _ => false,
    }
}

fn worker_id(index: usize) -> WorkerId {
    WorkerId(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
