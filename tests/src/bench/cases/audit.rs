//! A million entries of audit and register, as the store keeps them: what an entry costs, and how long the program takes to
//! verify them all, and to find one that was changed.

use std::{path::Path, process::Command};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use tokio::time::Instant;
use xueliang_alerts::{
    audit::AuditOptions,
    bus::{Bus, BusOptions},
    store::AuditEntry,
};
use xueliang_base::time::{Clock as _, SystemClock};
use xueliang_proto::v1;

use super::{
    super::{Table, percentile},
    Share,
};
use crate::program;

const ENTRIES: u64 = 1_000_000;
/// Entries that wait for the store at once while the million is made.
const TOGETHER: u64 = 500;
/// Entries that are kept one after the other, to tell what one takes.
const ALONE: u64 = 2_000;
/// "In seconds".
const BAR_S: f64 = 10.0;

/// Measures and prints.
pub(super) async fn run(table: &mut Table, share: Share) -> anyhow::Result<()> {
    let entries = share.cut(ENTRIES, ALONE + TOGETHER);
    let folder = tempfile::tempdir()?;
    let heads = folder.path().join("heads");
    std::fs::create_dir(&heads)?;
    let state = folder.path().join("state");
    let options = BusOptions {
        audit: AuditOptions { heads: Some(heads.clone()), ..AuditOptions::default() },
        ..BusOptions::default()
    };
    let bus = Bus::open(&state, SystemClock::shared(), options)?;
    let mut alone = Vec::new();
    for number in 0..ALONE {
        let began = Instant::now();
        keep(&bus, number).await?;
        alone.push(u64::try_from(began.elapsed().as_micros())?);
    }
    table.note(
        "an entry by itself, to disk and linked",
        format!("p50 {} µs, p99 {} µs", percentile(&mut alone, 0.5), percentile(&mut alone, 0.99)),
    );
    let began = Instant::now();
    for first in (ALONE..entries).step_by(usize::try_from(TOGETHER)?) {
        try_join_all((first..(first + TOGETHER).min(entries)).map(|number| keep(&bus, number))).await?;
        bus.seal_audit(false).await?;
    }
    bus.seal_audit(true).await?;
    let each = began.elapsed().as_secs_f64() * 1e6 / (entries - ALONE) as f64;
    table.note("of many at once, each", format!("{each:.0} µs"));
    drop(bus);
    let (took, told, whole) = verify(&state, &heads)?;
    ensure!(whole && told.contains(&format!("{entries} entries")), "{told}");
    let bar = format!("<= {BAR_S} s");
    let figure = format!("{entries} entries and their heads, verified");
    table.row(&figure, format!("{took:.1} s"), &bar, took <= BAR_S);
    // One column of one entry in the middle, as someone with the file changes it.
    let path = state.join("store.db");
    let middle = entries / 4;
    let sql =
        format!("DROP TRIGGER audit_as_is; UPDATE audit SET subject = 'another' WHERE entry_id = {middle};");
    let changed = Command::new("sqlite3").arg(&path).arg(sql).output();
    match changed {
        Ok(output) if output.status.success() => {
            let (took, told, whole) = verify(&state, &heads)?;
            let found =
                !whole && told.contains(&format!("entry {middle} of the audit is not what was written"));
            table.row("a change in the middle of them, found", format!("{took:.1} s"), "found there", found);
        }
        _ => {
            table.no_data("a change in the middle of them, found (needs the program sqlite3)", "found there");
        }
    }
    Ok(())
}

/// Keeps an entry: of the audit and of the register by turns.
async fn keep(bus: &Bus, number: u64) -> anyhow::Result<()> {
    if number.is_multiple_of(2) {
        let subject =
            format!("silence {number} from 2026-01-01T08:00:00 to 2026-01-01T12:00:00: work on masts");
        let entry = AuditEntry { principal: "ana".to_owned(), action: "silence_made", subject };
        return Ok(bus.store().audit(entry).await?);
    }
    let entry = v1::RegisterEntry {
        at_unix_us: SystemClock.wall().0,
        principal: "desk-3".to_owned(),
        alert_id: format!("01890a5d-ac96-774b-bcce-{number:012}"),
        kind: 1,
        purpose: 1,
        reason: "judging what the model saw".to_owned(),
        granted: true,
        ..v1::RegisterEntry::default()
    };
    bus.store().register(entry).await?;
    Ok(())
}

/// Runs `xueliang audit verify`: how long it took, what it told, and whether it found nothing wrong.
fn verify(state: &Path, heads: &Path) -> anyhow::Result<(f64, String, bool)> {
    let began = Instant::now();
    let output = Command::new(program()?)
        .args(["audit", "verify", "--state-dir"])
        .arg(state)
        .arg("--heads")
        .arg(heads)
        .output()
        .context("run xueliang audit verify")?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!told.is_empty(), "audit verify: {}", String::from_utf8_lossy(&output.stderr));
    Ok((began.elapsed().as_secs_f64(), told, output.status.success()))
}
