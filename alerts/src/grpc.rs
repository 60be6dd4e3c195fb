//! The services. A handler reads its request, asks who calls, calls the bus, and answers; it decides nothing.
//!
//! [`Guard`] stands before all of them: it asks the listener who calls, holds that against the rule of the call (`rule.rs`, one
//! table for all), and puts the [`Principal`] into the request's extensions. Error kinds become gRPC codes here and
//! nowhere else.

mod account;
mod alert;
mod camera;
mod case;
#[cfg(any(test, feature = "matrix"))]
pub mod cell;
mod clock;
mod custodian;
mod delivery;
mod disclosure;
mod drill;
mod duty;
mod encoded;
mod evidence;
mod explain;
mod filing;
mod guard;
mod handler;
#[cfg(test)]
mod matrix;
mod node;
mod origin;
#[cfg(test)]
mod pixels;
mod retention;
mod rule;
#[cfg(test)]
mod scope;
mod sink;
mod statistics;
mod suppression;
mod tuning;
mod vocabulary;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
pub(crate) use tonic::{Code, Status};
use tonic::{Extensions, transport::Server};
#[cfg(test)]
pub(crate) use tonic::{Request, Response};
use xueliang_base::error::ErrorKind;
use xueliang_proto::v1::{
    account_service_server::AccountServiceServer, camera_service_server::CameraServiceServer,
    case_service_server::CaseServiceServer, clock_service_server::ClockServiceServer,
    custodian_service_server::CustodianServiceServer, delivery_service_server::DeliveryServiceServer,
    disclosure_service_server::DisclosureServiceServer, division_service_server::DivisionServiceServer,
    drill_service_server::DrillServiceServer, duty_service_server::DutyServiceServer,
    evidence_service_server::EvidenceServiceServer, explain_service_server::ExplainServiceServer,
    filing_service_server::FilingServiceServer, handler_service_server::HandlerServiceServer,
    link_service_server::LinkServiceServer, node_service_server::NodeServiceServer,
    retention_service_server::RetentionServiceServer, rule_service_server::RuleServiceServer,
    sink_service_server::SinkServiceServer, statistics_service_server::StatisticsServiceServer,
    suppression_service_server::SuppressionServiceServer, vocabulary_service_server::VocabularyServiceServer,
};

pub use self::{
    account::AccountApi,
    alert::AlertApi,
    camera::CameraApi,
    case::CaseApi,
    clock::ClockApi,
    custodian::CustodianApi,
    delivery::DeliveryApi,
    disclosure::DisclosureApi,
    drill::DrillApi,
    duty::{DivisionApi, DutyApi},
    encoded::AlertServer,
    evidence::EvidenceApi,
    explain::ExplainApi,
    filing::FilingApi,
    guard::Guard,
    handler::{HandlerApi, LinkApi},
    node::NodeApi,
    retention::RetentionApi,
    sink::SinkApi,
    statistics::StatisticsApi,
    suppression::SuppressionApi,
    tuning::RuleApi,
    vocabulary::VocabularyApi,
};
use crate::{
    account::Accounts,
    assignment::Assignment,
    bus::Bus,
    error::{Error, Result},
    evidence::MAX_PIECE_BYTES,
    link::photo::MOST_BYTES,
    rights::Principal,
    sink::Sinks,
    tuning::RuleBook,
};

/// Bytes of a request: 256 alerts of a few KiB each, and room.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// Bytes of what comes from nobody whom a session names: one photo, and room.
const MAX_PHOTO_REQUEST_BYTES: usize = MOST_BYTES + (64 << 10);
/// Bytes of an answer: a page of alerts, a preview, a still.
const MAX_RESPONSE_BYTES: usize = MAX_PIECE_BYTES + (1 << 20);

/// A server for consoles. A connection whose other end is gone without a word is found within 10 s.
pub fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(4)))
        .http2_keepalive_timeout(Some(Duration::from_secs(4)))
}

impl Bus {
    /// Publish, subscribe, acknowledge, list, get.
    pub fn alert_service(&self) -> AlertServer {
        AlertServer::new(self.clone())
    }
    /// Contacts of custodians.
    pub fn custodian_service(&self) -> CustodianServiceServer<CustodianApi> {
        CustodianServiceServer::new(CustodianApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Points and their filings.
    pub fn filing_service(&self) -> FilingServiceServer<FilingApi> {
        FilingServiceServer::new(FilingApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Which consoles got an alert.
    pub fn delivery_service(&self) -> DeliveryServiceServer<DeliveryApi> {
        DeliveryServiceServer::new(DeliveryApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Stills, previews, clips, the register.
    pub fn evidence_service(&self) -> EvidenceServiceServer<EvidenceApi> {
        EvidenceServiceServer::new(EvidenceApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Public releases, requests of those concerned.
    pub fn disclosure_service(&self) -> DisclosureServiceServer<DisclosureApi> {
        DisclosureServiceServer::new(DisclosureApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// How evidence is kept, held and deleted.
    pub fn retention_service(&self) -> RetentionServiceServer<RetentionApi> {
        RetentionServiceServer::new(RetentionApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Cameras as reported.
    pub fn camera_service(&self) -> CameraServiceServer<CameraApi> {
        CameraServiceServer::new(CameraApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// What people do with alerts.
    pub fn case_service(&self) -> CaseServiceServer<CaseApi> {
        CaseServiceServer::new(CaseApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Drills.
    pub fn drill_service(&self) -> DrillServiceServer<DrillApi> {
        DrillServiceServer::new(DrillApi(self.clone())).max_decoding_message_size(MAX_REQUEST_BYTES)
    }
    /// Handlers' links, for those on duty.
    pub fn link_service(&self) -> LinkServiceServer<LinkApi> {
        LinkServiceServer::new(LinkApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// What was raised, and what people made of it.
    pub fn statistics_service(&self) -> StatisticsServiceServer<StatisticsApi> {
        StatisticsServiceServer::new(StatisticsApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// What cameras did and what their rules said.
    pub fn explain_service(&self) -> ExplainServiceServer<ExplainApi> {
        ExplainServiceServer::new(ExplainApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// What cameras watch for, as `book` keeps it.
    pub fn rule_service(&self, book: Arc<dyn RuleBook>) -> RuleServiceServer<RuleApi> {
        RuleServiceServer::new(RuleApi { bus: self.clone(), book })
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Steps of wall clocks.
    pub fn clock_service(&self) -> ClockServiceServer<ClockApi> {
        ClockServiceServer::new(ClockApi(self.clone())).max_decoding_message_size(MAX_REQUEST_BYTES)
    }
    /// Silences, and what was suppressed.
    pub fn suppression_service(&self) -> SuppressionServiceServer<SuppressionApi> {
        SuppressionServiceServer::new(SuppressionApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// The division tree.
    pub fn division_service(&self) -> DivisionServiceServer<DivisionApi> {
        DivisionServiceServer::new(DivisionApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Duty rules, the roster, who is responsible.
    pub fn duty_service(&self) -> DutyServiceServer<DutyApi> {
        DutyServiceServer::new(DutyApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// The words that people read.
    pub fn vocabulary_service(&self) -> VocabularyServiceServer<VocabularyApi> {
        VocabularyServiceServer::new(VocabularyApi(self.clone())).max_decoding_message_size(MAX_REQUEST_BYTES)
    }
    /// For nodes: the newest assignment and each that follows (`None` until there is one), reports, evidence.
    /// A node's principal bears the node's id as its name.
    pub fn node_service(
        &self,
        assignments: watch::Receiver<Option<Assignment>>,
    ) -> NodeServiceServer<NodeApi> {
        NodeServiceServer::new(NodeApi { bus: self.clone(), assignments })
            .max_decoding_message_size(MAX_RESPONSE_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
}

impl Accounts {
    /// Accounts, sessions and one-time tokens.
    pub fn service(&self) -> AccountServiceServer<AccountApi> {
        AccountServiceServer::new(AccountApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// What handlers' links open.
    pub fn handler_service(&self) -> HandlerServiceServer<HandlerApi> {
        HandlerServiceServer::new(HandlerApi::new(self))
            .max_decoding_message_size(MAX_PHOTO_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
}

impl Sinks {
    /// Sinks, the share ledger, dead letters, reports of other systems.
    pub fn service(&self) -> SinkServiceServer<SinkApi> {
        SinkServiceServer::new(SinkApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
}

/// Who calls, as it is held to now.
fn principal(bus: &Bus, extensions: &Extensions) -> Result<Principal> {
    signed_in(extensions).map(|one| bus.rights().of(one))
}

/// Who calls, with what it signed in with: for what asks [`crate::rights::Rights`] itself.
fn signed_in(extensions: &Extensions) -> Result<&Principal> {
    extensions.get::<Principal>().ok_or(Error::Unauthenticated)
}

/// The one place where error kinds become codes.
pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidInput => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Exhausted => Code::ResourceExhausted,
        ErrorKind::Deadline => Code::DeadlineExceeded,
        ErrorKind::DataLoss => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut status = Status::new(code(error.kind()), error.to_string());
        if let Error::TooMany { retry_after, .. } = error {
            // As gRPC's retry design names it (A6): stock clients that retry by themselves wait so long.
            let wait = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            status.metadata_mut().insert("grpc-retry-pushback-ms", wait.into());
        }
        status
    }
}

/// A page's size: `asked`, 100 for 0, refused above 1000.
fn page_size(asked: u32) -> Result<usize> {
    match asked {
        0 => Ok(100),
        1..=1000 => Ok(asked as usize),
        _ => Err(Error::Invalid(format!("page_size: {asked} is more than the 1000 that are allowed"))),
    }
}

/// Where a page begins, from its token.
fn page_start(token: &str) -> Result<Option<u64>> {
    match token {
        "" => Ok(None),
        token => {
            let before = token.parse().map(Some);
            before.map_err(|_| Error::Invalid("page_token: use one from an earlier answer".to_owned()))
        }
    }
}

fn alert_id(text: &str) -> Result<xueliang_base::id::AlertId> {
    text.parse().map_err(|fault| Error::Invalid(format!("alert_id: {fault}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_does_too_much_is_told_when_to_come_again() {
        let error = Error::TooMany { message: "slower".into(), retry_after: Duration::from_micros(500_999) };
        let status = Status::from(error);
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "slower"));
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "501");
    }
}
