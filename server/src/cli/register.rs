//! `xueliang register`: the register of calls (信息调用登记), to read and to take out. It returns no pictures.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use xueliang_base::{time::Wall, wire};
use xueliang_proto::v1::{self, evidence_service_client::EvidenceServiceClient};

use super::{block_on, print, reach::Reach};

/// Arguments of `register`.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List calls for footage, newest first: entry, time, account, unit, reason, what, camera, alert, outcome.
    List(ListArgs),
    /// Write the register, or a part of it, as CSV to print and to hand in. This is audited, with what it is for and the
    /// file's checksum.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Calls at this time or later, as 2026-11-30T08:00:00+08:00.
    #[arg(long, value_parser = time)]
    from: Option<i64>,
    /// Calls before this time.
    #[arg(long, value_parser = time)]
    to: Option<i64>,
    /// Of this account.
    #[arg(long)]
    account: Option<String>,
    /// Of accounts that acted for this unit.
    #[arg(long)]
    unit: Option<String>,
    /// About alerts of this camera.
    #[arg(long)]
    camera: Option<String>,
    /// About this alert.
    #[arg(long)]
    alert: Option<String>,
    /// For this reason, as check-alert, handle-incident, verify-handling, diagnose-device, investigate-accident, state-organ,
    /// party-concerned, public-release, supervision, drill, share, other.
    #[arg(long, value_parser = reason)]
    reason: Option<v1::CallReason>,
    /// Only what was refused.
    #[arg(long)]
    refused: bool,
    /// For this public release.
    #[arg(long)]
    release: Option<u64>,
    /// For this request of somebody concerned.
    #[arg(long)]
    request: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// IANA zone of the times shown.
    #[arg(long, default_value = "Asia/Shanghai")]
    timezone: String,
}

#[derive(Debug, Args)]
struct ExportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// What it is for, in 4 to 500 characters; kept in the audit.
    #[arg(long = "for")]
    what_for: String,
    /// The file to write; one that is there is not overwritten.
    #[arg(long, short)]
    output: PathBuf,
    /// Columns and words in English instead of Chinese.
    #[arg(long)]
    english: bool,
}

fn time(text: &str) -> Result<i64, String> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| format!("{text:?} is no time: write it as 2026-11-30T08:00:00+08:00"))?;
    Ok(time.as_microsecond())
}

fn reason(text: &str) -> Result<v1::CallReason, String> {
    let name = format!("CALL_REASON_{}", text.replace('-', "_").to_uppercase());
    let known = v1::CallReason::from_str_name(&name).filter(|one| *one != v1::CallReason::Unspecified);
    known.ok_or_else(|| format!("{text:?} is no reason, see `xueliang register list --help`"))
}

/// The word of a value of an enumeration as people write it; `-` for the unspecified one.
fn word(name: &str, prefix: &str) -> String {
    match wire::word(name, prefix).as_str() {
        "unspecified" => "-".to_owned(),
        word => word.replace('_', "-"),
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

impl FilterArgs {
    fn wire(&self) -> v1::RegisterFilter {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        v1::RegisterFilter {
            from_unix_us: self.from.unwrap_or_default(),
            to_unix_us: self.to.unwrap_or_default(),
            account: text(&self.account),
            unit: text(&self.unit),
            camera_id: text(&self.camera),
            alert_id: text(&self.alert),
            call_reason: self.reason.map(i32::from).unwrap_or_default(),
            refused_only: self.refused,
            release_id: self.release.unwrap_or_default(),
            request_id: self.request.unwrap_or_default(),
            ..v1::RegisterFilter::default()
        }
    }
}

/// Asks and prints, or writes.
pub fn run(args: RegisterArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        match args.what {
            What::List(args) => list(&args).await?,
            What::Export(args) => export(&args).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let reach = &args.filter.reach;
    let mut service = EvidenceServiceClient::new(reach.connect()?);
    let request = v1::ListRegisterRequest {
        filter: Some(args.filter.wire()),
        page_size: args.limit,
        ..v1::ListRegisterRequest::default()
    };
    let page = reach.told(service.list_register(request).await)?;
    for one in &page.entries {
        print(line(one, &args.timezone) + "\n")?;
    }
    if !page.next_page_token.is_empty() {
        eprintln!(
            "there are more: say what is wanted, or take the register out with `xueliang register export`"
        );
    }
    Ok(())
}

fn line(one: &v1::RegisterEntry, timezone: &str) -> String {
    let outcome = if one.granted { "given" } else { &one.refusal };
    format!(
        "{}  {}  {}  {}  {}  {}  {}  {}  {}  {outcome}",
        one.entry_id,
        Wall(one.at_unix_us).rfc3339(timezone),
        one.principal,
        or_dash(&one.unit),
        word(one.call_reason().as_str_name(), "CALL_REASON_"),
        or_dash(&one.reason),
        word(one.kind().as_str_name(), "EVIDENCE_KIND_"),
        or_dash(&one.camera_id),
        or_dash(&one.alert_id),
    )
}

async fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let shown = args.output.display();
    // Before it is asked for: what is audited as taken out has a place to go to.
    let file = File::options().write(true).create_new(true).open(&args.output);
    let mut file =
        BufWriter::new(file.with_context(|| format!("make {shown}: name a file that is not there"))?);
    let (entries, sum) = match receive(args, &mut file).await {
        Ok(told) => told,
        Err(error) => {
            // A part must not pass for the whole.
            std::fs::remove_file(&args.output)
                .with_context(|| format!("remove {shown}, which is not whole"))?;
            return Err(error);
        }
    };
    print(format_args!("{shown}  {entries} entries  sha256 {sum}\n"))
}

async fn receive(args: &ExportArgs, file: &mut BufWriter<File>) -> anyhow::Result<(u64, String)> {
    let reach = &args.filter.reach;
    let mut service = EvidenceServiceClient::new(reach.connect()?);
    let request = v1::ExportRegisterRequest {
        filter: Some(args.filter.wire()),
        reason: args.what_for.clone(),
        language: if args.english { "en" } else { "zh" }.to_owned(),
    };
    let mut pieces = reach.told(service.export_register(request).await)?;
    let mut end = None;
    while let Some(piece) = pieces.message().await.map_err(|status| reach.broken(&status))? {
        file.write_all(&piece.csv).context("write the register")?;
        if !piece.sha256.is_empty() {
            end = Some((piece.entries, piece.sha256));
        }
    }
    file.flush().context("write the register")?;
    file.get_ref().sync_all().context("write the register")?;
    end.context("the register ended before its last piece: ask for it again")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: RegisterArgs,
    }

    fn parse(line: &str) -> Result<What, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args.what)
    }

    #[test]
    fn an_export_says_what_it_is_for_and_where_it_goes() {
        let asked =
            parse("register export --for inspection --output r.csv --reason state-organ --unit Centre");
        let Ok(What::Export(args)) = asked else { panic!("{asked:?}") };
        let filter = args.filter.wire();
        assert_eq!((filter.call_reason(), filter.unit.as_str()), (v1::CallReason::StateOrgan, "Centre"));
        for wrong in [
            "register",
            "register export --output r.csv",
            "register export --for inspection",
            "register list --limit 0",
            "register list --reason because",
            "register list --reason unspecified",
            "register list --from yesterday",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_reason_has_a_word_and_an_entry_is_a_line() {
        let reasons: Vec<_> = (1..).map_while(|number| v1::CallReason::try_from(number).ok()).collect();
        assert!(reasons.len() >= 12);
        for one in reasons {
            assert_eq!(reason(&word(one.as_str_name(), "CALL_REASON_")), Ok(one));
        }
        let entry = v1::RegisterEntry {
            entry_id: 7,
            principal: "ana".into(),
            call_reason: v1::CallReason::CheckAlert.into(),
            kind: v1::EvidenceKind::Clip.into(),
            camera_id: "quay".into(),
            granted: true,
            ..v1::RegisterEntry::default()
        };
        let told = line(&entry, "UTC");
        assert_eq!(told, "7  1970-01-01T00:00:00.000+00:00  ana  -  check-alert  -  clip  quay  -  given");
        let refused = v1::RegisterEntry { granted: false, refusal: "no right".into(), ..entry };
        assert!(line(&refused, "UTC").ends_with("  no right"));
    }
}
