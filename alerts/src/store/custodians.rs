//! What the store keeps of custodians: contacts as they were sealed. It has no key.

use xueliang_base::id::CameraId;

use super::{Answer, AuditEntry};
use crate::custodian::Sealed;

/// A custodian for a camera, or that it has none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutCustodian {
    /// The camera.
    pub camera: CameraId,
    /// Unit and sealed contact.
    pub custodian: Option<(String, Vec<u8>)>,
}

/// Custodians by camera. There is no history of them: a contact that is over is gone.
pub trait CustodianStore {
    /// All of them, by camera; no more than a town has cameras.
    fn custodians(&self) -> Answer<Vec<Sealed>>;
    /// That of a camera.
    fn custodian(&self, camera: CameraId) -> Answer<Option<Sealed>>;
    /// Puts custodians and audits it, together. Refuses more than `max` in all.
    fn put_custodians(&self, rows: Vec<PutCustodian>, max: usize, audit: AuditEntry) -> Answer<()>;
    /// Puts contacts that were sealed anew in the place of those before, and audits it, together.
    fn reseal_custodians(&self, rows: Vec<(CameraId, Vec<u8>)>, audit: AuditEntry) -> Answer<()>;
}
