//! `xueliang divisions`: the division tree, and the grids of a township from a file.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand};
use xueliang_base::{time::Wall, wire::word};
use xueliang_proto::v1::{self, division_service_client::DivisionServiceClient};

use super::{block_on, print, reach::Reach};

/// Arguments of `divisions`.
#[derive(Debug, Args)]
pub struct DivisionsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the divisions in force now, as a tree.
    List(ListArgs),
    /// Put the grids of a CSV file in the place of all that their township had: the whole file or nothing.
    ///
    /// The file has a line of column names: code, parent, level (5 village, 6 grid, 7 micro-grid) and name are needed; kind,
    /// short_name and centre_name may be there. `docs/duty.md` describes them. Faults are told with their lines.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only this division and those below it.
    #[arg(long)]
    within: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
    /// IANA zone of the times shown.
    #[arg(long, default_value = "Asia/Shanghai")]
    timezone: String,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The file, CSV in UTF-8.
    file: PathBuf,
    /// Only tell what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Asks and prints.
pub fn run(args: DivisionsArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        match args.what {
            What::List(args) => list(&args).await,
            What::Import(args) => import(&args).await,
        }
    })
}

async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let channel = args.reach.connect()?;
    let mut service = DivisionServiceClient::new(channel);
    let mut all = Vec::new();
    let mut ask = v1::ListDivisionsRequest {
        within_code: args.within.clone().unwrap_or_default(),
        page_size: 1000,
        ..v1::ListDivisionsRequest::default()
    };
    loop {
        let page = match service.list_divisions(ask.clone()).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Err(args.reach.refused(&status)),
        };
        all.extend(page.divisions);
        if page.next_page_token.is_empty() {
            break;
        }
        ask.page_token = page.next_page_token;
    }
    // Each below what it lies in.
    all.sort_by(|a, b| a.path_codes.cmp(&b.path_codes));
    let least = all.iter().map(|one| one.path_codes.len()).min().unwrap_or(1);
    for one in &all {
        if args.json {
            print(format_args!("{}\n", json(one)))?;
        } else {
            print(line(one, least, &args.timezone) + "\n")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(one: &v1::Division, least: usize, timezone: &str) -> String {
    let indent = "  ".repeat(one.path_codes.len().saturating_sub(least));
    let level = match one.level() {
        v1::DivisionLevel::Unspecified => "-".to_owned(),
        level => word(level.as_str_name(), "DIVISION_LEVEL_"),
    };
    let kind = word(one.kind().as_str_name(), "DIVISION_KIND_");
    let mut line = format!("{indent}{}  {}  {level}  {kind}", one.code, one.name);
    if one.configured {
        line += "  configured";
    }
    if one.valid_to_unix_us != 0 {
        line += &format!("  until {}", Wall(one.valid_to_unix_us).rfc3339(timezone));
    }
    line
}

fn json(one: &v1::Division) -> serde_json::Value {
    serde_json::json!({
        "code": one.code,
        "path": one.path_codes,
        "escalation": one.escalation_codes,
        "level": word(one.level().as_str_name(), "DIVISION_LEVEL_"),
        "kind": word(one.kind().as_str_name(), "DIVISION_KIND_"),
        "name": one.name,
        "short_name": one.short_name,
        "centre_name": one.centre_name,
        "configured": one.configured,
        "valid_from_unix_us": one.valid_from_unix_us,
        "valid_to_unix_us": one.valid_to_unix_us,
    })
}

async fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let csv = std::fs::read(&args.file).with_context(|| format!("read {}", args.file.display()))?;
    let channel = args.reach.connect()?;
    let request = v1::ImportGridRequest { csv: csv.into(), dry_run: args.dry_run };
    let told = match DivisionServiceClient::new(channel).import_grid(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Err(args.reach.refused(&status)),
    };
    for fault in &told.faults {
        print(fault_line(fault, &args.file.display().to_string()) + "\n")?;
    }
    if !told.faults.is_empty() {
        print("nothing was changed\n")?;
        return Ok(ExitCode::FAILURE);
    }
    print(outcome(&told, args.dry_run) + "\n")?;
    Ok(ExitCode::SUCCESS)
}

fn fault_line(fault: &v1::ImportFault, file: &str) -> String {
    match fault.line {
        0 => format!("{file}: {}", fault.message),
        line => format!("{file}:{line}: {}", fault.message),
    }
}

fn outcome(told: &v1::ImportGridResponse, dry_run: bool) -> String {
    let v1::ImportGridResponse { town_code, added, changed, ended, unchanged, .. } = told;
    let would = if dry_run { "would be " } else { "" };
    format!(
        "{town_code}: {added} {would}added, {changed} {would}changed, {ended} {would}ended, {unchanged} as before"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_division_is_a_line_below_what_it_lies_in() {
        let one = v1::Division {
            code: "330282".into(),
            name: "Cixi".into(),
            level: v1::DivisionLevel::County.into(),
            kind: v1::DivisionKind::Statutory.into(),
            configured: true,
            valid_to_unix_us: 1_767_225_600_000_000,
            path_codes: vec!["3302".into(), "330282".into()],
            ..v1::Division::default()
        };
        let told = line(&one, 1, "Asia/Shanghai");
        assert_eq!(
            told,
            "  330282  Cixi  county  statutory  configured  until 2026-01-01T08:00:00.000+08:00"
        );
        assert_eq!(
            line(&v1::Division { level: 0, configured: false, valid_to_unix_us: 0, ..one.clone() }, 2, "UTC"),
            { "330282  Cixi  -  statutory" }
        );
        assert_eq!(json(&one)["path"][1], "330282");
    }

    #[test]
    fn a_fault_names_the_file_and_its_line() {
        let fault = |line| v1::ImportFault { line, message: "no".into() };
        assert_eq!(fault_line(&fault(3), "g.csv"), "g.csv:3: no");
        assert_eq!(fault_line(&fault(0), "g.csv"), "g.csv: no");
        let told = v1::ImportGridResponse { town_code: "330282101".into(), added: 2, ..Default::default() };
        assert!(outcome(&told, true).starts_with("330282101: 2 would be added"));
        assert!(outcome(&told, false).starts_with("330282101: 2 added"));
    }
}
