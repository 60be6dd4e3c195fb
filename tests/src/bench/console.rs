//! `make bench-console`: the operators' page in a real browser, before a bus with the record of a year and 50 consoles besides.
//! Parts: `open`, how soon the page can be used; `painted`, from the commit of an alert to its painted row; `flood`, what the page
//! is like in one; `memory`, whether a page that stays open stays as it is.
//!
//! The bus is the real process with sign-in, and serves the page that it embeds. Everything is on this machine, so that commit and
//! painting are told by one clock. The browser is Debian's Chromium, which draws by the processor.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::timeout;

use self::scene::Scene;
use super::{Table, cases::Share};

mod desks;
mod flood;
mod memory;
mod open;
mod page;
mod painted;
mod scene;
mod source;
mod town;

/// What can be measured by itself.
pub const PARTS: [&str; 4] = ["open", "painted", "flood", "memory"];

/// Alerts of the record.
const HISTORY: u64 = 100_000;
/// Consoles beside the page.
const CONSOLES: u64 = 50;
/// How long memory is watched when that is all that is asked for, and beside the other parts.
const HOUR: Duration = Duration::from_secs(3600);
const LOOK: Duration = Duration::from_secs(600);
/// All else takes some five minutes.
const LIMIT: Duration = Duration::from_secs(1200);

/// Measures and prints all parts, or one; of a share of their sizes and times.
pub async fn run(part: Option<&str>, share: Option<&str>) -> anyhow::Result<Table> {
    if let Some(part) = part {
        ensure!(PARTS.contains(&part), "{part:?} is none of {PARTS:?}");
    }
    let share = Share::of(share)?;
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", super::main::machine());
    if share.0 < 1.0 {
        let percent = share.0 * 100.0;
        table.note("sizes", format!("{percent:.1} % of what the bars are for: a trial of the bench"));
    }
    let long = if part.is_some() { HOUR } else { LOOK }.mul_f64(share.0);
    let all = parts(&mut table, part, share, long);
    let limit = LIMIT + long;
    timeout(limit, all).await.with_context(|| format!("not done within {limit:?}"))??;
    Ok(table)
}

async fn parts(table: &mut Table, only: Option<&str>, share: Share, long: Duration) -> anyhow::Result<()> {
    let wanted = |part| only.is_none_or(|only| only == part);
    let mut scene = Scene::start(table, usize::try_from(share.cut(HISTORY, 1000))?).await?;
    scene.attach(usize::try_from(share.cut(CONSOLES, 2))?).await?;
    if wanted("open") {
        open::run(table, &mut scene).await?;
    }
    if wanted("painted") || wanted("flood") || wanted("memory") {
        scene.fill_page(table).await?;
    }
    if wanted("painted") {
        painted::run(table, &mut scene, share).await?;
    }
    if wanted("flood") {
        flood::run(table, &mut scene, share).await?;
    }
    if wanted("memory") {
        memory::run(table, &mut scene, long).await?;
    }
    scene.finish(table).await
}
