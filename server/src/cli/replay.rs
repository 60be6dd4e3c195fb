//! `xueliang replay`: a recording, or a live journal, through the same tracks and rules.

use std::{
    fs::File,
    io::{BufReader, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use xueliang_base::{
    config::Camera,
    id::{CameraId, ConfigRevision, LookId},
    incident::Edge,
    look::{LookKind, ModelView, Observation, Sight},
    time::{Mono, SystemClock, Wall},
};
use xueliang_inference::{
    analyst::Analyst,
    journal::{self, Journal, JournalBounds},
    mask::Masks,
    scene,
    session::{Detector, init_runtime, ort::OrtDetector},
};
use xueliang_ingest::clip::Recording;

use super::{
    check::{load_models, sees},
    run::read_config,
    runtime,
};

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  xueliang replay night.mp4 --rules town.toml --camera gate-1
  xueliang replay night.mp4 --rules town.toml --camera gate-1 --hz 2 --journal-out night.journal
  xueliang replay --journal night.journal

Prints one JSON object for every change of an incident. The same recording, rules and machine give the same bytes.")]
pub struct ReplayArgs {
    /// Recording: MP4, MKV, AVI, or an elementary stream as gate@10fps.h264.
    #[arg(required_unless_present = "journal", conflicts_with = "journal")]
    clip: Option<PathBuf>,
    /// Configuration whose models, zones and rules apply.
    #[arg(long, required_unless_present = "journal")]
    rules: Option<PathBuf>,
    /// The camera of the configuration that the recording stands for; may be left out when there is only one.
    #[arg(long)]
    camera: Option<CameraId>,
    /// Looks per second of the recording; by default what the camera's shortest blind time asks for.
    #[arg(long)]
    hz: Option<f64>,
    /// Write what the looks saw, for `--journal`.
    #[arg(long)]
    journal_out: Option<PathBuf>,
    /// Replay a journal instead of a recording.
    #[arg(long)]
    journal: Option<PathBuf>,
}

/// One line of output.
#[derive(Debug, Serialize)]
struct Line<'a> {
    camera: &'a CameraId,
    edge: &'a Edge,
}

/// Prints the incidents of a recording or journal.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match &args.journal {
        Some(path) => replay_journal(path, &mut out)?,
        None => replay_clip(args, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, camera: &CameraId, edges: &[Edge]) -> anyhow::Result<()> {
    for edge in edges {
        writeln!(out, "{}", serde_json::to_string(&Line { camera, edge })?)?;
    }
    Ok(())
}

fn replay_journal(path: &std::path::Path, out: &mut impl Write) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let journal =
        journal::read_from(BufReader::new(file)).with_context(|| format!("read {}", path.display()))?;
    print(out, &journal.camera.id, &journal.replay())?;
    Ok(())
}

fn replay_clip(args: &ReplayArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (Some(clip), Some(rules)) = (&args.clip, &args.rules) else { bail!("name a recording and --rules") };
    let config = read_config(rules)?;
    super::check::refuse_unserved(&config)?;
    let camera = match &args.camera {
        Some(id) => config.camera(id).with_context(|| format!("{} has no camera {id}", rules.display()))?,
        None if config.cameras.len() == 1 => &config.cameras[0],
        None => bail!("{} has {} cameras: choose one with --camera", rules.display(), config.cameras.len()),
    };
    let interval = match args.hz {
        Some(hz) if hz > 0.0 && hz <= 100.0 => Duration::from_secs_f64(1.0 / hz),
        Some(hz) => bail!("--hz {hz}: use 0.01 to 100"),
        None => shortest(camera),
    };
    let (models, faults) = load_models(&config);
    if let Some((path, message)) = faults.first() {
        bail!("{path}: {message}");
    }
    if !models.is_empty() {
        init_runtime(&runtime::find()?)?;
    }
    let clock = SystemClock::shared();
    let needed: Vec<_> = camera.rules.iter().flat_map(|rule| rule.condition.meanings()).collect();
    let mut detectors: Vec<Box<dyn Detector>> = Vec::new();
    for model in &models {
        if model.meanings().iter().any(|meaning| needed.contains(meaning)) {
            detectors.push(Box::new(OrtDetector::load(model, config.analysis.device, clock.clone())?));
        }
    }
    xueliang_ingest::init()?;
    let recording = Recording::open(clip).with_context(|| format!("open {}", clip.display()))?;
    let masks = Masks::new(&camera.masks);
    let mut analyst = Analyst::new(camera, None).with_models(&sees(&models));
    let mut journal = Journal::new(JournalBounds { max_age: Duration::MAX, max_bytes: usize::MAX });
    let mut next: Option<Mono> = None;
    let mut look = 0;
    // Media time 0 stands for one second after boot and 1970: a recording has no other.
    for picture in recording.pictures(Mono(1_000_000_000), Wall(0))? {
        let picture = picture?;
        if next.is_some_and(|next| picture.arrival < next) {
            continue;
        }
        next = Some(next.unwrap_or(picture.arrival).plus(interval).max(picture.arrival));
        look += 1;
        let masked = if camera.masks.is_empty() { picture } else { masks.apply(&picture) };
        let mut views = Vec::new();
        for detector in &mut detectors {
            let detections = detector.look(&masked, None)?.detections;
            views.push(ModelView { model: detector.model().name.clone(), detections });
        }
        let observation = Observation {
            look: LookId(look),
            kind: LookKind::Continued,
            revision: ConfigRevision(0),
            at: masked.arrival,
            at_wall: masked.arrival_wall,
            outcome: Ok(Sight {
                arrival: masked.arrival,
                arrival_wall: masked.arrival_wall,
                camera_time: None,
                views,
                scene: scene::measure(&masked),
                aspect: masked.width as f32 / masked.height.max(1) as f32,
            }),
        };
        print(out, &camera.id, &analyst.step(&observation))?;
        if args.journal_out.is_some() {
            journal.push(observation);
        }
    }
    if look == 0 {
        bail!("{} holds no picture", clip.display());
    }
    if let Some(path) = &args.journal_out {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        journal
            .write_to(camera, analyst.models(), None, &[], std::io::BufWriter::new(file))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn shortest(camera: &Camera) -> Duration {
    camera.rules.iter().map(|rule| rule.blind_max).min().unwrap_or(Duration::from_secs(1))
}
