//! The worker role: decoders and model sessions, nothing else.
//!
//! One thread, one request at a time, from standard input (a socket) and back. It ends when the socket closes, so a
//! node that is killed takes its workers along. It knows no addresses, no credentials and no consoles. Unredacted
//! pixels never leave it.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
};

use anyhow::Context;
use bytes::Bytes;
use prost::Message;
use tracing::{debug, warn};
use xueliang_base::{
    config::Device,
    look::{LookCost, ModelView, NotLooked},
    picture::Picture,
    time::{SharedClock, SystemClock, micros},
    unit::{AccessUnit, Codec},
};
use xueliang_inference::{
    mask::Masks,
    model::Model,
    redact::{self, RedactSpec},
    scene,
    session::{Detector, init_runtime, ort::OrtDetector},
};
use xueliang_ingest::decode::{DecodeError, DecodeLimits, Decoder, Want};
use xueliang_proto::v1::{
    self, WorkerFailed, WorkerLook, WorkerReady, WorkerReleased, WorkerRender, WorkerRendered, WorkerRequest,
    WorkerResponse, WorkerSetup, worker_request::Ask, worker_response::Answer,
};

use crate::node::{pool::MAX_MESSAGE_BYTES, wire};

mod glance;

/// Longest side of redacted pictures.
const REDACT_QUALITY: u8 = 80;

/// Runs until the node closes the socket.
pub fn run(nice: i32) -> anyhow::Result<()> {
    if nice != 0
        && let Err(error) = rustix::process::nice(nice)
    {
        warn!(%error, nice, "cannot lower the priority");
    }
    xueliang_ingest::init().context("start GStreamer")?;
    let mut socket = UnixStream::from(
        io::stdin().as_fd().try_clone_to_owned().context("take the socket on standard input")?,
    );
    let mut state: Option<Worker> = None;
    while let Some(request) = receive(&mut socket)? {
        let answer = match request.ask {
            Some(Ask::Setup(setup)) => match Worker::build(&setup) {
                Ok(worker) => {
                    let ready = worker.ready();
                    state = Some(worker);
                    Answer::Ready(ready)
                }
                Err(error) => failed(NotLooked::ModelFailed, &error),
            },
            Some(ask) => match &mut state {
                Some(worker) => worker.answer(ask),
                None => failed(NotLooked::ModelFailed, &anyhow::anyhow!("the worker was not set up")),
            },
            None => failed(NotLooked::ModelFailed, &anyhow::anyhow!("the request is empty")),
        };
        send(&mut socket, &WorkerResponse { answer: Some(answer) })?;
    }
    Ok(())
}

fn receive(socket: &mut UnixStream) -> anyhow::Result<Option<WorkerRequest>> {
    let mut length = [0; 4];
    match socket.read_exact(&mut length) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e).context("read from the node"),
    }
    let length = u32::from_le_bytes(length) as usize;
    anyhow::ensure!(length <= MAX_MESSAGE_BYTES, "request of {length} bytes is too large");
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes).context("read from the node")?;
    Ok(Some(WorkerRequest::decode(Bytes::from(bytes)).context("decode the node's request")?))
}

fn send(socket: &mut UnixStream, response: &WorkerResponse) -> anyhow::Result<()> {
    let bytes = response.encode_to_vec();
    let length = u32::try_from(bytes.len()).context("answer is too large")?;
    socket.write_all(&length.to_le_bytes()).context("write to the node")?;
    socket.write_all(&bytes).context("write to the node")
}

fn failed(reason: NotLooked, error: &anyhow::Error) -> Answer {
    Answer::Failed(WorkerFailed {
        reason: wire::reason_to_wire(reason).into(),
        message: format!("{error:#}"),
    })
}

/// Why a look gave nothing.
struct Failure(NotLooked, anyhow::Error);

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let reason = match error {
            DecodeError::TooLarge { .. } => NotLooked::TooLarge,
            _ => NotLooked::Undecodable,
        };
        Failure(reason, error.into())
    }
}

impl From<wire::WireError> for Failure {
    fn from(error: wire::WireError) -> Self {
        Failure(NotLooked::WorkerLost, error.into())
    }
}

/// A picture of a look.
struct Continued {
    picture: Picture,
    /// Units decoded for it.
    decoded: u32,
    /// The decoder kept for the camera is gone.
    forgotten: bool,
}

struct Worker {
    clock: SharedClock,
    limits: DecodeLimits,
    detectors: Vec<Box<dyn Detector>>,
    /// For keyframe looks and renders, which leave no state behind.
    passing: HashMap<Codec, Decoder>,
    /// For continued looks, by camera.
    kept: HashMap<String, (Codec, Decoder)>,
    /// For glances at sub-streams, by camera.
    followed: HashMap<String, (Codec, Decoder)>,
    masks: HashMap<String, (Vec<v1::Outline>, Masks)>,
}

impl Worker {
    fn build(setup: &WorkerSetup) -> anyhow::Result<Self> {
        let clock = SystemClock::shared();
        let device = if setup.device == "cuda" { Device::Cuda } else { Device::Cpu };
        let mut detectors: Vec<Box<dyn Detector>> = Vec::new();
        if !setup.models.is_empty() {
            init_runtime(Path::new(&setup.runtime))?;
        }
        for folder in &setup.models {
            let model = Model::load(Path::new(folder))?;
            detectors.push(Box::new(OrtDetector::load(&model, device, clock.clone())?));
        }
        Ok(Self {
            clock,
            limits: DecodeLimits { max_width: setup.max_width, max_height: setup.max_height },
            detectors,
            passing: HashMap::new(),
            kept: HashMap::new(),
            followed: HashMap::new(),
            masks: HashMap::new(),
        })
    }

    fn ready(&self) -> WorkerReady {
        let models = self
            .detectors
            .iter()
            .map(|detector| {
                let manifest = detector.model();
                v1::LoadedModel {
                    model: Some(v1::ModelRef {
                        name: manifest.name.to_string(),
                        version: manifest.version.clone(),
                        sha256: manifest.sha256.clone(),
                    }),
                    meanings: manifest.meanings().iter().map(|m| m.word().to_owned()).collect(),
                }
            })
            .collect();
        WorkerReady { models }
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        let answer = match ask {
            Ask::Look(look) => self.look(look).map(Answer::Saw),
            Ask::Glance(glance) => self.glance(glance).map(Answer::Glanced),
            Ask::Render(render) => self.render(render).map(Answer::Rendered),
            Ask::Release(release) => {
                let decoders = if release.sub_stream { &mut self.followed } else { &mut self.kept };
                decoders.remove(&release.camera_id);
                Ok(Answer::Released(WorkerReleased {}))
            }
            Ask::Setup(_) => Err(Failure(NotLooked::ModelFailed, anyhow::anyhow!("set up twice"))),
        };
        answer.unwrap_or_else(|Failure(reason, error)| {
            debug!(reason = %reason, %error, "look failed");
            failed(reason, &error)
        })
    }

    fn look(&mut self, look: WorkerLook) -> Result<v1::WorkerSaw, Failure> {
        let codec = wire::codec_from_wire(look.codec())?;
        let units: Vec<AccessUnit> =
            look.units.into_iter().map(|unit| wire::unit_from_wire(unit, codec)).collect();
        let start = self.clock.mono();
        let Continued { picture, decoded, forgotten } = if look.continued {
            self.decode_continued(&look.camera_id, codec, &units, look.restart)?
        } else {
            let unit = units.last().ok_or(wire::WireError("no units"))?;
            let picture = self.passing(codec)?.decode_keyframe(unit)?;
            Continued { picture, decoded: 1, forgotten: false }
        };
        let decode_us = micros(self.clock.mono().since(start));
        let picture = self.masked(&look.camera_id, &look.masks, &picture)?;
        let scene = scene::measure(&picture);
        let mut cost = LookCost { decode_us, ..LookCost::default() };
        let mut views = Vec::new();
        for detector in &mut self.detectors {
            let name = detector.model().name.clone();
            if !look.models.iter().any(|wanted| wanted == name.as_str()) {
                continue;
            }
            let looked = detector
                .look(&picture, None)
                .map_err(|error| Failure(NotLooked::ModelFailed, error.into()))?;
            cost.preprocess_us += looked.preprocess_us;
            cost.infer_us += looked.infer_us;
            views.push(ModelView { model: name, detections: looked.detections });
        }
        Ok(wire::saw_to_wire(&wire::Saw {
            seq: picture.unit_seq,
            decoded,
            views,
            scene,
            aspect: picture.width as f32 / picture.height.max(1) as f32,
            cost,
            forgotten,
        }))
    }

    fn passing(&mut self, codec: Codec) -> Result<&mut Decoder, Failure> {
        Ok(match self.passing.entry(codec) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Decoder::new(codec, self.limits)?)
            }
        })
    }

    fn decode_continued(
        &mut self,
        camera: &str,
        codec: Codec,
        units: &[AccessUnit],
        restart: bool,
    ) -> Result<Continued, Failure> {
        let usable = matches!(self.kept.get(camera), Some((kept, _)) if *kept == codec);
        if restart || !usable {
            self.kept.insert(camera.to_owned(), (codec, Decoder::new(codec, self.limits)?));
        }
        let Some((_, decoder)) = self.kept.get_mut(camera) else {
            return Err(Failure(NotLooked::Undecodable, anyhow::anyhow!("no decoder is kept")));
        };
        let decoded = match decoder.decode(units, Want::Last) {
            Ok(decoded) => decoded,
            Err(error) => {
                // Its state is not to be trusted any more.
                self.kept.remove(camera);
                return Err(error.into());
            }
        };
        let units = u32::try_from(decoded.units_decoded).unwrap_or(u32::MAX);
        if let Some(picture) = decoded.pictures.into_iter().next_back() {
            return Ok(Continued { picture, decoded: units, forgotten: false });
        }
        // It may hold the picture back for its order, as after a keyframe alone of a stream with B-frames. Made to give
        // it out, it forgets its references, so the next look begins at a keyframe.
        let drained = decoder.drain(Want::Last);
        self.kept.remove(camera);
        let picture = drained?.pictures.into_iter().next_back();
        let picture =
            picture.ok_or_else(|| Failure(NotLooked::Undecodable, anyhow::anyhow!("no picture came out")))?;
        Ok(Continued { picture, decoded: units, forgotten: true })
    }

    fn masked(
        &mut self,
        camera: &str,
        outlines: &[v1::Outline],
        picture: &Picture,
    ) -> Result<Picture, Failure> {
        if outlines.is_empty() {
            return Ok(picture.clone());
        }
        let known = matches!(self.masks.get(camera), Some((known, _)) if known.as_slice() == outlines);
        if !known {
            let polygons = outlines.iter().map(wire::outline_from_wire).collect::<Result<Vec<_>, _>>()?;
            self.masks.insert(camera.to_owned(), (outlines.to_vec(), Masks::new(&polygons)));
        }
        match self.masks.get_mut(camera) {
            Some((_, masks)) => Ok(masks.apply(picture)),
            None => Err(Failure(NotLooked::ModelFailed, anyhow::anyhow!("masks are missing"))),
        }
    }

    fn render(&mut self, render: WorkerRender) -> Result<WorkerRendered, Failure> {
        let codec = wire::codec_from_wire(render.codec())?;
        let units: Vec<AccessUnit> =
            render.units.into_iter().map(|unit| wire::unit_from_wire(unit, codec)).collect();
        let spec = RedactSpec {
            regions: render.regions.iter().map(wire::rect_from_wire).collect(),
            zone: render
                .zone
                .as_ref()
                .filter(|z| !z.points.is_empty())
                .map(wire::outline_from_wire)
                .transpose()?,
            max_width: render.max_width,
            quality: REDACT_QUALITY,
        };
        let mut pictures = Vec::new();
        // A few units at a time, so that memory stays bounded whatever is asked for.
        let mut decoder = Decoder::new(codec, self.limits)?;
        let mut chunks = units.chunks(32).peekable();
        while let Some(chunk) = chunks.next() {
            let mut decoded = decoder.decode(chunk, Want::All)?.pictures;
            if chunks.peek().is_none() {
                decoded.extend(decoder.drain(Want::All)?.pictures);
            }
            for picture in decoded.iter().filter(|p| render.wanted.contains(&p.unit_seq)) {
                let picture = self.masked("", &render.masks, picture)?;
                let low = redact::look(&mut self.detectors, &picture)
                    .map_err(|error| Failure(NotLooked::ModelFailed, error.into()))?;
                let jpeg = redact::still(&picture, &low, &spec)
                    .map_err(|error| Failure(NotLooked::ModelFailed, error.into()))?;
                pictures.push(v1::RenderedPicture { seq: picture.unit_seq, jpeg: jpeg.into() });
            }
        }
        Ok(WorkerRendered { pictures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first units of the prepared clip with B-frames, as the node sends them.
    fn units(n: usize) -> Vec<v1::WorkerUnit> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/clips/vtest-bframes@10fps.h264");
        let clip = xueliang_simulator::Clip::load(Path::new(path), None).expect("`make setup` has made it");
        let sets = clip.parameter_sets();
        let parameters: Vec<u8> = [&sets.vps, &sets.sps, &sets.pps]
            .into_iter()
            .flatten()
            .flat_map(|nal| [&[0, 0, 0, 1], &nal[..]].concat())
            .collect();
        (1_u64..)
            .zip(clip.units())
            .take(n)
            .map(|(seq, unit)| v1::WorkerUnit {
                seq,
                keyframe: unit.keyframe,
                data: if unit.keyframe {
                    [&parameters, &unit.data[..]].concat().into()
                } else {
                    unit.data.clone()
                },
                arrival_mono_ns: seq * 100_000_000,
                arrival_unix_us: 0,
                camera_time: None,
            })
            .collect()
    }

    fn look(units: &[v1::WorkerUnit], restart: bool) -> WorkerLook {
        WorkerLook {
            camera_id: "gate".to_owned(),
            codec: v1::Codec::H264.into(),
            continued: true,
            restart,
            units: units.to_vec(),
            ..WorkerLook::default()
        }
    }

    #[test]
    fn a_continued_look_at_a_lone_keyframe_of_a_stream_with_b_frames_gives_its_picture() {
        xueliang_ingest::init().unwrap();
        let setup = WorkerSetup { max_width: 4096, max_height: 2304, ..WorkerSetup::default() };
        let mut worker = Worker::build(&setup).unwrap();
        let units = units(12);
        let Answer::Saw(first) = worker.answer(Ask::Look(look(&units[..1], true))) else {
            panic!("the keyframe's picture is held back")
        };
        assert_eq!((first.seq, first.decoded), (1, 1));
        // What the node does next: from the keyframe again if the decoder is gone, else what came since.
        let next = if first.forgotten { look(&units[..6], true) } else { look(&units[1..6], false) };
        let Answer::Saw(second) = worker.answer(Ask::Look(next)) else {
            panic!("and the look after it fails")
        };
        assert!(second.seq > 1 && !second.forgotten, "{} {}", second.seq, second.forgotten);
        let Answer::Saw(third) = worker.answer(Ask::Look(look(&units[6..12], false))) else {
            panic!("and the decoder that is kept goes on")
        };
        assert!(third.seq > second.seq && !third.forgotten);
    }

    fn glance(units: &[v1::WorkerUnit], continued: bool, restart: bool) -> v1::WorkerGlance {
        let codec = v1::Codec::H264.into();
        let masks = Vec::new();
        v1::WorkerGlance {
            camera_id: "gate".to_owned(),
            codec,
            continued,
            restart,
            units: units.to_vec(),
            masks,
        }
    }

    #[test]
    fn every_picture_of_a_sub_stream_is_glanced_at_once_and_apart_from_looks() {
        xueliang_ingest::init().unwrap();
        let setup = WorkerSetup { max_width: 4096, max_height: 2304, ..WorkerSetup::default() };
        let mut worker = Worker::build(&setup).unwrap();
        let units = units(24);
        let mut seen = Vec::new();
        for (turn, part) in units.chunks(6).enumerate() {
            let Answer::Glanced(glanced) = worker.answer(Ask::Glance(glance(part, true, turn == 0))) else {
                panic!("turn {turn} fails")
            };
            assert_eq!(glanced.decoded, 6);
            assert!(glanced.pictures.iter().all(|picture| picture.thumbnail.len() == 96 * 54));
            seen.extend(glanced.pictures.iter().map(|picture| picture.seq));
            // The main stream's decoder is another one.
            assert!(matches!(worker.answer(Ask::Look(look(&units[..3], true))), Answer::Saw(_)));
        }
        // Pictures are reordered, and the last are still held back.
        assert!((20..=24).contains(&seen.len()), "{seen:?}");
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        // A keyframe alone leaves that decoder as it is; without its decoder a sub-stream cannot go on.
        let Answer::Glanced(alone) = worker.answer(Ask::Glance(glance(&units[..1], false, false))) else {
            panic!("the keyframe fails")
        };
        assert_eq!((alone.pictures.len(), alone.pictures[0].seq), (1, 1));
        let release = v1::WorkerRelease { camera_id: "gate".to_owned(), sub_stream: true };
        assert!(matches!(worker.answer(Ask::Release(release)), Answer::Released(_)));
        assert!(worker.followed.is_empty() && !worker.kept.is_empty());
    }
}
