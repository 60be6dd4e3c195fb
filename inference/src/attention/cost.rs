//! What a camera's looks cost, as measured: exponential moving averages by stage.

use std::time::Duration;

use xueliang_base::look::{LookCost, LookKind};

/// Weight of the newest look.
const NEWEST: f64 = 0.2;
/// The same of the first looks that were cheaper than thought: those before loaded a decoder and models.
const WARM: f64 = 0.5;
/// How many looks are the first ones.
const FIRST: u8 = 8;

/// Averages in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Cost {
    /// Decoding a keyframe.
    keyframe_us: f64,
    /// Decoding a unit of a continued look.
    unit_us: f64,
    /// Preparing and running the models, of all looks: none run at a glance.
    infer_us: f64,
    /// The same of looks at which models ran.
    models_us: f64,
    /// Units of a continued look.
    units: f64,
    /// Looks measured, up to [`FIRST`].
    measured: u8,
    /// Whether a keyframe was among them.
    keyframe_measured: bool,
}

impl Cost {
    pub(super) fn new(first: Duration) -> Self {
        let us = first.as_secs_f64() * 1e6;
        // A keyframe takes several times a predicted picture; one third of a look is decoding (toolchain.md §9).
        let infer_us = us * 2.0 / 3.0;
        Self {
            keyframe_us: us / 3.0,
            unit_us: us / 12.0,
            infer_us,
            models_us: infer_us,
            units: 4.0,
            measured: 0,
            keyframe_measured: false,
        }
    }
    pub(super) fn learn(&mut self, kind: LookKind, cost: &LookCost, units: usize) {
        #[expect(clippy::cast_precision_loss, reason = "averages of microseconds")]
        let (decode, infer, units) =
            (cost.decode_us as f64, (cost.preprocess_us + cost.infer_us) as f64, units.max(1) as f64);
        let measured = self.measured;
        let learn = |known: &mut f64, new: f64| {
            *known += (new - *known)
                * match measured {
                    0 => 1.0,
                    1..FIRST if new < *known => WARM,
                    _ => NEWEST,
                };
        };
        learn(&mut self.infer_us, infer);
        if cost.infer_us > 0 {
            learn(&mut self.models_us, infer);
        }
        match kind {
            LookKind::Keyframe => {
                learn(&mut self.keyframe_us, decode);
                self.keyframe_measured = true;
            }
            LookKind::Continued => {
                learn(&mut self.unit_us, decode / units);
                learn(&mut self.units, units);
            }
        }
        self.measured = (measured + 1).min(FIRST);
    }
    /// Of looks at which models run.
    pub(super) fn of_models(&self) -> Self {
        Self { infer_us: self.models_us, ..self.clone() }
    }
    pub(super) fn keyframe(&self) -> Duration {
        us(self.keyframe_us + self.infer_us)
    }
    /// Decoding a unit. None takes longer than a keyframe, but where it was the first of all: that loads a decoder, and without a
    /// lease no other unit would ever put it right, while keyframes are looked at all the same.
    const fn unit(&self) -> f64 {
        if self.keyframe_measured { self.unit_us.min(self.keyframe_us) } else { self.unit_us }
    }
    /// A continued look every `interval` of a stream with a unit every `unit_gap`.
    pub(super) fn every(&self, interval: Duration, unit_gap: Duration) -> Duration {
        let units = (interval.as_secs_f64() / unit_gap.as_secs_f64()).max(1.0);
        us(self.unit() * units + self.infer_us)
    }
    /// A continued look of the usual length.
    pub(super) fn usual(&self) -> Duration {
        us(self.unit() * self.units + self.infer_us)
    }
    pub(super) fn continued(&self, units: usize) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a ring holds thousands of units at most")]
        let units = units as f64;
        us(self.unit() * units + self.infer_us)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast holds at the ends")]
fn us(us: f64) -> Duration {
    Duration::from_nanos((us * 1e3) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glances_make_no_look_of_the_models_cheaper() {
        let mut cost = Cost::new(Duration::from_millis(60));
        for look in 0..100 {
            let infer_us = if look % 8 == 0 { 40_000 } else { 0 };
            cost.learn(LookKind::Keyframe, &LookCost { decode_us: 10_000, preprocess_us: 0, infer_us }, 1);
        }
        assert!(cost.keyframe().as_millis() < 30, "{:?}", cost.keyframe());
        assert_eq!(cost.of_models().keyframe().as_millis(), 50);
    }

    #[test]
    fn what_the_first_look_loaded_is_soon_forgotten_and_later_spikes_count_little() {
        let mut cost = Cost::new(Duration::from_millis(60));
        let mut look = |ms: u64| {
            let look = LookCost { decode_us: ms * 250, preprocess_us: 0, infer_us: ms * 750 };
            cost.learn(LookKind::Keyframe, &look, 1);
            cost.keyframe().as_millis()
        };
        assert_eq!(look(800), 800);
        for _ in 0..5 {
            look(30);
        }
        let warm = look(30);
        assert!(warm < 50, "{warm} ms after six warm looks");
        for _ in 0..20 {
            look(30);
        }
        let spike = look(300);
        assert!(spike < 90, "{spike} ms");
    }
    #[test]
    fn what_the_first_unit_loaded_is_forgotten_without_another_one() {
        let mut cost = Cost::new(Duration::from_millis(60));
        let look = |decode_us| LookCost { decode_us, preprocess_us: 0, infer_us: 30_000 };
        let lease = |cost: &Cost| cost.every(Duration::from_secs(1), Duration::from_millis(40));
        cost.learn(LookKind::Continued, &look(150_000), 1);
        // It may be as dear as that, as far as anybody knows.
        assert!(lease(&cost) > Duration::from_secs(1));
        for _ in 0..5 {
            cost.learn(LookKind::Keyframe, &look(14_000), 1);
        }
        assert!(lease(&cost) < Duration::from_millis(25 * 20 + 30), "{:?} of a second", lease(&cost));
    }
}
