//! What a camera's rules ask of attention, and of which models.

use std::collections::BTreeSet;

use xueliang_base::{
    alert::ModelRef,
    config::{Camera, Rule},
    detection::Meaning,
    id::ModelName,
};
use xueliang_inference::attention::{CameraNeed, Floor};

/// What a camera's rules ask of attention, whatever models there will be.
pub fn need(camera: &Camera) -> CameraNeed {
    ask(camera, |_| Some(Vec::new()))
}

/// What they ask of attention and of the loaded models.
pub(super) fn need_of(camera: &Camera, models: &[(ModelRef, Vec<Meaning>)]) -> CameraNeed {
    ask(camera, |meanings| {
        let serving = |meaning: &Meaning| {
            models.iter().find(|(_, sees)| sees.contains(meaning)).map(|(model, _)| model.name.clone())
        };
        let names: Option<BTreeSet<ModelName>> = meanings.iter().map(serving).collect();
        names.map(|names| names.into_iter().collect())
    })
}

/// `models_for`: of each meaning the first model that sees it; `None` where one has none.
fn ask(camera: &Camera, models_for: impl Fn(&[Meaning]) -> Option<Vec<ModelName>>) -> CameraNeed {
    let floor = |rule: &Rule| {
        let models = models_for(&rule.condition.meanings());
        Floor {
            rule: rule.id.clone(),
            kind: rule.kind,
            blind_max: rule.blind_max,
            continued: !rule.condition.keyframes_suffice(),
            unserved: models.is_none(),
            models: models.unwrap_or_default(),
        }
    };
    CameraNeed {
        id: camera.id.clone(),
        weight: camera.weight,
        floors: camera.rules.iter().filter(|rule| rule.condition.needs_picture()).map(floor).collect(),
    }
}
