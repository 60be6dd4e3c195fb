//! The answers to RTSP requests.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Bound, Connection, End, Session};
use crate::auth::{Claim, LockAnswer, Verdict, hash};
use crate::camera::{Camera, Service};
use crate::counters::{Counters, DropReason};
use crate::delivery::Delivery;
use crate::rtsp::{Request, Response, interleaved_channel};
use crate::sdp;

const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN";
const REALM: &str = "xueliang-simulator";

impl Connection {
    /// Answers a request; `None`: with silence.
    pub(super) fn respond(&mut self, request: &Request) -> Result<Option<Response>, End> {
        if request.sequence().is_empty() {
            return Ok(Some(Response::new("400 Bad Request")));
        }
        if let Some(feature) = request.header("Require") {
            return Ok(Some(Response::new("551 Option not supported").with("Unsupported", feature)));
        }
        let Some(camera) = self.camera_of(request) else {
            let is_asterisk = request.path().is_empty();
            return Ok(Some(match request.method.as_str() {
                "OPTIONS" if is_asterisk => Response::ok().with("Public", METHODS),
                _ => Response::new("404 Not Found"),
            }));
        };
        self.bind(&camera);
        let now = Instant::now();
        let is_stopped = self.bound.as_ref().is_some_and(|bound| bound.state.is_stopped(now));
        match self.service() {
            Service::HalfOpen => return Ok(None),
            Service::Refusing if self.session.is_none() => return Err(End::Dropped(DropReason::Fault)),
            _ if is_stopped => return Ok(Some(Response::new("404 Not Found"))),
            _ => {}
        }
        if let Some(refusal) = self.refusal(&camera, request, now) {
            return Ok(Some(refusal));
        }
        Ok(Some(self.answer(&camera, request, now)))
    }

    /// The camera a request is for: the one its path names, or the connection's where it names none.
    fn camera_of(&self, request: &Request) -> Option<Arc<Camera>> {
        match request.path() {
            "" => self.bound.as_ref().map(|bound| Arc::clone(&bound.camera)),
            path => self.cameras.find(path),
        }
    }

    /// Makes `camera` the connection's, unless a session holds it to another.
    fn bind(&mut self, camera: &Arc<Camera>) {
        let is_bound = self.bound.as_ref().is_some_and(|bound| Arc::ptr_eq(&bound.camera, camera));
        if !is_bound && self.session.is_none() {
            let mut changes = camera.state.subscribe();
            let state = changes.borrow_and_update().clone();
            self.bound = Some(Bound { camera: Arc::clone(camera), changes, state });
        }
    }

    /// The answer to a request whose login is missing or wrong.
    fn refusal(&self, camera: &Camera, request: &Request, now: Instant) -> Option<Response> {
        if !matches!(request.method.as_str(), "DESCRIBE" | "SETUP" | "PLAY") {
            return None;
        }
        let claim = Claim {
            method: &request.method,
            authorization: request.header("Authorization"),
            nonce: &self.nonce,
            realm: REALM,
        };
        let unauthorized = |stale| {
            let challenge = camera.guard.challenge(REALM, &self.nonce, stale);
            Response::new("401 Unauthorized").with("WWW-Authenticate", challenge)
        };
        match camera.guard.judge(&claim, now) {
            Verdict::Granted => None,
            Verdict::Challenge { wrong, stale } => {
                Counters::add(&camera.counters.logins_failed, u64::from(wrong));
                Some(unauthorized(stale))
            }
            Verdict::LockedOut(answer) => {
                Counters::add(&camera.counters.logins_locked_out, 1);
                Some(match answer {
                    LockAnswer::Unauthorized => unauthorized(false),
                    LockAnswer::Forbidden => Response::new("403 Forbidden"),
                })
            }
        }
    }

    fn answer(&mut self, camera: &Arc<Camera>, request: &Request, now: Instant) -> Response {
        match request.method.as_str() {
            "OPTIONS" => Response::ok().with("Public", METHODS),
            "DESCRIBE" => {
                let state = camera.state.borrow();
                Response::ok()
                    .with("Content-Base", format!("{}/", request.uri.trim_end_matches('/')))
                    .with_body("application/sdp", sdp::describe(camera.name(), &state.scene.clip))
            }
            "SETUP" => self.set_up(camera, request),
            "GET_PARAMETER" | "SET_PARAMETER" if request.header("Session").is_none() => Response::ok(),
            "PLAY" | "GET_PARAMETER" | "SET_PARAMETER" | "TEARDOWN" => self.answer_in_session(request, now),
            "PAUSE" | "RECORD" | "ANNOUNCE" => Response::new("405 Method Not Allowed").with("Allow", METHODS),
            _ => Response::new("501 Not Implemented").with("Public", METHODS),
        }
    }

    fn set_up(&mut self, camera: &Arc<Camera>, request: &Request) -> Response {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.delivery.is_some() || !self.is_bound_to(camera))
        {
            return Response::new("455 Method Not Valid in This State");
        }
        let Some(channel) = request.header("Transport").and_then(interleaved_channel) else {
            return Response::new("461 Unsupported Transport");
        };
        let id = match self.session.take() {
            Some(session) => session.id,
            None => hash(&[&rand::random::<u128>().to_string()])[..16].to_owned(),
        };
        let ssrc: u32 = rand::random();
        let transport =
            format!("RTP/AVP/TCP;unicast;interleaved={channel}-{};ssrc={ssrc:08X}", u16::from(channel) + 1);
        let timeout_s = camera.session_timeout().as_secs().max(1);
        let response =
            Response::ok().with("Transport", transport).with("Session", format!("{id};timeout={timeout_s}"));
        let codec = camera.state.borrow().codec();
        self.session = Some(Session { id, codec, channel, ssrc, delivery: None });
        response
    }

    fn is_bound_to(&self, camera: &Arc<Camera>) -> bool {
        self.bound.as_ref().is_some_and(|bound| Arc::ptr_eq(&bound.camera, camera))
    }

    fn answer_in_session(&mut self, request: &Request, now: Instant) -> Response {
        // A client may repeat the timeout it was told.
        let asked_for = request.header("Session").and_then(|session| session.split(';').next());
        let (Some(bound), Some(session)) = (&self.bound, &mut self.session) else {
            return Response::new("454 Session Not Found");
        };
        if asked_for != Some(session.id.as_str()) {
            return Response::new("454 Session Not Found");
        }
        let response = Response::ok().with("Session", &session.id);
        match request.method.as_str() {
            "PLAY" => {
                let delivery = session.delivery.get_or_insert_with(|| {
                    let scene = bound.state.scene.clone();
                    Delivery::start(Arc::clone(&bound.camera), scene, session.channel, session.ssrc, now)
                });
                let (sequence, timestamp) = delivery.next_numbers();
                let uri = request.uri.trim_end_matches('/');
                let track =
                    if uri.ends_with(sdp::TRACK) { uri.to_owned() } else { format!("{uri}/{}", sdp::TRACK) };
                response
                    .with("Range", "npt=now-")
                    .with("RTP-Info", format!("url={track};seq={sequence};rtptime={timestamp}"))
            }
            "TEARDOWN" => {
                self.session = None;
                response
            }
            _ => response,
        }
    }
}
