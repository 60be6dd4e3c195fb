//! What the simulation knows of a camera, and of its kind.

use std::time::Duration;

use xueliang_base::{id::CameraId, time::Mono};
use xueliang_inference::attention::{Offer, Rhythm};

use super::{
    super::{Costs, costs::Urn, mix::CameraType},
    EARLY,
    scene::{Scene, Stretches},
};

/// What a kind's looks cost and ask.
pub(super) struct Kind<'a> {
    pub(super) of: &'a CameraType,
    pub(super) unit: Duration,
    /// Units from one keyframe to the next.
    pub(super) group: u64,
    pub(super) keyframes: Duration,
    /// Shortest of its floors; `None` where it is never looked at.
    pub(super) interval: Option<Duration>,
    pub(super) continued: bool,
    /// How long after one picture the next may be looked at, with a decoder of its own.
    pub(super) earliest: Duration,
    /// What moves before it, where it rests meanwhile.
    pub(super) rests: Option<Stretches>,
    /// Of each floor, the models it takes as bits, and the longest time that is no breach.
    pub(super) floors: Vec<(u64, Duration)>,
    pub(super) decode_keyframe: Urn,
    pub(super) decode_unit: Urn,
    pub(super) scene: Urn,
    pub(super) prepare: Urn,
}

/// A camera.
pub(super) struct Camera {
    pub(super) id: CameraId,
    pub(super) kind: usize,
    /// Arrival of its unit 0, a keyframe.
    pub(super) first: Mono,
    pub(super) flying: bool,
    pub(super) leased: bool,
    /// The next unit for its leased decoder.
    pub(super) fed: Option<u64>,
    /// Units up to here were part of a look, or superseded.
    pub(super) decided: u64,
    pub(super) seen: Option<Mono>,
    pub(super) scene: Option<Scene>,
    /// Of each floor: the last picture that served it, and the longest time between two.
    pub(super) served: Vec<(Mono, Duration)>,
}

impl<'a> Kind<'a> {
    pub(super) fn of(of: &'a CameraType, costs: &Costs, models: &[&str], grace: Duration) -> Self {
        // Of a visit one keyframe is looked at, and what comes beside it is not.
        let (unit, group) =
            of.patrol.map_or((Duration::from_secs_f64(1.0 / of.fps), of.group), |patrol| (patrol.every, 1));
        let decode =
            costs.decoding(of.codec, of.width, of.height).expect("the mix was checked against these costs");
        let pixels = costs.pixels(of.width, of.height);
        let bit = |name: &str| models.iter().position(|model| *model == name).map_or(0, |at| 1 << at);
        let floors = of.need.floors.iter().map(|floor| {
            let models = floor.models.iter().fold(0, |bits, model| bits | bit(model.as_str()));
            let bound = of.floor(floor);
            (models, bound + grace.min(bound))
        });
        let interval = of.need.floors.iter().map(|floor| floor.blind_max).min();
        Self {
            of,
            unit,
            group,
            earliest: earliest(interval.unwrap_or_default(), unit),
            keyframes: unit * u32::try_from(group).unwrap_or(u32::MAX),
            interval,
            continued: of.need.floors.iter().any(|floor| floor.continued),
            rests: of.need.rest.map(|_| Stretches::of(of)),
            floors: floors.collect(),
            decode_keyframe: decode.keyframe.urn(),
            decode_unit: decode.unit.urn(),
            scene: pixels.scene.urn(),
            prepare: pixels.prepare.urn(),
        }
    }
}

impl Camera {
    /// The unit that is the newest at that moment.
    pub(super) fn unit_at(&self, unit: Duration, at: Mono) -> u64 {
        at.0.saturating_sub(self.first.0) / nanos(unit)
    }
    pub(super) fn arrival(&self, unit: Duration, number: u64) -> Mono {
        Mono(self.first.0.saturating_add(nanos(unit).saturating_mul(number)))
    }
    /// The last moment up to this one at which something came that comes every `step`.
    pub(super) fn last(&self, step: Duration, at: Mono) -> Mono {
        self.arrival(step, self.unit_at(step, at))
    }
    pub(super) fn offer(&self, kind: &Kind<'_>, now: Mono) -> Offer {
        let newest = self.unit_at(kind.unit, now);
        let keyframe = newest / kind.group * kind.group;
        let from = self.fed.unwrap_or(keyframe).min(newest);
        Offer {
            freshest_keyframe_arrival: (keyframe >= self.decided).then(|| self.arrival(kind.unit, keyframe)),
            newest_unit_arrival: Some(self.arrival(kind.unit, newest)),
            units_since_look: usize::try_from(newest + 1 - from).unwrap_or(usize::MAX),
            keyframe_interval_estimate: Some(kind.keyframes),
            rhythm: Some(Rhythm { every: kind.unit, uneven: Duration::ZERO }),
            blind: None,
        }
    }
}

/// Of pictures that come every `unit`, attention takes the one that is nearest to when the look is due, or the last one in time
/// of the floor: so many before, and it goes on waiting.
fn earliest(interval: Duration, unit: Duration) -> Duration {
    let nearest = interval.mul_f64(EARLY).saturating_sub(unit / 2);
    // Its margin is an eighth of the time between two.
    let last = interval.saturating_sub(unit.mul_f64(1.2)).max(interval / 2);
    nearest.min(last)
}

/// At least one.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}
