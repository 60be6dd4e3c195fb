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

/// Receives, decodes and looks at the clip with the service's own code, step by step: every unit, and five looks a second.
pub(super) async fn measure(clip: &Arc<Clip>) -> anyhow::Result<Steps> {
    let footage = Footage::of(clip, HZ)?;
    let received = service::receive(&footage, StreamSource::Retina).await?;
    let (decode, picture, model, rules) = looks::measure(&[footage])?;
    let (decode, picture) = decode.first().zip(picture.first()).context("one size was measured")?;
    let (units, looks) = (f64::from(HZ) / 1000.0, LOOKS / 1000.0);
    Ok(Steps {
        receive: received.unit_us * units,
        decode: decode.unit.mean_us * units,
        scene: picture.scene.mean_us * looks,
        prepare: picture.prepare.mean_us * looks,
        infer: model.infer.mean_us * looks,
        rules: rules.still_us * looks,
    })
}
