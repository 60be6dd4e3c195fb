//! Footage: access units to files, as evidence, and files to access units and pictures, for replay.
//!
//! Written are the camera's own access units, never re-encoded: MP4 for H.264 and H.265, Matroska for MJPEG. A file
//! holds one uninterrupted stretch; where units are missing, time jumps or the encoding changes, the next file begins
//! ([`Segment`]), so that no player shows a gap as if it had been watched. Times inside a file start at zero; when its
//! first picture arrived stands in [`Segment::start_wall`].

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};
use xueliang_base::{
    time::Wall,
    unit::{AccessUnit, Codec},
};

use crate::gst::clip as media;
use crate::{Error, nal};

mod recording;
#[cfg(test)]
mod tests;

pub use recording::{Pictures, Recording, Units};

/// A longer time without a unit ends a file.
const GAP: Duration = Duration::from_secs(1);
/// How long the last unit of a file is shown, where it stands alone.
const LONE: Duration = Duration::from_millis(40);

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipInfo {
    /// The files, in order of time.
    pub segments: Vec<Segment>,
    /// Bytes of all files.
    pub bytes: u64,
    /// SHA-256 of all files' bytes, one after the other.
    pub sha256: [u8; 32],
}

/// One file of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// Arrival of its first unit.
    pub start_wall: Wall,
    /// Arrival of its last unit.
    pub end_wall: Wall,
    /// Units in it.
    pub units: usize,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

/// Writes units to `path`, and, where they do not hang together, to `path` with `-1`, `-2`, … before its extension.
/// For MJPEG the extension becomes `mkv`. Units before a stretch's first keyframe are left out. Blocks; takes a few
/// milliseconds a megabyte.
pub fn write_mp4(units: &[AccessUnit], path: &Path) -> Result<ClipInfo, Error> {
    let stretches = stretches(units);
    if stretches.is_empty() {
        return Err(Error::EmptyClip { units: units.len() });
    }
    let mut whole = Sha256::new();
    let mut segments = Vec::with_capacity(stretches.len());
    for (n, stretch) in stretches.into_iter().enumerate() {
        let path = path_of(path, n, stretch[0].codec);
        media::write(stretch, &times(stretch), &path)?;
        let mut one = Sha256::new();
        let bytes = read(&path, |part| {
            one.update(part);
            whole.update(part);
        })
        .map_err(|source| Error::File { doing: "read back", path: path.clone(), source })?;
        segments.push(Segment {
            path,
            start_wall: stretch[0].arrival_wall,
            end_wall: stretch[stretch.len() - 1].arrival_wall,
            units: stretch.len(),
            bytes,
            sha256: one.finalize().into(),
        });
    }
    let bytes = segments.iter().map(|segment| segment.bytes).sum();
    Ok(ClipInfo { segments, bytes, sha256: whole.finalize().into() })
}

fn path_of(path: &Path, n: usize, codec: Codec) -> PathBuf {
    let extension = match codec {
        Codec::Mjpeg => "mkv",
        _ => path.extension().and_then(|extension| extension.to_str()).unwrap_or("mp4"),
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = if n == 0 { format!("{stem}.{extension}") } else { format!("{stem}-{n}.{extension}") };
    path.with_file_name(name)
}

fn read(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.sync_all()?;
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(bytes),
            n => {
                take(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// Cuts units into stretches that begin with a keyframe and have no gap, change of encoding or of size.
fn stretches(units: &[AccessUnit]) -> Vec<&[AccessUnit]> {
    let mut stretches = Vec::new();
    let mut start = None;
    let mut size = None;
    for (at, unit) in units.iter().enumerate() {
        let announced = nal::survey(unit.codec, &unit.data).largest;
        let resized = announced.is_some() && size.is_some() && announced != size;
        let breaks = at > 0 && {
            let before = &units[at - 1];
            unit.discontinuity
                || unit.codec != before.codec
                || unit.seq != before.seq + 1
                || unit.arrival.since(before.arrival) > GAP
        };
        size = announced.or(size);
        if breaks || resized {
            stretches.extend(start.take().map(|start| &units[start..at]));
        }
        if unit.keyframe {
            start.get_or_insert(at);
        }
    }
    stretches.extend(start.map(|start| &units[start..]));
    stretches
}

/// When a unit is shown and decoded, and for how long, in nanoseconds from the start of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) pts: u64,
    pub(crate) dts: u64,
    pub(crate) duration: u64,
}

/// Times by the camera's media clock where it is sane, otherwise by arrival.
fn times(units: &[AccessUnit]) -> Vec<Timing> {
    let arrival: Vec<_> = units.iter().map(|unit| unit.arrival.since(units[0].arrival)).collect();
    let media: Option<Vec<i64>> = units.iter().map(|unit| unit.pts_us).collect();
    let lone = u64::try_from(LONE.as_nanos()).unwrap_or(u64::MAX);
    let (mut shown, by_media) = match media.as_deref().and_then(|pts| sane(pts, &arrival)) {
        Some(shown) => (shown, true),
        None => (arrival.iter().map(|at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)).collect(), false),
    };
    if !by_media {
        // Bursts arrive at once; players want time to pass.
        for at in 1..shown.len() {
            shown[at] = shown[at].max(shown[at - 1] + 1_000_000);
        }
    }
    let mut order = shown.clone();
    order.sort_unstable();
    // Decoding times rise with each unit; showing times come late enough to lie behind them.
    let late = order.iter().zip(&shown).map(|(dts, pts)| dts.saturating_sub(*pts)).max().unwrap_or(0);
    let duration = |at: usize| match order.get(at + 1) {
        Some(next) => next - order[at],
        None => at.checked_sub(1).map_or(lone, |before| order[at] - order[before]),
    };
    (0..units.len())
        .map(|at| Timing { pts: shown[at] + late, dts: order[at], duration: duration(at) })
        .collect()
}

/// Presentation times from zero, unless they repeat or run otherwise than the units arrived.
fn sane(pts_us: &[i64], arrival: &[Duration]) -> Option<Vec<u64>> {
    let (min, max) = (*pts_us.iter().min()?, *pts_us.iter().max()?);
    let span_us = max.checked_sub(min)?.unsigned_abs();
    let arrived_us = u64::try_from(arrival.last()?.as_micros()).ok()?;
    let mut sorted = pts_us.to_vec();
    sorted.sort_unstable();
    let repeats = sorted.windows(2).any(|pair| pair[0] == pair[1]);
    let off = span_us.abs_diff(arrived_us) > 1_000_000 + arrived_us / 10;
    (!repeats && !off).then(|| pts_us.iter().map(|pts| (pts - min).unsigned_abs() * 1_000).collect())
}
