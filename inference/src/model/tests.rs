//! What `Model::load` refuses, and how it says so.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{onnx::tests as wire, *};

const GOOD: &str = r#"
schema = 1
name = "toy"
version = "3"
family = "centernet"
licence = "MIT"
origin = "made up"
sha256 = "SUM"
[input]
name = "images"
layout = "nhwc"
type = "u8"
width = 64
height = 32
colour = "rgb"
fit = "stretch"
[output]
detections = "out"
[threshold]
score = 0.4
nms_iou = 0.5
[[class]]
index = 1
name = "truck"
meaning = "vehicle"
[[class]]
index = 0
name = "person"
meaning = "person"
[[class]]
index = 2
name = "car"
meaning = "vehicle"
[[class]]
index = 3
name = "kite"
meaning = "ignored"
"#;

fn folder(manifest: &str, onnx: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("model.onnx"), onnx).unwrap();
    let manifest = manifest.replace("SUM", &hex(&Sha256::digest(onnx)));
    fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

fn refused(manifest: &str, onnx: &[u8]) -> String {
    Model::load(folder(manifest, onnx).path()).unwrap_err().to_string()
}

#[test]
fn a_good_folder_is_a_model() {
    let onnx = wire::model("", &[]);
    let folder = folder(GOOD, &onnx);
    let model = Model::load(folder.path()).unwrap();
    assert_eq!(model.name().as_str(), "toy");
    assert_eq!(model.version(), "3");
    assert_eq!(model.meanings(), [Meaning::Person, Meaning::Vehicle]);
    assert_eq!(model.manifest().classes[1].name, "truck");
    assert_eq!(model.manifest().classes[3].meaning, None);
    assert_eq!(model.onnx(), onnx);
}

#[test]
fn the_length_of_a_models_list_is_read_from_the_file_or_told_by_the_manifest() {
    let axis = |n: u8| wire::field(1, &[8, n]);
    let shape = wire::field(2, &wire::field(1, &wire::field(2, &[axis(1), axis(100), axis(6)].concat())));
    let listed = wire::field(12, &[wire::field(1, b"list"), shape].concat());
    let of = |output: &str, more: &[u8]| {
        Model::load(folder(&GOOD.replace("\"out\"", output), &wire::model("", more)).path())
    };
    assert_eq!(of("\"list\"", &listed).unwrap().most(), Some(100));
    assert_eq!(of("\"out\"", &[]).unwrap().most(), None);
    assert_eq!(of("\"out\"\nmost = 50", &[]).unwrap().most(), Some(50));
    assert!(of("\"list\"\nmost = 50", &listed).unwrap_err().to_string().contains("100 rows"));
}

#[test]
fn all_faults_of_a_manifest_come_at_once() {
    let bad = GOOD
        .replace("schema = 1", "schema = 2")
        .replace("\"nhwc\"", "\"nwhc\"")
        .replace("width = 64", "width = 0")
        .replace("score = 0.4", "score = 4")
        .replace("detections = \"out\"", "detection = \"out\"")
        .replace("meaning = \"ignored\"", "meaning = \"toy\"")
        .replace("index = 3", "index = 7")
        .replace("licence = \"MIT\"", "");
    let message = refused(&bad, &wire::model("", &[]));
    for part in [
        "schema: only 1",
        "input.layout: must be nchw or nhwc",
        "input.width: must be a whole number from 16",
        "threshold.score: must be a number from 0 to 1",
        "output.detections: is missing",
        "output.detection: is not a key",
        "\"toy\" is none of person",
        "class[3].index: 7 leaves a gap",
        "licence: is missing",
    ] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn faults_by_family_are_told() {
    let onnx = wire::model("", &[]);
    let classifier = GOOD
        .replace("\"centernet\"", "\"classifier\"")
        .replace("detections = \"out\"", "logit = \"out\"\nactivation = \"softmax\"\npositive = \"negated\"");
    let message = refused(&classifier, &onnx);
    for part in ["tiles: is missing", "output.positive: may only"] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    let tiled = format!("{GOOD}\n[tiles]\ncolumns = 2\nrows = 2\n");
    assert!(refused(&tiled, &onnx).contains("classifiers only"));
    let mean = GOOD.replace("fit = \"stretch\"", "fit = \"stretch\"\npad = 3\nmean = [1, 2, 3]");
    let message = refused(&mean, &onnx);
    assert!(message.contains("input.mean: and std") && message.contains("input.pad"), "{message}");
    let none = GOOD.replace("\"person\"\nmeaning = \"person\"", "\"person\"\nmeaning = \"ignored\"");
    assert!(refused(&none.replace("\"vehicle\"", "\"ignored\""), &onnx).contains("at least one class"));
}

#[test]
fn a_file_that_is_not_the_manifests_is_refused() {
    let folder = folder(GOOD, &wire::model("", &[]));
    fs::write(folder.path().join("model.onnx"), b"other").unwrap();
    let message = Model::load(folder.path()).unwrap_err().to_string();
    assert!(message.contains("sha256"), "{message}");
    fs::remove_file(folder.path().join("model.onnx")).unwrap();
    assert!(Model::load(folder.path()).unwrap_err().to_string().contains("cannot read model.onnx"));
    assert!(Model::load(&PathBuf::from("/nowhere")).unwrap_err().to_string().contains("manifest.toml"));
}

#[test]
fn a_class_that_hints_at_identity_is_refused_even_when_ignored() {
    let message =
        refused(&GOOD.replace("name = \"kite\"", "name = \"licence_plate\""), &wire::model("", &[]));
    assert!(message.contains("events, never people"), "{message}");
}

#[test]
fn a_graph_with_foreign_code_or_data_or_wrong_names_is_refused() {
    assert!(refused(GOOD, &wire::model("acme", &[])).contains("\"acme\""));
    let external = wire::field(5, &wire::field(13, &wire::field(1, b"location")));
    assert!(refused(GOOD, &wire::model("", &external)).contains("another file"));
    let embedding = wire::field(12, &wire::field(1, b"person_embedding"));
    assert!(refused(GOOD, &wire::model("", &embedding)).contains("hints at identity"));
    let message = refused(&GOOD.replace("\"images\"", "\"image\""), &wire::model("", &[]));
    assert!(message.contains("no input \"image\"; it has images"), "{message}");
    assert!(refused(GOOD, b"nonsense").contains("not a usable ONNX file"));
}
