//! What attention is told, and what it answers.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    id::{CameraId, ModelName, RuleId},
    kind::Kind,
    look::{LookCost, LookKind, NotLooked},
    time::Mono,
};

use super::rhythm::Rhythm;

/// A look worker of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// Bounds and guesses.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionParams {
    /// Look workers.
    pub workers: usize,
    /// Cameras whose decoder one worker may hold.
    pub leases_per_worker: usize,
    /// Age of a picture, when its look is done, beyond which the look is not worth starting.
    pub max_age: Duration,
    /// A worker that has not answered after this long is to be killed.
    pub look_deadline: Duration,
    /// Cost of a camera's first look, before any was measured.
    pub first_cost: Duration,
    /// How long over its `blind_max` a rule may be before that is a breach; at most `blind_max` once more, so that a
    /// floor of half a second is not kept by looks every two.
    pub breach_grace: Duration,
    /// Share of the workers' time that may be promised.
    pub promised_share: f64,
    /// While more is asked for than the workers can do, keyframes that have waited for longer than a look or two are left for
    /// the next ones; none that is younger than this.
    pub fresh: Duration,
}

impl Default for AttentionParams {
    fn default() -> Self {
        Self {
            workers: 1,
            leases_per_worker: 8,
            max_age: Duration::from_secs(5),
            look_deadline: Duration::from_secs(5),
            first_cost: Duration::from_millis(60),
            breach_grace: Duration::from_secs(2),
            promised_share: 0.85,
            // An answer, its rules and the next offer take some of it.
            fresh: Duration::from_millis(40),
        }
    }
}

/// What a rule needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The rule.
    pub rule: RuleId,
    /// Its kind.
    pub kind: Kind,
    /// The longest time between two pictures looked at for it.
    pub blind_max: Duration,
    /// The same while it has seen something and has not decided; not more, and no promise.
    pub deciding: Duration,
    /// The same while its camera rests; not less. Then keyframes suffice.
    pub at_rest: Duration,
    /// Whether keyframes do not suffice.
    pub continued: bool,
    /// The models that must run for it; none where the picture suffices.
    pub models: Vec<ModelName>,
    /// Whether no loaded model sees what it needs: then no look serves it.
    pub unserved: bool,
}

/// How a camera rests while nothing calls for looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// The longest time between two pictures, whether a model sees them or not.
    pub glance: Duration,
    /// Pictures come in visits, so far apart; zero where they come all the time.
    pub visits: Duration,
}

/// How closely a camera is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vigil {
    /// Glances, and floors at rest.
    Resting,
    /// Something woke it, or it never rests: every rule is looked at as often as it asks.
    Watching,
    /// A rule has seen something and is to decide, or to see it end: that one is looked at as often as it asks.
    Confirming,
}

impl Vigil {
    /// All, from the least.
    pub const ALL: [Vigil; 3] = [Vigil::Resting, Vigil::Watching, Vigil::Confirming];
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Vigil::Resting => "resting",
            Vigil::Watching => "watching",
            Vigil::Confirming => "confirming",
        }
    }
}

/// What a look was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LookFor {
    /// Some rule would otherwise have been blind for longer than it may; its camera never rests.
    Floor,
    /// Some rule would have been blind for longer than it may while its camera rests.
    Rest,
    /// No rule: a resting camera has a glance now and then.
    Glance,
    /// No rule: the encoded tier asked for a glance.
    Stirred,
    /// The pixel tier had the camera watched, so each rule is looked at as often as it asks.
    Watch,
    /// A rule has seen something and is to decide, or to see it end.
    Decide,
}

/// What a camera needs.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraNeed {
    /// The camera.
    pub id: CameraId,
    /// Share of scarce looks against other cameras.
    pub weight: f32,
    /// One a rule that needs pictures. A camera without any is never looked at.
    pub floors: Vec<Floor>,
    /// How it rests; `None`: it never does.
    pub rest: Option<Rest>,
}

impl CameraNeed {
    /// The longest time between two pictures looked at for a rule, at rest where the camera rests.
    pub fn blind_max(&self, floor: &Floor) -> Duration {
        if self.rest.is_some() { floor.at_rest } else { floor.blind_max }
    }
    /// The time between two looks, at rest where the camera rests; `None` where it is never looked at.
    pub fn interval(&self) -> Option<Duration> {
        let floor = self.floors.iter().map(|floor| self.blind_max(floor)).min()?;
        Some(self.rest.map_or(floor, |rest| rest.glance.min(floor)))
    }
}

/// What a camera's ring holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offer {
    /// Arrival of the newest keyframe that no look has had.
    pub freshest_keyframe_arrival: Option<Mono>,
    /// Arrival of the newest unit, where it can be decoded: by the leased decoder, or from a keyframe that is there.
    pub newest_unit_arrival: Option<Mono>,
    /// Units from the last one decoded by the leased decoder to the newest; without a lease, from the newest keyframe.
    pub units_since_look: usize,
    /// Typical time between keyframes, where known.
    pub keyframe_interval_estimate: Option<Duration>,
    /// How units come, where known.
    pub rhythm: Option<Rhythm>,
    /// Why the camera cannot be looked at now, where it cannot.
    pub blind: Option<NotLooked>,
}

/// What becomes of leases with a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseChange {
    /// The worker keeps a decoder for this camera from this look on; it begins at the newest keyframe. Where
    /// `instead_of` names a camera, the decoder that this worker kept for that one is closed first.
    Granted {
        /// The camera that loses its lease.
        instead_of: Option<CameraId>,
    },
}

/// A look to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whom to look at.
    pub camera: CameraId,
    /// From the newest keyframe alone, or every unit since the last look on the leased decoder. A keyframe look of a
    /// camera with a lease on this worker restarts that decoder at the keyframe.
    pub kind: LookKind,
    /// On which worker.
    pub worker: WorkerId,
    /// The models that must run, in order of name.
    pub models: Vec<ModelName>,
    /// Whether the camera would have been looked at now had it rested.
    pub owed: bool,
    /// What it is made for.
    pub purpose: LookFor,
    /// What changes in leases.
    pub lease: Option<LeaseChange>,
    /// When to kill the worker if it has not answered.
    pub deadline: Mono,
    /// What it is expected to cost.
    pub predicted_cost: Duration,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookOutcome {
    /// Time spent by stage.
    pub cost: LookCost,
    /// What was seen, or why nothing.
    pub result: Result<Seen, NotLooked>,
    /// Units fed to the decoder, the one looked at included.
    pub units_decoded: usize,
}

/// What a look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Arrival of the picture; with reordered pictures it is not the newest unit.
    pub picture: Mono,
    /// The models that ran.
    pub models: Vec<ModelName>,
}

/// A look that was due and was not started: a line for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose.
    pub camera: CameraId,
    /// When.
    pub at: Mono,
    /// `TooOld` or `Busy`.
    pub reason: NotLooked,
}

/// What was done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Keyframe looks started.
    pub keyframe_looks: u64,
    /// Continued looks started.
    pub continued_looks: u64,
    /// Keyframe looks started because the continued look would have come too old.
    pub fallbacks: u64,
    /// Due looks not started, by reason.
    pub refused: BTreeMap<NotLooked, u64>,
    /// Leases given.
    pub leases_granted: u64,
    /// Leases taken away.
    pub leases_revoked: u64,
    /// Times that a resting camera got a glance at its next keyframe.
    pub stirred: u64,
    /// Times that a resting camera was woken.
    pub woken: u64,
    /// Times that a rule of a camera that was woken waited for longer than it asks then, and for no longer than is promised.
    pub woken_late: u64,
    /// Looks started without a model.
    pub glances: u64,
    /// Looks that answered after their deadline or never.
    pub deadline_misses: u64,
}
