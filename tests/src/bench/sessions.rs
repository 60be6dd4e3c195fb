//! `make bench-sessions`: what the session of a camera costs at rest, over each driver, without its ring. `ARGS=100` reads so
//! many cameras instead of 30.
//!
//! Each driver reads them in a process of its own, and the simulated cameras are in a third: the sessions' costs are then
//! the process's.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use xueliang_base::{
    config::{Stream, StreamSource, Transport},
    shutdown,
    time::SystemClock,
    unit::AccessUnit,
};
use xueliang_ingest::{
    health::SignalChange,
    session::{self, Accounts, ConnectRate, SessionSpec, UnitSink},
};
use xueliang_simulator::{CameraSpec, Clip, Simulator};

use super::{Table, processor_time};
use crate::service::clips_folder;

/// The name under which the program measures one driver.
pub const MEASURE: &str = "sessions-of";
const CLIP: &str = "vtest@10fps.h264";
const HZ: u32 = 15;
const CAMERAS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);
/// After the last camera has begun.
const SETTLE: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(30);

/// What one driver's process measured of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cost {
    units_per_s: f64,
    mbit_per_s: f64,
    pub(super) core_percent: f64,
    threads: usize,
    memory_kib: f64,
}

/// Measures both; see the module.
pub async fn run(cameras: Option<&str>) -> anyhow::Result<Table> {
    let cameras =
        cameras.map_or(Ok(CAMERAS), str::parse).context("how many cameras: a number was expected")?;
    ensure!((1..=1_000).contains(&cameras), "1 to 1000 cameras can be measured");
    let clip =
        Clip::load(&clips_folder().join(CLIP), Some(HZ.to_string().parse()?)).context("run `make setup`")?;
    let specs = (0..cameras).map(|n| CameraSpec::new(n.to_string(), Arc::clone(&clip))).collect();
    let simulator = Simulator::start(SocketAddr::from(([127, 0, 0, 1], 0)), specs).await?;
    let mut table = Table::default();
    let (width, height) = (clip.width(), clip.height());
    table.note("cameras", format!("{cameras}, H.264 {width}x{height} at {HZ} pictures a second"));
    let url = simulator.url("");
    let retina = measured_of(StreamSource::Retina, &url, cameras).await?;
    let gstreamer = measured_of(StreamSource::Gstreamer, &url, cameras).await?;
    for (name, cost) in [("retina", &retina), ("gstreamer", &gstreamer)] {
        let rate = f64::from(HZ) * 0.95;
        table.row(
            &format!("{name}: units a second of a camera"),
            format!("{:.2} ({:.2} Mbit/s)", cost.units_per_s, cost.mbit_per_s),
            &format!("{rate:.1}"),
            cost.units_per_s >= rate,
        );
        table.note(&format!("{name}: of a core, a camera"), format!("{:.3} %", cost.core_percent));
        table.note(&format!("{name}: threads in all"), cost.threads.to_string());
        table.note(&format!("{name}: memory of a camera"), format!("{:.0} KiB", cost.memory_kib));
    }
    let times = |a: f64, b: f64| a / b.max(1e-9);
    let cheaper = times(gstreamer.core_percent, retina.core_percent);
    table.row("retina costs less of a core", format!("{cheaper:.1} times"), "4 times", cheaper >= 4.0);
    table.row("retina's threads in all", retina.threads.to_string(), "4", retina.threads <= 4);
    table.row(
        "memory of a camera over retina",
        format!(
            "{:.0} KiB, {:.1} times less",
            retina.memory_kib,
            times(gstreamer.memory_kib, retina.memory_kib)
        ),
        "300 KiB",
        retina.memory_kib <= 300.0,
    );
    simulator.shutdown().await;
    Ok(table)
}

pub(super) async fn measured_of(source: StreamSource, url: &str, cameras: usize) -> anyhow::Result<Cost> {
    let word = serde_json::to_value(source)?;
    let word = word.as_str().context("a source is a word")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([MEASURE, word, url, &cameras.to_string()]).kill_on_drop(true);
    let output = command.stderr(std::process::Stdio::inherit()).output().await?;
    ensure!(output.status.success(), "the sessions over {word} could not be measured");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Counts units and drops them.
#[derive(Default)]
struct Counter {
    units: AtomicU64,
    bytes: AtomicU64,
}

impl UnitSink for Counter {
    fn unit(&self, unit: AccessUnit) {
        self.units.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(unit.data.len() as u64, Ordering::Relaxed);
    }
    fn signal(&self, _: SignalChange) {}
}

/// Reads the cameras at a place over one driver and prints what that costs this process. Blocks.
#[expect(
    clippy::disallowed_methods,
    reason = "a process of its own, which nothing but the machine's clock drives"
)]
pub fn measure(source: &str, url: &str, cameras: usize) -> anyhow::Result<()> {
    let source: StreamSource = serde_json::from_value(source.into())?;
    if source == StreamSource::Gstreamer {
        // Loaded once a process, whatever the number of cameras.
        xueliang_ingest::init()?;
    }
    let before_kib = status("VmRSS:")?;
    let (_stop, stopping) = shutdown::pair();
    let (connect_rate, accounts) = (ConnectRate::default(), Accounts::default());
    let counters: Vec<Arc<Counter>> = (0..cameras).map(|_| Arc::default()).collect();
    let sessions: Result<Vec<_>, _> = counters
        .iter()
        .enumerate()
        .map(|(n, counter)| {
            let spec = SessionSpec {
                camera: n.to_string().parse()?,
                stream: Stream {
                    url: format!("{url}{n}").parse()?,
                    transport: Transport::Tcp,
                    credentials: None,
                    first_unit_timeout: PATIENCE,
                    source,
                },
                credentials: None,
                networks: vec!["127.0.0.0/8".parse()?],
                expected_on: None,
                timezone: "UTC".to_owned(),
                idle: None,
                first_seq: 1,
                connect_rate: connect_rate.clone(),
                accounts: accounts.clone(),
            };
            let sink: Arc<dyn UnitSink> = Arc::<Counter>::clone(counter);
            anyhow::Ok(session::spawn(spec, sink, SystemClock::shared(), stopping.clone())?)
        })
        .collect();
    let sessions = sessions?;
    let begun = Instant::now();
    while counters.iter().any(|counter| counter.units.load(Ordering::Relaxed) == 0) {
        ensure!(begun.elapsed() < PATIENCE, "a camera does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(SETTLE);
    let totals = || {
        let sum = |of: fn(&Counter) -> &AtomicU64| {
            counters.iter().map(|c| of(c).load(Ordering::Relaxed)).sum::<u64>()
        };
        (sum(|c| &c.units), sum(|c| &c.bytes))
    };
    let (first, cpu_first, from) =
        (totals(), processor_time(std::process::id())?.as_secs_f64(), Instant::now());
    std::thread::sleep(MEASURED);
    let (last, cpu_last, seconds) =
        (totals(), processor_time(std::process::id())?.as_secs_f64(), from.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "figures of half a minute")]
    let each = |count: u64| count as f64 / cameras as f64;
    let cost = Cost {
        units_per_s: each(last.0 - first.0) / seconds,
        mbit_per_s: each(last.1 - first.1) * 8e-6 / seconds,
        core_percent: (cpu_last - cpu_first) / seconds * each(1) * 100.0,
        threads: usize::try_from(status("Threads:")?)?,
        memory_kib: each(status("VmRSS:")?.saturating_sub(before_kib)),
    };
    println!("{}", serde_json::to_string(&cost)?);
    sessions.into_iter().for_each(session::SessionHandle::stop);
    Ok(())
}

fn status(name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("the system tells it")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
