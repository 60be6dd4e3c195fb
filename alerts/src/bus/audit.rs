//! The audit of deliveries: noted as it happens, saved once a second beside the acknowledged cursors, in small
//! transactions, so that no publisher waits for it. What a crash loses of it is a second.

use std::time::Duration;

use tracing::warn;

use super::{Bus, BusCounts};
use crate::{error::Result, store::DeliveryNote};

/// Notes of one job of the writer: half a millisecond, so that no alert waits long behind them.
const CHUNK: usize = 32;
/// How long the audit reaches back.
pub(super) const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);

impl Bus {
    /// Brings to disk how far deliveries have come. What fails is tried again; meanwhile streams go on noting, each in
    /// the same room.
    pub async fn save_deliveries(&self) -> Result<()> {
        let inner = &self.0;
        if inner.notes().is_empty() {
            let (notes, lost) = inner.registry.take_notes();
            if lost > 0 {
                BusCounts::add(&inner.counts.notes_lost, lost);
                warn!(
                    notes = lost,
                    "some of the audit of deliveries is lost: too many streams ended at once"
                );
            }
            inner.notes().extend(notes);
        }
        loop {
            // They stay until they are on disk, also where this is dropped halfway. To save them twice is harmless.
            let chunk: Vec<DeliveryNote> = inner.notes().iter().take(CHUNK).cloned().collect();
            if chunk.is_empty() {
                return Ok(());
            }
            let count = chunk.len();
            inner.store.save_deliveries(chunk).await?;
            inner.notes().drain(..count);
        }
    }
}
