//! Photos by which a unit proves how it handled a case. They are not redacted: they come in by a handler's link, and go out as originals
//! do, by right, reason and an entry of the register that is on disk before. They lie in the folder of evidence, under bounds of their own.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tracing::{error, info};
use xueliang_base::{
    alert::{EvidenceKind, Sha256},
    time::Wall,
};
use xueliang_proto::v1::{self, DeletionProof};

use super::Evidence;
use crate::{
    error::{Error, Result},
    link::photo,
    register,
    rights::{Principal, Right, check},
    store::{CaseKey, DuePhoto, NewPhoto},
};

/// Photos that are looked at in one sweep.
const SWEEP: usize = 200;

/// Who asks for a photo, and why.
#[derive(Debug, Clone)]
pub(crate) struct ProofCall {
    pub(crate) key: CaseKey,
    pub(crate) sha256: Sha256,
    pub(crate) purpose: v1::Purpose,
    pub(crate) call_reason: v1::CallReason,
    pub(crate) reason: String,
}

impl Evidence {
    /// Keeps a photo that came by a link; the answer comes when it is on disk.
    pub(crate) async fn put_proof(&self, digest: Sha256, camera: &str, jpeg: &[u8]) -> Result<v1::CaseProof> {
        let jpeg = photo::plain(jpeg)?;
        let (sha256, size_bytes) = (Sha256::of(&jpeg), jpeg.len() as u64);
        let keep_until = self.promised(camera, self.clock.wall());
        // Nobody may take these bytes away, or bring them, while it is decided about their file.
        let _entry = self.entry.lock().await;
        if let Some((_, reason)) = self.no_room(EvidenceKind::Still, size_bytes).await? {
            return Err(Error::Exhausted(reason));
        }
        self.files.write(sha256, jpeg).await?;
        let kept = self.store.put_photo(NewPhoto { digest, sha256, size_bytes, keep_until }).await;
        // What is refused leaves no file: its sender has no other bound than those by which it was.
        if kept.is_err() && !self.is_named(sha256).await? {
            self.files.delete(sha256).await?;
        }
        kept
    }
    /// Whether a piece of evidence or a photo has these bytes.
    async fn is_named(&self, sha256: Sha256) -> Result<bool> {
        // Numbers of photos count from 1.
        self.store.photo_shared(sha256, 0).await
    }
    /// A photo, once the register says to whom and why.
    pub(crate) async fn proof(
        &self,
        principal: &Principal,
        call: &ProofCall,
    ) -> Result<(v1::CaseProof, Bytes)> {
        let mut entry = v1::RegisterEntry {
            kind: v1::EvidenceKind::Proof.into(),
            sha256: call.sha256.to_string(),
            purpose: call.purpose.into(),
            call_reason: register::reason_for(call.purpose, call.call_reason).into(),
            ..self.who(principal)
        };
        // What was asked for stands there whether it was found or not.
        if let CaseKey::Alert(alert) = call.key {
            entry.alert_id = alert.to_string();
            entry.camera_id = self.store.camera_of(alert).await?.unwrap_or_default();
        }
        let found = self.fetch_proof(principal, call, &mut entry).await;
        entry.granted = found.is_ok();
        entry.refusal = found.as_ref().err().map(ToString::to_string).unwrap_or_default();
        self.store.register(entry).await?;
        if let Err(Error::DataLoss(text)) = &found {
            error!(sha256 = %call.sha256, error = %text, "a photo is damaged");
        }
        found
    }
    async fn fetch_proof(
        &self,
        principal: &Principal,
        call: &ProofCall,
        entry: &mut v1::RegisterEntry,
    ) -> Result<(v1::CaseProof, Bytes)> {
        let found = self.store.photo(call.key.clone(), principal.reach(), call.sha256).await;
        if let Ok((_, case)) = &found {
            entry.camera_id = case.subject.camera.to_string();
            entry.alert_id = case.subject.alert.map(|id| id.to_string()).unwrap_or_default();
            entry.reason = register::kept_of_case(&case.number.to_string(), &call.reason);
        }
        check(principal, Right::ViewOriginal)?;
        let (photo, _) = found?;
        register::check_of_alert(call.purpose, call.call_reason)?;
        register::check_words(call.call_reason, &call.reason)?;
        if photo.deleted {
            return Err(Error::NotFound("the photo was deleted after its time".to_owned()));
        }
        Ok((photo, self.files.read(call.sha256).await?))
    }
    /// Deletes photos past their time whose cases are over, each with a certificate. Returns how many.
    pub(super) async fn sweep_photos(&self, now: Wall) -> Result<u64> {
        let (mut gone, mut failed, mut first) = (0, 0_u64, None);
        for due in self.store.photos_due(now, SWEEP, None).await? {
            let deleted = match due {
                Ok(due) => self.delete_photo(due, now).await,
                Err(error) => Err(error),
            };
            match deleted {
                Ok(deleted) => gone += u64::from(deleted),
                Err(error) => {
                    failed += 1;
                    first.get_or_insert(error);
                }
            }
        }
        if gone > 0 {
            info!(photos = gone, "photos of handled cases deleted after their time");
        }
        if let Some(error) = first {
            self.sweep_failures.fetch_add(failed, Ordering::Relaxed);
            error!(photos = failed, error = %error, "photos past their time cannot be deleted");
        }
        Ok(gone)
    }
    /// Deletes a photo, unless its case or its alert is held or open by now. Whether it did.
    async fn delete_photo(&self, due: DuePhoto, now: Wall) -> Result<bool> {
        let _entry = self.entry.lock().await;
        if !matches!(self.store.photos_due(now, 1, Some(due.id)).await?.first(), Some(Ok(_))) {
            return Ok(false);
        }
        let sum = due.sha256;
        let proof = if self.store.photo_shared(sum, due.id).await? {
            DeletionProof::BytesShared
        } else {
            self.files.delete(sum).await?;
            DeletionProof::FileGone
        };
        self.store.certify_photo(due, self.clock.wall(), proof).await?;
        Ok(true)
    }
}
