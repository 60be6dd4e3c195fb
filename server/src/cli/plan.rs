//! `xueliang plan`.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;

use super::print;
use crate::plan::{Costs, Mix, Order, costs::REFERENCE, plan, report::MOST_WORKERS};

const HELP: &str = "\
Examples:
  xueliang plan --cameras 500 --mix docs/examples/town.toml
  xueliang plan --cameras 22000 --mix town.toml --costs this-machine.toml --json
  xueliang plan --cameras 500 --mix town.toml --workers 8       what do eight workers give?
  xueliang plan --cameras 22000 --mix town.toml --nodes 4       what must each of four machines have?

The scheduler that runs in the service decides, on a simulated clock, about cameras that send as the mix says and looks
that take what the costs say. Without --workers, the fewest are sought that keep every rule's floor, by trying numbers of
them on some minutes; then the whole time is simulated with these.

What is said of rules: kept means never blind for longer than the service tolerates (the floor, and once more but at most
2 s); breached, that it was. Ages are from the arrival of a picture to the answer of its look. A look worker takes one
core. The node's work, evidence, memory and uplinks are computed from rates.

A town beyond one machine has several nodes, each with an even share of the cameras, its own scheduler and its own workers.
Without --nodes and --workers there are as many as have about 32 cores each, by what a sample of the cameras takes.

docs/plan.md describes both files. `make bench-costs` measures a machine.";

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct PlanArgs {
    /// Cameras of the town.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    cameras: u32,
    /// Kinds of camera by share, and what they are watched for (TOML).
    #[arg(long, value_name = "FILE")]
    mix: PathBuf,
    /// What things cost on your machine (TOML); without it, the costs of the machine that the output names.
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Nodes among which the cameras are divided; without it, one with --workers, otherwise as many as have about 32 cores each.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: Option<u32>,
    /// Look workers of each node, one core each, at most 256; without it, as many as keep all floors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_WORKERS)))]
    workers: Option<u32>,
    /// Hours to simulate.
    #[arg(long, default_value_t = 1.0, value_parser = hours)]
    hours: f64,
    /// Where chance begins: the same number gives the same plan.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.01..=24.0).contains(&value) => Ok(value),
        _ => Err("use a number from 0.01 to 24".to_owned()),
    }
}

/// Prints the plan.
pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let read = |path: &PathBuf| fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let costs = match &args.costs {
        Some(path) => Costs::parse(&read(path)?).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?,
        None => Costs::parse(REFERENCE).context("the costs that ship")?,
    };
    let mix = match Mix::parse(&read(&args.mix)?, &costs) {
        Ok(mix) => mix,
        Err(error) => bail!("{} cannot be planned:\n{error}", args.mix.display()),
    };
    let order = Order {
        cameras: args.cameras as usize,
        nodes: args.nodes.map(|nodes| nodes as usize),
        workers: args.workers.map(|workers| workers as usize),
        time: Duration::from_secs_f64(args.hours * 3600.0),
        seed: args.seed,
    };
    let report = plan(&mix, &costs, order);
    if args.json {
        print(serde_json::to_string_pretty(&report)? + "\n")?;
    } else {
        print(report)?;
    }
    Ok(ExitCode::SUCCESS)
}
