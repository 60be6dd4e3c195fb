//! Custodians: one row a camera, written over; what was there is overwritten on the disk as well (`secure_delete`).

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use xueliang_base::{id::CameraId, time::Wall};

use super::{
    super::{Answer, AuditEntry, CustodianStore, PutCustodian},
    SqliteStore,
    convert::{damaged, unsigned},
    rest,
};
use crate::{
    custodian::Sealed,
    error::{Error, Result},
};

impl CustodianStore for SqliteStore {
    fn custodians(&self) -> Answer<Vec<Sealed>> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT camera, unit, contact, changed_us FROM custodian ORDER BY camera")?;
            let mut rows = query.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(read(row)?);
            }
            Ok(all)
        })
    }
    fn custodian(&self, camera: CameraId) -> Answer<Option<Sealed>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT camera, unit, contact, changed_us FROM custodian WHERE camera = ?1",
            )?;
            let mut rows = query.query([camera.as_str()])?;
            rows.next()?.map(read).transpose()
        })
    }
    fn put_custodians(&self, rows: Vec<PutCustodian>, max: usize, audit: AuditEntry) -> Answer<()> {
        self.write(move |db, batch| put(db, &rows, max, &audit, batch.wall()))
    }
    fn reseal_custodians(&self, rows: Vec<(CameraId, Vec<u8>)>, audit: AuditEntry) -> Answer<()> {
        self.write(move |db, batch| {
            overwrite(db, true)?;
            let mut update = db.prepare_cached("UPDATE custodian SET contact = ?2 WHERE camera = ?1")?;
            for (camera, contact) in &rows {
                update.execute(params![camera.as_str(), contact])?;
            }
            overwrite(db, false)?;
            rest::audit(db, &audit, batch.wall())
        })
    }
}

/// Whether this connection fills with zeros what it frees: so a contact that is over is not left in free pages. All else that
/// the store frees need not be, and is not.
fn overwrite(db: &Connection, on: bool) -> Result<()> {
    let mut pragma =
        db.prepare_cached(if on { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = OFF" })?;
    pragma.query_row([], |_| Ok(())).optional()?;
    Ok(())
}

fn put(db: &Connection, rows: &[PutCustodian], max: usize, audit: &AuditEntry, now: Wall) -> Result<()> {
    overwrite(db, true)?;
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO custodian (camera, unit, contact, changed_us) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut delete = db.prepare_cached("DELETE FROM custodian WHERE camera = ?1")?;
    for row in rows {
        match &row.custodian {
            Some((unit, contact)) => insert.execute(params![row.camera.as_str(), unit, contact, now.0])?,
            None => delete.execute([row.camera.as_str()])?,
        };
    }
    overwrite(db, false)?;
    let count = unsigned(db.query_row("SELECT count(*) FROM custodian", [], |row| row.get(0))?);
    if count > max as u64 {
        return Err(Error::Exhausted(format!(
            "there would be custodians of {count} cameras, at most {max} are kept: remove those of cameras that are gone"
        )));
    }
    rest::audit(db, audit, now)
}

fn read(row: &Row<'_>) -> Result<Sealed> {
    let camera: String = row.get(0)?;
    Ok(Sealed {
        camera: camera.parse().map_err(|_| damaged("custodian")())?,
        unit: row.get(1)?,
        contact: row.get(2)?,
        changed: Wall(row.get(3)?),
    })
}
