//! Look workers: processes that are killed when they miss their deadline, and replaced.
//!
//! One [`Worker`] is one slot: a task that keeps a child process alive and hands it one request at a time. Requests
//! and answers travel over a socket pair, which is the child's standard input; see `worker.proto`.

use std::{collections::BTreeSet, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
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

/// For glibc in workers, in bytes: GStreamer copies each decoded picture, and pieces that the node's threshold has mapped and given
/// back for each of them cost an eighth of a worker's time in page faults. Pictures of 4K take 13 MB.
const ALLOCATOR: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "33554432"), ("MALLOC_TRIM_THRESHOLD_", "33554432")];

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
    /// How its log lines look: as those of everybody else, since all go to the same place.
    pub log_format: &'static str,
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

/// The slots of a pool that have a child that is ready.
#[derive(Debug, Default)]
pub struct Ready(BTreeSet<usize>);

impl Ready {
    /// How many there are after an event.
    pub fn after(&mut self, event: &PoolEvent) -> usize {
        match event {
            PoolEvent::Ready { worker, .. } => self.0.insert(*worker),
            PoolEvent::Lost { worker } => self.0.remove(worker),
        };
        self.0.len()
    }
}

pub(super) struct Job {
    pub(super) request: WorkerRequest,
    deadline: Duration,
    /// Until when it may wait for a child to take it.
    by: Instant,
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
    /// Asks for one answer. An error says why there is none; a late or dead child is then replaced. The deadline bounds
    /// the waiting for the child, too; what waited in vain was `Busy`.
    pub async fn ask(&self, ask: Ask, deadline: Duration) -> Result<Answer, NotLooked> {
        let (answer, answered) = oneshot::channel();
        let by = Instant::now() + deadline;
        let job = Job { request: WorkerRequest { ask: Some(ask) }, deadline, by, answer };
        self.jobs.send(job).await.map_err(|_| NotLooked::WorkerLost)?;
        answered.await.unwrap_or(Err(NotLooked::WorkerLost))
    }
}

/// Requests on their way to a child.
struct Requests {
    jobs: mpsc::Receiver<Job>,
    /// One that may wait for the next child.
    held: Option<Job>,
}

impl Requests {
    /// The next request that is still in time; `None` when nobody can ask any more. Cancel-safe.
    async fn next(&mut self) -> Option<Job> {
        loop {
            let job = match self.held.take() {
                Some(job) => job,
                None => self.jobs.recv().await?,
            };
            if Instant::now() < job.by {
                return Some(job);
            }
            drop(job.answer.send(Err(NotLooked::Busy)));
        }
    }
    /// While there is no child: looks are refused at once, for another worker can take them; evidence is made by one
    /// worker alone, so it waits for the next child. Returns when nobody can ask any more. Cancel-safe.
    async fn refuse(&mut self) {
        loop {
            if let Some(by) = self.held.as_ref().map(|job| job.by) {
                sleep_until(by).await;
                if let Some(job) = self.held.take() {
                    drop(job.answer.send(Err(NotLooked::Busy)));
                }
            }
            let Some(job) = self.jobs.recv().await else { return };
            if matches!(job.request.ask, Some(Ask::Render(_))) {
                self.held = Some(job);
            } else {
                drop(job.answer.send(Err(NotLooked::WorkerLost)));
            }
        }
    }
}

async fn run(
    index: usize,
    spec: Arc<PoolSpec>,
    queue: mpsc::Receiver<Job>,
    events: mpsc::Sender<PoolEvent>,
    mut stopping: Stopping,
) {
    let seed = u64::try_from(index).unwrap_or(0);
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10), seed);
    let mut requests = Requests { jobs: queue, held: None };
    loop {
        let lived = tokio::select! {
            () = stopping.wait() => return,
            lived = run_once(index, &spec, &mut requests, &events) => lived,
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
            () = requests.refuse() => return,
        }
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
    requests: &mut Requests,
    events: &mpsc::Sender<PoolEvent>,
) -> anyhow::Result<Ended> {
    let (mut child, mut socket) = start(spec)?;
    let setup = WorkerRequest { ask: Some(Ask::Setup(spec.setup.clone())) };
    let ready = tokio::select! {
        ready = timeout(SETUP_TIMEOUT, exchange(&mut socket, &setup)) => ready,
        () = requests.refuse() => return Ok(Ended::QueueClosed),
    };
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
            job = requests.next() => job,
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
        .args([
            "--log-format",
            spec.log_format,
            "worker",
            "--purpose",
            spec.purpose,
            "--nice",
            &spec.nice.to_string(),
        ])
        .env(crate::supervisor::PARENT, std::process::id().to_string())
        .envs(ALLOCATOR)
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use xueliang_base::shutdown;
    use xueliang_proto::v1::{WorkerLook, WorkerRender};

    use super::*;

    /// A slot whose child runs this script.
    fn slot(folder: &tempfile::TempDir, script: &str) -> (Worker, mpsc::Receiver<PoolEvent>, shutdown::Stop) {
        let program = folder.path().join("worker.sh");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let spec =
            PoolSpec { program, setup: WorkerSetup::default(), nice: 0, purpose: "test", log_format: "json" };
        let (events, seen) = mpsc::channel(8);
        let (stop, stopping) = shutdown::pair();
        (Worker::spawn(0, Arc::new(spec), events, stopping), seen, stop)
    }

    #[tokio::test]
    async fn a_look_asked_of_a_worker_that_still_loads_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (worker, _events, _stop) = slot(&folder, "exec sleep 30");
        let asked = worker.ask(Ask::Look(WorkerLook::default()), Duration::from_secs(20));
        let answer = timeout(Duration::from_secs(5), asked).await.expect("it does not wait for the models");
        assert!(matches!(answer, Err(NotLooked::WorkerLost)), "{answer:?}");
    }

    #[tokio::test]
    async fn evidence_waits_for_the_next_child_but_not_beyond_its_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let (worker, _events, _stop) = slot(&folder, "exec sleep 30");
        let asked = worker.ask(Ask::Render(WorkerRender::default()), Duration::from_millis(300));
        let answer = timeout(Duration::from_secs(5), asked).await.expect("it does not wait for the models");
        assert!(matches!(answer, Err(NotLooked::Busy)), "{answer:?}");
    }

    #[test]
    fn a_slot_that_is_lost_twice_counts_once() {
        let mut ready = Ready::default();
        let up = |worker| PoolEvent::Ready { worker, models: Vec::new() };
        let counts: Vec<usize> = [
            PoolEvent::Lost { worker: 0 },
            up(0),
            up(1),
            PoolEvent::Lost { worker: 1 },
            PoolEvent::Lost { worker: 1 },
            up(0),
        ]
        .iter()
        .map(|event| ready.after(event))
        .collect();
        assert_eq!(counts, [0, 1, 2, 1, 1, 1]);
    }

    #[tokio::test]
    async fn a_child_logs_as_the_node_does() {
        let folder = tempfile::tempdir().unwrap();
        let (_worker, mut events, _stop) = slot(&folder, r#"echo "$@" > "$(dirname "$0")/arguments""#);
        assert!(matches!(events.recv().await, Some(PoolEvent::Lost { .. })));
        let arguments = std::fs::read_to_string(folder.path().join("arguments")).unwrap();
        assert_eq!(arguments.trim(), "--log-format json worker --purpose test --nice 0");
    }

    #[tokio::test]
    async fn pictures_lie_in_a_childs_heap_whatever_the_node_does_with_large_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let (_worker, mut events, _stop) =
            slot(&folder, r#"env | grep MALLOC_MMAP_THRESHOLD_ > "$(dirname "$0")/variables""#);
        assert!(matches!(events.recv().await, Some(PoolEvent::Lost { .. })));
        let variables = std::fs::read_to_string(folder.path().join("variables")).unwrap();
        let (_, bytes) = variables.trim().split_once('=').unwrap();
        assert!(bytes.parse::<usize>().unwrap() > 3840 * 2160 * 3 / 2, "{variables}");
    }

    #[tokio::test]
    async fn a_child_that_cannot_start_is_told_and_looks_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (worker, mut events, _stop) = slot(&folder, "exit 1");
        assert!(matches!(events.recv().await, Some(PoolEvent::Lost { worker: 0 })));
        let answer = worker.ask(Ask::Look(WorkerLook::default()), Duration::from_secs(20)).await;
        assert!(matches!(answer, Err(NotLooked::WorkerLost)), "{answer:?}");
    }
}
