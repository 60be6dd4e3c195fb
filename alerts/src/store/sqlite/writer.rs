//! The one writer: a thread that commits whatever has gathered while it committed the batch before. Urgent jobs go
//! first, and a commit is kept short for them: what takes long is many small jobs, done over several commits.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, hooks::Wal};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};
use xueliang_base::{
    failpoint::reach,
    time::{Mono, SharedClock, Wall, micros},
};

use super::{
    super::{FeedRow, Health, OnCommit},
    Shared,
    file::{self, DbFile},
    silence,
};
use crate::{
    error::{Error, Result},
    silence::Reasons,
};

/// Jobs that may wait for the writer; callers beyond wait themselves.
const QUEUE: usize = 1024;
/// Jobs of one commit: enough to share an fsync, few enough to keep a commit short.
const BATCH: usize = 256;
/// Once a commit's jobs have taken so long, those that are not urgent are left for the next, except for one.
const WORK: Duration = Duration::from_millis(3);
/// The same where something urgent is among them.
const WORK_BESIDE_URGENT: Duration = Duration::from_micros(500);
/// A page and what the log says of it.
const PAGE_BYTES: u64 = 4096 + 24;
/// A log this much larger than the checkpoint's threshold is reported: some reader never ends.
const WAL_ALARM_FACTOR: u64 = 32;

/// What a job sees of the commit it is part of.
pub(in super::super) struct Batch<'a> {
    clock: &'a SharedClock,
    /// How long the commit before took: bounds what the clock cannot show before this one ends.
    pub(super) last_commit_us: u64,
    /// Rows that become visible once all is on disk.
    pub(super) rows: Vec<Arc<FeedRow>>,
    /// What may suppress, as this transaction sees it; `None` until it is read again.
    reasons: Option<Arc<Reasons>>,
    /// They are others than before this transaction.
    others: bool,
}

impl Batch<'_> {
    /// What may suppress now.
    pub(super) fn reasons(&mut self, db: &Connection) -> Result<Arc<Reasons>> {
        if let Some(reasons) = &self.reasons {
            return Ok(Arc::clone(reasons));
        }
        let reasons = Arc::new(silence::reasons(db)?);
        self.reasons = Some(Arc::clone(&reasons));
        Ok(reasons)
    }
    /// To be called with every change of what may suppress.
    pub(super) fn reasons_changed(&mut self) {
        (self.reasons, self.others) = (None, true);
    }
    /// Now.
    pub(in super::super) fn wall(&self) -> Wall {
        self.clock.wall()
    }
    /// Now.
    pub(in super::super) fn mono(&self) -> Mono {
        self.clock.mono()
    }
}

/// Where committed rows go.
pub(in super::super) struct Rows {
    pub(super) shared: Arc<Shared>,
    pub(super) on_commit: OnCommit,
    /// Reads rows after a place: for those whose commit failed towards us but not on disk.
    pub(super) load: fn(&Connection, u64) -> Result<Vec<Arc<FeedRow>>>,
}

trait Job: Send {
    fn run(&mut self, db: &Connection, batch: &mut Batch<'_>) -> Result<()>;
    fn finish(self: Box<Self>, result: Result<()>);
}

struct Work<F, T> {
    work: Option<F>,
    made: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T: Send> Job for Work<F, T>
where
    F: FnOnce(&Connection, &mut Batch<'_>) -> Result<T> + Send,
{
    fn run(&mut self, db: &Connection, batch: &mut Batch<'_>) -> Result<()> {
        let work = self.work.take().expect("a job runs once");
        self.made = Some(work(db, batch)?);
        Ok(())
    }
    fn finish(self: Box<Self>, result: Result<()>) {
        let Work { made, reply, .. } = *self;
        let answer = result.map(|()| made.expect("a job that ran has made its answer"));
        // The caller may be gone; what is committed is committed.
        let _gone = reply.send(answer);
    }
}

/// Whether a job goes before others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Urgency {
    /// Someone waits for it at a desk.
    Urgent,
    /// In its turn.
    Usual,
}

/// Jobs that came together; they are done in order, and in one commit where that stays short.
type Queued = (Urgency, Vec<Box<dyn Job>>);

/// What was taken from the queue and waits for a commit; as much again as the queue holds, at most.
#[derive(Default)]
struct Waiting {
    urgent: VecDeque<Box<dyn Job>>,
    usual: VecDeque<Box<dyn Job>>,
}

impl Waiting {
    fn add(&mut self, (urgency, jobs): Queued) {
        match urgency {
            Urgency::Urgent => self.urgent.extend(jobs),
            Urgency::Usual => self.usual.extend(jobs),
        }
    }
    /// Takes what is in the queue by now.
    fn gather(&mut self, queue: &mut mpsc::Receiver<Queued>) {
        while self.urgent.len() + self.usual.len() < QUEUE
            && let Ok(next) = queue.try_recv()
        {
            self.add(next);
        }
    }
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.usual.is_empty()
    }
    /// The next job of a commit: the urgent ones, then one of the others, then more of them while there is time.
    fn next(&mut self, tired: bool) -> Option<(Urgency, Box<dyn Job>)> {
        if let Some(job) = self.urgent.pop_front() {
            return Some((Urgency::Urgent, job));
        }
        let job = if tired { None } else { self.usual.pop_front() };
        job.map(|job| (Urgency::Usual, job))
    }
}

/// The writer's handle. Dropping it ends the thread after the jobs that wait.
pub(in super::super) struct Writer {
    jobs: Option<mpsc::Sender<Queued>>,
    threads: Vec<JoinHandle<()>>,
    health: Arc<Mutex<Health>>,
    /// When the commit that runs began, in nanoseconds; 0 while none does.
    began: Arc<AtomicU64>,
    clock: SharedClock,
    slow_after: Duration,
}

impl Writer {
    pub(in super::super) fn spawn(
        name: &str,
        file: DbFile,
        db: Connection,
        clock: SharedClock,
        rows: Option<Rows>,
        slow_after: Duration,
        checkpoint_bytes: u64,
    ) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (wake, woken) = sync_channel(1);
        let health = Arc::new(Mutex::new(Health::default()));
        let start = |thread: String| Error::io(format!("start the thread {thread}"));
        let (done, turn): (Arc<AtomicU64>, Arc<Mutex<()>>) = Default::default();
        let checkpointer = Checkpointer {
            file: file.clone(),
            done: Arc::clone(&done),
            turn: Arc::clone(&turn),
            health: Arc::clone(&health),
            checkpoint_bytes,
        };
        let thread = thread::Builder::new().name(format!("{name}-checkpoint"));
        let checkpoints =
            thread.spawn(move || checkpointer.run(&woken)).map_err(start(format!("{name}-checkpoint")))?;
        let began = Arc::new(AtomicU64::new(0));
        let mut own = Thread {
            file,
            db: None,
            log: Arc::default(),
            written_back: 0,
            done: Arc::clone(&done),
            turn,
            clock: Arc::clone(&clock),
            rows,
            health: Arc::clone(&health),
            began: Arc::clone(&began),
            wake,
            checkpoint_bytes,
        };
        own.take(db)?;
        let thread = thread::Builder::new().name(format!("{name}-write"));
        let writes = thread.spawn(move || own.run(waiting)).map_err(start(format!("{name}-write")))?;
        Ok(Self { jobs: Some(jobs), threads: vec![writes, checkpoints], health, began, clock, slow_after })
    }
    pub(in super::super) fn health(&self) -> Health {
        let mut health = self.health.lock().expect("no code panics while it holds this lock").clone();
        let began = self.began.load(Ordering::Relaxed);
        let takes = self.clock.mono().since(Mono(began));
        if began != 0 && takes >= self.slow_after && health.failing.is_none() {
            health.failing =
                Some(format!("a commit has taken {:.1} s so far: check the disk", takes.as_secs_f64()));
        }
        health
    }
    /// Runs `work` in a transaction. The answer comes when it is on disk.
    pub(in super::super) fn run<T: Send + 'static>(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&Connection, &mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let all = self.run_all(urgency, vec![work]);
        async move {
            let none = || Error::Internal("the store's writer gave no answer".to_owned());
            all.await?.pop().ok_or_else(none)
        }
    }
    /// The same for works that come together, in order. The answer comes when all are on disk.
    pub(in super::super) fn run_all<T: Send + 'static>(
        &self,
        urgency: Urgency,
        works: Vec<impl FnOnce(&Connection, &mut Batch<'_>) -> Result<T> + Send + 'static>,
    ) -> impl Future<Output = Result<Vec<T>>> + Send + 'static {
        let queue = self.jobs.clone();
        async move {
            let stopped = || Error::Unavailable("the store is closing: try again".to_owned());
            let (mut jobs, mut answers): (Vec<Box<dyn Job>>, Vec<_>) = (Vec::new(), Vec::new());
            for work in works {
                let (reply, answer) = oneshot::channel();
                jobs.push(Box::new(Work { work: Some(work), made: None, reply }));
                answers.push(answer);
            }
            queue.ok_or_else(stopped)?.send((urgency, jobs)).await.map_err(|_| stopped())?;
            let mut made = Vec::with_capacity(answers.len());
            for answer in answers {
                let died = |_| Error::Internal("the store's writer has died: see its log".to_owned());
                made.push(answer.await.map_err(died)??);
            }
            Ok(made)
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.thread().id() != thread::current().id() {
                // A panic has been reported by the thread itself.
                let _panicked = thread.join();
            }
        }
    }
}

struct Thread {
    file: DbFile,
    db: Option<Connection>,
    /// Pages in the log, as of the last commit.
    log: Arc<AtomicU64>,
    /// Pages that the log had when a checkpoint was last asked for.
    written_back: u64,
    /// Pages that the checkpointer has written back, until this thread has seen to the rest.
    done: Arc<AtomicU64>,
    /// Held by whoever writes the log back on a connection of its own: a second one would be refused.
    turn: Arc<Mutex<()>>,
    clock: SharedClock,
    rows: Option<Rows>,
    health: Arc<Mutex<Health>>,
    began: Arc<AtomicU64>,
    wake: SyncSender<()>,
    checkpoint_bytes: u64,
}

impl Thread {
    fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        let mut waiting = Waiting::default();
        loop {
            if waiting.is_empty() {
                let Some(first) = queue.blocking_recv() else { return };
                waiting.add(first);
            }
            self.commit(&mut waiting, &mut queue);
        }
    }
    fn commit(&mut self, waiting: &mut Waiting, queue: &mut mpsc::Receiver<Queued>) {
        let began = self.clock.mono();
        self.began.store(began.0, Ordering::Relaxed);
        let mut jobs = Vec::new();
        let result = self.attempt(&mut jobs, waiting, queue, began);
        self.began.store(0, Ordering::Relaxed);
        let took_us = micros(self.clock.mono().since(began));
        self.note(result.as_ref().err(), took_us);
        match result {
            Ok(results) => jobs.into_iter().zip(results).for_each(|(job, result)| {
                job.finish(result);
                reach("answered");
            }),
            // What waits would fail likewise.
            Err(error) => {
                let all = jobs.into_iter().chain(waiting.urgent.drain(..)).chain(waiting.usual.drain(..));
                all.for_each(|job| job.finish(Err(error.clone())));
            }
        }
    }
    /// One transaction: `jobs` gets what it does of what waits and of what comes meanwhile. A job that fails by itself
    /// is undone alone; when the storage fails, all are.
    fn attempt(
        &mut self,
        jobs: &mut Vec<Box<dyn Job>>,
        waiting: &mut Waiting,
        queue: &mut mpsc::Receiver<Queued>,
        began: Mono,
    ) -> Result<Vec<Result<()>>> {
        if self.db.is_none() {
            self.reopen()?;
        }
        // The connection is put back only after a success.
        let db = self.db.take().expect("it was just opened");
        let last_commit_us = self.health.lock().expect("no code panics under this lock").last_commit_us;
        let reasons = self.rows.as_ref().map(|to| to.shared.reasons());
        let mut batch =
            Batch { clock: &self.clock, last_commit_us, rows: Vec::new(), reasons, others: false };
        db.execute_batch("BEGIN IMMEDIATE")?;
        let mut results = Vec::new();
        let (mut work, mut usual) = (WORK, 0);
        while jobs.len() < BATCH {
            waiting.gather(queue);
            let tired = usual > 0 && self.clock.mono().since(began) >= work;
            let Some((urgency, job)) = waiting.next(tired) else { break };
            match urgency {
                Urgency::Urgent => work = WORK_BESIDE_URGENT,
                Urgency::Usual => usual += 1,
            }
            jobs.push(job);
            let job = jobs.last_mut().expect("one was just added");
            let rows = batch.rows.len();
            db.prepare_cached("SAVEPOINT job")?.execute([])?;
            let result = job.run(&db, &mut batch);
            match &result {
                Ok(()) => {}
                Err(error) if file::storage_failed(error) => return Err(error.clone()),
                Err(_) => {
                    batch.rows.truncate(rows);
                    db.execute_batch("ROLLBACK TO job")?;
                    if batch.others {
                        batch.reasons = None;
                    }
                }
            }
            db.prepare_cached("RELEASE job")?.execute([])?;
            reach("job");
            results.push(result);
        }
        // Read while the transaction can still fail.
        let reasons = if batch.others { Some(batch.reasons(&db)?) } else { None };
        reach("commit");
        db.execute_batch("COMMIT")?;
        reach("committed");
        if let (Some(to), Some(reasons)) = (&self.rows, reasons) {
            to.shared.set_reasons(reasons);
        }
        let mut rows = batch.rows;
        let now = self.clock.mono();
        // Nobody else holds them yet.
        rows.iter_mut().filter_map(Arc::get_mut).for_each(|row| super::publish::settle(row, now));
        self.db = Some(db);
        self.show(rows);
        reach("shown");
        self.watch_log();
        Ok(results)
    }
    /// Makes committed rows visible.
    fn show(&self, rows: Vec<Arc<FeedRow>>) {
        if let (Some(to), Some(last)) = (&self.rows, rows.last()) {
            let head = last.seq;
            (to.on_commit)(rows);
            to.shared.head.store(head, Ordering::Release);
        }
    }
    /// Commits over this connection from now on.
    fn take(&mut self, mut db: Connection) -> Result<()> {
        let log = Arc::clone(&self.log);
        db.wal_hook(Some(move |_: &mut Wal, pages| {
            log.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        self.db = Some(db);
        Ok(())
    }
    fn reopen(&mut self) -> Result<()> {
        let db = {
            let _turn = self.turn.lock().expect("no code panics while it holds this lock");
            self.file.open()?
        };
        // A commit that was reported as failed may be on disk after all: then it was made visible to nobody.
        if let Some(to) = &self.rows {
            to.shared.set_reasons(Arc::new(silence::reasons(&db)?));
            self.show((to.load)(&db, to.shared.head.load(Ordering::Acquire))?);
        }
        self.take(db)
    }
    fn note(&self, failed: Option<&Error>, took_us: u64) {
        let mut health = self.health.lock().expect("no code panics under this lock");
        if let Some(failed) = failed {
            health.failures += 1;
            if health.failing.is_none() {
                error!(file = %self.file.what, error = %failed, "storage fails, nothing is accepted");
            }
            health.failing = Some(failed.to_string());
        } else {
            health.commits += 1;
            health.last_commit_us = took_us;
            if health.failing.take().is_some() {
                info!(file = %self.file.what, "storage works again");
            }
        }
    }
    fn watch_log(&mut self) {
        let pages = self.log.load(Ordering::Relaxed);
        let done = self.done.swap(0, Ordering::Relaxed);
        if done > 0 && pages > done {
            // Only a log that is written back to its end begins anew, and while commits follow one another nobody else
            // comes there. It is a few pages. When it fails, the next commit shows what is wrong with the disk.
            let written = self.db.as_ref().map(checkpoint);
            if let Some(Err(error)) = written {
                warn!(file = %self.file.what, error = %error, "checkpoint failed, the log grows");
                self.db = None;
            }
        }
        if pages < self.written_back {
            // It began anew.
            self.written_back = 0;
        }
        if (pages - self.written_back).saturating_mul(PAGE_BYTES) >= self.checkpoint_bytes {
            self.written_back = pages;
            self.health.lock().expect("no code panics under this lock").wal_bytes =
                log_bytes(&self.file.path);
            // When the checkpointer is still at it, it has been asked already.
            let _asked = self.wake.try_send(());
        }
    }
}

/// Writes back what can be without making anyone wait. Pages in the log, and how many of them are written back.
fn checkpoint(db: &Connection) -> Result<(u64, u64)> {
    reach("checkpoint");
    let (log, done): (i64, i64) =
        db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
    reach("checkpointed");
    // Where there is no log, both are -1.
    Ok((u64::try_from(log).unwrap_or(0), u64::try_from(done).unwrap_or(0)))
}

fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |facts| facts.len())
}

struct Checkpointer {
    file: DbFile,
    done: Arc<AtomicU64>,
    turn: Arc<Mutex<()>>,
    health: Arc<Mutex<Health>>,
    checkpoint_bytes: u64,
}

impl Checkpointer {
    fn run(&self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            if let Err(error) = self.run_once() {
                warn!(file = %self.file.what, error = %error, "checkpoint failed, the log grows");
            }
        }
    }
    /// The writer begins the log anew once all of it is written back.
    fn run_once(&self) -> Result<()> {
        let (log, done) = {
            let _turn = self.turn.lock().expect("no code panics while it holds this lock");
            checkpoint(&self.file.connect()?)?
        };
        self.done.store(done, Ordering::Relaxed);
        let bytes = log_bytes(&self.file.path);
        {
            let mut health = self.health.lock().expect("no code panics under this lock");
            health.wal_bytes = bytes;
            health.checkpoints += 1;
        }
        if done < log && bytes > self.checkpoint_bytes.saturating_mul(WAL_ALARM_FACTOR) {
            warn!(file = %self.file.what, bytes, "the log is large and cannot be written back: a reader holds it");
        }
        Ok(())
    }
}
