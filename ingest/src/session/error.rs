//! Why one attempt to read a camera ended.

use std::{net::IpAddr, time::Duration};

use xueliang_base::error::ErrorKind;

use crate::health::{OfflineCause, Signal};

/// Why one attempt to read a camera ended. Texts never hold the camera's user or password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// We were asked to stop.
    #[error("stopped as asked")]
    Stopped,
    /// The stream's address cannot be used.
    #[error("the stream's address {reason}: correct `url` of the camera")]
    BadUrl {
        /// What is wrong.
        reason: &'static str,
    },
    /// The host name does not resolve.
    #[error(
        "the host {host} does not resolve ({reason}): correct the name or the machine's DNS, or write an address"
    )]
    Unresolvable {
        /// The name.
        host: String,
        /// What the resolver says.
        reason: String,
    },
    /// The address lies outside the allowed networks.
    #[error(
        "{host} is {address}, outside the allowed networks: add its network to `networks`, if cameras belong there"
    )]
    AddressNotAllowed {
        /// The name, or the address.
        host: String,
        /// What it resolves to.
        address: IpAddr,
    },
    /// The camera sent us to another place.
    #[error(
        "the camera redirects to {to}, and redirects are not followed: register that address, if it is right"
    )]
    Redirected {
        /// Where to.
        to: String,
    },
    /// Nothing listens.
    #[error("connection refused: check the port, and that RTSP is switched on in the camera")]
    Refused,
    /// No way there.
    #[error("cannot be reached ({reason}): check power, cable and route")]
    Unreachable {
        /// What the system says.
        reason: String,
    },
    /// The connection was taken and nothing answered.
    #[error("takes the connection but does not answer within {} s: restart the camera, or check that the port is RTSP", after.as_secs())]
    NoAnswer {
        /// After this time.
        after: Duration,
    },
    /// The far end closed.
    #[error("the camera closed the connection")]
    Closed,
    /// 401.
    #[error(
        "the camera refuses the user or password (401): correct the credentials; tried again in 5 minutes"
    )]
    Unauthorized,
    /// 401, and we have none.
    #[error(
        "the camera wants a user and password (401): name `credentials` for it; tried again in 5 minutes"
    )]
    CredentialsMissing,
    /// 403.
    #[error(
        "the camera forbids this user the stream (403): give the user the right to view; tried again in 5 minutes"
    )]
    Forbidden,
    /// Another camera of the same recorder was refused with the same user and password: nobody tries them for a while.
    #[error(
        "the same user and password were refused to another camera at this address (401 or 403): correct the \
         credentials; tried again within 5 minutes"
    )]
    AccountRefused,
    /// 404.
    #[error("the camera has no such stream (404): correct the path of `url`")]
    NotFound,
    /// Not an RTSP server.
    #[error("what answers does not speak RTSP: check the port of `url`")]
    NotRtsp,
    /// TLS fails.
    #[error(
        "TLS fails ({reason}): install the camera's certificate authority on this machine, or use rtsp:// in a closed network"
    )]
    Tls {
        /// What it says.
        reason: String,
    },
    /// 461 or the like.
    #[error("the camera does not offer this transport: set `transport` to {instead:?}")]
    UnsupportedTransport {
        /// What to use.
        instead: &'static str,
    },
    /// No video that can be read.
    #[error("the stream offers {offered}, which is not read here: set the camera to H.264, H.265 or MJPEG")]
    UnsupportedCodec {
        /// What the description says.
        offered: String,
    },
    /// Retina does not read what the camera sends.
    #[error(
        "retina does not read this stream ({reason}): set `source` of the camera to \"auto\" or \"gstreamer\""
    )]
    Unreadable {
        /// What it does not read.
        reason: String,
    },
    /// Another error answer.
    #[error("the camera refuses: {reason}")]
    Rejected {
        /// What it says.
        reason: String,
    },
    /// No access unit came since connecting.
    #[error("connected, but no picture came within {} s: check the camera's encoder, or raise `first_unit_timeout`", after.as_secs())]
    NoFirstUnit {
        /// After this time.
        after: Duration,
    },
    /// Access units stopped coming.
    #[error("no picture for {} ms, though connected", after.as_millis())]
    Stalled {
        /// After this time.
        after: Duration,
    },
    /// A fault of ours.
    #[error("{reason}")]
    Internal {
        /// What failed.
        reason: String,
    },
}

impl SessionError {
    /// What the camera's signal is while this lasts; `None` when we stopped it ourselves.
    pub fn signal(&self) -> Option<Signal> {
        use SessionError as E;
        let cause = match self {
            E::Stopped => return None,
            E::NoFirstUnit { .. } | E::Stalled { .. } => return Some(Signal::Stalled),
            E::Unresolvable { .. } => OfflineCause::Unresolvable,
            E::AddressNotAllowed { .. } => OfflineCause::AddressNotAllowed,
            E::Redirected { .. } => OfflineCause::Redirected,
            E::Refused => OfflineCause::Refused,
            E::Unreachable { .. } => OfflineCause::Unreachable,
            E::NoAnswer { .. } => OfflineCause::NoAnswer,
            E::Closed => OfflineCause::Closed,
            E::Unauthorized | E::CredentialsMissing | E::AccountRefused => OfflineCause::Unauthorized,
            E::Forbidden => OfflineCause::Forbidden,
            E::NotFound => OfflineCause::NotFound,
            E::NotRtsp => OfflineCause::NotRtsp,
            E::Tls { .. } => OfflineCause::Tls,
            E::UnsupportedTransport { .. } => OfflineCause::UnsupportedTransport,
            E::UnsupportedCodec { .. } => OfflineCause::UnsupportedCodec,
            E::Rejected { .. } | E::Unreadable { .. } => OfflineCause::Rejected,
            E::BadUrl { .. } | E::Internal { .. } => OfflineCause::Internal,
        };
        Some(Signal::Offline(cause))
    }
    /// What it means to its caller.
    pub fn kind(&self) -> ErrorKind {
        use SessionError as E;
        match self {
            E::BadUrl { .. }
            | E::UnsupportedTransport { .. }
            | E::UnsupportedCodec { .. }
            | E::Unreadable { .. }
            | E::NotRtsp => ErrorKind::InvalidInput,
            E::AddressNotAllowed { .. } | E::Redirected { .. } | E::Forbidden => ErrorKind::Forbidden,
            E::Unauthorized | E::CredentialsMissing | E::AccountRefused => ErrorKind::Unauthenticated,
            E::NotFound => ErrorKind::NotFound,
            E::NoAnswer { .. } | E::NoFirstUnit { .. } | E::Stalled { .. } => ErrorKind::Deadline,
            E::Internal { .. } => ErrorKind::Internal,
            _ => ErrorKind::Unavailable,
        }
    }
    /// Whether trying again soon could lock the account.
    pub fn locks_accounts(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::CredentialsMissing | Self::Forbidden)
    }
    /// Whether the camera is gone for now and may be back any second, as after a restart or a cable pulled.
    pub fn gone_for_now(&self) -> bool {
        use SessionError as E;
        matches!(
            self,
            E::Refused
                | E::Unreachable { .. }
                | E::NoAnswer { .. }
                | E::Closed
                | E::Rejected { .. }
                | E::Unreadable { .. }
                | E::NoFirstUnit { .. }
                | E::Stalled { .. }
        )
    }
}
