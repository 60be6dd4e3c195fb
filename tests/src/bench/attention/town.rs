//! Towns to measure: what their cameras show and watch for, the services that watch them, and what these spend.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use xueliang_base::kind::Kind;
use xueliang_simulator::{CameraSpec, Clip, Simulator};

use crate::{
    Desk, Service,
    bench::processor_time,
    service::{TestCamera, until},
};

const PATIENCE: Duration = Duration::from_secs(180);

/// What is set for each kind of run.
pub(super) const OFF: &str = "[analysis]\nattention = \"off\"\n";
pub(super) const ON: &str = "[analysis]\ngate = \"enforce\"\nglance = \"4s\"\nfloor = \"30s\"\n";
pub(super) const SHADOW: &str = "[analysis]\ngate = \"shadow\"\nworkers = 1\n";

/// A zone and a rule about it.
fn zone(kind: &str, corners: &str, more: &str) -> String {
    format!(
        "[[camera.zone]]\nid = \"z\"\npolygon = {corners}\n[[camera.rule]]\nkind = \"{kind}\"\nzone = \"z\"\n{more}"
    )
}

/// The rules of the quiet town, in turn.
pub(super) const MIX: &str = "in turn: people in a danger zone, vehicles on a fire lane, left objects, people at a \
                              water's edge with left objects; and each camera's own health";

/// Rules of a camera of the quiet town.
pub(super) fn mix(index: usize) -> String {
    let left = "[[camera.rule]]\nkind = \"LEFT_OBJECT\"\n";
    let right = "[[0.55, 0.10], [0.95, 0.10], [0.95, 0.90], [0.55, 0.90]]";
    let lane = "[[0.05, 0.50], [0.50, 0.50], [0.50, 0.95], [0.05, 0.95]]";
    match index % 4 {
        0 => zone("ZONE_INTRUSION", right, ""),
        1 => zone("FIRE_LANE_BLOCKED", lane, ""),
        2 => left.to_owned(),
        _ => zone("WATER_ZONE_ENTRY", right, left),
    }
}

/// People in the zone of the campus that somebody walks through all the time.
pub(super) fn busy() -> String {
    danger("[[0.62, 0.53], [0.90, 0.53], [0.90, 0.98], [0.62, 0.98]]")
}

/// People in a zone, which may be raised again soon.
pub(super) fn danger(corners: &str) -> String {
    zone("ZONE_INTRUSION", corners, "clear = \"4s\"\ncooldown = \"0s\"\n")
}

/// Vehicles that stay in a zone for so many seconds.
pub(super) fn lane(corners: &str, dwell_s: u32) -> String {
    zone(
        "FIRE_LANE_BLOCKED",
        corners,
        &format!("dwell = \"{dwell_s}s\"\nclear = \"10s\"\ncooldown = \"0s\"\n"),
    )
}

/// A camera that needs no login, so far ahead in its clip.
pub(super) fn camera(id: String, clip: &Arc<Clip>, ahead: f64, rules: String) -> TestCamera {
    let spec = CameraSpec::new(&id, Arc::clone(clip)).ahead(clip.duration().mul_f64(ahead.fract()));
    TestCamera { id, spec, rules }
}

/// Cameras of some clips in turn, spread over them.
pub(super) fn cameras(
    prefix: &str,
    clips: &[Arc<Clip>],
    count: usize,
    rules: impl Fn(usize) -> String,
) -> Vec<TestCamera> {
    (0..count)
        .map(|n| {
            // Each combination of a clip and a rule comes about.
            let clip = &clips[(n + n / 4) % clips.len()];
            camera(format!("{prefix}{n}"), clip, n as f64 * 0.618_034, rules(n))
        })
        .collect()
}

/// One simulator for several services, each with its own cameras.
pub(super) async fn start(towns: Vec<(Vec<TestCamera>, &str)>) -> anyhow::Result<Vec<Service>> {
    let (mut specs, mut watched) = (Vec::new(), Vec::new());
    for (cameras, extra) in towns {
        let (own, rules): (Vec<_>, Vec<_>) = cameras.into_iter().map(|c| (c.spec, (c.id, c.rules))).unzip();
        specs.extend(own);
        watched.push((rules, extra));
    }
    let simulator = Arc::new(Simulator::start(([127, 0, 0, 1], 0).into(), specs).await?);
    let mut services = Vec::new();
    for (rules, extra) in watched {
        let mut service = Service::watching(Arc::clone(&simulator), &rules, extra)?;
        service.run().await?;
        until("all cameras stream", PATIENCE, async || {
            let streaming = service.metric("xueliang_node_camera_streaming", &[]).await.ok()?;
            (streaming as usize == rules.len()).then_some(())
        })
        .await?;
        services.push(service);
    }
    Ok(services)
}

pub(super) async fn stop(services: Vec<Service>) -> anyhow::Result<()> {
    for mut service in services {
        service.stop().await?;
    }
    Ok(())
}

/// What a service did since it was started.
#[derive(Debug, Clone, Default)]
pub(super) struct Moment {
    /// Processor time by process, with its role.
    spent: BTreeMap<i32, (String, Duration)>,
    metrics: String,
    at: Option<tokio::time::Instant>,
}

/// What it did between two moments.
#[derive(Debug, Clone)]
pub(super) struct Spent {
    pub(super) seconds: f64,
    /// Seconds of a core, by role.
    pub(super) by_role: BTreeMap<String, f64>,
    before: String,
    after: String,
}

impl Moment {
    pub(super) async fn of(service: &Service) -> anyhow::Result<Self> {
        let mut spent = BTreeMap::new();
        for (pid, role) in service.roles() {
            // One that ended meanwhile is not counted, nor what it did.
            if let Ok(time) = processor_time(u32::try_from(pid)?) {
                spent.insert(pid, (role, time));
            }
        }
        Ok(Self { spent, metrics: service.metrics().await?, at: Some(tokio::time::Instant::now()) })
    }
    /// Processor time of this process, which shows the cameras.
    pub(super) fn of_this_process() -> anyhow::Result<Duration> {
        processor_time(std::process::id())
    }
    pub(super) fn until(self, after: Self) -> Spent {
        let mut by_role = BTreeMap::new();
        for (pid, (role, time)) in &after.spent {
            let before = self.spent.get(pid).map_or(Duration::ZERO, |before| before.1);
            *by_role.entry(role.clone()).or_insert(0.0) += time.saturating_sub(before).as_secs_f64();
        }
        let seconds = after.at.zip(self.at).map_or(0.0, |(after, before)| (after - before).as_secs_f64());
        Spent { seconds, by_role, before: self.metrics, after: after.metrics }
    }
}

impl Spent {
    /// Seconds of a core.
    pub(super) fn all(&self) -> f64 {
        self.by_role.values().sum()
    }
    /// Per cent of a core.
    pub(super) fn percent(&self, cameras: usize) -> f64 {
        self.all() / self.seconds.max(1e-9) / cameras.max(1) as f64 * 100.0
    }
    /// How much a metric grew.
    pub(super) fn grew(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.after, name, labels) - sum(&self.before, name, labels)
    }
    /// The same, a second and camera.
    pub(super) fn rate(&self, name: &str, labels: &[&str], cameras: usize) -> f64 {
        self.grew(name, labels) / self.seconds.max(1e-9) / cameras.max(1) as f64
    }
    /// Where the processor's time went, and on what, a camera.
    pub(super) fn told(&self, cameras: usize) -> String {
        let share = |seconds: &f64| seconds / self.seconds.max(1e-9) / cameras.max(1) as f64 * 100.0;
        let roles: Vec<String> =
            self.by_role.iter().map(|(role, seconds)| format!("{role} {:.2}", share(seconds))).collect();
        let did = |what| self.rate("xueliang_node_attention", &[what], cameras);
        let decoded =
            |column| self.rate("xueliang_node_access_units", &[&format!("column=\"{column}\"")], cameras);
        format!(
            "{} %; {:.2} looks a second, of these {:.2} glances, {:.2} units decoded; stirred {:.3}, woken {:.3}",
            roles.join(", "),
            self.rate("xueliang_node_looks", &["outcome=\"looked\""], cameras),
            did("what=\"glances\""),
            decoded("looked_at") + decoded("referenced"),
            did("what=\"stirred\""),
            did("what=\"woken\"")
        )
    }
}

/// What a service has raised, by kind.
pub(super) async fn alerts(service: &Service) -> anyhow::Result<String> {
    let desk = Desk::open(&service.api, "bench", PATIENCE).await?;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for alert in desk.listed().await?.values() {
        *kinds.entry(Kind::from_number(alert.kind).map_or("?", Kind::code)).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    Ok(if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") })
}

/// The sum of a metric's samples whose labels hold all of `labels`.
pub(super) fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let of_metric = |line: &&str| {
        line.strip_prefix(name)
            .map(|rest| rest.strip_prefix("_total").unwrap_or(rest))
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    text.lines()
        .filter(of_metric)
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Lets services settle, and measures what they all spend in the same time.
pub(super) async fn measure(
    services: &[Service],
    settle: Duration,
    measured: Duration,
) -> anyhow::Result<Vec<Spent>> {
    tokio::time::sleep(settle).await;
    let mut before = Vec::new();
    for service in services {
        before.push(Moment::of(service).await?);
    }
    tokio::time::sleep(measured).await;
    let mut spent = Vec::new();
    for (service, before) in services.iter().zip(before) {
        spent.push(before.until(Moment::of(service).await?));
    }
    Ok(spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_spent_is_told_by_role_and_processes_that_began_meanwhile_count() {
        let moment = |node_s, worker: Option<u64>, looks| Moment {
            spent: [(1, ("node".to_owned(), Duration::from_secs(node_s)))]
                .into_iter()
                .chain(worker.map(|s| (2, ("worker looks".to_owned(), Duration::from_secs(s)))))
                .collect(),
            metrics: format!(
                "xueliang_node_looks{{outcome=\"looked\"}} {looks}\nxueliang_node_looks_refused{{}} 7\n"
            ),
            at: None,
        };
        let mut spent = moment(5, None, 10).until(moment(7, Some(4), 40));
        spent.seconds = 10.0;
        assert!((spent.all() - 6.0).abs() < 1e-9 && (spent.percent(4) - 15.0).abs() < 1e-9);
        assert!((spent.grew("xueliang_node_looks", &[]) - 30.0).abs() < 1e-9);
        assert!((spent.rate("xueliang_node_looks", &["looked"], 3) - 1.0).abs() < 1e-9);
    }
}
