//! `make bench-glance`: what the pixel tier finds, and when it wakes in vain.
//!
//! Real footage is shown over and over as a camera would show it, as keyframes every 4 s and as every picture of a sub-stream
//! at 5 Hz. Glances wake looks, floors come every 30 s, and both teach, as in the service; looks overlook 15 % of what is
//! there. Slow hazards are laid over the footage's thumbnails. All is decided by seeds: two runs differ in their times only.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use xueliang_base::{
    config::Device,
    geometry::{Point, Polygon, Rect},
    look::Thumbnail,
    time::{Mono, SystemClock, Wall},
};
use xueliang_inference::{
    model::Model,
    scene,
    session::{Detector, init_runtime, ort::OrtDetector},
};
use xueliang_ingest::{
    clip::Recording,
    glance::{Glance, Watch},
};

use self::{
    camera::{Footage, Looks, Plan, Run, Step},
    hazard::{Hazard, Kind},
};
use super::{Table, accuracy, main::machine};
use crate::service::{default_model, repository};

mod camera;
mod hazard;
mod substream;

/// Luma steps at which a hazard is visible.
const VISIBLE: f32 = 10.0;
/// Share of what is there that looks overlook.
const OVERLOOKED: f64 = 0.15;
/// The rates: keyframes at rest, and a sub-stream.
const RATES: [(&str, Duration); 2] =
    [("every 4 s", Duration::from_secs(4)), ("at 5 Hz", Duration::from_millis(200))];
/// Glances and looks get to know a camera.
const WARM_UP: Duration = Duration::from_secs(600);
/// How long is judged, and for how long a hazard must be held.
const JUDGED: Duration = Duration::from_secs(600);
/// After which a hazard must have been found once it is visible.
const IN_TIME: Duration = Duration::from_secs(30);
/// Noise of a cell's mean where the footage is held between its pictures.
const NOISE: f32 = 0.5;
/// In `tree.avi` nothing but the tree moves until the first; a hand is in the picture from the second on.
const TREE_ALONE: Duration = Duration::from_millis(22_200);
const TREE_HAND: Duration = Duration::from_millis(23_500);

/// Measures and prints.
pub fn run() -> anyhow::Result<Table> {
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", machine());
    xueliang_ingest::init()?;
    let data = std::env::var_os("XUELIANG_DEV_DATA").map(PathBuf::from);
    let campus = load(&repository().join(".cache/footage/vtest.avi"))?;
    let tree = load(&repository().join(".cache/footage/tree.avi"))?;
    campus_rows(&mut table, &campus, data.as_deref())?;
    tree_rows(&mut table, &tree);
    let street = load(&repository().join(".cache/footage/bikes.mp4"))?;
    for (rate, every) in RATES {
        let run = plan(&street, every, Looks::Finding(OVERLOOKED)).run();
        table.note(
            &format!("bikes.mp4 (cuts from street to street), {rate}: wakes"),
            share_text(awake(warm(&run))),
        );
    }
    lobby_rows(&mut table, data.as_deref())?;
    let mut alone = tree;
    alone.pictures.retain(|(at, _)| *at < TREE_ALONE);
    habit_rows(&mut table, &alone);
    // Where nobody walks, and in the middle of the branches.
    hazard_rows(&mut table, "vtest.avi", &campus, Rect::new(0.02, 0.02, 0.16, 0.2));
    hazard_rows(&mut table, "tree.avi", &alone, Rect::new(0.55, 0.55, 0.8, 0.85));
    cost_rows(&mut table, &campus);
    substream::cost_rows(&mut table)?;
    Ok(table)
}

fn load(path: &Path) -> anyhow::Result<Footage> {
    let recording = Recording::open(path)?;
    let mut pictures = Vec::new();
    for picture in recording.pictures(Mono(0), Wall(0))? {
        let picture = picture?;
        let cells = scene::measure(&picture).thumbnail.cells().to_vec();
        pictures.push((picture.arrival.since(Mono(0)), cells));
    }
    anyhow::ensure!(pictures.len() > 1, "{} holds no footage: run `make setup`", path.display());
    Ok(Footage { pictures, truth: None })
}

fn plan(footage: &Footage, every: Duration, looks: Looks) -> Plan<'_> {
    Plan {
        footage,
        hazard: None,
        clouds: 0.0,
        noise: 0.0,
        every,
        length: WARM_UP + JUDGED,
        watch: Watch::everything(),
        looks,
    }
}

fn warm(run: &Run) -> impl Iterator<Item = &Step> + Clone {
    run.steps.iter().filter(|step| step.at >= WARM_UP)
}

/// How many of the steps woke, of how many.
fn awake<'a>(steps: impl Iterator<Item = &'a Step>) -> (usize, usize) {
    steps.fold((0, 0), |(woke, all), step| (woke + usize::from(step.glimpse.change.is_some()), all + 1))
}

fn share((part, all): (usize, usize)) -> f64 {
    part as f64 / all.max(1) as f64
}

fn share_text(counted: (usize, usize)) -> String {
    format!("{:.3} of {}", share(counted), counted.1)
}

/// Walkers by ground truth, zone by zone of a grid.
fn campus_rows(table: &mut Table, campus: &Footage, data: Option<&Path>) -> anyhow::Result<()> {
    let figure = |rate: &str| format!("vtest.avi, {rate}: zones with a walker in them that woke");
    let Some(data) = data else {
        RATES.iter().for_each(|(rate, _)| table.no_data(&figure(rate), ">= 0.98"));
        return Ok(());
    };
    let boxes = accuracy::read_truth(&data.join("eval/vtest_PETS09-S2L1_gt.txt"))?;
    let truth = (1..=campus.pictures.len()).map(|n| boxes.get(&n).cloned().unwrap_or_default()).collect();
    let campus = Footage { truth: Some(truth), ..campus.clone() };
    let zones = grid();
    for (rate, every) in RATES {
        let watch = Watch::new(zones.iter().map(Some), &[]);
        let run = Plan { watch, ..plan(&campus, every, Looks::Finding(OVERLOOKED)) }.run();
        let (mut with, mut without) = ((0, 0), (0, 0));
        for step in warm(&run) {
            let told = step.glimpse.change.as_ref().map_or(&[][..], |change| &change.zones);
            for (at, zone) in zones.iter().enumerate() {
                let Rect { x0, y0, x1, y1 } = zone.bounds();
                let around = Rect::new(x0 - 0.05, y0 - 0.05, x1 + 0.05, y1 + 0.05);
                let boxes = campus.truth(step.picture);
                let inside = |rect: &Rect| zone.contains(rect.centre());
                if boxes.iter().any(inside) {
                    with = (with.0 + usize::from(told.contains(&at)), with.1 + 1);
                } else if boxes.iter().all(|rect| rect.overlap(&around) == 0.0) {
                    without = (without.0 + usize::from(told.contains(&at)), without.1 + 1);
                }
            }
        }
        table.row(&figure(rate), share_text(with), ">= 0.98", share(with) >= 0.98);
        table.note(&format!("vtest.avi, {rate}: zones with nobody near that woke"), share_text(without));
    }
    Ok(())
}

/// Sixteen zones that cover the picture.
fn grid() -> Vec<Polygon> {
    let corner = |n: usize| n as f32 / 4.0;
    (0..16)
        .map(|n| rectangle(Rect::new(corner(n % 4), corner(n / 4), corner(n % 4 + 1), corner(n / 4 + 1))))
        .collect()
}

fn rectangle(rect: Rect) -> Polygon {
    let Rect { x0, y0, x1, y1 } = rect;
    let corners = vec![Point::new(x0, y0), Point::new(x1, y0), Point::new(x1, y1), Point::new(x0, y1)];
    Polygon::new(corners).expect("a rectangle of some size is a polygon")
}

/// A tree that waves, and a hand before it at the end of each showing.
fn tree_rows(table: &mut Table, tree: &Footage) {
    let hand = |at: Duration| if at >= TREE_ALONE { vec![Rect::FULL] } else { Vec::new() };
    let truth = tree.pictures.iter().map(|(at, _)| hand(*at)).collect();
    let tree = Footage { truth: Some(truth), ..tree.clone() };
    for (rate, every) in RATES {
        for clouds in [0.0, 0.2] {
            let run = Plan { clouds, noise: NOISE, ..plan(&tree, every, Looks::Finding(OVERLOOKED)) }.run();
            let shown = |step: &Step| tree.pictures[step.picture].0;
            // The first picture of a showing still tells that the hand has gone.
            let settled = |step: &&Step| (Duration::from_secs(5)..TREE_ALONE).contains(&shown(step));
            let alone = awake(warm(&run).filter(settled));
            let what = if clouds > 0.0 { "tree.avi under clouds" } else { "tree.avi" };
            let figure = format!("{what}, {rate}: wakes while only the tree moves");
            if clouds > 0.0 {
                table.note(&figure, share_text(alone));
            } else {
                table.row(&figure, share_text(alone), "<= 0.2", share(alone) <= 0.2);
            }
            let counts = run.counts;
            table.note(
                &format!("{what}, {rate}: looks in 20 minutes"),
                format!(
                    "{} woken for the hand, {} in vain, {} floors with nothing to find, {} misses",
                    counts.woken_hits, counts.woken_false, counts.rests, counts.misses
                ),
            );
            let hand = awake(warm(&run).filter(|step| shown(step) >= TREE_HAND));
            let figure = format!("{what}, {rate}: wakes while a hand is before it");
            if clouds > 0.0 {
                table.note(&figure, share_text(hand));
            } else {
                table.row(&figure, share_text(hand), ">= 0.98", share(hand) >= 0.98);
            }
        }
    }
}

/// A tree and nothing else, whose looks find nothing: how soon it is known.
fn habit_rows(table: &mut Table, alone: &Footage) {
    for (rate, every) in RATES {
        let run = Plan { noise: NOISE, ..plan(alone, every, Looks::Finding(OVERLOOKED)) }.run();
        let minutes = |from: u64, to: u64| {
            let during = Duration::from_secs(from * 60)..Duration::from_secs(to * 60);
            share(awake(run.steps.iter().filter(|step| during.contains(&step.at))))
        };
        table.note(
            &format!("tree.avi before the hand, {rate}: share of glances that wake"),
            format!("{:.3} in minutes 2 to 5, {:.3} in 6 to 10", minutes(1, 5), minutes(5, 10)),
        );
    }
}

/// People one by one, with gaps, as the default model finds them.
fn lobby_rows(table: &mut Table, data: Option<&Path>) -> anyhow::Result<()> {
    let path =
        data.map(|data| data.join("clips/intel_one-by-one-person_CCBY4.mp4")).filter(|path| path.is_file());
    let figure = |rate: &str| format!("lobby, {rate}: wakes while the model sees somebody");
    let Some(path) = path else {
        RATES.iter().for_each(|(rate, _)| table.no_data(&figure(rate), ">= 0.98"));
        return Ok(());
    };
    init_runtime(&repository().join(".cache/onnxruntime/libonnxruntime.so"))?;
    let mut detector =
        OrtDetector::load(&Model::load(&default_model())?, Device::Cpu, SystemClock::shared())?;
    let mut lobby = Footage::default();
    let mut truth = Vec::new();
    // Every second picture: 5 Hz.
    for picture in Recording::open(&path)?.pictures(Mono(0), Wall(0))?.step_by(2) {
        let picture = picture?;
        let at = picture.arrival.since(Mono(0));
        lobby.pictures.push((at, scene::measure(&picture).thumbnail.cells().to_vec()));
        truth.push(detector.look(&picture, Some(0.4))?.detections.iter().map(|found| found.rect).collect());
    }
    lobby.truth = Some(truth);
    for (rate, every) in RATES {
        let run = plan(&lobby, every, Looks::Finding(OVERLOOKED)).run();
        let count = lobby.pictures.len();
        // Nobody for a second before and after.
        let empty = |step: &&Step| {
            (step.picture.saturating_sub(5)..(step.picture + 6).min(count)).all(|n| lobby.truth(n).is_empty())
        };
        let somebody = awake(warm(&run).filter(|step| !lobby.truth(step.picture).is_empty()));
        table.row(&figure(rate), share_text(somebody), ">= 0.98", share(somebody) >= 0.98);
        let gaps = awake(warm(&run).filter(empty));
        table.note(&format!("lobby, {rate}: wakes in the gaps"), share_text(gaps));
    }
    Ok(())
}

fn hazard_rows(table: &mut Table, name: &str, footage: &Footage, place: Rect) {
    let zone = rectangle(place);
    for (what, kind) in [("smoke", Kind::Smoke), ("a lorry", Kind::Lorry), ("rising water", Kind::Water)] {
        for (rate, every) in RATES {
            let run = |looks| {
                let hazard = Some(Hazard { kind, from: WARM_UP, place });
                let length = WARM_UP + JUDGED + Duration::from_secs(90);
                let watch = Watch::new([Some(&zone)], &[]);
                Plan { hazard, noise: NOISE, length, watch, ..plan(footage, every, looks) }.run()
            };
            for (by, looks, held_bar) in
                [("no look", Looks::Never, 1.0), ("looks that find it", Looks::Finding(OVERLOOKED), 0.95)]
            {
                let run = run(looks);
                let before = awake(run.steps.iter().filter(|step| (WARM_UP / 2..WARM_UP).contains(&step.at)));
                let visible =
                    run.steps.iter().find(|step| step.contrast >= VISIBLE).map_or(WARM_UP, |s| s.at);
                let told = |step: &&Step| step.at >= visible && step.glimpse.change.is_some();
                let found = run.steps.iter().find(told).map(|step| step.at - visible);
                let due = visible + IN_TIME..visible + JUDGED;
                let held = awake(run.steps.iter().filter(|step| due.contains(&step.at)));
                let after = found.map_or("never".to_owned(), |found| format!("{:.1} s", found.as_secs_f64()));
                table.row(
                    &format!("{what} on {name}, {rate}, {by}"),
                    format!(
                        "found {after} after it is visible, held {:.3}; awake before {:.2}",
                        share(held),
                        share(before)
                    ),
                    &format!("<= 30 s, {held_bar} of 10 min"),
                    found.is_some_and(|found| found <= IN_TIME) && share(held) >= held_bar,
                );
            }
            let blind = run(Looks::BlindToHazard);
            let since = blind.steps.iter().filter(|step| step.at >= WARM_UP);
            table.note(
                &format!("{what} on {name}, {rate}, looks that never see it: wakes"),
                share_text(awake(since)),
            );
        }
    }
}

fn cost_rows(table: &mut Table, campus: &Footage) {
    let thumbnails: Vec<Thumbnail> = campus
        .pictures
        .iter()
        .map(|(_, cells)| Thumbnail::new(cells.clone().into()).expect("it was taken from a thumbnail"))
        .collect();
    let mut glance = Glance::new(Watch::new(grid().iter().map(Some), &[]));
    let (mut bytes, mut times) = (0, Vec::new());
    for (n, thumbnail) in thumbnails.iter().cycle().take(4 * thumbnails.len()).enumerate() {
        let at = Mono(1).plus(Duration::from_millis(200) * u32::try_from(n).unwrap_or(u32::MAX));
        #[expect(clippy::disallowed_methods, reason = "a bench measures with the machine's clock")]
        let begun = Instant::now();
        std::hint::black_box(glance.see(at, thumbnail));
        times.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        bytes = glance.bytes().max(bytes);
    }
    let (median, high) = (super::percentile(&mut times, 0.5), super::percentile(&mut times, 0.99));
    let shown = format!("median {:.1} us, p99 {:.1} us", median as f64 / 1e3, high as f64 / 1e3);
    if cfg!(debug_assertions) {
        table.note("a glance on vtest.avi (debug build)", shown);
    } else {
        table.row("a glance on vtest.avi", shown, "<= 200 us (median)", median <= 200_000);
    }
    let bar = 64 << 10;
    // Sixteen zones are more than a camera has; without them it is what the bar speaks of.
    let zones = 16 * size_of::<xueliang_ingest::glance::Cells>();
    let shown = format!("{} bytes, and {zones} for sixteen zones", bytes - zones);
    table.row("memory of a camera's glances", shown, "<= 65536 bytes", bytes - zones <= bar);
}
