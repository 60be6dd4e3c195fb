//! Kinds of hazard and incident, with stable numbers that are never reused.
//!
//! Source of numbers, names, classes and default levels: the project's code list (GB/T 28181 alarm types have no
//! code for most hazards). A kind names an event, a place's state or a device's state; none names a person.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What makes an incident of this kind end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Happens: short, moving.
    Event,
    /// Lasts: confirmed by persistence.
    State,
    /// A fault of camera, stream, storage or analysis; for the ops queue.
    Device,
}

/// 1 特别重大 (red) to 4 一般 (blue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Level(u8);

/// A level outside 1 to 4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("level {0} does not exist: use 1 (most severe) to 4")]
pub struct LevelError(u8);

impl Level {
    /// 特别重大, set by people only.
    pub const EXTREME: Level = Level(1);
    /// 重大, the most a detector may set.
    pub const SEVERE: Level = Level(2);
    /// 较大.
    pub const MAJOR: Level = Level(3);
    /// 一般.
    pub const GENERAL: Level = Level(4);

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }
    /// The lane its alerts travel in.
    pub fn lane(self) -> Lane {
        match self.0 {
            1 | 2 => Lane::Critical,
            3 => Lane::Major,
            _ => Lane::Minor,
        }
    }
}
impl TryFrom<u8> for Level {
    type Error = LevelError;
    fn try_from(number: u8) -> Result<Self, LevelError> {
        if (1..=4).contains(&number) { Ok(Level(number)) } else { Err(LevelError(number)) }
    }
}
impl From<Level> for u8 {
    fn from(level: Level) -> u8 {
        level.0
    }
}
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A priority class of delivery; the position of a cursor is kept per lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Levels 1 and 2: every record.
    Critical,
    /// Level 3: the latest state of every alert.
    Major,
    /// Level 4: may be summarised with exact counts and fetchable ids.
    Minor,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Lane; 3] = [Lane::Critical, Lane::Major, Lane::Minor];
    /// 0, 1, 2: for tables with one column a lane.
    pub fn index(self) -> usize {
        self as usize
    }
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Lane::Critical => "critical",
            Lane::Major => "major",
            Lane::Minor => "minor",
        }
    }
}

/// A kind of hazard, incident or fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// 明火: open flame.
    FireFlame,
    /// 烟雾: smoke.
    FireSmoke,
    /// 露天焚烧: open burning.
    OpenBurning,
    /// 消防车通道占用: blocked fire lane.
    FireLaneBlocked,
    /// 疏散通道/安全出口堵塞: blocked exit.
    ExitBlocked,
    /// 电动自行车进电梯: electric bicycle in a lift.
    EbikeInLift,
    /// 危险水域闯入: entry of dangerous water.
    WaterZoneEntry,
    /// 疑似人员落水: someone in the water.
    PersonInWater,
    /// 水位超警: high water level.
    WaterLevelHigh,
    /// 人员倒地: someone down.
    PersonDown,
    /// 人员密度超限: dangerous crowding.
    CrowdDensity,
    /// 车辆逆行: wrong-way vehicle.
    WrongWay,
    /// 异常停车: stopped vehicle.
    VehicleStopped,
    /// 道路积水/内涝: flooded road.
    RoadFlood,
    /// 路面障碍物: obstacle on the road.
    RoadObstacle,
    /// 违规倾倒: illegal dumping.
    IllegalDump,
    /// 暴露垃圾: exposed garbage.
    ExposedGarbage,
    /// 垃圾满溢: overflowing bin.
    BinOverflow,
    /// 乱堆物料: piled material.
    MaterialPiled,
    /// 井盖缺失: missing manhole cover.
    ManholeMissing,
    /// 危险区域闯入: entry of a dangerous zone.
    ZoneIntrusion,
    /// 遗留物: left object.
    LeftObject,
    /// 设备离线: camera offline.
    CamOffline,
    /// 视频丢失: video lost.
    VideoLost,
    /// 码流异常/卡顿: stream degraded.
    StreamDegraded,
    /// 汇聚设备或链路中断: a recorder, switch or line that cameras hang on.
    UpstreamDown,
    /// 镜头遮挡: camera covered.
    CamCovered,
    /// 画面偏移/场景变更: camera moved.
    CamMoved,
    /// 模糊: blurred picture.
    ImgBlur,
    /// 过暗: dark picture.
    ImgDark,
    /// 过亮: overexposed picture.
    ImgBright,
    /// 偏色: colour cast.
    ImgColor,
    /// 雪花条纹: noisy picture.
    ImgNoise,
    /// 画面冻结: frozen picture.
    ImgFreeze,
    /// 抖动: shaking picture.
    ImgJitter,
    /// 存储故障: storage fault.
    StorageFault,
    /// 录像缺失: gap in the recording.
    RecordGap,
    /// 时钟偏差: clock drift.
    ClockDrift,
    /// 分析节点/模型异常: analysis node or model down.
    AnalyzerDown,
    /// 布防覆盖不足: coverage below its floor.
    CoverageGap,
    /// 外部平台告警: external alarm.
    ExternalAlarm,
    /// 外部(按策略不处理): external, not processed by policy.
    ExternalUnprocessed,
    /// 人工巡屏上报: manual report.
    ManualReport,
}

/// One row of the table of kinds.
struct Row(Kind, i32, &'static str, &'static str, &'static str, Class, u8);

#[rustfmt::skip]
const TABLE: [Row; 43] = [
    Row(Kind::FireFlame, 1101, "FIRE_FLAME", "明火", "open flame", Class::Event, 2),
    Row(Kind::FireSmoke, 1102, "FIRE_SMOKE", "烟雾", "smoke", Class::Event, 2),
    Row(Kind::OpenBurning, 1103, "OPEN_BURNING", "露天焚烧", "open burning", Class::State, 3),
    Row(Kind::FireLaneBlocked, 1201, "FIRE_LANE_BLOCKED", "消防车通道占用", "blocked fire lane", Class::State, 3),
    Row(Kind::ExitBlocked, 1202, "EXIT_BLOCKED", "疏散通道/安全出口堵塞", "blocked exit", Class::State, 3),
    Row(Kind::EbikeInLift, 1203, "EBIKE_IN_LIFT", "电动自行车进电梯", "electric bicycle in a lift", Class::Event, 3),
    Row(Kind::WaterZoneEntry, 2101, "WATER_ZONE_ENTRY", "危险水域闯入", "entry of dangerous water", Class::Event, 2),
    Row(Kind::PersonInWater, 2102, "PERSON_IN_WATER", "疑似人员落水", "someone in the water", Class::Event, 2),
    Row(Kind::WaterLevelHigh, 2201, "WATER_LEVEL_HIGH", "水位超警", "high water level", Class::State, 2),
    Row(Kind::PersonDown, 3101, "PERSON_DOWN", "人员倒地", "someone down", Class::Event, 2),
    Row(Kind::CrowdDensity, 3201, "CROWD_DENSITY", "人员密度超限", "dangerous crowding", Class::State, 2),
    Row(Kind::WrongWay, 4101, "WRONG_WAY", "车辆逆行", "wrong-way vehicle", Class::Event, 3),
    Row(Kind::VehicleStopped, 4102, "VEHICLE_STOPPED", "异常停车", "stopped vehicle", Class::State, 3),
    Row(Kind::RoadFlood, 4201, "ROAD_FLOOD", "道路积水/内涝", "flooded road", Class::State, 3),
    Row(Kind::RoadObstacle, 4202, "ROAD_OBSTACLE", "路面障碍物", "obstacle on the road", Class::State, 3),
    Row(Kind::IllegalDump, 5101, "ILLEGAL_DUMP", "违规倾倒", "illegal dumping", Class::Event, 3),
    Row(Kind::ExposedGarbage, 5102, "EXPOSED_GARBAGE", "暴露垃圾", "exposed garbage", Class::State, 4),
    Row(Kind::BinOverflow, 5103, "BIN_OVERFLOW", "垃圾满溢", "overflowing bin", Class::State, 4),
    Row(Kind::MaterialPiled, 5104, "MATERIAL_PILED", "乱堆物料", "piled material", Class::State, 4),
    Row(Kind::ManholeMissing, 5201, "MANHOLE_MISSING", "井盖缺失", "missing manhole cover", Class::State, 2),
    Row(Kind::ZoneIntrusion, 6101, "ZONE_INTRUSION", "危险区域闯入", "entry of a dangerous zone", Class::Event, 3),
    Row(Kind::LeftObject, 6102, "LEFT_OBJECT", "遗留物", "left object", Class::State, 3),
    Row(Kind::CamOffline, 8101, "CAM_OFFLINE", "设备离线", "camera offline", Class::Device, 4),
    Row(Kind::VideoLost, 8102, "VIDEO_LOST", "视频丢失", "video lost", Class::Device, 4),
    Row(Kind::StreamDegraded, 8103, "STREAM_DEGRADED", "码流异常/卡顿", "stream degraded", Class::Device, 4),
    Row(Kind::UpstreamDown, 8104, "UPSTREAM_DOWN", "汇聚设备或链路中断", "recorder, switch or line down", Class::Device, 3),
    Row(Kind::CamCovered, 8201, "CAM_COVERED", "镜头遮挡", "camera covered", Class::Device, 3),
    Row(Kind::CamMoved, 8202, "CAM_MOVED", "画面偏移/场景变更", "camera moved", Class::Device, 3),
    Row(Kind::ImgBlur, 8203, "IMG_BLUR", "模糊", "blurred picture", Class::Device, 4),
    Row(Kind::ImgDark, 8204, "IMG_DARK", "过暗", "dark picture", Class::Device, 4),
    Row(Kind::ImgBright, 8205, "IMG_BRIGHT", "过亮", "overexposed picture", Class::Device, 4),
    Row(Kind::ImgColor, 8206, "IMG_COLOR", "偏色", "colour cast", Class::Device, 4),
    Row(Kind::ImgNoise, 8207, "IMG_NOISE", "雪花条纹", "noisy picture", Class::Device, 4),
    Row(Kind::ImgFreeze, 8208, "IMG_FREEZE", "画面冻结", "frozen picture", Class::Device, 4),
    Row(Kind::ImgJitter, 8209, "IMG_JITTER", "抖动", "shaking picture", Class::Device, 4),
    Row(Kind::StorageFault, 8301, "STORAGE_FAULT", "存储故障", "storage fault", Class::Device, 3),
    Row(Kind::RecordGap, 8302, "RECORD_GAP", "录像缺失", "gap in the recording", Class::Device, 3),
    Row(Kind::ClockDrift, 8303, "CLOCK_DRIFT", "时钟偏差", "clock drift", Class::Device, 4),
    Row(Kind::AnalyzerDown, 8401, "ANALYZER_DOWN", "分析节点/模型异常", "analysis node or model down", Class::Device, 3),
    Row(Kind::CoverageGap, 8402, "COVERAGE_GAP", "布防覆盖不足", "coverage below its floor", Class::Device, 3),
    Row(Kind::ExternalAlarm, 9001, "EXTERNAL_ALARM", "外部平台告警", "external alarm", Class::Event, 4),
    Row(Kind::ExternalUnprocessed, 9002, "EXTERNAL_UNPROCESSED", "外部（按策略不处理）", "external, not processed by policy", Class::Event, 4),
    Row(Kind::ManualReport, 9101, "MANUAL_REPORT", "人工巡屏上报", "manual report", Class::Event, 4),
];

/// A word that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of hazard: `xueliang kinds` lists them")]
pub struct KindError(String);

impl Kind {
    /// Every kind, by number.
    pub fn all() -> impl Iterator<Item = Kind> {
        TABLE.iter().map(|row| row.0)
    }
    fn row(self) -> &'static Row {
        // The table lists the variants in the order of their declaration; a test holds it to that.
        &TABLE[self as usize]
    }
    /// Stable number.
    pub fn number(self) -> i32 {
        self.row().1
    }
    /// Stable word, as configurations and the wire spell it.
    pub fn code(self) -> &'static str {
        self.row().2
    }
    /// Chinese name.
    pub fn zh(self) -> &'static str {
        self.row().3
    }
    /// English name.
    pub fn en(self) -> &'static str {
        self.row().4
    }
    /// Event, state or device.
    pub fn class(self) -> Class {
        self.row().5
    }
    /// Level where a rule sets none.
    pub fn default_level(self) -> Level {
        Level(self.row().6)
    }
    /// The kind of a number; `None` for numbers of a later version.
    pub fn from_number(number: i32) -> Option<Kind> {
        TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }
}
impl std::str::FromStr for Kind {
    type Err = KindError;
    fn from_str(code: &str) -> Result<Self, KindError> {
        TABLE.iter().find(|row| row.2 == code).map(|row| row.0).ok_or_else(|| KindError(code.to_owned()))
    }
}
impl TryFrom<String> for Kind {
    type Error = KindError;
    fn try_from(code: String) -> Result<Self, KindError> {
        code.parse()
    }
}
impl From<Kind> for String {
    fn from(kind: Kind) -> String {
        kind.code().to_owned()
    }
}
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_kind_once_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{}", row.2);
            assert_eq!(row.2.parse::<Kind>().unwrap(), row.0);
            assert_eq!(Kind::from_number(row.1), Some(row.0));
        }
        assert!(TABLE.windows(2).all(|pair| pair[0].1 < pair[1].1), "numbers grow and never repeat");
    }

    #[test]
    fn no_kind_defaults_above_what_a_detector_may_set() {
        assert!(Kind::all().all(|kind| kind.default_level() >= Level::SEVERE));
    }

    #[test]
    fn lanes_follow_levels() {
        let lanes: Vec<_> = (1..=4).map(|n| Level::try_from(n).unwrap().lane()).collect();
        assert_eq!(lanes, [Lane::Critical, Lane::Critical, Lane::Major, Lane::Minor]);
        assert!(Level::try_from(0).is_err() && Level::try_from(5).is_err());
    }
}
