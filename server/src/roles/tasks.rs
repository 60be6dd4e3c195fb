//! The tasks of a role, by name. None of them may end before the role does: a role without one of its tasks would go on
//! and do half its work, so it ends and is started again.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{Id, JoinSet},
    time::timeout,
};
use tracing::{Instrument, error, info_span};

/// A panic is reported before the task it happened in has ended.
const UNWINDING: Duration = Duration::from_millis(500);

/// Name of the threads that tasks run on; see `cli::block_on`.
pub const THREAD: &str = "tasks";

/// Running tasks.
pub struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    panicked: Arc<Panicked>,
}

#[derive(Default)]
struct Panicked {
    happened: AtomicBool,
    notify: Notify,
}

impl Tasks {
    /// No tasks. From now on a panic in any task of this process, also of one that is not among these, is noticed.
    pub fn new() -> Self {
        let panicked = Arc::<Panicked>::default();
        let (seen, report) = (panicked.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            // Threads of their own (sessions, say) have somebody who looks after them.
            if std::thread::current().name() == Some(THREAD) {
                seen.happened.store(true, Ordering::Relaxed);
                seen.notify.notify_one();
            }
        }));
        Self { set: JoinSet::new(), names: HashMap::new(), panicked }
    }
    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.set.spawn(task.instrument(info_span!("task", name)));
        self.names.insert(handle.id(), name);
    }
    /// Waits until a task ends, or any task of the process panics: which, and how. Cancel-safe.
    pub async fn ended(&mut self) -> String {
        let panicked = self.panicked.clone();
        tokio::select! {
            biased;
            ended = self.next() => return ended,
            () = panicked.notify.notified() => {}
        }
        let unnamed = "a task panicked";
        timeout(UNWINDING, self.next()).await.unwrap_or_else(|_| unnamed.to_owned())
    }
    async fn next(&mut self) -> String {
        match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => format!("the task {} ended", self.name(id)),
            Some(Err(error)) => format!("the task {} panicked", self.name(error.id())),
            None => std::future::pending().await,
        }
    }
    fn name(&mut self, id: Id) -> &'static str {
        self.names.remove(&id).unwrap_or("without a name")
    }
    /// Waits until these have ended, in whatever order.
    pub async fn finish(&mut self, names: &[&'static str]) {
        while self.names.values().any(|name| names.contains(name)) {
            let ended = self.next().await;
            if self.panicked.happened.load(Ordering::Relaxed) {
                error!(ended, "a task failed while stopping");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whichever_task_ends_or_panics_is_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("patient", std::future::pending());
        tasks.spawn("hasty", async {});
        assert_eq!(tasks.ended().await, "the task hasty ended");
        tasks.spawn("clumsy", async { panic!("on purpose") });
        assert_eq!(tasks.ended().await, "the task clumsy panicked");
        let quiet = timeout(Duration::from_millis(50), tasks.ended()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        tasks.spawn("last", async {});
        tasks.finish(&["last"]).await;
    }

    #[test]
    fn a_panic_outside_the_named_tasks_is_noticed_as_well() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(THREAD)
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let mut tasks = Tasks::new();
            tasks.spawn("patient", std::future::pending());
            drop(tokio::spawn(async { panic!("on purpose") }));
            assert_eq!(tasks.ended().await, "a task panicked");
        });
    }
}
