//! Recordings as access units and pictures, dated from a start that the caller gives.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Duration,
};

use xueliang_base::{
    picture::Picture,
    time::{Mono, Wall},
    unit::{AccessUnit, Codec},
};

use crate::gst::clip::{Container, Reader, Sample};
use crate::gst::decode::{Coding, Engine, Feed};
use crate::{
    Error,
    decode::{DecodeLimits, Want},
    nal::{Completed, Keyframes},
};

/// Largest picture of a recording; 4K in either orientation.
const LIMITS: DecodeLimits = DecodeLimits { max_width: 4096, max_height: 4096 };
/// Pictures a second of an elementary stream whose name says nothing.
const DEFAULT_HZ: f64 = 25.0;
/// Times in error never run away by more.
const MAX_HZ: f64 = 1000.0;

/// A footage file: MP4, MOV, Matroska or AVI, or an elementary stream (`.h264`, `.h265`, `.mjpeg`) whose name may say
/// its pictures a second, as `gate@10fps.h264`.
#[derive(Debug, Clone)]
pub struct Recording {
    path: PathBuf,
    container: Container,
    /// Time from picture to picture, where the file has no times.
    step: Option<Duration>,
}

impl Recording {
    /// Checks that the file is there and of a kind that can be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file_error = |source| Error::File { doing: "open", path: path.to_owned(), source };
        let found = std::fs::metadata(path).map_err(file_error)?;
        if !found.is_file() {
            return Err(Error::Footage { path: path.to_owned(), reason: "is not a file".to_owned() });
        }
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let container = match extension.as_str() {
            "mp4" | "mov" | "m4v" => Container::Mp4,
            "mkv" | "webm" => Container::Matroska,
            "avi" => Container::Avi,
            "h264" | "264" => Container::Raw(Codec::H264),
            "h265" | "265" | "hevc" => Container::Raw(Codec::H265),
            "mjpeg" | "mjpg" => Container::Raw(Codec::Mjpeg),
            _ => {
                let reason =
                    "is of a kind that is not read here: use .mp4, .mkv, .avi, .h264, .h265 or .mjpeg";
                return Err(Error::Footage { path: path.to_owned(), reason: reason.to_owned() });
            }
        };
        let step = matches!(container, Container::Raw(_)).then(|| Duration::from_secs_f64(1.0 / rate(path)));
        Ok(Self { path: path.to_owned(), container, step })
    }
    /// Its access units in order of decoding, numbered from 1. One that is shown after `t` arrives at `start + t`, but
    /// none before the one it follows. MPEG-4 part 2 has none; ask for its pictures.
    pub fn units(&self, start: Mono, start_wall: Wall) -> Result<Units, Error> {
        Ok(Units {
            path: self.path.clone(),
            reader: Reader::open(&self.path, self.container)?,
            step: self.step,
            start,
            start_wall,
            keyframes: Keyframes::default(),
            seq: 0,
            latest: Duration::ZERO,
        })
    }
    /// Its pictures in order of showing; the one shown after `t` arrives at `start + t`. The same file gives the same
    /// pictures each time.
    pub fn pictures(&self, start: Mono, start_wall: Wall) -> Result<Pictures, Error> {
        Ok(Pictures {
            reader: Reader::open(&self.path, self.container)?,
            step: self.step,
            start,
            start_wall,
            engine: None,
            ready: VecDeque::new(),
            seq: 0,
            shown: 0,
            ended: false,
        })
    }
}

/// Pictures a second by the file's name.
fn rate(path: &Path) -> f64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let said = stem.rsplit_once('@').and_then(|(_, rate)| rate.strip_suffix("fps")?.parse::<f64>().ok());
    said.filter(|hz| hz.is_finite() && *hz > 0.0).map_or(DEFAULT_HZ, |hz| hz.clamp(0.01, MAX_HZ))
}

/// Access units of a recording.
#[derive(Debug)]
pub struct Units {
    path: PathBuf,
    reader: Reader,
    step: Option<Duration>,
    start: Mono,
    start_wall: Wall,
    keyframes: Keyframes,
    seq: u64,
    latest: Duration,
}

impl Units {
    fn unit(&mut self, sample: &Sample) -> Result<AccessUnit, Error> {
        let codec = match sample.coding {
            Coding::H264 => Codec::H264,
            Coding::H265 => Codec::H265,
            Coding::Mjpeg => Codec::Mjpeg,
            Coding::Mpeg4 | Coding::MsMpeg4 => {
                let reason = "holds MPEG-4 part 2, of which only pictures are read here";
                return Err(Error::Footage { path: self.path.clone(), reason: reason.to_owned() });
            }
        };
        self.seq += 1;
        let at = shown_at(sample, self.step, self.seq - 1);
        self.latest = self.latest.max(at);
        let Completed { keyframe, data, .. } = self.keyframes.complete(codec, &sample.data);
        Ok(AccessUnit {
            seq: self.seq,
            codec,
            keyframe,
            discontinuity: self.seq == 1,
            pts_us: i64::try_from(at.as_micros()).ok(),
            arrival: self.start.plus(self.latest),
            arrival_wall: self.start_wall.plus(self.latest),
            camera_time: None,
            data,
        })
    }
}

impl Iterator for Units {
    type Item = Result<AccessUnit, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        let sample = match self.reader.next()? {
            Ok(sample) => sample,
            Err(error) => return Some(Err(error)),
        };
        Some(self.unit(&sample))
    }
}

fn shown_at(sample: &Sample, step: Option<Duration>, n: u64) -> Duration {
    let steps = u32::try_from(n).unwrap_or(u32::MAX);
    step.map(|step| step.saturating_mul(steps)).or(sample.pts).unwrap_or(Duration::ZERO)
}

/// Pictures of a recording.
#[derive(Debug)]
pub struct Pictures {
    reader: Reader,
    step: Option<Duration>,
    start: Mono,
    start_wall: Wall,
    engine: Option<(Coding, Engine)>,
    ready: VecDeque<Picture>,
    seq: u64,
    shown: u64,
    ended: bool,
}

impl Pictures {
    fn feed(&mut self, sample: &Sample) -> Result<(), Error> {
        let engine = match &mut self.engine {
            Some((coding, engine)) if *coding == sample.coding => engine,
            engine => {
                &mut engine.insert((sample.coding, Engine::build(sample.coding, LIMITS, sample.caps())?)).1
            }
        };
        self.seq += 1;
        let at = shown_at(sample, self.step, self.seq - 1);
        engine.want(Want::All);
        let fed = engine.feed(&Feed {
            seq: self.seq,
            discontinuity: self.seq == 1,
            arrival: self.start.plus(at),
            arrival_wall: self.start_wall.plus(at),
            camera_time: None,
            data: sample.data.clone(),
        });
        self.ready.extend(engine.collect()?);
        Ok(fed?)
    }
    fn finish(&mut self) -> Result<(), Error> {
        if let Some((_, engine)) = &mut self.engine {
            engine.want(Want::All);
            engine.finish();
            self.ready.extend(engine.collect()?);
        }
        Ok(())
    }
    /// Pictures of a file without times come evenly, in order of showing.
    fn date(&mut self, mut picture: Picture) -> Picture {
        if let Some(step) = self.step {
            let at = step.saturating_mul(u32::try_from(self.shown).unwrap_or(u32::MAX));
            picture.arrival = self.start.plus(at);
            picture.arrival_wall = self.start_wall.plus(at);
        }
        self.shown += 1;
        picture
    }
}

impl Iterator for Pictures {
    type Item = Result<Picture, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(picture) = self.ready.pop_front() {
                return Some(Ok(self.date(picture)));
            }
            if self.ended {
                return None;
            }
            let step = match self.reader.next() {
                Some(Ok(sample)) => self.feed(&sample),
                Some(Err(error)) => Err(error),
                None => {
                    self.ended = true;
                    self.finish()
                }
            };
            if let Err(error) = step {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }
}
