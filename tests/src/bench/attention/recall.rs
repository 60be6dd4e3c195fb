//! Whether attention raises what the reference raises, how much later, and what its tiers miss.
//!
//! Two services watch the same cameras at the same time, one without attention. What they raised is compared rule by rule.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use xueliang_base::{
    kind::Kind,
    time::{Clock, SystemClock},
};
use xueliang_proto::v1::AlertState;
use xueliang_simulator::{CameraSpec, Clip, Simulator};

use super::{
    footage::{Clips, Encoding, HZ, Shot},
    matching::{Lasted, Matched, compare},
    town::{self, OFF, ON, SHADOW},
};
use crate::{
    Desk, Service,
    bench::Table,
    desk::alert_of,
    service::{TestCamera, until},
};

const PATIENCE: Duration = Duration::from_secs(120);
/// Backgrounds are learned before anything counts, and how long it then counts.
const SETTLE: Duration = Duration::from_secs(30);
const WATCHED: Duration = Duration::from_secs(140);
/// The same where there is nothing, on so many cameras: false alarms are rare, and one more or less of two tells nothing.
const NOTHING: Duration = Duration::from_secs(280);
const EMPTY_SCENES: usize = 4;
/// How long the tiers are judged in shadow.
const SHADOWED: Duration = Duration::from_secs(110);
/// How much later incidents may be raised: of states the floor, of what moves a keyframe and half a second.
const STATES: Duration = Duration::from_secs(30);
const MOVING: Duration = Duration::from_millis(2_500);

/// A camera under comparison.
struct Case {
    id: &'static str,
    shot: Shot,
    rules: String,
    /// Whether nothing that is there is any of its hazards: whatever is raised is a false alarm.
    nothing: bool,
}

fn cases() -> Vec<Case> {
    let all = "[[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98]]";
    let left =
        "[[camera.rule]]\nkind = \"LEFT_OBJECT\"\ndwell = \"20s\"\nclear = \"10s\"\ncooldown = \"0s\"\n";
    let case = |id, shot, rules, nothing| Case { id, shot, rules, nothing };
    vec![
        case("crossed", Shot::Crossed, town::danger(all), false),
        case(
            "littered",
            Shot::Littered,
            town::lane("[[0.02, 0.10], [0.40, 0.10], [0.40, 0.60], [0.02, 0.60]]", 20) + left,
            false,
        ),
        // Its lens is covered after a while.
        case("covered", Shot::Lawn, town::danger(all), false),
        case("campus", Shot::Campus, town::busy(), false),
        case("tree", Shot::Tree, town::danger(all) + left, true),
        case("lobby", Shot::Lobby, town::danger(all), false),
        case(
            "motorway",
            Shot::Motorway,
            town::danger("[[0.55, 0.02], [0.98, 0.02], [0.98, 0.98], [0.55, 0.98]]"),
            false,
        ),
    ]
}

/// When the covered camera is covered.
const COVERED: &str = "70s:dark,130s:normal";

fn specs(
    cases: &[Case],
    clips: &Clips,
    encoding: Encoding,
    prefix: &str,
) -> anyhow::Result<Vec<(TestCamera, usize)>> {
    let mut cameras = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let Some(clip) = clips.get(case.shot, encoding) else { continue };
        let mut camera = town::camera(format!("{prefix}{}", case.id), &clip, 0.0, case.rules.clone());
        if case.id == "covered" {
            let dark: Arc<Clip> = clips.own(Shot::Dark, encoding)?;
            camera.spec = CameraSpec::alternative(camera.spec, "dark", dark).schedule(COVERED.parse()?);
        }
        cameras.push((camera, n));
    }
    Ok(cameras)
}

/// Recall and false alarms of each encoding; then misses of the tiers in shadow.
pub(super) async fn rows(table: &mut Table, clips: &Clips) -> anyhow::Result<()> {
    let cases = cases();
    for case in cases.iter().filter(|case| clips.get(case.shot, Encoding::Crf).is_none()) {
        table.no_data(&format!("recall: {}", case.shot.name()), "all");
    }
    for encoding in Encoding::ALL {
        compared(table, &cases, clips, encoding).await?;
        false_alarms(table, &cases, clips, encoding).await?;
    }
    shadows(table, &cases, clips).await
}

/// What two services raised of the same cameras, and when what they raised counts.
struct Watched {
    reference: BTreeMap<(String, Kind), Vec<Lasted>>,
    found: BTreeMap<(String, Kind), Vec<Lasted>>,
    during: Range<i64>,
}

/// Has a service without attention and one with it watch the same cameras at the same time.
async fn watch(
    table: &mut Table,
    what: &str,
    cameras: Vec<TestCamera>,
    watched: Duration,
) -> anyhow::Result<Watched> {
    let (specs, rules): (Vec<_>, Vec<_>) = cameras.into_iter().map(|c| (c.spec, (c.id, c.rules))).unzip();
    let shown = rules.len();
    let simulator = Arc::new(Simulator::start(([127, 0, 0, 1], 0).into(), specs).await?);
    let mut services = Vec::new();
    for extra in [OFF, ON] {
        let mut service = Service::watching(Arc::clone(&simulator), &rules, extra)?;
        service.run().await?;
        services.push(service);
    }
    let mut off = Desk::open(&services[0].api, "bench", PATIENCE).await?;
    let mut on = Desk::open(&services[1].api, "bench", PATIENCE).await?;
    let (a, b) = tokio::join!(off.follow(SETTLE), on.follow(SETTLE));
    a.and(b)?;
    let begin = SystemClock.wall().0;
    let before = [town::Moment::of(&services[0]).await?, town::Moment::of(&services[1]).await?];
    let (a, b) = tokio::join!(off.follow(watched), on.follow(watched));
    a.and(b)?;
    let end = SystemClock.wall().0;
    for (service, (before, which)) in services.iter().zip(before.into_iter().zip(["off", "on"])) {
        let spent = before.until(town::Moment::of(service).await?);
        table.note(&format!("{what}, {which}: by role, of a core, a camera"), spent.told(shown));
    }
    // What is raised at the very end may be raised with attention just after it.
    let (a, b) = tokio::join!(off.follow(STATES), on.follow(STATES));
    a.and(b)?;
    town::stop(services).await?;
    Ok(Watched { reference: incidents(&off), found: incidents(&on), during: begin..end })
}

/// Every incident that is raised without attention is raised with it.
async fn compared(
    table: &mut Table,
    cases: &[Case],
    clips: &Clips,
    encoding: Encoding,
) -> anyhow::Result<()> {
    let cameras = specs(cases, clips, encoding, "")?;
    let (cameras, shown): (Vec<_>, Vec<_>) = cameras.into_iter().filter(|(_, n)| !cases[*n].nothing).unzip();
    let what = format!("recall, {}", encoding.name());
    let Watched { reference, found, during } = watch(table, &what, cameras, WATCHED).await?;
    for case in shown.into_iter().map(|n| &cases[n]) {
        let (mut moving, mut states) = (Matched::default(), Matched::default());
        let of_case = |key: &&(String, Kind)| key.0 == case.id;
        let mut kinds: Vec<Kind> =
            reference.keys().chain(found.keys()).filter(of_case).map(|key| key.1).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let of = |all: &BTreeMap<(String, Kind), Vec<Lasted>>| {
                all.get(&(case.id.to_owned(), kind)).cloned().unwrap_or_default()
            };
            let (into, allowed) = if moves(kind) { (&mut moving, MOVING) } else { (&mut states, STATES) };
            let allowed = i64::try_from(allowed.as_micros()).unwrap_or(i64::MAX);
            into.add(compare(&of(&reference), &of(&found), allowed, during.clone()));
        }
        for (what, matched, allowed) in [("moving", moving, MOVING), ("states", states, STATES)] {
            let name = format!("recall, {}, {}, {what}", case.shot.name(), encoding.name());
            row(table, &name, case.id, &matched, allowed);
        }
    }
    Ok(())
}

/// Where there is nothing, attention raises no more than is raised without it.
async fn false_alarms(
    table: &mut Table,
    cases: &[Case],
    clips: &Clips,
    encoding: Encoding,
) -> anyhow::Result<()> {
    let nothing = cases.iter().filter(|case| case.nothing);
    let cameras: Vec<TestCamera> = nothing
        .filter_map(|case| Some((case, clips.get(case.shot, encoding)?)))
        .flat_map(|(case, clip)| {
            (0..EMPTY_SCENES).map(move |n| {
                let ahead = n as f64 / EMPTY_SCENES as f64;
                town::camera(format!("{}-{n}", case.id), &clip, ahead, case.rules.clone())
            })
        })
        .collect();
    if cameras.is_empty() {
        return Ok(());
    }
    let shown = cameras.len();
    let what = format!("false alarms, {}", encoding.name());
    let Watched { reference, found, during } = watch(table, &what, cameras, NOTHING).await?;
    let count = |all: &BTreeMap<(String, Kind), Vec<Lasted>>| {
        all.values().flatten().filter(|one| during.contains(&one.raised)).count()
    };
    let (off, on) = (count(&reference), count(&found));
    table.row(
        &format!("{what}: off, on, of {shown} cameras where there is nothing, in {} s", NOTHING.as_secs()),
        format!("{off}, {on}"),
        "no more than off",
        on <= off,
    );
    Ok(())
}

fn row(table: &mut Table, name: &str, id: &str, matched: &Matched, allowed: Duration) {
    let seconds = |us: i64| us as f64 / 1e6;
    if matched.of() == 0 {
        if matched.alone > 0 {
            table.note(name, format!("off raised none; {} with attention alone ({id})", matched.alone));
        }
        return;
    }
    let latest = matched.delays.iter().chain(&matched.late).copied().max().unwrap_or_default();
    table.row(
        name,
        format!(
            "{} of {} in time, {} late, {} missed, latest {:+.1} s; {} with attention alone",
            matched.delays.len(),
            matched.of(),
            matched.late.len(),
            matched.missed,
            seconds(latest),
            matched.alone
        ),
        &format!("all, at most {:.1} s later", allowed.as_secs_f64()),
        matched.late.is_empty() && matched.missed == 0,
    );
}

/// Whether a hazard of this kind moves; what stays is a state, as is what befalls the camera itself.
fn moves(kind: Kind) -> bool {
    matches!(kind, Kind::ZoneIntrusion | Kind::WaterZoneEntry | Kind::WrongWay)
}

/// What a console was told, by camera and kind.
fn incidents(desk: &Desk) -> BTreeMap<(String, Kind), Vec<Lasted>> {
    let mut by_alert: BTreeMap<&str, (String, Kind, u64, Lasted)> = BTreeMap::new();
    for alert in desk.deliveries.iter().map(alert_of) {
        let (Some(place), Some(kind)) = (&alert.place, Kind::from_number(alert.kind)) else { continue };
        let entry = by_alert.entry(&alert.alert_id).or_insert_with(|| {
            let lasted = Lasted { raised: alert.decided_unix_us, until: i64::MAX };
            (place.camera_id.clone(), kind, alert.revision, lasted)
        });
        // The first revision says when it was raised.
        if alert.revision < entry.2 {
            (entry.2, entry.3.raised) = (alert.revision, alert.decided_unix_us);
        }
        if alert.state() == AlertState::Resolved {
            entry.3.until = alert.resolved_unix_us;
        }
    }
    let mut incidents: BTreeMap<(String, Kind), Vec<Lasted>> = BTreeMap::new();
    // A gap in coverage is no hazard; it shows in other rows.
    for (camera, kind, _, lasted) in by_alert.into_values().filter(|one| one.1 != Kind::CoverageGap) {
        incidents.entry((camera, kind)).or_default().push(lasted);
    }
    incidents
}

/// What each tier would have missed, clip by clip: a service for each, since a node counts over all its cameras.
async fn shadows(table: &mut Table, cases: &[Case], clips: &Clips) -> anyhow::Result<()> {
    let (mut towns, mut told) = (Vec::new(), Vec::new());
    for encoding in Encoding::ALL {
        let prefix = format!("{}-", if encoding == Encoding::Crf { "a" } else { "b" });
        for (camera, n) in specs(cases, clips, encoding, &prefix)? {
            towns.push((vec![camera], SHADOW));
            told.push(format!("{}, {}", cases[n].shot.name(), encoding.name()));
        }
    }
    let services = town::start(towns).await?;
    let warm = async |service: &Service| {
        until("looks", PATIENCE, async || {
            let looked = service.metric("xueliang_node_looks", &["outcome=\"looked\""]).await.ok()?;
            (looked > 1.0).then_some(())
        })
        .await
    };
    for service in &services {
        warm(service).await?;
    }
    let spent = town::measure(&services, SETTLE, SHADOWED).await?;
    for (what, spent) in told.into_iter().zip(spent) {
        for tier in ["encoded", "pixels"] {
            let count = |outcome: &str| {
                let labels = [format!("tier=\"{tier}\""), format!("outcome=\"{outcome}\"")];
                spent.grew("xueliang_node_gate_looks", &labels.each_ref().map(String::as_str))
            };
            let (hits, misses) = (count("hits"), count("misses"));
            let (vain, rests) = (count("false_wakes"), count("rests"));
            let share = |part: f64, other: f64| {
                if part + other > 0.0 { format!("{:.3}", part / (part + other)) } else { "none".to_owned() }
            };
            table.note(
                &format!("shadow, {what}: the {tier} tier's miss rate"),
                format!(
                    "{} of {} finds; awake at {} of {} looks that found nothing; {} before it could tell",
                    share(misses, hits),
                    hits + misses,
                    share(vain, rests),
                    vain + rests,
                    count("unjudged")
                ),
            );
        }
    }
    table.note("shadow: rules", format!("those of the recall rows, at {HZ} units a second"));
    town::stop(services).await
}
