//! `DeliveryService`.

use tonic::{Request, Response, Status};
use xueliang_base::id::AlertId;
use xueliang_proto::v1::{self, delivery_service_server::DeliveryService};

use super::{alert_id, principal};
use crate::{
    bus::Bus,
    error::{Error, Result},
    filter::Filter,
    rights::{Principal, Right, check, check_sees},
    store::{Delivered, ListQuery, Reached},
};

/// Characters of the last group of an alert's id.
const END: usize = 12;

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

impl DeliveryApi {
    /// The alert that an id, or the last group of one, names among those that the principal may see.
    async fn named(&self, principal: &Principal, text: &str) -> Result<AlertId> {
        let end = text.len() == END && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !end {
            return alert_id(text);
        }
        let filter = Filter { within: principal.reach(), ..Filter::default() };
        let id_ends = Some(text.to_ascii_lowercase());
        let found =
            self.0.store().list(ListQuery { filter, id_ends, limit: 2, ..ListQuery::default() }).await?;
        match &found[..] {
            [one] => Ok(one.alert),
            [] => Err(Error::NotFound(format!("alert_id: no alert's id ends in {text}"))),
            _ => Err(Error::Invalid(format!("alert_id: several ids end in {text}: give the whole id"))),
        }
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
        let id = self.named(&principal, &request.alert_id).await?;
        check_sees(&**self.0.store(), &principal, id).await?;
        if !self.0.store().exists(id).await? {
            return Err(Error::NotFound(format!("there is no alert {id}")).into());
        }
        let reports = self.0.store().deliveries(id, request.revision).await?;
        Ok(Response::new(v1::ListDeliveriesResponse { reports: reports.into_iter().map(report).collect() }))
    }
}
