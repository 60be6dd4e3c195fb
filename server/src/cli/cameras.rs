//! `xueliang cameras`: what people ask of cameras.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use tokio::time::{Instant, sleep};
use xueliang_base::{time::Wall, wire};
use xueliang_proto::v1::{self, camera_service_client::CameraServiceClient};

use super::{Asked, block_on, print, reach::Reach};

/// All cameras of a large town.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Nodes report so often.
const POLL: Duration = Duration::from_secs(1);

/// Arguments of `cameras`.
#[derive(Debug, Args)]
pub struct CamerasArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Connect to a camera on request or on patrol for a while, and have its rules look at it.
    ///
    /// What its rules find is an alert as always: follow it with `xueliang watch`. Where an upstream has no room for another
    /// session, the camera waits, and this says so. Ctrl-C ends it early.
    Look(LookArgs),
}

#[derive(Debug, Args)]
struct LookArgs {
    /// The camera's id.
    camera: String,
    /// How long, as 60s or 5m; an hour at most.
    #[arg(long = "for", default_value = "60s", value_parser = lasting)]
    lasting: Duration,
    #[command(flatten)]
    reach: Reach,
}

fn lasting(text: &str) -> Result<Duration, String> {
    let help = || "write a time with its unit, as 60s or 5m".to_owned();
    let (number, seconds) = match text.strip_suffix('s').map(|number| (number, 1)) {
        Some(found) => found,
        None => text.strip_suffix('m').map(|number| (number, 60)).ok_or_else(help)?,
    };
    let lasting =
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).ok_or_else(help)?;
    if (1..=3600).contains(&lasting) {
        Ok(Duration::from_secs(lasting))
    } else {
        Err("use 1s to 60m".to_owned())
    }
}

/// Runs it.
pub fn run(args: CamerasArgs) -> anyhow::Result<ExitCode> {
    let What::Look(args) = args.what;
    block_on(async move { look(&args).await })
}

async fn look(args: &LookArgs) -> anyhow::Result<ExitCode> {
    let mut asked = Asked::listen()?;
    let before = state(args).await?.0.last_look_unix_us;
    connect(args, args.lasting).await?;
    let end = Instant::now() + args.lasting;
    let mut told = String::new();
    let mut looked = before;
    while Instant::now() < end {
        tokio::select! {
            () = asked.wait() => {
                connect(args, Duration::ZERO).await?;
                break;
            }
            () = sleep(POLL) => {}
        }
        let (camera, zone) = state(args).await?;
        let line = words(&camera, &zone);
        if line != told {
            print(format_args!("{line}\n"))?;
            told = line;
        }
        looked = looked.max(camera.last_look_unix_us);
    }
    ensure!(looked > before, "{} was not looked at: see above", args.camera);
    Ok(ExitCode::SUCCESS)
}

async fn connect(args: &LookArgs, lasting: Duration) -> anyhow::Result<()> {
    let channel = args.reach.connect()?;
    let for_us = xueliang_base::time::micros(lasting);
    let request = v1::ConnectCameraRequest { camera_id: args.camera.clone(), for_us };
    match CameraServiceClient::new(channel).connect_camera(request).await {
        Ok(_) => Ok(()),
        Err(status) => Err(args.reach.refused(&status)),
    }
}

/// The camera's state, and the site's zone.
async fn state(args: &LookArgs) -> anyhow::Result<(v1::CameraStatus, String)> {
    let channel = args.reach.connect()?;
    let mut service = CameraServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let listed = match service.list_cameras(v1::ListCamerasRequest::default()).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Err(args.reach.refused(&status)),
    };
    let id = &args.camera;
    let camera = listed.cameras.into_iter().find(|camera| camera.camera_id == *id);
    let camera =
        camera.with_context(|| format!("there is no camera {id}, or no node has reported it yet"))?;
    Ok((camera, listed.timezone))
}

/// A camera's state in a line.
fn words(camera: &v1::CameraStatus, zone: &str) -> String {
    let signal = wire::word(camera.signal().as_str_name(), "SIGNAL_").replace('_', " ");
    let mut line = format!("{}: {signal}", camera.camera_id);
    if !camera.detail.is_empty() {
        line.push_str(&format!(" ({})", camera.detail));
    }
    if camera.signal() == v1::Signal::Streaming && camera.last_look_unix_us != 0 {
        let at = Wall(camera.last_look_unix_us).time_of_day(zone);
        line.push_str(&format!(", looked at {at}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_states_told() {
        assert_eq!(lasting("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(lasting("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["60", "0s", "61m", "-1s", "s", ""] {
            assert!(lasting(wrong).is_err(), "{wrong}");
        }
        let mut camera = v1::CameraStatus {
            camera_id: "pond".into(),
            detail: "due, and waits".into(),
            ..v1::CameraStatus::default()
        };
        camera.set_signal(v1::Signal::NotConnected);
        assert_eq!(words(&camera, "UTC"), "pond: not connected (due, and waits)");
        camera.set_signal(v1::Signal::Streaming);
        camera.detail.clear();
        camera.last_look_unix_us = 3_600_000_000;
        assert!(words(&camera, "UTC").starts_with("pond: streaming, looked at 01:00:00"));
    }
}
