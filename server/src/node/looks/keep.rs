//! What outlives the process: reference views, and journals when they are asked for.

use std::{
    fs::File,
    io::{BufWriter, IntoInnerError},
    path::{Path, PathBuf},
};

use tracing::{info, warn};
use xueliang_base::{config::Camera, id::CameraId};
use xueliang_inference::analyst::Reference;

use super::Looks;

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

    pub(super) fn keep_views(&mut self) {
        let changed: Vec<(PathBuf, CameraId, Reference)> = self
            .cameras
            .iter()
            .filter_map(|(id, running)| {
                let reference = running.analyst.reference()?;
                (running.stored.as_ref() != Some(reference))
                    .then(|| (self.view_file(&running.cell.camera), id.clone(), reference.clone()))
            })
            .collect();
        for (path, id, reference) in changed {
            if let Err(error) = replace_file(&path, |out| Ok(serde_json::to_writer(out, &reference)?)) {
                warn!(camera = %id, %error, "cannot store the reference view");
            }
            // Tried again when it changes next, at most twice a minute.
            if let Some(running) = self.cameras.get_mut(&id) {
                running.stored = Some(reference);
            }
        }
    }

    pub(super) fn write_journals(&self) {
        for (id, running) in &self.cameras {
            let path = self.spec.folder.join("journals").join(format!("{id}.journal"));
            let camera = &running.cell.camera;
            let models = running.analyst.models();
            let written = replace_file(&path, |out| {
                Ok(running.journal.write_to(camera, models, running.began_with.as_ref(), out)?)
            });
            match written {
                Ok(()) => info!(camera = %id, path = %path.display(), "journal written"),
                Err(error) => warn!(camera = %id, %error, "cannot write the journal"),
            }
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
