//! A detector that says what a test tells it to.

use std::collections::VecDeque;

use xueliang_base::{
    detection::{Detection, Meaning},
    picture::Picture,
};

use super::{Detector, Looked};
use crate::{Error, model::Manifest, nms};

/// What a [`FakeDetector`] does on one look.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Sees these.
    See(Vec<Detection>),
    /// Sees these, and its list is full.
    Full(Vec<Detection>),
    /// Fails, as a model that gives no numbers does.
    Fail,
}

/// Plays a script, one step a look; the last step is repeated for ever.
#[derive(Debug)]
pub struct FakeDetector {
    manifest: Manifest,
    script: VecDeque<Step>,
    looks: u64,
}

impl FakeDetector {
    /// A detector of this name and script that knows every meaning; its threshold is 0.5.
    ///
    /// # Panics
    /// When `name` is no model name: this type is for tests.
    pub fn new(name: &str, script: impl IntoIterator<Item = Step>) -> Self {
        Self { manifest: manifest(name), script: script.into_iter().collect(), looks: 0 }
    }
    /// Sees the same on every look.
    ///
    /// # Panics
    /// When `name` is no model name: this type is for tests.
    pub fn seeing(name: &str, detections: Vec<Detection>) -> Self {
        Self::new(name, [Step::See(detections)])
    }
    /// The same detector with these meanings only.
    #[must_use]
    pub fn knowing(mut self, meanings: &[Meaning]) -> Self {
        for class in &mut self.manifest.classes {
            class.meaning = class.meaning.filter(|meaning| meanings.contains(meaning));
        }
        self
    }
    /// Looks so far.
    pub fn looks(&self) -> u64 {
        self.looks
    }
}

impl Detector for FakeDetector {
    fn model(&self) -> &Manifest {
        &self.manifest
    }
    fn look(&mut self, _picture: &Picture, min_score: Option<f32>) -> Result<Looked, Error> {
        self.looks += 1;
        let step = if self.script.len() > 1 { self.script.pop_front() } else { self.script.front().cloned() };
        match step {
            Some(Step::Fail) => Err(Error::Run {
                model: self.manifest.name.to_string(),
                message: "its script says so".to_owned(),
            }),
            step => {
                let saturated = matches!(step, Some(Step::Full(_)));
                let mut detections = match step {
                    Some(Step::See(detections) | Step::Full(detections)) => detections,
                    _ => Vec::new(),
                };
                let floor = min_score.unwrap_or(self.manifest.threshold.score);
                detections.retain(|d| d.score >= floor);
                nms::sort(&mut detections);
                Ok(Looked { detections, saturated, preprocess_us: 0, infer_us: 0 })
            }
        }
    }
}

fn manifest(name: &str) -> Manifest {
    let mut text = format!(
        r#"
schema = 1
name = "{name}"
version = "fake"
family = "centernet"
licence = "Apache-2.0"
origin = "a script"
sha256 = "{}"
input = {{ name = "images", layout = "nhwc", type = "u8", width = 64, height = 64, colour = "rgb", fit = "stretch" }}
output = {{ detections = "detections" }}
threshold = {{ score = 0.5, nms_iou = 0.5 }}
"#,
        "0".repeat(64)
    );
    for (index, meaning) in Meaning::ALL.into_iter().enumerate() {
        let word = meaning.word();
        text.push_str(&format!("[[class]]\nindex = {index}\nname = \"{word}\"\nmeaning = \"{word}\"\n"));
    }
    Manifest::parse(&text).expect("the text above is a manifest where the name is a model name")
}

#[cfg(test)]
mod tests {
    use xueliang_base::geometry::Rect;

    use super::*;
    use crate::preprocess::tests::flat;

    #[test]
    fn a_script_is_played_and_its_last_step_stays() {
        let seen = |score| Detection { meaning: Meaning::Fire, score, rect: Rect::FULL };
        let steps = [Step::See(vec![seen(0.3), seen(0.9)]), Step::Fail, Step::See(vec![])];
        let mut detector = FakeDetector::new("fake", steps);
        let picture = flat(16, 16, [16, 128, 128]);
        assert_eq!(detector.look(&picture, None).unwrap().detections, [seen(0.9)]);
        assert!(detector.look(&picture, None).is_err());
        assert!(detector.look(&picture, None).unwrap().detections.is_empty());
        assert!(detector.look(&picture, None).unwrap().detections.is_empty());
        assert_eq!(detector.looks(), 4);
        assert_eq!(detector.model().meanings().len(), Meaning::ALL.len());
        let mut low = FakeDetector::seeing("fake", vec![seen(0.3), seen(0.9)]);
        assert_eq!(low.look(&picture, Some(0.1)).unwrap().detections, [seen(0.9), seen(0.3)]);
    }
}
