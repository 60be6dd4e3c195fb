//! `make bench-attention`: what attention saves, and what it costs in hazards seen.
//!
//! The service runs as it is, on simulated cameras that this process serves, so that their cost is not the service's. It is
//! held against itself with `attention = "off"`, where every camera is decoded whole and looked at five times a second,
//! on the same machine, in the same run, with the same model. That reference is held against the sum of what its steps cost
//! in this run ([`steps`]): a slow one would flatter, and then no ratio counts.
//!
//! Cameras send H.264 of 1280 by 720 pixels 15 times a second, with a keyframe every 2 s ([`footage`]).

use super::{Table, main::machine};

mod ages;
mod cameras;
mod footage;
mod matching;
mod overhead;
mod quiet;
mod recall;
mod steps;
mod town;

/// What can be measured alone, in this order otherwise.
pub const PARTS: [&str; 7] = ["lawn", "tree", "mixed", "recall", "overhead", "ages", "cameras"];

/// Measures and prints all, or the parts that are named, with commas between them.
pub async fn run(only: Option<&str>) -> anyhow::Result<Table> {
    let parts: Vec<&str> = only.map_or(PARTS.to_vec(), |only| only.split(',').collect());
    for part in &parts {
        anyhow::ensure!(PARTS.contains(part), "{part:?} is none of {}", PARTS.join(", "));
    }
    let wanted = |part: &str| parts.contains(&part);
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", machine());
    let shots: &[footage::Shot] = match () {
        () if wanted("recall") => &footage::Shot::ALL,
        () if parts == ["ages"] => &[],
        () => &footage::Shot::QUIET,
    };
    let clips = footage::prepare(&mut table, shots)?;
    if ["lawn", "tree", "mixed", "overhead"].into_iter().any(wanted) {
        quiet::rows(&mut table, &clips, &parts).await?;
    }
    if wanted("overhead") {
        overhead::session_rows(&mut table, &clips).await?;
    }
    if wanted("recall") {
        recall::rows(&mut table, &clips).await?;
    }
    if wanted("ages") {
        ages::rows(&mut table).await?;
    }
    if wanted("cameras") {
        cameras::rows(&mut table, &clips).await?;
    }
    Ok(table)
}
