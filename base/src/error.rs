//! What an error means to its caller. Every crate's error says its [`ErrorKind`]; gRPC codes are derived from it
//! in one place (`alerts/src/grpc.rs`).

/// What the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and will stay wrong: change it.
    InvalidInput,
    /// There is no such thing.
    NotFound,
    /// It exists already with other content, or its state forbids this.
    Conflict,
    /// Who is calling is not known.
    Unauthenticated,
    /// The principal may not do this.
    Forbidden,
    /// It may work later: try again.
    Unavailable,
    /// A bound is reached: memory, disk, credit.
    Exhausted,
    /// It took longer than allowed.
    Deadline,
    /// Stored data is damaged.
    DataLoss,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// Whether the same request may succeed later.
    pub fn retryable(self) -> bool {
        matches!(self, ErrorKind::Unavailable | ErrorKind::Exhausted | ErrorKind::Deadline)
    }
}
