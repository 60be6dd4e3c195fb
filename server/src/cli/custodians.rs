//! `xueliang custodians`: who answers for camera points, over the running service.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, custodian_service_client::CustodianServiceClient};

use super::{block_on, print, reach::Reach};

/// Arguments of `custodians`.
#[derive(Debug, Args)]
#[command(
    after_help = "A custodian (责任单位, 责任人) is the duty holder of a camera point: a unit, a name, a telephone, and nothing else.
Names and telephones are encrypted in the store with STATE_DIR/custodians.key, which belongs into every backup of it."
)]
pub struct CustodiansArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List custodians by camera: camera, unit, masked name, masked telephone, since when.
    List {
        /// IANA zone of the times shown.
        #[arg(long, default_value = "Asia/Shanghai")]
        timezone: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Tell one in full. The audit keeps who asked and why.
    Reveal {
        /// The camera.
        camera: String,
        /// What for.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Put the custodians of a CSV file in the place of those that its cameras had: the whole file or nothing.
    ///
    /// The file has a line of column names: camera_id 点位编号, unit 责任单位, name 责任人, telephone 联系电话, and no other column. A
    /// line with a camera and nothing else removes that camera's custodian. Faults are told with their lines.
    Import {
        /// The file, CSV in UTF-8.
        file: PathBuf,
        /// Only tell what would change.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a new key and seal every contact with it; the one before opens nothing any more.
    RotateKey {
        #[command(flatten)]
        reach: Reach,
    },
}

/// Calls the service and prints.
pub fn run(args: CustodiansArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        match args.what {
            What::List { timezone, reach } => {
                let mut service = CustodianServiceClient::new(reach.connect()?);
                let mut ask = v1::ListCustodiansRequest { page_size: 1000, ..Default::default() };
                loop {
                    let page = reach.told(service.list_custodians(ask.clone()).await)?;
                    for one in &page.custodians {
                        print(line(one, &timezone) + "\n")?;
                    }
                    if page.next_page_token.is_empty() {
                        return Ok(ExitCode::SUCCESS);
                    }
                    ask.page_token = page.next_page_token;
                }
            }
            What::Reveal { camera, reason, reach } => {
                let mut service = CustodianServiceClient::new(reach.connect()?);
                let request = v1::RevealCustodianRequest { camera_id: camera, reason };
                let answer = reach.told(service.reveal_custodian(request).await)?;
                let contact = answer.contact.unwrap_or_default();
                print(format_args!("{}  {}  {}\n", answer.unit, contact.name, contact.telephone))?;
                Ok(ExitCode::SUCCESS)
            }
            What::Import { file, dry_run, reach } => {
                let csv = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
                let mut service = CustodianServiceClient::new(reach.connect()?);
                let request = v1::ImportCustodiansRequest { csv: csv.into(), dry_run };
                let answer = reach.told(service.import_custodians(request).await)?;
                for fault in &answer.faults {
                    print(fault_line(fault, &file.display().to_string()) + "\n")?;
                }
                if !answer.faults.is_empty() {
                    print("nothing was changed\n")?;
                    return Ok(ExitCode::FAILURE);
                }
                print(outcome(&answer, dry_run) + "\n")?;
                Ok(ExitCode::SUCCESS)
            }
            What::RotateKey { reach } => {
                let mut service = CustodianServiceClient::new(reach.connect()?);
                let request = v1::RotateCustodianKeyRequest {};
                let answer = reach.told(service.rotate_custodian_key(request).await)?;
                let sealed = answer.sealed;
                print(format!(
                    "{sealed} contacts are sealed with a new key: back custodians.key up with the store\n"
                ))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

fn line(one: &v1::Custodian, timezone: &str) -> String {
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    format!(
        "{}  {}  {}  {}  {}",
        one.camera_id,
        one.unit,
        or_none(&one.name_masked),
        or_none(&one.telephone_masked),
        Wall(one.changed_unix_us).rfc3339(timezone)
    )
}

fn fault_line(fault: &v1::CustodianFault, file: &str) -> String {
    match fault.line {
        0 => format!("{file}: {}", fault.message),
        line => format!("{file}:{line}: {}", fault.message),
    }
}

fn outcome(told: &v1::ImportCustodiansResponse, dry_run: bool) -> String {
    let v1::ImportCustodiansResponse { added, changed, removed, unchanged, .. } = told;
    let would = if dry_run { "would be " } else { "" };
    format!("{added} {would}added, {changed} {would}changed, {removed} {would}removed, {unchanged} as before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custodian_is_a_masked_line_and_a_fault_names_the_file_and_its_line() {
        let one = v1::Custodian {
            camera_id: "gate".into(),
            unit: "Market".into(),
            name_masked: "张*".into(),
            changed_unix_us: 1_767_225_600_000_000,
            ..v1::Custodian::default()
        };
        assert_eq!(line(&one, "Asia/Shanghai"), "gate  Market  张*  -  2026-01-01T08:00:00.000+08:00");
        let fault = |line| v1::CustodianFault { line, message: "no".into() };
        assert_eq!(fault_line(&fault(3), "c.csv"), "c.csv:3: no");
        assert_eq!(fault_line(&fault(0), "c.csv"), "c.csv: no");
        let told = v1::ImportCustodiansResponse { added: 2, removed: 1, ..Default::default() };
        assert_eq!(
            outcome(&told, true),
            "2 would be added, 0 would be changed, 1 would be removed, 0 as before"
        );
    }
}
