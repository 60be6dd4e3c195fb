//! What people read for the enumerations of the protocol, in Chinese and in English. Kinds have a table of their own
//! ([`crate::kind`]).
//!
//! A console shows these words and has none of its own for what the protocol numbers: what a later version adds has its
//! word there as well. Only what is shown to people stands here.

mod reasons;

pub use reasons::{ReasonLabel, UNIT_REASONS};

/// What one value of an enumeration is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its number in the protocol.
    pub number: i32,
    /// In Chinese.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
    /// The sign of its unit, `share` where it is a share of 1; empty where it has none.
    pub unit: &'static str,
}

/// One enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumeration {
    /// Its name in the protocol.
    pub name: &'static str,
    /// Its values by number, but for the unspecified one.
    pub labels: &'static [Label],
}

const fn label(number: i32, zh: &'static str, en: &'static str) -> Label {
    Label { number, zh, en, unit: "" }
}

const fn measured(number: i32, zh: &'static str, en: &'static str, unit: &'static str) -> Label {
    Label { number, zh, en, unit }
}

/// Every enumeration that is shown to people, by name.
pub const ENUMERATIONS: &[Enumeration] = &[
    Enumeration {
        name: "Acquisition",
        labels: &[
            label(1, "持续接入", "continuous"),
            label(2, "轮巡", "patrol"),
            label(3, "按需", "on request"),
        ],
    },
    Enumeration {
        name: "AlertState", labels: &[label(1, "持续中", "firing"), label(2, "已解除", "ended")]
    },
    Enumeration {
        name: "CallReason",
        labels: &[
            label(1, "告警核实", "checking an alert"),
            label(2, "事件处置", "handling an incident"),
            label(3, "处置复核", "verifying the handling"),
            label(4, "设备排障", "diagnosing a device"),
            label(5, "事故调查", "investigating an accident"),
            label(6, "国家机关依法查阅", "asked for by a state organ"),
            label(7, "当事人查阅", "request of somebody concerned"),
            label(8, "公开发布", "public release"),
            label(9, "监督检查", "supervision and inspection"),
            label(10, "演练培训", "drill or training"),
            label(11, "共享推送", "shared with another system"),
            label(12, "其他", "other"),
            label(13, "规则调校", "tuning rules"),
        ],
    },
    Enumeration {
        name: "CancelReason",
        labels: &[
            label(1, "演练", "drill"),
            label(2, "系统测试", "test"),
            label(3, "误录入", "entered by mistake"),
        ],
    },
    Enumeration {
        name: "CaseAct",
        labels: &[
            label(1, "建立", "opened"),
            label(2, "认领", "claim"),
            label(3, "放弃认领", "release"),
            label(4, "确认立案", "confirm"),
            label(5, "误报", "false alarm"),
            label(6, "不立案", "not accepted"),
            label(7, "合并", "merge"),
            label(8, "并入他案", "absorb"),
            label(9, "自动恢复", "clear"),
            label(10, "现象已结束", "condition ended"),
            label(11, "调整级别", "regrade"),
            label(12, "派单", "dispatch"),
            label(13, "退回", "return"),
            label(14, "签收", "accept"),
            label(15, "开始处置", "start work"),
            label(16, "申请挂账", "ask for suspension"),
            label(17, "准予挂账", "suspend"),
            label(18, "恢复处置", "resume"),
            label(19, "反馈", "feed back"),
            label(20, "开始核查", "take up to verify"),
            label(21, "核查通过", "pass and close"),
            label(22, "返工", "send to rework"),
            label(23, "强制结案", "force close"),
            label(24, "重开", "reopen"),
            label(25, "作废", "cancel"),
            label(26, "评价", "rate"),
            label(27, "催办", "urge"),
            label(28, "督办", "supervise"),
            label(29, "延期", "extend"),
            label(30, "吹哨", "whistle"),
            label(31, "证据留存", "legal hold"),
            label(32, "将超时", "due soon"),
            label(33, "已超时", "overdue"),
            label(34, "逐级通知", "escalate"),
            label(35, "知悉", "acknowledge"),
            label(36, "外部平台回报", "heard from another system"),
            label(37, "发出处置链接", "handler's link given"),
        ],
    },
    Enumeration {
        name: "CaseOwner",
        labels: &[label(1, "本系统", "this system"), label(2, "外部平台", "another platform")],
    },
    Enumeration {
        name: "CaseStage",
        labels: &[
            label(1, "研判", "judge"),
            label(2, "派单", "dispatch"),
            label(3, "签收", "accept"),
            label(4, "到场处置", "start work"),
            label(5, "核查", "verify"),
            label(6, "办结", "close"),
        ],
    },
    Enumeration {
        name: "CaseState",
        labels: &[
            label(1, "待研判", "to be judged"),
            label(2, "立案", "confirmed"),
            label(3, "已派单", "dispatched"),
            label(4, "已签收", "accepted"),
            label(5, "处置中", "being handled"),
            label(6, "挂账", "suspended"),
            label(7, "已反馈", "fed back"),
            label(8, "待核查", "being verified"),
            label(9, "返工", "rework"),
            label(10, "退回", "returned"),
            label(11, "办结", "closed"),
            label(12, "强制结案", "force-closed"),
            label(13, "重开", "reopened"),
            label(14, "误报", "false alarm"),
            label(15, "重复合并", "merged"),
            label(16, "不立案", "not accepted"),
            label(17, "自动恢复", "cleared"),
            label(18, "作废", "cancelled"),
        ],
    },
    Enumeration {
        name: "CloseReason",
        labels: &[
            label(1, "服务正在停止", "the service is stopping"),
            label(2, "重要告警长时间未确认收到", "critical alerts were not acknowledged for too long"),
            label(3, "连接例行更新", "the connection is renewed"),
            label(4, "同名订阅已在别处打开", "the subscription was opened elsewhere"),
            label(5, "可见范围已变更", "what may be seen has changed"),
        ],
    },
    Enumeration {
        name: "CoverageLack",
        labels: &[
            label(1, "此刻看不了画面，见状态与健康情况", "cannot be looked at now, see its state"),
            label(
                2,
                "解码器不够：请运维调高 analysis.leases_per_worker，或增加分析进程",
                "no decoder is left: raise analysis.leases_per_worker, or add workers",
            ),
            label(
                3,
                "关键帧太少：请在摄像机上缩短关键帧间隔",
                "its keyframes come too rarely: shorten the camera's keyframe interval",
            ),
            label(
                4,
                "轮巡接入，不是一直在看：请缩短 patrol_every、放宽 blind_max，或改为持续接入",
                "visited on patrol, not watched: shorten patrol_every, lengthen blind_max, or take it all the time",
            ),
            label(5, "按需接入，有人调看时才连接", "connected only when somebody asks"),
            label(
                6,
                "算力不足：请运维增加处理器核，或放宽这条规则的 blind_max",
                "not enough workers: add cores, or lengthen blind_max",
            ),
        ],
    },
    Enumeration {
        name: "DeletionProof",
        labels: &[
            label(1, "文件已不存在", "the file is gone"),
            label(2, "相同内容仍为其他告警留存", "the same bytes are kept for another alert"),
        ],
    },
    Enumeration {
        name: "DeliveryStage",
        labels: &[
            label(1, "已发送", "sent"),
            label(2, "已到达", "received"),
            label(3, "已显示", "displayed"),
            label(4, "已知悉", "acknowledged"),
        ],
    },
    Enumeration {
        name: "DrillStep",
        labels: &[
            label(1, "发出演练告警", "raised"),
            label(2, "入库", "recorded"),
            label(3, "本账号的值班台已显示", "shown on a console of this account"),
            label(4, "研判立案", "judged"),
            label(5, "派单", "dispatched"),
            label(6, "发出处置链接", "link given"),
            label(7, "手机打开链接", "link opened"),
            label(8, "签收", "accepted"),
            label(9, "到场处置", "arrived"),
            label(10, "反馈（附照片）", "handed back"),
            label(11, "核查办结", "verified and closed"),
            label(12, "请求接入演练摄像头", "asked for at its camera"),
            label(13, "画面到达", "picture arrived"),
            label(14, "模型看过画面", "looked at by the model"),
        ],
    },
    Enumeration {
        name: "EscalationCause",
        labels: &[
            label(1, "无席位显示", "no desk displayed it"),
            label(2, "无人认领", "nobody claimed it"),
            label(3, "超过时限", "overdue"),
        ],
    },
    Enumeration {
        name: "EvidenceKind",
        labels: &[
            label(1, "脱敏截图", "redacted still"),
            label(2, "脱敏动态预览", "redacted preview"),
            label(3, "原始录像", "original clip"),
            label(4, "处置照片", "photo of the handling"),
            label(5, "实时画面（脱敏）", "redacted live picture"),
        ],
    },
    Enumeration {
        name: "ExplainedLookKind",
        labels: &[label(1, "看关键帧", "by keyframe"), label(2, "连续看", "continued")],
    },
    Enumeration {
        name: "ExplainedVerdict",
        labels: &[
            label(1, "有告警", "alert"),
            label(2, "冷却期内，不重复告警", "cooling down after an alert"),
            label(3, "有发现，但未达到确认条件", "seen, and not confirmed"),
            label(4, "未能全程查看，不能断定没有", "could not look for some of the time"),
            label(5, "一直在看，未发现", "watched, and nothing seen"),
            label(6, "有时休眠，其余时间未发现", "rested for some of the time"),
        ],
    },
    Enumeration {
        name: "ExternalStage",
        labels: &[
            label(1, "已接收", "received"),
            label(2, "已受理", "taken on"),
            label(3, "已派单", "dispatched"),
            label(4, "处置中", "in progress"),
            label(5, "已办结", "done"),
            label(6, "已退回", "rejected"),
            label(7, "误报", "false alarm"),
        ],
    },
    Enumeration {
        name: "FalseAlarmReason",
        labels: &[
            label(1, "灯光、反光、阴影", "light or shadow"),
            label(2, "雨雪雾、水汽、飞虫", "weather or insects"),
            label(3, "相似物误认", "something alike"),
            label(4, "区域画错或点位偏移", "zone or view is off"),
            label(5, "已报备的施工作业", "permitted work"),
            label(6, "画面异常", "broken picture"),
            label(7, "其他（请说明）", "other (say what)"),
        ],
    },
    Enumeration {
        name: "FilingStatus",
        labels: &[
            label(1, "未备案", "not filed"),
            label(2, "已备案", "filed"),
            label(3, "备案后有变更", "changed since filed"),
            label(4, "已拆除，待备案变更", "gone, to be filed"),
        ],
    },
    Enumeration {
        name: "GapReason",
        labels: &[
            label(1, "离线过久，消息流已不再保留", "away for longer than the feed is kept"),
            label(2, "存储已恢复或重建", "the store was restored or rebuilt"),
            label(3, "订阅范围已变更", "what is wanted or may be seen has changed"),
        ],
    },
    Enumeration {
        name: "Granted",
        labels: &[
            label(1, "保证", "guaranteed"),
            label(2, "尽力", "best effort"),
            label(3, "未覆盖", "not covered"),
        ],
    },
    Enumeration {
        name: "HandlerAct",
        labels: &[
            label(1, "签收", "accept"),
            label(2, "到场处置", "arrived, start work"),
            label(3, "反馈", "hand back"),
        ],
    },
    Enumeration {
        name: "KindClass",
        labels: &[label(1, "事件", "event"), label(2, "状态", "state"), label(3, "设备", "device")],
    },
    Enumeration {
        name: "Lane",
        labels: &[label(1, "重要", "critical"), label(2, "较大", "major"), label(3, "一般", "minor")],
    },
    Enumeration {
        name: "Level",
        labels: &[
            label(1, "特别重大", "extreme"),
            label(2, "重大", "severe"),
            label(3, "较大", "major"),
            label(4, "一般", "general"),
        ],
    },
    Enumeration {
        name: "LimitUnit",
        labels: &[
            label(1, "分钟", "min"),
            label(2, "工作分钟", "office min"),
            label(3, "工作日", "working days"),
            label(4, "天", "days"),
        ],
    },
    Enumeration {
        name: "LinkState",
        labels: &[
            label(1, "有效", "counts"),
            label(2, "已反馈，待核查", "handed back, being checked"),
            label(3, "已过期", "time is over"),
            label(4, "已撤销", "ended"),
            label(5, "案件已不在该单位", "no longer with the unit"),
        ],
    },
    Enumeration {
        name: "LookPurpose",
        labels: &[
            label(1, "按规则要求", "as rules ask"),
            label(2, "休眠中按规则要求", "as rules ask at rest"),
            label(3, "例行粗看", "glances"),
            label(4, "码流变化引起的粗看", "glances that the stream asked for"),
            label(5, "唤醒后", "after a wake"),
            label(6, "供规则判定", "for a rule to decide"),
        ],
    },
    Enumeration {
        name: "MeasureKind",
        labels: &[
            label(1, "数量", "count"),
            measured(2, "密度", "density", "/m²"),
            measured(3, "持续时间", "held for", "s"),
            measured(4, "遮占比例", "share covered", "share"),
            measured(5, "方向偏差", "angle off", "°"),
            label(6, "平均亮度", "mean luma"),
            measured(7, "无画面时间", "without a picture", "s"),
            label(8, "画面相似度", "view match"),
            measured(9, "已用空间", "room used", "share"),
            measured(10, "剩余天数", "days left", "d"),
        ],
    },
    Enumeration {
        name: "NotAcceptedReason",
        labels: &[
            label(1, "不属本部门管辖", "another authority’s matter"),
            label(2, "情节轻微", "too slight"),
            label(3, "现场已处理", "dealt with on the spot"),
            label(4, "其他（请说明）", "other (say what)"),
        ],
    },
    Enumeration {
        name: "NotLooked",
        labels: &[
            label(1, "正在连接", "connecting"),
            label(2, "离线", "offline"),
            label(3, "码流停滞", "stalled"),
            label(4, "画面过旧", "picture too old"),
            label(5, "分析资源不足", "no worker free"),
            label(6, "分析超时", "worker missed its deadline"),
            label(7, "分析进程中断", "worker lost"),
            label(8, "无法解码", "cannot be decoded"),
            label(9, "分辨率超限", "picture too large"),
            label(10, "模型失败", "model failed"),
            label(11, "画面已转向", "view moved"),
            label(12, "遮挡、过暗或过亮", "covered, dark or overexposed"),
            label(13, "画面冻结", "frozen"),
            label(14, "计划内关闭", "off as planned"),
            label(15, "未到分析时间", "not due"),
            label(16, "未连接", "not connected"),
        ],
    },
    Enumeration {
        name: "PictureRefusal",
        labels: &[
            label(1, "该点位的分析节点不在线", "the camera’s node is away"),
            label(2, "该点位当前未接入", "not connected now"),
            label(3, "该点位当前没有画面", "the camera delivers nothing"),
            label(4, "最近的画面过旧或无法解码", "its latest picture is too old or cannot be decoded"),
            label(5, "无法脱敏，不提供画面", "it cannot be redacted"),
            label(6, "分析资源不足，告警优先", "no capacity: alerts go first"),
            label(7, "已超出告警时段", "the alert’s time is over"),
            label(8, "同时查看的画面过多", "too many pictures are open"),
            label(9, "本次查看已结束", "this viewing has ended"),
        ],
    },
    Enumeration {
        name: "PictureTrouble",
        labels: &[
            label(1, "过暗", "dark"),
            label(2, "遮挡", "covered"),
            label(3, "冻结", "frozen"),
            label(4, "画面已转向", "view moved"),
        ],
    },
    Enumeration {
        name: "PointClass",
        labels: &[
            label(1, "一类点", "class 1"),
            label(2, "二类点", "class 2"),
            label(3, "三类点", "class 3"),
            label(4, "公安内部", "inside public security"),
            label(9, "其他", "other"),
        ],
    },
    Enumeration {
        name: "PointField",
        labels: &[
            label(1, "点位编号", "point"),
            label(2, "点位名称", "name"),
            label(3, "行政区域", "divisions"),
            label(4, "安装地址", "address"),
            label(5, "经纬度", "position"),
            label(6, "监控点位类型", "class of point"),
            label(7, "设备编码", "device code"),
            label(8, "设备厂商", "vendor"),
            label(9, "设备型号", "model"),
            label(10, "摄像机类型", "type of camera"),
            label(11, "管理单位", "managing unit"),
            label(12, "所属辖区公安机关", "police organ"),
            label(13, "设置依据", "legal basis"),
            label(14, "投入使用日期", "in use since"),
            label(15, "录像保存天数", "days recorded"),
            label(16, "提示标识设置日期", "sign since"),
            label(17, "重点目标", "key point"),
        ],
    },
    Enumeration {
        name: "Purpose",
        labels: &[
            label(1, "研判", "judging"),
            label(2, "处置", "handling"),
            label(3, "核查", "verifying"),
            label(4, "点位诊断", "diagnosing a camera"),
            label(5, "督导审计", "supervision or audit"),
            label(6, "依法调取", "legal request"),
            label(7, "共享", "sharing"),
            label(8, "规则调校", "tuning rules"),
        ],
    },
    Enumeration {
        name: "ReleaseState",
        labels: &[
            label(1, "待批准", "waits to be approved"),
            label(2, "已批准", "approved"),
            label(3, "未批准", "refused"),
            label(4, "批准已到期", "approval ended"),
        ],
    },
    Enumeration {
        name: "Resolution",
        labels: &[
            label(1, "复看已消失", "seen to be over"),
            label(2, "规则或点位已移除", "rule or camera removed"),
            label(3, "演练结束", "drill over"),
        ],
    },
    Enumeration {
        name: "Role",
        labels: &[
            label(1, "值班研判员", "judge"),
            label(2, "派单员/指挥长", "dispatcher"),
            label(3, "网格员", "grid worker"),
            label(4, "处置单位", "handler"),
            label(5, "核查/督办员", "verifier"),
            label(6, "点位管理员", "point administrator"),
            label(7, "运维员", "maintainer"),
            label(8, "系统管理员", "system administrator"),
            label(9, "安全管理员", "security administrator"),
            label(10, "审计管理员", "audit administrator"),
            label(11, "领导", "leader"),
            label(12, "备案检查员", "inspector"),
            label(13, "外部平台账号", "external platform"),
            label(14, "承建/维护商", "contractor"),
        ],
    },
    Enumeration {
        name: "Said",
        labels: &[
            label(1, "发现", "seen"),
            label(2, "未发现", "not seen"),
            label(3, "看不了", "could not look"),
            label(4, "间隔过长，不算看过", "not watched closely enough"),
            label(5, "休眠", "rested"),
        ],
    },
    Enumeration {
        name: "Signal",
        labels: &[
            label(1, "正在连接", "connecting"),
            label(2, "正常", "streaming"),
            label(3, "码流停滞", "stalled"),
            label(4, "离线", "offline"),
            label(5, "计划内关闭", "off as planned"),
            label(6, "未连接", "not connected"),
        ],
    },
    Enumeration {
        name: "SilencePurpose",
        labels: &[
            label(1, "已知干扰", "nuisance"),
            label(2, "检修维护", "maintenance"),
            label(3, "演练", "drill"),
        ],
    },
    Enumeration {
        name: "Stage",
        labels: &[
            label(1, "等待分析", "wait"),
            label(2, "解码", "decode"),
            label(3, "推理", "infer"),
            label(4, "研判", "decide"),
            label(5, "节点缓存", "spool"),
            label(6, "传输", "hop"),
            label(7, "落盘", "commit"),
            label(8, "推送", "deliver"),
            label(9, "抑制", "held"),
        ],
    },
    Enumeration {
        name: "StreamSource",
        labels: &[label(1, "轻量驱动 retina", "retina"), label(2, "通用驱动 GStreamer", "GStreamer")],
    },
    Enumeration {
        name: "Supervision",
        labels: &[
            label(1, "系统督办", "by the clock"),
            label(2, "督办", "by a supervisor"),
            label(3, "领导批示", "by a leader"),
        ],
    },
    Enumeration {
        name: "SuppressionEnd",
        labels: &[
            label(1, "已显示", "shown"),
            label(2, "已解除", "ended"),
            label(3, "转为其他原因", "another reason"),
        ],
    },
    Enumeration {
        name: "ThresholdKind",
        labels: &[
            label(1, "最低置信度", "least score"),
            measured(2, "确认时长", "dwell", "s"),
            measured(3, "最长间断", "longest gap", "s"),
            measured(4, "解除时长", "clear after", "s"),
            measured(5, "最低密度", "least density", "/m²"),
            measured(6, "允许偏差", "angle allowed", "°"),
            measured(7, "最低命中比例", "least share seen", "share"),
            measured(8, "无画面时间", "without a picture", "s"),
            label(9, "平均亮度", "mean luma"),
            label(10, "画面相似度", "view match"),
            measured(11, "已用空间", "room used", "share"),
        ],
    },
    Enumeration {
        name: "ViewingBasis",
        labels: &[
            label(1, "保护生命健康", "to protect life or health"),
            label(2, "保护财产安全", "to protect property"),
        ],
    },
    Enumeration {
        name: "ViewingOutcome",
        labels: &[
            label(1, "已查阅", "shown"),
            label(2, "未同意", "refused"),
            label(3, "已撤回", "withdrawn"),
            label(4, "同意后未查阅", "granted and not taken up"),
        ],
    },
    Enumeration {
        name: "ViewingParty",
        labels: &[
            label(1, "本人", "the one concerned"),
            label(2, "近亲属", "a near relative"),
            label(3, "负有监护、看护、代管责任的人", "whoever is charged with guarding or looking after"),
        ],
    },
    Enumeration {
        name: "ViewingRefusal",
        labels: &[
            label(1, "申请人不适格", "not one whom the law names"),
            label(2, "事由不符", "for another purpose"),
            label(3, "无相关影像", "no footage"),
            label(4, "损害他人合法权益", "harms others"),
            label(5, "涉及办案或保密", "an investigation or a secret"),
            label(6, "重复申请", "asked for and shown before"),
        ],
    },
    Enumeration {
        name: "ViewingState",
        labels: &[
            label(1, "已受理", "received"),
            label(2, "已审查", "examined"),
            label(3, "已同意", "granted"),
            label(4, "未同意", "refused"),
            label(5, "已查阅", "shown"),
            label(6, "已办结", "closed"),
        ],
    },
    Enumeration {
        name: "Vigil",
        labels: &[
            label(1, "休眠", "resting"),
            label(2, "值守", "watching"),
            label(3, "确认中", "confirming"),
        ],
    },
    Enumeration {
        name: "WakeReason",
        labels: &[
            label(1, "有移动", "something moved"),
            label(2, "画面大部分变化", "most of the picture was new"),
            label(3, "新出现并停留", "something new stayed"),
            label(4, "此前发现的仍在", "something found before was still there"),
        ],
    },
    Enumeration {
        name: "Whistle",
        labels: &[
            label(1, "应急处置", "emergency"),
            label(2, "综合执法", "joint enforcement"),
            label(3, "群众诉求", "residents’ request"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_value_that_the_protocol_has_is_called_something_in_both_languages() {
        let set = FileDescriptorSet::decode(xueliang_proto::FILE_DESCRIPTOR_SET).unwrap();
        let enums = set.file.iter().flat_map(|file| &file.enum_type);
        let mut left: Vec<&str> = ENUMERATIONS.iter().map(|one| one.name).collect();
        assert!(left.is_sorted(), "{left:?}");
        for known in enums {
            let Some(ours) = ENUMERATIONS.iter().find(|one| one.name == known.name()) else { continue };
            left.retain(|name| *name != known.name());
            let mut numbers: Vec<i32> =
                known.value.iter().map(prost_types::EnumValueDescriptorProto::number).collect();
            numbers.retain(|number| *number != 0);
            let labelled: Vec<i32> = ours.labels.iter().map(|label| label.number).collect();
            assert_eq!(labelled, numbers, "{}", known.name());
        }
        assert!(left.is_empty(), "the protocol has no enumeration {left:?}");
        for label in ENUMERATIONS.iter().flat_map(|one| one.labels) {
            assert!(!label.en.is_empty() && !label.zh.is_ascii(), "{label:?}");
        }
    }
}
