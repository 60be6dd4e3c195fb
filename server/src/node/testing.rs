//! For tests: a configuration and an alert.

use xueliang_base::{
    alert::{Alert, AlertState, Explanation, Place},
    config::Config,
    id::{AlertId, AlertRevision, ConfigRevision},
    kind::Kind,
    time::Wall,
};

/// Two cameras, `gate` and `pond`, of which only the first signs in.
pub fn config() -> Config {
    let text = r#"
site = "test"
state_dir = "state"
networks = ["127.0.0.0/8"]
models = []
timezone = "Asia/Shanghai"
[credentials.test]
file = "camera.secret"
[[division]]
code = "330282"
name = "Test"
[[camera]]
id = "gate"
name = "Gate"
division = "330282"
url = "rtsp://127.0.0.1:1/gate"
credentials = "test"
[[camera]]
id = "pond"
name = "Pond"
division = "330282"
url = "rtsp://127.0.0.1:1/pond"
"#;
    Config::parse(text, std::path::Path::new("/")).unwrap()
}

/// A firing alert of a camera, revision 1.
pub fn alert(camera: &str, kind: Kind) -> Alert {
    Alert {
        id: AlertId::mint(),
        revision: AlertRevision(1),
        kind,
        level: kind.default_level(),
        state: AlertState::Firing,
        place: Place {
            camera: camera.parse().unwrap(),
            camera_name: camera.to_owned(),
            division_path: vec!["330282".parse().unwrap()],
            division_name: "Test".to_owned(),
            address: None,
            position: None,
            zone: None,
        },
        started: Wall(1),
        last_seen: Wall(2),
        count: 1,
        confidence: 0.0,
        measures: Vec::new(),
        regions: Vec::new(),
        explanation: Explanation {
            config: ConfigRevision(1),
            rule: "rule".parse().unwrap(),
            thresholds: Vec::new(),
            looks: Vec::new(),
            zone_outline: Vec::new(),
            model: None,
        },
        evidence: Vec::new(),
        stages: Vec::new(),
        camera_time: None,
        decided: Wall(2),
        publisher: String::new(),
        drill: false,
        behind: Vec::new(),
    }
}
