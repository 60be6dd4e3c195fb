//! Which model's silence means absence: a model vouches only for what it can see.
//!
//! Where the loaded models are declared, each meaning is served by the first that lists it, and by no other. Where
//! they are not, any model's detections count, and a model vouches for the absence of a meaning only once it has
//! reported that meaning.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_base::{detection::Meaning, id::ModelName, look::ModelView};

use crate::rules::Hit;

/// A loaded model and the meanings it can see, in the order rules prefer models.
pub type ModelMeanings = (ModelName, Vec<Meaning>);

/// What is known of the models.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eyes {
    declared: Vec<ModelMeanings>,
    reported: BTreeMap<ModelName, BTreeSet<Meaning>>,
}

/// What the models that matter saw.
pub(crate) struct Looked<'a> {
    pub(crate) hits: Vec<Hit<'a>>,
    /// Whether every meaning was looked for.
    pub(crate) complete: bool,
    /// The models that looked for any of the meanings.
    pub(crate) models: Vec<&'a ModelName>,
}

impl Eyes {
    pub(crate) fn declare(&mut self, models: &[ModelMeanings]) {
        self.declared = models.to_vec();
    }
    pub(crate) fn declared(&self) -> &[ModelMeanings] {
        &self.declared
    }
    /// Remembers what models report.
    pub(crate) fn learn(&mut self, views: &[ModelView]) {
        if !self.declared.is_empty() {
            return;
        }
        for view in views {
            // A model is known by its name; hostile numbers of names are the loader's to refuse.
            let known = self.reported.entry(view.model.clone()).or_default();
            known.extend(view.detections.iter().map(|detection| detection.meaning));
        }
    }
    /// Whether rules take this meaning from this model.
    pub(crate) fn serves(&self, model: &ModelName, meaning: Meaning) -> bool {
        if self.declared.is_empty() {
            return true;
        }
        self.declared
            .iter()
            .find(|(_, meanings)| meanings.contains(&meaning))
            .is_some_and(|(name, _)| name == model)
    }
    /// Whether some model is known to see this meaning.
    pub(crate) fn sees(&self, meaning: Meaning) -> bool {
        let mut known = self.declared.iter().map(|(_, meanings)| meanings.contains(&meaning));
        let mut reported = self.reported.values().map(|meanings| meanings.contains(&meaning));
        known.any(|sees| sees) || reported.any(|sees| sees)
    }
    fn vouches(&self, model: &ModelName, meaning: Meaning) -> bool {
        if self.declared.is_empty() {
            return self.reported.get(model).is_some_and(|known| known.contains(&meaning));
        }
        self.serves(model, meaning)
    }
    pub(crate) fn look<'a>(&self, meanings: &[Meaning], views: &'a [ModelView]) -> Looked<'a> {
        let mut looked = Looked { hits: Vec::new(), complete: true, models: Vec::new() };
        for meaning in meanings {
            looked.complete &= views.iter().any(|view| self.vouches(&view.model, *meaning));
        }
        for view in views {
            if meanings.iter().any(|meaning| self.serves(&view.model, *meaning)) {
                looked.models.push(&view.model);
            }
            let wanted = |m: Meaning| meanings.contains(&m) && self.serves(&view.model, m);
            looked.hits.extend(
                view.detections
                    .iter()
                    .filter(|detection| wanted(detection.meaning))
                    .map(|detection| Hit { detection, model: &view.model }),
            );
        }
        looked
    }
}
