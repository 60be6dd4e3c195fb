//! A stream over RTSP: `rtspsrc ! depay ! parse ! appsink`.
//!
//! What is enforced on the connection: rtspsrc is given the address that was checked (not the name), and before each
//! request leaves, the place it is about to go to is compared with that address; after a redirect it differs, nothing
//! is sent, and the session ends as [`SessionError::Redirected`]. A TCP connection to the place redirected to may have
//! been opened and closed by then; neither a request nor a password has gone there.

use std::{
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use gstreamer as gst;
use gstreamer::prelude::*;
use xueliang_base::{
    config::Transport,
    time::{Mono, SharedClock},
};

use super::{make, set};
use crate::{
    credentials::Credentials,
    session::{Delivery, HEARTBEAT, Halt, SessionError, SessionSpec, Source, address},
};

mod chain;
mod fault;
mod sender;

/// A stream that delivered and then has been silent for so long is taken down.
pub const STALL: Duration = Duration::from_secs(5);
/// A camera that was gone gets this long to take a connection before anything is built for it.
const KNOCK: Duration = Duration::from_secs(1);
/// Reordering allowed to packets over UDP; over TCP they come in order.
const UDP_LATENCY_MS: &str = "200";

/// Reads one camera over RTSP.
#[derive(Debug)]
pub struct RtspSource {
    spec: SessionSpec,
    clock: SharedClockDebug,
    /// The last attempt failed: see whether anybody is there before a pipeline is built.
    knock: bool,
    /// When it last delivered.
    worked: Option<Mono>,
    /// It needs longer to answer than a hurried attempt waits, even when all is well.
    slow: bool,
    /// Hurried attempts since it last delivered.
    hurried: u32,
}

/// How long a camera that has worked before may take to answer when it is tried again. A camera that took a
/// connection and then fell silent must not hold its session for the 30 s that an on-demand platform may need to start.
const HURRIED: Duration = Duration::from_secs(3);
/// And how long to describe its streams. What it was asked before it came back was asked of nobody: it is back within
/// 2 s only if it is asked again soon.
const HURRIED_ANSWER: Duration = Duration::from_secs(1);
/// After so many hurried attempts one has all the time that the configuration gives: it may be such a platform.
const HURRIED_ATTEMPTS: u32 = 5;
/// Such a platform answers its first request at once, whatever the camera behind it does. One that answers nothing is given
/// no time until it has been gone for so long.
const GONE: Duration = Duration::from_secs(300);

/// How an attempt is made.
#[derive(Debug, Clone, Copy)]
struct Haste {
    /// Given up soon where the streams are not described.
    hurried: bool,
    /// Given up soon where not even the first request is answered.
    answer_first: bool,
}

#[derive(Clone)]
struct SharedClockDebug(SharedClock);
impl std::fmt::Debug for SharedClockDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// What streaming threads find out; the session's thread reads it.
#[derive(Debug, Default)]
pub(super) struct Finding {
    found: Mutex<Found>,
    /// The camera has answered its first request.
    answered: AtomicBool,
    /// The camera has described its streams.
    described: AtomicBool,
    /// Its first answer took longer than a hurried attempt waits.
    slow: AtomicBool,
}

#[derive(Debug, Default)]
struct Found {
    /// Ends the session.
    fatal: Option<SessionError>,
    /// Explains the error that will follow, if one does.
    note: Option<SessionError>,
}

impl Finding {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    /// The first finding stays.
    pub(super) fn say(&self, error: SessionError) {
        self.found().fatal.get_or_insert(error);
    }
    fn note(&self, error: SessionError) {
        self.found().note.get_or_insert(error);
    }
}

impl RtspSource {
    /// A source of that stream.
    pub fn new(spec: SessionSpec, clock: SharedClock) -> Self {
        let clock = SharedClockDebug(clock);
        Self { spec, clock, knock: false, worked: None, slow: false, hurried: 0 }
    }

    /// What this attempt is told: the first unit may take as configured, or less where the camera has worked before.
    fn spec_now(&mut self) -> (SessionSpec, Haste) {
        let mut spec = self.spec.clone();
        let gone = self.worked.map(|last| self.clock.0.mono().since(last));
        let hurried = gone.is_some() && self.hurried < HURRIED_ATTEMPTS;
        if hurried {
            self.hurried += 1;
            spec.stream.first_unit_timeout = spec.stream.first_unit_timeout.min(HURRIED);
        } else {
            self.hurried = 0;
        }
        (spec, Haste { hurried, answer_first: !self.slow && gone.is_some_and(|gone| gone < GONE) })
    }

    fn attempt(&mut self, delivery: &Arc<Delivery>, halt: &Halt) -> Result<(), SessionError> {
        super::init().map_err(|error| SessionError::Internal { reason: error.to_string() })?;
        let place = address::check(&self.spec.stream.url, &self.spec.networks)?;
        if self.knock {
            TcpStream::connect_timeout(&place.address, KNOCK).map_err(|error| fault::of_connect(&error))?;
        }
        let finding = Arc::new(Finding::default());
        let (spec, haste) = self.spec_now();
        let running = Running::build(&spec, &place, delivery, &finding, &self.clock.0)
            .map_err(|error| SessionError::Internal { reason: error.to_string() })?;
        let ended = running.watch(&spec, haste, delivery, halt, &finding);
        drop(running);
        if delivery.silence().1 {
            self.worked = Some(self.clock.0.mono());
            self.slow |= finding.slow.load(Ordering::Relaxed);
            self.hurried = 0;
        }
        match ended {
            // What GStreamer tells no further, a connection of our own does.
            Err(error) if !delivery.silence().1 => Err(fault::closer(error, &place, KNOCK)),
            ended => ended,
        }
    }
}

impl Source for RtspSource {
    fn run_once(&mut self, delivery: &Arc<Delivery>, halt: &Halt) -> SessionError {
        let ended = self.attempt(delivery, halt).err().unwrap_or(SessionError::Stopped);
        self.knock = ended.gone_for_now();
        ended
    }
}

/// Pipelines of sessions that GStreamer has not given back yet.
static PIPELINES: AtomicUsize = AtomicUsize::new(0);

/// How many pipelines of sessions are alive in this process.
pub fn pipelines() -> usize {
    PIPELINES.load(Ordering::Relaxed)
}

/// A pipeline in PLAYING. Dropped by the thread that built it, which takes it to NULL.
struct Running {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
}

impl Running {
    fn build(
        spec: &SessionSpec,
        place: &address::Place,
        delivery: &Arc<Delivery>,
        finding: &Arc<Finding>,
        clock: &SharedClock,
    ) -> Result<Self, crate::Error> {
        let pipeline = gst::Pipeline::new();
        PIPELINES.fetch_add(1, Ordering::Relaxed);
        // Told when the last reference is gone, so that one that GStreamer keeps is counted as alive.
        pipeline.add_weak_ref_notify(|| {
            PIPELINES.fetch_sub(1, Ordering::Relaxed);
        });
        let source = make("rtspsrc")?;
        configure(&source, spec, place);
        guard_requests(&source, place, spec.credentials.is_some(), finding);
        select_video(&source, finding, delivery);
        let times = sender::listen(&source, clock);
        chain::on_pad(&source, &pipeline, delivery, finding, &times);
        pipeline
            .add(&source)
            .map_err(|error| crate::Error::Media { doing: "build a session", reason: error.to_string() })?;
        let bus = pipeline
            .bus()
            .ok_or(crate::Error::Media { doing: "build a session", reason: "no bus".to_owned() })?;
        let running = Self { pipeline, bus };
        // An element that cannot start says why on the bus.
        let _said_on_the_bus = running.pipeline.set_state(gst::State::Playing);
        Ok(running)
    }

    fn watch(
        &self,
        spec: &SessionSpec,
        haste: Haste,
        delivery: &Arc<Delivery>,
        halt: &Halt,
        finding: &Finding,
    ) -> Result<(), SessionError> {
        let first = spec.stream.first_unit_timeout;
        let beat = gst::ClockTime::from_nseconds(u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX));
        let mut last_warning = None;
        loop {
            if halt.asked() {
                return Ok(());
            }
            let message = self.bus.timed_pop_filtered(
                beat,
                &[gst::MessageType::Error, gst::MessageType::Warning, gst::MessageType::Eos],
            );
            if let Some(fatal) = finding.found().fatal.take() {
                return Err(fatal);
            }
            if let Some(message) = message {
                match message.view() {
                    gst::MessageView::Error(error) => {
                        let fault = fault::of_bus(&error.error(), error.debug().as_deref(), spec);
                        // The first of a chain of errors is the cause, but what came before may say more.
                        return Err(finding.found().note.take().or(last_warning).unwrap_or(fault));
                    }
                    gst::MessageView::Warning(warning) => {
                        last_warning = fault::of_warning(&warning.error(), warning.debug().as_deref());
                    }
                    gst::MessageView::Eos(_) => return Err(last_warning.unwrap_or(SessionError::Closed)),
                    _ => {}
                }
            }
            let (silent, delivered) = delivery.silence();
            if delivered && silent >= STALL {
                return Err(SessionError::Stalled { after: silent });
            }
            if !delivered && silent >= HURRIED_ANSWER {
                let answered = finding.answered.load(Ordering::Relaxed);
                let described = finding.described.load(Ordering::Relaxed);
                if (haste.answer_first && !answered) || (haste.hurried && !described) {
                    return Err(SessionError::NoFirstUnit { after: HURRIED_ANSWER });
                }
                if !answered {
                    finding.slow.store(true, Ordering::Relaxed);
                }
            }
            if !delivered && silent >= first {
                return Err(SessionError::NoFirstUnit { after: first });
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.bus.set_flushing(true);
        // Takes 2 to 5 ms, 100 ms where the camera is frozen; an element that does not follow is leaked by GStreamer.
        let _best_effort = self.pipeline.set_state(gst::State::Null);
    }
}

fn configure(source: &gst::Element, spec: &SessionSpec, place: &address::Place) {
    let udp = spec.stream.transport == Transport::Udp;
    let timeout_us = spec.stream.first_unit_timeout.as_micros().max(1_000_000).to_string();
    set(
        source,
        &[
            ("protocols", if udp { "udp" } else { "tcp" }),
            ("latency", if udp { UDP_LATENCY_MS } else { "0" }),
            ("tcp-timeout", &timeout_us),
            // A stream over UDP that stays silent must not silently become one over TCP.
            ("timeout", "0"),
            ("udp-reconnect", "false"),
            ("do-retransmission", "false"),
            ("ignore-x-server-reply", "true"),
            ("user-agent", "xueliang"),
        ],
    );
    source.set_property("location", place.url.as_str());
    if let Some(credentials) = &spec.credentials {
        source.set_property("user-id", credentials.user());
        source.set_property("user-pw", credentials.password());
    }
}

/// Requests until a camera has described its streams: OPTIONS, DESCRIBE, and the one of them again that is asked for a
/// login. A fourth means that the login was refused: rtspsrc would send it seven times more, and a recorder lock the account
/// over one attempt.
const REQUESTS_TO_DESCRIBE: u32 = 3;

/// Compares the place of every request with the place that was checked, and lets a login be refused once.
fn guard_requests(source: &gst::Element, place: &address::Place, signs_in: bool, finding: &Arc<Finding>) {
    let (checked, finding) = (place.url.clone(), Arc::clone(finding));
    let sent = AtomicU32::new(0);
    source.connect("before-send", false, move |values| {
        let before = sent.fetch_add(1, Ordering::Relaxed);
        // A request follows the answer to the one before.
        finding.answered.fetch_or(before > 0, Ordering::Relaxed);
        if signs_in && !finding.described.load(Ordering::Relaxed) && before >= REQUESTS_TO_DESCRIBE {
            finding.say(SessionError::Unauthorized);
            return Some(false.to_value());
        }
        let source = values.first().and_then(|value| value.get::<gst::Element>().ok());
        let location = source.map(|source| source.property::<Option<String>>("location").unwrap_or_default());
        let here = location.as_deref().and_then(|location| url::Url::parse(location).ok());
        let same = here.as_ref().is_some_and(|url| {
            (url.scheme(), url.host_str(), url.port())
                == (checked.scheme(), checked.host_str(), checked.port())
        });
        if !same {
            let to = here.as_ref().and_then(url::Url::host_str).unwrap_or("an address that cannot be read");
            finding.say(SessionError::Redirected { to: to.to_owned() });
        }
        Some(same.to_value())
    });
}

/// Sets up the first video stream that can be read, and nothing else.
fn select_video(source: &gst::Element, finding: &Arc<Finding>, delivery: &Arc<Delivery>) {
    let (finding, delivery) = (Arc::clone(finding), Arc::clone(delivery));
    let chosen = Mutex::new(None::<u32>);
    source.connect("select-stream", false, move |values| {
        // It answered DESCRIBE: whatever login it asks for was given.
        finding.described.store(true, Ordering::Relaxed);
        delivery.accepted();
        let number = values.get(1).and_then(|value| value.get::<u32>().ok()).unwrap_or(0);
        let caps = values.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let structure = caps.as_ref().and_then(|caps| caps.structure(0));
        let text = |name| structure.and_then(|s| s.get::<&str>(name).ok()).unwrap_or_default().to_owned();
        let (media, encoding) = (text("media"), text("encoding-name"));
        if media != "video" {
            return Some(false.to_value());
        }
        let mut chosen = chosen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let take = match (chain::codec_of(&encoding), *chosen) {
            (None, None) => {
                // rtspsrc has room for a name a camera chose; a log line has not.
                let offered: String = encoding.chars().filter(char::is_ascii_graphic).take(32).collect();
                finding.note(SessionError::UnsupportedCodec { offered });
                false
            }
            (None, Some(_)) => false,
            (Some(_), None) => {
                *chosen = Some(number);
                true
            }
            (Some(_), Some(before)) => before == number,
        };
        Some(take.to_value())
    });
}

/// The text without what the camera's account is, and without control characters or endless tails.
fn clean(text: &str, credentials: Option<&Credentials>) -> String {
    let text = credentials.map_or_else(|| text.to_owned(), |credentials| credentials.redact(text));
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use xueliang_base::{
        config::Stream,
        time::{Clock as _, ManualClock, Wall},
    };

    use super::*;
    use crate::session::{Accounts, ConnectRate};

    #[test]
    fn who_answers_nothing_is_asked_again_soon_until_it_has_been_gone_for_long() {
        let spec = SessionSpec {
            camera: "gate".parse().unwrap(),
            stream: Stream {
                url: "rtsp://127.0.0.1:1/gate".parse().unwrap(),
                transport: Transport::Tcp,
                credentials: None,
                first_unit_timeout: Duration::from_secs(30),
            },
            credentials: None,
            networks: Vec::new(),
            expected_on: None,
            timezone: "Asia/Shanghai".to_owned(),
            first_seq: 1,
            connect_rate: ConnectRate::default(),
            accounts: Accounts::default(),
        };
        let clock = ManualClock::at(Wall(0));
        let mut source = RtspSource::new(spec, clock.clone());
        let (first, haste) = source.spec_now();
        assert_eq!(first.stream.first_unit_timeout, Duration::from_secs(30));
        assert!(!haste.hurried && !haste.answer_first, "nobody knows yet how long it takes");
        source.worked = Some(clock.mono());
        let hurried: Vec<_> = (0..12).map(|_| source.spec_now().1).collect();
        assert!(hurried.iter().all(|haste| haste.answer_first));
        let patient = hurried.iter().filter(|haste| !haste.hurried).count();
        assert_eq!(patient, 2, "one of six gives the camera behind it time");
        clock.advance(GONE);
        assert!(!source.spec_now().1.answer_first);
        source.worked = Some(clock.mono());
        source.slow = true;
        assert!(!source.spec_now().1.answer_first, "it has always been slow");
    }
}
