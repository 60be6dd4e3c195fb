//! Who calls, and what they may do. Listeners put a [`Principal`] into each request; handlers ask [`check`].

use std::collections::BTreeSet;

use crate::error::{Error, Result};

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
    /// See redacted stills and previews.
    ViewRedacted,
    /// See original footage.
    ViewOriginal,
    /// Read the register of calls.
    ReadRegister,
    /// Attach as a node, report, store evidence.
    RunNode,
    /// Set level 1, which no detector may.
    SetExtreme,
    /// Make and end silences.
    Silence,
}

/// Who calls: the result of signing in, or of the listener's own access control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Account, unique in this system. Stands in register and audit.
    pub name: String,
    /// What it is.
    pub kind: PrincipalKind,
    /// What it may do.
    pub rights: BTreeSet<Right>,
}

impl Principal {
    /// A principal with the usual rights of its kind.
    pub fn new(name: impl Into<String>, kind: PrincipalKind) -> Self {
        use Right::{
            Publish, ReadAlerts, ReadCameras, ReadRegister, RunNode, SetExtreme, Silence, ViewOriginal,
            ViewRedacted,
        };
        let rights: &[Right] = match kind {
            PrincipalKind::Console => &[ReadAlerts, ReadCameras, ViewRedacted],
            PrincipalKind::Publisher => &[Publish],
            PrincipalKind::Node => &[Publish, RunNode],
            PrincipalKind::Operator => &[
                ReadAlerts,
                ReadCameras,
                ViewRedacted,
                ViewOriginal,
                ReadRegister,
                Publish,
                SetExtreme,
                Silence,
            ],
        };
        Self { name: name.into(), kind, rights: rights.iter().copied().collect() }
    }
    /// Whether it has a right.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }
}

/// Refuses a principal that lacks a right.
pub fn check(principal: &Principal, right: Right) -> Result<()> {
    if principal.may(right) {
        Ok(())
    } else {
        let name = &principal.name;
        Err(Error::Forbidden(format!(
            "{name} lacks the right {right:?}: ask whoever runs the service for it"
        )))
    }
}
