//! What a look takes: decoding, the scene, the model, its JPEG; and tracks and rules after it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use xueliang_base::{
    config::{Config, Device},
    id::{ConfigRevision, LookId},
    look::{LookKind, ModelView, Observation, Sight},
    picture::Picture,
    time::{Clock as _, Mono, SystemClock},
};
use xueliang_inference::{
    analyst::Analyst,
    model::Model,
    redact::{self, RedactSpec},
    scene,
    session::{Detector, init_runtime, ort::OrtDetector},
};
use xueliang_ingest::decode::{DecodeLimits, Decoder, Want};
use xueliang_server::plan::costs::{Decode, ModelCost, Pixels};

use super::{Times, footage::Footage, resident_mib, round};
use crate::{default_model, repository, service::BUSY_ZONE};

const LIMITS: DecodeLimits = DecodeLimits { max_width: 4096, max_height: 2304 };
/// Keyframes decoded of a clip, and pictures looked at.
const KEYFRAMES: usize = 60;
const PICTURES: usize = 60;
/// Units of a continued look: half a second.
const SPAN: usize = 12;
/// Decoders kept open, to see what one takes.
const KEPT: usize = 8;

/// Tracks and rules of a look, microseconds: where nothing is to be seen, and where something is.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Rules {
    pub(in crate::bench) still_us: f64,
    pub(in crate::bench) active_us: f64,
}

type Measured = (Vec<Decode>, Vec<Pixels>, ModelCost, Rules);

pub(in crate::bench) fn measure(clips: &[Footage]) -> anyhow::Result<Measured> {
    xueliang_ingest::init()?;
    init_runtime(&repository().join(".cache/onnxruntime/libonnxruntime.so"))?;
    let model = Model::load(&default_model())?;
    let mut detectors: Vec<Box<dyn Detector>> =
        vec![Box::new(OrtDetector::load(&model, Device::Cpu, Arc::new(super::ThreadTime))?)];
    let decode = clips.iter().map(decoding).collect::<anyhow::Result<Vec<_>>>()?;
    let (mut pixels, mut infer, mut observations) = (Vec::new(), Times::default(), Vec::new());
    for footage in clips.iter().filter(|footage| footage.codec == xueliang_base::unit::Codec::H264) {
        let pictures = pictures(footage)?;
        let mut times = [Times::default(), Times::default(), Times::default()];
        let [scenes, prepare, jpeg] = &mut times;
        for (index, picture) in pictures.iter().cycle().take(PICTURES).enumerate() {
            let scene = scenes.take(1, || scene::measure(picture));
            let looked = detectors[0].look(picture, None)?;
            prepare.0.push(looked.preprocess_us * 1000);
            infer.0.push(looked.infer_us * 1000);
            jpeg.take(1, || {
                let low = redact::look(&mut detectors, picture)?;
                let spec = RedactSpec { regions: Vec::new(), zone: None, max_width: 960, quality: 80 };
                redact::still(picture, &low, &spec)
            })?;
            observations.push(observation(index, picture, model.name().clone(), looked.detections, scene));
        }
        pixels.push(Pixels {
            width: footage.width,
            height: footage.height,
            scene: times[0].spread(),
            prepare: times[1].spread(),
            jpeg: times[2].spread(),
        });
    }
    let rules = rules(&model, &observations)?;
    let model = ModelCost { name: model.name().to_string(), sees: model.meanings(), infer: infer.spread() };
    Ok((decode, pixels, model, rules))
}

fn decoding(footage: &Footage) -> anyhow::Result<Decode> {
    let (mut keyframe, mut unit) = (Times::default(), Times::default());
    let mut decoder = Decoder::new(footage.codec, LIMITS)?;
    let keyframes: Vec<_> = footage.units.iter().filter(|unit| unit.keyframe).collect();
    for one in keyframes.iter().cycle().take(KEYFRAMES) {
        keyframe.take(1, || decoder.decode_keyframe(one))?;
    }
    let mut decoder = Decoder::new(footage.codec, LIMITS)?;
    for _ in 0..2 {
        for span in footage.units.chunks(SPAN) {
            unit.take(span.len() as u64, || decoder.decode(span, Want::Last))?;
        }
        decoder.reset();
    }
    let Footage { codec, width, height, .. } = *footage;
    Ok(Decode { codec, width, height, keyframe: keyframe.spread(), unit: unit.spread() })
}

fn pictures(footage: &Footage) -> anyhow::Result<Vec<Picture>> {
    let mut decoder = Decoder::new(footage.codec, LIMITS)?;
    let mut pictures = Vec::new();
    // A decoder remembers no more units at once than reordering takes.
    for span in footage.units.chunks(SPAN) {
        pictures.extend(decoder.decode(span, Want::All)?.pictures);
    }
    Ok(pictures.into_iter().step_by(5).collect())
}

fn observation(
    index: usize,
    picture: &Picture,
    model: xueliang_base::id::ModelName,
    detections: Vec<xueliang_base::detection::Detection>,
    scene: xueliang_base::look::Scene,
) -> Observation {
    let at = Mono(1_000_000_000).plus(Duration::from_millis(500) * u32::try_from(index).unwrap_or(0));
    let at_wall = SystemClock.wall();
    Observation {
        look: LookId(index as u64 + 1),
        kind: LookKind::Continued,
        revision: ConfigRevision(1),
        at,
        at_wall,
        outcome: Ok(Sight {
            arrival: at,
            arrival_wall: at_wall,
            camera_time: None,
            views: vec![ModelView { model, detections }],
            scene,
            aspect: picture.width as f32 / picture.height as f32,
        }),
    }
}

/// Rules of a zone and of the camera itself, on pictures with everything that was seen in them, and with nothing.
fn rules(model: &Model, observations: &[Observation]) -> anyhow::Result<Rules> {
    let text = format!(
        "site = \"bench\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"330282\"\nname = \"x\"\n\
         [[camera]]\nid = \"c\"\nname = \"c\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/c\"\n{BUSY_ZONE}"
    );
    let config = Config::parse(&text, Path::new("/"))?;
    let camera = config.cameras.first().context("there is a camera")?;
    let mut measured = [Times::default(), Times::default()];
    for (times, active) in measured.iter_mut().zip([false, true]) {
        let mut analyst = Analyst::new(camera, None).with_models(&[(model.name().clone(), model.meanings())]);
        for observation in observations {
            let mut observation = observation.clone();
            if let (Ok(sight), false) = (&mut observation.outcome, active) {
                sight.views.iter_mut().for_each(|view| view.detections.clear());
            }
            times.take(1, || analyst.step(&observation));
        }
    }
    let [still, active] = measured.map(|mut times| times.spread().mean_us);
    Ok(Rules { still_us: still, active_us: active.max(still) })
}

/// A decoder of 1080 lines that is kept open.
pub(super) fn lease_mib(clips: &[Footage]) -> anyhow::Result<f64> {
    let footage =
        clips.iter().rfind(|one| one.codec == xueliang_base::unit::Codec::H264).context("there is one")?;
    let own = i32::try_from(std::process::id())?;
    let before = resident_mib(own)?;
    let mut kept = Vec::new();
    for _ in 0..KEPT {
        let mut decoder = Decoder::new(footage.codec, LIMITS)?;
        decoder.decode(&footage.units[..SPAN], Want::Last)?;
        kept.push(decoder);
    }
    let taken = resident_mib(own)? - before;
    Ok(round((taken / kept.len() as f64).max(0.1)))
}
