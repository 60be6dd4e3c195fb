//! How evidence is kept and what of it was deleted, for whoever asks to see it (Order 799, Art. 17): as Markdown.

use xueliang_base::{language::Language, time::Wall};
use xueliang_proto::v1;

use super::{head, row};

/// What the sheet tells.
pub struct Facts {
    /// Name of the site.
    pub site: String,
    /// IANA zone of the times.
    pub timezone: String,
    /// When it is made.
    pub at: Wall,
    /// How evidence is kept.
    pub retention: v1::GetRetentionResponse,
    /// Certificates of deletion, newest first.
    pub certificates: Vec<v1::DeletionCertificate>,
    /// Whether there are more of them.
    pub more: bool,
    /// Holds that last.
    pub holds: Vec<v1::LegalHold>,
}

/// The sheet.
pub fn sheet(facts: &Facts, lang: Language) -> String {
    let Facts { site, timezone, at, retention, certificates, more, holds } = facts;
    let time = |us: i64| if us == 0 { "-".to_owned() } else { Wall(us).rfc3339(timezone) };
    let mut text =
        format!("# {}: {site}\n\n", lang.of("证据留存与删除证明", "Retention and deletion of evidence"));
    text += &format!("{}: {}\n\n", lang.of("出具时间", "Made at"), at.rfc3339(timezone));
    text += &format!("## {}\n\n", lang.of("留存", "Retention"));
    text += &head(&[lang.of("项目", "what"), lang.of("值", "value")]);
    let number = |number: u64| number.to_string();
    for (zh, en, value) in [
        (
            "证据最短留存天数（第17条，不少于30天）",
            "days kept at least (Art. 17: 30 or more)",
            number(retention.keep_days.into()),
        ),
        ("重点目标最短留存天数", "days kept at key points at least", number(retention.key_point_days.into())),
        ("重点目标点位数", "key points", number(retention.key_points.into())),
        ("法律保全的告警数", "alerts whose evidence is held", number(retention.held_alerts)),
        ("证据占用字节", "bytes of evidence", number(retention.used_bytes)),
        ("证据可用字节", "bytes it may take", number(retention.room_bytes)),
    ] {
        text += &row([lang.of(zh, en), &value]);
    }
    text += &format!("\n## {}\n\n", lang.of("法律保全", "Legal holds"));
    if holds.is_empty() {
        text += lang.of("无。\n", "None.\n");
    } else {
        text += &head(&[
            lang.of("编号", "hold"),
            lang.of("告警", "alert"),
            lang.of("保全账号", "set by"),
            lang.of("保全时间", "set at"),
            lang.of("事由", "reason"),
        ]);
    }
    for hold in holds {
        let (id, at) = (hold.hold_id.to_string(), time(hold.set_unix_us));
        text += &row([id.as_str(), &hold.alert_id, &hold.set_by, &at, &hold.reason]);
    }
    text += &format!("\n## {}\n\n", lang.of("删除证明", "Certificates of deletion"));
    if certificates.is_empty() {
        text += lang.of("无。\n", "None.\n");
        return text;
    }
    text += &head(&[
        lang.of("编号", "certificate"),
        lang.of("告警", "alert"),
        lang.of("内容", "what"),
        "SHA-256",
        lang.of("存储时间", "stored"),
        lang.of("承诺留存至", "promised until"),
        lang.of("删除时间", "deleted"),
        lang.of("核验方式", "verified by"),
    ]);
    for one in certificates {
        let proof = match one.proof() {
            v1::DeletionProof::FileGone => lang.of("文件已不存在", "the file is gone"),
            v1::DeletionProof::BytesShared => {
                lang.of("相同内容仍为其他告警留存", "the same bytes are kept for another alert")
            }
            v1::DeletionProof::Unspecified => "-",
        };
        let kind = lang.word("EvidenceKind", one.kind);
        let times = [one.stored_unix_us, one.promised_unix_us, one.deleted_unix_us].map(time);
        let id = one.certificate_id.to_string();
        text +=
            &row([id.as_str(), &one.alert_id, &kind, &one.sha256, &times[0], &times[1], &times[2], proof]);
    }
    if *more {
        text += lang.of(
            "\n更早的证明未列出，可按时间范围另行导出（`--from`、`--to`）。\n",
            "\nThere are older ones: name a stretch of time (`--from`, `--to`).\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deletion_is_a_line_with_its_sum_and_how_it_was_seen_and_what_is_left_out_is_said() {
        let certificate = v1::DeletionCertificate {
            certificate_id: 7,
            alert_id: "a-1".into(),
            kind: v1::EvidenceKind::Clip.into(),
            sha256: "ab12".into(),
            deleted_unix_us: 1_767_225_600_000_000,
            proof: v1::DeletionProof::FileGone.into(),
            ..v1::DeletionCertificate::default()
        };
        let hold = v1::LegalHold { hold_id: 3, reason: "court | asks".into(), ..v1::LegalHold::default() };
        let facts = Facts {
            site: "Town".into(),
            timezone: "Asia/Shanghai".into(),
            at: Wall(1_767_225_600_000_000),
            retention: v1::GetRetentionResponse { keep_days: 30, key_point_days: 90, ..Default::default() },
            certificates: vec![certificate],
            more: true,
            holds: vec![hold],
        };
        let zh = sheet(&facts, Language::Chinese);
        assert!(
            zh.contains(
                "| 7 | a-1 | 原始录像 | ab12 | - | - | 2026-01-01T08:00:00.000+08:00 | 文件已不存在 |"
            ),
            "{zh}"
        );
        assert!(zh.contains("更早的证明未列出") && zh.contains("court \\| asks"));
        let en = sheet(&Facts { more: false, certificates: Vec::new(), ..facts }, Language::English);
        assert!(
            en.ends_with("None.\n") && en.contains("| days kept at least (Art. 17: 30 or more) | 30 |"),
            "{en}"
        );
    }
}
