//! Taking publications in: what is wrong with each is said, what is right is stored, all in one commit.

use std::time::Duration;

use xueliang_base::{
    alert::{Alert, Stage, StageTime},
    kind::Level,
    time::Mono,
};
use xueliang_proto::v1::{self, PublishOutcome};

use super::{Bus, BusCounts};
use crate::{
    error::{Error, Result},
    rights::{Principal, Right, check},
    store::{AuditEntry, Incoming, Outcome},
};

/// Publications of one request.
pub const MAX_PUBLICATIONS: usize = 256;

/// The hop of a publisher that does not know its round trip yet lies under the deadline of its call.
const UNKNOWN_HOP: Duration = Duration::from_secs(10);

/// What became of one publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What became of it.
    pub outcome: PublishOutcome,
    /// What is wrong, for conflict and invalid.
    pub message: String,
}

impl Bus {
    /// Stores publications; one answer each, in order, when all is on disk. `received` is when the bus got them.
    pub async fn publish(
        &self,
        principal: &Principal,
        publications: Vec<v1::Publication>,
        received: Mono,
    ) -> Result<Vec<Published>> {
        check(principal, Right::Publish)?;
        if publications.len() > MAX_PUBLICATIONS {
            let count = publications.len();
            return Err(Error::Invalid(format!(
                "{count} publications, at most {MAX_PUBLICATIONS} are allowed"
            )));
        }
        let read: Vec<Result<Incoming, String>> = publications
            .into_iter()
            .map(|one| read(principal, one).map(|alert| Incoming { alert, received }))
            .collect();
        let good: Vec<Incoming> = read.iter().filter_map(|one| one.as_ref().ok()).cloned().collect();
        let first = good.first().map(|incoming| incoming.alert.id);
        let stored = if good.is_empty() { Vec::new() } else { self.commit(good).await? };
        let mut stored = stored.into_iter();
        let mut results = Vec::with_capacity(read.len());
        for one in read {
            let published = match one {
                Err(message) => Published { outcome: PublishOutcome::Invalid, message },
                Ok(_) => {
                    let outcome = stored.next();
                    outcome.ok_or_else(|| Error::Internal("the store left out an outcome".to_owned()))?.into()
                }
            };
            results.push(published);
        }
        let count = |outcome| results.iter().filter(|one| one.outcome == outcome).count();
        BusCounts::add(&self.0.counts.invalid, count(PublishOutcome::Invalid) as u64);
        let (conflicts, invalid) = (count(PublishOutcome::Conflict), count(PublishOutcome::Invalid));
        if conflicts + invalid > 0 {
            // What was stored says itself who published it; what was refused stands nowhere else.
            let first = first.map(|id| id.to_string()).unwrap_or_default();
            let subject = format!("{conflicts} conflicting, {invalid} invalid, first stored {first}");
            let principal = principal.name.clone();
            self.0.store.audit(AuditEntry { principal, action: "publish_refused", subject }).await?;
        }
        Ok(results)
    }
}

impl From<Outcome> for Published {
    fn from(outcome: Outcome) -> Self {
        let (outcome, message) = match outcome {
            Outcome::Committed(_) => (PublishOutcome::Committed, String::new()),
            Outcome::Duplicate => (PublishOutcome::Duplicate, String::new()),
            Outcome::Stale => (PublishOutcome::Stale, String::new()),
            Outcome::Conflict(message) => (PublishOutcome::Conflict, message),
            Outcome::Invalid(message) => (PublishOutcome::Invalid, message),
        };
        Self { outcome, message }
    }
}

fn read(principal: &Principal, publication: v1::Publication) -> Result<Alert, String> {
    let wire = publication.alert.ok_or("alert: must be set")?;
    let mut alert = Alert::try_from(wire).map_err(|error| error.to_string())?;
    if alert.level == Level::EXTREME && !principal.may(Right::SetExtreme) {
        return Err("level: 1 is set by people only, a detector sets at most 2".to_owned());
    }
    principal.name.clone_into(&mut alert.publisher);
    alert.stages.retain(|time| time.stage < Stage::Hop);
    alert.set_stage(hop(publication.last_round_trip_us));
    Ok(alert)
}

/// The two clocks need not agree, so the hop is only bounded: by the round trip before it.
fn hop(round_trip_us: u64) -> StageTime {
    if round_trip_us == 0 {
        let uncertainty_us = xueliang_base::time::micros(UNKNOWN_HOP);
        return StageTime { stage: Stage::Hop, duration_us: 0, uncertainty_us };
    }
    let half = round_trip_us / 2;
    StageTime { stage: Stage::Hop, duration_us: half, uncertainty_us: round_trip_us - half }
}
