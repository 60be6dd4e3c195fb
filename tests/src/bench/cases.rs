//! `make bench-cases`: what people's work on alerts takes. Parts: `audit`, the verification of a million
//! entries; `search`, over a million alerts with their cases, and statistics of them.

use anyhow::bail;

use super::Table;

mod audit;
mod search;
mod town;

/// Parts, to be run alone by name.
pub const PARTS: [&str; 2] = ["audit", "search"];

/// Measures all parts, or one, and prints.
pub async fn run(part: Option<&str>) -> anyhow::Result<Table> {
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    match part {
        None => {
            audit::run(&mut table).await?;
            search::run(&mut table).await?;
        }
        Some("audit") => audit::run(&mut table).await?,
        Some("search") => search::run(&mut table).await?,
        Some(other) => bail!("there is no part {other}: name one of {}", PARTS.join(", ")),
    }
    Ok(table)
}
