//! Models run by ONNX Runtime, loaded as a library at run time. The only file that names the `ort` crate.
//!
//! One session a model and worker, one thread, batch 1: on CPUs more threads or larger batches gain nothing and collapse as
//! soon as decoders compete for the cores (measured: 148 to 40 pictures a second with two threads).

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use ort::{
    environment::Environment,
    ep,
    session::{Session, SessionInputValue, SessionOutputs, builder::SessionBuilder},
    value::{TensorElementType, TensorRef, ValueType},
};
use tracing::warn;
use xueliang_base::{
    config::Device,
    detection::Detection,
    geometry::Rect,
    picture::{Picture, PixelFormat, Plane},
    time::{Mono, SharedClock, Wall, micros},
};

use super::{Detector, Looked};
use crate::{
    Error,
    model::{ElementType, Manifest, Model, Tiles},
    nms,
    output::{self, Tensor},
    preprocess::{Placed, Preprocessor, Values},
};

/// The process has one environment; it lives as long as the process.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Loads the ONNX Runtime library, once a process, before the first detector is made. Later calls do nothing.
pub fn init_runtime(library: &Path) -> Result<(), Error> {
    if !library.is_file() {
        return Err(Error::Runtime(format!(
            "{} is not there: run tools/setup.sh, which fetches it, or name the library in ORT_DYLIB_PATH",
            library.display()
        )));
    }
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if environment.is_some() {
        return Ok(());
    }
    let unusable = |e: &dyn std::fmt::Display| {
        Error::Runtime(format!(
            "cannot load {}: {e}; run tools/setup.sh to fetch the tested one",
            library.display()
        ))
    };
    let builder = ort::init_from(library).map_err(|e| unusable(&e))?;
    *environment =
        Some(builder.with_name("xueliang").with_telemetry(false).build().map_err(|e| unusable(&e))?);
    Ok(())
}

/// A model in ONNX Runtime.
pub struct OrtDetector {
    manifest: Manifest,
    session: Session,
    preprocessor: Preprocessor,
    parts: Vec<Rect>,
    clock: SharedClock,
}

impl OrtDetector {
    /// Makes a session and shows it the golden picture. Refused are models that do not run, whose tensors are not what
    /// the manifest says, or that give values that are no numbers.
    pub fn load(model: &Model, device: Device, clock: SharedClock) -> Result<Self, Error> {
        let refuse = |message: String| Error::Model { path: model.folder().to_owned(), message };
        let environment = ENVIRONMENT
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| Error::Runtime("it is not loaded yet: call init_runtime first".to_owned()))?;
        let session = start(&environment, model, device)
            .map_err(|e| refuse(format!("ONNX Runtime refuses it: {e}")))?;
        let manifest = model.manifest().clone();
        check_input(&session, &manifest).map_err(refuse)?;
        let preprocessor = Preprocessor::new(&manifest.input);
        let parts = manifest.tiles.map_or_else(|| vec![Rect::FULL], parts);
        let mut detector = Self { manifest, session, preprocessor, parts, clock };
        detector
            .look(&golden_picture(), None)
            .map_err(|e| refuse(format!("fails on the golden picture, so it cannot be trusted: {e}")))?;
        Ok(detector)
    }

    /// What one picture costs here, preparing and running: the least of five looks at the golden picture.
    pub fn golden_cost(&mut self) -> Result<Duration, Error> {
        let picture = golden_picture();
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let looked = self.look(&picture, None)?;
            least = least.min(Duration::from_micros(looked.preprocess_us + looked.infer_us));
        }
        Ok(least)
    }

    /// Looks at one part of the picture and adds what it sees.
    fn look_at(
        &mut self,
        picture: &Picture,
        part: Rect,
        floor: f32,
        looked: &mut Looked,
    ) -> Result<(), String> {
        let start = self.clock.mono();
        let placed = self.preprocessor.fill(picture, part)?;
        let ready = self.clock.mono();
        let (found, saturated) =
            infer(&mut self.session, &self.manifest, &self.preprocessor, &placed, floor)?;
        looked.detections.extend(found);
        looked.saturated |= saturated;
        looked.preprocess_us += micros(ready.since(start));
        looked.infer_us += micros(self.clock.mono().since(ready));
        Ok(())
    }
}

impl Detector for OrtDetector {
    fn model(&self) -> &Manifest {
        &self.manifest
    }
    fn look(&mut self, picture: &Picture, min_score: Option<f32>) -> Result<Looked, Error> {
        let floor = min_score.unwrap_or(self.manifest.threshold.score);
        let mut looked = Looked { detections: Vec::new(), saturated: false, preprocess_us: 0, infer_us: 0 };
        for i in 0..self.parts.len() {
            self.look_at(picture, self.parts[i], floor, &mut looked)
                .map_err(|message| Error::Run { model: self.manifest.name.to_string(), message })?;
        }
        nms::sort(&mut looked.detections);
        Ok(looked)
    }
}

fn start(environment: &Environment, model: &Model, device: Device) -> Result<Session, String> {
    let builder = || -> Result<SessionBuilder, String> {
        let builder = Session::builder(environment).map_err(|e| e.to_string())?;
        let builder = builder.with_intra_threads(1).map_err(|e| e.to_string())?;
        builder.with_inter_threads(1).map_err(|e| e.to_string())
    };
    if device == Device::Cuda {
        let cuda = builder()?
            .with_execution_providers([ep::CUDA::default().build().error_on_failure()])
            .map_err(|e| e.to_string())
            .and_then(|mut builder| builder.commit_from_memory(model.onnx()).map_err(|e| e.to_string()));
        match cuda {
            Ok(session) => return Ok(session),
            Err(e) => warn!(model = %model.name(), error = %e, "cuda is asked for and absent, using the cpu"),
        }
    }
    builder()?.commit_from_memory(model.onnx()).map_err(|e| e.to_string())
}

fn check_input(session: &Session, manifest: &Manifest) -> Result<(), String> {
    let named: Vec<_> = session.inputs().iter().map(ort::value::Outlet::name).collect();
    let [input] = session.inputs() else {
        return Err(format!("it takes {} inputs ({}), 1 is needed", named.len(), named.join(", ")));
    };
    let wanted = match manifest.input.element {
        ElementType::F32 => TensorElementType::Float32,
        ElementType::U8 => TensorElementType::Uint8,
    };
    match input.dtype() {
        ValueType::Tensor { ty, .. } if *ty == wanted => Ok(()),
        other => Err(format!("input {:?} is {other}, the manifest says {wanted}", input.name())),
    }
}

fn infer(
    session: &mut Session,
    manifest: &Manifest,
    input: &Preprocessor,
    placed: &Placed,
    floor: f32,
) -> Result<(Vec<Detection>, bool), String> {
    let shape = input.shape();
    let value: SessionInputValue<'_> = match input.values() {
        Values::F32(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        Values::U8(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
    }
    .map_err(|e| e.to_string())?;
    let outputs = session.run([value]).map_err(|e| e.to_string())?;
    let names = manifest.output.tensors();
    let tensors = names.into_iter().map(|name| tensor(&outputs, name)).collect::<Result<Vec<_>, _>>()?;
    let found = output::decode(manifest, placed, &tensors, floor)?;
    Ok((found, output::saturated(manifest, &tensors, floor)))
}

fn tensor<'a>(outputs: &'a SessionOutputs<'_>, name: &str) -> Result<Tensor<'a>, String> {
    let value = outputs.get(name).ok_or_else(|| format!("no output {name:?}"))?;
    let (shape, values) = value.try_extract_tensor::<f32>().map_err(|e| format!("output {name:?}: {e}"))?;
    Ok(Tensor { shape, values })
}

/// The parts of a picture that a classifier looks at: the frame where asked for, then the tiles row by row.
fn parts(tiles: Tiles) -> Vec<Rect> {
    let (width, height) = (1.0 / tiles.columns as f32, 1.0 / tiles.rows as f32);
    let grow = tiles.overlap / 2.0;
    let cells = (0..tiles.rows).flat_map(|y| (0..tiles.columns).map(move |x| (x as f32, y as f32)));
    let tile = |(x, y): (f32, f32)| {
        let (x0, x1) = ((x - grow) * width, (x + 1.0 + grow) * width);
        Rect::new(x0, (y - grow) * height, x1, (y + 1.0 + grow) * height).clamped()
    };
    tiles.frame.then_some(Rect::FULL).into_iter().chain(cells.map(tile)).collect()
}

/// A gradient with noise, the same on every machine: no scene, but every value a camera gives.
fn golden_picture() -> Picture {
    let (width, height) = (640u32, 360u32);
    let mut state = 0x2545_f491_u32;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % 32
    };
    let mut plane = |width: u32, height: u32| {
        let cells = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let data: Vec<u8> = cells
            .map(|(x, y)| u8::try_from(16 + x * 130 / width + y * 60 / height + noise()).unwrap_or(u8::MAX))
            .collect();
        Plane { data: Bytes::from(data), stride: width as usize }
    };
    let planes = vec![plane(width, height), plane(width / 2, height / 2), plane(width / 2, height / 2)];
    Picture {
        width,
        height,
        format: PixelFormat::I420,
        full_range: false,
        planes,
        unit_seq: 0,
        arrival: Mono(0),
        arrival_wall: Wall(0),
        camera_time: None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
