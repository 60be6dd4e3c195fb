//! The ledger as CSV: columns and words in the language of whoever prints it.

use xueliang_base::{csv::harmless, language::Language, time::Wall};
use xueliang_proto::v1;

use crate::error::{Error, Result};

/// What columns are called.
const COLUMNS: [(&str, &str); 15] = [
    ("编号", "entry"),
    ("时间", "time"),
    ("账号", "account"),
    ("单位", "unit"),
    ("调用事由", "reason"),
    ("说明", "in words"),
    ("调用内容", "what"),
    ("点位", "camera"),
    ("告警", "alert"),
    ("录像分段", "stretch"),
    ("校验值", "sha256"),
    ("结果", "outcome"),
    ("未提供原因", "refusal"),
    ("公开发布编号", "release"),
    ("查阅申请编号", "request"),
];

/// The line of column names.
pub(super) fn header(language: Language) -> Result<Vec<u8>> {
    lines(std::iter::once(COLUMNS.map(|(zh, en)| language.of(zh, en).to_owned())))
}

/// Lines of entries; times in this IANA zone.
pub(super) fn rows(entries: &[v1::RegisterEntry], language: Language, zone: &str) -> Result<Vec<u8>> {
    lines(entries.iter().map(|one| cells(one, language, zone)))
}

fn cells(one: &v1::RegisterEntry, language: Language, zone: &str) -> [String; COLUMNS.len()] {
    let number = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let is_clip = one.kind() == v1::EvidenceKind::Clip;
    let outcome =
        if one.granted { language.of("已提供", "given") } else { language.of("未提供", "refused") };
    [
        one.entry_id.to_string(),
        Wall(one.at_unix_us).rfc3339(zone),
        one.principal.clone(),
        one.unit.clone(),
        language.word("CallReason", one.call_reason),
        one.reason.clone(),
        language.word("EvidenceKind", one.kind),
        one.camera_id.clone(),
        one.alert_id.clone(),
        if is_clip { one.stretch.to_string() } else { String::new() },
        one.sha256.clone(),
        outcome.to_owned(),
        one.refusal.clone(),
        number(one.release_id),
        number(one.request_id),
    ]
}

fn lines(rows: impl Iterator<Item = [String; COLUMNS.len()]>) -> Result<Vec<u8>> {
    let fault = |fault: csv::Error| Error::Internal(format!("write the register as CSV: {fault}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.map(harmless)).map_err(fault)?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::Internal(format!("write the register as CSV: {}", error.error())))
}
