//! Look workers: processes that are killed when they miss their deadline, and replaced.
//!
//! One [`Worker`] is one slot: a task that keeps a child process alive and hands it one request at a time. Requests
//! and answers travel over a socket pair, which is the child's standard input; see `worker.proto`.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::{Instrument, info, info_span, warn};
use xueliang_base::{backoff::Backoff, look::NotLooked, shutdown::Stopping};
use xueliang_proto::v1::{
    LoadedModel, WorkerRequest, WorkerResponse, WorkerSetup, worker_request::Ask, worker_response::Answer,
};

/// Largest message in either direction: a preview of 64 pictures, or 60 s of 8 Mbit/s video.
pub const MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;

/// How long a worker may take to load its models; a cold disk and CUDA need many seconds.
const SETUP_TIMEOUT: Duration = Duration::from_secs(60);

/// What every worker of a pool is told.
#[derive(Debug, Clone)]
pub struct PoolSpec {
    /// The program, started as `PROGRAM worker`.
    pub program: PathBuf,
    /// First message to each child.
    pub setup: WorkerSetup,
    /// Added to the child's nice value: evidence must not slow looks.
    pub nice: i32,
    /// For log lines and process lists.
    pub purpose: &'static str,
}

/// What a worker slot tells its owner.
#[derive(Debug)]
pub enum PoolEvent {
    /// A child is ready for requests; it holds no decoders yet.
    Ready {
        /// Which slot.
        worker: usize,
        /// What it loaded.
        models: Vec<LoadedModel>,
    },
    /// A child is gone; another is on its way.
    Lost {
        /// Which slot.
        worker: usize,
    },
}

pub(super) struct Job {
    pub(super) request: WorkerRequest,
    deadline: Duration,
    pub(super) answer: oneshot::Sender<Result<Answer, NotLooked>>,
}

/// One slot of a pool.
#[derive(Debug, Clone)]
pub struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts the slot's task. It ends, and its child with it, when stopping is asked or all handles are dropped.
    pub fn spawn(
        index: usize,
        spec: Arc<PoolSpec>,
        events: mpsc::Sender<PoolEvent>,
        stopping: Stopping,
    ) -> Self {
        // One request in work and none waiting: the owner sends only to free workers.
        let (jobs, queue) = mpsc::channel(1);
        let span = info_span!("worker", purpose = spec.purpose, index);
        tokio::spawn(run(index, spec, queue, events, stopping).instrument(span));
        Self { jobs }
    }
    /// A slot whose requests the caller answers.
    #[cfg(test)]
    pub(super) fn fake() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, queue) = mpsc::channel(1);
        (Self { jobs }, queue)
    }
    /// Asks for one answer. An error says why there is none; a late or dead child is then replaced.
    pub async fn ask(&self, ask: Ask, deadline: Duration) -> Result<Answer, NotLooked> {
        let (answer, answered) = oneshot::channel();
        let job = Job { request: WorkerRequest { ask: Some(ask) }, deadline, answer };
        self.jobs.send(job).await.map_err(|_| NotLooked::WorkerLost)?;
        answered.await.unwrap_or(Err(NotLooked::WorkerLost))
    }
}

async fn run(
    index: usize,
    spec: Arc<PoolSpec>,
    mut queue: mpsc::Receiver<Job>,
    events: mpsc::Sender<PoolEvent>,
    mut stopping: Stopping,
) {
    let seed = u64::try_from(index).unwrap_or(0);
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10), seed);
    loop {
        let lived = tokio::select! {
            () = stopping.wait() => return,
            lived = run_once(index, &spec, &mut queue, &events) => lived,
        };
        match lived {
            Ok(Ended::QueueClosed) => return,
            Ok(Ended::Served) => backoff.reset(),
            Err(error) => warn!(%error, "look worker cannot start"),
        }
        if events.send(PoolEvent::Lost { worker: index }).await.is_err() {
            return;
        }
        let wait = backoff.next_wait();
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(wait) => {}
            // While there is no child, requests are answered at once.
            () = refuse(&mut queue) => return,
        }
    }
}

async fn refuse(queue: &mut mpsc::Receiver<Job>) {
    while let Some(job) = queue.recv().await {
        drop(job.answer.send(Err(NotLooked::WorkerLost)));
    }
}

enum Ended {
    /// It answered at least one request before it ended.
    Served,
    /// Nobody can ask any more.
    QueueClosed,
}

async fn run_once(
    index: usize,
    spec: &PoolSpec,
    queue: &mut mpsc::Receiver<Job>,
    events: &mpsc::Sender<PoolEvent>,
) -> anyhow::Result<Ended> {
    let (mut child, mut socket) = start(spec)?;
    let setup = WorkerRequest { ask: Some(Ask::Setup(spec.setup.clone())) };
    let ready = timeout(SETUP_TIMEOUT, exchange(&mut socket, &setup)).await;
    let models = match ready {
        Ok(Ok(Answer::Ready(ready))) => ready.models,
        Ok(Ok(Answer::Failed(failed))) => anyhow::bail!("{}", failed.message),
        Ok(Ok(other)) => anyhow::bail!("unexpected answer to set-up: {other:?}"),
        Ok(Err(error)) => anyhow::bail!("worker ended while loading: {error}"),
        Err(_) => anyhow::bail!("worker did not load its models within {SETUP_TIMEOUT:?}"),
    };
    info!(pid = child.id(), models = models.len(), "look worker is ready");
    if events.send(PoolEvent::Ready { worker: index, models }).await.is_err() {
        return Ok(Ended::QueueClosed);
    }
    let mut served = false;
    loop {
        let job = tokio::select! {
            job = queue.recv() => job,
            status = child.wait() => {
                warn!(status = ?status.ok(), "look worker ended while idle, replacing it");
                return Ok(Ended::Served);
            }
        };
        let Some(job) = job else { return Ok(Ended::QueueClosed) };
        match timeout(job.deadline, exchange(&mut socket, &job.request)).await {
            Ok(Ok(answer)) => {
                served = true;
                // The asker may have gone; then nobody misses the answer.
                drop(job.answer.send(Ok(answer)));
            }
            Ok(Err(error)) => {
                warn!(%error, "look worker died in mid-look, replacing it");
                drop(job.answer.send(Err(NotLooked::WorkerLost)));
                return Ok(Ended::Served);
            }
            Err(_) => {
                warn!(deadline = ?job.deadline, "look worker missed its deadline, killing it");
                drop(job.answer.send(Err(NotLooked::Deadline)));
                child.kill().await?;
                return if served { Ok(Ended::Served) } else { anyhow::bail!("its first look hung") };
            }
        }
    }
}

fn start(spec: &PoolSpec) -> anyhow::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = theirs.into_std()?;
    theirs.set_nonblocking(false)?;
    let child = Command::new(&spec.program)
        .args(["worker", "--purpose", spec.purpose, "--nice", &spec.nice.to_string()])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, ours))
}

async fn exchange(socket: &mut UnixStream, request: &WorkerRequest) -> anyhow::Result<Answer> {
    let bytes = request.encode_to_vec();
    let length = u32::try_from(bytes.len())?;
    socket.write_all(&length.to_le_bytes()).await?;
    socket.write_all(&bytes).await?;
    let length = socket.read_u32_le().await? as usize;
    anyhow::ensure!(length <= MAX_MESSAGE_BYTES, "answer of {length} bytes is too large");
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes).await?;
    let response = WorkerResponse::decode(bytes.as_slice())?;
    response.answer.ok_or_else(|| anyhow::anyhow!("empty answer"))
}
