//! What `xueliang plan` says of a town is what the service does there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use serde_json::Value;
use xueliang_base::{detection::Meaning, unit::Codec};
use xueliang_server::plan::{
    Costs,
    costs::{Decode, Machine, ModelCost, Node, Pixels, Spread, Worker},
};
use xueliang_tests::{
    Service, cli, clip,
    histogram::Buckets,
    service::{TestCamera, until},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Looked at by keyframes: in time means every second one, or every one.
const LANE: &str = r#"health = ["CAM_COVERED"]
[[camera.zone]]
id = "lane"
polygon = [[0.80, 0.08], [1.0, 0.08], [1.0, 0.26], [0.80, 0.26]]
[[camera.rule]]
kind = "FIRE_LANE_BLOCKED"
zone = "lane"
blind_max = "4s"
"#;
/// Looked at between keyframes.
const PIT: &str = r#"health = ["CAM_COVERED"]
[[camera.zone]]
id = "pit"
polygon = [[0.62, 0.40], [0.90, 0.40], [0.90, 0.74], [0.62, 0.74]]
[[camera.rule]]
kind = "ZONE_INTRUSION"
zone = "pit"
blind_max = "1s"
"#;

/// Cameras of each kind.
const LANES: usize = 6;
const PITS: usize = 2;
const WATCHED: Duration = Duration::from_secs(30);

/// The same cameras, as a mix.
const MIX: &str = r#"
[analysis]
workers = 2
[[type]]
name = "lane"
share = 0.75
codec = "h264"
width = 768
height = 576
fps = 10
keyframes_s = 2
kbit_s = 1000
health = ["CAM_COVERED"]
[[type.rule]]
kind = "FIRE_LANE_BLOCKED"
blind_max = "4s"
[[type]]
name = "pit"
share = 0.25
codec = "h264"
width = 768
height = 576
fps = 10
keyframes_s = 2
kbit_s = 1000
health = ["CAM_COVERED"]
[[type.rule]]
kind = "ZONE_INTRUSION"
blind_max = "1s"
"#;

/// What the service measured in some time.
struct Measured {
    before: String,
    after: String,
}

impl Measured {
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of = |text: &str| -> f64 {
            text.lines()
                .filter(|line| line.starts_with(&format!("{name}{{")))
                .filter(|line| labels.iter().all(|label| line.contains(label)))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum()
        };
        of(&self.after) - of(&self.before)
    }
    fn quantile(&self, name: &str, labels: &[&str], share: f64) -> f64 {
        let of = |text| Buckets::read(text, name, labels);
        of(&self.after).quantile_since(&of(&self.before), share)
    }
    /// A stage of looks, for so many parts of it a look.
    fn stage(&self, labels: &[&str], parts: f64) -> Spread {
        let name = "xueliang_node_look_seconds";
        let count = self.sum(&format!("{name}_count"), labels).max(1.0);
        let mean_us = (self.sum(&format!("{name}_sum"), labels) / count / parts * 1e6).max(1.0);
        let p99_us = self.quantile(name, labels, 0.99) / parts * 1e6;
        Spread { mean_us, p99_us: p99_us.clamp(mean_us, mean_us * 15.0) }
    }
    fn costs(&self) -> Costs {
        let (keyframe, continued) = ("look=\"keyframe\"", "look=\"continued\"");
        let of = |stage: &'static str| self.stage(&[stage], 1.0);
        let looks = self.sum("xueliang_node_look_age_seconds_count", &[continued]).max(1.0);
        let units = (self.sum("xueliang_node_look_units_total", &[continued]) / looks).max(1.0);
        let least = Spread::fixed(1.0);
        Costs {
            machine: Machine { processor: "this".to_owned(), taken: "now".to_owned(), note: String::new() },
            node: Node {
                unit_us: 0.0,
                rules_still_us: 0.0,
                rules_active_us: 0.0,
                look_us: 0.0,
                session_mib: 0.0,
                base_mib: 0.0,
            },
            // The scene is measured in what is left.
            worker: Worker { hop: of("stage=\"rest\""), base_mib: 0.0, lease_mib: 0.0 },
            decode: vec![Decode {
                codec: Codec::H264,
                width: 768,
                height: 576,
                keyframe: self.stage(&[keyframe, "stage=\"decode\""], 1.0),
                unit: self.stage(&[continued, "stage=\"decode\""], units),
            }],
            picture: vec![Pixels {
                width: 768,
                height: 576,
                scene: least,
                prepare: of("stage=\"prepare\""),
                jpeg: least,
            }],
            model: vec![ModelCost {
                name: "default".to_owned(),
                sees: vec![Meaning::Person, Meaning::Vehicle, Meaning::TwoWheeler],
                infer: of("stage=\"infer\""),
            }],
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_how_often_and_how_late_the_service_looks() {
    let clip = clip("vtest@10fps.h264").unwrap();
    let cameras = (0..LANES + PITS)
        .map(|index| {
            let rules = if index < LANES { LANE } else { PIT };
            let mut camera = TestCamera::new(&format!("c{index}"), clip.clone(), rules);
            // Each at another place of the clip, and of its groups of pictures.
            camera.spec = camera.spec.ahead(Duration::from_millis(270 + 5470 * index as u64));
            camera
        })
        .collect();
    let mut service = Service::start(cameras, "analysis.workers = 2\n").await.unwrap();
    let looks = "xueliang_node_look_age_seconds_count";
    until("all cameras are looked at", MINUTE, async || {
        let decoders = service.metric("xueliang_node_live_objects", &["leases"]).await.ok()?;
        (decoders == PITS as f64 && service.metric(looks, &[]).await.ok()? > 60.0).then_some(())
    })
    .await
    .unwrap();
    let started = tokio::time::Instant::now();
    let before = service.metrics().await.unwrap();
    tokio::time::sleep(WATCHED).await;
    let after = service.metrics().await.unwrap();
    let seconds = started.elapsed().as_secs_f64();
    service.stop().await.unwrap();
    let measured = Measured { before, after };

    let folder = tempfile::tempdir().unwrap();
    let [mix, costs] = ["mix.toml", "costs.toml"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&mix, MIX).unwrap();
    std::fs::write(&costs, toml::to_string(&measured.costs()).unwrap()).unwrap();
    let cameras = (LANES + PITS).to_string();
    let arguments = [
        "plan",
        "--cameras",
        &cameras,
        "--mix",
        &mix,
        "--costs",
        &costs,
        "--workers",
        "2",
        "--hours",
        "0.1",
        "--json",
    ];
    let output = cli(&arguments).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let planned = |path: &str| plan.pointer(path).and_then(Value::as_f64).unwrap();

    // Looks a second to one in seven, by kind of look. The middle of ages to a factor of two and the width of a bucket; their
    // p99 is printed only: a machine that does other things meanwhile is late in bursts, and costs drawn one by one know none.
    for (kind, pointer) in [("keyframe", "/looks/keyframe_per_s"), ("continued", "/looks/continued_per_s")] {
        let label = format!("look=\"{kind}\"");
        let (real, plan) = (measured.sum(looks, &[&label]) / seconds, planned(pointer));
        println!("{kind} looks a second: {real:.2} real, {plan:.2} planned");
        assert!((plan / real - 1.0).abs() < 0.15, "{kind}: {real} real, {plan} planned");
    }
    let age =
        |share, pointer| (measured.quantile("xueliang_node_look_age_seconds", &[], share), planned(pointer));
    let (late, expected) = age(0.99, "/looks/age/p99_s");
    println!("p99 of ages: {late:.3} s real, {expected:.3} s planned");
    let (real, plan) = age(0.5, "/looks/age/p50_s");
    println!("p50 of ages: {real:.3} s real, {plan:.3} s planned");
    assert!(plan < real * 2.0 + 0.03 && real < plan * 2.0 + 0.03, "{real} s real, {plan} s planned");
}
