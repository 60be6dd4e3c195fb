//! Attaches to the bus and turns each configuration revision into running cameras.
//!
//! Sessions outlive the bus: while it is away the cameras run on and states are spooled.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    sync::{Mutex, mpsc, watch},
    time::MissedTickBehavior,
};
use tonic::transport::{Channel, Endpoint, Uri};
use tracing::{info, warn};
use xueliang_base::{
    alert::Alert,
    backoff::Backoff,
    config::{Analysis, Config, EvidenceBudget},
    id::{CameraId, ConfigRevision, CredentialName, NodeId},
    shutdown::Stopping,
    time::SharedClock,
};
use xueliang_ingest::{
    credentials::Credentials,
    session::{self, SessionStats},
};
use xueliang_proto::v1::{
    AttachRequest, AttachResponse, ConnectOrder, ExplainQuestion, ListActiveRequest, PictureQuestion,
    TrialQuestion, node_service_client::NodeServiceClient,
};

mod acquire;
mod adopt;
mod sessions;

pub use acquire::Acquired;
use adopt::Adopted;
use sessions::{Sessions, Spawn};

use super::{
    alerting::Input,
    camera::{Cell, Dirty},
    explain,
    looks::{Assignment, Order},
    picture::{self, Pictures},
    report::Retired,
    trial,
};

/// Largest assignment or evidence message.
const MAX_MESSAGE_BYTES: usize = 96 * 1024 * 1024;

/// Sessions are looked after so often.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// Sessions get their turns so often.
const TURN_EVERY: Duration = Duration::from_millis(200);

/// A channel to the bus that connects when it is first used, and again after every loss.
pub fn channel(socket: &Path) -> anyhow::Result<Channel> {
    let socket = socket.to_owned();
    // The address is a formality: the connector below goes to the socket.
    let endpoint = Endpoint::from_static("http://bus.invalid").connect_timeout(Duration::from_secs(2));
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    })))
}

/// What the task is made of.
pub struct ControlSpec {
    /// Time.
    pub clock: SharedClock,
    /// This node.
    pub node: NodeId,
    /// To the bus.
    pub channel: Channel,
    /// Marks cameras with something new.
    pub dirty: Arc<Dirty>,
    /// The looks task.
    pub looks: mpsc::Sender<Order>,
    /// Takes pictures of the moment.
    pub pictures: Pictures,
    /// The alerting task.
    pub alerting: mpsc::Sender<Input>,
    /// Alerts spooled by the previous process life.
    pub spooled: Vec<Alert>,
    /// Cells for evidence and reports.
    pub cells: watch::Sender<BTreeMap<CameraId, Arc<Cell>>>,
    /// Cells that were replaced or removed, for the accounts.
    pub retired: Arc<Retired>,
    /// What sessions count, for metrics.
    pub sessions: watch::Sender<BTreeMap<CameraId, SessionStats>>,
    /// How cameras are taken, for reports and metrics.
    pub acquired: watch::Sender<Acquired>,
    /// Configuration for everybody else.
    pub configured: watch::Sender<Option<(ConfigRevision, Arc<Config>)>>,
    /// What the workers were started with.
    pub workers: (Vec<PathBuf>, Analysis),
    /// Evidence budget for the footage task.
    pub budget: watch::Sender<EvidenceBudget>,
}

struct Control {
    spec: ControlSpec,
    sessions: Arc<Mutex<Sessions>>,
    revision: Option<ConfigRevision>,
    adopted: bool,
}

/// Runs until stopping is asked; then stops all sessions.
pub async fn run(spec: ControlSpec, stopping: Stopping) {
    let (clock, for_all) = (spec.clock.clone(), stopping.clone());
    let spawn: Spawn = Box::new(move |spec, cell| session::spawn(spec, cell, clock.clone(), for_all.clone()));
    let sessions = Sessions::new(spawn, spec.clock.clone(), spec.dirty.clone());
    let sessions = Arc::new(Mutex::new(sessions));
    let (counted, acquired) = (spec.sessions.clone(), spec.acquired.clone());
    let mut control = Control { spec, sessions: sessions.clone(), revision: None, adopted: false };
    tokio::select! {
        () = stay_attached(&mut control, stopping.clone()) => {}
        // Whether the bus is there or not.
        () = mend(&sessions, &counted, &stopping) => {}
        () = turn(&sessions, &acquired, &stopping) => {}
    }
    sessions.lock().await.end_all().await;
}

/// Sees to it that every camera has a session that runs.
async fn mend(
    sessions: &Mutex<Sessions>,
    counted: &watch::Sender<BTreeMap<CameraId, SessionStats>>,
    stopping: &Stopping,
) {
    let mut tick = tokio::time::interval(MEND_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Sessions that stop as they were asked are no failures.
        if !stopping.asked() {
            let mut sessions = sessions.lock().await;
            sessions.mend();
            counted.send_replace(sessions.stats());
        }
    }
}

/// Gives sessions their turns.
async fn turn(sessions: &Mutex<Sessions>, acquired: &watch::Sender<Acquired>, stopping: &Stopping) {
    let mut tick = tokio::time::interval(TURN_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !stopping.asked() {
            let mut sessions = sessions.lock().await;
            sessions.turn();
            acquired.send_replace(sessions.acquired());
        }
    }
}

async fn stay_attached(control: &mut Control, mut stopping: Stopping) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1), 3);
    loop {
        let attached = tokio::select! {
            () = stopping.wait() => break,
            attached = control.attach() => attached,
        };
        if let Err(error) = attached {
            warn!(error = format!("{error:#}"), "the bus is away, cameras run on");
        }
        let wait = backoff.next_wait().max(Duration::from_millis(50));
        if backoff.failures() > 5 {
            backoff.reset();
        }
        tokio::select! {
            () = stopping.wait() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Control {
    async fn attach(&mut self) -> anyhow::Result<()> {
        let mut bus =
            NodeServiceClient::new(self.spec.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let request = AttachRequest {
            node_id: self.spec.node.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            explains: true,
            connects: true,
            pictures: true,
            trials: true,
        };
        let mut stream = bus.attach(request).await.context("attach")?.into_inner();
        let active = bus
            .list_active(ListActiveRequest { node_id: self.spec.node.to_string() })
            .await
            .context("list active alerts")?
            .into_inner()
            .alerts;
        let active: Vec<Alert> = active.into_iter().filter_map(|alert| Alert::try_from(alert).ok()).collect();
        while let Some(mut message) = stream.message().await.context("wait for an assignment")? {
            if let Some(question) = message.explain.take() {
                self.explain(question);
            } else if let Some(question) = message.picture.take() {
                self.picture(question);
            } else if let Some(question) = message.trial.take() {
                self.try_rules(question);
            } else if let Some(order) = message.connect.take() {
                self.connect(&order).await;
            } else {
                self.apply(message, &active).await?;
            }
        }
        anyhow::bail!("the bus closed the assignment stream")
    }

    /// Has a question answered beside the rest. The bus asks few at once.
    fn explain(&self, question: ExplainQuestion) {
        let (node, channel, looks) =
            (self.spec.node.clone(), self.spec.channel.clone(), self.spec.looks.clone());
        tokio::spawn(explain::answer(node, channel, looks, question));
    }

    /// Likewise with a picture of the moment.
    fn picture(&self, question: PictureQuestion) {
        let ControlSpec { node, channel, pictures, .. } = &self.spec;
        tokio::spawn(picture::answer(node.clone(), channel.clone(), pictures.clone(), question));
    }

    /// Likewise with a trial of rules.
    fn try_rules(&self, question: TrialQuestion) {
        let ControlSpec { node, channel, looks, .. } = &self.spec;
        tokio::spawn(trial::answer(node.clone(), channel.clone(), looks.clone(), question));
    }

    /// Has a camera connected for a while. One that is connected all the time needs no asking.
    async fn connect(&self, order: &ConnectOrder) {
        let Ok(id) = order.camera_id.parse::<CameraId>() else { return };
        let lasting = Duration::from_micros(order.for_us);
        let asked = self.sessions.lock().await.ask(&id, lasting);
        info!(camera = %id, seconds = lasting.as_secs(), waits_for_turns = asked, "camera asked for");
    }

    /// Puts a revision in force; with the first one, takes over what `active` says and what was spooled.
    async fn apply(&mut self, assignment: AttachResponse, active: &[Alert]) -> anyhow::Result<()> {
        let revision = ConfigRevision(assignment.config_revision);
        if self.revision == Some(revision) {
            return Ok(());
        }
        let config: Config =
            serde_json::from_slice(&assignment.config_json).context("read the assigned configuration")?;
        if (&config.models, &config.analysis) != (&self.spec.workers.0, &self.spec.workers.1) {
            // Workers load models once; a new life of this process is the simplest way to others.
            warn!(%revision, "models or bounds of analysis changed: the node starts again");
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
            return Ok(());
        }
        let config = Arc::new(config);
        let credentials: BTreeMap<CredentialName, Credentials> = assignment
            .credentials
            .into_iter()
            .filter_map(|(name, c)| Some((name.parse().ok()?, Credentials::new(&c.user, &c.password))))
            .collect();
        info!(%revision, cameras = config.cameras.len(), "assignment received");

        let mut adopted = Adopted::default();
        if !std::mem::replace(&mut self.adopted, true) {
            adopted = adopt::adopt(active.to_vec(), std::mem::take(&mut self.spec.spooled), &config);
        }
        for alert in adopted.alerts {
            self.spec.alerting.send(Input::Adopt(Box::new(alert))).await?;
        }
        for alert in adopted.orphans {
            self.spec.alerting.send(Input::Orphan(Box::new(alert))).await?;
        }
        self.spec.alerting.send(Input::Config(revision, config.clone())).await?;

        let (cells, ended) = self.sessions.lock().await.renew(&config, &credentials).await;
        // Before the others see the new cells, so that no unit is in neither.
        self.spec.retired.push(ended);
        self.spec.cells.send_replace(cells.clone());
        self.spec.budget.send_replace(config.evidence.clone());
        self.spec.configured.send_replace(Some((revision, config.clone())));
        self.spec
            .looks
            .send(Order::Configure(Box::new(Assignment {
                revision,
                config,
                cells,
                adopted: adopted.incidents,
            })))
            .await?;
        self.revision = Some(revision);
        Ok(())
    }
}
