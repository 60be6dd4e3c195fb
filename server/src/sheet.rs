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
    fn a_cell_stays_a_cell() {
        assert_eq!(row(["a|b", "c\nd"]), "| a\\|b | c d |\n");
    }
}
