//! Questions and orders to nodes: what a camera did, and why there was no alert; what would have come of other rules; a redacted
//! picture of this moment; to connect to a camera for a while. They go down the stream by which the node is attached. An answer
//! comes back as a call of its own: few questions are under way at once, and none waits for long. What comes of an order stands
//! in the node's reports.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::Stream;
use xueliang_proto::v1::{self, ExplainRefusal, PictureRefusal};

use crate::error::{Error, Result};

/// Questions under way at once, of all consoles to all nodes: each costs its node some tenths of a second of one processor.
const UNDER_WAY: usize = 4;
/// Pictures asked for at once, of all nodes: each holds a worker of evidence up for some tenths of a second.
const PICTURES: usize = 8;
/// A node answers within this time.
const WITHIN: Duration = Duration::from_secs(10);
/// A picture that takes longer is none of this moment.
const PICTURE_WITHIN: Duration = Duration::from_secs(6);

/// Who waits for an answer.
enum Answered {
    Explained(oneshot::Sender<v1::AnswerExplainRequest>),
    Picture(oneshot::Sender<v1::AnswerPictureRequest>),
    Tried(oneshot::Sender<v1::AnswerTrialRequest>),
}

/// What a node takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Takes {
    /// Questions about what its cameras did.
    pub(crate) explains: bool,
    /// Orders to connect.
    pub(crate) connects: bool,
    /// Questions for pictures.
    pub(crate) pictures: bool,
    /// Trials of rules.
    pub(crate) trials: bool,
}

/// Why a question for a picture has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoPicture {
    /// For programs, and for people by its word.
    pub(crate) refusal: PictureRefusal,
    /// In words, with what to do.
    pub(crate) message: String,
}

impl NoPicture {
    pub(crate) fn new(refusal: PictureRefusal, message: impl Into<String>) -> Self {
        Self { refusal, message: message.into() }
    }
}

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
    takes: Takes,
}

/// Asks nodes and hands on their answers.
pub struct Explainer {
    state: Mutex<State>,
    room: Semaphore,
    pictures: Semaphore,
    within: Duration,
}

impl Explainer {
    /// Nobody is attached, nothing is asked.
    pub(crate) fn new() -> Self {
        let (room, pictures) = (Semaphore::new(UNDER_WAY), Semaphore::new(PICTURES));
        Self { state: Mutex::default(), room, pictures, within: WITHIN }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    /// The questions and orders to a node, until they are dropped. What a stream attached before was asked is not asked again.
    pub(crate) fn attach(self: &Arc<Self>, node: &str, takes: Takes) -> Questions {
        let (asks, asked) = mpsc::channel(UNDER_WAY + PICTURES);
        let mut state = self.state();
        state.last += 1;
        let stream = state.last;
        state.nodes.insert(node.to_owned(), Attached { stream, asks, takes });
        Questions { asked, explainer: Arc::clone(self), node: node.to_owned(), stream }
    }

    /// Asks a node and waits for its answer.
    pub(crate) async fn ask(&self, node: &str, request: v1::ExplainRequest) -> Result<v1::ExplainedCamera> {
        let Ok(_room) = self.room.try_acquire() else {
            return Err(Error::Exhausted(format!(
                "{UNDER_WAY} explanations are under way: ask again in a few seconds"
            )));
        };
        let away = || Error::Unavailable(away(node));
        let (reply, answer) = oneshot::channel();
        let question = |question_id| v1::AttachResponse {
            explain: Some(v1::ExplainQuestion { question_id, request: Some(request) }),
            ..v1::AttachResponse::default()
        };
        let takes = |takes: &Takes| takes.explains;
        let open = self.open(node, takes, question, Answered::Explained(reply)).ok_or_else(away)?;
        let answer = self.answered(node, answer).await;
        drop(open);
        let answer = answer?;
        answer.camera.ok_or_else(|| unanswered(node, answer.refusal, answer.message))
    }

    /// Asks a node to try rules and waits for what came of them. The question's number is set here.
    pub(crate) async fn try_rules(
        &self,
        node: &str,
        asked: v1::TrialQuestion,
    ) -> Result<v1::TryCameraRulesResponse> {
        let Ok(_room) = self.room.try_acquire() else {
            return Err(Error::Exhausted(format!(
                "{UNDER_WAY} questions to nodes are under way: ask again in a few seconds"
            )));
        };
        let (reply, answer) = oneshot::channel();
        let question = |question_id| v1::AttachResponse {
            trial: Some(v1::TrialQuestion { question_id, ..asked }),
            ..v1::AttachResponse::default()
        };
        let takes = |takes: &Takes| takes.trials;
        let open = self.open(node, takes, question, Answered::Tried(reply));
        let open = open.ok_or_else(|| Error::Unavailable(away(node)))?;
        let answer = self.answered(node, answer).await;
        drop(open);
        let answer = answer?;
        answer.trial.ok_or_else(|| unanswered(node, answer.refusal, answer.message))
    }

    /// What a node answers, where it does in time.
    async fn answered<T>(&self, node: &str, answer: oneshot::Receiver<T>) -> Result<T> {
        let answered = tokio::time::timeout(self.within, answer).await.map_err(|_| {
            let within = self.within.as_secs();
            Error::Unavailable(format!("the node {node} did not answer within {within} s: ask again"))
        })?;
        answered.map_err(|_| Error::Unavailable(away(node)))
    }

    /// Asks a node for a redacted picture of this moment and waits for it. The question's number is set here.
    pub(crate) async fn picture(
        &self,
        node: &str,
        asked: v1::PictureQuestion,
    ) -> Result<v1::AnswerPictureRequest, NoPicture> {
        let busy =
            || NoPicture::new(PictureRefusal::Busy, "many pictures are asked for: ask again in a while");
        let away = || NoPicture::new(PictureRefusal::Away, away(node));
        let _room = self.pictures.try_acquire().map_err(|_| busy())?;
        let (reply, answer) = oneshot::channel();
        let question = |question_id| v1::AttachResponse {
            picture: Some(v1::PictureQuestion { question_id, ..asked }),
            ..v1::AttachResponse::default()
        };
        let takes = |takes: &Takes| takes.pictures;
        let open = self.open(node, takes, question, Answered::Picture(reply)).ok_or_else(away)?;
        let answered = tokio::time::timeout(PICTURE_WITHIN, answer).await;
        drop(open);
        let answer = answered.map_err(|_| busy())?.map_err(|_| away())?;
        match answer.refusal() {
            PictureRefusal::Unspecified => Ok(answer),
            refusal => Err(NoPicture { refusal, message: answer.message }),
        }
    }

    /// Puts a question to a node that takes such; `None`: it is away, or of an earlier version.
    fn open(
        &self,
        node: &str,
        takes: impl FnOnce(&Takes) -> bool,
        question: impl FnOnce(u64) -> v1::AttachResponse,
        reply: Answered,
    ) -> Option<Open<'_>> {
        let mut state = self.state();
        state.last += 1;
        let question_id = state.last;
        let attached = state.nodes.get(node).filter(|attached| takes(&attached.takes))?;
        let stream = attached.stream;
        attached.asks.try_send(question(question_id)).ok()?;
        state.open.insert(question_id, (stream, node.to_owned(), reply));
        Some(Open { explainer: self, question_id })
    }

    /// Has a node connect to a camera.
    pub(crate) fn connect(&self, node: &str, order: v1::ConnectOrder) -> Result<()> {
        let order = v1::AttachResponse { connect: Some(order), ..v1::AttachResponse::default() };
        self.connects(node)?.try_send(order).map_err(|_| {
            Error::Exhausted(format!("much is asked of the node {node}: ask again in a few seconds"))
        })
    }
    /// Where a node takes orders to connect; refuses as [`Explainer::connect`] would.
    pub(crate) fn connects(&self, node: &str) -> Result<mpsc::Sender<v1::AttachResponse>> {
        let state = self.state();
        let attached = state.nodes.get(node).ok_or_else(|| Error::Unavailable(away(node)))?;
        if !attached.takes.connects {
            return Err(Error::Conflict(format!("the node {node} is of an earlier version: start it again")));
        }
        Ok(attached.asks.clone())
    }

    /// Hands an answer to whoever waits for it; nobody may wait any more, and another node's question it cannot answer.
    pub(crate) fn answer(&self, node: &str, answer: v1::AnswerExplainRequest) {
        let reply = self.state().take(node, answer.question_id, |one| matches!(one, Answered::Explained(_)));
        if let Some(Answered::Explained(reply)) = reply {
            drop(reply.send(answer));
        }
    }
    /// The same with a picture.
    pub(crate) fn answer_picture(&self, node: &str, answer: v1::AnswerPictureRequest) {
        let reply = self.state().take(node, answer.question_id, |one| matches!(one, Answered::Picture(_)));
        if let Some(Answered::Picture(reply)) = reply {
            drop(reply.send(answer));
        }
    }
    /// The same with a trial.
    pub(crate) fn answer_trial(&self, node: &str, answer: v1::AnswerTrialRequest) {
        let reply = self.state().take(node, answer.question_id, |one| matches!(one, Answered::Tried(_)));
        if let Some(Answered::Tried(reply)) = reply {
            drop(reply.send(answer));
        }
    }
}

impl State {
    /// Who waits for this node's answer to a question of that sort.
    fn take(&mut self, node: &str, id: u64, sort: impl FnOnce(&Answered) -> bool) -> Option<Answered> {
        self.open.get(&id).filter(|(_, asked, reply)| asked == node && sort(reply))?;
        self.open.remove(&id).map(|(_, _, reply)| reply)
    }
}

/// Why a node has answered without an answer.
fn unanswered(node: &str, refusal: i32, message: String) -> Error {
    match ExplainRefusal::try_from(refusal) {
        Ok(ExplainRefusal::UnknownCamera) => Error::NotFound(message),
        Ok(ExplainRefusal::Invalid) => Error::Invalid(message),
        Ok(ExplainRefusal::Outside) => Error::Conflict(message),
        Ok(ExplainRefusal::Busy) => Error::Exhausted(message),
        _ => Error::Internal(format!("the node {node} gave no answer: see its log")),
    }
}

fn away(node: &str) -> String {
    format!("the node {node} is away: see the log of the service")
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
