//! Where ONNX Runtime's shared library is.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// Finds the library: `XUELIANG_ONNXRUNTIME`, then beside the program, then where `make` puts it.
pub fn find() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("XUELIANG_ONNXRUNTIME") {
        let path = PathBuf::from(named);
        if !path.is_file() {
            bail!("XUELIANG_ONNXRUNTIME names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let beside = std::env::current_exe()?;
    // Beside the program, or in the checkout it was built in (target/release is two folders down).
    for folder in beside.ancestors().skip(1).take(4) {
        for place in ["libonnxruntime.so", "lib/libonnxruntime.so", ".cache/onnxruntime/libonnxruntime.so"] {
            let path = folder.join(place);
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let cached = Path::new(".cache/onnxruntime/libonnxruntime.so");
    if cached.is_file() {
        return Ok(cached.canonicalize()?);
    }
    bail!(
        "ONNX Runtime's shared library is not found: run `make setup` in the checkout, or name the file in \
         XUELIANG_ONNXRUNTIME (version 1.31.1 is the one tested)"
    )
}
