//! What a camera's rules ask of attention, and of which models.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{alert::ModelRef, config::Camera, detection::Meaning, id::ModelName};
use xueliang_inference::attention::{CameraNeed, Floor};

/// What a camera's rules ask of attention.
pub fn need(camera: &Camera) -> CameraNeed {
    CameraNeed {
        id: camera.id.clone(),
        weight: camera.weight,
        floors: camera
            .rules
            .iter()
            .filter(|rule| rule.condition.needs_picture())
            .map(|rule| Floor {
                rule: rule.id.clone(),
                kind: rule.kind,
                blind_max: rule.blind_max,
                continued: !rule.condition.keyframes_suffice(),
            })
            .collect(),
    }
}

/// For each meaning that the camera's rules need, the first model that can see it, and how often it must look.
pub(super) fn models_for(camera: &Camera, models: &[(ModelRef, Vec<Meaning>)]) -> Vec<(ModelName, Duration)> {
    let mut wanted: BTreeMap<ModelName, Duration> = BTreeMap::new();
    for rule in &camera.rules {
        for meaning in rule.condition.meanings() {
            if let Some((model, _)) = models.iter().find(|(_, sees)| sees.contains(&meaning)) {
                let interval = wanted.entry(model.name.clone()).or_insert(rule.blind_max);
                *interval = (*interval).min(rule.blind_max);
            }
        }
    }
    wanted.into_iter().collect()
}
