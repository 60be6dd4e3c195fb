//! Signing heads over audit and register now and then.

use std::time::Duration;

use tracing::warn;

use super::Bus;
use crate::error::Result;

/// How often it is looked whether a head is due.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Bus {
    /// Signs a head over audit and register, where there are new entries and it is time or `now` is wanted; exports heads.
    pub async fn seal_audit(&self, now: bool) -> Result<()> {
        self.0.sealer.seal(&*self.0.store, now).await
    }
    pub(super) async fn seal_now_and_then(&self) {
        let mut often = tokio::time::interval(LOOK_EVERY);
        often.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            often.tick().await;
            if let Err(error) = self.seal_audit(false).await {
                warn!(%error, "the audit is not sealed: it is tried again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use xueliang_base::shutdown;

    use crate::{
        audit::{AuditOptions, read_heads},
        bus::BusOptions,
        store::{AuditEntry, verify_audit},
        testing::{Bench, options},
    };

    #[tokio::test]
    async fn a_bus_that_stops_has_sealed_and_exported_all_that_was_audited() {
        let heads = tempfile::tempdir().unwrap();
        let audit = AuditOptions { heads: Some(heads.path().to_owned()), ..AuditOptions::default() };
        let bench = Bench::with(BusOptions { audit, ..options() });
        for number in 0..3 {
            let entry = AuditEntry { principal: "ana".into(), action: "test", subject: number.to_string() };
            bench.bus.store().audit(entry).await.unwrap();
        }
        let (stop, stopping) = shutdown::pair();
        stop.ask();
        bench.bus.run(stopping).await;
        let heads = read_heads(heads.path()).unwrap();
        let report = verify_audit(bench.folder.path(), &heads, None).unwrap();
        assert!(report.holds(), "{report:?}");
        assert_eq!(
            (report.entries, report.sealed.map(|(size, _)| size), heads.is_empty()),
            (3, Some(3), false)
        );
    }
}
