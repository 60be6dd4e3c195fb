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

/// The rows of the table in `ARCHITECTURE.md` whose heading begins so: their cells, without the heading.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is text");
    let rows: Vec<Vec<String>> = text
        .lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "ARCHITECTURE.md has no table {heading:?}");
    rows
}

/// What stands in backticks.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn crates_depend_on_each_other_as_drawn() {
    // Normal dependencies within the workspace; tests of a crate may use the simulator, those of the client the bus, besides.
    let drawn: BTreeMap<String, BTreeSet<String>> = table("| crate |")
        .iter()
        .map(|cells| {
            let name = names(&cells[0]).pop_first().expect("a crate's name in backticks");
            (name, names(cells.last().expect("a row has cells")))
        })
        .collect();
    let metadata = metadata();
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name").trim_start_matches("xueliang-").to_owned();
        let ours: BTreeSet<String> = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| {
                dependency["name"].as_str()?.strip_prefix("xueliang-").map(str::to_owned)
            })
            .collect();
        found.insert(name, ours);
    }
    assert_eq!(found, drawn, "left: what the crates say; right: the last column of ARCHITECTURE.md's table");
    // Nor does the client library know a service: any console can be made with it.
    for sibling in ["ingest", "inference", "alerts", "client"] {
        let others = ["ingest", "inference", "alerts", "client", "server", "simulator"];
        let known = others.iter().find(|other| drawn[sibling].contains(**other));
        assert!(known.is_none(), "{sibling} may not know {known:?}");
    }
}

#[test]
fn every_promise_has_the_tests_and_metrics_that_the_table_names() {
    let root = root();
    let mut files = Vec::new();
    for krate in ["base", "ingest", "inference", "alerts", "client", "server", "tests"] {
        sources(&root.join(krate), &mut files);
    }
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            let shown = file.strip_prefix(&root).expect("below the root").display().to_string();
            (shown, fs::read_to_string(file).expect("source is text"))
        })
        .collect();
    let rows = table("| promise |");
    assert_eq!(rows.len(), 7, "seven promises");
    for cells in rows {
        let [promise, tests, metrics] = &cells[..] else { panic!("three columns: {cells:?}") };
        let tests = names(tests);
        assert!(!tests.is_empty(), "{promise} has no test");
        for test in tests {
            let defined = texts.iter().any(|(_, text)| text.contains(&format!("fn {test}(")));
            assert!(defined, "{promise}: there is no test {test}");
        }
        for metric in names(metrics) {
            let name = metric.split('{').next().unwrap_or_default();
            let (role, rest) = ["bus", "node"]
                .into_iter()
                .find_map(|role| Some((role, name.strip_prefix(&format!("xueliang_{role}_"))?)))
                .unwrap_or_else(|| panic!("{promise}: {metric} is no role's"));
            // Registered under its role's name, a counter without the ending that is exposed.
            let literal = format!("\"{}\"", rest.trim_end_matches("_total"));
            let folders = if role == "bus" {
                ["server/src/roles/"; 2]
            } else {
                ["server/src/node/", "server/src/roles/"]
            };
            let registered = texts
                .iter()
                .any(|(file, text)| folders.iter().any(|f| file.starts_with(f)) && text.contains(&literal));
            assert!(registered, "{promise}: nothing registers {metric}");
        }
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
    let homes: [(&[&str], &[&str]); 5] = [
        (
            &["gstreamer::", "gstreamer_app", "gstreamer_video", "gst::"],
            &["ingest/src/gst.rs", "ingest/src/gst/"],
        ),
        (&["retina::"], &["ingest/src/retina.rs", "ingest/src/retina/"]),
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
                "publisher.rs",
                "publisher/",
                "client/src/",
            ],
        ),
    ];
    for krate in ["base", "ingest", "inference", "alerts", "client", "simulator", "server"] {
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
fn pixels_are_read_by_the_gateway_and_asked_for_by_no_command() {
    let mut files = Vec::new();
    for krate in ["alerts", "base", "client", "inference", "ingest", "server"] {
        sources(&root().join(krate).join("src"), &mut files);
    }
    // What gives, reads or asks for stored pixels, and where alone it may stand.
    let words: [(&str, &[&str]); 9] = [
        ("evidence_service_client", &["server/src/cli/register.rs"]),
        ("disclosure_service_client", &[]),
        ("GetStillResponse", &["alerts/src/grpc/evidence.rs"]),
        ("GetClipResponse", &["alerts/src/grpc/evidence.rs"]),
        ("GetPictureResponse", &["alerts/src/bus/picture.rs", "alerts/src/grpc/evidence.rs"]),
        ("GetReleaseResponse", &["alerts/src/grpc/disclosure.rs"]),
        ("GetProofResponse", &["alerts/src/bus/links.rs", "alerts/src/grpc/handler.rs"]),
        ("GetLinkStillResponse", &["alerts/src/bus/links.rs", "alerts/src/grpc/handler.rs"]),
        ("ShowViewingResponse", &["alerts/src/evidence/disclosure.rs", "alerts/src/grpc/disclosure.rs"]),
    ];
    let mut seen = 0;
    for file in files {
        let name = file.strip_prefix(root()).expect("it lies below").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("source is text");
        let is_test = name.contains("tests")
            || ["matrix.rs", "scope.rs", "pixels.rs"].iter().any(|end| name.ends_with(end));
        if is_test {
            continue;
        }
        // The bus itself hands requests through and names what the gateway answers.
        for (word, allowed) in words {
            if text.contains(word) && name != "alerts/src/bus/disclosure.rs" {
                assert!(
                    allowed.contains(&name.as_str()),
                    "{name} names {word}: pixels leave by the gateway alone"
                );
                seen += 1;
            }
        }
        if name.starts_with("server/src/cli") {
            for call in [
                "get_still(",
                "get_preview(",
                "get_clip(",
                "get_picture(",
                "get_release(",
                "show_viewing(",
                "get_proof(",
            ] {
                assert!(!text.contains(call), "{name} asks for pictures: no command shows any");
            }
        }
        // The spool holds what is on its way to the gateway.
        if !name.starts_with("alerts/src/evidence") && name != "alerts/src/spool.rs" {
            assert!(!text.contains("Files::open"), "{name} reads files of evidence beside the gateway");
        }
    }
    assert!(seen >= 5, "this looks at nothing: {seen}");
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
