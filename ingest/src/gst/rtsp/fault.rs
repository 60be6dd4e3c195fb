//! What GStreamer says, as [`SessionError`].

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use gstreamer as gst;
use gstreamer::glib;
use xueliang_base::config::Transport;

use super::clean;
use crate::session::{SessionError, SessionSpec, address::Place};

/// rtspsrc's word for any failure to connect.
const CONNECT: &str = "Failed to connect";

/// A connection of our own that failed.
pub(super) fn of_connect(error: &io::Error) -> SessionError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => SessionError::Refused,
        io::ErrorKind::TimedOut => {
            SessionError::Unreachable { reason: "no answer to a connection".to_owned() }
        }
        _ => SessionError::Unreachable { reason: error.to_string() },
    }
}

/// An error on the bus.
pub(super) fn of_bus(error: &glib::Error, debug: Option<&str>, spec: &SessionSpec) -> SessionError {
    // Before its last line the debug text holds places in GStreamer's sources and names of elements with their numbers
    // (`rtspsrc404`): none of it may be taken for what the camera said.
    let last =
        debug.and_then(|debug| debug.trim_end().rsplit_once('\n')).map_or(error.message(), |(_, last)| last);
    let said = format!("{} {last}", error.message());
    let said_here = || clean(last, spec.credentials.as_ref());
    match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) => return unauthorized(spec),
        Some(gst::ResourceError::NotFound) if status(&said) == Some(404) => return SessionError::NotFound,
        _ => {}
    }
    match status(&said) {
        Some(401) => return unauthorized(spec),
        Some(403) => return SessionError::Forbidden,
        Some(404) => return SessionError::NotFound,
        Some(461) => return unsupported(spec),
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
        return unsupported(spec);
    }
    if lower.contains("timeout") || lower.contains("timed out") {
        return SessionError::NoAnswer { after: spec.stream.first_unit_timeout };
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

/// Looks closer at an attempt that ended before anything came: refused or unreachable, and whether RTSP is spoken.
pub(super) fn closer(error: SessionError, place: &Place, patience: Duration) -> SessionError {
    let unclear =
        matches!(error, SessionError::Closed | SessionError::NotRtsp | SessionError::Rejected { .. });
    if !unclear && !matches!(&error, SessionError::Unreachable { .. }) {
        return error;
    }
    let mut socket = match TcpStream::connect_timeout(&place.address, patience) {
        Err(error) => return of_connect(&error),
        Ok(socket) => socket,
    };
    if unclear && place.url.scheme() == "rtsp" {
        let mut answer = [0; 5];
        let asked = socket
            .set_read_timeout(Some(patience))
            .and_then(|()| socket.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"))
            .and_then(|()| socket.read_exact(&mut answer));
        if asked.is_ok() && &answer != b"RTSP/" {
            return SessionError::NotRtsp;
        }
    }
    error
}

fn unauthorized(spec: &SessionSpec) -> SessionError {
    if spec.credentials.is_some() { SessionError::Unauthorized } else { SessionError::CredentialsMissing }
}

fn unsupported(spec: &SessionSpec) -> SessionError {
    let instead = if spec.stream.transport == Transport::Udp { "tcp" } else { "udp" };
    SessionError::UnsupportedTransport { instead }
}

/// The RTSP status in a text like `… (404)` or `Got error response: 404 (Not Found)`.
fn status(said: &str) -> Option<u16> {
    said.split(|c: char| !c.is_ascii_digit())
        .filter(|word| word.len() == 3)
        .filter_map(|word| word.parse().ok())
        .find(|code| (400..600).contains(code))
}
