//! The workspace is what `ARCHITECTURE.md` says: who may depend on whom, and where drivers may be named.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

#[test]
fn crates_depend_on_each_other_as_drawn() {
    // Normal dependencies within the workspace; tests may use the simulator besides.
    let drawn: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("proto", vec![]),
        ("base", vec!["proto"]),
        ("simulator", vec![]),
        ("ingest", vec!["base"]),
        ("inference", vec!["base"]),
        ("alerts", vec!["base", "proto"]),
        ("server", vec!["alerts", "base", "inference", "ingest", "proto", "simulator"]),
    ]);
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name").trim_start_matches("xueliang-").to_owned();
        if name == "tests" {
            continue;
        }
        let ours: BTreeSet<String> = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| {
                dependency["name"].as_str()?.strip_prefix("xueliang-").map(str::to_owned)
            })
            .collect();
        let expected: BTreeSet<String> = drawn
            .get(name.as_str())
            .unwrap_or_else(|| panic!("crate {name} is not drawn in ARCHITECTURE.md"))
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        assert_eq!(ours, expected, "dependencies of {name}");
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn drivers_are_named_only_where_they_live() {
    let root = root();
    // What a driver is called in code, and the only places that may say it.
    let homes: [(&[&str], &[&str]); 4] = [
        (
            &["gstreamer::", "gstreamer_app", "gstreamer_video", "gst::"],
            &["ingest/src/gst.rs", "ingest/src/gst/"],
        ),
        (&["ort::"], &["inference/src/session/ort.rs", "inference/src/session/ort/"]),
        (&["rusqlite::"], &["/store.rs", "/store/"]),
        (
            &["tonic::"],
            &[
                "/grpc.rs",
                "/grpc/",
                "proto/src",
                "server/src/roles/",
                "server/src/node/",
                "client.rs",
                "publisher.rs",
                "client/",
            ],
        ),
    ];
    for krate in ["base", "ingest", "inference", "alerts", "simulator", "server"] {
        let mut files = Vec::new();
        sources(&root.join(krate).join("src"), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("source is text");
            let shown = file.strip_prefix(&root).expect("below the root").display().to_string();
            for (words, places) in homes {
                if places.iter().any(|place| shown.contains(place)) {
                    continue;
                }
                for (number, line) in text.lines().enumerate() {
                    let code = line.split("//").next().unwrap_or_default();
                    let named = words.iter().any(|word| {
                        code.match_indices(word).any(|(at, _)| {
                            // `use super::gst::…` and `session::ort::…` name our modules, not the driver.
                            !code[..at].ends_with("::")
                                && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                        })
                    });
                    let ours = shown.starts_with("ingest/src") && code.contains("crate::gst::")
                        // Our own detector, named in a tree of imports.
                        || code.contains("ort::OrtDetector");
                    assert!(
                        !named || ours,
                        "{shown}:{}: a driver is named outside its place: {line}",
                        number + 1
                    );
                }
            }
        }
    }
}

#[test]
fn the_schema_has_no_field_for_an_observed_person() {
    let words = [
        "person",
        "face",
        "plate",
        "identity",
        "embedding",
        "feature_vector",
        "gender",
        "age_years",
        "ethnic",
        "clothing",
        "emotion",
        "gait",
        "watch_list",
        "watchlist",
        "blacklist",
        "trajectory",
        "track_id",
        "score_of",
    ];
    // Enumerated kinds of hazard name what happened; they are no fields. Comments are not schema.
    let allowed = ["KIND_PERSON_DOWN", "KIND_PERSON_IN_WATER"];
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join("proto/xueliang/v1")).expect("proto files") {
        files.push(entry.expect("an entry").path());
    }
    assert!(files.len() >= 5);
    for file in files {
        let text = fs::read_to_string(&file).expect("proto is text");
        for line in text.lines() {
            let code = line.split("//").next().unwrap_or_default();
            if allowed.iter().any(|allowed| code.contains(allowed)) {
                continue;
            }
            let lower = code.to_lowercase();
            for word in words {
                assert!(!lower.contains(word), "{}: {word:?} in {line:?}", file.display());
            }
        }
    }
    // The tables of record hold none either.
    let mut files = Vec::new();
    for krate in ["alerts", "ingest"] {
        sources(&root().join(krate).join("src"), &mut files);
    }
    for file in files.iter().filter(|file| file.to_string_lossy().contains("store")) {
        let text = fs::read_to_string(file).expect("source is text").to_lowercase();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for column in ["face_", "plate_", "embedding", "person_id", "track_id"] {
                assert!(!line.contains(column), "{}: {column:?} in {line:?}", file.display());
            }
        }
    }
}
