//! `SuppressionService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, suppression_service_server::SuppressionService};

use super::{page_size, page_start, principal};
use crate::{
    bus::Bus,
    error::Error,
    filter::Filter,
    rights::{Right, check},
    store::{SilenceQuery, SuppressionQuery},
};

/// `SuppressionService` over the bus.
pub struct SuppressionApi(pub(crate) Bus);

#[tonic::async_trait]
impl SuppressionService for SuppressionApi {
    async fn create_silence(
        &self,
        request: Request<v1::CreateSilenceRequest>,
    ) -> Result<Response<v1::CreateSilenceResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let silence = self.0.create_silence(&principal, request.into_inner()).await?;
        Ok(Response::new(v1::CreateSilenceResponse { silence: Some(silence) }))
    }

    async fn expire_silence(
        &self,
        request: Request<v1::ExpireSilenceRequest>,
    ) -> Result<Response<v1::ExpireSilenceResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let silence = self.0.expire_silence(&principal, request.into_inner().silence_id).await?;
        Ok(Response::new(v1::ExpireSilenceResponse { silence: Some(silence) }))
    }

    async fn list_silences(
        &self,
        request: Request<v1::ListSilencesRequest>,
    ) -> Result<Response<v1::ListSilencesResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadAlerts)?;
        let request = request.into_inner();
        let query = SilenceQuery {
            with_ended: request.with_ended,
            within: principal.reach(),
            before_exclusive: page_start(&request.page_token)?,
            limit: page_size(request.page_size)?,
        };
        let limit = query.limit;
        let silences = self.0.store().silences(query).await?;
        let next = silences.last().filter(|_| silences.len() == limit).map(|one| one.silence_id.to_string());
        Ok(Response::new(v1::ListSilencesResponse { silences, next_page_token: next.unwrap_or_default() }))
    }

    async fn list_suppressed(
        &self,
        request: Request<v1::ListSuppressedRequest>,
    ) -> Result<Response<v1::ListSuppressedResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadAlerts)?;
        let request = request.into_inner();
        let moment = |us: i64| (us != 0).then_some(us);
        let query = SuppressionQuery {
            filter: Filter {
                within: principal.reach(),
                ..Filter::try_from(request.filter.unwrap_or_default())?
            },
            from_unix_us: moment(request.from_unix_us),
            to_unix_us: moment(request.to_unix_us),
            only_lasting: request.only_lasting,
            by: match request.by_alert_id.as_str() {
                "" => None,
                id => Some(id.parse().map_err(|error| Error::Invalid(format!("by_alert_id: {error}")))?),
            },
            before_exclusive: page_start(&request.page_token)?,
            limit: page_size(request.page_size)?,
        };
        let limit = query.limit;
        let suppressions = self.0.store().suppressions(query).await?;
        let last = suppressions.last().filter(|_| suppressions.len() == limit);
        let next = last.map(|one| one.suppression_id.to_string());
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListSuppressedResponse { suppressions, next_page_token }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Code;
    use xueliang_base::time::Clock as _;
    use xueliang_proto::v1::alert_service_server::AlertService as _;

    use super::*;
    use crate::{
        grpc::AlertApi,
        rights::{Principal, PrincipalKind},
        testing::{Bench, critical, minor},
    };

    fn by<T>(kind: PrincipalKind, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Principal::new("ana", kind));
        request
    }

    fn window(bench: &Bench, reason: &str) -> v1::CreateSilenceRequest {
        v1::CreateSilenceRequest {
            scope: Some(v1::SilenceScope { divisions: vec!["33".to_owned()], ..v1::SilenceScope::default() }),
            purpose: v1::SilencePurpose::Maintenance.into(),
            reason: reason.to_owned(),
            begin_unix_us: 0,
            end_unix_us: bench.clock.wall().plus(Duration::from_secs(600)).0,
        }
    }

    #[tokio::test]
    async fn what_was_suppressed_is_told_with_author_and_reason_and_every_change_is_audited() {
        let bench = Bench::new();
        let api = SuppressionApi(bench.bus.clone());
        let refused =
            api.create_silence(by(PrincipalKind::Console, window(&bench, "work"))).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = api.create_silence(by(PrincipalKind::Operator, window(&bench, "?"))).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let made = api.create_silence(by(PrincipalKind::Operator, window(&bench, "work on masts"))).await;
        let made = made.unwrap().into_inner().silence.unwrap();
        assert_eq!(made.author, "ana");

        let alerts = [minor(), critical(), minor()];
        bench.commit(&alerts).await;
        let list = v1::ListAlertsRequest::default();
        let answer = AlertApi(bench.bus.clone()).list_alerts(by(PrincipalKind::Console, list)).await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(answer.records.len(), 3);
        assert_eq!(answer.suppressed_alert_ids, [alerts[2].id.to_string(), alerts[0].id.to_string()]);

        let mut ask = v1::ListSuppressedRequest { page_size: 1, ..v1::ListSuppressedRequest::default() };
        for expected in [&alerts[2], &alerts[0]] {
            let page =
                api.list_suppressed(by(PrincipalKind::Console, ask.clone())).await.unwrap().into_inner();
            let [one] = &page.suppressions[..] else { panic!("{page:?}") };
            assert_eq!(one.alert_id, expected.id.to_string());
            assert_eq!(one.cause, Some(v1::suppression::Cause::Silence(made.clone())));
            assert_eq!((one.since_unix_us, one.until_unix_us, one.level), (bench.clock.wall().0, 0, 4));
            ask.page_token = page.next_page_token;
        }
        let page = api.list_suppressed(by(PrincipalKind::Console, ask.clone())).await.unwrap().into_inner();
        assert_eq!((page.suppressions.len(), page.next_page_token.as_str()), (0, ""));
        // By camera and by time.
        let now = bench.clock.wall().0;
        for (camera, from, to, found) in [("gate", now, now + 1, 2), ("pier", 0, 0, 0), ("gate", 0, now, 0)] {
            let filter = Some(v1::AlertFilter { camera_ids: vec![camera.to_owned()], ..Default::default() });
            let (from_unix_us, to_unix_us) = (from, to);
            let ask = v1::ListSuppressedRequest { filter, from_unix_us, to_unix_us, ..Default::default() };
            let page = api.list_suppressed(by(PrincipalKind::Console, ask)).await.unwrap().into_inner();
            assert_eq!(page.suppressions.len(), found, "{camera} {from} {to}");
        }

        bench.clock.advance(Duration::from_secs(60));
        let expire = v1::ExpireSilenceRequest { silence_id: made.silence_id };
        let refused = api.expire_silence(by(PrincipalKind::Console, expire)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        for _ in 0..2 {
            let ended = api.expire_silence(by(PrincipalKind::Operator, expire)).await.unwrap().into_inner();
            let ended = ended.silence.unwrap();
            assert_eq!((ended.expired_unix_us, ended.expired_by.as_str()), (now + 60_000_000, "ana"));
            bench.clock.advance(Duration::from_secs(1));
        }
        let unknown = v1::ExpireSilenceRequest { silence_id: 99 };
        let refused = api.expire_silence(by(PrincipalKind::Operator, unknown)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        for (with_ended, count) in [(false, 0), (true, 1)] {
            let ask = v1::ListSilencesRequest { with_ended, ..v1::ListSilencesRequest::default() };
            let page = api.list_silences(by(PrincipalKind::Console, ask)).await.unwrap().into_inner();
            assert_eq!(page.silences.len(), count);
        }
        let ask = v1::ListSuppressedRequest::default();
        let page = api.list_suppressed(by(PrincipalKind::Console, ask)).await.unwrap().into_inner();
        assert!(page.suppressions.iter().all(|one| one.until_unix_us == now + 60_000_000), "{page:?}");
        let audited = crate::store::tests::audited(bench.folder.path());
        let words: Vec<_> = audited.iter().map(|one| (one.0.as_str(), one.1.as_str())).collect();
        assert_eq!(words, [("ana", "silence_made"), ("ana", "silence_expired")]);
        assert!(audited[0].2.ends_with(": work on masts"), "{audited:?}");
    }

    #[tokio::test]
    async fn silences_that_have_not_ended_are_bounded() {
        let bench = Bench::new();
        let api = SuppressionApi(bench.bus.clone());
        for _ in 0..crate::silence::MOST {
            api.create_silence(by(PrincipalKind::Operator, window(&bench, "work on masts"))).await.unwrap();
        }
        let more = by(PrincipalKind::Operator, window(&bench, "work on masts"));
        assert_eq!(api.create_silence(more).await.unwrap_err().code(), Code::FailedPrecondition);
        assert_eq!(bench.bus.store().health().failures, 0);
        bench.clock.advance(Duration::from_secs(600));
        let more = by(PrincipalKind::Operator, window(&bench, "work on masts"));
        api.create_silence(more).await.unwrap();
    }
}
