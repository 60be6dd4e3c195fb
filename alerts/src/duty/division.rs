//! One division: its level, kind and code.
//!
//! Codes follow the statistical codes: 2 digits for a province, 4, 6, 9 and 12 down to the village (GB/T 2260, GB/T 10114).
//! Of grids only the usual 15 digits (and 17 of micro-grids) are checked; no national layout is known, so other codes are
//! taken as they are.

use xueliang_base::{id::DivisionCode, time::Wall};
use xueliang_proto::v1;

use super::{check_text, history::Version};
use crate::error::{Error, Result};

/// Characters of a name.
const MOST_NAME: usize = 100;
/// Steps on ladders that one division may have.
const MOST_STEPS: usize = 8;

/// A level of the tree, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 省.
    Province,
    /// 市.
    City,
    /// 县.
    County,
    /// 乡, 镇, 街道.
    Township,
    /// 村, 社区.
    Village,
    /// 网格.
    Grid,
    /// 微网格.
    MicroGrid,
}

impl Level {
    /// All, the highest first.
    pub const ALL: [Level; 7] = [
        Level::Province,
        Level::City,
        Level::County,
        Level::Township,
        Level::Village,
        Level::Grid,
        Level::MicroGrid,
    ];
    /// Digits of its codes; of grids, of the usual ones.
    pub fn digits(self) -> usize {
        [2, 4, 6, 9, 12, 15, 17][self as usize]
    }
    /// What it is called.
    pub fn zh(self) -> &'static str {
        ["省", "市", "县", "乡", "村", "网格", "微网格"][self as usize]
    }
    /// The level that codes of these characters have; `None`: none of the seven.
    pub fn of_code(code: &str) -> Option<Self> {
        let digits = code.bytes().all(|byte| byte.is_ascii_digit());
        Level::ALL.into_iter().find(|level| digits && level.digits() == code.len())
    }
    fn of_wire(level: v1::DivisionLevel) -> Option<Self> {
        usize::try_from(level as i32 - 1).ok().and_then(|index| Level::ALL.get(index).copied())
    }
    pub(super) fn wire(level: Option<Self>) -> i32 {
        level.map_or(0, |level| level as i32 + 1)
    }
}

/// A division as one version says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Division {
    /// As the wire and the store carry it, without what [`Division::told`] adds.
    pub(super) wire: v1::Division,
    /// Its code.
    pub code: DivisionCode,
    /// The division above; `None` for a root.
    pub parent: Option<DivisionCode>,
    /// Its level; `None`: none of the seven.
    pub level: Option<Level>,
    /// What it is.
    pub kind: v1::DivisionKind,
    /// Where it stands on ladders of one's own: the ladder's name, the division above on it.
    pub steps: Vec<(String, DivisionCode)>,
}

/// A name of the configuration as it may stand here, which is stricter: without spaces around it, and no longer than a name.
fn short(name: &str) -> String {
    let name: String = name.trim().chars().filter(|one| !one.is_control()).take(MOST_NAME).collect();
    name.trim_end().to_owned()
}

impl Division {
    /// From the wire. Says what is wrong with it by itself.
    pub fn read(wire: v1::Division) -> Result<Self> {
        let code = |field: &str, text: &str| {
            text.parse::<DivisionCode>().map_err(|fault| Error::Invalid(format!("{field}: {fault}")))
        };
        let parent =
            if wire.parent_code.is_empty() { None } else { Some(code("parent_code", &wire.parent_code)?) };
        check_text("name", &wire.name, 1, MOST_NAME)?;
        check_text("short_name", &wire.short_name, 0, 40)?;
        check_text("centre_name", &wire.centre_name, 0, 100)?;
        check_text("ladder", &wire.ladder, 0, 40)?;
        if wire.steps.len() > MOST_STEPS {
            return Err(Error::Invalid(format!("steps: more than the {MOST_STEPS} that are allowed")));
        }
        let mut steps: Vec<(String, DivisionCode)> = Vec::new();
        for step in &wire.steps {
            check_text("steps.ladder", &step.ladder, 1, 40)?;
            if steps.iter().any(|(ladder, _)| *ladder == step.ladder) {
                return Err(Error::Invalid(format!(
                    "steps: the ladder {:?} stands there twice",
                    step.ladder
                )));
            }
            steps.push((step.ladder.clone(), code("steps.above_code", &step.above_code)?));
        }
        let level = v1::DivisionLevel::try_from(wire.level).ok();
        let kind =
            v1::DivisionKind::try_from(wire.kind).ok().filter(|kind| *kind != v1::DivisionKind::Unspecified);
        let (Some(level), Some(kind)) = (level, kind) else {
            return Err(Error::Invalid("level, kind: must be among those known here".to_owned()));
        };
        let wire = v1::Division {
            valid_from_unix_us: 0,
            valid_to_unix_us: 0,
            author: String::new(),
            made_unix_us: 0,
            path_codes: Vec::new(),
            escalation_codes: Vec::new(),
            ..wire
        };
        let code = code("code", &wire.code)?;
        Ok(Self { code, parent, level: Level::of_wire(level), kind, steps, wire })
    }
    /// One that the configuration declares, its level and kind told by its code.
    pub(super) fn configured(code: &DivisionCode, parent: Option<&DivisionCode>, name: &str) -> Self {
        let of_code = |code: &DivisionCode| Level::of_code(code.as_str());
        let level = of_code(code).filter(|level| parent.and_then(of_code).is_none_or(|above| above < *level));
        let kind = if level.is_some() { v1::DivisionKind::Statutory } else { v1::DivisionKind::Functional };
        let wire = v1::Division {
            code: code.to_string(),
            parent_code: parent.map(ToString::to_string).unwrap_or_default(),
            level: Level::wire(level),
            kind: kind.into(),
            name: short(name),
            configured: true,
            ..v1::Division::default()
        };
        Self { wire, code: code.clone(), parent: parent.cloned(), level, kind, steps: Vec::new() }
    }
    /// Whether the configuration declares it.
    pub fn is_configured(&self) -> bool {
        self.wire.configured
    }
    /// Its name.
    pub fn name(&self) -> &str {
        &self.wire.name
    }
    /// The ladder by which matters in it escalate, where it says one.
    pub(super) fn ladder(&self) -> Option<&str> {
        Some(self.wire.ladder.as_str()).filter(|ladder| !ladder.is_empty())
    }
    /// The statutory code that it has, its own or one beside it.
    pub(super) fn statutory_code(&self) -> Option<&str> {
        if self.kind == v1::DivisionKind::Statutory && self.level.is_some_and(|level| level <= Level::Village)
        {
            return Some(self.code.as_str());
        }
        Some(self.wire.statutory_code.as_str()).filter(|code| !code.is_empty())
    }
    /// As the store keeps it.
    pub(crate) fn stored(&self) -> &v1::Division {
        &self.wire
    }
    /// As consoles are told it, without what the tree adds.
    pub(super) fn told(version: &Version<Division>, until: Option<Wall>) -> v1::Division {
        v1::Division {
            valid_from_unix_us: version.from.0,
            valid_to_unix_us: until.map_or(0, |until| until.0),
            author: version.author.clone(),
            made_unix_us: version.made.0,
            ..version.what.wire.clone()
        }
    }
    /// What is wrong with its own codes, its level and its kind together. `above` is the statutory code of the nearest
    /// division above that has one.
    pub(super) fn code_fault(&self, above: Option<&str>) -> Option<String> {
        let code = self.code.as_str();
        match (self.kind, self.level) {
            (v1::DivisionKind::Statutory, None) => {
                return Some("level: a statutory division has one of the seven".to_owned());
            }
            (v1::DivisionKind::DedicatedGrid, level) if level != Some(Level::Grid) => {
                return Some("level: a dedicated grid is at the level of grids".to_owned());
            }
            (v1::DivisionKind::Statutory, Some(level)) => {
                let usual = Level::of_code(code) == Some(level);
                if level <= Level::Village && !usual {
                    return Some(format!(
                        "code: {code} is no code of the level {}, which has {} digits",
                        level.zh(),
                        level.digits()
                    ));
                }
                if usual && let Some(fault) = digits_fault(code, level, above) {
                    return Some(fault);
                }
            }
            _ => {}
        }
        let beside = self.wire.statutory_code.as_str();
        if beside.is_empty() {
            return None;
        }
        match Level::of_code(beside) {
            Some(level) if level <= Level::Village && self.kind != v1::DivisionKind::Statutory => {
                digits_fault(beside, level, None).map(|fault| format!("statutory_{fault}"))
            }
            _ => Some(
                "statutory_code: 2, 4, 6, 9 or 12 digits, and only where the code itself is none".to_owned(),
            ),
        }
    }
}

/// What is wrong with a code of digits of a level.
fn digits_fault(code: &str, level: Level, above: Option<&str>) -> Option<String> {
    if let Some(above) = above
        && (above.len() >= code.len() || !code.starts_with(above))
    {
        return Some(format!("code: {code} does not begin with {above}, the code above it"));
    }
    let own = match level {
        Level::Province | Level::City | Level::County | Level::MicroGrid => &code[code.len() - 2..],
        Level::Township | Level::Village | Level::Grid => &code[code.len() - 3..],
    };
    let number: u32 = own.parse().unwrap_or(0);
    let most = match level {
        // 001 to 099 are 街道, 100 to 199 镇, 200 to 399 乡, 400 to 599 alike.
        Level::Township => 599,
        _ => 999,
    };
    let wrong = number == 0 || number > most || (level == Level::Province && number < 11);
    wrong.then(|| format!("code: {code} ends with {own}, which no code of the level {} does", level.zh()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: v1::DivisionKind, level: usize, code: &str, above: Option<&str>) -> Option<String> {
        let wire = v1::Division {
            code: code.to_owned(),
            name: "n".to_owned(),
            kind: kind.into(),
            level: i32::try_from(level).unwrap(),
            ..v1::Division::default()
        };
        Division::read(wire).unwrap().code_fault(above)
    }

    #[test]
    fn codes_of_every_level_are_told_from_what_is_none() {
        use v1::DivisionKind::{DedicatedGrid, Functional, Statutory};
        for (kind, level, code, above) in [
            (Statutory, 1, "33", None),
            (Statutory, 2, "3302", Some("33")),
            (Statutory, 3, "330282", Some("3302")),
            // A county that its province governs, and a town that its city governs: the code above is a level further up.
            (Statutory, 3, "469001", Some("46")),
            (Statutory, 4, "441900003", Some("4419")),
            (Statutory, 4, "330282599", Some("330282")),
            (Statutory, 5, "330282101001", Some("330282101")),
            (Statutory, 6, "330282101001001", Some("330282101001")),
            (Statutory, 6, "B-7", Some("330282101001")),
            (Statutory, 7, "33028210100100101", Some("330282101001")),
            (DedicatedGrid, 6, "market-1", Some("330282101001")),
            (Functional, 0, "harbour-zone", Some("330282")),
            (Functional, 3, "330299", Some("3302")),
        ] {
            assert_eq!(fault(kind, level, code, above), None, "{code}");
        }
        for (kind, level, code, above, word) in [
            (Statutory, 0, "33", None, "level"),
            (Statutory, 1, "05", None, "ends with 05"),
            (Statutory, 2, "33", None, "4 digits"),
            (Statutory, 2, "3300", Some("33"), "ends with 00"),
            (Statutory, 3, "330182", Some("3302"), "does not begin with 3302"),
            (Statutory, 4, "330282600", Some("330282"), "ends with 600"),
            (Statutory, 4, "town", Some("330282"), "9 digits"),
            (Statutory, 5, "330282101000", Some("330282101"), "ends with 000"),
            (Statutory, 6, "330282102001001", Some("330282101001"), "does not begin"),
            (DedicatedGrid, 5, "330282101001", Some("330282101"), "dedicated"),
        ] {
            let fault = fault(kind, level, code, above).unwrap_or_else(|| panic!("{code} is taken"));
            assert!(fault.contains(word), "{fault}");
        }
    }

    #[test]
    fn a_statutory_code_beside_stands_only_at_what_has_none_itself() {
        let wire = |kind: v1::DivisionKind, code: &str, beside: &str| v1::Division {
            code: code.to_owned(),
            name: "n".to_owned(),
            level: 3,
            kind: kind.into(),
            statutory_code: beside.to_owned(),
            ..v1::Division::default()
        };
        let fault = |kind, code, beside| Division::read(wire(kind, code, beside)).unwrap().code_fault(None);
        assert_eq!(fault(v1::DivisionKind::Functional, "zone", "330299"), None);
        for (kind, code, beside) in [
            (v1::DivisionKind::Functional, "zone", "33029"),
            (v1::DivisionKind::Functional, "zone", "330200"),
            (v1::DivisionKind::Statutory, "330282", "330299"),
        ] {
            assert!(fault(kind, code, beside).unwrap().starts_with("statutory_code"), "{code} {beside}");
        }
    }

    #[test]
    fn what_the_configuration_declares_has_the_level_of_its_code() {
        let code = |text: &str| text.parse::<DivisionCode>().unwrap();
        let told = |own: &str, parent: Option<&str>| {
            let one = Division::configured(&code(own), parent.map(code).as_ref(), "n");
            assert_eq!(Division::read(one.wire.clone()).unwrap(), one);
            (one.level, one.kind)
        };
        assert_eq!(told("330282", Some("3302")), (Some(Level::County), v1::DivisionKind::Statutory));
        assert_eq!(told("330282-1", Some("330282")), (None, v1::DivisionKind::Functional));
        assert_eq!(told("33", Some("3302")), (None, v1::DivisionKind::Functional));
    }
}
