//! Taking publications in: what is wrong with each is said, what is right is stored, all in one commit.

use xueliang_base::{
    alert::{Alert, Stage},
    kind::{Kind, Level},
    time::{Boot, Mono},
};
use xueliang_proto::v1::{self, PublishOutcome};

use super::{Bus, BusCounts};
use crate::{
    error::{Error, Result},
    external::{IN_WRITER, Scope},
    hop,
    rights::{Principal, Right},
    store::{AuditEntry, Incoming, Outcome},
};

/// Publications of one request.
pub const MAX_PUBLICATIONS: usize = 256;

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
        if !principal.may(Right::Publish) {
            return Err(Error::Forbidden(format!(
                "{} may not publish: declare a [[publisher]] in the configuration and send its token as \
                 `authorization: Bearer TOKEN`",
                principal.name
            )));
        }
        if publications.len() > MAX_PUBLICATIONS {
            let count = publications.len();
            return Err(Error::Invalid(format!(
                "{count} publications, at most {MAX_PUBLICATIONS} are allowed"
            )));
        }
        let Some(scope) = self.0.options.external.scope(principal)? else {
            return self.publish_some(principal, None, publications, received).await;
        };
        scope.admit(publications.len(), received)?;
        let mut results = Vec::with_capacity(publications.len());
        let mut publications = publications.into_iter().peekable();
        while publications.peek().is_some() {
            let some: Vec<_> = publications.by_ref().take(IN_WRITER).collect();
            let _place = self.0.options.external.writer(some.len()).await?;
            results.extend(self.publish_some(principal, Some(scope), some, received).await?);
        }
        Ok(results)
    }
    /// Stores what is right of them; one answer each, in order. `scope` bounds what an external publisher may say.
    async fn publish_some(
        &self,
        principal: &Principal,
        scope: Option<&Scope>,
        publications: Vec<v1::Publication>,
        received: Mono,
    ) -> Result<Vec<Published>> {
        let boot = self.0.clock.boot();
        let read = |one| {
            read(principal, scope, one, received, &boot).map(|alert| Incoming {
                alert,
                received,
                told: false,
            })
        };
        let read: Vec<Result<Incoming, String>> = publications.into_iter().map(read).collect();
        let good: Vec<Incoming> = read.iter().filter_map(|one| one.as_ref().ok()).cloned().collect();
        let kinds: Vec<Option<Kind>> =
            read.iter().map(|one| one.as_ref().ok().map(|one| one.alert.kind)).collect();
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
        if let Some(scope) = scope {
            scope.note(kinds.into_iter().zip(results.iter().map(|one| one.outcome)));
        }
        if conflicts + invalid > 0 && scope.is_none_or(|scope| scope.audits(received)) {
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

fn read(
    principal: &Principal,
    scope: Option<&Scope>,
    publication: v1::Publication,
    received: Mono,
    boot: &Boot,
) -> Result<Alert, String> {
    let hop = hop::stage(&publication, received, boot);
    let publication = match scope {
        Some(scope) => scope.reduce(publication)?,
        None => publication,
    };
    let wire = publication.alert.ok_or("alert: must be set")?;
    let mut alert = Alert::try_from(wire).map_err(|error| error.to_string())?;
    if alert.level == Level::EXTREME && !principal.may(Right::SetExtreme) {
        return Err("level: 1 is set by people only, a detector sets at most 2".to_owned());
    }
    principal.name.clone_into(&mut alert.publisher);
    alert.stages.retain(|time| time.stage < Stage::Hop);
    alert.set_stage(hop);
    Ok(alert)
}
