//! Silences by request, and the look each second at flood groups and at what no reason holds back any more.

use std::time::Duration;

use tracing::warn;
use xueliang_proto::v1;

use super::Bus;
use crate::{
    error::{Error, Result},
    rights::{Principal, Right, check},
    silence::Silence,
    store::SilenceQuery,
};

/// How often it is looked whether a reason still holds. What ends a suppression by itself ends it at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Bus {
    /// Makes a silence.
    pub async fn create_silence(
        &self,
        principal: &Principal,
        request: v1::CreateSilenceRequest,
    ) -> Result<v1::Silence> {
        check(principal, Right::Silence)?;
        let silence = Silence::new(request, &principal.name, self.0.clock.wall())?;
        if !principal.owns(silence.divisions()) {
            return Err(Error::Forbidden(
                "scope.divisions: name divisions, and only those that you may see yourself; who sees some classes of \
                     points only makes no silences, since those hold back alerts of all"
                        .to_owned(),
            ));
        }
        self.0.store.add_silence(silence).await
    }
    /// Ends a silence, and shows what it held back.
    pub async fn expire_silence(&self, principal: &Principal, silence: u64) -> Result<v1::Silence> {
        check(principal, Right::Silence)?;
        let within = principal.reach();
        let bound = within.is_some();
        let before =
            SilenceQuery { with_ended: true, within, limit: 1, before_exclusive: silence.checked_add(1) };
        if bound && self.0.store.silences(before).await?.first().is_none_or(|one| one.silence_id != silence) {
            return Err(Error::NotFound(format!("silence_id: there is no silence {silence}")));
        }
        let silence = self.0.store.expire_silence(silence, principal.name.clone()).await?;
        // The silence has ended on disk: what this leaves behind comes with the next look.
        self.look_at_suppressed().await;
        Ok(silence)
    }
    pub(super) async fn watch_suppressed(&self) {
        let mut every_second = tokio::time::interval(LOOK_EVERY);
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every_second.tick().await;
            self.look_at_suppressed().await;
        }
    }
    pub(crate) async fn look_at_suppressed(&self) {
        if let Err(error) = self.release_suppressed().await {
            warn!(%error, "suppressed alerts whose reason has ended are not shown yet");
        }
    }
    async fn release_suppressed(&self) -> Result<()> {
        self.tend_floods().await?;
        let mut after = Some(0);
        while let Some(from) = after {
            let (due, next) = self.0.store.releasable(from).await?;
            if !due.is_empty() {
                self.0.store.release(due).await?;
            }
            after = next;
        }
        // What was released may have come to a group, or begun one.
        self.tend_floods().await
    }
    async fn tend_floods(&self) -> Result<()> {
        if self.0.store.floods_due().await? {
            self.0.store.tend_floods().await?;
        }
        Ok(())
    }
}
