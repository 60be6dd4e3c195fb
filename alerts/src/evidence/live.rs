//! What the gateway gives of this moment: one entry of the register an opening, on disk before its first picture.

use xueliang_base::alert::Sha256;
use xueliang_proto::v1;

use super::Evidence;
use crate::{error::Result, explain::NoPicture, live::Picture, rights::Principal};

impl Evidence {
    /// What the register says of a call for a picture to draw zones on, which is about no alert.
    pub(crate) fn tuning_entry(&self, principal: &Principal) -> v1::RegisterEntry {
        v1::RegisterEntry {
            purpose: v1::Purpose::Tune.into(),
            call_reason: v1::CallReason::TuneRules.into(),
            ..self.who(principal)
        }
    }
    /// Registers that pictures of a camera were opened, or why they were not, and only then gives what was found.
    pub(crate) async fn open_picture<T>(
        &self,
        entry: v1::RegisterEntry,
        camera: String,
        found: Result<Result<(T, Picture), NoPicture>>,
    ) -> Result<Result<(T, Picture), NoPicture>> {
        let given = found.as_ref().ok().and_then(|told| told.as_ref().ok());
        let sha256 = given.map(|(_, picture)| Sha256::of(&picture.jpeg).to_string());
        let refusal = match &found {
            Ok(Ok(_)) => String::new(),
            Ok(Err(none)) => none.message.clone(),
            Err(error) => error.to_string(),
        };
        let entry = v1::RegisterEntry {
            camera_id: camera,
            kind: v1::EvidenceKind::Live.into(),
            granted: sha256.is_some(),
            sha256: sha256.unwrap_or_default(),
            refusal,
            ..entry
        };
        self.store.register(entry).await?;
        found
    }
}
