//! Compliance sheets: what the record and the configuration say, as people file it. Pure: facts in, text out; `cli/sheet.rs`
//! fetches and prints. Chinese first, English by choice.
//!
//! - [`points`]: the filing (备案) of points, and points without sign (提示标识), as CSV.
//! - [`retention`]: how evidence is kept and what of it was deleted, as Markdown.
//! - [`assessment`]: the template of the impact assessment (个人信息保护影响评估), filled in as far as the configuration says.
//! - [`capability`]: what the system can and cannot do, from the loaded manifests.

pub mod assessment;
pub mod capability;
pub mod points;
pub mod retention;

use clap::ValueEnum;
use xueliang_base::vocabulary::ENUMERATIONS;

/// In which language a sheet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Lang {
    /// 中文.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// One of two texts.
    pub fn of<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Lang::Zh => zh,
            Lang::En => en,
        }
    }
    /// What a value of an enumeration of the protocol is called; its number where it has no word here.
    pub fn word(self, enumeration: &str, number: i32) -> String {
        let labels = ENUMERATIONS.iter().find(|one| one.name == enumeration).map(|one| one.labels);
        let label = labels.unwrap_or_default().iter().find(|label| label.number == number);
        label.map_or_else(|| number.to_string(), |label| self.of(label.zh, label.en).to_owned())
    }
}

/// A cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// A row of a Markdown table.
fn row<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<_> = cells.into_iter().map(cell).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a Markdown table.
fn head(words: &[&str]) -> String {
    row(words.iter().copied()) + &row(words.iter().map(|_| "---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_word_is_called_by_it_and_a_cell_stays_a_cell() {
        assert_eq!(Lang::Zh.word("PointClass", 3), "三类点");
        assert_eq!(Lang::En.word("PointClass", 3), "class 3");
        assert_eq!(Lang::Zh.word("PointClass", 77), "77");
        assert_eq!(row(["a|b", "c\nd"]), "| a\\|b | c d |\n");
    }
}
