//! Coverage as it is to be expected, before any camera was looked at: attention is told the assumptions as if they had
//! been measured, and asked what it grants.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    alert::ModelRef,
    config::{Camera, Config, RestOptions},
    id::{CameraId, ModelName},
    look::LookCost,
    time::{Mono, micros},
};
use xueliang_inference::{
    attention::{Attention, AttentionParams, CoverageRow, Granted, LookOutcome, Offer, Seen, WorkerId},
    model::Model,
};
use xueliang_ingest::health::Signal;

use super::{CheckArgs, acquire::Granting};
use crate::node::looks::{cover, need, need_at, need_of};

/// Decoding one picture of 1920x1080 H.264, and one keyframe (4 to 5 ms on the reference machine; a keyframe holds
/// several times as many bits).
const DECODE: Duration = Duration::from_millis(5);
const DECODE_KEYFRAME: Duration = Duration::from_millis(10);
/// A model that could not be opened here: twice what the default model takes.
const INFER: Duration = Duration::from_millis(40);

/// What coverage is computed from.
#[derive(Debug, Clone)]
struct Assumed<'a> {
    keyframes: Duration,
    fps: f64,
    costs: &'a BTreeMap<ModelName, Duration>,
}

impl Assumed<'_> {
    fn model(&self, name: &ModelName) -> Duration {
        self.costs.get(name).copied().unwrap_or(INFER)
    }
    /// Preparing and running models in the average look: each runs when its own interval has passed.
    fn infer(&self, camera: &Camera, rest: &RestOptions, models: &[Model], interval: Duration) -> Duration {
        let models: Vec<_> = models
            .iter()
            .map(|model| {
                let name = model.name().clone();
                (ModelRef { name, version: String::new(), sha256: None }, model.meanings())
            })
            .collect();
        let mut every: BTreeMap<ModelName, Duration> = BTreeMap::new();
        let need = need_of(camera, rest, &models);
        for floor in &need.floors {
            let blind_max = need.blind_max(floor);
            for name in &floor.models {
                let least = every.entry(name.clone()).or_insert(blind_max);
                *least = (*least).min(blind_max);
            }
        }
        every
            .into_iter()
            .map(|(name, every)| {
                self.model(&name).mul_f64((interval.as_secs_f64() / every.as_secs_f64()).min(1.0))
            })
            .sum()
    }
}

/// What every camera's rules are granted under these assumptions.
fn expected(
    config: &Config,
    models: &[Model],
    assumed: &Assumed<'_>,
) -> BTreeMap<CameraId, Vec<CoverageRow>> {
    let workers = crate::roles::node::worker_count(&config.analysis);
    let mut attention = Attention::new(AttentionParams {
        workers,
        leases_per_worker: config.analysis.leases_per_worker,
        max_age: config.analysis.max_age,
        look_deadline: config.analysis.look_deadline,
        ..AttentionParams::default()
    });
    let granted = Granting::by(config);
    let now = Mono(0).plus(Duration::from_secs(3600));
    for camera in &config.cameras {
        attention.set_camera(need_at(need(camera, &config.analysis.rest), granted.of(camera)));
        attention.offer(
            &camera.id,
            Offer {
                freshest_keyframe_arrival: Some(now),
                newest_unit_arrival: Some(now),
                units_since_look: 1,
                keyframe_interval_estimate: Some(assumed.keyframes),
                rhythm: None,
                blind: None,
            },
        );
    }
    // One look a camera teaches what looks cost, and gives out the leases.
    let free: Vec<WorkerId> =
        (0..workers).map(|index| WorkerId(u32::try_from(index).unwrap_or(u32::MAX))).collect();
    while let Some(decision) = attention.next(now, &free) {
        let Some(camera) = config.camera(&decision.camera) else { break };
        let interval = need(camera, &config.analysis.rest).interval().unwrap_or_default();
        let continued = attention.lease(&camera.id).is_some();
        let (units, decode) = if continued {
            let units = (interval.as_secs_f64() * assumed.fps).max(1.0);
            (units, DECODE.mul_f64(units))
        } else {
            (1.0, DECODE_KEYFRAME)
        };
        let cost = LookCost {
            decode_us: micros(decode),
            preprocess_us: 0,
            infer_us: micros(assumed.infer(camera, &config.analysis.rest, models, interval)),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "pictures of an hour at most"
        )]
        let units_decoded = units.round() as usize;
        let seen = Seen { picture: now, models: decision.models };
        attention.done(now, &decision.camera, LookOutcome { cost, result: Ok(seen), units_decoded });
    }
    let mut rows: BTreeMap<CameraId, Vec<CoverageRow>> =
        attention.coverages().map(|(id, rows)| (id.clone(), rows)).collect();
    for (id, rows) in &mut rows {
        if let Some(camera) = config.camera(id) {
            cover(rows, camera, granted.of(camera), None, Signal::Streaming);
        }
    }
    rows
}

pub(super) fn print(
    config: &Config,
    models: &[Model],
    costs: &BTreeMap<ModelName, Duration>,
    args: &CheckArgs,
) {
    let assumed = Assumed { keyframes: Duration::from_secs_f64(args.keyframes), fps: args.fps, costs };
    println!(
        "Coverage to expect with {} workers, assuming",
        crate::roles::node::worker_count(&config.analysis)
    );
    println!(
        "  a keyframe every {} s and {} pictures a second (--keyframes, --fps: what your cameras are set to),",
        args.keyframes, args.fps
    );
    println!(
        "  {} ms to decode a picture and {} ms a keyframe (1920x1080, H.264, one core),",
        DECODE.as_millis(),
        DECODE_KEYFRAME.as_millis()
    );
    for model in models {
        let name = model.name();
        let how = if costs.contains_key(name) { "measured here" } else { "not measured" };
        let ms = assumed.model(name).as_secs_f64() * 1e3;
        println!("  {ms:.0} ms a picture for model {name} ({how}),");
    }
    println!("  and cameras that deliver. The running service tells what it measures.");
    let taken = Granting::by(config);
    let mut granted = expected(config, models, &assumed);
    for camera in &config.cameras {
        println!("  {} ({}){}", camera.id, camera.name, super::acquire::mode(camera, taken.of(camera)));
        let rows: BTreeMap<_, _> = granted
            .remove(&camera.id)
            .unwrap_or_default()
            .into_iter()
            .map(|row| (row.rule.clone(), row))
            .collect();
        for rule in &camera.rules {
            let zone = rule.zone.as_ref().map_or_else(|| "whole picture".to_owned(), ToString::to_string);
            let words = rows.get(&rule.id).map_or_else(|| "guaranteed: needs no look".to_owned(), words);
            println!("    {:<18} {zone:<14} blind at most {:?}: {words}", rule.kind.code(), rule.blind_max);
        }
    }
    println!();
}

fn words(row: &CoverageRow) -> String {
    match &row.granted {
        Granted::Guaranteed => format!("guaranteed, looked at every {:.1?}", row.expected_interval),
        Granted::BestEffort(why) => {
            format!(
                "best effort ({}), about every {:.1?}",
                crate::node::report::why(*why),
                row.expected_interval
            )
        }
        Granted::NotCovered(why) => format!("not covered: {}", crate::node::report::why(*why)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Cameras with a rule of flame, on one worker.
    fn config(cameras: u32, leases: u32) -> Config {
        let mut text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
             [analysis]\nworkers = 1\nleases_per_worker = {leases}\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n"
        );
        for n in 0..cameras {
            text.push_str(&format!(
                "[[camera]]\nid = \"c{n}\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n\
                 health = [\"CAM_COVERED\"]\n[[camera.rule]]\nkind = \"FIRE_FLAME\"\n"
            ));
        }
        Config::parse(&text, Path::new("/")).unwrap()
    }

    fn granted(config: &Config, keyframes: f64, camera: &str, kind: &str) -> Granted {
        let costs = BTreeMap::new();
        let assumed = Assumed { keyframes: Duration::from_secs_f64(keyframes), fps: 25.0, costs: &costs };
        let rows = expected(config, &[], &assumed).remove(&camera.parse().unwrap()).unwrap();
        rows.into_iter().find(|row| row.kind.code() == kind).unwrap().granted
    }

    #[test]
    fn a_second_of_blindness_is_promised_only_with_a_decoder_or_frequent_keyframes() {
        let two = config(2, 1);
        assert_eq!(granted(&two, 2.0, "c0", "FIRE_FLAME"), Granted::Guaranteed);
        assert!(matches!(granted(&two, 2.0, "c1", "FIRE_FLAME"), Granted::BestEffort(_)));
        assert!(matches!(granted(&two, 4.0, "c1", "FIRE_FLAME"), Granted::NotCovered(_)));
        // What may be blind for 5 s is served by keyframes, where they come.
        assert_eq!(granted(&two, 2.0, "c1", "CAM_COVERED"), Granted::Guaranteed);
        assert_ne!(granted(&two, 10.0, "c1", "CAM_COVERED"), Granted::Guaranteed);
    }

    #[test]
    fn more_cameras_than_a_worker_can_decode_are_not_promised() {
        // A few are, on decoders of their own; the others are looked at when keyframes come.
        let twenty = config(20, 32);
        let promised = (0..20)
            .filter(|n| granted(&twenty, 2.0, &format!("c{n}"), "FIRE_FLAME") == Granted::Guaranteed)
            .count();
        assert!((1..8).contains(&promised), "{promised}");
    }
}
