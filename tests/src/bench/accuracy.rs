//! AP50 of persons on `vtest.avi`, against ground truth from outside the project.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use xueliang_base::{
    config::Device,
    detection::Meaning,
    geometry::Rect,
    time::{Mono, SystemClock, Wall},
};
use xueliang_inference::{
    model::Model,
    session::{Detector, init_runtime, ort::OrtDetector},
};
use xueliang_ingest::clip::Recording;

use crate::service::repository;

/// Every so many pictures is looked at, as in the table of `docs/models.md`.
const STEP: usize = 5;
/// Picture size the ground truth was drawn on.
const WIDTH: f32 = 768.0;
const HEIGHT: f32 = 576.0;

/// What was measured of one model.
#[derive(Debug)]
pub struct Accuracy {
    /// Average precision at an overlap of one half, all points.
    pub ap50: f64,
    /// Least milliseconds of a look (preprocessing and inference, one thread).
    pub least_ms: f64,
    /// Pictures looked at.
    pub pictures: usize,
}

/// Measures a model folder.
pub fn of_model(folder: &Path, truth: &Path) -> anyhow::Result<Accuracy> {
    let truth = read_truth(truth)?;
    init_runtime(&repository().join(".cache/onnxruntime/libonnxruntime.so"))?;
    xueliang_ingest::init()?;
    let model = Model::load(folder)?;
    let mut detector = OrtDetector::load(&model, Device::Cpu, SystemClock::shared())?;
    let recording = Recording::open(&repository().join(".cache/footage/vtest.avi"))?;
    let (mut found, mut persons, mut pictures) = (Vec::new(), 0usize, 0);
    let mut least_us = u64::MAX;
    for (index, picture) in recording.pictures(Mono(1), Wall(0))?.enumerate() {
        let picture = picture?;
        if index % STEP != 0 {
            continue;
        }
        let looked = detector.look(&picture, Some(0.05))?;
        least_us = least_us.min(looked.preprocess_us + looked.infer_us);
        pictures += 1;
        let boxes = truth.get(&(index + 1)).map(Vec::as_slice).unwrap_or_default();
        persons += boxes.len();
        let mut taken = vec![false; boxes.len()];
        for detection in looked.detections.iter().filter(|d| d.meaning == Meaning::Person) {
            let best = boxes
                .iter()
                .enumerate()
                .filter(|(at, _)| !taken[*at])
                .map(|(at, rect)| (at, rect.iou(&detection.rect)))
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let hit = best.filter(|(_, iou)| *iou >= 0.5);
            if let Some((at, _)) = hit {
                taken[at] = true;
            }
            found.push((detection.score, hit.is_some()));
        }
    }
    Ok(Accuracy { ap50: average_precision(found, persons), least_ms: least_us as f64 / 1000.0, pictures })
}

pub(super) fn read_truth(path: &Path) -> anyhow::Result<BTreeMap<usize, Vec<Rect>>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let mut truth: BTreeMap<usize, Vec<Rect>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let fields: Vec<f32> = line.split(',').filter_map(|field| field.trim().parse().ok()).collect();
        anyhow::ensure!(fields.len() >= 6, "{} line {}: not MOT format", path.display(), number + 1);
        let [frame, _, x, y, w, h] = fields[..6] else { continue };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a frame number")]
        truth
            .entry(frame as usize)
            .or_default()
            .push(Rect::new(x / WIDTH, y / HEIGHT, (x + w) / WIDTH, (y + h) / HEIGHT).clamped());
    }
    Ok(truth)
}

/// Area under the precision envelope over recall.
fn average_precision(mut found: Vec<(f32, bool)>, persons: usize) -> f64 {
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut hits = 0;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (at, (_, hit)) in found.iter().enumerate() {
        hits += usize::from(*hit);
        points.push((hits as f64 / persons.max(1) as f64, hits as f64 / (at + 1) as f64));
    }
    let mut best = 0.0f64;
    for point in points.iter_mut().rev() {
        best = best.max(point.1);
        point.1 = best;
    }
    let mut area = 0.0;
    let mut before = 0.0;
    for (recall, precision) in points {
        area += (recall - before) * precision;
        before = recall;
    }
    area
}

#[cfg(test)]
mod tests {
    use super::average_precision;

    #[test]
    fn perfect_detections_have_precision_one_and_none_have_zero() {
        assert!((average_precision(vec![(0.9, true), (0.8, true)], 2) - 1.0).abs() < 1e-9);
        assert!((average_precision(vec![(0.9, true), (0.8, false)], 2) - 0.5).abs() < 1e-9);
        assert_eq!(average_precision(vec![(0.9, false)], 2), 0.0);
    }
}
