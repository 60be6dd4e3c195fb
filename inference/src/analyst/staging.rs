//! Scenes for tests: a camera, its rules, and looks at synthetic pictures.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    config::{
        Analysis, Camera, Condition, Config, Device, EvidenceBudget, Filing, Listen, Rule, Stream,
        StreamSource, Timing, Transport, Zone,
    },
    detection::{Detection, Meaning},
    geometry::{Polygon, Rect},
    id::{ConfigRevision, LookId},
    kind::Kind,
    look::{LookKind, ModelView, NotLooked, Observation, Scene, Sight, Thumbnail},
    time::{Mono, Wall},
};

use super::ModelMeanings;

const W: usize = Thumbnail::WIDTH;
const H: usize = Thumbnail::HEIGHT;

pub(crate) fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
/// Dwell, gap, share, clear in seconds.
pub(crate) fn timing(dwell: f64, max_gap: f64, seen_share: f32, clear: f64) -> Timing {
    Timing { dwell: s(dwell), max_gap: s(max_gap), seen_share, clear: s(clear), cooldown: s(0.0) }
}
pub(crate) fn rule(id: &str, kind: Kind, condition: Condition, zone: Option<&str>) -> Rule {
    Rule {
        id: id.parse().unwrap(),
        kind,
        level: kind.default_level(),
        zone: zone.map(|zone| zone.parse().unwrap()),
        condition,
        blind_max: s(5.0),
        timing: timing(5.0, 3.0, 0.7, 5.0),
    }
}
pub(crate) fn in_zone(meaning: Meaning) -> Condition {
    Condition::InZone { meanings: vec![meaning], min_score: 0.5 }
}
/// A camera with the zone `z`, the lower right quarter of the picture.
pub(crate) fn camera(rules: Vec<Rule>) -> Camera {
    Camera {
        id: "cam-1".parse().unwrap(),
        name: "north gate".to_owned(),
        division: "330281".parse().unwrap(),
        address: None,
        position: None,
        stream: Stream {
            url: "rtsp://10.0.0.1/main".parse().unwrap(),
            transport: Transport::Tcp,
            credentials: None,
            first_unit_timeout: s(20.0),
            source: StreamSource::Auto,
        },
        sub_stream: None,
        masks: Vec::new(),
        zones: vec![Zone {
            id: "z".parse().unwrap(),
            polygon: Polygon::try_from(vec![[0.5, 0.5], [1.0, 0.5], [1.0, 1.0], [0.5, 1.0]]).unwrap(),
            area_m2: Some(20.0),
            direction_deg: Some(90.0),
        }],
        rules,
        expected_on: None,
        weight: 1.0,
        view: 1,
        upstream: None,
        acquire: xueliang_base::config::Acquire::Continuous,
        drill: false,
        bit_rate: None,
        gate: None,
        retention: xueliang_base::config::Retention::Ordinary,
        class: None,
        filing: Filing::default(),
    }
}
pub(crate) fn config(cameras: Vec<Camera>) -> Config {
    Config {
        api: xueliang_base::config::ApiOptions::default(),
        site: "town".to_owned(),
        timezone: "Asia/Shanghai".to_owned(),
        state_dir: "state".into(),
        node: "node-1".parse().unwrap(),
        listen: Listen {
            api: "127.0.0.1:1".parse().unwrap(),
            admin: "127.0.0.1:2".parse().unwrap(),
            console: "127.0.0.1:3".parse().unwrap(),
        },
        networks: Vec::new(),
        divisions: Vec::new(),
        credentials: BTreeMap::new(),
        models: Vec::new(),
        analysis: Analysis {
            workers: 1,
            leases_per_worker: 8,
            max_age: s(5.0),
            look_deadline: s(5.0),
            max_width: 4096,
            max_height: 2304,
            ring_bytes: 1 << 20,
            ring_seconds: s(20.0),
            journal_bytes: 1 << 20,
            logbook_bytes: 1 << 20,
            rest: xueliang_base::config::RestOptions::default(),
            device: Device::Cpu,
        },
        evidence: EvidenceBudget {
            max_bytes: 1 << 30,
            keep_days: 30,
            reserve_bytes: None,
            before: s(10.0),
            after: s(10.0),
        },
        alerts: xueliang_base::config::AlertOptions::default(),
        feed: xueliang_base::config::FeedBudget::default(),
        audit: xueliang_base::config::AuditSealing::default(),
        cameras,
        upstreams: Vec::new(),
        publishers: Vec::new(),
        sinks: Vec::new(),
        cases: xueliang_base::config::CaseOptions::default(),
        map: None,
    }
}
pub(crate) fn models() -> Vec<ModelMeanings> {
    vec![
        ("street".parse().unwrap(), vec![Meaning::Person, Meaning::Vehicle]),
        ("fire".parse().unwrap(), vec![Meaning::Fire, Meaning::Smoke]),
    ]
}

/// Small deterministic noise.
pub(crate) fn noise(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// What a look shows.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) cells: Vec<u8>,
    pub(crate) detail: f32,
    pub(crate) detections: Vec<(&'static str, Detection)>,
    pub(crate) models: Vec<&'static str>,
    /// Checksum where it is not that of a live picture.
    pub(crate) checksum: Option<u64>,
}

/// A street of blocks; another `place` is another street.
pub(crate) fn street(place: u64) -> Shown {
    let mut cells = vec![0; W * H];
    for (i, cell) in cells.iter_mut().enumerate() {
        let (x, y) = (u64::try_from(i % W).unwrap() / 8, u64::try_from(i / W).unwrap() / 6);
        *cell = 60 + u8::try_from(noise(place * 10_000 + y * 100 + x) % 100).unwrap();
    }
    Shown { cells, detail: 8.0, detections: Vec::new(), models: vec!["street", "fire"], checksum: None }
}

impl Shown {
    pub(crate) fn with(mut self, model: &'static str, meaning: Meaning, score: f32, rect: Rect) -> Self {
        self.detections.push((model, Detection { meaning, score, rect }));
        self
    }
    pub(crate) fn looked_by(mut self, models: &[&'static str]) -> Self {
        self.models = models.to_vec();
        self
    }
    pub(crate) fn black() -> Self {
        Self { cells: vec![3; W * H], detail: 0.1, ..street(1) }
    }
    pub(crate) fn grey() -> Self {
        Self { cells: vec![120; W * H], detail: 0.3, ..street(1) }
    }
    /// Multiplies brightness.
    pub(crate) fn lit(mut self, percent: u16) -> Self {
        for cell in &mut self.cells {
            *cell = u8::try_from((u16::from(*cell) * percent / 100).min(255)).unwrap();
        }
        self
    }
    /// A box of another brightness, in cells.
    pub(crate) fn object(mut self, x: usize, y: usize, size: usize, luma: u8) -> Self {
        for row in y..y + size {
            for column in x..x + size {
                self.cells[row * W + column] = luma;
            }
        }
        self
    }
    /// The look at `seconds`, with the noise of a live sensor.
    pub(crate) fn at(&self, seconds: f64) -> Observation {
        let at = moment(seconds);
        let mut cells = self.cells.clone();
        if self.checksum.is_none() {
            for (i, cell) in cells.iter_mut().enumerate() {
                let n = noise(at.0 ^ (u64::try_from(i).unwrap() << 40)) % 3;
                *cell = cell.saturating_add(u8::try_from(n).unwrap()).saturating_sub(1);
            }
        }
        let count = 5184.0;
        let mean = cells.iter().map(|c| f32::from(*c)).sum::<f32>() / count;
        let var = cells.iter().map(|c| (f32::from(*c) - mean).powi(2)).sum::<f32>() / count;
        let views = self
            .models
            .iter()
            .map(|model| ModelView {
                model: model.parse().unwrap(),
                detections: self.detections.iter().filter(|(m, _)| m == model).map(|(_, d)| *d).collect(),
            })
            .collect();
        let sight = Sight {
            arrival: at.minus(s(0.1)),
            arrival_wall: wall(seconds - 0.1),
            camera_time: None,
            views,
            scene: Scene {
                mean_luma: mean,
                std_luma: var.sqrt(),
                detail: self.detail,
                checksum: self.checksum.unwrap_or(noise(at.0)),
                thumbnail: Thumbnail::new(cells.into()).unwrap(),
            },
            aspect: 16.0 / 9.0,
        };
        Observation { outcome: Ok(sight), ..blank(seconds) }
    }
}

pub(crate) fn moment(seconds: f64) -> Mono {
    Mono(1_000_000_000_000).plus(s(seconds))
}
pub(crate) fn wall(seconds: f64) -> Wall {
    Wall(1_767_225_600_000_000).plus(s(10.0 + seconds)).minus(s(10.0))
}
fn blank(seconds: f64) -> Observation {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test times are small")]
    let look = LookId((seconds * 1000.0) as u64);
    Observation {
        look,
        kind: LookKind::Keyframe,
        revision: ConfigRevision(7),
        at: moment(seconds),
        at_wall: wall(seconds),
        outcome: Err(NotLooked::Busy),
    }
}
/// A look that could not be.
pub(crate) fn not_looked(seconds: f64, reason: NotLooked) -> Observation {
    Observation { outcome: Err(reason), ..blank(seconds) }
}
/// Persons in the zone `z`, at once.
pub(crate) fn person_rule(id: &str) -> Rule {
    Rule {
        timing: timing(0.0, 3.0, 0.7, 3.0),
        ..rule(id, Kind::WaterZoneEntry, in_zone(Meaning::Person), Some("z"))
    }
}
