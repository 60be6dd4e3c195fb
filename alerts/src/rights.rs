//! Who calls, and what they may do. Listeners put a [`Principal`] into each request; handlers look it up in the bus's
//! [`Rights`], which can change at any time, and ask [`check`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{PoisonError, RwLock},
};

use xueliang_base::{
    id::{AlertId, DivisionCode},
    point::PointClass,
};

use crate::{
    error::{Error, Result},
    filter::Filter,
    reach::Reach,
    store::{ListQuery, Store},
};

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PrincipalKind {
    /// A console of people on duty.
    Console,
    /// An external system that publishes alarms.
    Publisher,
    /// A node of ours.
    Node,
    /// Someone who runs the service.
    Operator,
    /// A sink of ours, which takes redacted stills from the gateway and nothing else.
    Sink,
    /// Whoever holds a handler's link: it opens one case, and no call but those of links.
    Handler,
}

/// What can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// Publish states of alerts.
    Publish,
    /// Subscribe and acknowledge, list and read alerts.
    ReadAlerts,
    /// See cameras and their health.
    ReadCameras,
    /// Have cameras connected for a while that are not all the time.
    ConnectCameras,
    /// See redacted stills and previews.
    ViewRedacted,
    /// See original footage.
    ViewOriginal,
    /// Read the register of calls, the audit of deliveries, certificates of deletion and holds.
    ReadRegister,
    /// Hold evidence beyond its time, and lift holds.
    HoldEvidence,
    /// Attach as a node, report, store evidence.
    RunNode,
    /// Set level 1, which no detector may.
    SetExtreme,
    /// Report what another system did with an alert.
    ReportExternal,
    /// Send dead letters again.
    RunSinks,
    /// Make and end silences.
    Silence,
    /// Judge alerts: claim, confirm, call false, merge.
    Judge,
    /// Dispatch cases, grant that they are put off or take longer, call other authorities in.
    Dispatch,
    /// Handle cases for a unit.
    Handle,
    /// Verify that a case was handled.
    Verify,
    /// Have cases supervised, and reopen them.
    Supervise,
    /// Close cases by force, and cancel them.
    Lead,
    /// Open cases for what somebody saw.
    ReportManually,
    /// Make, change, disable and reset accounts, and end anyone's sessions.
    ManageAccounts,
    /// List accounts and what was done with them.
    ReadAccounts,
    /// Change and end divisions, import grids.
    ManageDivisions,
    /// Change and end duty rules and shifts.
    ManageDuty,
    /// Prepare public releases, and take approved ones out.
    PrepareRelease,
    /// Approve and refuse public releases that others prepared.
    ApproveRelease,
    /// Receive, examine, show and close requests of those concerned.
    ExamineViewings,
    /// Grant and refuse requests of those concerned that others examined.
    GrantViewings,
    /// Read contacts of custodians, masked.
    ReadCustodians,
    /// Read a contact of a custodian in full.
    RevealCustodians,
    /// Import contacts of custodians.
    ManageCustodians,
    /// Make new keys of what is encrypted.
    RotateKeys,
    /// Read what compliance asks for: points, filings.
    ReadCompliance,
    /// Note that points were filed.
    FilePoints,
    /// Draw zones and tune rules of cameras, on redacted pictures of the moment.
    TuneRules,
}

/// Who calls: the result of signing in, or of the listener's own access control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Account, unique in this system. Stands in register and audit.
    pub name: String,
    /// What it is.
    pub kind: PrincipalKind,
    /// The unit it acts for, in cases; `None`: for itself.
    pub unit: Option<String>,
    /// What it may do.
    pub rights: BTreeSet<Right>,
    /// Subtrees of the division tree whose alerts and cameras it may see; `None`: the whole town.
    pub divisions: Option<Vec<DivisionCode>>,
    /// Classes of points whose alerts and cameras it may see there; `None`: all, and what is of no class.
    pub classes: Option<BTreeSet<PointClass>>,
}

impl Principal {
    /// A principal with the usual rights of its kind.
    pub fn new(name: impl Into<String>, kind: PrincipalKind) -> Self {
        use Right::{
            ApproveRelease, ConnectCameras, Dispatch, ExamineViewings, FilePoints, GrantViewings, Handle,
            HoldEvidence, Judge, Lead, ManageAccounts, ManageCustodians, ManageDivisions, ManageDuty,
            PrepareRelease, Publish, ReadAccounts, ReadAlerts, ReadCameras, ReadCompliance, ReadCustodians,
            ReadRegister, ReportExternal, ReportManually, RevealCustodians, RotateKeys, RunNode, RunSinks,
            SetExtreme, Silence, Supervise, TuneRules, Verify, ViewOriginal, ViewRedacted,
        };
        let rights: &[Right] = match kind {
            PrincipalKind::Console => &[ReadAlerts, ReadCameras, ConnectCameras, ViewRedacted],
            PrincipalKind::Publisher => &[Publish, ReportExternal],
            PrincipalKind::Node => &[Publish, RunNode],
            PrincipalKind::Operator => &[
                ReadAlerts,
                ReadCameras,
                ConnectCameras,
                ViewRedacted,
                ViewOriginal,
                ReadRegister,
                HoldEvidence,
                SetExtreme,
                Silence,
                ReportExternal,
                RunSinks,
                Judge,
                Dispatch,
                Handle,
                Verify,
                Supervise,
                Lead,
                ReportManually,
                ManageAccounts,
                ReadAccounts,
                ManageDivisions,
                ManageDuty,
                PrepareRelease,
                ApproveRelease,
                ExamineViewings,
                GrantViewings,
                ReadCustodians,
                RevealCustodians,
                ManageCustodians,
                RotateKeys,
                ReadCompliance,
                FilePoints,
                TuneRules,
            ],
            PrincipalKind::Sink | PrincipalKind::Handler => &[ViewRedacted],
        };
        let rights = rights.iter().copied().collect();
        Self { name: name.into(), kind, unit: None, rights, divisions: None, classes: None }
    }
    /// How far it sees: alerts and cameras, wherever they are told of. `None`: everything.
    pub fn reach(&self) -> Option<Vec<Reach>> {
        Reach::all(self.divisions.as_deref(), self.classes.as_ref())
    }
    /// Whether it may see all that has this scope: no division of it is another's. A scope without divisions is the
    /// whole town's. No scope is of a class, so whoever is bound to classes owns none.
    pub fn owns<'a>(&self, divisions: impl IntoIterator<Item = &'a DivisionCode>) -> bool {
        if self.classes.is_some() {
            return false;
        }
        let Some(own) = &self.divisions else { return true };
        let mut divisions = divisions.into_iter().peekable();
        divisions.peek().is_some() && divisions.all(|code| own.contains(code))
    }
    /// Whether it has a right.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }
}

/// What a principal is held to, whatever it signed in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Of the rights it signed in with, only these.
    pub rights: BTreeSet<Right>,
    /// Only alerts of these subtrees; `None`: the whole town.
    pub divisions: Option<Vec<DivisionCode>>,
    /// Only alerts of points of these classes; `None`: of all, and of none.
    pub classes: Option<BTreeSet<PointClass>>,
}

/// What principals are held to, by name. Whoever is not named has what it signed in with.
#[derive(Debug, Default)]
pub struct Rights(RwLock<BTreeMap<String, Grant>>);

impl Rights {
    /// A principal as it is held to now.
    pub fn of(&self, principal: &Principal) -> Principal {
        let grants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(grant) = grants.get(&principal.name) else { return principal.clone() };
        let rights = principal.rights.intersection(&grant.rights).copied().collect();
        let Grant { divisions, classes, .. } = grant.clone();
        Principal { rights, divisions, classes, ..principal.clone() }
    }
    /// Refuses a principal that lacks a right now.
    pub fn check(&self, principal: &Principal, right: Right) -> Result<()> {
        let grants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match grants.get(&principal.name) {
            Some(grant) if !grant.rights.contains(&right) => Err(lacks(principal, right)),
            _ => check(principal, right),
        }
    }
    /// Holds a principal to a grant, or to none. Returns whether that is a change.
    pub(crate) fn set(&self, name: &str, grant: Option<Grant>) -> bool {
        let mut grants = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = match grant.clone() {
            Some(grant) => grants.insert(name.to_owned(), grant),
            None => grants.remove(name),
        };
        before != grant
    }
}

/// Refuses a principal that lacks a right.
pub fn check(principal: &Principal, right: Right) -> Result<()> {
    if principal.may(right) { Ok(()) } else { Err(lacks(principal, right)) }
}

fn lacks(principal: &Principal, right: Right) -> Error {
    let name = &principal.name;
    Error::Forbidden(format!("{name} lacks the right {right:?}: ask whoever runs the service for it"))
}

/// Refuses a principal that may not see an alert, as if there were none.
pub(crate) async fn check_sees(store: &dyn Store, principal: &Principal, alert: AlertId) -> Result<()> {
    let within = principal.reach();
    if within.is_none() {
        return Ok(());
    }
    let filter = Filter { within, ..Filter::default() };
    let query = ListQuery { filter, alerts: vec![alert], limit: 1, ..ListQuery::default() };
    if store.list(query).await?.is_empty() {
        return Err(Error::NotFound(format!("there is no alert {alert}")));
    }
    Ok(())
}
