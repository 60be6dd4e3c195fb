//! `DisclosureService`.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, disclosure_service_server::DisclosureService};

use super::{alert_id, page_size, page_start, principal};
use crate::{
    bus::Bus,
    error::{Error, Result},
    evidence::ReleaseFiles,
    store::{ReleaseQuery, ViewingQuery},
};

/// Bytes of one piece of a file.
const PIECE: usize = 256 << 10;

/// Whoever takes nothing of a release for so long has left it.
const STALL: Duration = Duration::from_secs(30);

/// `DisclosureService` over bus and gateway.
pub struct DisclosureApi(pub(super) Bus);

fn pieces(name: &str, file: &Bytes) -> Vec<v1::GetReleaseResponse> {
    let part = |(index, part): (usize, &[u8])| v1::GetReleaseResponse {
        file_name: if index == 0 { name.to_owned() } else { String::new() },
        data: Bytes::copy_from_slice(part),
    };
    file.chunks(PIECE).enumerate().map(part).collect()
}

/// Sends files one after the other, and gives up on whoever takes nothing for [`STALL`]. The sheet comes last: a release
/// without it is not whole.
async fn send(mut release: ReleaseFiles, to: mpsc::Sender<Result<v1::GetReleaseResponse, Status>>) {
    for (name, file) in std::mem::take(&mut release.files) {
        for piece in pieces(&name, &file) {
            match to.send_timeout(Ok(piece), STALL).await {
                Ok(()) => {}
                Err(mpsc::error::SendTimeoutError::Closed(_)) => return,
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                    drop(release);
                    let late = "the release was not read for too long: ask for it again";
                    let _gone = to.send(Err(Status::deadline_exceeded(late))).await;
                    return;
                }
            }
        }
    }
}

/// A state to list by; `None`: all.
fn state<T: TryFrom<i32>>(number: i32) -> Result<Option<T>> {
    if number == 0 {
        return Ok(None);
    }
    T::try_from(number).map(Some).map_err(|_| Error::Invalid("state: is not known here".to_owned()))
}

/// Where the next page begins; empty after the last.
fn next_page<T>(page: &[T], limit: usize, id: impl Fn(&T) -> u64) -> String {
    page.last().filter(|_| page.len() == limit).map_or_else(String::new, |one| id(one).to_string())
}

#[tonic::async_trait]
impl DisclosureService for DisclosureApi {
    async fn prepare_release(
        &self,
        request: Request<v1::PrepareReleaseRequest>,
    ) -> Result<Response<v1::PrepareReleaseResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let release = Some(self.0.prepare_release(&principal, request.into_inner()).await?);
        Ok(Response::new(v1::PrepareReleaseResponse { release }))
    }

    async fn decide_release(
        &self,
        request: Request<v1::DecideReleaseRequest>,
    ) -> Result<Response<v1::DecideReleaseResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let release = Some(self.0.decide_release(&principal, request.into_inner()).await?);
        Ok(Response::new(v1::DecideReleaseResponse { release }))
    }

    type GetReleaseStream = Pin<Box<dyn Stream<Item = Result<v1::GetReleaseResponse, Status>> + Send>>;

    async fn get_release(
        &self,
        request: Request<v1::GetReleaseRequest>,
    ) -> Result<Response<Self::GetReleaseStream>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let release = self.0.release_files(&principal, request.get_ref().release_id).await?;
        let (pieces, read) = mpsc::channel(1);
        tokio::spawn(send(release, pieces));
        Ok(Response::new(ReceiverStream::new(read).boxed()))
    }

    async fn list_releases(
        &self,
        request: Request<v1::ListReleasesRequest>,
    ) -> Result<Response<v1::ListReleasesResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = ReleaseQuery {
            alert: match request.alert_id.as_str() {
                "" => None,
                id => Some(alert_id(id)?),
            },
            state: state(request.state)?,
            before_exclusive: page_start(&request.page_token)?,
            limit,
            ..ReleaseQuery::default()
        };
        let releases = self.0.releases(&principal, query).await?;
        let next_page_token = next_page(&releases, limit, |one| one.release_id);
        Ok(Response::new(v1::ListReleasesResponse { releases, next_page_token }))
    }

    async fn receive_viewing(
        &self,
        request: Request<v1::ReceiveViewingRequest>,
    ) -> Result<Response<v1::ReceiveViewingResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let viewing = Some(self.0.receive_viewing(&principal, request.into_inner()).await?);
        Ok(Response::new(v1::ReceiveViewingResponse { viewing }))
    }

    async fn examine_viewing(
        &self,
        request: Request<v1::ExamineViewingRequest>,
    ) -> Result<Response<v1::ExamineViewingResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let viewing = Some(self.0.examine_viewing(&principal, request.into_inner()).await?);
        Ok(Response::new(v1::ExamineViewingResponse { viewing }))
    }

    async fn decide_viewing(
        &self,
        request: Request<v1::DecideViewingRequest>,
    ) -> Result<Response<v1::DecideViewingResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let viewing = Some(self.0.decide_viewing(&principal, request.into_inner()).await?);
        Ok(Response::new(v1::DecideViewingResponse { viewing }))
    }

    async fn show_viewing(
        &self,
        request: Request<v1::ShowViewingRequest>,
    ) -> Result<Response<v1::ShowViewingResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.show_viewing(&principal, request.get_ref()).await?))
    }

    async fn close_viewing(
        &self,
        request: Request<v1::CloseViewingRequest>,
    ) -> Result<Response<v1::CloseViewingResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let viewing = Some(self.0.close_viewing(&principal, request.into_inner()).await?);
        Ok(Response::new(v1::CloseViewingResponse { viewing }))
    }

    async fn list_viewings(
        &self,
        request: Request<v1::ListViewingsRequest>,
    ) -> Result<Response<v1::ListViewingsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = ViewingQuery {
            state: state(request.state)?,
            camera: Some(request.camera_id).filter(|id| !id.is_empty()),
            before_exclusive: page_start(&request.page_token)?,
            limit,
            ..ViewingQuery::default()
        };
        let viewings = self.0.viewings(&principal, query).await?;
        let next_page_token = next_page(&viewings, limit, |one| one.request_id);
        Ok(Response::new(v1::ListViewingsResponse { viewings, next_page_token }))
    }
}
