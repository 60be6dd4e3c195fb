//! `make bench-activity`: what encoded sizes and quantisers tell of movement, on real footage as cameras encode it.

use std::time::{Duration, Instant};

use xueliang_base::{time::Mono, unit::AccessUnit};
use xueliang_ingest::activity::{Activity, Lesson, Reader, State};

use super::{Table, main::machine};
use scene::{ENCODINGS, Encoding, SCENES, Scene};
use score::{Scored, Simple, auc, wake_share};

mod scene;
mod score;

/// As the issue asks.
const RECALL: f32 = 0.99;
/// A look teaches so often, and so long after its picture came.
const LESSON: Duration = Duration::from_secs(1);
/// Before it is measured, a signal has had so many lessons.
const LESSONS: u64 = 300;
/// A rounding of AUC that is no difference.
const SAME: f64 = 0.005;

/// Measures and prints.
pub fn run() -> anyhow::Result<Table> {
    xueliang_ingest::init()?;
    let mut table = Table::default();
    println!("figure | measured | bar | verdict");
    table.note("machine", machine());
    let folder = tempfile::tempdir()?;
    let mut timed = Vec::new();
    for scene in &SCENES {
        let Some(file) = scene.file() else {
            table.no_data(&format!("{}: AUC", scene.name), "that of the simple signal");
            continue;
        };
        let truth = scene.truth(&file)?;
        for encoding in ENCODINGS {
            let units = scene.units(&file, encoding, folder.path())?;
            rows(&mut table, scene, encoding, &units, &truth);
            timed.push((encoding.name, units));
        }
    }
    for encoding in ENCODINGS {
        let ours = timed.iter().filter(|(name, _)| *name == encoding.name).map(|(_, units)| &units[..]);
        let ns = nanoseconds_a_unit(ours);
        table.row(&format!("time a unit, {}", encoding.name), format!("{ns} ns"), "<= 5000 ns", ns <= 5000);
    }
    Ok(table)
}

/// How one of our signals did.
#[derive(Default)]
struct Ours {
    excess: Scored,
    /// Moved moments at which it woke, and all at which it woke.
    found: usize,
    awake: usize,
}

impl Ours {
    fn push(&mut self, activity: &Activity, moved: bool) {
        let Some((excess, _)) = activity.excess() else { return };
        self.excess.push((f64::from(excess), moved));
        let awake = activity.state() == State::Active;
        self.awake += usize::from(awake);
        self.found += usize::from(awake && moved);
    }
    fn at_its_threshold(&self) -> String {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let moved = self.excess.iter().filter(|(_, moved)| *moved).count();
        format!("finds {:.3}, awake {:.2}", share(self.found, moved), share(self.awake, self.excess.len()))
    }
}

/// The signals over a clip.
#[derive(Default)]
struct Outcome {
    simple_size: Scored,
    simple: Scored,
    untaught: Ours,
    taught: Ours,
}

/// Plays a clip as a loop to all signals: lessons are given until there are enough, then one round is measured.
fn play(units: &[AccessUnit], truth: &[bool], scene: &Scene) -> Outcome {
    let all_intra = units.iter().all(|unit| unit.keyframe);
    let mut reader = Reader::default();
    let (mut by_size, mut by_both) = (Simple::new(false, scene.hz), Simple::new(true, scene.hz));
    let (mut untaught, mut taught) = (Activity::new(RECALL), Activity::new(RECALL));
    let mut outcome = Outcome::default();
    let length = units.last().map_or(Duration::ZERO, |unit| unit.arrival.since(Mono(0)))
        + Duration::from_secs_f64(1.0 / scene.hz);
    let rounds = LESSONS.div_ceil(length.as_secs().max(1));
    let mut begin = Duration::ZERO;
    let mut looked = None;
    for round in 0..=rounds {
        for (unit, moved) in units.iter().zip(truth) {
            let facts = reader.read(unit);
            let (simple_size, simple) = (by_size.push(facts, all_intra), by_both.push(facts, all_intra));
            let mut unit = unit.clone();
            unit.arrival = unit.arrival.plus(begin);
            let _ = (untaught.push(&unit), taught.push(&unit));
            if round == rounds {
                outcome.simple_size.extend(simple_size.map(|value| (value, *moved)));
                outcome.simple.extend(simple.map(|value| (value, *moved)));
                outcome.untaught.push(&untaught, *moved);
                outcome.taught.push(&taught, *moved);
                continue;
            }
            let (at, showed) = *looked.get_or_insert((unit.arrival, *moved));
            if unit.arrival.since(at) >= LESSON {
                taught.teach(if showed { Lesson::Moved } else { Lesson::Still }, at);
                looked = None;
            }
        }
        begin += length;
    }
    outcome
}

fn rows(table: &mut Table, scene: &Scene, encoding: Encoding, units: &[AccessUnit], truth: &[bool]) {
    let name = format!("{}, {}", scene.name, encoding.name);
    let moved = truth.iter().filter(|moved| **moved).count();
    if moved.min(truth.len() - moved) < 20 {
        table.note(&format!("{name}: AUC"), "nothing to tell apart");
        return;
    }
    let outcome = play(units, truth, scene);
    let Outcome { simple_size, simple, untaught, taught } = &outcome;
    let bar = auc(simple).max(auc(simple_size));
    table.row(
        &format!("{name}: AUC"),
        format!("{:.3} (untaught {:.3})", auc(&taught.excess), auc(&untaught.excess)),
        &format!(">= {bar:.3}, simple (by size alone {:.3})", auc(simple_size)),
        auc(&taught.excess) >= bar - SAME,
    );
    let wake = |scored: &Scored| wake_share(scored, f64::from(RECALL));
    table.note(
        &format!("{name}: awake where .99 is found ({:.2} moves)", moved as f64 / truth.len() as f64),
        format!(
            "{:.2} (untaught {:.2}, simple {:.2}, by size alone {:.2})",
            wake(&taught.excess),
            wake(&untaught.excess),
            wake(simple),
            wake(simple_size)
        ),
    );
    table.note(
        &format!("{name}: at its own threshold"),
        format!("{} (untaught {})", taught.at_its_threshold(), untaught.at_its_threshold()),
    );
}

/// The best of five rounds of each clip, over all clips.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn nanoseconds_a_unit<'a>(clips: impl Iterator<Item = &'a [AccessUnit]>) -> u128 {
    let (mut passed, mut units) = (Duration::ZERO, 0);
    for clip in clips {
        let round = || {
            let mut activity = Activity::new(RECALL);
            let begin = Instant::now();
            for unit in clip {
                std::hint::black_box(activity.push(unit));
            }
            begin.elapsed()
        };
        passed += (0..5).map(|_| round()).min().unwrap_or_default();
        units += clip.len();
    }
    passed.as_nanos() / units.max(1) as u128
}
