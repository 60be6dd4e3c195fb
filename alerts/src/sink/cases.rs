//! What a sink is told of cases: `xueliang.case.v1`, JSON, signed and sent like alerts, by a task of its own, so that a
//! backlog of alerts holds back no call for help. `docs/webhook.md` explains the fields.
//!
//! Notices go in order, each until it is taken. One that is refused for good, or not taken for a day, is passed over and
//! counted: what a desk was to be told then is history, and stands in the case's.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use tokio_rustls::rustls::ClientConfig;
use tracing::{info, warn};
use xueliang_base::{backoff::Backoff, id::DivisionCode, time::Mono, wire::word};
use xueliang_proto::v1;

use super::{
    Fault, Shared, SinkOptions,
    send::{Letter, Sender, Sent},
};
use crate::{
    bus::{Bus, Inner},
    case::Action,
    error::{Error, Result},
    store::{CaseNotice, NoticeWay},
};

/// Name and version of the body.
pub const CASE_SCHEMA: &str = "xueliang.case.v1";
/// How often it is looked for notices, and before the store is asked again after it failed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    delivery_id: &'a str,
    sink: &'a str,
    site: &'a str,
    at_unix_us: i64,
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    escalation: Option<Escalation<'a>>,
    case: Case<'a>,
}

#[derive(Serialize)]
struct Escalation<'a> {
    stage: String,
    cause: String,
    desk: &'a str,
}

#[derive(Serialize)]
struct Case<'a> {
    number: &'a str,
    revision: u64,
    state: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    alert_id: &'a str,
    kind: i32,
    kind_code: &'static str,
    level: u8,
    drill: bool,
    camera_id: &'a str,
    division_path: Vec<&'a str>,
    opened_unix_us: i64,
}

/// The body of a notice.
fn body(notice: &CaseNotice, delivery_id: &str, site: &str, sink: &str) -> serde_json::Result<Bytes> {
    let CaseNotice { case, event, .. } = notice;
    let escalation = match &event.action {
        Action::Escalate(stage, cause, desk) => Some(Escalation {
            stage: format!("{stage:?}").to_lowercase(),
            cause: word(cause.as_str_name(), "ESCALATION_CAUSE_"),
            desk,
        }),
        _ => None,
    };
    let alert_id = case.subject.alert.map(|id| id.to_string()).unwrap_or_default();
    let body = Body {
        schema: CASE_SCHEMA,
        delivery_id,
        sink,
        site,
        at_unix_us: event.at.0,
        what: if escalation.is_some() { "escalated" } else { "confirmed" },
        escalation,
        case: Case {
            number: case.number.as_str(),
            revision: case.revision,
            state: word(v1::CaseState::from(case.state).as_str_name(), "CASE_STATE_"),
            alert_id: &alert_id,
            kind: case.subject.kind.number(),
            kind_code: case.subject.kind.code(),
            level: case.level.number(),
            drill: case.subject.drill,
            camera_id: case.subject.camera.as_str(),
            division_path: case.subject.path.iter().map(DivisionCode::as_str).collect(),
            opened_unix_us: case.opened.0,
        },
    };
    serde_json::to_vec(&body).map(Bytes::from)
}

/// Tells one sink of cases, one way. A sink has two of them: a notice that it does not take keeps the others of its way
/// waiting, and no minor one may keep a call for help waiting.
pub(super) struct CaseWorker {
    way: NoticeWay,
    bus: Arc<Inner>,
    shared: Arc<Shared>,
    options: SinkOptions,
    sender: Sender,
    backoff: Backoff,
}

impl CaseWorker {
    pub(super) fn new(
        bus: &Bus,
        shared: Arc<Shared>,
        options: SinkOptions,
        tls: Result<Arc<ClientConfig>, String>,
        critical: bool,
    ) -> Self {
        let way = NoticeWay { sink: shared.spec.name.clone(), critical };
        let sender = shared.spec.sender(&options, tls);
        let seed = bus.0.clock.mono().0;
        let backoff = Backoff::spread(options.wait_from, options.wait_to, seed);
        Self { way, bus: Arc::clone(&bus.0), shared, options, sender, backoff }
    }
    /// Works for ever.
    pub(super) async fn run(mut self) {
        loop {
            let Err(error) = self.run_once().await;
            warn!(sink = self.shared.spec.name, %error, "the sink waits for the store to be told of cases");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    async fn run_once(&mut self) -> Result<Infallible> {
        let mut place = self.bus.store.case_notice_place(self.way.clone()).await?;
        loop {
            let (notice, upto) =
                self.bus.store.next_case_notice(Arc::clone(&self.shared.filter), place).await?;
            match notice {
                Some(notice) if self.way.takes(&notice) => self.tell(&notice).await?,
                Some(_) => {}
                // What nobody wants is passed over without a write: it is looked at again in the next life.
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
            place = upto;
        }
    }
    /// Sends a notice until it is taken or given up.
    async fn tell(&mut self, notice: &CaseNotice) -> Result<()> {
        let spec = &self.shared.spec;
        let delivery_id = format!("{}-{}-{}", notice.case.number, notice.case.revision, spec.name);
        let body = body(notice, &delivery_id, &spec.site, &spec.name)
            .map_err(|fault| Error::Internal(format!("write a case as JSON: {fault}")))?;
        let began = self.bus.clock.mono();
        let mut attempt = 0_u32;
        loop {
            attempt = attempt.saturating_add(1);
            let at = self.bus.clock.wall();
            let sent = self.sender.send(&Letter { delivery_id: &delivery_id, body: body.clone(), at }).await;
            let done = self.is_done(notice, &sent, began);
            let share = sent.left.then(|| v1::Share {
                at_unix_us: self.bus.clock.wall().0,
                alert_id: notice.case.subject.alert.map(|id| id.to_string()).unwrap_or_default(),
                revision: notice.case.revision,
                status: u32::from(sent.status),
                content: v1::ShareContent::Case.into(),
                size_bytes: body.len() as u64,
                attempt,
                ..v1::Share::default()
            });
            if done || share.is_some() {
                self.keep(done.then_some(notice.id), share).await?;
            }
            if done {
                return Ok(());
            }
            let wait = self.backoff.next_wait().max(sent.retry_after.unwrap_or_default());
            tokio::time::sleep(wait).await;
        }
    }
    /// Keeps what came of a try; what was taken is not sent again because the store fails for a while.
    async fn keep(&self, upto: Option<u64>, share: Option<v1::Share>) -> Result<()> {
        loop {
            match self.bus.store.settle_case_notice(self.way.clone(), upto, share.clone()).await {
                Err(error @ (Error::Unavailable(_) | Error::Exhausted(_))) => {
                    warn!(sink = self.shared.spec.name, %error, "what was told of a case is not on disk yet");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                kept => return kept,
            }
        }
    }
    /// Whether a notice is done with: taken, or given up.
    fn is_done(&mut self, notice: &CaseNotice, sent: &Sent, began: Mono) -> bool {
        let mut counts = self.shared.counts();
        let Err(fault) = sent.result else {
            counts.notices_taken += 1;
            drop(counts);
            self.backoff.reset();
            info!(sink = self.shared.spec.name, case = %notice.case.number, "the sink was told of a case");
            return true;
        };
        let over = self.bus.clock.mono().since(began) >= self.options.give_up_after;
        let refused = matches!(fault, Fault::Refused | Fault::Redirect);
        if over || refused {
            counts.notices_dead += 1;
            warn!(sink = self.shared.spec.name, case = %notice.case.number, %fault, "a notice about a case is given up");
        }
        over || refused
    }
}
