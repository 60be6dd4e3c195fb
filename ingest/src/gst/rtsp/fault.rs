//! What GStreamer says, as [`SessionError`].

use gstreamer as gst;
use gstreamer::glib;
use xueliang_base::config::Transport;

use crate::session::{Attempt, SessionError};

/// rtspsrc's word for any failure to connect.
const CONNECT: &str = "Failed to connect";

/// An error on the bus.
pub(super) fn of_bus(error: &glib::Error, debug: Option<&str>, attempt: &Attempt) -> SessionError {
    // Before its last line the debug text holds places in GStreamer's sources and names of elements with their numbers
    // (`rtspsrc404`): none of it may be taken for what the camera said.
    let last =
        debug.and_then(|debug| debug.trim_end().rsplit_once('\n')).map_or(error.message(), |(_, last)| last);
    let said = format!("{} {last}", error.message());
    let said_here = || attempt.clean(last);
    match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) => return attempt.unauthorized(),
        Some(gst::ResourceError::NotFound) if status(&said) == Some(404) => return SessionError::NotFound,
        _ => {}
    }
    match status(&said) {
        Some(401) => return attempt.unauthorized(),
        Some(403) => return SessionError::Forbidden,
        Some(404) => return SessionError::NotFound,
        Some(461) => return unsupported(attempt),
        _ => {}
    }
    let lower = said.to_lowercase();
    if said.contains(CONNECT) {
        return SessionError::Unreachable { reason: said_here() };
    }
    if lower.contains("tls") || lower.contains("certificate") {
        return SessionError::Tls { reason: said_here() };
    }
    if lower.contains("transport") && error.is::<gst::StreamError>() {
        return unsupported(attempt);
    }
    if lower.contains("timeout") || lower.contains("timed out") {
        return SessionError::NoAnswer { after: attempt.haste.first_unit };
    }
    if lower.contains("end-of-file") || lower.contains("closed") {
        return SessionError::Closed;
    }
    if lower.contains("parse error") || lower.contains("invalid") {
        return SessionError::NotRtsp;
    }
    SessionError::Rejected { reason: said_here() }
}

/// A warning that explains the error or the end that follows it.
pub(super) fn of_warning(error: &glib::Error, debug: Option<&str>) -> Option<SessionError> {
    let last = debug.and_then(|debug| debug.trim_end().rsplit_once('\n')).map_or("", |(_, last)| last);
    let said = format!("{} {last}", error.message()).to_lowercase();
    said.contains("closed the connection").then_some(SessionError::Closed)
}

fn unsupported(attempt: &Attempt) -> SessionError {
    let instead = if attempt.spec.stream.transport == Transport::Udp { "tcp" } else { "udp" };
    SessionError::UnsupportedTransport { instead }
}

/// The RTSP status in a text like `… (404)` or `Got error response: 404 (Not Found)`.
fn status(said: &str) -> Option<u16> {
    said.split(|c: char| !c.is_ascii_digit())
        .filter(|word| word.len() == 3)
        .filter_map(|word| word.parse().ok())
        .find(|code| (400..600).contains(code))
}
