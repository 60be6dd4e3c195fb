//! When a camera's stream is taken: all the time, on patrol, or when somebody asks; and what its picture may cost a line.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::{
    Camera,
    reader::{Section, bits, duration, flag, text},
    upstream::{Upstream, chain},
};

/// Bits a second that a camera is taken to send before it was measured and where the configuration does not say: what most
/// cameras of 1920x1080 are set to.
pub const USUAL_BIT_RATE: u64 = 2_000_000;

/// The time between two visits of a patrol, where the configuration does not say.
const PATROL_EVERY: Duration = Duration::from_secs(60);

/// When a camera's stream is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acquire {
    /// All the time.
    #[default]
    Continuous,
    /// Now and then: connect, look at one picture, close.
    Patrol {
        /// From one picture to the next.
        every: Duration,
    },
    /// When somebody asks for it.
    OnRequest,
}

impl Acquire {
    /// The word for configurations, logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Acquire::Continuous => "continuous",
            Acquire::Patrol { .. } => "patrol",
            Acquire::OnRequest => "on-request",
        }
    }
    /// Whether it is the usual one.
    pub(super) fn is_continuous(&self) -> bool {
        *self == Acquire::Continuous
    }
    /// Which evidence an alert of such a camera can have, for people.
    pub fn evidence(self) -> &'static str {
        match self {
            Acquire::Continuous => "a still, and preview and footage from before and after",
            Acquire::Patrol { .. } => "a still; what was before the visit is on no footage",
            Acquire::OnRequest => "none, unless it was asked for; then a still, and nothing from before",
        }
    }
}

impl Camera {
    /// Bits a second that its session is taken to need, before that was measured.
    pub fn stated_bit_rate(&self) -> u64 {
        self.bit_rate.unwrap_or(USUAL_BIT_RATE)
    }
}

/// Reads when a camera's stream is taken.
pub(super) fn read(s: &Section<'_>) -> Acquire {
    let hour = Duration::from_secs(3600);
    let every = s.opt("patrol_every", duration(Duration::from_secs(5), 24 * hour));
    let mode = s.opt("acquire", |value: &DeValue<'_>| match text(value)?.as_str() {
        "continuous" => Ok(Acquire::Continuous),
        "patrol" => Ok(Acquire::Patrol { every: every.unwrap_or(PATROL_EVERY) }),
        "on-request" => Ok(Acquire::OnRequest),
        other => Err(format!("{other:?}: use \"continuous\", \"patrol\" or \"on-request\"")),
    });
    // Of a word that is none, its own fault is enough.
    let misplaced = mode.map_or(!s.has("acquire"), |mode| !matches!(mode, Acquire::Patrol { .. }));
    if s.has("patrol_every") && misplaced {
        s.fault_at("patrol_every", "is for a camera on patrol: write acquire = \"patrol\", or take it out");
    }
    mode.unwrap_or_default()
}

/// Reads whether a camera is one of drills; those play in drills only.
pub(super) fn read_drill(s: &Section<'_>, acquire: Acquire) -> bool {
    let drill = s.or("drill", false, flag);
    if drill && acquire != Acquire::OnRequest {
        s.fault_at("drill", "a drill camera plays only in drills: write acquire = \"on-request\" as well");
    }
    drill
}

/// Reads what a camera's session is taken to need of its upstreams; one alone must not need more than there is.
pub(super) fn read_bit_rate(
    s: &Section<'_>,
    upstreams: &[Upstream],
    camera: Option<&super::UpstreamId>,
) -> Option<u64> {
    let rate = s.opt("bit_rate", bits(10_000, 1_000_000_000));
    let needs = rate.unwrap_or(USUAL_BIT_RATE);
    if let Some(narrow) = chain(upstreams, camera).find(|one| one.bandwidth.is_some_and(|most| most < needs))
    {
        let most = told(narrow.bandwidth.unwrap_or_default());
        s.fault_at(
            "bit_rate",
            format!(
                "{} is more than the {most} of upstream {}: one session would not fit; set the camera to less and say so \
                 here, or raise bandwidth",
                told(needs),
                narrow.id
            ),
        );
    }
    rate
}

/// A bit rate for people.
pub fn told(bits: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bits = bits as f64;
    match bits {
        bits if bits >= 1e9 => format!("{} Gbit/s", round(bits / 1e9)),
        bits if bits >= 1e6 => format!("{} Mbit/s", round(bits / 1e6)),
        bits => format!("{} kbit/s", round(bits / 1e3)),
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// A recorder behind a line, with a camera of these keys.
    fn parse(recorder: &str, camera: &str) -> Result<Config, Vec<String>> {
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n\
             [[division]]\ncode = \"330282\"\nname = \"n\"\n\
             [[upstream]]\nid = \"line\"\nname = \"Line\"\nbandwidth = \"40Mbit\"\n\
             [[upstream]]\nid = \"nvr\"\nname = \"Recorder\"\nupstream = \"line\"\n{recorder}\n\
             [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n\
             upstream = \"nvr\"\n{camera}\n"
        );
        Config::parse(&text, Path::new("/"))
            .map_err(|error| error.faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn modes_and_budgets_become_what_they_say() {
        let config =
            parse("sessions = 4", "acquire = \"patrol\"\npatrol_every = \"5m\"\nbit_rate = \"512kbit\"");
        let config = config.unwrap();
        let camera = &config.cameras[0];
        assert_eq!(camera.acquire, Acquire::Patrol { every: Duration::from_secs(300) });
        assert_eq!(camera.stated_bit_rate(), 512_000);
        let budgets: Vec<_> = config.upstreams.iter().map(|one| (one.sessions, one.bandwidth)).collect();
        assert_eq!(budgets, [(None, Some(40_000_000)), (Some(4), None)]);
        let back: Config = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(back, config);

        let usual = parse("", "").unwrap();
        assert_eq!(
            (usual.cameras[0].acquire, usual.cameras[0].stated_bit_rate()),
            (Acquire::Continuous, 2_000_000)
        );
        let json = serde_json::to_string(&usual.cameras).unwrap();
        assert!(
            !json.contains("acquire") && !json.contains("bit_rate"),
            "it stays the revision it was: {json}"
        );
        let asked = parse("", "acquire = \"on-request\"").unwrap();
        assert_eq!((asked.cameras[0].acquire, asked.cameras[0].drill), (Acquire::OnRequest, false));
        assert_eq!(asked.points().count(), 1);
        assert!(
            !serde_json::to_string(&asked.cameras).unwrap().contains("drill"),
            "it stays the revision it was"
        );
        let drill = parse("", "acquire = \"on-request\"\ndrill = true").unwrap();
        assert!(drill.cameras[0].drill && drill.points().next().is_none());
        let back: Config = serde_json::from_str(&serde_json::to_string(&drill).unwrap()).unwrap();
        assert_eq!(back, drill);
        let every = parse("", "acquire = \"patrol\"").unwrap().cameras[0].acquire;
        assert_eq!(every, Acquire::Patrol { every: PATROL_EVERY });
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        for (recorder, camera, told) in [
            ("", "acquire = \"sometimes\"", "\"continuous\", \"patrol\" or \"on-request\""),
            ("", "acquire = \"often\"\npatrol_every = \"60s\"", "\"often\": use \"continuous\""),
            ("", "patrol_every = \"60s\"", "write acquire = \"patrol\""),
            ("", "acquire = \"on-request\"\npatrol_every = \"60s\"", "write acquire = \"patrol\""),
            ("", "acquire = \"patrol\"\npatrol_every = \"1s\"", "use 5s"),
            ("", "drill = true", "plays only in drills: write acquire = \"on-request\""),
            (
                "",
                "drill = true\nacquire = \"patrol\"",
                "plays only in drills: write acquire = \"on-request\"",
            ),
            ("", "drill = 1\nacquire = \"on-request\"", "write true or false"),
            ("sessions = 0", "", "use 1 to 4096"),
            ("bandwidth = \"40MB\"", "", "\"40Mbit\""),
            ("bandwidth = 40", "", "bits a second with their unit"),
            ("bandwidth = \"1Mbit\"", "", "more than the 1 Mbit/s of upstream nvr"),
            ("", "bit_rate = \"41Mbit\"", "more than the 40 Mbit/s of upstream line"),
        ] {
            let faults = parse(recorder, camera).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(told), "{recorder} {camera}: {faults:?}");
        }
        assert_eq!(parse("bandwidth = \"1Mbit\"", "bit_rate = \"1Mbit\"").map(drop), Ok(()));
    }
}
