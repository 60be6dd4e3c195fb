//! From the commit of an alert to its painted row.

use std::{collections::HashMap, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    super::{Table, cases::Share, percentile},
    desks::Desks,
    page::Page,
    scene::Scene,
};

/// Alerts a second.
pub(super) const RATE: u32 = 5;
const SECONDS: u64 = 60;
const BAR_US: u64 = 300_000;
/// Rows are taken from the page so often.
const TAKE_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(table: &mut Table, scene: &mut Scene, share: Share) -> anyhow::Result<()> {
    let long = Duration::from_secs(share.cut(SECONDS, 5));
    let (began, bus) = (Instant::now(), scene.bus_time()?);
    let renderers = scene.page.heap().await?.processor_s;
    let publishing = tokio::spawn(scene.source.clone().steady(RATE, long));
    let mut painted = Painted::default();
    while !publishing.is_finished() {
        sleep(TAKE_EVERY).await;
        painted.take(&mut scene.page).await?;
    }
    let ids = publishing.await??;
    sleep(TAKE_EVERY).await;
    painted.take(&mut scene.page).await?;
    let mut ages = painted.ages(&scene.desks, ids.iter().map(String::as_str));
    let consoles = scene.desks.came().consoles;
    ages.row(
        table,
        &format!(
            "from commit to painted row, {RATE} alerts/s for {} s, {consoles} consoles beside the page",
            long.as_secs()
        ),
    );
    let share = |used: f64| 100.0 * used / began.elapsed().as_secs_f64();
    let bus = share((scene.bus_time()? - bus).as_secs_f64());
    let renderers = share(scene.page.heap().await?.processor_s - renderers);
    table.note(
        "processor meanwhile, of one core",
        format!("bus {bus:.0} %, page and worker {renderers:.0} %"),
    );
    Ok(())
}

/// When rows were painted first, milliseconds since 1970, by alert.
#[derive(Default)]
pub(super) struct Painted(HashMap<String, i64>);

impl Painted {
    /// Takes what the page has painted since.
    pub(super) async fn take(&mut self, page: &mut Page) -> anyhow::Result<()> {
        for (alert, at_ms) in page.painted().await? {
            self.0.entry(alert).or_insert(at_ms);
        }
        Ok(())
    }
    /// How long after their commits.
    pub(super) fn ages<'a>(&self, desks: &Desks, alerts: impl Iterator<Item = &'a str>) -> Ages {
        let mut ages = Ages::default();
        for alert in alerts {
            match (self.0.get(alert), desks.committed(alert)) {
                // The page tells whole milliseconds: it was painted before the next one.
                (Some(at_ms), Some(committed_us)) => {
                    ages.us.push(u64::try_from((at_ms + 1) * 1000 - committed_us).unwrap_or(0));
                }
                _ => ages.missing += 1,
            }
        }
        ages
    }
}

#[derive(Default)]
pub(super) struct Ages {
    us: Vec<u64>,
    missing: usize,
}

impl Ages {
    pub(super) fn row(&mut self, table: &mut Table, figure: &str) {
        let [half, p99, most] = [0.5, 0.99, 1.0].map(|share| percentile(&mut self.us, share));
        let [half_ms, p99_ms, most_ms] = [half, p99, most].map(|us| us as f64 / 1000.0);
        table.row(
            figure,
            format!(
                "p50 {half_ms:.0} ms, p99 {p99_ms:.0} ms, at most {most_ms:.0} ms, of {} alerts; {} not painted",
                self.us.len(),
                self.missing
            ),
            "p99 <= 300 ms, 0 not painted",
            p99 <= BAR_US && self.missing == 0 && !self.us.is_empty(),
        );
    }
}
