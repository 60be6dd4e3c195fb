//! `RetentionService`.

use tonic::{Request, Response, Status};
use xueliang_base::{alert::EvidenceKind, id::AlertId, time::Wall};
use xueliang_proto::v1::{self, retention_service_server::RetentionService};

use super::{alert_id, page_size, page_start, principal};
use crate::{
    bus::Bus,
    error::Result,
    evidence::NoRoom,
    rights::{Right, check},
    store::{CertificateQuery, HoldQuery},
};

/// `RetentionService` over the gateway.
pub struct RetentionApi(pub(crate) Bus);

/// An alert where one is named.
fn one_alert(text: &str) -> Result<Option<AlertId>> {
    if text.is_empty() { Ok(None) } else { alert_id(text).map(Some) }
}

/// A time where one is set.
fn time(unix_us: i64) -> Option<Wall> {
    (unix_us != 0).then_some(Wall(unix_us))
}

/// Where the next page begins; empty after the last.
fn next_page<T>(page: &[T], limit: usize, id: impl Fn(&T) -> u64) -> String {
    page.last().filter(|_| page.len() == limit).map_or_else(String::new, |one| id(one).to_string())
}

#[tonic::async_trait]
impl RetentionService for RetentionApi {
    async fn get_retention(
        &self,
        request: Request<v1::GetRetentionRequest>,
    ) -> Result<Response<v1::GetRetentionResponse>, Status> {
        check(&principal(&self.0, request.extensions())?, Right::ReadRegister)?;
        let evidence = self.0.evidence();
        let (usage, floors) = (evidence.usage().await?, evidence.floors());
        let kinds = EvidenceKind::ALL.into_iter().zip(usage.kinds).map(|(kind, (bytes, pieces))| {
            let refused = |why| evidence.refusals().of(kind, why);
            v1::EvidenceSpace {
                kind: v1::EvidenceKind::from(kind).into(),
                bytes,
                pieces,
                refused_budget: refused(NoRoom::Budget),
                refused_reserve: refused(NoRoom::Reserve),
            }
        });
        Ok(Response::new(v1::GetRetentionResponse {
            used_bytes: usage.used_bytes,
            max_bytes: usage.max_bytes,
            room_bytes: usage.room_bytes,
            used_share: usage.share(),
            days_left: usage.days_left,
            disk_free_bytes: usage.disk_free_bytes,
            reserve_bytes: usage.reserve_bytes,
            keep_days: floors.keep_days,
            key_point_days: floors.key_point_days,
            key_points: u32::try_from(floors.key_points).unwrap_or(u32::MAX),
            held_alerts: usage.held_alerts,
            kinds: kinds.collect(),
        }))
    }

    async fn list_certificates(
        &self,
        request: Request<v1::ListCertificatesRequest>,
    ) -> Result<Response<v1::ListCertificatesResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = CertificateQuery {
            alert: one_alert(&request.alert_id)?,
            from_inclusive: time(request.from_unix_us),
            to_exclusive: time(request.to_unix_us),
            within: principal.reach(),
            before_exclusive: page_start(&request.page_token)?,
            limit,
        };
        let certificates = self.0.store().certificates(query).await?;
        let next_page_token = next_page(&certificates, limit, |one| one.certificate_id);
        Ok(Response::new(v1::ListCertificatesResponse { certificates, next_page_token }))
    }

    async fn set_legal_hold(
        &self,
        request: Request<v1::SetLegalHoldRequest>,
    ) -> Result<Response<v1::SetLegalHoldResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let alert = alert_id(&request.alert_id)?;
        let (hold, pieces) = self.0.evidence().hold(&principal, alert, &request.reason).await?;
        Ok(Response::new(v1::SetLegalHoldResponse { hold: Some(hold), pieces }))
    }

    async fn lift_legal_hold(
        &self,
        request: Request<v1::LiftLegalHoldRequest>,
    ) -> Result<Response<v1::LiftLegalHoldResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let hold = self.0.evidence().lift(&principal, request.hold_id, &request.reason).await?;
        Ok(Response::new(v1::LiftLegalHoldResponse { hold: Some(hold) }))
    }

    async fn list_legal_holds(
        &self,
        request: Request<v1::ListLegalHoldsRequest>,
    ) -> Result<Response<v1::ListLegalHoldsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = HoldQuery {
            alert: one_alert(&request.alert_id)?,
            lifted_too: request.lifted_too,
            within: principal.reach(),
            before_exclusive: page_start(&request.page_token)?,
            limit,
        };
        let holds = self.0.store().holds(query).await?;
        let next_page_token = next_page(&holds, limit, |one| one.hold_id);
        Ok(Response::new(v1::ListLegalHoldsResponse { holds, next_page_token }))
    }
}
