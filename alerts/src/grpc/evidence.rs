//! `EvidenceService`.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, evidence_service_server::EvidenceService};

use super::{alert_id, page_size, page_start, principal};
use crate::{
    bus::Bus,
    error::{Error, Result},
    evidence::{Call, Clip},
    rights::{Right, check},
    store::RegisterQuery,
};

/// Bytes of one piece of a clip: a few stream windows.
const CLIP_PIECE: usize = 256 << 10;

/// A console that takes nothing of a clip for so long has left it.
const CLIP_STALL: Duration = Duration::from_secs(30);

/// `EvidenceService` over the gateway.
pub struct EvidenceApi(pub(super) Bus);

fn call(alert: &str, purpose: i32, reason: String) -> Result<Call> {
    let purpose = v1::Purpose::try_from(purpose)
        .map_err(|_| Error::Invalid("purpose: is not known here".to_owned()))?;
    Ok(Call { alert: alert_id(alert)?, purpose, reason })
}

/// Sends a clip piece by piece, and gives up on whoever takes nothing for [`CLIP_STALL`]. A stream that ends before its
/// last piece ends with an error, so that nobody takes a part for the whole.
async fn send(clip: Clip, pieces: mpsc::Sender<Result<v1::GetClipResponse, Status>>) {
    let first = v1::GetClipResponse { data: Bytes::new(), evidence: Some(clip.facts.clone()) };
    let count = clip.mp4.len().div_ceil(CLIP_PIECE);
    let rest = (0..count).map(|index| {
        let end = ((index + 1) * CLIP_PIECE).min(clip.mp4.len());
        // A copy: a slice would keep the whole clip.
        let data = Bytes::copy_from_slice(&clip.mp4[index * CLIP_PIECE..end]);
        v1::GetClipResponse { data, evidence: None }
    });
    for piece in std::iter::once(first).chain(rest) {
        match pieces.send_timeout(Ok(piece), CLIP_STALL).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                drop(clip);
                let late = Status::deadline_exceeded("the clip was not read for too long: ask for it again");
                // Whoever reads on later, if ever, learns that it is not whole.
                let _gone = pieces.send(Err(late)).await;
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl EvidenceService for EvidenceApi {
    async fn get_still(
        &self,
        request: Request<v1::GetStillRequest>,
    ) -> Result<Response<v1::GetStillResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let call = call(&request.alert_id, request.purpose, String::new())?;
        let (facts, jpeg) = self.0.evidence().still(&principal, &call).await?;
        Ok(Response::new(v1::GetStillResponse { jpeg, evidence: Some(facts) }))
    }

    async fn get_preview(
        &self,
        request: Request<v1::GetPreviewRequest>,
    ) -> Result<Response<v1::GetPreviewResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let call = call(&request.alert_id, request.purpose, String::new())?;
        let (facts, bundle) = self.0.evidence().preview(&principal, &call).await?;
        let pictures = bundle
            .pictures
            .into_iter()
            .map(|one| v1::PreviewPicture { arrived_unix_us: one.arrived_unix_us, jpeg: one.jpeg });
        Ok(Response::new(v1::GetPreviewResponse { pictures: pictures.collect(), evidence: Some(facts) }))
    }

    type GetClipStream = Pin<Box<dyn Stream<Item = Result<v1::GetClipResponse, Status>> + Send>>;

    async fn get_clip(
        &self,
        request: Request<v1::GetClipRequest>,
    ) -> Result<Response<Self::GetClipStream>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let call = call(&request.alert_id, request.purpose, request.reason)?;
        let stretch = request.stretch as usize;
        let clip = self.0.evidence().clip(&principal, &call, stretch).await?;
        // The clip stays with a task: a console that reads nothing must not keep it in memory, and its place.
        let (pieces, read) = mpsc::channel(1);
        tokio::spawn(send(clip, pieces));
        let whole = ReceiverStream::new(read);
        Ok(Response::new(whole.boxed()))
    }

    async fn list_register(
        &self,
        request: Request<v1::ListRegisterRequest>,
    ) -> Result<Response<v1::ListRegisterResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = RegisterQuery {
            alert: match request.alert_id.as_str() {
                "" => None,
                id => Some(alert_id(id)?),
            },
            within: principal.reach(),
            before_exclusive: page_start(&request.page_token)?,
            limit,
        };
        let entries = self.0.store().list_register(query).await?;
        let next = entries.last().filter(|_| entries.len() == limit).map(|one| one.entry_id.to_string());
        Ok(Response::new(v1::ListRegisterResponse { entries, next_page_token: next.unwrap_or_default() }))
    }
}
