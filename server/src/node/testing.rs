//! For tests: a configuration and an alert.

use xueliang_base::{
    alert::{Alert, Place},
    config::Config,
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

/// A firing alert of a camera, revision 1, seen by no look.
pub fn alert(camera: &str, kind: Kind) -> Alert {
    let sample = xueliang_base::testing::alert(kind, Wall(2));
    let place = Place {
        camera: camera.parse().unwrap(),
        camera_name: camera.to_owned(),
        division_path: vec!["330282".parse().unwrap()],
        ..sample.place
    };
    Alert { place, ..sample }
}
