//! What a file of comma-separated values needs so that spreadsheets read it as it is meant. Who writes one has a writer of
//! their own.

/// Comes first: without it spreadsheets do not read UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A number of so many digits, a telephone's or a device's, is a text.
const LONGEST: usize = 12;

/// A cell that no spreadsheet takes for a formula: what would be one is marked as a text. Numbers stay numbers, but for those
/// with more digits than a spreadsheet keeps.
pub fn harmless(cell: String) -> String {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(&cell);
    let number = digits.len() < LONGEST && digits.bytes().all(|one| one.is_ascii_digit() || one == b'.');
    if !number && cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_a_number_is_no_text() {
        for formula in ["=1+1", "+cmd", "-2+3", "@sum", "\t=1", "\r=1", "-inf", "+nan", "+8613812345678"] {
            assert_eq!(harmless(formula.to_owned()), format!("'{formula}"));
        }
        for plain in ["", "-3", "+1.5", "gate", "1-2", "a=b"] {
            assert_eq!(harmless(plain.to_owned()), plain);
        }
    }
}
