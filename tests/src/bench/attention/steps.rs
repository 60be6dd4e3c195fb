//! What the steps of a camera without attention cost, each by itself: what the reference is held against.

use std::sync::Arc;

use anyhow::Context;
use xueliang_base::config::StreamSource;
use xueliang_simulator::Clip;

use super::footage::HZ;
use crate::bench::costs::{footage::Footage, looks, service};

/// Looks a second.
pub(super) const LOOKS: f64 = 5.0;

/// Processor time of one camera's steps, milliseconds of a core a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    receive: f64,
    pub(super) decode: f64,
    scene: f64,
    prepare: f64,
    pub(super) infer: f64,
    rules: f64,
}

impl Steps {
    /// Per cent of a core.
    pub(super) fn percent(&self) -> f64 {
        (self.receive + self.decode + self.scene + self.prepare + self.infer + self.rules) / 10.0
    }
    pub(super) fn told(&self) -> String {
        format!(
            "receive {:.2}, decode {:.2}, scene {:.2}, prepare {:.2}, model {:.2}, rules {:.2} %",
            self.receive / 10.0,
            self.decode / 10.0,
            self.scene / 10.0,
            self.prepare / 10.0,
            self.infer / 10.0,
            self.rules / 10.0
        )
    }
}

/// Receives, decodes and looks at the clips with the service's own code, step by step: every unit, and five looks a second.
/// Looks at all clips go on at one time, as on the workers of a machine; the mean of all.
pub(super) async fn measure(clips: &[Arc<Clip>]) -> anyhow::Result<Steps> {
    let footage = clips.iter().map(|clip| Footage::of(clip, HZ)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut receive = Vec::new();
    for one in &footage {
        receive.push(service::receive(one, StreamSource::Retina).await?.unit_us);
    }
    let measured: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            footage.iter().map(|one| scope.spawn(|| looks::measure(std::slice::from_ref(one)))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let (units, looks) = (f64::from(HZ) / 1000.0, LOOKS / 1000.0);
    let mut steps = Steps { receive: 0.0, decode: 0.0, scene: 0.0, prepare: 0.0, infer: 0.0, rules: 0.0 };
    let share = 1.0 / clips.len().max(1) as f64;
    for (received, measured) in receive.into_iter().zip(measured) {
        let (decode, picture, model, rules) = measured?;
        let (decode, picture) = decode.first().zip(picture.first()).context("one size was measured")?;
        steps.receive += received * units * share;
        steps.decode += decode.unit.mean_us * units * share;
        steps.scene += picture.scene.mean_us * looks * share;
        steps.prepare += picture.prepare.mean_us * looks * share;
        steps.infer += model.infer.mean_us * looks * share;
        steps.rules += rules.still_us * looks * share;
    }
    Ok(steps)
}
