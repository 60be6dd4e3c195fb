//! What the service adds to decoding and the model's run, and to a session.

use std::{collections::BTreeMap, process::Stdio, sync::Arc, time::Duration};

use anyhow::Context;
use xueliang_base::config::StreamSource;
use xueliang_simulator::{CameraSpec, Simulator};

use super::{
    footage::{Clips, Encoding, HZ, Shot},
    steps::Steps,
    town::{self, ON, Spent},
};
use crate::{
    Service,
    bench::{Table, sessions},
};

/// How long the profile is taken, and how often a second.
const PROFILED: &str = "10";
const SAMPLES: &str = "499";
/// Cameras at rest, and for how long.
const CAMERAS: usize = 30;
const SETTLE: Duration = Duration::from_secs(10);
const MEASURED: Duration = Duration::from_secs(30);

/// Where the reference's processor time goes, by what the node reports of its looks, and by a profile.
pub(super) fn rows(
    table: &mut Table,
    name: &str,
    spent: &Spent,
    steps: Steps,
    cameras: usize,
    counts: bool,
    profile: Option<&[(String, f64)]>,
) {
    let all = spent.all();
    let stage = |stage: &str| spent.grew("xueliang_node_look_seconds_sum", &[&format!("stage=\"{stage}\"")]);
    let [decode, infer, prepare] = ["decode", "infer", "prepare"].map(|name| stage(name) / all * 100.0);
    let beyond = 100.0 - decode - infer;
    table.row(
        &format!("{name}: outside GStreamer's decoding and ONNX Runtime's run, as looks report their times"),
        format!("{beyond:.1} % (decode {decode:.1}, run {infer:.1}, prepare {prepare:.1})"),
        "<= 15 %",
        // Where workers wait for processors, looks take longer than they cost: then nothing can be said.
        counts && (0.0..=15.0).contains(&beyond),
    );
    let alone = (steps.decode + steps.infer) / 1000.0 * spent.seconds * cameras as f64 / all * 100.0;
    table.note(
        &format!("{name}: the same, with decoding and run as they cost by themselves"),
        format!("{:.1} %", 100.0 - alone),
    );
    for (role, seconds) in &spent.by_role {
        table.note(&format!("{name}: share of {role}"), format!("{:.1} %", seconds / all * 100.0));
    }
    match profile {
        None => table.note(&format!("{name}: profile"), "perf is not here, or may not look"),
        Some(profile) => {
            for (object, share) in profile {
                table.note(&format!("{name}: profile, in {object}"), format!("{share:.1} %"));
            }
        }
    }
}

/// Shares of the samples by the object they were taken in, the greatest first; `None` where `perf` cannot tell.
pub(super) async fn profile(service: &Service) -> anyhow::Result<Option<Vec<(String, f64)>>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("perf.data");
    let pids: Vec<String> = service.roles().keys().map(ToString::to_string).collect();
    let recorded = tokio::process::Command::new("perf")
        .args(["record", "-q", "-F", SAMPLES, "-p", &pids.join(","), "-o"])
        .arg(&file)
        .args(["--", "sleep", PROFILED])
        .stdin(Stdio::null())
        .output()
        .await;
    if !recorded.is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    let report = tokio::process::Command::new("perf")
        .args(["report", "--stdio", "-q", "--sort", "dso", "-i"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .await
        .context("perf report")?;
    let shares = shares(&String::from_utf8_lossy(&report.stdout));
    Ok((report.status.success() && !shares.is_empty()).then_some(shares))
}

/// Lines of a report, as `    61.20%  libonnxruntime.so`; libraries of one kind together.
fn shares(report: &str) -> Vec<(String, f64)> {
    let mut by_object: BTreeMap<&str, f64> = BTreeMap::new();
    for line in report.lines() {
        let mut words = line.split_whitespace();
        let share = words.next().and_then(|word| word.strip_suffix('%')?.parse::<f64>().ok());
        let (Some(share), Some(object)) = (share, words.next()) else { continue };
        *by_object.entry(kind(object)).or_default() += share;
    }
    let mut shares: Vec<(String, f64)> =
        by_object.into_iter().map(|(object, share)| (object.to_owned(), share)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

fn kind(object: &str) -> &str {
    match object {
        _ if object.contains("onnxruntime") => "ONNX Runtime",
        _ if object.starts_with("libav") || object.starts_with("libsw") => "the decoder's libraries",
        _ if object.starts_with("libgst") || object.starts_with("libg") => "GStreamer and GLib",
        _ if object.starts_with("[kernel") || object.starts_with("[guest") => "the kernel",
        "xueliang" => "our own code",
        _ if object.starts_with("libc.") || object.starts_with("libm.") => "the C library",
        _ => "others",
    }
}

/// What a camera at rest costs in the node, where nothing looks at it, beside receiving and parsing alone.
pub(super) async fn session_rows(table: &mut Table, clips: &Clips) -> anyhow::Result<()> {
    let clip = clips.own(Shot::Lawn, Encoding::Crf)?;
    let specs = (0..CAMERAS).map(|n| CameraSpec::new(n.to_string(), Arc::clone(&clip))).collect();
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), specs).await?;
    let bare = sessions::measured_of(StreamSource::Retina, &simulator.url(""), CAMERAS).await?;
    simulator.shutdown().await;
    let cameras = town::cameras("r", &[clip], CAMERAS, |_| "health = []\n".to_owned());
    let services = town::start(vec![(cameras, ON)]).await?;
    let spent = town::measure(&services, SETTLE, MEASURED).await?.remove(0);
    town::stop(services).await?;
    let node = spent.by_role.get("node").copied().unwrap_or_default() / spent.seconds / CAMERAS as f64;
    let node = node * 100.0;
    table.note(
        &format!(
            "a session at rest in the node (ring, encoded tier, nothing to look for): of a core, of {CAMERAS}"
        ),
        format!(
            "{node:.3} %; receiving and parsing alone {:.3} %, at {HZ} units a second: {:.2} times",
            bare.core_percent,
            node / bare.core_percent.max(1e-9)
        ),
    );
    table.note("the whole service then: of a core, a camera", spent.told(CAMERAS));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_by_kinds_of_objects() {
        let report = "
    61.20%  libonnxruntime.so.1.22
    12.00%  libavcodec.so.59.37
     3.00%  libavutil.so.57
     8.50%  xueliang
     7.25%  [kernel.kallsyms]
     0.05%  [vdso]
";
        let shares = shares(report);
        assert_eq!(shares[0], ("ONNX Runtime".to_owned(), 61.2));
        assert_eq!(shares[1], ("the decoder's libraries".to_owned(), 15.0));
        assert!(shares.contains(&("our own code".to_owned(), 8.5)));
        assert_eq!(shares.last().unwrap().0, "others");
    }
}
