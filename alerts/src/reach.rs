//! How far a principal's sight reaches: subtrees of the division tree, classes of points, or both at once.
//!
//! Where an alert lies is one text, its *path* ([`Facts::path`](crate::filter::Facts::path)). Between its slashes stand the
//! codes of its divisions and, where its point has a class, each of them once more with the class, and the class alone:
//! `/33/3302/#3/33#3/3302#3/`. A [`Reach`] is one such part: `3302`, `#3` or `3302#3`. So one comparison of parts decides
//! about places and classes, in memory as in SQL, and what has no class is in nobody's reach who is bound to classes.

use std::{collections::BTreeSet, fmt, str::FromStr};

use xueliang_base::{alert::Alert, id::DivisionCode, point::PointClass};

/// One subtree, or the points of one class, or those of a class within a subtree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reach(String);

impl Reach {
    /// The points of a class, in a subtree or anywhere.
    fn of_class(division: Option<&DivisionCode>, class: PointClass) -> Self {
        Self(format!("{}#{}", division.map_or("", DivisionCode::as_str), class.number()))
    }
    /// As it stands in a path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// What a principal reaches that is bound to divisions and to classes; `None`: everything.
    pub fn all(
        divisions: Option<&[DivisionCode]>,
        classes: Option<&BTreeSet<PointClass>>,
    ) -> Option<Vec<Self>> {
        match (divisions, classes) {
            (None, None) => None,
            (Some(divisions), None) => Some(divisions.iter().map(Self::from).collect()),
            (None, Some(classes)) => Some(classes.iter().map(|class| Self::of_class(None, *class)).collect()),
            (Some(divisions), Some(classes)) => {
                let of = |code| classes.iter().map(move |class| Self::of_class(Some(code), *class));
                Some(divisions.iter().flat_map(of).collect())
            }
        }
    }
}

impl From<&DivisionCode> for Reach {
    fn from(code: &DivisionCode) -> Self {
        Self(code.to_string())
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reach {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let class = |number: &str| number.parse().ok().and_then(PointClass::from_number);
        let read = match text.split_once('#') {
            None => text.parse().ok().map(|code| Self::from(&code)),
            Some(("", number)) => class(number).map(|class| Self::of_class(None, class)),
            Some((code, number)) => {
                code.parse().ok().zip(class(number)).map(|(code, class)| Self::of_class(Some(&code), class))
            }
        };
        read.ok_or_else(|| format!("{text:?} is no part of the town"))
    }
}

/// The path of what lies in these divisions, from the root down, and is of this class.
pub(crate) fn path(divisions: &[DivisionCode], class: Option<PointClass>) -> String {
    let own = divisions.iter().fold("/".to_owned(), |path, code| path + code.as_str() + "/");
    class.into_iter().fold(own, |path, class| path + &parts(divisions, class))
}

/// What stands for a class in the path of what lies in these divisions.
fn parts<'a>(divisions: impl IntoIterator<Item = &'a DivisionCode>, class: PointClass) -> String {
    let within = divisions.into_iter().map(|code| Reach::of_class(Some(code), class));
    std::iter::once(Reach::of_class(None, class))
        .chain(within)
        .fold(String::new(), |parts, reach| parts + reach.as_str() + "/")
}

/// The path of an alert. One that stands for cameras behind it lies where they do, too: whoever may see one of their
/// divisions and one of their classes gets it, since their own alerts are held back for it.
pub(crate) fn path_of(alert: &Alert) -> String {
    let own = path(&alert.place.division_path, alert.place.class);
    if alert.behind.is_empty() {
        return own;
    }
    let divisions = alert.divisions_behind.iter().map(|code| format!("{code}/"));
    let everywhere = || alert.place.division_path.iter().chain(&alert.divisions_behind);
    divisions
        .chain(alert.classes_behind.iter().map(|class| parts(everywhere(), *class)))
        .chain(alert.behind.iter().map(|camera| format!("@{camera}/")))
        .fold(own + "|/", |path, part| path + &part)
}

/// Of a path, where something lies itself, without what it stands for.
pub(crate) fn own(path: &str) -> &str {
    path.split('|').next().unwrap_or_default()
}

/// Codes of the divisions that something on this path lies in itself, from the root down.
pub(crate) fn own_divisions(path: &str) -> impl Iterator<Item = &str> {
    own(path).split('/').filter(|part| !part.is_empty() && !part.contains('#'))
}

/// Whether something on this path is within reach; `None` reaches everything.
pub(crate) fn reaches(within: Option<&[Reach]>, path: &str) -> bool {
    within.is_none_or(|reaches| path.split('/').any(|part| reaches.iter().any(|one| one.as_str() == part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_bound_to_divisions_and_classes_reaches_what_is_of_both_and_nothing_that_has_no_class() {
        let code = |text: &str| text.parse::<DivisionCode>().unwrap();
        let here = [code("33"), code("3302")];
        let (third, none) = (path(&here, Some(PointClass::Third)), path(&here, None));
        assert_eq!((third.as_str(), none.as_str()), ("/33/3302/#3/33#3/3302#3/", "/33/3302/"));
        let (ours, theirs) = ([code("3302")], [code("3301")]);
        let only = |class| Some(BTreeSet::from([class]));
        let cases = [
            (None, None, true, true),
            (Some(&ours), None, true, true),
            (Some(&theirs), None, false, false),
            (None, only(PointClass::Third), true, false),
            (None, only(PointClass::First), false, false),
            (Some(&ours), only(PointClass::Third), true, false),
            (Some(&ours), only(PointClass::First), false, false),
            (Some(&theirs), only(PointClass::Third), false, false),
            // Bound to no class at all: nothing.
            (Some(&ours), Some(BTreeSet::new()), false, false),
        ];
        for (divisions, classes, sees_third, sees_none) in cases {
            let within = Reach::all(divisions.map(|codes| &codes[..]), classes.as_ref());
            let sees = |path| reaches(within.as_deref(), path);
            assert_eq!((sees(&third), sees(&none)), (sees_third, sees_none), "{within:?}");
            for one in within.iter().flatten() {
                assert_eq!(one.as_str().parse::<Reach>().as_ref(), Ok(one));
            }
        }
        for (path, divisions) in [
            (third.as_str(), 2),
            (none.as_str(), 2),
            ("/33/3302/#3/33#3/3302#3/|/3301/#1/33#1/@gate-1/", 2),
            ("/", 0),
        ] {
            assert_eq!(own_divisions(path).collect::<Vec<_>>(), ["33", "3302"][..divisions], "{path}");
        }
        for wrong in ["#7", "3302#", "#", "a b", "3302#3#3"] {
            assert!(wrong.parse::<Reach>().is_err(), "{wrong}");
        }
    }
}
