//! The two languages in which the service writes for people: what sheets, registers and other files are written in.

use std::str::FromStr;

use crate::vocabulary::ENUMERATIONS;

/// In which language something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// 中文.
    #[default]
    Chinese,
    /// English.
    English,
}

impl Language {
    /// One of two texts.
    pub fn of<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Chinese => zh,
            Self::English => en,
        }
    }
    /// What a value of an enumeration of the protocol is called: empty for the unspecified one, its number where it has no
    /// word here.
    pub fn word(self, enumeration: &str, number: i32) -> String {
        if number == 0 {
            return String::new();
        }
        let labels = ENUMERATIONS.iter().find(|one| one.name == enumeration).map(|one| one.labels);
        let label = labels.unwrap_or_default().iter().find(|label| label.number == number);
        label.map_or_else(|| number.to_string(), |label| self.of(label.zh, label.en).to_owned())
    }
}

impl FromStr for Language {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "zh" => Ok(Self::Chinese),
            "en" => Ok(Self::English),
            _ => Err("say \"zh\" or \"en\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_word_is_called_by_it() {
        assert_eq!(Language::Chinese.word("PointClass", 3), "三类点");
        assert_eq!(Language::English.word("PointClass", 3), "class 3");
        assert_eq!(Language::Chinese.word("PointClass", 0), "");
        assert_eq!(Language::Chinese.word("PointClass", 77), "77");
        assert_eq!(("zh".parse(), "en".parse()), (Ok(Language::Chinese), Ok(Language::English)));
        assert!("".parse::<Language>().is_err());
    }
}
