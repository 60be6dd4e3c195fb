//! `ClockService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, clock_service_server::ClockService};

use super::{page_size, page_start, principal};
use crate::{
    bus::Bus,
    rights::{Right, check},
};

/// `ClockService` over the store.
pub struct ClockApi(pub(crate) Bus);

#[tonic::async_trait]
impl ClockService for ClockApi {
    async fn list_clock_steps(
        &self,
        request: Request<v1::ListClockStepsRequest>,
    ) -> Result<Response<v1::ListClockStepsResponse>, Status> {
        // Whoever reads alerts reads their times.
        check(&principal(request.extensions())?, Right::ReadAlerts)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let rows = self.0.store().clock_steps(page_start(&request.page_token)?, limit).await?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|(id, _)| id.to_string());
        Ok(Response::new(v1::ListClockStepsResponse {
            steps: rows.into_iter().map(|(_, step)| step).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}
