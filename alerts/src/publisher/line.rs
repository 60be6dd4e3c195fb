//! One call with states to the bus, and what its failure means.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use xueliang_base::time::{Mono, SharedClock, micros};
use xueliang_proto::v1::{self, alert_service_client::AlertServiceClient};

use crate::hop::PeerClock;

/// Deadline of a call with states.
const CALL: Duration = Duration::from_secs(10);

/// What to do about a failed call.
pub(super) enum Failure {
    /// Try again later.
    Again(String),
    /// A fault of the bus: of what was sent, or of all.
    Stumbled(String),
    /// The same request will fail again.
    Never(String),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::InvalidArgument | Code::NotFound | Code::OutOfRange | Code::AlreadyExists => {
                Failure::Never(text)
            }
            Code::Internal | Code::DataLoss | Code::Unknown => Failure::Stumbled(text),
            _ => Failure::Again(text),
        }
    }
}

pub(super) async fn call<T>(
    within: Duration,
    answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Failure> {
    match timeout(within, answer).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failure::Again(format!("no answer within {} s", within.as_secs()))),
    }
}

/// The way of states to the bus. Calls may be under way side by side.
pub(super) struct Line {
    alerts: AlertServiceClient<Channel>,
    clock: SharedClock,
    measured: Mutex<Measured>,
}

/// What the answers so far tell.
#[derive(Default)]
struct Measured {
    /// The clock of the bus, as compared with ours at each answer.
    bus_clock: PeerClock,
    round_trip: Duration,
}

impl Line {
    pub(super) fn new(channel: Channel, clock: SharedClock) -> Self {
        Self { alerts: AlertServiceClient::new(channel), clock, measured: Mutex::default() }
    }
    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().expect("no code panics while it holds this lock")
    }
    /// Sends states; one answer each, in order. They are dated when they leave.
    pub(super) async fn publish(
        &self,
        states: impl FnOnce(Mono) -> Vec<v1::Alert>,
    ) -> Result<Vec<v1::PublishResult>, Failure> {
        let began = self.clock.mono();
        let (last_round_trip_us, sent) = {
            let measured = self.measured();
            (micros(measured.round_trip), measured.bus_clock.sent(&self.clock.boot(), began))
        };
        let publication =
            |alert| v1::Publication { alert: Some(alert), last_round_trip_us, sent: Some(sent.clone()) };
        let publications: Vec<_> = states(began).into_iter().map(publication).collect();
        let count = publications.len();
        let answer = call(CALL, self.alerts.clone().publish(v1::PublishRequest { publications })).await?;
        let returned = self.clock.mono();
        {
            let mut measured = self.measured();
            measured.round_trip = returned.since(began);
            if let Some(theirs) = &answer.received {
                measured.bus_clock.note(began, theirs, returned);
            }
        }
        if answer.results.len() != count {
            return Err(Failure::Again("the bus answered for another number of states".to_owned()));
        }
        Ok(answer.results)
    }
}

/// Why the bus will never take a state; `None` when it has it.
pub(super) fn refusal(result: &v1::PublishResult) -> Option<String> {
    use v1::PublishOutcome::{Committed, Conflict, Duplicate, Invalid, Stale, Unspecified};
    let refused = match result.outcome() {
        Committed | Duplicate => return None,
        Stale => "stale: the bus has a later revision",
        Conflict => "conflict",
        Invalid => "invalid",
        Unspecified => "the bus gives an outcome that this version does not know",
    };
    Some([refused, &result.message].join(": ").trim_end_matches(": ").to_owned())
}
