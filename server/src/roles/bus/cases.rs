//! What the clocks of cases go by, as the configuration says.

use std::fs;

use tracing::error;
use xueliang_alerts::case::clock::{Calendar, OwnLimits, Policy};
use xueliang_base::config::{CaseLimits, Config, StageLimit};
use xueliang_proto::v1::DutyMode;

fn zone(config: &Config) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get(&config.timezone).unwrap_or(jiff::tz::TimeZone::UTC)
}

/// The calendar of a configuration, or what is wrong with its file.
pub fn calendar(config: &Config) -> Result<Calendar, String> {
    let Some(path) = &config.cases.calendar else { return Ok(Calendar::usual(zone(config))) };
    let text = fs::read_to_string(path).map_err(|fault| format!("read {}: {fault}", path.display()))?;
    Calendar::parse(&text, zone(config)).map_err(|fault| format!("{}, {fault}", path.display()))
}

fn own(limits: &CaseLimits) -> OwnLimits {
    let CaseLimits { profile, kinds, levels, stages } = limits.clone();
    let stages = stages.map(|stage| match stage {
        StageLimit::Usual => None,
        StageLimit::None => Some(None),
        StageLimit::Of(limit) => Some(Some(limit)),
    });
    OwnLimits { profile, kinds, levels, stages }
}

/// The policy of the configuration in force. Its file was read when it was imported; one that has gone since stops no bus.
pub fn policy(config: &Config) -> Policy {
    let calendar = calendar(config).unwrap_or_else(|fault| {
        error!(fault, "the calendar of cases cannot be read: limits are reckoned without holidays, mend the file and restart");
        Calendar::usual(zone(config))
    });
    Policy {
        calendar,
        external: config.cases.external.clone(),
        mode: if config.cases.emergency { DutyMode::Emergency } else { DutyMode::Routine },
        limits: config.cases.limits.iter().map(own).collect(),
        clear_after: config.cases.clear_after,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_calendar_of_the_configuration_is_read_and_its_faults_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let config = |calendar: &str| {
            let text = format!(
                "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n[cases]\n{calendar}\
                 external = [\"330282\"]\n[[division]]\ncode = \"330282\"\nname = \"n\"\n\
                 [[camera]]\nid = \"gate\"\nname = \"n\"\ndivision = \"330282\"\nurl = \"rtsp://127.0.0.1/x\"\n"
            );
            Config::parse(&text, folder.path()).unwrap()
        };
        let holiday = "2026-10-01".parse().unwrap();
        let usual = policy(&config(""));
        assert_eq!(usual.external, ["330282".parse().unwrap()]);
        assert!(usual.calendar.is_working(holiday));
        let named = config("calendar = \"days.txt\"\n");
        assert!(calendar(&named).unwrap_err().contains("days.txt"));
        assert_eq!(policy(&named), usual, "a bus starts all the same");
        let write = |text: &str| fs::write(Path::new(folder.path()).join("days.txt"), text).unwrap();
        write("off 2026-10-01..2026-10-07\n");
        assert!(!policy(&named).calendar.is_working(holiday));
        let more = config(
            "mode = \"emergency\"\nclear_after = \"1h\"\nlimits = [{ levels = [3], judge = \"5 minutes\", start = \"none\" }]\n",
        );
        let policy = policy(&more);
        assert_eq!((policy.mode, policy.clear_after.as_secs()), (DutyMode::Emergency, 3600));
        let level = |number: u8| xueliang_base::kind::Level::try_from(number).unwrap();
        let of = |number| policy.limits(xueliang_base::kind::Kind::FireLaneBlocked, level(number), "").0;
        let told = of(3).map(|limit| limit.map(|limit| limit.to_string()));
        let told = told.each_ref().map(Option::as_deref);
        assert_eq!(told[..4], [Some("5 minutes"), Some("15 minutes"), Some("60 minutes"), None]);
        assert_eq!(of(4)[0].unwrap().to_string(), "30 minutes");
        write("off\n");
        let fault = calendar(&named).unwrap_err();
        assert!(fault.contains("days.txt, line 1: name a day"), "{fault}");
    }
}
