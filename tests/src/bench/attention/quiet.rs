//! What a camera costs in a quiet town and in a mixed one, against the reference without attention.

use std::time::Duration;

use super::{
    footage::{Clips, Encoding, Shot},
    overhead,
    steps::{self, LOOKS, Steps},
    town::{self, MIX, OFF, ON, Spent},
};
use crate::bench::Table;

/// Cameras without attention: well within what two cores can do.
const OFF_CAMERAS: usize = 4;
const OFF_SETTLE: Duration = Duration::from_secs(15);
const OFF_MEASURED: Duration = Duration::from_secs(30);
/// Cameras of each quiet town, and of the mixed one, of which each tenth has activity.
const QUIET: usize = 16;
const MIXED: usize = 20;
/// Backgrounds are learned, the encoded tier has had lessons, and places where something comes and goes are known to, which takes
/// five to ten minutes where that is the whole picture.
const SETTLE: Duration = Duration::from_secs(900);
/// A restless camera is woken once in some minutes: sixteen of them for a minute would be a handful of chances.
const MEASURED: Duration = Duration::from_secs(180);

/// The reference with one encoding.
struct Off {
    spent: Spent,
    steps: Steps,
    percent: f64,
    /// Whether it costs what its steps do.
    counts: bool,
}

/// What was asked for of: quiet towns by what they show, the mixed one, and the overhead of the reference.
pub(super) async fn rows(table: &mut Table, clips: &Clips, parts: &[&str]) -> anyhow::Result<()> {
    let shown =
        [("lawn", Shot::Lawn), ("tree", Shot::Tree)].into_iter().filter(|(part, _)| parts.contains(part));
    let quiet: Vec<Shot> = shown.map(|(_, shot)| shot).collect();
    let mixed = parts.contains(&"mixed");
    let overhead = parts.contains(&"overhead");
    let encodings = if !quiet.is_empty() || mixed { &Encoding::ALL[..] } else { &Encoding::ALL[..1] };
    let mut references = Vec::new();
    for (n, encoding) in encodings.iter().enumerate() {
        references.push(reference(table, clips, *encoding, overhead && n == 0).await?);
    }
    if !quiet.is_empty() || mixed {
        towns(table, clips, &references, &quiet, mixed).await?;
    }
    Ok(())
}

async fn reference(
    table: &mut Table,
    clips: &Clips,
    encoding: Encoding,
    profiled: bool,
) -> anyhow::Result<Off> {
    let shown = [clips.own(Shot::Lawn, encoding)?, clips.own(Shot::Tree, encoding)?];
    let steps = steps::measure(&shown).await?;
    let services = town::start(vec![(town::cameras("f", &shown, OFF_CAMERAS, town::mix), OFF)]).await?;
    let spent = town::measure(&services, OFF_SETTLE, OFF_MEASURED).await?.remove(0);
    let profile = if profiled { overhead::profile(&services[0]).await? } else { None };
    town::stop(services).await?;
    let name = format!("attention off, {OFF_CAMERAS} quiet cameras, {}", encoding.name());
    table.note(&format!("{name}: rules"), MIX);
    let units = |column: &str| spent.grew("xueliang_node_access_units", &[column]);
    let decoded = units("column=\"looked_at\"") + units("column=\"referenced\"");
    let decoded = decoded / units("column=\"received\"").max(1.0);
    let looks = spent.rate("xueliang_node_looks", &["outcome=\"looked\""], OFF_CAMERAS);
    let whole = looks >= LOOKS * 0.96 && decoded >= 0.98;
    table.row(
        &format!("{name}: looks a second, and share of units decoded"),
        format!("{looks:.2}, {decoded:.3}"),
        ">= 4.8, 0.98",
        whole,
    );
    table.note(&format!("{name}: its steps by themselves, of a core"), steps.told());
    let percent = spent.percent(OFF_CAMERAS);
    let beside = percent / steps.percent();
    let counts = whole && (0.85..=1.15).contains(&beside);
    table.row(
        &format!("{name}: of a core, a camera"),
        format!("{percent:.2} %, {beside:.3} of the steps' {:.2} %", steps.percent()),
        "0.85 to 1.15, or no ratio counts",
        counts,
    );
    table.note(&format!("{name}: by role, of a core, a camera"), spent.told(OFF_CAMERAS));
    let off = Off { spent, steps, percent, counts };
    if profiled {
        overhead::rows(table, &name, &off.spent, off.steps, OFF_CAMERAS, off.counts, profile.as_deref());
    }
    Ok(off)
}

async fn towns(
    table: &mut Table,
    clips: &Clips,
    references: &[Off],
    quiet: &[Shot],
    mixed: bool,
) -> anyhow::Result<()> {
    let mut towns = Vec::new();
    let mut told = Vec::new();
    for (n, encoding) in Encoding::ALL.into_iter().enumerate() {
        let own = |shot| clips.own(shot, encoding);
        for shot in quiet.iter().copied() {
            towns.push((town::cameras(&format!("q{}-", told.len()), &[own(shot)?], QUIET, town::mix), ON));
            let what = format!("quiet town, {}, {}", shot.name(), encoding.name());
            told.push((what, n, QUIET, 20.0, MIX.to_owned()));
        }
        if mixed {
            let active = MIXED / 10;
            let prefix = format!("m{}-", told.len());
            let calm = [own(Shot::Lawn)?, own(Shot::Tree)?];
            let mut cameras = town::cameras(&prefix, &calm, MIXED - active, town::mix);
            let prefix = format!("b{}-", told.len());
            cameras.extend(town::cameras(&prefix, &[own(Shot::Campus)?], active, |_| town::busy()));
            towns.push((cameras, ON));
            let rules = format!(
                "{MIX}; at {active} of {MIXED} cameras people walk through a danger zone all the time"
            );
            told.push((format!("mixed town, {}", encoding.name()), n, MIXED, 6.0, rules));
        }
    }
    let names: Vec<String> = told.iter().map(|town| town.0.clone()).collect();
    let services = town::start(towns).await?;
    let spent = town::measure(&services, SETTLE, MEASURED).await?;
    for ((what, off, cameras, least, rules), spent) in told.into_iter().zip(spent) {
        let (percent, off) = (spent.percent(cameras), &references[off]);
        let ratio = off.percent / percent.max(1e-9);
        table.row(
            &format!("{what}: of a core, a camera ({cameras} cameras; {rules})"),
            format!(
                "{percent:.3} %, 1/{ratio:.1} of off{}",
                if off.counts { "" } else { ", which does not count" }
            ),
            &format!("<= 1/{least:.0} of off"),
            off.counts && ratio >= least,
        );
        table.note(&format!("{what}: by role, of a core, a camera"), spent.told(cameras));
    }
    for (what, service) in names.iter().zip(&services) {
        table.note(&format!("{what}: alerts since its start"), town::alerts(service).await?);
    }
    let simulated = town::Moment::of_this_process()?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let simulated = (town::Moment::of_this_process()? - simulated).as_secs_f64() * 10.0;
    table.note(
        "simulated cameras of these towns, not charged: of a core, in all",
        format!("{simulated:.1} %"),
    );
    town::stop(services).await
}
