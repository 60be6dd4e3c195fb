//! What retina says, as [`SessionError`]. It tells an RTSP status; all else stands in its texts, whose beginnings are
//! matched here.

use retina::Error;

use crate::session::{Attempt, SessionError};

/// Whether the error is of one packet, and the next may be well. Errors of packets name their stream.
pub(super) fn of_one_packet(error: &Error) -> bool {
    error.status_code().is_none() && error.to_string().contains("\nstream: ")
}

/// An error that ends the attempt.
pub(super) fn of(error: &Error, attempt: &Attempt) -> SessionError {
    let text = error.to_string();
    // What follows the first line are addresses and bytes.
    let said = || attempt.clean(text.lines().next().unwrap_or_default());
    match error.status_code() {
        Some(401) if text.contains("Can't understand") => SessionError::Unreadable { reason: said() },
        Some(401) => attempt.unauthorized(),
        Some(403) => SessionError::Forbidden,
        Some(404) => SessionError::NotFound,
        Some(461) => SessionError::UnsupportedTransport { instead: "udp" },
        // Retina does not say where to.
        Some(300..=399) => SessionError::Redirected { to: "another address".to_owned() },
        // A good answer that it does not understand.
        Some(200..=299) => SessionError::Unreadable { reason: said() },
        Some(_) => SessionError::Rejected { reason: said() },
        None if text.starts_with("Unable to connect") => SessionError::Unreachable { reason: said() },
        None if text.starts_with("Error reading from") || text.starts_with("Error writing to") => {
            SessionError::Closed
        }
        None if text.contains("message at EOF") => SessionError::Closed,
        None => SessionError::Unreadable { reason: said() },
    }
}
