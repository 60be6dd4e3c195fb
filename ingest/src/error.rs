//! What can go wrong here, but for sessions ([`crate::session::SessionError`]) and decoding
//! ([`crate::decode::DecodeError`]), which say more.

use std::path::PathBuf;

use xueliang_base::{error::ErrorKind, id::CredentialName};

use crate::{decode::DecodeError, registry::StoreFault};

/// A fault of ingest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// GStreamer does not start.
    #[error("start GStreamer: {0}; check the installation of libgstreamer1.0-0")]
    Start(String),
    /// Elements that this program is made of are not installed.
    #[error("GStreamer lacks {}; install with: apt-get install {}", elements.join(", "), packages.join(" "))]
    MissingElements {
        /// The elements.
        elements: Vec<&'static str>,
        /// The Debian packages that carry them.
        packages: Vec<&'static str>,
    },
    /// GStreamer refuses what ought to work.
    #[error("{doing}: {reason}")]
    Media {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        reason: String,
    },
    /// A file or folder.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A footage file of a kind, or with content, that cannot be read here.
    #[error("{}: {reason}", path.display())]
    Footage {
        /// Where.
        path: PathBuf,
        /// What is wrong with it, and what would do.
        reason: String,
    },
    /// Nothing to write.
    #[error("no keyframe stands among the {units} access units of the clip: ask for an earlier start")]
    EmptyClip {
        /// Units given.
        units: usize,
    },
    /// A thread cannot be started.
    #[error("start a thread for camera {camera}: {source}; raise the limit of threads (ulimit -u)")]
    Thread {
        /// Whose.
        camera: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A picture cannot be made.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The store of the registry fails.
    #[error("registry {}: {source}", path.display())]
    Store {
        /// The store.
        path: PathBuf,
        /// What it says.
        source: StoreFault,
    },
    /// The store was written by a newer release.
    #[error(
        "registry {} has schema {found}, this release knows up to {known}: run the release that wrote it, \
         or restore a backup taken before the upgrade", path.display()
    )]
    NewerStore {
        /// The store.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The store's content contradicts itself.
    #[error("registry {}: {reason}; restore it from a backup", path.display())]
    DamagedStore {
        /// The store.
        path: PathBuf,
        /// What contradicts.
        reason: String,
    },
    /// The file that holds the key is not what it ought to be.
    #[error("key file {}: {reason}", path.display())]
    KeyFile {
        /// Where.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// Stored credentials do not open with our key.
    #[error(
        "credentials {name} do not open with the key file {}: restore the key file that belongs to this store, or \
         apply the configuration again with the credentials at hand", key_file.display()
    )]
    WrongKey {
        /// Whose.
        name: CredentialName,
        /// The key.
        key_file: PathBuf,
    },
    /// The machine gives no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

impl Error {
    /// What it means to its caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Start(_) | Error::MissingElements { .. } | Error::Random(_) => ErrorKind::Unavailable,
            Error::Thread { .. } => ErrorKind::Exhausted,
            Error::Media { .. } => ErrorKind::Internal,
            Error::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
                std::io::ErrorKind::StorageFull => ErrorKind::Exhausted,
                _ => ErrorKind::Unavailable,
            },
            Error::Footage { .. } | Error::EmptyClip { .. } => ErrorKind::InvalidInput,
            Error::Decode(error) => error.kind(),
            Error::Store { source, .. } => source.kind(),
            Error::NewerStore { .. } | Error::KeyFile { .. } => ErrorKind::Conflict,
            Error::DamagedStore { .. } | Error::WrongKey { .. } => ErrorKind::DataLoss,
        }
    }
}
