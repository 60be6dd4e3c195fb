//! Taking the ledger out: audited before the first byte and after the last one, and read a page at a time.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use xueliang_base::{csv::BYTE_ORDER_MARK, language::Language};
use xueliang_proto::v1;

use super::{
    csv::{header, rows},
    told, words,
};
use crate::{
    error::{Error, Result},
    rights::{Principal, Right, check},
    store::{AuditEntry, RegisterQuery, Store},
};

/// Entries of one page: some hundred KiB.
const PAGE: usize = 1000;

/// The ledger on its way out.
pub(crate) struct Export {
    store: Arc<dyn Store>,
    principal: String,
    reason: String,
    language: Language,
    zone: String,
    query: RegisterQuery,
    sum: Sha256,
    entries: u64,
    next: Next,
    _slot: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Head,
    Rows,
    Nothing,
}

impl Export {
    /// Begins one: when this returns it stands in the audit.
    pub(crate) async fn begin(
        store: Arc<dyn Store>,
        principal: &Principal,
        request: v1::ExportRegisterRequest,
        zone: &str,
        slot: OwnedSemaphorePermit,
    ) -> Result<Self> {
        check(principal, Right::ReadRegister)?;
        let reason = words(&request.reason)?;
        let language = match request.language.as_str() {
            "" => Language::default(),
            named => named.parse().map_err(|fault| Error::Invalid(format!("language: {fault}")))?,
        };
        let filter = request.filter.unwrap_or_default();
        let mut query = RegisterQuery::of_wire(&filter)?;
        query.within = principal.reach();
        query.limit = PAGE;
        query.oldest_first = true;
        // What is written while it is read belongs to the next export: this one comes to an end.
        let newest = RegisterQuery { limit: 1, ..RegisterQuery::default() };
        let newest = store.list_register(newest).await?;
        query.before_exclusive = Some(newest.first().map_or(0, |one| one.entry_id.saturating_add(1)));
        let entry = AuditEntry {
            principal: principal.name.clone(),
            action: "register_export",
            subject: format!("{}: {reason}", told(&filter)),
        };
        store.audit(entry).await?;
        Ok(Self {
            store,
            principal: principal.name.clone(),
            reason,
            language,
            zone: zone.to_owned(),
            query,
            sum: Sha256::new(),
            entries: 0,
            next: Next::Head,
            _slot: slot,
        })
    }
    /// The next piece; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<v1::ExportRegisterResponse>> {
        let csv = match self.next {
            Next::Nothing => return Ok(None),
            Next::Head => {
                self.next = Next::Rows;
                [BYTE_ORDER_MARK.as_bytes(), &header(self.language)?].concat()
            }
            Next::Rows => {
                let page = self.store.list_register(self.query.clone()).await?;
                if page.len() < PAGE {
                    self.next = Next::Nothing;
                }
                self.query.after_exclusive =
                    page.last().map(|one| one.entry_id).or(self.query.after_exclusive);
                self.entries += page.len() as u64;
                rows(&page, self.language, &self.zone)?
            }
        };
        self.sum.update(&csv);
        let mut piece = v1::ExportRegisterResponse { csv: csv.into(), ..Default::default() };
        if self.next == Next::Nothing {
            piece.entries = self.entries;
            piece.sha256 = format!("{:x}", self.sum.clone().finalize());
            let entry = AuditEntry {
                principal: self.principal.clone(),
                action: "register_exported",
                subject: format!("{} entries, sha256 {}: {}", self.entries, piece.sha256, self.reason),
            };
            self.store.audit(entry).await?;
        }
        Ok(Some(piece))
    }
}
