//! The class of a camera point (监控点位类型), as the national file of points (一机一档) numbers it: who built it, and what for.
//! Rights may be bound to classes; a point that declares none is seen by those alone who are bound to none.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The class of a camera point. GB/T 28181-2022, `PointType`, knows all of these but the fourth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointClass {
    /// 一类: built by public security, at key public areas.
    First,
    /// 二类: built by other departments, at key areas.
    Second,
    /// 三类: built by units of society, for themselves.
    Third,
    /// 公安内部: inside public security.
    PoliceInternal,
    /// 其他.
    Other,
}

impl PointClass {
    /// All of them, by number.
    pub const ALL: [PointClass; 5] =
        [Self::First, Self::Second, Self::Third, Self::PoliceInternal, Self::Other];

    /// Its number in the file of points and in the protocol.
    pub const fn number(self) -> i32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
            Self::Third => 3,
            Self::PoliceInternal => 4,
            Self::Other => 9,
        }
    }
    /// From its number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }
    /// Its word in configurations and commands.
    pub const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
            Self::PoliceInternal => "police_internal",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for PointClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for PointClass {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|class| class.word() == text).ok_or_else(|| {
            format!(
                "{text:?}: use \"first\" (一类), \"second\" (二类), \"third\" (三类), \"police_internal\" (公安内部) or \
                 \"other\" (其他)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_comes_back_from_its_word_and_its_number() {
        for class in PointClass::ALL {
            assert_eq!(class.word().parse(), Ok(class));
            assert_eq!(PointClass::from_number(class.number()), Some(class));
        }
        assert_eq!(PointClass::from_number(0), None);
        assert!("1".parse::<PointClass>().unwrap_err().contains("三类"));
    }
}
