//! Real footage as cameras send it: scaled, under the noise of a sensor, encoded in two ways. Encoded once, into `.cache`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context, ensure};
use xueliang_simulator::Clip;

use crate::{bench::Table, repository};

/// Pictures a second, and from keyframe to keyframe.
pub(super) const HZ: u32 = 15;
const GROUP: u32 = 30;
/// The noise that is added to each picture, as ffmpeg's filter counts it.
const NOISE: u32 = 6;
/// In the names of files: raised when anything here changes what they hold.
const EDITION: u32 = 1;

/// How a camera encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Encoding {
    /// Constant quality: little where nothing moves.
    Crf,
    /// Constant rate, as most cameras are set.
    Cbr,
}

impl Encoding {
    pub(super) const ALL: [Encoding; 2] = [Encoding::Crf, Encoding::Cbr];
    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Crf => "CRF 23",
            Encoding::Cbr => "CBR 2 Mbit/s",
        }
    }
    fn word(self) -> &'static str {
        match self {
            Encoding::Crf => "crf",
            Encoding::Cbr => "cbr",
        }
    }
    fn options(self) -> &'static [&'static str] {
        match self {
            Encoding::Crf => &["-crf", "23"],
            Encoding::Cbr => &["-b:v", "2M", "-maxrate", "2M", "-bufsize", "2M"],
        }
    }
}

/// What a camera shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shot {
    /// The lawn of `vtest.avi`, where nobody walks for 52 s.
    Lawn,
    /// The same, and then two people walk over it.
    Crossed,
    /// The same, and after half a minute a van and a bag stand on it, cut from the same footage.
    Littered,
    /// The same, in the dark.
    Dark,
    /// All of `vtest.avi`: somebody walks all the time.
    Campus,
    /// `tree.avi` before the hand: a tree in the wind.
    Tree,
    /// A lobby that people enter one by one.
    Lobby,
    /// A motorway with somebody on its hard shoulder.
    Motorway,
}

impl Shot {
    /// What the quiet and the mixed town show.
    pub(super) const QUIET: [Shot; 3] = [Shot::Lawn, Shot::Tree, Shot::Campus];
    pub(super) const ALL: [Shot; 8] = [
        Shot::Lawn,
        Shot::Crossed,
        Shot::Littered,
        Shot::Dark,
        Shot::Campus,
        Shot::Tree,
        Shot::Lobby,
        Shot::Motorway,
    ];
    /// For rows.
    pub(super) fn name(self) -> &'static str {
        match self {
            Shot::Lawn => "lawn of vtest.avi",
            Shot::Crossed => "lawn of vtest.avi, crossed",
            Shot::Littered => "lawn of vtest.avi, a van and a bag put there",
            Shot::Dark => "lawn of vtest.avi, darkened",
            Shot::Campus => "vtest.avi",
            Shot::Tree => "tree.avi",
            Shot::Lobby => "lobby",
            Shot::Motorway => "motorway",
        }
    }
    fn word(self) -> &'static str {
        match self {
            Shot::Lawn => "lawn",
            Shot::Crossed => "crossed",
            Shot::Littered => "littered",
            Shot::Dark => "dark",
            Shot::Campus => "campus",
            Shot::Tree => "tree",
            Shot::Lobby => "lobby",
            Shot::Motorway => "motorway",
        }
    }
    /// Its footage; `None` where that is not here.
    fn file(self) -> Option<PathBuf> {
        let own = |name: &str| Some(repository().join(".cache/footage").join(name));
        let developers = |name: &str| {
            let data = PathBuf::from(std::env::var_os("XUELIANG_DEV_DATA")?);
            Some(data.join("clips").join(name)).filter(|file| file.is_file())
        };
        match self {
            Shot::Lawn | Shot::Crossed | Shot::Littered | Shot::Dark | Shot::Campus => own("vtest.avi"),
            Shot::Tree => own("tree.avi"),
            Shot::Lobby => developers("intel_one-by-one-person_CCBY4.mp4"),
            Shot::Motorway => developers("highway_pedestrian_bgslibrary_video02.avi"),
        }
    }
    /// From the footage to 1280 by 720 pixels, before the noise.
    fn filter(self) -> &'static str {
        match self {
            Shot::Lawn => "trim=0:52,crop=384:216:0:352,scale=1280:720,fps=15",
            Shot::Crossed => "crop=384:216:0:352,scale=1280:720,fps=15",
            // The lawn is shown twice over.
            Shot::Littered => {
                "trim=0:52,loop=loop=1:size=520:start=0,setpts=N/10/TB,split=3[a][b][c];\
                 [a]crop=384:216:0:352,scale=1280:720[lawn];\
                 [b]crop=76:56:644:42,scale=304:224[van];\
                 [c]crop=30:20:324:449,scale=100:66[bag];\
                 [lawn][van]overlay=90:120:enable='gte(t,30)'[parked];\
                 [parked][bag]overlay=760:330:enable='gte(t,30)',fps=15"
            }
            Shot::Dark => "trim=0:10,crop=384:216:0:352,scale=1280:720,fps=15,lutyuv=y=16+val/20:u=128:v=128",
            Shot::Campus => "scale=1280:960,crop=1280:720:0:0,fps=15",
            Shot::Tree => "trim=0:22,scale=1280:960,crop=1280:720:0:120,fps=15",
            Shot::Lobby => "scale=1280:720,fps=15",
            Shot::Motorway => "scale=1280:960,crop=1280:720:0:240,fps=15",
        }
    }
}

/// All that could be prepared.
pub(super) struct Clips(BTreeMap<(Shot, Encoding), Arc<Clip>>);

impl Clips {
    /// The clip; `None` where its footage is not here.
    pub(super) fn get(&self, shot: Shot, encoding: Encoding) -> Option<Arc<Clip>> {
        self.0.get(&(shot, encoding)).cloned()
    }
    /// A clip whose footage the project fetches itself.
    pub(super) fn own(&self, shot: Shot, encoding: Encoding) -> anyhow::Result<Arc<Clip>> {
        self.get(shot, encoding).with_context(|| format!("{} is not prepared: run `make setup`", shot.name()))
    }
}

/// Bits a second of a clip, in millions.
pub(super) fn mbit_s(clip: &Clip) -> f64 {
    let bytes: usize = clip.units().iter().map(|unit| unit.data.len()).sum();
    bytes as f64 * 8e-6 / clip.duration().as_secs_f64()
}

/// Encodes what of these is not in the cache yet.
pub(super) fn prepare(table: &mut Table, shots: &[Shot]) -> anyhow::Result<Clips> {
    let folder = repository().join(".cache/attention");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mut clips = BTreeMap::new();
    for shot in shots.iter().copied() {
        let Some(file) = shot.file() else {
            table.no_data(&format!("footage: {}", shot.name()), "-");
            continue;
        };
        for encoding in Encoding::ALL {
            let path = folder.join(format!("{}-{}-{EDITION}@{HZ}fps.h264", shot.word(), encoding.word()));
            if !path.is_file() {
                encode(&file, shot, encoding, &path)?;
            }
            let clip = Clip::load(&path, None).with_context(|| format!("load {}", path.display()))?;
            clips.insert((shot, encoding), clip);
        }
    }
    let rate = |shot| {
        let of = |encoding| clips.get(&(shot, encoding)).map_or(0.0, |clip| mbit_s(clip));
        format!("{} {:.1} and {:.1}", Shot::name(shot), of(Encoding::Crf), of(Encoding::Cbr))
    };
    table.note(
        "cameras",
        format!(
            "H.264 1280x720 at {HZ} a second, a keyframe every {} s, real footage scaled up with noise of {NOISE} added; \
             Mbit/s by {} and {}: {}",
            GROUP / HZ,
            Encoding::Crf.name(),
            Encoding::Cbr.name(),
            Shot::QUIET.map(rate).join(", ")
        ),
    );
    Ok(Clips(clips))
}

fn encode(file: &Path, shot: Shot, encoding: Encoding, path: &Path) -> anyhow::Result<()> {
    let filter = format!("{},noise=alls={NOISE}:allf=t,format=yuv420p", shot.filter());
    // Whoever is ended in the middle leaves no clip behind that looks whole.
    let part = path.with_extension("part.h264");
    let group = GROUP.to_string();
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(file)
        .args(["-an", "-vf", &filter, "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main"])
        .args(["-bf", "0", "-g", &group, "-x264-params", "scenecut=0:aud=1"])
        .args(encoding.options())
        .arg(&part)
        .output()
        .context("run ffmpeg: tools/setup.sh --tests installs it")?;
    ensure!(
        output.status.success(),
        "encode {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&part, path).with_context(|| format!("rename {}", part.display()))
}
