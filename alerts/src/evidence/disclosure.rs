//! What the gateway gives beyond the people on duty: redacted pieces, for an approved release or a granted request.
//!
//! Everything here fails closed: without a redacted form, with another piece than was decided on, or where the entry of the
//! register cannot be written, nothing is given.

use bytes::Bytes;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use xueliang_base::{
    alert::{EvidenceKind, Sha256},
    id::AlertId,
    time::Wall,
};
use xueliang_proto::v1;

use super::{Evidence, Piece};
use crate::{
    bus::party,
    disclosure::{check_approved, check_kind, check_step},
    error::{Error, Result},
    rights::{Principal, Right, check, check_sees},
    store::{ReleaseQuery, Taker, ViewingQuery},
};

/// The files of a release: pictures, and a sheet of their checksums as the last one.
#[derive(Debug)]
pub struct ReleaseFiles {
    /// Names and contents.
    pub files: Vec<(String, Bytes)>,
    _slot: OwnedSemaphorePermit,
}

impl Evidence {
    /// The files of an approved release.
    pub(crate) async fn release(
        &self,
        principal: &Principal,
        by: &Taker,
        release: u64,
    ) -> Result<ReleaseFiles> {
        let slot = self.slot();
        let mut entry = self.leaving(by, v1::CallReason::PublicRelease);
        entry.release_id = release;
        let found = match &slot {
            Ok(_) => self.fetch_release(principal, release, &mut entry).await,
            Err(full) => Err(full.clone()),
        };
        outcome(&mut entry, &found);
        let entry_id = self.store.register(entry).await?;
        let (facts, piece) = found?;
        let mut files = Vec::new();
        let mut told = Vec::new();
        for (number, (arrived, jpeg)) in pictures(&facts, piece)?.into_iter().enumerate() {
            let name = format!("release-{release}-{:03}.jpg", number + 1);
            told.push(json!({
                "file": name,
                "sha256": Sha256::of(&jpeg).to_string(),
                "size_bytes": jpeg.len(),
                "taken": Wall(arrived).to_string(),
            }));
            files.push((name, jpeg));
        }
        // It may be handed on with the pictures: it names no account, place or alert. The register leads there.
        let sheet = json!({
            "release": release,
            "register_entry": entry_id,
            "redacted": true,
            "piece_sha256": facts.sha256,
            "files": told,
        });
        files.push((format!("release-{release}.json"), format!("{sheet:#}\n").into_bytes().into()));
        Ok(ReleaseFiles { files, _slot: slot? })
    }
    async fn fetch_release(
        &self,
        principal: &Principal,
        id: u64,
        entry: &mut v1::RegisterEntry,
    ) -> Result<(v1::EvidenceRef, Piece)> {
        check(principal, Right::PrepareRelease)?;
        let unknown = || Error::NotFound(format!("there is no release {id}"));
        let query = ReleaseQuery { release: Some(id), limit: 1, ..ReleaseQuery::default() };
        let release = self.store.releases(query).await?.pop().ok_or_else(unknown)?;
        // The entry says what was asked about, whoever asks.
        entry.alert_id.clone_from(&release.alert_id);
        entry.camera_id.clone_from(&release.camera_id);
        entry.kind = release.kind;
        entry.reason.clone_from(&release.reason);
        let alert = release.alert_id.parse();
        let alert = alert.map_err(|_| Error::DataLoss("the store holds a damaged release".to_owned()))?;
        check_sees(&*self.store, principal, alert).await.map_err(|_| unknown())?;
        check_approved(&release)?;
        let (facts, piece) = self.redacted(alert, check_kind(release.kind)?).await?;
        if facts.sha256 != release.sha256 {
            return Err(Error::Conflict(format!(
                "release {id} is of another piece than the alert has now: prepare another one"
            )));
        }
        Ok((facts, piece))
    }
    /// A redacted piece, shown for a granted request. Everybody in it is masked, whoever asks.
    pub(crate) async fn showing(
        &self,
        principal: &Principal,
        by: Taker,
        request: &v1::ShowViewingRequest,
    ) -> Result<v1::ShowViewingResponse> {
        let mut entry = self.leaving(&by, v1::CallReason::PartyConcerned);
        entry.request_id = request.request_id;
        let step = v1::ViewingStep {
            state: v1::ViewingState::Shown.into(),
            account: by.account.clone(),
            alert_id: request.alert_id.clone(),
            kind: request.kind,
            shown_to: request.shown_to,
            ..v1::ViewingStep::default()
        };
        let found = self.fetch_showing(principal, &by, request, &step, &mut entry).await;
        outcome(&mut entry, &found);
        let (facts, piece) = match found {
            Ok(found) => found,
            Err(refused) => {
                self.store.register(entry).await?;
                return Err(refused);
            }
        };
        let pictures = pictures(&facts, piece)?;
        let step = v1::ViewingStep { alert_id: entry.alert_id.clone(), ..step };
        // Entry and step are one: nothing is shown of which either is missing.
        let viewing = match self.store.show_viewing(by, entry.clone(), step).await {
            Ok(viewing) => viewing,
            Err(refused) => {
                let entry = v1::RegisterEntry {
                    granted: false,
                    refusal: refused.to_string(),
                    sha256: String::new(),
                    ..entry
                };
                self.store.register(entry).await?;
                return Err(refused);
            }
        };
        let picture = |(arrived_unix_us, jpeg)| v1::ViewingPicture { arrived_unix_us, jpeg };
        Ok(v1::ShowViewingResponse {
            pictures: pictures.into_iter().map(picture).collect(),
            evidence: Some(facts),
            viewing: Some(viewing),
        })
    }
    async fn fetch_showing(
        &self,
        principal: &Principal,
        by: &Taker,
        request: &v1::ShowViewingRequest,
        step: &v1::ViewingStep,
        entry: &mut v1::RegisterEntry,
    ) -> Result<(v1::EvidenceRef, Piece)> {
        check(principal, Right::ExamineViewings)?;
        let alert: AlertId =
            request.alert_id.parse().map_err(|fault| Error::Invalid(format!("alert_id: {fault}")))?;
        entry.alert_id = alert.to_string();
        entry.camera_id = self.store.camera_of(alert).await?.unwrap_or_default();
        entry.kind = request.kind;
        let id = request.request_id;
        let query = ViewingQuery {
            request: Some(id),
            within: by.within.clone(),
            limit: 1,
            ..ViewingQuery::default()
        };
        let viewing = self.store.viewings(query).await?.pop();
        let viewing = viewing.ok_or_else(|| Error::NotFound(format!("there is no request {id}")))?;
        check_sees(&*self.store, principal, alert).await?;
        let kind = check_kind(request.kind)?;
        party(request.shown_to)?;
        check_step(&viewing, step)?;
        let (facts, piece) = self.redacted(alert, kind).await?;
        let meets = facts.start_unix_us <= viewing.to_unix_us && facts.end_unix_us >= viewing.from_unix_us;
        if entry.camera_id != viewing.camera_id || !meets {
            return Err(Error::Forbidden(format!(
                "request {id} is about another place or time than the {} of alert {alert}",
                kind.word()
            )));
        }
        Ok((facts, piece))
    }
    /// A piece that is marked as redacted; nothing in its place where there is none.
    async fn redacted(&self, alert: AlertId, kind: EvidenceKind) -> Result<(v1::EvidenceRef, Piece)> {
        let (facts, piece) = self.stored(alert, kind, 0).await?;
        if !facts.redacted {
            return Err(Error::NotFound(format!("alert {alert} has no redacted {}", kind.word())));
        }
        Ok((facts, piece))
    }
    /// The entry of what is asked for here, before it is known what becomes of it.
    fn leaving(&self, by: &Taker, call_reason: v1::CallReason) -> v1::RegisterEntry {
        v1::RegisterEntry {
            at_unix_us: self.clock.wall().0,
            principal: by.account.clone(),
            unit: by.unit.clone(),
            call_reason: call_reason.into(),
            ..v1::RegisterEntry::default()
        }
    }
}

fn outcome(entry: &mut v1::RegisterEntry, found: &Result<(v1::EvidenceRef, Piece)>) {
    match found {
        Ok((facts, _)) => {
            entry.granted = true;
            entry.sha256.clone_from(&facts.sha256);
        }
        Err(refused) => entry.refusal = refused.to_string(),
    }
}

/// Pictures with their arrival.
fn pictures(facts: &v1::EvidenceRef, piece: Piece) -> Result<Vec<(i64, Bytes)>> {
    match piece {
        Piece::Still(jpeg) => Ok(vec![(facts.start_unix_us, jpeg)]),
        Piece::Preview(bundle) => {
            Ok(bundle.pictures.into_iter().map(|one| (one.arrived_unix_us, one.jpeg)).collect())
        }
        Piece::Clip(_) => Err(Error::Internal("an original does not leave by this way".to_owned())),
    }
}
