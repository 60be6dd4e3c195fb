//! What the store keeps of suppression.

use xueliang_base::id::{AlertId, DivisionCode};
use xueliang_proto::v1;

use super::Answer;
use crate::{filter::Filter, silence::Silence};

/// Which silences to list, latest made first.
#[derive(Debug, Clone, Default)]
pub struct SilenceQuery {
    /// Also those that have ended.
    pub with_ended: bool,
    /// Only those whose scope names divisions, and none but these; `None`: all.
    pub within: Option<Vec<DivisionCode>>,
    /// Only those before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Which suppressions to list, latest begun first.
#[derive(Debug, Clone, Default)]
pub struct SuppressionQuery {
    /// Of which alerts.
    pub filter: Filter,
    /// Only what lasted at or after this moment.
    pub from_unix_us: Option<i64>,
    /// Only what had begun before this moment.
    pub to_unix_us: Option<i64>,
    /// Only what lasts.
    pub only_lasting: bool,
    /// Only entries before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Silences, and what was suppressed. Whether a state is suppressed is decided and kept in the transaction that stores it.
pub trait Suppressions {
    /// Keeps a new silence, and audits it. Returns it with its number.
    fn add_silence(&self, silence: Silence) -> Answer<v1::Silence>;
    /// Ends a silence, and audits it. One that has ended stays as it is.
    fn expire_silence(&self, silence: u64, principal: String) -> Answer<v1::Silence>;
    /// Lists silences.
    fn silences(&self, query: SilenceQuery) -> Answer<Vec<v1::Silence>>;
    /// Lists suppressions.
    fn suppressions(&self, query: SuppressionQuery) -> Answer<Vec<v1::Suppression>>;
    /// Those of these alerts whose latest state is suppressed.
    fn suppressed_among(&self, alerts: Vec<AlertId>) -> Answer<Vec<AlertId>>;
    /// Suppressions that last and that no reason holds up any more, of one page after this one; and the last that was
    /// looked at, where there may be more.
    fn releasable(&self, after_exclusive: u64) -> Answer<(Vec<u64>, Option<u64>)>;
    /// Ends those of these suppressions that no reason holds up: the latest state goes into the feed, or another reason
    /// takes over.
    fn release(&self, suppressions: Vec<u64>) -> Answer<()>;
}
