//! How soon a change of rights shows at streams that are open: a division taken away, a role changed, an account disabled, at
//! many streams at once while alerts of both divisions are published.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use futures::future::try_join_all;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tonic::{Code, Streaming, transport::Channel};
use xueliang_proto::v1::{
    self, CloseReason, alert_service_client::AlertServiceClient, subscribe_response::Item,
};

use super::{
    super::{Table, main::ms, percentile},
    Share,
    site::{OURS, SignedIn, Site, THEIRS, account, publish_beside},
};

/// Accounts with a stream each, and how often each loses rights in each way.
const STREAMS: u64 = 24;
const TURNS: u64 = 4;
/// Alerts a second beside it.
const RATE: u32 = 20;
const BAR: Duration = Duration::from_secs(5);
/// Whatever takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(30);
/// A narrower stream is watched so long for what its account may no longer see.
const WATCH: Duration = Duration::from_secs(1);

/// How rights are cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// One of two divisions is taken away.
    Division,
    /// A role without alerts.
    Role,
    /// The account is disabled.
    Account,
}

/// One stream that lost its rights.
struct Lost {
    /// From the call on, and from its answer on, until the stream ended.
    from_call: Duration,
    from_answer: Duration,
    /// Deliveries of what was taken away that came after the answer, and the latest of them.
    late: usize,
    latest: Duration,
}

struct Watched {
    caller: SignedIn,
    stream: Streaming<v1::SubscribeResponse>,
}

fn is_ours(item: &Item) -> bool {
    let Item::Delivery(delivery) = item else { return false };
    let alert = delivery.record.as_ref().and_then(|record| record.alert.as_ref());
    let path = alert.and_then(|alert| alert.place.as_ref()).map(|place| place.division_path.as_slice());
    path.unwrap_or_default().iter().any(|code| code == OURS)
}

impl Watched {
    async fn open(site: &Site, caller: SignedIn) -> anyhow::Result<Self> {
        let stream = subscribe(site, &caller).await?;
        let mut watched = Self { caller, stream };
        // Both divisions come before anything is taken away.
        let both = async {
            let (mut ours, mut theirs) = (false, false);
            while !(ours && theirs) {
                let item = watched.item().await?.context("the stream ended")?;
                let is_delivery = matches!(item, Item::Delivery(_));
                ours |= is_ours(&item);
                theirs |= is_delivery && !is_ours(&item);
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, both).await.context("no alerts of both divisions come")??;
        Ok(watched)
    }
    async fn item(&mut self) -> anyhow::Result<Option<Item>> {
        Ok(self.stream.message().await?.and_then(|one| one.item))
    }
    /// Takes rights away and reads until the stream ends for that.
    async fn cut(mut self, site: Arc<Site>, cut: Cut) -> anyhow::Result<(SignedIn, Lost)> {
        let before = self.caller.account.clone();
        let began = Instant::now();
        let changing = {
            let (site, before) = (Arc::clone(&site), before.clone());
            tokio::spawn(async move {
                let after = change(&site, before, cut).await?;
                anyhow::Ok((after, Instant::now()))
            })
        };
        let mut seen = Vec::new();
        let ended = async {
            loop {
                match self.item().await {
                    Ok(Some(Item::Closed(closed))) if closed.reason() == CloseReason::RightsChanged => break,
                    Ok(Some(Item::Closed(closed))) => bail!("closed for {:?}", closed.reason()),
                    Ok(Some(item)) if is_ours(&item) => seen.push(Instant::now()),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
            Ok(Instant::now())
        };
        let ended = timeout(PATIENCE, ended).await.context("the stream goes on for ever")??;
        let (after, answered) = changing.await??;
        self.caller.account = after;
        let late: Vec<_> = seen.into_iter().filter(|at| *at > answered).collect();
        let lost = Lost {
            from_call: ended - began,
            from_answer: ended.saturating_duration_since(answered),
            late: late.len(),
            latest: late.last().map_or(Duration::ZERO, |at| *at - answered),
        };
        Ok((self.caller, lost))
    }
}

async fn subscribe(site: &Site, caller: &SignedIn) -> anyhow::Result<Streaming<v1::SubscribeResponse>> {
    // A connection of its own, as consoles have.
    let channel: Channel = site.bus.api().channel().await?;
    let request = caller.asks(v1::SubscribeRequest::default())?;
    Ok(AlertServiceClient::new(channel).subscribe(request).await?.into_inner())
}

async fn change(site: &Site, account: v1::Account, cut: Cut) -> anyhow::Result<v1::Account> {
    match cut {
        Cut::Division => site.update(v1::Account { divisions: vec![THEIRS.to_owned()], ..account }).await,
        Cut::Role => site.update(v1::Account { roles: vec![v1::Role::PointAdmin.into()], ..account }).await,
        Cut::Account => disable(site, &account.name, false).await,
    }
}

async fn disable(site: &Site, name: &str, enable: bool) -> anyhow::Result<v1::Account> {
    let request =
        v1::DisableAccountRequest { name: name.to_owned(), reason: "left the unit".to_owned(), enable };
    let answer = site.accounts().disable_account(request).await.context("disable an account")?;
    answer.into_inner().account.context("an account was changed")
}

/// What is left when rights were cut: nothing of what was taken away. How much of it came all the same.
async fn left(site: &Site, caller: &SignedIn, cut: Cut) -> anyhow::Result<usize> {
    let refused = match (cut, subscribe(site, caller).await) {
        (Cut::Division, Ok(mut stream)) => {
            let (end, mut foreign) = (Instant::now() + WATCH, 0);
            while let Ok(item) = timeout_at(end, stream.message()).await {
                let item = item?.and_then(|one| one.item).context("a narrower stream ended")?;
                foreign += usize::from(is_ours(&item));
            }
            return Ok(foreign);
        }
        (_, Ok(_)) => return Ok(1),
        (_, Err(refused)) => refused,
    };
    let code = refused.downcast_ref::<tonic::Status>().map(tonic::Status::code);
    let wanted = if matches!(cut, Cut::Role) { Code::PermissionDenied } else { Code::Unauthenticated };
    ensure!(code == Some(wanted), "{cut:?}: {refused:#}");
    Ok(0)
}

/// Gives back what was taken.
async fn give_back(site: &Site, mut caller: SignedIn, cut: Cut) -> anyhow::Result<SignedIn> {
    let account = caller.account.clone();
    let divisions = vec![OURS.to_owned(), THEIRS.to_owned()];
    caller.account = match cut {
        Cut::Division => site.update(v1::Account { divisions, ..account }).await?,
        Cut::Role => site.update(v1::Account { roles: vec![v1::Role::Judge.into()], ..account }).await?,
        Cut::Account => disable(site, &account.name, true).await?,
    };
    if matches!(cut, Cut::Account) {
        caller.token = site.sign_in(&caller.account.name).await?;
    }
    Ok(caller)
}

/// Measures and prints.
pub(super) async fn run(table: &mut Table, share: Share) -> anyhow::Result<()> {
    let (streams, turns) = (share.cut(STREAMS, 3), share.cut(TURNS, 1));
    let site = Arc::new(Site::start(None).await?);
    let mut callers = Vec::new();
    for index in 0..streams {
        let wanted = account(&format!("desk-{index}"), v1::Role::Judge, &[OURS, THEIRS]);
        callers.push(site.enter(wanted).await?);
    }
    let (stop, stopping) = watch::channel(false);
    let publishing = tokio::spawn(publish_beside(Arc::clone(&site), RATE, stopping));
    table.note(
        "rights are cut at open streams",
        format!(
            "{streams} streams at once, {turns} turns, {RATE} alerts a second of both divisions beside it"
        ),
    );
    for cut in [Cut::Division, Cut::Role, Cut::Account] {
        let (mut lost, mut foreign) = (Vec::new(), 0);
        for _ in 0..turns {
            let open = callers.into_iter().map(|caller| Watched::open(&site, caller));
            let open = try_join_all(open).await?;
            let cutting = open.into_iter().map(|one| tokio::spawn(one.cut(Arc::clone(&site), cut)));
            let mut kept = Vec::new();
            for done in try_join_all(cutting).await? {
                let (caller, one) = done?;
                lost.push(one);
                kept.push(caller);
            }
            foreign +=
                try_join_all(kept.iter().map(|caller| left(&site, caller, cut))).await?.iter().sum::<usize>();
            callers = try_join_all(kept.into_iter().map(|caller| give_back(&site, caller, cut))).await?;
        }
        let what = match cut {
            Cut::Division => "a division taken away",
            Cut::Role => "a role changed to one without alerts",
            Cut::Account => "an account disabled",
        };
        row(table, what, &lost, foreign)?;
    }
    stop.send_replace(true);
    publishing.await??;
    let site = Arc::into_inner(site).context("nobody uses the bus any more")?;
    site.stop().await
}

fn row(table: &mut Table, what: &str, lost: &[Lost], foreign: usize) -> anyhow::Result<()> {
    let micros = |pick: fn(&Lost) -> Duration| -> anyhow::Result<Vec<u64>> {
        lost.iter().map(|one| Ok(u64::try_from(pick(one).as_micros())?)).collect()
    };
    let (mut call, mut answer) = (micros(|one| one.from_call)?, micros(|one| one.from_answer)?);
    let worst = lost.iter().map(|one| one.from_call).max().unwrap_or(Duration::MAX);
    let shown = format!(
        "p50 {:.0} ms, most {:.0} ms from the call; most {:.0} ms from its answer; {} streams",
        ms(percentile(&mut call, 0.5)),
        ms(percentile(&mut call, 1.0)),
        ms(percentile(&mut answer, 1.0)),
        lost.len()
    );
    table.row(&format!("{what}: until its streams end"), shown, "<= 5 s", worst <= BAR);
    let late: usize = lost.iter().map(|one| one.late).sum();
    let latest = lost.iter().map(|one| one.latest).max().unwrap_or_default();
    table.row(
        &format!(
            "{what}: alerts that are no longer theirs, at the old stream after the answer, and at a new one"
        ),
        format!("{late}, the last {:.0} ms after it; {foreign}", latest.as_secs_f64() * 1e3),
        "none 5 s after it; 0",
        latest <= BAR && foreign == 0,
    );
    Ok(())
}
