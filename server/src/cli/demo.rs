//! `xueliang demo`: a town of simulated cameras that play real footage and fail, the service, and its alerts.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{process::Command, time::timeout};
use xueliang_base::kind::Kind;
use xueliang_proto::v1::{self, duty_service_client::DutyServiceClient};
use xueliang_simulator::{Account, CameraSpec, Clip, Simulator};

use super::{Asked, block_on, reach::Reach, run::read_config, watch};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder of the town's configuration and state; kept between runs.
    #[arg(long, default_value = "demo-state")]
    dir: PathBuf,
    /// Folder of prepared clips; `make` prepares them.
    #[arg(long, default_value = ".cache/clips")]
    clips: PathBuf,
    /// Folder of the default model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Where consoles connect.
    #[arg(long, default_value = "127.0.0.1:8750")]
    api: SocketAddr,
    /// Where metrics are served.
    #[arg(long, default_value = "127.0.0.1:8751")]
    admin: SocketAddr,
    /// Where the operators' page is served.
    #[arg(long, default_value = "127.0.0.1:8752")]
    console: SocketAddr,
    /// Stop by itself after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

/// The town: id, name, longitude and latitude with the address, clip, what goes wrong and when, zones and rules.
struct Point {
    id: &'static str,
    name: &'static str,
    at: ([f64; 2], &'static str),
    clip: &'static str,
    faults: &'static str,
    /// One after the other.
    rules: &'static [&'static str],
}

const PIT: &str = r#"
[[camera.zone]]
id = "pit"
polygon = [[0.62, 0.40], [0.90, 0.40], [0.90, 0.74], [0.62, 0.74]]
[[camera.rule]]
kind = "ZONE_INTRUSION"
zone = "pit"
"#;

/// It plays when a drill asks for it.
const IN_DRILLS: &str = "\nacquire = \"on-request\"\ndrill = true\n";
/// Of the rule before it: one drill is one alert.
const ONCE: &str = "cooldown = \"5m\"\n";

const TOWN: [Point; 7] = [
    Point {
        id: "plaza-1",
        name: "北广场施工基坑 North plaza",
        at: ([121.2431, 30.1712], "建设路 1 号"),
        clip: "vtest@10fps.h264",
        faults: "",
        rules: &[PIT],
    },
    Point {
        id: "plaza-2",
        name: "南广场消防车通道 South plaza",
        at: ([121.2437, 30.1669], "建设路 9 号"),
        clip: "vtest@10fps.h264",
        faults: "30s:dark,75s:normal",
        rules: &[r#"
[[camera.zone]]
id = "lane"
polygon = [[0.80, 0.08], [1.0, 0.08], [1.0, 0.26], [0.80, 0.26]]
[[camera.rule]]
kind = "FIRE_LANE_BLOCKED"
zone = "lane"
dwell = "10s"
max_gap = "10s"
blind_max = "3s"
"#],
    },
    Point {
        id: "school-1",
        name: "中心小学门口 School road",
        at: ([121.2486, 30.1691], "学府路 3 号"),
        clip: "vtest@10fps.h264",
        faults: "30s:freeze,75s:normal",
        rules: &[],
    },
    Point {
        id: "market-1",
        name: "农贸市场北门 Market gate",
        at: ([121.2402, 30.1688], "集市街 12 号"),
        clip: "vtest@10fps.h264",
        faults: "20s:stop,60s:normal",
        rules: &[],
    },
    Point {
        id: "bridge-1",
        name: "东桥施工围挡 Bridge, east",
        at: ([121.2519, 30.1703], "沿江路 20 号"),
        clip: "vtest@10fps.h264",
        faults: "35s:away,90s:normal",
        rules: &[PIT],
    },
    Point {
        id: "park-1",
        name: "人民公园 Park",
        at: ([121.2455, 30.1736], "公园路 2 号"),
        clip: "tree@10fps.h264",
        faults: "",
        rules: &[],
    },
    Point {
        id: "drill-1",
        name: "演练摄像头 Drill camera",
        at: ([121.2441, 30.1694], "综治中心机房"),
        clip: "vtest@10fps.h264",
        faults: "",
        rules: &[IN_DRILLS, PIT, ONCE],
    },
];

/// The code of the town's division.
const TOWN_CODE: &str = "330282101";

const USER: &str = "demo";
const PASSWORD: &str = "only-for-the-demonstration";

/// Lines of the service's log that are shown when it fails.
const TAIL: usize = 20;

/// Runs until Ctrl-C (or SIGTERM, or the terminal is closed), a failure of the service, or the time given.
pub fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    block_on(demo(args))
}

async fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    // Before anything is started: from here on a signal ends the service in order instead of leaving it behind.
    let mut asked = Asked::listen()?;
    let simulator = town(&args.clips).await?;
    fs::create_dir_all(&args.dir).with_context(|| format!("create {}", args.dir.display()))?;
    let model = match &args.model {
        Some(folder) => folder.clone(),
        None => default_model()?,
    };
    let config = args.dir.join("xueliang.toml");
    fs::write(args.dir.join("camera.secret"), format!("{USER}\n{PASSWORD}\n"))?;
    fs::write(&config, configuration(&simulator, &model.canonicalize()?, &args))?;
    let parsed = read_config(&config)?;

    let log = args.dir.join("service.log");
    let log_file = fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
    say(&format!("A town of {} simulated cameras; the service logs to {}.", TOWN.len(), log.display()));
    say(&format!("Operators' page: http://{}/   Open it in a browser.", parsed.listen.console));
    say(&format!("Configuration: {}   Alerts: {}", config.display(), parsed.listen.api));
    say(&format!("Metrics: http://{}/metrics   Ctrl-C stops everything.\n", parsed.listen.admin));
    let mut service = Command::new(std::env::current_exe()?)
        .args(["run", "--config"])
        .arg(&config)
        // However this process ends, the service ends with it.
        .args(["--parent", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::from(log_file))
        // Ctrl-C in the terminal must reach this process alone, which then stops the others in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("start the service")?;

    let seconds = args.seconds.unwrap_or(u64::MAX / 2);
    let outcome = tokio::select! {
        watched = watch::follow(watch::Follow::of_demo(parsed.listen.api, args.json), std::future::pending()) => {
            watched.map(|_| ())
        }
        status = service.wait() => Err(anyhow::anyhow!("the service ended ({})", status?)),
        () = asked.wait() => Ok(()),
        () = async { duty(parsed.listen.api).await; std::future::pending().await } => Ok(()),
        () = tokio::time::sleep(Duration::from_secs(seconds)) => Ok(()),
    };
    say("\nStopping.");
    if let Some(pid) = service.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        // An error means that it has ended by itself meanwhile.
        let _ended = kill_process(pid, Signal::TERM);
        if timeout(Duration::from_secs(25), service.wait()).await.is_err() {
            service.kill().await?;
        }
    }
    simulator.shutdown().await;
    if outcome.is_err() {
        say(&format!("The end of {}:\n{}\n", log.display(), tail(&log)));
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Says who leads what in the town, where nobody has said so yet: what is dispatched is filled in then.
async fn duty(api: SocketAddr) {
    let rule = |kinds: &[Kind], lead: &str| v1::DutyRule {
        division_code: TOWN_CODE.to_owned(),
        kinds: kinds.iter().map(|kind| kind.number()).collect(),
        lead_unit: lead.to_owned(),
        ..v1::DutyRule::default()
    };
    let rules = [rule(&[Kind::FireLaneBlocked], "示范镇消防救援站"), rule(&[], "示范镇综合执法队")];
    let Ok(channel) = Reach::at(format!("http://{api}")).connect() else { return };
    let mut service = DutyServiceClient::new(channel);
    // It may not be up yet.
    let known = loop {
        match service.list_duty_rules(v1::ListDutyRulesRequest::default()).await {
            Ok(known) => break known.into_inner(),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    };
    for rule in rules.into_iter().filter(|_| known.rules.is_empty()) {
        if let Err(status) = service.put_duty_rule(v1::PutDutyRuleRequest { rule: Some(rule) }).await {
            say(&format!("No duty rule is put: {}", status.message()));
        }
    }
}

/// Tells the person at the terminal, who may have closed it.
fn say(text: &str) {
    let _closed = writeln!(io::stderr(), "{text}");
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

async fn town(clips: &Path) -> anyhow::Result<Simulator> {
    let load = |name: &str| {
        let path = clips.join(name);
        Clip::load(&path, None)
            .with_context(|| format!("load {}: run `make run`, which prepares it", path.display()))
    };
    let (dark, away) = (load("vtest-dark@10fps.h264")?, load("vtest-away@10fps.h264")?);
    let mut cameras = Vec::new();
    for point in &TOWN {
        cameras.push(
            CameraSpec::new(point.id, load(point.clip)?)
                .alternative("dark", dark.clone())
                .alternative("away", away.clone())
                .account(Account::new(USER, PASSWORD))
                .schedule(point.faults.parse()?),
        );
    }
    Ok(Simulator::start(([127, 0, 0, 1], 0).into(), cameras).await?)
}

fn configuration(simulator: &Simulator, model: &Path, args: &DemoArgs) -> String {
    let mut text = format!(
        "# Written by `xueliang demo` at every start.\n\
         site = \"示范镇 Demonstration town\"\n\
         state_dir = \"state\"\n\
         networks = [\"127.0.0.0/8\"]\n\
         models = [{:?}]\n\n\
         [api]\nsign_in = \"none\"\n[listen]\napi = \"{}\"\nadmin = \"{}\"\nconsole = \"{}\"\n\n\
         [credentials.demo]\nfile = \"camera.secret\"\n\n\
         [[division]]\ncode = \"330282\"\nname = \"示范市 Demonstration city\"\n\
         [[division]]\ncode = \"{TOWN_CODE}\"\nname = \"示范镇 Demonstration town\"\nparent = \"330282\"\n",
        model.display().to_string(),
        args.api,
        args.admin,
        args.console,
    );
    for point in &TOWN {
        text.push_str(&format!(
            "\n[[camera]]\nid = \"{}\"\nname = \"{}\"\ndivision = \"{TOWN_CODE}\"\nposition = {:?}\n\
             address = \"{}\"\nurl = \"{}\"\ncredentials = \"demo\"\n{}",
            point.id,
            point.name,
            point.at.0,
            point.at.1,
            simulator.url(point.id),
            point.rules.concat()
        ));
    }
    text
}

/// The committed model: `models/centernet-mobilenetv3` beside the program, in the checkout, or here.
fn default_model() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let here = std::env::current_dir()?;
    for folder in program.ancestors().skip(1).take(4).chain([here.as_path()]) {
        let path = folder.join("models/centernet-mobilenetv3");
        if path.join("manifest.toml").is_file() {
            return Ok(path);
        }
    }
    bail!("the default model is not found: name its folder with --model")
}
