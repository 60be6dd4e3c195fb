//! Footage as cameras send it: the campus of the tests, scaled to 720 and 1080 lines, in three encodings.

use std::{path::Path, process::Command, sync::Arc};

use anyhow::{Context, ensure};
use bytes::Bytes;
use xueliang_base::{
    time::{Mono, Wall},
    unit::{AccessUnit, Codec},
};
use xueliang_simulator::Clip;

use crate::repository;

/// Pictures of each clip, and of a group.
const PICTURES: usize = 100;
const GROUP: usize = 50;

/// One clip.
pub(in crate::bench) struct Footage {
    pub(super) codec: Codec,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) hz: u32,
    pub(super) clip: Arc<Clip>,
    /// Its units as a session delivers them.
    pub(in super::super) units: Vec<AccessUnit>,
}

impl Footage {
    /// The first units of a clip of H.264, as its camera sends them.
    pub(in crate::bench) fn of(clip: &Arc<Clip>, hz: u32) -> anyhow::Result<Self> {
        ensure!(clip.codec() == xueliang_simulator::clip::Codec::H264, "H.264 is measured here");
        let mut units = units(clip, Codec::H264);
        units.truncate(PICTURES);
        let (width, height) = (clip.width(), clip.height());
        Ok(Self { codec: Codec::H264, width, height, hz, clip: Arc::clone(clip), units })
    }
}

/// Encodes all of them into a folder.
pub(super) fn clips(folder: &Path) -> anyhow::Result<Vec<Footage>> {
    let mut all = Vec::new();
    for (width, height, kbit_s) in [(1280, 720, 2000), (1920, 1080, 4000)] {
        for codec in [Codec::H264, Codec::H265, Codec::Mjpeg] {
            all.push(clip(folder, codec, width, height, kbit_s)?);
        }
    }
    Ok(all)
}

/// The campus, encoded in that way.
pub(in super::super) fn clip(
    folder: &Path,
    codec: Codec,
    width: u32,
    height: u32,
    kbit_s: u32,
) -> anyhow::Result<Footage> {
    let (ending, encoder) = match codec {
        Codec::H264 => (
            "h264",
            format!(
                "x264enc bitrate={kbit_s} speed-preset=veryfast bframes=0 key-int-max={GROUP} aud=true \
                 option-string=scenecut=0 ! video/x-h264,profile=main,stream-format=byte-stream"
            ),
        ),
        Codec::H265 => (
            "h265",
            format!(
                "x265enc bitrate={kbit_s} speed-preset=veryfast log-level=none key-int-max={GROUP} \
                 option-string=bframes=0:scenecut=0:open-gop=0:aud=1:repeat-headers=1 ! h265parse ! \
                 video/x-h265,profile=main,stream-format=byte-stream,alignment=au"
            ),
        ),
        Codec::Mjpeg => ("mjpeg", "jpegenc quality=80".to_owned()),
    };
    let path = folder.join(format!("{height}@25fps.{ending}"));
    let footage = repository().join(".cache/footage/vtest.avi");
    let pipeline = format!(
        "filesrc location={} ! avidemux ! avdec_msmpeg4 ! videoconvert ! videoscale ! \
         video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1 ! identity eos-after={PICTURES} ! \
         {encoder} ! filesink location={}",
        footage.display(),
        path.display()
    );
    let output = Command::new("gst-launch-1.0").arg("-q").args(pipeline.split_whitespace()).output();
    let output = output.context("run gst-launch-1.0: `make setup` installs it")?;
    ensure!(
        output.status.success(),
        "encode {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let clip = Clip::load(&path, None).with_context(|| format!("load {}", path.display()))?;
    ensure!((clip.width(), clip.height()) == (width, height), "{} has another size", path.display());
    let units = units(&clip, codec);
    ensure!(units.len() > GROUP, "{} holds {} units", path.display(), units.len());
    Ok(Footage { codec, width, height, hz: 25, clip, units })
}

/// Keyframes carry their parameter sets, as sessions deliver them.
fn units(clip: &Clip, codec: Codec) -> Vec<AccessUnit> {
    let sets = clip.parameter_sets();
    let parameters: Vec<u8> = [&sets.vps, &sets.sps, &sets.pps]
        .into_iter()
        .flatten()
        .flat_map(|nal| [&[0, 0, 0, 1], &nal[..]].concat())
        .collect();
    let unit = |(seq, unit): (u64, &xueliang_simulator::clip::AccessUnit)| AccessUnit {
        seq,
        codec,
        keyframe: unit.keyframe,
        discontinuity: seq == 1,
        pts_us: None,
        arrival: Mono(seq * 40_000_000),
        arrival_wall: Wall(0),
        camera_time: None,
        data: if unit.keyframe {
            Bytes::from([&parameters, &unit.data[..]].concat())
        } else {
            unit.data.clone()
        },
    };
    (1..).zip(clip.units()).map(unit).collect()
}
