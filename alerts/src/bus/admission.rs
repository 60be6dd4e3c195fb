//! Who may open a subscription under which name, and what of it is audited: the first use of a name, and refusals. A
//! console that comes back a thousand times leaves no thousand rows that can never be deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::timeout;
use tracing::warn;
use xueliang_base::{error::ErrorKind, time::Mono};

use super::Bus;
use crate::{
    error::{Error, Result},
    rights::{Principal, Right, check},
    store::AuditEntry,
};

/// Names of subscriptions that one principal may ever use: each keeps its acknowledged cursor.
pub const MAX_NAMES: u32 = 256;
/// Refusals of a principal are audited at most this often.
const REFUSALS_EVERY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Admission(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Principals and names that are in the store already.
    names: BTreeSet<(String, String)>,
    /// When a refusal of a principal was audited last.
    refused: BTreeMap<String, Mono>,
}

impl Admission {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no code panics while it holds this lock")
    }
}

impl Bus {
    /// Lets a principal open subscriptions of this name (empty: unnamed). Its first use is audited.
    pub async fn admit(&self, principal: &Principal, name: &str) -> Result<()> {
        check(principal, Right::ReadAlerts)?;
        let key = (principal.name.clone(), name.to_owned());
        if self.0.admission.known().names.contains(&key) {
            return Ok(());
        }
        let adding = self.0.store.add_subscriber(key.0.clone(), key.1.clone(), MAX_NAMES);
        let slow = || Error::Unavailable("the store does not commit in time".to_owned());
        let added = timeout(self.0.options.sqlite.slow_after, adding).await.unwrap_or_else(|_| Err(slow()));
        match added {
            Ok(()) => {
                self.0.admission.known().names.insert(key);
                Ok(())
            }
            Err(Error::Invalid(text)) => Err(Error::Invalid(text)),
            Err(error) => {
                // Reading goes on while storage fails; the audit then has the log.
                warn!(principal = principal.name, name, error = %error, "subscription not audited");
                Ok(())
            }
        }
    }
    /// Audits that a subscription was refused to a principal.
    pub(crate) async fn audit_refusal(&self, principal: &Principal, why: &Error) {
        if !matches!(why.kind(), ErrorKind::Forbidden | ErrorKind::InvalidInput | ErrorKind::Exhausted) {
            return;
        }
        if self.refusal_is_due(principal) {
            self.audit_refused(principal, "subscribe_refused", why.to_string()).await;
        }
    }
    /// Audits that a principal lacks the right to a call, beside whatever else is done.
    pub(crate) fn audit_lacking(&self, principal: &Principal, call: &str, why: &Error) {
        if self.refusal_is_due(principal) {
            let (bus, principal, subject) = (self.clone(), principal.clone(), format!("{call}: {why}"));
            // One a minute and principal.
            tokio::spawn(async move { bus.audit_refused(&principal, "call_refused", subject).await });
        }
    }
    fn refusal_is_due(&self, principal: &Principal) -> bool {
        let now = self.0.clock.mono();
        let mut known = self.0.admission.known();
        let lately = known.refused.get(&principal.name).is_some_and(|at| now.since(*at) < REFUSALS_EVERY);
        if !lately {
            known.refused.insert(principal.name.clone(), now);
        }
        !lately
    }
    async fn audit_refused(&self, principal: &Principal, action: &'static str, why: String) {
        let subject = why.chars().take(500).collect();
        let entry = AuditEntry { principal: principal.name.clone(), action, subject };
        if let Err(error) = self.0.store.audit(entry).await {
            warn!(principal = principal.name, error = %error, "refusal not audited");
        }
    }
}
