//! What is measured: the bus with its record, consoles, and one page in a browser.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use xueliang_proto::v1::Role;

use super::{
    super::{
        Table,
        bus::process::BusProcess,
        cases::site::{PASSWORD, SignedIn, Site, account},
        processor_time,
    },
    desks::Desks,
    page::Page,
    source::{self, Source},
    town,
};
use crate::service::until;

/// More than a page's list holds, and more than its worker remembers (`MOST_ROWS`, `REMEMBERED` in `console/src/bus`): from then
/// on nothing in it has a reason to grow.
const FILLS: usize = 9000;
/// So many at a time, each of which has ended when the next come.
const AT_ONCE: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Scene {
    site: Site,
    /// Whose session the page and the consoles have.
    pub(super) who: SignedIn,
    pub(super) page: Page,
    /// Consoles beside the page.
    pub(super) desks: Desks,
    pub(super) source: Source,
    /// What the browser writes lies here.
    _browsers: tempfile::TempDir,
}

/// An account and its password.
pub(super) const JUDGE: (&str, &str) = ("judge", PASSWORD);

impl Scene {
    pub(super) async fn start(table: &mut Table, alerts: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let began = Instant::now();
        town::fill(&folder.path().join("state"), alerts).await?;
        table.note(
            "the record",
            format!("{alerts} alerts with their cases, made in {:.0} s", began.elapsed().as_secs_f64()),
        );
        let bus = BusProcess::start_in(folder, &town::config()).await?;
        let site = Site::of(bus).await?;
        let who = site.enter(account(JUDGE.0, Role::Judge, &[])).await?;
        let browsers = tempfile::tempdir()?;
        let mut page = Page::start(browsers.path())?;
        table.note("browser", format!("Chromium {}, 1920 x 1080, headless", page.browser().await?));
        let desks = Desks::attach(site.bus.console(), &who, 0).await?;
        let source = Source::new(site.node.clone());
        tokio::spawn(source::report(site.node.clone()));
        Ok(Self { site, who, page, desks, source, _browsers: browsers })
    }
    /// Consoles come beside the page, in place of those that were there.
    pub(super) async fn attach(&mut self, consoles: usize) -> anyhow::Result<()> {
        self.desks = Desks::attach(self.site.bus.console(), &self.who, consoles).await?;
        Ok(())
    }
    /// Where the page is.
    pub(super) fn url(&self) -> String {
        self.site.bus.console().to_owned()
    }
    /// Opens the page anew; milliseconds until it is live.
    pub(super) async fn open(&mut self) -> anyhow::Result<f64> {
        self.page.open(self.site.bus.console(), &self.who.token).await
    }
    /// Opens the page and has so much pass by that it holds all that it ever will.
    pub(super) async fn fill_page(&mut self, table: &mut Table) -> anyhow::Result<()> {
        self.open().await?;
        table.note("alerts that the page has seen before what follows", FILLS.to_string());
        for _ in 0..FILLS / AT_ONCE {
            let some = self.source.clone().flood(AT_ONCE, Duration::from_millis(400)).await?;
            self.source.end(&some).await?;
        }
        let _painted = self.page.painted().await?;
        self.quiet(town::FIRING).await
    }
    /// Waits until the page says that only so many fire.
    pub(super) async fn quiet(&mut self, firing: usize) -> anyhow::Result<()> {
        let page = &mut self.page;
        until("the page shows what has ended", PATIENCE, async || {
            page.top().await.ok().filter(|top| top.firing == firing)
        })
        .await?;
        // What was put off until nothing came any more is done then.
        sleep(Duration::from_secs(2)).await;
        Ok(())
    }
    /// Time of the processor that the bus has used.
    pub(super) fn bus_time(&self) -> anyhow::Result<Duration> {
        processor_time(self.site.bus.pid()?)
    }
    /// Stops all of it, and tells what became of the consoles.
    pub(super) async fn finish(self, table: &mut Table) -> anyhow::Result<()> {
        let came = self.desks.came();
        let why = if came.why.is_empty() { String::new() } else { format!("; the latest: {}", came.why) };
        table.row(
            &format!("{} consoles beside the page: streams that ended, gaps", came.consoles),
            format!("{}, {}, of {} deliveries{why}", came.lost, came.gaps, came.deliveries),
            "0, 0",
            [came.lost, came.gaps] == [0, 0],
        );
        drop(self.desks);
        self.page.stop().await?;
        self.site.stop().await
    }
}
