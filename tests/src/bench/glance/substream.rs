//! What glances at every picture of a sub-stream take, beside glances at keyframes of a main stream. Times are those of the
//! processor; the way to a worker and back comes on top, once a turn (`make bench-costs` measures it).

use xueliang_base::{look::Thumbnail, time::Mono, unit::Codec};
use xueliang_inference::scene;
use xueliang_ingest::{
    decode::{DecodeLimits, Decoder, Want},
    glance::{Glance, Watch},
};

use super::{
    super::{
        Table,
        costs::{Times, footage::clip},
    },
    Duration,
};

const LIMITS: DecodeLimits = DecodeLimits { max_width: 4096, max_height: 2304 };
/// Pictures a second, and units of a turn: a quarter of a second.
const HZ: u32 = 15;
const TURN: usize = 4;
/// Sizes, and the rate at which the footage (10 pictures a second) has as many bits a picture as 400 kbit/s and 1 Mbit/s at 15.
const SIZES: [(u32, u32, u32); 3] = [(352, 288, 267), (640, 360, 400), (704, 576, 667)];
/// A keyframe of the main stream is glanced at so often.
const KEYFRAMES: Duration = Duration::from_secs(4);
/// Each clip is shown so often.
const SHOWN: usize = 4;
/// Share of a core, of the smallest.
const BAR: f64 = 0.015;

/// A camera's glance, for as long as it is measured.
struct Eye {
    glance: Glance,
    now: Mono,
    every: Duration,
    times: Times,
}

impl Eye {
    fn new(every: Duration) -> Self {
        Self { glance: Glance::new(Watch::everything()), now: Mono(1), every, times: Times::default() }
    }
    fn see(&mut self, thumbnail: &Thumbnail) {
        self.now = self.now.plus(self.every);
        let (glance, now) = (&mut self.glance, self.now);
        std::hint::black_box(self.times.take(1, || glance.see(now, thumbnail)));
    }
}

pub(super) fn cost_rows(table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for (width, height, kbit_s) in SIZES {
        let footage = clip(folder.path(), Codec::H264, width, height, kbit_s)?;
        let (mut decode, mut thumbnail) = (Times::default(), Times::default());
        let mut eye = Eye::new(Duration::from_secs(1) / HZ);
        let mut decoder = Decoder::new(Codec::H264, LIMITS)?;
        for _ in 0..SHOWN {
            for turn in footage.units.chunks(TURN) {
                let pictures = decode.take(turn.len() as u64, || decoder.decode(turn, Want::All))?.pictures;
                for picture in &pictures {
                    let shown = thumbnail.take(1, || scene::thumbnail_of(picture));
                    eye.see(&shown);
                }
            }
            decoder.reset();
        }
        let parts = [&mut decode, &mut thumbnail, &mut eye.times].map(|times| times.spread().mean_us);
        let share = parts.iter().sum::<f64>() * f64::from(HZ) / 1e6;
        let figure = format!("glances at every picture of a sub-stream of {width}x{height}, {HZ} a second");
        let shown = format!(
            "{:.2} % of a core ({:.0} µs decoding, {:.0} µs thumbnail, {:.0} µs glance a picture)",
            100.0 * share,
            parts[0],
            parts[1],
            parts[2]
        );
        if width > SIZES[0].0 || cfg!(debug_assertions) {
            table.note(&figure, shown);
        } else {
            table.row(&figure, shown, &format!("<= {:.1} % of a core", 100.0 * BAR), share <= BAR);
        }
    }
    let footage = clip(folder.path(), Codec::H264, 1280, 720, 2000)?;
    let (mut eye, mut times) = (Eye::new(KEYFRAMES), Times::default());
    let mut decoder = Decoder::new(Codec::H264, LIMITS)?;
    let keyframes: Vec<_> = footage.units.iter().filter(|unit| unit.keyframe).collect();
    for keyframe in keyframes.iter().cycle().take(40) {
        let scene =
            times.take(1, || decoder.decode_keyframe(keyframe).map(|picture| scene::measure(&picture)))?;
        eye.see(&scene.thumbnail);
    }
    let parts = [&mut times, &mut eye.times].map(|times| times.spread().mean_us);
    let share = parts.iter().sum::<f64>() / 1e6 / KEYFRAMES.as_secs_f64();
    table.note(
        &format!("glances at keyframes of a main stream of 1280x720, every {KEYFRAMES:?}"),
        format!(
            "{:.2} % of a core ({:.0} µs decoding and scene, {:.0} µs glance a keyframe)",
            100.0 * share,
            parts[0],
            parts[1]
        ),
    );
    Ok(())
}
