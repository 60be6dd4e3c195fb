//! `AlertService`.

use std::pin::Pin;

use futures::StreamExt as _;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use xueliang_proto::v1::{self, alert_service_server::AlertService};

use super::{alert_id, page_size, page_start, principal, signed_in};
use crate::{
    bus::{Bus, Subscribe, SubscriptionStream},
    error::{Error, Result},
    filter::Filter,
    rights::{Principal, Right, check, check_sees},
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
    /// Acknowledges; the credit that is left.
    fn acknowledged(&self, principal: &Principal, request: &v1::AcknowledgeRequest) -> Result<v1::Credit> {
        let stage = v1::DeliveryStage::try_from(request.stage)
            .map_err(|_| Error::Invalid("stage: is not known here".to_owned()))?;
        self.0.acknowledge_stage(principal, &request.subscription_id, &request.cursor, stage)
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
        let available = self.acknowledged(signed_in(request.extensions())?, request.get_ref())?;
        Ok(Response::new(v1::AcknowledgeResponse { available: Some(available) }))
    }

    async fn acknowledge_stream(
        &self,
        request: Request<Streaming<v1::AcknowledgeRequest>>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        let principal = signed_in(request.extensions())?.clone();
        let mut requests = request.into_inner();
        let mut available = None;
        while let Some(request) = requests.message().await? {
            available = Some(self.acknowledged(&principal, &request)?);
        }
        Ok(Response::new(v1::AcknowledgeResponse { available }))
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
                within: principal.reach(),
                ..Filter::try_from(request.filter.unwrap_or_default())?
            },
            id_ends: None,
            drills: false,
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;
    use xueliang_proto::v1::alert_service_client::AlertServiceClient;

    use super::*;
    use crate::{
        rights::{Grant, PrincipalKind},
        testing::{Bench, Console, critical},
    };

    /// A console with room for one critical delivery, and the call over which it acknowledges.
    async fn console(
        bench: &Bench,
    ) -> (
        Console,
        mpsc::Sender<v1::AcknowledgeRequest>,
        tokio::task::JoinHandle<Result<Response<v1::AcknowledgeResponse>, Status>>,
    ) {
        let credit = v1::Credit { critical: 1, ..v1::Credit::default() };
        let mut console =
            bench.console("c", Subscribe { credit: Some(credit), ..Subscribe::default() }).await;
        console.item().await;
        console.snapshot().await;
        let (messages, waiting) = mpsc::channel(4);
        let mut request = Request::new(ReceiverStream::new(waiting));
        request.extensions_mut().insert(Principal::new("c", PrincipalKind::Console));
        let mut client = AlertServiceClient::new(bench.bus.alert_service());
        let call = tokio::spawn(async move { client.acknowledge_stream(request).await });
        (console, messages, call)
    }

    fn of(console: &Console, cursor: bytes::Bytes) -> v1::AcknowledgeRequest {
        let subscription_id = console.stream.id().to_owned();
        v1::AcknowledgeRequest { subscription_id, cursor, ..v1::AcknowledgeRequest::default() }
    }

    #[tokio::test]
    async fn acknowledgements_over_one_call_make_room_one_by_one_and_the_first_wrong_one_ends_it() {
        let bench = Bench::new();
        let (mut console, messages, call) = console(&bench).await;
        bench.commit(&[critical(), critical(), critical()]).await;
        for _ in 0..3 {
            // Without the one before, there would be no room for it.
            let delivery = console.delivery().await;
            messages.send(of(&console, delivery.cursor)).await.unwrap();
        }
        messages.send(of(&console, "of another bus".into())).await.unwrap();
        let refused = call.await.unwrap().unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
        assert!(refused.message().starts_with("cursor: "), "{refused}");
    }

    #[tokio::test]
    async fn acknowledgements_over_one_call_are_answered_at_its_end_and_need_the_right_all_along() {
        let bench = Bench::new();
        let (mut console, messages, call) = console(&bench).await;
        bench.commit(&[critical()]).await;
        let delivery = console.delivery().await;
        messages.send(of(&console, delivery.cursor.clone())).await.unwrap();
        drop(messages);
        let answer = call.await.unwrap().unwrap().into_inner();
        assert_eq!(answer.available.unwrap().critical, 1);

        let (console, messages, call) = self::console(&bench).await;
        bench.bus.grant("c", Some(Grant { rights: [].into(), divisions: None, classes: None }));
        messages.send(of(&console, delivery.cursor)).await.unwrap();
        assert_eq!(call.await.unwrap().unwrap_err().code(), tonic::Code::PermissionDenied);
    }
}
