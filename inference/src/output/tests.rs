//! Every family against recorded outputs of a real model (`inference/testdata/README.md`), and against wrong ones.

use std::{fs, path::PathBuf};

use xueliang_base::geometry::Rect;

use super::*;
use crate::preprocess::{Preprocessor, tests::flat};

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn manifest(path: &str) -> Manifest {
    Manifest::parse(&fs::read_to_string(repository(path)).unwrap()).unwrap()
}

/// Reads a NumPy array of little-endian f2 or f4 in C order (NEP 1, version 1.0).
fn npy(path: &str) -> (Vec<i64>, Vec<f32>) {
    let bytes = fs::read(repository("inference/testdata").join(path)).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8(bytes[10..end].to_vec()).unwrap();
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let data = &bytes[end..];
    let values = if header.contains("'<f2'") {
        data.chunks_exact(2).map(|b| half(u16::from_le_bytes([b[0], b[1]]))).collect()
    } else {
        assert!(header.contains("'<f4'"));
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    (shape, values)
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 => f32::INFINITY,
        e => (1.0 + fraction / 1024.0) * 2f32.powi(e - 15),
    }
}

/// The reference's detections, with our meanings and our suppression by meaning on top of its by class.
pub(crate) fn expected(manifest: &Manifest, path: &str) -> Vec<Detection> {
    let text = fs::read_to_string(repository("inference/testdata").join(path)).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut detections: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let number = |key: &str| row[key].as_f64().unwrap() as f32;
            let meaning = manifest.classes[row["class"].as_u64().unwrap() as usize].meaning?;
            let rect = Rect::new(number("x0"), number("y0"), number("x1"), number("y1"));
            Some(Detection { meaning, score: number("score"), rect })
        })
        .collect();
    if let Some(iou) = manifest.threshold.nms_iou {
        nms::suppress(&mut detections, iou);
    }
    detections
}

/// Where `frame.jpg` (768x576) lies in the model's input.
fn placed(manifest: &Manifest) -> Placed {
    Preprocessor::new(&manifest.input).fill(&flat(768, 576, [0; 3]), Rect::FULL).unwrap()
}

fn assert_same(found: &[Detection], expected: &[Detection]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}\n{expected:#?}");
    for (a, b) in found.iter().zip(expected) {
        let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
        let same = a.meaning == b.meaning
            && near(a.score, b.score)
            && near(a.rect.x0, b.rect.x0)
            && near(a.rect.y0, b.rect.y0)
            && near(a.rect.x1, b.rect.x1)
            && near(a.rect.y1, b.rect.y1);
        assert!(same, "{a:?}\n{b:?}");
    }
}

fn check(manifest_path: &str, folder: &str, files: &[&str]) {
    let manifest = manifest(manifest_path);
    let arrays: Vec<_> = files.iter().map(|file| npy(&format!("{folder}/{file}.npy"))).collect();
    let tensors: Vec<_> = arrays.iter().map(|(shape, values)| Tensor { shape, values }).collect();
    let placed = placed(&manifest);
    let found = decode(&manifest, &placed, &tensors, manifest.threshold.score).unwrap();
    assert!(!found.is_empty());
    assert_same(&found, &expected(&manifest, &format!("{folder}/expected.json")));
    // A lower threshold only adds.
    let low = decode(&manifest, &placed, &tensors, 0.1).unwrap();
    assert!(low.len() > found.len());
    assert_same(&low[..found.len()], &found);

    // One value that is no number, and a class that the manifest does not list, are errors.
    let (shape, values) = &arrays[0];
    let mut broken = values.clone();
    broken[7] = f32::NAN;
    let mut wrong = tensors.clone();
    wrong[0] = Tensor { shape, values: &broken };
    assert!(decode(&manifest, &placed, &wrong, 0.5).unwrap_err().contains("no numbers"));
    let mut fewer = manifest.clone();
    fewer.classes.truncate(1);
    assert!(decode(&fewer, &placed, &tensors, 0.1).unwrap_err().contains("list every index"));
    // So are other shapes.
    let mut flat = tensors.clone();
    flat[0] = Tensor { shape: &[1, 7], values: &values[..7] };
    assert!(decode(&manifest, &placed, &flat, 0.5).is_err());
    flat[0] = Tensor { shape: &[2, 3], values: &values[..6] };
    assert!(decode(&manifest, &placed, &flat, 0.5).unwrap_err().contains("batch 1"));
    assert!(decode(&manifest, &placed, &[], 0.5).is_err());
}

#[test]
fn yolox_decodes_as_the_reference_does() {
    check("models/bring/yolox-nano.toml", "yolox", &["predictions"]);
}

#[test]
fn ssd_decodes_as_the_reference_does() {
    check("models/bring/coco-ssd-mobilenetv2.toml", "ssd", &["scores", "boxes"]);
}

#[test]
fn centernet_decodes_as_the_reference_does() {
    check("models/centernet-mobilenetv3/manifest.toml", "centernet", &["detections"]);
}

#[test]
fn a_classifiers_scores_are_the_references() {
    let manifest = manifest("models/bring/fire-shufflenet.toml");
    for name in ["frame", "fire"] {
        let (shape, values) = npy(&format!("classifier/{name}.npy"));
        let expected = expected(&manifest, &format!("classifier/{name}.json"));
        assert_eq!(shape, [13, 1]);
        for (value, expected) in values.iter().zip(expected) {
            let placed = Placed { part: expected.rect, width: 224, height: 224 };
            let tensor = Tensor { shape: &[1, 1], values: &[*value] };
            assert_same(&decode(&manifest, &placed, &[tensor], 0.0).unwrap(), &[expected]);
            assert!(decode(&manifest, &placed, &[tensor], expected.score + 0.001).unwrap().is_empty());
        }
    }
}

#[test]
fn a_softmax_shares_one_among_the_classes() {
    let mut manifest = manifest("models/bring/fire-shufflenet.toml");
    let fire = manifest.classes[0].clone();
    let none = Class { name: "none".into(), meaning: None };
    manifest.classes = vec![none, fire];
    manifest.output =
        Output::Classifier { logit: "out".into(), activation: crate::model::Activation::Softmax };
    let placed = Placed { part: Rect::FULL, width: 224, height: 224 };
    let tensor = Tensor { shape: &[1, 2], values: &[80.0, 80.0 + 3f32.ln()] };
    let found = decode(&manifest, &placed, &[tensor], 0.1).unwrap();
    assert_same(&found, &[Detection { meaning: Meaning::Fire, score: 0.75, rect: Rect::FULL }]);
}
