//! `[cases]`: the calendar that limits are reckoned by and limits of the town's own, whose cases another platform keeps, the
//! mode that the town is in, and when what is over is cleared.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::{
    Division,
    reader::{Section, duration, list, parsed, text, whole},
};
use crate::{
    id::DivisionCode,
    kind::{Kind, Level},
    limit::Limit,
};

/// Long enough that whoever is on duty has seen it in the list.
const CLEAR_AFTER: Duration = Duration::from_secs(30 * 60);
/// Tables of limits.
const MOST_LIMITS: usize = 1000;
/// Characters of a profile's name, as a duty rule may give it.
const LONGEST_PROFILE: usize = 40;

/// How cases are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaseOptions {
    /// File of office hours and holidays; `None`: Monday to Friday.
    pub calendar: Option<PathBuf>,
    /// Divisions whose cases another platform keeps, subtrees included.
    pub external: Vec<DivisionCode>,
    /// The town is in an emergency (急): which duty rules count.
    pub emergency: bool,
    /// How long nobody touched what was seen to end, until it is cleared.
    pub clear_after: Duration,
    /// Limits in place of the usual ones; of two that say something of a stage the later one counts.
    pub limits: Vec<CaseLimits>,
}

impl Default for CaseOptions {
    fn default() -> Self {
        Self {
            calendar: None,
            external: Vec::new(),
            emergency: false,
            clear_after: CLEAR_AFTER,
            limits: Vec::new(),
        }
    }
}

/// Limits of the town's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseLimits {
    /// Only where a duty rule names this profile; empty: always.
    pub profile: String,
    /// Kinds that they are for; empty: all.
    pub kinds: Vec<Kind>,
    /// Levels that they are for; empty: all.
    pub levels: Vec<Level>,
    /// Until it is judged, dispatched, accepted, begun, verified and closed.
    pub stages: [StageLimit; 6],
}

/// What is said of a stage's limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageLimit {
    /// Nothing.
    #[default]
    Usual,
    /// It is not timed.
    None,
    /// It takes this long.
    Of(Limit),
}

/// Stages as the configuration calls them, in the order of the protocol.
const STAGES: [&str; 6] = ["judge", "dispatch", "accept", "start", "verify", "close"];

fn stage(value: &DeValue<'_>) -> Result<StageLimit, String> {
    if value.as_str() == Some("none") { Ok(StageLimit::None) } else { parsed(value).map(StageLimit::Of) }
}

fn level(value: &DeValue<'_>) -> Result<Level, String> {
    let number = u8::try_from(whole(1, 4)(value)?).map_err(|fault| fault.to_string())?;
    Level::try_from(number).map_err(|fault| fault.to_string())
}

fn mode(value: &DeValue<'_>) -> Result<bool, String> {
    match value.as_str() {
        Some("routine") => Ok(false),
        Some("emergency") => Ok(true),
        _ => Err("use \"routine\" or \"emergency\"".to_owned()),
    }
}

fn limits(s: &Section<'_>) -> Option<CaseLimits> {
    let read = CaseLimits {
        profile: s.or("profile", String::new(), text),
        kinds: s.or("kinds", Vec::new(), |v| list(v, parsed)),
        levels: s.or("levels", Vec::new(), |v| list(v, level)),
        stages: STAGES.map(|name| s.or(name, StageLimit::Usual, stage)),
    };
    if read.profile.chars().count() > LONGEST_PROFILE {
        s.fault_at("profile", format!("is longer than {LONGEST_PROFILE} characters"));
    }
    if !STAGES.iter().any(|name| s.has(name)) {
        s.fault(format!("says nothing: give a limit for one of {}", STAGES.join(", ")));
    }
    Some(read)
}

pub(super) fn read(root: &Section<'_>, base_dir: &Path, divisions: &[Division]) -> CaseOptions {
    let read = |s: &Section<'_>| CaseOptions {
        calendar: s.opt("calendar", text).map(|path| base_dir.join(path)),
        external: s.or("external", Vec::new(), |v| list(v, parsed)),
        emergency: s.or("mode", false, mode),
        clear_after: s.or(
            "clear_after",
            CLEAR_AFTER,
            duration(Duration::from_secs(60), Duration::from_secs(7 * 86_400)),
        ),
        limits: s.sections("limits", limits),
    };
    let options = root.section("cases", read).unwrap_or_default();
    for code in &options.external {
        if !divisions.iter().any(|division| &division.code == code) {
            root.fault_at("cases", format!("external: division {code} is not declared"));
        }
    }
    if options.limits.len() > MOST_LIMITS {
        root.fault_at("cases", format!("limits: at most {MOST_LIMITS} tables are read"));
    }
    options
}
