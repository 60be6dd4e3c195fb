//! What a database must do for retention: promises, holds, certificates, the space that evidence takes, and how far back
//! the feed reaches. SQL for it stands in `sqlite/retention.rs`.

use xueliang_base::{
    alert::{EvidenceKind, Sha256},
    id::{AlertId, CameraId},
    time::Wall,
};
use xueliang_proto::v1;

use super::{Answer, EvidenceRow};
use crate::{error::Result, reach::Reach};

/// Bytes of evidence on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvidenceBytes {
    /// Bytes and pieces kept of each kind, as [`EvidenceKind::ALL`] orders them.
    pub kinds: [(u64, u64); 3],
    /// Of it, bytes stored after the moment asked about.
    pub since: u64,
    /// Bytes whose promise ends on each of the coming days; those that are held excepted.
    pub leaving: Vec<u64>,
    /// Alerts whose evidence is held.
    pub held_alerts: u64,
}

/// A piece past what was promised for it, that nobody holds.
#[derive(Debug, Clone, PartialEq)]
pub struct DueEvidence {
    /// The piece.
    pub row: EvidenceRow,
    /// The camera of its alert.
    pub camera: String,
}

/// A proof that evidence was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The alert.
    pub alert: AlertId,
    /// What it was.
    pub kind: EvidenceKind,
    /// Of the bytes that are gone.
    pub sha256: Sha256,
    /// How many.
    pub size_bytes: u64,
    /// When it had been stored.
    pub stored: Wall,
    /// Until when it had been promised.
    pub promised: Wall,
    /// When the file was seen to be gone.
    pub deleted: Wall,
    /// How that was seen.
    pub proof: v1::DeletionProof,
}

/// Which certificates to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct CertificateQuery {
    /// Only of this alert.
    pub alert: Option<AlertId>,
    /// Only deletions at this time or later.
    pub from_inclusive: Option<Wall>,
    /// Only deletions before this time.
    pub to_exclusive: Option<Wall>,
    /// Only about alerts of these subtrees, whatever else is asked for; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
    /// Only certificates before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Which holds to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct HoldQuery {
    /// Only on this alert.
    pub alert: Option<AlertId>,
    /// Also those that were lifted.
    pub lifted_too: bool,
    /// Only about alerts of these subtrees, whatever else is asked for; `None`: of the whole town.
    pub within: Option<Vec<Reach>>,
    /// Only holds before this one.
    pub before_exclusive: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// How far back the feed reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feed {
    /// Records that it holds.
    pub records: u64,
    /// Commit of the oldest one; `None` while it is empty.
    pub oldest: Option<Wall>,
}

/// What a database must do for retention. Every write is on disk when its answer comes.
pub trait RetentionStore: Send + Sync + 'static {
    /// The camera of an alert; `None` when there is no such alert.
    fn camera_of(&self, alert: AlertId) -> Answer<Option<String>>;
    /// The path of the alert of a camera that changed last; `None` when it never had one.
    fn last_path_of(&self, camera: CameraId) -> Answer<Option<String>>;
    /// Bytes of evidence kept.
    fn evidence_kept(&self) -> Answer<u64>;
    /// What evidence takes, what of it was stored since a moment, and what leaves on each of the days after `now`.
    fn evidence_bytes(&self, since: Wall, now: Wall, days: u32) -> Answer<EvidenceBytes>;
    /// Evidence promised until before `now`, not deleted and not held, in this order, without the first `skip`. Each
    /// damaged row is an error by itself.
    fn evidence_due(&self, now: Wall, limit: usize, skip: usize) -> Answer<Vec<Result<DueEvidence>>>;
    /// Promises to keep a piece until then; never shortens what was promised.
    fn promise(&self, alert: AlertId, kind: EvidenceKind, keep_until: Wall) -> Answer<()>;
    /// Whether any kept piece has these bytes besides the one given.
    fn evidence_shared(&self, sha256: Sha256, alert: AlertId, kind: EvidenceKind) -> Answer<bool>;
    /// Marks evidence as deleted and keeps the certificate, together.
    fn certify(&self, certificate: Certificate) -> Answer<()>;
    /// Reads certificates, newest first.
    fn certificates(&self, query: CertificateQuery) -> Answer<Vec<v1::DeletionCertificate>>;
    /// Sets a hold and audits it, together; its `hold_id` is assigned. What the same principal holds already for the
    /// same reason is returned as it is. Refuses a hold beyond `max_in_force` of its alert, as invalid.
    fn set_hold(&self, hold: v1::LegalHold, max_in_force: u32) -> Answer<v1::LegalHold>;
    /// Lifts a hold and audits that, together; one that is lifted stays as it is. `None` when there is no such hold.
    fn lift_hold(&self, hold: u64, by: String, reason: String) -> Answer<Option<v1::LegalHold>>;
    /// Whether a hold on the alert's evidence is in force.
    fn held(&self, alert: AlertId) -> Answer<bool>;
    /// Reads holds, newest first.
    fn holds(&self, query: HoldQuery) -> Answer<Vec<v1::LegalHold>>;
    /// How far back the feed reaches.
    fn feed(&self) -> Answer<Feed>;
    /// Trims a bounded number of the oldest feed rows, as far as there are more than `max_records` and none within
    /// [`super::FEED_FLOOR`] of now. Returns how many.
    fn trim_to(&self, max_records: u64) -> Answer<u64>;
}
