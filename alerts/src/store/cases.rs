//! What the store keeps of cases.

use std::sync::Arc;

use xueliang_base::{id::AlertId, kind::Level, point::PointClass, time::Wall};
use xueliang_proto::v1;

use super::Answer;
use crate::{
    case::{Action, Actor, Case, CaseNumber, Event, State, Subject, fact::Reason, tally::Told},
    filter::Filter,
    reach::Reach,
    rights::Principal,
};

/// Names a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseKey {
    /// By its number.
    Number(CaseNumber),
    /// By its alert.
    Alert(AlertId),
}

/// What somebody does with a case.
#[derive(Debug, Clone)]
pub struct ActOn {
    /// Which.
    pub key: CaseKey,
    /// The revision that is known to whoever acts; 0: nobody has touched it.
    pub revision: u64,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// Why.
    pub note: String,
    /// Only a case of these subtrees; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
}

/// What somebody reports by hand.
#[derive(Debug, Clone)]
pub struct ManualReport {
    /// What it is about.
    pub subject: Subject,
    /// The class of its camera's point.
    pub class: Option<PointClass>,
    /// Who.
    pub actor: Actor,
    /// What was seen.
    pub note: String,
    /// The same key of the same account again is the same report.
    pub key: String,
}

/// Which cases to list, latest opened first.
#[derive(Debug, Clone, Default)]
pub struct CaseQuery {
    /// Of which places, kinds, classes, levels.
    pub filter: Filter,
    /// Of which most severe levels; empty: all.
    pub levels: Vec<Level>,
    /// In which states; empty: all.
    pub states: Vec<State>,
    /// Only those that have all of these.
    pub flags: Vec<v1::CaseFlag>,
    /// Only those that have one of these reasons; empty: all.
    pub reasons: Vec<Reason>,
    /// Only those whose numbers begin so.
    pub number: Option<String>,
    /// Only those of these alerts; empty: all.
    pub alerts: Vec<AlertId>,
    /// Opened at or after this moment.
    pub from_inclusive: Option<Wall>,
    /// Opened before this moment.
    pub to_exclusive: Option<Wall>,
    /// Only reports of what the machine missed.
    pub only_misses: bool,
    /// Only those that come after this one in the list: when it was opened, and its number or, untouched, its alert.
    pub before_exclusive: Option<(Wall, String)>,
    /// At most so many.
    pub limit: usize,
    /// Whether to count all that are wanted, up to [`MOST_COUNTED`].
    pub with_total: bool,
}

/// Cases that a list counts; more are "more than that".
pub const MOST_COUNTED: usize = 10_000;

/// A page of cases.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CasePage {
    /// Latest opened first.
    pub cases: Vec<v1::Case>,
    /// How many all pages have, if that was asked for; more than [`MOST_COUNTED`]: there are more.
    pub total: Option<usize>,
}

/// Which cases to count, and in which groups.
#[derive(Debug, Clone)]
pub struct StatisticsQuery {
    /// Of which places, kinds, classes, levels.
    pub filter: Filter,
    /// Opened at or after this moment.
    pub from_inclusive: Wall,
    /// Opened before this moment.
    pub to_exclusive: Wall,
    /// What groups are made by.
    pub by: Vec<v1::StatisticsKey>,
    /// Of divisions: how far below the root, the root being 1; 0: the camera's own.
    pub depth: usize,
    /// Whether drills count.
    pub with_drills: bool,
}

/// A case whose clock may have something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCase {
    /// Which.
    pub key: CaseKey,
    /// Its alert, while it waits to be judged.
    pub to_judge: Option<AlertId>,
}

/// An event of a case that sinks are told of.
#[derive(Debug, Clone)]
pub struct CaseNotice {
    /// Its number.
    pub id: u64,
    /// The case as the event left it.
    pub case: Case,
    /// The event.
    pub event: Event,
}

/// One of a sink's two ways for notices: what is of level 1 or 2 waits for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeWay {
    /// Name of the sink.
    pub sink: String,
    /// Whether it is the one of levels 1 and 2.
    pub critical: bool,
}

impl NoticeWay {
    /// Whether a notice goes this way: by the level that its case had then, so that each goes one way for ever.
    pub fn takes(&self, notice: &CaseNotice) -> bool {
        self.critical == (notice.case.level <= Level::SEVERE)
    }
    /// Under which its place is kept. No sink's name has a space.
    pub(super) fn key(&self) -> String {
        if self.critical { self.sink.clone() } else { format!("{} rest", self.sink) }
    }
}

/// Cases. Every write is on disk when its answer comes, and is decided about in the transaction that keeps it, by the duty
/// rules as they are then.
pub trait Cases {
    /// Lets somebody act. Of two who know the same revision one wins; the other is told who did, and what the case is now.
    /// The same action of the same account again, on the same revision, is done once.
    fn act_on_case(&self, act: ActOn) -> Answer<Case>;
    /// Opens a case for what somebody saw. The same again opens none.
    fn report_manually(&self, report: ManualReport) -> Answer<Case>;
    /// A case, its history, what a dispatch would be filled in with, and what the asker may do with it. For `None` it is
    /// read whatever its division, and nothing may be done.
    fn case(&self, key: CaseKey, asker: Option<Principal>) -> Answer<v1::GetCaseResponse>;
    /// Whether the configuration declares a profile of limits; the empty one always.
    fn has_limits(&self, profile: &str) -> bool;
    /// Lists cases, untouched ones among them.
    fn cases(&self, query: CaseQuery) -> Answer<CasePage>;
    /// How the store finds those that a list wants, step by step: for whoever measures it.
    fn case_search_plan(&self, query: CaseQuery) -> Answer<Vec<String>>;
    /// Counts cases, untouched ones among them, and when that was.
    fn case_statistics(&self, query: StatisticsQuery) -> Answer<(Told, Wall)>;
    /// Cases whose clock may have something to say; at most so many of those that were touched, and of each class and
    /// lane of those that were not.
    fn cases_due(&self, limit: usize) -> Answer<Vec<DueCase>>;
    /// Keeps what the clock has to say about a case. Returns what it was.
    fn tick_case(&self, key: CaseKey, displayed: bool) -> Answer<Vec<Action>>;
    /// How far one way of a sink has come with notices; one that was never heard of begins after the last.
    fn case_notice_place(&self, way: NoticeWay) -> Answer<u64>;
    /// The next notice that a filter wants after a place, and how far none is; a damaged one is passed over.
    fn next_case_notice(&self, filter: Arc<Filter>, after: u64) -> Answer<(Option<CaseNotice>, u64)>;
    /// Keeps that something left for a sink, and its place where it is done with everything up to it; both together.
    fn settle_case_notice(&self, way: NoticeWay, upto: Option<u64>, share: Option<v1::Share>) -> Answer<()>;
}
