//! The evidence gateway: the only code that returns pixels.
//!
//! Every call carries a principal and a purpose, and stands in the register, on disk, before its first byte
//! leaves. What is stored is checked against its checksum each time it is read. Nothing is deleted before its
//! time, and a deletion leaves a certificate. When space runs out, new evidence shrinks and old stays.

mod disclosure;
mod expiry;
pub(crate) mod files;
mod live;
pub(crate) mod proof;
pub(crate) mod reserve;
mod space;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::error;
use xueliang_base::{
    alert::{EvidenceKind, EvidenceRef, Sha256},
    id::AlertId,
    time::SharedClock,
};
use xueliang_proto::v1;

pub use self::{
    disclosure::ReleaseFiles,
    expiry::Floors,
    space::{NoRoom, Refusals, Usage},
};
use self::{files::Files, reserve::Reserve};
use crate::{
    error::{Error, Result},
    register,
    retention::Calendar,
    rights::{Principal, Right, check, check_sees},
    store::{EvidenceRow, Store},
};

/// Nothing is deleted before this many days.
pub const KEEP_DAYS_FLOOR: u32 = 30;
/// Nothing of a key point is deleted before this many days.
pub const KEY_POINT_DAYS: u32 = 90;
/// Bytes of one piece.
pub const MAX_PIECE_BYTES: usize = 64 << 20;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Clips on their way at once: each is held in memory as a whole, 64 MiB at most.
const CLIPS: usize = 4;

/// How evidence is kept.
#[derive(Debug, Clone)]
pub struct EvidenceOptions {
    /// Bytes it may take on disk.
    pub max_bytes: u64,
    /// Days before which nothing is deleted; at least [`KEEP_DAYS_FLOOR`].
    pub keep_days: u32,
    /// Cameras whose evidence is kept for [`KEY_POINT_DAYS`] at least.
    pub key_points: BTreeSet<String>,
    /// Bytes of the disk that evidence leaves free for record and spool; `None`: 5 % of the disk, at most 1 GB.
    pub reserve_bytes: Option<u64>,
    /// What the disk is taken to have free: a bound for tests of a disk that fills up.
    pub free_bytes: Option<Arc<AtomicU64>>,
}

impl Default for EvidenceOptions {
    fn default() -> Self {
        Self {
            max_bytes: 20 << 30,
            keep_days: KEEP_DAYS_FLOOR,
            key_points: BTreeSet::new(),
            reserve_bytes: None,
            free_bytes: None,
        }
    }
}

/// Who asks for what, and why.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which alert.
    pub alert: AlertId,
    /// Why.
    pub purpose: v1::Purpose,
    /// Why, of the pick list; unspecified: as the purpose says.
    pub call_reason: v1::CallReason,
    /// In words; for a clip 4 to 500 characters, or none where the reason says enough.
    pub reason: String,
}

/// A piece as it is given.
enum Piece {
    Still(Bytes),
    Preview(v1::PreviewBundle),
    /// One stretch, an MP4 file.
    Clip(Bytes),
}

impl Piece {
    /// Reads what a file holds; of a clip one stretch.
    fn read(kind: EvidenceKind, bytes: Bytes, stretch: usize) -> Result<Self> {
        let damaged = |_| Error::DataLoss(format!("the {} cannot be read", kind.word()));
        match kind {
            EvidenceKind::Still => Ok(Self::Still(bytes)),
            EvidenceKind::Preview => v1::PreviewBundle::decode(bytes).map(Self::Preview).map_err(damaged),
            EvidenceKind::Clip => {
                let mut bundle = v1::ClipBundle::decode(bytes).map_err(damaged)?;
                let count = bundle.files.len();
                if stretch >= count {
                    return Err(Error::NotFound(format!("the clip has {count} stretches, counted from 0")));
                }
                Ok(Self::Clip(bundle.files.swap_remove(stretch)))
            }
        }
    }
}

/// One stretch of original footage. As long as it lives it is one of the few that may be sent at once.
#[derive(Debug)]
pub struct Clip {
    /// Facts of the whole clip.
    pub facts: v1::EvidenceRef,
    /// The stretch, an MP4 file.
    pub mp4: Bytes,
    _slot: OwnedSemaphorePermit,
}

/// The gateway.
pub struct Evidence {
    store: Arc<dyn Store>,
    clock: SharedClock,
    options: EvidenceOptions,
    files: Files,
    reserve: Reserve,
    refusals: Refusals,
    calendar: Calendar,
    sweep_failures: AtomicU64,
    clips: Arc<Semaphore>,
    /// One piece at a time is let in, so that two cannot both take the last room.
    entry: tokio::sync::Mutex<()>,
}

impl Evidence {
    /// Opens the folder of evidence.
    pub fn open(
        folder: &Path,
        store: Arc<dyn Store>,
        clock: SharedClock,
        options: EvidenceOptions,
    ) -> Result<Self> {
        let options = EvidenceOptions { keep_days: options.keep_days.max(KEEP_DAYS_FLOOR), ..options };
        let files = Files::open(folder)?;
        Ok(Self {
            store,
            reserve: Reserve::new(options.reserve_bytes, options.free_bytes.clone()),
            options,
            files,
            refusals: Refusals::default(),
            calendar: Calendar::new(Arc::clone(&clock)),
            sweep_failures: 0.into(),
            clips: Arc::new(Semaphore::new(CLIPS)),
            clock,
            entry: tokio::sync::Mutex::default(),
        })
    }
    /// The date, as far as deleting may trust it.
    pub(crate) fn calendar(&self) -> &Calendar {
        &self.calendar
    }
    /// Deletions that failed since the start.
    pub fn sweep_failures(&self) -> u64 {
        self.sweep_failures.load(Ordering::Relaxed)
    }
    /// Pieces refused.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }
    /// Stores a piece. The answer comes when it is on disk; `Some` says why it was refused for good.
    pub async fn put(&self, alert: AlertId, facts: v1::EvidenceRef, data: Bytes) -> Result<Option<String>> {
        let refs = EvidenceRef::try_from(facts.clone()).map_err(|fault| Error::Invalid(fault.to_string()))?;
        let kind = refs.kind;
        let camera = self.store.camera_of(alert).await?.ok_or_else(|| {
            Error::NotFound(format!("there is no alert {alert}: publish it before its evidence"))
        })?;
        let stored = self.clock.wall();
        // The class is the bus's to say, by its own configuration, whatever a node knows.
        let keep_until = self.promised(&camera, stored);
        let row = |facts| EvidenceRow { alert, kind, facts, stored, keep_until, deleted: false };
        let Ok(piece) = refs.content else {
            self.store.put_evidence(row(facts)).await?;
            return Ok(None);
        };
        if data.len() > MAX_PIECE_BYTES || data.len() as u64 != piece.size_bytes {
            let (size, told) = (data.len(), piece.size_bytes);
            return Err(Error::Invalid(format!(
                "the evidence has {size} bytes, told were {told}, at most {MAX_PIECE_BYTES} are allowed"
            )));
        }
        if kind != EvidenceKind::Clip && !piece.redacted {
            return Err(Error::Invalid(format!("a {} must be redacted", kind.word())));
        }
        let _entry = self.entry.lock().await;
        if let Some((why, reason)) = self.no_room(kind, piece.size_bytes).await? {
            self.refusals.count(kind, why);
            let missing = v1::EvidenceRef {
                kind: v1::EvidenceKind::from(kind).into(),
                missing_reason: reason.clone(),
                ..v1::EvidenceRef::default()
            };
            self.store.put_evidence(row(missing)).await?;
            return Ok(Some(reason));
        }
        // The file first, then its row: a crash in between leaves a file that nothing names, never the reverse.
        self.files.write(piece.sha256, data).await?;
        match self.store.put_evidence(row(facts)).await? {
            Some(_) => {
                Ok(Some(format!("alert {alert} has another {} already: the first one stays", kind.word())))
            }
            None => Ok(None),
        }
    }
    /// The redacted still of an alert.
    pub async fn still(&self, principal: &Principal, call: &Call) -> Result<(v1::EvidenceRef, Bytes)> {
        self.still_if(principal, call, Ok(())).await
    }
    /// The same, refused for a reason of the caller's own: the register has that, too.
    pub(crate) async fn still_if(
        &self,
        principal: &Principal,
        call: &Call,
        ready: Result<()>,
    ) -> Result<(v1::EvidenceRef, Bytes)> {
        match self.give(principal, EvidenceKind::Still, call, 0, ready).await? {
            (facts, Piece::Still(jpeg)) => Ok((facts, jpeg)),
            _ => Err(other_piece()),
        }
    }
    /// The redacted preview of an alert.
    pub async fn preview(
        &self,
        principal: &Principal,
        call: &Call,
    ) -> Result<(v1::EvidenceRef, v1::PreviewBundle)> {
        match self.give(principal, EvidenceKind::Preview, call, 0, Ok(())).await? {
            (facts, Piece::Preview(bundle)) => Ok((facts, bundle)),
            _ => Err(other_piece()),
        }
    }
    /// One stretch of the original footage of an alert. Few are given at once.
    pub async fn clip(&self, principal: &Principal, call: &Call, stretch: usize) -> Result<Clip> {
        let slot = self.slot();
        let ready = slot.as_ref().map(drop).map_err(Clone::clone);
        match self.give(principal, EvidenceKind::Clip, call, stretch, ready).await? {
            (facts, Piece::Clip(mp4)) => Ok(Clip { facts, mp4, _slot: slot? }),
            _ => Err(other_piece()),
        }
    }
    /// A place among the few that are sent at once.
    fn slot(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.clips).try_acquire_owned().map_err(|_| {
            Error::Exhausted(format!(
                "{CLIPS} clips are being sent, no more are allowed at once: try again in a while"
            ))
        })
    }
    /// Reads a piece, registers the call with what became of it, and only then gives it.
    async fn give(
        &self,
        principal: &Principal,
        kind: EvidenceKind,
        call: &Call,
        stretch: usize,
        ready: Result<()>,
    ) -> Result<(v1::EvidenceRef, Piece)> {
        let found = match ready {
            Ok(()) => self.fetch(principal, kind, call, stretch).await,
            Err(refused) => Err(refused),
        };
        let refusal = found.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let entry = v1::RegisterEntry {
            camera_id: self.store.camera_of(call.alert).await?.unwrap_or_default(),
            kind: v1::EvidenceKind::from(kind).into(),
            stretch: u32::try_from(stretch).unwrap_or(u32::MAX),
            sha256: found.as_ref().map(|(facts, _)| facts.sha256.clone()).unwrap_or_default(),
            granted: found.is_ok(),
            refusal,
            ..self.entry(principal, call)
        };
        self.store.register(entry).await?;
        if let Err(Error::DataLoss(text)) = &found {
            error!(alert = %call.alert, kind = kind.word(), error = %text, "evidence is damaged");
        }
        found
    }
    /// Who calls, and when.
    fn who(&self, principal: &Principal) -> v1::RegisterEntry {
        v1::RegisterEntry {
            at_unix_us: self.clock.wall().0,
            principal: principal.name.clone(),
            unit: principal.unit.clone().unwrap_or_default(),
            ..v1::RegisterEntry::default()
        }
    }
    /// What the register says of a call about an alert, before it is known what becomes of it.
    pub(crate) fn entry(&self, principal: &Principal, call: &Call) -> v1::RegisterEntry {
        v1::RegisterEntry {
            alert_id: call.alert.to_string(),
            purpose: call.purpose.into(),
            call_reason: register::picked(call).into(),
            reason: register::kept(call),
            ..self.who(principal)
        }
    }
    async fn fetch(
        &self,
        principal: &Principal,
        kind: EvidenceKind,
        call: &Call,
        stretch: usize,
    ) -> Result<(v1::EvidenceRef, Piece)> {
        let right = if kind == EvidenceKind::Clip { Right::ViewOriginal } else { Right::ViewRedacted };
        check(principal, right)?;
        check_sees(&*self.store, principal, call.alert).await?;
        register::check_of_alert(call.purpose, call.call_reason)?;
        if kind == EvidenceKind::Clip {
            register::check_original(call)?;
        }
        self.stored(call.alert, kind, stretch).await
    }
    /// Reads a piece. Whoever calls this has asked for rights, and registers the call before anything leaves.
    async fn stored(
        &self,
        alert: AlertId,
        kind: EvidenceKind,
        stretch: usize,
    ) -> Result<(v1::EvidenceRef, Piece)> {
        let row = self.store.evidence(alert, kind).await?;
        let none = || Error::NotFound(format!("alert {alert} has no {}", kind.word()));
        let row = row.ok_or_else(none)?;
        if row.deleted {
            return Err(Error::NotFound(format!("the {} was deleted after its time", kind.word())));
        }
        if !row.facts.missing_reason.is_empty() {
            return Err(Error::NotFound(format!(
                "there is no {}: {}",
                kind.word(),
                row.facts.missing_reason
            )));
        }
        let sum: Sha256 = row
            .facts
            .sha256
            .parse()
            .map_err(|_| Error::DataLoss("the record of the evidence is damaged".to_owned()))?;
        let bytes = self.files.read(sum).await?;
        let piece = Piece::read(kind, bytes, stretch)?;
        Ok((row.facts, piece))
    }
}

/// A piece is read as the kind that was asked for.
fn other_piece() -> Error {
    Error::Internal("another kind of evidence was read than was asked for".to_owned())
}

#[cfg(test)]
mod tests;
