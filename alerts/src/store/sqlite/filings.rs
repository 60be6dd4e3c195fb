//! Filings of points: what was filed stays as it was filed.

use prost::Message as _;
use rusqlite::{Connection, Row, params};
use xueliang_base::time::Wall;
use xueliang_proto::v1;

use super::{
    super::{Answer, AuditEntry, FilingQuery, FilingStore},
    SqliteStore,
    convert::{damaged, limit, unsigned},
    query::{Sql, int},
    rest,
};
use crate::error::Result;

const FILING: &str = "SELECT filing_id, content, noted_us FROM point_filing";

impl FilingStore for SqliteStore {
    fn latest_filings(&self) -> Answer<Vec<v1::Filing>> {
        self.read(|db| {
            let latest = "SELECT max(filing_id) FROM point_filing GROUP BY camera";
            Sql::new(format!("{FILING} WHERE filing_id IN ({latest})")).all(db, read)
        })
    }
    fn filings(&self, query: FilingQuery) -> Answer<Vec<v1::Filing>> {
        self.read(move |db| {
            let mut sql = Sql::new(format!("{FILING} WHERE 1"));
            if let Some(camera) = &query.camera {
                sql.add(" AND camera = ?", [camera.to_string().into()]);
            }
            if let Some(before) = query.before_exclusive {
                sql.add(" AND filing_id < ?", [int(before)]);
            }
            sql.add(" ORDER BY filing_id DESC LIMIT ?", [limit(query.limit).into()]).all(db, read)
        })
    }
    fn file_points(&self, filings: Vec<v1::Filing>, audit: AuditEntry) -> Answer<()> {
        self.write(move |db, batch| put(db, &filings, &audit, batch.wall()))
    }
}

fn put(db: &Connection, filings: &[v1::Filing], audit: &AuditEntry, now: Wall) -> Result<()> {
    let mut insert =
        db.prepare_cached("INSERT INTO point_filing (camera, content, noted_us) VALUES (?1, ?2, ?3)")?;
    for one in filings {
        let camera = one.facts.as_ref().map(|facts| facts.camera_id.as_str()).unwrap_or_default();
        insert.execute(params![camera, one.encode_to_vec(), now.0])?;
    }
    rest::audit(db, audit, now)
}

fn read(row: &Row<'_>) -> Result<v1::Filing> {
    let content = row.get_ref(1)?.as_blob().map_err(|_| damaged("filing")())?;
    let one = v1::Filing::decode(content).map_err(|_| damaged("filing")())?;
    Ok(v1::Filing { filing_id: unsigned(row.get(0)?), noted_unix_us: row.get(2)?, ..one })
}
