//! `xueliang explain`: what a camera did, and why there was no alert.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use xueliang_base::time::{SystemClock, Wall};
use xueliang_proto::v1::{
    self, camera_service_client::CameraServiceClient, explain_service_client::ExplainServiceClient,
};

use super::{block_on, print, reach::Reach};

mod json;
mod text;
mod times;

/// An answer: stretches of some dozen rules.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  xueliang explain pond-1 14:03              the minute from 14:03 on
  xueliang explain pond-1 14:03 14:10        ten past two needs no date: it is the last one that was
  xueliang explain pond-1 -10m               the last ten minutes
  xueliang explain pond-1 2026-11-29T14:03:00+08:00 +90s --json

The answer says which looks were taken and which were not, and of each rule what it said, when, and what follows:
  alert              there was one; its id, and why it was not shown where it was suppressed
  confirmed within the cooldown after an alert of the same rule
  seen, and not for long enough: for how long, and how long it takes
  could not look     why, and from when to when; in the rest nothing was seen
  the camera rested  from when to when, with its glances; in the rest nothing was seen
  nothing was seen   in how many looks, how far apart at most, and which threshold was missed by how much
  cannot say         the logbook does not tell
\"Not seen\" is only said of time that was watched: two looks further apart than the rule's max_gap watch nothing.
It shows counts, scores and times: no pictures, and nothing of where anything was.

The node keeps a logbook of each camera in memory, for 6 hours, or one to two where it looks five times a second; it begins
anew when the node starts and when the camera's configuration changes.")]
pub struct ExplainArgs {
    /// The camera's id.
    camera: String,
    /// Since when: 14:03, 14:03:20, -10m, or RFC 3339. Without a zone, in the site's.
    #[arg(allow_hyphen_values = true)]
    from: String,
    /// Until when: the same, or now, or +90s after the beginning. Left out: one minute; now, where the beginning is -10m.
    #[arg(allow_hyphen_values = true)]
    to: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// One JSON object with everything.
    #[arg(long)]
    json: bool,
    /// IANA zone in which times are read and shown; the site's where it is left out.
    #[arg(long)]
    timezone: Option<String>,
}

/// Asks and prints.
pub fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let zone = site_zone(&args).await?;
        let zone = args.timezone.as_deref().unwrap_or(&zone);
        let now = xueliang_base::time::Clock::wall(&SystemClock);
        let (from, to) = times::range(&args.from, args.to.as_deref(), now, zone)?;
        let request =
            v1::ExplainRequest { camera_id: args.camera.clone(), from_unix_us: from.0, to_unix_us: to.0 };
        let channel = args.reach.connect()?;
        let mut service = ExplainServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        let camera = match service.explain(request).await {
            Ok(answer) => answer.into_inner().camera.context("the service gave no answer")?,
            Err(status) => return Err(args.reach.refused(&status)),
        };
        let text = if args.json { json::of(&camera, zone)? } else { text::of(&camera, (from, to), zone) };
        print(text)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The site's zone; an error where there is no such camera.
async fn site_zone(args: &ExplainArgs) -> anyhow::Result<String> {
    let channel = args.reach.connect()?;
    let mut service = CameraServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let listed = match service.list_cameras(v1::ListCamerasRequest::default()).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Err(args.reach.refused(&status)),
    };
    if listed.cameras.iter().all(|camera| camera.camera_id != args.camera) {
        let known: Vec<&str> =
            listed.cameras.iter().map(|camera| camera.camera_id.as_str()).take(20).collect();
        let more = if listed.cameras.len() > known.len() { " …" } else { "" };
        bail!("there is no camera {}; there are: {}{more}", args.camera, known.join(", "));
    }
    Ok(if listed.timezone.is_empty() { "UTC".to_owned() } else { listed.timezone })
}

/// RFC 3339, where there is a time.
fn time(unix_us: i64, zone: &str) -> Option<String> {
    (unix_us != 0).then(|| Wall(unix_us).rfc3339(zone))
}
