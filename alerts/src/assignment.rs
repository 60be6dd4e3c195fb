//! What a node is given to do.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use xueliang_base::id::ConfigRevision;

/// User and password of cameras. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// A node's work: an immutable configuration, and what it needs to sign in to cameras.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Number of the configuration.
    pub revision: ConfigRevision,
    /// `base::config::Config` as JSON.
    pub config_json: Bytes,
    /// Credentials by name.
    pub credentials: BTreeMap<String, Secret>,
}
