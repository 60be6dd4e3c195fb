//! `xueliang audit`: which consoles got an alert; `xueliang audit verify`: whether the audit is what was written.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use xueliang_base::{time::Wall, wire::word};
use xueliang_proto::v1::{self, delivery_service_client::DeliveryServiceClient};

use super::{block_on, print, reach::Reach};

mod verify;

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "One line a subscription and stage: principal, subscription (- for all without a name), stage, and the two
moments between which the alert came there first. A crash of the bus loses at most the last second of this audit."
)]
pub struct AuditArgs {
    /// The alert's id, or the end of it as `watch` prints it.
    #[arg(required = true)]
    alert: Option<String>,
    /// Only this state of it; otherwise whichever came first.
    #[arg(long)]
    revision: Option<u64>,
    #[command(flatten)]
    reach: Reach,
    /// IANA zone of the times shown.
    #[arg(long, default_value = "Asia/Shanghai")]
    timezone: String,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tell whether audit and register are what was written, entry by entry, and which is the first that is not.
    ///
    /// Reads the store itself, beside a running service or without one. Entries are held to their chain, the chain to the
    /// signed heads in the store, and to those of a folder that heads were exported into: only these convict somebody who has
    /// store and key. The histories of cases are held to the audit. `docs/audit.md` says what each proves. Ends with status 1 when anything is wrong.
    Verify(verify::VerifyArgs),
}

/// Asks and prints.
pub fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    if let Some(What::Verify(args)) = args.what {
        return verify::run(&args);
    }
    let alert = args.alert.unwrap_or_default();
    block_on(async move {
        let channel = args.reach.connect()?;
        let request =
            v1::ListDeliveriesRequest { alert_id: alert, revision: args.revision.unwrap_or_default() };
        let answer = DeliveryServiceClient::new(channel).list_deliveries(request).await;
        let reports = match answer {
            Ok(answer) => answer.into_inner().reports,
            Err(status) => return Err(args.reach.refused(&status)),
        };
        for line in reports.iter().flat_map(|report| lines(report, &args.timezone)) {
            print(line + "\n")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn lines(report: &v1::DeliveryReport, timezone: &str) -> Vec<String> {
    let name = if report.subscription.is_empty() { "-" } else { &report.subscription };
    let line = |stage: &v1::StageReport| {
        let word = word(stage.stage().as_str_name(), "DELIVERY_STAGE_");
        let time = |unix_us| Wall(unix_us).rfc3339(timezone);
        let (from, to) = (time(stage.from_unix_us), time(stage.to_unix_us));
        format!("{}  {name}  {word}  {from}  {to}", report.principal)
    };
    report.stages.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: AuditArgs,
    }

    #[test]
    fn an_alert_is_asked_about_or_the_audit_is_verified() {
        let parse = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.args);
        let asked = parse("audit 1234 --revision 2").unwrap();
        assert_eq!(
            (asked.alert.as_deref(), asked.revision, asked.what.is_none()),
            (Some("1234"), Some(2), true)
        );
        let verified = parse("audit verify --state-dir /s --heads /h").unwrap();
        assert!(verified.alert.is_none() && matches!(verified.what, Some(What::Verify(_))));
        for wrong in [
            "audit",
            "audit verify",
            "audit 1234 verify --state-dir /s",
            "audit verify --state-dir /s --key 12",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_stage_of_each_subscription_is_a_line() {
        let mut stage = v1::StageReport { from_unix_us: 1_790_000_000_000_000, ..v1::StageReport::default() };
        stage.to_unix_us = stage.from_unix_us + 1_000_000;
        stage.set_stage(v1::DeliveryStage::Displayed);
        let report = v1::DeliveryReport {
            principal: "local".into(),
            subscription: String::new(),
            stages: vec![stage],
        };
        let [line] = &lines(&report, "UTC")[..] else { panic!("one stage is one line") };
        let words: Vec<_> = line.split("  ").collect();
        assert_eq!(words[..3], ["local", "-", "displayed"]);
        assert_ne!(words[3], words[4]);
    }
}
