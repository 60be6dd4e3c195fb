//! Which alerts a console wants, and of them those it may see. The same conditions in memory (live) and in SQL
//! (`store/`); a test holds the two to each other.

use std::collections::BTreeSet;

use prost::Message as _;
use xueliang_base::{
    alert::Sha256,
    cursor::FilterMark,
    id::{CameraId, DivisionCode},
    kind::Level,
    wire,
};
use xueliang_proto::v1;

use crate::{
    error::{Error, Result},
    reach::{self, Reach},
};

/// Entries a list of a filter may have, where somebody asks for it.
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
    /// What may be seen at all, whatever is wanted; `None`: the whole town. Never from the wire: it is set
    /// from the rights of whoever asks.
    pub within: Option<Vec<Reach>>,
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Division codes from the root down, each between slashes: `/330000/330100/`, and what stands for the class of the
    /// point, as [`reach`](crate::reach) says. Of an alert that stands for those of other cameras, after a bar, what else
    /// may ask for it: `/330000/|/330100/330200/@gate-1/@gate-2/`.
    pub path: &'a str,
    /// Number of the kind.
    pub kind: i32,
    /// Number of the class.
    pub class: i32,
    /// The most severe level so far.
    pub level: Level,
    /// The camera.
    pub camera: &'a str,
    /// Part of a drill: no true alert takes its place, and it takes the place of none.
    pub drill: bool,
}

impl Facts<'_> {
    /// The same with its own place alone: what is said of a part of what it stands for is not said of it.
    pub(crate) fn own(mut self) -> Self {
        self.path = reach::own(self.path);
        self
    }
    /// Whether its camera, or one that it stands for, is this one.
    fn is_of(&self, camera: &CameraId) -> bool {
        let stands_for = |part: &str| part.strip_prefix('@') == Some(camera.as_str());
        camera.as_str() == self.camera || self.path.split('/').any(stands_for)
    }
}

impl Filter {
    /// Whether an alert with these facts is wanted.
    pub fn wants(&self, facts: &Facts<'_>) -> bool {
        let listed = |numbers: &[i32], number| numbers.is_empty() || numbers.contains(&number);
        let under = |codes: &[DivisionCode]| {
            facts.path.split('/').any(|part| codes.iter().any(|code| code.as_str() == part))
        };
        listed(&self.kinds, facts.kind)
            && listed(&self.classes, facts.class)
            && self.least_level.is_none_or(|least| facts.level <= least)
            && (self.cameras.is_empty() || self.cameras.iter().any(|camera| facts.is_of(camera)))
            && (self.divisions.is_empty() || under(&self.divisions))
            && reach::reaches(self.within.as_deref(), facts.path)
    }
    /// Its mark in cursors. Two filters that list the same in another order are the same.
    pub fn mark(&self) -> FilterMark {
        let (wanted, within) = self.stored();
        let mut content = wanted.encode_to_vec();
        if let Some(within) = within {
            // No field of a message begins with 0.
            content.push(0);
            content.extend_from_slice(within.as_bytes());
        }
        let mut mark = [0; 8];
        mark.copy_from_slice(&Sha256::of(&content).0[..8]);
        FilterMark(mark)
    }
    /// What is wanted and what may be seen, as they are stored: each list in order and without repetition.
    pub(crate) fn stored(&self) -> (v1::AlertFilter, Option<String>) {
        let reaches = |within: &Vec<Reach>| sorted(within.iter().map(ToString::to_string)).join(",");
        let within = self.within.as_ref().map(reaches);
        let wanted = v1::AlertFilter {
            divisions: sorted(self.divisions.iter().map(ToString::to_string)),
            kinds: sorted(self.kinds.iter().copied()),
            least_level: self.least_level.map_or(0, |level| v1::Level::from(level).into()),
            camera_ids: sorted(self.cameras.iter().map(ToString::to_string)),
            classes: sorted(self.classes.iter().copied()),
        };
        (wanted, within)
    }
    /// What [`Self::stored`] gave.
    pub(crate) fn of_stored(wanted: v1::AlertFilter, within: Option<&str>) -> Result<Self> {
        // As many as the rights of whoever asked had: what is stored was allowed.
        let parse = |text: &str| {
            let parts = text.split(',').filter(|part| !part.is_empty());
            parse_each("within", parts, |part: &str| part.parse())
        };
        Ok(Self { within: within.map(parse).transpose()?, ..Self::try_from(wanted)? })
    }
}

/// In order and without repetition.
fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

fn parse_all<T, R>(what: &str, entries: Vec<R>, parse: impl Fn(R) -> Result<T, String>) -> Result<Vec<T>> {
    if entries.len() > MAX_ENTRIES {
        let count = entries.len();
        return Err(Error::Invalid(format!(
            "filter.{what}: {count} entries, at most {MAX_ENTRIES} are allowed"
        )));
    }
    parse_each(what, entries, parse)
}

fn parse_each<T, R>(
    what: &str,
    entries: impl IntoIterator<Item = R>,
    parse: impl Fn(R) -> Result<T, String>,
) -> Result<Vec<T>> {
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
            within: None,
        })
    }
}

fn text(fault: impl std::fmt::Display) -> String {
    fault.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_a_filter_stands_for_what_it_shows_and_not_for_how_it_is_written() {
        let codes = |codes: &[&str]| codes.iter().map(|code| code.parse().unwrap()).collect::<Vec<_>>();
        let reaches = |parts: &[&str]| parts.iter().map(|part| part.parse().unwrap()).collect::<Vec<_>>();
        let filter = Filter { divisions: codes(&["33", "34"]), kinds: vec![1101, 8101], ..Filter::default() };
        let same =
            Filter { divisions: codes(&["34", "33", "34"]), kinds: vec![8101, 1101], ..Filter::default() };
        assert_eq!(filter.mark(), same.mark());
        let others = [
            Filter::default(),
            Filter { divisions: codes(&["33"]), ..filter.clone() },
            Filter { kinds: vec![1101], ..filter.clone() },
            Filter { least_level: Some(Level::MAJOR), ..filter.clone() },
            Filter { cameras: vec!["gate".parse().unwrap()], ..filter.clone() },
            Filter { classes: vec![1], ..filter.clone() },
            Filter { within: Some(Vec::new()), ..filter.clone() },
            Filter { within: Some(reaches(&["33"])), ..filter.clone() },
            Filter { within: Some(reaches(&["33", "34"])), ..filter.clone() },
            Filter { within: Some(reaches(&["33#2", "33#3"])), ..filter.clone() },
            Filter {
                within: Some((0..1000).map(|code| format!("{code:04}#3").parse().unwrap()).collect()),
                ..filter.clone()
            },
            // Kept in cursors and in the store: it must not change from release to release.
            filter,
        ];
        let marks: BTreeSet<_> = others.iter().map(Filter::mark).collect();
        assert_eq!(marks.len(), others.len());
        for filter in &others {
            let (wanted, within) = filter.stored();
            assert_eq!(Filter::of_stored(wanted, within.as_deref()).unwrap(), *filter);
        }
        assert_eq!(Filter::default().mark().0, [0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14]);
    }
}
