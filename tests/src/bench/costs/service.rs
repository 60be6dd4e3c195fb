//! What the node's process takes, and the way to a worker and back: sessions on simulated cameras, and the whole service.

use std::{
    fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use xueliang_base::{
    config::{Stream, StreamSource, Transport},
    shutdown,
    time::SystemClock,
    unit::{AccessUnit, Codec},
};
use xueliang_ingest::{
    health::SignalChange,
    ring::Ring,
    session::{Accounts, ConnectRate, SessionSpec, UnitSink, spawn},
};
use xueliang_server::plan::costs::{Node, Spread, Worker};

use super::{super::processor_time, footage::Footage, looks::Rules, process_time, resident_mib, round};
use crate::{
    Service,
    histogram::Buckets,
    service::{BUSY_ZONE, TestCamera, command, free_ports, until},
};

/// Cameras received from, and for how long.
const RECEIVED: usize = 24;
const RECEIVE: Duration = Duration::from_secs(12);
/// Cameras of the service, and for how long it is watched.
const SERVED: usize = 4;
const SERVE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(90);

/// What receiving takes.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Received {
    pub(in crate::bench) unit_us: f64,
    session_mib: f64,
}

struct Taken {
    ring: Ring,
    units: AtomicU64,
}

impl UnitSink for Taken {
    fn unit(&self, unit: AccessUnit) {
        self.ring.push(unit);
        self.units.fetch_add(1, Ordering::Relaxed);
    }
    fn signal(&self, _: SignalChange) {}
}

pub(super) fn h264(clips: &[Footage]) -> anyhow::Result<&Footage> {
    clips.iter().find(|one| one.codec == Codec::H264).context("there is a clip of H.264")
}

/// Sessions of this process on cameras of another one.
pub(in crate::bench) async fn receive(footage: &Footage, source: StreamSource) -> anyhow::Result<Received> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("clip@{}fps.h264", footage.hz));
    fs::write(&path, footage.units.iter().map(|unit| &unit.data[..]).collect::<Vec<_>>().concat())?;
    let [port] = free_ports()?;
    let mut town = command()?
        .args(["simulate", "--listen", &format!("127.0.0.1:{port}"), "--copies", &RECEIVED.to_string()])
        .arg(format!("a={}", path.display()))
        .stdout(Stdio::null())
        .spawn()?;
    let (stop, stopping) = shutdown::pair();
    let before = resident_mib(i32::try_from(std::process::id())?)?;
    let mut sessions = Vec::new();
    let mut sinks = Vec::new();
    for index in 1..=RECEIVED {
        let name = if index == 1 { "a".to_owned() } else { format!("a-{index}") };
        let sink = Arc::new(Taken {
            ring: Ring::new(16_000_000, Duration::from_secs(30)),
            units: AtomicU64::new(0),
        });
        let spec = SessionSpec {
            camera: name.parse()?,
            stream: Stream {
                url: format!("rtsp://127.0.0.1:{port}/{name}").parse()?,
                transport: Transport::Tcp,
                credentials: None,
                first_unit_timeout: Duration::from_secs(10),
                source,
            },
            credentials: None,
            networks: vec!["127.0.0.0/8".parse()?],
            expected_on: None,
            timezone: "UTC".to_owned(),
            idle: None,
            first_seq: 1,
            connect_rate: ConnectRate::new(50, 50),
            accounts: Accounts::default(),
        };
        sessions.push(spawn(spec, sink.clone(), SystemClock::shared(), stopping.clone())?);
        sinks.push(sink);
    }
    let units = || sinks.iter().map(|sink| sink.units.load(Ordering::Relaxed)).collect::<Vec<_>>();
    until("all sessions deliver", PATIENCE, async || units().iter().all(|count| *count > 25).then_some(()))
        .await?;
    let (count, time) = (units().iter().sum::<u64>(), process_time());
    tokio::time::sleep(RECEIVE).await;
    let (count, time) = (units().iter().sum::<u64>() - count, process_time() - time);
    ensure!(count > 100, "{count} units came in {RECEIVE:?}");
    let held: u64 = sinks.iter().map(|sink| sink.ring.pending().bytes).sum();
    let mib = resident_mib(i32::try_from(std::process::id())?)? - before - held as f64 / f64::from(1 << 20);
    stop.ask();
    // They end by themselves, soon after.
    drop(sessions);
    town.kill().await?;
    Ok(Received {
        unit_us: round(time.as_secs_f64() * 1e6 / count as f64),
        session_mib: round((mib / RECEIVED as f64).max(0.05)),
    })
}

/// What the service takes.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) node: Node,
    /// From a look's start to its answer, besides decoding, preparing and running models.
    rest: Spread,
    worker_mib: f64,
}

impl Served {
    /// The scene is measured on the way and told apart.
    pub(super) fn worker(&self, scene: Spread, lease_mib: f64) -> Worker {
        let mean_us = (self.rest.mean_us - scene.mean_us).max(1.0);
        let p99_us = (self.rest.p99_us - scene.mean_us).max(mean_us).min(mean_us * 15.0);
        let hop = Spread { mean_us: round(mean_us), p99_us: round(p99_us).max(round(mean_us)) };
        Worker { hop, base_mib: round(self.worker_mib), lease_mib }
    }
}

/// The whole service on a few cameras, which its workers look at with ease.
pub(super) async fn serve(clips: &[Footage], received: &Received, rules: Rules) -> anyhow::Result<Served> {
    let footage = h264(clips)?;
    let cameras = (0..SERVED)
        .map(|index| TestCamera::new(&format!("c{index}"), footage.clip.clone(), BUSY_ZONE))
        .collect();
    let mut service = Service::start(cameras, "").await?;
    until("all cameras are looked at", PATIENCE, async || {
        let looked = service.metric("xueliang_node_look_age_seconds_count", &[]).await.ok()?;
        (looked > 40.0).then_some(())
    })
    .await?;
    let node = *service.pids("node").first().context("the node runs")?;
    let before = Moment::of(&service, node).await?;
    tokio::time::sleep(SERVE).await;
    let after = Moment::of(&service, node).await?;
    let looks = after.looks - before.looks;
    ensure!(looks > 20.0, "{looks} looks in {SERVE:?}");
    let busy_us = (after.busy - before.busy).as_secs_f64() * 1e6;
    let units = after.units - before.units;
    let look_us = (busy_us - units * received.unit_us) / looks - rules.active_us;
    let (mut worker_mib, mut base_mib) = (0.0f64, 0.0);
    for (pid, role) in service.roles() {
        let mib = resident_mib(pid)?;
        if role.contains("looks") { worker_mib = worker_mib.max(mib) } else { base_mib += mib }
    }
    let rest = Spread {
        mean_us: (after.rest - before.rest) * 1e6 / looks,
        p99_us: after.buckets.quantile_since(&before.buckets, 0.99) * 1e6,
    };
    service.stop().await?;
    Ok(Served {
        node: Node {
            unit_us: received.unit_us,
            rules_still_us: rules.still_us,
            rules_active_us: rules.active_us,
            look_us: round(look_us.max(1.0)),
            session_mib: received.session_mib,
            base_mib: round((base_mib - SERVED as f64 * received.session_mib).max(1.0)),
        },
        rest,
        worker_mib,
    })
}

struct Moment {
    looks: f64,
    units: f64,
    rest: f64,
    buckets: Buckets,
    busy: Duration,
}

impl Moment {
    async fn of(service: &Service, node: i32) -> anyhow::Result<Self> {
        let rest = "stage=\"rest\"";
        Ok(Self {
            looks: service.metric("xueliang_node_look_age_seconds_count", &[]).await?,
            units: service.metric("xueliang_node_access_units", &["column=\"received\""]).await?,
            rest: service.metric("xueliang_node_look_seconds_sum", &[rest]).await?,
            buckets: Buckets::read(&service.metrics().await?, "xueliang_node_look_seconds", &[rest]),
            busy: processor_time(u32::try_from(node)?)?,
        })
    }
}
