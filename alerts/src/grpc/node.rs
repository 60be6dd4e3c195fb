//! `NodeService`.

use std::{future::ready, pin::Pin};

use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio_stream::{Stream, wrappers::WatchStream};
use tonic::{Extensions, Request, Response, Status};
use xueliang_base::{time::Wall, wall_step::WallStep};
use xueliang_proto::v1::{self, node_service_server::NodeService};

use super::{alert_id, principal};
use crate::{
    assignment::Assignment,
    board::MAX_CAMERAS,
    bus::Bus,
    error::{Error, Result},
    explain::Takes,
    rights::{Principal, Right, check},
    store::ListQuery,
};

/// Active alerts told to a node that adopts them: more than its rules can hold at once.
const MAX_ACTIVE: usize = 100_000;

/// Steps of its wall clock that one report may tell of.
pub const MAX_STEPS: usize = 64;

/// `NodeService` over the bus.
pub struct NodeApi {
    pub(crate) bus: Bus,
    pub(crate) assignments: watch::Receiver<Option<Assignment>>,
}

/// The node that calls; it may speak for itself only.
fn node(bus: &Bus, extensions: &Extensions, node_id: Option<&str>) -> Result<Principal> {
    let principal = principal(bus, extensions)?;
    check(&principal, Right::RunNode)?;
    match node_id {
        Some(id) if id != principal.name => Err(Error::Forbidden(format!(
            "{} speaks for node {id:?}: it may speak for itself only",
            principal.name
        ))),
        _ => Ok(principal),
    }
}

impl From<Assignment> for v1::AttachResponse {
    fn from(assignment: Assignment) -> Self {
        let credential = |(name, secret): (String, crate::assignment::Secret)| {
            (name, v1::Credential { user: secret.user, password: secret.password })
        };
        Self {
            config_revision: assignment.revision.0,
            config_json: assignment.config_json,
            credentials: assignment.credentials.into_iter().map(credential).collect(),
            ..Self::default()
        }
    }
}

#[tonic::async_trait]
impl NodeService for NodeApi {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::AttachResponse, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<v1::AttachRequest>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let principal = node(&self.bus, request.extensions(), Some(&request.get_ref().node_id))?;
        tracing::info!(node = principal.name, version = request.get_ref().version, "node attached");
        let assignments = WatchStream::new(self.assignments.clone());
        let answers = assignments.filter_map(|one| ready(one.map(v1::AttachResponse::from))).map(Ok);
        let v1::AttachRequest { explains, connects, pictures, trials, .. } = *request.get_ref();
        if !explains && !pictures && !trials {
            return Ok(Response::new(answers.boxed()));
        }
        let takes = Takes { explains, connects, pictures, trials };
        let questions = self.bus.explainer().attach(&principal.name, takes).map(Ok);
        // It ends with the assignments: questions may always come.
        let assignments = answers.map(Some).chain(stream::once(ready(None)));
        let all = stream::select(assignments, questions.map(Some));
        Ok(Response::new(all.take_while(|one| ready(one.is_some())).filter_map(ready).boxed()))
    }

    async fn answer_explain(
        &self,
        request: Request<v1::AnswerExplainRequest>,
    ) -> Result<Response<v1::AnswerExplainResponse>, Status> {
        let principal = node(&self.bus, request.extensions(), Some(&request.get_ref().node_id))?;
        self.bus.explainer().answer(&principal.name, request.into_inner());
        Ok(Response::new(v1::AnswerExplainResponse {}))
    }

    async fn answer_picture(
        &self,
        request: Request<v1::AnswerPictureRequest>,
    ) -> Result<Response<v1::AnswerPictureResponse>, Status> {
        let principal = node(&self.bus, request.extensions(), Some(&request.get_ref().node_id))?;
        self.bus.explainer().answer_picture(&principal.name, request.into_inner());
        Ok(Response::new(v1::AnswerPictureResponse {}))
    }

    async fn answer_trial(
        &self,
        request: Request<v1::AnswerTrialRequest>,
    ) -> Result<Response<v1::AnswerTrialResponse>, Status> {
        let principal = node(&self.bus, request.extensions(), Some(&request.get_ref().node_id))?;
        self.bus.explainer().answer_trial(&principal.name, request.into_inner());
        Ok(Response::new(v1::AnswerTrialResponse {}))
    }

    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let principal = node(&self.bus, request.extensions(), Some(&request.get_ref().node_id))?;
        let report = request.into_inner();
        if report.cameras.len() > MAX_CAMERAS {
            let count = report.cameras.len();
            return Err(
                Error::Invalid(format!("{count} cameras are more than the {MAX_CAMERAS} allowed")).into()
            );
        }
        if report.clock_steps.len() > MAX_STEPS {
            let count = report.clock_steps.len();
            return Err(
                Error::Invalid(format!("{count} clock steps are more than the {MAX_STEPS} allowed")).into()
            );
        }
        let steps: Vec<WallStep> = report
            .clock_steps
            .iter()
            .map(|step| WallStep { at: Wall(step.at_unix_us), by_us: step.by_us })
            .collect();
        // The report first: a store that fails must not make its node look silent. The node tells its steps again.
        self.bus.board().report(&principal.name, report);
        for step in steps {
            self.bus.store().add_clock_step(principal.name.clone(), step).await?;
        }
        Ok(Response::new(v1::ReportResponse {}))
    }

    async fn put_evidence(
        &self,
        request: Request<v1::PutEvidenceRequest>,
    ) -> Result<Response<v1::PutEvidenceResponse>, Status> {
        node(&self.bus, request.extensions(), None)?;
        let request = request.into_inner();
        let alert = alert_id(&request.alert_id)?;
        let facts = request.evidence.ok_or_else(|| Error::Invalid("evidence: must be set".to_owned()))?;
        let refusal = self.bus.evidence().put(alert, facts, request.data).await?;
        Ok(Response::new(v1::PutEvidenceResponse { refusal: refusal.unwrap_or_default() }))
    }

    async fn list_active(
        &self,
        request: Request<v1::ListActiveRequest>,
    ) -> Result<Response<v1::ListActiveResponse>, Status> {
        let principal = node(&self.bus, request.extensions(), Some(&request.get_ref().node_id))?;
        let query = ListQuery {
            firing: Some(true),
            publisher: Some(principal.name),
            limit: MAX_ACTIVE,
            ..ListQuery::default()
        };
        let rows = self.bus.store().list(query).await?;
        let alerts = rows.iter().filter_map(|row| row.record.alert.clone()).collect();
        Ok(Response::new(v1::ListActiveResponse { alerts }))
    }
}
