//! `RuleService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, rule_service_server::RuleService};

use super::principal;
use crate::{bus::Bus, tuning::RuleBook};

/// `RuleService` over the bus, its nodes, and whoever keeps what cameras watch for.
pub struct RuleApi {
    pub(crate) bus: Bus,
    pub(crate) book: Arc<dyn RuleBook>,
}

#[tonic::async_trait]
impl RuleService for RuleApi {
    async fn get_camera_rules(
        &self,
        request: Request<v1::GetCameraRulesRequest>,
    ) -> Result<Response<v1::GetCameraRulesResponse>, Status> {
        let principal = principal(&self.bus, request.extensions())?;
        let camera = &request.get_ref().camera_id;
        Ok(Response::new(self.bus.camera_rules(&*self.book, &principal, camera).await?))
    }

    async fn try_camera_rules(
        &self,
        request: Request<v1::TryCameraRulesRequest>,
    ) -> Result<Response<v1::TryCameraRulesResponse>, Status> {
        let principal = principal(&self.bus, request.extensions())?;
        Ok(Response::new(self.bus.try_rules(&principal, request.into_inner()).await?))
    }

    async fn put_camera_rules(
        &self,
        request: Request<v1::PutCameraRulesRequest>,
    ) -> Result<Response<v1::PutCameraRulesResponse>, Status> {
        let principal = principal(&self.bus, request.extensions())?;
        // To its end, whether or not the caller waits for it: what the audit says first is either done or taken back there.
        let (bus, book) = (self.bus.clone(), Arc::clone(&self.book));
        let put = async move { bus.put_rules(&*book, &principal, request.into_inner()).await };
        let put = tokio::spawn(put).await.map_err(|_| Status::internal("the call ended: see the log"))?;
        Ok(Response::new(put?))
    }

    async fn list_rule_changes(
        &self,
        request: Request<v1::ListRuleChangesRequest>,
    ) -> Result<Response<v1::ListRuleChangesResponse>, Status> {
        let principal = principal(&self.bus, request.extensions())?;
        let changes = self.bus.rule_changes(&*self.book, &principal, &request.get_ref().camera_id).await?;
        Ok(Response::new(v1::ListRuleChangesResponse { changes }))
    }
}

#[cfg(test)]
mod tests;
