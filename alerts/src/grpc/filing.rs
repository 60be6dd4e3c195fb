//! `FilingService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, filing_service_server::FilingService};

use super::{page_size, page_start, principal};
use crate::{
    bus::Bus,
    error::{Error, Result},
    store::FilingQuery,
};

/// `FilingService` over the bus.
pub struct FilingApi(pub(super) Bus);

#[tonic::async_trait]
impl FilingService for FilingApi {
    async fn list_points(
        &self,
        request: Request<v1::ListPointsRequest>,
    ) -> Result<Response<v1::ListPointsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        Ok(Response::new(self.0.points(&principal, request, limit).await?))
    }

    async fn file_points(
        &self,
        request: Request<v1::FilePointsRequest>,
    ) -> Result<Response<v1::FilePointsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let filed = self.0.file_points(&principal, request.into_inner()).await?;
        Ok(Response::new(v1::FilePointsResponse { filed }))
    }

    async fn list_filings(
        &self,
        request: Request<v1::ListFilingsRequest>,
    ) -> Result<Response<v1::ListFilingsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let camera = match request.camera_id.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|fault| Error::Invalid(format!("camera_id: {fault}")))?),
        };
        let query = FilingQuery {
            camera,
            before_exclusive: page_start(&request.page_token)?,
            limit: page_size(request.page_size)?,
        };
        let (filings, next) = self.0.filings(&principal, query).await?;
        let next_page_token = next.map(|next| next.to_string()).unwrap_or_default();
        Ok(Response::new(v1::ListFilingsResponse { filings, next_page_token }))
    }
}
