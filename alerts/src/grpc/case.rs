//! `CaseService`.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};
use xueliang_base::{id::AlertId, time::Wall};
use xueliang_proto::v1::{self, case_service_server::CaseService};

use super::{alert_id, page_size, principal};
use crate::{
    bus::Bus,
    case::{fact::Reason, wire},
    error::{Error, Result},
    filter::Filter,
    store::{CasePage, CaseQuery, MOST_COUNTED},
};

/// Digits of a case's number that say its place and day, to all of them.
const NUMBER: std::ops::RangeInclusive<usize> = 20..=29;

/// Alerts that one call may name.
const MOST_ALERTS: usize = 200;

/// `CaseService` over the bus.
pub struct CaseApi(pub(crate) Bus);

/// A time where one is set.
fn time(unix_us: i64) -> Option<Wall> {
    (unix_us != 0).then_some(Wall(unix_us))
}

/// Where the next page begins: when its case was opened, and its number or, untouched, its alert.
fn page_start(token: &str) -> Result<Option<(Wall, String)>> {
    if token.is_empty() {
        return Ok(None);
    }
    let parts = token.split_once('/').and_then(|(at, key)| Some((Wall(at.parse().ok()?), key.to_owned())));
    parts.map(Some).ok_or_else(|| Error::Invalid("page_token: use one from an earlier answer".to_owned()))
}

fn page_end(case: &v1::Case) -> String {
    let alert = || case.subject.as_ref().map(|subject| subject.alert_id.clone()).unwrap_or_default();
    let key = if case.number.is_empty() { alert() } else { case.number.clone() };
    format!("{}/{key}", case.opened_unix_us)
}

/// Reasons that are asked for, of whichever sort.
fn reasons(request: &v1::ListCasesRequest) -> Result<Vec<Reason>> {
    let mut all = Vec::new();
    for number in &request.false_alarm_reasons {
        all.push(Reason::False(wire::set(*number, "false_alarm_reasons")?));
    }
    for number in &request.not_accepted_reasons {
        all.push(Reason::NotAccepted(wire::set(*number, "not_accepted_reasons")?));
    }
    for number in &request.cancel_reasons {
        all.push(Reason::Cancel(wire::set(*number, "cancel_reasons")?));
    }
    Ok(all)
}

/// A case's number, or its beginning with place and day.
fn number(text: String) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    if !NUMBER.contains(&text.len()) || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Error::Invalid("number: give 20 to 29 digits, place and day at least".to_owned()));
    }
    Ok(Some(text))
}

/// The alerts of which cases are asked for, each once.
fn alerts(ids: &[String]) -> Result<Vec<AlertId>> {
    if ids.len() > MOST_ALERTS {
        return Err(Error::Invalid(format!("alert_ids: at most {MOST_ALERTS} alerts in one call")));
    }
    let all: BTreeSet<AlertId> = ids.iter().map(|id| alert_id(id)).collect::<Result<_>>()?;
    Ok(all.into_iter().collect())
}

#[tonic::async_trait]
impl CaseService for CaseApi {
    async fn list_cases(
        &self,
        request: Request<v1::ListCasesRequest>,
    ) -> Result<Response<v1::ListCasesResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let states = request.states.iter().map(|number| wire::state(*number)).collect::<Result<_>>()?;
        let levels =
            request.levels.iter().map(|number| wire::level(*number, "levels")).collect::<Result<_>>()?;
        let flags = request.flags.iter().map(|number| wire::set(*number, "flags")).collect::<Result<_>>()?;
        let limit = page_size(request.page_size)?;
        let query = CaseQuery {
            filter: Filter::try_from(request.filter.clone().unwrap_or_default())?,
            levels,
            states,
            flags,
            reasons: reasons(&request)?,
            number: number(request.number)?,
            alerts: alerts(&request.alert_ids)?,
            from_inclusive: time(request.from_unix_us),
            to_exclusive: time(request.to_unix_us),
            only_misses: request.only_misses,
            before_exclusive: page_start(&request.page_token)?,
            limit,
            with_total: request.with_total,
        };
        let CasePage { cases, total } = self.0.cases(&principal, query).await?;
        let next = cases.last().filter(|_| cases.len() == limit).map(page_end);
        let total = total.unwrap_or(0);
        Ok(Response::new(v1::ListCasesResponse {
            cases,
            next_page_token: next.unwrap_or_default(),
            total: u32::try_from(total.min(MOST_COUNTED)).unwrap_or(u32::MAX),
            total_is_more: total > MOST_COUNTED,
        }))
    }

    async fn get_case(
        &self,
        request: Request<v1::GetCaseRequest>,
    ) -> Result<Response<v1::GetCaseResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.case(&principal, request.into_inner().key).await?))
    }

    async fn claim_case(
        &self,
        request: Request<v1::ClaimCaseRequest>,
    ) -> Result<Response<v1::ClaimCaseResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let case = self.0.claim_case(&principal, request.into_inner()).await?;
        Ok(Response::new(v1::ClaimCaseResponse { case: Some(case) }))
    }

    async fn act_on_case(
        &self,
        request: Request<v1::ActOnCaseRequest>,
    ) -> Result<Response<v1::ActOnCaseResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let case = self.0.act_on_case(&principal, request.into_inner()).await?;
        Ok(Response::new(v1::ActOnCaseResponse { case: Some(case) }))
    }

    async fn report_manually(
        &self,
        request: Request<v1::ReportManuallyRequest>,
    ) -> Result<Response<v1::ReportManuallyResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let case = self.0.report_manually(&principal, request.into_inner()).await?;
        Ok(Response::new(v1::ReportManuallyResponse { case: Some(case) }))
    }
}

#[cfg(test)]
mod tests;
