//! Conversions between the vocabulary and the wire types of `xueliang.v1`.
//!
//! Towards the wire nothing can fail. From the wire every fault of a message is listed, each with its path, so
//! that a publisher can mend them in one go. Numbers that this version does not know are refused on publishing.

mod alert;
mod camera;
mod enums;
mod rule;

use std::fmt;

pub use enums::{
    class_of, evidence_kind_of, kind_of, lane_of, level_of, measure_of, not_looked_of, resolution_of,
    stage_of, threshold_of,
};
pub use rule::{outline, rule_kinds, rules_text};

/// The word of an enumeration's value: its name in the protocol in small letters, without the name of the enumeration.
pub fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

/// Everything that is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct WireError(Vec<String>);

impl WireError {
    /// The faults, each `path: what is wrong`.
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}
impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// A number of an enumeration that has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnumError {
    /// The number is 0.
    #[error("must be set")]
    Unspecified,
    /// The number is of a later version, or of none.
    #[error("{0} is newer than this version of the bus knows: update the bus, or publish what it knows")]
    Newer(i32),
    /// The number names what is given while it is, and kept nowhere.
    #[error("{0} is never stored: it stands in the register alone")]
    NotStored(i32),
}

/// Collects faults while a message is read.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, path: &str, fault: impl fmt::Display) {
        // A hostile message may hold thousands; the first ones suffice to mend it.
        if self.0.len() < 32 {
            self.0.push(format!("{path}: {fault}"));
        }
    }
    fn take<T, E: fmt::Display>(&mut self, path: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|fault| self.add(path, fault)).ok()
    }
    fn text(&mut self, path: &str, text: String, max_bytes: usize) -> String {
        if text.len() > max_bytes {
            self.add(path, format_args!("{} bytes, at most {max_bytes} are allowed", text.len()));
        }
        if text.chars().any(char::is_control) {
            self.add(path, "contains control characters");
        }
        text
    }
    fn count(&mut self, path: &str, count: usize, max: usize) {
        if count > max {
            self.add(path, format_args!("{count} entries, at most {max} are allowed"));
        }
    }
    fn finite(&mut self, path: &str, value: f64, min: f64, max: f64) -> f64 {
        // Written so that a NaN fails.
        if !(value >= min && value <= max) {
            self.add(path, format_args!("{value} lies outside {min} to {max}"));
        }
        value
    }
    fn share(&mut self, path: &str, value: f32) -> f32 {
        self.finite(path, f64::from(value), 0.0, 1.0);
        value
    }
    fn moment(&mut self, path: &str, unix_us: i64) -> crate::time::Wall {
        // The year 9999 in microseconds: later values cannot be printed, and are a fault of units.
        if !(1..=253_402_300_799_000_000).contains(&unix_us) {
            self.add(path, format_args!("{unix_us} is no time: microseconds since 1970 are expected"));
        }
        crate::time::Wall(unix_us)
    }
    fn done<T>(self, value: Option<T>) -> Result<T, WireError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(WireError(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_name_without_its_enumeration() {
        assert_eq!(word("KIND_CLASS_EVENT", "KIND_CLASS_"), "event");
        assert_eq!(word("OTHER", "KIND_CLASS_"), "other");
    }
}
