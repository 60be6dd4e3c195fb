//! Evidence of an alert: a redacted still at once, a redacted preview and the original clip once the footage after
//! the incident is there. Made by a worker of its own, at low priority, which draws pictures of the moment as well (`picture`).
//!
//! Footage leaves the ring when it is asked for, however busy the worker is. The worker draws stills before anything else:
//! a preview is made in pieces, and yields to a still after each. Whatever is not made is told to the alert, with the
//! reason.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};
use xueliang_alerts::spool::Spool;
use xueliang_base::{
    alert::{EvidenceFacts, EvidenceKind, EvidenceRef, Sha256, Stretch},
    config::EvidenceBudget,
    geometry::{Polygon, Rect},
    id::{AlertId, CameraId},
    look::NotLooked,
    shutdown::Stopping,
    time::{Mono, SharedClock},
    unit::AccessUnit,
};
use xueliang_ingest::clip::{ClipInfo, write_mp4};
use xueliang_proto::v1::{
    BundledPicture, ClipBundle, PreviewBundle, WorkerRender, worker_request::Ask, worker_response::Answer,
};

use super::{
    alerting::Input,
    camera::Cell,
    picture::{self, Asked},
    wire,
};

/// Pictures of a preview come at most so often.
const PREVIEW_INTERVAL: Duration = Duration::from_millis(500);
/// Pictures of a preview at most.
const PREVIEW_PICTURES: usize = 40;
/// Width of redacted pictures, pixels.
const REDACTED_WIDTH: u32 = 640;
/// A preview decodes some 20 s of video at low priority.
const RENDER_DEADLINE: Duration = Duration::from_secs(60);

/// Evidence that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// For this alert.
    pub alert: AlertId,
    /// Of this camera.
    pub camera: CameraId,
    /// The unit whose picture decided it; `None` where no picture did (a lost camera).
    pub unit_seq: Option<u64>,
    /// Drawn, and shown less coarsely than the rest.
    pub marks: Marks,
    /// When it was raised.
    pub raised: Mono,
}

/// What is drawn into redacted pictures, and shown less coarsely than the rest.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// The incident's boxes.
    pub regions: Vec<Rect>,
    /// The zone.
    pub outline: Option<Polygon>,
}

/// Why the worker made no pictures.
#[derive(Debug)]
pub struct Unmade {
    /// For programs.
    pub reason: NotLooked,
    /// In words.
    pub message: String,
}

/// Asks the worker of evidence for one answer.
pub type AskWorker =
    Box<dyn Fn(Ask, Duration) -> BoxFuture<'static, Result<Answer, NotLooked>> + Send + Sync>;

/// What the task is made of.
pub struct FootageSpec {
    /// Time.
    pub clock: SharedClock,
    /// Makes redacted pictures.
    pub worker: AskWorker,
    /// Where evidence goes.
    pub spool: Arc<Spool>,
    /// Where alerts are told of it.
    pub alerting: mpsc::Sender<Input>,
    /// Cells of the cameras now.
    pub cells: watch::Receiver<BTreeMap<CameraId, Arc<Cell>>>,
    /// How much footage, and whether any.
    pub budget: watch::Receiver<EvidenceBudget>,
    /// For files in the making.
    pub scratch: PathBuf,
}

/// Previews and clips whose footage is held in memory until the worker has time: each up to one ring.
const COLLECTED: usize = 16;
/// Stills that wait for the worker, each with the units from its keyframe on.
const STILLS: usize = 64;

/// Why evidence is missing that found a queue full.
pub(super) const TOO_MUCH: &str = "too much other evidence was waiting to be made";

/// A still's units, up to the one whose picture it shows.
struct Still {
    wanted: Wanted,
    cell: Arc<Cell>,
    units: Vec<AccessUnit>,
}

/// Footage taken out of the ring when its time had come.
struct Collected {
    wanted: Wanted,
    cell: Arc<Cell>,
    units: Vec<AccessUnit>,
}

/// Runs until stopping is asked.
pub async fn run(
    spec: FootageSpec,
    wanted: mpsc::Receiver<Wanted>,
    asked: mpsc::Receiver<Asked>,
    mut stopping: Stopping,
) {
    let (to_make, collected) = mpsc::channel(COLLECTED);
    let (to_draw, stills) = mpsc::channel(STILLS);
    tokio::select! {
        () = stopping.wait() => {}
        () = take(&spec, wanted, &to_draw, &to_make) => {}
        () = make(&spec, stills, collected, asked) => {}
    }
}

/// Takes what is wanted out of the ring.
async fn take(
    spec: &FootageSpec,
    mut wanted: mpsc::Receiver<Wanted>,
    to_draw: &mpsc::Sender<Still>,
    to_make: &mpsc::Sender<Collected>,
) {
    while let Some(next) = wanted.recv().await {
        let Some(cell) = cell(spec, &next.camera) else {
            let why = "the camera was taken out of the configuration";
            let kinds = EvidenceKind::ALL.map(|kind| missing(kind, why));
            give(spec, &next, kinds.into()).await;
            continue;
        };
        match still_units(spec, &cell, &next) {
            // A lost camera's alert was decided by no picture; its footage before the loss is in preview and clip.
            Ok(None) => {}
            Ok(Some(units)) => {
                let still = Still { wanted: next.clone(), cell: cell.clone(), units };
                if to_draw.try_send(still).is_err() {
                    give(spec, &next, vec![missing(EvidenceKind::Still, TOO_MUCH)]).await;
                }
            }
            Err(why) => give(spec, &next, vec![missing(EvidenceKind::Still, why)]).await,
        }
        collect_later(spec, cell, next, to_make.clone());
    }
}

/// Lets the worker make it: stills first, operators wait for them. Pictures of the moment come last: where footage waits none is
/// made, and where none waits one goes between two pieces of the preview in work.
async fn make(
    spec: &FootageSpec,
    mut stills: mpsc::Receiver<Still>,
    mut collected: mpsc::Receiver<Collected>,
    mut asked: mpsc::Receiver<Asked>,
) {
    let mut in_work: Option<Preview> = None;
    // Whether a picture of the moment is next.
    let mut turn = false;
    loop {
        if let Ok(still) = stills.try_recv() {
            draw(spec, still).await;
        } else if std::mem::take(&mut turn)
            && collected.is_empty()
            && let Ok(next) = asked.try_recv()
        {
            picture::draw(spec, next).await;
        } else if let Some(preview) = &mut in_work {
            turn = true;
            if !preview.step(spec).await
                && let Some(preview) = in_work.take()
            {
                preview_and_clip(spec, preview).await;
            }
        } else {
            tokio::select! {
                biased;
                Some(still) = stills.recv() => draw(spec, still).await,
                Some(next) = collected.recv() => in_work = Some(Preview::of(next)),
                Some(next) = asked.recv() => picture::draw(spec, next).await,
                else => return,
            }
        }
    }
}

/// Takes the footage when it is all there, however busy the worker is: the ring forgets it soon after.
fn collect_later(spec: &FootageSpec, cell: Arc<Cell>, wanted: Wanted, to_make: mpsc::Sender<Collected>) {
    let budget = spec.budget.borrow().clone();
    let now = spec.clock.mono();
    let due = wanted.raised.plus(budget.after).since(now);
    let alerting = spec.alerting.clone();
    tokio::spawn(async move {
        tokio::time::sleep(due).await;
        let from = wanted.raised.minus(budget.before);
        let units = cell.ring.clip(from, wanted.raised.plus(budget.after));
        if let Err(unsent) = to_make.try_send(Collected { wanted, cell, units }) {
            let wanted = unsent.into_inner().wanted;
            warn!(alert = %wanted.alert, "no footage is kept: too much of it waits to be made");
            let kinds = [EvidenceKind::Preview, EvidenceKind::Clip].map(|kind| missing(kind, TOO_MUCH));
            // Alerting ends before this task does only when the node stops.
            drop(alerting.send(Input::Evidence(wanted.alert, kinds.into())).await);
        }
    });
}

fn cell(spec: &FootageSpec, camera: &CameraId) -> Option<Arc<Cell>> {
    spec.cells.borrow().get(camera).cloned()
}

/// From the keyframe before the deciding picture up to it; `None` where no picture decided.
fn still_units(
    spec: &FootageSpec,
    cell: &Cell,
    wanted: &Wanted,
) -> Result<Option<Vec<AccessUnit>>, &'static str> {
    let Some(seq) = wanted.unit_seq else { return Ok(None) };
    let now = spec.clock.mono();
    let mut units = cell.ring.clip(now.minus(Duration::from_secs(60)), now);
    let end = units.iter().position(|unit| unit.seq == seq).ok_or("the picture had left the ring")?;
    units.truncate(end + 1);
    let start = units.iter().rposition(|unit| unit.keyframe).unwrap_or(end);
    Ok(Some(units.split_off(start)))
}

async fn draw(spec: &FootageSpec, still: Still) {
    let Still { wanted, cell, units } = &still;
    let Some(unit) = units.last() else { return };
    let drawn = match render(spec, cell, &wanted.marks, units, vec![unit.seq]).await {
        Ok(pictures) => {
            pictures.into_iter().next().ok_or_else(|| "the picture could not be decoded".to_owned())
        }
        Err(unmade) => Err(unmade.message),
    };
    match drawn {
        Ok((_, jpeg)) => {
            let stretch = Stretch { start: unit.arrival_wall, end: unit.arrival_wall };
            store(spec, wanted, EvidenceKind::Still, true, vec![stretch], jpeg).await;
        }
        Err(reason) => give(spec, wanted, vec![missing(EvidenceKind::Still, &reason)]).await,
    }
}

/// A preview in the making.
struct Preview {
    collected: Collected,
    /// Stretches that decode by themselves, each up to the last picture wanted of it, with those pictures.
    pieces: VecDeque<(Range<usize>, Vec<u64>)>,
    pictures: Vec<(u64, Bytes)>,
    /// Why the latest piece is missing.
    missed: Option<String>,
}

impl Preview {
    fn of(collected: Collected) -> Self {
        let units = &collected.units;
        let mut chosen: Vec<&AccessUnit> = Vec::new();
        for unit in units {
            if chosen.last().is_none_or(|last| unit.arrival.since(last.arrival) >= PREVIEW_INTERVAL) {
                chosen.push(unit);
            }
        }
        chosen.truncate(PREVIEW_PICTURES);
        let chosen: BTreeSet<u64> = chosen.into_iter().map(|unit| unit.seq).collect();
        let mut pieces = VecDeque::new();
        let mut start = 0;
        for piece in units.chunk_by(|_, next| !next.keyframe && !next.discontinuity) {
            let wanted: Vec<u64> =
                piece.iter().map(|unit| unit.seq).filter(|seq| chosen.contains(seq)).collect();
            let last = piece.iter().rposition(|unit| Some(&unit.seq) == wanted.last());
            if let Some(last) = last {
                pieces.push_back((start..start + last + 1, wanted));
            }
            start += piece.len();
        }
        Self { collected, pieces, pictures: Vec::new(), missed: None }
    }
    /// Has one piece made; false when none was left.
    async fn step(&mut self, spec: &FootageSpec) -> bool {
        let Some((range, seqs)) = self.pieces.pop_front() else { return false };
        let Collected { wanted, cell, units } = &self.collected;
        match render(spec, cell, &wanted.marks, &units[range], seqs).await {
            Ok(rendered) => self.pictures.extend(rendered),
            Err(Unmade { message, .. }) => {
                debug!(alert = %wanted.alert, reason = message, "a piece of a preview is missing");
                self.missed = Some(message);
            }
        }
        true
    }
}

async fn preview_and_clip(spec: &FootageSpec, preview: Preview) {
    let Preview { collected: Collected { wanted, cell, units }, pictures, missed, .. } = preview;
    if units.is_empty() {
        let why = "the ring held no footage of that time";
        let kinds = [EvidenceKind::Preview, EvidenceKind::Clip].map(|kind| missing(kind, why));
        give(spec, &wanted, kinds.into()).await;
        return;
    }
    if pictures.is_empty() {
        let why = missed.unwrap_or_else(|| "no picture of it could be made".to_owned());
        give(spec, &wanted, vec![missing(EvidenceKind::Preview, &why)]).await;
    } else {
        store_preview(spec, &wanted, &units, &pictures).await;
    }
    if cell.camera.masks.is_empty() {
        clip(spec, &wanted, units).await;
    } else {
        let why = "the camera has privacy masks, and original footage would show what they hide";
        give(spec, &wanted, vec![missing(EvidenceKind::Clip, why)]).await;
    }
}

async fn store_preview(spec: &FootageSpec, wanted: &Wanted, units: &[AccessUnit], pictures: &[(u64, Bytes)]) {
    let arrival = |seq: u64| units.iter().find(|unit| unit.seq == seq).map(|unit| unit.arrival_wall);
    let bundle = PreviewBundle {
        pictures: pictures
            .iter()
            .filter_map(|(seq, jpeg)| {
                Some(BundledPicture { arrived_unix_us: arrival(*seq)?.0, jpeg: jpeg.clone() })
            })
            .collect(),
    };
    let stretches = stretches(&pictures.iter().filter_map(|(seq, _)| arrival(*seq)).collect::<Vec<_>>());
    store(spec, wanted, EvidenceKind::Preview, true, stretches, bundle.encode_to_vec().into()).await;
}

/// One stretch from first to last picture; previews are sparse, so gaps of under 3 s are none.
fn stretches(arrivals: &[xueliang_base::time::Wall]) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for at in arrivals {
        match all.last_mut() {
            Some(last) if at.0 - last.end.0 < 3_000_000 => last.end = *at,
            _ => all.push(Stretch { start: *at, end: *at }),
        }
    }
    all
}

async fn clip(spec: &FootageSpec, wanted: &Wanted, units: Vec<AccessUnit>) {
    let path = spec.scratch.join(format!("{}.mp4", wanted.alert));
    let (reply, written) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("clip".to_owned()).spawn(move || {
        let result = write_mp4(&units, &path).map_err(|error| error.to_string()).and_then(|info| {
            let files = read_and_remove(&info).map_err(|error| format!("read the clip back: {error}"))?;
            Ok((info, files))
        });
        // The asker may have stopped.
        drop(reply.send(result));
    });
    if let Err(error) = thread {
        warn!(%error, "cannot start a thread for a clip");
        give(spec, wanted, vec![missing(EvidenceKind::Clip, "no thread could be started for it")]).await;
        return;
    }
    match written.await {
        Ok(Ok((info, files))) => {
            let stretches = info
                .segments
                .iter()
                .map(|segment| Stretch { start: segment.start_wall, end: segment.end_wall })
                .collect();
            let data = ClipBundle { files }.encode_to_vec();
            store(spec, wanted, EvidenceKind::Clip, false, stretches, data.into()).await;
        }
        Ok(Err(reason)) => give(spec, wanted, vec![missing(EvidenceKind::Clip, &reason)]).await,
        Err(_) => give(spec, wanted, vec![missing(EvidenceKind::Clip, "its thread ended")]).await,
    }
}

fn read_and_remove(info: &ClipInfo) -> std::io::Result<Vec<Bytes>> {
    let mut files = Vec::new();
    for segment in &info.segments {
        files.push(std::fs::read(&segment.path)?.into());
        std::fs::remove_file(&segment.path)?;
    }
    Ok(files)
}

/// Has the worker make redacted pictures of some of these units.
pub(super) async fn render(
    spec: &FootageSpec,
    cell: &Cell,
    marks: &Marks,
    units: &[AccessUnit],
    seqs: Vec<u64>,
) -> Result<Vec<(u64, Bytes)>, Unmade> {
    let unmade = |reason, message: String| Err(Unmade { reason, message });
    let Some(first) = units.first() else {
        return unmade(NotLooked::Undecodable, "there is no footage".to_owned());
    };
    let ask = Ask::Render(WorkerRender {
        codec: wire::codec_to_wire(first.codec).into(),
        units: units.iter().map(wire::unit_to_wire).collect(),
        wanted: seqs,
        masks: cell.camera.masks.iter().map(wire::outline_to_wire).collect(),
        regions: marks.regions.iter().map(wire::rect_to_wire).collect(),
        zone: marks.outline.as_ref().map(wire::outline_to_wire),
        max_width: REDACTED_WIDTH,
    });
    match (spec.worker)(ask, RENDER_DEADLINE).await {
        Ok(Answer::Rendered(rendered)) => {
            Ok(rendered.pictures.into_iter().map(|picture| (picture.seq, picture.jpeg)).collect())
        }
        Ok(Answer::Failed(failed)) => unmade(wire::reason_from_wire(failed.reason()), failed.message),
        Ok(_) => unmade(NotLooked::WorkerLost, "the worker gave another answer".to_owned()),
        Err(reason) => unmade(reason, format!("the worker gave no answer: {reason}")),
    }
}

pub(super) fn missing(kind: EvidenceKind, reason: &str) -> EvidenceRef {
    EvidenceRef { kind, content: Err(reason.to_owned()) }
}

async fn store(
    spec: &FootageSpec,
    wanted: &Wanted,
    kind: EvidenceKind,
    redacted: bool,
    stretches: Vec<Stretch>,
    data: Bytes,
) {
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else {
        give(spec, wanted, vec![missing(kind, "none of its pictures can be dated")]).await;
        return;
    };
    let facts = EvidenceFacts {
        sha256: Sha256::of(&data),
        size_bytes: data.len() as u64,
        redacted,
        start: first.start,
        end: last.end,
        stretches,
    };
    let evidence = EvidenceRef { kind, content: Ok(facts) };
    if let Err(error) = spec.spool.push_evidence(wanted.alert, &evidence, data).await {
        warn!(alert = %wanted.alert, %error, "evidence cannot be spooled");
        give(spec, wanted, vec![missing(kind, &format!("it could not be stored: {error}"))]).await;
        return;
    }
    give(spec, wanted, vec![evidence]).await;
}

async fn give(spec: &FootageSpec, wanted: &Wanted, evidence: Vec<EvidenceRef>) {
    // Alerting ends before this task does only when the node stops.
    drop(spec.alerting.send(Input::Evidence(wanted.alert, evidence)).await);
}

#[cfg(test)]
mod tests;
