//! The services. A handler reads its request, asks who calls, calls the bus, and answers; it decides nothing.
//!
//! The server puts a [`Principal`] into each request's extensions, by listener or by sign-in. Error kinds become
//! gRPC codes here and nowhere else.

mod alert;
mod camera;
mod clock;
mod evidence;
mod node;
mod suppression;

use tokio::sync::watch;
use tonic::{Code, Extensions, Status};
use xueliang_base::error::ErrorKind;
use xueliang_proto::v1::{
    alert_service_server::AlertServiceServer, camera_service_server::CameraServiceServer,
    clock_service_server::ClockServiceServer, evidence_service_server::EvidenceServiceServer,
    node_service_server::NodeServiceServer, suppression_service_server::SuppressionServiceServer,
};

pub use self::{
    alert::AlertApi, camera::CameraApi, clock::ClockApi, evidence::EvidenceApi, node::NodeApi,
    suppression::SuppressionApi,
};
use crate::{
    assignment::Assignment,
    bus::Bus,
    error::{Error, Result},
    evidence::MAX_PIECE_BYTES,
    rights::Principal,
};

/// Bytes of a request: 256 alerts of a few KiB each, and room.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// Bytes of an answer: a page of alerts, a preview, a still.
const MAX_RESPONSE_BYTES: usize = MAX_PIECE_BYTES + (1 << 20);

impl Bus {
    /// Publish, subscribe, acknowledge, list, get.
    pub fn alert_service(&self) -> AlertServiceServer<AlertApi> {
        AlertServiceServer::new(AlertApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Stills, previews, clips, the register.
    pub fn evidence_service(&self) -> EvidenceServiceServer<EvidenceApi> {
        EvidenceServiceServer::new(EvidenceApi(self.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }
    /// Cameras as reported.
    pub fn camera_service(&self) -> CameraServiceServer<CameraApi> {
        CameraServiceServer::new(CameraApi(self.clone()))
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

/// Who calls.
fn principal(extensions: &Extensions) -> Result<Principal> {
    extensions.get::<Principal>().cloned().ok_or(Error::Unauthenticated)
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
        Status::new(code(error.kind()), error.to_string())
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
