//! `DeliveryService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, delivery_service_server::DeliveryService};

use super::{alert_id, principal};
use crate::{
    bus::Bus,
    error::{Error, Result},
    rights::{Right, check, check_sees},
    store::{Delivered, Reached},
};

/// `DeliveryService` over the store.
pub struct DeliveryApi(pub(super) Bus);

fn report(delivered: Delivered) -> v1::DeliveryReport {
    let stage = |reached: Reached| v1::StageReport {
        stage: reached.stage.into(),
        from_unix_us: reached.from.0,
        to_unix_us: reached.to.0,
    };
    v1::DeliveryReport {
        principal: delivered.principal,
        subscription: delivered.subscription,
        stages: delivered.stages.into_iter().map(stage).collect(),
    }
}

#[tonic::async_trait]
impl DeliveryService for DeliveryApi {
    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let request = request.into_inner();
        let id = alert_id(&request.alert_id)?;
        check_sees(&**self.0.store(), &principal, id).await?;
        if !self.0.store().exists(id).await? {
            return Err(Error::NotFound(format!("there is no alert {id}")).into());
        }
        let reports = self.0.store().deliveries(id, request.revision).await?;
        Ok(Response::new(v1::ListDeliveriesResponse { reports: reports.into_iter().map(report).collect() }))
    }
}
