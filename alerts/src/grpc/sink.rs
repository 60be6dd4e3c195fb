//! `SinkService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, sink_service_server::SinkService};

use super::{alert_id, page_size, page_start, principal};
use crate::{
    error::{Error, Result},
    rights::{Principal, Right, check, check_sees},
    sink::Sinks,
    store::sinks::{LetterQuery, ShareQuery},
};

/// Dead letters that one call may name.
const MAX_LETTERS: usize = 1000;

/// `SinkService` over the sinks.
pub struct SinkApi(pub(super) Sinks);

/// The text, if it is not too long and holds nothing but ASCII letters, digits and these.
fn word(field: &str, text: &str, more: &str, bytes: std::ops::RangeInclusive<usize>) -> Result<()> {
    if bytes.contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c)) {
        return Ok(());
    }
    let (least, most) = (bytes.start(), bytes.end());
    Err(Error::Invalid(format!(
        "{field}: use {least} to {most} characters out of a-z, A-Z, 0-9 and {more:?}: it is a number, not a note"
    )))
}

/// A report as it may be kept: in its principal's name, and without a word of free text.
fn report(
    principal: &Principal,
    request: v1::ReportExternalStateRequest,
) -> Result<(v1::ExternalState, String)> {
    let invalid = |text: &str| Error::Invalid(text.to_owned());
    let key = request.idempotency_key;
    if !(1..=128).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid("idempotency_key: use 1 to 128 printable ASCII characters without spaces"));
    }
    let state = request.state.ok_or_else(|| invalid("state: is missing"))?;
    let alert = alert_id(&state.alert_id)?;
    word("state.system", &state.system, "._-", 1..=64)?;
    word("state.case_id", &state.case_id, "._-/:", 0..=64)?;
    if matches!(v1::ExternalStage::try_from(state.stage), Err(_) | Ok(v1::ExternalStage::Unspecified)) {
        return Err(invalid("state.stage: must be set to one that is known here"));
    }
    v1::ExternalReason::try_from(state.reason).map_err(|_| invalid("state.reason: is not known here"))?;
    if state.at_unix_us <= 0 {
        return Err(invalid("state.at_unix_us: must be set, in microseconds since 1970"));
    }
    let kept = v1::ExternalState {
        alert_id: alert.to_string(),
        principal: principal.name.clone(),
        reported_unix_us: 0,
        ..state
    };
    Ok((kept, key))
}

fn optional(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[tonic::async_trait]
impl SinkService for SinkApi {
    async fn list_sinks(
        &self,
        request: Request<v1::ListSinksRequest>,
    ) -> Result<Response<v1::ListSinksResponse>, Status> {
        let principal = principal(self.0.bus(), request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let mut sinks = Vec::new();
        for one in self.0.all().iter().filter(|one| principal.owns(&one.spec.filter.divisions)) {
            let spec = &one.spec;
            let counts = *one.counts();
            let lag = self.0.lag(&spec.name).await?;
            let host = spec.url.host_str().unwrap_or_default();
            let port = spec.url.port_or_known_default().unwrap_or_default();
            let time = |wall: Option<xueliang_base::time::Wall>| wall.map_or(0, |wall| wall.0);
            sinks.push(v1::Sink {
                name: spec.name.clone(),
                host: format!("{host}:{port}"),
                content: spec.content().into(),
                waiting: lag.waiting,
                oldest_waiting_unix_us: lag.oldest_unix_us,
                last_taken_unix_us: time(counts.last_taken),
                failures: counts.failures,
                fault: counts.fault.map_or(v1::ShareFault::Unspecified, v1::ShareFault::from).into(),
                next_try_unix_us: time(counts.next_try),
                dead_letters: self.0.dead_letters(&spec.name).await?,
            });
        }
        Ok(Response::new(v1::ListSinksResponse { sinks }))
    }

    async fn list_shares(
        &self,
        request: Request<v1::ListSharesRequest>,
    ) -> Result<Response<v1::ListSharesResponse>, Status> {
        let principal = principal(self.0.bus(), request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = ShareQuery {
            alert: optional(request.alert_id).map(|id| alert_id(&id)).transpose()?,
            sink: optional(request.sink),
            from_us: request.from_unix_us,
            to_us: Some(request.to_unix_us).filter(|to| *to != 0),
            within: principal.reach(),
            before_exclusive: page_start(&request.page_token)?,
            limit,
        };
        let shares = self.0.bus().store().list_shares(query).await?;
        let next = shares.last().filter(|_| shares.len() == limit).map(|one| one.share_id.to_string());
        Ok(Response::new(v1::ListSharesResponse { shares, next_page_token: next.unwrap_or_default() }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let principal = principal(self.0.bus(), request.extensions())?;
        check(&principal, Right::ReadRegister)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = LetterQuery {
            sink: optional(request.sink),
            with_settled: request.with_settled,
            within: principal.reach(),
            before_exclusive: page_start(&request.page_token)?,
            limit,
        };
        let letters = self.0.bus().store().list_letters(query).await?;
        let next = letters.last().filter(|_| letters.len() == limit).map(|one| one.letter_id.to_string());
        Ok(Response::new(v1::ListDeadLettersResponse { letters, next_page_token: next.unwrap_or_default() }))
    }

    async fn retry_dead_letters(
        &self,
        request: Request<v1::RetryDeadLettersRequest>,
    ) -> Result<Response<v1::RetryDeadLettersResponse>, Status> {
        let principal = principal(self.0.bus(), request.extensions())?;
        check(&principal, Right::RunSinks)?;
        let request = request.into_inner();
        if request.letter_ids.len() > MAX_LETTERS {
            let count = request.letter_ids.len();
            let fault = format!("letter_ids: {count} are more than the {MAX_LETTERS} allowed");
            return Err(Error::Invalid(fault).into());
        }
        let count = self.0.retry(&request.sink, request.letter_ids, &principal).await?;
        Ok(Response::new(v1::RetryDeadLettersResponse { count }))
    }

    async fn report_external_state(
        &self,
        request: Request<v1::ReportExternalStateRequest>,
    ) -> Result<Response<v1::ReportExternalStateResponse>, Status> {
        let principal = principal(self.0.bus(), request.extensions())?;
        check(&principal, Right::ReportExternal)?;
        let (state, key) = report(&principal, request.into_inner())?;
        check_sees(&**self.0.bus().store(), &principal, alert_id(&state.alert_id)?).await?;
        let (state, duplicate) = self.0.bus().store().report_external(state, key).await?;
        Ok(Response::new(v1::ReportExternalStateResponse { state: Some(state), duplicate }))
    }

    async fn list_external_states(
        &self,
        request: Request<v1::ListExternalStatesRequest>,
    ) -> Result<Response<v1::ListExternalStatesResponse>, Status> {
        let principal = principal(self.0.bus(), request.extensions())?;
        check(&principal, Right::ReadAlerts)?;
        let alert = alert_id(&request.into_inner().alert_id)?;
        check_sees(&**self.0.bus().store(), &principal, alert).await?;
        let states = self.0.bus().store().list_external(alert).await?;
        Ok(Response::new(v1::ListExternalStatesResponse { states }))
    }
}
