//! Custodians by request: masked to whoever reads them, in full past a right, a reason and the audit.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use xueliang_base::id::CameraId;
use xueliang_proto::v1;

use super::Bus;
use crate::{
    case::note,
    custodian::{self, Custodian, Sealed, import::Rows, key::Keys},
    error::{Error, Result},
    reach,
    rights::{Principal, Right, check},
    store::{AuditEntry, PutCustodian},
};

/// The keys, held while something is sealed until it is on disk: a key is never forgotten meanwhile.
pub(super) type SharedKeys = Arc<Mutex<Keys>>;

fn camera_of(text: &str) -> Result<CameraId> {
    text.parse().map_err(|fault| Error::Invalid(format!("camera_id: {fault}")))
}

impl Bus {
    /// Whether a principal may see a camera of the configuration. One that is no longer there is the whole town's.
    pub(crate) fn sees_point(&self, principal: &Principal, camera: &CameraId) -> bool {
        let within = principal.reach();
        let path = self.0.options.points.path_of(camera);
        path.map_or(within.is_none(), |path| reach::reaches(within.as_deref(), path))
    }
    /// A page of custodians, masked.
    pub async fn custodians(
        &self,
        principal: &Principal,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<v1::Custodian>, Option<String>)> {
        check(principal, Right::ReadCustodians)?;
        let all = self.0.store.custodians().await?;
        let seen = |one: &Sealed| one.camera.as_str() > after && self.sees_point(principal, &one.camera);
        let mut page: Vec<Sealed> = all.into_iter().filter(seen).take(limit + 1).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|one| one.camera.to_string());
        let keys = self.0.custodian_keys.lock().await;
        let masked = page.iter().map(|one| {
            let contact = keys.open_contact(&one.camera, &one.contact)?;
            Ok(v1::Custodian {
                camera_id: one.camera.to_string(),
                unit: one.unit.clone(),
                name_masked: custodian::masked_name(&contact.name),
                telephone_masked: custodian::masked_telephone(&contact.telephone),
                changed_unix_us: one.changed.0,
            })
        });
        Ok((masked.collect::<Result<_>>()?, next))
    }
    /// One in full. The audit's entry is on disk before anything is told.
    pub async fn reveal_custodian(
        &self,
        principal: &Principal,
        request: v1::RevealCustodianRequest,
    ) -> Result<v1::RevealCustodianResponse> {
        check(principal, Right::RevealCustodians)?;
        let reason = note::read(&request.reason, true)
            .map_err(|refused| Error::Invalid(refused.to_string().replacen("note: ", "reason: ", 1)))?;
        let camera = camera_of(&request.camera_id)?;
        let none = || Error::NotFound(format!("there is no custodian of a camera {camera}"));
        if !self.sees_point(principal, &camera) {
            return Err(none());
        }
        let one = self.0.store.custodian(camera.clone()).await?.ok_or_else(none)?;
        let contact = self.0.custodian_keys.lock().await.open_contact(&camera, &one.contact)?;
        let subject = format!("custodian of {camera}: {reason}");
        let entry = AuditEntry { principal: principal.name.clone(), action: "custodian_revealed", subject };
        self.0.store.audit(entry).await?;
        Ok(v1::RevealCustodianResponse { unit: one.unit, contact: Some(contact) })
    }
    /// Puts the custodians of a file in the place of those that its cameras had, also where the caller hangs up meanwhile.
    pub async fn import_custodians(
        &self,
        principal: &Principal,
        request: v1::ImportCustodiansRequest,
    ) -> Result<v1::ImportCustodiansResponse> {
        check(principal, Right::ManageCustodians)?;
        // What is known to nobody but the whole town's may be named by it too, to be removed.
        let before = self.0.store.custodians().await?;
        let known = |camera: &CameraId| {
            let there = self.0.options.points.path_of(camera).is_some()
                || before.binary_search_by(|one| one.camera.cmp(camera)).is_ok();
            there && self.sees_point(principal, camera)
        };
        let read = Rows::read(&request.csv, known);
        if !read.faults.is_empty() {
            return Ok(v1::ImportCustodiansResponse { faults: read.faults, ..Default::default() });
        }
        let keys = Arc::clone(&self.0.custodian_keys).lock_owned().await;
        let (bus, who) = (self.clone(), principal.name.clone());
        whole(async move { bus.put_custodians(keys, &who, read.rows, request.dry_run).await }).await
    }
    async fn put_custodians(
        &self,
        keys: OwnedMutexGuard<Keys>,
        who: &str,
        read: BTreeMap<CameraId, Option<Custodian>>,
        dry_run: bool,
    ) -> Result<v1::ImportCustodiansResponse> {
        let mut told = v1::ImportCustodiansResponse::default();
        // Once more, now that nobody else writes.
        let before = self.0.store.custodians().await?;
        let mut rows = Vec::new();
        for (camera, wanted) in read {
            let at = before.binary_search_by(|one| one.camera.cmp(&camera));
            let had = at.ok().map(|at| &before[at]);
            // What cannot be opened any more is put anew.
            let same = |one: &Sealed, wanted: &Custodian| {
                one.unit == wanted.unit
                    && keys.open_contact(&camera, &one.contact).is_ok_and(|found| found == wanted.contact)
            };
            match (had, &wanted) {
                (None, None) => {
                    told.unchanged += 1;
                    continue;
                }
                (Some(one), Some(wanted)) if same(one, wanted) => {
                    told.unchanged += 1;
                    continue;
                }
                (None, Some(_)) => told.added += 1,
                (Some(_), Some(_)) => told.changed += 1,
                (Some(_), None) => told.removed += 1,
            }
            let seal = |one: Custodian| -> Result<_> { Ok((one.unit, keys.seal(&camera, &one.contact)?)) };
            let custodian = wanted.map(seal).transpose()?;
            rows.push(PutCustodian { camera, custodian });
        }
        if dry_run || rows.is_empty() {
            return Ok(told);
        }
        let v1::ImportCustodiansResponse { added, changed, removed, .. } = &told;
        let subject = format!("custodians: {added} added, {changed} changed, {removed} removed");
        let entry = AuditEntry { principal: who.to_owned(), action: "custodians_imported", subject };
        self.0.store.put_custodians(rows, custodian::MOST, entry).await?;
        drop(keys);
        Ok(told)
    }
    /// Makes a new key and seals every contact with it, also where the caller hangs up. Where a stop of the service cuts that
    /// off, both keys are known, and it can be done again.
    pub async fn rotate_custodian_key(&self, principal: &Principal) -> Result<u32> {
        check(principal, Right::RotateKeys)?;
        let keys = Arc::clone(&self.0.custodian_keys).lock_owned().await;
        let (bus, who) = (self.clone(), principal.name.clone());
        whole(async move { bus.reseal_custodians(keys, who).await }).await
    }
    async fn reseal_custodians(&self, keys: OwnedMutexGuard<Keys>, who: String) -> Result<u32> {
        let all = self.0.store.custodians().await?;
        // The file of keys is synced: a thread that may wait does it, and seals.
        let work = move || -> Result<_> {
            let mut keys = keys;
            keys.add()?;
            let seal = |one: &Sealed| {
                let contact = keys.open_contact(&one.camera, &one.contact)?;
                Ok((one.camera.clone(), keys.seal(&one.camera, &contact)?))
            };
            let rows = all.iter().map(seal).collect::<Result<Vec<_>>>()?;
            Ok((keys, rows))
        };
        let (mut keys, rows) = on_a_thread(work).await??;
        let sealed = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let subject = format!("key of custodians: {sealed} contacts sealed anew");
        let entry = AuditEntry { principal: who, action: "custodian_key_rotated", subject };
        self.0.store.reseal_custodians(rows, entry).await?;
        on_a_thread(move || keys.forget_former()).await??;
        Ok(sealed)
    }
}

/// Runs to its end though its caller hangs up: with the keys, which must not be let go of before what they sealed is kept.
async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let done = tokio::spawn(work).await;
    done.map_err(|error| {
        let why = if error.is_panic() { "panicked: see the log" } else { "was ended: the service stops" };
        Error::Internal(format!("work on custodians {why}"))
    })?
}

/// Work on a thread of its own, which may wait for the disk. One at a time: whoever asks holds the keys.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (reply, done) = oneshot::channel();
    std::thread::Builder::new()
        .name("custodian-keys".to_owned())
        // The asker waits, unless it is gone; what is begun is done whole.
        .spawn(move || drop(reply.send(work())))
        .map_err(Error::io("start a thread for the keys of custodians"))?;
    done.await.map_err(|_| Error::Internal("the thread of the keys of custodians ended".to_owned()))
}
