//! `DrillService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, drill_service_server::DrillService};

use super::principal;
use crate::bus::Bus;

/// `DrillService` over the bus.
pub struct DrillApi(pub(super) Bus);

#[tonic::async_trait]
impl DrillService for DrillApi {
    async fn start_drill(
        &self,
        request: Request<v1::StartDrillRequest>,
    ) -> Result<Response<v1::StartDrillResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.start_drill(&principal, &request.get_ref().camera_id).await?))
    }

    async fn get_drill(
        &self,
        request: Request<v1::GetDrillRequest>,
    ) -> Result<Response<v1::GetDrillResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.drill(&principal, request.get_ref()).await?))
    }
}

#[cfg(test)]
mod tests;
