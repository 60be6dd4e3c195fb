//! What the store keeps of filings: each point as it was filed, append-only.

use xueliang_base::id::CameraId;
use xueliang_proto::v1;

use super::{Answer, AuditEntry};

/// Which filings to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct FilingQuery {
    /// Of this camera; `None`: of all.
    pub camera: Option<CameraId>,
    /// Only those before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Filings of points.
pub trait FilingStore {
    /// The latest filing of each camera.
    fn latest_filings(&self) -> Answer<Vec<v1::Filing>>;
    /// Filings, newest first.
    fn filings(&self, query: FilingQuery) -> Answer<Vec<v1::Filing>>;
    /// Keeps filings and audits them, together. The store sets their numbers and when they were noted.
    fn file_points(&self, filings: Vec<v1::Filing>, audit: AuditEntry) -> Answer<()>;
}
