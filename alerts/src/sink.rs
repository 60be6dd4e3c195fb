//! Sinks: alerts that the bus sends on to other systems by itself, as signed webhooks.
//!
//! Each sink is a task with a place of its own in the record, kept on disk: it slows neither the bus nor a console nor
//! another sink. A state is sent until it is taken (at least once), the most urgent lane first and an alert's states in
//! order; one that is refused for good, or never taken, becomes a dead letter, and later ones go on. What leaves stands
//! in the share ledger, and a redacted still in the register before. Originals and previews never leave this way.

mod address;
mod body;
mod cases;
mod send;
mod sign;
mod worker;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio_rustls::rustls::ClientConfig;
use tracing::{info, warn};
use url::Url;
use xueliang_base::{cursor::Cursor, shutdown::Stopping, time::Wall};
use xueliang_proto::v1;

pub use self::{body::SCHEMA, cases::CASE_SCHEMA, sign::Secret};
use self::{cases::CaseWorker, send::Sender, worker::Worker};
use crate::{
    bus::Bus,
    crew::Crew,
    error::{Error, Result},
    filter::Filter,
    rights::Principal,
};

/// Stills larger than this stay here.
const MAX_STILL_BYTES: u64 = 2 << 20;

/// Where alerts are sent on to.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    /// Its name, unique.
    pub name: String,
    /// Name of the town or site, for the receiver.
    pub site: String,
    /// `https`, or `http` to this machine or a private network.
    pub url: Url,
    /// Networks its address must lie in.
    pub networks: Vec<IpNet>,
    /// File of the secret that signs.
    pub secret_file: PathBuf,
    /// PEM file of the certificates that vouch for it; `None`: those of this machine.
    pub ca_file: Option<PathBuf>,
    /// What it gets.
    pub filter: Filter,
    /// Whether the redacted still goes along.
    pub with_still: bool,
    /// Whether it is told when a desk is told of a case, and when a case that another platform keeps is judged.
    pub with_cases: bool,
}

impl SinkSpec {
    fn sender(&self, options: &SinkOptions, tls: Result<Arc<ClientConfig>, String>) -> Sender {
        Sender {
            url: self.url.clone(),
            networks: self.networks.clone(),
            secret_file: self.secret_file.clone(),
            answer_within: options.answer_within,
            tls,
        }
    }
    fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
    /// What it gets, as the ledger says it.
    pub(crate) fn content(&self) -> v1::ShareContent {
        if self.with_still { v1::ShareContent::MetadataAndRedactedStill } else { v1::ShareContent::Metadata }
    }
}

/// How sinks are tried.
#[derive(Debug, Clone, Copy)]
pub struct SinkOptions {
    /// The first wait after a failure, at most.
    pub wait_from: Duration,
    /// The longest wait of ours; the other side may ask for an hour.
    pub wait_to: Duration,
    /// A state that was not taken for so long since its first try is given up.
    pub give_up_after: Duration,
    /// So is one that was answered with an error of the other side's own (5xx but 502, 503, 504) so often: the fault may
    /// lie in the state, and others wait behind it.
    pub errors_answered: u32,
    /// An answer must come within this.
    pub answer_within: Duration,
    /// A place that moved without a sending is kept at least so often.
    pub save_every: Duration,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            wait_from: Duration::from_secs(1),
            wait_to: Duration::from_secs(600),
            give_up_after: Duration::from_secs(24 * 3600),
            errors_answered: 12,
            answer_within: Duration::from_secs(30),
            save_every: Duration::from_secs(60),
        }
    }
}

/// Why a state was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no connection: refused, closed, or none in time")]
    Unreachable,
    #[error("its address lies in none of its networks, or its name has none")]
    Address,
    #[error("its certificate is not trusted")]
    Tls,
    #[error("it did not answer")]
    NoAnswer,
    #[error("it answered that it cannot now")]
    Busy,
    #[error("it answered with a redirect, which is not followed")]
    Redirect,
    #[error("it refused for good")]
    Refused,
    #[error("its secret or certificates cannot be read here")]
    Local,
}

impl From<Fault> for v1::ShareFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreachable => v1::ShareFault::Unreachable,
            Fault::Address => v1::ShareFault::Address,
            Fault::Tls => v1::ShareFault::Tls,
            Fault::NoAnswer => v1::ShareFault::NoAnswer,
            Fault::Busy => v1::ShareFault::Busy,
            Fault::Redirect => v1::ShareFault::Redirect,
            Fault::Refused => v1::ShareFault::Refused,
            Fault::Local => v1::ShareFault::Local,
        }
    }
}

/// How a sink goes, since this process started.
#[derive(Debug, Clone, Copy, Default)]
pub struct SinkCounts {
    /// States taken.
    pub taken: u64,
    /// Tries that failed.
    pub failed: u64,
    /// States given up.
    pub dead: u64,
    /// States passed over, because a later one went by a more urgent lane.
    pub passed: u64,
    /// Notices about cases taken.
    pub notices_taken: u64,
    /// Notices about cases given up.
    pub notices_dead: u64,
    /// The last that was taken.
    pub last_taken: Option<Wall>,
    /// Failures in a row.
    pub failures: u64,
    pub(crate) fault: Option<Fault>,
    /// When it is tried again.
    pub next_try: Option<Wall>,
    /// Everything up to here is done, lane by lane; `None` before it is known.
    pub place: Option<[u64; 3]>,
}

/// One sink, as its task and those who ask about it share it.
pub(crate) struct Shared {
    pub(crate) spec: SinkSpec,
    pub(crate) filter: Arc<Filter>,
    counts: Mutex<SinkCounts>,
    /// Wakes the task for dead letters that are to be sent again.
    pub(crate) retry: Notify,
}

impl Shared {
    pub(crate) fn counts(&self) -> MutexGuard<'_, SinkCounts> {
        self.counts.lock().expect("no code panics while it holds this lock")
    }
}

/// The certificates that vouch for a sink. They are files, so a thread of its own reads them, once.
async fn trusted(spec: &SinkSpec) -> Result<Arc<ClientConfig>, String> {
    if !spec.is_https() {
        return Err("it is sent to without TLS".to_owned());
    }
    let ca_file = spec.ca_file.clone();
    let read = async {
        Crew::spawn("sink-certificates", 1, 1, || ())?.run(move |()| send::tls(ca_file.as_ref())).await
    };
    read.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// A sink that is behind, or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// States that wait.
    pub waiting: u64,
    /// Commit of the oldest; 0 when none waits.
    pub oldest_unix_us: i64,
}

/// All sinks of the configuration in force. Clones share them.
#[derive(Clone)]
pub struct Sinks {
    bus: Bus,
    sinks: Arc<Vec<Arc<Shared>>>,
    options: SinkOptions,
}

impl Sinks {
    /// The sinks of a bus; [`Sinks::run`] makes them work.
    pub fn new(bus: Bus, mut specs: Vec<SinkSpec>, options: SinkOptions) -> Self {
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        let shared = |spec: SinkSpec| {
            let filter = Arc::new(spec.filter.clone());
            Arc::new(Shared { spec, filter, counts: Mutex::default(), retry: Notify::new() })
        };
        Self { bus, sinks: Arc::new(specs.into_iter().map(shared).collect()), options }
    }
    /// Works until stopping is asked. What is on its way then is sent again in the next life.
    pub async fn run(&self, mut stopping: Stopping) {
        let mut tasks = tokio::task::JoinSet::new();
        for one in self.sinks.iter() {
            let tls = trusted(&one.spec).await;
            if let Err(why) = &tls
                && one.spec.is_https()
            {
                warn!(sink = one.spec.name, why, "the sink cannot be sent to");
            }
            if one.spec.with_cases {
                for critical in [true, false] {
                    let (sink, tls) = (Arc::clone(one), tls.clone());
                    tasks.spawn(CaseWorker::new(&self.bus, sink, self.options, tls, critical).run());
                }
            }
            tasks.spawn(Worker::new(&self.bus, Arc::clone(one), self.options, tls).run());
            info!(sink = one.spec.name, "alerts are shared");
        }
        tokio::select! {
            () = stopping.wait() => {}
            // None ends by itself: a panic in one ends the bus, like that of any of its tasks.
            Some(_) = tasks.join_next() => {}
        }
        // Aborted and gone: nothing of a sink holds on to the bus.
        tasks.shutdown().await;
    }
    /// Names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sinks.iter().map(|one| one.spec.name.as_str())
    }
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Shared>> {
        self.sinks.iter().find(|one| one.spec.name == name)
    }
    /// How a sink goes.
    pub fn counts(&self, name: &str) -> Option<SinkCounts> {
        self.find(name).map(|one| *one.counts())
    }
    /// What waits for a sink; nothing is known before its task has begun.
    pub async fn lag(&self, name: &str) -> Result<Lag> {
        let inner = &self.bus.0;
        let Some(one) = self.find(name) else { return Ok(Lag::default()) };
        let head = inner.hub.head();
        let Some(positions) = one.counts().place.filter(|place| place.iter().any(|at| *at < head)) else {
            return Ok(Lag::default());
        };
        let from = Cursor { positions, ..Cursor::start(inner.store.epoch()) };
        let missed = crate::bus::missed(inner, &one.filter, from, head).await?;
        Ok(Lag {
            waiting: missed.counts.iter().map(|(_, count)| count).sum(),
            oldest_unix_us: missed.from_unix_us,
        })
    }
    /// Dead letters of a sink that wait for somebody.
    pub async fn dead_letters(&self, name: &str) -> Result<u64> {
        self.bus.store().dead_letters(name.to_owned()).await
    }
    /// Sends dead letters of a sink again, all for no ids. Returns how many.
    pub async fn retry(&self, name: &str, letters: Vec<u64>, principal: &Principal) -> Result<u64> {
        let none = || Error::NotFound(format!("no sink {name:?} is configured"));
        let own = |one: &&Arc<Shared>| principal.owns(&one.spec.filter.divisions);
        let one = self.find(name).filter(own).ok_or_else(none)?;
        let count = self.bus.store().retry_letters(name.to_owned(), letters, principal.name.clone()).await?;
        one.retry.notify_one();
        Ok(count)
    }
    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }
    pub(crate) fn all(&self) -> &[Arc<Shared>] {
        &self.sinks
    }
}

#[cfg(test)]
mod tests;
