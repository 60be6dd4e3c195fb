//! Evidence of an alert: a redacted still at once, a redacted preview and the original clip once the footage after
//! the incident is there. Made by a worker of its own, at low priority, one alert at a time.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};
use xueliang_alerts::spool::Spool;
use xueliang_base::{
    alert::{EvidenceFacts, EvidenceKind, EvidenceRef, Sha256, Stretch},
    config::EvidenceBudget,
    geometry::{Polygon, Rect},
    id::{AlertId, CameraId},
    shutdown::Stopping,
    time::{Mono, SharedClock},
    unit::AccessUnit,
};
use xueliang_ingest::clip::{ClipInfo, write_mp4};
use xueliang_proto::v1::{
    BundledPicture, ClipBundle, PreviewBundle, WorkerRender, worker_request::Ask, worker_response::Answer,
};

use super::{alerting::Input, camera::Cell, pool::Worker, wire};

/// Pictures of a preview come at most so often.
const PREVIEW_INTERVAL: Duration = Duration::from_millis(500);
/// Pictures of a preview at most.
const PREVIEW_PICTURES: usize = 40;
/// Width of redacted pictures, pixels.
const REDACTED_WIDTH: u32 = 640;
/// A preview decodes some 20 s of video at low priority.
const RENDER_DEADLINE: Duration = Duration::from_secs(60);

/// Evidence that is wanted.
#[derive(Debug)]
pub struct Wanted {
    /// For this alert.
    pub alert: AlertId,
    /// Of this camera.
    pub camera: CameraId,
    /// The unit whose picture decided it; `None` where no picture did (a lost camera).
    pub unit_seq: Option<u64>,
    /// Drawn, and shown less coarsely than the rest.
    pub regions: Vec<Rect>,
    /// The zone, drawn as well.
    pub outline: Option<Polygon>,
    /// When it was raised.
    pub raised: Mono,
}

/// What the task is made of.
pub struct FootageSpec {
    /// Time.
    pub clock: SharedClock,
    /// Makes redacted pictures.
    pub worker: Worker,
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

/// Footage taken out of the ring when its time had come.
struct Collected {
    wanted: Wanted,
    cell: Arc<Cell>,
    units: Vec<AccessUnit>,
}

/// Runs until stopping is asked.
pub async fn run(spec: FootageSpec, mut wanted: mpsc::Receiver<Wanted>, mut stopping: Stopping) {
    let (to_make, mut collected) = mpsc::channel(COLLECTED);
    loop {
        tokio::select! {
            // Stills first: operators wait for them.
            biased;
            () = stopping.wait() => return,
            next = wanted.recv() => match next {
                None => return,
                Some(next) => {
                    let Some(cell) = cell(&spec, &next.camera) else { continue };
                    still(&spec, &cell, &next).await;
                    collect_later(&spec, cell, next, to_make.clone());
                }
            },
            Some(next) = collected.recv() => preview_and_clip(&spec, next).await,
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
            for kind in [EvidenceKind::Preview, EvidenceKind::Clip] {
                let why = missing(kind, "too much other evidence was waiting to be made");
                // Alerting ends before this task does only when the node stops.
                drop(alerting.send(Input::Evidence(wanted.alert, why)).await);
            }
        }
    });
}

fn cell(spec: &FootageSpec, camera: &CameraId) -> Option<Arc<Cell>> {
    spec.cells.borrow().get(camera).cloned()
}

async fn still(spec: &FootageSpec, cell: &Cell, wanted: &Wanted) {
    // A lost camera's alert was decided by no picture; its footage before the loss is in preview and clip.
    let Some(seq) = wanted.unit_seq else { return };
    // From the keyframe before the picture up to it.
    let now = spec.clock.mono();
    let units = cell.ring.clip(now.minus(Duration::from_secs(60)), now);
    let Some(end) = units.iter().position(|unit| unit.seq == seq) else {
        give(spec, wanted, missing(EvidenceKind::Still, "the picture had left the ring")).await;
        return;
    };
    let start = units[..=end].iter().rposition(|unit| unit.keyframe).unwrap_or(end);
    let unit = units[end].clone();
    match render(spec, cell, wanted, &units[start..=end], vec![seq]).await {
        Ok(pictures) => match pictures.into_iter().next() {
            Some((_, jpeg)) => {
                let stretch = Stretch { start: unit.arrival_wall, end: unit.arrival_wall };
                store(spec, wanted, EvidenceKind::Still, true, vec![stretch], jpeg).await;
            }
            None => {
                give(spec, wanted, missing(EvidenceKind::Still, "the picture could not be decoded")).await;
            }
        },
        Err(reason) => give(spec, wanted, missing(EvidenceKind::Still, &reason)).await,
    }
}

async fn preview_and_clip(spec: &FootageSpec, collected: Collected) {
    let Collected { wanted, cell, units } = &collected;
    if units.is_empty() {
        give(spec, wanted, missing(EvidenceKind::Preview, "the ring held no footage of that time")).await;
        give(spec, wanted, missing(EvidenceKind::Clip, "the ring held no footage of that time")).await;
        return;
    }
    preview(spec, cell, wanted, units).await;
    if cell.camera.masks.is_empty() {
        clip(spec, wanted, units.clone()).await;
    } else {
        let why = "the camera has privacy masks, and original footage would show what they hide";
        give(spec, wanted, missing(EvidenceKind::Clip, why)).await;
    }
}

async fn preview(spec: &FootageSpec, cell: &Cell, wanted: &Wanted, units: &[AccessUnit]) {
    let mut chosen: Vec<&AccessUnit> = Vec::new();
    for unit in units {
        if chosen.last().is_none_or(|last| unit.arrival.since(last.arrival) >= PREVIEW_INTERVAL) {
            chosen.push(unit);
        }
    }
    chosen.truncate(PREVIEW_PICTURES);
    let mut pictures = Vec::new();
    // Codecs may change within the footage; each stretch of one codec is rendered by itself.
    for stretch in units.chunk_by(|a, b| a.codec == b.codec && !b.discontinuity) {
        let seqs: Vec<u64> =
            chosen.iter().map(|unit| unit.seq).filter(|seq| stretch.iter().any(|u| u.seq == *seq)).collect();
        if seqs.is_empty() {
            continue;
        }
        match render(spec, cell, wanted, stretch, seqs).await {
            Ok(rendered) => pictures.extend(rendered),
            Err(reason) => debug!(alert = %wanted.alert, reason, "a stretch of a preview is missing"),
        }
    }
    if pictures.is_empty() {
        give(spec, wanted, missing(EvidenceKind::Preview, "no picture of it could be made")).await;
        return;
    }
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
        Ok(Err(reason)) => give(spec, wanted, missing(EvidenceKind::Clip, &reason)).await,
        Err(_) => give(spec, wanted, missing(EvidenceKind::Clip, "its thread ended")).await,
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

async fn render(
    spec: &FootageSpec,
    cell: &Cell,
    wanted: &Wanted,
    units: &[AccessUnit],
    seqs: Vec<u64>,
) -> Result<Vec<(u64, Bytes)>, String> {
    let Some(first) = units.first() else { return Err("there is no footage".to_owned()) };
    let ask = Ask::Render(WorkerRender {
        codec: wire::codec_to_wire(first.codec).into(),
        units: units.iter().map(wire::unit_to_wire).collect(),
        wanted: seqs,
        masks: cell.camera.masks.iter().map(wire::outline_to_wire).collect(),
        regions: wanted.regions.iter().map(wire::rect_to_wire).collect(),
        zone: wanted.outline.as_ref().map(wire::outline_to_wire),
        max_width: REDACTED_WIDTH,
    });
    match spec.worker.ask(ask, RENDER_DEADLINE).await {
        Ok(Answer::Rendered(rendered)) => {
            Ok(rendered.pictures.into_iter().map(|picture| (picture.seq, picture.jpeg)).collect())
        }
        Ok(Answer::Failed(failed)) => Err(failed.message),
        Ok(_) => Err("the worker gave another answer".to_owned()),
        Err(reason) => Err(format!("the worker gave no answer: {reason}")),
    }
}

fn missing(kind: EvidenceKind, reason: &str) -> EvidenceRef {
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
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return };
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
        give(spec, wanted, missing(kind, &format!("it could not be stored: {error}"))).await;
        return;
    }
    give(spec, wanted, evidence).await;
}

async fn give(spec: &FootageSpec, wanted: &Wanted, evidence: EvidenceRef) {
    // Alerting ends before this task does only when the node stops.
    drop(spec.alerting.send(Input::Evidence(wanted.alert, evidence)).await);
}
