//! The evidence gateway: the only code that returns pixels.
//!
//! Every call carries a principal and a purpose, and stands in the register, on disk, before its first byte
//! leaves. What is stored is checked against its checksum each time it is read. Nothing is deleted before its
//! time, and a deletion leaves a certificate. When space runs out, new evidence shrinks and old stays.

pub(crate) mod files;

use std::{
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
use tracing::{error, info};
use xueliang_base::{
    alert::{EvidenceKind, EvidenceRef, Sha256},
    id::AlertId,
    time::SharedClock,
};
use xueliang_proto::v1;

use self::files::Files;
use crate::{
    error::{Error, Result},
    retention::Calendar,
    rights::{Principal, Right, check, check_sees},
    store::{Certificate, EvidenceRow, Store},
};

/// Nothing is deleted before this many days.
pub const KEEP_DAYS_FLOOR: u32 = 30;
/// Bytes of one piece.
pub const MAX_PIECE_BYTES: usize = 64 << 20;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The forecast looks back this far.
const FORECAST_DAYS: u32 = 7;
/// Pieces looked at in one sweep, so that it ends.
const SWEEP: usize = 1000;
/// Pieces listed at a time.
const SWEEP_PAGE: usize = 100;
/// Clips on their way at once: each is held in memory as a whole, 64 MiB at most.
const CLIPS: usize = 4;

/// How evidence is kept.
#[derive(Debug, Clone, Copy)]
pub struct EvidenceOptions {
    /// Bytes it may take on disk.
    pub max_bytes: u64,
    /// Days before which nothing is deleted; at least [`KEEP_DAYS_FLOOR`].
    pub keep_days: u32,
}

impl Default for EvidenceOptions {
    fn default() -> Self {
        Self { max_bytes: 20 << 30, keep_days: KEEP_DAYS_FLOOR }
    }
}

/// Space taken, and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Bytes kept.
    pub used_bytes: u64,
    /// Bytes allowed.
    pub max_bytes: u64,
    /// Pieces kept.
    pub pieces: u64,
    /// Days until nothing more fits, at the rate of the past 7 days; `None` while nothing comes.
    pub days_left: Option<f64>,
}

/// Pieces refused since the start, by kind.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; 3]);

impl Refusals {
    /// How many of a kind.
    pub fn of(&self, kind: EvidenceKind) -> u64 {
        self.0[kind as usize].load(Ordering::Relaxed)
    }
}

/// Who asks for what, and why.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which alert.
    pub alert: AlertId,
    /// Why.
    pub purpose: v1::Purpose,
    /// In words; 4 to 500 characters for a clip.
    pub reason: String,
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
        if !self.store.exists(alert).await? {
            return Err(Error::NotFound(format!(
                "there is no alert {alert}: publish it before its evidence"
            )));
        }
        let row = |facts| EvidenceRow { alert, kind, facts, stored: self.clock.wall(), deleted: false };
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
        if let Some(reason) = self.no_room(kind, piece.size_bytes).await? {
            self.refusals.0[kind as usize].fetch_add(1, Ordering::Relaxed);
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
    /// The order in which kinds give way: clips at 90 % of the budget, previews at 95 %, stills when it is used up.
    async fn no_room(&self, kind: EvidenceKind, size: u64) -> Result<Option<String>> {
        let share = match kind {
            EvidenceKind::Clip => 90,
            EvidenceKind::Preview => 95,
            EvidenceKind::Still => 100,
        };
        let bound = self.options.max_bytes / 100 * share;
        let used = self.store.evidence_bytes(self.clock.wall()).await?.kept;
        Ok((used.saturating_add(size) > bound).then(|| {
            format!(
                "evidence takes {used} of {} bytes: no {} is kept above {share} %; allow more or wait until older ones \
                 are past their time",
                self.options.max_bytes,
                kind.word()
            )
        }))
    }
    /// Space taken, and how long it lasts.
    pub async fn usage(&self) -> Result<Usage> {
        let since = self.clock.wall().minus(DAY * FORECAST_DAYS);
        let bytes = self.store.evidence_bytes(since).await?;
        let left = self.options.max_bytes.saturating_sub(bytes.kept);
        #[expect(clippy::cast_precision_loss, reason = "a forecast needs no more than 52 bits")]
        let days_left =
            (bytes.since > 0).then(|| left as f64 / (bytes.since as f64 / f64::from(FORECAST_DAYS)));
        Ok(Usage {
            used_bytes: bytes.kept,
            max_bytes: self.options.max_bytes,
            pieces: bytes.pieces,
            days_left,
        })
    }
    /// The redacted still of an alert.
    pub async fn still(&self, principal: &Principal, call: &Call) -> Result<(v1::EvidenceRef, Bytes)> {
        self.give(principal, EvidenceKind::Still, call, Ok(())).await
    }
    /// The redacted preview of an alert.
    pub async fn preview(
        &self,
        principal: &Principal,
        call: &Call,
    ) -> Result<(v1::EvidenceRef, v1::PreviewBundle)> {
        let (facts, bytes) = self.give(principal, EvidenceKind::Preview, call, Ok(())).await?;
        let bundle = v1::PreviewBundle::decode(bytes);
        Ok((facts, bundle.map_err(|_| Error::DataLoss("the preview cannot be read".to_owned()))?))
    }
    /// One stretch of the original footage of an alert. Few are given at once.
    pub async fn clip(&self, principal: &Principal, call: &Call, stretch: usize) -> Result<Clip> {
        let slot = Arc::clone(&self.clips).try_acquire_owned();
        let slot = slot.map_err(|_| {
            Error::Exhausted(format!(
                "{CLIPS} clips are being sent, no more are allowed at once: try again in a while"
            ))
        });
        let ready = slot.as_ref().map(drop).map_err(Clone::clone);
        let (facts, bytes) = self.give(principal, EvidenceKind::Clip, call, ready).await?;
        let bundle = v1::ClipBundle::decode(bytes);
        let mut bundle = bundle.map_err(|_| Error::DataLoss("the clip cannot be read".to_owned()))?;
        if stretch >= bundle.files.len() {
            let count = bundle.files.len();
            return Err(Error::NotFound(format!("the clip has {count} stretches, counted from 0")));
        }
        Ok(Clip { facts, mp4: bundle.files.swap_remove(stretch), _slot: slot? })
    }
    /// Reads a piece, registers the call with what became of it, and only then gives the bytes.
    async fn give(
        &self,
        principal: &Principal,
        kind: EvidenceKind,
        call: &Call,
        ready: Result<()>,
    ) -> Result<(v1::EvidenceRef, Bytes)> {
        let found = match ready {
            Ok(()) => self.fetch(principal, kind, call).await,
            Err(refused) => Err(refused),
        };
        let refusal = found.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let entry = v1::RegisterEntry {
            entry_id: 0,
            at_unix_us: self.clock.wall().0,
            principal: principal.name.clone(),
            alert_id: call.alert.to_string(),
            kind: v1::EvidenceKind::from(kind).into(),
            purpose: call.purpose.into(),
            reason: call.reason.chars().take(500).collect(),
            granted: found.is_ok(),
            refusal,
        };
        self.store.register(entry).await?;
        if let Err(Error::DataLoss(text)) = &found {
            error!(alert = %call.alert, kind = kind.word(), error = %text, "evidence is damaged");
        }
        found
    }
    async fn fetch(
        &self,
        principal: &Principal,
        kind: EvidenceKind,
        call: &Call,
    ) -> Result<(v1::EvidenceRef, Bytes)> {
        let right = if kind == EvidenceKind::Clip { Right::ViewOriginal } else { Right::ViewRedacted };
        check(principal, right)?;
        check_sees(&*self.store, principal, call.alert).await?;
        if call.purpose == v1::Purpose::Unspecified {
            return Err(Error::Invalid("purpose: must be set".to_owned()));
        }
        let length = call.reason.trim().chars().count();
        if kind == EvidenceKind::Clip && !(4..=500).contains(&length) {
            return Err(Error::Invalid(
                "reason: original footage needs one of 4 to 500 characters".to_owned(),
            ));
        }
        let row = self.store.evidence(call.alert, kind).await?;
        let none = || Error::NotFound(format!("alert {} has no {}", call.alert, kind.word()));
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
        Ok((row.facts, bytes))
    }
    /// Deletes evidence past its time, each with a certificate. Returns how many pieces. What cannot be deleted is
    /// counted, and passed over until the next sweep. Nothing is deleted while the date cannot be trusted.
    pub async fn sweep(&self) -> Result<u64> {
        let Some(now) = self.calendar.now() else { return Ok(0) };
        let before = now.minus(DAY * self.options.keep_days);
        let (mut gone, mut failed, mut first) = (0, 0, None);
        while gone + failed < SWEEP {
            // Those that failed stand before the others still.
            let page = self.store.evidence_before(before, SWEEP_PAGE, failed).await?;
            let last = page.len() < SWEEP_PAGE;
            for row in page {
                let expired = match row {
                    Ok(row) => self.expire(row).await,
                    Err(error) => Err(error),
                };
                match expired {
                    Ok(()) => gone += 1,
                    Err(error) => {
                        failed += 1;
                        first.get_or_insert(error);
                    }
                }
            }
            if last {
                break;
            }
        }
        if gone > 0 {
            info!(pieces = gone, "evidence deleted after its time");
        }
        if let Some(error) = first {
            self.sweep_failures.fetch_add(failed as u64, Ordering::Relaxed);
            error!(pieces = failed, error = %error, "evidence past its time cannot be deleted");
        }
        Ok(gone as u64)
    }
    async fn expire(&self, row: EvidenceRow) -> Result<()> {
        let sum: Sha256 = row
            .facts
            .sha256
            .parse()
            .map_err(|_| Error::DataLoss("the record of the evidence is damaged".to_owned()))?;
        // Nobody may bring the same bytes back while their file is looked at.
        let _entry = self.entry.lock().await;
        if !self.store.evidence_shared(sum, row.alert, row.kind).await? {
            self.files.delete(sum).await?;
        }
        let certificate = Certificate {
            alert: row.alert,
            kind: row.kind,
            sha256: sum,
            size_bytes: row.facts.size_bytes,
            stored: row.stored,
            deleted: self.clock.wall(),
        };
        self.store.certify(certificate).await
    }
}

#[cfg(test)]
mod tests;
