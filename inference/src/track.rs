//! Objects over the pictures of one stream: ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by
//! Associating Every Detection Box", ECCV 2022), written from the paper's description.
//!
//! Detections of high score are associated with all tracks first, those of low score then with the tracks that are
//! left, both by overlap (IoU) of a constant-velocity Kalman prediction and an optimal assignment (Jonker and
//! Volgenant 1987, crate `lapjv`). Differences from the paper: time is in seconds, since looks come at uneven
//! intervals; meanings never mix; and a step over more than [`TrackParams::max_step`] is a *gap*: overlap then says
//! little about moving objects, so speeds are forgotten and [`Tracker::gap`] tells the rules.
//!
//! Ids live in memory for one stream. Nothing here compares looks of objects, and nothing must.

use std::{collections::VecDeque, time::Duration};

use xueliang_base::{
    detection::{Detection, Meaning},
    geometry::{Point, Rect},
    time::Mono,
};

mod filter;

use filter::BoxFilter;

/// Foot points kept of one track.
const PATH_POINTS: usize = 64;
/// Detections of one picture that are looked at, best first: bounds the assignment's cubic cost.
const MAX_DETECTIONS: usize = 256;

/// How tracks are made and kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackParams {
    /// Detections from this score on take part in the first association and may begin a track.
    pub high_score: f32,
    /// Detections from this score on may carry on a track.
    pub low_score: f32,
    /// Least overlap of the first association.
    pub high_iou: f32,
    /// Least overlap of the second association and of a track's second sighting.
    pub low_iou: f32,
    /// A track not seen for this long is forgotten.
    pub lost: Duration,
    /// A longer step is a gap.
    pub max_step: Duration,
    /// How far back a path reaches.
    pub path: Duration,
}

impl Default for TrackParams {
    /// Scores and overlaps of the paper's published settings; times from street cameras at 5 Hz.
    fn default() -> Self {
        Self {
            high_score: 0.5,
            low_score: 0.1,
            high_iou: 0.2,
            low_iou: 0.4,
            lost: Duration::from_secs(2),
            max_step: Duration::from_secs(1),
            path: Duration::from_secs(10),
        }
    }
}

/// Where a track stood at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathPoint {
    /// Arrival of the picture.
    pub at: Mono,
    /// Middle of the bottom edge.
    pub foot: Point,
}

/// One object of one stream.
#[derive(Debug, Clone)]
pub struct Track {
    /// Unique within this tracker's life; never leaves the process.
    pub id: u64,
    /// What it is.
    pub meaning: Meaning,
    /// Where it is, by the filter.
    pub rect: Rect,
    /// Score of its latest detection.
    pub score: f32,
    /// Time from its first to its latest detection.
    pub age: Duration,
    /// Where it stood, oldest first, detections only; a gap empties it.
    pub path: VecDeque<PathPoint>,
    /// Whether the latest picture shows it.
    pub matched_now: bool,
    first: Mono,
    last: Mono,
    filter: BoxFilter,
}

impl Track {
    fn begin(id: u64, at: Mono, detection: &Detection) -> Self {
        let mut track = Self {
            id,
            meaning: detection.meaning,
            rect: detection.rect,
            score: detection.score,
            age: Duration::ZERO,
            path: VecDeque::new(),
            matched_now: true,
            first: at,
            last: at,
            filter: BoxFilter::new(at, &detection.rect),
        };
        track.path.push_back(PathPoint { at, foot: detection.rect.foot() });
        track
    }
    fn take(&mut self, at: Mono, detection: &Detection, keep: Duration) {
        self.filter.update(&detection.rect);
        self.rect = self.filter.rect();
        self.score = detection.score;
        self.matched_now = true;
        self.last = at;
        self.age = at.since(self.first);
        // The raw foot, not the filtered one: the filter lags where an object begins to move.
        self.path.push_back(PathPoint { at, foot: detection.rect.foot() });
        while self.path.len() > PATH_POINTS
            || self.path.front().is_some_and(|p| at.since(p.at) > keep && self.path.len() > 1)
        {
            self.path.pop_front();
        }
    }
}

/// The objects of one stream.
#[derive(Debug, Clone)]
pub struct Tracker {
    params: TrackParams,
    tracks: Vec<Track>,
    /// Seen once only; a second sighting makes them tracks.
    fresh: Vec<Track>,
    last: Option<Mono>,
    next_id: u64,
    gap: bool,
}

impl Tracker {
    /// A tracker that knows nothing yet.
    pub fn new(params: TrackParams) -> Self {
        Self { params, tracks: Vec::new(), fresh: Vec::new(), last: None, next_id: 1, gap: true }
    }
    /// Memory taken beside its own, approximately.
    pub(crate) fn bytes(&self) -> usize {
        let points = self.tracks.iter().chain(&self.fresh).map(|track| track.path.capacity());
        (self.tracks.len() + self.fresh.len()) * size_of::<Track>()
            + points.sum::<usize>() * size_of::<PathPoint>()
    }
    /// Takes one picture's detections. A picture not later than the one before changes nothing.
    pub fn step(&mut self, at: Mono, detections: &[Detection]) -> &[Track] {
        if self.last.is_some_and(|last| at <= last) {
            return &self.tracks;
        }
        let first = self.last.is_none();
        self.gap = self.last.is_none_or(|last| at.since(last) > self.params.max_step);
        self.last = Some(at);
        let was_lost: Vec<bool> = self.tracks.iter().map(|track| !track.matched_now).collect();
        for track in self.tracks.iter_mut().chain(&mut self.fresh) {
            track.filter.predict(at, self.gap, !track.matched_now);
            track.rect = track.filter.rect();
            if self.gap {
                track.path.clear();
            }
            track.matched_now = false;
        }
        let (mut high, mut low) = self.split(detections);
        let p = self.params;

        let all: Vec<usize> = (0..self.tracks.len()).collect();
        let mut left = associate(&mut self.tracks, &all, &mut high, p.high_iou, at, p.path);
        // Low scores carry on only what was just seen: they are too often shadows and reflections.
        left.retain(|index| !was_lost[*index]);
        associate(&mut self.tracks, &left, &mut low, p.low_iou, at, p.path);

        let all: Vec<usize> = (0..self.fresh.len()).collect();
        associate(&mut self.fresh, &all, &mut high, p.low_iou.min(0.3), at, p.path);
        // Confirmed by a second sighting, or dropped.
        self.tracks.extend(self.fresh.drain(..).filter(|track| track.matched_now));
        for detection in high {
            let track = Track::begin(self.next_id, at, &detection);
            self.next_id += 1;
            // The first picture's objects need no confirmation: there was no earlier one to be seen in.
            if first { self.tracks.push(track) } else { self.fresh.push(track) }
        }
        // Where looks are rare, two missed looks are still allowed: a parked lorry flickers.
        self.tracks.retain(|track| track.matched_now || at.since(track.last) <= p.lost || self.gap);
        if self.gap {
            self.tracks.retain(|track| track.matched_now || at.since(track.last) <= p.lost * 4);
        }
        self.tracks.sort_by_key(|track| track.id);
        &self.tracks
    }
    /// The tracks as the last step left them, by id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }
    /// Whether the last step was too long (or the first): what moved cannot be told from what is new.
    pub fn gap(&self) -> bool {
        self.gap
    }
    /// Detections fit to be tracked, by high and low score, best first.
    fn split(&self, detections: &[Detection]) -> (Vec<Detection>, Vec<Detection>) {
        let mut usable: Vec<Detection> = detections
            .iter()
            .copied()
            .filter(|d| d.score >= self.params.low_score && d.rect.width() > 0.0 && d.rect.height() > 0.0)
            .collect();
        usable.sort_by(|a, b| b.score.total_cmp(&a.score));
        usable.truncate(MAX_DETECTIONS);
        usable.into_iter().partition(|d| d.score >= self.params.high_score)
    }
}

/// Gives `detections` to the tracks at `among`; what was given is taken out of `detections`. Returns the tracks left.
fn associate(
    tracks: &mut [Track],
    among: &[usize],
    detections: &mut Vec<Detection>,
    min_iou: f32,
    at: Mono,
    keep: Duration,
) -> Vec<usize> {
    let pairs = assign(among.len(), detections.len(), min_iou, |row, column| {
        let (track, detection) = (&tracks[among[row]], &detections[column]);
        if track.meaning == detection.meaning { track.rect.iou(&detection.rect) } else { 0.0 }
    });
    let mut given = vec![false; detections.len()];
    let mut left = Vec::new();
    for (row, index) in among.iter().enumerate() {
        match pairs[row] {
            Some(column) => {
                tracks[*index].take(at, &detections[column], keep);
                given[column] = true;
            }
            None => left.push(*index),
        }
    }
    let mut position = 0;
    detections.retain(|_| {
        position += 1;
        !given[position - 1]
    });
    left
}

/// The assignment of rows to columns with the most overlap in all, without pairs below `min_iou`.
///
/// The square matrix is the usual extension: a row may stay alone for half the price of the worst pair allowed.
fn assign(
    rows: usize,
    columns: usize,
    min_iou: f32,
    iou: impl Fn(usize, usize) -> f32,
) -> Vec<Option<usize>> {
    if rows == 0 || columns == 0 {
        return vec![None; rows];
    }
    let n = rows + columns;
    let limit = f64::from(1.0 - min_iou);
    let mut costs = vec![limit / 2.0; n * n];
    for row in 0..n {
        for column in 0..n {
            if row < rows && column < columns {
                let overlap = iou(row, column);
                let fits = overlap.is_finite() && overlap >= min_iou;
                costs[row * n + column] = if fits { f64::from(1.0 - overlap) } else { 4.0 };
            } else if row >= rows && column >= columns {
                costs[row * n + column] = 0.0;
            }
        }
    }
    let Ok(matrix) = lapjv::Matrix::from_shape_vec((n, n), costs) else { return vec![None; rows] };
    let Ok((row_to_column, _)) = lapjv::lapjv(&matrix) else { return vec![None; rows] };
    (0..rows)
        .map(|row| {
            Some(row_to_column[row]).filter(|column| *column < columns && iou(row, *column) >= min_iou)
        })
        .collect()
}

#[cfg(test)]
mod tests;
