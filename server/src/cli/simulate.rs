//! `xueliang simulate`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use xueliang_simulator::{
    Account, CameraSpec, Clip, PictureRate, Schedule, Simulator,
    fault::{AWAY, DARK, FORMS},
};

use super::{Asked, block_on};

fn help() -> String {
    format!(
        "Examples:
  xueliang simulate gate=clips/gate@10fps.h264
  xueliang simulate --copies 50 --user admin --password-env CAMERA_PASSWORD street=street@25fps.h265
  xueliang simulate gate=gate@10fps.h264 --dark covered@10fps.h264 --faults 20s:dark,50s:normal,60s:stall
  xueliang simulate gate=gate@10fps.h264 --alternative small=small@10fps.h265 --faults 20s:show=small,40s:normal

A schedule is TIME:FAULT,TIME:FAULT... in order of time. Faults: {FORMS}; normal ends them all.
dark and away show what --dark and --away give, show=NAME what --alternative NAME=FILE gives: with another size the
camera changes its resolution in mid-stream, with another codec it closes its sessions first, as cameras do."
    )
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = help())]
pub struct SimulateArgs {
    /// NAME=FILE: an elementary stream (.h264, .h265, .mjpeg) whose rate stands in its name, as gate@10fps.h264.
    #[arg(required = true, value_name = "NAME=FILE", value_parser = named_file)]
    cameras: Vec<(String, PathBuf)>,
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:8554")]
    listen: SocketAddr,
    /// Pictures per second, for files whose name does not say.
    #[arg(long)]
    rate: Option<PictureRate>,
    /// Serve each file under so many names, each at another place of it: NAME, NAME-2, NAME-3 …
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2000))]
    copies: u32,
    /// Faults of every camera over time.
    #[arg(long, value_name = "SCHEDULE")]
    faults: Option<Schedule>,
    /// Shown by the fault `dark`.
    #[arg(long, value_name = "FILE")]
    dark: Option<PathBuf>,
    /// Shown by the fault `away`.
    #[arg(long, value_name = "FILE")]
    away: Option<PathBuf>,
    /// Shown by the fault `show=NAME`; any number of them.
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    alternative: Vec<(String, PathBuf)>,
    /// Ask for this user (digest authentication).
    #[arg(long, requires = "password_env")]
    user: Option<String>,
    /// The environment variable that holds the password.
    #[arg(long, requires = "user")]
    password_env: Option<String>,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("write NAME=FILE".to_owned()),
    }
}

/// Serves until Ctrl-C.
pub fn run(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() {
        bail!("{} is not loopback: simulated cameras serve this machine only", args.listen);
    }
    let cameras = specs(&args)?;
    block_on(async move {
        let mut asked = Asked::listen()?;
        let simulator = Simulator::start(args.listen, cameras).await?;
        for camera in simulator.cameras() {
            println!("{}", simulator.url(camera.name()));
        }
        asked.wait().await;
        simulator.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn specs(args: &SimulateArgs) -> anyhow::Result<Vec<CameraSpec>> {
    let load =
        |path: &PathBuf| Clip::load(path, args.rate).with_context(|| format!("load {}", path.display()));
    let alternatives = args
        .alternative
        .iter()
        .map(|(name, path)| (name.as_str(), path))
        .chain(args.dark.iter().map(|path| (DARK, path)))
        .chain(args.away.iter().map(|path| (AWAY, path)))
        .map(|(name, path)| Ok((name, load(path)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let account = match (&args.user, &args.password_env) {
        (Some(user), Some(variable)) => {
            let password =
                std::env::var(variable).with_context(|| format!("read the password from {variable}"))?;
            Some(Account::new(user, &password))
        }
        _ => None,
    };
    let mut all = Vec::new();
    for (name, file) in &args.cameras {
        let clip = load(file)?;
        for copy in 1..=args.copies {
            let name = if copy == 1 { name.clone() } else { format!("{name}-{copy}") };
            // Copies are spread over the clip.
            let spec = CameraSpec::new(name, clip.clone());
            let mut spec = spec.ahead(clip.duration() * (copy - 1) / args.copies);
            if let Some(schedule) = &args.faults {
                spec = spec.schedule(schedule.clone());
            }
            for (name, clip) in &alternatives {
                spec = spec.alternative(*name, clip.clone());
            }
            if let Some(account) = &account {
                spec = spec.account(account.clone());
            }
            all.push(spec);
        }
    }
    Ok(all)
}
