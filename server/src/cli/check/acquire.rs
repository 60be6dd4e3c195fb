//! How cameras are taken: budgets of upstreams beside what the cameras behind them need, and what each way can give.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{
    config::{Acquire, Camera, Config, Upstream, bit_rate_told},
    id::CameraId,
    time::Mono,
};
use xueliang_ingest::acquire::Planner;

/// What a visit takes until its picture was looked at, of a camera that answers like most.
const VISIT: Duration = Duration::from_secs(4);

/// How each camera is taken where the budgets have no room for all, as the service decides.
pub(super) struct Granting(BTreeMap<CameraId, Acquire>);

impl Granting {
    pub(super) fn by(config: &Config) -> Self {
        let now = Mono(0);
        let mut planner = Planner::default();
        planner.configure(now, config);
        planner.plan(now);
        let granted = |camera: &Camera| {
            let taken = planner.taken(now, &camera.id);
            (camera.id.clone(), taken.map_or(camera.acquire, |taken| taken.acquire))
        };
        Self(config.cameras.iter().map(granted).collect())
    }
    pub(super) fn of(&self, camera: &Camera) -> Acquire {
        self.0.get(&camera.id).copied().unwrap_or(camera.acquire)
    }
}

/// Of a camera that is not connected all the time: how, and which evidence that gives.
pub(super) fn mode(camera: &Camera, granted: Acquire) -> String {
    let how = match granted {
        Acquire::Continuous => return String::new(),
        Acquire::Patrol { every } if camera.acquire == Acquire::Continuous => {
            format!("no room to keep it connected, visited every {every:?}")
        }
        Acquire::Patrol { every } => format!("on patrol, every {every:?}"),
        Acquire::OnRequest if camera.drill => "in drills alone; whatever it raises is a drill".to_owned(),
        Acquire::OnRequest => "on request".to_owned(),
    };
    format!(": {how}; evidence: {}", granted.evidence())
}

/// Prints each upstream with a budget.
pub(super) fn print(config: &Config) {
    let granted = Granting::by(config);
    for one in config.upstreams.iter().filter(|one| one.sessions.is_some() || one.bandwidth.is_some()) {
        line(config, &granted, one).into_iter().for_each(|line| println!("{line}"));
    }
}

fn line(config: &Config, granted: &Granting, one: &Upstream) -> Vec<String> {
    let behind = config.behind(&one.id);
    let continuous: Vec<_> = behind.iter().filter(|camera| camera.acquire == Acquire::Continuous).collect();
    let bits = continuous.iter().map(|camera| camera.stated_bit_rate()).sum::<u64>();
    let crowded: Vec<&str> = continuous
        .iter()
        .filter(|camera| granted.of(camera) != Acquire::Continuous)
        .map(|camera| camera.id.as_str())
        .collect();
    let needed: u32 = continuous.iter().map(|camera| camera.sessions(&config.analysis.rest)).sum();
    let sessions = one.sessions.map(|most| format!("{needed} of {most} sessions"));
    let bandwidth = one.bandwidth.map(|most| {
        format!(
            "{} of {} (bit_rate of each, 2 Mbit/s where it is not said)",
            bit_rate_told(bits),
            bit_rate_told(most)
        )
    });
    let needs: Vec<String> = sessions.into_iter().chain(bandwidth).collect();
    let mut lines = vec![format!("Upstream {}: its continuous cameras need {}", one.id, needs.join(", "))];
    if !crowded.is_empty() {
        lines.push(format!(
            "  too little: visited instead of kept connected: {}; raise the budget, or set acquire = \"patrol\" where \
             that will do. Weight says who keeps its session; one is left to take turns with",
            some(&crowded)
        ));
    }
    let visits = behind.iter().filter_map(|camera| match granted.of(camera) {
        Acquire::Patrol { every } => Some(VISIT.as_secs_f64() / every.as_secs_f64()),
        _ => None,
    });
    let (visits, count) = visits.fold((0.0, 0), |(sum, count), one| (sum + one, count + 1));
    if let Some(most) = one.sessions.filter(|_| count > 0) {
        let kept = continuous.iter().filter(|camera| granted.of(camera) == Acquire::Continuous);
        let kept: u32 = kept.map(|camera| camera.sessions(&config.analysis.rest)).sum();
        let left = f64::from(most) - f64::from(kept);
        let late = if visits > left { ": too few, intervals will stretch" } else { "" };
        lines.push(format!(
            "  {count} cameras are visited, which takes {visits:.1} of the {left:.0} sessions left at {} s a visit{late}",
            VISIT.as_secs()
        ));
    }
    lines
}

/// The first of many.
fn some(ids: &[&str]) -> String {
    let more = if ids.len() > 8 { format!(" and {} more", ids.len() - 8) } else { String::new() };
    ids.iter().take(8).copied().collect::<Vec<_>>().join(", ") + &more
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn budgets_stand_beside_what_the_continuous_cameras_need() {
        let mut text = "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n\
             [[upstream]]\nid = \"nvr\"\nname = \"n\"\nsessions = 4\nbandwidth = \"40Mbit\"\n"
            .to_owned();
        for n in 0..6 {
            text.push_str(&format!(
                "[[camera]]\nid = \"c{n}\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n\
                 upstream = \"nvr\"\nweight = {}\n",
                n + 1
            ));
        }
        let config = Config::parse(&text, Path::new("/")).unwrap();
        let granted = Granting::by(&config);
        let lines = line(&config, &granted, &config.upstreams[0]);
        assert!(lines[0].contains("6 of 4 sessions, 12 Mbit/s of 40 Mbit/s"), "{lines:?}");
        assert!(lines[1].contains("visited instead of kept connected: c0, c1, c2;"), "{lines:?}");
        assert!(
            lines[2].contains("3 cameras are visited, which takes 0.2 of the 1 sessions left"),
            "{lines:?}"
        );
        assert!(mode(&config.cameras[0], granted.of(&config.cameras[0])).contains("visited every 60s"));
        assert_eq!(mode(&config.cameras[5], granted.of(&config.cameras[5])), "");
        let enough = Config::parse(&text.replace("sessions = 4", "sessions = 6"), Path::new("/")).unwrap();
        let lines = line(&enough, &Granting::by(&enough), &enough.upstreams[0]);
        assert!(lines.len() == 1 && lines[0].contains("6 of 6 sessions"), "{lines:?}");
    }
}
