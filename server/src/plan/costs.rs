//! What things cost on one machine: the file that `make bench-costs` writes and `xueliang plan --costs` reads.

use std::{sync::LazyLock, time::Duration};

use rand::{Rng, rngs::SmallRng};
use serde::{Deserialize, Serialize};
use xueliang_base::{detection::Meaning, unit::Codec};

/// The costs that ship: those of the machine that is named in them.
pub const REFERENCE: &str = include_str!("costs.toml");

/// What things cost on one machine. Times are those of one core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Where they were measured.
    pub machine: Machine,
    /// The node's process: sessions, rings, attention, rules.
    pub node: Node,
    /// A look worker.
    pub worker: Worker,
    /// Decoding, by encoding and size.
    pub decode: Vec<Decode>,
    /// What is done to a decoded picture, by size.
    pub picture: Vec<Pixels>,
    /// Models. Of those that see what a rule needs, the first runs for it.
    pub model: Vec<ModelCost>,
}

/// Where costs were measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its processor and cores.
    pub processor: String,
    /// The day, as 2026-11-29.
    pub taken: String,
    /// What else is to be known.
    #[serde(default)]
    pub note: String,
}

/// What the node's process takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Receiving an access unit and putting it into its ring, microseconds.
    pub unit_us: f64,
    /// Tracks and rules of a look, microseconds: at pictures where nothing is, and where something is.
    pub rules_still_us: f64,
    /// See above.
    pub rules_active_us: f64,
    /// Choosing and handing out a look, and taking in its answer, microseconds.
    pub look_us: f64,
    /// A session besides its ring, MiB.
    pub session_mib: f64,
    /// The service without cameras and look workers, MiB.
    pub base_mib: f64,
}

/// What a look worker takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// From the decision to the answer, besides all that is listed below: the way to the worker and back.
    pub hop: Spread,
    /// Its memory with one session of each model, MiB.
    pub base_mib: f64,
    /// A decoder that is kept open for continued looks, MiB.
    pub lease_mib: f64,
}

/// Decoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decode {
    /// Encoding: "h264", "h265" or "mjpeg".
    pub codec: Codec,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// A keyframe by itself.
    pub keyframe: Spread,
    /// A unit of a continued look, in the mean over a group of pictures.
    pub unit: Spread,
}

/// What is done to a decoded picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixels {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Measuring the scene: light, detail, thumbnail.
    pub scene: Spread,
    /// From its planes to a model's input.
    pub prepare: Spread,
    /// A redacted JPEG of it, its extra look included.
    pub jpeg: Spread,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCost {
    /// Its name.
    pub name: String,
    /// What it sees, as in its manifest.
    pub sees: Vec<Meaning>,
    /// Running it and reading its output.
    pub infer: Spread,
}

/// A time that varies: drawn from a log-normal distribution of this mean and this 99th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Mean, microseconds.
    pub mean_us: f64,
    /// What one in a hundred exceeds, microseconds; at most fifteen times the mean.
    pub p99_us: f64,
}

/// Why costs cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CostsError(String);

/// Larger than any time that is meant.
const MOST_US: f64 = 60e6;

impl Costs {
    /// Reads and checks a file.
    pub fn parse(text: &str) -> Result<Self, CostsError> {
        let costs: Costs = toml::from_str(text).map_err(|error| CostsError(error.to_string()))?;
        costs.check()?;
        Ok(costs)
    }

    fn check(&self) -> Result<(), CostsError> {
        let fail = |text: String| Err(CostsError(text));
        if self.decode.is_empty() || self.picture.is_empty() {
            return fail(
                "[[decode]] and [[picture]] are missing: run `make bench-costs` for a whole file".to_owned(),
            );
        }
        let node = &self.node;
        let plain = [
            ("node.unit_us", node.unit_us),
            ("node.rules_still_us", node.rules_still_us),
            ("node.rules_active_us", node.rules_active_us),
            ("node.look_us", node.look_us),
            ("node.session_mib", node.session_mib),
            ("node.base_mib", node.base_mib),
            ("worker.base_mib", self.worker.base_mib),
            ("worker.lease_mib", self.worker.lease_mib),
        ];
        for (name, value) in plain {
            if !(0.0..=MOST_US).contains(&value) {
                return fail(format!("{name} is {value}: use a number from 0 to {MOST_US}"));
            }
        }
        for (name, spread) in self.spreads() {
            let Spread { mean_us, p99_us } = spread;
            if !(mean_us > 0.0 && mean_us <= p99_us && p99_us <= MOST_US) {
                return fail(format!(
                    "{name} has a mean of {mean_us} and a 99th percentile of {p99_us} µs: both must be above 0 and at most \
                     {MOST_US}, the mean the smaller one"
                ));
            }
        }
        if let Some(row) = self.decode.iter().map(|d| (d.width, d.height)).find(|(w, h)| w * h == 0) {
            return fail(format!("[[decode]] has a picture of {}x{}", row.0, row.1));
        }
        Ok(())
    }

    fn spreads(&self) -> Vec<(String, Spread)> {
        let mut all = vec![("worker.hop".to_owned(), self.worker.hop)];
        for row in &self.decode {
            let name = format!("decode of {} {}x{}", row.codec.name(), row.width, row.height);
            all.extend([(format!("{name}: keyframe"), row.keyframe), (format!("{name}: unit"), row.unit)]);
        }
        for row in &self.picture {
            let name = format!("picture of {}x{}", row.width, row.height);
            all.extend([
                (format!("{name}: scene"), row.scene),
                (format!("{name}: prepare"), row.prepare),
                (format!("{name}: jpeg"), row.jpeg),
            ]);
        }
        all.extend(self.model.iter().map(|model| (format!("model {}: infer", model.name), model.infer)));
        all
    }

    /// Decoding of that encoding and size: the row of the nearest size, by the number of pixels. `None` where the
    /// encoding was not measured.
    pub fn decoding(&self, codec: Codec, width: u32, height: u32) -> Option<Decode> {
        let rows = self.decode.iter().filter(|row| row.codec == codec);
        let row = rows.min_by_key(|row| pixels(row.width, row.height).abs_diff(pixels(width, height)))?;
        let factor = factor((row.width, row.height), (width, height));
        Some(Decode {
            codec,
            width,
            height,
            keyframe: row.keyframe.times(factor),
            unit: row.unit.times(factor),
        })
    }
    /// Work on a picture of that size: the row of the nearest size, by the number of pixels.
    pub fn pixels(&self, width: u32, height: u32) -> Pixels {
        let nearest = |row: &&Pixels| pixels(row.width, row.height).abs_diff(pixels(width, height));
        let row = self.picture.iter().min_by_key(nearest).expect("there is one, as was checked");
        let factor = factor((row.width, row.height), (width, height));
        Pixels {
            width,
            height,
            scene: row.scene.times(factor),
            // Scaled down to the model's input, and to the size of a still, whatever it was.
            prepare: row.prepare,
            jpeg: row.jpeg,
        }
    }
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

#[expect(clippy::cast_precision_loss, reason = "pixels of one picture")]
fn factor(measured: (u32, u32), wanted: (u32, u32)) -> f64 {
    pixels(wanted.0, wanted.1) as f64 / pixels(measured.0, measured.1) as f64
}

/// Values at the middle of so many equal shares of a distribution.
const SHARES: usize = 1024;
/// Standard deviations to the 99th percentile of a normal distribution.
const P99: f64 = 2.326_347_87;

impl Spread {
    /// A time that does not vary.
    pub fn fixed(us: f64) -> Self {
        Self { mean_us: us, p99_us: us }
    }
    fn times(self, factor: f64) -> Self {
        Self { mean_us: self.mean_us * factor, p99_us: self.p99_us * factor }
    }
    /// The mean.
    pub fn mean(self) -> Duration {
        Duration::from_secs_f64(self.mean_us / 1e6)
    }
    /// To draw from.
    pub(super) fn urn(self) -> Urn {
        // The deviation σ of the logarithms at which mean and 99th percentile have this ratio: σ²/2 - P99 σ + ln(ratio) = 0.
        let ratio = (self.p99_us / self.mean_us).max(1.0).ln();
        let sigma = P99 - (P99 * P99 - 2.0 * ratio).max(0.0).sqrt();
        let mut values: Vec<f64> = NORMAL.iter().map(|value| (sigma * value).exp()).collect();
        let mean = values.iter().sum::<f64>() / SHARES as f64;
        values.iter_mut().for_each(|value| *value *= self.mean_us / mean);
        Urn(values.into_iter().map(|us| us.round() as u64).collect())
    }
}

/// The standard normal distribution, by its shares.
static NORMAL: LazyLock<Vec<f64>> = LazyLock::new(|| (0..SHARES).map(normal).collect());

/// Its value at the middle of a share, by bisection of its distribution function.
fn normal(share: usize) -> f64 {
    let wanted = (share as f64 + 0.5) / SHARES as f64;
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if below(middle) < wanted { low = middle } else { high = middle }
    }
    low
}

/// How much of the standard normal distribution lies below `x`: Simpson's rule over its density from 0.
fn below(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let (steps, h) = (64, x / 64.0);
    let sum: f64 = (0..=steps)
        .map(|at| {
            let weight = match at {
                0 | 64 => 1.0,
                _ if at % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * density(h * f64::from(at))
        })
        .sum();
    0.5 + sum * h / 3.0
}

/// Microseconds to draw from.
#[derive(Debug, Clone)]
pub(super) struct Urn(Vec<u64>);

impl Urn {
    pub(super) fn draw(&self, dice: &mut SmallRng) -> u64 {
        self.0[dice.random::<u32>() as usize % SHARES]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_costs_that_ship_can_be_read_and_written() {
        let costs = Costs::parse(REFERENCE).unwrap();
        assert_eq!(Costs::parse(&toml::to_string(&costs).unwrap()).unwrap(), costs);
        for codec in [Codec::H264, Codec::H265, Codec::Mjpeg] {
            let (small, large) =
                (costs.decoding(codec, 1280, 720).unwrap(), costs.decoding(codec, 1920, 1080).unwrap());
            assert!(small.keyframe.mean_us < large.keyframe.mean_us, "{codec:?}");
        }
    }

    #[test]
    fn what_is_drawn_has_the_mean_and_the_percentile_that_were_asked_for() {
        for (mean_us, p99_us) in [(1000.0, 1000.0), (19_000.0, 25_000.0), (500.0, 2500.0), (100.0, 1400.0)] {
            let urn = Spread { mean_us, p99_us }.urn();
            let mut dice = SmallRng::seed_from_u64(7);
            let mut drawn: Vec<u64> = (0..200_000).map(|_| urn.draw(&mut dice)).collect();
            drawn.sort_unstable();
            let mean = drawn.iter().sum::<u64>() as f64 / drawn.len() as f64;
            let p99 = drawn[drawn.len() * 99 / 100] as f64;
            assert!((mean / mean_us - 1.0).abs() < 0.03, "{mean} instead of {mean_us}");
            assert!((p99 / p99_us - 1.0).abs() < 0.12, "{p99} instead of {p99_us}");
        }
    }

    #[test]
    fn costs_that_make_no_sense_are_refused_with_what_to_do() {
        let wrong = |from: &str, to: &str| {
            let text = REFERENCE.replacen(from, to, 1);
            assert_ne!(text, REFERENCE, "{from}");
            Costs::parse(&text).unwrap_err().to_string()
        };
        assert!(wrong("unit_us =", "unit_ms =").contains("unit_ms"));
        assert!(wrong("codec = \"h264\"", "codec = \"vp9\"").contains("vp9"));
        let costs = Costs::parse(REFERENCE).unwrap();
        let mut without = costs.clone();
        without.decode.clear();
        assert!(without.check().unwrap_err().to_string().contains("bench-costs"));
        let mut negative = costs;
        negative.worker.hop.mean_us = -1.0;
        assert!(negative.check().unwrap_err().to_string().contains("worker.hop"));
    }
}
