//! Which alerts a console wants. The same conditions in memory (live) and in SQL (`store/`); a test holds
//! the two to each other.

use xueliang_base::{
    id::{CameraId, DivisionCode},
    kind::Level,
    wire,
};
use xueliang_proto::v1;

use crate::error::{Error, Result};

/// Entries a list of a filter may have.
const MAX_ENTRIES: usize = 512;

/// What is wanted. Empty lists want all; conditions on different fields must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Subtrees of the division tree.
    pub divisions: Vec<DivisionCode>,
    /// Numbers of kinds.
    pub kinds: Vec<i32>,
    /// Least severe level wanted. An alert is judged by the most severe level it ever had, so that a console
    /// that saw it raised also sees it fall and end.
    pub least_level: Option<Level>,
    /// Cameras.
    pub cameras: Vec<CameraId>,
    /// Numbers of classes.
    pub classes: Vec<i32>,
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Division codes from the root down, each between slashes: `/330000/330100/`.
    pub path: &'a str,
    /// Number of the kind.
    pub kind: i32,
    /// Number of the class.
    pub class: i32,
    /// The most severe level so far.
    pub level: Level,
    /// The camera.
    pub camera: &'a str,
}

impl Filter {
    /// Whether an alert with these facts is wanted.
    pub fn wants(&self, facts: &Facts<'_>) -> bool {
        let listed = |numbers: &[i32], number| numbers.is_empty() || numbers.contains(&number);
        listed(&self.kinds, facts.kind)
            && listed(&self.classes, facts.class)
            && self.least_level.is_none_or(|least| facts.level <= least)
            && (self.cameras.is_empty() || self.cameras.iter().any(|camera| camera.as_str() == facts.camera))
            && (self.divisions.is_empty()
                || self.divisions.iter().any(|code| facts.path.contains(&format!("/{code}/"))))
    }
}

/// The path of a place, as [`Facts::path`] wants it.
pub(crate) fn path_of(codes: &[DivisionCode]) -> String {
    codes.iter().fold("/".to_owned(), |path, code| path + code.as_str() + "/")
}

fn parse_all<T, R>(what: &str, entries: Vec<R>, parse: impl Fn(R) -> Result<T, String>) -> Result<Vec<T>> {
    if entries.len() > MAX_ENTRIES {
        let count = entries.len();
        return Err(Error::Invalid(format!(
            "filter.{what}: {count} entries, at most {MAX_ENTRIES} are allowed"
        )));
    }
    let parsed = entries.into_iter().map(parse).collect::<Result<_, _>>();
    parsed.map_err(|fault| Error::Invalid(format!("filter.{what}: {fault}")))
}

impl TryFrom<v1::AlertFilter> for Filter {
    type Error = Error;
    fn try_from(wire: v1::AlertFilter) -> Result<Self> {
        Ok(Self {
            divisions: parse_all("divisions", wire.divisions, |code| code.parse().map_err(text))?,
            kinds: parse_all("kinds", wire.kinds, |number| {
                wire::kind_of(number).map(xueliang_base::kind::Kind::number).map_err(text)
            })?,
            least_level: match wire.least_level {
                0 => None,
                number => Some(
                    wire::level_of(number)
                        .map_err(|fault| Error::Invalid(format!("filter.least_level: {fault}")))?,
                ),
            },
            cameras: parse_all("camera_ids", wire.camera_ids, |id| id.parse().map_err(text))?,
            classes: parse_all("classes", wire.classes, |number| {
                wire::class_of(number).map(|_| number).map_err(text)
            })?,
        })
    }
}

fn text(fault: impl std::fmt::Display) -> String {
    fault.to_string()
}
