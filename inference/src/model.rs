//! A model is a folder: `model.onnx` and `manifest.toml` ([`Manifest`]).
//!
//! [`Model::load`] decides whether a model may be used at all. It refuses what could tell one person from another
//! (class names and outputs that hint at it), code from outside (custom operators), weights that the checksum does not
//! cover (external data), and manifests that leave anything open. A deliberately relabelled model cannot be detected.

use std::{fs, path::Path, path::PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use xueliang_base::{detection::Meaning, id::ModelName};

use crate::Error;

mod identity;
mod manifest;
mod onnx;
mod reader;

pub use manifest::{
    Activation, Class, Colour, ElementType, Family, Fit, Input, Layout, Manifest, Output, Threshold, Tiles,
};
#[cfg(test)]
pub(crate) use onnx::tests as wire;

/// Largest model file taken: 256 MiB is ten times what a street camera's model needs.
const ONNX_BYTES_MAX: u64 = 256 << 20;
/// Largest manifest taken.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// A model that may be used: manifest and file were read once and agree.
#[derive(Debug, Clone)]
pub struct Model {
    folder: PathBuf,
    manifest: Manifest,
    onnx: Bytes,
    most: Option<usize>,
}

impl Model {
    /// Reads and checks a model's folder. All faults of the manifest stand in one error.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let refuse = |message: String| Error::Model { path: folder.to_owned(), message };
        let text = read(&folder.join("manifest.toml"), MANIFEST_BYTES_MAX).map_err(refuse)?;
        let text = String::from_utf8(text).map_err(|_| refuse("manifest.toml is not UTF-8".to_owned()))?;
        let manifest = Manifest::parse(&text)
            .map_err(|faults| refuse(format!("manifest.toml cannot be used: {}", faults.join("; "))))?;
        let onnx = read(&folder.join("model.onnx"), ONNX_BYTES_MAX).map_err(refuse)?;
        let sum = hex(&Sha256::digest(&onnx));
        if sum != manifest.sha256 {
            return Err(refuse(format!(
                "model.onnx has sha256 {sum}, manifest.toml says {}: use the file that the manifest was written for",
                manifest.sha256
            )));
        }
        let most = check_graph(&onnx, &manifest)
            .map_err(|faults| refuse(format!("model.onnx: {}", faults.join("; "))))?;
        Ok(Self { folder: folder.to_owned(), manifest, onnx: Bytes::from(onnx), most })
    }
    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
    /// Its name.
    pub fn name(&self) -> &ModelName {
        &self.manifest.name
    }
    /// Its version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }
    /// Checksum of its file, 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.manifest.sha256
    }
    /// What it can see, sorted, each once.
    pub fn meanings(&self) -> Vec<Meaning> {
        self.manifest.meanings()
    }
    /// How many objects it reports at most of one picture, as its file or manifest says; `None` for classifiers and where
    /// neither says it.
    pub fn most(&self) -> Option<usize> {
        self.most
    }
    /// The folder it was read from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
    /// The checked bytes of `model.onnx`.
    pub(crate) fn onnx(&self) -> &[u8] {
        &self.onnx
    }
}

/// Refuses a graph that may not run; gives the most objects that its output has room for.
fn check_graph(onnx: &[u8], manifest: &Manifest) -> Result<Option<usize>, Vec<String>> {
    let facts = onnx::read(onnx).map_err(|e| vec![format!("is not a usable ONNX file: {e}")])?;
    let mut faults = Vec::new();
    if let Some(tensor) = facts.external.first() {
        faults.push(format!(
            "tensor {tensor:?} keeps its data in another file, which the checksum does not cover: save the model as one file"
        ));
    }
    for domain in facts.foreign_domains() {
        faults.push(format!("uses operators of domain {domain:?}, which ONNX Runtime does not bring: export without custom operators"));
    }
    for name in &facts.outputs {
        if let Some(hint) = identity::output_hint(name) {
            faults.push(format!("output {name:?} {hint}"));
        }
    }
    let missing = |names: Vec<&str>, present: &[String], what: &str, faults: &mut Vec<String>| {
        for name in names {
            if !present.iter().any(|p| p == name) {
                faults.push(format!("has no {what} {name:?}; it has {}", present.join(", ")));
            }
        }
    };
    missing(vec![&manifest.input.name], &facts.inputs, "input", &mut faults);
    missing(manifest.output.tensors(), &facts.outputs, "output", &mut faults);
    // Rows of the first tensor: boxes of a list, anchors of a grid.
    let list =
        manifest.output.tensors().first().and_then(|name| facts.outputs.iter().position(|o| o == name));
    let rows = list
        .filter(|_| manifest.output.family() != Family::Classifier)
        .and_then(|at| facts.shapes.get(at)?.get(1).copied().flatten())
        .and_then(|rows| usize::try_from(rows).ok());
    let most = match (&manifest.output, rows) {
        (Output::CenterNet { most: Some(most), .. }, Some(rows)) if *most as usize != rows => {
            faults.push(format!("its list has {rows} rows, output.most says {most}: leave output.most out"));
            None
        }
        (Output::CenterNet { most: Some(most), .. }, None) => Some(*most as usize),
        (_, rows) => rows,
    };
    if faults.is_empty() { Ok(most) } else { Err(faults) }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let length = fs::metadata(path).map_err(|e| format!("cannot read {name}: {e}"))?.len();
    if length > most {
        return Err(format!("{name} has {length} bytes, at most {most} are taken"));
    }
    fs::read(path).map_err(|e| format!("cannot read {name}: {e}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests;
