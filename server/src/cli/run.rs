//! `xueliang run`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use rustix::process::Signal;
use xueliang_base::config::{Config, base_dir};

use super::{block_on, runtime};
use crate::supervisor::{self, SupervisorSpec};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Configuration file; `xueliang check` explains what is wrong with it.
    #[arg(long, short)]
    config: PathBuf,
    /// Stop when this process, which started this one, ends.
    #[arg(long, hide = true)]
    parent: Option<u32>,
}

/// Reads and parses a configuration file.
pub fn read_config(path: &std::path::Path) -> anyhow::Result<Config> {
    Ok(read_config_text(path)?.0)
}

/// The same, with its text.
pub fn read_config_text(path: &std::path::Path) -> anyhow::Result<(Config, String)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let folder =
        base_dir(path).canonicalize().with_context(|| format!("find the folder of {}", path.display()))?;
    let config = Config::parse(&text, &folder)
        .map_err(|e| anyhow::anyhow!("{} cannot be used:\n{e}", path.display()))?;
    Ok((config, text))
}

/// Runs the service until a signal.
pub fn run(args: RunArgs, log_format: &str) -> anyhow::Result<ExitCode> {
    if let Some(parent) = args.parent {
        let alive = supervisor::die_with_parent(Signal::TERM, Some(parent));
        anyhow::ensure!(alive, "the process that has started this one is gone");
    }
    let parsed = read_config(&args.config)?;
    super::check::refuse_unserved(&parsed)?;
    super::check::refuse_unopenable(&args.config)?;
    let spec = SupervisorSpec {
        program: std::env::current_exe().context("find this program's own file")?,
        config: args.config.canonicalize()?,
        runtime: runtime::find()?,
        parsed,
        log_format: log_format.to_owned(),
    };
    block_on(supervisor::run(spec))?;
    Ok(ExitCode::SUCCESS)
}
