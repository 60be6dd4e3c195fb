//! Tables, and how older files become current ones.
//!
//! `user_version` holds the schema. A migration is one step in [`STEPS`]; steps are only ever added.

use rusqlite::Connection;

use crate::error::{Error, Result};

/// The steps of the bus's store, from schema 0 (an empty file) on.
pub(super) const STORE_STEPS: &[&str] = &[
    r"
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Latest state of every alert; the content is in alert_state. level is the most severe one so far.
CREATE TABLE alert (
    alert_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, change_seq INTEGER NOT NULL, kind INTEGER NOT NULL,
    class INTEGER NOT NULL, level INTEGER NOT NULL, lane INTEGER NOT NULL, firing INTEGER NOT NULL,
    camera TEXT NOT NULL, path TEXT NOT NULL, publisher TEXT NOT NULL, committed_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX alert_by_change ON alert (change_seq);
CREATE INDEX alert_firing ON alert (lane, change_seq) WHERE firing = 1;
CREATE INDEX alert_by_publisher ON alert (publisher, firing);

-- Every state ever committed; seq is its place in the feed.
CREATE TABLE alert_state (
    seq INTEGER PRIMARY KEY, alert_id TEXT NOT NULL, revision INTEGER NOT NULL, lane INTEGER NOT NULL,
    level INTEGER NOT NULL, identity BLOB NOT NULL, committed_us INTEGER NOT NULL,
    committed_mono_ns INTEGER NOT NULL, content BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_state_by_revision ON alert_state (alert_id, revision);

-- The ordered feed of changes; the only table that is trimmed.
CREATE TABLE feed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, alert_id TEXT NOT NULL,
    committed_us INTEGER NOT NULL
) STRICT;
CREATE INDEX feed_by_lane ON feed (lane, seq);

CREATE TABLE subscription (
    principal TEXT NOT NULL, name TEXT NOT NULL, cursor BLOB NOT NULL, acked_us INTEGER NOT NULL,
    PRIMARY KEY (principal, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
    alert_id TEXT NOT NULL, kind INTEGER NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    facts BLOB NOT NULL, stored_us INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (alert_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_by_time ON evidence (deleted, stored_us);
CREATE INDEX evidence_by_sum ON evidence (sha256);
CREATE TABLE evidence_deleted (
    alert_id TEXT NOT NULL, kind INTEGER NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    stored_us INTEGER NOT NULL, deleted_us INTEGER NOT NULL
) STRICT;

CREATE TABLE register (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, principal TEXT NOT NULL,
    alert_id TEXT NOT NULL, kind INTEGER NOT NULL, purpose INTEGER NOT NULL, reason TEXT NOT NULL,
    granted INTEGER NOT NULL, refusal TEXT NOT NULL
) STRICT;
CREATE INDEX register_by_alert ON register (alert_id, entry_id);
CREATE TABLE audit (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, principal TEXT NOT NULL,
    action TEXT NOT NULL, subject TEXT NOT NULL
) STRICT;

CREATE TRIGGER alert_stays BEFORE DELETE ON alert BEGIN SELECT RAISE(ABORT, 'alerts are never deleted'); END;
CREATE TRIGGER alert_state_stays BEFORE DELETE ON alert_state BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER alert_state_as_is BEFORE UPDATE ON alert_state BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER feed_as_is BEFORE UPDATE ON feed BEGIN SELECT RAISE(ABORT, 'the feed is append-only'); END;
CREATE TRIGGER evidence_stays BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is marked, never forgotten'); END;
CREATE TRIGGER evidence_deleted_stays BEFORE DELETE ON evidence_deleted BEGIN SELECT RAISE(ABORT, 'certificates are append-only'); END;
CREATE TRIGGER evidence_deleted_as_is BEFORE UPDATE ON evidence_deleted BEGIN SELECT RAISE(ABORT, 'certificates are append-only'); END;
CREATE TRIGGER register_stays BEFORE DELETE ON register BEGIN SELECT RAISE(ABORT, 'the register is append-only'); END;
CREATE TRIGGER register_as_is BEFORE UPDATE ON register BEGIN SELECT RAISE(ABORT, 'the register is append-only'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_as_is BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
",
    r"
-- What evidence takes, kept in step by triggers: each piece that comes asks for it.
CREATE TABLE evidence_kept (
    one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL, pieces INTEGER NOT NULL
) STRICT;
INSERT INTO evidence_kept
    SELECT 1, coalesce(sum(size_bytes), 0), count(*) FROM evidence WHERE deleted = 0 AND sha256 <> '';
CREATE INDEX evidence_kept_by_time ON evidence (stored_us, size_bytes) WHERE deleted = 0 AND sha256 <> '';
CREATE TRIGGER evidence_comes AFTER INSERT ON evidence WHEN NEW.deleted = 0 AND NEW.sha256 <> '' BEGIN
    UPDATE evidence_kept SET bytes = bytes + NEW.size_bytes, pieces = pieces + 1;
END;
CREATE TRIGGER evidence_changes AFTER UPDATE ON evidence BEGIN
    UPDATE evidence_kept SET
        bytes = bytes + (NEW.deleted = 0 AND NEW.sha256 <> '') * NEW.size_bytes
            - (OLD.deleted = 0 AND OLD.sha256 <> '') * OLD.size_bytes,
        pieces = pieces + (NEW.deleted = 0 AND NEW.sha256 <> '') - (OLD.deleted = 0 AND OLD.sha256 <> '');
END;
",
    r"
-- Names of subscriptions that were ever used; the empty one stands for all without a name.
CREATE TABLE subscriber (
    principal TEXT NOT NULL, name TEXT NOT NULL, first_us INTEGER NOT NULL, PRIMARY KEY (principal, name)
) STRICT, WITHOUT ROWID;
INSERT INTO subscriber SELECT principal, name, acked_us FROM subscription;
",
    r"
-- How far each sink has come in the record, lane by lane.
CREATE TABLE sink (
    name TEXT PRIMARY KEY, critical INTEGER NOT NULL, major INTEGER NOT NULL, minor INTEGER NOT NULL,
    since_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The share ledger: what left for which sink.
CREATE TABLE share (
    share_id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, sink TEXT NOT NULL,
    alert_id TEXT NOT NULL, revision INTEGER NOT NULL, status INTEGER NOT NULL, content INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, attempt INTEGER NOT NULL
) STRICT;
CREATE INDEX share_by_alert ON share (alert_id, share_id);
CREATE INDEX share_by_sink ON share (sink, share_id);
CREATE TRIGGER share_stays BEFORE DELETE ON share BEGIN SELECT RAISE(ABORT, 'the share ledger is append-only'); END;
CREATE TRIGGER share_fixed BEFORE UPDATE ON share BEGIN SELECT RAISE(ABORT, 'the share ledger is append-only'); END;
-- States that a sink did not take; seq is their place in the record.
CREATE TABLE dead_letter (
    letter_id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, alert_id TEXT NOT NULL,
    revision INTEGER NOT NULL, seq INTEGER NOT NULL, fault INTEGER NOT NULL, status INTEGER NOT NULL,
    attempts INTEGER NOT NULL, died_us INTEGER NOT NULL, state INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX dead_letter_by_place ON dead_letter (sink, seq);
CREATE INDEX dead_letter_by_state ON dead_letter (sink, state, letter_id);
CREATE TRIGGER dead_letter_stays BEFORE DELETE ON dead_letter
    BEGIN SELECT RAISE(ABORT, 'dead letters are never deleted'); END;
-- What other systems reported about alerts.
CREATE TABLE external_state (
    report_id INTEGER PRIMARY KEY AUTOINCREMENT, principal TEXT NOT NULL, key TEXT NOT NULL,
    alert_id TEXT NOT NULL, content BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX external_state_by_key ON external_state (principal, key);
CREATE INDEX external_state_by_alert ON external_state (alert_id, report_id);
CREATE TRIGGER external_state_stays BEFORE DELETE ON external_state
    BEGIN SELECT RAISE(ABORT, 'external states are append-only'); END;
CREATE TRIGGER external_state_fixed BEFORE UPDATE ON external_state
    BEGIN SELECT RAISE(ABORT, 'external states are append-only'); END;
",
];

/// The steps of a node's spool.
pub(super) const SPOOL_STEPS: &[&str] = &[
    r"
CREATE TABLE item (
    item_id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, alert_id TEXT NOT NULL,
    content BLOB NOT NULL, data_file TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    minted_us INTEGER NOT NULL, minted_mono_ns INTEGER NOT NULL, boot TEXT NOT NULL
) STRICT;
CREATE INDEX item_by_kind ON item (kind, item_id);
CREATE TABLE dead (
    item_id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, alert_id TEXT NOT NULL, content BLOB NOT NULL,
    reason TEXT NOT NULL, died_us INTEGER NOT NULL
) STRICT;
",
    r"
-- The state's revision; 0 for evidence.
ALTER TABLE item ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX item_by_state ON item (alert_id, revision) WHERE revision > 0;
CREATE INDEX item_by_alert ON item (alert_id, kind, item_id);
CREATE INDEX item_by_file ON item (data_file) WHERE data_file <> '';
",
];

/// Brings a file to the latest schema, in one transaction.
pub(super) fn migrate(db: &mut Connection, what: &str, steps: &[&str]) -> Result<()> {
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(steps.len()).expect("there are a handful of steps");
    if found > known {
        return Err(Error::Newer { what: what.to_owned(), found, known });
    }
    let done = usize::try_from(found).map_err(|_| {
        Error::DataLoss(format!("{what} has the impossible schema {found}: restore a backup"))
    })?;
    if done == steps.len() {
        return Ok(());
    }
    let step = db.transaction()?;
    for sql in &steps[done..] {
        step.execute_batch(sql)?;
    }
    step.execute_batch(&format!("PRAGMA user_version = {known}"))?;
    step.commit()?;
    Ok(())
}
