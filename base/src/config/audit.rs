//! How the audit is sealed: how often a signed head is made, and where heads are exported to.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::reader::{Section, duration, text};

/// How the audit and the register are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSealing {
    /// The folder into which signed heads are written; `None`: they are logged only.
    pub heads: Option<PathBuf>,
    /// A head at least so often, while there are new entries.
    pub every: Duration,
}

impl Default for AuditSealing {
    fn default() -> Self {
        // What comes after the last head can be cut off unseen by whoever has the files: minutes, and few heads a day.
        Self { heads: None, every: Duration::from_secs(600) }
    }
}

pub(super) fn read(root: &Section<'_>, base_dir: &Path) -> AuditSealing {
    let d = AuditSealing::default();
    root.section("audit", |s| AuditSealing {
        heads: s.opt("heads", text).map(|path| base_dir.join(path)),
        every: s.or("every", d.every, duration(Duration::from_secs(10), Duration::from_secs(86_400))),
    })
    .unwrap_or_default()
}
