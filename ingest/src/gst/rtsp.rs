//! A stream over RTSP: `rtspsrc ! depay ! parse ! appsink`, one attempt on a thread of its own.
//!
//! What is enforced on the connection: rtspsrc is given the address that was checked (not the name), and before each
//! request leaves, the place it is about to go to is compared with that address; after a redirect it differs, nothing
//! is sent, and the session ends as [`SessionError::Redirected`]. A TCP connection to the place redirected to may have
//! been opened and closed by then; neither a request nor a password has gone there.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::oneshot;
use xueliang_base::config::Transport;

use super::{make, set};
use crate::session::{Attempt, Delivery, HEARTBEAT, Place, Progress, SessionError};

mod chain;
mod fault;
mod sender;

/// Reordering allowed to packets over UDP; over TCP they come in order.
const UDP_LATENCY_MS: &str = "200";

/// What streaming threads find out; the session's thread reads it.
#[derive(Debug)]
pub(super) struct Finding {
    found: Mutex<Found>,
    progress: Arc<Progress>,
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

/// Makes one attempt.
pub(crate) async fn read(attempt: Attempt) -> SessionError {
    let (ended, wait) = oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("session:{}", attempt.spec.camera));
    let started = thread.spawn(move || {
        // Nobody waits where the program ends.
        let _unheard = ended.send(block(&attempt).err().unwrap_or(SessionError::Stopped));
    });
    if let Err(error) = started {
        return SessionError::Internal { reason: format!("cannot start a thread for the camera: {error}") };
    }
    wait.await.unwrap_or_else(|_| SessionError::Internal {
        reason: "its session ended by a defect of this program: see the log".to_owned(),
    })
}

fn block(attempt: &Attempt) -> Result<(), SessionError> {
    let internal = |error: crate::Error| SessionError::Internal { reason: error.to_string() };
    super::init().map_err(internal)?;
    let finding = Arc::new(Finding { found: Mutex::default(), progress: Arc::clone(&attempt.progress) });
    Running::build(attempt, &finding).map_err(internal)?.watch(attempt, &finding)
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
    fn build(attempt: &Attempt, finding: &Arc<Finding>) -> Result<Self, crate::Error> {
        let (place, delivery) = (&attempt.place, &attempt.delivery);
        let pipeline = gst::Pipeline::new();
        PIPELINES.fetch_add(1, Ordering::Relaxed);
        // Told when the last reference is gone, so that one that GStreamer keeps is counted as alive.
        pipeline.add_weak_ref_notify(|| {
            PIPELINES.fetch_sub(1, Ordering::Relaxed);
        });
        let source = make("rtspsrc")?;
        configure(&source, attempt);
        guard_requests(&source, place, attempt.spec.credentials.is_some(), finding);
        select_video(&source, finding, delivery);
        let times = sender::listen(&source, &attempt.clock);
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

    fn watch(&self, attempt: &Attempt, finding: &Finding) -> Result<(), SessionError> {
        let beat = gst::ClockTime::from_nseconds(u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX));
        let mut last_warning = None;
        loop {
            if attempt.halt.asked() {
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
                        let fault = fault::of_bus(&error.error(), error.debug().as_deref(), attempt);
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
            let (silent, delivered) = attempt.delivery.silence();
            if let Some(overdue) = attempt.haste.overdue(&attempt.progress, silent, delivered) {
                return Err(overdue);
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

fn configure(source: &gst::Element, attempt: &Attempt) {
    let udp = attempt.spec.stream.transport == Transport::Udp;
    let timeout_us = attempt.haste.first_unit.as_micros().max(1_000_000).to_string();
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
    source.set_property("location", attempt.place.url.as_str());
    if let Some(credentials) = &attempt.spec.credentials {
        source.set_property("user-id", credentials.user());
        source.set_property("user-pw", credentials.password());
    }
}

/// Requests until a camera has described its streams: OPTIONS, DESCRIBE, and the one of them again that is asked for a
/// login. A fourth means that the login was refused: rtspsrc would send it seven times more, and a recorder lock the account
/// over one attempt.
const REQUESTS_TO_DESCRIBE: u32 = 3;

/// Compares the place of every request with the place that was checked, and lets a login be refused once.
fn guard_requests(source: &gst::Element, place: &Place, signs_in: bool, finding: &Arc<Finding>) {
    let (checked, finding) = (place.url.clone(), Arc::clone(finding));
    let sent = AtomicU32::new(0);
    source.connect("before-send", false, move |values| {
        let before = sent.fetch_add(1, Ordering::Relaxed);
        // A request follows the answer to the one before.
        if before > 0 {
            finding.progress.answer();
        }
        if signs_in && !finding.progress.described() && before >= REQUESTS_TO_DESCRIBE {
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
        finding.progress.describe();
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
