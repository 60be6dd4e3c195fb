//! `make bench-cases`: what people's work on alerts takes. Parts: `audit`, the verification of a million entries.

use anyhow::bail;

use super::Table;

mod audit;

/// Parts, to be run alone by name.
pub const PARTS: [&str; 1] = ["audit"];

/// Measures all parts, or one, and prints.
pub async fn run(part: Option<&str>) -> anyhow::Result<Table> {
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    match part {
        None | Some("audit") => audit::run(&mut table).await?,
        Some(other) => bail!("there is no part {other}: name one of {}", PARTS.join(", ")),
    }
    Ok(table)
}
