//! `[cases]`: the calendar that limits are reckoned by, and whose cases another platform keeps.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Division,
    reader::{Section, list, parsed, text},
};
use crate::id::DivisionCode;

/// How cases are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseOptions {
    /// File of office hours and holidays; `None`: Monday to Friday.
    pub calendar: Option<PathBuf>,
    /// Divisions whose cases another platform keeps, subtrees included.
    pub external: Vec<DivisionCode>,
}

pub(super) fn read(root: &Section<'_>, base_dir: &Path, divisions: &[Division]) -> CaseOptions {
    let read = |s: &Section<'_>| CaseOptions {
        calendar: s.opt("calendar", text).map(|path| base_dir.join(path)),
        external: s.or("external", Vec::new(), |v| list(v, parsed)),
    };
    let options = root.section("cases", read).unwrap_or_default();
    for code in &options.external {
        if !divisions.iter().any(|division| &division.code == code) {
            root.fault_at("cases", format!("external: division {code} is not declared"));
        }
    }
    options
}
