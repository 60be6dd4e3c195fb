//! One client's TCP connection: RTSP requests in, responses and interleaved media out, in one task.
//!
//! The task waits for whichever comes first: bytes from the client, a change of its camera, or the time of the next
//! picture. It writes nothing concurrently, so a client that does not read stops its own connection only, and for as
//! long as its camera's patience.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::auth::hash;
use crate::camera::{Camera, Service, State};
use crate::clip::Codec;
use crate::counters::{Counters, DropReason};
use crate::delivery::Delivery;
use crate::rtsp::{self, Inbound, Response};
use crate::simulator::Cameras;

mod requests;

/// Idle time of a connection that has named no camera yet, and patience with it.
const IDLE: Duration = Duration::from_secs(60);
/// A session this late goes on at the next keyframe.
const LATE: Duration = Duration::from_secs(2);

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client closed it, or the network broke.
    Left(io::Error),
    /// We closed it.
    Dropped(DropReason),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Left(error)
    }
}

/// The camera a connection has named, and what that camera does now.
struct Bound {
    camera: Arc<Camera>,
    changes: watch::Receiver<State>,
    state: State,
}

/// What SETUP made.
struct Session {
    id: String,
    /// The codec the client was told of.
    codec: Codec,
    channel: u8,
    ssrc: u32,
    /// The media, once PLAY was asked for.
    delivery: Option<Delivery>,
}

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    cameras: Arc<Cameras>,
    inbound: BytesMut,
    nonce: String,
    bound: Option<Bound>,
    session: Option<Session>,
    last_heard: Instant,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, cameras: Arc<Cameras>) -> Self {
        let nonce = hash(&[&rand::random::<u128>().to_string()]);
        let last_heard = Instant::now();
        Self { stream, cameras, inbound: BytesMut::new(), nonce, bound: None, session: None, last_heard }
    }

    /// Serves the client until either side ends the connection.
    pub(crate) async fn run(mut self) {
        // A failure costs latency only.
        let _ = self.stream.set_nodelay(true);
        let Err(end) = self.serve().await;
        let camera = self.bound.as_ref().map_or("", |bound| bound.camera.name());
        match end {
            End::Left(error) => tracing::debug!(camera, %error, "client left"),
            End::Dropped(reason) => {
                tracing::debug!(camera, ?reason, "client dropped");
                if let Some(bound) = &self.bound {
                    bound.camera.counters.dropped(reason);
                }
            }
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let timer = sleep_until(self.wake_at());
        tokio::pin!(timer);
        loop {
            let is_deaf = self.service() == Service::HalfOpen;
            timer.as_mut().reset(self.wake_at());
            tokio::select! {
                () = changed(&mut self.bound) => self.take_change().await?,
                read = self.stream.read_buf(&mut self.inbound), if !is_deaf => match read? {
                    0 => return Err(End::Left(io::ErrorKind::UnexpectedEof.into())),
                    _ => self.take_inbound().await?,
                },
                () = &mut timer, if !is_deaf => self.take_time().await?,
            }
        }
    }

    fn service(&self) -> Service {
        self.bound.as_ref().map_or(Service::Serving, |bound| bound.state.service)
    }

    /// When something is to be done without being asked.
    fn wake_at(&self) -> Instant {
        let expiry = self.last_heard + self.idle_limit();
        match self.session.as_ref().and_then(|session| session.delivery.as_ref()) {
            Some(delivery) if self.service() != Service::Stalled => expiry.min(delivery.feed.next().at),
            _ => expiry,
        }
    }

    fn idle_limit(&self) -> Duration {
        self.bound.as_ref().map_or(IDLE, |bound| bound.camera.session_timeout())
    }

    /// The camera does something else now.
    async fn take_change(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let Some(bound) = &mut self.bound else { return Ok(()) };
        let before = bound.state.service;
        bound.state = bound.changes.borrow_and_update().clone();
        if bound.state.is_stopped(now) {
            return Err(End::Dropped(DropReason::Fault));
        }
        if let Some(session) = &mut self.session {
            if session.codec != bound.state.codec() {
                return Err(End::Dropped(DropReason::CodecChange));
            }
            if let Some(delivery) = &mut session.delivery {
                delivery.feed.show(&bound.state.scene, now);
                if matches!(before, Service::Stalled | Service::HalfOpen) && before != bound.state.service {
                    delivery.feed.jump(now);
                }
            }
        }
        if before == Service::HalfOpen && bound.state.service != before {
            // Nothing was read meanwhile; the client's silence is ours, and what it said before still waits.
            self.take_inbound().await?;
        }
        Ok(())
    }

    /// The time of a picture has come, or the end of patience with silence.
    async fn take_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if now >= self.last_heard + self.idle_limit() {
            return Err(End::Dropped(DropReason::SessionExpired));
        }
        let (Some(bound), Some(session)) = (&self.bound, &mut self.session) else { return Ok(()) };
        let Some(delivery) = &mut session.delivery else { return Ok(()) };
        let due_at = delivery.feed.next().at;
        if now < due_at {
            return Ok(());
        }
        if now > due_at + LATE {
            Counters::add(&bound.camera.counters.late_jumps, 1);
            delivery.feed.jump(now);
            return Ok(());
        }
        let bytes = delivery.next_bytes(bound.state.corrupt, now);
        write(&mut self.stream, bytes, bound.camera.write_patience()).await?;
        delivery.sent();
        Ok(())
    }

    /// The client sent something.
    async fn take_inbound(&mut self) -> Result<(), End> {
        self.last_heard = Instant::now();
        while self.service() != Service::HalfOpen {
            let request = match rtsp::take(&mut self.inbound) {
                Ok(Some(Inbound::Request(request))) => request,
                Ok(Some(Inbound::SignOfLife)) => continue,
                Ok(None) => break,
                Err(rtsp::NotRtsp) => {
                    // The answer is a courtesy; the connection ends either way.
                    let _ = self.send(&Response::new("400 Bad Request"), "0").await;
                    return Err(End::Dropped(DropReason::NotRtsp));
                }
            };
            if let Some(response) = self.respond(&request)? {
                self.send(&response, request.sequence()).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, response: &Response, sequence: &str) -> Result<(), End> {
        let patience = self.bound.as_ref().map_or(IDLE, |bound| bound.camera.write_patience());
        write(&mut self.stream, &response.encode(sequence), patience).await
    }
}

/// Waits until the bound camera changes; for ever where there is none.
async fn changed(bound: &mut Option<Bound>) {
    if let Some(bound) = bound
        && bound.changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Writes all of `bytes`, or gives the client up as slow.
async fn write(stream: &mut TcpStream, bytes: &[u8], patience: Duration) -> Result<(), End> {
    match timeout(patience, stream.write_all(bytes)).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(End::Dropped(DropReason::SlowClient)),
    }
}
