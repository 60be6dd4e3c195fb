//! Silences: what people do not want to be shown for a time, with author and reason. And the one decision about a state:
//! whether a silence, another alert or a flood group suppresses it. Pure: time is a parameter.

use std::{collections::HashMap, time::Duration};

use xueliang_base::{
    id::{AlertId, DivisionCode},
    kind::Level,
    time::Wall,
    wire,
};
use xueliang_proto::v1;

use crate::{
    error::{Error, Result},
    filter::{Facts, Filter},
    flood::Group,
    inhibit::{Firing, inhibits},
};

/// The longest silence.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest one that names level 1 or 2.
pub const LONGEST_CRITICAL: Duration = Duration::from_secs(8 * 3600);
/// How far ahead one may begin.
pub const FARTHEST: Duration = LONGEST;
/// Silences that have not ended.
pub const MOST: u32 = 256;
/// Characters of a reason.
const REASON: std::ops::RangeInclusive<usize> = 4..=500;

/// A silence as it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// What lists and the record say of it.
    pub wire: v1::Silence,
    filter: Filter,
    levels: Vec<Level>,
}

impl Silence {
    /// A new one, its number not known yet. Says what is wrong with a request.
    pub fn new(request: v1::CreateSilenceRequest, author: &str, now: Wall) -> Result<Self> {
        let reason = request.reason.trim();
        let characters = reason.chars().count();
        if !REASON.contains(&characters) || reason.chars().any(char::is_control) {
            return Err(Error::Invalid(format!(
                "reason: {characters} characters, say in {} to {} without line breaks why",
                REASON.start(),
                REASON.end()
            )));
        }
        if !matches!(v1::SilencePurpose::try_from(request.purpose), Ok(purpose) if purpose != v1::SilencePurpose::Unspecified)
        {
            return Err(Error::Invalid("purpose: must be one of those known here".to_owned()));
        }
        let begin = Wall(request.begin_unix_us).max(now);
        let end = Wall(request.end_unix_us);
        if begin > now.plus(FARTHEST) {
            return Err(Error::Invalid("begin_unix_us: lies more than 30 days ahead".to_owned()));
        }
        if end <= begin {
            return Err(Error::Invalid("end_unix_us: must lie after the begin and after now".to_owned()));
        }
        if end > begin.plus(LONGEST) {
            return Err(Error::Invalid("end_unix_us: lies more than 30 days after the begin".to_owned()));
        }
        let silence = Self::read(v1::Silence {
            scope: request.scope,
            purpose: request.purpose,
            author: author.to_owned(),
            reason: reason.to_owned(),
            begin_unix_us: begin.0,
            end_unix_us: end.0,
            created_unix_us: now.0,
            ..v1::Silence::default()
        })?;
        let Filter { divisions, kinds, cameras, .. } = &silence.filter;
        if divisions.is_empty() && kinds.is_empty() && cameras.is_empty() {
            return Err(Error::Invalid("scope: name divisions, kinds or cameras, not everything".to_owned()));
        }
        if silence.levels.iter().any(|level| *level < Level::MAJOR) && end > begin.plus(LONGEST_CRITICAL) {
            return Err(Error::Invalid(
                "end_unix_us: a silence of level 1 or 2 lasts at most 8 hours: make it shorter, and anew when needed"
                    .to_owned(),
            ));
        }
        Ok(silence)
    }
    /// One that was kept.
    pub(crate) fn read(wire: v1::Silence) -> Result<Self> {
        let scope = wire.scope.clone().unwrap_or_default();
        let level = |number: &i32| {
            wire::level_of(*number).map_err(|fault| Error::Invalid(format!("scope.levels: {fault}")))
        };
        let levels = scope.levels.iter().map(level).collect::<Result<_>>()?;
        let filter = v1::AlertFilter {
            divisions: scope.divisions,
            kinds: scope.kinds,
            camera_ids: scope.camera_ids,
            ..v1::AlertFilter::default()
        };
        Ok(Self { wire, filter: filter.try_into()?, levels })
    }
    /// The divisions that its scope names.
    pub(crate) fn divisions(&self) -> &[DivisionCode] {
        &self.filter.divisions
    }
    /// Whether it silences an alert with these facts at this moment.
    pub fn covers(&self, facts: &Facts<'_>, at: Wall) -> bool {
        let named = if self.levels.is_empty() {
            facts.level >= Level::MAJOR
        } else {
            self.levels.contains(&facts.level)
        };
        named && self.lasts(at) && self.wire.begin_unix_us <= at.0 && self.filter.wants(&facts.own())
    }
    /// Whether it has not ended.
    pub fn lasts(&self, at: Wall) -> bool {
        at.0 < self.wire.end_unix_us && self.wire.expired_unix_us == 0
    }
}

/// Why a state is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// This silence.
    Silence(u64),
    /// This alert, of this kind.
    Inhibition(AlertId, i32),
    /// It is a member of the flood group that this alert stands for.
    Flood(AlertId),
}

/// What may suppress and is known without asking for it: as the last commit left it.
#[derive(Debug, Clone, Default)]
pub struct Reasons {
    /// Silences that nobody ended.
    pub silences: Silences,
    /// Flood groups that last.
    pub floods: Vec<Group>,
}

/// Silences, found by the divisions that they name, so that a state is not held against those of other places.
#[derive(Debug, Clone, Default)]
pub struct Silences {
    /// In order of their numbers.
    pub(crate) all: Vec<Silence>,
    by_division: HashMap<String, Vec<usize>>,
    /// Those that name no division.
    anywhere: Vec<usize>,
}

impl Silences {
    /// Of these.
    pub fn new(mut all: Vec<Silence>) -> Self {
        all.sort_by_key(|silence| silence.wire.silence_id);
        let mut silences = Self { all, ..Self::default() };
        for (at, silence) in silences.all.iter().enumerate() {
            if silence.divisions().is_empty() {
                silences.anywhere.push(at);
            }
            for code in silence.divisions() {
                silences.by_division.entry(code.to_string()).or_default().push(at);
            }
        }
        silences
    }
    /// Those that cover an alert with these facts at this moment, in order of their numbers.
    pub fn covering(&self, facts: &Facts<'_>, at: Wall) -> impl Iterator<Item = &Silence> {
        let facts = facts.own();
        let named = facts.path.split('/').filter_map(|code| self.by_division.get(code)).flatten();
        let mut places: Vec<usize> = self.anywhere.iter().chain(named).copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| &self.all[place]).filter(move |silence| silence.covers(&facts, at))
    }
}

/// Why an alert with these facts is not shown now; `None` when it is. The reason that held before stays the reason as
/// long as it holds. `flood` is the group that it is in, or that takes it.
pub fn decide(
    facts: &Facts<'_>,
    at: Wall,
    silences: &Silences,
    firing: &[Firing],
    flood: Option<AlertId>,
    before: Option<Cause>,
) -> Option<Cause> {
    let silenced = silences.covering(facts, at);
    let inhibited = firing.iter().filter(|source| inhibits(source, facts));
    let mut causes = silenced
        .map(|silence| Cause::Silence(silence.wire.silence_id))
        .chain(inhibited.map(|source| Cause::Inhibition(source.alert, source.kind)))
        .chain(flood.map(Cause::Flood));
    let first = causes.next();
    before.filter(|before| first == Some(*before) || causes.any(|cause| cause == *before)).or(first)
}

#[cfg(test)]
mod tests;
