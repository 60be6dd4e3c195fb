//! `xueliang sheet`: compliance sheets, from the running service or from the configuration alone.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use xueliang_base::{
    config::{Config, Day},
    language::Language,
    time::{Clock as _, SystemClock},
};
use xueliang_client::Connection;
use xueliang_proto::v1::{
    self, filing_service_client::FilingServiceClient, retention_service_client::RetentionServiceClient,
};

use super::{block_on, check::load_models, print, reach::Reach, read_config};
use crate::{
    sheet::{assessment, capability, points, retention},
    state::StateDir,
};

/// Certificates of deletion that one sheet holds.
const MOST_CERTIFICATES: usize = 10_000;

/// Arguments of `sheet`.
#[derive(Debug, Args)]
#[command(
    after_help = "filing, filed, signs and retention ask the running service: over the socket in its state folder, or where --api or XUELIANG_API says
that it is; capability and assessment read the configuration alone. Sheets go to standard output: CSV for spreadsheets (filing, signs) or Markdown. docs/compliance.md describes them."
)]
pub struct SheetArgs {
    /// Configuration of the service.
    #[arg(long, short)]
    config: PathBuf,
    /// Language of the sheet.
    #[arg(long, value_parser = language(), default_value = "zh", global = true)]
    lang: Language,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// 备案表: every point with what is filed of it, what is due, what changed since it was filed and what is missing. CSV.
    Filing {
        /// Only points that are to be filed: never filed, changed since, or gone.
        #[arg(long)]
        due: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Note that points were filed with the police as they are now; from then on changes are told.
    Filed {
        /// The number that the police gave the filing.
        #[arg(long)]
        number: String,
        /// The day of it, as 2026-11-30; today where none is named.
        #[arg(long)]
        on: Option<Day>,
        /// The cameras; those that are no longer there are noted as gone.
        #[arg(required_unless_present = "all_due")]
        camera: Vec<String>,
        /// All points that are to be filed.
        #[arg(long, conflicts_with = "camera")]
        all_due: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// 未设提示标识点位: points in force without a sign. CSV.
    Signs {
        #[command(flatten)]
        reach: Reach,
    },
    /// 留存与删除证明: how evidence is kept, what is held, and certificates of deletion. Markdown.
    Retention {
        /// Only deletions on this day or later.
        #[arg(long)]
        from: Option<Day>,
        /// Only deletions before this day.
        #[arg(long)]
        to: Option<Day>,
        #[command(flatten)]
        reach: Reach,
    },
    /// 系统能力声明: what the system can and cannot do with the configured models. Markdown.
    Capability,
    /// 个人信息保护影响评估: the template of the impact assessment, filled in as far as the configuration says. Markdown.
    Assessment,
}

fn language() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(["zh", "en"]).map(|text| text.parse().expect("both are languages"))
}

/// Makes the sheet and prints it.
pub fn run(args: SheetArgs) -> anyhow::Result<ExitCode> {
    let config = read_config(&args.config)?;
    let lang = args.lang;
    let text = match &args.what {
        What::Capability | What::Assessment => {
            let (models, faults) = load_models(&config);
            if let Some((path, message)) = faults.first() {
                bail!("{path}: {message}");
            }
            match args.what {
                What::Capability => capability::sheet(&config.site, &models, lang),
                _ => assessment::sheet(&config, &models, lang),
            }
        }
        What::Filing { reach, .. }
        | What::Filed { reach, .. }
        | What::Signs { reach }
        | What::Retention { reach, .. } => {
            let socket = StateDir::at(&config.state_dir).api_socket();
            let reach = reach.clone().or_at(format!("unix:{}", socket.display()));
            block_on(ask(&reach, &config, args.what, lang))?
        }
    };
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(reach: &Reach, config: &Config, what: What, lang: Language) -> anyhow::Result<String> {
    let asked = Asked { reach, connection: reach.connect()? };
    match what {
        What::Filing { due, .. } => points::filing(&asked.points(due, false).await?, lang),
        What::Signs { .. } => points::signs(&asked.points(false, true).await?, lang),
        What::Filed { number, on, camera, all_due, .. } => {
            let cameras: BTreeSet<String> = if all_due {
                let due = asked.points(true, false).await?;
                due.into_iter().filter_map(|point| point.facts).map(|facts| facts.camera_id).collect()
            } else {
                camera.into_iter().collect()
            };
            let filed = asked.filed(&cameras.into_iter().collect::<Vec<_>>(), &number, on).await?;
            Ok(lang.of("已登记备案点位：", "points noted as filed: ").to_owned() + &format!("{filed}\n"))
        }
        What::Retention { from, to, .. } => {
            let facts = asked.retention(config, from, to).await?;
            Ok(retention::sheet(&facts, lang))
        }
        What::Capability | What::Assessment => bail!("these ask no service"),
    }
}

/// The service that is asked.
struct Asked<'a> {
    reach: &'a Reach,
    connection: Connection,
}

impl Asked<'_> {
    fn filings(&self) -> FilingServiceClient<Connection> {
        FilingServiceClient::new(self.connection.clone())
    }
    async fn points(&self, due: bool, only_without_sign: bool) -> anyhow::Result<Vec<v1::FiledPoint>> {
        use v1::FilingStatus::{Changed, Removed, Unfiled};
        let statuses = if due { [Unfiled, Changed, Removed].map(i32::from).to_vec() } else { Vec::new() };
        let mut ask =
            v1::ListPointsRequest { statuses, only_without_sign, page_size: 1000, page_token: String::new() };
        let mut all = Vec::new();
        loop {
            let page = self.reach.told(self.filings().list_points(ask.clone()).await)?;
            all.extend(page.points);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            ask.page_token = page.next_page_token;
        }
    }
    /// Notes cameras as filed; how many were.
    async fn filed(&self, cameras: &[String], number: &str, on: Option<Day>) -> anyhow::Result<u32> {
        let mut filed = 0;
        // The service notes so many at once.
        for some in cameras.chunks(1000) {
            let request = v1::FilePointsRequest {
                camera_ids: some.to_vec(),
                filing_no: number.to_owned(),
                filed_on: on.map(|day| day.to_string()).unwrap_or_default(),
            };
            filed += self.reach.told(self.filings().file_points(request).await)?.filed;
        }
        Ok(filed)
    }
    async fn retention(
        &self,
        config: &Config,
        from: Option<Day>,
        to: Option<Day>,
    ) -> anyhow::Result<retention::Facts> {
        let mut service = RetentionServiceClient::new(self.connection.clone());
        let answer = self.reach.told(service.get_retention(v1::GetRetentionRequest {}).await)?;
        let moment = |day: Option<Day>| day.map_or(0, |day| day.begin(&config.timezone).0);
        let mut wanted = v1::ListCertificatesRequest {
            from_unix_us: moment(from),
            to_unix_us: moment(to),
            page_size: 1000,
            ..v1::ListCertificatesRequest::default()
        };
        let (mut certificates, mut more) = (Vec::new(), false);
        loop {
            let page = self.reach.told(service.list_certificates(wanted.clone()).await)?;
            certificates.extend(page.certificates);
            if page.next_page_token.is_empty() {
                break;
            }
            if certificates.len() >= MOST_CERTIFICATES {
                more = true;
                break;
            }
            wanted.page_token = page.next_page_token;
        }
        let mut holds = Vec::new();
        let mut wanted =
            v1::ListLegalHoldsRequest { page_size: 1000, ..v1::ListLegalHoldsRequest::default() };
        loop {
            let page = self.reach.told(service.list_legal_holds(wanted.clone()).await)?;
            holds.extend(page.holds);
            if page.next_page_token.is_empty() || holds.len() >= MOST_CERTIFICATES {
                break;
            }
            wanted.page_token = page.next_page_token;
        }
        Ok(retention::Facts {
            site: config.site.clone(),
            timezone: config.timezone.clone(),
            at: SystemClock.wall(),
            retention: answer,
            certificates,
            more,
            holds,
        })
    }
}
