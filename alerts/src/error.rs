//! What can go wrong here, and what the caller can do about it. Mapped to gRPC once, in `grpc.rs`.

use xueliang_base::error::ErrorKind;

/// An error of this crate. Every message says what to do, where anyone can do anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It exists with other content, or its state forbids this.
    #[error("{0}")]
    Conflict(String),
    /// Nobody said who is calling.
    #[error("the caller is not known: sign in")]
    Unauthenticated,
    /// Who calls is not who they say. Tells nobody what was wrong with it.
    #[error("{0}")]
    NotSignedIn(String),
    /// The principal lacks the right.
    #[error("{0}")]
    Forbidden(String),
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
    /// A bound is reached.
    #[error("{0}")]
    Exhausted(String),
    /// The caller does too much; it may go on after a time.
    #[error("{message}")]
    TooMany {
        /// What bound it is.
        message: String,
        /// When the same request may come again.
        retry_after: std::time::Duration,
    },
    /// Stored data is damaged.
    #[error("{0}")]
    DataLoss(String),
    /// One record is damaged, and the storage is well.
    #[error("{0}")]
    Damaged(String),
    /// The file is of a later version.
    #[error(
        "{what} was written by a newer version (schema {found}, this version knows up to {known}): run that version, or restore a backup of this one"
    )]
    Newer {
        /// Which file.
        what: String,
        /// Its schema.
        found: i64,
        /// The latest schema known here.
        known: i64,
    },
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Invalid(_) => ErrorKind::InvalidInput,
            Error::NotFound(_) => ErrorKind::NotFound,
            Error::Conflict(_) | Error::Newer { .. } => ErrorKind::Conflict,
            Error::Unauthenticated | Error::NotSignedIn(_) => ErrorKind::Unauthenticated,
            Error::Forbidden(_) => ErrorKind::Forbidden,
            Error::Unavailable(_) => ErrorKind::Unavailable,
            Error::Exhausted(_) | Error::TooMany { .. } => ErrorKind::Exhausted,
            Error::DataLoss(_) | Error::Damaged(_) => ErrorKind::DataLoss,
            Error::Internal(_) => ErrorKind::Internal,
        }
    }
    /// The context of a file operation, in the present tense.
    pub(crate) fn io(doing: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
        move |error| match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Error::Exhausted(format!("{doing}: the disk is full: make room ({error})"))
            }
            _ => Error::Unavailable(format!("{doing}: {error}")),
        }
    }
}

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
