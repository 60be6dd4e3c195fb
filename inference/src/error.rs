//! The crate's error.

use std::path::PathBuf;

use xueliang_base::error::ErrorKind;

/// What can go wrong with models, looks and journals.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model folder cannot be used. The message names the file, the fault and what to do.
    #[error("model {path}: {message}", path = path.display())]
    Model {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// ONNX Runtime cannot be used.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// A model failed on a picture.
    #[error("model {model} fails on a picture: {message}")]
    Run {
        /// Its name.
        model: String,
        /// The runtime's words.
        message: String,
    },
    /// A picture cannot be redacted, so there is none.
    #[error("redact picture: {0}")]
    Redact(String),
    /// A journal file is damaged or of another version.
    #[error("read journal: {0}")]
    Journal(String),
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Model { .. } | Error::Journal(_) => ErrorKind::InvalidInput,
            Error::Runtime(_) => ErrorKind::Unavailable,
            Error::Run { .. } | Error::Redact(_) => ErrorKind::Internal,
        }
    }
}
