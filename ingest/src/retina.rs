//! A stream over RTSP and TCP by the `retina` crate, one attempt as a task: no thread, and none of it unsafe.
//!
//! Retina signs in, sets up the first video stream that can be read, and hands over RTP packets in order; [`units`] makes
//! access units of them. Its own are not used: they keep one parameter set of each kind, where a camera may have several,
//! and grow without end. It reads no TLS, no UDP that may be reordered, and JPEG only in part; what it does not read ends
//! the attempt as [`SessionError::Unreadable`].
//!
//! What is enforced on the connection: retina is given the address that was checked, and opens no other connection; it
//! follows no redirect. A refused login is sent once.

use futures::StreamExt as _;
use retina::{
    client::{
        Described, PacketItem, PlayOptions, Session, SessionOptions, SetupOptions, Stream, TeardownPolicy,
        Tool, Transport,
    },
    codec::{FrameFormat, ParametersRef},
};
use xueliang_base::unit::Codec;

use self::units::{Packet, Unit, Units};
use crate::{
    nal::{Completed, Keyframes},
    session::{Attempt, RawUnit, SenderReports, SessionError},
};

mod fault;
mod units;

/// Packets in a row that retina refuses, as after a change of the sender, before the stream is given up: about a second.
const REFUSED: u32 = 100;
/// Units in a row that are damaged though nothing was lost: about two seconds. What is wrong is how they are read.
const DAMAGED: u32 = 30;

/// Makes one attempt.
pub(crate) async fn read(attempt: &Attempt) -> SessionError {
    tokio::select! {
        // In this order, so that what has come is delivered before anybody calls it late.
        biased;
        ended = stream(attempt) => ended.err().unwrap_or(SessionError::Closed),
        () = attempt.halt.wait() => SessionError::Stopped,
        overdue = overdue(attempt) => overdue,
    }
}

/// Waits until the attempt has to be given up.
async fn overdue(attempt: &Attempt) -> SessionError {
    loop {
        let (silent, delivered) = attempt.delivery.silence();
        if let Some(overdue) = attempt.haste.overdue(&attempt.progress, silent, delivered) {
            return overdue;
        }
        tokio::time::sleep(attempt.haste.look_again(silent, delivered)).await;
    }
}

/// Delivers until the stream ends.
async fn stream(attempt: &Attempt) -> Result<(), SessionError> {
    let failed = |error| fault::of(&error, attempt);
    let mut session = Session::describe(attempt.place.url.clone(), options(attempt)).await.map_err(failed)?;
    attempt.progress.describe();
    attempt.delivery.accepted();
    if session.tool().is_some_and(Tool::has_live555_tcp_bug) {
        // Retina would open another connection to end the session, to where the camera says.
        let reason = "its server, live555 from before June 2017, does not end sessions with their connection";
        return Err(SessionError::Unreadable { reason: reason.to_owned() });
    }
    let (index, codec) = choose(&session, attempt)?;
    let setup = SetupOptions::default().transport(Transport::default()).frame_format(FrameFormat::SIMPLE);
    session.setup(index, setup).await.map_err(failed)?;
    let mut out = Out::new(attempt, codec, &session.streams()[index]);
    let mut playing = session.play(PlayOptions::default()).await.map_err(failed)?;
    let mut units = Units::new(codec);
    let mut refused = 0;
    while let Some(item) = playing.next().await {
        match item {
            Ok(PacketItem::Rtp(packet)) => {
                refused = 0;
                let packet = Packet {
                    payload: packet.payload(),
                    ticks: packet.timestamp().elapsed(),
                    rtp: packet.timestamp().timestamp().cast_unsigned() as u32,
                    last: packet.mark(),
                    lost: packet.loss() > 0,
                };
                units.take(&packet, |unit| out.deliver(&unit));
                out.check(&units)?;
            }
            Ok(PacketItem::Rtcp(packet)) => out.report(packet.raw()),
            // Retina may come to give more, and this reads no more.
            Ok(_) => {}
            Err(error) if fault::of_one_packet(&error) && refused < REFUSED => {
                refused += 1;
                units.lose();
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(SessionError::Closed)
}

fn options(attempt: &Attempt) -> SessionOptions {
    let credentials = attempt.spec.credentials.as_ref().map(|credentials| retina::client::Credentials {
        username: credentials.user().to_owned(),
        password: credentials.password().to_owned(),
    });
    // Over TCP a session ends with its connection; a TEARDOWN on it is for servers that forget to.
    SessionOptions::default()
        .creds(credentials)
        .user_agent("xueliang".to_owned())
        .teardown(TeardownPolicy::Auto)
}

/// The first video stream that can be read.
fn choose(session: &Session<Described>, attempt: &Attempt) -> Result<(usize, Codec), SessionError> {
    let mut offered = None;
    for (index, stream) in session.streams().iter().enumerate() {
        if stream.media() != "video" {
            continue;
        }
        match stream.encoding_name() {
            "h264" => return Ok((index, Codec::H264)),
            "h265" => return Ok((index, Codec::H265)),
            other => offered = offered.or_else(|| Some(other.to_ascii_uppercase())),
        }
    }
    let unreadable = |reason: &str| SessionError::Unreadable { reason: reason.to_owned() };
    match offered {
        None => Err(unreadable("it describes no video that retina understands")),
        Some(offered) if offered == "JPEG" => Err(unreadable("it sends MJPEG")),
        Some(offered) => {
            let printable: String = offered.chars().filter(char::is_ascii_graphic).take(32).collect();
            Err(SessionError::UnsupportedCodec { offered: attempt.clean(&printable) })
        }
    }
}

/// Hands units on.
struct Out<'a> {
    attempt: &'a Attempt,
    codec: Codec,
    clock_hz: u32,
    keyframes: Keyframes,
    reports: SenderReports,
    /// A unit could have been a keyframe, had the stream ever told its parameter sets.
    lacks_parameters: bool,
}

impl<'a> Out<'a> {
    fn new(attempt: &'a Attempt, codec: Codec, stream: &Stream) -> Self {
        let described = match stream.parameters() {
            Some(ParametersRef::Video(parameters)) => parameters.extra_data(),
            _ => &[],
        };
        Self {
            attempt,
            codec,
            clock_hz: stream.clock_rate_hz(),
            keyframes: Keyframes::described(described),
            reports: SenderReports::default(),
            lacks_parameters: false,
        }
    }
    fn deliver(&mut self, unit: &Unit<'_>) {
        let Completed { keyframe, lacks_parameters, data } = self.keyframes.complete(self.codec, unit.data);
        self.lacks_parameters |= lacks_parameters;
        let pts_us = unit.ticks.checked_mul(1_000_000).and_then(|us| us.checked_div(self.clock_hz.into()));
        let camera_time = self.reports.time_of(unit.rtp, self.attempt.clock.mono());
        self.attempt.delivery.unit(RawUnit {
            codec: self.codec,
            keyframe,
            gap: unit.gap,
            pts_us,
            camera_time,
            data,
        });
    }
    fn report(&mut self, packet: &[u8]) {
        self.reports.note(packet, self.clock_hz, self.attempt.clock.mono());
    }
    /// Gives up what comes and cannot be used.
    fn check(&self, units: &Units) -> Result<(), SessionError> {
        let reason = if self.lacks_parameters {
            "its keyframes come without parameter sets, and retina finds none in the description"
        } else if units.damaged() >= DAMAGED {
            "its packets make no whole pictures"
        } else {
            return Ok(());
        };
        Err(SessionError::Unreadable { reason: reason.to_owned() })
    }
}
