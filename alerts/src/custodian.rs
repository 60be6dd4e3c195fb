//! Custodians (责任人): which unit answers for a camera point, and how its duty holder is reached.
//!
//! A contact is what a duty roster has: a unit, a name, a telephone. It is kept encrypted ([`key`]), told masked, and in full only
//! past a right, a reason and an entry of the audit (`bus/custodians.rs`). Nothing here has room for anybody else: there is no
//! free text, and numbers of documents and vehicles are refused.

pub(crate) mod import;
pub mod key;

use xueliang_base::{id::CameraId, time::Wall};
use xueliang_proto::v1;

use crate::{
    case::note,
    error::{Error, Result},
};

/// Cameras that have custodians, at most: as many as a town's board has room for.
pub(crate) const MOST: usize = crate::board::MAX_CAMERAS;

/// A custodian as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The camera.
    pub camera: CameraId,
    /// 责任单位.
    pub unit: String,
    /// Name and telephone, sealed.
    pub contact: Vec<u8>,
    /// When it was put there.
    pub changed: Wall,
}

/// A custodian as it is entered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Custodian {
    pub(crate) unit: String,
    pub(crate) contact: v1::CustodianContact,
}

impl Custodian {
    /// Reads what was entered. A fault names its field and never repeats what stood there.
    pub(crate) fn read(unit: &str, name: &str, telephone: &str) -> Result<Self> {
        let contact = v1::CustodianContact { name: name_of(name)?, telephone: telephone_of(telephone)? };
        Ok(Self { unit: unit_of(unit)?, contact })
    }
}

fn fault<T>(text: &str) -> Result<T> {
    Err(Error::Invalid(text.to_owned()))
}

fn unit_of(text: &str) -> Result<String> {
    let length = text.chars().count();
    if !(1..=100).contains(&length) || text.chars().any(char::is_control) {
        return fault("unit: name the unit that answers for the point, in 1 to 100 characters");
    }
    if note::number_of(text).is_some() {
        return fault("unit: holds what looks like the number of a person or a vehicle: name the unit alone");
    }
    Ok(text.to_owned())
}

fn name_of(text: &str) -> Result<String> {
    let good = |c: char| c.is_alphabetic() || matches!(c, '·' | ' ' | '-' | '\'' | '.');
    if text.chars().count() > 40 || !text.chars().all(good) {
        return fault("name: write the duty holder's name and nothing else, in at most 40 letters");
    }
    Ok(text.to_owned())
}

fn telephone_of(text: &str) -> Result<String> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text.strip_prefix('+').unwrap_or(text);
    let good = plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && !plain.starts_with('-');
    if !(text.is_empty() || good && (3..=15).contains(&digits)) {
        return fault("telephone: write 3 to 15 digits, with a + before or hyphens between them");
    }
    Ok(text.to_owned())
}

/// All but the first character hidden; of a long name no more than three are shown to be there.
pub(crate) fn masked_name(name: &str) -> String {
    let mut characters = name.chars();
    let Some(first) = characters.next() else { return String::new() };
    let hidden = characters.count().clamp(1, 3);
    std::iter::once(first).chain(std::iter::repeat_n('*', hidden)).collect()
}

/// Of eleven digits and more the first three and the last four, of fewer the last two.
pub(crate) fn masked_telephone(telephone: &str) -> String {
    let digits: String = telephone.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        0 => String::new(),
        length @ 11.. => format!("{}{}{}", &digits[..3], "*".repeat(length - 7), &digits[length - 4..]),
        length => format!("{}{}", "*".repeat(length - 2), &digits[length - 2..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_contact_tells_neither_who_it_is_nor_how_to_call() {
        for (name, shown) in
            [("张三", "张*"), ("欧阳春雨", "欧***"), ("Anastasia Li", "A***"), ("张", "张*"), ("", "")]
        {
            assert_eq!(masked_name(name), shown);
        }
        for (telephone, shown) in [
            ("13812341234", "138****1234"),
            ("+86-13812341234", "861******1234"),
            ("0574-63001234", "057*****1234"),
            ("63001234", "******34"),
            ("110", "*10"),
            ("", ""),
        ] {
            assert_eq!(masked_telephone(telephone), shown);
        }
    }

    #[test]
    fn there_is_room_for_a_duty_holder_and_for_nothing_else() {
        assert!(Custodian::read("市场管理处", "张三", "138-1234-1234").is_ok());
        assert!(Custodian::read("Market office", "", "").is_ok(), "a unit alone");
        for (unit, name, telephone) in [
            ("", "张三", "110"),
            ("Market office 13812341234", "张三", "110"),
            ("Market 110101199003074514", "张三", "110"),
            ("Market 浙B12345", "张三", "110"),
            ("Market", "张三 13812341234", "110"),
            ("Market", "张三(110101199003074514)", "110"),
            ("Market", "张三, 东门 3 号", "110"),
            ("Market", "张三", "110101199003074514"),
            ("Market", "张三", "call the shop"),
            ("Market", "张三", "-"),
        ] {
            let Err(refused) = Custodian::read(unit, name, telephone) else {
                panic!("{unit} {name} {telephone}")
            };
            let refused = refused.to_string();
            for said in [name, telephone] {
                assert!(!refused.contains(said), "a fault repeats a contact: {refused}");
            }
        }
    }
}
