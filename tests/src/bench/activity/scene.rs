//! Footage, encoded as cameras do, and when something moves in it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use xueliang_base::{
    time::{Mono, Wall},
    unit::AccessUnit,
};
use xueliang_ingest::clip::Recording;

use crate::repository;

/// A clip, and where it is held still: the picture counted there is repeated so often, under fresh noise. That makes
/// stillness certain, which real footage hardly has.
pub struct Scene {
    pub name: &'static str,
    pub hz: f64,
    file: &'static str,
    rate: &'static str,
    width: u32,
    holds: &'static [(u32, u32)],
    /// Lies in the folder that `XUELIANG_DEV_DATA` names.
    developers: bool,
}

pub const SCENES: [Scene; 6] = [
    Scene {
        name: "vtest, held",
        file: "vtest.avi",
        rate: "10",
        hz: 10.0,
        width: 640,
        holds: &[(100, 120), (200, 150), (300, 100), (400, 150), (500, 120), (600, 150), (700, 150)],
        developers: false,
    },
    Scene {
        name: "tree, held",
        file: "tree.avi",
        rate: "10",
        hz: 10.0,
        width: 320,
        holds: &[(60, 150), (120, 150), (180, 150), (240, 150)],
        developers: false,
    },
    Scene {
        name: "bikes, held",
        file: "bikes.mp4",
        rate: "25",
        hz: 25.0,
        width: 640,
        holds: &[(50, 200), (110, 250), (170, 200), (220, 250)],
        developers: false,
    },
    Scene {
        name: "lobby",
        file: "intel_one-by-one-person_CCBY4.mp4",
        rate: "10",
        hz: 10.0,
        width: 640,
        holds: &[],
        developers: true,
    },
    Scene {
        name: "cars from above",
        file: "intel_car-detection_CCBY4.mp4",
        rate: "25/2",
        hz: 12.5,
        width: 640,
        holds: &[],
        developers: true,
    },
    Scene {
        name: "highway, held",
        file: "highway_pedestrian_bgslibrary_video02.avi",
        rate: "25",
        hz: 25.0,
        width: 320,
        holds: &[(150, 300), (300, 400), (450, 300), (600, 300)],
        developers: true,
    },
];

/// How a scene is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Encoding {
    pub name: &'static str,
    codec: &'static str,
    /// Pictures from keyframe to keyframe.
    group: u32,
    /// Constant quality, or 800 kbit/s for 640 pixels of width with a buffer of one second.
    quality: Option<u32>,
    noise: u32,
}

pub const ENCODINGS: [Encoding; 6] = [
    Encoding {
        name: "H.264 constant quality, group 30",
        codec: "libx264",
        group: 30,
        quality: Some(26),
        noise: 5,
    },
    Encoding { name: "H.264 constant rate, group 30", codec: "libx264", group: 30, quality: None, noise: 5 },
    Encoding {
        name: "H.264 constant rate, group 400",
        codec: "libx264",
        group: 400,
        quality: None,
        noise: 5,
    },
    Encoding {
        name: "H.265 constant quality, group 400",
        codec: "libx265",
        group: 400,
        quality: Some(28),
        noise: 5,
    },
    Encoding { name: "H.265 constant rate, group 30", codec: "libx265", group: 30, quality: None, noise: 5 },
    Encoding { name: "MJPEG", codec: "mjpeg", group: 1, quality: Some(5), noise: 5 },
];

/// Thumbnail that changes are seen on.
const WIDTH: usize = 160;
const HEIGHT: usize = 90;
/// A block's side.
const BLOCK: usize = 5;
/// Mean change of a block's pixels, of 255, from which it has changed; sensor noise on such a thumbnail is below 1.
const CHANGED: u32 = 8;
/// Blocks of 576 that make a movement.
const MOVED: usize = 3;
/// Pictures are compared over this time.
const LAG_S: f64 = 0.4;

impl Scene {
    /// Its file; `None` where it is not here.
    pub fn file(&self) -> Option<PathBuf> {
        let folder = if self.developers {
            PathBuf::from(std::env::var_os("XUELIANG_DEV_DATA")?).join("clips")
        } else {
            repository().join(".cache/footage")
        };
        Some(folder.join(self.file)).filter(|file| file.is_file())
    }
    fn filter(&self) -> String {
        let mut filter = format!("fps={},scale={}:-2", self.rate, self.width);
        let mut inserted = 0;
        for (at, times) in self.holds {
            filter += &format!(",loop=loop={times}:size=1:start={},setpts=N/{}/TB", at + inserted, self.rate);
            inserted += times;
        }
        filter
    }
    /// Whether something moves, picture by picture.
    pub fn truth(&self, file: &Path) -> anyhow::Result<Vec<bool>> {
        let filter = format!("{},scale={WIDTH}:{HEIGHT}:flags=area,format=gray", self.filter());
        let pixels = ffmpeg(file, &["-vf", &filter, "-f", "rawvideo", "-"])?;
        let pictures: Vec<&[u8]> = pixels.chunks_exact(WIDTH * HEIGHT).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pictures")]
        let lag = (LAG_S * self.hz).round().max(1.0) as usize;
        let moved = |n: usize| changed_blocks(pictures[n], pictures[n.saturating_sub(lag)]) >= MOVED;
        Ok((0..pictures.len()).map(moved).collect())
    }
    /// Its access units in that encoding, made in `folder`.
    pub fn units(&self, file: &Path, encoding: Encoding, folder: &Path) -> anyhow::Result<Vec<AccessUnit>> {
        let filter = format!("{},noise=alls={}:allf=t,format=yuv420p", self.filter(), encoding.noise);
        let group = encoding.group.to_string();
        let mut options =
            vec!["-vf", &filter, "-threads", "1", "-c:v", encoding.codec, "-bf", "0", "-g", &group];
        let rate = format!("{}k", if self.width < 500 { 300 } else { 800 });
        let quality = encoding.quality.unwrap_or_default().to_string();
        match (encoding.quality, encoding.codec) {
            (Some(_), "mjpeg") => {
                options.extend(["-q:v", &quality, "-huffman", "default", "-pix_fmt", "yuvj420p"]);
            }
            (Some(_), _) => options.extend(["-crf", &quality]),
            (None, _) => options.extend(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate]),
        }
        match encoding.codec {
            "libx264" => options.extend(["-preset", "veryfast", "-x264-params", "scenecut=0"]),
            "libx265" => options.extend([
                "-preset",
                "superfast",
                "-x265-params",
                "log-level=none:scenecut=0:pools=none:frame-threads=1",
            ]),
            _ => {}
        }
        let path = folder.join(if encoding.codec == "mjpeg" { "scene.mkv" } else { "scene.mp4" });
        options.push(path.to_str().context("a path that is text")?);
        ffmpeg(file, &options)?;
        let units: Result<Vec<_>, _> = Recording::open(&path)?.units(Mono(1), Wall(0))?.collect();
        Ok(units?)
    }
}

fn changed_blocks(now: &[u8], before: &[u8]) -> usize {
    let mut changes = vec![0_u32; (WIDTH / BLOCK) * (HEIGHT / BLOCK)];
    for (at, (a, b)) in now.iter().zip(before).enumerate() {
        let (x, y) = (at % WIDTH / BLOCK, at / WIDTH / BLOCK);
        changes[y * (WIDTH / BLOCK) + x] += u32::from(a.abs_diff(*b));
    }
    let most = CHANGED * u32::try_from(BLOCK * BLOCK).unwrap_or(u32::MAX);
    changes.into_iter().filter(|change| *change >= most).count()
}

fn ffmpeg(file: &Path, options: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(file)
        .arg("-an")
        .args(options)
        .output()
        .context("run ffmpeg: tools/setup.sh --tests installs it")?;
    ensure!(output.status.success(), "ffmpeg {options:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}
