//! What a camera counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why the simulator closed a connection that a client still wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// It read too slowly: its socket took nothing for the camera's patience.
    SlowClient,
    /// Nothing was heard from it for the session's timeout.
    SessionExpired,
    /// A fault: stop, restart or refuse.
    Fault,
    /// The camera went over to another codec.
    CodecChange,
    /// It did not speak RTSP.
    NotRtsp,
}

/// A camera's counters at one moment. All but `clients` only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CameraCounters {
    /// Access units written to sockets, over all sessions; a unit sent to two clients counts twice.
    pub units_sent: u64,
    /// Bytes of RTP and RTCP with their framing, over all sessions.
    pub bytes_sent: u64,
    /// Sessions that are playing now.
    pub clients: u64,
    /// PLAY requests that started a session's media.
    pub sessions_played: u64,
    /// Requests with wrong credentials, those to a locked account not counted.
    pub logins_failed: u64,
    /// Requests with credentials to a locked account.
    pub logins_locked_out: u64,
    /// Times a session was so late that it went on at the next keyframe, leaving pictures out.
    pub late_jumps: u64,
    /// Connections closed because their socket took nothing for the camera's patience.
    pub dropped_slow_client: u64,
    /// Connections closed because nothing was heard from them for the session's timeout.
    pub dropped_session_expired: u64,
    /// Connections closed by a fault: stop, restart or refuse.
    pub dropped_fault: u64,
    /// Connections closed because the camera went over to another codec.
    pub dropped_codec_change: u64,
    /// Connections closed because what they sent was no RTSP.
    pub dropped_not_rtsp: u64,
}

/// The running counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) units_sent: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) clients: AtomicU64,
    pub(crate) sessions_played: AtomicU64,
    pub(crate) logins_failed: AtomicU64,
    pub(crate) logins_locked_out: AtomicU64,
    pub(crate) late_jumps: AtomicU64,
    drops: [AtomicU64; 5],
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }

    pub(crate) fn dropped(&self, reason: DropReason) {
        Self::add(&self.drops[reason as usize], 1);
    }

    pub(crate) fn snapshot(&self) -> CameraCounters {
        let drops = |reason: DropReason| self.drops[reason as usize].load(Relaxed);
        CameraCounters {
            units_sent: self.units_sent.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            clients: self.clients.load(Relaxed),
            sessions_played: self.sessions_played.load(Relaxed),
            logins_failed: self.logins_failed.load(Relaxed),
            logins_locked_out: self.logins_locked_out.load(Relaxed),
            late_jumps: self.late_jumps.load(Relaxed),
            dropped_slow_client: drops(DropReason::SlowClient),
            dropped_session_expired: drops(DropReason::SessionExpired),
            dropped_fault: drops(DropReason::Fault),
            dropped_codec_change: drops(DropReason::CodecChange),
            dropped_not_rtsp: drops(DropReason::NotRtsp),
        }
    }
}
