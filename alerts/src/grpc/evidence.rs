//! `EvidenceService`.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use xueliang_base::{id::CameraId, time::Wall};
use xueliang_proto::v1::{self, evidence_service_server::EvidenceService};

use super::{alert_id, page_size, page_start, principal};
use crate::{
    bus::Bus,
    error::{Error, Result},
    evidence::{Call, Clip},
    register::Export,
    rights::{Right, check},
    store::RegisterQuery,
};

/// Bytes of one piece of a clip: a few stream windows.
const CLIP_PIECE: usize = 256 << 10;

/// A console that takes nothing of a clip or of the register for so long has left it.
const STALL: Duration = Duration::from_secs(30);

/// Characters of a text of a filter: no name here is longer.
const FILTER_TEXT: usize = 200;

/// `EvidenceService` over the gateway.
pub struct EvidenceApi(pub(super) Bus);

fn call(alert: &str, purpose: i32, call_reason: i32, reason: String) -> Result<Call> {
    let purpose = v1::Purpose::try_from(purpose)
        .map_err(|_| Error::Invalid("purpose: is not known here".to_owned()))?;
    let call_reason = reason_of(call_reason)?;
    Ok(Call { alert: alert_id(alert)?, purpose, call_reason, reason })
}

fn reason_of(number: i32) -> Result<v1::CallReason> {
    let known = v1::CallReason::try_from(number);
    known.map_err(|_| Error::Invalid("call_reason: is not known here".to_owned()))
}

impl RegisterQuery {
    /// What a filter asks for.
    pub(crate) fn of_wire(filter: &v1::RegisterFilter) -> Result<Self> {
        // What is asked for stands in the audit where it is taken out.
        let text = |name: &str, text: &String| {
            if text.chars().count() > FILTER_TEXT {
                return Err(Error::Invalid(format!("filter.{name}: {FILTER_TEXT} characters at most")));
            }
            Ok(Some(text.clone()).filter(|text| !text.is_empty()))
        };
        let time = |unix_us: i64| Some(Wall(unix_us)).filter(|time| time.0 != 0);
        let number = |number: u64| Some(number).filter(|number| *number != 0);
        let kind = v1::EvidenceKind::try_from(filter.kind)
            .map_err(|_| Error::Invalid("filter.kind: is not known here".to_owned()))?;
        Ok(Self {
            alert: text("alert_id", &filter.alert_id)?.map(|id| alert_id(&id)).transpose()?,
            from_inclusive: time(filter.from_unix_us),
            to_exclusive: time(filter.to_unix_us),
            account: text("account", &filter.account)?,
            unit: text("unit", &filter.unit)?,
            camera: text("camera_id", &filter.camera_id)?,
            call_reason: Some(reason_of(filter.call_reason)?)
                .filter(|one| *one != v1::CallReason::Unspecified),
            kind: Some(kind).filter(|one| *one != v1::EvidenceKind::Unspecified),
            refused_only: filter.refused_only,
            release: number(filter.release_id),
            request: number(filter.request_id),
            ..Self::default()
        })
    }
}

/// Sends the ledger page by page, and gives up on whoever takes nothing for [`STALL`].
async fn send_ledger(mut export: Export, pieces: mpsc::Sender<Result<v1::ExportRegisterResponse, Status>>) {
    loop {
        let piece = match export.next().await {
            Ok(None) => return,
            Ok(Some(piece)) => Ok(piece),
            Err(error) => Err(Status::from(error)),
        };
        let failed = piece.is_err();
        let late = || Status::deadline_exceeded("the register was not read for too long: ask for it again");
        match pieces.send_timeout(piece, STALL).await {
            Ok(()) if failed => return,
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                drop(export);
                let _gone = pieces.send(Err(late())).await;
                return;
            }
        }
    }
}

/// Sends a clip piece by piece, and gives up on whoever takes nothing for [`STALL`]. A stream that ends before its
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
        match pieces.send_timeout(Ok(piece), STALL).await {
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
        let call = call(&request.alert_id, request.purpose, 0, String::new())?;
        let (facts, jpeg) = self.0.evidence().still(&principal, &call).await?;
        Ok(Response::new(v1::GetStillResponse { jpeg, evidence: Some(facts) }))
    }

    async fn get_preview(
        &self,
        request: Request<v1::GetPreviewRequest>,
    ) -> Result<Response<v1::GetPreviewResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let call = call(&request.alert_id, request.purpose, 0, String::new())?;
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
        let call = call(&request.alert_id, request.purpose, request.call_reason, request.reason)?;
        let stretch = request.stretch as usize;
        let clip = self.0.evidence().clip(&principal, &call, stretch).await?;
        // The clip stays with a task: a console that reads nothing must not keep it in memory, and its place.
        let (pieces, read) = mpsc::channel(1);
        tokio::spawn(send(clip, pieces));
        let whole = ReceiverStream::new(read);
        Ok(Response::new(whole.boxed()))
    }

    async fn get_picture(
        &self,
        request: Request<v1::GetPictureRequest>,
    ) -> Result<Response<v1::GetPictureResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        if !request.opening.is_empty() {
            return Ok(Response::new(self.0.next_picture(&principal, &request.opening).await?));
        }
        if request.purpose == v1::Purpose::Tune as i32 && request.alert_id.is_empty() {
            let camera = request.camera_id.parse::<CameraId>();
            let camera = camera.map_err(|fault| Error::Invalid(format!("camera_id: {fault}")))?;
            return Ok(Response::new(self.0.tuning_picture(&principal, camera).await?));
        }
        let call = call(&request.alert_id, request.purpose, request.call_reason, String::new())?;
        let nearby = Some(request.camera_id).filter(|id| !id.is_empty()).map(|id| id.parse::<CameraId>());
        let nearby = nearby.transpose().map_err(|fault| Error::Invalid(format!("camera_id: {fault}")))?;
        Ok(Response::new(self.0.open_picture(&principal, &call, nearby).await?))
    }

    async fn list_nearby_cameras(
        &self,
        request: Request<v1::ListNearbyCamerasRequest>,
    ) -> Result<Response<v1::ListNearbyCamerasResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let alert = alert_id(&request.get_ref().alert_id)?;
        Ok(Response::new(self.0.nearby_cameras(&principal, alert).await?))
    }

    async fn list_register(
        &self,
        request: Request<v1::ListRegisterRequest>,
    ) -> Result<Response<v1::ListRegisterResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let mut query = RegisterQuery::of_wire(&request.filter.unwrap_or_default())?;
        if !request.alert_id.is_empty() {
            query.alert = Some(alert_id(&request.alert_id)?);
        }
        let before_exclusive = page_start(&request.page_token)?;
        let query = RegisterQuery { within: principal.reach(), before_exclusive, limit, ..query };
        let entries = self.0.store().list_register(query).await?;
        let next = entries.last().filter(|_| entries.len() == limit).map(|one| one.entry_id.to_string());
        Ok(Response::new(v1::ListRegisterResponse { entries, next_page_token: next.unwrap_or_default() }))
    }

    type ExportRegisterStream =
        Pin<Box<dyn Stream<Item = Result<v1::ExportRegisterResponse, Status>> + Send>>;

    async fn export_register(
        &self,
        request: Request<v1::ExportRegisterRequest>,
    ) -> Result<Response<Self::ExportRegisterStream>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let (store, slot) = (std::sync::Arc::clone(self.0.store()), self.0.export_slot()?);
        let export = Export::begin(store, &principal, request.into_inner(), self.0.timezone(), slot).await?;
        // A page at a time: whoever reads slowly keeps one in memory.
        let (pieces, read) = mpsc::channel(1);
        tokio::spawn(send_ledger(export, pieces));
        Ok(Response::new(ReceiverStream::new(read).boxed()))
    }
}
