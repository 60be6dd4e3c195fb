//! Answers to single calls, for commands that people type: what was answered, or in the service's words why not.

use tonic::{Response, Status};

/// The service refuses a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the service refuses: {0}")]
pub struct Refused(String);

/// What a call answered.
pub fn told<T>(answer: Result<Response<T>, Status>) -> Result<T, Refused> {
    answer.map(Response::into_inner).map_err(|status| Refused(status.message().to_owned()))
}
