//! `make bench-cases`: what people's work on alerts takes. Parts: `audit`, the verification of a million entries; `search`, over
//! a million alerts with their cases, and statistics of them; `leaks`, every call by every role in its own and another's
//! division; `rights`, how soon a change of rights shows at open streams; `transitions`, acts on cases at a rate; `grids`,
//! imports of many grids beside alerts.
//!
//! Each part but `audit` and `search` measures the real process with sign-in, over the listeners that consoles use.

use anyhow::{bail, ensure};

use super::Table;

mod audit;
mod grids;
mod leaks;
mod rights;
mod search;
pub(super) mod site;
pub(super) mod town;
mod transitions;

/// Parts, to be run alone by name.
pub const PARTS: [&str; 6] = ["audit", "search", "leaks", "rights", "transitions", "grids"];

/// How much of a part's size is measured: 1 is what the bars are promised for, less only tries the bench.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share(pub(super) f64);

impl Share {
    pub(super) fn of(text: Option<&str>) -> anyhow::Result<Self> {
        let share = text.unwrap_or("1").parse()?;
        ensure!((0.001..=1.0).contains(&share), "{share} is no share of the sizes: name one from 0.001 to 1");
        Ok(Self(share))
    }
    /// So much of a size, and no less than `least`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of sizes that fit")]
    pub(super) fn cut(self, size: u64, least: u64) -> u64 {
        ((size as f64 * self.0) as u64).max(least)
    }
}

/// Measures all parts, or one, and prints.
pub async fn run(part: Option<&str>, share: Option<&str>) -> anyhow::Result<Table> {
    if let Some(part) = part
        && !PARTS.contains(&part)
    {
        bail!("there is no part {part}: name one of {}", PARTS.join(", "));
    }
    let share = Share::of(share)?;
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    if share.0 < 1.0 {
        table.note(
            "sizes",
            format!("{:.1} % of what the bars are for: a trial of the bench", share.0 * 100.0),
        );
    }
    let wanted = |name| part.is_none_or(|part| part == name);
    if wanted("audit") {
        audit::run(&mut table, share).await?;
    }
    if wanted("search") {
        search::run(&mut table, share).await?;
    }
    if wanted("leaks") {
        leaks::run(&mut table).await?;
    }
    if wanted("rights") {
        rights::run(&mut table, share).await?;
    }
    if wanted("transitions") {
        transitions::run(&mut table, share).await?;
    }
    if wanted("grids") {
        grids::run(&mut table, share).await?;
    }
    Ok(table)
}
