//! The end of evidence: what was promised for it, who holds it beyond that, and its deletion with a certificate.

use std::sync::atomic::Ordering;

use tracing::{error, info};
use xueliang_base::{alert::Sha256, id::AlertId, time::Wall};
use xueliang_proto::v1::{self, DeletionProof};

use super::{DAY, Evidence, KEEP_DAYS_FLOOR, KEY_POINT_DAYS};
use crate::{
    error::{Error, Result},
    register::words,
    rights::{Principal, Right, check, check_sees},
    store::{Certificate, DueEvidence, HoldQuery},
};

/// Pieces looked at in one sweep, so that it ends.
const SWEEP: usize = 1000;
/// Pieces listed at a time.
const SWEEP_PAGE: usize = 100;
/// Holds in force on one alert.
const HOLDS: u32 = 100;

/// What became of a piece past its promise.
enum Settled {
    Deleted,
    /// Its camera is of a longer class by now, or someone holds it: it stays.
    Stays,
}

/// Days for which evidence of each class is kept at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floors {
    /// Of ordinary cameras.
    pub keep_days: u32,
    /// Of key points.
    pub key_point_days: u32,
    /// Cameras that are key points.
    pub key_points: usize,
}

impl Evidence {
    /// Days for which evidence is kept at least.
    pub fn floors(&self) -> Floors {
        let keep_days = self.options.keep_days.max(KEEP_DAYS_FLOOR);
        let key_point_days = keep_days.max(KEY_POINT_DAYS);
        Floors { keep_days, key_point_days, key_points: self.options.key_points.len() }
    }
    /// Until when a camera's evidence of that moment is kept at least, by the configuration in force.
    pub(super) fn promised(&self, camera: &str, stored: Wall) -> Wall {
        let Floors { keep_days, key_point_days, .. } = self.floors();
        stored.plus(DAY * if self.options.key_points.contains(camera) { key_point_days } else { keep_days })
    }
    /// Deletes evidence past its time, each with a certificate. Returns how many pieces. What cannot be deleted is
    /// counted, and passed over until the next sweep. Nothing is deleted while the date cannot be trusted.
    pub async fn sweep(&self) -> Result<u64> {
        let Some(now) = self.calendar.now() else { return Ok(0) };
        let (mut seen, mut gone, mut failed, mut first) = (0, 0, 0, None);
        while seen < SWEEP {
            // Those that failed stand before the others still.
            let page = self.store.evidence_due(now, SWEEP_PAGE, failed).await?;
            let last = page.len() < SWEEP_PAGE;
            seen += page.len();
            for due in page {
                let settled = match due {
                    Ok(due) => self.settle(due, now).await,
                    Err(error) => Err(error),
                };
                match settled {
                    Ok(Settled::Deleted) => gone += 1,
                    Ok(Settled::Stays) => {}
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
        Ok(gone + self.sweep_photos(now).await?)
    }
    async fn settle(&self, due: DueEvidence, now: Wall) -> Result<Settled> {
        let DueEvidence { row, camera } = due;
        // What was promised when it was stored stands; a class that has become longer since then holds for it, too.
        let until = self.promised(&camera, row.stored);
        if until >= now {
            self.store.promise(row.alert, row.kind, until).await?;
            return Ok(Settled::Stays);
        }
        let sum: Sha256 = row
            .facts
            .sha256
            .parse()
            .map_err(|_| Error::DataLoss("the record of the evidence is damaged".to_owned()))?;
        // Nobody may bring the same bytes back while their file is looked at, nor take hold of them.
        let _entry = self.entry.lock().await;
        if self.store.held(row.alert).await? {
            return Ok(Settled::Stays);
        }
        let proof = if self.store.evidence_shared(sum, row.alert, row.kind).await? {
            DeletionProof::BytesShared
        } else {
            self.files.delete(sum).await?;
            DeletionProof::FileGone
        };
        let certificate = Certificate {
            alert: row.alert,
            kind: row.kind,
            sha256: sum,
            size_bytes: row.facts.size_bytes,
            stored: row.stored,
            promised: row.keep_until,
            deleted: self.clock.wall(),
            proof,
        };
        self.store.certify(certificate).await?;
        Ok(Settled::Deleted)
    }
    /// Holds the evidence of an alert: once this is answered, nothing of it is deleted. Returns the hold, and how many
    /// pieces are there.
    pub async fn hold(
        &self,
        principal: &Principal,
        alert: AlertId,
        reason: &str,
    ) -> Result<(v1::LegalHold, u32)> {
        check(principal, Right::HoldEvidence)?;
        let reason = words(reason)?;
        check_sees(&*self.store, principal, alert).await?;
        if !self.store.exists(alert).await? {
            return Err(Error::NotFound(format!("there is no alert {alert}")));
        }
        // A deletion that has begun comes to its end before.
        let _entry = self.entry.lock().await;
        let wanted = v1::LegalHold {
            alert_id: alert.to_string(),
            set_by: principal.name.clone(),
            reason,
            set_unix_us: self.clock.wall().0,
            ..v1::LegalHold::default()
        };
        let hold = self.store.set_hold(wanted, HOLDS).await?;
        let mut pieces = 0;
        for kind in xueliang_base::alert::EvidenceKind::ALL {
            let row = self.store.evidence(alert, kind).await?;
            pieces += u32::from(row.is_some_and(|row| !row.deleted && row.facts.missing_reason.is_empty()));
        }
        info!(%alert, by = hold.set_by, hold = hold.hold_id, "evidence is held");
        Ok((hold, pieces))
    }
    /// Lifts a hold. What is past its time and held by nobody else goes with the next sweep.
    pub async fn lift(&self, principal: &Principal, hold: u64, reason: &str) -> Result<v1::LegalHold> {
        check(principal, Right::HoldEvidence)?;
        let within = principal.reach();
        if within.is_some() {
            let before_exclusive = hold.checked_add(1);
            let query =
                HoldQuery { lifted_too: true, within, before_exclusive, limit: 1, ..HoldQuery::default() };
            if self.store.holds(query).await?.first().is_none_or(|one| one.hold_id != hold) {
                return Err(Error::NotFound(format!("there is no hold {hold}")));
            }
        }
        let lifted = self.store.lift_hold(hold, principal.name.clone(), words(reason)?).await?;
        let lifted = lifted.ok_or_else(|| Error::NotFound(format!("there is no hold {hold}")))?;
        info!(alert = lifted.alert_id, by = lifted.lifted_by, hold, "a hold is lifted");
        Ok(lifted)
    }
}
