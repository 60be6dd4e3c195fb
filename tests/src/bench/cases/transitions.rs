//! Acts on cases at a rate, from the call to the answer that they are on disk, while alerts are published beside them. Each case
//! goes its whole way: confirmed, dispatched, accepted, started, fed back, taken up, passed; by four accounts, as 采办分离 has it.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tonic::transport::Channel;
use v1::case_action::What;
use xueliang_base::kind::Lane;
use xueliang_proto::v1::{self, case_service_client::CaseServiceClient};

use super::{
    super::{Table, main::ms, percentile},
    Share,
    site::{OURS, SignedIn, Site, account, alert_at, publish_beside},
};

/// Acts a second, for so many seconds.
const RATE: u64 = 200;
const SECONDS: u64 = 60;
/// Seconds at the beginning that do not count.
const WARM: u64 = 2;
/// Alerts a second beside it.
const BESIDE: u32 = 50;
const BAR_MS: f64 = 20.0;
/// Acts under way at once, at most.
const UNDER_WAY: usize = 256;
/// Acts of a case.
const STEPS: usize = 7;
/// Cases of a wave: all go one step before any goes the next, so that a case's answer has come before its next act.
const WAVE: usize = 200;

/// Who acts.
struct People {
    judge: SignedIn,
    dispatcher: SignedIn,
    handler: SignedIn,
    verifier: SignedIn,
}

impl People {
    async fn enter(site: &Site) -> anyhow::Result<Self> {
        let enter = |name: &str, role| site.enter(account(name, role, &[]));
        Ok(Self {
            judge: enter("judge", v1::Role::Judge).await?,
            dispatcher: enter("dispatcher", v1::Role::Dispatcher).await?,
            handler: enter("handler", v1::Role::Handler).await?,
            verifier: enter("verifier", v1::Role::Verifier).await?,
        })
    }
    /// Who does the step of a case, and what it is.
    fn step(&self, step: usize) -> (&SignedIn, What) {
        let unit = self.handler.account.unit.clone();
        match step {
            0 => (&self.judge, What::Confirm(v1::CaseConfirm {})),
            1 => (&self.dispatcher, What::Dispatch(v1::CaseDispatch { unit, assisting_units: Vec::new() })),
            2 => (&self.handler, What::Accept(v1::CaseAccept {})),
            3 => (&self.handler, What::Start(v1::CaseStart {})),
            4 => (&self.handler, What::Feedback(v1::CaseFeedback { proof_sha256: vec!["a".repeat(64)] })),
            5 => (&self.verifier, What::TakeUp(v1::CaseTakeUp {})),
            _ => (&self.verifier, What::Pass(v1::CasePass {})),
        }
    }
}

/// A case and the revision that was answered last.
struct Case {
    alert_id: String,
    revision: AtomicU64,
}

/// Acts once; what it took, microseconds.
async fn act(channel: Channel, people: Arc<People>, case: Arc<Case>, step: usize) -> anyhow::Result<u64> {
    let (who, what) = people.step(step);
    let request = who.asks(v1::ActOnCaseRequest {
        key: Some(v1::CaseKey { by: Some(v1::case_key::By::AlertId(case.alert_id.clone())) }),
        revision: case.revision.load(Ordering::Acquire),
        action: Some(v1::CaseAction { what: Some(what) }),
        // What came of it is told in words.
        note: if step == 4 { "swept and dry again".to_owned() } else { String::new() },
    })?;
    let began = Instant::now();
    let answer = CaseServiceClient::new(channel).act_on_case(request).await;
    let took = u64::try_from(began.elapsed().as_micros())?;
    let told =
        answer.with_context(|| format!("step {step} of a case"))?.into_inner().case.context("a case")?;
    case.revision.store(told.revision, Ordering::Release);
    Ok(took)
}

/// What an append of a page and its sync take there, microseconds: the least that a commit takes.
fn sync(folder: &Path) -> anyhow::Result<Vec<u64>> {
    let path = folder.join("sync.bench");
    let mut file = File::create(&path)?;
    let mut took = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(u64::try_from(began.elapsed().as_micros())?);
    }
    std::fs::remove_file(path)?;
    Ok(took)
}

/// Measures and prints.
pub(super) async fn run(table: &mut Table, share: Share) -> anyhow::Result<()> {
    let seconds = share.cut(SECONDS, 3);
    let acts = usize::try_from(RATE * (seconds + WARM))?;
    let site = Arc::new(Site::start(None).await?);
    let people = Arc::new(People::enter(&site).await?);
    let mut synced = sync(site.bus.state())?;
    let shown = format!(
        "p50 {:.1} ms, p99 {:.1} ms",
        ms(percentile(&mut synced, 0.5)),
        ms(percentile(&mut synced, 0.99))
    );
    table.note("this disk: 4 KiB appended and synced", shown);
    // As many cases as go their whole way within the acts.
    let mut cases = Vec::new();
    for index in 0..acts.div_ceil(STEPS) {
        cases.push(alert_at(OURS, Lane::Major, index));
    }
    let cases: Vec<Arc<Case>> = {
        let mut published = Vec::new();
        for some in cases.chunks(100) {
            let ids = try_join_all(some.iter().map(|alert| site.publish(alert.clone()))).await?;
            published.extend(ids);
        }
        published
            .into_iter()
            .map(|alert_id| Arc::new(Case { alert_id, revision: AtomicU64::new(0) }))
            .collect()
    };
    let (stop, stopping) = watch::channel(false);
    let publishing = tokio::spawn(publish_beside(Arc::clone(&site), BESIDE, stopping));
    let order = cases.chunks(WAVE).flat_map(|wave| {
        (0..STEPS).flat_map(move |step| wave.iter().map(move |case| (Arc::clone(case), step)))
    });
    // Each desk has a connection of its own.
    let channels = try_join_all((0..8).map(|_| site.bus.api().channel())).await?;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / u32::try_from(RATE)?);
    let (mut calls, mut took) = (JoinSet::new(), Vec::new());
    let (mut began, warm) = (Instant::now(), usize::try_from(RATE * WARM)?);
    for (index, (case, step)) in order.take(acts).enumerate() {
        if calls.len() >= UNDER_WAY {
            took.push(calls.join_next().await.context("one is under way")???);
        }
        tick.tick().await;
        if index == warm {
            began = Instant::now();
        }
        while let Some(done) = calls.try_join_next() {
            took.push(done??);
        }
        let channel = channels[index % channels.len()].clone();
        let people = Arc::clone(&people);
        calls.spawn(async move {
            let us = act(channel, people, case, step).await?;
            anyhow::Ok((index, us))
        });
    }
    while let Some(done) = calls.join_next().await {
        took.push(done??);
    }
    let lasted = began.elapsed().as_secs_f64();
    stop.send_replace(true);
    let mut published = publishing.await??;
    ensure!(took.len() == acts, "{} of {acts} acts were answered", took.len());
    let mut measured: Vec<u64> =
        took.into_iter().filter(|(index, _)| *index >= warm).map(|(_, us)| us).collect();
    let rate = measured.len() as f64 / lasted;
    table.row(
        "acts on cases committed a second",
        format!("{rate:.0} over {lasted:.0} s"),
        &format!(">= {:.0}", RATE as f64 * 0.98),
        rate >= RATE as f64 * 0.98,
    );
    let (p50, p99) = (percentile(&mut measured, 0.5), percentile(&mut measured, 0.99));
    let most = percentile(&mut measured, 1.0);
    table.row(
        &format!("an act on a case, call to answer, at {RATE} a second with {BESIDE} alerts a second beside"),
        format!(
            "p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms, {} acts",
            ms(p50),
            ms(p99),
            ms(most),
            measured.len()
        ),
        &format!("p99 <= {BAR_MS} ms"),
        ms(p99) <= BAR_MS,
    );
    let shown = format!(
        "p50 {:.1} ms, p99 {:.1} ms, {} alerts",
        ms(percentile(&mut published, 0.5)),
        ms(percentile(&mut published, 0.99)),
        published.len()
    );
    table.note("alerts published beside it, call to answer", shown);
    let site = Arc::into_inner(site).context("nobody uses the bus any more")?;
    site.stop().await
}
