//! Tables, and how older files become current ones.
//!
//! `user_version` holds the schema. A migration is one step; steps are only ever added. A file that is not new is copied
//! first (`before-schema-N/` beside it), and a migration that fails leaves it as it was.
//!
//! A migration keeps the epoch as long as the places of the feed mean what they meant: a console that was away over an
//! update gets what it missed, with no gap. A step that renumbers, drops or reorders places, or changes what a cursor is,
//! ends with [`NEW_EPOCH`].

use std::path::Path;

use rusqlite::Connection;

use super::backup;
use crate::error::{Error, Result};

/// Forgets the epoch, so that whoever opens the store begins a new one.
pub(super) const NEW_EPOCH: &str = "DELETE FROM meta WHERE key = 'epoch';";

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
-- Steps of wall clocks.
CREATE TABLE clock_step (
    step_id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, at_us INTEGER NOT NULL, by_us INTEGER NOT NULL,
    UNIQUE (source, at_us)
) STRICT;
CREATE TRIGGER clock_step_stays BEFORE DELETE ON clock_step BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
CREATE TRIGGER clock_step_as_is BEFORE UPDATE ON clock_step BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
",
    r"
-- The audit of deliveries: who read with which filter, and which stretches of the feed came how far with them. A
-- snapshot stands for all that was active at upto_seq.
CREATE TABLE delivery_reader (
    reader_id INTEGER PRIMARY KEY, principal TEXT NOT NULL, name TEXT NOT NULL, mark BLOB NOT NULL,
    filter BLOB NOT NULL, within TEXT
) STRICT;
CREATE UNIQUE INDEX delivery_reader_by_name ON delivery_reader (principal, name, mark);
CREATE TABLE delivery_range (
    range_id INTEGER PRIMARY KEY AUTOINCREMENT, reader_id INTEGER NOT NULL, stage INTEGER NOT NULL,
    snapshot INTEGER NOT NULL, lane INTEGER NOT NULL, after_seq INTEGER NOT NULL, upto_seq INTEGER NOT NULL,
    from_us INTEGER NOT NULL, to_us INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX delivery_range_by_place ON delivery_range (reader_id, stage, snapshot, lane, upto_seq);
",
    r"
-- Until when each piece is kept at least. A promise only grows; pieces of earlier schemas were promised 30 days.
DROP TRIGGER evidence_comes;
DROP TRIGGER evidence_changes;
DROP TABLE evidence_kept;
DROP INDEX evidence_by_time;
ALTER TABLE evidence ADD COLUMN keep_until_us INTEGER NOT NULL DEFAULT 0;
UPDATE evidence SET keep_until_us = stored_us + 30 * 86400000000;
CREATE INDEX evidence_by_promise ON evidence (keep_until_us, alert_id, kind, size_bytes)
    WHERE deleted = 0 AND sha256 <> '';
CREATE TRIGGER evidence_promise_stays BEFORE UPDATE OF keep_until_us ON evidence
    WHEN NEW.keep_until_us < OLD.keep_until_us AND OLD.sha256 <> '' BEGIN
    SELECT RAISE(ABORT, 'what was promised is never shortened');
END;

-- What each kind of evidence takes, kept in step by triggers: each piece that comes asks for it.
CREATE TABLE evidence_space (
    kind INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, pieces INTEGER NOT NULL
) STRICT;
INSERT INTO evidence_space VALUES (1, 0, 0), (2, 0, 0), (3, 0, 0);
UPDATE evidence_space SET (bytes, pieces) = (SELECT coalesce(sum(size_bytes), 0), count(*) FROM evidence
    WHERE evidence.kind = evidence_space.kind AND deleted = 0 AND sha256 <> '');
CREATE TRIGGER evidence_comes AFTER INSERT ON evidence WHEN NEW.deleted = 0 AND NEW.sha256 <> '' BEGIN
    UPDATE evidence_space SET bytes = bytes + NEW.size_bytes, pieces = pieces + 1 WHERE kind = NEW.kind;
END;
CREATE TRIGGER evidence_changes AFTER UPDATE OF deleted, sha256, size_bytes ON evidence BEGIN
    UPDATE evidence_space SET
        bytes = bytes + (NEW.deleted = 0 AND NEW.sha256 <> '') * NEW.size_bytes
            - (OLD.deleted = 0 AND OLD.sha256 <> '') * OLD.size_bytes,
        pieces = pieces + (NEW.deleted = 0 AND NEW.sha256 <> '') - (OLD.deleted = 0 AND OLD.sha256 <> '')
        WHERE kind = NEW.kind;
END;

-- What a deletion was verified by (a DeletionProof), and the promise that had ended.
ALTER TABLE evidence_deleted ADD COLUMN promised_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence_deleted ADD COLUMN proof INTEGER NOT NULL DEFAULT 0;
CREATE INDEX evidence_deleted_by_alert ON evidence_deleted (alert_id);
CREATE INDEX evidence_deleted_by_time ON evidence_deleted (deleted_us);

-- Legal holds on the evidence of alerts; in force until lifted_us is set.
CREATE TABLE legal_hold (
    hold_id INTEGER PRIMARY KEY AUTOINCREMENT, alert_id TEXT NOT NULL, set_by TEXT NOT NULL, reason TEXT NOT NULL,
    set_us INTEGER NOT NULL, lifted_by TEXT NOT NULL DEFAULT '', lift_reason TEXT NOT NULL DEFAULT '',
    lifted_us INTEGER
) STRICT;
CREATE INDEX legal_hold_by_alert ON legal_hold (alert_id, hold_id);
CREATE INDEX legal_hold_in_force ON legal_hold (alert_id) WHERE lifted_us IS NULL;
CREATE TRIGGER legal_hold_stays BEFORE DELETE ON legal_hold BEGIN SELECT RAISE(ABORT, 'holds are never deleted'); END;
CREATE TRIGGER legal_hold_as_is BEFORE UPDATE ON legal_hold
    WHEN OLD.lifted_us IS NOT NULL OR NEW.alert_id <> OLD.alert_id OR NEW.set_by <> OLD.set_by
        OR NEW.reason <> OLD.reason OR NEW.set_us <> OLD.set_us BEGIN
    SELECT RAISE(ABORT, 'a hold is lifted once and otherwise append-only');
END;
CREATE TRIGGER held_evidence_stays BEFORE UPDATE OF deleted ON evidence
    WHEN NEW.deleted <> 0 AND OLD.deleted = 0
        AND EXISTS (SELECT 1 FROM legal_hold WHERE alert_id = NEW.alert_id AND lifted_us IS NULL) BEGIN
    SELECT RAISE(ABORT, 'evidence under legal hold is never deleted');
END;
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
    r"
-- What is silenced. The scope is a SilenceScope of suppression.proto.
CREATE TABLE silence (
    silence_id INTEGER PRIMARY KEY AUTOINCREMENT, scope BLOB NOT NULL, purpose INTEGER NOT NULL, author TEXT NOT NULL,
    reason TEXT NOT NULL, begin_us INTEGER NOT NULL, end_us INTEGER NOT NULL, created_us INTEGER NOT NULL,
    expired_us INTEGER NOT NULL DEFAULT 0, expired_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX silence_by_end ON silence (end_us) WHERE expired_us = 0;
CREATE TRIGGER silence_stays BEFORE DELETE ON silence BEGIN SELECT RAISE(ABORT, 'silences are never deleted'); END;

-- For how long an alert was suppressed for one reason: cause 1 is a silence, 2 an alert that inhibits. shown_seq is the
-- last place of the feed at which the alert was shown before; 0: it was not.
CREATE TABLE suppression (
    suppression_id INTEGER PRIMARY KEY AUTOINCREMENT, alert_id TEXT NOT NULL, level INTEGER NOT NULL,
    cause INTEGER NOT NULL, silence_id INTEGER NOT NULL, inhibitor TEXT NOT NULL, inhibitor_kind INTEGER NOT NULL,
    since_us INTEGER NOT NULL, until_us INTEGER, ended INTEGER NOT NULL DEFAULT 0, first_revision INTEGER NOT NULL,
    last_revision INTEGER NOT NULL, states INTEGER NOT NULL, shown_seq INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX suppression_lasting ON suppression (alert_id) WHERE until_us IS NULL;
CREATE TRIGGER suppression_stays BEFORE DELETE ON suppression BEGIN SELECT RAISE(ABORT, 'suppressions are never deleted'); END;
CREATE INDEX alert_firing_by_camera ON alert (camera, kind) WHERE firing = 1;

-- States that were committed and have no place in the feed. What is shown later is a copy of the state at a place of its
-- own: one revision may have two rows, and both say the same.
CREATE TABLE suppressed_state (seq INTEGER PRIMARY KEY, suppression_id INTEGER NOT NULL) STRICT;
CREATE TRIGGER suppressed_state_stays BEFORE DELETE ON suppressed_state BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
DROP INDEX alert_state_by_revision;
CREATE INDEX alert_state_by_revision ON alert_state (alert_id, revision);
CREATE TRIGGER alert_state_says_one_thing BEFORE INSERT ON alert_state WHEN EXISTS (
    SELECT 1 FROM alert_state s WHERE s.alert_id = NEW.alert_id AND s.revision = NEW.revision
        AND (s.identity <> NEW.identity OR NOT EXISTS (SELECT 1 FROM suppressed_state x WHERE x.seq = s.seq))
) BEGIN SELECT RAISE(ABORT, 'a state never changes'); END;
",
    r"
-- Flood groups. alert_id is the alert of the bus that stands for the group, place a camera or a division path; members is
-- how many alerts it has had, told how many its alert says. In suppression, cause 3 is a group and inhibitor its alert.
CREATE TABLE flood (
    alert_id TEXT PRIMARY KEY, kind INTEGER NOT NULL, place TEXT NOT NULL, level INTEGER NOT NULL,
    since_us INTEGER NOT NULL, until_us INTEGER, members INTEGER NOT NULL, told INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX flood_lasting ON flood (kind, place) WHERE until_us IS NULL;
CREATE TRIGGER flood_stays BEFORE DELETE ON flood BEGIN SELECT RAISE(ABORT, 'flood groups are never deleted'); END;
CREATE INDEX suppression_by_alert ON suppression (inhibitor, suppression_id) WHERE inhibitor <> '';
CREATE INDEX suppression_in_flood ON suppression (alert_id) WHERE cause = 3;
-- When alerts of a kind came at a place last, by the monotonic clock of the boot that meta.flood_boot names.
CREATE TABLE flood_arrival (
    kind INTEGER NOT NULL, place TEXT NOT NULL, times BLOB NOT NULL, PRIMARY KEY (kind, place)
) STRICT, WITHOUT ROWID;
",
    r"
-- For which cameras a firing alert stands: of an upstream that is down, all that are behind it.
CREATE TABLE camera_behind (
    camera TEXT NOT NULL, alert_id TEXT NOT NULL, PRIMARY KEY (camera, alert_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX camera_behind_by_alert ON camera_behind (alert_id);
",
    // Accounts.
    r"
-- Who may sign in. content is an Account of account.proto; password a PHC string, empty where there is none; key the digest
-- of a machine's key; totp the sealed secret of a second factor and totp_step the last of its steps that was used.
CREATE TABLE account (
    name TEXT PRIMARY KEY, content BLOB NOT NULL, revision INTEGER NOT NULL, password TEXT NOT NULL,
    password_us INTEGER NOT NULL, key BLOB, totp BLOB NOT NULL, totp_confirmed INTEGER NOT NULL,
    totp_step INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX account_by_key ON account (key) WHERE key IS NOT NULL;
CREATE TRIGGER account_stays BEFORE DELETE ON account BEGIN SELECT RAISE(ABORT, 'accounts are never deleted'); END;
-- What was done with accounts; content is what the account was afterwards, where it changed.
CREATE TABLE account_change (
    change_id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, account TEXT NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, detail TEXT NOT NULL, content BLOB
) STRICT;
CREATE INDEX account_change_by_account ON account_change (account, change_id);
CREATE TRIGGER account_change_stays BEFORE DELETE ON account_change
    BEGIN SELECT RAISE(ABORT, 'the log of accounts is append-only'); END;
CREATE TRIGGER account_change_as_is BEFORE UPDATE ON account_change
    BEGIN SELECT RAISE(ABORT, 'the log of accounts is append-only'); END;
-- Sessions that are open, and one-time tokens that are not used, by their digests.
CREATE TABLE account_session (
    session_id INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE, account TEXT NOT NULL,
    begun_us INTEGER NOT NULL, used_us INTEGER NOT NULL, address TEXT NOT NULL
) STRICT;
CREATE INDEX account_session_by_account ON account_session (account);
CREATE TABLE account_ticket (
    account TEXT PRIMARY KEY, token BLOB NOT NULL UNIQUE, until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
",
    r"
-- Cases. An alert has none until somebody or its clock touches it; untouched_us: since when it waits for that, NULL: it was
-- not shown, or was touched. What was over before there were cases waits for nobody.
ALTER TABLE alert ADD COLUMN untouched_us INTEGER;
UPDATE alert SET untouched_us = committed_us WHERE firing = 1
    AND NOT EXISTS (SELECT 1 FROM suppressed_state x WHERE x.seq = alert.change_seq);
CREATE INDEX alert_untouched ON alert (class, lane, untouched_us) WHERE untouched_us IS NOT NULL;

-- A case is what its events make of it; what stands here besides is for lists. missed_kind: of what somebody reported that the
-- machine missed it, 0: of nothing. due_us: when its clock has something to say.
CREATE TABLE case_file (
    case_id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL, revision INTEGER NOT NULL, state INTEGER NOT NULL,
    kind INTEGER NOT NULL, class INTEGER NOT NULL, level INTEGER NOT NULL, camera TEXT NOT NULL, path TEXT NOT NULL,
    opened_us INTEGER NOT NULL, missed_kind INTEGER NOT NULL, due_us INTEGER
) STRICT;
CREATE UNIQUE INDEX case_file_by_number ON case_file (number);
CREATE INDEX case_file_by_time ON case_file (opened_us, number);
CREATE INDEX case_file_due ON case_file (due_us) WHERE due_us IS NOT NULL;
CREATE TRIGGER case_file_stays BEFORE DELETE ON case_file BEGIN SELECT RAISE(ABORT, 'cases are never deleted'); END;
CREATE TRIGGER case_file_as_is BEFORE UPDATE ON case_file
    WHEN NEW.case_id <> OLD.case_id OR NEW.number <> OLD.number OR NEW.kind <> OLD.kind OR NEW.camera <> OLD.camera
        OR NEW.path <> OLD.path OR NEW.opened_us <> OLD.opened_us OR NEW.revision < OLD.revision BEGIN
    SELECT RAISE(ABORT, 'what a case is about never changes');
END;
-- content is a CaseEvent of case.proto, hash the SHA-256 of prev_hash and content; of the first event prev_hash is 32 zeros.
CREATE TABLE case_event (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id INTEGER NOT NULL, revision INTEGER NOT NULL,
    at_us INTEGER NOT NULL, content BLOB NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX case_event_by_case ON case_event (case_id, revision);
CREATE TRIGGER case_event_stays BEFORE DELETE ON case_event BEGIN SELECT RAISE(ABORT, 'the history of cases is append-only'); END;
CREATE TRIGGER case_event_as_is BEFORE UPDATE ON case_event BEGIN SELECT RAISE(ABORT, 'the history of cases is append-only'); END;
-- The case of an alert, for ever: where that became part of another, its events say of which.
CREATE TABLE case_alert (alert_id TEXT PRIMARY KEY, case_id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX case_alert_by_case ON case_alert (case_id);
CREATE TRIGGER case_alert_stays BEFORE DELETE ON case_alert BEGIN SELECT RAISE(ABORT, 'the alerts of cases are append-only'); END;
CREATE TRIGGER case_alert_as_is BEFORE UPDATE ON case_alert BEGIN SELECT RAISE(ABORT, 'the alerts of cases are append-only'); END;
-- The last sequence given to a place, day and kind; and the keys under which people reported by hand.
CREATE TABLE case_sequence (head TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE case_report (
    account TEXT NOT NULL, key TEXT NOT NULL, case_id INTEGER NOT NULL, PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
-- Events of cases that sinks are told of, and how far each has come.
CREATE TABLE case_notice (
    notice_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id INTEGER NOT NULL, revision INTEGER NOT NULL
) STRICT;
CREATE TRIGGER case_notice_stays BEFORE DELETE ON case_notice BEGIN SELECT RAISE(ABORT, 'notices are append-only'); END;
CREATE TRIGGER case_notice_as_is BEFORE UPDATE ON case_notice BEGIN SELECT RAISE(ABORT, 'notices are append-only'); END;
CREATE TABLE case_notice_place (sink TEXT PRIMARY KEY, place INTEGER NOT NULL) STRICT, WITHOUT ROWID;
",
    r"
-- Divisions (what is 1, the key a code), duty rules (2, a number) and shifts (3, a number): what is in force from
-- valid_from_us on. The content is a Division, DutyRule or Shift of duty.proto.
CREATE TABLE duty_version (
    version INTEGER PRIMARY KEY AUTOINCREMENT, what INTEGER NOT NULL, key TEXT NOT NULL, valid_from_us INTEGER NOT NULL,
    valid_to_us INTEGER, author TEXT NOT NULL, made_us INTEGER NOT NULL, content BLOB NOT NULL
) STRICT;
CREATE TRIGGER duty_version_stays BEFORE DELETE ON duty_version BEGIN SELECT RAISE(ABORT, 'what was in force is never deleted'); END;
CREATE TRIGGER duty_version_as_is BEFORE UPDATE ON duty_version BEGIN SELECT RAISE(ABORT, 'what was in force never changes'); END;

-- The chain over audit (source 1) and register (2): one link for each entry, in the order in which they came. What was there
-- before is linked when the store is opened, as meta.audit_chain_begins asks.
CREATE TABLE audit_chain (
    link_no INTEGER PRIMARY KEY, source INTEGER NOT NULL, entry_id INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_chain_stays BEFORE DELETE ON audit_chain BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_chain_as_is BEFORE UPDATE ON audit_chain BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
INSERT OR REPLACE INTO meta (key, value) VALUES ('audit_chain_begins', x'01');
-- Signed heads of the chain's Merkle tree, and the roots of its full subtrees (frontier), to go on from.
CREATE TABLE audit_head (
    size INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, root BLOB NOT NULL, link BLOB NOT NULL, key BLOB NOT NULL,
    signature BLOB NOT NULL, frontier BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, 'heads are append-only'); END;
CREATE TRIGGER audit_head_as_is BEFORE UPDATE ON audit_head BEGIN SELECT RAISE(ABORT, 'heads are append-only'); END;
",
    r"
-- What cases come to, for lists and statistics: made of their histories in the transaction that adds to them, and to be made again
-- from them at any time. What was there before is made when the store is opened, as meta.case_facts_begin asks.
-- Places of alerts and cases, and what raised alerts, by number.
CREATE TABLE case_place (place INTEGER PRIMARY KEY, camera TEXT NOT NULL, path TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX case_place_by_name ON case_place (camera, path);
CREATE TABLE case_source (source INTEGER PRIMARY KEY, rule TEXT NOT NULL, model TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX case_source_by_name ON case_source (rule, model);
CREATE TABLE case_unit (unit INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX case_unit_by_name ON case_unit (name);
-- Of a case that nobody has touched, which is its alert.
ALTER TABLE alert ADD COLUMN place INTEGER;
ALTER TABLE alert ADD COLUMN source INTEGER;
ALTER TABLE alert ADD COLUMN drill INTEGER NOT NULL DEFAULT 0;
CREATE INDEX alert_untouched_by_time ON alert (class, untouched_us, alert_id, kind, level, place, drill, source)
    WHERE untouched_us IS NOT NULL;
-- level: the most severe one so far. NULL: reason, it has none; flags, it has none; soon_us, limit_us and close_limit_us, no
-- timer runs; …_us, the stage was not come through; …_late, it had no limit.
CREATE TABLE case_fact (
    opened_us INTEGER NOT NULL, case_id INTEGER NOT NULL, class INTEGER NOT NULL, kind INTEGER NOT NULL,
    level INTEGER NOT NULL, state INTEGER NOT NULL, place INTEGER NOT NULL, reason INTEGER, flags INTEGER,
    soon_us INTEGER, limit_us INTEGER, close_limit_us INTEGER, verdict INTEGER NOT NULL, source INTEGER, unit INTEGER,
    judge_us INTEGER, judge_late INTEGER, dispatch_us INTEGER, dispatch_late INTEGER, accept_us INTEGER,
    accept_late INTEGER, close_us INTEGER, close_late INTEGER, forced_late INTEGER NOT NULL, checked INTEGER NOT NULL,
    PRIMARY KEY (opened_us, case_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_fact_by_place ON case_fact (place, opened_us, case_id);
CREATE INDEX case_fact_by_kind ON case_fact (kind, opened_us, case_id);
CREATE INDEX case_fact_by_level ON case_fact (level, opened_us, case_id);
CREATE INDEX case_fact_by_state ON case_fact (state, opened_us, case_id);
CREATE INDEX case_fact_by_reason ON case_fact (reason, opened_us, case_id) WHERE reason IS NOT NULL;
CREATE INDEX case_fact_by_flag ON case_fact (opened_us, case_id, flags) WHERE flags IS NOT NULL;
CREATE INDEX case_fact_by_limit ON case_fact (limit_us) WHERE limit_us IS NOT NULL;
CREATE INDEX case_fact_by_soon ON case_fact (soon_us) WHERE soon_us IS NOT NULL;
INSERT OR REPLACE INTO meta (key, value) VALUES ('case_facts_begin', x'01');
",
    r"
-- What the register says besides. Numbers are NULL and texts empty in entries from before, whose links in the chain hold so.
ALTER TABLE register ADD COLUMN unit TEXT NOT NULL DEFAULT '';
ALTER TABLE register ADD COLUMN call_reason INTEGER;
ALTER TABLE register ADD COLUMN camera TEXT NOT NULL DEFAULT '';
ALTER TABLE register ADD COLUMN stretch INTEGER;
ALTER TABLE register ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE register ADD COLUMN release_id INTEGER;
ALTER TABLE register ADD COLUMN request_id INTEGER;
CREATE INDEX register_by_time ON register (at_us);
CREATE INDEX register_by_account ON register (principal, entry_id);
CREATE INDEX register_by_unit ON register (unit, entry_id) WHERE unit <> '';
CREATE INDEX register_by_camera ON register (camera, entry_id) WHERE camera <> '';
CREATE INDEX register_by_release ON register (release_id, entry_id) WHERE release_id IS NOT NULL;
CREATE INDEX register_by_request ON register (request_id, entry_id) WHERE request_id IS NOT NULL;

-- Public releases of redacted pieces, each with one decision at most, by another account; until_us: for how long it counts.
CREATE TABLE public_release (
    release_id INTEGER PRIMARY KEY AUTOINCREMENT, alert_id TEXT NOT NULL, camera TEXT NOT NULL, kind INTEGER NOT NULL,
    sha256 TEXT NOT NULL, reason TEXT NOT NULL, prepared_by TEXT NOT NULL, prepared_unit TEXT NOT NULL,
    prepared_us INTEGER NOT NULL
) STRICT;
CREATE INDEX public_release_by_alert ON public_release (alert_id, release_id);
CREATE TRIGGER public_release_stays BEFORE DELETE ON public_release BEGIN SELECT RAISE(ABORT, 'releases are append-only'); END;
CREATE TRIGGER public_release_as_is BEFORE UPDATE ON public_release BEGIN SELECT RAISE(ABORT, 'releases are append-only'); END;
CREATE TABLE public_release_decision (
    release_id INTEGER PRIMARY KEY, approved INTEGER NOT NULL, decided_by TEXT NOT NULL, decided_unit TEXT NOT NULL,
    decided_us INTEGER NOT NULL, refusal TEXT NOT NULL, until_us INTEGER NOT NULL
) STRICT;
CREATE TRIGGER public_release_decision_stays BEFORE DELETE ON public_release_decision
    BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER public_release_decision_as_is BEFORE UPDATE ON public_release_decision
    BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;

-- Requests of those concerned (Order 799, Art. 21): place, time and steps. Nothing is kept of who asks.
CREATE TABLE viewing (
    request_id INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, path TEXT NOT NULL, from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL, basis INTEGER NOT NULL, party INTEGER NOT NULL
) STRICT;
CREATE INDEX viewing_by_camera ON viewing (camera, request_id);
CREATE TRIGGER viewing_stays BEFORE DELETE ON viewing BEGIN SELECT RAISE(ABORT, 'requests are append-only'); END;
CREATE TRIGGER viewing_as_is BEFORE UPDATE ON viewing BEGIN SELECT RAISE(ABORT, 'requests are append-only'); END;
CREATE TABLE viewing_step (
    step_id INTEGER PRIMARY KEY AUTOINCREMENT, request_id INTEGER NOT NULL, state INTEGER NOT NULL, at_us INTEGER NOT NULL,
    account TEXT NOT NULL, unit TEXT NOT NULL, refusal INTEGER NOT NULL, alert_id TEXT NOT NULL, kind INTEGER NOT NULL,
    shown_to INTEGER NOT NULL, register_entry_id INTEGER NOT NULL, outcome INTEGER NOT NULL
) STRICT;
CREATE INDEX viewing_step_by_request ON viewing_step (request_id, step_id);
CREATE TRIGGER viewing_step_stays BEFORE DELETE ON viewing_step BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
CREATE TRIGGER viewing_step_as_is BEFORE UPDATE ON viewing_step BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
",
    r"
-- Who answers for a camera point. The contact is sealed with a key beside the store; there is no history of it.
CREATE TABLE custodian (
    camera TEXT PRIMARY KEY, unit TEXT NOT NULL, contact BLOB NOT NULL, changed_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Each camera point as it was filed with the police.
CREATE TABLE point_filing (
    filing_id INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, content BLOB NOT NULL, noted_us INTEGER NOT NULL
) STRICT;
CREATE INDEX point_filing_by_camera ON point_filing (camera, filing_id);
CREATE TRIGGER point_filing_stays BEFORE DELETE ON point_filing BEGIN SELECT RAISE(ABORT, 'what was filed is never deleted'); END;
CREATE TRIGGER point_filing_as_is BEFORE UPDATE ON point_filing BEGIN SELECT RAISE(ABORT, 'what was filed never changes'); END;
",
    r"
-- Links by which handlers act on a case without an account: a digest of the token, and the revision of the dispatch that it is for.
CREATE TABLE handler_link (
    link_id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, case_id INTEGER NOT NULL, unit TEXT NOT NULL,
    dispatched INTEGER NOT NULL, given_by TEXT NOT NULL, given_unit TEXT NOT NULL, given_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL
) STRICT;
CREATE INDEX handler_link_by_case ON handler_link (case_id, link_id);
CREATE TRIGGER handler_link_stays BEFORE DELETE ON handler_link BEGIN SELECT RAISE(ABORT, 'links are append-only'); END;
CREATE TRIGGER handler_link_as_is BEFORE UPDATE ON handler_link BEGIN SELECT RAISE(ABORT, 'links are append-only'); END;
CREATE TABLE handler_link_opened (link_id INTEGER PRIMARY KEY, opened_us INTEGER NOT NULL) STRICT;
CREATE TRIGGER handler_link_opened_stays BEFORE DELETE ON handler_link_opened
    BEGIN SELECT RAISE(ABORT, 'links are append-only'); END;
CREATE TRIGGER handler_link_opened_as_is BEFORE UPDATE ON handler_link_opened
    BEGIN SELECT RAISE(ABORT, 'links are append-only'); END;
CREATE TABLE handler_link_end (
    link_id INTEGER PRIMARY KEY, ended_us INTEGER NOT NULL, ended_by TEXT NOT NULL, ended_unit TEXT NOT NULL
) STRICT;
CREATE TRIGGER handler_link_end_stays BEFORE DELETE ON handler_link_end
    BEGIN SELECT RAISE(ABORT, 'links are append-only'); END;
CREATE TRIGGER handler_link_end_as_is BEFORE UPDATE ON handler_link_end
    BEGIN SELECT RAISE(ABORT, 'links are append-only'); END;

-- Photos that came by links; the bytes lie with evidence. after: the revision of the case when it came.
CREATE TABLE case_photo (
    photo_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id INTEGER NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    link_id INTEGER NOT NULL, after INTEGER NOT NULL, stored_us INTEGER NOT NULL, keep_until_us INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0, UNIQUE (case_id, sha256)
) STRICT;
CREATE INDEX case_photo_by_end ON case_photo (keep_until_us) WHERE deleted = 0;
CREATE INDEX case_photo_by_sum ON case_photo (sha256);
CREATE TRIGGER case_photo_stays BEFORE DELETE ON case_photo BEGIN SELECT RAISE(ABORT, 'photos are marked, never forgotten'); END;
",
    r"
-- Drills are few among many alerts, and how far one came is asked every other second.
CREATE INDEX alert_of_drill ON alert (change_seq) WHERE drill = 1;
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
    r"
-- Of states: the most urgent lane of those of its alert that wait, and the first item of its alert since it last had none.
-- What waited before there were lanes goes as urgent, and as backlog.
ALTER TABLE item ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
ALTER TABLE item ADD COLUMN head INTEGER NOT NULL DEFAULT 0;
CREATE INDEX item_by_queue ON item (lane, item_id, head, size_bytes) WHERE kind = 0;
",
];

/// Brings a database to the latest schema, in one transaction. One that is neither new nor current is copied before,
/// where `path` says where its file lies.
pub(super) fn migrate(db: &mut Connection, what: &str, steps: &[&str], path: Option<&Path>) -> Result<()> {
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
    if let Some(path) = path.filter(|_| found > 0) {
        backup::before_migration(db, path, found)?;
    }
    let step = db.transaction()?;
    for sql in &steps[done..] {
        step.execute_batch(sql)?;
    }
    step.execute_batch(&format!("PRAGMA user_version = {known}"))?;
    step.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
