//! What a database must do for public releases and requests of those concerned. Every write is on disk, and audited in the same
//! transaction, when its answer comes. SQL for it stands in `sqlite/disclosure.rs`.

use xueliang_base::{id::AlertId, time::Wall};
use xueliang_proto::v1;

use super::Answer;
use crate::reach::Reach;

/// Who takes a step: an account, and the unit that it acts for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taker {
    /// The account.
    pub account: String,
    /// Its unit; empty: none is known.
    pub unit: String,
    /// Only what lies in these subtrees is there for it; `None`: the whole town.
    pub within: Option<Vec<Reach>>,
}

/// A decision on a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDecision {
    /// Which.
    pub release: u64,
    /// Until when it may be given out, or why it may not.
    pub verdict: Result<Wall, String>,
}

/// Which releases to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct ReleaseQuery {
    /// Exactly this one.
    pub release: Option<u64>,
    /// Only of this alert.
    pub alert: Option<AlertId>,
    /// Only in this state.
    pub state: Option<v1::ReleaseState>,
    /// Only of alerts of these subtrees; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
    /// Only releases before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Which requests to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct ViewingQuery {
    /// Exactly this one.
    pub request: Option<u64>,
    /// Only in this state.
    pub state: Option<v1::ViewingState>,
    /// Only about this camera.
    pub camera: Option<String>,
    /// Only about cameras of these subtrees; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
    /// Only requests before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// What a database must do for what leaves the people on duty.
pub trait DisclosureStore: Send + Sync + 'static {
    /// Keeps a release that was prepared; its number is assigned. Refuses more than a few of one alert that wait.
    fn prepare_release(&self, release: v1::Release) -> Answer<v1::Release>;
    /// Decides on a release, where [`crate::disclosure::check_decision`] lets this account. An approval needs that the account
    /// was given the very piece since the release was prepared, as the register says.
    fn decide_release(&self, by: Taker, decision: ReleaseDecision) -> Answer<v1::Release>;
    /// Reads releases, newest first.
    fn releases(&self, query: ReleaseQuery) -> Answer<Vec<v1::Release>>;
    /// Keeps a request with its first step; its number is assigned. `path` is that of the camera, each code between slashes.
    fn receive_viewing(&self, by: Taker, viewing: v1::Viewing, path: String) -> Answer<v1::Viewing>;
    /// Takes a step, where [`crate::disclosure::check_step`] lets it.
    fn step_viewing(&self, by: Taker, request: u64, step: v1::ViewingStep) -> Answer<v1::Viewing>;
    /// The same for a showing, together with its entry of the register: both or neither.
    fn show_viewing(&self, by: Taker, entry: v1::RegisterEntry, step: v1::ViewingStep)
    -> Answer<v1::Viewing>;
    /// Reads requests with their steps, newest first.
    fn viewings(&self, query: ViewingQuery) -> Answer<Vec<v1::Viewing>>;
}
