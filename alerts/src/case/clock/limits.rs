//! Which limits apply to a case: those usual for its kind's class and level, and what the town has in their place.

use std::time::Duration;

use xueliang_base::{
    id::DivisionCode,
    kind::{Class, Kind, Level},
    limit::Limit,
};
use xueliang_proto::v1;

use super::{Calendar, Stage};

/// The limits of a case, by stage; a stage without one is not timed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits(pub [Option<Limit>; 6]);

impl Limits {
    /// Of a stage.
    pub fn of(&self, stage: Stage) -> Option<Limit> {
        self.0[stage as usize]
    }
    /// What is usual for a class and level: the table of the lifecycle.
    pub fn usual(class: Class, level: Level) -> Self {
        use xueliang_base::limit::LimitUnit::{Days, EmergencyMinutes, OfficeDays, OfficeMinutes};
        let minutes = |amount| Some(Limit::new(amount, EmergencyMinutes));
        let office = |amount| Some(Limit::new(amount, OfficeMinutes));
        let days = |amount| Some(Limit::new(amount, OfficeDays));
        let verify = minutes(30);
        Self(match (class, level.number()) {
            (Class::Device, _) => [None, None, office(4 * 60), None, verify, Some(Limit::new(3, Days))],
            // Danger to life: nobody waits for the office to open.
            (_, 1 | 2) => [minutes(1), minutes(2), minutes(5), minutes(30), verify, minutes(24 * 60)],
            (_, 3) => [minutes(10), minutes(15), minutes(60), office(4 * 60), verify, days(3)],
            _ => [minutes(30), office(60), days(1), None, verify, days(5)],
        })
    }
}

/// Limits of a town's own, in place of the usual ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// Only where a duty rule names this profile; empty: always.
    pub profile: String,
    /// Kinds that they are for; empty: all.
    pub kinds: Vec<Kind>,
    /// Levels that they are for; empty: all.
    pub levels: Vec<Level>,
    /// By stage: `None` leaves what is usual, `Some(None)` times it no more.
    pub stages: [Option<Option<Limit>>; 6],
}

/// What the clock of cases goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Office hours and holidays.
    pub calendar: Calendar,
    /// Divisions whose cases another platform keeps, subtrees included.
    pub external: Vec<DivisionCode>,
    /// Whether the town is in its routine or in an emergency: which duty rules count.
    pub mode: v1::DutyMode,
    /// Limits of its own; of two that say something of a stage the later one counts.
    pub limits: Vec<OwnLimits>,
    /// How long nobody touched what has ended and may clear, until the clock clears it.
    pub clear_after: Duration,
}

/// Long enough that whoever is on duty has seen it in the list.
const CLEAR_AFTER: Duration = Duration::from_secs(30 * 60);

impl Policy {
    /// A calendar, every case kept here, the routine, and what is usual.
    pub fn usual(calendar: Calendar) -> Self {
        Self {
            calendar,
            external: Vec::new(),
            mode: v1::DutyMode::Routine,
            limits: Vec::new(),
            clear_after: CLEAR_AFTER,
        }
    }
    /// The limits of a case: those of the profile that its duty rule names, over those of no profile, over the usual ones.
    pub fn limits(&self, kind: Kind, level: Level, profile: &str) -> Limits {
        let mut limits = Limits::usual(kind.class(), level);
        let fits = |own: &&OwnLimits| {
            (own.kinds.is_empty() || own.kinds.contains(&kind))
                && (own.levels.is_empty() || own.levels.contains(&level))
        };
        let general = self.limits.iter().filter(|own| own.profile.is_empty());
        let named = self.limits.iter().filter(|own| !own.profile.is_empty() && own.profile == profile);
        for own in general.chain(named).filter(fits) {
            for (limit, stage) in limits.0.iter_mut().zip(own.stages) {
                *limit = stage.unwrap_or(*limit);
            }
        }
        limits
    }
    /// Whether a duty rule may name a profile.
    pub fn has_profile(&self, profile: &str) -> bool {
        profile.is_empty() || self.limits.iter().any(|own| own.profile == profile)
    }
    /// Every limit within which some case of a class and level is to be judged, whatever its kind and profile.
    pub fn to_judge(&self, class: Class, level: Level) -> Vec<Limit> {
        let of_own = self.limits.iter().filter(|own| {
            (own.kinds.is_empty() || own.kinds.iter().any(|kind| kind.class() == class))
                && (own.levels.is_empty() || own.levels.contains(&level))
        });
        let own = of_own.filter_map(|own| own.stages[Stage::Judge as usize].flatten());
        own.chain(Limits::usual(class, level).of(Stage::Judge)).collect()
    }
    /// Kinds of a class of which some case of a level is to be judged within a limit; `None`: all of them.
    pub fn kinds_to_judge(&self, class: Class, level: Level) -> Option<Vec<Kind>> {
        if Limits::usual(class, level).of(Stage::Judge).is_some() {
            return None;
        }
        let of_own = self.limits.iter().filter(|own| {
            (own.levels.is_empty() || own.levels.contains(&level))
                && own.stages[Stage::Judge as usize].flatten().is_some()
        });
        let mut kinds = Vec::new();
        for own in of_own {
            if own.kinds.is_empty() {
                return None;
            }
            kinds.extend(own.kinds.iter().copied().filter(|kind| kind.class() == class));
        }
        Some(kinds)
    }
}
