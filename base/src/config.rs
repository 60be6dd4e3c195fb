//! The configuration: what one `xueliang.toml` says, parsed into types that cannot be wrong.
//!
//! [`Config::parse`] reports every fault in one go, each with its path and line. Parsing checks all that the text
//! alone can tell; what needs the machine (a model file, an address) is checked by `xueliang check`.
//! The same types, as JSON, are the immutable configuration revisions that the bus keeps and nodes receive.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    detection::Meaning,
    gate::Gate,
    geometry::Polygon,
    id::{CameraId, CredentialName, DivisionCode, NodeId, RuleId, UpstreamId, ZoneId},
    kind::{Kind, Level},
    point::PointClass,
};

mod acquire;
mod api;
mod audit;
mod camera_rules;
mod cases;
mod filing;
mod map;
mod parse;
mod publisher;
mod reader;
mod rest;
mod rule;
mod sink;
mod stream;
mod upstream;

pub use acquire::{Acquire, USUAL_BIT_RATE, told as bit_rate_told};
pub use api::{ApiOptions, ApiTls, SignIn};
pub use audit::AuditSealing;
pub use camera_rules::{CameraRules, usual_rules, written_of};
pub use cases::{CaseLimits, CaseOptions, StageLimit};
pub use filing::{Day, Filing, LegalBasis};
pub use map::MapTiles;
pub use parse::{ParseError, base_dir};
pub use publisher::{ExternalDevice, ExternalPublisher};
pub use reader::Fault;
pub use rest::RestOptions;
pub use rule::{RULED_KINDS, is_health, needs_zone, objects};
pub use sink::Sink;
pub use upstream::{MAX_BEHIND, Upstream};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Name of the town or site, shown to operators.
    pub site: String,
    /// IANA zone in which times are shown.
    pub timezone: String,
    /// Where the service keeps its store, spool and evidence.
    pub state_dir: PathBuf,
    /// Name of this machine's node.
    pub node: NodeId,
    /// Where the service listens.
    pub listen: Listen,
    /// Who may call it, and over what. Revisions of before there was sign-in hold nothing.
    #[serde(default)]
    pub api: ApiOptions,
    /// Networks that camera addresses must lie in.
    pub networks: Vec<ipnet::IpNet>,
    /// Divisions, parents before children.
    pub divisions: Vec<Division>,
    /// Where camera credentials come from. Never the secrets themselves.
    pub credentials: BTreeMap<CredentialName, CredentialSource>,
    /// Folders of models, in the order rules prefer them.
    pub models: Vec<PathBuf>,
    /// Bounds on what analysis may use.
    pub analysis: Analysis,
    /// Evidence kept with alerts.
    pub evidence: EvidenceBudget,
    /// How alerts are delivered. Revisions of before it could be said hold none.
    #[serde(default)]
    pub alerts: AlertOptions,
    /// How far back the feed reaches.
    #[serde(default)]
    pub feed: FeedBudget,
    /// How the audit is sealed. Revisions of before it was hold none.
    #[serde(default)]
    pub audit: AuditSealing,
    /// Cameras by id.
    pub cameras: Vec<Camera>,
    /// What cameras hang on, each after what it hangs on itself. Revisions of earlier versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<Upstream>,
    /// External systems that may publish alerts. Revisions of earlier versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publishers: Vec<ExternalPublisher>,
    /// Where alerts are sent on to; none in revisions from before there were sinks.
    #[serde(default)]
    pub sinks: Vec<Sink>,
    /// How cases are kept; as usual in revisions from before there were any.
    #[serde(default)]
    pub cases: CaseOptions,
    /// The map that places are drawn on; `None`: places are drawn without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MapTiles>,
}

/// Addresses. What is not loopback needs sign-in and TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// gRPC for consoles.
    pub api: SocketAddr,
    /// `/metrics`, `/livez`, `/readyz`.
    pub admin: SocketAddr,
    /// The operators' page, over HTTP.
    #[serde(default = "api::default_console")]
    pub console: SocketAddr,
}

/// A node of the administrative tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Division {
    /// Its code.
    pub code: DivisionCode,
    /// Its name.
    pub name: String,
    /// The code of the division above; `None` for a root.
    pub parent: Option<DivisionCode>,
}

/// Where a user and password are read at start-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// A file of two lines: user, password.
    File(PathBuf),
    /// Two environment variables: `NAME_USER` and `NAME_PASSWORD`.
    Env(String),
}

/// Bounds on what analysis may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Look workers; 0 means one a core.
    pub workers: usize,
    /// Cameras whose decoder one worker may hold for continued looks.
    pub leases_per_worker: usize,
    /// The age at which a look's result is no longer worth having: looks predicted above are not started.
    pub max_age: Duration,
    /// A worker that has not answered by then is killed.
    pub look_deadline: Duration,
    /// Largest picture that may reach a decoder, in pixels.
    pub max_width: u32,
    /// Largest picture that may reach a decoder, in pixels.
    pub max_height: u32,
    /// Encoded bytes that one camera's ring may hold.
    pub ring_bytes: usize,
    /// Seconds that one camera's ring may hold.
    pub ring_seconds: Duration,
    /// Memory that one camera's journal may take, approximately: what looks saw, or why they could not.
    #[serde(default = "journal_bytes")]
    pub journal_bytes: usize,
    /// Memory that one camera's logbook may take, approximately: what explanations are told from.
    #[serde(default = "logbook_bytes")]
    pub logbook_bytes: usize,
    /// How cameras rest.
    #[serde(default)]
    pub rest: RestOptions,
    /// Where inference runs.
    pub device: Device,
}

/// With logbook, rules and tiers a camera then stays well under 4 MB beside its ring: some 250 looks of a still street, which is a
/// quarter of an hour at rest and 50 s at five looks a second; 70 of a picture in which everything differs from the last.
fn journal_bytes() -> usize {
    400_000
}

/// Six hours of a camera that rests take 100 to 200 KB; at five looks a second this is full after one to two hours.
fn logbook_bytes() -> usize {
    512_000
}

/// Where inference runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The CPU.
    Cpu,
    /// CUDA where present, otherwise the CPU, with a logged warning.
    Cuda,
}

/// Evidence kept with alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceBudget {
    /// Bytes evidence may take on disk.
    pub max_bytes: u64,
    /// Days before which nothing is deleted; at least 30.
    pub keep_days: u32,
    /// Bytes of the disk that evidence leaves free for the record and the spool; `None`: 5 % of the disk, at most 1 GB.
    #[serde(default)]
    pub reserve_bytes: Option<u64>,
    /// Footage before the incident.
    pub before: Duration,
    /// Footage after the incident was raised.
    pub after: Duration,
}

/// How alerts are delivered, and when many of one kind and place become one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertOptions {
    /// A delivery whose age, from the arrival of its picture, is above this is marked late.
    pub late_after: Duration,
    /// Alerts of one kind and camera, of level 3 or 4, within the window that make no flood group yet; 0: none ever do.
    pub flood_per_camera: u32,
    /// Likewise of one kind and division.
    pub flood_per_division: u32,
    /// What is counted at once.
    pub flood_window: Duration,
    /// A group ends when no more than the limit came within this time. At least the window.
    pub flood_quiet: Duration,
    /// Whoever judges an alert may look at cameras within so many metres of its own while it lasts; 0: at none.
    pub nearby_m: u32,
}

impl Default for AlertOptions {
    fn default() -> Self {
        // An operator reads a line in some seconds: of 20 a minute none gets a look any more. A rule that raises more
        // than 5 a minute at one camera flaps.
        Self {
            late_after: Duration::from_secs(5),
            flood_per_camera: 5,
            flood_per_division: 20,
            flood_window: Duration::from_secs(60),
            flood_quiet: Duration::from_secs(300),
            // The other side of a crossing, the next gate of a yard: what a camera there sees may be the same thing.
            nearby_m: 150,
        }
    }
}

/// How far back the feed reaches: what a console that was away gets record by record. Never less than 7 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedBudget {
    /// Older records are trimmed; at least 7.
    pub keep_days: u32,
    /// Of more records the oldest are trimmed, as far as they are older than 7 days.
    pub max_records: u64,
}

impl Default for FeedBudget {
    fn default() -> Self {
        // A record takes some 100 bytes of the feed: 1 GB at most.
        Self { keep_days: 14, max_records: 10_000_000 }
    }
}

/// The class of a camera's evidence: how long it is kept at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// 30 days (Order 799, Art. 17), or what `evidence.keep_days` says.
    #[default]
    Ordinary,
    /// 90 days, as the key targets of the Counter-Terrorism Law, Art. 32.
    KeyPoint,
}

/// A registered camera (点位).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// Its id.
    pub id: CameraId,
    /// What operators call it.
    pub name: String,
    /// The division it belongs to.
    pub division: DivisionCode,
    /// The recorder, switch or line that it hangs on, where one is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamId>,
    /// Street address, for people.
    pub address: Option<String>,
    /// Longitude and latitude in WGS-84, degrees.
    pub position: Option<[f64; 2]>,
    /// How it is read.
    pub stream: Stream,
    /// A second, smaller stream of the same view, for glances at every picture; signs in as the main one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_stream: Option<Stream>,
    /// Parts of the picture that nothing may look at.
    pub masks: Vec<Polygon>,
    /// Named parts of the picture.
    pub zones: Vec<Zone>,
    /// What is watched for.
    pub rules: Vec<Rule>,
    /// When it is expected to deliver; `None` means always.
    pub expected_on: Option<Hours>,
    /// When its stream is taken.
    #[serde(default, skip_serializing_if = "Acquire::is_continuous")]
    pub acquire: Acquire,
    /// All that it raises is a drill, and it is no point of the town: it plays when a drill asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
    /// Bits a second that its session is taken to need before that was measured; `None`: [`USUAL_BIT_RATE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
    /// Share of scarce looks, and of scarce sessions, against other cameras.
    pub weight: f32,
    /// Number of the view its zones were drawn on; raise it after the camera was turned on purpose.
    pub view: u32,
    /// What its gates do; `None`: as [`RestOptions::gate`] says.
    #[serde(default)]
    pub gate: Option<Gate>,
    /// How long its evidence is kept at least.
    #[serde(default)]
    pub retention: Retention,
    /// The class of the point (监控点位类型); `None`: it declares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<PointClass>,
    /// What is filed of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filing: Filing,
}

fn is_default(filing: &Filing) -> bool {
    *filing == Filing::default()
}

/// How a camera is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// `rtsp://` or `rtsps://`, without user or password.
    pub url: url::Url,
    /// Transport of the media.
    pub transport: Transport,
    /// Which credentials to sign in with.
    pub credentials: Option<CredentialName>,
    /// How long the first access unit may take (on-demand platforms need 20 s and more).
    pub first_unit_timeout: Duration,
    /// What reads it.
    #[serde(default)]
    pub source: StreamSource,
}

/// What reads a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamSource {
    /// Retina where it can, GStreamer where there is a reason.
    #[default]
    Auto,
    /// GStreamer: everything, at some six times the cost.
    Gstreamer,
    /// Retina: H.264 and H.265 over RTSP and TCP.
    Retina,
}

/// Transport of the media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    Tcp,
    /// RTP over UDP.
    Udp,
}

/// A named part of the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name.
    pub id: ZoneId,
    /// Its outline.
    pub polygon: Polygon,
    /// Its area on the ground.
    pub area_m2: Option<f64>,
    /// The direction traffic must take, degrees clockwise from the picture's upward edge (90 = to the right).
    pub direction_deg: Option<f64>,
}

/// A daily window in the site's zone; may pass midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// Minutes after midnight, inclusive.
    pub from_min: u16,
    /// Minutes after midnight, exclusive.
    pub to_min: u16,
}

impl Hours {
    /// Whether the minute of the day lies in the window.
    pub fn contains(self, minute: u16) -> bool {
        if self.from_min <= self.to_min {
            (self.from_min..self.to_min).contains(&minute)
        } else {
            minute >= self.from_min || minute < self.to_min
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b) = (self.from_min, self.to_min);
        write!(f, "{:02}:{:02}-{:02}:{:02}", a / 60, a % 60, b / 60, b % 60)
    }
}

/// What one camera is watched for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name, unique within the camera.
    pub id: RuleId,
    /// The kind of hazard it raises.
    pub kind: Kind,
    /// Severity of its alerts, at most 2.
    pub level: Level,
    /// Where; `None` means the whole picture.
    pub zone: Option<ZoneId>,
    /// The condition.
    pub condition: Condition,
    /// The longest time it may be blind: the camera is looked at at least this often for it.
    pub blind_max: Duration,
    /// How it decides over time.
    pub timing: Timing,
}

/// How a rule decides over time. Unobserved time neither fires nor resolves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The condition must have been seen to hold this long.
    pub dwell: Duration,
    /// Two looks further apart than this do not count as watching in between.
    pub max_gap: Duration,
    /// The share of looks within the dwell that must have seen it, 0..=1.
    pub seen_share: f32,
    /// The condition must have been seen not to hold this long before the incident is resolved.
    pub clear: Duration,
    /// After it was resolved, no new incident for this long, unless the level is higher.
    pub cooldown: Duration,
}

/// What must hold, by the kind of the rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Condition {
    /// Any of these stands (by its foot) in a declared hazard zone. Kinds: `WATER_ZONE_ENTRY`, `ZONE_INTRUSION`.
    InZone {
        /// What.
        meanings: Vec<Meaning>,
        /// Least score.
        min_score: f32,
    },
    /// One of these stands still in the zone. Kinds: `FIRE_LANE_BLOCKED`, `EXIT_BLOCKED`, `VEHICLE_STOPPED`.
    Blocking {
        /// What.
        meanings: Vec<Meaning>,
        /// Least score.
        min_score: f32,
        /// Least share of the object's lower half inside the zone, 0..=1.
        min_inside: f32,
    },
    /// One of these travels against the zone's direction. Kind: `WRONG_WAY`.
    AgainstDirection {
        /// What.
        meanings: Vec<Meaning>,
        /// Least score.
        min_score: f32,
        /// Direction allowed, degrees clockwise from up.
        direction_deg: f64,
        /// Travel further than this from the direction is against it, degrees.
        tolerance_deg: f64,
        /// Least travel, as a share of the picture's height.
        min_travel: f32,
    },
    /// More persons per square metre than is safe. Kind: `CROWD_DENSITY`.
    Density {
        /// Least score.
        min_score: f32,
        /// The zone's area on the ground.
        area_m2: f64,
        /// Least persons per square metre.
        per_m2: f64,
    },
    /// Something new stays where nothing was. Kind: `LEFT_OBJECT`.
    StaticForeground {
        /// Least share of the picture that it covers.
        min_area: f32,
        /// Largest share of the picture that it covers.
        max_area: f32,
    },
    /// A classifier or detector of fire or smoke. Kinds: `FIRE_FLAME`, `FIRE_SMOKE`.
    Burning {
        /// `fire` or `smoke`.
        meaning: Meaning,
        /// Least score.
        min_score: f32,
    },
    /// Too dark to see anything. Kind: `IMG_DARK`.
    Dark {
        /// Mean luma below this, 0..=255.
        max_luma: f32,
    },
    /// A uniform, detail-less or abruptly replaced picture. Kind: `CAM_COVERED`.
    Covered {
        /// Least share of the reference's detail that must be lost.
        lost_detail: f32,
    },
    /// The same picture again and again. Kind: `IMG_FREEZE`.
    Frozen,
    /// The view no longer matches its reference. Kind: `CAM_MOVED`.
    Moved {
        /// Least similarity with the reference, -1..=1.
        min_match: f32,
    },
    /// No access units. Kind: `CAM_OFFLINE`.
    NoSignal,
}

impl Condition {
    /// The meanings that models are asked for at this condition's looks; empty where no model is needed.
    pub fn meanings(&self) -> Vec<Meaning> {
        match self {
            Condition::InZone { meanings, .. }
            | Condition::Blocking { meanings, .. }
            | Condition::AgainstDirection { meanings, .. } => meanings.clone(),
            Condition::Density { .. } => vec![Meaning::Person],
            Condition::Burning { meaning, .. } => vec![*meaning],
            Condition::StaticForeground { .. } => Self::EXPLAINING.to_vec(),
            Condition::Dark { .. }
            | Condition::Covered { .. }
            | Condition::Frozen
            | Condition::Moved { .. }
            | Condition::NoSignal => Vec::new(),
        }
    }
    /// What is no left object, although it is new and keeps its place.
    pub const EXPLAINING: [Meaning; 4] =
        [Meaning::Person, Meaning::Vehicle, Meaning::TwoWheeler, Meaning::Animal];
    /// Those of [`Condition::EXPLAINING`] that some model must see.
    pub const MUST_EXPLAIN: [Meaning; 2] = [Meaning::Person, Meaning::Vehicle];
    /// Those of [`Condition::meanings`] without a model for which the condition cannot be judged at all.
    pub fn required(&self) -> Vec<Meaning> {
        match self {
            // Without them someone who waits or parks would be taken for an object: presence must never be an alert.
            Condition::StaticForeground { .. } => Self::MUST_EXPLAIN.to_vec(),
            _ => self.meanings(),
        }
    }
    /// Whether a look (a decoded picture) is needed at all.
    pub fn needs_picture(&self) -> bool {
        !matches!(self, Condition::NoSignal)
    }
    /// Whether keyframes alone can serve it, where they come often enough for the rule's `blind_max`; moving hazards need
    /// pictures in between whatever it is.
    pub fn keyframes_suffice(&self) -> bool {
        !matches!(self, Condition::InZone { .. } | Condition::AgainstDirection { .. })
    }
}

impl Config {
    /// Parses a configuration text. `base_dir` is the folder that relative paths start from.
    pub fn parse(text: &str, base_dir: &std::path::Path) -> Result<Self, ParseError> {
        parse::parse(text, base_dir)
    }
    /// The camera of that id.
    pub fn camera(&self, id: &CameraId) -> Option<&Camera> {
        self.cameras.iter().find(|camera| &camera.id == id)
    }
    /// The points of the town: every camera but those of drills.
    pub fn points(&self) -> impl Iterator<Item = &Camera> {
        self.cameras.iter().filter(|camera| !camera.drill)
    }
    /// Codes from the root down to the division, itself included.
    pub fn division_path(&self, code: &DivisionCode) -> Vec<DivisionCode> {
        division_path(&self.divisions, code)
    }
}

fn division_path(divisions: &[Division], code: &DivisionCode) -> Vec<DivisionCode> {
    let mut path = Vec::new();
    let mut next = Some(code);
    while let Some(code) = next {
        // Parents stand before children, so there is no circle; the bound is for hand-made values.
        let Some(division) = divisions.iter().find(|d| &d.code == code) else { break };
        if path.len() > divisions.len() {
            break;
        }
        path.push(division.code.clone());
        next = division.parent.as_ref();
    }
    path.reverse();
    path
}

impl Camera {
    /// Its zone of that name.
    pub fn zone(&self, id: &ZoneId) -> Option<&Zone> {
        self.zones.iter().find(|zone| &zone.id == id)
    }
}

#[cfg(test)]
mod tests;
