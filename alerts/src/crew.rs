//! Named threads with one bounded queue: where blocking work runs.

use std::{
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// Threads that each own a `C` (a connection, say). When the queue is full, callers wait.
pub(crate) struct Crew<C: 'static> {
    jobs: Option<mpsc::Sender<Job<C>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<C: 'static> Crew<C> {
    /// Starts the threads `name-0`, `name-1` and so on; each makes its own `C`.
    pub(crate) fn spawn(
        name: &str,
        threads: usize,
        queue: usize,
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job<C>>(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let make = Arc::new(make);
        let spawn = |index| {
            let (waiting, make) = (Arc::clone(&waiting), Arc::clone(&make));
            thread::Builder::new().name(format!("{name}-{index}")).spawn(move || {
                let mut own = make();
                loop {
                    let next = waiting.lock().expect("no job runs under this lock").blocking_recv();
                    let Some(job) = next else { return };
                    job(&mut own);
                }
            })
        };
        let threads = (0..threads.max(1)).map(spawn).collect::<std::io::Result<_>>();
        let threads = threads.map_err(Error::io(format_args!("start the threads {name}")))?;
        Ok(Self { jobs: Some(jobs), threads })
    }
    /// Runs `work` on one of the threads. The work runs to its end even when the caller is gone.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut C) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let jobs = self.jobs.clone();
        async move {
            let stopped = || Error::Unavailable("the service is stopping: try again".to_owned());
            let (reply, answer) = oneshot::channel();
            let job: Job<C> = Box::new(move |own| {
                // The caller may be gone; the work is done all the same.
                let _gone = reply.send(work(own));
            });
            jobs.ok_or_else(stopped)?.send(job).await.map_err(|_| stopped())?;
            answer.await.map_err(|_| Error::Internal("a worker thread has died: see its log".to_owned()))
        }
    }
}

impl<C> Drop for Crew<C> {
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
