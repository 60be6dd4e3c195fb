//! `xueliang audit verify`: holds audit and register of a store to their chain and to signed heads, and cases to the audit.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use xueliang_alerts::{
    audit::{chain::Hash, read_heads},
    store::{AuditReport, verify_audit},
};
use xueliang_base::time::{Clock as _, SystemClock};

use crate::cli::{print, read_config};

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Configuration of the service: says where its state folder is.
    #[arg(long, short, required_unless_present = "state_dir", conflicts_with = "state_dir")]
    config: Option<PathBuf>,
    /// The state folder, or a folder that a backup was made into.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// A folder of heads that were exported.
    #[arg(long)]
    heads: Option<PathBuf>,
    /// Believe only heads signed by this public key: 64 hexadecimal digits, as the log and each head name it.
    #[arg(long, value_parser = public_key)]
    key: Option<Hash>,
    /// IANA zone of the times shown.
    #[arg(long, default_value = "Asia/Shanghai")]
    timezone: String,
}

fn public_key(text: &str) -> Result<Hash, String> {
    Hash::of_text(text).ok_or_else(|| "write the 64 hexadecimal digits of a public key".to_owned())
}

/// Verifies and prints.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let state_dir = match (&args.state_dir, &args.config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(config)) => read_config(config)?.state_dir,
        (None, None) => anyhow::bail!("name the configuration of the service, or its state folder"),
    };
    // Before the store is read: a head that is signed meanwhile is of entries that are there by then.
    let exported = args.heads.as_deref().map(read_heads).transpose()?.unwrap_or_default();
    let began = SystemClock.mono();
    let report = verify_audit(&state_dir, &exported, args.key)?;
    for line in told(&report, args.heads.is_some(), &args.timezone) {
        print(line + "\n")?;
    }
    print(format!("verified in {:.1} s\n", SystemClock.mono().since(began).as_secs_f64()))?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(report: &AuditReport, with_exported: bool, timezone: &str) -> Vec<String> {
    let AuditReport { entries, of: [audit, register], heads, exported, .. } = report;
    let exported = if with_exported { format!(", {exported} exported ones") } else { String::new() };
    let mut lines = vec![format!(
        "{entries} entries: {audit} of the audit, {register} of the register; {heads} heads{exported}"
    )];
    match &report.sealed {
        Some((size, at)) => lines.push(format!("signed up to entry {size}, at {}", at.rfc3339(timezone))),
        None => lines.push("no head vouches for any of them: the chain alone was verified".to_owned()),
    }
    lines.extend(report.keys.iter().map(|(key, heads)| format!("key {key}: {heads} heads")));
    if report.keys.len() > 1 {
        lines.push("heads are signed by several keys: say with --key which one you know".to_owned());
    }
    lines.extend(report.false_heads.iter().map(|fault| format!("WRONG: {fault}")));
    lines.push(format!("{} entries of the histories of cases", report.histories));
    lines.extend(report.wrong_history.iter().map(|fault| format!("WRONG among histories: {fault}")));
    match &report.wrong {
        None if report.wrong_history.is_some() => {}
        None if report.false_heads.is_empty() => lines.push("nothing is wrong".to_owned()),
        None => {}
        Some(wrong) if wrong.first == wrong.last => {
            lines.push(format!("WRONG from entry {} on: {}", wrong.first, wrong.what));
        }
        Some(wrong) => {
            lines.push(format!("WRONG among entries {} to {}: {}", wrong.first, wrong.last, wrong.what));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use xueliang_alerts::store::Wrong;
    use xueliang_base::time::Wall;

    use super::*;

    #[test]
    fn what_was_found_is_told_with_the_first_entry_that_is_wrong() {
        let mut report = AuditReport { entries: 10, of: [6, 4], heads: 2, ..AuditReport::default() };
        let all = told(&report, false, "UTC");
        assert_eq!(all[0], "10 entries: 6 of the audit, 4 of the register; 2 heads");
        assert!(all[1].contains("no head vouches") && all[2] == "0 entries of the histories of cases");
        assert_eq!(all[3..], ["nothing is wrong"]);
        report.histories = 3;
        report.wrong_history = Some("entry 4 of the case 1 was taken out".to_owned());
        let all = told(&report, false, "UTC");
        assert_eq!(
            all[2..],
            [
                "3 entries of the histories of cases",
                "WRONG among histories: entry 4 of the case 1 was taken out"
            ]
        );
        (report.histories, report.wrong_history) = (0, None);
        report.sealed = Some((8, Wall(0)));
        report.false_heads.push("a head".to_owned());
        report.wrong = Some(Wrong { first: 9, last: 9, what: "it is gone".to_owned() });
        let all = told(&report, true, "UTC");
        assert!(all[0].ends_with("2 heads, 0 exported ones") && all[1].starts_with("signed up to entry 8"));
        let histories = "0 entries of the histories of cases";
        assert_eq!(all[2..], ["WRONG: a head", histories, "WRONG from entry 9 on: it is gone"]);
        report.wrong = Some(Wrong { first: 5, last: 8, what: "anew".to_owned() });
        assert_eq!(told(&report, true, "UTC")[4], "WRONG among entries 5 to 8: anew");
    }
}
