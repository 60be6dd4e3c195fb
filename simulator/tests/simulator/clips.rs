//! Small clips, encoded once by GStreamer and kept under `target/tmp`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use xueliang_simulator::{Clip, PictureRate};

/// H.264, 320x240, 20 pictures a second, a keyframe every 10, no B-frames.
pub fn plain() -> Arc<Clip> {
    h264("plain", 320, "ball", "key-int-max=10 bframes=0 speed-preset=ultrafast bitrate=300")
}

/// As [`plain`], of other pictures.
pub fn dark() -> Arc<Clip> {
    h264("dark", 320, "black", "key-int-max=10 bframes=0 speed-preset=ultrafast bitrate=300")
}

/// As [`plain`], 160 pixels wide.
pub fn small() -> Arc<Clip> {
    h264("small", 160, "ball", "key-int-max=10 bframes=0 speed-preset=ultrafast bitrate=300")
}

/// H.264 of I P B B P B B …, 13 pictures a group.
pub fn reordered() -> Arc<Clip> {
    let options = "key-int-max=13 bframes=2 b-adapt=false b-pyramid=false bitrate=300 option-string=scenecut=0:open-gop=0";
    h264("reordered", 320, "ball", options)
}

/// H.264 of noise, about 12 Mbit/s: fills a socket's buffers in a second or two.
pub fn heavy() -> Arc<Clip> {
    h264("heavy", 640, "snow", "key-int-max=10 bframes=0 speed-preset=ultrafast pass=quant quantizer=18")
}

/// H.265 with x265's B-pyramids.
pub fn h265() -> Arc<Clip> {
    encode(
        "h265@20fps.h265",
        &source(320, "ball"),
        "x265enc key-int-max=10 bitrate=300 option-string=open-gop=0:bframes=3 ! \
         video/x-h265,stream-format=byte-stream,alignment=au",
    )
}

/// H.265 whose groups of pictures are open, as x265 makes them when not told otherwise.
pub fn open_h265_path() -> PathBuf {
    path_of(
        "open@20fps.h265",
        &source(320, "ball"),
        "x265enc key-int-max=10 bitrate=300 option-string=open-gop=1:bframes=3 ! \
         video/x-h265,stream-format=byte-stream,alignment=au",
    )
}

/// Motion JPEG.
pub fn jpeg() -> Arc<Clip> {
    encode("jpeg@20fps.mjpeg", &source(320, "ball"), "jpegenc")
}

fn h264(name: &str, width: u32, pattern: &str, options: &str) -> Arc<Clip> {
    let encoder = format!("x264enc {options} ! video/x-h264,stream-format=byte-stream,alignment=au");
    encode(&format!("{name}@20fps.h264"), &source(width, pattern), &encoder)
}

fn source(width: u32, pattern: &str) -> String {
    let height = width * 3 / 4;
    format!(
        "videotestsrc num-buffers=40 pattern={pattern} ! \
         video/x-raw,format=I420,width={width},height={height},framerate=20/1"
    )
}

fn encode(name: &str, source: &str, encoder: &str) -> Arc<Clip> {
    let clip = Clip::load(&path_of(name, source, encoder), None).unwrap();
    assert_eq!(clip.rate(), PictureRate::from_hz(20.0).unwrap());
    clip
}

/// The clip's file, encoded unless it is there. Tests run side by side, in threads or processes, so the first to want a
/// clip locks it and encodes it for all, and a file appears whole or not at all.
fn path_of(name: &str, source: &str, encoder: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(name);
    let lock = File::create(folder.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !path.exists() {
        let unfinished = tempfile::NamedTempFile::new_in(folder).unwrap().into_temp_path();
        let pipeline = format!("-q {source} ! {encoder} ! filesink location={}", unfinished.display());
        let output = Command::new("gst-launch-1.0")
            .args(pipeline.split_whitespace())
            .output()
            .expect("gst-launch-1.0 runs: install gstreamer1.0-tools, -plugins-good, -bad and -ugly");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        unfinished.persist(&path).unwrap();
    }
    path
}
