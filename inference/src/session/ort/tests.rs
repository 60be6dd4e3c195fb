//! The real runtime: the project's default model on a real picture, and models that must be refused.

use std::{fs, path::PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use xueliang_base::{detection::Meaning, time::SystemClock};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::*;
use crate::{
    model::wire::field,
    output::tests::{expected, repository},
    preprocess::tests::{flat, picture},
};

/// Loads the runtime, or fails with words that say what to do.
fn runtime() {
    let library = std::env::var_os("ORT_DYLIB_PATH")
        .map_or_else(|| repository(".cache/onnxruntime/libonnxruntime.so"), PathBuf::from);
    if let Err(e) = init_runtime(&library) {
        panic!("{e}");
    }
}

/// The picture that the recorded outputs were made from; `tools/footage.sh` prepares it.
pub(crate) fn street() -> Picture {
    let path = repository(".cache/clips/vtest-720@1fps.mjpeg");
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}: run `make setup`", path.display()));
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes), options);
    let pixels = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    let at = |x: u32, y: u32| {
        let i = (y as usize * width + x as usize) * 3;
        [pixels[i], pixels[i + 1], pixels[i + 2]]
    };
    let mut picture = picture(width as u32, height as u32, at);
    picture.full_range = true;
    picture
}

#[test]
fn the_default_model_sees_the_people_and_cars_of_a_real_street() {
    runtime();
    let model = Model::load(&repository("models/centernet-mobilenetv3")).unwrap();
    assert_eq!(model.most(), Some(100));
    let mut detector = OrtDetector::load(&model, Device::Cpu, SystemClock::shared()).unwrap();
    let looked = detector.look(&street(), None).unwrap();
    assert!(!looked.saturated);
    let reference = expected(model.manifest(), "centernet/expected.json");
    // Another JPEG decoder, and chroma scaled before the conversion: scores move a little, things do not.
    let sure =
        reference.iter().filter(|d| d.score > model.manifest().threshold.score + 0.1).collect::<Vec<_>>();
    assert!(sure.len() >= 5);
    for d in sure {
        let same = |f: &&Detection| f.meaning == d.meaning && f.rect.iou(&d.rect) > 0.7;
        let found = looked.detections.iter().find(same).unwrap_or_else(|| panic!("{d:?} in {looked:#?}"));
        assert!((found.score - d.score).abs() < 0.1, "{found:?} {d:?}");
    }
    assert!(looked.detections.len().abs_diff(reference.len()) <= 3, "{looked:#?}");
    assert!(looked.detections.is_sorted_by(|a, b| a.score >= b.score));
    assert!(looked.detections.iter().any(|d| d.meaning == Meaning::Vehicle));
    assert!(looked.preprocess_us > 0 && looked.infer_us > 0);

    let low = detector.look(&street(), Some(0.1)).unwrap();
    assert!(low.detections.len() > looked.detections.len());
    let blank = detector.look(&flat(1280, 720, [16, 128, 128]), None).unwrap();
    assert!(blank.detections.is_empty(), "{blank:?}");
    let mut broken = street();
    broken.planes.clear();
    assert!(detector.look(&broken, None).unwrap_err().to_string().contains("0 planes"));
}

#[test]
fn cuda_that_is_absent_falls_back_to_the_cpu() {
    runtime();
    let model = Model::load(&repository("models/centernet-mobilenetv3")).unwrap();
    let mut detector = OrtDetector::load(&model, Device::Cuda, SystemClock::shared()).unwrap();
    assert!(!detector.look(&street(), None).unwrap().detections.is_empty());
}

/// A model that gives the same values whatever it is shown, and a manifest of two classes for it.
fn constant(shape: &[u8], values: &[f32], manifest_type: &str) -> TempDir {
    // Field numbers as in `model/onnx.rs`, and TypeProto: 1 tensor_type (1 elem_type, 2 shape (1 dim (1 dim_value))).
    let info = |name: &str, element: u8, dims: &[u8]| {
        let dims: Vec<u8> = dims.iter().flat_map(|d| field(1, &[8, *d])).collect();
        let tensor = [vec![8, element], field(2, &dims)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    };
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let dims: Vec<u8> = shape.iter().flat_map(|d| [8, *d]).collect();
    let tensor = [dims, vec![16, 1], field(9, &raw)].concat();
    // AttributeProto: 1 name, 5 t, 20 type (4 is TENSOR).
    let attribute = [field(1, b"value"), field(5, &tensor), vec![0xa0, 1, 4]].concat();
    let node = [field(2, b"out"), field(4, b"Constant"), field(5, &attribute)].concat();
    let graph = [
        field(1, &node),
        field(2, b"constant"),
        field(11, &info("images", 2, &[1, 16, 16, 3])),
        field(12, &info("out", 1, shape)),
    ];
    // ModelProto: 1 ir_version, 7 graph, 8 opset_import (2 version).
    let onnx = [vec![8, 8], field(7, &graph.concat()), field(8, &[16, 13])].concat();
    let sum: String = Sha256::digest(&onnx).iter().map(|b| format!("{b:02x}")).collect();
    let manifest = format!(
        r#"
schema = 1
name = "constant"
version = "1"
family = "centernet"
licence = "Apache-2.0"
origin = "this test"
sha256 = "{sum}"
input = {{ name = "images", layout = "nhwc", type = "{manifest_type}", width = 16, height = 16, colour = "rgb", fit = "stretch" }}
output = {{ detections = "out" }}
threshold = {{ score = 0.5 }}
class = [{{ index = 0, name = "person", meaning = "person" }}, {{ index = 1, name = "kite", meaning = "ignored" }}]
"#
    );
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("model.onnx"), onnx).unwrap();
    fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

fn load(folder: &TempDir) -> Result<OrtDetector, Error> {
    runtime();
    OrtDetector::load(&Model::load(folder.path()).unwrap(), Device::Cpu, SystemClock::shared())
}

#[test]
fn ignored_classes_are_dropped_and_boxes_are_shares_of_the_picture() {
    let values = [0.0, 4.0, 8.0, 16.0, 0.9, 0.0, 0.0, 0.0, 8.0, 8.0, 0.95, 1.0];
    let mut detector = load(&constant(&[1, 2, 6], &values, "u8")).unwrap();
    let looked = detector.look(&flat(64, 64, [90, 128, 128]), None).unwrap();
    assert!(looked.saturated, "both rows count");
    assert!(!detector.look(&flat(64, 64, [90, 128, 128]), Some(0.92)).unwrap().saturated);
    let found = looked.detections;
    let rect = Rect::new(0.0, 0.25, 0.5, 1.0);
    assert_eq!(found, [Detection { meaning: Meaning::Person, score: 0.9, rect }]);
}

#[test]
fn a_model_that_cannot_be_trusted_is_refused_on_the_golden_picture() {
    let refused = |folder: TempDir| match load(&folder) {
        Err(Error::Model { message, .. }) => message,
        other => panic!("{:?}", other.map(|d| d.model().clone())),
    };
    let nan = refused(constant(&[1, 1, 6], &[0.0, 0.0, 8.0, 8.0, f32::NAN, 0.0], "u8"));
    assert!(nan.contains("golden picture") && nan.contains("no numbers"), "{nan}");
    let infinite = refused(constant(&[1, 1, 6], &[f32::INFINITY, 0.0, 8.0, 8.0, 0.1, 0.0], "u8"));
    assert!(infinite.contains("no numbers"), "{infinite}");
    let shape = refused(constant(&[1, 1, 5], &[0.0; 5], "u8"));
    assert!(shape.contains("rows of 5 numbers"), "{shape}");
    let class = refused(constant(&[1, 1, 6], &[0.0, 0.0, 8.0, 8.0, 0.9, 2.0], "u8"));
    assert!(class.contains("list every index"), "{class}");
    let kind = refused(constant(&[1, 1, 6], &[0.0; 6], "f32"));
    assert!(kind.contains("the manifest says"), "{kind}");
}

#[test]
fn a_missing_library_says_what_to_run() {
    let error = init_runtime(Path::new("/nowhere/libonnxruntime.so")).unwrap_err();
    assert!(matches!(error, Error::Runtime(_)));
    assert!(error.to_string().contains("tools/setup.sh"), "{error}");
}

#[test]
fn the_frame_and_its_tiles_cover_the_picture() {
    let all = parts(Tiles { columns: 4, rows: 3, overlap: 0.2, frame: true });
    assert_eq!((all.len(), all[0]), (13, Rect::FULL));
    let (first, last) = (all[1], all[12]);
    assert_eq!((first.x0, first.y0, last.x1, last.y1), (0.0, 0.0, 1.0, 1.0));
    assert!((first.x1 - 0.275).abs() < 1e-6 && (last.y0 - 0.6333).abs() < 1e-3);
    assert_eq!(parts(Tiles { columns: 2, rows: 1, overlap: 0.0, frame: false }).len(), 2);
}
