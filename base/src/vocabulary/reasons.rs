//! What people read for the reasons by which an account of access units is kept ([`crate::accounting`]): why units were
//! passed over, and why looks at them failed. Accounts say them by word, so that they are no enumeration of the protocol.

/// What a reason is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonLabel {
    /// The word that accounts say.
    pub reason: &'static str,
    /// In Chinese.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
}

const fn label(reason: &'static str, zh: &'static str, en: &'static str) -> ReasonLabel {
    ReasonLabel { reason, zh, en }
}

/// Every reason, by word. Those of failed looks are called as they are elsewhere.
pub const UNIT_REASONS: &[ReasonLabel] = &[
    label("blind", "遮挡、过暗或过亮", "covered, dark or overexposed"),
    label("busy", "分析资源不足", "no worker free"),
    label("connecting", "正在连接", "connecting"),
    label("deadline", "分析超时", "worker missed its deadline"),
    label("expected_off", "计划内关闭", "off as planned"),
    label("expired", "等待过久未被需要", "left the buffer before a look needed it"),
    label("frozen", "画面冻结", "frozen"),
    label("model_failed", "模型失败", "model failed"),
    label("no_reference", "缺少关键帧，无法解码", "no keyframe to decode it from"),
    label("not_connected", "未连接", "not connected"),
    label("not_due", "未到分析时间", "not due"),
    label("offline", "离线", "offline"),
    label("removed", "点位移除或码流变更", "camera removed or stream changed"),
    label("stalled", "码流停滞", "stalled"),
    label("superseded", "已有更新的画面，无须再看", "a later picture told as much"),
    label("too_large", "分辨率超限", "picture too large"),
    label("too_old", "画面过旧", "picture too old"),
    label("undecodable", "无法解码", "cannot be decoded"),
    label("view_moved", "画面已转向", "view moved"),
    label("worker_lost", "分析进程中断", "worker lost"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounting::Skipped, look::NotLooked, vocabulary::ENUMERATIONS};

    #[test]
    fn every_reason_of_an_account_is_called_something_in_both_languages() {
        assert!(UNIT_REASONS.is_sorted_by(|a, b| a.reason < b.reason));
        let named = |reason: &str| UNIT_REASONS.iter().find(|one| one.reason == reason);
        for skipped in Skipped::ALL {
            assert!(named(skipped.word()).is_some(), "{skipped:?}");
        }
        let failed = [
            NotLooked::TooOld,
            NotLooked::Busy,
            NotLooked::Deadline,
            NotLooked::WorkerLost,
            NotLooked::Undecodable,
            NotLooked::TooLarge,
            NotLooked::ModelFailed,
        ];
        for reason in failed {
            assert!(named(reason.word()).is_some(), "{reason}");
        }
        // One thing is called by one name.
        let misses = ENUMERATIONS.iter().find(|one| one.name == "NotLooked").unwrap();
        for label in misses.labels {
            assert!(UNIT_REASONS.iter().any(|one| (one.zh, one.en) == (label.zh, label.en)), "{label:?}");
        }
        assert!(UNIT_REASONS.iter().all(|one| !one.en.is_empty() && !one.zh.is_ascii()));
    }
}
