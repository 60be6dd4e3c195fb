//! Questions and orders to nodes: what a camera did, and why there was no alert; to connect to a camera for a while. They go
//! down the stream by which the node is attached. An answer comes back as a call of its own: few questions are under way at
//! once, and none waits for long. What comes of an order stands in the node's reports.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::Stream;
use xueliang_proto::v1::{self, ExplainRefusal};

use crate::error::{Error, Result};

/// Questions under way at once, of all consoles to all nodes: each costs its node some tenths of a second of one processor.
const UNDER_WAY: usize = 4;
/// A node answers within this time.
const WITHIN: Duration = Duration::from_secs(10);

type Answered = oneshot::Sender<v1::AnswerExplainRequest>;

#[derive(Default)]
struct State {
    /// Of each node the stream that was attached last.
    nodes: BTreeMap<String, Attached>,
    /// Questions that were asked over a stream and have no answer yet.
    open: BTreeMap<u64, (u64, String, Answered)>,
    last: u64,
}

struct Attached {
    /// Its number.
    stream: u64,
    asks: mpsc::Sender<v1::AttachResponse>,
    /// Whether it takes orders to connect.
    connects: bool,
}

/// Asks nodes and hands on their answers.
pub struct Explainer {
    state: Mutex<State>,
    room: Semaphore,
    within: Duration,
}

impl Explainer {
    /// Nobody is attached, nothing is asked.
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), room: Semaphore::new(UNDER_WAY), within: WITHIN }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    /// The questions and orders to a node, until they are dropped. What a stream attached before was asked is not asked again.
    pub(crate) fn attach(self: &Arc<Self>, node: &str, connects: bool) -> Questions {
        let (asks, asked) = mpsc::channel(UNDER_WAY);
        let mut state = self.state();
        state.last += 1;
        let stream = state.last;
        state.nodes.insert(node.to_owned(), Attached { stream, asks, connects });
        Questions { asked, explainer: Arc::clone(self), node: node.to_owned(), stream }
    }

    /// Asks a node and waits for its answer.
    pub(crate) async fn ask(&self, node: &str, request: v1::ExplainRequest) -> Result<v1::ExplainedCamera> {
        let Ok(_room) = self.room.try_acquire() else {
            return Err(Error::Exhausted(format!(
                "{UNDER_WAY} explanations are under way: ask again in a few seconds"
            )));
        };
        let away = || Error::Unavailable(format!("the node {node} is away: see the log of the service"));
        let (reply, answer) = oneshot::channel();
        let open = {
            let mut state = self.state();
            state.last += 1;
            let question_id = state.last;
            let Some(Attached { stream, asks, .. }) = state.nodes.get(node) else { return Err(away()) };
            let stream = *stream;
            let question = v1::ExplainQuestion { question_id, request: Some(request) };
            let question = v1::AttachResponse { explain: Some(question), ..v1::AttachResponse::default() };
            asks.try_send(question).map_err(|_| away())?;
            state.open.insert(question_id, (stream, node.to_owned(), reply));
            Open { explainer: self, question_id }
        };
        let answered = tokio::time::timeout(self.within, answer).await;
        drop(open);
        let answer = answered
            .map_err(|_| {
                let within = self.within.as_secs();
                Error::Unavailable(format!("the node {node} did not answer within {within} s: ask again"))
            })?
            .map_err(|_| away())?;
        match (answer.camera, ExplainRefusal::try_from(answer.refusal)) {
            (Some(camera), _) => Ok(camera),
            (None, Ok(ExplainRefusal::UnknownCamera)) => Err(Error::NotFound(answer.message)),
            (None, Ok(ExplainRefusal::Invalid)) => Err(Error::Invalid(answer.message)),
            (None, Ok(ExplainRefusal::Outside)) => Err(Error::Conflict(answer.message)),
            (None, Ok(ExplainRefusal::Busy)) => Err(Error::Exhausted(answer.message)),
            (None, _) => Err(Error::Internal(format!("the node {node} gave no answer: see its log"))),
        }
    }

    /// Has a node connect to a camera.
    pub(crate) fn connect(&self, node: &str, order: v1::ConnectOrder) -> Result<()> {
        let state = self.state();
        let away = || Error::Unavailable(format!("the node {node} is away: see the log of the service"));
        let Attached { asks, connects, .. } = state.nodes.get(node).ok_or_else(away)?;
        if !connects {
            return Err(Error::Conflict(format!("the node {node} is of an earlier version: start it again")));
        }
        let order = v1::AttachResponse { connect: Some(order), ..v1::AttachResponse::default() };
        asks.try_send(order).map_err(|_| {
            Error::Exhausted(format!("much is asked of the node {node}: ask again in a few seconds"))
        })
    }

    /// Hands an answer to whoever waits for it; nobody may wait any more, and another node's question it cannot answer.
    pub(crate) fn answer(&self, node: &str, answer: v1::AnswerExplainRequest) {
        let mut state = self.state();
        let theirs = state.open.get(&answer.question_id).is_some_and(|(_, asked, _)| asked == node);
        if theirs && let Some((_, _, reply)) = state.open.remove(&answer.question_id) {
            drop(reply.send(answer));
        }
    }
}

/// A question whose asker waits.
struct Open<'a> {
    explainer: &'a Explainer,
    question_id: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.explainer.state().open.remove(&self.question_id);
    }
}

/// Questions to one node. When they are dropped the node is away, and so it is told to whoever waits for it.
pub(crate) struct Questions {
    asked: mpsc::Receiver<v1::AttachResponse>,
    explainer: Arc<Explainer>,
    node: String,
    stream: u64,
}

impl Stream for Questions {
    type Item = v1::AttachResponse;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.asked.poll_recv(context)
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        let mut state = self.explainer.state();
        if state.nodes.get(&self.node).is_some_and(|attached| attached.stream == self.stream) {
            state.nodes.remove(&self.node);
        }
        state.open.retain(|_, (stream, ..)| *stream != self.stream);
    }
}

#[cfg(test)]
impl Explainer {
    /// One that waits for so long.
    pub(crate) fn waiting(within: Duration) -> Self {
        Self { within, ..Self::new() }
    }
}

#[cfg(test)]
mod tests;
