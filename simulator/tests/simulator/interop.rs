//! Other people's clients: GStreamer's `rtspsrc`, and ffmpeg.

use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;
use tokio::time::timeout;
use xueliang_simulator::{Account, CameraSpec, Clip};

use crate::{PATIENCE, clips, start};

/// Runs a program to its end; gives what it printed as its result. What it said besides is told when it fails.
async fn run(program: &str, arguments: &str) -> Result<String, String> {
    let child = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, child).await.map_err(|_| "still running".to_owned())?;
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&[output.stdout, output.stderr].concat()))
    }
}

fn codecs() -> [(Arc<Clip>, &'static str); 4] {
    [
        (clips::plain(), "rtph264depay ! h264parse ! avdec_h264"),
        (clips::reordered(), "rtph264depay ! h264parse ! avdec_h264"),
        (clips::h265(), "rtph265depay ! h265parse ! avdec_h265"),
        (clips::jpeg(), "rtpjpegdepay ! jpegdec"),
    ]
}

#[tokio::test]
async fn gstreamer_plays_every_codec() {
    let checks = codecs().map(|(clip, decode)| tokio::spawn(check_with_gstreamer(clip, decode)));
    for check in checks {
        check.await.unwrap();
    }
}

async fn check_with_gstreamer(clip: Arc<Clip>, decode: &str) {
    let spec = CameraSpec::new("gate", clip).account(Account::new("admin", "right"));
    let simulator = start(vec![spec]).await;
    // Without `protocols=tcp` it asks for UDP first, is refused, and comes back with TCP.
    let pipeline = format!(
        "-v rtspsrc location={} user-id=admin user-pw=right latency=0 ! {decode} ! \
         video/x-raw,width=320,height=240 ! fakesink num-buffers=15 sync=false silent=false",
        simulator.url("gate")
    );
    let printed = run("gst-launch-1.0", &pipeline).await.unwrap();
    let pictures = printed.lines().filter(|line| line.contains("last-message = chain")).count();
    assert_eq!(pictures, 15, "{decode}: {printed}");
    simulator.shutdown().await;
}

#[tokio::test]
async fn ffprobe_reads_every_codec_with_pictures_evenly_in_time() {
    let checks = codecs().map(|(clip, _)| tokio::spawn(check_with_ffprobe(clip)));
    for check in checks {
        check.await.unwrap();
    }
}

async fn check_with_ffprobe(clip: Arc<Clip>) {
    let codec = clip.codec();
    let simulator = start(vec![CameraSpec::new("gate", clip)]).await;
    let arguments = format!(
        "-v warning -rtsp_transport tcp -analyzeduration 500000 -read_intervals %+#20 \
             -show_entries frame=pts,width,height -of csv=p=0 {}",
        simulator.url("gate")
    );
    let printed = run("ffprobe", &arguments).await.unwrap();
    let mut times = Vec::new();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        // ffmpeg has no time for a session's first picture.
        let fields: Vec<&str> = line.split(',').collect();
        assert!(fields.contains(&"320") && fields.contains(&"240"), "{codec:?}: {printed}");
        times.extend(fields[0].parse::<i64>().ok());
    }
    // The last pictures may be cut off from those they were decoded before.
    let even = times.windows(2).take_while(|pair| pair[1] - pair[0] == 4500).count();
    assert!(even >= 12, "{codec:?}: {times:?}");
    simulator.shutdown().await;
}
