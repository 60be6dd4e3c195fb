//! The health of a camera's signal: whether access units arrive, and if not, why.

use std::fmt;

use xueliang_base::{
    look::NotLooked,
    time::{Mono, Wall},
};

/// What a session says of its camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// No attempt has ended yet.
    Connecting,
    /// Access units arrive.
    Streaming,
    /// Connected, but no access unit arrives.
    Stalled,
    /// The camera cannot be reached or refuses us.
    Offline(OfflineCause),
    /// No signal, and none is expected at this time of day.
    ExpectedOff,
    /// Not connected now, as the camera's acquisition says. When it last was, it delivered, or it was not tried yet.
    NotConnected(Idle),
}

/// Why a camera is not connected that could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Idle {
    /// It is visited now and then.
    Patrol,
    /// Nobody asked for it.
    OnRequest,
}

impl Signal {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Connecting => "connecting",
            Signal::Streaming => "streaming",
            Signal::Stalled => "stalled",
            Signal::Offline(cause) => cause.word(),
            Signal::ExpectedOff => "expected_off",
            Signal::NotConnected(_) => "not_connected",
        }
    }
    /// Why nothing can be looked at in this state; `None` while streaming.
    pub fn not_looked(self) -> Option<NotLooked> {
        match self {
            Signal::Connecting => Some(NotLooked::Connecting),
            Signal::Streaming => None,
            Signal::Stalled => Some(NotLooked::Stalled),
            Signal::Offline(_) => Some(NotLooked::Offline),
            Signal::ExpectedOff => Some(NotLooked::ExpectedOff),
            Signal::NotConnected(_) => Some(NotLooked::NotConnected),
        }
    }
}

/// A change of the signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalChange {
    /// What it is now.
    pub signal: Signal,
    /// Since when.
    pub since: Mono,
    /// The same by the wall clock.
    pub since_wall: Wall,
    /// What happened and what to do, for people.
    pub detail: String,
    /// Changes since the session was started.
    pub edges: u64,
}

/// Why a camera is offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OfflineCause {
    /// Its host name does not resolve.
    Unresolvable,
    /// Its address lies outside the allowed networks.
    AddressNotAllowed,
    /// It sent us elsewhere.
    Redirected,
    /// Nothing listens at its port.
    Refused,
    /// No way to it, or no answer to a connection.
    Unreachable,
    /// It took the connection and did not answer in time.
    NoAnswer,
    /// It closed the connection.
    Closed,
    /// It wants another user or password.
    Unauthorized,
    /// It forbids this user the stream.
    Forbidden,
    /// It has no such stream.
    NotFound,
    /// It answers, but not as an RTSP server.
    NotRtsp,
    /// Its certificate is not accepted.
    Tls,
    /// It does not offer the transport asked for.
    UnsupportedTransport,
    /// It offers no video that can be read.
    UnsupportedCodec,
    /// It answers with another error.
    Rejected,
    /// A fault of ours.
    Internal,
}

impl OfflineCause {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            OfflineCause::Unresolvable => "unresolvable",
            OfflineCause::AddressNotAllowed => "address_not_allowed",
            OfflineCause::Redirected => "redirected",
            OfflineCause::Refused => "refused",
            OfflineCause::Unreachable => "unreachable",
            OfflineCause::NoAnswer => "no_answer",
            OfflineCause::Closed => "closed",
            OfflineCause::Unauthorized => "unauthorized",
            OfflineCause::Forbidden => "forbidden",
            OfflineCause::NotFound => "not_found",
            OfflineCause::NotRtsp => "not_rtsp",
            OfflineCause::Tls => "tls",
            OfflineCause::UnsupportedTransport => "unsupported_transport",
            OfflineCause::UnsupportedCodec => "unsupported_codec",
            OfflineCause::Rejected => "rejected",
            OfflineCause::Internal => "internal",
        }
    }
}

impl fmt::Display for OfflineCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
