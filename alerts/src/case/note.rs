//! What people write. Numbers that stand for people are refused on entry: of documents, mobile telephones and vehicles.

use super::Refusal;

/// Characters of a note.
const LENGTH: std::ops::RangeInclusive<usize> = 4..=500;
/// What vehicle numbers begin with, by province.
const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

/// A note as it is kept, or what is wrong with it. `needed`: it must say something.
pub fn read(text: &str, needed: bool) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() && !needed {
        return Ok(String::new());
    }
    let characters = text.chars().count();
    if !LENGTH.contains(&characters) || text.chars().any(char::is_control) {
        return Err(Refusal::Content(format!(
            "note: {characters} characters, say in {} to {} without line breaks why",
            LENGTH.start(),
            LENGTH.end()
        )));
    }
    match number_of(text) {
        Some(what) => Err(Refusal::Content(format!(
            "note: it holds what looks like the number of {what}: leave it out, cases keep nothing that tells who anybody is"
        ))),
        None => Ok(text.to_owned()),
    }
}

/// Whether a text holds such a number, and of what.
pub(crate) fn number_of(text: &str) -> Option<&'static str> {
    // Full-width forms are what they stand for; what people put between digits is looked at with and without.
    let plain: Vec<char> = text.chars().map(narrow).collect();
    let joined: Vec<char> = plain.iter().copied().filter(|c| !matches!(c, ' ' | '-' | '.' | '·')).collect();
    [&plain, &joined].into_iter().find_map(|text| in_runs(text).or_else(|| plate(text)))
}

fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c.to_ascii_uppercase(),
    }
}

fn in_runs(text: &[char]) -> Option<&'static str> {
    let mut at = 0;
    while at < text.len() {
        let run = text[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        let digits = &text[at..at + run];
        // 17 digits and a check digit, which may be an X.
        if run == 18 || run == 17 && text.get(at + 17) == Some(&'X') {
            return Some("a document");
        }
        let mobile = digits.strip_prefix(&['8', '6']).filter(|rest| rest.len() == 11).unwrap_or(digits);
        if mobile.len() == 11 && mobile[0] == '1' && mobile[1] >= '3' {
            return Some("a telephone");
        }
        at += run.max(1);
    }
    None
}

fn plate(text: &[char]) -> Option<&'static str> {
    let is_plate = |window: &[char]| {
        PROVINCES.contains(window[0])
            && window[1].is_ascii_uppercase()
            && window[2..7].iter().all(char::is_ascii_alphanumeric)
            && window[2..7].iter().any(char::is_ascii_digit)
    };
    text.windows(7).any(is_plate).then_some("a vehicle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_stand_for_people_are_refused_however_they_are_written() {
        for bad in [
            "证件 110101199003074514 已查",
            "id 11010119900307451x",
            "tel 13800138000",
            "call +86 138-0013-8000 first",
            "call 138 0013 8000 first",
            "电话１３８００１３８０００",
            "浙B12345 挡住了",
            "blocked by 浙B·D12345",
        ] {
            let refused = read(bad, true).unwrap_err().to_string();
            assert!(refused.contains("leave it out"), "{bad}: {refused}");
        }
        for good in [
            "消防通道有杂物 3 堆",
            "merged, see 33028200000020260102110100007",
            "camera 33028200001320000001 turned",
            "from 2026-01-02 to 2026-01-05",
            "level 120 cm at 14:03",
        ] {
            assert_eq!(read(good, true), Ok(good.to_owned()));
        }
        assert_eq!(read("  ", false), Ok(String::new()));
        assert!(read("  ", true).is_err() && read("no\nway", false).is_err());
    }
}
