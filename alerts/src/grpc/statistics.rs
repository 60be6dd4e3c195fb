//! `StatisticsService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, statistics_service_server::StatisticsService};

use super::{page_size, principal};
use crate::bus::Bus;

/// `StatisticsService` over the bus.
pub struct StatisticsApi(pub(crate) Bus);

#[tonic::async_trait]
impl StatisticsService for StatisticsApi {
    async fn get_case_statistics(
        &self,
        request: Request<v1::GetCaseStatisticsRequest>,
    ) -> Result<Response<v1::GetCaseStatisticsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        Ok(Response::new(self.0.case_statistics(&principal, request, limit).await?))
    }
}

#[cfg(test)]
mod tests;
