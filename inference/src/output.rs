//! From a model's raw output to detections: one file a family.
//!
//! Classes that the manifest ignores are dropped, boxes come back to shares of the picture, and doubles are suppressed.
//! An output that is not of the manifest's shape, or that holds a value that is no number, is an error: "nothing seen"
//! and "could not look" are different facts.

use xueliang_base::{
    detection::{Detection, Meaning},
    geometry::Rect,
};

use crate::{
    model::{Class, Manifest, Output},
    nms,
    preprocess::Placed,
};

mod centernet;
mod classifier;
mod ssd;
mod yolox;

/// One output tensor.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Its axes.
    pub shape: &'a [i64],
    /// Its values, last axis first to change.
    pub values: &'a [f32],
}

impl<'a> Tensor<'a> {
    /// The last axis and the rows before it, where the tensor is `[1, rows…, columns]` and not empty.
    fn table(&self, name: &str) -> Result<(usize, std::slice::ChunksExact<'a, f32>), String> {
        let columns = self.shape.last().and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
        let count: i64 = self.shape.iter().product();
        if self.shape.first() != Some(&1) || columns == 0 || usize::try_from(count) != Ok(self.values.len()) {
            return Err(format!("output {name:?} has shape {:?}, batch 1 is needed", self.shape));
        }
        Ok((columns, self.values.chunks_exact(columns)))
    }
}

/// Whether all values are finite. Works on bits, so that it takes some microseconds for a million values.
fn finite(values: &[f32]) -> bool {
    values.iter().fold(0, |most, v| (v.to_bits() & 0x7fff_ffff).max(most)) < f32::INFINITY.to_bits()
}

/// What was found so far.
struct Found<'a> {
    classes: &'a [Class],
    floor: f32,
    detections: Vec<Detection>,
}

impl Found<'_> {
    /// What a class means; `None` where it is ignored.
    fn meaning(&self, class: usize) -> Option<Meaning> {
        self.classes.get(class).and_then(|class| class.meaning)
    }
    fn push(&mut self, meaning: Meaning, score: f32, rect: Option<Rect>) {
        if let Some(rect) = rect {
            self.detections.push(Detection { meaning, score: score.clamp(0.0, 1.0), rect });
        }
    }
    /// An error unless the output has as many classes as the manifest lists.
    fn check_classes(&self, columns: usize, leading: usize) -> Result<(), String> {
        let listed = self.classes.len();
        if columns == leading + listed {
            return Ok(());
        }
        Err(format!(
            "the output has {} classes, the manifest lists {listed}: list every index",
            columns.saturating_sub(leading)
        ))
    }
}

/// Reads the output of one run: detections of at least `floor`, by falling score, before doubles are suppressed.
/// `tensors` stand in the order of [`Output::tensors`].
pub(crate) fn candidates(
    manifest: &Manifest,
    placed: &Placed,
    tensors: &[Tensor<'_>],
    floor: f32,
) -> Result<Vec<Detection>, String> {
    let names = manifest.output.tensors();
    for (tensor, name) in tensors.iter().zip(&names) {
        if !finite(tensor.values) {
            return Err(format!("output {name:?} holds values that are no numbers"));
        }
    }
    let mut found = Found { classes: &manifest.classes, floor, detections: Vec::new() };
    match (&manifest.output, tensors) {
        (Output::Yolox { predictions }, [table]) => {
            let size = (manifest.input.width, manifest.input.height);
            yolox::decode(table.table(predictions)?, size, placed, &mut found)?;
        }
        (Output::Ssd { scores, boxes, first_class }, [score_table, box_table]) => {
            let size = (manifest.input.width as f32, manifest.input.height as f32);
            let tables = (score_table.table(scores)?, box_table.table(boxes)?);
            ssd::decode(tables, *first_class, size, placed, &mut found)?;
        }
        (Output::CenterNet { detections, .. }, [table]) => {
            centernet::decode(table.table(detections)?, placed, &mut found)?;
        }
        (Output::Classifier { logit, activation }, [table]) => {
            classifier::decode(table.table(logit)?, *activation, placed, &mut found)?;
        }
        _ => return Err(format!("{} outputs, {} are needed", tensors.len(), names.len())),
    }
    let mut detections = found.detections;
    nms::sort(&mut detections);
    Ok(detections)
}

/// Reads the output of one run: detections of at least `floor`, by falling score, each object once.
/// `tensors` stand in the order of [`Output::tensors`]. The message of an error says what is wrong with the output.
pub fn decode(
    manifest: &Manifest,
    placed: &Placed,
    tensors: &[Tensor<'_>],
    floor: f32,
) -> Result<Vec<Detection>, String> {
    let mut detections = candidates(manifest, placed, tensors, floor)?;
    if let Some(iou) = manifest.threshold.nms_iou {
        nms::suppress(&mut detections, iou);
    }
    Ok(detections)
}

/// Whether the model's list was full of what counts: then it may have left something out. Families with a place for every
/// object have no such list.
pub fn saturated(manifest: &Manifest, tensors: &[Tensor<'_>], floor: f32) -> bool {
    match (&manifest.output, tensors) {
        (Output::CenterNet { detections, .. }, [table]) => {
            table.table(detections).is_ok_and(|(columns, mut rows)| {
                columns == 6 && rows.all(|row| row.get(4).is_some_and(|score| *score >= floor))
            })
        }
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
