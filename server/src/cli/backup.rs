//! `xueliang backup` and `xueliang restore`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use xueliang_alerts::{
    account::KEY_FILE as ACCOUNT_KEY, audit::key::KEY_FILE as AUDIT_KEY,
    custodian::key::KEY_FILE as CUSTODIAN_KEY, store,
};
use xueliang_base::time::{Clock, SystemClock};

use super::run::read_config;
use crate::state::StateDir;

/// Arguments of `backup`.
#[derive(Debug, Args)]
#[command(
    after_help = "Copies alerts, history, feed, register and the registry of cameras while the service runs. \
Evidence files are not copied: they never change, so any file copy of STATE_DIR/evidence does."
)]
pub struct BackupArgs {
    /// Configuration of the service.
    #[arg(long, short)]
    config: PathBuf,
    /// New folder for the backup.
    #[arg(long)]
    to: PathBuf,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "The service must be stopped, and its state folder must hold no store: move the old one away. \
The restored store begins a new epoch: every console is told of the gap and gets a snapshot of the active alerts."
)]
pub struct RestoreArgs {
    /// Configuration of the service.
    #[arg(long, short)]
    config: PathBuf,
    /// Folder of the backup.
    #[arg(long)]
    from: PathBuf,
}

const REGISTRY: &str = "registry.db";
const REGISTRY_KEY: &str = "registry.db.key";

/// Copies and verifies.
pub fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let config = read_config(&args.config)?;
    let state = StateDir::at(&config.state_dir);
    if !state.root().join(store::STORE_FILE).is_file() {
        bail!("{} holds no store: there is nothing to back up yet", state.root().display());
    }
    store::make_folder(&args.to)?;
    let registry = xueliang_ingest::registry::Registry::open(&state.registry(), SystemClock::shared())?;
    registry.backup_to(&args.to.join(REGISTRY))?;
    copy_private(&state.root().join(REGISTRY_KEY), &args.to.join(REGISTRY_KEY))?;
    let mut others = vec![REGISTRY, REGISTRY_KEY];
    // There is none before the bus of this version was started for the first time.
    for key in [ACCOUNT_KEY, AUDIT_KEY, CUSTODIAN_KEY] {
        if state.root().join(key).is_file() {
            copy_private(&state.root().join(key), &args.to.join(key))?;
            others.push(key);
        }
    }
    // The manifest comes last and names all: a backup that was cut off has none.
    let manifest = store::backup_files(state.root(), &args.to, &others, SystemClock.wall())?;
    println!(
        "{}: {} bytes, up to feed position {}, verified. It holds the keys of camera passwords, second factors, contacts \
         of custodians and the audit: keep it as safe as the state folder.",
        args.to.display(),
        manifest.size_bytes,
        manifest.head
    );
    Ok(ExitCode::SUCCESS)
}

/// Verifies and puts in place.
pub fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = read_config(&args.config)?;
    let state = StateDir::at(&config.state_dir);
    state.create()?;
    let _held = state.lock()?;
    let manifest = store::read_manifest(&args.from)?;
    for name in [REGISTRY, REGISTRY_KEY] {
        if !manifest.others.iter().any(|file| file.name == name) {
            bail!("{} holds no {name}: it is no whole backup", args.from.display());
        }
    }
    // The store comes last: cut off before that, this is done again.
    let manifest = store::restore(&args.from, state.root())?;
    println!(
        "restored {} bytes up to feed position {} into {}; consoles will see a new epoch",
        manifest.size_bytes,
        manifest.head,
        state.root().display()
    );
    Ok(ExitCode::SUCCESS)
}

fn copy_private(from: &Path, to: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
