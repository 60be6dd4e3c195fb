//! The number of a case (一案一码): division, 12 digits; day, 8; kind, 4; sequence within these, 5 or more.

use std::{fmt, str::FromStr, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use xueliang_base::{id::DivisionCode, kind::Kind, time::Wall};

/// Digits before the sequence.
const HEAD: usize = 24;

/// A case's number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaseNumber(Arc<str>);

impl CaseNumber {
    /// What numbers of a place, day and kind begin with. Statutory codes are filled with zeros or cut to a village; a
    /// functional node bears the code of the statutory division above it, and a place without one twelve zeros.
    pub fn head(path: &[DivisionCode], opened: Wall, zone: &TimeZone, kind: Kind) -> String {
        let statutory = |code: &&DivisionCode| code.as_str().bytes().all(|byte| byte.is_ascii_digit());
        let code = path.iter().rev().find(statutory).map_or("", DivisionCode::as_str);
        let code = code.get(..12).unwrap_or(code);
        let stamp = Timestamp::from_microsecond(opened.0).unwrap_or(Timestamp::UNIX_EPOCH);
        let day = stamp.to_zoned(zone.clone()).strftime("%Y%m%d").to_string();
        format!("{code:0<12}{day}{:04}", kind.number())
    }
    /// The number with a sequence, from 1.
    pub fn new(head: &str, sequence: u64) -> Self {
        Self(format!("{head}{sequence:05}").into())
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no case's number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a case's number has 29 digits or a few more, as lists print it")]
pub struct NumberError;

impl FromStr for CaseNumber {
    type Err = NumberError;
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let length = (HEAD + 5..=HEAD + 10).contains(&text.len());
        if digits && length { Ok(Self(text.into())) } else { Err(NumberError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_place_day_kind_and_sequence() {
        let path = |codes: &[&str]| codes.iter().map(|code| code.parse().unwrap()).collect::<Vec<_>>();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        // 16:30 UTC is past midnight there.
        let late = Wall(1_767_285_000_000_000);
        for (codes, expected) in [
            (&["33", "330282"][..], "330282000000202601021101"),
            (&["33", "330282", "wetland"], "330282000000202601021101"),
            (&["330282102001003"], "330282102001202601021101"),
            (&["harbour"], "000000000000202601021101"),
        ] {
            assert_eq!(CaseNumber::head(&path(codes), late, &zone, Kind::FireFlame), expected);
        }
        let number = CaseNumber::new("330282000000202601021101", 7);
        assert_eq!(number.as_str(), "33028200000020260102110100007");
        assert_eq!(number.as_str().parse(), Ok(number));
        for bad in ["", "3302820000002026010211010000", "33028200000020260102110100o07"] {
            assert_eq!(bad.parse::<CaseNumber>(), Err(NumberError), "{bad}");
        }
    }
}
