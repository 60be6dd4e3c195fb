//! The journal: the bounded, ordered sequence of a camera's looks and what they saw. It is the only input of tracks and
//! rules, so replaying it gives the same incidents, byte for byte. No track ids; never listed across cameras.
//!
//! It holds each look's thumbnail, deflated, so it reaches back for minutes to hours; [`crate::logbook`] holds none and reaches
//! further.
//!
//! # File format, version 1
//!
//! JSON lines. First a head: `{"xueliang_journal":1, "camera":…, "models":[["name",["person"]]], "reference":…|null,
//! "adopted":[…], "dropped":n}`: the camera's configuration, the models declared, the reference view and the incidents of an
//! earlier process life that the analyst *began* with, and how many older observations had already left the ring (then incidents at the beginning may differ from those seen
//! live). Then one observation a line. Last `{"end":n}` with their number: a file without it was cut off.
//! Thumbnails are base64. Floating-point numbers are written in their shortest exact form.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    mem,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xueliang_base::{
    config::Camera,
    incident::{Edge, Incident},
    look::{Observation, Thumbnail},
};

use crate::{
    Error,
    analyst::{Analyst, ModelMeanings, Reference},
};

mod cells;
mod line;
pub(crate) mod text;

use line::Line;

/// Version of the file format.
const VERSION: u32 = 1;
/// Longest line that is read: some 10,000 detections.
const MAX_LINE_BYTES: u64 = 4 << 20;

/// How much one camera's journal keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalBounds {
    /// Observations older than the newest by more than this leave.
    pub max_age: Duration,
    /// The oldest leave while the journal is larger, approximately.
    pub max_bytes: usize,
}

impl Default for JournalBounds {
    /// Six hours and 32 MiB.
    fn default() -> Self {
        Self { max_age: Duration::from_secs(6 * 3600), max_bytes: 32 << 20 }
    }
}

/// One camera's journal in memory.
#[derive(Debug, Clone)]
pub struct Journal {
    bounds: JournalBounds,
    entries: VecDeque<Entry>,
    /// The thumbnails before the oldest entry, and of the newest.
    before: Thumbnail,
    newest: Thumbnail,
    bytes: usize,
    dropped: u64,
}

/// An observation whose thumbnail stands beside it.
#[derive(Debug, Clone)]
struct Entry {
    observation: Observation,
    /// From the thumbnail before to its own, where a picture was seen.
    cells: Option<Bytes>,
}

impl Entry {
    /// Memory that it takes, approximately.
    fn bytes(&self) -> usize {
        let views = self.observation.outcome.iter().flat_map(|sight| &sight.views);
        let views: usize =
            views.map(|view| 64 + view.detections.len() * 24 + view.model.as_str().len()).sum();
        size_of::<Self>() + views + self.cells.as_ref().map_or(0, Bytes::len)
    }
    /// Its thumbnail, where a picture was seen, from the one before.
    fn thumbnail(&self, before: &Thumbnail) -> Option<Thumbnail> {
        self.cells.as_ref().map(|difference| cells::after(before, difference))
    }
}

impl Journal {
    /// An empty journal. Begin a new one with every configuration and every new analyst.
    pub fn new(bounds: JournalBounds) -> Self {
        let (before, newest) = (cells::blank(), cells::blank());
        Self { bounds, entries: VecDeque::new(), before, newest, bytes: 0, dropped: 0 }
    }
    /// Appends what the analyst was given. The newest entry always stays.
    pub fn push(&mut self, mut observation: Observation) {
        let now = observation.at;
        let cells = observation.outcome.as_mut().ok().map(|sight| {
            let thumbnail = mem::replace(&mut sight.scene.thumbnail, cells::blank());
            let difference = cells::difference(&self.newest, &thumbnail);
            self.newest = thumbnail;
            difference
        });
        let entry = Entry { observation, cells };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > 1
            && self.entries.front().is_some_and(|oldest| {
                self.bytes > self.bounds.max_bytes || now.since(oldest.observation.at) > self.bounds.max_age
            })
        {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.bytes();
                self.dropped += 1;
                if let Some(thumbnail) = oldest.thumbnail(&self.before) {
                    self.before = thumbnail;
                }
            }
        }
    }
    /// Observations held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Memory taken, approximately.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// Observations that have left.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
    /// Oldest first, each as it was appended.
    pub fn iter(&self) -> impl Iterator<Item = Observation> {
        let mut before = self.before.clone();
        self.entries.iter().map(move |entry| {
            let mut observation = entry.observation.clone();
            if let (Ok(sight), Some(thumbnail)) = (&mut observation.outcome, entry.thumbnail(&before)) {
                before = thumbnail.clone();
                sight.scene.thumbnail = thumbnail;
            }
            observation
        })
    }
    /// Writes the file. `reference` is the one the analyst began with, not the one it has learned since; `adopted` is
    /// [`Analyst::adopted`].
    pub fn write_to(
        &self,
        camera: &Camera,
        models: &[ModelMeanings],
        reference: Option<&Reference>,
        adopted: &[Incident],
        mut out: impl Write,
    ) -> Result<(), Error> {
        let head = Head {
            xueliang_journal: VERSION,
            camera: camera.clone(),
            models: models.to_vec(),
            reference: reference.cloned(),
            adopted: adopted.to_vec(),
            dropped: self.dropped,
        };
        write_line(&mut out, &head)?;
        for observation in self.iter() {
            write_line(&mut out, &Line::of(&observation))?;
        }
        write_line(&mut out, &End { end: self.entries.len() })?;
        out.flush().map_err(|e| fault(&e))
    }
}

/// A journal read back.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalFile {
    /// The camera's configuration.
    pub camera: Camera,
    /// The models declared to the analyst.
    pub models: Vec<ModelMeanings>,
    /// The reference view the analyst began with.
    pub reference: Option<Reference>,
    /// Incidents that the analyst took over before the first observation.
    pub adopted: Vec<Incident>,
    /// Observations that had left the ring before the first one here.
    pub dropped: u64,
    /// Oldest first.
    pub observations: Vec<Observation>,
}

impl JournalFile {
    /// Gives the adopted incidents and then every observation to a new analyst.
    pub fn replay(&self) -> Vec<Edge> {
        let mut analyst = Analyst::new(&self.camera, self.reference.clone()).with_models(&self.models);
        let mut edges: Vec<Edge> =
            self.adopted.iter().filter_map(|incident| analyst.adopt(incident.clone())).collect();
        edges.extend(self.observations.iter().flat_map(|observation| analyst.step(observation)));
        edges
    }
}

/// Reads a file that [`Journal::write_to`] wrote. Errors name the line.
pub fn read_from(input: impl Read) -> Result<JournalFile, Error> {
    let mut lines = Lines { input: BufReader::new(input), number: 0 };
    let first = lines.next()?.ok_or_else(|| Error::Journal("the file is empty".to_owned()))?;
    let version: Version = lines.parse(&first)?;
    if version.xueliang_journal != VERSION {
        let found = version.xueliang_journal;
        return Err(Error::Journal(format!("version {found} is not known: this program reads {VERSION}")));
    }
    let head: Head = lines.parse(&first)?;
    let mut observations: Vec<Observation> = Vec::new();
    loop {
        let Some(text) = lines.next()? else {
            let message =
                format!("the file ends after line {} without its last line: it was cut off", lines.number);
            return Err(Error::Journal(message));
        };
        if let Ok(End { end }) = serde_json::from_slice(&text) {
            if end != observations.len() {
                return Err(Error::Journal(format!(
                    "{end} observations announced, {} found",
                    observations.len()
                )));
            }
            break;
        }
        let line: Line<'static> = lines.parse(&text)?;
        let Some(observation) = line.into_observation() else {
            return Err(Error::Journal(format!("line {} says neither saw nor not_looked", lines.number)));
        };
        if observations.last().is_some_and(|last| last.at > observation.at) {
            return Err(Error::Journal(format!("line {} goes back in time", lines.number)));
        }
        observations.push(observation);
    }
    let Head { camera, models, reference, adopted, dropped, .. } = head;
    Ok(JournalFile { camera, models, reference, adopted, dropped, observations })
}

#[derive(Serialize, Deserialize)]
struct Head {
    xueliang_journal: u32,
    camera: Camera,
    models: Vec<ModelMeanings>,
    reference: Option<Reference>,
    #[serde(default)]
    adopted: Vec<Incident>,
    dropped: u64,
}
#[derive(Deserialize)]
struct Version {
    xueliang_journal: u32,
}
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: usize,
}

fn fault(error: &std::io::Error) -> Error {
    Error::Journal(error.to_string())
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_vec(value).map_err(|e| Error::Journal(e.to_string()))?;
    text.push(b'\n');
    out.write_all(&text).map_err(|e| fault(&e))
}

struct Lines<R> {
    input: BufReader<R>,
    number: usize,
}

impl<R: Read> Lines<R> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut text = Vec::new();
        let read =
            (&mut self.input).take(MAX_LINE_BYTES).read_until(b'\n', &mut text).map_err(|e| fault(&e))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if text.pop() != Some(b'\n') {
            let number = self.number;
            return Err(Error::Journal(format!(
                "line {number} is cut off or longer than {MAX_LINE_BYTES} bytes"
            )));
        }
        Ok(Some(text))
    }
    fn parse<T: serde::de::DeserializeOwned>(&self, text: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(text).map_err(|e| Error::Journal(format!("line {}: {e}", self.number)))
    }
}

#[cfg(test)]
mod tests;
