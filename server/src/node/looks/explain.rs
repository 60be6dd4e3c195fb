//! What a camera did, told from its logbook when somebody asks.
//!
//! A thread of its own goes through the logbook, on a snapshot: that takes some milliseconds. Its queue is bounded; what finds it
//! full is told to ask again.

use std::sync::{
    Arc,
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use tokio::sync::oneshot;
use tracing::warn;
use xueliang_base::{
    config::Camera,
    id::{CameraId, ConfigRevision},
    time::Wall,
};
use xueliang_inference::{
    explain::{Explained, Times, Unexplained, explain},
    logbook::Logbook,
};

use super::Looks;

/// Explanations that may wait. Each keeps a logbook alive.
const WAITING: usize = 2;

/// A question about a camera.
pub struct ExplainAsk {
    /// Which.
    pub camera: CameraId,
    /// Since when.
    pub from: Wall,
    /// Until when.
    pub to: Wall,
    /// Where the answer goes; dropped where no thread answers.
    pub reply: oneshot::Sender<Result<Told, Untold>>,
}

/// What a camera did.
pub struct Told {
    /// Its registration.
    pub camera: Arc<Camera>,
    /// Configuration in force.
    pub revision: ConfigRevision,
    /// All of it.
    pub explained: Explained,
}

/// Why it is not told.
#[derive(Debug, thiserror::Error)]
pub enum Untold {
    /// The node does not run it.
    #[error(
        "this node does not run the camera {0}: its configuration may have changed; ask again in some seconds"
    )]
    UnknownCamera(CameraId),
    /// Others are explained.
    #[error("the node explains other cameras: ask again in a few seconds")]
    Busy,
    /// The logbook cannot tell.
    #[error(transparent)]
    Unexplained(#[from] Unexplained),
}

struct Page {
    ask: ExplainAsk,
    camera: Arc<Camera>,
    revision: ConfigRevision,
    logbook: Logbook,
    times: Times,
}

/// The thread that explains. It ends, after what waits, when its handle is dropped.
pub(super) struct Teller(SyncSender<Box<Page>>);

impl Teller {
    /// `None`, with a warning, where no thread can be started: then nothing is explained.
    pub(super) fn spawn() -> Option<Self> {
        let (pages, queue) = sync_channel(WAITING);
        match std::thread::Builder::new().name("explain".to_owned()).spawn(move || run(&queue)) {
            Ok(_) => Some(Self(pages)),
            Err(error) => {
                warn!(%error, "cannot start the thread that explains what cameras did");
                None
            }
        }
    }
}

fn run(queue: &Receiver<Box<Page>>) {
    for page in queue {
        let Page { ask, camera, revision, logbook, times } = *page;
        let explained = explain(&logbook, &times, ask.from, ask.to);
        let told = explained.map(|explained| Told { camera, revision, explained });
        // Whoever asked may be gone.
        drop(ask.reply.send(told.map_err(Untold::from)));
    }
}

impl Looks {
    pub(super) fn explain(&self, ask: ExplainAsk) {
        let Some(running) = self.cameras.get(&ask.camera) else {
            let unknown = Untold::UnknownCamera(ask.camera.clone());
            drop(ask.reply.send(Err(unknown)));
            return;
        };
        let clock = &self.spec.clock;
        let page = Page {
            ask,
            camera: running.cell.camera.clone(),
            revision: self.revision,
            logbook: running.logbook.clone(),
            times: Times { mono: clock.mono(), wall: clock.wall(), zone: self.timezone.clone() },
        };
        let sent = self.teller.as_ref().map(|teller| teller.0.try_send(Box::new(page)));
        if let Some(Err(TrySendError::Full(page))) = sent {
            drop(page.ask.reply.send(Err(Untold::Busy)));
        }
    }
}
