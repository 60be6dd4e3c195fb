//! What outlives the process: reference views, and journals when they are asked for.
//!
//! A thread of its own writes them, from snapshots: a disk may take seconds, and a journal is megabytes. Its queue is
//! bounded; what finds it full is offered again.

use std::{
    fs::File,
    io::{BufWriter, IntoInnerError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use tracing::{info, warn};
use xueliang_base::{config::Camera, incident::Incident};
use xueliang_inference::{
    analyst::{ModelMeanings, Reference},
    journal::Journal,
};

use super::Looks;

/// Files that may wait for the disk. Journals among them are kept alive by it, so there are few.
const WAITING: usize = 4;

/// A file to write.
pub(super) enum Page {
    View {
        camera: Arc<Camera>,
        path: PathBuf,
        reference: Reference,
    },
    Journal {
        camera: Arc<Camera>,
        path: PathBuf,
        journal: Arc<Journal>,
        models: Vec<ModelMeanings>,
        began_with: Option<Reference>,
        adopted: Vec<Incident>,
    },
}

/// The thread that writes. It ends, after what waits, when its handle is dropped.
pub(super) struct Keeper(SyncSender<Page>);

impl Keeper {
    /// `None`, with a warning, where no thread can be started: then nothing is kept.
    pub(super) fn spawn() -> Option<Self> {
        let (pages, queue) = sync_channel(WAITING);
        match std::thread::Builder::new().name("keep".to_owned()).spawn(move || run(&queue)) {
            Ok(_) => Some(Self(pages)),
            Err(error) => {
                warn!(%error, "cannot start the thread that stores views and journals");
                None
            }
        }
    }
    /// Whether it was taken; it is not while too much waits.
    fn write(&self, page: Page) -> bool {
        !matches!(self.0.try_send(page), Err(TrySendError::Full(_)))
    }
}

fn run(queue: &Receiver<Page>) {
    for page in queue {
        match page {
            Page::View { camera, path, reference } => {
                // A view that could not be stored is tried again when it changes next, at most twice a minute.
                if let Err(error) = replace_file(&path, |out| Ok(serde_json::to_writer(out, &reference)?)) {
                    warn!(camera = %camera.id, %error, "cannot store the reference view");
                }
            }
            Page::Journal { camera, path, journal, models, began_with, adopted } => {
                let written = replace_file(&path, |out| {
                    Ok(journal.write_to(&camera, &models, began_with.as_ref(), &adopted, out)?)
                });
                // Before it is said: the looks task copies a journal that is held here when it writes to it.
                drop(journal);
                match written {
                    Ok(()) => info!(camera = %camera.id, path = %path.display(), "journal written"),
                    Err(error) => warn!(camera = %camera.id, %error, "cannot write the journal"),
                }
            }
        }
    }
}

impl Looks {
    fn view_file(&self, camera: &Camera) -> PathBuf {
        self.spec.folder.join("views").join(format!("{}.json", camera.id))
    }

    pub(super) fn read_view(&self, camera: &Camera) -> Option<Reference> {
        let text = std::fs::read(self.view_file(camera)).ok()?;
        match serde_json::from_slice(&text) {
            Ok(reference) => Some(reference),
            Err(error) => {
                warn!(camera = %camera.id, %error, "stored reference view is damaged, learning it anew");
                None
            }
        }
    }

    /// Stores the views that changed.
    pub(super) fn keep_views(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        let views = self.spec.folder.join("views");
        for (id, running) in &mut self.cameras {
            let Some(reference) = running.analyst.reference() else { continue };
            if running.stored.as_ref() == Some(reference) {
                continue;
            }
            let path = views.join(format!("{id}.json"));
            let (camera, reference) = (running.cell.camera.clone(), reference.clone());
            if !keeper.write(Page::View { camera, path, reference: reference.clone() }) {
                return;
            }
            running.stored = Some(reference);
        }
    }

    /// Remembers to write every camera's journal.
    pub(super) fn want_journals(&mut self) {
        self.journals = self.cameras.keys().cloned().collect();
        self.write_journals();
    }

    /// Hands over the journals that are wanted, as many as the thread takes now.
    pub(super) fn write_journals(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        while let Some(id) = self.journals.first() {
            if let Some(running) = self.cameras.get(id) {
                let page = Page::Journal {
                    camera: running.cell.camera.clone(),
                    path: self.spec.folder.join("journals").join(format!("{id}.journal")),
                    journal: running.journal.clone(),
                    models: running.analyst.models().to_vec(),
                    began_with: running.began_with.clone(),
                    adopted: running.analyst.adopted().to_vec(),
                };
                if !keeper.write(page) {
                    return;
                }
            }
            self.journals.pop_first();
        }
    }
}

/// Writes a file beside its place and moves it there.
fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("part");
    let mut out = BufWriter::new(File::create(&part)?);
    write(&mut out)?;
    out.into_inner().map_err(IntoInnerError::into_error)?;
    std::fs::rename(&part, path)?;
    Ok(())
}

#[cfg(test)]
impl Keeper {
    /// A queue that the test reads, or lets run full.
    pub(super) fn fake() -> (Self, Receiver<Page>) {
        let (pages, queue) = sync_channel(WAITING);
        (Self(pages), queue)
    }
}
