//! What cameras watch for, as whoever keeps configurations keeps it: the bus asks for it, and never reads a configuration itself.

use std::fmt;

use xueliang_base::{
    config::{Camera, CameraRules},
    id::{CameraId, ConfigRevision},
};
use xueliang_proto::v1;

use crate::store::Answer;

/// What a camera watches for now.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    /// As it is run.
    pub camera: Camera,
    /// The latest change that was made here.
    pub changed: Option<v1::RuleChange>,
    /// Whether that is what counts.
    pub set_here: bool,
    /// Whether the configuration file says something else since.
    pub overruled: bool,
    /// The configuration in force.
    pub revision: ConfigRevision,
}

/// What is to be in force.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRules {
    /// Of which camera.
    pub camera: CameraId,
    /// The rules; `None`: the configuration file's.
    pub rules: Option<CameraRules>,
    /// The configuration that they were made upon.
    pub made_upon: ConfigRevision,
    /// Who sets them.
    pub principal: String,
    /// Why.
    pub reason: String,
}

/// Keeps what cameras watch for, and has nodes take it.
pub trait RuleBook: Send + Sync {
    /// What a camera watches for. Not found where there is no such camera.
    fn in_force(&self, camera: CameraId) -> Answer<InForce>;
    /// Puts rules in force; they are on disk when it answers. A conflict where others were set since.
    fn put(&self, rules: NewRules) -> Answer<v1::RuleChange>;
    /// What was set of a camera, newest first, at most `limit`.
    fn changes(&self, camera: CameraId, limit: usize) -> Answer<Vec<v1::RuleChange>>;
}

impl fmt::Debug for dyn RuleBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuleBook")
    }
}
