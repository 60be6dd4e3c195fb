//! What benches share: the table they print.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;

pub mod accuracy;
pub mod activity;
pub mod attention;
pub mod bus;
pub mod cases;
pub mod console;
pub mod costs;
pub mod glance;
pub mod main;
pub mod plan;
pub mod sessions;

/// The processor's time of a process so far.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    stat_time(&pid.to_string(), 11)
}

/// The processor's time of all processes that this one started and that have ended.
pub(crate) fn processor_time_of_children() -> anyhow::Result<Duration> {
    stat_time("self", 13)
}

/// User and system time stand side by side, in hundredths of a second; counted behind the name, which may hold anything.
fn stat_time(process: &str, user: usize) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').context("a name in parentheses")?.1.split_whitespace();
    let ticks: Result<Vec<u64>, _> = fields.skip(user).take(2).map(str::parse).collect();
    Ok(Duration::from_millis(ticks?.iter().sum::<u64>() * 10))
}

/// Rows of figures with their bars.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<[String; 4]>,
    short: usize,
}

impl Table {
    /// A figure that was measured, against its bar.
    pub fn row(&mut self, figure: &str, measured: impl Into<String>, bar: &str, held: bool) {
        self.short += usize::from(!held);
        self.push(figure, measured.into(), bar, if held { "held" } else { "short" });
    }
    /// A figure without a bar: a condition, or a comparison.
    pub fn note(&mut self, figure: &str, measured: impl Into<String>) {
        self.push(figure, measured.into(), "-", "-");
    }
    /// A figure whose data is not here.
    pub fn no_data(&mut self, figure: &str, bar: &str) {
        self.push(figure, "no data".to_owned(), bar, "no data");
    }
    fn push(&mut self, figure: &str, measured: String, bar: &str, verdict: &str) {
        println!("{figure} | {measured} | {bar} | {verdict}");
        self.rows.push([figure.to_owned(), measured, bar.to_owned(), verdict.to_owned()]);
    }
    /// Rows whose bar was missed.
    pub fn short(&self) -> usize {
        self.short
    }
    /// The verdict of all rows.
    pub fn finish(self) -> ExitCode {
        println!("{} rows, {} short", self.rows.len(), self.short);
        if self.short == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The value below which `share` of the sorted values lie.
pub fn percentile(values: &mut [u64], share: f64) -> u64 {
    if values.is_empty() {
        return 0;
    }
    values.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the values")]
    let index = ((values.len() - 1) as f64 * share).round() as usize;
    values[index.min(values.len() - 1)]
}
