//! What the store keeps of suppression.

use std::sync::Arc;

use xueliang_base::id::AlertId;
use xueliang_proto::v1;

use super::Answer;
use crate::{
    filter::Filter,
    reach::Reach,
    silence::{Reasons, Silence},
};

/// Which silences to list, latest made first.
#[derive(Debug, Clone, Default)]
pub struct SilenceQuery {
    /// Also those that have ended.
    pub with_ended: bool,
    /// Only those whose scope names divisions, and none but these; `None`: all. Who is bound to classes reaches none.
    pub within: Option<Vec<Reach>>,
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
    /// Only what this alert suppressed: one that inhibits, or a flood group's.
    pub by: Option<AlertId>,
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
    /// Silences and flood groups, without asking the disk.
    fn reasons(&self) -> Arc<Reasons>;
    /// Whether the alert of a flood group has something to say, its end or its growth.
    fn floods_due(&self) -> Answer<bool>;
    /// Lets each flood group's alert say how many members it has, and ends those groups that have become calm.
    fn tend_floods(&self) -> Answer<()>;
    /// Suppressions that last and that no reason holds up any more, of one page after this one; and the last that was
    /// looked at, where there may be more.
    fn releasable(&self, after_exclusive: u64) -> Answer<(Vec<u64>, Option<u64>)>;
    /// Ends those of these suppressions that no reason holds up: the latest state goes into the feed, or another reason
    /// takes over.
    fn release(&self, suppressions: Vec<u64>) -> Answer<()>;
}
