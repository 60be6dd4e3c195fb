//! What a camera did, told from its logbook when somebody asks, and rules tried on its journal.
//!
//! A thread of its own goes through logbook or journal, on a snapshot: that takes some milliseconds. Its queue is bounded; what
//! finds it full is told to ask again.

use std::sync::{
    Arc,
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use tokio::sync::oneshot;
use tracing::warn;
use xueliang_base::{
    config::{Camera, CameraRules},
    id::{CameraId, ConfigRevision},
    time::Wall,
};
use xueliang_inference::{
    analyst::{ModelMeanings, Reference},
    explain::{Explained, Times, Unexplained, explain},
    journal::Journal,
    logbook::Logbook,
    trial::{Trial, try_rules},
};

use super::Looks;

/// Questions that may wait. Each keeps a logbook or a journal alive.
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

/// A question what would have come of other rules.
pub struct TrialAsk {
    /// Of which camera.
    pub camera: CameraId,
    /// The rules.
    pub rules: CameraRules,
    /// Where the answer goes; dropped where no thread answers.
    pub reply: oneshot::Sender<Result<Compared, Untold>>,
}

/// What came of a trial.
pub struct Compared {
    /// What was tried.
    pub tried: Trial,
    /// What is in force, on the same looks.
    pub in_force: Trial,
    /// The configuration that is.
    pub revision: ConfigRevision,
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
    #[error("the node explains other cameras, or tries rules of others: ask again in a few seconds")]
    Busy,
    /// The logbook cannot tell.
    #[error(transparent)]
    Unexplained(#[from] Unexplained),
}

enum Page {
    Explain {
        ask: ExplainAsk,
        camera: Arc<Camera>,
        revision: ConfigRevision,
        logbook: Logbook,
        times: Times,
    },
    Trial {
        ask: TrialAsk,
        camera: Arc<Camera>,
        revision: ConfigRevision,
        journal: Arc<Journal>,
        reference: Option<Reference>,
        models: Vec<ModelMeanings>,
    },
}

impl Page {
    /// Tells what it asks for. Whoever asked may be gone.
    fn answer(self) {
        match self {
            Self::Explain { ask, camera, revision, logbook, times } => {
                let explained = explain(&logbook, &times, ask.from, ask.to);
                let told = explained.map(|explained| Told { camera, revision, explained });
                drop(ask.reply.send(told.map_err(Untold::from)));
            }
            Self::Trial { ask, camera, revision, journal, reference, models } => {
                let on = |camera: &Camera| try_rules(camera, reference.clone(), &models, journal.iter());
                let mut other = Camera::clone(&camera);
                ask.rules.put_into(&mut other);
                let compared = Compared { tried: on(&other), in_force: on(&camera), revision };
                // Before it is said: the looks task copies a journal that is held here when it writes to it.
                drop(journal);
                drop(ask.reply.send(Ok(compared)));
            }
        }
    }
    /// It finds the queue full.
    fn refuse(self) {
        match self {
            Self::Explain { ask, .. } => drop(ask.reply.send(Err(Untold::Busy))),
            Self::Trial { ask, .. } => drop(ask.reply.send(Err(Untold::Busy))),
        }
    }
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
        page.answer();
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
        let page = Page::Explain {
            ask,
            camera: running.cell.camera.clone(),
            revision: self.revision,
            logbook: running.logbook.clone(),
            times: Times { mono: clock.mono(), wall: clock.wall(), zone: self.timezone.clone() },
        };
        self.ask(page);
    }

    pub(super) fn try_rules(&self, ask: TrialAsk) {
        let Some(running) = self.cameras.get(&ask.camera) else {
            let unknown = Untold::UnknownCamera(ask.camera.clone());
            drop(ask.reply.send(Err(unknown)));
            return;
        };
        self.ask(Page::Trial {
            ask,
            camera: running.cell.camera.clone(),
            revision: self.revision,
            journal: running.journal.clone(),
            // As it is known by now: what stood there when the journal began has left it.
            reference: running.analyst.reference().cloned(),
            models: self.meanings(),
        });
    }

    fn ask(&self, page: Page) {
        let sent = self.teller.as_ref().map(|teller| teller.0.try_send(Box::new(page)));
        if let Some(Err(TrySendError::Full(page))) = sent {
            page.refuse();
        }
    }
}
