//! `AlertService`.

use std::pin::Pin;

use futures::StreamExt as _;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, alert_service_server::AlertService};

use super::{alert_id, page_size, page_start, principal};
use crate::{
    bus::{Bus, Subscribe, SubscriptionStream},
    error::{Error, Result},
    filter::Filter,
    rights::{Right, check, check_sees},
    store::ListQuery,
};

/// Ids one list may name.
const MAX_IDS: usize = 1000;

/// `AlertService` over the bus.
pub struct AlertApi(pub(crate) Bus);

impl AlertApi {
    /// Opens a subscription; a refusal is audited.
    pub(super) async fn open(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<SubscriptionStream, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let opened = async {
            let wanted = Subscribe::try_from(request)?;
            self.0.admit(&principal, &wanted.name).await?;
            self.0.subscribe(&principal, wanted).await
        };
        match opened.await {
            Ok(stream) => Ok(stream),
            Err(error) => {
                self.0.audit_refusal(&principal, &error).await;
                Err(error.into())
            }
        }
    }
}

#[tonic::async_trait]
impl AlertService for AlertApi {
    async fn publish(
        &self,
        request: Request<v1::PublishRequest>,
    ) -> Result<Response<v1::PublishResponse>, Status> {
        let received = self.0.0.clock.mono();
        let principal = principal(&self.0, request.extensions())?;
        let published = self.0.publish(&principal, request.into_inner().publications, received).await?;
        let results = published
            .into_iter()
            .map(|one| v1::PublishResult { outcome: one.outcome.into(), message: one.message });
        let clock = &self.0.0.clock;
        let times = v1::ReceiveTime {
            boot_id: clock.boot().as_str().to_owned(),
            received_mono_ns: received.0,
            answered_mono_ns: clock.mono().0,
        };
        Ok(Response::new(v1::PublishResponse { results: results.collect(), received: Some(times) }))
    }

    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<v1::SubscribeResponse, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        Ok(Response::new(self.open(request).await?.map(Ok).boxed()))
    }

    async fn acknowledge(
        &self,
        request: Request<v1::AcknowledgeRequest>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let stage = v1::DeliveryStage::try_from(request.stage)
            .map_err(|_| Error::Invalid("stage: is not known here".to_owned()))?;
        let available =
            self.0.acknowledge_stage(&principal, &request.subscription_id, &request.cursor, stage)?;
        Ok(Response::new(v1::AcknowledgeResponse { available: Some(available) }))
    }

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadAlerts)?;
        let request = request.into_inner();
        if request.alert_ids.len() > MAX_IDS {
            let count = request.alert_ids.len();
            return Err(
                Error::Invalid(format!("alert_ids: {count} are more than the {MAX_IDS} allowed")).into()
            );
        }
        let limit = page_size(request.page_size)?;
        let query = ListQuery {
            firing: match v1::AlertState::try_from(request.state) {
                Ok(v1::AlertState::Unspecified) => None,
                Ok(v1::AlertState::Firing) => Some(true),
                Ok(v1::AlertState::Resolved) => Some(false),
                Err(_) => return Err(Error::Invalid("state: is not known here".to_owned()).into()),
            },
            alerts: request.alert_ids.iter().map(|id| alert_id(id)).collect::<Result<_>>()?,
            filter: Filter {
                within: principal.divisions,
                ..Filter::try_from(request.filter.unwrap_or_default())?
            },
            id_ends: None,
            publisher: None,
            before_exclusive: page_start(&request.page_token)?,
            limit,
        };
        let rows = self.0.store().list(query).await?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.seq.to_string());
        let listed = rows.iter().map(|row| row.alert).collect();
        let suppressed = self.0.store().suppressed_among(listed).await?;
        Ok(Response::new(v1::ListAlertsResponse {
            suppressed_alert_ids: suppressed.iter().map(ToString::to_string).collect(),
            records: rows.iter().map(|row| row.record.clone()).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_alert(
        &self,
        request: Request<v1::GetAlertRequest>,
    ) -> Result<Response<v1::GetAlertResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadAlerts)?;
        let id = alert_id(&request.into_inner().alert_id)?;
        check_sees(&**self.0.store(), &principal, id).await?;
        let history = self.0.store().history(id).await?;
        let Some(latest) = history.last().cloned() else {
            return Err(Error::NotFound(format!("there is no alert {id}")).into());
        };
        Ok(Response::new(v1::GetAlertResponse { record: Some(latest), history }))
    }
}
