//! Quantisers as read from slice headers, against ffmpeg's own reading of the same bytes, for what encoders can be
//! asked for: reordered pictures, weights, many references, interlacing, slices, scaling lists, temporal layers, filler.

use std::{collections::BTreeSet, path::Path, process::Command};

use xueliang_base::time::{Mono, Wall};
use xueliang_ingest::{activity::Reader, clip::Recording};

const X264: [&str; 7] = [
    "bframes=0:ref=1:keyint=20",
    "bframes=3:b-pyramid=normal:ref=6:weightp=2:weightb=1:keyint=30",
    "cabac=0:bframes=2:ref=3:keyint=25:slices=4",
    "interlaced=1:bframes=2:ref=4:keyint=20",
    "intra-refresh=1:keyint=40:bframes=0",
    "keyint=1",
    "cqm=jvt:8x8dct=1:keyint=30:nal-hrd=cbr:vbv-maxrate=400:vbv-bufsize=400:bitrate=400:filler=1",
];
const X265: [&str; 6] = [
    "bframes=0:ref=1:keyint=20",
    "bframes=4:b-pyramid=1:ref=5:weightp=1:weightb=1:keyint=30",
    "b-intra=1:bframes=2:ref=3:keyint=25:slices=2:open-gop=1",
    "scaling-list=default:sao=0:keyint=30:temporal-layers=3:bframes=3",
    "intra-refresh=1:keyint=40:bframes=0:amp=1:rect=1",
    "keyint=1:strong-intra-smoothing=0:bitrate=800",
];

fn ffmpeg(arguments: &[&str]) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "verbose", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg runs: tools/setup.sh --tests installs it");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ffmpeg {arguments:?}: {said}");
    said
}

/// A fade over moving shapes and noise, so that weights are used.
fn encode(path: &str, codec: &str, option: &str, parameters: &str) {
    let scene = "testsrc2=size=176x144:rate=25:duration=2,noise=alls=8:allf=t,fade=t=in:d=1,format=yuv420p";
    ffmpeg(&[
        "-f", "lavfi", "-i", scene, "-c:v", codec, "-threads", "1", "-preset", "fast", option, parameters,
        path,
    ]);
}

/// SliceQPY of the first slice of each packet.
fn told_by_ffmpeg(path: &str) -> Vec<i32> {
    let said = ffmpeg(&["-i", path, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]);
    let (mut initial, mut found, mut open) = (26, Vec::new(), false);
    for line in said.lines() {
        let value = || line.rsplit("= ").next().and_then(|value| value.trim().parse::<i32>().ok());
        if line.contains("Packet: ") {
            open = true;
        } else if line.contains("init_qp_minus26 ") {
            initial = 26 + value().expect("a number");
        } else if line.contains("slice_qp_delta ") && std::mem::take(&mut open) {
            found.push(initial + value().expect("a number"));
        }
    }
    found
}

fn read_here(path: &Path) -> Vec<Option<i32>> {
    xueliang_ingest::init().expect("GStreamer starts");
    let mut reader = Reader::default();
    let units =
        Recording::open(path).and_then(|recording| recording.units(Mono(1), Wall(0))).expect("it opens");
    units.map(|unit| reader.read(&unit.expect("a unit")).qp.map(i32::from)).collect()
}

#[test]
fn quantisers_are_those_that_ffmpeg_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let x264 = X264.map(|parameters| ("libx264", "-x264-params", parameters));
    let x265 = X265.map(|parameters| ("libx265", "-x265-params", parameters));
    let cases = x264.into_iter().chain(x265);
    let mut distinct = BTreeSet::new();
    for (n, (codec, option, parameters)) in cases.enumerate() {
        let path = folder.path().join(format!("{n}.mp4"));
        let shown = path.to_str().expect("text");
        encode(shown, codec, option, parameters);
        let told = told_by_ffmpeg(shown);
        let read = read_here(&path);
        assert!(told.len() >= 45, "{codec} {parameters}: {} packets", told.len());
        distinct.extend(told.iter().copied());
        let told: Vec<Option<i32>> = told.into_iter().map(Some).collect();
        assert_eq!(read, told, "{codec} {parameters}");
    }
    assert!(distinct.len() > 10, "a constant proves nothing: {distinct:?}");
}
